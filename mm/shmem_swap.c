// SPDX-License-Identifier: BSD-2-Clause
/*
 * mm/shmem_swap.c - between memory and swap
 *
 *   swap_out_pages	dirty pages of one object, in order of index:
 *
 *     index   3  4  9 10 20		slots of one cluster, written as one run,
 *             |  |  |  |  |		however far apart the indices are
 *     slot   70 71 72 73 74
 *
 *   shmem_readpages	the same back: neighbours are read together where their
 *			slots are
 *   try_to_unuse	all of an area, for swapoff
 *
 * A page of zeros needs no slot: that is what is missing anyway.
 *
 * Locks:  page locks > tree_lock > what slots take.
 * Source: Linux mm/page_io.c, mm/swapfile.c (try_to_unuse), mm/shmem.c
 *         (shmem_writepage).
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "internal.h"
#include "err.h"
#include "shmem_i.h"
#include "vmstat.h"
#include "window_i.h"

/* ---- out ---- */

/* Its slot holds what it had when the write began; S1, in end_page_writeback(). */
static void end_swap_write(struct page *page, int err)
{
	struct address_space *mapping = page->mapping;
	swp_entry_t entry;

	if (unlikely(err)) {
		entry = page_in_swapcache(page) ? page_swap_entry(page) :
			shmem_entry(SHMEM(mapping), page->index);
		if (!swp_none(entry))
			swap_mark_bad(entry);
	}
	end_page_writeback(page, err);
}

/* The pages, under writeback and unlocked, to their slots. */
static void write_runs(struct page **pages, const swp_entry_t *entries,
		       unsigned int nr, enum read_mode mode)
{
	unsigned int n;

	for (unsigned int i = 0; i < nr; i += n) {
		for (n = 1; i + n < nr && n < MAX_RUN_PAGES &&
		     swap_entries_adjacent(entries[i + n - 1], entries[i + n]);
		     n++)
			;
		swap_rw(entries[i], SWAP_WRITE, pages + i, n, mode,
			end_swap_write);
	}
}

/*
 * From here on it is under writeback, with a reference for the end of that.
 * False: no memory to note where it goes. Context: tree_lock.
 */
static bool __start_page(struct page *page, swp_entry_t entry)
{
	struct address_space *mapping = page->mapping;

	if (mapping_is_shmem(mapping) &&
	    __shmem_set_entry(SHMEM(mapping), page->index, entry))
		return false;
	get_page(page);
	page_set(page, PG_reclaim);
	__start_writeback(mapping, page);
	return true;
}

/* Pages of one mapping to their slots; unlocked. Return: how many were started. */
static unsigned int start_pages(struct page **pages, swp_entry_t *entries,
				unsigned int nr, enum read_mode mode)
{
	struct address_space *mapping = pages[0]->mapping;
	bool started[MAX_RUN_PAGES];
	unsigned int n = 0;

	mutex_lock(&mapping->tree_lock);
	for (unsigned int i = 0; i < nr; i++)
		started[i] = __start_page(pages[i], entries[i]);
	mutex_unlock(&mapping->tree_lock);
	for (unsigned int i = 0; i < nr; i++) {
		unlock_page(pages[i]);
		if (!started[i]) {
			swap_free(entries[i]);
			continue;
		}
		pages[n] = pages[i];
		entries[n++] = entries[i];
	}
	if (n)
		bdi_start_writeback(mapping->bdi, n);
	write_runs(pages, entries, n, mode);
	return n;
}

static bool page_is_zero(const struct page *page)
{
	const unsigned long *word = page_address(page);
	const size_t nr = PAGE_SIZE / sizeof(*word);

	/* The ends first: most pages that are not zeros show it there. */
	if (word[nr - 1])
		return false;
	for (size_t i = 0; i < nr; i++)
		if (word[i])
			return false;
	return true;
}

/* Zeros go clean, with no slot. Return: how many are left of @pages, locked. */
static unsigned int skip_zeros(struct page **pages, unsigned int nr)
{
	unsigned int left = 0;

	if (atomic_load(&SHMEM(pages[0]->mapping)->has_source))
		return nr;
	for (unsigned int i = 0; i < nr; i++) {
		if (page_test(pages[i], PG_writeback) ||
		    !page_is_zero(pages[i])) {
			pages[left++] = pages[i];
			continue;
		}
		cancel_dirty_page(pages[i]);
		unlock_page(pages[i]);
	}
	return left;
}

/* Pages of one object. Return: how many were started; others are unlocked. */
static unsigned int out_of_object(struct page **pages, unsigned int nr,
				  enum read_mode mode)
{
	swp_entry_t entries[MAX_RUN_PAGES];
	unsigned int zeros = nr, got = 0;

	nr = skip_zeros(pages, nr);
	zeros -= nr;
	if (nr && !radix_tree_preload(GFP_KERNEL, nr))
		got = get_swap_pages(nr, entries);
	for (unsigned int i = got; i < nr; i++)
		unlock_page(pages[i]);
	return zeros + (got ? start_pages(pages, entries, got, mode) : 0);
}

/* Shared ones have their slots. Those that nobody wants any more just go. */
static unsigned int out_of_cache(struct page **pages, unsigned int nr,
				 enum read_mode mode)
{
	unsigned int started = 0;

	for (unsigned int i = 0; i < nr; i++) {
		swp_entry_t entry = page_swap_entry(pages[i]);

		if (!swap_count(entry))
			delete_from_swap_cache(pages[i]);
		if (page_mapping(pages[i]) && swap_entry_is_disk(entry))
			started += start_pages(pages + i, &entry, 1, mode);
		else
			unlock_page(pages[i]);
	}
	return started;
}

unsigned int swap_out_pages(struct page **pages, unsigned int nr,
			    enum read_mode mode)
{
	unsigned int done = 0, n;

	qsort(pages, nr, sizeof(pages[0]), page_cmp);
	for (unsigned int i = 0; i < nr; i += n) {
		for (n = 1; i + n < nr && n < MAX_RUN_PAGES &&
		     pages[i + n]->mapping == pages[i]->mapping; n++)
			;
		done += page_in_swapcache(pages[i]) ?
			out_of_cache(pages + i, n, mode) :
			out_of_object(pages + i, n, mode);
	}
	return done;
}

/* ---- in ---- */

static void end_swap_read(struct page *page, int err)
{
	page_set(page, err ? PG_error : PG_uptodate);
	unlock_page(page);
	put_page(page);
	reclaim_progress();
}

/* From the swap cache, if it is there. */
static bool read_from_cache(struct page *page, swp_entry_t entry)
{
	struct page *shared = lookup_swap_cache(entry);

	if (!shared)
		return false;
	/* What leaves the cache meanwhile keeps its frame while we hold it. */
	memcpy(page_address(page), page_address(shared), PAGE_SIZE);
	put_page(shared);
	count_vm_event(SWAPCACHE_HIT);
	count_vm_event(PGCOW);
	return true;
}

/* A page that nothing has to be read for. */
static bool read_at_once(struct page *page, swp_entry_t entry)
{
	if (swp_none(entry))
		memset(page_address(page), 0, PAGE_SIZE);
	else if (!swap_has_cache(entry) || !read_from_cache(page, entry))
		return false;
	end_swap_read(page, 0);
	return true;
}

/* The pages are locked and in the tree, so their entries stay (S2). */
void shmem_readpages(struct address_space *mapping, struct page **pages,
		     unsigned int nr, enum read_mode mode)
{
	swp_entry_t first = { 0 }, last = { 0 };
	unsigned int run = 0;		/* pages before @i to be read together */

	for (unsigned int i = 0; i < nr; i++) {
		swp_entry_t entry = shmem_entry(SHMEM(mapping),
						pages[i]->index);
		bool done = read_at_once(pages[i], entry);

		if (run && (done || !swap_entries_adjacent(last, entry))) {
			swap_rw(first, SWAP_READ, pages + i - run, run, mode,
				end_swap_read);
			run = 0;
		}
		if (done)
			continue;
		if (!run++)
			first = entry;
		last = entry;
	}
	if (run)
		swap_rw(first, SWAP_READ, pages + nr - run, run, mode,
			end_swap_read);
}

/* ---- swapoff ---- */

struct unuse {
	unsigned int type;
	unsigned long left;		/* entries, as counted last */
	swap_progress_t progress;
	void *arg;
};

/* The page at @index, referenced, read if need be; NULL: none is needed. */
static struct page *unuse_page(struct shmem *sh, pgoff_t index)
{
	struct page *page = find_get_page(&sh->mapping, index);
	int err;

	if (page)
		return page;
	page = page_cache_alloc(GFP_USER);
	if (!page)
		return ERR_PTR(-ENOMEM);
	err = add_to_page_cache_lru(page, &sh->mapping, index, GFP_KERNEL);
	if (err) {
		unlock_page(page);
		put_page(page);
		return err == -EEXIST ? find_get_page(&sh->mapping, index) :
					ERR_PTR(err);
	}
	get_page(page);
	shmem_readpages(&sh->mapping, &page, 1, READ_WAIT);
	return page;
}

/* Context: page locked. Return: 0 or -EIO. */
static int unuse_locked(struct shmem *sh, struct page *page, swp_entry_t entry)
{
	wait_on_page_writeback(page);
	if (page_mapping(page) != &sh->mapping ||
	    shmem_entry(sh, page->index).val != entry.val)
		return 0;	/* it has gone, or another has come */
	if (!page_test(page, PG_uptodate))
		return -EIO;
	set_page_dirty(page);	/* which has no entry: S1 */
	return 0;
}

/* Return: 0, -ENOMEM, -EIO. */
static int unuse_entry(struct shmem *sh, pgoff_t index, swp_entry_t entry)
{
	struct page *page;
	int err;

	/* fork() must see the page as clean or as dirty, not first one, then the
	 * other (anon.c). */
	down_read(&sh->mapping.invalidate_lock);
	/* Freed since, it must not become a page of zeros over a file's. */
	page = shmem_entry(sh, index).val == entry.val ? unuse_page(sh, index) :
							  NULL;
	err = IS_ERR(page) ? (int)PTR_ERR(page) : 0;
	if (page && !IS_ERR(page)) {
		lock_page(page);
		err = unuse_locked(sh, page, entry);
		unlock_page(page);
		put_page(page);
	}
	up_read(&sh->mapping.invalidate_lock);
	return err;
}

/* Calls @fn for each entry of the area, until it returns not 0. */
static int for_entries(struct shmem *sh, struct unuse *u,
		       int (*fn)(struct shmem *sh, pgoff_t index,
				 swp_entry_t entry))
{
	swp_entry_t entries[PAGEVEC_SIZE];
	pgoff_t indices[PAGEVEC_SIZE], first = 0;
	unsigned int nr;
	int err = 0;

	while (!err && (nr = shmem_find_entries(sh, &first, (pgoff_t)-1,
						PAGEVEC_SIZE, indices,
						entries))) {
		for (unsigned int i = 0; !err && i < nr; i++) {
			if (swp_type(entries[i]) != u->type)
				continue;
			err = fn ? fn(sh, indices[i], entries[i]) : 0;
			u->left += fn ? (unsigned long)-1 : 1;
		}
		if (!err && fn && u->progress && !u->progress(u->left, u->arg))
			err = -EINTR;
	}
	return err;
}

static int unuse_shmem(struct shmem *sh, void *arg)
{
	return for_entries(sh, arg, unuse_entry);
}

static int count_shmem(struct shmem *sh, void *arg)
{
	return for_entries(sh, arg, NULL);
}

/*
 * fork() may copy entries to objects we have passed; those come again, as they
 * are at the end of the list.
 */
int try_to_unuse(unsigned int type, swap_progress_t progress, void *arg)
{
	struct unuse u = { .type = type, .progress = progress, .arg = arg };
	int err;

	for_each_shmem(count_shmem, &u);
	if (u.left > mem_available() + nr_swap_pages())
		return -ENOMEM;
	do {
		err = for_each_shmem(unuse_shmem, &u);
		sweep_swap_cache(type);
		u.left = 0;
		for_each_shmem(count_shmem, &u);
	} while (!err && u.left);
	return err;
}
