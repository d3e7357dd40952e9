// SPDX-License-Identifier: BSD-2-Clause
/*
 * tests/mm/test_rmap.c - mm/rmap.c: from pages to the clients that have them
 *
 * The file's pages 0-63 are mapped by @c as a whole, and by @other in two
 * pieces that overlap in the file: 10-39 and 30-49.
 */
#include <errno.h>
#include <string.h>

#include "harness.h"
#include "pair.h"
#include "vmstat.h"

#define MEMORY		(16UL << 20)
#define REGION		1024UL
#define PAGES		64UL
#define RW		(VM_READ | VM_WRITE | VM_SHARED)

static unsigned long at, low, high;

static void up(void)
{
	pair_up(&(struct pair_conf){
		.memory = MEMORY, .mode = FAKE_SYNC, .pages = PAGES,
		.region = REGION,
	});
	at = low = high = 0;
	CU_ASSERT_EQUAL(fake_mmap(c, m, 0, PAGES, RW, &at), 0);
	CU_ASSERT_EQUAL(fake_mmap(other, m, 10, 30, RW, &low), 0);
	CU_ASSERT_EQUAL(fake_mmap(other, m, 30, 20, RW, &high), 0);
}

static unsigned long c_addr(pgoff_t i)
{
	return at + i * PAGE_SIZE;
}

static unsigned long low_addr(pgoff_t i)
{
	return low + (i - 10) * PAGE_SIZE;
}

static unsigned long high_addr(pgoff_t i)
{
	return high + (i - 30) * PAGE_SIZE;
}

/* Every page is writable wherever it is mapped. */
static void write_everywhere(void)
{
	for (pgoff_t i = 0; i < PAGES; i++) {
		CU_ASSERT_EQUAL(fake_store(c, c_addr(i), i), FAKE_OK);
		if (i >= 10 && i < 40)
			CU_ASSERT_EQUAL(fake_store(other, low_addr(i), i),
					FAKE_OK);
		if (i >= 30 && i < 50)
			CU_ASSERT_EQUAL(fake_store(other, high_addr(i), i),
					FAKE_OK);
	}
}

static void calls_clear(void)
{
	c->nr_calls = other->nr_calls = 0;
}

static unsigned int calls_of(struct fake_client *who, enum fake_call_kind kind)
{
	unsigned int nr = 0;

	for (unsigned int i = 0; i < min(who->nr_calls, FAKE_CALLS); i++)
		nr += who->calls[i].kind == kind;
	return nr;
}

/* Locks pages [@first, @first + @nr) for @fn. */
static int with_pages(int (*fn)(struct page **pages, unsigned int nr),
		      pgoff_t first, unsigned int nr)
{
	struct page *pages[PAGES];
	int ret;

	for (unsigned int i = 0; i < nr; i++) {
		pages[i] = find_lock_page(&m->file->mapping, first + i);
		CU_ASSERT_PTR_NOT_NULL_FATAL(pages[i]);
	}
	ret = fn(pages, nr);
	for (unsigned int i = 0; i < nr; i++) {
		unlock_page(pages[i]);
		put_page(pages[i]);
	}
	return ret;
}

/* Who of the three may write to page @i: c, low, high as bits. */
static unsigned int writers(pgoff_t i)
{
	unsigned int who = fake_can(c, c_addr(i), true);

	if (i >= 10 && i < 40)
		who |= fake_can(other, low_addr(i), true) << 1;
	if (i >= 30 && i < 50)
		who |= fake_can(other, high_addr(i), true) << 2;
	return who;
}

static unsigned int all_writers(pgoff_t i)
{
	return 1 | (i >= 10 && i < 40) << 1 | (i >= 30 && i < 50) << 2;
}

static void mkclean_reaches_everybody(void)
{
	up();
	write_everywhere();
	for (pgoff_t i = 0; i < PAGES; i++)
		CU_ASSERT_EQUAL(writers(i), all_writers(i));
	calls_clear();
	CU_ASSERT_EQUAL(with_pages(page_mkclean, 5, 40), 0);
	for (pgoff_t i = 0; i < PAGES; i++)
		CU_ASSERT_EQUAL(writers(i), i >= 5 && i < 45 ? 0 :
				all_writers(i));
	/* one call for each VMA's part */
	CU_ASSERT_EQUAL(calls_of(c, CALL_PROTECT), 1);
	CU_ASSERT_EQUAL(calls_of(other, CALL_PROTECT), 2);
	CU_ASSERT_EQUAL(vm_event(PGMKCLEAN), 40 + 30 + 15);
	/* they can still read */
	for (pgoff_t i = 5; i < 45; i++)
		CU_ASSERT(fake_can(c, c_addr(i), false));
	fake_mmu_check();
	for (pgoff_t i = 5; i < 45; i++)
		CU_ASSERT_EQUAL(fake_store(c, c_addr(i), 2 * i), FAKE_OK);
	down();
}

static void only_writers_are_asked(void)
{
	uint64_t word;

	up();
	for (pgoff_t i = 0; i < PAGES; i++)
		CU_ASSERT_EQUAL(fake_load(c, c_addr(i), &word), FAKE_OK);
	for (pgoff_t i = 20; i < 30; i += 2)
		CU_ASSERT_EQUAL(fake_store(other, low_addr(i), i), FAKE_OK);
	calls_clear();
	CU_ASSERT_EQUAL(with_pages(page_mkclean, 0, PAGES), 0);
	CU_ASSERT_EQUAL(c->nr_calls, 0);
	CU_ASSERT(calls_of(other, CALL_PROTECT) >= 1);
	CU_ASSERT(calls_of(other, CALL_PROTECT) <= 5);
	for (pgoff_t i = 0; i < PAGES; i++)
		CU_ASSERT_EQUAL(writers(i), 0);
	/* and once they cannot, not again */
	calls_clear();
	CU_ASSERT_EQUAL(with_pages(page_mkclean, 0, PAGES), 0);
	CU_ASSERT_EQUAL(c->nr_calls + other->nr_calls, 0);
	down();
}

static void unreachable_clients_keep_the_right(void)
{
	up();
	write_everywhere();
	fake_client_unreachable(c, 1, 0);
	CU_ASSERT_EQUAL(with_pages(page_mkclean, 0, PAGES), -EAGAIN);
	for (pgoff_t i = 0; i < PAGES; i++) {
		/* as if not asked, but for what it may have done already */
		CU_ASSERT_EQUAL(writers(i) & 6, 0);
		CU_ASSERT_EQUAL(fake_store(c, c_addr(i), i), FAKE_OK);
	}
	fake_mmu_check();
	fake_client_unreachable(other, 1, 0);
	write_everywhere();
	CU_ASSERT_EQUAL(with_pages(page_mkclean, 0, PAGES), -EAGAIN);
	CU_ASSERT_EQUAL(with_pages(page_mkclean, 0, PAGES), 0);
	for (pgoff_t i = 0; i < PAGES; i++)
		CU_ASSERT_EQUAL(writers(i), 0);
	down();
}

static void split_vmas_are_asked_piecewise(void)
{
	up();
	write_everywhere();
	CU_ASSERT_EQUAL(fake_munmap(c, c_addr(20), 5), 0);
	CU_ASSERT_EQUAL(fake_mprotect(c, c_addr(40), 5, VM_READ), 0);
	CU_ASSERT_EQUAL(fake_munmap(other, high_addr(33), 2), 0);
	CU_ASSERT_EQUAL(with_pages(page_mkclean, 0, PAGES), 0);
	CU_ASSERT_EQUAL(fake_mprotect(c, c_addr(40), 5, VM_READ | VM_WRITE), 0);
	for (pgoff_t i = 0; i < PAGES; i++) {
		CU_ASSERT(i >= 20 && i < 25 ? true :
			  !fake_can(c, c_addr(i), true));
		CU_ASSERT(i < 10 || i >= 40 ? true :
			  !fake_can(other, low_addr(i), true));
	}
	down();
}

static void unmap_takes_all_ptes(void)
{
	uint64_t word;

	up();
	write_everywhere();
	CU_ASSERT_EQUAL(atomic_load(&c->mm->rss), PAGES);
	CU_ASSERT_EQUAL(atomic_load(&other->mm->rss), 50);
	CU_ASSERT_EQUAL(with_pages(try_to_unmap, 20, 20), 0);
	CU_ASSERT_EQUAL(atomic_load(&c->mm->rss), PAGES - 20);
	CU_ASSERT_EQUAL(atomic_load(&other->mm->rss), 50 - 20 - 10);
	for (pgoff_t i = 0; i < PAGES; i++)
		CU_ASSERT_EQUAL(writers(i), i >= 20 && i < 40 ? 0 :
				all_writers(i));
	/* the pages are where they were: nobody has moved them */
	for (pgoff_t i = 0; i < PAGES; i++) {
		CU_ASSERT_EQUAL(fake_load(c, c_addr(i), &word), FAKE_OK);
		CU_ASSERT_EQUAL(word, i);
	}
	for (pgoff_t i = 20; i < 40; i++) {
		CU_ASSERT_EQUAL(fake_store(c, c_addr(i), i), FAKE_OK);
		CU_ASSERT_EQUAL(fake_store(other, low_addr(i), i), FAKE_OK);
	}
	down();
}

static void unmap_fails_as_a_whole(void)
{
	up();
	write_everywhere();
	fake_client_unreachable(other, UINT32_MAX, 0);
	CU_ASSERT_EQUAL(with_pages(try_to_unmap, 0, PAGES), -EAGAIN);
	fake_client_unreachable(other, 0, 0);
	fake_mmu_check();
	write_everywhere();
	fake_mmu_check();
	CU_ASSERT_EQUAL(with_pages(try_to_unmap, 0, PAGES), 0);
	CU_ASSERT_EQUAL(atomic_load(&c->mm->rss) + atomic_load(&other->mm->rss),
			0);
	down();
}

static void unmapping_a_range_leaves_the_rest(void)
{
	up();
	write_everywhere();
	unmap_mapping_range(&m->file->mapping, 35, 44);
	CU_ASSERT_EQUAL(atomic_load(&c->mm->rss), PAGES - 10);
	CU_ASSERT_EQUAL(atomic_load(&other->mm->rss), 50 - 5 - 10);
	unmap_mapping_range(&m->file->mapping, 60, ~0UL);
	CU_ASSERT_EQUAL(atomic_load(&c->mm->rss), PAGES - 10 - 4);
	unmap_mapping_range(&m->file->mapping, 0, ~0UL);
	CU_ASSERT_EQUAL(atomic_load(&c->mm->rss) + atomic_load(&other->mm->rss),
			0);
	CU_ASSERT_EQUAL(vm_stat_read(NR_PAGETABLE), 0);
	/* Who unmaps a range goes on to drop its pages. */
	CU_ASSERT_EQUAL(fake_mount_zero(m, 0, PAGES * PAGE_SIZE), 0);
	write_everywhere();
	down();
}

static int mlocked(struct page **pages, unsigned int nr)
{
	int locked = 0;

	for (unsigned int i = 0; i < nr; i++)
		locked += page_is_mlocked(pages[i]);
	return locked;
}

static void mlocked_pages_are_known(void)
{
	up();
	write_everywhere();
	CU_ASSERT_EQUAL(with_pages(mlocked, 0, PAGES), 0);
	CU_ASSERT_EQUAL(do_mlock(c->mm, c_addr(4), 8 * PAGE_SIZE, PAGES), 0);
	CU_ASSERT_EQUAL(do_mlock(other->mm, high_addr(40), 4 * PAGE_SIZE, PAGES),
			0);
	CU_ASSERT_EQUAL(with_pages(mlocked, 0, PAGES), 12);
	CU_ASSERT_EQUAL(with_pages(mlocked, 4, 8), 8);
	CU_ASSERT_EQUAL(with_pages(mlocked, 40, 4), 4);
	CU_ASSERT_EQUAL(fake_munmap(c, c_addr(0), 6), 0);
	CU_ASSERT_EQUAL(with_pages(mlocked, 0, PAGES), 10);
	down();
}

static void dead_clients_are_not_asked(void)
{
	up();
	write_everywhere();
	fake_client_free(other);
	other = fake_client_new(REGION);
	calls_clear();
	CU_ASSERT_EQUAL(with_pages(page_mkclean, 0, PAGES), 0);
	CU_ASSERT_EQUAL(calls_of(c, CALL_PROTECT), 1);
	CU_ASSERT_EQUAL(other->nr_calls, 0);
	low = high = 0;
	CU_ASSERT_EQUAL(fake_mmap(other, m, 10, 30, RW, &low), 0);
	CU_ASSERT_EQUAL(fake_mmap(other, m, 30, 20, RW, &high), 0);
	write_everywhere();
	down();
}

static const struct test_case cases[] = {
	{ "page_mkclean reaches every VMA, once each", mkclean_reaches_everybody },
	{ "only clients that may write are asked", only_writers_are_asked },
	{ "a client that cannot be reached keeps its right",
	  unreachable_clients_keep_the_right },
	{ "split VMAs are asked piece by piece", split_vmas_are_asked_piecewise },
	{ "try_to_unmap takes every pte of the pages", unmap_takes_all_ptes },
	{ "try_to_unmap that fails leaves nobody unknown",
	  unmap_fails_as_a_whole },
	{ "unmapping a range leaves the rest", unmapping_a_range_leaves_the_rest },
	{ "mlocked pages are found by their VMAs", mlocked_pages_are_known },
	{ "clients that are gone are not asked", dead_clients_are_not_asked },
};

int main(void)
{
	return test_main("mm/rmap", cases, ARRAY_SIZE(cases));
}
