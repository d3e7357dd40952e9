/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * client/ctl/top.h - what pagefsctl top knows, and what it shows of it
 */
#ifndef PAGEFS_CTL_TOP_H
#define PAGEFS_CTL_TOP_H

#include "ctl.h"

/* Samples of the past: a wide terminal's columns. Arbitrary. */
#define TOP_HISTORY	512u

enum top_graph { GRAPH_DIRTY, GRAPH_WRITEBACK, GRAPH_IN, GRAPH_OUT, NR_GRAPHS };

struct top_file {
	struct file_line line;
	double written;			/* kB/s to the disk; of the trace */
	double busy;			/* kB/s that came, went or were written */
};

struct top_client {
	struct client_line line;
	double faults;			/* a second; of the trace */
};

enum top_sort {
	SORT_BUSY, SORT_CACHED, SORT_DIRTY, SORT_MAPPED, SORT_AGE, SORT_PATH,
	NR_SORTS,
};

struct top {
	const struct ctl *ctl;
	double interval;		/* s */
	struct sample now, last;
	double uptime;

	/* The last TOP_HISTORY values, the newest at nr_history - 1. */
	float history[NR_GRAPHS][TOP_HISTORY];
	unsigned int nr_history;

	bool tracing;			/* else rates of files are not known */
	uint64_t lost;			/* events, ever */

	struct file_table table;	/* strings of files */
	struct top_file *files;		/* in the order they are shown */
	size_t nr_files;
	int files_err;			/* they cannot be had */
	struct top_client *clients;
	size_t nr_clients;
	int clients_err;

	enum top_sort sort;
	size_t scroll;			/* files above the first shown */
	bool paused, help;
};

/* ---- top_view.c ---- */

/* Return: 0, or the exit status, said already. */
int view_open(void);
void view_close(void);
void view_draw(struct top *top);

enum view_key {
	KEY_NOTHING,			/* no key is waiting */
	KEY_SOMETHING,			/* one that means nothing, or a new size */
	KEY_QUIT_TOP, KEY_HELP_TOP, KEY_PAUSE_TOP, KEY_REDRAW_TOP,
	KEY_LINE_UP, KEY_LINE_DOWN, KEY_PAGE_UP, KEY_PAGE_DOWN, KEY_FIRST,
	KEY_SORT,			/* and enum top_sort */
};
/* What has been pressed. Does not wait. */
int view_key(void);

#endif /* PAGEFS_CTL_TOP_H */
