// SPDX-License-Identifier: BSD-2-Clause
/*
 * fs/ctl_text.c - control files that are open
 *
 *   whole text  | part | part | part | ...        as long as it likes
 *                      ^start ^start + len
 *                      [ buf  ] CTL_PART bytes: the part that is being read
 *
 * A read at 0 makes the text anew, so that a program may keep a file open and
 * read it again and again. Reads that go on get what follows; most texts are one
 * part, and such a reader sees one moment however small its reads are. A read
 * further back than the part starts again from 0 and skips.
 *
 * A write is one value, whole, at the beginning: there is nothing in between to
 * be written in pieces.
 *
 * Locks:   h->lock, outside all others: while text is made, and copied.
 * Source:  Linux fs/seq_file.c.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "ctl.h"
#include "sysctl.h"

/*
 * Bytes of a part. The longest text that has to be one, slabinfo's: 64 caches,
 * some 150 bytes each. A record of files may take four times PATH_MAX.
 */
#define CTL_PART	(64 * SZ_1K)

/* ---- making it ---- */

void ctl_printf(struct ctl_text *text, const char *fmt, ...)
{
	size_t room = text->size - text->len;
	va_list ap;
	int len;

	va_start(ap, fmt);
	len = vsnprintf(text->buf + text->len, room, fmt, ap);
	va_end(ap);
	if (len < 0 || (size_t)len >= room)
		text->full = true;
	else
		text->len += (size_t)len;
}

void ctl_escape(struct ctl_text *text, const char *s, const char *escape)
{
	for (; *s && !text->full; s++) {
		if (strchr(escape, *s))
			ctl_printf(text, "\\%03o", (unsigned char)*s);
		else if (text->size - text->len > 1)
			text->buf[text->len++] = *s;
		else
			text->full = true;
	}
}

/* The part after this one. Return: 0, or -errno: there is none of it. */
static int next_part(struct ctl_handle *h)
{
	struct ctl_text *text = h->text;
	int err;

	text->start += (loff_t)text->len;
	text->len = 0;
	text->full = false;
	if (h->file->whole) {
		text->len = h->file->whole(text->buf, text->size);
		text->end = true;
		return 0;
	}
	err = h->file->show(h, text);
	if (err)
		return text->len ? 0 : err;
	/* A record larger than a part: better cut off than for ever. */
	if (!text->len)
		text->end = true;
	return 0;
}

/* From the beginning. Return: 0 or -ENOMEM. */
static int restart(struct ctl_handle *h)
{
	struct ctl_text *text = h->text;

	if (!text) {
		text = malloc(sizeof(*text) + CTL_PART);
		if (!text)
			return -ENOMEM;
		h->text = text;
	}
	*text = (struct ctl_text){
		.buf = (char *)(text + 1),
		.size = CTL_PART,
	};
	return next_part(h);
}

/* ---- reading and writing it ---- */

static ssize_t read_locked(struct ctl_handle *h, char *buf, size_t size,
			   loff_t pos)
{
	struct ctl_text *text = h->text;
	size_t skip;
	int err = 0;

	if (!text || pos == 0 || pos < text->start)
		err = restart(h);
	text = h->text;
	while (!err && !text->end && pos >= text->start + (loff_t)text->len)
		err = next_part(h);
	if (err)
		return err;
	if (pos >= text->start + (loff_t)text->len)
		return 0;
	skip = (size_t)(pos - text->start);
	size = min(size, text->len - skip);
	memcpy(buf, text->buf + skip, size);
	return (ssize_t)size;
}

ssize_t ctl_text_read(struct ctl_handle *h, char *buf, size_t size, loff_t pos)
{
	ssize_t n;

	mutex_lock(&h->lock);
	n = read_locked(h, buf, size, pos);
	mutex_unlock(&h->lock);
	return n;
}

ssize_t ctl_text_write(struct ctl_handle *h, const char *buf, size_t len,
		       loff_t pos)
{
	char text[SYSCTL_TEXT_MAX + 1];
	int err;

	/* Where >> writes is where the kernel thinks that the end is. */
	if ((pos && !(h->flags & O_APPEND)) || len >= sizeof(text) ||
	    memchr(buf, '\0', len))
		return -EINVAL;
	memcpy(text, buf, len);
	text[len] = '\0';
	err = h->file->store(h, text);
	return err ? err : (ssize_t)len;
}

const struct ctl_file_ops ctl_text_ops = { .read = ctl_text_read };

/* ---- open and release ---- */

/*
 * Root and the owner have the owner's rights, and no others: as in Linux's
 * /proc/sys, where root cannot read what is there for writing only.
 */
static bool permitted(const struct ctl_node *node, const struct fs_cred *cred,
		      int flags)
{
	mode_t mode = node->mode, wanted = 0;
	int accmode = flags & O_ACCMODE;

	if (cred->uid == 0 || cred->uid == node->uid)
		mode >>= 6;
	if (accmode != O_WRONLY)
		wanted |= 4;
	if (accmode != O_RDONLY)
		wanted |= 2;
	return (mode & wanted) == wanted;
}

static struct ctl_handle *handle_alloc(const struct ctl_file *file, uint32_t key,
				       int flags)
{
	struct ctl_handle *h = calloc(1, sizeof(*h));

	if (!h)
		return NULL;
	h->file = file;
	h->key = key;
	h->flags = flags;
	mutex_init(&h->lock, LOCK_READDIR);
	return h;
}

static void handle_free(struct ctl_handle *h)
{
	mutex_destroy(&h->lock);
	free(h->text);
	free(h);
}

int ctl_open(uint64_t nodeid, const struct fs_cred *cred, int flags,
	     struct ctl_handle **hp)
{
	struct ctl_node node;
	struct ctl_handle *h;
	uint32_t key;
	int err = ctl_node(nodeid, &node, &key);

	if (err)
		return err;
	if (!node.file)
		return -EISDIR;
	if (!permitted(&node, cred, flags))
		return -EACCES;
	h = handle_alloc(node.file, key, flags);
	if (!h)
		return -ENOMEM;
	err = node.file->ops->open ? node.file->ops->open(h, cred) : 0;
	if (err) {
		handle_free(h);
		return err;
	}
	*hp = h;
	return 0;
}

void ctl_release(struct ctl_handle *h)
{
	if (h->file->ops->release)
		h->file->ops->release(h);
	handle_free(h);
}

ssize_t ctl_read(struct ctl_handle *h, char *buf, size_t size, loff_t pos)
{
	return h->file->ops->read ? h->file->ops->read(h, buf, size, pos) :
		-EBADF;
}

ssize_t ctl_write(struct ctl_handle *h, const char *buf, size_t len, loff_t pos)
{
	return h->file->ops->write ? h->file->ops->write(h, buf, len, pos) :
		-EBADF;
}
