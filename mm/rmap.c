// SPDX-License-Identifier: BSD-2-Clause
/*
 * mm/rmap.c - from a page to the clients that have it
 *
 *   page --window->i_mmap, index--> VMA --address--> pte of its mm
 *                                     |
 *                                     +--> mmu->protect: the client's own pte
 *
 * I1. With the page lock held, a client can write to the page only if its pte
 *     here says so (_PAGE_RW): the right is given, and taken, under that lock.
 *     So only those clients have to be asked who have it; and those with
 *     VM_UFFD_ASYNC, which can write whenever they like. They go on doing so:
 *     what is done here then is to have noticed all there was (window_scan.c).
 * I2. A client whose VMA is not in i_mmap cannot write: it has lost access by
 *     its own doing (PROT_NONE, munmap, exit) before the VMA was unlinked.
 *
 * Runs of pages are taken together: a client is asked once for each piece of
 * the run that it may write to, and that is a TLB flush on its CPUs.
 *
 * Locks:  page locks > i_mmap_lock (read) > page_table_lock, which is dropped
 *         while a client is asked.
 * Source: Linux mm/rmap.c (page_mkclean, try_to_unmap), mm/memory.c
 *         (unmap_mapping_range). Differs: asking can fail.
 */
#include <errno.h>

#include "page.h"
#include "vmstat.h"
#include "window_i.h"

/* One VMA's part of a run. */
struct rmap_walk {
	struct vm_area_struct *vma;
	unsigned long base;		/* address of bit 0 of writable[] */
	uint64_t writable[WINDOW_BATCH * 4 / 64];	/* had _PAGE_RW */
	unsigned int nr_writable;
};
#define RMAP_MAX_PAGES	(WINDOW_BATCH * 4)
_Static_assert(RMAP_MAX_PAGES >= MAX_RUN_PAGES, "runs of writeback fit");

static void rmap_one(struct mm_struct *mm, unsigned long addr, pte_t *ptep,
		     void *arg)
{
	struct rmap_walk *walk = arg;
	unsigned long i = (addr - walk->base) >> PAGE_SHIFT;
	pte_t pte = *ptep;

	if (!pte_present(pte) || !pte_write(pte))
		return;
	walk->writable[i / 64] |= 1ULL << (i % 64);
	walk->nr_writable++;
	pte.pte &= ~(_PAGE_RW | _PAGE_DIRTY);
	set_pte(mm, addr, ptep, pte);
}

/* The client could not be asked: it keeps the right (I1). */
static void give_back(struct mm_struct *mm, unsigned long addr,
		      unsigned long nr)
{
	pte_t *ptep;

	mutex_lock(&mm->page_table_lock);
	for (; nr; nr--, addr += PAGE_SIZE) {
		ptep = pte_offset(mm, addr);
		if (ptep && pte_present(*ptep))
			set_pte(mm, addr, ptep, (pte_t){
				ptep->pte | _PAGE_RW | _PAGE_DIRTY });
	}
	mutex_unlock(&mm->page_table_lock);
}

static bool is_writable(const struct rmap_walk *walk, unsigned int i)
{
	return walk->writable[i / 64] & (1ULL << (i % 64));
}

/* Asks the client, once for each piece it could write to. 0 or -EAGAIN. */
static int protect_writable(struct rmap_walk *walk, unsigned int nr)
{
	struct vm_area_struct *vma = walk->vma;
	const struct mmu_ops *mmu = vma->vm_mm->mmu;
	unsigned int i = 0, n;
	int err = 0;

	while (i < nr) {
		unsigned long addr = walk->base + i * PAGE_SIZE;

		for (n = 0; i + n < nr && is_writable(walk, i + n); n++)
			;
		if (n && mmu->protect(vma, addr, n)) {
			give_back(vma->vm_mm, addr, n);
			err = -EAGAIN;
		}
		i += n + 1;
	}
	return err;
}

/* Context: i_mmap_lock. @pages: the first is @first; NULL: they are given up. */
static int rmap_vma(struct vm_area_struct *vma, struct page **pages,
		    pgoff_t first, pgoff_t last, bool unmap)
{
	struct mm_struct *mm = vma->vm_mm;
	struct rmap_walk walk = { .vma = vma };
	pgoff_t from = max(first, vma->vm_pgoff);
	pgoff_t to = min(last, vma_last_pgoff(vma));
	unsigned int nr = (unsigned int)(to - from + 1);
	unsigned long end;
	int err = 0;

	walk.base = vma_address(vma, from);
	end = walk.base + nr * PAGE_SIZE;
	mutex_lock(&mm->page_table_lock);
	walk_page_range(mm, walk.base, end, rmap_one, &walk);
	mutex_unlock(&mm->page_table_lock);
	if (vma->vm_flags & VM_UFFD_ASYNC) {
		if (pages)
			err = scan_locked_pages(vma, pages + (from - first), nr);
	} else if (walk.nr_writable) {
		count_vm_events(PGMKCLEAN, walk.nr_writable);
		err = protect_writable(&walk, nr);
	}
	if (unmap && !err)
		zap_page_range(mm, walk.base, end);
	return err;
}

static int rmap_run(struct page **pages, unsigned int nr, bool unmap)
{
	struct address_space *mapping = pages[0]->mapping;
	pgoff_t first = pages[0]->index, last = first + nr - 1;
	struct vm_area_struct *vma;
	int err = 0;

	VM_BUG_ON(nr > RMAP_MAX_PAGES);
	if (!mapping_mapped(mapping))
		return 0;	/* who maps it from now on has to fault first */
	down_read(&mapping_win(mapping)->i_mmap_lock);
	vma_interval_tree_foreach(vma, &mapping_win(mapping)->i_mmap, first, last)
		if (rmap_vma(vma, pages, first, last, unmap))
			err = -EAGAIN;
	up_read(&mapping_win(mapping)->i_mmap_lock);
	return err;
}

int page_mkclean(struct page **pages, unsigned int nr)
{
	return rmap_run(pages, nr, false);
}

int try_to_unmap(struct page **pages, unsigned int nr)
{
	return rmap_run(pages, nr, true);
}

bool page_is_mlocked(struct page *page)
{
	struct address_space *mapping = page->mapping;
	struct vm_area_struct *vma;
	bool locked = false;

	down_read(&mapping_win(mapping)->i_mmap_lock);
	vma_interval_tree_foreach(vma, &mapping_win(mapping)->i_mmap, page->index,
				  page->index)
		if (vma->vm_flags & VM_LOCKED) {
			locked = true;
			break;
		}
	up_read(&mapping_win(mapping)->i_mmap_lock);
	return locked;
}

/* Context: i_mmap_lock. Return: 0, or -EAGAIN; the ptes are gone either way. */
static int unmap_vma_range(struct vm_area_struct *vma, pgoff_t first,
			   pgoff_t last)
{
	pgoff_t from = max(first, vma->vm_pgoff);
	pgoff_t to = min(last, vma_last_pgoff(vma));
	unsigned long start = vma_address(vma, from);
	int err = 0;

	for (; from <= to; from += RMAP_MAX_PAGES)
		if (rmap_vma(vma, NULL, from,
			     min(to, from + RMAP_MAX_PAGES - 1), true))
			err = -EAGAIN;
	zap_page_range(vma->vm_mm, start, vma_address(vma, to) + PAGE_SIZE);
	return err;
}

/*
 * A client that may write to a page when it is punched out loses its marker,
 * and would not be armed when a page comes there again: so the right to write
 * is taken first, here too.
 */
void unmap_mapping_range(struct address_space *mapping, pgoff_t first,
			 pgoff_t last)
{
	struct vm_area_struct *vma;
	int err = 0;

	if (!mapping_mapped(mapping))
		return;
	down_read(&mapping_win(mapping)->i_mmap_lock);
	vma_interval_tree_foreach(vma, &mapping_win(mapping)->i_mmap, first, last)
		if (unmap_vma_range(vma, first, last))
			err = -EAGAIN;
	up_read(&mapping_win(mapping)->i_mmap_lock);
	if (err)
		window_disarm(mapping, first, last);
}
