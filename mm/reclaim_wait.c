// SPDX-License-Identifier: BSD-2-Clause
/*
 * mm/reclaim_wait.c - who finds nothing to reclaim waits for progress
 *
 *   reclaim_progress_seq()     before looking
 *   nothing can go: all is dirty, under writeback, locked, or held
 *   wait_for_progress(seq)     until reclaim_progress() has been called since
 *
 * Locks:  progress.lock (LOCK_LEAF): the condition.
 * Source: Linux mm/vmscan.c (reclaim_throttle). Differs: woken by each page that
 *         may go, not by a number of them.
 */
#include <pthread.h>

#include "deadline.h"
#include "internal.h"
#include "page.h"
#include "vmscan.h"

static struct {
	struct mutex lock;
	pthread_cond_t cond;
	atomic_uint waiters;
	atomic_uint seq;		/* rises with every bit of progress */
} progress = {
	.lock = MUTEX_INITIALIZER(LOCK_LEAF),
	.cond = PTHREAD_COND_INITIALIZER,
};

void reclaim_progress(void)
{
	atomic_fetch_add(&progress.seq, 1);
	if (!atomic_load(&progress.waiters))
		return;		/* one that comes now sees the new seq */
	mutex_lock(&progress.lock);
	pthread_cond_broadcast(&progress.cond);
	mutex_unlock(&progress.lock);
}

unsigned int reclaim_progress_seq(void)
{
	return atomic_load(&progress.seq);
}

bool wait_for_progress(unsigned int seq, unsigned int ms)
{
	struct timespec deadline;

	blk_flush_plug();
	thread_will_block();
	deadline = deadline_after(CLOCK_REALTIME, ms);
	mutex_lock(&progress.lock);
	atomic_fetch_add(&progress.waiters, 1);
	while (atomic_load(&progress.seq) == seq)
		if (pthread_cond_timedwait(&progress.cond, &progress.lock.m,
					   &deadline))
			break;
	atomic_fetch_sub(&progress.waiters, 1);
	mutex_unlock(&progress.lock);
	return atomic_load(&progress.seq) != seq;
}
