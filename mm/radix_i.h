/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * mm/radix_i.h - a node of a radix tree, and how its words are read and written
 *                while others walk: for radix-tree.c and radix-node.c
 *
 * The numbers I1 to I5 are those of radix-tree.c.
 */
#ifndef PAGEFS_MM_RADIX_I_H
#define PAGEFS_MM_RADIX_I_H

#include "bug.h"
#include "compiler.h"
#include "radix-tree.h"
#include "rcu.h"

#define BITS_PRESENT	RADIX_TREE_MAX_TAGS	/* the map after the tags' */
#define NR_BITMAPS	(RADIX_TREE_MAX_TAGS + 1)
#define INDEX_BITS	64
/* Levels of the tallest tree: 11. */
#define MAX_PATH	DIV_ROUND_UP(INDEX_BITS, RADIX_TREE_MAP_SHIFT)

/*
 * Fields: (C) constant once published; (O) owner's lock; (R) written under the
 *         owner's lock, read under RCU. The union: a node waiting for its
 *         grace period needs no parent, and readers never look at that.
 */
struct radix_tree_node {
	unsigned int shift;		/* (C) */
	unsigned int offset;		/* (O) its slot in the parent */
	union {
		struct radix_tree_node *parent;	/* (O) NULL for the root; links
						 * nodes in a preload store */
		struct rcu_head rcu_head;
	};
	uint64_t bits[NR_BITMAPS];	/* (R) relaxed */
	void *slots[RADIX_TREE_MAP_SIZE];	/* (R) release, acquire */
};

static inline struct radix_tree_node *to_node(void *slot)
{
	return slot;
}

/* The highest index with a slot in or below @node. */
static inline uint64_t node_last(uint64_t prefix, unsigned int shift)
{
	unsigned int top = shift + RADIX_TREE_MAP_SHIFT;

	return top >= INDEX_BITS ? UINT64_MAX : prefix | ((1ull << top) - 1);
}

static inline bool node_spans(const struct radix_tree_node *root,
			      uint64_t index)
{
	return index <= node_last(0, root->shift);
}

static inline unsigned int slot_of(uint64_t index, unsigned int shift)
{
	return (index >> shift) & RADIX_TREE_MAP_MASK;
}

static inline void *slot_read(const struct radix_tree_node *node,
			      unsigned int slot)
{
	return smp_load_acquire(&node->slots[slot]);	/* pairs with slot_write */
}

static inline void slot_write(struct radix_tree_node *node, unsigned int slot,
			      void *p)
{
	smp_store_release(&node->slots[slot], p);	/* pairs with slot_read */
}

static inline struct radix_tree_node *
root_read(const struct radix_tree_root *root)
{
	return smp_load_acquire(&root->rnode);		/* pairs with root_write */
}

static inline void root_write(struct radix_tree_root *root,
			      struct radix_tree_node *node)
{
	smp_store_release(&root->rnode, node);		/* pairs with root_read */
}

static inline uint64_t bits_read(const struct radix_tree_node *node,
				 unsigned int map)
{
	return READ_ONCE(node->bits[map]);	/* a hint without the lock: I1 */
}

static inline void bits_set(struct radix_tree_node *node, unsigned int map,
			    uint64_t m)
{
	WRITE_ONCE(node->bits[map], bits_read(node, map) | m);
}

static inline void bits_clear(struct radix_tree_node *node, unsigned int map,
			      uint64_t m)
{
	WRITE_ONCE(node->bits[map], bits_read(node, map) & ~m);
}

static inline bool bit_test(const struct radix_tree_node *node,
			    unsigned int map, unsigned int slot)
{
	return bits_read(node, map) >> slot & 1;
}

/* ---- radix-node.c ---- */

/* Nodes of one thread, or of one insertion, linked through ->parent. */
struct node_store {
	struct radix_tree_node *head;
	unsigned int nr;
};

/*
 * Takes @nr nodes for one insertion, the thread's own first: I5. All zeros.
 * Return: 0, or -ENOMEM with none taken.
 */
int radix_nodes_take(struct node_store *taken, unsigned int nr);
/* => @store has one */
struct radix_tree_node *radix_node_pop(struct node_store *store);
/* @node is unlinked, but readers may still be in it. */
void radix_node_free(struct radix_tree_node *node);

#endif /* PAGEFS_MM_RADIX_I_H */
