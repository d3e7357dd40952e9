// SPDX-License-Identifier: BSD-2-Clause
/*
 * tests/stress/twins.c - the same random operations on two file systems
 *
 *   twins [-s SEED] [-n OPS | -t SECONDS] [-f FILES] [-l MAXLEN] [-B] DIR REFERENCE
 *
 * Every operation is done to a file below DIR and to its twin below REFERENCE;
 * result, errno and data must agree, and now and then whole files and their
 * attributes are compared. The reference is the kernel's own file system, so
 * nothing here knows what the right answer is. After the idea of fsx, with
 * several files, descriptors, names and the calls fsx has not got. -B: what
 * stat says of blocks is not compared (cache=writeback: the kernel has data
 * that the daemon has not heard of).
 */
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <linux/falloc.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include "splitmix.h"

#define MAX_FILES	16
#define ARRAY_SIZE(a)	(sizeof(a) / sizeof((a)[0]))

static const char *dirs[2];
static bool blocks_tell = true;
static int nr_files = 4;
static size_t maxlen = 1 << 20;
static uint64_t rng, seed, op_count;
static int fds[2][MAX_FILES];		/* -1: closed */
static char *buf[2];

static uint64_t rnd(void)
{
	return splitmix64(&rng);
}

static uint64_t below(uint64_t n)
{
	return n ? rnd() % n : 0;
}

/* The last operations, for the reader of a failure. */
#define NOTES	24
static char notes[NOTES][80];

__attribute__((format(printf, 1, 2)))
static void note(const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(notes[op_count % NOTES], sizeof(notes[0]), fmt, ap);
	va_end(ap);
}

__attribute__((noreturn, format(printf, 1, 2)))
static void die(const char *fmt, ...)
{
	va_list ap;

	for (uint64_t i = op_count < NOTES ? 0 : op_count - NOTES + 1;
	     i <= op_count; i++)
		fprintf(stderr, "%8" PRIu64 ": %s\n", i, notes[i % NOTES]);
	va_start(ap, fmt);
	fprintf(stderr, "twins: seed %" PRIu64 ", operation %" PRIu64 ": ",
		seed, op_count);
	vfprintf(stderr, fmt, ap);
	fputc('\n', stderr);
	va_end(ap);
	exit(1);
}

static void agree(const char *op, long a, int erra, long b, int errb)
{
	if (a != b || (a < 0 && erra != errb))
		die("%s: %ld (%s) here, %ld (%s) there", op, a,
		    a < 0 ? strerror(erra) : "ok", b,
		    b < 0 ? strerror(errb) : "ok");
}

/* Do @call once for each twin (i is 0 and 1) and compare what it returns. */
#define BOTH(op, call) ({						\
	long __r[2];							\
	int __e[2];							\
	for (int i = 0; i < 2; i++) {					\
		errno = 0;						\
		__r[i] = (call);					\
		__e[i] = errno;						\
	}								\
	agree(op, __r[0], __e[0], __r[1], __e[1]);			\
	__r[0]; })

static char paths[2][2][4096];

static const char *path_in(int slot, int i, int f)
{
	char *p = paths[slot][i];

	snprintf(p, sizeof(paths[slot][i]), "%s/twin.%d", dirs[i], f);
	return p;
}

static const char *path(int i, int f)
{
	return path_in(0, i, f);
}

/* The second name of an operation that has two. */
static const char *path2(int i, int f)
{
	return path_in(1, i, f);
}

/* Lengths and offsets that like page boundaries. */
static size_t some_pos(void)
{
	size_t pos = below(maxlen);

	switch (below(4)) {
	case 0: return pos & ~4095UL;
	case 1: return (pos & ~4095UL) + below(3) - 1 + 4096;
	default: return pos;
	}
}

static size_t some_len(void)
{
	switch (below(4)) {
	case 0: return 1 + below(100);
	case 1: return 4096 * (1 + below(16));
	case 2: return 1 + below(10000);
	default: return 1 + below(300000);
	}
}

static void fill(size_t len)
{
	uint64_t v = rnd();

	for (size_t i = 0; i < len; i++)
		buf[0][i] = buf[1][i] = (char)(v >> (i % 8 * 8)) + (char)(i >> 8);
}

static void op_open(int f)
{
	static const int flags[] = {
		O_RDWR, O_RDWR | O_CREAT, O_RDWR | O_CREAT | O_TRUNC,
		O_RDWR | O_CREAT | O_EXCL, O_RDWR | O_APPEND | O_CREAT,
		O_RDWR | O_CREAT | O_DSYNC,
	};
	int fl = flags[below(ARRAY_SIZE(flags))];
	int err[2];

	note("open or close twin.%d flags %#o", f, fl);
	if (fds[0][f] >= 0) {
		BOTH("close", close(fds[i][f]));
		fds[0][f] = fds[1][f] = -1;
		return;
	}
	for (int i = 0; i < 2; i++) {
		fds[i][f] = open(path(i, f), fl, 0644);
		err[i] = errno;
	}
	agree("open", fds[0][f] < 0 ? -1 : 0, err[0],
	      fds[1][f] < 0 ? -1 : 0, err[1]);
}

static void op_write(int f)
{
	size_t pos = some_pos(), len = some_len();

	note("pwrite twin.%d %zu+%zu", f, pos, len);
	fill(len);
	BOTH("pwrite", pwrite(fds[i][f], buf[i], len, pos));
}

static void op_append(int f)
{
	size_t len = some_len();
	off_t end = BOTH("lseek end", lseek(fds[i][f], 0, SEEK_END));

	if (end >= (off_t)maxlen)
		return;
	note("append twin.%d %jd+%zu", f, (intmax_t)end, len);
	fill(len);
	BOTH("write", write(fds[i][f], buf[i], len));
}

static void op_read(int f)
{
	size_t pos = some_pos(), len = some_len();
	long n;

	note("pread twin.%d %zu+%zu", f, pos, len);
	n = BOTH("pread", pread(fds[i][f], buf[i], len, pos));

	if (n > 0 && memcmp(buf[0], buf[1], n)) {
		long at = 0;

		while (buf[0][at] == buf[1][at])
			at++;
		die("pread twin.%d %zu+%zu: byte %ld differs: %02x here, %02x there",
		    f, pos, len, pos + at, (unsigned char)buf[0][at],
		    (unsigned char)buf[1][at]);
	}
}

static void op_truncate(int f)
{
	size_t len = some_pos();

	note("truncate twin.%d %zu", f, len);
	if (below(2))
		BOTH("ftruncate", ftruncate(fds[i][f], len));
	else
		BOTH("truncate", truncate(path(i, f), len));
}

static void op_fsync(int f)
{
	note("fsync twin.%d", f);
	if (below(2))
		BOTH("fsync", fsync(fds[i][f]));
	else
		BOTH("fdatasync", fdatasync(fds[i][f]));
}

static void op_fallocate(int f)
{
	static const int modes[] = {
		0, FALLOC_FL_KEEP_SIZE,
		FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE,
		FALLOC_FL_ZERO_RANGE,
		FALLOC_FL_ZERO_RANGE | FALLOC_FL_KEEP_SIZE,
	};
	int mode = modes[below(ARRAY_SIZE(modes))];
	size_t pos = some_pos(), len = some_len();

	note("fallocate twin.%d mode %d %zu+%zu", f, mode, pos, len);
	BOTH("fallocate", fallocate(fds[i][f], mode, pos, len));
}

static void op_copy(int f)
{
	int g = below(nr_files);
	size_t from = some_pos(), to = some_pos(), len = some_len();
	off_t a, b;

	if (fds[0][g] < 0)
		return;
	/* An O_APPEND target is EBADF in both; fine. A copy may be short where
	 * it likes, so both are told to go on to the end. */
	if (f == g && (from < to ? to - from : from - to) < len)
		return;
	note("copy twin.%d %zu to twin.%d %zu +%zu", f, from, g, to, len);
	for (int i = 0; i < 2; i++) {
		size_t left = len;
		ssize_t n = 0;

		a = from;
		b = to;
		errno = 0;
		while (left && (n = copy_file_range(fds[i][f], &a, fds[i][g], &b,
						    left, 0)) > 0)
			left -= n;
		((long *)buf[i])[0] = n < 0 && left == len ? -errno : (long)(len - left);
	}
	if (((long *)buf[0])[0] != ((long *)buf[1])[0])
		die("copy_file_range twin.%d %zu -> twin.%d %zu +%zu: %ld here, %ld there",
		    f, from, g, to, len, ((long *)buf[0])[0], ((long *)buf[1])[0]);
}

static void op_mmap(int f)
{
	struct stat st, st1;
	size_t pos, len;
	char *map[2];
	bool writing = below(2);

	if (fstat(fds[0][f], &st) || fstat(fds[1][f], &st1) || st.st_size < 1)
		return;
	if (st.st_size != st1.st_size)
		die("fstat twin.%d: %jd bytes here, %jd there", f,
		    (intmax_t)st.st_size, (intmax_t)st1.st_size);
	pos = below(st.st_size);
	len = 1 + below(st.st_size - pos);
	if (len > 300000)
		len = 300000;
	note("mmap twin.%d %zu+%zu%s", f, pos, len, writing ? " write" : "");
	for (int i = 0; i < 2; i++) {
		map[i] = mmap(NULL, st.st_size, PROT_READ | PROT_WRITE,
			      MAP_SHARED, fds[i][f], 0);
		if (map[i] == MAP_FAILED)
			die("mmap %s: %s", path(i, f), strerror(errno));
	}
	if (writing) {
		fill(len);
		for (int i = 0; i < 2; i++)
			memcpy(map[i] + pos, buf[i], len);
	} else if (memcmp(map[0] + pos, map[1] + pos, len)) {
		die("mmap twin.%d %zu+%zu: bytes differ", f, pos, len);
	}
	for (int i = 0; i < 2; i++) {
		/* The one documented limit: mapped writes are seen at msync. */
		if (writing && msync(map[i], st.st_size, MS_SYNC))
			die("msync: %s", strerror(errno));
		munmap(map[i], st.st_size);
	}
}

static void op_rename(int f)
{
	static const unsigned int flags[] = { 0, 0, 1, 2 };
	unsigned int fl = flags[below(ARRAY_SIZE(flags))];
	int g = below(nr_files), t;
	long r;

	note("rename twin.%d twin.%d flags %u", f, g, fl);
	r = BOTH("renameat2", syscall(SYS_renameat2, AT_FDCWD, path(i, f),
				      AT_FDCWD, path2(i, g), fl));
	if (r || f == g)
		return;
	/* Descriptors follow their files. */
	for (int i = 0; i < 2; i++) {
		t = fds[i][f];
		if (fl == 2) {
			fds[i][f] = fds[i][g];
			fds[i][g] = t;
		} else {
			if (fds[i][g] >= 0)
				close(fds[i][g]);
			fds[i][g] = t;
			fds[i][f] = -1;
		}
	}
}

static void op_unlink(int f)
{
	/* An open descriptor stays, and goes on being used. */
	note("unlink twin.%d", f);
	BOTH("unlink", unlink(path(i, f)));
}

static void op_link(int f)
{
	int g = below(nr_files);

	note("link twin.%d twin.%d", f, g);
	if (fds[0][g] < 0)
		BOTH("link", link(path(i, f), path2(i, g)));
}

static void op_seek(int f)
{
	size_t pos = some_pos();
	off_t data[2];

	/*
	 * Where holes are is each file system's business (and zeros may be
	 * data), but what is called a hole must read as zeros.
	 */
	note("seek twin.%d %zu", f, pos);
	data[0] = lseek(fds[0][f], pos, SEEK_DATA);
	if (data[0] > (off_t)pos) {
		size_t len = data[0] - pos;
		ssize_t n;

		if (len > 300000)
			len = 300000;
		n = pread(fds[1][f], buf[1], len, pos);
		for (ssize_t at = 0; at < n; at++)
			if (buf[1][at])
				die("SEEK_DATA %zu says %jd, but byte %zd is data",
				    pos, (intmax_t)data[0], pos + at);
	}
	if (data[0] < 0 && errno != ENXIO)
		die("SEEK_DATA: %s", strerror(errno));
}

static void op_stat(int f)
{
	struct stat st[2];

	note("fstat twin.%d", f);
	if (BOTH("fstat", fstat(fds[i][f], &st[i])))
		return;
	if (st[0].st_size != st[1].st_size || st[0].st_mode != st[1].st_mode ||
	    st[0].st_nlink != st[1].st_nlink)
		die("fstat twin.%d: size %jd mode %o nlink %ju here, %jd %o %ju there",
		    f, (intmax_t)st[0].st_size, st[0].st_mode,
		    (uintmax_t)st[0].st_nlink, (intmax_t)st[1].st_size,
		    st[1].st_mode, (uintmax_t)st[1].st_nlink);
	/* tar takes a file of no blocks for one of no data */
	if (blocks_tell && st[1].st_blocks && !st[0].st_blocks)
		die("fstat twin.%d: no blocks, %jd there", f,
		    (intmax_t)st[1].st_blocks);
}

static void op_utimens(int f)
{
	struct timespec ts[2] = {
		{ (time_t)below(1u << 30), 0 }, { (time_t)below(1u << 30), 0 },
	};
	struct stat st[2];

	note("utimens twin.%d", f);
	BOTH("futimens", futimens(fds[i][f], ts));
	BOTH("fsync", fsync(fds[i][f]));
	BOTH("fstat", fstat(fds[i][f], &st[i]));
	if (st[0].st_mtime != ts[1].tv_sec || st[1].st_mtime != ts[1].tv_sec)
		die("mtime of twin.%d did not stay", f);
}

static void compare_file(int f)
{
	struct stat st[2];
	int fd[2];

	note("compare twin.%d", f);
	for (int i = 0; i < 2; i++)
		fd[i] = open(path(i, f), O_RDONLY);
	if ((fd[0] < 0) != (fd[1] < 0))
		die("twin.%d exists on one side only", f);
	if (fd[0] < 0)
		return;
	fstat(fd[0], &st[0]);
	fstat(fd[1], &st[1]);
	if (st[0].st_size != st[1].st_size)
		die("twin.%d: %jd bytes here, %jd there", f,
		    (intmax_t)st[0].st_size, (intmax_t)st[1].st_size);
	for (off_t pos = 0; pos < st[0].st_size; pos += 1 << 18) {
		ssize_t a = pread(fd[0], buf[0], 1 << 18, pos);
		ssize_t b = pread(fd[1], buf[1], 1 << 18, pos);

		if (a != b || memcmp(buf[0], buf[1], a))
			die("twin.%d differs in %jd+%d", f, (intmax_t)pos, 1 << 18);
	}
	close(fd[0]);
	close(fd[1]);
}

static const struct {
	void (*fn)(int f);
	unsigned int weight;
	bool needs_fd;
} ops[] = {
	{ op_write, 30, true }, { op_read, 30, true }, { op_append, 8, true },
	{ op_truncate, 8, true }, { op_fallocate, 8, true }, { op_copy, 4, true },
	{ op_mmap, 8, true }, { op_fsync, 4, true }, { op_seek, 4, true },
	{ op_stat, 6, true }, { op_utimens, 1, true }, { op_open, 8, false },
	{ op_rename, 3, false }, { op_unlink, 2, false }, { op_link, 1, false },
	{ compare_file, 1, false },
};

static void one_op(void)
{
	unsigned int total = 0, pick, k;
	int f = below(nr_files);

	for (k = 0; k < ARRAY_SIZE(ops); k++)
		total += ops[k].weight;
	pick = below(total);
	for (k = 0; pick >= ops[k].weight; k++)
		pick -= ops[k].weight;
	op_count++;
	if (ops[k].needs_fd && fds[0][f] < 0)
		op_open(f);
	else
		ops[k].fn(f);
}

int main(int argc, char **argv)
{
	uint64_t max_ops = 20000;
	time_t until = 0;
	int c;

	seed = time(NULL);
	while ((c = getopt(argc, argv, "s:n:t:f:l:B")) != -1) {
		switch (c) {
		case 's': seed = strtoull(optarg, NULL, 0); break;
		case 'n': max_ops = strtoull(optarg, NULL, 0); break;
		case 't': until = time(NULL) + atoi(optarg); break;
		case 'f': nr_files = atoi(optarg); break;
		case 'B': blocks_tell = false; break;
		case 'l': maxlen = strtoull(optarg, NULL, 0); break;
		default: goto usage;
		}
	}
	if (argc - optind != 2 || nr_files < 1 || nr_files > MAX_FILES)
		goto usage;
	dirs[0] = argv[optind];
	dirs[1] = argv[optind + 1];
	rng = seed;
	buf[0] = malloc(1 << 20);
	buf[1] = malloc(1 << 20);
	if (!buf[0] || !buf[1])
		return 1;
	for (int f = 0; f < MAX_FILES; f++)
		fds[0][f] = fds[1][f] = -1;
	while (until ? time(NULL) < until : op_count < max_ops)
		one_op();
	for (int f = 0; f < nr_files; f++)
		compare_file(f);
	printf("twins: seed %" PRIu64 ": %" PRIu64 " operations agree\n",
	       seed, op_count);
	return 0;

usage:
	fprintf(stderr, "usage: twins [-s SEED] [-n OPS | -t SECONDS] [-f FILES] [-l MAXLEN] [-B] DIR REFERENCE\n");
	return 2;
}
