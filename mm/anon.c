// SPDX-License-Identifier: BSD-2-Clause
/*
 * mm/anon.c - private memory of address spaces: mapping it, and fork()
 *
 *   mm --anon--> shmem   index of a page = its address in pages, unless that is
 *                        taken by what was moved from there (anon_place)
 *
 *   dup_private:    parent, index     child, index
 *     clean           page, E           E		one user more of E
 *     dirty           E                 E		the page is E's, in the swap
 *							cache: whoever needs it makes
 *							a copy (memory_anon.c)
 *     dirty, granted  page              a copy		a device may be at work in it
 *     lately						for the parent
 *     a file's, clean page              nothing	read again if need be
 *
 * The copy is a whole object, which the child's mm gets when there is one.
 *
 * A1. Indices mean the same in parent and child. No two VMAs of an mm show one
 *     index, but while it moves.
 * A2. Private memory that no VMA shows is gone: what unmaps it frees it under the
 *     same hold of mmap_lock. So its indices can be used again at once.
 *
 * Locks:  mmap_lock for writing; page locks and tree_locks inside it.
 * Source: Linux mm/mmap.c, kernel/fork.c (dup_mmap), mm/memory.c
 *         (copy_present_pte: pinned pages are copied).
 */
#include <errno.h>
#include <string.h>

#include "internal.h"
#include "err.h"
#include "shmem_i.h"
#include "slab.h"
#include "vma.h"
#include "vmstat.h"
#include "window_i.h"

/* ---- an mm's private memory ---- */

struct address_space *anon_mapping(const struct mm_struct *mm)
{
	return mm->anon ? &mm->anon->mapping : NULL;
}

/* Made if there is none. Return: it, or ERR_PTR. */
static struct shmem *anon_prepare(struct mm_struct *mm)
{
	struct shmem *sh, *new = NULL;

	down_write(&mm->mmap_lock);
	if (!mm->anon) {
		new = shmem_alloc(0);
		if (!IS_ERR(new))
			mm->anon = new;
	}
	sh = IS_ERR(new) ? new : mm->anon;
	up_write(&mm->mmap_lock);
	return sh;
}

void anon_exit(struct mm_struct *mm)
{
	struct shmem *sh = mm->anon;

	mm->anon = NULL;
	if (sh)
		put_vm_file(&sh->file);
}

bool anon_range_free(struct mm_struct *mm, pgoff_t first, pgoff_t last)
{
	struct window *w = mapping_win(&mm->anon->mapping);
	bool free = last < (pgoff_t)i_size_read(&mm->anon->mapping) >> PAGE_SHIFT;

	down_read(&w->i_mmap_lock);
	free = free && !vma_interval_tree_iter_first(&w->i_mmap, first, last);
	up_read(&w->i_mmap_lock);
	return free;
}

/* Where addresses do not lead: after the last VMA up there. */
static pgoff_t free_index(struct mm_struct *mm)
{
	const pgoff_t base = (TASK_SIZE >> PAGE_SHIFT) + 1;
	struct vm_area_struct *vma;
	pgoff_t next = base;

	for (vma = mm->mmap; vma; vma = vma->vm_next)
		if (vma_is_private(vma) && vma_last_pgoff(vma) >= next)
			next = vma_last_pgoff(vma) + 1;
	return next;
}

int anon_place(struct mm_struct *mm, struct vma_area *area)
{
	const pgoff_t nr = (area->end - area->start) >> PAGE_SHIFT;
	int err = vm_enough_memory(nr);

	if (err)
		return err;
	area->pgoff = area->start >> PAGE_SHIFT;
	if (anon_range_free(mm, area->pgoff, area->pgoff + nr - 1))
		return 0;
	area->pgoff = free_index(mm);
	return anon_range_free(mm, area->pgoff, area->pgoff + nr - 1) ? 0 :
								       -ENOMEM;
}

/* Reading ahead and swapoff add pages without mmap_lock. */
void anon_free_range(struct vm_file *file, pgoff_t first, pgoff_t nr)
{
	struct shmem *sh = container_of(file, struct shmem, file);

	down_write(&sh->mapping.invalidate_lock);
	shmem_free_range(sh, first, first + nr - 1);
	up_write(&sh->mapping.invalidate_lock);
}

int do_mmap_private(struct mm_struct *mm, struct vm_file *source,
		    pgoff_t source_pgoff, unsigned long addr, size_t len,
		    unsigned long vm_flags, unsigned int map_flags,
		    unsigned long *addrp, pgoff_t *pgoffp,
		    struct vm_file **filep)
{
	struct vma_area area = { .source = source,
				 .source_pgoff = source ? source_pgoff : 0 };
	struct shmem *sh;
	int err;

	if (vm_flags & ~(VM_ACCESS_FLAGS | VM_LOCKED | VM_SEQ_READ | VM_RAND_READ))
		return -EINVAL;
	err = mmap_check(&area, addr, len, map_flags);
	if (err)
		return err;
	len = area.end - area.start;
	if (source && source_pgoff > MAX_FILE_PAGES - (len >> PAGE_SHIFT))
		return -EOVERFLOW;
	sh = anon_prepare(mm);
	if (IS_ERR(sh))
		return PTR_ERR(sh);
	if (source)
		atomic_store(&sh->has_source, true);
	area.file = &sh->file;
	area.flags = vm_flags | VM_MAYREAD | VM_MAYWRITE | VM_MAYEXEC |
		VM_UFFD_WP | VM_ACCOUNT;
	err = mmap_area(mm, &area, len, map_flags);
	if (err)
		return err;
	get_vm_file(&sh->file);
	*filep = &sh->file;
	*pgoffp = area.pgoff;
	*addrp = area.start;
	return 0;
}

struct vm_file *shmem_file_setup(unsigned long nr_pages)
{
	struct shmem *sh;
	int err = vm_enough_memory(nr_pages);

	if (err || !nr_pages || nr_pages > MAX_FILE_PAGES)
		return ERR_PTR(err ?: -EINVAL);
	sh = shmem_alloc(nr_pages);
	if (IS_ERR(sh))
		return ERR_PTR(PTR_ERR(sh));
	mod_vm_stat(COMMITTED_AS, (long)nr_pages);
	return &sh->file;
}

/* ---- madvise ---- */

/* Context: mmap_lock. */
static void free_in_vma(struct vm_area_struct *vma, unsigned long start,
			unsigned long end)
{
	struct shmem *sh = SHMEM(vma->vm_file->f_mapping);

	/* Others may fault on a shared region; our own faults wait, too. */
	down_write(&sh->mapping.invalidate_lock);
	shmem_free_range(sh, linear_page_index(vma, start),
			 linear_page_index(vma, end) - 1);
	up_write(&sh->mapping.invalidate_lock);
}

int do_madvise_free(struct mm_struct *mm, unsigned long addr, size_t len)
{
	struct vm_area_struct *vma;
	unsigned long end;
	int err = 0;

	if (!len || vma_check_range(addr, len, &end))
		return -EINVAL;
	down_write(&mm->mmap_lock);
	for (vma = find_vma_intersection(mm, addr, end); addr < end;
	     vma = vma->vm_next) {
		if (!vma || vma->vm_start > addr) {
			err = -ENOMEM;
			if (!vma || vma->vm_start >= end)
				break;
			addr = vma->vm_start;
		}
		if (is_shmem_file(vma->vm_file))
			free_in_vma(vma, addr, min(end, vma->vm_end));
		addr = vma->vm_end;
	}
	up_write(&mm->mmap_lock);
	return err;
}

/* ---- fork ---- */

struct private_copy {
	struct shmem *sh;
	unsigned int nr;
	struct vma_area area[];		/* file: NULL: sh's; else referenced */
};

static bool is_inherited(const struct vm_area_struct *vma)
{
	return is_shmem_file(vma->vm_file);
}

static unsigned int count_inherited(struct mm_struct *mm)
{
	struct vm_area_struct *vma;
	unsigned int nr = 0;

	for (vma = mm->mmap; vma; vma = vma->vm_next)
		nr += is_inherited(vma);
	return nr;
}

static void put_areas(struct private_copy *copy)
{
	for (unsigned int i = 0; i < copy->nr; i++) {
		if (copy->area[i].file)
			put_vm_file(copy->area[i].file);
		if (copy->area[i].source)
			put_vm_file(copy->area[i].source);
	}
}

static void copy_areas(struct mm_struct *mm, struct private_copy *copy)
{
	struct vm_area_struct *vma;

	for (vma = mm->mmap; vma; vma = vma->vm_next) {
		struct vma_area *area = &copy->area[copy->nr];

		if (!is_inherited(vma))
			continue;
		*area = vma_piece(vma, vma->vm_start, vma->vm_end);
		area->flags &= ~VM_LOCKED;	/* as fork(2) has it */
		if (vma_is_private(vma))
			area->file = NULL;
		else
			get_vm_file(area->file);
		if (area->source)
			get_vm_file(area->source);
		copy->nr++;
	}
}

/* One page for the child alone. */
static int copy_page(struct shmem *to, struct page *page, struct page *copy)
{
	const pgoff_t index = page->index;
	int err = page_read_bytes(page, 0, page_address(copy), PAGE_SIZE);

	if (err)
		return err;
	page_set(copy, PG_uptodate);
	err = add_to_page_cache_lru(copy, &to->mapping, index, GFP_ATOMIC);
	if (err)
		return err;
	set_page_dirty(copy);
	count_vm_event(PGCOW);
	return 0;
}

/* It is @entry's from now on, which both have. */
static int share_page(struct shmem *from, struct page *page)
{
	const pgoff_t index = page->index;
	swp_entry_t entry;
	int err;

	if (!get_swap_pages(1, &entry)) {
		entry = get_memory_entry();
		if (swp_none(entry))
			return -ENOMEM;
	}
	add_to_swap_cache(page, entry);
	err = radix_tree_preload(GFP_ATOMIC, 1);
	mutex_lock(&from->mapping.tree_lock);
	if (!err)
		err = __shmem_set_entry(from, index, entry);
	mutex_unlock(&from->mapping.tree_lock);
	if (err) {
		/* Back: the slot, whose user we are, goes with the dirt. */
		radix_tree_preload(GFP_ATOMIC, 1);
		BUG_ON(take_from_swap_cache(page, from, index));
		swap_free(entry);
		return err;
	}
	count_vm_event(PGDUP);
	return 0;
}

/* @spare: a page that may be used up, locked, no bytes of which matter. */
static int dup_page(struct shmem *from, struct shmem *to, struct page *page,
		    struct page **spare)
{
	int err;

	wait_on_page_writeback(page);
	if (page_mapping(page) != &from->mapping || !page_test(page, PG_dirty))
		return 0;	/* what is clean has an entry, or needs none */
	if (!PageWindow(page))
		return share_page(from, page);
	err = copy_page(to, page, *spare);
	unlock_page(*spare);
	put_page(*spare);
	*spare = NULL;
	return err;
}

static int dup_pages(struct shmem *from, struct shmem *to)
{
	struct page *pages[PAGEVEC_SIZE], *spare = NULL;
	pgoff_t index = 0;
	unsigned int nr;
	int err = 0;

	while ((nr = find_get_pages_range(&from->mapping, &index, UINT64_MAX,
					  PAGEVEC_SIZE, pages, ANY_TAG))) {
		for (unsigned int i = 0; i < nr; i++) {
			if (!err && !spare)	/* may reclaim: no page locked */
				spare = page_cache_alloc(GFP_USER);
			if (!err)
				err = spare ? radix_tree_preload(GFP_KERNEL, 2) :
					      -ENOMEM;
			if (!err) {
				lock_page(pages[i]);
				err = dup_page(from, to, pages[i], &spare);
				unlock_page(pages[i]);
			}
			put_page(pages[i]);
		}
	}
	if (spare) {
		unlock_page(spare);
		put_page(spare);
	}
	return err;
}

/*
 * A copy of the parent's page, made because a client may be storing to that; it
 * is all the child gets, whatever has become of the parent's since. Context: the
 * child's tree_lock.
 */
static bool has_its_own(struct shmem *to, pgoff_t index)
{
	return radix_tree_lookup(&to->mapping.i_pages, index) ||
		!swp_none(shmem_entry(to, index));
}

/* Context: both have a node for it. */
static int dup_entry(struct shmem *from, struct shmem *to, pgoff_t index)
{
	swp_entry_t entry = { 0 };
	int err;

	mutex_lock(&from->mapping.tree_lock);
	entry = shmem_entry(from, index);
	err = swp_none(entry) ? 0 : swap_duplicate(entry);
	mutex_unlock(&from->mapping.tree_lock);
	if (err || swp_none(entry))
		return err;
	mutex_lock(&to->mapping.tree_lock);
	err = has_its_own(to, index) ? -EEXIST :
				       __shmem_set_entry(to, index, entry);
	mutex_unlock(&to->mapping.tree_lock);
	if (err)
		free_swap_and_cache(entry, SWAP_FREE_TRY);
	return err == -EEXIST ? 0 : err;
}

/* Every entry has one user more. */
static int dup_entries(struct shmem *from, struct shmem *to)
{
	swp_entry_t entries[PAGEVEC_SIZE];
	pgoff_t indices[PAGEVEC_SIZE], first = 0;
	unsigned int nr;
	int err = 0;

	while (!err && (nr = shmem_find_entries(from, &first, (pgoff_t)-1,
						PAGEVEC_SIZE, indices,
						entries))) {
		for (unsigned int i = 0; !err && i < nr; i++) {
			err = radix_tree_preload(GFP_KERNEL, 1) ?:
			      dup_entry(from, to, indices[i]);
		}
	}
	return err;
}

/* ---- the whole ---- */

static struct private_copy *alloc_copy(struct mm_struct *mm)
{
	unsigned int nr = count_inherited(mm);
	struct private_copy *copy;

	copy = kzalloc(sizeof(*copy) + nr * sizeof(copy->area[0]), GFP_KERNEL);
	if (!copy)
		return ERR_PTR(-ENOMEM);
	if (mm->anon)
		copy->sh = shmem_alloc(0);
	if (IS_ERR(copy->sh)) {
		kfree(copy);
		return ERR_PTR(-ENOMEM);
	}
	return copy;
}

/* What is stored meanwhile by other threads is in the copy, or is not. */
static int dup_memory(struct shmem *from, struct shmem *to)
{
	int err = swap_memory_prepare();

	if (err)
		return err;
	atomic_store(&to->has_source, atomic_load(&from->has_source));
	window_demote_idle(&from->mapping);
	/* swapoff makes pages dirty that we have passed as clean. */
	down_write(&from->mapping.invalidate_lock);
	err = dup_pages(from, to) ?: dup_entries(from, to);
	up_write(&from->mapping.invalidate_lock);
	return err;
}

/* What a child promises anew. */
static unsigned long private_pages(const struct private_copy *copy)
{
	unsigned long nr = 0;

	for (unsigned int i = 0; i < copy->nr; i++)
		if (!copy->area[i].file)
			nr += (copy->area[i].end - copy->area[i].start) >>
				PAGE_SHIFT;
	return nr;
}

/* Context: mmap_lock for writing. */
static struct private_copy *dup_mmap(struct mm_struct *mm)
{
	struct private_copy *copy = alloc_copy(mm);
	int err;

	if (IS_ERR(copy))
		return copy;
	copy_areas(mm, copy);
	err = vm_enough_memory(private_pages(copy));
	if (!err && mm->anon)
		err = dup_memory(mm->anon, copy->sh);
	if (!err)
		return copy;
	drop_private(copy);
	return ERR_PTR(err);
}

struct private_copy *dup_private(struct mm_struct *mm)
{
	struct private_copy *copy = NULL;

	down_write(&mm->mmap_lock);
	if (count_inherited(mm))
		copy = dup_mmap(mm);
	mmap_write_unlock(mm);
	return copy;
}

void drop_private(struct private_copy *copy)
{
	put_areas(copy);
	if (copy->sh)
		put_vm_file(&copy->sh->file);
	kfree(copy);
}

/* Context: mmap_lock for writing. */
static int adopt_areas(struct mm_struct *mm, struct private_copy *copy)
{
	struct vma_stash stash = { NULL };
	int err;

	if (mm->mmap || mm->anon)
		return -EBUSY;
	err = vma_stash_fill(mm, &stash, copy->nr);
	if (!err)
		mm->anon = copy->sh;
	for (unsigned int i = 0; !err && i < copy->nr; i++) {
		struct vma_area area = copy->area[i];

		area.file = area.file ?: &copy->sh->file;
		mmap_region(mm, &area, &stash);
	}
	vma_stash_release(&stash);
	return err;
}

int adopt_private(struct mm_struct *mm, struct private_copy *copy)
{
	struct window *w = copy->sh ? mapping_window(&copy->sh->mapping) : NULL;
	int err;

	if (IS_ERR(w))
		return (int)PTR_ERR(w);
	down_write(&mm->mmap_lock);
	err = adopt_areas(mm, copy);
	mmap_write_unlock(mm);
	if (err)
		return err;
	put_areas(copy);		/* the VMAs have their own */
	kfree(copy);
	return 0;
}
