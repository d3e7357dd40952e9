// SPDX-License-Identifier: BSD-2-Clause
/*
 * tests/mm/test_vmscan.c - mm/swap.c, mm/vmscan.c: what goes when memory is
 *                          short
 */
#include <errno.h>
#include <limits.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "fake_disk.h"
#include "harness.h"
#include "internal.h"
#include "slab.h"
#include "swap.h"
#include "vmstat.h"

#define MEMORY	(8UL << 20)
#define WAIT_MS	10000	/* for what must happen; arbitrary, long */

static struct fake_disk disk;
static char buf[1 << 20];

static void up(enum fake_mode mode, int nodes, bool threads)
{
	fake_mm_init(nodes * MEMORY, nodes, threads);
	fake_disk_init(&disk, mode);
}

static void down(void)
{
	lru_check();
	CU_ASSERT_EQUAL(fake_disk_exit(&disk), 0);
	CU_ASSERT_EQUAL(fake_mm_exit(), 0);
}

static bool read_page(struct fake_file *file, pgoff_t index)
{
	return fake_read(file, NULL, index << PAGE_SHIFT, buf, 4096) == 4096 &&
	       fake_is(buf, index << PAGE_SHIFT, 4096);
}

static bool cached(struct fake_file *file, pgoff_t index)
{
	struct page *page = find_get_page(&file->mapping, index);

	if (page)
		put_page(page);
	return page;
}

static unsigned long on_lists(enum lru_list lru)
{
	unsigned long nr = 0;

	for (int nid = 0; nid < nr_online_nodes; nid++)
		nr += READ_ONCE(NODE_DATA(nid)->lruvec.nr[lru]);
	return nr;
}

static void second_touch_activates(void)
{
	struct fake_file *file;

	up(FAKE_SYNC, 1, false);
	file = fake_file_new(&disk, 1 << 20, 1 << 20);
	for (int i = 0; i < 10; i++)
		CU_ASSERT(read_page(file, i));
	CU_ASSERT_EQUAL(on_lists(LRU_INACTIVE_FILE), 10);
	CU_ASSERT_EQUAL(on_lists(LRU_ACTIVE_FILE), 0);
	for (int i = 0; i < 4; i++)
		CU_ASSERT(read_page(file, i));
	CU_ASSERT_EQUAL(on_lists(LRU_INACTIVE_FILE), 6);
	CU_ASSERT_EQUAL(on_lists(LRU_ACTIVE_FILE), 4);
	CU_ASSERT_EQUAL(vm_event(PGACTIVATE), 4);
	lru_check();
	fake_file_free(file);
	CU_ASSERT_EQUAL(on_lists(LRU_INACTIVE_FILE), 0);
	CU_ASSERT_EQUAL(on_lists(LRU_ACTIVE_FILE), 0);
	down();
}

/* Active pages touched since are kept once more; those not, go first. */
static void referenced_get_a_second_chance(void)
{
	unsigned int kept = 0, lost = 0;
	struct fake_file *file;

	up(FAKE_SYNC, 1, false);
	file = fake_file_new(&disk, 1 << 20, 1 << 20);
	for (int round = 0; round < 2; round++)
		for (int i = 0; i < 200; i++)
			CU_ASSERT(read_page(file, i));
	for (int i = 0; i < 100; i++)		/* a third touch for some */
		CU_ASSERT(read_page(file, i));
	CU_ASSERT_EQUAL(on_lists(LRU_ACTIVE_FILE), 200);
	CU_ASSERT(try_to_free_pages(GFP_USER, 0, ZONE_MOVABLE) > 0);
	for (int i = 0; i < 100; i++) {
		kept += cached(file, i);
		lost += !cached(file, 100 + i);
	}
	CU_ASSERT_EQUAL(kept, 100);
	CU_ASSERT(lost > 0);
	fake_file_free(file);
	down();
}

/*
 * A hot set of a quarter of memory, each page touched twice, and then a
 * stream of ten times the memory.
 */
static void stream_leaves_the_hot_set(bool threads)
{
	struct fake_file *hot, *stream;
	struct file_ra_state ra;
	unsigned int kept = 0;

	up(FAKE_SYNC, 1, threads);
	hot = fake_file_new(&disk, 2 << 20, 2 << 20);
	stream = fake_file_new(&disk, 80 << 20, 80 << 20);
	file_ra_state_init(&ra, 32);
	for (int round = 0; round < 2; round++)
		for (int i = 0; i < 512; i++)
			CU_ASSERT(read_page(hot, i));
	for (loff_t pos = 0; pos < 80 << 20; pos += 65536)
		CU_ASSERT_EQUAL(fake_read(stream, &ra, pos, buf, 65536), 65536);
	for (int i = 0; i < 512; i++)
		kept += cached(hot, i);
	CU_ASSERT_EQUAL(kept, 512);
	/* and the stream itself was read once */
	CU_ASSERT(atomic_load(&disk.pages[FAKE_READ]) <= 512 + 20480 + 64);
	file_ra_state_destroy(&ra);
	fake_file_free(hot);
	fake_file_free(stream);
	down();
}

static void stream_beside_hot_set_direct(void)
{
	stream_leaves_the_hot_set(false);
}

static void stream_beside_hot_set_kswapd(void)
{
	stream_leaves_the_hot_set(true);
}

/*
 * Woken when no zone is above low, it works until all are at high; after that
 * allocations go on in the zones left, so one of them is at low or above.
 * Without kswapd they are all brought down to min.
 */
static bool a_zone_is_above_low(void)
{
	struct zone *zone;

	for_each_zone(zone)
		if (zone->spanned &&
		    zone_free_frames(zone) >= zone->watermark[WMARK_LOW])
			return true;
	return false;
}

static void kswapd_keeps_watermarks(int nodes)
{
	struct fake_file *file;
	bool ok = false;

	up(FAKE_SYNC, nodes, true);
	file = fake_file_new(&disk, 40 << 20, 40 << 20);
	for (pgoff_t i = 0; i < 10240; i++)
		CU_ASSERT(read_page(file, i));
	for (int i = 0; i < WAIT_MS && !ok; i++) {
		ok = a_zone_is_above_low();
		usleep(1000);
	}
	CU_ASSERT(ok);
	CU_ASSERT(vm_event(PGSTEAL_KSWAPD) > 0);
	CU_ASSERT(vm_event(PAGEOUTRUN) > 0);
	fake_mm_quiesce(&disk);
	page_cache_check(&file->mapping);
	fake_file_free(file);
	down();
}

static void kswapd_one_node(void)
{
	kswapd_keeps_watermarks(1);
}

static void kswapd_fake_nodes(void)
{
	kswapd_keeps_watermarks(3);
}

static void direct_reclaim_is_enough(int nodes)
{
	struct fake_file *file;

	up(FAKE_SYNC, nodes, false);
	file = fake_file_new(&disk, 40 << 20, 40 << 20);
	for (pgoff_t i = 0; i < 10240; i++)
		CU_ASSERT(read_page(file, i));
	CU_ASSERT(vm_event(PGSTEAL_DIRECT) > 0);
	CU_ASSERT_EQUAL(vm_event(PGSTEAL_KSWAPD), 0);
	CU_ASSERT(file->mapping.nrpages < nodes * (MEMORY >> PAGE_SHIFT));
	CU_ASSERT(file->mapping.nrpages > nodes * (MEMORY >> PAGE_SHIFT) / 2);
	fake_mm_quiesce(&disk);
	page_cache_check(&file->mapping);
	fake_file_free(file);
	down();
}

static void direct_one_node(void)
{
	direct_reclaim_is_enough(1);
}

static void direct_fake_nodes(void)
{
	direct_reclaim_is_enough(4);
}

/* Whoever needs ZONE_NORMAL gets nothing by freeing ZONE_MOVABLE. */
static void only_zones_that_help_are_reclaimed(void)
{
	unsigned long normal, movable;
	struct fake_file *file;
	struct zone *zones;

	up(FAKE_SYNC, 1, false);
	zones = NODE_DATA(0)->zones;
	file = fake_file_new(&disk, 7 << 20, 7 << 20);
	for (pgoff_t i = 0; i < 1792; i++)	/* spills over into NORMAL */
		CU_ASSERT(read_page(file, i));
	drain_all_frames();
	normal = zone_free_frames(&zones[ZONE_NORMAL]);
	movable = zone_free_frames(&zones[ZONE_MOVABLE]);
	CU_ASSERT(try_to_free_pages(GFP_KERNEL, 0, ZONE_NORMAL) > 0);
	drain_all_frames();
	CU_ASSERT(zone_free_frames(&zones[ZONE_NORMAL]) > normal);
	CU_ASSERT_EQUAL(zone_free_frames(&zones[ZONE_MOVABLE]), movable);
	lru_check();
	fake_file_free(file);
	down();
}

/* Unless there is nothing else: descriptors and nodes are in ZONE_NORMAL. */
static void pages_of_any_zone_go_rather_than_none(void)
{
	struct fake_file *file;

	up(FAKE_SYNC, 1, false);
	file = fake_file_new(&disk, 1 << 20, 1 << 20);
	for (pgoff_t i = 0; i < 256; i++)	/* all of it in MOVABLE */
		CU_ASSERT(read_page(file, i));
	CU_ASSERT(try_to_free_pages(GFP_KERNEL, 0, ZONE_NORMAL) >= 32);
	CU_ASSERT(file->mapping.nrpages <= 256 - 32);
	lru_check();
	fake_file_free(file);
	down();
}

/* ---- dirty pages ---- */

/* Nothing paces this writer: all of memory gets dirty. */
static void full_of_dirty_pages_goes_on(enum fake_mode mode)
{
	struct fake_file *file;

	up(mode, 1, true);
	disk.max_delay_us = mode == FAKE_ASYNC ? 500 : 0;
	file = fake_file_new(&disk, 40 << 20, 0);
	for (loff_t pos = 0; pos < 40 << 20; pos += sizeof(buf)) {
		for (size_t i = 0; i < sizeof(buf); i++)
			buf[i] = fake_byte(pos + i);
		CU_ASSERT_EQUAL(fake_write(file, pos, buf, sizeof(buf)),
				sizeof(buf));
	}
	CU_ASSERT_EQUAL(sync_bdi(&disk.bdi), 0);
	CU_ASSERT(fake_is(file->data, 0, 40 << 20));
	CU_ASSERT_EQUAL(atomic_load(&disk.past_eof), 0);
	fake_mm_quiesce(&disk);
	page_cache_check(&file->mapping);
	fake_file_free(file);
	down();
}

static void dirty_async(void)
{
	full_of_dirty_pages_goes_on(FAKE_ASYNC);
}

static void dirty_plug(void)
{
	full_of_dirty_pages_goes_on(FAKE_PLUG);
}

/* The device refuses: then memory is full, and that is said, not waited for. */
static void full_of_unwritable_pages_is_enomem(void)
{
	struct fake_file *file;
	ssize_t ret = 1;
	loff_t pos;

	up(FAKE_SYNC, 1, true);
	file = fake_file_new(&disk, 40 << 20, 0);
	fake_fail_nth(&disk, FAKE_WRITE, 1, true, -EIO);
	for (pos = 0; pos < 40 << 20 && ret > 0; pos += 4096)
		ret = fake_write(file, pos, buf, 4096);
	CU_ASSERT_EQUAL(ret, -ENOMEM);
	CU_ASSERT(pos > 4 << 20);
	fake_fail_off(&disk);
	CU_ASSERT_EQUAL(sync_bdi(&disk.bdi), 0);
	CU_ASSERT_EQUAL(fake_write(file, pos, buf, 4096), 4096);
	fake_mm_quiesce(&disk);
	page_cache_check(&file->mapping);
	fake_file_free(file);
	down();
}

/* All of memory is being read in: that is no lack of memory, it is waited for. */
static void *write_one_page(void *arg)
{
	return (void *)(long)fake_write(arg, 0, buf, 4096);
}

static void memory_full_of_reads_is_waited_for(void)
{
	struct fake_file *big, *small;
	pthread_t t;
	void *ret;

	up(FAKE_ASYNC, 1, false);
	big = fake_file_new(&disk, 16 << 20, 16 << 20);
	small = fake_file_new(&disk, 1 << 20, 0);
	fake_hold(&disk);
	force_page_cache_readahead(&big->mapping, 0, 4096);
	CU_ASSERT(READ_ONCE(big->mapping.nrpages) < 4096);
	pthread_create(&t, NULL, write_one_page, small);
	usleep(300000);		/* longer makes it no better: see 16 rounds */
	fake_release(&disk);
	pthread_join(t, &ret);
	CU_ASSERT_EQUAL((long)ret, 4096);
	fake_drain(&disk);
	fake_file_free(big);
	fake_file_free(small);
	down();
}

/* ---- shrinkers ---- */

struct objects {
	struct shrinker shrinker;
	unsigned long have, most;
	unsigned int calls;
};

static unsigned long objects_count(void *arg)
{
	return ((struct objects *)arg)->have;
}

static unsigned long objects_scan(void *arg, unsigned long nr)
{
	struct objects *o = arg;

	nr = min(nr, o->have);
	o->have -= nr;
	o->most = max(o->most, nr);
	o->calls++;
	return nr;
}

static void shrinkers_take_their_share(void)
{
	struct objects o = {
		.shrinker = { objects_count, objects_scan, NULL, { 0 } },
		.have = 100000,
	};
	struct fake_file *file;

	up(FAKE_SYNC, 1, false);
	o.shrinker.arg = &o;
	register_shrinker(&o.shrinker);
	file = fake_file_new(&disk, 16 << 20, 16 << 20);
	for (pgoff_t i = 0; i < 4096; i++)
		CU_ASSERT(read_page(file, i));
	/* asked, in proportion: twice the memory flows, not all objects go */
	CU_ASSERT(o.calls > 0);
	CU_ASSERT(o.have > 50000);
	CU_ASSERT(o.have < 100000);
	CU_ASSERT(o.most < 1000);
	CU_ASSERT(drop_slab() > 50000);
	CU_ASSERT_EQUAL(o.have, 0);
	unregister_shrinker(&o.shrinker);
	o.have = 10;
	drop_slab();
	CU_ASSERT_EQUAL(o.have, 10);
	fake_file_free(file);
	down();
}

/* ---- drop_caches ---- */

static void drop_takes_all_that_is_clean(void)
{
	struct fake_file *file;
	struct page *held;

	up(FAKE_SYNC, 2, false);
	file = fake_file_new(&disk, 2 << 20, 2 << 20);
	for (int round = 0; round < 2; round++)
		for (int i = 0; i < 500; i += 1 + round)
			CU_ASSERT(read_page(file, i));	/* half of them active */
	CU_ASSERT_EQUAL(fake_write(file, 0, buf, 8192), 8192);
	held = find_get_page(&file->mapping, 7);
	CU_ASSERT_EQUAL(drop_pagecache(), 497);
	CU_ASSERT_EQUAL(file->mapping.nrpages, 3);
	CU_ASSERT(cached(file, 0) && cached(file, 1) && cached(file, 7));
	put_page(held);
	CU_ASSERT_EQUAL(sync_mapping(&file->mapping, false), 0);
	CU_ASSERT_EQUAL(drop_pagecache(), 3);
	CU_ASSERT_EQUAL(file->mapping.nrpages, 0);
	fake_file_free(file);
	down();
}

/* What reclaim met dirty comes next once it is written. */
static void written_pages_are_rotated(void)
{
	struct fake_file *file;

	up(FAKE_ASYNC, 1, false);
	file = fake_file_new(&disk, 2 << 20, 2 << 20);
	CU_ASSERT_EQUAL(fake_write(file, 0, buf, 10 * 4096), 10 * 4096);
	for (int i = 100; i < 200; i++)
		CU_ASSERT(read_page(file, i));
	/* The dirty ones are at the tail; reclaim passes and marks them. */
	CU_ASSERT(try_to_free_pages(GFP_USER | __GFP_NORETRY, 0,
				    ZONE_MOVABLE) > 0);
	CU_ASSERT_EQUAL(file->mapping.nrdirty, 10);
	CU_ASSERT_EQUAL(sync_mapping(&file->mapping, false), 0);
	fake_drain(&disk);	/* of its references too */
	CU_ASSERT_EQUAL(vm_event(PGROTATED), 10);
	CU_ASSERT(try_to_free_pages(GFP_USER | __GFP_NORETRY, 0,
				    ZONE_MOVABLE) >= 10);
	for (int i = 0; i < 10; i++)
		CU_ASSERT(!cached(file, i));
	fake_file_free(file);
	down();
}

static const struct test_case cases[] = {
	{ "the second touch activates a page", second_touch_activates },
	{ "pages referenced while active get a second chance",
	  referenced_get_a_second_chance },
	{ "a stream leaves the hot set, by direct reclaim",
	  stream_beside_hot_set_direct },
	{ "a stream leaves the hot set, by kswapd",
	  stream_beside_hot_set_kswapd },
	{ "kswapd keeps a zone above its low watermark", kswapd_one_node },
	{ "kswapd does so with several nodes", kswapd_fake_nodes },
	{ "without kswapd direct reclaim is enough", direct_one_node },
	{ "direct reclaim works on all nodes", direct_fake_nodes },
	{ "only zones that help are reclaimed",
	  only_zones_that_help_are_reclaimed },
	{ "pages of any zone go when no other can",
	  pages_of_any_zone_go_rather_than_none },
	{ "a cache full of dirty pages makes progress", dirty_async },
	{ "the same with I/O in the flusher's own ring", dirty_plug },
	{ "a cache full of pages nobody takes is -ENOMEM",
	  full_of_unwritable_pages_is_enomem },
	{ "memory full of reads in flight is waited for",
	  memory_full_of_reads_is_waited_for },
	{ "shrinkers are asked in proportion", shrinkers_take_their_share },
	{ "dropping the cache takes all that is clean and idle",
	  drop_takes_all_that_is_clean },
	{ "pages reclaim met dirty go first once written",
	  written_pages_are_rotated },
};

int main(void)
{
	return test_main("mm/vmscan", cases, ARRAY_SIZE(cases));
}
