// SPDX-License-Identifier: BSD-2-Clause
/*
 * bench/figures.c - from samples to figures, and figures in JSON lines
 */
#include <stdlib.h>

#include "figures.h"

static int compare_samples(const void *a, const void *b)
{
	uint32_t x = *(const uint32_t *)a, y = *(const uint32_t *)b;

	return x < y ? -1 : x > y;
}

void latency_of(uint32_t *samples, uint64_t nr, struct latency *lat)
{
	if (!nr)
		return;
	qsort(samples, nr, sizeof(*samples), compare_samples);
	lat->p50 = samples[nr / 2] / 1e3;
	lat->p99 = samples[nr - 1 - nr / 100] / 1e3;
	lat->p999 = samples[nr - 1 - nr / 1000] / 1e3;
	lat->max = samples[nr - 1] / 1e3;
}

static int compare_doubles(const void *a, const void *b)
{
	double x = *(const double *)a, y = *(const double *)b;

	return x < y ? -1 : x > y;
}

double median(double *v, unsigned int nr)
{
	if (!nr)
		return 0;
	qsort(v, nr, sizeof(*v), compare_doubles);
	return nr % 2 ? v[nr / 2] : (v[nr / 2 - 1] + v[nr / 2]) / 2;
}

double ratio(double a, double b)
{
	return b ? a / b : 0;
}

void json_quote(FILE *f, const char *s)
{
	fputc('"', f);
	for (; *s; s++) {
		if (*s == '"' || *s == '\\')
			fputc('\\', f);
		fputc(*s, f);
	}
	fputc('"', f);
}

void command_line(char *buf, size_t size, int argc, char **argv)
{
	size_t at = 0;

	buf[0] = '\0';
	for (int i = 0; i < argc && at < size; i++)
		at += (size_t)snprintf(buf + at, size - at, "%s%s",
				       i ? " " : "", argv[i]);
}
