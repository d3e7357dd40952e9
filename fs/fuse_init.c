// SPDX-License-Identifier: BSD-2-Clause
/*
 * fs/fuse_init.c - what is agreed with the kernel at INIT
 *
 *   kernel                    libfuse                     this file
 *     | INIT: flags offered      |                            |
 *     |--------------------------+---- fuse_init_request() -->| notes the offer
 *     |                          |---- op_init() ------------>| what libfuse knows
 *     | reply: flags agreed      |---- fuse_init_reply() ---->| adds the rest
 *     |<--------------------------------------------------------'
 *
 * libfuse 3.14 knows the protocol as of 7.31 and the flags of that time, and
 * forgets to send PARALLEL_DIROPS; 3.17 and newer know all we use. So the
 * reply is completed on its way out. With a newer library that finds nothing
 * left to add.
 *
 * I1. A bit is set in the reply only if the kernel offered it.
 * I2. The minor version in the reply stays libfuse's: the kernel reads flags,
 *     flags2 (behind INIT_EXT) and max_pages by their bits, not by it, and
 *     it says how libfuse lays out every other message.
 *
 * Called by one worker, for the first request of the session; no locks.
 */
#include <stddef.h>
#include <string.h>
#include <sys/uio.h>
#include <linux/fuse.h>

#include "fuse_i.h"

/* Newer than Debian 12's <linux/fuse.h>: Linux 6.6. */
#ifndef FUSE_DIRECT_IO_ALLOW_MMAP
#define FUSE_DIRECT_IO_ALLOW_MMAP	(1ULL << 36)
#endif

/*
 * PARALLEL_DIROPS	lookups and listings of one directory side by side
 * HANDLE_KILLPRIV_V2	inode_kill_priv() takes set-id bits away; otherwise the
 *			kernel asks for security.capability before every write
 * INIT_EXT		there are flags2
 * DIRECT_IO_ALLOW_MMAP	MAP_SHARED works (SQLite, LMDB) where the kernel does
 *			not cache: with cache=none, and of files that clients
 *			have mapped
 */
static const struct init_flag {
	uint64_t bit;
	const char *name;
} init_flags[] = {
	{ FUSE_PARALLEL_DIROPS, "parallel_dirops" },
	{ FUSE_HANDLE_KILLPRIV_V2, "handle_killpriv_v2" },
	{ FUSE_INIT_EXT, "init_ext" },
	{ FUSE_DIRECT_IO_ALLOW_MMAP, "direct_io_allow_mmap" },
};

/* (C) after INIT. */
static struct {
	uint32_t major, minor;		/* the kernel's */
	uint64_t offered;
} kernel;

/*
 * The kernel is told not to throw its copies away when it sees new times or
 * sizes (AUTO_INVAL_DATA): they are always its own doing.
 */
static unsigned int wanted_caps(void)
{
	unsigned int want = FUSE_CAP_ASYNC_READ | FUSE_CAP_ASYNC_DIO |
		FUSE_CAP_ATOMIC_O_TRUNC | FUSE_CAP_PARALLEL_DIROPS |
		FUSE_CAP_READDIRPLUS | FUSE_CAP_READDIRPLUS_AUTO |
		FUSE_CAP_CACHE_SYMLINKS | FUSE_CAP_EXPLICIT_INVAL_DATA |
		FUSE_CAP_IOCTL_DIR;	/* else libfuse answers those itself */

	if (sb.opts.cache == FS_CACHE_WRITEBACK)
		want |= FUSE_CAP_WRITEBACK_CACHE;
	return want;
}

void op_init(void *userdata, struct fuse_conn_info *conn)
{
	(void)userdata;
	/* Everything else off: splicing costs more than it saves here, and
	 * EXPORT_SUPPORT promises lookups of "." and ".." by nodeid. */
	conn->want = wanted_caps() & conn->capable;
	conn->max_write = fuse_max_write();
	conn->time_gran = 1;	/* ns */
	/* Read-ahead and writeback of the kernel leave most workers to
	 * requests somebody waits for. Arbitrary. */
	conn->max_background = FUSE_MAX_WORKERS * 2 / 5;
	conn->congestion_threshold = conn->max_background * 3 / 4;
	if (sb.opts.cache == FS_CACHE_WRITEBACK &&
	    !(conn->want & FUSE_CAP_WRITEBACK_CACHE)) {
		fs_log(LOG_WARNING, "the kernel has no writeback cache for FUSE: using cache=through");
		sb.opts.cache = FS_CACHE_THROUGH;	/* before any other op */
	}
}

void fuse_init_request(const void *buf, size_t len)
{
	const struct fuse_init_in *in = (const void *)
		((const char *)buf + sizeof(struct fuse_in_header));

	len -= min(len, sizeof(struct fuse_in_header));
	if (len < offsetof(struct fuse_init_in, flags2))
		return;
	kernel.major = in->major;
	kernel.minor = in->minor;
	kernel.offered = in->flags;
	if ((in->flags & FUSE_INIT_EXT) &&
	    len >= offsetof(struct fuse_init_in, unused))
		kernel.offered |= (uint64_t)in->flags2 << 32;
}

static void log_agreed(const struct fuse_init_out *out, uint64_t flags)
{
	for (size_t i = 0; i < ARRAY_SIZE(init_flags); i++)
		fs_log(LOG_DEBUG, "fuse: %s: %s", init_flags[i].name,
		       flags & init_flags[i].bit ? "yes" : "no");
	fs_log(LOG_DEBUG, "fuse: kernel 7.%u offers %#llx, agreed %#llx; max_write %u, max_pages %u, max_background %u",
	       kernel.minor, (unsigned long long)kernel.offered,
	       (unsigned long long)flags, out->max_write, out->max_pages,
	       out->max_background);
	if (sb.opts.cache == FS_CACHE_NONE &&
	    !(flags & FUSE_DIRECT_IO_ALLOW_MMAP))
		fs_log(LOG_WARNING, "cache=none: this kernel refuses shared mappings of files (Linux 6.6 allows them)");
}

static void complete_reply(struct fuse_init_out *out)
{
	uint64_t flags = out->flags | (uint64_t)out->flags2 << 32;

	for (size_t i = 0; i < ARRAY_SIZE(init_flags); i++)
		flags |= init_flags[i].bit & kernel.offered;	/* I1 */
	sb.direct_mmap = flags & FUSE_DIRECT_IO_ALLOW_MMAP;
	out->flags = (uint32_t)flags;
	out->flags2 = (uint32_t)(flags >> 32);
	/* libfuse makes reads as small as writes; ours need no buffer. */
	if (flags & FUSE_MAX_PAGES)
		out->max_pages = (uint16_t)(sb.max_io >> PAGE_SHIFT);
	log_agreed(out, flags);
}

ssize_t fuse_init_reply(int fd, const struct iovec *iov, int count)
{
	struct fuse_init_out out;
	struct iovec piece[2];

	/* An error, or a reply to a kernel of before flags2 was thought of. */
	if (count != 2 || iov[1].iov_len != sizeof(out) || kernel.major != 7)
		return writev(fd, iov, count);
	memcpy(&out, iov[1].iov_base, sizeof(out));
	complete_reply(&out);
	piece[0] = iov[0];
	piece[1] = (struct iovec){ .iov_base = &out, .iov_len = sizeof(out) };
	return writev(fd, piece, 2);
}
