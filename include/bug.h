/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * bug.h - what happens when an invariant of ours is broken
 *
 * BUG_ON is always on and cheap, for states that only a fault of this program
 * can bring about: going on would write wrong data to somebody's disk. It is
 * never for input, I/O or memory; those return an errno. VM_BUG_ON is compiled
 * in by --enable-debug only, for checks that cost something.
 */
#ifndef PAGEFS_BUG_H
#define PAGEFS_BUG_H

#include "compiler.h"

/* Prints where and what to stderr, then aborts. */
void __bug(const char *file, int line, const char *func, const char *what)
	__cold __noreturn;

#define BUG()	__bug(__FILE__, __LINE__, __func__, "BUG")
#define BUG_ON(cond) do {						\
	if (unlikely(cond))						\
		__bug(__FILE__, __LINE__, __func__, "BUG_ON(" #cond ")");\
} while (0)

#ifdef PAGEFS_DEBUG
#define VM_BUG_ON(cond)	BUG_ON(cond)
#else
#define VM_BUG_ON(cond)	do { (void)sizeof(!(cond)); } while (0)
#endif

#endif /* PAGEFS_BUG_H */
