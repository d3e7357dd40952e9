// SPDX-License-Identifier: BSD-2-Clause
/*
 * tests/fs/test_ioring.c - fs/ioring.c: how requests travel, what that costs,
 *                          without memory, in many threads
 *
 * Two functions of liburing are taken over here, to see what ioring.c asks of
 * it; they hand on to the real ones. See tfile.h for the rest.
 */
#include <dirent.h>
#include <dlfcn.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <liburing.h>

#include "tfile.h"
#include "mmzone.h"

/* ---- what liburing is asked ---- */

/* What this thread's ring asks of the kernel, which it does by this alone. */
static __thread unsigned int nr_enters;
static int (*real_submit_and_wait)(struct io_uring *ring, unsigned int wait_nr);
/* The flags of the ring this thread has last asked for. */
static __thread unsigned int ring_flags_seen;
static int (*real_queue_init_params)(unsigned int entries,
				     struct io_uring *ring,
				     struct io_uring_params *p);

static __attribute__((constructor)) void find_real_liburing(void)
{
	*(void **)&real_submit_and_wait =
		dlsym(RTLD_NEXT, "io_uring_submit_and_wait");
	*(void **)&real_queue_init_params =
		dlsym(RTLD_NEXT, "io_uring_queue_init_params");
}

int io_uring_queue_init_params(unsigned int entries, struct io_uring *ring,
			       struct io_uring_params *p)
{
	ring_flags_seen = p->flags;
	return real_queue_init_params(entries, ring, p);
}

/* Closed, it stops the I/O thread where it has been told of a request's end. */
static struct {
	pthread_mutex_t lock;
	pthread_cond_t cond;
	bool closed, stopped;
} gate = {
	.lock = PTHREAD_MUTEX_INITIALIZER,
	.cond = PTHREAD_COND_INITIALIZER,
};

static void gate_close(void)
{
	pthread_mutex_lock(&gate.lock);
	gate.closed = true;
	pthread_mutex_unlock(&gate.lock);
}

static void gate_open(void)
{
	pthread_mutex_lock(&gate.lock);
	gate.closed = gate.stopped = false;
	pthread_cond_broadcast(&gate.cond);
	pthread_mutex_unlock(&gate.lock);
}

/* Until somebody has been stopped. */
static void gate_wait(void)
{
	pthread_mutex_lock(&gate.lock);
	while (!gate.stopped)
		pthread_cond_wait(&gate.cond, &gate.lock);
	pthread_mutex_unlock(&gate.lock);
}

static void gate_pass(struct io_uring *ring)
{
	struct io_uring_cqe *cqe;

	/* The eventfd's read has no data. */
	if (io_uring_peek_cqe(ring, &cqe) || !io_uring_cqe_get_data(cqe))
		return;
	pthread_mutex_lock(&gate.lock);
	while (gate.closed) {
		gate.stopped = true;
		pthread_cond_broadcast(&gate.cond);
		pthread_cond_wait(&gate.cond, &gate.lock);
	}
	pthread_mutex_unlock(&gate.lock);
}

int io_uring_submit_and_wait(struct io_uring *ring, unsigned int wait_nr)
{
	int ret;

	nr_enters++;
	ret = real_submit_and_wait(ring, wait_nr);
	gate_pass(ring);
	return ret;
}

/* ---- what it costs ---- */

static void one_page_one_call(void)
{
	struct tfile *f = tfile_start_new(ON_DISK);
	struct address_space *mapping = &f->inode.i_data;
	static char buf[16 * 4096];
	unsigned int enters;

	CU_ASSERT_EQUAL(generic_perform_write(mapping, 0, buf, sizeof(buf), false),
			sizeof(buf));
	CU_ASSERT_EQUAL(tfile_sync(f), 0);
	tfile_drop_cache(f);
	enters = nr_enters;
	if (!enters)
		test_skip("no io_uring here");
	for (int i = 0; i < 16; i++)
		generic_file_read(mapping, NULL, i * 4096, buf, 4096);
	CU_ASSERT_EQUAL(nr_enters, enters + 16);
	tfile_free(f);
	tfile_stop();
}

static void writes_stay_in_flight(void)
{
	struct tfile *f = tfile_start_new(ON_DISK);
	struct address_space *mapping = &f->inode.i_data;
	unsigned int enters;

	tfile_truncate(f, 200 * 4096);
	tfile_dirty_every_other(f, 200);
	enters = nr_enters;
	filemap_fdatawrite_range(mapping, 0, LLONG_MAX);
	if (nr_enters == enters)
		test_skip("no io_uring here");
	CU_ASSERT_PTR_NOT_NULL(current_plug);
	CU_ASSERT(mapping->nrwriteback > 0);
	backing_wait();
	CU_ASSERT_PTR_NULL(current_plug);
	CU_ASSERT_EQUAL(mapping->nrwriteback, 0);
	CU_ASSERT_EQUAL(mapping->nrdirty, 0);
	/* 100 requests in plugs of 16, and the waits for room */
	CU_ASSERT(nr_enters - enters < 30);
	tfile_free(f);
	tfile_stop();
}

/*
 * With DEFER_TASKRUN a request that went through a kernel worker kept its file
 * open after it had ended, until its thread did some other I/O: 3 of 1,000
 * files, by the locks on their descriptors. A test of that would fail once in
 * many runs, so this looks at what is asked for.
 */
static void completions_are_not_deferred(void)
{
	struct tfile *f = tfile_start_new(ON_DISK);
	char c;

	ring_flags_seen = 0;
	CU_ASSERT_EQUAL(generic_perform_write(&f->inode.i_data, 0, "a", 1, false), 1);
	CU_ASSERT_EQUAL(tfile_sync(f), 0);
	tfile_drop_cache(f);
	CU_ASSERT_EQUAL(generic_file_read(&f->inode.i_data, NULL, 0, &c, 1), 1);
	CU_ASSERT_NOT_EQUAL(ring_flags_seen, 0);
	CU_ASSERT_EQUAL(ring_flags_seen & IORING_SETUP_DEFER_TASKRUN, 0);
	tfile_free(f);
	tfile_stop();
}

/* ---- without memory ---- */

static void *sync_in_thread(void *arg)
{
	return (void *)(long)tfile_sync(arg);
}

static void writeback_without_memory(void)
{
	struct tfile *f[4];
	pthread_t thread[4];
	static char buf[3 * SZ_1M];
	void *err;

	f[0] = tfile_start_new(ON_DISK);
	for (int i = 0; i < 4; i++) {
		if (i)
			f[i] = tfile_new(i & 1 ? IN_MEMORY : ON_DISK);
		tfile_dirty_every_other(f[i], 1000);
		CU_ASSERT_EQUAL(generic_perform_write(&f[i]->inode.i_data,
				SZ_1M * 8, buf, sizeof(buf), false), sizeof(buf));
	}
	failslab(1, true);
	for (int i = 0; i < 4; i++)
		pthread_create(&thread[i], NULL, sync_in_thread, f[i]);
	for (int i = 0; i < 4; i++) {
		pthread_join(thread[i], &err);
		CU_ASSERT_PTR_NULL(err);
	}
	failslab(0, false);
	for (int i = 0; i < 4; i++) {
		CU_ASSERT_EQUAL(f[i]->inode.i_data.nrdirty, 0);
		CU_ASSERT_EQUAL(tfile_backing_size(f[i]), SZ_1M * 8 + sizeof(buf));
		tfile_free(f[i]);
	}
	tfile_stop();
}

/* ---- read-ahead ---- */

/* Up to the page before @end; each is a request of its own. */
static void read_ahead_every_other(struct address_space *mapping, pgoff_t index,
				   pgoff_t end)
{
	for (; index < end; index += 2)
		force_page_cache_readahead(mapping, index, 1);
}

/*
 * More than the I/O thread takes at once is queued after it has fallen asleep
 * and before it has seen what woke it, which is the end of another request. It
 * then slept for ever, because the eventfd's news reached it while it waited
 * for room: pages stayed locked, and nobody held them.
 */
static void read_ahead_beyond_the_ring(void)
{
	struct tfile *f = tfile_start_new(ON_DISK);
	struct address_space *mapping = &f->inode.i_data;
	char c;

	tfile_truncate(f, 1000 * 4096);
	generic_file_read(mapping, NULL, 4096, &c, 1);
	if (!nr_enters)
		test_skip("no io_uring here");
	gate_close();
	read_ahead_every_other(mapping, 0, 1);
	gate_wait();
	read_ahead_every_other(mapping, 2, 1000);
	gate_open();
	for (pgoff_t index = 0; index < 1000; index += 2)
		CU_ASSERT_EQUAL(generic_file_read(mapping, NULL, index * 4096,
						  &c, 1), 1);
	/* And asleep again, it hears of the next. */
	tfile_drop_cache(f);
	read_ahead_every_other(mapping, 0, 1);
	CU_ASSERT_EQUAL(generic_file_read(mapping, NULL, 0, &c, 1), 1);
	tfile_free(f);
	tfile_stop();
}

/* ---- many threads ---- */

#define NR_WORKERS	6
#define WORKER_BYTES	(700 * SZ_1K + 123)	/* so that neighbours share pages */

struct worker {
	struct tfile *f;
	unsigned int nr;
	unsigned int rounds;
	int line;
	char bytes[WORKER_BYTES];
	char buf[WORKER_BYTES];
};

/* Writes and reads its own part of the file; nobody else writes there. */
static int worker_run(struct worker *w)
{
	struct address_space *mapping = &w->f->inode.i_data;
	uint64_t state = test_seed() + w->nr;
	loff_t base = (loff_t)w->nr * WORKER_BYTES;
	struct file_ra_state ra;

	file_ra_state_init(&ra, 64);
	for (unsigned int i = 0; i < w->rounds; i++) {
		size_t at = test_rand(&state) % WORKER_BYTES;
		size_t len = 1 + test_rand(&state) %
			min_t(size_t, 40000, WORKER_BYTES - at);
		ssize_t ret;

		if (test_rand(&state) & 1) {
			fill_random(w->bytes + at, len, &state);
			down_write(&w->f->inode.i_rwsem);
			ret = generic_perform_write(mapping, base + at,
						    w->bytes + at, len, false);
			up_write(&w->f->inode.i_rwsem);
			MUST(ret == (ssize_t)len);
			MUST(!balance_dirty_pages_ratelimited(mapping,
					len / PAGE_SIZE + 1));
		} else {
			ret = generic_file_read(mapping, &ra, base + at, w->buf,
						len);
			MUST(ret == (ssize_t)len);
			MUST(!memcmp(w->buf, w->bytes + at, len));
		}
	}
	file_ra_state_destroy(&ra);
	return 0;
}

static void *worker_thread(void *arg)
{
	struct worker *w = arg;

	w->line = worker_run(w);
	return NULL;
}

struct flusher {
	struct tfile *f;
	atomic_bool stop;
	int err;
};

static void *flusher_thread(void *arg)
{
	struct flusher *fl = arg;

	while (!atomic_load(&fl->stop)) {
		fl->err = fl->err ? fl->err : tfile_sync(fl->f);
		tfile_drop_cache(fl->f);
	}
	return NULL;
}

static int compare_workers(struct tfile *f, struct worker *w)
{
	MUST(!tfile_sync(f));
	for (unsigned int i = 0; i < NR_WORKERS; i++) {
		MUST(!w[i].line);
		MUST(pread(f->bf.fd, w[i].buf, WORKER_BYTES,
			   (loff_t)i * WORKER_BYTES) == (ssize_t)WORKER_BYTES);
		MUST(!memcmp(w[i].buf, w[i].bytes, WORKER_BYTES));
	}
	return 0;
}

static void threads_case(enum place place)
{
	struct worker *w = calloc(NR_WORKERS, sizeof(*w));
	pthread_t thread[NR_WORKERS], flush;
	struct flusher fl = { .f = NULL };
	int line;

	tfile_start(0);
	fl.f = tfile_new(place);
	if (!fl.f) {
		tfile_stop();
		free(w);
		test_skip("no O_DIRECT there");
	}
	tfile_truncate(fl.f, NR_WORKERS * WORKER_BYTES);
	BUG_ON(pthread_create(&flush, NULL, flusher_thread, &fl));
	for (unsigned int i = 0; i < NR_WORKERS; i++) {
		w[i].f = fl.f;
		w[i].nr = i;
		w[i].rounds = 300;
		BUG_ON(pthread_create(&thread[i], NULL, worker_thread, &w[i]));
	}
	for (unsigned int i = 0; i < NR_WORKERS; i++)
		pthread_join(thread[i], NULL);
	atomic_store(&fl.stop, true);
	pthread_join(flush, NULL);
	CU_ASSERT_EQUAL(fl.err, 0);
	line = compare_workers(fl.f, w);
	CU_ASSERT_EQUAL(line, 0);
	tfile_free(fl.f);
	tfile_stop();
	free(w);
}

static void threads_on_disk(void)
{
	threads_case(ON_DISK);
}

static void threads_in_memory(void)
{
	threads_case(IN_MEMORY);
}

/* ---- starting and stopping ---- */

static void *touch_in_thread(void *arg)
{
	struct tfile *f = arg;
	char c;

	tfile_drop_cache(f);
	return (void *)(long)(generic_file_read(&f->inode.i_data, NULL, 0, &c,
						1) != 1);
}

static unsigned int nr_descriptors(void)
{
	unsigned int nr = 0;
	DIR *dir = opendir("/proc/self/fd");

	while (readdir(dir))
		nr++;
	closedir(dir);
	return nr;
}

static void nothing_is_left(void)
{
	struct tfile *f = tfile_start_new(ON_DISK);
	unsigned int before;
	pthread_t thread;
	void *err;

	CU_ASSERT_EQUAL(generic_perform_write(&f->inode.i_data, 0, "a", 1, false), 1);
	CU_ASSERT_EQUAL(tfile_sync(f), 0);
	/* The I/O thread makes its ring in its own time; hear from it first. */
	tfile_drop_cache(f);
	force_page_cache_readahead(&f->inode.i_data, 0, 1);
	touch_in_thread(f);
	before = nr_descriptors();
	for (int i = 0; i < 50; i++) {
		pthread_create(&thread, NULL, touch_in_thread, f);
		pthread_join(thread, &err);
		CU_ASSERT_PTR_NULL(err);
	}
	CU_ASSERT_EQUAL(nr_descriptors(), before);
	tfile_free(f);
	tfile_stop();
	tfile_start(1);
	tfile_stop();
}

static const struct test_case cases[] = {
	{ "a page read costs one system call", one_page_one_call },
	{ "writes stay in flight until somebody waits", writes_stay_in_flight },
	{ "completions on a thread's own ring are not deferred",
	  completions_are_not_deferred },
	{ "writeback goes on without memory", writeback_without_memory },
	{ "read-ahead of more than the I/O thread takes at once ends",
	  read_ahead_beyond_the_ring },
	{ "many threads see their own writes, on disk", threads_on_disk },
	{ "many threads see their own writes, in memory", threads_in_memory },
	{ "threads and restarts leave nothing behind", nothing_is_left },
};

int main(void)
{
	return test_main("fs/ioring", cases, ARRAY_SIZE(cases));
}
