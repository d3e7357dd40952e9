// SPDX-License-Identifier: BSD-2-Clause
/*
 * client/ctl/histogram.c - how often there was what
 *
 *   bins   [0,1) [1,1.04) [1.04,1.09) ... [1.92,2) [2,2.09) ...   2^32
 *   rows   | 0 | |            1                | |    2
 *
 * Sixteen bins to each power of two: a quantile is then known within a twentieth,
 * and a row of what is shown is sixteen of them.
 *
 * This is the only file that knows the library, GSL, which is GPL: with another,
 * nothing else changes.
 */
#include <gsl/gsl_errno.h>
#include <gsl/gsl_histogram.h>
#include <math.h>
#include <stdbool.h>
#include <stdlib.h>

#include "histogram.h"

#define BINS_PER_ROW	16u
#define NR_BINS		(1 + BINS_PER_ROW * (HISTOGRAM_ROWS - 1))

struct histogram {
	gsl_histogram *bins;
	uint64_t max;
	double sum;			/* of all values, each as it was */
};

struct histogram *histogram_new(void)
{
	struct histogram *h = calloc(1, sizeof(*h));
	double ranges[NR_BINS + 1] = { 0 };

	if (!h)
		return NULL;
	/* Its own would abort. */
	gsl_set_error_handler_off();
	h->bins = gsl_histogram_alloc(NR_BINS);
	for (unsigned int i = 1; i <= NR_BINS; i++)
		ranges[i] = exp2((double)(i - 1) / BINS_PER_ROW);
	if (h->bins &&
	    !gsl_histogram_set_ranges(h->bins, ranges, NR_BINS + 1))
		return h;
	histogram_free(h);
	return NULL;
}

void histogram_free(struct histogram *h)
{
	if (!h)
		return;
	if (h->bins)
		gsl_histogram_free(h->bins);
	free(h);
}

void histogram_add(struct histogram *h, uint64_t value, double times)
{
	double last;

	if (value > h->max)
		h->max = value;
	h->sum += (double)value * times;
	/* What is beyond all counts as the largest. */
	last = gsl_histogram_max(h->bins) - 1;
	gsl_histogram_accumulate(h->bins, fmin((double)value, last), times);
}

void histogram_merge(struct histogram *h, const struct histogram *from)
{
	if (from->max > h->max)
		h->max = from->max;
	h->sum += from->sum;
	gsl_histogram_add(h->bins, from->bins);
}

double histogram_total(const struct histogram *h)
{
	return gsl_histogram_sum(h->bins);
}

double histogram_mean(const struct histogram *h)
{
	return histogram_total(h) ? h->sum / histogram_total(h) : 0;
}

uint64_t histogram_max(const struct histogram *h)
{
	return h->max;
}

double histogram_quantile(const struct histogram *h, double q)
{
	gsl_histogram_pdf *pdf;
	double value = 0;

	if (!histogram_total(h))
		return 0;
	pdf = gsl_histogram_pdf_alloc(NR_BINS);
	if (pdf && !gsl_histogram_pdf_init(pdf, h->bins))
		value = gsl_histogram_pdf_sample(pdf, q);
	gsl_histogram_pdf_free(pdf);
	/* Within a bin it is guessed. */
	return fmin(value, (double)h->max);
}

double histogram_row(const struct histogram *h, unsigned int row)
{
	double sum = 0;

	if (!row)
		return gsl_histogram_get(h->bins, 0);
	for (unsigned int i = 0; i < BINS_PER_ROW; i++)
		sum += gsl_histogram_get(h->bins,
					 1 + (row - 1) * BINS_PER_ROW + i);
	return sum;
}
