// SPDX-License-Identifier: BSD-2-Clause
/*
 * client/ctl/stat.c - pagefsctl stat: states and rates, line by line
 *
 * As vmstat(8): the first line has the rates since the mount was made, each
 * further one those since the line before.
 */
#include <json-c/json.h>
#include <time.h>

#include "ctl.h"

/* Lines between two headers where there is no terminal to fill. Arbitrary. */
#define HEADER_LINES	20u

struct stat_options {
	double interval;		/* s; 0: once */
	unsigned long count;		/* lines; 0: for ever */
	unsigned int args;
};

/* Columns, in the order of the lines. */
enum kind { STATE, RATE };
static const struct column {
	const char *title, *key;
	int width;
	enum kind kind;
	enum sample_item item, plus;	/* plus: the same if there is no other */
} columns[] = {
	{ "free", "free_kb", 8, STATE, S_MEM_FREE, S_MEM_FREE },
	{ "cached", "cached_kb", 8, STATE, S_CACHED, S_CACHED },
	{ "dirty", "dirty_kb", 7, STATE, S_DIRTY, S_DIRTY },
	{ "wback", "writeback_kb", 6, STATE, S_WRITEBACK, S_WRITEBACK },
	{ "mapped", "mapped_kb", 7, STATE, S_MAPPED, S_MAPPED },
	{ "in", "in_kb_s", 7, RATE, S_PGIN, S_PGIN },
	{ "out", "out_kb_s", 7, RATE, S_PGOUT, S_PGOUT },
	{ "dirtied", "dirtied_kb_s", 8, RATE, S_DIRTIED, S_DIRTIED },
	{ "hit", "hits_s", 7, RATE, S_HITS, S_HITS },
	{ "miss", "misses_s", 5, RATE, S_MISSES, S_MISSES },
	{ "flt", "faults_s", 6, RATE, S_FAULTS, S_FAULTS },
	{ "maj", "major_faults_s", 5, RATE, S_MAJOR_FAULTS, S_MAJOR_FAULTS },
	{ "scan", "scanned_s", 6, RATE, S_SCAN_KSWAPD, S_SCAN_DIRECT },
	{ "steal", "reclaimed_s", 6, RATE, S_STEAL_KSWAPD, S_STEAL_DIRECT },
	{ "pause", "pauses_s", 5, RATE, S_PAUSED, S_PAUSED },
};

static const char header[] =
"-------------- memory kB ---------------|--------- kB/s ---------"
"|--- reads ---|-- faults --|-- reclaim --|";

/* ---- lines ---- */

static double column_value(const struct column *c, const struct sample *from,
			   const struct sample *to)
{
	double value;

	if (c->kind == STATE)
		return (double)to->v[c->item];
	value = sample_rate(from, to, c->item);
	return c->plus == c->item ? value :
		value + sample_rate(from, to, c->plus);
}

static void print_header(void)
{
	puts(header);
	for (size_t i = 0; i < ARRAY_SIZE(columns); i++)
		printf("%*s ", columns[i].width, columns[i].title);
	putchar('\n');
}

static int print_line(const struct sample *from, const struct sample *to)
{
	for (size_t i = 0; i < ARRAY_SIZE(columns); i++)
		printf("%*.0f ", columns[i].width,
		       column_value(&columns[i], from, to));
	putchar('\n');
	return ctl_end_output();
}

static int print_json(const struct sample *from, const struct sample *to)
{
	struct json_object *obj = json_object_new_object();
	struct timespec ts;

	clock_gettime(CLOCK_REALTIME, &ts);
	json_add_double(obj, "time", (double)ts.tv_sec +
			(double)ts.tv_nsec / 1e9);
	json_add_double(obj, "interval_s", to->when - from->when);
	for (size_t i = 0; i < ARRAY_SIZE(columns); i++) {
		double value = column_value(&columns[i], from, to);

		if (columns[i].kind == STATE)
			json_add_u64(obj, columns[i].key, (uint64_t)value);
		else
			json_add_double(obj, columns[i].key, value);
	}
	return json_line(obj);
}

static bool header_due(unsigned long line)
{
	unsigned int rows, width;

	if (!terminal_size(&rows, &width) || rows < 5)
		rows = HEADER_LINES + 2;
	return line % (rows - 2) == 0;
}

/* Return: the exit status. */
static int follow(const struct ctl *ctl, const struct stat_options *o)
{
	/* All was 0 when the mount was made. */
	struct sample last = { .when = ctl_now() - ctl_uptime(ctl) }, s;
	double when = ctl_now();
	const char *file;
	int err, status;

	for (unsigned long line = 0; ; line++) {
		err = sample_take(ctl, &s, &file);
		if (err)
			return ctl_fail_file(ctl, file, err);
		if (!ctl->json && header_due(line))
			print_header();
		status = ctl->json ? print_json(&last, &s) :
			print_line(&last, &s);
		if (status || (o->count && line + 1 >= o->count))
			return status;
		last = s;
		when += o->interval;
		if (when < ctl_now())
			when = ctl_now();	/* it was stopped meanwhile */
		ctl_sleep_until(when);
	}
}

/* ---- the command ---- */

static error_t parse(int key, char *arg, struct argp_state *state)
{
	struct stat_options *o = state->input;

	if (key != ARGP_KEY_ARG)
		return ARGP_ERR_UNKNOWN;
	switch (o->args++) {
	case 0:
		o->interval = ctl_parse_number(state, "number of seconds", arg,
					       0.1, 1e6);
		o->count = 0;
		break;
	case 1:
		o->count = ctl_parse_count(state, "number of lines", arg, 1,
					   1000000000);
		break;
	default:
		argp_error(state, "%s: one argument too many", arg);
	}
	return 0;
}

int stat_main(struct ctl *ctl, int argc, char **argv)
{
	static const struct argp argp = {
		.parser = parse,
		.args_doc = "[INTERVAL [COUNT]]",
		.doc = "Show memory in kB and rates a second: one line, or one "
		       "every INTERVAL seconds, COUNT of them.\v"
		       "The first line's rates are those since the mount was "
		       "made. pagefsctl(8) explains the columns.",
	};
	struct stat_options o = { .count = 1 };
	int status;

	ctl_parse(ctl, &argp, argc, argv, &o);
	status = ctl_find_mount(ctl);
	return status ?: follow(ctl, &o);
}
