/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * mm/page.h - what the page cache's files of mm/ share: page descriptors,
 *             dirty accounting, batched lookups
 */
#ifndef PAGEFS_MM_PAGE_H
#define PAGEFS_MM_PAGE_H

#include "pagemap.h"
#include "swap.h"
#include "writeback.h"

/* ---- page.c ---- */

int page_init(void);
void page_exit(void);

unsigned int page_cache_alloc_bulk(gfp_t gfp, unsigned int nr,
				   struct page **pages);
/* The same without frames: their bytes will be in a window. */
unsigned int page_alloc_unbacked(gfp_t gfp, unsigned int nr,
				 struct page **pages);
void free_page(struct page *page);
bool get_page_unless_zero(struct page *page);
bool page_ref_freeze(struct page *page, int count);
void page_end_writeback_bit(struct page *page);
/* For qsort() of struct page *: by mapping, then index. Pages locked. */
int page_cmp(const void *a, const void *b);

static inline struct address_space *page_mapping(const struct page *page)
{
	return READ_ONCE(page->mapping);
}

static inline pgoff_t page_index(const struct page *page)
{
	return READ_ONCE(page->index);
}

/* ---- filemap.c ---- */

/* Pages one lookup brings; as Linux's PAGEVEC_SIZE, rounded to a half node. */
#define PAGEVEC_SIZE	32u

/*
 * Add pages of consecutive indices from @index on; stops at the first that is
 * taken. Pages are locked and keep the caller's reference as well.
 * Return: how many were added.
 */
unsigned int add_pages_to_page_cache(struct page **pages, unsigned int nr,
				     struct address_space *mapping,
				     pgoff_t index, gfp_t gfp);

/*
 * Referenced pages from *@indexp on, at most @nr (<= PAGEVEC_SIZE), up to
 * @last; *@indexp moves past the last one. With @tag >= 0, only those tagged.
 * Return: how many; 0 means there are no more.
 */
unsigned int find_get_pages_range(struct address_space *mapping,
				  pgoff_t *indexp, pgoff_t last,
				  unsigned int nr, struct page **pages, int tag);
#define ANY_TAG	(-1)

/* One uptodate, referenced page, read if need be; @req pages are wanted from
 * here on, for read-ahead. ERR_PTR. */
struct page *filemap_get_page(struct address_space *mapping,
			      struct file_ra_state *ra, pgoff_t index,
			      unsigned long req);

/* The same without waiting for it: it may be locked and not uptodate. Its read
 * has most likely been started here (READ_START). */
struct page *filemap_start_page(struct address_space *mapping,
				struct file_ra_state *ra, pgoff_t index);

/*
 * From its tree into another one, at @index, where nothing is; as dirty as it
 * was, on the list it was on. Context: page locked, uptodate, not in a window nor
 * under writeback; radix_tree_preload() for one. Return: 0; -EEXIST, and it
 * is where it was.
 */
int page_cache_move(struct page *page, struct address_space *to, pgoff_t index);

/* Out of the tree with tree_lock held; the tree's reference is the caller's. */
void __delete_from_page_cache(struct page *page);

/* ---- page-writeback.c ---- */

/*
 * @page is clean and under writeback, which end_page_writeback() ends; that has
 * a reference of the caller's. Context: tree_lock, page lock; dirty.
 */
void __start_writeback(struct address_space *mapping, struct page *page);

/* ---- backing-dev.c ---- */

/* @mapping is dirty from now on: onto its device's list if it is on none. */
void __mark_mapping_dirty(struct address_space *mapping, uint32_t state);
/* Off the list again if there is nothing left to do. */
void mapping_maybe_clean(struct address_space *mapping);
/*
 * A pass over the dirty mappings of a device: those dirtied at least
 * @older_than centiseconds ago, until wbc->nr_to_write is used up.
 */
void writeback_bdi(struct backing_dev_info *bdi, struct writeback_control *wbc,
		   uint32_t older_than);

/* ---- bdi.c ---- */

unsigned int nr_dirty_mappings(void);
void mm_clock_init(void);
/* Since mm_init(); milliseconds are those of the last tick. */
uint64_t mm_msecs(void);
uint64_t mm_usecs(void);

/* @nr pages of the device have gone under writeback; one has come back. */
void bdi_start_writeback(struct backing_dev_info *bdi, unsigned int nr);
void bdi_end_writeback(struct backing_dev_info *bdi, int err);
void backing_dev_update_bandwidth(struct backing_dev_info *bdi);
/* It has as much to write as it can for a while: more would only queue. */
bool bdi_queue_full(struct backing_dev_info *bdi);

/*
 * Flushers' work, a reason on a device. Wanted of every device that has dirty
 * mappings; @return: how many had not been told yet.
 */
unsigned int bdi_want_work(enum wb_reason reason);
/* Is there any that should be taken now? */
bool bdi_work_waits(void);
/* The most urgent, or NULL; the device stays until bdi_end_work(). */
struct backing_dev_info *bdi_take_work(enum wb_reason *reasonp);
void bdi_end_work(struct backing_dev_info *bdi);
/*
 * Laptop mode: wants WB_REASON_LAPTOP of the devices whose last I/O was
 * @delay_ms ago; 0 is off. Return: when the next will be due, or NEVER_MS.
 */
uint64_t bdi_laptop_due(uint64_t now_ms, uint64_t delay_ms,
			unsigned int *nrp);
#define NEVER_MS	UINT64_MAX
/* All of it has been flushed: no need for another round. */
void laptop_sync_completion(struct backing_dev_info *bdi);

/* ---- pdflush.c ---- */

/* A deadline the pool keeps may have come nearer. */
void pdflush_poke(void);

/* ---- dirty-throttle.c ---- */

bool over_background_thresh(void);
/* Writers are being held up right now. */
bool writers_wait(void);

/* @page has been read or written to: is it to stay longer for that? */
static inline void file_page_accessed(const struct address_space *mapping,
				      struct page *page)
{
	if (likely(!mapping_advised(mapping, AS_NOREUSE)))
		mark_page_accessed(page);
}

#endif /* PAGEFS_MM_PAGE_H */
