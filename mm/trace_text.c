// SPDX-License-Identifier: BSD-2-Clause
/*
 * mm/trace_text.c - records of events as lines of JSON
 *
 *   {"ts":1523,"tid":811,"event":"writeback_dirty_page","ino":12,"file":"a","index":0}
 *
 * Each event has a function that puts its own fields behind what all have.
 * Numbers are plain, so that nothing can need quoting but a file's name. What
 * in it is no UTF-8 becomes \udc80 to \udcff, byte for byte: JSON is UTF-8, and
 * Python's surrogateescape turns these back into the name.
 *
 * No locks.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "internal.h"
#include "trace.h"
#include "writeback.h"

/* A line in the making. @len stays within @size; @cut: it did not fit. */
struct line {
	char *buf;
	size_t size, len;
	bool cut;
};

#define EVENT_NAME(name)	[TRACE_##name] = #name,
static const char *const event_names[NR_TRACE_EVENTS] = {
	TRACE_EVENTS(EVENT_NAME)
};
#undef EVENT_NAME

const char *trace_event_name(enum trace_event event)
{
	return event_names[event];
}

static int find_event(const char *name, size_t len)
{
	for (int i = 0; i < NR_TRACE_EVENTS; i++)
		if (strlen(event_names[i]) == len &&
		    !memcmp(event_names[i], name, len))
			return i;
	return -ENOENT;
}

unsigned int trace_parse_events(const char *names, size_t len)
{
	const char *end = names + len, *comma;
	unsigned int events = 0;

	for (;; names = comma + 1) {
		int event;

		comma = memchr(names, ',', (size_t)(end - names));
		event = find_event(names, (size_t)((comma ? comma : end) - names));
		if (event < 0)
			return 0;
		events |= 1u << event;
		if (!comma)
			return events;
	}
}

/* ---- pieces of a line ---- */

/*
 * Not by printf(3), in which most of a line's time was spent.
 * What does not fit is left out, and the line is none.
 */
static void put_bytes(struct line *l, const char *bytes, size_t len)
{
	if (l->size - l->len <= len) {
		l->cut = true;
		return;
	}
	memcpy(l->buf + l->len, bytes, len);
	l->len += len;
}

static void put_text(struct line *l, const char *text)
{
	put_bytes(l, text, strlen(text));
}

static void put_decimal(struct line *l, uint64_t value)
{
	char digits[20], *p = digits + sizeof(digits);	/* of 2^64 */

	do
		*--p = (char)('0' + value % 10);
	while (value /= 10);
	put_bytes(l, p, (size_t)(digits + sizeof(digits) - p));
}

/* \uPPXX, XX being the character in hexadecimal. */
static void put_escape(struct line *l, const char *prefix, unsigned char c)
{
	static const char hex[] = "0123456789abcdef";

	put_text(l, prefix);
	put_bytes(l, &hex[c >> 4], 1);
	put_bytes(l, &hex[c & 15], 1);
}

/* Bytes of the character at @s, or 0: no UTF-8 (RFC 3629, table 3-7 of Unicode). */
static unsigned int utf8_len(const unsigned char *s)
{
	unsigned int n = s[0] < 0x80 ? 1 : s[0] < 0xc2 ? 0 : s[0] < 0xe0 ? 2 :
			 s[0] < 0xf0 ? 3 : s[0] < 0xf5 ? 4 : 0;

	for (unsigned int i = 1; i < n; i++)
		if ((s[i] & 0xc0) != 0x80)
			return 0;	/* also the end of the string */
	if ((s[0] == 0xe0 && s[1] < 0xa0) || (s[0] == 0xed && s[1] > 0x9f) ||
	    (s[0] == 0xf0 && s[1] < 0x90) || (s[0] == 0xf4 && s[1] > 0x8f))
		return 0;
	return n;
}

static void put_string(struct line *l, const char *string)
{
	const unsigned char *s = (const unsigned char *)string;

	put_bytes(l, "\"", 1);
	while (*s && !l->cut) {
		unsigned int n = utf8_len(s);

		if (!n) {
			put_escape(l, "\\udc", *s++);
		} else if (*s < ' ') {
			put_escape(l, "\\u00", *s++);
		} else {
			if (*s == '"' || *s == '\\')
				put_bytes(l, "\\", 1);
			put_bytes(l, (const char *)s, n);
			s += n;
		}
	}
	put_bytes(l, "\"", 1);
}

static void put_name(struct line *l, const char *name)
{
	put_bytes(l, ",\"", 2);
	put_text(l, name);
	put_bytes(l, "\":", 2);
}

static void put_number(struct line *l, const char *name, uint64_t value)
{
	put_name(l, name);
	put_decimal(l, value);
}

static void put_known(struct line *l, const char *name, uint32_t value)
{
	if (value != TRACE_UNKNOWN)
		put_number(l, name, value);
}

static void put_word(struct line *l, const char *name, const char *word)
{
	put_name(l, name);
	put_bytes(l, "\"", 1);
	put_text(l, word);
	put_bytes(l, "\"", 1);
}

static void put_reason(struct line *l, uint64_t reason)
{
	put_word(l, "reason", wb_reason_name((enum wb_reason)reason));
}

/* ---- events ---- */

static void put_start(struct line *l, const struct trace_record *rec)
{
	put_reason(l, rec->start.reason);
	put_number(l, "nr_dirty", rec->start.nr_dirty);
}

static void put_write(struct line *l, const struct trace_record *rec)
{
	const struct trace_write *w = &rec->write;

	put_number(l, "index", w->index);
	put_number(l, "nr", w->nr);
	put_number(l, "bytes", w->bytes);
	put_reason(l, w->reason);
	put_known(l, "age_ms", w->age_ms);
	put_known(l, "queue_us", w->queue_us);
	put_known(l, "device_us", w->device_us);
	put_name(l, "err");
	if (w->err < 0)
		put_bytes(l, "-", 1);
	put_decimal(l, (uint64_t)abs(w->err));
}

static void put_dirty(struct line *l, const struct trace_record *rec)
{
	put_number(l, "index", rec->dirty.index);
}

static void put_balance(struct line *l, const struct trace_record *rec)
{
	put_number(l, "pause_ms", rec->balance.pause_ms);
	put_number(l, "dirty", rec->balance.dirty);
	put_number(l, "limit", rec->balance.limit);
}

static void put_scan(struct line *l, const struct trace_record *rec)
{
	put_word(l, "who", rec->scan.who == TRACE_KSWAPD ? "kswapd" : "direct");
	put_number(l, "scanned", rec->scan.scanned);
	put_number(l, "reclaimed", rec->scan.reclaimed);
	put_number(l, "priority", rec->scan.priority);
}

static void put_demote(struct line *l, const struct trace_record *rec)
{
	put_number(l, "nr", rec->demote.nr);
	put_number(l, "copied", rec->demote.copied);
	put_number(l, "dropped", rec->demote.dropped);
}

static void put_fault(struct line *l, const struct trace_record *rec)
{
	static const char *const kinds[] = {
		[TRACE_FAULT_MINOR] = "minor",
		[TRACE_FAULT_MAJOR] = "major",
		[TRACE_FAULT_SOFT] = "soft",
		[TRACE_FAULT_WP] = "wp",
	};
	const struct trace_fault *f = &rec->fault;

	put_number(l, "index", f->index);
	put_number(l, "pid", f->pid);
	put_number(l, "addr", f->addr);
	put_word(l, "kind", kinds[f->kind]);
	put_known(l, "us", f->us);
	if (f->failed)
		put_number(l, "failed", 1);
}

typedef void (*put_event_t)(struct line *l, const struct trace_record *rec);

static const put_event_t put_event[NR_TRACE_EVENTS] = {
	[TRACE_writeback_start]		= put_start,
	[TRACE_writeback_pages]		= put_write,
	[TRACE_writeback_dirty_page]	= put_dirty,
	[TRACE_balance_dirty_pages]	= put_balance,
	[TRACE_mm_vmscan_scan]		= put_scan,
	[TRACE_mm_demote]		= put_demote,
	[TRACE_mm_fault]		= put_fault,
};

/* ---- lines ---- */

static void put_head(struct line *l, uint64_t ts_us, uint32_t tid,
		     const char *event)
{
	put_text(l, "{\"ts\":");
	put_decimal(l, ts_us);
	put_number(l, "tid", tid);
	put_word(l, "event", event);
}

/* Return: bytes of the whole line, or 0. */
static size_t end_line(struct line *l)
{
	put_bytes(l, "}", 1);
	put_bytes(l, "\n", 1);
	if (l->cut)
		return 0;
	l->buf[l->len] = '\0';
	return l->len;
}

size_t trace_format(char *buf, size_t size, const struct trace_record *rec,
		    uint64_t ino, const char *file)
{
	struct line l = { .buf = buf, .size = size };

	put_head(&l, rec->ts_ns / 1000, rec->tid, event_names[rec->event]);
	if (rec->ino)
		put_number(&l, "ino", ino);
	if (file) {
		put_name(&l, "file");
		put_string(&l, file);
	}
	put_event[rec->event](&l, rec);
	return end_line(&l);
}

size_t trace_format_lost(char *buf, size_t size, unsigned long nr)
{
	struct line l = { .buf = buf, .size = size };

	put_head(&l, trace_clock_us(), 0, "lost");
	put_number(&l, "nr", nr);
	return end_line(&l);
}
