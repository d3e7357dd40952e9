// SPDX-License-Identifier: BSD-2-Clause
/*
 * client/ctl/sync.c - pagefsctl sync: bring data to the disk
 *
 *   a file      fsync(2) of it: the kernel passes that on
 *   the mount   syncfs(2), by which the kernel hands in what it holds, and goes
 *               no further; then .pagefs/sync, by which the daemon writes all of
 *               it and flushes the device
 */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "ctl.h"

/* Return: the exit status. */
static int sync_file(const char *path)
{
	/* A pipe must not keep us waiting for its other end. */
	int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
	int status = 0;

	if (fd < 0 && errno == EACCES)
		fd = open(path, O_WRONLY | O_CLOEXEC | O_NONBLOCK);
	if (fd < 0)
		return ctl_fail(-errno, "%s", path);
	if (ctl_check_pagefs(fd))
		status = ctl_fail(0, "%s: not a file or directory on a pagefs mount",
				  path);
	else if (fsync(fd))
		status = ctl_fail(-errno, "%s", path);
	close(fd);
	return status;
}

static int sync_mount(const struct ctl *ctl)
{
	int fd = open(ctl->mount, O_RDONLY | O_DIRECTORY | O_CLOEXEC), err;

	if (fd < 0)
		return ctl_fail(-errno, "%s", ctl->mount);
	err = syncfs(fd) ? -errno : 0;
	close(fd);
	if (err)
		return ctl_fail(err, "%s", ctl->mount);
	err = ctl_write(ctl, "sync", "1");
	if (err == -EIO || err == -ENOSPC)
		return ctl_fail(err, "%s: not everything could be written",
				ctl->mount);
	return err ? ctl_fail_file(ctl, "sync", err) : 0;
}

struct sync_options {
	char **files;
	int nr;
};

static error_t parse(int key, char *arg, struct argp_state *state)
{
	struct sync_options *o = state->input;

	(void)arg;
	if (key != ARGP_KEY_ARGS)
		return ARGP_ERR_UNKNOWN;
	o->files = state->argv + state->next;
	o->nr = state->argc - state->next;
	state->next = state->argc;
	return 0;
}

int sync_main(struct ctl *ctl, int argc, char **argv)
{
	static const struct argp argp = {
		.parser = parse,
		.args_doc = "[FILE...]",
		.doc = "Write what is dirty, of FILEs or of all, and wait until "
		       "it is on the disk.\v"
		       "sync(1) does so of FILEs too, but not of a whole mount: "
		       "the kernel does not pass that on to a FUSE file system.",
	};
	struct sync_options o = { 0 };
	int status = 0;

	ctl_parse(ctl, &argp, argc, argv, &o);
	for (int i = 0; i < o.nr; i++)
		status |= sync_file(o.files[i]);
	if (o.nr)
		return status;
	status = ctl_find_mount(ctl);
	return status ?: sync_mount(ctl);
}
