// SPDX-License-Identifier: BSD-2-Clause
/*
 * tests/client/test_preload.c - mmap(2) and its kind under pagefs-run
 *
 *	pagefs-run test_preload DIRECTORY-ON-THE-MOUNT
 *
 * Uses the system's calls alone; whether a mapping is pagefs' it asks of the
 * preloaded library. Ends at the first check that fails, with its line.
 */
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <setjmp.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <sys/mman.h>
#include <sys/wait.h>

#define PAGE		4096UL
#define NR_PAGES	64
#define RW		(PROT_READ | PROT_WRITE)

#define CHECK(cond)							\
	do {								\
		if (!(cond)) {						\
			fprintf(stderr, "%s:%d: %s (errno: %s)\n",	\
				__FILE__, __LINE__, #cond,		\
				strerror(errno));			\
			exit(1);					\
		}							\
	} while (0)

static int (*is_mapped)(const void *);
static sigjmp_buf jmp;

static void on_signal(int sig)
{
	siglongjmp(jmp, sig);
}

/* The word there, or the signal, negative. */
static long peek(const volatile void *addr)
{
	int sig = sigsetjmp(jmp, 1);

	return sig ? -sig : (long)*(const volatile uint64_t *)addr;
}

static int make_file(const char *name)
{
	uint64_t page[PAGE / 8];
	int fd = open(name, O_RDWR | O_CREAT | O_TRUNC, 0644);

	CHECK(fd >= 0);
	for (uint64_t i = 0; i < NR_PAGES; i++) {
		for (size_t w = 0; w < PAGE / 8; w++)
			page[w] = 1000 + i;
		CHECK(write(fd, page, PAGE) == (ssize_t)PAGE);
	}
	CHECK(!fsync(fd));
	return fd;
}

static char *map_file(int fd, size_t nr)
{
	char *addr = mmap(NULL, nr * PAGE, RW, MAP_SHARED, fd, 0);

	CHECK(addr != MAP_FAILED && is_mapped(addr));
	return addr;
}

static bool shows(const char *addr, size_t first, size_t nr)
{
	for (size_t i = 0; i < nr; i++)
		if (peek(addr + i * PAGE) != (long)(1000 + first + i))
			return false;
	return true;
}

/* ---- ranges of ours and of others ---- */

static void test_mixed_ranges(void)
{
	int fd = make_file("mixed");
	char *addr = map_file(fd, NR_PAGES), *own, vec[NR_PAGES];

	/* Something else in the middle. */
	own = mmap(addr + 16 * PAGE, 8 * PAGE, RW,
		   MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0);
	CHECK(own == addr + 16 * PAGE && !is_mapped(own));
	CHECK(peek(own) == 0);
	strcpy(own, "mine");
	CHECK(shows(addr, 0, 16) && shows(addr + 24 * PAGE, 24, 40));
	/* The daemon thinks that the place is free. */
	for (int i = 0; i < 200; i++)
		CHECK(shows(mmap(NULL, 4 * PAGE, RW, MAP_SHARED, fd, 0), 0, 4));
	CHECK(!strcmp(own, "mine"));
	CHECK(!mprotect(addr, NR_PAGES * PAGE, PROT_READ));
	CHECK(!madvise(addr, NR_PAGES * PAGE, MADV_WILLNEED));
	CHECK(!msync(addr, NR_PAGES * PAGE, MS_SYNC));
	CHECK(!mlock(addr, NR_PAGES * PAGE) && !munlock(addr, NR_PAGES * PAGE));
	CHECK(!mincore(addr, NR_PAGES * PAGE, (void *)vec));
	CHECK(vec[0] & 1 && vec[16] & 1 && vec[63] & 1);
	CHECK(!mprotect(addr, NR_PAGES * PAGE, RW));
	strcpy(own + PAGE, "more");
	/* Part of all three. */
	CHECK(!munmap(addr + 8 * PAGE, 48 * PAGE));
	CHECK(peek(own) == -SIGSEGV && peek(addr + 30 * PAGE) == -SIGSEGV);
	CHECK(shows(addr, 0, 8) && shows(addr + 56 * PAGE, 56, 8));
	CHECK(mprotect(addr, 16 * PAGE, RW) == -1 && errno == ENOMEM);
	CHECK(!munmap(addr, NR_PAGES * PAGE));
	CHECK(!is_mapped(addr) && !is_mapped(addr + 63 * PAGE));
	close(fd);
}

/* ---- private mappings that get the right to write ---- */

struct reader {
	const char *addr;
	atomic_bool stop;
	atomic_ulong rounds;
};

static void *read_on(void *arg)
{
	struct reader *r = arg;

	while (!atomic_load(&r->stop)) {
		for (size_t i = 0; i < NR_PAGES; i++)
			CHECK(*(volatile uint64_t *)(r->addr + i * PAGE) ==
			      1000 + i);
		atomic_fetch_add(&r->rounds, 1);
	}
	return NULL;
}

/* Who reads meanwhile finds the file at every moment. */
static void test_copies_beside_a_reader(int fd)
{
	struct reader r = { 0 };
	pthread_t thread;
	char *addr;

	for (unsigned int i = 0; i < 50; i++) {
		addr = mmap(NULL, NR_PAGES * PAGE, PROT_READ, MAP_PRIVATE, fd, 0);
		CHECK(addr != MAP_FAILED && is_mapped(addr));
		r.addr = addr;
		atomic_store(&r.stop, false);
		CHECK(!pthread_create(&thread, NULL, read_on, &r));
		usleep(20 * i);
		CHECK(!mprotect(addr, NR_PAGES * PAGE, RW));
		usleep(500);
		atomic_store(&r.stop, true);
		CHECK(!pthread_join(thread, NULL));
		CHECK(!munmap(addr, NR_PAGES * PAGE));
	}
	CHECK(atomic_load(&r.rounds) > 0);
}

static void test_copies_later(void)
{
	int fd = make_file("later");
	char *addr = mmap(NULL, NR_PAGES * PAGE, PROT_READ, MAP_PRIVATE, fd, 0);
	char *half = addr + NR_PAGES / 2 * PAGE;

	CHECK(addr != MAP_FAILED && is_mapped(addr) && is_mapped(half));
	CHECK(shows(addr, 0, NR_PAGES / 4));
	/* The kernel makes the copies. */
	CHECK(!mprotect(half, NR_PAGES / 2 * PAGE, RW));
	CHECK(is_mapped(addr) && !is_mapped(half));
	CHECK(shows(addr, 0, NR_PAGES));
	strcpy(half, "a copy");
	CHECK(shows(addr, 0, NR_PAGES / 2) &&
	      shows(half + PAGE, NR_PAGES / 2 + 1, NR_PAGES / 2 - 1));
	CHECK(!mprotect(addr, NR_PAGES * PAGE, PROT_READ));
	CHECK(!strcmp(half, "a copy"));
	CHECK(!munmap(addr, NR_PAGES * PAGE));
	CHECK(peek(addr) == -SIGSEGV && peek(half) == -SIGSEGV);
	addr = map_file(fd, NR_PAGES);
	CHECK(shows(addr, 0, NR_PAGES));	/* the file is what it was */
	CHECK(!munmap(addr, NR_PAGES * PAGE));
	test_copies_beside_a_reader(fd);
	close(fd);
}

static void test_mremap(void)
{
	int fd = make_file("mremap");
	char *addr = map_file(fd, 8), *own, *moved;

	addr = mremap(addr, 8 * PAGE, 32 * PAGE, MREMAP_MAYMOVE);
	CHECK(addr != MAP_FAILED && is_mapped(addr) && shows(addr, 0, 32));
	own = mmap(NULL, 4 * PAGE, RW, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	strcpy(own, "mine");
	/* Theirs onto ours, and away again. */
	moved = mremap(own, 4 * PAGE, 4 * PAGE, MREMAP_MAYMOVE | MREMAP_FIXED,
		       addr + 4 * PAGE);
	CHECK(moved == addr + 4 * PAGE && !strcmp(moved, "mine"));
	CHECK(!is_mapped(moved) && shows(addr, 0, 4) &&
	      shows(addr + 8 * PAGE, 8, 24));
	own = mremap(moved, 4 * PAGE, 64 * PAGE, MREMAP_MAYMOVE);
	CHECK(own != MAP_FAILED && own != moved && !strcmp(own, "mine"));
	CHECK(peek(moved) == -SIGSEGV);
	/* The place is ours again: the kernel must not have it. */
	for (int i = 0; i < 100; i++)
		CHECK(mmap(NULL, 4 * PAGE, RW, MAP_PRIVATE | MAP_ANONYMOUS, -1,
			   0) != moved);
	CHECK(mremap(addr, 32 * PAGE, 40 * PAGE, MREMAP_MAYMOVE) == MAP_FAILED &&
	      errno == EFAULT);
	CHECK(!munmap(addr, 32 * PAGE));
	close(fd);
}

/*
 * The daemon moves it to where the program has something of its own, so it is
 * mapped anew where it was, by the descriptor we keep, and goes elsewhere.
 */
static void test_mremap_to_taken_place(void)
{
	int fd = make_file("taken");
	char *addr = map_file(fd, 3), *place = map_file(fd, NR_PAGES), *moved;

	CHECK(!munmap(place, NR_PAGES * PAGE));
	CHECK(mmap(place, NR_PAGES * PAGE, RW, MAP_PRIVATE | MAP_ANONYMOUS |
		   MAP_FIXED, -1, 0) == place && !is_mapped(place));
	strcpy(place, "mine");
	/* Nor can it grow where it is. */
	CHECK(mmap(addr + 2 * PAGE, PAGE, RW, MAP_PRIVATE | MAP_ANONYMOUS |
		   MAP_FIXED, -1, 0) == addr + 2 * PAGE);
	close(fd);
	moved = mremap(addr, 2 * PAGE, NR_PAGES * PAGE, MREMAP_MAYMOVE);
	CHECK(moved != MAP_FAILED && moved != place && is_mapped(moved));
	CHECK(shows(moved, 0, NR_PAGES));
	CHECK(!strcmp(place, "mine"));
	CHECK(!munmap(moved, NR_PAGES * PAGE));
	CHECK(!munmap(place, NR_PAGES * PAGE) && !munmap(addr, 3 * PAGE));
}

/* ---- what the kernel has to serve, or to refuse ---- */

static void test_fallback(void)
{
	int fd = make_file("private"), ro = open("private", O_RDONLY);
	int dir = open(".", O_RDONLY | O_DIRECTORY);
	char *addr;

	addr = mmap(NULL, PAGE, RW, MAP_PRIVATE, fd, 0);
	CHECK(addr != MAP_FAILED && !is_mapped(addr) && shows(addr, 0, 1));
	munmap(addr, PAGE);
	addr = mmap(NULL, PAGE, PROT_READ, MAP_PRIVATE, ro, PAGE);
	CHECK(addr != MAP_FAILED && is_mapped(addr) && shows(addr, 1, 1));
	munmap(addr, PAGE);
	CHECK(mmap(NULL, PAGE, RW, MAP_SHARED, ro, 0) == MAP_FAILED &&
	      errno == EACCES);
	CHECK(mmap(NULL, 0, RW, MAP_SHARED, fd, 0) == MAP_FAILED &&
	      errno == EINVAL);
	CHECK(mmap(NULL, PAGE, PROT_READ, MAP_SHARED, dir, 0) == MAP_FAILED &&
	      errno == ENODEV);
	errno = 4711;
	addr = map_file(fd, 1);
	CHECK(errno == 4711);
	CHECK(!madvise(addr, PAGE, MADV_RANDOM) && errno == 4711);
	CHECK(madvise(addr, PAGE, 4711) == -1 && errno == EINVAL);
	CHECK(posix_madvise(addr, PAGE, POSIX_MADV_DONTNEED) == 0);
	CHECK(!munmap(addr, PAGE));
	close(fd), close(ro), close(dir);
}

static void test_fixed(void)
{
	int fd = make_file("fixed");
	char *own = mmap(NULL, 16 * PAGE, RW, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	char *addr;

	addr = mmap(own + 4 * PAGE, 4 * PAGE, RW, MAP_SHARED | MAP_FIXED, fd,
		    0);
	CHECK(addr == own + 4 * PAGE && is_mapped(addr) && shows(addr, 0, 4));
	CHECK(!is_mapped(own) && *own == 0);
	/* All of it for something else. */
	CHECK(mmap(own, 16 * PAGE, RW, MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED,
		   -1, 0) == own);
	CHECK(!is_mapped(addr) && peek(addr) == 0);
	CHECK(!munmap(own, 16 * PAGE) && peek(addr) == -SIGSEGV);
	close(fd);
}

/* ---- descriptors, children ---- */

static bool locked_by_us(const char *name)
{
	struct flock fl = { .l_type = F_WRLCK };
	int status;
	pid_t pid = fork();

	if (!pid) {
		fcntl(open(name, O_RDWR), F_GETLK, &fl);
		_exit(fl.l_type != F_UNLCK);
	}
	CHECK(waitpid(pid, &status, 0) == pid);
	return WEXITSTATUS(status);
}

static void test_locks(void)
{
	int fd = make_file("locks");
	struct flock fl = { .l_type = F_WRLCK };
	char *addr;

	CHECK(!fcntl(fd, F_SETLK, &fl) && locked_by_us("locks"));
	addr = map_file(fd, 4);
	CHECK(shows(addr, 0, 4) && !munmap(addr, 4 * PAGE));
	CHECK(locked_by_us("locks"));
	close(fd);
}

/* A daemon: all closed, forked, the parent gone. */
static void test_daemon(void)
{
	int fd = make_file("daemon"), status;
	char *addr = map_file(fd, NR_PAGES);
	pid_t pid;

	closefrom(3);
	CHECK(shows(addr, 0, 8));
	pid = fork();
	if (!pid) {
		closefrom(3);
		CHECK(is_mapped(addr) && shows(addr, 0, NR_PAGES));
		atomic_fetch_add((atomic_ulong *)addr, 1);
		CHECK(!msync(addr, PAGE, MS_SYNC));
		fd = open("daemon", O_RDWR);
		CHECK(fd >= 0 && shows(map_file(fd, 4) + PAGE, 1, 3));
		_exit(0);
	}
	CHECK(waitpid(pid, &status, 0) == pid && status == 0);
	CHECK(peek(addr) == 1001);
	CHECK(!munmap(addr, NR_PAGES * PAGE));
}

static void test_children(void)
{
	int fd = make_file("children"), status;
	char *addr = map_file(fd, 4);
	pid_t pid[20];

	for (int i = 0; i < 20; i++) {
		pid[i] = fork();
		for (int k = 0; !pid[i] && k < 1000; k++)
			atomic_fetch_add((atomic_ulong *)(addr + k % 4 * PAGE), 1);
		if (!pid[i])
			_exit(0);
	}
	for (int i = 0; i < 20; i++)
		CHECK(waitpid(pid[i], &status, 0) == pid[i] && status == 0);
	for (int i = 0; i < 4; i++)
		CHECK(peek(addr + i * PAGE) == 1000 + i + 20 * 250);
	CHECK(!system("cmp -s children children"));
	CHECK(!munmap(addr, 4 * PAGE));
	close(fd);
}

int main(int argc, char **argv)
{
	void *symbol = dlsym(RTLD_DEFAULT, "pagefs_is_mapped");

	CHECK(argc == 2 && !chdir(argv[1]));
	CHECK(symbol);		/* else not under pagefs-run */
	memcpy(&is_mapped, &symbol, sizeof(symbol));
	signal(SIGSEGV, on_signal);
	signal(SIGBUS, on_signal);
	test_mixed_ranges();
	test_copies_later();
	test_mremap();
	test_mremap_to_taken_place();
	test_fallback();
	test_fixed();
	test_locks();
	test_children();
	test_daemon();
	return 0;
}
