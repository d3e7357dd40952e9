// SPDX-License-Identifier: BSD-2-Clause
/*
 * mm/pdflush.c - the threads that write dirty pages back
 *
 *   wakeup_flusher_threads(reason) --> wanted bit --> an idle thread takes it
 *   every dirty_writeback_centisecs -> PERIODIC   --> and does
 *
 *   THROTTLED   a writer waits: passes until below the background threshold
 *   BACKGROUND  the same; nobody waits
 *   PERIODIC    one pass over what is older than dirty_expire_centisecs
 *   RECLAIM     passes until a batch is written: memory is short
 *
 * A reason wanted again while a thread works on it is taken by another thread;
 * two never work on the same mapping (backing-dev.c I3).
 *
 * Flushers free memory by working, so they may use the reserve and do not
 * reclaim (memalloc_save).
 *
 * Locks:  pool.lock, a leaf; nothing is written under it.
 * Source: Linux 2.6 mm/pdflush.c, fs/fs-writeback.c (wb_workfn).
 */
#include <errno.h>
#include <limits.h>
#include <pthread.h>
#include <stdio.h>
#include <time.h>

#include "internal.h"
#include "page.h"

#define NR_PDFLUSH	2	/* one may wait for a slow file */
#define WB_BATCH	4096L	/* pages of a pass before limits are read again */
#define RECLAIM_BATCH	1024L	/* 4 MiB: what one call of reclaim is good for */

/* Fields: (P) pool.lock. */
static struct {
	struct mutex lock;
	pthread_cond_t wait;
	unsigned int wanted;		/* (P) bit per wb_reason */
	unsigned int nr_threads;	/* (P) */
	uint64_t next_periodic_ms;	/* (P) */
	bool stop;			/* (P) */
	pthread_t threads[NR_PDFLUSH];
} pool = {
	.lock = MUTEX_INITIALIZER(LOCK_LEAF),
	.wait = PTHREAD_COND_INITIALIZER,
};

void wakeup_flusher_threads(enum wb_reason reason)
{
	/* Set and not yet taken: whoever takes it sees what we see. */
	if (READ_ONCE(pool.wanted) & (1u << reason))
		return;
	mutex_lock(&pool.lock);
	WRITE_ONCE(pool.wanted, pool.wanted | (1u << reason));
	pthread_cond_signal(&pool.wait);
	mutex_unlock(&pool.lock);
}

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

static void count_failed(struct backing_dev_info *bdi, void *arg)
{
	*(unsigned long *)arg += atomic_load(&bdi->nr_failed);
}

static unsigned long nr_failed_pages(void)
{
	unsigned long nr = 0;

	for_each_bdi(count_failed, &nr);
	return nr;
}

static void background_writeout(void)
{
	unsigned long failed = nr_failed_pages();

	while (over_background_thresh() && !READ_ONCE(pool.stop)) {
		struct writeback_control wbc = pass(WB_REASON_BACKGROUND, WB_BATCH);

		writeback_mappings(&wbc, 0);
		/* All is with another flusher, locked, or failing: the next
		 * writer or the periodic pass tries again. A device that fails
		 * has its pages dirty again at once. */
		if (!wbc.pages_written || nr_failed_pages() != failed)
			break;
	}
}

static void periodic_writeout(void)
{
	uint32_t expire = atomic_load(&vm_tunables.dirty_expire_centisecs);
	unsigned long failed = nr_failed_pages();
	struct writeback_control wbc;

	do {
		wbc = pass(WB_REASON_PERIODIC, WB_BATCH);
		writeback_mappings(&wbc, expire);
	} while (wbc.nr_to_write <= 0 && nr_failed_pages() == failed &&
		 !READ_ONCE(pool.stop));
}

static void reclaim_writeout(void)
{
	struct writeback_control wbc = pass(WB_REASON_RECLAIM, RECLAIM_BATCH);

	writeback_mappings(&wbc, 0);
}

static void do_work(enum wb_reason reason)
{
	switch (reason) {
	case WB_REASON_BACKGROUND:
	case WB_REASON_THROTTLED:
		background_writeout();
		break;
	case WB_REASON_PERIODIC:
		periodic_writeout();
		break;
	case WB_REASON_RECLAIM:
		reclaim_writeout();
		break;
	default:
		break;		/* sync is done by who asks for it */
	}
}

/* Sleeps until something is wanted or the next periodic pass is due. */
static void wait_for_work(void)
{
	uint32_t interval = atomic_load(&vm_tunables.dirty_writeback_centisecs);
	uint64_t now = mm_msecs();
	struct timespec deadline;

	if (!interval) {	/* 0 disables it, as in Linux */
		pool.next_periodic_ms = now;
		pthread_cond_wait(&pool.wait, &pool.lock.m);
		return;
	}
	if (now >= pool.next_periodic_ms) {
		pool.next_periodic_ms = now + interval * 10;
		WRITE_ONCE(pool.wanted, pool.wanted | 1u << WB_REASON_PERIODIC);
		return;
	}
	deadline_after_ms(&deadline, pool.next_periodic_ms - now);
	pthread_cond_timedwait(&pool.wait, &pool.lock.m, &deadline);
}

/* Memory first. Context: pool.lock. Return: a reason, or -1. */
static int take_work(void)
{
	static const enum wb_reason order[] = {
		WB_REASON_RECLAIM, WB_REASON_THROTTLED, WB_REASON_BACKGROUND,
		WB_REASON_PERIODIC,
	};

	for (unsigned int i = 0; i < ARRAY_SIZE(order); i++) {
		unsigned int bit = 1u << order[i];

		if (pool.wanted & bit) {
			WRITE_ONCE(pool.wanted, pool.wanted & ~bit);
			return order[i];
		}
	}
	return -1;
}

static void *pdflush_main(void *arg)
{
	char name[16];
	int reason;

	snprintf(name, sizeof(name), "pagefs-flush/%u",
		 (unsigned int)(uintptr_t)arg);
	pthread_setname_np(pthread_self(), name);
	memalloc_save();
	mutex_lock(&pool.lock);
	while (!pool.stop) {
		reason = take_work();
		if (reason < 0) {
			wait_for_work();
			continue;
		}
		mutex_unlock(&pool.lock);
		do_work(reason);
		mutex_lock(&pool.lock);
	}
	mutex_unlock(&pool.lock);
	return NULL;
}

int pdflush_init(void)
{
	int err = 0;

	pool.wanted = 0;
	pool.nr_threads = 0;
	pool.next_periodic_ms = mm_msecs();
	pool.stop = false;
	while (pool.nr_threads < NR_PDFLUSH && !err) {
		err = -pthread_create(&pool.threads[pool.nr_threads], NULL,
				      pdflush_main,
				      (void *)(uintptr_t)pool.nr_threads);
		if (!err)
			pool.nr_threads++;
	}
	if (err)
		pdflush_exit();
	return err;
}

void pdflush_exit(void)
{
	mutex_lock(&pool.lock);
	WRITE_ONCE(pool.stop, true);
	pthread_cond_broadcast(&pool.wait);
	mutex_unlock(&pool.lock);
	while (pool.nr_threads)
		pthread_join(pool.threads[--pool.nr_threads], NULL);
}
