// SPDX-License-Identifier: BSD-2-Clause
/*
 * mm/vmalloc.c - areas whose addresses are neighbours and whose frames are not
 *
 *   arena   | . | A | . | B | C | . | . | D | . |	frames, wherever there are
 *                 \       \   \         /
 *   area          | A     | B   C   | D     | guard |	each run mapped again,
 *                                                      from the arena's memfd
 *   frame_table   A.next = B, B.next = C, C.next = D
 *
 * Nothing here compacts memory, so after a while a block of more than a few
 * frames may not be had at all (page_alloc.c); single frames always can, by
 * reclaim. The frames of an area are linked by the `next' of the frame table,
 * which is their owner's while they are allocated, in the order of the area:
 * it takes no table to know them.
 *
 * I1. A frame of an area is marked MARK_VMALLOC, is in one area, and is used by
 *     that area's addresses alone: AddressSanitizer is told so.
 * I2. NR_VMALLOC is the number of frames in vmap_area_root's areas.
 * I3. An area's last page is a guard that is not mapped. So no area's mapping is
 *     ever merged with another's, and taking one away never splits any: munmap()
 *     cannot fail for want of mappings.
 *
 * Locks:   vmap_area_lock, a leaf. Frames come, and mappings are made, before an
 *          area is in the tree, and go after it has left.
 * Source:  Linux mm/vmalloc.c. Differs: addresses are the kernel's to choose, so
 *          that there are no free ones to keep; a lazily flushed area is none.
 */
#include <stdlib.h>
#include <sys/mman.h>

#include "asan.h"
#include "internal.h"
#include "rbtree.h"
#include "slab.h"
#include "vmalloc.h"
#include "vmstat.h"
#ifdef PAGEFS_ASAN
#include <sanitizer/lsan_interface.h>
#endif

/* Frames to take at once: the most that alloc_frames_bulk() gives. */
#define VMALLOC_BULK	1024u

/* Constant while in the tree, but for the links. */
struct vmap_area {
	struct rb_node rb;	/* vmap_area_lock */
	char *addr;
	size_t size;		/* bytes that were asked for */
	unsigned long nr;	/* frames */
	pfn_t head, tail;
};

static struct rb_root vmap_area_root;	/* vmap_area_lock; by address */
static struct mutex vmap_area_lock = MUTEX_INITIALIZER(LOCK_LEAF);

static struct vmap_area *rb_area(const struct rb_node *node)
{
	return rb_entry(node, struct vmap_area, rb);
}

static size_t area_bytes(const struct vmap_area *area)
{
	return area->nr << PAGE_SHIFT;
}

/* ---- sanitizers ---- */

/* I1: not by the arena's addresses, nor past the end. */
static void area_sanitize(const struct vmap_area *area)
{
	for (pfn_t pfn = area->head; pfn != PFN_NONE;
	     pfn = pfn_to_frame(pfn)->next)
		ASAN_POISON_MEMORY_REGION(pfn_to_virt(pfn), PAGE_SIZE);
	ASAN_UNPOISON_MEMORY_REGION(area->addr, area->size);
	ASAN_POISON_MEMORY_REGION(area->addr + area->size,
				  area_bytes(area) - area->size);
#ifdef PAGEFS_ASAN
	__lsan_register_root_region(area->addr, area->size);
#endif
}

static void area_unsanitize(const struct vmap_area *area)
{
#ifdef PAGEFS_ASAN
	__lsan_unregister_root_region(area->addr, area->size);
#endif
	ASAN_UNPOISON_MEMORY_REGION(area->addr, area_bytes(area));
	for (pfn_t pfn = area->head; pfn != PFN_NONE;
	     pfn = pfn_to_frame(pfn)->next)
		ASAN_UNPOISON_MEMORY_REGION(pfn_to_virt(pfn), PAGE_SIZE);
}

/* ---- frames ---- */

static void area_add_frame(struct vmap_area *area, pfn_t pfn)
{
	struct frame *frame = pfn_to_frame(pfn);

	frame->mark = MARK_VMALLOC;
	frame->next = PFN_NONE;
	if (area->head == PFN_NONE)
		area->head = pfn;
	else
		pfn_to_frame(area->tail)->next = pfn;
	area->tail = pfn;
}

static void area_put_frames(struct vmap_area *area)
{
	pfn_t pfn = area->head, next;

	for (; pfn != PFN_NONE; pfn = next) {
		next = pfn_to_frame(pfn)->next;
		pfn_to_frame(pfn)->mark = MARK_NONE;
		free_frames(pfn, 0);
	}
}

static int compare_pfns(const void *a, const void *b)
{
	pfn_t x = *(const pfn_t *)a, y = *(const pfn_t *)b;

	return x < y ? -1 : x > y;
}

/* In rising order as far as they come together: fewer runs. False: no memory. */
static bool area_get_frames(struct vmap_area *area, gfp_t gfp)
{
	pfn_t pfns[VMALLOC_BULK];
	unsigned long left = area->nr;
	unsigned int want, got;

	do {
		want = (unsigned int)min_t(unsigned long, left, VMALLOC_BULK);
		got = alloc_frames_bulk(gfp, want, pfns);
		qsort(pfns, got, sizeof(pfns[0]), compare_pfns);
		for (unsigned int i = 0; i < got; i++)
			area_add_frame(area, pfns[i]);
		left -= got;
	} while (left && got == want);
	return !left;
}

/* ---- addresses ---- */

/* Frames from @pfn on that are neighbours in the arena, too. */
static unsigned long run_length(pfn_t pfn)
{
	unsigned long nr = 1;

	while (pfn_to_frame(pfn)->next == pfn + 1) {
		pfn++;
		nr++;
	}
	return nr;
}

static bool map_run(char *addr, pfn_t pfn, unsigned long nr)
{
	return mmap(addr, nr << PAGE_SHIFT, PROT_READ | PROT_WRITE,
		    MAP_SHARED | MAP_FIXED, arena_fd(),
		    (off_t)pfn << PAGE_SHIFT) != MAP_FAILED;
}

/* I3: with the guard. */
static void area_unmap(struct vmap_area *area)
{
	BUG_ON(munmap(area->addr, area_bytes(area) + PAGE_SIZE));
}

static bool area_map(struct vmap_area *area)
{
	pfn_t pfn = area->head;
	char *addr;

	addr = mmap(NULL, area_bytes(area) + PAGE_SIZE, PROT_NONE,
		    MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	if (addr == MAP_FAILED)
		return false;
	area->addr = addr;
	while (pfn != PFN_NONE) {
		unsigned long nr = run_length(pfn);

		if (!map_run(addr, pfn, nr)) {
			area_unmap(area);
			return false;
		}
		addr += nr << PAGE_SHIFT;
		pfn = pfn_to_frame(pfn + (pfn_t)nr - 1)->next;
	}
	return true;
}

/* ---- the tree ---- */

static void area_insert(struct vmap_area *area)
{
	struct rb_node **link = &vmap_area_root.rb_node, *parent = NULL;

	mutex_lock(&vmap_area_lock);
	while (*link) {
		parent = *link;
		link = area->addr < rb_area(parent)->addr ? &parent->rb_left :
							    &parent->rb_right;
	}
	rb_link_node(&area->rb, parent, link);
	rb_insert_color(&area->rb, &vmap_area_root);
	mod_vm_stat(NR_VMALLOC, (long)area->nr);		/* I2 */
	mutex_unlock(&vmap_area_lock);
}

/* The area that begins at @addr, no longer in the tree. */
static struct vmap_area *area_remove(const char *addr)
{
	struct rb_node *node;

	mutex_lock(&vmap_area_lock);
	node = vmap_area_root.rb_node;
	while (node && rb_area(node)->addr != addr)
		node = addr < rb_area(node)->addr ? node->rb_left :
						    node->rb_right;
	BUG_ON(!node);
	rb_erase(node, &vmap_area_root);
	mod_vm_stat(NR_VMALLOC, -(long)rb_area(node)->nr);
	mutex_unlock(&vmap_area_lock);
	return rb_area(node);
}

static void *__vmalloc(size_t size, gfp_t gfp)
{
	struct vmap_area *area;

	VM_BUG_ON(!size);
	/* More than there can be is not worth emptying the cache for. */
	if (size > totalram_frames() << PAGE_SHIFT)
		return NULL;
	area = kmalloc(sizeof(*area), GFP_KERNEL);
	if (!area)
		return NULL;
	area->size = size;
	area->nr = DIV_ROUND_UP(size, PAGE_SIZE);
	area->head = area->tail = PFN_NONE;
	if (!area_get_frames(area, gfp) || !area_map(area))
		goto out_frames;
	area_sanitize(area);
	area_insert(area);
	return area->addr;

out_frames:
	area_put_frames(area);
	kfree(area);
	return NULL;
}

void *vmalloc(size_t size)
{
	return __vmalloc(size, GFP_KERNEL);
}

void *vzalloc(size_t size)
{
	return __vmalloc(size, GFP_KERNEL | __GFP_ZERO);
}

void vfree(const void *addr)
{
	struct vmap_area *area;

	if (!addr)
		return;
	area = area_remove(addr);
	area_unsanitize(area);
	area_unmap(area);
	area_put_frames(area);
	kfree(area);
}

static void check_area(const struct vmap_area *area)
{
	unsigned long nr = 0;
	pfn_t last = PFN_NONE;

	BUG_ON(area->nr != DIV_ROUND_UP(area->size, PAGE_SIZE));
	for (pfn_t pfn = area->head; pfn != PFN_NONE;
	     pfn = pfn_to_frame(pfn)->next) {
		BUG_ON(frame_get(pfn) != frame_word(FRAME_ALLOC, 0));
		BUG_ON(pfn_to_frame(pfn)->mark != MARK_VMALLOC);	/* I1 */
		BUG_ON(++nr > area->nr);		/* also ends a cycle */
		last = pfn;
	}
	BUG_ON(nr != area->nr || last != area->tail);
}

void vmalloc_check(void)
{
	const char *end = NULL;
	unsigned long nr = 0;

	mutex_lock(&vmap_area_lock);
	rb_check(&vmap_area_root);
	for (struct rb_node *n = rb_first(&vmap_area_root); n; n = rb_next(n)) {
		const struct vmap_area *area = rb_area(n);

		BUG_ON(end && area->addr < end);
		check_area(area);
		end = area->addr + area_bytes(area) + PAGE_SIZE;
		nr += area->nr;
	}
	BUG_ON(nr != vm_stat_read(NR_VMALLOC));				/* I2 */
	mutex_unlock(&vmap_area_lock);
}

void vmalloc_exit(void)
{
	BUG_ON(!RB_EMPTY_ROOT(&vmap_area_root));
}
