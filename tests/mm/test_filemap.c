// SPDX-License-Identifier: BSD-2-Clause
/*
 * tests/mm/test_filemap.c - reading and writing through the page cache
 */
#include <errno.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include "fake_disk.h"
#include "harness.h"
#include "mmzone.h"
#include "slab.h"
#include "swap.h"
#include "vmstat.h"

#define MEMORY	(16UL << 20)

static struct fake_disk disk;
static char buf[1 << 20];

static void up(enum fake_mode mode)
{
	struct fake_file *file;

	fake_mm_init(MEMORY, 1, false);
	fake_disk_init(&disk, mode);
	/* Frames that were never used are zero by chance. */
	file = fake_file_new(&disk, 2 << 20, 2 << 20);
	for (loff_t pos = 0; pos < 2 << 20; pos += sizeof(buf))
		generic_file_read(&file->mapping, NULL, pos, buf, sizeof(buf));
	fake_file_free(file);
	atomic_store(&disk.pages[FAKE_READ], 0);
}

static void down(void)
{
	CU_ASSERT_EQUAL(fake_disk_exit(&disk), 0);
	CU_ASSERT_EQUAL(fake_mm_exit(), 0);
}

static unsigned long reads(void)
{
	fake_drain(&disk);
	return atomic_load(&disk.pages[FAKE_READ]);
}

static bool all_zero(const char *p, size_t len)
{
	for (size_t i = 0; i < len; i++)
		if (p[i])
			return false;
	return true;
}

static void reads_what_the_store_has(void)
{
	static const struct { loff_t pos; size_t len; ssize_t want; } t[] = {
		{ 0, 1, 1 }, { 0, 4096, 4096 }, { 4095, 2, 2 },
		{ 100, 10000, 10000 }, { 0, 1 << 20, 300001 },
		{ 300000, 4096, 1 }, { 300001, 1, 0 }, { 1 << 30, 5, 0 },
		{ 5, 0, 0 }, { 299008, 4096, 993 },
	};
	struct fake_file *file;

	up(FAKE_SYNC);
	file = fake_file_new(&disk, 1 << 20, 300001);
	for (size_t i = 0; i < ARRAY_SIZE(t); i++) {
		memset(buf, 0x55, sizeof(buf));
		CU_ASSERT_EQUAL(fake_read(file, NULL, t[i].pos, buf, t[i].len),
				t[i].want);
		CU_ASSERT(fake_is(buf, t[i].pos, t[i].want));
		if ((size_t)t[i].want < sizeof(buf))
			CU_ASSERT_EQUAL(buf[t[i].want], 0x55);
	}
	CU_ASSERT_EQUAL(reads(), 74);	/* each page once */
	page_cache_check(&file->mapping);
	fake_file_free(file);
	down();
}

/* The tail of the last page is zero, so a file can grow over it (I2). */
static void tail_past_eof_is_zero(void)
{
	struct fake_file *file;

	up(FAKE_SYNC);
	file = fake_file_new(&disk, 1 << 20, 100);
	memset(file->data + 100, 'x', PAGE_SIZE);	/* the device's rubbish */
	CU_ASSERT_EQUAL(fake_read(file, NULL, 0, buf, 4096), 100);
	CU_ASSERT_EQUAL(fake_write(file, 8000, "abc", 3), 3);
	CU_ASSERT_EQUAL(fake_read(file, NULL, 0, buf, 10000), 8003);
	CU_ASSERT(fake_is(buf, 0, 100));
	CU_ASSERT(all_zero(buf + 100, 7900));
	CU_ASSERT_EQUAL(memcmp(buf + 8000, "abc", 3), 0);
	fake_file_free(file);
	down();
}

static void holes_read_as_zeros(void)
{
	struct fake_file *file;

	up(FAKE_SYNC);
	file = fake_file_new(&disk, 1 << 20, 0);
	CU_ASSERT_EQUAL(fake_write(file, 600000, "z", 1), 1);
	CU_ASSERT_EQUAL(i_size_read(&file->mapping), 600001);
	memset(buf, 1, sizeof(buf));
	CU_ASSERT_EQUAL(fake_read(file, NULL, 0, buf, sizeof(buf)), 600001);
	CU_ASSERT(all_zero(buf, 600000));
	CU_ASSERT_EQUAL(buf[600000], 'z');
	fake_file_free(file);
	down();
}

static void whole_pages_are_not_read(void)
{
	struct fake_file *file;

	up(FAKE_SYNC);
	file = fake_file_new(&disk, 1 << 20, 1 << 19);
	memset(buf, 'w', sizeof(buf));
	CU_ASSERT_EQUAL(fake_write(file, 4096, buf, 8192), 8192);
	CU_ASSERT_EQUAL(fake_write(file, 1 << 19, buf, 100), 100); /* at EOF */
	CU_ASSERT_EQUAL(fake_write(file, 800000, buf, 5), 5);	/* past it */
	CU_ASSERT_EQUAL(reads(), 0);
	CU_ASSERT_EQUAL(fake_write(file, 20480, buf, 4095), 4095); /* a part */
	CU_ASSERT_EQUAL(reads(), 1);
	CU_ASSERT_EQUAL(fake_write(file, 20480 + 4095, buf, 1), 1);	/* cached */
	CU_ASSERT_EQUAL(reads(), 1);
	fake_file_free(file);
	down();
}

/* A write from a page's start to EOF covers all of the page that matters. */
static void write_up_to_eof_is_not_read(void)
{
	struct fake_file *file;

	up(FAKE_SYNC);
	file = fake_file_new(&disk, 1 << 20, 4096 + 500);
	memset(buf, 'w', 600);
	CU_ASSERT_EQUAL(fake_write(file, 4096, buf, 600), 600);
	CU_ASSERT_EQUAL(reads(), 0);
	CU_ASSERT_EQUAL(fake_read(file, NULL, 4096, buf, 4096), 600);
	CU_ASSERT_EQUAL(buf[599], 'w');
	fake_truncate(file, 4096 + 4096);
	CU_ASSERT_EQUAL(fake_read(file, NULL, 4096, buf, 4096), 4096);
	CU_ASSERT(all_zero(buf + 600, 4096 - 600));
	fake_file_free(file);

	file = fake_file_new(&disk, 1 << 20, 4096 + 500);
	CU_ASSERT_EQUAL(fake_write(file, 4096, buf, 400), 400);
	CU_ASSERT_EQUAL(reads(), 1);	/* 100 bytes of the old are left */
	CU_ASSERT_EQUAL(fake_read(file, NULL, 4496, buf, 4096), 100);
	CU_ASSERT(fake_is(buf, 4496, 100));
	fake_file_free(file);
	down();
}

static void failed_read_is_retried(void)
{
	struct fake_file *file;

	up(FAKE_SYNC);
	file = fake_file_new(&disk, 1 << 20, 1 << 20);
	fake_fail_range(file, FAKE_READ, 3, 3, -EIO);
	CU_ASSERT_EQUAL(fake_read(file, NULL, 3 * 4096, buf, 10), -EIO);
	CU_ASSERT_EQUAL(fake_read(file, NULL, 3 * 4096, buf, 10), -EIO);
	CU_ASSERT_EQUAL(fake_write(file, 3 * 4096 + 1, "a", 1), -EIO);
	/* A range is shortened at the failure, and reported when it comes first */
	CU_ASSERT_EQUAL(fake_read(file, NULL, 100, buf, 6 * 4096),
			3 * 4096 - 100);
	CU_ASSERT(fake_is(buf, 100, 3 * 4096 - 100));
	/* A write stops there as well. */
	CU_ASSERT_EQUAL(fake_write(file, 2 * 4096, buf, 4096 + 10), 4096);
	fake_fail_off(&disk);
	CU_ASSERT_EQUAL(fake_read(file, NULL, 3 * 4096, buf, 4096), 4096);
	CU_ASSERT(fake_is(buf, 3 * 4096, 4096));
	page_cache_check(&file->mapping);
	fake_file_free(file);
	down();
}

/* @op by a thread that has no nodes and frames of its own set aside. */
struct fresh {
	struct fake_file *file;
	ssize_t (*op)(struct fake_file *file);
	ssize_t ret;
};

static void *fresh_main(void *arg)
{
	struct fresh *f = arg;

	f->ret = f->op(f->file);
	return NULL;
}

static ssize_t by_fresh_thread(ssize_t (*op)(struct fake_file *file),
			       struct fake_file *file)
{
	struct fresh f = { .file = file, .op = op };
	pthread_t t;

	BUG_ON(pthread_create(&t, NULL, fresh_main, &f));
	pthread_join(t, NULL);
	return f.ret;
}

/*
 * Fails the Nth allocation, for N = 1, 2, ... until @op gets through several
 * times: one failure may just have been made good, as by a smaller read.
 */
static void fail_each(void (*fail)(unsigned long, bool), bool sticky,
		      ssize_t (*op)(struct fake_file *file))
{
	unsigned long n, passed = 0;

	for (n = 1; n < 2000 && passed < 8; n++) {
		struct fake_file *file = fake_file_new(&disk, 8 << 20, 2 << 20);
		unsigned int left = 3;
		ssize_t ret;

		fail(n, sticky);
		ret = by_fresh_thread(op, file);
		fail(0, false);
		CU_ASSERT(ret > 0 || ret == -ENOMEM);
		page_cache_check(&file->mapping);
		/* What failed is to be had now. */
		while (op(file) < 5 * 4096 && left)
			left--;
		CU_ASSERT(left > 0);
		page_cache_check(&file->mapping);
		fake_file_free(file);
		passed = ret == 5 * 4096 ? passed + 1 : 0;
	}
	CU_ASSERT(n < 2000);
}

static ssize_t op_read(struct fake_file *file)
{
	ssize_t ret = fake_read(file, NULL, 0, buf, 5 * 4096);

	return ret < 0 || fake_is(buf, 0, ret) ? ret : -EBADMSG;
}

static ssize_t op_read_ahead(struct fake_file *file)
{
	struct file_ra_state ra;
	ssize_t ret;

	file_ra_state_init(&ra, 64);
	ret = fake_read(file, &ra, 0, buf, 5 * 4096);
	file_ra_state_destroy(&ra);
	return ret < 0 || fake_is(buf, 0, ret) ? ret : -EBADMSG;
}

static ssize_t op_write(struct fake_file *file)
{
	/* far out: the tree grows, new nodes are needed */
	static const char data[5 * 4096];

	return fake_write(file, 6 << 20, data, sizeof(data));
}

static void no_memory(void)
{
	up(FAKE_SYNC);
	fail_each(fail_page_alloc, false, op_read);
	fail_each(fail_page_alloc, false, op_read_ahead);
	fail_each(fail_page_alloc, false, op_write);
	fail_each(failslab, false, op_read);
	fail_each(failslab, false, op_read_ahead);
	fail_each(failslab, false, op_write);
	down();
}

static void no_memory_for_long(void)
{
	up(FAKE_SYNC);
	fail_each(fail_page_alloc, true, op_read);
	fail_each(fail_page_alloc, true, op_write);
	fail_each(failslab, true, op_read_ahead);
	fail_each(failslab, true, op_write);
	down();
}

static void finds_pages_in_range(void)
{
	struct fake_file *file;
	struct page *page;

	up(FAKE_SYNC);
	file = fake_file_new(&disk, 1 << 20, 1 << 20);
	CU_ASSERT_PTR_NULL(find_get_page(&file->mapping, 7));
	CU_ASSERT_PTR_NULL(find_lock_page(&file->mapping, 7));
	CU_ASSERT_EQUAL(fake_read(file, NULL, 7 * 4096, buf, 1), 1);
	page = find_lock_page(&file->mapping, 7);
	CU_ASSERT_PTR_NOT_NULL_FATAL(page);
	CU_ASSERT(!trylock_page(page));
	CU_ASSERT_EQUAL(page->index, 7);
	unlock_page(page);
	put_page(page);
	fake_file_free(file);
	down();
}

/* A page returned by filemap_get_pages outlives its place in the cache. */
static void got_page_outlives_truncate(void)
{
	struct fake_file *file;
	struct page *pages[8];
	size_t bytes;

	up(FAKE_SYNC);
	file = fake_file_new(&disk, 1 << 20, 1 << 20);
	CU_ASSERT_EQUAL(filemap_get_pages(&file->mapping, NULL, 4096 + 10, 9000,
					  pages, 8, &bytes), 3);
	CU_ASSERT_EQUAL(bytes, 9000);
	fake_truncate(file, 0);
	CU_ASSERT_EQUAL(file->mapping.nrpages, 0);
	CU_ASSERT(fake_is(page_address(pages[1]), 2 * 4096, 4096));
	put_pages(pages, 3);
	CU_ASSERT_EQUAL(filemap_get_pages(&file->mapping, NULL, 0, 4096,
					  pages, 8, &bytes), 0);
	CU_ASSERT_EQUAL(bytes, 0);
	fake_truncate(file, 1 << 20);
	/* @max bounds it, and bytes with it */
	CU_ASSERT_EQUAL(filemap_get_pages(&file->mapping, NULL, 100, 1 << 20,
					  pages, 8, &bytes), 8);
	CU_ASSERT_EQUAL(bytes, 8 * 4096 - 100);
	put_pages(pages, 8);
	fake_file_free(file);
	down();
}

static void small_reads_of_a_page_are_one_access(void)
{
	struct file_ra_state ra;
	struct fake_file *file;
	unsigned long before;

	up(FAKE_SYNC);
	file = fake_file_new(&disk, 1 << 20, 1 << 20);
	file_ra_state_init(&ra, 32);
	before = vm_event(PGACTIVATE);
	for (loff_t pos = 0; pos < 1 << 20; pos += 1000)
		fake_read(file, &ra, pos, buf, 1000);
	for (loff_t pos = 0; pos < 1 << 19; pos += 100)
		fake_write(file, pos, buf, 100);
	/* once read and once written: each page of the first half twice */
	CU_ASSERT(vm_event(PGACTIVATE) - before <= 128 + 2);
	file_ra_state_destroy(&ra);
	fake_file_free(file);
	down();
}

/* ---- many threads against a model ---- */

#define NR_THREADS	4
#define CHUNK		(64 << 10)	/* each thread's part of the file */

struct twister {
	pthread_t thread;
	struct fake_file *file;
	unsigned int id;
	uint64_t rand;
	unsigned int wrong;
};

/*
 * Threads write and read parts of one file that do not overlap but share
 * pages at their borders; what a thread wrote it must read.
 */
static void *twist(void *arg)
{
	struct twister *t = arg;
	loff_t base = t->id * (CHUNK - 2000) + 1000;
	char *model = calloc(1, CHUNK), *got = malloc(CHUNK);

	fake_write(t->file, base, model, CHUNK - 2000);
	for (int i = 0; i < 1500; i++) {
		size_t off = test_rand(&t->rand) % (CHUNK - 2000);
		size_t len = test_rand(&t->rand) % (CHUNK - 2000 - off) + 1;

		if (test_rand(&t->rand) % 3) {
			len = min_t(size_t, len, test_rand(&t->rand) % 9000 + 1);
			memset(model + off, i, len);
			t->wrong += fake_write(t->file, base + off, model + off,
					       len) != (ssize_t)len;
		} else {
			t->wrong += fake_read(t->file, NULL, base + off, got,
					      len) != (ssize_t)len;
			t->wrong += memcmp(got, model + off, len) != 0;
		}
		if (i % 100 == 99)
			filemap_write_and_wait_range(&t->file->mapping,
						     base, base + len);
	}
	free(model);
	free(got);
	return NULL;
}

static void threads_read_what_they_wrote(void)
{
	struct twister t[NR_THREADS];
	struct fake_file *file;

	up(FAKE_ASYNC);
	disk.max_delay_us = 100;
	file = fake_file_new(&disk, 1 << 20, 1 << 18);
	for (unsigned int i = 0; i < NR_THREADS; i++) {
		t[i] = (struct twister){ .file = file, .id = i,
					 .rand = test_seed() + i };
		pthread_create(&t[i].thread, NULL, twist, &t[i]);
	}
	for (unsigned int i = 0; i < NR_THREADS; i++) {
		pthread_join(t[i].thread, NULL);
		CU_ASSERT_EQUAL(t[i].wrong, 0);
	}
	fake_drain(&disk);
	page_cache_check(&file->mapping);
	CU_ASSERT_EQUAL(sync_bdi(&disk.bdi), 0);
	CU_ASSERT_EQUAL(file->mapping.nrdirty, 0);
	fake_file_free(file);
	down();
}

/* Readers that hold no lock, beside drops of the whole cache and truncates. */
static atomic_bool churn_stop;

static void *lockless_reader(void *arg)
{
	struct twister *t = arg;
	struct file_ra_state ra;

	file_ra_state_init(&ra, 32);
	while (!atomic_load(&churn_stop)) {
		loff_t pos = test_rand(&t->rand) % (1 << 20);
		struct page *pages[16];
		size_t bytes;
		int nr = filemap_get_pages(&t->file->mapping, &ra, pos, 30000,
					   pages, 16, &bytes);

		t->wrong += nr < 0;
		for (int i = 0; i < nr; i++) {
			t->wrong += !page_test(pages[i], PG_uptodate);
			t->wrong += pages[i]->index != (pgoff_t)(pos >> 12) + i;
			put_page(pages[i]);
		}
	}
	file_ra_state_destroy(&ra);
	return NULL;
}

static void readers_beside_truncates(void)
{
	struct twister t[3];
	struct fake_file *file;
	uint64_t rand = test_seed();

	up(FAKE_ASYNC);
	disk.max_delay_us = 20;
	file = fake_file_new(&disk, 1 << 20, 1 << 20);
	atomic_store(&churn_stop, false);
	for (unsigned int i = 0; i < 3; i++) {
		t[i] = (struct twister){ .file = file, .rand = test_seed() + i };
		pthread_create(&t[i].thread, NULL, lockless_reader, &t[i]);
	}
	for (int i = 0; i < 1500; i++) {
		switch (test_rand(&rand) % 4) {
		case 0:
			fake_truncate(file, test_rand(&rand) % (1 << 20));
			break;
		case 1:
			fake_truncate(file, 1 << 20);
			break;
		case 2:
			invalidate_mapping_pages(&file->mapping, 0, 255);
			break;
		case 3:
			drop_pagecache();
			break;
		}
	}
	atomic_store(&churn_stop, true);
	for (unsigned int i = 0; i < 3; i++) {
		pthread_join(t[i].thread, NULL);
		CU_ASSERT_EQUAL(t[i].wrong, 0);
	}
	fake_drain(&disk);
	page_cache_check(&file->mapping);
	fake_file_free(file);
	down();
}

static const struct test_case cases[] = {
	{ "reads return what the store has, cut at EOF", reads_what_the_store_has },
	{ "bytes of the last page past EOF are zero", tail_past_eof_is_zero },
	{ "holes read as zeros", holes_read_as_zeros },
	{ "whole pages and pages past EOF are written without a read",
	  whole_pages_are_not_read },
	{ "a write from a page's start to EOF reads nothing",
	  write_up_to_eof_is_not_read },
	{ "a page whose read failed is read again", failed_read_is_retried },
	{ "each failing allocation leaves nothing behind", no_memory },
	{ "allocations failing for long leave nothing behind",
	  no_memory_for_long },
	{ "lookups find what is there, locked if asked", finds_pages_in_range },
	{ "a page in use outlives the truncate of its file",
	  got_page_outlives_truncate },
	{ "small reads and writes of one page are one access",
	  small_reads_of_a_page_are_one_access },
	{ "threads read what they wrote", threads_read_what_they_wrote },
	{ "lockless readers beside truncates get whole pages",
	  readers_beside_truncates },
};

int main(void)
{
	return test_main("mm/filemap", cases, ARRAY_SIZE(cases));
}
