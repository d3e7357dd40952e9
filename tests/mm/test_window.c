// SPDX-License-Identifier: BSD-2-Clause
/*
 * tests/mm/test_window.c - mm/window.c, mm/window_io.c, mm/demote.c,
 *                          mm/balloon.c: pages on their way between arena and
 *                          windows, and the mount beside the mappings
 */
#include <errno.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "harness.h"
#include "mmzone.h"
#include "pair.h"
#include "swap.h"
#include "vmstat.h"
#include "window_i.h"
#include "writeback.h"

#define MEMORY		(32UL << 20)
#define ROUNDS		100u		/* kswapd works beside us */
#define REGION		40000UL		/* pages */
#define RW		(VM_READ | VM_WRITE | VM_SHARED)

static unsigned long at;		/* where @c has @m */
static unsigned long there;		/* where @other has it */
static char buf[1 << 20];

static unsigned long page_addr(unsigned long i)
{
	return at + i * PAGE_SIZE;
}

static unsigned long other_addr(unsigned long i)
{
	return there + i * PAGE_SIZE;
}

/* A file of @pages and room for 16 more, mapped by both clients. */
static void up_mode(enum fake_mode mode, unsigned long pages,
		    unsigned int ra_pages)
{
	pair_up(&(struct pair_conf){
		.memory = MEMORY, .mode = mode, .pages = pages, .spare = 16,
		.ra_pages = ra_pages, .region = REGION,
	});
	at = there = 0;
	CU_ASSERT_EQUAL(fake_mmap(c, m, 0, pages + 16, RW, &at), 0);
	CU_ASSERT_EQUAL(fake_mmap(other, m, 0, pages + 16, RW, &there), 0);
}

static void up(unsigned long pages)
{
	up_mode(FAKE_SYNC, pages, 0);
}

static bool stores(struct fake_client *who, unsigned long addr, uint64_t val)
{
	return fake_store(who, addr, val) == FAKE_OK;
}

static bool sync_file(void)
{
	return sync_mapping(&m->file->mapping, false) == 0;
}

/* The 8 bytes at @pos through the mount, uncached. */
static uint64_t mount_word(loff_t pos)
{
	uint64_t word = 0;

	CU_ASSERT_EQUAL(fake_read(m->file, NULL, pos, &word, 8), 8);
	return word;
}

/* The same by a reader whose kernel keeps a copy. */
static uint64_t kernel_word(loff_t pos)
{
	char page[PAGE_SIZE];
	uint64_t word;

	CU_ASSERT(fake_kernel_read(m, pos >> PAGE_SHIFT, page) > 0);
	memcpy(&word, page + (pos & ~PAGE_MASK), 8);
	return word;
}

static unsigned long demote_all(void)
{
	return window_demote_all(&m->file->mapping);
}

/* ---- demotion ---- */

static void demotion_keeps_bytes(void)
{
	up(64);
	for (unsigned long i = 0; i < 64; i++) {
		CU_ASSERT(loads(c, page_addr(i), fake_word(i * PAGE_SIZE)));
		CU_ASSERT(!(i & 1) || stores(c, page_addr(i), i));
	}
	CU_ASSERT_EQUAL(nr_window_pages(), 64);
	CU_ASSERT_EQUAL(demote_all(), 0);
	CU_ASSERT_EQUAL(nr_window_pages(), 0);
	CU_ASSERT_EQUAL(atomic_load(&c->mm->rss), 0);
	fake_mmu_check();
	CU_ASSERT_EQUAL(vm_stat_read(NR_FILE_DIRTY), 32);
	for (unsigned long i = 0; i < 64; i++)
		CU_ASSERT_EQUAL(mount_word(i * PAGE_SIZE),
				(i & 1) ? i : fake_word(i * PAGE_SIZE));
	for (unsigned long i = 0; i < 64; i++)
		CU_ASSERT(loads(other, other_addr(i),
				(i & 1) ? i : fake_word(i * PAGE_SIZE)));
	CU_ASSERT_EQUAL(reads(), 64);
	CU_ASSERT(sync_file());
	for (unsigned long i = 0; i < 64; i++)
		CU_ASSERT_EQUAL(stored(i * PAGE_SIZE),
				(i & 1) ? i : fake_word(i * PAGE_SIZE));
	down();
}

static void soft_faults_need_no_disk(void)
{
	unsigned long soft, seen;

	up(8);
	CU_ASSERT(loads(c, page_addr(3), fake_word(3 * PAGE_SIZE)));
	CU_ASSERT_EQUAL(demote_all(), 0);
	soft = vm_event(PGSOFTFAULT);
	seen = reads();
	CU_ASSERT(loads(c, page_addr(3), fake_word(3 * PAGE_SIZE)));
	CU_ASSERT_EQUAL(vm_event(PGSOFTFAULT) - soft, 1);
	CU_ASSERT_EQUAL(atomic_load(&c->mm->counters[MM_SOFTFLT]), 1);
	CU_ASSERT_EQUAL(reads(), seen);
	CU_ASSERT_EQUAL(vm_event(PGMAJFAULT), 1);
	down();
}

static void stores_after_demotion_are_tracked(void)
{
	up(8);
	for (uint64_t round = 1; round < 5; round++) {
		CU_ASSERT(stores(c, page_addr(3), round));
		CU_ASSERT(stores(other, other_addr(3) + 8, round));
		CU_ASSERT_EQUAL(demote_all(), 0);
		fake_mmu_check();
		CU_ASSERT(sync_file());
		CU_ASSERT(!fake_dirty(m, 3));
		/* @other brings it back: @c must still be armed */
		CU_ASSERT(loads(other, other_addr(3), round));
		CU_ASSERT(!fake_can(c, page_addr(3), true));
		fake_mmu_check();
	}
	CU_ASSERT(stores(c, page_addr(3), 9));
	CU_ASSERT(fake_dirty(m, 3));
	down();
}

static void writers_of_late_stay(void)
{
	up(64);
	for (unsigned long i = 0; i < 32; i++)
		CU_ASSERT(stores(c, page_addr(i), i));
	for (unsigned long i = 32; i < 64; i++)
		CU_ASSERT(loads(c, page_addr(i), fake_word(i * PAGE_SIZE)));
	while (shrink_windows(64, false))
		;
	for (unsigned long i = 0; i < 64; i++)
		CU_ASSERT_EQUAL(fake_in_window(m, i), i < 32);
	CU_ASSERT(shrink_windows(32, true) >= 32);
	CU_ASSERT_EQUAL(nr_window_pages(), 0);
	down();
}

static void locked_ranges_stay(void)
{
	up(64);
	CU_ASSERT_EQUAL(do_mlock(c->mm, page_addr(8), 16 * PAGE_SIZE, 100), 0);
	for (unsigned long i = 0; i < 64; i++)
		CU_ASSERT(loads(c, page_addr(i), fake_word(i * PAGE_SIZE)));
	while (shrink_windows(64, true))
		;
	for (unsigned long i = 0; i < 64; i++)
		CU_ASSERT_EQUAL(fake_in_window(m, i), i >= 8 && i < 24);
	CU_ASSERT_EQUAL(do_munlock(c->mm, page_addr(8), 16 * PAGE_SIZE), 0);
	while (shrink_windows(64, true))
		;
	CU_ASSERT_EQUAL(nr_window_pages(), 0);
	down();
}

static void client_that_cannot_be_reached_keeps_pages(void)
{
	up(32);
	for (unsigned long i = 0; i < 32; i++)
		CU_ASSERT(stores(c, page_addr(i), i));
	fake_client_unreachable(c, UINT_MAX, 0);
	CU_ASSERT_EQUAL(demote_all(), 32);
	CU_ASSERT(vm_event(PGDEMOTE_FAIL) > 0);
	for (unsigned long i = 0; i < 32; i++)
		CU_ASSERT(stores(c, page_addr(i), 100 + i));
	fake_client_unreachable(c, 0, 0);
	fake_mmu_check();
	CU_ASSERT_EQUAL(demote_all(), 0);
	for (unsigned long i = 0; i < 32; i++)
		CU_ASSERT(loads(other, other_addr(i), 100 + i));
	down();
}

/* Writeback cannot take the right away: then the page is as if written to. */
static void client_that_cannot_be_reached_stays_dirty(void)
{
	up(32);
	for (unsigned long i = 0; i < 32; i++)
		CU_ASSERT(stores(c, page_addr(i), i));
	fake_client_unreachable(c, UINT_MAX, 0);
	filemap_write_and_wait_range(&m->file->mapping, 0, LLONG_MAX);
	for (unsigned long i = 0; i < 32; i++) {
		CU_ASSERT(fake_dirty(m, i));
		CU_ASSERT(stores(c, page_addr(i), 200 + i));
	}
	fake_client_unreachable(c, 0, 0);
	fake_mmu_check();
	CU_ASSERT(sync_file());
	for (unsigned long i = 0; i < 32; i++) {
		CU_ASSERT(!fake_dirty(m, i));
		CU_ASSERT_EQUAL(stored(i * PAGE_SIZE), 200 + i);
	}
	down();
}

/* Nor can a client be armed that does not answer: its fault waits, no other's. */
static void arming_that_fails_is_tried_again(void)
{
	uint64_t word;

	up(600);
	fake_client_unreachable(other, 3, 0);
	CU_ASSERT_EQUAL(fake_load(c, page_addr(5), &word), FAKE_OK);
	fake_mmu_check();
	fake_client_unreachable(other, 0, 0);
	CU_ASSERT(stores(other, other_addr(5), 1));
	CU_ASSERT(fake_dirty(m, 5));
	down();
}

static void mapping_that_cannot_be_armed_fails(void)
{
	unsigned long addr = 0;

	up(600);
	CU_ASSERT(stores(c, page_addr(5), 1));
	fake_client_unreachable(other, 1, 0);
	CU_ASSERT_EQUAL(fake_mmap(other, m, 0, 100, RW, &addr), -EAGAIN);
	fake_mmu_check();
	addr = 0;
	CU_ASSERT_EQUAL(fake_mmap(other, m, 0, 100, RW, &addr), 0);
	down();
}

/* ---- the budget ---- */

/* More than memory can hold is touched, again and again. */
static void touch_all(unsigned long pages, uint64_t add)
{
	for (unsigned long i = 0; i < pages; i++) {
		CU_ASSERT(loads(c, page_addr(i) + 64,
				fake_word(i * PAGE_SIZE + 64)));
		CU_ASSERT(i % 3 || fake_add(c, page_addr(i), add) == FAKE_OK);
		CU_ASSERT(nr_window_pages() <= window_limit());
		CU_ASSERT(vm_stat_read(NR_BALLOON) >= nr_window_pages());
		if (i % 512 == 511) {
			fake_mmu_check();
			CU_ASSERT(sync_file());
		}
	}
}

static void windows_stay_within_their_limit(void)
{
	const unsigned long pages = 2 * (MEMORY >> PAGE_SHIFT);

	up_mode(FAKE_SYNC, pages, 32);
	for (unsigned int round = 0; round < 3; round++)
		touch_all(pages, 1);
	CU_ASSERT(nr_window_pages() > window_limit() / 2);
	fake_mmu_check();
	CU_ASSERT(sync_file());
	for (unsigned long i = 0; i < pages; i += 3)
		CU_ASSERT_EQUAL(stored(i * PAGE_SIZE),
				fake_word(i * PAGE_SIZE) + 3);
	down();
}

/* With kswapd, and all of memory touched through mappings. */
static void up_full(unsigned long pages)
{
	pair_up(&(struct pair_conf){
		.memory = MEMORY, .threads = true, .mode = FAKE_SYNC,
		.pages = pages, .spare = 16, .ra_pages = 32, .region = REGION,
	});
	at = there = 0;
	CU_ASSERT_EQUAL(fake_mmap(c, m, 0, pages + 16, RW, &at), 0);
	CU_ASSERT_EQUAL(fake_mmap(other, m, 0, pages + 16, RW, &there), 0);
	for (unsigned long i = 0; i < pages; i++)
		CU_ASSERT(loads(c, page_addr(i) + 64,
				fake_word(i * PAGE_SIZE + 64)));
	CU_ASSERT(nr_window_pages() > pages / 2);
}

static void read_through(struct fake_file *file, unsigned long pages)
{
	for (loff_t pos = 0; pos < (loff_t)(pages << PAGE_SHIFT);
	     pos += sizeof(buf))
		CU_ASSERT_EQUAL(fake_read(file, NULL, pos, buf, sizeof(buf)),
				sizeof(buf));
}

static struct fake_file *plain_file(unsigned long pages)
{
	return fake_file_new(&disk, pages << PAGE_SHIFT, pages << PAGE_SHIFT);
}

/* What windows had, the arena gets back: those of files no one maps go. */
static void memory_comes_back_from_windows(void)
{
	const unsigned long pages = MEMORY >> PAGE_SHIFT;
	struct fake_file *plain;

	up_full(pages);
	CU_ASSERT_EQUAL(fake_munmap(c, at, pages + 16), 0);
	CU_ASSERT_EQUAL(fake_munmap(other, there, pages + 16), 0);
	plain = plain_file(pages);
	for (unsigned int i = 0; i < ROUNDS && nr_window_pages() > pages / 16; i++)
		read_through(plain, pages);
	CU_ASSERT(nr_window_pages() <= pages / 16);
	read_through(plain, pages);
	CU_ASSERT(READ_ONCE(plain->mapping.nrpages) > pages * 3 / 4);
	fake_file_free(plain);
	down();
}

/* Clients have it mapped still, but use it no more; another file is in use. */
static void unused_windows_make_room(void)
{
	const unsigned long pages = MEMORY >> PAGE_SHIFT, used = pages * 5 / 8;
	struct fake_file *plain;

	up_full(pages);
	plain = plain_file(used);
	for (unsigned int i = 0; i < ROUNDS && READ_ONCE(plain->mapping.nrpages) < used;
	     i++)
		read_through(plain, used);
	CU_ASSERT_EQUAL(READ_ONCE(plain->mapping.nrpages), used);
	fake_file_free(plain);
	down();
}

/* Who reads a large file once takes nothing that clients have mapped. */
static void scans_leave_windows_alone(void)
{
	const unsigned long pages = MEMORY >> PAGE_SHIFT;
	struct fake_file *plain;
	unsigned long before;

	up_full(pages);
	plain = plain_file(4 * pages);
	before = nr_window_pages();
	read_through(plain, 4 * pages);
	CU_ASSERT(nr_window_pages() >= before - before / 16);
	fake_file_free(plain);
	down();
}

/* Neither starves: a file used through the mount beside a mapped one. */
static void mount_and_mapping_share_memory(void)
{
	const unsigned long pages = MEMORY >> PAGE_SHIFT;
	struct fake_file *plain;

	up_mode(FAKE_SYNC, pages, 32);
	plain = fake_file_new(&disk, pages << PAGE_SHIFT, pages << PAGE_SHIFT);
	for (unsigned long i = 0; i < pages; i++) {
		CU_ASSERT_EQUAL(fake_add(c, page_addr(i), 1), FAKE_OK);
		CU_ASSERT_EQUAL(fake_read(plain, NULL, i << PAGE_SHIFT, buf,
					  PAGE_SIZE), PAGE_SIZE);
		CU_ASSERT(fake_is(buf, i << PAGE_SHIFT, PAGE_SIZE));
		if (i % 512 == 511) {
			fake_mmu_check();
			CU_ASSERT(sync_file());
		}
	}
	fake_file_free(plain);
	down();
}

/* With all of it dirty, and nobody to write it but who needs room. */
static void windows_full_of_dirt_go_on(void)
{
	const unsigned long pages = 2 * (MEMORY >> PAGE_SHIFT);

	pair_up(&(struct pair_conf){
		.memory = MEMORY, .threads = true, .mode = FAKE_ASYNC,
		.pages = pages, .ra_pages = 32, .region = REGION,
	});
	at = 0;
	CU_ASSERT_EQUAL(fake_mmap(c, m, 0, pages, RW, &at), 0);
	for (unsigned long i = 0; i < pages; i++)
		CU_ASSERT_EQUAL(fake_add(c, page_addr(i), i), FAKE_OK);
	CU_ASSERT(sync_file());
	for (unsigned long i = 0; i < pages; i++)
		CU_ASSERT_EQUAL(stored(i * PAGE_SIZE),
				fake_word(i * PAGE_SIZE) + i);
	fake_mm_quiesce(&disk);
	down();
}

/* ---- the mount beside the mappings ---- */

static void mount_and_mappings_see_each_other(void)
{
	uint64_t word = 77;

	up(8);
	CU_ASSERT(stores(c, page_addr(2), 1));
	CU_ASSERT_EQUAL(mount_word(2 * PAGE_SIZE), 1);
	CU_ASSERT(stores(c, page_addr(2), 2));		/* no message */
	CU_ASSERT_EQUAL(mount_word(2 * PAGE_SIZE), 2);
	CU_ASSERT_EQUAL(fake_mount_write(m, 2 * PAGE_SIZE + 8, &word, 8), 8);
	CU_ASSERT(loads(c, page_addr(2) + 8, 77));
	CU_ASSERT(loads(other, other_addr(2) + 8, 77));
	CU_ASSERT(loads(c, page_addr(2), 2));
	/* whole pages, several, one of them not there yet */
	memset(buf, 'x', 3 * PAGE_SIZE);
	CU_ASSERT_EQUAL(fake_mount_write(m, PAGE_SIZE, buf, 3 * PAGE_SIZE),
			3 * PAGE_SIZE);
	for (unsigned long i = 1; i < 4; i++)
		CU_ASSERT(loads(other, other_addr(i), 0x7878787878787878));
	fake_mmu_check();
	CU_ASSERT(stores(other, other_addr(3), 3));
	CU_ASSERT_EQUAL(mount_word(3 * PAGE_SIZE), 3);
	CU_ASSERT(sync_file());
	CU_ASSERT_EQUAL(stored(3 * PAGE_SIZE), 3);
	CU_ASSERT_EQUAL(stored(3 * PAGE_SIZE + 8), 0x7878787878787878);
	down();
}

static void kernels_copies_are_dropped_before_a_store(void)
{
	uint64_t word = 88;

	up(8);
	CU_ASSERT(stores(c, page_addr(2), 1));
	CU_ASSERT_EQUAL(kernel_word(2 * PAGE_SIZE), 1);
	CU_ASSERT(!fake_can(c, page_addr(2), true));
	CU_ASSERT(fake_can(c, page_addr(2), false));
	CU_ASSERT_EQUAL(kernel_word(2 * PAGE_SIZE), 1);
	CU_ASSERT_EQUAL(atomic_load(&m->kdrops), 0);
	CU_ASSERT(stores(c, page_addr(2), 2));
	CU_ASSERT_EQUAL(atomic_load(&m->kdrops), 1);
	CU_ASSERT_EQUAL(kernel_word(2 * PAGE_SIZE), 2);
	/* read before it was ever mapped */
	CU_ASSERT_EQUAL(kernel_word(4 * PAGE_SIZE), fake_word(4 * PAGE_SIZE));
	CU_ASSERT(stores(c, page_addr(4), 5));
	CU_ASSERT_EQUAL(kernel_word(4 * PAGE_SIZE), 5);
	/* read while mapped, and demoted since */
	CU_ASSERT_EQUAL(demote_all(), 0);
	CU_ASSERT_EQUAL(kernel_word(2 * PAGE_SIZE), 2);
	CU_ASSERT(stores(other, other_addr(2), 6));
	CU_ASSERT_EQUAL(kernel_word(2 * PAGE_SIZE), 6);
	/* written by one who keeps a copy */
	CU_ASSERT_EQUAL(kernel_word(2 * PAGE_SIZE), 6);
	CU_ASSERT_EQUAL(fake_kernel_write(m, 2 * PAGE_SIZE, &word, 8), 8);
	CU_ASSERT(loads(c, page_addr(2), 88));
	CU_ASSERT(stores(c, page_addr(2), 7));
	CU_ASSERT_EQUAL(kernel_word(2 * PAGE_SIZE), 7);
	/* the whole of it, while a client may store to it */
	CU_ASSERT(stores(c, page_addr(2), 8));
	memset(buf, 'k', PAGE_SIZE);
	CU_ASSERT_EQUAL(fake_kernel_write(m, 2 * PAGE_SIZE, buf, PAGE_SIZE),
			PAGE_SIZE);
	CU_ASSERT(m->kpages[2].valid);
	CU_ASSERT(!fake_can(c, page_addr(2), true));
	CU_ASSERT(stores(c, page_addr(2), 9));
	CU_ASSERT_EQUAL(kernel_word(2 * PAGE_SIZE), 9);
	/* and when no page was there */
	CU_ASSERT_EQUAL(fake_kernel_write(m, 5 * PAGE_SIZE, buf, PAGE_SIZE),
			PAGE_SIZE);
	CU_ASSERT(m->kpages[5].valid);
	CU_ASSERT(stores(c, page_addr(5), 10));
	CU_ASSERT_EQUAL(kernel_word(5 * PAGE_SIZE), 10);
	down();
}

/* The page itself is dropped and read again; the kernel still has its copy. */
static void kernels_copies_outlive_the_page(void)
{
	up(8);
	CU_ASSERT_EQUAL(kernel_word(2 * PAGE_SIZE), fake_word(2 * PAGE_SIZE));
	CU_ASSERT(drop_pagecache() > 0);
	CU_ASSERT(!fake_cached(m, 2));
	CU_ASSERT(stores(c, page_addr(2), 1));
	CU_ASSERT_EQUAL(kernel_word(2 * PAGE_SIZE), 1);
	CU_ASSERT(loads(c, page_addr(3), fake_word(3 * PAGE_SIZE)));
	CU_ASSERT_EQUAL(kernel_word(3 * PAGE_SIZE), fake_word(3 * PAGE_SIZE));
	CU_ASSERT_EQUAL(demote_all(), 0);
	CU_ASSERT(sync_file());
	CU_ASSERT(drop_pagecache() > 0);
	CU_ASSERT(stores(c, page_addr(3), 1));
	CU_ASSERT_EQUAL(kernel_word(3 * PAGE_SIZE), 1);
	down();
}

/* A copy would be stale as soon as it was made, and nobody would be told. */
static void no_copies_of_what_cannot_be_stopped(void)
{
	char page[PAGE_SIZE];

	up(8);
	CU_ASSERT(stores(c, page_addr(2), 1));
	fake_client_unreachable(c, UINT_MAX, 0);
	CU_ASSERT_EQUAL(fake_kernel_read(m, 2, page), -EIO);
	CU_ASSERT(stores(c, page_addr(2), 2));
	/* who keeps none may read */
	CU_ASSERT_EQUAL(mount_word(2 * PAGE_SIZE), 2);
	fake_client_unreachable(c, 3, 0);
	CU_ASSERT_EQUAL(kernel_word(2 * PAGE_SIZE), 2);
	CU_ASSERT(!fake_can(c, page_addr(2), true));
	CU_ASSERT(stores(c, page_addr(2), 3));
	CU_ASSERT_EQUAL(kernel_word(2 * PAGE_SIZE), 3);
	down();
}

/* The same for one who writes, and keeps what he has written. */
static void no_copies_written_of_what_cannot_be_stopped(void)
{
	up(8);
	memset(buf, 'k', PAGE_SIZE);
	CU_ASSERT(stores(c, page_addr(2), 1));
	fake_client_unreachable(c, 3, 0);
	CU_ASSERT_EQUAL(fake_kernel_write(m, 2 * PAGE_SIZE, buf, PAGE_SIZE),
			PAGE_SIZE);
	CU_ASSERT(!fake_can(c, page_addr(2), true));
	CU_ASSERT(stores(c, page_addr(2), 2));
	CU_ASSERT_EQUAL(kernel_word(2 * PAGE_SIZE), 2);
	down();
}

/*
 * Who may not write is not armed, and its kernel maps around by itself. Once it
 * may, not one store goes unseen.
 */
static void readers_become_writers(void)
{
	const unsigned long flags = VM_READ | VM_SHARED;
	unsigned long at = 0;

	up(8);
	CU_ASSERT_EQUAL(fake_mmap(other, m, 0, 8, flags, &at), 0);
	CU_ASSERT(stores(c, page_addr(2), 1));
	CU_ASSERT(fake_can(other, at + 2 * PAGE_SIZE, false));
	CU_ASSERT_EQUAL(fake_page_at(other, at + 2 * PAGE_SIZE)->hw, HW_PRESENT);
	CU_ASSERT(loads(other, at + 3 * PAGE_SIZE, fake_word(3 * PAGE_SIZE)));
	CU_ASSERT(sync_file());
	CU_ASSERT_EQUAL(fake_mprotect(other, at + PAGE_SIZE, 4,
				      VM_READ | VM_WRITE), 0);
	for (unsigned long i = 1; i < 5; i++) {
		CU_ASSERT(!fake_can(other, at + i * PAGE_SIZE, true));
		CU_ASSERT(stores(other, at + i * PAGE_SIZE, 10 + i));
		CU_ASSERT(fake_dirty(m, i));
	}
	CU_ASSERT_EQUAL(fake_mprotect(other, at, 8, VM_READ), 0);
	CU_ASSERT(sync_file());
	CU_ASSERT_EQUAL(fake_mprotect(other, at, 8, VM_READ | VM_WRITE), 0);
	CU_ASSERT(stores(other, at + 2 * PAGE_SIZE, 22));
	CU_ASSERT(fake_dirty(m, 2));
	CU_ASSERT_EQUAL(demote_all(), 0);
	CU_ASSERT(loads(c, page_addr(2), 22));
	CU_ASSERT(loads(c, page_addr(4), 14));
	fake_client_check(other);
	CU_ASSERT_EQUAL(fake_munmap(other, at, 8), 0);
	down();
}

/* Its kernel asks again and again for what somebody has punched. */
static void readers_get_what_was_punched(void)
{
	unsigned long at = 0;

	up(8);
	CU_ASSERT_EQUAL(fake_mmap(other, m, 0, 8, VM_READ | VM_SHARED, &at), 0);
	CU_ASSERT(stores(c, page_addr(2), 1));
	fake_punch_behind(c, page_addr(2), 1);
	CU_ASSERT(loads(other, at + 2 * PAGE_SIZE, 0));
	CU_ASSERT(fake_dirty(m, 2));
	CU_ASSERT_EQUAL(fake_munmap(other, at, 8), 0);
	down();
}

/* Who has a page while it is promoted may be reading its frame. */
static void frames_left_behind_are_found(void)
{
	struct page *page, *other_page;

	up(8);
	CU_ASSERT_EQUAL(mount_word(2 * PAGE_SIZE), fake_word(2 * PAGE_SIZE));
	CU_ASSERT_EQUAL(mount_word(3 * PAGE_SIZE), fake_word(3 * PAGE_SIZE));
	page = find_get_page(&m->file->mapping, 2);
	other_page = find_get_page(&m->file->mapping, 3);
	CU_ASSERT(stores(c, page_addr(2), 1));
	CU_ASSERT(stores(c, page_addr(3), 1));
	CU_ASSERT(PageWindow(page) && page->pfn != PFN_NONE);
	CU_ASSERT_EQUAL(window_drop_snapshots(), 0);
	put_page(other_page);
	CU_ASSERT_EQUAL(window_drop_snapshots(), 1);
	CU_ASSERT(other_page->pfn == PFN_NONE && page->pfn != PFN_NONE);
	put_wait_page(page);
	CU_ASSERT(page->pfn == PFN_NONE);
	CU_ASSERT(loads(other, other_addr(2), 1));
	CU_ASSERT(loads(other, other_addr(3), 1));
	down();
}

static void *release_later(void *arg)
{
	usleep(50000);
	fake_release(&disk);
	return arg;
}

/* Writeback that has the last frames, as snapshots, will give them back. */
static void memory_is_waited_for(void)
{
	static pfn_t pfns[MEMORY / PAGE_SIZE + 1];
	unsigned int nr = 0;
	pthread_t thread;
	pfn_t last;

	up_mode(FAKE_ASYNC, 64, 0);
	for (unsigned long i = 0; i < 64; i++)
		CU_ASSERT(stores(c, page_addr(i), i));
	fake_hold(&disk);
	filemap_fdatawrite_range(&m->file->mapping, 0, LLONG_MAX);
	while ((pfns[nr] = alloc_frames(GFP_USER | __GFP_NORETRY, 0)) != PFN_NONE)
		nr++;
	BUG_ON(pthread_create(&thread, NULL, release_later, NULL));
	last = alloc_frames(GFP_USER, 0);
	CU_ASSERT(last != PFN_NONE);
	BUG_ON(pthread_join(thread, NULL));
	if (last != PFN_NONE)
		free_frames(last, 0);
	while (nr)
		free_frames(pfns[--nr], 0);
	fake_drain(&disk);
	down();
}

static void *write_all(void *arg)
{
	filemap_fdatawrite_range(&m->file->mapping, 0, LLONG_MAX);
	return arg;
}

/* However much is dirty: its snapshots leave the others something. */
static void snapshots_leave_memory(void)
{
	const unsigned long nr = MEMORY / PAGE_SIZE / 2;
	const unsigned int ratio = atomic_load(&vm_tunables.dirty_ratio);
	pthread_t thread;
	pfn_t pfn;

	pair_up(&(struct pair_conf){
		.memory = MEMORY, .mode = FAKE_ASYNC, .pages = nr,
		.spare = 16, .region = nr,
	});
	at = 0;
	atomic_store(&vm_tunables.dirty_ratio, 100);	/* nobody writes yet */
	CU_ASSERT_EQUAL(fake_mmap(c, m, 0, nr, RW, &at), 0);
	for (unsigned long i = 0; i < nr; i++)
		CU_ASSERT(stores(c, page_addr(i), i));
	fake_hold(&disk);
	BUG_ON(pthread_create(&thread, NULL, write_all, NULL));
	while (vm_stat_read(NR_WRITEBACK) < 64)
		usleep(1000);
	usleep(200000);		/* it has taken what it takes */
	pfn = alloc_frames(GFP_USER | __GFP_NORETRY, 0);
	CU_ASSERT(pfn != PFN_NONE);
	if (pfn != PFN_NONE)
		free_frames(pfn, 0);
	fake_release(&disk);
	BUG_ON(pthread_join(thread, NULL));
	fake_drain(&disk);
	for (unsigned long i = 0; i < nr; i += 97)
		CU_ASSERT_EQUAL(stored(i * PAGE_SIZE), i);
	atomic_store(&vm_tunables.dirty_ratio, ratio);
	down();
}

/* A reader's bytes stay where it was told while the page moves. */
static void held_bytes_outlive_moves(void)
{
	struct page *page;
	pfn_t early, late;

	up(8);
	CU_ASSERT_EQUAL(mount_word(2 * PAGE_SIZE), fake_word(2 * PAGE_SIZE));
	page = find_get_page(&m->file->mapping, 2);
	CU_ASSERT_EQUAL(page_hold_bytes(page, false, &early), 0);
	CU_ASSERT(stores(c, page_addr(2) + 8, 1));	/* into the window */
	CU_ASSERT(fake_is(pfn_to_virt(early), 2 * PAGE_SIZE, 8));
	CU_ASSERT_EQUAL(page_hold_bytes(page, false, &late), 0);
	CU_ASSERT_EQUAL(*(uint64_t *)((char *)pfn_to_virt(late) + 8), 1);
	CU_ASSERT(stores(c, page_addr(2) + 8, 2));
	CU_ASSERT_EQUAL(*(uint64_t *)((char *)pfn_to_virt(late) + 8), 1);
	CU_ASSERT_EQUAL(demote_all(), 0);
	CU_ASSERT(fake_is(pfn_to_virt(early), 2 * PAGE_SIZE, 8));
	CU_ASSERT(fake_is(pfn_to_virt(late), 2 * PAGE_SIZE, 8));
	page_release_bytes(page, late);
	CU_ASSERT(loads(other, other_addr(2) + 8, 2));
	fake_mount_cut(m, 0);
	CU_ASSERT(fake_is(pfn_to_virt(early), 2 * PAGE_SIZE, 8));
	page_release_bytes(page, early);
	put_page(page);
	down();
}

/* ---- truncate, punch, grow ---- */

static void truncate_takes_pages_away(void)
{
	uint64_t word;

	up(1100);
	for (unsigned long i = 0; i < 1100; i += 10)
		CU_ASSERT(stores(c, page_addr(i), i + 1));
	CU_ASSERT(loads(other, other_addr(20), 21));
	CU_ASSERT(loads(other, other_addr(600), 601));
	fake_mount_cut(m, 20 * PAGE_SIZE + 8);
	fake_mmu_check();
	CU_ASSERT_EQUAL(nr_window_pages(), 3);
	CU_ASSERT_EQUAL(atomic_load(&c->mm->rss), 3);
	CU_ASSERT(loads(c, page_addr(10), 11));
	CU_ASSERT(loads(other, other_addr(20), 21));
	CU_ASSERT(loads(c, page_addr(20) + 8, 0));
	CU_ASSERT_EQUAL(fake_load(c, page_addr(21), &word), FAKE_SIGBUS);
	CU_ASSERT_EQUAL(fake_store(other, other_addr(600), 1), FAKE_SIGBUS);
	CU_ASSERT(sync_file());
	CU_ASSERT_EQUAL(atomic_load(&m->file->size), 20 * PAGE_SIZE + 8);
	fake_mount_grow(m, 1100 * PAGE_SIZE);
	CU_ASSERT(loads(other, other_addr(600), 0));
	CU_ASSERT(loads(c, page_addr(20) + 16, 0));
	fake_mmu_check();
	CU_ASSERT(stores(c, page_addr(600), 1));
	CU_ASSERT(fake_dirty(m, 600));
	down();
}

/*
 * A client could write when its page was cut off or punched out. The page comes
 * back for another: the first one's store must be noticed again.
 */
static void truncate_leaves_clients_armed(void)
{
	up(600);
	for (unsigned long i = 0; i < 600; i += 7)
		CU_ASSERT(stores(c, page_addr(i), i + 1));
	fake_mount_cut(m, PAGE_SIZE);
	fake_mount_grow(m, 600 * PAGE_SIZE);
	for (unsigned long i = 0; i < 600; i += 7)
		CU_ASSERT(loads(other, other_addr(i), i ? 0 : 1));
	fake_mmu_check();
	for (unsigned long i = 7; i < 600; i += 7) {
		CU_ASSERT(!fake_can(c, page_addr(i), true));
		CU_ASSERT(stores(c, page_addr(i), i + 2));
		CU_ASSERT(fake_dirty(m, i));
	}
	CU_ASSERT_EQUAL(fake_mount_zero(m, 7 * PAGE_SIZE, 70 * PAGE_SIZE), 0);
	for (unsigned long i = 7; i < 600; i += 7)
		CU_ASSERT(loads(other, other_addr(i), i < 77 ? 0 : i + 2));
	fake_mmu_check();
	for (unsigned long i = 7; i < 600; i += 7)
		CU_ASSERT(stores(c, page_addr(i), i + 3));
	CU_ASSERT(sync_file());
	for (unsigned long i = 7; i < 600; i += 7)
		CU_ASSERT_EQUAL(stored(i * PAGE_SIZE), i + 3);
	down();
}

/* What was stored in the last page past the end is not part of the file. */
static void tail_is_gone(void (*grow)(void), bool demote, bool sync)
{
	const loff_t end = 3 * PAGE_SIZE + 104;

	up(8);
	fake_mount_cut(m, end);
	CU_ASSERT(stores(c, page_addr(3) + 96, 1));
	CU_ASSERT(stores(c, page_addr(3) + 104, 2));
	CU_ASSERT(stores(c, page_addr(3) + 4000, 3));
	if (demote)
		CU_ASSERT_EQUAL(demote_all(), 0);
	if (sync)
		CU_ASSERT(sync_file());
	grow();
	CU_ASSERT(i_size_read(&m->file->mapping) > 4 * (loff_t)PAGE_SIZE);
	CU_ASSERT_EQUAL(mount_word(end - 8), 1);
	CU_ASSERT_EQUAL(mount_word(end), 0);
	CU_ASSERT_EQUAL(mount_word(3 * PAGE_SIZE + 4000), 0);
	CU_ASSERT(loads(c, page_addr(3) + 96, 1));
	CU_ASSERT(loads(c, page_addr(3) + 104, 0));
	CU_ASSERT(loads(other, other_addr(3) + 4000, 0));
	CU_ASSERT(loads(other, other_addr(4), 0));
	CU_ASSERT(sync_file());
	CU_ASSERT_EQUAL(stored(end - 8), 1);
	CU_ASSERT_EQUAL(stored(end), 0);
	CU_ASSERT_EQUAL(stored(3 * PAGE_SIZE + 4000), 0);
	down();
}

static void grow_by_truncate(void)
{
	fake_mount_grow(m, 6 * PAGE_SIZE);
}

static void grow_by_write(void)
{
	uint64_t word = 1;

	CU_ASSERT_EQUAL(fake_mount_write(m, 5 * PAGE_SIZE + 32, &word, 8), 8);
}

/* It begins in the last page, past the end: the gap is zeros. */
static void grow_by_write_in_the_page(void)
{
	CU_ASSERT_EQUAL(fake_mount_write(m, 3 * PAGE_SIZE + 2000,
					 &(uint64_t){ 9 }, 8), 8);
	CU_ASSERT_EQUAL(mount_word(3 * PAGE_SIZE + 104), 0);
	grow_by_write();
}

static void stores_past_the_end_never_appear(void)
{
	for (int i = 0; i < 4; i++) {
		tail_is_gone(grow_by_truncate, i & 1, i & 2);
		tail_is_gone(grow_by_write, i & 1, i & 2);
		tail_is_gone(grow_by_write_in_the_page, i & 1, i & 2);
	}
}

static void growing_files_can_be_reached(void)
{
	unsigned long i;

	up(8);
	for (i = 8; i < 20; i++) {
		CU_ASSERT_EQUAL(fake_store(c, page_addr(i), 1), FAKE_SIGBUS);
		if (i & 1)
			fake_mount_grow(m, (i + 1) * PAGE_SIZE);
		CU_ASSERT(i & 1 || fake_mount_write(m, i * PAGE_SIZE + 8,
						    &(uint64_t){ i }, 8) == 8);
		CU_ASSERT(stores(c, page_addr(i), i));
		CU_ASSERT(loads(other, other_addr(i) + 8, (i & 1) ? 0 : i));
		fake_mmu_check();
	}
	fake_mount_grow(m, 20 * PAGE_SIZE);
	CU_ASSERT(sync_file());
	for (i = 8; i < 20; i++)
		CU_ASSERT_EQUAL(stored(i * PAGE_SIZE), i);
	down();
}

static void punched_ranges_read_as_zeros(void)
{
	static const struct { loff_t pos, len; } t[] = {
		{ 2 * 4096, 4096 }, { 4 * 4096 + 8, 16 }, { 6 * 4096 + 8, 4096 },
		{ 9 * 4096, 3 * 4096 + 8 }, { 14 * 4096 + 8, 5 * 4096 - 8 },
		{ 500 * 4096 + 4088, 20 * 4096 },
	};

	up(600);
	for (size_t n = 0; n < ARRAY_SIZE(t); n++) {
		pgoff_t first = t[n].pos >> PAGE_SHIFT;
		pgoff_t last = (t[n].pos + t[n].len - 1) >> PAGE_SHIFT;

		for (pgoff_t i = first; i <= last; i++) {
			CU_ASSERT(stores(c, page_addr(i), i + 1));
			CU_ASSERT(stores(other, other_addr(i) + 4088, i + 1));
		}
		CU_ASSERT_EQUAL(fake_mount_zero(m, t[n].pos, t[n].len), 0);
		fake_mmu_check();
		for (loff_t pos = first << PAGE_SHIFT;
		     pos < (loff_t)((last + 1) << PAGE_SHIFT); pos += 8) {
			bool in = pos >= t[n].pos && pos < t[n].pos + t[n].len;
			uint64_t want = fake_word(pos);

			if (!(pos & 4095) || (pos & 4095) == 4088)
				want = (pos >> PAGE_SHIFT) + 1;
			CU_ASSERT(loads(c, at + pos, in ? 0 : want));
			CU_ASSERT_EQUAL(mount_word(pos), in ? 0 : want);
		}
		for (pgoff_t i = first; i <= last; i++)
			CU_ASSERT(stores(other, other_addr(i) + 16, 5));
		CU_ASSERT(sync_file());
		for (pgoff_t i = first; i <= last; i++)
			CU_ASSERT_EQUAL(stored((i << PAGE_SHIFT) + 16), 5);
	}
	down();
}

/* ---- memory short, clients hostile ---- */

/* What fsync says is on the disk is: no memory for a copy is no excuse. */
static void sync_without_memory_tells(void (*fail)(unsigned long, bool))
{
	int err;

	up(64);
	for (unsigned long i = 0; i < 64; i++)
		CU_ASSERT(stores(c, page_addr(i), i));
	fail(1, true);
	err = sync_mapping(&m->file->mapping, false);
	fail(0, false);
	for (unsigned long i = 0; i < 64; i++)
		CU_ASSERT(err || stored(i * PAGE_SIZE) == i);
	for (unsigned long i = 0; i < 64; i++)
		CU_ASSERT(fake_dirty(m, i) || stored(i * PAGE_SIZE) == i);
	fake_mmu_check();
	CU_ASSERT(sync_file());
	for (unsigned long i = 0; i < 64; i++)
		CU_ASSERT_EQUAL(stored(i * PAGE_SIZE), i);
	down();
}

static void sync_without_memory(void)
{
	sync_without_memory_tells(fail_page_alloc);
}

static void demotion_without_memory(void)
{
	up(64);
	for (unsigned long i = 0; i < 64; i++)
		CU_ASSERT(stores(c, page_addr(i), i));
	fail_page_alloc(1, true);
	demote_all();
	shrink_windows(64, true);
	fail_page_alloc(0, false);
	fake_mmu_check();
	for (unsigned long i = 0; i < 64; i++)
		CU_ASSERT(loads(other, other_addr(i), i));
	CU_ASSERT_EQUAL(demote_all(), 0);
	down();
}

static void mount_without_memory(void)
{
	uint64_t word = 0;
	ssize_t ret;

	for (unsigned long n = 1; n < 20; n++) {
		up(8);
		CU_ASSERT(stores(c, page_addr(2), 4711));
		fail_page_alloc(n, true);
		ret = fake_read(m->file, NULL, 2 * PAGE_SIZE, &word, 8);
		fail_page_alloc(0, false);
		CU_ASSERT(ret == -ENOMEM || (ret == 8 && word == 4711));
		fake_mmu_check();
		CU_ASSERT(loads(c, page_addr(2), 4711));
		down();
	}
}

/* MADV_REMOVE by a client: zeros, and nobody hangs or falls. */
static void client_punches_the_window(void)
{
	uint64_t word;

	up(64);
	for (unsigned long i = 0; i < 64; i++)
		CU_ASSERT(stores(c, page_addr(i), i + 1));
	fake_punch_behind(c, page_addr(8), 16);
	/* one is touched before the event comes */
	CU_ASSERT_EQUAL(fake_load(other, other_addr(9), &word), FAKE_OK);
	CU_ASSERT(word == 0 || word == 10);
	window_remove_event(c->mm, page_addr(8), page_addr(24));
	for (unsigned long i = 10; i < 24; i++)
		CU_ASSERT(loads(other, other_addr(i), 0));
	for (unsigned long i = 0; i < 8; i++)
		CU_ASSERT(loads(other, other_addr(i), i + 1));
	fake_punch_behind(c, page_addr(30), 8);
	CU_ASSERT_EQUAL(fake_store(c, page_addr(31), 5), FAKE_OK);
	CU_ASSERT_EQUAL(mount_word(31 * PAGE_SIZE), 5);
	CU_ASSERT(sync_file());
	CU_ASSERT_EQUAL(demote_all(), 0);
	fake_punch_behind(c, page_addr(40), 8);
	fake_mount_cut(m, 44 * PAGE_SIZE);
	CU_ASSERT_EQUAL(fake_store(c, page_addr(41), 6), FAKE_OK);
	CU_ASSERT(sync_file());
	CU_ASSERT_EQUAL(stored(41 * PAGE_SIZE), 6);
	CU_ASSERT_EQUAL(stored(31 * PAGE_SIZE), 5);
	fake_punch_behind(c, page_addr(0), 44);
	down();
}

static const struct test_case cases[] = {
	{ "demotion keeps bytes, clean and dirty", demotion_keeps_bytes },
	{ "soft faults need no disk and are counted", soft_faults_need_no_disk },
	{ "stores after a demotion are tracked",
	  stores_after_demotion_are_tracked },
	{ "what was made writable of late stays unless it must go",
	  writers_of_late_stay },
	{ "mlocked ranges stay", locked_ranges_stay },
	{ "a client that cannot be reached keeps its pages",
	  client_that_cannot_be_reached_keeps_pages },
	{ "what it may write to stays dirty",
	  client_that_cannot_be_reached_stays_dirty },
	{ "arming that fails is tried again", arming_that_fails_is_tried_again },
	{ "a mapping that cannot be armed fails",
	  mapping_that_cannot_be_armed_fails },
	{ "windows stay within their limit and the budget",
	  windows_stay_within_their_limit },
	{ "what windows had the arena gets back", memory_comes_back_from_windows },
	{ "windows in no use make room for what comes back",
	  unused_windows_make_room },
	{ "who reads once takes nothing from windows", scans_leave_windows_alone },
	{ "a mapped file and one that is not share memory",
	  mount_and_mapping_share_memory },
	{ "windows full of dirty pages go on", windows_full_of_dirt_go_on },
	{ "the mount and mappings see each other at once",
	  mount_and_mappings_see_each_other },
	{ "the kernel's copies are dropped before a store",
	  kernels_copies_are_dropped_before_a_store },
	{ "also when the page was dropped in between",
	  kernels_copies_outlive_the_page },
	{ "no copies are made of what a client may go on storing to",
	  no_copies_of_what_cannot_be_stopped },
	{ "no copies are written of what a client may go on storing to",
	  no_copies_written_of_what_cannot_be_stopped },
	{ "readers are armed when they become writers",
	  readers_become_writers },
	{ "readers get what was punched", readers_get_what_was_punched },
	{ "frames that stay with pages are found again",
	  frames_left_behind_are_found },
	{ "memory that writeback of windows has is waited for",
	  memory_is_waited_for },
	{ "snapshots of all that is dirty leave memory to others",
	  snapshots_leave_memory },
	{ "bytes that are held stay put", held_bytes_outlive_moves },
	{ "truncate takes pages from their clients", truncate_takes_pages_away },
	{ "truncate and punch leave clients armed", truncate_leaves_clients_armed },
	{ "stores past the end never become part of the file",
	  stores_past_the_end_never_appear },
	{ "a file that grows can be reached, and is zeros",
	  growing_files_can_be_reached },
	{ "punched ranges read as zeros, and stores beside them stay",
	  punched_ranges_read_as_zeros },
	{ "fsync without memory does not lie", sync_without_memory },
	{ "demotion without memory loses nothing", demotion_without_memory },
	{ "reads of window pages without memory lose nothing",
	  mount_without_memory },
	{ "a client that punches the window harms only the file",
	  client_punches_the_window },
};

int main(void)
{
	return test_main("mm/window", cases, ARRAY_SIZE(cases));
}
