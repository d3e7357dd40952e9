/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * rcu.h - read-copy-update, from liburcu's bulletproof flavour
 *
 * urcu-bp registers a thread at its first rcu_read_lock(), so no thread of a
 * library above us can forget to. Slots are published and read with C11
 * release and acquire order, not with urcu's macros: ThreadSanitizer sees the
 * former. It does not see inside liburcu, so the end of a grace period is
 * told to it by hand (rcu_tsan_*); without that every object reused after a
 * grace period reads as a race.
 */
#ifndef PAGEFS_RCU_H
#define PAGEFS_RCU_H

#include <urcu-bp.h>
#include "compiler.h"

#ifdef PAGEFS_TSAN
extern char rcu_tsan_clock;
void __tsan_acquire(void *addr);
void __tsan_release(void *addr);
/* A reader's section ends: all it read happened before the grace period's end. */
#define rcu_tsan_reader_done()	__tsan_release(&rcu_tsan_clock)
/* A grace period has ended: called first in every call_rcu() callback. */
#define rcu_tsan_gp_done()	__tsan_acquire(&rcu_tsan_clock)
#else
#define rcu_tsan_reader_done()	do { } while (0)
#define rcu_tsan_gp_done()	do { } while (0)
#endif

static inline void mm_rcu_read_lock(void)
{
	urcu_bp_read_lock();
}

static inline void mm_rcu_read_unlock(void)
{
	rcu_tsan_reader_done();
	urcu_bp_read_unlock();
}

/*
 * Calls @fn(@head) after a grace period, in a thread of liburcu's. @fn begins
 * with rcu_tsan_gp_done(). Never sleeps.
 */
static inline void mm_call_rcu(struct rcu_head *head,
			       void (*fn)(struct rcu_head *head))
{
	rcu_tsan_reader_done();		/* the callback sees what we wrote */
	urcu_bp_call_rcu(head, fn);
}

#endif /* PAGEFS_RCU_H */
