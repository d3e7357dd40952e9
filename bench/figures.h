/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * bench/figures.h - from samples to figures, and figures in JSON lines
 */
#ifndef BENCH_FIGURES_H
#define BENCH_FIGURES_H

#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

/* Of many accesses, in us. */
struct latency {
	double p50, p99, p999, max;
};

/* Sorts @samples, which are in ns. None: *@lat is left as it is. */
void latency_of(uint32_t *samples, uint64_t nr, struct latency *lat);

/* Sorts @v; of an even number the mean of both in the middle, of none 0. */
double median(double *v, unsigned int nr);

/* @a / @b; 0: there is nothing to compare. */
double ratio(double a, double b);

/* A string of a JSON line, quoted. */
void json_quote(FILE *f, const char *s);

/* The arguments in one line, cut off at @size. */
void command_line(char *buf, size_t size, int argc, char **argv);

#endif /* BENCH_FIGURES_H */
