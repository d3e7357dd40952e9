// SPDX-License-Identifier: BSD-2-Clause
/*
 * client/ctl/mount.c - which mount, and its control files
 *
 *   /proc/self/mountinfo
 *     45 27 0:41 / /mnt rw,nosuid - fuse.pagefs /data rw,user_id=0
 *           dev  | where              type        source
 *                +-- the whole of it; a part that is bound elsewhere has no
 *                    .pagefs in its root
 *
 * A mount is one device number, wherever and how often it is mounted. Which is
 * meant: --mount, else PAGEFS_MOUNT, else the only one. Numbers are used again,
 * by the next mount as a rule; so it is also known by when it was made, which
 * is what control files have for their times.
 */
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include "ctl.h"
#include "pagefs_wire.h"

#define FS_TYPE		"fuse.pagefs"
/* What a text is read by. As much as the daemon gives at once. */
#define READ_SIZE	65536u
/* A reader of maps whose client is busy gets EAGAIN after two seconds. */
#define READ_TRIES	3

/* ---- the table of mounts ---- */

struct mount {
	dev_t dev;
	char *dir, *source;
};

struct mounts {
	struct mount *list;
	size_t nr;
};

static void mounts_free(struct mounts *m)
{
	for (size_t i = 0; i < m->nr; i++) {
		free(m->list[i].dir);
		free(m->list[i].source);
	}
	free(m->list);
}

static const struct mount *mounts_find(const struct mounts *m, dev_t dev)
{
	for (size_t i = 0; i < m->nr; i++)
		if (m->list[i].dev == dev)
			return &m->list[i];
	return NULL;
}

/* Return: 0 or -ENOMEM. */
static int mounts_add(struct mounts *m, dev_t dev, char *dir, char *source)
{
	struct mount *list = reallocarray(m->list, m->nr + 1, sizeof(*list));
	struct mount *new;

	if (!list)
		return -ENOMEM;
	m->list = list;
	new = &list[m->nr];
	unescape_octal(dir);
	unescape_octal(source);
	*new = (struct mount){ dev, strdup(dir), strdup(source) };
	m->nr++;
	return new->dir && new->source ? 0 : -ENOMEM;
}

/*
 * @dev: 0: all that say they are pagefs; else that one, whatever it says (an
 * administrator may give it another type). Return: 0 or -ENOMEM.
 */
static int mounts_add_line(struct mounts *m, char *line, dev_t dev)
{
	unsigned int maj, min;
	char *rest = strstr(line, " - "), *root, *dir, *type, *source, *save;
	int at;

	if (!rest || sscanf(line, "%*d %*d %u:%u %n", &maj, &min, &at) != 2)
		return 0;
	*rest = '\0';
	root = strtok_r(line + at, " ", &save);
	dir = strtok_r(NULL, " ", &save);
	type = strtok_r(rest + 3, " ", &save);
	source = strtok_r(NULL, " ", &save);
	if (!root || !dir || !type || !source || strcmp(root, "/"))
		return 0;
	if (dev ? makedev(maj, min) != dev : strcmp(type, FS_TYPE) != 0)
		return 0;
	if (mounts_find(m, makedev(maj, min)))
		return 0;
	return mounts_add(m, makedev(maj, min), dir, source);
}

/* Return: 0 or -errno. @m is to be freed in any case. */
static int mounts_read(struct mounts *m, dev_t dev)
{
	FILE *f = fopen("/proc/self/mountinfo", "re");
	char *line = NULL;
	size_t size = 0;
	int err = 0;

	*m = (struct mounts){ 0 };
	if (!f)
		return -errno;
	while (!err && getline(&line, &size, f) >= 0) {
		line[strcspn(line, "\n")] = '\0';
		err = mounts_add_line(m, line, dev);
	}
	free(line);
	fclose(f);
	return err;
}

/* ---- which ---- */

static int fail_gone(const char *dir, int err)
{
	return ctl_fail(err, "%s%s", dir, err == -ENOTCONN ?
			": the daemon has gone" : err == -EACCES ?
			": mounted by another user, for himself" : "");
}

/* The mount @dir is on: where its root is. Return: 0, or the exit status. */
static int use_mount_of(struct ctl *ctl, const char *dir)
{
	const struct mount *found;
	struct mounts m;
	struct stat st;
	int err;

	if (!*dir)
		return ctl_fail(0, "the mount's name is empty");
	if (stat(dir, &st))
		return fail_gone(dir, -errno);
	err = mounts_read(&m, st.st_dev);
	found = err ? NULL : mounts_find(&m, st.st_dev);
	if (found) {
		ctl->dev = st.st_dev;
		ctl->mount = strdup(found->dir);
		ctl->source = strdup(found->source);
	}
	mounts_free(&m);
	if (err)
		return ctl_fail(err, "/proc/self/mountinfo");
	return ctl->mount && ctl->source ? 0 :
		ctl_fail(0, "%s: not on a pagefs mount", dir);
}

static int fail_several(const struct mounts *m)
{
	ctl_fail(0, "there are several pagefs mounts; name one with --mount:");
	for (size_t i = 0; i < m->nr; i++) {
		fputs("  ", stderr);
		print_name(stderr, m->list[i].dir);
		fputs(" from ", stderr);
		print_name(stderr, m->list[i].source);
		fputc('\n', stderr);
	}
	return EXIT_FAILURE;
}

static int use_only_mount(struct ctl *ctl)
{
	struct mounts m;
	int status, err = mounts_read(&m, 0);

	if (err)
		status = ctl_fail(err, "/proc/self/mountinfo");
	else if (!m.nr)
		status = ctl_fail(0, "nothing is mounted by pagefs here");
	else if (m.nr > 1)
		status = fail_several(&m);
	else
		status = use_mount_of(ctl, m.list[0].dir);
	mounts_free(&m);
	return status;
}

/* Return: 0, or the exit status. */
static int check_control_files(struct ctl *ctl, const char *dir)
{
	char path[CTL_PATH_MAX];
	struct stat st;
	int err = stat(ctl_path(ctl, "meminfo", path), &st) ? -errno : 0;

	if (err == -ENOENT || (!err && st.st_dev != ctl->dev))
		return ctl_fail(0, "%s: not on a pagefs mount", dir);
	if (err)
		return fail_gone(ctl->mount, err);
	ctl->since = st.st_mtim;
	return 0;
}

int ctl_find_mount(struct ctl *ctl)
{
	const char *dir = ctl->wanted ?: getenv("PAGEFS_MOUNT");
	int status = dir ? use_mount_of(ctl, dir) : use_only_mount(ctl);

	return status ? status :
		check_control_files(ctl, dir ?: ctl->mount);
}

int ctl_check_pagefs(int fd)
{
	struct pagefs_ioc_info info;

	return ioctl(fd, PAGEFS_IOC_INFO, &info) ? -ENOTTY : 0;
}

/* ---- control files ---- */

const char *ctl_path(const struct ctl *ctl, const char *name, char *buf)
{
	snprintf(buf, CTL_PATH_MAX, "%s/" CTL_DIR "%s%s", ctl->mount,
		 *name ? "/" : "", name);
	return buf;
}

static bool is_same_mount(const struct ctl *ctl, const struct stat *st)
{
	return st->st_dev == ctl->dev &&
		st->st_mtim.tv_sec == ctl->since.tv_sec &&
		st->st_mtim.tv_nsec == ctl->since.tv_nsec;
}

int ctl_open(const struct ctl *ctl, const char *name, int flags)
{
	char path[CTL_PATH_MAX];
	struct stat st;
	int fd = open(ctl_path(ctl, name, path), flags | O_CLOEXEC);
	int err = fd < 0 ? -errno : 0;

	if (!err && fstat(fd, &st))
		err = -errno;
	if (!err && !is_same_mount(ctl, &st))
		err = -ENODEV;
	/* Where it was mounted there is something else, or nothing. */
	if (err == -ENOENT && !stat(ctl->mount, &st) && st.st_dev != ctl->dev)
		err = -ENODEV;
	if (!err)
		return fd;
	if (fd >= 0)
		close(fd);
	return err;
}

/* To the end. *@textp: terminated, to be freed. Return: 0 or -errno. */
static int read_all(int fd, char **textp)
{
	size_t len = 0, size = READ_SIZE;
	char *text = malloc(size + 1), *more;
	ssize_t n;
	int err;

	while (text && (n = read(fd, text + len, size - len)) > 0) {
		len += (size_t)n;
		if (size - len >= READ_SIZE)
			continue;
		size *= 2;
		more = realloc(text, size + 1);
		if (!more)
			free(text);
		text = more;
	}
	if (!text)
		return -ENOMEM;
	err = n < 0 ? -errno : 0;
	if (err) {
		free(text);
		return err;
	}
	text[len] = '\0';
	*textp = text;
	return 0;
}

int ctl_read(const struct ctl *ctl, const char *name, char **textp)
{
	int err = -EAGAIN, fd;

	for (int i = 0; err == -EAGAIN && i < READ_TRIES; i++) {
		fd = ctl_open(ctl, name, O_RDONLY);
		if (fd < 0)
			return fd;
		err = read_all(fd, textp);
		close(fd);
	}
	return err;
}

int ctl_write(const struct ctl *ctl, const char *name, const char *text)
{
	int fd = ctl_open(ctl, name, O_WRONLY), err = 0;

	if (fd < 0)
		return fd;
	if (write(fd, text, strlen(text)) < 0)
		err = -errno;
	close(fd);
	return err;
}

const char *ctl_explain(const struct ctl *ctl, int err)
{
	switch (err) {
	case -ENODEV:
		return "it is mounted no more";
	case -ENOTCONN:
	case -ECONNABORTED:
		return "the daemon has gone";
	case -EACCES:
		return geteuid() ? "permission denied: for root and the daemon's user" : "";
	}
	(void)ctl;
	return "";
}

int ctl_fail_file(const struct ctl *ctl, const char *name, int err)
{
	const char *why = ctl_explain(ctl, err);
	char path[CTL_PATH_MAX];

	if (err == -ENODEV || err == -ENOTCONN || err == -ECONNABORTED)
		return ctl_fail(0, "%s: %s", ctl->mount, why);
	ctl_path(ctl, name, path);
	return *why ? ctl_fail(0, "%s: %s", path, why) :
		ctl_fail(err, "%s", path);
}
