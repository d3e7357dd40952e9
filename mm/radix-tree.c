// SPDX-License-Identifier: BSD-2-Clause
/*
 * mm/radix-tree.c - index to pointer, 64 ways a node, with tags
 *
 *   root -> node shift 6  [ 0 | 1 | . | ... | 63 ]  bits: present 3, DIRTY 2
 *                           |   |
 *                           |   +-> node shift 0 [ 64 | 65 | ... ]  present ..
 *                           +-----> node shift 0 [  0 |  . | ... ]  DIRTY 0
 *
 * A node with shift s holds the indices that agree above bit s + 6; its slot
 * is chosen by bits s to s + 5. A leaf (shift 0) holds items, all others hold
 * nodes. Besides its slots a node has one 64-bit map for "slot is in use" and
 * one for each tag, so that a walk finds the next slot with one count of
 * trailing zeros and passes by empty or untagged subtrees unseen.
 *
 * I1. Slot i is in use if and only if bit i of BITS_PRESENT is set. Readers
 *     under RCU may see the two apart and believe the slot.
 * I2. Only a leaf's bit says that an item carries a tag; a bit further up says
 *     that some bit of the child is set, and no tag bit is set without its
 *     present bit.
 * I3. Every node has a slot in use, so an empty tree is a NULL root. The root
 *     has one besides slot 0, unless it is a leaf: no tree is taller than its
 *     last index needs.
 * I4. A child's shift is its parent's less 6, and a node's shift never
 *     changes: what a reader may look for below a node can be told from that
 *     node alone, so it never mixes one tree's height with another's root.
 * I5. An insertion has every node it needs before it changes anything, so
 *     failing leaves no trace.
 *
 * RCU: a node is filled before one store-release publishes it, and freed only
 * after a grace period. The tree grows by a new root over the old one, which
 * stays as it was. It shrinks by making slot 0 of the root the new root; the
 * old one keeps its pointer to it, so a reader that came through it misses
 * nothing that was there before. A reader that is overtaken by this may miss
 * what is added meanwhile, and its tag bits are hints.
 *
 * Locks:  the owner's, for every writer; LOCK_* unknown here.
 * Source: Linux lib/radix-tree.c (4.19, the interface). Differs: maps instead
 *         of counts, the height in the nodes alone, no item in the root, no
 *         exceptional entries.
 */
#include <errno.h>

#include "radix_i.h"

/* ---- lookup ---- */

/* The leaf that has, or would have, a slot for @index; NULL if there is none. */
static struct radix_tree_node *leaf_lookup(const struct radix_tree_root *root,
					   uint64_t index)
{
	struct radix_tree_node *node = root_read(root);
	unsigned int shift;

	if (!node || !node_spans(node, index))
		return NULL;
	/* Counted down (I4), not read: it is not in the slot's cache line. */
	for (shift = node->shift; shift && node; shift -= RADIX_TREE_MAP_SHIFT)
		node = to_node(slot_read(node, slot_of(index, shift)));
	return node;
}

void *radix_tree_lookup(const struct radix_tree_root *root, uint64_t index)
{
	struct radix_tree_node *leaf = leaf_lookup(root, index);

	return leaf ? slot_read(leaf, slot_of(index, 0)) : NULL;
}

/*
 * Follows *@indexp down to the first index at or behind it whose bit in @map
 * is set. Outputs that index and returns its leaf; or returns NULL, having
 * found nothing from *@indexp to *@endp, which is somewhere short of the end
 * when the path breaks off in the middle of the tree.
 */
static struct radix_tree_node *leaf_descend(const struct radix_tree_root *root,
					    uint64_t *indexp, uint64_t *endp,
					    unsigned int map)
{
	struct radix_tree_node *node = root_read(root);
	uint64_t index = *indexp, bits;
	unsigned int shift, slot;

	*endp = UINT64_MAX;
	if (!node || !node_spans(node, index))
		return NULL;
	for (shift = node->shift; node; shift -= RADIX_TREE_MAP_SHIFT) {
		*endp = node_last(index, shift);
		slot = slot_of(index, shift);
		bits = bits_read(node, map) >> slot << slot;
		if (!bits)
			return NULL;
		if ((unsigned int)__builtin_ctzll(bits) != slot) {
			slot = __builtin_ctzll(bits);
			index = ((index >> shift & ~(uint64_t)RADIX_TREE_MAP_MASK)
				 | slot) << shift;
		}
		if (!shift) {
			*indexp = index;
			return node;
		}
		*endp = index | ((1ull << shift) - 1);
		node = to_node(slot_read(node, slot));
	}
	return NULL;		/* I1: deleted since the bits were read */
}

/*
 * Finds the first leaf with a bit of @map set for an index from *@indexp to
 * @last, and puts that index in *@indexp. Without the lock the slot may turn
 * out empty. Context: the owner's lock or RCU.
 */
static struct radix_tree_node *leaf_find(const struct radix_tree_root *root,
					 uint64_t *indexp, uint64_t last,
					 unsigned int map)
{
	struct radix_tree_node *leaf;
	uint64_t index = *indexp, end;

	while (index <= last) {
		leaf = leaf_descend(root, &index, &end, map);
		if (leaf && index <= last) {
			*indexp = index;
			return leaf;
		}
		if (leaf || end >= last)
			return NULL;
		index = end + 1;	/* does not wrap: end < last */
	}
	return NULL;
}

static unsigned int gang_lookup(const struct radix_tree_root *root,
				void **items, uint64_t *indices,
				uint64_t first, uint64_t last,
				unsigned int max, unsigned int map)
{
	struct radix_tree_node *leaf;
	uint64_t index = first, base, bits;
	unsigned int nr = 0, slot;
	void *item;

	while (nr < max && (leaf = leaf_find(root, &index, last, map))) {
		base = index & ~(uint64_t)RADIX_TREE_MAP_MASK;
		slot = slot_of(index, 0);
		bits = bits_read(leaf, map) >> slot << slot;
		for (; bits && nr < max; bits &= bits - 1) {
			slot = __builtin_ctzll(bits);
			if (base + slot > last)
				return nr;
			item = slot_read(leaf, slot);
			if (!item)
				continue;	/* I1: deleted meanwhile */
			if (indices)
				indices[nr] = base + slot;
			items[nr++] = item;
		}
		index = base + RADIX_TREE_MAP_SIZE;
		if (!index)
			break;			/* that was the last leaf of all */
	}
	return nr;
}

unsigned int radix_tree_gang_lookup(const struct radix_tree_root *root,
				    void **items, uint64_t *indices,
				    uint64_t first, uint64_t last,
				    unsigned int max)
{
	return gang_lookup(root, items, indices, first, last, max, BITS_PRESENT);
}

unsigned int radix_tree_gang_lookup_tag(const struct radix_tree_root *root,
					void **items, uint64_t *indices,
					uint64_t first, uint64_t last,
					unsigned int max, unsigned int tag)
{
	VM_BUG_ON(tag >= RADIX_TREE_MAX_TAGS);
	return gang_lookup(root, items, indices, first, last, max, tag);
}

/* ---- insertion ---- */

/* The shift of the smallest root that spans @index. */
static unsigned int root_shift_for(uint64_t index)
{
	unsigned int shift = 0;

	while (index > node_last(0, shift))
		shift += RADIX_TREE_MAP_SHIFT;
	return shift;
}

/* How many nodes the tree lacks for @index to have a slot. */
static unsigned int nodes_missing(const struct radix_tree_root *root,
				  uint64_t index)
{
	struct radix_tree_node *node = root->rnode;
	unsigned int nr = 0, shift = root_shift_for(index);

	if (!node)
		return shift / RADIX_TREE_MAP_SHIFT + 1;
	if (!node_spans(node, index)) {
		nr = (shift - node->shift) / RADIX_TREE_MAP_SHIFT;
		/* All but the new root is missing on the way down. */
		return nr + shift / RADIX_TREE_MAP_SHIFT;
	}
	for (shift = node->shift; shift; shift -= RADIX_TREE_MAP_SHIFT) {
		node = node->slots[slot_of(index, shift)];
		if (!node)
			return shift / RADIX_TREE_MAP_SHIFT;
	}
	return 0;
}

/* Puts @child, complete, in slot @slot of @node. */
static void node_link(struct radix_tree_node *node, unsigned int slot,
		      struct radix_tree_node *child)
{
	child->parent = node;
	child->offset = slot;
	for (unsigned int tag = 0; tag < RADIX_TREE_MAX_TAGS; tag++)
		if (bits_read(child, tag))
			bits_set(node, tag, 1ull << slot);	/* I2 */
	slot_write(node, slot, child);
	bits_set(node, BITS_PRESENT, 1ull << slot);
}

/* New roots over the old one, until the topmost spans @index. */
static void tree_grow(struct radix_tree_root *root, uint64_t index,
		      struct node_store *store)
{
	struct radix_tree_node *top = root->rnode, *node;

	while (!node_spans(top, index)) {
		node = radix_node_pop(store);
		node->shift = top->shift + RADIX_TREE_MAP_SHIFT;
		node_link(node, 0, top);
		top = node;
	}
	/*
	 * In one step: a root that has nothing besides slot 0 (I3) would be
	 * harmless to readers, but so is not showing it to them.
	 */
	if (top != root->rnode)
		root_write(root, top);
}

/* A chain of new nodes down from @shift that ends in a leaf with @item. */
static struct radix_tree_node *chain_make(uint64_t index, unsigned int shift,
					  void *item, struct node_store *store)
{
	struct radix_tree_node *node = radix_node_pop(store), *parent;

	node->slots[slot_of(index, 0)] = item;
	node->bits[BITS_PRESENT] = 1ull << slot_of(index, 0);
	while (node->shift != shift) {
		parent = radix_node_pop(store);
		parent->shift = node->shift + RADIX_TREE_MAP_SHIFT;
		node_link(parent, slot_of(index, parent->shift), node);
		node = parent;
	}
	return node;
}

/* => @store holds nodes_missing() nodes, at least one */
static void insert_with_nodes(struct radix_tree_root *root, uint64_t index,
			      void *item, struct node_store *store)
{
	struct radix_tree_node *node, *child;
	unsigned int slot;

	if (!root->rnode) {
		root_write(root, chain_make(index, root_shift_for(index), item,
					    store));
		return;
	}
	tree_grow(root, index, store);
	node = root->rnode;
	for (;;) {
		slot = slot_of(index, node->shift);
		child = node->slots[slot];
		if (!child)
			break;
		node = child;
	}
	child = chain_make(index, node->shift - RADIX_TREE_MAP_SHIFT, item,
			   store);
	node_link(node, slot, child);
}

int radix_tree_insert(struct radix_tree_root *root, uint64_t index, void *item)
{
	struct radix_tree_node *leaf = leaf_lookup(root, index);
	unsigned int slot = slot_of(index, 0);
	struct node_store store = { NULL, 0 };
	int err;

	BUG_ON(!item || ((uintptr_t)item & 1));
	if (leaf) {
		if (leaf->slots[slot])
			return -EEXIST;
		slot_write(leaf, slot, item);
		bits_set(leaf, BITS_PRESENT, 1ull << slot);
		return 0;
	}
	err = radix_nodes_take(&store, nodes_missing(root, index));
	if (err)
		return err;
	insert_with_nodes(root, index, item, &store);
	BUG_ON(store.nr);
	return 0;
}

/* ---- tags ---- */

/* Sets @mask of a leaf, and what I2 asks for above it. */
static void leaf_tag_set(struct radix_tree_node *node, unsigned int tag,
			 uint64_t mask)
{
	for (;;) {
		bool had = bits_read(node, tag) != 0;

		bits_set(node, tag, mask);
		if (had || !node->parent)
			return;
		mask = 1ull << node->offset;
		node = node->parent;
	}
}

static void leaf_tag_clear(struct radix_tree_node *node, unsigned int tag,
			   uint64_t mask)
{
	if (!(bits_read(node, tag) & mask))
		return;
	for (;;) {
		bits_clear(node, tag, mask);
		if (bits_read(node, tag) || !node->parent)
			return;
		mask = 1ull << node->offset;
		node = node->parent;
	}
}

void radix_tree_tag_set(struct radix_tree_root *root, uint64_t index,
			unsigned int tag)
{
	struct radix_tree_node *leaf = leaf_lookup(root, index);
	unsigned int slot = slot_of(index, 0);

	BUG_ON(tag >= RADIX_TREE_MAX_TAGS || !leaf || !leaf->slots[slot]);
	leaf_tag_set(leaf, tag, 1ull << slot);
}

/* Nothing to do if there is no item, or it has no such tag. */
void radix_tree_tag_clear(struct radix_tree_root *root, uint64_t index,
			  unsigned int tag)
{
	struct radix_tree_node *leaf = leaf_lookup(root, index);

	BUG_ON(tag >= RADIX_TREE_MAX_TAGS);
	if (leaf)
		leaf_tag_clear(leaf, tag, 1ull << slot_of(index, 0));
}

bool radix_tree_tag_get(const struct radix_tree_root *root, uint64_t index,
			unsigned int tag)
{
	struct radix_tree_node *leaf = leaf_lookup(root, index);

	VM_BUG_ON(tag >= RADIX_TREE_MAX_TAGS);
	return leaf && bit_test(leaf, tag, slot_of(index, 0));
}

bool radix_tree_tagged(const struct radix_tree_root *root, unsigned int tag)
{
	struct radix_tree_node *node = root_read(root);

	VM_BUG_ON(tag >= RADIX_TREE_MAX_TAGS);
	return node && bits_read(node, tag);
}

/* The lowest @nr bits of @bits that are set. */
static uint64_t lowest_bits(uint64_t bits, unsigned long nr)
{
	uint64_t rest = bits;

	if ((unsigned long)__builtin_popcountll(bits) <= nr)
		return bits;
	while (nr--)
		rest &= rest - 1;
	return bits ^ rest;
}

/* *@firstp wraps to 0 behind the last index of all, as in Linux. */
unsigned long radix_tree_range_tag_if_tagged(struct radix_tree_root *root,
					     uint64_t *firstp, uint64_t last,
					     unsigned long max,
					     unsigned int iftag,
					     unsigned int settag)
{
	struct radix_tree_node *leaf;
	uint64_t index = *firstp, base, bits;
	unsigned long nr = 0;

	BUG_ON(iftag >= RADIX_TREE_MAX_TAGS || settag >= RADIX_TREE_MAX_TAGS);
	while (nr < max && (leaf = leaf_find(root, &index, last, iftag))) {
		base = index & ~(uint64_t)RADIX_TREE_MAP_MASK;
		bits = bits_read(leaf, iftag) >> (index - base) << (index - base);
		if (last - base < RADIX_TREE_MAP_MASK)
			bits &= (2ull << (last - base)) - 1;
		bits = lowest_bits(bits, max - nr);
		leaf_tag_set(leaf, settag, bits);
		nr += __builtin_popcountll(bits);
		index = base + (63 - __builtin_clzll(bits)) + 1;
		*firstp = index;
		if (index > last || !index)
			return nr;
	}
	if (nr < max)
		*firstp = last + 1;
	return nr;
}

/* ---- deletion ---- */

/* The tree is made no taller than I3 allows. */
static void tree_shrink(struct radix_tree_root *root)
{
	struct radix_tree_node *node = root->rnode, *child;

	while (node->shift && bits_read(node, BITS_PRESENT) == 1) {
		child = to_node(node->slots[0]);
		child->parent = NULL;
		child->offset = 0;
		root_write(root, child);
		radix_node_free(node);	/* slot 0 stays, for its readers */
		node = child;
	}
}

/* Slot @slot of @node has become empty, and perhaps @node with it. */
static void slot_clear(struct radix_tree_root *root,
		       struct radix_tree_node *node, unsigned int slot)
{
	struct radix_tree_node *empty = NULL;

	do {
		bits_clear(node, BITS_PRESENT, 1ull << slot);
		slot_write(node, slot, NULL);
		/* Only now can no new reader come to it. */
		if (empty)
			radix_node_free(empty);
		if (bits_read(node, BITS_PRESENT)) {
			tree_shrink(root);
			return;
		}
		empty = node;
		slot = node->offset;
		node = node->parent;
	} while (node);
	root_write(root, NULL);
	radix_node_free(empty);
}

void *radix_tree_delete(struct radix_tree_root *root, uint64_t index)
{
	struct radix_tree_node *leaf = leaf_lookup(root, index);
	unsigned int slot = slot_of(index, 0);
	void *item = leaf ? leaf->slots[slot] : NULL;

	if (!item)
		return NULL;
	for (unsigned int tag = 0; tag < RADIX_TREE_MAX_TAGS; tag++)
		leaf_tag_clear(leaf, tag, 1ull << slot);
	slot_clear(root, leaf, slot);
	return item;
}

/* ---- checking ---- */

static void check_child(const struct radix_tree_node *node, unsigned int slot,
			const struct radix_tree_node *child)
{
	BUG_ON(child->parent != node || child->offset != slot);
	BUG_ON(child->shift + RADIX_TREE_MAP_SHIFT != node->shift);	/* I4 */
	for (unsigned int tag = 0; tag < RADIX_TREE_MAX_TAGS; tag++)
		BUG_ON(bit_test(node, tag, slot) !=
		       (bits_read(child, tag) != 0));			/* I2 */
}

/* Recurses at most MAX_PATH deep. */
static void check_node(const struct radix_tree_node *node)
{
	uint64_t present = bits_read(node, BITS_PRESENT);

	BUG_ON(!present);						/* I3 */
	BUG_ON(node->shift % RADIX_TREE_MAP_SHIFT);
	BUG_ON(node->shift >= MAX_PATH * RADIX_TREE_MAP_SHIFT);
	for (unsigned int tag = 0; tag < RADIX_TREE_MAX_TAGS; tag++)
		BUG_ON(bits_read(node, tag) & ~present);		/* I2 */
	for (unsigned int slot = 0; slot < RADIX_TREE_MAP_SIZE; slot++) {
		void *p = node->slots[slot];

		BUG_ON((p != NULL) != bit_test(node, BITS_PRESENT, slot)); /* I1 */
		if (!p || !node->shift)
			continue;
		check_child(node, slot, to_node(p));
		check_node(to_node(p));
	}
}

/* Context: the owner's lock. */
void radix_tree_check(const struct radix_tree_root *root)
{
	const struct radix_tree_node *node = root->rnode;

	if (!node)
		return;
	BUG_ON(node->parent || node->offset);
	BUG_ON(node->shift && bits_read(node, BITS_PRESENT) == 1);	/* I3 */
	check_node(node);
}
