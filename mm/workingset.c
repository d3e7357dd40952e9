// SPDX-License-Identifier: BSD-2-Clause
/*
 * mm/workingset.c - pages that come back soon after they have gone
 *
 *   evictions  ----1----2----3----4----5----6---->	age of a kind of pages
 *                   ^ A goes                ^ A comes: 4 evictions later
 *
 *   table[hash(mapping, index)] = { key, age }	one word for each frame
 *
 * A page that comes back after as many evictions as there are active pages, or
 * fewer, would have stayed had those not been there: it is as good as they are,
 * and starts active. One that comes back later, or never was here, starts on the
 * inactive list: so who reads once through a large file pushes out nothing but
 * what he has read himself. What comes back is a cost of having thrown it out,
 * which get_scan_count() (vmscan.c) weighs.
 *
 * W1. The table forgets: what hashes to the same place overwrites. Then a page
 *     that comes back is taken for a new one, which is a loss of speed alone. A
 *     wrong hit (one in 2^32 at the same place) is the same.
 *
 * Locks:  none; words of the table are read and written whole.
 * Source: Linux mm/workingset.c (Weiner, "thrash detection-based file cache
 *         sizing", 2012). Differs: the shadow entries are in a table and not in
 *         the tree, as a tree of ours that has no pages has no nodes; ages are
 *         those of a kind, not of a node.
 */
#include <errno.h>
#include <stdatomic.h>

#include "internal.h"
#include "page.h"
#include "shmem_i.h"
#include "vmalloc.h"
#include "vmscan.h"
#include "vmstat.h"
#include "window.h"
#include "workingset.h"

/* Fields: (A) atomic; (C) constant between init and exit. */
static struct {
	_Atomic uint64_t *table;	/* (A) key << 32 | age; 0: nothing */
	unsigned int bits;		/* (C) of an index into it */
	atomic_uint age[2];		/* (A) by kind: evictions and activations */
} ws;

int workingset_init(void)
{
	unsigned long frames = totalram_frames();

	ws.bits = 8;
	while (1ul << ws.bits < frames)
		ws.bits++;
	ws.table = vzalloc(sizeof(*ws.table) << ws.bits);
	return ws.table ? 0 : -ENOMEM;
}

void workingset_exit(void)
{
	vfree((const void *)ws.table);
	ws.table = NULL;
}

/* Where, and by what key: the halves of a hash (Fibonacci's multiplier). */
static uint64_t hash_page(const struct address_space *mapping, pgoff_t index)
{
	uint64_t h = (uintptr_t)mapping / 64 * 0x9e3779b97f4a7c15ull + index;

	h ^= h >> 32;
	return h * 0x9e3779b97f4a7c15ull;
}

static _Atomic uint64_t *slot_of(uint64_t hash)
{
	return &ws.table[hash >> (64 - ws.bits)];
}

static enum lru_kind kind_of(const struct address_space *mapping)
{
	return mapping->swap_backed ? LRU_ANON : LRU_FILE;
}

void workingset_age(const struct address_space *mapping)
{
	atomic_fetch_add_explicit(&ws.age[kind_of(mapping)], 1,
				  memory_order_relaxed);
}

void workingset_eviction(const struct address_space *mapping, pgoff_t index)
{
	uint64_t hash = hash_page(mapping, index);
	uint32_t age = atomic_fetch_add_explicit(&ws.age[kind_of(mapping)], 1,
						 memory_order_relaxed);

	atomic_store_explicit(slot_of(hash), hash << 32 | age,
			      memory_order_relaxed);
}

/* What it would compete with. */
static unsigned long active_pages(enum lru_kind kind)
{
	unsigned long nr = lru_pages(LRU_ACTIVE_FILE) + nr_window_pages();

	if (kind == LRU_ANON || total_swap_pages())
		nr += lru_pages(LRU_ACTIVE_ANON);
	return nr;
}

bool workingset_refault(const struct address_space *mapping, pgoff_t index)
{
	const enum lru_kind kind = kind_of(mapping);
	uint64_t hash = hash_page(mapping, index);
	_Atomic uint64_t *slot = slot_of(hash);
	uint64_t was = atomic_load_explicit(slot, memory_order_relaxed);
	uint32_t distance;

	if (!was || (was ^ hash << 32) >> 32)
		return false;
	atomic_store_explicit(slot, 0, memory_order_relaxed);
	distance = atomic_load_explicit(&ws.age[kind], memory_order_relaxed) -
		   (uint32_t)was;
	if (distance > active_pages(kind))
		return false;
	count_vm_event(kind == LRU_ANON ? WORKINGSET_REFAULT_ANON :
					  WORKINGSET_REFAULT_FILE);
	return true;
}
