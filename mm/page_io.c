// SPDX-License-Identifier: BSD-2-Clause
/*
 * mm/page_io.c - pages to and from swap areas
 *
 *   swap_rw --> dev->ops->rw ~~> swap_end_io --> the caller's end_io
 *      |                              |
 *      +-- inflight + nr ... - 1 a page, when its end_io has returned
 *
 * I1. A device is not closed while a page is on its way: swap_off() waits here.
 *
 * Locks:  si->lock, for who waits alone.
 * Source: Linux mm/page_io.c. Differs: what failed is counted here, and is for
 *         the caller to mend.
 */
#include "swapfile_i.h"
#include "vmstat.h"

void swap_rw(swp_entry_t entry, enum swap_dir dir, struct page **pages,
	     unsigned int nr, enum read_mode mode,
	     void (*end_io)(struct page *page, int err))
{
	struct swap_info_struct *si = swap_entry_area(entry);
	struct swap_device *dev = si->dev;

	BUG_ON(!dev || swp_offset(entry) + nr > si->max);
	atomic_fetch_add(&si->inflight, nr);
	dev->ops->rw(dev, dir, pages, nr,
		     (loff_t)(swp_offset(entry) << PAGE_SHIFT), mode, end_io);
}

static void count_swap_io(struct swap_info_struct *si, enum swap_dir dir, int err)
{
	const memory_order relaxed = memory_order_relaxed;

	if (err) {
		count_vm_event(PSWPERR);
		atomic_fetch_add_explicit(&si->nr_errors, 1, relaxed);
	} else if (dir == SWAP_READ) {
		count_vm_event(PSWPIN);
		atomic_fetch_add_explicit(&si->nr_read, 1, relaxed);
	} else {
		count_vm_event(PSWPOUT);
		atomic_fetch_add_explicit(&si->nr_written, 1, relaxed);
	}
}

void swap_end_io(struct swap_device *dev, enum swap_dir dir, struct page *page,
		 int err, void (*end_io)(struct page *page, int err))
{
	struct swap_info_struct *si = dev->si;

	count_swap_io(si, dir, err);
	end_io(page, err);
	/* pairs with swap_wait_idle(): one of the two sees the other's store */
	if (atomic_fetch_sub(&si->inflight, 1) > 1 ||
	    !atomic_load(&si->waited_for))
		return;
	mutex_lock(&si->lock);
	pthread_cond_broadcast(&si->idle);
	mutex_unlock(&si->lock);
}

void swap_wait_idle(struct swap_info_struct *si)
{
	blk_flush_plug();	/* some may be our own */
	thread_will_block();
	mutex_lock(&si->lock);
	atomic_store(&si->waited_for, true);
	while (atomic_load(&si->inflight))
		pthread_cond_wait(&si->idle, &si->lock.m);
	atomic_store(&si->waited_for, false);
	mutex_unlock(&si->lock);
}
