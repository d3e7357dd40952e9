/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * tests/fs/fixture.h - a file system without a mount, for tests of fs/
 *
 *	fixture_begin();	memory manager, fs_init() on an empty directory
 *	...			fs_*() with sb.root
 *	fixture_end();		fs_exit() must succeed and lose nothing; all is
 *				taken down, and leaks are BUGs
 *
 * What the fs_*() made can be looked at in the backing directory: fx_fd is its
 * descriptor, fx_dir its path. It lies in $TMPDIR or /var/tmp.
 */
#ifndef PAGEFS_TESTS_FIXTURE_H
#define PAGEFS_TESTS_FIXTURE_H

#include "harness.h"
#include "internal.h"
#include "pagefs_fs.h"

#define FX_MEMORY	(32 * SZ_1M)

extern char fx_dir[];
extern int fx_fd;
extern const struct fs_cred fx_root;	/* uid 0, gid 0 */

void fixture_begin(void);
/* The same with @memory bytes. */
void fixture_begin_memory(size_t memory);
/* A new fs_init() on what is there already; between two fixture_end_keep(). */
void fixture_again(void);
void fixture_end(void);
/* The directory stays, for fixture_again(). */
void fixture_end_keep(void);

/*
 * What the kernel above was told, counted since the start. Fields: (A) atomic;
 * (C) constant while threads run.
 */
struct fx_kernel {
	atomic_int nr_data;		/* (A) notify_inval_inode_wait() */
	atomic_int nr_attr;		/* (A) notify_inval_attr() */
	atomic_int nr_attr_wait;	/* (A) */
	atomic_int refuse;		/* (A) what the first of them returns */
	/* (C) Called by it; may be NULL. */
	void (*asked)(uint64_t nodeid, loff_t pos, loff_t len);
};
extern struct fx_kernel fx_kernel;

/* Descriptors of this process that are open. */
unsigned int fx_nr_fds(void);

/* What could be closed and dropped is: names are all that is left. */
void fx_drop_all(void);

/* An inode by its path from the root, referenced; NULL: not there. */
struct inode *fx_walk(const char *path);
/* mkdir, create (and close) below @dir; the inode, referenced, or NULL. */
struct inode *fx_mkdir(struct inode *dir, const char *name);
struct inode *fx_create(struct inode *dir, const char *name);
/* Writes @text at 0; true if it went well. */
bool fx_write(struct inode *inode, const char *text);
/* Is @text all that is in the file, read through the cache? */
bool fx_contains(struct inode *inode, const char *text);

#endif /* PAGEFS_TESTS_FIXTURE_H */
