/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * mm/window_i.h - what the files about windows, faults and rights share
 */
#ifndef PAGEFS_MM_WINDOW_I_H
#define PAGEFS_MM_WINDOW_I_H

#include "window.h"

/* Pages filled, moved, mapped or demoted together: 512 KiB. Measured: a page
 * costs 4 us alone and 1.2 in runs of 64, and a sequential reader 3.2 us a page
 * with 64 at most a fault, 2.9 with 128. */
#define WINDOW_BATCH	128u

/* ---- balloon.c ---- */

/*
 * Room for @nr more pages in windows. False: the windows are at their limit, or
 * the arena has no frames to give back. Context: as alloc_frames(GFP_USER).
 */
bool window_charge(unsigned long nr);
void window_uncharge(unsigned long nr);
/* Frames the windows do not need any more become the arena's again. */
void balloon_trim(void);
/* All but @slack of them, at once. Return: how many. */
unsigned long balloon_give(unsigned long slack);
void balloon_exit(void);

/* ---- window.c ---- */

static inline struct window *page_window(const struct page *page)
{
	return atomic_load_explicit(&page->mapping->window,
				    memory_order_acquire);
}

/* The memfd follows i_size. Context: anything but window->lock. */
void window_resize(struct address_space *mapping);
/*
 * Arms the chunk of page @index in every client before its first page comes.
 * Context: no locks from LOCK_RENAME down. Return: 0, -ENOMEM, -EAGAIN.
 */
int window_arm_chunk(struct address_space *mapping, pgoff_t index);
/*
 * Clients may lack markers for pages of the range, which are about to leave the
 * window: their chunks are armed anew before the next page comes. Context:
 * invalidate_lock for writing, so that none comes before this is known.
 */
void window_disarm(struct address_space *mapping, pgoff_t first, pgoff_t last);
/*
 * The pages' bytes go from their frames into the window; the frames are free.
 * @pages: locked, uptodate, consecutive, not in the window, charged, armed.
 * Return: how many, from the first on; less if the kernel has no memory for more.
 */
unsigned int promote_pages(struct page **pages, unsigned int nr);
/*
 * The same for pages without frames, which become zeros there; not yet uptodate.
 */
unsigned int window_zero_pages(struct page **pages, unsigned int nr);
void window_punch(struct address_space *mapping, pgoff_t index, pgoff_t nr);
void window_destroy(struct address_space *mapping);
/* A page leaves the window and then the cache: it has no bytes until it is
 * freed. Page locked; the memfd is the caller's to punch, and what was charged to
 * be given back after that. */
void window_forget_page(struct page *page);
/*
 * If the page's memory is not there: it was punched behind our back, and is zeros.
 * Context: page locked, in the window.
 */
void window_restore_if_gone(struct page *page);

/* ---- window_io.c ---- */

/*
 * The bytes of consecutive pages, from their frames into the window; from the
 * window into @pfns. Context: pages locked. Return: how many there are whole,
 * from the first on; 0 or -errno.
 */
unsigned int window_write_frames(struct page **pages, unsigned int nr);
unsigned int window_write_zeros(struct page **pages, unsigned int nr);
int window_read_frames(struct page **pages, unsigned int nr, const pfn_t *pfns);
/*
 * The same, and out of the window, where clients may be storing to them: all they
 * do until they cannot is in @pfns. Return: 0; -errno: nothing has changed.
 */
int window_take_frames(struct page **pages, unsigned int nr, const pfn_t *pfns);
/* At most so many; fewer than WINDOW_BATCH where pipes may not be long. */
unsigned int window_take_max(void);
void window_io_exit(void);

/*
 * For writeback: frames with the pages' bytes, write-protected first. Those
 * in the arena need none. @pages: locked, consecutive. *@unstoppable: some
 * client may go on writing, so that the pages stay dirty. Return: how many
 * are ready, from the first on; fewer when memory is short.
 */
unsigned int window_snapshot(struct page **pages, unsigned int nr,
			     bool *unstoppable);
/* The snapshot, if there is one and nobody can be using it. */
void page_drop_snapshot(struct page *page, int refs);

/*
 * Memory of a client that is pinned, for a device or for the copy of read(2), may
 * be written to without a fault, after the right to write was taken away. For a
 * second after that right was given a page that is written back may so have
 * changed unseen, and is dirtied once more.
 */
bool granted_lately(const struct page *page);
/* Context: page locked, in the window, on its way to the store. */
void window_note_recheck(struct page *page);
/* Pages to be written again become dirty: all, or those whose second is over. */
void window_redirty(struct address_space *mapping, bool all);
bool window_wants_recheck(struct address_space *mapping);

/* ---- window_scan.c ---- */

/* A VMA with VM_UFFD_ASYNC is there (before any access), or gone. */
void window_async_add(struct window *w);
void window_async_del(struct window *w);
/* May there be stores to it that are not dirty yet? */
bool window_wants_scan(struct address_space *mapping);
/* What is demoted has been looked at: nobody has become able to store unseen. */
void window_wait_demotions(struct window *w);
/*
 * What has been stored through [@start, @end) of @vma is dirty, or about to be:
 * it is unmapped, or mapped ahead. Context: mmap_lock, no page lock.
 */
void window_scan_vma(struct vm_area_struct *vma, unsigned long start,
		     unsigned long end);
/*
 * The same for pages that are locked: those stored to are dirty, and granted.
 * Context: i_mmap_lock or mmap_lock. Return: 0, or -EAGAIN: they may be stored to
 * unseen.
 */
int scan_locked_pages(struct vm_area_struct *vma, struct page **pages,
		      unsigned int nr);
int window_scan_start(void);
void window_scan_stop(void);

/* ---- fault_around.c ---- */

/* How many pages from vmf->pgoff on a read fault is to bring; >= 1, in one chunk
 * and one VMA. It is remembered: to be asked once a fault. */
unsigned int around_pages(const struct vm_fault *vmf);
/* The fault brought @nr pages, fewer than the @wanted it was to. */
void around_was_short(const struct vm_fault *vmf, unsigned int wanted,
		      unsigned int nr);

/* ---- demote_move.c ---- */

/* One attempt to make room. */
struct demote_control {
	bool hard;			/* nothing else is left */
	bool drop;			/* only what is clean, and from the arena, too */
	bool nomem;			/* out: the arena has no frames for them */
	unsigned long gone;		/* out: pages that left */
	unsigned int kept, dropped;	/* out: of the last batch */
};

/*
 * Bytes nobody will ask for again need no copy: from here on nobody can find the
 * page either, until demote_pages() has dropped it or given it back. Context:
 * page locked, isolated, our reference.
 */
bool demote_freeze(struct page *page);
/* @pages: locked, isolated, referenced; all are given back. */
void demote_pages(struct page **pages, unsigned int nr,
		  struct demote_control *dc);
/* An isolated page stays; with the reference. */
void demote_putback(struct page *page);

/* ---- demote.c ---- */

/*
 * A page that came into the window while others had it keeps its frame, for they
 * may be reading that. When they are done nobody knows: so whoever puts a page it
 * had for long, and reclaim when there is nothing else, look again.
 * Context: any locks, page locks too; the first: a reference. Return: is it
 * free now; how many are, at most WINDOW_BATCH.
 */
bool window_drop_snapshot(struct page *page);
unsigned long window_drop_snapshots(void);

/* By kswapd: pages of files that nobody maps, at most @nr. Return: how many. */
unsigned long shrink_idle_windows(unsigned long nr);
/* mm/memory.c: does this thread answer a client's fault? */
bool in_user_fault(void);
/*
 * The arena has nothing that may go, as with memory without a file and no swap
 * left: it gets the frames windows do not use, or those of clean pages there. For
 * kswapd and for faults: who serves a read(2) must not wait for a client, whose
 * kernel may wait for that read. Context: as try_to_free_pages(). Return: frames
 * the arena has got.
 */
unsigned long windows_last_resort(void);

/* ---- window_room.c ---- */

/* @nr pages of @mapping are read again that were here lately. */
void window_note_refaults(const struct address_space *mapping, unsigned int nr);
/* By kswapd, when a zone is short: what others have more use for. */
void windows_give(void);
/* More pages in windows than kswapd wants to leave there. */
bool windows_over(void);
/* By kswapd: until there is room again. */
void balance_windows(void);
/* Room for @nr pages, by demoting others if it must be. False: none. */
bool window_charge_or_shrink(unsigned long nr);

/* ---- swap.c ---- */

/* @page's list is another from now on: PG_window changes. Page locked. The
 * third takes it off its list, if it is on one. */
void lru_set_window(struct page *page);
void lru_unset_window(struct page *page);
void lru_clear_window(struct page *page);
/* An isolated page goes to the list its flags say. */
void lru_putback(struct page *page);
/* Where it was taken from, and not first in line to stay. */
void lru_putback_tail(struct page *page);

#endif /* PAGEFS_MM_WINDOW_I_H */
