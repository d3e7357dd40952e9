// SPDX-License-Identifier: BSD-2-Clause
/*
 * fs/ctl_disk.c - what went to and from the store: the text of diskstats, and
 *                 the same in numbers
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
#include "pagefs_fs.h"

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

bool fs_get_device(unsigned int nth, struct fs_device *dev)
{
	struct backing_dev_info *bdi = &sb.bdi;
	struct backing_stats st;

	if (nth)
		return false;
	backing_get_stats(&st);
	device_name(sb.root->i_dev, dev->name, sizeof(dev->name));
	dev->reads = st.rd_ios;
	dev->read_bytes = st.rd_sectors * 512;
	dev->writes = st.wr_ios;
	dev->written_bytes = st.wr_sectors * 512;
	dev->errors = st.errors;
	dev->writeback_bytes = (unsigned long)
		max(atomic_load(&bdi->nr_writeback), 0L) * PAGE_SIZE;
	dev->bandwidth = atomic_load(&bdi->write_bandwidth) * PAGE_SIZE;
	dev->busy_us = atomic_load(&bdi->busy_us);
	dev->flushers = READ_ONCE(bdi->nr_flushers);
	return true;
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
