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

/* ---- idle CPUs ---- */

/* A wish that CPUs wake fast: /dev/cpu_dma_latency. The kernel forgets it when
 * the descriptor is closed, however we die. Its owner's own. */
struct cpu_latency {
	int fd;			/* -1: not allowed, or not wanted */
	bool held;
};
void cpu_latency_init(struct cpu_latency *latency, bool wanted);
void cpu_latency_hold(struct cpu_latency *latency, bool hold);
void cpu_latency_exit(struct cpu_latency *latency);

#endif /* PAGEFS_CALLERS_H */
