// SPDX-License-Identifier: BSD-2-Clause
/*
 * tests/stress/forktree.c - a tree of processes that store to memory without a
 *                           file, fork, kill each other, and look
 *
 *   forktree [options] FILE
 *
 *   root --fork--> child --fork--> child       up to --procs at a time
 *                    +-- killed, at any moment, its first included
 *
 *                  of the daemon                    what there should be
 *   private memory, copies of FILE: a page follows  a tag for each page, in the
 *     from its tag, or is as it was at first        process's own memory
 *   shared memory: counters                         the same, MAP_SHARED
 *
 * The models are the kernel's: a child has its parent's tags because fork(2) is
 * right about an array. What was done to the two at one time in the parent is at
 * one time in the child, too.
 *
 * A process that is killed may have counted in one place and not in the other:
 * it says which page it is at, and that one may then be off by one.
 *
 * Prints what is wrong, and one line at the end. Repeats with --seed, as far as
 * the scheduler lets it.
 */
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <signal.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>
#include <pagefs/pagefs.h>

#include "clock.h"
#include "options.h"
#include "splitmix.h"

#define PAGE		4096ul
#define WORDS		(PAGE / 8)
#define RW		(PROT_READ | PROT_WRITE)
#define MAX_PAGES	16384u
#define SHARED_PAGES	64u
/* A place may be lost with a process that is killed before it has said its pid,
 * and whose parent is, too. */
#define MAX_SLOTS	256u
#define MAX_RUN		16u	/* pages madvise() and mprotect() take; arbitrary */
#define FIRST_TAG	0u	/* zeros, or the file */

static struct {
	uint64_t seed;
	unsigned int seconds, procs, pages;
} opt = { .seconds = 5, .procs = 64, .pages = 256 };

/* One for each process. All (A). */
struct slot {
	atomic_int taken, pid;
	atomic_uint at;		/* shared page + 1 that is being counted in */
};

/* All of the kernel's memory, MAP_SHARED. All (A). */
struct model {
	struct slot slots[MAX_SLOTS];
	atomic_ulong counts[SHARED_PAGES];
	atomic_uint slack[SHARED_PAGES];
	atomic_uint nr_procs, nr_forks, nr_kills, nr_failed;
	atomic_ulong nr_ops;
};

static struct model *model;

/* A private area and its tags, which are this process's own. */
struct area {
	char *addr;
	uint32_t tags[MAX_PAGES];
	bool is_file;
};

static struct area areas[2];
static char *shared;
static struct pagefs *conn;

static struct {
	struct slot *slot;
	uint64_t random;
	double until;
	pid_t children[MAX_SLOTS];
	unsigned int nr_children;
	bool is_root;
} me;

static void wrong(const char *fmt, ...) __attribute__((format(printf, 1, 2)));

/* Several processes may be at it: a line is one write. */
static void wrong(const char *fmt, ...)
{
	char line[256];
	va_list ap;
	int len, more;

	len = snprintf(line, sizeof(line), "forktree: %d: ", getpid());
	va_start(ap, fmt);
	more = vsnprintf(line + len, sizeof(line) - (size_t)len - 1, fmt, ap);
	va_end(ap);
	len += more;
	line[len++] = '\n';
	if (write(STDERR_FILENO, line, (size_t)len) < 0)
		len = 0;
	atomic_fetch_add(&model->nr_failed, 1);
	_exit(1);
}

static unsigned int pick(unsigned int n)
{
	return (unsigned int)(splitmix64(&me.random) % n);
}

/* ---- private pages ---- */

static uint64_t tagged_word(unsigned int page, uint32_t tag, size_t word)
{
	return ((uint64_t)tag << 32 | page) * 0x9e3779b97f4a7c15u + word;
}

/* Of FILE, as root has made it. */
static uint64_t file_word(unsigned int page, size_t word)
{
	return tagged_word(page, UINT32_MAX, word);
}

static uint64_t word_should_be(const struct area *area, unsigned int page,
			       size_t word)
{
	const uint32_t tag = area->tags[page];

	if (tag != FIRST_TAG)
		return tagged_word(page, tag, word);
	return area->is_file ? file_word(page, word) : 0;
}

static uint64_t *words_of(const struct area *area, unsigned int page)
{
	return (uint64_t *)(area->addr + page * PAGE);
}

static void check_page(const struct area *area, unsigned int page)
{
	const volatile uint64_t *words = words_of(area, page);

	for (size_t i = 0; i < WORDS; i++) {
		const uint64_t is = words[i];

		if (is != word_should_be(area, page, i))
			wrong("%s page %u, word %zu, tag %#x: %#" PRIx64
			      " and not %#" PRIx64,
			      area->is_file ? "copied" : "private", page, i,
			      area->tags[page], is,
			      word_should_be(area, page, i));
	}
}

static void check_all(const struct area *area)
{
	for (unsigned int page = 0; page < opt.pages; page++)
		check_page(area, page);
}

static void store_page(struct area *area, unsigned int page)
{
	const uint32_t tag = 1 + (uint32_t)splitmix64(&me.random) % (1u << 30);
	uint64_t *words = words_of(area, page);

	for (size_t i = 0; i < WORDS; i++)
		words[i] = tagged_word(page, tag, i);
	area->tags[page] = tag;
}

static void may_not_fail(const char *what, int err)
{
	if (err)
		wrong("%s: %s", what, strerror(-err));
}

static void forget_pages(struct area *area)
{
	unsigned int page = pick(opt.pages);
	unsigned int nr = 1 + pick(MAX_RUN);

	if (nr > opt.pages - page)
		nr = opt.pages - page;
	may_not_fail("madvise", pagefs_madvise(conn, words_of(area, page),
					       nr * PAGE, MADV_DONTNEED));
	for (unsigned int i = 0; i < nr; i++)
		area->tags[page + i] = FIRST_TAG;
}

/* Mappings are split and joined, and children have them so. */
static void protect_pages(struct area *area)
{
	unsigned int page = pick(opt.pages);
	unsigned int nr = 1 + pick(MAX_RUN);

	if (nr > opt.pages - page)
		nr = opt.pages - page;
	may_not_fail("mprotect", pagefs_mprotect(conn, words_of(area, page),
						 nr * PAGE, PROT_READ));
	check_page(area, page);
	if (pick(2))
		check_page(area, page + nr - 1);
	may_not_fail("mprotect", pagefs_mprotect(conn, words_of(area, page),
						 nr * PAGE, RW));
}

static void move_area(struct area *area)
{
	void *addr;

	may_not_fail("mremap", pagefs_mremap(conn, area->addr, opt.pages * PAGE,
					     2 * opt.pages * PAGE,
					     MREMAP_MAYMOVE, NULL, &addr));
	area->addr = addr;
	may_not_fail("mremap", pagefs_mremap(conn, addr, 2 * opt.pages * PAGE,
					     opt.pages * PAGE, 0, NULL, &addr));
}

/* ---- shared pages ---- */

static void count(void)
{
	const unsigned int page = pick(SHARED_PAGES);
	atomic_ulong *word = (atomic_ulong *)(shared + page * PAGE);

	atomic_store(&me.slot->at, page + 1);
	atomic_fetch_add(word, 1);
	atomic_fetch_add(&model->counts[page], 1);
	atomic_store(&me.slot->at, 0);
}

/* Everybody else has gone. */
static void check_counts(void)
{
	for (unsigned int page = 0; page < SHARED_PAGES; page++) {
		const atomic_ulong *word = (atomic_ulong *)(shared + page * PAGE);
		const long is = (long)atomic_load(word);
		const long off = is - (long)atomic_load(&model->counts[page]);

		if (labs(off) > (long)atomic_load(&model->slack[page]))
			wrong("shared page %u: %ld, %+ld, of which %u may be",
			      page, is, off, atomic_load(&model->slack[page]));
	}
}

/* ---- processes ---- */

static struct slot *take_slot(void)
{
	if (atomic_fetch_add(&model->nr_procs, 1) < opt.procs)
		for (unsigned int i = 0; i < MAX_SLOTS; i++) {
			int none = 0;

			if (atomic_compare_exchange_strong(
					&model->slots[i].taken, &none, 1))
				return &model->slots[i];
		}
	atomic_fetch_sub(&model->nr_procs, 1);
	return NULL;
}

static void put_slot(struct slot *slot)
{
	unsigned int at = atomic_exchange(&slot->at, 0);

	if (at)		/* it was killed in the middle of count() */
		atomic_fetch_add(&model->slack[at - 1], 1);
	atomic_store(&slot->pid, 0);
	atomic_store(&slot->taken, 0);
	atomic_fetch_sub(&model->nr_procs, 1);
}

/* Whoever's child it was: root reaps those whose parents were killed. */
static void reaped(pid_t pid, int status)
{
	for (unsigned int i = 0; i < MAX_SLOTS; i++)
		if (atomic_load(&model->slots[i].pid) == pid)
			put_slot(&model->slots[i]);
	for (unsigned int i = 0; i < me.nr_children; i++)
		if (me.children[i] == pid)
			me.children[i] = me.children[--me.nr_children];
	if (WIFEXITED(status) ? WEXITSTATUS(status) :
	    WTERMSIG(status) != SIGKILL) {
		fprintf(stderr, "forktree: process %d: status %#x\n", pid,
			status);
		atomic_fetch_add(&model->nr_failed, 1);
	}
}

static void reap(int options)
{
	int status;
	pid_t pid;

	while ((pid = waitpid(-1, &status, options)) > 0 ||
	       (pid < 0 && errno == EINTR))
		if (pid > 0)
			reaped(pid, status);
}

static void begin_child(struct slot *slot, uint64_t seed)
{
	me.slot = slot;
	me.random = seed;
	me.nr_children = 0;
	me.is_root = false;
	atomic_store(&slot->pid, getpid());
	if (pick(2))		/* now, or as it is looked at */
		check_all(&areas[pick(2)]);
}

static void fork_child(void)
{
	uint64_t seed = splitmix64(&me.random);
	struct slot *slot = take_slot();
	pid_t pid;

	if (!slot)
		return;
	pid = fork();
	if (!pid) {
		begin_child(slot, seed);
		return;
	}
	if (pid < 0) {
		put_slot(slot);
		wrong("fork: %s", strerror(errno));
	}
	atomic_store(&slot->pid, pid);
	me.children[me.nr_children++] = pid;
	atomic_fetch_add(&model->nr_forks, 1);
	/* Some as early as can be: they have not got their memory yet. */
	if (!pick(8)) {
		usleep(pick(4000));
		kill(pid, SIGKILL);
		atomic_fetch_add(&model->nr_kills, 1);
	}
}

static void kill_child(void)
{
	if (!me.nr_children)
		return;
	kill(me.children[pick(me.nr_children)], SIGKILL);
	atomic_fetch_add(&model->nr_kills, 1);
}

static void operate(void)
{
	struct area *area = &areas[pick(2)];
	unsigned int what = pick(1000);

	if (what < 350)
		store_page(area, pick(opt.pages));
	else if (what < 650)
		check_page(area, pick(opt.pages));
	else if (what < 950)
		count();
	else if (what < 960)
		forget_pages(area);
	else if (what < 970)
		protect_pages(area);
	else if (what < 972 && !area->is_file)
		move_area(area);
	else if (what < 992)
		fork_child();
	else if (what < 994)
		kill_child();
	else
		reap(WNOHANG);
}

static void run(void)
{
	while (now() < me.until && !atomic_load(&model->nr_failed)) {
		operate();
		atomic_fetch_add(&model->nr_ops, 1);
		if (!me.is_root && !pick(2000))
			break;
	}
	if (!atomic_load(&model->nr_failed)) {
		check_all(&areas[0]);
		check_all(&areas[1]);
	}
	if (me.is_root)
		return;
	reap(0);
	_exit(0);
}

/* ---- the root ---- */

static void usage(FILE *f)
{
	fputs("Usage: forktree [--seconds=N] [--procs=N] [--pages=N] [--seed=S] FILE\n"
	      "FILE is made on a pagefs mount. --pages: of each of two private areas.\n",
	      f);
}

static const struct program_option options[] = {
	{ "seconds", .uint = &opt.seconds },
	{ "procs",   .uint = &opt.procs },
	{ "pages",   .uint = &opt.pages },
	{ "seed",    .u64 = &opt.seed },
	{ .name = NULL },
};

static void die(const char *what, int err)
{
	fprintf(stderr, "forktree: %s: %s\n", what, strerror(err));
	exit(1);
}

static int make_file(const char *path)
{
	int fd = open(path, O_RDWR | O_CREAT | O_TRUNC, 0600);
	uint64_t words[WORDS];

	if (fd < 0)
		die(path, errno);
	for (unsigned int page = 0; page < opt.pages; page++) {
		for (size_t i = 0; i < WORDS; i++)
			words[i] = file_word(page, i);
		if (pwrite(fd, words, PAGE, (off_t)(page * PAGE)) !=
		    (ssize_t)PAGE)
			die(path, errno);
	}
	return fd;
}

static char *map(size_t pages, int flags, int fd)
{
	void *addr;
	int err = pagefs_mmap(conn, NULL, pages * PAGE, RW, flags, fd, 0, &addr);

	if (err)
		die("pagefs_mmap", -err);
	return addr;
}

static void map_all(const char *path)
{
	int fd = make_file(path), err = pagefs_connect(fd, &conn);

	if (err)
		die("pagefs_connect", -err);
	areas[0].addr = map(opt.pages, MAP_PRIVATE | MAP_ANONYMOUS, -1);
	areas[1].addr = map(opt.pages, MAP_PRIVATE, fd);
	areas[1].is_file = true;
	shared = map(SHARED_PAGES, MAP_SHARED | MAP_ANONYMOUS, -1);
	close(fd);
}

int main(int argc, char **argv)
{
	int first = parse_options(options, argc, argv, usage);

	if (!first || first + 1 != argc || !opt.pages || opt.pages > MAX_PAGES ||
	    !opt.procs || opt.procs > MAX_SLOTS / 4) {
		usage(stderr);
		return 2;
	}
	if (!opt.seed)
		opt.seed = now_ns();
	printf("forktree: seed %" PRIu64 "\n", opt.seed);
	fflush(stdout);
	model = mmap(NULL, sizeof(*model), RW, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	if (model == MAP_FAILED)
		die("mmap", errno);
	prctl(PR_SET_CHILD_SUBREAPER, 1);
	map_all(argv[first]);
	me.random = opt.seed;
	me.is_root = true;
	me.until = now() + opt.seconds;
	me.slot = take_slot();
	atomic_store(&me.slot->pid, getpid());
	run();
	reap(0);
	check_counts();
	printf("forktree: %u children, %u killed, %lu operations\n",
	       atomic_load(&model->nr_forks), atomic_load(&model->nr_kills),
	       atomic_load(&model->nr_ops));
	return atomic_load(&model->nr_failed) != 0;
}
