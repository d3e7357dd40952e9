// SPDX-License-Identifier: BSD-2-Clause
/*
 * tests/mm/test_pgtable.c - mm/pgtable.c against a map
 *
 *   spots[]   addresses a run may use, ascending: neighbours in a table, the
 *             ends of tables, and others under each level of tables
 *   model[]   what pte each of them has
 *
 * From the model follows which tables there must be: one for each different
 * prefix of the addresses in use.
 */
#include <errno.h>
#include <pthread.h>
#include <string.h>

#include "fake_disk.h"
#include "harness.h"
#include "mmap.h"
#include "mmzone.h"
#include "vmstat.h"

#define MEMORY		(16UL << 20)
#define NR_SPOTS	128u

static struct mm_struct *mm;
static unsigned long spots[NR_SPOTS];
static uint64_t model[NR_SPOTS];
static uint64_t rnd;

static void up(void)
{
	fake_mm_init(MEMORY, 1, false);
	mm = mm_alloc(1, 0, 0, NULL, NULL);
	CU_ASSERT_PTR_NOT_NULL_FATAL(mm);
	memset(model, 0, sizeof(model));
	rnd = test_seed();
}

static void down(void)
{
	mmput(mm);
	CU_ASSERT_EQUAL(vm_stat_read(NR_PAGETABLE), 0);
	CU_ASSERT_EQUAL(fake_mm_exit(), 0);
}

/* 2 * 2 * 4 tables of ptes with 8 ptes each. */
static void make_spots(void)
{
	static const unsigned long pgds[] = { 0, 200 };
	static const unsigned long puds[] = { 3, 511 };
	static const unsigned long pmds[] = { 0, 1, 300, 511 };
	static const unsigned long ptes[] = { 0, 1, 2, 63, 64, 300, 510, 511 };
	unsigned int n = 0;

	for (unsigned int a = 0; a < 2; a++)
		for (unsigned int b = 0; b < 2; b++)
			for (unsigned int c = 0; c < 4; c++)
				for (unsigned int d = 0; d < 8; d++)
					spots[n++] = pgds[a] << PGDIR_SHIFT |
						     puds[b] << PUD_SHIFT |
						     pmds[c] << PMD_SHIFT |
						     ptes[d] << PAGE_SHIFT;
	BUG_ON(n != NR_SPOTS);
}

/* Tables that lead to the spots in use; of a level all have their own prefix. */
static unsigned long tables_expected(void)
{
	static const unsigned int shifts[] = { 63, PGDIR_SHIFT, PUD_SHIFT,
					       PMD_SHIFT };
	unsigned long nr = 0, last;

	for (unsigned int level = 0; level < 4; level++) {
		last = ~0UL;
		for (unsigned int i = 0; i < NR_SPOTS; i++) {
			if (!model[i] || spots[i] >> shifts[level] == last)
				continue;
			last = spots[i] >> shifts[level];
			nr++;
		}
	}
	return nr;
}

static uint64_t pte_at(unsigned long addr)
{
	pte_t *ptep;
	uint64_t v;

	mutex_lock(&mm->page_table_lock);
	ptep = pte_offset(mm, addr);
	v = ptep ? ptep->pte : 0;
	mutex_unlock(&mm->page_table_lock);
	return v;
}

static bool all_is_right(void)
{
	unsigned long present = 0;

	pgtable_check(mm);
	for (unsigned int i = 0; i < NR_SPOTS; i++) {
		if (pte_at(spots[i]) != model[i])
			return false;
		present += pte_present((pte_t){ model[i] });
	}
	return atomic_load(&mm->rss) == present &&
	       atomic_load(&mm->nr_ptes) == tables_expected() &&
	       vm_stat_read(NR_PAGETABLE) == tables_expected();
}

static void put_pte(unsigned long addr, uint64_t v)
{
	pte_t *ptep;

	mutex_lock(&mm->page_table_lock);
	ptep = pte_offset(mm, addr);
	if (ptep)
		set_pte(mm, addr, ptep, (pte_t){ v });
	mutex_unlock(&mm->page_table_lock);
	BUG_ON(!ptep && v);
}

/* Present, in some way, or a swap entry. */
static uint64_t random_pte(void)
{
	uint64_t v = test_rand(&rnd);

	return v % 4 ? _PAGE_PRESENT | (v & (_PAGE_RW | _PAGE_DIRTY)) :
		       (v << 12 | 0x1000) & ~_PAGE_PRESENT;
}

/* ---- single cases ---- */

static void first_pte_makes_four_tables_last_frees_them(void)
{
	unsigned long addr = TASK_SIZE - PAGE_SIZE;

	up();
	CU_ASSERT_EQUAL(pte_at(addr), 0);
	CU_ASSERT_EQUAL(atomic_load(&mm->nr_ptes), 0);
	CU_ASSERT_EQUAL(pte_alloc(mm, addr), 0);
	CU_ASSERT_EQUAL(pte_alloc(mm, addr), 0);
	CU_ASSERT_EQUAL(atomic_load(&mm->nr_ptes), 4);
	pgtable_check(mm);
	put_pte(addr, _PAGE_PRESENT);
	CU_ASSERT_EQUAL(atomic_load(&mm->rss), 1);
	put_pte(addr, _PAGE_PRESENT | _PAGE_RW | _PAGE_DIRTY);
	CU_ASSERT_EQUAL(atomic_load(&mm->rss), 1);
	CU_ASSERT_EQUAL(atomic_load(&mm->nr_ptes), 4);
	put_pte(addr, 0);
	CU_ASSERT_EQUAL(atomic_load(&mm->rss), 0);
	CU_ASSERT_EQUAL(atomic_load(&mm->nr_ptes), 0);
	pgtable_check(mm);
	down();
}

static void clear_it(struct mm_struct *of, unsigned long addr, pte_t *ptep,
		     void *arg)
{
	(void)arg;
	set_pte(of, addr, ptep, (pte_t){ 0 });
}

static void walk_and_clear(unsigned long start, unsigned long end)
{
	mutex_lock(&mm->page_table_lock);
	walk_page_range(mm, start, end, clear_it, NULL);
	mutex_unlock(&mm->page_table_lock);
}

static void unused_tables_stay_until_their_range_is_zapped(void)
{
	unsigned long addr = 5UL << PMD_SHIFT;

	up();
	CU_ASSERT_EQUAL(pte_alloc(mm, addr), 0);
	walk_and_clear(0, TASK_SIZE);
	CU_ASSERT_EQUAL(atomic_load(&mm->nr_ptes), 4);
	zap_page_range(mm, 0, addr);
	CU_ASSERT_EQUAL(atomic_load(&mm->nr_ptes), 4);
	zap_page_range(mm, addr + (1UL << PMD_SHIFT), TASK_SIZE);
	CU_ASSERT_EQUAL(atomic_load(&mm->nr_ptes), 4);
	zap_page_range(mm, addr + PAGE_SIZE, addr + 2 * PAGE_SIZE);
	CU_ASSERT_EQUAL(atomic_load(&mm->nr_ptes), 0);
	/* Or to the end. */
	CU_ASSERT_EQUAL(pte_alloc(mm, addr), 0);
	down();
}

static void nothing_is_left_when_memory_runs_out(void)
{
	up();
	for (unsigned long n = 1; n <= 4; n++) {
		fail_page_alloc(n, false);
		CU_ASSERT_EQUAL(pte_alloc(mm, 0x1000), -ENOMEM);
		fail_page_alloc(0, false);
		CU_ASSERT_EQUAL(atomic_load(&mm->nr_ptes), 0);
		pgtable_check(mm);
	}
	fail_page_alloc(5, false);
	CU_ASSERT_EQUAL(pte_alloc(mm, 0x1000), 0);
	/* Only the tables that are missing are asked for. */
	fail_page_alloc(2, false);
	CU_ASSERT_EQUAL(pte_alloc(mm, 1UL << PMD_SHIFT), 0);
	fail_page_alloc(0, false);
	CU_ASSERT_EQUAL(atomic_load(&mm->nr_ptes), 5);
	pgtable_free_all(mm);
	CU_ASSERT_EQUAL(atomic_load(&mm->nr_ptes), 0);
	down();
}

static void full_table_counts_to_512(void)
{
	up();
	for (unsigned long i = 0; i < PTRS_PER_TABLE; i++) {
		CU_ASSERT_EQUAL(pte_alloc(mm, i << PAGE_SHIFT), 0);
		put_pte(i << PAGE_SHIFT, _PAGE_PRESENT);
	}
	pgtable_check(mm);
	CU_ASSERT_EQUAL(atomic_load(&mm->rss), PTRS_PER_TABLE);
	CU_ASSERT_EQUAL(atomic_load(&mm->nr_ptes), 4);
	zap_page_range(mm, PAGE_SIZE, 1UL << PMD_SHIFT);
	CU_ASSERT_EQUAL(atomic_load(&mm->rss), 1);
	CU_ASSERT_EQUAL(atomic_load(&mm->nr_ptes), 4);
	zap_page_range(mm, 0, PAGE_SIZE);
	CU_ASSERT_EQUAL(atomic_load(&mm->nr_ptes), 0);
	down();
}

/* ---- ranges ---- */

/* A walk, what it must see next, and what it leaves behind. */
struct walk {
	unsigned int next;		/* spot */
	unsigned long end;
	bool ok;
	unsigned int mode;		/* 0: look, 1: clear some, 2: clear all */
};

static void skip_none(struct walk *walk)
{
	while (walk->next < NR_SPOTS && !model[walk->next])
		walk->next++;
}

static void walk_fn(struct mm_struct *of, unsigned long addr, pte_t *ptep,
		    void *arg)
{
	struct walk *walk = arg;
	uint64_t v;

	skip_none(walk);
	if (of != mm || walk->next == NR_SPOTS || spots[walk->next] != addr ||
	    addr >= walk->end || ptep->pte != model[walk->next]) {
		walk->ok = false;
		return;
	}
	if (walk->mode) {
		v = walk->mode == 2 || test_rand(&rnd) % 2 ? 0 : random_pte();
		set_pte(of, addr, ptep, (pte_t){ v });
		model[walk->next] = v;
	}
	walk->next++;
}

static bool walk_is_right(unsigned long first, unsigned long end,
			  unsigned int mode)
{
	struct walk walk = { .end = end, .ok = true, .mode = mode };

	while (walk.next < NR_SPOTS && spots[walk.next] < first)
		walk.next++;
	mutex_lock(&mm->page_table_lock);
	walk_page_range(mm, first, end, walk_fn, &walk);
	mutex_unlock(&mm->page_table_lock);
	skip_none(&walk);
	return walk.ok &&
	       (walk.next == NR_SPOTS || spots[walk.next] >= end);
}

static void zap(unsigned long first, unsigned long end)
{
	zap_page_range(mm, first, end);
	for (unsigned int i = 0; i < NR_SPOTS; i++)
		if (spots[i] >= first && spots[i] < end)
			model[i] = 0;
}

/* Around a spot, so that ranges begin and end where something may be. */
static unsigned long random_end(void)
{
	unsigned long addr = spots[test_rand(&rnd) % NR_SPOTS];

	switch (test_rand(&rnd) % 4) {
	case 0:
		return addr + PAGE_SIZE;
	case 1:
		return ALIGN_DOWN(addr, 1UL << PMD_SHIFT);
	case 2:
		return ALIGN_DOWN(addr, 1UL << PUD_SHIFT);
	default:
		return addr;
	}
}

static bool random_step(void)
{
	unsigned int i = test_rand(&rnd) % NR_SPOTS;
	unsigned long a = random_end(), b = random_end();
	unsigned long first = min(a, b), end = max(a, b);
	unsigned int what = test_rand(&rnd) % 100;

	if (what < 60) {
		if (pte_alloc(mm, spots[i]))
			return false;
		model[i] = random_pte();
		put_pte(spots[i], model[i]);
	} else if (what < 85) {
		model[i] = 0;
		put_pte(spots[i], 0);
	} else if (what < 90) {
		zap(first, end);
	} else {
		return walk_is_right(first, end, what % 3);
	}
	return true;
}

static void random_steps_agree_with_a_map(void)
{
	bool ok = true;

	up();
	make_spots();
	for (unsigned int step = 0; step < 6000 && ok; step++)
		ok = random_step() && all_is_right();
	CU_ASSERT(ok);
	ok = walk_is_right(0, TASK_SIZE, 0);
	CU_ASSERT(ok);
	zap(0, TASK_SIZE);
	CU_ASSERT(all_is_right());
	down();
}

static void walk_that_clears_all_frees_all(void)
{
	up();
	make_spots();
	for (unsigned int i = 0; i < NR_SPOTS; i++) {
		CU_ASSERT_EQUAL(pte_alloc(mm, spots[i]), 0);
		model[i] = _PAGE_PRESENT;
		put_pte(spots[i], model[i]);
	}
	CU_ASSERT(all_is_right());
	CU_ASSERT(walk_is_right(0, TASK_SIZE, 2));
	CU_ASSERT_EQUAL(atomic_load(&mm->nr_ptes), 0);
	CU_ASSERT(all_is_right());
	down();
}

/* ---- threads ---- */

#define NR_RACERS	4u

/* Each owns every fourth pte of two tables, which come and go under all. */
static void *race(void *arg)
{
	unsigned long mine = (unsigned long)arg;
	uint64_t state = test_seed() + mine;
	unsigned long lost = 0;

	for (unsigned int i = 0; i < 4000; i++) {
		unsigned long addr = (test_rand(&state) % 2 << PMD_SHIFT) +
				     ((test_rand(&state) % 3 * NR_RACERS +
				       mine) << PAGE_SHIFT);
		pte_t *ptep = NULL;

		while (!ptep) {
			BUG_ON(pte_alloc(mm, addr));
			mutex_lock(&mm->page_table_lock);
			ptep = pte_offset(mm, addr);
			if (ptep)
				set_pte(mm, addr, ptep, (pte_t){ mine << 12 |
					_PAGE_PRESENT });
			mutex_unlock(&mm->page_table_lock);
		}
		lost += pte_at(addr) != (mine << 12 | _PAGE_PRESENT);
		if (test_rand(&state) % 8)
			put_pte(addr, 0);
		else
			zap_page_range(mm, addr, addr + PAGE_SIZE);
	}
	return (void *)lost;
}

static void tables_come_and_go_under_threads(void)
{
	pthread_t threads[NR_RACERS];
	void *lost;

	up();
	for (unsigned long i = 0; i < NR_RACERS; i++)
		BUG_ON(pthread_create(&threads[i], NULL, race, (void *)i));
	for (unsigned int i = 0; i < NR_RACERS; i++) {
		pthread_join(threads[i], &lost);
		CU_ASSERT_PTR_NULL(lost);
	}
	pgtable_check(mm);
	CU_ASSERT_EQUAL(atomic_load(&mm->rss), 0);
	down();
}

/* It dies with the lock held, and the arena is shared: with one of its own. */
static void check(void *unused)
{
	struct mm_struct copy = *mm;

	(void)unused;
	mutex_init(&copy.page_table_lock, LOCK_PTL);
	pgtable_check(&copy);
}

static void check_finds_wrong_counts(void)
{
	up();
	CU_ASSERT_EQUAL(pte_alloc(mm, 0), 0);
	put_pte(0, _PAGE_PRESENT);
	CU_ASSERT_FALSE(dies(check, NULL));
	atomic_fetch_add(&mm->rss, 1);
	CU_ASSERT(dies(check, NULL));
	atomic_fetch_sub(&mm->rss, 1);
	mm->pgd.entry++;
	CU_ASSERT(dies(check, NULL));
	mm->pgd.entry--;
	pgtable_free_all(mm);
	down();
}

static const struct test_case cases[] = {
	{ "the first pte makes four tables, the last frees them",
	  first_pte_makes_four_tables_last_frees_them },
	{ "unused tables stay until their range is zapped",
	  unused_tables_stay_until_their_range_is_zapped },
	{ "nothing is left when memory runs out",
	  nothing_is_left_when_memory_runs_out },
	{ "a full table counts to 512", full_table_counts_to_512 },
	{ "random steps agree with a map", random_steps_agree_with_a_map },
	{ "a walk that clears all frees all", walk_that_clears_all_frees_all },
	{ "tables come and go under threads",
	  tables_come_and_go_under_threads },
	{ "pgtable_check finds wrong counts", check_finds_wrong_counts },
};

int main(void)
{
	return test_main("mm/pgtable", cases, ARRAY_SIZE(cases));
}
