/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * mm.h - the memory manager as a whole: mm/mm_init.c
 */
#ifndef PAGEFS_MM_H
#define PAGEFS_MM_H

#include <stddef.h>

/* The smallest arena that every path fits in, with 16 threads at work. */
#define MM_MIN_BYTES	(16UL << 20)

struct mm_config {
	size_t memory;		/* bytes of arena, >= 8 MiB */
	int nr_nodes;		/* 1, or fake nodes for tests */
	int no_threads;		/* no kswapd, no pdflush: deterministic tests */
};

/**
 * mm_init - bring up allocator, slab, LRU, kswapd and pdflush
 * Once per process at a time. Return: 0, -EINVAL, -ENOMEM, or what the kernel
 * said to memfd_create, mmap or pthread_create.
 */
int mm_init(const struct mm_config *config);

/* Stops the threads and releases everything; all mappings must be gone. */
void mm_exit(void);

#endif /* PAGEFS_MM_H */
