// SPDX-License-Identifier: BSD-2-Clause
/*
 * tests/mm/test_readahead.c - windows, markers, streams
 *
 * What is read ahead is seen in the fake disk's log: one line per readpages.
 */
#include <errno.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include "fake_disk.h"
#include "harness.h"
#include "vmstat.h"

#define MEMORY	(32UL << 20)
#define NR_PAGES 2048u			/* of the file */
#define RA_PAGES 256u

static struct fake_disk disk;
static struct fake_file *file;
static struct file_ra_state ra;
static char buf[1 << 20];

static void up(enum fake_mode mode, size_t size)
{
	fake_mm_init(MEMORY, 1, false);
	fake_disk_init(&disk, mode);
	file = fake_file_new(&disk, NR_PAGES << PAGE_SHIFT, size);
	file_ra_state_init(&ra, RA_PAGES);
}

static void down(void)
{
	file_ra_state_destroy(&ra);
	fake_drain(&disk);
	page_cache_check(&file->mapping);
	fake_file_free(file);
	CU_ASSERT_EQUAL(fake_disk_exit(&disk), 0);
	CU_ASSERT_EQUAL(fake_mm_exit(), 0);
}

static bool read_pages(pgoff_t index, unsigned int nr)
{
	loff_t pos = (loff_t)index << PAGE_SHIFT;
	ssize_t len = nr * PAGE_SIZE;

	return fake_read(file, &ra, pos, buf, len) == len &&
	       fake_is(buf, pos, len);
}

static unsigned long pages_read(void)
{
	fake_drain(&disk);
	return atomic_load(&disk.pages[FAKE_READ]);
}

static unsigned int calls(void)
{
	return atomic_load(&disk.calls[FAKE_READ]);
}

static void sequential_ramps(void)
{
	unsigned int longest = 0;

	up(FAKE_SYNC, NR_PAGES << PAGE_SHIFT);
	for (pgoff_t i = 0; i < NR_PAGES; i++)
		CU_ASSERT(read_pages(i, 1));
	CU_ASSERT_EQUAL(pages_read(), NR_PAGES);	/* none twice */
	/* 4, 16(x4), 32, 64, 128, 256, 256, ...: about 6 to ramp up, 8 then */
	CU_ASSERT(calls() <= 20);
	for (unsigned int i = 0; i < calls(); i++) {
		CU_ASSERT(i == 0 || disk.log[i].nr >= disk.log[i - 1].nr ||
			  disk.log[i].index + disk.log[i].nr == NR_PAGES);
		longest = max(longest, disk.log[i].nr);
	}
	CU_ASSERT_EQUAL(longest, RA_PAGES);
	CU_ASSERT(disk.log[0].nr < 16);
	down();
}

/* Only the first window is waited for: the rest is started at markers. */
static void marker_makes_it_asynchronous(void)
{
	unsigned long syncs = 0;

	up(FAKE_SYNC, NR_PAGES << PAGE_SHIFT);
	syncs = vm_event(RA_SYNC);
	for (pgoff_t i = 0; i < NR_PAGES; i++)
		CU_ASSERT(read_pages(i, 1));
	CU_ASSERT(vm_event(RA_SYNC) - syncs <= 1);
	for (unsigned int i = 1; i < calls(); i++)
		CU_ASSERT_EQUAL(disk.log[i].mode, READ_AHEAD);
	down();
}

/* The reader of a marker does not wait for the window it starts. */
static void reader_does_not_wait_for_the_next_window(void)
{
	struct page *page;
	pgoff_t i;

	up(FAKE_ASYNC, NR_PAGES << PAGE_SHIFT);
	CU_ASSERT(read_pages(0, 4));
	fake_drain(&disk);
	fake_hold(&disk);
	for (i = 4; i < NR_PAGES; i++) {
		page = find_get_page(&file->mapping, i);
		if (!page)
			break;
		put_page(page);
	}
	/* What is cached holds a marker; reading it adds pages, unread. */
	CU_ASSERT(i > 4 && i < NR_PAGES);
	CU_ASSERT(read_pages(4, i - 4));
	page = find_get_page(&file->mapping, i);
	CU_ASSERT_PTR_NOT_NULL_FATAL(page);
	CU_ASSERT(!page_test(page, PG_uptodate));
	put_page(page);
	fake_release(&disk);
	CU_ASSERT(read_pages(i, 8));
	down();
}

static void random_reads_one_page(void)
{
	uint64_t rand = test_seed();
	unsigned long want = 0;

	up(FAKE_SYNC, NR_PAGES << PAGE_SHIFT);
	for (unsigned int i = 0; i < 200; i++) {
		/* far apart: no two within a request of each other */
		pgoff_t at = 4 + (i * 643 % 200) * 10 + test_rand(&rand) % 4;

		CU_ASSERT(read_pages(at, 1));
		CU_ASSERT_EQUAL(pages_read(), ++want);
	}
	CU_ASSERT(read_pages(2040, 5));		/* and just what is asked for */
	CU_ASSERT_EQUAL(pages_read(), want + 5);
	down();
}

/* Streams far apart through one state, taking turns. */
static void interleaved_streams_keep_windows(void)
{
	static const pgoff_t base[RA_STREAMS] = { 0, 500, 1000, 1500 };

	up(FAKE_SYNC, NR_PAGES << PAGE_SHIFT);
	for (pgoff_t i = 0; i < 400; i++)
		for (unsigned int s = 0; s < RA_STREAMS; s++)
			CU_ASSERT(read_pages(base[s] + i, 1));
	/* one page a call would be 1600 */
	CU_ASSERT(calls() <= 60);
	CU_ASSERT(pages_read() <= NR_PAGES);
	down();
}

/* Requests of the kernel's read-ahead arrive in pairs, the later one first. */
static void out_of_order_is_still_sequential(void)
{
	up(FAKE_SYNC, NR_PAGES << PAGE_SHIFT);
	CU_ASSERT(read_pages(0, 8));
	for (pgoff_t i = 8; i + 16 <= 1032; i += 16) {
		CU_ASSERT(read_pages(i + 8, 8));
		CU_ASSERT(read_pages(i, 8));
	}
	CU_ASSERT(calls() <= 30);
	down();
}

static void *second_reader(void *arg)
{
	(void)arg;
	return (void *)(long)fake_read(file, &ra, 8 << PAGE_SHIFT, buf + 100000,
				       8 << PAGE_SHIFT);
}

/*
 * A request that overtakes the one which has chosen the window, but not added
 * its pages yet, must not be taken for a sign that the window was too large.
 */
static void overtaking_request_keeps_the_window(void)
{
	struct ra_stream s;
	pthread_t t;
	void *ret;

	up(FAKE_ASYNC, NR_PAGES << PAGE_SHIFT);
	/* as between ra_choose() and the end of its do_page_cache_ra() */
	ra.stream[0] = (struct ra_stream){ .start = 0, .size = 64,
					   .async_size = 56, .fillers = 1 };
	s = ra.stream[0];
	pthread_create(&t, NULL, second_reader, NULL);
	pthread_join(t, &ret);
	CU_ASSERT_EQUAL((long)ret, 8 << PAGE_SHIFT);
	CU_ASSERT_EQUAL(ra.stream[0].start, s.start);
	CU_ASSERT_EQUAL(ra.stream[0].size, s.size);
	CU_ASSERT_EQUAL(pages_read(), 8);
	down();
}

static void two_readers_of_one_stream_fill_all(void)
{
	uint64_t rand = test_seed();

	up(FAKE_ASYNC, NR_PAGES << PAGE_SHIFT);
	/* Pages somebody else has read are holes in what is to be read. */
	for (int i = 0; i < 60; i++)
		CU_ASSERT_EQUAL(fake_read(file, NULL,
			(loff_t)(test_rand(&rand) % NR_PAGES) << PAGE_SHIFT,
			buf, 1), 1);
	for (pgoff_t i = 0; i < NR_PAGES; i += 32)
		CU_ASSERT(read_pages(i, 32));
	CU_ASSERT_EQUAL(pages_read(), NR_PAGES);
	down();
}

static void window_ends_at_eof(void)
{
	up(FAKE_SYNC, 10 * PAGE_SIZE + 5);
	for (pgoff_t i = 0; i < 10; i++)
		CU_ASSERT(read_pages(i, 1));
	CU_ASSERT_EQUAL(pages_read(), 11);
	CU_ASSERT_EQUAL(file->mapping.nrpages, 11);
	CU_ASSERT_EQUAL(fake_read(file, &ra, 10 * PAGE_SIZE, buf, 100), 5);
	force_page_cache_readahead(&file->mapping, 5, 1000);
	CU_ASSERT_EQUAL(file->mapping.nrpages, 11);
	force_page_cache_readahead(&file->mapping, 500, 1000);
	CU_ASSERT_EQUAL(file->mapping.nrpages, 11);
	down();
}

static void forced_reads_the_range(void)
{
	up(FAKE_ASYNC, NR_PAGES << PAGE_SHIFT);
	fake_hold(&disk);
	force_page_cache_readahead(&file->mapping, 100, 700);	/* no wait */
	CU_ASSERT_EQUAL(file->mapping.nrpages, 700);
	fake_release(&disk);
	CU_ASSERT_EQUAL(pages_read(), 700);
	CU_ASSERT(calls() <= 4);
	CU_ASSERT(read_pages(100, 200));
	CU_ASSERT_EQUAL(pages_read(), 700);
	down();
}

static void switched_off_reads_nothing_ahead(void)
{
	up(FAKE_SYNC, NR_PAGES << PAGE_SHIFT);
	ra.ra_pages = 0;
	for (pgoff_t i = 0; i < 100; i++)
		CU_ASSERT(read_pages(i, 1));
	CU_ASSERT_EQUAL(pages_read(), 100);
	down();
}

static void failure_ahead_is_the_readers_only_there(void)
{
	up(FAKE_SYNC, NR_PAGES << PAGE_SHIFT);
	fake_fail_range(file, FAKE_READ, 20, 20, -EIO);
	for (pgoff_t i = 0; i < 100; i++)
		CU_ASSERT_EQUAL(read_pages(i, 1), i != 20);
	fake_fail_off(&disk);
	CU_ASSERT(read_pages(20, 1));
	down();
}

/* ---- what has been said of the file ---- */

static void advised_random_reads_nothing_ahead(void)
{
	unsigned long ahead, windows;

	up(FAKE_SYNC, NR_PAGES << PAGE_SHIFT);
	ahead = vm_event(PGREADAHEAD);
	windows = vm_event(RA_SYNC);
	mapping_fadvise(&file->mapping, FADV_RANDOM);
	for (pgoff_t i = 0; i < 100; i++)
		CU_ASSERT(read_pages(i, 1));
	CU_ASSERT_EQUAL(pages_read(), 100);
	/* What is asked for at once is read at once: 16 pages here. */
	CU_ASSERT(read_pages(100, 64));
	CU_ASSERT_EQUAL(pages_read(), 164);
	CU_ASSERT_EQUAL(calls(), 100 + 64 / 16);
	CU_ASSERT_EQUAL(vm_event(PGREADAHEAD), ahead);
	CU_ASSERT_EQUAL(vm_event(RA_SYNC), windows);
	mapping_fadvise(&file->mapping, FADV_NORMAL);
	CU_ASSERT(read_pages(164, 1));
	CU_ASSERT(read_pages(165, 1));
	CU_ASSERT(pages_read() > 166);
	down();
}

/* A marker left from before starts nothing any more. */
static void advised_random_passes_markers(void)
{
	pgoff_t i = 0;

	up(FAKE_SYNC, NR_PAGES << PAGE_SHIFT);
	CU_ASSERT(read_pages(0, 4));
	mapping_fadvise(&file->mapping, FADV_RANDOM);
	for (unsigned long cached = file->mapping.nrpages; i < cached; i++)
		CU_ASSERT(read_pages(i, 1));
	CU_ASSERT_EQUAL(file->mapping.nrpages, i);
	down();
}

static void advised_sequential_reads_far_ahead(void)
{
	up(FAKE_SYNC, NR_PAGES << PAGE_SHIFT);
	mapping_fadvise(&file->mapping, FADV_SEQUENTIAL);
	/* In the middle, at the first miss. */
	CU_ASSERT(read_pages(700, 1));
	CU_ASSERT_EQUAL(pages_read(), 2 * RA_PAGES);
	CU_ASSERT_STRING_EQUAL(mapping_advice_name(&file->mapping), "sequential");
	mapping_fadvise(&file->mapping, FADV_NORMAL);
	CU_ASSERT(read_pages(100, 1));
	CU_ASSERT_EQUAL(pages_read(), 2 * RA_PAGES + 1);
	down();
}

static void advised_noreuse_activates_nothing(void)
{
	unsigned long active;

	up(FAKE_SYNC, NR_PAGES << PAGE_SHIFT);
	mapping_fadvise(&file->mapping, FADV_NOREUSE);
	active = vm_event(PGACTIVATE);
	for (int i = 0; i < 3; i++)
		CU_ASSERT(read_pages(0, 64));
	CU_ASSERT_EQUAL(fake_write(file, 0, buf, 64 * PAGE_SIZE),
			64 * (long)PAGE_SIZE);
	CU_ASSERT_EQUAL(vm_event(PGACTIVATE), active);
	mapping_fadvise(&file->mapping, FADV_NORMAL);
	for (int i = 0; i < 3; i++)
		CU_ASSERT(read_pages(0, 64));
	CU_ASSERT_EQUAL(vm_event(PGACTIVATE), active + 64);
	down();
}

static void policies_exclude_and_join(void)
{
	static const struct {
		enum fadvise advice;
		const char *then;
	} steps[] = {
		{ FADV_NORMAL, "normal" },
		{ FADV_RANDOM, "random" },
		{ FADV_SEQUENTIAL, "sequential" },
		{ FADV_NOREUSE, "sequential,noreuse" },
		{ FADV_RANDOM, "random,noreuse" },
		{ FADV_WILLNEED, "random,noreuse" },
		{ FADV_DONTNEED, "random,noreuse" },
		{ NR_FADVISE, "random,noreuse" },
		{ FADV_NORMAL, "normal" },
		{ FADV_NOREUSE, "noreuse" },
	};

	up(FAKE_SYNC, 10 << PAGE_SHIFT);
	for (size_t i = 0; i < ARRAY_SIZE(steps); i++) {
		mapping_fadvise(&file->mapping, steps[i].advice);
		CU_ASSERT_STRING_EQUAL(mapping_advice_name(&file->mapping),
				       steps[i].then);
	}
	down();
}

static void needed_comes_and_not_needed_goes(void)
{
	unsigned long nr, dropped;
	struct fake_file *large;

	up(FAKE_SYNC, 1000 << PAGE_SHIFT);
	CU_ASSERT_EQUAL(mapping_fadvise(&file->mapping, FADV_WILLNEED), 1000);
	CU_ASSERT_EQUAL(pages_read(), 1000);
	/* What is dirty stays. */
	CU_ASSERT_EQUAL(fake_write(file, 0, buf, 5 * PAGE_SIZE),
			5 * (long)PAGE_SIZE);
	dropped = mapping_fadvise(&file->mapping, FADV_DONTNEED);
	CU_ASSERT_EQUAL(file->mapping.nrpages, 1000 - dropped);
	CU_ASSERT_EQUAL(dropped, 995);
	down();

	/* No more than half of memory, however large the file. */
	up(FAKE_SYNC, PAGE_SIZE);
	large = fake_file_new(&disk, (MEMORY >> PAGE_SHIFT) * PAGE_SIZE,
			      MEMORY * 3 / 4);
	nr = mapping_fadvise(&large->mapping, FADV_WILLNEED);
	CU_ASSERT(nr > (MEMORY >> PAGE_SHIFT) / 3);
	CU_ASSERT(nr <= (MEMORY >> PAGE_SHIFT) / 2);
	fake_drain(&disk);
	fake_file_free(large);
	down();
}

static const struct test_case cases[] = {
	{ "a sequential reader's windows grow to the limit", sequential_ramps },
	{ "windows after the first are started at markers",
	  marker_makes_it_asynchronous },
	{ "the reader at a marker does not wait for the next window",
	  reader_does_not_wait_for_the_next_window },
	{ "random reads read what they ask for", random_reads_one_page },
	{ "interleaved streams of one file keep their windows",
	  interleaved_streams_keep_windows },
	{ "requests out of order are still a stream",
	  out_of_order_is_still_sequential },
	{ "a request that overtakes keeps the window",
	  overtaking_request_keeps_the_window },
	{ "what others have read is left out, the rest is read",
	  two_readers_of_one_stream_fill_all },
	{ "no window goes past EOF", window_ends_at_eof },
	{ "forced read-ahead reads the range and waits for nothing",
	  forced_reads_the_range },
	{ "ra_pages 0 reads nothing ahead", switched_off_reads_nothing_ahead },
	{ "a failure in what is read ahead concerns its reader only",
	  failure_ahead_is_the_readers_only_there },
	{ "said to be random, nothing is read ahead",
	  advised_random_reads_nothing_ahead },
	{ "said to be random, markers are passed", advised_random_passes_markers },
	{ "said to be sequential, the first window is the largest",
	  advised_sequential_reads_far_ahead },
	{ "said not to be reused, no page becomes active",
	  advised_noreuse_activates_nothing },
	{ "policies exclude each other, or join", policies_exclude_and_join },
	{ "what will be needed is read in, what is not goes",
	  needed_comes_and_not_needed_goes },
};

int main(void)
{
	return test_main("mm/readahead", cases, ARRAY_SIZE(cases));
}
