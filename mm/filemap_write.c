// SPDX-License-Identifier: BSD-2-Clause
/*
 * mm/filemap_write.c - writing through the page cache
 *
 *   for each page: find or create it, locked
 *                    | not uptodate, nor wholly overwritten: read it
 *                    | under writeback, and the store wants it stable: wait
 *                    | the writer keeps a copy: clients' rights to write go
 *                  copy, uptodate, dirty
 *                  i_size, unlock
 *
 * Relied upon: bytes past i_size are zero (filemap.c I2). Kept: i_size grows
 * before the unlock (I3 there).
 *
 * Locks:  the caller has the owner's write lock. Page lock > tree_lock.
 * Source: Linux mm/filemap.c (generic_perform_write).
 */
#include <string.h>

#include "page.h"
#include "err.h"
#include "swap.h"
#include "window_i.h"

/* The page at @index, locked and referenced; made if there is none. */
static struct page *grab_cache_page(struct address_space *mapping, pgoff_t index)
{
	struct page *page;
	int err;

	for (;;) {
		page = find_lock_page(mapping, index);
		if (page)
			return page;
		page = page_cache_alloc(GFP_USER);
		if (!page)
			return ERR_PTR(-ENOMEM);
		err = add_to_page_cache_lru(page, mapping, index, GFP_KERNEL);
		if (!err)
			return page;
		unlock_page(page);
		put_page(page);
		if (err != -EEXIST)
			return ERR_PTR(err);
	}
}

/* A page that is not uptodate is in no window. */
static void zero_page_range(struct page *page, size_t from, size_t to)
{
	memset((char *)page_address(page) + from, 0, to - from);
}

/*
 * Make @page fit to take bytes [@from, @to): uptodate unless they cover all of
 * it that lies before i_size. Return: 0, -EIO, -EAGAIN (it left the cache).
 */
static int write_begin(struct address_space *mapping, struct page *page,
		       size_t from, size_t to)
{
	loff_t page_pos = (loff_t)page->index << PAGE_SHIFT;
	loff_t size = i_size_read(mapping);

	if (page_test(page, PG_uptodate))
		return 0;
	if (page_pos >= size ||
	    (from == 0 && page_pos + (loff_t)to >= size)) {
		zero_page_range(page, 0, from);
		zero_page_range(page, to, PAGE_SIZE);
		return 0;
	}
	if (from == 0 && to == PAGE_SIZE)
		return 0;
	return read_page_locked(mapping, page);
}

/* Return: true if the page was clean. */
static bool write_end(struct address_space *mapping, struct page *page,
		      loff_t end)
{
	bool was_clean;

	if (!page_test(page, PG_uptodate))
		page_set(page, PG_uptodate);
	was_clean = set_page_dirty(page);
	if (end > i_size_read(mapping)) {
		i_size_write(mapping, end);	/* filemap.c I3 */
		window_resize(mapping);
	}
	return was_clean;
}

/*
 * The writer keeps a copy that no client's store may make stale: from now on a
 * client has to ask. Context: page locked. Return: 0, or -EAGAIN: one could not
 * be told; it is, or is ended, before long.
 */
static int page_is_copied(struct page *page)
{
	if (PageWindow(page) && page_mkclean(&page, 1))
		return -EAGAIN;
	page_set(page, PG_kcached);
	return 0;
}

/* Return: 0 or -errno. */
static int write_one_page(struct address_space *mapping, loff_t pos,
			  const void *buf, size_t len, bool kcached)
{
	size_t off = pos & ~PAGE_MASK;
	struct page *page;
	bool access;
	int err;

	do {
		page = grab_cache_page(mapping, pos >> PAGE_SHIFT);
		if (IS_ERR(page))
			return PTR_ERR(page);
		err = write_begin(mapping, page, off, off + len);
		if (!err) {
			if (mapping->stable_writes)
				wait_on_page_writeback(page);
			if (kcached)
				err = page_is_copied(page);
			if (!err)
				err = page_write_bytes(page, off, buf, len);
		}
		/* small appends to a dirty page are one access */
		if (!err)
			access = write_end(mapping, page, pos + len) || !off;
		unlock_page(page);
		if (!err && access)
			file_page_accessed(mapping, page);
		put_page(page);
	} while (err == -EAGAIN);
	return err;
}

/*
 * A write past the end: what clients have stored beyond it is not part of the
 * file, and must not become so. i_size itself grows page by page.
 */
static void clear_past_end(struct address_space *mapping, loff_t pos)
{
	loff_t size = i_size_read(mapping);

	if (pos + 1 > size && (size & ~PAGE_MASK) &&
	    atomic_load(&mapping->window))
		mapping_grow(mapping, size);
}

ssize_t generic_perform_write(struct address_space *mapping, loff_t pos,
			      const void *buf, size_t len, bool kcached)
{
	size_t done = 0;

	clear_past_end(mapping, pos);
	while (done < len) {
		size_t n = min(PAGE_SIZE - ((pos + done) & ~PAGE_MASK),
			       len - done);
		int err = write_one_page(mapping, pos + done,
					 (const char *)buf + done, n, kcached);

		if (err)
			return done ? (ssize_t)done : err;
		done += n;
	}
	return done;
}
