// SPDX-License-Identifier: BSD-2-Clause
/*
 * mm/filemap.c - the page cache: index to page, and reading through it
 *
 *   find_get_page (RCU)
 *     | missing: read-ahead, or the page alone
 *     | not uptodate: wait for who reads it; if that failed, lock and read
 *   bytes
 *
 * I1. A page in the tree has the tree's reference, and page->mapping and
 *     page->index say where it is. Both change only with the page locked (or
 *     not yet published) and tree_lock held.
 * I2. In an uptodate page the bytes past i_size are zero, so that a file can
 *     grow without touching its old last page; but for files that have a window,
 *     where clients may store past the end: mapping_grow() clears that.
 * I3. i_size grows before the page that makes it grow is unlocked (write_end() in
 *     filemap_write.c): a flusher, which locks the page first, never sees a
 *     dirty page wholly past i_size unless it was truncated.
 * I4. nrpages, nrdirty, nrwriteback equal what the tree and its tags hold.
 *
 * Locks: invalidate_lock (read) > page lock > tree_lock. Lookups take none.
 * Source: Linux mm/filemap.c (find_get_entry, filemap_get_pages, filemap_fault).
 *         Differs: a read returns pages, for replies that point at frames, and
 *         the copying variant is built on that.
 */
#include <errno.h>
#include <string.h>

#include "page.h"
#include "err.h"
#include "rcu.h"
#include "swap.h"
#include "vma.h"
#include "vmscan.h"
#include "vmstat.h"
#include "window_i.h"
#include "workingset.h"

void address_space_init(struct address_space *mapping,
			const struct address_space_operations *a_ops,
			struct backing_dev_info *bdi, loff_t i_size)
{
	memset(mapping, 0, sizeof(*mapping));
	mutex_init(&mapping->tree_lock, LOCK_TREE);
	init_rwsem(&mapping->invalidate_lock, LOCK_INVALIDATE);
	INIT_LIST_HEAD(&mapping->io_list);
	mapping->a_ops = a_ops;
	mapping->bdi = bdi;
	mapping->stable_writes = bdi->stable_writes;
	i_size_write(mapping, i_size);
}

void address_space_destroy(struct address_space *mapping)
{
	/* Reclaim may be on its way out of here with the last page. */
	mutex_lock(&mapping->tree_lock);
	BUG_ON(mapping->nrpages || mapping->nrdirty || mapping->nrwriteback);
	mutex_unlock(&mapping->tree_lock);
	BUG_ON(!list_empty(&mapping->io_list));
	BUG_ON(mapping->wb_state & WB_SYNCING);
	BUG_ON(mapping_mapped(mapping));
	window_destroy(mapping);
	mutex_destroy(&mapping->tree_lock);
	destroy_rwsem(&mapping->invalidate_lock);
}

/* ---- into and out of the tree ---- */

static enum vm_stat_item cached_stat(const struct address_space *mapping)
{
	return mapping->swap_backed ? NR_ANON_PAGES : NR_FILE_PAGES;
}

/* Context: tree_lock. Return: 0, -EEXIST, -ENOMEM. */
static int __add_to_page_cache(struct page *page, struct address_space *mapping,
			       pgoff_t index)
{
	int err;

	lockdep_assert_held(&mapping->tree_lock);
	/* Set before the slot is: a lock-free reader checks both (page.c I2). */
	WRITE_ONCE(page->index, index);
	WRITE_ONCE(page->mapping, mapping);
	if (mapping->swap_backed)
		page_set(page, PG_swapbacked);
	err = radix_tree_insert(&mapping->i_pages, index, page);
	if (err) {
		WRITE_ONCE(page->mapping, NULL);
		return err;
	}
	get_page(page);
	WRITE_ONCE(mapping->nrpages, mapping->nrpages + 1);
	return 0;
}

/*
 * What has gone lately and comes again is active, and throwing it out was dear.
 * Not on a list yet.
 */
static void note_refaults(struct address_space *mapping, struct page **pages,
			  unsigned int nr)
{
	unsigned int refaults = 0;

	for (unsigned int i = 0; i < nr; i++) {
		if (likely(!workingset_refault(mapping, pages[i]->index)))
			continue;
		page_set(pages[i], PG_active);
		page_set(pages[i], PG_workingset);
		refaults++;
	}
	if (!refaults)
		return;
	lru_note_cost(&NODE_DATA(0)->lruvec, mapping->swap_backed ?
		      LRU_ANON : LRU_FILE, refaults);
	window_note_refaults(mapping, refaults);
}

unsigned int add_pages_to_page_cache(struct page **pages, unsigned int nr,
				     struct address_space *mapping,
				     pgoff_t index, gfp_t gfp)
{
	unsigned int i;

	if (radix_tree_preload(gfp & ~__GFP_MOVABLE, nr))
		return 0;
	mutex_lock(&mapping->tree_lock);
	for (i = 0; i < nr; i++)
		if (__add_to_page_cache(pages[i], mapping, index + i))
			break;
	mutex_unlock(&mapping->tree_lock);
	mod_vm_stat(cached_stat(mapping), i);
	note_refaults(mapping, pages, i);
	lru_cache_add(pages, i);
	return i;
}

int add_to_page_cache_lru(struct page *page, struct address_space *mapping,
			  pgoff_t index, gfp_t gfp)
{
	int err = radix_tree_preload(gfp & ~__GFP_MOVABLE, 1);

	if (err)
		return err;
	VM_BUG_ON(!page_test(page, PG_locked));
	mutex_lock(&mapping->tree_lock);
	err = __add_to_page_cache(page, mapping, index);
	mutex_unlock(&mapping->tree_lock);
	if (err)
		return err;
	mod_vm_stat(cached_stat(mapping), 1);
	note_refaults(mapping, &page, 1);
	lru_cache_add(&page, 1);
	return 0;
}

void __delete_from_page_cache(struct page *page)
{
	struct address_space *mapping = page->mapping;
	struct page *old;

	lockdep_assert_held(&mapping->tree_lock);
	VM_BUG_ON(!page_test(page, PG_locked));
	BUG_ON(page_test(page, PG_dirty) || page_test(page, PG_writeback));
	BUG_ON(PageWindow(page));
	old = radix_tree_delete(&mapping->i_pages, page->index);
	BUG_ON(old != page);
	WRITE_ONCE(page->mapping, NULL);
	WRITE_ONCE(mapping->nrpages, mapping->nrpages - 1);
	mod_vm_stat(cached_stat(mapping), -1);
}

/* Context: both tree_locks; page clean. */
static int __page_cache_move(struct page *page, struct address_space *to,
			     pgoff_t index)
{
	if (radix_tree_lookup(&to->i_pages, index))
		return -EEXIST;
	__delete_from_page_cache(page);
	BUG_ON(__add_to_page_cache(page, to, index));	/* preloaded */
	mod_vm_stat(cached_stat(to), 1);
	put_page(page);		/* the other tree's; ours is there */
	return 0;
}

int page_cache_move(struct page *page, struct address_space *to, pgoff_t index)
{
	struct address_space *from = page->mapping;
	struct address_space *first = from < to ? from : to;
	struct address_space *second = from < to ? to : from;
	bool dirty = page_test(page, PG_dirty);
	int err;

	VM_BUG_ON(!page_test(page, PG_locked) || PageWindow(page));
	cancel_dirty_page(page);
	mutex_lock(&first->tree_lock);
	mutex_lock_nested(&second->tree_lock);
	err = __page_cache_move(page, to, index);
	mutex_unlock(&second->tree_lock);
	mutex_unlock(&first->tree_lock);
	if (dirty)
		set_page_dirty(page);
	return err;
}

void delete_from_page_cache(struct page *page)
{
	struct address_space *mapping = page->mapping;

	mutex_lock(&mapping->tree_lock);
	__delete_from_page_cache(page);
	mutex_unlock(&mapping->tree_lock);
	put_page(page);
}

/* ---- lookups ---- */

static bool page_is_at(const struct page *page,
		       const struct address_space *mapping, pgoff_t index)
{
	return page_mapping(page) == mapping && page_index(page) == index;
}

struct page *find_get_page(struct address_space *mapping, pgoff_t index)
{
	struct page *page;

	mm_rcu_read_lock();
	while ((page = radix_tree_lookup(&mapping->i_pages, index))) {
		if (!get_page_unless_zero(page))
			continue;	/* on its way out: the slot empties soon */
		if (likely(page_is_at(page, mapping, index)))
			break;
		put_page(page);		/* freed and reused since we read it */
	}
	mm_rcu_read_unlock();
	return page;
}

struct page *find_lock_page(struct address_space *mapping, pgoff_t index)
{
	struct page *page;

	while ((page = find_get_page(mapping, index))) {
		lock_page(page);
		if (likely(page_mapping(page) == mapping))
			break;
		unlock_page(page);	/* truncated while we slept */
		put_page(page);
	}
	return page;
}

unsigned int find_get_pages_range(struct address_space *mapping,
				  pgoff_t *indexp, pgoff_t last,
				  unsigned int nr, struct page **pages, int tag)
{
	void *items[PAGEVEC_SIZE];
	uint64_t indices[PAGEVEC_SIZE];
	unsigned int found, i, got = 0;

	BUG_ON(nr > PAGEVEC_SIZE);
	while (!got && *indexp <= last) {
		mm_rcu_read_lock();
		if (tag >= 0)
			found = radix_tree_gang_lookup_tag(&mapping->i_pages,
					items, indices, *indexp, last, nr, tag);
		else
			found = radix_tree_gang_lookup(&mapping->i_pages, items,
					indices, *indexp, last, nr);
		for (i = 0; i < found; i++) {
			struct page *page = items[i];

			if (!get_page_unless_zero(page))
				continue;	/* leaving the cache */
			if (page_is_at(page, mapping, indices[i]))
				pages[got++] = page;
			else
				put_page(page);
		}
		mm_rcu_read_unlock();
		if (!found)
			break;
		*indexp = indices[found - 1] + 1;
		if (!*indexp)
			break;		/* wrapped past the last index */
	}
	return got;
}

/* ---- reading ---- */

void end_page_read(struct page *page, int err)
{
	if (likely(!err)) {
		page_set(page, PG_uptodate);
		count_vm_events(PGPGIN, PAGE_SIZE / 1024);
	} else {
		page_set(page, PG_error);
	}
	if (page_mapping(page))
		laptop_io_completion(page_mapping(page)->bdi);
	unlock_page(page);
	put_page(page);
	reclaim_progress();	/* it was locked: now it can go */
}

int read_page_locked(struct address_space *mapping, struct page *page)
{
	VM_BUG_ON(!page_test(page, PG_locked));
	page_clear(page, PG_error);
	get_page(page);		/* readpages' own */
	mapping->a_ops->readpages(mapping, &page, 1, READ_WAIT);
	lock_page(page);
	if (page_mapping(page) != mapping)
		return -EAGAIN;
	if (page_test(page, PG_uptodate))
		return 0;
	return -EIO;
}

/* A page for @index that nobody has, read in @mode. Referenced, or ERR_PTR. */
static struct page *filemap_create_page(struct address_space *mapping,
					pgoff_t index, enum read_mode mode)
{
	struct page *page = page_cache_alloc(GFP_USER);
	int err;

	if (!page)
		return ERR_PTR(-ENOMEM);
	/*
	 * A truncate that has already cut i_size waits for us, and then finds
	 * the page; after one that came first the store has zeros here, and
	 * the caller does not return what lies past i_size.
	 */
	down_read_plugged(&mapping->invalidate_lock);
	err = add_to_page_cache_lru(page, mapping, index, GFP_KERNEL);
	if (err) {
		up_read(&mapping->invalidate_lock);
		unlock_page(page);
		put_page(page);
		return ERR_PTR(err);
	}
	get_page(page);
	mapping->a_ops->readpages(mapping, &page, 1, mode);
	up_read(&mapping->invalidate_lock);
	return page;
}

/*
 * @page was found but is not uptodate: wait for whoever reads it, read it
 * ourselves if that failed. Return: 0; -EAGAIN: look it up again; -EIO.
 */
static int filemap_update_page(struct address_space *mapping, struct page *page)
{
	int err = 0;

	wait_on_page_locked(page);
	if (page_test(page, PG_uptodate))
		return 0;
	down_read_plugged(&mapping->invalidate_lock);
	lock_page(page);
	if (page_mapping(page) != mapping)
		err = -EAGAIN;
	else if (!page_test(page, PG_uptodate))
		err = read_page_locked(mapping, page);
	unlock_page(page);
	up_read(&mapping->invalidate_lock);
	return err;
}

/* The page is not in the cache. Return: referenced, being read; or ERR_PTR. */
static struct page *filemap_miss(struct address_space *mapping,
				 struct file_ra_state *ra, pgoff_t index,
				 unsigned long req, enum read_mode mode)
{
	struct page *page = NULL;

	count_vm_event(PGCACHE_MISS);
	if (ra) {
		page_cache_sync_readahead(mapping, ra, index, req, mode);
		page = find_get_page(mapping, index);
	}
	return page ?: filemap_create_page(mapping, index, mode);
}

struct page *filemap_start_page(struct address_space *mapping,
				struct file_ra_state *ra, pgoff_t index)
{
	struct page *page;

	do
		page = find_get_page(mapping, index) ?:
			filemap_miss(mapping, ra, index, 1, READ_START);
	while (PTR_ERR(page) == -EEXIST);
	return page;
}

struct page *filemap_get_page(struct address_space *mapping,
			      struct file_ra_state *ra, pgoff_t index,
			      unsigned long req)
{
	struct page *page;
	int err;

	for (;;) {
		page = find_get_page(mapping, index);
		if (!page) {
			page = filemap_miss(mapping, ra, index, req, READ_WAIT);
			if (PTR_ERR(page) == -EEXIST)
				continue;
			if (IS_ERR(page))
				return page;
		} else if (page_test(page, PG_uptodate)) {
			count_vm_event(PGCACHE_HIT);
		}
		if (ra && page_test(page, PG_readahead))
			page_cache_async_readahead(mapping, ra, page, index, req);
		if (page_test(page, PG_uptodate))
			return page;
		err = filemap_update_page(mapping, page);
		if (!err)
			return page;
		put_page(page);
		if (err != -EAGAIN)
			return ERR_PTR(err);
	}
}

/*
 * The rest of a page that is read in pieces is one access with its beginning;
 * else a stream of small reads would fill the active list.
 */
static bool read_goes_on(const struct file_ra_state *ra, loff_t pos,
			 pgoff_t index)
{
	return (pos & ~PAGE_MASK) && READ_ONCE(ra->prev_index) == index;
}

int filemap_get_pages(struct address_space *mapping, struct file_ra_state *ra,
		      loff_t pos, size_t len, struct page **pages,
		      unsigned int max, size_t *bytesp)
{
	loff_t size = i_size_read(mapping), end;
	pgoff_t index = pos >> PAGE_SHIFT, last;
	unsigned int nr = 0;

	*bytesp = 0;
	if (pos >= size || !len)
		return 0;
	end = min_t(loff_t, size - pos, len) + pos;
	last = (end - 1) >> PAGE_SHIFT;
	if (last - index >= max)
		last = index + max - 1;
	while (index <= last) {
		struct page *page = filemap_get_page(mapping, ra, index,
						     last - index + 1);

		if (IS_ERR(page)) {
			if (!nr)
				return PTR_ERR(page);
			break;
		}
		if (nr || !ra || !read_goes_on(ra, pos, index))
			file_page_accessed(mapping, page);
		pages[nr++] = page;
		index++;
	}
	if (ra)
		WRITE_ONCE(ra->prev_index, last);
	/* A truncate meanwhile: what it cut off must not be returned. */
	size = i_size_read(mapping);
	end = min_t(loff_t, end, (loff_t)index << PAGE_SHIFT);
	end = min_t(loff_t, end, size);
	*bytesp = end > pos ? end - pos : 0;
	return nr;
}

/* Bytes [@off, @off + @len) of a referenced page to @buf. 0 or -errno. */
static int copy_from_page(struct page *page, size_t off, void *buf, size_t len)
{
	pfn_t pfn;
	int err = page_hold_bytes(page, false, &pfn);

	if (err)
		return err;
	memcpy(buf, (char *)pfn_to_virt(pfn) + off, len);
	page_release_bytes(page, pfn);
	return 0;
}

ssize_t generic_file_read(struct address_space *mapping,
			  struct file_ra_state *ra, loff_t pos, void *buf,
			  size_t len)
{
	struct page *pages[16];
	size_t done = 0;

	while (done < len) {
		size_t bytes, copied = 0;
		int nr = filemap_get_pages(mapping, ra, pos + done, len - done,
					   pages, ARRAY_SIZE(pages), &bytes);
		int err = 0;

		if (nr < 0)
			return done ? (ssize_t)done : nr;
		while (copied < bytes && !err) {
			size_t off = (pos + done + copied) & ~PAGE_MASK;
			size_t n = min(PAGE_SIZE - off, bytes - copied);
			/* the first page may start in its middle */
			struct page *page =
				pages[((pos + done + copied) >> PAGE_SHIFT) -
				      ((pos + done) >> PAGE_SHIFT)];

			err = copy_from_page(page, off,
					     (char *)buf + done + copied, n);
			if (!err)
				copied += n;
		}
		put_pages(pages, nr);
		done += copied;
		if (err)
			return done ? (ssize_t)done : err;
		if (!bytes)
			break;
	}
	return done;
}

/* ---- for page faults ---- */

/* It is in the cache; the reader's next window may be due. */
static bool cached_page(struct vm_fault *vmf)
{
	struct address_space *mapping = vmf_mapping(vmf);
	struct page *page = find_get_page(mapping, vmf->pgoff);
	struct file_ra_state *ra = fault_ra(vmf);

	if (!page)
		return false;
	if (!page_test(page, PG_uptodate)) {
		put_page(page);
		return false;
	}
	if (ra && page_test(page, PG_readahead))
		page_cache_async_readahead(mapping, ra, page, vmf->pgoff, 1);
	vmf->page = page;
	return true;
}

static vm_fault_t page_error(const struct page *page)
{
	return PTR_ERR(page) == -ENOMEM ? VM_FAULT_OOM : VM_FAULT_SIGBUS;
}

/* It is not in the cache, and is not to be waited for here. */
static vm_fault_t filemap_fault_nowait(struct vm_fault *vmf)
{
	struct page *page = filemap_start_page(vmf_mapping(vmf), fault_ra(vmf),
					       vmf->pgoff);

	if (IS_ERR(page))
		return page_error(page);
	if (page_test(page, PG_uptodate)) {
		vmf->page = page;
		return VM_FAULT_MAJOR;
	}
	vmf->wait_page = page;
	return VM_FAULT_RETRY;
}

vm_fault_t filemap_fault(struct vm_fault *vmf)
{
	struct address_space *mapping = vmf_mapping(vmf);
	struct page *page;

	if (page_past_end(mapping, vmf->pgoff)) {
		/*
		 * The window ends with the file, and then its kernel raises
		 * SIGBUS by itself; so a truncate is on its way. Not to be asked
		 * again and again until it has cut the window, wait for it.
		 */
		down_read_plugged(&mapping->invalidate_lock);
		up_read(&mapping->invalidate_lock);
		return VM_FAULT_RETRY;
	}
	if (cached_page(vmf))
		return 0;
	if (vmf->flags & FAULT_FLAG_RETRY_NOWAIT)
		return filemap_fault_nowait(vmf);
	page = filemap_get_page(mapping, fault_ra(vmf), vmf->pgoff, 1);
	if (IS_ERR(page))
		return page_error(page);
	vmf->page = page;
	return VM_FAULT_MAJOR;
}

/* ---- checking ---- */

void page_cache_check(struct address_space *mapping)
{
	unsigned long nr = 0, dirty = 0, writeback = 0;
	struct page *pages[PAGEVEC_SIZE];
	pgoff_t index = 0;
	unsigned int n;

	mutex_lock(&mapping->tree_lock);
	radix_tree_check(&mapping->i_pages);
	mutex_unlock(&mapping->tree_lock);
	while ((n = find_get_pages_range(mapping, &index, (pgoff_t)-1,
					 PAGEVEC_SIZE, pages, ANY_TAG))) {
		for (unsigned int i = 0; i < n; i++) {
			struct page *page = pages[i];
			pgoff_t at = page->index;

			nr++;
			BUG_ON(page->mapping != mapping);		/* I1 */
			BUG_ON(page_test(page, PG_dirty) !=
			       radix_tree_tag_get(&mapping->i_pages, at,
						  PAGECACHE_TAG_DIRTY));
			BUG_ON(page_test(page, PG_writeback) !=
			       radix_tree_tag_get(&mapping->i_pages, at,
						  PAGECACHE_TAG_WRITEBACK));
			dirty += page_test(page, PG_dirty);
			writeback += page_test(page, PG_writeback);
			put_page(page);
		}
	}
	BUG_ON(nr != mapping->nrpages);					/* I4 */
	BUG_ON(dirty != mapping->nrdirty);
	BUG_ON(writeback != mapping->nrwriteback);
}
