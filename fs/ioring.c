// SPDX-License-Identifier: BSD-2-Clause
/*
 * fs/ioring.c - io_uring: a ring in every thread that does I/O, and the I/O
 *               thread for what nobody waits for
 *
 *   reader   own ring    submit and wait: one system call for one page
 *   flusher  own ring    submit, go on; current_plug waits for it
 *   reader   queue ---eventfd, if asleep---> I/O thread's ring: read-ahead
 *
 * A ring is used by one thread. Completions are run in the submitter's context
 * when it enters the kernel (COOP_TASKRUN), so they interrupt nobody; a ring
 * many threads submit to would have each of them interrupted by its I/O's end.
 * For the same reason a bio never changes rings, and all that is done to it
 * once it is on one is done by one thread.
 *
 * DEFER_TASKRUN, by which completions are run only when the ring is entered, is
 * for the I/O thread, which always sleeps there. In others it held files open:
 * a write that went through a kernel worker drops its reference to the file in
 * such a completion, which may come after the result. Of 1,000 files written
 * and closed, 3 were still open 20 ms later (6.18); unlinked, their blocks were
 * not free until the thread's next I/O. It saved 0.4 to 0.8 us of CPU an I/O at
 * depth 32, and nothing at depth 1.
 *
 * R1. While a thread has requests on its ring, current_plug is that ring's:
 *     whoever may sleep for a page or for memory ends them first.
 * R2. At most ring->depth requests are on a ring, so its completion queue,
 *     twice as long, cannot overflow.
 * R3. The I/O thread sleeps only after it has seen the queue empty and set
 *     asleep in one section of io.lock: whoever queues after that writes the
 *     eventfd. While asleep is false no system call is needed.
 *
 * Where the kernel refuses io_uring (sysctl, a container's seccomp filter), or
 * a thread's ring (descriptors, memory), the same requests are carried out by
 * preadv and pwritev, one at a time.
 *
 * Locks:  io.lock (LOCK_IO). The thread's own ring needs none.
 * Source: io_uring_setup(2); Linux block/blk-core.c (blk_start_plug) for the
 *         plug. Differs: a plug here holds I/O until it has ended.
 */
#include <liburing.h>
#include <poll.h>
#include <string.h>
#include <sys/eventfd.h>
#include <time.h>
#include <unistd.h>

#include "ioring.h"

/* Requests a thread's own ring takes. Measured earlier: the
 * disk gains little beyond a depth of 32. */
#define RING_DEPTH	64u
/* Pages on it: 8 MiB is 2 ms of a disk that writes 4 GB/s. Arbitrary. */
#define RING_PAGES	(8 * MAX_RUN_PAGES)
/* Requests, or pages, prepared before the kernel is called: a plug's job.
 * Arbitrary; 16 is half of Linux's BLK_MAX_REQUEST_COUNT. */
#define PLUG_REQUESTS	16u
#define PLUG_PAGES	64u
/* Requests the I/O thread has in flight, its eventfd read included. Arbitrary:
 * with read-ahead windows of 1 MiB memory runs out first. */
#define IOTHREAD_DEPTH	128u

/* Fields: the owning thread's alone. */
struct ioring {
	struct io_uring uring;
	struct blk_plug plug;
	unsigned int depth;	/* 0: none, requests are system calls */
	unsigned int inflight;	/* bios on it, submitted or not */
	unsigned int pages;	/* of these bios */
	unsigned int prepared;	/* pages of SQEs not yet submitted */
	unsigned int nr_timed;	/* transfers on it whose time is taken */
	struct list_head timed;	/* bios prepared, which want to know when they
				 * are submitted */
	bool armed;		/* a request without a bio is on it, that wakes */
	bool tried;		/* set up, or refused */
};

static __thread struct ioring thread_ring;

/* ---- setting up and tearing down ---- */

enum ring_use { RING_OWN, RING_IOTHREAD };

/* From what suits us best to what every kernel takes (5.1). */
static const unsigned int ring_flags[][3] = {
	[RING_OWN] = {
		IORING_SETUP_SINGLE_ISSUER | IORING_SETUP_COOP_TASKRUN |
			IORING_SETUP_SUBMIT_ALL,			/* 6.0 */
		IORING_SETUP_COOP_TASKRUN | IORING_SETUP_SUBMIT_ALL,	/* 5.19 */
		0,
	},
	[RING_IOTHREAD] = {
		IORING_SETUP_SINGLE_ISSUER | IORING_SETUP_DEFER_TASKRUN |
			IORING_SETUP_SUBMIT_ALL,			/* 6.1 */
		IORING_SETUP_COOP_TASKRUN | IORING_SETUP_SUBMIT_ALL,
		0,
	},
};

static void ioring_setup(struct ioring *ring, enum ring_use use,
			 unsigned int depth)
{
	struct io_uring_params p;
	int err = -EINVAL;

	ring->tried = true;
	ring->depth = 0;
	INIT_LIST_HEAD(&ring->timed);
	for (unsigned int i = 0; i < ARRAY_SIZE(ring_flags[use]) && err; i++) {
		memset(&p, 0, sizeof(p));
		p.flags = ring_flags[use][i] | IORING_SETUP_CQSIZE;
		p.cq_entries = depth * 2;				/* R2 */
		err = io_uring_queue_init_params(depth, &ring->uring, &p);
	}
	if (err)
		return;
	/* Saves a look-up of the descriptor a call (5.18); no harm without. */
	io_uring_register_ring_fd(&ring->uring);
	ring->depth = depth;
}

/* Nothing may be in flight. */
static void ioring_teardown(struct ioring *ring)
{
	BUG_ON(ring->inflight);
	if (ring->depth)
		io_uring_queue_exit(&ring->uring);
	ring->depth = 0;
	ring->tried = ring->armed = false;
}

static pthread_key_t ring_key;		/* its destructor is all we want of it */
static pthread_once_t ring_key_once = PTHREAD_ONCE_INIT;

static void ring_key_destroy(void *arg)
{
	(void)arg;		/* thread_ring, still there at this point */
	ioring_release();
}

static void ring_key_create(void)
{
	BUG_ON(pthread_key_create(&ring_key, ring_key_destroy));
}

static void ioring_flush_plug(struct blk_plug *plug)
{
	(void)plug;		/* a plug is flushed by its own thread */
	ioring_wait();
}

static struct ioring *get_thread_ring(void)
{
	struct ioring *ring = &thread_ring;

	if (likely(ring->tried))
		return ring;
	pthread_once(&ring_key_once, ring_key_create);
	ioring_setup(ring, RING_OWN, RING_DEPTH);
	ring->plug.flush = ioring_flush_plug;
	/* Without memory for it the ring lives until the process ends. */
	pthread_setspecific(ring_key, ring);
	return ring;
}

void ioring_release(void)
{
	struct ioring *ring = &thread_ring;

	if (!ring->tried)
		return;
	ioring_wait();
	ioring_teardown(ring);
}

/* ---- submitting and completing ---- */

static void ioring_note_start(struct ioring *ring)
{
	struct bio *bio, *next;

	list_for_each_entry_safe(bio, next, &ring->timed, list) {
		list_del(&bio->list);
		bio_started(bio);
	}
}

/*
 * Submits what is prepared and waits for @wait_nr completions. An interrupted
 * or refused call is not repeated here: the caller counts what it still waits
 * for. That is without bound, because SQEs once prepared cannot be taken back,
 * and their pages must not be ended while the kernel may yet transfer them.
 */
static void __ioring_enter(struct ioring *ring, unsigned int wait_nr)
{
	static const struct timespec nap = { .tv_nsec = 1000000 };
	int ret;

	if (unlikely(!list_empty(&ring->timed)))
		ioring_note_start(ring);
	ret = io_uring_submit_and_wait(&ring->uring, wait_nr);

	if (ret >= 0)
		ring->prepared = 0;
	else if (ret == -EAGAIN || ret == -ENOMEM || ret == -EBUSY)
		nanosleep(&nap, NULL);	/* the kernel is short of memory */
	else
		BUG_ON(ret != -EINTR);
}

static void ioring_enter(struct ioring *ring, unsigned int wait_nr)
{
	if (wait_nr)
		thread_will_block();
	__ioring_enter(ring, wait_nr);
}

static struct io_uring_sqe *ioring_get_sqe(struct ioring *ring)
{
	struct io_uring_sqe *sqe;

	while (!(sqe = io_uring_get_sqe(&ring->uring)))
		ioring_enter(ring, 0);
	return sqe;
}

static void ioring_prep(struct ioring *ring, struct bio *bio,
			const struct bio_transfer *x)
{
	struct io_uring_sqe *sqe = ioring_get_sqe(ring);

	/* A single buffer spares the kernel the copy of an array. */
	if (x->nr_vec == 1 && bio->op == BACKING_READ)
		io_uring_prep_read(sqe, x->fd, x->vec->iov_base, x->len, x->pos);
	else if (x->nr_vec == 1)
		io_uring_prep_write(sqe, x->fd, x->vec->iov_base, x->len, x->pos);
	else if (bio->op == BACKING_READ)
		io_uring_prep_readv(sqe, x->fd, x->vec, x->nr_vec, x->pos);
	else
		io_uring_prep_writev(sqe, x->fd, x->vec, x->nr_vec, x->pos);
	io_uring_sqe_set_data(sqe, bio);
	if (unlikely(bio->queued_us) && !bio->started_us)
		list_add_tail(&bio->list, &ring->timed);
	ring->nr_timed += bio->queued_us != 0;
	ring->prepared += x->len >> PAGE_SHIFT;
	ring->inflight++;
	ring->pages += bio->nr;
}

/*
 * The next transfer of a bio that has bytes left. On a thread's own ring
 * buffered ones are done at once: the kernel would hand most of them to a
 * worker thread, and the wake-up costs more than the copy.
 */
static void ioring_start(struct ioring *ring, struct bio *bio)
{
	struct bio_transfer x;

	bio_transfer(bio, &x);
	if (x.direct || ring != &thread_ring) {
		ioring_prep(ring, bio, &x);
		return;
	}
	if (io_uring_sq_ready(&ring->uring))
		ioring_enter(ring, 0);	/* let the device work meanwhile */
	bio_run(bio);
}

static void ioring_complete(struct ioring *ring, struct bio *bio, int res)
{
	ring->inflight--;
	ring->nr_timed -= bio->queued_us != 0;
	ring->pages -= bio->nr;
	if (bio_step(bio, res))
		ioring_start(ring, bio);
	else
		bio_end(bio);
}

/*
 * Handles all completions there are. Each is taken off the ring before it is
 * handled, for handling one may come back here.
 */
static void ioring_complete_all(struct ioring *ring)
{
	struct io_uring_cqe *cqe;

	while (io_uring_cq_ready(&ring->uring) &&
	       !io_uring_peek_cqe(&ring->uring, &cqe)) {
		struct bio *bio = io_uring_cqe_get_data(cqe);
		int res = cqe->res;

		io_uring_cqe_seen(&ring->uring, cqe);
		if (bio)
			ioring_complete(ring, bio, res);
		else
			ring->armed = false;
	}
}

/* Who is timed is not to wait for the others. */
static void ioring_reap(struct ioring *ring, unsigned int wait_nr)
{
	ioring_enter(ring, unlikely(ring->nr_timed) ? min(wait_nr, 1u) : wait_nr);
	ioring_complete_all(ring);
}

/* ---- the thread's own ring ---- */

/* R1 */
static void ioring_update_plug(struct ioring *ring)
{
	if (ring->inflight)
		current_plug = &ring->plug;
	else if (current_plug == &ring->plug)
		current_plug = NULL;
}

void ioring_wait(void)
{
	struct ioring *ring = &thread_ring;

	while (ring->inflight)
		ioring_reap(ring, ring->inflight);
	ioring_update_plug(ring);
}

/*
 * What wakes us may end in any other wait, too; so it is seen wherever
 * completions are handled, and armed again here.
 */
bool ioring_poll(int fd, bool wait)
{
	struct ioring *ring = &thread_ring;
	struct io_uring_sqe *sqe;

	if (!ring->depth || (fd < 0 && !ring->inflight))
		return fd >= 0;
	if (wait && fd >= 0 && !ring->armed) {
		sqe = ioring_get_sqe(ring);
		io_uring_prep_poll_add(sqe, fd, POLLIN);
		io_uring_sqe_set_data(sqe, NULL);
		ring->armed = true;
	}
	__ioring_enter(ring, wait);
	ioring_complete_all(ring);
	ioring_update_plug(ring);
	return fd >= 0 && !ring->armed;
}

void ioring_submit(struct bio *bio)
{
	struct ioring *ring = get_thread_ring();

	if (!ring->depth) {
		bio_run(bio);
		return;
	}
	/* A quarter at a time: the device keeps the others, we few sleeps. */
	while (ring->inflight &&
	       (ring->inflight >= ring->depth ||
		ring->pages + bio->nr > RING_PAGES))
		ioring_reap(ring, DIV_ROUND_UP(ring->inflight, 4));
	ioring_start(ring, bio);
	if (ring->prepared >= PLUG_PAGES ||
	    io_uring_sq_ready(&ring->uring) >= PLUG_REQUESTS) {
		ioring_enter(ring, 0);
		if (unlikely(ring->nr_timed))
			ioring_complete_all(ring);
	}
	ioring_update_plug(ring);
}

/* ---- the I/O thread ---- */

/* Fields: (C) constant while it runs; (Q) lock; (T) the thread's own. */
static struct {
	struct mutex lock;		/* LOCK_IO */
	struct list_head queue;		/* (Q) bios to start */
	bool asleep;			/* (Q) R3 */
	bool stop;			/* (Q) */
	int eventfd;			/* (C) */
	pthread_t thread;		/* (C) */
	struct ioring ring;		/* (T) */
	uint64_t event;			/* (T) where the eventfd is read to */
} io = {
	.lock = MUTEX_INITIALIZER(LOCK_IO),
	.queue = LIST_HEAD_INIT(io.queue),
	.eventfd = -1,
};

static void iothread_wake(void)
{
	const uint64_t one = 1;

	/* Cannot fail: the counter is far from its end. */
	BUG_ON(write(io.eventfd, &one, sizeof(one)) != sizeof(one));
}

void iothread_submit(struct bio *bio)
{
	bool wake;

	mutex_lock(&io.lock);
	list_add_tail(&bio->list, &io.queue);
	wake = io.asleep;
	io.asleep = false;
	mutex_unlock(&io.lock);
	if (wake)
		iothread_wake();
}

/* The next bio to start; with NULL, asleep is set (R3). *@stop: for good. */
static struct bio *iothread_pop(bool *stop)
{
	struct bio *bio = NULL;

	mutex_lock(&io.lock);
	if (!list_empty(&io.queue)) {
		bio = list_first_entry(&io.queue, struct bio, list);
		list_del(&bio->list);
	}
	io.asleep = !bio;
	*stop = io.stop;
	mutex_unlock(&io.lock);
	return bio;
}

/* Sleeps until something ends or, if we are seen asleep, is queued. */
static void iothread_sleep(void)
{
	struct io_uring_sqe *sqe;

	/*
	 * It may have ended in any wait, not only while we slept. Missed, it
	 * would never be armed again, and with nothing in flight we would not
	 * wake.
	 */
	if (!io.ring.armed) {
		sqe = ioring_get_sqe(&io.ring);
		io_uring_prep_read(sqe, io.eventfd, &io.event, sizeof(io.event), 0);
		io_uring_sqe_set_data(sqe, NULL);
		io.ring.armed = true;
	}
	ioring_reap(&io.ring, 1);
}

static void iothread_loop(void)
{
	struct ioring *ring = &io.ring;
	struct bio *bio;
	bool stop = false;

	for (;;) {
		/* One place is the eventfd's. */
		if (ring->inflight >= ring->depth - 1) {
			ioring_reap(ring, 1);
			continue;
		}
		bio = iothread_pop(&stop);
		if (bio && (!bio->len || bio->err))
			bio_end(bio);
		else if (bio)
			ioring_start(ring, bio);
		else if (stop && !ring->inflight)
			return;
		else
			iothread_sleep();
	}
}

/* Without io_uring: one after the other. */
static void iothread_loop_plain(void)
{
	struct bio *bio;
	bool stop;

	for (;;) {
		bio = iothread_pop(&stop);
		if (bio)
			bio_run(bio);
		else if (stop)
			return;
		else if (read(io.eventfd, &io.event, sizeof(io.event)) < 0)
			BUG_ON(errno != EINTR);
	}
}

static void *iothread(void *arg)
{
	unsigned int saved = memalloc_save();

	(void)arg;
	pthread_setname_np(pthread_self(), "pagefs-io");
	/* Here, not in init: only the thread that sets it up may use it. */
	ioring_setup(&io.ring, RING_IOTHREAD, IOTHREAD_DEPTH);
	if (io.ring.depth)
		iothread_loop();
	else
		iothread_loop_plain();
	ioring_teardown(&io.ring);
	memalloc_restore(saved);
	return NULL;
}

int iothread_init(void)
{
	int err;

	io.stop = io.asleep = false;
	io.eventfd = eventfd(0, EFD_CLOEXEC);
	if (io.eventfd < 0)
		return -errno;
	err = pthread_create(&io.thread, NULL, iothread, NULL);
	if (err) {
		close(io.eventfd);
		return -err;
	}
	return 0;
}

void iothread_exit(void)
{
	mutex_lock(&io.lock);
	io.stop = true;
	mutex_unlock(&io.lock);
	iothread_wake();
	BUG_ON(pthread_join(io.thread, NULL));
	close(io.eventfd);
	io.eventfd = -1;
}
