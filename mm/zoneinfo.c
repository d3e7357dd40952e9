// SPDX-License-Identifier: BSD-2-Clause
/*
 * mm/zoneinfo.c - the text of buddyinfo and zoneinfo
 *
 * Locks:   none; counts are read as they are (see struct zone).
 * Source:  Linux mm/vmstat.c (frag_show_print, zoneinfo_show_print).
 *          Differs: zoneinfo has no per-CPU sets; theirs are per thread here.
 */
#include "internal.h"

static const char *const zone_names[MAX_NR_ZONES] = {
	[ZONE_NORMAL]	= "Normal",
	[ZONE_MOVABLE]	= "Movable",
};

size_t buddyinfo_show(char *buf, size_t size)
{
	struct zone *zone;
	size_t len = 0;

	for_each_zone(zone) {
		len += scnprintf(buf + len, size - len, "Node %d, zone %8s ",
				 zone->node, zone_names[zone->type]);
		for (int o = 0; o <= MAX_ORDER; o++)
			len += scnprintf(buf + len, size - len, "%6lu ",
					 READ_ONCE(zone->free_area[o].nr_free));
		len += scnprintf(buf + len, size - len, "\n");
	}
	return len;
}

/* "protection" is what a request for each type of zone must leave here. */
static size_t zone_show(const struct zone *zone, char *buf, size_t size)
{
	return scnprintf(buf, size,
			 "Node %d, zone %8s\n"
			 "  pages free     %lu\n"
			 "        min      %lu\n"
			 "        low      %lu\n"
			 "        high     %lu\n"
			 "        spanned  %lu\n"
			 "        present  %lu\n"
			 "        managed  %lu\n"
			 "        protection: (0, %lu)\n"
			 "  start_pfn:           %u\n",
			 zone->node, zone_names[zone->type],
			 zone_free_frames(zone), zone->watermark[WMARK_MIN],
			 zone->watermark[WMARK_LOW],
			 zone->watermark[WMARK_HIGH], zone->spanned,
			 zone->spanned, zone->spanned, zone->lowmem_reserve,
			 zone->start_pfn);
}

size_t zoneinfo_show(char *buf, size_t size)
{
	struct zone *zone;
	size_t len = 0;

	for_each_zone(zone)
		len += zone_show(zone, buf + len, size - len);
	return len;
}
