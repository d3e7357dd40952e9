/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * daemon/request_i.h - what request.c, request_map.c and request_anon.c share
 */
#ifndef PAGEFS_DAEMON_REQUEST_I_H
#define PAGEFS_DAEMON_REQUEST_I_H

#include <errno.h>

#include "internal.h"

/* Whole pages below TASK_SIZE; *@lenp is rounded up. Return: 0 or -EINVAL. */
static inline int check_range(uint64_t addr, uint64_t len, size_t *lenp)
{
	if (!IS_ALIGNED(addr, PAGE_SIZE) || !len || addr > TASK_SIZE ||
	    len > TASK_SIZE - addr)
		return -EINVAL;
	*lenp = ALIGN(len, PAGE_SIZE);
	return 0;
}

/* A mapping that is asked for: args[0] to [3], checked. */
struct map_request {
	unsigned long addr;	/* with here */
	size_t len;		/* whole pages */
	unsigned long vm_flags;	/* of its protection */
	bool here;
	bool replace;		/* what is there goes */
};
/* @known: the PAGEFS_MAP_* it may have. Return: 0 or -EINVAL. */
int check_map_request(const uint64_t *in, uint64_t known,
		      struct map_request *mr);
/* Context: client->lock. What is there goes, if it is to. Return: 0 or -errno. */
int make_way(struct client *client, const struct map_request *mr);
/* rq->file's window goes along; the file keeps it. Context: may sleep. */
int send_window(struct request *rq, bool writable);
/* Everything in the range goes. Context: client->lock. */
int unmap_range(struct client *client, unsigned long addr, size_t len);

/* ---- request_map.c: each fills in @rq->out. Return: 0 or -errno ---- */

int request_mmap(struct client *client, struct request *rq);
int request_commit(struct client *client, struct request *rq);
int request_munmap(struct client *client, struct request *rq);
int request_mprotect(struct client *client, struct request *rq);
int request_mremap(struct client *client, struct request *rq);

/* ---- request_anon.c ---- */

int request_mmap_anon(struct client *client, struct request *rq);
int request_mmap_shm(struct client *client, struct request *rq);
int request_shm_unlink(struct client *client, struct request *rq);
int request_fork(struct client *client, struct request *rq);
int request_adopt(struct client *client, struct request *rq);
int request_inherit(struct client *client, struct request *rq);
/*
 * rq->file from @pgoff on, copied when it is stored to: rq->file becomes what
 * has the copies. The rest as request_*().
 */
int map_private(struct client *client, struct request *rq,
		const struct map_request *mr, pgoff_t pgoff, pgoff_t *pgoffp);
/* MADV_DONTNEED, MADV_FREE, MADV_REMOVE, which say another thing of each kind of
 * memory. Context: client->lock not held. Return: as madvise(2). */
int advise_free(struct client *client, unsigned long addr, size_t len,
		unsigned int advice);

#endif /* PAGEFS_DAEMON_REQUEST_I_H */
