// SPDX-License-Identifier: BSD-2-Clause
/*
 * tests/client/test_fork.c - libpagefs on a mount: children
 *
 * Children report by their exit status: CUnit's counters are their parent's.
 */
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <sched.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/wait.h>

#include "harness.h"
#include "mounted.h"

#define NR_PAGES	256
#define NR_CHILDREN	50
#define NR_LOOPS	100
#define NR_FILES	450	/* more than go to a child in one packet */

/* Does @addr show page @first and those after it? For children, too. */
static bool shows(const char *addr, size_t first, size_t nr)
{
	int sig;

	for (size_t i = 0; i < nr; i++)
		if (peek(addr + i * PAGE, &sig) != page_word(first + i))
			return false;
	return true;
}

static void same_pages(void)
{
	int fd = make_file("f-same", NR_PAGES, O_RDWR), sig;
	char *addr = map_pages(fd, 0, NR_PAGES, RW);
	pid_t pid;

	close(fd);
	/* Half of them are absent in the parent, too. */
	CU_ASSERT(shows(addr, 0, NR_PAGES / 2));
	pid = fork();
	if (!pid) {
		if (!shows(addr, 0, NR_PAGES))
			_exit(1);
		if (poke(addr + 7 * PAGE, 7) || poke(addr + 200 * PAGE, 8))
			_exit(2);
		_exit(pagefs_of(addr) != mount_conn());
	}
	CU_ASSERT_EQUAL(child_status(pid), 0);
	CU_ASSERT_EQUAL(peek(addr + 7 * PAGE, &sig), 7);
	CU_ASSERT_EQUAL(peek(addr + 200 * PAGE, &sig), 8);
	CU_ASSERT(shows(addr + 8 * PAGE, 8, 100));
	unmap_pages(addr, NR_PAGES);
}

/* A child can do all its parent can. */
static int child_of_child(char *addr, int depth)
{
	struct pagefs *p = mount_conn();
	void *more;
	pid_t pid;
	int fd;

	if (!shows(addr, 0, NR_PAGES))
		return 10 + depth;
	fd = open(on_mount("f-grand"), O_RDWR);
	if (pagefs_mmap(p, NULL, PAGE, RW, MAP_SHARED, fd, 5 * PAGE, &more) ||
	    !shows(more, 5, 1) || pagefs_munmap(p, more, PAGE) ||
	    pagefs_msync(p, addr, PAGE, MS_SYNC) ||
	    pagefs_munmap(p, addr + (size_t)depth * PAGE, PAGE) ||
	    pagefs_mmap(p, addr + (size_t)depth * PAGE, PAGE, RW,
			MAP_SHARED | MAP_FIXED, fd, depth * (off_t)PAGE, &more))
		return 20 + depth;
	close(fd);
	if (depth == 3)
		return 0;
	pid = fork();
	if (!pid)
		_exit(child_of_child(addr, depth + 1));
	return child_status(pid);
}

static void grandchildren(void)
{
	int fd = make_file("f-grand", NR_PAGES, O_RDWR);
	char *addr = map_pages(fd, 0, NR_PAGES, RW);
	pid_t pid;

	close(fd);
	pid = fork();
	if (!pid)
		_exit(child_of_child(addr, 1));
	CU_ASSERT_EQUAL(child_status(pid), 0);
	CU_ASSERT(shows(addr, 0, NR_PAGES));
	unmap_pages(addr, NR_PAGES);
}

static void count_up(char *addr)
{
	for (size_t i = 0; i < NR_LOOPS * NR_PAGES; i++)
		atomic_fetch_add((atomic_ulong *)(addr + i % NR_PAGES * PAGE), 1);
}

static void fifty_children(void)
{
	int fd = make_file("f-count", NR_PAGES, O_RDWR), bad = 0, sig;
	char *addr = map_pages(fd, 0, NR_PAGES, RW);
	pid_t pid[NR_CHILDREN];

	for (size_t i = 0; i < NR_PAGES; i++)
		poke(addr + i * PAGE, 0);
	for (int i = 0; i < NR_CHILDREN; i++) {
		pid[i] = fork();
		if (!pid[i]) {
			count_up(addr);
			_exit(0);
		}
	}
	count_up(addr);
	for (int i = 0; i < NR_CHILDREN; i++)
		bad += child_status(pid[i]) != 0;
	CU_ASSERT_EQUAL(bad, 0);
	for (size_t i = 0; i < NR_PAGES; i++)
		CU_ASSERT_EQUAL(peek(addr + i * PAGE, &sig),
				NR_LOOPS * (NR_CHILDREN + 1));
	unmap_pages(addr, NR_PAGES);
	close(fd);
}

static void rights_kept(void)
{
	int fd = make_file("f-rights", 8, O_RDWR);
	int ro = open(on_mount("f-rights"), O_RDONLY);
	struct pagefs *p = mount_conn();
	char *addr = map_pages(fd, 0, 8, RW);
	char *rd = map_pages(ro, 0, 8, PROT_READ);
	pid_t pid;

	CU_ASSERT_EQUAL(pagefs_mprotect(p, addr + 4 * PAGE, PAGE, PROT_READ), 0);
	CU_ASSERT_EQUAL(pagefs_mprotect(p, addr + 5 * PAGE, PAGE, PROT_NONE), 0);
	pid = fork();
	if (!pid) {
		if (poke(addr + 4 * PAGE, 1) != SIGSEGV ||
		    !peek_gets(addr + 5 * PAGE, SIGSEGV))
			_exit(1);
		if (pagefs_mprotect(p, addr + 4 * PAGE, PAGE, RW) ||
		    poke(addr + 4 * PAGE, page_word(4)))
			_exit(2);
		if (!shows(rd, 0, 8) || poke(rd, 1) != SIGSEGV ||
		    pagefs_mprotect(p, rd, PAGE, RW) != -EACCES)
			_exit(3);
		_exit(pagefs_madvise(p, addr + 6 * PAGE, PAGE, MADV_REMOVE) ?
		      4 : 0);
	}
	CU_ASSERT_EQUAL(child_status(pid), 0);
	CU_ASSERT_EQUAL(poke(addr + 4 * PAGE, 1), SIGSEGV);
	unmap_pages(addr, 8);
	unmap_pages(rd, 8);
	close(fd), close(ro);
}

static void many_files(void)
{
	static char *addr[NR_FILES];
	char name[32];
	pid_t pid;
	int fd;

	for (size_t i = 0; i < NR_FILES; i++) {
		snprintf(name, sizeof(name), "f-file.%zu", i);
		fd = open(on_mount(name), O_RDWR | O_CREAT | O_TRUNC, 0644);
		CU_ASSERT_EQUAL(ftruncate(fd, PAGE), 0);
		addr[i] = map_pages(fd, 0, 1, RW);
		CU_ASSERT_EQUAL(poke(addr[i], 1000 + i), 0);
		close(fd);
		unlink(on_mount(name));
	}
	pid = fork();
	if (!pid) {
		int sig;

		for (size_t i = 0; i < NR_FILES; i++)
			if (peek(addr[i], &sig) != 1000 + i)
				_exit(1);
		_exit(0);
	}
	CU_ASSERT_EQUAL(child_status(pid), 0);
	for (size_t i = 0; i < NR_FILES; i++)
		unmap_pages(addr[i], 1);
}

/* No handler of ours runs in such a child. */
static void raw_clone(void)
{
	int fd = make_file("f-raw", NR_PAGES, O_RDWR), sig;
	char *addr = map_pages(fd, 0, NR_PAGES, RW);
	pid_t pid;

	CU_ASSERT(shows(addr, 0, 4));
	peek(addr, &sig);		/* the handlers are there */
	pid = (pid_t)syscall(SYS_clone, SIGCHLD, 0, 0, 0, 0);
	if (!pid) {
		for (size_t i = 0; i < NR_PAGES; i++)
			if (!peek_gets(addr + i * PAGE, SIGSEGV))
				_exit(1);
		_exit(0);
	}
	CU_ASSERT_EQUAL(child_status(pid), 0);
	CU_ASSERT(shows(addr, 0, NR_PAGES));
	unmap_pages(addr, NR_PAGES);
	close(fd);
}

static void without_mappings(void)
{
	struct pagefs *p = mount_conn();
	pid_t pid = fork();
	void *addr;
	int fd;

	if (!pid) {
		fd = make_file("f-none", 4, O_RDWR);
		if (pagefs_mmap(p, NULL, 4 * PAGE, RW, MAP_SHARED, fd, 0, &addr))
			_exit(1);
		_exit(!shows(addr, 0, 4));
	}
	CU_ASSERT_EQUAL(child_status(pid), 0);
}

static void programs_started(void)
{
	int fd = make_file("f-spawn", NR_PAGES, O_RDWR);
	char *addr = map_pages(fd, 0, NR_PAGES, RW);
	char *argv[] = { "true", NULL };
	pid_t pid;

	for (int i = 0; i < 20; i++) {
		CU_ASSERT_EQUAL(posix_spawnp(&pid, "true", NULL, NULL, argv,
					     NULL), 0);
		CU_ASSERT_EQUAL(child_status(pid), 0);
		CU_ASSERT_EQUAL(system("true"), 0);
		pid = vfork();
		if (!pid) {
			execvp("true", argv);
			_exit(1);
		}
		CU_ASSERT_EQUAL(child_status(pid), 0);
		CU_ASSERT(shows(addr, (size_t)0, 1 + (size_t)i));
	}
	CU_ASSERT(shows(addr, 0, NR_PAGES));
	unmap_pages(addr, NR_PAGES);
	close(fd);
}

/* ---- children of a program with other threads ---- */

struct churn {
	atomic_bool stop;
	atomic_ulong rounds;
	int fd;
	int failed;
};

static void *churn(void *arg)
{
	struct churn *c = arg;
	struct pagefs *p = mount_conn();
	void *addr;

	while (!atomic_load(&c->stop)) {
		if (pagefs_mmap(p, NULL, 8 * PAGE, RW, MAP_SHARED, c->fd,
				8 * PAGE, &addr)) {
			c->failed = 1;
			break;
		}
		if (!shows(addr, 8, 8))
			c->failed = 2;
		if (pagefs_msync(p, addr, 8 * PAGE, MS_SYNC))
			c->failed = 3;
		if (pagefs_munmap(p, addr, 8 * PAGE))
			c->failed = 4;
		atomic_fetch_add(&c->rounds, 1);
	}
	return NULL;
}

static void other_threads(void)
{
	struct churn c = { .fd = make_file("f-threads", NR_PAGES, O_RDWR) };
	char *addr = map_pages(c.fd, 0, NR_PAGES, RW);
	pthread_t thread[4];
	int bad = 0;
	pid_t pid;

	for (int i = 0; i < 4; i++)
		pthread_create(&thread[i], NULL, churn, &c);
	for (int i = 0; i < 100; i++) {
		pid = fork();
		if (!pid)
			_exit(!shows(addr, 0, NR_PAGES));
		bad += child_status(pid) != 0;
	}
	atomic_store(&c.stop, true);
	for (int i = 0; i < 4; i++)
		pthread_join(thread[i], NULL);
	CU_ASSERT_EQUAL(bad, 0);
	CU_ASSERT_EQUAL(c.failed, 0);
	CU_ASSERT(atomic_load(&c.rounds) > 0);
	unmap_pages(addr, NR_PAGES);
	close(c.fd);
}

static const struct test_case cases[] = {
	{ "a child has the same pages", same_pages },
	{ "so have its children, and they can do all it can", grandchildren },
	{ "fifty children count, none is lost", fifty_children },
	{ "a child has the same rights", rights_kept },
	{ "a child has many files mapped", many_files },
	{ "a child that comes by clone(2) gets SIGSEGV, not zeros", raw_clone },
	{ "a child of a process without mappings connects", without_mappings },
	{ "programs are started as ever", programs_started },
	{ "children are made while other threads map and unmap", other_threads },
};

int main(void)
{
	return test_main("client/fork", cases, ARRAY_SIZE(cases));
}
