// SPDX-License-Identifier: BSD-2-Clause
/*
 * tests/stress/mapcount.c - does any store to a mapping get lost?
 *
 *   mapcount [options] FILE
 *
 * Processes with several threads each map all of a file that is larger than the
 * daemon's memory, so that pages come and go under their stores all the time.
 *
 * count: random counters of 8 bytes, anywhere, are incremented by everybody,
 * each incrementer keeping a tally; a burst stays in one page, so that the page
 * may well go in the middle of it. A tally a page is kept as well, to say which
 * pages have lost or doubled something.
 *
 * seq: a page has one owner, thread (page % threads), who writes it as a whole:
 * a number that grows, and 4 KiB that follow from it. What the owner finds
 * there must be what he left, through his mapping or read(2).
 *
 * Afterwards: through the mapping of a process that did not write it, through
 * read(2), and as it is stored (--backing), nothing is missing.
 */
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "clock.h"
#include "mapper.h"
#include "options.h"
#include "splitmix.h"
#include "workers.h"

#define PAGE		4096u
#define WORDS		(PAGE / 8)
#define MAX_THREADS	256	/* of all processes together; arbitrary */
#define HOT_PAGES	512u	/* a quarter of all bursts goes there */
#define MAX_BURST	32u
#define TOLD		10	/* wrong pages a failure shows */
#define CHUNK		(1u << 20)
#define HUNG_SECONDS	180	/* for msync and all, of 2 GiB; a guess */

static struct {
	const char *file, *backing;
	uint64_t size, seed;
	unsigned int procs, threads, seconds;
	bool plain, direct, keep, count, seq;
} opt = {
	.size = 128ULL << 20, .procs = 2, .threads = 2, .seconds = 5,
	.count = true, .seq = true,
};

/* Shared by the processes. A page's seq is its owner's alone. */
struct shared {
	uint64_t tallies[MAX_THREADS];	/* each its thread's */
	uint64_t wrong;			/* findings, in all processes */
	uint32_t seq[];			/* of each page: last written */
};

static struct shared *shared;
static uint64_t *page_tally;		/* (A) increments of each page */
static uint64_t nr_pages;

static struct {
	unsigned int id;
	struct mapper mapper;
	int fd;
	uint8_t *map;
	double until;
} me;

struct thread {
	pthread_t thread;
	unsigned int id;		/* over all processes */
	uint64_t rng, tally;
};

__attribute__((noreturn, format(printf, 1, 2)))
static void die(const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	fprintf(stderr, "mapcount: seed %" PRIu64 ": ", opt.seed);
	vfprintf(stderr, fmt, ap);
	fputc('\n', stderr);
	va_end(ap);
	exit(1);
}

/* Tells the first few; counts them all. */
__attribute__((format(printf, 1, 2)))
static void wrong(const char *fmt, ...)
{
	va_list ap;

	if (__atomic_fetch_add(&shared->wrong, 1, __ATOMIC_RELAXED) >= TOLD)
		return;
	va_start(ap, fmt);
	fprintf(stderr, "mapcount: seed %" PRIu64 ": ", opt.seed);
	vfprintf(stderr, fmt, ap);
	fputc('\n', stderr);
	va_end(ap);
}

/* ---- a process: opens, maps, runs its threads ---- */

static void map_file(void)
{
	void *at;
	int err;

	me.mapper.plain = opt.plain;
	me.fd = open(opt.file, O_RDWR | O_CLOEXEC |
		     (opt.direct ? O_DIRECT : 0));
	if (me.fd < 0)
		die("%s: %s", opt.file, strerror(errno));
	err = mapper_mmap(&me.mapper, NULL, opt.size, PROT_READ | PROT_WRITE,
			  MAP_SHARED, me.fd, 0, &at);
	if (err)
		die("mmap: %s", strerror(-err));
	me.map = at;
}

static void unmap_file(void)
{
	int err = mapper_msync(&me.mapper, me.map, opt.size, MS_SYNC);

	if (err)
		die("msync: %s", strerror(-err));
	err = mapper_munmap(&me.mapper, me.map, opt.size);
	if (err)
		die("munmap: %s", strerror(-err));
	mapper_disconnect(&me.mapper);
	close(me.fd);
}

static void process_main(unsigned int id, void *(*fn)(void *arg))
{
	struct thread threads[MAX_THREADS];

	me.id = id;
	me.until = now() + opt.seconds;
	map_file();
	for (unsigned int i = 0; i < opt.threads; i++) {
		struct thread *t = &threads[i];

		t->id = id * opt.threads + i;
		t->rng = opt.seed * MAX_THREADS + t->id;
		t->tally = 0;
		if (pthread_create(&t->thread, NULL, fn, t))
			die("pthread_create failed");
	}
	for (unsigned int i = 0; i < opt.threads; i++) {
		pthread_join(threads[i].thread, NULL);
		shared->tallies[threads[i].id] = threads[i].tally;
	}
	unmap_file();
}

static pid_t start_process(unsigned int id, void *(*fn)(void *arg))
{
	pid_t pid = fork_worker();

	if (pid < 0)
		die("fork: %s", strerror(errno));
	if (!pid) {
		process_main(id, fn);
		_exit(0);
	}
	return pid;
}

/* Return: what all threads have done. */
static uint64_t run(void *(*fn)(void *arg))
{
	const double deadline = now() + opt.seconds + HUNG_SECONDS;
	pid_t pids[MAX_THREADS], failed;
	uint64_t sum = 0;
	int status;

	memset(shared->tallies, 0, sizeof(shared->tallies));
	for (unsigned int i = 0; i < opt.procs; i++)
		pids[i] = start_process(i, fn);
	failed = wait_for_workers(pids, opt.procs, deadline, &status);
	if (failed)
		die("process %d %s (status %#x)", (int)failed,
		    status < 0 ? "hangs" : "failed", status);
	for (unsigned int i = 0; i < MAX_THREADS; i++)
		sum += shared->tallies[i];
	return sum;
}

/* ---- count ---- */

static uint64_t some_page(uint64_t *rng)
{
	if (splitmix64(rng) % 4)
		return splitmix64(rng) % nr_pages;
	/* hot ones lie apart from each other */
	return splitmix64(rng) % HOT_PAGES * (nr_pages / HOT_PAGES + 1) % nr_pages;
}

static void *count_thread(void *arg)
{
	struct thread *t = arg;

	while (now() < me.until) {
		uint64_t page = some_page(&t->rng);
		uint64_t *words = (uint64_t *)(me.map + page * PAGE);
		const unsigned int burst = 1 +
			(unsigned int)(splitmix64(&t->rng) % MAX_BURST);

		for (unsigned int i = 0; i < burst; i++)
			__atomic_fetch_add(&words[splitmix64(&t->rng) % WORDS], 1,
					   __ATOMIC_RELAXED);
		__atomic_fetch_add(&page_tally[page], burst, __ATOMIC_RELAXED);
		t->tally += burst;
	}
	return NULL;
}

/* ---- seq ---- */

static void seq_fill(uint64_t *words, uint64_t page, uint32_t seq)
{
	uint64_t rng = page << 32 | seq;

	words[0] = rng;
	for (unsigned int i = 1; i < WORDS; i++)
		words[i] = seq ? splitmix64(&rng) : 0;
	if (!seq)
		words[0] = 0;	/* never written */
}

/* Whoever is told is not told by memcmp() of a page that is being written: the
 * owner checks, or all have stopped. */
static bool seq_check(const uint64_t *words, uint64_t page, uint32_t seq,
		      const char *by)
{
	uint64_t must[WORDS];
	unsigned int i = 0;

	seq_fill(must, page, seq);
	if (!memcmp(words, must, PAGE))
		return true;
	while (words[i] == must[i])
		i++;
	wrong("page %" PRIu64 " by %s: sequence %" PRIu64 " (of page %" PRIu64 "), must be %u; word %u is %016" PRIx64 ", must be %016" PRIx64,
	      page, by, words[0] & UINT32_MAX, words[0] >> 32, seq, i, words[i],
	      must[i]);
	return false;
}

static void seq_visit(struct thread *t, uint64_t page)
{
	uint64_t *words = (uint64_t *)(me.map + page * PAGE), buf[WORDS];
	const uint32_t seq = shared->seq[page];
	const unsigned int how = (unsigned int)(splitmix64(&t->rng) % 32);

	if (how == 0) {
		if (pread(me.fd, buf, PAGE, (off_t)(page * PAGE)) != PAGE)
			die("read: %s", strerror(errno));
		seq_check(buf, page, seq, "read, while it runs");
	} else if (how < 24) {
		memcpy(buf, words, PAGE);
		seq_check(buf, page, seq, "its owner's mapping");
	}
	seq_fill(buf, page, seq + 1);
	if (how == 1) {
		if (pwrite(me.fd, buf, PAGE, (off_t)(page * PAGE)) != PAGE)
			die("write: %s", strerror(errno));
	} else {
		memcpy(words, buf, PAGE);
	}
	shared->seq[page] = seq + 1;
	t->tally++;
}

static void *seq_thread(void *arg)
{
	const unsigned int nr = opt.procs * opt.threads;
	struct thread *t = arg;

	while (now() < me.until) {
		uint64_t page = some_page(&t->rng);

		page = page - page % nr + t->id;
		if (page < nr_pages)
			seq_visit(t, page);
	}
	return NULL;
}

/* A process's mapping shows what another has written. */
static void *seq_verify_thread(void *arg)
{
	const unsigned int nr = opt.procs * opt.threads;
	struct thread *t = arg;
	unsigned int owner = (t->id + opt.threads) % nr;

	for (uint64_t page = owner; page < nr_pages; page += nr) {
		seq_check((uint64_t *)(me.map + page * PAGE), page,
			  shared->seq[page], "another process's mapping");
		t->tally++;
	}
	return NULL;
}

/* ---- afterwards: the bytes, by read(2) and as stored ---- */

static int open_stored(const char *path)
{
	int fd = open(path, O_RDONLY | O_DIRECT | O_CLOEXEC);

	if (fd < 0)
		fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		die("%s: %s", path, strerror(errno));
	return fd;
}

static void each_page(const char *path, int fd, const char *by,
		      void (*fn)(const uint64_t *words, uint64_t page,
				 const char *by))
{
	uint64_t *buf;

	if (posix_memalign((void **)&buf, PAGE, CHUNK))
		die("out of memory");
	for (uint64_t pos = 0; pos < opt.size; pos += CHUNK) {
		uint64_t left = opt.size - pos, want = left < CHUNK ? left : CHUNK;

		if (pread(fd, buf, CHUNK, (off_t)pos) < (ssize_t)want)
			die("%s: cannot be read at %" PRIu64, path, pos);
		for (uint64_t at = 0; at < want; at += PAGE)
			fn(buf + at / 8, (pos + at) / PAGE, by);
	}
	free(buf);
	close(fd);
}

static void everywhere(void (*fn)(const uint64_t *words, uint64_t page,
				  const char *by))
{
	int fd = open(opt.file, O_RDONLY | O_CLOEXEC);

	if (fd < 0)
		die("%s: %s", opt.file, strerror(errno));
	each_page(opt.file, fd, "read", fn);
	if (opt.backing)
		each_page(opt.backing, open_stored(opt.backing),
			  "what is stored", fn);
}

static uint64_t sum_found;

static void count_page(const uint64_t *words, uint64_t page, const char *by)
{
	uint64_t sum = 0;

	for (unsigned int i = 0; i < WORDS; i++)
		sum += words[i];
	sum_found += sum;
	if (sum != page_tally[page])
		wrong("page %" PRIu64 " by %s: %" PRIu64 " increments, must be %" PRIu64 " (%+" PRId64 ")",
		      page, by, sum, page_tally[page],
		      (int64_t)(sum - page_tally[page]));
}

static void seq_page(const uint64_t *words, uint64_t page, const char *by)
{
	seq_check(words, page, shared->seq[page], by);
}

static void make_file(void)
{
	int fd = open(opt.file, O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);

	if (fd < 0 || ftruncate(fd, (off_t)opt.size))
		die("%s: %s", opt.file, strerror(errno));
	close(fd);
}

static void verdict(const char *what, uint64_t done)
{
	if (shared->wrong)
		die("%s: %" PRIu64 " findings after %" PRIu64 " operations",
		    what, shared->wrong, done);
	printf("mapcount: seed %" PRIu64 ": %s: %" PRIu64 " and none lost\n",
	       opt.seed, what, done);
	fflush(stdout);
}

static void run_count(void)
{
	uint64_t done;

	make_file();
	done = run(count_thread);
	everywhere(count_page);
	if (sum_found != done * (opt.backing ? 2 : 1))
		wrong("%" PRIu64 " increments in %d readings, tallies say %" PRIu64 " each",
		      sum_found, opt.backing ? 2 : 1, done);
	verdict("increments", done);
}

static void run_seq(void)
{
	uint64_t done;

	make_file();
	done = run(seq_thread);
	everywhere(seq_page);
	run(seq_verify_thread);
	verdict("pages written", done);
}

static void usage(FILE *f)
{
	fprintf(f, "usage: mapcount [options] FILE\n"
		"  --backing=FILE   where it is stored\n"
		"  --size=MIB       (128)\n"
		"  --procs=N        (2)   --threads=N of each (2)\n"
		"  --seconds=S      for each part (5)\n"
		"  --seed=N         (the time)\n"
		"  --only=PART      count or seq\n"
		"  --plain          map with mmap(2)\n"
		"  --direct         open with O_DIRECT: stores are scanned for\n"
		"  --keep           do not remove the file\n");
}

static bool pick_part(char *name)
{
	opt.count = !strcmp(name, "count");
	opt.seq = !strcmp(name, "seq");
	return opt.count || opt.seq;
}

static const struct program_option options[] = {
	{ "backing", .text = &opt.backing },
	{ "size", .u64 = &opt.size, .shift = 20 },
	{ "procs", .uint = &opt.procs },
	{ "threads", .uint = &opt.threads },
	{ "seconds", .uint = &opt.seconds },
	{ "seed", .u64 = &opt.seed },
	{ "only", .call = pick_part },
	{ "plain", .on = &opt.plain },
	{ "direct", .on = &opt.direct },
	{ "keep", .on = &opt.keep },
	{ .name = NULL },
};

static bool parse(int argc, char **argv)
{
	int first = parse_options(options, argc, argv, usage);

	if (!first || first + 1 != argc)
		return false;
	opt.file = argv[first];
	return opt.size && opt.procs && opt.threads &&
		opt.procs * opt.threads <= MAX_THREADS;
}

int main(int argc, char **argv)
{
	opt.seed = (uint64_t)time(NULL);
	if (!parse(argc, argv)) {
		usage(stderr);
		return 2;
	}
	nr_pages = opt.size / PAGE;
	shared = shared_memory(sizeof(*shared) +
			       nr_pages * sizeof(shared->seq[0]));
	page_tally = shared_memory(nr_pages * sizeof(*page_tally));
	if (!shared || !page_tally)
		die("out of memory");
	if (opt.count)
		run_count();
	if (opt.seq)
		run_seq();
	if (!opt.keep)
		unlink(opt.file);
	return 0;
}
