// SPDX-License-Identifier: BSD-2-Clause
/*
 * fs/swapon.c - may it be a swap area? Then it is turned on, and later off
 *
 *   "PATH[:SIZE[:PRIO]]" --fs_parse_swap--> fs_swap --fs_swapon-->
 *       create_empty   there is nothing, and SIZE says how much there shall be
 *       look_at        what it is, where it lies, who has it
 *       open_it        descriptors; the lock
 *       fill, or measure
 *       swap_on        the header
 *
 * I1. What has been there before is never written to: only what was created
 *     here gets a header, and is removed again if it does not come to be used.
 * I2. An area's file is locked (flock) as long as it is one. The lock goes with
 *     the process, however it ends.
 * I3. No area is reached through our own mount, nor by whoever uses that: pages
 *     would have to leave memory through us, to whom memory is missing; and
 *     others' memory is in there.
 *
 * Each refusal is put in words here, where the reason is known; errno follows
 * swapon(2) where that has one.
 *
 * Locks:  none; areas are turned on one at a time (turning_on).
 * Source: util-linux sys-utils/swapon.c, mkswap.c; Linux mm/swapfile.c.
 */
#include <fcntl.h>
#include <libgen.h>
#include <limits.h>
#include <linux/fs.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "pagefs_fs.h"
#include "swapdev.h"
#include "vmalloc.h"

static atomic_flag turning_on = ATOMIC_FLAG_INIT;

/* ---- "PATH[:SIZE[:PRIO]]" ---- */

static int parse_bytes(const char *text, uint64_t *bytesp)
{
	static const char units[] = "KMGT";
	unsigned int shift = 0;
	const char *unit;
	char *end;

	if (*text < '0' || *text > '9')		/* strtoull takes " -1" */
		return -EINVAL;
	errno = 0;
	*bytesp = strtoull(text, &end, 10);
	if (errno)
		return -errno;
	if (*end) {
		unit = strchr(units, *end & ~0x20);	/* upper case */
		if (!unit || end[1])
			return -EINVAL;
		shift = 10 * (unsigned int)(unit - units + 1);
	}
	if (*bytesp > (uint64_t)LLONG_MAX >> shift)
		return -ERANGE;
	*bytesp <<= shift;
	return 0;
}

static int parse_prio(const char *text, int *priop)
{
	char *end;
	long prio = strtol(text, &end, 10);

	if (*text < '0' || *text > '9' || *end || prio > SWAP_PRIO_MAX)
		return -EINVAL;
	*priop = (int)prio;
	return 0;
}

/* @size and @prio are what follows the colons, or NULL. */
static int parse_numbers(struct fs_swap *swap, const char *size,
			 const char *prio, const struct message *msg)
{
	swap->size = 0;
	swap->prio = -1;
	if (size && *size && parse_bytes(size, &swap->size))
		return complain(msg, -EINVAL, "%s: %s is not a size; say for example 2G",
				swap->path, size);
	if (size && *size && swap->size < SWAP_MIN_SLOTS * PAGE_SIZE)
		return complain(msg, -EINVAL, "%s: %s is too small; the least is %luK",
				swap->path, size, SWAP_MIN_SLOTS * PAGE_SIZE / SZ_1K);
	if (prio && parse_prio(prio, &swap->prio))
		return complain(msg, -EINVAL, "%s: %s is not a priority; they are 0 to %d",
				swap->path, prio, SWAP_PRIO_MAX);
	return 0;
}

int fs_parse_swap(const char *text, struct fs_swap *swap, char *buf, size_t size)
{
	const struct message msg = { buf, size };
	char fields[sizeof(swap->path) + 64], *size_text, *prio_text = NULL;

	if (!*text || *text == ':')
		return complain(&msg, -EINVAL, "no path of a swap area given");
	if (strlen(text) >= sizeof(fields) ||
	    strcspn(text, ":") >= sizeof(swap->path))
		return complain(&msg, -ENAMETOOLONG, "%s: too long; the path has at most %zu bytes",
				text, sizeof(swap->path) - 1);
	strcpy(fields, text);
	size_text = strchr(fields, ':');
	if (size_text)
		*size_text++ = '\0';
	if (size_text)
		prio_text = strchr(size_text, ':');
	if (prio_text)
		*prio_text++ = '\0';
	strcpy(swap->path, fields);
	return parse_numbers(swap, size_text, prio_text, &msg);
}

/* ---- looking at it ---- */

/* \040 and the like, in place, as the kernel shows what would end a field. */
static void unescape(char *s)
{
	char *to = s;

	for (; *s; s++, to++) {
		*to = *s;
		if (s[0] == '\\' && s[1] >= '0' && s[1] <= '3' && s[2] && s[3]) {
			*to = (char)((s[1] - '0') << 6 | (s[2] - '0') << 3 |
				     (s[3] - '0'));
			s += 3;
		}
	}
	*to = '\0';
}

static bool is_same(const struct stat *a, const struct stat *b)
{
	if (S_ISBLK(a->st_mode) && S_ISBLK(b->st_mode))
		return a->st_rdev == b->st_rdev;
	return a->st_dev == b->st_dev && a->st_ino == b->st_ino;
}

static bool kernel_swaps_to(const struct stat *st)
{
	FILE *f = fopen("/proc/swaps", "re");
	char line[2 * PATH_MAX];
	struct stat theirs;
	bool found = false;

	while (f && !found && fgets(line, sizeof(line), f)) {
		line[strcspn(line, " \t\n")] = '\0';
		unescape(line);
		found = line[0] == '/' && !stat(line, &theirs) &&
			is_same(st, &theirs);
	}
	if (f)
		fclose(f);
	return found;
}

static bool area_of_ours(const char *path)
{
	struct swap_area_info info;

	for (unsigned int i = 0; swap_area_info(i, &info); i++)
		if (!strcmp(info.path, path))
			return true;
	return false;
}

/* I3: in a directory whose files are seen in the mount. */
static bool is_in_backing_dir(const char *path)
{
	char copy[PATH_MAX];

	snprintf(copy, sizeof(copy), "%s", path);
	return fs_is_below_root(open(dirname(copy),
				     O_PATH | O_DIRECTORY | O_CLOEXEC));
}

/* swapon(8) says the same, and goes on as well. */
static void warn_of_rights(const char *path, const struct stat *st)
{
	if (!S_ISREG(st->st_mode))
		return;
	if (st->st_mode & 07077)
		fs_log(LOG_WARNING, "%s: insecure permissions %04o, 0600 suggested",
		       path, st->st_mode & 07777);
	if (st->st_uid != geteuid())
		fs_log(LOG_WARNING, "%s: insecure file owner %u, %u suggested",
		       path, st->st_uid, geteuid());
}

static int look_at(const char *path, struct stat *st, const struct message *msg)
{
	int fd = open(path, O_PATH | O_CLOEXEC), err;

	err = fd < 0 || fstat(fd, st) ? -errno : 0;
	if (fd >= 0)
		close(fd);
	if (err)
		return complain(msg, err, "%s: %s", path, strerror(-err));
	if (!S_ISREG(st->st_mode) && !S_ISBLK(st->st_mode))
		return complain(msg, -EINVAL, "%s: neither a file nor a block device",
				path);
	if (sb.mnt_dev && st->st_dev == sb.mnt_dev)
		return complain(msg, -EINVAL, "%s: lies in the mount that it is to serve",
				path);
	if (S_ISREG(st->st_mode) && is_in_backing_dir(path))
		return complain(msg, -EINVAL, "%s: lies in the backing directory, where users of the mount can reach it",
				path);
	if (area_of_ours(path))
		return complain(msg, -EBUSY, "%s: is a swap area here already",
				path);
	if (kernel_swaps_to(st))
		return complain(msg, -EBUSY, "%s: in use by the kernel, for its own swap",
				path);
	return 0;
}

/* ---- opening it ---- */

/* Bytes that direct I/O has to be aligned to; 0: it cannot be. */
static unsigned int direct_alignment(int fd)
{
	struct statx stx;

	if (statx(fd, "", AT_EMPTY_PATH, STATX_DIOALIGN, &stx) ||
	    !(stx.stx_mask & STATX_DIOALIGN))
		return PAGE_SIZE;	/* before Linux 6.1: try */
	if (stx.stx_dio_offset_align > PAGE_SIZE ||
	    stx.stx_dio_mem_align > PAGE_SIZE)
		return 0;
	return stx.stx_dio_offset_align;
}

/* As in fdcache.c: a second descriptor, or I/O is buffered. */
static void open_direct(struct swapdev *sd)
{
	char self[40];

	sd->file.dio_align = direct_alignment(sd->file.fd);
	snprintf(self, sizeof(self), "/proc/self/fd/%d", sd->file.fd);
	if (sd->file.dio_align)
		sd->file.direct_fd = open(self, O_RDWR | O_DIRECT | O_CLOEXEC);
	if (sd->file.direct_fd >= 0)
		return;
	sd->file.direct_fd = -1;
	fs_log(LOG_WARNING, "%s: no direct I/O there: what is swapped out is in the kernel's cache as well",
	       sd->dev.path);
}

static int open_it(struct swapdev *sd, const struct stat *seen,
		   const struct message *msg)
{
	const char *path = sd->dev.path;
	struct stat st;
	int err;

	/* Of a block device: not while it is mounted. */
	sd->file.fd = open(path, O_RDWR | O_CLOEXEC | O_NOFOLLOW |
			   (S_ISBLK(seen->st_mode) ? O_EXCL : 0));
	if (sd->file.fd < 0 || fstat(sd->file.fd, &st)) {
		err = -errno;
		return complain(msg, err, "%s: cannot open: %s", path,
				strerror(-err));
	}
	if (!is_same(&st, seen))
		return complain(msg, -ESTALE, "%s: was replaced while it was looked at",
				path);
	if (flock(sd->file.fd, LOCK_EX | LOCK_NB)) {			/* I2 */
		err = -errno;
		if (err == -EWOULDBLOCK)
			return complain(msg, -EBUSY, "%s: in use by another pagefsd, or by another name",
					path);
		return complain(msg, err, "%s: cannot lock: %s", path,
				strerror(-err));
	}
	warn_of_rights(path, &st);
	sd->dev.is_file = S_ISREG(st.st_mode);
	open_direct(sd);
	return 0;
}

/* ---- what is in it ---- */

/*
 * Blocks, not SEEK_HOLE: to that what was allocated and not yet written is a
 * hole, too. Where a store compresses it says the truth as well: to write there
 * takes room that may be missing.
 */
static int measure(struct swapdev *sd, const struct message *msg)
{
	const char *path = sd->dev.path;
	uint64_t bytes;
	struct stat st;

	if (!sd->dev.is_file) {
		if (ioctl(sd->file.fd, BLKGETSIZE64, &bytes))
			return complain(msg, -errno, "%s: has no size", path);
		sd->dev.size = (loff_t)bytes;
		return 0;
	}
	if (fstat(sd->file.fd, &st))
		return complain(msg, -errno, "%s: cannot be looked at", path);
	if (st.st_blocks * 512 < ALIGN_DOWN(st.st_size, (loff_t)PAGE_SIZE))
		return complain(msg, -EINVAL, "%s: has holes", path);
	sd->dev.size = st.st_size;
	return 0;
}

/* Where the store cannot allocate without. Return: 0 or -errno. */
static int write_zeros(int fd, loff_t size)
{
	char *zeros = vzalloc(SZ_1M);
	loff_t pos = 0;
	int err = 0;

	if (!zeros)
		return -ENOMEM;
	while (pos < size && !err) {
		size_t len = (size_t)min_t(loff_t, size - pos, SZ_1M);
		ssize_t n = pwrite(fd, zeros, len, pos);

		if (n < 0 && errno != EINTR)
			err = -errno;
		pos += max_t(ssize_t, n, 0);
	}
	vfree(zeros);
	return err;
}

/* What a copy-on-write store writes anew takes room each time: ask it not to. */
static void ask_no_cow(int fd)
{
	int flags;

	if (ioctl(fd, FS_IOC_GETFLAGS, &flags))
		return;
	flags |= FS_NOCOW_FL;
	if (ioctl(fd, FS_IOC_SETFLAGS, &flags))
		return;		/* most stores: there is nothing to be asked */
}

/* The new and empty file gets its blocks and a header. */
static int fill(struct swapdev *sd, uint64_t size, const struct message *msg)
{
	int fd = sd->file.fd, err;

	sd->dev.size = (loff_t)ALIGN_DOWN(size, PAGE_SIZE);
	ask_no_cow(fd);
	err = fallocate(fd, 0, 0, sd->dev.size) ? -errno : 0;
	if (err == -EOPNOTSUPP)
		err = write_zeros(fd, sd->dev.size);
	if (!err)
		err = swap_make_header(&sd->dev, NULL);
	if (err)
		return complain(msg, err, "%s: cannot make a swap area of %llu bytes: %s",
				sd->dev.path, (unsigned long long)size,
				strerror(-err));
	return 0;
}

/* ---- on ---- */

/* In words what swap_on() said. */
static int refuse(const struct swapdev *sd, int err, const struct message *msg)
{
	const char *path = sd->dev.path;

	switch (err) {
	case -ENOENT:
		return complain(msg, -EINVAL, "%s: has no header of a swap area; pagefsctl mkswap writes one",
				path);
	case -EPROTONOSUPPORT:
		return complain(msg, err, "%s: a swap area of another version of pagefs",
				path);
	case -EUCLEAN:
		return complain(msg, err, "%s: the header of the swap area is damaged",
				path);
	case -EFBIG:
		return complain(msg, err, "%s: has only %lld bytes, less than its header says",
				path, (long long)sd->dev.size);
	case -EPERM:
		return complain(msg, err, "%s: there are %u swap areas already, and cannot be more",
				path, MAX_SWAPFILES);
	case -ENOMEM:
		return complain(msg, err, "%s: not enough memory for its table; it takes 1/2000 of the area's size",
				path);
	default:
		return complain(msg, err, "%s: %s", path, strerror(-err));
	}
}

/* Return: 1 if it has made one; 0: there is something; -errno. */
static int create_empty(const struct fs_swap *swap, const struct message *msg)
{
	int fd;

	if (!swap->size)
		return 0;
	fd = open(swap->path, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
	if (fd >= 0) {
		close(fd);
		return 1;
	}
	if (errno == EEXIST)
		return 0;
	return complain(msg, -errno, "%s: cannot create: %s", swap->path,
			strerror(errno));
}

/* The name it has without links, by which it is known from now on. */
static int resolve(struct swapdev *sd, const char *path,
		   const struct message *msg)
{
	char *real = realpath(path, NULL);
	int err = real ? 0 : -errno;

	if (real && strlen(real) >= sizeof(sd->dev.path))
		err = -ENAMETOOLONG;
	if (!err)
		strcpy(sd->dev.path, real);
	free(real);
	return err ? complain(msg, err, "%s: %s", path, strerror(-err)) : 0;
}

static int turn_on(const struct fs_swap *swap, struct swapdev *sd, bool is_new,
		   const struct message *msg)
{
	struct stat st;
	int err;

	err = resolve(sd, swap->path, msg);
	if (!err)
		err = look_at(sd->dev.path, &st, msg);
	if (!err)
		err = open_it(sd, &st, msg);
	if (!err)
		err = is_new ? fill(sd, swap->size, msg) : measure(sd, msg);
	if (err)
		return err;
	err = swap_on(&sd->dev, swap->prio);
	return err ? refuse(sd, err, msg) : 0;
}

static int swapon_one(const struct fs_swap *swap, const struct message *msg)
{
	struct swapdev *sd;
	int is_new, err;

	if (swap->path[0] != '/')
		return complain(msg, -EINVAL, "%s: not an absolute path",
				swap->path);
	sd = swapdev_new();
	if (!sd)
		return complain(msg, -ENOMEM, "out of memory");
	is_new = create_empty(swap, msg);
	err = is_new < 0 ? is_new : turn_on(swap, sd, is_new, msg);
	if (err) {
		if (is_new > 0)
			unlink(swap->path);				/* I1 */
		swapdev_free(sd);
		return err;
	}
	fs_log(LOG_INFO, "swap on %s, %lldK", sd->dev.path,
	       (long long)(sd->dev.size / (loff_t)SZ_1K));
	return 0;
}

int fs_swapon(const struct fs_swap *swap, char *buf, size_t size)
{
	const struct message msg = { buf, size };
	int err;

	/* Whoever waited here might be a worker that the other one needs. */
	if (atomic_flag_test_and_set(&turning_on))
		return complain(&msg, -EAGAIN, "%s: another swap area is just being turned on",
				swap->path);
	err = swapon_one(swap, &msg);
	atomic_flag_clear(&turning_on);
	return err;
}

/* ---- off ---- */

void fs_swap_path(const char *path, char *buf, size_t size)
{
	char *real = realpath(path, NULL);

	snprintf(buf, size, "%s", real ?: path);
	free(real);
}

const char *fs_swapoff_error(int err)
{
	switch (err) {
	case -ENOENT:
		return "no swap area here";
	case -ENOMEM:
		return "not enough memory for what is there";
	case -EIO:
		return "pages there cannot be read";
	case -EINTR:
		return "stopped";
	case -EBUSY:
		return "being turned off already, or in use";
	default:
		return strerror(-err);
	}
}
