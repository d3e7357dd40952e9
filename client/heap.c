// SPDX-License-Identifier: BSD-2-Clause
/*
 * client/heap.c - the library's own memory
 *
 *   heap_alloc(60) --> [ head | 48 ... ] from a list of 64s  <-- 64 KiB of the
 *                                                                kernel's
 *   heap_alloc(100000) --> [ head | ... ] of its own, given back when freed
 *
 * Not malloc(): a malloc that gets its memory by mmap(2) gets it from us, when
 * we are preloaded, and holds its locks meanwhile; and in a new child it may not
 * be called before all its handlers have run, of which ours is the first.
 *
 * What is freed waits in its list for the next of its size: there are few sizes,
 * and a mapping more or less is 128 bytes.
 *
 * Locks: heap.lock, the innermost of all.
 */
#include <string.h>

#include "internal.h"
#include "sys.h"

#define CHUNK		(64 * 1024UL)	/* bytes from the kernel at once; arbitrary */
#define MIN_SHIFT	5		/* 32 bytes, head included */
#define MAX_SHIFT	13		/* larger ones are the kernel's, each */

struct head {
	union {
		size_t size;		/* in use: bytes, head included */
		struct head *next;	/* free */
	};
	size_t align;			/* objects are aligned to 16 */
};

/* Fields: (H) lock. */
static struct {
	pthread_mutex_t lock;
	struct head *free[MAX_SHIFT + 1];	/* (H) by size, 1 << n */
	char *chunk, *chunk_end;	/* (H) not yet used */
} heap = { .lock = PTHREAD_MUTEX_INITIALIZER };

static void *from_kernel(size_t len)
{
	long addr = sys_mmap(0, len, PROT_READ | PROT_WRITE,
			     MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	return addr < 0 ? NULL : (void *)addr;
}

static unsigned int shift_of(size_t size)
{
	unsigned int shift = MIN_SHIFT;

	while (size > 1UL << shift)
		shift++;
	return shift;
}

/* Context: heap.lock. */
static struct head *take(unsigned int shift)
{
	struct head *head = heap.free[shift];

	if (head) {
		heap.free[shift] = head->next;
		return head;
	}
	if (heap.chunk_end - heap.chunk < 1L << shift) {
		heap.chunk = from_kernel(CHUNK);
		heap.chunk_end = heap.chunk ? heap.chunk + CHUNK : NULL;
	}
	head = (struct head *)heap.chunk;
	if (head)
		heap.chunk += 1UL << shift;
	return head;
}

void *heap_alloc(size_t size)
{
	struct head *head;

	if (size > SIZE_MAX - 2 * CLIENT_PAGE)
		return NULL;
	size += sizeof(*head);
	if (size > 1UL << MAX_SHIFT) {
		size = PAGE_UP(size);
		head = from_kernel(size);
	} else {
		size = 1UL << shift_of(size);
		pthread_mutex_lock(&heap.lock);
		head = take(shift_of(size));
		pthread_mutex_unlock(&heap.lock);
	}
	if (!head)
		return NULL;
	head->size = size;
	memset(head + 1, 0, size - sizeof(*head));
	return head + 1;
}

void heap_free(void *ptr)
{
	struct head *head;
	unsigned int shift;

	if (!ptr)
		return;
	head = (struct head *)ptr - 1;
	if (head->size > 1UL << MAX_SHIFT) {
		sys_munmap((uintptr_t)head, head->size);
		return;
	}
	shift = shift_of(head->size);
	pthread_mutex_lock(&heap.lock);
	head->next = heap.free[shift];
	heap.free[shift] = head;
	pthread_mutex_unlock(&heap.lock);
}

void *heap_grow(void *ptr, size_t size)
{
	size_t old = ptr ? ((struct head *)ptr - 1)->size - sizeof(struct head) :
		     0;
	void *bigger = heap_alloc(size);

	if (!bigger)
		return NULL;
	if (ptr)
		memcpy(bigger, ptr, old < size ? old : size);
	heap_free(ptr);
	return bigger;
}

void heap_before_fork(void)
{
	pthread_mutex_lock(&heap.lock);
}

void heap_after_fork(void)
{
	pthread_mutex_unlock(&heap.lock);
}

void heap_after_in_child(void)
{
	pthread_mutex_init(&heap.lock, NULL);
}
