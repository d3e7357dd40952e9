// SPDX-License-Identifier: BSD-2-Clause
/*
 * tests/mm/test_vmalloc.c - mm/vmalloc.c
 *
 *   cases --> vmalloc() --> mmap()	wrapped: the nth can be made to fail
 *
 * Each case brings up frames and slab and, at its end, wants every frame back.
 * There is no reclaim (no_reclaim.c). What is to die sets up an arena of its own,
 * as in test_page_alloc.c, and has a control that must live.
 */
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "churn.h"
#include "harness.h"
#include "internal.h"
#include "slab.h"
#include "vmalloc.h"
#include "vmstat.h"

#define ARENA		(48 * SZ_1M)	/* a quarter is for areas */

void *__real_mmap(void *addr, size_t len, int prot, int flags, int fd, off_t pos);
void *__wrap_mmap(void *addr, size_t len, int prot, int flags, int fd, off_t pos);

static unsigned int mmap_fails;		/* the nth call from now on; 0: none */
static unsigned int nr_runs;		/* of an area, mapped since setup() */

void *__wrap_mmap(void *addr, size_t len, int prot, int flags, int fd, off_t pos)
{
	unsigned int nth = __atomic_load_n(&mmap_fails, __ATOMIC_RELAXED);

	if (flags & MAP_FIXED)
		__atomic_fetch_add(&nr_runs, 1, __ATOMIC_RELAXED);
	if (nth) {
		__atomic_store_n(&mmap_fails, nth - 1, __ATOMIC_RELAXED);
		if (nth == 1) {
			errno = ENOMEM;
			return MAP_FAILED;
		}
	}
	return __real_mmap(addr, len, prot, flags, fd, pos);
}

static void setup(size_t bytes)
{
	mmap_fails = 0;
	BUG_ON(page_alloc_init(bytes, 1));
	vmstat_init();
	BUG_ON(slab_init());
	nr_runs = 0;
}

/* Of the process's mappings, those of the arena's memfd. */
static unsigned int arena_mappings(void)
{
	FILE *f = fopen("/proc/self/maps", "r");
	unsigned int nr = 0;
	char line[512];

	BUG_ON(!f);
	while (fgets(line, sizeof(line), f))
		nr += strstr(line, "pagefs-arena") != NULL;
	fclose(f);
	return nr;
}

static void teardown(void)
{
	vmalloc_check();
	vmalloc_exit();
	CU_ASSERT_EQUAL(arena_mappings(), 1);
	slab_exit();
	page_alloc_check();
	CU_ASSERT_EQUAL(nr_free_frames(), totalram_frames());
	CU_ASSERT_EQUAL(vm_stat_read(NR_VMALLOC), 0);
	page_alloc_exit();
}

/* Of a position, and of whose it is. */
static unsigned char byte_at(size_t pos, unsigned int whose)
{
	return (unsigned char)(pos * 131 + (pos >> PAGE_SHIFT) * 7 + whose);
}

static void stamp(unsigned char *p, size_t size, unsigned int whose)
{
	for (size_t i = 0; i < size; i++)
		p[i] = byte_at(i, whose);
}

static bool stamped(const unsigned char *p, size_t size, unsigned int whose)
{
	for (size_t i = 0; i < size; i++)
		if (p[i] != byte_at(i, whose))
			return false;
	return true;
}

static bool all_zero(const unsigned char *p, size_t size)
{
	for (size_t i = 0; i < size; i++)
		if (p[i])
			return false;
	return true;
}

static const size_t sizes[] = {
	1, 17, PAGE_SIZE - 1, PAGE_SIZE, PAGE_SIZE + 1, 3 * PAGE_SIZE, SZ_1M + 9,
	5 * SZ_1M,
};

static void one_of_size(size_t size)
{
	unsigned char *p = vmalloc(size), *q;

	CU_ASSERT_PTR_NOT_NULL_FATAL(p);
	CU_ASSERT(IS_ALIGNED((uintptr_t)p, PAGE_SIZE));
	CU_ASSERT_EQUAL(vm_stat_read(NR_VMALLOC), DIV_ROUND_UP(size, PAGE_SIZE));
	stamp(p, size, 1);
	q = vzalloc(size);
	CU_ASSERT_PTR_NOT_NULL_FATAL(q);
	CU_ASSERT(all_zero(q, size));
	stamp(q, size, 2);
	vmalloc_check();
	CU_ASSERT(stamped(p, size, 1));
	CU_ASSERT(stamped(q, size, 2));
	vfree(p);
	CU_ASSERT(stamped(q, size, 2));
	CU_ASSERT_EQUAL(vm_stat_read(NR_VMALLOC), DIV_ROUND_UP(size, PAGE_SIZE));
	vfree(q);
	vmalloc_check();
}

static void bytes_are_an_areas_own(void)
{
	setup(ARENA);
	vfree(NULL);
	for (size_t i = 0; i < ARRAY_SIZE(sizes); i++)
		one_of_size(sizes[i]);
	teardown();
}

static bool can_read(const void *addr)
{
	int fds[2];
	bool ok;

	BUG_ON(pipe(fds));
	ok = write(fds[1], addr, 1) == 1;
	close(fds[0]);
	close(fds[1]);
	return ok;
}

static void nothing_is_behind_an_area(void)
{
	char *p;

	setup(ARENA);
	p = vmalloc(3 * PAGE_SIZE);
	CU_ASSERT_PTR_NOT_NULL_FATAL(p);
	CU_ASSERT(can_read(p + 3 * PAGE_SIZE - 1));
	CU_ASSERT_FALSE(can_read(p + 3 * PAGE_SIZE));
	vfree(p);
	teardown();
}

static void neighbours_are_mapped_together(void)
{
	void *p;

	setup(ARENA);
	p = vmalloc(4 * SZ_1M);
	CU_ASSERT_PTR_NOT_NULL(p);
	CU_ASSERT(nr_runs >= 1);
	CU_ASSERT(nr_runs <= 8);	/* of 1024 frames, out of an empty arena */
	vfree(p);
	teardown();
}

/* ---- when there are no blocks ---- */

static pfn_t hoard[ARENA / PAGE_SIZE];

/* All frames taken, and every other given back. Return: those still held. */
static unsigned int fragment(void)
{
	unsigned int nr = 0, kept = 0;
	pfn_t pfn;

	while ((pfn = alloc_frames(GFP_USER | __GFP_MEMALLOC, 0)) !=
	       PFN_NONE)
		hoard[nr++] = pfn;
	while ((pfn = alloc_frames(GFP_KERNEL | __GFP_MEMALLOC, 0)) !=
	       PFN_NONE)
		hoard[nr++] = pfn;
	for (unsigned int i = 0; i < nr; i++) {
		if (hoard[i] % 2)
			hoard[kept++] = hoard[i];
		else
			free_frames(hoard[i], 0);
	}
	drain_all_frames();
	return kept;
}

static void single_frames_will_do(void)
{
	const size_t size = 4 * SZ_1M;
	unsigned int kept;
	unsigned char *p;

	setup(ARENA);
	kept = fragment();
	CU_ASSERT_EQUAL(alloc_frames(GFP_KERNEL, 1), PFN_NONE);
	p = vzalloc(size);
	CU_ASSERT_PTR_NOT_NULL_FATAL(p);
	CU_ASSERT(all_zero(p, size));
	CU_ASSERT_EQUAL(nr_runs, size / PAGE_SIZE);
	stamp(p, size, 3);
	vmalloc_check();
	while (kept)
		free_frames(hoard[--kept], 0);
	CU_ASSERT(stamped(p, size, 3));
	vfree(p);
	teardown();
}

/* ---- failure ---- */

static void more_than_memory_is_refused(void)
{
	unsigned long before;

	setup(ARENA);
	before = vm_event(PGALLOC);
	CU_ASSERT_PTR_NULL(vmalloc(2 * ARENA));
	CU_ASSERT_PTR_NULL(vmalloc(SIZE_MAX));
	CU_ASSERT_EQUAL(vm_event(PGALLOC), before);
	CU_ASSERT_PTR_NULL(vmalloc(ARENA - SZ_1M));
	CU_ASSERT_EQUAL(vm_stat_read(NR_VMALLOC), 0);
	teardown();
}

static void no_failure(unsigned long nth)
{
	(void)nth;
}

static void fail_frame(unsigned long nth)
{
	fail_page_alloc(nth, false);
}

static void fail_object(unsigned long nth)
{
	failslab(nth, false);
}

static void fail_mmap(unsigned long nth)
{
	mmap_fails = (unsigned int)nth;
}

/* Return: which attempt succeeded. */
static unsigned long fail_until_success(void (*inject)(unsigned long))
{
	unsigned long nth = 0;
	void *p;

	setup(ARENA);
	vfree(vmalloc(1));	/* what threads keep for themselves is there */
	do {
		inject(++nth);
		p = vmalloc(5 * SZ_1M);
		inject(0);
		CU_ASSERT(p || !vm_stat_read(NR_VMALLOC));
		vmalloc_check();
	} while (!p && nth < 5000);
	vfree(p);
	teardown();
	return nth;
}

static void a_failure_leaves_nothing_behind(void)
{
	CU_ASSERT_EQUAL(fail_until_success(no_failure), 1);
	/* 1,280 frames are taken in two batches. */
	CU_ASSERT_EQUAL(fail_until_success(fail_frame), 3);
	CU_ASSERT_EQUAL(fail_until_success(fail_object), 2);
	/* One mmap() for the addresses and one for each run. */
	CU_ASSERT(fail_until_success(fail_mmap) >= 3);
}

/* ---- misuse ---- */

static void do_free(void *arg)
{
	const int how = *(int *)arg;
	char *p;

	setup(ARENA);
	p = vmalloc(2 * PAGE_SIZE);
	BUG_ON(!p);
	if (how == 1)
		vfree(p + PAGE_SIZE);
	vfree(p);
	if (how == 2)
		vfree(p);
	teardown();
}

static void do_free_frame(void *arg)
{
	const bool really = *(int *)arg;
	void *p;

	setup(ARENA);
	p = vmalloc(PAGE_SIZE);
	BUG_ON(!p);
	for (pfn_t pfn = 0; really && pfn < nr_frames; pfn++)
		if (pfn_to_frame(pfn)->mark == MARK_VMALLOC)
			free_frames(pfn, 0);
	vfree(p);
	teardown();
}

static void do_exit_early(void *arg)
{
	const bool early = *(int *)arg;
	void *p;

	setup(ARENA);
	p = vmalloc(PAGE_SIZE);
	BUG_ON(!p);
	if (early)
		vmalloc_exit();
	vfree(p);
	teardown();
}

static void misuse_is_a_bug(void)
{
	int how = 0;

	CU_ASSERT_FALSE(dies(do_free, &how));
	CU_ASSERT_FALSE(dies(do_free_frame, &how));
	CU_ASSERT_FALSE(dies(do_exit_early, &how));
	how = 1;
	CU_ASSERT(dies(do_free, &how));
	CU_ASSERT(dies(do_free_frame, &how));
	CU_ASSERT(dies(do_exit_early, &how));
	how = 2;
	CU_ASSERT(dies(do_free, &how));
}

/* ---- many ---- */

#define MAX_AREAS	24u
#define MAX_PAGES	50u

struct areas {
	unsigned char *addr[MAX_AREAS];
	size_t size[MAX_AREAS];
};

/* A new area where there is none, or the end of the one that is. */
static bool areas_step(struct areas *a, uint64_t *rand)
{
	unsigned int i = test_rand(rand) % MAX_AREAS;
	bool ok = true;

	if (a->addr[i]) {
		ok = stamped(a->addr[i], a->size[i], i);
		vfree(a->addr[i]);
		a->addr[i] = NULL;
		return ok;
	}
	a->size[i] = 1 + test_rand(rand) % (MAX_PAGES * PAGE_SIZE);
	if (test_rand(rand) % 2) {
		a->addr[i] = vzalloc(a->size[i]);
		ok = !a->addr[i] || all_zero(a->addr[i], a->size[i]);
	} else {
		a->addr[i] = vmalloc(a->size[i]);
	}
	if (a->addr[i])
		stamp(a->addr[i], a->size[i], i);
	return ok && a->addr[i];
}

static bool areas_free(struct areas *a)
{
	bool ok = true;

	for (unsigned int i = 0; i < MAX_AREAS; i++) {
		if (a->addr[i])
			ok &= stamped(a->addr[i], a->size[i], i);
		vfree(a->addr[i]);
	}
	return ok;
}

static unsigned long areas_frames(const struct areas *a)
{
	unsigned long nr = 0;

	for (unsigned int i = 0; i < MAX_AREAS; i++)
		if (a->addr[i])
			nr += DIV_ROUND_UP(a->size[i], PAGE_SIZE);
	return nr;
}

static void areas_come_and_go(void)
{
	uint64_t rand = test_seed();
	struct areas areas = { 0 };

	setup(ARENA);
	for (unsigned int n = 0; n < 1000; n++) {
		CU_ASSERT(areas_step(&areas, &rand));
		CU_ASSERT_EQUAL(vm_stat_read(NR_VMALLOC), areas_frames(&areas));
		vmalloc_check();
	}
	CU_ASSERT(areas_free(&areas));
	teardown();
}

static void *churn_areas(void *seed)
{
	uint64_t rand = (uintptr_t)seed;
	struct areas areas = { 0 };
	uintptr_t bad = 0;

	for (unsigned int n = 0; n < 300; n++)
		bad += !areas_step(&areas, &rand);
	bad += !areas_free(&areas);
	return (void *)bad;
}

static void threads_do_not_disturb_each_other(void)
{
	setup(128 * SZ_1M);
	churn_run(churn_areas, vmalloc_check);
	teardown();
}

static const struct test_case cases[] = {
	{ "bytes are an area's own", bytes_are_an_areas_own },
	{ "nothing is behind an area", nothing_is_behind_an_area },
	{ "neighbours are mapped together", neighbours_are_mapped_together },
	{ "single frames will do", single_frames_will_do },
	{ "more than memory is refused", more_than_memory_is_refused },
	{ "a failure leaves nothing behind", a_failure_leaves_nothing_behind },
	{ "misuse is a BUG", misuse_is_a_bug },
	{ "areas come and go", areas_come_and_go },
	{ "threads do not disturb each other",
	  threads_do_not_disturb_each_other },
};

int main(void)
{
	return test_main("mm/vmalloc", cases, ARRAY_SIZE(cases));
}
