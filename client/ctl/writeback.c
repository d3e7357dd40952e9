// SPDX-License-Identifier: BSD-2-Clause
/*
 * client/ctl/writeback.c - pagefsctl writeback: what is written, when, and why
 *
 *   writeback_pages {reason, nr, age_ms, device_us, ...}
 *            |
 *            v  of each reason
 *   age of the oldest page  [ histogram, pages  ]
 *   time in the device      [ histogram, writes ]
 *
 * One histogram is counted in pages: it says how old data is when it is written,
 * and a large write is more of it than a small one. The other is counted in
 * writes, for it is those that take their time.
 *
 * It begins when it is started: the daemon keeps no record of what has been.
 */
#include <errno.h>
#include <json-c/json.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "histogram.h"
#include "tracefile.h"

#define BAR	16			/* characters */

/* Reasons of a daemon that is newer than us are put together. */
#define NR_REASONS	(NR_WB_REASONS + 1)

struct wb_writes {
	uint64_t writes, pages, bytes, errors;
	struct histogram *age_ms, *queue_us, *device_us;
};

struct collection {
	struct wb_writes reasons[NR_REASONS];
	uint64_t lost;
	double since;
};

struct writeback_options {
	bool follow;
	double interval, duration;	/* s; 0: for ever */
};

static const char *reason_name(unsigned int i)
{
	return i < NR_WB_REASONS ? wb_reasons[i].name : "other";
}

/* ---- collecting ---- */

static void collection_free(struct collection *c)
{
	for (unsigned int i = 0; i < NR_REASONS; i++) {
		histogram_free(c->reasons[i].age_ms);
		histogram_free(c->reasons[i].queue_us);
		histogram_free(c->reasons[i].device_us);
	}
}

/* Return: 0 or -ENOMEM; to be freed in any case. */
static int collection_init(struct collection *c)
{
	*c = (struct collection){ .since = ctl_now() };
	for (unsigned int i = 0; i < NR_REASONS; i++) {
		struct wb_writes *w = &c->reasons[i];

		w->age_ms = histogram_new();
		w->queue_us = histogram_new();
		w->device_us = histogram_new();
		if (!w->age_ms || !w->queue_us || !w->device_us)
			return -ENOMEM;
	}
	return 0;
}

static struct wb_writes *writes_for(struct collection *c, const char *reason)
{
	unsigned int i = 0;

	while (i < NR_WB_REASONS && strcmp(wb_reasons[i].name, reason))
		i++;
	return &c->reasons[i];
}

/* What was not measured is absent. */
static void add_time(struct histogram *h, struct json_object *event,
		     const char *key, double times)
{
	int64_t value = trace_number(event, key, -1);

	if (value >= 0)
		histogram_add(h, (uint64_t)value, times);
}

static void add_event(struct collection *c, struct json_object *event)
{
	uint64_t nr = (uint64_t)trace_number(event, "nr", 0);
	const char *name = trace_text(event, "event");
	struct wb_writes *w;

	if (!strcmp(name, "lost"))
		c->lost += nr;
	if (strcmp(name, "writeback_pages"))
		return;
	w = writes_for(c, trace_text(event, "reason"));
	w->writes++;
	w->pages += nr;
	w->bytes += (uint64_t)trace_number(event, "bytes", 0);
	w->errors += trace_number(event, "err", 0) != 0;
	add_time(w->age_ms, event, "age_ms", (double)nr);
	add_time(w->queue_us, event, "queue_us", 1);
	add_time(w->device_us, event, "device_us", 1);
}

/* What there is now. Return: 0 or -errno. */
static int collect(struct collection *c, struct tracefile *t)
{
	struct json_object *event;
	char *line;
	int err;

	while ((line = tracefile_line(t, &err))) {
		event = trace_event(line);
		if (event)
			add_event(c, event);
		json_object_put(event);
	}
	return err;
}

/* ---- for people ---- */

static double largest_row(const struct histogram *h)
{
	double most = 0;

	for (unsigned int i = 0; i < HISTOGRAM_ROWS; i++)
		if (histogram_row(h, i) > most)
			most = histogram_row(h, i);
	return most;
}

static void print_cell(const struct histogram *h, unsigned int row,
		       const char *(*text)(uint64_t value, char *buf))
{
	double n = histogram_row(h, row), most = largest_row(h);
	unsigned int bar = most ? (unsigned int)(n / most * BAR + 0.5) : 0;
	char from[SIZE_TEXT], to[SIZE_TEXT];

	if (n && !bar)
		bar = 1;
	printf("%7s - %-7s %8.0f |", text(histogram_row_from(row), from),
	       text(histogram_row_from(row + 1), to), n);
	for (unsigned int i = 0; i < BAR; i++)
		putchar(i < bar ? '#' : ' ');
	putchar('|');
}

/* The rows of @h that have something: *@firstp to *@lastp. False: none. */
static bool filled_rows(const struct histogram *h, unsigned int *firstp,
			unsigned int *lastp)
{
	bool any = false;

	for (unsigned int i = 0; i < HISTOGRAM_ROWS; i++) {
		if (!histogram_row(h, i))
			continue;
		if (!any)
			*firstp = i;
		*lastp = i;
		any = true;
	}
	return any;
}

/* Side by side, each from its own first row on. */
static void print_histograms(const struct wb_writes *w)
{
	unsigned int a = 0, a_last = 0, d = 0, d_last = 0;
	bool ages = filled_rows(w->age_ms, &a, &a_last);
	bool times = filled_rows(w->device_us, &d, &d_last);

	printf("  %-43s %s\n", "age of the data       pages",
	       "time in the device   writes");
	while (ages || times) {
		if (ages)
			print_cell(w->age_ms, a, age_text);
		else
			printf("%*s", 45, "");
		if (times)
			print_cell(w->device_us, d, us_text);
		putchar('\n');
		ages = ages && ++a <= a_last;
		times = times && ++d <= d_last;
	}
}

static const char *quantile_text(const struct histogram *h, double q,
				 const char *(*text)(uint64_t value, char *buf),
				 char *buf)
{
	return text((uint64_t)histogram_quantile(h, q), buf);
}

static void print_writes(const char *reason, const struct wb_writes *w)
{
	char size[SIZE_TEXT], a[SIZE_TEXT], b[SIZE_TEXT], c[SIZE_TEXT];

	printf("\n%s: %s in %llu writes", reason, size_text(w->bytes / 1024, size),
	       (unsigned long long)w->writes);
	if (w->errors)
		printf(", %llu FAILED", (unsigned long long)w->errors);
	printf("; half of it older than %s; device %s, 99%% below %s, longest %s\n",
	       quantile_text(w->age_ms, 0.5, age_text, size),
	       quantile_text(w->device_us, 0.5, us_text, a),
	       quantile_text(w->device_us, 0.99, us_text, b),
	       us_text(histogram_max(w->device_us), c));
	print_histograms(w);
}

static void print_collection(const struct ctl *ctl, const struct collection *c)
{
	char seconds[SIZE_TEXT];
	bool any = false;

	print_name(stdout, ctl->mount);
	printf(": writeback in %s\n", time_text(ctl_now() - c->since, seconds));
	for (unsigned int i = 0; i < NR_REASONS; i++) {
		if (!c->reasons[i].writes)
			continue;
		any = true;
		print_writes(reason_name(i), &c->reasons[i]);
	}
	if (!any)
		puts("nothing was written");
	if (c->lost)
		printf("\n%llu events were lost: this is not all\n",
		       (unsigned long long)c->lost);
}

/* ---- for machines ---- */

static struct json_object *histogram_json(const struct histogram *h)
{
	struct json_object *obj = json_object_new_object();
	struct json_object *buckets = json_object_new_array(), *b;
	double n;

	json_add_u64(obj, "count", (uint64_t)histogram_total(h));
	json_add_double(obj, "mean", histogram_mean(h));
	json_add_double(obj, "p50", histogram_quantile(h, 0.5));
	json_add_double(obj, "p90", histogram_quantile(h, 0.9));
	json_add_double(obj, "p99", histogram_quantile(h, 0.99));
	json_add_u64(obj, "max", histogram_max(h));
	for (unsigned int i = 0; i < HISTOGRAM_ROWS; i++) {
		n = histogram_row(h, i);
		if (!n)
			continue;
		b = json_object_new_object();
		json_add_u64(b, "from", histogram_row_from(i));
		json_add_u64(b, "to", histogram_row_from(i + 1));
		json_add_u64(b, "count", (uint64_t)n);
		json_object_array_add(buckets, b);
	}
	json_object_object_add(obj, "buckets", buckets);
	return obj;
}

static int print_json(const struct ctl *ctl, const struct collection *c)
{
	struct json_object *obj = json_object_new_object();
	struct json_object *reasons = json_object_new_object(), *r;
	const struct wb_writes *w;

	json_add_name(obj, "mount", ctl->mount);
	json_add_double(obj, "seconds", ctl_now() - c->since);
	json_add_u64(obj, "lost", c->lost);
	for (unsigned int i = 0; i < NR_REASONS; i++) {
		w = &c->reasons[i];
		if (!w->writes)
			continue;
		r = json_object_new_object();
		json_add_u64(r, "writes", w->writes);
		json_add_u64(r, "pages", w->pages);
		json_add_u64(r, "bytes", w->bytes);
		json_add_u64(r, "errors", w->errors);
		json_object_object_add(r, "age_ms", histogram_json(w->age_ms));
		json_object_object_add(r, "queue_us",
				       histogram_json(w->queue_us));
		json_object_object_add(r, "device_us",
				       histogram_json(w->device_us));
		json_object_object_add(reasons, reason_name(i), r);
	}
	json_object_object_add(obj, "reasons", reasons);
	return json_line(obj);
}

static int print_all(const struct ctl *ctl, const struct writeback_options *o,
		     const struct collection *c)
{
	if (ctl->json)
		return print_json(ctl, c);
	/* In place of the last one: home, and clear from there. */
	if (o->follow)
		fputs(isatty(STDOUT_FILENO) ? "\033[H\033[J" : "\n", stdout);
	print_collection(ctl, c);
	return ctl_end_output();
}

/* ---- the command ---- */

static int run(const struct ctl *ctl, const struct writeback_options *o,
	       struct tracefile *t, struct collection *c)
{
	double end = o->duration ? c->since + o->duration : 0;
	double next = o->follow ? c->since + o->interval : end, now;
	int err = 0, status = 0;

	while (!err && !status && !t->eof && !stop_caught()) {
		err = tracefile_wait(next && (!end || next < end) ? next : end);
		if (err == -EINTR)
			err = 0;
		if (!err)
			err = collect(c, t);
		now = ctl_now();
		if (end && now >= end)
			break;
		if (!o->follow || now < next)
			continue;
		status = print_all(ctl, o, c);
		next = now + o->interval;
	}
	/* What there is, is shown, whatever came of it in the end. */
	status = status ?: print_all(ctl, o, c);
	if (err)
		return ctl_fail_file(ctl, "trace", err);
	return t->eof ? ctl_fail(0, "%s: it is mounted no more", ctl->mount) :
		status;
}

static int do_writeback(const struct ctl *ctl,
			const struct writeback_options *o)
{
	struct collection c;
	struct tracefile t;
	int err = collection_init(&c), status;

	if (!err)
		err = tracefile_open(&t, ctl, "writeback_pages", NULL);
	if (err) {
		collection_free(&c);
		return ctl_fail_file(ctl, "trace", err);
	}
	catch_stop();
	if (!o->follow && !o->duration && isatty(STDERR_FILENO))
		fprintf(stderr, "%s: looking on; ^C ends, and shows\n",
			ctl->mount);
	status = run(ctl, o, &t, &c);
	tracefile_close(&t);
	collection_free(&c);
	return status;
}

static error_t parse(int key, char *arg, struct argp_state *state)
{
	struct writeback_options *o = state->input;

	switch (key) {
	case 'f':
		o->follow = true;
		return 0;
	case 'i':
		o->interval = ctl_parse_number(state, "number of seconds", arg,
					       0.1, 1e6);
		o->follow = true;
		return 0;
	case 't':
		o->duration = ctl_parse_number(state, "number of seconds", arg,
					       0.01, 1e9);
		return 0;
	}
	return ARGP_ERR_UNKNOWN;
}

static const struct argp_option options[] = {
	{ "follow", 'f', NULL, 0, "Show it every second, all so far", 0 },
	{ "interval", 'i', "SECONDS", 0, "The same, not every second", 0 },
	{ "time", 't', "SECONDS", 0, "End after so long; else at ^C", 0 },
	{ 0 }
};

int writeback_main(struct ctl *ctl, int argc, char **argv)
{
	static const struct argp argp = {
		.options = options,
		.parser = parse,
		.doc = "Look on while data is written, then show for each "
		       "reason how old it was and how long the device took.\v"
		       "Reasons: background (more was dirty than the background "
		       "threshold), periodic (dirty for too long), sync, reclaim "
		       "(memory was short), throttled (a writer waited), laptop "
		       "(the disk was awake).",
	};
	struct writeback_options o = { .interval = 1 };
	int status;

	ctl_parse(ctl, &argp, argc, argv, &o);
	status = ctl_find_mount(ctl);
	return status ?: do_writeback(ctl, &o);
}
