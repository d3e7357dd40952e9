// SPDX-License-Identifier: BSD-2-Clause
/*
 * mm/mlock.c - ranges whose pages are to stay
 *
 * VM_LOCKED is a property of the VMA. A page that such a VMA shows gets
 * PG_mlocked once, as a hint for reclaim to look at its VMAs; munlock leaves the
 * hint alone, and reclaim finds it wrong.
 *
 * Locks:   mmap_lock for writing; none while pages are brought in.
 * Source:  Linux mm/mlock.c. Differs: nothing is locked in a range with holes.
 */
#include <errno.h>

#include "vma.h"
#include "window.h"

/* mlock(2) takes any address and locks the pages that the range touches. */
static int mlock_range(unsigned long *addrp, size_t len, unsigned long *endp)
{
	size_t in_page = *addrp & ~PAGE_MASK;

	if (len > TASK_SIZE)
		return -EINVAL;
	*addrp -= in_page;
	return vma_check_range(*addrp, len + in_page, endp);
}

/* Pages of [@start, @end) that mlock() would lock in addition. */
static unsigned long nr_unlocked(struct mm_struct *mm, unsigned long start,
				 unsigned long end)
{
	struct vm_area_struct *vma;
	unsigned long nr = 0;

	for (vma = find_vma(mm, start); vma && vma->vm_start < end;
	     vma = vma->vm_next)
		if (!(vma->vm_flags & VM_LOCKED))
			nr += (min(end, vma->vm_end) -
			       max(start, vma->vm_start)) >> PAGE_SHIFT;
	return nr;
}

/* Pages that come after this see VM_LOCKED of their VMA by themselves. */
static void mark_pages(struct mm_struct *mm, unsigned long start,
		       unsigned long end)
{
	struct vma_area area;

	for (; vma_next_area(mm, start, end, &area); start = area.end) {
		if (area.flags & VM_LOCKED)
			window_mlock_range(area.file->f_mapping, area.pgoff,
				area.pgoff +
				((area.end - area.start) >> PAGE_SHIFT) - 1);
		put_vm_file(area.file);
	}
}

int do_mlock(struct mm_struct *mm, unsigned long addr, size_t len,
	     unsigned long limit)
{
	unsigned long end;
	int err;

	if (mlock_range(&addr, len, &end))
		return -EINVAL;
	down_write(&mm->mmap_lock);
	if (!vma_range_mapped(mm, addr, end) ||
	    mm->locked_vm + nr_unlocked(mm, addr, end) > limit)
		err = -ENOMEM;
	else
		err = vma_change_flags(mm, addr, end, 0, VM_LOCKED);
	mmap_write_unlock(mm);
	if (err)
		return err;
	err = mm_populate(mm, addr, end, 0);
	mark_pages(mm, addr, end);
	return err;
}

int do_munlock(struct mm_struct *mm, unsigned long addr, size_t len)
{
	unsigned long end;
	int err;

	if (mlock_range(&addr, len, &end))
		return -EINVAL;
	down_write(&mm->mmap_lock);
	if (!vma_range_mapped(mm, addr, end))
		err = -ENOMEM;
	else
		err = vma_change_flags(mm, addr, end, VM_LOCKED, 0);
	mmap_write_unlock(mm);
	return err;
}
