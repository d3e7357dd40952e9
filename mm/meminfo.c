// SPDX-License-Identifier: BSD-2-Clause
/*
 * mm/meminfo.c - the text of meminfo and swaps
 *
 * Locks:   none; counts are read as they are.
 * Source:  Linux fs/proc/meminfo.c, mm/page_alloc.c (si_mem_available),
 *          mm/swapfile.c (swap_show): names,
 *          order and units. What can only be 0 here has a line if free(1),
 *          vmstat(8) and their kind look for it.
 */
#include <string.h>

#include "internal.h"
#include "shmem.h"
#include "swapfile.h"
#include "vmstat.h"

unsigned long lru_pages(enum lru_list lru)
{
	unsigned long nr = 0;

	for (int nid = 0; nid < nr_online_nodes; nid++)
		nr += READ_ONCE(NODE_DATA(nid)->lruvec.nr[lru]);
	return nr;
}

static unsigned long low_watermarks(void)
{
	unsigned long frames = 0;
	struct zone *zone;

	for_each_zone(zone)
		frames += zone->watermark[WMARK_LOW];
	return frames;
}

/*
 * Frames that could be had without waiting for the disk: what is free above the
 * watermarks, and of clean pages and inodes all but what has to stay.
 */
unsigned long mem_available(void)
{
	unsigned long low = low_watermarks(), free = nr_free_frames();
	unsigned long cache = vm_stat_read(NR_FILE_PAGES);
	unsigned long slab = vm_stat_read(NR_SLAB_RECLAIMABLE);
	unsigned long busy = vm_stat_read(NR_FILE_DIRTY) +
		vm_stat_read(NR_WRITEBACK);

	free -= min(free, low);
	cache -= min(cache, busy);
	cache -= min(cache / 2, low);
	slab -= min(slab / 2, low);
	return free + cache + slab;
}

size_t meminfo_show(char *buf, size_t size)
{
	unsigned long reclaimable = vm_stat_read(NR_SLAB_RECLAIMABLE);
	unsigned long unreclaimable = vm_stat_read(NR_SLAB_UNRECLAIMABLE);
	unsigned long active = lru_pages(LRU_ACTIVE_FILE);
	unsigned long inactive = lru_pages(LRU_INACTIVE_FILE);
	unsigned long active_anon = lru_pages(LRU_ACTIVE_ANON);
	unsigned long inactive_anon = lru_pages(LRU_INACTIVE_ANON);
	const struct {
		const char *name;
		unsigned long frames;
	} lines[] = {
		{ "MemTotal:",		arena_bytes() >> PAGE_SHIFT },
		{ "MemFree:",		nr_free_frames() },
		{ "MemAvailable:",	mem_available() },
		{ "Buffers:",		0 },
		{ "Cached:",		vm_stat_read(NR_FILE_PAGES) },
		{ "SwapCached:",	vm_stat_read(NR_SWAPCACHE) },
		{ "Active:",		active + active_anon },
		{ "Inactive:",		inactive + inactive_anon },
		{ "Active(anon):",	active_anon },
		{ "Inactive(anon):",	inactive_anon },
		{ "Active(file):",	active },
		{ "Inactive(file):",	inactive },
		{ "SwapTotal:",		total_swap_pages() },
		{ "SwapFree:",		nr_swap_pages() },
		{ "Dirty:",		vm_stat_read(NR_FILE_DIRTY) },
		{ "Writeback:",		vm_stat_read(NR_WRITEBACK) },
		{ "AnonPages:",		vm_stat_read(NR_ANON_PAGES) },
		{ "Mapped:",		vm_stat_read(NR_WINDOW_PAGES) },
		{ "Shmem:",		0 },
		{ "KReclaimable:",	reclaimable },
		{ "Slab:",		reclaimable + unreclaimable },
		{ "SReclaimable:",	reclaimable },
		{ "SUnreclaim:",	unreclaimable },
		{ "PageTables:",	vm_stat_read(NR_PAGETABLE) },
		{ "WritebackTmp:",	0 },
		{ "CommitLimit:",	vm_commit_limit() },
		{ "Committed_AS:",	vm_committed_as() },
		{ "VmallocUsed:",	vm_stat_read(NR_VMALLOC) },
		{ "Balloon:",		vm_stat_read(NR_BALLOON) },
	};
	size_t len = 0;

	for (size_t i = 0; i < ARRAY_SIZE(lines); i++)
		len += scnprintf(buf + len, size - len, "%-15s %8lu kB\n",
				 lines[i].name,
				 lines[i].frames << (PAGE_SHIFT - 10));
	return len;
}

/* As seq_escape() with these: what would end a field, or a line. */
static size_t show_path(char *buf, size_t size, const char *path)
{
	size_t len = 0;

	for (; *path; path++) {
		if (strchr(" \t\n\\", *path))
			len += scnprintf(buf + len, size - len, "\\%03o",
					 (unsigned char)*path);
		else
			len += scnprintf(buf + len, size - len, "%c", *path);
	}
	return len;
}

static size_t show_area(char *buf, size_t size, const struct swap_area_info *info)
{
	unsigned long kib = info->nr_slots << (PAGE_SHIFT - 10);
	unsigned long used = info->nr_used << (PAGE_SHIFT - 10);
	size_t len = show_path(buf, size, info->path);

	return len + scnprintf(buf + len, size - len,
			       "%*s%s\t%lu\t%s%lu\t%s%d\n",
			       len < 40 ? 40 - (int)len : 1, " ",
			       info->is_file ? "file\t" : "partition",
			       kib, kib < 10000000 ? "\t" : "",
			       used, used < 10000000 ? "\t" : "", info->prio);
}

size_t swaps_show(char *buf, size_t size)
{
	struct swap_area_info info;
	size_t len;

	len = scnprintf(buf, size,
			"Filename\t\t\t\tType\t\tSize\t\tUsed\t\tPriority\n");
	for (unsigned int i = 0; swap_area_info(i, &info); i++)
		len += show_area(buf + len, size - len, &info);
	return len;
}
