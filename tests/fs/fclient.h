/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * tests/fs/fclient.h - a client that maps one file of fs/
 *
 *   fclient_store --right? page there?--> pwrite into the window
 *         |  no
 *         +-----> handle_mm_fault() --> fs/mmap.c, mm/
 *                       |
 *                       +--> mmu_ops: rights[] of this client
 *
 * Enough of an MMU to see what fs/ makes of faults; tests/mm/fake_mmu.h has
 * one that checks what mm/ does.
 */
#ifndef PAGEFS_TESTS_FCLIENT_H
#define PAGEFS_TESTS_FCLIENT_H

#include "harness.h"
#include "internal.h"
#include "mmap.h"

#define FCLIENT_PAGES	4096u

/* Fields: (C) constant while it is mapped; (L) lock. */
struct fclient {
	struct mm_struct *mm;		/* (C) */
	struct vm_file *file;		/* (C) referenced by the VMA alone */
	unsigned long addr;		/* (C) where it has the file */
	size_t len;			/* (C) bytes */
	pthread_mutex_t lock;
	bool may_write[FCLIENT_PAGES];	/* (L) */
	unsigned int nr_faults;		/* (L) */
};

/* Maps the file's first @len bytes; @vm_flags besides VM_READ and VM_SHARED.
 * Takes the reference to @file over. */
void fclient_map(struct fclient *c, struct vm_file *file, size_t len,
		 unsigned long vm_flags);
/* By inode; false: inode_get_vm_file() has failed. */
bool fclient_map_inode(struct fclient *c, struct inode *inode, bool writable,
		       size_t len);
void fclient_unmap(struct fclient *c);

/* Inside one page. False: it was SIGBUS. */
bool fclient_store(struct fclient *c, loff_t pos, const void *buf, size_t len);
bool fclient_load(struct fclient *c, loff_t pos, void *buf, size_t len);
bool fclient_has(struct fclient *c, loff_t pos, const void *want, size_t len);

/* Would a store of it come without a fault? */
bool fclient_may_write(struct fclient *c, loff_t pos);

/* Until the clock that times of stores are taken from has moved on: 10 ms at
 * most. */
void wait_for_tick(void);

#endif /* PAGEFS_TESTS_FCLIENT_H */
