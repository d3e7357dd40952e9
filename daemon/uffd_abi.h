/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * daemon/uffd_abi.h - userfaultfd constants that older headers lack
 *
 * Debian 12's <linux/userfaultfd.h> is Linux 6.1's; the kernel that runs may
 * know more, and is asked at start (uffd_probe()). Names and values are the
 * kernel's ABI.
 */
#ifndef PAGEFS_UFFD_ABI_H
#define PAGEFS_UFFD_ABI_H

#include <linux/userfaultfd.h>

#ifndef UFFD_FEATURE_POISON		/* Linux 6.6 */
#define UFFD_FEATURE_POISON	(1 << 14)
#endif

#ifndef UFFDIO_POISON
#define _UFFDIO_POISON		(0x08)
struct uffdio_poison {
	struct uffdio_range range;
	__u64 mode;
	__s64 updated;
};
#define UFFDIO_POISON	_IOWR(UFFDIO, _UFFDIO_POISON, struct uffdio_poison)
#endif

#ifndef UFFDIO_CONTINUE_MODE_WP		/* Linux 6.4 */
#define UFFDIO_CONTINUE_MODE_WP	((__u64)1 << 1)
#endif

#ifndef UFFD_FEATURE_WP_ASYNC		/* Linux 6.7 */
#define UFFD_FEATURE_WP_ASYNC	(1 << 15)
#endif

/* Of /proc/PID/pagemap; in <linux/fs.h> since Linux 6.7. */
#ifndef PAGEMAP_SCAN
#define PAGE_IS_WRITTEN		(1 << 1)
#define PM_SCAN_WP_MATCHING	(1 << 0)
#define PM_SCAN_CHECK_WPASYNC	(1 << 1)
struct page_region {
	__u64 start;
	__u64 end;
	__u64 categories;
};
struct pm_scan_arg {
	__u64 size;
	__u64 flags;
	__u64 start;
	__u64 end;
	__u64 walk_end;
	__u64 vec;
	__u64 vec_len;
	__u64 max_pages;
	__u64 category_inverted;
	__u64 category_mask;
	__u64 category_anyof_mask;
	__u64 return_mask;
};
#define PAGEMAP_SCAN	_IOWR('f', 16, struct pm_scan_arg)
#endif

#ifndef SO_PEERPIDFD			/* Linux 6.5 */
#define SO_PEERPIDFD		77
#endif

#endif /* PAGEFS_UFFD_ABI_H */
