// SPDX-License-Identifier: BSD-2-Clause
/*
 * tests/mm/test_mm_random.c - everything at once against a plain model
 *
 *   threads --read, write, truncate, punch, fsync, drop, ...--> 4 files > memory
 *   model:  one array of bytes and a size per file, under the file's rwsem
 *
 * With failing I/O a read may fail and a write be short; what a call says it
 * did is what the model does. PAGEFS_SEED repeats each thread's operations;
 * how threads interleave is the machine's.
 */
#include <errno.h>
#include <limits.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "fake_disk.h"
#include "harness.h"
#include "mmzone.h"
#include "slab.h"
#include "swap.h"
#include "vmstat.h"

#define NR_FILES	4
#define NR_THREADS	4
#define CAPACITY	(6UL << 20)
#define MAX_IO		(160UL << 10)

struct modelled {
	struct fake_file *file;
	struct file_ra_state ra;
	struct rw_semaphore lock;	/* model and file together */
	char *model;
	loff_t size;
};

struct worker {
	pthread_t thread;
	uint64_t rand;
	unsigned int ops;
	bool io_fails;
	unsigned int wrong;
	const char *what;
	char *buf;
};

static struct fake_disk disk;
static struct modelled files[NR_FILES];
static atomic_bool stop;

static void wrong(struct worker *w, const char *what)
{
	if (!w->wrong++)
		w->what = what;
}

static bool may_fail(const struct worker *w, long err)
{
	return w->io_fails && (err == -EIO || err == -ENOSPC);
}

/* Mostly small and near the beginning, sometimes anywhere. */
static void any_range(struct worker *w, loff_t *pos, size_t *len)
{
	uint64_t r = test_rand(&w->rand);

	*pos = test_rand(&w->rand) % (r & 1 ? CAPACITY / 8 : CAPACITY - 1);
	*len = 1 + test_rand(&w->rand) % (r & 6 ? 9000 : MAX_IO);
	if (r & 8)
		*pos &= PAGE_MASK;
	if (r & 16)
		*len = ALIGN(*len, PAGE_SIZE);
	*len = min_t(size_t, *len, CAPACITY - *pos);
}

static void do_read(struct worker *w, struct modelled *m)
{
	ssize_t want, got;
	loff_t pos;
	size_t len;

	any_range(w, &pos, &len);
	down_read(&m->lock);
	want = pos >= m->size ? 0 : min_t(loff_t, len, m->size - pos);
	got = fake_read(m->file, test_rand(&w->rand) & 1 ? &m->ra : NULL, pos,
			w->buf, len);
	if (got != want && !(got >= 0 ? w->io_fails : may_fail(w, got)))
		wrong(w, got < 0 ? "read failed" : "read is short");
	if (got > want || (got > 0 && memcmp(w->buf, m->model + pos, got)))
		wrong(w, "read other bytes than were written");
	up_read(&m->lock);
}

static void do_write(struct worker *w, struct modelled *m)
{
	ssize_t got;
	loff_t pos;
	size_t len;
	int err;

	any_range(w, &pos, &len);
	for (size_t i = 0; i < len; i += 8)
		memcpy(w->buf + i, &(uint64_t){ test_rand(&w->rand) }, 8);
	down_write(&m->lock);
	got = fake_write(m->file, pos, w->buf, len);
	if (got != (ssize_t)len && !(got >= 0 ? w->io_fails : may_fail(w, got)))
		wrong(w, got < 0 ? "write failed" : "write is short");
	if (got > 0) {
		memcpy(m->model + pos, w->buf, got);
		m->size = max(m->size, pos + got);
	}
	if (i_size_read(&m->file->mapping) != m->size)
		wrong(w, "i_size after a write");
	up_write(&m->lock);
	err = balance_dirty_pages_ratelimited(&m->file->mapping,
					      DIV_ROUND_UP(len, PAGE_SIZE));
	if (err && !may_fail(w, err))
		wrong(w, "balance_dirty_pages failed");
}

static void do_truncate(struct worker *w, struct modelled *m)
{
	loff_t size = test_rand(&w->rand) % CAPACITY;

	if (test_rand(&w->rand) & 1)
		size &= PAGE_MASK;
	down_write(&m->lock);
	fake_truncate(m->file, size);
	if (size < m->size)
		memset(m->model + size, 0, m->size - size);
	m->size = size;
	up_write(&m->lock);
}

static void do_punch(struct worker *w, struct modelled *m)
{
	loff_t pos;
	size_t len;

	any_range(w, &pos, &len);
	pos &= PAGE_MASK;
	len = ALIGN(len, PAGE_SIZE);
	down_write(&m->lock);
	fake_punch(m->file, pos, len);
	if (pos < m->size)
		memset(m->model + pos, 0, min_t(loff_t, len, m->size - pos));
	up_write(&m->lock);
}

static void do_fsync(struct worker *w, struct modelled *m)
{
	int err = sync_mapping(&m->file->mapping, test_rand(&w->rand) & 1);

	if (err && !may_fail(w, err))
		wrong(w, "fsync failed");
}

/* What is synced while nobody writes is in the store. */
static void do_fsync_and_look(struct worker *w, struct modelled *m)
{
	int err;

	down_write(&m->lock);
	err = sync_mapping(&m->file->mapping, false);
	if (err && !may_fail(w, err))
		wrong(w, "fsync failed");
	if (atomic_load(&m->file->size) > m->size)
		wrong(w, "the store is longer than the file");
	if (!err && memcmp(m->file->data, m->model, m->size))
		wrong(w, "the store differs after fsync");
	up_write(&m->lock);
}

static void do_range(struct worker *w, struct modelled *m)
{
	loff_t pos;
	size_t len;

	any_range(w, &pos, &len);
	switch (test_rand(&w->rand) % 4) {
	case 0:
		filemap_fdatawrite_range(&m->file->mapping, pos, pos + len - 1);
		blk_flush_plug();
		break;
	case 1:
		filemap_fdatawait_range(&m->file->mapping, pos, pos + len - 1);
		break;
	case 2:
		invalidate_mapping_pages(&m->file->mapping, pos >> PAGE_SHIFT,
					 (pos + len) >> PAGE_SHIFT);
		break;
	case 3:
		force_page_cache_readahead(&m->file->mapping, pos >> PAGE_SHIFT,
					   len >> PAGE_SHIFT);
		break;
	}
}

static void do_global(struct worker *w)
{
	int err;

	switch (test_rand(&w->rand) % 4) {
	case 0:
		err = sync_bdi(&disk.bdi);
		if (err && !may_fail(w, err))
			wrong(w, "sync failed");
		break;
	case 1:
		drop_pagecache();
		break;
	case 2:
		wakeup_flusher_threads(test_rand(&w->rand) & 1 ?
				       WB_REASON_RECLAIM : WB_REASON_BACKGROUND);
		break;
	case 3:
		lru_check();
		break;
	}
}

static void *work(void *arg)
{
	struct worker *w = arg;

	w->buf = malloc(MAX_IO + 2 * PAGE_SIZE);
	for (unsigned int i = 0; i < w->ops; i++) {
		uint64_t r = test_rand(&w->rand);
		struct modelled *m = &files[(r >> 8) % NR_FILES];

		switch (r % 100) {
		case 0 ... 39:
			do_read(w, m);
			break;
		case 40 ... 79:
			do_write(w, m);
			break;
		case 80 ... 81:
			do_truncate(w, m);
			break;
		case 82 ... 84:
			do_punch(w, m);
			break;
		case 85 ... 87:
			do_fsync(w, m);
			break;
		case 88 ... 89:
			do_fsync_and_look(w, m);
			break;
		case 90 ... 97:
			do_range(w, m);
			break;
		default:
			do_global(w);
			break;
		}
	}
	blk_flush_plug();
	free(w->buf);
	return NULL;
}

/* Page lookups without any lock beside it all. */
static void *peek(void *arg)
{
	struct worker *w = arg;

	while (!atomic_load(&stop)) {
		struct modelled *m = &files[test_rand(&w->rand) % NR_FILES];
		struct page *pages[8];
		size_t bytes;
		int nr = filemap_get_pages(&m->file->mapping, &m->ra,
			test_rand(&w->rand) % CAPACITY, 20000, pages, 8, &bytes);

		if (nr < 0 && !may_fail(w, nr))
			wrong(w, "lookup failed");
		for (int i = 0; i < nr; i++) {
			if (!page_test(pages[i], PG_uptodate))
				wrong(w, "page is not uptodate");
			put_page(pages[i]);
		}
		usleep(50);
	}
	return NULL;
}

/* Both from the cache and, after dropping it, from the store. */
static void check_files(void)
{
	char *buf = malloc(CAPACITY + 1);

	for (int round = 0; round < 2; round++) {
		for (int i = 0; i < NR_FILES; i++) {
			struct modelled *m = &files[i];

			CU_ASSERT_EQUAL(fake_read(m->file, NULL, 0, buf,
						  CAPACITY + 1), m->size);
			CU_ASSERT(!memcmp(buf, m->model, m->size));
			page_cache_check(&m->file->mapping);
		}
		CU_ASSERT_EQUAL(sync_bdi(&disk.bdi), 0);
		CU_ASSERT_EQUAL(vm_stat_read(NR_FILE_DIRTY), 0);
		CU_ASSERT_EQUAL(vm_stat_read(NR_WRITEBACK), 0);
		fake_drain(&disk);
		for (int i = 0; i < NR_FILES; i++) {
			CU_ASSERT(atomic_load(&files[i].file->size) <=
				  files[i].size);
			CU_ASSERT(!memcmp(files[i].file->data, files[i].model,
					  files[i].size));
		}
		drop_pagecache();
	}
	free(buf);
}

static void run(enum fake_mode mode, size_t memory, int nodes,
		unsigned int fail_per_mille, unsigned int ops)
{
	struct worker w[NR_THREADS + 1];

	fake_mm_init(memory, nodes, true);
	fake_disk_init(&disk, mode);
	disk.max_delay_us = mode == FAKE_SYNC ? 0 : 200;
	for (int i = 0; i < NR_FILES; i++) {
		files[i].file = fake_file_new(&disk, CAPACITY, CAPACITY / 2);
		files[i].model = calloc(1, CAPACITY + PAGE_SIZE);
		files[i].size = CAPACITY / 2;
		memcpy(files[i].model, files[i].file->data, CAPACITY / 2);
		file_ra_state_init(&files[i].ra, 64);
		init_rwsem(&files[i].lock, LOCK_READDIR);
	}
	if (fail_per_mille) {
		fake_fail_random(&disk, FAKE_READ, fail_per_mille, -EIO);
		fake_fail_random(&disk, FAKE_WRITE, fail_per_mille, -ENOSPC);
	}
	atomic_store(&stop, false);
	for (unsigned int i = 0; i <= NR_THREADS; i++) {
		w[i] = (struct worker){ .rand = test_seed() + i, .ops = ops,
					.io_fails = fail_per_mille };
		pthread_create(&w[i].thread, NULL,
			       i < NR_THREADS ? work : peek, &w[i]);
	}
	for (unsigned int i = 0; i <= NR_THREADS; i++) {
		if (i == NR_THREADS)
			atomic_store(&stop, true);
		pthread_join(w[i].thread, NULL);
		CU_ASSERT_EQUAL(w[i].wrong, 0);
		if (w[i].wrong)
			printf("# thread %u: %s\n", i, w[i].what);
	}
	fake_fail_off(&disk);
	fake_mm_quiesce(&disk);
	check_files();
	lru_check();
	page_alloc_check();
	slab_check();
	for (int i = 0; i < NR_FILES; i++) {
		file_ra_state_destroy(&files[i].ra);
		destroy_rwsem(&files[i].lock);
		fake_file_free(files[i].file);
		free(files[i].model);
	}
	CU_ASSERT_EQUAL(fake_disk_exit(&disk), 0);
	CU_ASSERT_EQUAL(fake_mm_exit(), 0);
}

static void sync_store(void)
{
	run(FAKE_SYNC, 8 << 20, 1, 0, 2000);
}

static void async_store(void)
{
	run(FAKE_ASYNC, 8 << 20, 1, 0, 1000);
}

static void plug_store_nodes(void)
{
	run(FAKE_PLUG, 16 << 20, 2, 0, 1000);
}

static void async_failing(void)
{
	run(FAKE_ASYNC, 8 << 20, 1, 20, 1000);
}

static void plug_failing(void)
{
	run(FAKE_PLUG, 8 << 20, 1, 5, 1000);
}

static const struct test_case cases[] = {
	{ "random operations agree with the model, store at once", sync_store },
	{ "the same, store ends I/O late and out of order", async_store },
	{ "the same, I/O in threads' own rings, two nodes", plug_store_nodes },
	{ "the same, I/O fails at random, out of order", async_failing },
	{ "the same, I/O fails at random in threads' own rings", plug_failing },
};

int main(void)
{
	return test_main("mm/random", cases, ARRAY_SIZE(cases));
}
