// SPDX-License-Identifier: BSD-2-Clause
/*
 * client/ctl/sample.c - the numbers of meminfo and vmstat at one time
 *
 * What a daemon does not count yet, or no more, is 0.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "ctl.h"

/* A page of the daemon's, in KiB. */
#define PAGE_KB	4

const struct wb_reason wb_reasons[NR_WB_REASONS] = {
	{ "background", S_WB_BACKGROUND },
	{ "periodic", S_WB_PERIODIC },
	{ "sync", S_WB_SYNC },
	{ "reclaim", S_WB_RECLAIM },
	{ "throttled", S_WB_THROTTLED },
	{ "laptop", S_WB_LAPTOP },
};

/* Where a number is from, and what it counts. */
enum from { MEMINFO, VMSTAT, VMSTAT_PAGES };

#define SAMPLE_ROW(item, from, name)	[S_##item] = { name, from },
static const struct {
	const char *name;
	enum from from;
} items[NR_SAMPLE_ITEMS] = { SAMPLE_ITEMS(SAMPLE_ROW) };

static void take_line(struct sample *s, char *line, bool meminfo)
{
	char *value = strpbrk(line, " \t");
	uint64_t number;

	if (!value)
		return;
	*value++ = '\0';
	number = strtoull(value, NULL, 10);
	for (int i = 0; i < NR_SAMPLE_ITEMS; i++) {
		if ((items[i].from == MEMINFO) != meminfo ||
		    strcmp(items[i].name, line))
			continue;
		s->v[i] = items[i].from == VMSTAT_PAGES ? number * PAGE_KB :
			number;
		return;
	}
}

static int take_file(const struct ctl *ctl, struct sample *s, const char *name,
		     bool meminfo)
{
	char *text, *at, *line;
	int err = ctl_read(ctl, name, &text);

	if (err)
		return err;
	for (at = text; (line = next_line(&at)); )
		take_line(s, line, meminfo);
	free(text);
	return 0;
}

int sample_take(const struct ctl *ctl, struct sample *s, const char **filep)
{
	int err;

	*s = (struct sample){ .when = ctl_now() };
	*filep = "meminfo";
	err = take_file(ctl, s, "meminfo", true);
	if (err)
		return err;
	*filep = "vmstat";
	return take_file(ctl, s, "vmstat", false);
}

double sample_rate(const struct sample *from, const struct sample *to,
		   enum sample_item item)
{
	double seconds = to->when - from->when;

	return seconds <= 0 || to->v[item] < from->v[item] ? 0 :
		(double)(to->v[item] - from->v[item]) / seconds;
}

double ctl_uptime(const struct ctl *ctl)
{
	struct timespec now;
	double up;

	clock_gettime(CLOCK_REALTIME, &now);
	up = (double)(now.tv_sec - ctl->since.tv_sec) +
		(double)(now.tv_nsec - ctl->since.tv_nsec) / 1e9;
	return up > 0 ? up : 0;		/* the clock may have been set */
}
