/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * include/deadline.h - until when a timed wait waits
 */
#ifndef PAGEFS_DEADLINE_H
#define PAGEFS_DEADLINE_H

#include <time.h>

/**
 * deadline_after - @ms milliseconds from now by @clock
 *
 * For pthread_cond_timedwait() of a condition with that clock, and its kind.
 * Context: any thread. Takes no lock, cannot fail.
 */
static inline struct timespec deadline_after(clockid_t clock, unsigned long ms)
{
	struct timespec ts;

	clock_gettime(clock, &ts);
	ts.tv_sec += (time_t)(ms / 1000);
	ts.tv_nsec += (long)(ms % 1000) * 1000000;
	ts.tv_sec += ts.tv_nsec / 1000000000;
	ts.tv_nsec %= 1000000000;
	return ts;
}

#endif /* PAGEFS_DEADLINE_H */
