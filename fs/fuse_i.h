/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * fs/fuse_i.h - what the files that speak FUSE know of each other
 *
 *   kernel --/dev/fuse--> fuse_loop.c --> libfuse --> op_* --> fs_*()
 *             ^                             |
 *             +---- loop_writev() <---------+   replies, on the same thread
 *             +---- notify.c                    invalidations, on its own
 *
 *   fuse_ops.c    the table; names and attributes
 *   fuse_file.c   data of regular files and of control files
 *   fuse_dir.c    directory listings
 *   ctl_trace.c   .pagefs/trace; trace_file.c: one that is open
 *   fuse_handle.c file handles: numbers the kernel gives back to us
 *   fuse_init.c   what is agreed at INIT
 *   fuse_loop.c   the worker threads
 *   mount.c       session, mount and umount; the pagefs_fs.h interface
 *
 * Every op_* ends with exactly one reply, whatever happens, and answers in
 * the thread it was called in; but that reads of .pagefs/trace may wait.
 */
#ifndef PAGEFS_FUSE_I_H
#define PAGEFS_FUSE_I_H

#define FUSE_USE_VERSION 314
#include <fuse_lowlevel.h>

#include "internal.h"

/*
 * How long the kernel may keep names and attributes, seconds. Only this mount
 * changes the backing directory, and the kernel sees all that goes through the
 * mount, so: for good. A day is arbitrary.
 */
#define FUSE_KEEP_SECS		86400.0
/*
 * The same for a file whose blocks are not all allocated yet: st_blocks will
 * change behind the kernel's back. Arbitrary; du may be wrong for so long.
 */
#define FUSE_KEEP_DIRTY_SECS	1.0

/* The largest READ; a run may begin and end inside a page. */
#define FUSE_MAX_READ_PAGES	(MAX_RUN_PAGES + 1)
/*
 * The largest WRITE, bytes. Each worker has a buffer of this size, and they
 * count as program memory: 32 of 512 KiB are half of the 32 MiB there are.
 */
#define FUSE_MAX_WRITE		SZ_1M

static inline unsigned int fuse_max_write(void)
{
	return min_t(unsigned int, sb.max_io, FUSE_MAX_WRITE);
}

/* ---- fuse_ops.c ---- */

extern const struct fuse_lowlevel_ops pagefs_ops;

/* The one place where our negative errnos become FUSE's positive ones. */
void reply_err(fuse_req_t req, int err);

/*
 * The inode @ino names, referenced. NULL: the request has been answered, with
 * @ctl_err if @ino is a control file.
 */
struct inode *op_inode(fuse_req_t req, fuse_ino_t ino, int ctl_err);
/* The same for the directory @parent in which @name is to change. */
struct inode *op_dir(fuse_req_t req, fuse_ino_t parent, const char *name);

/*
 * Fill @e for a reply, which makes the kernel know @inode once more; undone by
 * inode_forget() if the reply does not reach it. Return: 0 or -errno.
 */
int fill_entry(struct inode *inode, struct fuse_entry_param *e);

/* Asked before op_inode() and its kind, which may answer, and end, @req. */
static inline struct fs_cred op_cred(fuse_req_t req)
{
	const struct fuse_ctx *ctx = fuse_req_ctx(req);

	return (struct fs_cred){ .uid = ctx->uid, .gid = ctx->gid };
}

/* ---- fuse_file.c ---- */

void op_open(fuse_req_t req, fuse_ino_t ino, struct fuse_file_info *fi);
void op_create(fuse_req_t req, fuse_ino_t parent, const char *name, mode_t mode,
	       struct fuse_file_info *fi);
void op_read(fuse_req_t req, fuse_ino_t ino, size_t len, off_t pos,
	     struct fuse_file_info *fi);
void op_write(fuse_req_t req, fuse_ino_t ino, const char *buf, size_t len,
	      off_t pos, struct fuse_file_info *fi);
void op_flush(fuse_req_t req, fuse_ino_t ino, struct fuse_file_info *fi);
void op_release(fuse_req_t req, fuse_ino_t ino, struct fuse_file_info *fi);
void op_fsync(fuse_req_t req, fuse_ino_t ino, int datasync,
	      struct fuse_file_info *fi);
void op_fallocate(fuse_req_t req, fuse_ino_t ino, int mode, off_t pos,
		  off_t len, struct fuse_file_info *fi);
void op_lseek(fuse_req_t req, fuse_ino_t ino, off_t pos, int whence,
	      struct fuse_file_info *fi);
void op_copy_file_range(fuse_req_t req, fuse_ino_t ino_in, off_t pos_in,
			struct fuse_file_info *fi_in, fuse_ino_t ino_out,
			off_t pos_out, struct fuse_file_info *fi_out,
			size_t len, int flags);

/*
 * Bytes written on behalf of nobody (by the kernel's writeback) that had to be
 * refused, since the last call; *@errp says why the last of them. The kernel
 * drops such pages, and tells who syncs or closes the file; but when the mount
 * is going that is nobody.
 */
unsigned long fuse_take_lost(int *errp);

/* ---- fuse_dir.c ---- */

void op_opendir(fuse_req_t req, fuse_ino_t ino, struct fuse_file_info *fi);
void op_releasedir(fuse_req_t req, fuse_ino_t ino, struct fuse_file_info *fi);
void op_fsyncdir(fuse_req_t req, fuse_ino_t ino, int datasync,
		 struct fuse_file_info *fi);
void op_readdir(fuse_req_t req, fuse_ino_t ino, size_t size, off_t off,
		struct fuse_file_info *fi);
void op_readdirplus(fuse_req_t req, fuse_ino_t ino, size_t size, off_t off,
		    struct fuse_file_info *fi);

/* ---- ctl_trace.c ---- */

struct trace_file;
void op_trace_open(fuse_req_t req, struct fuse_file_info *fi);
/* The reply may come later. */
void op_trace_read(fuse_req_t req, size_t size, struct fuse_file_info *fi);
void op_trace_write(fuse_req_t req, const char *buf, size_t len, uint64_t fh);
void ctl_trace_release(struct trace_file *file);
/* The thread that answers reads. Return: 0 or -errno. */
int ctl_trace_start(void);
/* From now on a reader gets what is left, and then the end of the file. */
void ctl_trace_stop(void);
/* Waits, not for long, until the readers have it. Context: the workers serve. */
void ctl_trace_drain(void);
void ctl_trace_exit(void);

/* ---- fuse_handle.c ---- */

enum handle_kind {
	HANDLE_FILE,		/* struct open_file */
	HANDLE_DIR,		/* struct open_dir */
	HANDLE_CTL,		/* struct ctl_handle */
	HANDLE_TRACE,		/* struct trace_file */
};

void handle_init(void);
/* Releases what the kernel never did: it was cut off with files open. */
void handle_exit(void);
/* A new number for @obj. Context: no locks. Return: 0 or -ENOMEM. */
int handle_add(enum handle_kind kind, void *obj, uint64_t *fhp);
/* The object, or NULL if @fh is no handle of @kind. */
void *handle_get(enum handle_kind kind, uint64_t fh);
/* The same, and the number is void from now on. */
void *handle_del(enum handle_kind kind, uint64_t fh);
/* Releases an object of @kind. */
void handle_put_object(enum handle_kind kind, void *obj);

/* ---- fuse_init.c ---- */

/* libfuse's init operation: what it can negotiate itself. */
void op_init(void *userdata, struct fuse_conn_info *conn);
/* An INIT request was read: notes the kernel's offer. */
void fuse_init_request(const void *buf, size_t len);
/* writev() of the reply to it, completed with what libfuse does not know. */
ssize_t fuse_init_reply(int fd, const struct iovec *iov, int count);

/* ---- fuse_loop.c ---- */

#define FUSE_MAX_WORKERS	32

extern const struct fuse_custom_io fuse_loop_io;

/*
 * Start workers on @se, mounted. Returns when the kernel and we have agreed on
 * the protocol: 0, or -errno, and then nothing runs.
 */
int fuse_loop_start(struct fuse_session *se, void (*ended)(void *arg), void *arg);
/* Each worker finishes its request and leaves. */
void fuse_loop_stop(void);
/* The kernel has ended the session. */
bool fuse_loop_ended(void);

/*
 * The device of the request at work, for its reply by another thread, which
 * then closes it. Context: a worker. Return: a descriptor or -errno.
 */
int fuse_loop_keep_device(void);
/* What this thread, no worker, replies to came in on @fd; -1: that is over. */
void fuse_loop_reply_on(int fd);

/* There is something to do for it before its next tick. */
void fuse_loop_wake_manager(void);

/* ---- fuse_place.c ---- */

/* @low_latency: CPUs may be kept from sleep while requests come. */
void place_init(bool low_latency);
void place_exit(void);
/* The calling thread is worker @id from now on; is none any more. */
void place_thread_begin(unsigned int id);
void place_thread_end(void);
/* Returns when this worker may read a request, or @stays() says no. */
void place_enter(bool (*stays)(void));
/* A request was read, of the thread @tid (0: nobody's). */
void place_received(uint32_t opcode, uint32_t tid);
/* What stays() says may have changed. */
void place_kick(void);
/* By the manager, every place_tick_ms() unless that is 0. */
void place_tick(void);
unsigned int place_tick_ms(void);

#endif /* PAGEFS_FUSE_I_H */
