// SPDX-License-Identifier: BSD-2-Clause
/*
 * mm/demote_move.c - pages on their way out of a window
 *
 *   demote_pages: sorted, then in runs of consecutive pages
 *
 *     frozen	try_to_unmap, punch: gone (demote_drop)
 *     others	try_to_unmap, preadv, punch: in the arena (demote_keep)
 *     clients	splice, punch, read, a last scan (take_frames_async): those
 *     that are scanned	cannot be stopped
 *
 * Which pages, and why in this order: demote.c.
 *
 * Locks:  page locks > demote_sem (read) > window->lock > what try_to_unmap()
 *         takes.
 * Source: Linux mm/vmscan.c (demote_folio_list), mm/migrate.c.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "internal.h"
#include "page.h"
#include "swap.h"
#include "trace.h"
#include "vmscan.h"
#include "vmstat.h"
#include "window_i.h"

void demote_putback(struct page *page)
{
	lru_putback(page);
	put_page(page);
}

/*
 * Bytes nobody will ask for again: step 2 is spared. From here on nobody can
 * find the page either; who looks for it spins until it is gone, or back.
 * Context: page locked, isolated, our reference.
 */
bool demote_freeze(struct page *page)
{
	return page_test(page, PG_stream) && !page_test(page, PG_dirty) &&
		!page_test(page, PG_recheck) && !mapping_async(page->mapping) &&
		!page_test(page, PG_referenced) && page->pfn == PFN_NONE &&
		page_ref_freeze(page, 2);
}

static bool is_frozen(const struct page *page)
{
	return !atomic_load(&page->refcount);
}

/*
 * Context: page locked, isolated; the frame is page->pfn, its bytes are in. @drop: it
 * does not stay there, if it is clean.
 */
static void to_arena(struct page *page, bool drop)
{
	struct window *w = page_window(page);

	page->granted_cs = 0;
	page_clear(page, PG_active);
	page_set(page, PG_workingset);
	if (page_test_clear(page, PG_recheck))
		set_page_dirty(page);
	lru_clear_window(page);
	atomic_fetch_sub(&w->nr_pages, 1);
	if (drop && remove_mapping(page)) {
		unlock_page(page);
		free_page(page);
		return;
	}
	lru_putback(page);
	unlock_page(page);
	put_page(page);
}

/* Context: page locked, isolated, frozen; there are no bytes any more. */
static void drop_frozen(struct page *page)
{
	struct address_space *mapping = page->mapping;

	window_forget_page(page);
	mutex_lock(&mapping->tree_lock);
	__delete_from_page_cache(page);
	mutex_unlock(&mapping->tree_lock);
	unlock_page(page);
	free_page(page);
}

/* All or nothing; a page that kept a frame has it. @drop: they will be free soon. */
static bool get_frames_for(struct page **pages, unsigned int nr, pfn_t *pfns,
			   bool drop)
{
	const gfp_t gfp = drop ? GFP_READAHEAD | __GFP_HIGH : GFP_READAHEAD;
	pfn_t fresh[WINDOW_BATCH];
	unsigned int need = 0, got, i;

	for (i = 0; i < nr; i++)
		need += pages[i]->pfn == PFN_NONE;
	/* No reclaim: pages are locked. */
	got = need ? alloc_frames_bulk(gfp, need, fresh) : 0;
	if (got < need) {
		while (got)
			free_frames(fresh[--got], 0);
		return false;
	}
	for (i = 0; i < nr; i++)
		pfns[i] = pages[i]->pfn != PFN_NONE ? pages[i]->pfn :
						      fresh[--got];
	return true;
}

static void free_frames_for(struct page **pages, unsigned int nr,
			    const pfn_t *pfns)
{
	for (unsigned int i = 0; i < nr; i++)
		if (pages[i]->pfn == PFN_NONE)
			free_frames(pfns[i], 0);
}

/*
 * Bytes out of the window of a file whose clients cannot be stopped. Return: 0,
 * or -errno and they are there still. Context: demote_sem.
 */
static int take_frames_async(struct page **pages, unsigned int nr,
			     const pfn_t *pfns)
{
	struct window *w = page_window(pages[0]);
	int err = window_take_frames(pages, nr, pfns);

	if (err)
		return err;
	/* Who cannot be asked may have stored to them: then they are dirty. */
	mutex_lock(&w->lock);			/* window_scan.c S1 */
	try_to_unmap(pages, nr);
	mutex_unlock(&w->lock);
	return 0;
}

/* The bytes are in @pfns, and out of the window; or -errno, as before. */
static int take_frames(struct page **pages, unsigned int nr, const pfn_t *pfns)
{
	struct address_space *mapping = pages[0]->mapping;
	int err = try_to_unmap(pages, nr);

	if (err)
		return err;
	if (mapping_async(mapping))
		return take_frames_async(pages, nr, pfns);
	err = window_read_frames(pages, nr, pfns);
	if (!err)
		window_punch(mapping, pages[0]->index, nr);
	return err;
}

/* Return: 0, or -errno and the run stays as it is, locked. */
static int demote_keep(struct page **pages, unsigned int nr, bool drop)
{
	struct window *w = page_window(pages[0]);
	pfn_t pfns[WINDOW_BATCH];
	int err;

	if (!get_frames_for(pages, nr, pfns, drop))
		return -ENOMEM;
	down_read(&w->demote_sem);
	err = take_frames(pages, nr, pfns);
	up_read(&w->demote_sem);
	if (err) {
		free_frames_for(pages, nr, pfns);
		return err;
	}
	for (unsigned int i = 0; i < nr; i++) {
		WRITE_ONCE(pages[i]->pfn, pfns[i]);	/* hold_frame() may look */
		to_arena(pages[i], drop);
	}
	window_uncharge(nr);
	count_vm_events(PGDEMOTE, nr);
	return 0;
}

/* Out of everybody's reach, and of the window. Context: demote_sem. */
static int throw_out(struct page **pages, unsigned int nr)
{
	/* A client has come meanwhile that may store unseen. */
	int err = mapping_async(pages[0]->mapping) ? -EBUSY :
						     try_to_unmap(pages, nr);

	if (!err)
		window_punch(pages[0]->mapping, pages[0]->index, nr);
	return err;
}

/*
 * Who waits for demote_sem may wait for somebody that wants a window->lock whose
 * owner spins for these pages (window_scan.c S3): so they do not wait for it.
 * Return: as demote_keep().
 */
static int demote_drop(struct page **pages, unsigned int nr)
{
	struct window *w = page_window(pages[0]);
	int err = -EBUSY;

	if (down_read_trylock(&w->demote_sem)) {
		err = throw_out(pages, nr);
		up_read(&w->demote_sem);
	}
	if (err) {
		for (unsigned int i = 0; i < nr; i++)
			atomic_store(&pages[i]->refcount, 2);
		return err;
	}
	for (unsigned int i = 0; i < nr; i++)
		drop_frozen(pages[i]);
	window_uncharge(nr);
	count_vm_events(PGDEMOTE_DROP, nr);
	return 0;
}

/* Consecutive pages, all to be kept or all to be dropped. Return: how many. */
static unsigned int run_length(struct page **pages, unsigned int nr)
{
	unsigned int n = 1;

	while (n < nr && pages[n]->mapping == pages[0]->mapping &&
	       pages[n]->index == pages[0]->index + n &&
	       is_frozen(pages[n]) == is_frozen(pages[0]))
		n++;
	return n;
}

/* A run of @n, all of which are given back. */
static void demote_run(struct page **pages, unsigned int n,
		       struct demote_control *dc)
{
	const bool drop = is_frozen(pages[0]);
	int err = drop ? demote_drop(pages, n) :
			 demote_keep(pages, n, dc->drop);

	if (!err) {
		dc->gone += n;
		dc->kept += drop ? 0 : n;
		dc->dropped += drop ? n : 0;
		return;
	}
	dc->nomem |= err == -ENOMEM;
	count_vm_events(PGDEMOTE_FAIL, n);
	for (unsigned int i = 0; i < n; i++) {
		unlock_page(pages[i]);
		demote_putback(pages[i]);
	}
}

/*
 * First of all: who looks for one that is frozen spins, and may have a
 * window->lock that keeping others takes. @pages: sorted. Return: how many
 * remain.
 */
static unsigned int drop_frozen_runs(struct page **pages, unsigned int nr,
				     struct demote_control *dc)
{
	unsigned int left = 0, n;

	for (unsigned int i = 0; i < nr; i += n) {
		n = run_length(pages + i, nr - i);
		if (is_frozen(pages[i])) {
			demote_run(pages + i, n, dc);
			continue;
		}
		memmove(pages + left, pages + i, n * sizeof(pages[0]));
		left += n;
	}
	return left;
}

/*
 * What clients have stored to since the last scan may be where a device is
 * transferring to, as if it had been granted just now: back with it. @pages:
 * sorted, none frozen. Return: how many remain.
 */
static unsigned int put_back_stored(struct page **pages, unsigned int nr)
{
	unsigned int left = 0, n;

	for (unsigned int i = 0; i < nr; i += n) {
		n = run_length(pages + i, nr - i);
		if (mapping_async(pages[i]->mapping))
			try_to_unmap(pages + i, n);
		for (unsigned int j = i; j < i + n; j++) {
			if (!granted_lately(pages[j])) {
				pages[left++] = pages[j];
				continue;
			}
			unlock_page(pages[j]);
			demote_putback(pages[j]);
		}
	}
	return left;
}

/* @pages: locked, isolated, referenced; all are given back. */
void demote_pages(struct page **pages, unsigned int nr,
			 struct demote_control *dc)
{
	const unsigned int all = nr;
	unsigned int n;

	dc->dropped = dc->kept = 0;
	qsort(pages, nr, sizeof(pages[0]), page_cmp);
	nr = drop_frozen_runs(pages, nr, dc);
	if (!dc->hard)
		nr = put_back_stored(pages, nr);
	for (; nr; nr -= n, pages += n) {
		n = run_length(pages, nr);
		if (mapping_async(pages[0]->mapping))
			n = min(n, window_take_max());
		demote_run(pages, n, dc);
	}
	if (all)
		trace_mm_demote(all, dc->kept, dc->dropped);
}
