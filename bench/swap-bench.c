// SPDX-License-Identifier: BSD-2-Clause
/*
 * bench/swap-bench.c - anonymous memory paged by pagefs, and by the kernel
 *
 *   round 1: [start pagefs | rows | stop] [start kernel | rows | stop] ...
 *   round 2: [start kernel | rows | stop] ...
 *
 * One swap file for all, which each has in its turn, and as much memory: the
 * daemon's, or a control group's. A turn is a process that goes through all
 * rows, since each row needs memory that has been paged out; systems take turns
 * in being first. bench/swap-run makes file, mount and control group, and is what
 * starts and stops a system.
 */
#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "clock.h"
#include "free_memory.h"
#include "options.h"
#include "swap-bench.h"
#include "workers.h"

const char *const system_names[NR_SYSTEMS] = {
	[SYS_PAGEFS]		= "pagefs",
	[SYS_KERNEL]		= "kernel",
	[SYS_KERNEL_0]		= "kernel-0",
};
const char *const row_names[NR_ROWS] = {
	[ROW_FIRST_WRITE]	= "first_write",
	[ROW_SEQ_READ]		= "seq_read",
	[ROW_RAND_READ]		= "rand_read",
	[ROW_THREADS]		= "8_threads",
	[ROW_RAND_WRITE]	= "rand_write",
	[ROW_REWRITE]		= "rewrite",
};

/* What a turn may take beyond the limits of its rows: the first write, which has
 * none, and being short of memory. Arbitrary. */
#define TURN_SECONDS	180

static struct swap_bench bench = {
	.size = 1ULL << 30, .memory = 256ULL << 20, .seconds = 3, .pass = 60,
	.rounds = 3, .seed = 1, .machine = "",
};

/* ---- turns ---- */

static bool turn(const char *what, int sys)
{
	char command[4096];

	if (!bench.turn)
		return true;
	snprintf(command, sizeof(command), "%s %s %s", bench.turn, what,
		 system_names[sys]);
	if (!system(command))
		return true;
	fprintf(stderr, "swap-bench: '%s' failed\n", command);
	return false;
}

/* Return: did the process do all its rows? */
static bool run_process(int sys, unsigned int round, struct shared *shared)
{
	pid_t pid, failed;
	int status = 0;

	shared->error[0] = '\0';
	pid = fork_worker();
	if (!pid) {
		run_rows(&bench, (enum swap_system)sys, round, shared);
		_exit(0);
	}
	if (pid < 0) {
		perror("swap-bench: fork");
		return false;
	}
	failed = wait_for_workers(&pid, 1, now() + NR_ROWS * bench.seconds +
				  2 * bench.pass + TURN_SECONDS, &status);
	if (!failed)
		return true;
	if (status == -1) {
		kill(failed, SIGKILL);
		waitpid(failed, NULL, 0);
	}
	fprintf(stderr, "round %u %s: FAILED: %s (status %#x)\n", round + 1,
		system_names[sys], shared->error, status);
	return false;
}

static void print_turn(int sys, unsigned int round, const struct shared *shared)
{
	for (int row = 0; row < NR_ROWS; row++) {
		const struct cell *c = &shared->cells[sys][round][row];

		if (c->done && c->ops)
			fprintf(stderr, "round %u %-9s %-12s%10.2f us  %8llu pages\n",
				round + 1, system_names[sys], row_names[row],
				c->seconds * 1e6 / (double)c->ops,
				(unsigned long long)c->ops);
	}
}

static bool do_turn(int sys, unsigned int round, struct shared *shared)
{
	bool done;

	touch_free_memory(2 * bench.memory);
	done = turn("start", sys);
	if (done)
		done = run_process(sys, round, shared);
	print_turn(sys, round, shared);
	return turn("stop", sys) && done;
}

/* Return: how many turns failed. */
static int run_all(struct shared *shared)
{
	int failed = 0;

	for (unsigned int round = 0; round < bench.rounds; round++)
		for (unsigned int i = 0; i < NR_SYSTEMS; i++) {
			int sys = (int)((i + round) % NR_SYSTEMS);

			if (bench.systems[sys])
				failed += !do_turn(sys, round, shared);
		}
	return failed;
}

/* ---- options ---- */

static void usage(FILE *f)
{
	fprintf(f, "usage: swap-bench [options]\n"
		"  --systems=A,B   of pagefs kernel kernel-0 (all)\n"
		"  --mount=DIR     a directory of pagefs' mount\n"
		"  --pid-file=FILE of its daemon, to tell how much processor time it took\n"
		"  --cgroup=DIR    of the kernel's processes; limits their memory\n"
		"  --turn=COMMAND  is called with 'start' or 'stop', and the system\n"
		"  --size=MIB      of anonymous memory (1024)\n"
		"  --memory=MIB    for each system (256)\n"
		"  --seconds=S     limit of a random row (3)\n"
		"  --pass=S        limit of a sequential one, but for the first (60)\n"
		"  --rounds=N (3)  --seed=N (1)\n"
		"  --rows=A,B      of first_write seq_read rand_read 8_threads\n"
		"                  rand_write rewrite; the first is always done\n"
		"  --json=FILE     append a line a case; - for standard output\n"
		"  --machine=TEXT  for the JSON lines\n");
}

static bool pick(char *list, const char *const *names, int nr, bool *picked)
{
	char *save = NULL;

	for (char *name = strtok_r(list, ",", &save); name;
	     name = strtok_r(NULL, ",", &save)) {
		int i = 0;

		while (i < nr && strcmp(name, names[i]))
			i++;
		if (i == nr)
			return false;
		picked[i] = true;
	}
	return true;
}

static void all_if_none(bool *picked, int nr)
{
	for (int i = 0; i < nr; i++)
		if (picked[i])
			return;
	memset(picked, true, (size_t)nr);
}

static bool pick_rows(char *list)
{
	return pick(list, row_names, NR_ROWS, bench.rows);
}

static bool pick_systems(char *list)
{
	return pick(list, system_names, NR_SYSTEMS, bench.systems);
}

static const struct program_option options[] = {
	{ "systems", .call = pick_systems },
	{ "mount", .text = &bench.mount },
	{ "pid-file", .text = &bench.pid_file },
	{ "cgroup", .text = &bench.cgroup },
	{ "turn", .text = &bench.turn },
	{ "size", .u64 = &bench.size, .shift = 20 },
	{ "memory", .u64 = &bench.memory, .shift = 20 },
	{ "seconds", .seconds = &bench.seconds },
	{ "pass", .seconds = &bench.pass },
	{ "rounds", .uint = &bench.rounds },
	{ "seed", .u64 = &bench.seed },
	{ "rows", .call = pick_rows },
	{ "json", .text = &bench.json },
	{ "machine", .text = &bench.machine },
	{ .name = NULL },
};

static bool parse(int argc, char **argv)
{
	if (parse_options(options, argc, argv, usage) != argc)
		return false;
	all_if_none(bench.rows, NR_ROWS);
	all_if_none(bench.systems, NR_SYSTEMS);
	return bench.rounds && bench.rounds <= MAX_ROUNDS && bench.size &&
		bench.seconds > 0 && bench.pass > 0 &&
		(bench.mount || !bench.systems[SYS_PAGEFS]);
}

int main(int argc, char **argv)
{
	struct shared *shared;
	char command[4096];
	int failed, missed;
	size_t size;

	command_line(command, sizeof(command), argc, argv);
	if (!parse(argc, argv)) {
		usage(stderr);
		return 2;
	}
	size = sizeof(*shared) + bench.size / BLOCK * sizeof(uint32_t);
	shared = shared_memory(size);
	if (!shared) {
		fprintf(stderr, "swap-bench: out of memory\n");
		return 1;
	}
	memset(shared, 0, size);	/* ours, in no control group */
	failed = run_all(shared);
	missed = report(&bench, command, shared);
	printf("\n%d targets missed, %d turns failed\n", missed, failed);
	return failed ? 1 : 0;
}
