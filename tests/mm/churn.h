/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * tests/mm/churn.h - threads for tests of what keeps something for each thread
 */
#ifndef PAGEFS_TESTS_CHURN_H
#define PAGEFS_TESTS_CHURN_H

#include <stdbool.h>

/*
 * Four threads run @fn with a seed each, and @beside runs with them, again and
 * again. @fn returns how many errors it has seen; none is asserted.
 */
void churn_run(void *(*fn)(void *seed), void (*beside)(void));

#define LATE_ROUNDS	3u

/*
 * A thread runs @fn and ends; then @late runs LATE_ROUNDS times: a destructor
 * that keeps coming back runs after those of mm/ have.
 */
void run_late(void *(*fn)(void *unused), void (*late)(void));

#endif /* PAGEFS_TESTS_CHURN_H */
