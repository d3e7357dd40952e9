/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * tests/client/mounted.h - what tests of libpagefs on a real mount share
 *
 * Run by tests/integration/mmap.sh with MNT, the mount, and BACK, the directory
 * behind it, in the environment; without them every case is skipped. With
 * PAGEFS_TEST_DIRECT files are opened with O_DIRECT, so that stores are scanned
 * for (scanned.sh).
 */
#ifndef PAGEFS_TESTS_MOUNTED_H
#define PAGEFS_TESTS_MOUNTED_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <signal.h>
#include <sys/types.h>
#include <pagefs/pagefs.h>

#define PAGE	4096UL
#define RW	(PROT_READ | PROT_WRITE)

/* The paths of @name on the mount and behind it; in memory of the thread. */
const char *on_mount(const char *name);
const char *behind(const char *name);

/* The first word of page @i of a test file; never 0. Others follow from it. */
uint64_t page_word(size_t i);

/*
 * A file of @nr pages, each word of which tells its page, none of them cached;
 * opened with @flags. The caller closes it.
 */
int make_file(const char *name, size_t nr, int flags);
/* The connection to the mount, one for the program. */
struct pagefs *mount_conn(void);
/* Maps, or fails the case and returns NULL. */
char *map_pages(int fd, size_t first, size_t nr, int prot);
void unmap_pages(char *addr, size_t nr);

/* The word there; or 0 and *@sigp is the signal the access got. Any thread. */
uint64_t peek(const volatile void *addr, int *sigp);
/* The signal, or 0. */
int poke(volatile void *addr, uint64_t word);
/* Does the access fail with this signal? */
bool peek_gets(const volatile void *addr, int sig);

double now(void);	/* seconds */

/* Waits for the child. Return: its exit status, or -signal. */
int child_status(pid_t pid);

#endif /* PAGEFS_TESTS_MOUNTED_H */
