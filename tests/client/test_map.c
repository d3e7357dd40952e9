// SPDX-License-Identifier: BSD-2-Clause
/*
 * tests/client/test_map.c - libpagefs on a mount: mappings and what may be done
 *                           with them
 */
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <sys/mman.h>
#include <sys/stat.h>

#include "harness.h"
#include "mounted.h"

#define MANY		10000
#define NR_PAGES	64

/* Has each page at @addr what page @first, first + 1, ... of a test file has? */
static bool shows(const char *addr, size_t first, size_t nr)
{
	int sig;

	for (size_t i = 0; i < nr; i++)
		if (peek(addr + i * PAGE, &sig) != page_word(first + i) ||
		    peek(addr + (i + 1) * PAGE - 8, &sig) !=
		    page_word(first + i) + 2 * (PAGE / 8 - 1)) {
			printf("# page %zu: signal %d\n", first + i, sig);
			return false;
		}
	return true;
}

/* Is nothing there that is ours, and can none of it be touched? */
static bool is_free(const char *addr, size_t nr)
{
	for (size_t i = 0; i < nr; i++)
		if (pagefs_is_mapped(addr + i * PAGE) ||
		    !peek_gets(addr + i * PAGE, SIGSEGV))
			return false;
	return true;
}

static uint64_t word_at(const char *path, size_t pos)
{
	uint64_t word = 0;
	int fd = open(path, O_RDONLY);

	if (pread(fd, &word, sizeof(word), (off_t)pos) != sizeof(word))
		word = 0;
	close(fd);
	return word;
}

/* ---- mapping ---- */

static void both_ways(void)
{
	int fd = make_file("both", NR_PAGES, O_RDWR);
	char *addr = map_pages(fd, 0, NR_PAGES, RW);
	uint64_t word = 0x1234;

	CU_ASSERT(shows(addr, 0, NR_PAGES));
	CU_ASSERT_EQUAL(poke(addr + 3 * PAGE, 77), 0);
	CU_ASSERT_EQUAL(word_at(on_mount("both"), 3 * PAGE), 77);
	CU_ASSERT_EQUAL(pwrite(fd, &word, 8, 5 * PAGE), 8);
	CU_ASSERT_EQUAL(*(uint64_t *)(addr + 5 * PAGE), 0x1234);
	CU_ASSERT_EQUAL(pagefs_msync(mount_conn(), addr, NR_PAGES * PAGE,
				     MS_SYNC), 0);
	CU_ASSERT_EQUAL(word_at(behind("both"), 3 * PAGE), 77);
	close(fd);
	CU_ASSERT_EQUAL(poke(addr + 4 * PAGE, 78), 0);
	unmap_pages(addr, NR_PAGES);
	CU_ASSERT(is_free(addr, NR_PAGES));
	CU_ASSERT_EQUAL(word_at(on_mount("both"), 4 * PAGE), 78);
}

static void read_only_descriptor(void)
{
	int fd = make_file("ro", NR_PAGES, O_RDONLY);
	struct pagefs *p = mount_conn();
	char *addr = map_pages(fd, 0, NR_PAGES, PROT_READ);
	int writer = open(on_mount("ro"), O_RDWR);
	uint64_t word = 0x4321;
	void *none = NULL;

	CU_ASSERT(shows(addr, 0, 8));
	/* As Linux does: a shared mapping syncs what anybody has written. */
	CU_ASSERT_EQUAL(pwrite(writer, &word, 8, 0), 8);
	CU_ASSERT_EQUAL(pagefs_msync(p, addr, PAGE, MS_SYNC), 0);
	CU_ASSERT_EQUAL(word_at(behind("ro"), 0), 0x4321);
	word = page_word(0);
	CU_ASSERT_EQUAL(pwrite(writer, &word, 8, 0), 8);
	close(writer);
	CU_ASSERT_EQUAL(poke(addr, 1), SIGSEGV);
	CU_ASSERT_EQUAL(pagefs_mprotect(p, addr, PAGE, RW), -EACCES);
	CU_ASSERT_EQUAL(poke(addr, 1), SIGSEGV);
	CU_ASSERT_EQUAL(pagefs_mmap(p, NULL, PAGE, RW, MAP_SHARED, fd, 0,
				    &none), -EACCES);
	CU_ASSERT_PTR_NULL(none);
	/* Behind our back: at most a copy that nobody else sees. */
	CU_ASSERT_EQUAL(mprotect(addr, NR_PAGES * PAGE, RW), 0);
	for (size_t i = 0; i < NR_PAGES; i++)
		poke(addr + i * PAGE, 99);
	for (size_t i = 0; i < NR_PAGES; i++)
		CU_ASSERT_EQUAL(word_at(on_mount("ro"), i * PAGE), page_word(i));
	unmap_pages(addr, NR_PAGES);
	close(fd);
}

static void private_read(void)
{
	int fd = make_file("private", 4, O_RDWR);
	struct pagefs *p = mount_conn();
	void *addr = NULL;

	CU_ASSERT_EQUAL(pagefs_mmap(p, NULL, 4 * PAGE, PROT_READ, MAP_PRIVATE,
				    fd, 0, &addr), 0);
	CU_ASSERT(shows(addr, 0, 4));
	CU_ASSERT_EQUAL(pagefs_mprotect(p, addr, PAGE, RW), -EACCES);
	unmap_pages(addr, 4);
	close(fd);
}

static void pieces(void)
{
	int fd = make_file("pieces", NR_PAGES, O_RDWR);
	char *addr = map_pages(fd, 0, 16, RW);
	char *other = map_pages(fd, 32, 1, RW);

	unmap_pages(addr + 4 * PAGE, 8);
	CU_ASSERT(shows(addr, 0, 4));
	CU_ASSERT(is_free(addr + 4 * PAGE, 8));
	CU_ASSERT(shows(addr + 12 * PAGE, 12, 4));
	unmap_pages(addr + 5 * PAGE, 2);	/* nothing there */
	unmap_pages(addr, 16);			/* two and a hole */
	CU_ASSERT(is_free(addr, 4));
	CU_ASSERT(is_free(addr + 12 * PAGE, 4));
	CU_ASSERT(shows(other, 32, 1));
	unmap_pages(other, 1);
	close(fd);
}

static void fixed(void)
{
	int fd = make_file("fixed", NR_PAGES, O_RDWR);
	struct pagefs *p = mount_conn();
	char *addr = map_pages(fd, 0, 8, RW);
	char *own = mmap(NULL, 8 * PAGE, RW, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	void *got = NULL;

	CU_ASSERT_EQUAL(pagefs_mmap(p, addr + 2 * PAGE, 2 * PAGE, RW,
				    MAP_SHARED | MAP_FIXED, fd, 40 * PAGE,
				    &got), 0);
	CU_ASSERT_PTR_EQUAL(got, addr + 2 * PAGE);
	CU_ASSERT(shows(addr, 0, 2) && shows(addr + 2 * PAGE, 40, 2) &&
		  shows(addr + 4 * PAGE, 4, 4));
	CU_ASSERT_EQUAL(pagefs_mmap(p, addr + 7 * PAGE, 2 * PAGE, RW, MAP_SHARED |
				    MAP_FIXED_NOREPLACE, fd, 0, &got), -EEXIST);
	CU_ASSERT_EQUAL(pagefs_mmap(p, own, PAGE, RW, MAP_SHARED |
				    MAP_FIXED_NOREPLACE, fd, 0, &got), -EEXIST);
	/* Over memory of the program's, outside the region. */
	CU_ASSERT_EQUAL(pagefs_mmap(p, own + PAGE, 4 * PAGE, RW, MAP_SHARED |
				    MAP_FIXED, fd, 8 * PAGE, &got), 0);
	CU_ASSERT(shows(own + PAGE, 8, 4));
	CU_ASSERT_EQUAL(*own, 0);
	unmap_pages(own + PAGE, 4);
	CU_ASSERT_EQUAL(pagefs_mmap(p, own + PAGE, 4 * PAGE, RW, MAP_SHARED |
				    MAP_FIXED_NOREPLACE, fd, 8 * PAGE, &got), 0);
	CU_ASSERT(shows(own + PAGE, 8, 4));
	unmap_pages(own + PAGE, 4);
	munmap(own, 8 * PAGE);
	unmap_pages(addr, 8);
	close(fd);
}

/* ---- rights ---- */

static void protect(void)
{
	int fd = make_file("protect", 16, O_RDWR), sig;
	struct pagefs *p = mount_conn();
	char *addr = map_pages(fd, 0, 16, RW);

	CU_ASSERT_EQUAL(pagefs_mprotect(p, addr + 4 * PAGE, 4 * PAGE,
					PROT_READ), 0);
	CU_ASSERT_EQUAL(poke(addr + 4 * PAGE, 1), SIGSEGV);
	CU_ASSERT(shows(addr, 0, 16));
	CU_ASSERT_EQUAL(pagefs_mprotect(p, addr, 16 * PAGE, PROT_NONE), 0);
	for (int i = 0; i < 16; i++)
		CU_ASSERT(peek_gets(addr + (size_t)i * PAGE, SIGSEGV));
	CU_ASSERT_EQUAL(pagefs_mprotect(p, addr, 16 * PAGE, RW), 0);
	for (size_t i = 0; i < 16; i++)
		CU_ASSERT_EQUAL(poke(addr + i * PAGE, i), 0);
	CU_ASSERT_EQUAL(peek(addr + 15 * PAGE, &sig), 15);
	CU_ASSERT_EQUAL(pagefs_mprotect(p, addr + 12 * PAGE, 8 * PAGE,
					PROT_READ), -ENOMEM);
	CU_ASSERT_EQUAL(poke(addr + 12 * PAGE, 1), 0);
	unmap_pages(addr, 16);
	/* Mapped without any, absent pages and all. */
	addr = map_pages(fd, 0, 16, PROT_NONE);
	CU_ASSERT(peek_gets(addr, SIGSEGV));
	CU_ASSERT_EQUAL(pagefs_mprotect(p, addr, 16 * PAGE, PROT_READ), 0);
	CU_ASSERT_EQUAL(peek(addr + 15 * PAGE, &sig), 15);
	/* The daemon knows, too, or it would not let us store. */
	CU_ASSERT_EQUAL(pagefs_mprotect(p, addr, 16 * PAGE, RW), 0);
	CU_ASSERT_EQUAL(poke(addr, 16), 0);
	unmap_pages(addr, 16);
	close(fd);
}

/* ---- mremap ---- */

static void remap(void)
{
	int fd = make_file("remap", NR_PAGES, O_RDWR);
	struct pagefs *p = mount_conn();
	char *own = mmap(NULL, 8 * PAGE, RW, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	char *addr = map_pages(fd, 0, 8, RW), *next;
	void *got = NULL;

	poke(addr, page_word(0));
	CU_ASSERT_EQUAL(pagefs_mremap(p, addr, 8 * PAGE, 4 * PAGE, 0, NULL,
				      &got), 0);
	CU_ASSERT_PTR_EQUAL(got, addr);
	CU_ASSERT(is_free(addr + 4 * PAGE, 4));
	CU_ASSERT_EQUAL(pagefs_mremap(p, addr, 4 * PAGE, 16 * PAGE,
				      MREMAP_MAYMOVE, NULL, &got), 0);
	if (got != addr)
		CU_ASSERT(is_free(addr, 4));
	addr = got;
	CU_ASSERT(shows(addr, 0, 16));
	/* Something in the way, then: it has to move. */
	CU_ASSERT_EQUAL(pagefs_mmap(p, addr + 16 * PAGE, PAGE, RW, MAP_SHARED |
				    MAP_FIXED, fd, 0, (void **)&next), 0);
	CU_ASSERT_EQUAL(pagefs_mremap(p, addr, 16 * PAGE, 32 * PAGE, 0, NULL,
				      &got), -ENOMEM);
	CU_ASSERT(shows(addr, 0, 16));
	CU_ASSERT_EQUAL(pagefs_mremap(p, addr, 16 * PAGE, 32 * PAGE,
				      MREMAP_MAYMOVE, NULL, &got), 0);
	CU_ASSERT_PTR_NOT_EQUAL(got, addr);
	CU_ASSERT(is_free(addr, 16));
	CU_ASSERT(shows(got, 0, 32));
	CU_ASSERT_EQUAL(poke((char *)got + 31 * PAGE, page_word(31)), 0);
	/* A part of it, to where it is told. */
	CU_ASSERT_EQUAL(pagefs_mremap(p, (char *)got + 8 * PAGE, 4 * PAGE,
				      6 * PAGE, MREMAP_MAYMOVE | MREMAP_FIXED,
				      own + PAGE, (void **)&addr), 0);
	CU_ASSERT_PTR_EQUAL(addr, own + PAGE);
	CU_ASSERT(shows(addr, 8, 6) && shows(got, 0, 8) &&
		  is_free((char *)got + 8 * PAGE, 4) &&
		  shows((char *)got + 12 * PAGE, 12, 20));
	CU_ASSERT_EQUAL(pagefs_mremap(p, got, 32 * PAGE, 40 * PAGE,
				      MREMAP_MAYMOVE, NULL, &got), -EFAULT);
	unmap_pages(got, 32);
	unmap_pages(next, 1);
	unmap_pages(addr, 6);
	munmap(own, 8 * PAGE);
	close(fd);
}

/* Pages that were once writable are to be moved with those that never were. */
static void remap_once_writable(void)
{
	int fd = make_file("remap3", NR_PAGES, O_RDWR);
	struct pagefs *p = mount_conn();
	char *addr = map_pages(fd, 0, 8, PROT_READ), *next;
	void *got = addr;

	CU_ASSERT_EQUAL(pagefs_mprotect(p, addr + 4 * PAGE, 2 * PAGE, RW), 0);
	CU_ASSERT_EQUAL(poke(addr + 4 * PAGE, page_word(4)), 0);
	CU_ASSERT_EQUAL(pagefs_mprotect(p, addr + 4 * PAGE, 2 * PAGE,
					PROT_READ), 0);
	CU_ASSERT_EQUAL(pagefs_mremap(p, addr, 8 * PAGE, 16 * PAGE,
				      MREMAP_MAYMOVE, NULL, &got), 0);
	addr = got;
	CU_ASSERT(shows(addr, 0, 16));
	CU_ASSERT_EQUAL(pagefs_mmap(p, addr + 16 * PAGE, PAGE, RW, MAP_SHARED |
				    MAP_FIXED, fd, 0, (void **)&next), 0);
	CU_ASSERT_EQUAL(pagefs_mremap(p, addr, 16 * PAGE, 24 * PAGE,
				      MREMAP_MAYMOVE, NULL, &got), 0);
	CU_ASSERT(shows(got, 0, 24));
	CU_ASSERT_EQUAL(pagefs_mprotect(p, got, 24 * PAGE, RW), 0);
	for (size_t i = 0; i < 24; i++)
		CU_ASSERT_EQUAL(poke((char *)got + i * PAGE, page_word(i)), 0);
	CU_ASSERT_EQUAL(pagefs_mremap(p, got, 24 * PAGE, 8 * PAGE, 0, NULL,
				      &got), 0);
	unmap_pages(got, 8);
	unmap_pages(next, 1);
	close(fd);
}

/* Where the kernel, not the daemon, knows what is free. */
static void remap_outside(void)
{
	int fd = make_file("remap2", NR_PAGES, O_RDWR);
	struct pagefs *p = mount_conn();
	char *own = mmap(NULL, 64 * PAGE, RW, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	void *addr = NULL;

	CU_ASSERT_EQUAL(pagefs_mmap(p, own, 4 * PAGE, RW, MAP_SHARED | MAP_FIXED,
				    fd, 0, &addr), 0);
	strcpy(own + 4 * PAGE, "mine");
	CU_ASSERT_EQUAL(pagefs_mremap(p, own, 4 * PAGE, 8 * PAGE, 0, NULL,
				      &addr), -ENOMEM);
	CU_ASSERT_STRING_EQUAL(own + 4 * PAGE, "mine");
	munmap(own + 4 * PAGE, 8 * PAGE);
	CU_ASSERT_EQUAL(pagefs_mremap(p, own, 4 * PAGE, 8 * PAGE, 0, NULL,
				      &addr), 0);
	CU_ASSERT(shows(own, 0, 8));
	CU_ASSERT_EQUAL(pagefs_mremap(p, own, 8 * PAGE, 32 * PAGE,
				      MREMAP_MAYMOVE, NULL, &addr), 0);
	CU_ASSERT(shows(addr, 0, 32));
	unmap_pages(addr, 32);
	munmap(own, 64 * PAGE);
	close(fd);
}

/* ---- the file changes ---- */

static void truncated(void)
{
	int fd = make_file("truncated", 16, O_RDWR), sig;
	char *addr = map_pages(fd, 0, 16, RW);

	CU_ASSERT(shows(addr, 0, 8));
	CU_ASSERT_EQUAL(poke(addr + 2 * PAGE, 5), 0);
	CU_ASSERT_EQUAL(ftruncate(fd, 4 * PAGE + 100), 0);
	for (size_t i = 5; i < 16; i++)
		CU_ASSERT(peek_gets(addr + i * PAGE, SIGBUS));
	CU_ASSERT_EQUAL(peek(addr + 2 * PAGE, &sig), 5);
	CU_ASSERT_EQUAL(peek(addr + 4 * PAGE, &sig), page_word(4));
	CU_ASSERT_EQUAL(peek(addr + 4 * PAGE + 104, &sig), 0);
	CU_ASSERT_EQUAL(sig, 0);
	CU_ASSERT_EQUAL(ftruncate(fd, 16 * PAGE), 0);
	for (size_t i = 5; i < 16; i++) {
		CU_ASSERT_EQUAL(peek(addr + i * PAGE, &sig), 0);
		CU_ASSERT_EQUAL(sig, 0);
	}
	CU_ASSERT_EQUAL(poke(addr + 15 * PAGE, 6), 0);
	CU_ASSERT_EQUAL(word_at(on_mount("truncated"), 15 * PAGE), 6);
	unmap_pages(addr, 16);
	/* Past the end from the start. */
	addr = map_pages(fd, 12, 8, RW);
	CU_ASSERT(peek_gets(addr + 4 * PAGE, SIGBUS));
	CU_ASSERT_EQUAL(ftruncate(fd, 20 * PAGE), 0);
	CU_ASSERT_EQUAL(poke(addr + 7 * PAGE, 7), 0);
	unmap_pages(addr, 8);
	close(fd);
}

static void deleted(void)
{
	int fd = make_file("deleted", NR_PAGES, O_RDWR), sig;
	char *addr = map_pages(fd, 0, NR_PAGES, RW);

	CU_ASSERT_EQUAL(unlink(on_mount("deleted")), 0);
	close(fd);
	CU_ASSERT(shows(addr, 0, NR_PAGES));
	for (size_t i = 0; i < NR_PAGES; i++)
		CU_ASSERT_EQUAL(poke(addr + i * PAGE, i), 0);
	CU_ASSERT_EQUAL(pagefs_msync(mount_conn(), addr, NR_PAGES * PAGE,
				     MS_SYNC), 0);
	CU_ASSERT_EQUAL(peek(addr + 9 * PAGE, &sig), 9);
	unmap_pages(addr, NR_PAGES);
}

/* ---- advice ---- */

static void advice(void)
{
	static const int harmless[] = {
		MADV_NORMAL, MADV_RANDOM, MADV_SEQUENTIAL, MADV_WILLNEED,
		MADV_DONTNEED, MADV_COLD, MADV_PAGEOUT, MADV_POPULATE_READ,
		MADV_POPULATE_WRITE, MADV_DONTFORK, MADV_DOFORK, MADV_HUGEPAGE,
		MADV_NOHUGEPAGE, MADV_DONTDUMP, MADV_DODUMP,
	};
	int fd = make_file("advice", 16, O_RDWR), sig;
	struct pagefs *p = mount_conn();
	char *addr = map_pages(fd, 0, 16, RW);
	struct stat st;

	CU_ASSERT_EQUAL(poke(addr + PAGE, page_word(1)), 0);
	for (size_t i = 0; i < ARRAY_SIZE(harmless); i++) {
		CU_ASSERT_EQUAL(pagefs_madvise(p, addr, 16 * PAGE, harmless[i]),
				0);
		CU_ASSERT(shows(addr, 0, 16));
	}
	CU_ASSERT_EQUAL(pagefs_madvise(p, addr, PAGE, MADV_FREE), -EINVAL);
	CU_ASSERT_EQUAL(pagefs_madvise(p, addr, PAGE, 4711), -EINVAL);
	CU_ASSERT_EQUAL(pagefs_madvise(p, addr + 17 * PAGE, PAGE, MADV_WILLNEED),
			-ENOMEM);
	CU_ASSERT_EQUAL(pagefs_madvise(p, addr + 4 * PAGE, 2 * PAGE,
				       MADV_REMOVE), 0);
	CU_ASSERT(shows(addr, 0, 4) && shows(addr + 6 * PAGE, 6, 10));
	CU_ASSERT_EQUAL(peek(addr + 4 * PAGE, &sig) + peek(addr + 6 * PAGE - 8,
							   &sig), 0);
	CU_ASSERT_EQUAL(sig, 0);
	CU_ASSERT_EQUAL(fstat(fd, &st), 0);
	CU_ASSERT_EQUAL(st.st_size, 16 * PAGE);
	CU_ASSERT_EQUAL(word_at(on_mount("advice"), 5 * PAGE), 0);
	unmap_pages(addr, 16);
	close(fd);
}

static void locked_and_counted(void)
{
	int fd = make_file("locked", 16, O_RDWR);
	struct pagefs *p = mount_conn();
	struct pagefs_stats before, after;
	char *addr = map_pages(fd, 0, 16, RW);
	unsigned char vec[16];

	CU_ASSERT_EQUAL(pagefs_stats(p, &before), 0);
	CU_ASSERT_EQUAL(pagefs_mlock(p, addr + 10, 4 * PAGE - 20), 0);
	CU_ASSERT_EQUAL(pagefs_stats(p, &after), 0);
	CU_ASSERT_EQUAL(after.locked, before.locked + 4);
	CU_ASSERT(after.resident >= before.resident + 4);
	CU_ASSERT_EQUAL(pagefs_munlock(p, addr, 4 * PAGE), 0);
	CU_ASSERT_EQUAL(pagefs_stats(p, &after), 0);
	CU_ASSERT_EQUAL(after.locked, before.locked);
	CU_ASSERT(shows(addr, 0, 16));
	CU_ASSERT_EQUAL(pagefs_stats(p, &after), 0);
	CU_ASSERT(after.majflt + after.minflt > before.majflt + before.minflt);
	CU_ASSERT_EQUAL(pagefs_mincore(p, addr, 16 * PAGE, vec), 0);
	for (int i = 0; i < 16; i++)
		CU_ASSERT(vec[i] & 1);
	CU_ASSERT_EQUAL(pagefs_mincore(p, addr + 15 * PAGE, 2 * PAGE, vec),
			-ENOMEM);
	CU_ASSERT_EQUAL(pagefs_mlock(p, addr + 15 * PAGE, 2 * PAGE), -ENOMEM);
	CU_ASSERT_EQUAL(pagefs_msync(p, addr + 15 * PAGE, 2 * PAGE, MS_SYNC),
			-ENOMEM);
	CU_ASSERT_EQUAL(pagefs_msync(p, addr, PAGE, MS_SYNC | MS_ASYNC),
			-EINVAL);
	CU_ASSERT_EQUAL(pagefs_msync(p, addr, 16 * PAGE,
				     MS_ASYNC | MS_INVALIDATE), 0);
	unmap_pages(addr, 16);
	close(fd);
}

/* ---- errors ---- */

static void refusals(void)
{
	int fd = make_file("refused", 4, O_RDWR);
	int dir = open(on_mount(""), O_RDONLY | O_DIRECTORY);
	int wo = open(on_mount("refused"), O_WRONLY);
	int path = open(on_mount("refused"), O_PATH);
	int null = open("/dev/null", O_RDWR), other = open("/etc", O_RDONLY);
	int ctl = open(on_mount(".pagefs/vmstat"), O_RDONLY);
	struct pagefs *p = mount_conn(), *q = NULL;
	const struct {
		void *addr;
		size_t len;
		int prot, flags, fd;
		off_t pos;
		int ret;
	} calls[] = {
		{ NULL, 0, RW, MAP_SHARED, fd, 0, -EINVAL },
		{ NULL, SIZE_MAX, RW, MAP_SHARED, fd, 0, -EINVAL },
		{ NULL, PAGE, RW, MAP_SHARED, fd, 100, -EINVAL },
		{ NULL, PAGE, RW, MAP_SHARED, fd, -4096, -EINVAL },
		{ NULL, PAGE, RW, MAP_SHARED, fd, LONG_MAX - 4095, -EINVAL },
		{ NULL, PAGE, RW, MAP_SHARED | MAP_HUGETLB, fd, 0, -EINVAL },
		{ NULL, PAGE, RW, 0, fd, 0, -EINVAL },
		{ NULL, PAGE, 0x100, MAP_SHARED, fd, 0, -EINVAL },
		{ (void *)100, PAGE, RW, MAP_SHARED | MAP_FIXED, fd, 0, -EINVAL },
		{ NULL, PAGE, RW, MAP_SHARED, -1, 0, -EBADF },
		{ NULL, PAGE, PROT_READ, MAP_SHARED, path, 0, -EBADF },
		{ NULL, PAGE, PROT_READ, MAP_SHARED, wo, 0, -EACCES },
		{ NULL, PAGE, PROT_READ, MAP_SHARED, dir, 0, -ENODEV },
		{ NULL, PAGE, PROT_READ, MAP_SHARED, ctl, 0, -ENODEV },
		{ NULL, PAGE, PROT_READ, MAP_SHARED, null, 0, -EXDEV },
		{ NULL, PAGE, PROT_READ, MAP_SHARED, other, 0, -EXDEV },
	};
	void *addr = NULL;
	int ret;

	for (size_t i = 0; i < ARRAY_SIZE(calls); i++) {
		ret = pagefs_mmap(p, calls[i].addr, calls[i].len, calls[i].prot,
				  calls[i].flags, calls[i].fd, calls[i].pos,
				  &addr);
		if (ret != calls[i].ret)
			printf("# call %zu: %d\n", i, ret);
		CU_ASSERT_EQUAL(ret, calls[i].ret);
		CU_ASSERT_PTR_NULL(addr);
	}
	CU_ASSERT_EQUAL(pagefs_connect(-1, &q), -EBADF);
	CU_ASSERT_EQUAL(pagefs_connect(null, &q), -ENOTTY);
	CU_ASSERT_EQUAL(pagefs_connect(other, &q), -ENOTTY);
	CU_ASSERT_PTR_NULL(q);
	CU_ASSERT(pagefs_is_file(fd) && pagefs_is_file(dir));
	CU_ASSERT(!pagefs_is_file(null) && !pagefs_is_file(other) &&
		  !pagefs_is_file(-1));
	CU_ASSERT_EQUAL(pagefs_munmap(p, (void *)100, PAGE), -EINVAL);
	CU_ASSERT_EQUAL(pagefs_munmap(p, (void *)PAGE, 0), -EINVAL);
	CU_ASSERT_PTR_NULL(pagefs_of(&fd));
	close(fd), close(dir), close(wo), close(path), close(null), close(other);
	close(ctl);
}

/* ---- many ---- */

static void ten_thousand(void)
{
	int fd = make_file("many", 512, O_RDWR);
	static char *addr[MANY];
	double start = now(), mapped, found;
	size_t good = 0;
	int sig;

	for (size_t i = 0; i < MANY; i++)
		/* No two neighbours follow each other in the file. */
		addr[i] = map_pages(fd, i * 7 % 512, 1, RW);
	mapped = now();
	for (size_t i = 0; i < MANY; i++)
		good += peek(addr[i], &sig) == page_word(i * 7 % 512) &&
			pagefs_of(addr[i]) == mount_conn();
	CU_ASSERT_EQUAL(good, MANY);
	found = now();
	for (int i = 0; i < 1000000; i++)
		good += (size_t)pagefs_is_mapped(&good);
	CU_ASSERT_EQUAL(good, MANY);
	printf("# mapped in %.2f s, touched in %.2f s, a look elsewhere %.0f ns\n",
	       mapped - start, found - mapped, (now() - found) * 1e3);
	for (size_t i = 0; i < MANY; i += 2)
		unmap_pages(addr[i], 1);
	for (size_t i = 1, good = 0; i < MANY; i += 2)
		good += peek(addr[i], &sig) == page_word(i * 7 % 512);
	for (size_t i = 1; i < MANY; i += 2)
		unmap_pages(addr[i], 1);
	CU_ASSERT(is_free(addr[17], 1));
	close(fd);
}

#define NR_THREADS	8
#define NR_ROUNDS	200

struct worker {
	pthread_t thread;
	uint64_t seed;
	int fd;
	int failed;
};

/* Map, look, change rights, sync, cut and unmap, at random. */
static void *work(void *arg)
{
	struct worker *w = arg;
	struct pagefs *p = mount_conn();
	size_t first, nr, cut;
	void *addr;
	int sig;

	for (int i = 0; i < NR_ROUNDS && !w->failed; i++) {
		first = test_rand(&w->seed) % (NR_PAGES / 2);
		nr = 1 + test_rand(&w->seed) % (NR_PAGES / 2);
		cut = test_rand(&w->seed) % nr;
		if (pagefs_mmap(p, NULL, nr * PAGE, RW, MAP_SHARED, w->fd,
				(off_t)(first * PAGE), &addr)) {
			w->failed = 1;
			break;
		}
		if (peek((char *)addr + cut * PAGE, &sig) !=
		    page_word(first + cut))
			w->failed = 2;
		if (i % 5 == 0 && pagefs_msync(p, addr, nr * PAGE, MS_SYNC))
			w->failed = 3;
		if (pagefs_mprotect(p, addr, (cut + 1) * PAGE, PROT_READ))
			w->failed = 4;
		/* Not all at once: the hole may be another thread's by then. */
		if (pagefs_munmap(p, (char *)addr + cut * PAGE, PAGE) ||
		    (cut && pagefs_munmap(p, addr, cut * PAGE)) ||
		    (cut + 1 < nr &&
		     pagefs_munmap(p, (char *)addr + (cut + 1) * PAGE,
				   (nr - cut - 1) * PAGE)))
			w->failed = 5;
	}
	return NULL;
}

static void threads(void)
{
	int fd = make_file("threads", NR_PAGES, O_RDWR);
	struct worker w[NR_THREADS];

	mount_conn();
	for (int i = 0; i < NR_THREADS; i++) {
		w[i] = (struct worker){ .fd = fd, .seed = test_seed() + (uint64_t)i };
		pthread_create(&w[i].thread, NULL, work, &w[i]);
	}
	for (int i = 0; i < NR_THREADS; i++) {
		pthread_join(w[i].thread, NULL);
		if (w[i].failed)
			printf("# thread %d failed in step %d\n", i, w[i].failed);
		CU_ASSERT_EQUAL(w[i].failed, 0);
	}
	close(fd);
}

/* ---- descriptors ---- */

/* Does another process find the file locked? */
static bool is_locked(const char *name)
{
	struct flock fl = { .l_type = F_WRLCK };
	pid_t pid = fork();

	if (!pid) {
		int fd = open(on_mount(name), O_RDWR);

		fcntl(fd, F_GETLK, &fl);
		_exit(fl.l_type != F_UNLCK);
	}
	return child_status(pid) == 1;
}

static void fcntl_locks(void)
{
	int fd = make_file("flocked", 4, O_RDWR);
	struct flock fl = { .l_type = F_WRLCK };
	char *addr;

	CU_ASSERT(!is_locked("flocked"));
	CU_ASSERT_EQUAL(fcntl(fd, F_SETLK, &fl), 0);
	addr = map_pages(fd, 0, 4, RW);
	CU_ASSERT(shows(addr, 0, 4));
	CU_ASSERT(is_locked("flocked"));
	unmap_pages(addr, 4);
	CU_ASSERT(is_locked("flocked"));
	close(fd);
	CU_ASSERT(!is_locked("flocked"));
}

/* As a program does that becomes a daemon. */
static void close_everything(void)
{
	int fd = make_file("closed", NR_PAGES, O_RDWR), stolen;
	char *addr = map_pages(fd, 0, NR_PAGES, RW), *more;

	CU_ASSERT(shows(addr, 0, 4));
	closefrom(3);
	/* Our old numbers are somebody else's now. */
	for (int i = 3; i < 700; i++) {
		stolen = open("/dev/null", O_RDWR);
		CU_ASSERT_EQUAL(stolen, i);
	}
	CU_ASSERT(shows(addr, 0, NR_PAGES));
	CU_ASSERT_EQUAL(poke(addr, 4), 0);
	CU_ASSERT_EQUAL(pagefs_msync(mount_conn(), addr, PAGE, MS_SYNC), 0);
	CU_ASSERT_EQUAL(word_at(behind("closed"), 0), 4);
	fd = open(on_mount("closed"), O_RDWR);
	more = map_pages(fd, 1, 1, RW);
	CU_ASSERT(shows(more, 1, 1));
	for (int i = 3; i < 700; i++)
		CU_ASSERT_EQUAL(fcntl(i, F_GETFD), 0);
	unmap_pages(more, 1);
	unmap_pages(addr, NR_PAGES);
	closefrom(3);
}

static int nr_open(void)
{
	int nr = 0;

	for (int i = 0; i < 1024; i++)
		nr += fcntl(i, F_GETFD) >= 0;
	return nr;
}

static void connect_again(void)
{
	int fd = make_file("again", 4, O_RDWR), before = 0, sig;
	struct pagefs *p = NULL, *q = NULL;
	void *addr = NULL;

	CU_ASSERT_EQUAL(pagefs_connect(fd, &p), 0);
	CU_ASSERT_PTR_EQUAL(p, mount_conn());
	/* The program's own and this one. */
	CU_ASSERT_EQUAL(pagefs_disconnect(p), 0);
	CU_ASSERT_EQUAL(pagefs_disconnect(p), 0);
	for (int i = 0; i < 50; i++) {
		CU_ASSERT_EQUAL(pagefs_connect(fd, &p), 0);
		CU_ASSERT_EQUAL(pagefs_connect(fd, &q), 0);
		CU_ASSERT_PTR_EQUAL(p, q);
		CU_ASSERT_EQUAL(pagefs_mmap(p, NULL, 4 * PAGE, RW, MAP_SHARED,
					    fd, 0, &addr), 0);
		CU_ASSERT_EQUAL(peek(addr, &sig), page_word(0));
		CU_ASSERT_EQUAL(pagefs_disconnect(p), 0);
		CU_ASSERT_EQUAL(peek((char *)addr + PAGE, &sig), page_word(1));
		CU_ASSERT_EQUAL(pagefs_disconnect(q), 0);
		CU_ASSERT(peek_gets(addr, SIGSEGV));
		if (!i)
			before = nr_open();
	}
	CU_ASSERT_EQUAL(nr_open(), before);
	close(fd);
}

static const struct test_case cases[] = {
	{ "a mapping shows the file, and the file what is stored", both_ways },
	{ "a descriptor for reading gives no right to write", read_only_descriptor },
	{ "a private mapping made for reading stays so", private_read },
	{ "pieces are unmapped, holes are no error", pieces },
	{ "MAP_FIXED replaces, MAP_FIXED_NOREPLACE does not", fixed },
	{ "mprotect takes rights and gives them back", protect },
	{ "mremap shrinks, grows and moves", remap },
	{ "mremap of what was writable in parts", remap_once_writable },
	{ "mremap outside the region does not run into others", remap_outside },
	{ "past the end is SIGBUS until the file grows", truncated },
	{ "a deleted file stays mapped", deleted },
	{ "advice changes no byte, but MADV_REMOVE", advice },
	{ "pages are locked, counted and found in the cache", locked_and_counted },
	{ "what is wrong is refused with the errno that is documented", refusals },
	{ "ten thousand mappings", ten_thousand },
	{ "threads map and unmap at once", threads },
	{ "fcntl locks outlive a mapping of the file", fcntl_locks },
	{ "all descriptors closed behind our back", close_everything },
	/* The last: it ends the connection the others share. */
	{ "connect and disconnect, again and again", connect_again },
};

int main(void)
{
	return test_main("client/map", cases, ARRAY_SIZE(cases));
}
