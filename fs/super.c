// SPDX-License-Identifier: BSD-2-Clause
/*
 * fs/super.c - the mount as a whole
 *
 *   fs_init:  descriptors, backing root (flock), checks -> bdi -> backing I/O
 *             -> descriptor cache -> inodes, root
 *   fs_exit:  sync, count what is lost, and the same backwards
 *
 * I1. One daemon serves a backing directory at a time: it holds a lock on the
 *     directory itself, which goes with the process however it ends.
 * I2. The directory is reached through root_fd only. The mount may cover it,
 *     or its path may change; and a mountpoint inside it is refused, for then
 *     we would wait for ourselves.
 *
 * Locks: none of its own; fs_init and fs_exit run alone.
 */
#include <errno.h>
#include <fcntl.h>
#include <linux/magic.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/resource.h>
#include <sys/vfs.h>
#include <unistd.h>

#include "internal.h"
#include "pagefs_fs.h"
#include "swapfile.h"

struct super_block sb = { .root_fd = -1 };

static __printf(2, 3) void log_nowhere(int level, const char *fmt, ...)
{
	(void)level, (void)fmt;
}

void (*fs_log)(int level, const char *fmt, ...) = log_nowhere;

int complain(const struct message *msg, int err, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(msg->buf, msg->size, fmt, ap);
	va_end(ap);
	return err;
}

/* ---- descriptors ---- */

/* Taken as the most that is any use; fs.nr_open's default. */
#define NOFILE_WANTED	(1UL << 20)

static unsigned long read_nr_open(void)
{
	unsigned long nr = NOFILE_WANTED;
	FILE *f = fopen("/proc/sys/fs/nr_open", "re");

	if (!f)
		return nr;
	if (fscanf(f, "%lu", &nr) != 1)
		nr = NOFILE_WANTED;
	fclose(f);
	return min(nr, NOFILE_WANTED);
}

/*
 * Bytes of memory for each idle descriptor that is kept. Each pins about 1.5
 * KiB of the kernel's (file, dentry, inode) where nothing can reclaim them, so
 * this is about a third of --memory at most, and half of it seldom used.
 */
#define BYTES_PER_FD	PAGE_SIZE

/*
 * Each time a process outgrows its table of descriptors, all its threads wait
 * for the kernel's grace period (5-10 ms). So it is made large at once.
 */
static void grow_fd_table(unsigned long nr)
{
	int fd = fcntl(STDERR_FILENO, F_DUPFD_CLOEXEC, (int)nr - 1);

	if (fd >= 0)
		close(fd);
}

/* As many as we may have. Not getting them is no failure: there are fewer. */
static void raise_nofile(void)
{
	struct rlimit rl, want;
	unsigned long keep;

	if (getrlimit(RLIMIT_NOFILE, &rl))
		return;
	want = rl;
	want.rlim_cur = rl.rlim_max;
	if (sb.is_root && rl.rlim_max < read_nr_open())
		want.rlim_cur = want.rlim_max = read_nr_open();
	if (!setrlimit(RLIMIT_NOFILE, &want))
		rl = want;
	keep = min_t(unsigned long, sb.opts.memory / BYTES_PER_FD,
		     NOFILE_WANTED);
	keep = min_t(unsigned long, keep, rl.rlim_cur);
	fdcache_set_limit(keep);
	grow_fd_table(keep);
}

/* ---- the backing directory ---- */

static int open_root(struct message *msg)
{
	const char *dir = sb.opts.backing_dir;
	int fd = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC), err;

	if (fd < 0) {
		err = -errno;
		return complain(msg, err, "cannot open backing directory %s: %s",
				dir, strerror(-err));
	}
	if (!flock(fd, LOCK_EX | LOCK_NB)) {			/* I1 */
		sb.root_fd = fd;
		return 0;
	}
	err = -errno;
	close(fd);
	if (err == -EWOULDBLOCK)
		return complain(msg, -EBUSY,
				"%s is already served by another pagefsd", dir);
	return complain(msg, err, "cannot lock %s: %s", dir, strerror(-err));
}

static void close_root(void)
{
	close(sb.root_fd);	/* and with it the lock */
	sb.root_fd = -1;
}

/* ---- the mountpoint ---- */

static bool same_file(const struct stat *a, const struct stat *b)
{
	return a->st_dev == b->st_dev && a->st_ino == b->st_ino;
}

/* A dead server's mount: attributes may still come from the kernel's cache. */
static bool is_stale(const char *mnt)
{
	struct statvfs st;

	return statvfs(mnt, &st) && errno == ENOTCONN;
}

/* No mount's root in a chroot, and yet nothing to mount on. */
static bool is_root_dir(const char *mnt)
{
	struct stat st, root;

	return !stat(mnt, &st) && !stat("/", &root) && same_file(&st, &root);
}

static int check_dir(const char *mnt, struct message *msg)
{
	struct statx stx;
	int err;

	if (is_stale(mnt))
		return complain(msg, -ENOTCONN,
				"%s: a FUSE mount whose server is gone; unmount it first (umount -l, or fusermount3 -u)",
				mnt);
	if (statx(AT_FDCWD, mnt, 0, STATX_BASIC_STATS, &stx)) {
		err = -errno;
		return complain(msg, err, "mountpoint %s: %s", mnt,
				strerror(-err));
	}
	if (!S_ISDIR(stx.stx_mode))
		return complain(msg, -ENOTDIR,
				"mountpoint %s is not a directory", mnt);
	if ((stx.stx_attributes & STATX_ATTR_MOUNT_ROOT) || is_root_dir(mnt))
		return complain(msg, -EBUSY,
				"%s is busy: already a mountpoint", mnt);
	return 0;
}

bool fs_is_below_root(int fd)
{
	struct stat root, st, before = { .st_ino = 0 };
	bool found = false;

	BUG_ON(fstat(sb.root_fd, &root));
	while (fd >= 0 && !fstat(fd, &st)) {
		int up;

		found = same_file(&st, &root);
		if (found || same_file(&st, &before))
			break;		/* ".." of / is / */
		before = st;
		up = openat(fd, "..", O_PATH | O_DIRECTORY | O_CLOEXEC);
		close(fd);
		fd = up;
	}
	if (fd >= 0)
		close(fd);
	return found;
}

/* By identity and not by name, so that links and bind mounts do not deceive. */
static int check_outside(const char *mnt, struct message *msg)
{
	int fd = open(mnt, O_PATH | O_DIRECTORY | O_CLOEXEC);

	if (fd < 0)
		return complain(msg, -errno, "cannot look at %s", mnt);
	if (fs_is_below_root(fd))
		return complain(msg, -EINVAL,
				"mountpoint %s is inside the backing directory %s",
				mnt, sb.opts.backing_dir);
	return 0;
}

static int check_mountpoint(struct message *msg)
{
	const char *mnt = sb.opts.mountpoint;
	int err;

	if (!mnt)
		return 0;	/* tests do without */
	err = check_dir(mnt, msg);
	return err ? err : check_outside(mnt, msg);
}

/* ---- begin ---- */

/* A read or write of 1/256 of memory is no burden; a power of two, bytes. */
static unsigned int choose_max_io(size_t memory)
{
	size_t bytes = 64 * SZ_1K;

	while (bytes < SZ_1M && bytes * 2 <= memory / 256)
		bytes *= 2;
	return (unsigned int)bytes;
}

static int init_device(struct message *msg)
{
	struct statfs sfs;
	int err;

	if (fstatfs(sb.root_fd, &sfs))
		return complain(msg, -errno, "cannot look at %s",
				sb.opts.backing_dir);
	err = bdi_init(&sb.bdi);
	if (err)
		return complain(msg, err, "cannot set up writeback: %s",
				strerror(-err));
	/* btrfs checksums what it writes; the bytes must hold still. */
	sb.bdi.stable_writes = sfs.f_type == BTRFS_SUPER_MAGIC;
	return 0;
}

static int init_parts(struct message *msg)
{
	const char *what = "disk I/O";
	int err;

	space_init();
	err = backing_init();
	if (err)
		goto out;
	what = "the descriptor cache";
	err = fdcache_init();
	if (err)
		goto out_backing;
	what = "the inode table";
	err = inode_init();
	if (err)
		goto out_fdcache;
	return 0;

out_fdcache:
	fdcache_exit();
out_backing:
	backing_exit();
out:
	return complain(msg, err, "cannot set up %s: %s", what, strerror(-err));
}

static void set_up(const struct fs_options *opts)
{
	sb.opts = *opts;
	sb.is_root = geteuid() == 0;
	sb.max_io = choose_max_io(opts->memory);
	sb.mnt_dev = 0;
	sb.direct_mmap = false;
	clock_gettime(CLOCK_REALTIME, &sb.mount_time);
	init_rwsem(&sb.rename_lock, LOCK_RENAME);
	umask(0);	/* the kernel has applied the caller's */
	raise_nofile();
}

int fs_init(const struct fs_options *opts, char *msg, size_t msg_size)
{
	struct message m = { msg, msg_size };
	int err;

	set_up(opts);
	err = cred_init();
	if (err)
		complain(&m, err, "cannot read capabilities: %s", strerror(-err));
	if (!err)
		err = open_root(&m);
	if (err)
		goto out;
	err = check_mountpoint(&m);
	if (err)
		goto out_root;
	err = init_device(&m);
	if (err)
		goto out_root;
	err = init_parts(&m);
	if (err)
		goto out_bdi;
	return 0;

out_bdi:
	bdi_destroy(&sb.bdi);
out_root:
	close_root();
out:
	destroy_rwsem(&sb.rename_lock);
	return err;
}

/* ---- at work ---- */

dev_t fs_mount_dev(void)
{
	return sb.mnt_dev;
}

int fs_statfs(struct statvfs *st)
{
	return fstatvfs(sb.root_fd, st) ? -errno : 0;
}

int fs_sync(void)
{
	int err = sync_bdi(&sb.bdi);

	if (syncfs(sb.root_fd) && !err)
		err = -errno;
	return err;
}

/* ---- end ---- */

int fs_exit(unsigned long *lostp)
{
	int err;

	swapoff_stop();
	swap_off_all();
	err = fs_sync();
	*lostp = inode_dirty_bytes();
	inode_exit();
	fdcache_exit();
	backing_exit();
	bdi_destroy(&sb.bdi);
	/* Times stored at eviction. */
	if (syncfs(sb.root_fd) && !err)
		err = -errno;
	close_root();
	destroy_rwsem(&sb.rename_lock);
	return err;
}
