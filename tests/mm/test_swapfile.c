// SPDX-License-Identifier: BSD-2-Clause
/*
 * tests/mm/test_swapfile.c - mm/swapfile.c, swap_slots.c, swap_header.c, page_io.c
 *
 *   cases --> swap_on(), get_swap_pages(), swap_rw() --> fake_swap
 *             swap_off() --> unuse()	a fake, below
 *
 * Whoever has entries is faked: held[] are the entries of a case, and unuse()
 * gives them back, or fails to. What is to die sets up memory of its own, as in
 * test_page_alloc.c, and has a control that must live.
 */
#include <endian.h>
#include <errno.h>
#include <limits.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "churn.h"
#include "fake_disk.h"
#include "fake_swap.h"
#include "harness.h"
#include "internal.h"
#include "slab.h"
#include "swapfile_i.h"
#include "vmalloc.h"
#include "vmstat.h"

#define ARENA		(16 * SZ_1M)
#define CLUSTER		SWAPFILE_CLUSTER

/* ---- who has entries ---- */

static swp_entry_t held[16384];
static unsigned int nr_held;

static struct {
	int err;			/* of the next calls */
	unsigned int keep;		/* entries it leaves ... */
	unsigned int keep_calls;	/* ... in the first calls */
	unsigned int calls;
	swap_progress_t progress;
	unsigned int got;		/* slots it could get meanwhile */
	unsigned int others;		/* of other areas; let be */
} fake_unuse;

static int unuse(unsigned int type, swap_progress_t progress, void *arg)
{
	unsigned int keep = fake_unuse.calls++ < fake_unuse.keep_calls ?
			    fake_unuse.keep : 0;
	unsigned int kept = 0;
	swp_entry_t entry;

	fake_unuse.got += get_swap_pages(1, &entry);
	for (unsigned int i = 0; i < nr_held && !fake_unuse.err; i++) {
		if (progress && !progress(nr_held - i, arg))
			fake_unuse.err = -EINTR;
		if (fake_unuse.err || swp_type(held[i]) != type || keep) {
			keep -= keep > 0;
			held[kept++] = held[i];
		} else {
			swap_free(held[i]);
		}
	}
	if (!fake_unuse.err)
		nr_held = kept;
	return fake_unuse.err;
}

static void hold(unsigned int nr)
{
	unsigned int got = get_swap_pages(nr, held + nr_held);

	BUG_ON(nr_held + got > ARRAY_SIZE(held));
	CU_ASSERT_EQUAL(got, nr);
	nr_held += got;
}

static void free_held(void)
{
	while (nr_held)
		swap_free(held[--nr_held]);
}

/* ---- setting up ---- */

/* Frames of vmalloc() areas that are there for other things. */
static unsigned long others_vmalloc;

/* Frames that swap has of vmalloc(). */
static unsigned long swap_vmalloc(void)
{
	return vm_stat_read(NR_VMALLOC) - others_vmalloc;
}

static void setup(void)
{
	fake_mm_init(ARENA, 1, false);
	others_vmalloc = vm_stat_read(NR_VMALLOC);
	memset(&fake_unuse, 0, sizeof(fake_unuse));
	nr_held = 0;
	swap_set_unuse(unuse);
}

static void teardown(void)
{
	swapfile_check();
	vmalloc_check();
	swap_off_all();
	CU_ASSERT_EQUAL(total_swap_pages(), 0);
	CU_ASSERT_EQUAL(nr_swap_pages(), 0);
	CU_ASSERT_EQUAL(fake_mm_exit(), 0);
}

/* An area of @usable slots. */
static void area_on(struct fake_swap *fake, const char *path,
		    unsigned long usable, int prio)
{
	fake_swap_make(fake, path, usable + 1);
	CU_ASSERT_EQUAL_FATAL(swap_on(&fake->dev, prio), 0);
}

static struct swap_area_info info_of(const char *path)
{
	struct swap_area_info info;

	for (unsigned int i = 0; swap_area_info(i, &info); i++)
		if (!strcmp(info.path, path))
			return info;
	CU_FAIL_FATAL("no such area");
	return info;
}

/* ---- headers ---- */

static void an_area_is_what_its_header_says(void)
{
	struct swap_area_info info;
	struct fake_swap a;

	setup();
	CU_ASSERT_FALSE(swap_area_info(0, &info));
	area_on(&a, "/a", 1000, 5);
	CU_ASSERT(swap_area_info(0, &info));
	CU_ASSERT_FALSE(swap_area_info(1, &info));
	CU_ASSERT_STRING_EQUAL(info.path, "/a");
	CU_ASSERT(info.is_file);
	CU_ASSERT_EQUAL(info.nr_slots, 1000);
	CU_ASSERT_EQUAL(info.nr_used, 0);
	CU_ASSERT_EQUAL(info.nr_bad, 0);
	CU_ASSERT_EQUAL(info.prio, 5);
	CU_ASSERT_EQUAL(total_swap_pages(), 1000);
	CU_ASSERT_EQUAL(nr_swap_pages(), 1000);
	swapfile_check();
	CU_ASSERT_EQUAL(swap_off("/b", NULL, NULL), -ENOENT);
	CU_ASSERT_EQUAL(a.nr_closed, 0);
	CU_ASSERT_EQUAL(swap_off("/a", NULL, NULL), 0);
	CU_ASSERT_EQUAL(a.nr_closed, 1);
	CU_ASSERT_FALSE(swap_area_info(0, &info));
	CU_ASSERT_EQUAL(total_swap_pages(), 0);
	fake_swap_destroy(&a);
	teardown();
}

static uint32_t plain_crc32(const unsigned char *p, size_t len)
{
	uint32_t crc = UINT32_MAX;

	while (len--) {
		crc ^= *p++;
		for (int bit = 0; bit < 8; bit++)
			crc = crc >> 1 ^ (crc & 1 ? 0xedb88320 : 0);
	}
	return ~crc;
}

static void header_sign(struct swap_header *header)
{
	header->checksum = 0;
	header->checksum = htole32(plain_crc32((void *)header, PAGE_SIZE));
}

static void spoil_magic(struct swap_header *h) { h->magic[3]++; }
static void spoil_version(struct swap_header *h) { h->version = htole32(2); }
static void spoil_page_size(struct swap_header *h) { h->page_size = htole32(8192); }
static void spoil_few_slots(struct swap_header *h) { h->nr_slots = htole64(9); }
static void spoil_many_slots(struct swap_header *h) { h->nr_slots = htole64(101); }
static void spoil_no_end(struct swap_header *h) { h->nr_slots = ~0ULL; }
static void spoil_many_bad(struct swap_header *h)
{
	h->nr_badpages = htole32(SWAP_MAX_BADPAGES + 1);
}
static void spoil_bad_header(struct swap_header *h)
{
	h->nr_badpages = htole32(1);
}
static void spoil_bad_beyond(struct swap_header *h)
{
	h->nr_badpages = htole32(1);
	h->badpages[0] = htole64(100);
}
static void spoil_bad_twice(struct swap_header *h)
{
	h->nr_badpages = htole32(2);
	h->badpages[0] = h->badpages[1] = htole64(7);
}
static void spoil_nothing(struct swap_header *h) { h->label[0]++; }

static const struct {
	void (*spoil)(struct swap_header *header);
	int err;
} spoilers[] = {
	{ spoil_magic, -ENOENT },
	{ spoil_version, -EPROTONOSUPPORT },
	{ spoil_page_size, -EUCLEAN },
	{ spoil_few_slots, -EUCLEAN },
	{ spoil_many_slots, -EFBIG },
	{ spoil_no_end, -EUCLEAN },
	{ spoil_many_bad, -EUCLEAN },
	{ spoil_bad_header, -EUCLEAN },
	{ spoil_bad_beyond, -EUCLEAN },
	{ spoil_bad_twice, -EUCLEAN },
	{ spoil_nothing, 0 },
};

/* With a sum that is right: somebody has meant it. */
static void each_fault_of_a_header_has_its_error(void)
{
	struct fake_swap a;

	setup();
	for (size_t i = 0; i < ARRAY_SIZE(spoilers); i++) {
		fake_swap_make(&a, "/a", 100);
		spoilers[i].spoil((void *)a.data);
		header_sign((void *)a.data);
		CU_ASSERT_EQUAL(swap_on(&a.dev, 0), spoilers[i].err);
		CU_ASSERT_EQUAL(a.nr_closed, 0);
		CU_ASSERT_EQUAL(total_swap_pages(), spoilers[i].err ? 0 : 99);
		if (!spoilers[i].err)
			CU_ASSERT_EQUAL(swap_off("/a", NULL, NULL), 0);
		fake_swap_destroy(&a);
	}
	teardown();
}

static void every_flipped_bit_is_seen(void)
{
	struct fake_swap a;
	unsigned int seen = 0;

	setup();
	fake_swap_make(&a, "/a", 100);
	for (size_t i = 0; i < PAGE_SIZE; i++) {
		a.data[i] ^= (char)(1 << i % 8);
		seen += swap_on(&a.dev, 0) < 0;
		a.data[i] ^= (char)(1 << i % 8);
	}
	CU_ASSERT_EQUAL(seen, PAGE_SIZE);
	CU_ASSERT_EQUAL(swap_on(&a.dev, 0), 0);
	CU_ASSERT_EQUAL(swap_off("/a", NULL, NULL), 0);
	fake_swap_destroy(&a);
	teardown();
}

static void what_is_no_area_is_refused(void)
{
	struct fake_swap a;

	setup();
	fake_swap_init(&a, "/a", 9);
	CU_ASSERT_EQUAL(swap_make_header(&a.dev, NULL), -EINVAL);
	CU_ASSERT_EQUAL(swap_on(&a.dev, 0), -ENOENT);
	fake_swap_destroy(&a);
	fake_swap_init(&a, "/a", 10);
	CU_ASSERT_EQUAL(swap_on(&a.dev, 0), -ENOENT);
	a.header_err = -EIO;
	CU_ASSERT_EQUAL(swap_make_header(&a.dev, NULL), -EIO);
	a.header_err = 0;
	CU_ASSERT_EQUAL(swap_make_header(&a.dev, NULL), 0);
	a.header_err = -EIO;
	CU_ASSERT_EQUAL(swap_on(&a.dev, 0), -EIO);
	a.header_err = 0;
	CU_ASSERT_EQUAL(swap_on(&a.dev, -2), -EINVAL);
	CU_ASSERT_EQUAL(swap_on(&a.dev, SWAP_PRIO_MAX + 1), -EINVAL);
	CU_ASSERT_EQUAL(swap_on(&a.dev, SWAP_PRIO_MAX), 0);
	CU_ASSERT_EQUAL(total_swap_pages(), 9);
	swap_off_all();
	fake_swap_destroy(&a);
	teardown();
}

static void two_headers_differ_by_their_uuid(void)
{
	struct swap_header *x, *y;
	struct fake_swap a, b;

	setup();
	fake_swap_make(&a, "/a", 100);
	fake_swap_make(&b, "/b", 100);
	x = (void *)a.data;
	y = (void *)b.data;
	CU_ASSERT(memcmp(x->uuid, y->uuid, sizeof(x->uuid)));
	CU_ASSERT_EQUAL(x->uuid[6] >> 4, 4);
	CU_ASSERT_STRING_EQUAL(x->label, "fake");
	fake_swap_destroy(&a);
	fake_swap_destroy(&b);
	teardown();
}

/* ---- which areas ---- */

static void an_area_is_used_once(void)
{
	struct fake_swap a, b;

	setup();
	area_on(&a, "/a", 99, -1);
	CU_ASSERT_EQUAL(swap_on(&a.dev, -1), -EBUSY);
	fake_swap_make(&b, "/a", 100);
	CU_ASSERT_EQUAL(swap_on(&b.dev, -1), -EBUSY);
	CU_ASSERT_EQUAL(swap_off("/a", NULL, NULL), 0);
	CU_ASSERT_EQUAL(swap_on(&b.dev, -1), 0);
	swap_off_all();
	CU_ASSERT_EQUAL(a.nr_closed, 1);
	CU_ASSERT_EQUAL(b.nr_closed, 1);
	fake_swap_destroy(&a);
	fake_swap_destroy(&b);
	teardown();
}

static void there_are_as_many_areas_as_there_can_be(void)
{
	static struct fake_swap many[MAX_SWAPFILES + 1];
	struct swap_area_info info;
	char path[16];

	setup();
	for (unsigned int i = 0; i <= MAX_SWAPFILES; i++) {
		snprintf(path, sizeof(path), "/%u", i);
		fake_swap_make(&many[i], path, 11);
		CU_ASSERT_EQUAL(swap_on(&many[i].dev, -1),
				i < MAX_SWAPFILES ? 0 : -EPERM);
	}
	CU_ASSERT_EQUAL(total_swap_pages(), 10 * MAX_SWAPFILES);
	CU_ASSERT_EQUAL(swap_off("/7", NULL, NULL), 0);
	CU_ASSERT_EQUAL(swap_on(&many[MAX_SWAPFILES].dev, -1), 0);
	CU_ASSERT(swap_area_info(MAX_SWAPFILES - 1, &info));
	CU_ASSERT_FALSE(swap_area_info(MAX_SWAPFILES, &info));
	hold(10 * MAX_SWAPFILES);
	swapfile_check();
	CU_ASSERT_EQUAL(get_swap_pages(1, held + nr_held), 0);
	free_held();
	swap_off_all();
	for (unsigned int i = 0; i <= MAX_SWAPFILES; i++)
		fake_swap_destroy(&many[i]);
	teardown();
}

static unsigned int type_of(const struct fake_swap *fake)
{
	struct swap_area_info info;

	/* Types are given in order, and looked at in it. */
	for (unsigned int i = 0; swap_area_info(i, &info); i++)
		if (!strcmp(info.path, fake->dev.path))
			return i;
	return MAX_SWAPFILES;
}

static unsigned int count_of(const struct fake_swap *fake, unsigned int from,
			     unsigned int to)
{
	unsigned int type = type_of(fake), nr = 0;

	for (unsigned int i = from; i < to; i++)
		nr += swp_type(held[i]) == type;
	return nr;
}

static void higher_priorities_are_used_first(void)
{
	struct fake_swap low, high, fallback, last;

	setup();
	area_on(&low, "/low", 300, 0);
	area_on(&fallback, "/fallback", 300, -1);
	area_on(&last, "/last", 300, -1);
	area_on(&high, "/high", 300, 7);
	CU_ASSERT_EQUAL(info_of("/fallback").prio, -2);
	CU_ASSERT_EQUAL(info_of("/last").prio, -3);
	hold(290);
	CU_ASSERT_EQUAL(count_of(&high, 0, 290), 290);
	hold(310);
	CU_ASSERT_EQUAL(count_of(&high, 290, 600), 10);
	CU_ASSERT_EQUAL(count_of(&low, 290, 600), 300);
	hold(400);
	CU_ASSERT_EQUAL(count_of(&fallback, 600, 1000), 300);
	CU_ASSERT_EQUAL(count_of(&last, 600, 1000), 100);
	/* What is given back in the best is used before the others. */
	swap_free(held[5]);
	held[5] = held[--nr_held];
	hold(1);
	CU_ASSERT_EQUAL(count_of(&high, nr_held - 1, nr_held), 1);
	swapfile_check();
	free_held();
	swap_off_all();
	fake_swap_destroy(&low);
	fake_swap_destroy(&high);
	fake_swap_destroy(&fallback);
	fake_swap_destroy(&last);
	teardown();
}

static void equal_priorities_take_turns(void)
{
	struct fake_swap a, b;
	unsigned int in_a = 0, turns = 0;

	setup();
	area_on(&a, "/a", 40 * CLUSTER - 1, 3);
	area_on(&b, "/b", 40 * CLUSTER - 1, 3);
	for (unsigned int i = 0; i < 8 * CLUSTER / 32; i++)
		hold(32);
	for (unsigned int i = 0; i < nr_held; i++) {
		in_a += swp_type(held[i]) == 0;
		turns += i && swp_type(held[i]) != swp_type(held[i - 1]);
	}
	/* A cluster each. */
	CU_ASSERT_EQUAL(in_a, nr_held / 2);
	CU_ASSERT_EQUAL(turns, 7);
	free_held();
	swap_off_all();
	fake_swap_destroy(&a);
	fake_swap_destroy(&b);
	teardown();
}

/* ---- slots ---- */

static unsigned int nr_runs(unsigned int from, unsigned int to)
{
	unsigned int runs = from < to;

	for (unsigned int i = from + 1; i < to; i++)
		runs += !swap_entries_adjacent(held[i - 1], held[i]);
	return runs;
}

static void slots_of_one_call_are_neighbours(void)
{
	struct fake_swap a;

	setup();
	area_on(&a, "/a", 16 * CLUSTER, -1);
	hold(100);
	CU_ASSERT_EQUAL(nr_runs(0, 100), 1);
	hold(CLUSTER);		/* the end of one cluster, the next one's begin */
	CU_ASSERT_EQUAL(nr_runs(0, 100 + CLUSTER), 1);
	/* Where every other slot is free they are not had, while there is better. */
	for (unsigned int i = 0; i < nr_held; i += 2)
		swap_free(held[i]);
	hold(8 * CLUSTER);
	CU_ASSERT_EQUAL(nr_runs(100 + CLUSTER, nr_held), 1);
	for (unsigned int i = 1; i < 100 + CLUSTER; i += 2)
		swap_free(held[i]);
	memmove(held, held + 100 + CLUSTER, 8 * CLUSTER * sizeof(held[0]));
	nr_held = 8 * CLUSTER;
	swapfile_check();
	free_held();
	CU_ASSERT_EQUAL(nr_swap_pages(), 16 * CLUSTER);
	swap_off_all();
	fake_swap_destroy(&a);
	teardown();
}

static int compare_entries(const void *a, const void *b)
{
	uint64_t x = ((const swp_entry_t *)a)->val;
	uint64_t y = ((const swp_entry_t *)b)->val;

	return x < y ? -1 : x > y;
}

/* Bad: 1, 5 and the last. */
static void header_with_bad_slots(struct fake_swap *fake, unsigned long slots)
{
	struct swap_header *header;

	fake_swap_make(fake, "/a", slots);
	header = (void *)fake->data;
	header->nr_badpages = htole32(3);
	header->badpages[0] = htole64(1);
	header->badpages[1] = htole64(5);
	header->badpages[2] = htole64(slots - 1);
	header_sign(header);
}

static void every_good_slot_is_had_once(void)
{
	const unsigned long slots = 3 * CLUSTER + 17;
	struct fake_swap a;

	setup();
	header_with_bad_slots(&a, slots);
	CU_ASSERT_EQUAL(swap_on(&a.dev, -1), 0);
	CU_ASSERT_EQUAL(info_of("/a").nr_bad, 3);
	CU_ASSERT_EQUAL(total_swap_pages(), slots - 4);
	nr_held = get_swap_pages(2000, held);
	CU_ASSERT_EQUAL(nr_held, slots - 4);
	CU_ASSERT_EQUAL(nr_swap_pages(), 0);
	CU_ASSERT_EQUAL(get_swap_pages(1, held + nr_held), 0);
	swapfile_check();
	qsort(held, nr_held, sizeof(held[0]), compare_entries);
	for (unsigned int i = 0; i < nr_held; i++) {
		unsigned long at = swp_offset(held[i]);

		CU_ASSERT(at > 1 && at != 5 && at < slots - 1);
		CU_ASSERT(!i || held[i].val > held[i - 1].val);
		CU_ASSERT_EQUAL(swap_count(held[i]), 1);
		CU_ASSERT_FALSE(swap_has_cache(held[i]));
		CU_ASSERT(swap_entry_is_disk(held[i]));
	}
	/* One is given back, and found. */
	swap_free(held[300]);
	CU_ASSERT_EQUAL(nr_swap_pages(), 1);
	CU_ASSERT_EQUAL(get_swap_pages(5, held + nr_held), 1);
	CU_ASSERT_EQUAL(held[nr_held].val, held[300].val);
	free_held();
	swapfile_check();
	swap_off_all();
	fake_swap_destroy(&a);
	teardown();
}

static void a_slot_is_free_without_users_and_cache(void)
{
	struct fake_swap a;
	swp_entry_t e;

	setup();
	area_on(&a, "/a", 9, -1);
	CU_ASSERT_EQUAL(get_swap_pages(1, &e), 1);
	CU_ASSERT_EQUAL(swap_duplicate(e), 0);
	CU_ASSERT_EQUAL(swap_count(e), 2);
	swapcache_set(e);
	CU_ASSERT(swap_has_cache(e));
	CU_ASSERT_EQUAL(swap_count(e), 2);
	CU_ASSERT_EQUAL(swap_free(e), 1);
	CU_ASSERT_EQUAL(swap_free(e), 0);
	CU_ASSERT_EQUAL(nr_swap_pages(), 8);
	swapfile_check();
	swapcache_clear(e);
	CU_ASSERT_EQUAL(nr_swap_pages(), 9);
	/* The other way round. */
	CU_ASSERT_EQUAL(get_swap_pages(1, &e), 1);
	swapcache_set(e);
	swapcache_clear(e);
	CU_ASSERT_EQUAL(nr_swap_pages(), 8);
	CU_ASSERT_EQUAL(swap_free(e), 0);
	CU_ASSERT_EQUAL(nr_swap_pages(), 9);
	swapfile_check();
	swap_off_all();
	fake_swap_destroy(&a);
	teardown();
}

static void a_slot_has_no_more_users_than_can_be_counted(void)
{
	struct fake_swap a;
	swp_entry_t e;

	setup();
	area_on(&a, "/a", 9, -1);
	CU_ASSERT_EQUAL(get_swap_pages(1, &e), 1);
	swapcache_set(e);
	for (unsigned int i = 1; i < SWAP_MAP_MAX; i++)
		CU_ASSERT_EQUAL(swap_duplicate(e), 0);
	CU_ASSERT_EQUAL(swap_duplicate(e), -ENOMEM);
	CU_ASSERT_EQUAL(swap_count(e), SWAP_MAP_MAX);
	CU_ASSERT(swap_has_cache(e));
	swapfile_check();
	CU_ASSERT_EQUAL(swap_free(e), SWAP_MAP_MAX - 1);
	CU_ASSERT_EQUAL(swap_duplicate(e), 0);
	for (unsigned int i = SWAP_MAP_MAX; i; i--)
		CU_ASSERT_EQUAL(swap_free(e), i - 1);
	swapcache_clear(e);
	swap_off_all();
	fake_swap_destroy(&a);
	teardown();
}

static void a_failed_slot_is_not_used_again(void)
{
	struct fake_swap a;
	swp_entry_t bad;

	setup();
	area_on(&a, "/a", 9, -1);
	hold(3);
	bad = held[1];
	CU_ASSERT_EQUAL(swap_duplicate(bad), 0);
	swapcache_set(bad);
	swap_mark_bad(bad);
	swap_mark_bad(bad);
	CU_ASSERT_EQUAL(swap_count(bad), 2);
	CU_ASSERT(swap_has_cache(bad));
	CU_ASSERT_EQUAL(info_of("/a").nr_bad, 0);
	swapfile_check();
	CU_ASSERT_EQUAL(swap_free(bad), 1);
	CU_ASSERT_EQUAL(swap_free(bad), 0);
	swapcache_clear(bad);
	CU_ASSERT_EQUAL(info_of("/a").nr_bad, 1);
	CU_ASSERT_EQUAL(info_of("/a").nr_slots, 8);
	CU_ASSERT_EQUAL(info_of("/a").nr_used, 2);
	CU_ASSERT_EQUAL(total_swap_pages(), 8);
	CU_ASSERT_EQUAL(nr_swap_pages(), 6);
	swapfile_check();
	held[1] = held[2];
	nr_held = 2;
	hold(6);
	for (unsigned int i = 0; i < nr_held; i++)
		CU_ASSERT_NOT_EQUAL(held[i].val, bad.val);
	CU_ASSERT_EQUAL(get_swap_pages(1, held + nr_held), 0);
	free_held();
	swap_off_all();
	fake_swap_destroy(&a);
	teardown();
}

static void there_are_memory_entries_for_all_frames(void)
{
	swp_entry_t e, *all;

	setup();
	CU_ASSERT(swp_none(get_memory_entry()));
	CU_ASSERT_EQUAL(swap_vmalloc(), 0);
	CU_ASSERT_EQUAL(swap_memory_prepare(), 0);
	CU_ASSERT_EQUAL(swap_memory_prepare(), 0);
	all = calloc(totalram_frames() + 1, sizeof(*all));
	for (unsigned long i = 0; i < totalram_frames(); i++) {
		all[i] = get_memory_entry();
		CU_ASSERT_EQUAL_FATAL(swp_type(all[i]), SWP_TYPE_MEMORY);
	}
	CU_ASSERT(swp_none(get_memory_entry()));
	CU_ASSERT_EQUAL(total_swap_pages(), 0);
	e = all[17];
	CU_ASSERT_FALSE(swap_entry_is_disk(e));
	CU_ASSERT_FALSE(swap_entries_adjacent(e, swp_entry(SWP_TYPE_MEMORY,
							  swp_offset(e) + 1)));
	CU_ASSERT_EQUAL(swap_duplicate(e), 0);
	CU_ASSERT_EQUAL(swap_free(e), 1);
	CU_ASSERT_EQUAL(swap_free(e), 0);
	CU_ASSERT_EQUAL(get_memory_entry().val, e.val);
	swapfile_check();
	for (unsigned long i = 0; i < totalram_frames(); i++)
		swap_free(all[i]);
	free(all);
	teardown();
}

/* ---- misuse ---- */

enum misuse {
	NO_MISUSE, FREE_TWICE, DUPLICATE_FREE, CACHE_TWICE, CACHE_CLEAR_TWICE,
	CACHE_OF_FREE, BEYOND, NO_SUCH_TYPE, OF_OFF_AREA, HEADER_SLOT,
	EXIT_IN_USE, MARK_MEMORY, NR_MISUSES
};

static void misuse_slot(enum misuse how, swp_entry_t e)
{
	if (how == FREE_TWICE || how == DUPLICATE_FREE || how == CACHE_OF_FREE) {
		swap_free(e);
		if (how == FREE_TWICE)
			swap_free(e);
		else if (how == DUPLICATE_FREE)
			swap_duplicate(e);
		else
			swapcache_set(e);
	}
	for (int i = 0; how == CACHE_TWICE && i < 2; i++)
		swapcache_set(e);
	if (how == CACHE_CLEAR_TWICE)
		swapcache_clear(e);
}

static void do_misuse(void *arg)
{
	const enum misuse how = *(enum misuse *)arg;
	struct fake_swap a;
	swp_entry_t e;

	setup();
	fake_swap_make(&a, "/a", 100);
	BUG_ON(swap_on(&a.dev, -1) || get_swap_pages(1, &e) != 1);
	misuse_slot(how, e);
	if (how == BEYOND)
		swap_free(swp_entry(0, 100));
	if (how == NO_SUCH_TYPE)
		swap_free(swp_entry(SWP_TYPE_MEMORY + 1, 1));
	if (how == OF_OFF_AREA)
		swap_free(swp_entry(1, 1));
	if (how == HEADER_SLOT)
		swap_free(swp_entry(0, 0));
	if (how == EXIT_IN_USE)
		swap_off_all();
	if (how == MARK_MEMORY && !swap_memory_prepare())
		swap_mark_bad(get_memory_entry());
	swap_free(e);
	swapfile_check();
	swap_off_all();
}

static void misuse_is_a_bug(void)
{
	for (enum misuse how = NO_MISUSE; how < NR_MISUSES; how++)
		CU_ASSERT_EQUAL(dies(do_misuse, &how), how != NO_MISUSE);
}

/* ---- failure ---- */

static unsigned int fail_on_until_success(void (*fail)(unsigned long, bool))
{
	unsigned long nth = 0;
	struct fake_swap a;
	int err;

	setup();
	fake_swap_make(&a, "/a", 50000);
	kfree(kmalloc(16, GFP_KERNEL));
	do {
		fail(++nth, false);
		err = swap_on(&a.dev, -1);
		fail(0, false);
		CU_ASSERT(!err || err == -ENOMEM);
		CU_ASSERT(!err || !swap_vmalloc());
		swapfile_check();
		vmalloc_check();
	} while (err && nth < 1000);
	CU_ASSERT_EQUAL(swap_off("/a", NULL, NULL), 0);
	CU_ASSERT_EQUAL(swap_vmalloc(), 0);
	fake_swap_destroy(&a);
	teardown();
	return (unsigned int)nth;
}

static void a_failed_allocation_leaves_no_area(void)
{
	CU_ASSERT(fail_on_until_success(fail_page_alloc) > 2);
	CU_ASSERT(fail_on_until_success(failslab) > 2);
}

static void an_area_larger_than_memory_can_map_is_refused(void)
{
	struct swap_header *header;
	struct fake_swap a;

	setup();
	fake_swap_make(&a, "/a", 100);
	header = (void *)a.data;
	header->nr_slots = htole64(1ULL << 36);
	header_sign(header);
	CU_ASSERT_EQUAL(swap_on(&a.dev, -1), -EFBIG);
	a.dev.size = (loff_t)(1ULL << 48);
	CU_ASSERT_EQUAL(swap_on(&a.dev, -1), -ENOMEM);
	fake_swap_destroy(&a);
	teardown();
}

/* ---- I/O ---- */

#define NR_PAGES	8

static struct page io_pages[NR_PAGES], *io_page[NR_PAGES];
static int ended_err[NR_PAGES];
static atomic_uint nr_ended;

static void end_io(struct page *page, int err)
{
	ended_err[page - io_pages] = err;
	atomic_fetch_add(&nr_ended, 1);
}

static void io_begin(void)
{
	for (int i = 0; i < NR_PAGES; i++) {
		io_page[i] = &io_pages[i];
		io_pages[i].pfn = alloc_frames(GFP_USER, 0);
		BUG_ON(io_pages[i].pfn == PFN_NONE);
		memset(page_address(io_page[i]), 'a' + i, PAGE_SIZE);
	}
	memset(ended_err, 0x55, sizeof(ended_err));
	atomic_store(&nr_ended, 0);
}

static void io_finish(void)
{
	for (int i = 0; i < NR_PAGES; i++)
		free_frames(io_pages[i].pfn, 0);
}

static void pages_come_back_as_they_went(void)
{
	struct fake_swap a;

	setup();
	io_begin();
	area_on(&a, "/a", 100, -1);
	hold(NR_PAGES);
	swap_rw(held[0], SWAP_WRITE, io_page, NR_PAGES, READ_START, end_io);
	CU_ASSERT_EQUAL(atomic_load(&nr_ended), NR_PAGES);
	for (int i = 0; i < NR_PAGES; i++) {
		CU_ASSERT_EQUAL(ended_err[i], 0);
		CU_ASSERT_EQUAL(a.data[swp_offset(held[i]) * PAGE_SIZE + 99],
				'a' + i);
		memset(page_address(io_page[i]), 0, PAGE_SIZE);
	}
	swap_rw(held[3], SWAP_READ, io_page + 3, 2, READ_WAIT, end_io);
	CU_ASSERT_EQUAL(*(char *)page_address(io_page[3]), 'd');
	CU_ASSERT_EQUAL(*(char *)page_address(io_page[4]), 'e');
	CU_ASSERT_EQUAL(*(char *)page_address(io_page[5]), 0);
	CU_ASSERT_EQUAL(vm_event(PSWPOUT), NR_PAGES);
	CU_ASSERT_EQUAL(vm_event(PSWPIN), 2);
	CU_ASSERT_EQUAL(info_of("/a").nr_written, NR_PAGES);
	CU_ASSERT_EQUAL(info_of("/a").nr_read, 2);
	free_held();
	swap_off_all();
	fake_swap_destroy(&a);
	io_finish();
	teardown();
}

static void an_error_is_its_pages_alone(void)
{
	struct fake_swap a;

	setup();
	io_begin();
	area_on(&a, "/a", 100, -1);
	hold(NR_PAGES);
	fake_swap_fail(&a, swp_offset(held[2]), -ENOSPC);
	swap_rw(held[0], SWAP_WRITE, io_page, NR_PAGES, READ_START, end_io);
	for (int i = 0; i < NR_PAGES; i++)
		CU_ASSERT_EQUAL(ended_err[i], i == 2 ? -ENOSPC : 0);
	fake_swap_fail(&a, swp_offset(held[1]), -EIO);
	swap_rw(held[0], SWAP_READ, io_page, 3, READ_WAIT, end_io);
	CU_ASSERT_EQUAL(ended_err[1], -EIO);
	CU_ASSERT_EQUAL(vm_event(PSWPERR), 2);
	CU_ASSERT_EQUAL(vm_event(PSWPOUT), NR_PAGES - 1);
	CU_ASSERT_EQUAL(vm_event(PSWPIN), 2);
	CU_ASSERT_EQUAL(info_of("/a").nr_errors, 2);
	CU_ASSERT_EQUAL(info_of("/a").nr_written, NR_PAGES - 1);
	free_held();
	swap_off_all();
	fake_swap_destroy(&a);
	io_finish();
	teardown();
}

/* ---- off ---- */

static void swapoff_brings_everything_back(void)
{
	struct fake_swap a, b;

	setup();
	area_on(&b, "/b", 100, -1);
	area_on(&a, "/a", 100, 5);
	hold(120);
	CU_ASSERT_EQUAL(swap_off("/a", NULL, NULL), 0);
	CU_ASSERT_EQUAL(fake_unuse.calls, 1);
	CU_ASSERT_EQUAL(fake_unuse.got, 1);	/* of /b */
	CU_ASSERT_EQUAL(a.nr_closed, 1);
	CU_ASSERT_EQUAL(nr_held, 20);
	CU_ASSERT_EQUAL(total_swap_pages(), 100);
	CU_ASSERT_EQUAL(nr_swap_pages(), 79);
	swapfile_check();
	fake_unuse.got = 0;
	/* Without entries there is nothing to bring back. */
	free_held();
	CU_ASSERT_EQUAL(swap_on(&a.dev, 5), 0);
	CU_ASSERT_EQUAL(swap_off("/a", NULL, NULL), 0);
	CU_ASSERT_EQUAL(fake_unuse.calls, 1);
	held[nr_held++] = swp_entry(0, 21);	/* unuse()'s own */
	free_held();
	swap_off_all();
	fake_swap_destroy(&a);
	fake_swap_destroy(&b);
	teardown();
}

static void no_slot_is_had_of_an_area_on_its_way_off(void)
{
	struct fake_swap a;

	setup();
	area_on(&a, "/a", 100, -1);
	hold(50);
	CU_ASSERT_EQUAL(swap_off("/a", NULL, NULL), 0);
	CU_ASSERT_EQUAL(fake_unuse.calls, 1);
	CU_ASSERT_EQUAL(fake_unuse.got, 0);
	fake_swap_destroy(&a);
	teardown();
}

static void a_refused_swapoff_leaves_all_as_it_was(void)
{
	static const int errors[] = { -ENOMEM, -EIO, -EINTR };
	struct fake_swap a;

	setup();
	area_on(&a, "/a", 100, 9);
	hold(50);
	/* Without memory for what fork() shares. */
	failslab(1, true);
	CU_ASSERT_EQUAL(swap_off("/a", NULL, NULL), -ENOMEM);
	failslab(0, false);
	swapfile_check();
	for (size_t i = 0; i < ARRAY_SIZE(errors); i++) {
		fake_unuse.err = errors[i];
		CU_ASSERT_EQUAL(swap_off("/a", NULL, NULL), errors[i]);
		CU_ASSERT_EQUAL(a.nr_closed, 0);
		CU_ASSERT_EQUAL(total_swap_pages(), 100);
		CU_ASSERT_EQUAL(nr_swap_pages(), 50);
		CU_ASSERT_EQUAL(info_of("/a").prio, 9);
		swapfile_check();
	}
	fake_unuse.err = 0;
	hold(50);
	/* Nobody brings back what is there. */
	swap_set_unuse(NULL);
	CU_ASSERT_EQUAL(swap_off("/a", NULL, NULL), -EBUSY);
	swap_set_unuse(unuse);
	CU_ASSERT_EQUAL(swap_off("/a", NULL, NULL), 0);
	fake_swap_destroy(&a);
	teardown();
}

static unsigned long last_left;

static bool stop_at_30(unsigned long left, void *arg)
{
	CU_ASSERT_PTR_EQUAL(arg, &last_left);
	last_left = left;
	return left > 30;
}

static void swapoff_says_what_is_left_and_can_be_stopped(void)
{
	struct fake_swap a;

	setup();
	area_on(&a, "/a", 100, -1);
	hold(50);
	CU_ASSERT_EQUAL(swap_off("/a", stop_at_30, &last_left), -EINTR);
	CU_ASSERT_EQUAL(last_left, 30);
	CU_ASSERT_EQUAL(info_of("/a").nr_used, 30);
	CU_ASSERT_EQUAL(nr_swap_pages(), 70);
	swapfile_check();
	/* The fake has left them where they were. */
	memmove(held, held + 20, 30 * sizeof(held[0]));
	nr_held = 30;
	fake_unuse.err = 0;
	CU_ASSERT_EQUAL(swap_off("/a", NULL, NULL), 0);
	fake_swap_destroy(&a);
	teardown();
}

/* What a pass had to leave comes with a later one, if that is not long. */
static void swapoff_comes_back_for_what_was_left(void)
{
	struct fake_swap a;

	setup();
	area_on(&a, "/a", 100, -1);
	hold(50);
	fake_unuse.keep = 3;
	fake_unuse.keep_calls = 5;
	CU_ASSERT_EQUAL(swap_off("/a", NULL, NULL), 0);
	CU_ASSERT_EQUAL(fake_unuse.calls, 6);
	CU_ASSERT_EQUAL(swap_on(&a.dev, -1), 0);
	hold(50);
	fake_unuse.calls = 0;
	fake_unuse.keep = 50;
	fake_unuse.keep_calls = UINT_MAX;
	CU_ASSERT_EQUAL(swap_off("/a", NULL, NULL), -EBUSY);
	CU_ASSERT(fake_unuse.calls > 100);
	CU_ASSERT_EQUAL(nr_swap_pages(), 50);
	free_held();
	swap_off_all();
	fake_swap_destroy(&a);
	teardown();
}

/* ---- threads ---- */

static struct fake_swap shared;
static atomic_bool off_done;

static void *off_thread(void *arg)
{
	long err = swap_off("/shared", NULL, NULL);

	(void)arg;
	atomic_store(&off_done, true);
	return (void *)err;
}

/* It says so under the lock that it sleeps without: who has that is not early. */
static void wait_until_it_waits(void)
{
	struct swap_info_struct *si = &swap_info[0];
	struct swap_area_info info = { .going = false };

	while (!atomic_load(&si->waited_for) && !atomic_load(&off_done))
		sched_yield();
	mutex_lock(&si->lock);
	mutex_unlock(&si->lock);
	CU_ASSERT(swap_area_info(0, &info) && info.going);
}

static void swapoff_waits_for_what_is_on_its_way(void)
{
	pthread_t thread;
	void *err;

	setup();
	io_begin();
	area_on(&shared, "/shared", 100, -1);
	hold(NR_PAGES);
	atomic_store(&off_done, false);
	fake_swap_hold(&shared);
	swap_rw(held[0], SWAP_WRITE, io_page, NR_PAGES, READ_START, end_io);
	CU_ASSERT_EQUAL(pthread_create(&thread, NULL, off_thread, NULL), 0);
	wait_until_it_waits();
	CU_ASSERT_EQUAL(swap_off("/shared", NULL, NULL), -EBUSY);
	CU_ASSERT_EQUAL(swap_on(&shared.dev, -1), -EBUSY);
	CU_ASSERT_FALSE(atomic_load(&off_done));
	CU_ASSERT_EQUAL(shared.nr_closed, 0);
	fake_swap_release(&shared);
	pthread_join(thread, &err);
	CU_ASSERT_EQUAL((long)err, 0);
	CU_ASSERT_EQUAL(atomic_load(&nr_ended), NR_PAGES);
	CU_ASSERT_EQUAL(shared.nr_closed, 1);
	CU_ASSERT_EQUAL(shared.nr_late, 0);
	fake_swap_destroy(&shared);
	io_finish();
	teardown();
}

#define CHURN_SLOTS	100

/* Of a churning thread: entries, and how many users of each are its own. */
struct churn {
	swp_entry_t entry[CHURN_SLOTS];
	unsigned int users[CHURN_SLOTS];
	bool cached[CHURN_SLOTS];
	unsigned int nr;
};

static void churn_drop(struct churn *c, unsigned int i)
{
	while (c->users[i]) {
		swap_free(c->entry[i]);
		c->users[i]--;
	}
	if (c->cached[i])
		swapcache_clear(c->entry[i]);
	c->nr--;
	c->entry[i] = c->entry[c->nr];
	c->users[i] = c->users[c->nr];
	c->cached[i] = c->cached[c->nr];
}

static void churn_get(struct churn *c, unsigned int want)
{
	unsigned int got;

	want = min(want, CHURN_SLOTS - c->nr);
	got = get_swap_pages(want, c->entry + c->nr);
	for (unsigned int i = 0; i < got; i++, c->nr++) {
		c->users[c->nr] = 1;
		c->cached[c->nr] = false;
	}
}

/* Return: is entry @i as its only owner left it? */
static bool churn_step(struct churn *c, uint64_t *rand)
{
	unsigned int op = test_rand(rand) % 6, i;

	if (!c->nr || op == 0) {
		churn_get(c, 1 + test_rand(rand) % 40);
		return true;
	}
	i = test_rand(rand) % c->nr;
	if (swap_count(c->entry[i]) != c->users[i] ||
	    swap_has_cache(c->entry[i]) != c->cached[i])
		return false;
	if (op < 3) {
		churn_drop(c, i);
	} else if (op == 3) {
		c->users[i] += !swap_duplicate(c->entry[i]);
	} else if (op == 4 && c->cached[i] && c->users[i]) {
		swapcache_clear(c->entry[i]);
		c->cached[i] = false;
	} else if (op == 4 && !c->cached[i]) {
		swapcache_set(c->entry[i]);
		c->cached[i] = true;
	} else if (op == 5 && test_rand(rand) % 64 == 0) {
		swap_mark_bad(c->entry[i]);
	}
	return true;
}

static void *churn_slots(void *seed)
{
	uint64_t rand = (uintptr_t)seed;
	struct churn c = { .nr = 0 };
	uintptr_t bad = 0;

	for (unsigned int n = 0; n < 20000; n++)
		bad += !churn_step(&c, &rand);
	while (c.nr)
		churn_drop(&c, c.nr - 1);
	return (void *)bad;
}

/* An area that comes and goes: what threads have of it makes it stay. */
static void on_and_off(void)
{
	struct fake_swap a;

	fake_swap_make(&a, "/comes", 40);
	BUG_ON(swap_on(&a.dev, SWAP_PRIO_MAX));
	while (swap_off("/comes", NULL, NULL) == -EBUSY)
		sched_yield();
	BUG_ON(a.nr_closed != 1);
	fake_swap_destroy(&a);
}

static void threads_do_not_disturb_each_other(void)
{
	struct fake_swap a, b;

	setup();
	swap_set_unuse(NULL);
	area_on(&a, "/a", 2 * CLUSTER, 1);
	area_on(&b, "/b", 3 * CLUSTER, 1);
	churn_run(churn_slots, on_and_off);
	swapfile_check();
	CU_ASSERT_EQUAL(nr_swap_pages(), total_swap_pages());
	CU_ASSERT_EQUAL(info_of("/a").nr_bad + info_of("/b").nr_bad +
			total_swap_pages(), 5 * CLUSTER);
	swap_off_all();
	fake_swap_destroy(&a);
	fake_swap_destroy(&b);
	teardown();
}

/* ---- against a model ---- */

#define MODEL_AREAS	3u
#define MODEL_SLOTS	(2 * CLUSTER + 50)

enum { M_FREE, M_USED, M_BAD };

/* Of each slot: users, cache, will be bad; by type. */
static struct model {
	struct fake_swap fake[MODEL_AREAS];
	unsigned short users[MODEL_AREAS][MODEL_SLOTS];
	bool cache[MODEL_AREAS][MODEL_SLOTS];
	bool failed[MODEL_AREAS][MODEL_SLOTS];
	bool bad[MODEL_AREAS][MODEL_SLOTS];
} model;

static bool model_in_use(unsigned int a, unsigned long i)
{
	return model.users[a][i] || model.cache[a][i];
}

static void model_settle(unsigned int a, unsigned long i)
{
	if (model_in_use(a, i))
		return;
	model.bad[a][i] |= model.failed[a][i];
	model.failed[a][i] = false;
}

static void model_get(uint64_t *rand)
{
	unsigned int want = 1 + test_rand(rand) % 60, got, worst = 0;
	unsigned long avail = nr_swap_pages();
	swp_entry_t e[60];

	got = get_swap_pages(want, e);
	CU_ASSERT_EQUAL(got, min((unsigned long)want, avail));
	for (unsigned int n = 0; n < got; n++) {
		unsigned int a = swp_type(e[n]);
		unsigned long i = swp_offset(e[n]);

		CU_ASSERT_FATAL(a < MODEL_AREAS && i && i < MODEL_SLOTS);
		CU_ASSERT_FALSE(model_in_use(a, i) || model.bad[a][i]);
		model.users[a][i] = 1;
		worst = max(worst, a);
	}
	/* Areas have priorities in their order: the better ones are full. */
	for (unsigned int a = 0; a < worst && got == want; a++)
		for (unsigned long i = 1; i < MODEL_SLOTS; i++)
			CU_ASSERT(model_in_use(a, i) || model.bad[a][i]);
}

static void model_change(uint64_t *rand, unsigned int a, unsigned long i)
{
	swp_entry_t e = swp_entry(a, i);

	switch (test_rand(rand) % 6) {
	case 0:
		if (model.users[a][i] && !swap_duplicate(e))
			model.users[a][i]++;
		break;
	case 1:
		if (!model.cache[a][i])
			swapcache_set(e);
		model.cache[a][i] = true;
		break;
	case 2:
		if (test_rand(rand) % 200)
			break;
		swap_mark_bad(e);
		model.failed[a][i] = true;
		break;
	case 3:
		if (model.cache[a][i])
			swapcache_clear(e);
		model.cache[a][i] = false;
		break;
	default:
		if (model.users[a][i])
			CU_ASSERT_EQUAL(swap_free(e), --model.users[a][i]);
	}
	model_settle(a, i);
}

static void model_compare(void)
{
	unsigned long total = 0, avail = 0;

	for (unsigned int a = 0; a < MODEL_AREAS; a++) {
		for (unsigned long i = 1; i < MODEL_SLOTS; i++) {
			total += !model.bad[a][i];
			avail += !model.bad[a][i] && !model_in_use(a, i);
			if (!model_in_use(a, i))
				continue;
			CU_ASSERT_EQUAL(swap_count(swp_entry(a, i)),
					model.users[a][i]);
			CU_ASSERT_EQUAL(swap_has_cache(swp_entry(a, i)),
					model.cache[a][i]);
		}
	}
	CU_ASSERT_EQUAL(total_swap_pages(), total);
	CU_ASSERT_EQUAL(nr_swap_pages(), avail);
	swapfile_check();
}

static void model_free_all(void)
{
	for (unsigned int a = 0; a < MODEL_AREAS; a++) {
		for (unsigned long i = 1; i < MODEL_SLOTS; i++) {
			while (model.users[a][i]--)
				swap_free(swp_entry(a, i));
			if (model.cache[a][i])
				swapcache_clear(swp_entry(a, i));
		}
		CU_ASSERT_EQUAL(swap_off(model.fake[a].dev.path, NULL, NULL), 0);
		fake_swap_destroy(&model.fake[a]);
	}
}

static void slots_match_the_model(void)
{
	uint64_t rand = test_seed();
	char path[8];

	setup();
	memset(&model, 0, sizeof(model));
	for (unsigned int a = 0; a < MODEL_AREAS; a++) {
		snprintf(path, sizeof(path), "/%u", a);
		area_on(&model.fake[a], path, MODEL_SLOTS - 1, 9 - (int)a);
	}
	for (unsigned int n = 0; n < 60000; n++) {
		unsigned int a = test_rand(&rand) % MODEL_AREAS;
		unsigned long i = 1 + test_rand(&rand) % (MODEL_SLOTS - 1);

		if (model_in_use(a, i))
			model_change(&rand, a, i);
		/* Now mostly full, now mostly empty. */
		else if (test_rand(&rand) % (n / 10000 % 2 ? 150 : 20) == 0)
			model_get(&rand);
		if (n % 500 == 0)
			model_compare();
	}
	model_compare();
	model_free_all();
	teardown();
}

/* ---- text ---- */

static void swaps_shows_areas_as_linux_does(void)
{
	struct fake_swap a, b;
	char buf[1024];

	setup();
	swaps_show(buf, sizeof(buf));
	CU_ASSERT_STRING_EQUAL(buf, "Filename\t\t\t\tType\t\tSize\t\tUsed\t\tPriority\n");
	area_on(&a, "/a b", 100, 12);
	area_on(&b, "/a-path-of-more-than-forty-characters-in-all", 100, -1);
	b.dev.is_file = false;
	hold(3);
	swaps_show(buf, sizeof(buf));
	CU_ASSERT_STRING_EQUAL(buf,
		"Filename\t\t\t\tType\t\tSize\t\tUsed\t\tPriority\n"
		"/a\\040b                                 file\t\t400\t\t12\t\t12\n"
		"/a-path-of-more-than-forty-characters-in-all partition\t400\t\t0\t\t-2\n");
	meminfo_show(buf, sizeof(buf));
	CU_ASSERT_PTR_NOT_NULL(strstr(buf, "SwapTotal:           800 kB\n"));
	CU_ASSERT_PTR_NOT_NULL(strstr(buf, "SwapFree:            788 kB\n"));
	free_held();
	swap_off_all();
	fake_swap_destroy(&a);
	fake_swap_destroy(&b);
	teardown();
}

static const struct test_case cases[] = {
	{ "an area is what its header says", an_area_is_what_its_header_says },
	{ "each fault of a header has its error",
	  each_fault_of_a_header_has_its_error },
	{ "every flipped bit of a header is seen", every_flipped_bit_is_seen },
	{ "what is no area is refused", what_is_no_area_is_refused },
	{ "two headers differ by their UUID", two_headers_differ_by_their_uuid },
	{ "an area is used once", an_area_is_used_once },
	{ "there are as many areas as there can be",
	  there_are_as_many_areas_as_there_can_be },
	{ "higher priorities are used first", higher_priorities_are_used_first },
	{ "equal priorities take turns", equal_priorities_take_turns },
	{ "slots of one call are neighbours", slots_of_one_call_are_neighbours },
	{ "every good slot is had once", every_good_slot_is_had_once },
	{ "a slot is free without users and cache",
	  a_slot_is_free_without_users_and_cache },
	{ "a slot has no more users than can be counted",
	  a_slot_has_no_more_users_than_can_be_counted },
	{ "a failed slot is not used again", a_failed_slot_is_not_used_again },
	{ "there are memory entries for all frames",
	  there_are_memory_entries_for_all_frames },
	{ "misuse is a BUG", misuse_is_a_bug },
	{ "a failed allocation leaves no area",
	  a_failed_allocation_leaves_no_area },
	{ "an area larger than memory can map is refused",
	  an_area_larger_than_memory_can_map_is_refused },
	{ "pages come back as they went", pages_come_back_as_they_went },
	{ "an error is its page's alone", an_error_is_its_pages_alone },
	{ "swapoff brings everything back", swapoff_brings_everything_back },
	{ "no slot is had of an area on its way off",
	  no_slot_is_had_of_an_area_on_its_way_off },
	{ "a refused swapoff leaves all as it was",
	  a_refused_swapoff_leaves_all_as_it_was },
	{ "swapoff says what is left, and can be stopped",
	  swapoff_says_what_is_left_and_can_be_stopped },
	{ "swapoff comes back for what was left",
	  swapoff_comes_back_for_what_was_left },
	{ "swapoff waits for what is on its way",
	  swapoff_waits_for_what_is_on_its_way },
	{ "threads do not disturb each other",
	  threads_do_not_disturb_each_other },
	{ "slots match the model", slots_match_the_model },
	{ "swaps shows areas as Linux does", swaps_shows_areas_as_linux_does },
};

int main(void)
{
	return test_main("mm/swapfile", cases, ARRAY_SIZE(cases));
}
