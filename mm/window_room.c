// SPDX-License-Identifier: BSD-2-Clause
/*
 * mm/window_room.c - how much of memory windows have
 *
 *   who is short	what is done
 *     a fault		takes a page's charge; at the limit it demotes others
 *     the windows	kswapd keeps a gap below their limit
 *     the arena	kswapd has files that nobody maps go first. Then it weighs:
 *			pages of other files that came back soon after they had
 *			gone (workingset.c) against pages that came back into
 *			windows. As many as the former are more than the latter
 *			are demoted: they go to the arena's inactive list, where
 *			being wanted shows.
 *
 * Without the last what clients have touched once would keep its memory for as
 * long as they have it mapped. That it goes only for what comes back leaves
 * windows alone when somebody reads through a large file.
 *
 * Locks:  none of its own.
 * Source: Linux mm/vmscan.c (get_scan_count), for weighing by cost.
 */
#include "internal.h"
#include "page.h"
#include "vmscan.h"
#include "vmstat.h"
#include "window_i.h"

/* Pages that kswapd keeps free in the windows: two batches for each of eight
 * threads, or 1/32 of a small window. */
#define GAP_PAGES	(16ul * WINDOW_BATCH)
/* kswapd, having found nothing, is left alone for so long. Arbitrary. */
#define VAIN_MS		50
/* Times a charge is tried: in all, in vain, and for pages nobody has asked for. */
#define CHARGE_TRIES	64u
#define CHARGE_VAIN	16u
#define CHARGE_AHEAD	4u
/* Soft faults that cost as much as a page that is read again. Arbitrary; here one
 * takes 20 to 60 us, and reading from a fast disk 60 to 120. */
#define SOFT_FAULTS	4ul
/* Pages to demote at a time for the arena. Arbitrary: 1 MiB. */
#define GIVE_PAGES	256ul

static unsigned long window_gap(void)
{
	return min(GAP_PAGES, window_limit() / 32);
}

bool windows_over(void)
{
	return nr_window_pages() + window_gap() > window_limit();
}

/* (A) when kswapd last found nothing to demote, ms */
static atomic_ulong vain_ms;

void balance_windows(void)
{
	unsigned long target = window_limit() - 2 * window_gap(), nr, some;

	while ((nr = nr_window_pages()) > target) {
		some = min(nr - target, 4ul * WINDOW_BATCH);
		if (shrink_windows(some, false))
			continue;
		/* All is too new: the next faults would take it all the same,
		 * and wait for that. */
		if (windows_over() && shrink_windows(some, true))
			continue;
		atomic_store(&vain_ms, mm_msecs());
		return;
	}
}

static void wake_for_windows(void)
{
	if (windows_over() && mm_msecs() - atomic_load(&vain_ms) > VAIN_MS)
		wakeup_kswapd(NODE_DATA(0));
}

bool window_charge_or_shrink(unsigned long nr)
{
	/* More than one is for the future: not worth waiting for. Only demotion
	 * that finds no frames waits then. */
	const gfp_t gfp = nr > 1 ? GFP_USER | __GFP_NORETRY : GFP_USER;
	const unsigned int max_tries = nr > 1 ? CHARGE_AHEAD : CHARGE_TRIES;
	unsigned int vain = 0;

	for (unsigned int tries = 0; tries < max_tries; tries++) {
		if (window_charge(nr)) {
			wake_for_windows();
			return true;
		}
		if (shrink_windows(max_t(unsigned long, nr, 16), tries > 1) ||
		    try_to_free_pages(gfp, 0, ZONE_MOVABLE))
			vain = 0;
		else if (++vain == CHARGE_VAIN)
			break;
	}
	return false;
}

/* ---- between the windows and the arena ---- */

/* Fields: (A) atomic. */
static struct {
	atomic_ulong claims;		/* (A) refaults since they were weighed */
	atomic_ulong returns;		/* (A) soft faults until then */
} room;

void window_note_refaults(const struct address_space *mapping, unsigned int nr)
{
	if (!mapping->swap_backed && !mapping_mapped(mapping))
		atomic_fetch_add_explicit(&room.claims, nr, memory_order_relaxed);
}

/* Soft faults since the last time. Their count may have been set to 0 meanwhile. */
static unsigned long new_returns(void)
{
	unsigned long now = vm_event(PGSOFTFAULT);
	unsigned long then = atomic_exchange(&room.returns, now);

	return now - min(now, then);
}

void windows_give(void)
{
	unsigned long claims = atomic_exchange(&room.claims, 0);
	unsigned long returns = new_returns() / SOFT_FAULTS;

	if (!shrink_idle_windows(GIVE_PAGES) && claims > returns)
		shrink_windows(min(claims - returns, GIVE_PAGES), false);
	balloon_give(2 * window_gap());		/* what comes and goes */
}
