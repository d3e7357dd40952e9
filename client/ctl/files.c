// SPDX-License-Identifier: BSD-2-Clause
/*
 * client/ctl/files.c - pagefsctl files: what is cached of which file
 *
 *   .pagefs/files     ino cached dirty writeback mapped oldest path
 *   .pagefs/advice    ino policy path          those that have one, only
 *
 * The two are looked at one after the other, so a file may be in one of them
 * alone. They are joined by number and path: numbers alone are not enough where
 * other file systems are mounted below the backing directory.
 */
#include <errno.h>
#include <json-c/json.h>
#include <search.h>
#include <stdlib.h>
#include <string.h>

#include "ctl.h"

/* ---- reading ---- */

static bool parse_line(char *line, struct file_line *f)
{
	unsigned long long v[6];
	int at = 0;

	if (sscanf(line, "%llu %llu %llu %llu %llu %llu %n", &v[0], &v[1], &v[2],
		   &v[3], &v[4], &v[5], &at) != 6 || !at)
		return false;
	unescape_octal(line + at);
	*f = (struct file_line){
		.ino = v[0], .cached_kb = v[1], .dirty_kb = v[2],
		.writeback_kb = v[3], .mapped_kb = v[4], .oldest_ms = v[5],
		.path = line + at, .policy = "normal",
	};
	return true;
}

static int parse_files(struct file_table *table)
{
	size_t room = 0;
	char *at = table->text, *line;
	struct file_line f, *more;

	while ((line = next_line(&at))) {
		if (!parse_line(line, &f))
			continue;	/* the header */
		if (table->nr == room) {
			room = room ? 2 * room : 64;
			more = reallocarray(table->lines, room, sizeof(f));
			if (!more)
				return -ENOMEM;
			table->lines = more;
		}
		table->lines[table->nr++] = f;
	}
	return 0;
}

static int by_ino(const void *a, const void *b)
{
	const struct file_line *x = a, *y = b;

	return x->ino < y->ino ? -1 : x->ino > y->ino;
}

/* Context: sorted by number. */
static void set_policy(struct file_table *table, uint64_t ino, const char *path,
		       const char *policy)
{
	const struct file_line key = { .ino = ino };
	struct file_line *end = table->lines + table->nr;
	struct file_line *f = table->nr ?
		bsearch(&key, table->lines, table->nr, sizeof(key), by_ino) :
		NULL;

	if (!f)
		return;
	while (f > table->lines && f[-1].ino == ino)
		f--;
	for (; f < end && f->ino == ino; f++)
		if (!strcmp(f->path, path))
			f->policy = policy;
}

static void parse_advice(struct file_table *table)
{
	char *at = table->advice, *line, *policy, *path, *end;
	uint64_t ino;

	while ((line = next_line(&at))) {
		ino = strtoull(line, &end, 10);
		policy = strtok_r(end, " ", &path);
		if (end == line || !policy)
			continue;
		unescape_octal(path);
		set_policy(table, ino, path, policy);
	}
}

int file_table_read(const struct ctl *ctl, struct file_table *table)
{
	int err;

	*table = (struct file_table){ 0 };
	err = ctl_read(ctl, "files", &table->text);
	if (err)
		return err;
	err = parse_files(table);
	if (!err && table->nr)
		qsort(table->lines, table->nr, sizeof(*table->lines), by_ino);
	if (!err && !ctl_read(ctl, "advice", &table->advice))
		parse_advice(table);
	if (err)
		file_table_free(table);
	return err;
}

const struct file_line *file_table_find(const struct file_table *table,
					uint64_t ino)
{
	const struct file_line key = { .ino = ino };

	return table->nr ? bsearch(&key, table->lines, table->nr, sizeof(key),
				   by_ino) : NULL;
}

void file_table_free(struct file_table *table)
{
	free(table->lines);
	free(table->text);
	free(table->advice);
	*table = (struct file_table){ 0 };
}

/* ---- order ---- */

#define BY(field) \
static int by_##field(const void *a, const void *b) \
{ \
	const struct file_line *x = a, *y = b; \
\
	return x->field > y->field ? -1 : x->field < y->field ? 1 : \
		strcmp(x->path, y->path); \
}

BY(cached_kb)
BY(dirty_kb)
BY(writeback_kb)
BY(mapped_kb)
BY(oldest_ms)

static int by_path(const void *a, const void *b)
{
	const struct file_line *x = a, *y = b;

	return strcmp(x->path, y->path);
}

static const struct order {
	const char *name;
	int (*compare)(const void *a, const void *b);
} orders[] = {
	{ "cached", by_cached_kb },
	{ "dirty", by_dirty_kb },
	{ "writeback", by_writeback_kb },
	{ "mapped", by_mapped_kb },
	{ "age", by_oldest_ms },
	{ "path", by_path },
	{ "ino", by_ino },
};

/* ---- the command ---- */

struct files_options {
	const struct order *order;
	bool dirty;
	unsigned long max;		/* lines; 0: all */
};

static bool is_wanted(const struct files_options *o, const struct file_line *f)
{
	return !o->dirty || f->dirty_kb || f->writeback_kb;
}

static void print_line(const struct file_line *f)
{
	char a[SIZE_TEXT], b[SIZE_TEXT], c[SIZE_TEXT], d[SIZE_TEXT], e[SIZE_TEXT];

	printf("%7s %7s %7s %7s %7s  %-10s ", size_text(f->cached_kb, a),
	       size_text(f->dirty_kb, b), size_text(f->writeback_kb, c),
	       size_text(f->mapped_kb, d),
	       f->dirty_kb ? age_text(f->oldest_ms, e) : "-", f->policy);
	print_name(stdout, f->path);
	putchar('\n');
}

static struct json_object *line_json(const struct file_line *f)
{
	struct json_object *obj = json_object_new_object();

	json_add_u64(obj, "ino", f->ino);
	json_add_u64(obj, "cached_kb", f->cached_kb);
	json_add_u64(obj, "dirty_kb", f->dirty_kb);
	json_add_u64(obj, "writeback_kb", f->writeback_kb);
	json_add_u64(obj, "mapped_kb", f->mapped_kb);
	json_add_u64(obj, "oldest_ms", f->oldest_ms);
	json_add_name(obj, "policy", f->policy);
	/* No name is known: a file "-" would be "/-". */
	json_object_object_add(obj, "path", strcmp(f->path, "-") ?
			       json_name(f->path) : NULL);
	return obj;
}

static int print_table(const struct ctl *ctl, const struct files_options *o,
		       const struct file_table *table)
{
	struct json_object *array = ctl->json ? json_object_new_array() : NULL;
	struct json_object *obj;
	unsigned long n = 0;

	if (!array)
		puts(" CACHED   DIRTY   WBACK  MAPPED     AGE  POLICY     PATH");
	for (size_t i = 0; i < table->nr && (!o->max || n < o->max); i++) {
		if (!is_wanted(o, &table->lines[i]))
			continue;
		n++;
		if (array)
			json_object_array_add(array, line_json(&table->lines[i]));
		else
			print_line(&table->lines[i]);
	}
	if (!array)
		return ctl_end_output();
	obj = json_object_new_object();
	json_add_name(obj, "mount", ctl->mount);
	json_object_object_add(obj, "files", array);
	return json_line(obj);
}

static const struct argp_option options[] = {
	{ "sort", 's', "KEY", 0,
	  "cached (default), dirty, writeback, mapped, age, path or ino", 0 },
	{ "dirty", 'd', NULL, 0, "Only files with something to write", 0 },
	{ "lines", 'n', "N", 0, "Only the first N", 0 },
	{ 0 }
};

static error_t parse(int key, char *arg, struct argp_state *state)
{
	struct files_options *o = state->input;

	switch (key) {
	case 's':
		o->order = NULL;
		for (size_t i = 0; i < ARRAY_SIZE(orders); i++)
			if (!strcmp(orders[i].name, arg))
				o->order = &orders[i];
		if (!o->order)
			argp_error(state, "%s: cannot sort by that", arg);
		return 0;
	case 'd':
		o->dirty = true;
		return 0;
	case 'n':
		o->max = ctl_parse_count(state, "number of lines", arg, 1,
					 1000000000);
		return 0;
	}
	return ARGP_ERR_UNKNOWN;
}

int files_main(struct ctl *ctl, int argc, char **argv)
{
	static const struct argp argp = {
		.options = options,
		.parser = parse,
		.doc = "Show which files have pages in the cache.\v"
		       "AGE is for how long the oldest dirty page has been so. "
		       "Paths begin at the mount's root.",
	};
	struct files_options o = { .order = &orders[0] };
	struct file_table table;
	int status, err;

	ctl_parse(ctl, &argp, argc, argv, &o);
	status = ctl_find_mount(ctl);
	if (status)
		return status;
	err = file_table_read(ctl, &table);
	if (err)
		return ctl_fail_file(ctl, "files", err);
	if (table.nr)
		qsort(table.lines, table.nr, sizeof(*table.lines),
		      o.order->compare);
	status = print_table(ctl, &o, &table);
	file_table_free(&table);
	return status;
}
