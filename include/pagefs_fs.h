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
#include <stdint.h>
#include <sys/types.h>

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

/* ---- for clients that map files: fs/mmap.c ---- */

struct inode;
struct vm_file;

/* An open file that a client wants to map (PAGEFS_IOC_OFFER). */
struct fs_offer {
	struct inode *inode;	/* referenced */
	bool writable;		/* open for writing, too */
};

/*
 * Who takes offers: called by FUSE workers, so it must not wait for one. On
 * success @offer's reference is its own, for fs_offer_put().
 * Return: 0 and *@numberp, or -errno for the client.
 */
typedef int (*fs_offer_taker_t)(const uint64_t cookie[2],
				const struct fs_offer *offer,
				uint64_t *numberp);
/* NULL: nobody. It may be under way until fuse_serve_stop() has returned. */
void fs_set_offer_taker(fs_offer_taker_t take);
/* Context: may sleep. */
void fs_offer_put(struct fs_offer *offer);
/* May this user write to the file, or give himself leave to, by the file's owner
 * and mode? Groups but the first are not known here, and not asked for. */
bool fs_offer_may_write(const struct fs_offer *offer, uid_t uid, gid_t gid);
/**
 * fs_map_offer - what a file on offer is mapped as
 * @filep: receives a reference; f_writable is the offer's. One per (inode,
 *         mode): two offers of a file give the same
 * Context: any thread but those that serve FUSE requests. Return: 0, or
 *   -EBUSY  cache=writeback: it is open for writing, so that the kernel may
 *           have the newest bytes; not by opens with O_DIRECT, or since it is
 *           mapped
 *   -ENOMEM, -EMFILE, or what opening the backing file met
 */
int fs_map_offer(const struct fs_offer *offer, struct vm_file **filep);
/* do_msync()'s callback: bytes [@pos, @pos + @len) to the device; with @arg
 * non-NULL just start writing. Return: 0 or -errno. */
int fs_msync(struct vm_file *file, loff_t pos, size_t len, void *arg);
/*
 * The I/O this thread has started and not waited for (current_plug): submit it,
 * and end what has ended. @wait: sleep until some has, or @fd (-1: none) is
 * readable; not if nothing is under way and @fd is -1. Return: false: @fd is not
 * readable; without @wait it is not known.
 */
bool fs_poll_io(int fd, bool wait);
/*
 * May clients store to @len bytes of it without a fault, to be found by scanning
 * (VM_UFFD_ASYNC)? Once true, until its last mapping goes. Context: as
 * fs_map_offer().
 */
bool fs_may_scan(struct vm_file *file, loff_t len);
/* nodeid of the file, for people and tests. */
uint64_t fs_file_nodeid(const struct vm_file *file);
/* Device number of the mount; 0 before fuse_serve_start(). */
dev_t fs_mount_dev(void);
/* Where clients connect: what PAGEFS_IOC_INFO and .pagefs/socket say. @path is
 * copied; at most 107 bytes. NULL: nowhere. */
void fs_set_socket(const char *path);

/* ---- for who shows what happens: daemon/http*.c ---- */

/* What .pagefs/http says, as fs_set_socket(). NULL: nothing. */
void fs_set_http(const char *url);

/*
 * .pagefs/trace without the file: lines of JSON, of all events from now on. It
 * never waits, and may be read until fs_umount(). One thread's at a time.
 */
struct trace_file;
/* Return: ERR_PTR(-EUSERS): there are as many readers as can be; -ENOMEM,
 * -EOPNOTSUPP. */
struct trace_file *trace_file_new(void);
void trace_file_free(struct trace_file *file);
/* Only @events, bits of 1 << enum trace_event. */
void trace_file_select(struct trace_file *file, unsigned int events);
/* Whole lines, as many as there are and have room; part of one if a reader asks
 * for less than a line. Return: bytes; 0: there is nothing. */
size_t trace_file_read(struct trace_file *file, char *buf, size_t size);

/* All that is dirty to the store, and the store to its device. Return: 0 or the
 * first error met. */
int fs_sync(void);

/* A device of the store. Counts are of our requests alone, ever. */
struct fs_device {
	char name[64];			/* "sda1"; "pagefs": no block device */
	unsigned long reads, writes;	/* requests */
	unsigned long read_bytes, written_bytes;
	unsigned long errors;		/* requests that failed */
	unsigned long writeback_bytes;	/* being written now */
	unsigned long bandwidth;	/* of writing, bytes a second: estimated */
	unsigned long busy_us;		/* time it had something to write */
	unsigned int flushers;		/* at work on it now */
};
/* Context: any thread, from fs_mount() to fs_umount(). Return: false: there are
 * not so many. */
bool fs_get_device(unsigned int nth, struct fs_device *dev);

/* ---- swap areas: fs/swapon.c ---- */

struct fs_swap {
	char path[256];
	uint64_t size;		/* bytes; 0: not given, it is there already */
	int prio;		/* -1: below those there are */
};

/**
 * fs_parse_swap - "PATH[:SIZE[:PRIO]]"; SIZE with K, M, G, T; a path has no colon
 * @buf: receives why not, in words
 * Return: 0, -EINVAL, -ENAMETOOLONG.
 */
int fs_parse_swap(const char *text, struct fs_swap *swap, char *buf, size_t size);

/**
 * fs_swapon - use an area, made if there is nothing and a size is given
 * @swap: its path is absolute
 * @buf:  receives why not, in words
 * Context: after fuse_serve_start(); may sleep. Return: 0, or
 *   -EINVAL  it is none, has holes, or lies where it cannot be
 *   -EBUSY   in use, here or elsewhere
 *   -EAGAIN  another is just being turned on
 *   -EPROTONOSUPPORT, -EUCLEAN, -EFBIG, -EPERM, -ENOMEM: as swap_on();
 *   what opening or making it met
 */
int fs_swapon(const struct fs_swap *swap, char *buf, size_t size);

#endif /* PAGEFS_FS_H */
