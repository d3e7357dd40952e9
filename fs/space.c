// SPDX-License-Identifier: BSD-2-Clause
/*
 * fs/space.c - where a file has blocks, and whether there are any left:
 *              fallocate, lseek, copy_file_range, room for what is dirty
 *
 *   fallocate punch/zero   write back range, drop its pages, then the store;
 *                          of files that clients have mapped: write back, the
 *                          store, drop or zero pages, the store again
 *   lseek DATA/HOLE        write back what follows, then ask the store
 *   copy_file_range        write back both ranges, drop the target's pages,
 *                          then the store copies (or shares blocks)
 *
 * I1. A page is not dropped while it is dirty: if the store then refuses, the
 *     file reads as before. Clients' stores do not wait for us, so theirs are
 *     dropped only when the store has agreed.
 * I2. A write the store has no room for fails at once, not at writeback: while
 *     there is plenty nothing is done; when it gets tight, what is dirty is
 *     written back once, and from then on each write allocates its blocks.
 * I3. Room that was made by deleting files is there when the deletion has
 *     returned, as programs expect. The kernel forgets a deleted file a little
 *     later, and dropping its pages takes a while; so a write that finds no
 *     room first waits for those being dropped.
 *
 *   avail >= 2 * dirty + margin      plenty
 *        |            ^ and 2 * margin
 *        v            |
 *   tight: sync once, then fallocate(KEEP_SIZE) before each write
 *
 * Twice, because a write may need more than it brings: metadata, a block for
 * one byte. Writes that saw plenty and are dirtied after that one sync have no
 * blocks; they are few enough to fit into the margin. Were they not, fsync
 * would say so.
 *
 * Locks:  i_rwsem, of two inodes lowest address first > invalidate_lock.
 *         room is atomics only: any recent value will do.
 * Source: Linux fs/ext4/inode.c (ext4_nonda_switch), fs/read_write.c.
 */
#include <fcntl.h>
#include <limits.h>
#include <linux/falloc.h>
#include <unistd.h>

#include "internal.h"
#include "vmstat.h"

/* Bytes that shall be left beyond the dirty ones. Arbitrary: eight threads
 * with a write of 1 MiB each. */
#define ROOM_MARGIN	(8 * SZ_1M)
/* When it seems tight, ask again after so many bytes. Arbitrary. */
#define ROOM_RECHECK	SZ_1M
/* Evictions waited for, at most, for one write. Arbitrary: of files of one
 * page each, room for a write of 256 KiB. */
#define ROOM_TRIES	64u
/* In any case ask again after so long: others use the store too. */
#define ROOM_MAX_AGE_MS	1000
/* The most one copy_file_range does, bytes: it holds both files' locks, and
 * callers loop. Arbitrary; 20 ms of this disk. */
#define COPY_MAX	(64 * SZ_1M)

/* ---- is there room ---- */

/* Fields: (A) all of them. */
static struct {
	atomic_llong avail;	/* bytes free in the store when last asked */
	atomic_llong dirty;	/* bytes dirty then */
	atomic_llong used;	/* bytes to be dirtied since */
	atomic_llong stamp_ms;	/* when that was; 0: never */
	atomic_bool tight;	/* blocks are allocated before writing */
	atomic_bool asking;	/* somebody is at room_refresh() */
} room;

static long long now_ms(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC_COARSE, &ts);
	return (long long)ts.tv_sec * 1000 + ts.tv_nsec / 1000000;
}

static long long dirty_bytes(void)
{
	return (long long)(vm_stat_read(NR_FILE_DIRTY) +
			   vm_stat_read(NR_WRITEBACK)) << PAGE_SHIFT;
}

/* Read in this order, bytes on their way are counted twice rather than not. */
static void __room_refresh(void)
{
	long long used = atomic_load(&room.used);
	long long dirty = dirty_bytes();
	struct statvfs st;

	if (fstatvfs(sb.root_fd, &st))
		return;		/* what we knew has to do */
	atomic_store(&room.avail, (long long)st.f_frsize *
		     (long long)(sb.is_root ? st.f_bfree : st.f_bavail));
	atomic_store(&room.dirty, dirty);
	atomic_fetch_sub(&room.used, used);
	atomic_store(&room.stamp_ms, now_ms());
}

/* By one thread at a time: two would take the same bytes off `used` twice, and
 * then there would seem to be more room than there is. */
static void room_refresh(void)
{
	if (atomic_exchange(&room.asking, true))
		return;
	__room_refresh();
	atomic_store(&room.asking, false);
}

static bool room_is_low(size_t len)
{
	long long dirty = atomic_load(&room.dirty) + atomic_load(&room.used);
	long long margin = ROOM_MARGIN + len;

	if (atomic_load(&room.tight))
		margin *= 2;	/* so as not to go back and forth */
	return atomic_load(&room.avail) < 2 * dirty + margin;
}

/* The same, by figures not too old. */
static bool room_check_low(size_t len)
{
	if (now_ms() - atomic_load(&room.stamp_ms) >= ROOM_MAX_AGE_MS ||
	    (room_is_low(len) &&
	     atomic_load(&room.used) >= (long long)ROOM_RECHECK))
		room_refresh();
	return room_is_low(len);
}

void space_init(void)
{
	atomic_store(&room.used, 0);
	atomic_store(&room.tight, false);
	atomic_store(&room.asking, false);
	room_refresh();
}

void fs_settle_space(size_t len)
{
	if (likely(!room_check_low(len))) {
		if (atomic_load_explicit(&room.tight, memory_order_relaxed))
			atomic_store(&room.tight, false);
	} else if (!atomic_exchange(&room.tight, true)) {
		sync_bdi(&sb.bdi);	/* errors are kept for fsync */
	}
}

/* fallocate(2), to its end. Return: 0 or -errno. */
static int backing_fallocate(struct backing_file *bf, int mode, loff_t pos,
			     loff_t len)
{
	int ret;

	do
		ret = fallocate(bf->fd, mode, pos, len);
	while (ret < 0 && errno == EINTR);
	return ret < 0 ? -errno : 0;
}

int fs_reserve_space(struct inode *inode, loff_t pos, size_t len)
{
	loff_t start = ALIGN_DOWN(pos, (loff_t)PAGE_SIZE);
	loff_t span = ALIGN(pos + (loff_t)len, (loff_t)PAGE_SIZE) - start;
	struct backing_file *bf;
	unsigned int tries;
	int err;

	atomic_fetch_add_explicit(&room.used, span, memory_order_relaxed);
	if (likely(!room_check_low(span)))
		return 0;
	bf = inode_get_file(inode, O_RDWR);
	if (IS_ERR(bf))
		return PTR_ERR(bf);
	err = backing_fallocate(bf, FALLOC_FL_KEEP_SIZE, start, span);
	/* I3: a full store may be about to have room again. */
	for (tries = 0; err == -ENOSPC && tries < ROOM_TRIES &&
			inode_wait_evictions(); tries++)
		err = backing_fallocate(bf, FALLOC_FL_KEEP_SIZE, start, span);
	put_backing_file(bf);
	/* A store that cannot reserve has its say at writeback. */
	return err == -EOPNOTSUPP || err == -ENOSYS ? 0 : err;
}

/* ---- fallocate ---- */

static bool fallocate_mode_known(int mode)
{
	switch (mode) {
	case 0:
	case FALLOC_FL_KEEP_SIZE:
	case FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE:
	case FALLOC_FL_ZERO_RANGE:
	case FALLOC_FL_ZERO_RANGE | FALLOC_FL_KEEP_SIZE:
		return true;
	default:
		return false;
	}
}

/*
 * The store is about to change bytes [@pos, @pos + @len) under the cache (I1).
 * Context: i_rwsem and invalidate_lock for writing. Return: 0 or -errno.
 */
static int drop_cached_range(struct address_space *mapping, loff_t pos,
			     loff_t len)
{
	int err = filemap_write_and_wait_range(mapping, pos, pos + len - 1);

	if (err)
		return err;
	truncate_inode_pages_range(mapping, pos, pos + len - 1);
	return 0;
}

/* Context: as drop_cached_range(). No client has the file mapped. */
static int clear_range(struct inode *inode, struct backing_file *bf, int mode,
		       loff_t pos, loff_t len)
{
	int err = drop_cached_range(&inode->i_data, pos, len);

	return err ? err : backing_fallocate(bf, mode, pos, len);
}

/* The cached pages that [@pos, @end) begins and ends inside of, referenced. */
static void get_edges(struct address_space *mapping, loff_t pos, loff_t end,
		      struct page *edge[2])
{
	edge[0] = pos & ~PAGE_MASK ?
		find_get_page(mapping, pos >> PAGE_SHIFT) : NULL;
	edge[1] = end & ~PAGE_MASK ?
		find_get_page(mapping, end >> PAGE_SHIFT) : NULL;
}

static void put_edges(struct page *edge[2])
{
	for (int i = 0; i < 2; i++)
		if (edge[i])
			put_page(edge[i]);
}

/*
 * The same while clients store to pages of the range:
 *
 *	   pos|                                  |end
 *	[ edge: | whole | whole | whole | whole | edge ]
 *
 *   1. write back: where the file ends in the range, a page dropped in 3 may be
 *      what makes the store's file as long as ours
 *   2. the store clears the range: if it refuses, nothing has happened
 *   3. whole pages are dropped, of edge pages the inner part is zeroed
 *   4. the store clears whole pages again: some may have been dirtied after 1,
 *      and written after 2
 *
 * No page comes into the cache meanwhile, as we hold invalidate_lock. An edge
 * that is not there is cleared by 2. One that is stays: were it written after
 * 2 and then reclaimed, 3 would not find it. It is dirty after 3, and not the
 * store's to clear in 4: what a client stores beside the range is kept.
 * Context: as drop_cached_range().
 */
static int clear_shared_range(struct inode *inode, struct backing_file *bf,
			      int mode, loff_t pos, loff_t len)
{
	struct address_space *mapping = &inode->i_data;
	loff_t end = pos + len, first = ALIGN(pos, (loff_t)PAGE_SIZE);
	loff_t last = ALIGN_DOWN(end, (loff_t)PAGE_SIZE);
	struct page *edge[2];
	int err;

	get_edges(mapping, pos, end, edge);
	err = filemap_write_and_wait_range(mapping, pos, end - 1);
	if (err)
		goto out;
	err = backing_fallocate(bf, mode, pos, len);
	if (err) {
		/* Perhaps it has cleared some before it failed. */
		if (err != -EOPNOTSUPP)
			invalidate_mapping_pages(mapping, pos >> PAGE_SHIFT,
						 (end - 1) >> PAGE_SHIFT);
		goto out;
	}
	err = truncate_pagecache_range(mapping, pos, end - 1);
	if (!err && first < last)
		err = backing_fallocate(bf, mode | FALLOC_FL_KEEP_SIZE, first,
					last - first);
out:
	put_edges(edge);
	return err;
}

/* Context: i_rwsem for writing. */
static int fallocate_locked(struct inode *inode, struct backing_file *bf,
			    int mode, loff_t pos, loff_t len)
{
	struct address_space *mapping = &inode->i_data;
	int err;

	down_write(&mapping->invalidate_lock);
	if (!(mode & (FALLOC_FL_PUNCH_HOLE | FALLOC_FL_ZERO_RANGE)))
		err = backing_fallocate(bf, mode, pos, len);
	else if (inode_has_clients(inode))
		err = clear_shared_range(inode, bf, mode, pos, len);
	else
		err = clear_range(inode, bf, mode, pos, len);
	/* Grown as asked, or partly before ENOSPC. */
	if (!(mode & FALLOC_FL_KEEP_SIZE))
		inode_adopt_size(inode, bf);
	up_write(&mapping->invalidate_lock);
	if (!err)
		inode_contents_changed(inode);
	return err;
}

int fs_fallocate(struct open_file *file, const struct fs_cred *cred, int mode,
		 loff_t pos, loff_t len)
{
	struct inode *inode = file->inode;
	struct backing_file *bf;
	int err;

	if (pos < 0 || len <= 0)
		return -EINVAL;
	if (!fallocate_mode_known(mode))
		return -EOPNOTSUPP;
	if (pos > FS_MAX_BYTES - len)
		return -EFBIG;
	bf = inode_get_file(inode, O_RDWR);
	if (IS_ERR(bf))
		return PTR_ERR(bf);
	down_write(&inode->i_rwsem);
	err = inode_kill_priv(inode, cred);
	if (!err)
		err = fallocate_locked(inode, bf, mode, pos, len);
	up_write(&inode->i_rwsem);
	put_backing_file(bf);
	return err;
}

/* ---- lseek ---- */

/*
 * The store's answer. Its file offset is shared by all who ask, and that does
 * not matter: nobody reads or writes at it. Return: bytes or -errno.
 */
static loff_t backing_lseek(struct backing_file *bf, loff_t pos, int whence,
			    loff_t size)
{
	loff_t ret = lseek(bf->fd, pos, whence);

	if (ret < 0)
		return -errno;
	if (ret < size)
		return ret;
	return whence == SEEK_DATA ? -ENXIO : size;
}

loff_t fs_lseek(struct open_file *file, loff_t pos, int whence)
{
	struct inode *inode = file->inode;
	struct backing_file *bf;
	loff_t ret, size;

	if (whence != SEEK_DATA && whence != SEEK_HOLE)
		return -EINVAL;		/* the kernel knows the others itself */
	bf = inode_get_file(inode, O_RDONLY);
	if (IS_ERR(bf))
		return PTR_ERR(bf);
	down_read(&inode->i_rwsem);
	size = i_size_read(&inode->i_data);
	ret = pos < 0 || pos >= size ? -ENXIO :
		filemap_write_and_wait_range(&inode->i_data, pos, size - 1);
	if (!ret)
		ret = backing_lseek(bf, pos, whence, size);
	up_read(&inode->i_rwsem);
	put_backing_file(bf);
	return ret;
}

/* ---- copy_file_range ---- */

/* One copy; the files are referenced, the inodes locked. */
struct copy {
	struct inode *in, *out;
	struct backing_file *in_bf, *out_bf;
	loff_t in_pos, out_pos;
	size_t len;
};

/*
 * Outside the daemon's memory: where the store cannot share blocks, its kernel
 * copies through its own page cache. Return: bytes, or -errno if none.
 */
static ssize_t backing_copy(const struct copy *c)
{
	off64_t in = c->in_pos, out = c->out_pos;
	size_t done = 0;

	while (done < c->len) {
		ssize_t n = copy_file_range(c->in_bf->fd, &in, c->out_bf->fd,
					    &out, c->len - done, 0);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0 && !done)
			return -errno;
		if (n <= 0)
			break;
		done += n;
	}
	return done;
}

/*
 * What is copied has to be in the store: its dirty pages, and where it is a
 * hole before dirty pages that make the file longer, those too, or the store
 * takes the hole for the file's end. Context: i_rwsem for writing.
 */
static int write_back_source(const struct copy *c)
{
	struct address_space *in = &c->in->i_data;
	loff_t end = c->in_pos + (loff_t)c->len;
	struct stat st;

	if (fstat(c->in_bf->fd, &st))
		return -errno;
	return filemap_write_and_wait_range(in, c->in_pos,
					    st.st_size < end ? LLONG_MAX : end - 1);
}

/* Context: both i_rwsems for writing. */
static ssize_t copy_locked(const struct copy *c)
{
	struct address_space *out = &c->out->i_data;
	ssize_t ret;

	ret = write_back_source(c);
	if (ret)
		return ret;
	down_write(&out->invalidate_lock);
	ret = drop_cached_range(out, c->out_pos, c->len);
	if (!ret) {
		ret = backing_copy(c);
		inode_adopt_size(c->out, c->out_bf);
	}
	up_write(&out->invalidate_lock);
	if (ret > 0)
		inode_contents_changed(c->out);
	return ret;
}

/* What there is to copy. Context: both i_rwsems. Return: 0 or -errno. */
static int copy_checks(struct copy *c)
{
	loff_t in_size = i_size_read(&c->in->i_data);

	/* Its pages would be dropped, with what clients store beside them. */
	if (inode_has_clients(c->out))
		return -EOPNOTSUPP;
	if (c->out_pos >= FS_MAX_BYTES)
		return -EFBIG;
	if (c->in_pos >= in_size)
		c->len = 0;
	else
		c->len = min_t(loff_t, c->len, in_size - c->in_pos);
	c->len = min_t(loff_t, c->len, FS_MAX_BYTES - c->out_pos);
	if (c->in == c->out && c->in_pos < c->out_pos + (loff_t)c->len &&
	    c->out_pos < c->in_pos + (loff_t)c->len)
		return -EINVAL;
	return 0;
}

static ssize_t copy_inodes(struct copy *c, const struct fs_cred *cred)
{
	ssize_t ret;

	lock_two_inodes(c->in, c->out);
	ret = copy_checks(c);
	if (!ret && c->len) {
		ret = inode_kill_priv(c->out, cred);
		if (!ret)
			ret = copy_locked(c);
	}
	unlock_two_inodes(c->in, c->out);
	/* Then, and at -EOPNOTSUPP, the kernel copies by reading and writing. */
	return ret == -EXDEV || ret == -ENOSYS ? -EOPNOTSUPP : ret;
}

ssize_t fs_copy_file_range(struct open_file *in, loff_t pos_in,
			   struct open_file *out, loff_t pos_out,
			   const struct fs_cred *cred, size_t len)
{
	struct copy c = {
		.in = in->inode, .out = out->inode,
		.in_pos = pos_in, .out_pos = pos_out,
		.len = min(len, COPY_MAX),
	};
	ssize_t ret;

	if (pos_in < 0 || pos_out < 0)
		return -EINVAL;
	c.in_bf = inode_get_file(c.in, O_RDONLY);
	if (IS_ERR(c.in_bf))
		return PTR_ERR(c.in_bf);
	c.out_bf = inode_get_file(c.out, O_RDWR);
	if (IS_ERR(c.out_bf)) {
		ret = PTR_ERR(c.out_bf);
		goto out_put_in;
	}
	ret = copy_inodes(&c, cred);
	put_backing_file(c.out_bf);
out_put_in:
	put_backing_file(c.in_bf);
	return ret;
}
