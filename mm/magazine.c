// SPDX-License-Identifier: BSD-2-Clause
/*
 * mm/magazine.c - per-thread stacks of free objects, in front of the slabs
 *
 *   thread A  mag[cache 0] mag[cache 1] ...   each { lock, objs[] }
 *   thread B  mag[cache 0] ...                       ^ | half at a time
 *                                                    | v
 *                                             slab_take(), slab_put()
 *
 * As pcp.c for frames: the lock is the owner's but for a drain. A magazine is
 * made at a thread's first use of a cache and lives until the thread ends or
 * the cache is destroyed. Without one (no memory, the thread is ending)
 * objects come from the slabs one by one.
 *
 * I1. mag[] is set by its thread and cleared by whoever destroys the cache,
 *     both under slab_chain_lock. The thread reads its own without: nobody
 *     destroys a cache in use.
 *
 * Locks:   slab_chain_lock (list of threads), then magazine->lock, then
 *          kmem_cache->lock.
 * Source:  Bonwick 2001; Linux mm/slab.c (array_cache) for moving half.
 */
#include <errno.h>
#include <string.h>

#include "slab_def.h"

enum mag_state {
	MAG_NEW,		/* zero: a thread that has had no object */
	MAG_LIVE,		/* on mag_threads */
	MAG_GONE,		/* the destructor ran, or there is none */
};

/* Fields: (A) atomic, see I1; (H) slab_chain_lock; (O) owner. */
struct mag_thread {
	struct magazine *mag[MAX_CACHES];	/* (A) by kmem_cache->id */
	enum mag_state state;			/* (O) */
	struct list_head link;			/* (H) */
};

static __thread struct mag_thread this_mags;

static LIST_HEAD(mag_threads);			/* (H) */
static struct kmem_cache *magazine_cache;	/* constant after init */

static pthread_key_t mag_key;
static pthread_once_t mag_once = PTHREAD_ONCE_INIT;
static int mag_key_err;

/* The oldest @nr go to the slabs. Context: caller holds mag->lock. */
static unsigned long magazine_flush(struct kmem_cache *s, struct magazine *mag,
				    unsigned int nr)
{
	unsigned long frames;

	lockdep_assert_held(&mag->lock);
	if (!nr)
		return 0;
	frames = slab_put(s, nr, mag->objs);
	WRITE_ONCE(mag->count, mag->count - nr);
	memmove(mag->objs, mag->objs + nr, mag->count * sizeof(mag->objs[0]));
	return frames;
}

static unsigned long magazine_drain(struct kmem_cache *s, struct magazine *mag)
{
	unsigned long frames;

	mutex_lock(&mag->lock);
	frames = magazine_flush(s, mag, mag->count);
	mutex_unlock(&mag->lock);
	return frames;
}

/* Context: caller holds slab_chain_lock. */
static void magazine_destroy(struct kmem_cache *s, struct mag_thread *t)
{
	struct magazine *mag = READ_ONCE(t->mag[s->id]);

	lockdep_assert_held(&slab_chain_lock);
	if (!mag)
		return;
	magazine_drain(s, mag);
	WRITE_ONCE(t->mag[s->id], NULL);
	mutex_destroy(&mag->lock);
	kmem_cache_free(magazine_cache, mag);
}

static void mag_thread_exit(void *arg)
{
	struct mag_thread *t = arg;

	mutex_lock(&slab_chain_lock);
	for (unsigned int i = 0; i < MAX_CACHES; i++)
		magazine_destroy(&kmem_caches[i], t);
	list_del(&t->link);
	mutex_unlock(&slab_chain_lock);
	t->state = MAG_GONE;
}

/* As pcp_forked(). */
static void mag_forked(void)
{
	mutex_init(&slab_chain_lock, LOCK_SLAB_CHAIN);
	INIT_LIST_HEAD(&mag_threads);
	if (this_mags.state == MAG_LIVE)
		list_add(&this_mags.link, &mag_threads);
}

static void mag_key_init(void)
{
	mag_key_err = pthread_key_create(&mag_key, mag_thread_exit);
	if (!mag_key_err)
		mag_key_err = pthread_atfork(NULL, NULL, mag_forked);
}

static bool mag_thread_register(struct mag_thread *t)
{
	if (t->state == MAG_GONE)
		return false;
	pthread_once(&mag_once, mag_key_init);
	if (mag_key_err || pthread_setspecific(mag_key, t)) {
		t->state = MAG_GONE;	/* nothing would drain it */
		return false;
	}
	mutex_lock(&slab_chain_lock);
	list_add(&t->link, &mag_threads);
	mutex_unlock(&slab_chain_lock);
	t->state = MAG_LIVE;
	return true;
}

/* A new magazine for this thread, or NULL: then do without. */
static struct magazine * __cold magazine_create(struct kmem_cache *s)
{
	struct mag_thread *t = &this_mags;
	struct magazine *mag;

	if (s->flags & SLAB_NO_MAGAZINE)
		return NULL;
	if (t->state != MAG_LIVE && !mag_thread_register(t))
		return NULL;
	/* Not worth waiting for, nor the reserve. */
	mag = __kmem_cache_alloc(magazine_cache, 0);
	if (!mag)
		return NULL;
	mutex_init(&mag->lock, LOCK_SLAB_MAG);
	mag->count = 0;
	mutex_lock(&slab_chain_lock);
	WRITE_ONCE(t->mag[s->id], mag);			/* I1 */
	mutex_unlock(&slab_chain_lock);
	return mag;
}

static inline struct magazine *magazine_self(struct kmem_cache *s)
{
	struct magazine *mag = READ_ONCE(this_mags.mag[s->id]);

	return likely(mag) ? mag : magazine_create(s);
}

/* Return: an object from the magazine or a slab; NULL if there are none. */
void *magazine_take(struct kmem_cache *s)
{
	struct magazine *mag = magazine_self(s);
	void *obj = NULL;

	if (unlikely(!mag)) {
		slab_take(s, 1, &obj);
		return obj;
	}
	mutex_lock(&mag->lock);
	if (unlikely(!mag->count))
		WRITE_ONCE(mag->count, slab_take(s, s->capacity / 2,
						 mag->objs));
	if (likely(mag->count)) {
		WRITE_ONCE(mag->count, mag->count - 1);
		obj = mag->objs[mag->count];
	}
	mutex_unlock(&mag->lock);
	return obj;
}

/* What the magazine has, up to @nr. */
unsigned int magazine_take_bulk(struct kmem_cache *s, unsigned int nr,
				void **objs)
{
	struct magazine *mag = magazine_self(s);

	if (!mag)
		return 0;
	mutex_lock(&mag->lock);
	nr = min(nr, mag->count);
	WRITE_ONCE(mag->count, mag->count - nr);
	memcpy(objs, mag->objs + mag->count, nr * sizeof(objs[0]));
	mutex_unlock(&mag->lock);
	return nr;
}

/* Return: false if there is no magazine; @obj is still the caller's then. */
bool magazine_put(struct kmem_cache *s, void *obj)
{
	struct magazine *mag = magazine_self(s);

	if (unlikely(!mag))
		return false;
	mutex_lock(&mag->lock);
	if (unlikely(mag->count == s->capacity))
		magazine_flush(s, mag, s->capacity / 2);
	mag->objs[mag->count] = obj;
	WRITE_ONCE(mag->count, mag->count + 1);
	mutex_unlock(&mag->lock);
	return true;
}

/* Context: caller holds slab_chain_lock. Return: frames freed. */
unsigned long magazines_drain(struct kmem_cache *s)
{
	unsigned long frames = 0;
	struct mag_thread *t;

	lockdep_assert_held(&slab_chain_lock);
	list_for_each_entry(t, &mag_threads, link) {
		struct magazine *mag = READ_ONCE(t->mag[s->id]);

		if (mag)
			frames += magazine_drain(s, mag);
	}
	return frames;
}

/* Context: caller holds slab_chain_lock; nobody uses the cache any more. */
void magazines_destroy(struct kmem_cache *s)
{
	struct mag_thread *t;

	list_for_each_entry(t, &mag_threads, link)
		magazine_destroy(s, t);
}

/* Context: caller holds slab_chain_lock. */
unsigned long magazines_count(const struct kmem_cache *s)
{
	unsigned long nr = 0;
	struct mag_thread *t;

	list_for_each_entry(t, &mag_threads, link) {
		const struct magazine *mag = READ_ONCE(t->mag[s->id]);

		if (mag)
			nr += READ_ONCE(mag->count);
	}
	return nr;
}

int magazines_init(void)
{
	magazine_cache = __kmem_cache_create("magazine", sizeof(struct magazine),
					     0, SLAB_NO_MAGAZINE, NULL);
	return magazine_cache ? 0 : -ENOMEM;
}

/* Last of all caches: each that was destroyed gave its magazines back. */
void magazines_exit(void)
{
	kmem_cache_destroy(magazine_cache);
	magazine_cache = NULL;
}
