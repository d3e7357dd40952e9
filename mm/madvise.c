// SPDX-License-Identifier: BSD-2-Clause
/*
 * mm/madvise.c - what a client says it will do with a range
 *
 *   NORMAL, RANDOM, SEQUENTIAL    flags of the VMAs, which are cut to fit
 *   WILLNEED                      the page cache reads ahead; nobody waits
 *   DONTNEED                      the pages are the next to leave the window
 *   POPULATE, POPULATE_WRITE      a fault for every page that has not been given
 *
 * I1. No advice makes us work longer than the memory we have is worth: what is
 *     read ahead or brought in is bounded by what can stay. A range may be as
 *     long as the largest file there is, and cost its client nothing.
 *
 * Locks:   mmap_lock for writing to change flags, for reading to look; none
 *          while pages are read.
 * Source:  Linux mm/madvise.c, mm/gup.c (populate).
 */
#include <errno.h>

#include "mmzone.h"
#include "shmem_i.h"
#include "vma.h"
#include "window.h"

/*
 * How often one page is tried for when things change under it. Arbitrary: a
 * client that keeps changing them has only itself to blame.
 */
#define POPULATE_TRIES	16u

/* ---- populate ---- */

/* Has the client got the page already, with the right to write if need be? */
static bool has_page(struct mm_struct *mm, unsigned long addr,
		     unsigned int *fault_flags)
{
	pte_t *ptep, pte = { 0 };

	mutex_lock(&mm->page_table_lock);
	ptep = pte_offset(mm, addr);
	if (ptep)
		pte = *ptep;
	mutex_unlock(&mm->page_table_lock);
	if (!pte_present(pte))
		return false;
	if (!(*fault_flags & FAULT_FLAG_WRITE) || pte_write(pte))
		return true;
	*fault_flags |= FAULT_FLAG_WP;
	return false;
}

static int fault_errno(vm_fault_t fault)
{
	if (fault & (VM_FAULT_OOM | VM_FAULT_SIGSEGV))
		return -ENOMEM;		/* SIGSEGV: unmapped meanwhile */
	return fault & VM_FAULT_ERROR ? -EIO : 0;
}

static int populate_page(struct mm_struct *mm, unsigned long addr,
			 unsigned int fault_flags)
{
	vm_fault_t fault = VM_FAULT_RETRY;

	for (unsigned int i = 0; fault & VM_FAULT_RETRY; i++) {
		unsigned int flags = fault_flags;

		if (i == POPULATE_TRIES || has_page(mm, addr, &flags))
			return 0;
		fault = handle_mm_fault(mm, addr, flags);
		if (fault & VM_FAULT_ERROR)
			return fault_errno(fault);
	}
	return 0;
}

static bool past_end(const struct vma_area *area, unsigned long addr)
{
	pgoff_t index = area->pgoff + ((addr - area->start) >> PAGE_SHIFT);

	return (loff_t)(index << PAGE_SHIFT) >=
	       i_size_read(area->file->f_mapping);
}

/* *@budgetp: pages that may still be brought in. */
static int populate_area(struct mm_struct *mm, const struct vma_area *area,
			 unsigned int fault_flags, unsigned long *budgetp)
{
	unsigned long need = fault_flags & FAULT_FLAG_WRITE ? VM_WRITE : VM_READ;
	unsigned long addr = area->start;
	int err = 0;

	if (!(area->flags & need))
		return -EINVAL;
	for (; !err && addr < area->end && *budgetp; addr += PAGE_SIZE) {
		/* There a fault is for the client's kernel to end. */
		err = past_end(area, addr) ? -EIO :
		      populate_page(mm, addr, fault_flags);
		--*budgetp;
	}
	return err;
}

int mm_populate(struct mm_struct *mm, unsigned long start, unsigned long end,
		unsigned int fault_flags)
{
	unsigned long budget = window_limit();	/* I1: more would not stay */
	struct vma_area area;
	int err = 0;

	while (!err && start < end && budget) {
		if (!vma_next_area(mm, start, end, &area))
			return -ENOMEM;
		if (area.start > start)
			err = -ENOMEM;
		else
			err = populate_area(mm, &area, fault_flags, &budget);
		start = area.end;
		put_vm_file(area.file);
	}
	return err;
}

/* ---- the other advices ---- */

static void readahead_area(const struct vma_area *area, unsigned long *budgetp)
{
	unsigned long nr = (area->end - area->start) >> PAGE_SHIFT;

	nr = min(nr, *budgetp);
	if (is_shmem_file(area->file))
		nr = shmem_willneed(area->file, area->pgoff, nr);
	else if (nr)
		force_page_cache_readahead(area->file->f_mapping, area->pgoff,
					   nr);
	*budgetp -= nr;
}

static void deactivate_area(const struct vma_area *area)
{
	window_deactivate_range(area->file->f_mapping, area->pgoff,
		area->pgoff + ((area->end - area->start) >> PAGE_SHIFT) - 1);
}

/* WILLNEED and DONTNEED of what is mapped. Return: 0; -ENOMEM: not all is. */
static int advise_areas(struct mm_struct *mm, unsigned long addr,
			unsigned long end, enum mm_advice advice)
{
	unsigned long budget = totalram_frames() / 2;	/* I1; arbitrary */
	struct vma_area area;
	int err = 0;

	for (; vma_next_area(mm, addr, end, &area); addr = area.end) {
		if (area.start > addr)
			err = -ENOMEM;
		if (advice == MM_WILLNEED)
			readahead_area(&area, &budget);
		else
			deactivate_area(&area);
		put_vm_file(area.file);
	}
	return addr < end ? -ENOMEM : err;
}

/* As madvise(2) has it, holes are an error but keep nothing from being done. */
static int advise_flags(struct mm_struct *mm, unsigned long addr,
			unsigned long end, unsigned long set)
{
	int err;

	down_write(&mm->mmap_lock);
	err = vma_change_flags(mm, addr, end, VM_RAND_READ | VM_SEQ_READ, set);
	if (!err && !vma_range_mapped(mm, addr, end))
		err = -ENOMEM;
	mmap_write_unlock(mm);
	return err;
}

int do_madvise(struct mm_struct *mm, unsigned long addr, size_t len,
	       enum mm_advice advice)
{
	unsigned long end;

	if (vma_check_range(addr, len, &end))
		return -EINVAL;
	switch (advice) {
	case MM_NORMAL:
		return advise_flags(mm, addr, end, 0);
	case MM_RANDOM:
		return advise_flags(mm, addr, end, VM_RAND_READ);
	case MM_SEQUENTIAL:
		return advise_flags(mm, addr, end, VM_SEQ_READ);
	case MM_WILLNEED:
	case MM_DONTNEED:
		return advise_areas(mm, addr, end, advice);
	case MM_POPULATE:
		return mm_populate(mm, addr, end, 0);
	case MM_POPULATE_WRITE:
		return mm_populate(mm, addr, end, FAULT_FLAG_WRITE);
	}
	return -EINVAL;
}
