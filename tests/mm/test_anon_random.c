// SPDX-License-Identifier: BSD-2-Clause
/*
 * tests/mm/test_anon_random.c - memory without a file, against a model
 *
 *   one thread:   processes map, unmap, protect, move, advise, load, store, fork
 *                 and exit, while memory is short and what they have is swapped;
 *                 anything may fail. After each step words are the model's, and
 *                 every few steps all checks are made.
 *   many threads: each has a word of its own in the pages of its process, which
 *                 only rises. Meanwhile processes fork, and what a child finds is
 *                 what there was while that lasted; all increments of words that
 *                 processes share are there at the end.
 *
 *   PAGEFS_SEED		repeats a single-threaded run
 *   PAGEFS_SECONDS=N	how long each threaded run takes; 2
 *   PAGEFS_OPS=N	steps of each single-threaded run; 2000
 */
#include <errno.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "err.h"
#include "fake_mmu.h"
#include "fake_swapdev.h"
#include "harness.h"
#include "internal.h"
#include "shmem_i.h"
#include "slab.h"
#include "swap.h"
#include "vmstat.h"
#include "window_i.h"

#define MEMORY		(8UL << 20)
#define SLOTS		8192UL
#define REGION		1024UL		/* pages of a process */
#define NR_PROCS	4u
#define NR_SHARED	2u
#define SHARED_PAGES	150UL
#define FILE_PAGES	200UL
#define WORDS		4u
#define CHECK_EVERY	8u		/* steps; the checks cost more than they */

static const unsigned long word_at[WORDS] = { 0, 8, 2048, 4088 };

enum kind { NOTHING, PRIVATE, SHARED };

/* What a page of a process should be. */
struct mpage {
	enum kind kind;
	unsigned long prot;
	bool has_file;			/* of PRIVATE */
	unsigned long index;		/* in the file, or the region */
	unsigned int region;
	uint64_t word[WORDS];		/* of PRIVATE */
};

struct proc {
	struct fake_client *c;
	struct mpage page[REGION];
};

static struct fake_disk disk;
static struct fake_swapdev swap;
static struct fake_mapped *file;
static struct fake_mapped *shared[NR_SHARED];
static uint64_t shared_word[NR_SHARED][SHARED_PAGES][WORDS];
static struct proc *procs[NR_PROCS];
static struct private_copy *unborn_copy;	/* of a child that never comes */
static uint64_t rand_state;
static bool injected;			/* this step may fail */
static unsigned int unreachable;	/* per mille */
static const char *doing;

static uint64_t rnd(uint64_t below)
{
	return test_rand(&rand_state) % below;
}

static unsigned int env_number(const char *name, unsigned int otherwise)
{
	const char *env = getenv(name);

	return env && *env ? (unsigned int)atoi(env) : otherwise;
}

/* Prints what failed first and where; the rest follows from it. */
static void wrong(const char *what, unsigned long at)
{
	static unsigned int nr;

	CU_FAIL("see above");
	if (nr++ < 10)
		printf("# %s: %s, %lu\n", doing, what, at);
}

/* ---- the model ---- */

static uint64_t file_word(unsigned long index, unsigned int w)
{
	const loff_t pos = (loff_t)(index << PAGE_SHIFT) + (loff_t)word_at[w];

	/* The file ends in the middle of its last page. */
	return pos < (loff_t)(FILE_PAGES << PAGE_SHIFT) - 2048 ?
		fake_word(pos) : 0;
}

static void page_reset(struct mpage *page)
{
	for (unsigned int w = 0; w < WORDS; w++)
		page->word[w] = page->has_file ? file_word(page->index, w) : 0;
}

static uint64_t *word_of(struct mpage *page, unsigned int w)
{
	return page->kind == SHARED ?
		&shared_word[page->region][page->index][w] : &page->word[w];
}

static unsigned long addr_of(const struct proc *p, unsigned long i)
{
	return p->c->base + i * PAGE_SIZE;
}

static unsigned long page_no(const struct proc *p, unsigned long addr)
{
	return (addr - p->c->base) >> PAGE_SHIFT;
}

static bool past_end(const struct mpage *page)
{
	if (page->kind == SHARED)
		return page->index >= SHARED_PAGES;
	return page->has_file && page->index >= FILE_PAGES;
}

/* ---- what fails ---- */

static void inject(void)
{
	unsigned long nth = 1 + rnd(8);
	bool sticky = rnd(2);

	injected = true;
	switch (rnd(5)) {
	case 0:
		fail_page_alloc(nth, sticky);
		break;
	case 1:
		failslab(nth, sticky);
		break;
	case 2:
		fake_swapdev_fail_random(&swap, SWAP_READ, 300);
		break;
	case 3:
		/* A slot that fails is lost for good. */
		fake_swapdev_fail_random(&swap, SWAP_WRITE, 30);
		break;
	case 4:
		fake_window_fail_nth(nth);
		break;
	}
}

static void inject_off(void)
{
	if (!injected)
		return;
	fake_swapdev_drain(&swap);
	fail_page_alloc(0, false);
	failslab(0, false);
	fake_swapdev_fail_off(&swap);
	fake_window_fail_nth(0);
	injected = false;
}

static void set_unreachable(unsigned int per_mille)
{
	for (unsigned int i = 0; i < NR_PROCS; i++)
		if (procs[i])
			fake_client_unreachable(procs[i]->c, 0, per_mille);
}

/* ---- where ---- */

static struct proc *any_proc(void)
{
	struct proc *p;

	do
		p = procs[rnd(NR_PROCS)];
	while (!p);
	return p;
}

static bool any_page(struct proc **pp, unsigned long *ip)
{
	struct proc *p = any_proc();
	unsigned long first = rnd(REGION);

	for (unsigned long n = 0; n < REGION; n++) {
		unsigned long i = (first + n) % REGION;

		if (p->page[i].kind == NOTHING)
			continue;
		*pp = p;
		*ip = i;
		return true;
	}
	return false;
}

/* As one mapping: from page @i on, at most @max. */
static unsigned long run_at(const struct proc *p, unsigned long i,
			    unsigned long max)
{
	const struct mpage *page = &p->page[i];
	unsigned long nr = 1;

	while (nr < max && i + nr < REGION && page[nr].kind == page->kind &&
	       page[nr].prot == page->prot &&
	       page[nr].has_file == page->has_file &&
	       page[nr].region == page->region &&
	       ((page->kind == PRIVATE && !page->has_file) ||
		page[nr].index == page->index + nr) &&
	       p->c->pages[i + nr].pgoff == p->c->pages[i].pgoff + nr)
		nr++;
	return nr;
}

static bool any_run(struct proc **pp, unsigned long *ip, unsigned long *nrp)
{
	if (!any_page(pp, ip))
		return false;
	*nrp = run_at(*pp, *ip, 1 + rnd(rnd(4) ? 40 : REGION));
	return true;
}

/* ---- accesses ---- */

static enum fake_result expected(const struct mpage *page, bool write)
{
	if (!(page->prot & (write ? VM_WRITE : VM_READ | VM_WRITE)))
		return FAKE_SIGSEGV;
	return past_end(page) ? FAKE_SIGBUS : FAKE_OK;
}

static bool as_expected(enum fake_result got, enum fake_result want)
{
	if (got == want)
		return true;
	return injected && want == FAKE_OK &&
		(got == FAKE_OOM || got == FAKE_SIGBUS);
}

static void load_at(struct proc *p, unsigned long i, unsigned int w)
{
	struct mpage *page = &p->page[i];
	enum fake_result res;
	uint64_t word;

	res = fake_load(p->c, addr_of(p, i) + word_at[w], &word);
	if (!as_expected(res, expected(page, false)))
		wrong("a load ended in another way", res);
	if (res == FAKE_OK && word != *word_of(page, w))
		wrong("a load found another word", i);
}

static void store_at(struct proc *p, unsigned long i, unsigned int w)
{
	struct mpage *page = &p->page[i];
	uint64_t word = rnd(4) ? test_rand(&rand_state) : 0;
	enum fake_result res;

	res = fake_store(p->c, addr_of(p, i) + word_at[w], word);
	if (!as_expected(res, expected(page, true)))
		wrong("a store ended in another way", res);
	if (res == FAKE_OK)
		*word_of(page, w) = word;
}

static void op_accesses(void)
{
	unsigned long i, nr;
	struct proc *p;
	bool store = rnd(2);

	doing = store ? "stores" : "loads";
	if (!any_page(&p, &i))
		return;
	nr = run_at(p, i, rnd(3) ? 1 : 1 + rnd(200));
	for (; nr; nr--, i++) {
		if (store)
			store_at(p, i, (unsigned int)rnd(WORDS));
		else
			load_at(p, i, (unsigned int)rnd(WORDS));
	}
}

/* ---- address spaces ---- */

static void note_mapped(struct proc *p, unsigned long i, unsigned long nr,
			const struct mpage *what)
{
	for (unsigned long n = 0; n < nr; n++) {
		struct mpage *page = &p->page[i + n];

		*page = *what;
		page->index += n;
		if (page->kind == PRIVATE)
			page_reset(page);
	}
}

static void op_mmap(void)
{
	static const unsigned long prots[] = { VM_READ | VM_WRITE,
		VM_READ | VM_WRITE, VM_READ | VM_WRITE, VM_READ };
	struct mpage what = { .prot = prots[rnd(ARRAY_SIZE(prots))] };
	unsigned long nr = 1 + rnd(rnd(3) ? 60 : 600), addr = 0;
	struct proc *p = any_proc();
	int err;

	doing = "mmap";
	if (rnd(2))
		addr = addr_of(p, rnd(REGION - nr + 1));
	what.kind = rnd(3) ? PRIVATE : SHARED;
	what.has_file = what.kind == PRIVATE && !rnd(3);
	if (what.has_file)
		what.index = rnd(FILE_PAGES);
	if (what.kind == SHARED) {
		what.region = (unsigned int)rnd(NR_SHARED);
		what.index = rnd(SHARED_PAGES);
		err = fake_mmap(p->c, shared[what.region], what.index, nr,
				what.prot | VM_SHARED, &addr);
	} else {
		err = fake_mmap_private(p->c, what.has_file ? file : NULL,
					what.index, nr, what.prot, &addr);
	}
	if (err && err != -EEXIST && err != -ENOMEM && !injected)
		wrong("failed", -err);
	if (!err)
		note_mapped(p, page_no(p, addr), nr, &what);
}

static void op_munmap(void)
{
	unsigned long i, nr;
	struct proc *p;
	int err;

	doing = "munmap";
	if (!any_page(&p, &i))
		return;
	nr = min(1 + rnd(rnd(4) ? 60 : REGION), REGION - i);
	err = fake_munmap(p->c, addr_of(p, i), nr);
	if (err && !injected)
		wrong("failed", -err);
	if (!err)
		memset(&p->page[i], 0, nr * sizeof(p->page[0]));
}

static void op_mprotect(void)
{
	static const unsigned long prots[] = { VM_READ, VM_READ | VM_WRITE, 0 };
	unsigned long i, nr, prot = prots[rnd(ARRAY_SIZE(prots))];
	struct proc *p;
	int err;

	doing = "mprotect";
	if (!any_run(&p, &i, &nr))
		return;
	err = fake_mprotect(p->c, addr_of(p, i), nr, prot);
	if (err && !injected)
		wrong("failed", -err);
	for (; !err && nr; nr--, i++)
		p->page[i].prot = prot;
}

/* Pages [@from, @from + @nr) have gone to @to, and there are @new_nr. */
static void note_moved(struct proc *p, unsigned long from, unsigned long nr,
		       unsigned long to, unsigned long new_nr)
{
	struct mpage *old = malloc(nr * sizeof(*old)), next;
	unsigned long keep = min(nr, new_nr);

	BUG_ON(!old);
	memcpy(old, &p->page[from], nr * sizeof(*old));
	memset(&p->page[from], 0, nr * sizeof(*old));
	memcpy(&p->page[to], old, keep * sizeof(*old));
	next = old[0];
	next.index += keep;
	if (next.kind == PRIVATE && !next.has_file)
		next.index = 0;
	note_mapped(p, to + keep, new_nr - keep, &next);
	free(old);
}

static bool is_free(const struct proc *p, unsigned long i, unsigned long nr)
{
	for (; nr; nr--, i++)
		if (p->page[i].kind != NOTHING)
			return false;
	return true;
}

static void op_mremap(void)
{
	unsigned long i, nr, new_nr, to, addr;
	struct proc *p;
	int err;

	doing = "mremap";
	if (!any_run(&p, &i, &nr))
		return;
	to = rnd(REGION - nr + 1);
	new_nr = nr;
	if (!rnd(3) && is_free(p, to, nr)) {
		inject_off();	/* it has happened: there is no failing */
		err = fake_mremap_behind(p->c, addr_of(p, i), addr_of(p, to), nr);
	} else {
		addr = addr_of(p, i);
		new_nr = 1 + rnd(nr + 100);
		err = fake_mremap(p->c, &addr, nr, new_nr, rnd(2));
		to = page_no(p, addr);
	}
	/* -EFAULT: what looks like one mapping here may be several VMAs. */
	if (err && err != -ENOMEM && err != -EFAULT && !injected)
		wrong("failed", -err);
	if (!err)
		note_moved(p, i, nr, to, new_nr);
}

static void op_madvise_free(void)
{
	unsigned long i, nr;
	struct proc *p;
	int err;

	doing = "madvise, to free";
	if (!any_page(&p, &i))
		return;
	nr = min(1 + rnd(rnd(4) ? 30 : 300), REGION - i);
	err = fake_madvise_free(p->c, addr_of(p, i), nr);
	if (err && err != -ENOMEM && !injected)
		wrong("failed", -err);
	for (; nr; nr--, i++) {
		struct mpage *page = &p->page[i];

		if (page->kind == PRIVATE)
			page_reset(page);
		else if (page->kind == SHARED && page->index < SHARED_PAGES)
			memset(shared_word[page->region][page->index], 0,
			       sizeof(page->word));
	}
}

static void op_madvise(void)
{
	static const enum mm_advice advice[] = {
		MM_NORMAL, MM_RANDOM, MM_SEQUENTIAL, MM_WILLNEED, MM_DONTNEED,
		MM_POPULATE, MM_POPULATE_WRITE, MM_WILLNEED,
	};
	unsigned char vec[REGION];
	unsigned long i, nr;
	struct proc *p;

	doing = "madvise";
	if (!any_run(&p, &i, &nr))
		return;
	switch (rnd(8)) {
	case 0:
		do_mlock(p->c->mm, addr_of(p, i), nr * PAGE_SIZE, 100);
		break;
	case 1:
		do_munlock(p->c->mm, addr_of(p, i), nr * PAGE_SIZE);
		break;
	case 2:
		do_mincore(p->c->mm, addr_of(p, i), nr * PAGE_SIZE, vec);
		break;
	case 3:
		mmap_ahead(p->c->mm, addr_of(p, i), nr * PAGE_SIZE, NULL, NULL);
		break;
	default:
		do_madvise(p->c->mm, addr_of(p, i), nr * PAGE_SIZE,
			   advice[rnd(ARRAY_SIZE(advice))]);
		break;
	}
	fake_swapdev_drain(&swap);
}

/* ---- processes ---- */

static struct proc *proc_new(struct fake_client *c)
{
	struct proc *p = calloc(1, sizeof(*p));

	BUG_ON(!p);
	p->c = c;
	return p;
}

static unsigned int free_proc(void)
{
	unsigned int i;

	for (i = 0; i < NR_PROCS && procs[i]; i++)
		;
	return i;
}

static void op_fork(void)
{
	unsigned int slot = free_proc();
	struct fake_client *child;
	struct proc *p = any_proc();
	int err;

	doing = "fork";
	if (slot == NR_PROCS)
		return;
	err = fake_fork(p->c, &child);
	if (err && !injected)
		wrong("failed", -err);
	if (err)
		return;
	procs[slot] = proc_new(child);
	memcpy(procs[slot]->page, p->page, sizeof(p->page));
}

/* A copy that its child comes for later, or never. */
static void op_fork_slowly(void)
{
	struct private_copy *copy;
	struct proc *p = any_proc();

	doing = "fork, the first half";
	if (unborn_copy)
		return;
	copy = dup_private(p->c->mm);
	if (IS_ERR(copy) && !injected)
		wrong("failed", (unsigned long)-PTR_ERR(copy));
	if (!copy || IS_ERR(copy))
		return;
	unborn_copy = copy;
	if (rnd(2))
		return;
	doing = "fork, dropped";
	drop_private(unborn_copy);
	unborn_copy = NULL;
}

static void op_drop(void)
{
	doing = "fork, dropped later";
	if (unborn_copy)
		drop_private(unborn_copy);
	unborn_copy = NULL;
}

static void op_exit(void)
{
	unsigned int i = (unsigned int)rnd(NR_PROCS), alive = 0;

	doing = "exit";
	for (unsigned int n = 0; n < NR_PROCS; n++)
		alive += procs[n] != NULL;
	if (alive == 1 || !procs[i])
		return;
	fake_client_free(procs[i]->c);
	free(procs[i]);
	procs[i] = NULL;
}

/* ---- memory ---- */

static void op_memory(void)
{
	struct proc *p = any_proc();

	doing = "reclaim";
	switch (rnd(6)) {
	case 0:
		if (p->c->anon)
			window_demote_all(p->c->anon->mapping);
		break;
	case 1:
		shrink_page_tables();
		break;
	case 2:
		window_demote_all(shared[rnd(NR_SHARED)]->mapping);
		break;
	case 3:
		drop_pagecache();
		break;
	case 4:
		shrink_windows(1 + rnd(200), rnd(2));
		break;
	default:
		for (int i = 0; i < 10; i++)
			try_to_free_pages(GFP_USER | __GFP_NORETRY, 0,
					  ZONE_MOVABLE);
		break;
	}
}

static void op_swapoff(void)
{
	const enum fake_mode mode = swap.mode;
	const unsigned int delay = swap.max_delay_us;
	int err;

	doing = "swapoff";
	if (rnd(10))
		return;
	inject_off();
	set_unreachable(0);
	err = swap_off(swap.dev.path, NULL, NULL);
	if (err && err != -ENOMEM)
		wrong("failed", -err);
	if (err)
		return;
	if (fake_swapdev_exit(&swap))
		wrong("violations", 0);
	fake_swapdev_on(&swap, mode, SLOTS, -1);
	swap.max_delay_us = delay;
}

/* ---- the run ---- */

static void (*const ops[])(void) = {
	op_accesses, op_accesses, op_accesses, op_accesses, op_accesses,
	op_accesses, op_accesses, op_accesses, op_accesses, op_accesses,
	op_accesses, op_accesses, op_mmap, op_mmap, op_mmap, op_munmap,
	op_mprotect, op_mremap, op_mremap, op_madvise_free, op_madvise,
	op_madvise, op_fork, op_fork, op_fork_slowly, op_drop, op_exit,
	op_memory, op_memory, op_memory, op_swapoff,
};

/* What has begun with the client's own narrowing must not fail half-way. */
static bool needs_reach(void (*op)(void))
{
	return op == op_mmap || op == op_mremap || op == op_mprotect ||
		op == op_fork || op == op_munmap;
}

static void check_all(void)
{
	fake_swapdev_drain(&swap);
	fake_swapdev_check(&swap);
	fake_mmu_check();
	if (fake_mmu_violations())
		wrong("violations", 0);
}

static bool step(bool failing)
{
	void (*op)(void) = ops[rnd(ARRAY_SIZE(ops))];

	set_unreachable(needs_reach(op) ? 0 : unreachable);
	if (unreachable && !needs_reach(op))
		injected = true;
	if (failing && !rnd(4))
		inject();
	op();
	inject_off();
	return CU_get_number_of_failures() == 0;
}

static void check_words(void)
{
	doing = "at the end";
	for (unsigned int n = 0; n < NR_PROCS; n++)
		for (unsigned long i = 0; procs[n] && i < REGION; i++)
			for (unsigned int w = 0; w < WORDS; w++)
				if (procs[n]->page[i].kind != NOTHING)
					load_at(procs[n], i, w);
}

static void world_up(enum fake_mode mode, int nr_nodes, bool threads)
{
	const size_t size = (FILE_PAGES << PAGE_SHIFT) - 2048;

	atomic_store(&vm_tunables.overcommit_memory, OVERCOMMIT_ALWAYS);
	fake_mmu_init(nr_nodes == 1 ? MEMORY : MEMORY / 2 * 3, nr_nodes, threads);
	fake_disk_init(&disk, FAKE_SYNC);
	file = fake_mapped_new(fake_file_new(&disk, FILE_PAGES << PAGE_SHIFT,
					     size), 32);
	fake_swapdev_on(&swap, mode, SLOTS, -1);
	swap.max_delay_us = mode == FAKE_SYNC ? 0 : 100;
	memset(shared_word, 0, sizeof(shared_word));
	for (unsigned int i = 0; i < NR_SHARED; i++)
		shared[i] = fake_region_new(SHARED_PAGES);
}

static void world_down(void)
{
	for (unsigned int i = 0; i < NR_SHARED; i++)
		fake_mapped_free(shared[i]);
	fake_mapped_free(file);
	fake_swapdev_drain(&swap);
	CU_ASSERT_EQUAL(swap_off(swap.dev.path, NULL, NULL), 0);
	CU_ASSERT_EQUAL(fake_swapdev_exit(&swap), 0);
	CU_ASSERT_EQUAL(fake_disk_exit(&disk), 0);
	CU_ASSERT_EQUAL(fake_mmu_exit(), 0);
	atomic_store(&vm_tunables.overcommit_memory, OVERCOMMIT_GUESS);
}

static void run_model(enum fake_mode mode, int nr_nodes, bool failing,
		      unsigned int protect_per_mille)
{
	unsigned int nr = env_number("PAGEFS_OPS", 2000), i;

	rand_state = test_seed();
	unreachable = protect_per_mille;
	world_up(mode, nr_nodes, false);
	procs[0] = proc_new(fake_client_new(REGION));
	for (i = 0; i < nr; i++) {
		if (!step(failing))
			break;
		if (i % CHECK_EVERY == 0)
			check_all();
	}
	if (i < nr)
		printf("# at step %u\n", i);
	unreachable = 0;
	set_unreachable(0);
	op_drop();
	check_words();
	check_all();
	printf("# %lu out, %lu in, %lu shared by fork, %lu copied, %lu taken over\n",
	       vm_event(PSWPOUT), vm_event(PSWPIN), vm_event(PGDUP),
	       vm_event(PGCOW), vm_event(PGREUSE));
	for (unsigned int n = 0; n < NR_PROCS; n++) {
		if (!procs[n])
			continue;
		fake_client_free(procs[n]->c);
		free(procs[n]);
		procs[n] = NULL;
	}
	world_down();
}

static void model_plain(void)
{
	run_model(FAKE_SYNC, 1, false, 0);
}

static void model_async(void)
{
	run_model(FAKE_ASYNC, 2, false, 0);
}

static void model_plug(void)
{
	run_model(FAKE_PLUG, 1, false, 0);
}

static void model_failing(void)
{
	run_model(FAKE_SYNC, 1, true, 0);
}

static void model_unreachable(void)
{
	run_model(FAKE_SYNC, 1, false, 100);
}

static void model_all_at_once(void)
{
	run_model(FAKE_ASYNC, 1, true, 30);
}

/* ---- many threads ---- */

#define RACE_PAGES	500u		/* of each process */
#define RACE_PROCS	2u
#define RACE_THREADS	3u		/* of each process */
#define OWN_EVERY	8u		/* of so many pages one is one thread's own */
#define MAX_THREADS	16u

struct racer {
	pthread_t thread;
	void (*fn)(struct racer *);
	struct race_proc *p;
	unsigned int id;		/* in its process */
	uint64_t rand, count;
	const char *what;		/* what went wrong first */
};

/* Threads of a process have word @id of each page, but for those one has whole. */
struct race_proc {
	struct fake_client *c;
	unsigned long at, shared_at;
	pthread_mutex_t maps;		/* as the client's library: one change of its
					 * mappings at a time, and none while it forks */
	atomic_uint_fast64_t begun[RACE_PAGES][RACE_THREADS];
	atomic_uint_fast64_t done[RACE_PAGES][RACE_THREADS];
};

static atomic_bool stop;
static struct race_proc race[RACE_PROCS];
static atomic_uint_fast64_t added[SHARED_PAGES];
static atomic_ulong nr_forks, nr_swapoffs;

static void racer_wrong(struct racer *r, const char *what)
{
	if (!r->what)
		r->what = what;
}

static uint64_t racer_rnd(struct racer *r, uint64_t below)
{
	return test_rand(&r->rand) % below;
}

/* Whose own it is, or RACE_THREADS: everybody's. */
static unsigned int owner_of(unsigned int page)
{
	return page % OWN_EVERY < RACE_THREADS ? page % OWN_EVERY : RACE_THREADS;
}

static unsigned int racer_page(struct racer *r, unsigned int owner)
{
	unsigned int page;

	do
		page = (unsigned int)racer_rnd(r, racer_rnd(r, 2) ? 64 :
							     RACE_PAGES);
	while (owner_of(page) != owner);
	return page;
}

static unsigned long word_addr(const struct race_proc *p, unsigned int page,
			       unsigned int id)
{
	return p->at + page * PAGE_SIZE + word_at[id];
}

static void race_store(struct racer *r)
{
	unsigned int page = racer_page(r, RACE_THREADS);
	struct race_proc *p = r->p;
	enum fake_result res;

	r->count++;
	atomic_store(&p->begun[page][r->id], r->count);
	do
		res = fake_store(p->c, word_addr(p, page, r->id), r->count);
	while (res == FAKE_OOM);
	if (res != FAKE_OK)
		racer_wrong(r, "a store failed");
	atomic_store(&p->done[page][r->id], r->count);
}

/* Has @c word @id of the page between what was done before and begun after? */
static void race_check(struct racer *r, struct fake_client *c, unsigned int page,
		       unsigned int id, uint64_t low, uint64_t high,
		       const char *what)
{
	enum fake_result res;
	uint64_t got;

	do
		res = fake_load(c, word_addr(r->p, page, id), &got);
	while (res == FAKE_OOM);
	if (res != FAKE_OK)
		racer_wrong(r, "a load failed");
	else if (got < low || got > (high ? high :
				     atomic_load(&r->p->begun[page][id])))
		racer_wrong(r, what);
}

static void race_load(struct racer *r)
{
	unsigned int page = racer_page(r, RACE_THREADS);
	unsigned int id = (unsigned int)racer_rnd(r, RACE_THREADS);

	race_check(r, r->p->c, page, id, atomic_load(&r->p->done[page][id]), 0,
		   "a load found another word");
}

static void race_add(struct racer *r)
{
	unsigned long page = racer_rnd(r, SHARED_PAGES);
	enum fake_result res;

	do
		res = fake_add(r->p->c, r->p->shared_at + page * PAGE_SIZE, 1);
	while (res == FAKE_OOM);
	if (res == FAKE_OK)
		atomic_fetch_add(&added[page], 1);
	else
		racer_wrong(r, "an increment failed");
}

static void expect_word(struct racer *r, unsigned long addr, uint64_t want,
			const char *what)
{
	enum fake_result res;
	uint64_t got;

	do
		res = fake_load(r->p->c, addr, &got);
	while (res == FAKE_OOM);
	if (res != FAKE_OK || got != want)
		racer_wrong(r, what);
}

static void store_word(struct racer *r, unsigned long addr, uint64_t word)
{
	enum fake_result res;

	do
		res = fake_store(r->p->c, addr, word);
	while (res == FAKE_OOM);
	if (res != FAKE_OK)
		racer_wrong(r, "a store of its own failed");
}

/* What a thread has alone it frees, and maps anew. */
static void race_own(struct racer *r)
{
	unsigned int page = racer_page(r, r->id);
	unsigned long addr = word_addr(r->p, page, 0);
	struct fake_client *c = r->p->c;

	store_word(r, addr, ++r->count);
	store_word(r, addr + 8, r->count);
	if (racer_rnd(r, 2))
		usleep(100);
	expect_word(r, addr, r->count, "a word of its own is lost");
	if (racer_rnd(r, 2)) {
		if (fake_madvise_free(c, addr, 1))
			racer_wrong(r, "madvise failed");
	} else {
		pthread_mutex_lock(&r->p->maps);
		if (fake_munmap(c, addr, 1) ||
		    fake_mmap_private(c, NULL, 0, 1, VM_READ | VM_WRITE, &addr))
			racer_wrong(r, "mapping anew failed");
		pthread_mutex_unlock(&r->p->maps);
	}
	expect_word(r, addr + 8, 0, "what was freed is there still");
}

static void race_thread(struct racer *r)
{
	switch (racer_rnd(r, 8)) {
	case 0: case 1: case 2:
		race_store(r);
		break;
	case 3: case 4:
		race_load(r);
		break;
	case 5:
		race_add(r);
		break;
	default:
		race_own(r);
		break;
	}
}

/* A child has what there was between the beginning and the end of fork(). */
static void race_child(struct racer *r, struct fake_client *child,
		       uint64_t (*low)[RACE_THREADS],
		       uint64_t (*high)[RACE_THREADS])
{
	for (int i = 0; i < 150; i++) {
		unsigned int page = racer_page(r, RACE_THREADS);
		unsigned int id = (unsigned int)racer_rnd(r, RACE_THREADS);
		enum fake_result res;

		race_check(r, child, page, id, low[page][id], high[page][id] ?: UINT64_MAX,
			   "a child found another word");
		/* Nobody else stores there: it has it, and keeps it. */
		do
			res = fake_store(child, word_addr(r->p, page, id),
					 1000000000 + page);
		while (res == FAKE_OOM);
		low[page][id] = high[page][id] = 1000000000 + page;
	}
}

static void race_fork(struct racer *r)
{
	static uint64_t low[RACE_PROCS][RACE_PAGES][RACE_THREADS];
	static uint64_t high[RACE_PROCS][RACE_PAGES][RACE_THREADS];
	const long n = r->p - race;
	struct fake_client *child;
	int err;

	for (unsigned int i = 0; i < RACE_PAGES; i++)
		for (unsigned int id = 0; id < RACE_THREADS; id++)
			low[n][i][id] = atomic_load(&r->p->done[i][id]);
	pthread_mutex_lock(&r->p->maps);
	err = fake_fork(r->p->c, &child);
	pthread_mutex_unlock(&r->p->maps);
	if (err == -ENOMEM)
		return;
	if (err) {
		racer_wrong(r, "fork failed");
		return;
	}
	for (unsigned int i = 0; i < RACE_PAGES; i++)
		for (unsigned int id = 0; id < RACE_THREADS; id++)
			high[n][i][id] = atomic_load(&r->p->begun[i][id]);
	atomic_fetch_add(&nr_forks, 1);
	race_child(r, child, low[n], high[n]);
	fake_client_free(child);
	usleep(1000);
}

static void race_reclaim(struct racer *r)
{
	switch (racer_rnd(r, 4)) {
	case 0:
		shrink_windows(1 + racer_rnd(r, 100), racer_rnd(r, 2));
		break;
	case 1:
		window_demote_all(race[racer_rnd(r, RACE_PROCS)].c->anon->mapping);
		break;
	case 2:
		do_madvise(race[0].c->mm, race[0].at, RACE_PAGES * PAGE_SIZE,
			   MM_WILLNEED);
		break;
	default:
		try_to_free_pages(GFP_USER | __GFP_NORETRY, 0, ZONE_MOVABLE);
		break;
	}
	usleep(100);
}

static void race_swapoff(struct racer *r)
{
	static struct fake_swapdev second;
	int err;

	fake_swapdev_on(&second, FAKE_ASYNC, SLOTS, 10);
	usleep(20000);
	while ((err = swap_off(second.dev.path, NULL, NULL)) == -ENOMEM)
		usleep(1000);
	if (err)
		racer_wrong(r, "swapoff failed");
	else if (fake_swapdev_exit(&second))
		racer_wrong(r, "violations of the second device");
	atomic_fetch_add(&nr_swapoffs, 1);
}

static void *racer_main(void *arg)
{
	struct racer *r = arg;

	while (!atomic_load(&stop) && !r->what)
		r->fn(r);
	blk_flush_plug();
	return NULL;
}

static unsigned int add_racer(struct racer *racers, unsigned int nr,
			      void (*fn)(struct racer *), struct race_proc *p,
			      unsigned int id)
{
	racers[nr] = (struct racer){ .fn = fn, .p = p, .id = id,
				     .rand = test_seed() + nr };
	return nr + 1;
}

static void race_up(enum fake_mode mode, int nr_nodes)
{
	world_up(mode, nr_nodes, true);
	memset(added, 0, sizeof(added));
	for (unsigned int i = 0; i < RACE_PROCS; i++) {
		struct race_proc *p = &race[i];

		memset(p, 0, sizeof(*p));
		BUG_ON(pthread_mutex_init(&p->maps, NULL));
		p->c = fake_client_new(REGION);
		CU_ASSERT_EQUAL(fake_mmap_private(p->c, NULL, 0, RACE_PAGES,
						  VM_READ | VM_WRITE, &p->at), 0);
		CU_ASSERT_EQUAL(fake_mmap(p->c, shared[0], 0, SHARED_PAGES,
					  VM_READ | VM_WRITE | VM_SHARED,
					  &p->shared_at), 0);
	}
}

static void race_end_check(struct race_proc *p)
{
	uint64_t got = 0;

	for (unsigned int i = 0; i < RACE_PAGES; i++)
		for (unsigned int id = 0; id < RACE_THREADS; id++)
			if (owner_of(i) == RACE_THREADS &&
			    (fake_load(p->c, word_addr(p, i, id), &got) ||
			     got != atomic_load(&p->done[i][id])))
				wrong("a word is lost", i);
	for (unsigned long i = 0; i < SHARED_PAGES; i++)
		if (fake_load(p->c, p->shared_at + i * PAGE_SIZE, &got) ||
		    got != atomic_load(&added[i]))
			wrong("increments are lost", i);
}

static void race_down(void)
{
	fake_swapdev_drain(&swap);
	fake_mm_quiesce(&disk);
	fake_swapdev_drain(&swap);
	check_all();
	for (unsigned int i = 0; i < RACE_PROCS; i++)
		race_end_check(&race[i]);
	printf("# %lu out, %lu in, %lu shared by fork, %lu copied, %lu taken over, "
	       "%lu forks, %lu swapoffs\n", vm_event(PSWPOUT), vm_event(PSWPIN),
	       vm_event(PGDUP), vm_event(PGCOW), vm_event(PGREUSE),
	       atomic_load(&nr_forks), atomic_load(&nr_swapoffs));
	CU_ASSERT(vm_event(PSWPOUT) > 0);
	CU_ASSERT(atomic_load(&nr_forks) > 0);
	for (unsigned int i = 0; i < RACE_PROCS; i++) {
		fake_client_free(race[i].c);
		pthread_mutex_destroy(&race[i].maps);
	}
	world_down();
}

static void run_race(enum fake_mode mode, int nr_nodes)
{
	struct timespec ts = { env_number("PAGEFS_SECONDS", 2), 0 };
	struct racer racers[MAX_THREADS];
	unsigned int nr = 0;

	doing = "racing";
	race_up(mode, nr_nodes);
	for (unsigned int i = 0; i < RACE_PROCS; i++) {
		for (unsigned int id = 0; id < RACE_THREADS; id++)
			nr = add_racer(racers, nr, race_thread, &race[i], id);
		nr = add_racer(racers, nr, race_fork, &race[i], 0);
	}
	nr = add_racer(racers, nr, race_reclaim, NULL, 0);
	nr = add_racer(racers, nr, race_swapoff, NULL, 0);
	atomic_store(&stop, false);
	for (unsigned int i = 0; i < nr; i++)
		BUG_ON(pthread_create(&racers[i].thread, NULL, racer_main,
				      &racers[i]));
	nanosleep(&ts, NULL);
	atomic_store(&stop, true);
	for (unsigned int i = 0; i < nr; i++) {
		pthread_join(racers[i].thread, NULL);
		if (racers[i].what)
			printf("# thread %u: %s\n", i, racers[i].what);
		CU_ASSERT_PTR_NULL(racers[i].what);
	}
	race_down();
}

static void race_sync(void)
{
	run_race(FAKE_SYNC, 1);
}

static void race_async(void)
{
	run_race(FAKE_ASYNC, 2);
}

static void race_plug(void)
{
	run_race(FAKE_PLUG, 1);
}

static const struct test_case cases[] = {
	{ "random operations agree with the model", model_plain },
	{ "the same, the device is late, two nodes", model_async },
	{ "the same, reads wait in threads' own rings", model_plug },
	{ "the same, anything may fail", model_failing },
	{ "the same, clients are not always reached", model_unreachable },
	{ "the same, all of it at once", model_all_at_once },
	{ "threads lose no word, and children find what there was", race_sync },
	{ "the same in threads, the device is late, two nodes", race_async },
	{ "the same in threads, reads wait in their own rings", race_plug },
};

int main(void)
{
	return test_main("mm/anon_random", cases, ARRAY_SIZE(cases));
}
