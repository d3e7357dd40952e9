// SPDX-License-Identifier: BSD-2-Clause
/*
 * mm/rbtree.c - red-black trees, plain and augmented
 *
 *            B 40             I1. Every path from the root down to where a
 *          /      \               node could be added has as many black nodes.
 *       R 20      B 60        I2. The child of a red node is black; no child
 *      /    \       \             counts as a black one.
 *   B 10    B 30    R 70      I3. The root is black.
 *
 * So the longest path is at most twice the shortest. A new node is red: it can
 * only violate I2, which is moved up the tree until a rotation ends it. A black
 * node that is taken out leaves one path short of a black (I1); that is made up
 * for by a red node near it, or moved up.
 *
 * Left and right are one case here, told apart by a side: the mirror image of
 * a case is the same line with the other side.
 *
 * Augmented: a change in a leaf is carried up to the root before the tree is
 * balanced. A rotation then changes what is below two nodes only, the one that
 * sinks and the one that rises, and not what is below their parent.
 *
 * Locks:   the owner's.
 * Source:  Cormen, Leiserson, Rivest, Stein, "Introduction to Algorithms", ch.
 *          13 and 14; Linux lib/rbtree.c for the interface. Differs: one
 *          function for both kinds of tree, which asks whether @update is NULL.
 */
#include "bug.h"
#include "rbtree.h"

#define RB_BLACK	((uintptr_t)1)

enum rb_side { RB_LEFT, RB_RIGHT };

static inline enum rb_side other(enum rb_side side)
{
	return side == RB_LEFT ? RB_RIGHT : RB_LEFT;
}

static inline struct rb_node **child_of(struct rb_node *node, enum rb_side side)
{
	return side == RB_LEFT ? &node->rb_left : &node->rb_right;
}

static inline bool is_red(const struct rb_node *node)
{
	return node && !(node->rb_parent_color & RB_BLACK);	/* I2 */
}

static inline void set_red(struct rb_node *node)
{
	node->rb_parent_color &= ~RB_BLACK;
}

static inline void set_black(struct rb_node *node)
{
	node->rb_parent_color |= RB_BLACK;
}

static inline void set_parent(struct rb_node *node, struct rb_node *parent)
{
	node->rb_parent_color = (uintptr_t)parent |
				(node->rb_parent_color & RB_BLACK);
}

/* The link that points at @node. */
static struct rb_node **link_to(struct rb_node *node, struct rb_root *root)
{
	struct rb_node *parent = rb_parent(node);

	if (!parent)
		return &root->rb_node;
	return parent->rb_left == node ? &parent->rb_left : &parent->rb_right;
}

/*
 *      |                |
 *     node             child      @node sinks to @side, its child of the other
 *    /    \    ---->   /   \      side takes its place. Drawn for RB_LEFT; what
 *   a    child       node   c     is between them (b) changes its parent.
 *        /   \       /  \
 *       b     c     a    b
 */
static void rotate(struct rb_node *node, enum rb_side side,
		   struct rb_root *root, rb_update_t update)
{
	struct rb_node **link = link_to(node, root);
	struct rb_node *child = *child_of(node, other(side));
	struct rb_node *between = *child_of(child, side);

	*link = child;
	set_parent(child, rb_parent(node));
	*child_of(child, side) = node;
	set_parent(node, child);
	*child_of(node, other(side)) = between;
	if (between)
		set_parent(between, node);
	if (update) {
		update(node);		/* the lower one first */
		update(child);
	}
}

/* ---- adding ---- */

/* @node is red; its parent may be, too. */
static void insert_fixup(struct rb_node *node, struct rb_root *root,
			 rb_update_t update)
{
	struct rb_node *parent, *gparent, *uncle;
	enum rb_side side;

	while ((parent = rb_parent(node)) && is_red(parent)) {
		gparent = rb_parent(parent);		/* I3: there is one */
		side = parent == gparent->rb_left ? RB_LEFT : RB_RIGHT;
		uncle = *child_of(gparent, other(side));
		if (is_red(uncle)) {
			set_black(parent);
			set_black(uncle);
			set_red(gparent);
			node = gparent;
			continue;
		}
		if (node == *child_of(parent, other(side))) {
			rotate(parent, side, root, update);
			parent = node;
		}
		set_black(parent);
		set_red(gparent);
		rotate(gparent, other(side), root, update);
		break;
	}
	set_black(root->rb_node);
}

void rb_insert_color(struct rb_node *node, struct rb_root *root)
{
	insert_fixup(node, root, NULL);
}

void rb_insert_augmented(struct rb_node *node, struct rb_root *root,
			 rb_update_t update)
{
	struct rb_node *above = rb_parent(node);

	while (above && update(above))
		above = rb_parent(above);
	insert_fixup(node, root, update);
}

/* ---- taking out ---- */

/*
 * Paths through @node, which may be NULL, are one black short of the others
 * below @parent.
 */
static void erase_fixup(struct rb_node *node, struct rb_node *parent,
			struct rb_root *root, rb_update_t update)
{
	struct rb_node *sibling, *near, *far;
	enum rb_side side;

	while (parent && !is_red(node)) {
		/* The sibling has the black that is missing here: not NULL. */
		side = node == parent->rb_left ? RB_LEFT : RB_RIGHT;
		sibling = *child_of(parent, other(side));
		if (is_red(sibling)) {
			set_black(sibling);
			set_red(parent);
			rotate(parent, side, root, update);
			sibling = *child_of(parent, other(side));
		}
		near = *child_of(sibling, side);
		far = *child_of(sibling, other(side));
		if (!is_red(near) && !is_red(far)) {
			set_red(sibling);	/* now all below parent are short */
			node = parent;
			parent = rb_parent(node);
			continue;
		}
		if (!is_red(far)) {
			set_black(near);
			set_red(sibling);
			rotate(sibling, other(side), root, update);
			far = sibling;
			sibling = near;
		}
		if (is_red(parent))
			set_red(sibling);
		else
			set_black(sibling);
		set_black(parent);
		set_black(far);
		rotate(parent, side, root, update);
		return;
	}
	if (node)
		set_black(node);
}

/*
 * @node has two children: the next in order, which has no left one, leaves its
 * place to its right child and takes that of @node, colour and all.
 * *@parentp: whose child @*childp is now. Return: was a black place lost?
 */
static bool erase_inner(struct rb_node *node, struct rb_root *root,
			struct rb_node **childp, struct rb_node **parentp)
{
	struct rb_node *next = node->rb_right, *child, *parent;
	bool lost_black;

	while (next->rb_left)
		next = next->rb_left;
	child = next->rb_right;
	parent = rb_parent(next);
	lost_black = !is_red(next);
	if (parent == node) {
		parent = next;
	} else {
		parent->rb_left = child;
		if (child)
			set_parent(child, parent);
		next->rb_right = node->rb_right;
		set_parent(next->rb_right, next);
	}
	next->rb_left = node->rb_left;
	set_parent(next->rb_left, next);
	*link_to(node, root) = next;
	next->rb_parent_color = node->rb_parent_color;
	*childp = child;
	*parentp = parent;
	return lost_black;
}

/* The same for one with at most one child, which takes its place. */
static bool erase_outer(struct rb_node *node, struct rb_root *root,
			struct rb_node **childp, struct rb_node **parentp)
{
	struct rb_node *child = node->rb_left ? node->rb_left : node->rb_right;

	*link_to(node, root) = child;
	if (child)
		set_parent(child, rb_parent(node));
	*childp = child;
	*parentp = rb_parent(node);
	return !is_red(node);
}

static void erase(struct rb_node *node, struct rb_root *root,
		  rb_update_t update)
{
	struct rb_node *child, *parent;
	bool lost_black;

	if (node->rb_left && node->rb_right)
		lost_black = erase_inner(node, root, &child, &parent);
	else
		lost_black = erase_outer(node, root, &child, &parent);
	/*
	 * All the way up: the node that moved brought along what it had at its
	 * old place, so that nothing changing at one node proves nothing.
	 */
	for (struct rb_node *above = parent; update && above;
	     above = rb_parent(above))
		update(above);
	if (lost_black)
		erase_fixup(child, parent, root, update);
}

void rb_erase(struct rb_node *node, struct rb_root *root)
{
	erase(node, root, NULL);
}

void rb_erase_augmented(struct rb_node *node, struct rb_root *root,
			rb_update_t update)
{
	erase(node, root, update);
}

/* ---- in order ---- */

static struct rb_node *outermost(struct rb_node *node, enum rb_side side)
{
	while (node && *child_of(node, side))
		node = *child_of(node, side);
	return node;
}

/* The neighbour of @node towards @side. */
static struct rb_node *neighbour(const struct rb_node *node, enum rb_side side)
{
	struct rb_node *below = *child_of((struct rb_node *)node, side);
	struct rb_node *parent;

	if (below)
		return outermost(below, other(side));
	while ((parent = rb_parent(node)) && node == *child_of(parent, side))
		node = parent;
	return parent;
}

struct rb_node *rb_first(const struct rb_root *root)
{
	return outermost(root->rb_node, RB_LEFT);
}

struct rb_node *rb_last(const struct rb_root *root)
{
	return outermost(root->rb_node, RB_RIGHT);
}

struct rb_node *rb_next(const struct rb_node *node)
{
	return neighbour(node, RB_RIGHT);
}

struct rb_node *rb_prev(const struct rb_node *node)
{
	return neighbour(node, RB_LEFT);
}

/* ---- checks ---- */

/* Levels that a tree with fewer than 2^64 nodes cannot exceed. */
#define RB_MAX_DEPTH	128u

/* Return: black nodes on each path through @node. */
static unsigned int check_below(const struct rb_node *node,
				const struct rb_node *parent,
				unsigned int depth, unsigned long *nrp)
{
	unsigned int left, right;

	if (!node)
		return 0;
	BUG_ON(depth > RB_MAX_DEPTH);
	BUG_ON(rb_parent(node) != parent);
	BUG_ON(is_red(node) && is_red(parent));		/* I2 */
	(*nrp)++;
	left = check_below(node->rb_left, node, depth + 1, nrp);
	right = check_below(node->rb_right, node, depth + 1, nrp);
	BUG_ON(left != right);				/* I1 */
	return left + !is_red(node);
}

unsigned long rb_check(const struct rb_root *root)
{
	unsigned long nr = 0;

	BUG_ON(is_red(root->rb_node));			/* I3 */
	check_below(root->rb_node, NULL, 1, &nr);
	return nr;
}
