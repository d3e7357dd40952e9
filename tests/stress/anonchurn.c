// SPDX-License-Identifier: BSD-2-Clause
/*
 * tests/stress/anonchurn.c - clients that come, use memory without a file, fork,
 *                            are killed at any moment, and go
 *
 *	anonchurn [--clients=N] [--parallel=N] [--pages=N] [--seed=S] DIR
 *
 *   main --fork--> client: connects to the mount with DIR, maps, stores, checks
 *     |              +--fork--> child: checks, stores, ends or is killed
 *     +-- kills one in three of them some time after it began
 *
 * What a client checks is its own: each of its pages says whose it is. Nothing is
 * printed but what is wrong, and one line at the end. What the daemon has left
 * when all have gone is for the script to look at.
 */
#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "pagefs/pagefs.h"

#define PAGE	4096ul
#define WORDS	(PAGE / sizeof(uint64_t))
#define MAX_PARALLEL	64

static struct {
	unsigned long clients, parallel, pages;
	uint64_t seed;
	const char *dir;
} opt = { .clients = 100, .parallel = 8, .pages = 600, .seed = 1 };

static uint64_t rand_next(uint64_t *state)
{
	*state ^= *state << 13;
	*state ^= *state >> 7;
	*state ^= *state << 17;
	return *state;
}

static void die(const char *what, int err)
{
	fprintf(stderr, "anonchurn: %d: %s: %s\n", getpid(), what,
		strerror(err < 0 ? -err : err));
	_exit(1);
}

/* ---- a client ---- */

struct area {
	uint64_t *words;
	unsigned long pages;
	uint64_t *says;			/* what each page has, or 0: zeros */
};

static void store(struct area *a, unsigned long i, uint64_t value)
{
	a->words[i * WORDS] = value;
	a->words[i * WORDS + WORDS - 1] = ~value;
	a->says[i] = value;
}

static void check(const struct area *a, unsigned long i)
{
	uint64_t first = a->words[i * WORDS];
	uint64_t last = a->words[i * WORDS + WORDS - 1];

	if (first == a->says[i] && last == (first ? ~first : 0))
		return;
	fprintf(stderr, "anonchurn: %d: page %lu has %llx..%llx, not %llx\n",
		getpid(), i, (unsigned long long)first,
		(unsigned long long)last, (unsigned long long)a->says[i]);
	_exit(1);
}

static void churn(struct area *a, uint64_t *rand, unsigned int steps)
{
	for (unsigned int s = 0; s < steps; s++) {
		unsigned long i = rand_next(rand) % a->pages;

		check(a, i);
		if (rand_next(rand) % 2)
			store(a, i, rand_next(rand) | 1);
	}
}

static void check_all(const struct area *a)
{
	for (unsigned long i = 0; i < a->pages; i++)
		check(a, i);
}

static void run_child(struct area *a, uint64_t rand)
{
	check_all(a);
	churn(a, &rand, 200);
	_exit(0);
}

static void fork_once(struct area *a, uint64_t *rand)
{
	uint64_t fate = rand_next(rand);
	pid_t pid = fork();

	if (pid < 0)
		die("fork", errno);
	if (!pid)
		run_child(a, fate);
	churn(a, rand, 100);
	if (fate % 3 == 0) {
		usleep(fate / 3 % 3000);
		kill(pid, SIGKILL);
	}
	int status;

	waitpid(pid, &status, 0);
	if (fate % 3 && status) {
		fprintf(stderr, "anonchurn: a child ended with %#x\n", status);
		_exit(1);
	}
}

static void run_client(uint64_t rand)
{
	struct area a = { .pages = opt.pages };
	struct pagefs *p;
	void *addr;
	int fd = open(opt.dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	int err = fd < 0 ? -errno : pagefs_connect(fd, &p);

	if (err)
		die(opt.dir, err);
	err = pagefs_mmap(p, NULL, a.pages * PAGE, PROT_READ | PROT_WRITE,
			  MAP_PRIVATE | MAP_ANONYMOUS, -1, 0, &addr);
	if (err)
		die("pagefs_mmap", err);
	a.words = addr;
	a.says = calloc(a.pages, sizeof(*a.says));
	churn(&a, &rand, 300);
	for (unsigned int n = rand_next(&rand) % 3; n; n--)
		fork_once(&a, &rand);
	check_all(&a);
	if (rand_next(&rand) % 2) {
		err = pagefs_munmap(p, addr, a.pages * PAGE);
		if (err)
			die("pagefs_munmap", err);
		pagefs_disconnect(p);
	}
	_exit(0);
}

/* ---- all of them ---- */

static unsigned long failed, killed;

/* Fields: pid 0: none. */
static struct {
	pid_t pid;
	bool doomed;
} running[MAX_PARALLEL];

static void start_one(unsigned int slot, uint64_t *rand)
{
	uint64_t seed = rand_next(rand);

	fflush(stdout);
	running[slot].pid = fork();
	if (running[slot].pid < 0)
		die("fork", errno);
	if (!running[slot].pid)
		run_client(seed);
	running[slot].doomed = seed % 3 == 0;
	if (running[slot].doomed) {
		usleep(seed / 3 % 20000);
		kill(running[slot].pid, SIGKILL);
		killed++;
	}
}

static void wait_for_one(void)
{
	int status;
	pid_t pid = wait(&status);

	for (unsigned int i = 0; i < opt.parallel; i++) {
		if (running[i].pid != pid)
			continue;
		running[i].pid = 0;
		failed += status && !running[i].doomed;
	}
}

static unsigned int free_slot(void)
{
	for (;;) {
		for (unsigned int i = 0; i < opt.parallel; i++)
			if (!running[i].pid)
				return i;
		wait_for_one();
	}
}

static bool any_runs(void)
{
	for (unsigned int i = 0; i < opt.parallel; i++)
		if (running[i].pid)
			return true;
	return false;
}

static void parse(int argc, char **argv)
{
	static const struct option options[] = {
		{ "clients", required_argument, NULL, 'c' },
		{ "parallel", required_argument, NULL, 'p' },
		{ "pages", required_argument, NULL, 'n' },
		{ "seed", required_argument, NULL, 's' },
		{ 0 },
	};
	int c;

	while ((c = getopt_long(argc, argv, "", options, NULL)) != -1) {
		unsigned long v = optarg ? strtoul(optarg, NULL, 0) : 0;

		if (c == 'c')
			opt.clients = v;
		else if (c == 'p')
			opt.parallel = v;
		else if (c == 'n')
			opt.pages = v;
		else if (c == 's')
			opt.seed = v;
		else
			exit(2);
	}
	if (optind + 1 != argc || !opt.pages || !opt.parallel ||
	    opt.parallel > MAX_PARALLEL || !opt.seed) {
		fprintf(stderr, "usage: anonchurn [--clients=N] [--parallel=N] "
			"[--pages=N] [--seed=S] DIR\n");
		exit(2);
	}
	opt.dir = argv[optind];
}

int main(int argc, char **argv)
{
	uint64_t rand;

	parse(argc, argv);
	rand = opt.seed * 0x9e3779b97f4a7c15ull;
	for (unsigned long n = 0; n < opt.clients; n++)
		start_one(free_slot(), &rand);
	while (any_runs())
		wait_for_one();
	printf("%lu clients, %lu killed, %lu failed, seed %llu\n", opt.clients,
	       killed, failed, (unsigned long long)opt.seed);
	return failed != 0;
}
