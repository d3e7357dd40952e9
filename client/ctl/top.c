// SPDX-License-Identifier: BSD-2-Clause
/*
 * client/ctl/top.c - pagefsctl top: what happens on the mount, on a screen
 *
 *   meminfo, vmstat     each interval: memory, rates, the graphs' next column
 *   files, smaps/PID    the same, less often if they take long
 *   trace               as it comes, added up: bytes written of each file,
 *                       faults of each client
 *
 * How busy a file is: what of it came into the cache, left it, became dirty or
 * was written, since the last look. Without the trace (which is for root and the
 * daemon's user) what was written is not known, and reads of what is cached are
 * never seen: they cost nothing.
 *
 * Whoever has the trace open keeps the mount from being unmounted; --no-trace is
 * for those who mind.
 */
#include <errno.h>
#include <json-c/json.h>
#include <search.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "top.h"
#include "tracefile.h"

/* Files and clients are looked at for this share of the time, at most. */
#define LOOK_SHARE	5

struct top_options {
	double interval;
	bool no_trace;
};

/* ---- sums of events ---- */

/* By inode number or pid. */
struct sum {
	uint64_t key, value;
};

struct sums {
	void *tree;			/* tsearch(3)'s */
	double since;
};

static int compare_sums(const void *a, const void *b)
{
	const struct sum *x = a, *y = b;

	return x->key < y->key ? -1 : x->key > y->key;
}

static void sums_add(struct sums *s, uint64_t key, uint64_t value)
{
	struct sum *new = malloc(sizeof(*new)), **found;

	if (!new)
		return;
	*new = (struct sum){ .key = key };
	found = tsearch(new, &s->tree, compare_sums);
	if (!found || *found != new)
		free(new);
	if (found)
		(*found)->value += value;
}

/* A second, since it was last emptied. */
static double sums_rate(const struct sums *s, uint64_t key, double now)
{
	const struct sum wanted = { .key = key };
	struct sum **found = tfind(&wanted, &s->tree, compare_sums);

	return found && now > s->since ?
		(double)(*found)->value / (now - s->since) : 0;
}

static void sums_empty(struct sums *s, double now)
{
	tdestroy(s->tree, free);
	s->tree = NULL;
	s->since = now;
}

/* ---- the trace ---- */

struct feed {
	struct tracefile t;		/* t.fd -1: there is none */
	struct sums written, faults;
};

static void feed_event(struct feed *feed, struct top *top,
		       struct json_object *event)
{
	const char *name = trace_text(event, "event");

	if (!strcmp(name, "writeback_pages"))
		sums_add(&feed->written,
			 (uint64_t)trace_number(event, "ino", 0),
			 (uint64_t)trace_number(event, "bytes", 0));
	else if (!strcmp(name, "mm_fault"))
		sums_add(&feed->faults,
			 (uint64_t)trace_number(event, "pid", 0), 1);
	else if (!strcmp(name, "lost"))
		top->lost += (uint64_t)trace_number(event, "nr", 0);
}

/* Return: 0 or -errno; -ENODEV: the mount is being taken down. */
static int feed_read(struct feed *feed, struct top *top)
{
	struct json_object *event;
	char *line;
	int err = 0;

	if (feed->t.fd < 0)
		return 0;
	while ((line = tracefile_line(&feed->t, &err))) {
		event = trace_event(line);
		if (event)
			feed_event(feed, top, event);
		json_object_put(event);
	}
	return err ?: feed->t.eof ? -ENODEV : 0;
}

static void feed_open(struct feed *feed, struct top *top, bool wanted)
{
	*feed = (struct feed){
		.t.fd = -1, .written.since = ctl_now(), .faults.since = ctl_now(),
	};
	/* If it cannot be had, there is less to show. */
	top->tracing = wanted && !tracefile_open(&feed->t, top->ctl,
						 "writeback_pages,mm_fault",
						 NULL);
}

static void feed_close(struct feed *feed)
{
	if (feed->t.fd >= 0)
		tracefile_close(&feed->t);
	sums_empty(&feed->written, 0);
	sums_empty(&feed->faults, 0);
}

/* ---- files ---- */

static double difference(uint64_t a, uint64_t b)
{
	return a > b ? (double)(a - b) : (double)(b - a);
}

static int by_order(const void *a, const void *b, void *arg)
{
	const struct top_file *x = a, *y = b;
	const struct file_line *f = &x->line, *g = &y->line;
	double order = 0;

	switch (*(enum top_sort *)arg) {
	case SORT_BUSY:
		order = y->busy - x->busy;
		break;
	case SORT_CACHED:
		order = (double)g->cached_kb - (double)f->cached_kb;
		break;
	case SORT_DIRTY:
		order = (double)g->dirty_kb - (double)f->dirty_kb;
		break;
	case SORT_MAPPED:
		order = (double)g->mapped_kb - (double)f->mapped_kb;
		break;
	case SORT_AGE:
		order = (double)g->oldest_ms - (double)f->oldest_ms;
		break;
	case SORT_PATH:
	case NR_SORTS:
		break;
	}
	if (!order && *(enum top_sort *)arg == SORT_BUSY)
		order = (double)g->cached_kb - (double)f->cached_kb;
	return order ? (order > 0 ? 1 : -1) : strcmp(f->path, g->path);
}

static void sort_files(struct top *top)
{
	if (top->nr_files)
		qsort_r(top->files, top->nr_files, sizeof(*top->files), by_order,
			&top->sort);
}

static void measure_file(struct top_file *f, const struct file_table *before,
			 const struct feed *feed, double now, double seconds)
{
	const struct file_line *old = file_table_find(before, f->line.ino);
	struct file_line none = { 0 };

	f->written = sums_rate(&feed->written, f->line.ino, now) / 1024;
	f->busy = f->written;
	/* What was there at the first look has not just come. */
	if (!before->text || seconds <= 0)
		return;
	if (!old)
		old = &none;
	f->busy += (difference(f->line.cached_kb, old->cached_kb) +
		    difference(f->line.dirty_kb, old->dirty_kb)) / seconds;
}

/* Return: 0, or -errno that all else will have, too. */
static int look_at_files(struct top *top, const struct feed *feed, double now,
			 double seconds)
{
	struct file_table table;
	struct top_file *files;
	int err = file_table_read(top->ctl, &table);

	top->files_err = err;
	if (err)
		return err == -EACCES ? 0 : err;
	files = calloc(table.nr + 1, sizeof(*files));
	if (!files) {
		file_table_free(&table);
		return -ENOMEM;
	}
	for (size_t i = 0; i < table.nr; i++) {
		files[i].line = table.lines[i];
		measure_file(&files[i], &top->table, feed, now, seconds);
	}
	free(top->files);
	file_table_free(&top->table);
	top->files = files;
	top->nr_files = table.nr;
	top->table = table;
	sort_files(top);
	return 0;
}

/* ---- clients ---- */

static int by_faults(const void *a, const void *b)
{
	const struct top_client *x = a, *y = b;

	if (x->faults != y->faults)
		return x->faults < y->faults ? 1 : -1;
	return x->line.rss_kb < y->line.rss_kb ? 1 :
		x->line.rss_kb > y->line.rss_kb ? -1 :
		x->line.pid - y->line.pid;
}

static int look_at_clients(struct top *top, const struct feed *feed, double now)
{
	struct client_line *lines;
	ssize_t n = client_lines(top->ctl, &lines);
	struct top_client *clients;

	top->clients_err = n < 0 ? (int)n : 0;
	if (n < 0)
		return (int)n;
	clients = calloc((size_t)n + 1, sizeof(*clients));
	if (!clients) {
		free(lines);
		return -ENOMEM;
	}
	for (ssize_t i = 0; i < n; i++) {
		clients[i].line = lines[i];
		clients[i].faults = sums_rate(&feed->faults,
					      (uint64_t)lines[i].pid, now);
	}
	free(lines);
	if (n)
		qsort(clients, (size_t)n, sizeof(*clients), by_faults);
	free(top->clients);
	top->clients = clients;
	top->nr_clients = (size_t)n;
	return 0;
}

/* ---- each interval ---- */

static void add_history(struct top *top)
{
	const float values[NR_GRAPHS] = {
		[GRAPH_DIRTY] = (float)top->now.v[S_DIRTY],
		[GRAPH_WRITEBACK] = (float)top->now.v[S_WRITEBACK],
		[GRAPH_IN] = (float)sample_rate(&top->last, &top->now, S_PGIN),
		[GRAPH_OUT] = (float)sample_rate(&top->last, &top->now, S_PGOUT),
	};

	for (int g = 0; g < NR_GRAPHS; g++) {
		float *h = top->history[g];

		if (top->nr_history == TOP_HISTORY)
			memmove(h, h + 1, (TOP_HISTORY - 1) * sizeof(*h));
		h[top->nr_history - (top->nr_history == TOP_HISTORY)] =
			values[g];
	}
	top->nr_history += top->nr_history < TOP_HISTORY;
}

/* When files and clients were looked at, and are to be again. */
struct looks {
	double last, next;
};

static int look_closely(struct top *top, struct feed *feed, struct looks *looks)
{
	double now = ctl_now();
	int err;

	if (now < looks->next)
		return 0;
	err = look_at_files(top, feed, now, now - looks->last);
	if (!err)
		err = look_at_clients(top, feed, now);
	sums_empty(&feed->written, now);
	sums_empty(&feed->faults, now);
	looks->last = now;
	looks->next = now + LOOK_SHARE * (ctl_now() - now);
	return err;
}

/* Return: 0 or -errno, then *@filep could not be had. */
static int take(struct top *top, struct feed *feed, struct looks *looks,
		const char **filep)
{
	struct sample s;
	int err = sample_take(top->ctl, &s, filep);

	if (err)
		return err;
	top->last = top->now.when ? top->now : s;
	top->now = s;
	top->uptime = ctl_uptime(top->ctl);
	add_history(top);
	*filep = "files";
	return look_closely(top, feed, looks);
}

/* ---- keys ---- */

/* A page of files; as many as a terminal may have, arbitrary. */
#define SCROLL_PAGE	10u
#define DRAW_SECONDS	0.1	/* soon enough after a key */

static void scroll(struct top *top, long lines)
{
	long to = (long)top->scroll + lines;
	long last = (long)top->nr_files - 1;

	top->scroll = (size_t)(to > last ? (last > 0 ? last : 0) :
			       to > 0 ? to : 0);
}

/* False: the end. */
static bool handle_key(struct top *top, int key)
{
	switch (key) {
	case KEY_QUIT_TOP:
		/* Out of the help first. */
		if (!top->help)
			return false;
		top->help = false;
		break;
	case KEY_HELP_TOP:
		top->help = !top->help;
		break;
	case KEY_PAUSE_TOP:
		top->paused = !top->paused;
		break;
	case KEY_LINE_UP:
		scroll(top, -1);
		break;
	case KEY_LINE_DOWN:
		scroll(top, 1);
		break;
	case KEY_PAGE_UP:
		scroll(top, -(long)SCROLL_PAGE);
		break;
	case KEY_PAGE_DOWN:
		scroll(top, SCROLL_PAGE);
		break;
	case KEY_FIRST:
		top->scroll = 0;
		break;
	}
	if (key >= KEY_SORT && key < KEY_SORT + NR_SORTS) {
		top->sort = (enum top_sort)(key - KEY_SORT);
		top->scroll = 0;
		sort_files(top);
	}
	return true;
}

static bool handle_keys(struct top *top)
{
	int key;

	while ((key = view_key()) != KEY_NOTHING)
		if (!handle_key(top, key))
			return false;
	return true;
}

/* ---- the command ---- */

/* Return: 0 or -errno, then *@filep could not be had. */
static int run(struct top *top, struct feed *feed, const char **filep)
{
	struct looks looks = { .last = ctl_now() };
	double next = ctl_now(), drawn = 0;
	bool hung = false;
	int err = 0;

	while (!err && !stop_caught() && !hung) {
		if (ctl_now() >= next) {
			if (!top->paused)
				err = take(top, feed, &looks, filep);
			next = ctl_now() + top->interval;
		}
		if (err)
			break;
		if (ctl_now() - drawn >= DRAW_SECONDS) {
			view_draw(top);
			drawn = ctl_now();
		}
		err = tracefile_wait_with(STDIN_FILENO, next, &hung);
		if (err == -EINTR)
			err = 0;
		*filep = "trace";
		if (!err)
			err = feed_read(feed, top);
		if (!handle_keys(top))
			break;
	}
	return err;
}

static void top_free(struct top *top)
{
	free(top->files);
	free(top->clients);
	file_table_free(&top->table);
}

static int do_top(const struct ctl *ctl, const struct top_options *o)
{
	struct top top = { .ctl = ctl, .interval = o->interval };
	const char *file = "";
	struct feed feed;
	int err, status;

	/* Is it there at all? Before the screen is taken. */
	err = sample_take(ctl, &top.now, &file);
	if (err)
		return ctl_fail_file(ctl, file, err);
	status = view_open();
	if (status)
		return status;
	catch_stop();
	feed_open(&feed, &top, !o->no_trace);
	err = run(&top, &feed, &file);
	view_close();
	feed_close(&feed);
	top_free(&top);
	return err ? ctl_fail_file(ctl, file, err) : 0;
}

static error_t parse(int key, char *arg, struct argp_state *state)
{
	struct top_options *o = state->input;

	switch (key) {
	case 'T':
		o->no_trace = true;
		return 0;
	case ARGP_KEY_ARG:
		if (state->arg_num)
			argp_error(state, "%s: one argument too many", arg);
		o->interval = ctl_parse_number(state, "number of seconds", arg,
					       0.1, 3600);
		return 0;
	}
	return ARGP_ERR_UNKNOWN;
}

int top_main(struct ctl *ctl, int argc, char **argv)
{
	static const struct argp_option options[] = {
		{ "no-trace", 'T', NULL, 0, "Do without the trace, which keeps "
		  "the mount from being unmounted meanwhile", 0 },
		{ 0 }
	};
	static const struct argp argp = {
		.options = options,
		.parser = parse,
		.args_doc = "[INTERVAL]",
		.doc = "Show memory, rates, and the busiest files and clients, "
		       "every second or INTERVAL seconds.\v"
		       "Keys: q ends, h explains the others.",
	};
	struct top_options o = { .interval = 1 };
	int status;

	ctl_parse(ctl, &argp, argc, argv, &o);
	if (ctl->json)
		return ctl_fail(0, "top has no JSON; stat, files and maps do") ?
			EXIT_USAGE : 0;
	if (!isatty(STDIN_FILENO) || !isatty(STDOUT_FILENO))
		return ctl_fail(0, "top needs a terminal; stat does not");
	status = ctl_find_mount(ctl);
	return status ?: do_top(ctl, &o);
}
