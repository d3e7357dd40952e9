/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * pagefs_swap.h - what is on a device of swap before the first slot
 *
 * One page, little endian. What is not named is zero. The daemon reads it
 * (mm/swap_header.c), and pagefsctl writes it, too.
 */
#ifndef PAGEFS_SWAP_HEADER_H
#define PAGEFS_SWAP_HEADER_H

#include <stddef.h>
#include <stdint.h>

#define SWAP_MAGIC		"PAGEFS-SWAP\0\0\0\0\0"	/* 16 bytes */
#define SWAP_VERSION		1u
#define SWAP_HEADER_BYTES	4096u	/* and what a slot has */
#define SWAP_MAX_BADPAGES	480u
#define SWAP_MIN_SLOTS		10u	/* as Linux's mkswap(8) */

struct swap_header {
	char magic[16];
	uint32_t version;
	uint32_t page_size;
	uint64_t nr_slots;		/* with the header's own */
	uint8_t uuid[16];
	char label[32];			/* terminated if there is room */
	uint32_t nr_badpages;
	uint32_t checksum;		/* CRC-32 of the page with this 0 */
	uint32_t unused[10];
	uint64_t badpages[SWAP_MAX_BADPAGES];	/* in rising order */
};
_Static_assert(sizeof(struct swap_header) <= SWAP_HEADER_BYTES, "one page");

/*
 * What @page's checksum has to be. IEEE 802.3's CRC-32, as in gzip; four bits at
 * a time: a page in 20 us, once.
 */
static inline uint32_t swap_header_sum(const void *page)
{
	static const uint32_t table[16] = {
		0x00000000, 0x1db71064, 0x3b6e20c8, 0x26d930ac,
		0x76dc4190, 0x6b6b51f4, 0x4db26158, 0x5005713c,
		0xedb88320, 0xf00f9344, 0xd6d6a3e8, 0xcb61b38c,
		0x9b64c2b0, 0x86d3d2d4, 0xa00ae278, 0xbdbdf21c,
	};
	const size_t sum = offsetof(struct swap_header, checksum);
	const unsigned char *p = page;
	uint32_t crc = UINT32_MAX;

	for (size_t i = 0; i < SWAP_HEADER_BYTES; i++) {
		crc ^= i >= sum && i < sum + sizeof(uint32_t) ? 0 : p[i];
		crc = crc >> 4 ^ table[crc & 15];
		crc = crc >> 4 ^ table[crc & 15];
	}
	return ~crc;
}

#endif /* PAGEFS_SWAP_HEADER_H */
