// SPDX-License-Identifier: BSD-2-Clause
/*
 * fs/xattr.c - extended attributes: passed through to the backing file
 *
 *   user.*                   passed on
 *   trusted.*, security.*    passed on; the backing file system and the
 *                            daemon's rights decide
 *   system.posix_acl_*       refused and not listed: the kernel checks modes
 *                            on this mount, and an ACL that is not enforced is
 *                            worse than none
 *
 * security.capability is asked for before nearly every write (the kernel wants
 * to take it away), so that it is absent is remembered: I_NOSEC.
 */
#include <limits.h>
#include <stdlib.h>
#include <linux/limits.h>
#include <string.h>
#include <sys/xattr.h>

#include "internal.h"

#define ACL_PREFIX	"system.posix_acl_"
#define SECURITY_PREFIX	"security."

static bool has_prefix(const char *name, const char *prefix)
{
	return !strncmp(name, prefix, strlen(prefix));
}

static bool is_acl(const char *name)
{
	return has_prefix(name, ACL_PREFIX);
}

static bool known_absent(struct inode *inode, const char *name)
{
	bool nosec;

	if (strcmp(name, "security.capability"))
		return false;
	mutex_lock(&inode->i_lock);
	nosec = inode->i_state & I_NOSEC;
	mutex_unlock(&inode->i_lock);
	return nosec;
}

/* ---- one ---- */

/* For an operation on @name, if it may be had at all. Return: 0 or -errno. */
static int get_xattr_fd(struct inode *inode, const char *name,
			struct any_fd *any)
{
	return is_acl(name) ? -EOPNOTSUPP : get_any_fd(inode, any);
}

ssize_t fs_getxattr(struct inode *inode, const char *name, void *buf, size_t size)
{
	char path[PROC_FD_LEN];
	struct any_fd any;
	ssize_t ret;

	if (known_absent(inode, name))
		return -ENODATA;
	ret = get_xattr_fd(inode, name, &any);
	if (ret)
		return ret;
	ret = any.is_path ?
		getxattr(proc_fd_path(any.fd, path), name, buf, size) :
		fgetxattr(any.fd, name, buf, size);
	if (ret < 0)
		ret = -errno;
	put_any_fd(&any);
	return ret;
}

static int set_any(const struct any_fd *any, const char *name,
		   const void *value, size_t size, int flags)
{
	char path[PROC_FD_LEN];
	int ret = any->is_path ?
		setxattr(proc_fd_path(any->fd, path), name, value, size, flags) :
		fsetxattr(any->fd, name, value, size, flags);

	return ret ? -errno : 0;
}

static int remove_any(const struct any_fd *any, const char *name)
{
	char path[PROC_FD_LEN];
	int ret = any->is_path ?
		removexattr(proc_fd_path(any->fd, path), name) :
		fremovexattr(any->fd, name);

	return ret ? -errno : 0;
}

int fs_setxattr(struct inode *inode, const char *name, const void *value,
		size_t size, int flags)
{
	struct any_fd any;
	int err = get_xattr_fd(inode, name, &any);

	if (err)
		return err;
	err = set_any(&any, name, value, size, flags);
	put_any_fd(&any);
	if (!err && has_prefix(name, SECURITY_PREFIX)) {
		mutex_lock(&inode->i_lock);
		inode->i_state &= ~I_NOSEC;
		mutex_unlock(&inode->i_lock);
	}
	inode_mark_stale(inode);
	return err;
}

int fs_removexattr(struct inode *inode, const char *name)
{
	struct any_fd any;
	int err = get_xattr_fd(inode, name, &any);

	if (err)
		return err;
	err = remove_any(&any, name);
	put_any_fd(&any);
	inode_mark_stale(inode);
	return err;
}

/* ---- the list ---- */

static ssize_t list_any(const struct any_fd *any, char *buf, size_t size)
{
	char path[PROC_FD_LEN];
	ssize_t len = any->is_path ?
		listxattr(proc_fd_path(any->fd, path), buf, size) :
		flistxattr(any->fd, buf, size);

	return len < 0 ? -errno : len;
}

/* Takes the names that are not to be seen out of @list; its new length. */
static size_t filter_list(char *list, size_t len)
{
	char *to = list;

	for (char *from = list; from < list + len;) {
		size_t n = strnlen(from, list + len - from - 1) + 1;

		if (!is_acl(from)) {
			memmove(to, from, n);
			to += n;
		}
		from += n;
	}
	return to - list;
}

/*
 * The whole list in *@listp, from malloc(); its length or -errno. Not kmalloc():
 * 16 frames side by side cannot always be had from a small arena.
 */
static ssize_t get_list(const struct any_fd *any, char **listp)
{
	ssize_t len = list_any(any, NULL, 0);

	*listp = NULL;
	if (len <= 0)
		return len;
	/* The largest there can be: it may grow before we ask again. */
	*listp = malloc(XATTR_LIST_MAX);
	if (!*listp)
		return -ENOMEM;
	len = list_any(any, *listp, XATTR_LIST_MAX);
	return len < 0 ? len : (ssize_t)filter_list(*listp, len);
}

ssize_t fs_listxattr(struct inode *inode, char *buf, size_t size)
{
	struct any_fd any;
	char *list;
	ssize_t len;

	len = get_any_fd(inode, &any);
	if (len)
		return len;
	len = get_list(&any, &list);
	put_any_fd(&any);
	if (len > 0 && size) {
		if ((size_t)len > size)
			len = -ERANGE;
		else
			memcpy(buf, list, len);
	}
	free(list);
	return len;
}
