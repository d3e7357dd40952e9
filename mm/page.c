// SPDX-License-Identifier: BSD-2-Clause
/*
 * mm/page.c - page descriptors: making, locking, waiting, freeing
 *
 *   page_cache_alloc()        add_to_page_cache      delete_from_page_cache
 *   ref 1, locked     ----->  ref 2 (+1: the tree) ----->  ref 1  --put--> freed
 *
 * I1. A page with refcount 0 is in no tree, on no LRU list once put_page()
 *     returns, and never gets a reference again until it is allocated anew.
 * I2. Its memory stays a struct page (SLAB_TYPESAFE_BY_RCU), so a lock-free
 *     reader may try for a reference on a stale pointer; it then checks
 *     mapping and index.
 * I3. PG_locked and PG_writeback are released with one atomic operation that
 *     also takes PG_waiters, so a sleeper that set PG_waiters is woken by
 *     exactly the release it slept for, or sees it has happened.
 *
 * The flags word is the futex sleepers wait on: any change of any flag makes
 * a late sleeper look again, which costs a loop and loses no wake-up. Linux
 * hashes pages to wait queues instead; a futex already is one.
 *
 * Source: Linux mm/filemap.c (page locks), include/linux/page-flags.h.
 */
#include <errno.h>
#include <linux/futex.h>
#include <limits.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "page.h"
#include "slab.h"
#include "swap.h"

__thread struct blk_plug *current_plug;

static struct kmem_cache *page_cachep;

static void page_ctor(void *obj)
{
	struct page *page = obj;

	memset(page, 0, sizeof(*page));
	INIT_LIST_HEAD(&page->lru);
	page->pfn = PFN_NONE;
}

int page_init(void)
{
	page_cachep = kmem_cache_create("page", sizeof(struct page), 0,
					SLAB_TYPESAFE_BY_RCU, page_ctor);
	return page_cachep ? 0 : -ENOMEM;
}

void page_exit(void)
{
	kmem_cache_destroy(page_cachep);
	page_cachep = NULL;
}

/* From the slab's state (all clear, no references) to a locked, owned page. */
static void page_prepare(struct page *page, pfn_t pfn)
{
	page->pfn = pfn;
	page->dirtied_cs = 0;
	page->granted_cs = 0;
	WRITE_ONCE(page->mapping, NULL);
	atomic_store_explicit(&page->flags, 1u << PG_locked,
			      memory_order_relaxed);
	/* pairs with get_page_unless_zero(): what is above is seen first */
	atomic_store_explicit(&page->refcount, 1, memory_order_release);
}

struct page *page_cache_alloc(gfp_t gfp)
{
	struct page *page = kmem_cache_alloc(page_cachep, gfp & ~__GFP_MOVABLE);
	pfn_t pfn;

	if (!page)
		return NULL;
	pfn = alloc_frames(gfp, 0);
	if (pfn == PFN_NONE) {
		kmem_cache_free(page_cachep, page);
		return NULL;
	}
	page_prepare(page, pfn);
	return page;
}

/* Up to @nr pages as page_cache_alloc() makes them. Return: how many. */
unsigned int page_cache_alloc_bulk(gfp_t gfp, unsigned int nr,
				   struct page **pages)
{
	pfn_t pfns[MAX_RUN_PAGES];
	unsigned int got, i;

	nr = min(nr, MAX_RUN_PAGES);
	got = kmem_cache_alloc_bulk(page_cachep, gfp & ~__GFP_MOVABLE, nr,
				    (void **)pages);
	nr = got ? alloc_frames_bulk(gfp, got, pfns) : 0;
	for (i = 0; i < nr; i++)
		page_prepare(pages[i], pfns[i]);
	for (; i < got; i++)
		kmem_cache_free(page_cachep, pages[i]);
	return nr;
}

unsigned int page_alloc_unbacked(gfp_t gfp, unsigned int nr, struct page **pages)
{
	nr = kmem_cache_alloc_bulk(page_cachep, gfp & ~__GFP_MOVABLE, nr,
				   (void **)pages);
	for (unsigned int i = 0; i < nr; i++)
		page_prepare(pages[i], PFN_NONE);
	return nr;
}

/* The last reference is gone; nobody else can get one (I1). */
void free_page(struct page *page)
{
	unsigned int flags;

	if (page_test(page, PG_lru))
		lru_cache_del(page);
	flags = atomic_load_explicit(&page->flags, memory_order_relaxed);
	BUG_ON(flags & ((1u << PG_dirty) | (1u << PG_writeback) |
			(1u << PG_window)));
	if (page->pfn != PFN_NONE)
		free_frames(page->pfn, 0);
	page->pfn = PFN_NONE;
	atomic_store_explicit(&page->flags, 0, memory_order_relaxed);
	kmem_cache_free(page_cachep, page);
}

void put_page(struct page *page)
{
	int old = atomic_fetch_sub(&page->refcount, 1);

	VM_BUG_ON(old <= 0);
	if (old == 1)
		free_page(page);
}

void put_pages(struct page **pages, unsigned int nr)
{
	for (unsigned int i = 0; i < nr; i++)
		put_page(pages[i]);
}

bool get_page_unless_zero(struct page *page)
{
	int old = atomic_load_explicit(&page->refcount, memory_order_relaxed);

	do {
		if (!old)
			return false;
	} while (!atomic_compare_exchange_weak(&page->refcount, &old, old + 1));
	return true;
}

/* From exactly @count references to none; false if there are others. */
bool page_ref_freeze(struct page *page, int count)
{
	return atomic_compare_exchange_strong(&page->refcount, &count, 0);
}

int page_cmp(const void *a, const void *b)
{
	const struct page *x = *(struct page *const *)a;
	const struct page *y = *(struct page *const *)b;

	if (x->mapping != y->mapping)
		return x->mapping < y->mapping ? -1 : 1;
	return (x->index > y->index) - (x->index < y->index);
}

/* ---- waiting for a bit ---- */

static void futex_wait(atomic_uint *word, unsigned int val)
{
	/* Woken, changed (EAGAIN) or interrupted: the caller looks again. */
	syscall(SYS_futex, word, FUTEX_WAIT_PRIVATE, val, NULL, NULL, 0);
}

static void futex_wake_all(atomic_uint *word)
{
	syscall(SYS_futex, word, FUTEX_WAKE_PRIVATE, INT_MAX, NULL, NULL, 0);
}

/* Sleeps once, unless @bit is seen clear; the caller loops. */
static void page_wait_bit(struct page *page, enum pageflags bit)
{
	const unsigned int waiters = 1u << PG_waiters;
	unsigned int v;

	blk_flush_plug();
	thread_will_block();
	v = atomic_load(&page->flags);
	if (!(v & (1u << bit)))
		return;
	if (!(v & waiters) &&
	    !atomic_compare_exchange_strong(&page->flags, &v, v | waiters))
		return;
	futex_wait(&page->flags, v | waiters);
}

static void page_release_bit(struct page *page, enum pageflags bit)
{
	const unsigned int mask = (1u << bit) | (1u << PG_waiters);
	unsigned int old = atomic_fetch_and(&page->flags, ~mask);

	VM_BUG_ON(!(old & (1u << bit)));
	/*
	 * Past this point the page may be freed; the wake then touches only
	 * an address, and a stranger woken by it looks again.
	 */
	if (old & (1u << PG_waiters))
		futex_wake_all(&page->flags);
}

bool trylock_page(struct page *page)
{
	return !page_test_set(page, PG_locked);
}

void lock_page(struct page *page)
{
	while (!trylock_page(page))
		page_wait_bit(page, PG_locked);
}

void unlock_page(struct page *page)
{
	page_release_bit(page, PG_locked);
}

void wait_on_page_locked(struct page *page)
{
	while (page_test(page, PG_locked))
		page_wait_bit(page, PG_locked);
}

void wait_on_page_writeback(struct page *page)
{
	while (page_test(page, PG_writeback))
		page_wait_bit(page, PG_writeback);
}

void page_end_writeback_bit(struct page *page)
{
	page_release_bit(page, PG_writeback);
}
