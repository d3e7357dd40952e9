/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * callers.h - threads that sleep until we answer: one or several, and where:
 *             fs/callers.c
 *
 * Waking an idle CPU costs more than most answers. Who serves a single caller
 * does best on the caller's CPU, which its sleep leaves to us; and CPUs that
 * have to be woken should not sleep deeply. Used for requests of the kernel's
 * FUSE client (fs/fuse_place.c) and for page faults (daemon/slots.c).
 */
#ifndef PAGEFS_CALLERS_H
#define PAGEFS_CALLERS_H

#include <stdatomic.h>
#include "compiler.h"

/* ---- one or several ---- */

/* Fields: (A) atomic. All zero at first. */
struct callers {
	atomic_uint last_tid;		/* (A) who called last */
	atomic_uint seen, switches;	/* (A) in this window */
	atomic_uint calm;		/* (A) windows */
};

enum callers_verdict {
	CALLERS_UNDECIDED,		/* leave things as they are */
	CALLERS_ONE,
	CALLERS_SEVERAL,
};

/* Thread @tid calls. Any thread, no lock. */
enum callers_verdict callers_note(struct callers *callers, uint32_t tid);

/* ---- the CPU of a caller ---- */

/* Whose stat file is open, if any. Its thread's own. */
struct followed_caller {
	uint32_t tid;
	int fd;			/* or -1 */
	unsigned int since;	/* calls since the last look */
};
#define FOLLOWED_NOBODY		((struct followed_caller){ .fd = -1 })

/*
 * The CPU that @tid last ran on, looked up with every @every'th call by it.
 * Return: it, or -1: nothing new.
 */
int caller_cpu(struct followed_caller *followed, uint32_t tid,
	       unsigned int every);
void followed_close(struct followed_caller *followed);

/* ---- while they call ---- */

/* A wish that CPUs wake fast: /dev/cpu_dma_latency. The kernel forgets it when
 * the descriptor is closed, however we die. Its owner's own. */
struct cpu_latency {
	int fd;			/* -1: not allowed, or not wanted */
	bool held;
};

/*
 * While there are calls a manager thread ticks: it looks whether who serves them
 * still can, and holds that wish while there are more than 1,000 a second.
 * Fields: (A) atomic; (M) the manager's.
 */
struct ticker {
	atomic_uint total;		/* (A) calls, ever */
	atomic_bool ticking;		/* (A) */
	unsigned int tick_total;	/* (M) at the last tick */
	unsigned int quiet, idle;	/* (M) ticks */
	struct cpu_latency latency;	/* (M) */
};

/* @low_latency: the wish may be held. @ticker is all zero. */
void ticker_init(struct ticker *ticker, bool low_latency);
void ticker_exit(struct ticker *ticker);

/* A call. Return: true: wake the manager, so that it ticks. */
static inline bool ticker_call(struct ticker *ticker)
{
	atomic_fetch_add(&ticker->total, 1);	/* pairs with ticker_stop() */
	return !atomic_load(&ticker->ticking) &&
		!atomic_exchange(&ticker->ticking, true);
}

/* How long the manager sleeps before the next tick; 0: until it is woken. */
unsigned int ticker_ms(const struct ticker *ticker);
/* A tick. Return: false: it was none, nobody has called. */
bool ticker_tick(struct ticker *ticker);
/* Has nobody called for long? Then the manager may end the ticks. */
bool ticker_is_idle(const struct ticker *ticker);
void ticker_stop(struct ticker *ticker);

#endif /* PAGEFS_CALLERS_H */
