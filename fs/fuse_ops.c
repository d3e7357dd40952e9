// SPDX-License-Identifier: BSD-2-Clause
/*
 * fs/fuse_ops.c - FUSE requests on names and attributes, and the table of all
 *
 *   request: nodeid, name --op_inode()--> inode --fs_*()--> result --> reply
 *
 * I1. Each op_* replies exactly once; the sign of an error is turned only in
 *     reply_err().
 * I2. The kernel's knowledge of an inode is counted (i_nlookup) before the
 *     reply that tells it: its FORGET may come before the reply returns to us.
 *     A reply that finds the request gone (-ENOENT: interrupted) takes the
 *     count back.
 * I3. Nodeids of control files never reach fs_*(): op_inode() and op_dir()
 *     answer for them, and what control files can do is asked before.
 *
 * Permissions are the kernel's business (default_permissions, mount.c),
 * and so are locks: without getlk, setlk and flock the kernel keeps POSIX
 * and BSD locks itself, among all the programs that use this mount. As the
 * backing directory belongs to one daemon, there is nobody else to agree
 * with; locks cost no request, a waiter that is killed leaves, and they hold
 * on when the daemon is in trouble.
 *
 * Names and attributes are kept by the kernel for as long as it likes
 * (FUSE_KEEP_SECS), also that a name does not exist.
 *
 * Source: libfuse's fuse_lowlevel.h for the valid replies to each request.
 */
#include <stdlib.h>
#include <stdio.h>
#include <string.h>
#include <linux/limits.h>

#include "fuse_i.h"
#include "pagefs_wire.h"

void reply_err(fuse_req_t req, int err)
{
	fuse_reply_err(req, err < 0 ? -err : 0);
}

struct inode *op_inode(fuse_req_t req, fuse_ino_t ino, int ctl_err)
{
	struct inode *inode;

	if (is_ctl_nodeid(ino)) {
		reply_err(req, ctl_err);
		return NULL;
	}
	inode = inode_lookup_nodeid(ino);
	if (!inode)
		reply_err(req, -ESTALE);
	return inode;
}

struct inode *op_dir(fuse_req_t req, fuse_ino_t parent, const char *name)
{
	if (parent == FUSE_ROOT_ID && !strcmp(name, CTL_DIR_NAME)) {
		reply_err(req, -EPERM);
		return NULL;
	}
	return op_inode(req, parent, -EPERM);
}

/* How long the kernel may keep @st, which @inode has just said; seconds. */
static double attr_timeout(const struct inode *inode, const struct stat *st)
{
	/* A write takes set-id bits away, and the kernel, which leaves that to
	 * us (HANDLE_KILLPRIV_V2), does not ask for the mode afterwards. */
	if (S_ISREG(st->st_mode) && (st->st_mode & (S_ISUID | S_ISGID)))
		return 0;
	/* Read without locks: a page dirtied right now ends with a write
	 * request, after which the kernel asks for attributes anyway. */
	if (S_ISREG(st->st_mode) && (READ_ONCE(inode->i_data.nrdirty) ||
				     READ_ONCE(inode->i_data.nrwriteback)))
		return FUSE_KEEP_DIRTY_SECS;
	return FUSE_KEEP_SECS;
}

int fill_entry(struct inode *inode, struct fuse_entry_param *e)
{
	int err;

	memset(e, 0, sizeof(*e));
	err = fs_getattr(inode, &e->attr);
	if (err)
		return err;
	e->ino = inode->i_nodeid;
	e->attr_timeout = attr_timeout(inode, &e->attr);
	e->entry_timeout = FUSE_KEEP_SECS;
	inode_nlookup_add(inode, 1);		/* I2 */
	return 0;
}

/* Replies with @inode, whose reference ends here, or with @err. */
static void reply_entry(fuse_req_t req, struct inode *inode, int err)
{
	struct fuse_entry_param e;

	if (err) {
		reply_err(req, err);
		return;
	}
	err = fill_entry(inode, &e);
	if (err)
		reply_err(req, err);
	else if (fuse_reply_entry(req, &e) == -ENOENT)
		inode_forget(e.ino, 1);
	iput(inode);
}

/* ---- names ---- */

/* "No such name" is an answer the kernel may keep. */
static void reply_negative(fuse_req_t req)
{
	struct fuse_entry_param e = { .entry_timeout = FUSE_KEEP_SECS };

	fuse_reply_entry(req, &e);
}

/* Control files are made up anew each time: nothing may be kept of them. */
static bool lookup_ctl(fuse_req_t req, fuse_ino_t parent, const char *name)
{
	struct fuse_entry_param e = { .entry_timeout = 0 };
	uint64_t nodeid;

	if (ctl_lookup(parent, name, &e.attr, &nodeid))
		return false;
	e.ino = nodeid;
	fuse_reply_entry(req, &e);
	return true;
}

static void op_lookup(fuse_req_t req, fuse_ino_t parent, const char *name)
{
	struct inode *dir, *inode;
	int err;

	if (lookup_ctl(req, parent, name))
		return;
	dir = op_inode(req, parent, -ENOENT);
	if (!dir)
		return;
	err = fs_lookup(dir, name, &inode);
	if (err == -ENOENT)
		reply_negative(req);
	else
		reply_entry(req, inode, err);
	iput(dir);
}

/* Control files have no count to take back; the root is never forgotten. */
static void forget_one(fuse_ino_t ino, uint64_t nlookup)
{
	if (ino != FUSE_ROOT_ID && !is_ctl_nodeid(ino))
		inode_forget(ino, nlookup);
}

static void op_forget(fuse_req_t req, fuse_ino_t ino, uint64_t nlookup)
{
	forget_one(ino, nlookup);
	fuse_reply_none(req);
}

static void op_forget_multi(fuse_req_t req, size_t count,
			    struct fuse_forget_data *forgets)
{
	for (size_t i = 0; i < count; i++)
		forget_one(forgets[i].ino, forgets[i].nlookup);
	fuse_reply_none(req);
}

static void op_mknod(fuse_req_t req, fuse_ino_t parent, const char *name,
		     mode_t mode, dev_t rdev)
{
	struct fs_cred cred = op_cred(req);
	struct inode *dir = op_dir(req, parent, name), *inode = NULL;
	int err;

	if (!dir)
		return;
	err = fs_mknod(dir, name, &cred, mode, rdev, &inode);
	reply_entry(req, inode, err);
	iput(dir);
}

static void op_mkdir(fuse_req_t req, fuse_ino_t parent, const char *name,
		     mode_t mode)
{
	struct fs_cred cred = op_cred(req);
	struct inode *dir = op_dir(req, parent, name), *inode = NULL;
	int err;

	if (!dir)
		return;
	err = fs_mkdir(dir, name, &cred, mode, &inode);
	reply_entry(req, inode, err);
	iput(dir);
}

static void op_symlink(fuse_req_t req, const char *target, fuse_ino_t parent,
		       const char *name)
{
	struct fs_cred cred = op_cred(req);
	struct inode *dir = op_dir(req, parent, name), *inode = NULL;
	int err;

	if (!dir)
		return;
	err = fs_symlink(dir, name, &cred, target, &inode);
	reply_entry(req, inode, err);
	iput(dir);
}

static void op_unlink(fuse_req_t req, fuse_ino_t parent, const char *name)
{
	struct inode *dir = op_dir(req, parent, name);

	if (!dir)
		return;
	reply_err(req, fs_unlink(dir, name));
	iput(dir);
}

static void op_rmdir(fuse_req_t req, fuse_ino_t parent, const char *name)
{
	struct inode *dir = op_dir(req, parent, name);

	if (!dir)
		return;
	reply_err(req, fs_rmdir(dir, name));
	iput(dir);
}

static void op_rename(fuse_req_t req, fuse_ino_t parent, const char *name,
		      fuse_ino_t newparent, const char *newname,
		      unsigned int flags)
{
	struct inode *dir, *newdir;

	dir = op_dir(req, parent, name);
	if (!dir)
		return;
	newdir = op_dir(req, newparent, newname);
	if (newdir) {
		reply_err(req, fs_rename(dir, name, newdir, newname, flags));
		iput(newdir);
	}
	iput(dir);
}

static void op_link(fuse_req_t req, fuse_ino_t ino, fuse_ino_t newparent,
		    const char *newname)
{
	struct inode *inode, *dir;
	int err;

	inode = op_inode(req, ino, -EPERM);
	if (!inode)
		return;
	dir = op_dir(req, newparent, newname);
	if (!dir) {
		iput(inode);
		return;
	}
	err = fs_link(inode, dir, newname);
	iput(dir);
	if (err)
		iput(inode);
	reply_entry(req, inode, err);
}

static void op_readlink(fuse_req_t req, fuse_ino_t ino)
{
	struct inode *inode = op_inode(req, ino, -EINVAL);
	char target[PATH_MAX];
	int len;

	if (!inode)
		return;
	len = fs_readlink(inode, target, sizeof(target));
	if (len < 0)
		reply_err(req, len);
	else
		fuse_reply_readlink(req, target);
	iput(inode);
}

/* ---- attributes ---- */

static void getattr_ctl(fuse_req_t req, fuse_ino_t ino)
{
	struct stat st;
	int err = ctl_getattr(ino, &st);

	if (err)
		reply_err(req, err);
	else
		fuse_reply_attr(req, &st, 0);
}

static void op_getattr(fuse_req_t req, fuse_ino_t ino,
		       struct fuse_file_info *fi)
{
	struct inode *inode;
	struct stat st;
	int err;

	(void)fi;
	if (is_ctl_nodeid(ino)) {
		getattr_ctl(req, ino);
		return;
	}
	inode = op_inode(req, ino, 0);
	if (!inode)
		return;
	err = fs_getattr(inode, &st);
	if (err)
		reply_err(req, err);
	else
		fuse_reply_attr(req, &st, attr_timeout(inode, &st));
	iput(inode);
}

static void setattr_ctl(fuse_req_t req, fuse_ino_t ino, int to_set)
{
	struct stat st;
	int err = ctl_setattr(ino, to_set, &st);

	if (err)
		reply_err(req, err);
	else
		fuse_reply_attr(req, &st, 0);
}

static void op_setattr(fuse_req_t req, fuse_ino_t ino, struct stat *attr,
		       int to_set, struct fuse_file_info *fi)
{
	struct fs_cred cred = op_cred(req);
	struct inode *inode;
	int err;

	(void)fi;
	if (is_ctl_nodeid(ino)) {
		setattr_ctl(req, ino, to_set);
		return;
	}
	inode = op_inode(req, ino, 0);
	if (!inode)
		return;
	err = fs_setattr(inode, &cred, to_set, attr);
	if (err)
		reply_err(req, err);
	else
		fuse_reply_attr(req, attr, attr_timeout(inode, attr));
	iput(inode);
}

static void ioctl_info(fuse_req_t req)
{
	struct pagefs_ioc_info info = {
		.version = PAGEFS_WIRE_VERSION,
		.dev = sb.mnt_dev,
	};

	ctl_get_socket(info.socket, sizeof(info.socket));
	fuse_reply_ioctl(req, 0, &info, sizeof(info));
}

static void ioctl_offer(fuse_req_t req, uint64_t fh, const void *in_buf)
{
	struct open_file *file = handle_get(HANDLE_FILE, fh);
	struct pagefs_ioc_offer offer;
	int err = -ENOTTY;		/* a directory's */

	memcpy(&offer, in_buf, sizeof(offer));
	if (file)
		err = fs_offer_file(file, offer.cookie, &offer.number);
	if (err)
		reply_err(req, err);
	else
		fuse_reply_ioctl(req, 0, &offer, sizeof(offer));
}

static void ioctl_advise(fuse_req_t req, uint64_t fh, const void *in_buf)
{
	static const enum fadvise advices[] = {
		[PAGEFS_ADVISE_QUERY] = NR_FADVISE,
		[PAGEFS_ADVISE_NORMAL] = FADV_NORMAL,
		[PAGEFS_ADVISE_RANDOM] = FADV_RANDOM,
		[PAGEFS_ADVISE_SEQUENTIAL] = FADV_SEQUENTIAL,
		[PAGEFS_ADVISE_NOREUSE] = FADV_NOREUSE,
		[PAGEFS_ADVISE_WILLNEED] = FADV_WILLNEED,
		[PAGEFS_ADVISE_DONTNEED] = FADV_DONTNEED,
	};
	struct open_file *file = handle_get(HANDLE_FILE, fh);
	struct fs_cred cred = op_cred(req);
	struct pagefs_ioc_advise a;
	unsigned long nr = 0;
	int err = -ENOTTY;		/* a directory's */

	memcpy(&a, in_buf, sizeof(a));
	if (file)
		err = a.flags || a.advice >= ARRAY_SIZE(advices) ? -EINVAL :
			fs_advise(file->inode, &cred, advices[a.advice], &nr);
	if (err) {
		reply_err(req, err);
		return;
	}
	a.nr_pages = nr;
	snprintf(a.policy, sizeof(a.policy), "%s",
		 mapping_advice_name(&file->inode->i_data));
	fuse_reply_ioctl(req, 0, &a, sizeof(a));
}

/*
 * The kernel brings, and has room for, what the number of the request says; it
 * asks for directories too, from 7.18 on.
 */
static void op_ioctl(fuse_req_t req, fuse_ino_t ino, unsigned int cmd, void *arg,
		     struct fuse_file_info *fi, unsigned int flags,
		     const void *in_buf, size_t in_size, size_t out_size)
{
	(void)arg, (void)flags;
	if (is_ctl_nodeid(ino))
		reply_err(req, -ENOTTY);
	else if (cmd == PAGEFS_IOC_INFO &&
		 out_size >= sizeof(struct pagefs_ioc_info))
		ioctl_info(req);
	else if (cmd == PAGEFS_IOC_OFFER &&
		 in_size >= sizeof(struct pagefs_ioc_offer) &&
		 out_size >= sizeof(struct pagefs_ioc_offer))
		ioctl_offer(req, fi->fh, in_buf);
	else if (cmd == PAGEFS_IOC_ADVISE &&
		 in_size >= sizeof(struct pagefs_ioc_advise) &&
		 out_size >= sizeof(struct pagefs_ioc_advise))
		ioctl_advise(req, fi->fh, in_buf);
	else
		reply_err(req, -ENOTTY);
}

static void access_ctl(fuse_req_t req, fuse_ino_t ino, int mask)
{
	struct stat st;
	int err = ctl_getattr(ino, &st);

	if (!err && ((mask & W_OK && !(st.st_mode & 0222)) ||
		     (mask & X_OK && !S_ISDIR(st.st_mode))))
		err = -EACCES;
	reply_err(req, err);
}

/*
 * Asked only of mounts without default_permissions, which are root's own. Root
 * may do all but execute a file that nobody may execute.
 */
static void op_access(fuse_req_t req, fuse_ino_t ino, int mask)
{
	struct inode *inode;
	uint32_t mode;
	int err = 0;

	if (is_ctl_nodeid(ino)) {
		access_ctl(req, ino, mask);
		return;
	}
	inode = op_inode(req, ino, 0);
	if (!inode)
		return;
	mode = READ_ONCE(inode->i_mode);
	if (op_cred(req).uid != 0 ||
	    ((mask & X_OK) && S_ISREG(mode) && !(mode & 0111)))
		err = -EACCES;
	reply_err(req, err);
	iput(inode);
}

static void op_statfs(fuse_req_t req, fuse_ino_t ino)
{
	struct statvfs st;
	int err;

	(void)ino;
	err = fs_statfs(&st);
	if (err)
		reply_err(req, err);
	else
		fuse_reply_statfs(req, &st);
}

/* ---- extended attributes; @size 0 asks how long the answer is ---- */

static void reply_xattr(fuse_req_t req, const char *buf, size_t size,
			ssize_t len)
{
	if (len < 0)
		reply_err(req, len);
	else if (!size)
		fuse_reply_xattr(req, len);
	else
		fuse_reply_buf(req, buf, len);
}

static void op_getxattr(fuse_req_t req, fuse_ino_t ino, const char *name,
			size_t size)
{
	struct inode *inode = op_inode(req, ino, -ENOTSUP);
	char *buf;

	if (!inode)
		return;
	size = min_t(size_t, size, XATTR_SIZE_MAX);
	buf = malloc(size ? size : 1);
	if (buf)
		reply_xattr(req, buf, size, fs_getxattr(inode, name, buf, size));
	else
		reply_err(req, -ENOMEM);
	free(buf);
	iput(inode);
}

static void op_listxattr(fuse_req_t req, fuse_ino_t ino, size_t size)
{
	struct inode *inode = op_inode(req, ino, -ENOTSUP);
	char *buf;

	if (!inode)
		return;
	size = min_t(size_t, size, XATTR_LIST_MAX);
	buf = malloc(size ? size : 1);
	if (buf)
		reply_xattr(req, buf, size, fs_listxattr(inode, buf, size));
	else
		reply_err(req, -ENOMEM);
	free(buf);
	iput(inode);
}

static void op_setxattr(fuse_req_t req, fuse_ino_t ino, const char *name,
			const char *value, size_t size, int flags)
{
	struct inode *inode = op_inode(req, ino, -ENOTSUP);

	if (!inode)
		return;
	reply_err(req, fs_setxattr(inode, name, value, size, flags));
	iput(inode);
}

static void op_removexattr(fuse_req_t req, fuse_ino_t ino, const char *name)
{
	struct inode *inode = op_inode(req, ino, -ENOTSUP);

	if (!inode)
		return;
	reply_err(req, fs_removexattr(inode, name));
	iput(inode);
}

const struct fuse_lowlevel_ops pagefs_ops = {
	.init		 = op_init,
	.lookup		 = op_lookup,
	.forget		 = op_forget,
	.forget_multi	 = op_forget_multi,
	.getattr	 = op_getattr,
	.setattr	 = op_setattr,
	.readlink	 = op_readlink,
	.mknod		 = op_mknod,
	.mkdir		 = op_mkdir,
	.unlink		 = op_unlink,
	.rmdir		 = op_rmdir,
	.symlink	 = op_symlink,
	.rename		 = op_rename,
	.link		 = op_link,
	.open		 = op_open,
	.create		 = op_create,
	.read		 = op_read,
	.write		 = op_write,
	.flush		 = op_flush,
	.release	 = op_release,
	.fsync		 = op_fsync,
	.fallocate	 = op_fallocate,
	.lseek		 = op_lseek,
	.copy_file_range = op_copy_file_range,
	.opendir	 = op_opendir,
	.readdir	 = op_readdir,
	.readdirplus	 = op_readdirplus,
	.releasedir	 = op_releasedir,
	.fsyncdir	 = op_fsyncdir,
	.statfs		 = op_statfs,
	.setxattr	 = op_setxattr,
	.getxattr	 = op_getxattr,
	.listxattr	 = op_listxattr,
	.removexattr	 = op_removexattr,
	.access		 = op_access,
	.ioctl		 = op_ioctl,
};
