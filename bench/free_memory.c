// SPDX-License-Identifier: BSD-2-Clause
/*
 * bench/free_memory.c - memory that is really there before the clock runs
 */
#include <sys/mman.h>
#include <unistd.h>

#include "free_memory.h"

void touch_free_memory(size_t bytes)
{
	const size_t page_size = (size_t)sysconf(_SC_PAGESIZE);
	char *p = mmap(NULL, bytes, PROT_READ | PROT_WRITE,
		       MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	if (p == MAP_FAILED)
		return;
	madvise(p, bytes, MADV_NOHUGEPAGE);
	for (size_t at = 0; at < bytes; at += page_size)
		((volatile char *)p)[at] = 1;
	munmap(p, bytes);
}
