// SPDX-License-Identifier: BSD-2-Clause
/*
 * mm/page_poison.c - debug: free frames hold a pattern, and keep it
 *
 *   free_frames():  bytes = FRAME_POISON, mark = MARK_POISONED
 *   alloc_frames(): a marked frame that holds anything else was written to
 *                   after it was freed: BUG
 *
 * The mark is per frame because blocks merge and split while free, and frames
 * never freed yet hold the zeros of a new memfd. Under AddressSanitizer free
 * frames are unaddressable as well, so that the write itself is reported; this
 * check finds what it cannot see, the kernel's and a device's writes.
 *
 * Locks:   none; the frames are the caller's alone.
 * Source:  Linux mm/page_poison.c (PAGE_POISON is 0xaa there as well).
 */
#include <string.h>

#include "asan.h"
#include "internal.h"

#if defined(PAGEFS_DEBUG) || defined(PAGEFS_ASAN)

#ifdef PAGEFS_DEBUG
#define FRAME_POISON	0xaa

static void fill(pfn_t pfn)
{
	memset(pfn_to_virt(pfn), FRAME_POISON, PAGE_SIZE);
	pfn_to_frame(pfn)->mark = MARK_POISONED;
}

static void verify(pfn_t pfn)
{
	const unsigned char *p = pfn_to_virt(pfn);

	if (pfn_to_frame(pfn)->mark != MARK_POISONED)
		return;
	/* All bytes are equal if each equals the next. */
	if (p[0] != FRAME_POISON || memcmp(p, p + 1, PAGE_SIZE - 1))
		__bug(__FILE__, __LINE__, __func__,
		      "free frame was written to (poison 0xaa is gone)");
	pfn_to_frame(pfn)->mark = MARK_NONE;
}
#else
static void fill(pfn_t pfn)
{
	(void)pfn;
}

static void verify(pfn_t pfn)
{
	(void)pfn;
}
#endif

void frames_poison(pfn_t pfn, unsigned int order)
{
	for (pfn_t i = 0; i < 1U << order; i++)
		fill(pfn + i);
	ASAN_POISON_MEMORY_REGION(pfn_to_virt(pfn), PAGE_SIZE << order);
}

void frames_unpoison(pfn_t pfn, unsigned int order)
{
	ASAN_UNPOISON_MEMORY_REGION(pfn_to_virt(pfn), PAGE_SIZE << order);
	for (pfn_t i = 0; i < 1U << order; i++)
		verify(pfn + i);
}

#endif /* PAGEFS_DEBUG || PAGEFS_ASAN */
