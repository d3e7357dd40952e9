// SPDX-License-Identifier: BSD-2-Clause
/*
 * mm/kmalloc.c - memory of any size, from caches of fixed sizes
 *
 *   size   1..16 -> kmalloc-16   ..32 -> kmalloc-32   ...   ..1024 -> kmalloc-1024
 *          larger -> a block of whole frames, its head marked MARK_KMALLOC
 *
 * kfree() is told no size: the frame table says whose the frame is, and the
 * header of its slab which cache it belongs to.
 *
 * Locks:   none of its own.
 * Source:  Linux mm/slab_common.c. Differs: no class above 1024, for its slabs
 *          would have to be blocks, which may not be had (slab.c); a frame of
 *          one's own always can.
 */
#include <errno.h>

#include "slab_def.h"
#include "vmstat.h"

static const struct {
	const char *name;
	unsigned int size;
} classes[] = {
	{ "kmalloc-16",   16   }, { "kmalloc-32",   32   },
	{ "kmalloc-64",   64   }, { "kmalloc-96",   96   },
	{ "kmalloc-128",  128  }, { "kmalloc-192",  192  },
	{ "kmalloc-256",  256  }, { "kmalloc-512",  512  },
	{ "kmalloc-1024", 1024 },
};

#define KMALLOC_ALIGN		16u
#define KMALLOC_MAX_CACHED	1024u
#define KMALLOC_MAX_SIZE	(PAGE_SIZE << MAX_ORDER)

static struct kmem_cache *kmalloc_caches[ARRAY_SIZE(classes)];
/* The class of sizes 16 * i + 1 to 16 * i + 16. */
static uint8_t size_class[KMALLOC_MAX_CACHED / KMALLOC_ALIGN];
static atomic_long kmalloc_large_blocks;

int kmalloc_init(void)
{
	unsigned int size = KMALLOC_ALIGN;

	for (unsigned int i = 0; i < ARRAY_SIZE(classes); i++) {
		kmalloc_caches[i] = __kmem_cache_create(classes[i].name,
							classes[i].size,
							KMALLOC_ALIGN,
							SLAB_KMALLOC, NULL);
		if (!kmalloc_caches[i]) {
			kmalloc_exit();
			return -ENOMEM;
		}
		for (; size <= classes[i].size; size += KMALLOC_ALIGN)
			size_class[size / KMALLOC_ALIGN - 1] = (uint8_t)i;
	}
	return 0;
}

/* What was not freed is a BUG here, as for every cache. */
void kmalloc_exit(void)
{
	BUG_ON(atomic_load(&kmalloc_large_blocks));
	for (unsigned int i = 0; i < ARRAY_SIZE(classes); i++) {
		kmem_cache_destroy(kmalloc_caches[i]);
		kmalloc_caches[i] = NULL;
	}
}

static void *kmalloc_large(size_t size, gfp_t gfp)
{
	unsigned int order = size <= PAGE_SIZE ? 0 :
			     ilog2((size - 1) >> PAGE_SHIFT) + 1;
	pfn_t pfn = alloc_frames(gfp & ~__GFP_MOVABLE, order);

	if (pfn == PFN_NONE)
		return NULL;
	pfn_to_frame(pfn)->mark = MARK_KMALLOC;
	mod_vm_stat(NR_SLAB_UNRECLAIMABLE, 1L << order);
	atomic_fetch_add_explicit(&kmalloc_large_blocks, 1,
				  memory_order_relaxed);
	return pfn_to_virt(pfn);
}

static unsigned int large_order(pfn_t pfn)
{
	return frame_get(pfn) & 0xff;
}

static void kfree_large(pfn_t pfn)
{
	unsigned int order = large_order(pfn);

	pfn_to_frame(pfn)->mark = MARK_NONE;
	mod_vm_stat(NR_SLAB_UNRECLAIMABLE, -(1L << order));
	atomic_fetch_sub_explicit(&kmalloc_large_blocks, 1,
				  memory_order_relaxed);
	free_frames(pfn, order);
}

void *kmalloc(size_t size, gfp_t gfp)
{
	struct kmem_cache *s;
	void *p;

	VM_BUG_ON(!size);
	might_alloc(gfp);
	if (unlikely(size > KMALLOC_MAX_SIZE) || should_failslab())
		return NULL;
	if (size > KMALLOC_MAX_CACHED)
		return kmalloc_large(size, gfp);
	s = kmalloc_caches[size_class[(size - 1) / KMALLOC_ALIGN]];
	p = __kmem_cache_alloc(s, gfp);
	if (likely(p))
		slab_debug_kmalloc(s, p, size);
	return p;
}

/* The cache @p came from, or NULL if it is a block of its own. */
static struct kmem_cache *kmalloc_cache_of(const void *p)
{
	unsigned int mark;
	struct slab *slab;

	BUG_ON(!in_arena(p));
	mark = pfn_to_frame(virt_to_pfn(p))->mark;
	if (mark == MARK_KMALLOC) {
		BUG_ON(!IS_ALIGNED((uintptr_t)p, PAGE_SIZE));
		return NULL;
	}
	BUG_ON(mark < MARK_SLAB || mark > MARK_SLAB + SLAB_MAX_ORDER);
	slab = (struct slab *)((uintptr_t)p &
			       ~((PAGE_SIZE << (mark - MARK_SLAB)) - 1));
	if (!(slab->cache->flags & SLAB_KMALLOC))
		slab_bug(slab->cache, p, "not from kmalloc()");
	return slab->cache;
}

void kfree(void *p)
{
	struct kmem_cache *s;

	if (!p)
		return;
	s = kmalloc_cache_of(p);
	if (s)
		kmem_cache_free(s, p);
	else
		kfree_large(virt_to_pfn(p));
}

size_t ksize(const void *p)
{
	struct kmem_cache *s = kmalloc_cache_of(p);

	if (!s)
		return PAGE_SIZE << large_order(virt_to_pfn(p));
	slab_debug_ksize(s, p);
	return s->size;
}
