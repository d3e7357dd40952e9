// SPDX-License-Identifier: BSD-2-Clause
/*
 * mm/slab_debug.c - debug: red zones around objects, poison in free ones
 *
 *   | ... word | object, size bytes | filler to 8 | word | ...
 *
 *   word    RED_ACTIVE while handed out, RED_INACTIVE while free (in a slab or
 *           a magazine). Anything else: somebody wrote past the object.
 *   filler  RED_FILL always.
 *   object  POISON_FREE while free, unless a constructor's or RCU's readers'
 *           state has to survive; verified when handed out.
 *
 * Freeing an object whose words are INACTIVE is a double free, found at once
 * and not when the magazine is flushed. Under AddressSanitizer red zones and
 * free objects are unaddressable as well, so functions here that look at them
 * are not instrumented.
 *
 * Locks:   none: an object's state is changed by its owner. slab_check() looks
 *          at red words of objects in use, hence they are accessed untorn.
 * Source:  Linux include/linux/poison.h (POISON_FREE, SLUB_RED_*), mm/slub.c.
 */
#include <string.h>

#include "asan.h"
#include "slab_def.h"

#if defined(PAGEFS_DEBUG) || defined(PAGEFS_ASAN)

#define __no_asan	__attribute__((no_sanitize("address"), noinline))

#define POISON_FREE	0x6bu
#define RED_FILL	0xcc
#define RED_INACTIVE	0xbbbbbbbbbbbbbbbbULL
#define RED_ACTIVE	0xccccccccccccccccULL

unsigned int slab_debug_left(size_t align)
{
	return (unsigned int)max(align, sizeof(uint64_t));
}

unsigned int slab_debug_right(void)
{
	return sizeof(uint64_t);
}

static bool poisoned(const struct kmem_cache *s)
{
	return !(s->flags & SLAB_TYPESAFE_BY_RCU);
}

static uint64_t *left_word(void *obj)
{
	return (uint64_t *)obj - 1;
}

static uint64_t *right_word(const struct kmem_cache *s, void *obj)
{
	return (uint64_t *)((char *)obj + ALIGN((size_t)s->size, 8));
}

static void __no_asan set_red(const struct kmem_cache *s, void *obj,
			      uint64_t red)
{
	WRITE_ONCE(*left_word(obj), red);
	WRITE_ONCE(*right_word(s, obj), red);
}

/* By words: ThreadSanitizer makes a call of every access. */
typedef uint64_t __attribute__((may_alias)) word_t;
#define WORD_OF(byte)	((byte) * 0x0101010101010101ULL)

static void __no_asan fill(char *from, const char *to, unsigned int byte)
{
	for (; to - from >= 8; from += 8)
		*(word_t *)from = WORD_OF(byte);
	while (from < to)
		*from++ = (char)byte;
}

static bool __no_asan filled(const char *from, const char *to,
			     unsigned int byte)
{
	for (; to - from >= 8; from += 8)
		if (*(const word_t *)from != WORD_OF(byte))
			return false;
	while (from < to)
		if (*from++ != (char)byte)
			return false;
	return true;
}

static char *obj_end(const struct kmem_cache *s, void *obj)
{
	return (char *)obj + s->size;
}

static void __no_asan check_red(const struct kmem_cache *s, void *obj,
				uint64_t red)
{
	if (READ_ONCE(*left_word(obj)) != red)
		slab_bug(s, obj, "red zone before it was written to");
	if (READ_ONCE(*right_word(s, obj)) != red ||
	    !filled(obj_end(s, obj), (char *)right_word(s, obj), RED_FILL))
		slab_bug(s, obj, "red zone after it was written to");
}

static void check_poison(const struct kmem_cache *s, void *obj)
{
	if (poisoned(s) && !filled(obj, obj_end(s, obj), POISON_FREE))
		slab_bug(s, obj, "written to after free (poison is gone)");
}

static void hide(const struct kmem_cache *s, void *obj)
{
	fill(obj, obj_end(s, obj), POISON_FREE);
	ASAN_POISON_MEMORY_REGION(obj, s->size);
}

/* A fresh slab's object: its bytes are anything. */
void slab_debug_new(const struct kmem_cache *s, void *obj)
{
	fill(obj_end(s, obj), (char *)right_word(s, obj), RED_FILL);
	set_red(s, obj, RED_INACTIVE);
	if (s->ctor && !poisoned(s))
		s->ctor(obj);
	if (poisoned(s))
		hide(s, obj);
	ASAN_POISON_MEMORY_REGION(left_word(obj), sizeof(uint64_t));
	ASAN_POISON_MEMORY_REGION(right_word(s, obj), sizeof(uint64_t));
}

void slab_debug_release(const struct slab *slab)
{
	ASAN_UNPOISON_MEMORY_REGION(slab, PAGE_SIZE << slab->order);
}

void slab_debug_alloc(const struct kmem_cache *s, void *obj)
{
	check_red(s, obj, RED_INACTIVE);
	check_poison(s, obj);
	set_red(s, obj, RED_ACTIVE);
	if (!poisoned(s))
		return;
	ASAN_UNPOISON_MEMORY_REGION(obj, s->size);
	if (s->ctor)
		s->ctor(obj);
}

void __no_asan slab_debug_free(const struct kmem_cache *s, void *obj)
{
	const struct slab *slab = obj_to_slab(s, obj);
	unsigned int i = obj_index(s, slab, obj);

	if (i >= s->nr_objs || slab_obj(slab, i) != obj)
		slab_bug(s, obj, "not the start of an object");
	if (READ_ONCE(*left_word(obj)) == RED_INACTIVE &&
	    READ_ONCE(*right_word(s, obj)) == RED_INACTIVE)
		slab_bug(s, obj, "freed twice");
	check_red(s, obj, RED_ACTIVE);
	set_red(s, obj, RED_INACTIVE);
	if (poisoned(s))
		hide(s, obj);
}

/*
 * An object not @in_slab is handed out, in a magazine, or on its way.
 * Context: caller holds s->lock.
 */
void __no_asan slab_debug_check(const struct kmem_cache *s, void *obj,
				bool in_slab)
{
	uint64_t red = READ_ONCE(*left_word(obj));

	if (in_slab) {
		check_red(s, obj, RED_INACTIVE);
		check_poison(s, obj);
		return;
	}
	if (red != RED_ACTIVE && red != RED_INACTIVE)
		slab_bug(s, obj, "red zone before it was written to");
	red = READ_ONCE(*right_word(s, obj));
	if (red != RED_ACTIVE && red != RED_INACTIVE)
		slab_bug(s, obj, "red zone after it was written to");
}

/* AddressSanitizer only: the class's slack is out of bounds. */
void slab_debug_kmalloc(const struct kmem_cache *s, void *obj, size_t size)
{
	ASAN_POISON_MEMORY_REGION((char *)obj + size, s->size - size);
}

/* Who asks for the usable size may use it. */
void slab_debug_ksize(const struct kmem_cache *s, const void *obj)
{
	ASAN_UNPOISON_MEMORY_REGION(obj, s->size);
}

#endif /* PAGEFS_DEBUG || PAGEFS_ASAN */
