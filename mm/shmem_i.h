/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * mm/shmem_i.h - what the files about memory without a file share: shmem.c,
 *                shmem_swap.c, swap_state.c, anon.c, memory_anon.c, vmscan.c
 */
#ifndef PAGEFS_MM_SHMEM_I_H
#define PAGEFS_MM_SHMEM_I_H

#include "page.h"
#include "shmem.h"

/*
 * Fields: (A) atomic; (C) constant; (L) shmem_lock; (T) mapping.tree_lock,
 *         lookups under RCU.
 */
struct shmem {
	struct vm_file file;		/* its references are the object's */
	struct address_space mapping;
	struct radix_tree_root swap;	/* (T) index to entry */
	unsigned long nr_swap;		/* (T) entries */
	unsigned long nr_pages;		/* (C) of a region; 0: private memory */
	atomic_bool has_source;		/* (A) some pages may have come from files:
					 * zeros are not what is missing */
	struct list_head list;		/* (L) */
};

extern const struct address_space_operations shmem_aops;
extern const struct vm_operations_struct shmem_vm_ops;

static inline struct shmem *SHMEM(const struct address_space *mapping)
{
	return container_of(mapping, struct shmem, mapping);
}
static inline bool mapping_is_shmem(const struct address_space *mapping)
{
	return mapping->a_ops == &shmem_aops;
}

/* ---- shmem.c ---- */

/* Of @nr_pages; 0: private memory. One reference. ERR_PTR(-ENOMEM). */
struct shmem *shmem_alloc(unsigned long nr_pages);

/* The entry at @index, or none: a hint without tree_lock. */
swp_entry_t shmem_entry(struct shmem *sh, pgoff_t index);
/*
 * In and out; the user of the slot becomes the tree's, the caller's. Context:
 * tree_lock. Return: 0; -ENOMEM, which radix_tree_preload() may spare. BUGs if
 * there is one.
 */
int __shmem_set_entry(struct shmem *sh, pgoff_t index, swp_entry_t entry);
swp_entry_t __shmem_take_entry(struct shmem *sh, pgoff_t index);
/* Entries of [@first, @last], from *@firstp on. Return: how many, <= @nr. */
unsigned int shmem_find_entries(struct shmem *sh, pgoff_t *firstp, pgoff_t last,
				unsigned int nr, pgoff_t *indices,
				swp_entry_t *entries);
/*
 * Pages and entries of [@first, @last] are no more. Context: nobody adds any:
 * invalidate_lock for writing; for private memory besides, mmap_lock for writing.
 */
void shmem_free_range(struct shmem *sh, pgoff_t first, pgoff_t last);

/*
 * @page differs from its slot. Return: an entry the caller frees when it has let
 * tree_lock go, or none. Context: tree_lock.
 */
swp_entry_t __shmem_page_dirtied(struct page *page);

/* Read what of [@first, @first + @nr) is in swap; nobody waits. Return: pages. */
unsigned long shmem_willneed(struct vm_file *file, pgoff_t first,
			     unsigned long nr);

/* Calls @fn for each object, referenced, until it returns not 0. */
int for_each_shmem(int (*fn)(struct shmem *sh, void *arg), void *arg);

/* ---- shmem_swap.c ---- */

/*
 * Locked, dirty pages of the arena, isolated, to their slots; zeros need none.
 * Unlocks them; they are under writeback, or clean, or dirty as before. @mode:
 * READ_START: the thread's plug ends the writes, and it sees to that; READ_AHEAD:
 * the I/O layer does. Return: how many are, or will be, clean. Needs no memory but
 * reserves.
 */
unsigned int swap_out_pages(struct page **pages, unsigned int nr,
			    enum read_mode mode);
/* @nr pages of the object at @page's index and after: see readpages. */
void shmem_readpages(struct address_space *mapping, struct page **pages,
		     unsigned int nr, enum read_mode mode);

/* Nobody has an entry of the area any more: swap_unuse_t. */
int try_to_unuse(unsigned int type, swap_progress_t progress, void *arg);

/* ---- swap_state.c ---- */

/*
 * Pages that several objects share, by entry. They are in the arena, uptodate,
 * and nobody changes their bytes.
 */
extern struct address_space swapper_space;
/* What leaves memory goes there. */
extern struct backing_dev_info swap_bdi;

int swap_state_init(void);
void swap_state_exit(void);

static inline bool page_in_swapcache(const struct page *page)
{
	return page_mapping(page) == &swapper_space;
}
static inline swp_entry_t page_swap_entry(const struct page *page)
{
	return (swp_entry_t){ page_index(page) };
}

/* Referenced, or NULL. */
struct page *lookup_swap_cache(swp_entry_t entry);
/* Context: page locked, of a shmem object or in no tree, uptodate, in the arena;
 * radix_tree_preload(). The entry is the caller's. */
void add_to_swap_cache(struct page *page, swp_entry_t entry);
/* Into @sh at @index, whose entry, the slot's last, it has; the same context.
 * Return: 0; -EEXIST: a page is there. */
int take_from_swap_cache(struct page *page, struct shmem *sh, pgoff_t index);
/* Out, with what of its bytes is not on the device. Page locked, not under
 * writeback. */
void delete_from_swap_cache(struct page *page);
/* Reclaim has taken the entry's page out. */
void swapcache_dropped(swp_entry_t entry);
/*
 * One user of the slot less, and the last takes the page from the swap cache
 * with it, if it is not busy; then reclaim will. @wait: as long as it is.
 */
enum swap_free_mode { SWAP_FREE_TRY, SWAP_FREE_WAIT };
void free_swap_and_cache(swp_entry_t entry, enum swap_free_mode mode);
/* Pages on slots of @type that have no users any more go. May sleep. */
void sweep_swap_cache(unsigned int type);
/* shmem_check()'s part. */
void swap_cache_check(void);

/* ---- memory.c, for memory_anon.c ---- */

vm_fault_t do_anon_fault(struct vm_fault *vmf);

#endif /* PAGEFS_MM_SHMEM_I_H */
