// SPDX-License-Identifier: BSD-2-Clause
/*
 * fs/swapdev.c - swap devices: pages to a file or block device, and back
 *
 *   swap_rw --> swapdev_rw --bios--> bio_submit    this thread's ring; its plug,
 *                                       |          or READ_WAIT, waits
 *                                       +--------> the I/O thread, for READ_AHEAD
 *   swap_end_io <-- swapdev_bio_end <-- bio_end
 *
 * Requests are backing.c's, with its reserve: pages leave memory when there is
 * none, and a bio comes back whatever others wait for. What they differ in:
 *
 * I1. The device has all its slots: what comes short is an error, not zeros.
 * I2. A page is ended by swap_end_io() alone. With the last one the device may
 *     be closed: nothing of it is looked at after that.
 *
 * Locks:  none.
 * Source: Linux mm/page_io.c. Differs: there is no file system to ask where the
 *         blocks are; it is asked to write them.
 */
#include <unistd.h>

#include "ioring.h"
#include "swapdev.h"

static struct swapdev *to_swapdev(struct swap_device *dev)
{
	return container_of(dev, struct swapdev, dev);
}

static int swapdev_read_header(struct swap_device *dev, void *buf)
{
	ssize_t n = pread(to_swapdev(dev)->file.fd, buf, PAGE_SIZE, 0);

	if (n < 0)
		return -errno;
	return n == PAGE_SIZE ? 0 : -EIO;
}

static int swapdev_write_header(struct swap_device *dev, const void *buf)
{
	int fd = to_swapdev(dev)->file.fd;
	ssize_t n = pwrite(fd, buf, PAGE_SIZE, 0);

	if (n < 0)
		return -errno;
	if (n < (ssize_t)PAGE_SIZE)
		return -ENOSPC;
	return fsync(fd) ? -errno : 0;
}

static void swapdev_bio_end(struct bio *bio)
{
	struct swapdev *sd = container_of(bio->file, struct swapdev, file);
	enum swap_dir dir = bio->op == BACKING_READ ? SWAP_READ : SWAP_WRITE;

	for (unsigned int i = 0; i < bio->nr; i++)
		swap_end_io(&sd->dev, dir, bio->pages[i],
			    bio_page_error(bio, i), bio->end_io);	/* I2 */
}

static void swapdev_rw(struct swap_device *dev, enum swap_dir dir,
		       struct page **pages, unsigned int nr, loff_t pos,
		       enum read_mode mode,
		       void (*end_io)(struct page *page, int err))
{
	struct backing_file *file = &to_swapdev(dev)->file;
	enum backing_op op = dir == SWAP_READ ? BACKING_READ : BACKING_WRITE;

	while (nr) {
		struct bio *bio = bio_new(op, file, pages, nr, pos,
					  nr * PAGE_SIZE);

		bio->end = swapdev_bio_end;
		bio->end_io = end_io;
		/* The bio may be gone once it is submitted. */
		pages += bio->nr;
		nr -= bio->nr;
		pos += (loff_t)bio->len;
		bio_submit(bio, mode == READ_AHEAD);
	}
	if (mode == READ_WAIT)
		backing_wait();
}

static void swapdev_close(struct swap_device *dev)
{
	swapdev_free(to_swapdev(dev));
}

const struct swap_device_ops swapdev_ops = {
	.read_header	= swapdev_read_header,
	.write_header	= swapdev_write_header,
	.rw		= swapdev_rw,
	.close		= swapdev_close,
};

struct swapdev *swapdev_new(void)
{
	struct swapdev *sd = kzalloc(sizeof(*sd), GFP_KERNEL);

	if (!sd)
		return NULL;
	sd->dev.ops = &swapdev_ops;
	sd->file.fd = sd->file.direct_fd = -1;
	return sd;
}

void swapdev_free(struct swapdev *sd)
{
	if (sd->file.direct_fd >= 0)
		close(sd->file.direct_fd);
	if (sd->file.fd >= 0)
		close(sd->file.fd);
	kfree(sd);
}
