/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * mm/swapfile_i.h - what the files of swap areas know of each other
 *
 *   swapfile.c      areas: turned on, turned off, seen from outside
 *   swap_slots.c    slots of an area: who uses which, and which is next
 *   swap_header.c   what is on the device before the first slot
 *   page_io.c       pages to the device, and back
 *
 *   swap_map   | BAD | 1 | 2+cache | 0 | 1 | ... |	a slot each
 *   clusters   |  SWAPFILE_CLUSTER slots  |  ... | ... |
 *                 on one of: free, partial; or full, or the current one
 */
#ifndef PAGEFS_MM_SWAPFILE_I_H
#define PAGEFS_MM_SWAPFILE_I_H

#include "internal.h"
#include "swapfile.h"

/* Cluster numbers; 2^40 slots are 2^32 clusters, and none has this one. */
#define CLUSTER_NULL	UINT32_MAX

enum cluster_list {
	CLUSTER_FREE,		/* nothing in use */
	CLUSTER_PARTIAL,	/* something is, not all */
	NR_CLUSTER_LISTS,
	CLUSTER_OFF_LIST = NR_CLUSTER_LISTS,	/* full, or the current one */
};

struct swap_cluster {
	uint32_t next, prev;
	uint16_t used;		/* slots that cannot be had: in use, bad, or
				 * past the area's end */
	uint16_t list;		/* enum cluster_list */
};

/* First in, first out. */
struct swap_cluster_list {
	uint32_t head, tail;
};

/*
 *   FREE --swap_on--> SETUP --> ON --swap_off--> OFF --> FREE
 *     ^                 |        ^                |
 *     +---- failure ----+        +--- failure ----+
 */
enum swap_area_state { AREA_FREE, AREA_SETUP, AREA_ON, AREA_OFF };

/*
 * Fields: (A) atomic; (C) constant from ON until FREE; (G) swap_lock; (S) lock;
 *         (G,S) both to write, either to read.
 */
struct swap_info_struct {
	struct mutex lock;		/* LOCK_LEAF */
	pthread_cond_t idle;		/* of lock: inflight is 0 */
	enum swap_area_state state;	/* (G,S) read without as a hint */
	struct swap_device *dev;	/* (C) NULL: SWP_TYPE_MEMORY */
	struct list_head list;		/* (G) swap_active, while ON */
	int prio;			/* (C) */
	unsigned long max;		/* (C) slots, slot 0 included */
	unsigned long pages;		/* (S) slots that are not bad */
	unsigned long inuse;		/* (S) of them */
	unsigned long nr_bad;		/* (S) slot 0 not included */
	uint16_t *swap_map;		/* (C) elements: (S) */
	struct swap_cluster *clusters;	/* (C) elements: (S) */
	uint32_t nr_clusters;		/* (C) */
	struct swap_cluster_list lists[NR_CLUSTER_LISTS];	/* (S) */
	uint32_t cur;			/* (S) the current cluster, or NULL */
	unsigned long cur_next;		/* (S) slot to go on from, in there */
	atomic_ulong inflight;		/* (A) pages between swap_rw() and their
					 * end */
	atomic_bool waited_for;		/* (A) somebody wants it to be 0 */
	atomic_ulong nr_read, nr_written, nr_errors;	/* (A) pages */
};

/* By type; the last is SWP_TYPE_MEMORY, which is ON once it has a map. */
extern struct swap_info_struct swap_info[MAX_SWAPFILES + 1];

/* ---- swap_slots.c ---- */

/* The area of @entry, which is in use. BUGs: not a slot of it. */
struct swap_info_struct *swap_entry_area(swp_entry_t entry);

/*
 * swap_map and clusters of an area with @max slots, of which 0 and @badpages
 * are bad. Return: 0; -ENOMEM. Context: as vmalloc().
 */
int swap_area_alloc(struct swap_info_struct *si, unsigned long max,
		    const uint64_t *badpages, unsigned int nr_badpages);
void swap_area_free(struct swap_info_struct *si);

/*
 * Up to @nr slots from here, no further than to the end of a cluster. *@endedp:
 * it came to one. Context: no leaf lock. Return: how many; 0: all are in use.
 */
unsigned int swap_area_take(struct swap_info_struct *si, unsigned int nr,
			    swp_entry_t *entries, bool *endedp);

/* BUGs unless map, clusters and counts agree. Context: no leaf lock. */
void swap_area_check(struct swap_info_struct *si);

/* Of all areas that are ON and have a device. (A), written under (S). */
extern atomic_long swap_total, swap_avail;

/* ---- swap_header.c ---- */

/* The header as this machine has its numbers. */
struct swap_area_desc {
	unsigned long max;		/* slots */
	unsigned int nr_badpages;
	const uint64_t *badpages;	/* inside the page it was read to */
};

/*
 * Reads @page, which came from a device of @size bytes, and turns its numbers
 * round where need be. Return: 0, or as swap_on().
 */
int swap_parse_header(void *page, loff_t size, struct swap_area_desc *desc);

/* ---- page_io.c ---- */

/* Until no page is between here and the device. Context: may sleep. */
void swap_wait_idle(struct swap_info_struct *si);

#endif /* PAGEFS_MM_SWAPFILE_I_H */
