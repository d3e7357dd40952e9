// SPDX-License-Identifier: BSD-2-Clause
/*
 * mm/msync.c - a range's files are written back
 *
 * What a client has stored is dirty in the page cache already; the owner's
 * callback brings it to the device, VMA by VMA. That takes its time, so no lock
 * is held meanwhile, and the range is looked at again after each: what has been
 * unmapped meanwhile is passed by, what has been mapped is written, too.
 *
 * Locks:   mmap_lock for reading, not over the callback.
 * Source:  Linux mm/msync.c.
 */
#include <errno.h>

#include "shmem.h"
#include "vma.h"

static int msync_area(const struct vma_area *area,
		      int (*fn)(struct vm_file *file, loff_t pos, size_t len,
				void *arg), void *arg)
{
	/* Nothing can have been stored through it, or there is no file. */
	if (!(area->flags & VM_SHARED) || is_shmem_file(area->file))
		return 0;
	return fn(area->file, (loff_t)(area->pgoff << PAGE_SHIFT),
		  area->end - area->start, arg);
}

int do_msync(struct mm_struct *mm, unsigned long addr, size_t len,
	     int (*fn)(struct vm_file *file, loff_t pos, size_t len, void *arg),
	     void *arg)
{
	struct vma_area area;
	unsigned long end;
	bool hole = false;
	int err = 0;

	if (vma_check_range(addr, len, &end))
		return -EINVAL;
	while (!err && vma_next_area(mm, addr, end, &area)) {
		hole |= area.start > addr;
		addr = area.end;
		err = msync_area(&area, fn, arg);
		put_vm_file(area.file);
	}
	if (!err && (hole || addr < end))
		err = -ENOMEM;
	return err;
}
