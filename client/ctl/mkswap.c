// SPDX-License-Identifier: BSD-2-Clause
/*
 * client/ctl/mkswap.c - pagefsctl mkswap: a file or block device becomes an area
 *
 *   FILE [SIZE]    no FILE: made, with SIZE bytes, all of them allocated
 *                  FILE: gets a header, if nothing is there that may be
 *                  somebody's: its first page is zeros, or was an area's
 *
 * No mount is needed. The lock is the daemon's: who has it uses the area.
 */
#include <endian.h>
#include <errno.h>
#include <fcntl.h>
#include <json-c/json.h>
#include <linux/fs.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/ioctl.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <unistd.h>

#include "ctl.h"
#include "pagefs_swap.h"

struct mkswap_options {
	const char *file, *label;
	unsigned long long size;	/* bytes; 0: not given */
	bool force;
};

union header_page {
	struct swap_header header;
	char bytes[SWAP_HEADER_BYTES];
};

/* ---- where it goes ---- */

/* Return: bytes, or -errno. */
static long long device_size(int fd)
{
	unsigned long long bytes;
	struct stat st;

	if (fstat(fd, &st))
		return -errno;
	if (S_ISREG(st.st_mode))
		return st.st_size;
	if (!S_ISBLK(st.st_mode))
		return -ENOTBLK;
	return ioctl(fd, BLKGETSIZE64, &bytes) ? -errno : (long long)bytes;
}

/* Blocks that are there, so that to swap out never fails for want of room. */
static int allocate(int fd, unsigned long long size)
{
	int flags;

	/* A copy-on-write store would need room for each write anew. */
	if (!ioctl(fd, FS_IOC_GETFLAGS, &flags)) {
		flags |= FS_NOCOW_FL;
		if (ioctl(fd, FS_IOC_SETFLAGS, &flags))
			errno = 0;	/* most have no such thing */
	}
	return posix_fallocate(fd, 0, (off_t)size);	/* writes, if need be */
}

/* Return: descriptor of an empty file, -EEXIST, -errno. */
static int create(const struct mkswap_options *o)
{
	int fd, err;

	if (!o->size)
		return -ENOENT;
	fd = open(o->file, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
	if (fd < 0)
		return -errno;
	err = allocate(fd, o->size);
	if (!err)
		return fd;
	unlink(o->file);
	close(fd);
	return -err;
}

/* ---- what is there already ---- */

static bool may_be_overwritten(const union header_page *page)
{
	if (!memcmp(page->header.magic, SWAP_MAGIC, sizeof(page->header.magic)))
		return true;
	for (size_t i = 0; i < sizeof(page->bytes); i++)
		if (page->bytes[i])
			return false;
	return true;
}

/* Return: descriptor; -1: it has been said why not. */
static int open_existing(const struct mkswap_options *o)
{
	int fd = open(o->file, O_RDWR | O_CLOEXEC | O_NONBLOCK);
	union header_page page;
	struct stat st;

	if (fd < 0) {
		ctl_fail(-errno, "%s", o->file);
		return -1;
	}
	if (fstat(fd, &st) || (!S_ISREG(st.st_mode) && !S_ISBLK(st.st_mode)))
		ctl_fail(0, "%s: neither a file nor a block device", o->file);
	else if (flock(fd, LOCK_EX | LOCK_NB))
		ctl_fail(0, "%s: in use by a pagefsd", o->file);
	else if (pread(fd, &page, sizeof(page), 0) != sizeof(page))
		ctl_fail(0, "%s: too small; the least is %uK", o->file,
			 SWAP_MIN_SLOTS * SWAP_HEADER_BYTES / 1024);
	else if (!o->force && !may_be_overwritten(&page))
		ctl_fail(0, "%s: there is something; --force overwrites it",
			 o->file);
	else if (S_ISREG(st.st_mode) && st.st_blocks * 512 < st.st_size)
		ctl_fail(0, "%s: has holes", o->file);
	else
		return fd;
	close(fd);
	return -1;
}

/* ---- the header ---- */

static int write_header(int fd, const char *label, unsigned long long bytes)
{
	union header_page page;
	struct swap_header *h = &page.header;

	memset(&page, 0, sizeof(page));
	memcpy(h->magic, SWAP_MAGIC, sizeof(h->magic));
	h->version = htole32(SWAP_VERSION);
	h->page_size = htole32(SWAP_HEADER_BYTES);
	h->nr_slots = htole64(bytes / SWAP_HEADER_BYTES);
	if (label)
		memcpy(h->label, label, strnlen(label, sizeof(h->label)));
	if (getrandom(h->uuid, sizeof(h->uuid), 0) != sizeof(h->uuid))
		return -EIO;
	h->uuid[6] = (h->uuid[6] & 0x0f) | 0x40;	/* version 4: random */
	h->uuid[8] = (h->uuid[8] & 0x3f) | 0x80;
	h->checksum = htole32(swap_header_sum(&page));
	if (pwrite(fd, &page, sizeof(page), 0) != sizeof(page))
		return errno ? -errno : -EIO;
	return fsync(fd) ? -errno : 0;
}

static int print_made(const struct ctl *ctl, const struct mkswap_options *o,
		      unsigned long long bytes)
{
	unsigned long long kb = (bytes / SWAP_HEADER_BYTES - 1) *
		(SWAP_HEADER_BYTES / 1024);
	char size[SIZE_TEXT];
	struct json_object *obj;

	if (ctl->json) {
		obj = json_object_new_object();
		json_add_name(obj, "path", o->file);
		json_add_u64(obj, "size_kb", kb);
		return json_line(obj);
	}
	print_name(stdout, o->file);
	printf(": a swap area of %s\n", size_text(kb, size));
	return ctl_end_output();
}

static int make_area(const struct ctl *ctl, const struct mkswap_options *o)
{
	int fd = create(o), err;
	bool is_new = fd >= 0;
	long long bytes;

	if (fd == -ENOENT && !o->size && access(o->file, F_OK))
		return ctl_fail(0, "%s: not there; say its size to have it made",
				o->file);
	if (fd == -EEXIST || fd == -ENOENT)
		fd = open_existing(o);
	else if (fd < 0)
		return ctl_fail(fd, "%s", o->file);
	if (fd < 0)
		return EXIT_FAILURE;
	bytes = device_size(fd);
	err = bytes < 0 ? (int)bytes : 0;
	if (!err && bytes < SWAP_MIN_SLOTS * SWAP_HEADER_BYTES)
		err = -ENOSPC;
	if (!err)
		err = write_header(fd, o->label, (unsigned long long)bytes);
	if (err && is_new)
		unlink(o->file);
	close(fd);
	return err ? ctl_fail(err, "%s", o->file) :
		print_made(ctl, o, (unsigned long long)bytes);
}

/* ---- the command ---- */

static unsigned long long parse_bytes(struct argp_state *state, const char *arg)
{
	static const char units[] = "KMGT";
	unsigned long long value;
	const char *unit = NULL;
	char *end;
	int shift;

	errno = 0;
	value = strtoull(arg, &end, 10);
	if (*end && !end[1])
		unit = strchr(units, *end & ~0x20);
	shift = unit ? 10 * (int)(unit - units + 1) : 0;
	if (errno || arg[0] < '0' || arg[0] > '9' || (*end && !unit) ||
	    value > (unsigned long long)INT64_MAX >> shift)
		argp_error(state, "%s: not a size; say for example 2G", arg);
	value <<= shift;
	if (value < SWAP_MIN_SLOTS * SWAP_HEADER_BYTES)
		argp_error(state, "%s: too small; the least is %uK", arg,
			   SWAP_MIN_SLOTS * SWAP_HEADER_BYTES / 1024);
	return value;
}

static error_t parse(int key, char *arg, struct argp_state *state)
{
	struct mkswap_options *o = state->input;

	switch (key) {
	case 'f':
		o->force = true;
		return 0;
	case 'L':
		o->label = arg;
		return 0;
	case ARGP_KEY_NO_ARGS:
		argp_error(state, "a file is missing");
		return 0;
	case ARGP_KEY_ARG:
		if (state->arg_num > 1)
			argp_error(state, "%s: one argument too many", arg);
		if (state->arg_num)
			o->size = parse_bytes(state, arg);
		else
			o->file = arg;
		return 0;
	}
	return ARGP_ERR_UNKNOWN;
}

int mkswap_main(struct ctl *ctl, int argc, char **argv)
{
	static const struct argp_option options[] = {
		{ "force", 'f', NULL, 0, "overwrite what is there", 0 },
		{ "label", 'L', "LABEL", 0, "of at most 32 bytes", 0 },
		{ 0 }
	};
	static const struct argp argp = {
		.options = options,
		.parser = parse,
		.args_doc = "FILE [SIZE]",
		.doc = "Make a swap area of a file or block device.\v"
		       "If FILE is not there, it is made, with SIZE bytes (2G).",
	};
	struct mkswap_options o = { 0 };

	ctl_parse(ctl, &argp, argc, argv, &o);
	return make_area(ctl, &o);
}
