// SPDX-License-Identifier: BSD-2-Clause
/*
 * tests/mm/churn.c - threads for tests of what keeps something for each thread
 */
#include <pthread.h>

#include "bug.h"
#include "churn.h"
#include "harness.h"

/* ---- many at once ---- */

static bool churn_stop;
static void (*churn_beside)(void);

static void *beside_main(void *unused)
{
	(void)unused;
	while (!READ_ONCE(churn_stop))
		churn_beside();
	return NULL;
}

void churn_run(void *(*fn)(void *seed), void (*beside)(void))
{
	pthread_t threads[4], beside_thread;
	void *bad;

	churn_stop = false;
	churn_beside = beside;
	BUG_ON(pthread_create(&beside_thread, NULL, beside_main, NULL));
	for (uintptr_t i = 0; i < ARRAY_SIZE(threads); i++)
		BUG_ON(pthread_create(&threads[i], NULL, fn,
				      (void *)(test_seed() + i)));
	for (size_t i = 0; i < ARRAY_SIZE(threads); i++) {
		pthread_join(threads[i], &bad);
		CU_ASSERT_PTR_NULL(bad);
	}
	WRITE_ONCE(churn_stop, true);
	pthread_join(beside_thread, NULL);
}

/* ---- one that ends ---- */

static pthread_key_t late_key;
static void *(*late_first)(void *unused);
static void (*late_then)(void);

static void late_destructor(void *round)
{
	late_then();
	if ((uintptr_t)round < LATE_ROUNDS)
		pthread_setspecific(late_key, (void *)((uintptr_t)round + 1));
}

static void *late_main(void *unused)
{
	pthread_setspecific(late_key, (void *)1);
	return late_first(unused);
}

void run_late(void *(*fn)(void *unused), void (*late)(void))
{
	pthread_t thread;

	late_first = fn;
	late_then = late;
	BUG_ON(pthread_key_create(&late_key, late_destructor));
	BUG_ON(pthread_create(&thread, NULL, late_main, NULL));
	pthread_join(thread, NULL);
	pthread_key_delete(late_key);
}
