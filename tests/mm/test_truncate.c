// SPDX-License-Identifier: BSD-2-Clause
/*
 * tests/mm/test_truncate.c - taking pages out of a mapping
 */
#include <errno.h>
#include <limits.h>
#include <pthread.h>
#include <string.h>
#include <unistd.h>

#include "fake_disk.h"
#include "harness.h"
#include "page.h"
#include "vmstat.h"

#define MEMORY	(16UL << 20)

static struct fake_disk disk;
static struct fake_file *file;
static char buf[1 << 20];

static void up(enum fake_mode mode, size_t size)
{
	fake_mm_init(MEMORY, 1, false);
	fake_disk_init(&disk, mode);
	file = fake_file_new(&disk, 1 << 20, size);
}

static void down(void)
{
	fake_drain(&disk);
	page_cache_check(&file->mapping);
	fake_file_free(file);
	CU_ASSERT_EQUAL(fake_disk_exit(&disk), 0);
	CU_ASSERT_EQUAL(fake_mm_exit(), 0);
}

static bool is_filled(const char *p, char c, size_t len)
{
	for (size_t i = 0; i < len; i++)
		if (p[i] != c)
			return false;
	return true;
}

static void cut_off_reads_as_zeros_after_growing(void)
{
	static const loff_t cuts[] = { 50001, 8192, 8191, 4097, 1, 0 };

	up(FAKE_SYNC, 100000);
	for (size_t i = 0; i < ARRAY_SIZE(cuts); i++) {
		CU_ASSERT(fake_read(file, NULL, 0, buf, sizeof(buf)) == 100000);
		fake_truncate(file, cuts[i]);
		page_cache_check(&file->mapping);
		CU_ASSERT_EQUAL(file->mapping.nrpages,
				DIV_ROUND_UP((unsigned long)cuts[i], 4096));
		CU_ASSERT_EQUAL(fake_read(file, NULL, 0, buf, sizeof(buf)),
				cuts[i]);
		CU_ASSERT(fake_is(buf, 0, cuts[i]));
		fake_truncate(file, 100000);
		CU_ASSERT(fake_read(file, NULL, 0, buf, sizeof(buf)) == 100000);
		CU_ASSERT(fake_is(buf, 0, cuts[i]));
		CU_ASSERT(is_filled(buf + cuts[i], 0, 100000 - cuts[i]));
	}
	down();
}

static void dirt_cut_off_is_never_written(void)
{
	up(FAKE_SYNC, 0);
	memset(buf, 'd', 100000);
	CU_ASSERT_EQUAL(fake_write(file, 0, buf, 100000), 100000);
	CU_ASSERT_EQUAL(vm_stat_read(NR_FILE_DIRTY), 25);
	fake_truncate(file, 10000);
	CU_ASSERT_EQUAL(vm_stat_read(NR_FILE_DIRTY), 3);
	CU_ASSERT_EQUAL(file->mapping.nrdirty, 3);
	CU_ASSERT_EQUAL(sync_mapping(&file->mapping, false), 0);
	CU_ASSERT_EQUAL(atomic_load(&file->size), 10000);
	CU_ASSERT_EQUAL(atomic_load(&disk.pages[FAKE_WRITE]), 3);
	CU_ASSERT_EQUAL(atomic_load(&disk.past_eof), 0);
	CU_ASSERT(is_filled(file->data, 'd', 10000));
	CU_ASSERT(is_filled(file->data + 10000, 0, 90000));
	down();
}

static void punch_drops_whole_pages_of_the_range(void)
{
	up(FAKE_SYNC, 1 << 20);
	memset(buf, 'd', sizeof(buf));
	CU_ASSERT_EQUAL(fake_write(file, 0, buf, sizeof(buf)), sizeof(buf));
	fake_punch(file, 5 * 4096, 60 * 4096);
	CU_ASSERT_EQUAL(file->mapping.nrpages, 256 - 60);
	CU_ASSERT_EQUAL(fake_read(file, NULL, 0, buf, sizeof(buf)), sizeof(buf));
	CU_ASSERT(is_filled(buf, 'd', 5 * 4096));
	CU_ASSERT(is_filled(buf + 5 * 4096, 0, 60 * 4096));
	CU_ASSERT(is_filled(buf + 65 * 4096, 'd', 191 * 4096));
	down();
}

/* As reclaim does with a page that is to leave: nobody can have it meanwhile. */
static void *thaw(void *arg)
{
	struct page *page = arg;

	usleep(50000);
	atomic_store(&page->refcount, 1);
	return NULL;
}

static void truncate_passes_no_frozen_page(void)
{
	struct page *page;
	pthread_t thread;

	up(FAKE_SYNC, 100000);
	CU_ASSERT(fake_read(file, NULL, 0, buf, sizeof(buf)) == 100000);
	page = find_get_page(&file->mapping, 7);
	CU_ASSERT_PTR_NOT_NULL_FATAL(page);
	put_page(page);
	CU_ASSERT_FATAL(page_ref_freeze(page, 1));
	BUG_ON(pthread_create(&thread, NULL, thaw, page));
	fake_truncate(file, 4096);
	CU_ASSERT_EQUAL(file->mapping.nrpages, 1);
	pthread_join(thread, NULL);
	down();
}

struct cutter {
	loff_t size;
	atomic_bool done;
};

static void *cut(void *arg)
{
	struct cutter *c = arg;

	fake_truncate(file, c->size);
	atomic_store(&c->done, true);
	return NULL;
}

/*
 * The write of a page that stays, in flight with the old length, would grow
 * the file again if the store were cut before it lands.
 */
static void waits_for_io(loff_t newsize)
{
	struct cutter c = { .size = newsize };
	pthread_t t;

	up(FAKE_ASYNC, 0);
	memset(buf, 'd', 20000);
	CU_ASSERT_EQUAL(fake_write(file, 0, buf, 20000), 20000);
	fake_hold(&disk);
	CU_ASSERT_EQUAL(filemap_fdatawrite_range(&file->mapping, 0, LLONG_MAX), 0);
	CU_ASSERT_EQUAL(vm_stat_read(NR_WRITEBACK), 5);
	pthread_create(&t, NULL, cut, &c);
	while (i_size_read(&file->mapping) != newsize)
		usleep(100);
	usleep(20000);		/* cannot lose a race: it is asleep, or wrong */
	CU_ASSERT(!atomic_load(&c.done));
	fake_release(&disk);
	pthread_join(t, NULL);
	fake_drain(&disk);
	CU_ASSERT_EQUAL(atomic_load(&file->size), newsize);
	CU_ASSERT_EQUAL(vm_stat_read(NR_WRITEBACK), 0);
	down();
}

static void truncate_waits_for_pages_that_go(void)
{
	waits_for_io(0);
}

static void truncate_waits_for_the_page_it_falls_in(void)
{
	waits_for_io(19000);
}

static void truncate_waits_for_reads(void)
{
	struct cutter c = { .size = 0 };
	pthread_t t;

	up(FAKE_ASYNC, 1 << 20);
	fake_hold(&disk);
	force_page_cache_readahead(&file->mapping, 0, 20);
	pthread_create(&t, NULL, cut, &c);
	usleep(20000);
	CU_ASSERT(!atomic_load(&c.done));
	fake_release(&disk);
	pthread_join(t, NULL);
	CU_ASSERT_EQUAL(file->mapping.nrpages, 0);
	down();
}

/* The thread that has the I/O in its own ring is the one that truncates. */
static void own_plug_does_not_deadlock(void)
{
	up(FAKE_PLUG, 0);
	memset(buf, 'd', sizeof(buf));
	CU_ASSERT_EQUAL(fake_write(file, 0, buf, sizeof(buf)), sizeof(buf));
	filemap_fdatawrite_range(&file->mapping, 0, LLONG_MAX);
	CU_ASSERT_EQUAL(vm_stat_read(NR_WRITEBACK), 256);
	fake_truncate(file, 100);
	CU_ASSERT_EQUAL(vm_stat_read(NR_WRITEBACK), 0);
	CU_ASSERT_EQUAL(atomic_load(&file->size), 100);
	down();
}

static void invalidate_takes_clean_idle_pages_only(void)
{
	struct page *held, *locked;

	up(FAKE_ASYNC, 1 << 20);
	CU_ASSERT_EQUAL(fake_read(file, NULL, 0, buf, 100 * 4096), 100 * 4096);
	CU_ASSERT_EQUAL(fake_write(file, 10 * 4096, buf, 4096), 4096);
	CU_ASSERT_EQUAL(fake_write(file, 11 * 4096, buf, 4096), 4096);
	fake_hold(&disk);
	filemap_fdatawrite_range(&file->mapping, 11 * 4096, 12 * 4096 - 1);
	held = find_get_page(&file->mapping, 12);
	locked = find_lock_page(&file->mapping, 13);
	CU_ASSERT_EQUAL(invalidate_mapping_pages(&file->mapping, 0, 49), 46);
	CU_ASSERT_EQUAL(file->mapping.nrpages, 54);
	put_page(held);
	unlock_page(locked);
	put_page(locked);
	fake_release(&disk);
	fake_drain(&disk);
	CU_ASSERT_EQUAL(invalidate_mapping_pages(&file->mapping, 0, ULLONG_MAX),
			53);
	CU_ASSERT_EQUAL(sync_mapping(&file->mapping, false), 0);
	fake_drain(&disk);	/* of its references too */
	CU_ASSERT_EQUAL(invalidate_mapping_pages(&file->mapping, 0, ULLONG_MAX),
			1);
	down();
}

static const struct test_case cases[] = {
	{ "what was cut off reads as zeros when the file grows again",
	  cut_off_reads_as_zeros_after_growing },
	{ "dirty pages cut off are never written", dirt_cut_off_is_never_written },
	{ "a range drops its pages and no others",
	  punch_drops_whole_pages_of_the_range },
	{ "truncate passes no page that is about to leave",
	  truncate_passes_no_frozen_page },
	{ "truncate waits for writes of pages that go",
	  truncate_waits_for_pages_that_go },
	{ "truncate waits for the write of the page it falls in",
	  truncate_waits_for_the_page_it_falls_in },
	{ "truncate waits for reads", truncate_waits_for_reads },
	{ "truncate ends I/O of its own thread", own_plug_does_not_deadlock },
	{ "invalidate drops what is clean and idle, waits for nothing",
	  invalidate_takes_clean_idle_pages_only },
};

int main(void)
{
	return test_main("mm/truncate", cases, ARRAY_SIZE(cases));
}
