// SPDX-License-Identifier: BSD-2-Clause
/*
 * tests/client/test_anon.c - libpagefs on a mount: memory without a file, and
 *                            private copies of files
 *
 * Children report by their exit status: CUnit's counters are their parent's.
 */
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <sys/mman.h>
#include <sys/wait.h>

#include "harness.h"
#include "mounted.h"

#define NR_PAGES	64
#define NR_REGIONS	100
#define NR_CHILDREN	20

/* Of @nr pages; NULL fails the case. */
static char *map_anon(size_t nr, int type)
{
	void *addr = NULL;
	int err = pagefs_mmap(mount_conn(), NULL, nr * PAGE, RW,
			      type | MAP_ANONYMOUS, -1, 0, &addr);

	if (err)
		printf("# pagefs_mmap: %s\n", strerror(-err));
	CU_ASSERT_EQUAL(err, 0);
	return addr;
}

static char *map_copies(int fd, size_t nr)
{
	void *addr = NULL;
	int err = pagefs_mmap(mount_conn(), NULL, nr * PAGE, RW, MAP_PRIVATE,
			      fd, 0, &addr);

	if (err)
		printf("# pagefs_mmap: %s\n", strerror(-err));
	CU_ASSERT_EQUAL(err, 0);
	return addr;
}

/* What page @i has after fill(@tag). */
static uint64_t tagged(unsigned int tag, size_t i)
{
	return page_word(i) + ((uint64_t)tag << 32);
}

static bool fill(char *addr, size_t nr, unsigned int tag)
{
	bool ok = true;

	for (size_t i = 0; i < nr; i++)
		ok &= !poke(addr + i * PAGE, tagged(tag, i)) &&
		      !poke(addr + (i + 1) * PAGE - 8, tagged(tag, i));
	return ok;
}

static bool has(const char *addr, size_t nr, unsigned int tag)
{
	int sig[2];

	for (size_t i = 0; i < nr; i++)
		if (peek(addr + i * PAGE, &sig[0]) != tagged(tag, i) ||
		    peek(addr + (i + 1) * PAGE - 8, &sig[1]) != tagged(tag, i))
			return false;
	return true;
}

static bool is_zero(const char *addr, size_t nr)
{
	int sig;

	for (size_t i = 0; i < nr; i++)
		for (size_t pos = 0; pos < PAGE; pos += PAGE / 2)
			if (peek(addr + i * PAGE + pos, &sig) || sig)
				return false;
	return true;
}

/* ---- one process ---- */

static void begins_as_zeros(void)
{
	for (int type = MAP_SHARED; type <= MAP_PRIVATE; type++) {
		char *addr = map_anon(NR_PAGES, type);

		CU_ASSERT(is_zero(addr, NR_PAGES / 2));
		CU_ASSERT(fill(addr, NR_PAGES, 1));
		CU_ASSERT(has(addr, NR_PAGES, 1));
		CU_ASSERT(pagefs_is_mapped(addr));
		unmap_pages(addr, NR_PAGES);
		CU_ASSERT(peek_gets(addr, SIGSEGV));
		/* Most likely where it was, in address and window. */
		addr = map_anon(NR_PAGES, type);
		CU_ASSERT(is_zero(addr, NR_PAGES));
		unmap_pages(addr, NR_PAGES);
	}
}

static void many_do_not_mix(void)
{
	char *addr[NR_REGIONS];
	size_t i;

	for (i = 0; i < NR_REGIONS; i++) {
		addr[i] = map_anon(1 + i % 7, i % 3 ? MAP_PRIVATE : MAP_SHARED);
		CU_ASSERT(fill(addr[i], 1 + i % 7, (unsigned int)i));
	}
	for (i = 0; i < NR_REGIONS; i += 2)
		unmap_pages(addr[i], 1 + i % 7);
	for (i = 0; i < NR_REGIONS; i += 2) {
		addr[i] = map_anon(1 + i % 7, MAP_PRIVATE);
		CU_ASSERT(is_zero(addr[i], 1 + i % 7));
		CU_ASSERT(fill(addr[i], 1 + i % 7, (unsigned int)i + 1000));
	}
	for (i = 0; i < NR_REGIONS; i++) {
		CU_ASSERT(has(addr[i], 1 + i % 7,
			      (unsigned int)i + (i % 2 ? 0 : 1000)));
		unmap_pages(addr[i], 1 + i % 7);
	}
}

static void parts_unmapped(void)
{
	char *addr = map_anon(NR_PAGES, MAP_PRIVATE);

	CU_ASSERT(fill(addr, NR_PAGES, 2));
	unmap_pages(addr + 8 * PAGE, 8);
	CU_ASSERT(has(addr, 8, 2));
	CU_ASSERT(peek_gets(addr + 8 * PAGE, SIGSEGV));
	for (int i = 16; i < NR_PAGES; i++) {
		int sig;

		CU_ASSERT_EQUAL(peek(addr + i * PAGE, &sig),
				tagged(2, (size_t)i));
	}
	unmap_pages(addr, NR_PAGES);
}

static void rights(void)
{
	struct pagefs *p = mount_conn();

	for (int type = MAP_SHARED; type <= MAP_PRIVATE; type++) {
		char *addr = map_anon(4, type);
		void *none;

		CU_ASSERT(fill(addr, 2, 3));
		CU_ASSERT_EQUAL(pagefs_mprotect(p, addr, 4 * PAGE, PROT_READ), 0);
		CU_ASSERT(has(addr, 2, 3));
		CU_ASSERT_EQUAL(poke(addr, 1), SIGSEGV);
		CU_ASSERT_EQUAL(pagefs_mprotect(p, addr, 4 * PAGE, PROT_NONE), 0);
		CU_ASSERT(peek_gets(addr, SIGSEGV));
		CU_ASSERT_EQUAL(pagefs_mprotect(p, addr, 4 * PAGE, RW), 0);
		CU_ASSERT(has(addr, 2, 3));
		CU_ASSERT(is_zero(addr + 2 * PAGE, 2));
		CU_ASSERT(fill(addr, 4, 4));
		unmap_pages(addr, 4);
		CU_ASSERT_EQUAL(pagefs_mmap(p, NULL, 4 * PAGE, PROT_NONE,
					    type | MAP_ANONYMOUS, -1, 0, &none), 0);
		CU_ASSERT(peek_gets(none, SIGSEGV));
		CU_ASSERT_EQUAL(pagefs_mprotect(p, none, 4 * PAGE, RW), 0);
		CU_ASSERT(is_zero(none, 4) && fill(none, 4, 5) && has(none, 4, 5));
		unmap_pages(none, 4);
	}
}

static void remapped(void)
{
	struct pagefs *p = mount_conn();
	char *addr = map_anon(8, MAP_PRIVATE), *next = map_anon(8, MAP_PRIVATE);
	void *moved;

	CU_ASSERT(fill(addr, 8, 6) && fill(next, 8, 7));
	CU_ASSERT_EQUAL(pagefs_mremap(p, addr, 8 * PAGE, NR_PAGES * PAGE,
				      MREMAP_MAYMOVE, NULL, &moved), 0);
	CU_ASSERT(has(moved, 8, 6) && has(next, 8, 7));
	CU_ASSERT(is_zero((char *)moved + 8 * PAGE, NR_PAGES - 8));
	CU_ASSERT(fill(moved, NR_PAGES, 8) && has(next, 8, 7));
	addr = moved;
	CU_ASSERT_EQUAL(pagefs_mremap(p, addr, NR_PAGES * PAGE, 4 * PAGE, 0, NULL,
				      &moved), 0);
	CU_ASSERT(moved == addr && has(addr, 4, 8));
	CU_ASSERT_EQUAL(pagefs_mremap(p, addr, 4 * PAGE, NR_PAGES * PAGE,
				      MREMAP_MAYMOVE, NULL, &moved), 0);
	CU_ASSERT(has(moved, 4, 8));
	CU_ASSERT(is_zero((char *)moved + 4 * PAGE, NR_PAGES - 4));
	unmap_pages(moved, NR_PAGES);
	/* To a place that is taken. */
	addr = map_anon(4, MAP_PRIVATE);
	CU_ASSERT(fill(addr, 4, 9));
	CU_ASSERT_EQUAL(pagefs_mremap(p, addr, 4 * PAGE, 4 * PAGE,
				      MREMAP_MAYMOVE | MREMAP_FIXED, next,
				      &moved), 0);
	CU_ASSERT(moved == next && has(next, 4, 9));
	CU_ASSERT(peek_gets(addr, SIGSEGV));
	unmap_pages(next, 8);
}

static void given_back(void)
{
	struct pagefs *p = mount_conn();
	char *addr = map_anon(NR_PAGES, MAP_PRIVATE);
	char *shared = map_anon(NR_PAGES, MAP_SHARED);

	CU_ASSERT(fill(addr, NR_PAGES, 10) && fill(shared, NR_PAGES, 11));
	CU_ASSERT_EQUAL(pagefs_madvise(p, addr, 16 * PAGE, MADV_DONTNEED), 0);
	CU_ASSERT(is_zero(addr, 16));
	CU_ASSERT(fill(addr, 16, 10) && has(addr, NR_PAGES, 10));
	CU_ASSERT_EQUAL(pagefs_madvise(p, addr, 16 * PAGE, MADV_FREE), 0);
	CU_ASSERT(fill(addr, 16, 10) && has(addr, NR_PAGES, 10));
	CU_ASSERT_EQUAL(pagefs_madvise(p, addr, PAGE, MADV_REMOVE), -EINVAL);
	/* What is shared is not lost so. */
	CU_ASSERT_EQUAL(pagefs_madvise(p, shared, 16 * PAGE, MADV_DONTNEED), 0);
	CU_ASSERT(has(shared, NR_PAGES, 11));
	CU_ASSERT_EQUAL(pagefs_madvise(p, shared, PAGE, MADV_FREE), -EINVAL);
	CU_ASSERT_EQUAL(pagefs_madvise(p, shared, 16 * PAGE, MADV_REMOVE), 0);
	CU_ASSERT(is_zero(shared, 16));
	CU_ASSERT(fill(shared, 16, 11) && has(shared, NR_PAGES, 11));
	unmap_pages(addr, NR_PAGES);
	unmap_pages(shared, NR_PAGES);
}

static void other_calls(void)
{
	struct pagefs *p = mount_conn();
	char *addr = map_anon(8, MAP_PRIVATE), *shared = map_anon(8, MAP_SHARED);
	unsigned char vec[8];

	CU_ASSERT(fill(addr, 8, 12) && fill(shared, 8, 13));
	CU_ASSERT_EQUAL(pagefs_msync(p, addr, 8 * PAGE, MS_SYNC), 0);
	CU_ASSERT_EQUAL(pagefs_msync(p, shared, 8 * PAGE, MS_SYNC), 0);
	CU_ASSERT_EQUAL(pagefs_mlock(p, addr, 8 * PAGE), 0);
	CU_ASSERT_EQUAL(pagefs_mincore(p, addr, 8 * PAGE, vec), 0);
	for (int i = 0; i < 8; i++)
		CU_ASSERT(vec[i] & 1);
	CU_ASSERT_EQUAL(pagefs_munlock(p, addr, 8 * PAGE), 0);
	CU_ASSERT_EQUAL(pagefs_madvise(p, addr, 8 * PAGE, MADV_PAGEOUT), 0);
	CU_ASSERT_EQUAL(pagefs_madvise(p, addr, 8 * PAGE, MADV_POPULATE_WRITE), 0);
	CU_ASSERT(has(addr, 8, 12) && has(shared, 8, 13));
	unmap_pages(addr, 8);
	unmap_pages(shared, 8);
}

static void wrong_arguments(void)
{
	struct pagefs *p = mount_conn();
	void *addr;

	CU_ASSERT_EQUAL(pagefs_mmap(p, NULL, 0, RW, MAP_PRIVATE | MAP_ANONYMOUS,
				    -1, 0, &addr), -EINVAL);
	CU_ASSERT_EQUAL(pagefs_mmap(p, NULL, PAGE, RW, MAP_ANONYMOUS, -1, 0,
				    &addr), -EINVAL);
	CU_ASSERT_EQUAL(pagefs_mmap(p, NULL, PAGE, RW, MAP_PRIVATE |
				    MAP_ANONYMOUS | MAP_GROWSDOWN, -1, 0, &addr),
			-EINVAL);
	CU_ASSERT_EQUAL(pagefs_mmap(p, NULL, PAGE, RW, MAP_PRIVATE, -1, 0, &addr),
			-EBADF);
	CU_ASSERT(pagefs_mmap(p, NULL, 1UL << 50, RW,
			      MAP_PRIVATE | MAP_ANONYMOUS, -1, 0, &addr) < 0);
}

/* ---- copies of a file ---- */

static void file_stays(void)
{
	int fd = make_file("a-copies", NR_PAGES, O_RDONLY), sig;
	char *addr = map_copies(fd, NR_PAGES);
	char *file = map_pages(fd, 0, NR_PAGES, PROT_READ);
	uint64_t word;

	for (size_t i = 0; i < NR_PAGES; i++)
		CU_ASSERT_EQUAL(peek(addr + i * PAGE, &sig), page_word(i));
	for (size_t i = 0; i < NR_PAGES; i += 2)
		CU_ASSERT_EQUAL(poke(addr + i * PAGE, 4711), 0);
	for (size_t i = 0; i < NR_PAGES; i++) {
		CU_ASSERT_EQUAL(peek(addr + i * PAGE, &sig),
				i % 2 ? page_word(i) : 4711);
		/* The rest of a page that was stored to. */
		CU_ASSERT_EQUAL(peek(addr + i * PAGE + 8, &sig),
				page_word(i) + 2);
		CU_ASSERT_EQUAL(peek(file + i * PAGE, &sig), page_word(i));
		CU_ASSERT_EQUAL(pread(fd, &word, 8, (off_t)(i * PAGE)), 8);
		CU_ASSERT_EQUAL(word, page_word(i));
	}
	unmap_pages(addr, NR_PAGES);
	unmap_pages(file, NR_PAGES);
	close(fd);
}

static void file_again_when_dropped(void)
{
	struct pagefs *p = mount_conn();
	int fd = make_file("a-dropped", 8, O_RDONLY), sig;
	char *addr = map_copies(fd, 8);

	close(fd);
	for (size_t i = 0; i < 8; i++)
		CU_ASSERT_EQUAL(poke(addr + i * PAGE, 1), 0);
	CU_ASSERT_EQUAL(pagefs_madvise(p, addr, 4 * PAGE, MADV_DONTNEED), 0);
	for (size_t i = 0; i < 8; i++)
		CU_ASSERT_EQUAL(peek(addr + i * PAGE, &sig),
				i < 4 ? page_word(i) : 1);
	unmap_pages(addr, 8);
}

/* ---- children ---- */

static void child_has_a_copy(void)
{
	char *addr = map_anon(NR_PAGES, MAP_PRIVATE);
	int pipes[2];
	pid_t pid;
	char c;

	CU_ASSERT(fill(addr, NR_PAGES / 2, 20));
	CU_ASSERT_EQUAL(pipe(pipes), 0);
	pid = fork();
	if (!pid) {
		/* The parent has stored to it by now. */
		if (read(pipes[0], &c, 1) != 1)
			_exit(1);
		if (!has(addr, NR_PAGES / 2, 20))
			_exit(2);
		if (!is_zero(addr + NR_PAGES / 2 * PAGE, NR_PAGES / 2))
			_exit(3);
		if (!fill(addr, NR_PAGES, 22) || !has(addr, NR_PAGES, 22))
			_exit(4);
		_exit(pagefs_of(addr) != mount_conn());
	}
	CU_ASSERT(fill(addr, NR_PAGES, 21));
	CU_ASSERT_EQUAL(write(pipes[1], "x", 1), 1);
	CU_ASSERT_EQUAL(child_status(pid), 0);
	CU_ASSERT(has(addr, NR_PAGES, 21));
	unmap_pages(addr, NR_PAGES);
	close(pipes[0]), close(pipes[1]);
}

static void child_has_copies_of_the_file(void)
{
	int fd = make_file("a-child", NR_PAGES, O_RDONLY), sig;
	char *addr = map_copies(fd, NR_PAGES);
	pid_t pid;

	close(fd);
	CU_ASSERT_EQUAL(poke(addr, 5), 0);
	pid = fork();
	if (!pid) {
		if (peek(addr, &sig) != 5 || peek(addr + PAGE, &sig) != page_word(1))
			_exit(1);
		if (poke(addr + PAGE, 6) || poke(addr, 7))
			_exit(2);
		for (size_t i = 2; i < NR_PAGES; i++)
			if (peek(addr + i * PAGE, &sig) != page_word(i))
				_exit(3);
		_exit(peek(addr, &sig) != 7);
	}
	CU_ASSERT_EQUAL(child_status(pid), 0);
	CU_ASSERT_EQUAL(peek(addr, &sig), 5);
	CU_ASSERT_EQUAL(peek(addr + PAGE, &sig), page_word(1));
	unmap_pages(addr, NR_PAGES);
}

static void child_shares(void)
{
	char *addr = map_anon(NR_PAGES, MAP_SHARED);
	pid_t pid[NR_CHILDREN];
	int bad = 0, sig;

	for (int i = 0; i < NR_CHILDREN; i++) {
		pid[i] = fork();
		if (!pid[i]) {
			for (size_t k = 0; k < 100 * NR_PAGES; k++)
				atomic_fetch_add((atomic_ulong *)
						 (addr + k % NR_PAGES * PAGE), 1);
			_exit(0);
		}
	}
	for (int i = 0; i < NR_CHILDREN; i++)
		bad += child_status(pid[i]) != 0;
	CU_ASSERT_EQUAL(bad, 0);
	for (size_t i = 0; i < NR_PAGES; i++)
		CU_ASSERT_EQUAL(peek(addr + i * PAGE, &sig), 100 * NR_CHILDREN);
	unmap_pages(addr, NR_PAGES);
}

/* Each level finds what its parent has stored, and stores something else. */
static int child_of_child(char *addr, unsigned int depth)
{
	void *more;
	pid_t pid;
	int status;

	if (!has(addr, NR_PAGES, depth) || !fill(addr, NR_PAGES, depth + 1))
		return (int)(10 + depth);
	if (pagefs_mmap(mount_conn(), NULL, 4 * PAGE, RW,
			MAP_PRIVATE | MAP_ANONYMOUS, -1, 0, &more) ||
	    !is_zero(more, 4) || !fill(more, 4, depth))
		return (int)(20 + depth);
	if (depth == 34)
		return 0;
	pid = fork();
	if (!pid)
		_exit(child_of_child(addr, depth + 1));
	status = child_status(pid);
	if (status)
		return status;
	return has(addr, NR_PAGES, depth + 1) && has(more, 4, depth) ? 0 : 9;
}

static void grandchildren(void)
{
	char *addr = map_anon(NR_PAGES, MAP_PRIVATE);
	pid_t pid;

	CU_ASSERT(fill(addr, NR_PAGES, 30));
	pid = fork();
	if (!pid)
		_exit(child_of_child(addr, 30));
	CU_ASSERT_EQUAL(child_status(pid), 0);
	CU_ASSERT(has(addr, NR_PAGES, 30));
	unmap_pages(addr, NR_PAGES);
}

/* As daemon(3): says on @fd what it found. */
static int grandchild_says(const char *addr, int fd)
{
	pid_t pid;
	char c;

	test_orphans = true;
	pid = fork();
	if (pid)
		return pid < 0;
	c = has(addr, NR_PAGES, 40) && fill((char *)addr, NR_PAGES, 41) ?
	    'y' : 'n';
	return write(fd, &c, 1) != 1;
}

/* The parent has gone before the child has looked at anything. */
static void parent_gone(void)
{
	char *addr = map_anon(NR_PAGES, MAP_PRIVATE);
	int pipes[2];
	pid_t pid;
	char c = 0;

	CU_ASSERT(fill(addr, NR_PAGES, 40));
	CU_ASSERT_EQUAL(pipe(pipes), 0);
	for (int i = 0; i < 20; i++) {
		pid = fork();
		if (!pid)
			_exit(grandchild_says(addr, pipes[1]));
		CU_ASSERT_EQUAL(child_status(pid), 0);
		CU_ASSERT_EQUAL(read(pipes[0], &c, 1), 1);
		CU_ASSERT_EQUAL(c, 'y');
	}
	unmap_pages(addr, NR_PAGES);
	close(pipes[0]), close(pipes[1]);
}

static void advice_about_children(void)
{
	struct pagefs *p = mount_conn();
	char *addr = map_anon(12, MAP_PRIVATE), *shared = map_anon(4, MAP_SHARED);
	pid_t pid;

	CU_ASSERT(fill(addr, 12, 50));
	CU_ASSERT_EQUAL(pagefs_madvise(p, addr + 4 * PAGE, 4 * PAGE,
				       MADV_DONTFORK), 0);
	CU_ASSERT_EQUAL(pagefs_madvise(p, addr + 8 * PAGE, 4 * PAGE,
				       MADV_WIPEONFORK), 0);
	CU_ASSERT_EQUAL(pagefs_madvise(p, shared, PAGE, MADV_WIPEONFORK),
			-EINVAL);
	pid = fork();
	if (!pid) {
		if (!has(addr, 4, 50) || !is_zero(addr + 8 * PAGE, 4))
			_exit(1);
		if (pagefs_is_mapped(addr + 4 * PAGE) ||
		    !peek_gets(addr + 4 * PAGE, SIGSEGV))
			_exit(2);
		_exit(!fill(addr + 8 * PAGE, 4, 51) ||
		      !has(addr + 8 * PAGE, 4, 51));
	}
	CU_ASSERT_EQUAL(child_status(pid), 0);
	CU_ASSERT(has(addr, 12, 50));
	CU_ASSERT_EQUAL(pagefs_madvise(p, addr, 12 * PAGE, MADV_DOFORK), 0);
	pid = fork();
	if (!pid)
		_exit(!has(addr, 12, 50));
	CU_ASSERT_EQUAL(child_status(pid), 0);
	unmap_pages(addr, 12);
	unmap_pages(shared, 4);
}

static void mixed_rights_in_a_child(void)
{
	struct pagefs *p = mount_conn();
	char *addr = map_anon(12, MAP_PRIVATE);
	pid_t pid;

	CU_ASSERT(fill(addr, 12, 60));
	CU_ASSERT_EQUAL(pagefs_mprotect(p, addr + 4 * PAGE, 4 * PAGE, PROT_READ),
			0);
	CU_ASSERT_EQUAL(pagefs_madvise(p, addr + 6 * PAGE, 4 * PAGE,
				       MADV_SEQUENTIAL), 0);
	pid = fork();
	if (!pid) {
		if (!has(addr, 12, 60) || poke(addr + 5 * PAGE, 1) != SIGSEGV)
			_exit(1);
		if (pagefs_mprotect(p, addr, 12 * PAGE, RW) ||
		    !fill(addr, 12, 61) || !has(addr, 12, 61))
			_exit(2);
		_exit(0);
	}
	CU_ASSERT_EQUAL(child_status(pid), 0);
	CU_ASSERT(has(addr, 12, 60));
	unmap_pages(addr, 12);
}

/* ---- a program with other threads ---- */

struct churn {
	atomic_bool stop;
	atomic_ulong rounds;
	atomic_int failed;
};

static void *churn(void *arg)
{
	struct churn *c = arg;
	struct pagefs *p = mount_conn();
	void *addr;

	while (!atomic_load(&c->stop)) {
		if (pagefs_mmap(p, NULL, 8 * PAGE, RW,
				MAP_PRIVATE | MAP_ANONYMOUS, -1, 0, &addr)) {
			atomic_store(&c->failed, 1);
			break;
		}
		if (!is_zero(addr, 8) || !fill(addr, 8, 70) || !has(addr, 8, 70))
			atomic_store(&c->failed, 2);
		if (pagefs_munmap(p, addr, 8 * PAGE))
			atomic_store(&c->failed, 3);
		atomic_fetch_add(&c->rounds, 1);
	}
	return NULL;
}

static void other_threads(void)
{
	struct churn c = { .failed = 0 };
	char *addr = map_anon(NR_PAGES, MAP_PRIVATE);
	pthread_t thread[3];
	int bad = 0;
	pid_t pid;

	CU_ASSERT(fill(addr, NR_PAGES, 71));
	for (int i = 0; i < 3; i++)
		pthread_create(&thread[i], NULL, churn, &c);
	for (int i = 0; i < 50; i++) {
		pid = fork();
		if (!pid)
			_exit(!has(addr, NR_PAGES, 71) ||
			      !fill(addr, NR_PAGES, 72));
		bad += child_status(pid) != 0;
	}
	atomic_store(&c.stop, true);
	for (int i = 0; i < 3; i++)
		pthread_join(thread[i], NULL);
	CU_ASSERT_EQUAL(bad, 0);
	CU_ASSERT_EQUAL(atomic_load(&c.failed), 0);
	CU_ASSERT(atomic_load(&c.rounds) > 0);
	CU_ASSERT(has(addr, NR_PAGES, 71));
	unmap_pages(addr, NR_PAGES);
}

/* ---- regions with a name ---- */

static int shm(const char *name, int oflag, size_t nr, void **addrp)
{
	return pagefs_shm_map(mount_conn(), name, oflag, 0600, nr * PAGE, RW,
			      addrp);
}

static void named_regions(void)
{
	struct pagefs *p = mount_conn();
	void *one, *two;
	pid_t pid;

	CU_ASSERT_EQUAL(shm("a", 0, 4, &one), -ENOENT);
	CU_ASSERT_EQUAL(shm("a", O_CREAT | O_EXCL, 4, &one), 0);
	CU_ASSERT(is_zero(one, 4));
	CU_ASSERT_EQUAL(shm("a", O_CREAT | O_EXCL, 4, &two), -EEXIST);
	CU_ASSERT_EQUAL(shm("a", O_CREAT, 5, &two), -EINVAL);
	CU_ASSERT_EQUAL(shm("a", O_RDWR, 2, &two), 0);
	CU_ASSERT(one != two && fill(one, 4, 80) && has(two, 2, 80));
	unmap_pages(one, 4);
	unmap_pages(two, 2);
	/* By another, while nobody has it. */
	pid = fork();
	if (!pid)
		_exit(shm("a", 0, 4, &one) || !has(one, 4, 80) ||
		      !fill(one, 4, 81));
	CU_ASSERT_EQUAL(child_status(pid), 0);
	CU_ASSERT_EQUAL(shm("a", 0, 4, &one), 0);
	CU_ASSERT(has(one, 4, 81));
	CU_ASSERT_EQUAL(pagefs_shm_unlink(p, "a"), 0);
	CU_ASSERT_EQUAL(pagefs_shm_unlink(p, "a"), -ENOENT);
	CU_ASSERT_EQUAL(shm("a", 0, 4, &two), -ENOENT);
	CU_ASSERT(has(one, 4, 81));
	CU_ASSERT_EQUAL(shm("a", O_CREAT, 4, &two), 0);
	CU_ASSERT(is_zero(two, 4) && has(one, 4, 81));
	CU_ASSERT_EQUAL(pagefs_shm_unlink(p, "a"), 0);
	unmap_pages(one, 4);
	unmap_pages(two, 4);
}

static void names(void)
{
	struct pagefs *p = mount_conn();
	void *addr;

	CU_ASSERT_EQUAL(shm("", O_CREAT, 1, &addr), -EINVAL);
	CU_ASSERT_EQUAL(shm("12345678901234567", O_CREAT, 1, &addr),
			-ENAMETOOLONG);
	CU_ASSERT_EQUAL(shm("1234567890123456", O_CREAT, 1, &addr), 0);
	unmap_pages(addr, 1);
	CU_ASSERT_EQUAL(shm("123456789012345", 0, 1, &addr), -ENOENT);
	CU_ASSERT_EQUAL(pagefs_shm_unlink(p, "1234567890123456"), 0);
	CU_ASSERT_EQUAL(pagefs_shm_unlink(p, "12345678901234567"), -ENAMETOOLONG);
	CU_ASSERT_EQUAL(shm("a", O_WRONLY, 1, &addr), -EINVAL);
}

/* Run as root: in a child that is somebody else. */
static int strangers(void)
{
	struct pagefs *p;
	void *addr;
	int fd = open(on_mount(""), O_RDONLY | O_DIRECTORY);

	if (setgid(12345) || setuid(12345) || pagefs_connect(fd, &p))
		return 1;
	if (pagefs_shm_map(p, "theirs", 0, 0, PAGE, RW, &addr) != -EACCES)
		return 2;
	if (pagefs_shm_map(p, "readable", 0, 0, PAGE, PROT_READ, &addr) != -EACCES)
		return 3;
	if (pagefs_shm_map(p, "all", 0, 0, PAGE, RW, &addr) || poke(addr, 90))
		return 4;
	if (pagefs_shm_unlink(p, "all") != -EACCES)
		return 5;
	for (int i = 0; i < 300; i++) {
		char name[16];

		snprintf(name, sizeof(name), "many%d", i);
		if (pagefs_shm_map(p, name, O_CREAT, 0600, PAGE, RW, &addr))
			return i < 200 ? 6 : 0;
		pagefs_munmap(p, addr, PAGE);
	}
	return 7;
}

static void others_regions(void)
{
	struct pagefs *p = mount_conn();
	void *theirs, *readable, *all;
	int sig, err = 0;
	pid_t pid;

	if (getuid())
		return;
	CU_ASSERT_EQUAL(pagefs_shm_map(p, "theirs", O_CREAT, 0600, PAGE, RW,
				       &theirs), 0);
	CU_ASSERT_EQUAL(pagefs_shm_map(p, "readable", O_CREAT, 0644, PAGE, RW,
				       &readable), 0);
	CU_ASSERT_EQUAL(pagefs_shm_map(p, "all", O_CREAT, 0666, PAGE, RW, &all),
			0);
	pid = fork();
	if (!pid) {
		/* One without a session: the daemon has taken us for root. */
		execl("/proc/self/exe", "test_anon", "--stranger", NULL);
		_exit(99);
	}
	CU_ASSERT_EQUAL(child_status(pid), 0);
	CU_ASSERT_EQUAL(peek(all, &sig), 90);
	for (int i = 0; i < 300 && !err; i++) {
		char name[16];

		snprintf(name, sizeof(name), "many%d", i);
		err = pagefs_shm_unlink(p, name);
	}
	CU_ASSERT_EQUAL(err, -ENOENT);
	CU_ASSERT_EQUAL(pagefs_shm_unlink(p, "theirs"), 0);
	CU_ASSERT_EQUAL(pagefs_shm_unlink(p, "readable"), 0);
	CU_ASSERT_EQUAL(pagefs_shm_unlink(p, "all"), 0);
	unmap_pages(theirs, 1);
	unmap_pages(readable, 1);
	unmap_pages(all, 1);
}

static const struct test_case cases[] = {
	{ "memory begins as zeros, again when it is mapped again", begins_as_zeros },
	{ "a hundred regions do not mix", many_do_not_mix },
	{ "parts are unmapped, the rest stays", parts_unmapped },
	{ "rights are taken away and given", rights },
	{ "it grows, shrinks and moves with what it has", remapped },
	{ "what is given back is zeros, if it is private", given_back },
	{ "msync, mlock, mincore, advice", other_calls },
	{ "wrong arguments", wrong_arguments },
	{ "copies of a file leave it as it is", file_stays },
	{ "copies that are given back show the file again",
	  file_again_when_dropped },
	{ "a child has a copy, of the moment of fork()", child_has_a_copy },
	{ "a child has its own copies of a file", child_has_copies_of_the_file },
	{ "children share what is shared", child_shares },
	{ "so do their children", grandchildren },
	{ "a child has it if its parent has ended", parent_gone },
	{ "a child has what advice says it should", advice_about_children },
	{ "a child has memory of several rights", mixed_rights_in_a_child },
	{ "children are made while other threads map and store", other_threads },
	{ "regions have names", named_regions },
	{ "names have 1 to 16 bytes", names },
	{ "regions of others are theirs", others_regions },
};

int main(int argc, char **argv)
{
	if (argc > 1 && !strcmp(argv[1], "--stranger"))
		return strangers();
	return test_main("client/anon", cases, ARRAY_SIZE(cases));
}
