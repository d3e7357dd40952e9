/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * client/ctl/histogram.h - how often there was what
 */
#ifndef PAGEFS_CTL_HISTOGRAM_H
#define PAGEFS_CTL_HISTOGRAM_H

#include <stdint.h>

struct histogram;

/* NULL: no memory. */
struct histogram *histogram_new(void);
void histogram_free(struct histogram *h);
/* @value was there @times. */
void histogram_add(struct histogram *h, uint64_t value, double times);
/* All of @from, too. */
void histogram_merge(struct histogram *h, const struct histogram *from);
double histogram_total(const struct histogram *h);
double histogram_mean(const struct histogram *h);
uint64_t histogram_max(const struct histogram *h);
/* Below which a share of @q (0 to 1) lies; within a twentieth. 0 if it is empty. */
double histogram_quantile(const struct histogram *h, double q);

/* Rows: [0, 1), [1, 2), [2, 4), ... of values. */
#define HISTOGRAM_ROWS	33
static inline uint64_t histogram_row_from(unsigned int row)
{
	return row ? 1ULL << (row - 1) : 0;
}
double histogram_row(const struct histogram *h, unsigned int row);

#endif /* PAGEFS_CTL_HISTOGRAM_H */
