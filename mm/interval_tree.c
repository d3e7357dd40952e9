// SPDX-License-Identifier: BSD-2-Clause
/*
 * mm/interval_tree.c - mapping->i_mmap: which VMAs show a page of a file
 *
 *   ordered by vm_pgoff             i_mmap_subtree_last: the last page shown
 *                                   by any VMA of the subtree
 *               [20, 29] 99
 *              /           \
 *       [5, 99] 99        [40, 41] 80
 *       /                     \
 *   [0, 3] 3                 [60, 80] 80
 *
 * Which VMAs show a page of [start, last]? In order, those that reach @start,
 * until one begins after @last. The next that reaches @start is found without
 * looking at those that do not: a subtree that ends before it is passed by. So
 * each VMA found costs O(log n).
 *
 * I1. A VMA in the tree has its keys (vm_pgoff, and by it and its length the
 *     last page) unchanged since it was put in.
 *
 * Locks:   the mapping's i_mmap_lock: for writing to insert and remove.
 * Source:  Cormen et al., ch. 14.3; Linux mm/interval_tree.c for the interface.
 */
#include "mmap.h"
#include "vma.h"

static struct vm_area_struct *entry(struct rb_node *rb)
{
	return rb_entry(rb, struct vm_area_struct, i_mmap_rb);
}

static bool update_last(struct rb_node *rb)
{
	struct vm_area_struct *vma = entry(rb);
	pgoff_t last = vma_last_pgoff(vma);
	bool changed;

	if (rb->rb_left)
		last = max(last, entry(rb->rb_left)->i_mmap_subtree_last);
	if (rb->rb_right)
		last = max(last, entry(rb->rb_right)->i_mmap_subtree_last);
	changed = last != vma->i_mmap_subtree_last;
	vma->i_mmap_subtree_last = last;
	return changed;
}

void vma_interval_tree_insert(struct vm_area_struct *vma, struct rb_root *root)
{
	struct rb_node **link = &root->rb_node, *parent = NULL;

	while (*link) {
		parent = *link;
		link = vma->vm_pgoff < entry(parent)->vm_pgoff ?
		       &parent->rb_left : &parent->rb_right;
	}
	vma->i_mmap_subtree_last = vma_last_pgoff(vma);
	rb_link_node(&vma->i_mmap_rb, parent, link);
	rb_insert_augmented(&vma->i_mmap_rb, root, update_last);
}

void vma_interval_tree_remove(struct vm_area_struct *vma, struct rb_root *root)
{
	rb_erase_augmented(&vma->i_mmap_rb, root, update_last);
}

static bool reaches(struct rb_node *rb, pgoff_t start)
{
	return rb && entry(rb)->i_mmap_subtree_last >= start;
}

/* => some VMA in or below @rb reaches @start. Return: the first that does. */
static struct vm_area_struct *first_below(struct rb_node *rb, pgoff_t start)
{
	for (;;) {
		if (reaches(rb->rb_left, start))
			rb = rb->rb_left;
		else if (vma_last_pgoff(entry(rb)) >= start)
			return entry(rb);
		else
			rb = rb->rb_right;
	}
}

/* @vma, unless it begins after @last; then so do all that follow. */
static struct vm_area_struct *unless_after(struct vm_area_struct *vma,
					   pgoff_t last)
{
	return vma->vm_pgoff <= last ? vma : NULL;
}

struct vm_area_struct *vma_interval_tree_iter_first(struct rb_root *root,
						    pgoff_t start, pgoff_t last)
{
	if (!reaches(root->rb_node, start))
		return NULL;
	return unless_after(first_below(root->rb_node, start), last);
}

struct vm_area_struct *vma_interval_tree_iter_next(struct vm_area_struct *vma,
						   pgoff_t start, pgoff_t last)
{
	struct rb_node *rb = &vma->i_mmap_rb, *parent;

	if (reaches(rb->rb_right, start))
		return unless_after(first_below(rb->rb_right, start), last);
	for (; (parent = rb_parent(rb)); rb = parent) {
		if (rb != parent->rb_left)
			continue;
		if (vma_last_pgoff(entry(parent)) >= start)
			return unless_after(entry(parent), last);
		if (reaches(parent->rb_right, start))
			return unless_after(first_below(parent->rb_right,
							start), last);
	}
	return NULL;
}

unsigned long vma_interval_tree_check(struct rb_root *root)
{
	struct rb_node *rb, *prev = NULL;

	for (rb = rb_first(root); rb; prev = rb, rb = rb_next(rb)) {
		BUG_ON(prev && entry(prev)->vm_pgoff > entry(rb)->vm_pgoff);
		BUG_ON(update_last(rb));
	}
	return rb_check(root);
}
