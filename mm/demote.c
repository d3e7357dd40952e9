// SPDX-License-Identifier: BSD-2-Clause
/*
 * mm/demote.c - which pages leave the windows, and the safe way out
 *
 *   LRU_WINDOW tail --> isolated, locked --> runs of consecutive pages
 *
 *     1. try_to_unmap	every client that may write is write-protected: from
 *			here on the bytes do not change, and the markers in
 *			the clients' page tables outlive the hole
 *     2. preadv	the bytes, into frames of the arena
 *     3. punch		the clients' kernels forget the page; the next access
 *			is a fault that waits for the page lock
 *     4. the page is the arena's: inactive, and first in line there
 *
 * In any other order a store between 2 and 3 is lost (run: 0.02% of racing
 * increments without step 1). A fault of a thread that waits already is
 * answered by the handler that has read its message, so nobody is woken here.
 *
 * Clients whose stores are scanned for cannot be stopped (window_scan.c). Then
 * the order is another: hold the very memory (splice), punch, and read it, which
 * nobody can reach any more; whether it was stored to a last scan tells.
 *
 * A window has no accessed bits. That a page was wanted shows when it is, after
 * step 4: the soft fault brings it back without the disk, marked referenced,
 * and it gets a second round. What sequential read-ahead brought and nobody
 * wrote is not worth that: it is dropped with step 3.
 *
 *   at the tail				what happens
 *     locked, under writeback		back to the head
 *     mlocked				back
 *     granted for writing <1 s ago	back, unless it is urgent: a device may be
 *					at it on a client's behalf, whom no
 *					write-protection stops
 *     of a file nobody maps		the arena's, when that is short
 *     referenced			back, once
 *     clean and streamed		dropped
 *     all others			to the arena; from there they go, too, if
 *					they are clean and all else must stay
 *
 * Locks:  page locks (tried only) > demote_sem (read) > window->lock > what
 *         try_to_unmap() takes; lruvec->lock by itself.
 * Source: Linux mm/vmscan.c (shrink_folio_list, demote_folio_list).
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

/* Pages of an unmapped file that go at once: 1 MiB, some 0.3 ms. Arbitrary. */
#define IDLE_PAGES	256u
/* Batches looked at for each one that must go. Arbitrary. */
#define MAX_ROUNDS	32u
/*
 * Batches that bring nothing before it is given up: the list is in the order in
 * which pages came, so if those at its tail are too new, all are.
 */
#define MAX_VAIN	4u
/* Clean pages that go together when there are no frames for them: few, for half of
 * WMARK_MIN is all that several threads may borrow from. Arbitrary. */
#define CLEAN_PAGES	16u
/* Pages looked at for them: who finds none tries 16 times, and what must stay goes
 * to the list's other end. */
#define CLEAN_PART	8ul
#define CLEAN_LOOK	1024ul

/* ---- isolating ---- */

/* From the tail of the list, each with a reference and off it. */
static unsigned int isolate(struct page **pages, unsigned int nr)
{
	struct lruvec *lruvec = &NODE_DATA(0)->lruvec;
	struct list_head *list = &lruvec->lists[LRU_WINDOW];
	unsigned int got = 0, scanned = 0;

	mutex_lock(&lruvec->lock);
	while (got < nr && scanned++ < 2 * nr && !list_empty(list)) {
		struct page *page = list_last_entry(list, struct page, lru);

		if (!get_page_unless_zero(page)) {
			list_move(&page->lru, list);	/* being freed */
			continue;
		}
		lruvec_del(lruvec, page);
		pages[got++] = page;
	}
	mutex_unlock(&lruvec->lock);
	return got;
}

/* May it go? Context: page locked, isolated. */
static bool may_demote(struct page *page, const struct demote_control *dc)
{
	if (!page_mapping(page) || !PageWindow(page) ||
	    page_test(page, PG_writeback))
		return false;
	if (dc->drop &&
	    (page_test(page, PG_dirty) || page_test(page, PG_recheck)))
		return false;
	if (page_test(page, PG_mlocked)) {
		if (page_is_mlocked(page))
			return false;
		page_clear(page, PG_mlocked);
	}
	if (dc->hard)
		return true;
	if (granted_lately(page))
		return false;
	return !page_test_clear(page, PG_referenced);
}

/* Is it of a file that clients map? Context: page locked. */
static bool is_in_use(struct page *page)
{
	const struct address_space *mapping = page_mapping(page);

	return mapping && mapping_mapped(mapping);
}

/*
 * Those of files that nobody maps are all at the tail (window_idle()), so the
 * first that is not one is the end. Return: pages looked at; 0 at the end.
 */
static unsigned int shrink_idle_batch(struct demote_control *dc)
{
	struct page *pages[WINDOW_BATCH], *go[WINDOW_BATCH];
	unsigned int got = isolate(pages, WINDOW_BATCH), n = 0, i;

	for (i = 0; i < got; i++) {
		if (!trylock_page(pages[i]))
			break;
		if (is_in_use(pages[i]) || !may_demote(pages[i], dc)) {
			unlock_page(pages[i]);
			break;
		}
		demote_freeze(pages[i]);
		go[n++] = pages[i];
	}
	for (unsigned int k = got; k-- > i;) {	/* the rest, as they were */
		lru_putback_tail(pages[k]);
		put_page(pages[k]);
	}
	demote_pages(go, n, dc);
	return n;
}

unsigned long shrink_idle_windows(unsigned long nr)
{
	struct demote_control dc = { .hard = true };
	unsigned int saved = memalloc_save();
	unsigned long before;

	memalloc_restore(0);	/* as in shrink_windows() */
	do
		before = dc.gone;
	while (shrink_idle_batch(&dc) && dc.gone > before && dc.gone < nr);
	memalloc_restore(saved);
	if (dc.gone)
		reclaim_progress();
	return dc.gone;
}

/* Return: pages looked at. */
static unsigned int shrink_batch(unsigned int nr, struct demote_control *dc)
{
	struct page *pages[WINDOW_BATCH], *go[WINDOW_BATCH];
	unsigned int got, n = 0;

	got = isolate(pages, min(nr, WINDOW_BATCH));
	for (unsigned int i = 0; i < got; i++) {
		if (!trylock_page(pages[i])) {
			demote_putback(pages[i]);
			continue;
		}
		if (may_demote(pages[i], dc)) {
			demote_freeze(pages[i]);
			go[n++] = pages[i];
			continue;
		}
		unlock_page(pages[i]);
		demote_putback(pages[i]);
	}
	demote_pages(go, n, dc);
	return got;
}

unsigned long shrink_windows(unsigned long nr, bool hard)
{
	struct demote_control dc = { .hard = hard };
	unsigned long looked = 0, limit = min(nr * MAX_ROUNDS, nr_window_pages());
	unsigned int saved = memalloc_save(), seen = 1, vain = 0;
	unsigned long before;

	/* Demoting is reclaim, but must leave the reserve to writeback. */
	memalloc_restore(0);
	while (dc.gone < nr && looked <= limit && seen && vain < MAX_VAIN) {
		before = dc.gone;
		/* Few pages at a time cost a TLB flush each: never below 8. */
		seen = shrink_batch(max_t(unsigned long, nr - dc.gone, 8), &dc);
		looked += seen;
		if (dc.gone == before)
			vain++;
		if (dc.nomem && !try_to_free_pages(GFP_USER, 0, ZONE_MOVABLE))
			break;
		dc.nomem = false;
	}
	memalloc_restore(saved);
	if (dc.gone)
		reclaim_progress();
	return dc.gone;
}

/* ---- when nothing else can go ---- */

static unsigned long drop_clean_windows(void)
{
	struct demote_control dc = { .hard = true, .drop = true };
	const unsigned long limit = max(nr_window_pages() / CLEAN_PART,
					CLEAN_LOOK);
	unsigned int saved = memalloc_save();
	unsigned long looked = 0, seen;

	memalloc_restore(0);	/* as in shrink_windows() */
	do
		looked += seen = shrink_batch(CLEAN_PAGES, &dc);
	while (seen && looked < limit && !dc.gone);
	memalloc_restore(saved);
	return dc.gone;
}

unsigned long windows_last_resort(void)
{
	unsigned long given = balloon_give(0);

	if (!given && drop_clean_windows())
		given = balloon_give(0);
	if (given)
		reclaim_progress();
	return given;
}

/* ---- by hand ---- */

/* The page, isolated from LRU_WINDOW, or false. Context: a reference. */
static bool isolate_one(struct page *page)
{
	struct lruvec *lruvec = &NODE_DATA(0)->lruvec;
	bool taken;

	mutex_lock(&lruvec->lock);
	taken = PageWindow(page) && page_test(page, PG_lru);
	if (taken)
		lruvec_del(lruvec, page);
	mutex_unlock(&lruvec->lock);
	return taken;
}

/* Is it to go? Context: page locked. */
static bool may_go(const struct address_space *mapping, struct page *page,
		   const struct demote_control *dc)
{
	return page_mapping(page) == mapping &&
		!page_test(page, PG_writeback) &&
		(dc->hard || !granted_lately(page));
}

/* Those of @pages that are in the window and idle go; puts all of them. */
static void demote_some(struct address_space *mapping, struct page **pages,
			unsigned int nr, struct demote_control *dc)
{
	struct page *go[PAGEVEC_SIZE];
	unsigned int n = 0;

	for (unsigned int i = 0; i < nr; i++) {
		lock_page(pages[i]);
		if (may_go(mapping, pages[i], dc) && isolate_one(pages[i])) {
			go[n++] = pages[i];
			continue;
		}
		unlock_page(pages[i]);
		put_page(pages[i]);
	}
	demote_pages(go, n, dc);
}

static void demote_mapping(struct address_space *mapping,
			   struct demote_control dc)
{
	struct page *pages[PAGEVEC_SIZE];
	pgoff_t index = 0;
	unsigned int nr;

	while ((nr = find_get_pages_range(mapping, &index, UINT64_MAX,
					       PAGEVEC_SIZE, pages, ANY_TAG))) {
		demote_some(mapping, pages, nr, &dc);
		if (dc.nomem && !try_to_free_pages(GFP_USER, 0, ZONE_MOVABLE))
			break;
		dc.nomem = false;
	}
	balloon_trim();
}

unsigned long window_demote_all(struct address_space *mapping)
{
	struct window *w = atomic_load(&mapping->window);

	if (!w)
		return 0;
	demote_mapping(mapping, (struct demote_control){ .hard = true });
	return atomic_load(&w->nr_pages);
}

void window_demote_idle(struct address_space *mapping)
{
	if (atomic_load(&mapping->window))
		demote_mapping(mapping, (struct demote_control){ .hard = false });
}

void window_deactivate_range(struct address_space *mapping, pgoff_t first,
			     pgoff_t last)
{
	struct lruvec *lruvec = &NODE_DATA(0)->lruvec;
	struct page *pages[PAGEVEC_SIZE];
	unsigned int nr;

	while ((nr = find_get_pages_range(mapping, &first, last, PAGEVEC_SIZE,
					  pages, ANY_TAG))) {
		mutex_lock(&lruvec->lock);
		for (unsigned int i = 0; i < nr; i++) {
			page_clear(pages[i], PG_referenced);
			if (PageWindow(pages[i]) && page_test(pages[i], PG_lru))
				list_move_tail(&pages[i]->lru,
					       &lruvec->lists[LRU_WINDOW]);
		}
		mutex_unlock(&lruvec->lock);
		put_pages(pages, nr);
	}
}

void window_idle(struct address_space *mapping)
{
	struct window *w = atomic_load(&mapping->window);

	if (!w || mapping_mapped(mapping))
		return;
	window_redirty(mapping, true);	/* a clean file may be forgotten */
	/* Many stay: the next client may be about to come. */
	if (atomic_load(&w->nr_pages) <= IDLE_PAGES)
		window_demote_all(mapping);
	else
		window_deactivate_range(mapping, 0, UINT64_MAX);
}

void window_mlock_range(struct address_space *mapping, pgoff_t first,
			pgoff_t last)
{
	struct page *pages[PAGEVEC_SIZE];
	unsigned int nr;

	while ((nr = find_get_pages_range(mapping, &first, last, PAGEVEC_SIZE,
					  pages, ANY_TAG))) {
		for (unsigned int i = 0; i < nr; i++)
			page_set(pages[i], PG_mlocked);
		put_pages(pages, nr);
	}
}

/* ---- frames left with pages ---- */

static unsigned int find_snapshots(struct page **pages, unsigned int max)
{
	struct lruvec *lruvec = &NODE_DATA(0)->lruvec;
	struct page *page;
	unsigned int nr = 0;

	mutex_lock(&lruvec->lock);
	list_for_each_entry(page, &lruvec->lists[LRU_WINDOW], lru) {
		if (nr == max)
			break;
		if (READ_ONCE(page->pfn) != PFN_NONE &&
		    !page_test(page, PG_writeback) && get_page_unless_zero(page))
			pages[nr++] = page;
	}
	mutex_unlock(&lruvec->lock);
	return nr;
}

bool window_drop_snapshot(struct page *page)
{
	bool dropped = false;

	if (!PageWindow(page) || READ_ONCE(page->pfn) == PFN_NONE ||
	    !trylock_page(page))
		return false;
	if (PageWindow(page) && !page_test(page, PG_writeback)) {
		page_drop_snapshot(page, 2);
		dropped = page->pfn == PFN_NONE;
	}
	unlock_page(page);
	return dropped;
}

unsigned long window_drop_snapshots(void)
{
	struct page *pages[WINDOW_BATCH];
	unsigned int nr = find_snapshots(pages, WINDOW_BATCH);
	unsigned long dropped = 0;

	for (unsigned int i = 0; i < nr; i++) {
		dropped += window_drop_snapshot(pages[i]);
		put_page(pages[i]);
	}
	return dropped;
}
