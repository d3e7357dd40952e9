// SPDX-License-Identifier: BSD-2-Clause
/*
 * client/ctl/swap.c - pagefsctl swaps, swapon, swapoff: where memory without a
 *                     file goes when it is short
 *
 *   .pagefs/swaps     areas, as /proc/swaps
 *   .pagefs/swapon    written to; if that fails, why is read from the same open
 *                     file
 *   .pagefs/swapoff   written to: begins; read again and again: what is left
 *
 * Turning an area off is the daemon's, whether we look on or not.
 */
#include <errno.h>
#include <fcntl.h>
#include <json-c/json.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "ctl.h"

/* Seconds between two looks at what is left. Arbitrary: seen as moving. */
#define LOOK_EVERY	0.1

/* A line of .pagefs/swaps. */
struct area {
	char *path;			/* part of the line */
	char type[16];
	unsigned long long size_kb, used_kb;
	int prio;
};

/* False: it is none. */
static bool parse_area(char *line, struct area *a)
{
	size_t len = strcspn(line, " \t");

	if (line[0] != '/' || !line[len])
		return false;
	line[len] = '\0';
	a->path = line;
	unescape_octal(line);
	return sscanf(line + len + 1, "%15s %llu %llu %d", a->type, &a->size_kb,
		      &a->used_kb, &a->prio) == 4;
}

/* ---- swaps ---- */

static struct json_object *area_json(const struct area *a)
{
	struct json_object *obj = json_object_new_object();

	json_add_name(obj, "path", a->path);
	json_add_name(obj, "type", a->type);
	json_add_u64(obj, "size_kb", a->size_kb);
	json_add_u64(obj, "used_kb", a->used_kb);
	json_object_object_add(obj, "priority", json_object_new_int(a->prio));
	return obj;
}

static int print_areas_json(const struct ctl *ctl, char *text)
{
	struct json_object *obj = json_object_new_object();
	struct json_object *list = json_object_new_array();
	struct area a;
	char *line;

	while ((line = next_line(&text)))
		if (parse_area(line, &a))
			json_object_array_add(list, area_json(&a));
	json_add_name(obj, "mount", ctl->mount);
	json_object_object_add(obj, "swaps", list);
	return json_line(obj);
}

static int print_areas(char *text)
{
	char size[SIZE_TEXT], used[SIZE_TEXT], *line;
	struct area a;

	printf("%-9s %8s %8s %8s  %s\n", "TYPE", "SIZE", "USED", "PRIORITY",
	       "PATH");
	while ((line = next_line(&text))) {
		if (!parse_area(line, &a))
			continue;
		printf("%-9s %8s %8s %8d  ", a.type, size_text(a.size_kb, size),
		       size_text(a.used_kb, used), a.prio);
		print_name(stdout, a.path);
		putchar('\n');
	}
	return ctl_end_output();
}

int swaps_main(struct ctl *ctl, int argc, char **argv)
{
	static const struct argp argp = {
		.doc = "Show the swap areas.",
	};
	char *text;
	int status, err;

	ctl_parse(ctl, &argp, argc, argv, NULL);
	status = ctl_find_mount(ctl);
	if (status)
		return status;
	err = ctl_read(ctl, "swaps", &text);
	if (err)
		return ctl_fail_file(ctl, "swaps", err);
	status = ctl->json ? print_areas_json(ctl, text) : print_areas(text);
	free(text);
	return status;
}

/* ---- arguments ---- */

struct swap_options {
	char **args;
	int nr;
	bool all;
};

static error_t parse_files(int key, char *arg, struct argp_state *state)
{
	struct swap_options *o = state->input;

	(void)arg;
	switch (key) {
	case 'a':
		o->all = true;
		return 0;
	case ARGP_KEY_ARGS:
		o->args = state->argv + state->next;
		o->nr = state->argc - state->next;
		state->next = state->argc;
		return 0;
	case ARGP_KEY_END:
		if (!o->nr && !o->all)
			argp_error(state, "a file is missing");
		if (o->nr && o->all)
			argp_error(state, "either --all or files");
		return 0;
	}
	return ARGP_ERR_UNKNOWN;
}

/*
 * The daemon is elsewhere: @text, of which the first @len bytes are a path, with
 * that as it is from everywhere. To be freed.
 */
static char *absolute(const char *text, size_t len)
{
	char *path = strndup(text, len), *real, *cwd = NULL, *abs = NULL;

	real = path ? realpath(path, NULL) : NULL;
	if (path && !real && path[0] != '/')
		cwd = getcwd(NULL, 0);
	if (path && asprintf(&abs, "%s%s%s%s", cwd ?: "", cwd ? "/" : "",
			     real ?: path, text + len) < 0)
		abs = NULL;
	free(cwd);
	free(real);
	free(path);
	return abs;
}

/* ---- swapon ---- */

/* Return: 0, -errno, or 1: *@why says it, to be freed. */
static int write_swapon(const struct ctl *ctl, const char *text, char **why)
{
	int fd = ctl_open(ctl, "swapon", O_RDWR), err = 0;
	char said[512];
	ssize_t n;

	if (fd < 0)
		return fd;
	if (write(fd, text, strlen(text)) < 0)
		err = -errno;
	n = err ? pread(fd, said, sizeof(said) - 1, 0) : 0;
	close(fd);
	if (n <= 0)
		return err;
	said[n] = '\0';
	said[strcspn(said, "\n")] = '\0';
	*why = strdup(said);
	return *why ? 1 : -ENOMEM;
}

static int swapon_one(const struct ctl *ctl, const char *arg)
{
	char *text = absolute(arg, strcspn(arg, ":")), *why = NULL;
	int err = text ? write_swapon(ctl, text, &why) : -ENOMEM;
	int status = 0;

	if (err > 0)
		status = ctl_fail(0, "%s", why);
	else if (err)
		status = ctl_fail_file(ctl, "swapon", err);
	free(why);
	free(text);
	return status;
}

int swapon_main(struct ctl *ctl, int argc, char **argv)
{
	static const struct argp argp = {
		.parser = parse_files,
		.args_doc = "FILE[:SIZE[:PRIORITY]]...",
		.doc = "Use files or block devices as swap areas.\v"
		       "With a SIZE (2G) a file that is not there is made. Areas "
		       "of the highest PRIORITY (0 to 32767) are used first, "
		       "those of the same in turns; without one it is below all "
		       "others.",
	};
	struct swap_options o = { 0 };
	int status;

	ctl_parse(ctl, &argp, argc, argv, &o);
	status = ctl_find_mount(ctl);
	for (int i = 0; i < o.nr && !status; i++)
		status = swapon_one(ctl, o.args[i]);
	return status;
}

/* ---- swapoff ---- */

/* A line of .pagefs/swapoff. */
struct going {
	char state[16];			/* going, done, failed */
	unsigned long long left_kb, used_kb;
	char error[256];
};

static bool parse_going(char *line, const char *path, struct going *g)
{
	size_t len = strcspn(line, " \t");

	if (!line[len])
		return false;
	line[len] = '\0';
	unescape_octal(line);
	/* What is behind the numbers may have blanks. */
	return !strcmp(line, path) &&
		sscanf(line + len + 1, "%15s %llu %llu %255[^\n]", g->state,
		       &g->left_kb, &g->used_kb, g->error) == 4;
}

/* Return: 0; -ENOENT: there is none of @path; -errno. */
static int read_going(const struct ctl *ctl, const char *path, struct going *g)
{
	char *text, *rest, *line;
	int err = ctl_read(ctl, "swapoff", &text);

	if (err)
		return err;
	err = -ENOENT;
	rest = text;
	while (err && (line = next_line(&rest)))
		if (parse_going(line, path, g))
			err = 0;
	free(text);
	return err;
}

/* One line, over and over; only who looks at a terminal sees it. */
static void show_progress(const char *path, const struct going *g)
{
	char left[SIZE_TEXT], used[SIZE_TEXT];
	unsigned int rows, columns;

	if (!terminal_size(&rows, &columns))
		return;
	printf("\r");
	print_name(stdout, path);
	printf(": %s of %s left\033[K", size_text(g->left_kb, left),
	       size_text(g->used_kb, used));
	fflush(stdout);
}

static void end_progress(void)
{
	unsigned int rows, columns;

	if (terminal_size(&rows, &columns))
		printf("\r\033[K");
}

/* Until it has ended. Return: 0 or -errno. */
static int watch(const struct ctl *ctl, const char *path, struct going *g)
{
	int err = read_going(ctl, path, g);
	double next = ctl_now();
	bool shown = false;

	while (!err && !strcmp(g->state, "going")) {
		if (!ctl->json)
			show_progress(path, g);
		shown = !ctl->json;
		next += LOOK_EVERY;
		if (!ctl_sleep_until(next))
			err = -EINTR;
		else
			err = read_going(ctl, path, g);
	}
	if (shown)
		end_progress();
	return err;
}

static int print_end(const struct ctl *ctl, const char *path,
		     const struct going *g)
{
	bool failed = !strcmp(g->state, "failed");
	struct json_object *obj;

	if (ctl->json) {
		obj = json_object_new_object();
		json_add_name(obj, "path", path);
		json_add_name(obj, "state", g->state);
		json_add_u64(obj, "left_kb", g->left_kb);
		json_add_u64(obj, "used_kb", g->used_kb);
		json_object_object_add(obj, "error", failed ?
				       json_name(g->error) : NULL);
		return json_line(obj) ?: failed;
	}
	return failed ? ctl_fail(0, "%s: %s", path, g->error) : 0;
}

/* @path is absolute. */
static int swapoff_one(const struct ctl *ctl, const char *path)
{
	struct going g;
	int err = ctl_write(ctl, "swapoff", path);

	if (err == -ENOENT)
		return ctl_fail(0, "%s: no swap area of %s", path, ctl->mount);
	/* Somebody else's to begin is ours to look at. */
	if (!err || err == -EBUSY)
		err = watch(ctl, path, &g);
	return err ? ctl_fail_file(ctl, "swapoff", err) :
		print_end(ctl, path, &g);
}

static int swapoff_all(const struct ctl *ctl)
{
	int status = 0, err;
	char *text, *rest, *line;
	struct area a;

	err = ctl_read(ctl, "swaps", &text);
	if (err)
		return ctl_fail_file(ctl, "swaps", err);
	rest = text;
	while ((line = next_line(&rest)))
		if (parse_area(line, &a))
			status |= swapoff_one(ctl, a.path);
	free(text);
	return status;
}

int swapoff_main(struct ctl *ctl, int argc, char **argv)
{
	static const struct argp_option options[] = {
		{ "all", 'a', NULL, 0, "all areas", 0 },
		{ 0 }
	};
	static const struct argp argp = {
		.options = options,
		.parser = parse_files,
		.args_doc = "FILE...\n--all",
		.doc = "Bring back what is in swap areas, and use them no more.\v"
		       "On a terminal it shows what is left. To interrupt it does "
		       "not stop the daemon, which goes on.",
	};
	struct swap_options o = { 0 };
	int status;
	char *path;

	ctl_parse(ctl, &argp, argc, argv, &o);
	status = ctl_find_mount(ctl);
	if (status)
		return status;
	if (o.all)
		return swapoff_all(ctl);
	for (int i = 0; i < o.nr; i++) {
		path = absolute(o.args[i], strlen(o.args[i]));
		status |= path ? swapoff_one(ctl, path) :
			ctl_fail(-ENOMEM, "%s", o.args[i]);
		free(path);
	}
	return status;
}
