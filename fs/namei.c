// SPDX-License-Identifier: BSD-2-Clause
/*
 * fs/namei.c - names: looking up, making and removing them
 *
 *   lookup   fstatat				-> iget, a name more
 *   create   openat(O_CREAT | O_EXCL), fstat	-> iget, a name, its descriptor
 *   mkdir..  mkdirat.., fstatat		-> iget, a name
 *   link     linkat(/proc/self/fd/N)		-> a name more
 *   unlink   openat(O_PATH), fstat, unlinkat, fstat  -> pinned, a name less
 *
 * The backing file system decides about names; what we keep of them serves to
 * open objects again. The kernel's dcache is in front of us, so there is none
 * here: each lookup that arrives is one system call.
 *
 * I1. dir->i_rwsem: for reading, names in it do not change; for writing, they
 *     are being changed. So a lookup never takes a name to an object that was
 *     removed under it, whose number may be another's already.
 * I2. An inode in the table whose object loses its last link, or the last name
 *     we know, is pinned (i_pathfd): those who have it open, the kernel and we
 *     ourselves can then still reach it. Removing the name and pinning are one
 *     section of sb.rename_lock, for reading: who fails to open the inode by
 *     name in between waits for us and finds it pinned (reopen.c).
 * I3. A failure after the object was made removes it again.
 *
 * Locks:  i_rwsem of directories, then sb.rename_lock inside get_dirfd(). The
 *         victim's own i_rwsem is not needed.
 * Source: Linux fs/namei.c, the roles.
 */
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "namei.h"

/*
 * Times an object is looked at while other inodes are being evicted. Arbitrary:
 * even if every second look were in vain, this many would not be.
 */
#define MAX_STATS	100

int check_name(const struct inode *dir, const char *name)
{
	size_t len = strlen(name);

	if (!S_ISDIR(READ_ONCE(dir->i_mode)))
		return -ENOTDIR;
	if (len > NAME_MAX)
		return -ENAMETOOLONG;
	if (!len || !strcmp(name, ".") || !strcmp(name, "..") ||
	    strchr(name, '/'))
		return -EINVAL;
	return 0;
}

int check_new_name(const struct inode *dir, const char *name)
{
	int err = check_name(dir, name);

	if (!err && dir == sb.root && !strcmp(name, CTL_DIR_NAME))
		err = -EPERM;
	return err;
}

/* ---- lookup ---- */

/*
 * The inode of what @fd has as @name, or with AT_EMPTY_PATH in @flags of @fd's
 * own object; ERR_PTR. Stats again when something was evicted in between.
 */
static struct inode *iget_at(int fd, const char *name, int flags)
{
	struct inode *inode = ERR_PTR(-EAGAIN);
	struct stat st;

	for (int i = 0; i < MAX_STATS && inode == ERR_PTR(-EAGAIN); i++) {
		unsigned long seq = icache_seq();

		if (fstatat(fd, name, &st, flags | AT_SYMLINK_NOFOLLOW))
			return ERR_PTR(-errno);
		inode = iget(&st, seq);
	}
	/* With this the kernel looks the name up once more. */
	return inode == ERR_PTR(-EAGAIN) ? ERR_PTR(-ESTALE) : inode;
}

/* @inode, if it is one, gets @name in @dir. Takes the reference on failure. */
static struct inode *with_alias(struct inode *inode, struct inode *dir,
				const char *name)
{
	int err;

	if (IS_ERR(inode))
		return inode;
	err = inode_add_alias(inode, dir, name);
	if (!err)
		return inode;
	iput(inode);
	return ERR_PTR(err);
}

/* Context: dir->i_rwsem. */
static struct inode *lookup_at(struct inode *dir, int dirfd, const char *name)
{
	return with_alias(iget_at(dirfd, name, 0), dir, name);
}

int fs_lookup(struct inode *dir, const char *name, struct inode **inodep)
{
	struct inode *inode;
	int dirfd, err;

	err = check_name(dir, name);
	if (err)
		return err;
	down_read(&dir->i_rwsem);
	dirfd = get_dirfd(dir);
	if (dirfd < 0) {
		up_read(&dir->i_rwsem);
		return dirfd;
	}
	inode = lookup_at(dir, dirfd, name);
	put_dirfd(dir, dirfd);
	up_read(&dir->i_rwsem);
	if (IS_ERR(inode))
		return (int)PTR_ERR(inode);
	*inodep = inode;
	return 0;
}

/* ---- changing names in a directory ---- */

/* From here to end_change() the caller may change @name in @dir. */
static int begin_change(struct inode *dir, const char *name, int *dirfdp)
{
	int err = check_new_name(dir, name);

	if (err)
		return err;
	down_write(&dir->i_rwsem);
	*dirfdp = get_dirfd(dir);
	if (*dirfdp >= 0)
		return 0;
	up_write(&dir->i_rwsem);
	return *dirfdp;
}

static void end_change(struct inode *dir, int dirfd)
{
	put_dirfd(dir, dirfd);
	up_write(&dir->i_rwsem);
}

/* ---- create ---- */

/* The descriptor of a new, empty file, or -errno. */
static int make_file(int dirfd, const char *name, const struct fs_cred *cred,
		     mode_t mode)
{
	int err = cred_override(cred);

	if (err)
		return err;
	err = backing_openat(dirfd, name, O_CREAT | O_EXCL | O_RDWR | O_NOFOLLOW,
			     mode & 07777);
	cred_revert(cred);
	return err;
}

static void set_nosec(struct inode *inode)
{
	mutex_lock(&inode->i_lock);
	if (!(inode->i_mode & (S_ISUID | S_ISGID)))
		inode->i_state |= I_NOSEC;
	mutex_unlock(&inode->i_lock);
}

/*
 * A freshly made file open with @fd, which is taken over, becomes an inode
 * with a descriptor and an open file.
 */
static int open_made_file(struct inode *dir, const char *name, int fd, int flags,
			  struct inode **inodep, struct open_file **filep)
{
	struct inode *inode = with_alias(iget_at(fd, "", AT_EMPTY_PATH), dir,
					 name);
	int err;

	if (IS_ERR(inode)) {
		close(fd);
		return (int)PTR_ERR(inode);
	}
	err = inode_set_file(inode, fd);
	if (err)
		goto out_iput;
	set_nosec(inode);
	err = fs_open_created(inode, flags, filep);
	if (err)
		goto out_iput;
	*inodep = inode;
	return 0;

out_iput:
	inode_del_alias(inode, dir, name);
	mutex_lock(&inode->i_lock);
	inode->i_state |= I_UNLINKED;	/* I3: about to be; evicts it */
	mutex_unlock(&inode->i_lock);
	iput(inode);
	return err;
}

/* Context: dir->i_rwsem for writing. -EEXIST: nothing happened. */
static int create_at(struct inode *dir, int dirfd, const char *name,
		     const struct fs_cred *cred, mode_t mode, int flags,
		     struct inode **inodep, struct open_file **filep)
{
	int fd = make_file(dirfd, name, cred, mode), err;

	if (fd < 0)
		return fd;
	err = open_made_file(dir, name, fd, flags, inodep, filep);
	if (err)
		unlinkat(dirfd, name, 0);			/* I3 */
	inode_mark_stale(dir);
	return err;
}

/* open(O_CREAT) of a name that exists. */
static int open_existing(struct inode *dir, const char *name,
			 const struct fs_cred *cred, int flags,
			 struct inode **inodep, struct open_file **filep)
{
	struct inode *inode;
	mode_t type;
	int err;

	err = fs_lookup(dir, name, &inode);
	if (err)
		return err;
	type = READ_ONCE(inode->i_mode) & S_IFMT;
	if (type == S_IFREG)
		err = fs_open(inode, cred, flags, filep);
	else	/* the kernel opens links, pipes and devices itself */
		err = type == S_IFDIR ? -EISDIR : -EEXIST;
	if (err)
		iput(inode);
	else
		*inodep = inode;
	return err;
}

int fs_create(struct inode *dir, const char *name, const struct fs_cred *cred,
	      mode_t mode, int flags, struct inode **inodep,
	      struct open_file **filep)
{
	int dirfd, err;

	err = begin_change(dir, name, &dirfd);
	if (err)
		return err;
	err = create_at(dir, dirfd, name, cred, mode, flags & ~(O_CREAT | O_EXCL),
			inodep, filep);
	end_change(dir, dirfd);
	if (err != -EEXIST || (flags & O_EXCL))
		return err;
	return open_existing(dir, name, cred, flags & ~O_CREAT, inodep, filep);
}

/* ---- other objects ---- */

/* What there is to make. */
struct new_object {
	mode_t mode;			/* with the type */
	dev_t rdev;			/* S_IFBLK, S_IFCHR */
	const char *target;		/* S_IFLNK */
};

static int make_object(int dirfd, const char *name, const struct new_object *obj)
{
	int ret;

	if (S_ISDIR(obj->mode))
		ret = mkdirat(dirfd, name, obj->mode & 07777);
	else if (S_ISLNK(obj->mode))
		ret = symlinkat(obj->target, dirfd, name);
	else
		ret = mknodat(dirfd, name, obj->mode, obj->rdev);
	return ret ? -errno : 0;
}

/* Context: dir->i_rwsem for writing. */
static struct inode *make_at(struct inode *dir, int dirfd, const char *name,
			     const struct fs_cred *cred,
			     const struct new_object *obj)
{
	struct inode *inode;
	int err = cred_override(cred);

	if (err)
		return ERR_PTR(err);
	err = make_object(dirfd, name, obj);
	cred_revert(cred);
	if (err)
		return ERR_PTR(err);
	inode = lookup_at(dir, dirfd, name);
	if (IS_ERR(inode))					/* I3 */
		unlinkat(dirfd, name, S_ISDIR(obj->mode) ? AT_REMOVEDIR : 0);
	inode_mark_stale(dir);
	return inode;
}

static int make(struct inode *dir, const char *name, const struct fs_cred *cred,
		const struct new_object *obj, struct inode **inodep)
{
	struct inode *inode;
	int dirfd, err;

	err = begin_change(dir, name, &dirfd);
	if (err)
		return err;
	inode = make_at(dir, dirfd, name, cred, obj);
	end_change(dir, dirfd);
	if (IS_ERR(inode))
		return (int)PTR_ERR(inode);
	*inodep = inode;
	return 0;
}

int fs_mknod(struct inode *dir, const char *name, const struct fs_cred *cred,
	     mode_t mode, dev_t rdev, struct inode **inodep)
{
	struct new_object obj = { .mode = mode, .rdev = rdev };

	if (!(mode & S_IFMT))
		obj.mode |= S_IFREG;
	if (S_ISDIR(obj.mode) || S_ISLNK(obj.mode))
		return -EINVAL;
	return make(dir, name, cred, &obj, inodep);
}

int fs_mkdir(struct inode *dir, const char *name, const struct fs_cred *cred,
	     mode_t mode, struct inode **inodep)
{
	struct new_object obj = { .mode = (mode & 07777) | S_IFDIR };

	return make(dir, name, cred, &obj, inodep);
}

int fs_symlink(struct inode *dir, const char *name, const struct fs_cred *cred,
	       const char *target, struct inode **inodep)
{
	struct new_object obj = { .mode = 0777 | S_IFLNK, .target = target };

	return make(dir, name, cred, &obj, inodep);
}

/* ---- link ---- */

/* Through /proc: by name it might be another's by now. */
static int link_object(struct inode *inode, int dirfd, const char *name)
{
	char path[PROC_FD_LEN];
	struct any_fd any;
	int err = get_any_fd(inode, &any);

	if (err)
		return err;
	if (linkat(AT_FDCWD, proc_fd_path(any.fd, path), dirfd, name,
		   AT_SYMLINK_FOLLOW))
		err = -errno;
	put_any_fd(&any);
	return err;
}

int fs_link(struct inode *inode, struct inode *dir, const char *name)
{
	int dirfd, err;

	if (S_ISDIR(READ_ONCE(inode->i_mode)))
		return -EPERM;
	err = begin_change(dir, name, &dirfd);
	if (err)
		return err;
	err = link_object(inode, dirfd, name);
	if (!err) {
		err = inode_add_alias(inode, dir, name);
		if (err)
			unlinkat(dirfd, name, 0);		/* I3 */
		inode_mark_stale(inode);
		inode_mark_stale(dir);
	}
	end_change(dir, dirfd);
	return err;
}

/* ---- unlink, rmdir, and what rename replaces ---- */

int victim_find(struct victim *v, int dirfd, const char *name)
{
	int err;

	*v = (struct victim){ .fd = -1 };
	v->fd = backing_openat(dirfd, name, O_PATH | O_NOFOLLOW, 0);
	if (v->fd < 0)
		return v->fd;
	if (!fstat(v->fd, &v->st)) {
		v->inode = ilookup(v->st.st_dev, v->st.st_ino);
		return 0;
	}
	err = -errno;
	close(v->fd);
	v->fd = -1;
	return err;
}

/* Is there no other name known than the one that goes? */
static bool is_only_alias(struct inode *inode)
{
	bool only;

	mutex_lock(&inode->i_lock);
	only = list_empty(&inode->i_aliases) ||
		list_is_singular(&inode->i_aliases);
	mutex_unlock(&inode->i_lock);
	return only;
}

struct alias *victim_gone(struct victim *v, struct inode *dir, const char *name)
{
	bool unlinked;
	struct alias *alias;
	struct stat st;

	if (!v->inode)
		return NULL;
	/* A directory that is gone may keep a link count of 1 or 2. */
	unlinked = S_ISDIR(v->st.st_mode) ||
		(!fstat(v->fd, &st) && !st.st_nlink);
	if (unlinked || is_only_alias(v->inode))
		v->pinned = inode_pin(v->inode, v->fd);		/* I2 */
	alias = alias_detach(v->inode, dir, name);
	if (unlinked) {
		mutex_lock(&v->inode->i_lock);
		v->inode->i_state |= I_UNLINKED;
		mutex_unlock(&v->inode->i_lock);
	}
	inode_mark_stale(v->inode);
	return alias;
}

void victim_put(struct victim *v)
{
	if (!v->pinned && v->fd >= 0)
		close(v->fd);
	if (v->inode)
		iput(v->inode);
}

/* Context: dir->i_rwsem for writing. *@gonep: for alias_free(). */
static int remove_victim(struct victim *v, struct inode *dir, int dirfd,
			 const char *name, int flags, struct alias **gonep)
{
	int err;

	down_read(&sb.rename_lock);				/* I2 */
	err = unlinkat(dirfd, name, flags) ? -errno : 0;
	if (!err)
		*gonep = victim_gone(v, dir, name);
	up_read(&sb.rename_lock);
	if (!err)
		inode_mark_stale(dir);
	return err;
}

/* @flags: 0 or AT_REMOVEDIR. */
static int remove_name(struct inode *dir, const char *name, int flags)
{
	struct alias *gone = NULL;
	struct victim v;
	int dirfd, err;

	err = begin_change(dir, name, &dirfd);
	if (err)
		return err;
	err = victim_find(&v, dirfd, name);
	if (!err)
		err = remove_victim(&v, dir, dirfd, name, flags, &gone);
	end_change(dir, dirfd);
	alias_free(gone);
	victim_put(&v);
	return err;
}

int fs_unlink(struct inode *dir, const char *name)
{
	return remove_name(dir, name, 0);
}

int fs_rmdir(struct inode *dir, const char *name)
{
	return remove_name(dir, name, AT_REMOVEDIR);
}

/* ---- readlink ---- */

int fs_readlink(struct inode *inode, char *buf, size_t size)
{
	struct any_fd any;
	ssize_t len;
	int err;

	if (!S_ISLNK(READ_ONCE(inode->i_mode)))
		return -EINVAL;
	err = get_any_fd(inode, &any);
	if (err)
		return err;
	len = readlinkat(any.fd, "", buf, size);
	err = len < 0 ? -errno : 0;
	put_any_fd(&any);
	if (err)
		return err;
	if ((size_t)len >= size)
		return -ENAMETOOLONG;
	buf[len] = '\0';
	return (int)len;
}
