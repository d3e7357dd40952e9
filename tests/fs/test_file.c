// SPDX-License-Identifier: BSD-2-Clause
/*
 * tests/fs/test_file.c - fs/file.c and fs/space.c, without a mount
 *
 *   fs_write, fs_truncate, fs_fallocate, ...    on a file of ours
 *   pwrite, ftruncate, fallocate, ...           on a plain file beside it
 *
 * The whole of fs/ runs on a directory in $TMPDIR (or /var/tmp); the plain
 * file is the model, for the kernel knows best what these calls do.
 */
#include <fcntl.h>
#include <limits.h>
#include <linux/falloc.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <unistd.h>

#include "harness.h"
#include "internal.h"
#include "mm.h"

#define MEMORY	(64 * SZ_1M)

static const struct fs_cred root_cred = { 0, 0 };
static char top[PATH_MAX];		/* the backing directory */

static void start(const char *dir)
{
	const struct mm_config config = { .memory = MEMORY, .nr_nodes = 1 };
	struct fs_options opts = { .backing_dir = dir, .memory = MEMORY };
	char msg[512];

	BUG_ON(mm_init(&config));
	if (fs_init(&opts, msg, sizeof(msg))) {
		fprintf(stderr, "# %s\n", msg);
		BUG();
	}
	space_init();
}

static void stop(void)
{
	unsigned long lost;

	CU_ASSERT_EQUAL(fs_exit(&lost), 0);
	CU_ASSERT_EQUAL(lost, 0);
	mm_exit();
}

static void make_top(void)
{
	const char *dir = getenv("TMPDIR");

	snprintf(top, sizeof(top), "%s/test_file.XXXXXX",
		 dir && *dir ? dir : "/var/tmp");
	BUG_ON(!mkdtemp(top));
}

static void remove_top(void)
{
	char cmd[PATH_MAX + 16];

	snprintf(cmd, sizeof(cmd), "rm -rf '%s'", top);
	CU_ASSERT_EQUAL(system(cmd), 0);
}

/* A new file; fs_release() it. */
static struct open_file *new_file(const char *name, int flags)
{
	struct open_file *file = NULL;
	struct inode *inode;

	if (fs_create(sb.root, name, &root_cred, 0644, O_RDWR | O_CREAT | flags,
		      &inode, &file))
		BUG();
	iput(inode);
	return file;
}

static int backing_fd(const char *name, int flags)
{
	char path[PATH_MAX + NAME_MAX + 2];

	snprintf(path, sizeof(path), "%s/%s", top, name);
	return open(path, flags, 0644);
}

static ssize_t read_file(struct open_file *file, loff_t pos, char *buf,
			 size_t len)
{
	struct page *pages[MAX_RUN_PAGES + 1];
	size_t done = 0, bytes;

	do {
		int nr = fs_read_pages(file, pos + done, len - done, pages,
				       ARRAY_SIZE(pages), &bytes);
		size_t off = (pos + done) & ~PAGE_MASK;

		if (nr < 0)
			return nr;
		for (size_t i = 0, at = 0; at < bytes; i++, off = 0) {
			size_t n = min(PAGE_SIZE - off, bytes - at);

			memcpy(buf + done + at,
			       (char *)page_address(pages[i]) + off, n);
			at += n;
		}
		put_pages(pages, nr);
		done += bytes;
	} while (bytes && done < len);
	return done;
}

/* ---- the same as a plain file ---- */

#define TWIN_MAX	(2 * SZ_1M)
#define TWIN_IO		(300 * SZ_1K)

/* What went wrong, as the line that saw it; 0 if nothing. */
#define MUST(cond)	do { if (!(cond)) return __LINE__; } while (0)

struct twins {
	struct open_file *file;
	int fd;
	uint64_t state;
	char buf[TWIN_IO], buf2[TWIN_IO];
};

static uint64_t below(struct twins *t, uint64_t n)
{
	return test_rand(&t->state) % n;
}

static loff_t twin_pos(struct twins *t)
{
	loff_t pos = below(t, TWIN_MAX);

	return below(t, 2) ? pos : ALIGN_DOWN(pos, (loff_t)PAGE_SIZE);
}

static int twin_write(struct twins *t)
{
	loff_t pos = twin_pos(t);
	size_t len = 1 + below(t, TWIN_IO);

	for (size_t i = 0; i < len; i++)
		t->buf[i] = (char)test_rand(&t->state);
	MUST(fs_write(t->file, &root_cred, pos, t->buf, len) == (ssize_t)len);
	MUST(pwrite(t->fd, t->buf, len, pos) == (ssize_t)len);
	return 0;
}

static int twin_read(struct twins *t)
{
	loff_t pos = twin_pos(t);
	size_t len = 1 + below(t, TWIN_IO);
	ssize_t want = pread(t->fd, t->buf2, len, pos);

	MUST(read_file(t->file, pos, t->buf, len) == want);
	MUST(!memcmp(t->buf, t->buf2, want));
	return 0;
}

static int twin_truncate(struct twins *t)
{
	loff_t size = twin_pos(t);

	MUST(!fs_truncate(t->file->inode, size));
	MUST(!ftruncate(t->fd, size));
	return 0;
}

static int twin_fallocate(struct twins *t)
{
	static const int modes[] = {
		0,
		FALLOC_FL_KEEP_SIZE,
		FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE,
		FALLOC_FL_ZERO_RANGE,
		FALLOC_FL_ZERO_RANGE | FALLOC_FL_KEEP_SIZE,
		FALLOC_FL_COLLAPSE_RANGE,
		FALLOC_FL_PUNCH_HOLE,
	};
	int mode = modes[below(t, ARRAY_SIZE(modes))];
	loff_t pos = twin_pos(t), len = 1 + below(t, TWIN_IO);
	int ret = fs_fallocate(t->file, &root_cred, mode, pos, len);

	if (ret == -EOPNOTSUPP)
		return 0;
	MUST(!ret);
	MUST(!fallocate(t->fd, mode, pos, len));
	return 0;
}

/* To its end: the kernel may stop on the way. Return: bytes, or -errno. */
static ssize_t plain_copy(int fd, loff_t from, loff_t to, size_t len)
{
	size_t done = 0;

	while (done < len) {
		ssize_t n = copy_file_range(fd, &from, fd, &to, len - done, 0);

		if (n < 0 && !done)
			return -errno;
		if (n <= 0)
			break;
		done += n;
	}
	return done;
}

static int twin_copy(struct twins *t)
{
	loff_t from = twin_pos(t), to = twin_pos(t);
	size_t len = 1 + below(t, TWIN_IO);
	ssize_t ret = fs_copy_file_range(t->file, from, t->file, to, &root_cred,
					 len);

	loff_t size = lseek(t->fd, 0, SEEK_END);

	if (ret == -EOPNOTSUPP)
		return 0;
	/* Cut now: the copy may make the file longer. */
	len = from < size ? min_t(loff_t, len, size - from) : 0;
	MUST(ret == (len ? plain_copy(t->fd, from, to, len) : 0));
	return 0;
}

/* Whatever is not zero lies in what SEEK_DATA and SEEK_HOLE call data. */
static int twin_lseek(struct twins *t)
{
	loff_t size = lseek(t->fd, 0, SEEK_END), pos = 0;

	while (pos < size) {
		loff_t data = fs_lseek(t->file, pos, SEEK_DATA);
		loff_t end = data == -ENXIO ? size : data;

		MUST(end >= pos && end <= size);
		for (; pos < end; pos++) {
			char c;

			MUST(pread(t->fd, &c, 1, pos) == 1 && !c);
			pos += 511;	/* a hole has no part of a block */
		}
		if (data == -ENXIO)
			break;
		pos = fs_lseek(t->file, data, SEEK_HOLE);
		MUST(pos > data && pos <= size);
	}
	MUST(fs_lseek(t->file, size, SEEK_DATA) == -ENXIO);
	return 0;
}

static int twin_compare(struct twins *t)
{
	static char a[TWIN_MAX + TWIN_IO], b[TWIN_MAX + TWIN_IO];
	struct stat st;
	ssize_t size = pread(t->fd, a, sizeof(a), 0);

	MUST(!fs_fsync(t->file->inode, t->file, below(t, 2)));
	MUST(!fs_getattr(t->file->inode, &st) && st.st_size == size);
	if (below(t, 2))
		invalidate_mapping_pages(&t->file->inode->i_data, 0, (pgoff_t)-1);
	MUST(read_file(t->file, 0, b, sizeof(b)) == size);
	MUST(!memcmp(a, b, size));
	return 0;
}

static int twin_step(struct twins *t)
{
	uint64_t op = below(t, 100);

	if (op < 35)
		return twin_write(t);
	if (op < 60)
		return twin_read(t);
	if (op < 70)
		return twin_truncate(t);
	if (op < 85)
		return twin_fallocate(t);
	if (op < 92)
		return twin_copy(t);
	if (op < 95)
		return twin_lseek(t);
	return twin_compare(t);
}

static int run_twins(const char *dir, unsigned int steps)
{
	struct twins *t = calloc(1, sizeof(*t));
	int line = 0, fd;

	start(dir);
	t->file = new_file("ours", 0);
	t->fd = backing_fd("plain", O_RDWR | O_CREAT | O_TRUNC);
	t->state = test_seed();
	for (unsigned int i = 0; i < steps && !line; i++)
		line = twin_step(t);
	line = line ? line : twin_compare(t);
	fs_release(t->file);
	stop();
	/* And the backing file has it all. */
	fd = backing_fd("ours", O_RDONLY);
	if (!line && lseek(fd, 0, SEEK_END) != lseek(t->fd, 0, SEEK_END))
		line = __LINE__;
	close(fd);
	close(t->fd);
	free(t);
	if (line)
		fprintf(stderr, "# twins differ, line %d\n", line);
	return line;
}

static void twins_agree(void)
{
	make_top();
	CU_ASSERT_EQUAL(run_twins(top, 600), 0);
	remove_top();
}

/* ---- open flags ---- */

static void append_and_writeback(void)
{
	struct open_file *file;
	char buf[16];

	make_top();
	start(top);
	file = new_file("f", O_APPEND);
	CU_ASSERT_EQUAL(fs_write(file, &root_cred, 0, "abc", 3), 3);
	CU_ASSERT_EQUAL(fs_write(file, &root_cred, 0, "def", 3), 3);
	/* The kernel's writeback of a mapping: its position is final. */
	CU_ASSERT_EQUAL(fs_write(file, NULL, 1, "X", 1), 1);
	CU_ASSERT_EQUAL(read_file(file, 0, buf, sizeof(buf)), 6);
	CU_ASSERT(!memcmp(buf, "aXcdef", 6));
	fs_release(file);
	stop();
	remove_top();
}

static void truncating_open(void)
{
	struct open_file *file, *other;
	struct stat st;
	char c;

	make_top();
	start(top);
	file = new_file("f", 0);
	CU_ASSERT_EQUAL(fs_write(file, &root_cred, 0, "abc", 3), 3);
	CU_ASSERT_EQUAL(fs_open(file->inode, &root_cred, O_WRONLY | O_TRUNC,
				&other), 0);
	CU_ASSERT_EQUAL(fs_getattr(file->inode, &st), 0);
	CU_ASSERT_EQUAL(st.st_size, 0);
	CU_ASSERT_EQUAL(read_file(file, 0, &c, 1), 0);
	fs_release(other);
	fs_release(file);
	CU_ASSERT_EQUAL(fs_open(sb.root, &root_cred, O_RDONLY, &file), -EISDIR);
	stop();
	remove_top();
}

static void synchronous_write(void)
{
	static const int flags[] = { O_SYNC, O_DSYNC };
	char buf[4] = "";
	int fd;

	make_top();
	start(top);
	for (int i = 0; i < 2; i++) {
		struct open_file *file = new_file("f", flags[i]);

		CU_ASSERT_EQUAL(fs_write(file, &root_cred, 5000, "abc", 3), 3);
		fd = backing_fd("f", O_RDONLY);
		CU_ASSERT_EQUAL(pread(fd, buf, 4, 5000), 3);
		CU_ASSERT(!memcmp(buf, "abc", 3));
		close(fd);
		fs_release(file);
		CU_ASSERT_EQUAL(fs_unlink(sb.root, "f"), 0);
	}
	stop();
	remove_top();
}

static void too_large(void)
{
	struct open_file *file;
	int fd;

	make_top();
	start(top);
	file = new_file("f", 0);
	CU_ASSERT_EQUAL(fs_write(file, &root_cred, FS_MAX_BYTES, "a", 1), -EFBIG);
	CU_ASSERT_EQUAL(fs_lseek(file, 0, SEEK_DATA), -ENXIO);
	/* tmpfs would take as much as mm/, others have less room. */
	fd = backing_fd("f", O_RDONLY);
	CU_ASSERT_EQUAL(fs_write(file, &root_cred, FS_MAX_BYTES - 1, "a", 1),
			lseek(fd, FS_MAX_BYTES, SEEK_SET) < 0 ? -EFBIG : 1);
	close(fd);
	CU_ASSERT_EQUAL(fs_write(file, &root_cred, -1, "a", 1), -EINVAL);
	CU_ASSERT_EQUAL(fs_truncate(file->inode, -1), -EINVAL);
	CU_ASSERT_EQUAL(fs_truncate(file->inode, LLONG_MAX), -EFBIG);
	CU_ASSERT_EQUAL(fs_fallocate(file, &root_cred, 0, LLONG_MAX - 5, 5),
			-EFBIG);
	CU_ASSERT_EQUAL(fs_fallocate(file, &root_cred, 0, 0, 0), -EINVAL);
	CU_ASSERT_EQUAL(fs_lseek(file, 0, SEEK_END), -EINVAL);
	fs_release(file);
	stop();
	remove_top();
}

/* ---- truncate against writeback ---- */

struct slow_writer {
	struct address_space *mapping;
	atomic_bool prepared, truncated;
};

/*
 * A flusher that is slow to submit what it has prepared: until the truncate is
 * through, or 100 ms. A truncate that waits for it, as it should, waits so long.
 */
static void *write_slowly(void *arg)
{
	const struct timespec ms = { .tv_nsec = 1000000 };
	struct slow_writer *w = arg;

	filemap_fdatawrite_range(w->mapping, 0, LLONG_MAX);
	atomic_store(&w->prepared, true);
	for (int i = 0; i < 100 && !atomic_load(&w->truncated); i++)
		nanosleep(&ms, NULL);
	backing_wait();
	return NULL;
}

/*
 *	flusher				fs_truncate
 *	a run, cut at the old size
 *					i_size, the backing file's end
 *	the write: longer again
 */
static void truncate_waits_for_writes(void)
{
	static char buf[2 * 4096];	/* no page is dropped */
	struct slow_writer w = { .prepared = false };
	struct open_file *file;
	pthread_t thread;
	struct stat st;
	int fd;

	make_top();
	start(top);
	file = new_file("f", 0);
	fd = backing_fd("f", O_RDONLY);
	w.mapping = &file->inode->i_data;
	CU_ASSERT_EQUAL(fs_write(file, &root_cred, 0, buf, sizeof(buf)),
			sizeof(buf));
	BUG_ON(pthread_create(&thread, NULL, write_slowly, &w));
	while (!atomic_load(&w.prepared))
		sched_yield();
	CU_ASSERT_EQUAL(fs_truncate(file->inode, 5000), 0);
	atomic_store(&w.truncated, true);
	pthread_join(thread, NULL);
	BUG_ON(fstat(fd, &st));
	CU_ASSERT_EQUAL(st.st_size, 5000);
	close(fd);
	fs_release(file);
	stop();
	remove_top();
}

/* ---- errors ---- */

static void errors_are_reported_once(void)
{
	struct open_file *a, *b, *late;

	make_top();
	start(top);
	a = new_file("f", 0);
	CU_ASSERT_EQUAL(fs_open(a->inode, &root_cred, O_RDWR, &b), 0);
	CU_ASSERT_EQUAL(fs_write(a, &root_cred, 0, "abc", 3), 3);
	backing_fail(BACKING_WRITE, 1, -EIO);
	CU_ASSERT_EQUAL(fs_fsync(a->inode, a, true), -EIO);
	backing_fail(BACKING_WRITE, 0, 0);
	CU_ASSERT_EQUAL(fs_flush(b), -EIO);
	CU_ASSERT_EQUAL(fs_flush(b), -EIO);	/* looking takes nothing away */
	CU_ASSERT_EQUAL(fs_fsync(b->inode, b, false), -EIO);
	CU_ASSERT_EQUAL(fs_fsync(b->inode, b, false), 0);
	CU_ASSERT_EQUAL(fs_flush(b), 0);
	CU_ASSERT_EQUAL(fs_fsync(a->inode, a, false), 0);
	CU_ASSERT_EQUAL(fs_open(a->inode, &root_cred, O_RDWR, &late), 0);
	CU_ASSERT_EQUAL(fs_fsync(late->inode, late, false), 0);
	CU_ASSERT_EQUAL(fs_fsync(late->inode, NULL, false), 0);
	fs_release(late);
	fs_release(b);
	fs_release(a);
	stop();
	remove_top();
}

static void unseen_error_without_open_file(void)
{
	struct open_file *a;

	make_top();
	start(top);
	a = new_file("f", 0);
	CU_ASSERT_EQUAL(fs_write(a, &root_cred, 0, "abc", 3), 3);
	backing_fail(BACKING_WRITE, 1, -ENOSPC);
	sync_bdi(&sb.bdi);
	backing_fail(BACKING_WRITE, 0, 0);
	CU_ASSERT_EQUAL(fs_fsync(a->inode, NULL, true), -ENOSPC);
	CU_ASSERT_EQUAL(fs_fsync(a->inode, NULL, true), 0);
	CU_ASSERT_EQUAL(fs_fsync(a->inode, a, true), -ENOSPC);
	fs_release(a);
	stop();
	remove_top();
}

/* ---- a full store ---- */

/* Return: bytes taken until ENOSPC, or -1. */
static long fill_up(struct open_file *file, size_t chunk)
{
	char *buf = malloc(chunk);
	long done = 0;

	memset(buf, 'a', chunk);
	for (;;) {
		ssize_t n = fs_write(file, &root_cred, done, buf, chunk);

		if (n <= 0) {
			free(buf);
			return n == -ENOSPC ? done : -1;
		}
		done += n;
	}
}

/* A flusher may be the last to hold the unlinked inode. */
static bool wait_until_empty(void)
{
	const struct timespec ms = { .tv_nsec = 1000000 };
	struct statvfs st;

	for (int i = 0; i < 5000; i++) {
		if (!fs_statfs(&st) && st.f_blocks - st.f_bfree < 16)
			return true;
		nanosleep(&ms, NULL);
	}
	return false;
}

static void full_case(size_t chunk)
{
	struct open_file *file;
	long done;

	make_top();
	if (mount("none", top, "tmpfs", 0, "size=24m")) {
		rmdir(top);
		test_skip("mounting a tmpfs needs root");
	}
	start(top);
	for (int i = 0; i < 2; i++) {
		file = new_file("f", 0);
		done = fill_up(file, chunk);
		CU_ASSERT(done >= 20L << 20);
		CU_ASSERT(done <= 24L << 20);
		/* The writer was told, so nobody else has to be. */
		CU_ASSERT_EQUAL(fs_fsync(file->inode, file, false), 0);
		CU_ASSERT_EQUAL(fs_unlink(sb.root, "f"), 0);
		fs_release(file);
		CU_ASSERT(wait_until_empty());
	}
	stop();
	CU_ASSERT_EQUAL(umount(top), 0);
	rmdir(top);
}

static void full_by_large_writes(void)
{
	full_case(SZ_1M);
}

static void full_by_small_writes(void)
{
	full_case(4096);
}

/* ---- many threads ---- */

struct mate {
	struct open_file *file;
	unsigned int nr;
	int line;
	char buf[20000], want[20000];
};

static int mate_run(struct mate *m)
{
	uint64_t state = test_seed() + m->nr;
	loff_t base = m->nr * sizeof(m->want);

	memset(m->want, 0, sizeof(m->want));
	for (int i = 0; i < 150; i++) {
		size_t at = test_rand(&state) % sizeof(m->want);
		size_t len = 1 + test_rand(&state) % (sizeof(m->want) - at);

		memset(m->want + at, (char)test_rand(&state), len);
		MUST(fs_write(m->file, &root_cred, base + at, m->want + at, len) ==
		     (ssize_t)len);
		if (i % 8 == 0)
			MUST(!fs_fsync(m->file->inode, m->file, i & 8));
		if (i % 16 == 0)
			MUST(fs_lseek(m->file, 0, SEEK_DATA) >= 0);
		if (i % 5 == 0) {	/* a hole of our own */
			MUST(!fs_fallocate(m->file, &root_cred,
				FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE,
				base + at, len));
			memset(m->want + at, 0, len);
		}
		invalidate_mapping_pages(&m->file->inode->i_data, 0, 1000);
		MUST(read_file(m->file, base + at, m->buf, len) == (ssize_t)len);
		MUST(!memcmp(m->buf, m->want + at, len));
	}
	return 0;
}

static void *mate_thread(void *arg)
{
	struct mate *m = arg;

	m->line = mate_run(m);
	return NULL;
}

static void threads_share_a_file(void)
{
	static struct mate mates[6];
	pthread_t thread[6];
	struct open_file *file;

	make_top();
	start(top);
	file = new_file("f", 0);
	CU_ASSERT_EQUAL(fs_truncate(file->inode, 6 * sizeof(mates[0].want)), 0);
	for (unsigned int i = 0; i < 6; i++) {
		mates[i].file = file;
		mates[i].nr = i;
		BUG_ON(pthread_create(&thread[i], NULL, mate_thread, &mates[i]));
	}
	for (unsigned int i = 0; i < 6; i++) {
		pthread_join(thread[i], NULL);
		CU_ASSERT_EQUAL(mates[i].line, 0);
	}
	fs_release(file);
	stop();
	remove_top();
}

static void copy_between_files(void)
{
	struct open_file *a, *b;
	char buf[10];
	ssize_t n;

	make_top();
	start(top);
	a = new_file("a", 0);
	b = new_file("b", 0);
	CU_ASSERT_EQUAL(fs_write(a, &root_cred, 0, "0123456789", 10), 10);
	CU_ASSERT_EQUAL(fs_write(b, &root_cred, 0, "xxxxx", 5), 5);
	n = fs_copy_file_range(a, 2, b, 4, &root_cred, 4);
	if (n == -EOPNOTSUPP)
		test_skip("the store does not copy");
	CU_ASSERT_EQUAL(n, 4);
	CU_ASSERT_EQUAL(read_file(b, 0, buf, sizeof(buf)), 8);
	CU_ASSERT(!memcmp(buf, "xxxx2345", 8));
	CU_ASSERT_EQUAL(fs_copy_file_range(b, 2, a, 9, &root_cred, 100), 6);
	CU_ASSERT_EQUAL(i_size_read(&a->inode->i_data), 15);
	CU_ASSERT_EQUAL(fs_copy_file_range(a, 15, b, 0, &root_cred, 5), 0);
	CU_ASSERT_EQUAL(fs_copy_file_range(a, 0, a, 3, &root_cred, 5), -EINVAL);
	fs_release(a);
	fs_release(b);
	stop();
	remove_top();
}

static const struct test_case cases[] = {
	{ "random operations agree with a plain file", twins_agree },
	{ "O_APPEND appends, except for the kernel's writeback",
	  append_and_writeback },
	{ "O_TRUNC empties the file; a directory is no file", truncating_open },
	{ "O_SYNC and O_DSYNC writes are in the backing file",
	  synchronous_write },
	{ "sizes and ranges out of bounds are refused", too_large },
	{ "a truncate waits for the write of its last page",
	  truncate_waits_for_writes },
	{ "each open file hears of an error once", errors_are_reported_once },
	{ "an fsync without open file reports unseen errors",
	  unseen_error_without_open_file },
	{ "a full store is the writer's to know, 1 MiB a write",
	  full_by_large_writes },
	{ "a full store is the writer's to know, 4 KiB a write",
	  full_by_small_writes },
	{ "threads share a file", threads_share_a_file },
	{ "copies go from file to file", copy_between_files },
};

int main(void)
{
	return test_main("fs/file", cases, ARRAY_SIZE(cases));
}
