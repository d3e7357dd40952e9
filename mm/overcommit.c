// SPDX-License-Identifier: BSD-2-Clause
/*
 * mm/overcommit.c - how much memory may be promised
 *
 * What is mapped privately, and what regions have, was promised (COMMITTED_AS):
 * it may all be stored to, and then has to be in memory or in swap.
 *
 * Source: Linux mm/util.c (__vm_enough_memory), whose three policies these are.
 */
#include <errno.h>

#include "internal.h"
#include "shmem.h"
#include "vma.h"
#include "vmstat.h"
#include "writeback.h"

unsigned long vm_committed_as(void)
{
	return vm_stat_read(COMMITTED_AS);
}

unsigned long vm_commit_limit(void)
{
	return totalram_frames() *
		atomic_load(&vm_tunables.overcommit_ratio) / 100 +
		total_swap_pages();
}

int vm_enough_memory(unsigned long nr)
{
	switch (atomic_load(&vm_tunables.overcommit_memory)) {
	case OVERCOMMIT_ALWAYS:
		return 0;
	case OVERCOMMIT_GUESS:
		return nr > totalram_frames() + total_swap_pages() ? -ENOMEM : 0;
	default:
		return vm_committed_as() + nr > vm_commit_limit() ? -ENOMEM : 0;
	}
}
