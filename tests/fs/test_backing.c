// SPDX-License-Identifier: BSD-2-Clause
/*
 * tests/fs/test_backing.c - fs/backing.c and fs/aops.c: bytes arrive, tails do
 *                           not grow files, errors hit the pages they should
 *
 * Cases named "on disk" use O_DIRECT and are skipped where that is refused;
 * those "in memory" are buffered. See tfile.h.
 */
#include <fcntl.h>
#include <limits.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "tfile.h"

/* ---- random operations against a model ---- */

#define MODEL_MAX	(3 * SZ_1M)
#define MODEL_IO	(400 * SZ_1K)

struct model {
	struct tfile *f;
	char *bytes;			/* what the file should hold */
	char *buf;
	loff_t size;
	uint64_t state;
	bool errors;			/* make I/O fail now and then */
};

static uint64_t model_below(struct model *m, uint64_t n)
{
	return test_rand(&m->state) % n;
}

/* A position: anywhere, or where pages, blocks and the file end. */
static loff_t model_pos(struct model *m)
{
	loff_t pos = model_below(m, MODEL_MAX);

	switch (model_below(m, 4)) {
	case 0:
		return ALIGN_DOWN(pos, (loff_t)PAGE_SIZE);
	case 1:
		return ALIGN_DOWN(pos, (loff_t)512);
	case 2:
		return m->size < (loff_t)MODEL_MAX ? m->size : 0;
	default:
		return pos;
	}
}

static size_t model_len(struct model *m, loff_t pos)
{
	size_t len = 1 + model_below(m, model_below(m, 2) ? MODEL_IO : 5000);

	return min_t(size_t, len, MODEL_MAX - pos);
}

static void model_arm(struct model *m, enum backing_op op)
{
	if (m->errors && !model_below(m, 2))
		backing_fail(op, 1 + model_below(m, 6), -EIO);
}

static int model_write(struct model *m)
{
	loff_t pos = model_pos(m);
	size_t len = model_len(m, pos);
	ssize_t ret;

	fill_random(m->buf, len, &m->state);
	ret = generic_perform_write(&m->f->inode.i_data, pos, m->buf, len, false);
	MUST(ret == (ssize_t)len);
	if (pos > m->size)
		memset(m->bytes + m->size, 0, pos - m->size);
	memcpy(m->bytes + pos, m->buf, len);
	m->size = max_t(loff_t, m->size, pos + len);
	MUST(i_size_read(&m->f->inode.i_data) == m->size);
	return 0;
}

static int model_read(struct model *m)
{
	loff_t pos = model_pos(m);
	size_t len = model_len(m, pos);
	size_t want = pos < m->size ? min_t(size_t, len, m->size - pos) : 0;
	struct address_space *mapping = &m->f->inode.i_data;
	ssize_t ret;

	model_arm(m, BACKING_READ);
	ret = generic_file_read(mapping, NULL, pos, m->buf, len);
	MUST(ret == (ssize_t)want || m->errors);
	MUST(ret <= 0 || !memcmp(m->buf, m->bytes + pos, ret));
	backing_fail(BACKING_READ, 0, 0);
	ret = generic_file_read(mapping, NULL, pos, m->buf, len);
	MUST(ret == (ssize_t)want);
	MUST(!memcmp(m->buf, m->bytes + pos, want));
	return 0;
}

static int model_sync(struct model *m)
{
	int err;

	model_arm(m, BACKING_WRITE);
	err = tfile_sync(m->f);
	MUST(!err || (m->errors && err == -EIO));
	MUST(tfile_backing_size(m->f) <= m->size);
	backing_fail(BACKING_WRITE, 0, 0);
	MUST(!tfile_sync(m->f));
	MUST(!m->f->inode.i_data.nrdirty && !m->f->inode.i_data.nrwriteback);
	MUST(tfile_backing_size(m->f) == m->size);
	return 0;
}

static int model_truncate(struct model *m)
{
	loff_t size = model_pos(m);

	if (size > m->size)
		memset(m->bytes + m->size, 0, size - m->size);
	m->size = size;
	tfile_truncate(m->f, size);
	return 0;
}

/* All of the file, as others see it, and as we do with an empty cache. */
static int model_compare(struct model *m)
{
	static char all[MODEL_MAX];
	int line = model_sync(m);

	if (line)
		return line;
	MUST(pread(m->f->bf.fd, all, MODEL_MAX, 0) == m->size);
	MUST(!memcmp(all, m->bytes, m->size));
	/* The I/O thread may still be about to put a page it has ended. */
	for (int i = 0; i < 1000 && m->f->inode.i_data.nrpages; i++) {
		tfile_drop_cache(m->f);
		sched_yield();
	}
	MUST(!m->f->inode.i_data.nrpages);
	force_page_cache_readahead(&m->f->inode.i_data, 0, MAX_RUN_PAGES);
	MUST(generic_file_read(&m->f->inode.i_data, NULL, 0, all, MODEL_MAX) ==
	     m->size);
	MUST(!memcmp(all, m->bytes, m->size));
	page_cache_check(&m->f->inode.i_data);
	return 0;
}

static int model_step(struct model *m)
{
	uint64_t op = model_below(m, 100);

	if (op < 45)
		return model_write(m);
	if (op < 75)
		return model_read(m);
	if (op < 85)
		return model_sync(m);
	if (op < 92)
		return model_truncate(m);
	if (op < 98) {
		tfile_drop_cache(m->f);
		return 0;
	}
	return model_compare(m);
}

static int run_model(struct tfile *f, unsigned int steps, bool errors)
{
	struct model m = {
		.f = f,
		.bytes = calloc(1, MODEL_MAX),
		.buf = malloc(MODEL_IO + 5000),
		.state = test_seed(),
		.errors = errors,
	};
	int line = 0;

	for (unsigned int i = 0; i < steps && !line; i++) {
		line = model_step(&m);
		BUG_ON(tfile_backing_size(f) > i_size_read(&f->inode.i_data));
	}
	if (!line)
		line = model_compare(&m);
	if (line)
		fprintf(stderr, "# model differs, line %d\n", line);
	free(m.bytes);
	free(m.buf);
	return line;
}

/* A little memory between sanitizers' patience and coverage. */
#define MODEL_STEPS	600

static void model_case(enum place place, uint32_t dio_align, bool errors)
{
	struct tfile *f = tfile_start_new(place);

	f->bf.dio_align = dio_align;
	CU_ASSERT_EQUAL(run_model(f, MODEL_STEPS, errors), 0);
	tfile_free(f);
	tfile_stop();
}

static void model_on_disk(void)
{
	model_case(ON_DISK, 512, false);
}

static void model_on_disk_4k(void)
{
	model_case(ON_DISK, 4096, false);
}

/* Larger than a page: most runs start where direct I/O may not. */
static void model_on_disk_16k(void)
{
	model_case(ON_DISK, 16384, false);
}

/* The store refuses transfers we think are aligned. */
static void model_wrong_alignment(void)
{
	model_case(ON_DISK, 1, false);
}

static void model_in_memory(void)
{
	model_case(IN_MEMORY, 0, false);
}

static void model_errors_on_disk(void)
{
	model_case(ON_DISK, 512, true);
}

static void model_errors_in_memory(void)
{
	model_case(IN_MEMORY, 0, true);
}

/* ---- tails ---- */

struct watch {
	struct tfile *f;
	atomic_bool stop;
	atomic_ulong looks;
	unsigned long too_long;
};

/* The file only grows here, so i_size read after st_size bounds it. */
static void *watch_size(void *arg)
{
	struct watch *w = arg;

	while (!atomic_load(&w->stop)) {
		loff_t seen = tfile_backing_size(w->f);

		atomic_fetch_add(&w->looks, 1);
		if (seen > i_size_read(&w->f->inode.i_data))
			w->too_long++;
	}
	return NULL;
}

static int append_and_sync(struct tfile *f, unsigned int rounds)
{
	uint64_t state = test_seed();
	static char buf[70000];

	for (unsigned int i = 0; i < rounds; i++) {
		loff_t size = i_size_read(&f->inode.i_data);
		size_t len = 1 + test_rand(&state) % sizeof(buf);

		fill_random(buf, len, &state);
		MUST(generic_perform_write(&f->inode.i_data, size, buf, len, false) ==
		     (ssize_t)len);
		MUST(!tfile_sync(f));
		MUST(tfile_backing_size(f) == size + (loff_t)len);
	}
	return 0;
}

static void tail_case(enum place place)
{
	struct watch w = { .f = tfile_start_new(place) };
	pthread_t thread;

	BUG_ON(pthread_create(&thread, NULL, watch_size, &w));
	while (!atomic_load(&w.looks))
		sched_yield();
	CU_ASSERT_EQUAL(append_and_sync(w.f, 200), 0);
	atomic_store(&w.stop, true);
	pthread_join(thread, NULL);
	CU_ASSERT_EQUAL(w.too_long, 0);
	tfile_free(w.f);
	tfile_stop();
}

static void tail_on_disk(void)
{
	tail_case(ON_DISK);
}

static void tail_in_memory(void)
{
	tail_case(IN_MEMORY);
}

/* ---- reads past the end ---- */

static bool all_are(const char *buf, size_t len, char c)
{
	for (size_t i = 0; i < len; i++)
		if (buf[i] != c)
			return false;
	return true;
}

/* The file has @real bytes, and says it has @size; frames have had others. */
static void short_file(enum place place, size_t real, size_t size)
{
	struct tfile *f = tfile_start_new(place);
	struct address_space *mapping = &f->inode.i_data;
	char *buf = malloc(size);

	memset(buf, 'x', size);
	CU_ASSERT_EQUAL(generic_perform_write(mapping, 0, buf, size, false),
			(ssize_t)size);
	CU_ASSERT_EQUAL(tfile_sync(f), 0);
	tfile_drop_cache(f);
	CU_ASSERT_EQUAL(ftruncate(f->bf.fd, real), 0);
	CU_ASSERT_EQUAL(generic_file_read(mapping, NULL, 0, buf, size),
			(ssize_t)size);
	CU_ASSERT(all_are(buf, real, 'x'));
	CU_ASSERT(all_are(buf + real, size - real, 0));
	free(buf);
	tfile_free(f);
	tfile_stop();
}

static void past_end_on_disk(void)
{
	short_file(ON_DISK, 5000, 300000);
	short_file(ON_DISK, 8192, 300000);
	short_file(ON_DISK, 8192 + 512, 12288);
	short_file(ON_DISK, 0, 4096);
	short_file(ON_DISK, 0, 1);
	short_file(ON_DISK, 100, 100);
}

static void past_end_in_memory(void)
{
	short_file(IN_MEMORY, 5000, 300000);
	short_file(IN_MEMORY, 0, 4096);
	short_file(IN_MEMORY, 100, 100);
}

/* ---- errors ---- */

static void failed_read(void)
{
	struct tfile *f = tfile_start_new(ON_DISK);
	struct address_space *mapping = &f->inode.i_data;
	struct backing_stats before, after;
	char buf[100];

	backing_get_stats(&before);
	CU_ASSERT_EQUAL(generic_perform_write(mapping, 0, "abc", 3, false), 3);
	CU_ASSERT_EQUAL(tfile_sync(f), 0);
	tfile_drop_cache(f);
	backing_fail(BACKING_READ, 1, -EIO);
	CU_ASSERT_EQUAL(generic_file_read(mapping, NULL, 0, buf, 3), -EIO);
	/* The asynchronous way: the page is there, and an error. */
	tfile_drop_cache(f);
	force_page_cache_readahead(mapping, 0, 1);
	CU_ASSERT_EQUAL(generic_file_read(mapping, NULL, 0, buf, 3), -EIO);
	backing_fail(BACKING_READ, 0, 0);
	CU_ASSERT_EQUAL(generic_file_read(mapping, NULL, 0, buf, 100), 3);
	CU_ASSERT(!memcmp(buf, "abc", 3));
	backing_get_stats(&after);
	CU_ASSERT(after.errors >= before.errors + 2);
	CU_ASSERT(after.rd_ios > before.rd_ios);
	CU_ASSERT_EQUAL(after.wr_ios, before.wr_ios + 1);
	tfile_free(f);
	tfile_stop();
}

static void failed_write(void)
{
	struct tfile *f = tfile_start_new(ON_DISK);
	struct address_space *mapping = &f->inode.i_data;
	static char buf[64 * 4096];

	CU_ASSERT_EQUAL(generic_perform_write(mapping, 0, buf, sizeof(buf), false),
			sizeof(buf));
	backing_fail(BACKING_WRITE, 1, -ENOSPC);
	CU_ASSERT_EQUAL(tfile_sync(f), -ENOSPC);
	CU_ASSERT_EQUAL(mapping->nrdirty, 64);
	CU_ASSERT_EQUAL(mapping->nrwriteback, 0);
	CU_ASSERT_NOT_EQUAL(errseq_check(&mapping->wb_err, 0), 0);
	backing_fail(BACKING_WRITE, 0, 0);
	CU_ASSERT_EQUAL(tfile_sync(f), 0);
	CU_ASSERT_EQUAL(mapping->nrdirty, 0);
	tfile_free(f);
	tfile_stop();
}

/* A file size limit makes the kernel end a write halfway, and then refuse. */
static void limited_write(enum place place, loff_t limit)
{
	struct tfile *f = tfile_start_new(place);
	struct address_space *mapping = &f->inode.i_data;
	struct rlimit old, lim;
	static char buf[64 * 4096];

	signal(SIGXFSZ, SIG_IGN);
	memset(buf, 'y', sizeof(buf));
	CU_ASSERT_EQUAL(generic_perform_write(mapping, 0, buf, sizeof(buf), false),
			sizeof(buf));
	BUG_ON(getrlimit(RLIMIT_FSIZE, &old));
	lim = (struct rlimit){ limit, old.rlim_max };
	BUG_ON(setrlimit(RLIMIT_FSIZE, &lim));
	CU_ASSERT_EQUAL(tfile_sync(f), -EFBIG);
	BUG_ON(setrlimit(RLIMIT_FSIZE, &old));
	CU_ASSERT_EQUAL(tfile_backing_size(f), limit);
	/* What got through is clean, the rest is not lost. */
	CU_ASSERT_EQUAL(mapping->nrdirty, 64 - limit / PAGE_SIZE);
	CU_ASSERT_EQUAL(tfile_sync(f), 0);
	tfile_drop_cache(f);
	memset(buf, 0, sizeof(buf));
	CU_ASSERT_EQUAL(generic_file_read(mapping, NULL, 0, buf, sizeof(buf)),
			sizeof(buf));
	CU_ASSERT(all_are(buf, sizeof(buf), 'y'));
	tfile_free(f);
	tfile_stop();
}

static void partial_write_on_disk(void)
{
	limited_write(ON_DISK, 10 * 4096);
	limited_write(ON_DISK, 10 * 4096 + 512);
	limited_write(ON_DISK, 10 * 4096 + 100);
}

static void partial_write_in_memory(void)
{
	limited_write(IN_MEMORY, 10 * 4096);
	limited_write(IN_MEMORY, 10 * 4096 + 100);
}

/* ---- without io_uring ---- */

static void forbid_io_uring(void)
{
	struct sock_filter code[] = {
		BPF_STMT(BPF_LD | BPF_W | BPF_ABS,
			 offsetof(struct seccomp_data, nr)),
		BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, __NR_io_uring_setup, 0, 1),
		BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | EPERM),
		BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
	};
	struct sock_fprog prog = { ARRAY_SIZE(code), code };

	BUG_ON(prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0));
	BUG_ON(prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &prog));
}

/*
 * This program anew, for a thread or two that liburcu has started would not
 * survive a mere fork; some of its cases, with the filter on.
 */
static __noreturn void child_without_io_uring(void)
{
	int null = open("/dev/null", O_WRONLY);

	dup2(null, STDOUT_FILENO);
	forbid_io_uring();
	execl("/proc/self/exe", "test_backing", "with errors match", NULL);
	_exit(127);
}

static void works_without_io_uring(void)
{
	int status = -1;
	pid_t pid;

	fflush(NULL);
	pid = fork();
	if (pid == 0)
		child_without_io_uring();
	CU_ASSERT_EQUAL(waitpid(pid, &status, 0), pid);
	CU_ASSERT_EQUAL(status, 0);
}

static const struct test_case cases[] = {
	{ "random operations match a model, on disk", model_on_disk },
	{ "random operations match a model, blocks of 4k", model_on_disk_4k },
	{ "random operations match a model, blocks of 16k", model_on_disk_16k },
	{ "random operations match a model, EINVAL for direct I/O",
	  model_wrong_alignment },
	{ "random operations match a model, in memory", model_in_memory },
	{ "random operations with errors match a model, on disk",
	  model_errors_on_disk },
	{ "random operations with errors match a model, in memory",
	  model_errors_in_memory },
	{ "a tail never grows the file, on disk", tail_on_disk },
	{ "a tail never grows the file, in memory", tail_in_memory },
	{ "a read past the end gives zeros, on disk", past_end_on_disk },
	{ "a read past the end gives zeros, in memory", past_end_in_memory },
	{ "a failed read is an error and can be repeated", failed_read },
	{ "a failed write leaves its pages dirty", failed_write },
	{ "pages written before an error are clean, on disk",
	  partial_write_on_disk },
	{ "pages written before an error are clean, in memory",
	  partial_write_in_memory },
	{ "all works by system calls without io_uring", works_without_io_uring },
};

int main(void)
{
	return test_main("fs/backing", cases, ARRAY_SIZE(cases));
}
