// SPDX-License-Identifier: BSD-2-Clause
/*
 * bench/swap_report.c - what swap-bench has found, as tables and JSON lines
 *
 * A value is the median over the rounds. pagefs is compared with the better of
 * the kernel's two settings of vm.page-cluster, in each row. A sequential row
 * that was cut short says so: pages are dirty that should have been written, and
 * the rows after it write them.
 */
#include <string.h>
#include <sys/utsname.h>

#include "swap-bench.h"

/* Of the kernel's time that pagefs may take, in any row. */
#define TARGET	1.25

struct summary {
	unsigned int rounds;
	double us, least, most;	/* a page; median and extremes */
	double in, out;		/* pages swapped, an access */
	double cpu;		/* us, an access */
	bool cut;		/* one of its rounds */
	struct latency lat;
	uint64_t ops;
};

#define MEDIAN_OF(cells, nr, row, expr) ({				\
	double __v[MAX_ROUNDS];						\
	unsigned int __n = 0;						\
	for (unsigned int __i = 0; __i < (nr); __i++) {			\
		const struct cell *c = &(cells)[__i][row];		\
		if (c->done && c->ops)					\
			__v[__n++] = (expr);				\
	}								\
	median(__v, __n); })

static struct summary summarize(const struct cell (*cells)[NR_ROWS], int row,
				unsigned int rounds)
{
	struct summary s = { 0 };

	for (unsigned int i = 0; i < rounds; i++) {
		const struct cell *c = &cells[i][row];
		double us;

		if (!c->done || !c->ops)
			continue;
		us = c->seconds * 1e6 / (double)c->ops;
		s.least = !s.rounds || us < s.least ? us : s.least;
		s.most = us > s.most ? us : s.most;
		s.ops += c->ops;
		s.cut |= c->cut;
		s.rounds++;
	}
	s.us = MEDIAN_OF(cells, rounds, row, c->seconds * 1e6 / (double)c->ops);
	s.in = MEDIAN_OF(cells, rounds, row, (double)c->in / (double)c->ops);
	s.out = MEDIAN_OF(cells, rounds, row, (double)c->out / (double)c->ops);
	s.cpu = MEDIAN_OF(cells, rounds, row, c->cpu * 1e6 / (double)c->ops);
	s.lat.p50 = MEDIAN_OF(cells, rounds, row, c->lat.p50);
	s.lat.p99 = MEDIAN_OF(cells, rounds, row, c->lat.p99);
	s.lat.p999 = MEDIAN_OF(cells, rounds, row, c->lat.p999);
	s.lat.max = MEDIAN_OF(cells, rounds, row, c->lat.max);
	return s;
}

/* The better of the kernel's settings; 0 if neither ran. */
static double kernel_us(const struct summary *row)
{
	double a = row[SYS_KERNEL].us, b = row[SYS_KERNEL_0].us;

	return !a ? b : !b ? a : a < b ? a : b;
}

static double mb_a_second(double us)
{
	return BLOCK / us;
}

static void print_row(const struct summary *row, int r)
{
	for (int s = 0; s < NR_SYSTEMS; s++) {
		const struct summary *v = &row[s];

		if (!v->rounds)
			continue;
		printf("%-12s%-9s%8.2f +-%2.0f%%%8.0f%9.2f%9.2f%9.1f%10.0f%7.2f%7.2f%8.1f%9.2f%s\n",
		       row_names[r], system_names[s], v->us,
		       50 * (v->most - v->least) / v->us, mb_a_second(v->us),
		       v->lat.p50, v->lat.p99, v->lat.p999, v->lat.max,
		       v->in, v->out, v->cpu, ratio(v->us, kernel_us(row)),
		       v->cut ? "  cut short" : "");
	}
}

/* Return: 1 if the target was missed. */
static int judge(const struct summary *row, int r)
{
	double is = ratio(row[SYS_PAGEFS].us, kernel_us(row));

	if (!is)
		return 0;
	printf("%-12s%-52s%8.2f  <= %-6.2f %s\n", row_names[r],
	       "time, of the better of the kernel's settings", is, TARGET,
	       is <= TARGET ? "met" : "MISSED");
	return is > TARGET;
}

static void json_case(FILE *f, const struct swap_bench *b, const char *command,
		      const struct summary *row, int r, int s)
{
	const struct summary *v = &row[s];
	struct utsname uts;

	uname(&uts);
	fprintf(f, "{\"bench\":\"swap\",\"row\":\"%s\",\"system\":\"%s\",\"unit\":\"us\",\"median\":%.6g,\"min\":%.6g,\"max\":%.6g,\"rounds\":%u,\"ops\":%llu,",
		row_names[r], system_names[s], v->us, v->least, v->most,
		v->rounds, (unsigned long long)v->ops);
	fprintf(f, "\"mb_a_second\":%.6g,\"p50\":%.6g,\"p99\":%.6g,\"p999\":%.6g,\"worst\":%.6g,\"in\":%.4g,\"out\":%.4g,\"cpu_us\":%.4g,\"to_kernel\":%.4g,",
		mb_a_second(v->us), v->lat.p50, v->lat.p99, v->lat.p999,
		v->lat.max, v->in, v->out, v->cpu, ratio(v->us, kernel_us(row)));
	if (s == SYS_PAGEFS)
		fprintf(f, "\"target\":%.4g,", TARGET);
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

static void json_all(const struct swap_bench *b, const char *command,
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
				json_case(f, b, command, rows[r], r, s);
	if (f != stdout)
		fclose(f);
}

int report(const struct swap_bench *b, const char *command,
	   const struct shared *shared)
{
	struct summary rows[NR_ROWS][NR_SYSTEMS];
	int missed = 0;

	for (int r = 0; r < NR_ROWS; r++)
		for (int s = 0; s < NR_SYSTEMS; s++)
			rows[r][s] = summarize(shared->cells[s], r, b->rounds);
	printf("\n%-12s%-9s%8s %5s%8s%9s%9s%9s%10s%7s%7s%8s%9s\n", "row", "system",
	       "us/page", "", "MB/s", "p50", "p99", "p99.9", "max", "in", "out",
	       "cpu us", "/kernel");
	for (int r = 0; r < NR_ROWS; r++)
		print_row(rows[r], r);
	printf("\n");
	for (int r = 0; r < NR_ROWS; r++)
		missed += judge(rows[r], r);
	if (b->json)
		json_all(b, command, rows);
	return missed;
}
