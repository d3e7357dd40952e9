// SPDX-License-Identifier: BSD-2-Clause
/*
 * tests/mm/fake_swap.c - a swap device in memory
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "fake_swap.h"
#include "gfp.h"

static struct fake_swap *to_fake(struct swap_device *dev)
{
	return (struct fake_swap *)dev;
}

static int fake_read_header(struct swap_device *dev, void *buf)
{
	struct fake_swap *fake = to_fake(dev);

	if (!fake->header_err)
		memcpy(buf, fake->data, PAGE_SIZE);
	return fake->header_err;
}

static int fake_write_header(struct swap_device *dev, const void *buf)
{
	struct fake_swap *fake = to_fake(dev);

	if (!fake->header_err)
		memcpy(fake->data, buf, PAGE_SIZE);
	return fake->header_err;
}

/* Context: no locks. */
static void fake_transfer(struct fake_swap *fake, const struct fake_swap_io *io)
{
	char *at = fake->data + io->pos;
	int err = 0;

	BUG_ON(io->pos < (loff_t)PAGE_SIZE ||
	       io->pos + (loff_t)PAGE_SIZE > fake->dev.size);
	pthread_mutex_lock(&fake->lock);
	fake->nr_late += fake->nr_closed;
	if (fake->bad_err && fake->bad_pos == io->pos)
		err = fake->bad_err;
	pthread_mutex_unlock(&fake->lock);
	if (!err && io->dir == SWAP_READ)
		memcpy(page_address(io->page), at, PAGE_SIZE);
	else if (!err)
		memcpy(at, page_address(io->page), PAGE_SIZE);
	swap_end_io(&fake->dev, io->dir, io->page, err, io->end_io);
}

static void fake_rw(struct swap_device *dev, enum swap_dir dir,
		    struct page **pages, unsigned int nr, loff_t pos,
		    enum read_mode mode,
		    void (*end_io)(struct page *page, int err))
{
	struct fake_swap *fake = to_fake(dev);

	for (unsigned int i = 0; i < nr; i++, pos += PAGE_SIZE) {
		const struct fake_swap_io io = { pages[i], dir, pos, end_io };
		bool held;

		pthread_mutex_lock(&fake->lock);
		held = fake->held && mode != READ_WAIT;
		if (held) {
			BUG_ON(fake->nr_io == FAKE_SWAP_HELD);
			fake->io[fake->nr_io++] = io;
		}
		pthread_mutex_unlock(&fake->lock);
		if (!held)
			fake_transfer(fake, &io);
	}
}

static void fake_close(struct swap_device *dev)
{
	struct fake_swap *fake = to_fake(dev);

	pthread_mutex_lock(&fake->lock);
	fake->nr_closed++;
	fake->nr_late += fake->nr_io;
	pthread_mutex_unlock(&fake->lock);
}

static const struct swap_device_ops fake_swap_ops = {
	.read_header	= fake_read_header,
	.write_header	= fake_write_header,
	.rw		= fake_rw,
	.close		= fake_close,
};

void fake_swap_hold(struct fake_swap *fake)
{
	pthread_mutex_lock(&fake->lock);
	fake->held = true;
	pthread_mutex_unlock(&fake->lock);
}

void fake_swap_release(struct fake_swap *fake)
{
	pthread_mutex_lock(&fake->lock);
	fake->held = false;
	while (fake->nr_io) {
		const struct fake_swap_io io = fake->io[--fake->nr_io];

		pthread_mutex_unlock(&fake->lock);
		fake_transfer(fake, &io);
		pthread_mutex_lock(&fake->lock);
	}
	pthread_mutex_unlock(&fake->lock);
}

void fake_swap_fail(struct fake_swap *fake, unsigned long slot, int err)
{
	pthread_mutex_lock(&fake->lock);
	fake->bad_pos = (loff_t)(slot << PAGE_SHIFT);
	fake->bad_err = err;
	pthread_mutex_unlock(&fake->lock);
}

void fake_swap_init(struct fake_swap *fake, const char *path, unsigned long slots)
{
	memset(fake, 0, sizeof(*fake));
	fake->dev.ops = &fake_swap_ops;
	fake->dev.size = (loff_t)(slots << PAGE_SHIFT);
	fake->dev.is_file = true;
	snprintf(fake->dev.path, sizeof(fake->dev.path), "%s", path);
	BUG_ON(pthread_mutex_init(&fake->lock, NULL));
	fake->data = calloc(slots ?: 1, PAGE_SIZE);
	BUG_ON(!fake->data);
}

void fake_swap_make(struct fake_swap *fake, const char *path, unsigned long slots)
{
	fake_swap_init(fake, path, slots);
	BUG_ON(swap_make_header(&fake->dev, "fake"));
}

void fake_swap_destroy(struct fake_swap *fake)
{
	BUG_ON(fake->nr_io);
	free(fake->data);
	pthread_mutex_destroy(&fake->lock);
}
