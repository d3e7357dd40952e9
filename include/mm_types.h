/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * mm_types.h - the words every part of mm/ shares: sizes, struct page
 *
 * A frame is 4 KiB of the arena and has a pfn, counted from the arena's start.
 * A page is a cached piece of a file, and has a descriptor: struct page. The
 * page knows which frame its bytes are in; the frame does not know its page,
 * so the bytes can move while the page keeps its place in the radix tree.
 */
#ifndef PAGEFS_MM_TYPES_H
#define PAGEFS_MM_TYPES_H

#include <stdatomic.h>
#include "bug.h"
#include "list.h"

#define PAGE_SHIFT	12
#define PAGE_SIZE	(1UL << PAGE_SHIFT)
#define PAGE_MASK	(~(PAGE_SIZE - 1))

#define SZ_1K		1024UL
#define SZ_1M		(1024UL * 1024)

typedef uint32_t pfn_t;			/* a frame's number in the arena */
#define PFN_NONE	((pfn_t)-1)	/* 16 TiB of arena are enough */

typedef uint64_t pgoff_t;		/* a page's number in its file */

struct address_space;

/*
 * Page flags. Every one is changed with atomic operations on page->flags.
 *
 *   locked	the page's state and bytes are being changed; who holds it is a
 *		thread or an I/O in flight
 *   waiters	somebody sleeps until locked or writeback clears
 *   uptodate	the frame holds the file's bytes; set once, under the page lock
 *   error	the last read failed; cleared by the next try
 *   dirty	differs from the backing file. Set before TAG_DIRTY, both under
 *		tree_lock; see mm/page-writeback.c
 *   writeback	an I/O to the backing file is in flight
 *   reclaim	rotate to the inactive tail when writeback ends
 *   referenced	touched since it was last considered
 *   active	on the active list (or going there)
 *   lru	on an LRU list; cleared while isolated
 *   readahead	marker: a reader that comes here starts the next window
 *   workingset	was active when last reclaimed
 *   window	its bytes are in its file's window (window.h). Changed under the
 *		page lock and lruvec->lock
 *   kcached	caches above us (the kernel's, of our mount) may have copies.
 *		Set under the page lock
 *   stream	came with sequential read-ahead: not worth keeping once used
 *   mlocked	some VMA with VM_LOCKED had it: look before demoting
 *   swapbacked	of memory without a file: what leaves goes to swap. Set before it is
 *		in a tree, for good
 *   recheck	was written so soon after a client got the right to write that a
 *		transfer into pinned memory may come later: to be written again
 */
enum pageflags {
	PG_locked,
	PG_waiters,
	PG_uptodate,
	PG_error,
	PG_dirty,
	PG_writeback,
	PG_reclaim,
	PG_referenced,
	PG_active,
	PG_lru,
	PG_readahead,
	PG_workingset,
	PG_window,
	PG_kcached,
	PG_stream,
	PG_mlocked,
	PG_recheck,
	PG_swapbacked,
	__NR_PAGEFLAGS,
};

/*
 * Fields: (A) atomic; (C) constant while in the tree; (L) lruvec->lock, or the
 *         only owner once isolated; (P) page lock; (T) mapping->tree_lock.
 *         Two letters: both to write, either to read.
 *
 * Comes from a SLAB_TYPESAFE_BY_RCU cache: inside mm_rcu_read_lock() a stale
 * pointer still points at some struct page, so a reader takes a reference
 * (unless it is zero) and then looks at the tree again.
 */
struct page {
	atomic_uint flags;		/* (A) PG_* bits; also a futex word */
	atomic_int refcount;		/* (A) the tree holds one */
	struct address_space *mapping;	/* (P,T) NULL once out of the tree */
	pgoff_t index;			/* (C) in pages */
	struct list_head lru;		/* (L) */
	pfn_t pfn;			/* (P) the frame of its bytes; with PG_window
					 * none, or a snapshot */
	uint32_t dirtied_cs;		/* (T) when it was dirtied, in 10 ms since
					 * mm_init; 0 when clean */
	uint32_t granted_cs;		/* (P) when a client last got the right to
					 * write; the same clock */
	uint32_t unused;
};
_Static_assert(sizeof(struct page) <= 56, "page descriptors are 1.4% of memory");

#endif /* PAGEFS_MM_TYPES_H */
