// SPDX-License-Identifier: BSD-2-Clause
/*
 * mm/truncate.c - taking pages out of a mapping
 *
 *   truncate_inode_pages_range	waits for each page, drops it dirty or not
 *   truncate_pagecache_range	the same, but zeroes the ends' pages
 *   invalidate_mapping_pages	drops what is clean and idle, waits for nothing
 *
 * I1. With invalidate_lock held for writing nobody adds pages, so one walk in
 *     index order is enough: what it has passed stays empty.
 * I2. Pages leave the cache before their memory leaves the window. In between a
 *     client may still use it, as if before the truncate; it cannot make it
 *     come back, since faults look for the page in the cache.
 *
 * I3. What was charged for the window is given back after its memory is, or
 *     others would take more than there is.
 *
 * Locks:  invalidate_lock (write, the caller's) > page lock > tree_lock.
 * Source: Linux mm/truncate.c.
 */
#include <limits.h>
#include <string.h>

#include "page.h"
#include "rcu.h"
#include "swap.h"
#include "window_i.h"

/* Context: page locked. Return: pages whose memory is in the window still. */
static unsigned int truncate_page(struct address_space *mapping,
				  struct page *page)
{
	unsigned int nr = 0;

	if (page_mapping(page) != mapping)
		return 0;	/* reclaimed while we waited for the lock */
	wait_on_page_writeback(page);
	if (PageWindow(page)) {
		unmap_mapping_range(mapping, page->index, page->index);
		window_forget_page(page);
		nr = 1;
	}
	cancel_dirty_page(page);
	delete_from_page_cache(page);
	return nr;
}

/* Pages of the range are in the window no more. */
static void truncate_window(struct address_space *mapping, pgoff_t first,
			    pgoff_t last)
{
	struct window *w = atomic_load(&mapping->window);
	pgoff_t end = DIV_ROUND_UP(i_size_read(mapping), (loff_t)PAGE_SIZE);

	if (!w)
		return;
	window_resize(mapping);			/* cuts what is past the end */
	if (first < end)
		window_punch(mapping, first, min(last, end - 1) - first + 1);
}

/* Return: as truncate_page(), of all that can be found. */
static unsigned long truncate_found(struct address_space *mapping,
				    pgoff_t index, pgoff_t last)
{
	struct page *pages[PAGEVEC_SIZE];
	unsigned long charged = 0;
	unsigned int nr;

	while ((nr = find_get_pages_range(mapping, &index, last, PAGEVEC_SIZE,
					  pages, ANY_TAG))) {
		for (unsigned int i = 0; i < nr; i++) {
			lock_page(pages[i]);
			charged += truncate_page(mapping, pages[i]);
			unlock_page(pages[i]);
			put_page(pages[i]);
		}
	}
	return charged;
}

/*
 * Reclaim may have frozen what is left, and nobody can tell whether that goes or
 * comes back. So it is looked up, which lasts until it has done either.
 * Return: false: there is nothing.
 */
static bool wait_for_frozen(struct address_space *mapping, pgoff_t *indexp,
			    pgoff_t last)
{
	unsigned int found;
	struct page *page;
	uint64_t index;
	void *item;

	mm_rcu_read_lock();
	found = radix_tree_gang_lookup(&mapping->i_pages, &item, &index,
				       *indexp, last, 1);
	mm_rcu_read_unlock();
	if (!found)
		return false;
	*indexp = index;
	page = find_get_page(mapping, index);
	if (page)
		put_page(page);
	return true;
}

void truncate_inode_pages_range(struct address_space *mapping, loff_t lstart,
				loff_t lend)
{
	const pgoff_t first = lstart >> PAGE_SHIFT, last = lend >> PAGE_SHIFT;
	unsigned long charged = 0;
	pgoff_t index = first;

	do
		charged += truncate_found(mapping, index, last);
	while (wait_for_frozen(mapping, &index, last));
	truncate_window(mapping, first, last);
	if (charged)
		window_uncharge(charged);	/* now that it is gone: I3 */
	reclaim_progress();
}

/*
 * Zeroes bytes [@from, @to) of the page at @index, if it is cached.
 * Return: 0, -EIO; the page is @dirty then, if that is wanted.
 */
static int zero_cached(struct address_space *mapping, pgoff_t index,
		       size_t from, size_t to, bool dirty)
{
	struct page *page = find_lock_page(mapping, index);
	int err = 0;

	if (!page)
		return 0;
	/*
	 * A write that began with the old bytes must not reach the file after
	 * the owner has cut it: it would grow it again, or fill the hole.
	 */
	wait_on_page_writeback(page);
	if (page_test(page, PG_uptodate)) {
		err = page_zero_bytes(page, from, to - from);
		if (dirty)
			set_page_dirty(page);
	}
	unlock_page(page);
	put_page(page);
	return err;
}

void truncate_pagecache(struct address_space *mapping, loff_t newsize)
{
	loff_t oldsize = i_size_read(mapping);

	i_size_write(mapping, newsize);
	if (newsize >= oldsize)
		return;
	if (newsize & ~PAGE_MASK)
		zero_cached(mapping, newsize >> PAGE_SHIFT,
			    newsize & ~PAGE_MASK, PAGE_SIZE, false);
	truncate_inode_pages_range(mapping, ALIGN(newsize, PAGE_SIZE), LLONG_MAX);
}

int truncate_pagecache_range(struct address_space *mapping, loff_t lstart,
			     loff_t lend)
{
	pgoff_t first = lstart >> PAGE_SHIFT, last = lend >> PAGE_SHIFT;
	size_t from = lstart & ~PAGE_MASK, to = (lend & ~PAGE_MASK) + 1;
	int err = 0;

	if (first == last && (from || to < PAGE_SIZE))
		return zero_cached(mapping, first, from, to, true);
	if (from)
		err = zero_cached(mapping, first, from, PAGE_SIZE, true);
	if (!err && to < PAGE_SIZE)
		err = zero_cached(mapping, last, 0, to, true);
	if (err)
		return err;
	lstart = ALIGN(lstart, (loff_t)PAGE_SIZE);
	lend = to < PAGE_SIZE ? ALIGN_DOWN(lend, (loff_t)PAGE_SIZE) - 1 : lend;
	if (lstart < lend)
		truncate_inode_pages_range(mapping, lstart, lend);
	return 0;
}

/* Context: page locked, the caller's reference. True if it is gone. */
static bool invalidate_page(struct address_space *mapping, struct page *page)
{
	bool gone = false;

	if (page_test(page, PG_dirty) || page_test(page, PG_writeback) ||
	    PageWindow(page))
		return false;
	mutex_lock(&mapping->tree_lock);
	/* Two references: the tree's and ours. */
	if (page_mapping(page) == mapping && !page_test(page, PG_dirty) &&
	    atomic_load(&page->refcount) == 2) {
		__delete_from_page_cache(page);
		gone = true;
	}
	mutex_unlock(&mapping->tree_lock);
	if (gone)
		put_page(page);
	return gone;
}

unsigned long invalidate_mapping_pages(struct address_space *mapping,
				       pgoff_t start, pgoff_t end)
{
	struct page *pages[PAGEVEC_SIZE];
	unsigned long dropped = 0;
	unsigned int nr;

	while ((nr = find_get_pages_range(mapping, &start, end, PAGEVEC_SIZE,
					  pages, ANY_TAG))) {
		for (unsigned int i = 0; i < nr; i++) {
			if (trylock_page(pages[i])) {
				dropped += invalidate_page(mapping, pages[i]);
				unlock_page(pages[i]);
			}
			put_page(pages[i]);
		}
	}
	return dropped;
}
