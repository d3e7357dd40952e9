// SPDX-License-Identifier: BSD-2-Clause
/*
 * mm/swap.c - the LRU lists
 *
 *   new page --> inactive head                          active head <--+
 *                    |   touched twice: mark_page_accessed() ----^     |
 *                    v                                           | second
 *                inactive tail --> reclaimed                     | chance
 *                    ^                                           v     |
 *                    +------------- shrink_active_list() --- active tail
 *
 * I1. A page is on its node's active or inactive list, of files or of memory
 *     without a file (PG_swapbacked), as PG_active says, exactly when PG_lru is
 *     set; both change only under lruvec->lock. Whoever clears PG_lru owns
 *     page->lru until it sets it.
 * I2. lists are in no reference count: the last put_page() takes the page off.
 * I3. A page in a window (PG_window) is on LRU_WINDOW, on the first node: it
 *     has no frame to say which. PG_window, like PG_active, changes under the
 *     lock of the lruvec the page belongs to before.
 *
 * Source: Linux mm/swap.c. Differs: no per-CPU batches; the lock is taken per
 *         batch of read-ahead and per activation, not per access.
 */
#include "page.h"
#include "swap.h"
#include "vmscan.h"
#include "vmstat.h"
#include "window_i.h"
#include "workingset.h"

static struct lruvec *page_lruvec(const struct page *page)
{
	pfn_t pfn = READ_ONCE(page->pfn);

	/* No frame: it has just gone into a window, as the lock will show. */
	if (page_test(page, PG_window) || pfn == PFN_NONE)
		return &NODE_DATA(0)->lruvec;
	return &pfn_to_pgdat(pfn)->lruvec;
}

/* The page's lruvec, locked; it may become another's until we have the lock. */
static struct lruvec *lock_page_lruvec(const struct page *page)
{
	for (;;) {
		struct lruvec *lruvec = page_lruvec(page);

		mutex_lock(&lruvec->lock);
		if (likely(lruvec == page_lruvec(page)))
			return lruvec;
		mutex_unlock(&lruvec->lock);
	}
}

static enum lru_list page_lru(const struct page *page)
{
	unsigned int flags = atomic_load(&page->flags);
	enum lru_list base = flags & (1u << PG_swapbacked) ? LRU_INACTIVE_ANON :
							    LRU_INACTIVE_FILE;

	if (flags & (1u << PG_window))
		return LRU_WINDOW;
	return base + !!(flags & (1u << PG_active));
}

static bool lru_is_inactive(enum lru_list lru)
{
	return lru == LRU_INACTIVE_FILE || lru == LRU_INACTIVE_ANON;
}

void lruvec_add(struct lruvec *lruvec, struct page *page)
{
	enum lru_list lru = page_lru(page);

	lockdep_assert_held(&lruvec->lock);
	page_set(page, PG_lru);
	list_add(&page->lru, &lruvec->lists[lru]);
	WRITE_ONCE(lruvec->nr[lru], lruvec->nr[lru] + 1);
}

void lruvec_del(struct lruvec *lruvec, struct page *page)
{
	enum lru_list lru = page_lru(page);

	lockdep_assert_held(&lruvec->lock);
	page_clear(page, PG_lru);
	list_del_init(&page->lru);
	WRITE_ONCE(lruvec->nr[lru], lruvec->nr[lru] - 1);
}

void lru_cache_add(struct page **pages, unsigned int nr)
{
	struct lruvec *locked = NULL;

	for (unsigned int i = 0; i < nr; i++) {
		struct lruvec *lruvec = page_lruvec(pages[i]);

		if (lruvec != locked) {
			if (locked)
				mutex_unlock(&locked->lock);
			mutex_lock(&lruvec->lock);
			locked = lruvec;
		}
		lruvec_add(lruvec, pages[i]);
	}
	if (locked)
		mutex_unlock(&locked->lock);
}

void lru_cache_del(struct page *page)
{
	struct lruvec *lruvec = lock_page_lruvec(page);

	if (page_test(page, PG_lru))
		lruvec_del(lruvec, page);
	mutex_unlock(&lruvec->lock);
}

static void lru_move_window(struct page *page, bool in)
{
	struct lruvec *lruvec = lock_page_lruvec(page);
	bool on_list = page_test(page, PG_lru);

	VM_BUG_ON(!page_test(page, PG_locked));
	if (on_list)
		lruvec_del(lruvec, page);
	if (in)
		page_set(page, PG_window);
	else
		page_clear(page, PG_window);
	mutex_unlock(&lruvec->lock);
	if (on_list)
		lru_putback(page);	/* else whoever isolated it will */
}

void lru_set_window(struct page *page)
{
	lru_move_window(page, true);
}

void lru_unset_window(struct page *page)
{
	lru_move_window(page, false);
}

void lru_clear_window(struct page *page)
{
	struct lruvec *lruvec = lock_page_lruvec(page);

	VM_BUG_ON(!page_test(page, PG_locked));
	if (page_test(page, PG_lru))
		lruvec_del(lruvec, page);
	page_clear(page, PG_window);
	mutex_unlock(&lruvec->lock);
}

void lru_putback(struct page *page)
{
	struct lruvec *lruvec = lock_page_lruvec(page);

	lruvec_add(lruvec, page);
	mutex_unlock(&lruvec->lock);
}

void lru_putback_tail(struct page *page)
{
	struct lruvec *lruvec = lock_page_lruvec(page);

	lruvec_add(lruvec, page);
	list_move_tail(&page->lru, &lruvec->lists[page_lru(page)]);
	mutex_unlock(&lruvec->lock);
}

static void activate_page(struct page *page)
{
	struct lruvec *lruvec = lock_page_lruvec(page);

	if (lru_is_inactive(page_lru(page)) && page_test(page, PG_lru)) {
		lruvec_del(lruvec, page);
		page_set(page, PG_active);
		lruvec_add(lruvec, page);
		count_vm_event(PGACTIVATE);
		if (page_mapping(page))
			workingset_age(page_mapping(page));
	}
	mutex_unlock(&lruvec->lock);
}

void mark_page_accessed(struct page *page)
{
	if (!page_test(page, PG_referenced)) {
		page_set(page, PG_referenced);
	} else if (lru_is_inactive(page_lru(page)) &&
		   page_test(page, PG_lru)) {
		activate_page(page);
		page_clear(page, PG_referenced);
	}
}

void rotate_reclaimable_page(struct page *page)
{
	struct lruvec *lruvec = lock_page_lruvec(page);

	if (page_test(page, PG_lru) && lru_is_inactive(page_lru(page))) {
		list_move_tail(&page->lru, &lruvec->lists[page_lru(page)]);
		count_vm_event(PGROTATED);
	}
	mutex_unlock(&lruvec->lock);
}

/* Every page of @lru has the flags its list stands for. */
static void lru_list_check(struct lruvec *lruvec, enum lru_list lru)
{
	unsigned long nr = 0;
	struct page *page;

	list_for_each_entry(page, &lruvec->lists[lru], lru) {
		BUG_ON(!page_test(page, PG_lru));			/* I1 */
		BUG_ON(page_lru(page) != lru);
		BUG_ON(page_lruvec(page) != lruvec);
		nr++;
	}
	BUG_ON(nr != lruvec->nr[lru]);
}

void lru_check(void)
{
	for (int nid = 0; nid < nr_online_nodes; nid++) {
		struct lruvec *lruvec = &NODE_DATA(nid)->lruvec;

		mutex_lock(&lruvec->lock);
		for (int lru = 0; lru < NR_LRU_LISTS; lru++)
			lru_list_check(lruvec, lru);
		mutex_unlock(&lruvec->lock);
	}
}
