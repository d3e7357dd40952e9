// SPDX-License-Identifier: BSD-2-Clause
/*
 * tests/mm/test_anon.c - memory without a file: mm/anon.c, mm/memory_anon.c,
 *                        mm/shmem.c, mm/shmem_swap.c, mm/swap_state.c
 *
 * Clients of fake_mmu.c, a swap device of fake_swapdev.c, and nothing that runs by
 * itself: pages leave when a case says so (push_out()).
 */
#include <errno.h>
#include <pthread.h>
#include <string.h>
#include <unistd.h>

#include "err.h"
#include "fake_mmu.h"
#include "fake_swapdev.h"
#include "harness.h"
#include "internal.h"
#include "shmem_i.h"
#include "slab.h"
#include "vma.h"
#include "vmstat.h"
#include "window_i.h"

#define MEMORY		(16UL << 20)
#define REGION		16384UL		/* pages */
#define RW		(VM_READ | VM_WRITE)
#define SLOTS		4096UL
#define FILE_PAGES	64UL

static struct fake_disk disk;
static struct fake_swapdev swap;
static bool swap_is_on;
static struct fake_mapped *m;		/* a file of FILE_PAGES - 1/2 */
static struct fake_client *c;

/* ---- up and down ---- */

static void up_with(size_t memory, enum fake_mode mode, unsigned long slots)
{
	const size_t size = (FILE_PAGES << PAGE_SHIFT) - PAGE_SIZE / 2;

	fake_mmu_init(memory, 1, false);
	fake_disk_init(&disk, FAKE_SYNC);
	m = fake_mapped_new(fake_file_new(&disk, FILE_PAGES << PAGE_SHIFT,
					  size), 0);
	c = fake_client_new(REGION);
	swap_is_on = slots;
	if (slots)
		fake_swapdev_on(&swap, mode, slots, -1);
}

static void up(void)
{
	up_with(MEMORY, FAKE_SYNC, SLOTS);
}

static void check(void)
{
	if (swap_is_on) {
		fake_swapdev_drain(&swap);
		fake_swapdev_check(&swap);
	}
	fake_mmu_check();
}

static void down(void)
{
	if (c) {
		check();
		fake_client_free(c);
	}
	c = NULL;
	fake_mapped_free(m);
	CU_ASSERT_EQUAL(fake_disk_exit(&disk), 0);
	if (swap_is_on) {
		fake_swapdev_drain(&swap);
		CU_ASSERT_EQUAL(swap_off(swap.dev.path, NULL, NULL), 0);
		CU_ASSERT_EQUAL(fake_swapdev_exit(&swap), 0);
	}
	CU_ASSERT_EQUAL(fake_mmu_exit(), 0);
}

/* ---- words ---- */

static uint64_t word_of(unsigned long i)
{
	return 0x9e3779b97f4a7c15ULL * (i + 1);
}

static bool loads(struct fake_client *who, unsigned long addr, uint64_t want)
{
	uint64_t got;

	return fake_load(who, addr, &got) == FAKE_OK && got == want;
}

static bool stores(struct fake_client *who, unsigned long addr, uint64_t word)
{
	return fake_store(who, addr, word) == FAKE_OK;
}

/* Both ends of pages [@first, @first + @nr) of a mapping are word_of(page + @salt). */
static bool fill(struct fake_client *who, unsigned long addr, unsigned long nr,
		 unsigned long salt)
{
	for (unsigned long i = 0; i < nr; i++, addr += PAGE_SIZE)
		if (!stores(who, addr, word_of(i + salt)) ||
		    !stores(who, addr + PAGE_SIZE - 8, ~word_of(i + salt)))
			return false;
	return true;
}

static bool is_filled(struct fake_client *who, unsigned long addr,
		      unsigned long nr, unsigned long salt)
{
	for (unsigned long i = 0; i < nr; i++, addr += PAGE_SIZE)
		if (!loads(who, addr, word_of(i + salt)) ||
		    !loads(who, addr + PAGE_SIZE - 8, ~word_of(i + salt)))
			return false;
	return true;
}

static bool is_zeros(struct fake_client *who, unsigned long addr,
		     unsigned long nr)
{
	for (unsigned long i = 0; i < nr; i++, addr += PAGE_SIZE)
		if (!loads(who, addr, 0) ||
		    !loads(who, addr + PAGE_SIZE - 8, 0))
			return false;
	return true;
}

/* Pages of @m's file from @pgoff on. */
static bool is_files(struct fake_client *who, unsigned long addr,
		     unsigned long nr, pgoff_t pgoff)
{
	for (; nr; nr--, pgoff++, addr += PAGE_SIZE)
		if (!loads(who, addr, fake_word(pgoff << PAGE_SHIFT)) ||
		    !loads(who, addr + 64, fake_word((pgoff << PAGE_SHIFT) + 64)))
			return false;
	return true;
}

/* The store has what it had from the start. */
static bool file_is_untouched(void)
{
	CU_ASSERT_EQUAL(sync_mapping(m->mapping, false), 0);
	return fake_is(m->file->data, 0,
		       (FILE_PAGES << PAGE_SHIFT) - PAGE_SIZE / 2);
}

/* ---- memory ---- */

static unsigned long anon_pages(void)
{
	return vm_stat_read(NR_ANON_PAGES);
}

static unsigned long used_slots(void)
{
	return total_swap_pages() - nr_swap_pages();
}

/* All of @who's private memory that can leave does. Return: pages that stay. */
static unsigned long push_out_of(struct address_space *mapping)
{
	if (mapping)
		window_demote_all(mapping);
	for (int i = 0; i < 300 && anon_pages(); i++) {
		try_to_free_pages(GFP_USER | __GFP_NORETRY, 0, ZONE_MOVABLE);
		fake_swapdev_drain(&swap);
	}
	return anon_pages();
}

static unsigned long push_out(struct fake_client *who)
{
	return push_out_of(who->anon ? who->anon->mapping : NULL);
}

static unsigned long map(struct fake_client *who, unsigned long nr)
{
	unsigned long addr = 0;

	CU_ASSERT_EQUAL_FATAL(fake_mmap_private(who, NULL, 0, nr, RW, &addr), 0);
	return addr;
}

static unsigned long map_file(struct fake_client *who, pgoff_t pgoff,
			      unsigned long nr)
{
	unsigned long addr = 0;

	CU_ASSERT_EQUAL_FATAL(fake_mmap_private(who, m, pgoff, nr, RW, &addr), 0);
	return addr;
}

static struct fake_client *fork_of(struct fake_client *parent)
{
	struct fake_client *child = NULL;

	CU_ASSERT_EQUAL_FATAL(fake_fork(parent, &child), 0);
	return child;
}

/* ---- first touch ---- */

static void nothing_before_first_touch(void)
{
	unsigned long at;

	up();
	at = map(c, 1000);
	CU_ASSERT_EQUAL(anon_pages(), 0);
	CU_ASSERT_EQUAL(nr_window_pages(), 0);
	CU_ASSERT_EQUAL(vm_committed_as(), 1000);
	CU_ASSERT(is_zeros(c, at + 10 * PAGE_SIZE, 1));
	CU_ASSERT_EQUAL(anon_pages(), 1);
	CU_ASSERT_EQUAL(vm_event(PGZEROED), 1);
	CU_ASSERT_EQUAL(vm_event(PGMAJFAULT), 0);
	check();
	CU_ASSERT(stores(c, at + 500 * PAGE_SIZE, 5));
	CU_ASSERT(loads(c, at + 500 * PAGE_SIZE, 5));
	CU_ASSERT(loads(c, at + 500 * PAGE_SIZE + 8, 0));
	CU_ASSERT_EQUAL(c->nr_messages, 2);
	down();
}

static void first_touch_is_zeros(void)
{
	unsigned long at;

	up();
	at = map(c, 700);
	CU_ASSERT(is_zeros(c, at, 700));
	check();
	CU_ASSERT(fill(c, at, 700, 0));
	CU_ASSERT(is_filled(c, at, 700, 0));
	down();
}

/* The kernel takes the right to store away when it takes the protection away, and
 * gives it back at the next store, by a fault of its own. */
static void first_stores_need_no_unprotecting(void)
{
	unsigned long at;

	up();
	at = map(c, 700);
	c->nr_calls = 0;
	CU_ASSERT(fill(c, at, 700, 0));
	CU_ASSERT(c->nr_calls > 0 && c->nr_calls < FAKE_CALLS);
	for (unsigned int i = 0; i < c->nr_calls; i++)
		CU_ASSERT(c->calls[i].kind != CALL_UNPROTECT);
	CU_ASSERT(c->nr_messages < 20);
	down();
}

/* What another mapping had there before is not seen. */
static void mapped_anew_is_zeros(void)
{
	unsigned long at, again;

	up();
	at = map(c, 50);
	CU_ASSERT(fill(c, at, 50, 0));
	CU_ASSERT_EQUAL(push_out(c), 0);
	CU_ASSERT(is_filled(c, at, 20, 0));
	CU_ASSERT_EQUAL(fake_munmap(c, at, 50), 0);
	again = at;
	CU_ASSERT_EQUAL(fake_mmap_private(c, NULL, 0, 50, RW, &again), 0);
	CU_ASSERT_EQUAL(again, at);
	CU_ASSERT(is_zeros(c, at, 50));
	down();
}

/* ---- out and in ---- */

static void survives_swapping_in(enum fake_mode mode)
{
	unsigned long at;

	up_with(MEMORY, mode, SLOTS);
	at = map(c, 600);
	CU_ASSERT(fill(c, at, 600, 3));
	CU_ASSERT_EQUAL(push_out(c), 0);
	CU_ASSERT_EQUAL(used_slots(), 600);
	CU_ASSERT_EQUAL(atomic_load(&swap.pages[SWAP_WRITE]), 600);
	check();
	CU_ASSERT(is_filled(c, at, 600, 3));
	CU_ASSERT(vm_event(PGMAJFAULT) > 0);
	check();
	CU_ASSERT(fill(c, at + 100 * PAGE_SIZE, 200, 9));
	CU_ASSERT(used_slots() <= 400);
	CU_ASSERT_EQUAL(push_out(c), 0);
	CU_ASSERT(is_filled(c, at, 100, 3));
	CU_ASSERT(is_filled(c, at + 100 * PAGE_SIZE, 200, 9));
	CU_ASSERT(is_filled(c, at + 300 * PAGE_SIZE, 300, 303));
	down();
}

static void survives_swapping(void)
{
	survives_swapping_in(FAKE_SYNC);
}

static void survives_async_swapping(void)
{
	survives_swapping_in(FAKE_ASYNC);
}

static void survives_plugged_swapping(void)
{
	survives_swapping_in(FAKE_PLUG);
}

static void clean_page_is_not_written_again(void)
{
	unsigned long at;

	up();
	at = map(c, 100);
	CU_ASSERT(fill(c, at, 100, 0));
	CU_ASSERT_EQUAL(push_out(c), 0);
	CU_ASSERT(is_filled(c, at, 100, 0));
	CU_ASSERT_EQUAL(anon_pages(), 100);
	CU_ASSERT_EQUAL(used_slots(), 100);
	CU_ASSERT_EQUAL(push_out(c), 0);
	CU_ASSERT_EQUAL(atomic_load(&swap.pages[SWAP_WRITE]), 100);
	CU_ASSERT(is_filled(c, at, 100, 0));
	down();
}

static void zeros_need_no_slot(void)
{
	unsigned long at;

	up();
	at = map(c, 100);
	for (int i = 0; i < 100; i++)
		CU_ASSERT(stores(c, at + i * PAGE_SIZE, 0));
	CU_ASSERT(stores(c, at + 50 * PAGE_SIZE + 2048, 1));
	CU_ASSERT_EQUAL(push_out(c), 0);
	CU_ASSERT_EQUAL(used_slots(), 1);
	CU_ASSERT(loads(c, at + 50 * PAGE_SIZE + 2048, 1));
	CU_ASSERT(is_zeros(c, at, 100));
	down();
}

/* Many times as much as there is. */
static void more_than_memory(void)
{
	const unsigned long nr = 6000;
	unsigned long at;

	up_with(8 << 20, FAKE_ASYNC, 8192);
	at = map(c, nr);
	CU_ASSERT(fill(c, at, nr, 0));
	CU_ASSERT(is_filled(c, at, nr, 0));
	CU_ASSERT(used_slots() > nr / 2);
	for (unsigned long i = 0; i < nr; i += 7)
		CU_ASSERT(stores(c, at + i * PAGE_SIZE + 8, i));
	for (unsigned long i = 0; i < nr; i += 7)
		CU_ASSERT(loads(c, at + i * PAGE_SIZE + 8, i));
	CU_ASSERT(is_filled(c, at, nr, 0));
	down();
}

static enum fake_result fill_until_it_fails(unsigned long at, unsigned long nr,
					    unsigned long *filled)
{
	enum fake_result res = FAKE_OK;
	unsigned long i;

	for (i = 0; i < nr && res == FAKE_OK; i++)
		res = fake_store(c, at + i * PAGE_SIZE, word_of(i));
	*filled = i - 1;
	return res;
}

static void without_swap_it_ends(unsigned long slots)
{
	unsigned long at, filled;

	up_with(8 << 20, FAKE_SYNC, slots);
	atomic_store(&vm_tunables.overcommit_memory, OVERCOMMIT_ALWAYS);
	at = map(c, 4000);
	CU_ASSERT_EQUAL(fill_until_it_fails(at, 4000, &filled), FAKE_OOM);
	CU_ASSERT(filled > 900 && filled < 2048 + slots);
	CU_ASSERT_EQUAL(vm_event(OOM_FAULT), 1);
	check();
	/* what is given up is of use, and what there is stays */
	CU_ASSERT_EQUAL(fake_munmap(c, at, 300), 0);
	CU_ASSERT(stores(c, at + filled * PAGE_SIZE, 1));
	for (unsigned long i = 300; i < filled; i++)
		CU_ASSERT(loads(c, at + i * PAGE_SIZE, word_of(i)));
	atomic_store(&vm_tunables.overcommit_memory, OVERCOMMIT_GUESS);
	down();
}

static void no_swap_ends(void)
{
	without_swap_it_ends(0);
}

static void full_swap_ends(void)
{
	without_swap_it_ends(500);
}

/*
 * All of the arena must stay, and all that came into the windows first. Pages of a
 * file that came later are the only ones that may go.
 */
static void clean_pages_go_for_others(void)
{
	unsigned long at, filled, file = 0;

	up_with(8 << 20, FAKE_SYNC, 0);
	atomic_store(&vm_tunables.overcommit_memory, OVERCOMMIT_ALWAYS);
	at = map(c, 4000);
	CU_ASSERT_EQUAL(fill_until_it_fails(at, 4000, &filled), FAKE_OOM);
	CU_ASSERT_EQUAL(fake_munmap(c, at, 20), 0);
	CU_ASSERT_EQUAL(fake_mmap(c, m, 0, FILE_PAGES, VM_READ, &file), 0);
	CU_ASSERT(is_files(c, file, FILE_PAGES, 0));
	CU_ASSERT(is_files(c, file, FILE_PAGES, 0));
	CU_ASSERT_EQUAL(vm_event(OOM_FAULT), 1);
	for (unsigned long i = 20; i < filled; i += 16)
		CU_ASSERT(loads(c, at + i * PAGE_SIZE, word_of(i)));
	atomic_store(&vm_tunables.overcommit_memory, OVERCOMMIT_GUESS);
	down();
}

/* ---- reads that stores follow ---- */

#define HABIT_PAGES	400ul

/* Each page of @at once, none after its neighbour. Return: faults it took. */
static unsigned long read_and_store(unsigned long at, bool store)
{
	unsigned long messages = c->nr_messages;

	CU_ASSERT_EQUAL(push_out(c), 0);
	for (unsigned long n = 0; n < HABIT_PAGES; n++) {
		unsigned long i = n * 151 % HABIT_PAGES;

		CU_ASSERT(loads(c, at + i * PAGE_SIZE, word_of(i)));
		CU_ASSERT(!store || stores(c, at + i * PAGE_SIZE + 16, n));
	}
	return c->nr_messages - messages;
}

static void stores_cost_no_second_fault(void)
{
	unsigned long at, out;

	up();
	at = map(c, HABIT_PAGES);
	CU_ASSERT(fill(c, at, HABIT_PAGES, 0));
	/* Who only reads gets no more, and what is read is not written again. */
	CU_ASSERT_EQUAL(read_and_store(at, false), HABIT_PAGES);
	CU_ASSERT_EQUAL(vm_event(PGSTOREAHEAD), 0);
	out = vm_event(PSWPOUT);
	CU_ASSERT_EQUAL(read_and_store(at, false), HABIT_PAGES);
	CU_ASSERT_EQUAL(vm_event(PSWPOUT), out);
	/* Who stores soon has one fault a page, but for the samples. */
	read_and_store(at, true);
	CU_ASSERT(read_and_store(at, true) < HABIT_PAGES * 6 / 5);
	CU_ASSERT(vm_event(PGSTOREAHEAD) > HABIT_PAGES);
	/* And who gives up the habit loses the right. */
	read_and_store(at, false);
	read_and_store(at, false);
	out = vm_event(PGSTOREAHEAD);
	CU_ASSERT_EQUAL(read_and_store(at, false), HABIT_PAGES);
	CU_ASSERT_EQUAL(vm_event(PGSTOREAHEAD), out);
	CU_ASSERT(is_filled(c, at, HABIT_PAGES, 0));
	down();
}

/* ---- files ---- */

static void private_file_is_copied(void)
{
	unsigned long at;

	up();
	at = map_file(c, 3, 40);
	CU_ASSERT(is_files(c, at, 40, 3));
	check();
	CU_ASSERT(fill(c, at + 5 * PAGE_SIZE, 10, 0));
	CU_ASSERT(is_files(c, at, 5, 3));
	CU_ASSERT(is_filled(c, at + 5 * PAGE_SIZE, 10, 0));
	CU_ASSERT(loads(c, at + 7 * PAGE_SIZE + 64,
			fake_word((10 << PAGE_SHIFT) + 64)));
	CU_ASSERT(file_is_untouched());
	CU_ASSERT_EQUAL(push_out(c), 0);
	CU_ASSERT(used_slots() >= 10);
	CU_ASSERT(is_files(c, at, 5, 3));
	CU_ASSERT(is_files(c, at + 15 * PAGE_SIZE, 25, 18));
	CU_ASSERT(is_filled(c, at + 5 * PAGE_SIZE, 10, 0));
	CU_ASSERT(file_is_untouched());
	down();
}

/* That its own bytes are zeros makes a page of a file no less its own. */
static void zeros_over_a_file_stay(void)
{
	unsigned long at;

	up();
	at = map_file(c, 0, 4);
	for (unsigned long i = 0; i < PAGE_SIZE; i += 8)
		CU_ASSERT(stores(c, at + PAGE_SIZE + i, 0));
	CU_ASSERT_EQUAL(push_out(c), 0);
	CU_ASSERT(is_zeros(c, at + PAGE_SIZE, 1));
	CU_ASSERT(is_files(c, at, 1, 0));
	down();
}

static void private_file_ends_with_the_file(void)
{
	unsigned long at;
	uint64_t word;

	up();
	at = map_file(c, FILE_PAGES - 2, 4);
	CU_ASSERT(loads(c, at, fake_word((FILE_PAGES - 2) << PAGE_SHIFT)));
	CU_ASSERT(loads(c, at + PAGE_SIZE, fake_word((FILE_PAGES - 1) << PAGE_SHIFT)));
	CU_ASSERT(loads(c, at + 2 * PAGE_SIZE - 8, 0));
	CU_ASSERT_EQUAL(fake_load(c, at + 2 * PAGE_SIZE, &word), FAKE_SIGBUS);
	CU_ASSERT_EQUAL(fake_store(c, at + 3 * PAGE_SIZE, 1), FAKE_SIGBUS);
	check();
	down();
}

/* What nobody has stored to is in the file: it needs no swap to go. */
static void clean_copies_go_without_swap(void)
{
	const unsigned long nr = 3000;
	struct fake_mapped *large;
	unsigned long at = 0;
	unsigned long i;

	up_with(8 << 20, FAKE_SYNC, 0);
	atomic_store(&vm_tunables.overcommit_memory, OVERCOMMIT_ALWAYS);
	large = fake_mapped_new(fake_file_new(&disk, nr << PAGE_SHIFT,
					      nr << PAGE_SHIFT), 32);
	CU_ASSERT_EQUAL(fake_mmap_private(c, large, 0, nr, RW, &at), 0);
	CU_ASSERT(stores(c, at, 5));
	for (i = 1; i < nr; i++)
		if (!loads(c, at + i * PAGE_SIZE, fake_word(i << PAGE_SHIFT)))
			break;
	CU_ASSERT_EQUAL(i, nr);
	CU_ASSERT(loads(c, at, 5));
	check();
	CU_ASSERT_EQUAL(fake_munmap(c, at, nr), 0);
	fake_mapped_free(large);
	atomic_store(&vm_tunables.overcommit_memory, OVERCOMMIT_GUESS);
	down();
}

/* ---- address spaces ---- */

static void munmap_frees_all(void)
{
	unsigned long at;

	up();
	at = map(c, 300);
	CU_ASSERT(fill(c, at, 300, 0));
	CU_ASSERT_EQUAL(push_out(c), 0);
	CU_ASSERT(is_filled(c, at + 100 * PAGE_SIZE, 100, 100));
	CU_ASSERT(fill(c, at + 150 * PAGE_SIZE, 20, 1));
	CU_ASSERT_EQUAL(fake_munmap(c, at + 100 * PAGE_SIZE, 100), 0);
	CU_ASSERT_EQUAL(push_out(c), 0);
	CU_ASSERT_EQUAL(nr_window_pages(), 0);
	CU_ASSERT_EQUAL(used_slots(), 200);
	CU_ASSERT_EQUAL(vm_committed_as(), 200);
	CU_ASSERT(is_filled(c, at, 100, 0));
	CU_ASSERT(is_filled(c, at + 200 * PAGE_SIZE, 100, 200));
	CU_ASSERT_EQUAL(fake_munmap(c, at, 300), 0);
	CU_ASSERT_EQUAL(used_slots(), 0);
	CU_ASSERT_EQUAL(vm_committed_as(), 0);
	down();
}

static void dontneed_gives_zeros(void)
{
	unsigned long at, file;

	up();
	at = map(c, 60);
	file = map_file(c, 0, 20);
	CU_ASSERT(fill(c, at, 60, 0));
	CU_ASSERT(fill(c, file, 20, 0));
	CU_ASSERT_EQUAL(push_out(c), 0);
	CU_ASSERT(is_filled(c, at, 30, 0));
	CU_ASSERT_EQUAL(fake_madvise_free(c, at + 10 * PAGE_SIZE, 40), 0);
	CU_ASSERT_EQUAL(fake_madvise_free(c, file + 5 * PAGE_SIZE, 10), 0);
	check();
	CU_ASSERT_EQUAL(used_slots(), 20 + 10);
	CU_ASSERT(is_filled(c, at, 10, 0));
	CU_ASSERT(is_zeros(c, at + 10 * PAGE_SIZE, 40));
	CU_ASSERT(is_filled(c, at + 50 * PAGE_SIZE, 10, 50));
	CU_ASSERT(is_files(c, file + 5 * PAGE_SIZE, 10, 5));
	CU_ASSERT(is_filled(c, file, 5, 0));
	CU_ASSERT(fill(c, at, 60, 7));
	CU_ASSERT(is_filled(c, at, 60, 7));
	CU_ASSERT_EQUAL(fake_munmap(c, at + 5 * PAGE_SIZE, 1), 0);
	CU_ASSERT_EQUAL(fake_madvise_free(c, at, 10), -ENOMEM);
	CU_ASSERT(is_zeros(c, at, 5));
	CU_ASSERT(is_zeros(c, at + 6 * PAGE_SIZE, 4));
	down();
}

static void mremap_keeps_the_bytes(void)
{
	unsigned long at, first, blocker;

	up();
	at = map(c, 100);
	CU_ASSERT(fill(c, at, 100, 0));
	CU_ASSERT_EQUAL(push_out(c), 0);
	CU_ASSERT(is_filled(c, at, 50, 0));
	CU_ASSERT(fill(c, at + 20 * PAGE_SIZE, 10, 20));
	CU_ASSERT_EQUAL(fake_mremap(c, &at, 100, 80, false), 0);
	CU_ASSERT(used_slots() <= 70);
	CU_ASSERT(is_filled(c, at, 80, 0));
	CU_ASSERT_EQUAL(fake_mremap(c, &at, 80, 120, false), 0);
	CU_ASSERT(is_filled(c, at, 80, 0));
	CU_ASSERT(is_zeros(c, at + 80 * PAGE_SIZE, 40));
	check();
	/* something stands in its way: it moves */
	first = at;
	blocker = at + 120 * PAGE_SIZE;
	CU_ASSERT_EQUAL(fake_mmap(c, m, 0, 4, VM_READ, &blocker), 0);
	CU_ASSERT_EQUAL(fake_mremap(c, &at, 120, 200, true), 0);
	CU_ASSERT_NOT_EQUAL(at, first);
	check();
	CU_ASSERT(is_filled(c, at, 80, 0));
	CU_ASSERT(is_zeros(c, at + 80 * PAGE_SIZE, 120));
	CU_ASSERT(fill(c, at, 200, 5));
	/* where it was, something else can be */
	CU_ASSERT_EQUAL(fake_mmap_private(c, NULL, 0, 120, RW, &first), 0);
	CU_ASSERT(is_zeros(c, first, 120));
	CU_ASSERT(fill(c, first, 120, 1000));
	CU_ASSERT(is_filled(c, at, 200, 5));
	CU_ASSERT_EQUAL(push_out(c), 0);
	CU_ASSERT(is_filled(c, at, 200, 5));
	CU_ASSERT(is_filled(c, first, 120, 1000));
	CU_ASSERT_EQUAL(fake_munmap(c, at, 200), 0);
	CU_ASSERT(is_filled(c, first, 120, 1000));
	down();
}

static void files_keep_their_place_when_moved(void)
{
	unsigned long at, blocker;

	up();
	at = map_file(c, 2, 20);
	CU_ASSERT(is_files(c, at, 5, 2));
	CU_ASSERT(fill(c, at + 2 * PAGE_SIZE, 3, 0));
	blocker = at + 20 * PAGE_SIZE;
	CU_ASSERT_EQUAL(fake_mmap(c, m, 0, 4, VM_READ, &blocker), 0);
	CU_ASSERT_EQUAL(fake_mremap(c, &at, 20, 30, true), 0);
	CU_ASSERT(is_files(c, at, 2, 2));
	CU_ASSERT(is_filled(c, at + 2 * PAGE_SIZE, 3, 0));
	CU_ASSERT(is_files(c, at + 5 * PAGE_SIZE, 25, 7));
	CU_ASSERT_EQUAL(fake_munmap(c, at, 10), 0);
	CU_ASSERT(is_files(c, at + 10 * PAGE_SIZE, 20, 12));
	down();
}

static void moved_behind_our_back(void)
{
	unsigned long at, to;

	up();
	at = map(c, 30);
	to = at + 1000 * PAGE_SIZE;
	CU_ASSERT(fill(c, at, 30, 0));
	CU_ASSERT_EQUAL(fake_mremap_behind(c, at, to, 30), 0);
	CU_ASSERT(is_filled(c, to, 30, 0));
	check();
	CU_ASSERT(fill(c, to, 30, 4));
	CU_ASSERT_EQUAL(push_out(c), 0);
	CU_ASSERT(is_filled(c, to, 30, 4));
	CU_ASSERT_EQUAL(fake_mmap_private(c, NULL, 0, 30, RW, &at), 0);
	CU_ASSERT(is_zeros(c, at, 30));
	down();
}

static void mprotect_is_obeyed(void)
{
	unsigned long at;
	uint64_t word;

	up();
	at = map(c, 20);
	CU_ASSERT(fill(c, at, 20, 0));
	CU_ASSERT_EQUAL(fake_mprotect(c, at + 5 * PAGE_SIZE, 5, VM_READ), 0);
	CU_ASSERT_EQUAL(fake_store(c, at + 5 * PAGE_SIZE, 1), FAKE_SIGSEGV);
	CU_ASSERT(is_filled(c, at, 20, 0));
	CU_ASSERT_EQUAL(push_out(c), 0);
	CU_ASSERT_EQUAL(fake_store(c, at + 5 * PAGE_SIZE, 1), FAKE_SIGSEGV);
	CU_ASSERT(is_filled(c, at, 20, 0));
	CU_ASSERT_EQUAL(fake_mprotect(c, at, 20, 0), 0);
	CU_ASSERT_EQUAL(fake_load(c, at, &word), FAKE_SIGSEGV);
	CU_ASSERT_EQUAL(fake_mprotect(c, at, 20, RW), 0);
	CU_ASSERT(is_filled(c, at, 20, 0));
	CU_ASSERT(fill(c, at, 20, 1));
	CU_ASSERT(is_filled(c, at, 20, 1));
	down();
}

/* ---- fork ---- */

static void fork_copies_what_there_is(void)
{
	struct fake_client *child;
	unsigned long at, file;

	up();
	at = map(c, 100);
	file = map_file(c, 0, 20);
	CU_ASSERT(fill(c, at, 60, 0));
	CU_ASSERT(fill(c, file, 5, 0));
	CU_ASSERT(is_files(c, file + 5 * PAGE_SIZE, 5, 5));
	CU_ASSERT_EQUAL(push_out(c), 0);
	CU_ASSERT(is_filled(c, at, 30, 0));
	CU_ASSERT(fill(c, at + 20 * PAGE_SIZE, 5, 20));
	child = fork_of(c);
	check();
	CU_ASSERT(is_filled(child, at, 60, 0));
	CU_ASSERT(is_zeros(child, at + 60 * PAGE_SIZE, 40));
	CU_ASSERT(is_filled(child, file, 5, 0));
	CU_ASSERT(is_files(child, file + 5 * PAGE_SIZE, 15, 5));
	CU_ASSERT(is_filled(c, at, 60, 0));
	check();
	CU_ASSERT(fill(child, at, 60, 1));
	CU_ASSERT(is_filled(c, at, 60, 0));
	CU_ASSERT(fill(c, at, 100, 2));
	CU_ASSERT(is_filled(child, at, 60, 1));
	CU_ASSERT(is_zeros(child, at + 60 * PAGE_SIZE, 40));
	check();
	push_out(child);
	CU_ASSERT_EQUAL(push_out(c), 0);
	CU_ASSERT(is_filled(child, at, 60, 1));
	CU_ASSERT(is_filled(c, at, 100, 2));
	CU_ASSERT(file_is_untouched());
	fake_client_free(child);
	down();
}

/* What was granted a second ago or more is shared, not copied. */
static void fork_shares_what_is_idle(void)
{
	struct fake_client *child;
	unsigned long at, before;

	up();
	at = map(c, 100);
	CU_ASSERT(fill(c, at, 100, 0));
	window_demote_all(c->anon->mapping);
	before = anon_pages();
	child = fork_of(c);
	CU_ASSERT_EQUAL(vm_event(PGDUP), 100);
	CU_ASSERT_EQUAL(anon_pages(), before);
	CU_ASSERT_EQUAL(vm_stat_read(NR_SWAPCACHE), 100);
	check();
	CU_ASSERT(is_filled(child, at, 100, 0));
	CU_ASSERT(fill(child, at, 50, 1));
	CU_ASSERT(is_filled(c, at, 100, 0));
	fake_client_free(child);
	check();
	/* the last owner takes them over */
	CU_ASSERT(fill(c, at, 100, 2));
	CU_ASSERT(is_filled(c, at, 100, 2));
	CU_ASSERT_EQUAL(vm_stat_read(NR_SWAPCACHE), 0);
	down();
}

static void last_owner_takes_it_over(void)
{
	struct fake_client *child;
	unsigned long at;

	up();
	at = map(c, 10);
	CU_ASSERT(fill(c, at, 10, 0));
	window_demote_all(c->anon->mapping);
	child = fork_of(c);
	CU_ASSERT_EQUAL(fake_munmap(child, at, 10), 0);
	CU_ASSERT(is_filled(c, at, 10, 0));
	CU_ASSERT_EQUAL(vm_event(PGREUSE), 10);
	CU_ASSERT_EQUAL(vm_event(PGCOW), 0);
	CU_ASSERT_EQUAL(vm_event(PSWPIN), 0);
	CU_ASSERT_EQUAL(anon_pages(), 10);
	CU_ASSERT_EQUAL(used_slots(), 0);
	fake_client_free(child);
	down();
}

static void fork_works_without_swap(void)
{
	struct fake_client *child;
	unsigned long at;

	up_with(MEMORY, FAKE_SYNC, 0);
	at = map(c, 100);
	CU_ASSERT(fill(c, at, 100, 0));
	window_demote_all(c->anon->mapping);
	child = fork_of(c);
	CU_ASSERT_EQUAL(vm_event(PGDUP), 100);
	check();
	CU_ASSERT(fill(c, at, 50, 7));
	CU_ASSERT(is_filled(child, at, 100, 0));
	CU_ASSERT(is_filled(c, at, 50, 7));
	fake_client_free(c);
	c = child;
	CU_ASSERT(is_filled(c, at, 100, 0));
	CU_ASSERT(fill(c, at, 100, 8));
	check();
	down();
}

static void shared_pages_are_swapped_once(void)
{
	struct fake_client *child;
	unsigned long at;

	up();
	at = map(c, 200);
	CU_ASSERT(fill(c, at, 200, 0));
	window_demote_all(c->anon->mapping);
	child = fork_of(c);
	CU_ASSERT_EQUAL(push_out(c), 0);
	CU_ASSERT_EQUAL(used_slots(), 200);
	CU_ASSERT_EQUAL(atomic_load(&swap.pages[SWAP_WRITE]), 200);
	check();
	CU_ASSERT(is_filled(child, at, 200, 0));
	CU_ASSERT(is_filled(c, at, 200, 0));
	CU_ASSERT(fill(c, at, 200, 1));
	CU_ASSERT_EQUAL(used_slots(), 200);
	CU_ASSERT(is_filled(child, at, 200, 0));
	CU_ASSERT(fill(child, at, 200, 2));
	CU_ASSERT_EQUAL(used_slots(), 0);
	CU_ASSERT(is_filled(c, at, 200, 1));
	fake_client_free(child);
	down();
}

static void grandchildren(void)
{
	struct fake_client *child, *grandchild, *second;
	unsigned long at;

	up();
	at = map(c, 40);
	CU_ASSERT(fill(c, at, 40, 0));
	window_demote_all(c->anon->mapping);
	child = fork_of(c);
	CU_ASSERT(fill(child, at, 10, 1));
	window_demote_all(child->anon->mapping);
	grandchild = fork_of(child);
	second = fork_of(c);
	check();
	CU_ASSERT(fill(grandchild, at + 5 * PAGE_SIZE, 10, 2));
	CU_ASSERT(fill(c, at + 20 * PAGE_SIZE, 10, 3));
	CU_ASSERT(is_filled(second, at, 40, 0));
	CU_ASSERT(is_filled(child, at, 10, 1));
	CU_ASSERT(is_filled(child, at + 10 * PAGE_SIZE, 30, 10));
	CU_ASSERT(is_filled(grandchild, at, 5, 1));
	CU_ASSERT(is_filled(grandchild, at + 5 * PAGE_SIZE, 10, 2));
	CU_ASSERT(is_filled(grandchild, at + 15 * PAGE_SIZE, 25, 15));
	check();
	fake_client_free(c);
	c = grandchild;
	CU_ASSERT(is_filled(second, at, 40, 0));
	fake_client_free(child);
	CU_ASSERT(is_filled(second, at, 40, 0));
	push_out(c);
	push_out(second);
	CU_ASSERT(is_filled(c, at, 5, 1));
	CU_ASSERT(is_filled(c, at + 5 * PAGE_SIZE, 10, 2));
	CU_ASSERT(is_filled(c, at + 15 * PAGE_SIZE, 25, 15));
	fake_client_free(second);
	down();
}

static void dropped_copy_leaves_nothing(void)
{
	struct private_copy *copy;
	unsigned long at;

	up();
	at = map(c, 100);
	CU_ASSERT(fill(c, at, 100, 0));
	window_demote_all(c->anon->mapping);
	CU_ASSERT(fill(c, at, 10, 0));
	copy = dup_private(c->mm);
	CU_ASSERT_FATAL(copy && !IS_ERR(copy));
	check();
	drop_private(copy);
	check();
	CU_ASSERT(is_filled(c, at, 100, 0));
	CU_ASSERT(fill(c, at, 100, 1));
	CU_ASSERT(is_filled(c, at, 100, 1));
	CU_ASSERT_EQUAL(anon_pages(), 100);
	CU_ASSERT_EQUAL(used_slots(), 0);
	down();
}

/* Whatever the copy waits for, the parent may go. */
static void copy_outlives_its_parent(void)
{
	struct private_copy *copy;
	struct fake_client *child;
	unsigned long at;

	up();
	at = map(c, 50);
	CU_ASSERT(fill(c, at, 50, 0));
	window_demote_all(c->anon->mapping);
	copy = dup_private(c->mm);
	CU_ASSERT_FATAL(copy && !IS_ERR(copy));
	CU_ASSERT(fill(c, at, 50, 1));
	CU_ASSERT_EQUAL(push_out(c), 0);
	child = fake_client_new(REGION);
	CU_ASSERT_EQUAL(adopt_private(child->mm, copy), 0);
	fake_adopted(c, child);
	fake_client_free(c);
	c = child;
	CU_ASSERT(is_filled(c, at, 50, 0));
	down();
}

static void adoption_is_for_the_new(void)
{
	struct private_copy *copy;
	unsigned long at;

	up();
	CU_ASSERT_PTR_NULL(dup_private(c->mm));
	at = map(c, 10);
	CU_ASSERT(fill(c, at, 10, 0));
	copy = dup_private(c->mm);
	CU_ASSERT_FATAL(copy && !IS_ERR(copy));
	CU_ASSERT_EQUAL(adopt_private(c->mm, copy), -EBUSY);
	drop_private(copy);
	CU_ASSERT(is_filled(c, at, 10, 0));
	down();
}

/* ---- shared ---- */

static void regions_are_shared(void)
{
	struct fake_client *child, *other;
	struct fake_mapped *region;
	unsigned long at = 0, there = 0;

	up();
	region = fake_region_new(100);
	CU_ASSERT_PTR_NOT_NULL_FATAL(region);
	CU_ASSERT_EQUAL(vm_committed_as(), 100);
	other = fake_client_new(REGION);
	CU_ASSERT_EQUAL(fake_mmap(c, region, 0, 100, RW | VM_SHARED, &at), 0);
	CU_ASSERT_EQUAL(fake_mmap(other, region, 10, 50, RW | VM_SHARED, &there), 0);
	CU_ASSERT(is_zeros(c, at, 20));
	CU_ASSERT(fill(c, at, 100, 0));
	CU_ASSERT(is_filled(other, there, 50, 10));
	CU_ASSERT(fill(other, there, 50, 1));
	CU_ASSERT(is_filled(c, at + 10 * PAGE_SIZE, 50, 1));
	check();
	CU_ASSERT_EQUAL(push_out_of(region->mapping), 0);
	CU_ASSERT(is_filled(c, at + 10 * PAGE_SIZE, 50, 1));
	child = fork_of(c);
	CU_ASSERT(is_filled(child, at + 10 * PAGE_SIZE, 50, 1));
	CU_ASSERT(fill(child, at, 100, 2));
	CU_ASSERT(is_filled(c, at, 100, 2));
	CU_ASSERT(is_filled(other, there, 50, 12));
	check();
	/* nobody maps it, but it is there still */
	CU_ASSERT_EQUAL(fake_munmap(other, there, 50), 0);
	fake_client_free(child);
	fake_client_free(c);
	c = other;
	push_out_of(region->mapping);
	CU_ASSERT_EQUAL(fake_mmap(c, region, 0, 100, RW | VM_SHARED, &there), 0);
	CU_ASSERT(is_filled(c, there, 100, 2));
	/* a hole that is punched is everybody's */
	CU_ASSERT_EQUAL(fake_madvise_free(c, there + 5 * PAGE_SIZE, 10), 0);
	CU_ASSERT(is_filled(c, there, 5, 2));
	CU_ASSERT(is_zeros(c, there + 5 * PAGE_SIZE, 10));
	CU_ASSERT_EQUAL(fake_munmap(c, there, 100), 0);
	fake_mapped_free(region);
	CU_ASSERT_EQUAL(vm_committed_as(), 0);
	down();
}

static void regions_end(void)
{
	struct fake_mapped *region;
	unsigned long at = 0;
	uint64_t word;

	up();
	region = fake_region_new(13);
	CU_ASSERT_EQUAL(fake_mmap(c, region, 5, 30, RW | VM_SHARED, &at), 0);
	CU_ASSERT(fill(c, at, 8, 0));	/* a sequence, which brings more */
	CU_ASSERT_EQUAL(fake_load(c, at + 8 * PAGE_SIZE, &word), FAKE_SIGBUS);
	CU_ASSERT_EQUAL(anon_pages(), 8);
	CU_ASSERT_EQUAL(fake_munmap(c, at, 30), 0);
	fake_mapped_free(region);
	down();
}

/* ---- errors ---- */

static swp_entry_t entry_at(struct fake_client *who, unsigned long addr)
{
	return shmem_entry(SHMEM(who->anon->mapping),
			   fake_page_at(who, addr)->pgoff);
}

static void read_error_is_that_pages_alone(void)
{
	unsigned long at;
	uint64_t word;

	up();
	at = map(c, 20);
	CU_ASSERT(fill(c, at, 20, 0));
	CU_ASSERT_EQUAL(push_out(c), 0);
	fake_swapdev_fail_slot(&swap, SWAP_READ, entry_at(c, at + 7 * PAGE_SIZE));
	CU_ASSERT(is_filled(c, at, 7, 0));
	CU_ASSERT_EQUAL(fake_load(c, at + 7 * PAGE_SIZE, &word), FAKE_SIGBUS);
	CU_ASSERT(is_filled(c, at + 8 * PAGE_SIZE, 12, 8));
	CU_ASSERT_EQUAL(fake_store(c, at + 7 * PAGE_SIZE, 1), FAKE_SIGBUS);
	CU_ASSERT_EQUAL(fake_load(c, at + 7 * PAGE_SIZE, &word), FAKE_SIGBUS);
	check();
	fake_swapdev_fail_off(&swap);
	CU_ASSERT(is_filled(c, at, 20, 0));
	down();
}

/* What was read for a neighbour's sake is read again when it is wanted. */
static void read_error_ahead_is_no_error(void)
{
	unsigned long at;

	up();
	at = map(c, 40);
	CU_ASSERT(fill(c, at, 40, 0));
	CU_ASSERT_EQUAL(push_out(c), 0);
	CU_ASSERT_EQUAL(do_madvise(c->mm, at, PAGE_SIZE, MM_SEQUENTIAL), 0);
	fake_swapdev_fail_nth(&swap, SWAP_READ, 2, false);
	CU_ASSERT_EQUAL(do_madvise(c->mm, at, 40 * PAGE_SIZE, MM_WILLNEED), 0);
	CU_ASSERT_EQUAL(atomic_load(&swap.failed[SWAP_READ]), 1);
	CU_ASSERT(is_filled(c, at, 40, 0));
	down();
}

static void write_error_keeps_the_page(void)
{
	unsigned long at;

	up();
	at = map(c, 20);
	CU_ASSERT(fill(c, at, 20, 0));
	fake_swapdev_fail_random(&swap, SWAP_WRITE, 1000);
	window_demote_all(c->anon->mapping);
	try_to_free_pages(GFP_USER | __GFP_NORETRY, 0, ZONE_MOVABLE);
	CU_ASSERT_EQUAL(anon_pages(), 20);
	CU_ASSERT(atomic_load(&swap.failed[SWAP_WRITE]) >= 20);
	CU_ASSERT(total_swap_pages() <= SLOTS - 1 - 20);
	check();
	CU_ASSERT(is_filled(c, at, 20, 0));
	fake_swapdev_fail_off(&swap);
	CU_ASSERT_EQUAL(push_out(c), 0);
	CU_ASSERT(is_filled(c, at, 20, 0));
	down();
}

/*
 * The last user of a slot does not wait for the page in the swap cache, if that is
 * just being written.
 */
static void busy_page_without_users_goes_later(void)
{
	struct fake_client *child;
	unsigned long at;

	up_with(MEMORY, FAKE_ASYNC, SLOTS);
	at = map(c, 10);
	CU_ASSERT(fill(c, at, 10, 0));
	window_demote_all(c->anon->mapping);
	child = fork_of(c);
	CU_ASSERT(is_filled(c, at, 10, 0));	/* a copy of its own, clean */
	CU_ASSERT_EQUAL(fake_munmap(child, at, 10), 0);
	fake_swapdev_hold(&swap);
	for (int i = 0; i < 10 && !vm_stat_read(NR_WRITEBACK); i++)
		try_to_free_pages(GFP_USER | __GFP_NORETRY, 0, ZONE_MOVABLE);
	CU_ASSERT_EQUAL(vm_stat_read(NR_WRITEBACK), 10);
	CU_ASSERT(fill(c, at, 10, 1));
	CU_ASSERT_EQUAL(used_slots(), 10);
	fake_swapdev_release(&swap);
	check();
	CU_ASSERT(is_filled(c, at, 10, 1));
	fake_client_free(child);
	fake_client_free(c);
	c = NULL;
	swap_off_all();
	CU_ASSERT_EQUAL(fake_swapdev_exit(&swap), 0);
	swap_is_on = false;
	down();
}

/* ---- swapoff ---- */

static bool stop_at_once(unsigned long left, void *arg)
{
	(void)left, (void)arg;
	return false;
}

static void swapoff_brings_all_back(void)
{
	struct fake_client *child;
	unsigned long at, file;

	up();
	at = map(c, 200);
	file = map_file(c, 0, 20);
	CU_ASSERT(fill(c, at, 200, 0));
	CU_ASSERT(fill(c, file, 10, 0));
	window_demote_all(c->anon->mapping);
	child = fork_of(c);
	CU_ASSERT_EQUAL(push_out(c), 0);
	CU_ASSERT(is_filled(c, at, 50, 0));
	CU_ASSERT(fill(child, at + 20 * PAGE_SIZE, 50, 1));
	CU_ASSERT_EQUAL(swap_off(swap.dev.path, stop_at_once, NULL), -EINTR);
	check();
	CU_ASSERT_EQUAL(swap_off(swap.dev.path, NULL, NULL), 0);
	CU_ASSERT_EQUAL(total_swap_pages(), 0);
	CU_ASSERT_EQUAL(fake_swapdev_exit(&swap), 0);
	swap_is_on = false;
	fake_mmu_check();
	CU_ASSERT(is_filled(c, at, 200, 0));
	CU_ASSERT(is_filled(child, at, 20, 0));
	CU_ASSERT(is_filled(child, at + 20 * PAGE_SIZE, 50, 1));
	CU_ASSERT(is_filled(child, at + 70 * PAGE_SIZE, 130, 70));
	CU_ASSERT(is_filled(child, file, 10, 0));
	CU_ASSERT(is_files(c, file + 10 * PAGE_SIZE, 10, 10));
	fake_client_free(child);
	down();
}

static void swapoff_needs_room(void)
{
	const unsigned long nr = 5000;
	unsigned long at;

	up_with(8 << 20, FAKE_SYNC, 8192);
	at = map(c, nr);
	CU_ASSERT(fill(c, at, nr, 0));
	CU_ASSERT_EQUAL(swap_off(swap.dev.path, NULL, NULL), -ENOMEM);
	check();
	CU_ASSERT(is_filled(c, at, nr, 0));
	down();
}

static void swapoff_fails_on_read_errors(void)
{
	unsigned long at;

	up();
	at = map(c, 50);
	CU_ASSERT(fill(c, at, 50, 0));
	CU_ASSERT_EQUAL(push_out(c), 0);
	fake_swapdev_fail_slot(&swap, SWAP_READ, entry_at(c, at + 7 * PAGE_SIZE));
	CU_ASSERT_EQUAL(swap_off(swap.dev.path, NULL, NULL), -EIO);
	check();
	fake_swapdev_fail_off(&swap);
	CU_ASSERT(is_filled(c, at, 50, 0));
	down();
}

/* ---- promises ---- */

static void overcommit_is_limited(void)
{
	struct fake_client *child;
	unsigned long at = 0, limit;

	up_with(MEMORY, FAKE_SYNC, 0);
	CU_ASSERT_EQUAL(fake_mmap_private(c, NULL, 0, 8000, RW, &at), -ENOMEM);
	CU_ASSERT_PTR_NULL(fake_region_new(8000));
	atomic_store(&vm_tunables.overcommit_memory, OVERCOMMIT_ALWAYS);
	at = map(c, 8000);
	CU_ASSERT_EQUAL(fake_munmap(c, at, 8000), 0);
	CU_ASSERT_EQUAL(vm_committed_as(), 0);
	atomic_store(&vm_tunables.overcommit_memory, OVERCOMMIT_NEVER);
	atomic_store(&vm_tunables.overcommit_ratio, 50);
	limit = vm_commit_limit();
	at = map(c, limit - 100);
	CU_ASSERT_EQUAL(fake_mremap(c, &at, limit - 100, limit + 1, true), -ENOMEM);
	CU_ASSERT_EQUAL(fake_fork(c, &child), -ENOMEM);
	CU_ASSERT_EQUAL(fake_mremap(c, &at, limit - 100, limit / 2, true), 0);
	child = fork_of(c);
	CU_ASSERT_EQUAL(vm_committed_as(), limit / 2 * 2);
	CU_ASSERT_PTR_NULL(fake_region_new(100));
	fake_client_free(child);
	CU_ASSERT_EQUAL(vm_committed_as(), limit / 2);
	atomic_store(&vm_tunables.overcommit_memory, OVERCOMMIT_GUESS);
	down();
}

static const struct test_case cases[] = {
	{ "nothing is there before it is touched", nothing_before_first_touch },
	{ "what is touched first is zeros", first_touch_is_zeros },
	{ "first stores need nothing but the page",
	  first_stores_need_no_unprotecting },
	{ "what is mapped anew is zeros", mapped_anew_is_zeros },
	{ "bytes survive being swapped", survives_swapping },
	{ "the same, by a device that is late", survives_async_swapping },
	{ "the same, read by the threads' own rings", survives_plugged_swapping },
	{ "a clean page is not written again", clean_page_is_not_written_again },
	{ "zeros need no slot", zeros_need_no_slot },
	{ "there can be more than memory", more_than_memory },
	{ "without swap it comes to an end", no_swap_ends },
	{ "with swap full it comes to an end", full_swap_ends },
	{ "without swap, what is clean goes for what is not",
	  clean_pages_go_for_others },
	{ "stores after reads cost no second fault, where they are the habit",
	  stores_cost_no_second_fault },
	{ "a private mapping of a file is copied when stored to",
	  private_file_is_copied },
	{ "zeros stored over a file's bytes stay", zeros_over_a_file_stay },
	{ "a private mapping of a file ends with the file",
	  private_file_ends_with_the_file },
	{ "copies of a file nobody has stored to go without swap",
	  clean_copies_go_without_swap },
	{ "munmap frees pages and slots", munmap_frees_all },
	{ "MADV_DONTNEED gives zeros, or the file's bytes", dontneed_gives_zeros },
	{ "mremap keeps the bytes", mremap_keeps_the_bytes },
	{ "private mappings of files keep their place when moved",
	  files_keep_their_place_when_moved },
	{ "what is moved behind our back keeps its bytes", moved_behind_our_back },
	{ "mprotect is obeyed", mprotect_is_obeyed },
	{ "fork copies what there is", fork_copies_what_there_is },
	{ "fork shares what is idle", fork_shares_what_is_idle },
	{ "the last owner of a page takes it over", last_owner_takes_it_over },
	{ "fork works without swap", fork_works_without_swap },
	{ "shared pages are swapped once", shared_pages_are_swapped_once },
	{ "grandchildren have what they inherited", grandchildren },
	{ "a copy that is dropped leaves nothing", dropped_copy_leaves_nothing },
	{ "a copy outlives its parent", copy_outlives_its_parent },
	{ "a copy is for a new address space alone", adoption_is_for_the_new },
	{ "regions are shared, by children too", regions_are_shared },
	{ "past a region's end is SIGBUS", regions_end },
	{ "a read error is SIGBUS, of that page alone, and later works",
	  read_error_is_that_pages_alone },
	{ "an error of reading ahead is no error", read_error_ahead_is_no_error },
	{ "a write error keeps the page", write_error_keeps_the_page },
	{ "a busy page nobody shares any more goes later",
	  busy_page_without_users_goes_later },
	{ "swapoff brings all back", swapoff_brings_all_back },
	{ "swapoff needs room", swapoff_needs_room },
	{ "swapoff fails where a page cannot be read",
	  swapoff_fails_on_read_errors },
	{ "no more is promised than may be", overcommit_is_limited },
};

int main(void)
{
	return test_main("mm/anon", cases, ARRAY_SIZE(cases));
}
