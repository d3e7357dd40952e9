// SPDX-License-Identifier: BSD-2-Clause
/*
 * mm/mremap.c - a mapping's new size or place
 *
 *   old range, new range      what happens
 *   shorter, same place       the tail is unmapped
 *   longer, room behind it    what is new is mapped, and joined
 *   elsewhere                 mapped there, then unmapped here
 *
 * No pte moves: they say what the client has been given, and at the new place
 * it has been given nothing yet. Pages are found in the window when it asks.
 *
 * Locks:   mmap_lock for writing.
 * Source:  Linux mm/mremap.c. Differs: an old length of 0 is refused, and a
 *          call that fails has changed nothing.
 */
#include <errno.h>

#include "vma.h"

struct vma_remap {
	struct vma_area old, new;	/* old: as the VMA shows it now */
	bool may_move;
};

/* ---- the parts. Context: mmap_lock for writing ---- */

static int unmap_tail(struct mm_struct *mm, unsigned long start,
		      unsigned long end)
{
	struct vma_stash stash = { NULL };
	int err;

	err = vma_stash_fill(mm, &stash, vma_unmap_splits(mm, start, end));
	if (!err)
		vma_unmap_range(mm, start, end, &stash);
	vma_stash_release(&stash);
	return err;
}

/* Can what is mapped up to @start grow to @end? */
static bool room_behind(struct mm_struct *mm, unsigned long start,
			unsigned long end)
{
	/* Out of the region it would grow over what is not ours. */
	if (start <= mm->mmap_end && start > mm->mmap_base &&
	    end > mm->mmap_end)
		return false;
	return end <= TASK_SIZE && !find_vma_intersection(mm, start, end);
}

static void grow(struct mm_struct *mm, const struct vma_remap *r)
{
	struct vma_area tail = r->new;

	tail.flags = find_vma(mm, r->old.end - 1)->vm_flags;
	tail.start = r->old.end;
	tail.pgoff = r->old.pgoff + ((r->old.end - r->old.start) >> PAGE_SHIFT);
	tail.source_pgoff = r->old.source_pgoff + (tail.pgoff - r->old.pgoff);
	BUG_ON(!vma_merge(mm, &tail, NULL));	/* it continues the old one */
}

/*
 * Of private memory what has moved is no longer the old range's, and must not go
 * with that; what is cut off does.
 */
static void keep_private(struct mm_struct *mm, const struct vma_remap *r,
			 struct vma_stash *stash)
{
	unsigned long len = min(r->old.end - r->old.start,
				r->new.end - r->new.start);

	if (r->new.flags & VM_ACCOUNT)
		vma_unmap_moved(mm, r->old.start, r->old.start + len, stash);
}

/*
 * Everything at the new place goes, everything at the old place goes there.
 * The new one is never joined with what it comes from: that shows other pages
 * beside it. So no step changes how many splits the next one takes.
 */
static int move(struct mm_struct *mm, const struct vma_remap *r)
{
	const struct vma_area *old = &r->old, *new = &r->new;
	struct vma_stash stash = { NULL };
	int err;

	err = vma_stash_fill(mm, &stash, 1 + !!(new->flags & VM_ACCOUNT) +
			     vma_unmap_splits(mm, new->start, new->end) +
			     vma_unmap_splits(mm, old->start, old->end));
	if (!err) {
		vma_unmap_range(mm, new->start, new->end, &stash);
		mmap_region(mm, new, &stash);
		keep_private(mm, r, &stash);
		vma_unmap_range(mm, old->start, old->end, &stash);
	}
	vma_stash_release(&stash);
	return err;
}

/* ---- mremap(2) ---- */

static int move_away(struct mm_struct *mm, struct vma_remap *r)
{
	unsigned long len = r->new.end - r->new.start;

	if (!r->may_move)
		return -ENOMEM;
	r->new.start = get_unmapped_area(mm, len);
	if (!r->new.start)
		return -ENOMEM;
	r->new.end = r->new.start + len;
	return move(mm, r);
}

/* r->old.start .end, r->new.start .end are known; new.start is old.start. */
static int resize(struct mm_struct *mm, struct vma_remap *r)
{
	if (r->new.end == r->old.end)
		return 0;
	if (r->new.end < r->old.end)
		return unmap_tail(mm, r->new.end, r->old.end);
	if (!room_behind(mm, r->old.end, r->new.end))
		return move_away(mm, r);
	grow(mm, r);
	return 0;
}

/* @area shows what @vma shows at @start. */
static void set_what(struct vma_area *area, const struct vm_area_struct *vma,
		     unsigned long start)
{
	const struct vma_area piece = vma_piece(vma, start, vma->vm_end);

	area->file = piece.file;
	area->pgoff = piece.pgoff;
	area->source = piece.source;
	area->source_pgoff = piece.source_pgoff;
}

/* What private memory grows into must be nobody's, and can be promised. */
static int may_grow_private(struct mm_struct *mm, const struct vma_remap *r)
{
	const pgoff_t old_nr = (r->old.end - r->old.start) >> PAGE_SHIFT;
	const pgoff_t new_nr = (r->new.end - r->new.start) >> PAGE_SHIFT;

	if (!(r->new.flags & VM_ACCOUNT) || new_nr <= old_nr)
		return 0;
	if (!anon_range_free(mm, r->new.pgoff + old_nr, r->new.pgoff + new_nr - 1))
		return -ENOMEM;
	return vm_enough_memory(new_nr - old_nr);
}

static int __do_mremap(struct mm_struct *mm, struct vma_remap *r,
		       unsigned int map_flags)
{
	pgoff_t nr = (r->new.end - r->new.start) >> PAGE_SHIFT;
	struct vm_area_struct *vma;
	int err;

	vma = find_one_mapping(mm, r->old.start, r->old.end, &r->new.flags);
	if (!vma)
		return -EFAULT;
	set_what(&r->old, vma, r->old.start);
	set_what(&r->new, vma, r->old.start);
	if (r->new.pgoff > MAX_FILE_PAGES - nr)
		return -EINVAL;
	err = may_grow_private(mm, r);
	if (err)
		return err;
	return map_flags & MAP_HERE ? move(mm, r) : resize(mm, r);
}

static bool ranges_overlap(const struct vma_area *a, const struct vma_area *b)
{
	return a->start < b->end && b->start < a->end;
}

int do_mremap(struct mm_struct *mm, unsigned long addr, size_t old_len,
	      size_t new_len, unsigned int map_flags, bool may_move,
	      unsigned long new_addr, unsigned long *addrp)
{
	struct vma_remap r = { .may_move = may_move };
	int err;

	if (!old_len || !new_len || new_len > TASK_SIZE ||
	    vma_check_range(addr, old_len, &r.old.end))
		return -EINVAL;
	r.old.start = r.new.start = addr;
	r.new.end = addr + ALIGN(new_len, PAGE_SIZE);
	if (map_flags & MAP_HERE) {
		r.new.start = new_addr;
		if (!new_addr ||
		    vma_check_range(new_addr, new_len, &r.new.end) ||
		    ranges_overlap(&r.old, &r.new))
			return -EINVAL;
	}
	down_write(&mm->mmap_lock);
	err = __do_mremap(mm, &r, map_flags);
	if (!err)
		*addrp = r.new.start;
	mmap_write_unlock(mm);
	return err;
}

/* ---- what a client's kernel has moved ---- */

static unsigned int count_vmas(struct mm_struct *mm, unsigned long start,
			       unsigned long end)
{
	struct vm_area_struct *vma;
	unsigned int nr = 0;

	for (vma = find_vma_intersection(mm, start, end);
	     vma && vma->vm_start < end; vma = vma->vm_next)
		nr++;
	return nr;
}

static void move_piece(struct mm_struct *mm, const struct vm_area_struct *vma,
		       const struct vma_area *old, const struct vma_area *new,
		       struct vma_stash *stash)
{
	unsigned long start = max(vma->vm_start, old->start);
	unsigned long end = min(vma->vm_end, old->end);
	struct vma_area piece = vma_piece(vma, start, end);

	piece.start = start - old->start + new->start;
	piece.end = end - old->start + new->start;
	mmap_region(mm, &piece, stash);
	vma_unmap_moved(mm, start, end, stash);
}

/* As move(), for a range with any number of VMAs. */
static int move_all(struct mm_struct *mm, const struct vma_area *old,
		    const struct vma_area *new)
{
	struct vma_stash stash = { NULL };
	struct vm_area_struct *vma;
	int err;

	err = vma_stash_fill(mm, &stash,
			     count_vmas(mm, old->start, old->end) +
			     vma_unmap_splits(mm, new->start, new->end) +
			     vma_unmap_splits(mm, old->start, old->end));
	if (!err) {
		vma_unmap_range(mm, new->start, new->end, &stash);
		while ((vma = find_vma_intersection(mm, old->start, old->end)))
			move_piece(mm, vma, old, new, &stash);
	}
	vma_stash_release(&stash);
	return err;
}

int mremap_event(struct mm_struct *mm, unsigned long from, unsigned long to,
		 size_t len)
{
	struct vma_area old = { .start = from }, new = { .start = to };
	int err;

	if (!len || !to || vma_check_range(from, len, &old.end) ||
	    vma_check_range(to, len, &new.end) || ranges_overlap(&old, &new))
		return -EINVAL;
	down_write(&mm->mmap_lock);
	err = move_all(mm, &old, &new);
	mmap_write_unlock(mm);
	return err;
}
