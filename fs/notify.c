// SPDX-License-Identifier: BSD-2-Clause
/*
 * fs/notify.c - invalidations sent to the kernel, most from a thread of their
 *               own
 *
 *   notify_inval_inode() --> buckets[nodeid] : (nodeid, range) ...
 *                                 |  same nodeid: the ranges become one
 *                                 v
 *                            notify thread --> kernel: drop these pages
 *                                 ^
 *   notify_prune_inodes() --> prune_wanted     kernel: drop these names
 *
 *   notify_*_wait() -----> the caller itself --> kernel
 *
 * The kernel takes locks to obey: of the page, whose READ may be waiting for
 * an answer of ours, or of the directory, in which somebody waits for a name.
 * A thread that owes the kernel an answer must therefore never notify (run:
 * it deadlocks beyond SIGKILL), nor one that holds a lock that answers need.
 * Who may, and has to know when it is done, does it himself: waking the thread
 * and being woken would take longer than the deed.
 *
 * I1. No lock of this file is held while libfuse's notify functions run, and
 *     of others only mmap_lock, which no request takes.
 * I2. An invalidation of data is never lost: stale bytes would be served as
 *     good ones. Entries fold by inode, so there are no more of them than
 *     inodes, and the C library's memory is there when the arena's is not.
 *     A wish to prune may be lost: it is repeated when memory stays short.
 * I3. Nobody is inside libfuse's notify functions once notify_exit() returns.
 *
 * Locks: notify.lock, a leaf.
 */
#include <limits.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include "fuse_i.h"

#define NR_BUCKETS	64u	/* arbitrary */
#define PRUNE_BATCH	64u	/* inodes looked up at once; arbitrary */

struct inval {
	struct list_head list;
	uint64_t nodeid;
	loff_t start, end;	/* bytes; @end is not part of it. Nothing
				 * between them: only the attributes */
	bool from_malloc;
};

/* Fields: (C) constant while it runs; (L) lock. */
static struct {
	struct mutex lock;
	pthread_cond_t cond;
	pthread_cond_t left;			/* nr_callers has become 0 */
	pthread_t thread;			/* (C) */
	struct fuse_session *se;		/* (C) */
	struct list_head buckets[NR_BUCKETS];	/* (L) */
	unsigned int nr_queued;			/* (L) */
	unsigned int next_bucket;		/* (L) where the thread looks */
	unsigned long prune_wanted;		/* (L) inodes */
	unsigned int nr_callers;		/* (L) who notify themselves (I3) */
	bool running;				/* (L) */
} notify = { .lock = MUTEX_INITIALIZER(LOCK_LEAF) };

/* ---- asking ---- */

void notify_prune_inodes(unsigned long nr)
{
	mutex_lock(&notify.lock);
	if (notify.running) {
		/* Not a sum: each asks for what it sees missing. */
		notify.prune_wanted = max(notify.prune_wanted, nr);
		pthread_cond_signal(&notify.cond);
	}
	mutex_unlock(&notify.lock);
}

static struct inval *inval_alloc(void)
{
	struct inval *inval = kmalloc(sizeof(*inval), GFP_NOWAIT);
	bool from_malloc = !inval;

	if (!inval)
		inval = malloc(sizeof(*inval));			/* I2 */
	if (inval)
		inval->from_malloc = from_malloc;
	return inval;
}

static void inval_free(struct inval *inval)
{
	if (!inval)
		return;
	if (inval->from_malloc)
		free(inval);
	else
		kfree(inval);
}

/* Context: notify.lock. */
static struct inval *inval_find(struct list_head *bucket, uint64_t nodeid)
{
	struct inval *inval;

	list_for_each_entry(inval, bucket, list)
		if (inval->nodeid == nodeid)
			return inval;
	return NULL;
}

/* Takes @new, whose room is to be used if the inode has none yet; returns it
 * when it was not. Context: notify.lock. */
static struct inval *inval_queue(struct inval *new, uint64_t nodeid,
				 loff_t start, loff_t end)
{
	struct list_head *bucket = &notify.buckets[nodeid % NR_BUCKETS];
	struct inval *old = inval_find(bucket, nodeid);

	if (old) {
		old->start = min(old->start, start);
		old->end = max(old->end, end);
		return new;
	}
	if (!new)
		return NULL;
	new->nodeid = nodeid;
	new->start = start;
	new->end = end;
	list_add_tail(&new->list, bucket);
	notify.nr_queued++;
	pthread_cond_signal(&notify.cond);
	return NULL;
}

static void queue_inval(uint64_t nodeid, loff_t start, loff_t end)
{
	struct inval *inval = inval_alloc();

	if (!inval)
		fs_log(LOG_CRIT, "no memory to tell the kernel that nodeid %llu changed",
		       (unsigned long long)nodeid);
	mutex_lock(&notify.lock);
	if (notify.running)
		inval = inval_queue(inval, nodeid, start, end);
	mutex_unlock(&notify.lock);
	inval_free(inval);
}

static loff_t range_end(loff_t pos, loff_t len)
{
	return len ? pos + len : LLONG_MAX;
}

void notify_inval_inode(uint64_t nodeid, loff_t pos, loff_t len)
{
	queue_inval(nodeid, pos, range_end(pos, len));
}

void notify_inval_attr(uint64_t nodeid)
{
	queue_inval(nodeid, LLONG_MAX, 0);	/* adds nothing to a range */
}

/* ---- telling ---- */

/* The next entry, taken off, or NULL. Context: notify.lock. */
static struct inval *inval_take(void)
{
	struct list_head *bucket;
	struct inval *inval;

	if (!notify.nr_queued)
		return NULL;
	do {
		bucket = &notify.buckets[notify.next_bucket++ % NR_BUCKETS];
	} while (list_empty(bucket));
	inval = list_first_entry(bucket, struct inval, list);
	list_del(&inval->list);
	notify.nr_queued--;
	return inval;
}

/* Return: 0: the kernel has nothing of it any more; or -errno. */
static int inval_send(uint64_t nodeid, loff_t start, loff_t end)
{
	loff_t len = end == LLONG_MAX ? 0 : end - start;
	int err;

	if (start >= end) {
		start = -1;		/* the kernel's word for: no data */
		len = 0;
	}
	err = fuse_lowlevel_notify_inval_inode(notify.se, nodeid, start, len);
	/* -ENOENT: it does not know the inode, and so has nothing of it. */
	if (!err || err == -ENOENT || fuse_loop_ended())
		return 0;
	fs_log(LOG_ERR, "nodeid %llu: invalidation refused: %s",
	       (unsigned long long)nodeid, strerror(-err));
	return err;
}

static bool caller_enter(void)
{
	bool running;

	mutex_lock(&notify.lock);
	running = notify.running;
	notify.nr_callers += running;
	mutex_unlock(&notify.lock);
	return running;
}

static void caller_leave(void)
{
	mutex_lock(&notify.lock);
	if (!--notify.nr_callers)
		pthread_cond_broadcast(&notify.left);
	mutex_unlock(&notify.lock);
}

static int inval_now(uint64_t nodeid, loff_t start, loff_t end)
{
	int err;

	lockdep_assert_none_from(LOCK_INVALIDATE);		/* I1 */
	/* The kernel may wait for a READ, and that for I/O of ours. */
	blk_flush_plug();
	if (fuse_loop_ended() || !caller_enter())
		return 0;
	thread_will_block();
	err = inval_send(nodeid, start, end);
	caller_leave();
	return err;
}

int notify_inval_inode_wait(uint64_t nodeid, loff_t pos, loff_t len)
{
	return inval_now(nodeid, pos, range_end(pos, len));
}

int notify_inval_attr_wait(uint64_t nodeid)
{
	return inval_now(nodeid, LLONG_MAX, 0);
}

static void prune_one(struct inode *inode)
{
	char name[NAME_MAX + 1];
	uint64_t parent;
	int len;

	len = inode_any_alias(inode, &parent, name);
	if (len > 0)
		fuse_lowlevel_notify_inval_entry(notify.se, parent, name,
						 (size_t)len);
}

/* The kernel lets go of names, so of inodes, and sends FORGETs. */
static void prune(unsigned long nr)
{
	struct inode *inodes[PRUNE_BATCH];
	unsigned int got;

	for (; nr; nr -= min(nr, got)) {
		got = inode_prune_candidates(inodes,
					     min_t(unsigned long, nr, PRUNE_BATCH));
		if (!got)
			return;
		for (unsigned int i = 0; i < got; i++) {
			prune_one(inodes[i]);
			iput(inodes[i]);
		}
	}
}

/* One thing to do, if there is any. Context: notify.lock, dropped for it. */
static bool notify_step(void)
{
	struct inval *inval = inval_take();
	unsigned long nr = notify.prune_wanted;

	if (!inval && !nr)
		return false;
	if (!inval)
		notify.prune_wanted = 0;
	mutex_unlock(&notify.lock);				/* I1 */
	if (inval)
		inval_send(inval->nodeid, inval->start, inval->end);
	else
		prune(nr);
	inval_free(inval);
	mutex_lock(&notify.lock);
	return true;
}

static void *notify_main(void *arg)
{
	(void)arg;
	pthread_setname_np(pthread_self(), "pagefs-notify");
	mutex_lock(&notify.lock);
	while (notify.running)
		if (!notify_step())
			pthread_cond_wait(&notify.cond, &notify.lock.m);
	/* The mount is going: the kernel will drop everything anyway. */
	mutex_unlock(&notify.lock);
	return NULL;
}

int notify_init(struct fuse_session *se)
{
	int err;

	for (unsigned int i = 0; i < NR_BUCKETS; i++)
		INIT_LIST_HEAD(&notify.buckets[i]);
	BUG_ON(pthread_cond_init(&notify.cond, NULL));
	BUG_ON(pthread_cond_init(&notify.left, NULL));
	notify.se = se;
	notify.nr_queued = 0;
	notify.prune_wanted = 0;
	notify.running = true;
	err = -pthread_create(&notify.thread, NULL, notify_main, NULL);
	if (err) {
		notify.running = false;
		pthread_cond_destroy(&notify.cond);
		pthread_cond_destroy(&notify.left);
	}
	return err;
}

/* Context: the workers still serve, or the session has ended: the threads may
 * be waiting for the kernel, which may be waiting for an answer. */
void notify_exit(void)
{
	struct inval *inval;

	mutex_lock(&notify.lock);
	if (!notify.running) {
		mutex_unlock(&notify.lock);
		return;
	}
	notify.running = false;
	pthread_cond_signal(&notify.cond);
	mutex_unlock(&notify.lock);
	BUG_ON(pthread_join(notify.thread, NULL));
	mutex_lock(&notify.lock);
	while (notify.nr_callers)				/* I3 */
		pthread_cond_wait(&notify.left, &notify.lock.m);
	mutex_unlock(&notify.lock);
	while ((inval = inval_take()))
		inval_free(inval);
	pthread_cond_destroy(&notify.cond);
	pthread_cond_destroy(&notify.left);
}
