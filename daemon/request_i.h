/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * daemon/request_i.h - what request.c and request_map.c share
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

/* ---- request_map.c: each fills in @rq->out. Return: 0 or -errno ---- */

int request_mmap(struct client *client, struct request *rq);
int request_commit(struct client *client, struct request *rq);
int request_munmap(struct client *client, struct request *rq);
int request_mprotect(struct client *client, struct request *rq);
int request_mremap(struct client *client, struct request *rq);

#endif /* PAGEFS_DAEMON_REQUEST_I_H */
