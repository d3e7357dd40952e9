/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * fs/swapdev.h - what swapon.c (may it be one) and swapdev.c (I/O) share
 */
#ifndef PAGEFS_FS_SWAPDEV_H
#define PAGEFS_FS_SWAPDEV_H

#include "internal.h"
#include "swapfile.h"

/* Constant from swap_on() on. */
struct swapdev {
	struct swap_device dev;		/* first: container_of is the identity */
	struct backing_file file;	/* descriptors; else unused, and no cache's */
};

extern const struct swap_device_ops swapdev_ops;

/* Without descriptors. NULL: no memory. */
struct swapdev *swapdev_new(void);
/* With them, and the lock that is on one. */
void swapdev_free(struct swapdev *sd);

#endif /* PAGEFS_FS_SWAPDEV_H */
