// SPDX-License-Identifier: BSD-2-Clause
/*
 * tests/mm/test_mmap_random.c - address spaces against a model, with
 *                               threads, and when memory runs out
 */
#include <errno.h>
#include <pthread.h>

#include "harness.h"
#include "mmzone.h"
#include "slab.h"
#include "spaces.h"
#include "window.h"

/* ---- many ---- */

static void as_many_mappings_as_there_may_be(void)
{
	unsigned long base = BASE, addr, nr = 0, last;
	uint64_t rnd = test_seed();
	int err;

	up_with(96UL << 20);
	mmput(mm);
	mm = mm_alloc(1, base, base + (1UL << 36), &test_mmu, NULL);
	/* Even pages of the file in reverse: none continues another. */
	for (;;) {
		err = do_mmap(mm, &files[nr % 2].f, 0, PAGE_SIZE, VM_SHARED,
			      (MAX_MAP_COUNT - nr) * 2, 0, &addr);
		if (err)
			break;
		CU_ASSERT_EQUAL(addr, base + nr * PAGE_SIZE);
		nr++;
	}
	CU_ASSERT_EQUAL(err, -ENOMEM);
	CU_ASSERT_EQUAL(nr, MAX_MAP_COUNT);
	mm_check(mm);
	/* A cut in the middle would make one more. */
	CU_ASSERT_EQUAL(do_munmap(mm, base, PAGE_SIZE), 0);
	CU_ASSERT_EQUAL(do_mmap(mm, &files[0].f, 0, 3 * PAGE_SIZE, VM_SHARED,
				0, 0, &last), 0);
	CU_ASSERT_EQUAL(last, base + nr * PAGE_SIZE);
	CU_ASSERT_EQUAL(do_munmap(mm, last + PAGE_SIZE, PAGE_SIZE), -ENOMEM);
	CU_ASSERT_EQUAL(do_mprotect(mm, last, PAGE_SIZE, VM_READ), -ENOMEM);
	CU_ASSERT_EQUAL(do_munmap(mm, last, PAGE_SIZE), 0);
	/* Here and there, and back into the holes. */
	for (unsigned int i = 0; i < 20000; i++) {
		addr = base + test_rand(&rnd) % nr * PAGE_SIZE;
		CU_ASSERT_EQUAL(do_munmap(mm, addr, PAGE_SIZE), 0);
	}
	mm_check(mm);
	while (!(err = do_mmap(mm, &files[0].f, 0, PAGE_SIZE, VM_SHARED,
			       test_rand(&rnd) % 100000 * 2, 0, &addr)))
		if (addr > base + nr * PAGE_SIZE)
			break;
	mm_check(mm);
	for (unsigned long i = 0; i < nr; i++)
		CU_ASSERT_EQUAL(do_munmap(mm, base + i * PAGE_SIZE, PAGE_SIZE),
				0);
	mm_check(mm);
	down();
}

/* ---- memory runs out ---- */

/* Repeats @c with the nth allocation failing, until it succeeds. */
static void fail_call(const struct call_case *c,
		      void (*fail)(unsigned long nth, bool sticky))
{
	unsigned long n = 0;
	int err;

	up();
	build(c->before);
	do {
		fail(++n, false);
		err = do_call(c);
		fail(0, false);
		CU_ASSERT(err == 0 || err == -ENOMEM);
		CU_ASSERT(space_is(err ? c->before : c->after));
		CU_ASSERT(files_agree());
	} while (err && n < 10);
	CU_ASSERT_EQUAL(err, 0);
	down();
}

static void failed_calls_change_nothing(void)
{
	static const struct call_case calls[] = {
		{ "rr..rr",	MAP, 2, 2, 'w', 0, "rr|ww|rr" },
		{ "rrrr",	UNMAP, 1, 2, 0, 0, "r..r" },
		{ "rrwwww",	UNMAP, 1, 2, 0, 0, "r..www" },
		{ "wwww",	PROTECT, 1, 2, 'r', 0, "w|vv|w" },
		{ "ww|mm|ww",	PROTECT, 1, 4, 'r', 0, "w|vvvv|w" },
		{ "rrrr",	ADVISE, 1, 2, 'a', 0, "r|aa|r" },
		{ "rr|WW|rr",	UNLOCK, 1, 4, 0, 0, "rr|ww|rr" },
		{ "RRRR",	UNLOCK, 1, 2, 0, 0, "R|rr|R" },
	};

	for (unsigned int i = 0; i < ARRAY_SIZE(calls); i++) {
		fail_call(&calls[i], failslab);
		fail_call(&calls[i], fail_page_alloc);
	}
}

static void failed_moves_change_nothing(void)
{
	unsigned long addr, n = 0, failures = 0;
	int err;

	up();
	build("rrrrrr..wwww");
	do {
		failslab(++n, false);
		err = do_mremap(mm, page_addr(2), 2 * PAGE_SIZE, 2 * PAGE_SIZE,
				MAP_HERE, true, page_addr(9), &addr);
		failslab(0, false);
		failures += err == -ENOMEM;
		CU_ASSERT(space_is(err ? "rrrrrr..wwww" : "rr..rr..w|rr|w"));
	} while (err && n < 10);
	CU_ASSERT_EQUAL(failures, 3);
	n = 0;
	do {
		failslab(++n, false);
		err = mremap_event(mm, page_addr(1), page_addr(20),
				   9 * PAGE_SIZE);
		failslab(0, false);
		CU_ASSERT(space_is(err ? "rr..rr..w|rr|w" :
				   "r.........r|w........r..rr..w|r"));
	} while (err && n < 10);
	CU_ASSERT_EQUAL(err, 0);
	CU_ASSERT(n > 1);
	CU_ASSERT(files_agree());
	down();
}

/* ---- against a plain model ---- */

/* The region is a part of it, with mappings before and behind. */
#define MODEL_PAGES	120u
#define MODEL_FIRST	24u
#define MODEL_END	88u

struct model_page {
	int file;			/* -1: nothing */
	pgoff_t pgoff;
	unsigned long flags;
	bool pte;
};

static struct model_page model[MODEL_PAGES];
static uint64_t rnd;

static bool page_continues(unsigned int i)
{
	const struct model_page *a = &model[i - 1], *b = &model[i];

	return a->file >= 0 && a->file == b->file && a->flags == b->flags &&
	       a->pgoff + 1 == b->pgoff;
}

/* To who mapped it: parts of it may once have been writable. */
static bool is_one_mapping(unsigned int i)
{
	const struct model_page *a = &model[i - 1], *b = &model[i];

	return a->file >= 0 && a->file == b->file &&
	       !((a->flags ^ b->flags) & ~VM_UFFD_WP) &&
	       a->pgoff + 1 == b->pgoff;
}

static unsigned long model_may(int file, unsigned long flags)
{
	flags |= VM_MAYREAD | VM_MAYEXEC;
	if (file != 2 && (flags & VM_SHARED))
		flags |= VM_MAYWRITE;
	if (flags & VM_WRITE)
		flags |= VM_UFFD_WP;
	return flags;
}

/* VMAs are the longest runs of pages that continue each other: E2. */
static bool model_agrees(void)
{
	struct vm_area_struct *vma;
	unsigned int i = 0, end, rss = 0;
	bool ok = true;

	mm_check(mm);
	down_read(&mm->mmap_lock);
	vma = mm->mmap;
	for (; i < MODEL_PAGES && ok; i = end) {
		for (end = i + 1; end < MODEL_PAGES && page_continues(end);)
			end++;
		if (model[i].file < 0)
			continue;
		ok = vma && vma->vm_start == page_addr(i) &&
		     vma->vm_end == page_addr(end) &&
		     vma->vm_file == &files[model[i].file].f &&
		     vma->vm_pgoff == model[i].pgoff &&
		     vma->vm_flags == model[i].flags;
		vma = ok ? vma->vm_next : NULL;
	}
	ok = ok && !vma;
	up_read(&mm->mmap_lock);
	for (i = 0; i < MODEL_PAGES && ok; i++) {
		ok = !pte_at(mm, page_addr(i)) == !model[i].pte;
		rss += model[i].pte;
	}
	return ok && atomic_load(&mm->rss) == rss && files_agree();
}

static bool model_hole(unsigned int at, unsigned int nr)
{
	for (; nr; nr--, at++)
		if (model[at].file < 0)
			return true;
	return false;
}

static void model_unmap(unsigned int at, unsigned int nr)
{
	for (; nr; nr--, at++)
		model[at] = (struct model_page){ .file = -1 };
}

static bool model_free(unsigned int at, unsigned int nr)
{
	for (; nr; nr--, at++)
		if (at >= MODEL_PAGES || model[at].file >= 0)
			return false;
	return true;
}

/* The lowest place in the region, or MODEL_PAGES. */
static unsigned int model_pick(unsigned int nr)
{
	for (unsigned int at = MODEL_FIRST; at + nr <= MODEL_END; at++)
		if (model_free(at, nr))
			return at;
	return MODEL_PAGES;
}

static unsigned long random_flags(void)
{
	static const char letters[] = "nrrwwxapRW";

	return letter_flags(letters[test_rand(&rnd) % (sizeof(letters) - 1)]);
}

static bool step_map(unsigned int at, unsigned int nr)
{
	int file = (int)(test_rand(&rnd) % NR_FILES), err;
	unsigned long flags = random_flags(), addr = 0;
	bool here = test_rand(&rnd) % 2;
	/* Mostly what continues the neighbours. */
	pgoff_t pgoff = at + (test_rand(&rnd) % 4 ? 0 : 3);

	if (file == 2)
		flags &= ~VM_WRITE;
	err = do_mmap(mm, &files[file].f, page_addr(at), nr * PAGE_SIZE, flags,
		      pgoff, here ? MAP_HERE : 0, &addr);
	if (here && !model_free(at, nr))
		return err == -EEXIST;
	if (!here) {
		at = model_pick(nr);
		if (at == MODEL_PAGES)
			return err == -ENOMEM;
	}
	for (unsigned int i = 0; i < nr; i++)
		model[at + i] = (struct model_page){
			.file = file, .pgoff = pgoff + i,
			.flags = model_may(file, flags) };
	return !err && addr == page_addr(at);
}

static bool step_unmap(unsigned int at, unsigned int nr)
{
	model_unmap(at, nr);
	return !do_munmap(mm, page_addr(at), nr * PAGE_SIZE);
}

static bool step_protect(unsigned int at, unsigned int nr)
{
	unsigned long access = random_flags() & VM_ACCESS_FLAGS;
	int err = do_mprotect(mm, page_addr(at), nr * PAGE_SIZE, access);

	if (model_hole(at, nr))
		return err == -ENOMEM;
	for (unsigned int i = at; i < at + nr; i++)
		if ((access & VM_WRITE) && !(model[i].flags & VM_MAYWRITE))
			return err == -EACCES;
	for (; nr; nr--, at++) {
		model[at].flags = (model[at].flags & ~VM_ACCESS_FLAGS) | access;
		if (access & VM_WRITE)
			model[at].flags |= VM_UFFD_WP;
	}
	return !err;
}

static bool step_flags(unsigned int at, unsigned int nr)
{
	bool unlock = test_rand(&rnd) % 2;
	bool hole = model_hole(at, nr);
	int err;

	if (unlock)
		err = do_munlock(mm, page_addr(at), nr * PAGE_SIZE);
	else
		err = do_madvise(mm, page_addr(at), nr * PAGE_SIZE, MM_RANDOM);
	if (err != (hole ? -ENOMEM : 0))
		return false;
	for (; nr; nr--, at++) {
		if (unlock && !hole)
			model[at].flags &= ~VM_LOCKED;
		if (!unlock && model[at].file >= 0)
			model[at].flags |= VM_RAND_READ;
	}
	return true;
}

static void model_move(unsigned int from, unsigned int nr, unsigned int to,
		       unsigned int new_nr)
{
	struct model_page first = model[from];

	for (unsigned int i = from; i < from + nr; i++)
		first.flags |= model[i].flags & VM_UFFD_WP;
	model_unmap(to, new_nr);
	model_unmap(from, nr);
	for (unsigned int i = 0; i < new_nr; i++) {
		model[to + i] = first;
		model[to + i].pgoff += i;
		model[to + i].pte = false;
	}
}

/* Where do_mremap() without MAP_HERE leaves it, or MODEL_PAGES. */
static unsigned int model_resize(unsigned int at, unsigned int nr,
				 unsigned int new_nr, bool may_move)
{
	bool at_end = at + nr == MODEL_PAGES || !page_continues(at + nr);
	bool leaves = at + nr > MODEL_FIRST && at + nr <= MODEL_END &&
		      at + new_nr > MODEL_END;
	unsigned int to;

	if (new_nr <= nr) {
		model_unmap(at + new_nr, nr - new_nr);
		return at;
	}
	if (at_end && !leaves && model_free(at + nr, new_nr - nr)) {
		for (unsigned int i = at + nr; i < at + new_nr; i++) {
			model[i] = model[i - 1];
			model[i].pgoff++;
			model[i].pte = false;
		}
		return at;
	}
	to = may_move ? model_pick(new_nr) : MODEL_PAGES;
	if (to != MODEL_PAGES)
		model_move(at, nr, to, new_nr);
	return to;
}

static bool step_remap(unsigned int at, unsigned int nr)
{
	unsigned int new_nr = 1 + test_rand(&rnd) % 12;
	unsigned int to = test_rand(&rnd) % (MODEL_PAGES - new_nr);
	bool here = test_rand(&rnd) % 2, may_move = test_rand(&rnd) % 2;
	unsigned long addr = 0;
	bool one = model[at].file >= 0;
	int err;

	if (!here && at + new_nr > MODEL_PAGES)
		return true;		/* it may grow out of the model */
	err = do_mremap(mm, page_addr(at), nr * PAGE_SIZE, new_nr * PAGE_SIZE,
			here ? MAP_HERE : 0, may_move, page_addr(to), &addr);
	for (unsigned int i = at + 1; i < at + nr; i++)
		one &= is_one_mapping(i);
	if (here && at < to + new_nr && to < at + nr)
		return err == -EINVAL;
	if (!one)
		return err == -EFAULT;
	if (here)
		model_move(at, nr, to, new_nr);
	else
		to = model_resize(at, nr, new_nr, may_move);
	if (to == MODEL_PAGES)
		return err == -ENOMEM;
	return !err && addr == page_addr(to);
}

static bool step_event(unsigned int at, unsigned int nr)
{
	unsigned int to = test_rand(&rnd) % (MODEL_PAGES - nr);
	int err = mremap_event(mm, page_addr(at), page_addr(to),
			       nr * PAGE_SIZE);

	if (at < to + nr && to < at + nr)
		return err == -EINVAL;
	for (unsigned int i = 0; i < nr; i++) {
		model[to + i] = model[at + i];
		model[to + i].pte = false;
	}
	model_unmap(at, nr);
	return !err;
}

/* Some of the pages have been given to the client. */
static bool step_fault(unsigned int at, unsigned int nr)
{
	for (; nr; nr--, at++) {
		if (model[at].file < 0 || test_rand(&rnd) % 2)
			continue;
		set_pte_at(page_addr(at), _PAGE_PRESENT);
		model[at].pte = true;
	}
	return true;
}

static bool model_step(void)
{
	static bool (*const steps[])(unsigned int, unsigned int) = {
		step_map, step_map, step_map, step_unmap, step_protect,
		step_protect, step_flags, step_remap, step_remap, step_event,
		step_fault, step_fault,
	};
	unsigned int nr = 1 + test_rand(&rnd) % 12;
	unsigned int at = test_rand(&rnd) % (MODEL_PAGES - nr);

	return steps[test_rand(&rnd) % ARRAY_SIZE(steps)](at, nr) &&
	       model_agrees();
}

static void random_calls_agree_with_a_model(void)
{
	bool ok = true;

	up();
	mmput(mm);
	mm = mm_alloc(100, page_addr(MODEL_FIRST), page_addr(MODEL_END),
		      &test_mmu, NULL);
	rnd = test_seed();
	model_unmap(0, MODEL_PAGES);
	for (unsigned int i = 0; i < 8000 && ok; i++)
		ok = model_step();
	CU_ASSERT(ok);
	down();
}

/* ---- threads ---- */

static atomic_bool racing;

static int msync_nothing(struct vm_file *file, loff_t pos, size_t len, void *arg)
{
	(void)file, (void)pos, (void)len, (void)arg;
	return 0;
}

static void *race_changer(void *arg)
{
	uint64_t state = test_seed() + (unsigned long)arg;
	unsigned long addr;

	for (unsigned int i = 0; i < 4000; i++) {
		unsigned long at = test_rand(&state) % 48;
		unsigned long nr = 1 + test_rand(&state) % 8;

		switch (test_rand(&state) % 5) {
		case 0:
			do_munmap(mm, page_addr(at), nr * PAGE_SIZE);
			break;
		case 1:
			do_mprotect(mm, page_addr(at), nr * PAGE_SIZE, VM_READ);
			break;
		case 2:
			do_mremap(mm, page_addr(at), nr * PAGE_SIZE,
				  2 * PAGE_SIZE, 0, true, 0, &addr);
			break;
		default:
			do_mmap(mm, &files[at % NR_FILES].f, page_addr(at),
				nr * PAGE_SIZE, VM_SHARED, at, MAP_HERE, &addr);
		}
	}
	return NULL;
}

/* A fault's part of it: a pte in whatever is mapped. */
static void race_fault(unsigned long addr)
{
	pte_t *ptep;

	down_read(&mm->mmap_lock);
	if (find_vma_intersection(mm, addr, addr + 1) && !pte_alloc(mm, addr)) {
		mutex_lock(&mm->page_table_lock);
		ptep = pte_offset(mm, addr);
		if (ptep)
			set_pte(mm, addr, ptep, (pte_t){ _PAGE_PRESENT });
		mutex_unlock(&mm->page_table_lock);
	}
	up_read(&mm->mmap_lock);
}

static void *race_looker(void *arg)
{
	uint64_t state = test_seed() + (unsigned long)arg;
	unsigned char vec[8];
	struct mm_struct *found;

	while (atomic_load(&racing)) {
		unsigned long at = test_rand(&state) % 60;

		race_fault(page_addr(at));
		do_mincore(mm, page_addr(at), 8 * PAGE_SIZE, vec);
		do_msync(mm, page_addr(at), 8 * PAGE_SIZE, msync_nothing, NULL);
		unmap_mapping_range(&stores[at % 2]->mapping, at, at + 5);
		found = find_grab_mm(100);
		if (found)
			mmdrop(found);
	}
	return NULL;
}

static void threads_see_whole_changes(void)
{
	pthread_t changers[2], lookers[2];

	up();
	atomic_store(&racing, true);
	for (unsigned long i = 0; i < 2; i++) {
		BUG_ON(pthread_create(&changers[i], NULL, race_changer,
				      (void *)i));
		BUG_ON(pthread_create(&lookers[i], NULL, race_looker,
				      (void *)(i + 2)));
	}
	for (unsigned int i = 0; i < 2; i++)
		pthread_join(changers[i], NULL);
	atomic_store(&racing, false);
	for (unsigned int i = 0; i < 2; i++)
		pthread_join(lookers[i], NULL);
	mm_check(mm);
	CU_ASSERT(files_agree());
	down();
}

/* This may be its last user. */
static bool race_visit(struct mm_struct *of, void *unused)
{
	(void)unused;
	BUG_ON(atomic_load(&of->mm_users) < 1);
	return atomic_load(&racing);
}

/* Clients come and go while others look for them. */
static void *race_finder(void *unused)
{
	struct mm_struct *found;

	(void)unused;
	while (atomic_load(&racing)) {
		found = find_grab_mm(300);
		if (found)
			mmdrop(found);
		for_each_mm(race_visit, NULL);
	}
	return NULL;
}

static void mms_go_while_they_are_looked_for(void)
{
	pthread_t finders[2];
	unsigned long addr;

	up();
	atomic_store(&racing, true);
	for (unsigned int i = 0; i < 2; i++)
		BUG_ON(pthread_create(&finders[i], NULL, race_finder, NULL));
	for (unsigned int i = 0; i < 20000; i++) {
		struct mm_struct *other = mm_new(300);

		BUG_ON(do_mmap(other, &files[0].f, 0, PAGE_SIZE, VM_SHARED, 0,
			       0, &addr));
		mmput(other);
	}
	atomic_store(&racing, false);
	for (unsigned int i = 0; i < 2; i++)
		pthread_join(finders[i], NULL);
	CU_ASSERT_PTR_NULL(find_grab_mm(300));
	down();
}

/*
 * Whoever comes from the file finds each page that stays mapped exactly once,
 * however its VMA is cut and joined meanwhile.
 */
static void *race_cutter(void *unused)
{
	(void)unused;
	for (unsigned int i = 0; i < 10000; i++) {
		do_mprotect(mm, page_addr(i % 7), (1 + i % 5) * PAGE_SIZE,
			    i % 3 ? VM_READ : VM_READ | VM_WRITE);
		if (i % 16 == 0)
			do_munmap(mm, page_addr(12), PAGE_SIZE);
		if (i % 16 == 1)
			do_mremap(mm, page_addr(11), PAGE_SIZE, 2 * PAGE_SIZE,
				  0, false, 0, &(unsigned long){ 0 });
	}
	atomic_store(&racing, false);
	return NULL;
}

static unsigned int times_found(struct address_space *mapping, pgoff_t index)
{
	struct vm_area_struct *vma;
	unsigned int nr = 0;

	down_read(&mapping_win(mapping)->i_mmap_lock);
	vma_interval_tree_foreach(vma, &mapping_win(mapping)->i_mmap, index, index)
		nr += vma_address(vma, index) == page_addr(index);
	up_read(&mapping_win(mapping)->i_mmap_lock);
	return nr;
}

static void files_find_each_page_once(void)
{
	struct address_space *mapping;
	unsigned long wrong = 0;
	pthread_t cutter;

	up();
	build("wwwwwwwwwwwww");
	mapping = &stores[0]->mapping;
	atomic_store(&racing, true);
	BUG_ON(pthread_create(&cutter, NULL, race_cutter, NULL));
	for (pgoff_t i = 0; atomic_load(&racing); i++)
		wrong += times_found(mapping, i % 12) != 1;
	pthread_join(cutter, NULL);
	CU_ASSERT_EQUAL(wrong, 0);
	mm_check(mm);
	down();
}

static const struct test_case cases[] = {
	{ "as many mappings as there may be",
	  as_many_mappings_as_there_may_be },
	{ "failed calls change nothing", failed_calls_change_nothing },
	{ "failed moves change nothing", failed_moves_change_nothing },
	{ "random calls agree with a model", random_calls_agree_with_a_model },
	{ "threads see whole changes", threads_see_whole_changes },
	{ "mms go while they are looked for", mms_go_while_they_are_looked_for },
	{ "files find each page once", files_find_each_page_once },
};

int main(void)
{
	return test_main("mm/mmap_random", cases, ARRAY_SIZE(cases));
}
