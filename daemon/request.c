// SPDX-License-Identifier: BSD-2-Clause
/*
 * daemon/request.c - what each message asks for
 *
 *   request_run ---> request_mmap, request_munmap, ...      request_map.c
 *       |       +--> request_mmap_anon, request_fork, ...   request_anon.c
 *       |       +--> request_madvise, request_msync, ...    here
 *   the reply is sent (conn.c)
 *       |
 *   request_after                                           request_map.c
 *       |
 *   request_done
 *
 * R1. Every number is checked before it is used, and again in mm/: a client may
 *     send what it likes. What it maps where is its own affair; we only serve
 *     what is registered, from files it has open.
 *
 * Each handler runs in a worker, and for one connection one at a time.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <sys/mman.h>

#include "pagefs_fs.h"
#include "request_i.h"
#include "window.h"

/* ---- HELLO is conn.c's; UFFD ---- */

/*
 * Where the client's kernel tells what was stored to. A number that is another
 * process's by now is none whose end we would not have seen.
 */
static int open_pagemap(struct client *client)
{
	char path[32];
	int fd;

	snprintf(path, sizeof(path), "/proc/%d/pagemap", client->pid);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return -errno;
	if (!client_is_gone(client))
		return fd;
	close(fd);
	return -ESRCH;
}

static int adopt_async(struct client *client, int uffd)
{
	int pagemap, err;

	if (!uffd_features.has_async)
		return -EOPNOTSUPP;
	pagemap = open_pagemap(client);
	if (pagemap < 0)
		return pagemap;
	err = uffd_adopt(uffd, UFFD_ASYNC) ?: faultd_add(client, uffd);
	if (err)
		close(pagemap);
	else
		client->pagemap = pagemap;
	return err;
}

/* The second kind comes after the first. */
static int do_uffd(struct client *client, struct request *rq)
{
	const uint64_t kind = rq->in.args[0];
	int err;

	if (kind >= NR_UFFD_KINDS)
		return -EINVAL;
	if (kind == UFFD_ASYNC && atomic_load(&client->uffd[UFFD_SYNC]) < 0)
		return -EPROTO;
	if (atomic_load(&client->uffd[kind]) >= 0)
		return -EEXIST;
	/* One that nobody listens to must not be had mappings registered with. */
	err = kind == UFFD_ASYNC ? adopt_async(client, rq->in_fd) :
				   uffd_adopt(rq->in_fd, UFFD_SYNC) ?:
				   faultd_add(client, rq->in_fd);
	if (err)
		return err;
	atomic_store(&client->uffd[kind], rq->in_fd);
	rq->in_fd = -1;
	return 0;
}

static int request_uffd(struct client *client, struct request *rq)
{
	int err;

	client_lock(client);
	err = do_uffd(client, rq);
	client_unlock(client);
	return err;
}

/* ---- those that do not change mappings ---- */

/* Return: enum mm_advice or -EINVAL. */
static int advice_of(uint64_t advice)
{
	static const struct {
		unsigned int madv;
		enum mm_advice mm;
	} advices[] = {
		{ MADV_NORMAL, MM_NORMAL },
		{ MADV_RANDOM, MM_RANDOM },
		{ MADV_SEQUENTIAL, MM_SEQUENTIAL },
		{ MADV_WILLNEED, MM_WILLNEED },
		{ MADV_COLD, MM_DONTNEED },
		{ MADV_POPULATE_READ, MM_POPULATE },
		{ MADV_POPULATE_WRITE, MM_POPULATE_WRITE },
	};

	for (size_t i = 0; i < ARRAY_SIZE(advices); i++)
		if (advices[i].madv == advice)
			return advices[i].mm;
	return -EINVAL;
}

static int request_madvise(struct client *client, struct request *rq)
{
	const uint64_t *in = rq->in.args;
	int advice = advice_of(in[2]), err;
	size_t len;

	err = check_range(in[0], in[1], &len);
	if (err)
		return err;
	switch (in[2]) {
	case MADV_DONTNEED:
	case MADV_FREE:
	case MADV_REMOVE:
		return advise_free(client, in[0], len, (unsigned int)in[2]);
	default:
		return advice < 0 ? advice :
			do_madvise(client->mm, in[0], len, advice);
	}
}

static int request_msync(struct client *client, struct request *rq)
{
	const uint64_t flags = rq->in.args[2];
	size_t len;
	int err = check_range(rq->in.args[0], rq->in.args[1], &len);

	if ((flags & ~(uint64_t)(MS_SYNC | MS_ASYNC | MS_INVALIDATE)) ||
	    ((flags & MS_SYNC) && (flags & MS_ASYNC)))
		return -EINVAL;
	return err ?: do_msync(client->mm, rq->in.args[0], len, fs_msync,
			       flags & MS_SYNC ? NULL : rq);
}

static int request_mlock(struct client *client, struct request *rq)
{
	size_t len;
	int err = check_range(rq->in.args[0], rq->in.args[1], &len);

	/* By choice: others shall find room, too. */
	return err ?: do_mlock(client->mm, rq->in.args[0], len,
			       window_limit() / 4);
}

static int request_munlock(struct client *client, struct request *rq)
{
	size_t len;
	int err = check_range(rq->in.args[0], rq->in.args[1], &len);

	return err ?: do_munlock(client->mm, rq->in.args[0], len);
}

static int request_mincore(struct client *client, struct request *rq)
{
	size_t len;
	int err = check_range(rq->in.args[0], rq->in.args[1], &len);

	if (err || len >> PAGE_SHIFT > PAGEFS_MINCORE_MAX)
		return -EINVAL;
	rq->vec = malloc(len >> PAGE_SHIFT);
	if (!rq->vec)
		return -ENOMEM;
	err = do_mincore(client->mm, rq->in.args[0], len, rq->vec);
	if (!err)
		rq->vec_len = len >> PAGE_SHIFT;
	return err;
}

static int request_stats(struct client *client, struct request *rq)
{
	struct mm_struct *mm = client->mm;
	uint64_t *out = rq->out.args;

	out[PAGEFS_STAT_MAJFLT] = atomic_load(&mm->counters[MM_MAJFLT]);
	out[PAGEFS_STAT_MINFLT] = atomic_load(&mm->counters[MM_MINFLT]);
	out[PAGEFS_STAT_SOFTFLT] = atomic_load(&mm->counters[MM_SOFTFLT]);
	out[PAGEFS_STAT_WPFLT] = atomic_load(&mm->counters[MM_WPFLT]);
	out[PAGEFS_STAT_RSS] = atomic_load(&mm->rss);
	out[PAGEFS_STAT_NR_PTES] = atomic_load(&mm->nr_ptes);
	down_read(&mm->mmap_lock);
	out[PAGEFS_STAT_TOTAL_VM] = mm->total_vm;
	out[PAGEFS_STAT_LOCKED_VM] = mm->locked_vm;
	up_read(&mm->mmap_lock);
	return 0;
}

/* ---- all of them ---- */

static const struct {
	int (*run)(struct client *client, struct request *rq);
	int nr_fds;
} requests[NR_PAGEFS_MSG_TYPES] = {
	[PAGEFS_HELLO] = { NULL, 0 },		/* conn.c's */
	[PAGEFS_UFFD] = { request_uffd, 1 },
	[PAGEFS_MMAP] = { request_mmap, 0 },
	[PAGEFS_COMMIT] = { request_commit, 0 },
	[PAGEFS_MUNMAP] = { request_munmap, 0 },
	[PAGEFS_MPROTECT] = { request_mprotect, 0 },
	[PAGEFS_MREMAP] = { request_mremap, 0 },
	[PAGEFS_MADVISE] = { request_madvise, 0 },
	[PAGEFS_MSYNC] = { request_msync, 0 },
	[PAGEFS_MLOCK] = { request_mlock, 0 },
	[PAGEFS_MUNLOCK] = { request_munlock, 0 },
	[PAGEFS_MINCORE] = { request_mincore, 0 },
	[PAGEFS_STATS] = { request_stats, 0 },
	[PAGEFS_MMAP_ANON] = { request_mmap_anon, 0 },
	[PAGEFS_FORK] = { request_fork, 0 },
	[PAGEFS_ADOPT] = { request_adopt, 0 },
	[PAGEFS_INHERIT] = { request_inherit, 0 },
	[PAGEFS_MMAP_SHM] = { request_mmap_shm, 0 },
	[PAGEFS_SHM_UNLINK] = { request_shm_unlink, 0 },
};

int request_nr_fds(unsigned int type)
{
	if (!type || type >= NR_PAGEFS_MSG_TYPES ||
	    (type != PAGEFS_HELLO && !requests[type].run))
		return -EINVAL;
	return requests[type].nr_fds;
}

void request_run(struct client *client, struct request *rq)
{
	/* What it has done before it asked is seen by all that follows. */
	client_lock(client);
	client_unlock(client);
	/* Without a userfaultfd nothing it maps could be served. */
	if (rq->in.type != PAGEFS_UFFD &&
	    atomic_load(&client->uffd[UFFD_SYNC]) < 0)
		rq->out.err = -EPROTO;
	else
		rq->out.err = requests[rq->in.type].run(client, rq);
	if (rq->out.err) {
		memset(rq->out.args, 0, sizeof(rq->out.args));
		rq->out_fd = -1;
		rq->vec_len = 0;
	}
}

void request_done(struct request *rq)
{
	if (rq->in_fd >= 0)
		close(rq->in_fd);
	if (rq->file)
		put_vm_file(rq->file);
	free(rq->vec);
	rq->in_fd = rq->out_fd = -1;
	rq->file = NULL;
	rq->vec = NULL;
	rq->vec_len = 0;
}
