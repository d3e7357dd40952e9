// SPDX-License-Identifier: BSD-2-Clause
/*
 * tests/client/test_death.c - libpagefs when the daemon dies
 *
 * DAEMON, in the environment, is its pid; each case ends it, so that a run is
 * for one case, on a mount of its own: the argument says which.
 */
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <sys/mman.h>

#include "harness.h"
#include "mounted.h"

#define NR_PAGES	16384		/* 64 MiB, with a cache of 32 */
#define NR_THREADS	10
#define MANY		10000
#define SIGBUS_WITHIN	1.0		/* seconds: what is promised */

/* A load would take this as a multiple of that, to do nothing. */
static double allowed(void)
{
	const char *env = getenv("SLOWNESS");

	return SIGBUS_WITHIN * (env ? atof(env) : 1);
}

static pid_t daemon_pid(void)
{
	const char *env = getenv("DAEMON");

	if (!env)
		test_skip("no DAEMON: run tests/integration/mmap.sh");
	return atoi(env);
}

/* ---- readers and writers ---- */

static atomic_bool killed;

struct toucher {
	pthread_t thread;
	char *addr;
	uint64_t seed;
	bool writes;
	double hit;		/* when it got its signal */
	int sig;
	unsigned long wrong, touches;
};

static void *touch(void *arg)
{
	struct toucher *t = arg;
	uint64_t word;
	size_t page;

	while (!t->sig) {
		page = test_rand(&t->seed) % NR_PAGES;
		word = peek(t->addr + page * PAGE, &t->sig);
		if (!t->sig && word != page_word(page))
			t->wrong++;
		if (!t->sig && t->writes)
			t->sig = poke(t->addr + page * PAGE + 8, word + 2);
		t->touches++;
	}
	t->hit = now();
	return NULL;
}

/* Nothing but SIGBUS on any page of @nr from @addr. */
static bool all_sigbus(char *addr, size_t nr)
{
	int sig;

	for (size_t i = 0; i < nr; i++) {
		peek(addr + i * PAGE, &sig);
		if (sig != SIGBUS) {
			printf("# page %zu: signal %d\n", i, sig);
			return false;
		}
	}
	return true;
}

static void check_dead(char *addr)
{
	struct pagefs *p = mount_conn();
	struct pagefs_stats stats;
	unsigned char vec;
	void *none = NULL;

	CU_ASSERT_EQUAL(pagefs_msync(p, addr, PAGE, MS_SYNC), -ENOTCONN);
	CU_ASSERT_EQUAL(pagefs_mprotect(p, addr, PAGE, PROT_READ), -ENOTCONN);
	CU_ASSERT_EQUAL(pagefs_mremap(p, addr, PAGE, 2 * PAGE, MREMAP_MAYMOVE,
				      NULL, &none), -ENOTCONN);
	CU_ASSERT_EQUAL(pagefs_madvise(p, addr, PAGE, MADV_WILLNEED), -ENOTCONN);
	CU_ASSERT_EQUAL(pagefs_mlock(p, addr, PAGE), -ENOTCONN);
	CU_ASSERT_EQUAL(pagefs_mincore(p, addr, PAGE, &vec), -ENOTCONN);
	CU_ASSERT_EQUAL(pagefs_stats(p, &stats), -ENOTCONN);
	CU_ASSERT_PTR_NULL(none);
	CU_ASSERT(pagefs_is_mapped(addr));
	CU_ASSERT_EQUAL(pagefs_munmap(p, addr, PAGE), 0);
	CU_ASSERT(!pagefs_is_mapped(addr));
	CU_ASSERT(peek_gets(addr, SIGSEGV));
}

/* Which unmaps what is left, and joins the library's threads. */
static void disconnect_from(char *addr)
{
	CU_ASSERT_EQUAL(pagefs_disconnect(mount_conn()), 0);
	CU_ASSERT(peek_gets(addr, SIGSEGV));
}

static void killed_under_faults(int sig, bool writes)
{
	pid_t pid = daemon_pid();
	int fd = make_file("death", NR_PAGES, O_RDWR);
	char *addr = map_pages(fd, 0, NR_PAGES, RW);
	struct toucher t[NR_THREADS];
	double start, last = 0;
	unsigned long touches = 0;

	for (int i = 0; i < NR_THREADS; i++) {
		t[i] = (struct toucher){
			.addr = addr,
			.seed = test_seed() + (uint64_t)i,
			.writes = writes,
		};
		pthread_create(&t[i].thread, NULL, touch, &t[i]);
	}
	usleep(300000);		/* let them be in the midst of it */
	start = now();
	kill(pid, sig);
	for (int i = 0; i < NR_THREADS; i++) {
		pthread_join(t[i].thread, NULL);
		CU_ASSERT_EQUAL(t[i].sig, SIGBUS);
		CU_ASSERT_EQUAL(t[i].wrong, 0);
		touches += t[i].touches;
		last = t[i].hit > last ? t[i].hit : last;
	}
	printf("# %lu accesses, the last thread had its SIGBUS after %.3f s\n",
	       touches, last - start);
	if (sig == SIGKILL)
		CU_ASSERT(last - start < allowed());
	/* A thread that had it was past it: the others' may not be. */
	usleep(100000);
	CU_ASSERT(all_sigbus(addr, NR_PAGES));
	check_dead(addr);
	disconnect_from(addr + PAGE);
}

static void killed_readers(void)
{
	killed_under_faults(SIGKILL, false);
}

static void killed_writers(void)
{
	killed_under_faults(SIGKILL, true);
}

static void terminated(void)
{
	killed_under_faults(SIGTERM, false);
}

/* ---- ten thousand mappings ---- */

static void many_mappings(void)
{
	pid_t pid = daemon_pid();
	int fd = make_file("death", 512, O_RDWR);
	static char *addr[MANY];
	size_t wrong = 0;
	double start;
	int sig;

	for (size_t i = 0; i < MANY; i++)
		addr[i] = map_pages(fd, i * 7 % 512, 1, RW);
	start = now();
	kill(pid, SIGKILL);
	/* An absent page waits; a page that is there is read until it is gone. */
	for (size_t i = 0; i < MANY; i++)
		do {
			uint64_t word = peek(addr[i], &sig);

			wrong += !sig && word != page_word(i * 7 % 512);
		} while (!sig && now() - start < 60);
	printf("# all had SIGBUS after %.3f s\n", now() - start);
	CU_ASSERT(now() - start < allowed());
	CU_ASSERT_EQUAL(wrong, 0);
	for (size_t i = 0; i < MANY; i++)
		CU_ASSERT(peek_gets(addr[i], SIGBUS));
	disconnect_from(addr[0]);
}

/* ---- requests under way ---- */

static void *ask_on(void *arg)
{
	struct pagefs *p = mount_conn();
	char *addr = arg;
	void *more;
	int ret = 0, fd = open(on_mount("death"), O_RDWR);

	while (!ret && !atomic_load(&killed)) {
		ret = pagefs_mmap(p, NULL, 64 * PAGE, RW, MAP_SHARED, fd, 0,
				  &more);
		if (!ret)
			ret = pagefs_madvise(p, more, 64 * PAGE,
					     MADV_POPULATE_READ);
		if (!ret)
			ret = pagefs_msync(p, addr, NR_PAGES * PAGE, MS_SYNC);
		if (!ret)
			ret = pagefs_munmap(p, more, 64 * PAGE);
	}
	return (void *)(long)ret;
}

static void requests_end(void)
{
	pid_t pid = daemon_pid();
	int fd = make_file("death", NR_PAGES, O_RDWR);
	char *addr = map_pages(fd, 0, NR_PAGES, RW);
	pthread_t thread[NR_THREADS];
	void *ret;
	double start;

	for (int i = 0; i < NR_THREADS; i++)
		pthread_create(&thread[i], NULL, ask_on, addr);
	usleep(200000);
	start = now();
	kill(pid, SIGKILL);
	for (int i = 0; i < NR_THREADS; i++) {
		pthread_join(thread[i], &ret);
		if ((long)ret != -ENOTCONN)
			printf("# %s\n", strerror(-(int)(long)ret));
		CU_ASSERT_EQUAL((long)ret, -ENOTCONN);
	}
	CU_ASSERT(now() - start < allowed());
	usleep(100000);
	CU_ASSERT(all_sigbus(addr, NR_PAGES));
	disconnect_from(addr);
}

/* ---- children ---- */

static void children_too(void)
{
	pid_t pid = daemon_pid(), child[2];
	int fd = make_file("death", 64, O_RDWR), sig;
	char *addr = map_pages(fd, 0, 64, RW);
	int start[2], ready[2];
	char c = 0;

	if (pipe(start) || pipe(ready))
		abort();
	child[0] = fork();
	if (!child[0]) {
		close(start[1]);
		peek(addr, &sig);
		if (write(ready[1], "", 1) != 1)
			_exit(9);
		if (read(start[0], &c, 1))
			_exit(8);
		usleep(100000);
		_exit(!all_sigbus(addr, 64));
	}
	CU_ASSERT_EQUAL(read(ready[0], &c, 1), 1);
	kill(pid, SIGKILL);
	while (peek(addr, &sig), !sig)
		;
	close(start[1]);
	/* Born after it. */
	child[1] = fork();
	if (!child[1])
		_exit(!all_sigbus(addr, 64));
	CU_ASSERT_EQUAL(child_status(child[0]), 0);
	CU_ASSERT_EQUAL(child_status(child[1]), 0);
	disconnect_from(addr);
}

/*
 * The program has closed all it found, and the daemon dies while it stops: with
 * our last userfaultfd the absent pages would be zeros.
 */
static void closed_everything(void)
{
	pid_t pid = daemon_pid();
	int fd = make_file("death", 512, O_RDWR), sig;
	char *addr = map_pages(fd, 0, 512, RW);
	double start;

	peek(addr, &sig);
	closefrom(3);
	start = now();
	kill(pid, SIGKILL);
	for (size_t i = 511; i > 0; i--) {
		uint64_t word = peek(addr + i * PAGE, &sig);

		if (!sig)
			CU_ASSERT_EQUAL(word, page_word(i));
	}
	CU_ASSERT(now() - start < allowed());
	CU_ASSERT(all_sigbus(addr, 512));
	disconnect_from(addr);
}

/* ---- the next daemon ---- */

static bool wait_for(const char *path)
{
	for (int i = 0; i < 6000; i++) {
		if (!access(path, F_OK))
			return true;
		usleep(10000);
	}
	return false;
}

/* Terminated, it writes back what was stored; the next one serves it. */
static void next_daemon(void)
{
	const char *restart = getenv("RESTART");
	pid_t pid = daemon_pid();
	int fd = make_file("next", 64, O_RDWR), sig;
	struct pagefs *old = mount_conn(), *p = NULL;
	char *addr = map_pages(fd, 0, 64, RW), done[4096];
	void *again = NULL;

	if (!restart)
		test_skip("no RESTART: run tests/integration/mmap.sh");
	for (size_t i = 0; i < 64; i++)
		CU_ASSERT_EQUAL(poke(addr + i * PAGE, 4711 + i), 0);
	close(fd);
	kill(pid, SIGTERM);
	while (peek(addr, &sig), !sig)
		;
	CU_ASSERT(all_sigbus(addr, 64));
	snprintf(done, sizeof(done), "%s.done", restart);
	close(open(restart, O_CREAT | O_WRONLY, 0644));
	CU_ASSERT(wait_for(done));
	fd = open(on_mount("next"), O_RDWR);
	CU_ASSERT_EQUAL(pagefs_connect(fd, &p), 0);
	CU_ASSERT_PTR_NOT_EQUAL(p, old);
	CU_ASSERT_EQUAL(pagefs_mmap(p, NULL, 64 * PAGE, RW, MAP_SHARED, fd, 0,
				    &again), 0);
	for (size_t i = 0; i < 64; i++)
		CU_ASSERT_EQUAL(peek((char *)again + i * PAGE, &sig), 4711 + i);
	CU_ASSERT_EQUAL(poke(again, 1), 0);
	CU_ASSERT_EQUAL(pagefs_msync(p, again, PAGE, MS_SYNC), 0);
	CU_ASSERT(all_sigbus(addr, 64));
	CU_ASSERT_EQUAL(pagefs_disconnect(old), 0);
	CU_ASSERT(peek_gets(addr, SIGSEGV));
	CU_ASSERT_EQUAL(peek((char *)again + PAGE, &sig), 4712);
	CU_ASSERT_EQUAL(pagefs_disconnect(p), 0);
	close(fd);
}

static const struct test_case cases[] = {
	{ "killed under readers", killed_readers },
	{ "killed under writers", killed_writers },
	{ "terminated under readers", terminated },
	{ "killed with ten thousand mappings", many_mappings },
	{ "killed under requests", requests_end },
	{ "killed with children", children_too },
	{ "killed when all descriptors are closed", closed_everything },
	{ "followed by another", next_daemon },
};

int main(void)
{
	return test_main("client/death", cases, ARRAY_SIZE(cases));
}
