// SPDX-License-Identifier: BSD-2-Clause
/*
 * client/malloc.c - libpagefs-malloc: heaps whose memory the daemon has
 *
 *   pagefs_arena_malloc --mallocx--> jemalloc's arena --extent hooks--> pagefs_mmap
 *
 * jemalloc cuts objects from extents, which it asks us for, splits, joins, and
 * gives back. What it has no use for at the moment it purges: those pages are
 * freed (MADV_DONTNEED) and read as zeros after that.
 *
 * M1. A hook may be called with locks of jemalloc's held, and in its initialization:
 *     nothing here calls malloc(), nor does libpagefs (heap.c).
 * M2. Objects are not kept in a thread's cache (MALLOCX_TCACHE_NONE): that is one
 *     for all arenas, and would outlive ours.
 *
 * Source: jemalloc(3), extent_hooks_t.
 */
#include <errno.h>
#include <jemalloc/jemalloc.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <sys/mman.h>

#include "pagefs/malloc.h"

#define API	__attribute__((visibility("default")))

struct pagefs_arena {
	extent_hooks_t hooks;		/* first: what hooks get leads here */
	struct pagefs *p;
	unsigned int index;		/* jemalloc's number of it */
};

static struct pagefs_arena *arena_of(extent_hooks_t *hooks)
{
	return (struct pagefs_arena *)hooks;
}

/* ---- hooks. "Return: true" is failure there ---- */

static void trim(struct pagefs *p, uintptr_t start, uintptr_t end)
{
	if (start < end)
		pagefs_munmap(p, (void *)start, end - start);
}

/* More than is wanted, of which the aligned part stays. */
static void *map_aligned(struct pagefs *p, size_t size, size_t align)
{
	uintptr_t start, aligned;
	void *addr;

	if (size > SIZE_MAX - align ||
	    pagefs_mmap(p, NULL, size + align, PROT_READ | PROT_WRITE,
			MAP_PRIVATE | MAP_ANONYMOUS, -1, 0, &addr))
		return NULL;
	start = (uintptr_t)addr;
	aligned = (start + align - 1) & ~(uintptr_t)(align - 1);
	trim(p, start, aligned);
	trim(p, aligned + size, start + size + align);
	return (void *)aligned;
}

static void *hook_alloc(extent_hooks_t *hooks, void *new_addr, size_t size,
			size_t align, bool *zero, bool *commit, unsigned int ind)
{
	struct pagefs *p = arena_of(hooks)->p;
	void *addr;

	(void)ind;
	if (new_addr)
		return NULL;	/* we do not choose the place */
	if (pagefs_mmap(p, NULL, size, PROT_READ | PROT_WRITE,
			MAP_PRIVATE | MAP_ANONYMOUS, -1, 0, &addr))
		return NULL;
	if ((uintptr_t)addr & (align - 1)) {
		pagefs_munmap(p, addr, size);
		addr = map_aligned(p, size, align);
		if (!addr)
			return NULL;
	}
	*zero = true;
	*commit = true;
	return addr;
}

static bool hook_dalloc(extent_hooks_t *hooks, void *addr, size_t size,
			bool committed, unsigned int ind)
{
	(void)committed, (void)ind;
	return pagefs_munmap(arena_of(hooks)->p, addr, size) != 0;
}

static void hook_destroy(extent_hooks_t *hooks, void *addr, size_t size,
			 bool committed, unsigned int ind)
{
	(void)committed, (void)ind;
	pagefs_munmap(arena_of(hooks)->p, addr, size);
}

static bool hook_purge(extent_hooks_t *hooks, void *addr, size_t size,
		       size_t offset, size_t length, unsigned int ind)
{
	(void)size, (void)ind;
	return pagefs_madvise(arena_of(hooks)->p, (char *)addr + offset, length,
			      MADV_DONTNEED) != 0;
}

static bool hook_split(extent_hooks_t *hooks, void *addr, size_t size,
		       size_t a, size_t b, bool committed, unsigned int ind)
{
	(void)hooks, (void)addr, (void)size, (void)a, (void)b;
	(void)committed, (void)ind;
	return false;
}

static bool hook_merge(extent_hooks_t *hooks, void *a, size_t a_size, void *b,
		       size_t b_size, bool committed, unsigned int ind)
{
	(void)hooks, (void)a, (void)a_size, (void)b, (void)b_size;
	(void)committed, (void)ind;
	return false;
}

static const extent_hooks_t pagefs_hooks = {
	.alloc		= hook_alloc,
	.dalloc		= hook_dalloc,
	.destroy	= hook_destroy,
	.purge_forced	= hook_purge,
	.split		= hook_split,
	.merge		= hook_merge,
};

/* ---- the heap ---- */

API int pagefs_arena_create(struct pagefs *p, struct pagefs_arena **arenap)
{
	struct pagefs_arena *arena = mallocx(sizeof(*arena), MALLOCX_ZERO);
	size_t size = sizeof(arena->index);
	extent_hooks_t *hooks;
	int err;

	if (!arena)
		return -ENOMEM;
	arena->hooks = pagefs_hooks;
	arena->p = p;
	hooks = &arena->hooks;
	err = mallctl("arenas.create", &arena->index, &size, &hooks,
		      sizeof(hooks));
	if (err) {
		dallocx(arena, 0);
		return -err;
	}
	/* jemalloc's handler of fork(2) comes first, and looks into it. */
	pagefs_fork_early();
	*arenap = arena;
	return 0;
}

API void pagefs_arena_destroy(struct pagefs_arena *arena)
{
	char name[48];

	if (!arena)
		return;
	snprintf(name, sizeof(name), "arena.%u.destroy", arena->index);
	/* It refuses only arenas that are nobody's to destroy. */
	mallctl(name, NULL, NULL, NULL, 0);
	dallocx(arena, 0);
}

/* M2 */
static int arena_flags(const struct pagefs_arena *arena)
{
	return MALLOCX_ARENA(arena->index) | MALLOCX_TCACHE_NONE;
}

API void *pagefs_arena_malloc(struct pagefs_arena *arena, size_t size)
{
	return mallocx(size ? size : 1, arena_flags(arena));
}

API void *pagefs_arena_calloc(struct pagefs_arena *arena, size_t nr, size_t size)
{
	size_t bytes;

	if (__builtin_mul_overflow(nr, size, &bytes))
		return NULL;
	return mallocx(bytes ? bytes : 1, arena_flags(arena) | MALLOCX_ZERO);
}

API void *pagefs_arena_realloc(struct pagefs_arena *arena, void *ptr,
			       size_t size)
{
	if (!ptr)
		return pagefs_arena_malloc(arena, size);
	return rallocx(ptr, size ? size : 1, arena_flags(arena));
}

API void *pagefs_arena_aligned_alloc(struct pagefs_arena *arena, size_t align,
				     size_t size)
{
	if (!align || (align & (align - 1)))
		return NULL;
	return mallocx(size ? size : 1,
		       arena_flags(arena) | MALLOCX_ALIGN(align));
}

API void pagefs_arena_free(struct pagefs_arena *arena, void *ptr)
{
	if (ptr)
		dallocx(ptr, arena_flags(arena));
}

API size_t pagefs_arena_usable_size(struct pagefs_arena *arena, void *ptr)
{
	return ptr ? sallocx(ptr, arena_flags(arena)) : 0;
}
