// SPDX-License-Identifier: BSD-2-Clause
/*
 * mm/truncate.c - taking pages out of a mapping
 *
 *   truncate_inode_pages_range	waits for each page, drops it dirty or not
 *   invalidate_mapping_pages	drops what is clean and idle, waits for nothing
 *
 * I1. With invalidate_lock held for writing nobody adds pages, so one walk in
 *     index order is enough: what it has passed stays empty.
 *
 * Locks:  invalidate_lock (write, the caller's) > page lock > tree_lock.
 * Source: Linux mm/truncate.c.
 */
#include <limits.h>
#include <string.h>

#include "page.h"
#include "swap.h"

/* Context: page locked. */
static void truncate_page(struct address_space *mapping, struct page *page)
{
	if (page_mapping(page) != mapping)
		return;		/* reclaimed while we waited for the lock */
	wait_on_page_writeback(page);
	cancel_dirty_page(page);
	delete_from_page_cache(page);
}

void truncate_inode_pages_range(struct address_space *mapping, loff_t lstart,
				loff_t lend)
{
	pgoff_t index = lstart >> PAGE_SHIFT, last = lend >> PAGE_SHIFT;
	struct page *pages[PAGEVEC_SIZE];
	unsigned int nr;

	while ((nr = find_get_pages_range(mapping, &index, last, PAGEVEC_SIZE,
					  pages, ANY_TAG))) {
		for (unsigned int i = 0; i < nr; i++) {
			lock_page(pages[i]);
			truncate_page(mapping, pages[i]);
			unlock_page(pages[i]);
			put_page(pages[i]);
		}
	}
	reclaim_progress();
}

/* The cached page @newsize falls in: nothing of the old file after it. */
static void truncate_partial_page(struct address_space *mapping, loff_t newsize)
{
	size_t keep = newsize & ~PAGE_MASK;
	struct page *page;

	if (!keep)
		return;
	page = find_lock_page(mapping, newsize >> PAGE_SHIFT);
	if (!page)
		return;
	/*
	 * A write that began with the old size must not reach the file after
	 * the owner has cut it: it would grow it again, with the cut bytes.
	 */
	wait_on_page_writeback(page);
	if (page_test(page, PG_uptodate))
		memset((char *)page_address(page) + keep, 0, PAGE_SIZE - keep);
	unlock_page(page);
	put_page(page);
}

void truncate_pagecache(struct address_space *mapping, loff_t newsize)
{
	loff_t oldsize = i_size_read(mapping);

	i_size_write(mapping, newsize);
	if (newsize >= oldsize)
		return;
	truncate_partial_page(mapping, newsize);
	truncate_inode_pages_range(mapping, ALIGN(newsize, PAGE_SIZE), LLONG_MAX);
}

/* Context: page locked, the caller's reference. True if it is gone. */
static bool invalidate_page(struct address_space *mapping, struct page *page)
{
	bool gone = false;

	if (page_test(page, PG_dirty) || page_test(page, PG_writeback))
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
