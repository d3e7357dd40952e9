// SPDX-License-Identifier: BSD-2-Clause
/*
 * tests/mm/test_mmap.c - mapping, unmapping, moving: mm/mmap.c, vma.c,
 *                        vma_edit.c, mprotect.c, mremap.c, and what calls of
 *                        the others do to VMAs
 */
#include <errno.h>
#include <limits.h>

#include "harness.h"
#include "slab.h"
#include "spaces.h"
#include "vma.h"
#include "window.h"

/* ---- what calls do to spaces ---- */

static void run_call(const struct call_case *c)
{
	up();
	build(c->before);
	CU_ASSERT_EQUAL(do_call(c), c->err);
	CU_ASSERT(space_is(c->after ? c->after : c->before));
	CU_ASSERT(offsets_are_identity());
	CU_ASSERT(files_agree());
	down();
}

static void run_calls(const struct call_case *c, size_t nr)
{
	for (size_t i = 0; i < nr; i++)
		run_call(&c[i]);
}

static void new_mappings_join_neighbours(void)
{
	static const struct call_case calls[] = {
		{ "",		MAP, 0, 2, 'r', 0, "rr" },
		{ "rr..rr",	MAP, 2, 2, 'r', 0, "rrrrrr" },	/* 1 */
		{ "rr..ww",	MAP, 2, 2, 'r', 0, "rrrr|ww" },	/* 2 */
		{ "rr...r",	MAP, 2, 2, 'r', 0, "rrrr.r" },	/* 2 */
		{ "ww..rr",	MAP, 2, 2, 'r', 0, "ww|rrrr" },	/* 3 */
		{ "r...rr",	MAP, 2, 2, 'r', 0, "r.rrrr" },	/* 3 */
		{ "ww..ww",	MAP, 2, 2, 'r', 0, "ww|rr|ww" },
		{ "rr..rr",	MAP, 2, 2, 'R', 0, "rr|RR|rr" },
		{ "rr..rr",	MAP, 2, 2, 'o', 0, "rr|oo|rr" },
		{ "rr..rr",	MAP, 2, 2, 'p', 0, "rr|pp|rr" },
		{ "pp..pp",	MAP, 2, 2, 'p', 0, "pppppp" },
		{ "RR..RR",	MAP, 2, 2, 'R', 0, "RRRRRR" },
		{ "rr..rr",	MAP, 1, 2, 'r', -EEXIST, NULL },
		{ "rr..rr",	MAP, 3, 2, 'r', -EEXIST, NULL },
		{ "rr..rr",	MAP, 0, 6, 'r', -EEXIST, NULL },
		{ ".r",		MAP, 0, 3, 'w', -EEXIST, NULL },
	};

	run_calls(calls, ARRAY_SIZE(calls));
}

static void changed_rights_cut_and_join(void)
{
	static const struct call_case calls[] = {
		{ "wwwwvv",	PROTECT, 2, 2, 'r', 0, "ww|vvvv" },	/* 4 */
		{ "vvwwww",	PROTECT, 2, 2, 'r', 0, "vvvv|ww" },	/* 5 */
		{ "vvwwvv",	PROTECT, 2, 2, 'r', 0, "vvvvvv" },	/* 6 */
		{ "vvwwnn",	PROTECT, 2, 2, 'r', 0, "vvvv|nn" },	/* 7 */
		{ "vvww",	PROTECT, 2, 2, 'r', 0, "vvvv" },	/* 7 */
		{ "nnwwvv",	PROTECT, 2, 2, 'r', 0, "nn|vvvv" },	/* 8 */
		{ "wwvv",	PROTECT, 0, 2, 'r', 0, "vvvv" },	/* 8 */
		{ "rrxxxx",	PROTECT, 2, 2, 'r', 0, "rrrr|xx" },
		{ "rrnnrr",	PROTECT, 2, 2, 'r', 0, "rrrrrr" },
		/* What was never writable is not of one kind with what was. */
		{ "rrwwrr",	PROTECT, 2, 2, 'r', 0, "rr|vv|rr" },
		{ "rrvvrr",	PROTECT, 0, 6, 'w', 0, "wwwwww" },
		{ "rrrr",	PROTECT, 1, 2, 'w', 0, "r|ww|r" },
		{ "wwwwww",	PROTECT, 2, 2, 'r', 0, "ww|vv|ww" },
		{ "wwww",	PROTECT, 0, 2, 'r', 0, "vv|ww" },
		{ "wwww",	PROTECT, 2, 2, 'r', 0, "ww|vv" },
		{ "wwww",	PROTECT, 0, 4, 'x', 0, "yyyy" },
		{ "wwww",	PROTECT, 1, 2, 'w', 0, NULL },
		{ "wwvvmmww",	PROTECT, 1, 6, 'n', 0, "w|mmmmmm|w" },
		{ "wwvvmmww",	PROTECT, 1, 6, 'x', 0, "w|yyyyyy|w" },
		{ "wwvvwwvv",	PROTECT, 0, 8, 'r', 0, "vvvvvvvv" },
		{ "rrwwrrww",	PROTECT, 1, 6, 'w', 0, "r|wwwwwww" },
		{ "RRWW",	PROTECT, 1, 2, 'n', 0, "R|N|M|W" },
		{ "r|w|r|w",	PROTECT, 0, 0, 'r', 0, NULL },
		{ "wwww",	PROTECT, 2, 0, 'r', 0, NULL },
	};

	run_calls(calls, ARRAY_SIZE(calls));
}

static void refused_rights_change_nothing(void)
{
	static const struct call_case calls[] = {
		{ "ww.ww",	PROTECT, 0, 5, 'r', -ENOMEM, NULL },
		{ "ww",		PROTECT, 1, 2, 'r', -ENOMEM, NULL },
		{ ".ww",	PROTECT, 0, 2, 'r', -ENOMEM, NULL },
		{ "",		PROTECT, 0, 2, 'r', -ENOMEM, NULL },
		{ "oooo",	PROTECT, 1, 1, 'w', -EACCES, NULL },
		{ "rr|oo",	PROTECT, 1, 2, 'w', -EACCES, NULL },
		{ "rr|oo|rr",	PROTECT, 0, 6, 'w', -EACCES, NULL },
		{ "pppp",	PROTECT, 0, 4, 'w', -EACCES, NULL },
	};

	run_calls(calls, ARRAY_SIZE(calls));
}

static void unmapping_cuts(void)
{
	static const struct call_case calls[] = {
		{ "rrrr",	UNMAP, 0, 4, 0, 0, "" },
		{ "rrrr",	UNMAP, 0, 2, 0, 0, "..rr" },
		{ "rrrr",	UNMAP, 2, 2, 0, 0, "rr" },
		{ "rrrr",	UNMAP, 1, 2, 0, 0, "r..r" },
		{ "rrwwnn",	UNMAP, 1, 4, 0, 0, "r....n" },
		{ "rrwwnn",	UNMAP, 2, 2, 0, 0, "rr..nn" },
		{ "rr.wwoo",	UNMAP, 0, 7, 0, 0, "" },
		{ "r.r",	UNMAP, 1, 1, 0, 0, NULL },
		{ "",		UNMAP, 0, 9, 0, 0, NULL },
		{ "..rr",	UNMAP, 0, 2, 0, 0, NULL },
		{ "WWWW",	UNMAP, 1, 1, 0, 0, "W.WW" },
		{ "oopp",	UNMAP, 1, 2, 0, 0, "o..p" },
	};

	run_calls(calls, ARRAY_SIZE(calls));
}

static void advice_cuts_and_joins_again(void)
{
	static const struct call_case calls[] = {
		{ "rrrrrr",	ADVISE, 2, 2, 'a', 0, "rr|aa|rr" },
		{ "rraarr",	ADVISE, 2, 2, 'r', 0, "rrrrrr" },
		{ "rraarr",	ADVISE, 2, 2, 's', 0, "rr|ss|rr" },
		{ "ssaarr",	ADVISE, 0, 6, 'r', 0, "rrrrrr" },
		{ "rr.rr",	ADVISE, 0, 5, 'a', -ENOMEM, "aa.aa" },
		{ "rr",		ADVISE, 1, 2, 's', -ENOMEM, "r|s" },
		{ "rrrr",	ADVISE, 0, 0, 's', 0, NULL },
	};

	run_calls(calls, ARRAY_SIZE(calls));
}

static void locking_cuts_and_joins(void)
{
	static const struct call_case calls[] = {
		{ "rrrrrr",	LOCK, 2, 2, 0, 0, "rr|RR|rr" },
		{ "rrwwrr",	LOCK, 1, 4, 0, 0, "r|R|WW|R|r" },
		{ "RRrrRR",	LOCK, 2, 2, 0, 0, "RRRRRR" },
		{ "rr.rr",	LOCK, 0, 5, 0, -ENOMEM, NULL },
		{ "",		LOCK, 0, 1, 0, -ENOMEM, NULL },
		{ "rrRRrr",	UNLOCK, 0, 6, 0, 0, "rrrrrr" },
		{ "RRRRRR",	UNLOCK, 2, 2, 0, 0, "RR|rr|RR" },
		{ "RR.RR",	UNLOCK, 0, 5, 0, -ENOMEM, NULL },
		{ "nn",		LOCK, 0, 2, 0, -EINVAL, "NN" },
	};

	run_calls(calls, ARRAY_SIZE(calls));
}

static void what_does_not_continue_is_not_joined(void)
{
	unsigned long addr;

	up();
	/* Neighbours of one kind, but not neighbours in the file. */
	CU_ASSERT_EQUAL(do_mmap(mm, &files[0].f, page_addr(0), PAGE_SIZE,
				VM_SHARED, 7, MAP_HERE, &addr), 0);
	CU_ASSERT_EQUAL(do_mmap(mm, &files[0].f, page_addr(1), PAGE_SIZE,
				VM_SHARED, 7, MAP_HERE, &addr), 0);
	CU_ASSERT_EQUAL(do_mmap(mm, &files[0].f, page_addr(2), PAGE_SIZE,
				VM_SHARED, 9, MAP_HERE, &addr), 0);
	CU_ASSERT(space_is("n|n|n"));
	/* Page 10 of another file. */
	CU_ASSERT_EQUAL(do_mmap(mm, &files[1].f, page_addr(3), PAGE_SIZE,
				VM_SHARED, 10, MAP_HERE, &addr), 0);
	CU_ASSERT_EQUAL(mm->map_count, 4);
	/* Neighbours in the file, but not in memory. */
	CU_ASSERT_EQUAL(do_mmap(mm, &files[0].f, page_addr(5), PAGE_SIZE,
				VM_SHARED, 8, MAP_HERE, &addr), 0);
	CU_ASSERT_EQUAL(mm->map_count, 5);
	mm_check(mm);
	CU_ASSERT(files_agree());
	down();
}

/* ---- mremap ---- */

struct remap_case {
	const char *before;
	unsigned long at, old_nr, new_nr;
	unsigned int map_flags;
	bool may_move;
	unsigned long to;
	int err;
	const char *after;
	unsigned long new_at;
};

static const struct remap_case remaps[] = {
	/* shorter */
	{ "rrrr",    0, 4, 2, 0, false, 0, 0, "rr", 0 },
	{ "rrrr",    0, 3, 1, 0, false, 0, 0, "r..r", 0 },
	{ "rrrrww",  1, 3, 2, 0, true, 0, 0, "rrr.ww", 1 },
	{ "rrrr",    1, 2, 2, 0, false, 0, 0, "rrrr", 1 },
	/* longer, where it is */
	{ "rr",      0, 2, 4, 0, false, 0, 0, "rrrr", 0 },
	{ "rr",      1, 1, 3, 0, true, 0, 0, "rrrr", 1 },
	{ "rr..ww",  0, 2, 4, 0, false, 0, 0, "rrrr|ww", 0 },
	{ "rr..rr",  0, 2, 4, 0, false, 0, 0, "rrrrrr", 0 },
	{ "RR",      0, 2, 3, 0, false, 0, 0, "RRR", 0 },
	/* longer, and no room */
	{ "rr.ww",   0, 2, 4, 0, false, 0, -ENOMEM, NULL, 0 },
	{ "rr.ww",   0, 2, 4, 0, true, 0, 0, "...ww|rrrr", 5 },
	{ "rrrr",    0, 2, 3, 0, false, 0, -ENOMEM, NULL, 0 },
	{ "rrrr",    0, 2, 3, 0, true, 0, 0, "..rr|rrr", 4 },
	{ "rrrr",    1, 2, 3, 0, true, 0, 0, "r..r|rrr", 4 },
	/* where it is told to */
	{ "rr",      0, 2, 2, MAP_HERE, true, 4, 0, "....rr", 4 },
	{ "rr",      0, 2, 1, MAP_HERE, true, 4, 0, "....r", 4 },
	{ "rr",      0, 2, 3, MAP_HERE, true, 4, 0, "....rrr", 4 },
	{ "rr.wwww", 0, 2, 2, MAP_HERE, true, 4, 0, "...w|rr|w", 4 },
	{ "rrwwww",  0, 2, 2, MAP_HERE, true, 2, 0, "..rr|ww", 2 },
	{ "rrrr",    0, 2, 2, MAP_HERE, true, 2, 0, "..rr", 2 },
	{ "rrrrrr",  1, 1, 1, MAP_HERE, true, 4, 0, "r.rr|r|r", 4 },
	{ "rrrrrr",  4, 2, 2, MAP_HERE, true, 1, 0, "r|rr|r", 1 },
	{ "..rr",    2, 2, 2, MAP_HERE, true, 0, 0, "rr", 0 },
	/* parts of it were once writable */
	{ "rr|vv|rr", 0, 6, 6, MAP_HERE, true, 8, 0, "........vvvvvv", 8 },
	{ "rr|vv|rr", 1, 4, 6, MAP_HERE, true, 8, 0, "r....r..vvvvvv", 8 },
	{ "rr|vv|rr", 0, 6, 8, 0, false, 0, 0, "rr|vv|rrrr", 0 },
	{ "rr|vv",   0, 4, 6, 0, false, 0, 0, "rr|vvvv", 0 },
	{ "vv|rr.w", 0, 4, 6, 0, true, 0, 0, ".....w|vvvvvv", 6 },
	{ "rr|vv|rr", 0, 6, 3, 0, false, 0, 0, "rr|v", 0 },
	{ "rr|vv|RR", 0, 6, 8, 0, true, 0, -EFAULT, NULL, 0 },
	/* refused */
	{ "rrrr",    0, 2, 2, MAP_HERE, true, 1, -EINVAL, NULL, 0 },
	{ "rrrr",    2, 2, 4, MAP_HERE, true, 0, -EINVAL, NULL, 0 },
	{ "rr",      0, 0, 2, 0, true, 0, -EINVAL, NULL, 0 },
	{ "rr",      0, 2, 0, 0, true, 0, -EINVAL, NULL, 0 },
	{ "rr",      0, 3, 4, 0, true, 0, -EFAULT, NULL, 0 },
	{ "rr|ww",   0, 4, 5, 0, true, 0, -EFAULT, NULL, 0 },
	{ ".rr",     0, 2, 3, 0, true, 0, -EFAULT, NULL, 0 },
	{ "",        0, 2, 3, 0, true, 0, -EFAULT, NULL, 0 },
	{ "rr",      0, 2, 99, 0, true, 0, -ENOMEM, NULL, 0 },
	{ "rr",      0, 2, 99, 0, false, 0, -ENOMEM, NULL, 0 },
};

static void do_remap(const struct remap_case *c)
{
	struct vm_area_struct *vma;
	unsigned long addr = 1;

	up();
	build(c->before);
	CU_ASSERT_EQUAL(do_mremap(mm, page_addr(c->at), c->old_nr * PAGE_SIZE,
				  c->new_nr * PAGE_SIZE, c->map_flags,
				  c->may_move, page_addr(c->to), &addr),
			c->err);
	CU_ASSERT(space_is(c->after ? c->after : c->before));
	CU_ASSERT_EQUAL(addr, c->err ? 1 : page_addr(c->new_at));
	if (!c->err) {
		down_read(&mm->mmap_lock);
		vma = find_vma(mm, addr);
		CU_ASSERT_EQUAL(linear_page_index(vma, addr), c->at);
		up_read(&mm->mmap_lock);
	}
	CU_ASSERT(files_agree());
	down();
}

static void remap_to_every_place(void)
{
	for (unsigned int i = 0; i < ARRAY_SIZE(remaps); i++)
		do_remap(&remaps[i]);
}

static void events_move_whatever_is_there(void)
{
	up();
	build("rrwwnn.wwww");
	CU_ASSERT_EQUAL(mremap_event(mm, page_addr(1), page_addr(8),
				     4 * PAGE_SIZE), 0);
	CU_ASSERT(space_is("r....n.w|r|ww|n"));
	CU_ASSERT(files_agree());
	CU_ASSERT_EQUAL(mremap_event(mm, page_addr(0), page_addr(20),
				     7 * PAGE_SIZE), 0);
	CU_ASSERT(space_is(".......w|r|ww|n........r....n"));
	CU_ASSERT_EQUAL(mremap_event(mm, page_addr(30), page_addr(0),
				     5 * PAGE_SIZE), 0);	/* nothing */
	CU_ASSERT_EQUAL(mremap_event(mm, page_addr(0), page_addr(4),
				     5 * PAGE_SIZE), -EINVAL);
	CU_ASSERT_EQUAL(mremap_event(mm, page_addr(0), 0, PAGE_SIZE), -EINVAL);
	CU_ASSERT_EQUAL(mremap_event(mm, page_addr(0) + 1, page_addr(9),
				     PAGE_SIZE), -EINVAL);
	CU_ASSERT_EQUAL(mremap_event(mm, page_addr(0), TASK_SIZE, PAGE_SIZE),
			-EINVAL);
	CU_ASSERT(space_is(".......w|r|ww|n........r....n"));
	down();
}

/* Pieces that lie in the file as they lie after the move are joined there. */
static void moved_pieces_are_joined_across_the_border(void)
{
	unsigned long addr;

	up();
	CU_ASSERT_EQUAL(do_mmap(mm, &files[0].f, page_addr(0), 2 * PAGE_SIZE,
				VM_SHARED, 12, MAP_HERE, &addr), 0);
	CU_ASSERT_EQUAL(do_mmap(mm, &files[0].f, page_addr(2), 2 * PAGE_SIZE,
				VM_SHARED, 10, MAP_HERE, &addr), 0);
	CU_ASSERT(space_is("nn|nn"));
	CU_ASSERT_EQUAL(mremap_event(mm, page_addr(0), page_addr(4),
				     4 * PAGE_SIZE), 0);
	CU_ASSERT(space_is("....nn|nn"));
	CU_ASSERT_EQUAL(mremap_event(mm, page_addr(4), page_addr(2),
				     2 * PAGE_SIZE), 0);
	CU_ASSERT(space_is("..nn..nn"));
	CU_ASSERT_EQUAL(mremap_event(mm, page_addr(2), page_addr(8),
				     2 * PAGE_SIZE), 0);
	CU_ASSERT(space_is("......nnnn"));	/* 10 11 12 13 */
	down();
}

/* ---- arguments that no client may send ---- */

static void bad_arguments_are_refused(void)
{
	static const struct {
		unsigned long addr;
		size_t len;
		unsigned long flags;
		pgoff_t pgoff;
		unsigned int map_flags;
		unsigned int file;
		int err;
	} c[] = {
		{ BASE, 0, VM_SHARED, 0, MAP_HERE, 0, -EINVAL },
		{ 0, PAGE_SIZE, VM_SHARED, 0, MAP_HERE, 0, -EINVAL },
		{ BASE + 1, PAGE_SIZE, VM_SHARED, 0, MAP_HERE, 0, -EINVAL },
		{ TASK_SIZE, 1, VM_SHARED, 0, MAP_HERE, 0, -EINVAL },
		{ TASK_SIZE - PAGE_SIZE, PAGE_SIZE + 1, VM_SHARED, 0, MAP_HERE,
		  0, -EINVAL },
		{ ~0UL & PAGE_MASK, 2 * PAGE_SIZE, VM_SHARED, 0, MAP_HERE, 0,
		  -EINVAL },
		{ BASE, SIZE_MAX, VM_SHARED, 0, MAP_HERE, 0, -EINVAL },
		{ 0, SIZE_MAX - 100, VM_SHARED, 0, 0, 0, -EINVAL },
		{ 0, TASK_SIZE - PAGE_SIZE, VM_SHARED, 0, 0, 0, -ENOMEM },
		{ 0, (REGION_PAGES + 1) * PAGE_SIZE, VM_SHARED, 0, 0, 0,
		  -ENOMEM },
		{ BASE, PAGE_SIZE, VM_SHARED, ~0ULL, MAP_HERE, 0, -EOVERFLOW },
		{ BASE, PAGE_SIZE, VM_SHARED, LLONG_MAX / 4096 + 1, MAP_HERE, 0,
		  -EOVERFLOW },
		{ BASE, 2 * PAGE_SIZE, VM_SHARED, LLONG_MAX / 4096, MAP_HERE, 0,
		  -EOVERFLOW },
		{ BASE, PAGE_SIZE, VM_SHARED | VM_MAYWRITE, 0, MAP_HERE, 0,
		  -EINVAL },
		{ BASE, PAGE_SIZE, ~0UL, 0, MAP_HERE, 0, -EINVAL },
		{ BASE, PAGE_SIZE, VM_SHARED | VM_WRITE, 0, MAP_HERE, 2,
		  -EACCES },
		{ BASE, PAGE_SIZE, VM_WRITE, 0, MAP_HERE, 0, -EACCES },
	};

	up();
	for (unsigned int i = 0; i < ARRAY_SIZE(c); i++) {
		unsigned long addr = 42;

		CU_ASSERT_EQUAL(do_mmap(mm, &files[c[i].file].f, c[i].addr,
					c[i].len, c[i].flags, c[i].pgoff,
					c[i].map_flags, &addr), c[i].err);
		CU_ASSERT_EQUAL(addr, 42);
	}
	CU_ASSERT(space_is(""));
	CU_ASSERT(files_agree());
	down();
}

static int msync_nothing(struct vm_file *file, loff_t pos, size_t len, void *arg)
{
	(void)file, (void)pos, (void)len, (void)arg;
	return 0;
}

static void bad_ranges_are_refused(void)
{
	static const struct { unsigned long addr; size_t len; } c[] = {
		{ BASE + 1, PAGE_SIZE }, { BASE, SIZE_MAX },
		{ BASE, TASK_SIZE }, { TASK_SIZE, PAGE_SIZE },
		{ ~0UL & PAGE_MASK, PAGE_SIZE },
		{ ~0UL & PAGE_MASK, 2 * PAGE_SIZE },
	};
	unsigned char vec[4] = { 9, 9, 9, 9 };

	up();
	build("rrrr");
	for (unsigned int i = 0; i < ARRAY_SIZE(c); i++) {
		unsigned long addr = c[i].addr, got = 42;
		bool aligned = IS_ALIGNED(addr, PAGE_SIZE);
		size_t len = c[i].len;

		CU_ASSERT_EQUAL(do_munmap(mm, addr, len), -EINVAL);
		CU_ASSERT_EQUAL(do_mprotect(mm, addr, len, 0), -EINVAL);
		CU_ASSERT_EQUAL(do_madvise(mm, addr, len, MM_RANDOM), -EINVAL);
		CU_ASSERT_EQUAL(do_msync(mm, addr, len, msync_nothing, NULL),
				-EINVAL);
		CU_ASSERT_EQUAL(do_mincore(mm, addr, len, vec), -EINVAL);
		CU_ASSERT_EQUAL(mmap_arm(mm, addr, len), -EINVAL);
		CU_ASSERT_EQUAL(do_mremap(mm, addr, len, PAGE_SIZE, 0, true, 0,
					  &got), -EINVAL);
		CU_ASSERT_EQUAL(do_mremap(mm, BASE, PAGE_SIZE, len, MAP_HERE,
					  true, addr, &got), -EINVAL);
		CU_ASSERT_EQUAL(got, 42);
		if (aligned) {		/* mlock(2) rounds down */
			CU_ASSERT_EQUAL(do_mlock(mm, addr, len, 99), -EINVAL);
			CU_ASSERT_EQUAL(do_munlock(mm, addr, len), -EINVAL);
		}
	}
	CU_ASSERT_EQUAL(do_munmap(mm, BASE, 0), -EINVAL);
	CU_ASSERT_EQUAL(do_mremap(mm, BASE, PAGE_SIZE, PAGE_SIZE, MAP_HERE,
				  true, 0, &(unsigned long){ 0 }), -EINVAL);
	CU_ASSERT_EQUAL(do_mprotect(mm, BASE, PAGE_SIZE, VM_SHARED), -EINVAL);
	CU_ASSERT_EQUAL(do_madvise(mm, BASE, PAGE_SIZE, 77), -EINVAL);
	CU_ASSERT_EQUAL(vec[0], 9);
	CU_ASSERT(space_is("rrrr"));
	down();
}

/* The largest file there can be, and its last page. */
static void largest_offsets_work(void)
{
	unsigned long addr;

	up();
	CU_ASSERT_EQUAL(do_mmap(mm, &files[0].f, page_addr(0), PAGE_SIZE,
				VM_SHARED, LLONG_MAX / 4096, MAP_HERE, &addr),
			0);
	CU_ASSERT_EQUAL(do_mremap(mm, page_addr(0), PAGE_SIZE, 2 * PAGE_SIZE, 0,
				  true, 0, &addr), -EINVAL);
	CU_ASSERT_EQUAL(do_mmap(mm, &files[0].f, PAGE_SIZE,
				BASE - PAGE_SIZE, VM_SHARED, 0, MAP_HERE,
				&addr), 0);
	CU_ASSERT_EQUAL(do_mmap(mm, &files[0].f, TASK_SIZE - PAGE_SIZE,
				PAGE_SIZE, VM_SHARED, 0, MAP_HERE, &addr), 0);
	mm_check(mm);
	CU_ASSERT_EQUAL(do_munmap(mm, 0, TASK_SIZE), 0);
	CU_ASSERT_EQUAL(mm->map_count, 0);
	CU_ASSERT_EQUAL(mm->total_vm, 0);
	down();
}

/* ---- picking addresses ---- */

static unsigned long pick(unsigned long nr, pgoff_t pgoff)
{
	unsigned long addr = 0;
	int err = do_mmap(mm, &files[0].f, 0, nr * PAGE_SIZE, VM_SHARED,
			  pgoff, 0, &addr);

	CU_ASSERT(err == 0 || err == -ENOMEM);
	return err ? 0 : addr;
}

static void lowest_hole_that_fits_is_taken(void)
{
	up();
	build("..rr...rr....r");
	CU_ASSERT_EQUAL(pick(3, 50), page_addr(4));
	CU_ASSERT_EQUAL(pick(3, 60), page_addr(9));
	CU_ASSERT_EQUAL(pick(1, 70), page_addr(0));
	CU_ASSERT_EQUAL(pick(1, 80), page_addr(1));
	CU_ASSERT_EQUAL(pick(1, 90), page_addr(12));
	CU_ASSERT_EQUAL(pick(REGION_PAGES - 14, 100), page_addr(14));
	CU_ASSERT_EQUAL(pick(1, 10), 0);
	mm_check(mm);
	/* What lies around the region is no room. */
	CU_ASSERT_EQUAL(do_munmap(mm, page_addr(20), PAGE_SIZE), 0);
	CU_ASSERT_EQUAL(pick(2, 10), 0);
	CU_ASSERT_EQUAL(pick(1, 10), page_addr(20));
	down();
}

static void mappings_outside_the_region_are_passed_by(void)
{
	unsigned long end = BASE + REGION_PAGES * PAGE_SIZE, addr;

	up();
	/* One before it, one across its start, one across its end. */
	CU_ASSERT_EQUAL(do_mmap(mm, &files[0].f, BASE - 9 * PAGE_SIZE,
				PAGE_SIZE, VM_SHARED, 0, MAP_HERE, &addr), 0);
	CU_ASSERT_EQUAL(do_mmap(mm, &files[0].f, BASE - 2 * PAGE_SIZE,
				4 * PAGE_SIZE, VM_SHARED, 50, MAP_HERE, &addr),
			0);
	CU_ASSERT_EQUAL(do_mmap(mm, &files[0].f, end - PAGE_SIZE,
				4 * PAGE_SIZE, VM_SHARED, 99, MAP_HERE, &addr),
			0);
	CU_ASSERT_EQUAL(pick(REGION_PAGES - 2, 0), 0);
	CU_ASSERT_EQUAL(pick(REGION_PAGES - 3, 0), page_addr(2));
	mm_check(mm);
	down();
}

static void an_mm_without_a_region_picks_nothing(void)
{
	unsigned long addr;

	up();
	mmput(mm);
	mm = mm_alloc(1, 0, 0, &test_mmu, NULL);
	CU_ASSERT_EQUAL(pick(1, 0), 0);
	build("rr");
	CU_ASSERT_EQUAL(pick(1, 0), 0);
	CU_ASSERT_EQUAL(do_mremap(mm, page_addr(0), PAGE_SIZE, 2 * PAGE_SIZE, 0,
				  true, 0, &addr), -ENOMEM);
	CU_ASSERT_EQUAL(do_mremap(mm, page_addr(0), 2 * PAGE_SIZE,
				  300 * PAGE_SIZE, 0, false, 0, &addr), 0);
	CU_ASSERT_PTR_NULL(mm_alloc(1, 0, PAGE_SIZE, &test_mmu, NULL));
	CU_ASSERT_PTR_NULL(mm_alloc(1, 2 * PAGE_SIZE, PAGE_SIZE, &test_mmu,
				    NULL));
	CU_ASSERT_PTR_NULL(mm_alloc(1, BASE, BASE + 1, &test_mmu, NULL));
	CU_ASSERT_PTR_NULL(mm_alloc(1, BASE, TASK_SIZE + PAGE_SIZE, &test_mmu,
				    NULL));
	down();
}

/* A mapping at the region's end does not grow over what is not ours. */
static void growing_stays_inside_the_region(void)
{
	unsigned long addr, last = REGION_PAGES - 2;

	up();
	CU_ASSERT_EQUAL(do_mmap(mm, &files[0].f, page_addr(last), PAGE_SIZE,
				VM_SHARED, 0, MAP_HERE, &addr), 0);
	CU_ASSERT_EQUAL(do_mremap(mm, page_addr(last), PAGE_SIZE, 2 * PAGE_SIZE,
				  0, false, 0, &addr), 0);
	CU_ASSERT_EQUAL(do_mremap(mm, page_addr(last), 2 * PAGE_SIZE,
				  3 * PAGE_SIZE, 0, false, 0, &addr), -ENOMEM);
	CU_ASSERT_EQUAL(do_mremap(mm, page_addr(last), 2 * PAGE_SIZE,
				  3 * PAGE_SIZE, 0, true, 0, &addr), 0);
	CU_ASSERT_EQUAL(addr, page_addr(0));
	CU_ASSERT(space_is("nnn"));
	down();
}

/* ---- looking up ---- */

static struct vm_area_struct *at_page(unsigned long i)
{
	return find_vma(mm, page_addr(i));
}

static void lookups_find_what_they_say(void)
{
	struct vm_area_struct *prev, *vma;

	up();
	build(".rr.ww|nn.");
	down_read(&mm->mmap_lock);
	for (int twice = 0; twice < 2; twice++) {
		CU_ASSERT_EQUAL(find_vma(mm, 0)->vm_start, page_addr(1));
		CU_ASSERT_EQUAL(at_page(1)->vm_start, page_addr(1));
		CU_ASSERT_EQUAL(at_page(2)->vm_start, page_addr(1));
		CU_ASSERT_EQUAL(at_page(3)->vm_start, page_addr(4));
		CU_ASSERT_EQUAL(at_page(5)->vm_start, page_addr(4));
		CU_ASSERT_EQUAL(at_page(6)->vm_start, page_addr(6));
		CU_ASSERT_PTR_NULL(at_page(8));
	}
	CU_ASSERT_PTR_EQUAL(find_vma(mm, page_addr(8) - 1), at_page(7));
	vma = find_vma_prev(mm, page_addr(4), &prev);
	CU_ASSERT_PTR_EQUAL(vma, at_page(4));
	CU_ASSERT_PTR_EQUAL(prev, at_page(1));
	vma = find_vma_prev(mm, 0, &prev);
	CU_ASSERT_PTR_EQUAL(vma, at_page(1));
	CU_ASSERT_PTR_NULL(prev);
	CU_ASSERT_PTR_NULL(find_vma_prev(mm, page_addr(9), &prev));
	CU_ASSERT_PTR_EQUAL(prev, at_page(7));
	CU_ASSERT_PTR_NULL(find_vma_intersection(mm, 0, page_addr(1)));
	CU_ASSERT_PTR_EQUAL(find_vma_intersection(mm, 0, page_addr(1) + 1),
			    at_page(1));
	CU_ASSERT_PTR_NULL(find_vma_intersection(mm, page_addr(3),
						 page_addr(4)));
	CU_ASSERT_PTR_NULL(find_vma_intersection(mm, page_addr(2),
						 page_addr(2)));
	up_read(&mm->mmap_lock);
	down();
}

/* ---- ptes follow VMAs ---- */

static void ptes_go_with_their_range(void)
{
	unsigned long addr;

	up();
	build("wwwwwwww");
	for (unsigned int i = 0; i < 8; i++)
		set_pte_at(page_addr(i), _PAGE_PRESENT | _PAGE_RW);
	CU_ASSERT_EQUAL(do_mprotect(mm, page_addr(1), 2 * PAGE_SIZE, VM_READ),
			0);
	CU_ASSERT_EQUAL(pte_at(mm, page_addr(1)), _PAGE_PRESENT | _PAGE_RW);
	CU_ASSERT_EQUAL(do_munmap(mm, page_addr(2), PAGE_SIZE), 0);
	CU_ASSERT_EQUAL(pte_at(mm, page_addr(2)), 0);
	CU_ASSERT_EQUAL(atomic_load(&mm->rss), 7);
	CU_ASSERT_EQUAL(do_mremap(mm, page_addr(6), 2 * PAGE_SIZE,
				  2 * PAGE_SIZE, MAP_HERE, true, page_addr(20),
				  &addr), 0);
	CU_ASSERT_EQUAL(pte_at(mm, page_addr(6)), 0);
	CU_ASSERT_EQUAL(pte_at(mm, page_addr(20)), 0);
	CU_ASSERT_EQUAL(atomic_load(&mm->rss), 5);
	set_pte_at(page_addr(21), _PAGE_PRESENT);
	CU_ASSERT_EQUAL(do_mremap(mm, page_addr(0), PAGE_SIZE, PAGE_SIZE,
				  MAP_HERE, true, page_addr(21), &addr), 0);
	CU_ASSERT_EQUAL(pte_at(mm, page_addr(21)), 0);
	CU_ASSERT_EQUAL(pte_at(mm, page_addr(0)), 0);
	CU_ASSERT_EQUAL(atomic_load(&mm->rss), 4);
	mm_check(mm);
	/* What is left goes with the mm. */
	down();
}

static void truncate_takes_ptes_of_all_mms(void)
{
	struct mm_struct *first, *second;

	up();
	first = mm;
	second = mm_new(101);
	build("rrrr");
	set_pte_at(page_addr(1), _PAGE_PRESENT);
	set_pte_at(page_addr(3), _PAGE_PRESENT);
	mm = second;
	build("....wwww");
	CU_ASSERT_EQUAL(do_mprotect(mm, page_addr(4), PAGE_SIZE, VM_READ), 0);
	set_pte_at(page_addr(4), _PAGE_PRESENT);
	set_pte_at(page_addr(7), _PAGE_PRESENT);
	unmap_mapping_range(&stores[0]->mapping, 3, 4);
	CU_ASSERT_EQUAL(atomic_load(&first->rss), 1);
	CU_ASSERT_EQUAL(atomic_load(&second->rss), 1);
	CU_ASSERT_NOT_EQUAL(pte_at(second, page_addr(7)), 0);
	mm_check(first);
	mm_check(second);
	mmput(second);
	mm = first;
	down();
}

/* ---- arming ---- */

static void new_ranges_are_armed(void)
{
	struct mm_struct *first = NULL;
	unsigned long addr;

	up();
	build("wwww.");
	CU_ASSERT_EQUAL(mmap_arm(mm, page_addr(0), 4 * PAGE_SIZE), 0);
	CU_ASSERT_EQUAL(do_madvise(mm, page_addr(0), 4 * PAGE_SIZE,
				   MM_POPULATE), 0);
	first = mm;
	mm = mm_new(101);
	build(".wwpp.");
	protected_nr = 0;
	CU_ASSERT_EQUAL(mmap_arm(mm, page_addr(2), PAGE_SIZE), 0);
	CU_ASSERT_EQUAL(protected_addr, page_addr(2));
	CU_ASSERT_EQUAL(protected_nr, 1);
	protected_nr = 0;
	CU_ASSERT_EQUAL(mmap_arm(mm, page_addr(3), 2 * PAGE_SIZE), 0);
	CU_ASSERT_EQUAL(protected_nr, 0);	/* private: never writes */
	/* What a neighbour's fault has left there was never given. */
	set_pte_at(page_addr(1), _PAGE_PRESENT);
	CU_ASSERT_EQUAL(mmap_arm(mm, page_addr(1), 4 * PAGE_SIZE), 0);
	CU_ASSERT_EQUAL(pte_at(mm, page_addr(1)), 0);
	CU_ASSERT_EQUAL(protected_nr, 2);
	/* But a right to write that was given is not forgotten. */
	set_pte_at(page_addr(1), _PAGE_PRESENT | _PAGE_RW);
	CU_ASSERT_EQUAL(mmap_arm(mm, page_addr(1), PAGE_SIZE), 0);
	CU_ASSERT_NOT_EQUAL(pte_at(mm, page_addr(1)), 0);
	CU_ASSERT_EQUAL(protected_addr, page_addr(1));
	CU_ASSERT_EQUAL(protected_nr, 1);
	protect_err = -EAGAIN;
	CU_ASSERT_EQUAL(mmap_arm(mm, page_addr(1), PAGE_SIZE), -EAGAIN);
	protect_err = 0;
	CU_ASSERT_EQUAL(mmap_arm(mm, page_addr(0), 2 * PAGE_SIZE), -EINVAL);
	CU_ASSERT_EQUAL(mmap_arm(mm, page_addr(1), 0), -EINVAL);
	CU_ASSERT_EQUAL(do_mmap(mm, &files[1].f, 0, PAGE_SIZE, VM_SHARED, 0, 0,
				&addr), 0);
	protected_nr = 0;
	CU_ASSERT_EQUAL(mmap_arm(mm, addr, PAGE_SIZE), 0);
	CU_ASSERT_EQUAL(protected_nr, 0);	/* nothing in its window yet */
	mmput(first);
	down();
}

/* ---- life ---- */

static unsigned int nr_seen;
static struct mm_struct *seen[8];

static bool see(struct mm_struct *of, void *arg)
{
	BUG_ON(atomic_load(&of->mm_users) < 1);
	seen[nr_seen++] = of;
	return !arg || of != arg;
}

static void mms_are_found_while_they_have_users(void)
{
	struct mm_struct *a, *b, *c;

	up();
	a = mm;
	b = mm_new(200);
	c = mm_new(200);
	CU_ASSERT_PTR_NULL(find_grab_mm(7));
	CU_ASSERT_PTR_EQUAL(find_grab_mm(100), a);
	mmdrop(a);
	nr_seen = 0;
	for_each_mm(see, NULL);
	CU_ASSERT(nr_seen == 3 && seen[0] == a && seen[1] == b && seen[2] == c);
	nr_seen = 0;
	for_each_mm(see, b);
	CU_ASSERT_EQUAL(nr_seen, 2);
	CU_ASSERT_EQUAL(atomic_load(&c->mm_users), 1);
	mmgrab(b);
	mm = b;
	build("rrr");
	mmput(b);
	CU_ASSERT_EQUAL(b->map_count, 0);	/* the struct is still there */
	CU_ASSERT_EQUAL(atomic_load(&files[0].vmas), 0);
	CU_ASSERT_PTR_EQUAL(find_grab_mm(200), c);
	mmdrop(c);
	mmput(c);
	mmdrop(b);
	CU_ASSERT_PTR_NULL(find_grab_mm(200));
	mm = a;
	down();
}

static bool drop_all(struct mm_struct *of, void *arg)
{
	(void)arg;
	mmput(of);		/* its creator's; the loop has one of its own */
	return true;
}

static void mms_may_go_while_they_are_visited(void)
{
	up();
	for (int i = 0; i < 5; i++)
		mm_new(300 + i);
	for_each_mm(drop_all, NULL);
	nr_seen = 0;
	for_each_mm(see, NULL);
	CU_ASSERT_EQUAL(nr_seen, 0);
	mm = NULL;
	down();
}

static void leave_an_mm(void *unused)
{
	(void)unused;
	mmap_exit();
}

static void an_mm_left_behind_is_a_bug(void)
{
	up();
	CU_ASSERT(dies(leave_an_mm, NULL));
	down();
}

/* It dies with locks held, and the arena is shared: with its own of them. */
static void check_copy(void *unused)
{
	struct mm_struct copy = *mm;

	(void)unused;
	init_rwsem(&copy.mmap_lock, LOCK_MMAP);
	mutex_init(&copy.page_table_lock, LOCK_PTL);
	mm_check(&copy);
}

static void check_finds_wrong_counts(void)
{
	up();
	CU_ASSERT_FALSE(dies(check_copy, NULL));
	mm->total_vm++;
	CU_ASSERT(dies(check_copy, NULL));
	mm->total_vm--;
	mm->map_count++;
	CU_ASSERT(dies(check_copy, NULL));
	mm->map_count--;
	down();
}

static void an_mm_needs_memory(void)
{
	up();
	failslab(1, false);
	CU_ASSERT_PTR_NULL(mm_alloc(1, 0, 0, &test_mmu, NULL));
	failslab(0, false);
	CU_ASSERT_PTR_NULL(find_grab_mm(1));
	down();
}

/* The last VMA of a file that nobody else has: ->release runs without locks. */
static void last_unmapping_releases_the_file(void)
{
	struct test_file own;
	unsigned long addr;

	up();
	file_up(&own, stores[0], true);
	CU_ASSERT_EQUAL(do_mmap(mm, &own.f, page_addr(0), 3 * PAGE_SIZE,
				VM_SHARED, 0, MAP_HERE, &addr), 0);
	put_vm_file(&own.f);
	CU_ASSERT_EQUAL(do_munmap(mm, page_addr(1), PAGE_SIZE), 0);
	CU_ASSERT_EQUAL(atomic_load(&own.f.f_count), 2);
	CU_ASSERT_EQUAL(do_munmap(mm, page_addr(0), PAGE_SIZE), 0);
	CU_ASSERT_EQUAL(atomic_load(&own.released), 0);
	CU_ASSERT_EQUAL(do_munmap(mm, page_addr(2), PAGE_SIZE), 0);
	CU_ASSERT_EQUAL(atomic_load(&own.released), 1);
	CU_ASSERT_EQUAL(atomic_load(&own.vmas), 0);
	file_ra_state_destroy(&own.f.f_ra);
	down();
}

static const struct test_case cases[] = {
	{ "new mappings join their neighbours", new_mappings_join_neighbours },
	{ "changed rights cut and join", changed_rights_cut_and_join },
	{ "refused rights change nothing", refused_rights_change_nothing },
	{ "unmapping cuts", unmapping_cuts },
	{ "advice cuts and joins again", advice_cuts_and_joins_again },
	{ "locking cuts and joins", locking_cuts_and_joins },
	{ "what does not continue is not joined",
	  what_does_not_continue_is_not_joined },
	{ "mremap resizes and moves", remap_to_every_place },
	{ "events move whatever is there", events_move_whatever_is_there },
	{ "moved pieces are joined across the border",
	  moved_pieces_are_joined_across_the_border },
	{ "bad arguments are refused", bad_arguments_are_refused },
	{ "bad ranges are refused", bad_ranges_are_refused },
	{ "the largest offsets work", largest_offsets_work },
	{ "the lowest hole that fits is taken",
	  lowest_hole_that_fits_is_taken },
	{ "mappings outside the region are passed by",
	  mappings_outside_the_region_are_passed_by },
	{ "an mm without a region picks nothing",
	  an_mm_without_a_region_picks_nothing },
	{ "growing stays inside the region", growing_stays_inside_the_region },
	{ "lookups find what they say", lookups_find_what_they_say },
	{ "ptes go with their range", ptes_go_with_their_range },
	{ "truncate takes the ptes of all mms",
	  truncate_takes_ptes_of_all_mms },
	{ "new ranges are armed", new_ranges_are_armed },
	{ "mms are found while they have users",
	  mms_are_found_while_they_have_users },
	{ "mms may go while they are visited",
	  mms_may_go_while_they_are_visited },
	{ "an mm left behind is a bug", an_mm_left_behind_is_a_bug },
	{ "mm_check finds wrong counts",
	  check_finds_wrong_counts },
	{ "an mm needs memory", an_mm_needs_memory },
	{ "the last unmapping releases the file",
	  last_unmapping_releases_the_file },
};

int main(void)
{
	return test_main("mm/mmap", cases, ARRAY_SIZE(cases));
}
