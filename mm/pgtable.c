// SPDX-License-Identifier: BSD-2-Clause
/*
 * mm/pgtable.c - page tables: what a client has been given
 *
 *   address  | 47..39 | 38..30 | 29..21 | 20..12 | in the page
 *                |        |        |        |
 *   mm->pgd ->  pgd  ->  pud  ->  pmd  ->  pte	tables of 512 entries, a frame
 *   level        0        1        2        3	each; made on demand
 *
 *   an entry that leads to a table:  | address of its frame | entries in use |
 *                                     63                  12 11             0
 *
 * Frames are page aligned, so the count of a table fits into the entry that
 * leads to it. It costs no memory and no look at the table; only a change
 * between none and something has to walk down to it, in four steps.
 *
 * I1. The count in an entry is the number of entries in the table it leads to
 *     that are not 0, and one more while walk_level() is in it.
 * I2. No table is empty, but those of ptes may be when nobody has set one since
 *     pte_alloc(). A table goes with the last of its entries (free_empty,
 *     walk_level), unless a walk is in it: then at the walk's end.
 * I3. mm->nr_ptes counts tables, of all levels; mm->rss the present ptes.
 *
 * All levels above the ptes look alike, so the code counts levels instead of
 * saying each thing four times.
 *
 * Locks:   mm->page_table_lock for everything; frames are taken without it.
 * Source:  Linux mm/memory.c, mm/pagewalk.c (names). Differs: empty tables are
 *          freed at once, as Linux never does while the mapping is there: they
 *          count against --memory, and windows are small beside files.
 */
#include <errno.h>

#include "gfp.h"
#include "mmap.h"
#include "vmstat.h"

#define NR_LEVELS	4u
#define PTE_LEVEL	(NR_LEVELS - 1)
#define LEVEL_BITS	9
_Static_assert(PTRS_PER_TABLE == 1 << LEVEL_BITS, "a level translates 9 bits");
_Static_assert(PTRS_PER_TABLE * sizeof(pte_t) == PAGE_SIZE, "tables are frames");
_Static_assert(PTRS_PER_TABLE + 1 < PAGE_SIZE, "a count and a walk fit: I1");

/* Bits of the address below those that an entry of this level stands for. */
static inline unsigned int level_shift(unsigned int level)
{
	return PGDIR_SHIFT - LEVEL_BITS * level;
}

static inline unsigned int table_index(unsigned long addr, unsigned int level)
{
	return (addr >> level_shift(level)) & (PTRS_PER_TABLE - 1);
}

static inline uintptr_t *entry_table(uintptr_t entry)
{
	return (uintptr_t *)(entry & PAGE_MASK);
}

static inline unsigned int entry_count(uintptr_t entry)
{
	return entry & ~PAGE_MASK;
}

/* ---- tables ---- */

static uintptr_t *table_alloc(void)
{
	pfn_t pfn = alloc_frames(GFP_KERNEL | __GFP_ZERO, 0);

	return pfn == PFN_NONE ? NULL : pfn_to_virt(pfn);
}

static void table_free(uintptr_t *table)
{
	free_frames(virt_to_pfn(table), 0);
}

static void table_link(struct mm_struct *mm, uintptr_t *entry, uintptr_t *table)
{
	*entry = (uintptr_t)table;
	atomic_fetch_add(&mm->nr_ptes, 1);
	mod_vm_stat(NR_PAGETABLE, 1);
}

static void table_unlink(struct mm_struct *mm, uintptr_t *entry)
{
	VM_BUG_ON(entry_count(*entry));
	table_free(entry_table(*entry));
	*entry = 0;
	atomic_fetch_sub(&mm->nr_ptes, 1);
	mod_vm_stat(NR_PAGETABLE, -1);
}

/*
 * @path[l]: the entry that leads, or would lead, to the table of level l.
 * Return: how many of the tables there are; @path is filled as far as the first
 *         that is missing.
 */
static unsigned int walk_down(struct mm_struct *mm, unsigned long addr,
			      uintptr_t *path[NR_LEVELS])
{
	unsigned int level = 0;

	lockdep_assert_held(&mm->page_table_lock);
	VM_BUG_ON(addr >= TASK_SIZE);
	path[0] = &mm->pgd.entry;
	while (*path[level]) {
		if (level == PTE_LEVEL)
			return NR_LEVELS;
		path[level + 1] = entry_table(*path[level]) +
				  table_index(addr, level);
		level++;
	}
	return level;
}

/* Links the missing ones out of @tables. Return: how many are left. */
static unsigned int link_missing(struct mm_struct *mm, unsigned long addr,
				 uintptr_t **tables, unsigned int nr)
{
	uintptr_t *path[NR_LEVELS];
	unsigned int level;

	while ((level = walk_down(mm, addr, path)) < NR_LEVELS) {
		table_link(mm, path[level], tables[--nr]);
		if (level)
			++*path[level - 1];
	}
	return nr;
}

static unsigned int nr_missing(struct mm_struct *mm, unsigned long addr)
{
	uintptr_t *path[NR_LEVELS];

	return NR_LEVELS - walk_down(mm, addr, path);
}

/*
 * Others may link the same tables, or free them, while we get memory: we look
 * again until we have as many as are missing, NR_LEVELS at the most.
 */
int pte_alloc(struct mm_struct *mm, unsigned long addr)
{
	uintptr_t *tables[NR_LEVELS];
	unsigned int nr = 0, missing;
	bool linked;
	int err = 0;

	for (;;) {
		mutex_lock(&mm->page_table_lock);
		missing = nr_missing(mm, addr);
		linked = missing <= nr;
		if (linked)
			nr = link_missing(mm, addr, tables, nr);
		mutex_unlock(&mm->page_table_lock);
		if (linked)
			break;
		while (nr < missing && (tables[nr] = table_alloc()))
			nr++;
		if (nr < missing) {
			err = -ENOMEM;
			break;
		}
	}
	while (nr)
		table_free(tables[--nr]);
	return err;
}

/* ---- ptes ---- */

pte_t *pte_offset(struct mm_struct *mm, unsigned long addr)
{
	uintptr_t *path[NR_LEVELS];

	if (walk_down(mm, addr, path) < NR_LEVELS)
		return NULL;
	return (pte_t *)entry_table(*path[PTE_LEVEL]) +
	       table_index(addr, PTE_LEVEL);
}

/* The tables of a whole @path that have no entry left, from the ptes up. */
static void free_empty(struct mm_struct *mm, uintptr_t *path[NR_LEVELS])
{
	unsigned int level = PTE_LEVEL;

	while (!entry_count(*path[level])) {
		table_unlink(mm, path[level]);
		if (!level)
			return;
		--*path[--level];
	}
}

static void count_rss(struct mm_struct *mm, pte_t old, pte_t new)
{
	if (!pte_present(old) && pte_present(new))
		atomic_fetch_add(&mm->rss, 1);
	else if (pte_present(old) && !pte_present(new))
		atomic_fetch_sub(&mm->rss, 1);
}

void set_pte(struct mm_struct *mm, unsigned long addr, pte_t *ptep, pte_t pte)
{
	uintptr_t *path[NR_LEVELS];
	pte_t old = *ptep;

	lockdep_assert_held(&mm->page_table_lock);
	count_rss(mm, old, pte);
	*ptep = pte;
	if (pte_none(old) == pte_none(pte))
		return;
	BUG_ON(walk_down(mm, addr, path) < NR_LEVELS);
	VM_BUG_ON(ptep != pte_offset(mm, addr));
	if (pte_none(old)) {
		++*path[PTE_LEVEL];
	} else {
		--*path[PTE_LEVEL];
		free_empty(mm, path);
	}
}

/* ---- ranges ---- */

typedef void (*walk_fn_t)(struct mm_struct *mm, unsigned long addr,
			  pte_t *ptep, void *arg);

struct pt_walk {
	struct mm_struct *mm;
	walk_fn_t fn;			/* NULL: all ptes become none */
	void *arg;
};

/*
 * The ptes of one table. It has one more in its count than it has ptes (I1):
 * once only that is left, there is nothing more to be found.
 */
static void walk_ptes(struct pt_walk *walk, uintptr_t *entry,
		      unsigned long addr, unsigned long end)
{
	pte_t *ptep = (pte_t *)entry_table(*entry) +
		      table_index(addr, PTE_LEVEL);

	for (; addr < end && entry_count(*entry) > 1; addr += PAGE_SIZE, ptep++) {
		if (pte_none(*ptep))
			continue;
		if (walk->fn) {
			walk->fn(walk->mm, addr, ptep, walk->arg);
			continue;
		}
		count_rss(walk->mm, *ptep, (pte_t){ 0 });
		ptep->pte = 0;
		--*entry;
	}
}

/*
 * [@addr, @end) of the table that *@entry leads to. While we are in a table it
 * counts one more, so that set_pte() in ->fn never frees what we stand in; if
 * it has become empty it goes when we leave. One that was empty before is left
 * to who has made it (I2), except when zapping.
 */
static void walk_level(struct pt_walk *walk, uintptr_t *entry,
		       unsigned int level, unsigned long addr,
		       unsigned long end)
{
	unsigned long size = 1UL << level_shift(level), next;
	uintptr_t *below;

	if (walk->fn && !entry_count(*entry))
		return;
	++*entry;
	if (level == PTE_LEVEL)
		walk_ptes(walk, entry, addr, end);
	for (; level < PTE_LEVEL && addr < end; addr = next) {
		next = min(end, ALIGN_DOWN(addr, size) + size);
		below = entry_table(*entry) + table_index(addr, level);
		if (!*below)
			continue;
		walk_level(walk, below, level + 1, addr, next);
		if (!*below)
			--*entry;
	}
	--*entry;
	if (!entry_count(*entry))
		table_unlink(walk->mm, entry);
}

static void walk_range(struct pt_walk *walk, unsigned long start,
		       unsigned long end)
{
	struct mm_struct *mm = walk->mm;

	lockdep_assert_held(&mm->page_table_lock);
	VM_BUG_ON(end > TASK_SIZE || !IS_ALIGNED(start | end, PAGE_SIZE));
	if (mm->pgd.entry && start < end)
		walk_level(walk, &mm->pgd.entry, 0, start, end);
}

void walk_page_range(struct mm_struct *mm, unsigned long start,
		     unsigned long end, walk_fn_t fn, void *arg)
{
	struct pt_walk walk = { .mm = mm, .fn = fn, .arg = arg };

	walk_range(&walk, start, end);
}

void zap_page_range(struct mm_struct *mm, unsigned long start,
		    unsigned long end)
{
	struct pt_walk walk = { .mm = mm };

	mutex_lock(&mm->page_table_lock);
	walk_range(&walk, start, end);
	mutex_unlock(&mm->page_table_lock);
}

void pgtable_free_all(struct mm_struct *mm)
{
	zap_page_range(mm, 0, TASK_SIZE);
	BUG_ON(mm->pgd.entry || atomic_load(&mm->nr_ptes) ||
	       atomic_load(&mm->rss));
}

/* ---- checks ---- */

struct pt_count {
	unsigned long tables, present;
};

static void check_table(uintptr_t entry, unsigned int level,
			struct pt_count *count)
{
	uintptr_t *table = entry_table(entry);
	unsigned int used = 0;

	count->tables++;
	for (unsigned int i = 0; i < PTRS_PER_TABLE; i++) {
		if (!table[i])
			continue;
		used++;
		if (level < PTE_LEVEL)
			check_table(table[i], level + 1, count);
		else if (pte_present((pte_t){ table[i] }))
			count->present++;
	}
	BUG_ON(used != entry_count(entry));			/* I1 */
	BUG_ON(!used && level < PTE_LEVEL);			/* I2 */
}

void pgtable_check(struct mm_struct *mm)
{
	struct pt_count count = { 0 };

	mutex_lock(&mm->page_table_lock);
	if (mm->pgd.entry)
		check_table(mm->pgd.entry, 0, &count);
	BUG_ON(count.tables != atomic_load(&mm->nr_ptes));	/* I3 */
	BUG_ON(count.present != atomic_load(&mm->rss));
	mutex_unlock(&mm->page_table_lock);
}
