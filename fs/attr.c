// SPDX-License-Identifier: BSD-2-Clause
/*
 * fs/attr.c - attributes: what is cached, what is read again, what is ours
 *
 *   mode, owner, nlink, blocks   the backing file system's, cached
 *   size of a regular file       ours (i_data.i_size): writes extend it here
 *   mtime                        the backing file's, but ours while I_MTIME
 *   ctime of a regular file      ours once the inode is made, see I3
 *
 * The backing directory is the daemon's own while it is mounted, so cached
 * attributes stay true until something here changes them. What changes them as
 * a side effect (a directory's mtime when a name comes, nlink when one goes)
 * only marks them stale; the next who asks pays for one fstat().
 *
 * I1. Every reading of backing attributes takes a number, i_attr_tick, before
 *     it begins, and a result is taken over only if no later reading's is
 *     there. So what is cached never goes back in time, although readings and
 *     changes overlap.
 * I2. I_MTIME: i_mtime is to be stored in the backing file once its last dirty
 *     page is; while it is set the mapping is on a dirty list, so that a
 *     flusher comes. It is not cleared while pages are still to be written:
 *     writing them sets the backing file's mtime once more.
 *
 * I3. A regular file's ctime is read once. Later it moves only with what we
 *     do to the inode (inode_mark_stale(), touches): writing pages and times
 *     back moves the backing file's long after, and tar calls a file whose
 *     ctime moves while it is being read a changed one.
 *
 * Locks:  i_rwsem around the changes of fs_setattr(); i_lock for the fields.
 * Source: Linux fs/attr.c, and fs/fuse/inode.c's attr_version for I1.
 */
#include <fcntl.h>
#include <string.h>
#include <sys/xattr.h>
#include <unistd.h>

#include "internal.h"

#define XATTR_CAPABILITY	"security.capability"

static struct timespec now_coarse(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_REALTIME_COARSE, &ts);	/* as the kernel's files */
	return ts;
}

/* Pages whose writing will change the backing file's blocks and times. */
static unsigned long nr_pending(const struct inode *inode)
{
	/* Estimates; whoever changes them marks the inode afterwards. */
	return READ_ONCE(inode->i_data.nrdirty) +
		READ_ONCE(inode->i_data.nrwriteback);
}

/* ---- taking over ---- */

/* Context: i_lock. */
static void __take_times(struct inode *inode, const struct stat *st)
{
	inode->i_atime = st->st_atim;
	if (!(inode->i_state & (I_MTIME | I_STORING)))
		inode->i_mtime = st->st_mtim;
	if (!S_ISREG(st->st_mode) || !inode->i_attr_seen)	/* I3 */
		inode->i_ctime = st->st_ctim;
}

/* Context: i_lock. The result of reading number @tick (I1). */
static void __inode_take(struct inode *inode, const struct stat *st,
			 uint32_t tick)
{
	if ((int32_t)(tick - inode->i_attr_seen) <= 0)
		return;
	__take_times(inode, st);
	inode->i_attr_seen = tick;
	/* Some look at the type without the lock. */
	WRITE_ONCE(inode->i_mode, st->st_mode);
	inode->i_uid = st->st_uid;
	inode->i_gid = st->st_gid;
	inode->i_nlink = st->st_nlink;
	inode->i_blocks = st->st_blocks;
	if (!S_ISREG(st->st_mode))
		i_size_write(&inode->i_data, st->st_size);
}

void inode_refresh(struct inode *inode, const struct stat *st)
{
	mutex_lock(&inode->i_lock);
	__inode_take(inode, st, ++inode->i_attr_tick);
	mutex_unlock(&inode->i_lock);
}

void inode_mark_stale(struct inode *inode)
{
	struct timespec now = now_coarse();

	mutex_lock(&inode->i_lock);
	if (S_ISREG(inode->i_mode))
		inode->i_ctime = now;				/* I3 */
	inode->i_attr_mark = ++inode->i_attr_tick;
	mutex_unlock(&inode->i_lock);
}

/* Context: i_lock. */
static bool __inode_is_stale(const struct inode *inode)
{
	return (inode->i_state & I_BLOCKS) ||
		(int32_t)(inode->i_attr_seen - inode->i_attr_mark) < 0;
}

static int inode_revalidate(struct inode *inode)
{
	struct stat st;
	uint32_t tick;
	bool pending;
	int err;

	mutex_lock(&inode->i_lock);
	tick = ++inode->i_attr_tick;
	/* Before looking: who sets it from now on has news for the next. */
	inode->i_state &= ~I_BLOCKS;
	mutex_unlock(&inode->i_lock);
	pending = nr_pending(inode);	/* may end while we look */
	err = inode_stat_backing(inode, &st);
	mutex_lock(&inode->i_lock);
	if (!err)
		__inode_take(inode, &st, tick);
	if (err || pending || nr_pending(inode))
		inode->i_state |= I_BLOCKS;
	mutex_unlock(&inode->i_lock);
	return err;
}

/* ---- getattr ---- */

/*
 * Blocks with what is still only in the cache, as if it had been written to
 * holes, but no more than the size takes. tar and cp take a file of 0 blocks
 * for one large hole and do not read it.
 */
static uint64_t shown_blocks(const struct inode *inode, uint64_t size)
{
	uint64_t pending = nr_pending(inode) * (PAGE_SIZE / 512);
	uint64_t full = DIV_ROUND_UP(size, 512);

	return min(inode->i_blocks + pending, max(inode->i_blocks, full));
}

/* Context: i_lock. */
static void __fill_stat(struct inode *inode, struct stat *st)
{
	memset(st, 0, sizeof(*st));
	st->st_dev = inode->i_dev;
	st->st_ino = inode->i_ino;
	st->st_mode = inode->i_mode;
	st->st_nlink = inode->i_nlink;
	st->st_uid = inode->i_uid;
	st->st_gid = inode->i_gid;
	st->st_rdev = inode->i_rdev;
	st->st_size = i_size_read(&inode->i_data);
	st->st_blksize = PAGE_SIZE;
	st->st_blocks = shown_blocks(inode, st->st_size);
	st->st_atim = inode->i_atime;
	st->st_mtim = inode->i_mtime;
	st->st_ctim = inode->i_ctime;
}

int fs_getattr(struct inode *inode, struct stat *st)
{
	bool stale;
	int err;

	mutex_lock(&inode->i_lock);
	stale = __inode_is_stale(inode);
	if (!stale)
		__fill_stat(inode, st);
	mutex_unlock(&inode->i_lock);
	if (!stale)
		return 0;
	err = inode_revalidate(inode);
	if (err)
		return err;
	mutex_lock(&inode->i_lock);
	__fill_stat(inode, st);
	mutex_unlock(&inode->i_lock);
	return 0;
}

/* ---- times ---- */

/* Context: i_lock. Marks mtime as ours. Return: true if a flusher has to be
 * told. */
static bool __own_mtime(struct inode *inode)
{
	bool news = !(inode->i_state & I_MTIME);

	inode->i_state |= I_MTIME;
	return news;
}

static bool set_times(struct inode *inode, const struct timespec *mtime,
		      const struct timespec *ctime)
{
	bool news;

	mutex_lock(&inode->i_lock);
	inode->i_mtime = *mtime;
	inode->i_ctime = *ctime;
	news = __own_mtime(inode);
	mutex_unlock(&inode->i_lock);
	return news;
}

void inode_touch_mtime(struct inode *inode)
{
	struct timespec now = now_coarse();

	if (set_times(inode, &now, &now))
		mark_mapping_dirty_meta(&inode->i_data);	/* I2 */
}

/* ---- times of what clients store ---- */

/* Context: i_lock. Has the last touch, in this tick, done all there is to do? */
static bool __is_touched(const struct inode *inode, const struct timespec *now)
{
	const uint32_t done = I_MTIME | I_BLOCKS;

	return (inode->i_state & done) == done &&
		timespec_equal(&inode->i_mtime, now);
}

void inode_touch_mapped(struct inode *inode)
{
	struct timespec now = now_coarse();
	bool news = false;

	mutex_lock(&inode->i_lock);
	if (!__is_touched(inode, &now)) {
		inode->i_mtime = inode->i_ctime = now;
		inode->i_state |= I_BLOCKS;
		inode->i_news++;
		news = __own_mtime(inode);
	}
	mutex_unlock(&inode->i_lock);
	if (news)
		mark_mapping_dirty_meta(&inode->i_data);	/* I2 */
}

/*
 * inode_touch_mapped() comes before the page is dirty, so a flusher may have
 * stored the times in between, and have found nothing left to write.
 */
void inode_keep_mtime(struct inode *inode)
{
	bool news;

	mutex_lock(&inode->i_lock);
	inode->i_state |= I_BLOCKS;
	news = __own_mtime(inode);
	mutex_unlock(&inode->i_lock);
	if (news)
		mark_mapping_dirty_meta(&inode->i_data);	/* I2 */
}

void inode_tell_times(struct inode *inode)
{
	bool due;

	mutex_lock(&inode->i_lock);
	due = inode->i_news != inode->i_news_sent;
	inode->i_news_sent = inode->i_news;
	mutex_unlock(&inode->i_lock);
	if (due)
		notify_inval_attr(inode->i_nodeid);
}

void inode_tell_times_wait(struct inode *inode)
{
	uint32_t news;
	bool due;

	mutex_lock(&inode->i_lock);
	news = inode->i_news;
	/* Not i_news_sent: what is queued may not be there yet. */
	due = news != inode->i_news_told;
	mutex_unlock(&inode->i_lock);
	if (!due || notify_inval_attr_wait(inode->i_nodeid))
		return;
	mutex_lock(&inode->i_lock);
	if ((int32_t)(news - inode->i_news_told) > 0)
		inode->i_news_told = news;
	if ((int32_t)(news - inode->i_news_sent) > 0)
		inode->i_news_sent = news;
	mutex_unlock(&inode->i_lock);
}

/* ---- bringing times to the store ---- */

static int set_backing_times(struct inode *inode, const struct timespec ts[2])
{
	struct any_fd any;
	int err = get_any_fd(inode, &any);

	if (err)
		return err;
	err = utimensat(any.fd, "", ts, AT_EMPTY_PATH) ? -errno : 0;
	put_any_fd(&any);
	return err;
}

/* Takes what is to be stored, if anything and if it is time. */
static bool begin_store_times(struct inode *inode, struct timespec ts[2])
{
	bool due;

	mutex_lock(&inode->i_lock);
	due = inode->i_state & I_MTIME;
	if (due) {
		ts[0].tv_nsec = UTIME_OMIT;
		ts[1] = inode->i_mtime;
		/* A write from now on sets I_MTIME anew. */
		inode->i_state &= ~I_MTIME;
		inode->i_state |= I_STORING;
	}
	mutex_unlock(&inode->i_lock);
	return due;
}

/* @again: what was to be stored is to be stored still. */
static void end_store_times(struct inode *inode, uint32_t again)
{
	mutex_lock(&inode->i_lock);
	inode->i_state &= ~I_STORING;
	inode->i_state |= again;
	mutex_unlock(&inode->i_lock);
	if (again)
		mark_mapping_dirty_meta(&inode->i_data);	/* I2 */
}

int inode_store_times(struct inode *inode)
{
	struct timespec ts[2] = { { 0, 0 }, { 0, 0 } };
	int err;

	if (!begin_store_times(inode, ts))
		return 0;
	/* After the store: pages dirtied before it are then seen (I2). */
	err = nr_pending(inode) ? 0 : set_backing_times(inode, ts);
	/*
	 * Somebody else's file, written by a daemon that is not root: its
	 * mtime is when we wrote it back, and nothing can be done about it.
	 */
	if (err == -EPERM || err == -EACCES)
		err = 0;
	end_store_times(inode, err || nr_pending(inode) ? I_MTIME : 0);
	return err;
}

/* ---- setattr ---- */

static int change_owner(struct any_fd *any, int to_set, const struct stat *st)
{
	uid_t uid = to_set & FS_ATTR_UID ? st->st_uid : (uid_t)-1;
	gid_t gid = to_set & FS_ATTR_GID ? st->st_gid : (gid_t)-1;

	return fchownat(any->fd, "", uid, gid, AT_EMPTY_PATH) ? -errno : 0;
}

static int change_mode(struct any_fd *any, mode_t mode)
{
	char path[PROC_FD_LEN];

	mode &= 07777;
	if (!any->is_path)
		return fchmod(any->fd, mode) ? -errno : 0;
	return chmod(proc_fd_path(any->fd, path), mode) ? -errno : 0;
}

static struct timespec wanted_time(int to_set, int set, int set_now,
				   struct timespec given)
{
	if (to_set & set_now)
		given.tv_nsec = UTIME_NOW;
	else if (!(to_set & set))
		given.tv_nsec = UTIME_OMIT;
	return given;
}

static int change_times(struct any_fd *any, int to_set, const struct stat *st)
{
	struct timespec ts[2] = {
		wanted_time(to_set, FS_ATTR_ATIME, FS_ATTR_ATIME_NOW,
			    st->st_atim),
		wanted_time(to_set, FS_ATTR_MTIME, FS_ATTR_MTIME_NOW,
			    st->st_mtim),
	};

	return utimensat(any->fd, "", ts, AT_EMPTY_PATH) ? -errno : 0;
}

#define FS_ATTR_OWNER	(FS_ATTR_UID | FS_ATTR_GID)
#define FS_ATTR_TIMES	(FS_ATTR_ATIME | FS_ATTR_MTIME | FS_ATTR_ATIME_NOW | \
			 FS_ATTR_MTIME_NOW)

/* Owner first: changing it takes set-id bits away that mode may want. */
static int change_backing(struct inode *inode, int to_set, const struct stat *st)
{
	struct any_fd any;
	int err = get_any_fd(inode, &any);

	if (err)
		return err;
	if (to_set & FS_ATTR_OWNER)
		err = change_owner(&any, to_set, st);
	if (!err && (to_set & FS_ATTR_MODE))
		err = change_mode(&any, st->st_mode);
	if (!err && (to_set & FS_ATTR_TIMES))
		err = change_times(&any, to_set, st);
	put_any_fd(&any);
	return err;
}

/* Will writing pages back change the backing file's mtime? */
static bool mtime_is_ours(struct inode *inode)
{
	bool ours;

	mutex_lock(&inode->i_lock);
	ours = nr_pending(inode) || (inode->i_state & (I_MTIME | I_STORING));
	mutex_unlock(&inode->i_lock);
	return ours;
}

/* An mtime set while there are dirty pages is set again after them (I2). */
static void own_new_mtime(struct inode *inode, int to_set, const struct stat *st)
{
	struct timespec now = now_coarse();

	if (set_times(inode, to_set & FS_ATTR_MTIME_NOW ? &now : &st->st_mtim,
		      &now))
		mark_mapping_dirty_meta(&inode->i_data);
}

/* Context: i_rwsem for writing. Everything but the size. */
static int __setattr(struct inode *inode, int to_set, const struct stat *st)
{
	bool ours = (to_set & (FS_ATTR_MTIME | FS_ATTR_MTIME_NOW)) &&
		mtime_is_ours(inode);
	int err = change_backing(inode, to_set, st);

	if (!err && ours)
		own_new_mtime(inode, to_set, st);
	if (to_set & (FS_ATTR_OWNER | FS_ATTR_MODE)) {
		mutex_lock(&inode->i_lock);
		inode->i_state &= ~I_NOSEC;
		mutex_unlock(&inode->i_lock);
	}
	inode_mark_stale(inode);	/* on failure too: some may be done */
	return err;
}

static int set_size(struct inode *inode, const struct fs_cred *cred, loff_t size)
{
	int err;

	if (S_ISDIR(READ_ONCE(inode->i_mode)))
		return -EISDIR;
	if (!S_ISREG(READ_ONCE(inode->i_mode)) || size < 0)
		return -EINVAL;
	err = inode_kill_priv(inode, cred);
	return err ? err : fs_truncate(inode, size);
}

int fs_setattr(struct inode *inode, const struct fs_cred *cred, int to_set,
	       struct stat *st)
{
	int err;

	if (to_set & FS_ATTR_SIZE) {
		err = set_size(inode, cred, st->st_size);
		if (err)
			return err;
	}
	if (to_set & (FS_ATTR_OWNER | FS_ATTR_MODE | FS_ATTR_TIMES)) {
		down_write(&inode->i_rwsem);
		err = __setattr(inode, to_set, st);
		up_write(&inode->i_rwsem);
		if (err)
			return err;
	}
	return fs_getattr(inode, st);
}

/* ---- set-id bits ---- */

static mode_t killed_mode(mode_t mode)
{
	mode_t kill = S_ISUID;

	if (mode & S_IXGRP)	/* without it the bit means mandatory locking */
		kill |= S_ISGID;
	return mode & ~kill;
}

/* Context: none. Takes away what @fd's file has; 0, or a lasting -errno. */
static int remove_capability(int fd)
{
	if (fgetxattr(fd, XATTR_CAPABILITY, NULL, 0) < 0)
		return 0;
	if (!fremovexattr(fd, XATTR_CAPABILITY) || errno == ENODATA)
		return 0;
	/* Not ours to remove: the backing write does it, whoever writes. */
	return errno == EPERM ? 0 : -errno;
}

static int kill_priv(struct inode *inode, mode_t mode, mode_t killed)
{
	struct backing_file *file = inode_get_file(inode, O_RDWR);
	int err;

	if (IS_ERR(file))
		return (int)PTR_ERR(file);
	err = remove_capability(file->fd);
	if (!err && killed != mode && fchmod(file->fd, killed & 07777))
		err = -errno;
	put_backing_file(file);
	if (killed != mode)
		inode_mark_stale(inode);
	return err;
}

int inode_kill_priv(struct inode *inode, const struct fs_cred *cred)
{
	mode_t mode, killed;
	bool nosec;
	int err;

	mutex_lock(&inode->i_lock);
	nosec = inode->i_state & I_NOSEC;
	mode = inode->i_mode;
	mutex_unlock(&inode->i_lock);
	if (nosec || !S_ISREG(mode))
		return 0;
	killed = cred->uid ? killed_mode(mode) : mode;
	err = kill_priv(inode, mode, killed);
	/* Root may keep the bits; then the next writer has to look again. */
	if (err || killed_mode(killed) != killed)
		return err;
	mutex_lock(&inode->i_lock);
	inode->i_state |= I_NOSEC;
	mutex_unlock(&inode->i_lock);
	return 0;
}
