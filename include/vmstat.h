/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * vmstat.h - counters: mm/vmstat.c, mm/meminfo.c
 *
 * Two kinds. Events only rise; each thread counts its own and a reader adds
 * them up. States (NR_*) are exact, because limits are enforced with them.
 * Names in the output are Linux's where the meaning is.
 */
#ifndef PAGEFS_VMSTAT_H
#define PAGEFS_VMSTAT_H

#include <stdatomic.h>
#include "compiler.h"

enum vm_event_item {
	PGPGIN,			/* KiB read from the backing store */
	PGPGOUT,		/* KiB written to it */
	PGALLOC,		/* frames taken */
	PGFREE,
	PGALLOC_FAIL,		/* allocations that failed */
	PGCACHE_HIT,		/* page lookups for a read that found it uptodate */
	PGCACHE_MISS,
	PGREADAHEAD,		/* pages read before anybody asked */
	RA_SYNC,		/* read-ahead windows a reader had to wait for */
	RA_ASYNC,		/* windows started at a marker page */
	PGACTIVATE,
	PGDEACTIVATE,
	PGROTATED,
	PGSCAN_KSWAPD,
	PGSCAN_DIRECT,
	PGSTEAL_KSWAPD,
	PGSTEAL_DIRECT,
	PAGEOUTRUN,		/* kswapd balancing runs */
	ALLOCSTALL,		/* direct reclaims */
	DROP_PAGECACHE,
	DROP_SLAB,
	PGDIRTIED,		/* clean pages made dirty */
	PGWRITTEN,		/* pages whose writeback ended well */
	PGWRITE_ERROR,		/* pages whose writeback failed, still dirty */
	WB_BACKGROUND,		/* pages written, by reason */
	WB_PERIODIC,
	WB_SYNC,
	WB_RECLAIM,
	WB_THROTTLED,
	WB_LAPTOP,
	WB_BACKGROUND_RUNS,	/* times a flusher went to work and wrote, or */
	WB_PERIODIC_RUNS,	/* somebody synced: by reason, in their order */
	WB_SYNC_RUNS,
	WB_RECLAIM_RUNS,
	WB_THROTTLED_RUNS,
	WB_LAPTOP_RUNS,
	BALANCE_PAUSED,		/* pauses of throttled writers */
	BALANCE_PAUSED_MS,
	INODE_SHRUNK,		/* inodes reclaimed */
	PGFAULT,		/* faults of clients */
	PGMAJFAULT,		/* of them, those that waited for the store */
	PGSOFTFAULT,		/* that brought a demoted page back */
	PGWPFAULT,		/* first writes to a page that could be read */
	PGFAULT_ERROR,		/* that ended in SIGBUS or SIGSEGV */
	PGFAULTAROUND,		/* pages mapped before anybody asked */
	PGPROMOTE,		/* pages moved into windows */
	PGDEMOTE,		/* and back to the arena */
	PGDEMOTE_DROP,		/* dropped from windows, being streamed */
	PGDEMOTE_FAIL,		/* could not go: busy, or a client in the way */
	PGMKCLEAN,		/* pages write-protected in their clients */
	PGSTORED,		/* pages a scan has found stored to */
	WINDOW_SCANS,		/* scans of all windows with such clients */
	WINDOW_FOREIGN,		/* window pages a client has planted or punched */
	PSWPIN,			/* pages read from swap */
	PSWPOUT,		/* pages written to it */
	PSWPERR,		/* pages that could not be read, or written */
	SWAP_RA,		/* pages read from swap before anybody asked */
	SWAPCACHE_HIT,		/* faults that found their page in the swap cache */
	PGZEROED,		/* pages of private memory that came as zeros */
	PGCOW,			/* copies made, as others have the page too */
	PGREUSE,		/* of the last owner: taken over */
	PGSTOREAHEAD,		/* reads that got the right to store */
	PGDUP,			/* pages shared with a child by fork() */
	PGSCAN_ANON,		/* pages reclaim looked at: without a file, */
	PGSCAN_FILE,		/* and with one */
	PGSTEAL_ANON,
	PGSTEAL_FILE,
	WORKINGSET_REFAULT_ANON, /* came back soon after they had gone */
	WORKINGSET_REFAULT_FILE,
	OOM_FAULT,		/* faults that ended for want of memory */
	NR_VM_EVENT_ITEMS,
};

enum vm_stat_item {
	NR_FILE_PAGES,		/* of files, in page caches */
	NR_FILE_DIRTY,
	NR_WRITEBACK,
	NR_WINDOW_PAGES,	/* in windows: of NR_FILE_PAGES or NR_ANON_PAGES */
	NR_PAGETABLE,		/* frames of clients' page tables */
	NR_BALLOON,		/* arena frames given back to the kernel */
	NR_SLAB_RECLAIMABLE,	/* frames */
	NR_SLAB_UNRECLAIMABLE,
	NR_PDFLUSH_THREADS,	/* flushers there are */
	BALANCE_PAUSE_MAX_MS,	/* a writer's longest pause; only rises */
	BALANCE_STALL_MAX_MS,	/* its longest row of pauses in one write */
	NR_ANON_PAGES,		/* of memory without a file, in memory */
	NR_SWAPCACHE,		/* of those, in the swap cache */
	NR_VMALLOC,		/* frames of vmalloc() areas */
	COMMITTED_AS,		/* pages of private memory that were promised */
	NR_VM_STAT_ITEMS,
};

/* Relaxed; any thread. */
void count_vm_events(enum vm_event_item item, unsigned long nr);
static inline void count_vm_event(enum vm_event_item item)
{
	count_vm_events(item, 1);
}
/* Sums over threads living and gone. */
unsigned long vm_event(enum vm_event_item item);

extern atomic_long vm_stat[NR_VM_STAT_ITEMS];

static inline void mod_vm_stat(enum vm_stat_item item, long delta)
{
	atomic_fetch_add_explicit(&vm_stat[item], delta, memory_order_relaxed);
}

/* Never negative: a sum in the making may pass below zero for an instant. */
static inline unsigned long vm_stat_read(enum vm_stat_item item)
{
	long v = atomic_load_explicit(&vm_stat[item], memory_order_relaxed);

	return v < 0 ? 0 : (unsigned long)v;
}

/* @item is the largest @value there was. */
void vm_stat_max(enum vm_stat_item item, long value);

/* Threads that have been throttled, a line each: tid, pauses, ms. */
size_t throttled_show(char *buf, size_t size);

/* /proc/vmstat's text into @buf, and so on; each returns its length. */
size_t vmstat_show(char *buf, size_t size);
size_t meminfo_show(char *buf, size_t size);
size_t swaps_show(char *buf, size_t size);

void vmstat_init(void);		/* zeroes everything */

#endif /* PAGEFS_VMSTAT_H */
