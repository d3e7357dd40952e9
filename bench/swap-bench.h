/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * bench/swap-bench.h - what the files of swap-bench share
 *
 *   swap-bench.c	options; a process for each system, in turns
 *   swap_rows.c	what it does: write memory, read it, page by page
 *   swap_report.c	medians, tables, ratios, JSON
 */
#ifndef SWAP_BENCH_H
#define SWAP_BENCH_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include "figures.h"

#define BLOCK		4096u
#define MAX_THREADS	8
#define MAX_ROUNDS	32
#define MAX_SAMPLES	(4u << 20)	/* latencies of a row, all threads' */

enum swap_system {
	SYS_PAGEFS,
	SYS_KERNEL,		/* vm.page-cluster as it was found */
	SYS_KERNEL_0,		/* vm.page-cluster 0: no read-ahead */
	NR_SYSTEMS,
};

/* In this order, by one process, in the same memory. */
enum swap_row {
	ROW_FIRST_WRITE,	/* all of it, in sequence: pages out */
	ROW_SEQ_READ,		/* all of it: pages in */
	ROW_RAND_READ,
	ROW_THREADS,		/* MAX_THREADS of random reads */
	ROW_RAND_WRITE,		/* read, modify, write: in and out */
	ROW_REWRITE,		/* all of it, in sequence: in and out */
	NR_ROWS,
};

struct swap_bench {
	bool systems[NR_SYSTEMS];
	const char *mount;	/* of pagefs */
	const char *pid_file;	/* with the pid of its daemon; NULL: unknown */
	const char *cgroup;	/* of the kernel's processes; NULL: none */
	const char *turn;	/* command: "<turn> start|stop <system>" */
	const char *json, *machine;
	uint64_t size, memory;	/* bytes */
	double seconds;		/* limit of a random row */
	double pass;		/* ... of a sequential one after the first */
	unsigned int rounds;
	uint64_t seed;
	bool rows[NR_ROWS];
};

/* Of one row, in memory shared with its process. Times in us. */
struct cell {
	bool done;
	bool cut;		/* a sequential row that reached its limit */
	uint64_t ops;
	uint64_t in, out;	/* pages swapped meanwhile */
	double seconds;
	double cpu;		/* seconds, of the process and the daemon */
	struct latency lat;
};

/* What a process works with that is not its system's memory: all of it shared,
 * and touched before, so that it is in nobody's limit. */
struct shared {
	struct cell cells[NR_SYSTEMS][MAX_ROUNDS][NR_ROWS];
	char error[256];	/* of the process that runs */
	uint32_t samples[MAX_SAMPLES];	/* ns */
	uint32_t generations[];	/* of each page, how often it was written */
};

extern const char *const system_names[NR_SYSTEMS];
extern const char *const row_names[NR_ROWS];

/* Runs in a process of its own, and ends it if anything fails. */
void run_rows(const struct swap_bench *b, enum swap_system sys,
	      unsigned int round, struct shared *shared);

/* Return: how many targets were missed. */
int report(const struct swap_bench *b, const char *command,
	   const struct shared *shared);

#endif /* SWAP_BENCH_H */
