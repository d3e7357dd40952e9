// SPDX-License-Identifier: BSD-2-Clause
/*
 * daemon/http_stream.c - /events: who listens, and what each has not had yet
 *
 *   feed --publish--> | rec | rec | rec | rec | rec |      one ring for all
 *                      ^tail        ^pos A     ^pos B, head
 *
 *   a record   { len, kind, nr } text             len counts all of it
 *
 *   stream:  new --the feed listens for it, __begin()--> ready
 *            idle --something published--> ready --MHD asks--> idle
 *            (suspended: MHD does not ask)            |
 *                                                     +--ended, no more--> gone
 *
 * Records are made once, however many listen, and handed out when MHD finds that
 * a connection can take more. Nobody waits for a listener: one that is slow finds
 * its position written over, and is told how many events that was.
 *
 * S1. A stream is suspended only under the lock, after there was nothing for it;
 *     whoever publishes looks under the lock whether somebody is. So no wake-up
 *     is lost.
 * S2. Each stream counts, by kind, what it has gone past; the ring counts what it
 *     has written over. The difference is what a stream that was overtaken has
 *     lost, of the kinds it wants.
 * S3. A record is read and the position moved under the lock: it is never half
 *     of one and half of another.
 * S4. The hello is not sent before the feed listens to what this stream wants: who
 *     has had it hears of all that happens from then on.
 *
 * Locks: streams.lock, a leaf; MHD's own are taken inside it. Called by MHD with
 *        the lock of a response held, which nobody here waits for.
 */
#include <errno.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <sys/types.h>

#include "deadline.h"
#include "list.h"
#include "lockdep.h"
#include "mm_types.h"
#include "http_i.h"

/* Streams at a time: windows of a browser, and some programs. Arbitrary. */
#define MAX_STREAMS	16u
/* Bytes kept for those who are behind: some 5,000 events. A power of 2. */
#define RING_SIZE	((size_t)SZ_1M)
/* Bytes of records that a stream takes out at a time: the longest there can be,
 * an event with a path of PATH_MAX, all of it escapes, and more. */
#define OUT_SIZE	(32 * (size_t)SZ_1K)

struct record {
	uint32_t len;
	uint32_t kind;
	unsigned long nr;
};

/* Fields: (C) constant; (M) only between MHD's calls for it; (S) lock. */
struct stream {
	struct list_head list;			/* (S) */
	struct MHD_Connection *connection;	/* (C) */
	unsigned int kinds;			/* (C) */
	bool suspended;				/* (S) */
	bool begun;				/* (S) S4 */
	bool greeted;				/* (M) has seen that */
	uint64_t pos;				/* (S) of the next record */
	unsigned long past[NR_KINDS];		/* (S) S2 */
	size_t out_at, out_len;			/* (M) what MHD has not taken */
	char out[OUT_SIZE];			/* (M) */
};

/* Fields: (S) lock. head, tail: bytes ever put in, ever written over. */
static struct {
	struct mutex lock;
	pthread_cond_t gone;			/* the last one is */
	struct list_head list;			/* (S) */
	unsigned int nr;			/* (S) */
	bool ended;				/* (S) */
	char *ring;				/* (S) */
	uint64_t head, tail;			/* (S) */
	unsigned long in[NR_KINDS];		/* (S) put in, ever */
	unsigned long over[NR_KINDS];		/* (S) written over, ever */
	unsigned long lost;			/* (S) by all, ever */
} streams = {
	.lock = MUTEX_INITIALIZER(LOCK_LEAF),
	.list = LIST_HEAD_INIT(streams.list),
};

/* ---- the ring ---- */

static void ring_put(uint64_t at, const void *data, size_t len)
{
	size_t off = at % RING_SIZE, n = min(len, RING_SIZE - off);

	memcpy(streams.ring + off, data, n);
	memcpy(streams.ring, (const char *)data + n, len - n);
}

static void ring_get(uint64_t at, void *data, size_t len)
{
	size_t off = at % RING_SIZE, n = min(len, RING_SIZE - off);

	memcpy(data, streams.ring + off, n);
	memcpy((char *)data + n, streams.ring, len - n);
}

/* Context: streams.lock. */
static void __make_room(size_t len)
{
	struct record rec;

	while (streams.head + len - streams.tail > RING_SIZE) {
		ring_get(streams.tail, &rec, sizeof(rec));
		streams.over[rec.kind] += rec.nr;
		streams.tail += rec.len;
	}
}

void http_streams_publish(unsigned int kind, unsigned long nr,
			  const char *text, size_t len)
{
	const struct record rec = {
		.len = (uint32_t)(sizeof(rec) + len), .kind = kind, .nr = nr,
	};

	if (len > OUT_SIZE)
		return;
	mutex_lock(&streams.lock);
	__make_room(rec.len);
	ring_put(streams.head, &rec, sizeof(rec));
	ring_put(streams.head + sizeof(rec), text, len);
	streams.head += rec.len;
	streams.in[kind] += nr;
	mutex_unlock(&streams.lock);
}

/* ---- what a stream is given ---- */

/* Samples come again; what is lost of the trace does not. */
static bool is_counted(unsigned int kind)
{
	return kind != KIND_SAMPLE && kind != KIND_BEAT && kind != KIND_END;
}

/* S2. Context: streams.lock; what came next has been written over. */
static void __skip_lost(struct stream *s)
{
	unsigned long lost = 0;

	for (unsigned int kind = 0; kind < NR_KINDS; kind++) {
		if (is_counted(kind) && (s->kinds & 1u << kind))
			lost += streams.over[kind] - s->past[kind];
		s->past[kind] = streams.over[kind];
	}
	s->pos = streams.tail;
	streams.lost += lost;
	if (lost)
		s->out_len += (size_t)snprintf(s->out + s->out_len,
			OUT_SIZE - s->out_len,
			"event: lost\ndata: {\"event\":\"lost\",\"nr\":%lu}\n\n",
			lost);
}

/* The next record, if there is room for it. Context: streams.lock. */
static bool __take_record(struct stream *s)
{
	struct record rec;
	size_t len;

	ring_get(s->pos, &rec, sizeof(rec));
	len = rec.len - sizeof(rec);
	if (s->kinds & 1u << rec.kind) {
		if (len > OUT_SIZE - s->out_len)
			return false;
		ring_get(s->pos + sizeof(rec), s->out + s->out_len, len);
		s->out_len += len;
	}
	s->past[rec.kind] += rec.nr;
	s->pos += rec.len;
	return true;
}

/* Fill s->out, which is empty. Context: streams.lock. */
static void __fill(struct stream *s)
{
	s->out_at = s->out_len = 0;
	if (s->pos < streams.tail)
		__skip_lost(s);
	while (s->pos < streams.head && __take_record(s))
		;
}

/*
 * Is there something for it? Records it does not want are gone past.
 * Return: bytes in s->out; 0: it is suspended (S1); or MHD_CONTENT_READER_END_*.
 */
static ssize_t refill(struct stream *s)
{
	ssize_t ret;

	mutex_lock(&streams.lock);
	__fill(s);
	ret = (ssize_t)s->out_len;
	if (!ret && streams.ended) {
		ret = MHD_CONTENT_READER_END_OF_STREAM;
	} else if (!ret) {
		s->suspended = true;
		MHD_suspend_connection(s->connection);
	}
	mutex_unlock(&streams.lock);
	return ret;
}

/* S4. Return: false: not yet, and it is suspended. */
static bool greet(struct stream *s)
{
	mutex_lock(&streams.lock);
	s->greeted = s->begun || streams.ended;
	if (!s->greeted) {
		s->suspended = true;
		MHD_suspend_connection(s->connection);
	}
	mutex_unlock(&streams.lock);
	return s->greeted;
}

/* MHD_ContentReaderCallback. Context: MHD's thread. */
static ssize_t stream_read(void *arg, uint64_t pos, char *buf, size_t max)
{
	struct stream *s = arg;
	size_t n;

	(void)pos;
	if (!s->greeted && !greet(s))
		return 0;
	if (s->out_at == s->out_len) {
		ssize_t ret = refill(s);

		if (ret <= 0)
			return ret;
	}
	n = min(max, s->out_len - s->out_at);
	memcpy(buf, s->out + s->out_at, n);
	s->out_at += n;
	return (ssize_t)n;
}

/* MHD_ContentReaderFreeCallback. Context: MHD's thread, or who stops it. */
static void stream_free(void *arg)
{
	struct stream *s = arg;

	mutex_lock(&streams.lock);
	list_del(&s->list);
	if (!--streams.nr)
		pthread_cond_signal(&streams.gone);
	mutex_unlock(&streams.lock);
	free(s);
}

/* ---- who listens ---- */

/* Return: 0, or -EUSERS. */
static int add_stream(struct stream *s)
{
	int err = 0;

	mutex_lock(&streams.lock);
	if (streams.nr == MAX_STREAMS || streams.ended) {
		err = -EUSERS;
	} else {
		list_add_tail(&s->list, &streams.list);
		streams.nr++;
	}
	mutex_unlock(&streams.lock);
	return err;
}

int http_stream_new(struct MHD_Connection *connection, unsigned int kinds,
		    const char *hello, struct MHD_Response **responsep)
{
	struct stream *s = malloc(sizeof(*s));
	int err;

	if (!s)
		return -ENOMEM;
	memset(s, 0, offsetof(struct stream, out));
	s->connection = connection;
	s->kinds = kinds | KIND_ALWAYS;
	s->out_len = strnlen(hello, OUT_SIZE);
	memcpy(s->out, hello, s->out_len);
	err = add_stream(s);
	if (err) {
		free(s);
		return err;
	}
	/* Its blocks are what is copied to the socket at a time. */
	*responsep = MHD_create_response_from_callback(MHD_SIZE_UNKNOWN,
			16 * SZ_1K, stream_read, s, stream_free);
	if (*responsep)
		return 0;
	stream_free(s);
	return -ENOMEM;
}

unsigned int http_streams_wanted(void)
{
	unsigned int kinds = 0;
	struct stream *s;

	mutex_lock(&streams.lock);
	list_for_each_entry(s, &streams.list, list)
		kinds |= s->kinds;
	mutex_unlock(&streams.lock);
	return kinds;
}

/* Context: streams.lock. What is put in from here on is for @s. */
static void __begin(struct stream *s)
{
	s->begun = true;
	s->pos = streams.head;
	memcpy(s->past, streams.in, sizeof(s->past));
	if (!s->suspended)
		return;
	s->suspended = false;
	MHD_resume_connection(s->connection);
}

void http_streams_begin(unsigned int kinds)
{
	struct stream *s;

	mutex_lock(&streams.lock);
	list_for_each_entry(s, &streams.list, list)
		if (!s->begun && !(s->kinds & ~kinds))
			__begin(s);
	mutex_unlock(&streams.lock);
}

/* Context: streams.lock. Has anything been put in that it wants? */
static bool __has_news(const struct stream *s)
{
	if (streams.ended)
		return true;
	if (!s->begun)
		return false;
	if (s->pos < streams.tail)
		return true;
	for (unsigned int kind = 0; kind < NR_KINDS; kind++)
		if ((s->kinds & 1u << kind) && streams.in[kind] != s->past[kind])
			return true;
	return false;
}

void http_streams_wake(void)
{
	struct stream *s;

	mutex_lock(&streams.lock);
	list_for_each_entry(s, &streams.list, list) {
		if (!s->suspended || !__has_news(s))
			continue;
		s->suspended = false;
		MHD_resume_connection(s->connection);
	}
	mutex_unlock(&streams.lock);
}

void http_streams_end(void)
{
	mutex_lock(&streams.lock);
	streams.ended = true;
	mutex_unlock(&streams.lock);
	http_streams_wake();
}

void http_streams_wait(unsigned int ms)
{
	struct timespec ts = deadline_after(CLOCK_MONOTONIC, ms);
	int err = 0;

	mutex_lock(&streams.lock);
	while (streams.nr && !err)
		err = pthread_cond_timedwait(&streams.gone, &streams.lock.m,
					     &ts);
	mutex_unlock(&streams.lock);
}

void http_streams_count(struct http_counts *counts)
{
	mutex_lock(&streams.lock);
	counts->streams = streams.nr;
	counts->lost = streams.lost;
	mutex_unlock(&streams.lock);
}

/* ---- begin and end ---- */

int http_streams_init(void)
{
	pthread_condattr_t attr;

	streams.ring = malloc(RING_SIZE);
	if (!streams.ring)
		return -ENOMEM;
	BUG_ON(pthread_condattr_init(&attr));
	BUG_ON(pthread_condattr_setclock(&attr, CLOCK_MONOTONIC));
	BUG_ON(pthread_cond_init(&streams.gone, &attr));
	pthread_condattr_destroy(&attr);
	return 0;
}

void http_streams_exit(void)
{
	BUG_ON(streams.nr);
	pthread_cond_destroy(&streams.gone);
	free(streams.ring);
	streams.ring = NULL;
}
