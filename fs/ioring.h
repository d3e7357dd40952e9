/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * fs/ioring.h - what backing.c (requests) and ioring.c (rings) tell each other
 *
 *   backing_rw, swapdev.c
 *        v
 *   bio_submit ---> bio_run           buffered, or no io_uring: system calls
 *        |          ioring_submit     this thread's ring: waits, or the plug does
 *        +--------> iothread_submit   the I/O thread's ring
 *
 * A bio is one contiguous range of a file and the frames that are its memory.
 * It moves through its range in transfers: the direct part, the buffered tail,
 * and what a short transfer left. Whoever carries out a transfer asks
 * bio_transfer() what it is and tells bio_step() what came of it.
 */
#ifndef PAGEFS_FS_IORING_H
#define PAGEFS_FS_IORING_H

#include <sys/uio.h>

#include "internal.h"

/*
 * Pages a bio has room for in itself: 64 KiB. Arbitrary; with it a bio fills
 * half a KiB, and single pages and short runs need no second allocation.
 */
#define BIO_INLINE_PAGES	16u

/*
 * Fields: (C) constant once built; the others belong to whoever has the bio:
 * its maker, then the queue under LOCK_IO, then the thread whose ring it is on.
 */
struct bio {
	struct list_head list;		/* the I/O thread's queue, the reserve, or
					 * its ring's timed */
	struct backing_file *file;	/* (C) referenced */
	loff_t pos;			/* (C) bytes, page aligned */
	size_t len;			/* (C) bytes to transfer */
	size_t direct_len;		/* (C) of these, from pos on, by direct I/O */
	size_t done;			/* bytes transferred */
	struct page **pages;		/* (C) inline_pages, or kmalloc'ed */
	struct iovec *vec;		/* inline_vec, or behind pages */
	uint16_t nr;			/* (C) pages */
	uint16_t nr_vec;		/* (C) */
	uint16_t nr_direct_vec;		/* (C) of these, for direct_len */
	uint16_t cur_vec;		/* the first with bytes left */
	int err;			/* 0, or why it ended early */
	uint8_t op;			/* (C) enum backing_op */
	bool no_direct;			/* direct I/O was refused: EINVAL */
	uint8_t tries;			/* since the last byte */
	uint8_t reason;			/* (C) of a write: enum wb_reason */
	uint32_t age_ms;		/* (C) of a write, or TRACE_UNKNOWN */
	/* (C) NULL: pages of a file's cache. Else what ends the pages; they are
	 * all there, so that a transfer that comes short is an error. */
	void (*end)(struct bio *bio);
	void (*end_io)(struct page *page, int err);	/* (C) @end's own */
	/* Of a write, for its trace event: made, on the device; or 0. */
	uint64_t queued_us, started_us;
	struct page *inline_pages[BIO_INLINE_PAGES];
	struct iovec inline_vec[BIO_INLINE_PAGES];
};
_Static_assert(sizeof(struct bio) <= 512, "a bio is half a KiB");

/* One system call's or SQE's worth of a bio. */
struct bio_transfer {
	int fd;
	bool direct;
	loff_t pos;
	size_t len;
	const struct iovec *vec;
	unsigned int nr_vec;
};

/* ---- backing.c ---- */

/*
 * A request of @op for the first pages of a run, bio->nr of them, at @pos, and
 * for @bytes at most. It has no reference to @file, and pages of a file's cache.
 * Context: may wait for requests of others to end; never fails.
 */
struct bio *bio_new(enum backing_op op, struct backing_file *file,
		    struct page **pages, unsigned int nr, loff_t pos,
		    size_t bytes);
/* @async: to the I/O thread. It may have ended on return. */
void bio_submit(struct bio *bio, bool async);
/* Bytes of page @i were transferred? Return: 0 or the bio's error. */
int bio_page_error(const struct bio *bio, unsigned int i);
/* What @bio has to transfer next. It has bytes left. */
void bio_transfer(const struct bio *bio, struct bio_transfer *x);
/*
 * The transfer just asked for returned @res, bytes or -errno.
 * Return: true if the bio goes on; false when it has to be ended.
 */
bool bio_step(struct bio *bio, ssize_t res);
/* Ends every page and frees the bio. Context: no locks. */
void bio_end(struct bio *bio);
/* The device is about to hear of it: once, for its trace event. */
void bio_started(struct bio *bio);
/* Carries out @bio by system calls, and ends it. Context: no locks. */
void bio_run(struct bio *bio);

/* ---- ioring.c ---- */

/* Start @bio on the calling thread's ring. It may have ended on return. */
void ioring_submit(struct bio *bio);
/* Wait for all that is on the calling thread's ring. */
void ioring_wait(void);
/*
 * Submit what is prepared on the calling thread's ring, and end what has ended.
 * @wait: sleep until there is some of that, or @fd (-1: none) is readable;
 * thread_will_block() is not called. Return: as fs_poll_io().
 */
bool ioring_poll(int fd, bool wait);
/* Release the calling thread's ring now rather than at its exit. */
void ioring_release(void);

/* Hand @bio to the I/O thread. */
void iothread_submit(struct bio *bio);
int iothread_init(void);
/* Ends what is queued first. */
void iothread_exit(void);

#endif /* PAGEFS_FS_IORING_H */
