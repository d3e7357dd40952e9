/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * vmalloc.h - large tables, of frames that need not be neighbours: mm/vmalloc.c
 *
 * For what is made once and is larger than a frame, where kmalloc() would want
 * a block of frames that may not be there. Counts against --memory as
 * everything does.
 *
 * Source: Linux include/linux/vmalloc.h.
 */
#ifndef PAGEFS_VMALLOC_H
#define PAGEFS_VMALLOC_H

#include "compiler.h"

/**
 * vmalloc - @size bytes, page aligned
 * @size: bytes, > 0
 *
 * Each run of frames costs the process a mapping, of which the kernel allows
 * vm.max_map_count: not for small things.
 * Context: as alloc_frames(GFP_KERNEL). Return: the memory; NULL when there are
 *          not so many frames, or no mappings.
 */
void *vmalloc(size_t size);
void *vzalloc(size_t size);		/* of zeros */

/*
 * @addr from vmalloc(), or NULL; anything else is a BUG. Context: any locks but
 * leaves; does not wait for memory.
 */
void vfree(const void *addr);

/* BUGs unless areas, frames and NR_VMALLOC agree. Context: no leaf lock. */
void vmalloc_check(void);

/* By mm_exit(): an area still there is a BUG. */
void vmalloc_exit(void);

#endif /* PAGEFS_VMALLOC_H */
