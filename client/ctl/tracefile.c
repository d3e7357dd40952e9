// SPDX-License-Identifier: BSD-2-Clause
/*
 * client/ctl/tracefile.c - events of .pagefs/trace, as they happen
 *
 *   buf  [ given out | line \n line \n li.. |      ]
 *                    ^start                 ^end
 *
 * The daemon notes nothing while nobody listens, and makes no line that nobody
 * reads: what is not wanted is filtered there.
 *
 * A byte of a name that is no UTF-8 comes as \udc80 to \udcff, which JSON
 * libraries refuse, or replace by something that means nothing. It is made the
 * byte again before they see it.
 */
#include <errno.h>
#include <fcntl.h>
#include <json-c/json.h>
#include <math.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "tracefile.h"

/*
 * A line has a path of at most 4,095 bytes, each of which may take six; and this
 * much is read at once.
 */
#define BUF_SIZE	65536u

/* Nothing tells when the trace has more (doc/TRACE.md): it is looked at again. */
#define LOOK_SECONDS	0.01

/* ---- opening ---- */

static int set_filter(int fd, const char *events, const char *file)
{
	char *path = file ? escape_octal(file) : NULL, *filter;
	int err = 0;

	if ((file && !path) ||
	    asprintf(&filter, "%s%s%s%s%s", events ? "event=" : "",
		     events ?: "", events && file ? " " : "",
		     file ? "file=" : "", path ?: "") < 0) {
		free(path);
		return -ENOMEM;
	}
	if (write(fd, filter, strlen(filter)) < 0)
		err = -errno;
	free(filter);
	free(path);
	return err;
}

int tracefile_open(struct tracefile *t, const struct ctl *ctl,
		   const char *events, const char *file)
{
	int err = 0;

	*t = (struct tracefile){ .buf = malloc(BUF_SIZE + 1), .fd = -1 };
	if (!t->buf)
		return -ENOMEM;
	t->fd = ctl_open(ctl, "trace", O_RDWR | O_NONBLOCK);
	if (t->fd < 0)
		err = t->fd;
	else if (events || file)
		err = set_filter(t->fd, events, file);
	if (err)
		tracefile_close(t);
	return err;
}

void tracefile_close(struct tracefile *t)
{
	if (t->fd >= 0)
		close(t->fd);
	free(t->buf);
	*t = (struct tracefile){ .fd = -1 };
}

/* ---- signals ---- */

static volatile sig_atomic_t stopped;	/* volatile: by a handler */

static void note_stop(int sig)
{
	(void)sig;
	stopped = 1;
}

static const int stop_signals[] = { SIGINT, SIGTERM, SIGHUP };

void catch_stop(void)
{
	struct sigaction sa = { .sa_handler = note_stop }, old;
	sigset_t blocked;

	sigemptyset(&blocked);
	for (size_t i = 0; i < ARRAY_SIZE(stop_signals); i++) {
		sigaction(stop_signals[i], NULL, &old);
		if (old.sa_handler == SIG_IGN)
			continue;
		sigaction(stop_signals[i], &sa, NULL);
		sigaddset(&blocked, stop_signals[i]);
	}
	sigprocmask(SIG_BLOCK, &blocked, NULL);
}

bool stop_caught(void)
{
	return stopped;
}

/* ---- reading ---- */

int tracefile_wait_with(int fd, double until, bool *hungp)
{
	struct pollfd pfd = { .fd = fd, .events = POLLIN };
	double left = until ? until - ctl_now() : LOOK_SECONDS;
	struct timespec ts = { 0 };
	sigset_t mask;

	sigprocmask(SIG_BLOCK, NULL, &mask);
	for (size_t i = 0; i < ARRAY_SIZE(stop_signals); i++)
		sigdelset(&mask, stop_signals[i]);
	if (left > 0)
		ts.tv_nsec = (long)(fmin(left, LOOK_SECONDS) * 1e9);
	if (ppoll(&pfd, 1, &ts, &mask) < 0)
		return -errno;
	*hungp = pfd.revents & (POLLHUP | POLLERR | POLLNVAL);
	return 0;
}

int tracefile_wait(double until)
{
	bool hung;

	return tracefile_wait_with(-1, until, &hung);
}

/* Return: 0 or -errno. */
static int fill(struct tracefile *t)
{
	ssize_t n;

	if (t->start) {
		memmove(t->buf, t->buf + t->start, t->end - t->start);
		t->end -= t->start;
		t->start = 0;
	}
	if (t->end == BUF_SIZE)
		t->end = 0;	/* no line is so long: it is not one of ours */
	n = read(t->fd, t->buf + t->end, BUF_SIZE - t->end);
	if (n < 0)
		return errno == EAGAIN || errno == EINTR ? 0 : -errno;
	t->eof = !n;
	t->end += (size_t)n;
	return 0;
}

char *tracefile_line(struct tracefile *t, int *errp)
{
	char *line, *end;

	*errp = 0;
	for (int i = 0; i < 2; i++) {
		line = t->buf + t->start;
		end = memchr(line, '\n', t->end - t->start);
		if (end) {
			*end = '\0';
			t->start = (size_t)(end + 1 - t->buf);
			return line;
		}
		if (i || t->eof)
			break;
		*errp = fill(t);
		if (*errp)
			break;
	}
	return NULL;
}

/* ---- what a line says ---- */

/* \udcXX at @s? Then *@bytep. */
static bool is_byte(const char *s, char *bytep)
{
	char hex[3] = { 0 };

	if (strncasecmp(s, "\\udc", 4) || !s[4] || !s[5])
		return false;
	memcpy(hex, s + 4, 2);
	*bytep = (char)strtoul(hex, NULL, 16);
	return (unsigned char)*bytep >= 0x80;
}

/*
 * Does a surrogate pair begin at @s, whose second half is not to be taken for a
 * byte?
 */
static bool is_pair(const char *s)
{
	return !strncasecmp(s, "\\ud", 3) && strchr("89abAB", s[3]) &&
		s[4] && s[5] && !strncasecmp(s + 6, "\\ud", 3);
}

static void unescape_bytes(char *line)
{
	char *to = line;
	size_t n;

	while (*line) {
		if (is_byte(line, to)) {
			to++;
			line += 6;
			continue;
		}
		n = is_pair(line) ? 12 : *line == '\\' && line[1] ? 2 : 1;
		n = strnlen(line, n);
		memmove(to, line, n);
		to += n;
		line += n;
	}
	*to = '\0';
}

struct json_object *trace_event(char *line)
{
	struct json_object *obj;

	unescape_bytes(line);
	obj = json_tokener_parse(line);
	if (obj && !json_object_is_type(obj, json_type_object)) {
		json_object_put(obj);
		return NULL;
	}
	return obj;
}

int64_t trace_number(struct json_object *event, const char *key,
		     int64_t otherwise)
{
	struct json_object *value;

	return json_object_object_get_ex(event, key, &value) ?
		json_object_get_int64(value) : otherwise;
}

const char *trace_text(struct json_object *event, const char *key)
{
	struct json_object *value;

	return json_object_object_get_ex(event, key, &value) ?
		json_object_get_string(value) ?: "" : "";
}
