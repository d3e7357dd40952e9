// SPDX-License-Identifier: BSD-2-Clause
/*
 * client/ctl/advise.c - pagefsctl advise: how a file will be used
 *
 * posix_fadvise(2) is about one descriptor, and ends in the kernel. This is
 * about the file, for everybody, and goes to the daemon: an ioctl of a
 * descriptor, by which the kernel vouches that whoever asks may open the file.
 * With dontneed the kernel is told, too, as it has a cache of its own.
 */
#include <errno.h>
#include <fcntl.h>
#include <json-c/json.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "ctl.h"
#include "pagefs_wire.h"

#define PAGE_KB	4

static const struct {
	const char *name;
	enum pagefs_advice advice;
} policies[] = {
	{ "normal", PAGEFS_ADVISE_NORMAL },
	{ "random", PAGEFS_ADVISE_RANDOM },
	{ "sequential", PAGEFS_ADVISE_SEQUENTIAL },
	{ "noreuse", PAGEFS_ADVISE_NOREUSE },
	{ "willneed", PAGEFS_ADVISE_WILLNEED },
	{ "dontneed", PAGEFS_ADVISE_DONTNEED },
};

struct advise_options {
	const char *file;
	enum pagefs_advice advice;
	unsigned int args;
};

/* A regular file. Return: descriptor, or -errno. */
static int open_file(const char *path)
{
	/* A pipe must not keep us waiting for its other end. */
	int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);

	if (fd < 0 && errno == EACCES)
		fd = open(path, O_WRONLY | O_CLOEXEC | O_NONBLOCK);
	return fd < 0 ? -errno : fd;
}

/* Return: 0, -ENOTTY: it is no file of pagefs; -errno. */
static int advise_fd(int fd, struct pagefs_ioc_advise *a)
{
	struct stat st;

	if (fstat(fd, &st))
		return -errno;
	if (ctl_check_pagefs(fd) || !S_ISREG(st.st_mode))
		return -ENOTTY;
	if (ioctl(fd, PAGEFS_IOC_ADVISE, a))
		return -errno;
	return a->advice == PAGEFS_ADVISE_DONTNEED ?
		-posix_fadvise(fd, 0, 0, POSIX_FADV_DONTNEED) : 0;
}

static int fail_advise(const char *path, int err)
{
	switch (err) {
	case -ENOTTY:
		return ctl_fail(0, "%s: not a regular file on a pagefs mount",
				path);
	case -EPERM:
		return ctl_fail(0, "%s: only its owner and root may set a policy",
				path);
	}
	return ctl_fail(err, "%s", path);
}

static int print_advice(const struct ctl *ctl, const struct advise_options *o,
			const struct pagefs_ioc_advise *a)
{
	char size[SIZE_TEXT];
	struct json_object *obj;

	if (ctl->json) {
		obj = json_object_new_object();
		json_add_name(obj, "file", o->file);
		json_add_name(obj, "policy", a->policy);
		if (o->advice == PAGEFS_ADVISE_WILLNEED)
			json_add_u64(obj, "cached_kb", a->nr_pages * PAGE_KB);
		if (o->advice == PAGEFS_ADVISE_DONTNEED)
			json_add_u64(obj, "dropped_kb", a->nr_pages * PAGE_KB);
		return json_line(obj);
	}
	print_name(stdout, o->file);
	size_text(a->nr_pages * PAGE_KB, size);
	if (o->advice == PAGEFS_ADVISE_WILLNEED)
		printf(": %s cached or being read\n", size);
	else if (o->advice == PAGEFS_ADVISE_DONTNEED)
		printf(": %s dropped\n", size);
	else
		printf(": %s\n", a->policy);
	return ctl_end_output();
}

static error_t parse(int key, char *arg, struct argp_state *state)
{
	struct advise_options *o = state->input;

	if (key == ARGP_KEY_NO_ARGS)
		argp_error(state, "a file is missing");
	if (key != ARGP_KEY_ARG)
		return ARGP_ERR_UNKNOWN;
	switch (o->args++) {
	case 0:
		o->file = arg;
		return 0;
	case 1:
		for (size_t i = 0; i < ARRAY_SIZE(policies); i++)
			if (!strcmp(policies[i].name, arg))
				o->advice = policies[i].advice;
		if (o->advice == PAGEFS_ADVISE_QUERY)
			argp_error(state, "%s: no such policy", arg);
		return 0;
	}
	argp_error(state, "%s: one argument too many", arg);
	return 0;
}

int advise_main(struct ctl *ctl, int argc, char **argv)
{
	static const struct argp argp = {
		.parser = parse,
		.args_doc = "FILE [POLICY]",
		.doc = "Show or set how FILE will be used, by everybody.\v"
		       "normal      undo the next three\n"
		       "random      read nothing ahead\n"
		       "sequential  read ahead much, at once\n"
		       "noreuse     reading and writing keeps no page longer\n"
		       "willneed    read the file in, now; sets no policy\n"
		       "dontneed    drop its clean pages, now; sets no policy\n\n"
		       "A policy stays until another is set or the daemon forgets "
		       "the file. random and sequential exclude each other; "
		       "noreuse goes with both.",
	};
	struct advise_options o = { .advice = PAGEFS_ADVISE_QUERY };
	struct pagefs_ioc_advise a = { 0 };
	int fd, err;

	ctl_parse(ctl, &argp, argc, argv, &o);
	a.advice = o.advice;
	fd = open_file(o.file);
	if (fd < 0)
		return fail_advise(o.file, fd);
	err = advise_fd(fd, &a);
	close(fd);
	return err ? fail_advise(o.file, err) : print_advice(ctl, &o, &a);
}
