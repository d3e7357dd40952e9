// SPDX-License-Identifier: BSD-2-Clause
/*
 * fs/fuse_handle.c - file handles: numbers the kernel gives back to us
 *
 *   fh = [ number, counted up from 1 | kind: 2 bits ]
 *              |
 *              +--> radix tree --> open_file | open_dir | ctl_handle |
 *                                  trace_file
 *
 * A handle is a number and not a pointer: the kernel keeps it for as long as
 * the file is open, which may be longer than the process that gave it out, if
 * another takes over; and one that does not exist is an error here, not a
 * crash.
 * Numbers are never used again; at a million opens a second they last for
 * 146,000 years.
 *
 * I1. An object in the tree is released by whoever takes it out.
 * I2. The kernel sends RELEASE after the last request that uses the handle,
 *     so an object looked up stays while the request runs.
 * Locks:  handles.lock around changes of the tree; lookups are under RCU. It
 *         has a mapping's rank because insertion takes nodes from the slab.
 */
#include <stdlib.h>

#include "fuse_i.h"

#define HANDLE_KIND_BITS	2
#define HANDLE_KIND_MASK	((1u << HANDLE_KIND_BITS) - 1)

/* (L) lock; the tree is read under RCU. */
static struct {
	struct mutex lock;
	struct radix_tree_root tree;	/* (L) */
	uint64_t last;			/* (L) number given out last */
} handles;

void handle_init(void)
{
	mutex_init(&handles.lock, LOCK_TREE);
	handles.tree = (struct radix_tree_root){ NULL };
	handles.last = 0;
}

int handle_add(enum handle_kind kind, void *obj, uint64_t *fhp)
{
	uint64_t number;
	int err;

	err = radix_tree_preload(GFP_KERNEL, 1);
	if (err)
		return err;
	mutex_lock(&handles.lock);
	number = ++handles.last;
	err = radix_tree_insert(&handles.tree, number << HANDLE_KIND_BITS | kind,
				obj);
	mutex_unlock(&handles.lock);
	if (err)
		return err;
	*fhp = number << HANDLE_KIND_BITS | kind;
	return 0;
}

void *handle_get(enum handle_kind kind, uint64_t fh)
{
	void *obj;

	if ((fh & HANDLE_KIND_MASK) != kind)
		return NULL;
	mm_rcu_read_lock();
	obj = radix_tree_lookup(&handles.tree, fh);
	mm_rcu_read_unlock();
	return obj;
}

void *handle_del(enum handle_kind kind, uint64_t fh)
{
	void *obj;

	if ((fh & HANDLE_KIND_MASK) != kind)
		return NULL;
	mutex_lock(&handles.lock);
	obj = radix_tree_delete(&handles.tree, fh);
	mutex_unlock(&handles.lock);
	return obj;
}

void handle_put_object(enum handle_kind kind, void *obj)
{
	switch (kind) {
	case HANDLE_FILE:
		fs_release(obj);
		break;
	case HANDLE_DIR:
		fs_releasedir(obj);
		break;
	case HANDLE_CTL:
		ctl_release(obj);
		break;
	case HANDLE_TRACE:
		ctl_trace_release(obj);
		break;
	}
}

/* Any one object that is left, out of the tree; NULL when there is none. */
static void *handle_steal(uint64_t *fhp)
{
	void *obj = NULL;

	mutex_lock(&handles.lock);
	if (radix_tree_gang_lookup(&handles.tree, &obj, fhp, 0, UINT64_MAX, 1))
		radix_tree_delete(&handles.tree, *fhp);
	mutex_unlock(&handles.lock);
	return obj;
}

/* Context: no worker runs any more. */
void handle_exit(void)
{
	uint64_t fh;
	void *obj;

	while ((obj = handle_steal(&fh)))
		handle_put_object(fh & HANDLE_KIND_MASK, obj);
	mutex_destroy(&handles.lock);
}
