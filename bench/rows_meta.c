// SPDX-License-Identifier: BSD-2-Clause
/*
 * bench/rows_meta.c - rows over many small files
 *
 * Every thread has a directory of its own, held open; names are relative to it.
 *
 *	NONE --create--> EMPTY
 *	 |^
 *	 || unlink
 *	 v|
 *	FULL --rename--> RENAMED
 *
 * prepare_none() leaves that directory, empty, for a new one: ext4 without a
 * journal tries an inode that was in use in the last minute only after it has
 * looked at all others of the group, at 0.1 us each, so creating files where
 * many were just removed would measure that (5k/s instead of 30k/s here). A
 * new directory is likely to be in another group if its parent has the T
 * attribute (chattr(1)), which bench/run sees to.
 *
 * A prepare function makes the state its row starts from, whatever came
 * before, so rows can be run alone and in any order.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/types.h>
#include <time.h>
#include <unistd.h>

#include "mount-bench.h"

/* drop_caches makes the kernel send FORGETs, which nobody waits for: left
 * alone, they would be served inside the timed stretch. Arbitrary. */
#define FORGETS_MS	200

/* At most so many of a row that is over soon; arbitrary. */
#define PASSES		4

typedef char name_t[24];

static const char *file_name(name_t name, unsigned int i)
{
	snprintf(name, sizeof(name_t), "f%07u", i);
	return name;
}

static const char *new_name(name_t name, unsigned int i)
{
	snprintf(name, sizeof(name_t), "r%07u", i);
	return name;
}

static int file_create(int dirfd, unsigned int i, const char *buf)
{
	name_t name;
	int err = 0, fd = openat(dirfd, file_name(name, i),
				 O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0644);

	if (fd < 0)
		return -errno;
	if (buf && write(fd, buf, BLOCK) != BLOCK)
		err = -EIO;
	if (close(fd) < 0 && !err)
		err = -errno;
	return err;
}

/* ---- work ---- */

static int for_files(struct worker *w,
		     int (*op)(int dirfd, unsigned int i, char *buf))
{
	int err = 0, dirfd = w->b->thread_dirs[w->id];

	for (unsigned int i = 0; i < w->b->nr_files && !err; i++) {
		err = op(dirfd, i, w->buf);
		w->ops++;
	}
	return err;
}

static int op_create(int dirfd, unsigned int i, char *buf)
{
	(void)buf;
	return file_create(dirfd, i, NULL);
}

static int op_create_write(int dirfd, unsigned int i, char *buf)
{
	return file_create(dirfd, i, buf);
}

static int op_stat(int dirfd, unsigned int i, char *buf)
{
	struct stat st;
	name_t name;

	(void)buf;
	return fstatat(dirfd, file_name(name, i), &st, 0) < 0 ? -errno : 0;
}

static int op_open_read(int dirfd, unsigned int i, char *buf)
{
	name_t name;
	int err = 0, fd = openat(dirfd, file_name(name, i),
				 O_RDONLY | O_CLOEXEC);

	if (fd < 0)
		return -errno;
	if (read(fd, buf, BLOCK) != BLOCK)
		err = -EIO;
	close(fd);
	return err;
}

static int op_rename(int dirfd, unsigned int i, char *buf)
{
	name_t from, to;

	(void)buf;
	return renameat(dirfd, file_name(from, i), dirfd, new_name(to, i)) < 0 ?
		-errno : 0;
}

static int op_unlink(int dirfd, unsigned int i, char *buf)
{
	name_t name;

	(void)buf;
	return unlinkat(dirfd, file_name(name, i), 0) < 0 ? -errno : 0;
}

static int create(struct worker *w)
{
	w->b->files = FILES_EMPTY;
	return for_files(w, op_create);
}

static int create_write(struct worker *w)
{
	w->b->files = FILES_FULL;
	return for_files(w, op_create_write);
}

static int stat_once(struct worker *w)
{
	return for_files(w, op_stat);
}

static int until_deadline(struct worker *w, int (*pass)(struct worker *w))
{
	int err;

	do {
		err = pass(w);
	} while (!err && now() < w->deadline);
	return err;
}

static int stat_warm(struct worker *w)
{
	return until_deadline(w, stat_once);
}

static int open_read_once(struct worker *w)
{
	return for_files(w, op_open_read);
}

static int open_read(struct worker *w)
{
	return until_deadline(w, open_read_once);
}

static int rename_all(struct worker *w)
{
	w->b->files = FILES_RENAMED;
	return for_files(w, op_rename);
}

static int unlink_all(struct worker *w)
{
	w->b->files = FILES_NONE;
	return for_files(w, op_unlink);
}

/* ---- what is not timed ---- */

/* The directory thread @t works in, made anew: see the head of this file. */
static int renew_dir(struct bench *b, unsigned int t)
{
	static unsigned int generation;
	char name[64];

	if (b->thread_dirs[t] >= 0)
		close(b->thread_dirs[t]);
	snprintf(name, sizeof(name), "files-%d-%u", (int)getpid(), generation++);
	if (mkdirat(b->dirfd, name, 0755) < 0)
		return -errno;
	b->thread_dirs[t] = openat(b->dirfd, name,
				   O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	return b->thread_dirs[t] < 0 ? -errno : 0;
}

static int remove_files(struct bench *b, unsigned int t)
{
	name_t name;

	for (unsigned int i = 0; i < b->nr_files; i++) {
		if (b->files == FILES_RENAMED)
			new_name(name, i);
		else
			file_name(name, i);
		if (unlinkat(b->thread_dirs[t], name, 0) < 0)
			return -errno;
	}
	return 0;
}

static int prepare_none(struct bench *b)
{
	int err = 0;

	for (unsigned int t = 0; t < b->nr_threads && !err; t++) {
		if (b->files != FILES_NONE && b->thread_dirs[t] >= 0)
			err = remove_files(b, t);
		if (!err)
			err = renew_dir(b, t);
	}
	if (!err)
		b->files = FILES_NONE;
	return err;
}

static int prepare_full(struct bench *b)
{
	static const char block[BLOCK] = "small";
	int err;

	if (b->files == FILES_FULL)
		return 0;
	err = prepare_none(b);
	for (unsigned int t = 0; t < b->nr_threads && !err; t++)
		for (unsigned int i = 0; i < b->nr_files && !err; i++)
			err = file_create(b->thread_dirs[t], i, block);
	if (!err)
		b->files = FILES_FULL;
	return err;
}

/* Neither the journal nor discards of an earlier row are left to be done. */
static int settled(int err)
{
	if (!err)
		sync();
	return err;
}

static int prepare_create(struct bench *b)
{
	return settled(prepare_none(b));
}

static int prepare_change(struct bench *b)
{
	return settled(prepare_full(b));
}

static int prepare_stat_cold(struct bench *b)
{
	const struct timespec ts = { .tv_nsec = FORGETS_MS * 1000000L };
	int err = prepare_full(b);

	if (!err)
		err = drop_caches(2);
	if (!err)
		nanosleep(&ts, NULL);
	return err;
}

static int prepare_once(struct bench *b,
			int (*op)(int dirfd, unsigned int i, char *buf))
{
	static char buf[BLOCK];
	int err = prepare_full(b);

	for (unsigned int t = 0; t < b->nr_threads && !err; t++)
		for (unsigned int i = 0; i < b->nr_files && !err; i++)
			err = op(b->thread_dirs[t], i, buf);
	return err;
}

static int prepare_stat_warm(struct bench *b)
{
	return prepare_once(b, op_stat);
}

static int prepare_open_read(struct bench *b)
{
	return prepare_once(b, op_open_read);
}

const struct row meta_rows[] = {
	{ "create", 0, PASSES, prepare_create, create, NULL, NULL },
	{ "create_write", 0, PASSES, prepare_create, create_write, NULL, NULL },
	{ "stat_cold", 0, PASSES, prepare_stat_cold, stat_once, NULL, NULL },
	{ "stat_warm", 0, 1, prepare_stat_warm, stat_warm, NULL, NULL },
	{ "open_read", 0, 1, prepare_open_read, open_read, NULL, NULL },
	{ "rename", 0, PASSES, prepare_change, rename_all, NULL, NULL },
	{ "unlink", 0, PASSES, prepare_change, unlink_all, NULL, NULL },
	{ NULL, 0, 0, NULL, NULL, NULL, NULL },
};
