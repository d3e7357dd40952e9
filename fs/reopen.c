// SPDX-License-Identifier: BSD-2-Clause
/*
 * fs/reopen.c - reaching a backing object: by a descriptor it has, or by name
 *
 *   root --- a --- b --- c --- file      a has a descriptor, b and c have none:
 *            fd                          openat(fd of a, "b/c"), O_PATH
 *
 * Hundreds of thousands of inodes are known and few have a descriptor. The
 * others are opened again by a name: their directory's descriptor, the name,
 * and a look at what was opened, for a name may have changed on the way.
 *
 * open_dir_by_walk() goes up from a directory to the nearest ancestor with a
 * descriptor, writing the path from the end of a buffer to its front, and
 * opens that in one call. Where a path is longer than the buffer, a directory
 * further up is opened first; nothing here recurses or allocates.
 *
 * I1. Whatever is returned has the inode's device and number.
 * I2. During a walk no directory changes its name (sb.rename_lock), so a path
 *     that was written down leads to where it should when it is opened.
 *
 * A file's name may change under us:
 *
 *   open_by_alias			fs_rename (rename_lock for reading)
 *   the inode's name is a/x
 *					renameat2(a/x, b/y)
 *   openat(a, "x"): ENOENT
 *					the inode's name is b/y
 *
 * so when no name works it waits for the renames that are under way, which is
 * taking rename_lock for writing and letting go of it, and tries again.
 *
 * Locks:  sb.rename_lock; i_lock inside it. May be called with a page locked.
 */
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "internal.h"

/*
 * Attempts to open a file by name. Each one after the first failed because a rename
 * of this very file finished in between; arbitrary.
 */
#define MAX_ATTEMPTS	16u

/* ---- directories ---- */

/* A path written from the end to the front. */
struct back_path {
	char buf[PATH_MAX];
	size_t at;			/* first byte in use */
};

static void path_init(struct back_path *p)
{
	p->at = sizeof(p->buf) - 1;
	p->buf[p->at] = '\0';
}

/* Puts "name/" in front. False if there is no room. */
static bool path_prepend(struct back_path *p, const char *name)
{
	size_t len = strlen(name);
	bool last = !p->buf[p->at];

	if (p->at < len + 1)
		return false;
	if (!last)
		p->buf[--p->at] = '/';
	p->at -= len;
	memcpy(p->buf + p->at, name, len);
	return true;
}

/* Where a walk up may end: an ancestor opened on the way, or none. */
struct walk_base {
	struct inode *dir;
	int fd;
};

/*
 * The descriptor of @dir, if it is @base or has one. *@cached: put_dirfd() it.
 * Return: fd or -EBADF.
 */
static int anchor_fd(struct inode *dir, const struct walk_base *base,
		     bool *cached)
{
	*cached = dir != base->dir;
	return *cached ? get_open_dirfd(dir) : base->fd;
}

/* @path from @fd on; nothing left of it: @fd's own directory. */
static int open_path(int fd, const char *path)
{
	if (*path)
		return backing_openat(fd, path,
				      O_PATH | O_DIRECTORY | O_NOFOLLOW, 0);
	fd = fcntl(fd, F_DUPFD_CLOEXEC, 0);
	return fd < 0 ? -errno : fd;
}

/*
 * One step up from *@curp, whose name goes before @path. Where it does not
 * fit, the path begins anew and *@targetp is what it leads to. Context:
 * rename_lock. False: *@curp has no name.
 */
static bool walk_up(struct inode **curp, struct inode **targetp,
		    struct back_path *path)
{
	char name[NAME_MAX + 1];
	struct inode *parent;

	if (!inode_nth_alias(*curp, 0, &parent, name))
		return false;
	if (!path_prepend(path, name)) {
		path_init(path);
		path_prepend(path, name);
		iput(*targetp);
		ihold(*curp);
		*targetp = *curp;
	}
	iput(*curp);
	*curp = parent;
	return true;
}

/*
 * Opens @dir, or when the path to it is too long the ancestor that the path
 * reaches: that is *@reached, referenced. Context: rename_lock.
 */
static int open_part(struct inode *dir, const struct walk_base *base,
		     struct inode **reached)
{
	struct inode *cur = dir, *target = dir;
	struct back_path path;
	int fd = -ESTALE, from;
	bool cached;

	path_init(&path);
	ihold(cur);
	ihold(target);
	while ((from = anchor_fd(cur, base, &cached)) < 0)
		if (!walk_up(&cur, &target, &path))
			goto out;
	fd = open_path(from, path.buf + path.at);
	if (cached)
		put_dirfd(cur, from);
out:
	iput(cur);
	if (fd < 0)
		iput(target);
	else
		*reached = target;
	return fd;
}

/* I1. Closes @fd if it is not @inode's object. Return: @fd or -errno. */
static int check_opened(const struct inode *inode, int fd)
{
	struct stat st;
	int err = fstat(fd, &st) ? -errno : 0;

	if (!err && (st.st_ino != inode->i_ino || st.st_dev != inode->i_dev))
		err = -ESTALE;
	if (err)
		close(fd);
	return err ? err : fd;
}

static void put_base(struct walk_base *base)
{
	if (!base->dir)
		return;
	close(base->fd);
	iput(base->dir);
}

static int walk(struct inode *dir)
{
	struct walk_base base = { NULL, -1 };
	struct inode *reached = NULL;
	int fd;

	do {
		down_read(&sb.rename_lock);
		fd = open_part(dir, &base, &reached);
		up_read(&sb.rename_lock);
		put_base(&base);
		if (fd < 0)
			return fd;
		fd = check_opened(reached, fd);
		if (fd < 0 || reached == dir) {
			iput(reached);
			return fd;
		}
		base = (struct walk_base){ reached, fd };
	} while (1);
}

/* Whatever takes names away now has done so on return. */
static void wait_for_renames(void)
{
	down_write(&sb.rename_lock);
	up_write(&sb.rename_lock);
}

int open_dir_by_walk(struct inode *dir)
{
	int fd = walk(dir);

	if (fd != -ENOENT && fd != -ESTALE)
		return fd;
	wait_for_renames();		/* it is being removed */
	return smp_load_acquire(&dir->i_pathfd) >= 0 ? walk(dir) : fd;
}

/* ---- files ---- */

/* Does @err say that the name leads elsewhere? */
static bool is_stale(int err)
{
	return err == -ENOENT || err == -ENOTDIR || err == -ELOOP ||
		err == -EISDIR || err == -ENXIO || err == -ESTALE;
}

/*
 * A name may lead to a pipe by now, and opening that would wait for somebody
 * at its other end: so without blocking, which I/O on the file must not be.
 */
static int open_name(struct inode *inode, int dirfd, const char *name, int flags)
{
	int fd = backing_openat(dirfd, name, flags | O_NOFOLLOW |
				(flags & O_PATH ? 0 : O_NONBLOCK), 0);

	if (fd < 0)
		return fd;
	fd = check_opened(inode, fd);
	if (fd < 0 || (flags & O_PATH))
		return fd;
	if (fcntl(fd, F_SETFL, flags & O_DIRECT)) {
		int err = -errno;

		close(fd);
		return err;
	}
	return fd;
}

/* All names once. Return: fd, -ESTALE, or another -errno met on the way. */
static int try_aliases(struct inode *inode, int flags)
{
	char name[NAME_MAX + 1];
	struct inode *parent;
	int dirfd, fd = -ESTALE;

	for (unsigned int n = 0; inode_nth_alias(inode, n, &parent, name); n++) {
		dirfd = get_dirfd(parent);
		fd = dirfd;
		if (dirfd >= 0) {
			fd = open_name(inode, dirfd, name, flags);
			put_dirfd(parent, dirfd);
		}
		iput(parent);
		if (fd >= 0 || !is_stale(fd))
			return fd;
	}
	return -ESTALE;
}

/* By one of its names. Return: fd, -ESTALE if none leads to it, or -errno. */
static int open_by_alias(struct inode *inode, int flags)
{
	int fd;

	for (unsigned int i = 0; i < MAX_ATTEMPTS; i++) {
		fd = try_aliases(inode, flags);
		if (fd != -ESTALE)
			return fd;
		/* Unlinked meanwhile: pairs with inode_pin() */
		if (smp_load_acquire(&inode->i_pathfd) >= 0)
			return inode_open_backing(inode, flags);
		wait_for_renames();
	}
	return -ESTALE;
}

/* ---- inodes without names ---- */

bool inode_pin(struct inode *inode, int fd)
{
	bool pinned;

	mutex_lock(&inode->i_lock);
	pinned = inode->i_pathfd < 0;
	if (pinned)	/* pairs with all who look at it without i_lock */
		smp_store_release(&inode->i_pathfd, fd);
	mutex_unlock(&inode->i_lock);
	return pinned;
}

/* ---- any descriptor ---- */

const char *proc_fd_path(int fd, char *buf)
{
	snprintf(buf, PROC_FD_LEN, "/proc/self/fd/%d", fd);
	return buf;
}

int get_any_fd(struct inode *inode, struct any_fd *any)
{
	*any = (struct any_fd){ .is_path = true };
	if (S_ISDIR(READ_ONCE(inode->i_mode))) {
		any->dir = inode;
		any->fd = get_dirfd(inode);
		return min(any->fd, 0);
	}
	any->file = inode_open_file(inode);
	if (any->file) {
		any->fd = any->file->fd;
		any->is_path = false;
		return 0;
	}
	any->close = true;
	any->fd = inode_open_backing(inode, O_PATH | O_NOFOLLOW);
	return min(any->fd, 0);
}

void put_any_fd(struct any_fd *any)
{
	if (any->dir)
		put_dirfd(any->dir, any->fd);
	else if (any->file)
		put_backing_file(any->file);
	else if (any->close)
		close(any->fd);
}

/* ---- opening anew ---- */

/* By the descriptor that an inode without names keeps. */
static int open_pinned(int pathfd, int flags)
{
	char path[PROC_FD_LEN];
	int fd;

	if (!(flags & O_PATH))
		return backing_openat(AT_FDCWD, proc_fd_path(pathfd, path),
				      flags & ~O_NOFOLLOW, 0);
	fd = fcntl(pathfd, F_DUPFD_CLOEXEC, 0);
	return fd < 0 ? -errno : fd;
}

/* A directory's descriptor leads to itself. */
static int open_dir_backing(struct inode *dir, int flags)
{
	int dirfd = get_dirfd(dir), fd;

	if (dirfd < 0)
		return dirfd;
	fd = backing_openat(dirfd, ".", flags | O_DIRECTORY, 0);
	put_dirfd(dir, dirfd);
	return fd;
}

int inode_open_backing(struct inode *inode, int flags)
{
	int pathfd = smp_load_acquire(&inode->i_pathfd);	/* inode_pin() */

	if (pathfd >= 0)
		return open_pinned(pathfd, flags);
	if (S_ISDIR(READ_ONCE(inode->i_mode)))
		return open_dir_backing(inode, flags);
	return open_by_alias(inode, flags | O_NOCTTY);
}

static int stat_fd(int fd, struct stat *st)
{
	return fstat(fd, st) ? -errno : 0;
}

/* By name, without opening. -ESTALE: the name leads elsewhere. */
static int stat_by_alias(struct inode *inode, struct stat *st)
{
	char name[NAME_MAX + 1];
	struct inode *parent;
	int dirfd, err;

	if (!inode_nth_alias(inode, 0, &parent, name))
		return -ESTALE;
	dirfd = get_dirfd(parent);
	err = min(dirfd, 0);
	if (!err) {
		err = fstatat(dirfd, name, st, AT_SYMLINK_NOFOLLOW) ? -errno : 0;
		put_dirfd(parent, dirfd);
	}
	iput(parent);
	if (!err && (st->st_ino != inode->i_ino || st->st_dev != inode->i_dev))
		err = -ESTALE;
	return err;
}

int inode_stat_backing(struct inode *inode, struct stat *st)
{
	int pathfd = smp_load_acquire(&inode->i_pathfd);	/* inode_pin() */
	struct any_fd any;
	int err;

	if (pathfd >= 0)
		return stat_fd(pathfd, st);
	if (!READ_ONCE(inode->i_file) && !S_ISDIR(READ_ONCE(inode->i_mode)) &&
	    !stat_by_alias(inode, st))
		return 0;
	err = get_any_fd(inode, &any);
	if (err)
		return err;
	err = stat_fd(any.fd, st);
	put_any_fd(&any);
	return err;
}
