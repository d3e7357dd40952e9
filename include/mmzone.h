/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * mmzone.h - nodes, zones, watermarks, LRU lists
 *
 *   arena  | frame table | node 0: NORMAL | MOVABLE | node 1: NORMAL | MOVABLE |
 *
 * ZONE_NORMAL serves everything; what cannot move (slab, and so all metadata)
 * must come from it. ZONE_MOVABLE holds bytes of files only, so that large
 * blocks can be emptied and handed back to the kernel when client windows
 * need the budget.
 *
 * Source: Linux include/linux/mmzone.h.
 */
#ifndef PAGEFS_MMZONE_H
#define PAGEFS_MMZONE_H

#include "gfp.h"
#include "lockdep.h"

#define MAX_NUMNODES	8

enum zone_type {
	ZONE_NORMAL,
	ZONE_MOVABLE,
	MAX_NR_ZONES,
};

enum zone_watermarks {
	WMARK_MIN,	/* below: only __GFP_HIGH and reclaim itself */
	WMARK_LOW,	/* below: kswapd is woken */
	WMARK_HIGH,	/* kswapd sleeps again */
	NR_WMARK,
};

enum lru_list {
	LRU_INACTIVE_ANON,
	LRU_ACTIVE_ANON,
	LRU_INACTIVE_FILE,
	LRU_ACTIVE_FILE,
	LRU_WINDOW,	/* in a client's reach; no access bits to read */
	NR_LRU_LISTS,
};

/* Free blocks of one order: heads of lists linked by pfn in the frame table. */
struct free_area {
	pfn_t head;			/* (Z) PFN_NONE when empty */
	unsigned long nr_free;		/* (Z) blocks */
};

/*
 * Fields: (C) constant after mm_init; (Z) zone->lock, read without it for
 *         watermark checks and statistics.
 */
struct zone {
	struct mutex lock;
	struct free_area free_area[MAX_ORDER + 1];	/* (Z) */
	unsigned long nr_free;		/* (Z) frames in free_area */
	unsigned long watermark[NR_WMARK];	/* (C) frames */
	unsigned long lowmem_reserve;	/* (C) frames a MOVABLE request leaves */
	pfn_t start_pfn;		/* (C) */
	unsigned long spanned;		/* (C) frames */
	int node;			/* (C) */
	enum zone_type type;		/* (C) */
} __cacheline_aligned;

/*
 * The reclaimable pages of one node. (L) lock.
 * nr[] is also read without the lock, as an estimate.
 */
struct lruvec {
	struct mutex lock;
	struct list_head lists[NR_LRU_LISTS];	/* (L) newest first */
	unsigned long nr[NR_LRU_LISTS];		/* (L) pages */
	unsigned long anon_cost;		/* (L) of reclaiming the one and */
	unsigned long file_cost;		/* (L) the other, lately */
} __cacheline_aligned;

struct kswapd;				/* mm/vmscan.c */

typedef struct pglist_data {
	struct zone zones[MAX_NR_ZONES];
	struct lruvec lruvec;
	int node_id;			/* (C) */
	struct kswapd *kswapd;		/* (C) while the threads run */
} pg_data_t;

extern pg_data_t node_data[MAX_NUMNODES];
extern int nr_online_nodes;

#define NODE_DATA(nid)	(&node_data[nid])

/* The node a frame belongs to. */
pg_data_t *pfn_to_pgdat(pfn_t pfn);
struct zone *pfn_to_zone(pfn_t pfn);

/* Frames free in @zone's buddy lists right now; an estimate. */
static inline unsigned long zone_free_frames(const struct zone *zone)
{
	return READ_ONCE(zone->nr_free);
}

/* Free frames over all zones, including those on per-thread lists. */
unsigned long nr_free_frames(void);
/* Frames the allocator was given: arena less the frame table. */
unsigned long totalram_frames(void);

/**
 * zone_watermark_ok - would @zone stay above @mark after taking 2^@order?
 * @reserve: further frames that must stay, lowmem_reserve for MOVABLE requests
 * Source: Linux __zone_watermark_ok().
 */
bool zone_watermark_ok(const struct zone *zone, unsigned int order,
		       unsigned long mark, unsigned long reserve);

/* Every thread's order-0 list goes back to the buddy lists. */
void drain_all_frames(void);

/* Invariants of every zone: lists, counts, no block twice. BUGs on a fault. */
void page_alloc_check(void);

/* /proc/buddyinfo's and /proc/zoneinfo's text into @buf; returns its length. */
size_t buddyinfo_show(char *buf, size_t size);
size_t zoneinfo_show(char *buf, size_t size);

/* mm_init()'s first and mm_exit()'s last step. @nr_nodes: 1 to MAX_NUMNODES. */
int page_alloc_init(size_t arena_bytes, int nr_nodes);
void page_alloc_exit(void);

/* The arena's descriptor (a memfd), for whoever maps or registers it. */
int arena_fd(void);
size_t arena_bytes(void);

/*
 * Error injection for tests: the @nth allocation from now on (1 is the next)
 * by any thread fails, as does every later one while @sticky. 0 turns it off.
 */
void fail_page_alloc(unsigned long nth, bool sticky);

#endif /* PAGEFS_MMZONE_H */
