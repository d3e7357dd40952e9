// SPDX-License-Identifier: BSD-2-Clause
/*
 * mm/vma_edit.c - cutting, joining and changing VMAs
 *
 *   vma_merge         joins a range with its neighbours --+
 *   mmap_region       or makes a VMA of it ---------------+--> vma_apply
 *   vma_change_flags  cuts VMAs in up to three pieces ----+      edit_i_mmap
 *   vma_unmap_range   cuts a piece out -------------------+      edit_mm
 *
 * Whatever is done to an address space is a set of edits to neighbouring VMAs
 * of one file: some grow or shrink or get other flags, some are new, some go.
 * vma_apply() does a set under one hold of i_mmap_lock. Who comes from the file
 * (rmap.c, with that lock alone) so sees each mapped page in exactly one VMA of
 * an mm, before as after.
 *
 * E1. vm_start, vm_end, vm_pgoff and vm_flags of a VMA that is linked change in
 *     edit_i_mmap() only, with both locks held and out of the interval tree.
 * E2. No VMA continues the one before it in every respect: what could be one
 *     VMA is one.
 * E3. nr_vmas and i_mmap_writable of the window rise before a VMA is linked and fall
 *     after it was unlinked. What i_mmap_writable counts never changes while
 *     the VMA lives.
 * E4. All memory a change needs is there before it begins (struct vma_stash),
 *     so that it happens as a whole or not at all.
 *
 * Locks:   mmap_lock for writing > i_mmap_lock > page_table_lock.
 * Source:  Linux mm/vma.c (the cases of vma_merge). Differs: one routine applies
 *          changes of all kinds.
 */
#include "vma.h"
#include "vmstat.h"
#include "window_i.h"

/* ---- edits ---- */

/* @vma becomes [@start, @end) with @flags; no length: it goes. */
struct vma_edit {
	struct vm_area_struct *vma;
	unsigned long start, end;
	unsigned long flags;
	bool is_new;
};

/* The most that one change needs: a VMA cut in three, or three made one. */
#define MAX_EDITS	3u

struct vma_edits {
	unsigned int nr;
	struct vma_edit edit[MAX_EDITS];
};

#define for_each_edit(edit, edits)					\
	for (edit = (edits)->edit; edit < (edits)->edit + (edits)->nr; edit++)

static inline bool edit_goes(const struct vma_edit *edit)
{
	return edit->start == edit->end;
}

static void edit_vma(struct vma_edits *edits, struct vm_area_struct *vma,
		     unsigned long start, unsigned long end,
		     unsigned long flags)
{
	BUG_ON(edits->nr == MAX_EDITS || start > end);
	edits->edit[edits->nr++] = (struct vma_edit){
		.vma = vma, .start = start, .end = end, .flags = flags };
}

static void edit_new(struct vma_edits *edits, const struct vma_area *area,
		     struct vma_stash *stash)
{
	struct vm_area_struct *vma = vma_stash_take(stash);

	edit_vma(edits, vma, area->start, area->end, area->flags);
	edits->edit[edits->nr - 1].is_new = true;
	get_vm_file(area->file);
	if (area->source)
		get_vm_file(area->source);
	vma->vm_file = area->file;
	vma->vm_source = area->source;
	vma->vm_source_pgoff = area->source_pgoff;
	vma->vm_ops = area->file->f_op;
	vma->vm_start = area->start;
	vma->vm_end = area->end;
	vma->vm_pgoff = area->pgoff;
	vma->vm_flags = area->flags;
}

/* Flags of what i_mmap_writable counts: mprotect() does not change them. */
static bool vma_may_write_file(const struct vm_area_struct *vma)
{
	return vma->vm_flags & VM_MAYWRITE;
}

static void vma_appears(struct vm_area_struct *vma)
{
	struct address_space *mapping = vma->vm_file->f_mapping;

	atomic_fetch_add(&mapping_win(mapping)->nr_vmas, 1);			/* E3 */
	if (vma_may_write_file(vma))
		atomic_fetch_add(&mapping_win(mapping)->i_mmap_writable, 1);
	if (vma->vm_flags & VM_UFFD_ASYNC)
		window_async_add(mapping_win(mapping));
	if (vma->vm_ops->open)
		vma->vm_ops->open(vma);
}

/* It is in no list or tree any more. */
static void vma_disappears(struct vm_area_struct *vma)
{
	struct address_space *mapping = vma->vm_file->f_mapping;

	if (vma->vm_ops->close)
		vma->vm_ops->close(vma);
	if (vma->vm_flags & VM_UFFD_ASYNC)
		window_async_del(mapping_win(mapping));
	if (vma_may_write_file(vma))
		atomic_fetch_sub(&mapping_win(mapping)->i_mmap_writable, 1);
	atomic_fetch_sub(&mapping_win(mapping)->nr_vmas, 1);			/* E3 */
	vma->vm_next = vma->vm_mm->dead;
	vma->vm_mm->dead = vma;
}

static void account_pages(struct mm_struct *mm, unsigned long pages,
			  unsigned long flags)
{
	mm->total_vm += pages;
	if (flags & VM_LOCKED)
		mm->locked_vm += pages;
	if (flags & VM_ACCOUNT)
		mod_vm_stat(COMMITTED_AS, (long)pages);
}

static void unaccount_pages(struct mm_struct *mm, unsigned long pages,
			    unsigned long flags)
{
	mm->total_vm -= pages;
	if (flags & VM_LOCKED)
		mm->locked_vm -= pages;
	if (flags & VM_ACCOUNT)
		mod_vm_stat(COMMITTED_AS, -(long)pages);
}

static void edit_account(struct mm_struct *mm, const struct vma_edits *edits)
{
	const struct vma_edit *edit;

	for_each_edit(edit, edits) {
		account_pages(mm, (edit->end - edit->start) >> PAGE_SHIFT,
			      edit->flags);
		if (!edit->is_new)
			unaccount_pages(mm, vma_pages(edit->vma),
					edit->vma->vm_flags);
	}
}

/* One that goes keeps its range, for ->close. */
static void edit_i_mmap(struct address_space *mapping,
			const struct vma_edits *edits)
{
	const struct vma_edit *edit;

	down_write(&mapping_win(mapping)->i_mmap_lock);
	for_each_edit(edit, edits)
		if (!edit->is_new)
			vma_interval_tree_remove(edit->vma, &mapping_win(mapping)->i_mmap);
	for_each_edit(edit, edits) {
		struct vm_area_struct *vma = edit->vma;

		if (edit_goes(edit))
			continue;
		vma->vm_pgoff += (edit->start >> PAGE_SHIFT) -
				 (vma->vm_start >> PAGE_SHIFT);
		vma->vm_source_pgoff += (edit->start >> PAGE_SHIFT) -
					(vma->vm_start >> PAGE_SHIFT);
		vma->vm_start = edit->start;
		vma->vm_end = edit->end;
		vma->vm_flags = edit->flags;
		vma_interval_tree_insert(vma, &mapping_win(mapping)->i_mmap);
	}
	up_write(&mapping_win(mapping)->i_mmap_lock);
}

static void edit_mm(struct mm_struct *mm, const struct vma_edits *edits)
{
	const struct vma_edit *edit;

	for_each_edit(edit, edits)
		if (edit_goes(edit))
			__vma_unlink(mm, edit->vma);
	for_each_edit(edit, edits)
		if (edit->is_new)
			__vma_link(mm, edit->vma);
	for_each_edit(edit, edits) {
		if (edit_goes(edit))
			continue;
		vma_gap_update(edit->vma);
		vma_gap_update(edit->vma->vm_next);
	}
	WRITE_ONCE(mm->mmap_cache, NULL);
}

/* Neighbours of one file; see the head of this file. */
static void vma_apply(struct mm_struct *mm, const struct vma_edits *edits)
{
	struct address_space *mapping = edits->edit[0].vma->vm_file->f_mapping;
	const struct vma_edit *edit;

	lockdep_assert_held(&mm->mmap_lock);
	for_each_edit(edit, edits)
		if (edit->is_new)
			vma_appears(edit->vma);
	edit_account(mm, edits);
	edit_i_mmap(mapping, edits);
	edit_mm(mm, edits);
	for_each_edit(edit, edits)
		if (edit_goes(edit))
			vma_disappears(edit->vma);
}

/* ---- joining ---- */

static bool same_kind(const struct vm_area_struct *vma,
		      const struct vma_area *area)
{
	return vma->vm_file == area->file && vma->vm_flags == area->flags &&
	       vma->vm_source == area->source;
}

bool vma_continued_by(const struct vm_area_struct *vma,
			 const struct vma_area *area)
{
	return vma && same_kind(vma, area) && vma->vm_end == area->start &&
	       vma->vm_pgoff + vma_pages(vma) == area->pgoff &&
	       (!area->source || vma->vm_source_pgoff + vma_pages(vma) ==
				 area->source_pgoff);
}

static bool continues(const struct vm_area_struct *vma,
		      const struct vma_area *area)
{
	const pgoff_t nr = (area->end - area->start) >> PAGE_SHIFT;

	return vma && same_kind(vma, area) && vma->vm_start == area->end &&
	       area->pgoff + nr == vma->vm_pgoff &&
	       (!area->source ||
		area->source_pgoff + nr == vma->vm_source_pgoff);
}

/*
 * The area is drawn as A, where nothing was, or C, part of curr: what is left
 * of curr beside it is a c. P and N are the neighbours it may be joined with.
 *
 *   1  PPPPAAAANNNN -> PPPPPPPPPPPP	N goes
 *   2  PPPPAAAA     -> PPPPPPPP
 *   3      AAAANNNN ->     NNNNNNNN
 *   4  ccccCCCCNNNN -> ccccNNNNNNNN
 *   5  PPPPCCCCcccc -> PPPPPPPPcccc
 *   6  PPPPCCCCNNNN -> PPPPPPPPPPPP	curr and N go
 *   7  PPPPCCCC     -> PPPPPPPP	curr goes
 *   8      CCCCNNNN ->     NNNNNNNN	curr goes
 */
bool vma_merge(struct mm_struct *mm, const struct vma_area *area,
	       struct vm_area_struct *curr)
{
	struct vm_area_struct *prev, *next;
	struct vma_edits edits = { 0 };
	bool left, right;

	next = find_vma_prev(mm, area->start, &prev);
	if (curr)
		next = curr->vm_next;
	left = vma_continued_by(prev, area);
	right = continues(next, area);
	if (left)
		edit_vma(&edits, prev, prev->vm_start,
			 right ? next->vm_end : area->end, area->flags);
	if (right && left)
		edit_vma(&edits, next, next->vm_end, next->vm_end, 0);
	else if (right)
		edit_vma(&edits, next, area->start, next->vm_end, area->flags);
	if (!edits.nr)
		return false;
	if (curr)
		edit_vma(&edits, curr, left ? area->end : curr->vm_start,
			 left ? curr->vm_end : area->start, curr->vm_flags);
	vma_apply(mm, &edits);
	return true;
}

static void vma_link(struct mm_struct *mm, const struct vma_area *area,
		     struct vma_stash *stash)
{
	struct vma_edits edits = { 0 };

	edit_new(&edits, area, stash);
	vma_apply(mm, &edits);
}

void mmap_region(struct mm_struct *mm, const struct vma_area *area,
		 struct vma_stash *stash)
{
	if (!vma_merge(mm, area, NULL))
		vma_link(mm, area, stash);
}

/* ---- cutting ---- */

/* => as many in @stash as borders of [@start, @end) lie inside @vma */
static void vma_modify_flags(struct mm_struct *mm, struct vm_area_struct *vma,
			     unsigned long start, unsigned long end,
			     unsigned long flags, struct vma_stash *stash)
{
	struct vma_area area = vma_piece(vma, start, end);
	struct vma_edits edits = { 0 };

	area.flags = flags;
	if (vma_merge(mm, &area, vma))
		return;
	if (vma->vm_start < start) {
		area = vma_piece(vma, vma->vm_start, start);
		edit_new(&edits, &area, stash);
	}
	if (end < vma->vm_end) {
		area = vma_piece(vma, end, vma->vm_end);
		edit_new(&edits, &area, stash);
	}
	edit_vma(&edits, vma, start, end, flags);
	vma_apply(mm, &edits);
}

/* => one in @stash if both borders lie inside @vma */
static void vma_cut(struct mm_struct *mm, struct vm_area_struct *vma,
		    unsigned long start, unsigned long end,
		    struct vma_stash *stash)
{
	struct vma_edits edits = { 0 };
	struct vma_area area;

	if (vma->vm_start < start && end < vma->vm_end) {
		area = vma_piece(vma, end, vma->vm_end);
		edit_new(&edits, &area, stash);
	}
	if (vma->vm_start < start)
		edit_vma(&edits, vma, vma->vm_start, start, vma->vm_flags);
	else
		edit_vma(&edits, vma, end, vma->vm_end, vma->vm_flags);
	vma_apply(mm, &edits);
}

unsigned int vma_unmap_splits(struct mm_struct *mm, unsigned long start,
			      unsigned long end)
{
	struct vm_area_struct *vma = find_vma(mm, start);

	return vma && vma->vm_start < start && end < vma->vm_end;
}

enum unmap_why { UNMAP_GONE, UNMAP_MOVED };

/*
 * The ptes go after the VMAs: nobody can make new ones meanwhile, as faults
 * need mmap_lock and who comes from the file does not find the VMA.
 */
static void unmap_vmas(struct mm_struct *mm, unsigned long start,
		       unsigned long end, struct vma_stash *stash,
		       enum unmap_why why)
{
	struct vm_area_struct *vma;
	bool any = false;

	while ((vma = find_vma_intersection(mm, start, end))) {
		const unsigned long from = max(start, vma->vm_start);
		const unsigned long to = min(end, vma->vm_end);

		const bool private = vma_is_private(vma);
		const pgoff_t pgoff = linear_page_index(vma, from);
		struct vm_file *file = vma->vm_file;

		window_scan_vma(vma, from, to);
		vma_cut(mm, vma, from, to, stash);
		/* The file stays: it is the mm's, or on its way out with @vma. */
		if (private && why == UNMAP_GONE)
			anon_free_range(file, pgoff, (to - from) >> PAGE_SHIFT);
		any = true;
	}
	if (any)
		zap_page_range(mm, start, end);
}

void vma_unmap_range(struct mm_struct *mm, unsigned long start,
		     unsigned long end, struct vma_stash *stash)
{
	unmap_vmas(mm, start, end, stash, UNMAP_GONE);
}

void vma_unmap_moved(struct mm_struct *mm, unsigned long start,
		     unsigned long end, struct vma_stash *stash)
{
	unmap_vmas(mm, start, end, stash, UNMAP_MOVED);
}

/* Does a VMA reach across @addr? */
static bool border_inside(struct mm_struct *mm, unsigned long addr)
{
	struct vm_area_struct *vma = find_vma(mm, addr);

	return vma && vma->vm_start < addr;
}

int vma_change_flags(struct mm_struct *mm, unsigned long start,
		     unsigned long end, unsigned long clear, unsigned long set)
{
	struct vma_stash stash = { NULL };
	struct vm_area_struct *vma;
	int err;

	err = vma_stash_fill(mm, &stash, border_inside(mm, start) +
					 border_inside(mm, end));
	for (; !err && (vma = find_vma_intersection(mm, start, end));) {
		unsigned long from = max(start, vma->vm_start);
		unsigned long flags = (vma->vm_flags & ~clear) | set;

		start = min(end, vma->vm_end);	/* it may be gone when joined */
		if (flags != vma->vm_flags)
			vma_modify_flags(mm, vma, from, start, flags, &stash);
	}
	vma_stash_release(&stash);
	return err;
}
