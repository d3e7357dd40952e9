// SPDX-License-Identifier: BSD-2-Clause
/*
 * tests/client/test_malloc.c - malloc(3), mmap(2) and fork(2) of a program under
 *                              pagefs-run --anon=1M
 *
 *	pagefs-run --anon=1M --mount=MNT test_malloc MNT [refused | files]
 *
 * Uses the system's calls alone; whether memory is pagefs' it asks of the
 * preloaded library. Ends at the first check that fails, with its line.
 * "refused": only that fork() fails where memory may not be promised twice;
 * "files": with another malloc, that children get what it has given.
 */
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <malloc.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <sys/mman.h>
#include <sys/wait.h>

#define PAGE	4096UL
#define MIN	(1UL << 20)		/* what --anon was given */
#define RW	(PROT_READ | PROT_WRITE)
#define ANON	(MAP_PRIVATE | MAP_ANONYMOUS)

#define CHECK(cond)							\
	do {								\
		if (!(cond)) {						\
			fprintf(stderr, "%s:%d: %s (errno: %s)\n",	\
				__FILE__, __LINE__, #cond,		\
				strerror(errno));			\
			_exit(1);					\
		}							\
	} while (0)

/* More than the compiler knows to be too much. */
static volatile size_t huge = SIZE_MAX / 2;
static int (*is_mapped)(const void *addr);

static void fill(void *ptr, size_t len, unsigned int tag)
{
	unsigned char *bytes = ptr;

	for (size_t i = 0; i < len; i += 61)
		bytes[i] = (unsigned char)(i / 61 + tag);
	bytes[len - 1] = (unsigned char)tag;
}

/* The first @len bytes of what fill() had @whole of. */
static bool has(const void *ptr, size_t len, size_t whole, unsigned int tag)
{
	const unsigned char *bytes = ptr;

	for (size_t i = 0; i < len; i += 61)
		if (bytes[i] != (unsigned char)(i / 61 + tag) && i != whole - 1)
			return false;
	return len < whole || bytes[whole - 1] == (unsigned char)tag;
}

/* ---- malloc ---- */

static void test_sizes(void)
{
	static const size_t sizes[] = {
		1, 100, MIN - 1, MIN, MIN + 1, 3 * MIN, 10 * MIN - 16,
	};

	for (size_t i = 0; i < sizeof(sizes) / sizeof(*sizes); i++) {
		const size_t size = sizes[i];
		char *ptr = malloc(size);

		CHECK(ptr && !((uintptr_t)ptr % 16));
		CHECK(is_mapped(ptr) == (size >= MIN));
		CHECK(malloc_usable_size(ptr) >= size);
		fill(ptr, size, 1);
		CHECK(has(ptr, size, size, 1));
		errno = 4711;
		free(ptr);
		CHECK(errno == 4711);
		CHECK(size < MIN || !is_mapped(ptr));
	}
	CHECK(!malloc(huge) && errno == ENOMEM);
	free(NULL);
}

static void test_zeros(void)
{
	char *ptr;

	for (int i = 0; i < 10; i++) {
		ptr = calloc(3, MIN);
		CHECK(ptr && is_mapped(ptr));
		for (size_t k = 0; k < 3 * MIN; k += 509)
			CHECK(!ptr[k]);
		fill(ptr, 3 * MIN, 2);
		free(ptr);
	}
	CHECK(!calloc(huge, 4) && errno == ENOMEM);
	CHECK(!reallocarray(NULL, huge, 4) && errno == ENOMEM);
}

static void test_realloc(void)
{
	static const size_t sizes[] = {
		50, MIN / 2, MIN, 2 * MIN, 2 * MIN + 5, 8 * MIN, 3 * MIN,
		MIN - 1, 10, 5 * MIN, 4 * MIN, 1, 20 * MIN,
	};
	char *ptr = NULL, *next[16];
	size_t old = 0;

	for (size_t i = 0; i < sizeof(sizes) / sizeof(*sizes); i++) {
		const size_t size = sizes[i];

		ptr = realloc(ptr, size);
		CHECK(ptr && is_mapped(ptr) == (size >= MIN));
		CHECK(!old || has(ptr, old < size ? old : size, old, 3));
		fill(ptr, size, 3);
		next[i] = malloc(MIN);		/* in the way of the next */
		fill(next[i], MIN, 4);
		old = size;
	}
	for (size_t i = 0; i < sizeof(sizes) / sizeof(*sizes); i++) {
		CHECK(has(next[i], MIN, MIN, 4));
		free(next[i]);
	}
	CHECK(!realloc(ptr, 0));
	CHECK(!is_mapped(ptr));
}

static void test_aligned(void)
{
	void *ptr;

	for (size_t align = 8; align <= 4 * MIN; align *= 2) {
		CHECK(!posix_memalign(&ptr, align, 2 * MIN));
		CHECK(!((uintptr_t)ptr % align) && is_mapped(ptr));
		fill(ptr, 2 * MIN, 5);
		CHECK(malloc_usable_size(ptr) >= 2 * MIN);
		ptr = realloc(ptr, 3 * MIN);
		CHECK(ptr && has(ptr, 2 * MIN - 1, 2 * MIN, 5));
		free(ptr);
		ptr = aligned_alloc(align, 4 * MIN);
		CHECK(ptr && !((uintptr_t)ptr % align) && is_mapped(ptr));
		fill(ptr, 4 * MIN, 5);
		free(ptr);
		ptr = memalign(align, 100);
		CHECK(ptr && !((uintptr_t)ptr % align));
		free(ptr);
	}
	CHECK(posix_memalign(&ptr, 3, 2 * MIN) == EINVAL);
	CHECK(posix_memalign(&ptr, 4, 2 * MIN) == EINVAL);
}

/* Others free what one has allocated. */
static void *churn(void *arg)
{
	static _Atomic(char *) shelf[8];
	unsigned int seed = (unsigned int)(uintptr_t)arg;

	for (int i = 0; i < 300; i++) {
		size_t size = (size_t)rand_r(&seed) % (2 * MIN) + 1;
		char *ptr = malloc(size);

		CHECK(ptr);
		ptr[0] = ptr[size - 1] = 1;
		free(atomic_exchange(&shelf[rand_r(&seed) % 8], ptr));
	}
	return NULL;
}

static void test_threads(void)
{
	pthread_t thread[4];

	for (uintptr_t i = 0; i < 4; i++)
		CHECK(!pthread_create(&thread[i], NULL, churn, (void *)(i + 1)));
	for (int i = 0; i < 4; i++)
		CHECK(!pthread_join(thread[i], NULL));
}

/* ---- mmap ---- */

static void test_mmap(void)
{
	char *addr = mmap(NULL, 4 * MIN, RW, ANON, -1, 0), *other, *moved;

	CHECK(addr != MAP_FAILED && is_mapped(addr));
	fill(addr, 4 * MIN, 6);
	other = mmap(NULL, MIN / 2, RW, ANON, -1, 0);
	CHECK(other != MAP_FAILED && !is_mapped(other));
	CHECK(!munmap(other, MIN / 2));
	/* Addresses alone: and they stay what they are. */
	other = mmap(NULL, 8 * MIN, PROT_NONE, ANON | MAP_NORESERVE, -1, 0);
	CHECK(other != MAP_FAILED && !is_mapped(other));
	CHECK(!mprotect(other, 2 * MIN, RW) && !is_mapped(other));
	CHECK(mmap(other, 2 * MIN, RW, ANON | MAP_FIXED, -1, 0) == other);
	CHECK(!is_mapped(other));
	fill(other, 2 * MIN, 7);
	CHECK(!munmap(other, 8 * MIN));
	other = mmap(NULL, 2 * MIN, RW, ANON | MAP_STACK | MAP_GROWSDOWN, -1, 0);
	CHECK(other != MAP_FAILED && !is_mapped(other));
	CHECK(!munmap(other, 2 * MIN));
	/* Over ours: new zeros. */
	CHECK(mmap(addr + MIN, MIN, RW, ANON | MAP_FIXED, -1, 0) == addr + MIN);
	CHECK(is_mapped(addr + MIN) && !addr[MIN] && !addr[2 * MIN - 1]);
	CHECK(has(addr, MIN, 4 * MIN, 6));
	CHECK(mmap(addr + MIN, PAGE, PROT_NONE, ANON | MAP_FIXED, -1, 0) ==
	      addr + MIN && !is_mapped(addr + MIN));
	CHECK(!madvise(addr, PAGE, MADV_DONTNEED) && !addr[0]);
	CHECK(!munmap(addr + MIN, MIN));
	moved = mremap(addr, MIN, 3 * MIN, MREMAP_MAYMOVE);
	CHECK(moved != MAP_FAILED && is_mapped(moved + 2 * MIN));
	CHECK(has(moved + 61 * PAGE, PAGE, 4 * MIN, (unsigned int)(PAGE + 6)));
	CHECK(!munmap(moved, 3 * MIN) && !munmap(addr, 4 * MIN));
}

static void test_copies(const char *dir)
{
	int fd = openat(open(dir, O_RDONLY), "copied", O_RDWR | O_CREAT | O_TRUNC,
			0600);
	char *addr;

	CHECK(fd >= 0 && !ftruncate(fd, 2 * (off_t)MIN));
	CHECK(pwrite(fd, "file", 4, 0) == 4);
	addr = mmap(NULL, 2 * MIN, RW, MAP_PRIVATE, fd, 0);
	CHECK(addr != MAP_FAILED && is_mapped(addr));
	CHECK(!memcmp(addr, "file", 4));
	memcpy(addr, "mine", 4);
	CHECK(!munmap(addr, 2 * MIN));
	addr = mmap(NULL, 2 * MIN, PROT_READ, MAP_SHARED, fd, 0);
	CHECK(addr != MAP_FAILED && !memcmp(addr, "file", 4));
	CHECK(!munmap(addr, 2 * MIN));
	close(fd);
}

/* ---- fork ---- */

static void test_children(void)
{
	char *block = malloc(3 * MIN), *addr = mmap(NULL, MIN, RW, ANON, -1, 0);
	FILE *file = fopen("/dev/null", "w");
	int status;
	pid_t pid;

	fill(block, 3 * MIN, 8);
	fill(addr, MIN, 9);
	for (int i = 0; i < 10; i++) {
		pid = fork();
		CHECK(pid >= 0);
		if (!pid) {
			CHECK(has(block, 3 * MIN, 3 * MIN, 8));
			CHECK(has(addr, MIN, MIN, 9));
			fill(block, 3 * MIN, 10);
			block = realloc(block, 5 * MIN);
			CHECK(block && has(block, 3 * MIN - 1, 3 * MIN, 10));
			free(block);
			CHECK(is_mapped(malloc(2 * MIN)));
			CHECK(fputs("x", file) >= 0 && !fflush(file));
			_exit(0);
		}
		CHECK(waitpid(pid, &status, 0) == pid && !status);
	}
	CHECK(has(block, 3 * MIN, 3 * MIN, 8) && has(addr, MIN, MIN, 9));
	CHECK(system("true") == 0);
	CHECK(system("exit 3") == 3 << 8);
	free(block);
	CHECK(!munmap(addr, MIN));
	fclose(file);
}

/*
 * With a malloc whose memory is all pagefs', what it gives to the C library, too:
 * that looks at its files in a child before anybody else can do anything.
 */
static void test_files(void)
{
	FILE *files[50];
	char *blocks[200];
	int status;
	pid_t pid;

	for (size_t i = 0; i < 200; i++) {
		blocks[i] = malloc(20000);
		fill(blocks[i], 20000, (unsigned int)i);
	}
	/* Else it is not such a one. What it began with is the kernel's. */
	CHECK(is_mapped(blocks[199]));
	for (size_t i = 0; i < 50; i++)
		CHECK((files[i] = fopen("/dev/null", "w")));
	for (int round = 0; round < 20; round++) {
		pid = fork();
		for (unsigned int i = 0; !pid && i < 200; i++)
			CHECK(has(blocks[i], 20000, 20000, i));
		if (!pid) {
			CHECK(fputs("x", files[7]) >= 0 && !fflush(files[7]));
			free(blocks[5]);
			CHECK(malloc(3 * MIN));
			_exit(0);
		}
		CHECK(waitpid(pid, &status, 0) == pid && !status);
	}
}

/* The daemon may promise little more than there is. */
static void test_refused(void)
{
	const size_t len = 20 * MIN;
	char *addr = mmap(NULL, len, RW, ANON, -1, 0);
	pid_t pid;

	CHECK(addr != MAP_FAILED && is_mapped(addr));
	fill(addr, len, 11);
	for (int i = 0; i < 3; i++) {
		pid = fork();
		if (!pid)
			_exit(0);
		CHECK(pid == -1 && errno == ENOMEM);
		CHECK(waitpid(-1, NULL, 0) == -1 && errno == ECHILD);
	}
	CHECK(has(addr, len, len, 11));
	CHECK(!munmap(addr, len));
	pid = fork();
	if (!pid)
		_exit(0);
	CHECK(pid > 0 && waitpid(pid, NULL, 0) == pid);
}

int main(int argc, char **argv)
{
	void *symbol = dlsym(RTLD_DEFAULT, "pagefs_is_mapped");

	CHECK(argc >= 2 && symbol);	/* else not under pagefs-run */
	memcpy(&is_mapped, &symbol, sizeof(symbol));
	if (argc > 2) {
		if (!strcmp(argv[2], "refused"))
			test_refused();
		else
			test_files();
		return 0;
	}
	test_sizes();
	test_zeros();
	test_realloc();
	test_aligned();
	test_threads();
	test_mmap();
	test_copies(argv[1]);
	test_children();
	return 0;
}
