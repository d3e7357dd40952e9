// SPDX-License-Identifier: BSD-2-Clause
/*
 * mm/mm_init.c - bringing the memory manager up and down
 *
 * Each layer uses the ones before it: frames, objects, tree nodes, pages,
 * lists, then the threads. Down is the same in reverse.
 */
#include <errno.h>

#include "mm.h"
#include "mmap.h"
#include "page.h"
#include "shmem_i.h"
#include "slab.h"
#include "swap.h"
#include "swapfile.h"
#include "trace.h"
#include "vmalloc.h"
#include "vmstat.h"
#include "window_i.h"
#include "workingset.h"

static int mm_threads_start(void)
{
	int err = kswapds_start();

	if (!err)
		err = pdflush_init();
	if (err)
		goto out_kswapds;
	err = window_scan_start();
	if (err)
		goto out_pdflush;
	return 0;

out_pdflush:
	pdflush_exit();
out_kswapds:
	kswapds_stop();
	return err;
}

int mm_init(const struct mm_config *config)
{
	int err;

	mm_clock_init();
	vmstat_init();
	trace_init();
	err = page_alloc_init(config->memory, config->nr_nodes);
	if (err)
		return err;
	shrinkers_init();
	err = slab_init();
	if (err)
		goto out_shrinkers;
	err = radix_tree_init();
	if (err)
		goto out_slab;
	err = page_init();
	if (err)
		goto out_radix_tree;
	err = swap_init();
	if (err)
		goto out_page;
	err = workingset_init();
	if (err)
		goto out_swap;
	err = swap_state_init();
	if (err)
		goto out_workingset;
	err = mmap_init();
	if (err)
		goto out_swap_state;
	err = config->no_threads ? 0 : mm_threads_start();
	if (err)
		goto out_mmap;
	return 0;

out_mmap:
	mmap_exit();
out_swap_state:
	swap_state_exit();
out_workingset:
	workingset_exit();
out_swap:
	swap_exit();
out_page:
	page_exit();
out_radix_tree:
	radix_tree_exit();
out_slab:
	slab_exit();
out_shrinkers:
	shrinkers_exit();
	page_alloc_exit();
	return err;
}

void mm_exit(void)
{
	window_scan_stop();
	pdflush_exit();
	kswapds_stop();
	window_io_exit();
	balloon_exit();
	mmap_exit();
	swap_state_exit();
	workingset_exit();
	swap_exit();
	page_exit();
	radix_tree_exit();
	vmalloc_exit();
	slab_exit();
	shrinkers_exit();
	page_alloc_exit();
}
