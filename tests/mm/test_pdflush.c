// SPDX-License-Identifier: BSD-2-Clause
/*
 * tests/mm/test_pdflush.c - mm/pdflush.c, mm/bdi.c, and what mm/dirty-throttle.c
 *                           makes of a slow device: the pool, reasons, laptop
 *                           mode, tunables that take effect at once, pacing
 *
 * A flusher is made stuck by a page lock, so it stays so for as long as a case
 * wants. What must happen is waited for with a long bound; what must not is
 * given a time in which it would.
 */
#include <limits.h>
#include <pthread.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "clock.h"
#include "fake_disk.h"
#include "harness.h"
#include "page.h"
#include "vmstat.h"

#define MEMORY		(64UL << 20)
#define WAIT_MS		10000	/* for what must happen; arbitrary, long */
#define MANY		10u	/* devices: more than flushers there may be */

static struct fake_disk disk[MANY];
static char buf[1 << 20];

static void up(unsigned int disks, enum fake_mode mode)
{
	fake_mm_init(MEMORY, 1, true);
	for (unsigned int i = 0; i < disks; i++)
		fake_disk_init(&disk[i], mode);
	memset(buf, 'd', sizeof(buf));
}

static void tunables(unsigned int background, unsigned int dirty,
		     unsigned int expire_cs, unsigned int interval_cs)
{
	atomic_store(&vm_tunables.dirty_background_ratio, background);
	atomic_store(&vm_tunables.dirty_ratio, dirty);
	atomic_store(&vm_tunables.dirty_background_bytes, 0);
	atomic_store(&vm_tunables.dirty_bytes, 0);
	atomic_store(&vm_tunables.dirty_expire_centisecs, expire_cs);
	atomic_store(&vm_tunables.dirty_writeback_centisecs, interval_cs);
	atomic_store(&vm_tunables.laptop_mode, 0);
}

static void down(unsigned int disks)
{
	for (unsigned int i = 0; i < disks; i++)
		CU_ASSERT_EQUAL(fake_disk_exit(&disk[i]), 0);
	CU_ASSERT_EQUAL(fake_mm_exit(), 0);
	tunables(10, 20, 3000, 500);
}

static void write_pages(struct fake_file *file, pgoff_t index, unsigned int nr)
{
	CU_ASSERT_EQUAL(fake_write(file, index << PAGE_SHIFT, buf,
				   nr << PAGE_SHIFT), nr << PAGE_SHIFT);
}

/* Waits until @expr is true. */
#define COMES(expr) ({							\
	double __end = now() + WAIT_MS / 1000.0;			\
	while (!(expr) && now() < __end)				\
		usleep(1000);						\
	(expr);								\
})

static unsigned long flushers(void)
{
	return vm_stat_read(NR_PDFLUSH_THREADS);
}

static unsigned int flushers_at(struct fake_disk *d)
{
	return READ_ONCE(d->bdi.nr_flushers);
}

/* ---- the pool ---- */

/* A file whose flusher sticks at page 1, with page 0 written. */
struct snag {
	struct fake_file *file;
	struct page *page;
};

static void snag_make(struct snag *s, struct fake_disk *d)
{
	s->file = fake_file_new(d, 1 << 20, 0);
	write_pages(s->file, 0, 2);
	s->page = find_lock_page(&s->file->mapping, 1);
}

static void snag_free(struct snag *s)
{
	CU_ASSERT(COMES(!READ_ONCE(s->file->mapping.nrdirty)));
	fake_file_free(s->file);
}

/* Each device has a flusher stuck at it: after a second there is another. */
static void pool_grows_and_shrinks(void)
{
	struct snag snag[MANY];
	double grown[9] = { 0 };
	unsigned int nr = 0;

	tunables(90, 95, 1, 2);
	up(MANY, FAKE_SYNC);
	CU_ASSERT_EQUAL(flushers(), 2);
	for (unsigned int i = 0; i < MANY; i++)
		snag_make(&snag[i], &disk[i]);
	for (nr = 3; nr <= 8; nr++) {
		CU_ASSERT(COMES(flushers() == nr));
		grown[nr] = now();
		CU_ASSERT(nr == 3 || grown[nr] - grown[nr - 1] > 0.9);
	}
	usleep(1300000);		/* time for a ninth */
	CU_ASSERT_EQUAL(flushers(), 8);
	for (unsigned int i = 0; i < MANY; i++) {
		unlock_page(snag[i].page);
		put_page(snag[i].page);
	}
	for (unsigned int i = 0; i < MANY; i++)
		snag_free(&snag[i]);
	CU_ASSERT(COMES(flushers() == 2));
	usleep(1300000);
	CU_ASSERT_EQUAL(flushers(), 2);
	down(MANY);
}

/* The two are stuck for long, but nothing waits for a third. */
static void pool_does_not_grow_for_nothing(void)
{
	struct snag snag[2];

	tunables(90, 95, 3000, 0);
	up(2, FAKE_SYNC);
	for (unsigned int i = 0; i < 2; i++)
		snag_make(&snag[i], &disk[i]);
	wakeup_flusher_threads(WB_REASON_RECLAIM);
	for (unsigned int i = 0; i < 2; i++)
		CU_ASSERT(COMES(flushers_at(&disk[i]) == 1));
	usleep(1500000);
	CU_ASSERT_EQUAL(flushers(), 2);
	/* but it does at once if something comes after a second */
	wakeup_flusher_threads(WB_REASON_LAPTOP);
	CU_ASSERT(COMES(flushers() == 3));
	for (unsigned int i = 0; i < 2; i++) {
		unlock_page(snag[i].page);
		put_page(snag[i].page);
		snag_free(&snag[i]);
	}
	down(2);
}

/*
 * A slow device has all it can take in flight. However often work is wanted of
 * it, one flusher waits for it, and the other device's page is out at once.
 */
static void nobody_queues_behind_a_congested_device(void)
{
	struct fake_file *large[3], *small;
	double start;

	tunables(1, 95, 3000, 0);
	up(2, FAKE_SYNC);
	disk[0].pages_per_s = 200;
	atomic_store(&disk[0].bdi.write_bandwidth, 200);
	for (int i = 0; i < 3; i++) {
		large[i] = fake_file_new(&disk[0], 4 << 20, 0);
		write_pages(large[i], 0, 256);
	}
	wakeup_flusher_threads(WB_REASON_BACKGROUND);
	CU_ASSERT(COMES(atomic_load(&disk[0].bdi.nr_writeback) >= 256));
	for (int i = 0; i < 20; i++) {
		wakeup_flusher_threads(WB_REASON_BACKGROUND);
		usleep(2000);
		CU_ASSERT_EQUAL(flushers_at(&disk[0]), 1);
	}
	small = fake_file_new(&disk[1], 1 << 20, 0);
	write_pages(small, 0, 1);
	start = now();
	wakeup_flusher_threads(WB_REASON_RECLAIM);
	CU_ASSERT(COMES(!READ_ONCE(small->mapping.nrdirty)));
	CU_ASSERT(now() - start < 0.5);
	CU_ASSERT_EQUAL(flushers(), 2);
	for (int i = 0; i < 3; i++)
		fake_file_free(large[i]);
	fake_file_free(small);
	down(2);
}

/* Where nothing is in flight a second flusher helps: the first may be stuck. */
static void second_flusher_joins_an_idle_device(void)
{
	struct fake_file *other;
	struct snag snag;

	tunables(90, 95, 3000, 0);
	up(1, FAKE_SYNC);
	snag_make(&snag, &disk[0]);
	wakeup_flusher_threads(WB_REASON_RECLAIM);
	CU_ASSERT(COMES(flushers_at(&disk[0]) == 1 &&
			READ_ONCE(snag.file->mapping.nrdirty) == 1));
	other = fake_file_new(&disk[0], 1 << 20, 0);
	write_pages(other, 0, 1);
	wakeup_flusher_threads(WB_REASON_RECLAIM);
	CU_ASSERT(COMES(!READ_ONCE(other->mapping.nrdirty)));
	unlock_page(snag.page);
	put_page(snag.page);
	snag_free(&snag);
	fake_file_free(other);
	down(1);
}

/* ---- tunables ---- */

static void new_interval_wakes_the_sleeper(void)
{
	struct fake_file *file;

	tunables(90, 95, 1, 100000);
	up(1, FAKE_SYNC);
	file = fake_file_new(&disk[0], 1 << 20, 0);
	write_pages(file, 0, 3);
	usleep(100000);
	CU_ASSERT_EQUAL(READ_ONCE(file->mapping.nrdirty), 3);
	atomic_store(&vm_tunables.dirty_writeback_centisecs, 2);
	vm_tunables_changed();
	CU_ASSERT(COMES(!READ_ONCE(file->mapping.nrdirty)));
	CU_ASSERT_EQUAL(vm_event(WB_PERIODIC), 3);
	/* and off */
	atomic_store(&vm_tunables.dirty_writeback_centisecs, 0);
	vm_tunables_changed();
	usleep(50000);		/* a pass may have begun */
	write_pages(file, 0, 3);
	usleep(100000);
	CU_ASSERT_EQUAL(READ_ONCE(file->mapping.nrdirty), 3);
	fake_file_free(file);
	down(1);
}

static void lower_threshold_starts_background_writing(void)
{
	struct fake_file *file;

	tunables(90, 95, 3000, 0);
	up(1, FAKE_SYNC);
	file = fake_file_new(&disk[0], 1 << 20, 0);
	write_pages(file, 0, 200);
	vm_tunables_changed();
	usleep(50000);
	CU_ASSERT_EQUAL(READ_ONCE(file->mapping.nrdirty), 200);
	atomic_store(&vm_tunables.dirty_background_bytes, 100 << PAGE_SHIFT);
	vm_tunables_changed();
	CU_ASSERT(COMES(!READ_ONCE(file->mapping.nrdirty)));
	CU_ASSERT_EQUAL(vm_event(WB_BACKGROUND), 200);
	CU_ASSERT(COMES(vm_event(WB_BACKGROUND_RUNS) == 1));
	fake_file_free(file);
	down(1);
}

static void bytes_rule_over_ratios(void)
{
	unsigned long background, dirty;

	tunables(10, 20, 3000, 500);
	up(0, FAKE_SYNC);
	atomic_store(&vm_tunables.dirty_bytes, 8 << 20);
	atomic_store(&vm_tunables.dirty_background_bytes, (2 << 20) + 1);
	global_dirty_limits(&background, &dirty);
	CU_ASSERT_EQUAL(dirty, 2048);
	CU_ASSERT_EQUAL(background, 513);
	/* background is below the limit, and the limit is what there is */
	atomic_store(&vm_tunables.dirty_background_bytes, 9 << 20);
	global_dirty_limits(&background, &dirty);
	CU_ASSERT_EQUAL(background, 1024);
	atomic_store(&vm_tunables.dirty_bytes, 1UL << 50);
	global_dirty_limits(&background, &dirty);
	CU_ASSERT(dirty <= MEMORY >> PAGE_SHIFT);
	atomic_store(&vm_tunables.dirty_bytes, 1);
	global_dirty_limits(&background, &dirty);
	CU_ASSERT_EQUAL(dirty, 32);
	down(0);
}

/* ---- reasons ---- */

static void reasons_have_names(void)
{
	static const char *const names[] = {
		"background", "periodic", "sync", "reclaim", "throttled",
		"laptop",
	};

	CU_ASSERT_EQUAL(NR_WB_REASONS, ARRAY_SIZE(names));
	for (unsigned int i = 0; i < NR_WB_REASONS; i++)
		CU_ASSERT_STRING_EQUAL(wb_reason_name(i), names[i]);
}

/*
 * A pass for memory's sake queued the young file, and ended before its turn.
 * The periodic one must not take that for age.
 */
static void queued_is_not_old(void)
{
	struct writeback_control wbc = {
		.reason = WB_REASON_RECLAIM, .nr_to_write = 5,
		.range_end = LLONG_MAX, .range_cyclic = true,
	};
	struct fake_file *first, *young;

	tunables(90, 95, 3000, 0);
	up(1, FAKE_SYNC);
	first = fake_file_new(&disk[0], 1 << 20, 0);
	young = fake_file_new(&disk[0], 1 << 20, 0);
	write_pages(first, 0, 5);
	write_pages(young, 0, 7);
	writeback_bdi(&disk[0].bdi, &wbc, 0);
	CU_ASSERT_EQUAL(READ_ONCE(young->mapping.nrdirty), 7);
	atomic_store(&vm_tunables.dirty_writeback_centisecs, 1);
	vm_tunables_changed();
	usleep(200000);
	CU_ASSERT_EQUAL(READ_ONCE(young->mapping.nrdirty), 7);
	atomic_store(&vm_tunables.dirty_expire_centisecs, 1);
	CU_ASSERT(COMES(!READ_ONCE(young->mapping.nrdirty)));
	fake_file_free(first);
	fake_file_free(young);
	down(1);
}

/* ---- laptop mode ---- */

#define LAPTOP_FILES	3

/*
 * Nothing expires and no threshold counts, until the disk is used for
 * something: then all goes in one burst, when the delay is over, and that burst
 * is not the reason of another.
 */
static void laptop_burst(void (*use_disk)(void))
{
	struct fake_file *file[LAPTOP_FILES];
	double start;

	tunables(1, 95, 1, 2);
	up(1, FAKE_PLUG);
	atomic_store(&vm_tunables.laptop_mode, 1);
	vm_tunables_changed();
	for (int i = 0; i < LAPTOP_FILES; i++) {
		file[i] = fake_file_new(&disk[0], 2 << 20, 0);
		write_pages(file[i], 0, 256);
		CU_ASSERT_EQUAL(balance_dirty_pages_ratelimited(
				&file[i]->mapping, 256), 0);
	}
	usleep(300000);
	CU_ASSERT_EQUAL(vm_stat_read(NR_FILE_DIRTY), 256 * LAPTOP_FILES);
	use_disk();
	start = now();
	CU_ASSERT(COMES(!vm_stat_read(NR_FILE_DIRTY)));
	CU_ASSERT(now() - start > 0.9);
	CU_ASSERT(COMES(vm_event(WB_LAPTOP_RUNS)));
	CU_ASSERT_EQUAL(vm_event(WB_LAPTOP), 256 * LAPTOP_FILES);
	CU_ASSERT_EQUAL(vm_event(WB_LAPTOP_RUNS), 1);
	CU_ASSERT_EQUAL(vm_event(WB_PERIODIC) + vm_event(WB_BACKGROUND), 0);
	/* asleep again: what is dirtied now stays */
	write_pages(file[0], 0, 10);
	usleep(1400000);
	CU_ASSERT_EQUAL(vm_stat_read(NR_FILE_DIRTY), 10);
	/* off: what is old goes the usual way */
	atomic_store(&vm_tunables.laptop_mode, 0);
	vm_tunables_changed();
	CU_ASSERT(COMES(!vm_stat_read(NR_FILE_DIRTY)));
	for (int i = 0; i < LAPTOP_FILES; i++)
		fake_file_free(file[i]);
	down(1);
}

static void use_by_fsync(void)
{
	struct fake_file *file = fake_file_new(&disk[0], 1 << 20, 0);

	write_pages(file, 0, 1);
	CU_ASSERT_EQUAL(sync_mapping(&file->mapping, false), 0);
	fake_file_free(file);
}

static void laptop_mode_follows_an_fsync(void)
{
	laptop_burst(use_by_fsync);
}

static void use_by_read(void)
{
	struct fake_file *file = fake_file_new(&disk[0], 1 << 20, 4096);
	char byte;

	CU_ASSERT_EQUAL(fake_read(file, NULL, 0, &byte, 1), 1);
	fake_file_free(file);
}

static void laptop_mode_follows_a_read(void)
{
	laptop_burst(use_by_read);
}

/* sync(2) leaves nothing to follow. */
static void sync_ends_laptop_modes_wait(void)
{
	struct fake_file *file;

	tunables(90, 95, 3000, 0);
	up(1, FAKE_SYNC);
	atomic_store(&vm_tunables.laptop_mode, 1);
	file = fake_file_new(&disk[0], 1 << 20, 0);
	write_pages(file, 0, 3);
	CU_ASSERT_EQUAL(sync_bdi(&disk[0].bdi), 0);
	CU_ASSERT_EQUAL(atomic_load(&disk[0].bdi.laptop_stamp_ms), 0);
	fake_file_free(file);
	down(1);
}

/* ---- speed ---- */

/* Work for a quarter of the time: that is not a quarter of the speed. */
static void idle_time_is_not_slowness(void)
{
	struct fake_file *file;
	unsigned long bw;

	tunables(90, 95, 3000, 0);
	up(1, FAKE_SYNC);
	disk[0].pages_per_s = 5000;
	file = fake_file_new(&disk[0], 4 << 20, 0);
	for (int i = 0; i < 12; i++) {
		write_pages(file, 0, 256);	/* 51 ms of work */
		CU_ASSERT_EQUAL(sync_mapping(&file->mapping, true), 0);
		backing_dev_update_bandwidth(&disk[0].bdi);
		usleep(150000);
	}
	bw = atomic_load(&disk[0].bdi.write_bandwidth);
	/* from 25,600 towards 5,000, smoothed over 0.5 s of 0.6 s */
	CU_ASSERT(bw > 4000 && bw < 18000);
	for (int i = 0; i < 60; i++) {
		write_pages(file, 0, 256);
		CU_ASSERT_EQUAL(sync_mapping(&file->mapping, true), 0);
		backing_dev_update_bandwidth(&disk[0].bdi);
	}
	bw = atomic_load(&disk[0].bdi.write_bandwidth);
	CU_ASSERT(bw > 4000 && bw < 6000);
	fake_file_free(file);
	down(1);
}

#define WRITERS		8
#define FILE_PAGES	1024u

struct writer {
	pthread_t thread;
	struct fake_file *file;
	unsigned int piece;		/* pages of a write */
	double longest;
	unsigned long max_dirty;	/* pages, all writers' */
	atomic_ulong pages;
	unsigned long pages_before;	/* the measured time */
	int err;
	atomic_bool *stop;
};

static void *write_on(void *arg)
{
	struct writer *w = arg;

	for (pgoff_t i = 0; !atomic_load(w->stop) && !w->err; i += w->piece) {
		double start = now();

		fake_write(w->file, (i % FILE_PAGES) << PAGE_SHIFT, buf,
			   w->piece << PAGE_SHIFT);
		w->err = balance_dirty_pages_ratelimited(&w->file->mapping,
							 w->piece);
		w->longest = max(w->longest, now() - start);
		w->max_dirty = max(w->max_dirty, vm_stat_read(NR_FILE_DIRTY) +
				   vm_stat_read(NR_WRITEBACK));
		atomic_fetch_add(&w->pages, w->piece);
	}
	return NULL;
}

/*
 * 20 MB/s, a budget of 64 MiB: the device never rests, and nobody stalls.
 * Pieces of 128 KiB, and of 1 MiB, the largest that FUSE brings.
 */
static void writers_share_a_slow_device(enum fake_mode mode,
					unsigned int piece)
{
	struct writer w[WRITERS] = { 0 };
	unsigned long written, pages, least = -1UL, most = 0;
	atomic_bool stop = false;
	unsigned long background, limit;
	double start, took;

	tunables(10, 20, 3000, 500);
	up(1, mode);
	global_dirty_limits(&background, &limit);
	disk[0].pages_per_s = 20000000 / PAGE_SIZE;
	for (unsigned int i = 0; i < WRITERS; i++) {
		w[i].file = fake_file_new(&disk[0], FILE_PAGES << PAGE_SHIFT, 0);
		w[i].stop = &stop;
		w[i].piece = piece;
		pthread_create(&w[i].thread, NULL, write_on, &w[i]);
	}
	CU_ASSERT(COMES(vm_event(BALANCE_PAUSED) >= WRITERS));
	for (unsigned int i = 0; i < WRITERS; i++)
		w[i].pages_before = atomic_load(&w[i].pages);
	written = atomic_load(&disk[0].pages[FAKE_WRITE]);
	start = now();
	usleep(4000000);
	took = now() - start;
	written = atomic_load(&disk[0].pages[FAKE_WRITE]) - written;
	atomic_store(&stop, true);
	for (unsigned int i = 0; i < WRITERS; i++) {
		pthread_join(w[i].thread, NULL);
		CU_ASSERT_EQUAL(w[i].err, 0);
		CU_ASSERT(w[i].longest < 1.0);
		/* each may have begun a piece, and 64 pages before it looked;
		 * and its own are let in, twice if it had to wait */
		CU_ASSERT(w[i].max_dirty <=
			  limit + 2 * piece + WRITERS * (piece + 64));
		pages = atomic_load(&w[i].pages) - w[i].pages_before;
		least = min(least, pages);
		most = max(most, pages);
		printf("# writer %u: %lu pages, longest %.0f ms\n", i, pages,
		       w[i].longest * 1000);
	}
	printf("# %.0f pages/s of %u; pause max %lu, stall max %lu\n",
	       written / took, disk[0].pages_per_s,
	       vm_stat_read(BALANCE_PAUSE_MAX_MS),
	       vm_stat_read(BALANCE_STALL_MAX_MS));
	CU_ASSERT(written / took > 0.9 * disk[0].pages_per_s);
	CU_ASSERT(most < 3 * least);
	CU_ASSERT(vm_event(WB_THROTTLED) > 0);
	CU_ASSERT(vm_stat_read(BALANCE_PAUSE_MAX_MS) >= 10);
	CU_ASSERT(vm_stat_read(BALANCE_STALL_MAX_MS) >=
		  vm_stat_read(BALANCE_PAUSE_MAX_MS));
	CU_ASSERT_EQUAL(sync_bdi(&disk[0].bdi), 0);
	for (unsigned int i = 0; i < WRITERS; i++)
		fake_file_free(w[i].file);
	down(1);
}

static void writers_share_a_slow_queue(void)
{
	writers_share_a_slow_device(FAKE_ASYNC, 32);
}

static void writers_share_a_slow_ring(void)
{
	writers_share_a_slow_device(FAKE_PLUG, 256);
}

/* A device that takes nothing: 200 ms at a time, and the thread is listed. */
static void pauses_are_short_and_listed(void)
{
	static char text[8192];
	struct writer w = { .piece = 32 };
	atomic_bool stop = false;
	unsigned long pauses, ms;

	tunables(1, 2, 3000, 0);
	up(1, FAKE_ASYNC);
	fake_hold(&disk[0]);
	atomic_store(&disk[0].bdi.write_bandwidth, 10);
	w.file = fake_file_new(&disk[0], FILE_PAGES << PAGE_SHIFT, 0);
	w.stop = &stop;
	pthread_create(&w.thread, NULL, write_on, &w);
	CU_ASSERT(COMES(vm_event(BALANCE_PAUSED) >= 3));
	throttled_show(text, sizeof(text));
	CU_ASSERT_EQUAL(sscanf(text, "tid balance_paused balance_paused_ms\n"
			       "%*d %lu %lu", &pauses, &ms), 2);
	CU_ASSERT(pauses >= 3 && pauses <= vm_event(BALANCE_PAUSED));
	CU_ASSERT(ms >= 200 && ms <= vm_event(BALANCE_PAUSED_MS));
	atomic_store(&stop, true);
	fake_release(&disk[0]);
	pthread_join(w.thread, NULL);
	/* in the mean: one may be late on a busy machine */
	CU_ASSERT(vm_event(BALANCE_PAUSED_MS) / vm_event(BALANCE_PAUSED) < 300);
	CU_ASSERT_EQUAL(sync_bdi(&disk[0].bdi), 0);
	fake_file_free(w.file);
	down(1);
}

static const struct test_case cases[] = {
	{ "the pool grows while all are busy, and shrinks when one is idle",
	  pool_grows_and_shrinks },
	{ "the pool does not grow while nothing waits",
	  pool_does_not_grow_for_nothing },
	{ "nobody queues behind a congested device",
	  nobody_queues_behind_a_congested_device },
	{ "a second flusher joins a device that has nothing in flight",
	  second_flusher_joins_an_idle_device },
	{ "a new interval wakes the sleeper", new_interval_wakes_the_sleeper },
	{ "a lower threshold starts background writing at once",
	  lower_threshold_starts_background_writing },
	{ "limits in bytes rule over ratios", bytes_rule_over_ratios },
	{ "reasons have names", reasons_have_names },
	{ "what another pass has queued is not old for that", queued_is_not_old },
	{ "laptop mode: an fsync brings the rest with it, once",
	  laptop_mode_follows_an_fsync },
	{ "laptop mode: so does a read", laptop_mode_follows_a_read },
	{ "laptop mode: sync leaves nothing to follow",
	  sync_ends_laptop_modes_wait },
	{ "idle time does not make a device look slow",
	  idle_time_is_not_slowness },
	{ "writers share a slow device that queues", writers_share_a_slow_queue },
	{ "writers of larger pieces share a slow device through a ring",
	  writers_share_a_slow_ring },
	{ "pauses are short, and listed by thread", pauses_are_short_and_listed },
};

int main(void)
{
	return test_main("mm/pdflush", cases, ARRAY_SIZE(cases));
}
