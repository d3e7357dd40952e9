// SPDX-License-Identifier: BSD-2-Clause
/*
 * mm/memory_anon.c - page faults on memory without a file
 *
 *   do_anon_fault			what is at the index? (shmem.c)
 *     a page				nothing to do
 *     an entry: do_swap_page		from its slot, with neighbours; shared: a
 *					copy, or the last owner takes it over
 *     a file's: do_cow_page		a copy of the file's page
 *     nothing: do_anonymous_page	zeros
 *   then, with those of the following pages that are there,
 *     a read				as of files: fault_map_read()
 *     a write: do_wp_pages		the pages are dirty, and have no slots
 *
 * A sequence of faults gets more pages each time (fault_around.c), of writes too:
 * then pages are made, or made dirty, that nobody has asked for. If nobody does,
 * they are zeros and need no slot, or cost a write. THP is coarser.
 *
 * A page that is read first and stored to right after costs two faults, so where
 * that is the habit the first one gets the right to store, too (stores_follow).
 *
 * A copy of a shared page is made when it is first read, too: a client can be
 * shown pages of its own window alone. It is clean, and the first to go.
 *
 * Locks:  mmap_lock (read) > invalidate_lock (read) > page locks in order of index
 *         > tree_lock, page_table_lock.
 * Source: Linux mm/memory.c (do_anonymous_page, do_swap_page, do_wp_page,
 *         do_cow_fault).
 */
#include <errno.h>
#include <string.h>

#include "internal.h"
#include "err.h"
#include "fault.h"
#include "shmem_i.h"
#include "swap.h"
#include "vma.h"
#include "vmstat.h"
#include "window_i.h"

#define ANON_TRIES	64u	/* as FAULT_TRIES of memory.c */

/*
 * Of a VMA: a read costs one point, a store to what was for reading brings four,
 * so it rises where more than a quarter of the pages that are read are stored to.
 * A right in vain is a page written to swap, about the price of a fault.
 */
#define SCORE_READ	1
#define SCORE_STORE	4
#define SCORE_MAX	64
#define SCORE_FOLLOWS	32	/* from here on reads get the right to store, ... */
#define SAMPLE_EVERY	8u	/* ... but one of so many, to see */

static struct shmem *vmf_shmem(const struct vm_fault *vmf)
{
	return SHMEM(vmf_mapping(vmf));
}

/* A page of ours that turned out not to be needed. */
static void drop_new_pages(struct page **pages, unsigned int nr)
{
	for (unsigned int i = 0; i < nr; i++) {
		unlock_page(pages[i]);
		put_page(pages[i]);
	}
}

/* ---- zeros ---- */

/*
 * How many of the next @nr indices have nothing at all. A VMA may go on where a
 * region has ended. Context: it has not where the fault is.
 */
static unsigned int nothing_there(const struct vm_fault *vmf, unsigned int nr)
{
	struct address_space *mapping = vmf_mapping(vmf);
	const pgoff_t end = (pgoff_t)i_size_read(mapping) >> PAGE_SHIFT;
	struct shmem *sh = vmf_shmem(vmf);
	pgoff_t index = vmf->pgoff, last = min(vmf->pgoff + nr, end) - 1, at;
	struct page *page;
	swp_entry_t entry;

	if (find_get_pages_range(mapping, &index, last, 1, &page, ANY_TAG)) {
		last = min(last, page_index(page) - 1);
		put_page(page);
	}
	index = vmf->pgoff;
	if (shmem_find_entries(sh, &index, last, 1, &at, &entry))
		last = min(last, at - 1);
	return (unsigned int)(last + 1 - vmf->pgoff);
}

/*
 * Before ours were in the tree another thread may have had one there, stored to
 * it, and reclaim has swapped it out since: now that ours are, nobody adds an
 * entry (S2). Return: how many, from the first on, have none.
 */
static unsigned int without_entry(struct shmem *sh, struct page **pages,
				  unsigned int nr)
{
	unsigned int n;

	for (n = 0; n < nr; n++)
		if (!swp_none(shmem_entry(sh, page_index(pages[n]))))
			break;
	return n;
}

/*
 * Straight into the window: no frame is needed, nor copied from. Pages are locked
 * and in the tree; those beyond what is returned are out of it again.
 */
static unsigned int zero_in_window(struct address_space *mapping,
				   struct page **pages, unsigned int nr)
{
	unsigned int want = without_entry(SHMEM(mapping), pages, nr);
	unsigned int done = want ? window_zero_pages(pages, want) : 0;

	for (unsigned int i = 0; i < nr; i++) {
		if (i < done)
			page_set(pages[i], PG_uptodate);
		else if (page_mapping(pages[i]) == mapping)
			delete_from_page_cache(pages[i]);
	}
	return done;
}

/* Room in the window for all, or for one. Return: for how many. */
static unsigned int charge_some(unsigned int nr)
{
	if (window_charge_or_shrink(nr))
		return nr;
	return nr > 1 && window_charge_or_shrink(1);
}

/*
 * Nobody has touched it yet. Return: 0, the page is there; OOM; RETRY: somebody
 * else has been here.
 */
static vm_fault_t do_anonymous_page(struct vm_fault *vmf, unsigned int nr)
{
	struct address_space *mapping = vmf_mapping(vmf);
	struct page *pages[WINDOW_BATCH];
	unsigned int got, added, done;
	int err;

	nr = nothing_there(vmf, nr);
	if (!nr)
		return VM_FAULT_RETRY;
	err = window_arm_chunk(mapping, vmf->pgoff);
	if (err)
		return err == -EAGAIN ? VM_FAULT_RETRY : VM_FAULT_OOM;
	nr = charge_some(nr);
	if (!nr)
		return VM_FAULT_OOM;
	got = page_alloc_unbacked(GFP_KERNEL, nr, pages);
	added = add_pages_to_page_cache(pages, got, mapping, vmf->pgoff,
					GFP_KERNEL);
	done = added ? zero_in_window(mapping, pages, added) : 0;
	if (done < nr)
		window_uncharge(nr - done);
	count_vm_events(PGZEROED, done);
	drop_new_pages(pages, got);
	vmf->nr_zeroed = done;
	if (done)
		return 0;
	/* No memory for pages, tree or window; or it is not ours to make. */
	return nothing_there(vmf, 1) ? VM_FAULT_OOM : VM_FAULT_RETRY;
}

/* ---- swap ---- */

/* How many of the next @nr indices are in swap, and not in memory. */
static unsigned int swapped_there(const struct vm_fault *vmf, unsigned int nr)
{
	struct address_space *mapping = vmf_mapping(vmf);
	pgoff_t index = vmf->pgoff, last = vmf->pgoff + nr - 1;
	swp_entry_t entries[PAGEVEC_SIZE];
	pgoff_t indices[PAGEVEC_SIZE];
	unsigned int n = 0, found;
	struct page *page;

	if (find_get_pages_range(mapping, &index, last, 1, &page, ANY_TAG)) {
		last = min(last, page_index(page) - 1);
		put_page(page);
	}
	index = vmf->pgoff;
	while ((found = shmem_find_entries(vmf_shmem(vmf), &index, last,
					   PAGEVEC_SIZE, indices, entries)))
		for (unsigned int i = 0; i < found; i++) {
			if (indices[i] != vmf->pgoff + n)
				return n;
			n++;
		}
	return n;
}

/*
 * Are we alone with @page, which was shared? Another fault may have given the
 * entry back since we looked, and its slot be gone; while the page is in the swap
 * cache it is not, and what we have is our entry still if the tree says so.
 */
static bool take_over(struct vm_fault *vmf, struct page *page,
		      swp_entry_t entry)
{
	struct shmem *sh = vmf_shmem(vmf);
	bool taken = false;

	if (radix_tree_preload(GFP_KERNEL, 1))
		return false;
	lock_page(page);
	wait_on_page_writeback(page);
	/* Nobody can share it anew: that takes our mmap_lock. */
	if (page_in_swapcache(page) && page_swap_entry(page).val == entry.val &&
	    shmem_entry(sh, vmf->pgoff).val == entry.val &&
	    swap_count(entry) == 1)
		taken = !take_from_swap_cache(page, sh, vmf->pgoff);
	unlock_page(page);
	return taken;
}

/* Return: 0, pages are being read; OOM; RETRY. */
static vm_fault_t read_swapped(struct vm_fault *vmf, unsigned int nr)
{
	struct address_space *mapping = vmf_mapping(vmf);
	bool nowait = vmf->flags & FAULT_FLAG_RETRY_NOWAIT;
	struct page *pages[WINDOW_BATCH];
	unsigned int got, added;

	nr = swapped_there(vmf, nr);
	if (!nr)
		return VM_FAULT_RETRY;
	got = page_cache_alloc_bulk(GFP_USER, nr, pages);
	added = add_pages_to_page_cache(pages, got, mapping, vmf->pgoff,
					GFP_KERNEL);
	drop_new_pages(pages + added, got - added);
	if (!added)
		return swapped_there(vmf, 1) ? VM_FAULT_OOM : VM_FAULT_RETRY;
	if (added > 1)
		count_vm_events(SWAP_RA, added - 1);
	shmem_readpages(mapping, pages, added, nowait ? READ_START : READ_WAIT);
	return 0;
}

/* Return: 0, the page is there; MAJOR: it is, or is being read; OOM; RETRY. */
static vm_fault_t do_swap_page(struct vm_fault *vmf, swp_entry_t entry,
			       unsigned int nr)
{
	struct page *shared = lookup_swap_cache(entry);
	vm_fault_t ret;

	if (!shared)
		return read_swapped(vmf, nr) ?: VM_FAULT_MAJOR;
	ret = take_over(vmf, shared, entry) ? 0 : read_swapped(vmf, nr);
	put_page(shared);	/* until here, for a copy to be made of it */
	return ret;
}

/* ---- files ---- */

/* The file's page at @source_index. Return: 0 or an error. */
static vm_fault_t get_source(struct vm_fault *vmf, struct page **sourcep)
{
	struct vm_area_struct *vma = vmf->vma;
	struct vm_file *file = vma->vm_source;
	pgoff_t index = vma->vm_source_pgoff +
		((vmf->address - vma->vm_start) >> PAGE_SHIFT);
	struct page *source;

	if (page_past_end(file->f_mapping, index))
		return VM_FAULT_SIGBUS;
	source = filemap_get_page(file->f_mapping,
				  vma->vm_flags & VM_RAND_READ ? NULL :
							      &file->f_ra,
				  index, 1);
	if (IS_ERR(source))
		return PTR_ERR(source) == -ENOMEM ? VM_FAULT_OOM :
						    VM_FAULT_SIGBUS;
	*sourcep = source;
	return 0;
}

static vm_fault_t add_copy(struct vm_fault *vmf, struct page *source)
{
	struct page *page = page_cache_alloc(GFP_USER);
	pfn_t pfn;
	int err;

	if (!page)
		return VM_FAULT_OOM;
	err = page_hold_bytes(source, false, &pfn);
	if (!err) {
		memcpy(page_address(page), pfn_to_virt(pfn), PAGE_SIZE);
		page_release_bytes(source, pfn);
		err = add_to_page_cache_lru(page, vmf_mapping(vmf), vmf->pgoff,
					    GFP_KERNEL);
	}
	if (!err && !without_entry(vmf_shmem(vmf), &page, 1)) {
		delete_from_page_cache(page);
		err = -EEXIST;
	}
	if (!err)
		page_set(page, PG_uptodate);
	unlock_page(page);
	put_page(page);
	if (err == -EEXIST)
		return VM_FAULT_RETRY;
	if (err)
		return err == -ENOMEM ? VM_FAULT_OOM : VM_FAULT_SIGBUS;
	count_vm_event(PGCOW);
	return 0;
}

/* A private mapping of a file, and nothing of our own there yet. */
static vm_fault_t do_cow_page(struct vm_fault *vmf)
{
	struct page *source;
	vm_fault_t ret = get_source(vmf, &source);

	if (ret)
		return ret;
	ret = add_copy(vmf, source);
	put_page(source);
	return ret;
}

/* ---- the page ---- */

/* Return: 0 or MAJOR; RETRY: somebody else was faster, or a client cannot be
 * reached; or an error. */
static vm_fault_t make_page(struct vm_fault *vmf, unsigned int nr)
{
	swp_entry_t entry = shmem_entry(vmf_shmem(vmf), vmf->pgoff);
	vm_fault_t ret;

	if (swp_none(entry) && vmf->vma->vm_source)
		return do_cow_page(vmf);	/* takes the file's locks */
	down_read_plugged(&vmf_mapping(vmf)->invalidate_lock);
	if (page_past_end(vmf_mapping(vmf), vmf->pgoff))
		ret = VM_FAULT_SIGBUS;
	else if (swp_none(entry))
		ret = do_anonymous_page(vmf, nr);
	else
		ret = do_swap_page(vmf, entry, nr);
	up_read(&vmf_mapping(vmf)->invalidate_lock);
	return ret;
}

/*
 * It could not be read, or not be made. The next fault tries again, and this one
 * if it was not @ours to read: it may have been tried ahead, for another page.
 */
static vm_fault_t forget_unread(struct address_space *mapping,
				struct page *page, bool ours)
{
	vm_fault_t ret = VM_FAULT_RETRY;

	lock_page(page);
	if (page_mapping(page) == mapping && !page_test(page, PG_uptodate)) {
		delete_from_page_cache(page);
		ret = ours ? VM_FAULT_SIGBUS : ret;
	}
	unlock_page(page);
	put_page(page);
	return ret;
}

/*
 * vmf->page: there, uptodate, referenced; or, without waiting, wait_page. @nr: how
 * many may be made with it. Return: 0, MAJOR; RETRY (with wait_page), an error.
 */
static vm_fault_t anon_page(struct vm_fault *vmf, unsigned int nr)
{
	struct address_space *mapping = vmf_mapping(vmf);
	vm_fault_t ret, major = 0;
	struct page *page;
	bool ours = false;

	while (!(page = find_get_page(mapping, vmf->pgoff))) {
		ret = make_page(vmf, nr);
		if (ret & (VM_FAULT_ERROR | VM_FAULT_RETRY))
			return ret;
		major |= ret;
		ours = true;
	}
	if (!page_test(page, PG_uptodate)) {
		if (vmf->flags & FAULT_FLAG_RETRY_NOWAIT) {
			vmf->wait_page = page;
			return VM_FAULT_RETRY;
		}
		major = VM_FAULT_MAJOR;
		wait_on_page_locked(page);
	}
	if (!page_test(page, PG_uptodate)) {
		return major | forget_unread(mapping, page, ours);
	}
	vmf->page = page;
	return major;
}

/* ---- writing ---- */

/*
 * Locked, in the window: the client may store to them. @known: it may have some of
 * them already, for reading. Return: how many.
 */
static unsigned int grant_pages(struct vm_fault *vmf, struct page **pages,
				unsigned int nr, bool known)
{
	const uint32_t now = mm_centisecs();

	nr = fault_note_writable(vmf, nr);
	for (unsigned int i = 0; i < nr; i++) {
		page_clear(pages[i], PG_stream);
		set_page_dirty(pages[i]);
		pages[i]->granted_cs = now;
	}
	if (!nr)
		return 0;
	fault_map_pages(vmf, pages, nr, true);
	if (known && !(vmf->flags & FAULT_FLAG_WP))
		vmf->vma->vm_mm->mmu->unprotect(vmf->vma, vmf->address, nr);
	return nr;
}

/* @pages: gathered; puts them. Return: as fault_map_read(). */
static vm_fault_t do_wp_pages(struct vm_fault *vmf, struct page **pages,
			      unsigned int nr)
{
	unsigned int charged, locked, known, ready;
	vm_fault_t ret = 0;

	if (!fault_charge(pages, &nr, &charged)) {
		put_pages(pages, nr);
		return VM_FAULT_OOM;
	}
	locked = fault_lock_pages(vmf, pages, nr);
	if (locked)
		fault_count_soft(pages[0], &ret);
	/* What was made just now hardly any client has; if one does, for reading,
	 * its stores come to us. */
	known = locked <= vmf->nr_zeroed ? 0 :
		locked - count_in_arena(pages, locked);
	ready = fault_promote(pages, locked, charged);
	ready = ready ? grant_pages(vmf, pages, ready, known) : 0;
	if (ready)
		count_vm_events(PGFAULTAROUND, ready - 1);
	for (unsigned int i = 0; i < locked; i++)
		unlock_page(pages[i]);
	put_pages(pages, nr);
	return ready ? ret : VM_FAULT_RETRY;
}

/* ---- the way in ---- */

static void score_add(struct vm_area_struct *vma, int points)
{
	int score = atomic_load_explicit(&vma->store_score, memory_order_relaxed);

	/* An estimate: racing faults may be forgotten. */
	atomic_store_explicit(&vma->store_score,
			      max(0, min(score + points, SCORE_MAX)),
			      memory_order_relaxed);
}

/* Is a store to follow this read? Most likely, if it did after others. */
static bool stores_follow(const struct vm_fault *vmf)
{
	static __thread unsigned int nr_asked;
	struct vm_area_struct *vma = vmf->vma;

	if (!(vma->vm_flags & VM_WRITE))
		return false;
	if (atomic_load_explicit(&vma->store_score, memory_order_relaxed) >=
	    SCORE_FOLLOWS && ++nr_asked % SAMPLE_EVERY) {
		count_vm_event(PGSTOREAHEAD);
		return true;
	}
	score_add(vma, -SCORE_READ);
	return false;
}

static bool wants_to_store(const struct vm_fault *vmf)
{
	if (vmf->flags & FAULT_FLAG_WP)
		score_add(vmf->vma, SCORE_STORE);
	return vmf->flags & FAULT_FLAG_WRITE || stores_follow(vmf);
}

static vm_fault_t do_anon_once(struct vm_fault *vmf, unsigned int wanted)
{
	struct page *pages[WINDOW_BATCH];
	vm_fault_t ret, more;
	unsigned int nr;

	vmf->nr_zeroed = 0;
	ret = anon_page(vmf, wanted);
	if (ret & (VM_FAULT_ERROR | VM_FAULT_RETRY))
		return ret;
	nr = fault_gather(vmf, pages, wanted);
	around_was_short(vmf, wanted, nr);
	put_page(vmf->page);		/* fault_gather() has its own */
	more = fault_prepare(vmf, nr);
	if (more)
		put_pages(pages, nr);
	else if (wants_to_store(vmf))
		more = do_wp_pages(vmf, pages, nr);
	else
		more = fault_map_read(vmf, pages, nr);
	return ret | more;
}

vm_fault_t do_anon_fault(struct vm_fault *vmf)
{
	unsigned int wanted = around_pages(vmf);
	vm_fault_t ret = 0, major = 0;

	for (unsigned int tries = 0; tries < ANON_TRIES; tries++) {
		ret = do_anon_once(vmf, wanted);
		major |= ret & VM_FAULT_MAJOR;
		if (!(ret & VM_FAULT_RETRY) || vmf->wait_page)
			break;
	}
	if (ret & VM_FAULT_OOM)
		count_vm_event(OOM_FAULT);
	return ret | major;
}
