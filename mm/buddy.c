// SPDX-License-Identifier: BSD-2-Clause
/*
 * mm/buddy.c - the free blocks of a zone
 *
 *   free_area[0]  5 <-> 9			blocks of 1 frame
 *   free_area[1]  -
 *   free_area[2]  12 <-> 24			blocks of 4
 *
 *   pfn  5 6 7 8 9 10 11 12 13 14 15		buddies differ in one bit:
 *        F A A A F A  A  F  t  t  t		12 ^ 4 = 8 is 12's buddy of order 2
 *
 * I1. A block of order o starts at a multiple of 2^o and lies in one zone.
 * I2. A free block's buddy is not a free block of the same order: they would
 *     have been merged.
 * I3. A head's word tells state and order; all other words are TAIL. So the
 *     whole zone can be walked from block to block.
 * I4. nr_free is the sum over free_area[].
 *
 * Locks:   zone->lock (LOCK_ZONE) throughout. Counts are also read without.
 * Source:  Linux mm/page_alloc.c. Differs: no migrate types, zones serve that
 *          purpose; lists are linked by pfn in the frame table.
 */
#include "internal.h"

/* Context: caller holds zone->lock. */
static void add_to_free_list(struct zone *zone, pfn_t pfn, unsigned int order)
{
	struct free_area *area = &zone->free_area[order];
	struct frame *frame = pfn_to_frame(pfn);

	frame->prev = PFN_NONE;
	frame->next = area->head;
	if (area->head != PFN_NONE)
		pfn_to_frame(area->head)->prev = pfn;
	area->head = pfn;
	frame_set(pfn, FRAME_FREE, order);
	WRITE_ONCE(area->nr_free, area->nr_free + 1);
	WRITE_ONCE(zone->nr_free, zone->nr_free + (1UL << order));
}

/* Leaves the word for the caller to set. Context: caller holds zone->lock. */
static void del_from_free_list(struct zone *zone, pfn_t pfn, unsigned int order)
{
	struct free_area *area = &zone->free_area[order];
	struct frame *frame = pfn_to_frame(pfn);

	BUG_ON(frame_get(pfn) != frame_word(FRAME_FREE, order));
	if (frame->prev == PFN_NONE)
		area->head = frame->next;
	else
		pfn_to_frame(frame->prev)->next = frame->next;
	if (frame->next != PFN_NONE)
		pfn_to_frame(frame->next)->prev = frame->prev;
	WRITE_ONCE(area->nr_free, area->nr_free - 1);
	WRITE_ONCE(zone->nr_free, zone->nr_free - (1UL << order));
}

static bool in_zone(const struct zone *zone, pfn_t pfn)
{
	return pfn >= zone->start_pfn && pfn - zone->start_pfn < zone->spanned;
}

/*
 * Takes a block of 2^@order, splitting a larger one if need be.
 * Context: caller holds zone->lock. Return: the head, its word still to be
 * set, or PFN_NONE.
 */
static pfn_t rmqueue_smallest(struct zone *zone, unsigned int order)
{
	unsigned int o = order;
	pfn_t pfn;

	lockdep_assert_held(&zone->lock);
	while (o <= MAX_ORDER && zone->free_area[o].head == PFN_NONE)
		o++;
	if (o > MAX_ORDER)
		return PFN_NONE;
	pfn = zone->free_area[o].head;
	del_from_free_list(zone, pfn, o);
	while (o > order) {		/* upper halves go back */
		o--;
		add_to_free_list(zone, pfn + (1U << o), o);
	}
	return pfn;
}

/* Context: caller holds zone->lock. Return: the block, or PFN_NONE. */
static pfn_t __rmqueue(struct zone *zone, unsigned int order)
{
	pfn_t pfn = rmqueue_smallest(zone, order);

	if (pfn != PFN_NONE)
		frame_set(pfn, FRAME_ALLOC, order);
	return pfn;
}

/*
 * __rmqueue_bulk - take up to @nr single frames, in runs as long as possible
 *
 * Context: caller holds zone->lock. Return: how many.
 */
unsigned int __rmqueue_bulk(struct zone *zone, unsigned int nr, pfn_t *pfns)
{
	unsigned int got = 0, order = MAX_ORDER;

	while (got < nr) {
		pfn_t pfn;

		order = min(order, ilog2(nr - got));
		pfn = rmqueue_smallest(zone, order);
		if (pfn == PFN_NONE) {
			if (!order--)
				break;
			continue;
		}
		for (unsigned int i = 0; i < 1U << order; i++) {
			frame_set(pfn + i, FRAME_ALLOC, 0);
			pfns[got++] = pfn + i;
		}
	}
	return got;
}

/*
 * __free_one - put a block back, merged with its free buddies
 *
 * The buddy's word may be changing in its owner's hands between ALLOC and PCP;
 * that it reads FREE is certain, see struct frame.
 * Context: caller holds zone->lock; the block is on no list.
 */
void __free_one(struct zone *zone, pfn_t pfn, unsigned int order)
{
	lockdep_assert_held(&zone->lock);
	while (order < MAX_ORDER) {
		pfn_t buddy = pfn ^ (1U << order);

		if (!in_zone(zone, buddy) ||
		    frame_get(buddy) != frame_word(FRAME_FREE, order))
			break;
		del_from_free_list(zone, buddy, order);
		frame_set(max(pfn, buddy), FRAME_TAIL, 0);	/* I3 */
		pfn = min(pfn, buddy);
		order++;
	}
	add_to_free_list(zone, pfn, order);
}

pfn_t zone_alloc(struct zone *zone, unsigned int order)
{
	pfn_t pfn;

	mutex_lock(&zone->lock);
	pfn = __rmqueue(zone, order);
	mutex_unlock(&zone->lock);
	return pfn;
}

void zone_split(pfn_t pfn, unsigned int order)
{
	struct zone *zone = zone_of(pfn);

	mutex_lock(&zone->lock);
	frame_set(pfn, FRAME_ALLOC, order - 1);
	frame_set(pfn + (1U << (order - 1)), FRAME_ALLOC, order - 1);
	mutex_unlock(&zone->lock);
}

void zone_free(pfn_t pfn, unsigned int order)
{
	struct zone *zone = zone_of(pfn);

	mutex_lock(&zone->lock);
	__free_one(zone, pfn, order);
	mutex_unlock(&zone->lock);
}

/* All of a new zone becomes free. Last first: the first frames go out first. */
void free_area_init(struct zone *zone)
{
	pfn_t start = zone->start_pfn;
	pfn_t end = start + (pfn_t)zone->spanned;

	for (int o = 0; o <= MAX_ORDER; o++)
		zone->free_area[o] = (struct free_area){ .head = PFN_NONE };
	zone->nr_free = 0;
	for (pfn_t pfn = start; pfn < end; pfn++)
		pfn_to_frame(pfn)->zone = (uint8_t)zone_idx(zone);
	mutex_lock(&zone->lock);
	while (end > start) {
		unsigned int order = min_t(unsigned int, MAX_ORDER,
					   __builtin_ctz(end));

		while (end - start < 1U << order)
			order--;
		end -= 1U << order;
		add_to_free_list(zone, end, order);
	}
	mutex_unlock(&zone->lock);
}

/* Context: caller holds zone->lock. */
static void check_free_list(const struct zone *zone, unsigned int order)
{
	const struct free_area *area = &zone->free_area[order];
	unsigned long nr = 0;
	pfn_t prev = PFN_NONE;

	for (pfn_t pfn = area->head; pfn != PFN_NONE;
	     pfn = pfn_to_frame(pfn)->next) {
		pfn_t buddy = pfn ^ (1U << order);

		BUG_ON(!in_zone(zone, pfn));
		BUG_ON(!IS_ALIGNED(pfn, 1U << order));			/* I1 */
		BUG_ON(frame_get(pfn) != frame_word(FRAME_FREE, order));
		BUG_ON(pfn_to_frame(pfn)->prev != prev);
		BUG_ON(order < MAX_ORDER && in_zone(zone, buddy) &&	/* I2 */
		       frame_get(buddy) == frame_word(FRAME_FREE, order));
		BUG_ON(++nr > area->nr_free);		/* also ends a cycle */
		prev = pfn;
	}
	BUG_ON(nr != area->nr_free);
}

/* I3, I4: from block to block. Context: caller holds zone->lock. */
static void check_blocks(const struct zone *zone)
{
	pfn_t pfn = zone->start_pfn;
	pfn_t end = pfn + (pfn_t)zone->spanned;
	unsigned long nr_free = 0;

	while (pfn < end) {
		uint16_t word = frame_get(pfn);
		unsigned int state = word >> 8, order = word & 0xff;

		BUG_ON(state != FRAME_FREE && state != FRAME_PCP &&
		       state != FRAME_ALLOC);
		BUG_ON(order > MAX_ORDER || end - pfn < 1U << order);
		BUG_ON(zone_of(pfn) != zone);
		for (unsigned int i = 1; i < 1U << order; i++)
			BUG_ON(frame_get(pfn + i) != frame_word(FRAME_TAIL, 0));
		if (state == FRAME_FREE)
			nr_free += 1UL << order;
		pfn += 1U << order;
	}
	BUG_ON(nr_free != zone->nr_free);
}

void page_alloc_check(void)
{
	struct zone *zone;

	for_each_zone(zone) {
		mutex_lock(&zone->lock);
		for (unsigned int o = 0; o <= MAX_ORDER; o++)
			check_free_list(zone, o);
		check_blocks(zone);
		mutex_unlock(&zone->lock);
	}
	pcp_check();
}
