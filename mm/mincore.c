// SPDX-License-Identifier: BSD-2-Clause
/*
 * mm/mincore.c - which pages of a range would be had without the disk
 *
 * In the page cache and uptodate, be it in the arena or in the file's window:
 * what the client has been given itself does not matter, as mincore(2) has it.
 *
 * Locks:   mmap_lock for reading; pages are looked up without any.
 * Source:  Linux mm/mincore.c. Differs: @vec is untouched on failure.
 */
#include <errno.h>

#include "vma.h"

static bool page_cached(struct address_space *mapping, pgoff_t index)
{
	struct page *page = find_get_page(mapping, index);
	bool uptodate;

	if (!page)
		return false;
	uptodate = page_test(page, PG_uptodate);
	put_page(page);
	return uptodate;
}

/* Return: where in @vec the next VMA's pages go. */
static unsigned char *mincore_vma(struct vm_area_struct *vma,
				  unsigned long start, unsigned long end,
				  unsigned char *vec)
{
	pgoff_t index = linear_page_index(vma, start);

	for (; start < end; start += PAGE_SIZE)
		*vec++ = page_cached(vma->vm_file->f_mapping, index++);
	return vec;
}

int do_mincore(struct mm_struct *mm, unsigned long addr, size_t len,
	       unsigned char *vec)
{
	struct vm_area_struct *vma;
	unsigned long end, next;
	int err = 0;

	if (vma_check_range(addr, len, &end))
		return -EINVAL;
	down_read(&mm->mmap_lock);
	if (!vma_range_mapped(mm, addr, end))
		err = -ENOMEM;
	for (vma = find_vma(mm, addr); !err && addr < end; addr = next) {
		next = min(end, vma->vm_end);
		vec = mincore_vma(vma, addr, next, vec);
		vma = vma->vm_next;
	}
	up_read(&mm->mmap_lock);
	return err;
}
