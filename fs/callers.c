// SPDX-License-Identifier: BSD-2-Clause
/*
 * fs/callers.c - threads that sleep until we answer: one or several, and where
 *
 *              3 changes of thread in 32 calls
 *         ONE ---------------------------------> SEVERAL
 *             <---------------------------------
 *              1 change at most in each of 4 x 32
 *
 * The counters are racy among those who serve several callers; a window more or
 * less decides nothing.
 *
 *                       a call: ticker_call
 *   the manager sleeps ---------------------> it ticks
 *                      <---------------------
 *                      50 ticks without a call
 *
 * T1. A call that finds the manager ticking is seen by a tick: ticker_stop()
 *     looks at the count again when it has said that ticking ends.
 */
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "callers.h"

#define WINDOW		32u	/* calls between decisions; by experiment */
#define SWITCHES	3u	/* thread changes in a window: several callers */
#define CALM		4u	/* calm windows before it is one again */

#define TICK_MS		20u	/* while there are calls; arbitrary */
#define QUIET_TICKS	5u	/* of fewer calls, then CPUs may sleep again */
#define IDLE_TICKS	50u	/* of none, then ticking ends */
#define BUSY_CALLS	20u	/* in a tick: 1,000 a second */

static enum callers_verdict decide(struct callers *callers, unsigned int switches)
{
	if (switches > 1) {
		atomic_store(&callers->calm, 0);
		return switches >= SWITCHES ? CALLERS_SEVERAL :
					      CALLERS_UNDECIDED;
	}
	if (atomic_load(&callers->calm) >= CALM)
		return CALLERS_ONE;
	return atomic_fetch_add(&callers->calm, 1) + 1 >= CALM ?
		CALLERS_ONE : CALLERS_UNDECIDED;
}

enum callers_verdict callers_note(struct callers *callers, uint32_t tid)
{
	const memory_order relaxed = memory_order_relaxed;

	if (atomic_exchange_explicit(&callers->last_tid, tid, relaxed) != tid)
		atomic_fetch_add_explicit(&callers->switches, 1, relaxed);
	if (atomic_fetch_add_explicit(&callers->seen, 1, relaxed) + 1 < WINDOW)
		return CALLERS_UNDECIDED;
	atomic_store_explicit(&callers->seen, 0, relaxed);
	return decide(callers, atomic_exchange_explicit(&callers->switches, 0,
							relaxed));
}

/* ---- the CPU of a caller ---- */

/* Field 39 of proc(5)'s stat; the name, field 2, may have blanks. -1: gone. */
static int parse_cpu(char *stat)
{
	char *p = strrchr(stat, ')');

	for (int field = 2; p && field < 39; field++) {
		p = strchr(p, ' ');
		if (p)
			p++;
	}
	return p ? atoi(p) : -1;
}

void followed_close(struct followed_caller *followed)
{
	if (followed->fd >= 0)
		close(followed->fd);
	followed->fd = -1;
}

static void open_stat(struct followed_caller *followed, uint32_t tid)
{
	char path[32];

	followed_close(followed);
	snprintf(path, sizeof(path), "/proc/%u/stat", tid);
	followed->fd = open(path, O_RDONLY | O_CLOEXEC);
	followed->tid = tid;
}

int caller_cpu(struct followed_caller *followed, uint32_t tid,
	       unsigned int every)
{
	char stat[512];
	ssize_t len;

	if (tid == followed->tid && ++followed->since < every)
		return -1;
	followed->since = 0;
	if (tid != followed->tid || followed->fd < 0)
		open_stat(followed, tid);
	len = pread(followed->fd, stat, sizeof(stat) - 1, 0);
	if (len <= 0) {
		/* Gone, and the number may be another's soon. */
		followed_close(followed);
		return -1;
	}
	stat[len] = '\0';
	return parse_cpu(stat);
}

/* ---- while they call ---- */

static void cpu_latency_hold(struct cpu_latency *latency, bool hold)
{
	/* Microseconds; the second is the kernel's PM_QOS default, no wish. */
	const int32_t us = hold ? 0 : 2000 * 1000 * 1000;

	if (latency->fd < 0 || hold == latency->held)
		return;
	if (write(latency->fd, &us, sizeof(us)) == sizeof(us))
		latency->held = hold;
}

static void cpu_latency_init(struct cpu_latency *latency, bool wanted)
{
	latency->fd = wanted ? open("/dev/cpu_dma_latency",
				    O_WRONLY | O_CLOEXEC) : -1;
	latency->held = latency->fd >= 0;	/* opening it is a wish for 0 */
	cpu_latency_hold(latency, false);
}

static void cpu_latency_exit(struct cpu_latency *latency)
{
	if (latency->fd >= 0)
		close(latency->fd);
	latency->fd = -1;
}

void ticker_init(struct ticker *ticker, bool low_latency)
{
	cpu_latency_init(&ticker->latency, low_latency);
}

void ticker_exit(struct ticker *ticker)
{
	cpu_latency_exit(&ticker->latency);
}

unsigned int ticker_ms(const struct ticker *ticker)
{
	return atomic_load(&ticker->ticking) ? TICK_MS : 0;
}

bool ticker_tick(struct ticker *ticker)
{
	unsigned int total = atomic_load(&ticker->total);
	unsigned int came = total - ticker->tick_total;

	if (!atomic_load(&ticker->ticking))
		return false;
	ticker->tick_total = total;
	ticker->quiet = came >= BUSY_CALLS ? 0 : ticker->quiet + 1;
	ticker->idle = came ? 0 : ticker->idle + 1;
	if (!ticker->quiet)
		cpu_latency_hold(&ticker->latency, true);
	else if (ticker->quiet >= QUIET_TICKS)
		cpu_latency_hold(&ticker->latency, false);
	return true;
}

bool ticker_is_idle(const struct ticker *ticker)
{
	return ticker->idle >= IDLE_TICKS;
}

void ticker_stop(struct ticker *ticker)
{
	ticker->idle = 0;
	atomic_store(&ticker->ticking, false);
	/* T1. Pairs with ticker_call(): it counted before it looked at ticking. */
	if (atomic_load(&ticker->total) != ticker->tick_total)
		atomic_store(&ticker->ticking, true);
}
