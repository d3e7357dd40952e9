/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * tests/mm/fake_swap.h - a swap device in memory
 *
 * I/O has ended when ->rw returns, or, while held, when it is released: in the
 * reverse order, by whoever releases it. Slots can be made to fail, and headers.
 */
#ifndef PAGEFS_TESTS_FAKE_SWAP_H
#define PAGEFS_TESTS_FAKE_SWAP_H

#include <pthread.h>
#include "swapfile.h"

#define FAKE_SWAP_HELD	1024u	/* pages; arbitrary */

struct fake_swap_io {
	struct page *page;
	enum swap_dir dir;
	loff_t pos;
	void (*end_io)(struct page *page, int err);
};

/* Fields: (C) constant while in use; (L) lock. */
struct fake_swap {
	struct swap_device dev;		/* first: container_of is the identity */
	char *data;			/* (C) elements: who has the slot */
	pthread_mutex_t lock;
	bool held;			/* (L) */
	struct fake_swap_io io[FAKE_SWAP_HELD];	/* (L) */
	unsigned int nr_io;		/* (L) */
	loff_t bad_pos;			/* (L) bytes: I/O of the page there fails; */
	int bad_err;			/* (L) 0: none does */
	int header_err;			/* (C) of both calls */
	unsigned int nr_closed;		/* (L) */
	unsigned int nr_late;		/* (L) I/O after it was closed */
};

/* Of @slots pages, all zeros, without a header. */
void fake_swap_init(struct fake_swap *fake, const char *path, unsigned long slots);
/* The same with one. */
void fake_swap_make(struct fake_swap *fake, const char *path, unsigned long slots);
void fake_swap_destroy(struct fake_swap *fake);

void fake_swap_hold(struct fake_swap *fake);
void fake_swap_release(struct fake_swap *fake);
void fake_swap_fail(struct fake_swap *fake, unsigned long slot, int err);

#endif /* PAGEFS_TESTS_FAKE_SWAP_H */
