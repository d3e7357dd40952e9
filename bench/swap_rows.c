// SPDX-License-Identifier: BSD-2-Clause
/*
 * bench/swap_rows.c - what happens in a turn: one system, one process, all rows
 *
 *   map | first write | read through | random reads | threads | random
 *	 writes | rewrite
 *
 * Each page says in each of its sectors which page it is and how often it has
 * been written; every access checks or writes all of them, so a page of another
 * place, of another time, or half of one, ends the run. An access is timed with
 * that, by one reading of the clock.
 *
 * Memory holds a part of the set (with the defaults a quarter): so much of
 * random accesses hits, with every system alike. What the first write left in
 * memory is paged out while the row after it runs. Reads come before writes, so
 * that the pages that make room for them are clean.
 */
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include <pagefs/pagefs.h>

#include "clock.h"
#include "cpu.h"
#include "splitmix.h"
#include "swap-bench.h"

#define SECTOR	512u

/* Of the process of one turn. */
static struct {
	const struct swap_bench *b;
	enum swap_system sys;
	enum swap_row row;
	struct shared *shared;
	uint64_t nr_pages;
	char *map;
	pid_t daemon;		/* 0: none */
	pthread_barrier_t barrier;
} run;

struct toucher {
	pthread_t thread;
	uint64_t rng;
	uint64_t nr;		/* accesses wanted */
	uint64_t limit_ns;
	uint64_t done;
	uint32_t *samples;	/* [nr] */
};

/* Ends the process; run.shared->error tells why. */
static void must(int err, const char *what)
{
	if (!err)
		return;
	snprintf(run.shared->error, sizeof(run.shared->error), "%s: %s", what,
		 strerror(-err));
	_exit(1);
}

/* ---- memory of the systems ---- */

static void join_cgroup(void)
{
	char path[512];
	FILE *f;

	if (!run.b->cgroup)
		return;
	snprintf(path, sizeof(path), "%s/cgroup.procs", run.b->cgroup);
	f = fopen(path, "w");
	if (!f || fprintf(f, "%d\n", (int)getpid()) < 0 || fclose(f))
		must(-errno, path);
}

static void map_kernel(void)
{
	join_cgroup();
	run.map = mmap(NULL, run.b->size, PROT_READ | PROT_WRITE,
		       MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	if (run.map == MAP_FAILED)
		must(-errno, "mmap");
}

static void find_daemon(void)
{
	FILE *f = run.b->pid_file ? fopen(run.b->pid_file, "r") : NULL;
	int pid;

	if (!f)
		return;
	if (fscanf(f, "%d", &pid) == 1)
		run.daemon = pid;
	fclose(f);
}

static void map_pagefs(void)
{
	int fd = open(run.b->mount, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	struct pagefs *conn;
	void *at;

	must(fd < 0 ? -errno : 0, run.b->mount);
	must(pagefs_connect(fd, &conn), "pagefs_connect");
	must(pagefs_mmap(conn, NULL, run.b->size, PROT_READ | PROT_WRITE,
			 MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0,
			 &at), "pagefs_mmap");
	run.map = at;
	find_daemon();
}

/* Pages in and out so far: no other area of the kernel's is in use. */
static void read_swapped(struct cell *c)
{
	char path[4096] = "/proc/vmstat", line[128];
	unsigned long long n;
	FILE *f;

	if (run.sys == SYS_PAGEFS)
		snprintf(path, sizeof(path), "%s/.pagefs/vmstat", run.b->mount);
	f = fopen(path, "r");
	if (!f)
		return;
	while (fgets(line, sizeof(line), f))
		if (sscanf(line, "pswpin %llu", &n) == 1)
			c->in = n;
		else if (sscanf(line, "pswpout %llu", &n) == 1)
			c->out = n;
	fclose(f);
}

static void read_counters(struct cell *c)
{
	read_swapped(c);
	c->cpu = own_cpu() + (run.daemon ? process_cpu(run.daemon) : 0);
}

/* ---- one page ---- */

static uint64_t stamp_of(uint64_t page, uint32_t generation, unsigned int sector)
{
	uint64_t state = page << 32 | generation;

	return splitmix64(&state) + sector;
}

static void write_page(uint64_t page)
{
	const uint32_t generation = ++run.shared->generations[page];

	for (unsigned int i = 0; i < BLOCK / SECTOR; i++) {
		volatile uint64_t *word = (volatile uint64_t *)
			(run.map + page * BLOCK + i * SECTOR);

		word[0] = stamp_of(page, generation, i);
		word[1] = page;
		word[2] = generation;
	}
}

static void wrong_page(uint64_t page, unsigned int sector,
		       const volatile uint64_t *word)
{
	snprintf(run.shared->error, sizeof(run.shared->error),
		 "%s: wrong: page %llu, generation %u, sector %u: is page %llu, generation %llu, stamp %#llx",
		 row_names[run.row], (unsigned long long)page,
		 run.shared->generations[page], sector,
		 (unsigned long long)word[1], (unsigned long long)word[2],
		 (unsigned long long)word[0]);
	_exit(1);
}

static void check_page(uint64_t page)
{
	const uint32_t generation = run.shared->generations[page];

	for (unsigned int i = 0; i < BLOCK / SECTOR; i++) {
		const volatile uint64_t *word = (const volatile uint64_t *)
			(run.map + page * BLOCK + i * SECTOR);

		if (word[0] != stamp_of(page, generation, i))
			wrong_page(page, i, word);
	}
}

static void touch(struct toucher *t, uint64_t i)
{
	switch (run.row) {
	case ROW_FIRST_WRITE:
		write_page(i);
		break;
	case ROW_SEQ_READ:
		check_page(i);
		break;
	case ROW_REWRITE:
		check_page(i);
		write_page(i);
		break;
	case ROW_RAND_WRITE:
		i = splitmix64(&t->rng) % run.nr_pages;
		check_page(i);
		write_page(i);
		break;
	default:
		check_page(splitmix64(&t->rng) % run.nr_pages);
	}
}

/* ---- one row ---- */

static void *toucher_main(void *arg)
{
	struct toucher *t = arg;
	uint64_t start, last, at;

	pthread_barrier_wait(&run.barrier);
	start = last = now_ns();
	while (t->done < t->nr && last - start < t->limit_ns) {
		touch(t, t->done);
		at = now_ns();
		t->samples[t->done++] = at - last > UINT32_MAX ? UINT32_MAX :
			(uint32_t)(at - last);
		last = at;
	}
	return NULL;
}

static bool is_sequential(enum swap_row row)
{
	return row == ROW_FIRST_WRITE || row == ROW_SEQ_READ ||
		row == ROW_REWRITE;
}

static uint64_t accesses_wanted(unsigned int threads)
{
	if (is_sequential(run.row))
		return run.nr_pages < MAX_SAMPLES ? run.nr_pages : MAX_SAMPLES;
	return MAX_SAMPLES / threads;
}

static double limit_of(enum swap_row row)
{
	if (row == ROW_FIRST_WRITE)
		return 1e9;	/* all must be written: others check it */
	return is_sequential(row) ? run.b->pass : run.b->seconds;
}

/* Threads' samples are moved together before they are sorted. */
static uint64_t gather(struct toucher *t, unsigned int threads,
		       uint32_t *samples)
{
	uint64_t nr = 0;

	for (unsigned int i = 0; i < threads; i++) {
		memmove(samples + nr, t[i].samples,
			t[i].done * sizeof(*samples));
		nr += t[i].done;
	}
	return nr;
}

static void run_threads(struct toucher *t, unsigned int threads,
			unsigned int round)
{
	const uint64_t nr = accesses_wanted(threads);

	pthread_barrier_init(&run.barrier, NULL, threads);
	for (unsigned int i = 0; i < threads; i++) {
		t[i] = (struct toucher){
			.rng = run.b->seed * 1000003 + round * 101 +
				(unsigned int)run.row * 17 + i,
			.nr = nr, .samples = run.shared->samples + i * nr,
			.limit_ns = (uint64_t)(limit_of(run.row) * 1e9),
		};
		must(-pthread_create(&t[i].thread, NULL, toucher_main, &t[i]),
		     "pthread_create");
	}
	for (unsigned int i = 0; i < threads; i++)
		pthread_join(t[i].thread, NULL);
	pthread_barrier_destroy(&run.barrier);
}

static void run_row(enum swap_row row, unsigned int round)
{
	const unsigned int threads = row == ROW_THREADS ? MAX_THREADS : 1;
	struct cell before = { 0 }, cell = { 0 };
	struct toucher t[MAX_THREADS];
	double from;

	run.row = row;
	read_counters(&before);
	from = now();
	run_threads(t, threads, round);
	cell.seconds = now() - from;
	read_counters(&cell);
	cell.in -= before.in;
	cell.out -= before.out;
	cell.cpu -= before.cpu;
	cell.ops = gather(t, threads, run.shared->samples);
	latency_of(run.shared->samples, cell.ops, &cell.lat);
	cell.done = run.b->rows[row];
	cell.cut = is_sequential(row) && cell.ops < accesses_wanted(threads);
	run.shared->cells[run.sys][round][row] = cell;
}

void run_rows(const struct swap_bench *b, enum swap_system sys,
	      unsigned int round, struct shared *shared)
{
	run.b = b;
	run.sys = sys;
	run.shared = shared;
	run.nr_pages = b->size / BLOCK;
	memset(shared->generations, 0, run.nr_pages * sizeof(uint32_t));
	if (sys == SYS_PAGEFS)
		map_pagefs();
	else
		map_kernel();
	for (int row = 0; row < NR_ROWS; row++)
		if (row == ROW_FIRST_WRITE || b->rows[row])
			run_row((enum swap_row)row, round);
}
