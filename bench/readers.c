// SPDX-License-Identifier: BSD-2-Clause
/*
 * bench/readers.c - processes and threads that read a file through mappings
 *
 * Each process maps the file for itself. Their threads read a byte of each page,
 * in random order or each a part from its start to its end and over again, until
 * the time is up. Little memory is needed besides, so that a limit is the page
 * cache's. It prints one line of JSON: reads a second of all, and the time of one.
 */
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "clock.h"
#include "options.h"
#include "splitmix.h"
#include "workers.h"

#define PAGE	4096u

static struct {
	const char *file;
	unsigned int procs, threads;
	double seconds;
	bool sequential, random;
} opt = { .procs = 1, .threads = 1, .seconds = 3 };

/* Of all processes. */
struct shared {
	atomic_ulong reads;
	atomic_uint ready;
	atomic_uint failed;		/* an errno */
};

struct reader {
	pthread_t thread;
	struct shared *shared;
	const char *map;
	uint64_t nr_pages, first, seed;
	double end;
};

static void *read_random(void *arg)
{
	struct reader *r = arg;
	unsigned long nr = 0, sum = 0;

	do {
		for (unsigned int i = 0; i < 16; i++)
			sum += *(const volatile unsigned char *)
				(r->map + splitmix64(&r->seed) % r->nr_pages * PAGE);
		nr += 16;
	} while (now() < r->end);
	atomic_fetch_add(&r->shared->reads, nr);
	return (void *)sum;
}

static void *read_sequential(void *arg)
{
	struct reader *r = arg;
	unsigned long nr = 0, sum = 0;

	for (uint64_t page = r->first;; page = (page + 1) % r->nr_pages) {
		sum += *(const volatile unsigned char *)(r->map + page * PAGE);
		if (++nr % 256 == 0 && now() >= r->end)
			break;
	}
	atomic_fetch_add(&r->shared->reads, nr);
	return (void *)sum;
}

static int map_file(const char **map, uint64_t *nr_pages)
{
	int fd = open(opt.file, O_RDONLY | O_CLOEXEC);
	struct stat st;
	void *addr;

	if (fd < 0 || fstat(fd, &st))
		return errno;
	*nr_pages = (uint64_t)st.st_size / PAGE;
	addr = mmap(NULL, *nr_pages * PAGE, PROT_READ, MAP_SHARED, fd, 0);
	if (addr == MAP_FAILED)
		return errno;
	if (opt.random && madvise(addr, *nr_pages * PAGE, MADV_RANDOM))
		return errno;
	close(fd);
	*map = addr;
	return 0;
}

/* All begin together. */
static int run_process(struct shared *s, unsigned int id)
{
	struct reader *readers = calloc(opt.threads, sizeof(*readers));
	const char *map = NULL;
	uint64_t nr_pages = 0;
	int err = readers ? map_file(&map, &nr_pages) : ENOMEM;

	atomic_fetch_add(&s->ready, 1);
	while (atomic_load(&s->ready) < opt.procs)
		usleep(1000);
	for (unsigned int i = 0; i < opt.threads && !err; i++) {
		struct reader *r = &readers[i];

		*r = (struct reader){
			.shared = s, .map = map, .nr_pages = nr_pages,
			.first = nr_pages * i / opt.threads,
			.seed = (uint64_t)id << 32 | i,
			.end = now() + opt.seconds,
		};
		err = pthread_create(&r->thread, NULL, opt.sequential ?
				     read_sequential : read_random, r);
	}
	for (unsigned int i = 0; i < opt.threads && !err; i++)
		err = pthread_join(readers[i].thread, NULL);
	if (err)
		atomic_store(&s->failed, (unsigned int)err);
	free(readers);
	return err;
}

static void usage(FILE *f)
{
	fputs("usage: readers --file=FILE [options]\n"
	      "  --procs=N      (1)\n"
	      "  --threads=N    of each (1)\n"
	      "  --seconds=S    (3)\n"
	      "  --sequential   not in random order\n"
	      "  --random       MADV_RANDOM\n", f);
}

static int run_all(struct shared *s)
{
	pid_t *pids = calloc(opt.procs, sizeof(*pids));
	pid_t failed;
	int status = 0;

	if (!pids)
		return ENOMEM;
	for (unsigned int i = 0; i < opt.procs; i++) {
		pids[i] = fork_worker();
		if (!pids[i])
			_exit(run_process(s, i));
		if (pids[i] < 0)
			return errno;
	}
	failed = wait_for_workers(pids, opt.procs, now() + opt.seconds + 120,
				  &status);
	free(pids);
	if (!failed)
		return 0;
	return (int)atomic_load(&s->failed) ?: ECHILD;
}

int main(int argc, char **argv)
{
	static const struct program_option options[] = {
		{ .name = "file", .text = &opt.file },
		{ .name = "procs", .uint = &opt.procs },
		{ .name = "threads", .uint = &opt.threads },
		{ .name = "seconds", .seconds = &opt.seconds },
		{ .name = "sequential", .on = &opt.sequential },
		{ .name = "random", .on = &opt.random },
		{ 0 },
	};
	int first = parse_options(options, argc, argv, usage), err;
	struct shared *s;
	double per_second;

	if (!first || first != argc || !opt.file || !opt.procs || !opt.threads) {
		usage(stderr);
		return 2;
	}
	s = shared_memory(sizeof(*s));
	err = s ? run_all(s) : ENOMEM;
	if (err) {
		fprintf(stderr, "readers: %s: %s\n", opt.file, strerror(err));
		return EXIT_FAILURE;
	}
	per_second = (double)atomic_load(&s->reads) / opt.seconds;
	printf("{\"reads\":%.1f,\"mean_us\":%.2f}\n", per_second,
	       1e6 * opt.procs * opt.threads / per_second);
	return EXIT_SUCCESS;
}
