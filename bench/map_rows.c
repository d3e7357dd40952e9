// SPDX-License-Identifier: BSD-2-Clause
/*
 * bench/map_rows.c - what happens in a cell: one row, one system, one process
 *
 *   map the file | fill memory | barrier, clock | touch, touch ... | sync | clock
 *
 * Filling: as many pages as memory holds are touched first, so that from the
 * first access on a page has to go for each that comes. Random accesses are
 * over the whole file, so an eighth of them hits (of 256 MiB in 2 GiB), with
 * every system alike. An access is one word of a page, loaded or stored; each is
 * timed, by one reading of the clock.
 *
 * The warm rows have two processes: one touches a part of the file and stays, the
 * other is timed mapping and touching the same. Readers map with PROT_READ;
 * warm_rw is that of a reader that might write.
 *
 * The store rows are of pages that have been stored to and synced: they are in
 * memory, and the next store to each is one that has to be noticed.
 */
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include <pagefs/pagefs.h>

#include "clock.h"
#include "map-bench.h"
#include "splitmix.h"
#include "workers.h"

/* Of the process of one cell. */
static struct {
	const struct map_bench *b;
	enum map_system sys;
	enum map_row row;
	struct cell *cell;
	struct pagefs *conn;
	struct pager *pager;
	int fd;
	char *map;
	double start;
	double map_seconds;	/* mmap alone */
	pthread_barrier_t barrier;
} run;

struct toucher {
	pthread_t thread;
	uint64_t rng;
	uint64_t nr;		/* accesses wanted */
	uint64_t done;
	uint32_t *samples;	/* [nr] */
};

/* Ends the process; the cell tells why. */
static void must(int err, const char *what)
{
	if (!err)
		return;
	snprintf(run.cell->error, sizeof(run.cell->error), "%s: %s", what,
		 strerror(-err));
	_exit(1);
}

/* ---- the four systems ---- */

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

static bool is_warm(enum map_row row)
{
	return row == ROW_WARM || row == ROW_WARM_RW;
}

static bool is_store(enum map_row row)
{
	return row == ROW_STORE || row == ROW_STORE_DIRECT;
}

/* Of pages that are in memory, from the file's first on. */
static bool is_in_memory(enum map_row row)
{
	return is_warm(row) || is_store(row);
}

static int row_prot(void)
{
	return run.row == ROW_RAND_WRITE || run.row == ROW_WARM_RW ||
	       is_store(run.row) ? PROT_READ | PROT_WRITE : PROT_READ;
}

static void map_kernel(void)
{
	double from;

	join_cgroup();
	from = now();
	run.map = mmap(NULL, run.b->size, row_prot(), MAP_SHARED, run.fd, 0);
	run.map_seconds = now() - from;
	if (run.map == MAP_FAILED)
		must(-errno, "mmap");
}

static void map_pagefs(void)
{
	double from;
	void *at;

	must(pagefs_connect(run.fd, &run.conn), "pagefs_connect");
	from = now();
	must(pagefs_mmap(run.conn, NULL, run.b->size, row_prot(), MAP_SHARED,
			 run.fd, 0, &at), "pagefs_mmap");
	run.map_seconds = now() - from;
	run.map = at;
}

static void map_file(void)
{
	const char *file = run.b->files[run.sys];

	if (run.sys == SYS_PAGER) {
		/* The warm row is of pages that somebody has in memory: for
		 * this system the kernel has them. */
		run.pager = pager_open(file, run.b->size, run.b->memory,
				       !is_warm(run.row));
		must(run.pager ? 0 : -errno, "pager_open");
		run.map = pager_map(run.pager);
		return;
	}
	run.fd = open(file, O_RDWR | O_CLOEXEC |
		      (run.row == ROW_STORE_DIRECT ? O_DIRECT : 0));
	must(run.fd < 0 ? -errno : 0, file);
	if (run.sys == SYS_PAGEFS)
		map_pagefs();
	else
		map_kernel();
}

static void advise(int advice)
{
	if (run.sys == SYS_KERNEL_RANDOM)
		must(madvise(run.map, run.b->size, advice) ? -errno : 0,
		     "madvise");
}

static void sync_map(void)
{
	if (run.sys == SYS_PAGEFS)
		must(pagefs_msync(run.conn, run.map, run.b->size, MS_SYNC),
		     "pagefs_msync");
	else if (run.sys == SYS_PAGER)
		must(pager_sync(run.pager), "pager_sync");
	else
		must(msync(run.map, run.b->size, MS_SYNC) ? -errno : 0, "msync");
}

/* ---- touching ---- */

static void touch_range(uint64_t from, uint64_t to)
{
	for (uint64_t pos = from; pos < to; pos += BLOCK)
		(void)*(volatile uint64_t *)(run.map + pos);
}

static void store_range(uint64_t from, uint64_t to)
{
	for (uint64_t pos = from; pos < to; pos += BLOCK)
		*(volatile uint64_t *)(run.map + pos) = pos;
}

static void touch(struct toucher *t, uint64_t i)
{
	const uint64_t pages = run.b->size / BLOCK;
	/* Sequential: behind what memory was filled with, and around. */
	uint64_t page = is_in_memory(run.row) ? i :
		run.row == ROW_SEQ_READ ? (run.b->memory / BLOCK + i) % pages :
		splitmix64(&t->rng) % pages;
	volatile uint64_t *word = (volatile uint64_t *)(run.map + page * BLOCK);

	if (run.row == ROW_RAND_WRITE || is_store(run.row))
		*word = run.b->seed + i;
	else
		(void)*word;
}

static void *toucher_main(void *arg)
{
	struct toucher *t = arg;
	const uint64_t limit = (uint64_t)(run.b->seconds * 1e9);
	uint64_t start, last, at;

	pthread_barrier_wait(&run.barrier);
	start = last = now_ns();
	while (t->done < t->nr && last - start < limit) {
		touch(t, t->done);
		at = now_ns();
		t->samples[t->done++] = at - last > UINT32_MAX ? UINT32_MAX :
			(uint32_t)(at - last);
		last = at;
	}
	return NULL;
}

static uint64_t accesses_wanted(unsigned int threads)
{
	switch (run.row) {
	case ROW_RAND_WRITE:
		return run.b->writes < MAX_SAMPLES ? run.b->writes : MAX_SAMPLES;
	case ROW_WARM:
	case ROW_WARM_RW:
	case ROW_STORE:
	case ROW_STORE_DIRECT:
		return run.b->warm / BLOCK;
	case ROW_SEQ_READ:
		return (run.b->size - run.b->memory) / BLOCK;
	default:
		return MAX_SAMPLES / threads;
	}
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

static void timed(unsigned int threads, unsigned int round, uint32_t *samples)
{
	struct toucher t[MAX_THREADS];
	uint64_t nr = accesses_wanted(threads);

	pthread_barrier_init(&run.barrier, NULL, threads + 1);
	for (unsigned int i = 0; i < threads; i++) {
		t[i] = (struct toucher){
			.rng = run.b->seed * 1000003 + round * 101 + i,
			.nr = nr, .samples = samples + i * nr,
		};
		must(-pthread_create(&t[i].thread, NULL, toucher_main, &t[i]),
		     "pthread_create");
	}
	run.start = now();
	pthread_barrier_wait(&run.barrier);
	for (unsigned int i = 0; i < threads; i++)
		pthread_join(t[i].thread, NULL);
	if (run.row == ROW_RAND_WRITE) {
		double from = now();

		sync_map();
		run.cell->sync_seconds = now() - from;
	}
	run.cell->seconds = now() - run.start;
	if (is_warm(run.row))
		run.cell->seconds += run.map_seconds;
	run.cell->ops = gather(t, threads, samples);
	latency_of(samples, run.cell->ops, &run.cell->lat);
}

/* ---- the warm row's first process ---- */

static void warm_first(int ready)
{
	char byte = 0;

	map_file();
	if (run.sys == SYS_PAGER) {
		/* Fills the kernel's cache, of which its pager reads. */
		int fd = open(run.b->files[run.sys], O_RDONLY | O_CLOEXEC);
		char *buf = malloc(1 << 20);

		for (uint64_t pos = 0; buf && pos < run.b->warm; pos += 1 << 20)
			if (pread(fd, buf, 1 << 20, (off_t)pos) < 0)
				must(-errno, "pread");
	} else {
		touch_range(0, run.b->warm);
		touch_range(0, run.b->warm);
	}
	if (write(ready, &byte, 1) == 1)
		pause();
	_exit(1);
}

static void warm(unsigned int round, uint32_t *samples)
{
	int ready[2], status;
	char byte;
	pid_t pid;

	if (pipe(ready))
		must(-errno, "pipe");
	pid = fork_worker();
	must(pid < 0 ? -errno : 0, "fork");
	if (!pid)
		warm_first(ready[1]);
	close(ready[1]);
	if (read(ready[0], &byte, 1) != 1)
		_exit(1);	/* it has told why */
	map_file();
	timed(1, round, samples);
	kill(pid, SIGKILL);
	waitpid(pid, &status, 0);
}

void run_cell(const struct map_bench *b, enum map_system sys, enum map_row row,
	      unsigned int round, struct cell *cell, uint32_t *samples)
{
	run.b = b;
	run.sys = sys;
	run.row = row;
	run.cell = cell;
	if (is_warm(row)) {
		warm(round, samples);
	} else if (is_store(row)) {
		map_file();
		store_range(0, b->warm);
		sync_map();
		timed(1, round, samples);
	} else {
		map_file();
		touch_range(0, b->memory);
		advise(MADV_RANDOM);
		timed(row == ROW_THREADS ? MAX_THREADS : 1, round, samples);
	}
	cell->done = true;
}
