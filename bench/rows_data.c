// SPDX-License-Identifier: BSD-2-Clause
/*
 * bench/rows_data.c - rows that read and write one large file
 *
 * Random rows visit blocks in the order of a seeded permutation, so none is
 * visited twice before all were visited once: a cold row stays cold, and an
 * mmap row meets a page that it has not dirtied. Threads take every n-th block
 * of the permutation, or a contiguous share of a sequential row.
 */
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/types.h>
#include <unistd.h>

#include "free_memory.h"
#include "mount-bench.h"

/* How many operations pass between two looks at the clock (25 ns each). */
#define OPS_PER_LOOK	32

static uint64_t nr_blocks(const struct bench *b)
{
	return b->size / BLOCK;
}

/*
 * A bijection on [0, 2^bits): odd multipliers and xor-shifts can each be
 * undone. Constants are those of splitmix64's finalizer, which are odd.
 */
static uint64_t mix(uint64_t x, unsigned int bits, uint64_t seed)
{
	const uint64_t mask = (1ULL << bits) - 1;
	const unsigned int shift = bits / 2 ? bits / 2 : 1;

	x = (x + seed) & mask;
	x ^= x >> shift;
	x = (x * 0xbf58476d1ce4e5b9ULL) & mask;
	x ^= x >> shift;
	x = (x * 0x94d049bb133111ebULL) & mask;
	x ^= x >> shift;
	return x;
}

/* The @i-th block of the permutation of [0, @nr): walk until inside. */
static uint64_t nth_block(uint64_t i, uint64_t nr, uint64_t seed)
{
	unsigned int bits = 1;

	while ((1ULL << bits) < nr)
		bits++;
	do {
		i = mix(i, bits, seed);
	} while (i >= nr);
	return i;
}

static int open_file(struct bench *b)
{
	if (b->fd >= 0)
		return 0;
	b->fd = openat(b->dirfd, "data", O_RDWR | O_CREAT | O_CLOEXEC, 0600);
	return b->fd < 0 ? -errno : 0;
}

static int full(ssize_t done, size_t wanted)
{
	if (done < 0)
		return -errno;
	return (size_t)done == wanted ? 0 : -EIO;
}

/* Threads' shares of the file in chunks; the last takes what is left over. */
static void share(const struct worker *w, uint64_t *startp, uint64_t *endp)
{
	uint64_t chunks = w->b->size / CHUNK, each = chunks / w->b->nr_threads;

	*startp = w->id * each * CHUNK;
	*endp = w->id + 1 == w->b->nr_threads ? w->b->size : *startp + each * CHUNK;
}

static int seq_pass(struct worker *w,
		    int (*op)(struct worker *w, uint64_t pos, size_t len))
{
	uint64_t start, end;
	int err = 0;

	share(w, &start, &end);
	for (uint64_t pos = start; pos < end && !err; pos += CHUNK) {
		err = op(w, pos, CHUNK);
		w->ops++;
		if (now() >= w->deadline)
			break;
	}
	return err;
}

/* @nr of the permutation's blocks are visited, over all threads together. */
static int random_pass(struct worker *w, uint64_t nr,
		       int (*op)(struct worker *w, uint64_t pos, size_t len))
{
	const uint64_t blocks = nr_blocks(w->b);
	int err = 0;

	for (uint64_t i = w->id; i < nr && !err; i += w->b->nr_threads) {
		err = op(w, nth_block(i, blocks, w->b->seed) * BLOCK, BLOCK);
		w->ops++;
		if (w->ops % OPS_PER_LOOK == 0 && now() >= w->deadline)
			break;
	}
	return err;
}

static int op_read(struct worker *w, uint64_t pos, size_t len)
{
	return full(pread(w->b->fd, w->buf, len, (off_t)pos), len);
}

static int op_write(struct worker *w, uint64_t pos, size_t len)
{
	memcpy(w->buf, &pos, sizeof(pos));
	return full(pwrite(w->b->fd, w->buf, len, (off_t)pos), len);
}

static int op_store(struct worker *w, uint64_t pos, size_t len)
{
	(void)len;
	*(volatile uint64_t *)(w->b->map + pos) = pos + w->ops;
	return 0;
}

/* ---- work ---- */

static int cold_rand_read(struct worker *w)
{
	return random_pass(w, nr_blocks(w->b), op_read);
}

static int warm_rand_read(struct worker *w)
{
	int err;

	do {
		err = random_pass(w, nr_blocks(w->b), op_read);
	} while (!err && now() < w->deadline);
	return err;
}

static int cold_seq_read(struct worker *w)
{
	return seq_pass(w, op_read);
}

static int warm_seq_read(struct worker *w)
{
	int err;

	do {
		err = seq_pass(w, op_read);
	} while (!err && now() < w->deadline);
	return err;
}

static int rand_write(struct worker *w)
{
	int err;

	do {
		err = random_pass(w, nr_blocks(w->b), op_write);
	} while (!err && now() < w->deadline);
	return err;
}

/* A fixed amount, so that all pay for the same bytes on the device. */
static int rand_write_quarter(struct worker *w)
{
	w->deadline = 1e18;
	return random_pass(w, nr_blocks(w->b) / 4, op_write);
}

static int seq_write(struct worker *w)
{
	w->deadline = 1e18;
	return seq_pass(w, op_write);
}

static int mmap_write(struct worker *w)
{
	return random_pass(w, nr_blocks(w->b), op_store);
}

static int mmap_write_quarter(struct worker *w)
{
	w->deadline = 1e18;
	return random_pass(w, nr_blocks(w->b) / 4, op_store);
}

/* ---- what is not timed, and the syncs that are ---- */

static char chunk[CHUNK];

static int read_all(struct bench *b)
{
	int err = 0;

	for (uint64_t pos = 0; pos < b->size && !err; pos += CHUNK)
		err = full(pread(b->fd, chunk, CHUNK, (off_t)pos), CHUNK);
	return err;
}

static int write_all(struct bench *b)
{
	int err = 0;

	memset(chunk, 0x5a, CHUNK);
	for (uint64_t pos = 0; pos < b->size && !err; pos += CHUNK)
		err = full(pwrite(b->fd, chunk, CHUNK, (off_t)pos), CHUNK);
	return err ? err : fsync(b->fd) < 0 ? -errno : 0;
}

/* The file of the whole size; written unless it is there already. */
static int prepare_file(struct bench *b)
{
	struct stat st;
	int err = open_file(b);

	if (err)
		return err;
	if (fstat(b->fd, &st) < 0)
		return -errno;
	return (uint64_t)st.st_size == b->size ? 0 : write_all(b);
}

/* Twice: a pass-through has a block in its own and in ext4's page cache. */
static int empty_caches(struct bench *b)
{
	int err = drop_caches(3);

	if (!err)
		touch_free_memory(2 * b->size);
	return err;
}

static int prepare_cold(struct bench *b)
{
	int err = prepare_file(b);

	return err ? err : empty_caches(b);
}

static int prepare_warm(struct bench *b)
{
	int err = prepare_file(b);

	return err ? err : read_all(b);
}

static int sync_file(struct bench *b)
{
	return fsync(b->fd) < 0 ? -errno : 0;
}

/* Written, and nowhere in memory, as the writes of whole blocks find it. */
static int prepare_clean(struct bench *b)
{
	int err = prepare_file(b);

	if (!err)
		err = sync_file(b);
	return err ? err : empty_caches(b);
}

static int prepare_map(struct bench *b)
{
	int err = prepare_warm(b);
	void *map;

	if (err)
		return err;
	map = mmap(NULL, b->size, PROT_READ | PROT_WRITE, MAP_SHARED, b->fd, 0);
	if (map == MAP_FAILED)
		return -errno;
	b->map = map;
	return 0;
}

static int sync_map(struct bench *b)
{
	return msync(b->map, b->size, MS_SYNC) < 0 ? -errno : 0;
}

static int end_map(struct bench *b)
{
	int err = sync_map(b);

	munmap(b->map, b->size);
	b->map = NULL;
	return err;
}

const struct row data_rows[] = {
	/* Writes the large file; its time is of no interest. */
	{ "setup", CHUNK, 1, prepare_clean, cold_seq_read, NULL, NULL },
	{ "cold_rand_read", 0, 1, prepare_cold, cold_rand_read, NULL, NULL },
	{ "cold_seq_read", CHUNK, 1, prepare_cold, cold_seq_read, NULL, NULL },
	{ "warm_rand_read", 0, 1, prepare_warm, warm_rand_read, NULL, NULL },
	{ "warm_seq_read", CHUNK, 1, prepare_warm, warm_seq_read, NULL, NULL },
	{ "rand_write", 0, 1, prepare_clean, rand_write, NULL, sync_file },
	{ "rand_write_fsync", 0, 1, prepare_clean, rand_write_quarter,
	  sync_file, NULL },
	{ "seq_write", CHUNK, 1, prepare_clean, seq_write, NULL, sync_file },
	{ "seq_write_fsync", CHUNK, 1, prepare_clean, seq_write, sync_file,
	  NULL },
	{ "mmap_write", 0, 1, prepare_map, mmap_write, NULL, end_map },
	{ "mmap_write_msync", 0, 1, prepare_map, mmap_write_quarter, sync_map,
	  end_map },
	{ NULL, 0, 0, NULL, NULL, NULL, NULL },
};
