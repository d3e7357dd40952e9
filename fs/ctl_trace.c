// SPDX-License-Identifier: BSD-2-Clause
/*
 * fs/ctl_trace.c - requests on .pagefs/trace, and the thread that answers them
 *
 *   open     a reader of its own: trace_file.c
 *   read     worker: notes the request and is free      --waits--> thread
 *            thread: a tick later: lines are there: the reply; else next tick
 *                    if there are many, or it may not wait, at once
 *   write    another filter
 *   release  the reader goes
 *
 * Who notes events does not wake anybody: that would be a system call, and a
 * switch on a busy CPU, for each. So the thread looks from time to time, and
 * while nobody reads it sleeps. A reader that comes back at once, for more, has
 * to wait for the next look, too: else it would get its events one by one. What
 * it gets, trace_file.c makes.
 *
 * I1. A request that waits is in waits, or the thread has it. It is answered by
 *     the thread alone, on the device it came in on (fuse_loop.c I1), whose
 *     descriptor it keeps open.
 * I2. A reader that is interrupted is answered within TICK_MS: libfuse notes the
 *     FUSE_INTERRUPT, the thread asks it.
 * I3. When the mount goes every reader gets what is left, then end of file. The
 *     mount waits for it, as long as readers read on, but never for long.
 * I4. A trace_file is freed with its last reference: the handle has one, and each
 *     request that waits.
 *
 * There is no poll(2): a file system that answers FUSE_POLL for one file is asked
 * for all, and io_uring asks, over and over, whenever a write finds the inode
 * locked. Four writers with eight requests each wrote 0.7 MB/s then, not 38.
 *
 * Locks:  file->lock (LOCK_READDIR), over finding names; server.lock, a leaf.
 * Source: fuse_lowlevel.h for replies that come later.
 */
#include <fcntl.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

#include "fuse_i.h"
#include "trace_file.h"

/* How late a reader that waits may hear of an event. Arbitrary: a quarter of what
 * fills a ring, and 200 looks a second cost little. */
#define TICK_MS		5u
/* I3: how long nobody may read, and all of them together; arbitrary. A reader
 * that reads at all comes back within microseconds. */
#define DRAIN_IDLE_MS	100u
#define DRAIN_MAX_MS	1000u
/* A reply at most, bytes: some 500 lines. Arbitrary. */
#define REPLY_MAX	(64 * SZ_1K)

/* A READ that waits. Its maker's, then the thread's. */
struct trace_wait {
	struct list_head list;		/* (Q) server.waits, or the thread's */
	struct trace_file *file;	/* referenced */
	fuse_req_t req;
	int device;			/* I1 */
	size_t size;			/* bytes */
	bool nonblock;
};

/* Fields: (Q) lock. */
static struct {
	struct mutex lock;
	pthread_cond_t cond;
	struct list_head waits;		/* (Q) */
	bool now;			/* (Q) the next look is not to wait */
	bool running;			/* (Q) */
	bool stop;			/* (Q) */
	unsigned int nr_unended;	/* (Q) open files whose end was not read */
	unsigned long nr_drained;	/* (Q) reads since stop */
	pthread_t thread;
} server = {
	.lock = MUTEX_INITIALIZER(LOCK_LEAF),
	.waits = LIST_HEAD_INIT(server.waits),
};

/* ---- files ---- */

static void trace_file_put(struct trace_file *file)
{
	bool last;

	mutex_lock(&server.lock);
	last = !--file->refs;
	mutex_unlock(&server.lock);
	if (last)
		trace_file_free(file);
}

/* To the thread, or whoever drains; later there is nobody. Context: server.lock. */
static void __signal_server(void)
{
	if (server.running)
		pthread_cond_signal(&server.cond);
}

/* Nobody need wait for it (I3). Context: server.lock. */
static void __trace_file_end(struct trace_file *file)
{
	if (file->ended)
		return;
	file->ended = true;
	server.nr_unended--;
	__signal_server();
}

void ctl_trace_release(struct trace_file *file)
{
	mutex_lock(&server.lock);
	__trace_file_end(file);
	mutex_unlock(&server.lock);
	trace_file_put(file);
}

/* @len bytes of @file were read, after the server was told to stop. */
static void note_drained(struct trace_file *file, size_t len)
{
	mutex_lock(&server.lock);
	server.nr_drained++;
	if (!len)
		__trace_file_end(file);
	__signal_server();
	mutex_unlock(&server.lock);
}

/* Events tell of everybody's files. */
static bool may_trace(fuse_req_t req)
{
	uid_t uid = fuse_req_ctx(req)->uid;

	return uid == 0 || uid == geteuid();
}

void op_trace_open(fuse_req_t req, struct fuse_file_info *fi)
{
	struct trace_file *file;
	int err = -EACCES;

	if (!may_trace(req))
		goto out;
	err = -EINVAL;		/* written to, it is a reader's filter */
	if ((fi->flags & O_ACCMODE) == O_WRONLY)
		goto out;
	file = trace_file_new();
	err = PTR_ERR(file);
	if (IS_ERR(file))
		goto out;
	mutex_lock(&server.lock);
	server.nr_unended++;
	mutex_unlock(&server.lock);
	err = handle_add(HANDLE_TRACE, file, &fi->fh);
	if (err) {
		ctl_trace_release(file);
		goto out;
	}
	fi->direct_io = 1;
	fi->nonseekable = 1;
	fi->noflush = 1;
	if (fuse_reply_open(req, fi) == -ENOENT)
		ctl_trace_release(handle_del(HANDLE_TRACE, fi->fh));
	return;
out:
	reply_err(req, err);
}

void op_trace_write(fuse_req_t req, const char *buf, size_t len, uint64_t fh)
{
	struct trace_file *file = handle_get(HANDLE_TRACE, fh);
	int err = file ? trace_file_filter(file, buf, len) : -EBADF;

	if (err)
		reply_err(req, err);
	else
		fuse_reply_write(req, len);
}

/* ---- reads ---- */

/* I3: there is no thread any more. */
static void answer_now(fuse_req_t req, struct trace_file *file, size_t size)
{
	char *buf = malloc(REPLY_MAX);
	size_t len;

	if (!buf) {
		reply_err(req, -ENOMEM);
		return;
	}
	len = trace_file_read(file, buf, min(size, REPLY_MAX));
	fuse_reply_buf(req, buf, len);
	free(buf);
	note_drained(file, len);
}

static struct trace_wait *wait_new(fuse_req_t req, struct trace_file *file,
				   size_t size, bool nonblock, int *errp)
{
	struct trace_wait *wait = malloc(sizeof(*wait));
	int device = fuse_loop_keep_device();

	*errp = -ENOMEM;
	if (wait && device >= 0) {
		*wait = (struct trace_wait){
			.file = file, .req = req, .device = device,
			.size = size, .nonblock = nonblock,
		};
		return wait;
	}
	if (device >= 0)
		close(device);
	else
		*errp = device;
	free(wait);
	return NULL;
}

/* Context: server.lock. */
static bool __nobody_waits(void)
{
	return list_empty(&server.waits);
}

/* Return: false: there is no thread. */
static bool give_to_server(struct trace_wait *wait)
{
	bool now = wait->nonblock || trace_file_has_many(wait->file);
	bool running, idle;

	mutex_lock(&server.lock);
	running = server.running && !server.stop;
	if (running) {
		idle = __nobody_waits();
		wait->file->refs++;
		list_add_tail(&wait->list, &server.waits);
		server.now |= now;
		if (idle || now)
			pthread_cond_signal(&server.cond);
	}
	mutex_unlock(&server.lock);
	return running;
}

void op_trace_read(fuse_req_t req, size_t size, struct fuse_file_info *fi)
{
	struct trace_file *file = handle_get(HANDLE_TRACE, fi->fh);
	struct trace_wait *wait;
	int err = -EBADF;

	wait = file ? wait_new(req, file, size, fi->flags & O_NONBLOCK, &err) :
		      NULL;
	if (!wait) {
		reply_err(req, err);
		return;
	}
	if (give_to_server(wait))
		return;
	close(wait->device);
	free(wait);
	answer_now(req, file, size);
}

/* ---- the thread ---- */

/* Return: whether the request has had its answer. */
static bool answer(struct trace_wait *wait, char *buf, bool ending)
{
	size_t len = trace_file_read(wait->file, buf,
				     min(wait->size, REPLY_MAX));

	if (!len && !ending && !wait->nonblock &&
	    !fuse_req_interrupted(wait->req))
		return false;
	fuse_loop_reply_on(wait->device);
	if (len || ending)
		fuse_reply_buf(wait->req, buf, len);
	else
		reply_err(wait->req, wait->nonblock ? -EAGAIN : -EINTR);
	fuse_loop_reply_on(-1);
	if (ending)
		note_drained(wait->file, len);
	return true;
}

/* Those that stay unanswered stay on @waits. */
static void serve_waits(struct list_head *waits, char *buf, bool ending)
{
	struct trace_wait *wait, *next;

	list_for_each_entry_safe(wait, next, waits, list) {
		if (!answer(wait, buf, ending))
			continue;
		list_del(&wait->list);
		close(wait->device);
		trace_file_put(wait->file);
		free(wait);
	}
}

/* Context: server.lock, dropped meanwhile. */
static void serve_once(char *buf, bool ending)
{
	LIST_HEAD(waits);

	server.now = false;
	list_splice_init(&server.waits, &waits);
	mutex_unlock(&server.lock);
	serve_waits(&waits, buf, ending);
	mutex_lock(&server.lock);
	list_splice_init(&waits, &server.waits);
}

/* Context: server.lock. Return: whether the time is up. */
static bool wait_ms(unsigned int ms)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	ts.tv_nsec += ms * 1000000l;
	ts.tv_sec += ts.tv_nsec / 1000000000;
	ts.tv_nsec %= 1000000000;
	return pthread_cond_timedwait(&server.cond, &server.lock.m,
				      &ts) == ETIMEDOUT;
}

/* Until it is time to look again. Context: server.lock. */
static void wait_a_tick(void)
{
	while (!server.stop && __nobody_waits())
		pthread_cond_wait(&server.cond, &server.lock.m);
	if (!server.stop && !server.now)
		wait_ms(TICK_MS);
}

static void *trace_main(void *arg)
{
	char *buf = arg;

	pthread_setname_np(pthread_self(), "pagefs-trace");
	mutex_lock(&server.lock);
	while (!server.stop) {
		serve_once(buf, false);
		wait_a_tick();
	}
	serve_once(buf, true);
	mutex_unlock(&server.lock);
	free(buf);
	return NULL;
}

int ctl_trace_start(void)
{
	char *buf = malloc(REPLY_MAX);
	pthread_condattr_t attr;
	int err;

	if (!buf)
		return -ENOMEM;
	BUG_ON(pthread_condattr_init(&attr));
	BUG_ON(pthread_condattr_setclock(&attr, CLOCK_MONOTONIC));
	BUG_ON(pthread_cond_init(&server.cond, &attr));
	pthread_condattr_destroy(&attr);
	server.stop = server.now = false;
	server.nr_drained = 0;
	server.running = true;
	err = -pthread_create(&server.thread, NULL, trace_main, buf);
	if (!err)
		return 0;
	server.running = false;
	pthread_cond_destroy(&server.cond);
	free(buf);
	return err;
}

void ctl_trace_stop(void)
{
	mutex_lock(&server.lock);
	server.stop = true;		/* nothing is added from here on */
	pthread_cond_signal(&server.cond);
	mutex_unlock(&server.lock);
	BUG_ON(pthread_join(server.thread, NULL));
}

/* I3. Whoever was not waiting when the server stopped comes to answer_now(). */
void ctl_trace_drain(void)
{
	uint64_t end_us = trace_clock_us() + DRAIN_MAX_MS * 1000;
	unsigned long before;
	bool idle = false;

	mutex_lock(&server.lock);
	while (server.nr_unended && !idle && trace_clock_us() < end_us) {
		before = server.nr_drained;
		idle = wait_ms(DRAIN_IDLE_MS) && server.nr_drained == before;
	}
	mutex_unlock(&server.lock);
}

void ctl_trace_exit(void)
{
	mutex_lock(&server.lock);
	server.running = false;
	mutex_unlock(&server.lock);
	pthread_cond_destroy(&server.cond);
}
