/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * blocking.h - a thread is about to sleep for something slow
 *
 * A worker that alone reads requests (fs/fuse_place.c) must pass that duty on
 * before it waits for a disk or for somebody who may. It sets thread_blocks;
 * whoever is about to sleep for I/O, memory or a contended lock says so first.
 * The hook takes leaf locks only, does not sleep itself, and may be called
 * more often than there is need.
 *
 * Source: Linux sched_submit_work(), io_schedule_prepare(), the role.
 */
#ifndef PAGEFS_BLOCKING_H
#define PAGEFS_BLOCKING_H

extern __thread void (*thread_blocks)(void);	/* mm/lockdep.c */

static inline void thread_will_block(void)
{
	if (thread_blocks)
		thread_blocks();
}

#endif /* PAGEFS_BLOCKING_H */
