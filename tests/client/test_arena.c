// SPDX-License-Identifier: BSD-2-Clause
/*
 * tests/client/test_arena.c - client/malloc.c: heaps in the daemon's memory
 */
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include "harness.h"
#include "mounted.h"
#include "pagefs/malloc.h"

static struct pagefs_arena *heap(void)
{
	struct pagefs_arena *arena = NULL;

	CU_ASSERT_EQUAL_FATAL(pagefs_arena_create(mount_conn(), &arena), 0);
	return arena;
}

/* Bytes this process has mapped of the daemon's. */
static uint64_t mapped(void)
{
	struct pagefs_stats stats;

	CU_ASSERT_EQUAL(pagefs_stats(mount_conn(), &stats), 0);
	return stats.mapped * PAGE;
}

static void objects_are_in_the_daemons_memory(void)
{
	struct pagefs_arena *arena = heap();
	uint64_t before = mapped();
	char *big = pagefs_arena_malloc(arena, 8 << 20);

	CU_ASSERT_PTR_NOT_NULL_FATAL(big);
	CU_ASSERT(mapped() >= before + (8 << 20));
	memset(big, 'x', 8 << 20);
	CU_ASSERT(pagefs_arena_usable_size(arena, big) >= 8 << 20);
	pagefs_arena_free(arena, big);
	pagefs_arena_destroy(arena);
}

static void objects_keep_what_is_stored(void)
{
	enum { NR = 3000 };
	struct pagefs_arena *arena = heap();
	uint64_t state = test_seed();
	unsigned char *ptr[NR] = { NULL };
	size_t size[NR] = { 0 };

	for (unsigned int step = 0; step < 20000; step++) {
		unsigned int i = test_rand(&state) % NR;

		for (size_t j = 0; j < size[i]; j += 97)
			CU_ASSERT_FATAL(ptr[i][j] == (unsigned char)i);
		if (test_rand(&state) % 3 == 0) {
			pagefs_arena_free(arena, ptr[i]);
			ptr[i] = NULL;
			size[i] = 0;
			continue;
		}
		size[i] = test_rand(&state) % (step % 50 ? 2000 : 200000);
		ptr[i] = pagefs_arena_realloc(arena, ptr[i], size[i]);
		CU_ASSERT_PTR_NOT_NULL_FATAL(ptr[i]);
		memset(ptr[i], (int)i, size[i]);
	}
	pagefs_arena_destroy(arena);
}

static void calloc_is_zero_and_aligned_is_aligned(void)
{
	struct pagefs_arena *arena = heap();
	char *dirty = pagefs_arena_malloc(arena, 100000);
	char *clean, *aligned;
	bool zero = true;

	memset(dirty, 1, 100000);
	pagefs_arena_free(arena, dirty);
	clean = pagefs_arena_calloc(arena, 1000, 100);
	for (size_t i = 0; i < 100000; i++)
		zero &= !clean[i];
	CU_ASSERT(zero);
	aligned = pagefs_arena_aligned_alloc(arena, 1 << 20, 5000);
	CU_ASSERT(aligned && !((uintptr_t)aligned & ((1 << 20) - 1)));
	CU_ASSERT_PTR_NULL(pagefs_arena_aligned_alloc(arena, 3, 10));
	CU_ASSERT_PTR_NULL(pagefs_arena_calloc(arena, SIZE_MAX / 2, 3));
	CU_ASSERT_PTR_NULL(pagefs_arena_malloc(arena, SIZE_MAX / 4));
	pagefs_arena_free(arena, NULL);
	pagefs_arena_destroy(arena);
	pagefs_arena_destroy(NULL);
}

/* Two heaps have nothing to do with each other; a destroyed one leaves nothing. */
static void a_heap_goes_as_a_whole(void)
{
	struct pagefs_arena *a = heap(), *b = heap();
	uint64_t before;
	char *kept;

	kept = pagefs_arena_malloc(b, 1000);
	strcpy(kept, "kept");
	before = mapped();
	for (unsigned int i = 0; i < 1000; i++)
		memset(pagefs_arena_malloc(a, 10000), 2, 10000);
	CU_ASSERT(mapped() > before);
	pagefs_arena_destroy(a);
	CU_ASSERT(mapped() <= before);
	CU_ASSERT_STRING_EQUAL(kept, "kept");
	pagefs_arena_destroy(b);
}

static void a_child_has_a_heap_of_its_own(void)
{
	struct pagefs_arena *arena = heap();
	char *text = pagefs_arena_malloc(arena, 5000);
	int status;
	pid_t pid;

	strcpy(text, "the parent's");
	fflush(stdout);
	pid = fork();
	if (!pid) {
		bool ok = !strcmp(text, "the parent's");

		strcpy(text, "the child's");
		ok &= pagefs_arena_malloc(arena, 100000) != NULL;
		_exit(ok ? 0 : 1);
	}
	CU_ASSERT_EQUAL(waitpid(pid, &status, 0), pid);
	CU_ASSERT_EQUAL(status, 0);
	CU_ASSERT_STRING_EQUAL(text, "the parent's");
	pagefs_arena_destroy(arena);
}

static const struct test_case cases[] = {
	{ "objects are in the daemon's memory",
	  objects_are_in_the_daemons_memory },
	{ "objects keep what is stored", objects_keep_what_is_stored },
	{ "calloc is zero, aligned_alloc is aligned",
	  calloc_is_zero_and_aligned_is_aligned },
	{ "a heap goes as a whole", a_heap_goes_as_a_whole },
	{ "a child has a heap of its own", a_child_has_a_heap_of_its_own },
};

int main(void)
{
	return test_main("client/malloc", cases, ARRAY_SIZE(cases));
}
