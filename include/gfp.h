/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * gfp.h - getting frames from the arena: mm/page_alloc.c
 *
 * Source: Linux include/linux/gfp.h. Differs: the unit handed out is a frame
 * number, because a frame's bytes and its descriptor are separate here.
 */
#ifndef PAGEFS_GFP_H
#define PAGEFS_GFP_H

#include "mm_types.h"

typedef unsigned int gfp_t;

/* What the memory is for. */
#define __GFP_MOVABLE	0x001u	/* bytes of a file: any zone will do */
#define __GFP_ZERO	0x002u	/* filled with zeros */
/* How hard to try. */
#define __GFP_KSWAPD	0x010u	/* wake kswapd when low */
#define __GFP_RECLAIM	0x020u	/* may reclaim itself, and wait for I/O */
#define __GFP_HIGH	0x040u	/* may go down to min/2 */
#define __GFP_MEMALLOC	0x080u	/* may take the last frame: only to free more */
#define __GFP_NORETRY	0x100u	/* one round of reclaim, then fail */

#define GFP_KERNEL	(__GFP_KSWAPD | __GFP_RECLAIM)
#define GFP_NOWAIT	(__GFP_KSWAPD)
#define GFP_ATOMIC	(__GFP_KSWAPD | __GFP_HIGH)
#define GFP_USER	(GFP_KERNEL | __GFP_MOVABLE)	/* page cache bytes */
/* Read-ahead: memory somebody may want is worth no waiting. */
#define GFP_READAHEAD	(__GFP_KSWAPD | __GFP_MOVABLE)

#define MAX_ORDER	10	/* the largest block is 4 MiB, Linux's default */

/**
 * alloc_frames - take a block of 2^@order contiguous frames
 * @gfp:   GFP_*
 * @order: 0 to MAX_ORDER
 *
 * The block is aligned to its size in pfns. Its bytes are undefined without
 * __GFP_ZERO (poisoned in debug builds).
 *
 * Context: any thread. With __GFP_RECLAIM it may wait for writeback; see the
 *          rule in lockdep.h. A thread that is itself reclaiming (or is marked
 *          with memalloc_save()) never recurses into reclaim and may use the
 *          reserve.
 * Return:  the first pfn, or PFN_NONE when out of memory.
 * Source:  Linux __alloc_pages().
 */
pfn_t alloc_frames(gfp_t gfp, unsigned int order);

/**
 * alloc_frames_bulk - take up to @nr single frames
 * @gfp:  GFP_*
 * @nr:   how many are wanted, at most 1024
 * @pfns: receives them, in no particular order, contiguous where it is cheap
 *
 * Context: as alloc_frames().
 * Return:  how many were taken, 0 to @nr.
 * Source:  Linux alloc_pages_bulk().
 */
unsigned int alloc_frames_bulk(gfp_t gfp, unsigned int nr, pfn_t *pfns);

/**
 * split_frames - a block becomes two of half the size
 * @pfn:   from alloc_frames() with the same @order
 * @order: 1 to MAX_ORDER
 *
 * Each is to be freed by itself, with @order - 1. A wrong order is a BUG.
 * Context: any thread; never sleeps. Source: Linux mm/page_alloc.c (split_page).
 */
void split_frames(pfn_t pfn, unsigned int order);

/**
 * free_frames - give a block back
 * @pfn:   from alloc_frames() with the same @order
 * @order: 0 to MAX_ORDER
 *
 * A double free, a wrong order or a foreign pfn is a BUG; debug builds poison
 * the bytes and verify the poison when the block is handed out again.
 * Context: any thread; never sleeps.
 */
void free_frames(pfn_t pfn, unsigned int order);

/* Arena address of a frame, and back. @addr must lie inside the arena. */
extern char *arena_base;		/* constant between mm_init and mm_exit */
static inline void *pfn_to_virt(pfn_t pfn)
{
	return arena_base + ((size_t)pfn << PAGE_SHIFT);
}

static inline pfn_t virt_to_pfn(const void *addr)
{
	return (pfn_t)(((const char *)addr - arena_base) >> PAGE_SHIFT);
}

static inline void *page_address(const struct page *page)
{
	return pfn_to_virt(page->pfn);
}

/*
 * Between save and restore this thread does not reclaim and may use the
 * reserve: for threads whose work frees memory (flushers, the I/O thread).
 * Source: Linux memalloc_noreclaim_save().
 */
unsigned int memalloc_save(void);
void memalloc_restore(unsigned int saved);
bool in_memalloc(void);

#endif /* PAGEFS_GFP_H */
