// SPDX-License-Identifier: BSD-2-Clause
/*
 * client/ctl/sysctl.c - pagefsctl sysctl and drop-caches: the files of .pagefs/vm
 *
 *   vm.dirty_ratio=20, vm/dirty_ratio=20, dirty_ratio=20   all mean the same
 *
 * All arguments are looked at before the first is acted on, so that a name that
 * is not there keeps the others from being set. A value is checked by who takes
 * it: those before a bad one stay set.
 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <json-c/json.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "ctl.h"

struct setting {
	const char *name;
	const char *value;		/* NULL: show it */
};

struct sysctl_options {
	struct setting *settings;
	size_t nr;
	bool all, values;
};

/* ---- tunables ---- */

static const char *vm_file(const char *name, char *buf, size_t size)
{
	snprintf(buf, size, "vm/%s", name);
	return buf;
}

static int read_tunable(const struct ctl *ctl, const char *name, char **valuep)
{
	char file[300];
	int err = ctl_read(ctl, vm_file(name, file, sizeof(file)), valuep);

	if (!err)
		(*valuep)[strcspn(*valuep, "\n")] = '\0';
	return err;
}

static int by_name(const struct dirent **a, const struct dirent **b)
{
	return strcmp((*a)->d_name, (*b)->d_name);
}

static int is_tunable(const struct dirent *ent)
{
	return *ent->d_name != '.';
}

/* Those there are, to be freed by free_names(). Return: how many, or -errno. */
static int list_names(const struct ctl *ctl, struct dirent ***names)
{
	int fd = ctl_open(ctl, "vm", O_RDONLY | O_DIRECTORY), n;

	if (fd < 0)
		return fd;
	n = scandirat(fd, ".", names, is_tunable, by_name);
	if (n < 0)
		n = -errno;
	close(fd);
	return n;
}

static void free_names(struct dirent **names, int n)
{
	for (int i = 0; i < n; i++)
		free(names[i]);
	free(names);
}

static bool has_name(struct dirent **names, int n, const char *name)
{
	for (int i = 0; i < n; i++)
		if (!strcmp(names[i]->d_name, name))
			return true;
	return false;
}

/* ---- showing and setting ---- */

/* To @obj, or as a line if that is NULL. */
static void show_value(const struct sysctl_options *o, struct json_object *obj,
		       const char *name, const char *value)
{
	if (obj)
		json_add_u64(obj, name, strtoull(value, NULL, 0));
	else if (o->values)
		puts(value);
	else
		printf("vm.%s = %s\n", name, value);
}

/* Return: 0, or the exit status. */
static int show_name(const struct ctl *ctl, const struct sysctl_options *o,
		     struct json_object *obj, const char *name)
{
	char file[300], *value;
	int err = read_tunable(ctl, name, &value);

	if (err == -EACCES)
		return ctl_fail(0, "%s: can be set, not read", name);
	if (err)
		return ctl_fail_file(ctl, vm_file(name, file, sizeof(file)), err);
	show_value(o, obj, name, value);
	free(value);
	return 0;
}

/* All that can be read. */
static int show_all(const struct ctl *ctl, const struct sysctl_options *o,
		    struct json_object *obj, struct dirent **names, int n)
{
	char file[300], *value;
	int err;

	for (int i = 0; i < n; i++) {
		err = read_tunable(ctl, names[i]->d_name, &value);
		if (err == -EACCES)
			continue;
		if (err)
			return ctl_fail_file(ctl, vm_file(names[i]->d_name, file,
							  sizeof(file)), err);
		show_value(o, obj, names[i]->d_name, value);
		free(value);
	}
	return 0;
}

/* Return: 0, or the exit status. */
static int set_name(const struct ctl *ctl, const char *name, const char *value)
{
	char file[300];
	int err = ctl_write(ctl, vm_file(name, file, sizeof(file)), value);

	if (err == -EINVAL)
		return ctl_fail(0, "%s: cannot be set to `%s'", name, value);
	return err ? ctl_fail_file(ctl, file, err) : 0;
}

static int do_settings(const struct ctl *ctl, const struct sysctl_options *o,
		       struct json_object *obj)
{
	const struct setting *s;
	char *value;
	int status = 0;

	for (size_t i = 0; i < o->nr && !status; i++) {
		s = &o->settings[i];
		if (!s->value) {
			status = show_name(ctl, o, obj, s->name);
			continue;
		}
		status = set_name(ctl, s->name, s->value);
		if (status)
			continue;
		/* What has become of it; of what cannot be read, what was said. */
		if (read_tunable(ctl, s->name, &value)) {
			show_value(o, obj, s->name, s->value);
		} else {
			show_value(o, obj, s->name, value);
			free(value);
		}
	}
	return status;
}

static int check_names(const struct sysctl_options *o, struct dirent **names,
		       int n)
{
	for (size_t i = 0; i < o->nr; i++)
		if (!has_name(names, n, o->settings[i].name))
			return ctl_fail(0, "%s: no such tunable",
					o->settings[i].name);
	return 0;
}

static int do_sysctl(const struct ctl *ctl, const struct sysctl_options *o)
{
	struct json_object *obj = ctl->json ? json_object_new_object() : NULL;
	struct dirent **names;
	int n = list_names(ctl, &names), status;

	if (n < 0) {
		json_object_put(obj);
		return ctl_fail_file(ctl, "vm", n);
	}
	status = check_names(o, names, n);
	if (!status)
		status = o->nr ? do_settings(ctl, o, obj) :
			show_all(ctl, o, obj, names, n);
	free_names(names, n);
	/* What has been done is said, even if more has failed. */
	if (obj && (!status || json_object_object_length(obj)))
		return json_line(obj) ?: status;
	json_object_put(obj);
	return ctl_end_output() ?: status;
}

/* ---- the commands ---- */

static void add_setting(struct argp_state *state, struct sysctl_options *o,
			char *arg)
{
	struct setting *s = &o->settings[o->nr++];
	char *value = strchr(arg, '=');

	if (value)
		*value++ = '\0';
	s->value = value;
	s->name = !strncmp(arg, "vm.", 3) || !strncmp(arg, "vm/", 3) ?
		arg + 3 : arg;
	if (!*s->name || strchr(s->name, '/'))
		argp_error(state, "%s: not the name of a tunable", arg);
	if (value && !*value)
		argp_error(state, "%s: no value", s->name);
}

static error_t parse(int key, char *arg, struct argp_state *state)
{
	struct sysctl_options *o = state->input;

	switch (key) {
	case ARGP_KEY_ARG:
		add_setting(state, o, arg);
		return 0;
	case 'a':
		o->all = true;
		return 0;
	case 'n':
		o->values = true;
		return 0;
	case ARGP_KEY_END:
		if (o->all && o->nr)
			argp_error(state, "-a and names exclude each other");
		return 0;
	}
	return ARGP_ERR_UNKNOWN;
}

int sysctl_main(struct ctl *ctl, int argc, char **argv)
{
	static const struct argp_option options[] = {
		{ "all", 'a', NULL, 0, "Show all, as without arguments", 0 },
		{ "values", 'n', NULL, 0, "Without the names", 0 },
		{ 0 }
	};
	static const struct argp argp = {
		.options = options,
		.parser = parse,
		.args_doc = "[NAME[=VALUE]...]",
		.doc = "Show or set tunables: the files of .pagefs/vm.",
	};
	struct sysctl_options o = {
		.settings = calloc((size_t)argc, sizeof(struct setting)),
	};
	int status;

	if (!o.settings)
		return ctl_fail(-ENOMEM, "sysctl");
	ctl_parse(ctl, &argp, argc, argv, &o);
	status = ctl_find_mount(ctl) ?: do_sysctl(ctl, &o);
	free(o.settings);
	return status;
}

/* ---- drop-caches ---- */

static error_t drop_parse(int key, char *arg, struct argp_state *state)
{
	const char **what = state->input;

	if (key != ARGP_KEY_ARG)
		return ARGP_ERR_UNKNOWN;
	if (*what)
		argp_error(state, "%s: one argument too many", arg);
	ctl_parse_count(state, "number", arg, 1, 3);
	*what = arg;
	return 0;
}

static int drop(const struct ctl *ctl, const char *what)
{
	struct sample before, after;
	struct json_object *obj;
	const char *file = "vm/drop_caches";
	char pages[SIZE_TEXT], slab[SIZE_TEXT];
	uint64_t cached, objects;
	int err = sample_take(ctl, &before, &file);

	if (!err) {
		file = "vm/drop_caches";
		err = ctl_write(ctl, file, what);
	}
	if (!err)
		err = sample_take(ctl, &after, &file);
	if (err)
		return ctl_fail_file(ctl, file, err);
	/* Others may have filled it again meanwhile. */
	cached = before.v[S_CACHED] - (before.v[S_CACHED] < after.v[S_CACHED] ?
				       before.v[S_CACHED] : after.v[S_CACHED]);
	objects = before.v[S_SLAB] - (before.v[S_SLAB] < after.v[S_SLAB] ?
				      before.v[S_SLAB] : after.v[S_SLAB]);
	if (!ctl->json) {
		printf("dropped %s of pages and %s of objects; %s stay cached\n",
		       size_text(cached, pages), size_text(objects, slab),
		       size_text(after.v[S_CACHED], (char [SIZE_TEXT]){ 0 }));
		return ctl_end_output();
	}
	obj = json_object_new_object();
	json_add_u64(obj, "dropped_kb", cached);
	json_add_u64(obj, "dropped_slab_kb", objects);
	json_add_u64(obj, "cached_kb", after.v[S_CACHED]);
	return json_line(obj);
}

int drop_caches_main(struct ctl *ctl, int argc, char **argv)
{
	static const struct argp argp = {
		.parser = drop_parse,
		.args_doc = "[1|2|3]",
		.doc = "Drop clean pages (1), inodes and other objects that are "
		       "not in use (2), or both (3, the default).\v"
		       "What is dirty or mapped stays, and so does what the "
		       "kernel has of these files in a cache of its own.",
	};
	const char *what = NULL;
	int status;

	ctl_parse(ctl, &argp, argc, argv, &what);
	status = ctl_find_mount(ctl);
	return status ?: drop(ctl, what ?: "3");
}
