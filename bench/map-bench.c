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
#include <getopt.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "clock.h"
#include "free_memory.h"
#include "map-bench.h"
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
		"  --json=FILE     append a line a case; - for standard output\n"
		"  --machine=TEXT  for the JSON lines\n");
}

enum { OPT_PAGEFS = 1, OPT_KERNEL, OPT_PAGER, OPT_CGROUP, OPT_FRESH, OPT_SIZE,
       OPT_MEMORY, OPT_WARM, OPT_WRITES, OPT_SECONDS, OPT_ROUNDS, OPT_SEED,
       OPT_ROWS, OPT_JSON, OPT_MACHINE, OPT_HELP };

static const struct option options[] = {
	{ "pagefs", required_argument, NULL, OPT_PAGEFS },
	{ "kernel", required_argument, NULL, OPT_KERNEL },
	{ "pager", required_argument, NULL, OPT_PAGER },
	{ "cgroup", required_argument, NULL, OPT_CGROUP },
	{ "fresh", required_argument, NULL, OPT_FRESH },
	{ "size", required_argument, NULL, OPT_SIZE },
	{ "memory", required_argument, NULL, OPT_MEMORY },
	{ "warm", required_argument, NULL, OPT_WARM },
	{ "writes", required_argument, NULL, OPT_WRITES },
	{ "seconds", required_argument, NULL, OPT_SECONDS },
	{ "rounds", required_argument, NULL, OPT_ROUNDS },
	{ "seed", required_argument, NULL, OPT_SEED },
	{ "rows", required_argument, NULL, OPT_ROWS },
	{ "json", required_argument, NULL, OPT_JSON },
	{ "machine", required_argument, NULL, OPT_MACHINE },
	{ "help", no_argument, NULL, OPT_HELP },
	{ NULL, 0, NULL, 0 },
};

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

static bool parse_one(int c)
{
	switch (c) {
	case OPT_PAGEFS:
		bench.files[SYS_PAGEFS] = optarg;
		break;
	case OPT_KERNEL:
		bench.files[SYS_KERNEL] = optarg;
		bench.files[SYS_KERNEL_RANDOM] = optarg;
		break;
	case OPT_PAGER:
		bench.files[SYS_PAGER] = optarg;
		break;
	case OPT_CGROUP:
		bench.cgroup = optarg;
		break;
	case OPT_FRESH:
		bench.fresh = optarg;
		break;
	case OPT_SIZE:
		bench.size = strtoull(optarg, NULL, 0) << 20;
		break;
	case OPT_MEMORY:
		bench.memory = strtoull(optarg, NULL, 0) << 20;
		break;
	case OPT_WARM:
		bench.warm = strtoull(optarg, NULL, 0) << 20;
		break;
	case OPT_WRITES:
		bench.writes = strtoull(optarg, NULL, 0);
		break;
	case OPT_SECONDS:
		bench.seconds = strtod(optarg, NULL);
		break;
	case OPT_ROUNDS:
		bench.rounds = (unsigned int)strtoul(optarg, NULL, 0);
		break;
	case OPT_SEED:
		bench.seed = strtoull(optarg, NULL, 0);
		break;
	case OPT_ROWS:
		return pick_rows(optarg);
	case OPT_JSON:
		bench.json = optarg;
		break;
	case OPT_MACHINE:
		bench.machine = optarg;
		break;
	case OPT_HELP:
		usage(stdout);
		exit(0);
	default:
		return false;
	}
	return true;
}

static bool parse(int argc, char **argv)
{
	bool any = false;
	int c;

	while ((c = getopt_long(argc, argv, "", options, NULL)) != -1)
		if (!parse_one(c))
			return false;
	for (int i = 0; i < NR_ROWS; i++)
		any |= bench.rows[i];
	for (int i = 0; i < NR_ROWS && !any; i++)
		bench.rows[i] = true;
	return optind == argc && bench.rounds && bench.rounds <= MAX_ROUNDS &&
		bench.seconds > 0 && bench.warm <= bench.memory &&
		bench.memory < bench.size;
}

static void command_line(char *buf, size_t size, int argc, char **argv)
{
	size_t at = 0;

	buf[0] = '\0';
	for (int i = 0; i < argc && at < size; i++)
		at += (size_t)snprintf(buf + at, size - at, "%s%s",
				       i ? " " : "", argv[i]);
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
