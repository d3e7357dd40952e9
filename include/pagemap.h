/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * pagemap.h - the page cache of one file: mm/filemap.c, mm/readahead.c,
 *             mm/truncate.c
 *
 *   address_space --i_pages--> radix tree --> struct page --pfn--> frame
 *         |                                        |
 *         +--a_ops: readpages, writepages          +--lru--> lruvec
 *
 * The owner of an address_space (fs/: an inode) calls in from the top with
 * reads, writes and truncates, and is called below through a_ops for I/O.
 * mm/ never learns what the owner is.
 *
 * Source: Linux include/linux/pagemap.h, fs.h. Differs: i_size and the dirty
 *         list's links live here rather than in an inode mm/ does not have.
 */
#ifndef PAGEFS_PAGEMAP_H
#define PAGEFS_PAGEMAP_H

#include "mm_types.h"
#include "radix-tree.h"
#include "lockdep.h"
#include "errseq.h"

struct backing_dev_info;
struct window;
struct writeback_control;

/* The longest run of pages a_ops is handed at once: 1 MiB. */
#define MAX_RUN_PAGES	256u

enum read_mode {
	READ_WAIT,	/* returns when all pages have ended */
	READ_START,	/* may return before: the thread's current_plug ends it */
	READ_AHEAD,	/* may return once the I/O is queued */
};

struct address_space_operations {
	/*
	 * Read @nr pages of consecutive indices from the backing store. They
	 * are locked, not uptodate, each with a reference that belongs to the
	 * callee. For every one end_page_read(page, err) must be called
	 * exactly once, from any thread; that uptodates and unlocks it and
	 * drops the reference. Bytes past the backing file's end read as zeros.
	 * May be called with invalidate_lock held for reading.
	 */
	void (*readpages)(struct address_space *mapping, struct page **pages,
			  unsigned int nr, enum read_mode mode);
	/*
	 * Write @nr pages of consecutive indices. They are under writeback,
	 * unlocked; their bytes may change meanwhile (the page is then dirty
	 * again). Nothing past i_size may reach the backing file. For every
	 * page end_page_writeback(page, err) must be called exactly once, from
	 * any thread. May return before the I/O has ended: then the calling
	 * thread's current_plug ends it (see below). Must not need memory
	 * beyond its own reserves.
	 */
	void (*writepages)(struct address_space *mapping, struct page **pages,
			   unsigned int nr, struct writeback_control *wbc);
	/*
	 * The data of a pass is on its way (or written, in a sync pass): the
	 * time for the owner to bring its own metadata (times) to the store.
	 * Optional. Return: 0 or -errno.
	 */
	int (*write_inode)(struct address_space *mapping,
			   struct writeback_control *wbc);
	/*
	 * Clients have stored to pages [@index, @index + @nr) some time ago, and
	 * they are dirty now; @nr 0: to some. @kcached: a cache above us may
	 * have copies. Here the owner does what vm_ops->page_mkwrite would have,
	 * as far as it still can. Context: may sleep; mmap_lock may be held.
	 * Optional.
	 */
	void (*stored)(struct address_space *mapping, pgoff_t index,
		       unsigned long nr, bool kcached);
	/*
	 * Keep the mapping alive while a flusher works on it; false when it
	 * is being torn down. Called under wb->list_lock: must not take locks
	 * up to and including that rank. Every true is paired with put, which
	 * is called without locks and may tear the mapping down.
	 */
	bool (*grab)(struct address_space *mapping);
	void (*put)(struct address_space *mapping);
};

/*
 * Fields: (A) atomic; (C) constant after init; (I) owner's write lock held by
 *         whoever changes the size; (T) tree_lock; (W) wb->list_lock.
 *         Counts are read without the lock as estimates.
 */
struct address_space {
	struct radix_tree_root i_pages;		/* (T), lookups under RCU */
	struct mutex tree_lock;
	unsigned long nrpages;			/* (T) */
	unsigned long nrdirty;			/* (T) pages tagged DIRTY */
	unsigned long nrwriteback;		/* (T) pages tagged WRITEBACK */
	const struct address_space_operations *a_ops;	/* (C) */
	struct backing_dev_info *bdi;		/* (C) */
	bool stable_writes;			/* (C) bdi's; the owner may set it */
	bool swap_backed;			/* (C) no file: on no dirty list, in no
						 * dirty limit, written to swap */
	uint64_t ino;				/* (C) the owner's number for it, for
						 * trace events; 0: none */
	struct rw_semaphore invalidate_lock;	/* read: adding pages and reading
						 * them in; write: truncating */
	atomic_llong i_size;			/* (A,I) bytes */
	errseq_t wb_err;			/* (A) the last writeback error */
	atomic_uint nr_wb_errors;		/* (A) pages that failed, ever */
	atomic_int last_wb_error;		/* (A) the newest one's -errno */
	uint32_t wb_state;			/* (W) WB_* below */
	uint32_t dirtied_when;			/* (W) in 10 ms, when first dirtied */
	struct list_head io_list;		/* (W) one of its device's b_* lists */
	pgoff_t writeback_index;		/* only the holder of WB_SYNCING */
	struct window *_Atomic window;		/* (A) set once: window.h */
	atomic_uint advice;			/* (A) AS_* below */
};

/*
 * How the file will be used, as somebody has said who may. Of all its readers:
 * that is what differs from posix_fadvise(2), of which a file system hears
 * nothing when it is not the kernel's.
 */
#define AS_RANDOM	0x1u	/* nothing is read but what is asked for */
#define AS_SEQUENTIAL	0x2u	/* windows begin at their limit, which is doubled */
#define AS_NOREUSE	0x4u	/* use does not make a page active */

static inline bool mapping_advised(const struct address_space *mapping,
				   unsigned int advice)
{
	return atomic_load_explicit(&mapping->advice, memory_order_relaxed) &
		advice;
}

#define WB_DIRTY	0x1	/* has something to write or in flight: on a list */
#define WB_SYNCING	0x2	/* a flusher works on it: on b_syncing */
#define WB_DIRTY_META	0x4	/* write_inode is due even with no dirty page */
#define WB_SYNC_NEXT	0x8	/* sync waits for its turn after the flusher's */

/*
 * I/O a thread has started and ends itself (its own io_uring). Whoever is
 * about to sleep for a page or for memory calls blk_flush_plug() first: the
 * I/O awaited may be its own. Set by the I/O layer. Source: Linux blk_plug.
 */
struct blk_plug {
	void (*flush)(struct blk_plug *plug);	/* returns with all I/O ended */
};
extern __thread struct blk_plug *current_plug;

static inline void blk_flush_plug(void)
{
	if (current_plug)
		current_plug->flush(current_plug);
}

/* down_read() of what may be held by somebody who waits for I/O of ours. */
static inline void down_read_plugged(struct rw_semaphore *sem)
{
	if (unlikely(current_plug) && down_read_trylock(sem))
		return;
	blk_flush_plug();
	down_read(sem);
}

/*
 * Read-ahead state of one open file: a few streams, so that interleaved
 * sequential readers of one descriptor each keep their window.
 */
#define RA_STREAMS	4

struct ra_stream {
	pgoff_t start;			/* first page of the current window */
	unsigned int fillers;		/* threads adding a window's pages now */
	unsigned int size;		/* pages in the window; 0: no window */
	unsigned int async_size;	/* start the next when this many are left */
	unsigned int last_used;		/* for replacement */
};

/* Protected by its own lock: several threads read one open file. */
struct file_ra_state {
	struct mutex lock;
	pgoff_t prev_index;		/* last page read; without the lock */
	unsigned int ra_pages;		/* window's limit; 0: no read-ahead */
	unsigned int clock;
	struct ra_stream stream[RA_STREAMS];
};

void file_ra_state_init(struct file_ra_state *ra, unsigned int ra_pages);
void file_ra_state_destroy(struct file_ra_state *ra);

/* ---- lifetime of a mapping ---- */

void address_space_init(struct address_space *mapping,
			const struct address_space_operations *a_ops,
			struct backing_dev_info *bdi, loff_t i_size);
/* BUGs when pages are left or it is on a dirty list. */
void address_space_destroy(struct address_space *mapping);

static inline loff_t i_size_read(const struct address_space *mapping)
{
	return atomic_load_explicit(&mapping->i_size, memory_order_acquire);
}

static inline void i_size_write(struct address_space *mapping, loff_t size)
{
	atomic_store_explicit(&mapping->i_size, size, memory_order_release);
}

/*
 * The same for an owner that makes a file longer: what clients can reach
 * follows, and they find zeros past the old end. Context: the owner's write
 * lock.
 */
void mapping_grow(struct address_space *mapping, loff_t size);

/* ---- pages ---- */

static inline bool page_test(const struct page *page, enum pageflags bit)
{
	return atomic_load_explicit(&page->flags, memory_order_acquire) &
		(1u << bit);
}
static inline void page_set(struct page *page, enum pageflags bit)
{
	atomic_fetch_or(&page->flags, 1u << bit);
}
static inline void page_clear(struct page *page, enum pageflags bit)
{
	atomic_fetch_and(&page->flags, ~(1u << bit));
}
static inline bool page_test_set(struct page *page, enum pageflags bit)
{
	return atomic_fetch_or(&page->flags, 1u << bit) & (1u << bit);
}
static inline bool page_test_clear(struct page *page, enum pageflags bit)
{
	return atomic_fetch_and(&page->flags, ~(1u << bit)) & (1u << bit);
}

static inline void get_page(struct page *page)
{
	int old = atomic_fetch_add_explicit(&page->refcount, 1,
					    memory_order_relaxed);

	VM_BUG_ON(old <= 0);
	(void)old;
}
/* Drops a reference; the last one frees frame and descriptor. */
void put_page(struct page *page);
void put_pages(struct page **pages, unsigned int nr);

void lock_page(struct page *page);		/* sleeps */
bool trylock_page(struct page *page);
void unlock_page(struct page *page);
void wait_on_page_locked(struct page *page);
void wait_on_page_writeback(struct page *page);

/* A locked page with one reference, frame and no mapping; NULL: no memory. */
struct page *page_cache_alloc(gfp_t gfp);

/**
 * add_to_page_cache_lru - make @page the cached page at @index
 * @page: locked, without a mapping; on success the tree has its own reference
 * Context: no locks but invalidate_lock. Return: 0, -EEXIST or -ENOMEM.
 */
int add_to_page_cache_lru(struct page *page, struct address_space *mapping,
			  pgoff_t index, gfp_t gfp);

/* Out of the tree; the caller holds the page lock and a reference. */
void delete_from_page_cache(struct page *page);

/* A referenced page, or NULL. Lock-free. It may be locked, or not uptodate. */
struct page *find_get_page(struct address_space *mapping, pgoff_t index);
/* The same, locked and still in @mapping. Sleeps. */
struct page *find_lock_page(struct address_space *mapping, pgoff_t index);

/* See pageflags. Called by a_ops->readpages for each page, from any thread. */
void end_page_read(struct page *page, int err);
/* Called by a_ops->writepages for each page. On @err the page is dirty again. */
void end_page_writeback(struct page *page, int err);

/* ---- reading and writing ---- */

/**
 * filemap_get_pages - referenced, uptodate pages for a byte range
 * @ra:     the open file's state, or NULL for no read-ahead
 * @pos, @len: bytes; the range is cut at i_size
 * @pages:  receives consecutive pages from @pos >> PAGE_SHIFT on
 * @max:    room in @pages; at least the pages that @len spans
 * @bytesp: receives the bytes available from @pos on, <= @len, 0 at EOF
 *
 * Missing pages are read in, with read-ahead. The caller put_pages() them.
 * Context: no locks. Return: number of pages, or -EIO or -ENOMEM when not even
 *          the first page could be had; a later failure shortens the range.
 */
int filemap_get_pages(struct address_space *mapping, struct file_ra_state *ra,
		      loff_t pos, size_t len, struct page **pages,
		      unsigned int max, size_t *bytesp);

/* The same into @buf. Return: bytes read, 0 at EOF, or -errno. */
ssize_t generic_file_read(struct address_space *mapping,
			  struct file_ra_state *ra, loff_t pos, void *buf,
			  size_t len);

/**
 * generic_perform_write - copy @len bytes into the cache and dirty them
 *
 * A page wholly overwritten, past EOF or in cache is not read first. Extends
 * i_size after the bytes are in. Does not throttle: the caller calls
 * balance_dirty_pages_ratelimited() when it has dropped its locks.
 * @kcached: the writer keeps a copy (the kernel, of a cached descriptor)
 * Context: the owner's write lock. Return: bytes written (short if memory or a
 *          read failed midway), or -ENOMEM, -EIO, ... when none were.
 * Source:  Linux mm/filemap.c.
 */
ssize_t generic_perform_write(struct address_space *mapping, loff_t pos,
			      const void *buf, size_t len, bool kcached);

/*
 * Reads one page that is in the cache, locked and not uptodate; returns with
 * it locked again. Return: 0; -errno; -EAGAIN if it left the cache meanwhile.
 */
int read_page_locked(struct address_space *mapping, struct page *page);

/* Start reading [@index, @index + @nr) without waiting: fadvise WILLNEED. */
void force_page_cache_readahead(struct address_space *mapping, pgoff_t index,
				unsigned long nr);

/* ---- mm/fadvise.c ---- */

enum fadvise {
	FADV_NORMAL,		/* none of the policies */
	FADV_RANDOM,		/* these two exclude each other, */
	FADV_SEQUENTIAL,
	FADV_NOREUSE,		/* and go with this one */
	FADV_WILLNEED,		/* the file is read in; nobody waits */
	FADV_DONTNEED,		/* what is clean and nobody uses goes */
	NR_FADVISE,
};

/**
 * mapping_fadvise - follow advice about a whole file
 * Context: may sleep. Return: for FADV_WILLNEED, pages that are cached now or
 *          being read; for FADV_DONTNEED, pages that went; else 0.
 */
unsigned long mapping_fadvise(struct address_space *mapping,
			      enum fadvise advice);
/* The policy in words: "normal", "random", "sequential,noreuse", ... */
const char *mapping_advice_name(const struct address_space *mapping);

/* mm/readahead.c: at a missing page, and at a marker page. */
void page_cache_sync_readahead(struct address_space *mapping,
			       struct file_ra_state *ra, pgoff_t index,
			       unsigned long req_count,
			       enum read_mode mode);
void page_cache_async_readahead(struct address_space *mapping,
				struct file_ra_state *ra, struct page *page,
				pgoff_t index, unsigned long req_count);

/* ---- taking pages out: mm/truncate.c ---- */

/**
 * truncate_pagecache - i_size becomes @newsize, what lies beyond goes
 * Zeroes the tail of the page @newsize falls in. Waits for I/O on pages.
 * Context: the owner's write lock and invalidate_lock, both for writing.
 */
void truncate_pagecache(struct address_space *mapping, loff_t newsize);

/*
 * Drop every page that touches bytes [@lstart, @lend], dirty or not; @lend may
 * be LLONG_MAX. Context: as truncate_pagecache().
 */
void truncate_inode_pages_range(struct address_space *mapping, loff_t lstart,
				loff_t lend);

/**
 * truncate_pagecache_range - bytes [@lstart, @lend] read as zeros from now on
 * Whole pages are dropped, dirty or not; of the pages the ends fall into, those
 * that are cached are zeroed there and become dirty, and so keep what clients
 * store beside the range.
 * Context: as truncate_pagecache(). Return: 0, or -EIO.
 */
int truncate_pagecache_range(struct address_space *mapping, loff_t lstart,
			     loff_t lend);

/* Drop clean, unused pages of the range; returns how many. Never waits. */
unsigned long invalidate_mapping_pages(struct address_space *mapping,
				       pgoff_t start, pgoff_t end);

/* Invariants of one mapping; BUGs on a fault. The mapping must be quiet. */
void page_cache_check(struct address_space *mapping);

#endif /* PAGEFS_PAGEMAP_H */
