// SPDX-License-Identifier: BSD-2-Clause
/*
 * mm/vmscan.c - reclaim: which pages go when memory is short
 *
 *   free frames
 *     high  ....................... kswapd sleeps
 *     low   ....................... kswapd is woken, works until high
 *     min   ....................... allocators reclaim themselves
 *       0                           (reserve: flushers, I/O, reclaim itself)
 *
 *   shrink_node: for each list a number of pages in proportion to its length and
 *   to the priority, which rises (12 -> 0) while too little comes. Between memory
 *   without a file and that of files it is weighted by what reclaiming each has
 *   cost lately, and by swappiness (get_scan_count).
 *
 *   at the inactive tail            what happens
 *     locked, or in use             back to the head
 *     under writeback               back; PG_reclaim brings it to the tail
 *                                   when the I/O ends
 *     dirty                         the same, and the flushers are woken; without
 *                                   a file: to swap, all of a batch together
 *     clean                         out of the tree, frame freed
 *   at the active tail
 *     referenced                    once more round (second chance)
 *     not referenced                to the inactive head
 *
 * Reclaim writes no file, and to swap from reserves, so it needs no memory. A
 * thread that finds nothing but pages that are dirty or locked waits for progress,
 * at most RECLAIM_WAIT_MS.
 *
 * I1. A page is freed only with refcount frozen to 0 under its tree_lock, so
 *     no lock-free lookup can have it.
 *
 * Locks:  page lock (tried only) > tree_lock; lruvec->lock by itself.
 * Source: Linux mm/vmscan.c (shrink_inactive_list, balance_pgdat). Differs:
 *         reclaim never writes pages of files; no memory cgroups.
 */
#include <string.h>

#include "internal.h"
#include "page.h"
#include "err.h"
#include "shmem_i.h"
#include "slab.h"
#include "trace.h"
#include "vmscan.h"
#include "vmstat.h"
#include "window_i.h"
#include "workingset.h"

#define DEF_PRIORITY		12	/* first pass looks at 1/4096 */
#define SWAP_CLUSTER_MAX	32UL	/* pages in one batch; Linux's number */
#define SWAP_BATCH		128u	/* pages to swap out together: 512 KiB */
#define TINY_KIND		16u	/* part of the other kind; arbitrary */
#define NO_SWAP_PRIORITY	3	/* from 1/4 of the lists on; arbitrary */
#define ANY_ZONE_PRIORITY	3	/* from 1/4 of the lists on; arbitrary */
#define RECLAIM_WAIT_MS		100	/* as Linux's reclaim_throttle() */
#define HELD_WAIT_MS		1	/* arbitrary: longer than a lookup */

struct scan_control {
	unsigned long nr_to_reclaim;
	enum zone_type highest;		/* frames of higher zones do not help */
	int priority;
	bool kswapd;
	unsigned long nr_scanned;
	unsigned long nr_reclaimed;
	unsigned long nr_dirty;		/* met at the tail, could not go */
	unsigned long nr_writeback;
	unsigned long nr_locked;	/* being read, say */
	unsigned long nr_held;		/* clean, but referenced */
	unsigned long nr_pageout;	/* on their way to swap since */
	unsigned int nr_out;		/* of @out */
	struct page *out[SWAP_BATCH];	/* locked, to be swapped out */
};

/* ---- the inactive list ---- */

/*
 * A page whose frame is of no use still has a descriptor and its share of a
 * tree's node, and those are in ZONE_NORMAL: many small files fill it with
 * them. So rather than fail, an allocator takes any page.
 */
static bool page_zone_helps(const struct page *page,
			    const struct scan_control *sc)
{
	pfn_t pfn = READ_ONCE(page->pfn);

	/* No frame: truncated while in a window, and on its way out. */
	return pfn == PFN_NONE || pfn_to_zone(pfn)->type <= sc->highest ||
		(sc->priority < ANY_ZONE_PRIORITY && !sc->kswapd);
}

/*
 * Up to @nr pages from the tail of @lru onto @dst, each with a reference and
 * PG_lru clear. Pages of zones that do not help go to the head: they are met
 * again only after all others. Context: lruvec->lock. Return: pages looked at.
 */
static unsigned long isolate_lru_pages(struct lruvec *lruvec, enum lru_list lru,
				       unsigned long nr, struct list_head *dst,
				       const struct scan_control *sc)
{
	unsigned long scanned = 0, taken = 0;
	unsigned long limit = min(lruvec->nr[lru], nr * 8);

	while (taken < nr && scanned < limit) {
		struct page *page = list_last_entry(&lruvec->lists[lru],
						    struct page, lru);

		scanned++;
		if (!page_zone_helps(page, sc) || !get_page_unless_zero(page)) {
			list_move(&page->lru, &lruvec->lists[lru]);
			continue;
		}
		lruvec_del(lruvec, page);
		list_add(&page->lru, dst);
		taken++;
	}
	return scanned;
}

/* Isolated pages go back to the list their flags say. */
static void putback_lru_pages(struct lruvec *lruvec, struct list_head *list)
{
	struct page *page, *next;
	LIST_HEAD(free);

	mutex_lock(&lruvec->lock);
	list_for_each_entry_safe(page, next, list, lru) {
		list_del_init(&page->lru);
		if (page_test(page, PG_window)) {
			/* Promoted since: it is the first node's now. */
			mutex_unlock(&lruvec->lock);
			lru_putback(page);
			put_page(page);
			mutex_lock(&lruvec->lock);
			continue;
		}
		lruvec_add(lruvec, page);
		/* Not put_page(): it would take the lock we hold. */
		if (atomic_fetch_sub(&page->refcount, 1) == 1) {
			lruvec_del(lruvec, page);
			list_add(&page->lru, &free);
		}
	}
	mutex_unlock(&lruvec->lock);
	list_for_each_entry_safe(page, next, &free, lru) {
		list_del_init(&page->lru);
		free_page(page);
	}
}

bool remove_mapping(struct page *page)
{
	struct address_space *mapping = page_mapping(page);

	if (!mapping) {
		/* Truncated; the tree's reference is gone. */
		return page_ref_freeze(page, 1);
	}
	mutex_lock(&mapping->tree_lock);
	if (page_test(page, PG_dirty) || !page_ref_freeze(page, 2)) {
		mutex_unlock(&mapping->tree_lock);
		return false;
	}
	__delete_from_page_cache(page);
	mutex_unlock(&mapping->tree_lock);
	workingset_eviction(mapping, page->index);
	if (mapping == &swapper_space)
		swapcache_dropped(page_swap_entry(page));
	return true;
}

/*
 * Without a file, and dirty: to swap. Shared pages that are in memory alone stay,
 * but for those nobody wants any more. Page locked. Return: false: it stays.
 */
static bool may_swap_out(struct page *page, struct scan_control *sc)
{
	swp_entry_t entry = page_swap_entry(page);

	if (!page_test(page, PG_swapbacked) || !page_mapping(page) ||
	    sc->nr_out == SWAP_BATCH)
		return false;
	if (!page_in_swapcache(page))
		return nr_swap_pages();
	return swap_entry_is_disk(entry) || !swap_count(entry);
}

static void swap_out_batch(struct scan_control *sc)
{
	unsigned int started;

	if (!sc->nr_out)
		return;
	/* An allocator may do anything next; kswapd flushes its plug. */
	started = swap_out_pages(sc->out, sc->nr_out,
				 sc->kswapd ? READ_START : READ_AHEAD);
	sc->nr_writeback += started;
	sc->nr_pageout += started;
	sc->nr_out = 0;
}

/* True when the page was freed; false: it stays, flags say on which list. */
static bool shrink_page(struct page *page, struct scan_control *sc)
{
	bool freed = false;

	if (!trylock_page(page)) {
		sc->nr_locked++;
		return false;
	}
	if (page_test(page, PG_window)) {
		sc->nr_held++;		/* promoted while we had it isolated */
	} else if (page_test(page, PG_writeback)) {
		sc->nr_writeback++;
		page_set(page, PG_reclaim);
	} else if (page_test(page, PG_dirty)) {
		if (may_swap_out(page, sc)) {
			sc->out[sc->nr_out++] = page;
			return false;
		}
		if (!page_test(page, PG_swapbacked))
			sc->nr_dirty++;
		page_set(page, PG_reclaim);
	} else {
		freed = remove_mapping(page);
		sc->nr_held += !freed;
	}
	unlock_page(page);
	return freed;
}

static void shrink_page_list(struct list_head *list, struct scan_control *sc)
{
	struct page *page, *next;

	list_for_each_entry_safe(page, next, list, lru) {
		if (!shrink_page(page, sc))
			continue;
		list_del_init(&page->lru);
		free_page(page);
		sc->nr_reclaimed++;
	}
	swap_out_batch(sc);
}

/* ---- which of the two ---- */

static bool lru_is_file(enum lru_list lru)
{
	return lru >= LRU_INACTIVE_FILE;
}

static unsigned long kind_size(const struct lruvec *lruvec, bool file)
{
	const enum lru_list lru = file ? LRU_INACTIVE_FILE : LRU_INACTIVE_ANON;

	return READ_ONCE(lruvec->nr[lru]) + READ_ONCE(lruvec->nr[lru + 1]);
}

static unsigned long lruvec_size(const struct lruvec *lruvec)
{
	return kind_size(lruvec, false) + kind_size(lruvec, true);
}

/* Old costs fade as new ones come, as in Linux. */
void lru_note_cost(struct lruvec *lruvec, enum lru_kind kind, unsigned long nr)
{
	unsigned long anon, file;

	if (!nr)
		return;
	mutex_lock(&lruvec->lock);
	anon = lruvec->anon_cost;
	file = lruvec->file_cost;
	if (kind == LRU_FILE)
		file += nr;
	else
		anon += nr;
	if (anon + file > lruvec_size(lruvec) / 4) {
		anon /= 2;
		file /= 2;
	}
	WRITE_ONCE(lruvec->anon_cost, anon);
	WRITE_ONCE(lruvec->file_cost, file);
	mutex_unlock(&lruvec->lock);
}

/*
 * What of a list's length, in 1/256, is to be looked at. The cheaper kind gives
 * more, and no kind less than a third of what costs alone would say.
 */
static unsigned long scan_share(const struct lruvec *lruvec, bool file)
{
	unsigned long swappiness = atomic_load(&vm_tunables.swappiness);
	unsigned long anon = READ_ONCE(lruvec->anon_cost);
	unsigned long cost = READ_ONCE(lruvec->file_cost), total = anon + cost;
	unsigned long ap, fp;

	if (!total_swap_pages())
		return 256;
	/* As good as alone: then in pieces that are worth an I/O. */
	if (kind_size(lruvec, !file) * TINY_KIND < kind_size(lruvec, file))
		return 256;
	anon += total;
	cost += total;
	total = anon + cost;
	ap = swappiness * (total + 1) / (anon + 1);
	fp = (200 - swappiness) * (total + 1) / (cost + 1);
	return 256 * (file ? fp : ap) / (ap + fp + 1);
}

/* ---- the inactive lists ---- */

static void shrink_inactive_list(struct lruvec *lruvec, enum lru_list lru,
				 unsigned long nr, struct scan_control *sc)
{
	const unsigned long before = sc->nr_reclaimed;
	const unsigned long pageout = sc->nr_pageout;
	const bool file = lru_is_file(lru);
	unsigned long scanned, stolen;
	LIST_HEAD(list);

	mutex_lock(&lruvec->lock);
	scanned = isolate_lru_pages(lruvec, lru, nr, &list, sc);
	mutex_unlock(&lruvec->lock);
	shrink_page_list(&list, sc);
	putback_lru_pages(lruvec, &list);
	sc->nr_scanned += scanned;
	stolen = sc->nr_reclaimed - before;
	count_vm_events(sc->kswapd ? PGSCAN_KSWAPD : PGSCAN_DIRECT, scanned);
	count_vm_events(sc->kswapd ? PGSTEAL_KSWAPD : PGSTEAL_DIRECT, stolen);
	count_vm_events(file ? PGSCAN_FILE : PGSCAN_ANON, scanned);
	count_vm_events(file ? PGSTEAL_FILE : PGSTEAL_ANON, stolen);
	if (!file)
		lru_note_cost(lruvec, LRU_ANON, sc->nr_pageout - pageout);
}

/* ---- the active list ---- */

static void shrink_active_list(struct lruvec *lruvec, enum lru_list lru,
			       unsigned long nr, struct scan_control *sc)
{
	unsigned long scanned, deactivated = 0;
	struct page *page;
	LIST_HEAD(list);

	mutex_lock(&lruvec->lock);
	scanned = isolate_lru_pages(lruvec, lru, nr, &list, sc);
	mutex_unlock(&lruvec->lock);
	list_for_each_entry(page, &list, lru) {
		if (page_test_clear(page, PG_referenced))
			continue;	/* second chance */
		page_clear(page, PG_active);
		page_set(page, PG_workingset);
		deactivated++;
	}
	putback_lru_pages(lruvec, &list);
	count_vm_events(PGDEACTIVATE, deactivated);
	count_vm_events(sc->kswapd ? PGSCAN_KSWAPD : PGSCAN_DIRECT, scanned);
}

/* Half of the pages may be active: Linux's ratio below 1 GiB. */
static bool inactive_is_low(const struct lruvec *lruvec, enum lru_list inactive)
{
	return READ_ONCE(lruvec->nr[inactive]) <
	       READ_ONCE(lruvec->nr[inactive + 1]);
}

/* At a time: what is swapped out together is written together. */
static unsigned long scan_batch(enum lru_list lru)
{
	return lru_is_file(lru) ? SWAP_CLUSTER_MAX : SWAP_BATCH;
}

/* Pages of @lru to look at. */
static unsigned long get_scan_count(const struct lruvec *lruvec,
				    enum lru_list lru, int priority)
{
	unsigned long size = READ_ONCE(lruvec->nr[lru]);
	unsigned long share = scan_share(lruvec, lru_is_file(lru)), nr;

	if (!size || !share)
		return 0;
	/* Without swap only what is clean can go, copies of files and zeros:
	 * looked for when files have nothing more to give. */
	if (!lru_is_file(lru) && !total_swap_pages() &&
	    priority >= NO_SWAP_PRIORITY)
		return 0;
	/* In proportion, but when all else has failed. */
	nr = priority ? (size >> priority) * share / 256 : size;
	return max(nr, min(size, max(scan_batch(lru) * share / 256, 1ul)));
}

/* Both kinds in turns, a batch each. */
static void shrink_inactive_lists(struct lruvec *lruvec, struct scan_control *sc)
{
	unsigned long left[] = {
		get_scan_count(lruvec, LRU_INACTIVE_ANON, sc->priority),
		get_scan_count(lruvec, LRU_INACTIVE_FILE, sc->priority),
	};
	static const enum lru_list lrus[] = { LRU_INACTIVE_ANON,
					      LRU_INACTIVE_FILE };

	while ((left[0] || left[1]) && sc->nr_reclaimed < sc->nr_to_reclaim)
		for (unsigned int i = 0; i < ARRAY_SIZE(lrus); i++) {
			unsigned long nr = min(left[i], scan_batch(lrus[i]));

			if (!nr || sc->nr_reclaimed >= sc->nr_to_reclaim)
				continue;
			shrink_inactive_list(lruvec, lrus[i], nr, sc);
			left[i] -= nr;
		}
}

static void age_active_list(struct lruvec *lruvec, enum lru_list inactive,
			    struct scan_control *sc)
{
	unsigned long active = get_scan_count(lruvec, inactive + 1,
					      sc->priority);

	while (active && inactive_is_low(lruvec, inactive)) {
		unsigned long nr = min(active, SWAP_CLUSTER_MAX);

		shrink_active_list(lruvec, inactive + 1, nr, sc);
		active -= nr;
	}
}

static void shrink_node(pg_data_t *pgdat, struct scan_control *sc)
{
	struct lruvec *lruvec = &pgdat->lruvec;
	unsigned long scanned = sc->nr_scanned, reclaimed = sc->nr_reclaimed;

	shrink_inactive_lists(lruvec, sc);
	age_active_list(lruvec, LRU_INACTIVE_ANON, sc);
	age_active_list(lruvec, LRU_INACTIVE_FILE, sc);
	trace_mm_vmscan_scan(sc->kswapd ? TRACE_KSWAPD : TRACE_DIRECT,
			     sc->nr_scanned - scanned,
			     sc->nr_reclaimed - reclaimed, sc->priority);
}

/* ---- direct reclaim ---- */

static bool is_under_way(const struct scan_control *sc)
{
	return sc->nr_dirty || sc->nr_writeback || sc->nr_locked ||
		vm_stat_read(NR_WRITEBACK);	/* windows' have frames, too */
}

/*
 * Nothing came: waits for what is under way. Who holds a reference is not waited
 * for long: it may be the caller, or somebody who waits for memory as well. And
 * kswapd may find something yet where only faults may look, in the windows. Return:
 * did anything come of it?
 */
static bool throttle(const struct scan_control *sc, unsigned int seq,
		     bool windows)
{
	if (is_under_way(sc))
		return wait_for_progress(seq, RECLAIM_WAIT_MS);
	return (sc->nr_held || (windows && !in_user_fault())) &&
		wait_for_progress(seq, HELD_WAIT_MS);
}

unsigned long try_to_free_pages(gfp_t gfp, unsigned int order,
				enum zone_type highest)
{
	unsigned int seq = reclaim_progress_seq();
	unsigned int saved = memalloc_save();
	struct scan_control sc = {
		.nr_to_reclaim = max(SWAP_CLUSTER_MAX, 1UL << order),
		.highest = highest,
	};
	const bool windows = highest == ZONE_MOVABLE && nr_window_pages();
	unsigned long slab = 0;

	count_vm_event(ALLOCSTALL);
	for (sc.priority = DEF_PRIORITY; sc.priority >= 0; sc.priority--) {
		for (int nid = 0; nid < nr_online_nodes; nid++)
			shrink_node(NODE_DATA(nid), &sc);
		slab += shrink_slab(sc.priority);
		if (sc.nr_reclaimed >= sc.nr_to_reclaim)
			break;
	}
	if (slab && sc.nr_reclaimed < sc.nr_to_reclaim)
		kmem_cache_shrink_all();
	if (sc.nr_dirty)
		wakeup_flusher_threads(WB_REASON_RECLAIM);
	if (!sc.nr_reclaimed)
		sc.nr_reclaimed = window_drop_snapshots();
	if (!sc.nr_reclaimed && !(gfp & __GFP_NORETRY) &&
	    !throttle(&sc, seq, windows) && windows && in_user_fault())
		sc.nr_reclaimed = windows_last_resort();
	memalloc_restore(saved);
	return sc.nr_reclaimed + slab;
}

/* ---- for kswapd ---- */

static bool zone_balanced(const struct zone *zone)
{
	return zone_free_frames(zone) >= zone->watermark[WMARK_HIGH];
}

/* The highest zone type that is short, or -1. */
static int unbalanced_zone(pg_data_t *pgdat)
{
	for (int type = MAX_NR_ZONES - 1; type >= 0; type--)
		if (pgdat->zones[type].spanned &&
		    !zone_balanced(&pgdat->zones[type]))
			return type;
	return -1;
}

/* Nothing came from the lists. Return: is it worth going on? */
static bool found_elsewhere(const struct scan_control *sc, unsigned int seq,
			    int type)
{
	if (type == ZONE_MOVABLE && !is_under_way(sc) && windows_last_resort())
		return true;
	return !wait_for_progress(seq, RECLAIM_WAIT_MS) &&
		type == ZONE_MOVABLE && windows_last_resort();
}

bool balance_pgdat(pg_data_t *pgdat)
{
	unsigned int seq = reclaim_progress_seq();
	struct scan_control sc = { .kswapd = true };
	int type = 0;

	count_vm_event(PAGEOUTRUN);
	if (!pgdat->node_id)
		balance_windows();
	if (unbalanced_zone(pgdat) >= 0)
		windows_give();
	for (sc.priority = DEF_PRIORITY; sc.priority >= 0; sc.priority--) {
		unsigned long before = sc.nr_reclaimed, slab;

		type = unbalanced_zone(pgdat);
		if (type < 0)
			break;
		sc.highest = type;
		sc.nr_to_reclaim = before +
			max(SWAP_CLUSTER_MAX,
			    pgdat->zones[type].watermark[WMARK_HIGH] -
			    pgdat->zones[type].watermark[WMARK_LOW]);
		shrink_node(pgdat, &sc);
		slab = shrink_slab(sc.priority);
		if (sc.nr_reclaimed - before >= SWAP_CLUSTER_MAX)
			sc.priority++;	/* that did it: no need to look deeper */
		else if (slab)
			kmem_cache_shrink_all();	/* not cheap */
	}
	blk_flush_plug();	/* what it has begun to swap out */
	if (sc.nr_reclaimed)
		reclaim_progress();
	if (sc.nr_dirty && type >= 0)
		wakeup_flusher_threads(WB_REASON_RECLAIM);
	return type < 0 || (!sc.nr_reclaimed && !found_elsewhere(&sc, seq, type));
}

/* ---- on demand ---- */

/* One pass over all that is on @lruvec's lists now. */
static unsigned long drop_lruvec(struct lruvec *lruvec)
{
	struct scan_control sc = { .nr_to_reclaim = ~0UL,
				   .highest = MAX_NR_ZONES - 1 };

	for (unsigned long n = READ_ONCE(lruvec->nr[LRU_ACTIVE_FILE]); n;
	     n -= min(n, SWAP_CLUSTER_MAX)) {
		struct page *page;
		LIST_HEAD(list);

		mutex_lock(&lruvec->lock);
		isolate_lru_pages(lruvec, LRU_ACTIVE_FILE, SWAP_CLUSTER_MAX,
				  &list, &sc);
		mutex_unlock(&lruvec->lock);
		list_for_each_entry(page, &list, lru)
			page_clear(page, PG_active);
		putback_lru_pages(lruvec, &list);
	}
	for (unsigned long n = READ_ONCE(lruvec->nr[LRU_INACTIVE_FILE]); n;
	     n -= min(n, SWAP_CLUSTER_MAX))
		shrink_inactive_list(lruvec, LRU_INACTIVE_FILE,
				     SWAP_CLUSTER_MAX, &sc);
	return sc.nr_reclaimed;
}

unsigned long drop_pagecache(void)
{
	unsigned long dropped = 0;

	for (int nid = 0; nid < nr_online_nodes; nid++)
		dropped += drop_lruvec(&NODE_DATA(nid)->lruvec);
	count_vm_event(DROP_PAGECACHE);
	return dropped;
}
