/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * err.h - a negative errno where a pointer is returned
 *
 * The last 4095 addresses are never mapped, so they can carry -errno.
 * Source: Linux include/linux/err.h.
 */
#ifndef PAGEFS_ERR_H
#define PAGEFS_ERR_H

#include <errno.h>
#include "compiler.h"

#define MAX_ERRNO	4095

static inline void *ERR_PTR(long err)
{
	return (void *)err;
}

static inline long PTR_ERR(const void *ptr)
{
	return (long)ptr;
}

static inline bool IS_ERR(const void *ptr)
{
	return unlikely((unsigned long)ptr >= (unsigned long)-MAX_ERRNO);
}

#endif /* PAGEFS_ERR_H */
