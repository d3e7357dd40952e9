// SPDX-License-Identifier: BSD-2-Clause
/*
 * daemon/http_feed.c - what there is to tell those who listen to /events
 *
 *   trace ----lines, every 20 ms----+
 *   counters --a sample, 4 a second-+--> http_stream.c
 *   nothing ---a comment, every 2 s-+
 *
 * One thread. While nobody listens it sleeps, and no event is noted for it: it
 * reads the trace as one more reader, of what somebody wants.
 *
 * Locks: feed.lock, a leaf: what the thread sleeps for.
 */
#include <errno.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "deadline.h"
#include "err.h"
#include "lockdep.h"
#include "mm_types.h"
#include "trace.h"
#include "http_i.h"
#include "internal.h"

/* Arbitrary, all of them. The first is what an event may be late, and as long as
 * that a thread's ring of the trace has to last. */
#define TICK_MS		20
#define SAMPLE_MS	250
#define BEAT_MS		2000	/* also how soon a client that has gone is missed */
/* Bytes of lines taken from the trace in one tick: 25 MB/s. What is beyond, the
 * trace loses, and says so. */
#define TICK_BYTES	(512 * (size_t)SZ_1K)
#define CHUNK		(64 * (size_t)SZ_1K)
/* "event: NAME\ndata: \n\n" around a line. */
#define FRAME_MAX	128u

#define KINDS_TRACE	TRACE_ALL
_Static_assert(!(KINDS_TRACE & (KIND_ALWAYS | 1u << KIND_SAMPLE)),
	       "bits of the trace are apart from ours");

/* Fields: (F) lock; (T) the thread's. */
static struct {
	struct mutex lock;
	pthread_cond_t cond;
	bool stop;			/* (F) */
	bool kicked;			/* (F) somebody has come */
	pthread_t thread;
	struct trace_file *trace;	/* (T) NULL: nobody wants it, or it cannot
					 * be had */
	unsigned int kinds;		/* (T) what it lets through */
	struct http_sample last;	/* (T) */
	uint64_t sample_due, beat_due;	/* (T) ms */
	char *lines;			/* (T) CHUNK bytes */
	char *frame;			/* (T) the same and FRAME_MAX */
} feed = {
	.lock = MUTEX_INITIALIZER(LOCK_LEAF),
};

static uint64_t now_ms(void)
{
	return trace_clock_us() / 1000;
}

/* ---- kinds ---- */

static const char sample_name[] = "sample";

static unsigned int parse_kind(const char *name, size_t len)
{
	if (len == strlen(sample_name) && !memcmp(name, sample_name, len))
		return 1u << KIND_SAMPLE;
	return trace_parse_events(name, len);
}

unsigned int http_parse_kinds(const char *names)
{
	unsigned int kinds = 0, kind;
	size_t len;

	do {
		len = strcspn(names, ",");
		kind = parse_kind(names, len);
		if (!kind)
			return 0;
		kinds |= kind;
		names += len;
	} while (*names++);
	return kinds;
}

/* ---- the trace ---- */

/* {"ts":1,"tid":2,"event":"NAME"...: how each line begins. */
static const char *event_of(const char *line, size_t *lenp)
{
	static const char key[] = "\"event\":\"";
	const char *name = strstr(line, key);

	if (!name)
		return NULL;
	name += strlen(key);
	*lenp = strcspn(name, "\"");
	return name;
}

/* @line is terminated, without its end of line. */
static void publish_line(const char *line)
{
	const char *name, *nr;
	unsigned long lost = 1;
	unsigned int kind;
	size_t len;
	int n;

	name = event_of(line, &len);
	if (!name)
		return;
	if (len == 4 && !memcmp(name, "lost", 4)) {
		kind = KIND_LOST;
		nr = strstr(line, "\"nr\":");
		if (nr)
			lost = strtoul(nr + 5, NULL, 10);
	} else {
		kind = (unsigned int)__builtin_ctz(
			trace_parse_events(name, len) | 1u << KIND_LOST);
	}
	n = snprintf(feed.frame, CHUNK + FRAME_MAX,
		     "event: %.*s\ndata: %s\n\n", (int)len, name, line);
	http_streams_publish(kind, lost, feed.frame, (size_t)n);
}

static void publish_lines(size_t len)
{
	char *line = feed.lines, *end;

	while ((end = memchr(line, '\n', (size_t)(feed.lines + len - line)))) {
		*end = '\0';
		publish_line(line);
		line = end + 1;
	}
}

static void read_trace(void)
{
	size_t total = 0, len;

	while (feed.trace && total < TICK_BYTES &&
	       (len = trace_file_read(feed.trace, feed.lines, CHUNK))) {
		publish_lines(len);
		total += len;
	}
}

static void select_events(unsigned int kinds)
{
	kinds &= KINDS_TRACE;
	if (kinds == feed.kinds && !!feed.trace == !!kinds)
		return;
	if (kinds && !feed.trace) {
		feed.trace = trace_file_new();
		if (IS_ERR(feed.trace))
			feed.trace = NULL;	/* tried again */
	}
	if (!kinds && feed.trace) {
		trace_file_free(feed.trace);
		feed.trace = NULL;
	}
	if (feed.trace)
		trace_file_select(feed.trace, kinds);
	feed.kinds = kinds;
}

/* ---- samples ---- */

static void publish_sample(void)
{
	char text[2048];
	size_t len, head;

	head = (size_t)snprintf(text, sizeof(text), "event: sample\ndata: ");
	len = http_sample_text(text + head, sizeof(text) - head - 3,
			       &feed.last, feed.trace);
	memcpy(text + head + len, "\n\n", 3);
	http_streams_publish(KIND_SAMPLE, 1, text, head + len + 2);
}

/* ---- the thread ---- */

static void tick(void)
{
	uint64_t now = now_ms();
	unsigned int kinds = http_streams_wanted();

	select_events(kinds);
	http_streams_begin(kinds);
	read_trace();
	if ((kinds & 1u << KIND_SAMPLE) && now >= feed.sample_due) {
		publish_sample();
		/* On time again after a late one, not one after the other. */
		feed.sample_due = max(feed.sample_due + SAMPLE_MS,
				      now + SAMPLE_MS / 2);
	}
	if (kinds && now >= feed.beat_due) {
		http_streams_publish(KIND_BEAT, 1, ": still here\n\n", 14);
		feed.beat_due = now + BEAT_MS;
	}
	http_streams_wake();
}

/* Fails with ETIMEDOUT when the next tick is due; not if nobody listens. */
static int wait_some(const struct timespec *due)
{
	if (due)
		return pthread_cond_timedwait(&feed.cond, &feed.lock.m, due);
	return pthread_cond_wait(&feed.cond, &feed.lock.m);
}

/* Return: false: stop. */
static bool wait_for_tick(void)
{
	unsigned int kinds = http_streams_wanted();
	struct timespec due = deadline_after(CLOCK_MONOTONIC, feed.trace ?
					     TICK_MS : SAMPLE_MS / 5);
	int err = 0;
	bool stop;

	mutex_lock(&feed.lock);
	while (!feed.stop && !feed.kicked && !err)
		err = wait_some(kinds ? &due : NULL);
	feed.kicked = false;
	stop = feed.stop;
	mutex_unlock(&feed.lock);
	return !stop;
}

static void *feed_main(void *arg)
{
	static const char end[] = "event: end\ndata: {\"event\":\"end\"}\n\n";

	(void)arg;
	pthread_setname_np(pthread_self(), "pagefs-feed");
	while (wait_for_tick())
		tick();
	tick();		/* what there still is */
	select_events(0);
	http_streams_publish(KIND_END, 1, end, sizeof(end) - 1);
	http_streams_end();
	return NULL;
}

void http_feed_kick(void)
{
	mutex_lock(&feed.lock);
	feed.kicked = true;
	pthread_cond_signal(&feed.cond);
	mutex_unlock(&feed.lock);
}

static void free_buffers(void)
{
	free(feed.lines);
	free(feed.frame);
	feed.lines = feed.frame = NULL;
}

int http_feed_start(void)
{
	pthread_condattr_t attr;
	int err;

	feed.lines = malloc(CHUNK);
	feed.frame = malloc(CHUNK + FRAME_MAX);
	if (!feed.lines || !feed.frame) {
		free_buffers();
		return -ENOMEM;
	}
	BUG_ON(pthread_condattr_init(&attr));
	BUG_ON(pthread_condattr_setclock(&attr, CLOCK_MONOTONIC));
	BUG_ON(pthread_cond_init(&feed.cond, &attr));
	pthread_condattr_destroy(&attr);
	err = -pthread_create(&feed.thread, NULL, feed_main, NULL);
	if (err) {
		pthread_cond_destroy(&feed.cond);
		free_buffers();
	}
	return err;
}

void http_feed_stop(void)
{
	mutex_lock(&feed.lock);
	feed.stop = true;
	pthread_cond_signal(&feed.cond);
	mutex_unlock(&feed.lock);
	BUG_ON(pthread_join(feed.thread, NULL));
	pthread_cond_destroy(&feed.cond);
	free_buffers();
}
