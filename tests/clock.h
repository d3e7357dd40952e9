/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * tests/clock.h - the time that deadlines of stress programs and benchmarks,
 *                 and what they measure, are in
 */
#ifndef PAGEFS_TESTS_CLOCK_H
#define PAGEFS_TESTS_CLOCK_H

#include <stdint.h>
#include <time.h>

/* Seconds; never set back. */
static inline double now(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (double)ts.tv_sec + (double)ts.tv_nsec / 1e9;
}

static inline uint64_t now_ns(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (uint64_t)ts.tv_sec * 1000000000 + (uint64_t)ts.tv_nsec;
}

#endif /* PAGEFS_TESTS_CLOCK_H */
