// SPDX-License-Identifier: BSD-2-Clause
/*
 * tests/mm/pair.c - one file on a fake disk, and two clients that may map it
 */
#include <string.h>

#include "harness.h"
#include "pair.h"

struct fake_disk disk;
struct fake_mapped *m;
struct fake_client *c, *other;

void pair_up(const struct pair_conf *conf)
{
	const size_t size = conf->pages * PAGE_SIZE;

	fake_mmu_init(conf->memory, 1, conf->threads);
	fake_disk_init(&disk, conf->mode);
	m = fake_mapped_new(fake_file_new(&disk, size + conf->spare * PAGE_SIZE,
					  (loff_t)size), conf->ra_pages);
	c = fake_client_new(conf->region);
	other = fake_client_new(conf->region);
}

void down(void)
{
	fake_fail_off(&disk);
	fake_drain(&disk);
	fake_mmu_check();
	fake_client_free(c);
	fake_client_free(other);
	fake_mapped_free(m);
	CU_ASSERT_EQUAL(fake_disk_exit(&disk), 0);
	CU_ASSERT_EQUAL(fake_mmu_exit(), 0);
}

unsigned long reads(void)
{
	fake_drain(&disk);
	return atomic_load(&disk.pages[FAKE_READ]);
}

bool loads(struct fake_client *who, unsigned long addr, uint64_t want)
{
	uint64_t got;

	return fake_load(who, addr, &got) == FAKE_OK && got == want;
}

uint64_t stored(loff_t pos)
{
	uint64_t word;

	memcpy(&word, m->file->data + pos, 8);
	return word;
}
