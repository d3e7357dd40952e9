// SPDX-License-Identifier: BSD-2-Clause
/*
 * bench/mount-bench.c - time file operations in one directory, row by row
 *
 * Knows nothing of mounts: bench/run mounts, names the rows and compares. For
 * each row, in the order given:
 *
 *	prepare | clock, counters | work on all threads, finish | clock | after
 *
 * and short rows are repeated until they add up to SHORT of --seconds. Output
 * is a line a row, fields separated by tabs:
 *
 *	row  value  unit  ops  seconds  client_cpu_s  server_cpu_s  requests
 *
 * The clock runs from when all threads are ready to when the last is done.
 */
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/types.h>
#include <unistd.h>

#include "mount-bench.h"
#include "options.h"

/* Of --seconds: long enough for the clock, and creating takes time too. */
#define SHORT	0.25

int drop_caches(int what)
{
	int err = 0, fd = open("/proc/sys/vm/drop_caches", O_WRONLY | O_CLOEXEC);
	char digit = (char)('0' + what);

	if (fd < 0)
		return -errno;
	sync();
	if (write(fd, &digit, 1) != 1)
		err = -errno;
	close(fd);
	return err;
}

/* What the threads of one pass share. */
struct pass {
	const struct row *row;
	pthread_barrier_t start;
	struct worker workers[MAX_THREADS];
	int errs[MAX_THREADS];
	pthread_t threads[MAX_THREADS];
};

static struct pass pass;

static void *worker_main(void *arg)
{
	struct worker *w = arg;

	pthread_barrier_wait(&pass.start);
	pass.errs[w->id] = pass.row->work(w);
	return NULL;
}

static int start_workers(struct bench *b)
{
	for (unsigned int i = 0; i < b->nr_threads; i++) {
		struct worker *w = &pass.workers[i];
		char *buf = w->buf ? w->buf : malloc(CHUNK);
		int err;

		if (!buf)
			return -ENOMEM;
		memset(buf, (int)i + 1, CHUNK);
		*w = (struct worker){ .b = b, .id = i, .buf = buf };
		err = pthread_create(&pass.threads[i], NULL, worker_main, w);
		if (err)
			return -err;
	}
	return 0;
}

/* The main thread is at the barrier too: it reads the clock as all start. */
static int run_workers(struct bench *b, double *startp, uint64_t *opsp)
{
	int err;

	pthread_barrier_init(&pass.start, NULL, b->nr_threads + 1);
	err = start_workers(b);
	if (err)
		return err;	/* the program ends: nobody waits for those started */
	*startp = now();
	for (unsigned int i = 0; i < b->nr_threads; i++)
		pass.workers[i].deadline = *startp + b->seconds;
	pthread_barrier_wait(&pass.start);
	for (unsigned int i = 0; i < b->nr_threads; i++) {
		pthread_join(pass.threads[i], NULL);
		if (!err)
			err = pass.errs[i];
		*opsp += pass.workers[i].ops;
	}
	pthread_barrier_destroy(&pass.start);
	return err;
}

static void counts_add(struct counts *sum, const struct counts *from,
		       const struct counts *to)
{
	sum->client_cpu += to->client_cpu - from->client_cpu;
	sum->server_cpu += to->server_cpu - from->server_cpu;
	for (size_t i = 0; i < NR_OPCODES; i++)
		sum->requests[i] += to->requests[i] - from->requests[i];
}

static int run_pass(struct bench *b, const struct row *row, double *secondsp,
		    uint64_t *opsp, struct counts *sum)
{
	struct counts from, to;
	double start = 0;
	int err = row->prepare(b);

	if (err)
		return err;
	pass.row = row;
	count_read(b, &from);
	err = run_workers(b, &start, opsp);
	if (!err && row->finish)
		err = row->finish(b);
	*secondsp += now() - start;
	count_read(b, &to);
	counts_add(sum, &from, &to);
	if (!err && row->after)
		err = row->after(b);
	return err;
}

static int run_row(struct bench *b, const struct row *row)
{
	static const struct counts none;
	struct counts sum = none;
	double seconds = 0, rate;
	uint64_t ops = 0;
	int err;

	for (unsigned int i = 0; i < row->passes; i++) {
		err = run_pass(b, row, &seconds, &ops, &sum);
		if (err)
			return err;
		if (seconds >= SHORT * b->seconds)
			break;
	}
	rate = (double)ops / seconds;
	printf("%s\t%.6g\t%s\t%llu\t%.6f\t%.3f\t%.3f\t", row->name,
	       row->op_bytes ? rate * row->op_bytes / 1e6 : rate,
	       row->op_bytes ? "MB/s" : "ops/s", (unsigned long long)ops,
	       seconds, sum.client_cpu, sum.server_cpu);
	count_print(&none, &sum, ops);
	printf("\n");
	fflush(stdout);
	return 0;
}

static const struct row *find_row(const char *name)
{
	for (const struct row *r = data_rows; r->name; r++)
		if (!strcmp(r->name, name))
			return r;
	for (const struct row *r = meta_rows; r->name; r++)
		if (!strcmp(r->name, name))
			return r;
	return NULL;
}

static int run_rows(struct bench *b, char *names)
{
	char *save = NULL;

	for (char *name = strtok_r(names, ",", &save); name;
	     name = strtok_r(NULL, ",", &save)) {
		const struct row *row = find_row(name);
		int err;

		if (!row) {
			fprintf(stderr, "mount-bench: no row %s\n", name);
			return -EINVAL;
		}
		err = run_row(b, row);
		if (err) {
			fprintf(stderr, "mount-bench: %s in %s: %s\n", name,
				b->dir, strerror(-err));
			return err;
		}
	}
	return 0;
}

static void usage(FILE *f)
{
	fprintf(f, "usage: mount-bench --dir=DIR --rows=ROW[,ROW...] [options]\n"
		"  --size=MIB         of the large file (1024)\n"
		"  --files=N          small files, a thread (2000)\n"
		"  --seconds=S        for a row that could go on (2)\n"
		"  --threads=N        (1)\n"
		"  --seed=N           order of random accesses (1)\n"
		"  --server-pid=PID   the daemon whose processor time is told\n"
		"  --tracefs=DIR      count FUSE requests through its tracepoints\n"
		"rows:");
	for (const struct row *r = data_rows; r->name; r++)
		fprintf(f, " %s", r->name);
	for (const struct row *r = meta_rows; r->name; r++)
		fprintf(f, " %s", r->name);
	fprintf(f, "\n");
}

static struct bench bench = {
	.size = 1ULL << 30, .nr_files = 2000, .seconds = 2, .nr_threads = 1,
	.seed = 1, .fd = -1,
};
static char *rows;

static bool take_rows(char *names)
{
	rows = names;
	return true;
}

static bool take_pid(char *text)
{
	bench.server_pid = (pid_t)strtol(text, NULL, 0);
	return true;
}

static const struct program_option options[] = {
	{ "dir", .text = &bench.dir },
	{ "rows", .call = take_rows },
	{ "size", .u64 = &bench.size, .shift = 20 },
	{ "files", .uint = &bench.nr_files },
	{ "seconds", .seconds = &bench.seconds },
	{ "threads", .uint = &bench.nr_threads },
	{ "seed", .u64 = &bench.seed },
	{ "server-pid", .call = take_pid },
	{ "tracefs", .text = &bench.tracefs },
	{ .name = NULL },
};

static bool parse(int argc, char **argv)
{
	const struct bench *b = &bench;

	return parse_options(options, argc, argv, usage) == argc &&
		b->dir && rows && b->seconds > 0 &&
		b->nr_files > 0 && b->nr_threads > 0 &&
		b->nr_threads <= MAX_THREADS &&
		b->size / CHUNK >= b->nr_threads;
}

int main(int argc, char **argv)
{
	struct bench *b = &bench;
	int err;

	if (!parse(argc, argv)) {
		usage(stderr);
		return 2;
	}
	memset(b->thread_dirs, -1, sizeof(b->thread_dirs));
	b->dirfd = open(b->dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (b->dirfd < 0) {
		fprintf(stderr, "mount-bench: %s: %s\n", b->dir, strerror(errno));
		return 1;
	}
	err = count_open(b);
	if (err) {
		fprintf(stderr, "mount-bench: cannot count requests: %s\n",
			strerror(-err));
		return 1;
	}
	return run_rows(b, rows) ? 1 : 0;
}
