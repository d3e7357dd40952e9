// SPDX-License-Identifier: BSD-2-Clause
/*
 * tests/fs/tfile.c - files for tests of fs/backing.c, ioring.c and aops.c
 *
 * The first part is the fakes: what aops.c and backing.c ask of the inode
 * table and of the descriptor cache, answered by the struct tfile itself.
 */
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "tfile.h"
#include "mm.h"

#define MEMORY	(64 * SZ_1M)

static struct backing_dev_info bdi;

/* ---- fakes ---- */

struct backing_file *inode_get_file(struct inode *inode, int access)
{
	struct tfile *f = container_of(inode, struct tfile, inode);

	(void)access;
	atomic_fetch_add(&f->bf.ref, 1);
	return &f->bf;
}

void put_backing_file(struct backing_file *file)
{
	BUG_ON(atomic_fetch_sub(&file->ref, 1) <= 1);
}

int inode_store_times(struct inode *inode)
{
	(void)inode;
	return 0;
}

void inode_tell_times(struct inode *inode)
{
	(void)inode;
}

void inode_keep_mtime(struct inode *inode)
{
	(void)inode;
}

void inode_pages_stored(struct inode *inode, pgoff_t index, unsigned long nr,
			bool kcached)
{
	(void)inode, (void)index, (void)nr, (void)kcached;
}

bool igrab(struct inode *inode)
{
	atomic_fetch_add(&inode->i_count, 1);
	return true;
}

void iput(struct inode *inode)
{
	BUG_ON(atomic_fetch_sub(&inode->i_count, 1) <= 1);
}

/* ---- files ---- */

static const char *place_dir(enum place place)
{
	const char *dir = getenv("TMPDIR");

	if (place == IN_MEMORY)
		return "/dev/shm";
	return dir && *dir ? dir : "/var/tmp";
}

/* Return: 0, or -errno: no direct I/O there. */
static int tfile_open_fds(struct tfile *f, enum place place)
{
	char path[PATH_MAX];
	int fd;

	snprintf(path, sizeof(path), "%s/test_backing.XXXXXX", place_dir(place));
	fd = mkstemp(path);
	if (fd < 0)
		return -errno;
	f->bf.fd = fd;
	f->bf.direct_fd = -1;
	f->bf.dio_align = 512;
	if (place == ON_DISK)
		f->bf.direct_fd = open(path, O_RDWR | O_DIRECT | O_CLOEXEC);
	unlink(path);
	if (place == ON_DISK && f->bf.direct_fd < 0) {
		close(fd);
		return -EINVAL;
	}
	return 0;
}

struct tfile *tfile_new(enum place place)
{
	struct tfile *f = calloc(1, sizeof(*f));

	if (!f || tfile_open_fds(f, place)) {
		free(f);
		return NULL;
	}
	atomic_store(&f->bf.ref, 1);
	atomic_store(&f->inode.i_count, 1);
	init_rwsem(&f->inode.i_rwsem, LOCK_INODE);
	address_space_init(&f->inode.i_data, &pagefs_aops, &bdi, 0);
	return f;
}

void tfile_free(struct tfile *f)
{
	struct address_space *mapping = &f->inode.i_data;

	truncate_pagecache(mapping, 0);
	filemap_fdatawait_range(mapping, 0, LLONG_MAX);
	mapping_forget_dirty(mapping);
	CU_ASSERT_EQUAL(atomic_load(&f->bf.ref), 1);
	CU_ASSERT_EQUAL(atomic_load(&f->inode.i_count), 1);
	address_space_destroy(mapping);
	destroy_rwsem(&f->inode.i_rwsem);
	close(f->bf.fd);
	if (f->bf.direct_fd >= 0)
		close(f->bf.direct_fd);
	free(f);
}

void tfile_start(int no_threads)
{
	const struct mm_config config = {
		.memory = MEMORY,
		.nr_nodes = 1,
		.no_threads = no_threads,
	};

	BUG_ON(mm_init(&config));
	BUG_ON(bdi_init(&bdi));
	BUG_ON(backing_init());
}

void tfile_stop(void)
{
	backing_exit();
	bdi_destroy(&bdi);
	mm_exit();
}

struct tfile *tfile_start_new(enum place place)
{
	struct tfile *f;

	tfile_start(1);
	f = tfile_new(place);
	if (!f) {
		tfile_stop();
		test_skip("no O_DIRECT there");
	}
	return f;
}

loff_t tfile_backing_size(const struct tfile *f)
{
	struct stat st;

	BUG_ON(fstat(f->bf.fd, &st));
	return st.st_size;
}

void fill_random(char *buf, size_t len, uint64_t *state)
{
	for (size_t i = 0; i < len; i++)
		buf[i] = (char)test_rand(state);
}

int tfile_sync(struct tfile *f)
{
	return filemap_write_and_wait_range(&f->inode.i_data, 0, LLONG_MAX);
}

void tfile_drop_cache(struct tfile *f)
{
	invalidate_mapping_pages(&f->inode.i_data, 0, (pgoff_t)-1);
}

void tfile_truncate(struct tfile *f, loff_t size)
{
	struct address_space *mapping = &f->inode.i_data;

	if (size < i_size_read(mapping)) {
		truncate_pagecache(mapping, size);
		filemap_fdatawait_range(mapping, size, size);
	}
	BUG_ON(ftruncate(f->bf.fd, size));
	i_size_write(mapping, size);
}

void tfile_dirty_every_other(struct tfile *f, unsigned int nr)
{
	for (unsigned int i = 0; i < nr; i += 2)
		CU_ASSERT_EQUAL(generic_perform_write(&f->inode.i_data,
				(loff_t)i * 4096, "z", 1, false), 1);
}
