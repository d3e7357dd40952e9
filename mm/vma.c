// SPDX-License-Identifier: BSD-2-Clause
/*
 * mm/vma.c - the VMAs of an mm: list, tree, holes, looking things up
 *
 *   mm->mmap -> [VMA] <-> [VMA] <-> [VMA]	by address
 *   mm->mm_rb      [20, 30) 10			the same as a tree; beside each
 *                 /        \			the largest hole in its subtree
 *          [2, 5) 2       [34, 40) 4
 *
 * V1. The list and the tree have the same VMAs in the same order; none is
 *     empty, and no two overlap.
 * V2. rb_subtree_gap of a VMA is the largest, over its subtree, of the holes
 *     between a VMA and the one before it (or address 0). So a hole of a size
 *     is found in O(log n), however many VMAs there are.
 *
 * Locks:   mmap_lock: for writing to change anything, either way to look. VMAs
 *          are freed once it is dropped: the last reference to a file may take
 *          the owner's locks with it, which come before mmap_lock.
 * Source:  Linux mm/mmap.c (rb_subtree_gap, mmap_cache).
 */
#include <errno.h>

#include "slab.h"
#include "vma.h"

static struct kmem_cache *vm_area_cachep;	/* constant after vma_init() */

int vma_init(void)
{
	vm_area_cachep = kmem_cache_create("vm_area_struct",
					   sizeof(struct vm_area_struct), 0, 0,
					   NULL);
	return vm_area_cachep ? 0 : -ENOMEM;
}

void vma_exit(void)
{
	kmem_cache_destroy(vm_area_cachep);
	vm_area_cachep = NULL;
}

int vma_check_range(unsigned long addr, size_t len, unsigned long *endp)
{
	if (!IS_ALIGNED(addr, PAGE_SIZE) || addr > TASK_SIZE || len > TASK_SIZE)
		return -EINVAL;
	len = ALIGN(len, PAGE_SIZE);
	if (len > TASK_SIZE - addr)
		return -EINVAL;
	*endp = addr + len;
	return 0;
}

/* ---- getting and freeing ---- */

int vma_stash_fill(struct mm_struct *mm, struct vma_stash *stash,
		   unsigned int nr)
{
	lockdep_assert_held(&mm->mmap_lock);
	if (nr && mm->map_count + nr > MAX_MAP_COUNT)
		return -ENOMEM;
	while (nr--) {
		struct vm_area_struct *vma =
			kmem_cache_alloc(vm_area_cachep,
					 GFP_KERNEL | __GFP_ZERO);

		if (!vma)
			return -ENOMEM;
		vma->vm_mm = mm;
		vma->vm_next = stash->first;
		stash->first = vma;
	}
	return 0;
}

struct vm_area_struct *vma_stash_take(struct vma_stash *stash)
{
	struct vm_area_struct *vma = stash->first;

	BUG_ON(!vma);		/* somebody has counted wrongly */
	stash->first = vma->vm_next;
	vma->vm_next = NULL;
	return vma;
}

void vma_stash_release(struct vma_stash *stash)
{
	while (stash->first)
		kmem_cache_free(vm_area_cachep, vma_stash_take(stash));
}

static void vma_free(struct vm_area_struct *vma)
{
	vma_free_around(vma);
	if (vma->vm_source)
		put_vm_file(vma->vm_source);
	put_vm_file(vma->vm_file);
	kmem_cache_free(vm_area_cachep, vma);
}

void mmap_write_unlock(struct mm_struct *mm)
{
	struct vm_area_struct *vma = mm->dead, *next;

	mm->dead = NULL;
	up_write(&mm->mmap_lock);
	for (; vma; vma = next) {
		next = vma->vm_next;
		vma_free(vma);
	}
}

/* ---- list, tree and gaps of the mm ---- */

static struct vm_area_struct *vma_entry(struct rb_node *rb)
{
	return rb_entry(rb, struct vm_area_struct, vm_rb);
}

/* Bytes that are free between @vma and the one before it. */
static unsigned long vma_gap(const struct vm_area_struct *vma)
{
	return vma->vm_start - (vma->vm_prev ? vma->vm_prev->vm_end : 0);
}

static bool update_gap(struct rb_node *rb)
{
	struct vm_area_struct *vma = vma_entry(rb);
	unsigned long gap = vma_gap(vma);
	bool changed;

	if (rb->rb_left)
		gap = max(gap, vma_entry(rb->rb_left)->rb_subtree_gap);
	if (rb->rb_right)
		gap = max(gap, vma_entry(rb->rb_right)->rb_subtree_gap);
	changed = gap != vma->rb_subtree_gap;
	vma->rb_subtree_gap = gap;
	return changed;
}

/*
 * The hole before @vma, which may be NULL, is another. Up to the root: others
 * may have changed as well, and a rotation may have taken note of this one
 * already without telling those above.
 */
void vma_gap_update(struct vm_area_struct *vma)
{
	struct rb_node *rb;

	for (rb = vma ? &vma->vm_rb : NULL; rb; rb = rb_parent(rb))
		update_gap(rb);
}

void __vma_link(struct mm_struct *mm, struct vm_area_struct *vma)
{
	struct rb_node **link = &mm->mm_rb.rb_node, *parent = NULL;
	struct vm_area_struct *prev = NULL, *next;

	while (*link) {
		parent = *link;
		if (vma->vm_start < vma_entry(parent)->vm_start) {
			link = &parent->rb_left;
		} else {
			link = &parent->rb_right;
			prev = vma_entry(parent);
		}
	}
	next = prev ? prev->vm_next : mm->mmap;
	vma->vm_prev = prev;
	vma->vm_next = next;
	if (prev)
		prev->vm_next = vma;
	else
		mm->mmap = vma;
	if (next)
		next->vm_prev = vma;
	vma->rb_subtree_gap = vma_gap(vma);
	rb_link_node(&vma->vm_rb, parent, link);
	rb_insert_augmented(&vma->vm_rb, &mm->mm_rb, update_gap);
	mm->map_count++;
}

void __vma_unlink(struct mm_struct *mm, struct vm_area_struct *vma)
{
	struct vm_area_struct *prev = vma->vm_prev, *next = vma->vm_next;

	if (prev)
		prev->vm_next = next;
	else
		mm->mmap = next;
	if (next)
		next->vm_prev = prev;
	rb_erase_augmented(&vma->vm_rb, &mm->mm_rb, update_gap);
	vma_gap_update(next);
	mm->map_count--;
}

/* ---- finding ---- */

static bool vma_contains(const struct vm_area_struct *vma, unsigned long addr)
{
	return vma->vm_start <= addr && addr < vma->vm_end;
}

struct vm_area_struct *find_vma(struct mm_struct *mm, unsigned long addr)
{
	/* Any VMA will do: it is there while mmap_lock is held. */
	struct vm_area_struct *vma = READ_ONCE(mm->mmap_cache);
	struct rb_node *rb = mm->mm_rb.rb_node;

	lockdep_assert_held(&mm->mmap_lock);
	if (vma && vma_contains(vma, addr))
		return vma;
	for (vma = NULL; rb;) {
		if (vma_entry(rb)->vm_end > addr) {
			vma = vma_entry(rb);
			rb = rb->rb_left;
		} else {
			rb = rb->rb_right;
		}
	}
	if (vma && vma_contains(vma, addr))
		WRITE_ONCE(mm->mmap_cache, vma);
	return vma;
}

struct vm_area_struct *find_vma_prev(struct mm_struct *mm, unsigned long addr,
				     struct vm_area_struct **pprev)
{
	struct vm_area_struct *vma = find_vma(mm, addr);
	struct rb_node *last;

	if (vma) {
		*pprev = vma->vm_prev;
	} else {
		last = rb_last(&mm->mm_rb);
		*pprev = last ? vma_entry(last) : NULL;
	}
	return vma;
}

struct vm_area_struct *find_vma_intersection(struct mm_struct *mm,
					     unsigned long start,
					     unsigned long end)
{
	struct vm_area_struct *vma = find_vma(mm, start);

	/* Not even a VMA around it shares a byte with an empty range. */
	return vma && vma->vm_start < end && start < end ? vma : NULL;
}

static bool is_one_mapping(const struct vm_area_struct *vma,
			   const struct vm_area_struct *next)
{
	return next && next->vm_start == vma->vm_end &&
		next->vm_file == vma->vm_file &&
		next->vm_pgoff == vma->vm_pgoff + vma_pages(vma) &&
		!((next->vm_flags ^ vma->vm_flags) & ~VM_UFFD_WP);
}

struct vm_area_struct *find_one_mapping(struct mm_struct *mm,
					unsigned long start, unsigned long end,
					unsigned long *flagsp)
{
	struct vm_area_struct *vma = find_vma(mm, start), *first = vma;

	if (!vma || vma->vm_start > start)
		return NULL;
	*flagsp = vma->vm_flags;
	for (; vma->vm_end < end; vma = vma->vm_next) {
		if (!is_one_mapping(vma, vma->vm_next))
			return NULL;
		*flagsp |= vma->vm_next->vm_flags;
	}
	return first;
}

bool vma_range_mapped(struct mm_struct *mm, unsigned long start,
		      unsigned long end)
{
	struct vm_area_struct *vma;

	for (vma = find_vma(mm, start); start < end; vma = vma->vm_next) {
		if (!vma || vma->vm_start > start)
			return false;
		start = vma->vm_end;
	}
	return true;
}

bool vma_next_area(struct mm_struct *mm, unsigned long start,
		   unsigned long end, struct vma_area *area)
{
	struct vm_area_struct *vma;

	down_read(&mm->mmap_lock);
	vma = find_vma_intersection(mm, start, end);
	if (vma) {
		*area = vma_piece(vma, max(start, vma->vm_start),
				  min(end, vma->vm_end));
		get_vm_file(area->file);
	}
	up_read(&mm->mmap_lock);
	return vma;
}

static bool has_gap(struct rb_node *rb, unsigned long len)
{
	return rb && vma_entry(rb)->rb_subtree_gap >= len;
}

/* => has_gap(@rb, @len). Return: the first of the subtree. */
static struct vm_area_struct *first_gap(struct rb_node *rb, unsigned long len)
{
	for (;;) {
		if (has_gap(rb->rb_left, len))
			rb = rb->rb_left;
		else if (vma_gap(vma_entry(rb)) >= len)
			return vma_entry(rb);
		else
			rb = rb->rb_right;
	}
}

struct vm_area_struct *vma_next_gap(struct vm_area_struct *vma,
				    unsigned long len)
{
	struct rb_node *rb = &vma->vm_rb, *parent;

	if (has_gap(rb->rb_right, len))
		return first_gap(rb->rb_right, len);
	for (; (parent = rb_parent(rb)); rb = parent) {
		if (rb != parent->rb_left)
			continue;
		if (vma_gap(vma_entry(parent)) >= len)
			return vma_entry(parent);
		if (has_gap(parent->rb_right, len))
			return first_gap(parent->rb_right, len);
	}
	return NULL;
}

/* ---- checks ---- */

void vma_check_tree(struct mm_struct *mm)
{
	struct vm_area_struct *vma, *prev = NULL;
	struct rb_node *rb = rb_first(&mm->mm_rb);
	unsigned long pages = 0, locked = 0;

	BUG_ON(mm->dead || rb_check(&mm->mm_rb) != mm->map_count);
	for (vma = mm->mmap; vma; prev = vma, vma = vma->vm_next) {
		struct vma_area area = vma_piece(vma, vma->vm_start,
						 vma->vm_end);

		BUG_ON(rb != &vma->vm_rb || vma->vm_prev != prev);
		BUG_ON(vma->vm_mm != mm);
		BUG_ON(vma->vm_start >= vma->vm_end);		/* V1 */
		BUG_ON(prev && prev->vm_end > vma->vm_start);
		BUG_ON(vma_continued_by(prev, &area));	/* E2 */
		BUG_ON(update_gap(&vma->vm_rb));		/* V2 */
		pages += vma_pages(vma);
		locked += vma->vm_flags & VM_LOCKED ? vma_pages(vma) : 0;
		rb = rb_next(rb);
	}
	BUG_ON(rb || mm->total_vm != pages || mm->locked_vm != locked);
}
