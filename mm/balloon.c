// SPDX-License-Identifier: BSD-2-Clause
/*
 * mm/balloon.c - memory that windows have taken over from the arena
 *
 *   --memory  |<------- arena, with memory behind it ------->|<-- balloon -->|
 *                                                              ^ frames taken
 *             windows: |<-- charged -->|                         from the arena,
 *                        <= balloon                              memory given back
 *
 * A page in a window is memory of a memfd the kernel accounts to nobody of
 * ours. So that arena and windows together stay within --memory, a frame is
 * taken out of the arena and its memory given back to the kernel before a page
 * is charged. Large blocks first: they are punched with one call and leave
 * the arena's free lists as they were.
 *
 * Frames come from ZONE_MOVABLE alone: ZONE_NORMAL must stay for metadata.
 *
 * I1. charged <= frames in the balloon, and charged <= window_limit().
 *
 * The balloon's blocks are linked by the `next' of the frame table, which is
 * their owner's while they are allocated, and so need no memory of their own.
 *
 * Locks:  balloon.lock, a leaf, for the lists; balloon.charged is atomic.
 * Source: Waldspurger, "Memory Resource Management in VMware ESX Server"
 *         (2002), for the idea and the name.
 */
#include <fcntl.h>
#include <stdlib.h>
#include <sys/mman.h>

#include "internal.h"
#include "vmstat.h"
#include "window_i.h"

#ifndef MADV_POPULATE_WRITE
#define MADV_POPULATE_WRITE	23	/* Linux 5.14 */
#endif

/* Frames to take at once: 2 MiB, what the kernel gives and takes in one piece.
 * A whole block of them is tried first. */
#define BALLOON_ORDER	9
#define BALLOON_STEP	(1UL << BALLOON_ORDER)
/* Blocks of single frames, when there are no large ones. Arbitrary. */
#define BALLOON_BULK	64ul
/* Frames it may hold in vain before it is trimmed. Arbitrary: 8 MiB. */
#define BALLOON_SLACK	(4 * BALLOON_STEP)

/* Fields: (A) atomic; (L) lock. */
static struct {
	struct mutex lock;
	pfn_t head[MAX_ORDER + 1];	/* (L) + 1, so that 0 is none */
	atomic_ulong frames;		/* (A) rises before charged may */
	atomic_ulong charged;		/* (A) */
	struct mutex start_lock;
	bool started;			/* (L, start_lock) */
} balloon = {
	.lock = MUTEX_INITIALIZER(LOCK_LEAF),
	.start_lock = MUTEX_INITIALIZER(LOCK_LEAF),
};

unsigned long nr_window_pages(void)
{
	return atomic_load_explicit(&balloon.charged, memory_order_relaxed);
}

/*
 * All of ZONE_MOVABLE but a sixteenth and what its watermarks keep free: two
 * thirds of memory can be in clients' reach, the rest tells what they use.
 */
unsigned long window_limit(void)
{
	unsigned long limit = 0;
	struct zone *zone;

	for_each_zone(zone) {
		unsigned long keep = zone->spanned / 16 +
				     2 * zone->watermark[WMARK_HIGH];

		if (zone->type == ZONE_MOVABLE && zone->spanned > keep)
			limit += zone->spanned - keep;
	}
	return limit;
}

/* ---- giving frames back to the kernel ---- */

static void punch_arena(pfn_t pfn, unsigned long nr)
{
	/* Failing costs memory, not correctness: the frame just keeps its. */
	if (fallocate(arena_fd(), FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE,
		      (off_t)pfn << PAGE_SHIFT, (off_t)nr << PAGE_SHIFT))
		return;
}

static void balloon_push(pfn_t pfn, unsigned int order)
{
	mutex_lock(&balloon.lock);
	pfn_to_frame(pfn)->next = balloon.head[order];
	balloon.head[order] = pfn + 1;
	mutex_unlock(&balloon.lock);
}

static void balloon_add(pfn_t pfn, unsigned int order)
{
	balloon_push(pfn, order);
	atomic_fetch_add(&balloon.frames, 1UL << order);
	mod_vm_stat(NR_BALLOON, 1L << order);
}

/* A block of @order of ZONE_MOVABLE, with no effort. False if there is none. */
static bool inflate_block(unsigned int order)
{
	pfn_t pfn = alloc_frames(__GFP_MOVABLE, order);

	if (pfn == PFN_NONE)
		return false;
	if (pfn_to_zone(pfn)->type != ZONE_MOVABLE) {
		free_frames(pfn, order);
		return false;
	}
	punch_arena(pfn, 1UL << order);
	balloon_add(pfn, order);
	return true;
}

static int pfn_cmp(const void *a, const void *b)
{
	pfn_t x = *(const pfn_t *)a, y = *(const pfn_t *)b;

	return (x > y) - (x < y);
}

/* Single frames, reclaimed if need be. Return: how many. */
static unsigned long inflate_singles(unsigned long want)
{
	unsigned int nr = min_t(unsigned long, want, BALLOON_BULK), run;
	pfn_t pfns[BALLOON_BULK];
	unsigned long got = 0;

	/* Who charges tries again, and has windows to take from. */
	nr = alloc_frames_bulk(GFP_USER | __GFP_NORETRY, nr, pfns);
	qsort(pfns, nr, sizeof(pfns[0]), pfn_cmp);
	for (unsigned int i = 0; i < nr; i += run) {
		run = 1;
		if (pfn_to_zone(pfns[i])->type != ZONE_MOVABLE) {
			free_frames(pfns[i], 0);
			continue;
		}
		while (i + run < nr && pfns[i + run] == pfns[i] + run &&
		       pfn_to_zone(pfns[i + run])->type == ZONE_MOVABLE)
			run++;
		punch_arena(pfns[i], run);
		for (unsigned int k = 0; k < run; k++)
			balloon_add(pfns[i] + k, 0);
		got += run;
	}
	return got;
}

/* The arena is faulted in from one end while we punch it: end that first. */
static void balloon_start(void)
{
	if (READ_ONCE(balloon.started))
		return;
	mutex_lock(&balloon.start_lock);
	if (!balloon.started) {
		arena_populate_stop();
		WRITE_ONCE(balloon.started, true);
	}
	mutex_unlock(&balloon.start_lock);
}

/* Then what is taken for later may have to be given back at once. */
static bool is_short(void)
{
	struct zone *zone;

	for_each_zone(zone)
		if (zone->type == ZONE_MOVABLE && zone_free_frames(zone) >
		    zone->watermark[WMARK_LOW] + BALLOON_BULK)
			return false;
	return true;
}

/* At least @nr frames more. Return: whether that worked. */
static bool inflate(unsigned long nr)
{
	const unsigned long want = is_short() ? nr : max(nr, BALLOON_BULK);
	unsigned long total = 0, got;

	balloon_start();
	for (int order = BALLOON_ORDER; order >= 6; order--)
		if (1UL << order >= nr && inflate_block((unsigned int)order))
			return true;
	while (total < want && (got = inflate_singles(want - total)))
		total += got;
	return total >= nr;
}

/* ---- taking them back ---- */

/* A block not larger than @max, the largest first: that is cheapest; or else the
 * smallest there is. Context: balloon.lock. Return: its order, or -1. */
static int order_to_take(unsigned long max)
{
	int order = min_t(int, ilog2(max), MAX_ORDER);

	while (order >= 0 && !balloon.head[order])
		order--;
	if (order >= 0)
		return order;
	for (order = 0; order <= MAX_ORDER; order++)
		if (balloon.head[order])
			return order;
	return -1;
}

/* A block of at most @max frames, split off a larger one if it must be. */
static pfn_t balloon_take(unsigned long max, unsigned int *orderp)
{
	int order;
	pfn_t pfn;

	mutex_lock(&balloon.lock);
	order = order_to_take(max);
	if (order < 0) {
		mutex_unlock(&balloon.lock);
		return PFN_NONE;
	}
	pfn = balloon.head[order] - 1;
	balloon.head[order] = pfn_to_frame(pfn)->next;
	mutex_unlock(&balloon.lock);
	while (1UL << order > max) {
		split_frames(pfn, (unsigned int)order--);
		balloon_push(pfn + (1U << order), (unsigned int)order);
	}
	*orderp = (unsigned int)order;
	return pfn;
}

/* Takes @nr frames off the balloon's count unless they are charged (I1). */
static bool unreserve(unsigned long nr)
{
	atomic_fetch_sub(&balloon.frames, nr);
	if (atomic_load(&balloon.charged) <= atomic_load(&balloon.frames))
		return true;
	atomic_fetch_add(&balloon.frames, nr);
	return false;
}

/* Return: frames given back. */
static unsigned long balloon_shrink(unsigned long target)
{
	unsigned long frames, given = 0;
	unsigned int order;
	pfn_t pfn;

	while ((frames = atomic_load(&balloon.frames)) > target) {
		pfn = balloon_take(frames - target, &order);
		if (pfn == PFN_NONE)
			break;
		if (!unreserve(1UL << order)) {
			balloon_push(pfn, order);
			break;
		}
		/* In bulk now, rather than fault by fault later. */
		madvise(pfn_to_virt(pfn), PAGE_SIZE << order,
			MADV_POPULATE_WRITE);
		free_frames(pfn, order);
		mod_vm_stat(NR_BALLOON, -(1L << order));
		given += 1UL << order;
	}
	return given;
}

void balloon_trim(void)
{
	unsigned long charged = nr_window_pages();

	if (atomic_load(&balloon.frames) > charged + BALLOON_SLACK)
		balloon_shrink(charged + BALLOON_SLACK / 2);
}

unsigned long balloon_give(unsigned long slack)
{
	return balloon_shrink(nr_window_pages() + slack);
}

void balloon_exit(void)
{
	BUG_ON(nr_window_pages());
	balloon_shrink(0);
	BUG_ON(atomic_load(&balloon.frames));
	balloon.started = false;
}

/* ---- charging ---- */

bool window_charge(unsigned long nr)
{
	unsigned long charged, frames;

	for (;;) {
		charged = atomic_load(&balloon.charged);
		if (charged + nr > window_limit())
			return false;
		frames = atomic_load(&balloon.frames);
		if (charged + nr > frames) {
			if (!inflate(charged + nr - frames))
				return false;
			continue;
		}
		if (!atomic_compare_exchange_weak(&balloon.charged, &charged,
						  charged + nr))
			continue;
		/* pairs with unreserve(): one of the two sees the other */
		if (charged + nr <= atomic_load(&balloon.frames))
			break;
		atomic_fetch_sub(&balloon.charged, nr);
	}
	mod_vm_stat(NR_WINDOW_PAGES, (long)nr);
	return true;
}

void window_uncharge(unsigned long nr)
{
	unsigned long old = atomic_fetch_sub(&balloon.charged, nr);

	BUG_ON(old < nr);
	mod_vm_stat(NR_WINDOW_PAGES, -(long)nr);
}
