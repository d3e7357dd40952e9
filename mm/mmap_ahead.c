// SPDX-License-Identifier: BSD-2-Clause
/*
 * mm/mmap_ahead.c - what is in windows already, mapped before it is touched
 *
 *   window  [ 1 2 3 . . 6 7 8 9 . ]      . not in the window
 *             -----     -------          one mmu->map for each run
 *
 * Pages are not locked, and no ptes are noted: those have to say what may be
 * written, and nothing else (rmap.c I1). A page that leaves between the look and
 * the call is not in the memfd any more, and not mapped; one that leaves after
 * it is punched out of the client, too.
 *
 * A client whose stores are scanned for is asked first (window_scan.c S5).
 *
 * Locks:  mmap_lock (read), given up after each chunk of 2 MiB.
 * Source: -
 */
#include "internal.h"
#include "page.h"
#include "window_i.h"

/* Pages from *@indexp on that are in the window without a gap. */
static unsigned int window_run(struct address_space *mapping, pgoff_t *indexp,
			       pgoff_t last)
{
	struct page *pages[PAGEVEC_SIZE];
	pgoff_t index = *indexp, start = 0;
	unsigned int run = 0, nr;
	bool going = true;

	while (going && (nr = find_get_pages_range(mapping, &index, last,
						   PAGEVEC_SIZE, pages,
						   ANY_TAG))) {
		for (unsigned int i = 0; i < nr && going; i++) {
			if (!PageWindow(pages[i])) {
				going = !run;
			} else if (!run) {
				start = page_index(pages[i]);
				run = 1;
			} else if (page_index(pages[i]) == start + run) {
				run++;
			} else {
				going = false;
			}
		}
		put_pages(pages, nr);
	}
	*indexp = start;
	return run;
}

/* Context: mmap_lock. Return: where to go on. */
static unsigned long map_chunk_ahead(struct vm_area_struct *vma,
				     unsigned long addr, unsigned long end)
{
	pgoff_t index = linear_page_index(vma, addr), last;
	unsigned int nr;

	end = min(end, min(vma->vm_end, addr + WINDOW_CHUNK_PAGES * PAGE_SIZE));
	last = linear_page_index(vma, end) - 1;
	while (index <= last && (nr = window_run(vma->vm_file->f_mapping,
						 &index, last))) {
		addr = vma_address(vma, index);
		window_scan_vma(vma, addr, addr + nr * PAGE_SIZE);
		vma->vm_mm->mmu->map(vma, addr, nr, false);
		index += nr;
	}
	return end;
}

void mmap_ahead(struct mm_struct *mm, unsigned long addr, size_t len,
		bool (*stop)(void *arg), void *arg)
{
	unsigned long end = addr + len;
	struct vm_area_struct *vma;

	while (addr < end && !(stop && stop(arg))) {
		down_read(&mm->mmap_lock);
		vma = find_vma_intersection(mm, addr, end);
		addr = vma ? map_chunk_ahead(vma, max(addr, vma->vm_start),
					     end) : end;
		up_read(&mm->mmap_lock);
	}
}
