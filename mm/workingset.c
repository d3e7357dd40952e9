// SPDX-License-Identifier: BSD-2-Clause
/*
 * mm/workingset.c - pages that come back soon after they have gone
 *
 *   evictions  ----1----2----3----4----5----6---->	age of a kind of pages
 *                   ^ A goes                ^ A comes: 4 evictions later
 *
 *   table[hash(mapping, index)] = 8 * { key, age }	a word for each frame
 *
 * A page that comes back after as many evictions as there are active pages, or
 * fewer, would have stayed had those not been there: it is as good as they are,
 * and starts active. One that comes back later, or never was here, starts on the
 * inactive list: so who reads once through a large file pushes out nothing but
 * what he has read himself. What comes back is a cost of having thrown it out,
 * which get_scan_count() (vmscan.c) weighs.
 *
 * W1. The table forgets: of the 8 words of a place the oldest is overwritten. Then
 *     a page that comes back is taken for a new one, which is a loss of speed
 *     alone. The same goes for a wrong hit, of a lookup in 8,000; and for ages,
 *     which are in steps of 1/8192 of memory and come round after 4 times it.
 *     (With one word a place, pages of a set that is used in turns and hash to the
 *     same place overwrite each other each time round: a quarter of a set of 5/8
 *     of the table was never known again.)
 *
 * Locks:  none; words of the table are read and written whole.
 * Source: Linux mm/workingset.c (Weiner, "thrash detection-based file cache
 *         sizing", 2012; bucket_order, for the steps). Differs: the shadow
 *         entries are in a table and not in the tree, as a tree of ours that has
 *         no pages has no nodes; ages are those of a kind, not of a node.
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

#define WAYS	8u		/* words of a place: 32 bytes, of one cache line */
#define AGE_BITS	15u
#define AGE_MASK	((1u << AGE_BITS) - 1)

/* Fields: (A) atomic; (C) constant between init and exit. */
static struct {
	_Atomic uint32_t *table;	/* (A) key, kind, age; 0: nothing */
	unsigned int bits;		/* (C) of the number of a place */
	unsigned int age_shift;		/* (C) evictions in a step of age, log2 */
	atomic_uint age[2];		/* (A) by kind: evictions and activations */
} ws;

int workingset_init(void)
{
	unsigned long frames = totalram_frames();

	ws.bits = 5;
	while ((unsigned long)WAYS << ws.bits < frames)
		ws.bits++;
	ws.age_shift = 0;
	while (frames >> ws.age_shift > (AGE_MASK + 1) / 4)
		ws.age_shift++;
	ws.table = vzalloc(WAYS * sizeof(*ws.table) << ws.bits);
	return ws.table ? 0 : -ENOMEM;
}

void workingset_exit(void)
{
	vfree((const void *)ws.table);
	ws.table = NULL;
}

/* Its highest bits say where, those in the middle are the key (Fibonacci's
 * multiplier). */
static uint64_t hash_page(const struct address_space *mapping, pgoff_t index)
{
	uint64_t h = (uintptr_t)mapping / 64 * 0x9e3779b97f4a7c15ull + index;

	h ^= h >> 32;
	return h * 0x9e3779b97f4a7c15ull;
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

/* ---- words: 16 bits of the hash, the kind, 15 bits of age ---- */

static uint32_t make_word(uint64_t hash, enum lru_kind kind, uint32_t age)
{
	return (uint32_t)(hash >> 24) << (AGE_BITS + 1) |
		(uint32_t)kind << AGE_BITS | (age >> ws.age_shift & AGE_MASK);
}

/* Evictions since, rounded down to a step. */
static uint32_t word_distance(uint32_t word)
{
	uint32_t now = atomic_load_explicit(&ws.age[word >> AGE_BITS & 1],
					    memory_order_relaxed);

	return (((now >> ws.age_shift) - word) & AGE_MASK) << ws.age_shift;
}

/* The word that is like @word but for its age, or NULL. */
static _Atomic uint32_t *find_word(uint64_t hash, uint32_t word)
{
	_Atomic uint32_t *place = &ws.table[(hash >> (64 - ws.bits)) * WAYS];

	for (unsigned int i = 0; i < WAYS; i++)
		if (!((atomic_load_explicit(&place[i], memory_order_relaxed) ^
		       word) >> AGE_BITS))
			return &place[i];
	return NULL;
}

/* One that is free, else the oldest. */
static _Atomic uint32_t *word_to_replace(uint64_t hash)
{
	_Atomic uint32_t *place = &ws.table[(hash >> (64 - ws.bits)) * WAYS];
	_Atomic uint32_t *oldest = place;
	uint32_t most = 0;

	for (unsigned int i = 0; i < WAYS; i++) {
		uint32_t word = atomic_load_explicit(&place[i],
						     memory_order_relaxed);
		uint32_t distance = word ? word_distance(word) : UINT32_MAX;

		if (distance >= most) {
			most = distance;
			oldest = &place[i];
		}
	}
	return oldest;
}

void workingset_eviction(const struct address_space *mapping, pgoff_t index)
{
	const enum lru_kind kind = kind_of(mapping);
	uint64_t hash = hash_page(mapping, index);
	uint32_t word;

	word = make_word(hash, kind,
			 atomic_fetch_add_explicit(&ws.age[kind], 1,
						   memory_order_relaxed));
	atomic_store_explicit(find_word(hash, word) ?: word_to_replace(hash),
			      word, memory_order_relaxed);
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
	_Atomic uint32_t *found = find_word(hash, make_word(hash, kind, 0));
	uint32_t distance;

	if (!found)
		return false;
	distance = word_distance(atomic_exchange_explicit(found, 0,
						memory_order_relaxed));
	if (distance > active_pages(kind))
		return false;
	count_vm_event(kind == LRU_ANON ? WORKINGSET_REFAULT_ANON :
					  WORKINGSET_REFAULT_FILE);
	return true;
}
