// SPDX-License-Identifier: BSD-2-Clause
/*
 * tests/stress/mapapart.c - all processes at once, each on bytes of its own
 *
 *   file   |AAAAA|BBB|CCCCCCC|AA|BBBBB| ... |        tail        |
 *   pages  |     |      |     |      |      |      |      |      |
 *                                           fixed  <- size moves ->
 *
 * Areas end anywhere, so pages have several owners: whoever loses one's bytes
 * while moving another's is found out. An owner reads, writes, loads, stores
 * and punches its areas, and knows what must be in them; the model is shared
 * memory of which each byte has one writer, so a forked child goes on with it.
 * Everybody also loads bytes of others, without looking. The tail is process
 * 0's, which makes the file longer and shorter all the time.
 *
 * All work close to a spot that moves, so that they meet, and that memory
 * fills with pages of spots that were.
 */
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <linux/falloc.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include "maptwins.h"
#include "workers.h"

#define AREA_MEAN	3000u	/* bytes; so most pages have two owners or three */
#define SPOT_AREAS	64u
#define SPOT_OPS	2000u	/* operations that a spot lasts; arbitrary */
#define MAX_LEN		(16u << 10)

struct area {
	uint64_t pos;		/* ends where the next one begins */
};

/* In shared memory; written by the main process before the others start,
 * except where atomic. */
struct apart {
	uint32_t nr_areas;
	uint64_t fixed;		/* bytes that always are there */
	atomic_uint spot;	/* first area of those in fashion */
	atomic_uint_least64_t ops;
	struct area areas[];
};

static struct apart *ap;

/* Of one process. */
static struct {
	unsigned int id;
	struct mapper mapper;
	int fd[NR_FDS];
	uint8_t *map;
	uint64_t tail_size;	/* of process 0: the file's size */
	uint64_t nr;		/* operations */
	uint8_t *buf;
	unsigned int forks;	/* how deep */
} me;

static void *must_share(size_t size)
{
	void *p = shared_memory(size);

	if (!p) {
		fprintf(stderr, "maptwins: out of memory\n");
		exit(2);
	}
	return p;
}

static void make_areas(void)
{
	const size_t max = opt.maxlen / (AREA_MEAN / 2);
	uint64_t pos = 0;

	ap = must_share(sizeof(*ap) + (max + 1) * sizeof(ap->areas[0]));
	while (pos < opt.maxlen * 3 / 4 && ap->nr_areas < max) {
		ap->areas[ap->nr_areas++].pos = pos;
		pos += 1 + below(2 * AREA_MEAN);
	}
	ap->areas[ap->nr_areas].pos = pos;
	ap->fixed = pos;
}

static void check(int err, const char *what, uint64_t pos, uint64_t len)
{
	if (err)
		die(0, pos, len, "%s: %s", what, strerror(-err));
}

static void map_all(void)
{
	void *at;
	int flags = below(2) ? MAP_SHARED : MAP_SHARED | MAP_POPULATE;

	check(mapper_mmap(&me.mapper, NULL, opt.maxlen, PROT_READ | PROT_WRITE,
			  below(4) ? MAP_SHARED : flags, me.fd[below(NR_FDS)],
			  0, &at), "mmap", 0, opt.maxlen);
	me.map = at;
}

static void open_fds(void)
{
	for (int i = 0; i < NR_FDS; i++) {
		if (me.fd[i] >= 0)
			close(me.fd[i]);
		me.fd[i] = open(file_path(opt.dir, 0), O_RDWR | O_CLOEXEC |
				(!opt.direct && (opt.plain || i) ?
				 0 : O_DIRECT));
		if (me.fd[i] < 0)
			check(-errno, "open", 0, 0);
	}
}

/* ---- operations on bytes of one's own ---- */

static void access_own(uint64_t pos, size_t len, bool store)
{
	enum access how = (enum access)below(NR_ACCESSES);
	uint64_t addr;
	size_t done;
	int signo;

	note(0, pos, len, "p%u %s %#" PRIx64 "+%#zx", me.id,
	     store ? "store" : "load", pos, len);
	if (store)
		pattern_fill(me.buf, me.nr * MAX_PROCS + me.id, pos, len);
	done = access_copy(me.map + pos, me.buf, len, store, how, &signo, &addr);
	if (signo)
		die(0, pos, len, "signal %d at byte %#" PRIx64, signo, pos + done);
	if (store)
		memcpy(inodes[0].data + pos, me.buf, len);
	else
		compare(0, pos, me.buf, len, "a load");
}

static void write_own(uint64_t pos, size_t len)
{
	ssize_t n;

	note(0, pos, len, "p%u write %#" PRIx64 "+%#zx", me.id, pos, len);
	pattern_fill(me.buf, me.nr * MAX_PROCS + me.id, pos, len);
	n = pwrite(me.fd[below(NR_FDS)], me.buf, len, (off_t)pos);
	if (n != (ssize_t)len)
		die(0, pos, len, "write: %zd (%s)", n, strerror(errno));
	memcpy(inodes[0].data + pos, me.buf, len);
}

static void read_own(uint64_t pos, size_t len)
{
	ssize_t n;

	note(0, pos, len, "p%u read %#" PRIx64 "+%#zx", me.id, pos, len);
	n = pread(me.fd[below(NR_FDS)], me.buf, len, (off_t)pos);
	if (n != (ssize_t)len)
		die(0, pos, len, "read: %zd (%s)", n, strerror(errno));
	compare(0, pos, me.buf, len, "read");
}

static void punch_own(uint64_t pos, size_t len)
{
	int mode = FALLOC_FL_KEEP_SIZE |
		(below(2) ? FALLOC_FL_PUNCH_HOLE : FALLOC_FL_ZERO_RANGE);

	note(0, pos, len, "p%u fallocate mode %d %#" PRIx64 "+%#zx", me.id, mode,
	     pos, len);
	if (fallocate(me.fd[below(NR_FDS)], mode, (off_t)pos, (off_t)len))
		check(-errno, "fallocate", pos, len);
	memset(inodes[0].data + pos, 0, len);
}

/*
 * read(2) into the mapping. With O_DIRECT the bytes arrive in pages that the
 * kernel has pinned, and nobody hears of a store when they do; meanwhile others
 * sync the file.
 */
static void read_into_own(uint64_t from, uint64_t to, size_t len)
{
	ssize_t n;

	note(0, to, len, "p%u read %#" PRIx64 "+%#zx into the mapping at %#" PRIx64,
	     me.id, from, len, to);
	n = pread(me.fd[below(NR_FDS)], me.map + to, len, (off_t)from);
	if (n != (ssize_t)len)
		die(0, to, len, "read into the mapping: %zd (%s)", n,
		    strerror(errno));
	memcpy(inodes[0].data + to, inodes[0].data + from, len);
}

static void on_own(uint64_t pos, size_t len)
{
	switch (below(16)) {
	case 0:
		punch_own(pos, len);
		break;
	case 1: case 2:
		write_own(pos, len);
		break;
	case 3: case 4:
		read_own(pos, len);
		break;
	case 5: case 6: case 7: case 8: case 9:
		access_own(pos, len, true);
		break;
	default:
		access_own(pos, len, false);
	}
}

/* ---- the others' bytes, and all pages ---- */

static void load_others(uint64_t pos, size_t len)
{
	uint64_t addr;
	int signo;

	access_copy(me.map + pos, me.buf, len, false, BY_MEMCPY, &signo, &addr);
	if (signo)
		die(0, pos, len, "signal %d at %#" PRIx64, signo, addr);
}

static void advise(uint64_t pos, size_t len)
{
	static const int advices[] = {
		MADV_DONTNEED, MADV_DONTNEED, MADV_WILLNEED, MADV_COLD,
		MADV_RANDOM, MADV_SEQUENTIAL, MADV_NORMAL,
	};
	int advice = advices[below(ARRAY_SIZE(advices))];
	uint64_t from = pos / PAGE * PAGE;

	len = (pos + len - from + PAGE - 1) / PAGE * PAGE;
	note(0, from, len, "p%u madvise %d", me.id, advice);
	check(mapper_madvise(&me.mapper, me.map + from, len, advice), "madvise",
	      from, len);
}

static void sync_some(uint64_t pos, size_t len)
{
	uint64_t from = pos / PAGE * PAGE;
	size_t pages = (pos + len - from + PAGE - 1) / PAGE * PAGE;

	if (!below(4)) {
		note(0, 0, UINT64_MAX, "p%u fsync", me.id);
		if (fsync(me.fd[below(NR_FDS)]))
			check(-errno, "fsync", 0, UINT64_MAX);
	} else {
		note(0, from, pages, "p%u msync", me.id);
		check(mapper_msync(&me.mapper, me.map + from, pages,
				   below(3) ? MS_SYNC : MS_ASYNC), "msync", from,
		      pages);
	}
}

static void remap(void)
{
	note(0, 0, UINT64_MAX, "p%u unmap, map", me.id);
	check(mapper_munmap(&me.mapper, me.map, opt.maxlen), "munmap", 0,
	      UINT64_MAX);
	if (!below(4))
		open_fds();
	if (!below(4))
		mapper_disconnect(&me.mapper);
	map_all();
}

/* ---- process 0: the file's end ---- */

static void tail_check(uint64_t pos, size_t len)
{
	const uint64_t eof = (me.tail_size + PAGE - 1) / PAGE * PAGE;
	size_t must = pos >= eof ? 0 : eof - pos < len ? eof - pos : len, done;
	uint64_t addr;
	int signo;

	note(0, pos, len, "p%u load %#" PRIx64 "+%#zx of the tail", me.id, pos,
	     len);
	done = access_copy(me.map + pos, me.buf, len, false, BY_MEMCPY, &signo,
			   &addr);
	if (done != must || signo != (must < len ? SIGBUS : 0))
		die(0, pos, len, "signal %d after %zu bytes; size %" PRIu64 ", %zu bytes are below its end",
		    signo, done, me.tail_size, must);
	if (pos < me.tail_size)
		compare(0, pos, me.buf, me.tail_size - pos < done ?
			me.tail_size - pos : done, "a load of the tail");
}

static void tail_resize(void)
{
	uint64_t size = ap->fixed + below(opt.maxlen - ap->fixed + 1);
	struct inode *ino = &inodes[0];

	note(0, size < me.tail_size ? size : me.tail_size, UINT64_MAX,
	     "p%u truncate from %#" PRIx64 " to %#" PRIx64, me.id, me.tail_size,
	     size);
	if (ftruncate(me.fd[below(NR_FDS)], (off_t)size))
		check(-errno, "ftruncate", size, UINT64_MAX);
	if (size < me.tail_size)
		memset(ino->data + size, 0, me.tail_size - size);
	me.tail_size = size;
}

static void on_tail(void)
{
	uint64_t pos = ap->fixed + below(opt.maxlen - ap->fixed - 1);
	size_t len = 1 + below(MAX_LEN);

	if (len > opt.maxlen - pos)
		len = opt.maxlen - pos;
	switch (below(5)) {
	case 0:
		tail_resize();
		return;
	case 1: case 2:
		tail_check(pos, len);
		return;
	}
	if (pos < me.tail_size)
		on_own(pos, me.tail_size - pos < len ? me.tail_size - pos : len);
}

/* ---- all ---- */

/* Some bytes of an area of @owner's in or, rarely, out of fashion. */
static void some_area(unsigned int owner, uint64_t *posp, size_t *lenp)
{
	uint32_t first = below(32) ? atomic_load(&ap->spot) :
		(uint32_t)below(ap->nr_areas);
	uint32_t i = (first + (uint32_t)below(SPOT_AREAS)) % ap->nr_areas;
	uint64_t size, in;

	i -= i % opt.procs;
	i = i + owner < ap->nr_areas ? i + owner : owner;
	size = ap->areas[i + 1].pos - ap->areas[i].pos;
	in = below(3) ? below(size) : 0;
	*posp = ap->areas[i].pos + in;
	*lenp = below(2) ? size - in : 1 + below(size - in);
}

static void read_across(uint64_t from, size_t len)
{
	uint64_t to;
	size_t room;

	some_area(me.id, &to, &room);
	if (room < len)
		len = room;
	if (from + len <= to || to + len <= from)
		read_into_own(from, to, len);
}

static void run_ops(double until, uint64_t ops);

static void fork_some(void)
{
	int status;
	pid_t pid;

	if (me.forks > 1)
		return;
	note(-1, 0, 0, "p%u fork", me.id);
	pid = fork_worker();
	if (pid < 0)
		check(-errno, "fork", 0, 0);
	if (!pid) {
		me.forks++;
		/* The parent's numbers go on where the child's do not reach. */
		run_ops(0, 100);
		if (below(2))
			kill(getpid(), SIGKILL);
		_exit(0);
	}
	me.nr += 1000;
	while (waitpid(pid, &status, 0) < 0)
		;
	if (status && !(WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL))
		die(-1, 0, 0, "the child of p%u ended with status %#x", me.id,
		    status);
}

static void apart_op(void)
{
	unsigned int what = (unsigned int)below(400);
	uint64_t pos;
	size_t len;

	op_nr = ++me.nr;
	if (me.nr % SPOT_OPS == 0 && me.id == 0)
		atomic_store(&ap->spot, (unsigned int)below(ap->nr_areas));
	if (me.id == 0 && !me.forks && what % 8 == 7) {
		on_tail();
		return;
	}
	some_area(what % 16 == 0 ? (unsigned int)below(opt.procs) : me.id, &pos,
		  &len);
	if (what % 16 == 0)
		load_others(pos, len);
	else if (what < 4)
		remap();
	else if (what == 5)
		fork_some();
	else if (what < 12)
		sync_some(pos, len);
	else if (what < 20)
		advise(pos, len);
	else if (what < 36)
		read_across(pos, len);
	else
		on_own(pos, len);
}

static void run_ops(double until, uint64_t ops)
{
	const uint64_t start = me.nr;

	while (ops ? me.nr - start < ops : now() < until)
		apart_op();
	atomic_fetch_add(&ap->ops, me.nr - start);
}

static void process_main(unsigned int id, double until)
{
	me.id = id;
	me.mapper.plain = opt.plain;
	memset(me.fd, -1, sizeof(me.fd));
	me.tail_size = ap->fixed;
	me.buf = malloc(BUF_SIZE);
	rnd_seed(opt.seed * MAX_PROCS + id);
	access_init();
	open_fds();
	map_all();
	run_ops(until, until ? 0 : opt.ops);
	if (id == 0 && ftruncate(me.fd[0], (off_t)ap->fixed))
		check(-errno, "ftruncate", ap->fixed, 0);
	check(mapper_munmap(&me.mapper, me.map, opt.maxlen), "munmap", 0, 0);
	mapper_disconnect(&me.mapper);
}

static pid_t start_process(unsigned int id, double until)
{
	pid_t pid = fork_worker();

	if (pid < 0)
		die(-1, 0, 0, "fork: %s", strerror(errno));
	if (!pid) {
		process_main(id, until);
		_exit(0);
	}
	return pid;
}

static void run_processes(void)
{
	const double until = opt.seconds ? now() + opt.seconds : 0;
	/* How long operations take is not known: an hour is arbitrary. */
	const double deadline = REPLY_SECONDS + (until ? until : now() + 3600);
	pid_t pids[MAX_PROCS], failed;
	int status;

	for (unsigned int i = 0; i < opt.procs; i++)
		pids[i] = start_process(i, until);
	failed = wait_for_workers(pids, opt.procs, deadline, &status);
	if (!failed)
		return;
	/* It has told why. */
	fprintf(stderr, "maptwins: seed %" PRIu64 ": process %d %s (status %#x)\n",
		opt.seed, (int)failed, status < 0 ? "hangs" : "failed", status);
	exit(1);
}

/* Everybody has gone: the file as a newcomer sees it, and as it is stored. */
static void compare_all(void)
{
	struct mapper m = { .plain = opt.plain };
	uint8_t *buf = malloc(BUF_SIZE);
	int fd = open(file_path(opt.dir, 0), O_RDWR | O_CLOEXEC);
	void *map;

	if (fd < 0 || !buf)
		die(-1, 0, 0, "cannot open the file again");
	check(mapper_mmap(&m, NULL, ap->fixed, PROT_READ, MAP_SHARED, fd, 0,
			  &map), "mmap", 0, ap->fixed);
	compare(0, 0, map, ap->fixed, "a mapping at the end");
	for (uint64_t pos = 0; pos < ap->fixed; pos += BUF_SIZE) {
		ssize_t n = pread(fd, buf, BUF_SIZE, (off_t)pos);
		uint64_t left = ap->fixed - pos;

		if (n != (ssize_t)(left < BUF_SIZE ? left : BUF_SIZE))
			die(0, pos, BUF_SIZE, "read at the end: %zd", n);
		compare(0, pos, buf, (size_t)n, "read at the end");
	}
	if (fsync(fd))
		check(-errno, "fsync", 0, UINT64_MAX);
	compare_backing_size(0, "at the end");
	compare_backing(0, 0, ap->fixed, "at the end");
	mapper_munmap(&m, map, ap->fixed);
	mapper_disconnect(&m);
	close(fd);
	free(buf);
}

void apart_run(void)
{
	int fd = open(file_path(opt.dir, 0), O_RDWR | O_CREAT | O_TRUNC |
		      O_CLOEXEC, 0644);

	opt.files = 1;
	make_areas();
	if (fd < 0 || ftruncate(fd, (off_t)ap->fixed))
		die(-1, 0, 0, "%s: %s", file_path(opt.dir, 0), strerror(errno));
	close(fd);
	inodes[0] = (struct inode){
		.data = must_share(opt.maxlen + PAGE), .size = ap->fixed,
		.high = opt.maxlen, .used = true, .file = 0,
	};
	run_processes();
	op_nr = atomic_load(&ap->ops);
	compare_all();
}
