// SPDX-License-Identifier: BSD-2-Clause
/*
 * fs/ctl_disk.c - the text of diskstats: what went to and from the store
 *
 * One line for the backing directory's device, with its numbers, of our requests
 * alone. Times are not taken and are 0, as are merges: requests are made as
 * large as they get.
 *
 * Source:  Linux block/genhd.c (diskstats_show), Documentation/admin-guide/
 *          iostats.rst: the fields.
 */
#include <stdio.h>
#include <string.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include "ctl.h"

/* What the kernel calls the device; one without a block device: us. */
static void device_name(dev_t dev, char *name, size_t size)
{
	char link[64], target[PATH_MAX], *slash;
	ssize_t len;

	snprintf(link, sizeof(link), "/sys/dev/block/%u:%u", major(dev),
		 minor(dev));
	len = readlink(link, target, sizeof(target) - 1);
	target[max_t(ssize_t, len, 0)] = '\0';
	slash = strrchr(target, '/');
	snprintf(name, size, "%s", slash ? slash + 1 : "pagefs");
}

size_t diskstats_show(char *buf, size_t size)
{
	dev_t dev = sb.root->i_dev;
	struct backing_stats st;
	char name[64];
	int len;

	backing_get_stats(&st);
	device_name(dev, name, sizeof(name));
	/* Read: ios, merges, sectors, ms; written: the same; in flight, ms busy,
	 * ms waited; discards: four; flushes: two. */
	len = snprintf(buf, size, "%4u %7u %s %lu 0 %lu 0 %lu 0 %lu 0 0 0 0 0 0 0 0 0 0\n",
		       major(dev), minor(dev), name, st.rd_ios, st.rd_sectors,
		       st.wr_ios, st.wr_sectors);
	return min_t(size_t, max(len, 0), size - 1);
}
