/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * pagefs_fs.h - what daemon/ calls of fs/
 *
 * Order: fs_mount() after mm_init(); fuse_serve_start(); ...; fuse_serve_stop();
 * fs_umount(); then mm_exit().
 */
#ifndef PAGEFS_FS_H
#define PAGEFS_FS_H

#include <stdbool.h>
#include <stddef.h>

struct fs_mount_options {
	const char *backing_dir;
	const char *mountpoint;
	size_t memory;		/* bytes, as given to mm_init() */
	int cache;		/* enum fs_cache_mode: 0 through, 1 none, 2 writeback */
	bool allow_other;
	bool low_latency;	/* keep CPUs awake while requests come (root) */
	const char *fuse_opts;	/* further -o options for the FUSE library, or NULL */
	/* Where messages go; level as in syslog(3). Must be set. */
	void (*log)(int level, const char *fmt, ...);
};

/**
 * fs_mount - open the backing directory and mount
 * @msg: on failure receives one line for people, naming the thing
 * Return: 0 or -errno.
 */
int fs_mount(const struct fs_mount_options *opts, char *msg, size_t msg_size);

/* Start the worker threads. @ended is called once, from a worker, when the
 * kernel ended the session (umount). Return: 0 or -errno. */
int fuse_serve_start(void (*ended)(void *arg), void *arg);
/* Bring in what the kernel still holds (dirty pages of cache=writeback and of
 * mmaps), unmount, and stop the workers after their current request. */
void fuse_serve_stop(void);

/* Write everything back and release all. Return: 0, or the error of data that
 * could not be written; *@lostp is how many bytes of it. */
int fs_umount(unsigned long *lostp);

#endif /* PAGEFS_FS_H */
