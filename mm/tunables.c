// SPDX-License-Identifier: BSD-2-Clause
/*
 * mm/tunables.c - what vm/ is set to when the daemon starts
 *
 * By itself, so that who reads one number need not have all of reclaim and
 * writeback: tests of the allocator, for one.
 */
#include "writeback.h"

struct vm_tunables vm_tunables = {
	.dirty_background_ratio = 10,		/* Linux's defaults */
	.dirty_ratio = 20,
	.dirty_expire_centisecs = 3000,
	.dirty_writeback_centisecs = 500,
	.laptop_mode = 0,
	.overcommit_memory = 0,			/* as those above */
	.overcommit_ratio = 50,
	.swappiness = 60,
};
