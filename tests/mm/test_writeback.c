// SPDX-License-Identifier: BSD-2-Clause
/*
 * tests/mm/test_writeback.c - mm/page-writeback.c, mm/dirty-throttle.c,
 *                             mm/backing-dev.c, mm/pdflush.c: dirty pages and
 *                             the way out; the pool: test_pdflush.c
 *
 * Cases without threads drive passes by hand; those with threads wait for a
 * state with a bound in seconds, not for a time to pass.
 */
#include <errno.h>
#include <limits.h>
#include <pthread.h>
#include <string.h>
#include <unistd.h>

#include "fake_disk.h"
#include "harness.h"
#include "page.h"
#include "vmstat.h"

#define MEMORY		(16UL << 20)
#define WAIT_MS		10000	/* for what must happen; arbitrary, long */

static struct fake_disk disk;
static char buf[1 << 20];

static void up(enum fake_mode mode, bool threads)
{
	fake_mm_init(MEMORY, 1, threads);
	fake_disk_init(&disk, mode);
	memset(buf, 'd', sizeof(buf));
}

static void down(void)
{
	CU_ASSERT_EQUAL(fake_disk_exit(&disk), 0);
	CU_ASSERT_EQUAL(fake_mm_exit(), 0);
}

static void tunables(unsigned int background, unsigned int dirty,
		     unsigned int expire_cs, unsigned int interval_cs)
{
	atomic_store(&vm_tunables.dirty_background_ratio, background);
	atomic_store(&vm_tunables.dirty_ratio, dirty);
	atomic_store(&vm_tunables.dirty_expire_centisecs, expire_cs);
	atomic_store(&vm_tunables.dirty_writeback_centisecs, interval_cs);
}

static void tunables_default(void)
{
	tunables(10, 20, 3000, 500);
}

static void write_pages(struct fake_file *file, pgoff_t index, unsigned int nr)
{
	CU_ASSERT_EQUAL(fake_write(file, index << PAGE_SHIFT, buf,
				   nr << PAGE_SHIFT), nr << PAGE_SHIFT);
}

static unsigned long nr_dirty(void)
{
	return vm_stat_read(NR_FILE_DIRTY);
}

static bool wait_until_dirty_at_most(unsigned long want)
{
	for (int i = 0; i < WAIT_MS && nr_dirty() > want; i++)
		usleep(1000);
	return nr_dirty() <= want;
}

/* ---- one mapping ---- */

static void fsync_writes_all_once(void)
{
	struct fake_file *file;

	up(FAKE_SYNC, false);
	file = fake_file_new(&disk, 1 << 20, 0);
	write_pages(file, 0, 10);
	write_pages(file, 100, 10);
	CU_ASSERT_EQUAL(nr_dirty(), 20);
	CU_ASSERT_EQUAL(nr_dirty_mappings(), 1);
	CU_ASSERT_EQUAL(sync_mapping(&file->mapping, false), 0);
	CU_ASSERT_EQUAL(nr_dirty(), 0);
	CU_ASSERT_EQUAL(nr_dirty_mappings(), 0);
	CU_ASSERT_EQUAL(atomic_load(&disk.pages[FAKE_WRITE]), 20);
	CU_ASSERT_EQUAL(atomic_load(&disk.inodes_written), 1);
	CU_ASSERT_EQUAL(sync_mapping(&file->mapping, true), 0);
	CU_ASSERT_EQUAL(atomic_load(&disk.pages[FAKE_WRITE]), 20);
	CU_ASSERT_EQUAL(atomic_load(&disk.inodes_written), 1);	/* datasync */
	CU_ASSERT_EQUAL(atomic_load(&file->size), 110 * 4096);
	page_cache_check(&file->mapping);
	fake_file_free(file);
	down();
}

static void runs_are_contiguous_and_ordered(void)
{
	static const struct { pgoff_t index; unsigned int nr; } want[] = {
		{ 2, 3 }, { 6, 1 }, { 8, 192 }, { 300, 256 }, { 556, 44 },
	};
	struct fake_file *file;

	up(FAKE_SYNC, false);
	file = fake_file_new(&disk, 4 << 20, 0);
	/* dirtied in another order than by index */
	write_pages(file, 300, 200);
	write_pages(file, 500, 100);
	write_pages(file, 8, 192);
	write_pages(file, 6, 1);
	write_pages(file, 2, 3);
	CU_ASSERT_EQUAL(sync_mapping(&file->mapping, false), 0);
	CU_ASSERT_EQUAL(disk.nr_log, ARRAY_SIZE(want));
	for (unsigned int i = 0; i < ARRAY_SIZE(want); i++) {
		CU_ASSERT_EQUAL(disk.log[i].index, want[i].index);
		CU_ASSERT_EQUAL(disk.log[i].nr, want[i].nr);
	}
	fake_file_free(file);
	down();
}

static void range_writes_its_pages_only(void)
{
	struct fake_file *file;

	up(FAKE_SYNC, false);
	file = fake_file_new(&disk, 1 << 20, 0);
	write_pages(file, 0, 100);
	CU_ASSERT_EQUAL(filemap_write_and_wait_range(&file->mapping, 10 * 4096,
						     20 * 4096 - 1), 0);
	CU_ASSERT_EQUAL(nr_dirty(), 90);
	CU_ASSERT_EQUAL(disk.log[0].index, 10);
	CU_ASSERT_EQUAL(disk.log[0].nr, 10);
	CU_ASSERT_EQUAL(nr_dirty_mappings(), 1);
	fake_file_free(file);
	down();
}

static void redirtied_during_writeback_stays_dirty(void)
{
	struct fake_file *file;

	up(FAKE_ASYNC, false);
	file = fake_file_new(&disk, 1 << 20, 0);
	write_pages(file, 0, 4);
	fake_hold(&disk);
	filemap_fdatawrite_range(&file->mapping, 0, LLONG_MAX);
	CU_ASSERT_EQUAL(nr_dirty(), 0);
	CU_ASSERT_EQUAL(vm_stat_read(NR_WRITEBACK), 4);
	CU_ASSERT_EQUAL(fake_write(file, 4096, "new", 3), 3);
	CU_ASSERT_EQUAL(nr_dirty(), 1);
	fake_release(&disk);
	fake_drain(&disk);
	filemap_fdatawait_range(&file->mapping, 0, LLONG_MAX);
	CU_ASSERT_EQUAL(nr_dirty(), 1);
	page_cache_check(&file->mapping);
	CU_ASSERT_EQUAL(sync_mapping(&file->mapping, false), 0);
	CU_ASSERT_EQUAL(nr_dirty(), 0);
	CU_ASSERT_EQUAL(memcmp(file->data + 4096, "newd", 4), 0);
	CU_ASSERT_EQUAL(atomic_load(&disk.pages[FAKE_WRITE]), 5);
	fake_file_free(file);
	down();
}

/* What is dirtied after sync has begun is not its business (I4). */
struct chaser {
	struct fake_file *file;
	atomic_bool stop;
	atomic_ulong writes;
};

static void *chase(void *arg)
{
	struct chaser *c = arg;

	for (unsigned long i = 0; !atomic_load(&c->stop); i++) {
		fake_write(c->file, (i % 200) << PAGE_SHIFT, "x", 1);
		atomic_fetch_add(&c->writes, 1);
	}
	return NULL;
}

static void sync_does_not_chase_a_writer(void)
{
	struct chaser c = { .file = NULL };
	pthread_t t;

	up(FAKE_ASYNC, false);
	disk.max_delay_us = 300;
	c.file = fake_file_new(&disk, 1 << 20, 0);
	write_pages(c.file, 0, 200);
	pthread_create(&t, NULL, chase, &c);
	while (!atomic_load(&c.writes))
		usleep(100);
	for (int i = 0; i < 10; i++) {
		unsigned long before = atomic_load(&disk.pages[FAKE_WRITE]);

		CU_ASSERT_EQUAL(sync_mapping(&c.file->mapping, false), 0);
		CU_ASSERT(atomic_load(&disk.pages[FAKE_WRITE]) - before <= 200);
	}
	CU_ASSERT_EQUAL(sync_bdi(&disk.bdi), 0);
	atomic_store(&c.stop, true);
	pthread_join(t, NULL);
	page_cache_check(&c.file->mapping);
	fake_file_free(c.file);
	down();
}

static void *run_fsync(void *arg)
{
	struct fake_file *file = arg;

	return (void *)(long)sync_mapping(&file->mapping, false);
}

/* The same at one instant: fsync is at page 5 while page 100 gets dirty. */
static void fsync_writes_what_was_dirty_at_its_start(void)
{
	struct fake_file *file;
	struct page *page;
	pthread_t t;
	void *ret;

	up(FAKE_SYNC, false);
	file = fake_file_new(&disk, 1 << 20, 0);
	write_pages(file, 0, 10);
	page = find_lock_page(&file->mapping, 5);
	pthread_create(&t, NULL, run_fsync, file);
	for (int i = 0; i < WAIT_MS && nr_dirty() > 5; i++)
		usleep(1000);
	write_pages(file, 100, 1);
	unlock_page(page);
	put_page(page);
	pthread_join(t, &ret);
	CU_ASSERT_EQUAL((long)ret, 0);
	CU_ASSERT_EQUAL(nr_dirty(), 1);
	CU_ASSERT_EQUAL(atomic_load(&disk.pages[FAKE_WRITE]), 10);
	fake_file_free(file);
	down();
}

/* The I/O in flight does not cover what was written since: fsync does it over. */
static void fsync_writes_redirtied_pages_again(void)
{
	struct fake_file *file;
	pthread_t t;
	void *ret;

	up(FAKE_ASYNC, false);
	file = fake_file_new(&disk, 1 << 20, 0);
	write_pages(file, 0, 4);
	fake_hold(&disk);
	filemap_fdatawrite_range(&file->mapping, 0, LLONG_MAX);
	CU_ASSERT_EQUAL(fake_write(file, 4096, "new", 3), 3);
	pthread_create(&t, NULL, run_fsync, file);
	usleep(20000);		/* let it meet the page, mostly */
	fake_release(&disk);
	pthread_join(t, &ret);
	CU_ASSERT_EQUAL((long)ret, 0);
	CU_ASSERT_EQUAL(nr_dirty(), 0);
	CU_ASSERT_EQUAL(memcmp(file->data + 4096, "newd", 4), 0);
	fake_file_free(file);
	down();
}

/* ---- errors ---- */

static void failed_write_keeps_the_page_dirty(void)
{
	struct fake_file *file;
	atomic_uint a, b, late;

	up(FAKE_ASYNC, false);
	file = fake_file_new(&disk, 1 << 20, 0);
	a = errseq_sample(&file->mapping.wb_err);
	b = errseq_sample(&file->mapping.wb_err);
	write_pages(file, 0, 20);
	fake_fail_range(file, FAKE_WRITE, 5, 6, -ENOSPC);
	CU_ASSERT_EQUAL(sync_mapping(&file->mapping, false), -ENOSPC);
	CU_ASSERT_EQUAL(nr_dirty(), 2);
	CU_ASSERT_EQUAL(nr_dirty_mappings(), 1);
	page_cache_check(&file->mapping);
	CU_ASSERT_EQUAL(errseq_check_and_advance(&file->mapping.wb_err, &a),
			-ENOSPC);
	CU_ASSERT_EQUAL(errseq_check_and_advance(&file->mapping.wb_err, &a), 0);
	CU_ASSERT_EQUAL(errseq_check_and_advance(&file->mapping.wb_err, &b),
			-ENOSPC);
	late = errseq_sample(&file->mapping.wb_err);
	CU_ASSERT_EQUAL(errseq_check_and_advance(&file->mapping.wb_err, &late),
			0);
	fake_drain(&disk);	/* its references are gone as well */
	CU_ASSERT_EQUAL(invalidate_mapping_pages(&file->mapping, 0, 100), 18);
	/* sync(2) meets it again, and says so again */
	CU_ASSERT_EQUAL(sync_bdi(&disk.bdi), -ENOSPC);
	CU_ASSERT_EQUAL(nr_dirty(), 2);
	fake_fail_off(&disk);
	CU_ASSERT_EQUAL(sync_bdi(&disk.bdi), 0);
	CU_ASSERT_EQUAL(nr_dirty(), 0);
	CU_ASSERT_EQUAL(memcmp(file->data, buf, 20 * 4096), 0);
	fake_file_free(file);
	down();
}

static void each_failing_write_is_made_good(void)
{
	up(FAKE_PLUG, false);
	for (unsigned long n = 1; n <= 33; n++) {
		struct fake_file *file = fake_file_new(&disk, 1 << 20, 0);

		write_pages(file, 0, 32);
		fake_fail_nth(&disk, FAKE_WRITE, n, false, -EIO);
		CU_ASSERT_EQUAL(sync_bdi(&disk.bdi), n <= 32 ? -EIO : 0);
		fake_fail_off(&disk);
		CU_ASSERT_EQUAL(nr_dirty(), n <= 32 ? 1 : 0);
		page_cache_check(&file->mapping);
		CU_ASSERT_EQUAL(sync_bdi(&disk.bdi), 0);
		CU_ASSERT_EQUAL(memcmp(file->data, buf, 32 * 4096), 0);
		fake_file_free(file);
	}
	down();
}

/* ---- sync of a device ---- */

struct syncer {
	pthread_t thread;
	atomic_bool done;
	int ret;
};

static void *run_sync(void *arg)
{
	struct syncer *s = arg;

	s->ret = sync_bdi(&disk.bdi);
	atomic_store(&s->done, true);
	return NULL;
}

static bool flusher_at_work(void)
{
	bool at_work;

	mutex_lock(&disk.bdi.list_lock);
	at_work = !list_empty(&disk.bdi.b_syncing);
	mutex_unlock(&disk.bdi.list_lock);
	return at_work;
}

/* A pass of a flusher, started by hand: as pdflush does it. */
static void *one_pass(void *arg)
{
	struct writeback_control wbc = {
		.sync_mode = WB_SYNC_NONE, .reason = WB_REASON_BACKGROUND,
		.nr_to_write = LONG_MAX, .range_end = LLONG_MAX,
		.range_cyclic = true,
	};

	writeback_bdi(&disk.bdi, &wbc, 0);
	*(long *)arg = wbc.pages_written;
	return NULL;
}

static void sync_waits_for_what_is_in_flight(void)
{
	struct syncer s = { .ret = 1 };
	long written;
	struct fake_file *file;

	up(FAKE_ASYNC, false);
	file = fake_file_new(&disk, 1 << 20, 0);
	write_pages(file, 0, 10);
	fake_hold(&disk);
	filemap_fdatawrite_range(&file->mapping, 0, LLONG_MAX);
	CU_ASSERT_EQUAL(nr_dirty(), 0);
	one_pass(&written);	/* has nothing to do, and must not forget it */
	CU_ASSERT_EQUAL(nr_dirty_mappings(), 1);
	pthread_create(&s.thread, NULL, run_sync, &s);
	usleep(20000);		/* wrong if it is done by then, whenever */
	CU_ASSERT(!atomic_load(&s.done));
	fake_release(&disk);
	pthread_join(s.thread, NULL);
	CU_ASSERT_EQUAL(s.ret, 0);
	CU_ASSERT_EQUAL(vm_stat_read(NR_WRITEBACK), 0);
	fake_file_free(file);
	down();
}

/*
 * A flusher has queued all three files for its pass and is stuck on one: the
 * others are in its queue, neither dirty-listed nor in anybody's hands.
 */
static void sync_finds_what_flushers_have_queued(void)
{
	struct fake_file *file[3];
	struct syncer s = { .ret = 1 };
	struct page *page;
	long written = 0;
	pthread_t t;

	up(FAKE_SYNC, false);
	for (int i = 0; i < 3; i++) {
		file[i] = fake_file_new(&disk, 1 << 20, 0);
		write_pages(file[i], 0, 10);
	}
	page = find_lock_page(&file[0]->mapping, 0);	/* the oldest is first */
	pthread_create(&t, NULL, one_pass, &written);
	while (!flusher_at_work())
		usleep(100);
	pthread_create(&s.thread, NULL, run_sync, &s);
	for (int i = 0; i < WAIT_MS && nr_dirty() > 10; i++)
		usleep(1000);
	CU_ASSERT_EQUAL(nr_dirty(), 10);	/* it took the others itself */
	CU_ASSERT(!atomic_load(&s.done));
	unlock_page(page);
	put_page(page);
	pthread_join(s.thread, NULL);
	pthread_join(t, NULL);
	CU_ASSERT_EQUAL(nr_dirty(), 0);
	for (int i = 0; i < 3; i++)
		fake_file_free(file[i]);
	down();
}

/* A flusher stuck on one of the mappings: sync waits for its turn's end. */
static void sync_waits_for_a_flushers_turn(void)
{
	struct syncer s = { .ret = 1 };
	struct fake_file *a, *b;
	struct page *page;
	pthread_t t;
	long written = 0;

	up(FAKE_ASYNC, false);
	a = fake_file_new(&disk, 1 << 20, 0);
	b = fake_file_new(&disk, 1 << 20, 0);
	write_pages(a, 0, 10);
	write_pages(b, 0, 10);
	page = find_lock_page(&a->mapping, 5);
	pthread_create(&t, NULL, one_pass, &written);
	while (!flusher_at_work())
		usleep(100);
	pthread_create(&s.thread, NULL, run_sync, &s);
	usleep(20000);
	CU_ASSERT(!atomic_load(&s.done));
	unlock_page(page);
	put_page(page);
	pthread_join(s.thread, NULL);
	pthread_join(t, NULL);
	CU_ASSERT_EQUAL(s.ret, 0);
	CU_ASSERT_EQUAL(nr_dirty(), 0);
	CU_ASSERT_EQUAL(vm_stat_read(NR_WRITEBACK), 0);
	fake_file_free(a);
	fake_file_free(b);
	down();
}

/* Many mappings, flushers beside: all that was dirty before is written. */
static void *flush_for_ever(void *arg)
{
	long written;

	while (!atomic_load((atomic_bool *)arg))
		one_pass(&written);
	return NULL;
}

static void syncs_beside_flushers_miss_nothing(void)
{
	struct fake_file *file[16];
	atomic_bool stop = false;
	pthread_t t[2];

	up(FAKE_PLUG, false);
	for (unsigned int i = 0; i < ARRAY_SIZE(file); i++)
		file[i] = fake_file_new(&disk, 1 << 20, 0);
	for (int i = 0; i < 2; i++)
		pthread_create(&t[i], NULL, flush_for_ever, &stop);
	for (int round = 0; round < 200; round++) {
		for (unsigned int i = 0; i < ARRAY_SIZE(file); i++) {
			buf[0] = round;
			write_pages(file[i], i, 3);
		}
		if (round & 1)
			for (unsigned int i = 0; i < ARRAY_SIZE(file); i += 5)
				sync_mapping(&file[i]->mapping, true);
		CU_ASSERT_EQUAL(sync_bdi(&disk.bdi), 0);
		for (unsigned int i = 0; i < ARRAY_SIZE(file); i++)
			CU_ASSERT_EQUAL(file[i]->data[i << PAGE_SHIFT],
					(char)round);
	}
	atomic_store(&stop, true);
	for (int i = 0; i < 2; i++)
		pthread_join(t[i], NULL);
	CU_ASSERT_EQUAL(nr_dirty_mappings(), 0);
	for (unsigned int i = 0; i < ARRAY_SIZE(file); i++) {
		page_cache_check(&file[i]->mapping);
		fake_file_free(file[i]);
	}
	down();
}

/*
 * fsync finds no dirty page while a flusher takes the last one:
 *
 *	flusher					fsync
 *	nrdirty: 0
 *						nothing is dirty; no page has
 *						the tag; done
 *	tag WRITEBACK, the I/O begins
 */
static void fsyncs_beside_flushers_miss_nothing(void)
{
	struct fake_file *file;
	atomic_bool stop = false;
	unsigned int missed = 0;
	pthread_t t;

	up(FAKE_ASYNC, false);
	file = fake_file_new(&disk, 1 << 20, 0);
	pthread_create(&t, NULL, flush_for_ever, &stop);
	for (unsigned int round = 0; round < 5000; round++) {
		buf[0] = round;
		write_pages(file, round % 100, 1);
		for (unsigned int spin = round % 400; spin; spin--)
			atomic_thread_fence(memory_order_seq_cst);
		CU_ASSERT_EQUAL(sync_mapping(&file->mapping, true), 0);
		missed += file->data[(round % 100) << PAGE_SHIFT] != (char)round;
	}
	CU_ASSERT_EQUAL(missed, 0);
	atomic_store(&stop, true);
	pthread_join(t, NULL);
	page_cache_check(&file->mapping);
	fake_file_free(file);
	down();
}

static void *overwrite(void *arg)
{
	return (void *)(long)fake_write(arg, 4096, "new", 3);
}

static char byte_of_page(struct fake_file *file, pgoff_t index)
{
	struct page *page = find_get_page(&file->mapping, index);
	char byte = *(char *)page_address(page);

	put_page(page);
	return byte;
}

/* A store that checksums what it writes would find the page changed. */
static void pages_hold_still_for_stores_that_ask(void)
{
	struct fake_file *file;
	pthread_t t;
	void *ret;

	up(FAKE_ASYNC, false);
	file = fake_file_new(&disk, 1 << 20, 0);
	file->mapping.stable_writes = true;
	memset(buf, 'd', sizeof(buf));
	write_pages(file, 0, 4);
	fake_hold(&disk);
	filemap_fdatawrite_range(&file->mapping, 0, LLONG_MAX);
	pthread_create(&t, NULL, overwrite, file);
	usleep(20000);		/* let it come to the page */
	CU_ASSERT_EQUAL(byte_of_page(file, 1), 'd');
	fake_release(&disk);
	pthread_join(t, &ret);
	CU_ASSERT_EQUAL((long)ret, 3);
	CU_ASSERT_EQUAL(byte_of_page(file, 1), 'n');
	CU_ASSERT_EQUAL(sync_mapping(&file->mapping, false), 0);
	CU_ASSERT_EQUAL(memcmp(file->data + 4096, "newd", 4), 0);
	fake_file_free(file);
	down();
}

/* ---- turns ---- */

/* A large file and small ones: no small one waits for all of the large one. */
static void turns_are_fair(void)
{
	struct fake_file *large, *small[4];
	unsigned int before = 0;
	long written;

	up(FAKE_SYNC, false);
	large = fake_file_new(&disk, 12 << 20, 0);
	for (pgoff_t i = 0; i < 2560; i += 256)
		write_pages(large, i, 256);
	for (int i = 0; i < 4; i++) {
		small[i] = fake_file_new(&disk, 1 << 20, 0);
		write_pages(small[i], 0, 1);
	}
	one_pass(&written);
	for (unsigned int i = 0; i < disk.nr_log; i++) {
		if (disk.log[i].file != large)
			break;
		before += disk.log[i].nr;
	}
	CU_ASSERT(before > 0);
	CU_ASSERT(before <= 1024 + MAX_RUN_PAGES);
	while (nr_dirty())
		one_pass(&written);
	fake_file_free(large);
	for (int i = 0; i < 4; i++)
		fake_file_free(small[i]);
	down();
}

/*
 * The same over passes that end with the first turn, while the large file is
 * dirtied anew: the small one comes second.
 */
static void turns_are_fair_from_pass_to_pass(void)
{
	struct fake_file *large, *small;
	unsigned int passes = 0;

	up(FAKE_SYNC, false);
	large = fake_file_new(&disk, 12 << 20, 0);
	small = fake_file_new(&disk, 1 << 20, 0);
	for (pgoff_t i = 0; i < 2560; i += 256)
		write_pages(large, i, 256);
	for (; passes < 10 && (!passes || small->mapping.nrdirty); passes++) {
		struct writeback_control wbc = {
			.sync_mode = WB_SYNC_NONE, .nr_to_write = 1024,
			.reason = WB_REASON_BACKGROUND,
			.range_end = LLONG_MAX, .range_cyclic = true,
		};

		writeback_bdi(&disk.bdi, &wbc, 0);
		for (pgoff_t i = 0; i < 2560; i += 256)
			write_pages(large, i, 256);
		if (!passes)
			write_pages(small, 0, 1);
	}
	CU_ASSERT_EQUAL(small->mapping.nrdirty, 0);
	CU_ASSERT(passes <= 3);
	fake_file_free(large);
	fake_file_free(small);
	down();
}

/* What is written over and over goes on where its last turn ended. */
static void turns_go_on_where_they_ended(void)
{
	struct fake_file *file;
	pgoff_t next = 0;
	long written;

	up(FAKE_SYNC, false);
	file = fake_file_new(&disk, 12 << 20, 0);
	for (pgoff_t i = 0; i < 2048 + 512; i += 256)
		write_pages(file, i, 256);
	while (nr_dirty()) {
		one_pass(&written);
		if (nr_dirty())
			write_pages(file, 0, 1);
		CU_ASSERT_EQUAL(disk.log[0].index, next);
		for (unsigned int i = 0; i < disk.nr_log; i++)
			next = max(next, disk.log[i].index + disk.log[i].nr);
		fake_log_clear(&disk);
	}
	CU_ASSERT_EQUAL(next, 2560);
	fake_file_free(file);
	down();
}

static void evicted_mapping_is_left_alone(void)
{
	struct fake_file *a, *b;

	up(FAKE_SYNC, false);
	a = fake_file_new(&disk, 1 << 20, 0);
	b = fake_file_new(&disk, 1 << 20, 0);
	write_pages(a, 0, 10);
	write_pages(b, 0, 10);
	a->dying = true;
	CU_ASSERT_EQUAL(sync_bdi(&disk.bdi), 0);	/* and it ends */
	CU_ASSERT_EQUAL(nr_dirty(), 10);
	CU_ASSERT(atomic_load(&disk.grabs_refused) > 0);
	/* in the same 10 ms, what is dirtied after it is found */
	write_pages(b, 0, 1);
	CU_ASSERT_EQUAL(sync_bdi(&disk.bdi), 0);
	CU_ASSERT_EQUAL(b->mapping.nrdirty, 0);
	a->dying = false;
	fake_file_free(a);
	fake_file_free(b);
	down();
}

static void meta_alone_is_written(void)
{
	struct fake_file *file;
	long written;

	up(FAKE_SYNC, false);
	file = fake_file_new(&disk, 1 << 20, 0);
	mark_mapping_dirty_meta(&file->mapping);
	CU_ASSERT_EQUAL(nr_dirty_mappings(), 1);
	one_pass(&written);
	CU_ASSERT_EQUAL(atomic_load(&disk.inodes_written), 1);
	CU_ASSERT_EQUAL(nr_dirty_mappings(), 0);
	one_pass(&written);
	CU_ASSERT_EQUAL(atomic_load(&disk.inodes_written), 1);
	fake_file_free(file);
	down();
}

/* ---- flushers ---- */

static void background_writes_down_to_the_threshold(void)
{
	unsigned long background, dirty;
	struct fake_file *file;

	tunables(10, 50, 3000, 500);
	up(FAKE_ASYNC, true);
	file = fake_file_new(&disk, 12 << 20, 0);
	for (pgoff_t i = 0; i < 1024; i += 256)
		write_pages(file, i, 256);
	global_dirty_limits(&background, &dirty);
	CU_ASSERT(background < 1024);
	CU_ASSERT_EQUAL(balance_dirty_pages_ratelimited(&file->mapping, 1024), 0);
	CU_ASSERT(wait_until_dirty_at_most(background));
	CU_ASSERT(vm_event(WB_BACKGROUND) > 0);
	fake_file_free(file);
	down();
	tunables_default();
}

static void old_pages_are_written_young_ones_not(void)
{
	struct fake_file *old, *young;
	uint32_t start;

	tunables(90, 95, 30, 5);	/* expire after 300 ms, look every 50 */
	up(FAKE_SYNC, true);
	old = fake_file_new(&disk, 1 << 20, 0);
	young = fake_file_new(&disk, 1 << 20, 0);
	start = mm_centisecs();
	write_pages(old, 0, 10);
	while (READ_ONCE(old->mapping.nrdirty) && mm_centisecs() < start + 1000) {
		usleep(2000);
		/* always young: it is dropped and dirtied anew */
		fake_truncate(young, 0);
		mapping_maybe_clean(&young->mapping);
		write_pages(young, 0, 1);
	}
	CU_ASSERT_EQUAL(READ_ONCE(old->mapping.nrdirty), 0);
	CU_ASSERT(mm_centisecs() - start >= 30);
	CU_ASSERT_EQUAL(READ_ONCE(young->mapping.nrdirty), 1);
	CU_ASSERT_EQUAL(vm_event(WB_PERIODIC), 10);
	fake_file_free(old);
	fake_file_free(young);
	down();
	tunables_default();
}

/* One flusher stuck on a page leaves the other files to the other flusher. */
static void second_flusher_goes_on(void)
{
	struct fake_file *stuck, *other;
	struct page *page;

	tunables(90, 95, 1, 2);
	up(FAKE_SYNC, true);
	stuck = fake_file_new(&disk, 1 << 20, 0);
	other = fake_file_new(&disk, 1 << 20, 0);
	write_pages(stuck, 0, 10);
	page = find_lock_page(&stuck->mapping, 9);
	if (!page_test(page, PG_dirty))
		set_page_dirty(page);
	for (int i = 0; i < WAIT_MS && READ_ONCE(stuck->mapping.nrdirty) > 1; i++)
		usleep(1000);
	CU_ASSERT_EQUAL(READ_ONCE(stuck->mapping.nrdirty), 1);
	write_pages(other, 0, 10);
	CU_ASSERT(wait_until_dirty_at_most(1));
	unlock_page(page);
	put_page(page);
	CU_ASSERT(wait_until_dirty_at_most(0));
	fake_file_free(stuck);
	fake_file_free(other);
	down();
	tunables_default();
}

/* A device that fails all is not hammered by the background flusher. */
static void failing_device_is_not_hammered(void)
{
	unsigned long calls;
	struct fake_file *file;

	tunables(1, 95, 3000, 500);
	up(FAKE_SYNC, true);
	file = fake_file_new(&disk, 12 << 20, 0);
	fake_fail_nth(&disk, FAKE_WRITE, 1, true, -EIO);
	for (pgoff_t i = 0; i < 1024; i += 256)
		write_pages(file, i, 256);
	wakeup_flusher_threads(WB_REASON_BACKGROUND);
	for (int i = 0; i < WAIT_MS && !atomic_load(&disk.failed[FAKE_WRITE]); i++)
		usleep(1000);
	usleep(100000);		/* time in which it could go wrong */
	calls = atomic_load(&disk.calls[FAKE_WRITE]);
	CU_ASSERT(calls > 0);
	CU_ASSERT(calls <= 20);		/* a pass or two of 4 runs, not 10^4 */
	CU_ASSERT_EQUAL(nr_dirty(), 1024);
	fake_fail_off(&disk);
	fake_file_free(file);
	down();
	tunables_default();
}

/* ---- pacing ---- */

struct pacer {
	pthread_t thread;
	struct fake_file *file;
	unsigned long max_dirty;
	int err;
	atomic_bool *stop;
};

static void *paced_writer(void *arg)
{
	struct pacer *p = arg;
	unsigned long written;

	for (unsigned int i = 0; i < 8192 && !p->err; i++) {
		if (p->stop && atomic_load(p->stop))
			break;
		fake_write(p->file, (i % 2048) << PAGE_SHIFT, buf, 4096);
		p->err = balance_dirty_pages_ratelimited(&p->file->mapping, 1);
		/* In this order a page that goes from dirty to written
		 * meanwhile counts once at most. */
		written = vm_stat_read(NR_WRITEBACK);
		p->max_dirty = max(p->max_dirty, written + nr_dirty());
	}
	return NULL;
}

/* Slower than we write: up to 1 MiB each 2.5 ms is 400 MB/s; ThreadSanitizer has
 * us write at a fifth of our speed. */
#ifdef __SANITIZE_THREAD__
#define DISK_DELAY_US	20000
#else
#define DISK_DELAY_US	5000
#endif

static void writer_is_paced(void)
{
	unsigned long background, limit;
	struct pacer p = { 0 };

	up(FAKE_ASYNC, true);
	disk.max_delay_us = DISK_DELAY_US;
	p.file = fake_file_new(&disk, 8 << 20, 0);
	global_dirty_limits(&background, &limit);
	paced_writer(&p);
	CU_ASSERT_EQUAL(p.err, 0);
	CU_ASSERT(p.max_dirty <= limit + 64);
	CU_ASSERT(p.max_dirty > background);
	CU_ASSERT(vm_event(BALANCE_PAUSED) > 0);
	CU_ASSERT_EQUAL(sync_bdi(&disk.bdi), 0);
	fake_file_free(p.file);
	down();
}

/* A device that was fast takes nothing more: what is put off until a pause is
 * worth while must not carry a writer past the limit. */
static void limit_holds_when_the_device_stops(void)
{
	unsigned long background, limit, dirty, before = 0;
	struct pacer p = { 0 };
	atomic_bool stop = false;

	up(FAKE_ASYNC, true);
	fake_hold(&disk);
	atomic_store(&disk.bdi.write_bandwidth, 1000000);
	p.file = fake_file_new(&disk, 8 << 20, 0);
	p.stop = &stop;
	global_dirty_limits(&background, &limit);
	pthread_create(&p.thread, NULL, paced_writer, &p);
	while ((dirty = nr_dirty() + vm_stat_read(NR_WRITEBACK)) != before ||
	       dirty <= background) {
		before = dirty;
		usleep(50000);
	}
	CU_ASSERT(dirty <= limit + 64);
	atomic_store(&stop, true);
	fake_release(&disk);
	pthread_join(p.thread, NULL);
	CU_ASSERT_EQUAL(p.err, 0);
	CU_ASSERT(p.max_dirty <= limit + 64);
	CU_ASSERT_EQUAL(sync_bdi(&disk.bdi), 0);
	fake_file_free(p.file);
	down();
}

static void below_freerun_nobody_waits(void)
{
	struct fake_file *file;

	tunables(50, 60, 3000, 500);
	up(FAKE_ASYNC, true);
	fake_hold(&disk);		/* it would wait for ever */
	file = fake_file_new(&disk, 8 << 20, 0);
	for (pgoff_t i = 0; i < 1000; i++) {
		write_pages(file, i, 1);
		CU_ASSERT_EQUAL(balance_dirty_pages_ratelimited(&file->mapping,
								1), 0);
	}
	CU_ASSERT_EQUAL(vm_event(BALANCE_PAUSED), 0);
	fake_release(&disk);
	fake_file_free(file);
	down();
	tunables_default();
}

/*
 * The device takes one file's pages and refuses the other's. The writer of
 * that must get the error, though the device has written meanwhile.
 */
static void refused_writer_gets_the_error(void)
{
	struct pacer bad = { 0 };
	struct fake_file *good;

	up(FAKE_ASYNC, true);
	bad.file = fake_file_new(&disk, 8 << 20, 0);
	good = fake_file_new(&disk, 1 << 20, 0);
	fake_fail_range(bad.file, FAKE_WRITE, 0, 1 << 20, -ENOSPC);
	pthread_create(&bad.thread, NULL, paced_writer, &bad);
	for (int i = 0; i < 20; i++) {
		write_pages(good, i, 1);
		CU_ASSERT_EQUAL(sync_mapping(&good->mapping, false), 0);
		usleep(20000);
	}
	pthread_join(bad.thread, NULL);
	CU_ASSERT_EQUAL(bad.err, -ENOSPC);
	fake_fail_off(&disk);
	CU_ASSERT_EQUAL(sync_bdi(&disk.bdi), 0);
	CU_ASSERT_EQUAL(nr_dirty(), 0);
	fake_file_free(bad.file);
	fake_file_free(good);
	down();
}

/* Devices come and go while flushers walk over them. */
static void devices_come_and_go(void)
{
	tunables(1, 20, 1, 1);
	fake_mm_init(MEMORY, 1, true);
	for (int i = 0; i < 200; i++) {
		struct fake_file *file;

		fake_disk_init(&disk, FAKE_SYNC);
		file = fake_file_new(&disk, 1 << 20, 0);
		write_pages(file, 0, 20);
		wakeup_flusher_threads(WB_REASON_RECLAIM);
		wakeup_flusher_threads(WB_REASON_BACKGROUND);
		fake_file_free(file);
		CU_ASSERT_EQUAL(fake_disk_exit(&disk), 0);
	}
	CU_ASSERT_EQUAL(fake_mm_exit(), 0);
	tunables_default();
}

static const struct test_case cases[] = {
	{ "fsync writes every dirty page once", fsync_writes_all_once },
	{ "runs are contiguous and in index order",
	  runs_are_contiguous_and_ordered },
	{ "a range writes its pages and no others", range_writes_its_pages_only },
	{ "a page written to during its writeback stays dirty",
	  redirtied_during_writeback_stays_dirty },
	{ "sync does not chase a writer", sync_does_not_chase_a_writer },
	{ "fsync writes what was dirty when it began",
	  fsync_writes_what_was_dirty_at_its_start },
	{ "fsync writes pages again that are dirty and in flight",
	  fsync_writes_redirtied_pages_again },
	{ "a failed write keeps its page dirty and is reported once a sample",
	  failed_write_keeps_the_page_dirty },
	{ "each failing write is made good by the next sync",
	  each_failing_write_is_made_good },
	{ "sync of a device waits for what is in flight",
	  sync_waits_for_what_is_in_flight },
	{ "sync of a device waits for a flusher's turn",
	  sync_waits_for_a_flushers_turn },
	{ "sync finds what flushers have queued",
	  sync_finds_what_flushers_have_queued },
	{ "syncs beside flushers miss nothing",
	  syncs_beside_flushers_miss_nothing },
	{ "fsyncs beside a flusher miss nothing",
	  fsyncs_beside_flushers_miss_nothing },
	{ "a page being written holds still for a store that asks for it",
	  pages_hold_still_for_stores_that_ask },
	{ "a small file does not wait for a large one", turns_are_fair },
	{ "nor over several passes", turns_are_fair_from_pass_to_pass },
	{ "a file's next turn goes on where the last ended",
	  turns_go_on_where_they_ended },
	{ "a mapping being evicted is left alone", evicted_mapping_is_left_alone },
	{ "metadata alone brings a mapping its turn", meta_alone_is_written },
	{ "background writing stops at the threshold",
	  background_writes_down_to_the_threshold },
	{ "old pages are written, young ones not",
	  old_pages_are_written_young_ones_not },
	{ "a stuck flusher leaves the rest to the other",
	  second_flusher_goes_on },
	{ "a failing device is not hammered", failing_device_is_not_hammered },
	{ "a writer is paced below the limit", writer_is_paced },
	{ "the limit holds when the device stops",
	  limit_holds_when_the_device_stops },
	{ "below the free run nobody waits", below_freerun_nobody_waits },
	{ "a writer the device refuses gets the error",
	  refused_writer_gets_the_error },
	{ "devices come and go beside flushers", devices_come_and_go },
};

int main(void)
{
	return test_main("mm/writeback", cases, ARRAY_SIZE(cases));
}
