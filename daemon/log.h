/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * daemon/log.h - messages for people: to stderr, or to syslog once detached
 *
 * Levels are syslog's (LOG_ERR, LOG_WARNING, LOG_INFO, LOG_DEBUG). One call is
 * one line, without a newline at its end.
 */
#ifndef PAGEFS_LOG_H
#define PAGEFS_LOG_H

#include <stdatomic.h>
#include <syslog.h>
#include "compiler.h"

/* Any thread, any time; the level is what is shown, and what is graver. */
void log_set_level(int level);
/* From now on to syslog, facility daemon, instead of stderr. */
void log_to_syslog(void);
void log_msg(int level, const char *fmt, ...) __printf(2, 3);

/* For messages that a client can bring about: ten in ten seconds. */
struct log_limit {
	atomic_long since;	/* seconds */
	atomic_uint nr;
};
bool log_allowed(struct log_limit *limit);

/* "error", "warn", "info" or "debug". Return: the level, or -EINVAL. */
int log_parse_level(const char *name);

#endif /* PAGEFS_LOG_H */
