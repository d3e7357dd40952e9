// SPDX-License-Identifier: BSD-2-Clause
/*
 * fs/trace_file.c - one open .pagefs/trace: its filter, and its lines
 *
 *   record {ino, ...} --this event? this file?--> what is it called? --> line
 *
 * A line is made when it is read, and only then is it found out what the file
 * is called: that takes a walk up its names, and most events nobody reads.
 *
 * What is read is a stream of bytes. A line of which a part was read is gone on
 * with; otherwise whole lines are given out.
 *
 * Locks: file->lock (LOCK_READDIR), over finding names.
 */
#include <stdlib.h>
#include <string.h>

#include "trace_file.h"

/* How long a file's name is believed, us: about as late as a reader hears of an
 * event. Arbitrary. */
#define NAME_KEEP_US	10000u
/* Their lines are some 40 KiB: most of a reply. */
#define MANY_RECORDS	256u
/* A filter, bytes: a path, each byte of it as an escape, and all events. */
#define FILTER_MAX	(4 * PATH_MAX + 512)

/* ---- names ---- */

static void look_up_name(struct last_name *last, uint64_t ino)
{
	struct inode *inode = inode_lookup_nodeid(ino);
	char buf[PATH_MAX];
	const char *path;

	last->ino = last->shown = ino;
	last->since_us = trace_clock_us();
	last->known = false;
	if (!inode)
		return;
	last->shown = inode->i_ino;
	path = inode_path(inode, buf, sizeof(buf));
	if (path) {
		last->known = true;
		strcpy(last->path, path + 1);	/* without the slash */
	}
	iput(inode);
}

/* Context: file->lock. Return: the path, or NULL. */
static const char *name_of(struct trace_file *file, uint64_t ino)
{
	struct last_name *last = &file->name;

	if (!ino)
		return NULL;
	if (last->ino != ino ||
	    trace_clock_us() - last->since_us > NAME_KEEP_US)
		look_up_name(last, ino);
	return last->known ? last->path : NULL;
}

/* ---- lines ---- */

/* The next event that this reader wants; *@pathp: of its file, or NULL. */
static bool next_event(struct trace_file *file, struct trace_record *rec,
		       const char **pathp)
{
	while (trace_reader_next(file->reader, rec, &file->lost)) {
		*pathp = name_of(file, rec->ino);
		if (!file->only || (*pathp && !strcmp(*pathp, file->only)))
			return true;
	}
	return false;
}

/*
 * What is lost is told as soon as it is known, before what came after it.
 * Context: file->lock. Return: false: there is nothing to say.
 */
static bool next_line(struct trace_file *file)
{
	const size_t size = sizeof(file->line);
	struct trace_record rec;
	const char *path;
	bool found = next_event(file, &rec, &path);
	size_t len = 0;

	if (file->lost)
		len = trace_format_lost(file->line, size, file->lost);
	file->lost = 0;
	if (found)
		len += trace_format(file->line + len, size - len, &rec,
				    file->name.shown, path);
	file->line_at = 0;
	file->line_len = len;
	return len;
}

/* Context: file->lock. */
static bool has_line(struct trace_file *file)
{
	return file->line_at < file->line_len || next_line(file);
}

/*
 * Whole lines, as many as there are room for and events; part of one if a reader
 * asks for less than a line. Context: file->lock. Return: bytes.
 */
static size_t fill(struct trace_file *file, char *buf, size_t size)
{
	size_t len = 0, n;

	while (len < size && has_line(file)) {
		n = file->line_len - file->line_at;
		if (n > size - len && len)
			break;
		n = min(n, size - len);
		memcpy(buf + len, file->line + file->line_at, n);
		file->line_at += n;
		len += n;
	}
	return len;
}

size_t trace_file_read(struct trace_file *file, char *buf, size_t size)
{
	size_t len;

	mutex_lock(&file->lock);
	len = fill(file, buf, size);
	mutex_unlock(&file->lock);
	return len;
}

bool trace_file_has_many(struct trace_file *file)
{
	bool many;

	mutex_lock(&file->lock);
	many = trace_reader_pending(file->reader) >= MANY_RECORDS;
	mutex_unlock(&file->lock);
	return many;
}

/* ---- filters ---- */

static bool is_octal(const char *s)
{
	for (int i = 1; i <= 3; i++)
		if (s[i] < '0' || s[i] > '7')
			return false;
	return s[1] <= '3';
}

/* As in /proc/self/mounts: \040 is a blank. From malloc, or NULL: no memory. */
static char *unescape_path(const char *word, size_t len)
{
	char *path = malloc(len + 1), *p = path;
	const char *end = word + len;

	if (!path)
		return NULL;
	while (word < end && *word == '/')
		word++;
	while (word < end) {
		if (*word == '\\' && end - word >= 4 && is_octal(word)) {
			*p++ = (char)((word[1] - '0') << 6 |
				      (word[2] - '0') << 3 | (word[3] - '0'));
			word += 4;
		} else {
			*p++ = *word++;
		}
	}
	*p = '\0';
	return path;
}

struct filter {
	unsigned int events;
	char *only;			/* from malloc, or NULL */
};

/* Return: 0, -EINVAL, -ENOMEM. */
static int parse_word(struct filter *filter, const char *word, size_t len)
{
	if (len > 6 && !memcmp(word, "event=", 6)) {
		filter->events = trace_parse_events(word + 6, len - 6);
		return filter->events ? 0 : -EINVAL;
	}
	if (len <= 5 || memcmp(word, "file=", 5) || filter->only)
		return -EINVAL;
	filter->only = unescape_path(word + 5, len - 5);
	return filter->only ? 0 : -ENOMEM;
}

/* @text, terminated: words between blanks; none: everything. */
static int parse_filter(struct filter *filter, const char *text)
{
	static const char blanks[] = " \t\n";
	int err = 0;
	size_t len;

	*filter = (struct filter){ .events = TRACE_ALL };
	for (text += strspn(text, blanks); *text && !err;
	     text += len, text += strspn(text, blanks)) {
		len = strcspn(text, blanks);
		err = parse_word(filter, text, len);
	}
	if (err)
		free(filter->only);
	return err;
}

int trace_file_filter(struct trace_file *file, const char *buf, size_t len)
{
	struct filter filter;
	char *text;
	int err;

	if (len > FILTER_MAX || memchr(buf, '\0', len))
		return -EINVAL;
	text = strndup(buf, len);
	if (!text)
		return -ENOMEM;
	err = parse_filter(&filter, text);
	free(text);
	if (err)
		return err;
	mutex_lock(&file->lock);
	free(file->only);
	file->only = filter.only;
	trace_reader_select(file->reader, filter.events);
	if (!file->line_at)
		file->line_len = 0;	/* made by the old one */
	mutex_unlock(&file->lock);
	return 0;
}

void trace_file_select(struct trace_file *file, unsigned int events)
{
	mutex_lock(&file->lock);
	trace_reader_select(file->reader, events);
	mutex_unlock(&file->lock);
}

/* ---- begin and end ---- */

struct trace_file *trace_file_new(void)
{
	struct trace_file *file = calloc(1, sizeof(*file));
	struct trace_reader *reader;

	if (!file)
		return ERR_PTR(-ENOMEM);
	reader = trace_reader_open();
	if (IS_ERR(reader)) {
		free(file);
		return ERR_PTR(PTR_ERR(reader));
	}
	file->reader = reader;
	mutex_init(&file->lock, LOCK_READDIR);
	file->refs = 1;
	return file;
}

void trace_file_free(struct trace_file *file)
{
	trace_reader_close(file->reader);
	mutex_destroy(&file->lock);
	free(file->only);
	free(file);
}
