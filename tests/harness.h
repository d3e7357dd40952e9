/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * tests/harness.h - what every test program is made of
 *
 *	static const struct test_case cases[] = {
 *		{ "a sentence that is true when the case passes", function },
 *	};
 *
 *	int main(void)
 *	{
 *		return test_main("mm/filemap", cases, ARRAY_SIZE(cases));
 *	}
 *
 * A case asserts with CUnit's CU_ASSERT_*. CUnit's counters know no threads
 * and its *_FATAL leave by longjmp, so only the thread that runs the case may
 * assert: others return what they saw and are joined.
 *
 * The program prints TAP, which automake's driver counts case by case. Run by
 * hand it takes one argument: only cases whose name contains it are run.
 *
 *   PAGEFS_SEED=N		the seed of randomized cases, to repeat a run
 *   PAGEFS_TEST_TIMEOUT=S	seconds a case may take; 0 for no limit
 */
#ifndef PAGEFS_TESTS_HARNESS_H
#define PAGEFS_TESTS_HARNESS_H

#include <CUnit/CUnit.h>
#include "compiler.h"

struct test_case {
	const char *name;
	void (*fn)(void);
};

/**
 * test_main - run @cases in order, each to its end, as suite @suite
 *
 * Return: what main() returns: 0 only if every selected case ran and no
 *         assertion failed.
 */
int test_main(const char *suite, const struct test_case *cases, size_t nr);

/**
 * test_skip - leave the current case, which counts as skipped
 * @fmt: why, for the reader of the log: what would have to be there
 *
 * Context: the thread that runs the case. Assertions that failed before still
 *          count. What the case acquired is not released.
 */
void test_skip(const char *fmt, ...) __printf(1, 2) __noreturn;

/* The seed of this run, the same at every call: PAGEFS_SEED or the clock. */
uint64_t test_seed(void);

/*
 * The next of a sequence of numbers that *@state alone determines; any
 * starting value will do. Each thread keeps its own state.
 */
uint64_t test_rand(uint64_t *state);

/*
 * True if @fn(@arg) ends its process by SIGABRT: how BUG_ON is tested. Runs in
 * a forked child without this process's other threads. It has a copy of the
 * memory, but the arena is shared: what @fn writes there, the parent finds.
 * liburcu's thread is missing, so @fn must not wait for callbacks (mm_exit).
 */
bool dies(void (*fn)(void *), void *arg);

/* Children of fork() are killed with this process, unless it has set this. */
extern bool test_orphans;

#endif /* PAGEFS_TESTS_HARNESS_H */
