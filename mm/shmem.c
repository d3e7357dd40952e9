// SPDX-License-Identifier: BSD-2-Clause
/*
 * mm/shmem.c - memory that no file backs: objects, and what is where
 *
 *     index        0       1       2       3       4       5
 *     mapping    dirty           clean           clean
 *     swap                 E       E'
 *                 |       |       |       |       |
 *                 |       |       |       |       +-- zeros, or a file's bytes:
 *                 |       |       |       |           dropped when memory is short
 *                 |       |       |       +-- never touched
 *                 |       |       +-- in memory and in its slot, the same: no
 *                 |       |           write when it goes
 *                 |       +-- swapped out, or shared (swap_state.c)
 *                 +-- nowhere else
 *
 * The pages are in the arena or in the window as those of files are. What differs
 * is where they come from, and where they go.
 *
 * S1. A dirty page has no entry, but under writeback, when its end decides: an
 *     entry stands for bytes equal to the page's.
 * S2. Entries come and go under tree_lock. With the page locked, and not under
 *     writeback, nobody but its holder changes the entry.
 * S3. Private memory is one mm's: its mmap_lock, for writing, keeps all faults
 *     out. Who else adds pages, to read ahead or for swapoff, has invalidate_lock.
 *
 * Locks:  mmap_lock > invalidate_lock > page lock > tree_lock; shmem_lock by
 *         itself.
 * Source: Linux mm/shmem.c. Differs: entries are in a tree of their own.
 */
#include <errno.h>
#include <string.h>

#include "internal.h"
#include "err.h"
#include "rcu.h"
#include "shmem_i.h"
#include "slab.h"
#include "vma.h"
#include "vmstat.h"
#include "window_i.h"

/*
 * Bytes of the index space of private memory: that of addresses, and as much
 * again for what has been moved from its place. tmpfs counts pages that are
 * there, not these.
 */
#define PRIVATE_SIZE	((loff_t)(TASK_SIZE + 1) * 2)

static struct mutex shmem_lock = MUTEX_INITIALIZER(LOCK_MMLIST);
static LIST_HEAD(shmem_list);		/* shmem_lock; oldest first */

/* ---- entries ---- */

/* Never odd and never NULL, as the tree wants its items. */
static void *entry_to_item(swp_entry_t entry)
{
	return (void *)(uintptr_t)(entry.val << 1);
}

static swp_entry_t item_to_entry(const void *item)
{
	return (swp_entry_t){ (uintptr_t)item >> 1 };
}

swp_entry_t shmem_entry(struct shmem *sh, pgoff_t index)
{
	swp_entry_t entry;

	mm_rcu_read_lock();
	entry = item_to_entry(radix_tree_lookup(&sh->swap, index));
	mm_rcu_read_unlock();
	return entry;
}

int __shmem_set_entry(struct shmem *sh, pgoff_t index, swp_entry_t entry)
{
	int err;

	lockdep_assert_held(&sh->mapping.tree_lock);
	err = radix_tree_insert(&sh->swap, index, entry_to_item(entry));
	BUG_ON(err == -EEXIST);
	sh->nr_swap += !err;
	return err;
}

swp_entry_t __shmem_take_entry(struct shmem *sh, pgoff_t index)
{
	swp_entry_t entry;

	lockdep_assert_held(&sh->mapping.tree_lock);
	if (!sh->nr_swap)
		return (swp_entry_t){ 0 };
	entry = item_to_entry(radix_tree_delete(&sh->swap, index));
	sh->nr_swap -= !swp_none(entry);
	return entry;
}

unsigned int shmem_find_entries(struct shmem *sh, pgoff_t *firstp, pgoff_t last,
				unsigned int nr, pgoff_t *indices,
				swp_entry_t *entries)
{
	void *items[PAGEVEC_SIZE];
	unsigned int found;

	if (*firstp > last)
		return 0;
	mm_rcu_read_lock();
	found = radix_tree_gang_lookup(&sh->swap, items, indices, *firstp, last,
				       min(nr, PAGEVEC_SIZE));
	mm_rcu_read_unlock();
	for (unsigned int i = 0; i < found; i++)
		entries[i] = item_to_entry(items[i]);
	if (found)
		*firstp = indices[found - 1] + 1;
	return found;
}

swp_entry_t __shmem_page_dirtied(struct page *page)
{
	struct address_space *mapping = page->mapping;

	if (!mapping_is_shmem(mapping) ||
	    radix_tree_tag_get(&mapping->i_pages, page->index,
			       PAGECACHE_TAG_WRITEBACK))
		return (swp_entry_t){ 0 };			/* S1 */
	return __shmem_take_entry(SHMEM(mapping), page->index);
}

/* ---- taking things out ---- */

static void free_entries(struct shmem *sh, pgoff_t first, pgoff_t last)
{
	swp_entry_t entries[PAGEVEC_SIZE];
	pgoff_t indices[PAGEVEC_SIZE];
	unsigned int nr;

	while ((nr = shmem_find_entries(sh, &first, last, PAGEVEC_SIZE, indices,
					entries))) {
		mutex_lock(&sh->mapping.tree_lock);
		for (unsigned int i = 0; i < nr; i++)
			entries[i] = __shmem_take_entry(sh, indices[i]);
		mutex_unlock(&sh->mapping.tree_lock);
		for (unsigned int i = 0; i < nr; i++)
			if (!swp_none(entries[i]))
				free_swap_and_cache(entries[i], SWAP_FREE_WAIT);
	}
}

void shmem_free_range(struct shmem *sh, pgoff_t first, pgoff_t last)
{
	const pgoff_t end = i_size_read(&sh->mapping) >> PAGE_SHIFT;

	if (first >= end)
		return;
	last = min(last, end - 1);
	truncate_inode_pages_range(&sh->mapping, (loff_t)first << PAGE_SHIFT,
				   ((loff_t)last << PAGE_SHIFT) |
				   (loff_t)~PAGE_MASK);
	free_entries(sh, first, last);
}

/* ---- objects ---- */

static void shmem_free(struct shmem *sh)
{
	shmem_free_range(sh, 0, (pgoff_t)-1);
	BUG_ON(sh->nr_swap);
	address_space_destroy(&sh->mapping);
	file_ra_state_destroy(&sh->file.f_ra);
	mod_vm_stat(COMMITTED_AS, -(long)sh->nr_pages);
	kfree(sh);
}

static void shmem_release(struct vm_file *file)
{
	struct shmem *sh = container_of(file, struct shmem, file);

	mutex_lock(&shmem_lock);
	list_del(&sh->list);
	mutex_unlock(&shmem_lock);
	shmem_free(sh);
}

/* A mapping outlives all work on it by the references of vm_files. */
static bool shmem_tryget(struct shmem *sh)
{
	int count = atomic_load(&sh->file.f_count);

	do
		if (!count)
			return false;
	while (!atomic_compare_exchange_weak(&sh->file.f_count, &count,
					     count + 1));
	return true;
}

static bool shmem_grab(struct address_space *mapping)
{
	return shmem_tryget(SHMEM(mapping));
}

static void shmem_put(struct address_space *mapping)
{
	put_vm_file(&SHMEM(mapping)->file);
}

/* Anonymous memory is found in its object, and has no other fault than this. */
const struct vm_operations_struct shmem_vm_ops = {
	.release	= shmem_release,
};

const struct address_space_operations shmem_aops = {
	.readpages	= shmem_readpages,
	.grab		= shmem_grab,
	.put		= shmem_put,
};

struct shmem *shmem_alloc(unsigned long nr_pages)
{
	struct shmem *sh = kzalloc(sizeof(*sh), GFP_KERNEL);

	if (!sh)
		return ERR_PTR(-ENOMEM);
	address_space_init(&sh->mapping, &shmem_aops, &swap_bdi,
			   nr_pages ? (loff_t)nr_pages << PAGE_SHIFT :
				      PRIVATE_SIZE);
	sh->mapping.swap_backed = true;
	sh->nr_pages = nr_pages;
	sh->file.f_mapping = &sh->mapping;
	sh->file.f_op = &shmem_vm_ops;
	sh->file.f_writable = true;
	file_ra_state_init(&sh->file.f_ra, 0);
	atomic_store(&sh->file.f_count, 1);
	mutex_lock(&shmem_lock);
	list_add_tail(&sh->list, &shmem_list);
	mutex_unlock(&shmem_lock);
	return sh;
}

bool is_shmem_file(const struct vm_file *file)
{
	return file->f_op == &shmem_vm_ops;
}

unsigned long shmem_nr_pages(const struct vm_file *file)
{
	return container_of(file, struct shmem, file)->nr_pages;
}

/* The next that is not on its way out, referenced. @pos: the list, or one. */
static struct shmem *next_shmem(struct list_head *pos)
{
	struct shmem *sh, *found = NULL;

	mutex_lock(&shmem_lock);
	while (!found && (pos = pos->next) != &shmem_list) {
		sh = list_entry(pos, struct shmem, list);
		if (shmem_tryget(sh))
			found = sh;
	}
	mutex_unlock(&shmem_lock);
	return found;
}

/* The one we hold stays on the list, and so shows where we are. */
int for_each_shmem(int (*fn)(struct shmem *sh, void *arg), void *arg)
{
	struct shmem *sh = next_shmem(&shmem_list), *next;
	int ret = 0;

	while (sh) {
		ret = fn(sh, arg);
		next = ret ? NULL : next_shmem(&sh->list);
		put_vm_file(&sh->file);
		sh = next;
	}
	return ret;
}

/* ---- checking ---- */

/* S1 at @index, where @entry is. */
static void check_entry(struct shmem *sh, pgoff_t index, swp_entry_t entry)
{
	struct page *page = find_get_page(&sh->mapping, index);

	BUG_ON(!swap_count(entry));
	if (!page)
		return;
	BUG_ON(page_test(page, PG_dirty) && !page_test(page, PG_writeback));
	put_page(page);
}

static int check_shmem(struct shmem *sh, void *unused)
{
	swp_entry_t entries[PAGEVEC_SIZE];
	pgoff_t indices[PAGEVEC_SIZE], first = 0;
	unsigned long entries_there = 0;
	unsigned int nr;

	(void)unused;
	page_cache_check(&sh->mapping);
	mutex_lock(&sh->mapping.tree_lock);
	radix_tree_check(&sh->swap);
	mutex_unlock(&sh->mapping.tree_lock);
	while ((nr = shmem_find_entries(sh, &first, (pgoff_t)-1, PAGEVEC_SIZE,
					indices, entries))) {
		entries_there += nr;
		for (unsigned int i = 0; i < nr; i++)
			check_entry(sh, indices[i], entries[i]);
	}
	BUG_ON(entries_there != sh->nr_swap);
	return 0;
}

void shmem_check(void)
{
	for_each_shmem(check_shmem, NULL);
	swap_cache_check();
	swapfile_check();
}

/* ---- reading ahead ---- */

static void drop_locked(struct page *page)
{
	if (!page)
		return;
	unlock_page(page);
	put_page(page);
}

unsigned long shmem_willneed(struct vm_file *file, pgoff_t first,
			     unsigned long nr)
{
	struct shmem *sh = container_of(file, struct shmem, file);
	const pgoff_t last = first + nr - 1;
	swp_entry_t entries[PAGEVEC_SIZE];
	pgoff_t indices[PAGEVEC_SIZE];
	struct page *page;
	unsigned int found;
	unsigned long read = 0;

	down_read(&sh->mapping.invalidate_lock);
	while (nr && (found = shmem_find_entries(sh, &first, last, PAGEVEC_SIZE,
						 indices, entries)))
		for (unsigned int i = 0; i < found; i++) {
			page = page_cache_alloc(GFP_USER | __GFP_NORETRY);
			if (!page || add_to_page_cache_lru(page, &sh->mapping,
						indices[i], GFP_KERNEL)) {
				drop_locked(page);
				continue;
			}
			shmem_readpages(&sh->mapping, &page, 1, READ_AHEAD);
			read++;
		}
	up_read(&sh->mapping.invalidate_lock);
	count_vm_events(SWAP_RA, read);
	return read;
}
