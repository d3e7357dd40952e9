// SPDX-License-Identifier: BSD-2-Clause
/*
 * tests/client/test_rights.c - libpagefs for an ordinary user
 *
 * Run without privileges, on a mount that has root's files, which it may read
 * ("readable") or may not ("secret"), and a directory of its own ("mine").
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <sys/mman.h>
#include <sys/socket.h>

#include "harness.h"
#include "mounted.h"

#define NR_PAGES	64

static void own_files(void)
{
	int fd = make_file("mine/f", NR_PAGES, O_RDWR), sig;
	char *addr = map_pages(fd, 0, NR_PAGES, RW);

	for (size_t i = 0; i < NR_PAGES; i++)
		CU_ASSERT_EQUAL(peek(addr + i * PAGE, &sig), page_word(i));
	CU_ASSERT_EQUAL(poke(addr, 5), 0);
	CU_ASSERT_EQUAL(pagefs_msync(mount_conn(), addr, PAGE, MS_SYNC), 0);
	unmap_pages(addr, NR_PAGES);
	close(fd);
}

static void others_files(void)
{
	int fd;

	CU_ASSERT(open(on_mount("secret"), O_RDONLY) < 0);
	CU_ASSERT_EQUAL(errno, EACCES);
	CU_ASSERT(open(on_mount("readable"), O_RDWR) < 0);
	/* A name is no right: neither what it opens as a mere path. */
	fd = open(on_mount("secret"), O_PATH);
	if (fd >= 0) {
		void *addr;

		CU_ASSERT_EQUAL(pagefs_mmap(mount_conn(), NULL, PAGE, PROT_READ,
					    MAP_SHARED, fd, 0, &addr), -EBADF);
		close(fd);
	}
}

/*
 * Whoever has a window can put zeros into its holes, if he tries; so it is for
 * those alone who may write the file.
 */
static void readable_files(void)
{
	int fd = open(on_mount("readable"), O_RDONLY);
	void *addr = NULL;

	CU_ASSERT(fd >= 0);
	CU_ASSERT_EQUAL(pagefs_mmap(mount_conn(), NULL, PAGE, PROT_READ,
				    MAP_SHARED, fd, 0, &addr), -EACCES);
	CU_ASSERT_EQUAL(pagefs_mmap(mount_conn(), NULL, PAGE, PROT_READ,
				    MAP_PRIVATE, fd, 0, &addr), -EACCES);
	CU_ASSERT_PTR_NULL(addr);
	close(fd);
}

static void only_reading(void)
{
	int fd = make_file("mine/ro", 4, O_RDONLY), sig;
	struct pagefs *p = mount_conn();
	char *addr = map_pages(fd, 0, 4, PROT_READ);
	void *none = NULL;
	uint64_t is = 0;

	CU_ASSERT_EQUAL(peek(addr, &sig), page_word(0));
	CU_ASSERT_EQUAL(pagefs_mmap(p, NULL, PAGE, RW, MAP_SHARED, fd, 0,
				    &none), -EACCES);
	CU_ASSERT_EQUAL(pagefs_mprotect(p, addr, PAGE, RW), -EACCES);
	CU_ASSERT_EQUAL(poke(addr, 1), SIGSEGV);
	CU_ASSERT_EQUAL(mprotect(addr, 4 * PAGE, RW), 0);
	for (size_t i = 0; i < 4; i++) {
		poke(addr + i * PAGE, 1);
		CU_ASSERT_EQUAL(pread(fd, &is, 8, (off_t)(i * PAGE)), 8);
		CU_ASSERT_EQUAL(is, page_word(i));
	}
	unmap_pages(addr, 4);
	close(fd);
}

/* The kernel, too, touches pages that are absent. */
static void system_calls(void)
{
	int fd = make_file("mine/g", NR_PAGES, O_RDWR), pair[2], sig;
	char *addr = map_pages(fd, 0, NR_PAGES, RW);
	uint64_t word = 0;

	CU_ASSERT_EQUAL(pipe(pair), 0);
	for (size_t i = 0; i < NR_PAGES / 2; i++) {
		CU_ASSERT_EQUAL(write(pair[1], addr + i * PAGE, 8), 8);
		CU_ASSERT_EQUAL(read(pair[0], &word, 8), 8);
		CU_ASSERT_EQUAL(word, page_word(i));
	}
	for (size_t i = NR_PAGES / 2; i < NR_PAGES; i++) {
		CU_ASSERT_EQUAL(write(pair[1], &word, 8), 8);
		CU_ASSERT_EQUAL(read(pair[0], addr + i * PAGE, 8), 8);
		CU_ASSERT_EQUAL(peek(addr + i * PAGE, &sig), word);
		CU_ASSERT_EQUAL(peek(addr + i * PAGE + 8, &sig),
				page_word(i) + 2);
	}
	close(pair[0]), close(pair[1]);
	unmap_pages(addr, NR_PAGES);
	close(fd);
}

static const struct test_case cases[] = {
	{ "own files are mapped", own_files },
	{ "others' files are not", others_files },
	{ "nor those that may be read, but not written", readable_files },
	{ "what is open for reading is not written", only_reading },
	{ "system calls reach absent pages", system_calls },
};

int main(void)
{
	return test_main("client/rights", cases, ARRAY_SIZE(cases));
}
