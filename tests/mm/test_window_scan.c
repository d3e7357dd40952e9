// SPDX-License-Identifier: BSD-2-Clause
/*
 * tests/mm/test_window_scan.c - mm/window_scan.c: stores that raise no fault
 *
 * Two clients map a file so that the first store to a page is no message. What
 * they have stored must be found by whatever looks, and once; and be taken for
 * granted of a client that cannot be asked.
 */
#include <errno.h>
#include <limits.h>
#include <pthread.h>
#include <stdatomic.h>
#include <string.h>
#include <unistd.h>

#include "harness.h"
#include "mmzone.h"
#include "pair.h"
#include "swap.h"
#include "vmstat.h"
#include "window_i.h"
#include "writeback.h"

#define MEMORY		(32UL << 20)
#define PAGES		1200UL		/* in three chunks */
#define REGION		4000UL
#define RW		(VM_READ | VM_WRITE | VM_SHARED)

static unsigned long at, there;		/* where @c, @other have @m */

static void up(void)
{
	pair_up(&(struct pair_conf){
		.memory = MEMORY, .mode = FAKE_SYNC, .pages = PAGES,
		.region = REGION,
	});
	c->async = other->async = true;
	at = there = 0;
	CU_ASSERT_EQUAL(fake_mmap(c, m, 0, PAGES, RW, &at), 0);
	CU_ASSERT_EQUAL(fake_mmap(other, m, 0, PAGES, RW, &there), 0);
}

static bool sync_file(void)
{
	return sync_mapping(&m->file->mapping, false) == 0;
}

/* All are in the window, mapped by @c, clean and protected. */
static void read_all(void)
{
	uint64_t word;

	for (unsigned long i = 0; i < PAGES; i++)
		CU_ASSERT_EQUAL(fake_load(c, at + i * PAGE_SIZE, &word), FAKE_OK);
	CU_ASSERT_EQUAL(nr_window_pages(), PAGES);
	CU_ASSERT(sync_file());
}

static void store(struct fake_client *who, unsigned long base, unsigned long i,
		  uint64_t word)
{
	unsigned long messages = who->nr_messages;

	CU_ASSERT_EQUAL(fake_store(who, base + i * PAGE_SIZE, word), FAKE_OK);
	CU_ASSERT_EQUAL(who->nr_messages, messages);
}

static unsigned long nr_dirty(void)
{
	return vm_stat_read(NR_FILE_DIRTY);
}

/* ---- the cases ---- */

static void stores_are_found_once(void)
{
	unsigned long found;

	up();
	read_all();
	found = vm_event(PGSTORED);
	store(c, at, 3, 33);
	store(c, at, 511, 34);
	store(c, at, 512, 35);
	store(other, there, 1199, 36);
	CU_ASSERT_EQUAL(nr_dirty(), 0);
	window_scan(&m->file->mapping, 0, PAGES);
	CU_ASSERT_EQUAL(nr_dirty(), 4);
	CU_ASSERT_EQUAL(vm_event(PGSTORED) - found, 4);
	window_scan(&m->file->mapping, 0, PAGES);
	CU_ASSERT_EQUAL(vm_event(PGSTORED) - found, 4);
	CU_ASSERT(sync_file());
	CU_ASSERT_EQUAL(stored(3 * PAGE_SIZE), 33);
	CU_ASSERT_EQUAL(stored(511 * PAGE_SIZE), 34);
	CU_ASSERT_EQUAL(stored(512 * PAGE_SIZE), 35);
	CU_ASSERT_EQUAL(stored(1199 * PAGE_SIZE), 36);
	store(c, at, 3, 37);
	window_scan(&m->file->mapping, 4, PAGES);	/* not where it was */
	CU_ASSERT_EQUAL(nr_dirty(), 0);
	window_scan(&m->file->mapping, 3, 3);
	CU_ASSERT_EQUAL(nr_dirty(), 1);
	down();
}

static void fsync_looks(void)
{
	up();
	read_all();
	store(c, at, 8, 88);		/* of a mapping that is on no list */
	CU_ASSERT_EQUAL(sync_bdi(&disk.bdi), 0);
	CU_ASSERT_EQUAL(stored(8 * PAGE_SIZE), 88);
	for (unsigned long round = 1; round < 4; round++) {
		store(c, at, 7, round);
		store(other, there, 900, round);
		CU_ASSERT(sync_file());
		CU_ASSERT_EQUAL(stored(7 * PAGE_SIZE), round);
		CU_ASSERT_EQUAL(stored(900 * PAGE_SIZE), round);
	}
	down();
}

static void demotion_takes_them_along(void)
{
	uint64_t word;

	up();
	read_all();
	for (unsigned long i = 0; i < PAGES; i += 2)
		store(c, at, i, i + 5);
	CU_ASSERT_EQUAL(window_demote_all(&m->file->mapping), 0);
	CU_ASSERT_EQUAL(nr_dirty(), PAGES / 2);
	CU_ASSERT_EQUAL(fake_load(other, there + 4 * PAGE_SIZE, &word), FAKE_OK);
	CU_ASSERT_EQUAL(word, 9);
	CU_ASSERT(sync_file());
	for (unsigned long i = 0; i < PAGES; i += 2)
		CU_ASSERT_EQUAL(stored(i * PAGE_SIZE), i + 5);
	down();
}

/* A device may be at a page that was stored to a moment ago. */
static void what_was_stored_lately_stays(void)
{
	up();
	read_all();
	store(c, at, 10, 1);
	shrink_windows(PAGES, false);
	CU_ASSERT(fake_in_window(m, 10));
	CU_ASSERT(fake_dirty(m, 10));
	CU_ASSERT(nr_window_pages() < PAGES);
	down();
}

static void the_end_of_a_mapping_looks(void)
{
	up();
	read_all();
	store(c, at, 20, 1);
	store(c, at, 1000, 2);
	CU_ASSERT_EQUAL(fake_munmap(c, at + 1000 * PAGE_SIZE, 10), 0);
	CU_ASSERT_EQUAL(nr_dirty(), 1);
	CU_ASSERT_EQUAL(fake_munmap(c, at, 1000), 0);
	CU_ASSERT_EQUAL(nr_dirty(), 2);
	CU_ASSERT(sync_file());
	CU_ASSERT_EQUAL(stored(20 * PAGE_SIZE), 1);
	down();
}

/* Nobody knows what it had stored: all it could. */
static void of_a_dead_client_all_is_dirty(void)
{
	struct fake_client *third;
	unsigned long addr = 0;

	up();
	read_all();
	third = fake_client_new(REGION);
	third->async = true;
	CU_ASSERT_EQUAL(fake_mmap(third, m, 100, 50, RW, &addr), 0);
	store(third, addr, 4, 44);
	CU_ASSERT_EQUAL(nr_dirty(), 0);
	fake_client_free(third);
	CU_ASSERT_EQUAL(nr_dirty(), 50);
	CU_ASSERT(sync_file());
	CU_ASSERT_EQUAL(stored(104 * PAGE_SIZE), 44);
	down();
}

static void who_cannot_be_asked_may_have(void)
{
	up();
	read_all();
	store(c, at, 600, 1);
	fake_client_unreachable(c, 1, 0);
	window_scan(&m->file->mapping, 512, 1023);
	CU_ASSERT_EQUAL(nr_dirty(), 512);
	fake_client_unreachable(c, 1, 0);
	CU_ASSERT_EQUAL(window_demote_all(&m->file->mapping) > 0, true);
	CU_ASSERT(sync_file());
	CU_ASSERT_EQUAL(stored(600 * PAGE_SIZE), 1);
	down();
}

static void unmapped_behind_our_back(void)
{
	up();
	read_all();
	store(c, at, 50, 5);
	fake_munmap_behind(c, at, 100);
	window_scan(&m->file->mapping, 0, 99);
	CU_ASSERT(fake_dirty(m, 50));
	CU_ASSERT_EQUAL(fake_munmap(c, at, 100), 0);
	CU_ASSERT(sync_file());
	CU_ASSERT_EQUAL(stored(50 * PAGE_SIZE), 5);
	down();
}

static void moved_behind_our_back(void)
{
	unsigned long to = c->base + 2000 * PAGE_SIZE;

	up();
	to = c->base + 2000 * PAGE_SIZE;
	read_all();
	store(c, at, 60, 6);
	CU_ASSERT_EQUAL(fake_mremap_behind(c, at, to, PAGES), 0);
	CU_ASSERT(fake_dirty(m, 60));
	CU_ASSERT(sync_file());
	CU_ASSERT_EQUAL(stored(60 * PAGE_SIZE), 6);
	store(c, to, 61, 7);
	CU_ASSERT(sync_file());
	CU_ASSERT_EQUAL(stored(61 * PAGE_SIZE), 7);
	down();
}

/* What a scan would find must not be wiped out by arming for somebody else. */
static void newcomers_wipe_nothing_out(void)
{
	struct fake_client *third;
	unsigned long addr = 0;

	up();
	read_all();
	store(c, at, 70, 7);
	third = fake_client_new(REGION);
	CU_ASSERT_EQUAL(fake_mmap(third, m, 0, PAGES, RW, &addr), 0);
	window_disarm(&m->file->mapping, 0, PAGES);
	CU_ASSERT_EQUAL(window_arm_chunk(&m->file->mapping, 70), 0);
	CU_ASSERT(sync_file());
	CU_ASSERT_EQUAL(stored(70 * PAGE_SIZE), 7);
	fake_client_free(third);
	down();
}

static void truncate_forgets(void)
{
	up();
	read_all();
	store(c, at, 1100, 1);
	store(c, at, 5, 2);
	fake_mount_cut(m, 1000 * PAGE_SIZE);
	fake_mount_grow(m, PAGES * PAGE_SIZE);
	window_scan(&m->file->mapping, 0, PAGES);
	CU_ASSERT(sync_file());
	CU_ASSERT_EQUAL(stored(5 * PAGE_SIZE), 2);
	CU_ASSERT_EQUAL(fake_load(c, at + 1100 * PAGE_SIZE, &(uint64_t){ 0 }),
			FAKE_OK);
	CU_ASSERT_EQUAL(stored(1100 * PAGE_SIZE), 0);
	down();
}

/* Where the pte lacks its marker a store shows: reading must not put one there. */
static void ptes_that_have_gone(void)
{
	up();
	read_all();
	store(c, at, 80, 8);
	fake_reclaim(c, at + 80 * PAGE_SIZE);
	window_scan(&m->file->mapping, 0, PAGES);
	CU_ASSERT(fake_dirty(m, 80));
	CU_ASSERT(sync_file());

	store(c, at, 81, 9);
	store(c, at, 600, 10);
	fake_reclaim(c, at + 81 * PAGE_SIZE);
	fake_reclaim(c, at + 600 * PAGE_SIZE);
	mmap_ahead(c->mm, at, PAGES * PAGE_SIZE, NULL, NULL);
	CU_ASSERT(sync_file());
	CU_ASSERT_EQUAL(stored(81 * PAGE_SIZE), 9);
	CU_ASSERT_EQUAL(stored(600 * PAGE_SIZE), 10);

	store(c, at, 82, 11);
	fake_reclaim(c, at + 82 * PAGE_SIZE);
	CU_ASSERT_FALSE(fake_message(c, at + 82 * PAGE_SIZE, 0) &
			VM_FAULT_ERROR);
	CU_ASSERT(sync_file());
	CU_ASSERT_EQUAL(stored(82 * PAGE_SIZE), 11);
	down();
}

static void *scan_file(void *arg)
{
	window_scan(&m->file->mapping, 0, PAGES);
	return arg;
}

static atomic_uint_least64_t after_sync;

static void *sync_and_look(void *arg)
{
	CU_ASSERT(sync_file());
	atomic_store(&after_sync, stored(90 * PAGE_SIZE));
	return arg;
}

static bool has_writable(struct fake_client *who, unsigned long addr)
{
	bool has;

	pthread_mutex_lock(&who->lock);
	has = fake_page_at(who, addr)->hw & HW_WRITE;
	pthread_mutex_unlock(&who->lock);
	return has;
}

/* One looks, and has found the store; another syncs before the page is dirty. */
static void a_sync_waits_for_who_has_found(bool unmapped)
{
	pthread_t scanner, syncer;
	struct page *page;

	up();
	read_all();
	if (unmapped)
		CU_ASSERT_EQUAL(fake_munmap(other, there, PAGES), 0);
	store(c, at, 90, 9);
	page = find_lock_page(&m->file->mapping, 90);
	BUG_ON(!page);
	BUG_ON(pthread_create(&scanner, NULL, scan_file, NULL));
	while (has_writable(c, at + 90 * PAGE_SIZE))
		usleep(1000);
	if (unmapped)
		CU_ASSERT_EQUAL(fake_munmap(c, at, PAGES), 0);
	BUG_ON(pthread_create(&syncer, NULL, sync_and_look, NULL));
	usleep(50000);
	unlock_page(page);
	put_page(page);
	BUG_ON(pthread_join(syncer, NULL));
	BUG_ON(pthread_join(scanner, NULL));
	CU_ASSERT_EQUAL(atomic_load(&after_sync), 9);
	down();
}

static void syncs_wait_for_each_other(void)
{
	atomic_store(&after_sync, 0);
	a_sync_waits_for_who_has_found(false);
	atomic_store(&after_sync, 0);
	a_sync_waits_for_who_has_found(true);
}

/* Or each VMA of many that goes would have all the others looked at. */
static void who_unmaps_is_asked_alone(void)
{
	unsigned int calls;

	up();
	read_all();
	store(c, at, 95, 1);
	store(other, there, 95, 2);
	store(other, there, 96, 3);
	calls = other->nr_calls;
	CU_ASSERT_EQUAL(fake_munmap(c, at, PAGES), 0);
	CU_ASSERT_EQUAL(nr_dirty(), 1);
	CU_ASSERT_EQUAL(other->nr_calls, calls);
	CU_ASSERT(sync_file());
	CU_ASSERT_EQUAL(stored(95 * PAGE_SIZE), 2);
	CU_ASSERT_EQUAL(stored(96 * PAGE_SIZE), 3);
	down();
}

static const struct test_case cases[] = {
	{ "stores are found where they were, once", stores_are_found_once },
	{ "fsync and sync look for them", fsync_looks },
	{ "demotion takes them along", demotion_takes_them_along },
	{ "what was stored lately stays", what_was_stored_lately_stays },
	{ "the end of a mapping looks for them", the_end_of_a_mapping_looks },
	{ "of a dead client all is dirty", of_a_dead_client_all_is_dirty },
	{ "who cannot be asked may have stored", who_cannot_be_asked_may_have },
	{ "unmapped behind our back", unmapped_behind_our_back },
	{ "moved behind our back", moved_behind_our_back },
	{ "newcomers wipe nothing out", newcomers_wipe_nothing_out },
	{ "truncate forgets them", truncate_forgets },
	{ "ptes that have gone", ptes_that_have_gone },
	{ "a sync waits for who has found some", syncs_wait_for_each_other },
	{ "who unmaps is asked alone", who_unmaps_is_asked_alone },
};

int main(void)
{
	return test_main("mm/window_scan", cases, ARRAY_SIZE(cases));
}
