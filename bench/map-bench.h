/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * bench/map-bench.h - what the files of map-bench share
 *
 *   map-bench.c	options; a process for each cell, in turns
 *   map_rows.c		what a cell does: map, warm up, touch pages
 *   map_pager.c	the opponent among the systems
 *   map_report.c	medians, tables, ratios, JSON
 */
#ifndef MAP_BENCH_H
#define MAP_BENCH_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include "figures.h"

#define BLOCK		4096u
#define MAX_THREADS	8
#define MAX_ROUNDS	32
#define MAX_SAMPLES	(4u << 20)	/* latencies of a cell, all threads' */

enum map_system {
	SYS_PAGEFS,
	SYS_KERNEL,		/* mmap(2), default read-ahead */
	SYS_KERNEL_RANDOM,	/* the same with MADV_RANDOM */
	SYS_PAGER,		/* map_pager.c */
	NR_SYSTEMS,
};

enum map_row {
	ROW_RAND_READ,
	ROW_SEQ_READ,
	ROW_RAND_WRITE,		/* with the final sync */
	ROW_THREADS,		/* MAX_THREADS of random reads */
	ROW_WARM,		/* first touch by a second process */
	ROW_WARM_RW,		/* the same, with the right to write */
	ROW_STORE,		/* first stores to clean pages in memory */
	ROW_STORE_DIRECT,	/* the same, by a descriptor with O_DIRECT */
	NR_ROWS,
};

struct map_bench {
	const char *files[NR_SYSTEMS];	/* NULL: leave the system out */
	const char *cgroup;	/* of the kernel's cells; NULL: none */
	const char *fresh;	/* command that starts the daemon anew, or NULL */
	const char *json, *machine;
	uint64_t size, memory;	/* bytes */
	uint64_t warm;		/* bytes of ROW_WARM, ROW_STORE */
	uint64_t writes;	/* of ROW_RAND_WRITE */
	double seconds;		/* limit of a cell; a cell is cut short, not late */
	unsigned int rounds;
	uint64_t seed;
	bool rows[NR_ROWS];
};

/* Of one cell, in memory shared with its process. Times in us. */
struct cell {
	bool done;
	uint64_t ops;
	double seconds;		/* of all, and ... */
	double sync_seconds;	/* ... of that, of the final sync */
	struct latency lat;
	char error[128];
};

extern const char *const system_names[NR_SYSTEMS];
extern const char *const row_names[NR_ROWS];

/* Runs in a process of its own. @samples: MAX_SAMPLES, shared, in ns. */
void run_cell(const struct map_bench *b, enum map_system sys, enum map_row row,
	      unsigned int round, struct cell *cell, uint32_t *samples);

/* cells[row][system][round] */
typedef struct cell (cell_table)[NR_ROWS][NR_SYSTEMS][MAX_ROUNDS];
/* Return: how many targets were missed. */
int report(const struct map_bench *b, const char *command,
	   cell_table *cells);

/* ---- map_pager.c ---- */

struct pager;

/**
 * pager_open - map @size bytes of a file, paged by a thread of ours
 * @memory: bytes it may keep
 * @direct: read with O_DIRECT: the kernel shall not keep a second copy
 * Return: the pager, or NULL with errno set.
 */
struct pager *pager_open(const char *file, size_t size, size_t memory,
			 bool direct);
char *pager_map(struct pager *p);
/* Writes what is dirty, and fsync. Return: 0 or -errno. */
int pager_sync(struct pager *p);

#endif /* MAP_BENCH_H */
