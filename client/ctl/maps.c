// SPDX-License-Identifier: BSD-2-Clause
/*
 * client/ctl/maps.c - pagefsctl maps: what processes have mapped
 *
 *   .pagefs/smaps/PID
 *     7f00-7f40 rw-s 00002000 00:2a 1234      /mnt/a/file      a mapping begins
 *     Rss:                  16 kB                              and has these
 *
 * Without a PID: the processes there are, and their sums.
 */
#include <ctype.h>
#include <errno.h>
#include <inttypes.h>
#include <json-c/json.h>
#include <stdlib.h>
#include <string.h>

#include "ctl.h"

struct mapping {
	uint64_t start, end, pos, ino;
	char mode[5];
	char *path;
	uint64_t rss_kb, pss_kb, dirty_kb, locked_kb;
	char flags[64];
};

/* ---- one mapping after the other ---- */

static bool begin_mapping(char *line, struct mapping *m)
{
	struct mapping new = { 0 };
	int at = 0;

	if (sscanf(line, "%" SCNx64 "-%" SCNx64 " %4s %" SCNx64 " %*s %" SCNu64 " %n",
		   &new.start, &new.end, new.mode, &new.pos, &new.ino,
		   &at) != 5 || !at)
		return false;
	unescape_octal(line + at);
	new.path = line + at;
	*m = new;
	return true;
}

static void add_field(struct mapping *m, char *line)
{
	char *value = strchr(line, ':');
	uint64_t kb;

	if (!value)
		return;
	*value++ = '\0';
	value += strspn(value, " \t");
	kb = strtoull(value, NULL, 10);
	if (!strcmp(line, "Rss"))
		m->rss_kb = kb;
	else if (!strcmp(line, "Pss"))
		m->pss_kb = kb;
	else if (!strcmp(line, "Shared_Dirty") || !strcmp(line, "Private_Dirty"))
		m->dirty_kb += kb;
	else if (!strcmp(line, "Locked"))
		m->locked_kb = kb;
	else if (!strcmp(line, "VmFlags"))
		snprintf(m->flags, sizeof(m->flags), "%s", value);
}

/* The next one of *@textp. False: there is none. */
static bool next_mapping(char **textp, struct mapping *m)
{
	char *line, *before;
	bool found = false;

	while (!found && (line = next_line(textp)))
		found = begin_mapping(line, m);
	while (found && **textp) {
		before = *textp;
		/* Fields begin with a capital, addresses do not. */
		if (!isupper((unsigned char)*before))
			break;
		line = next_line(textp);
		add_field(m, line);
	}
	return found;
}

/* ---- one process ---- */

static void print_mapping(const struct mapping *m)
{
	char size[SIZE_TEXT], rss[SIZE_TEXT], pss[SIZE_TEXT], dirty[SIZE_TEXT];

	printf("%016" PRIx64 " %7s %7s %7s %7s %s %10" PRIx64 " ", m->start,
	       size_text((m->end - m->start) / 1024, size),
	       size_text(m->rss_kb, rss), size_text(m->pss_kb, pss),
	       size_text(m->dirty_kb, dirty), m->mode, m->pos);
	print_name(stdout, m->path);
	putchar('\n');
}

static struct json_object *mapping_json(const struct mapping *m)
{
	struct json_object *obj = json_object_new_object();

	json_add_u64(obj, "start", m->start);
	json_add_u64(obj, "end", m->end);
	json_add_name(obj, "mode", m->mode);
	json_add_u64(obj, "pos", m->pos);
	json_add_u64(obj, "ino", m->ino);
	json_add_u64(obj, "size_kb", (m->end - m->start) / 1024);
	json_add_u64(obj, "rss_kb", m->rss_kb);
	json_add_u64(obj, "pss_kb", m->pss_kb);
	json_add_u64(obj, "dirty_kb", m->dirty_kb);
	json_add_u64(obj, "locked_kb", m->locked_kb);
	json_add_name(obj, "path", m->path);
	return obj;
}

static int print_mappings(const struct ctl *ctl, pid_t pid, char *text)
{
	struct json_object *array = ctl->json ? json_object_new_array() : NULL;
	struct json_object *obj;
	struct mapping m;

	if (!array)
		puts("ADDRESS             SIZE     RSS     PSS   DIRTY MODE     OFFSET PATH");
	while (next_mapping(&text, &m)) {
		if (array)
			json_object_array_add(array, mapping_json(&m));
		else
			print_mapping(&m);
	}
	if (!array)
		return ctl_end_output();
	obj = json_object_new_object();
	json_add_name(obj, "mount", ctl->mount);
	json_add_u64(obj, "pid", (uint64_t)pid);
	json_object_object_add(obj, "mappings", array);
	return json_line(obj);
}

static int show_process(const struct ctl *ctl, pid_t pid)
{
	char name[32], *text;
	int err, status;

	snprintf(name, sizeof(name), "smaps/%d", pid);
	err = ctl_read(ctl, name, &text);
	if (err == -ENOENT)
		return ctl_fail(0, "process %d maps nothing by the daemon of %s",
				pid, ctl->mount);
	if (err == -EACCES)
		return ctl_fail(0, "process %d is another user's", pid);
	if (err)
		return ctl_fail_file(ctl, name, err);
	status = print_mappings(ctl, pid, text);
	free(text);
	return status;
}

/* ---- all of them ---- */

static void print_client(const struct client_line *c)
{
	char mapped[SIZE_TEXT], rss[SIZE_TEXT], pss[SIZE_TEXT], dirty[SIZE_TEXT];

	printf("%7d %-8s %7s %7s %7s %7s ", c->pid, c->user,
	       c->known ? size_text(c->mapped_kb, mapped) : "?",
	       c->known ? size_text(c->rss_kb, rss) : "?",
	       c->known ? size_text(c->pss_kb, pss) : "?",
	       c->known ? size_text(c->dirty_kb, dirty) : "?");
	print_name(stdout, c->command);
	putchar('\n');
}

static struct json_object *client_json(const struct client_line *c)
{
	struct json_object *obj = json_object_new_object();

	json_add_u64(obj, "pid", (uint64_t)c->pid);
	json_add_name(obj, "user", c->user);
	json_add_name(obj, "command", c->command);
	if (!c->known)
		return obj;
	json_add_u64(obj, "size_kb", c->mapped_kb);
	json_add_u64(obj, "rss_kb", c->rss_kb);
	json_add_u64(obj, "pss_kb", c->pss_kb);
	json_add_u64(obj, "dirty_kb", c->dirty_kb);
	return obj;
}

static int show_processes(const struct ctl *ctl)
{
	struct json_object *array, *obj;
	struct client_line *lines;
	ssize_t n = client_lines(ctl, &lines);

	if (n < 0)
		return ctl_fail_file(ctl, "smaps", (int)n);
	array = ctl->json ? json_object_new_array() : NULL;
	if (!array)
		puts("    PID USER        SIZE     RSS     PSS   DIRTY COMMAND");
	for (ssize_t i = 0; i < n; i++) {
		if (array)
			json_object_array_add(array, client_json(&lines[i]));
		else
			print_client(&lines[i]);
	}
	free(lines);
	if (!array)
		return ctl_end_output();
	obj = json_object_new_object();
	json_add_name(obj, "mount", ctl->mount);
	json_object_object_add(obj, "clients", array);
	return json_line(obj);
}

/* ---- the command ---- */

static error_t parse(int key, char *arg, struct argp_state *state)
{
	pid_t *pid = state->input;

	if (key != ARGP_KEY_ARG)
		return ARGP_ERR_UNKNOWN;
	if (*pid)
		argp_error(state, "%s: one process at a time", arg);
	*pid = (pid_t)ctl_parse_count(state, "process number", arg, 1, INT32_MAX);
	return 0;
}

int maps_main(struct ctl *ctl, int argc, char **argv)
{
	static const struct argp argp = {
		.parser = parse,
		.args_doc = "[PID]",
		.doc = "Show what process PID has mapped by pagefs, or which "
		       "processes have mapped anything.\v"
		       "RSS is what the daemon has given to the process, PSS "
		       "its share of that.",
	};
	pid_t pid = 0;
	int status;

	ctl_parse(ctl, &argp, argc, argv, &pid);
	status = ctl_find_mount(ctl);
	if (status)
		return status;
	return pid ? show_process(ctl, pid) : show_processes(ctl);
}
