// SPDX-License-Identifier: BSD-2-Clause
/*
 * tests/mm/test_memory.c - mm/memory.c: what a client's fault brings about
 *
 * Accesses go through fake_mmu.c, which sends a message only where the real
 * MMU would: its nr_messages says how many faults an access has cost.
 */
#include <errno.h>
#include <limits.h>
#include <string.h>

#include "harness.h"
#include "pair.h"
#include "slab.h"
#include "swap.h"
#include "vmstat.h"
#include "writeback.h"

#define MEMORY		(32UL << 20)
#define REGION		4096UL		/* pages */
#define RW		(VM_READ | VM_WRITE | VM_SHARED)
#define RO		VM_READ

static unsigned long at;		/* where @c has @m */

/* Page @i of where @c has the file. */
static unsigned long page_addr(unsigned long i)
{
	return at + i * PAGE_SIZE;
}

/* A file of @pages, wholly mapped by @c; @ra_pages of read-ahead. */
static void up_mode(enum fake_mode mode, unsigned long pages,
		    unsigned int ra_pages)
{
	pair_up(&(struct pair_conf){
		.memory = MEMORY, .mode = mode, .pages = pages, .spare = 16,
		.ra_pages = ra_pages, .region = REGION,
	});
	at = 0;
	CU_ASSERT_EQUAL(fake_mmap(c, m, 0, pages, RW, &at), 0);
}

static void up(unsigned long pages)
{
	up_mode(FAKE_SYNC, pages, 0);
}

/* Has @who at @addr the bytes page @index had from the start? */
static bool loads_page(struct fake_client *who, unsigned long addr,
		       pgoff_t index)
{
	uint64_t first, last;
	loff_t pos = index << PAGE_SHIFT;

	return fake_load(who, addr, &first) == FAKE_OK &&
	       fake_load(who, addr + PAGE_SIZE - 8, &last) == FAKE_OK &&
	       first == fake_word(pos) && last == fake_word(pos + PAGE_SIZE - 8);
}

/* ---- reading ---- */

static void read_fault_brings_the_bytes(void)
{
	up(8);
	CU_ASSERT(loads_page(c, page_addr(3), 3));
	CU_ASSERT_EQUAL(c->nr_messages, 1);
	CU_ASSERT_EQUAL(reads(), 1);
	CU_ASSERT_EQUAL(vm_event(PGFAULT), 1);
	CU_ASSERT_EQUAL(vm_event(PGMAJFAULT), 1);
	CU_ASSERT_EQUAL(atomic_load(&c->mm->counters[MM_MAJFLT]), 1);
	CU_ASSERT(!fake_dirty(m, 3));
	CU_ASSERT(!fake_can(c, page_addr(3), true));
	for (unsigned long i = 0; i < 8; i++)
		CU_ASSERT(loads_page(c, page_addr(i), i));
	CU_ASSERT_EQUAL(reads(), 8);
	down();
}

/* What a client has in the place of a window harms no file. */
static void another_mapping_zeroes_nothing(void)
{
	up(8);
	c->other_there = 2;
	CU_ASSERT(loads_page(c, page_addr(3), 3));
	CU_ASSERT_EQUAL(c->other_there, 0);
	CU_ASSERT(!fake_dirty(m, 3));
	CU_ASSERT_EQUAL(vm_event(WINDOW_FOREIGN), 0);
	down();
}

/* A fault that does not wait for the disk wakes nobody until it is done. */
static void kept_faults_are_ended_later(void)
{
	struct page *first, *second, *none;

	up_mode(FAKE_PLUG, 8, 0);
	handle_mm_fault_nowait(c->mm, page_addr(3), 0, &first);
	handle_mm_fault_nowait(c->mm, page_addr(5), 0, &second);
	CU_ASSERT_FATAL(first && second);
	CU_ASSERT(page_test(first, PG_locked) && page_test(second, PG_locked));
	CU_ASSERT(!page_test(first, PG_uptodate));
	CU_ASSERT_EQUAL(vm_event(PGFAULT), 0);
	CU_ASSERT_PTR_NOT_NULL(current_plug);
	blk_flush_plug();
	CU_ASSERT(page_test(first, PG_uptodate) && !page_test(first, PG_locked));
	put_page(first);
	put_page(second);
	CU_ASSERT_EQUAL(handle_mm_fault(c->mm, page_addr(3), FAULT_FLAG_TRIED), 0);
	CU_ASSERT_EQUAL(handle_mm_fault(c->mm, page_addr(5), FAULT_FLAG_TRIED), 0);
	CU_ASSERT_EQUAL(vm_event(PGMAJFAULT), 2);
	CU_ASSERT(fake_can(c, page_addr(3), false));
	CU_ASSERT(loads_page(c, page_addr(5), 5));
	CU_ASSERT_EQUAL(reads(), 2);
	/* what is there already is given at once */
	CU_ASSERT_EQUAL(fake_munmap(c, page_addr(0), 8), 0);
	CU_ASSERT_EQUAL(fake_mmap(c, m, 0, 8, RW, &at), 0);
	CU_ASSERT_EQUAL(handle_mm_fault_nowait(c->mm, page_addr(3), 0, &none), 0);
	CU_ASSERT_PTR_NULL(none);
	CU_ASSERT(loads_page(c, page_addr(3), 3));
	CU_ASSERT_EQUAL(vm_event(PGMAJFAULT), 2);
	down();
}

/* Who holds the lock may wait for our page, or for others of ours. */
static void kept_faults_stand_in_nobodys_way(void)
{
	struct page *page, *none;

	up_mode(FAKE_PLUG, 8, 0);
	handle_mm_fault_nowait(c->mm, page_addr(3), 0, &page);
	CU_ASSERT_PTR_NOT_NULL_FATAL(page);
	put_page(page);
	handle_mm_fault_nowait(c->mm, page_addr(3), 0, &none);
	if (none)
		put_page(none);
	/* a wait for it, even our own, brings it to its end */
	CU_ASSERT(loads_page(c, page_addr(3), 3));
	handle_mm_fault_nowait(c->mm, page_addr(4), 0, &page);
	put_page(page);
	fake_mount_cut(m, 0);
	CU_ASSERT_PTR_NULL(current_plug);
	CU_ASSERT(handle_mm_fault(c->mm, page_addr(4), FAULT_FLAG_TRIED) &
		  VM_FAULT_RETRY);
	down();
}

static void second_client_reads_nothing(void)
{
	unsigned long there = 0;

	up(8);
	CU_ASSERT_EQUAL(fake_mmap(other, m, 2, 4, RW, &there), 0);
	CU_ASSERT(loads_page(c, page_addr(3), 3));
	CU_ASSERT(loads_page(other, there + PAGE_SIZE, 3));
	CU_ASSERT_EQUAL(reads(), 1);
	CU_ASSERT_EQUAL(vm_event(PGMAJFAULT), 1);
	/* a page in the cache, but in no window: no disk, but a message */
	CU_ASSERT_EQUAL(fake_read(m->file, NULL, 5 * PAGE_SIZE,
				  &(char){ 0 }, 1), 1);
	CU_ASSERT(loads_page(other, there + 3 * PAGE_SIZE, 5));
	CU_ASSERT_EQUAL(reads(), 2);
	CU_ASSERT_EQUAL(vm_event(PGMAJFAULT), 1);
	down();
}

static void past_the_end_is_sigbus(void)
{
	unsigned long there = 0;
	uint64_t word;

	up(3);
	fake_mount_cut(m, 2 * PAGE_SIZE + 100);
	CU_ASSERT_EQUAL(fake_mmap(other, m, 0, 10, RW, &there), 0);
	CU_ASSERT(loads(other, there + 2 * PAGE_SIZE, fake_word(2 * PAGE_SIZE)));
	CU_ASSERT(loads(other, there + 2 * PAGE_SIZE + 104, 0));
	CU_ASSERT_EQUAL(fake_load(other, there + 3 * PAGE_SIZE, &word),
			FAKE_SIGBUS);
	CU_ASSERT_EQUAL(fake_store(other, there + 9 * PAGE_SIZE, 1),
			FAKE_SIGBUS);
	/* a message sent before the file was cut: its kernel will say so */
	CU_ASSERT(fake_message(other, there + 3 * PAGE_SIZE, 0) &
		  (VM_FAULT_SIGBUS | VM_FAULT_RETRY));
	CU_ASSERT(fake_message(other, there + 9 * PAGE_SIZE, FAULT_FLAG_WRITE) &
		  (VM_FAULT_SIGBUS | VM_FAULT_RETRY));
	down();
}

static void read_error_is_sigbus_once(void)
{
	uint64_t word;

	up(8);
	fake_fail_range(m->file, FAKE_READ, 3, 3, -EIO);
	CU_ASSERT_EQUAL(fake_load(c, page_addr(3), &word), FAKE_SIGBUS);
	CU_ASSERT_EQUAL(fake_store(c, page_addr(3), 1), FAKE_SIGBUS);
	CU_ASSERT(loads_page(c, page_addr(4), 4));
	CU_ASSERT(!fake_dirty(m, 3));
	fake_mmu_check();
	fake_fail_off(&disk);
	CU_ASSERT(loads_page(c, page_addr(3), 3));
	CU_ASSERT_EQUAL(fake_store(c, page_addr(3), 1), FAKE_OK);
	down();
}

/* Neighbours that cannot be read are no reason to fail. */
static void read_error_of_a_neighbour_is_no_error(void)
{
	up_mode(FAKE_SYNC, 64, 32);
	fake_fail_range(m->file, FAKE_READ, 5, 63, -EIO);
	for (unsigned long i = 0; i < 5; i++)
		CU_ASSERT(loads_page(c, page_addr(i), i));
	fake_fail_off(&disk);
	for (unsigned long i = 0; i < 64; i++)
		CU_ASSERT(loads_page(c, page_addr(i), i));
	down();
}

/* ---- writing ---- */

static void first_write_is_one_message(void)
{
	up(8);
	CU_ASSERT_EQUAL(fake_store(c, page_addr(2) + 16, 4711), FAKE_OK);
	CU_ASSERT_EQUAL(c->nr_messages, 1);
	CU_ASSERT(fake_dirty(m, 2));
	CU_ASSERT_EQUAL(atomic_load(&m->mkwrites), 1);
	CU_ASSERT_EQUAL(fake_store(c, page_addr(2) + 24, 4712), FAKE_OK);
	CU_ASSERT_EQUAL(c->nr_messages, 1);
	CU_ASSERT(loads(c, page_addr(2), fake_word(2 * PAGE_SIZE)));
	CU_ASSERT_EQUAL(sync_mapping(&m->file->mapping, false), 0);
	CU_ASSERT_EQUAL(stored(2 * PAGE_SIZE + 16), 4711);
	CU_ASSERT_EQUAL(stored(2 * PAGE_SIZE + 24), 4712);
	CU_ASSERT_EQUAL(stored(2 * PAGE_SIZE), fake_word(2 * PAGE_SIZE));
	CU_ASSERT_EQUAL(atomic_load(&disk.pages[FAKE_WRITE]), 1);
	down();
}

static void write_after_read_is_a_wp_fault(void)
{
	up(8);
	CU_ASSERT(loads_page(c, page_addr(2), 2));
	CU_ASSERT_EQUAL(fake_store(c, page_addr(2), 1), FAKE_OK);
	CU_ASSERT_EQUAL(c->nr_messages, 2);
	CU_ASSERT_EQUAL(vm_event(PGWPFAULT), 1);
	CU_ASSERT_EQUAL(atomic_load(&c->mm->counters[MM_WPFLT]), 1);
	CU_ASSERT(fake_dirty(m, 2));
	CU_ASSERT_EQUAL(reads(), 1);
	down();
}

static void write_after_writeback_faults_again(void)
{
	up(8);
	for (uint64_t round = 1; round <= 3; round++) {
		CU_ASSERT_EQUAL(fake_store(c, page_addr(2), round), FAKE_OK);
		CU_ASSERT_EQUAL(c->nr_messages, round);
		CU_ASSERT(fake_dirty(m, 2));
		CU_ASSERT_EQUAL(sync_mapping(&m->file->mapping, false), 0);
		CU_ASSERT(!fake_dirty(m, 2));
		CU_ASSERT_EQUAL(stored(2 * PAGE_SIZE), round);
		CU_ASSERT(loads(c, page_addr(2), round));
		fake_mmu_check();
	}
	CU_ASSERT_EQUAL(vm_event(PGWPFAULT), 2);
	CU_ASSERT_EQUAL(vm_event(PGMKCLEAN), 3);
	down();
}

static void stored_to_while_written_stays_dirty(void)
{
	up_mode(FAKE_ASYNC, 8, 0);
	CU_ASSERT_EQUAL(fake_store(c, page_addr(2), 1), FAKE_OK);
	fake_hold(&disk);
	CU_ASSERT_EQUAL(filemap_fdatawrite_range(&m->file->mapping, 0, LLONG_MAX),
			0);
	CU_ASSERT_EQUAL(vm_stat_read(NR_WRITEBACK), 1);
	CU_ASSERT_EQUAL(fake_store(c, page_addr(2) + 8, 2), FAKE_OK);
	CU_ASSERT(fake_dirty(m, 2));
	fake_release(&disk);
	fake_drain(&disk);
	CU_ASSERT(fake_dirty(m, 2));
	CU_ASSERT_EQUAL(stored(2 * PAGE_SIZE), 1);
	/* written from a copy: what came later is not in it by half */
	CU_ASSERT_EQUAL(stored(2 * PAGE_SIZE + 8), fake_word(2 * PAGE_SIZE + 8));
	CU_ASSERT_EQUAL(sync_mapping(&m->file->mapping, false), 0);
	CU_ASSERT_EQUAL(stored(2 * PAGE_SIZE + 8), 2);
	CU_ASSERT(!fake_dirty(m, 2));
	down();
}

static void write_error_leaves_it_dirty(void)
{
	up(8);
	CU_ASSERT_EQUAL(fake_store(c, page_addr(2), 1), FAKE_OK);
	fake_fail_range(m->file, FAKE_WRITE, 2, 2, -ENOSPC);
	CU_ASSERT_EQUAL(sync_mapping(&m->file->mapping, false), -ENOSPC);
	CU_ASSERT(fake_dirty(m, 2));
	fake_mmu_check();
	fake_fail_off(&disk);
	CU_ASSERT_EQUAL(fake_store(c, page_addr(2) + 8, 2), FAKE_OK);
	CU_ASSERT_EQUAL(sync_mapping(&m->file->mapping, false), 0);
	CU_ASSERT_EQUAL(stored(2 * PAGE_SIZE), 1);
	CU_ASSERT_EQUAL(stored(2 * PAGE_SIZE + 8), 2);
	down();
}

static void refused_mkwrite_is_sigbus(void)
{
	up(8);
	CU_ASSERT(loads_page(c, page_addr(2), 2));
	atomic_store(&m->mkwrite_fails, true);
	CU_ASSERT_EQUAL(fake_store(c, page_addr(2), 1), FAKE_SIGBUS);
	CU_ASSERT_EQUAL(fake_store(c, page_addr(3), 1), FAKE_SIGBUS);
	CU_ASSERT(!fake_dirty(m, 2) && !fake_dirty(m, 3));
	CU_ASSERT(loads_page(c, page_addr(2), 2));
	CU_ASSERT(loads_page(c, page_addr(3), 3));
	fake_mmu_check();
	atomic_store(&m->mkwrite_fails, false);
	CU_ASSERT_EQUAL(fake_store(c, page_addr(2), 1), FAKE_OK);
	CU_ASSERT_EQUAL(fake_store(c, page_addr(3), 1), FAKE_OK);
	down();
}

static void each_client_asks_for_itself(void)
{
	unsigned long there = 0;

	up(8);
	CU_ASSERT_EQUAL(fake_mmap(other, m, 0, 8, RW, &there), 0);
	CU_ASSERT_EQUAL(fake_store(c, page_addr(2), 1), FAKE_OK);
	CU_ASSERT(loads(other, there + 2 * PAGE_SIZE, 1));
	CU_ASSERT(!fake_can(other, there + 2 * PAGE_SIZE, true));
	CU_ASSERT_EQUAL(fake_store(other, there + 2 * PAGE_SIZE, 2), FAKE_OK);
	CU_ASSERT(loads(c, page_addr(2), 2));
	fake_mmu_check();
	CU_ASSERT_EQUAL(sync_mapping(&m->file->mapping, false), 0);
	CU_ASSERT(!fake_can(c, page_addr(2), true));
	CU_ASSERT(!fake_can(other, there + 2 * PAGE_SIZE, true));
	CU_ASSERT_EQUAL(stored(2 * PAGE_SIZE), 2);
	down();
}

static void dead_clients_stores_are_kept(void)
{
	up(8);
	for (unsigned long i = 0; i < 8; i++)
		CU_ASSERT_EQUAL(fake_store(c, page_addr(i), 100 + i), FAKE_OK);
	fake_client_free(c);
	fake_mmu_check();
	c = fake_client_new(REGION);
	CU_ASSERT_EQUAL(sync_mapping(&m->file->mapping, false), 0);
	for (unsigned long i = 0; i < 8; i++)
		CU_ASSERT_EQUAL(stored(i * PAGE_SIZE), 100 + i);
	down();
}

static void unmapped_stores_are_kept(void)
{
	up(8);
	for (unsigned long i = 0; i < 8; i++)
		CU_ASSERT_EQUAL(fake_store(c, page_addr(i), 100 + i), FAKE_OK);
	CU_ASSERT_EQUAL(fake_munmap(c, page_addr(2), 3), 0);
	fake_mmu_check();
	CU_ASSERT_EQUAL(fake_store(c, page_addr(3), 1), FAKE_SIGSEGV);
	CU_ASSERT(fake_message(c, page_addr(3), 0) & VM_FAULT_SIGSEGV);
	CU_ASSERT(loads(c, page_addr(1), 101));
	CU_ASSERT(loads(c, page_addr(5), 105));
	CU_ASSERT_EQUAL(sync_mapping(&m->file->mapping, false), 0);
	for (unsigned long i = 0; i < 8; i++)
		CU_ASSERT_EQUAL(stored(i * PAGE_SIZE), 100 + i);
	down();
}

/* ---- rights ---- */

static void rights_are_the_vmas(void)
{
	unsigned long there = 0, ro = 0;
	uint64_t word;

	up(8);
	CU_ASSERT_EQUAL(fake_mmap(other, m, 0, 8, VM_READ | VM_SHARED, &there), 0);
	CU_ASSERT_EQUAL(fake_mmap(other, m, 0, 8, RO, &ro), 0);
	CU_ASSERT(loads_page(other, there, 0));
	CU_ASSERT(loads_page(other, ro + PAGE_SIZE, 1));
	CU_ASSERT_EQUAL(fake_store(other, there, 1), FAKE_SIGSEGV);
	CU_ASSERT_EQUAL(fake_store(other, ro, 1), FAKE_SIGSEGV);
	CU_ASSERT(fake_message(other, there, FAULT_FLAG_WRITE) &
		  VM_FAULT_SIGSEGV);
	CU_ASSERT(fake_message(other, there, FAULT_FLAG_WRITE | FAULT_FLAG_WP) &
		  VM_FAULT_SIGSEGV);
	CU_ASSERT(fake_message(other, ro, FAULT_FLAG_WRITE) & VM_FAULT_SIGSEGV);
	CU_ASSERT(!fake_dirty(m, 0));
	CU_ASSERT_EQUAL(do_mprotect(other->mm, ro, 8 * PAGE_SIZE,
				    VM_READ | VM_WRITE), -EACCES);
	CU_ASSERT_EQUAL(fake_mprotect(other, there, 8, VM_READ | VM_WRITE), 0);
	CU_ASSERT_EQUAL(fake_store(other, there, 1), FAKE_OK);
	CU_ASSERT(loads(other, ro, 1));
	CU_ASSERT_EQUAL(fake_mprotect(other, there, 8, 0), 0);
	CU_ASSERT_EQUAL(fake_load(other, there, &word), FAKE_SIGSEGV);
	CU_ASSERT(fake_message(other, there, 0) & VM_FAULT_SIGSEGV);
	down();
}

/* mprotect(PROT_READ) and back: what was writable must still be known to be. */
static void rights_taken_and_given_back(void)
{
	up(8);
	CU_ASSERT_EQUAL(fake_store(c, page_addr(2), 1), FAKE_OK);
	CU_ASSERT_EQUAL(fake_mprotect(c, at, 8, VM_READ), 0);
	fake_mmu_check();
	CU_ASSERT_EQUAL(sync_mapping(&m->file->mapping, false), 0);
	fake_mmu_check();
	CU_ASSERT_EQUAL(fake_mprotect(c, at, 8, VM_READ | VM_WRITE), 0);
	fake_mmu_check();
	CU_ASSERT_EQUAL(fake_store(c, page_addr(2), 2), FAKE_OK);
	CU_ASSERT(fake_dirty(m, 2));
	CU_ASSERT_EQUAL(fake_mprotect(c, at, 8, VM_READ), 0);
	CU_ASSERT_EQUAL(fake_mprotect(c, at, 8, VM_READ | VM_WRITE), 0);
	CU_ASSERT_EQUAL(fake_store(c, page_addr(2), 3), FAKE_OK);
	CU_ASSERT_EQUAL(window_demote_all(&m->file->mapping), 0);
	CU_ASSERT(loads(c, page_addr(2), 3));
	CU_ASSERT_EQUAL(sync_mapping(&m->file->mapping, false), 0);
	CU_ASSERT_EQUAL(stored(2 * PAGE_SIZE), 3);
	down();
}

static void split_vmas_keep_working(void)
{
	up(64);
	for (unsigned long i = 0; i < 64; i++)
		CU_ASSERT_EQUAL(fake_store(c, page_addr(i), i), FAKE_OK);
	CU_ASSERT_EQUAL(fake_mprotect(c, page_addr(20), 10, VM_READ), 0);
	CU_ASSERT_EQUAL(fake_munmap(c, page_addr(40), 5), 0);
	fake_mmu_check();
	CU_ASSERT_EQUAL(window_demote_all(&m->file->mapping), 0);
	fake_mmu_check();
	for (unsigned long i = 0; i < 64; i++) {
		enum fake_result want = FAKE_OK;

		if ((i >= 20 && i < 30) || (i >= 40 && i < 45))
			want = FAKE_SIGSEGV;
		if (i < 40 || i >= 45)
			CU_ASSERT(loads(c, page_addr(i), i));
		CU_ASSERT_EQUAL(fake_store(c, page_addr(i), 1000 + i), want);
	}
	fake_mmu_check();
	CU_ASSERT_EQUAL(sync_mapping(&m->file->mapping, false), 0);
	for (unsigned long i = 0; i < 64; i++)
		CU_ASSERT_EQUAL(stored(i * PAGE_SIZE), (i >= 20 && i < 30) ||
				(i >= 40 && i < 45) ? i : 1000 + i);
	down();
}

/* Two VMAs of one client and one of another, each with its own offset. */
static void offsets_are_each_vmas_own(void)
{
	unsigned long a = 0, b = 0;

	up(64);
	CU_ASSERT_EQUAL(fake_mmap(c, m, 30, 20, RW, &a), 0);
	CU_ASSERT_EQUAL(fake_mmap(other, m, 10, 25, RW, &b), 0);
	for (unsigned long i = 0; i < 64; i++)
		CU_ASSERT_EQUAL(fake_store(c, page_addr(i), i), FAKE_OK);
	for (unsigned long i = 30; i < 50; i++) {
		CU_ASSERT(loads(c, a + (i - 30) * PAGE_SIZE, i));
		CU_ASSERT_EQUAL(fake_store(c, a + (i - 30) * PAGE_SIZE, 2 * i),
				FAKE_OK);
	}
	for (unsigned long i = 10; i < 35; i++) {
		CU_ASSERT(loads(other, b + (i - 10) * PAGE_SIZE,
				i < 30 ? i : 2 * i));
		CU_ASSERT_EQUAL(fake_store(other, b + (i - 10) * PAGE_SIZE,
					   3 * i), FAKE_OK);
	}
	CU_ASSERT_EQUAL(sync_mapping(&m->file->mapping, false), 0);
	fake_mmu_check();
	for (unsigned long i = 0; i < 64; i++) {
		uint64_t want = i;

		if (i >= 30 && i < 50)
			want = 2 * i;
		if (i >= 10 && i < 35)
			want = 3 * i;
		CU_ASSERT(loads(c, page_addr(i), want));
		CU_ASSERT_EQUAL(stored(i * PAGE_SIZE), want);
	}
	down();
}

static void moved_and_grown_mappings_are_armed(void)
{
	unsigned long blocker, there = 0;

	up(64);
	/* All of the file is in the window, so that @c's kernel maps it by
	 * itself wherever it is not armed. */
	CU_ASSERT_EQUAL(fake_mmap(other, m, 0, 64, RW, &there), 0);
	for (unsigned long i = 0; i < 64; i++)
		CU_ASSERT(loads_page(other, there + i * PAGE_SIZE, i));
	CU_ASSERT_EQUAL(fake_mremap(c, &at, 64, 16, false), 0);
	fake_mmu_check();
	CU_ASSERT_EQUAL(fake_mremap(c, &at, 16, 32, false), 0);
	fake_mmu_check();
	CU_ASSERT_EQUAL(fake_store(c, page_addr(20), 1), FAKE_OK);
	CU_ASSERT(fake_dirty(m, 20));
	blocker = page_addr(32);
	CU_ASSERT_EQUAL(fake_mmap(c, m, 0, 1, RW, &blocker), 0);
	CU_ASSERT_EQUAL(fake_mremap(c, &at, 32, 64, false), -ENOMEM);
	CU_ASSERT_EQUAL(fake_mremap(c, &at, 32, 64, true), 0);
	CU_ASSERT(at != blocker - 32 * PAGE_SIZE);
	fake_mmu_check();
	for (unsigned long i = 0; i < 64; i++) {
		CU_ASSERT_EQUAL(fake_store(c, page_addr(i), i), FAKE_OK);
		CU_ASSERT(fake_dirty(m, i));
	}
	/* past the library */
	there = c->base + 3000 * PAGE_SIZE;
	CU_ASSERT_EQUAL(fake_mremap_behind(c, at, there, 64), 0);
	at = there;
	fake_mmu_check();
	CU_ASSERT_EQUAL(sync_mapping(&m->file->mapping, false), 0);
	fake_mmu_check();
	for (unsigned long i = 0; i < 64; i++) {
		CU_ASSERT_EQUAL(stored(i * PAGE_SIZE), i);
		CU_ASSERT(loads(c, page_addr(i), i));
		CU_ASSERT_EQUAL(fake_store(c, page_addr(i), 2 * i), FAKE_OK);
		CU_ASSERT(fake_dirty(m, i));
	}
	down();
}

/* A chunk is filled by one client while another has just mapped it. */
static void later_mappings_are_armed(void)
{
	unsigned long there = 0;

	up(1200);
	for (unsigned long i = 0; i < 1200; i += 100)
		CU_ASSERT_EQUAL(fake_store(c, page_addr(i), i), FAKE_OK);
	CU_ASSERT_EQUAL(fake_mmap(other, m, 50, 1100, RW, &there), 0);
	fake_mmu_check();
	for (unsigned long i = 100; i < 1150; i += 100) {
		unsigned long addr = there + (i - 50) * PAGE_SIZE;

		CU_ASSERT(!fake_can(other, addr, true));
		CU_ASSERT_EQUAL(fake_store(other, addr, 2 * i), FAKE_OK);
	}
	fake_mmu_check();
	CU_ASSERT_EQUAL(sync_mapping(&m->file->mapping, false), 0);
	for (unsigned long i = 100; i < 1150; i += 100)
		CU_ASSERT_EQUAL(stored(i * PAGE_SIZE), 2 * i);
	down();
}

/* ---- messages that come too late ---- */

static void stale_messages_wake(void)
{
	up(8);
	/* missing, but it has come */
	CU_ASSERT(loads_page(c, page_addr(2), 2));
	CU_ASSERT_EQUAL(fake_message(c, page_addr(2), 0) & VM_FAULT_ERROR, 0);
	/* write-protected, but it is not any more */
	CU_ASSERT_EQUAL(fake_store(c, page_addr(2), 1), FAKE_OK);
	CU_ASSERT_EQUAL(fake_message(c, page_addr(2), FAULT_FLAG_WRITE |
				     FAULT_FLAG_WP) & VM_FAULT_ERROR, 0);
	CU_ASSERT_EQUAL(fake_message(c, page_addr(2), FAULT_FLAG_WRITE) &
			VM_FAULT_ERROR, 0);
	fake_mmu_check();
	/* write-protected, but it has gone */
	CU_ASSERT_EQUAL(window_demote_all(&m->file->mapping), 0);
	CU_ASSERT_EQUAL(fake_message(c, page_addr(2), FAULT_FLAG_WRITE |
				     FAULT_FLAG_WP) & VM_FAULT_ERROR, 0);
	fake_mmu_check();
	CU_ASSERT_EQUAL(fake_store(c, page_addr(2) + 8, 2), FAKE_OK);
	CU_ASSERT(loads(c, page_addr(2), 1));
	/* write-protected, but it was never there */
	CU_ASSERT_EQUAL(fake_message(c, page_addr(5), FAULT_FLAG_WRITE |
				     FAULT_FLAG_WP) & VM_FAULT_ERROR, 0);
	fake_mmu_check();
	/* and what was cut off */
	fake_mount_cut(m, PAGE_SIZE);
	CU_ASSERT(fake_message(c, page_addr(2), FAULT_FLAG_WRITE |
			       FAULT_FLAG_WP) & (VM_FAULT_SIGBUS |
						 VM_FAULT_RETRY));
	down();
}

/* The client has unmapped it; the event comes later, or never. */
static void unmapped_behind_our_back(void)
{
	up(64);
	for (unsigned long i = 0; i < 16; i++)
		CU_ASSERT_EQUAL(fake_store(c, page_addr(i), i), FAKE_OK);
	fake_munmap_behind(c, page_addr(4), 4);
	CU_ASSERT(!(fake_message(c, page_addr(5), FAULT_FLAG_WRITE) &
		    VM_FAULT_ERROR));
	CU_ASSERT_EQUAL(sync_mapping(&m->file->mapping, false), 0);
	CU_ASSERT_EQUAL(window_demote_all(&m->file->mapping), 0);
	CU_ASSERT(loads(c, page_addr(3), 3));
	CU_ASSERT_EQUAL(fake_munmap(c, page_addr(4), 4), 0);
	CU_ASSERT(loads(c, page_addr(8), 8));
	for (unsigned long i = 0; i < 16; i++)
		CU_ASSERT_EQUAL(stored(i * PAGE_SIZE), i);
	down();
}

/* ---- memory short ---- */

/* Each allocation of a fault fails in turn. */
static void fail_each(void (*fail)(unsigned long nth, bool sticky), bool sticky,
		      bool write)
{
	enum fake_result res = FAKE_OOM;
	unsigned long n;
	uint64_t word;

	for (n = 1; res != FAKE_OK && n < 200; n++) {
		up(1024);
		CU_ASSERT(loads_page(c, page_addr(5), 5));
		fail(n, sticky);
		res = write ? fake_store(c, page_addr(600), 1) :
			      fake_load(c, page_addr(600), &word);
		fail(0, false);
		CU_ASSERT(res == FAKE_OK || res == FAKE_OOM ||
			  res == FAKE_SIGBUS);
		fake_mmu_check();
		CU_ASSERT_EQUAL(fake_store(c, page_addr(600) + 8, 2), FAKE_OK);
		if (!write || res != FAKE_OK)
			CU_ASSERT(loads(c, page_addr(600),
					fake_word(600 * PAGE_SIZE)));
		down();
	}
	CU_ASSERT(n < 200);
}

static void no_memory(void)
{
	fail_each(fail_page_alloc, false, false);
	fail_each(fail_page_alloc, false, true);
	fail_each(failslab, false, false);
	fail_each(failslab, false, true);
}

static void no_memory_for_long(void)
{
	fail_each(fail_page_alloc, true, true);
	fail_each(failslab, true, true);
}

/* The kernel has no memory for the window's page. */
static void memfd_has_no_memory(void)
{
	enum fake_result res;

	up(64);
	CU_ASSERT_EQUAL(fake_read(m->file, NULL, 5 * PAGE_SIZE,
				  &(char){ 0 }, 1), 1);
	fake_window_fail_nth(1);
	res = fake_store(c, page_addr(5), 1);
	CU_ASSERT(res == FAKE_OOM || res == FAKE_SIGBUS);
	fake_window_fail_nth(0);
	fake_mmu_check();
	CU_ASSERT_EQUAL(fake_store(c, page_addr(5) + 8, 1), FAKE_OK);
	CU_ASSERT(loads(c, page_addr(5), fake_word(5 * PAGE_SIZE)));
	down();
}

/* The same with several pages on their way: those that got there go again. */
static void memfd_runs_out_of_memory(void)
{
	enum fake_result res;
	uint64_t word;

	for (pgoff_t at_page = 1; at_page < 40; at_page += 3) {
		up_mode(FAKE_SYNC, 64, 32);
		for (pgoff_t i = 0; i < at_page; i++)
			CU_ASSERT_EQUAL(fake_load(c, page_addr(i), &word),
					FAKE_OK);
		fake_window_fail_nth(1);
		for (pgoff_t i = at_page; i < 64; i++) {
			res = fake_load(c, page_addr(i), &word);
			CU_ASSERT(res == FAKE_OK || res == FAKE_OOM ||
				  res == FAKE_SIGBUS);
		}
		fake_window_fail_nth(0);
		fake_mmu_check();
		for (pgoff_t i = 0; i < 64; i++)
			CU_ASSERT(loads(c, page_addr(i),
					fake_word(i * PAGE_SIZE)));
		down();
	}
}

/* ---- fault-around and read-ahead ---- */

/* Pages that are in the window, [@first, @end). */
static unsigned long in_window(pgoff_t first, pgoff_t end)
{
	unsigned long nr = 0;

	for (pgoff_t i = first; i < end; i++)
		nr += fake_in_window(m, i);
	return nr;
}

/* Nothing outside the VMA, and in each fault nothing outside its chunk. */
static void around_stays_in_vma_and_chunk(void)
{
	unsigned long there = 0, before;

	up_mode(FAKE_SYNC, 1100, 64);
	CU_ASSERT_EQUAL(fake_mmap(other, m, 400, 300, RW, &there), 0);
	for (pgoff_t i = 400; i < 700; i++) {
		unsigned long messages = other->nr_messages;

		before = in_window(512, 1100);
		CU_ASSERT(loads_page(other, there + (i - 400) * PAGE_SIZE, i));
		if (i < 512 && other->nr_messages != messages)
			CU_ASSERT_EQUAL(in_window(512, 1100), before);
	}
	CU_ASSERT_EQUAL(in_window(400, 700), 300);
	CU_ASSERT_EQUAL(in_window(0, 400), 0);
	CU_ASSERT_EQUAL(in_window(700, 1100), 0);
	CU_ASSERT(vm_event(PGFAULTAROUND) > 0);
	down();
}

static void around_stays_in_the_file(void)
{
	unsigned long there = 0;

	up_mode(FAKE_SYNC, 40, 64);
	CU_ASSERT_EQUAL(fake_mmap(other, m, 0, 300, RW, &there), 0);
	for (pgoff_t i = 0; i < 40; i++)
		CU_ASSERT(loads_page(other, there + i * PAGE_SIZE, i));
	CU_ASSERT_EQUAL(fake_load(other, there + 40 * PAGE_SIZE,
				  &(uint64_t){ 0 }), FAKE_SIGBUS);
	CU_ASSERT_EQUAL(m->file->mapping.nrpages, 40);
	down();
}

static void sequential_faults_bring_many(void)
{
	up_mode(FAKE_SYNC, 2048, 64);
	for (pgoff_t i = 0; i < 2048; i++)
		CU_ASSERT(loads_page(c, page_addr(i), i));
	/* Ramping up takes a few; then at least 16 pages a message. */
	CU_ASSERT(c->nr_messages < 2048 / 16 + 32);
	CU_ASSERT(vm_event(RA_ASYNC) >= 2048 / 64 / 2);
	CU_ASSERT(vm_event(RA_SYNC) < 16);
	CU_ASSERT_EQUAL(reads(), 2048);
	down();
}

static void streams_are_told_apart(void)
{
	up_mode(FAKE_SYNC, 2048, 64);
	for (pgoff_t i = 0; i < 512; i++)
		for (pgoff_t s = 0; s < 3; s++)
			CU_ASSERT(loads_page(c, page_addr(s * 600 + i),
					     s * 600 + i));
	CU_ASSERT(c->nr_messages < 3 * (512 / 16 + 32));
	CU_ASSERT(vm_event(RA_SYNC) < 48);
	down();
}

static void random_faults_bring_one_page(void)
{
	uint64_t rand = test_seed();
	unsigned long seen, around;

	up_mode(FAKE_SYNC, 4000, 64);
	for (int i = 0; i < 20; i++)	/* to make up its mind */
		CU_ASSERT_EQUAL(fake_load(c, page_addr(test_rand(&rand) % 4000),
					  &(uint64_t){ 0 }), FAKE_OK);
	seen = reads();
	around = vm_event(PGFAULTAROUND);
	for (int i = 0; i < 200; i++)
		CU_ASSERT_EQUAL(fake_load(c, page_addr(test_rand(&rand) % 4000),
					  &(uint64_t){ 0 }), FAKE_OK);
	/* By chance one in twenty is the next of another. */
	CU_ASSERT(reads() - seen <= 200 + 200);
	CU_ASSERT(vm_event(PGFAULTAROUND) - around <= 200);
	down();
}

/* Also when the neighbours could be had for nothing. */
static void random_faults_leave_neighbours_alone(void)
{
	uint64_t rand = test_seed();
	static char all[2000 * 4096];

	up(2000);
	CU_ASSERT_EQUAL(fake_read(m->file, NULL, 0, all, sizeof(all)),
			sizeof(all));
	for (int i = 0; i < 200; i++)
		CU_ASSERT_EQUAL(fake_load(c, page_addr(test_rand(&rand) % 2000),
					  &(uint64_t){ 0 }), FAKE_OK);
	/* By chance one in ten is the next of another. */
	CU_ASSERT(vm_event(PGFAULTAROUND) <= 150);
	CU_ASSERT(nr_window_pages() <= 350);
	down();
}

static void madv_random_brings_one_page(void)
{
	up_mode(FAKE_SYNC, 512, 64);
	CU_ASSERT_EQUAL(do_madvise(c->mm, at, 512 * PAGE_SIZE, MM_RANDOM), 0);
	for (pgoff_t i = 0; i < 100; i++)
		CU_ASSERT(loads_page(c, page_addr(i), i));
	CU_ASSERT_EQUAL(reads(), 100);
	CU_ASSERT_EQUAL(c->nr_messages, 100);
	CU_ASSERT_EQUAL(in_window(0, 512), 100);
	CU_ASSERT_EQUAL(vm_event(PGFAULTAROUND), 0);
	down();
}

static void populate_needs_no_more_faults(void)
{
	unsigned long there = 0;

	up_mode(FAKE_SYNC, 600, 32);
	CU_ASSERT_EQUAL(do_madvise(c->mm, at, 600 * PAGE_SIZE, MM_POPULATE), 0);
	for (pgoff_t i = 0; i < 600; i++)
		CU_ASSERT(loads_page(c, page_addr(i), i));
	CU_ASSERT_EQUAL(c->nr_messages, 0);
	CU_ASSERT_EQUAL(vm_stat_read(NR_FILE_DIRTY), 0);
	CU_ASSERT_EQUAL(fake_mmap(other, m, 0, 600, RW, &there), 0);
	CU_ASSERT_EQUAL(do_madvise(other->mm, there, 100 * PAGE_SIZE,
				   MM_POPULATE_WRITE), 0);
	for (pgoff_t i = 0; i < 100; i++)
		CU_ASSERT_EQUAL(fake_store(other, there + i * PAGE_SIZE, i),
				FAKE_OK);
	CU_ASSERT_EQUAL(other->nr_messages, 0);
	CU_ASSERT_EQUAL(vm_stat_read(NR_FILE_DIRTY), 100);
	fake_mmu_check();
	down();
}

static void populate_reports_errors(void)
{
	up(64);
	fake_fail_range(m->file, FAKE_READ, 30, 30, -EIO);
	CU_ASSERT_EQUAL(do_madvise(c->mm, at, 64 * PAGE_SIZE, MM_POPULATE), -EIO);
	fake_fail_off(&disk);
	CU_ASSERT_EQUAL(do_madvise(c->mm, at, 64 * PAGE_SIZE, MM_POPULATE), 0);
	CU_ASSERT_EQUAL(in_window(0, 64), 64);
	down();
}

static void map_ahead_gives_what_is_there(void)
{
	unsigned long there = 0;

	up(64);
	for (unsigned long i = 0; i < 40; i++)
		CU_ASSERT_EQUAL(fake_store(c, page_addr(i), i), FAKE_OK);
	CU_ASSERT_EQUAL(fake_mmap(other, m, 0, 64, RW, &there), 0);
	mmap_ahead(other->mm, there, 64 * PAGE_SIZE, NULL, NULL);
	fake_mmu_check();
	for (unsigned long i = 0; i < 40; i++)
		CU_ASSERT(loads(other, there + i * PAGE_SIZE, i));
	CU_ASSERT_EQUAL(other->nr_messages, 0);
	CU_ASSERT(!fake_can(other, there, true));
	CU_ASSERT_EQUAL(reads(), 40);
	CU_ASSERT_EQUAL(fake_store(other, there, 1), FAKE_OK);
	CU_ASSERT(loads(c, page_addr(0), 1));
	down();
}

/* For those whose kernel would map around by itself, too: fewer faults. */
static void map_ahead_is_for_readers(void)
{
	unsigned long there = 0;

	up(64);
	for (unsigned long i = 0; i < 40; i++)
		CU_ASSERT(loads_page(c, page_addr(i), i));
	CU_ASSERT_EQUAL(fake_mmap(other, m, 0, 64, RO, &there), 0);
	other->nr_calls = 0;
	mmap_ahead(other->mm, there, 64 * PAGE_SIZE, NULL, NULL);
	CU_ASSERT_EQUAL(other->nr_calls, 1);
	CU_ASSERT_EQUAL(other->calls[0].kind, CALL_MAP);
	CU_ASSERT_EQUAL(other->calls[0].nr, 40);
	fake_mmu_check();
	CU_ASSERT(loads_page(other, there + 7 * PAGE_SIZE, 7));
	CU_ASSERT_EQUAL(other->nr_messages, 0);
	down();
}

/* Tables that only say what can be read are not needed. */
static void read_only_tables_can_go(void)
{
	unsigned long tables;

	up(2048);
	for (unsigned long i = 0; i < 2048; i += 8)
		CU_ASSERT(loads_page(c, page_addr(i), i));
	CU_ASSERT_EQUAL(fake_store(c, page_addr(700), 1), FAKE_OK);
	tables = vm_stat_read(NR_PAGETABLE);
	CU_ASSERT(shrink_page_tables() >= 3);
	CU_ASSERT(vm_stat_read(NR_PAGETABLE) <= tables - 3);
	CU_ASSERT_EQUAL(atomic_load(&c->mm->rss), 1);
	fake_mmu_check();
	CU_ASSERT(fake_can(c, page_addr(700), true));
	for (unsigned long i = 0; i < 2048; i += 8)
		CU_ASSERT(fake_can(c, page_addr(i), false));
	CU_ASSERT_EQUAL(fake_store(c, page_addr(8), 1), FAKE_OK);
	CU_ASSERT(fake_dirty(m, 8));
	CU_ASSERT_EQUAL(window_demote_all(&m->file->mapping), 0);
	CU_ASSERT_EQUAL(shrink_page_tables(), 0);
	down();
}

static const struct test_case cases[] = {
	{ "a read fault brings the file's bytes", read_fault_brings_the_bytes },
	{ "a client with another mapping there zeroes no page",
	  another_mapping_zeroes_nothing },
	{ "faults that are kept are ended when their page has come",
	  kept_faults_are_ended_later },
	{ "faults that are kept stand in nobody's way",
	  kept_faults_stand_in_nobodys_way },
	{ "a second client finds the page without I/O",
	  second_client_reads_nothing },
	{ "past the end of the file is SIGBUS", past_the_end_is_sigbus },
	{ "a read error is SIGBUS, and later works", read_error_is_sigbus_once },
	{ "a neighbour's read error is no error",
	  read_error_of_a_neighbour_is_no_error },
	{ "a first write is one message, and reaches the store",
	  first_write_is_one_message },
	{ "a write to a page that was read is a WP fault",
	  write_after_read_is_a_wp_fault },
	{ "a write after writeback faults and dirties again",
	  write_after_writeback_faults_again },
	{ "a page stored to while it is written stays dirty",
	  stored_to_while_written_stays_dirty },
	{ "a write error leaves the page dirty", write_error_leaves_it_dirty },
	{ "a refused page_mkwrite is SIGBUS and changes nothing",
	  refused_mkwrite_is_sigbus },
	{ "each client asks for itself before it writes",
	  each_client_asks_for_itself },
	{ "stores of a client that died are kept", dead_clients_stores_are_kept },
	{ "stores to what was unmapped since are kept",
	  unmapped_stores_are_kept },
	{ "nobody gets rights the VMA lacks", rights_are_the_vmas },
	{ "rights taken by mprotect and given back are tracked",
	  rights_taken_and_given_back },
	{ "split VMAs keep working", split_vmas_keep_working },
	{ "each VMA has its own offset", offsets_are_each_vmas_own },
	{ "moved and grown mappings are armed",
	  moved_and_grown_mappings_are_armed },
	{ "mappings made after the pages came are armed",
	  later_mappings_are_armed },
	{ "messages that come too late wake and harm nothing",
	  stale_messages_wake },
	{ "ranges unmapped behind our back harm nobody",
	  unmapped_behind_our_back },
	{ "each failing allocation of a fault leaves nothing behind", no_memory },
	{ "allocations failing for long leave nothing behind",
	  no_memory_for_long },
	{ "a memfd without memory leaves nothing behind", memfd_has_no_memory },
	{ "a memfd that runs out of memory keeps nothing it should not",
	  memfd_runs_out_of_memory },
	{ "fault-around stays inside VMA and chunk",
	  around_stays_in_vma_and_chunk },
	{ "fault-around stays inside the file", around_stays_in_the_file },
	{ "sequential faults bring many pages, read ahead",
	  sequential_faults_bring_many },
	{ "several streams are told apart", streams_are_told_apart },
	{ "random faults bring one page", random_faults_bring_one_page },
	{ "random faults leave cached neighbours alone",
	  random_faults_leave_neighbours_alone },
	{ "MADV_RANDOM brings one page", madv_random_brings_one_page },
	{ "populated ranges need no more faults", populate_needs_no_more_faults },
	{ "populating reports read errors", populate_reports_errors },
	{ "map-ahead gives what is there, read-only",
	  map_ahead_gives_what_is_there },
	{ "map-ahead is for readers, too", map_ahead_is_for_readers },
	{ "tables of what can only be read can go", read_only_tables_can_go },
};

int main(void)
{
	return test_main("mm/memory", cases, ARRAY_SIZE(cases));
}
