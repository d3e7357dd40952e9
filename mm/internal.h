/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * mm/internal.h - what the files of mm/ tell each other and nobody else
 *
 *   arena | frame_table[0..nr_frames) | frames of node 0 | ... | of node n |
 *
 * The frame table says of every frame who has it. A block of 2^order frames
 * is described by its first frame, its head; the others are tails.
 *
 *            __rmqueue()           pcp_free()
 *   FREE ------------------> ALLOC ----------> PCP
 *     ^  <------------------   ^  <----------   |
 *     |    __free_one()             pcp_take()  |
 *     +-----------------------------------------+
 *                 pcp_spill()
 */
#ifndef PAGEFS_MM_INTERNAL_H
#define PAGEFS_MM_INTERNAL_H

#include "mmzone.h"

enum frame_state {
	FRAME_TAIL,		/* not a block's head; what a new table reads */
	FRAME_RESERVED,		/* the frame table itself */
	FRAME_FREE,		/* on a list of zone->free_area */
	FRAME_PCP,		/* on a thread's list; order 0 */
	FRAME_ALLOC,		/* handed out */
};

/* What the owner of an allocated frame notes; 0 from alloc_frames(). */
enum frame_mark {
	MARK_NONE,
	MARK_KMALLOC,		/* head of a block from kmalloc() */
	MARK_SLAB,		/* in a slab of order 0; MARK_SLAB + 1 for 1 ... */
	MARK_VMALLOC = 0x40,	/* in an area of vmalloc()'s */
	MARK_POISONED = 0x80,	/* debug: free, and its bytes are FRAME_POISON */
};

/*
 * Fields: (A) atomic; (C) constant after init; (O) who owns the frame, which
 *         is the allocator while it is free; (Z) zone->lock.
 * @word becomes or stops being FREE under zone->lock only, and so does any
 * change of order; ALLOC and PCP alternate in the owner's hands. That is why
 * looking at a neighbour's word under zone->lock is enough to merge with it.
 */
struct frame {
	pfn_t next, prev;	/* (Z) links while FREE; (O) else */
	uint16_t word;		/* (A) frame_word(state, order) */
	uint8_t zone;		/* (C) zone_idx() */
	uint8_t mark;		/* (O) enum frame_mark */
};
_Static_assert(sizeof(struct frame) <= 16, "frame table outgrew 0.4% of memory");

extern struct frame *frame_table;
extern pfn_t nr_frames;			/* of the whole arena, table included */
extern pfn_t nr_table_frames;

static inline uint16_t frame_word(enum frame_state state, unsigned int order)
{
	return (uint16_t)(state << 8 | order);
}

static inline struct frame *pfn_to_frame(pfn_t pfn)
{
	return &frame_table[pfn];
}

static inline uint16_t frame_get(pfn_t pfn)
{
	return READ_ONCE(frame_table[pfn].word);
}

static inline void frame_set(pfn_t pfn, enum frame_state state,
			     unsigned int order)
{
	WRITE_ONCE(frame_table[pfn].word, frame_word(state, order));
}

static inline bool in_arena(const void *addr)
{
	return (size_t)((const char *)addr - arena_base) <
	       (size_t)nr_frames << PAGE_SHIFT;
}

#define NR_ZONES	(MAX_NUMNODES * MAX_NR_ZONES)

static inline unsigned int zone_idx(const struct zone *zone)
{
	return (unsigned int)zone->node * MAX_NR_ZONES + zone->type;
}

static inline struct zone *zone_of(pfn_t pfn)
{
	unsigned int idx = frame_table[pfn].zone;

	return &node_data[idx / MAX_NR_ZONES].zones[idx % MAX_NR_ZONES];
}

/* The zones a request may use, in the order it tries them. */
struct zonelist {
	unsigned int nr;
	struct zone *zones[NR_ZONES];
};

/* For a request of @gfp by a thread at home on node @nid. Constant. */
const struct zonelist *node_zonelist(int nid, gfp_t gfp);

#define for_each_zone(zone)						\
	for (int __nid = 0; __nid < nr_online_nodes; __nid++)		\
		for (zone = NODE_DATA(__nid)->zones;			\
		     zone < NODE_DATA(__nid)->zones + MAX_NR_ZONES; zone++)

/* Floor of the binary logarithm; @v is not 0. */
static inline unsigned int ilog2(unsigned long v)
{
	return 63 - (unsigned int)__builtin_clzl(v);
}

/* arena.c */
int arena_map(size_t bytes);
void arena_unmap(void);
void arena_populate_start(void);
void arena_populate_stop(void);

/* buddy.c; callers hold zone->lock, save for the last two */
void free_area_init(struct zone *zone);
unsigned int __rmqueue_bulk(struct zone *zone, unsigned int nr, pfn_t *pfns);
void __free_one(struct zone *zone, pfn_t pfn, unsigned int order);
pfn_t zone_alloc(struct zone *zone, unsigned int order);
void zone_free(pfn_t pfn, unsigned int order);
/* An allocated block becomes two. */
void zone_split(pfn_t pfn, unsigned int order);

/* page_poison.c */
#if defined(PAGEFS_DEBUG) || defined(PAGEFS_ASAN)
void frames_poison(pfn_t pfn, unsigned int order);
void frames_unpoison(pfn_t pfn, unsigned int order);
#else
static inline void frames_poison(pfn_t pfn, unsigned int order)
{
	(void)pfn, (void)order;
}
static inline void frames_unpoison(pfn_t pfn, unsigned int order)
{
	(void)pfn, (void)order;
}
#endif
/* All of the arena, for AddressSanitizer; nothing otherwise. */
void arena_poison(void);
void arena_unpoison(void);

/* pcp.c */
int pcp_home_node(void);
pfn_t pcp_take(struct zone *zone);
pfn_t pcp_refill(struct zone *zone);
void pcp_free(pfn_t pfn);
void pcp_update_high(void);
unsigned long pcp_nr_frames(void);
void pcp_check(void);

/* page_alloc.c: alloc_frames() that error injection does not see. */
pfn_t __alloc_frames(gfp_t gfp, unsigned int order);

/*
 * An allocation that may reclaim takes locks from LOCK_WB_LIST down; asserted
 * at every call and not only at those that had to reclaim.
 */
static inline void might_alloc(gfp_t gfp)
{
	if ((gfp & __GFP_RECLAIM) && !in_memalloc())
		lockdep_assert_none_from(LOCK_RENAME);
}

/* fault-inject.c; fields are (A). */
struct fault_attr {
	unsigned long nth;	/* 0 is off, 1 fails the next call */
	bool sticky;
};

void fault_attr_set(struct fault_attr *attr, unsigned long nth, bool sticky);
bool __should_fail(struct fault_attr *attr);
static inline bool should_fail(struct fault_attr *attr)
{
	return unlikely(READ_ONCE(attr->nth)) && __should_fail(attr);
}

/* vmstat.c: snprintf() that returns what it wrote, at most @size - 1. */
size_t scnprintf(char *buf, size_t size, const char *fmt, ...) __printf(3, 4);

/* meminfo.c: pages on this list of every node; an estimate. */
unsigned long lru_pages(enum lru_list lru);
/* Frames that could be had without waiting for the disk. */
unsigned long mem_available(void);

/* vmscan.c */

/**
 * try_to_free_pages - direct reclaim, by a thread that needs memory
 * @highest: frames of this zone type and below are of use to it
 *
 * Waits by itself when all there is to reclaim is under writeback.
 * Return: pages reclaimed; 0 is no progress.
 */
unsigned long try_to_free_pages(gfp_t gfp, unsigned int order,
				enum zone_type highest);
/* Never sleeps; returns at once when kswapd is awake or not running. */
void wakeup_kswapd(pg_data_t *pgdat);

#endif /* PAGEFS_MM_INTERNAL_H */
