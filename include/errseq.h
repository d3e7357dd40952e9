/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * errseq.h - report an error once to everybody who should hear of it
 *
 *   31            13 12   11      0
 *   [  sequence     | SEEN | errno ]
 *
 * A mapping has one errseq_t; each open file samples it at open, and fsync
 * compares: changed since the sample means an error it has not reported.
 * The sequence rises only when the last error was seen by somebody, so a
 * burst of errors is one report.
 *
 * Source: Linux lib/errseq.c (Jeff Layton), the scheme.
 */
#ifndef PAGEFS_ERRSEQ_H
#define PAGEFS_ERRSEQ_H

#include <stdatomic.h>
#include "compiler.h"

typedef atomic_uint errseq_t;

/* Record @err, a negative errno. Any thread. */
void errseq_set(errseq_t *eseq, int err);
/* What an open file keeps. An error nobody has seen yet will be reported. */
unsigned int errseq_sample(errseq_t *eseq);
/* 0, or the error if there was one after @since; changes nothing. */
int errseq_check(errseq_t *eseq, unsigned int since);
/* The same, and *@since moves on, so it is reported once. */
int errseq_check_and_advance(errseq_t *eseq, atomic_uint *since);

#endif /* PAGEFS_ERRSEQ_H */
