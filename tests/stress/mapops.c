// SPDX-License-Identifier: BSD-2-Clause
/*
 * tests/stress/mapops.c - one operation after another, each with what must
 *			   come of it
 *
 *   one_op: a worker, an operation by weight
 *	  -> what it will do and what must come of it, from the model
 *	  -> call(): the worker does it
 *	  -> the reply is compared, the model is changed
 *
 * Nothing else happens meanwhile, so every result is known: bytes, counts,
 * errors, which access gets a signal and at which page. Where two outcomes are
 * right (a mapping grows in place or cannot) the reply decides.
 *
 *   mappick.c		asking workers, choosing bytes and pages
 *   mapslot.c		mappings as they must be
 *   mapops_io.c	operations on bytes, sizes, names
 *   mapops_map.c	operations on mappings
 */
#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>

#include "mapops.h"

/* ---- processes ---- */

static void op_fork(struct proc *pr)
{
	struct map_cmd c = { .op = OP_FORK };
	struct proc *saved;

	if (pr->forked && pr->forked->forked)
		return;
	saved = malloc(sizeof(*saved));
	if (!saved)
		exit(2);
	*saved = *pr;
	note(-1, 0, 0, "w%d fork", pr->id);
	must_be(call(pr, &c).ret, 0, -1, 0, 0, "fork");
	pr->forked = saved;
}

static void op_exit(struct proc *pr)
{
	struct map_cmd c = { .op = OP_EXIT, .how = !below(3) };
	struct proc *saved = pr->forked;

	if (!saved)
		return;
	note(-1, 0, 0, "w%d's child %s", pr->id, c.how ? "kills itself" : "exits");
	must_be(call(pr, &c).ret, c.how ? 1000 + SIGKILL : 0, -1, 0, 0,
		"how the child ended (1000: signal, 2000: exit code)");
	*pr = *saved;
	free(saved);
}

static void op_reconnect(struct proc *pr)
{
	struct map_cmd c = { .op = OP_RECONNECT };

	if (opt.plain)
		for (int i = 0; i < NR_SLOTS; i++)
			unmap_slot(pr, &pr->slots[i]);
	note(-1, 0, 0, "w%d disconnect: all is unmapped", pr->id);
	must_be(call(pr, &c).ret, 0, -1, 0, 0, "disconnect");
	for (int i = 0; i < NR_SLOTS; i++)
		pr->slots[i].addr = NULL;
}

/* ---- all of them ---- */

static const struct {
	void (*fn)(struct proc *pr);
	unsigned int weight;
	bool maps;		/* --no-mmap leaves it out */
} ops[] = {
	{ op_load, 60, true }, { op_store, 50, true }, { op_read, 30, false },
	{ op_write, 24, false }, { op_read_into, 8, true },
	{ op_write_from, 8, true }, { op_truncate, 10, false },
	{ op_fallocate, 10, false }, { op_stat, 6, false },
	{ op_fsync, 4, false }, { op_open, 8, false }, { op_close, 2, false },
	{ op_unlink, 1, false }, { op_mmap, 12, true }, { op_munmap, 6, true },
	{ op_mprotect, 6, true }, { op_mremap, 4, true },
	{ op_madvise, 8, true }, { op_msync, 5, true }, { op_mlock, 2, true },
	{ op_mincore, 2, true }, { op_fork, 1, true }, { op_exit, 4, true },
	{ op_reconnect, 1, true }, { op_sweep, 1, true },
	{ op_compare, 1, false },
};

void one_op(void)
{
	unsigned int total = 0, pick, k;

	for (k = 0; k < ARRAY_SIZE(ops); k++)
		total += ops[k].weight;
	pick = (unsigned int)below(total);
	for (k = 0; pick >= ops[k].weight; k++)
		pick -= ops[k].weight;
	op_nr++;
	if (!ops[k].maps || !opt.no_mmap)
		ops[k].fn(procs[below(opt.procs)]);
}

void ops_start(void)
{
	for (unsigned int f = 0; f < opt.files; f++) {
		names[f] = -1;
		op_nr++;
		reopen(procs[0], (int)f, 0, O_CREAT | O_TRUNC);
		for (unsigned int i = 1; i < opt.procs; i++)
			reopen(procs[i], (int)f, 0, 0);
	}
}

void ops_finish(void)
{
	for (unsigned int i = 0; i < opt.procs; i++) {
		op_nr++;
		while (procs[i]->forked)
			op_exit(procs[i]);
		for (int s = 0; s < NR_SLOTS; s++)
			if (procs[i]->slots[s].addr)
				sweep(procs[i], &procs[i]->slots[s]);
	}
	for (unsigned int f = 0; f < opt.files; f++) {
		struct map_cmd c = { .op = OP_FSYNC, .file = (int)f };

		op_nr++;
		reopen(procs[0], (int)f, 0, names[f] < 0 ? O_CREAT : 0);
		for (size_t pos = 0; pos < inodes[names[f]].size; pos += BUF_SIZE)
			read_and_compare(procs[0], (int)f, 0, pos, BUF_SIZE);
		must_be(call(procs[0], &c).ret, 0, names[f], 0, UINT64_MAX,
			"fsync");
	}
	for (unsigned int i = 0; i < opt.procs; i++)
		for (int s = 0; s < NR_SLOTS; s++)
			unmap_slot(procs[i], &procs[i]->slots[s]);
	for (unsigned int f = 0; f < opt.files; f++) {
		compare_backing_size(names[f], "at the end");
		compare_backing(names[f], 0, opt.maxlen, "at the end");
	}
}
