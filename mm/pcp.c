// SPDX-License-Identifier: BSD-2-Clause
/*
 * mm/pcp.c - per-thread lists of single frames, in front of the buddy lists
 *
 *   thread A  lock { list[node 0 NORMAL], list[node 0 MOVABLE], ... }
 *   thread B  lock { ... }				^ pcp_take, pcp_free
 *                                  | pcp_refill   ^ |
 *                                  v    batches   | v pcp_spill
 *                              zone->free_area[] under zone->lock
 *
 * A thread's own lock is uncontended, so a frame costs no shared cache line;
 * the lock is there for drain_all_frames(), which empties everybody's lists
 * when somebody is about to go without.
 *
 * A thread registers with its first single frame, whoever made the thread, and
 * is drained by the destructor of a pthread key. Destructors of other keys may
 * free frames later still: those go to the buddy lists directly. Registration
 * belongs to the thread and outlives page_alloc_exit(); the lists are empty
 * then.
 *
 * I1. A frame on a list has state PCP, and is on one list once.
 * I2. Lists hold no more than PCP_FRACTION of a zone, all threads together
 *     (and a batch each, after threads came), so that small arenas do not
 *     starve with everything on lists.
 *
 * Locks:   pcp_list_lock (LOCK_PCP_LIST), then pcp->lock (LOCK_PCP), then
 *          zone->lock.
 * Source:  Linux mm/page_alloc.c (per_cpu_pages). Differs: per thread; the
 *          watermark is checked when a list is refilled, not for every frame.
 */
#include "internal.h"

#define PCP_MAX		64	/* frames; arbitrary, some 4 batches */
#define PCP_BATCH	16	/* frames; arbitrary, a 64 KiB read */
#define PCP_FRACTION	8	/* Linux's percpu_pagelist_high_fraction minimum */

struct pcp_list {
	unsigned int count;	/* also read without the lock, as an estimate */
	pfn_t pfns[PCP_MAX];	/* the last is taken first: it is warm */
};

enum pcp_state {
	PCP_NEW,		/* zero: a thread that has had no frame */
	PCP_LIVE,		/* on pcp_threads */
	PCP_GONE,		/* the destructor ran, or there is none */
};

/* Fields: (C) constant while on pcp_threads; (O) owner; (P) lock; (R) list's. */
struct pcp {
	enum pcp_state state;			/* (O) */
	unsigned int seq;			/* (C) for the home node */
	struct mutex lock;
	struct list_head link;			/* (R) */
	struct pcp_list lists[NR_ZONES];	/* (P) by zone_idx() */
};

static __thread struct pcp this_pcp;

static struct mutex pcp_list_lock = MUTEX_INITIALIZER(LOCK_PCP_LIST);
static LIST_HEAD(pcp_threads);			/* (R) */
static unsigned int pcp_nr_threads;		/* (R) */
static unsigned int pcp_next_seq;		/* (R) */
/* Frames per list, by zone_idx(). Written under pcp_list_lock, read without. */
static unsigned int pcp_high[NR_ZONES];

static pthread_key_t pcp_key;
static pthread_once_t pcp_once = PTHREAD_ONCE_INIT;
static int pcp_key_err;

/* I2. Context: caller holds pcp_list_lock. */
static void __pcp_update_high(void)
{
	unsigned int sharers = PCP_FRACTION * max(pcp_nr_threads, 1U);
	struct zone *zone;

	lockdep_assert_held(&pcp_list_lock);
	for_each_zone(zone)
		WRITE_ONCE(pcp_high[zone_idx(zone)],
			   min_t(unsigned int, zone->spanned / sharers,
				 PCP_MAX));
}

/* The zones have changed. */
void pcp_update_high(void)
{
	mutex_lock(&pcp_list_lock);
	__pcp_update_high();
	mutex_unlock(&pcp_list_lock);
}

/* The oldest @nr of @list go back. Context: caller holds pcp->lock. */
static void pcp_spill(struct zone *zone, struct pcp_list *list, unsigned int nr)
{
	if (!nr)
		return;
	mutex_lock(&zone->lock);
	for (unsigned int i = 0; i < nr; i++) {
		BUG_ON(frame_get(list->pfns[i]) != frame_word(FRAME_PCP, 0));
		__free_one(zone, list->pfns[i], 0);
	}
	mutex_unlock(&zone->lock);
	WRITE_ONCE(list->count, list->count - nr);
	for (unsigned int i = 0; i < list->count; i++)
		list->pfns[i] = list->pfns[i + nr];
}

static void pcp_drain(struct pcp *pcp)
{
	struct zone *zone;

	mutex_lock(&pcp->lock);
	for_each_zone(zone) {
		struct pcp_list *list = &pcp->lists[zone_idx(zone)];

		pcp_spill(zone, list, list->count);
	}
	mutex_unlock(&pcp->lock);
}

static void pcp_exit(void *arg)
{
	struct pcp *pcp = arg;

	mutex_lock(&pcp_list_lock);
	list_del(&pcp->link);
	pcp_nr_threads--;
	__pcp_update_high();
	pcp_drain(pcp);
	mutex_unlock(&pcp_list_lock);
	mutex_destroy(&pcp->lock);
	pcp->state = PCP_GONE;
}

/*
 * The other threads do not exist in a child, nor does their memory for long.
 * The arena is shared with the child, which must leave it alone (arena.c) but
 * may set up its own.
 */
static void pcp_forked(void)
{
	mutex_init(&pcp_list_lock, LOCK_PCP_LIST);
	INIT_LIST_HEAD(&pcp_threads);
	pcp_nr_threads = 0;
	if (this_pcp.state == PCP_LIVE) {
		list_add(&this_pcp.link, &pcp_threads);
		pcp_nr_threads = 1;
	}
}

static void pcp_key_init(void)
{
	pcp_key_err = pthread_key_create(&pcp_key, pcp_exit);
	if (!pcp_key_err)
		pcp_key_err = pthread_atfork(NULL, NULL, pcp_forked);
}

static struct pcp * __cold pcp_register(struct pcp *pcp)
{
	if (pcp->state == PCP_GONE)
		return NULL;
	pthread_once(&pcp_once, pcp_key_init);
	if (pcp_key_err || pthread_setspecific(pcp_key, pcp)) {
		pcp->state = PCP_GONE;	/* nothing would drain it */
		return NULL;
	}
	mutex_init(&pcp->lock, LOCK_PCP);
	mutex_lock(&pcp_list_lock);
	list_add(&pcp->link, &pcp_threads);
	pcp->seq = pcp_next_seq++;
	pcp_nr_threads++;
	__pcp_update_high();
	mutex_unlock(&pcp_list_lock);
	pcp->state = PCP_LIVE;
	return pcp;
}

/* This thread's lists, or NULL when it can have none. */
static inline struct pcp *pcp_self(void)
{
	struct pcp *pcp = &this_pcp;

	return likely(pcp->state == PCP_LIVE) ? pcp : pcp_register(pcp);
}

/* Nodes are given to threads in turn; the lists of a thread stay warm. */
int pcp_home_node(void)
{
	struct pcp *pcp;

	if (likely(nr_online_nodes == 1))
		return 0;
	pcp = pcp_self();
	return pcp ? (int)(pcp->seq % (unsigned int)nr_online_nodes) : 0;
}

/* Context: caller holds pcp->lock. */
static pfn_t __pcp_pop(struct pcp_list *list)
{
	pfn_t pfn;

	if (!list->count)
		return PFN_NONE;
	WRITE_ONCE(list->count, list->count - 1);
	pfn = list->pfns[list->count];
	VM_BUG_ON(frame_get(pfn) != frame_word(FRAME_PCP, 0));
	frame_set(pfn, FRAME_ALLOC, 0);
	return pfn;
}

/* Return: a frame of @zone from this thread's list, or PFN_NONE. */
pfn_t pcp_take(struct zone *zone)
{
	struct pcp *pcp = pcp_self();
	pfn_t pfn;

	if (unlikely(!pcp))
		return PFN_NONE;
	mutex_lock(&pcp->lock);
	pfn = __pcp_pop(&pcp->lists[zone_idx(zone)]);
	mutex_unlock(&pcp->lock);
	return pfn;
}

/* Reversed, so that a run is handed out upwards. Context: pcp->lock is held. */
static void __pcp_refill(struct zone *zone, struct pcp_list *list,
			 unsigned int want)
{
	pfn_t pfns[PCP_BATCH];
	unsigned int got;

	mutex_lock(&zone->lock);
	got = __rmqueue_bulk(zone, want, pfns);
	mutex_unlock(&zone->lock);
	for (unsigned int i = 0; i < got; i++) {
		frame_set(pfns[got - 1 - i], FRAME_PCP, 0);
		list->pfns[i] = pfns[got - 1 - i];
	}
	WRITE_ONCE(list->count, got);
}

/* The same, from a batch of @zone if the list is empty. */
pfn_t pcp_refill(struct zone *zone)
{
	unsigned int high = READ_ONCE(pcp_high[zone_idx(zone)]);
	struct pcp *pcp = pcp_self();
	struct pcp_list *list;
	pfn_t pfn;

	if (unlikely(!pcp || high < 2))
		return zone_alloc(zone, 0);
	mutex_lock(&pcp->lock);
	list = &pcp->lists[zone_idx(zone)];
	if (!list->count)
		__pcp_refill(zone, list, min_t(unsigned int, high, PCP_BATCH));
	pfn = __pcp_pop(list);
	mutex_unlock(&pcp->lock);
	return pfn;
}

/* How many to give back from a list at its limit: all of it in need. */
static unsigned int pcp_spill_count(const struct zone *zone, unsigned int count,
				    unsigned int high)
{
	if (zone_free_frames(zone) < zone->watermark[WMARK_HIGH])
		return count;
	return min(count, count - high + PCP_BATCH);
}

/* @pfn: a single frame, its state still ALLOC. */
void pcp_free(pfn_t pfn)
{
	struct zone *zone = zone_of(pfn);
	unsigned int high = READ_ONCE(pcp_high[zone_idx(zone)]);
	struct pcp *pcp = pcp_self();
	struct pcp_list *list;

	if (unlikely(!pcp || high < 2)) {
		zone_free(pfn, 0);
		return;
	}
	mutex_lock(&pcp->lock);
	list = &pcp->lists[zone_idx(zone)];
	if (unlikely(list->count >= high))
		pcp_spill(zone, list, pcp_spill_count(zone, list->count, high));
	frame_set(pfn, FRAME_PCP, 0);
	list->pfns[list->count] = pfn;
	WRITE_ONCE(list->count, list->count + 1);
	mutex_unlock(&pcp->lock);
}

static unsigned long pcp_count(const struct pcp *pcp)
{
	unsigned long nr = 0;

	for (int i = 0; i < nr_online_nodes * MAX_NR_ZONES; i++)
		nr += READ_ONCE(pcp->lists[i].count);
	return nr;
}

/* An estimate while threads run. */
unsigned long pcp_nr_frames(void)
{
	unsigned long nr = 0;
	struct pcp *pcp;

	mutex_lock(&pcp_list_lock);
	list_for_each_entry(pcp, &pcp_threads, link)
		nr += pcp_count(pcp);
	mutex_unlock(&pcp_list_lock);
	return nr;
}

/* Threads with nothing are left alone: this is called again and again in need. */
void drain_all_frames(void)
{
	struct pcp *pcp;

	mutex_lock(&pcp_list_lock);
	list_for_each_entry(pcp, &pcp_threads, link)
		if (pcp_count(pcp))
			pcp_drain(pcp);
	mutex_unlock(&pcp_list_lock);
}

/* Context: caller holds pcp->lock. */
static void __pcp_check(const struct pcp *pcp)
{
	for (unsigned int idx = 0; idx < NR_ZONES; idx++) {
		const struct pcp_list *list = &pcp->lists[idx];

		BUG_ON(list->count > PCP_MAX);
		for (unsigned int i = 0; i < list->count; i++) {
			pfn_t pfn = list->pfns[i];

			BUG_ON(pfn_to_frame(pfn)->zone != idx);
			BUG_ON(frame_get(pfn) != frame_word(FRAME_PCP, 0));
		}
	}
}

/* I1, save for "once", which the state sees to. */
void pcp_check(void)
{
	struct pcp *pcp;

	mutex_lock(&pcp_list_lock);
	list_for_each_entry(pcp, &pcp_threads, link) {
		mutex_lock(&pcp->lock);
		__pcp_check(pcp);
		mutex_unlock(&pcp->lock);
	}
	mutex_unlock(&pcp_list_lock);
}
