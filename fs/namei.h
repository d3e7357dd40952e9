/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * fs/namei.h - what fs/namei.c and fs/rename.c share
 */
#ifndef PAGEFS_NAMEI_H
#define PAGEFS_NAMEI_H

#include "internal.h"

/* 0, -ENOTDIR, -EINVAL, -ENAMETOOLONG; for a name to be made also -EPERM. */
int check_name(const struct inode *dir, const char *name);
int check_new_name(const struct inode *dir, const char *name);

/* An object about to lose a name. */
struct victim {
	int fd;				/* O_PATH */
	bool pinned;			/* fd is the inode's */
	struct stat st;			/* before */
	struct inode *inode;		/* referenced, or NULL: not in the table */
};

/*
 * The order of calls: find, which fails if there is no such name; the name
 * goes, and if it did: gone, in the same section of sb.rename_lock; both with
 * dir->i_rwsem held for writing. Then, without locks: alias_free() of what
 * gone returned, and put, after a failed find as well.
 */
int victim_find(struct victim *v, int dirfd, const char *name);
struct alias *victim_gone(struct victim *v, struct inode *dir,
			  const char *name);
void victim_put(struct victim *v);

#endif /* PAGEFS_NAMEI_H */
