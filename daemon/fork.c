// SPDX-License-Identifier: BSD-2-Clause
/*
 * daemon/fork.c - memory without a file that waits for a child
 *
 *   FORK (parent's connection)      ADOPT (child's own)
 *        |                               |
 *   fork_snapshot --> [ copy: token ] --fork_adopt--> the child's mm
 *                          |
 *        the connection --fork_end--> worker: dropped
 *        has ended
 *
 * The connection is open in the parent until it has forked and in the child
 * until it has adopted: so the copy is there as long as anybody can come for it,
 * and not longer, whoever is killed when.
 *
 * F1. A copy is in the list until one of fork_adopt() and fork_end() takes it
 *     out, whose it is then. So the connection may end after the adoption.
 * F2. The token is {number, secret}, as clients' cookies are. Who has it was given
 *     it by the parent.
 *
 * Locks: forks.lock, a leaf; not over copying, which is done under the parent's
 *        client->lock.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>

#include "err.h"
#include "internal.h"
#include "shmem.h"

struct fork_copy {
	struct list_head list;		/* forks.lock */
	uint64_t number, secret;
	uint64_t parent;		/* client->id */
	struct private_copy *memory;
	uv_work_t work;			/* fork_end()'s */
};

/* Of one parent, that no child has come for: arbitrary, more than it makes before
 * the first of them runs. */
#define MAX_WAITING	64u

/* Fields: (C) constant after fork_init(); (F) lock; (L) the loop thread's. */
static struct {
	uv_loop_t *loop;		/* (C) */
	struct mutex lock;
	struct list_head list;		/* (F) */
	uint64_t last_number;		/* (F) */
	unsigned int nr_dropping;	/* (L) */
} forks = {
	.lock = MUTEX_INITIALIZER(LOCK_LEAF),
	.list = LIST_HEAD_INIT(forks.list),
};

/* ---- FORK ---- */

static bool too_many(const struct client *client)
{
	struct fork_copy *copy;
	unsigned int nr = 0;

	mutex_lock(&forks.lock);
	list_for_each_entry(copy, &forks.list, list)
		nr += copy->parent == client->id;
	mutex_unlock(&forks.lock);
	return nr >= MAX_WAITING;
}

/* Context: client->lock. Return: 0 or -errno. */
static int copy_memory(struct client *client, struct fork_copy *copy)
{
	struct private_copy *memory = dup_private(client->mm);

	if (IS_ERR(memory))
		return (int)PTR_ERR(memory);
	copy->memory = memory;
	return memory ? 0 : -ENODATA;
}

static void copy_add(struct fork_copy *copy)
{
	mutex_lock(&forks.lock);
	copy->number = ++forks.last_number;
	list_add_tail(&copy->list, &forks.list);
	mutex_unlock(&forks.lock);
}

int fork_snapshot(struct client *client, uint64_t token[2])
{
	struct fork_copy *copy;
	int err;

	if (too_many(client))
		return -EAGAIN;
	copy = calloc(1, sizeof(*copy));
	if (!copy)
		return -ENOMEM;
	copy->parent = client->id;
	if (getrandom(&copy->secret, sizeof(copy->secret), 0) !=
	    sizeof(copy->secret)) {
		free(copy);
		return -EAGAIN;
	}
	client_lock(client);
	err = copy_memory(client, copy);
	client_unlock(client);
	if (err) {
		free(copy);
		return err;
	}
	token[1] = copy->secret;
	copy_add(copy);
	token[0] = copy->number;
	return 0;
}

/* ---- taking it ---- */

/* @secretp: NULL: the connection's, which need not know it. Return: NULL: none. */
static struct fork_copy *take_copy(uint64_t number, const uint64_t *secretp)
{
	struct fork_copy *copy, *found = NULL;

	mutex_lock(&forks.lock);
	list_for_each_entry(copy, &forks.list, list)
		if (copy->number == number &&
		    (!secretp || copy->secret == *secretp)) {
			found = copy;
			list_del(&copy->list);
			break;
		}
	mutex_unlock(&forks.lock);
	return found;					/* F1 */
}

int fork_adopt(struct client *client, const uint64_t token[2])
{
	struct fork_copy *copy = take_copy(token[0], &token[1]);
	int err;

	if (!copy)
		return -ENOENT;
	client_lock(client);
	err = adopt_private(client->mm, copy->memory);
	client_unlock(client);
	if (err)
		drop_private(copy->memory);
	free(copy);
	return err;
}

/* ---- nobody has come for it ---- */

static void drop_work(uv_work_t *work)
{
	struct fork_copy *copy = container_of(work, struct fork_copy, work);

	drop_private(copy->memory);	/* which may take its time */
}

static void dropped(uv_work_t *work, int status)
{
	(void)status;
	free(container_of(work, struct fork_copy, work));
	forks.nr_dropping--;
}

void fork_end(uint64_t number)
{
	struct fork_copy *copy = take_copy(number, NULL);

	if (!copy)
		return;
	forks.nr_dropping++;
	BUG_ON(uv_queue_work(forks.loop, &copy->work, drop_work, dropped));
}

void fork_init(uv_loop_t *loop)
{
	forks.loop = loop;
}

void fork_exit(void)
{
	while (forks.nr_dropping)
		uv_run(forks.loop, UV_RUN_ONCE);
}
