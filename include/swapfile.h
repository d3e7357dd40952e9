/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * swapfile.h - swap areas: mm/swapfile.c, mm/swap_state.c, mm/page_io.c
 *
 *   swp_entry_t   type | offset
 *                  |      +------ slot, one page; slot 0 is the area's header
 *                  +------------- swap_info_struct, with its swap_map[]
 *
 *   swap_map[offset]   users of the slot: shmem objects that have the entry
 *                      | SWAP_HAS_CACHE, while the swap cache has its page
 *
 * A slot is free when both are gone. One more type, SWP_TYPE_MEMORY, has no
 * device: its entries stand for pages that several address spaces share after
 * fork() and that are in memory only. There are as many slots as the arena has
 * frames, so that fork() works without swap.
 *
 * Source: Linux include/linux/swap.h, swapops.h.
 */
#ifndef PAGEFS_SWAPFILE_H
#define PAGEFS_SWAPFILE_H

#include "mm_types.h"
#include "pagefs_swap.h"
#include "pagemap.h"

#define MAX_SWAPFILES		32u
#define SWP_TYPE_MEMORY		MAX_SWAPFILES
#define SWP_OFFSET_BITS		40
#define SWAP_MAP_MAX		0x3ffeu	/* users a slot can have */
#define SWAP_MAP_BAD		0x3fffu	/* never to be used */
#define SWAP_MAP_FAILED		0x4000u	/* will be bad when it is free */
#define SWAP_HAS_CACHE		0x8000u
#define SWAP_PRIO_MAX		32767	/* taken from Linux */

/* 0: none. Never odd when shifted left by one: see radix_tree_insert(). */
typedef struct { uint64_t val; } swp_entry_t;

static inline swp_entry_t swp_entry(unsigned int type, uint64_t offset)
{
	return (swp_entry_t){ (uint64_t)type << SWP_OFFSET_BITS | offset };
}
static inline unsigned int swp_type(swp_entry_t entry)
{
	return (unsigned int)(entry.val >> SWP_OFFSET_BITS);
}
static inline uint64_t swp_offset(swp_entry_t entry)
{
	return entry.val & ((1ULL << SWP_OFFSET_BITS) - 1);
}
static inline bool swp_none(swp_entry_t entry) { return !entry.val; }

/* ---- devices: supplied by fs/, or by a test ---- */

struct swap_device;

enum swap_dir { SWAP_READ, SWAP_WRITE };

struct swap_device_ops {
	/* The first page, by itself. Return: 0 or -errno. May sleep. */
	int (*read_header)(struct swap_device *dev, void *buf);
	int (*write_header)(struct swap_device *dev, const void *buf);
	/*
	 * Between the frames of @nr pages (page->pfn, not in a window) and the
	 * bytes from @pos on. For each page swap_end_io(dev, dir, page, err,
	 * end_io) is called exactly once, from any thread, in any order. May
	 * return before: then the calling thread's current_plug ends it, but
	 * with READ_AHEAD, where nobody waits. With READ_WAIT all have ended
	 * when it returns. Needs no memory beyond its own reserves.
	 */
	void (*rw)(struct swap_device *dev, enum swap_dir dir,
		   struct page **pages, unsigned int nr, loff_t pos,
		   enum read_mode mode,
		   void (*end_io)(struct page *page, int err));
	/* The area is no longer used. */
	void (*close)(struct swap_device *dev);
};

struct swap_device {
	const struct swap_device_ops *ops;
	loff_t size;			/* bytes */
	char path[256];			/* as it was named */
	bool is_file;			/* for swaps: file, or partition */
	struct swap_info_struct *si;	/* swapfile.c's, from swap_on() on */
};

/* ---- areas: mm/swapfile.c ---- */

int swap_init(void);		/* by mm_init() */
void swap_exit(void);		/* by mm_exit(): BUGs if a slot is in use */

/**
 * swap_make_header - a new header for @dev, as mkswap(8) makes one
 * Return: 0; -EINVAL (too small, fewer than 10 slots); -errno of the write.
 */
int swap_make_header(struct swap_device *dev, const char *label);

/**
 * swap_on - begin to use an area
 * @dev:  the area's from now on, until its ->close; on failure the caller's
 * @prio: 0 to 32767: higher ones are used first, equal ones in turns; -1: below
 *        all there are, as Linux's default
 * Return: 0;
 *   -ENOENT   no magic: not an area of ours
 *   -EPROTONOSUPPORT  another version
 *   -EUCLEAN  damaged: checksum, page size or a bad slot out of range
 *   -EFBIG    shorter than its header says
 *   -EBUSY    in use already, by this process (the same device)
 *   -EPERM    MAX_SWAPFILES are in use
 *   -EINVAL   @prio
 *   -ENOMEM, -errno of the read
 * Context: may sleep.
 */
int swap_on(struct swap_device *dev, int prio);

/* Called now and then with the pages that are left. Return: false: stop. */
typedef bool (*swap_progress_t)(unsigned long left, void *arg);

/**
 * swap_off - bring back what is there, and stop using the area
 * @path:     as the device was named
 * @progress: may be NULL; @arg is its own
 * Return: 0; -ENOENT; -ENOMEM (not enough memory: all is as before);
 *   -EINTR (@progress said so); -EIO (pages that cannot be read: as before, and
 *   those that could be read are in memory); -EBUSY (another is at it, or slots
 *   are in use that nobody gives back).
 */
int swap_off(const char *path, swap_progress_t progress, void *arg);
/* All of them, at the end: nobody has an entry any more, nor is at it. */
void swap_off_all(void);

/*
 * Who brings pages back, for swap_off(): mm/shmem.c's try_to_unuse(). Nobody is
 * to have an entry of @type any more: pages are read, shared ones get entries of
 * SWP_TYPE_MEMORY, for which there is swap_memory_prepare() already. A slot whose
 * page is still being written may be left to a second call, which follows when
 * the I/O has ended. Return: 0, -ENOMEM, -EINTR, -EIO.
 */
typedef int (*swap_unuse_t)(unsigned int type, swap_progress_t progress,
			    void *arg);
void swap_set_unuse(swap_unuse_t fn);	/* after swap_init(); NULL: nobody has any */

/* One area as `swaps' shows it. */
struct swap_area_info {
	char path[256];
	bool is_file;
	bool going;				/* swap_off() is at it */
	unsigned long nr_slots, nr_used, nr_bad; /* slots: those not bad */
	int prio;
	unsigned long nr_read, nr_written;	/* pages, ever */
	unsigned long nr_errors;
};
/* The @nth that is in use; false: there are fewer. */
bool swap_area_info(unsigned int nth, struct swap_area_info *info);
/* Slots of all areas that are not being turned off, and those that are free. */
unsigned long total_swap_pages(void);
unsigned long nr_swap_pages(void);

/* ---- slots. Context: any locks but swap_info's (a leaf); no sleeping ---- */

/**
 * get_swap_pages - @nr slots, for pages that are written together
 * @entries: receives them, each with one user, and SWAP_HAS_CACHE clear
 * Slots of one call are consecutive as far as there is room (clusters of
 * SWAPFILE_CLUSTER), so the caller can write runs. Return: how many; 0: full.
 */
unsigned int get_swap_pages(unsigned int nr, swp_entry_t *entries);
#define SWAPFILE_CLUSTER	256u	/* slots: 1 MiB */

/*
 * The same without a device: SWP_TYPE_MEMORY. Return: none: as many as frames, or
 * swap_memory_prepare() was never called: it makes their swap_map, the first time.
 * That may sleep, as vmalloc(). Return: 0, -ENOMEM.
 */
swp_entry_t get_memory_entry(void);
int swap_memory_prepare(void);

/* One user more. Return: 0, or -ENOMEM: there are SWAP_MAP_MAX. BUGs: it has none. */
int swap_duplicate(swp_entry_t entry);
/* One less. Return: users that are left. */
unsigned int swap_free(swp_entry_t entry);
unsigned int swap_count(swp_entry_t entry);
/*
 * The swap cache has its page, or no longer. The second frees an unused slot. BUGs:
 * it has it already, or has not.
 */
void swapcache_set(swp_entry_t entry);
void swapcache_clear(swp_entry_t entry);
bool swap_has_cache(swp_entry_t entry);
/* May be written to: false while the area is being turned off, and for memory. */
bool swap_entry_is_disk(swp_entry_t entry);
/* I/O failed there: once it is free it will not be used again. Not of memory. */
void swap_mark_bad(swp_entry_t entry);
/* The area's slots from @entry on that lie in one device: for read-ahead. */
bool swap_entries_adjacent(swp_entry_t a, swp_entry_t b);

/* BUGs unless counts and maps agree. */
void swapfile_check(void);

/* ---- mm/page_io.c ---- */

/*
 * The pages' frames to, or from, the consecutive slots from @entry on. As
 * swap_device_ops.rw, with @end_io called for each page. Counts PSWPIN, PSWPOUT,
 * PSWPERR: pages that have ended.
 */
void swap_rw(swp_entry_t entry, enum swap_dir dir, struct page **pages,
	     unsigned int nr, enum read_mode mode,
	     void (*end_io)(struct page *page, int err));

/* By a device, for each page of its ->rw: counts, and calls @end_io. */
void swap_end_io(struct swap_device *dev, enum swap_dir dir, struct page *page,
		 int err, void (*end_io)(struct page *page, int err));

#endif /* PAGEFS_SWAPFILE_H */
