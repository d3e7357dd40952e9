// SPDX-License-Identifier: BSD-2-Clause
/*
 * tests/harness.c - test programs: run cases under CUnit, speak TAP
 *
 *   test_main -> CU_run_all_tests -> run_case -> cases[i].fn
 *                     |                  ^
 *                     +-- case_done      +--- longjmp -- test_skip
 *
 * H1. The program succeeds only if as many cases ran as were selected, and no
 *     assertion failed. CUnit's CU_get_error() says neither: it is 0 after a
 *     failed assertion, and a case that could not be added is merely absent.
 * H2. Each case prints exactly one "ok" or "not ok" line. A case that kills
 *     the program prints none, and the plan at the top shows that to the
 *     driver.
 *
 * Locks:  none; everything here runs in the main thread.
 * Source: the TAP specification, version 12; CUnit 2.1-3.
 */
#include <pthread.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <fcntl.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>
#include "harness.h"
#include "splitmix.h"

/*
 * Seconds; arbitrary, several times what the slowest case takes under
 * ThreadSanitizer. A case that hangs must not hang the whole run.
 */
#define CASE_TIMEOUT	300
/* Seconds a child of dies() gets; arbitrary. */
#define CHILD_TIMEOUT	60
/* Arbitrary: an assertion in a loop says the same thing many times. */
#define MAX_PRINTED	20

static const struct test_case *selected[1024];	/* more would be refused */
static unsigned int nr_selected;
static unsigned int nr_done;
static unsigned int nr_failures_before;	/* of cases already reported */
static jmp_buf skip_jmp;
static char skip_reason[256];
static const char *filter;

/* glibc hands main()'s arguments to constructors too. */
static __attribute__((constructor)) void harness_args(int argc, char **argv)
{
	filter = argc > 1 ? argv[1] : NULL;
}

uint64_t test_seed(void)
{
	static uint64_t seed;
	const char *env = getenv("PAGEFS_SEED");
	struct timespec ts;

	if (seed)
		return seed;
	if (env && *env) {
		seed = strtoull(env, NULL, 0);
	} else {
		clock_gettime(CLOCK_REALTIME, &ts);
		seed = (uint64_t)ts.tv_sec * 1000003u ^ (uint64_t)ts.tv_nsec;
	}
	if (!seed)
		seed = 1;	/* 0 means not chosen yet */
	return seed;
}

uint64_t test_rand(uint64_t *state)
{
	return splitmix64(state);
}

static __noreturn void dies_child(void (*fn)(void *), void *arg)
{
	static const struct rlimit no_core;
	int fd = open("/dev/null", O_RDWR);

	if (fd < 0 || dup2(fd, 1) < 0 || dup2(fd, 2) < 0)
		_exit(1);
	setrlimit(RLIMIT_CORE, &no_core);
	signal(SIGABRT, SIG_DFL);
	alarm(CHILD_TIMEOUT);
	fn(arg);
	_exit(0);
}

bool dies(void (*fn)(void *), void *arg)
{
	int status;
	pid_t pid;

	fflush(NULL);
	pid = fork();
	if (pid < 0) {
		perror("# fork");
		return false;
	}
	if (pid == 0)
		dies_child(fn, arg);
	while (waitpid(pid, &status, 0) < 0)
		;		/* EINTR: nothing else can happen */
	return WIFSIGNALED(status) && WTERMSIG(status) == SIGABRT;
}

void test_skip(const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(skip_reason, sizeof(skip_reason), fmt, ap);
	va_end(ap);
	longjmp(skip_jmp, 1);
}

static unsigned int case_timeout(void)
{
	const char *env = getenv("PAGEFS_TEST_TIMEOUT");

	return env && *env ? (unsigned int)atoi(env) : CASE_TIMEOUT;
}

bool test_orphans;

/*
 * What a case forks dies with the program. When a time limit ends the program,
 * a child left behind would keep its output open, and the driver waiting.
 */
static void child_dies_with_us(void)
{
	if (!test_orphans)
		prctl(PR_SET_PDEATHSIG, SIGKILL);
}

/* CUnit calls this for every case, in the order of selected[]. */
static void run_case(void)
{
	skip_reason[0] = '\0';
	alarm(case_timeout());
	if (!setjmp(skip_jmp))
		selected[nr_done]->fn();
}

static void print_failures(const CU_FailureRecord *f)
{
	unsigned int nr = 0;

	for (; f && nr < MAX_PRINTED; f = f->pNext, nr++)
		printf("# %s:%u: %s\n", f->strFileName ? f->strFileName : "?",
		       f->uiLineNumber, f->strCondition ? f->strCondition : "?");
	if (f)
		printf("# and more\n");
}

static void case_done(const CU_pTest test, const CU_pSuite suite,
		      const CU_pFailureRecord first)
{
	unsigned int failures = CU_get_number_of_failures();
	bool failed = failures != nr_failures_before;

	(void)suite;
	alarm(0);
	nr_failures_before = failures;
	nr_done++;
	if (failed)
		print_failures(first);
	printf("%s %u - %s%s%s\n", failed ? "not ok" : "ok", nr_done,
	       test->pName, skip_reason[0] && !failed ? " # SKIP " : "",
	       failed ? "" : skip_reason);
	fflush(stdout);
}

static bool select_cases(const struct test_case *cases, size_t nr)
{
	for (size_t i = 0; i < nr; i++) {
		if (filter && !strstr(cases[i].name, filter))
			continue;
		if (nr_selected == ARRAY_SIZE(selected))
			return false;
		selected[nr_selected++] = &cases[i];
	}
	return nr_selected > 0;
}

static bool add_cases(const char *name)
{
	CU_pSuite suite = CU_add_suite(name, NULL, NULL);

	if (!suite)
		return false;
	for (unsigned int i = 0; i < nr_selected; i++) {
		/* Fails for a name that is there twice, among others. */
		CU_pTest test = CU_add_test(suite, selected[i]->name, run_case);

		if (!test || CU_get_error() != CUE_SUCCESS)
			return false;
	}
	return true;
}

int test_main(const char *suite, const struct test_case *cases, size_t nr)
{
	unsigned int ran;

	if (!select_cases(cases, nr)) {
		printf("Bail out! %s: no case to run, or too many\n", suite);
		return 1;
	}
	printf("1..%u\n# %s, PAGEFS_SEED=%llu\n", nr_selected, suite,
	       (unsigned long long)test_seed());
	fflush(stdout);
	pthread_atfork(NULL, NULL, child_dies_with_us);
	if (CU_initialize_registry() != CUE_SUCCESS || !add_cases(suite)) {
		printf("Bail out! %s: %s\n", suite, CU_get_error_msg());
		return 1;
	}
	CU_set_test_complete_handler(case_done);
	CU_set_error_action(CUEA_IGNORE);
	CU_run_all_tests();
	ran = CU_get_number_of_tests_run();		/* H1 */
	nr_failures_before = CU_get_number_of_failures();
	CU_cleanup_registry();
	if (ran != nr_selected || nr_done != nr_selected) {
		printf("Bail out! %s: %u of %u cases ran\n", suite, ran,
		       nr_selected);
		return 1;
	}
	return nr_failures_before != 0;
}
