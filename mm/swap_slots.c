// SPDX-License-Identifier: BSD-2-Clause
/*
 * mm/swap_slots.c - slots of a swap area: who uses which, and which is next
 *
 *          swap_area_take()             slot_release()
 *   free ------------------> in use ------------------> free
 *                            users, cache     |
 *                                             +--> bad, if I/O failed there
 *
 *   clusters   free:    7 - 8 - 9 - ...     taken from the head, given back at
 *              partial: 3 - 0               the tail: what is freed together is
 *              current: 6 [#####>.....]     found together
 *
 * Slots are handed out along the current cluster, so what is swapped out
 * together lies together. At its end the next is a free one; only when there is
 * none the gaps of partial ones are filled.
 *
 * I1. A slot is in use if its swap_map has users or SWAP_HAS_CACHE.
 *     SWAP_MAP_FAILED is set of slots in use only; with the last user it becomes
 *     SWAP_MAP_BAD, for good.
 * I2. cluster->used counts its slots that are in use, bad, or beyond the area.
 *     It is on the free list with 0, on the partial list with less than
 *     SWAPFILE_CLUSTER, on none if it is full or the current one.
 * I3. pages + nr_bad + 1 = max, inuse <= pages; swap_total and swap_avail are
 *     sums of pages, and of pages - inuse, of areas that are ON.
 *
 * Locks:  si->lock, a leaf. swap_map is also read without it, by who has an
 *         entry: its count may change meanwhile, but not to 0.
 * Source: Linux mm/swapfile.c (cluster_alloc_swap_entry). Differs: counts have
 *         15 bits and no continuation; clusters are the area's, not a CPU's.
 */
#include <errno.h>

#include "swapfile_i.h"
#include "vmalloc.h"

/* What of a swap_map's element are users. */
#define SWAP_COUNT_MASK	((uint16_t)~(SWAP_HAS_CACHE | SWAP_MAP_FAILED))

_Static_assert(SWAPFILE_CLUSTER <= UINT16_MAX, "cluster->used has 16 bits");
_Static_assert(SWAP_MAP_BAD == SWAP_COUNT_MASK, "no bit to spare");

struct swap_info_struct swap_info[MAX_SWAPFILES + 1];
atomic_long swap_total, swap_avail;

static unsigned int map_count(uint16_t map)
{
	return map & SWAP_COUNT_MASK;
}

static bool map_is_bad(uint16_t map)
{
	return map == SWAP_MAP_BAD;
}

static bool map_in_use(uint16_t map)
{
	return map && !map_is_bad(map);				/* I1 */
}

static void mod_total(struct swap_info_struct *si, long total, long avail)
{
	if (si->state != AREA_ON || !si->dev)
		return;						/* I3 */
	atomic_fetch_add_explicit(&swap_total, total, memory_order_relaxed);
	atomic_fetch_add_explicit(&swap_avail, avail, memory_order_relaxed);
}

/* ---- clusters. Context: si->lock, throughout ---- */

static void cluster_add(struct swap_info_struct *si, uint32_t nr,
			enum cluster_list list)
{
	struct swap_cluster_list *l = &si->lists[list];
	struct swap_cluster *c = &si->clusters[nr];

	c->list = list;
	c->next = CLUSTER_NULL;
	c->prev = l->tail;
	if (l->tail == CLUSTER_NULL)
		l->head = nr;
	else
		si->clusters[l->tail].next = nr;
	l->tail = nr;
}

static void cluster_del(struct swap_info_struct *si, uint32_t nr)
{
	struct swap_cluster *c = &si->clusters[nr];
	struct swap_cluster_list *l = &si->lists[c->list];

	if (c->prev == CLUSTER_NULL)
		l->head = c->next;
	else
		si->clusters[c->prev].next = c->next;
	if (c->next == CLUSTER_NULL)
		l->tail = c->prev;
	else
		si->clusters[c->next].prev = c->prev;
	c->list = CLUSTER_OFF_LIST;
}

/* The list that @used slots belong on: I2. */
static enum cluster_list list_for(unsigned int used)
{
	if (!used)
		return CLUSTER_FREE;
	return used < SWAPFILE_CLUSTER ? CLUSTER_PARTIAL : CLUSTER_OFF_LIST;
}

/* @nr's count has changed, or it is no longer the current one. */
static void cluster_sort(struct swap_info_struct *si, uint32_t nr)
{
	struct swap_cluster *c = &si->clusters[nr];
	enum cluster_list list = list_for(c->used);

	if (nr == si->cur || list == c->list)
		return;
	if (c->list != CLUSTER_OFF_LIST)
		cluster_del(si, nr);
	if (list != CLUSTER_OFF_LIST)
		cluster_add(si, nr, list);
}

/* Makes a cluster with a free slot the current one. False: there is none. */
static bool cluster_next(struct swap_info_struct *si)
{
	uint32_t nr = si->lists[CLUSTER_FREE].head;

	if (nr == CLUSTER_NULL)
		nr = si->lists[CLUSTER_PARTIAL].head;
	if (nr == CLUSTER_NULL)
		return false;
	cluster_del(si, nr);
	si->cur = nr;
	si->cur_next = (unsigned long)nr * SWAPFILE_CLUSTER;
	return true;
}

static void cluster_leave(struct swap_info_struct *si)
{
	uint32_t nr = si->cur;

	si->cur = CLUSTER_NULL;
	cluster_sort(si, nr);
}

static unsigned long cluster_end(const struct swap_info_struct *si, uint32_t nr)
{
	return min((nr + 1UL) * SWAPFILE_CLUSTER, si->max);
}

/* ---- taking ---- */

/* From the current cluster, up to its end. Context: si->lock. */
static unsigned int cluster_take(struct swap_info_struct *si, unsigned int nr,
				 swp_entry_t *entries)
{
	const unsigned int type = (unsigned int)(si - swap_info);
	unsigned long end = cluster_end(si, si->cur);
	unsigned int got = 0;

	for (; si->cur_next < end && got < nr; si->cur_next++) {
		if (si->swap_map[si->cur_next])
			continue;
		WRITE_ONCE(si->swap_map[si->cur_next], 1);
		entries[got++] = swp_entry(type, si->cur_next);
	}
	si->clusters[si->cur].used = (uint16_t)(si->clusters[si->cur].used + got);
	si->inuse += got;
	mod_total(si, 0, -(long)got);
	return got;
}

unsigned int swap_area_take(struct swap_info_struct *si, unsigned int nr,
			    swp_entry_t *entries, bool *endedp)
{
	unsigned int got = 0;

	*endedp = false;
	mutex_lock(&si->lock);
	/* The current cluster may have nothing left; one just begun has. */
	while (!got && si->state == AREA_ON && si->inuse < si->pages &&
	       (si->cur != CLUSTER_NULL || cluster_next(si))) {
		got = cluster_take(si, nr, entries);
		if (si->cur_next == cluster_end(si, si->cur)) {
			cluster_leave(si);
			*endedp = true;
		}
	}
	mutex_unlock(&si->lock);
	return got;
}

swp_entry_t get_memory_entry(void)
{
	swp_entry_t entry = { 0 };
	bool ended;

	swap_area_take(&swap_info[SWP_TYPE_MEMORY], 1, &entry, &ended);
	return entry;
}

/* ---- users ---- */

struct swap_info_struct *swap_entry_area(swp_entry_t entry)
{
	struct swap_info_struct *si;

	BUG_ON(swp_type(entry) > SWP_TYPE_MEMORY);
	si = &swap_info[swp_type(entry)];
	BUG_ON(READ_ONCE(si->state) < AREA_ON);
	BUG_ON(!swp_offset(entry) || swp_offset(entry) >= si->max);
	return si;
}

/* Nobody has the slot any more. Context: si->lock. */
static void slot_release(struct swap_info_struct *si, unsigned long offset)
{
	uint32_t nr = (uint32_t)(offset / SWAPFILE_CLUSTER);

	si->inuse--;
	if (si->swap_map[offset] & SWAP_MAP_FAILED) {
		WRITE_ONCE(si->swap_map[offset], SWAP_MAP_BAD);
		si->nr_bad++;
		si->pages--;
		mod_total(si, -1, 0);
		return;
	}
	WRITE_ONCE(si->swap_map[offset], 0);
	si->clusters[nr].used--;
	cluster_sort(si, nr);
	mod_total(si, 0, 1);
}

/* The slot's users and cache become @map. Context: si->lock. */
static void slot_set(struct swap_info_struct *si, unsigned long offset,
		     uint16_t map)
{
	WRITE_ONCE(si->swap_map[offset], map);
	if (!(map & ~SWAP_MAP_FAILED))
		slot_release(si, offset);
}

int swap_duplicate(swp_entry_t entry)
{
	struct swap_info_struct *si = swap_entry_area(entry);
	unsigned long offset = swp_offset(entry);
	uint16_t map;
	int err = 0;

	mutex_lock(&si->lock);
	map = si->swap_map[offset];
	BUG_ON(!map_in_use(map) || !map_count(map));
	if (map_count(map) < SWAP_MAP_MAX)
		slot_set(si, offset, (uint16_t)(map + 1));
	else
		err = -ENOMEM;
	mutex_unlock(&si->lock);
	return err;
}

unsigned int swap_free(swp_entry_t entry)
{
	struct swap_info_struct *si = swap_entry_area(entry);
	unsigned long offset = swp_offset(entry);
	uint16_t map;

	mutex_lock(&si->lock);
	map = si->swap_map[offset];
	BUG_ON(!map_in_use(map) || !map_count(map));
	slot_set(si, offset, --map);
	mutex_unlock(&si->lock);
	return map_count(map);
}

static uint16_t slot_read(swp_entry_t entry)
{
	struct swap_info_struct *si = swap_entry_area(entry);

	return READ_ONCE(si->swap_map[swp_offset(entry)]);
}

unsigned int swap_count(swp_entry_t entry)
{
	uint16_t map = slot_read(entry);

	return map_is_bad(map) ? 0 : map_count(map);
}

bool swap_has_cache(swp_entry_t entry)
{
	return slot_read(entry) & SWAP_HAS_CACHE;
}

void swapcache_set(swp_entry_t entry)
{
	struct swap_info_struct *si = swap_entry_area(entry);
	unsigned long offset = swp_offset(entry);
	uint16_t map;

	mutex_lock(&si->lock);
	map = si->swap_map[offset];
	BUG_ON(!map_in_use(map) || (map & SWAP_HAS_CACHE));
	slot_set(si, offset, map | SWAP_HAS_CACHE);
	mutex_unlock(&si->lock);
}

void swapcache_clear(swp_entry_t entry)
{
	struct swap_info_struct *si = swap_entry_area(entry);
	unsigned long offset = swp_offset(entry);
	uint16_t map;

	mutex_lock(&si->lock);
	map = si->swap_map[offset];
	BUG_ON(!(map & SWAP_HAS_CACHE));
	slot_set(si, offset, map & (uint16_t)~SWAP_HAS_CACHE);
	mutex_unlock(&si->lock);
}

void swap_mark_bad(swp_entry_t entry)
{
	struct swap_info_struct *si = swap_entry_area(entry);
	unsigned long offset = swp_offset(entry);

	BUG_ON(!si->dev);
	mutex_lock(&si->lock);
	BUG_ON(!map_in_use(si->swap_map[offset]));
	slot_set(si, offset, si->swap_map[offset] | SWAP_MAP_FAILED);
	mutex_unlock(&si->lock);
}

bool swap_entry_is_disk(swp_entry_t entry)
{
	struct swap_info_struct *si = swap_entry_area(entry);

	return si->dev && READ_ONCE(si->state) == AREA_ON;
}

bool swap_entries_adjacent(swp_entry_t a, swp_entry_t b)
{
	return swp_type(a) == swp_type(b) && swp_type(a) != SWP_TYPE_MEMORY &&
		swp_offset(a) + 1 == swp_offset(b);
}

/* ---- making and checking ---- */

/* Slots of cluster @nr that an area of @max slots does not have. */
static unsigned int slots_beyond(unsigned long max, uint32_t nr)
{
	unsigned long end = (nr + 1UL) * SWAPFILE_CLUSTER;

	return end > max ? (unsigned int)(end - max) : 0;
}

static void init_clusters(struct swap_info_struct *si)
{
	for (int list = 0; list < NR_CLUSTER_LISTS; list++)
		si->lists[list] = (struct swap_cluster_list){
			CLUSTER_NULL, CLUSTER_NULL
		};
	si->cur = CLUSTER_NULL;
	for (uint32_t nr = 0; nr < si->nr_clusters; nr++) {
		si->clusters[nr].used += (uint16_t)slots_beyond(si->max, nr);
		si->clusters[nr].list = CLUSTER_OFF_LIST;
		cluster_sort(si, nr);
	}
}

static void init_bad(struct swap_info_struct *si, unsigned long offset)
{
	si->swap_map[offset] = SWAP_MAP_BAD;
	si->clusters[offset / SWAPFILE_CLUSTER].used++;
}

int swap_area_alloc(struct swap_info_struct *si, unsigned long max,
		    const uint64_t *badpages, unsigned int nr_badpages)
{
	uint32_t nr_clusters = (uint32_t)DIV_ROUND_UP(max, SWAPFILE_CLUSTER);
	uint16_t *map = vzalloc(max * sizeof(*map));
	struct swap_cluster *clusters = NULL;

	if (map)
		clusters = vzalloc(nr_clusters * sizeof(*clusters));
	if (!clusters) {
		vfree(map);
		return -ENOMEM;
	}
	mutex_lock(&si->lock);
	if (si->swap_map) {		/* somebody was faster: SWP_TYPE_MEMORY's */
		mutex_unlock(&si->lock);
		vfree(map);
		vfree(clusters);
		return 0;
	}
	si->swap_map = map;
	si->clusters = clusters;
	si->nr_clusters = nr_clusters;
	si->max = max;
	si->nr_bad = nr_badpages;
	si->pages = max - 1 - nr_badpages;
	si->inuse = 0;
	init_bad(si, 0);
	for (unsigned int i = 0; i < nr_badpages; i++)
		init_bad(si, badpages[i]);
	init_clusters(si);
	mutex_unlock(&si->lock);
	return 0;
}

void swap_area_free(struct swap_info_struct *si)
{
	BUG_ON(si->inuse);
	vfree(si->swap_map);
	vfree(si->clusters);
	si->swap_map = NULL;
	si->clusters = NULL;
	si->max = si->pages = si->nr_bad = 0;
}

/* I1, I2. Context: si->lock. */
static void check_cluster(const struct swap_info_struct *si, uint32_t nr,
			  unsigned long *inusep, unsigned long *badp)
{
	const struct swap_cluster *c = &si->clusters[nr];
	unsigned long end = cluster_end(si, nr);
	unsigned int used = slots_beyond(si->max, nr);

	for (unsigned long i = (unsigned long)nr * SWAPFILE_CLUSTER; i < end; i++) {
		uint16_t map = si->swap_map[i];

		BUG_ON(map == SWAP_MAP_FAILED);
		BUG_ON(!map_is_bad(map) && map_count(map) > SWAP_MAP_MAX);
		used += map != 0;
		*inusep += map_in_use(map);
		*badp += map_is_bad(map);
	}
	BUG_ON(used != c->used);
	BUG_ON(c->list != (nr == si->cur ? CLUSTER_OFF_LIST : list_for(used)));
}

/* Context: si->lock. */
static unsigned long check_list(const struct swap_info_struct *si,
				enum cluster_list list)
{
	uint32_t prev = CLUSTER_NULL, nr = si->lists[list].head;
	unsigned long length = 0;

	for (; nr != CLUSTER_NULL; prev = nr, nr = si->clusters[nr].next) {
		BUG_ON(si->clusters[nr].list != list);
		BUG_ON(si->clusters[nr].prev != prev);
		BUG_ON(++length > si->nr_clusters);	/* also ends a cycle */
	}
	BUG_ON(si->lists[list].tail != prev);
	return length;
}

void swap_area_check(struct swap_info_struct *si)
{
	unsigned long inuse = 0, bad = 0, listed = 0;

	mutex_lock(&si->lock);
	for (uint32_t nr = 0; nr < si->nr_clusters; nr++) {
		check_cluster(si, nr, &inuse, &bad);
		listed += si->clusters[nr].list != CLUSTER_OFF_LIST;
	}
	for (int list = 0; list < NR_CLUSTER_LISTS; list++)
		listed -= check_list(si, list);
	BUG_ON(listed);
	BUG_ON(!map_is_bad(si->swap_map[0]));
	BUG_ON(inuse != si->inuse || bad != si->nr_bad + 1);
	BUG_ON(si->pages + si->nr_bad + 1 != si->max || inuse > si->pages); /* I3 */
	mutex_unlock(&si->lock);
}
