/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * swap.h - LRU lists and reclaim: mm/swap.c, mm/vmscan.c, mm/kswapd.c,
 *          mm/shrinker.c
 *
 * Named as in Linux, where the LRU lives beside swapping; swap areas are in
 * swapfile.h.
 */
#ifndef PAGEFS_SWAP_H
#define PAGEFS_SWAP_H

#include "mm_types.h"
#include "mmzone.h"

/* @nr pages, new in the cache, to the head of the inactive list. */
void lru_cache_add(struct page **pages, unsigned int nr);
/* Off the LRU, when a page leaves the cache. Page locked or sole owner. */
void lru_cache_del(struct page *page);

/**
 * mark_page_accessed - a reader or writer used the page
 *   inactive, unreferenced -> inactive, referenced
 *   inactive, referenced   -> active, unreferenced
 *   active, unreferenced   -> active, referenced
 * Lock-free unless the page moves.
 */
void mark_page_accessed(struct page *page);

/* Writeback of a page reclaim wants has ended: next in line. */
void rotate_reclaimable_page(struct page *page);

/*
 * A cache outside the page cache that can give memory back: inodes.
 * count: objects that could go. scan: try to free up to @nr, return how many
 * went. Neither may allocate with __GFP_RECLAIM. Both are called without
 * locks, scan perhaps from several threads at once.
 */
struct shrinker {
	unsigned long (*count_objects)(void *arg);
	unsigned long (*scan_objects)(void *arg, unsigned long nr);
	void *arg;
	struct list_head list;
};
void register_shrinker(struct shrinker *shrinker);
/* Returns when no thread is inside it any more. */
void unregister_shrinker(struct shrinker *shrinker);

/* Drop every clean page not in use: vm.drop_caches. Returns pages dropped. */
unsigned long drop_pagecache(void);
/* Shrinkers, all the way. */
unsigned long drop_slab(void);

/* Writeback ended or pages were freed: wake whoever waits for memory. */
void reclaim_progress(void);

/* The list of shrinkers; kswapd, one per node, unless a test wants to be alone.
 * The LRU lists are made with their nodes: mm/mmzone.c. */
void shrinkers_init(void);
void shrinkers_exit(void);
int kswapds_start(void);
void kswapds_stop(void);

/* BUGs unless the LRU lists' counts agree. The system must be quiet. */
void lru_check(void);

#endif /* PAGEFS_SWAP_H */
