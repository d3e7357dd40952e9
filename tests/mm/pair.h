/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * tests/mm/pair.h - one file on a fake disk, and two clients that may map it
 *
 * What tests of mapped files begin and end with. Of the program that lists
 * PAIR_SOURCES in Makefile.am: short names, as they are all over its cases.
 */
#ifndef PAGEFS_TESTS_PAIR_H
#define PAGEFS_TESTS_PAIR_H

#include "fake_mmu.h"

extern struct fake_disk disk;
extern struct fake_mapped *m;
extern struct fake_client *c, *other;

struct pair_conf {
	size_t memory;			/* bytes */
	bool threads;			/* kswapd and flushers run */
	enum fake_mode mode;
	unsigned long pages;		/* of the file */
	unsigned long spare;		/* and how many it may grow by */
	unsigned int ra_pages;		/* as file_ra_state_init() */
	unsigned long region;		/* pages of each client's addresses */
};

/* Nothing is mapped yet. */
void pair_up(const struct pair_conf *conf);
/* Checks all that there is, and that nothing is left. */
void down(void);

/* Pages that have been read from the disk. */
unsigned long reads(void);
/* Does @who find @want at @addr? */
bool loads(struct fake_client *who, unsigned long addr, uint64_t want);
/* The 8 bytes that the disk has at @pos of the file. */
uint64_t stored(loff_t pos);

#endif /* PAGEFS_TESTS_PAIR_H */
