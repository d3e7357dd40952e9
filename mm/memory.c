// SPDX-License-Identifier: BSD-2-Clause
/*
 * mm/memory.c - page faults of clients
 *
 *   handle_mm_fault			VMA, rights
 *     handle_pte_fault
 *       do_read_fault			the page and some neighbours
 *         ->fault			page cache, read-ahead, I/O
 *         promote_pages		from the arena into the window
 *         mmu->map			into the client, read-only
 *       do_write_fault			the page, for writing
 *         ->fault, ->page_mkwrite	room in the store, copies above us gone
 *         promote_pages, or it is there (do_wp_page)
 *         dirty; mmu->map or unprotect
 *       do_anon_fault			memory without a file: memory_anon.c
 *
 * I1. A right to write is given with the page locked, after the pte has
 *     _PAGE_RW, the page is dirty and PG_kcached was seen clear; so whoever
 *     takes the lock later knows whom to take the right from (rmap.c).
 * I2. Memory for window and page tables is had before pages are locked. If a
 *     table has gone meanwhile the fault starts again; a read just is not noted.
 * I3. Every way out of here has woken the thread, or says that it must be ended.
 *
 * Locks:  mmap_lock (read) > invalidate_lock (read, in ->fault) > page locks in
 *         index order (neighbours: tried only) > page_table_lock.
 * Source: Linux mm/memory.c (do_fault, do_fault_around, do_wp_page). Differs:
 *         mmap_lock is held over I/O: it is one client's own.
 */
#include <errno.h>

#include "internal.h"
#include "err.h"
#include "fault.h"
#include "page.h"
#include "shmem_i.h"
#include "slab.h"
#include "swap.h"
#include "trace.h"
#include "vma.h"
#include "vmstat.h"
#include "window_i.h"

/* Times a fault starts again when things change under it; arbitrary. */
#define FAULT_TRIES	64u

/* ---- the page ---- */

static void fault_wake(const struct vm_fault *vmf)
{
	vmf->vma->vm_mm->mmu->wake(vmf->vma, vmf->address, 1);
}

/* Is it still what ->fault found, and part of the file? Page locked. */
static bool page_still_there(const struct vm_fault *vmf, struct page *page,
			     pgoff_t index)
{
	struct address_space *mapping = vmf_mapping(vmf);

	return page_mapping(page) == mapping && page_index(page) == index &&
		page_test(page, PG_uptodate) && !page_past_end(mapping, index);
}

/* ---- ptes ---- */

/* Tables for the range. Context: as pte_alloc(). */
static int alloc_ptes(const struct vm_fault *vmf, unsigned int nr)
{
	struct mm_struct *mm = vmf->vma->vm_mm;
	unsigned long last = vmf->address + (nr - 1) * PAGE_SIZE;
	int err = pte_alloc(mm, vmf->address);

	return err || nr == 1 ? err : pte_alloc(mm, last);
}

/*
 * Many clients of large files may need more tables than there is memory for
 * metadata. Tables may take a third of it; beyond that those go that only say
 * what can be read, and pages leave the windows, so that others become empty.
 */
static unsigned long page_table_limit(void)
{
	unsigned long frames = 0;
	struct zone *zone;

	for_each_zone(zone)
		if (zone->type == ZONE_NORMAL)
			frames += zone->spanned;
	return frames / 3;
}

static void make_room_for_tables(void)
{
	if (shrink_page_tables() < page_table_limit() / 8)
		shrink_windows(4 * WINDOW_BATCH, true);
}

static int alloc_ptes_hard(const struct vm_fault *vmf, unsigned int nr)
{
	int err;

	if (vm_stat_read(NR_PAGETABLE) > page_table_limit())
		make_room_for_tables();
	err = alloc_ptes(vmf, nr);
	for (unsigned int tries = 0; err == -ENOMEM && tries < FAULT_TRIES;
	     tries++) {
		make_room_for_tables();
		err = alloc_ptes(vmf, nr);
	}
	return err;
}

vm_fault_t fault_prepare(const struct vm_fault *vmf, unsigned int nr)
{
	int err = window_arm_chunk(vmf_mapping(vmf), vmf->pgoff);

	if (!err)
		err = alloc_ptes_hard(vmf, nr);
	if (err == -EAGAIN)
		return VM_FAULT_RETRY;	/* some client cannot be reached now */
	return err ? VM_FAULT_OOM : 0;
}

/* Readable, if nothing is noted yet. A table that has gone: I2. */
static void note_readable(const struct vm_fault *vmf, unsigned int nr)
{
	struct mm_struct *mm = vmf->vma->vm_mm;
	unsigned long addr = vmf->address;

	mutex_lock(&mm->page_table_lock);
	for (; nr; nr--, addr += PAGE_SIZE) {
		pte_t *ptep = pte_offset(mm, addr);

		if (ptep && !pte_present(*ptep))
			set_pte(mm, addr, ptep,
				(pte_t){ _PAGE_PRESENT | _PAGE_ACCESSED });
	}
	mutex_unlock(&mm->page_table_lock);
}

unsigned int fault_note_writable(const struct vm_fault *vmf, unsigned int nr)
{
	const pte_t pte = { _PAGE_PRESENT | _PAGE_ACCESSED | _PAGE_RW |
			    _PAGE_DIRTY };
	struct mm_struct *mm = vmf->vma->vm_mm;
	unsigned long addr = vmf->address;
	unsigned int n;

	mutex_lock(&mm->page_table_lock);
	for (n = 0; n < nr; n++, addr += PAGE_SIZE) {
		pte_t *ptep = pte_offset(mm, addr);

		if (!ptep)
			break;
		set_pte(mm, addr, ptep, pte);
	}
	mutex_unlock(&mm->page_table_lock);
	return n;
}

/* ---- into the window ---- */

void fault_count_soft(struct page *page, vm_fault_t *ret)
{
	if (!page_test_clear(page, PG_workingset))
		return;
	if (!mapping_advised(page_mapping(page), AS_NOREUSE))
		page_set(page, PG_referenced);
	page_clear(page, PG_stream);
	*ret |= VM_FAULT_SOFT;
}

unsigned int fault_promote(struct page **pages, unsigned int nr,
			   unsigned int charged)
{
	unsigned int i = 0, n, got, ready = 0;

	while (i < nr) {
		if (PageWindow(pages[i])) {
			ready = ++i;
			continue;
		}
		for (n = 1; i + n < nr && !PageWindow(pages[i + n]); n++)
			;
		n = min(n, charged);
		got = n ? promote_pages(pages + i, n) : 0;
		charged -= got;
		i += got;
		ready = got ? i : ready;
		if (!got || got < n)
			break;
	}
	if (charged)
		window_uncharge(charged);
	return ready;
}

void fault_map_pages(const struct vm_fault *vmf, struct page **pages,
		      unsigned int nr, bool write)
{
	const struct mmu_ops *mmu = vmf->vma->vm_mm->mmu;

	if (write && (vmf->flags & FAULT_FLAG_WP)) {
		mmu->unprotect(vmf->vma, vmf->address, nr);
		return;
	}
	if (mmu->map(vmf->vma, vmf->address, nr, write) != -EFAULT)
		return;
	/*
	 * A client has punched it out of the memfd: it is zeros. Or the memfd
	 * has it, and it is this client that has something else there now.
	 */
	window_restore_if_gone(pages[0]);
	if (mmu->map(vmf->vma, vmf->address, 1, write))
		fault_wake(vmf);
}

/* ---- reading ---- */

unsigned int fault_gather(const struct vm_fault *vmf, struct page **pages,
			  unsigned int nr)
{
	struct address_space *mapping = vmf_mapping(vmf);
	pgoff_t index = vmf->pgoff + 1, last = vmf->pgoff + nr - 1;
	struct file_ra_state *ra = fault_ra(vmf);
	struct page *found[PAGEVEC_SIZE];
	unsigned int n = 1, got, i;
	bool whole = true;

	pages[0] = vmf->page;
	get_page(vmf->page);
	while (whole && n < nr &&
	       (got = find_get_pages_range(mapping, &index, last,
					   min(nr - n, PAGEVEC_SIZE), found,
					   ANY_TAG))) {
		for (i = 0; i < got && whole; i++) {
			struct page *page = found[i];

			whole = page_index(page) == vmf->pgoff + n &&
				page_test(page, PG_uptodate);
			if (!whole)
				break;
			if (ra && page_test(page, PG_readahead))
				page_cache_async_readahead(mapping, ra, page,
						vmf->pgoff + n, 1);
			pages[n++] = page;
		}
		put_pages(found + i, got - i);
	}
	return n;
}

unsigned int count_in_arena(struct page **pages, unsigned int nr)
{
	unsigned int n = 0;

	for (unsigned int i = 0; i < nr; i++)
		n += !PageWindow(pages[i]);
	return n;
}

unsigned int fault_lock_pages(const struct vm_fault *vmf, struct page **pages,
			      unsigned int nr)
{
	unsigned int n = 0;

	lock_page(pages[0]);
	for (;;) {
		if (!page_still_there(vmf, pages[n], vmf->pgoff + n)) {
			unlock_page(pages[n]);
			break;
		}
		n++;
		if (n == nr || !trylock_page(pages[n]))
			break;
	}
	return n;
}

bool fault_charge(struct page **pages, unsigned int *nr, unsigned int *charged)
{
	*charged = count_in_arena(pages, *nr);
	if (!*charged || window_charge_or_shrink(*charged))
		return true;
	put_pages(pages + 1, *nr - 1);
	*nr = 1;
	*charged = count_in_arena(pages, 1);
	return !*charged || window_charge_or_shrink(*charged);
}

/*
 * Where its kernel maps by itself what is in the window there is no message but
 * of what was not there a moment ago; or it has been punched. Page locked.
 */
static void check_not_punched(const struct vm_fault *vmf, struct page *page)
{
	if (PageWindow(page) && !(vmf->vma->vm_flags & VM_UFFD_WP))
		window_restore_if_gone(page);
}

vm_fault_t fault_map_read(struct vm_fault *vmf, struct page **pages,
			  unsigned int nr)
{
	unsigned int wanted = nr, charged, locked, known, ready;
	vm_fault_t ret = 0;

	if (!fault_charge(pages, &nr, &charged)) {
		put_pages(pages, nr);
		return VM_FAULT_OOM;
	}
	locked = fault_lock_pages(vmf, pages, nr);
	for (unsigned int i = 0; i < locked; i++) {
		if (nr > 1 && !PageWindow(pages[i]) &&
		    !page_test(pages[i], PG_workingset))
			page_set(pages[i], PG_stream);
	}
	if (locked) {
		fault_count_soft(pages[0], &ret);
		check_not_punched(vmf, pages[0]);
	}
	known = locked - count_in_arena(pages, locked);
	ready = fault_promote(pages, locked, charged);
	if (ready) {
		if (known)	/* the client may have stored to them */
			scan_locked_pages(vmf->vma, pages, ready);
		note_readable(vmf, ready);
		fault_map_pages(vmf, pages, ready, false);
		count_vm_events(PGFAULTAROUND, ready - 1);
	}
	for (unsigned int i = 0; i < locked; i++)
		unlock_page(pages[i]);
	put_pages(pages, nr);
	around_was_short(vmf, wanted, ready);
	return ready ? ret : VM_FAULT_RETRY;
}

static vm_fault_t do_read_fault(struct vm_fault *vmf)
{
	struct page *pages[WINDOW_BATCH];
	vm_fault_t ret, more;
	unsigned int wanted, nr;

	ret = vmf->vma->vm_ops->fault(vmf);
	if (ret & (VM_FAULT_ERROR | VM_FAULT_RETRY))
		return ret;
	wanted = around_pages(vmf);
	nr = fault_gather(vmf, pages, wanted);
	around_was_short(vmf, wanted, nr);
	put_page(vmf->page);		/* fault_gather() has its own */
	more = fault_prepare(vmf, nr);
	if (more)
		put_pages(pages, nr);
	else
		more = fault_map_read(vmf, pages, nr);
	return ret | more;
}

/* ---- writing ---- */

/* Context: page locked, good, in the window, PG_kcached clear. */
static vm_fault_t grant_write(struct vm_fault *vmf)
{
	if (!fault_note_writable(vmf, 1))
		return VM_FAULT_RETRY;
	set_page_dirty(vmf->page);
	vmf->page->granted_cs = mm_centisecs();
	fault_map_pages(vmf, &vmf->page, 1, true);
	return 0;
}

/* Context: page locked. Return: 0; RETRY; OOM: there is no room for it. */
static vm_fault_t write_locked(struct vm_fault *vmf, unsigned int charged)
{
	struct page *page = vmf->page;
	vm_fault_t ret = VM_FAULT_RETRY;

	if (!page_still_there(vmf, page, vmf->pgoff) ||
	    page_test(page, PG_kcached)) {
		if (charged)
			window_uncharge(charged);
		return ret;
	}
	ret = 0;
	fault_count_soft(page, &ret);
	if (!fault_promote(&page, 1, charged))
		return charged ? VM_FAULT_OOM : VM_FAULT_RETRY;
	page_clear(page, PG_stream);
	return ret | grant_write(vmf);
}

/*
 * A write to a page the client lacks (do_shared_fault), or has read-only
 * (do_wp_page): by the time the page is locked either may have become the
 * other. Return: RETRY: nothing has happened.
 */
static vm_fault_t do_write_once(struct vm_fault *vmf)
{
	struct vm_area_struct *vma = vmf->vma;
	unsigned int charge;
	vm_fault_t ret, more;

	ret = vma->vm_ops->fault(vmf);
	if (ret & (VM_FAULT_ERROR | VM_FAULT_RETRY))
		return ret;
	more = vma->vm_ops->page_mkwrite ? vma->vm_ops->page_mkwrite(vmf) : 0;
	if (more)
		goto out;
	more = fault_prepare(vmf, 1);
	if (more)
		goto out;
	charge = !PageWindow(vmf->page);
	if (charge && !window_charge_or_shrink(1)) {
		more = VM_FAULT_OOM;
		goto out;
	}
	lock_page(vmf->page);
	more = write_locked(vmf, charge);
	unlock_page(vmf->page);
out:
	put_page(vmf->page);
	return ret | more;
}

static vm_fault_t do_write_fault(struct vm_fault *vmf)
{
	struct address_space *mapping = vmf_mapping(vmf);
	vm_fault_t ret = 0, major = 0;

	/* Before the right is given: this is the writer's pause. */
	balance_dirty_pages_ratelimited(mapping, 1);
	for (unsigned int tries = 0; tries < FAULT_TRIES; tries++) {
		ret = do_write_once(vmf);
		major |= ret & VM_FAULT_MAJOR;
		if (!(ret & VM_FAULT_RETRY) || page_past_end(mapping, vmf->pgoff))
			break;
	}
	return ret | major;
}

/* ---- the way in ---- */

static vm_fault_t handle_pte_fault(struct vm_fault *vmf)
{
	const bool write = vmf->flags & FAULT_FLAG_WRITE;
	const bool nowait = vmf->flags & FAULT_FLAG_RETRY_NOWAIT;

	if (nowait && write && (vmf->vma->vm_source ||
				!is_shmem_file(vmf->vma->vm_file)))
		return VM_FAULT_FALLBACK;
	if (is_shmem_file(vmf->vma->vm_file))
		return do_anon_fault(vmf);
	if (write)
		return do_write_fault(vmf);
	return do_read_fault(vmf);
}

static void count_fault(struct mm_struct *mm, unsigned int flags, vm_fault_t ret)
{
	bool major = (ret & VM_FAULT_MAJOR) || (flags & FAULT_FLAG_TRIED);

	count_vm_event(PGFAULT);
	atomic_fetch_add_explicit(&mm->counters[major ? MM_MAJFLT : MM_MINFLT],
				  1, memory_order_relaxed);
	if (major)
		count_vm_event(PGMAJFAULT);
	if (ret & VM_FAULT_SOFT) {
		count_vm_event(PGSOFTFAULT);
		atomic_fetch_add_explicit(&mm->counters[MM_SOFTFLT], 1,
					  memory_order_relaxed);
	}
	if (flags & FAULT_FLAG_WP) {
		count_vm_event(PGWPFAULT);
		atomic_fetch_add_explicit(&mm->counters[MM_WPFLT], 1,
					  memory_order_relaxed);
	}
	if (ret & VM_FAULT_ERROR)
		count_vm_event(PGFAULT_ERROR);
}

static enum trace_fault_kind fault_kind(unsigned int flags, vm_fault_t ret)
{
	if ((ret & VM_FAULT_MAJOR) || (flags & FAULT_FLAG_TRIED))
		return TRACE_FAULT_MAJOR;
	if (ret & VM_FAULT_SOFT)
		return TRACE_FAULT_SOFT;
	return flags & FAULT_FLAG_WP ? TRACE_FAULT_WP : TRACE_FAULT_MINOR;
}

/* One that has been answered. Context: mmap_lock, for @vma. */
static void trace_fault(const struct vm_fault *vmf, vm_fault_t ret)
{
	struct trace_fault fault = {
		.pid = (uint32_t)vmf->vma->vm_mm->pid,
		.addr = vmf->address,
		.index = vmf->pgoff,
		.kind = fault_kind(vmf->flags, ret),
		.failed = (ret & VM_FAULT_ERROR) != 0,
	};

	trace_mm_fault(vmf_mapping(vmf)->ino, &fault, vmf->began_us);
}

/* Context: mmap_lock. *@waitp: what is being read, if nobody has been woken. */
static vm_fault_t __handle_mm_fault(struct mm_struct *mm, unsigned long address,
				    unsigned int flags, uint64_t began_us,
				    struct page **waitp)
{
	struct vm_area_struct *vma = find_vma(mm, address);
	struct vm_fault vmf = { .vma = vma, .address = address & PAGE_MASK,
				.flags = flags, .began_us = began_us };
	vm_fault_t ret;

	if (!vma || vma->vm_start > address ||
	    !(vma->vm_flags & VM_ACCESS_FLAGS) ||
	    ((flags & FAULT_FLAG_WRITE) && !(vma->vm_flags & VM_WRITE)))
		return VM_FAULT_SIGSEGV;
	vmf.pgoff = linear_page_index(vma, vmf.address);
	ret = handle_pte_fault(&vmf);
	*waitp = vmf.wait_page;
	if (ret & VM_FAULT_FALLBACK)
		return ret;
	if ((ret & VM_FAULT_RETRY) && !(ret & VM_FAULT_ERROR) && !*waitp)
		fault_wake(&vmf);	/* it will come again, or see SIGBUS */
	else if (trace_enabled(mm_fault) && !*waitp && !(ret & VM_FAULT_OOM))
		trace_fault(&vmf, ret);	/* without memory it is tried again */
	return ret;
}

/* When this thread's fault began, if somebody wants to know; else 0. */
static uint64_t fault_begins(void)
{
	if (likely(!trace_enabled(mm_fault)))
		return 0;
	return trace_fault_began_us ? trace_fault_began_us : trace_clock_us();
}

static __thread bool user_fault;

bool in_user_fault(void)
{
	return user_fault;
}

static vm_fault_t lock_and_handle(struct mm_struct *mm, unsigned long address,
				  unsigned int flags, uint64_t began_us,
				  struct page **waitp)
{
	vm_fault_t ret;

	user_fault = true;
	down_read_plugged(&mm->mmap_lock);
	ret = __handle_mm_fault(mm, address, flags, began_us, waitp);
	up_read(&mm->mmap_lock);
	user_fault = false;
	return ret;
}

vm_fault_t handle_mm_fault(struct mm_struct *mm, unsigned long address,
			   unsigned int flags)
{
	uint64_t began_us = fault_begins();
	struct page *wait = NULL;
	vm_fault_t ret;

	ret = lock_and_handle(mm, address, flags, began_us, &wait);
	BUG_ON(wait);
	count_fault(mm, flags, ret);
	return ret;
}

vm_fault_t handle_mm_fault_nowait(struct mm_struct *mm, unsigned long address,
				  unsigned int flags, struct page **waitp)
{
	uint64_t began_us = fault_begins();
	vm_fault_t ret;

	*waitp = NULL;
	ret = lock_and_handle(mm, address, flags | FAULT_FLAG_RETRY_NOWAIT,
			      began_us, waitp);
	if (!*waitp && !(ret & VM_FAULT_FALLBACK))
		count_fault(mm, flags, ret);
	return ret;
}

void put_wait_page(struct page *page)
{
	window_drop_snapshot(page);	/* another fault may have promoted it */
	put_page(page);
}
