// SPDX-License-Identifier: BSD-2-Clause
/*
 * mm/mprotect.c - what a client may do in a range
 *
 * The client's kernel enforces the rights; here they are noted, for faults.
 * Ptes keep theirs: _PAGE_RW says that writes are not reported to us, and a
 * client that takes VM_WRITE from itself and gives it back later writes without
 * being seen still. VM_UFFD_WP, once it is set, stays; whoever sets it has the
 * range armed before the client's kernel lets it write.
 *
 * Locks:   mmap_lock for writing.
 * Source:  Linux mm/mprotect.c. Differs: nothing is changed unless all is.
 */
#include <errno.h>

#include "vma.h"

/* => the whole range is mapped */
static bool may_become(struct mm_struct *mm, unsigned long start,
		       unsigned long end, unsigned long vm_flags)
{
	struct vm_area_struct *vma;
	/* VM_READ -> VM_MAYREAD and so on. */
	unsigned long may = vm_flags << 4;

	for (vma = find_vma(mm, start); vma && vma->vm_start < end;
	     vma = vma->vm_next)
		if ((vma->vm_flags & may) != may)
			return false;
	return true;
}
_Static_assert(VM_ACCESS_FLAGS << 4 == (VM_MAYREAD | VM_MAYWRITE | VM_MAYEXEC),
	       "VM_MAY* are VM_* shifted by 4");

int do_mprotect(struct mm_struct *mm, unsigned long addr, size_t len,
		unsigned long vm_flags)
{
	const unsigned long wp = vm_flags & VM_WRITE ? VM_UFFD_WP : 0;
	unsigned long end;
	int err;

	if ((vm_flags & ~VM_ACCESS_FLAGS) || vma_check_range(addr, len, &end))
		return -EINVAL;
	down_write(&mm->mmap_lock);
	if (!vma_range_mapped(mm, addr, end))
		err = -ENOMEM;
	else if (!may_become(mm, addr, end, vm_flags))
		err = -EACCES;
	else
		err = vma_change_flags(mm, addr, end, VM_ACCESS_FLAGS,
				       vm_flags | wp);
	mmap_write_unlock(mm);
	return err;
}
