// SPDX-License-Identifier: BSD-2-Clause
/*
 * mm/fadvise.c - what is said of a whole file
 *
 *   NORMAL, RANDOM, SEQUENTIAL, NOREUSE   kept in mapping->advice: looked at by
 *                                         readahead.c, fault_around.c, filemap.c
 *   WILLNEED                              the page cache reads ahead
 *   DONTNEED                              clean pages go; those that clients have
 *                                         are the next to leave the window
 *
 * A policy stays until another is set, or the mapping goes. A client's advice
 * about a mapping of its own (madvise.c) is stronger where it says something.
 *
 * I1. As with madvise: no more is read ahead than half of memory, or its end
 *     would push out its beginning, and all else.
 *
 * Locks:  those of reading ahead and of invalidate_mapping_pages().
 * Source: Linux mm/fadvise.c (generic_fadvise). Differs: a policy is the file's,
 *         not the descriptor's; DONTNEED does not start to write.
 */
#include "mmzone.h"
#include "page.h"
#include "window.h"

static void set_policy(struct address_space *mapping, unsigned int clear,
		       unsigned int set)
{
	unsigned int old = atomic_load(&mapping->advice);

	while (!atomic_compare_exchange_weak(&mapping->advice, &old,
					     (old & ~clear) | set))
		;
}

static unsigned long read_in(struct address_space *mapping)
{
	pgoff_t nr = DIV_ROUND_UP(i_size_read(mapping), (loff_t)PAGE_SIZE);

	nr = min_t(pgoff_t, nr, totalram_frames() / 2);		/* I1 */
	force_page_cache_readahead(mapping, 0, nr);
	return READ_ONCE(mapping->nrpages);
}

unsigned long mapping_fadvise(struct address_space *mapping,
			      enum fadvise advice)
{
	switch (advice) {
	case FADV_NORMAL:
		set_policy(mapping, AS_RANDOM | AS_SEQUENTIAL | AS_NOREUSE, 0);
		return 0;
	case FADV_RANDOM:
		set_policy(mapping, AS_SEQUENTIAL, AS_RANDOM);
		return 0;
	case FADV_SEQUENTIAL:
		set_policy(mapping, AS_RANDOM, AS_SEQUENTIAL);
		return 0;
	case FADV_NOREUSE:
		set_policy(mapping, 0, AS_NOREUSE);
		return 0;
	case FADV_WILLNEED:
		return read_in(mapping);
	case FADV_DONTNEED:
		window_deactivate_range(mapping, 0, (pgoff_t)-1);
		return invalidate_mapping_pages(mapping, 0, (pgoff_t)-1);
	case NR_FADVISE:
		break;
	}
	return 0;
}

const char *mapping_advice_name(const struct address_space *mapping)
{
	static const char *const names[] = {
		[0] = "normal",
		[AS_RANDOM] = "random",
		[AS_SEQUENTIAL] = "sequential",
		[AS_NOREUSE] = "noreuse",
		[AS_RANDOM | AS_NOREUSE] = "random,noreuse",
		[AS_SEQUENTIAL | AS_NOREUSE] = "sequential,noreuse",
	};
	unsigned int advice = atomic_load(&mapping->advice);

	BUG_ON(advice >= ARRAY_SIZE(names) || !names[advice]);
	return names[advice];
}
