/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * slab.h - small objects out of arena frames: mm/slab.c
 *
 * Everything mm/ and fs/ allocate comes from here, so that metadata counts
 * against --memory like data does. Only what a library allocates for itself
 * (libfuse's buffers, liburcu's threads) is outside.
 *
 * Source: Bonwick, "The Slab Allocator" (1994) and "Magazines and Vmem"
 *         (2001); Linux include/linux/slab.h for the interface.
 */
#ifndef PAGEFS_SLAB_H
#define PAGEFS_SLAB_H

#include "gfp.h"

struct kmem_cache;

#define SLAB_HWCACHE_ALIGN	0x1u	/* objects start on 64-byte lines */
/*
 * An object's memory stays an object of this cache until a grace period has
 * passed, though it may be reused at once as another object. Such a cache is
 * not poisoned, and its constructor's state survives free.
 */
#define SLAB_TYPESAFE_BY_RCU	0x2u
#define SLAB_RECLAIM_ACCOUNT	0x4u	/* shrinkable: counted as SReclaimable */

/**
 * kmem_cache_create - a cache of objects of one size
 * @name:  shown in slabinfo; must outlive the cache
 * @size:  bytes, 8 to 8192
 * @align: bytes, a power of two up to 64, or 0 for 8
 * @flags: SLAB_*
 * @ctor:  NULL, or brings fresh memory into the state that objects have when
 *         they are handed out *and when they are freed*; run once per object
 *         when its slab is made (and again in debug builds after poisoning)
 *
 * Context: may sleep. Return: the cache, or NULL when out of memory or of
 *          cache numbers (64).
 */
struct kmem_cache *kmem_cache_create(const char *name, size_t size, size_t align,
				     unsigned int flags, void (*ctor)(void *));

/**
 * kmem_cache_destroy - release a cache with all its slabs; NULL is ignored
 * Objects still allocated are a BUG that names the cache and their number.
 */
void kmem_cache_destroy(struct kmem_cache *s);

/**
 * kmem_cache_alloc - take one object
 * @gfp: GFP_KERNEL, GFP_NOWAIT or GFP_ATOMIC, perhaps with __GFP_ZERO (not for
 *       a cache with a constructor)
 *
 * Context: as alloc_frames(). Return: the object, or NULL when out of memory.
 */
void *kmem_cache_alloc(struct kmem_cache *s, gfp_t gfp);

/* Takes up to @nr objects into @objs; returns how many. As kmem_cache_alloc. */
unsigned int kmem_cache_alloc_bulk(struct kmem_cache *s, gfp_t gfp,
				   unsigned int nr, void **objs);

/* Gives @obj back; NULL is ignored. Never sleeps. A foreign object is a BUG. */
void kmem_cache_free(struct kmem_cache *s, void *obj);

/* Empty slabs go back to the buddy allocator. Returns frames freed. */
unsigned long kmem_cache_shrink(struct kmem_cache *s);
/* The same for every cache, after draining every thread's free lists. */
unsigned long kmem_cache_shrink_all(void);

/* Objects handed out and not given back; frames in slabs. For tests, shrinkers. */
unsigned long kmem_cache_active(struct kmem_cache *s);
unsigned long kmem_cache_frames(struct kmem_cache *s);

/**
 * kmalloc - @size bytes, 16-byte aligned; page aligned above 1 KiB
 * @size: 1 byte to 4 MiB; above 1 KiB whole blocks come straight from
 *        alloc_frames()
 * Context: as alloc_frames(). Return: the memory, or NULL.
 */
void *kmalloc(size_t size, gfp_t gfp);
static inline void *kzalloc(size_t size, gfp_t gfp)
{
	return kmalloc(size, gfp | __GFP_ZERO);
}
/* @p from kmalloc(), or NULL. */
void kfree(void *p);
/* Bytes usable at @p, at least what was asked for. */
size_t ksize(const void *p);

/* Walks every slab: counts, red zones, free lists. BUGs on a fault. */
void slab_check(void);

/* /proc/slabinfo's text (version 2.1) into @buf; returns its length. */
size_t slabinfo_show(char *buf, size_t size);

int slab_init(void);
void slab_exit(void);

/* Error injection for tests, as fail_page_alloc(). */
void failslab(unsigned long nth, bool sticky);

#endif /* PAGEFS_SLAB_H */
