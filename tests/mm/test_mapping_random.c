// SPDX-License-Identifier: BSD-2-Clause
/*
 * tests/mm/test_mapping_random.c - mappings and the mount at once, against a model
 *
 *   one thread:   clients map, unmap, protect, move, load and store; the mount
 *                 reads, writes, truncates, punches; pages are written, demoted
 *                 and dropped; anything may fail. After each step the bytes are
 *                 the model's, and every few steps all checks are made.
 *   many threads: counters that clients increment, while all of that goes on.
 *                 At the end the store has every increment; meanwhile no reader
 *                 sees a value older than what had been reached before it began.
 *
 *   PAGEFS_SEED		repeats a single-threaded run
 *   PAGEFS_SECONDS=N	how long each threaded run takes; 2
 *   PAGEFS_OPS=N	steps of each single-threaded run; 3000
 */
#include <errno.h>
#include <limits.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "fake_mmu.h"
#include "harness.h"
#include "slab.h"
#include "swap.h"
#include "vmstat.h"
#include "writeback.h"

#define MEMORY		(8UL << 20)
#define NR_FILES	3
#define NR_CLIENTS	3
#define REGION		2048UL		/* pages */
#define RW		(VM_READ | VM_WRITE | VM_SHARED)
#define HOT_PAGES	16UL		/* of each file: half of all is done to them */
#define CHECK_EVERY	8		/* steps; the checks cost more than they */

struct modelled {
	struct fake_mapped *m;
	char *model;			/* zeros past size */
	loff_t size, capacity;
};

static const unsigned long file_pages[NR_FILES] = { 700, 1100, 300 };

static struct fake_disk disk;
static struct modelled files[NR_FILES];
static struct fake_client *clients_of_run[NR_CLIENTS];
static uint64_t rand_state;
static bool injected;			/* this step may fail */
static bool scanned;			/* clients' stores raise no fault */
static const char *doing;		/* for the log */
static char buf[64 << 10], model_buf[64 << 10];

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

static struct modelled *modelled_of(const struct fake_mapped *m)
{
	for (int i = 0; i < NR_FILES; i++)
		if (files[i].m == m)
			return &files[i];
	return NULL;
}

/* Does @got differ from the file at @pos, where it is part of the file? */
static bool differs(const struct modelled *f, loff_t pos, const void *got,
		    size_t len)
{
	loff_t left = f->size - pos;

	len = left <= 0 ? 0 : min_t(size_t, len, left);
	return memcmp(got, f->model + pos, len);
}

static void model_set_size(struct modelled *f, loff_t size)
{
	if (size < f->size)
		memset(f->model + size, 0, f->size - size);
	f->size = size;
}

static struct fake_client *new_client(void)
{
	struct fake_client *c = fake_client_new(REGION);

	c->async = scanned;
	return c;
}

/* ---- single-threaded: what fails ---- */

/* Something fails in the next step. Not in those that say nothing. */
static void inject(bool may_stick)
{
	unsigned long nth = 1 + rnd(8);
	bool sticky = rnd(2) && may_stick;

	injected = true;
	switch (rnd(5)) {
	case 0:
		fail_page_alloc(nth, sticky);
		break;
	case 1:
		failslab(nth, sticky);
		break;
	case 2:
		fake_fail_random(&disk, FAKE_READ, 300, -EIO);
		break;
	case 3:
		fake_fail_random(&disk, FAKE_WRITE, 300, -EIO);
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
	fake_drain(&disk);
	fail_page_alloc(0, false);
	failslab(0, false);
	fake_fail_off(&disk);
	fake_window_fail_nth(0);
	injected = false;
}

/* ---- single-threaded: where ---- */

/* A mapped page, or false. */
static bool some_page(struct fake_client **cp, unsigned long *addrp)
{
	struct fake_client *c = clients_of_run[rnd(NR_CLIENTS)];
	unsigned long first = rnd(c->nr);

	for (unsigned long i = 0; i < c->nr; i++) {
		unsigned long n = (first + i) % c->nr;

		if (!c->pages[n].file)
			continue;
		*cp = c;
		*addrp = c->base + n * PAGE_SIZE;
		return true;
	}
	return false;
}

/* The same; half of them, if there are some, of the few that much is done to. */
static bool any_page(struct fake_client **cp, unsigned long *addrp)
{
	unsigned int tries = rnd(2) ? 1 : 30;

	while (tries--) {
		if (!some_page(cp, addrp))
			return false;
		if (fake_page_at(*cp, *addrp)->pgoff < HOT_PAGES)
			break;
	}
	return true;
}

/* Of one kind, without a hole, from @addr on: at most @max pages. */
static unsigned long run_at(struct fake_client *c, unsigned long addr,
			    unsigned long max)
{
	unsigned long first = (addr - c->base) >> PAGE_SHIFT, nr = 1;
	const struct fake_page *p = &c->pages[first];

	while (nr < max && first + nr < c->nr && p[nr].file == p->file &&
	       p[nr].pgoff == p->pgoff + nr && p[nr].prot == p->prot &&
	       p[nr].shared == p->shared)
		nr++;
	return nr;
}

/* A part of a mapping. */
static bool any_run(struct fake_client **cp, unsigned long *addrp,
		    unsigned long *nrp)
{
	if (!any_page(cp, addrp))
		return false;
	*nrp = run_at(*cp, *addrp, 1 + rnd(rnd(4) ? 40 : 1200));
	return true;
}

static struct modelled *any_file(void)
{
	return &files[rnd(NR_FILES)];
}

/* Mostly small, mostly inside the file. */
static void any_range(const struct modelled *f, loff_t *pos, size_t *len)
{
	*pos = rnd(4) ? rnd(max_t(loff_t, f->size, 1)) : rnd(f->capacity);
	if (rnd(2))
		*pos %= HOT_PAGES << PAGE_SHIFT;
	*len = 1 + rnd(rnd(3) ? 6000 : sizeof(buf));
	if (!rnd(3)) {
		*pos &= PAGE_MASK;
		*len = ALIGN(*len, PAGE_SIZE);
	}
	*len = min_t(size_t, *len, f->capacity - *pos);
	*len = min_t(size_t, *len, sizeof(buf));
}

/* ---- single-threaded: accesses ---- */

static enum fake_result expected(const struct fake_page *p, bool write)
{
	const struct modelled *f = modelled_of(p->file);

	if (!(p->prot & (write ? VM_WRITE : VM_READ | VM_WRITE)))
		return FAKE_SIGSEGV;
	if ((loff_t)(p->pgoff << PAGE_SHIFT) >= f->size)
		return FAKE_SIGBUS;
	return FAKE_OK;
}

static bool as_expected(enum fake_result got, enum fake_result want)
{
	if (got == want)
		return true;
	return injected && want == FAKE_OK &&
		(got == FAKE_OOM || got == FAKE_SIGBUS);
}

static void load_at(struct fake_client *c, unsigned long addr)
{
	struct fake_page p = *fake_page_at(c, addr);
	loff_t pos = (p.pgoff << PAGE_SHIFT) + (addr & ~PAGE_MASK);
	enum fake_result res;
	uint64_t word;

	res = fake_load(c, addr, &word);
	if (!as_expected(res, expected(&p, false)))
		wrong("a load ended in another way", res);
	if (res == FAKE_OK && differs(modelled_of(p.file), pos, &word, 8))
		wrong("a load found other bytes", pos);
}

static void store_at(struct fake_client *c, unsigned long addr)
{
	struct fake_page p = *fake_page_at(c, addr);
	loff_t pos = (p.pgoff << PAGE_SHIFT) + (addr & ~PAGE_MASK);
	struct modelled *f = modelled_of(p.file);
	uint64_t word = test_rand(&rand_state);
	enum fake_result res;

	res = fake_store(c, addr, word);
	if (!as_expected(res, expected(&p, true)))
		wrong("a store ended in another way", res);
	if (res == FAKE_OK && pos < f->size)
		memcpy(f->model + pos, &word, min_t(loff_t, 8, f->size - pos));
}

static void op_accesses(void)
{
	struct fake_client *c;
	unsigned long addr, nr;
	bool store = rnd(2);

	doing = store ? "stores" : "loads";
	if (!any_page(&c, &addr))
		return;
	nr = run_at(c, addr, rnd(3) ? 1 : 1 + rnd(200));
	for (unsigned long i = 0; i < nr; i++) {
		unsigned long at = addr + i * PAGE_SIZE + rnd(512) * 8;

		if (store)
			store_at(c, at);
		else
			load_at(c, at);
	}
}

/* ---- single-threaded: address spaces ---- */

static void op_mmap(void)
{
	static const unsigned long flags[] = { RW, RW, RW, VM_READ | VM_SHARED,
					       VM_READ };
	struct fake_client *c = clients_of_run[rnd(NR_CLIENTS)];
	struct modelled *f = any_file();
	unsigned long nr = 1 + rnd(rnd(3) ? 60 : 1300), addr = 0;
	int err;

	doing = "mmap";
	nr = min(nr, c->nr);
	if (rnd(2))
		addr = c->base + rnd(c->nr - nr + 1) * PAGE_SIZE;
	err = fake_mmap(c, f->m, rnd(3) ? rnd(f->capacity >> PAGE_SHIFT) : 0, nr,
			flags[rnd(ARRAY_SIZE(flags))], &addr);
	if (err && err != -EEXIST && err != -ENOMEM && !injected)
		wrong("failed", -err);
}

static void op_munmap(void)
{
	struct fake_client *c;
	unsigned long addr, nr;
	int err;

	doing = "munmap";
	if (!any_run(&c, &addr, &nr))
		return;
	err = fake_munmap(c, addr, nr);
	if (err && !injected)
		wrong("failed", -err);
}

static void op_mprotect(void)
{
	static const unsigned long flags[] = { VM_READ, VM_READ | VM_WRITE, 0 };
	unsigned long addr, nr, want = flags[rnd(ARRAY_SIZE(flags))];
	struct fake_client *c;
	int err;

	doing = "mprotect";
	if (!any_run(&c, &addr, &nr))
		return;
	err = fake_mprotect(c, addr, nr, want);
	if (err == -EACCES && !fake_page_at(c, addr)->shared)
		return;
	if (err && !injected)
		wrong("failed", -err);
}

static bool is_free(struct fake_client *c, unsigned long addr, unsigned long nr)
{
	for (unsigned long i = 0; i < nr; i++)
		if (fake_page_at(c, addr + i * PAGE_SIZE)->file)
			return false;
	return true;
}

static void op_mremap(void)
{
	unsigned long addr, nr, to;
	struct fake_client *c;
	int err;

	doing = "mremap";
	if (!any_run(&c, &addr, &nr))
		return;
	to = c->base + rnd(c->nr - nr + 1) * PAGE_SIZE;
	if (!rnd(4) && is_free(c, to, nr)) {
		inject_off();	/* it has happened: there is no failing */
		err = fake_mremap_behind(c, addr, to, nr);
	} else {
		err = fake_mremap(c, &addr, nr, 1 + rnd(nr + 100), rnd(2));
	}
	/* -EFAULT: what looks like one mapping here may be several VMAs. */
	if (err && err != -ENOMEM && err != -EFAULT && !injected)
		wrong("failed", -err);
}

static void op_madvise(void)
{
	static const enum mm_advice advice[] = {
		MM_NORMAL, MM_RANDOM, MM_SEQUENTIAL, MM_WILLNEED, MM_DONTNEED,
		MM_POPULATE, MM_POPULATE_WRITE,
	};
	unsigned char vec[REGION];
	struct fake_client *c;
	unsigned long addr, nr;
	size_t len;

	doing = "madvise";
	if (!any_run(&c, &addr, &nr))
		return;
	len = nr * PAGE_SIZE;
	switch (rnd(8)) {
	case 0:
		do_mlock(c->mm, addr, len, 100);
		break;
	case 1:
		do_munlock(c->mm, addr, len);
		break;
	case 2:
		if (do_mincore(c->mm, addr, len, vec) && !injected)
			wrong("mincore failed", addr);
		break;
	case 3:
		mmap_ahead(c->mm, addr, len, NULL, NULL);
		break;
	default:
		/* What it can do depends on rights and on where the file ends. */
		do_madvise(c->mm, addr, len, advice[rnd(ARRAY_SIZE(advice))]);
		break;
	}
}

static void op_client_dies(void)
{
	unsigned int i = rnd(NR_CLIENTS);

	doing = "exit";
	fake_client_free(clients_of_run[i]);
	clients_of_run[i] = new_client();
}

/* ---- single-threaded: the mount ---- */

static void op_mount_read(void)
{
	struct modelled *f = any_file();
	ssize_t want, got;
	loff_t pos;
	size_t len;

	doing = "read";
	any_range(f, &pos, &len);
	want = pos >= f->size ? 0 : min_t(loff_t, len, f->size - pos);
	got = fake_read(f->m->file, rnd(2) ? &f->m->rw.f.f_ra : NULL, pos, buf,
			len);
	if (got != want && !injected)
		wrong("another length", got);
	if (got > 0 && differs(f, pos, buf, got))
		wrong("found other bytes", pos);
}

static void model_write(struct modelled *f, loff_t pos, const void *data,
			ssize_t len)
{
	if (len <= 0)
		return;
	memcpy(f->model + pos, data, len);
	f->size = max_t(loff_t, f->size, pos + len);
}

static void op_mount_write(void)
{
	struct modelled *f = any_file();
	bool kernel = rnd(2) && !scanned;
	ssize_t got;
	loff_t pos;
	size_t len;

	doing = kernel ? "write, kept by the kernel" : "write";
	any_range(f, &pos, &len);
	if (kernel)
		len = min(len, PAGE_SIZE - (pos & ~PAGE_MASK));
	for (size_t i = 0; i < len; i += 8)
		memcpy(model_buf + i, &(uint64_t){ test_rand(&rand_state) },
		       min(len - i, 8UL));
	got = kernel ? fake_kernel_write(f->m, pos, model_buf, len) :
		       fake_mount_write(f->m, pos, model_buf, len);
	if (got != (ssize_t)len && !injected)
		wrong("another length", got);
	model_write(f, pos, model_buf, got);
}

static void op_kernel_read(void)
{
	struct modelled *f = any_file();
	pgoff_t index = rnd(rnd(2) ? HOT_PAGES :
				     (uint64_t)f->capacity >> PAGE_SHIFT);
	loff_t pos = index << PAGE_SHIFT, want;
	ssize_t got;

	if (scanned)
		return;		/* what it keeps may grow old: let it not */
	doing = "read by the kernel";
	want = clamp_t(loff_t, f->size - pos, 0, PAGE_SIZE);
	got = fake_kernel_read(f->m, index, buf);
	if (got != want && !injected)
		wrong("another length", got);
	if (got > 0 && differs(f, pos, buf, got))
		wrong("found other bytes", pos);
}

static void op_resize(void)
{
	struct modelled *f = any_file();
	loff_t size = rnd(f->capacity);

	doing = "truncate";
	if (!rnd(3))
		size &= PAGE_MASK;
	if (rnd(2))
		size = min_t(loff_t, f->size + rnd(20000), f->capacity);
	if (size > f->size)
		fake_mount_grow(f->m, size);
	else
		fake_mount_cut(f->m, size);
	model_set_size(f, size);
}

static void op_punch(void)
{
	struct modelled *f = any_file();
	loff_t pos;
	size_t len;
	int err;

	doing = "punch";
	any_range(f, &pos, &len);
	err = fake_mount_zero(f->m, pos, len);
	if (err)
		wrong("failed", -err);
	if (pos < f->size)
		memset(f->model + pos, 0, min_t(loff_t, len, f->size - pos));
}

/* ---- single-threaded: memory ---- */

static void op_writeback(void)
{
	struct modelled *f = any_file();
	int err = 0;
	loff_t pos;
	size_t len;

	doing = "writeback";
	any_range(f, &pos, &len);
	switch (rnd(4)) {
	case 0:
		err = sync_bdi(&disk.bdi);
		break;
	case 1:
		err = filemap_write_and_wait_range(&f->m->file->mapping, pos,
						   pos + len - 1);
		break;
	case 2:
		filemap_fdatawrite_range(&f->m->file->mapping, 0, LLONG_MAX);
		break;
	case 3:
		err = sync_mapping(&f->m->file->mapping, rnd(2));
		if (err || injected)
			break;
		if (memcmp(f->m->file->data, f->model, f->size))
			wrong("the store differs after fsync", f->size);
		break;
	}
	if (err && !injected)
		wrong("failed", -err);
}

static void op_memory(void)
{
	struct modelled *f = any_file();

	doing = "reclaim";
	switch (rnd(7)) {
	case 0:
		window_demote_all(&f->m->file->mapping);
		break;
	case 4:
		shrink_page_tables();
		break;
	case 1:
		drop_pagecache();
		break;
	case 2:
		invalidate_mapping_pages(&f->m->file->mapping, rnd(500), ~0UL);
		break;
	case 3:
		force_page_cache_readahead(&f->m->file->mapping, rnd(500),
					   rnd(200));
		break;
	default:
		shrink_windows(1 + rnd(200), rnd(2));
		break;
	}
}

/* ---- single-threaded: the run ---- */

static void (*const ops[])(void) = {
	op_accesses, op_accesses, op_accesses, op_accesses, op_accesses,
	op_accesses, op_accesses, op_accesses, op_accesses, op_accesses,
	op_mmap, op_mmap, op_mmap, op_munmap, op_munmap, op_mprotect,
	op_mprotect, op_mremap, op_madvise, op_madvise, op_mount_read,
	op_mount_read, op_mount_write, op_mount_write, op_kernel_read,
	op_kernel_read, op_writeback, op_writeback, op_writeback, op_memory,
	op_memory, op_memory, op_resize, op_punch,
};

/* K1 of fake_client.c. */
static void check_kernels_copies(void)
{
	for (int i = 0; i < NR_FILES; i++) {
		struct modelled *f = &files[i];

		for (pgoff_t n = 0; n < f->m->nr_kpages; n++)
			if (f->m->kpages[n].valid &&
			    differs(f, n << PAGE_SHIFT, f->m->kpages[n].data,
				    PAGE_SIZE))
				wrong("the kernel's copy is stale", n);
	}
}

static void check_all(void)
{
	blk_flush_plug();
	fake_drain(&disk);
	fake_mmu_check();
	check_kernels_copies();
	for (int i = 0; i < NR_FILES; i++)
		if (i_size_read(&files[i].m->file->mapping) != files[i].size)
			wrong("i_size", i);
	if (fake_mmu_violations())
		wrong("violations", 0);
}

static bool step(bool failing)
{
	void (*op)(void) = ops[rnd(ARRAY_SIZE(ops))];

	/* A sync waits long for memory to come back, for each page. */
	if (failing && !rnd(4) && op != op_resize && op != op_punch)
		inject(op != op_writeback);
	op();
	inject_off();
	if (!rnd(500))
		op_client_dies();
	/* There is no flusher; reclaim alone does not write. */
	if (vm_stat_read(NR_FILE_DIRTY) > 300 && sync_bdi(&disk.bdi))
		wrong("sync failed", 0);
	return CU_get_number_of_failures() == 0;
}

/* Frames for a third of the files, and windows for a quarter; more when they
 * are cut in two. */
static void files_up(enum fake_mode mode, int nr_nodes, bool threads)
{
	fake_mmu_init(nr_nodes == 1 ? MEMORY : MEMORY / 2 * 3, nr_nodes, threads);
	fake_disk_init(&disk, mode);
	disk.max_delay_us = mode == FAKE_ASYNC ? 100 : 0;
	for (int i = 0; i < NR_FILES; i++) {
		loff_t capacity = file_pages[i] << PAGE_SHIFT;
		loff_t size = capacity - i * 1000;

		files[i].m = fake_mapped_new(fake_file_new(&disk, capacity,
							   size), 32);
		files[i].capacity = capacity;
		files[i].size = size;
		files[i].model = calloc(1, capacity);
		memcpy(files[i].model, files[i].m->file->data, size);
	}
	for (int i = 0; i < NR_CLIENTS; i++)
		clients_of_run[i] = new_client();
}

static void files_down(void)
{
	for (int i = 0; i < NR_CLIENTS; i++)
		fake_client_free(clients_of_run[i]);
	fake_mmu_check();
	for (int i = 0; i < NR_FILES; i++) {
		fake_mapped_free(files[i].m);
		free(files[i].model);
	}
	CU_ASSERT_EQUAL(fake_disk_exit(&disk), 0);
	CU_ASSERT_EQUAL(fake_mmu_exit(), 0);
}

/* What a new client, and the store, have at the end. */
static void check_files(void)
{
	struct fake_client *c = fake_client_new(REGION);

	doing = "at the end";
	for (int i = 0; i < NR_FILES; i++) {
		struct modelled *f = &files[i];
		unsigned long nr = f->capacity >> PAGE_SHIFT, addr = 0;

		CU_ASSERT_EQUAL(fake_mmap(c, f->m, 0, nr, VM_READ, &addr), 0);
		for (loff_t pos = 0; pos < f->size; pos += 8)
			load_at(c, addr + pos);
		CU_ASSERT_EQUAL(fake_munmap(c, addr, nr), 0);
	}
	fake_client_free(c);
	CU_ASSERT_EQUAL(sync_bdi(&disk.bdi), 0);
	fake_drain(&disk);
	CU_ASSERT_EQUAL(vm_stat_read(NR_FILE_DIRTY), 0);
	for (int i = 0; i < NR_FILES; i++) {
		CU_ASSERT(atomic_load(&files[i].m->file->size) <= files[i].size);
		CU_ASSERT(!memcmp(files[i].m->file->data, files[i].model,
				  files[i].size));
	}
	check_all();
}

static void run_model(enum fake_mode mode, int nr_nodes, bool failing,
		      unsigned int protect_per_mille)
{
	unsigned int nr = env_number("PAGEFS_OPS", 3000), i;

	rand_state = test_seed();
	/* Nobody would wake who is paced. */
	atomic_store(&vm_tunables.dirty_background_ratio, 80);
	atomic_store(&vm_tunables.dirty_ratio, 90);
	files_up(mode, nr_nodes, false);
	for (i = 0; i < nr; i++) {
		for (int n = 0; n < NR_CLIENTS; n++)
			fake_client_unreachable(clients_of_run[n], 0,
						protect_per_mille);
		if (protect_per_mille)
			injected = true;
		if (!step(failing))
			break;
		if (i % CHECK_EVERY == 0)
			check_all();
	}
	if (i < nr)
		printf("# at step %u\n", i);
	for (int n = 0; n < NR_CLIENTS; n++)
		fake_client_unreachable(clients_of_run[n], 0, 0);
	injected = false;
	check_files();
	files_down();
	atomic_store(&vm_tunables.dirty_background_ratio, 10);
	atomic_store(&vm_tunables.dirty_ratio, 20);
}

static void model_plain(void)
{
	run_model(FAKE_SYNC, 1, false, 0);
}

static void model_async(void)
{
	run_model(FAKE_ASYNC, 2, false, 0);
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

static void model_scanned(void)
{
	scanned = true;
	run_model(FAKE_SYNC, 1, false, 0);
	run_model(FAKE_ASYNC, 1, true, 30);
	scanned = false;
}

/* ---- many threads ---- */

#define COUNTERS	4u		/* words of a page that are counted */
#define MOUNT_WORD	8u		/* the one that the mount writes */
#define COUNT_PAGES	1100u		/* of files[1] */
#define NR_COUNTING	4u
#define MAX_THREADS	12u

struct runner {
	pthread_t thread;
	void (*fn)(struct runner *);
	uint64_t rand;
	unsigned int id;
	const char *what;		/* what went wrong first */
	unsigned long nr;		/* rounds */
};

static atomic_bool stop;
static atomic_uint_fast64_t begun[COUNT_PAGES][COUNTERS];
static atomic_uint_fast64_t done[COUNT_PAGES][COUNTERS];
/* Pages from here on come and go: what they count is not checked. */
static unsigned int steady_pages;
static unsigned long count_addr[NR_CLIENTS];

static void runner_wrong(struct runner *r, const char *what)
{
	if (!r->what)
		r->what = what;
}

static unsigned int runner_page(struct runner *r)
{
	/* Half of them in a few, so that threads meet. */
	return test_rand(&r->rand) % (test_rand(&r->rand) & 1 ? 50 :
				      COUNT_PAGES);
}

/* Between what had been added before it was read and what was begun after. */
static void check_count(struct runner *r, unsigned int page, unsigned int n,
			uint64_t low, uint64_t got, const char *what)
{
	if (page < steady_pages &&
	    (got < low || got > atomic_load(&begun[page][n])))
		runner_wrong(r, what);
}

static void count_once(struct runner *r, struct fake_client *c,
		       unsigned long base)
{
	unsigned int page = runner_page(r), n = test_rand(&r->rand) % COUNTERS;
	unsigned long addr = base + page * PAGE_SIZE + n * 8;
	uint64_t low = atomic_load(&done[page][n]), got;
	enum fake_result res;

	if (test_rand(&r->rand) % 4 == 0) {
		res = fake_load(c, addr, &got);
		if (res == FAKE_OK)
			check_count(r, page, n, low, got, "a load is stale");
	} else {
		atomic_fetch_add(&begun[page][n], 1);
		res = fake_add(c, addr, 1);
		if (res == FAKE_OK)
			atomic_fetch_add(&done[page][n], 1);
	}
	if (res != FAKE_OK && page < steady_pages)
		runner_wrong(r, "an access failed");
}

static void run_counting(struct runner *r)
{
	unsigned int i = r->id % 2;

	count_once(r, clients_of_run[i], count_addr[i]);
}

static void run_demoting(struct runner *r)
{
	if (test_rand(&r->rand) % 50 == 0)
		window_demote_all(&files[1].m->file->mapping);
	else
		shrink_windows(1 + test_rand(&r->rand) % 100, true);
	if (test_rand(&r->rand) % 20 == 0)
		drop_pagecache();
	if (test_rand(&r->rand) % 20 == 0)
		shrink_page_tables();
}

static void run_writing_back(struct runner *r)
{
	struct address_space *mapping = &files[1].m->file->mapping;
	loff_t pos = test_rand(&r->rand) % (COUNT_PAGES << PAGE_SHIFT);

	if (test_rand(&r->rand) % 4)
		filemap_write_and_wait_range(mapping, pos, pos + 100000);
	else if (sync_mapping(mapping, false))
		runner_wrong(r, "sync failed");
	usleep(200);
}

static void run_mount_reading(struct runner *r)
{
	unsigned int page = runner_page(r), n = test_rand(&r->rand) % COUNTERS;
	uint64_t low = atomic_load(&done[page][n]), words[512];
	bool kernel = (test_rand(&r->rand) & 1) && !scanned;
	ssize_t got;

	if (kernel)
		got = fake_kernel_read(files[1].m, page, (char *)words);
	else
		got = fake_read(files[1].m->file, NULL,
				(loff_t)page << PAGE_SHIFT, words, PAGE_SIZE);
	if (got == (ssize_t)PAGE_SIZE)
		check_count(r, page, n, low, words[n], kernel ?
			    "the kernel's copy is stale" : "a read is stale");
	else if (page < steady_pages)
		runner_wrong(r, "a read failed");
}

/* The only one who writes this word: whoever looks must find it. */
static void run_mount_writing(struct runner *r)
{
	unsigned int page = runner_page(r);
	loff_t pos = ((loff_t)page << PAGE_SHIFT) + MOUNT_WORD * 8;
	uint64_t word = ++r->nr, got = 0;
	ssize_t ret;

	if (page >= steady_pages)
		return;
	ret = (test_rand(&r->rand) & 1) || scanned ?
		fake_mount_write(files[1].m, pos, &word, 8) :
		fake_kernel_write(files[1].m, pos, &word, 8);
	if (ret != 8)
		runner_wrong(r, "a write failed");
	if (fake_load(clients_of_run[0], count_addr[0] + pos, &got) != FAKE_OK ||
	    got != word)
		runner_wrong(r, "a load misses what was written");
	usleep(100);
}

/* Maps, counts a while, and goes. */
static void run_mapping(struct runner *r)
{
	struct fake_client *c = clients_of_run[2];
	unsigned long addr = 0, n = test_rand(&r->rand) % COUNT_PAGES;
	int err;

	err = fake_mmap(c, files[1].m, 0, COUNT_PAGES, RW, &addr);
	if (err == -EAGAIN)
		return;
	if (err) {
		runner_wrong(r, "mmap failed");
		return;
	}
	for (int i = 0; i < 50; i++)
		count_once(r, c, addr);
	if (fake_mprotect(c, addr + n * PAGE_SIZE, COUNT_PAGES - n, VM_READ) ||
	    fake_mprotect(c, addr, COUNT_PAGES, VM_READ | VM_WRITE))
		runner_wrong(r, "mprotect failed");
	for (int i = 0; i < 50; i++)
		count_once(r, c, addr);
	if (fake_munmap(c, addr, COUNT_PAGES))
		runner_wrong(r, "munmap failed");
}

static void run_resizing(struct runner *r)
{
	loff_t cut = (steady_pages << PAGE_SHIFT) +
		     test_rand(&r->rand) % (200 << PAGE_SHIFT);

	fake_mount_cut(files[1].m, cut);
	usleep(500);
	fake_mount_grow(files[1].m, files[1].size);
	usleep(500);
	if (fake_mount_zero(files[1].m, cut, 30 << PAGE_SHIFT))
		runner_wrong(r, "punch failed");
}

static void *runner_main(void *arg)
{
	struct runner *r = arg;

	while (!atomic_load(&stop) && !r->what)
		r->fn(r);
	blk_flush_plug();
	return NULL;
}

static unsigned int add_runner(struct runner *runners, unsigned int nr,
			       void (*fn)(struct runner *))
{
	runners[nr] = (struct runner){ .fn = fn, .id = nr,
				       .rand = test_seed() + nr };
	return nr + 1;
}

static void run_for_a_while(struct runner *runners, unsigned int nr)
{
	struct timespec ts = { env_number("PAGEFS_SECONDS", 2), 0 };

	atomic_store(&stop, false);
	for (unsigned int i = 0; i < nr; i++)
		BUG_ON(pthread_create(&runners[i].thread, NULL, runner_main,
				      &runners[i]));
	nanosleep(&ts, NULL);
	atomic_store(&stop, true);
	for (unsigned int i = 0; i < nr; i++) {
		pthread_join(runners[i].thread, NULL);
		if (runners[i].what)
			printf("# thread %u: %s\n", i, runners[i].what);
		CU_ASSERT_PTR_NULL(runners[i].what);
	}
}

static void counters_up(enum fake_mode mode, int nr_nodes, unsigned int steady,
			unsigned int protect_per_mille)
{
	files_up(mode, nr_nodes, true);
	memset(begun, 0, sizeof(begun));
	memset(done, 0, sizeof(done));
	steady_pages = steady;
	files[1].size = (loff_t)COUNT_PAGES << PAGE_SHIFT;
	fake_mount_cut(files[1].m, 0);
	fake_mount_grow(files[1].m, files[1].size);
	for (int i = 0; i < NR_CLIENTS; i++) {
		count_addr[i] = 0;
		if (i < 2)
			CU_ASSERT_EQUAL(fake_mmap(clients_of_run[i], files[1].m,
						  0, COUNT_PAGES, RW,
						  &count_addr[i]), 0);
		fake_client_unreachable(clients_of_run[i], 0, protect_per_mille);
	}
}

static void counters_down(void)
{
	uint64_t sum = 0, got;

	for (int i = 0; i < NR_CLIENTS; i++)
		fake_client_unreachable(clients_of_run[i], 0, 0);
	fake_mm_quiesce(&disk);
	fake_mmu_check();
	CU_ASSERT_EQUAL(sync_mapping(&files[1].m->file->mapping, false), 0);
	fake_drain(&disk);
	for (unsigned int i = 0; i < steady_pages; i++) {
		for (unsigned int n = 0; n < COUNTERS; n++) {
			memcpy(&got, files[1].m->file->data +
			       ((size_t)i << PAGE_SHIFT) + n * 8, 8);
			if (got != atomic_load(&done[i][n]))
				wrong("increments are lost", i);
			sum += got;
		}
	}
	printf("# %lu increments, %lu demoted, %lu written, %lu soft faults\n",
	       (unsigned long)sum, vm_event(PGDEMOTE), vm_event(PGWRITTEN),
	       vm_event(PGSOFTFAULT));
	CU_ASSERT(sum > 0);
	CU_ASSERT(vm_event(PGDEMOTE) > 0);
	files_down();
}

static void count(enum fake_mode mode, int nr_nodes,
		  unsigned int protect_per_mille, bool resize)
{
	struct runner runners[MAX_THREADS];
	unsigned int nr = 0;

	doing = "counting";
	counters_up(mode, nr_nodes, resize ? 600 : COUNT_PAGES, protect_per_mille);
	while (nr < NR_COUNTING)
		nr = add_runner(runners, nr, run_counting);
	nr = add_runner(runners, nr, run_demoting);
	nr = add_runner(runners, nr, run_writing_back);
	nr = add_runner(runners, nr, run_mount_reading);
	nr = add_runner(runners, nr, run_mount_writing);
	nr = add_runner(runners, nr, run_mapping);
	if (resize)
		nr = add_runner(runners, nr, run_resizing);
	run_for_a_while(runners, nr);
	counters_down();
}

static void count_plain(void)
{
	count(FAKE_SYNC, 1, 0, false);
}

static void count_async(void)
{
	count(FAKE_ASYNC, 1, 0, false);
}

static void count_plug(void)
{
	count(FAKE_PLUG, 2, 0, true);
}

static void count_unreachable(void)
{
	count(FAKE_ASYNC, 1, 20, true);
}

static void count_scanned(void)
{
	scanned = true;
	count(FAKE_ASYNC, 1, 0, false);
	count(FAKE_PLUG, 1, 20, true);
	scanned = false;
}

static const struct test_case cases[] = {
	{ "random operations agree with the model", model_plain },
	{ "the same, store ends I/O late and out of order, two nodes", model_async },
	{ "the same, anything may fail", model_failing },
	{ "the same, clients are not always reached", model_unreachable },
	{ "the same, all of it at once", model_all_at_once },
	{ "the same, stores raise no fault, and are scanned for", model_scanned },
	{ "no increment is lost, no reader sees the past", count_plain },
	{ "the same counted, store ends I/O late and out of order", count_async },
	{ "the same counted beside truncates, I/O in threads' own rings, two nodes", count_plug },
	{ "the same counted, clients are not always reached", count_unreachable },
	{ "the same counted, stores are scanned for", count_scanned },
};

int main(void)
{
	return test_main("mm/mapping_random", cases, ARRAY_SIZE(cases));
}
