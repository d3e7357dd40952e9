// SPDX-License-Identifier: BSD-2-Clause
/*
 * mm/mmzone.c - cutting the arena into nodes and zones; watermarks; zonelists
 *
 *   0      nr_table_frames
 *   | table | NORMAL 1/4 | MOVABLE 3/4 | NORMAL | MOVABLE |	nr_frames
 *           |<------- node 0 --------->|<---- node 1 ---->|
 *
 *   free frames of a zone
 *   high   ---- kswapd sleeps
 *   low    ---- kswapd is woken
 *   min    ---- others reclaim for themselves
 *   min/2  ---- __GFP_HIGH
 *   0      ---- __GFP_MEMALLOC
 *
 * A request for movable memory tries all MOVABLE zones, then leaves
 * lowmem_reserve frames to each NORMAL zone: bytes of files must not fill the
 * zones that page descriptors come from.
 *
 * Locks:   none; everything here is constant after page_alloc_init().
 * Source:  Linux mm/page_alloc.c (init_per_zone_wmark_min, build_zonelists).
 *          Differs: reserves are per zone, and scaled for arenas of megabytes.
 */
#include <errno.h>

#include "internal.h"

/* Bytes: arbitrary; below, watermarks leave little to cache in. */
#define ARENA_MIN	(8 * SZ_1M)

pg_data_t node_data[MAX_NUMNODES];
int nr_online_nodes;

struct frame *frame_table;
pfn_t nr_frames;
pfn_t nr_table_frames;

enum zonelist_kind { ZONELIST_NORMAL, ZONELIST_MOVABLE, NR_ZONELISTS };
static struct zonelist zonelists[MAX_NUMNODES][NR_ZONELISTS];

const struct zonelist *node_zonelist(int nid, gfp_t gfp)
{
	return &zonelists[nid][gfp & __GFP_MOVABLE ? ZONELIST_MOVABLE :
						     ZONELIST_NORMAL];
}

static unsigned long int_sqrt(unsigned long v)
{
	unsigned long root = 0;

	for (unsigned long bit = 1UL << 31; bit; bit >>= 1)
		if ((root + bit) * (root + bit) <= v)
			root += bit;
	return root;
}

/*
 * Linux's min_free_kbytes is 4 * sqrt(lowmem KiB), that is sqrt(KiB) frames.
 * That is for gigabytes; never more than 1/16 of the zone. Steps are at least
 * 32 frames, one batch of reclaim (SWAP_CLUSTER_MAX), or 1/32 of a small zone.
 */
static void setup_watermarks(struct zone *zone)
{
	unsigned long kib = zone->spanned << (PAGE_SHIFT - 10);
	unsigned long floor = min(int_sqrt(kib), zone->spanned / 16);
	unsigned long gap = min(32UL, zone->spanned / 32);

	gap = max(gap, floor / 4);
	zone->watermark[WMARK_MIN] = floor;
	zone->watermark[WMARK_LOW] = floor + gap;
	zone->watermark[WMARK_HIGH] = floor + 2 * gap;
	zone->lowmem_reserve = zone->type == ZONE_NORMAL ?
			       zone->spanned / 16 : 0;
}

static void zone_init(pg_data_t *pgdat, enum zone_type type, pfn_t start,
		      pfn_t end)
{
	struct zone *zone = &pgdat->zones[type];

	mutex_init(&zone->lock, LOCK_ZONE);
	zone->node = pgdat->node_id;
	zone->type = type;
	zone->start_pfn = start;
	zone->spanned = end - start;
	setup_watermarks(zone);
	free_area_init(zone);
}

static void lruvec_init(struct lruvec *lruvec)
{
	mutex_init(&lruvec->lock, LOCK_LRUVEC);
	for (int lru = 0; lru < NR_LRU_LISTS; lru++) {
		INIT_LIST_HEAD(&lruvec->lists[lru]);
		lruvec->nr[lru] = 0;
	}
}

/* @start to @end is the node's share; the first node's has the table in it. */
static void node_init(int nid, pfn_t start, pfn_t end, pfn_t align)
{
	pg_data_t *pgdat = NODE_DATA(nid);
	pfn_t movable = ALIGN_DOWN(start + (end - start) / 4, align);

	pgdat->node_id = nid;
	pgdat->kswapd = NULL;
	lruvec_init(&pgdat->lruvec);
	zone_init(pgdat, ZONE_NORMAL, max(start, nr_table_frames), movable);
	zone_init(pgdat, ZONE_MOVABLE, movable, end);
}

static void zonelist_add(struct zonelist *zl, int nid, enum zone_type type)
{
	for (int i = 0; i < nr_online_nodes; i++) {
		int n = (nid + i) % nr_online_nodes;

		zl->zones[zl->nr++] = &NODE_DATA(n)->zones[type];
	}
}

static void build_zonelists(int nid)
{
	struct zonelist *normal = &zonelists[nid][ZONELIST_NORMAL];
	struct zonelist *movable = &zonelists[nid][ZONELIST_MOVABLE];

	normal->nr = movable->nr = 0;
	zonelist_add(movable, nid, ZONE_MOVABLE);
	zonelist_add(movable, nid, ZONE_NORMAL);
	zonelist_add(normal, nid, ZONE_NORMAL);
}

/*
 * Zones begin at multiples of the largest block if they are several of those
 * long, else at multiples of 1/16 of a node or less.
 */
static void nodes_init(int nr_nodes)
{
	pfn_t share = nr_frames / (pfn_t)nr_nodes;
	unsigned int order = min_t(unsigned int, MAX_ORDER, ilog2(share / 8));
	pfn_t align = 1U << (order < MAX_ORDER ? order - 1 : order);

	for (int nid = 0; nid < nr_nodes; nid++) {
		pfn_t start = ALIGN_DOWN(share * (pfn_t)nid, align);
		pfn_t end = ALIGN_DOWN(share * (pfn_t)(nid + 1), align);

		node_init(nid, start, nid == nr_nodes - 1 ? nr_frames : end,
			  align);
	}
}

static void table_init(void)
{
	frame_table = (struct frame *)arena_base;
	nr_table_frames = (pfn_t)DIV_ROUND_UP(nr_frames * sizeof(struct frame),
					      PAGE_SIZE);
	for (pfn_t pfn = 0; pfn < nr_table_frames; pfn++)
		frame_set(pfn, FRAME_RESERVED, 0);
}

/* Return: 0, -EINVAL for a size or node count out of range, or -errno. */
int page_alloc_init(size_t bytes, int nr_nodes)
{
	int err;

	if (bytes < ARENA_MIN || bytes >> PAGE_SHIFT >= PFN_NONE ||
	    nr_nodes < 1 || nr_nodes > MAX_NUMNODES)
		return -EINVAL;
	bytes &= PAGE_MASK;
	err = arena_map(bytes);
	if (err)
		return err;
	nr_frames = (pfn_t)(bytes >> PAGE_SHIFT);
	nr_online_nodes = nr_nodes;
	table_init();
	nodes_init(nr_nodes);
	for (int nid = 0; nid < nr_nodes; nid++)
		build_zonelists(nid);
	pcp_update_high();
	arena_poison();
	arena_populate_start();
	return 0;
}

/* Context: no other thread is inside or will enter the allocator. */
void page_alloc_exit(void)
{
	arena_populate_stop();
	drain_all_frames();
	fail_page_alloc(0, false);
	arena_unpoison();
	for (int nid = 0; nid < nr_online_nodes; nid++) {
		for (int type = 0; type < MAX_NR_ZONES; type++)
			mutex_destroy(&NODE_DATA(nid)->zones[type].lock);
		mutex_destroy(&NODE_DATA(nid)->lruvec.lock);
	}
	nr_online_nodes = 0;
	nr_frames = 0;
	frame_table = NULL;
	arena_unmap();
}

struct zone *pfn_to_zone(pfn_t pfn)
{
	BUG_ON(pfn < nr_table_frames || pfn >= nr_frames);
	return zone_of(pfn);
}

pg_data_t *pfn_to_pgdat(pfn_t pfn)
{
	return NODE_DATA(pfn_to_zone(pfn)->node);
}

unsigned long nr_free_frames(void)
{
	unsigned long nr = pcp_nr_frames();
	struct zone *zone;

	for_each_zone(zone)
		nr += zone_free_frames(zone);
	return nr;
}

unsigned long totalram_frames(void)
{
	return nr_frames - nr_table_frames;
}

bool zone_watermark_ok(const struct zone *zone, unsigned int order,
		       unsigned long mark, unsigned long reserve)
{
	unsigned long nr_free = zone_free_frames(zone);

	if (nr_free < mark + reserve + (1UL << order))
		return false;
	for (unsigned int o = order; o <= MAX_ORDER; o++)
		if (READ_ONCE(zone->free_area[o].nr_free))
			return true;
	return false;
}
