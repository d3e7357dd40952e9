// SPDX-License-Identifier: BSD-2-Clause
/*
 * client/ctl/trace.c - pagefsctl trace: events as they happen
 *
 *     0.516947   1175 writeback_start       reason=sync nr_dirty=1
 *     seconds    tid  event                 fields; a file's name at the end
 *
 * All events look alike, so one that is new needs nothing here. As JSON lines
 * are passed on as they come.
 */
#include <errno.h>
#include <fcntl.h>
#include <json-c/json.h>
#include <libgen.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "tracefile.h"

struct trace_options {
	char *events;			/* a comma between two; NULL: all */
	const char *file;		/* as it was given; NULL: all */
	unsigned long max;		/* lines; 0: all */
	double duration;		/* s; 0: for ever */
	bool raw;
};

/* ---- lines ---- */

static bool is_heading(const char *key)
{
	return !strcmp(key, "ts") || !strcmp(key, "tid") ||
		!strcmp(key, "event") || !strcmp(key, "file");
}

static void print_event(struct json_object *event)
{
	double ts = (double)trace_number(event, "ts", 0) / 1e6;

	printf("%12.6f %6lld %-21s", ts,
	       (long long)trace_number(event, "tid", 0),
	       trace_text(event, "event"));
	json_object_object_foreach(event, key, value) {
		if (is_heading(key))
			continue;
		printf(" %s=", key);
		print_name(stdout, json_object_get_string(value) ?: "");
	}
	if (json_object_object_get_ex(event, "file", NULL)) {
		fputs(" file=/", stdout);
		print_name(stdout, trace_text(event, "file"));
	}
	putchar('\n');
}

static void print_line(const struct trace_options *o, char *line)
{
	struct json_object *event;

	if (o->raw) {
		puts(line);
		return;
	}
	event = trace_event(line);
	if (event)
		print_event(event);
	else
		puts(line);
	json_object_put(event);
}

/* What there is now. Return: 0, or the exit status; *@linesp counts. */
static int print_lines(const struct ctl *ctl, const struct trace_options *o,
		       struct tracefile *t, unsigned long *linesp)
{
	char *line;
	int err;

	while ((!o->max || *linesp < o->max) &&
	       (line = tracefile_line(t, &err))) {
		print_line(o, line);
		++*linesp;
	}
	if (ctl_end_output())
		return EXIT_FAILURE;
	if (o->max && *linesp >= o->max)
		return 0;
	if (err)
		return ctl_fail_file(ctl, "trace", err);
	return t->eof ? ctl_fail(0, "%s: it is mounted no more", ctl->mount) : 0;
}

static int follow(const struct ctl *ctl, const struct trace_options *o,
		  struct tracefile *t)
{
	double until = o->duration ? ctl_now() + o->duration : 0;
	unsigned long lines = 0;
	int status = 0, err;

	while (!status && (!o->max || lines < o->max) &&
	       (!until || ctl_now() < until)) {
		err = tracefile_wait(until);
		if (err && err != -EINTR)
			return ctl_fail_file(ctl, "trace", err);
		status = print_lines(ctl, o, t, &lines);
	}
	return status;
}

/* ---- which file ---- */

/* @path without symbolic links; its last part need not exist. To be freed. */
static char *resolve(const char *path)
{
	char *real = realpath(path, NULL), *dir, *name, *a, *b, *both = NULL;

	if (real || errno != ENOENT)
		return real;
	a = strdup(path);
	b = strdup(path);
	dir = a ? realpath(dirname(a), NULL) : NULL;
	name = b ? basename(b) : NULL;
	if (dir && name && asprintf(&both, "%s/%s", strcmp(dir, "/") ? dir : "",
				    name) < 0)
		both = NULL;
	free(dir);
	free(a);
	free(b);
	return both;
}

/* The mount is that of the file, if no other is asked for. */
static int find_mount(struct ctl *ctl, const char *real)
{
	char *copy;
	int status;

	if (ctl->wanted || !real)
		return ctl_find_mount(ctl);
	copy = strdup(real);
	if (!copy)
		return ctl_fail(-ENOMEM, "%s", real);
	ctl->wanted = dirname(copy);
	status = ctl_find_mount(ctl);
	ctl->wanted = NULL;
	free(copy);
	return status;
}

/* What of @real is below the mount; NULL: it is not. */
static const char *below_mount(const struct ctl *ctl, const char *real)
{
	size_t len = strcmp(ctl->mount, "/") ? strlen(ctl->mount) : 0;

	return !strncmp(real, ctl->mount, len) && real[len] == '/' &&
		real[len + 1] ? real + len + 1 : NULL;
}

/* ---- the command ---- */

/* Which of them is not known? Return: the exit status. */
static int fail_events(const struct ctl *ctl, const struct trace_options *o)
{
	char *list = strdup(o->events ?: ""), *name, *save;
	struct tracefile t;
	int err;

	for (name = list ? strtok_r(list, ",", &save) : NULL; name;
	     name = strtok_r(NULL, ",", &save)) {
		err = tracefile_open(&t, ctl, name, NULL);
		if (err) {
			ctl_fail(0, "%s: no such event", name);
			free(list);
			return EXIT_FAILURE;
		}
		tracefile_close(&t);
	}
	free(list);
	return ctl_fail(0, "the daemon does not understand what to trace");
}

static int do_trace(const struct ctl *ctl, const struct trace_options *o,
		    const char *below)
{
	struct tracefile t;
	int err = tracefile_open(&t, ctl, o->events, below), status;

	if (err == -EINVAL)
		return fail_events(ctl, o);
	if (err == -EUSERS)
		return ctl_fail(0, "%s: there are too many readers of the trace",
				ctl->mount);
	if (err)
		return ctl_fail_file(ctl, "trace", err);
	status = follow(ctl, o, &t);
	tracefile_close(&t);
	return status;
}

static void add_events(struct argp_state *state, struct trace_options *o,
		       const char *arg)
{
	char *all;

	if (!*arg || strpbrk(arg, " \n"))
		argp_error(state, "`%s': no such event", arg);
	if (asprintf(&all, "%s%s%s", o->events ?: "", o->events ? "," : "",
		     arg) < 0)
		argp_failure(state, EXIT_FAILURE, ENOMEM, "%s", arg);
	free(o->events);
	o->events = all;
}

static error_t parse(int key, char *arg, struct argp_state *state)
{
	struct trace_options *o = state->input;

	switch (key) {
	case 'e':
		add_events(state, o, arg);
		return 0;
	case 'f':
		o->file = arg;
		return 0;
	case 'n':
		o->max = ctl_parse_count(state, "number of lines", arg, 1,
					 1000000000);
		return 0;
	case 't':
		o->duration = ctl_parse_number(state, "number of seconds", arg,
					       0.01, 1e9);
		return 0;
	case 'r':
		o->raw = true;
		return 0;
	}
	return ARGP_ERR_UNKNOWN;
}

static const struct argp_option options[] = {
	{ "event", 'e', "EVENT", 0,
	  "Only this; may be repeated, or a list with commas", 0 },
	{ "file", 'f', "FILE", 0, "Only what happens to this file, which need "
	  "not exist yet", 0 },
	{ "lines", 'n', "N", 0, "End after N", 0 },
	{ "time", 't', "SECONDS", 0, "End after so long", 0 },
	{ "raw", 'r', NULL, 0, "As --json: the lines as they come", 0 },
	{ 0 }
};

int trace_main(struct ctl *ctl, int argc, char **argv)
{
	static const struct argp argp = {
		.options = options,
		.parser = parse,
		.doc = "Show what the memory manager does, as it does it.\v"
		       "Each line has the seconds since the daemon began, its "
		       "thread, the event, and what there is to say of it.",
	};
	struct trace_options o = { 0 };
	const char *below = NULL;
	char *real = NULL;
	int status;

	ctl_parse(ctl, &argp, argc, argv, &o);
	o.raw |= ctl->json;
	if (o.file) {
		real = resolve(o.file);
		if (!real)
			return ctl_fail(-errno, "%s", o.file);
	}
	status = find_mount(ctl, real);
	if (!status && real) {
		below = below_mount(ctl, real);
		if (!below)
			status = ctl_fail(0, "%s: not below %s", o.file,
					  ctl->mount);
	}
	if (!status)
		status = do_trace(ctl, &o, below);
	free(real);
	free(o.events);
	return status;
}
