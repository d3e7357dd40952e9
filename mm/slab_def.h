/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * mm/slab_def.h - what a cache, a slab and a magazine look like
 *
 *   slab: a block of 2^order frames, so its header is found by masking
 *   | struct slab | free bitmap | obj 0 | obj 1 | ... | obj nr-1 | unused |
 *   ^ aligned to PAGE_SIZE << order       |
 *                                         v  one stride
 *                           release: | object                | pad |
 *                           debug:   | left | object | right | pad |
 *
 * The bitmap stands for a free list: nothing is written into free objects, so
 * constructed state and what RCU readers look at survive, and freeing twice is
 * seen at once.
 */
#ifndef PAGEFS_SLAB_DEF_H
#define PAGEFS_SLAB_DEF_H

#include "internal.h"
#include "rcu.h"
#include "slab.h"

#define MAX_CACHES	64
#define SLAB_MAX_ORDER	3
#define SLAB_MAGIC	0x51ab51abu

/* Private flags, beside SLAB_* of slab.h. */
#define SLAB_NO_MAGAZINE	0x100u	/* the cache magazines come from */
#define SLAB_KMALLOC		0x200u

/*
 * Fields: (C) constant; (S) kmem_cache->lock.
 */
struct slab {
	uint32_t magic;			/* (C) SLAB_MAGIC */
	uint16_t inuse;			/* (S) objects out, magazines included */
	uint16_t order;			/* (C) */
	struct kmem_cache *cache;	/* (C) */
	union {
		struct list_head list;	/* (S) partial, full or empty */
		struct rcu_head rcu;	/* once off the lists */
	};
	unsigned long free[];		/* (S) a bit per object: in the slab */
};

/*
 * Fields: (C) constant while the cache exists; (S) lock; (H) slab_chain_lock.
 */
struct kmem_cache {
	struct mutex lock;
	struct list_head partial;	/* (S) some objects out */
	struct list_head full;		/* (S) all out */
	struct list_head empty;		/* (S) none out; at most SLAB_MAX_EMPTY */
	unsigned long nr_slabs;		/* (S) on the three lists */
	unsigned long nr_empty;		/* (S) */
	unsigned long inuse;		/* (S) sum of slab->inuse */

	const char *name;		/* (C) */
	void (*ctor)(void *);		/* (C) */
	unsigned int id;		/* (C) index of the magazine in a thread */
	unsigned int flags;		/* (C) SLAB_* */
	unsigned int size;		/* (C) bytes asked for */
	unsigned int stride;		/* (C) bytes from object to object */
	unsigned int left;		/* (C) bytes of red zone before an object */
	unsigned int first;		/* (C) bytes from the slab to object 0 */
	unsigned int order;		/* (C) */
	unsigned int nr_objs;		/* (C) per slab */
	unsigned int recip;		/* (C) 2^32 / stride, rounded up */
	unsigned int capacity;		/* (C) of a magazine */
	bool used;			/* (H) */
} __cacheline_aligned;

#define MAGAZINE_MAX	32		/* objects */

/* Fields: (C) constant; (M) lock. */
struct magazine {
	struct mutex lock;
	unsigned int count;		/* (M) also read without, as an estimate */
	void *objs[MAGAZINE_MAX];	/* (M) the last is taken first */
};

extern struct kmem_cache kmem_caches[MAX_CACHES];
extern struct mutex slab_chain_lock;

static inline struct slab *obj_to_slab(const struct kmem_cache *s,
				       const void *obj)
{
	return (struct slab *)((uintptr_t)obj & ~((PAGE_SIZE << s->order) - 1));
}

static inline void *slab_obj(const struct slab *slab, unsigned int i)
{
	const struct kmem_cache *s = slab->cache;

	return (char *)slab + s->first + (size_t)i * s->stride;
}

/* Exact for all distances within a slab: they are below 2^15. */
static inline unsigned int obj_index(const struct kmem_cache *s,
				     const struct slab *slab, const void *obj)
{
	unsigned int dist = (unsigned int)((const char *)obj -
					   (const char *)slab) - s->first;

	return (unsigned int)((uint64_t)dist * s->recip >> 32);
}

static inline bool slab_obj_is_free(const struct slab *slab, unsigned int i)
{
	return slab->free[i / BITS_PER_LONG] >> (i % BITS_PER_LONG) & 1;
}

/* Aborts, naming the cache and the object. */
void slab_bug(const struct kmem_cache *s, const void *obj, const char *what)
	__cold __noreturn;

/* slab.c */
struct kmem_cache *__kmem_cache_create(const char *name, size_t size,
				       size_t align, unsigned int flags,
				       void (*ctor)(void *));
void *__kmem_cache_alloc(struct kmem_cache *s, gfp_t gfp);
unsigned int slab_take(struct kmem_cache *s, unsigned int nr, void **objs);
unsigned long slab_put(struct kmem_cache *s, unsigned int nr, void **objs);
bool should_failslab(void);

/* magazine.c */
void *magazine_take(struct kmem_cache *s);
unsigned int magazine_take_bulk(struct kmem_cache *s, unsigned int nr,
				void **objs);
bool magazine_put(struct kmem_cache *s, void *obj);
unsigned long magazines_drain(struct kmem_cache *s);
void magazines_destroy(struct kmem_cache *s);
unsigned long magazines_count(const struct kmem_cache *s);
int magazines_init(void);
void magazines_exit(void);

/* kmalloc.c */
int kmalloc_init(void);
void kmalloc_exit(void);

/* slab_debug.c */
#if defined(PAGEFS_DEBUG) || defined(PAGEFS_ASAN)
/* Bytes of red zone a stride has on either side of the object. */
unsigned int slab_debug_left(size_t align);
unsigned int slab_debug_right(void);
void slab_debug_new(const struct kmem_cache *s, void *obj);
/* The slab's frames are about to become just frames again. */
void slab_debug_release(const struct slab *slab);
void slab_debug_alloc(const struct kmem_cache *s, void *obj);
void slab_debug_free(const struct kmem_cache *s, void *obj);
void slab_debug_check(const struct kmem_cache *s, void *obj, bool in_slab);
/* Only the first @size bytes of @obj were asked for. */
void slab_debug_kmalloc(const struct kmem_cache *s, void *obj, size_t size);
void slab_debug_ksize(const struct kmem_cache *s, const void *obj);
#else
static inline unsigned int slab_debug_left(size_t align)
{
	(void)align;
	return 0;
}
static inline unsigned int slab_debug_right(void)
{
	return 0;
}
static inline void slab_debug_new(const struct kmem_cache *s, void *obj)
{
	if (s->ctor)
		s->ctor(obj);
}
static inline void slab_debug_release(const struct slab *slab)
{
	(void)slab;
}
static inline void slab_debug_alloc(const struct kmem_cache *s, void *obj)
{
	(void)s, (void)obj;
}
static inline void slab_debug_free(const struct kmem_cache *s, void *obj)
{
	(void)s, (void)obj;
}
static inline void slab_debug_check(const struct kmem_cache *s, void *obj,
				    bool in_slab)
{
	(void)s, (void)obj, (void)in_slab;
}
static inline void slab_debug_kmalloc(const struct kmem_cache *s, void *obj,
				      size_t size)
{
	(void)s, (void)obj, (void)size;
}
static inline void slab_debug_ksize(const struct kmem_cache *s, const void *obj)
{
	(void)s, (void)obj;
}
#endif

#endif /* PAGEFS_SLAB_DEF_H */
