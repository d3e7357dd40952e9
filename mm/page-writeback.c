// SPDX-License-Identifier: BSD-2-Clause
/*
 * mm/page-writeback.c - dirty pages: counting them and writing them
 *
 *             set_page_dirty          start_writeback        end_page_writeback
 *   clean ------------------> dirty ------------------> writeback ---------> clean
 *                               ^                           |  |
 *                               +---- written to meanwhile -+  |
 *                               +---- the I/O failed ----------+
 *
 * I1. PG_dirty <=> TAG_DIRTY <=> counted in nrdirty and, but for memory without a
 *     file, NR_FILE_DIRTY; all change together under tree_lock. PG_writeback is set like that too, but
 *     cleared last, after tag and counts: it is what keeps page and mapping.
 * I2. A page that could not be written is dirty again: it is never dropped
 *     silently. The error is kept in wb_err for fsync to report.
 * I3. A run of pages is written with none of them locked; a flusher that must
 *     wait for a page lock holds no other, and has submitted its run.
 * I4. WB_SYNC_ALL writes the pages dirty when it began (TOWRITE), so it ends
 *     even while a writer goes on.
 *
 * Locks:  page locks in index order > tree_lock.
 * Source: Linux mm/page-writeback.c (write_cache_pages); what that has of
 *         limits and pacing is in dirty-throttle.c.
 */
#include <errno.h>
#include <limits.h>

#include "internal.h"
#include "page.h"
#include "shmem_i.h"
#include "swap.h"
#include "trace.h"
#include "vmstat.h"
#include "window_i.h"

/* ---- dirtying ---- */

/* I1: PG_dirty has just been set. Context: tree_lock. */
static void account_page_dirtied(struct address_space *mapping,
				 struct page *page)
{
	lockdep_assert_held(&mapping->tree_lock);
	page->dirtied_cs = mm_centisecs();
	radix_tree_tag_set(&mapping->i_pages, page->index, PAGECACHE_TAG_DIRTY);
	WRITE_ONCE(mapping->nrdirty, mapping->nrdirty + 1);
	if (!mapping->swap_backed)
		mod_vm_stat(NR_FILE_DIRTY, 1);
}

/*
 * The page's slot does not hold what it has, if it has one. Context: tree_lock;
 * what is returned is given to free_swap_and_cache() without.
 */
static swp_entry_t forget_slot(struct page *page)
{
	return page->mapping->swap_backed ? __shmem_page_dirtied(page) :
					    (swp_entry_t){ 0 };
}

bool set_page_dirty(struct page *page)
{
	struct address_space *mapping = page_mapping(page);
	swp_entry_t entry;

	if (page_test(page, PG_dirty))
		return false;
	mutex_lock(&mapping->tree_lock);
	if (page_test_set(page, PG_dirty)) {
		mutex_unlock(&mapping->tree_lock);
		return false;
	}
	account_page_dirtied(mapping, page);
	entry = forget_slot(page);
	mutex_unlock(&mapping->tree_lock);
	if (!swp_none(entry))
		free_swap_and_cache(entry, SWAP_FREE_TRY);
	if (mapping->swap_backed)
		return true;
	count_vm_event(PGDIRTIED);
	trace_writeback_dirty_page(mapping->ino, page->index);
	__mark_mapping_dirty(mapping, 0);
	return true;
}

/* Context: tree_lock. */
static void __clear_page_dirty(struct address_space *mapping, struct page *page)
{
	page_clear(page, PG_dirty);
	page->dirtied_cs = 0;
	radix_tree_tag_clear(&mapping->i_pages, page->index, PAGECACHE_TAG_DIRTY);
	WRITE_ONCE(mapping->nrdirty, mapping->nrdirty - 1);
	if (!mapping->swap_backed)
		mod_vm_stat(NR_FILE_DIRTY, -1);
}

void cancel_dirty_page(struct page *page)
{
	struct address_space *mapping = page_mapping(page);

	if (!page_test(page, PG_dirty))
		return;
	mutex_lock(&mapping->tree_lock);
	if (page_test(page, PG_dirty))
		__clear_page_dirty(mapping, page);
	mutex_unlock(&mapping->tree_lock);
}

/* ---- writing ---- */

/* Kept until fsync has told each open file. */
static void mapping_set_error(struct address_space *mapping, int err)
{
	errseq_set(&mapping->wb_err, err);
	atomic_store(&mapping->last_wb_error, err);
	atomic_fetch_add(&mapping->nr_wb_errors, 1);
}

/* Pages of consecutive indices, locked and dirty, waiting to go together. */
struct wb_run {
	struct address_space *mapping;
	struct writeback_control *wbc;
	unsigned int tries;	/* used of SNAPSHOT_TRIES, by the whole pass */
	unsigned int nr;
	struct page *pages[MAX_RUN_PAGES];
};

void __start_writeback(struct address_space *mapping, struct page *page)
{
	__clear_page_dirty(mapping, page);
	page_set(page, PG_writeback);
	radix_tree_tag_set(&mapping->i_pages, page->index,
			   PAGECACHE_TAG_WRITEBACK);
	radix_tree_tag_clear(&mapping->i_pages, page->index,
			     PAGECACHE_TAG_TOWRITE);
	WRITE_ONCE(mapping->nrwriteback, mapping->nrwriteback + 1);
	mod_vm_stat(NR_WRITEBACK, 1);
}

/* Counters of reasons come in the reasons' order. */
_Static_assert(WB_LAPTOP - WB_BACKGROUND == WB_REASON_LAPTOP &&
	       WB_LAPTOP_RUNS - WB_BACKGROUND_RUNS == WB_REASON_LAPTOP &&
	       WB_REASON_LAPTOP + 1 == NR_WB_REASONS, "reasons out of order");

const char *wb_reason_name(enum wb_reason reason)
{
	static const char *const names[NR_WB_REASONS] = {
		[WB_REASON_BACKGROUND]	= "background",
		[WB_REASON_PERIODIC]	= "periodic",
		[WB_REASON_SYNC]	= "sync",
		[WB_REASON_RECLAIM]	= "reclaim",
		[WB_REASON_THROTTLED]	= "throttled",
		[WB_REASON_LAPTOP]	= "laptop",
	};

	return names[reason];
}

/* What clients may have stored after the snapshot is not lost. */
static void redirty_window_pages(struct page **pages, unsigned int nr)
{
	for (unsigned int i = 0; i < nr; i++)
		if (PageWindow(pages[i]))
			set_page_dirty(pages[i]);
}

/*
 * How long the oldest of the pages has been dirty: a stamp counts 10 ms. Their
 * stamps are ours, as they are locked and dirty.
 */
static uint32_t oldest_age_ms(struct page **pages, unsigned int nr)
{
	uint32_t now = mm_centisecs(), oldest = 0;

	if (!trace_enabled(writeback_pages))
		return TRACE_UNKNOWN;
	for (unsigned int i = 0; i < nr; i++)
		oldest = max(oldest, now - READ_ONCE(pages[i]->dirtied_cs));
	return (uint32_t)min_t(uint64_t, oldest * 10ull, TRACE_UNKNOWN - 1);
}

/* The run's first @nr pages, which have what is written in their frames. */
static void start_run(struct wb_run *run, unsigned int nr, bool unstoppable)
{
	struct address_space *mapping = run->mapping;

	for (unsigned int i = 0; i < nr; i++)
		if (PageWindow(run->pages[i]))
			window_note_recheck(run->pages[i]);
	bdi_start_writeback(mapping->bdi, nr);
	run->wbc->age_ms = oldest_age_ms(run->pages, nr);
	mutex_lock(&mapping->tree_lock);
	for (unsigned int i = 0; i < nr; i++)
		__start_writeback(mapping, run->pages[i]);
	mutex_unlock(&mapping->tree_lock);
	if (unlikely(unstoppable))
		redirty_window_pages(run->pages, nr);
	/* The references we hold become end_page_writeback()'s. */
	for (unsigned int i = 0; i < nr; i++)
		unlock_page(run->pages[i]);
	count_vm_events(WB_BACKGROUND + run->wbc->reason, nr);
	run->wbc->nr_to_write -= nr;
	run->wbc->pages_written += nr;
	mapping->a_ops->writepages(mapping, run->pages, nr, run->wbc);
	/* Nobody waits for these pages; an fsync that comes now waits for what
	 * is queued before its own. */
	if (run->wbc->sync_mode == WB_SYNC_NONE && bdi_queue_full(mapping->bdi))
		blk_flush_plug();
}

/*
 * Each with a round of reclaim. While others' pages are on their way to the disk
 * their frames will be free again, and no try is counted. When they are used up a
 * page gets one, or a pass over many would take hours.
 */
#define SNAPSHOT_TRIES	64u

/*
 * A page there was no memory to take a snapshot of; unlocked, referenced. It
 * comes when I/O ends that has snapshots, or from reclaim. A sync pass may not
 * leave the page out: if it has to, that is an error of the file's (I2).
 */
static void write_when_memory(struct wb_run *run, struct page *page)
{
	bool unstoppable;

	do {
		blk_flush_plug();
		try_to_free_pages(GFP_USER, 0, ZONE_MOVABLE);
		lock_page(page);
		if (page_test(page, PG_writeback) && page_test(page, PG_dirty))
			wait_on_page_writeback(page);
		if (page_mapping(page) != run->mapping ||
		    !page_test(page, PG_dirty) || page_test(page, PG_writeback))
			goto out_unlock;
		if (window_snapshot(&page, 1, &unstoppable)) {
			run->pages[0] = page;
			start_run(run, 1, unstoppable);
			return;
		}
		unlock_page(page);
		run->tries += !vm_stat_read(NR_WRITEBACK);
	} while (run->tries < SNAPSHOT_TRIES);
	mapping_set_error(run->mapping, -ENOMEM);
	put_page(page);
	return;

out_unlock:
	unlock_page(page);
	put_page(page);
}

/*
 * Pages in a window are written from a snapshot, so that their clients never
 * wait for the disk.
 */
static void submit_run(struct wb_run *run)
{
	struct page *left[MAX_RUN_PAGES];
	unsigned int nr, nr_left = 0;
	bool unstoppable;

	if (!run->nr)
		return;
	nr = window_snapshot(run->pages, run->nr, &unstoppable);
	for (unsigned int i = nr; i < run->nr; i++) {
		unlock_page(run->pages[i]);
		if (run->wbc->sync_mode == WB_SYNC_ALL)
			left[nr_left++] = run->pages[i];
		else
			put_page(run->pages[i]);
	}
	run->nr = 0;
	if (nr)
		start_run(run, nr, unstoppable);
	for (unsigned int i = 0; i < nr_left; i++)
		write_when_memory(run, left[i]);
}

/* Locks @page; what is gathered is submitted before it sleeps for it (I3). */
static void run_lock_page(struct wb_run *run, struct page *page)
{
	if (trylock_page(page))
		return;
	submit_run(run);
	lock_page(page);
}

static bool run_continues(const struct wb_run *run, pgoff_t index)
{
	return run->nr && run->nr < MAX_RUN_PAGES &&
	       run->pages[run->nr - 1]->index + 1 == index;
}

/* Consumes the reference on @page. */
static void run_add_page(struct wb_run *run, struct page *page)
{
	if (!run_continues(run, page_index(page)))
		submit_run(run);
	run_lock_page(run, page);
	if (page_test(page, PG_writeback) && page_test(page, PG_dirty) &&
	    run->wbc->sync_mode == WB_SYNC_ALL) {
		/* Dirtied again since that I/O began: it does not cover us. */
		submit_run(run);
		wait_on_page_writeback(page);
	}
	if (page_mapping(page) != run->mapping || !page_test(page, PG_dirty) ||
	    page_test(page, PG_writeback)) {
		unlock_page(page);
		put_page(page);
		return;
	}
	run->pages[run->nr++] = page;
}

/* The range of a pass in pages. */
static void wb_range(const struct address_space *mapping,
		     const struct writeback_control *wbc,
		     pgoff_t *first, pgoff_t *last)
{
	*first = wbc->range_start >> PAGE_SHIFT;
	*last = wbc->range_end >> PAGE_SHIFT;
	if (wbc->range_cyclic) {
		*first = mapping->writeback_index;
		*last = LLONG_MAX >> PAGE_SHIFT;
	}
}

#define TAG_BATCH	4096UL	/* as Linux: tree_lock is dropped after so many */

static void tag_pages_for_writeback(struct address_space *mapping,
				    pgoff_t first, pgoff_t last)
{
	unsigned long tagged;

	do {
		mutex_lock(&mapping->tree_lock);
		tagged = radix_tree_range_tag_if_tagged(&mapping->i_pages,
				&first, last, TAG_BATCH, PAGECACHE_TAG_DIRTY,
				PAGECACHE_TAG_TOWRITE);
		mutex_unlock(&mapping->tree_lock);
	} while (tagged >= TAG_BATCH && first <= last && first);
}

/* Return: the index to go on from. */
static pgoff_t write_cache_pages(struct wb_run *run, pgoff_t first,
				 pgoff_t last, int tag)
{
	struct writeback_control *wbc = run->wbc;
	struct page *pages[PAGEVEC_SIZE];
	unsigned int nr, i;

	while ((nr = find_get_pages_range(run->mapping, &first, last,
					  PAGEVEC_SIZE, pages, tag))) {
		for (i = 0; i < nr; i++)
			run_add_page(run, pages[i]);
		if (wbc->nr_to_write <= (long)run->nr)
			break;
	}
	submit_run(run);
	return first;
}

int do_writepages(struct address_space *mapping, struct writeback_control *wbc)
{
	struct wb_run run = { .mapping = mapping, .wbc = wbc };
	pgoff_t first, last, next;
	int tag = PAGECACHE_TAG_DIRTY;

	if (wbc->reason == WB_REASON_SYNC)	/* others need not know all */
		window_scan(mapping, wbc->range_start >> PAGE_SHIFT,
			    wbc->range_end >> PAGE_SHIFT);
	window_redirty(mapping, wbc->sync_mode == WB_SYNC_ALL);
	wb_range(mapping, wbc, &first, &last);
	if (wbc->sync_mode == WB_SYNC_ALL) {
		tag_pages_for_writeback(mapping, first, last);
		tag = PAGECACHE_TAG_TOWRITE;
	}
	next = write_cache_pages(&run, first, last, tag);
	if (!wbc->range_cyclic)
		return 0;
	if (wbc->nr_to_write > 0 && first)
		next = write_cache_pages(&run, 0, first - 1, tag);
	mapping->writeback_index = wbc->nr_to_write > 0 ? 0 : next;
	return 0;
}

/* ---- the end of a write ---- */

static void count_writeback_end(struct backing_dev_info *bdi, int err)
{
	mod_vm_stat(NR_WRITEBACK, -1);
	bdi_end_writeback(bdi, err);
	if (err) {
		count_vm_event(PGWRITE_ERROR);
	} else {
		count_vm_event(PGWRITTEN);
		count_vm_events(PGPGOUT, PAGE_SIZE / 1024);
	}
}

void end_page_writeback(struct page *page, int err)
{
	struct address_space *mapping = page_mapping(page);
	struct backing_dev_info *bdi = mapping->bdi;
	swp_entry_t entry = { 0 };
	bool idle, dirtied;

	if (err)
		mapping_set_error(mapping, err);
	mutex_lock(&mapping->tree_lock);
	/* I2; it may have been written to meanwhile. */
	dirtied = err && !page_test_set(page, PG_dirty);
	if (dirtied)
		account_page_dirtied(mapping, page);
	radix_tree_tag_clear(&mapping->i_pages, page->index,
			     PAGECACHE_TAG_WRITEBACK);
	WRITE_ONCE(mapping->nrwriteback, mapping->nrwriteback - 1);
	idle = !mapping->nrwriteback && !mapping->nrdirty;
	if (page_test(page, PG_dirty))
		entry = forget_slot(page);
	mutex_unlock(&mapping->tree_lock);
	if (!swp_none(entry))
		free_swap_and_cache(entry, SWAP_FREE_TRY);
	count_writeback_end(bdi, err);
	if (mapping->swap_backed)
		goto out;	/* on no list, in no trace */
	if (dirtied)
		trace_writeback_dirty_page(mapping->ino, page->index);
	if (err)
		__mark_mapping_dirty(mapping, 0);
	else if (idle)
		mapping_maybe_clean(mapping);
out:
	if (PageWindow(page))
		page_drop_snapshot(page, 2);
	else if (!err && page_test_clear(page, PG_reclaim))
		rotate_reclaimable_page(page);
	/* From here on the page can be truncated, and the mapping freed. */
	page_end_writeback_bit(page);
	put_page(page);
	reclaim_progress();
}

void filemap_fdatawait_range(struct address_space *mapping, loff_t lstart,
			     loff_t lend)
{
	pgoff_t index = lstart >> PAGE_SHIFT, last = lend >> PAGE_SHIFT;
	struct page *pages[PAGEVEC_SIZE];
	unsigned int nr;

	blk_flush_plug();
	while ((nr = find_get_pages_range(mapping, &index, last, PAGEVEC_SIZE,
					  pages, PAGECACHE_TAG_WRITEBACK))) {
		for (unsigned int i = 0; i < nr; i++) {
			wait_on_page_writeback(pages[i]);
			put_page(pages[i]);
		}
	}
}

/*
 * A page on its way from dirty to writeback is counted as neither and has no
 * tag for an instant, inside tree_lock. Who finds nothing dirty here will find
 * what a flusher has just taken under its tag, and wait for it.
 */
static bool mapping_is_dirty(struct address_space *mapping)
{
	bool dirty;

	mutex_lock(&mapping->tree_lock);
	dirty = mapping->nrdirty;
	mutex_unlock(&mapping->tree_lock);
	return dirty;
}

static struct writeback_control sync_pass(loff_t lstart, loff_t lend)
{
	return (struct writeback_control){
		.sync_mode = WB_SYNC_ALL,
		.reason = WB_REASON_SYNC,
		.nr_to_write = LONG_MAX,
		.range_start = lstart,
		.range_end = lend,
	};
}

int filemap_fdatawrite_range(struct address_space *mapping, loff_t lstart,
			     loff_t lend)
{
	struct writeback_control wbc = sync_pass(lstart, lend);

	if (!mapping_is_dirty(mapping) && !window_wants_recheck(mapping) &&
	    !window_wants_scan(mapping))
		return 0;
	trace_writeback_start(wbc.reason);
	do_writepages(mapping, &wbc);
	if (wbc.pages_written)
		count_vm_event(WB_SYNC_RUNS);
	return 0;
}

int filemap_write_and_wait_range(struct address_space *mapping, loff_t lstart,
				 loff_t lend)
{
	unsigned int errors = atomic_load(&mapping->nr_wb_errors);

	filemap_fdatawrite_range(mapping, lstart, lend);
	filemap_fdatawait_range(mapping, lstart, lend);
	if (atomic_load(&mapping->nr_wb_errors) != errors)
		return atomic_load(&mapping->last_wb_error);
	return 0;
}

int sync_mapping(struct address_space *mapping, bool datasync)
{
	struct writeback_control wbc = sync_pass(0, LLONG_MAX);
	int err, once;

	err = filemap_write_and_wait_range(mapping, 0, LLONG_MAX);
	if (!mapping->a_ops->write_inode || datasync)
		return err;
	/* Cleared first: what is dirtied from now on sets it again. */
	mutex_lock(&mapping->bdi->list_lock);
	mapping->wb_state &= ~WB_DIRTY_META;
	mutex_unlock(&mapping->bdi->list_lock);
	once = mapping->a_ops->write_inode(mapping, &wbc);
	if (once)
		mark_mapping_dirty_meta(mapping);
	mapping_maybe_clean(mapping);
	return err ? err : once;
}
