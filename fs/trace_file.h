/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * fs/trace_file.h - what trace_file.c (one open trace) and ctl_trace.c (requests
 *                   and who answers them) tell each other
 */
#ifndef PAGEFS_FS_TRACE_FILE_H
#define PAGEFS_FS_TRACE_FILE_H

#include <linux/limits.h>

#include "internal.h"
#include "pagefs_fs.h"
#include "trace.h"

/* The file the last line was about: most are followed by more of it. */
struct last_name {
	uint64_t ino;			/* of the record; 0: none yet */
	uint64_t shown;			/* st_ino */
	uint64_t since_us;
	bool known;			/* it has a name: this */
	char path[PATH_MAX];
};

/* Fields: (F) lock; (Q) ctl_trace.c's server.lock. */
struct trace_file {
	struct mutex lock;
	struct trace_reader *reader;	/* (F) */
	char *only;			/* (F) path of the one file, or NULL */
	unsigned long lost;		/* (F) events, of the line in the making */
	struct last_name name;		/* (F) */
	size_t line_at, line_len;	/* (F) the rest of line */
	/* (F) Of lost ones, and an event's: six bytes for each of a path's, if
	 * all are escapes. */
	char line[2 * TRACE_LINE_MAX + 6 * PATH_MAX];
	unsigned int refs;		/* (Q) ctl_trace.c I4 */
	bool ended;			/* (Q) its reader knows: ctl_trace.c I3 */
};

/* trace_file_new() gives one reference, trace_file_free() comes with the last;
 * these and trace_file_read() are in pagefs_fs.h. */
/* Is there so much that it need not wait for more? */
bool trace_file_has_many(struct trace_file *file);
/* @len bytes written to it: doc/TRACE.md. Return: 0; -EINVAL or -ENOMEM, and the
 * filter is what it was. */
int trace_file_filter(struct trace_file *file, const char *buf, size_t len);

#endif /* PAGEFS_FS_TRACE_FILE_H */
