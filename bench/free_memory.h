/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * bench/free_memory.h - memory that is really there before the clock runs
 *
 * A virtual machine may hand free memory back to its host, and then the first
 * touch of a page costs 1-8 us, whoever allocates it. What has been freed (by
 * drop_caches, or by the process before) is fetched back here, so that nothing
 * that is measured pays for it.
 */
#ifndef BENCH_FREE_MEMORY_H
#define BENCH_FREE_MEMORY_H

#include <stddef.h>

/* Touches so many bytes once. Without them, what is measured is slower. */
void touch_free_memory(size_t bytes);

#endif /* BENCH_FREE_MEMORY_H */
