// SPDX-License-Identifier: BSD-2-Clause
/*
 * tests/mm/test_madvise.c - what clients ask for by range: mm/madvise.c,
 *                           mlock.c, mincore.c, msync.c
 */
#include <errno.h>
#include <string.h>

#include "harness.h"
#include "slab.h"
#include "spaces.h"

/* ---- populate, madvise, mlock, mincore, msync ---- */

static bool all_given(unsigned long at, unsigned long nr, uint64_t bits)
{
	for (; nr; nr--, at++)
		if ((pte_at(mm, page_addr(at)) & bits) != bits)
			return false;
	return true;
}

static int madvise_pages(unsigned long at, unsigned long nr,
			 enum mm_advice advice)
{
	return do_madvise(mm, page_addr(at), nr * PAGE_SIZE, advice);
}

static void populate_gives_every_page(void)
{
	up();
	build("rrrrwwww.nnpp");
	CU_ASSERT_EQUAL(madvise_pages(1, 6, MM_POPULATE), 0);
	CU_ASSERT(all_given(1, 6, _PAGE_PRESENT));
	CU_ASSERT_EQUAL(madvise_pages(1, 6, MM_POPULATE), 0);
	CU_ASSERT_EQUAL(madvise_pages(4, 4, MM_POPULATE_WRITE), 0);
	CU_ASSERT(all_given(4, 4, _PAGE_PRESENT | _PAGE_RW));
	CU_ASSERT_EQUAL(stores[0]->mapping.nrdirty, 4);
	CU_ASSERT_EQUAL(madvise_pages(11, 2, MM_POPULATE), 0);
	/* No right to; a hole, after what comes before it. */
	CU_ASSERT_EQUAL(madvise_pages(0, 2, MM_POPULATE_WRITE), -EINVAL);
	CU_ASSERT_EQUAL(madvise_pages(9, 1, MM_POPULATE), -EINVAL);
	CU_ASSERT_EQUAL(madvise_pages(7, 3, MM_POPULATE), -ENOMEM);
	CU_ASSERT(all_given(7, 1, _PAGE_PRESENT));
	CU_ASSERT_EQUAL(madvise_pages(20, 3, MM_POPULATE), -ENOMEM);
	mm_check(mm);
	down();
}

static void populate_stops_at_errors(void)
{
	unsigned long addr;

	up();
	fake_truncate(stores[0], 10 * PAGE_SIZE + 5);
	build("rrrrrrrrrrrrrrrr");
	CU_ASSERT_EQUAL(madvise_pages(0, 11, MM_POPULATE), 0);
	CU_ASSERT_EQUAL(madvise_pages(0, 12, MM_POPULATE), -EIO);
	CU_ASSERT_EQUAL(do_mmap(mm, &files[1].f, page_addr(20), 20 * PAGE_SIZE,
				VM_SHARED | VM_READ, 50, MAP_HERE, &addr), 0);
	fake_fail_range(stores[1], FAKE_READ, 60, 60, -EIO);
	CU_ASSERT_EQUAL(madvise_pages(20, 20, MM_POPULATE), -EIO);
	CU_ASSERT(all_given(20, 10, _PAGE_PRESENT));
	CU_ASSERT_EQUAL(pte_at(mm, page_addr(30)), 0);
	fake_fail_off(&disk);
	CU_ASSERT_EQUAL(madvise_pages(20, 20, MM_POPULATE), 0);
	CU_ASSERT(all_given(20, 20, _PAGE_PRESENT));
	down();
}

static void willneed_reads_ahead(void)
{
	up();
	build("rr.ww");
	CU_ASSERT_EQUAL(madvise_pages(0, 2, MM_WILLNEED), 0);
	CU_ASSERT_EQUAL(stores[0]->mapping.nrpages, 2);
	CU_ASSERT_EQUAL(madvise_pages(0, 5, MM_WILLNEED), -ENOMEM);
	CU_ASSERT_EQUAL(stores[0]->mapping.nrpages, 4);
	CU_ASSERT_EQUAL(madvise_pages(0, 5, MM_DONTNEED), -ENOMEM);
	CU_ASSERT_EQUAL(madvise_pages(3, 2, MM_DONTNEED), 0);
	CU_ASSERT_EQUAL(madvise_pages(5, 2, MM_DONTNEED), -ENOMEM);
	CU_ASSERT_EQUAL(madvise_pages(1, 0, MM_WILLNEED), 0);
	CU_ASSERT_EQUAL(atomic_load(&mm->rss), 0);
	down();
}

static void mlock_counts_against_its_limit(void)
{
	struct page *page;

	up();
	build("rrRRrr");
	CU_ASSERT_EQUAL(mm->locked_vm, 2);
	CU_ASSERT_EQUAL(do_mlock(mm, page_addr(0), 6 * PAGE_SIZE, 5), -ENOMEM);
	CU_ASSERT(space_is("rr|RR|rr"));
	/* Any address; pages that are locked already are no more. */
	CU_ASSERT_EQUAL(do_mlock(mm, page_addr(1) + 77, PAGE_SIZE, 3), 0);
	CU_ASSERT(space_is("r|RRR|rr"));
	CU_ASSERT_EQUAL(mm->locked_vm, 3);
	CU_ASSERT(all_given(1, 2, _PAGE_PRESENT));
	page = find_get_page(&stores[0]->mapping, 1);
	CU_ASSERT(page && page_test(page, PG_mlocked));
	if (page)
		put_page(page);
	CU_ASSERT_EQUAL(do_munlock(mm, page_addr(1) + 4095, 2), 0);
	CU_ASSERT(space_is("rrr|R|rr"));
	CU_ASSERT_EQUAL(mm->locked_vm, 1);
	CU_ASSERT_EQUAL(do_mlock(mm, page_addr(0), 0, 1), 0);
	/* Past the end of the file there is nothing to lock. */
	fake_truncate(stores[0], 4 * PAGE_SIZE);
	CU_ASSERT_EQUAL(do_mlock(mm, page_addr(0), 6 * PAGE_SIZE, 6), -EIO);
	CU_ASSERT_EQUAL(mm->locked_vm, 6);
	down();
}

static void mincore_says_what_is_cached(void)
{
	unsigned char vec[8];
	static char buf[3 * PAGE_SIZE];

	up();
	build("rrrrww.r");
	memset(vec, 9, sizeof(vec));
	CU_ASSERT_EQUAL(fake_read(stores[0], NULL, 2 * PAGE_SIZE, buf,
				  sizeof(buf)), sizeof(buf));
	CU_ASSERT_EQUAL(do_mincore(mm, page_addr(1), 5 * PAGE_SIZE, vec), 0);
	CU_ASSERT(!memcmp(vec, "\0\1\1\1\0\11", 6));
	memset(vec, 9, sizeof(vec));
	CU_ASSERT_EQUAL(do_mincore(mm, page_addr(1), 7 * PAGE_SIZE, vec),
			-ENOMEM);
	CU_ASSERT_EQUAL(vec[0], 9);
	CU_ASSERT_EQUAL(do_mincore(mm, page_addr(3), 1, vec), 0);
	CU_ASSERT_EQUAL(vec[0], 1);
	CU_ASSERT_EQUAL(vec[1], 9);
	CU_ASSERT_EQUAL(do_mincore(mm, page_addr(6), 0, vec), 0);
	/* Cached, but its bytes could not be read. */
	fake_fail_range(stores[0], FAKE_READ, 0, 0, -EIO);
	CU_ASSERT_EQUAL(do_madvise(mm, page_addr(0), 1, MM_WILLNEED), 0);
	CU_ASSERT_EQUAL(stores[0]->mapping.nrpages, 4);
	CU_ASSERT_EQUAL(do_mincore(mm, page_addr(0), 1, vec), 0);
	CU_ASSERT_EQUAL(vec[0], 0);
	fake_fail_off(&disk);
	down();
}

/* What msync_note() was called with, and what it is to say. */
struct sync_note {
	unsigned int nr;
	struct vm_file *file[8];
	loff_t pos[8];
	size_t len[8];
	unsigned int fail_at;		/* the call that fails; 0: none */
	bool unmap_rest;
};

static int msync_note(struct vm_file *file, loff_t pos, size_t len, void *arg)
{
	struct sync_note *note = arg;

	/* Nobody holds mmap_lock. */
	CU_ASSERT(down_write_trylock(&mm->mmap_lock));
	up_write(&mm->mmap_lock);
	note->file[note->nr] = file;
	note->pos[note->nr] = pos;
	note->len[note->nr] = len;
	note->nr++;
	if (note->unmap_rest)
		CU_ASSERT_EQUAL(do_munmap(mm, page_addr(0), 64 * PAGE_SIZE), 0);
	return note->nr == note->fail_at ? -ENOSPC : 0;
}

static int msync_pages(unsigned long at, unsigned long nr,
		       struct sync_note *note)
{
	return do_msync(mm, page_addr(at), nr * PAGE_SIZE, msync_note, note);
}

static void msync_calls_for_each_vma(void)
{
	struct sync_note note = { 0 };

	up();
	build("rrwwpp|oo.ww");
	CU_ASSERT_EQUAL(msync_pages(1, 7, &note), 0);
	CU_ASSERT_EQUAL(note.nr, 3);
	CU_ASSERT(note.file[0] == &files[0].f && note.pos[0] == 4096 &&
		  note.len[0] == 4096);
	CU_ASSERT(note.file[1] == &files[0].f && note.pos[1] == 2 * 4096 &&
		  note.len[1] == 2 * 4096);
	CU_ASSERT(note.file[2] == &files[2].f && note.pos[2] == 6 * 4096 &&
		  note.len[2] == 2 * 4096);
	note = (struct sync_note){ 0 };
	CU_ASSERT_EQUAL(msync_pages(6, 5, &note), -ENOMEM);
	CU_ASSERT_EQUAL(note.nr, 2);		/* beyond the hole, too */
	note = (struct sync_note){ .fail_at = 1 };
	CU_ASSERT_EQUAL(msync_pages(0, 11, &note), -ENOSPC);
	CU_ASSERT_EQUAL(note.nr, 1);
	note = (struct sync_note){ 0 };
	CU_ASSERT_EQUAL(msync_pages(10, 2, &note), -ENOMEM);
	CU_ASSERT_EQUAL(note.nr, 1);
	note = (struct sync_note){ 0 };
	CU_ASSERT_EQUAL(msync_pages(30, 2, &note), -ENOMEM);
	CU_ASSERT_EQUAL(msync_pages(1, 0, &note), 0);
	CU_ASSERT_EQUAL(note.nr, 0);
	note.unmap_rest = true;
	CU_ASSERT_EQUAL(msync_pages(0, 4, &note), -ENOMEM);
	CU_ASSERT_EQUAL(note.nr, 1);
	down();
}

static void populate_survives_failures(void)
{
	unsigned long n = 0;
	int err;

	up();
	build("wwwwwwww");
	do {
		failslab(++n, false);
		err = madvise_pages(0, 8, MM_POPULATE_WRITE);
		failslab(0, false);
		mm_check(mm);
		CU_ASSERT(err == 0 || err == -ENOMEM);
	} while (err && n < 100);
	CU_ASSERT(all_given(0, 8, _PAGE_PRESENT | _PAGE_RW));
	down();
}

static const struct test_case cases[] = {
	{ "populate gives every page", populate_gives_every_page },
	{ "populate stops at errors", populate_stops_at_errors },
	{ "willneed reads ahead", willneed_reads_ahead },
	{ "mlock counts against its limit", mlock_counts_against_its_limit },
	{ "mincore says what is cached", mincore_says_what_is_cached },
	{ "populate survives failures", populate_survives_failures },
	{ "msync calls for each VMA", msync_calls_for_each_vma },
};

int main(void)
{
	return test_main("mm/madvise", cases, ARRAY_SIZE(cases));
}
