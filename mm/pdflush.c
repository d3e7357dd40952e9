// SPDX-License-Identifier: BSD-2-Clause
/*
 * mm/pdflush.c - the threads that write dirty pages back
 *
 *   wakeup_flusher_threads(reason) --+
 *   keeper, every dirty_writeback_   +--> wanted of each device (bdi.c)
 *     centisecs: PERIODIC            |        |
 *   keeper, laptop_mode after I/O: --+        v one reason on one device
 *     LAPTOP                               flusher 0 ... flusher 7
 *
 *   THROTTLED   a writer waits: passes until below the background threshold
 *   BACKGROUND  the same; nobody waits
 *   PERIODIC    one pass over what is older than dirty_expire_centisecs
 *   RECLAIM     a pass until a batch is written: memory is short
 *   LAPTOP      all that is dirty, since the disk is awake
 *
 *   flusher:  idle --takes work--> busy --none left--> idle --1 s--> gone
 *                                                           (if more than 2)
 *   pool:     none idle for 1 s, and work that should be taken --> one more
 *
 * The keeper writes nothing, so however many flushers are stuck, it looks at
 * the clock and makes another. It is also the parent of all flushers: whoever
 * wakes them may be pinned to a CPU, which a thread of its would inherit.
 *
 * A reason wanted again while a thread works on it may be taken by another
 * thread; two never work on the same mapping (backing-dev.c I3), and none joins
 * another on a congested device (bdi.c I1).
 *
 * Laptop mode: the background threshold starts nothing, the limit does; what
 * expires may wait LAPTOP_EXPIRE_CS. Any I/O brings all the rest with it.
 *
 * Flushers free memory by working, so they may use the reserve and do not
 * reclaim (memalloc_save).
 *
 * Locks:  pool.lock (LOCK_PDFLUSH); nothing is written under it.
 * Source: Linux 2.6 mm/pdflush.c, fs/fs-writeback.c (wb_workfn). Differs: a
 *         keeper makes threads, not the threads themselves.
 */
#include <errno.h>
#include <limits.h>
#include <pthread.h>
#include <stdio.h>
#include <time.h>

#include "deadline.h"
#include "internal.h"
#include "page.h"
#include "trace.h"
#include "vmstat.h"

/* Linux 2.6's MIN_PDFLUSH_THREADS and MAX_PDFLUSH_THREADS. */
#define MIN_FLUSHERS	2u	/* one may wait for a slow file */
#define MAX_FLUSHERS	8u
#define GROW_MS		1000u	/* all busy for so long: one more */
#define SHRINK_MS	1000u	/* one idle for so long: one less */
#define WB_BATCH	4096L	/* pages of a pass before limits are read again */
#define RECLAIM_BATCH	1024L	/* 4 MiB: what one call of reclaim is good for */

/*
 * What laptop mode makes of dirty_expire_centisecs if that is shorter: the most
 * work that a crash may cost. 10 minutes is what Linux's laptop-mode.txt has.
 */
#define LAPTOP_EXPIRE_CS	60000u

enum slot_state {
	SLOT_FREE,
	SLOT_RUNNING,
	SLOT_GONE,		/* ended by itself; to be joined */
};

/* Fields: (C) constant while the keeper runs; (P) pool.lock. */
static struct {
	struct mutex lock;
	pthread_cond_t work;		/* for flushers */
	pthread_cond_t keeper_wait;
	pthread_t keeper;		/* (C) */
	bool running;			/* (C) there is a keeper */
	unsigned int nr_threads;	/* (P) flushers */
	unsigned int nr_idle;		/* (P) of them */
	uint64_t all_busy_ms;		/* (P) since when nr_idle is 0 */
	uint64_t last_periodic_ms;	/* (P) */
	bool stop;			/* (P) */
	struct {
		pthread_t thread;
		enum slot_state state;	/* (P) */
	} slot[MAX_FLUSHERS];
} pool = {
	.lock = MUTEX_INITIALIZER(LOCK_PDFLUSH),
	.work = PTHREAD_COND_INITIALIZER,
	.keeper_wait = PTHREAD_COND_INITIALIZER,
};

/* ---- waking ---- */

/* There is work for @nr flushers. Context: pool.lock. */
static void wake_flushers(unsigned int nr)
{
	if (nr && !pool.nr_idle)
		pthread_cond_signal(&pool.keeper_wait);	/* may make one */
	while (nr--)
		pthread_cond_signal(&pool.work);
}

void wakeup_flusher_threads(enum wb_reason reason)
{
	unsigned int nr = bdi_want_work(reason);

	if (!nr)
		return;		/* not yet taken: whoever takes it sees what we see */
	mutex_lock(&pool.lock);
	wake_flushers(nr);
	mutex_unlock(&pool.lock);
}

void pdflush_poke(void)
{
	mutex_lock(&pool.lock);
	pthread_cond_signal(&pool.keeper_wait);
	mutex_unlock(&pool.lock);
}

void vm_tunables_changed(void)
{
	pdflush_poke();
	if (!atomic_load(&vm_tunables.laptop_mode) && over_background_thresh())
		wakeup_flusher_threads(WB_REASON_BACKGROUND);
}

/* ---- the work ---- */

static struct writeback_control pass(enum wb_reason reason, long nr)
{
	return (struct writeback_control){
		.sync_mode = WB_SYNC_NONE,
		.reason = reason,
		.nr_to_write = nr,
		.range_end = LLONG_MAX,
		.range_cyclic = true,
	};
}

/* Those that waited were the cause, but only while they wait (backing-dev.c). */
static long threshold_writeout(struct backing_dev_info *bdi)
{
	unsigned long failed = atomic_load(&bdi->nr_failed);
	long written = 0;

	while (over_background_thresh() && !READ_ONCE(pool.stop)) {
		struct writeback_control wbc = pass(WB_REASON_BACKGROUND,
						    WB_BATCH);

		writeback_bdi(bdi, &wbc, 0);
		written += wbc.pages_written;
		/* All is with another flusher, locked, or failing: the next
		 * writer or the periodic pass tries again. A device that fails
		 * has its pages dirty again at once. */
		if (!wbc.pages_written || atomic_load(&bdi->nr_failed) != failed)
			break;
	}
	return written;
}

static uint32_t expire_centisecs(void)
{
	uint32_t expire = atomic_load(&vm_tunables.dirty_expire_centisecs);

	if (atomic_load(&vm_tunables.laptop_mode))
		return max(expire, LAPTOP_EXPIRE_CS);
	return expire;
}

static long periodic_writeout(struct backing_dev_info *bdi)
{
	unsigned long failed = atomic_load(&bdi->nr_failed);
	uint32_t expire = expire_centisecs();
	struct writeback_control wbc;
	long written = 0;

	do {
		wbc = pass(WB_REASON_PERIODIC, WB_BATCH);
		writeback_bdi(bdi, &wbc, expire);
		written += wbc.pages_written;
	} while (wbc.nr_to_write <= 0 &&
		 atomic_load(&bdi->nr_failed) == failed &&
		 !READ_ONCE(pool.stop));
	return written;
}

static long reclaim_writeout(struct backing_dev_info *bdi)
{
	struct writeback_control wbc = pass(WB_REASON_RECLAIM, RECLAIM_BATCH);

	writeback_bdi(bdi, &wbc, 0);
	return wbc.pages_written;
}

/* As much as is dirty now, which is an end even beside a writer. */
static long laptop_writeout(struct backing_dev_info *bdi)
{
	unsigned long failed = atomic_load(&bdi->nr_failed);
	struct writeback_control wbc = pass(WB_REASON_LAPTOP,
			max_t(long, vm_stat_read(NR_FILE_DIRTY), 1));
	long before;

	do {
		before = wbc.pages_written;
		writeback_bdi(bdi, &wbc, 0);
	} while (wbc.nr_to_write > 0 && wbc.pages_written > before &&
		 atomic_load(&bdi->nr_failed) == failed &&
		 !READ_ONCE(pool.stop));
	laptop_sync_completion(bdi);	/* our own I/O is no reason */
	return wbc.pages_written;
}

static void do_work(struct backing_dev_info *bdi, enum wb_reason reason)
{
	long written = 0;

	if (vm_stat_read(NR_FILE_DIRTY))
		trace_writeback_start(reason);
	switch (reason) {
	case WB_REASON_BACKGROUND:
	case WB_REASON_THROTTLED:
		written = threshold_writeout(bdi);
		break;
	case WB_REASON_PERIODIC:
		written = periodic_writeout(bdi);
		break;
	case WB_REASON_RECLAIM:
		written = reclaim_writeout(bdi);
		break;
	case WB_REASON_LAPTOP:
		written = laptop_writeout(bdi);
		break;
	default:
		break;		/* sync is done by who asks for it */
	}
	if (written)
		count_vm_event(WB_BACKGROUND_RUNS + reason);
}

/* ---- flushers ---- */

/* Sleeps until @deadline_ms of mm_msecs(). Context: pool.lock. */
static void pool_wait(pthread_cond_t *cond, uint64_t deadline_ms)
{
	uint64_t now = mm_msecs();
	struct timespec ts;

	if (deadline_ms == NEVER_MS) {
		pthread_cond_wait(cond, &pool.lock.m);
		return;
	}
	if (deadline_ms <= now)
		return;
	ts = deadline_after(CLOCK_MONOTONIC, deadline_ms - now);
	pthread_cond_timedwait(cond, &pool.lock.m, &ts);
}

/* One thing after the other. Context: pool.lock, dropped meanwhile. */
static void work_while_there_is_some(void)
{
	struct backing_dev_info *bdi;
	enum wb_reason reason;

	while (!pool.stop && (bdi = bdi_take_work(&reason))) {
		if (!--pool.nr_idle) {
			pool.all_busy_ms = mm_msecs();
			pthread_cond_signal(&pool.keeper_wait);
		}
		mutex_unlock(&pool.lock);
		do_work(bdi, reason);
		bdi_end_work(bdi);
		mutex_lock(&pool.lock);
		pool.nr_idle++;
	}
}

/* Idle for so long that it may go? Context: pool.lock. */
static bool is_spare(uint64_t idle_since_ms)
{
	return pool.nr_threads > MIN_FLUSHERS &&
		mm_msecs() >= idle_since_ms + SHRINK_MS;
}

/* Whoever made us has counted us as idle. */
static void *pdflush_main(void *arg)
{
	unsigned int nr = (uintptr_t)arg;
	uint64_t idle_since;
	char name[16];

	snprintf(name, sizeof(name), "pagefs-flush/%u", nr);
	pthread_setname_np(pthread_self(), name);
	memalloc_save();
	mutex_lock(&pool.lock);
	while (!pool.stop) {
		work_while_there_is_some();
		for (idle_since = mm_msecs();
		     !pool.stop && !bdi_work_waits() && !is_spare(idle_since); )
			pool_wait(&pool.work, pool.nr_threads > MIN_FLUSHERS ?
				  idle_since + SHRINK_MS : NEVER_MS);
		if (is_spare(idle_since) && !bdi_work_waits())
			break;
	}
	pool.slot[nr].state = SLOT_GONE;
	pool.nr_threads--;
	pool.nr_idle--;
	mod_vm_stat(NR_PDFLUSH_THREADS, -1);
	pthread_cond_signal(&pool.keeper_wait);
	mutex_unlock(&pool.lock);
	return NULL;
}

/* Context: pool.lock. Return: 0 or -errno. */
static int add_flusher(void)
{
	unsigned int nr = 0;
	int err;

	while (pool.slot[nr].state != SLOT_FREE)
		nr++;
	err = -pthread_create(&pool.slot[nr].thread, NULL, pdflush_main,
			      (void *)(uintptr_t)nr);
	if (err)
		return err;
	pool.slot[nr].state = SLOT_RUNNING;
	pool.nr_threads++;
	pool.nr_idle++;
	mod_vm_stat(NR_PDFLUSH_THREADS, 1);
	return 0;
}

/* ---- the keeper ---- */

static void join_slot(unsigned int nr)
{
	bool used;

	mutex_lock(&pool.lock);
	used = pool.slot[nr].state != SLOT_FREE;
	mutex_unlock(&pool.lock);
	if (!used)
		return;
	pthread_join(pool.slot[nr].thread, NULL);
	mutex_lock(&pool.lock);
	pool.slot[nr].state = SLOT_FREE;
	mutex_unlock(&pool.lock);
}

/* Context: pool.lock, dropped meanwhile. */
static void join_gone(void)
{
	for (unsigned int i = 0; i < MAX_FLUSHERS; i++) {
		if (pool.slot[i].state != SLOT_GONE)
			continue;
		mutex_unlock(&pool.lock);
		join_slot(i);
		mutex_lock(&pool.lock);
	}
}

/* Context: pool.lock. Return: when it is due again. */
static uint64_t keep_periodic(uint64_t now)
{
	uint32_t interval = atomic_load(&vm_tunables.dirty_writeback_centisecs);

	if (!interval) {	/* 0 disables it, as in Linux */
		pool.last_periodic_ms = now;
		return NEVER_MS;
	}
	if (now >= pool.last_periodic_ms + interval * 10ull) {
		pool.last_periodic_ms = now;
		bdi_want_work(WB_REASON_PERIODIC);
		/* Also what a congested device had to wait for, and has not. */
		wake_flushers(bdi_work_waits());
	}
	return pool.last_periodic_ms + interval * 10ull;
}

static uint64_t keep_laptop(uint64_t now)
{
	unsigned int nr = 0;
	uint64_t next = bdi_laptop_due(now,
			atomic_load(&vm_tunables.laptop_mode) * 1000ull, &nr);

	wake_flushers(nr);
	return next;
}

/* No memory for a thread is no reason to try at once again. */
static uint64_t keep_growing(uint64_t now)
{
	if (pool.nr_idle || pool.nr_threads == MAX_FLUSHERS || !bdi_work_waits())
		return NEVER_MS;
	if (now >= pool.all_busy_ms + GROW_MS && add_flusher())
		pool.all_busy_ms = now;
	return pool.nr_idle ? NEVER_MS : pool.all_busy_ms + GROW_MS;
}

static void *keeper_main(void *arg)
{
	uint64_t now, deadline;

	(void)arg;
	pthread_setname_np(pthread_self(), "pagefs-pdflush");
	mutex_lock(&pool.lock);
	while (!pool.stop) {
		join_gone();
		now = mm_msecs();
		deadline = keep_periodic(now);
		deadline = min(deadline, keep_laptop(now));
		deadline = min(deadline, keep_growing(now));
		if (!pool.stop)
			pool_wait(&pool.keeper_wait, deadline);
	}
	mutex_unlock(&pool.lock);
	return NULL;
}

/* ---- start and end ---- */

/*
 * The wall clock may be set back, by an hour if need be: a sleep of ours does
 * not become longer by it. Context: pool.lock; nobody sleeps there.
 */
static void monotonic_cond(pthread_cond_t *cond)
{
	pthread_condattr_t attr;

	BUG_ON(pthread_condattr_init(&attr) ||
	       pthread_condattr_setclock(&attr, CLOCK_MONOTONIC) ||
	       pthread_cond_destroy(cond) || pthread_cond_init(cond, &attr) ||
	       pthread_condattr_destroy(&attr));
}

int pdflush_init(void)
{
	int err = 0;

	mutex_lock(&pool.lock);
	monotonic_cond(&pool.work);
	monotonic_cond(&pool.keeper_wait);
	pool.nr_threads = pool.nr_idle = 0;
	pool.last_periodic_ms = mm_msecs();
	WRITE_ONCE(pool.stop, false);
	while (pool.nr_threads < MIN_FLUSHERS && !err)
		err = add_flusher();
	if (!err)
		err = -pthread_create(&pool.keeper, NULL, keeper_main, NULL);
	pool.running = !err;
	mutex_unlock(&pool.lock);
	if (err)
		pdflush_exit();
	return err;
}

void pdflush_exit(void)
{
	mutex_lock(&pool.lock);
	WRITE_ONCE(pool.stop, true);
	pthread_cond_broadcast(&pool.work);
	pthread_cond_signal(&pool.keeper_wait);
	mutex_unlock(&pool.lock);
	if (pool.running)
		pthread_join(pool.keeper, NULL);
	pool.running = false;
	for (unsigned int i = 0; i < MAX_FLUSHERS; i++)
		join_slot(i);
}
