// SPDX-License-Identifier: BSD-2-Clause
/*
 * tests/mm/no_reclaim.c - in place of mm/vmscan.c, for tests of what is below it
 *
 * These are the two functions that the allocator calls there; with them in the
 * program the linker leaves that object in libmm.a.
 */
#include "internal.h"

unsigned long try_to_free_pages(gfp_t gfp, unsigned int order,
				enum zone_type highest)
{
	(void)gfp, (void)order, (void)highest;
	return 0;
}

void wakeup_kswapd(pg_data_t *pgdat)
{
	(void)pgdat;
}
