/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * client/ctl/tracefile.h - events of .pagefs/trace, as they happen
 */
#ifndef PAGEFS_CTL_TRACEFILE_H
#define PAGEFS_CTL_TRACEFILE_H

#include "ctl.h"

struct json_object;

struct tracefile {
	int fd;
	char *buf;
	size_t start, end;		/* of what has been read and not given out */
	bool eof;			/* the mount has been taken down */
};

/*
 * From now on. @events: names, a comma between two; @file: the path below the
 * mount; NULL: all. Return: 0; -EINVAL: it knows no such event; -errno.
 */
int tracefile_open(struct tracefile *t, const struct ctl *ctl,
		   const char *events, const char *file);
void tracefile_close(struct tracefile *t);
/*
 * Waits till it is time to look again, or the monotonic clock shows @until (0: it
 * never does), or a signal comes that is blocked but while we wait. Return: 0 or
 * -errno: -EINTR: a signal.
 */
int tracefile_wait(double until);
/*
 * The same, or till @fd (-1: none) can be read. Return: 0 or -errno; *@hungp: its
 * other end has gone.
 */
int tracefile_wait_with(int fd, double until, bool *hungp);
/* The next line, without its end, good until the next call. NULL: none yet, or
 * t->eof; *@errp: -errno. */
char *tracefile_line(struct tracefile *t, int *errp);

/*
 * What @line says, to be put; NULL: it is no JSON. Names are bytes again, as
 * those in files are: they may be no UTF-8. @line is changed.
 */
struct json_object *trace_event(char *line);
/* A number of @event, or @otherwise. */
int64_t trace_number(struct json_object *event, const char *key,
		     int64_t otherwise);
/* A text of @event, or "". */
const char *trace_text(struct json_object *event, const char *key);

/* ---- signals that end a command in good order ---- */

/* SIGINT, SIGTERM and SIGHUP are noted from now on, when tracefile_wait() lets
 * them in; unless they are ignored. */
void catch_stop(void);
bool stop_caught(void);

#endif /* PAGEFS_CTL_TRACEFILE_H */
