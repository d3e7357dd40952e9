/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * tests/fs/tfile.h - files for tests of fs/backing.c, ioring.c and aops.c
 *
 *   the real mm/ --pagefs_aops--> fs/aops.c --> fs/backing.c --> a real file
 *                                     |
 *                  inode_get_file, put_backing_file, iput: fakes in tfile.c
 *
 * Every file is two descriptors and an address_space in a struct inode of
 * which nothing else is used. The fakes stand in for fs/inode.c and
 * fs/fdcache.c, and must be all the three ask of them: else the linker takes
 * the real ones from libfs.a and finds names twice.
 */
#ifndef PAGEFS_TESTS_TFILE_H
#define PAGEFS_TESTS_TFILE_H

#include "harness.h"
#include "internal.h"

struct tfile {
	struct inode inode;
	struct backing_file bf;
};

/*
 * ON_DISK: in $TMPDIR or /var/tmp, with O_DIRECT; IN_MEMORY: in /dev/shm,
 * buffered.
 */
enum place { ON_DISK, IN_MEMORY };

/* The memory manager and backing.c up and down. @no_threads: as mm_config. */
void tfile_start(int no_threads);
void tfile_stop(void);

/* An empty, nameless file; NULL: no direct I/O there. */
struct tfile *tfile_new(enum place place);
/* tfile_start(1), and a file; skips the case where there can be none. */
struct tfile *tfile_start_new(enum place place);
/* Asserts that nothing of it is in use. */
void tfile_free(struct tfile *f);

loff_t tfile_backing_size(const struct tfile *f);
int tfile_sync(struct tfile *f);
/* What is clean and not in use leaves the cache. */
void tfile_drop_cache(struct tfile *f);
void tfile_truncate(struct tfile *f, loff_t size);
/* Every other page of @nr dirty: each is a run of its own. */
void tfile_dirty_every_other(struct tfile *f, unsigned int nr);

void fill_random(char *buf, size_t len, uint64_t *state);

/* In functions that return what went wrong, as the line that saw it, or 0. */
#define MUST(cond)	do { if (!(cond)) return __LINE__; } while (0)

#endif /* PAGEFS_TESTS_TFILE_H */
