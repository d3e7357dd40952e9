/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * tests/splitmix.h - the random numbers of all test programs and benchmarks
 *
 * A seed that a failure prints means the same numbers again; the state is one
 * word, so that each thread can have its own.
 *
 * Source: splitmix64, Steele, Lea and Flood (2014).
 */
#ifndef PAGEFS_TESTS_SPLITMIX_H
#define PAGEFS_TESTS_SPLITMIX_H

#include <stdint.h>

/* The next of a sequence that *@state alone determines; any start will do. */
static inline uint64_t splitmix64(uint64_t *state)
{
	uint64_t z = (*state += 0x9e3779b97f4a7c15u);

	z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9u;
	z = (z ^ (z >> 27)) * 0x94d049bb133111ebu;
	return z ^ (z >> 31);
}

#endif /* PAGEFS_TESTS_SPLITMIX_H */
