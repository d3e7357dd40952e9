// SPDX-License-Identifier: BSD-2-Clause
/*
 * mm/slab.c - caches of equal objects, cut from blocks of frames
 *
 *   kmem_cache_alloc()                         kmem_cache_free()
 *        | ^                                        |
 *        | +---- magazine of this thread <----------+	magazine.c
 *        |          ^ slab_take()    | slab_put()	half a magazine
 *        |          |                v
 *        |   partial [ slab slab ]  full [ slab ]  empty [ slab ]
 *        v          ^                                  |
 *   slab_grow() ----+ alloc_frames()                   v free_frames()
 *
 * A slab moves between the lists in slab_take() and slab_put() only:
 *   empty -> partial -> full      slab_take
 *   full -> partial -> empty      slab_put
 *   empty -> gone                 slab_put beyond SLAB_MAX_EMPTY, shrink
 *   gone, typesafe                freed by slab_free_rcu() after a grace period
 *
 * I1. slab->inuse + the number of set bits in slab->free = nr_objs.
 * I2. A slab is on partial, full or empty as its inuse says.
 * I3. Objects in magazines count as in use here; slab.h's kmem_cache_active()
 *     subtracts them.
 *
 * Locks:   slab_chain_lock (LOCK_SLAB_CHAIN): which caches and threads exist;
 *          magazine->lock; kmem_cache->lock (LOCK_SLAB): lists and slabs.
 *          Frames are taken with none of them held, and may be given back under
 *          any of them.
 * Source:  Bonwick 1994, 2001; Linux mm/slab.c for the interface. Differs: free
 *          objects are bits in the header; no colouring; no depot of magazines,
 *          half of one goes to or comes from the slabs.
 */
#include <stdio.h>
#include <string.h>

#include "slab_def.h"
#include "vmstat.h"

/* Slabs kept though empty, per cache: alloc and free at a border stay cheap. */
#define SLAB_MAX_EMPTY	1

struct kmem_cache kmem_caches[MAX_CACHES];
struct mutex slab_chain_lock = MUTEX_INITIALIZER(LOCK_SLAB_CHAIN);

static struct fault_attr failslab_attr;
static atomic_ulong nr_rcu_slabs;	/* slab_free_rcu() still to come */

void failslab(unsigned long nth, bool sticky)
{
	fault_attr_set(&failslab_attr, nth, sticky);
}

bool should_failslab(void)
{
	return should_fail(&failslab_attr);
}

void slab_bug(const struct kmem_cache *s, const void *obj, const char *what)
{
	char text[160];

	snprintf(text, sizeof(text), "cache %s, object %p: %s", s->name, obj,
		 what);
	__bug(__FILE__, __LINE__, __func__, text);
}

static enum vm_stat_item slab_stat(const struct kmem_cache *s)
{
	return s->flags & SLAB_RECLAIM_ACCOUNT ? NR_SLAB_RECLAIMABLE :
						 NR_SLAB_UNRECLAIMABLE;
}

static void slab_set_mark(struct slab *slab, unsigned int order, uint8_t mark)
{
	pfn_t pfn = virt_to_pfn(slab);

	for (pfn_t i = 0; i < 1U << order; i++)
		pfn_to_frame(pfn + i)->mark = mark;
}

static void slab_release(struct slab *slab)
{
	unsigned int order = slab->order;

	slab_debug_release(slab);
	slab->magic = 0;
	slab_set_mark(slab, order, MARK_NONE);
	free_frames(virt_to_pfn(slab), order);
}

static void slab_free_rcu(struct rcu_head *head)
{
	rcu_tsan_gp_done();
	slab_release(container_of(head, struct slab, rcu));
	atomic_fetch_sub(&nr_rcu_slabs, 1);
}

/*
 * An empty slab, off its list, goes back to the buddy allocator, at once or
 * when the readers that may look at its objects are gone.
 * Return: frames freed. Context: any lock may be held.
 */
static unsigned long slab_discard(struct kmem_cache *s, struct slab *slab)
{
	mod_vm_stat(slab_stat(s), -(1L << s->order));
	if (s->flags & SLAB_TYPESAFE_BY_RCU) {
		atomic_fetch_add(&nr_rcu_slabs, 1);
		mm_call_rcu(&slab->rcu, slab_free_rcu);
	} else {
		slab_release(slab);
	}
	return 1UL << s->order;
}

static unsigned long slab_discard_list(struct kmem_cache *s,
				       struct list_head *list)
{
	struct slab *slab, *next;
	unsigned long frames = 0;

	list_for_each_entry_safe(slab, next, list, list)
		frames += slab_discard(s, slab);
	return frames;
}

/* Up to @nr objects of @slab. Context: caller holds s->lock. */
static unsigned int slab_take_some(struct slab *slab, unsigned int nr,
				   void **objs)
{
	unsigned int got = 0;

	for (unsigned int w = 0; got < nr && got < slab->cache->nr_objs; w++) {
		unsigned int base = w * BITS_PER_LONG;

		if (base >= slab->cache->nr_objs)
			break;
		while (slab->free[w] && got < nr) {
			unsigned int bit = (unsigned int)
				__builtin_ctzl(slab->free[w]);

			slab->free[w] &= slab->free[w] - 1;
			objs[got++] = slab_obj(slab, base + bit);
		}
	}
	slab->inuse = (uint16_t)(slab->inuse + got);
	return got;
}

/* Partial slabs first, so that empty ones can go. */
static struct slab *slab_first(struct kmem_cache *s)
{
	if (!list_empty(&s->partial))
		return list_first_entry(&s->partial, struct slab, list);
	if (list_empty(&s->empty))
		return NULL;
	s->nr_empty--;
	return list_first_entry(&s->empty, struct slab, list);
}

/* Takes up to @nr objects from existing slabs; returns how many. */
unsigned int slab_take(struct kmem_cache *s, unsigned int nr, void **objs)
{
	unsigned int got = 0;
	struct slab *slab;

	mutex_lock(&s->lock);
	while (got < nr && (slab = slab_first(s))) {
		got += slab_take_some(slab, nr - got, objs + got);
		list_move(&slab->list, slab->inuse == s->nr_objs ? &s->full :
								   &s->partial);
	}
	s->inuse += got;
	mutex_unlock(&s->lock);
	return got;
}

/* Marks @obj free in its slab. Context: caller holds s->lock. */
static struct slab *slab_put_one(struct kmem_cache *s, void *obj)
{
	struct slab *slab = obj_to_slab(s, obj);
	unsigned int i = obj_index(s, slab, obj);
	unsigned long bit = 1UL << (i % BITS_PER_LONG);

	if (unlikely(i >= s->nr_objs || slab_obj(slab, i) != obj))
		slab_bug(s, obj, "not the start of an object");
	if (unlikely(slab->free[i / BITS_PER_LONG] & bit))
		slab_bug(s, obj, "freed twice");
	slab->free[i / BITS_PER_LONG] |= bit;
	slab->inuse--;
	return slab;
}

/* Puts @nr objects back into their slabs. Return: frames freed. */
unsigned long slab_put(struct kmem_cache *s, unsigned int nr, void **objs)
{
	LIST_HEAD(discard);

	mutex_lock(&s->lock);
	for (unsigned int i = 0; i < nr; i++) {
		struct slab *slab = slab_put_one(s, objs[i]);

		if (slab->inuse) {
			if (slab->inuse == s->nr_objs - 1)
				list_move(&slab->list, &s->partial);
		} else if (s->nr_empty < SLAB_MAX_EMPTY) {
			s->nr_empty++;
			list_move(&slab->list, &s->empty);
		} else {
			s->nr_slabs--;
			list_move(&slab->list, &discard);
		}
	}
	s->inuse -= nr;
	mutex_unlock(&s->lock);
	return slab_discard_list(s, &discard);
}

static void slab_init_header(struct kmem_cache *s, struct slab *slab)
{
	unsigned int words = DIV_ROUND_UP(s->nr_objs, BITS_PER_LONG);

	slab->cache = s;
	slab->order = (uint16_t)s->order;
	slab->inuse = 0;
	memset(slab->free, 0xff, words * sizeof(long));
	if (s->nr_objs % BITS_PER_LONG)
		slab->free[words - 1] = (1UL << s->nr_objs % BITS_PER_LONG) - 1;
	for (unsigned int i = 0; i < s->nr_objs; i++)
		slab_debug_new(s, slab_obj(slab, i));
	slab->magic = SLAB_MAGIC;
}

/*
 * slab_grow - make a slab and take its first object
 *
 * The caller's object is taken before the slab is anybody else's, so no thread
 * has to make slab after slab for others to empty.
 * Context: no slab lock; as alloc_frames(). Return: an object, or NULL.
 */
static void *slab_grow(struct kmem_cache *s, gfp_t gfp)
{
	struct slab *slab;
	void *obj;
	pfn_t pfn;

	gfp &= ~(__GFP_MOVABLE | __GFP_ZERO);
	/* Magazines only make things faster: tests do not fail them. */
	pfn = s->flags & SLAB_NO_MAGAZINE ? __alloc_frames(gfp, s->order) :
					    alloc_frames(gfp, s->order);
	if (pfn == PFN_NONE)
		return NULL;
	slab = pfn_to_virt(pfn);
	slab_init_header(s, slab);
	slab_set_mark(slab, s->order, (uint8_t)(MARK_SLAB + s->order));
	slab_take_some(slab, 1, &obj);
	mod_vm_stat(slab_stat(s), 1L << s->order);

	mutex_lock(&s->lock);
	s->nr_slabs++;
	s->inuse++;
	list_add(&slab->list, s->nr_objs == 1 ? &s->full : &s->partial);
	mutex_unlock(&s->lock);
	return obj;
}

void *__kmem_cache_alloc(struct kmem_cache *s, gfp_t gfp)
{
	void *obj = magazine_take(s);

	if (unlikely(!obj))
		obj = slab_grow(s, gfp);
	if (unlikely(!obj))
		return NULL;
	slab_debug_alloc(s, obj);
	if (gfp & __GFP_ZERO) {
		VM_BUG_ON(s->ctor);
		memset(obj, 0, s->size);
	}
	return obj;
}

void *kmem_cache_alloc(struct kmem_cache *s, gfp_t gfp)
{
	might_alloc(gfp);
	if (should_fail(&failslab_attr))
		return NULL;
	return __kmem_cache_alloc(s, gfp);
}

unsigned int kmem_cache_alloc_bulk(struct kmem_cache *s, gfp_t gfp,
				   unsigned int nr, void **objs)
{
	unsigned int got;

	might_alloc(gfp);
	if (should_fail(&failslab_attr))
		return 0;
	got = magazine_take_bulk(s, nr, objs);
	while (got < nr) {
		unsigned int more = slab_take(s, nr - got, objs + got);

		if (!more) {
			objs[got] = slab_grow(s, gfp);
			if (!objs[got])
				break;
			more = 1;
		}
		got += more;
	}
	for (unsigned int i = 0; i < got; i++) {
		slab_debug_alloc(s, objs[i]);
		if (gfp & __GFP_ZERO)
			memset(objs[i], 0, s->size);
	}
	return got;
}

void kmem_cache_free(struct kmem_cache *s, void *obj)
{
	struct slab *slab;

	if (!obj)
		return;
	slab = obj_to_slab(s, obj);
	if (unlikely(!in_arena(obj) || slab->magic != SLAB_MAGIC ||
		     slab->cache != s))
		slab_bug(s, obj, "not an object of this cache");
	slab_debug_free(s, obj);
	if (unlikely(!magazine_put(s, obj)))
		slab_put(s, 1, &obj);
}

/* Header and bitmap of @n objects, and where the first one starts. */
static unsigned int slab_first_offset(unsigned int n, unsigned int left,
				      unsigned int align)
{
	size_t header = sizeof(struct slab) +
			DIV_ROUND_UP(n, BITS_PER_LONG) * sizeof(long);

	return (unsigned int)ALIGN(header + left, align);
}

/* Objects per slab of @order, with s->first to go with them. */
static void slab_layout(struct kmem_cache *s, unsigned int order,
			unsigned int align)
{
	unsigned int bytes = (unsigned int)PAGE_SIZE << order;
	unsigned int n = bytes / s->stride;

	while (n && slab_first_offset(n, s->left, align) - s->left +
		    n * s->stride > bytes)
		n--;
	s->order = order;
	s->nr_objs = n;
	s->first = slab_first_offset(n, s->left, align);
}

/*
 * Single frames for objects up to SLAB_SINGLE_FRAME bytes, whatever they waste:
 * nothing here compacts memory, so reclaim can always bring a frame but not
 * always a block, and these are what page cache and inodes are made of. Larger
 * objects get the smallest slab that wastes at most 1/8 (SLUB starts at 1/16
 * and ends at 1/4), else the largest.
 */
#define SLAB_SINGLE_FRAME	1024u

static void slab_choose_order(struct kmem_cache *s, unsigned int align)
{
	for (unsigned int order = 0; order <= SLAB_MAX_ORDER; order++) {
		size_t bytes = PAGE_SIZE << order;

		slab_layout(s, order, align);
		if (s->size <= SLAB_SINGLE_FRAME && s->nr_objs)
			return;
		if (bytes - (size_t)s->nr_objs * s->stride <= bytes / 8)
			return;
	}
}

/* Objects; by size as Linux's slab chose, arbitrary in both. */
static unsigned int magazine_capacity(size_t size)
{
	if (size <= 256)
		return MAGAZINE_MAX;
	if (size <= 1024)
		return 16;
	return size <= 4096 ? 8 : 4;
}

static void cache_init(struct kmem_cache *s, size_t size, unsigned int align)
{
	s->size = (unsigned int)size;
	s->left = slab_debug_left(align);
	s->stride = (unsigned int)ALIGN(s->left + ALIGN(size, sizeof(long)) +
					slab_debug_right(), align);
	s->recip = (unsigned int)((1ULL << 32) / s->stride + 1);
	slab_choose_order(s, align);
	s->capacity = magazine_capacity(size);
	s->nr_slabs = s->nr_empty = s->inuse = 0;
	mutex_init(&s->lock, LOCK_SLAB);
	INIT_LIST_HEAD(&s->partial);
	INIT_LIST_HEAD(&s->full);
	INIT_LIST_HEAD(&s->empty);
}

struct kmem_cache *__kmem_cache_create(const char *name, size_t size,
				       size_t align, unsigned int flags,
				       void (*ctor)(void *))
{
	struct kmem_cache *s = NULL;

	BUG_ON(size < 8 || size > 8192 || align > 64 || (align & (align - 1)));
	if (align < sizeof(long))
		align = sizeof(long);
	if (flags & SLAB_HWCACHE_ALIGN)
		align = 64;
	mutex_lock(&slab_chain_lock);
	for (unsigned int i = 0; i < MAX_CACHES && !s; i++)
		if (!kmem_caches[i].used)
			s = &kmem_caches[i];
	if (s) {
		s->name = name;
		s->ctor = ctor;
		s->flags = flags;
		s->id = (unsigned int)(s - kmem_caches);
		cache_init(s, size, (unsigned int)align);
		s->used = true;
	}
	mutex_unlock(&slab_chain_lock);
	return s;
}

struct kmem_cache *kmem_cache_create(const char *name, size_t size,
				     size_t align, unsigned int flags,
				     void (*ctor)(void *))
{
	return __kmem_cache_create(name, size, align, flags & (SLAB_KMALLOC - 1),
				   ctor);
}

unsigned long kmem_cache_shrink(struct kmem_cache *s)
{
	LIST_HEAD(discard);

	mutex_lock(&s->lock);
	list_splice_init(&s->empty, &discard);
	s->nr_slabs -= s->nr_empty;
	s->nr_empty = 0;
	mutex_unlock(&s->lock);
	return slab_discard_list(s, &discard);
}

unsigned long kmem_cache_shrink_all(void)
{
	unsigned long frames = 0;

	mutex_lock(&slab_chain_lock);
	for (unsigned int i = 0; i < MAX_CACHES; i++) {
		struct kmem_cache *s = &kmem_caches[i];

		if (!s->used)
			continue;
		frames += magazines_drain(s);
		frames += kmem_cache_shrink(s);
	}
	mutex_unlock(&slab_chain_lock);
	return frames;
}

static void cache_check_unused(struct kmem_cache *s)
{
	char text[160];

	if (!s->inuse)
		return;
	snprintf(text, sizeof(text), "cache %s destroyed with %lu objects in use",
		 s->name, s->inuse);
	__bug(__FILE__, __LINE__, __func__, text);
}

void kmem_cache_destroy(struct kmem_cache *s)
{
	if (!s)
		return;
	mutex_lock(&slab_chain_lock);
	magazines_destroy(s);
	cache_check_unused(s);
	kmem_cache_shrink(s);
	mutex_destroy(&s->lock);
	s->used = false;
	mutex_unlock(&slab_chain_lock);
}

/* Objects in magazines are read at different times: an estimate in motion. */
unsigned long kmem_cache_active(struct kmem_cache *s)
{
	unsigned long cached, inuse;

	mutex_lock(&slab_chain_lock);
	cached = magazines_count(s);
	mutex_lock(&s->lock);
	inuse = s->inuse;
	mutex_unlock(&s->lock);
	mutex_unlock(&slab_chain_lock);
	return inuse > cached ? inuse - cached : 0;
}

unsigned long kmem_cache_frames(struct kmem_cache *s)
{
	unsigned long nr_slabs;

	mutex_lock(&s->lock);
	nr_slabs = s->nr_slabs;
	mutex_unlock(&s->lock);
	return nr_slabs << s->order;
}

int slab_init(void)
{
	int err = magazines_init();

	if (err)
		return err;
	err = kmalloc_init();
	if (err)
		magazines_exit();
	return err;
}

/* Caches still there are a BUG: their objects would go with the arena. */
void slab_exit(void)
{
	failslab(0, false);
	kmalloc_exit();
	magazines_exit();
	for (unsigned int i = 0; i < MAX_CACHES; i++)
		if (kmem_caches[i].used)
			slab_bug(&kmem_caches[i], NULL,
				 "cache not destroyed at slab_exit()");
	if (atomic_load(&nr_rcu_slabs))
		urcu_bp_barrier();
}
