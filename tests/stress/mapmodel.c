// SPDX-License-Identifier: BSD-2-Clause
/*
 * tests/stress/mapmodel.c - what every byte must be, and who put it there
 *
 * What is written is not random: each aligned word of 8 bytes holds the number
 * of the operation that wrote it and a hash of its place, so that a wrong byte
 * tells on sight whether it is stale, lost, early or from elsewhere.
 *
 *	word at pos = op << 32 | hash(pos / 8)
 *
 * With --apart op is the process's own number, times MAX_PROCS, and its id.
 *
 * The log of operations is a ring; a failure prints those that touched the
 * bytes in question.
 */
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "maptwins.h"
#include "splitmix.h"

#define LOG_SIZE	65536	/* operations remembered; arbitrary */
#define LOG_SHOWN	20

struct inode inodes[NR_INODES];
int names[MAX_FILES];
struct proc *procs[MAX_PROCS];
uint64_t op_nr;

static uint64_t rng;

static struct log_entry {
	uint64_t nr;
	int inode;
	uint64_t pos, end;
	char text[104];
} *ring;
static uint64_t ring_next;

uint64_t rnd(void)
{
	return splitmix64(&rng);
}

void rnd_seed(uint64_t seed)
{
	rng = seed;
}

uint64_t below(uint64_t n)
{
	return n ? rnd() % n : 0;
}

const char *file_path(const char *dir, int file)
{
	static char path[4096];

	snprintf(path, sizeof(path), "%s/maptwins.%d", dir, file);
	return path;
}

/* ---- patterns ---- */

static uint32_t place_hash(uint64_t word)
{
	return (uint32_t)((word * 0x9e3779b97f4a7c15ULL) >> 32) | 1;
}

static uint64_t pattern_word(uint64_t op, uint64_t word)
{
	return op << 32 | place_hash(word);
}

void pattern_fill(uint8_t *buf, uint64_t op, size_t pos, size_t len)
{
	const size_t end = pos + len;

	while (pos < end) {
		uint64_t word = pattern_word(op, pos / 8);
		size_t off = pos % 8, n = 8 - off;

		if (n > end - pos)
			n = end - pos;
		memcpy(buf, (uint8_t *)&word + off, n);
		buf += n;
		pos += n;
	}
}

void pattern_tell(char *text, size_t size, const uint8_t *page, size_t pos)
{
	const size_t off = pos % PAGE & ~7UL;
	uint64_t word;

	memcpy(&word, page + off, sizeof(word));
	if (!word)
		snprintf(text, size, "zeros");
	else if ((uint32_t)word == place_hash(pos / 8) && opt.apart)
		snprintf(text, size, "p%u's operation %" PRIu64 "'s",
			 (unsigned int)(word >> 32) % MAX_PROCS,
			 (word >> 32) / MAX_PROCS);
	else if ((uint32_t)word == place_hash(pos / 8))
		snprintf(text, size, "operation %" PRIu64 "'s", word >> 32);
	else
		snprintf(text, size, "%016" PRIx64 ", of no one operation here",
			 word);
}

/* ---- files ---- */

static void mark_used(const struct proc *pr)
{
	for (int f = 0; f < MAX_FILES; f++)
		for (int i = 0; i < NR_FDS; i++)
			if (pr->fds[f][i] >= 0)
				inodes[pr->fds[f][i]].used = true;
	for (int s = 0; s < NR_SLOTS; s++)
		for (uint32_t i = 0; pr->slots[s].addr && i < pr->slots[s].nr; i++)
			if (pr->slots[s].pages[i].inode >= 0)
				inodes[pr->slots[s].pages[i].inode].used = true;
	if (pr->forked)
		mark_used(pr->forked);
}

static void inodes_collect(void)
{
	for (int i = 0; i < NR_INODES; i++)
		inodes[i].used = inodes[i].file >= 0;
	for (unsigned int i = 0; i < opt.procs; i++)
		if (procs[i])
			mark_used(procs[i]);
}

int inode_new(int file)
{
	int i = 0;

	for (int pass = 0; pass < 2; pass++) {
		for (i = 0; i < NR_INODES && inodes[i].used; i++)
			;
		if (i < NR_INODES)
			break;
		inodes_collect();
	}
	if (i == NR_INODES)
		die(-1, 0, 0, "too many files that are deleted and in use");
	if (!inodes[i].data) {
		inodes[i].data = mmap(NULL, opt.maxlen + PAGE,
				      PROT_READ | PROT_WRITE,
				      MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
		if (inodes[i].data == MAP_FAILED)
			die(-1, 0, 0, "out of memory");
	}
	memset(inodes[i].data, 0, inodes[i].high);
	inodes[i].high = inodes[i].size = 0;
	inodes[i].spot = 0;
	inodes[i].used = true;
	inodes[i].file = file;
	return i;
}

void inode_zero(struct inode *ino, size_t pos, size_t len)
{
	if (pos < ino->high)
		memset(ino->data + pos, 0,
		       pos + len < ino->high ? len : ino->high - pos);
}

void inode_resize(struct inode *ino, size_t size)
{
	if (size < ino->size)
		inode_zero(ino, size, ino->size - size);
	ino->size = size;
	if (size > ino->high)
		ino->high = size;
}

/* ---- the log ---- */

void note(int inode, uint64_t pos, uint64_t len, const char *fmt, ...)
{
	struct log_entry *e;
	va_list ap;

	if (!ring)
		ring = calloc(LOG_SIZE, sizeof(*ring));
	if (!ring)
		exit(2);
	e = &ring[ring_next++ % LOG_SIZE];
	e->nr = op_nr;
	e->inode = inode;
	e->pos = pos;
	e->end = pos + len < pos ? UINT64_MAX : pos + len;
	va_start(ap, fmt);
	vsnprintf(e->text, sizeof(e->text), fmt, ap);
	va_end(ap);
	if (opt.verbose)
		fprintf(stderr, "%8" PRIu64 ": %s\n", e->nr, e->text);
}

static void show_log(int inode, uint64_t pos, uint64_t len)
{
	const uint64_t end = pos + len < pos ? UINT64_MAX : pos + len;
	const struct log_entry *found[LOG_SHOWN];
	int nr = 0;

	for (uint64_t i = ring_next; ring && i-- > 0 && nr < LOG_SHOWN;) {
		const struct log_entry *e = &ring[i % LOG_SIZE];

		if (ring_next - i > LOG_SIZE)
			break;
		if (inode < 0 || e->inode < 0 ||
		    (e->inode == inode && e->pos < end && pos < e->end))
			found[nr++] = e;
	}
	fprintf(stderr, "maptwins: the last %d operations there:\n", nr);
	while (nr-- > 0)
		fprintf(stderr, "%8" PRIu64 ": %s\n", found[nr]->nr,
			found[nr]->text);
}

void die(int inode, uint64_t pos, uint64_t len, const char *fmt, ...)
{
	va_list ap;

	show_log(inode, pos, len);
	va_start(ap, fmt);
	fprintf(stderr, "maptwins: seed %" PRIu64 ", operation %" PRIu64 ": ",
		opt.seed, op_nr);
	vfprintf(stderr, fmt, ap);
	fputc('\n', stderr);
	va_end(ap);
	exit(1);
}

/* ---- comparing ---- */

/* How many bytes from @at on differ, with gaps of less than a word. */
static size_t run_of_wrong(const uint8_t *a, const uint8_t *b, size_t at,
			   size_t len)
{
	size_t last = at;

	for (size_t i = at; i < len && i - last <= 8; i++)
		if (a[i] != b[i])
			last = i;
	return last - at + 1;
}

void compare(int inode, size_t pos, const uint8_t *buf, size_t len,
	     const char *by)
{
	const uint8_t *want = inodes[inode].data + pos;
	char is[64], must[64];
	uint8_t page[PAGE] = { 0 };
	size_t at, from, to, tell;

	if (!memcmp(want, buf, len))
		return;
	for (at = 0; want[at] == buf[at]; at++)
		;
	/* Pages of both, as far as we have them, for what they say. */
	from = (pos + at) / PAGE * PAGE;
	to = from + PAGE;
	from = from < pos ? pos : from;
	to = to > pos + len ? pos + len : to;
	memcpy(page + from % PAGE, buf + (from - pos), to - from);
	/* The word of that byte, or the next: the first that is all there. */
	tell = pos + at;
	if (tell / 8 * 8 < from && tell / 8 * 8 + 8 < to)
		tell = tell / 8 * 8 + 8;
	pattern_tell(is, sizeof(is), page, tell);
	pattern_tell(must, sizeof(must),
		     inodes[inode].data + tell / PAGE * PAGE, tell);
	die(inode, pos + at, 1,
	    "file %d (inode %d, size %zu), by %s: byte %#zx (page %zu + %zu) is %02x (%s), must be %02x (%s); %zu bytes from there on",
	    inodes[inode].file, inode, inodes[inode].size, by, pos + at,
	    (pos + at) / PAGE, (pos + at) % PAGE, buf[at], is, want[at], must,
	    run_of_wrong(want, buf, at, len));
}

/* Not through the kernel's cache, which does not hear of O_DIRECT writes that
 * are under way; where the file system has no O_DIRECT, as it comes. */
static int open_backing(int inode)
{
	const char *path;
	int fd;

	if (!opt.backing || inodes[inode].file < 0)
		return -1;
	path = file_path(opt.backing, inodes[inode].file);
	fd = open(path, O_RDONLY | O_DIRECT | O_CLOEXEC);
	if (fd < 0)
		fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		die(inode, 0, UINT64_MAX, "%s: %s", path, strerror(errno));
	return fd;
}

void compare_backing(int inode, size_t pos, size_t len, const char *when)
{
	static uint8_t *buf;
	int fd = open_backing(inode);
	const size_t end = pos + len < inodes[inode].size ?
		pos + len : inodes[inode].size;

	if (fd < 0)
		return;
	if (!buf && posix_memalign((void **)&buf, PAGE, BUF_SIZE))
		exit(2);
	for (pos -= pos % PAGE; pos < end; pos += BUF_SIZE) {
		size_t want = end - pos < BUF_SIZE ? end - pos : BUF_SIZE;
		ssize_t n = pread(fd, buf, BUF_SIZE, (off_t)pos);

		/* Where it ends early there can be nothing but zeros: msync
		 * of a range does not make the whole size last. */
		if (n < 0)
			die(inode, pos, want, "%s, reading the stored file: %s",
			    when, strerror(errno));
		if (n < (ssize_t)want)
			memset(buf + n, 0, want - (size_t)n);
		compare(inode, pos, buf, want, when);
	}
	close(fd);
}

void compare_backing_size(int inode, const char *when)
{
	struct stat st;
	int fd = open_backing(inode);

	if (fd < 0)
		return;
	if (fstat(fd, &st))
		die(inode, 0, UINT64_MAX, "fstat: %s", strerror(errno));
	if ((size_t)st.st_size != inodes[inode].size)
		die(inode, 0, UINT64_MAX,
		    "%s, the stored file has %jd bytes, must have %zu", when,
		    (intmax_t)st.st_size, inodes[inode].size);
	close(fd);
}
