// SPDX-License-Identifier: BSD-2-Clause
/*
 * fs/rename.c - rename: one name to another, over another, or the two swapped
 *
 *               moved          target
 *   plain       a/x -> b/y     b/y: gone, as by unlink or rmdir
 *   NOREPLACE   a/x -> b/y     must not exist
 *   EXCHANGE    a/x -> b/y     b/y -> a/x
 *
 * I1. The name an inode has here changes together with the backing one: both
 *     inside one section of sb.rename_lock. For writing if a directory moves,
 *     so that no walk up meets it in between; for reading otherwise, so that
 *     who fails to open a file by name can wait for us (reopen.c).
 * I2. The new names are made before the section: nothing is allocated inside,
 *     and nothing can fail after the backing rename.
 *
 * Two names of one object: rename(2) does nothing, and so do we.
 *
 * Locks:  i_rwsem of both directories, lowest address first > rename_lock >
 *         i_lock.
 * Source: Linux fs/namei.c, vfs_rename().
 */
#include <fcntl.h>
#include <limits.h>
#include <linux/fs.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "namei.h"

struct rename {
	struct inode *dir[2];		/* from, to */
	const char *name[2];
	int dirfd[2];
	unsigned int flags;
	struct victim obj[2];		/* what moves; what is at its goal */
	bool has_target;
	struct alias *alias[2];		/* new names: of obj[0], of obj[1] */
	struct alias *old[2];		/* names gone, to be freed */
};

/* Context: both i_rwsems. */
static int get_dirfds(struct rename *r)
{
	r->dirfd[0] = get_dirfd(r->dir[0]);
	if (r->dirfd[0] < 0)
		return r->dirfd[0];
	r->dirfd[1] = get_dirfd(r->dir[1]);
	if (r->dirfd[1] >= 0)
		return 0;
	put_dirfd(r->dir[0], r->dirfd[0]);
	return r->dirfd[1];
}

static void put_dirfds(struct rename *r)
{
	put_dirfd(r->dir[0], r->dirfd[0]);
	put_dirfd(r->dir[1], r->dirfd[1]);
}

static bool same_object(const struct stat *a, const struct stat *b)
{
	return a->st_ino == b->st_ino && a->st_dev == b->st_dev;
}

static bool moves_directory(const struct rename *r)
{
	return S_ISDIR(r->obj[0].st.st_mode) ||
		(r->has_target && S_ISDIR(r->obj[1].st.st_mode));
}

/* Both objects; victim_put() is due in any case. */
static int find_objects(struct rename *r)
{
	int err = victim_find(&r->obj[0], r->dirfd[0], r->name[0]);

	if (err)
		return err;
	err = victim_find(&r->obj[1], r->dirfd[1], r->name[1]);
	r->has_target = !err;
	return err == -ENOENT ? 0 : err;
}

/* I2 */
static int make_aliases(struct rename *r)
{
	if (r->obj[0].inode) {
		r->alias[0] = alias_alloc(r->dir[1], r->name[1]);
		if (!r->alias[0])
			return -ENOMEM;
	}
	if ((r->flags & RENAME_EXCHANGE) && r->obj[1].inode) {
		r->alias[1] = alias_alloc(r->dir[0], r->name[0]);
		if (!r->alias[1])
			return -ENOMEM;
	}
	return 0;
}

/* Gives obj[@i] its new name. What is to be freed stays in *r. */
static void move_alias(struct rename *r, int i)
{
	struct inode *inode = r->obj[i].inode;

	if (!inode)
		return;
	r->old[i] = alias_detach(inode, r->dir[i], r->name[i]);
	r->alias[i] = alias_attach(inode, r->alias[i]);
	inode_mark_stale(inode);
}

static int backing_rename(const struct rename *r)
{
	/* renameat2() is not in every C library. */
	return syscall(SYS_renameat2, r->dirfd[0], r->name[0], r->dirfd[1],
		       r->name[1], r->flags) ? -errno : 0;
}

/* Context: rename_lock (I1). */
static int __rename(struct rename *r)
{
	int err = backing_rename(r);

	if (err)
		return err;
	move_alias(r, 0);
	if (r->flags & RENAME_EXCHANGE)
		move_alias(r, 1);
	else if (r->has_target)
		r->old[1] = victim_gone(&r->obj[1], r->dir[1], r->name[1]);
	inode_mark_stale(r->dir[0]);
	inode_mark_stale(r->dir[1]);
	return 0;
}

/*
 * Programs replace a file by writing a new one and renaming it over the old,
 * and not all of them fsync in between. So that a crash shows one or the other
 * and not an empty file, the new one's data is in the store before its name
 * is. An error is kept for fsync to report. ext4 does the same (auto_da_alloc).
 */
static void write_before_replacing(const struct rename *r)
{
	struct inode *inode = r->obj[0].inode;

	if (r->has_target && !(r->flags & RENAME_EXCHANGE) && inode &&
	    S_ISREG(r->obj[0].st.st_mode))
		filemap_write_and_wait_range(&inode->i_data, 0, LLONG_MAX);
}

/* Context: i_rwsem of both. */
static int rename_locked(struct rename *r)
{
	bool directory = moves_directory(r);
	int err;

	if (r->has_target && same_object(&r->obj[0].st, &r->obj[1].st))
		return r->flags & RENAME_NOREPLACE ? -EEXIST : 0;
	err = make_aliases(r);
	if (err)
		return err;
	write_before_replacing(r);
	if (directory)
		down_write(&sb.rename_lock);
	else
		down_read(&sb.rename_lock);
	err = __rename(r);
	if (directory)
		up_write(&sb.rename_lock);
	else
		up_read(&sb.rename_lock);
	return err;
}

static int rename_in_dirs(struct rename *r)
{
	int err = get_dirfds(r);

	if (err)
		return err;
	err = find_objects(r);
	if (!err)
		err = rename_locked(r);
	put_dirfds(r);
	return err;
}

static void rename_cleanup(struct rename *r)
{
	for (int i = 0; i < 2; i++) {
		alias_free(r->alias[i]);
		alias_free(r->old[i]);
		victim_put(&r->obj[i]);
	}
}

int fs_rename(struct inode *dir, const char *name, struct inode *newdir,
	      const char *newname, unsigned int flags)
{
	struct rename r = {
		.dir = { dir, newdir }, .name = { name, newname },
		.flags = flags, .obj = { { .fd = -1 }, { .fd = -1 } },
	};
	int err;

	if ((flags & ~(RENAME_NOREPLACE | RENAME_EXCHANGE)) ||
	    flags == (RENAME_NOREPLACE | RENAME_EXCHANGE))
		return -EINVAL;
	err = check_new_name(dir, name);
	if (!err)
		err = check_new_name(newdir, newname);
	if (err)
		return err;
	lock_two_inodes(dir, newdir);
	err = rename_in_dirs(&r);
	unlock_two_inodes(dir, newdir);
	rename_cleanup(&r);
	return err;
}
