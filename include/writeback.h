/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * writeback.h - from dirty page to disk: mm/page-writeback.c, the pacing of
 *               writers in mm/dirty-throttle.c, devices in mm/bdi.c and their
 *               lists of dirty mappings in mm/backing-dev.c, the pool of
 *               flushers in mm/pdflush.c
 *
 * Source: Linux include/linux/writeback.h, backing-dev.h.
 */
#ifndef PAGEFS_WRITEBACK_H
#define PAGEFS_WRITEBACK_H

#include "pagemap.h"

enum wb_reason {
	WB_REASON_BACKGROUND,	/* over the background threshold */
	WB_REASON_PERIODIC,	/* older than dirty_expire */
	WB_REASON_SYNC,		/* fsync, sync, umount */
	WB_REASON_RECLAIM,	/* memory is short */
	WB_REASON_THROTTLED,	/* a writer waits for it */
	WB_REASON_LAPTOP,	/* the disk was awake anyway */
	NR_WB_REASONS,
};

/* "background", "periodic", ...: for traces and people. */
const char *wb_reason_name(enum wb_reason reason);

enum writeback_sync_modes {
	WB_SYNC_NONE,	/* start I/O on what is not busy */
	WB_SYNC_ALL,	/* everything dirty now; wait for it */
};

struct writeback_control {
	enum writeback_sync_modes sync_mode;
	enum wb_reason reason;
	long nr_to_write;	/* pages; decremented; LONG_MAX for all */
	loff_t range_start;	/* bytes, for a range */
	loff_t range_end;	/* last byte, inclusive; LLONG_MAX for all */
	bool range_cyclic;	/* start at mapping->writeback_index instead */
	long pages_written;	/* out: pages handed to writepages */
	uint32_t age_ms;	/* for writepages: since the oldest page of the
				 * run was dirtied, or TRACE_UNKNOWN */
};

/*
 * A device dirty pages go to, and the mappings that have some.
 *
 *   b_dirty (newest first) --expired or wanted--> b_io --turn over--> b_more_io
 *
 * Fields: (A) atomic; (C) constant; (D) lock of the list of devices;
 *         (W) list_lock.
 */
struct backing_dev_info {
	struct mutex list_lock;
	struct list_head b_dirty;	/* (W) by dirtied_when */
	struct list_head b_io;		/* (W) this pass */
	struct list_head b_more_io;	/* (W) had more than their turn */
	struct list_head b_syncing;	/* (W) a flusher is at them now */
	struct list_head b_sync;	/* (W) the running sync's to do */
	bool sync_running;		/* (W) */
	unsigned int nr_dirty_mappings;	/* (W), read without as an estimate */
	atomic_ulong nr_written;	/* (A) pages ended, ever */
	atomic_ulong nr_failed;		/* (A) pages ended with an error, ever */
	atomic_long nr_writeback;	/* (A) pages under writeback */
	atomic_ulong write_bandwidth;	/* (A) pages a second, smoothed */
	atomic_ulong busy_us;		/* (A) time it had pages to write, ever */
	atomic_ulong busy_since_us;	/* (A) not yet in busy_us; 0: idle */
	atomic_ulong bw_busy_us;	/* (A) busy_us when last measured */
	atomic_ulong bw_written;	/* (A) nr_written then */
	atomic_ulong laptop_stamp_ms;	/* (A) its last I/O; 0: all was flushed */
	bool stable_writes;		/* (C) a page must not change while it
					 * is written: the store checksums it */
	pthread_cond_t turn_ended;	/* (W) a mapping stopped being SYNCING */
	struct list_head bdi_list;	/* (D) all devices */
	unsigned int walkers;		/* (D) threads that are at it */
	unsigned int wanted;		/* (D) bit per wb_reason: flushers' to do */
	unsigned int nr_flushers;	/* (D) at work on it */
	unsigned long served;		/* (D) when one last came, in turns */
};

int bdi_init(struct backing_dev_info *bdi);
/* Everything must be clean or given up. */
void bdi_destroy(struct backing_dev_info *bdi);

/* Limits, as Linux's vm/ tunables; any thread may read or set them. */
struct vm_tunables {
	atomic_uint dirty_background_ratio;	/* percent of dirtyable memory */
	atomic_uint dirty_ratio;		/* percent */
	atomic_ulong dirty_background_bytes;	/* not 0: instead of the ratio */
	atomic_ulong dirty_bytes;		/* the same */
	atomic_uint dirty_expire_centisecs;
	atomic_uint dirty_writeback_centisecs;	/* 0: no periodic writeback */
	atomic_uint laptop_mode;		/* seconds; 0: off */
	atomic_uint overcommit_memory;		/* OVERCOMMIT_* */
	atomic_uint overcommit_ratio;		/* percent of memory, for NEVER */
	atomic_uint swappiness;			/* 0 to 200: what swapping costs,
						 * compared with reading files */
};
extern struct vm_tunables vm_tunables;

/* Whoever has set one calls this: what sleeps by the old values looks again. */
void vm_tunables_changed(void);

/* Now, in 10 ms since mm_init(), never 0: what pages are stamped with. */
uint32_t mm_centisecs(void);

/**
 * set_page_dirty - the page's bytes differ from the backing file
 * The page must be locked (or otherwise kept in its mapping) and uptodate.
 * Return: true if it was clean.
 */
bool set_page_dirty(struct page *page);
/* The owner's metadata wants write_inode, even if no page is dirty. */
void mark_mapping_dirty_meta(struct address_space *mapping);

/* Truncate: the page's dirt is void. Page locked. */
void cancel_dirty_page(struct page *page);

/**
 * do_writepages - one pass over a mapping's dirty pages
 * Runs of consecutive pages go to a_ops->writepages in index order. With
 * WB_SYNC_ALL, exactly the pages dirty at the start are written (TOWRITE).
 * Context: may sleep. Does not wait for the I/O. Return: 0.
 */
int do_writepages(struct address_space *mapping, struct writeback_control *wbc);

/* Write a range; wait for it; both. @lend inclusive. Return: 0, or the error
 * of a page of the range that failed while we were at it. Errors go to
 * mapping->wb_err in any case, for fsync to report. */
int filemap_fdatawrite_range(struct address_space *mapping, loff_t lstart,
			     loff_t lend);
void filemap_fdatawait_range(struct address_space *mapping, loff_t lstart,
			     loff_t lend);
int filemap_write_and_wait_range(struct address_space *mapping, loff_t lstart,
				 loff_t lend);

/**
 * sync_mapping - fsync's part above the store: data, then write_inode
 * @datasync: times may wait
 * The caller flushes the device and checks wb_err against its open file.
 * Return: 0 or the first error met now.
 */
int sync_mapping(struct address_space *mapping, bool datasync);

/* sync(2): every mapping of @bdi. Return: 0 or the first error met. */
int sync_bdi(struct backing_dev_info *bdi);

/**
 * balance_dirty_pages_ratelimited - make a writer as slow as the device
 * @nr_dirtied: pages the caller has just dirtied
 * Called without locks after a write; sleeps in pauses of at most 200 ms, until
 * the device has had the time to write as much as the caller has dirtied.
 * Returns -EIO or -ENOSPC instead of waiting for a device that takes nothing.
 */
int balance_dirty_pages_ratelimited(struct address_space *mapping,
				    unsigned long nr_dirtied);

/* Over the limits right now? Thresholds in pages. */
void global_dirty_limits(unsigned long *background, unsigned long *dirty);

/* Start writing for @reason; returns at once. */
void wakeup_flusher_threads(enum wb_reason reason);

/* I/O of the device has ended: in laptop mode the rest follows soon. */
void laptop_io_completion(struct backing_dev_info *bdi);

/* mm/pdflush.c: the pool. */
int pdflush_init(void);
void pdflush_exit(void);

/* Dirty list bookkeeping of a mapping that is going away: off every list. */
void mapping_forget_dirty(struct address_space *mapping);

#endif /* PAGEFS_WRITEBACK_H */
