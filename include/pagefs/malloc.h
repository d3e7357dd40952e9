/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * malloc.h - a heap in the memory of a pagefs mount's daemon: libpagefs-malloc
 *
 *	struct pagefs_arena *heap;
 *
 *	pagefs_connect(fd, &p);
 *	pagefs_arena_create(p, &heap);
 *	char *s = pagefs_arena_malloc(heap, 100);
 *	...
 *	pagefs_arena_free(heap, s);
 *	pagefs_arena_destroy(heap);
 *
 * Such memory counts against the daemon's budget, and is swapped by it. The
 * allocator is jemalloc, with an arena of its own whose memory comes from
 * pagefs_mmap(MAP_PRIVATE | MAP_ANONYMOUS). A program that is linked with this
 * library is linked with jemalloc, so that its malloc() is jemalloc's, too; that
 * one's memory is the program's own as ever.
 *
 * All functions may be called by any thread, and not from a signal handler. What
 * fork(2) and the daemon's end mean for memory of it: see pagefs.h.
 */
#ifndef PAGEFS_MALLOC_H
#define PAGEFS_MALLOC_H

#include <pagefs/pagefs.h>

#ifdef __cplusplus
extern "C" {
#endif

struct pagefs_arena;

/**
 * pagefs_arena_create - a new heap, with nothing in it
 * @p:      must outlive it
 * @arenap: receives it
 *
 * Return: 0; -ENOMEM; -EAGAIN: jemalloc has as many arenas as it can have.
 * Source: jemalloc(3), "arenas.create", extent_hooks_t.
 */
int pagefs_arena_create(struct pagefs *p, struct pagefs_arena **arenap);

/**
 * pagefs_arena_destroy - the heap and all that is in it are gone
 * @arena: of which nobody uses anything any more; NULL: nothing happens
 */
void pagefs_arena_destroy(struct pagefs_arena *arena);

/*
 * As malloc(3), calloc(3), realloc(3), aligned_alloc(3), free(3) and
 * malloc_usable_size(3), in bytes; @align: a power of two. What is given to
 * realloc, free and usable_size comes from the same heap, or is NULL.
 * Return: NULL when there is no memory, or (usable_size) the bytes there are.
 */
void *pagefs_arena_malloc(struct pagefs_arena *arena, size_t size);
void *pagefs_arena_calloc(struct pagefs_arena *arena, size_t nr, size_t size);
void *pagefs_arena_realloc(struct pagefs_arena *arena, void *ptr, size_t size);
void *pagefs_arena_aligned_alloc(struct pagefs_arena *arena, size_t align,
				 size_t size);
void pagefs_arena_free(struct pagefs_arena *arena, void *ptr);
size_t pagefs_arena_usable_size(struct pagefs_arena *arena, void *ptr);

#ifdef __cplusplus
}
#endif

#endif /* PAGEFS_MALLOC_H */
