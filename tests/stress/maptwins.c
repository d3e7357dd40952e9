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
#include <getopt.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "maptwins.h"
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
		"  --no-mmap       only what goes through the mount\n"
		"  --no-pollute    store nothing past a file's end in its last page\n"
		"  --keep          do not remove the files\n"
		"  --verbose       tell each operation\n");
}

enum { OPT_BACKING = 1, OPT_SEED, OPT_OPS, OPT_SECONDS, OPT_PROCS, OPT_FILES,
       OPT_LEN, OPT_APART, OPT_PLAIN, OPT_NO_MMAP, OPT_NO_POLLUTE, OPT_KEEP,
       OPT_VERBOSE, OPT_HELP };

static const struct option options[] = {
	{ "backing", required_argument, NULL, OPT_BACKING },
	{ "seed", required_argument, NULL, OPT_SEED },
	{ "ops", required_argument, NULL, OPT_OPS },
	{ "seconds", required_argument, NULL, OPT_SECONDS },
	{ "procs", required_argument, NULL, OPT_PROCS },
	{ "files", required_argument, NULL, OPT_FILES },
	{ "len", required_argument, NULL, OPT_LEN },
	{ "apart", no_argument, NULL, OPT_APART },
	{ "plain", no_argument, NULL, OPT_PLAIN },
	{ "no-mmap", no_argument, NULL, OPT_NO_MMAP },
	{ "no-pollute", no_argument, NULL, OPT_NO_POLLUTE },
	{ "keep", no_argument, NULL, OPT_KEEP },
	{ "verbose", no_argument, NULL, OPT_VERBOSE },
	{ "help", no_argument, NULL, OPT_HELP },
	{ NULL, 0, NULL, 0 },
};

static bool parse(int argc, char **argv)
{
	int c;

	while ((c = getopt_long(argc, argv, "", options, NULL)) != -1) {
		switch (c) {
		case OPT_BACKING:
			opt.backing = optarg;
			break;
		case OPT_SEED:
			opt.seed = strtoull(optarg, NULL, 0);
			break;
		case OPT_OPS:
			opt.ops = strtoull(optarg, NULL, 0);
			break;
		case OPT_SECONDS:
			opt.seconds = (unsigned int)strtoul(optarg, NULL, 0);
			break;
		case OPT_PROCS:
			opt.procs = (unsigned int)strtoul(optarg, NULL, 0);
			break;
		case OPT_FILES:
			opt.files = (unsigned int)strtoul(optarg, NULL, 0);
			break;
		case OPT_LEN:
			opt.maxlen = strtoull(optarg, NULL, 0) << 10;
			break;
		case OPT_APART:
			opt.apart = true;
			break;
		case OPT_PLAIN:
			opt.plain = true;
			break;
		case OPT_NO_MMAP:
			opt.no_mmap = true;
			break;
		case OPT_NO_POLLUTE:
			opt.pollute = false;
			break;
		case OPT_KEEP:
			opt.keep = true;
			break;
		case OPT_VERBOSE:
			opt.verbose = true;
			break;
		case OPT_HELP:
			usage(stdout);
			exit(0);
		default:
			return false;
		}
	}
	if (optind + 1 != argc)
		return false;
	opt.dir = argv[optind];
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
