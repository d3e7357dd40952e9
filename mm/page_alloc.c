// SPDX-License-Identifier: BSD-2-Clause
/*
 * mm/page_alloc.c - handing out frames, and how hard to try
 *
 *   alloc_frames
 *     |  a single frame: this thread's list		pcp.c
 *     |  zones above their low watermark		get_frames(), buddy.c
 *     v
 *   alloc_slowpath
 *     |  wake kswapd; zones above min (min/2 for __GFP_HIGH)
 *     |  reclaiming ourselves: everything, then give up
 *     |  may reclaim: try_to_free_pages() and again, until 16 rounds in a row
 *     |               made no progress
 *     |  once: what other threads' lists hold
 *     v
 *   PFN_NONE
 *
 * I1. Nobody but __GFP_MEMALLOC and threads in memalloc goes below min/2, so
 *     that reclaim and writeback can always finish.
 * I2. A free block's head is never ALLOC, so a double free, a wrong order and
 *     a pfn that is not a head are all one comparison in free_frames().
 *
 * Locks:   none held on entry from LOCK_ICACHE down when reclaim is allowed;
 *          takes those of pcp.c and buddy.c. No lock is held while reclaiming.
 * Source:  Linux mm/page_alloc.c. Differs: no compaction, so blocks of more
 *          than one frame get a bounded number of rounds; no OOM killer.
 */
#include <string.h>

#include "internal.h"
#include "vmstat.h"

/* Rounds of reclaim without progress; Linux's MAX_RECLAIM_RETRIES. */
#define MAX_RECLAIM_RETRIES	16
/* Largest nr of alloc_frames_bulk(): a radix tree's or an I/O's largest batch. */
#define BULK_MAX		1024

/* Down to where a request may empty a zone. */
enum alloc_level {
	ALLOC_WMARK_LOW,
	ALLOC_WMARK_MIN,
	ALLOC_WMARK_HALF_MIN,
	ALLOC_NO_WATERMARKS,
};

static struct fault_attr fail_page_alloc_attr;
static __thread unsigned int memalloc_flag;

void fail_page_alloc(unsigned long nth, bool sticky)
{
	fault_attr_set(&fail_page_alloc_attr, nth, sticky);
}

unsigned int memalloc_save(void)
{
	unsigned int saved = memalloc_flag;

	memalloc_flag = 1;
	return saved;
}

void memalloc_restore(unsigned int saved)
{
	memalloc_flag = saved;
}

bool in_memalloc(void)
{
	return memalloc_flag;
}

static unsigned long level_mark(const struct zone *zone, enum alloc_level level)
{
	switch (level) {
	case ALLOC_WMARK_LOW:
		return zone->watermark[WMARK_LOW];
	case ALLOC_WMARK_MIN:
		return zone->watermark[WMARK_MIN];
	case ALLOC_WMARK_HALF_MIN:
		return zone->watermark[WMARK_MIN] / 2;
	case ALLOC_NO_WATERMARKS:
		break;
	}
	return 0;
}

static bool level_ok(const struct zone *zone, gfp_t gfp, unsigned int order,
		     enum alloc_level level)
{
	unsigned long reserve = gfp & __GFP_MOVABLE ? zone->lowmem_reserve : 0;

	if (level == ALLOC_NO_WATERMARKS)
		return true;
	return zone_watermark_ok(zone, order, level_mark(zone, level), reserve);
}

/*
 * Below the low watermark no batches: what is left must not be hidden on a
 * list where nobody else can take it. What this thread's list has is gone
 * from the zone already, so that goes first.
 */
static pfn_t get_single(struct zone *zone, enum alloc_level level)
{
	pfn_t pfn;

	if (level == ALLOC_WMARK_LOW)
		return pcp_refill(zone);
	pfn = pcp_take(zone);
	return pfn != PFN_NONE ? pfn : zone_alloc(zone, 0);
}

/* The first zone that may be taken from at @level, and has a block. */
static pfn_t get_frames(gfp_t gfp, unsigned int order, enum alloc_level level)
{
	const struct zonelist *zl = node_zonelist(pcp_home_node(), gfp);

	for (unsigned int i = 0; i < zl->nr; i++) {
		struct zone *zone = zl->zones[i];
		pfn_t pfn;

		if (!level_ok(zone, gfp, order, level))
			continue;
		pfn = order == 0 ? get_single(zone, level) :
				   zone_alloc(zone, order);
		if (pfn != PFN_NONE)
			return pfn;
	}
	return PFN_NONE;
}

static void wake_all_kswapds(void)
{
	for (int nid = 0; nid < nr_online_nodes; nid++)
		wakeup_kswapd(NODE_DATA(nid));
}

static enum alloc_level lowest_level(gfp_t gfp)
{
	if ((gfp & __GFP_MEMALLOC) || in_memalloc())
		return ALLOC_NO_WATERMARKS;
	return gfp & __GFP_HIGH ? ALLOC_WMARK_HALF_MIN : ALLOC_WMARK_MIN;
}

static pfn_t drain_and_get(gfp_t gfp, unsigned int order, enum alloc_level level)
{
	drain_all_frames();
	return get_frames(gfp, order, level);
}

/*
 * Reclaims until there is a block. Progress starts the count anew for single
 * frames only: reclaim does not make blocks, it may free pages for ever.
 * Context: no locks from LOCK_ICACHE down. Return: the block, or PFN_NONE.
 */
static pfn_t reclaim_and_get(gfp_t gfp, unsigned int order,
			     enum alloc_level level)
{
	enum zone_type highest = gfp & __GFP_MOVABLE ? ZONE_MOVABLE :
						       ZONE_NORMAL;
	int left = gfp & __GFP_NORETRY ? 1 : MAX_RECLAIM_RETRIES;
	bool drained = false;

	lockdep_assert_none_from(LOCK_ICACHE);
	while (left-- > 0) {
		unsigned long freed = try_to_free_pages(gfp, order, highest);
		pfn_t pfn = get_frames(gfp, order, level);

		/*
		 * Lists of other threads are emptied once, and again before it
		 * is given up: what they have freed since then, as their I/O
		 * ended, may be all there is.
		 */
		if (pfn == PFN_NONE && (!drained || !left)) {
			drained = true;
			pfn = drain_and_get(gfp, order, level);
		}
		if (pfn != PFN_NONE)
			return pfn;
		if (freed && order == 0 && !(gfp & __GFP_NORETRY))
			left = MAX_RECLAIM_RETRIES;
	}
	return PFN_NONE;
}

static pfn_t __cold alloc_slowpath(gfp_t gfp, unsigned int order)
{
	enum alloc_level level = lowest_level(gfp);
	pfn_t pfn;

	if (gfp & __GFP_KSWAPD)
		wake_all_kswapds();
	pfn = get_frames(gfp, order, level);
	if (pfn != PFN_NONE)
		return pfn;
	if ((gfp & __GFP_RECLAIM) && level != ALLOC_NO_WATERMARKS)
		return reclaim_and_get(gfp, order, level);
	return drain_and_get(gfp, order, level);
}

/* A single frame from this thread's list for the zone it prefers. */
static pfn_t get_listed_frame(gfp_t gfp)
{
	return pcp_take(node_zonelist(pcp_home_node(), gfp)->zones[0]);
}

static void prep_new_frames(gfp_t gfp, pfn_t pfn, unsigned int order)
{
	frames_unpoison(pfn, order);
	if (gfp & __GFP_ZERO)
		memset(pfn_to_virt(pfn), 0, PAGE_SIZE << order);
}

pfn_t __alloc_frames(gfp_t gfp, unsigned int order)
{
	pfn_t pfn = PFN_NONE;

	BUG_ON(order > MAX_ORDER);
	if (order == 0)
		pfn = get_listed_frame(gfp);
	if (pfn == PFN_NONE)
		pfn = get_frames(gfp, order, ALLOC_WMARK_LOW);
	if (unlikely(pfn == PFN_NONE))
		pfn = alloc_slowpath(gfp, order);
	if (unlikely(pfn == PFN_NONE)) {
		count_vm_event(PGALLOC_FAIL);
		return PFN_NONE;
	}
	prep_new_frames(gfp, pfn, order);
	count_vm_events(PGALLOC, 1UL << order);
	return pfn;
}

pfn_t alloc_frames(gfp_t gfp, unsigned int order)
{
	might_alloc(gfp);
	if (should_fail(&fail_page_alloc_attr)) {
		count_vm_event(PGALLOC_FAIL);
		return PFN_NONE;
	}
	return __alloc_frames(gfp, order);
}

/* Up to @nr of what @zone has above its low watermark. */
static unsigned int zone_alloc_bulk(struct zone *zone, gfp_t gfp,
				    unsigned int nr, pfn_t *pfns)
{
	unsigned long keep = zone->watermark[WMARK_LOW];
	unsigned long nr_free;
	unsigned int got = 0;

	if (gfp & __GFP_MOVABLE)
		keep += zone->lowmem_reserve;
	if (zone_free_frames(zone) <= keep)
		return 0;
	mutex_lock(&zone->lock);
	nr_free = zone->nr_free;
	if (nr_free > keep)
		got = __rmqueue_bulk(zone, min_t(unsigned long, nr,
						 nr_free - keep), pfns);
	mutex_unlock(&zone->lock);
	return got;
}

static unsigned int get_frames_bulk(gfp_t gfp, unsigned int nr, pfn_t *pfns)
{
	const struct zonelist *zl = node_zonelist(pcp_home_node(), gfp);
	unsigned int got = 0;

	for (unsigned int i = 0; i < zl->nr && got < nr; i++)
		got += zone_alloc_bulk(zl->zones[i], gfp, nr - got, pfns + got);
	for (unsigned int i = 0; i < got; i++)
		prep_new_frames(gfp, pfns[i], 0);
	count_vm_events(PGALLOC, got);
	return got;
}

unsigned int alloc_frames_bulk(gfp_t gfp, unsigned int nr, pfn_t *pfns)
{
	unsigned int got = 0;

	BUG_ON(nr > BULK_MAX);
	might_alloc(gfp);
	if (should_fail(&fail_page_alloc_attr)) {
		count_vm_event(PGALLOC_FAIL);
		return 0;
	}
	if (nr > 1)
		got = get_frames_bulk(gfp, nr, pfns);
	while (got < nr) {		/* as hard as alloc_frames() would */
		pfns[got] = __alloc_frames(gfp, 0);
		if (pfns[got] == PFN_NONE)
			break;
		got++;
	}
	return got;
}

void split_frames(pfn_t pfn, unsigned int order)
{
	BUG_ON(pfn >= nr_frames || !order || order > MAX_ORDER);
	BUG_ON(frame_get(pfn) != frame_word(FRAME_ALLOC, order));
	zone_split(pfn, order);
}

void free_frames(pfn_t pfn, unsigned int order)
{
	BUG_ON(pfn >= nr_frames || order > MAX_ORDER);
	BUG_ON(frame_get(pfn) != frame_word(FRAME_ALLOC, order));	/* I2 */
	BUG_ON(pfn_to_frame(pfn)->mark != MARK_NONE);	/* the slab's, not yours */
	frames_poison(pfn, order);
	count_vm_events(PGFREE, 1UL << order);
	if (order == 0)
		pcp_free(pfn);
	else
		zone_free(pfn, order);
}
