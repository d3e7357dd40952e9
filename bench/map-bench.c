// SPDX-License-Identifier: BSD-2-Clause
/*
 * bench/map-bench.c - page faults by pagefs, by the kernel, and by a pager
 *
 *   round 1: rand_read:  [pagefs] [kernel] [kernel-random] [pager]
 *            seq_read:   [kernel] [kernel-random] [pager] [pagefs]
 *            ...
 *   round 2: ...
 *
 * One file of the same size for each, and as much memory: the daemon's, a
 * control group's, the pager's own. A cell is a process, and systems take turns
 * in being first; what is compared was measured within seconds. bench/map-run
 * makes files, mount and control group.
 */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "clock.h"
#include "free_memory.h"
#include "map-bench.h"
#include "options.h"
#include "workers.h"

const char *const system_names[NR_SYSTEMS] = {
	[SYS_PAGEFS]		= "pagefs",
	[SYS_KERNEL]		= "kernel",
	[SYS_KERNEL_RANDOM]	= "kernel-random",
	[SYS_PAGER]		= "pager",
};
const char *const row_names[NR_ROWS] = {
	[ROW_RAND_READ]		= "rand_read",
	[ROW_SEQ_READ]		= "seq_read",
	[ROW_RAND_WRITE]	= "rand_write",
	[ROW_THREADS]		= "8_threads",
	[ROW_WARM]		= "warm",
	[ROW_WARM_RW]		= "warm_rw",
	[ROW_STORE]		= "store",
	[ROW_STORE_DIRECT]	= "store_direct",
};

/* What a cell may take beyond --seconds: filling memory, syncing. Arbitrary. */
#define CELL_SECONDS	120

static struct map_bench bench = {
	.size = 2ULL << 30, .memory = 256ULL << 20, .warm = 96ULL << 20,
	.writes = 20000, .seconds = 3, .rounds = 3, .seed = 1, .machine = "",
};

static void *must_share(size_t size)
{
	void *p = shared_memory(size);

	if (!p) {
		fprintf(stderr, "map-bench: out of memory\n");
		exit(1);
	}
	return p;
}

/* ---- before a cell ---- */

static void drop_file(const char *file)
{
	int fd = open(file, O_RDWR | O_CLOEXEC);

	if (fd < 0)
		return;
	fdatasync(fd);
	posix_fadvise(fd, 0, 0, POSIX_FADV_DONTNEED);
	close(fd);
}

static int prepare(enum map_system sys)
{
	if (sys != SYS_PAGEFS)
		drop_file(bench.files[sys]);
	else if (bench.fresh && system(bench.fresh))
		return -1;
	touch_free_memory(2 * bench.memory);
	return 0;
}

/* ---- cells ---- */

static void wait_for(pid_t pid, struct cell *cell)
{
	const double deadline = now() + bench.seconds + CELL_SECONDS;
	int status;

	while (!waitpid(pid, &status, WNOHANG)) {
		if (now() > deadline) {
			snprintf(cell->error, sizeof(cell->error), "hangs");
			kill(pid, SIGKILL);
			waitpid(pid, &status, 0);
			return;
		}
		usleep(5000);
	}
	if (status && !cell->error[0])
		snprintf(cell->error, sizeof(cell->error), "status %#x", status);
}

static void do_cell(enum map_system sys, enum map_row row, unsigned int round,
		    struct cell *cell)
{
	static uint32_t *samples;
	pid_t pid;

	if (!samples)
		samples = must_share(MAX_SAMPLES * sizeof(*samples));
	if (prepare(sys)) {
		snprintf(cell->error, sizeof(cell->error), "'%s' failed",
			 bench.fresh);
	} else {
		pid = fork_worker();
		if (!pid) {
			run_cell(&bench, sys, row, round, cell, samples);
			_exit(0);
		}
		wait_for(pid, cell);
	}
	fprintf(stderr, "round %u %-10s %-14s", round + 1, row_names[row],
		system_names[sys]);
	if (cell->done)
		fprintf(stderr, "%10.2f us  %8llu accesses\n",
			cell->seconds * 1e6 / (double)(cell->ops + !cell->ops),
			(unsigned long long)cell->ops);
	else
		fprintf(stderr, "FAILED: %s\n", cell->error);
}

/* Return: how many cells failed. */
static int run_all(cell_table *cells)
{
	int failed = 0, turn = 0;

	for (unsigned int round = 0; round < bench.rounds; round++)
		for (int row = 0; row < NR_ROWS; row++, turn++)
			for (int i = 0; bench.rows[row] && i < NR_SYSTEMS; i++) {
				int sys = (i + turn) % NR_SYSTEMS;
				struct cell *cell = &(*cells)[row][sys][round];

				if (!bench.files[sys])
					continue;
				do_cell((enum map_system)sys, (enum map_row)row,
					round, cell);
				failed += !cell->done;
			}
	return failed;
}

/* ---- options ---- */

static void usage(FILE *f)
{
	fprintf(f, "usage: map-bench [options]\n"
		"  --pagefs=FILE --kernel=FILE --pager=FILE   which to compare;\n"
		"                  files of --size; those of kernel and pager may be one\n"
		"  --cgroup=DIR    of the kernel's cells; limits their memory\n"
		"  --fresh=COMMAND before each cell of pagefs: starts the daemon anew\n"
		"  --size=MIB (2048)   --memory=MIB (256)   --warm=MIB (96)\n"
		"  --writes=N      of the row rand_write (20000)\n"
		"  --seconds=S     limit of a cell (3)\n"
		"  --rounds=N (3)  --seed=N (1)\n"
		"  --rows=A,B      of rand_read seq_read rand_write 8_threads warm\n"
		"                  warm_rw store store_direct\n"
		"  --json=FILE     append a line a case; - for standard output\n"
		"  --machine=TEXT  for the JSON lines\n");
}

static bool pick_kernel(char *file)
{
	bench.files[SYS_KERNEL] = file;
	bench.files[SYS_KERNEL_RANDOM] = file;
	return true;
}

static bool pick_rows(char *names)
{
	char *save = NULL;

	for (char *name = strtok_r(names, ",", &save); name;
	     name = strtok_r(NULL, ",", &save)) {
		int row = 0;

		while (row < NR_ROWS && strcmp(name, row_names[row]))
			row++;
		if (row == NR_ROWS)
			return false;
		bench.rows[row] = true;
	}
	return true;
}

static const struct program_option options[] = {
	{ "pagefs", .text = &bench.files[SYS_PAGEFS] },
	{ "kernel", .call = pick_kernel },
	{ "pager", .text = &bench.files[SYS_PAGER] },
	{ "cgroup", .text = &bench.cgroup },
	{ "fresh", .text = &bench.fresh },
	{ "size", .u64 = &bench.size, .shift = 20 },
	{ "memory", .u64 = &bench.memory, .shift = 20 },
	{ "warm", .u64 = &bench.warm, .shift = 20 },
	{ "writes", .u64 = &bench.writes },
	{ "seconds", .seconds = &bench.seconds },
	{ "rounds", .uint = &bench.rounds },
	{ "seed", .u64 = &bench.seed },
	{ "rows", .call = pick_rows },
	{ "json", .text = &bench.json },
	{ "machine", .text = &bench.machine },
	{ .name = NULL },
};

static bool parse(int argc, char **argv)
{
	bool any = false;

	if (parse_options(options, argc, argv, usage) != argc)
		return false;
	for (int i = 0; i < NR_ROWS; i++)
		any |= bench.rows[i];
	for (int i = 0; i < NR_ROWS && !any; i++)
		bench.rows[i] = true;
	return bench.rounds && bench.rounds <= MAX_ROUNDS &&
		bench.seconds > 0 && bench.warm <= bench.memory &&
		bench.memory < bench.size;
}

int main(int argc, char **argv)
{
	char command[4096];
	cell_table *cells;
	int failed, missed;

	command_line(command, sizeof(command), argc, argv);
	if (!parse(argc, argv)) {
		usage(stderr);
		return 2;
	}
	cells = must_share(sizeof(*cells));
	failed = run_all(cells);
	missed = report(&bench, command, cells);
	printf("\n%d targets missed, %d cells failed\n", missed, failed);
	return failed ? 1 : 0;
}
