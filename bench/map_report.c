// SPDX-License-Identifier: BSD-2-Clause
/*
 * bench/map_report.c - what map-bench has found, as tables and JSON lines
 *
 * A value is the median over the rounds. pagefs is compared with the better of
 * the kernel's two modes, in the row as a whole, and with the pager.
 */
#include <string.h>
#include <sys/utsname.h>

#include "figures.h"
#include "map-bench.h"

/* Of the kernel's time that pagefs may take; of its throughput, inverted. The
 * last: how many times the default read-ahead must be slower. The store rows are
 * there to be compared with each other. */
static const struct {
	double most;
	double times_default;
} targets[NR_ROWS] = {
	[ROW_RAND_READ]		= { 1.15, 100 },
	[ROW_SEQ_READ]		= { 1.25, 0 },
	[ROW_RAND_WRITE]	= { 1.25, 0 },
	[ROW_THREADS]		= { 1 / 0.9, 0 },
	[ROW_WARM]		= { 1.2, 0 },
	[ROW_WARM_RW]		= { 1.2, 0 },
};

struct summary {
	unsigned int rounds;
	double us, least, most;	/* an access; median and extremes */
	double sync;		/* seconds */
	struct latency lat;
	uint64_t ops;
};

#define MEDIAN_OF(cells, nr, expr) ({					\
	double __v[MAX_ROUNDS];						\
	unsigned int __n = 0;						\
	for (unsigned int __i = 0; __i < (nr); __i++) {			\
		const struct cell *c = &(cells)[__i];			\
		if (c->done && c->ops)					\
			__v[__n++] = (expr);				\
	}								\
	median(__v, __n); })

static struct summary summarize(const struct cell *cells, unsigned int rounds)
{
	struct summary s = { 0 };

	for (unsigned int i = 0; i < rounds; i++) {
		double us;

		if (!cells[i].done || !cells[i].ops)
			continue;
		us = cells[i].seconds * 1e6 / (double)cells[i].ops;
		s.least = !s.rounds || us < s.least ? us : s.least;
		s.most = us > s.most ? us : s.most;
		s.ops += cells[i].ops;
		s.rounds++;
	}
	s.us = MEDIAN_OF(cells, rounds, c->seconds * 1e6 / (double)c->ops);
	s.sync = MEDIAN_OF(cells, rounds, c->sync_seconds);
	s.lat.p50 = MEDIAN_OF(cells, rounds, c->lat.p50);
	s.lat.p99 = MEDIAN_OF(cells, rounds, c->lat.p99);
	s.lat.p999 = MEDIAN_OF(cells, rounds, c->lat.p999);
	s.lat.max = MEDIAN_OF(cells, rounds, c->lat.max);
	return s;
}

/* The better of the kernel's modes; 0 if neither ran. */
static double kernel_us(const struct summary *row)
{
	double a = row[SYS_KERNEL].us, b = row[SYS_KERNEL_RANDOM].us;

	return !a ? b : !b ? a : a < b ? a : b;
}

static void print_row(const struct summary *row, enum map_row r)
{
	for (int s = 0; s < NR_SYSTEMS; s++) {
		const struct summary *v = &row[s];

		if (!v->rounds)
			continue;
		printf("%-12s%-15s%10.2f +-%2.0f%%%10.0f%9.2f%9.2f%9.1f%10.0f%9.2f%9.2f",
		       row_names[r], system_names[s], v->us,
		       50 * (v->most - v->least) / v->us, 1e6 / v->us,
		       v->lat.p50, v->lat.p99, v->lat.p999, v->lat.max,
		       ratio(v->us, kernel_us(row)),
		       ratio(row[SYS_PAGER].us, v->us));
		if (v->sync)
			printf("  sync %.2f s", v->sync);
		printf("\n");
	}
}

/* "met" or "MISSED", and counts; NULL where there is nothing to compare. */
static const char *verdict(double is, double most, int *missed)
{
	if (!is)
		return NULL;
	if (is <= most)
		return "met";
	(*missed)++;
	return "MISSED";
}

static int judge(const struct summary *row, enum map_row r)
{
	double to_kernel = ratio(row[SYS_PAGEFS].us, kernel_us(row));
	double times = ratio(row[SYS_KERNEL].us, row[SYS_PAGEFS].us);
	int missed = 0;
	const char *is;

	if (!targets[r].most)
		return 0;
	is = verdict(to_kernel, targets[r].most, &missed);
	if (is)
		printf("%-12s%-52s%8.2f  <= %-6.2f %s\n", row_names[r],
		       "time, of the better of the kernel's modes", to_kernel,
		       targets[r].most, is);
	if (targets[r].times_default && times) {
		is = verdict(targets[r].times_default / times, 1, &missed);
		printf("%-12s%-52s%8.1f  >= %-6.0f %s\n", row_names[r],
		       "times faster than default read-ahead", times,
		       targets[r].times_default, is);
	}
	if (row[SYS_PAGER].us && row[SYS_PAGEFS].us) {
		double ahead = row[SYS_PAGER].us / row[SYS_PAGEFS].us;

		is = verdict(1 / ahead, 1, &missed);
		printf("%-12s%-52s%8.2f  >= %-6d %s\n", row_names[r],
		       "times faster than the pager", ahead, 1, is);
	}
	return missed;
}

static void json_case(FILE *f, const struct map_bench *b, const char *command,
		      const struct summary *row, enum map_row r, int s)
{
	const struct summary *v = &row[s];
	struct utsname uts;

	uname(&uts);
	fprintf(f, "{\"bench\":\"map\",\"row\":\"%s\",\"system\":\"%s\",\"unit\":\"us\",\"median\":%.6g,\"min\":%.6g,\"max\":%.6g,\"rounds\":%u,\"ops\":%llu,",
		row_names[r], system_names[s], v->us, v->least, v->most,
		v->rounds, (unsigned long long)v->ops);
	fprintf(f, "\"p50\":%.6g,\"p99\":%.6g,\"p999\":%.6g,\"worst\":%.6g,\"sync_s\":%.4g,\"to_kernel\":%.4g,",
		v->lat.p50, v->lat.p99, v->lat.p999, v->lat.max, v->sync,
		ratio(v->us, kernel_us(row)));
	if (s == SYS_PAGEFS)
		fprintf(f, "\"target\":%.4g,", targets[r].most);
	fprintf(f, "\"size_mib\":%llu,\"memory_mib\":%llu,\"seed\":%llu,\"kernel\":",
		(unsigned long long)(b->size >> 20),
		(unsigned long long)(b->memory >> 20),
		(unsigned long long)b->seed);
	json_quote(f, uts.release);
	fprintf(f, ",\"machine\":");
	json_quote(f, b->machine);
	fprintf(f, ",\"command\":");
	json_quote(f, command);
	fprintf(f, "}\n");
}

static void json_all(const struct map_bench *b, const char *command,
		     struct summary (*rows)[NR_SYSTEMS])
{
	FILE *f = !strcmp(b->json, "-") ? stdout : fopen(b->json, "a");

	if (!f) {
		perror(b->json);
		return;
	}
	for (int r = 0; r < NR_ROWS; r++)
		for (int s = 0; s < NR_SYSTEMS; s++)
			if (rows[r][s].rounds)
				json_case(f, b, command, rows[r], (enum map_row)r,
					  s);
	if (f != stdout)
		fclose(f);
}

int report(const struct map_bench *b, const char *command, cell_table *cells)
{
	struct summary rows[NR_ROWS][NR_SYSTEMS];
	int missed = 0;

	for (int r = 0; r < NR_ROWS; r++)
		for (int s = 0; s < NR_SYSTEMS; s++)
			rows[r][s] = summarize((*cells)[r][s], b->rounds);
	printf("\n%-12s%-15s%10s %5s%10s%9s%9s%9s%10s%9s%9s\n", "row", "system",
	       "us/access", "", "a second", "p50", "p99", "p99.9", "max",
	       "/kernel", "pager/");
	for (int r = 0; r < NR_ROWS; r++)
		print_row(rows[r], (enum map_row)r);
	printf("\n");
	for (int r = 0; r < NR_ROWS; r++)
		missed += judge(rows[r], (enum map_row)r);
	if (b->json)
		json_all(b, command, rows);
	return missed;
}
