// SPDX-License-Identifier: BSD-2-Clause
/*
 * tests/stress/maptwins.c - random operations on mapped files, and a model
 *
 *   maptwins [options] DIR
 *
 * Some files in DIR are read, written, truncated, punched, mapped, loaded from
 * and stored to by several processes, and each byte that anyone gets to see by
 * any means is compared with a model at once. Two modes: processes take turns,
 * one operation after the other, everything allowed (mapops.c); or, --apart,
 * all at the same time on bytes of their own (mapapart.c). At the end, and after
 * each fsync and msync, the stored file is compared too (--backing).
 *
 * After the idea of fsx; with several processes, files and mappings, signals
 * and forks. --plain maps with mmap(2): the control.
 */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "maptwins.h"
#include "options.h"
#include "workers.h"

struct options opt = {
	.procs = 3, .files = 2, .maxlen = 2 << 20, .pollute = true,
};

/* Before anything connects: a worker's library is its own. */
static void start_worker(struct proc *pr)
{
	int sv[2];

	pr->buf = shared_memory(BUF_SIZE);
	if (!pr->buf || socketpair(AF_UNIX, SOCK_SEQPACKET, 0, sv))
		die(-1, 0, 0, "cannot start a worker: %s", strerror(errno));
	pr->pid = fork_worker();
	if (pr->pid < 0)
		die(-1, 0, 0, "fork: %s", strerror(errno));
	if (!pr->pid) {
		for (int i = 0; i <= pr->id; i++)
			close(i < pr->id ? procs[i]->sock : sv[0]);
		worker_main(sv[1], pr->buf);
		_exit(0);
	}
	close(sv[1]);
	pr->sock = sv[0];
}

static void start_workers(void)
{
	for (unsigned int i = 0; i < opt.procs; i++) {
		struct proc *pr = calloc(1, sizeof(*pr));

		if (!pr)
			exit(2);
		pr->id = (int)i;
		memset(pr->fds, -1, sizeof(pr->fds));
		procs[i] = pr;
		start_worker(pr);
	}
}

static void end_workers(void)
{
	struct map_cmd c = { .op = OP_QUIT };

	for (unsigned int i = 0; i < opt.procs; i++) {
		int status;

		if (send(procs[i]->sock, &c, sizeof(c), MSG_NOSIGNAL) < 0 ||
		    waitpid(procs[i]->pid, &status, 0) < 0 || status)
			die(-1, 0, 0, "worker %u did not end well", i);
	}
}

static void take_turns(void)
{
	const double until = now() + opt.seconds;

	start_workers();
	ops_start();
	while ((!opt.seconds || now() < until) && (!opt.ops || op_nr < opt.ops))
		one_op();
	ops_finish();
	end_workers();
}

static void remove_files(void)
{
	for (unsigned int f = 0; f < opt.files; f++)
		unlink(file_path(opt.dir, (int)f));
}

static void usage(FILE *f)
{
	fprintf(f, "usage: maptwins [options] DIR\n"
		"  --backing=DIR   where DIR's files are stored\n"
		"  --seed=N        (the time)\n"
		"  --ops=N, --seconds=S   when to end (20000 operations)\n"
		"  --procs=N       (3)   --files=N (2)   --len=KIB of a file (2048)\n"
		"  --apart         all at once, each on bytes of its own\n"
		"  --plain         map with mmap(2)\n"
		"  --direct        open with O_DIRECT: stores are scanned for\n"
		"  --no-mmap       only what goes through the mount\n"
		"  --no-pollute    store nothing past a file's end in its last page\n"
		"  --keep          do not remove the files\n"
		"  --verbose       tell each operation\n");
}

static const struct program_option options[] = {
	{ "backing", .text = &opt.backing },
	{ "seed", .u64 = &opt.seed },
	{ "ops", .u64 = &opt.ops },
	{ "seconds", .uint = &opt.seconds },
	{ "procs", .uint = &opt.procs },
	{ "files", .uint = &opt.files },
	{ "len", .u64 = &opt.maxlen, .shift = 10 },
	{ "apart", .on = &opt.apart },
	{ "plain", .on = &opt.plain },
	{ "direct", .on = &opt.direct },
	{ "no-mmap", .on = &opt.no_mmap },
	{ "no-pollute", .off = &opt.pollute },
	{ "keep", .on = &opt.keep },
	{ "verbose", .on = &opt.verbose },
	{ .name = NULL },
};

static bool parse(int argc, char **argv)
{
	int first = parse_options(options, argc, argv, usage);

	if (!first || first + 1 != argc)
		return false;
	opt.dir = argv[first];
	opt.maxlen -= opt.maxlen % PAGE;
	return opt.procs >= 1 && opt.procs <= MAX_PROCS && opt.files >= 1 &&
		opt.files <= MAX_FILES && opt.maxlen >= BUF_SIZE &&
		opt.maxlen <= (size_t)SLOT_PAGES * PAGE;
}

int main(int argc, char **argv)
{
	double start;

	opt.seed = (uint64_t)time(NULL);
	if (!parse(argc, argv)) {
		usage(stderr);
		return 2;
	}
	if (!opt.ops && !opt.seconds)
		opt.ops = 20000;
	for (int i = 0; i < NR_INODES; i++)
		inodes[i].file = -1;
	memset(names, -1, sizeof(names));
	rnd_seed(opt.seed);
	start = now();
	if (opt.apart)
		apart_run();
	else
		take_turns();
	if (!opt.keep)
		remove_files();
	printf("maptwins: seed %" PRIu64 ": %" PRIu64 " operations agree%s, %.1f s\n",
	       opt.seed, op_nr, opt.apart ? ", apart" : "", now() - start);
	return 0;
}
