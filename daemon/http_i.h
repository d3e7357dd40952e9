/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * daemon/http_i.h - what the files of the live page know of each other
 *
 *   http.c          requests: who may ask, what for; headers of every answer
 *   http_listen.c   the address
 *   http_text.c     characters in what is served
 *   http_page.c     the page's own files, and those of its library
 *   http_metrics.c  /metrics
 *   http_sample.c   memory now and what happened since last time: for the charts
 *   http_stream.c   /events: who listens, and what each has not had yet
 *   http_feed.c     the thread that finds out what there is to tell them
 *
 * None of them opens anything on our own mount: the answer to that would be for
 * this process to give, and it might wait for one of these threads.
 */
#ifndef PAGEFS_DAEMON_HTTP_I_H
#define PAGEFS_DAEMON_HTTP_I_H

#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <microhttpd.h>

#include "compiler.h"
#include "http.h"

#ifndef PAGEFS_VERSION
#define PAGEFS_VERSION "(unversioned build)"
#endif

/* Answers of each kind, for /metrics; by status / 100. */
#define HTTP_STATUS_CLASSES	6u

struct http_counts {
	unsigned long requests[HTTP_STATUS_CLASSES];
	unsigned int connections;
	unsigned int streams;
	unsigned long lost;		/* events that streams were too slow for */
};
void http_get_counts(struct http_counts *counts);

/* ---- http_listen.c ---- */

/* A socket that listens there. Return: it, or -errno. */
int http_listen(const struct http_address *address);
/* "http://127.0.0.1:8080/", of a socket that listens. Return: 0 or -errno. */
int http_url(int fd, char *buf, size_t size);

/* ---- http_text.c ---- */

/* Bytes of the character at @text; 0: it is no UTF-8. */
unsigned int http_utf8_len(const char *text);
/* @s in quotation marks, as the trace has names of files. */
void http_put_json(FILE *f, const char *s);

/* ---- http_page.c ---- */

struct http_file {
	const char *path;		/* in the URL */
	const char *type;
	const void *data;		/* NULL: there is none */
	size_t len;
};
/* Read the library's files. The page does without, if it must. */
void http_page_init(void);
void http_page_exit(void);
/* NULL: no such path. */
const struct http_file *http_page_find(const char *path);

/* ---- http_metrics.c ---- */

/* All metrics, from malloc; NULL: no memory. */
char *http_metrics_text(const struct config *config, size_t *lenp);

/* ---- http_sample.c ---- */

/* What rates are made from. */
struct http_sample {
	uint64_t ts_us;			/* as in the trace; 0: never taken */
	unsigned long dirtied, written, read, faults, majfaults;
	unsigned long pauses, paused_ms;
};
/*
 * A line of JSON without its end, like those of the trace. Rates are since
 * *@last, which is what the next one is compared with; absent if that was long
 * ago. @has_trace: events are told, too. Return: its length.
 */
size_t http_sample_text(char *buf, size_t size, struct http_sample *last,
			bool has_trace);

/* ---- http_stream.c ---- */

/*
 * What can be told. Those of the trace come first, as bits of its own order;
 * then ours.
 */
#define KIND_SAMPLE	28u
#define KIND_END	29u	/* that was all */
#define KIND_BEAT	30u	/* a comment, that somebody is there */
#define KIND_LOST	31u
#define NR_KINDS	32u
#define KIND_ALWAYS	(1u << KIND_END | 1u << KIND_BEAT | 1u << KIND_LOST)

int http_streams_init(void);
/* Nobody is served any more. */
void http_streams_exit(void);
/*
 * A new one, of what @kinds says, beginning with @hello. @responsep: for
 * MHD_queue_response(); it ends with that. Return: 0, -EUSERS: there are enough,
 * -ENOMEM.
 */
int http_stream_new(struct MHD_Connection *connection, unsigned int kinds,
		    const char *hello, struct MHD_Response **responsep);
/* To all who want it. @nr: events it tells of, for who is too slow. */
void http_streams_publish(unsigned int kind, unsigned long nr,
			  const char *text, size_t len);
/* Who waits for what has been published is told. */
void http_streams_wake(void);
/* What somebody wants. */
unsigned int http_streams_wanted(void);
/* From here on all @kinds are published: those who want no others begin. */
void http_streams_begin(unsigned int kinds);
/* The rest is sent, and then they end. */
void http_streams_end(void);
/* Until all have ended, @ms < 1000 at most. */
void http_streams_wait(unsigned int ms);
void http_streams_count(struct http_counts *counts);

/* ---- http_feed.c ---- */

int http_feed_start(void);
/* Somebody has come who may want something else. */
void http_feed_kick(void);
/* What there still is goes out, and that this was all. */
void http_feed_stop(void);
/* The bits behind "a,b"; 0: one of them is unknown. */
unsigned int http_parse_kinds(const char *names);

#endif /* PAGEFS_DAEMON_HTTP_I_H */
