/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * tests/mm/fake_swapdev.h - a swap device in memory, for tests of what is swapped
 *
 * Modes as of fake_disk.h: SYNC has ended all I/O when ->rw returns; ASYNC leaves
 * it to a worker, pages in random order, after delays; PLUG leaves what need not
 * be waited for to the thread's plug. What mm/ must never do is counted as
 * violations: a slot is read that was never written, a page is not in the state
 * that I/O on it has.
 */
#ifndef PAGEFS_TESTS_FAKE_SWAPDEV_H
#define PAGEFS_TESTS_FAKE_SWAPDEV_H

#include <pthread.h>
#include "fake_disk.h"
#include "swapfile.h"

/* Fields: (A) atomic; (C) constant; (L) lock. */
struct fake_swapdev {
	struct swap_device dev;
	enum fake_mode mode;			/* (C) */
	unsigned int max_delay_us;		/* (C) of a job, in the worker */
	unsigned int page_us;			/* (C) it takes so long for a page */
	char *data;				/* pages by slot */
	bool *written;				/* (L) a slot ever was */
	pthread_mutex_t lock;
	pthread_cond_t work, idle;
	struct list_head queue;			/* (L) jobs */
	bool running, held, stop;		/* (L) */
	unsigned long fail_nth[2];		/* (L) the nth page: by swap_dir */
	bool fail_sticky[2];			/* (L) and all after it */
	unsigned int fail_per_mille[2];		/* (L) at random */
	loff_t fail_pos[2];			/* (L) of this slot; 0: none */
	uint64_t rand;				/* (L) */
	const char *what;			/* (L) the first violation */
	unsigned int violations;		/* (L) */
	pthread_t worker;
	bool has_worker, closed;		/* (C) */
	atomic_ulong pages[2];			/* (A) that ended well */
	atomic_ulong failed[2];			/* (A) */
};

/* In use from here on, @nr_slots with the header's. @prio: as swap_on(). */
void fake_swapdev_on(struct fake_swapdev *s, enum fake_mode mode,
		  unsigned long nr_slots, int prio);
/*
 * After swap_off(), or where it is none of mm/'s any more. Return: violations,
 * after printing the first.
 */
unsigned int fake_swapdev_exit(struct fake_swapdev *s);

void fake_swapdev_hold(struct fake_swapdev *s);
void fake_swapdev_release(struct fake_swapdev *s);
/* Waits until the worker has nothing to do. */
void fake_swapdev_drain(struct fake_swapdev *s);

void fake_swapdev_fail_nth(struct fake_swapdev *s, enum swap_dir dir,
			unsigned long nth, bool sticky);
void fake_swapdev_fail_random(struct fake_swapdev *s, enum swap_dir dir,
			   unsigned int per_mille);
/* All I/O of the slot. */
void fake_swapdev_fail_slot(struct fake_swapdev *s, enum swap_dir dir,
			 swp_entry_t entry);
void fake_swapdev_fail_off(struct fake_swapdev *s);

/*
 * What shmem_check() cannot see: each slot has as many users as objects have its
 * entry, and a clean page in the arena has its slot's bytes. Nothing moves.
 */
void fake_swapdev_check(struct fake_swapdev *s);

#endif /* PAGEFS_TESTS_FAKE_SWAPDEV_H */
