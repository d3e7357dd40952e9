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

#ifndef SO_PEERPIDFD			/* Linux 6.5 */
#define SO_PEERPIDFD		77
#endif

#endif /* PAGEFS_UFFD_ABI_H */
