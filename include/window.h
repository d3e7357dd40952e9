/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * window.h - where the pages are that clients can touch: mm/window.c,
 *            mm/window_io.c, mm/window_scan.c, mm/balloon.c, mm/rmap.c,
 *            mm/demote.c
 *
 *        arena frame  --promote: fill, PG_window-->  window (a memfd whose
 *       (page->pfn)   <--demote: protect, read, ---   offsets are the file's)
 *                        punch
 *
 * A file that is mapped has a window: a memfd every client of the file maps.
 * A page with PG_window has its bytes there and nowhere else; its pfn is
 * PFN_NONE, or a snapshot for writeback in flight and for readers who came
 * before the move. Only the page lock's holder moves a page. The memfd is
 * never mapped here: a read of a hole through a mapping would plant a page of
 * zeros that all clients see.
 *
 * Memory: a window page is charged before it is filled, and for each one a
 * frame of the arena has been given back to the kernel (the balloon), so that
 * both together stay within --memory.
 *
 * Source: the two places of a page are a two-list LRU with real references:
 *         active = in the window, inactive = in the arena.
 */
#ifndef PAGEFS_WINDOW_H
#define PAGEFS_WINDOW_H

#include "mmap.h"

#define WINDOW_CHUNK_PAGES	512u	/* armed at once: a page table's 2 MiB */

/*
 * Fields: (A) atomic; (C) constant; (W) lock; or the name of the lock.
 */
struct window {
	struct address_space *mapping;	/* (C) */
	struct mutex lock;		/* LOCK_WINDOW: size, arming, scanning */
	int fd;				/* (C) read and write */
	int ro_fd;			/* (C) the same file, opened read-only */
	loff_t size;			/* (W) the memfd's: i_size in whole pages */
	struct radix_tree_root armed;	/* (W) chunks that ever had a page */
	atomic_ulong nr_pages;		/* (A) charged */
	atomic_bool recheck;		/* (A) some page may have PG_recheck */
	/* window_scan.c's: stores that raise no fault. */
	atomic_ulong nr_async;		/* (A) VMAs with VM_UFFD_ASYNC */
	atomic_bool stored;		/* (A) some were found: to be told a_ops */
	struct rw_semaphore demote_sem;	/* LOCK_WINDOW_DEMOTE; read: a page is
					 * on its way out */
	struct list_head async_link;	/* scan.lock: on its list, or empty */
	unsigned int scan_round;	/* scan.lock: of the last scan of all */
	/* Who maps the file; here, as most files are mapped by nobody. */
	struct rw_semaphore i_mmap_lock;
	struct rb_root i_mmap;		/* i_mmap_lock: VMAs, by pgoff */
	atomic_ulong nr_vmas;		/* (A) of them; rises before, and */
	atomic_ulong i_mmap_writable;	/* (A) may be written through */
};

static inline bool PageWindow(const struct page *page)
{
	return page_test(page, PG_window);
}

/*
 * The mapping's window, made if there is none; it stays until
 * address_space_destroy(). Return: it, or ERR_PTR(-EMFILE, -ENOMEM, ...;
 * -EOPNOTSUPP: the kernel makes memfds of huge pages, shmem_enabled).
 * Context: may sleep; invalidate_lock must not be held.
 */
struct window *mapping_window(struct address_space *mapping);

/* Of a mapping that has one: any that has a VMA. */
static inline struct window *mapping_win(const struct address_space *mapping)
{
	return atomic_load_explicit(&((struct address_space *)mapping)->window,
				    memory_order_acquire);
}

/* VMAs that map it, and those of them it may be written through. Without
 * i_mmap_lock: they rise before the first access. */
static inline unsigned long mapping_nr_vmas(const struct address_space *mapping)
{
	struct window *w = mapping_win(mapping);

	return w ? atomic_load(&w->nr_vmas) : 0;
}
static inline unsigned long
mapping_nr_writable(const struct address_space *mapping)
{
	struct window *w = mapping_win(mapping);

	return w ? atomic_load(&w->i_mmap_writable) : 0;
}
static inline bool mapping_mapped(const struct address_space *mapping)
{
	return mapping_nr_vmas(mapping);
}
static inline bool mapping_writably_mapped(const struct address_space *mapping)
{
	return mapping_nr_writable(mapping);
}

/* ---- mm/window_scan.c: stores that raise no fault ---- */

/* May clients store without a fault? Rises before the first can. */
static inline bool mapping_async(const struct address_space *mapping)
{
	struct window *w = mapping_win(mapping);

	return w && atomic_load(&w->nr_async);
}

/*
 * What clients have stored to in pages [@first, @last] until now is dirty when
 * this returns. Context: may sleep, no page lock.
 */
void window_scan(struct address_space *mapping, pgoff_t first, pgoff_t last);
/* All there are, of all files: before all that is dirty is written. */
void window_scan_all(void);

/* ---- mm/window_io.c: bytes of a page, wherever they are ---- */

/*
 * Read, write or zero bytes [@from, @from + @len) of the page.
 * Context: page locked. Return: 0 or -EIO (the kernel has no memory for it).
 */
int page_read_bytes(struct page *page, size_t from, void *buf, size_t len);
int page_write_bytes(struct page *page, size_t from, const void *buf, size_t len);
int page_zero_bytes(struct page *page, size_t from, size_t len);

/**
 * page_hold_bytes - the page's bytes at an address in the arena
 * @page:    referenced, uptodate, not locked by the caller
 * @kcached: they go where copies are kept (the kernel's cache of our mount):
 *           clients lose the right to write, and PG_kcached is set, so that
 *           the next to get it has the copies dropped first
 * @pfnp:    the frame they are in until page_release_bytes()
 * Return: 0, -ENOMEM, -EIO.
 */
int page_hold_bytes(struct page *page, bool kcached, pfn_t *pfnp);
void page_release_bytes(struct page *page, pfn_t pfn);

/* ---- mm/rmap.c ---- */

/*
 * No client may write to the pages any more; their next write is a fault.
 * @pages: locked, of consecutive indices of one mapping.
 * Return: 0, or -EAGAIN when a client could not be stopped: then treat the
 * pages as being written to.
 */
int page_mkclean(struct page **pages, unsigned int nr);
/*
 * The ptes of the pages go, and no client may write to them any more: they are
 * about to leave the window. Locked, consecutive. Return: as page_mkclean().
 */
int try_to_unmap(struct page **pages, unsigned int nr);
/* Does a VMA with VM_LOCKED cover the page? Locked. */
bool page_is_mlocked(struct page *page);
/* All ptes of the range of file pages go: truncate. */
void unmap_mapping_range(struct address_space *mapping, pgoff_t first,
			 pgoff_t last);

/* ---- reclaim: mm/balloon.c, mm/demote.c ---- */

/* Pages in windows, and how many there may be. */
unsigned long nr_window_pages(void);
unsigned long window_limit(void);

/*
 * Pages from the tail of the window's LRU go back to the arena, or away, until
 * @nr have left. Context: as direct reclaim. Return: how many.
 */
unsigned long shrink_windows(unsigned long nr, bool hard);

/* Every page of the mapping leaves its window. Return: how many stayed. */
unsigned long window_demote_all(struct address_space *mapping);

/* Those that no client has been given to write to within the last second. */
void window_demote_idle(struct address_space *mapping);

/*
 * Nobody maps the file any more: its pages are the first to be demoted, a few at
 * once. Context: no locks.
 */
void window_idle(struct address_space *mapping);
/* Pages of the range are the next to be demoted. */
void window_deactivate_range(struct address_space *mapping, pgoff_t first,
			     pgoff_t last);
/* Pages of the range are in VMAs with VM_LOCKED now. */
void window_mlock_range(struct address_space *mapping, pgoff_t first,
			pgoff_t last);

/* ---- clients: mm/window.c ---- */

/*
 * @vma's MMU knows [@start, @end) now: arm what of the file has ever been in
 * its window. Context: mmap_lock. Return: 0 or -EAGAIN.
 */
int window_arm_vma(struct vm_area_struct *vma, unsigned long start,
		   unsigned long end);
/*
 * A client has called madvise(MADV_DONTNEED or MADV_REMOVE) behind our back:
 * pages it has punched out of the window are zeros now, and dirty.
 */
void window_remove_event(struct mm_struct *mm, unsigned long start,
			 unsigned long end);
/*
 * A client has moved a mapping to [@start, @end) behind our back, and it has been
 * armed there since: until then its stores may have gone unnoticed.
 */
void window_moved(struct mm_struct *mm, unsigned long start, unsigned long end);

#endif /* PAGEFS_WINDOW_H */
