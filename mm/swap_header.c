// SPDX-License-Identifier: BSD-2-Clause
/*
 * mm/swap_header.c - what is on the device before the first slot
 *
 *   | magic | version | page_size | nr_slots | uuid ... | checksum | badpages |
 *     ^       ^                                           ^
 *     is it   can we     from here on: is it as it was    CRC-32 of all of it
 *     ours    read it    written, and does it fit
 *
 * The page is checked as a whole before any number in it is believed, but for
 * the version: of another one we would not know what is covered by the sum.
 *
 * Locks:  none.
 * Source: Linux mm/swapfile.c (read_swap_header), util-linux mkswap(8). Differs:
 *         a header of our own, with a sum, so that an area is taken neither for
 *         the kernel's nor for whole when it is not.
 */
#include <endian.h>
#include <errno.h>
#include <string.h>
#include <sys/random.h>

#include "slab.h"
#include "swapfile_i.h"

_Static_assert(SWAP_HEADER_BYTES == PAGE_SIZE, "a slot is a page");

/* Bad slots are of the area, and in rising order: so none is there twice. */
static bool badpages_ok(const uint64_t *bad, unsigned int nr, uint64_t max)
{
	uint64_t last = 0;

	for (unsigned int i = 0; i < nr; i++) {
		if (bad[i] <= last || bad[i] >= max)
			return false;
		last = bad[i];
	}
	return true;
}

int swap_parse_header(void *page, loff_t size, struct swap_area_desc *desc)
{
	struct swap_header *header = page;
	uint64_t nr_slots = le64toh(header->nr_slots);
	uint32_t nr_bad = le32toh(header->nr_badpages);

	if (memcmp(header->magic, SWAP_MAGIC, sizeof(header->magic)))
		return -ENOENT;
	if (le32toh(header->version) != SWAP_VERSION)
		return -EPROTONOSUPPORT;
	if (le32toh(header->checksum) != swap_header_sum(header) ||
	    le32toh(header->page_size) != PAGE_SIZE ||
	    nr_slots < SWAP_MIN_SLOTS || nr_slots >= 1ULL << SWP_OFFSET_BITS ||
	    nr_bad > SWAP_MAX_BADPAGES)
		return -EUCLEAN;
	for (uint32_t i = 0; i < nr_bad; i++)
		header->badpages[i] = le64toh(header->badpages[i]);
	if (!badpages_ok(header->badpages, nr_bad, nr_slots))
		return -EUCLEAN;
	if (nr_slots > (uint64_t)size >> PAGE_SHIFT)
		return -EFBIG;
	desc->max = nr_slots;
	desc->nr_badpages = nr_bad;
	desc->badpages = header->badpages;
	return 0;
}

/* A version 4 UUID, which is random but for six bits. */
static int make_uuid(uint8_t uuid[16])
{
	if (getrandom(uuid, 16, 0) != 16)
		return -EIO;
	uuid[6] = (uuid[6] & 0x0f) | 0x40;
	uuid[8] = (uuid[8] & 0x3f) | 0x80;
	return 0;
}

int swap_make_header(struct swap_device *dev, const char *label)
{
	uint64_t nr_slots = (uint64_t)dev->size >> PAGE_SHIFT;
	struct swap_header *header;
	int err;

	if (nr_slots < SWAP_MIN_SLOTS || nr_slots >= 1ULL << SWP_OFFSET_BITS)
		return -EINVAL;
	header = kzalloc(PAGE_SIZE, GFP_KERNEL);
	if (!header)
		return -ENOMEM;
	memcpy(header->magic, SWAP_MAGIC, sizeof(header->magic));
	header->version = htole32(SWAP_VERSION);
	header->page_size = htole32(PAGE_SIZE);
	header->nr_slots = htole64(nr_slots);
	if (label)	/* cut off, and not terminated if it is that long */
		memcpy(header->label, label, strnlen(label, sizeof(header->label)));
	err = make_uuid(header->uuid);
	header->checksum = htole32(swap_header_sum(header));
	if (!err)
		err = dev->ops->write_header(dev, header);
	kfree(header);
	return err;
}
