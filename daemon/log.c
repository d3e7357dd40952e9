// SPDX-License-Identifier: BSD-2-Clause
/*
 * daemon/log.c - messages for people: to stderr, or to syslog once detached
 *
 *   log_msg() --level--> stderr: "pagefsd: text"      until log_to_syslog()
 *                    \-> syslog: "pagefsd[PID]: text" after it
 *
 * A line is one write(2), so lines of several threads do not mix. The two
 * fields are atomics: they are set by the main thread while others may log.
 */
#include <errno.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "log.h"

#define LIMIT_SECONDS	10	/* arbitrary */
#define LIMIT_MESSAGES	10u	/* in that time, of one kind; arbitrary */

static atomic_int max_level = LOG_INFO;
static atomic_bool use_syslog;

static const struct {
	const char *name;
	int level;
} levels[] = {
	{ "error", LOG_ERR },
	{ "warn", LOG_WARNING },
	{ "info", LOG_INFO },
	{ "debug", LOG_DEBUG },
};

int log_parse_level(const char *name)
{
	for (size_t i = 0; i < ARRAY_SIZE(levels); i++)
		if (!strcmp(name, levels[i].name))
			return levels[i].level;
	return -EINVAL;
}

void log_set_level(int level)
{
	atomic_store(&max_level, level);
}

void log_to_syslog(void)
{
	openlog("pagefsd", LOG_PID | LOG_NDELAY, LOG_DAEMON);
	atomic_store(&use_syslog, true);
}

void log_msg(int level, const char *fmt, ...)
{
	char line[1024];
	va_list ap;

	if (level > atomic_load(&max_level))
		return;
	va_start(ap, fmt);
	vsnprintf(line, sizeof(line), fmt, ap);
	va_end(ap);
	if (atomic_load(&use_syslog))
		syslog(level, "%s", line);
	else
		dprintf(2, "pagefsd: %s\n", line);
}

/* Racy between threads: a message more or less. */
bool log_allowed(struct log_limit *limit)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC_COARSE, &ts);
	if (ts.tv_sec - atomic_load(&limit->since) >= LIMIT_SECONDS) {
		atomic_store(&limit->since, ts.tv_sec);
		atomic_store(&limit->nr, 0);
	}
	return atomic_fetch_add(&limit->nr, 1) < LIMIT_MESSAGES;
}
