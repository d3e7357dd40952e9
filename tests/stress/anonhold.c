// SPDX-License-Identifier: BSD-2-Clause
/*
 * tests/stress/anonhold.c - memory without a file, held for a script
 *
 *	anonhold DIR MB		maps and fills it from the mount with DIR: "ready"
 *
 *   stdin	answer
 *   check	ok N, lost N, wrong N: pages that are as they were stored, that
 *		raise SIGBUS, and that have anything else
 *   fill	stores other things to all of it; the same answer
 *   quit
 */
#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "pagefs/pagefs.h"

#define PAGE	4096ul
#define WORDS	(PAGE / sizeof(uint64_t))

static uint64_t *words;
static unsigned long nr_pages;
static uint64_t generation = 1;
static sigjmp_buf bus;

static void on_sigbus(int sig)
{
	(void)sig;
	siglongjmp(bus, 1);
}

static uint64_t value(unsigned long page, unsigned long word)
{
	return (generation << 48) ^ (page * WORDS + word) * 0x9e3779b97f4a7c15ull;
}

enum { OK, LOST, WRONG, NR_RESULTS };

static int check_page(unsigned long page)
{
	for (unsigned long w = 0; w < WORDS; w++)
		if (words[page * WORDS + w] != value(page, w))
			return WRONG;
	return OK;
}

static int fill_page(unsigned long page)
{
	for (unsigned long w = 0; w < WORDS; w++)
		words[page * WORDS + w] = value(page, w);
	return OK;
}

static void each_page(int (*fn)(unsigned long page))
{
	unsigned long results[NR_RESULTS] = { 0 };

	for (volatile unsigned long i = 0; i < nr_pages; i++) {
		volatile int result = LOST;	/* outlives the jump */

		if (!sigsetjmp(bus, 1))
			result = fn(i);
		results[result]++;
	}
	printf("ok %lu, lost %lu, wrong %lu\n", results[OK], results[LOST],
	       results[WRONG]);
	fflush(stdout);
}

static void die(const char *what, int err)
{
	fprintf(stderr, "anonhold: %s: %s\n", what, strerror(-err));
	exit(1);
}

int main(int argc, char **argv)
{
	struct sigaction sa = { .sa_handler = on_sigbus };
	struct pagefs *p;
	char line[64];
	void *addr;
	int fd, err;

	if (argc != 3) {
		fprintf(stderr, "usage: anonhold DIR MB\n");
		return 2;
	}
	fd = open(argv[1], O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	err = fd < 0 ? -errno : pagefs_connect(fd, &p);
	if (err)
		die(argv[1], err);
	nr_pages = (strtoul(argv[2], NULL, 0) << 20) / PAGE;
	err = pagefs_mmap(p, NULL, nr_pages * PAGE, PROT_READ | PROT_WRITE,
			  MAP_PRIVATE | MAP_ANONYMOUS, -1, 0, &addr);
	if (err)
		die("pagefs_mmap", err);
	words = addr;
	sigaction(SIGBUS, &sa, NULL);
	for (unsigned long i = 0; i < nr_pages; i++)
		fill_page(i);
	puts("ready");
	fflush(stdout);
	while (fgets(line, sizeof(line), stdin)) {
		if (!strcmp(line, "check\n")) {
			each_page(check_page);
		} else if (!strcmp(line, "fill\n")) {
			generation++;
			each_page(fill_page);
		} else {
			break;
		}
	}
	return 0;
}
