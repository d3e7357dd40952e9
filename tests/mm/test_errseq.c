// SPDX-License-Identifier: BSD-2-Clause
/*
 * tests/mm/test_errseq.c - see mm/errseq.c
 */
#include <errno.h>
#include <pthread.h>

#include "errseq.h"
#include "harness.h"

static void fresh_is_silent(void)
{
	errseq_t e = 0;
	atomic_uint since = errseq_sample(&e);

	CU_ASSERT_EQUAL(errseq_check(&e, since), 0);
	CU_ASSERT_EQUAL(errseq_check_and_advance(&e, &since), 0);
}

static void once_per_sample(void)
{
	errseq_t e = 0;
	atomic_uint a = errseq_sample(&e), b = errseq_sample(&e);

	errseq_set(&e, -EIO);
	CU_ASSERT_EQUAL(errseq_check(&e, a), -EIO);
	CU_ASSERT_EQUAL(errseq_check(&e, a), -EIO);	/* changes nothing */
	CU_ASSERT_EQUAL(errseq_check_and_advance(&e, &a), -EIO);
	CU_ASSERT_EQUAL(errseq_check_and_advance(&e, &a), 0);
	CU_ASSERT_EQUAL(errseq_check_and_advance(&e, &b), -EIO);
	CU_ASSERT_EQUAL(errseq_check_and_advance(&e, &b), 0);
}

static void unseen_is_reported_to_late_openers(void)
{
	errseq_t e = 0;
	atomic_uint a = errseq_sample(&e), b, c;

	errseq_set(&e, -ENOSPC);
	b = errseq_sample(&e);
	CU_ASSERT_EQUAL(errseq_check_and_advance(&e, &b), -ENOSPC);
	c = errseq_sample(&e);		/* now it was seen */
	CU_ASSERT_EQUAL(errseq_check_and_advance(&e, &c), 0);
	CU_ASSERT_EQUAL(errseq_check_and_advance(&e, &a), -ENOSPC);
}

static void burst_is_one_report(void)
{
	errseq_t e = 0;
	atomic_uint a = errseq_sample(&e);

	errseq_set(&e, -EIO);
	errseq_set(&e, -EIO);
	errseq_set(&e, -ENOSPC);
	CU_ASSERT_EQUAL(errseq_check_and_advance(&e, &a), -ENOSPC);
	CU_ASSERT_EQUAL(errseq_check_and_advance(&e, &a), 0);
}

static void same_error_again_is_new(void)
{
	errseq_t e = 0;
	atomic_uint a = errseq_sample(&e);

	for (int i = 0; i < 1000; i++) {
		errseq_set(&e, -EIO);
		CU_ASSERT_EQUAL(errseq_check_and_advance(&e, &a), -EIO);
		CU_ASSERT_EQUAL(errseq_check_and_advance(&e, &a), 0);
	}
}

/* Others' reports in between must not make the next error look like the last. */
static void report_to_others_hides_nothing(void)
{
	errseq_t e = 0;
	atomic_uint a, b;

	errseq_set(&e, -EIO);
	a = b = errseq_sample(&e);
	CU_ASSERT_EQUAL(errseq_check_and_advance(&e, &a), -EIO);
	errseq_set(&e, -EIO);
	CU_ASSERT_EQUAL(errseq_check_and_advance(&e, &b), -EIO);
	CU_ASSERT_EQUAL(errseq_check_and_advance(&e, &a), -EIO);
	CU_ASSERT_EQUAL(errseq_check_and_advance(&e, &b), 0);
}

/* Two fsyncs of one open file: exactly one of them reports. */
static errseq_t shared;
static atomic_uint shared_since;
static atomic_uint reports;

static void *fsyncer(void *arg)
{
	for (int i = 0; i < 20000; i++)
		if (errseq_check_and_advance(&shared, &shared_since))
			atomic_fetch_add(&reports, 1);
	return arg;
}

static void one_of_two_racing_fsyncs_reports(void)
{
	pthread_t t[2];
	unsigned int sets = 0;

	shared = 0;
	shared_since = 0;
	reports = 0;
	for (int i = 0; i < 2; i++)
		pthread_create(&t[i], NULL, fsyncer, NULL);
	for (; sets < 2000; sets++)
		errseq_set(&shared, -EIO);
	for (int i = 0; i < 2; i++)
		pthread_join(t[i], NULL);
	fsyncer(NULL);
	CU_ASSERT(reports >= 1 && reports <= sets);
	CU_ASSERT_EQUAL(errseq_check(&shared, shared_since), 0);
}

static const struct test_case cases[] = {
	{ "a mapping without errors reports none", fresh_is_silent },
	{ "an error is reported once to each sample", once_per_sample },
	{ "an opener hears of an error nobody has seen",
	  unseen_is_reported_to_late_openers },
	{ "errors nobody saw in between are one report", burst_is_one_report },
	{ "the same error after a report is reported again",
	  same_error_again_is_new },
	{ "a report to one hides no new error from another",
	  report_to_others_hides_nothing },
	{ "racing fsyncs of one file lose and double no report",
	  one_of_two_racing_fsyncs_reports },
};

int main(void)
{
	return test_main("mm/errseq", cases, ARRAY_SIZE(cases));
}
