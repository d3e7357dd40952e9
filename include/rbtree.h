/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * rbtree.h - red-black trees whose nodes are part of what they order:
 *            mm/rbtree.c
 *
 * The user walks down comparing its own keys, links the new node where the
 * walk fell off, and has the tree balanced:
 *
 *	struct rb_node **link = &root->rb_node, *parent = NULL;
 *
 *	while (*link) {
 *		parent = *link;
 *		link = key < key_of(parent) ? &parent->rb_left :
 *					      &parent->rb_right;
 *	}
 *	rb_link_node(&new->rb, parent, link);
 *	rb_insert_color(&new->rb, root);
 *
 * An augmented tree keeps in each node something computed from its subtree
 * (the largest end of an interval): @update recomputes one node from its own
 * value and its children's and says whether that changed anything.
 *
 * No locks: the caller's.
 * Source: Linux include/linux/rbtree.h; Cormen et al., ch. 13.
 */
#ifndef PAGEFS_RBTREE_H
#define PAGEFS_RBTREE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct rb_node {
	uintptr_t rb_parent_color;	/* parent, and the colour in bit 0 */
	struct rb_node *rb_left;
	struct rb_node *rb_right;
};

struct rb_root {
	struct rb_node *rb_node;
};

#define RB_ROOT			((struct rb_root){ NULL })
#define RB_EMPTY_ROOT(root)	(!(root)->rb_node)
#define rb_entry(ptr, type, member)	container_of(ptr, type, member)
#define rb_parent(node)		\
	((struct rb_node *)((node)->rb_parent_color & ~(uintptr_t)1))

typedef bool (*rb_update_t)(struct rb_node *node);

/* @node becomes the child of @parent that @link points at; not yet balanced. */
static inline void rb_link_node(struct rb_node *node, struct rb_node *parent,
				struct rb_node **link)
{
	node->rb_parent_color = (uintptr_t)parent;	/* red */
	node->rb_left = node->rb_right = NULL;
	*link = node;
}

void rb_insert_color(struct rb_node *node, struct rb_root *root);
void rb_erase(struct rb_node *node, struct rb_root *root);

/*
 * The same for augmented trees. Before rb_insert_augmented() the new node's own
 * value must be set (as of a leaf); its ancestors are brought up to date.
 */
void rb_insert_augmented(struct rb_node *node, struct rb_root *root,
			 rb_update_t update);
void rb_erase_augmented(struct rb_node *node, struct rb_root *root,
			rb_update_t update);

/* In order; NULL past the ends. */
struct rb_node *rb_first(const struct rb_root *root);
struct rb_node *rb_last(const struct rb_root *root);
struct rb_node *rb_next(const struct rb_node *node);
struct rb_node *rb_prev(const struct rb_node *node);

/* BUGs unless it is a red-black tree; returns the number of nodes. */
unsigned long rb_check(const struct rb_root *root);

#endif /* PAGEFS_RBTREE_H */
