// SPDX-License-Identifier: BSD-2-Clause
/*
 * fs/file.c - open files: open, read, write, fsync, advice, truncate
 *
 *   write --> page cache --writepages--> backing file --fdatasync--> device
 *     |            |  end_page_writeback(err)      |  err
 *     |            v                               v
 *     |          mapping->wb_err <-----------------+
 *     +-- room, limits                |
 *                                     +--> open_file->wb_since: fsync, flush
 *
 * I1. i_size changes only with i_rwsem held for writing, and falls only with
 *     invalidate_lock held for writing as well.
 * I2. The backing file is never larger than i_size, except between the two
 *     steps of an operation that makes it larger anyway (truncate up,
 *     fallocate), which holds i_rwsem.
 * I3. Every writeback error is reported to each open file once, by fsync. An
 *     error of the device's own flush is put into wb_err too, so that other
 *     open files hear of it: the kernel tells the daemon once.
 *
 * Locks:  i_rwsem > invalidate_lock > page locks > what opening the backing
 *         file takes.
 * Source: Linux mm/filemap.c (generic_file_write_iter), fs/sync.c,
 *         fs/open.c (do_truncate).
 */
#include <fcntl.h>
#include <limits.h>
#include <unistd.h>

#include "internal.h"
#include "mmzone.h"
#include "window.h"

/*
 * Limit of a read-ahead window, pages: 2 MiB keep this disk busy (3.5 GB/s at
 * 1 MiB a request, measured) while the window before is consumed.
 */
#define FS_RA_PAGES	(2 * MAX_RUN_PAGES)
/* Nor more than this share of memory, for eight streams and then some. */
#define FS_RA_SHARE	64

/* ---- open and close ---- */

unsigned int fs_ra_pages(void)
{
	return min_t(unsigned long, FS_RA_PAGES,
		     totalram_frames() / FS_RA_SHARE);
}

/*
 * Shall the kernel keep no copies for this open? A cached handle is coherent
 * with clients' stores, at the price of an invalidation now and then; so while
 * clients may write, new handles are better without. With cache=writeback a
 * writer must be: the kernel would keep his bytes to itself. O_DIRECT asks for
 * the same, and makes a file mappable that is open for writing, and stores to
 * it cheap (fs/mmap.c I5).
 * Context: i_lock.
 */
static bool __open_direct(const struct inode *inode, int flags)
{
	bool has_clients = inode->i_vm_file[false] || inode->i_vm_file[true];

	if (sb.opts.cache == FS_CACHE_NONE)
		return true;
	if (sb.opts.cache == FS_CACHE_WRITEBACK &&
	    (flags & O_ACCMODE) != O_RDONLY &&
	    (has_clients || ((flags & O_DIRECT) && sb.direct_mmap)))
		return true;
	if (!sb.direct_mmap)
		return false;
	return mapping_writably_mapped(&inode->i_data) ||
		inode_is_scanned(inode) ||
		(sb.opts.cache == FS_CACHE_THROUGH && (flags & O_DIRECT));
}

/* Does the kernel gather, or pass on from copies of its own, what it writes? */
static bool is_cached_writer(const struct open_file *file)
{
	return !file->direct && (file->flags & O_ACCMODE) != O_RDONLY;
}

static struct open_file *alloc_open_file(struct inode *inode, int flags)
{
	struct open_file *file = kzalloc(sizeof(*file), GFP_KERNEL);

	if (!file)
		return NULL;
	ihold(inode);
	file->inode = inode;
	file->flags = flags;
	file->accmode = flags & O_ACCMODE;
	atomic_store(&file->wb_since, errseq_sample(&inode->i_data.wb_err));
	file_ra_state_init(&file->ra, fs_ra_pages());
	mutex_lock(&inode->i_lock);
	inode->i_opens++;
	/* At once: fs/mmap.c looks at these under the same lock. */
	file->direct = __open_direct(inode, flags);
	inode->i_writers += is_cached_writer(file);
	inode->i_cached += !file->direct;
	mutex_unlock(&inode->i_lock);
	return file;
}

void fs_release(struct open_file *file)
{
	struct inode *inode = file->inode;

	mutex_lock(&inode->i_lock);
	inode->i_opens--;
	inode->i_writers -= is_cached_writer(file);
	inode->i_cached -= !file->direct;
	mutex_unlock(&inode->i_lock);
	file_ra_state_destroy(&file->ra);
	kfree(file);
	iput(inode);
}

int fs_open_created(struct inode *inode, int flags, struct open_file **filep)
{
	struct open_file *file = alloc_open_file(inode, flags);

	if (!file)
		return -ENOMEM;
	*filep = file;
	return 0;
}

/*
 * May the daemon's user open it so? As root it may, and the kernel has checked
 * the caller's rights; then the file is opened at the first I/O, and one that
 * is only opened and closed costs no descriptor.
 */
int inode_may_open(struct inode *inode, int flags)
{
	struct backing_file *bf;

	if (sb.is_root)
		return 0;
	bf = inode_get_file(inode, (flags & O_ACCMODE) == O_RDONLY ?
				   O_RDONLY : O_RDWR);
	if (IS_ERR(bf))
		return PTR_ERR(bf);
	put_backing_file(bf);
	return 0;
}

static int open_truncate(struct inode *inode, const struct fs_cred *cred)
{
	int err = inode_kill_priv(inode, cred);

	return err ? err : fs_truncate(inode, 0);
}

int fs_open(struct inode *inode, const struct fs_cred *cred, int flags,
	    struct open_file **filep)
{
	struct open_file *file;
	int err;

	if (!S_ISREG(READ_ONCE(inode->i_mode)))		/* the type is constant */
		return S_ISDIR(READ_ONCE(inode->i_mode)) ? -EISDIR : -ENXIO;
	file = alloc_open_file(inode, flags);
	if (!file)
		return -ENOMEM;
	err = inode_may_open(inode, flags);
	if (!err && (flags & O_TRUNC))
		err = open_truncate(inode, cred);
	if (err) {
		fs_release(file);
		return err;
	}
	*filep = file;
	return 0;
}

int fs_flush(struct open_file *file)
{
	/* Looks only: fsync has still to say it (I3). */
	return errseq_check(&file->inode->i_data.wb_err,
			    atomic_load(&file->wb_since));
}

/* ---- read ---- */

int fs_read_pages(struct open_file *file, loff_t pos, size_t len,
		  struct page **pages, unsigned int max, size_t *bytesp)
{
	if (pos < 0)
		return -EINVAL;
	return filemap_get_pages(&file->inode->i_data, &file->ra, pos, len,
				 pages, max, bytesp);
}

/* ---- fsync ---- */

/* What has reached the backing file, to its device. */
static int sync_backing(struct inode *inode, bool datasync)
{
	struct backing_file *bf = inode_get_file(inode, O_RDONLY);
	int err = 0;

	/*
	 * Opened if it is not: writeback may have closed it since, and what
	 * it wrote is in the device's cache at best.
	 */
	if (IS_ERR(bf))
		return PTR_ERR(bf);
	if ((datasync ? fdatasync(bf->fd) : fsync(bf->fd)) < 0)
		err = -errno;
	put_backing_file(bf);
	if (err)
		errseq_set(&inode->i_data.wb_err, err);		/* I3 */
	return err;
}

int fs_fsync(struct inode *inode, struct open_file *file, bool datasync)
{
	struct address_space *mapping = &inode->i_data;
	/* Without an open file: errors nobody has heard of, and new ones. */
	atomic_uint unseen = errseq_sample(&mapping->wb_err);
	int err, store_err, seen_err;

	err = sync_mapping(mapping, datasync);
	/* What could be written goes to the device even if not all could. */
	store_err = sync_backing(inode, datasync);
	inode_tell_times(inode);
	seen_err = errseq_check_and_advance(&mapping->wb_err,
					    file ? &file->wb_since : &unseen);
	if (seen_err)
		return seen_err;
	return err ? err : store_err;
}

int fs_sync_range(struct inode *inode, atomic_uint *since, loff_t pos,
		  size_t len)
{
	struct address_space *mapping = &inode->i_data;
	int err, store_err, seen_err;

	err = filemap_write_and_wait_range(mapping, pos, pos + len - 1);
	store_err = sync_backing(inode, true);
	seen_err = errseq_check_and_advance(&mapping->wb_err, since);
	if (seen_err)
		return seen_err;
	return err ? err : store_err;
}

/* O_SYNC and O_DSYNC: the bytes just written, and what it takes to find them. */
static int sync_written(struct open_file *file, loff_t pos, size_t len)
{
	if ((file->flags & O_SYNC) == O_SYNC)
		return fs_fsync(file->inode, file, false);
	return fs_sync_range(file->inode, &file->wb_since, pos, len);
}

/* ---- write ---- */

void inode_contents_changed(struct inode *inode)
{
	/* Set before and after writeback: see inode_revalidate(). */
	mutex_lock(&inode->i_lock);
	inode->i_state |= I_BLOCKS;
	mutex_unlock(&inode->i_lock);
	inode_touch_mtime(inode);
}

/*
 * Will the store take bytes up to @end at all? Asked of its own limit, which
 * lseek() checks; every file system we know has room for 2 GiB. Without this
 * the bytes would be accepted, and lost at writeback.
 */
static int check_store_limit(struct inode *inode, struct backing_file *bf,
			     loff_t end)
{
	if (end <= INT_MAX || end <= i_size_read(&inode->i_data))
		return 0;
	return lseek(bf->fd, end, SEEK_SET) < 0 ? -EFBIG : 0;
}

/* May @len bytes at @pos be written? Return: 0 or -errno. Context: i_rwsem. */
static int write_prepare(struct inode *inode, struct backing_file *bf,
			 const struct fs_cred *cred, loff_t pos, size_t len)
{
	int err = check_store_limit(inode, bf, pos + len);

	if (!err && cred)
		err = inode_kill_priv(inode, cred);
	return err ? err : fs_reserve_space(inode, pos, len);
}

/* Where the bytes go, and how many. Context: i_rwsem. Return: 0 or -EFBIG. */
static int write_checks(struct open_file *file, const struct fs_cred *cred,
			loff_t *pos, size_t *len)
{
	/* The kernel's own writeback (no cred) has its position already. */
	if (cred && (file->flags & O_APPEND))
		*pos = i_size_read(&file->inode->i_data);
	if (*pos >= FS_MAX_BYTES)
		return -EFBIG;
	*len = min_t(loff_t, *len, FS_MAX_BYTES - *pos);
	return 0;
}

/* *@posp: in, where to write; out, where it was written. */
static ssize_t write_locked(struct open_file *file, struct backing_file *bf,
			    const struct fs_cred *cred, loff_t *posp,
			    const void *buf, size_t len, bool kcached)
{
	struct inode *inode = file->inode;
	ssize_t ret;

	down_write(&inode->i_rwsem);
	ret = write_checks(file, cred, posp, &len);
	if (!ret)
		ret = write_prepare(inode, bf, cred, *posp, len);
	if (!ret)
		ret = generic_perform_write(&inode->i_data, *posp, buf, len,
					    kcached);
	if (ret > 0)
		inode_contents_changed(inode);
	up_write(&inode->i_rwsem);
	return ret;
}

/*
 * The writer waits its turn. An error means that the limit is reached and the
 * device takes nothing. The bytes are in the cache and dirty all the same, so
 * the write has happened, and that is what is returned while this file is not
 * known to be affected. Once a page of this file has failed, the writer is
 * told now: else it would go on filling memory until nobody has any.
 */
static ssize_t throttle_writer(struct open_file *file, loff_t pos,
			       ssize_t written)
{
	struct address_space *mapping = &file->inode->i_data;
	pgoff_t first = pos >> PAGE_SHIFT;
	pgoff_t last = (pos + written - 1) >> PAGE_SHIFT;
	int err;

	if (!balance_dirty_pages_ratelimited(mapping, last - first + 1))
		return written;
	err = errseq_check(&mapping->wb_err, atomic_load(&file->wb_since));
	return err ? err : written;
}

static ssize_t __fs_write(struct open_file *file, const struct fs_cred *cred,
			  loff_t pos, const void *buf, size_t len, bool kcached)
{
	struct backing_file *bf;
	ssize_t ret;
	int err;

	if (pos < 0)
		return -EINVAL;
	if (!len)
		return 0;
	/* Held until the pages are dirty: a dirty inode keeps its file. */
	bf = inode_get_file(file->inode, O_RDWR);
	if (IS_ERR(bf))
		return PTR_ERR(bf);
	fs_settle_space(len);
	ret = write_locked(file, bf, cred, &pos, buf, len, kcached);
	put_backing_file(bf);
	if (ret <= 0)
		return ret;
	if (file->flags & O_DSYNC) {
		err = sync_written(file, pos, ret);
		if (err)
			return err;
	}
	return throttle_writer(file, pos, ret);
}

ssize_t fs_write(struct open_file *file, const struct fs_cred *cred, loff_t pos,
		 const void *buf, size_t len)
{
	return __fs_write(file, cred, pos, buf, len, false);
}

ssize_t fs_write_kcached(struct open_file *file, const struct fs_cred *cred,
			 loff_t pos, const void *buf, size_t len)
{
	return __fs_write(file, cred, pos, buf, len, true);
}

/* ---- advice ---- */

/* Root, the daemon's user, who has the mount, and the owner. */
static bool may_set_policy(struct inode *inode, const struct fs_cred *cred)
{
	uid_t owner;

	mutex_lock(&inode->i_lock);
	owner = inode->i_uid;
	mutex_unlock(&inode->i_lock);
	return cred->uid == 0 || cred->uid == geteuid() || cred->uid == owner;
}

int fs_advise(struct inode *inode, const struct fs_cred *cred,
	      enum fadvise advice, unsigned long *nrp)
{
	/* These two change nothing that lasts; as with posix_fadvise(2), whoever
	 * has the file open may say them. */
	if (advice != FADV_WILLNEED && advice != FADV_DONTNEED &&
	    advice != NR_FADVISE && !may_set_policy(inode, cred))
		return -EPERM;
	*nrp = mapping_fadvise(&inode->i_data, advice);
	return 0;
}

/* ---- truncate ---- */

void inode_adopt_size(struct inode *inode, struct backing_file *bf)
{
	struct address_space *mapping = &inode->i_data;
	struct stat st;

	if (!fstat(bf->fd, &st) && st.st_size > i_size_read(mapping))
		mapping_grow(mapping, st.st_size);
}

/*
 * Pages go first, then the backing file's end: a page written in between would
 * make the file longer again. If the store then refuses, what was cut off is
 * whatever the backing file has; dirty bytes beyond the new size are gone, as
 * they would have been.
 *
 * Context: i_rwsem, invalidate_lock, both for writing.
 */
static int truncate_down(struct inode *inode, struct backing_file *bf,
			 loff_t size)
{
	struct address_space *mapping = &inode->i_data;
	int err;

	/* Waits for writes in flight, cut at the old size (aops.c I1). */
	truncate_pagecache(mapping, size);
	if (!ftruncate(bf->fd, size))
		return 0;
	err = -errno;
	inode_adopt_size(inode, bf);
	/* Its tail was zeroed; read it again, unless it is dirty. */
	invalidate_mapping_pages(mapping, size >> PAGE_SHIFT, size >> PAGE_SHIFT);
	return err;
}

/* Context: as truncate_down(). */
static int truncate_up(struct inode *inode, struct backing_file *bf,
		       loff_t size)
{
	if (ftruncate(bf->fd, size))
		return -errno;
	mapping_grow(&inode->i_data, size);
	return 0;
}

int fs_truncate(struct inode *inode, loff_t size)
{
	struct address_space *mapping = &inode->i_data;
	struct backing_file *bf;
	int err;

	if (size < 0)
		return -EINVAL;
	if (size > FS_MAX_BYTES)
		return -EFBIG;
	bf = inode_get_file(inode, O_RDWR);
	if (IS_ERR(bf))
		return PTR_ERR(bf);
	down_write(&inode->i_rwsem);
	down_write(&mapping->invalidate_lock);
	if (size < i_size_read(mapping))
		err = truncate_down(inode, bf, size);
	else
		err = truncate_up(inode, bf, size);
	up_write(&mapping->invalidate_lock);
	if (!err)
		inode_contents_changed(inode);
	up_write(&inode->i_rwsem);
	put_backing_file(bf);
	return err;
}
