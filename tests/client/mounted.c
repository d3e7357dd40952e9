// SPDX-License-Identifier: BSD-2-Clause
/*
 * tests/client/mounted.c - see mounted.h
 */
#include <fcntl.h>
#include <setjmp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>
#include <sys/mman.h>
#include <sys/wait.h>

#include "harness.h"
#include "mounted.h"

static const char *path_in(const char *env, const char *name, char *buf)
{
	const char *dir = getenv(env);

	if (!dir)
		test_skip("no %s: run tests/integration/mmap.sh", env);
	snprintf(buf, 4096, "%s/%s", dir, name);
	return buf;
}

const char *on_mount(const char *name)
{
	static _Thread_local char buf[4096];

	return path_in("MNT", name, buf);
}

const char *behind(const char *name)
{
	static _Thread_local char buf[4096];

	return path_in("BACK", name, buf);
}

uint64_t page_word(size_t i)
{
	return (i + 1) * 0x9e3779b97f4a7c15u | 1;
}

/* Through the mount, then out of the cache, as far as fadvise() goes. */
int make_file(const char *name, size_t nr, int flags)
{
	uint64_t words[PAGE / 8];
	int fd = open(on_mount(name), O_RDWR | O_CREAT | O_TRUNC, 0644);
	bool ok = fd >= 0;

	for (size_t i = 0; i < nr && ok; i++) {
		for (size_t w = 0; w < PAGE / 8; w++)
			words[w] = page_word(i) + 2 * w;
		ok = pwrite(fd, words, PAGE, (off_t)(i * PAGE)) == (ssize_t)PAGE;
	}
	ok = ok && !fsync(fd);
	CU_ASSERT(ok);
	if (fd >= 0) {
		posix_fadvise(fd, 0, 0, POSIX_FADV_DONTNEED);
		close(fd);
	}
	fd = open(on_mount(name), flags |
		  (getenv("PAGEFS_TEST_DIRECT") ? O_DIRECT : 0));
	CU_ASSERT(fd >= 0);
	return fd;
}

struct pagefs *mount_conn(void)
{
	static struct pagefs *p;
	int fd, ret;

	if (p)
		return p;
	fd = open(on_mount(""), O_RDONLY | O_DIRECTORY);
	ret = pagefs_connect(fd, &p);
	close(fd);
	if (ret) {
		printf("Bail out! pagefs_connect: %s\n", strerror(-ret));
		exit(1);
	}
	return p;
}

char *map_pages(int fd, size_t first, size_t nr, int prot)
{
	void *addr = NULL;
	int ret = pagefs_mmap(mount_conn(), NULL, nr * PAGE, prot, MAP_SHARED,
			      fd, (off_t)(first * PAGE), &addr);

	if (ret)
		printf("# pagefs_mmap: %s\n", strerror(-ret));
	CU_ASSERT_EQUAL(ret, 0);
	return addr;
}

void unmap_pages(char *addr, size_t nr)
{
	CU_ASSERT_EQUAL(pagefs_munmap(mount_conn(), addr, nr * PAGE), 0);
}

/* ---- accesses that may fail, and may be other threads', too ---- */

static _Thread_local sigjmp_buf access_jmp;
static _Thread_local volatile sig_atomic_t accessing;

static void access_failed(int sig)
{
	if (accessing)
		siglongjmp(access_jmp, sig);
	signal(sig, SIG_DFL);	/* and again: not one of ours */
}

static void catch_signals(void)
{
	static atomic_bool done;
	struct sigaction sa = {
		.sa_handler = access_failed,
		.sa_flags = SA_NODEFER,
	};

	if (atomic_exchange(&done, true))
		return;
	sigaction(SIGBUS, &sa, NULL);
	sigaction(SIGSEGV, &sa, NULL);
}

uint64_t peek(const volatile void *addr, int *sigp)
{
	volatile uint64_t word = 0;
	int sig;

	catch_signals();
	sig = sigsetjmp(access_jmp, 1);
	accessing = !sig;
	if (!sig)
		word = atomic_load_explicit((const volatile atomic_ulong *)addr,
					    memory_order_relaxed);
	accessing = 0;
	*sigp = sig;
	return word;
}

int poke(volatile void *addr, uint64_t word)
{
	int sig;

	catch_signals();
	sig = sigsetjmp(access_jmp, 1);
	accessing = !sig;
	if (!sig)
		atomic_store_explicit((volatile atomic_ulong *)addr, word,
				      memory_order_relaxed);
	accessing = 0;
	return sig;
}

bool peek_gets(const volatile void *addr, int sig)
{
	int got;

	peek(addr, &got);
	return got == sig;
}

double now(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (double)ts.tv_sec + (double)ts.tv_nsec * 1e-9;
}

int child_status(pid_t pid)
{
	int status;

	while (waitpid(pid, &status, 0) < 0)
		;		/* EINTR: nothing else can happen */
	return WIFSIGNALED(status) ? -WTERMSIG(status) : WEXITSTATUS(status);
}
