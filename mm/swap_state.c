// SPDX-License-Identifier: BSD-2-Clause
/*
 * mm/swap_state.c - the swap cache: pages that are shared after fork()
 *
 *   shmem A  index 7 --entry--+             +-- index 7  shmem B
 *                             v             v
 *                     swap_map[entry] = 2 | SWAP_HAS_CACHE
 *                             |
 *                     swapper_space[entry] --> page, in the arena
 *
 * An object whose page is shared has the entry alone, or a copy of its own beside
 * it, clean, that is dropped or becomes its own when it is stored to. The page
 * itself is what all copies are made of; who is left alone with the entry takes
 * it over.
 *
 * I1. SWAP_HAS_CACHE <=> swapper_space has a page for the slot.
 * I2. Its bytes never change. It is dirty until they are on the device; on an
 *     entry of SWP_TYPE_MEMORY it stays so.
 * I3. A page whose slot has no users any more is removed by who freed the last,
 *     or, if it was busy just then, by reclaim.
 *
 * Locks:  page lock > tree_locks, two of them in order of address.
 * Source: Linux mm/swap_state.c. Differs: what only one object has is not here;
 *         it keeps its slot while it is clean (shmem.c).
 */
#include <limits.h>

#include "swapfile.h"
#include "shmem_i.h"
#include "vmstat.h"
#include "window.h"

struct address_space swapper_space;
struct backing_dev_info swap_bdi;

/* Pages come by move alone: nothing is read into it, or written by flushers. */
static const struct address_space_operations swap_aops = { 0 };

int swap_state_init(void)
{
	int err = bdi_init(&swap_bdi);

	if (err)
		return err;
	address_space_init(&swapper_space, &swap_aops, &swap_bdi, LLONG_MAX);
	swapper_space.swap_backed = true;
	swap_set_unuse(try_to_unuse);
	return 0;
}

void swap_state_exit(void)
{
	swap_set_unuse(NULL);
	sweep_swap_cache(SWP_TYPE_MEMORY);
	address_space_destroy(&swapper_space);
	bdi_destroy(&swap_bdi);
}

struct page *lookup_swap_cache(swp_entry_t entry)
{
	return find_get_page(&swapper_space, entry.val);
}

void add_to_swap_cache(struct page *page, swp_entry_t entry)
{
	swapcache_set(entry);					/* I1 */
	BUG_ON(page_cache_move(page, &swapper_space, entry.val));
	mod_vm_stat(NR_SWAPCACHE, 1);
}

int take_from_swap_cache(struct page *page, struct shmem *sh, pgoff_t index)
{
	swp_entry_t entry = page_swap_entry(page);
	int err = page_cache_move(page, &sh->mapping, index);

	if (err)
		return err;
	swapcache_clear(entry);
	mod_vm_stat(NR_SWAPCACHE, -1);
	count_vm_event(PGREUSE);
	return 0;
}

void swapcache_dropped(swp_entry_t entry)
{
	swapcache_clear(entry);
	mod_vm_stat(NR_SWAPCACHE, -1);
}

void delete_from_swap_cache(struct page *page)
{
	swp_entry_t entry = page_swap_entry(page);

	cancel_dirty_page(page);
	delete_from_page_cache(page);
	swapcache_dropped(entry);
}

static bool lock_for(struct page *page, enum swap_free_mode mode)
{
	if (mode == SWAP_FREE_TRY)
		return trylock_page(page);
	lock_page(page);
	wait_on_page_writeback(page);
	return true;
}

void free_swap_and_cache(swp_entry_t entry, enum swap_free_mode mode)
{
	struct page *page;

	if (swap_free(entry) || !swap_has_cache(entry))
		return;
	page = lookup_swap_cache(entry);
	if (!page)
		return;
	if (lock_for(page, mode)) {
		/* The slot may have been freed and be another's since. */
		if (page_in_swapcache(page) && !swap_count(entry) &&
		    !page_test(page, PG_writeback))
			delete_from_swap_cache(page);
		unlock_page(page);
	}
	put_page(page);						/* I3 */
}

/* I3: those whose last user did not wait for them. */
void sweep_swap_cache(unsigned int type)
{
	pgoff_t index = swp_entry(type, 0).val;
	const pgoff_t last = swp_entry(type + 1, 0).val - 1;
	struct page *pages[PAGEVEC_SIZE];
	unsigned int nr;

	while ((nr = find_get_pages_range(&swapper_space, &index, last,
					  PAGEVEC_SIZE, pages, ANY_TAG))) {
		for (unsigned int i = 0; i < nr; i++) {
			lock_page(pages[i]);
			wait_on_page_writeback(pages[i]);
			if (page_in_swapcache(pages[i]) &&
			    !swap_count(page_swap_entry(pages[i])))
				delete_from_swap_cache(pages[i]);
			unlock_page(pages[i]);
			put_page(pages[i]);
		}
	}
}

/* I1. */
void swap_cache_check(void)
{
	struct page *pages[PAGEVEC_SIZE];
	pgoff_t index = 0;
	unsigned int nr;

	page_cache_check(&swapper_space);
	BUG_ON(swapper_space.nrpages != vm_stat_read(NR_SWAPCACHE));
	while ((nr = find_get_pages_range(&swapper_space, &index, UINT64_MAX,
					  PAGEVEC_SIZE, pages, ANY_TAG)))
		for (unsigned int i = 0; i < nr; i++) {
			BUG_ON(!swap_has_cache(page_swap_entry(pages[i])));
			BUG_ON(!page_test(pages[i], PG_uptodate));
			BUG_ON(PageWindow(pages[i]));
			put_page(pages[i]);
		}
}
