/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * radix-tree.h - index to pointer, with tags: mm/radix-tree.c, radix-node.c
 *
 * One tree maps a file's page indices to pages, one maps inode numbers to
 * inodes. Writers hold the owner's lock. Readers hold that lock, or are inside
 * mm_rcu_read_lock(): then a lookup sees every item that was there throughout,
 * and may or may not see one being added or removed.
 *
 * Source: Linux lib/radix-tree.c before 4.20 (lookup_slot, gang_lookup_tag,
 *         preload). Differs: no exceptional entries, no multi-order entries.
 */
#ifndef PAGEFS_RADIX_TREE_H
#define PAGEFS_RADIX_TREE_H

#include "gfp.h"

#define RADIX_TREE_MAP_SHIFT	6
#define RADIX_TREE_MAP_SIZE	(1u << RADIX_TREE_MAP_SHIFT)
#define RADIX_TREE_MAP_MASK	(RADIX_TREE_MAP_SIZE - 1)
#define RADIX_TREE_MAX_TAGS	3

/* A page cache's tags. A tag on a node: some item below it carries it. */
#define PAGECACHE_TAG_DIRTY	0
#define PAGECACHE_TAG_WRITEBACK	1
#define PAGECACHE_TAG_TOWRITE	2

struct radix_tree_node;

/* All zeros is an empty tree. Written under the owner's lock. */
struct radix_tree_root {
	struct radix_tree_node *rnode;	/* published with release */
};

int radix_tree_init(void);		/* creates the node cache */
void radix_tree_exit(void);		/* waits for nodes freed by RCU */

/**
 * radix_tree_preload - make the next radix_tree_insert() unable to fail
 * @gfp: GFP_*
 *
 * Keeps enough nodes for @nr insertions of adjacent indices in the calling
 * thread's store; they stay there until used. Call without locks.
 * Return: 0 or -ENOMEM.
 */
int radix_tree_preload(gfp_t gfp, unsigned int nr);

/**
 * radix_tree_insert - put @item at @index
 * @item: not NULL, not odd
 *
 * Nodes come from the thread's preload store first, then from the slab with
 * GFP_NOWAIT. Context: the owner's lock. Return: 0, -EEXIST or -ENOMEM.
 */
int radix_tree_insert(struct radix_tree_root *root, uint64_t index, void *item);

/* Context: owner's lock or RCU. Return: the item, or NULL. */
void *radix_tree_lookup(const struct radix_tree_root *root, uint64_t index);

/*
 * Takes the item at @index out with its tags; returns it, or NULL. Nodes left
 * empty are freed after a grace period. Context: the owner's lock.
 */
void *radix_tree_delete(struct radix_tree_root *root, uint64_t index);

/* Context: the owner's lock. The item must be present to set a tag (BUG). */
void radix_tree_tag_set(struct radix_tree_root *root, uint64_t index,
			unsigned int tag);
void radix_tree_tag_clear(struct radix_tree_root *root, uint64_t index,
			  unsigned int tag);
/* Context: owner's lock or RCU (then a hint). False if there is no item. */
bool radix_tree_tag_get(const struct radix_tree_root *root, uint64_t index,
			unsigned int tag);
bool radix_tree_tagged(const struct radix_tree_root *root, unsigned int tag);

/**
 * radix_tree_gang_lookup - up to @max items from @first on, in index order
 * @items:   receives them
 * @indices: receives their indices; may be NULL
 * @last:    the last index of interest
 * Context: owner's lock or RCU. Return: how many.
 */
unsigned int radix_tree_gang_lookup(const struct radix_tree_root *root,
				    void **items, uint64_t *indices,
				    uint64_t first, uint64_t last,
				    unsigned int max);
/* The same for items carrying @tag. Context: as above. */
unsigned int radix_tree_gang_lookup_tag(const struct radix_tree_root *root,
					void **items, uint64_t *indices,
					uint64_t first, uint64_t last,
					unsigned int max, unsigned int tag);

/**
 * radix_tree_range_tag_if_tagged - give @settag to what carries @iftag
 * @firstp: first index; on return where to go on
 * @last:   last index
 * @max:    at most so many items are tagged, so the lock is not held for long
 * Context: the owner's lock. Return: how many were tagged; less than @max
 *          means the range is done.
 */
unsigned long radix_tree_range_tag_if_tagged(struct radix_tree_root *root,
					     uint64_t *firstp, uint64_t last,
					     unsigned long max,
					     unsigned int iftag,
					     unsigned int settag);

/* BUGs unless counts, tags and heights of the whole tree agree. */
void radix_tree_check(const struct radix_tree_root *root);

#endif /* PAGEFS_RADIX_TREE_H */
