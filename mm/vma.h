/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * mm/vma.h - what the files that look at address spaces and change them share:
 *            vma.c, vma_edit.c, mmap.c, mprotect.c, mremap.c, mlock.c,
 *            madvise.c, mincore.c, msync.c
 */
#ifndef PAGEFS_MM_VMA_H
#define PAGEFS_MM_VMA_H

#include <limits.h>
#include "mmap.h"

/* Pages a file can have: its length in bytes is a loff_t. */
#define MAX_FILE_PAGES	((pgoff_t)(LLONG_MAX >> PAGE_SHIFT) + 1)

/* A range of addresses and what it shows: a VMA there is, or will be, or not. */
struct vma_area {
	unsigned long start, end;
	unsigned long flags;
	struct vm_file *file;
	pgoff_t pgoff;			/* of start */
	struct vm_file *source;		/* of a private mapping, or NULL */
	pgoff_t source_pgoff;		/* of start */
};

/* VMAs got beforehand, so that a change that has begun does not fail. */
struct vma_stash {
	struct vm_area_struct *first;	/* linked by vm_next */
};

/* [@start, @end) of @vma as it is, for a VMA of its own. */
static inline struct vma_area vma_piece(const struct vm_area_struct *vma,
					unsigned long start, unsigned long end)
{
	return (struct vma_area){
		.start = start, .end = end, .flags = vma->vm_flags,
		.file = vma->vm_file, .pgoff = linear_page_index(vma, start),
		.source = vma->vm_source,
		.source_pgoff = vma->vm_source_pgoff +
				((start - vma->vm_start) >> PAGE_SHIFT) };
}

/* Of memory that is this mm's alone? */
static inline bool vma_is_private(const struct vm_area_struct *vma)
{
	return vma->vm_flags & VM_ACCOUNT;
}

int vma_init(void);
void vma_exit(void);

/*
 * @addr aligned, [@addr, @addr + @len) below TASK_SIZE. *@endp: its end, a whole
 * page. Return: 0 or -EINVAL.
 */
int vma_check_range(unsigned long addr, size_t len, unsigned long *endp);

/* Unlocks, and frees the VMAs that have been unlinked meanwhile. */
void mmap_write_unlock(struct mm_struct *mm);

/* ---- changes: vma_edit.c. Context: mmap_lock for writing ---- */

/*
 * @nr more in @stash. Return: 0; -ENOMEM, out of memory or with as many in use
 * there would be more than MAX_MAP_COUNT. Released after mmap_lock or under it.
 */
int vma_stash_fill(struct mm_struct *mm, struct vma_stash *stash,
		   unsigned int nr);
void vma_stash_release(struct vma_stash *stash);
/* => there is one */
struct vm_area_struct *vma_stash_take(struct vma_stash *stash);

/*
 * Into and out of the list and the tree of its mm, and no more than that. The
 * hole before @vma (NULL: none) may be another after the VMA before it changed.
 */
void __vma_link(struct mm_struct *mm, struct vm_area_struct *vma);
void __vma_unlink(struct mm_struct *mm, struct vm_area_struct *vma);
void vma_gap_update(struct vm_area_struct *vma);

/* Is @area what would follow @vma, so that they could be one? @vma or NULL. */
bool vma_continued_by(const struct vm_area_struct *vma,
		      const struct vma_area *area);

/*
 * @area becomes part of its neighbours, if it continues them. @curr: the VMA it
 * lies in, and whose flags would become @area's; NULL: nothing is there yet.
 */
bool vma_merge(struct mm_struct *mm, const struct vma_area *area,
	       struct vm_area_struct *curr);

/* Maps @area, where nothing is. => one in @stash */
void mmap_region(struct mm_struct *mm, const struct vma_area *area,
		 struct vma_stash *stash);

/*
 * Nothing is mapped in [@start, @end) any more, and private memory there is gone;
 * the second: it has moved, and is mapped elsewhere already.
 * => vma_unmap_splits() in @stash, counted under the same hold of mmap_lock.
 */
void vma_unmap_range(struct mm_struct *mm, unsigned long start,
		     unsigned long end, struct vma_stash *stash);
void vma_unmap_moved(struct mm_struct *mm, unsigned long start,
		     unsigned long end, struct vma_stash *stash);
unsigned int vma_unmap_splits(struct mm_struct *mm, unsigned long start,
			      unsigned long end);

/*
 * Flags of whatever is mapped in [@start, @end): without @clear, with @set.
 * Return: 0; -ENOMEM, then nothing has changed.
 */
int vma_change_flags(struct mm_struct *mm, unsigned long start,
		     unsigned long end, unsigned long clear,
		     unsigned long set);

/* ---- looking. Context: mmap_lock ---- */

/* Is every page of [@start, @end) mapped? */
bool vma_range_mapped(struct mm_struct *mm, unsigned long start,
		      unsigned long end);
/* The next VMA after @vma with a hole of @len bytes before it, or NULL. */
struct vm_area_struct *vma_next_gap(struct vm_area_struct *vma,
				    unsigned long len);
/* Where @len bytes of the region are free, or 0. mmap.c. */
unsigned long get_unmapped_area(struct mm_struct *mm, unsigned long len);

/* ---- anon.c. Context: mmap_lock for writing ---- */

/* Private memory at @area->start: which pages of it. Return: 0 or -ENOMEM. */
int anon_place(struct mm_struct *mm, struct vma_area *area);
/* Has nobody mapped pages [@first, @last] of private memory? */
bool anon_range_free(struct mm_struct *mm, pgoff_t first, pgoff_t last);
/* Pages [@first, @first + @nr) of @file, which was mapped privately, are gone. */
void anon_free_range(struct vm_file *file, pgoff_t first, pgoff_t nr);
/* What goes with the mm. Context: no locks. */
void anon_exit(struct mm_struct *mm);
/* May @nr pages more be promised? 0 or -ENOMEM. */
int vm_enough_memory(unsigned long nr);

/* The mapping of @mm's private memory, or NULL. */
struct address_space *anon_mapping(const struct mm_struct *mm);

/* Sets start and end of @area, for mmap_area(). 0 or -EINVAL. mmap.c. */
int mmap_check(struct vma_area *area, unsigned long addr, size_t len,
	       unsigned int map_flags);
/* As do_mmap(), for an area that has file, source and flags. mmap.c. */
int mmap_area(struct mm_struct *mm, struct vma_area *area, size_t len,
	      unsigned int map_flags);

/* ---- without mmap_lock ---- */

/*
 * What the first VMA in [@start, @end) shows of it, looked up and let go of
 * again; the file has a reference that is the caller's. False: none.
 */
bool vma_next_area(struct mm_struct *mm, unsigned long start,
		   unsigned long end, struct vma_area *area);

/*
 * Brings every page of [@start, @end) in, as far as fits into windows. Return:
 * 0; -ENOMEM, a hole or no memory; -EINVAL, no right to; -EIO. madvise.c.
 */
int mm_populate(struct mm_struct *mm, unsigned long start, unsigned long end,
		unsigned int fault_flags);

/* BUGs unless order and last pages are right; returns how many VMAs. Context:
 * i_mmap_lock for writing. interval_tree.c. */
unsigned long vma_interval_tree_check(struct rb_root *root);
/* mm_check()'s part of tree, list and gaps. */
void vma_check_tree(struct mm_struct *mm);

/* ---- a fault: memory.c, filemap_fault(). Context: mmap_lock ---- */

static inline struct address_space *vmf_mapping(const struct vm_fault *vmf)
{
	return vmf->vma->vm_file->f_mapping;
}

static inline bool page_past_end(struct address_space *mapping, pgoff_t index)
{
	return (loff_t)(index << PAGE_SHIFT) >= i_size_read(mapping);
}

static inline struct file_ra_state *fault_ra(const struct vm_fault *vmf)
{
	return vmf->vma->vm_flags & VM_RAND_READ ? NULL :
						   &vmf->vma->vm_file->f_ra;
}

#endif /* PAGEFS_MM_VMA_H */
