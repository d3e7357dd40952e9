/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * client/preload.h - what the files of the preloaded library know of each other
 */
#ifndef PAGEFS_CLIENT_PRELOAD_H
#define PAGEFS_CLIENT_PRELOAD_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* The kernel maps the file of @fd, because of @err: one line, once for each
 * reason; none with PAGEFS_RUN_QUIET in the environment. */
void preload_explain(int fd, int err);

/* The same of a file that the kernel maps there since now. */
void preload_explain_range(uintptr_t start, uintptr_t end, int err);

/* The same of memory without a file. */
void preload_explain_memory(int err);

/* ---- preload_anon.c ---- */

/* Is this mmap(2) one for memory that is to be ours, and is it? Then *@addrp. */
bool preload_map_anon(void *addr, size_t len, int prot, int flags,
		      void **addrp);
/* Are private copies of so much of a file to be ours? */
bool preload_wants_copies(size_t len);

#endif /* PAGEFS_CLIENT_PRELOAD_H */
