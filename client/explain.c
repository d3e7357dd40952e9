// SPDX-License-Identifier: BSD-2-Clause
/*
 * client/explain.c - why a file is not mapped by pagefs
 *
 *   pagefs-run: /mnt/f: mapped by the kernel instead: REASON
 *
 * Written as one line with write(2): stdio is the program's, and may be in any
 * state. Each reason is given once: it is the first file that says what is
 * wrong, not the thousandth. PAGEFS_RUN_VERBOSE: for each file.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <limits.h>

#include "internal.h"
#include "preload.h"
#include "sys.h"

static const char *reason(int err)
{
	switch (err) {
	case -EACCES:
		return "you may read the file, but not write it";
	case -EOPNOTSUPP:
		return "the mapping is private and may be written to";
	case -EROFS:
		return "a private mapping for reading may be written to now";
	case -EBUSY:
		return "the mount has cache=writeback and the file is open for writing";
	case -EPERM:
		return "userfaultfd or pidfd_getfd is not permitted here";
	case -ECONNREFUSED:
		return "the daemon takes no clients, or not this user's";
	case -EPROTO:
		return "the daemon is of another version";
	case -ENOTTY:
		return "--mount names no pagefs mount";
	case -ENOTCONN:
		return "the daemon has gone";
	case -ENOMEM:
		return "no memory or address space for it";
	case -EMFILE:
	case -ENFILE:
		return "too many open files";
	default:
		return strerrordesc_np(-err) ?: "unknown error";
	}
}

#define NR_REASONS	256u	/* errnos end long before */

/* For the first time, or is each to be told? */
static bool is_wanted(atomic_uchar *said, int err)
{
	bool first = !atomic_exchange(&said[(unsigned int)-err % NR_REASONS], 1);

	return !getenv("PAGEFS_RUN_QUIET") &&
	       (first || getenv("PAGEFS_RUN_VERBOSE"));
}

static void say(const char *line, size_t len)
{
	if (write(STDERR_FILENO, line, len) < 0)
		return;		/* nobody to be told */
}

/* @link leads to the file, which without it is called @otherwise. */
static void say_by_kernel(const char *link, const char *otherwise, int err)
{
	static atomic_uchar said[NR_REASONS];
	char path[PATH_MAX], line[PATH_MAX + 128];
	ssize_t len;

	if (!is_wanted(said, err))
		return;
	len = readlink(link, path, sizeof(path) - 1);
	path[len < 0 ? 0 : len] = '\0';
	len = snprintf(line, sizeof(line),
		       "pagefs-run: %s: mapped by the kernel instead: %s\n",
		       len < 0 ? otherwise : path, reason(err));
	say(line, (size_t)len);
}

void preload_explain(int fd, int err)
{
	char link[32], name[32];

	snprintf(link, sizeof(link), "/proc/self/fd/%d", fd);
	snprintf(name, sizeof(name), "descriptor %d", fd);
	say_by_kernel(link, name, err);
}

void preload_explain_range(uintptr_t start, uintptr_t end, int err)
{
	char link[64];

	snprintf(link, sizeof(link), "/proc/self/map_files/%lx-%lx", start, end);
	say_by_kernel(link, "a mapping", err);
}

void preload_explain_memory(int err)
{
	static atomic_uchar said[NR_REASONS];
	char line[256];
	int len;

	if (!is_wanted(said, err))
		return;
	len = snprintf(line, sizeof(line),
		       "pagefs-run: memory is had from the kernel instead: %s\n",
		       reason(err));
	say(line, (size_t)len);
}
