// SPDX-License-Identifier: BSD-2-Clause
/*
 * fs/aops.c - address_space_operations: what mm/ asks of a file's owner
 *
 *   mm/ --readpages, writepages--> here --backing_rw()--> backing.c
 *       --write_inode-----------> attr.c   times, after the data
 *       --grab, put-------------> inode.c  a reference while a flusher works
 *       --stored----------------> mmap.c   clients' stores, found by scanning
 *
 * I1. What is written is cut at i_size, sampled here after the pages went
 *     under writeback. A truncate lowers i_size first and then waits for pages
 *     under writeback; so a write cut at the old size ends before the backing
 *     file is cut, and a later one sees the new size.
 * I2. The backing file is referenced per run: it may be closed, or replaced by
 *     a writable one, between two runs of one file.
 * I3. PG_kcached says what the kernel may have a copy of, but goes with the
 *     page. So what is read in of an inode the kernel was given copies of has
 *     it from the start.
 *
 * Locks:  none here, but opening the backing file takes what is inside
 *         LOCK_INVALIDATE and a page lock.
 * Source: Linux include/linux/fs.h; I1 as in block_write_full_page().
 */
#include <fcntl.h>

#include "internal.h"
#include "trace.h"

/* Context: pages locked. */
static void set_kcached(struct page **pages, unsigned int nr)
{
	for (unsigned int i = 0; i < nr; i++)
		page_set(pages[i], PG_kcached);
}

static void pagefs_readpages(struct address_space *mapping, struct page **pages,
			     unsigned int nr, enum read_mode mode)
{
	struct backing_file *file = inode_get_file(I(mapping), O_RDONLY);

	if (IS_ERR(file)) {
		for (unsigned int i = 0; i < nr; i++)
			end_page_read(pages[i], PTR_ERR(file));
		return;
	}
	if (unlikely(atomic_load(&I(mapping)->i_kcopies)))
		set_kcached(pages, nr);				/* I3 */
	backing_rw(BACKING_READ, file, pages, nr, nr * PAGE_SIZE, NULL,
		   mode == READ_AHEAD);
	if (mode == READ_WAIT)
		backing_wait();
	put_backing_file(file);
}

static void end_pages_writeback(struct page **pages, unsigned int nr, int err)
{
	for (unsigned int i = 0; i < nr; i++)
		end_page_writeback(pages[i], err);
}

/* Bytes of a run of @nr pages at @pos that the file has (I1). */
static size_t bytes_inside(struct address_space *mapping, loff_t pos,
			   unsigned int nr)
{
	loff_t size = i_size_read(mapping);

	if (pos >= size)
		return 0;
	return min_t(loff_t, size - pos, nr * PAGE_SIZE);
}

/* The event of a write that did not come to be a request. */
static __cold void trace_unwritten(struct address_space *mapping, pgoff_t index,
				   unsigned int nr,
				   const struct writeback_control *wbc, int err)
{
	const struct trace_write write = {
		.index = index,
		.nr = nr,
		.age_ms = wbc->age_ms,
		.queue_us = TRACE_UNKNOWN,
		.device_us = TRACE_UNKNOWN,
		.err = (int16_t)err,
		.reason = wbc->reason,
	};

	trace_writeback_pages(mapping->ino, &write);
}

static void pagefs_writepages(struct address_space *mapping,
			      struct page **pages, unsigned int nr,
			      struct writeback_control *wbc)
{
	loff_t pos = (loff_t)pages[0]->index << PAGE_SHIFT;
	size_t bytes = bytes_inside(mapping, pos, nr);
	unsigned int keep = DIV_ROUND_UP(bytes, PAGE_SIZE);
	struct backing_file *file;

	/* Truncated since they were dirtied: whoever did it waits for them. */
	end_pages_writeback(pages + keep, nr - keep, 0);
	if (!keep)
		return;		/* the mapping may be gone by now */
	file = inode_get_file(I(mapping), O_RDWR);
	if (IS_ERR(file)) {
		if (trace_enabled(writeback_pages))
			trace_unwritten(mapping, pages[0]->index, keep, wbc,
					PTR_ERR(file));
		end_pages_writeback(pages, keep, PTR_ERR(file));
		return;
	}
	if (unlikely(inode_is_tracked(I(mapping))))
		inode_keep_mtime(I(mapping));
	/* Nobody will wait for a pass that is not for integrity and yet of a
	 * file's own: msync(MS_ASYNC). */
	backing_rw(BACKING_WRITE, file, pages, keep, bytes, wbc,
		   wbc->sync_mode == WB_SYNC_NONE &&
		   wbc->reason == WB_REASON_SYNC);
	put_backing_file(file);
}

static int pagefs_write_inode(struct address_space *mapping,
			      struct writeback_control *wbc)
{
	(void)wbc;
	inode_tell_times(I(mapping));
	return inode_store_times(I(mapping));
}

static void pagefs_stored(struct address_space *mapping, pgoff_t index,
			  unsigned long nr, bool kcached)
{
	inode_pages_stored(I(mapping), index, nr, kcached);
}

static bool pagefs_grab(struct address_space *mapping)
{
	return igrab(I(mapping));
}

static void pagefs_put(struct address_space *mapping)
{
	iput(I(mapping));
}

const struct address_space_operations pagefs_aops = {
	.readpages	= pagefs_readpages,
	.writepages	= pagefs_writepages,
	.write_inode	= pagefs_write_inode,
	.stored		= pagefs_stored,
	.grab		= pagefs_grab,
	.put		= pagefs_put,
};
