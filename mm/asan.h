/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * mm/asan.h - tell AddressSanitizer which memory nobody may touch
 *
 * Without it these do nothing: what is debugged is laid out the same.
 */
#ifndef PAGEFS_MM_ASAN_H
#define PAGEFS_MM_ASAN_H

#include "compiler.h"

#ifdef PAGEFS_ASAN
#include <sanitizer/asan_interface.h>
#else
#define ASAN_POISON_MEMORY_REGION(addr, size)	((void)(addr), (void)(size))
#define ASAN_UNPOISON_MEMORY_REGION(addr, size)	((void)(addr), (void)(size))
#endif

#endif /* PAGEFS_MM_ASAN_H */
