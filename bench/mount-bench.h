/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * bench/mount-bench.h - what the rows, the clock and the counters share
 *
 *   mount-bench.c	options; runs the rows, prints a line for each
 *   rows_data.c	rows that read and write one large file
 *   rows_meta.c	rows over many small files
 *   count.c		FUSE requests and processor time of a timed stretch
 */
#ifndef MOUNT_BENCH_H
#define MOUNT_BENCH_H

#include <stddef.h>
#include <stdint.h>

#include "clock.h"

#define BLOCK		4096u		/* bytes of a random access */
#define CHUNK		(1u << 20)	/* bytes of a sequential one */
#define MAX_THREADS	64		/* arbitrary */

/* Which of the small files are there, and under which name. */
enum files_state {
	FILES_NONE,		/* or no directory yet */
	FILES_EMPTY,
	FILES_FULL,		/* BLOCK bytes in each */
	FILES_RENAMED,
};

/* Written by the main thread alone, while no worker runs. */
struct bench {
	const char *dir;
	uint64_t size;		/* bytes of the large file, a multiple of CHUNK */
	unsigned int nr_files;	/* a thread */
	double seconds;		/* how long a row that could go on is let run */
	unsigned int nr_threads;
	uint64_t seed;
	pid_t server_pid;	/* the daemon behind dir, or 0 */
	const char *tracefs;	/* count FUSE requests through it, or NULL */

	int dirfd;
	int fd;			/* the large file, or -1 */
	char *map;		/* all of it, or NULL */
	int thread_dirs[MAX_THREADS];	/* of the small files; -1 at first */
	enum files_state files;
};

struct worker {
	struct bench *b;
	unsigned int id;
	double deadline;	/* CLOCK_MONOTONIC, seconds */
	uint64_t ops;		/* done */
	char *buf;		/* CHUNK bytes */
};

/*
 * prepare	not timed, before the workers
 * work		timed, once a thread. Return: 0 or -errno
 * finish	timed, after the last worker; or NULL
 * after	not timed; or NULL
 * All but work are called by the main thread.
 */
struct row {
	const char *name;
	unsigned int op_bytes;	/* the value is MB/s of these; 0: ops/s */
	unsigned int passes;	/* a short row is repeated up to so often */
	int (*prepare)(struct bench *b);
	int (*work)(struct worker *w);
	int (*finish)(struct bench *b);
	int (*after)(struct bench *b);
};

extern const struct row data_rows[];	/* ended by one without a name */
extern const struct row meta_rows[];

/* sync, then /proc/sys/vm/drop_caches. Return: 0 or -errno. */
int drop_caches(int what);

/* ---- count.c ---- */

#define NR_OPCODES	64

struct counts {
	double client_cpu;	/* seconds */
	double server_cpu;
	uint64_t requests[NR_OPCODES];	/* by FUSE opcode */
};

/* Return: 0, or -errno when b->tracefs was asked for and cannot serve. */
int count_open(const struct bench *b);
/* Totals since count_open(), to be subtracted from each other. */
void count_read(const struct bench *b, struct counts *c);
/* "LOOKUP=1.00,GETATTR=0.50": requests per operation; "-" for none. */
void count_print(const struct counts *from, const struct counts *to,
		 uint64_t ops);

#endif /* MOUNT_BENCH_H */
