// SPDX-License-Identifier: BSD-2-Clause
/*
 * fs/fuse_file.c - FUSE requests on the data of files
 *
 *   READ   pos         pos+len
 *           |             |
 *      [ page ][ page ][ page ]      referenced pages of the cache, and their
 *        frame   frame   frame       frames are what the reply points at: no
 *           \______|______/          copy here; neighbours in the arena become
 *            iov  iov                one piece. For a page that clients have
 *                                    in a window it is a frame with a copy
 *
 * I1. The kernel takes a READ shorter than it asked for as the end of the file
 *     and shows zeros from there on. So a reply is short only at EOF; when a
 *     page in the middle cannot be had the whole request fails, and the kernel
 *     asks again page by page.
 * I2. Where O_APPEND writes is resolved by the kernel, which knows the size: it
 *     may send the pieces of one large write at once, each with its place. With
 *     cache=writeback so are sizes and times, and it reads through handles
 *     that were opened for writing only.
 * I3. Pages written on behalf of nobody (the kernel's writeback of mappings
 *     and of gathered writes) are passed on without credentials: set-id bits
 *     have been dealt with when the write was made.
 * I4. The kernel keeps a copy of what it reads and writes without a lock owner:
 *     that is its page cache at work, whatever the handle; its direct I/O has
 *     one (Linux fs/fuse/file.c, fuse_send_read). Where clients may write, mm/
 *     is told of each copy, so that it is dropped before the page changes.
 */
#include <fcntl.h>
#include <stdlib.h>

#include "fuse_i.h"
#include "window.h"

/* The open file of a request, or NULL when the request has been answered. */
static struct open_file *op_file(fuse_req_t req, fuse_ino_t ino, uint64_t fh)
{
	struct open_file *file;

	if (is_ctl_nodeid(ino)) {
		reply_err(req, -EPERM);
		return NULL;
	}
	file = handle_get(HANDLE_FILE, fh);
	if (!file)
		reply_err(req, -EBADF);
	return file;
}

/* ---- open and release ---- */

/*
 * What fs/ should know of the flags of an open. Where the kernel caches, it
 * makes O_SYNC and O_DSYNC true itself, with an FSYNC after each write; with
 * FOPEN_DIRECT_IO it leaves that to us (counted here, Linux 6.18).
 */
static int backing_flags(int flags, bool direct)
{
	if (!direct)
		flags &= ~(O_SYNC | O_DSYNC);
	if (sb.opts.cache != FS_CACHE_WRITEBACK)
		return flags & ~O_APPEND;				/* I2 */
	if ((flags & O_ACCMODE) == O_WRONLY)			/* I2 */
		flags = (flags & ~O_ACCMODE) | O_RDWR;
	return flags & ~O_APPEND;
}

/*
 * What the kernel should do with the file, and we with its flags. Handles of
 * both kinds of one inode get along: a direct one hands in what the kernel has
 * dirty, and drops what it has cached, of the range it is about to use.
 */
static void fill_open(struct open_file *file, struct fuse_file_info *fi)
{
	file->flags = backing_flags(fi->flags, file->direct);
	fi->direct_io = file->direct;
	fi->keep_cache = sb.opts.cache != FS_CACHE_NONE;
	/* A reader's close has nothing to report: spare the request. */
	fi->noflush = (fi->flags & O_ACCMODE) == O_RDONLY;
}

static void open_ctl(fuse_req_t req, fuse_ino_t ino, struct fuse_file_info *fi)
{
	struct fs_cred cred = op_cred(req);
	struct ctl_handle *h;
	int err = ctl_open(ino, &cred, fi->flags, &h);

	if (err)
		goto out;
	err = handle_add(HANDLE_CTL, h, &fi->fh);
	if (err)
		goto out_release;
	fi->direct_io = 1;	/* sizes are 0: only READ knows the end */
	fi->noflush = 1;
	if (fuse_reply_open(req, fi) == -ENOENT)
		ctl_release(handle_del(HANDLE_CTL, fi->fh));
	return;

out_release:
	ctl_release(h);
out:
	reply_err(req, err);
}

void op_open(fuse_req_t req, fuse_ino_t ino, struct fuse_file_info *fi)
{
	struct fs_cred cred = op_cred(req);
	struct open_file *file;
	struct inode *inode;
	int err;

	if (ctl_is_trace(ino)) {
		op_trace_open(req, fi);
		return;
	}
	if (is_ctl_nodeid(ino)) {
		open_ctl(req, ino, fi);
		return;
	}
	inode = op_inode(req, ino, 0);
	if (!inode)
		return;
	err = fs_open(inode, &cred, fi->flags, &file);
	iput(inode);
	if (err)
		goto out;
	fill_open(file, fi);
	err = handle_add(HANDLE_FILE, file, &fi->fh);
	if (err)
		goto out_release;
	if (fuse_reply_open(req, fi) == -ENOENT)
		fs_release(handle_del(HANDLE_FILE, fi->fh));
	return;

out_release:
	fs_release(file);
out:
	reply_err(req, err);
}

/* The reply to a create: @file and what the kernel is to know of its inode. */
static int reply_create(fuse_req_t req, struct open_file *file,
			struct fuse_file_info *fi)
{
	struct fuse_entry_param e;
	int err;

	fill_open(file, fi);
	err = handle_add(HANDLE_FILE, file, &fi->fh);
	if (err)
		return err;
	err = fill_entry(file->inode, &e);
	if (err) {
		handle_del(HANDLE_FILE, fi->fh);
		return err;
	}
	if (fuse_reply_create(req, &e, fi) == -ENOENT) {
		inode_forget(e.ino, 1);
		fs_release(handle_del(HANDLE_FILE, fi->fh));
	}
	return 0;
}

void op_create(fuse_req_t req, fuse_ino_t parent, const char *name, mode_t mode,
	       struct fuse_file_info *fi)
{
	struct fs_cred cred = op_cred(req);
	struct inode *dir = op_dir(req, parent, name), *inode;
	struct open_file *file;
	int err;

	if (!dir)
		return;
	err = fs_create(dir, name, &cred, mode, fi->flags, &inode, &file);
	iput(dir);
	if (err) {
		reply_err(req, err);
		return;
	}
	err = reply_create(req, file, fi);
	if (err) {
		fs_release(file);
		reply_err(req, err);
	}
	iput(inode);
}

void op_release(fuse_req_t req, fuse_ino_t ino, struct fuse_file_info *fi)
{
	enum handle_kind kind = ctl_is_trace(ino) ? HANDLE_TRACE :
				is_ctl_nodeid(ino) ? HANDLE_CTL : HANDLE_FILE;
	void *obj = handle_del(kind, fi->fh);

	if (obj)
		handle_put_object(kind, obj);
	reply_err(req, obj ? 0 : -EBADF);
}

/* ---- data ---- */

/* What a READ of a control file has at most; the reader asks again. Arbitrary. */
#define CTL_READ_MAX	(64 * SZ_1K)

static void read_ctl(fuse_req_t req, size_t len, off_t pos, uint64_t fh)
{
	struct ctl_handle *h = handle_get(HANDLE_CTL, fh);
	ssize_t n = -EBADF;
	char *buf = NULL;

	len = min(len, CTL_READ_MAX);
	if (h) {
		buf = malloc(len ? len : 1);
		n = buf ? ctl_read(h, buf, len, pos) : -ENOMEM;
	}
	if (n < 0)
		reply_err(req, (int)n);
	else
		fuse_reply_buf(req, buf, (size_t)n);
	free(buf);
}

static void write_ctl(fuse_req_t req, const char *buf, size_t len, off_t pos,
		      uint64_t fh)
{
	struct ctl_handle *h = handle_get(HANDLE_CTL, fh);
	ssize_t n = h ? ctl_write(h, buf, len, pos) : -EBADF;

	if (n < 0)
		reply_err(req, (int)n);
	else
		fuse_reply_write(req, (size_t)n);
}

/*
 * Pages for all of [@pos, @pos + @len) that lies before EOF; *@nrp of them are
 * the caller's to put, on failure too. Return: bytes, or -errno (I1).
 */
static ssize_t read_pages(struct open_file *file, loff_t pos, size_t len,
			  struct page **pages, unsigned int *nrp)
{
	size_t got = 0, bytes;
	int nr;

	*nrp = 0;
	while (got < len) {
		bytes = 0;
		nr = fs_read_pages(file, pos + (loff_t)got, len - got,
				   pages + *nrp, FUSE_MAX_READ_PAGES - *nrp,
				   &bytes);
		if (nr < 0)
			return nr;
		*nrp += (unsigned int)nr;
		got += bytes;
		/* Within a page: the file ended there when we looked. */
		if (!bytes || !IS_ALIGNED(pos + (loff_t)got, PAGE_SIZE))
			break;
	}
	return (ssize_t)got;
}

/* Will the kernel keep a copy of what it reads or writes (I4)? Then this is
 * noted, so ask before the bytes are touched. */
static bool note_kcached(struct open_file *file, const struct fuse_file_info *fi,
			 loff_t pos, size_t len)
{
	if (fi->lock_owner || likely(!inode_is_tracked(file->inode)))
		return false;
	inode_note_copies(file->inode, pos, len);
	return true;
}

static void release_frames(struct page **pages, unsigned int nr,
			   const pfn_t *pfns)
{
	for (unsigned int i = 0; i < nr; i++)
		page_release_bytes(pages[i], pfns[i]);
}

/* Frames with the pages' bytes, for release_frames(). Return: 0 or -errno. */
static int hold_frames(struct page **pages, unsigned int nr, bool kcached,
		       pfn_t *pfns)
{
	int err;

	for (unsigned int i = 0; i < nr; i++) {
		err = page_hold_bytes(pages[i], kcached, &pfns[i]);
		if (unlikely(err)) {
			release_frames(pages, i, pfns);
			return err;
		}
	}
	return 0;
}

/* Where the @len bytes from @pos on lie. Return: number of pieces. */
static int frames_to_iov(const pfn_t *pfns, loff_t pos, size_t len,
			 struct iovec *iov)
{
	size_t in_page = (size_t)pos & ~PAGE_MASK, n;
	int nr = 0;
	char *p;

	for (; len; len -= n, pfns++, in_page = 0) {
		p = (char *)pfn_to_virt(*pfns) + in_page;
		n = min(len, PAGE_SIZE - in_page);
		if (nr && (char *)iov[nr - 1].iov_base + iov[nr - 1].iov_len == p)
			iov[nr - 1].iov_len += n;
		else
			iov[nr++] = (struct iovec){ .iov_base = p, .iov_len = n };
	}
	return nr;
}

/* Replies with the @len bytes from @pos on, which lie in @nr @pages. */
static void reply_pages(fuse_req_t req, struct page **pages, unsigned int nr,
			loff_t pos, size_t len, bool kcached)
{
	struct iovec iov[FUSE_MAX_READ_PAGES];
	pfn_t pfns[FUSE_MAX_READ_PAGES];
	int err = hold_frames(pages, nr, kcached, pfns);

	if (err) {
		reply_err(req, err);
		return;
	}
	fuse_reply_iov(req, iov, frames_to_iov(pfns, pos, len, iov));
	release_frames(pages, nr, pfns);
}

void op_read(fuse_req_t req, fuse_ino_t ino, size_t len, off_t pos,
	     struct fuse_file_info *fi)
{
	struct page *pages[FUSE_MAX_READ_PAGES];
	struct open_file *file;
	unsigned int nr = 0;
	ssize_t got;

	if (ctl_is_trace(ino)) {
		op_trace_read(req, len, fi);
		return;
	}
	if (is_ctl_nodeid(ino)) {
		read_ctl(req, len, pos, fi->fh);
		return;
	}
	file = op_file(req, ino, fi->fh);
	if (!file)
		return;
	/* More than was agreed at INIT would look like EOF if it were cut. */
	got = len > MAX_RUN_PAGES * PAGE_SIZE ? -EINVAL :
		read_pages(file, pos, len, pages, &nr);
	if (got < 0)
		reply_err(req, (int)got);
	else
		reply_pages(req, pages, nr, pos, got,
			    note_kcached(file, fi, pos, got));
	put_pages(pages, nr);
}

/* (A) see fuse_take_lost() */
static atomic_ulong lost_bytes;
static atomic_int lost_err;

unsigned long fuse_take_lost(int *errp)
{
	*errp = atomic_exchange(&lost_err, 0);
	return atomic_exchange(&lost_bytes, 0);
}

static void note_lost(size_t bytes, int err)
{
	atomic_store(&lost_err, err);
	atomic_fetch_add(&lost_bytes, bytes);
}

/* May the kernel have a copy of some byte of the range? */
static bool range_has_copies(struct address_space *mapping, loff_t pos,
			     size_t len)
{
	pgoff_t index = pos >> PAGE_SHIFT, last = (pos + len - 1) >> PAGE_SHIFT;
	struct page *page;
	bool found = false;

	for (; index <= last && !found; index++) {
		page = find_get_page(mapping, index);
		if (!page)
			continue;
		found = page_test(page, PG_kcached);
		put_page(page);
	}
	return found;
}

/*
 * A read may have overtaken the write and put the old bytes into the kernel's
 * cache, from where the write itself had been dropped for a client's sake:
 *
 *	write(2), cached	client's first store	read(2), cached
 *	copy in the cache
 *				copy dropped
 *							READ: old bytes, cached
 *	WRITE: new bytes
 *
 * A direct write has no copy, and not all kernels drop, when it has ended,
 * what reads have brought meanwhile. Both are rare, but would stay for good.
 */
static void drop_overtakers(struct open_file *file, bool kcached, loff_t pos,
			    size_t len)
{
	struct inode *inode = file->inode;

	if (likely(!atomic_load(&inode->i_kcopies)) ||
	    !inode_has_writing_clients(inode))
		return;
	if (kcached || range_has_copies(&inode->i_data, pos, len))
		notify_inval_inode(inode->i_nodeid, pos, (loff_t)len);
}

void op_write(fuse_req_t req, fuse_ino_t ino, const char *buf, size_t len,
	      off_t pos, struct fuse_file_info *fi)
{
	struct fs_cred cred = op_cred(req), *credp = &cred;
	struct open_file *file;
	ssize_t written;
	bool kcached;

	if (ctl_is_trace(ino)) {
		op_trace_write(req, buf, len, fi->fh);
		return;
	}
	if (is_ctl_nodeid(ino)) {
		write_ctl(req, buf, len, pos, fi->fh);
		return;
	}
	file = op_file(req, ino, fi->fh);
	if (!file)
		return;
	/* I3: and its position is meant, on a handle with O_APPEND too. */
	if (fi->writepage)
		credp = NULL;
	kcached = note_kcached(file, fi, pos, len);
	written = kcached ? fs_write_kcached(file, credp, pos, buf, len) :
		fs_write(file, credp, pos, buf, len);
	if (written > 0)
		drop_overtakers(file, kcached, pos, written);
	if (written < 0 && fi->writepage)
		note_lost(len, (int)written);
	if (written < 0)
		reply_err(req, (int)written);
	else
		fuse_reply_write(req, (size_t)written);
}

/* As op_file(); of a file of ours there is nothing to write: that is success. */
static struct open_file *op_file_to_sync(fuse_req_t req, fuse_ino_t ino,
					 uint64_t fh)
{
	if (is_ctl_nodeid(ino)) {
		reply_err(req, 0);
		return NULL;
	}
	return op_file(req, ino, fh);
}

void op_flush(fuse_req_t req, fuse_ino_t ino, struct fuse_file_info *fi)
{
	struct open_file *file = op_file_to_sync(req, ino, fi->fh);

	if (file)
		reply_err(req, fs_flush(file));
}

void op_fsync(fuse_req_t req, fuse_ino_t ino, int datasync,
	      struct fuse_file_info *fi)
{
	struct open_file *file = op_file_to_sync(req, ino, fi->fh);

	if (file)
		reply_err(req, fs_fsync(file->inode, file, datasync));
}

/* ---- space ---- */

void op_fallocate(fuse_req_t req, fuse_ino_t ino, int mode, off_t pos,
		  off_t len, struct fuse_file_info *fi)
{
	struct fs_cred cred = op_cred(req);
	struct open_file *file = op_file(req, ino, fi->fh);

	if (file)
		reply_err(req, fs_fallocate(file, &cred, mode, pos, len));
}

/*
 * Only SEEK_DATA and SEEK_HOLE come here. With cache=writeback the kernel asks
 * without handing its dirty pages in first, so what we call a hole may have
 * data by now, and a copying program would lose it. "No such request" makes
 * the kernel treat files as all data, which is always right.
 */
void op_lseek(fuse_req_t req, fuse_ino_t ino, off_t pos, int whence,
	      struct fuse_file_info *fi)
{
	struct open_file *file = op_file(req, ino, fi->fh);
	loff_t found;

	if (!file)
		return;
	found = sb.opts.cache == FS_CACHE_WRITEBACK ? -ENOSYS :
		fs_lseek(file, pos, whence);
	if (found < 0)
		reply_err(req, (int)found);
	else
		fuse_reply_lseek(req, found);
}

void op_copy_file_range(fuse_req_t req, fuse_ino_t ino_in, off_t pos_in,
			struct fuse_file_info *fi_in, fuse_ino_t ino_out,
			off_t pos_out, struct fuse_file_info *fi_out,
			size_t len, int flags)
{
	struct fs_cred cred = op_cred(req);
	struct open_file *in, *out;
	ssize_t copied;

	in = op_file(req, ino_in, fi_in->fh);
	if (!in)
		return;
	out = op_file(req, ino_out, fi_out->fh);
	if (!out)
		return;
	copied = flags ? -EINVAL :
		fs_copy_file_range(in, pos_in, out, pos_out, &cred, len);
	if (copied < 0)
		reply_err(req, (int)copied);
	else
		fuse_reply_write(req, (size_t)copied);
}
