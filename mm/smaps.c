// SPDX-License-Identifier: BSD-2-Clause
/*
 * mm/smaps.c - how much of a mapping a client has, and with whom it shares it
 *
 *   VMA  [ ......... | present ptes, 2 MiB at a time | ......... ]
 *                         |                   |
 *                      page: dirty?        who else maps this part of the file,
 *                                          and has a pte for the page: mapcount
 *
 * A page counts as private if this VMA alone has it, and its share (Pss) is one
 * in mapcount. Nobody keeps that count: it is found by asking the other VMAs of
 * the file. Things go on meanwhile, so sums are those of a busy moment.
 *
 * Locks:   mmap_lock (the caller's) > i_mmap_lock (read) > page_table_lock, each
 *          for one piece at a time.
 * Source:  Linux fs/proc/task_mmu.c (smaps_account).
 */
#include "shmem_i.h"
#include "vma.h"
#include "window.h"

#define PIECE_PAGES	PTRS_PER_TABLE
#define PIECE_SIZE	(PIECE_PAGES * PAGE_SIZE)
/* Looked through at once for a pte at all: a mapping may be mostly empty. */
#define STRIDE_SIZE	(1UL << PUD_SHIFT)

/* Pages of one piece of a VMA. */
struct piece {
	unsigned long start, end;	/* addresses */
	uint16_t mapcount[PIECE_PAGES];	/* 0: not present in this VMA */
};

static void note_present(struct mm_struct *mm, unsigned long addr, pte_t *ptep,
			 void *arg)
{
	(void)mm, (void)addr;
	if (pte_present(*ptep))
		*(bool *)arg = true;
}

/* Is there any pte in [@start, @end)? */
static bool range_has_pages(struct mm_struct *mm, unsigned long start,
			    unsigned long end)
{
	bool present = false;

	mutex_lock(&mm->page_table_lock);
	walk_page_range(mm, start, end, note_present, &present);
	mutex_unlock(&mm->page_table_lock);
	return present;
}

static void note_own(struct mm_struct *mm, unsigned long addr, pte_t *ptep,
		     void *arg)
{
	struct piece *piece = arg;

	(void)mm;
	if (pte_present(*ptep))
		piece->mapcount[(addr - piece->start) >> PAGE_SHIFT] = 1;
}

/* What another VMA adds to the counts of a piece. */
struct sharer {
	struct piece *piece;
	unsigned long shift;	/* from its addresses to the piece's */
};

static void note_other(struct mm_struct *mm, unsigned long addr, pte_t *ptep,
		       void *arg)
{
	struct sharer *s = arg;
	uint16_t *count = &s->piece->mapcount[(addr + s->shift -
					       s->piece->start) >> PAGE_SHIFT];

	(void)mm;
	if (pte_present(*ptep) && *count && *count < UINT16_MAX)
		++*count;
}

/* Context: i_mmap_lock. */
static void count_in_vma(struct vm_area_struct *other, struct piece *piece,
			 pgoff_t first, pgoff_t last)
{
	pgoff_t from = max(first, other->vm_pgoff);
	pgoff_t to = min(last, vma_last_pgoff(other));
	unsigned long start = vma_address(other, from);
	struct sharer s = {
		.piece = piece,
		.shift = piece->start + ((from - first) << PAGE_SHIFT) - start,
	};
	struct mm_struct *mm = other->vm_mm;

	mutex_lock(&mm->page_table_lock);
	walk_page_range(mm, start, start + ((to - from + 1) << PAGE_SHIFT),
			note_other, &s);
	mutex_unlock(&mm->page_table_lock);
}

static void count_sharers(struct vm_area_struct *vma, struct piece *piece)
{
	struct window *w = mapping_win(vma->vm_file->f_mapping);
	pgoff_t first = linear_page_index(vma, piece->start);
	pgoff_t last = linear_page_index(vma, piece->end) - 1;
	struct vm_area_struct *other;

	if (mapping_nr_vmas(vma->vm_file->f_mapping) <= 1)
		return;
	down_read(&w->i_mmap_lock);
	vma_interval_tree_foreach(other, &w->i_mmap, first, last)
		if (other != vma)
			count_in_vma(other, piece, first, last);
	up_read(&w->i_mmap_lock);
}

static bool page_is_dirty(struct address_space *mapping, pgoff_t index)
{
	struct page *page = find_get_page(mapping, index);
	bool dirty;

	if (!page)
		return false;
	dirty = page_test(page, PG_dirty) || page_test(page, PG_writeback);
	put_page(page);
	return dirty;
}

static void account(struct mem_size_stats *mss, unsigned int mapcount,
		    bool dirty)
{
	uint64_t share = (PAGE_SIZE << PSS_SHIFT) / mapcount;

	mss->resident += PAGE_SIZE;
	mss->pss += share;
	if (dirty)
		mss->pss_dirty += share;
	if (mapcount > 1 && dirty)
		mss->shared_dirty += PAGE_SIZE;
	else if (mapcount > 1)
		mss->shared_clean += PAGE_SIZE;
	else if (dirty)
		mss->private_dirty += PAGE_SIZE;
	else
		mss->private_clean += PAGE_SIZE;
}

static void gather_piece(struct vm_area_struct *vma, unsigned long start,
			 unsigned long end, struct mem_size_stats *mss)
{
	struct address_space *mapping = vma->vm_file->f_mapping;
	struct piece piece = { .start = start, .end = end };
	pgoff_t index = linear_page_index(vma, start);

	mutex_lock(&vma->vm_mm->page_table_lock);
	walk_page_range(vma->vm_mm, start, end, note_own, &piece);
	mutex_unlock(&vma->vm_mm->page_table_lock);
	count_sharers(vma, &piece);
	for (unsigned int i = 0; i < (end - start) >> PAGE_SHIFT; i++)
		if (piece.mapcount[i])
			account(mss, piece.mapcount[i],
				page_is_dirty(mapping, index + i));
}

/*
 * What is in swap, and shared pages the client has not asked for since fork():
 * those may be in memory, but not here. A page that is in memory as well does not
 * count.
 */
static void gather_swap(struct vm_area_struct *vma, struct mem_size_stats *mss)
{
	struct shmem *sh = SHMEM(vma->vm_file->f_mapping);
	pgoff_t index = vma->vm_pgoff, indices[PAGEVEC_SIZE];
	swp_entry_t entries[PAGEVEC_SIZE];
	struct page *page;
	unsigned int nr, users;

	while ((nr = shmem_find_entries(sh, &index, vma_last_pgoff(vma),
					PAGEVEC_SIZE, indices, entries))) {
		for (unsigned int i = 0; i < nr; i++) {
			page = find_get_page(&sh->mapping, indices[i]);
			if (page) {
				put_page(page);
				continue;
			}
			users = max(swap_count(entries[i]), 1u);
			mss->swap += PAGE_SIZE;
			mss->swap_pss += (PAGE_SIZE << PSS_SHIFT) / users;
		}
	}
}

void smap_gather(struct vm_area_struct *vma, struct mem_size_stats *mss)
{
	unsigned long addr = vma->vm_start, stride, end;

	lockdep_assert_held(&vma->vm_mm->mmap_lock);
	*mss = (struct mem_size_stats){ 0 };
	if (is_shmem_file(vma->vm_file))
		gather_swap(vma, mss);
	for (; addr < vma->vm_end; addr = stride) {
		stride = min(vma->vm_end, ALIGN_DOWN(addr, STRIDE_SIZE) +
			     STRIDE_SIZE);
		if (!range_has_pages(vma->vm_mm, addr, stride))
			continue;
		for (; addr < stride; addr = end) {
			end = min(stride, ALIGN_DOWN(addr, PIECE_SIZE) +
				  PIECE_SIZE);
			gather_piece(vma, addr, end, mss);
		}
	}
	if (is_shmem_file(vma->vm_file))
		mss->anonymous = mss->resident;
}
