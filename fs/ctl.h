/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * fs/ctl.h - what the files of the .pagefs directory know of each other
 *
 *   ctl.c        the tree: names, node ids, attributes; whole texts
 *   ctl_text.c   open files: texts that are made piece by piece
 *   ctl_vm.c     vm/: numbers to set
 *   ctl_files.c  files, advice
 *   ctl_maps.c   maps/PID and smaps/PID
 *   ctl_disk.c   diskstats
 *   ctl_swap.c   swapon, swapoff
 *
 *   ctl_dir  --find, next--> key --node--> mode, owner, ctl_file
 *                                                         |
 *                       ctl_handle (one open(2)) --ops----+
 *
 * A file whose text is not enough for it (one that is read as things happen)
 * brings ctl_file_ops of its own.
 */
#ifndef PAGEFS_CTL_H
#define PAGEFS_CTL_H

#include "internal.h"

enum ctl_dir_id {
	CTL_ROOT,		/* .pagefs itself */
	CTL_VM,
	CTL_MAPS,
	CTL_SMAPS,
	NR_CTL_DIRS,
};

struct ctl_file;

/* What has a name. */
struct ctl_node {
	mode_t mode;			/* type and permissions */
	uid_t uid;
	enum ctl_dir_id dir;		/* a directory: this one */
	const struct ctl_file *file;	/* a file: this one; else NULL */
};

/*
 * A directory's entries have keys from 1 on, which stay theirs: part of the
 * node id, and positions of a listing. All constant.
 */
struct ctl_dir {
	enum ctl_dir_id parent;
	/* 0 and the key of @name, or -ENOENT. */
	int (*find)(const char *name, uint32_t *keyp);
	/* The first entry after *@keyp; @name has room for NAME_MAX + 1. False:
	 * there is none. */
	bool (*next)(uint32_t *keyp, char *name);
	/* 0, or -ENOENT: there is no such entry any more. */
	int (*node)(uint32_t key, struct ctl_node *node);
};

extern const struct ctl_dir ctl_vm_dir, ctl_maps_dir, ctl_smaps_dir;

/* What @nodeid is, and its key. Return: 0, -ESTALE, -ENOENT. */
int ctl_node(uint64_t nodeid, struct ctl_node *node, uint32_t *keyp);

/*
 * One open(2). Fields: (C) constant; (L) lock; (F) the file's own.
 */
struct ctl_handle {
	const struct ctl_file *file;	/* (C) */
	uint32_t key;			/* (C) */
	int flags;			/* (C) O_*, of the open */
	void *private;			/* (F) */
	struct mutex lock;		/* LOCK_READDIR: held while text is made */
	struct ctl_text *text;		/* (L) ctl_text.c's; NULL: not read yet */
};

/* Context: FUSE workers, several at once for one handle. All are optional. */
struct ctl_file_ops {
	/* May @cred, whom permissions let in, have it? 0 or -errno. */
	int (*open)(struct ctl_handle *h, const struct fs_cred *cred);
	/* Bytes from @pos on, fewer if there are no more at once; 0: the end. */
	ssize_t (*read)(struct ctl_handle *h, char *buf, size_t size, loff_t pos);
	/* @len or -errno, never less. */
	ssize_t (*write)(struct ctl_handle *h, const char *buf, size_t len,
			 loff_t pos);
	void (*release)(struct ctl_handle *h);
};

/* All constant. */
struct ctl_file {
	const struct ctl_file_ops *ops;
	/* For ctl_text_read(), one of them: the whole text, or the next part. */
	size_t (*whole)(char *buf, size_t size);
	int (*show)(struct ctl_handle *h, struct ctl_text *text);
	/* For ctl_text_write(): @text is terminated. 0 or -errno. */
	int (*store)(struct ctl_handle *h, const char *text);
};

/* ---- ctl_text.c ---- */

/* Of a file that is text, and nothing but. */
extern const struct ctl_file_ops ctl_text_ops;

ssize_t ctl_text_read(struct ctl_handle *h, char *buf, size_t size, loff_t pos);
ssize_t ctl_text_write(struct ctl_handle *h, const char *buf, size_t len,
		       loff_t pos);

/*
 * Text is made a part at a time: ->show adds records until there is no room for
 * one, or says that this was the last. text->cursor is 0 at the beginning and
 * else what ->show has left there. It returns 0, or -errno: then what it has
 * added is good, and whoever reads on has it called again.
 */
struct ctl_text {
	char *buf;
	size_t size;
	size_t len;			/* bytes of it in use */
	bool full;			/* something did not fit */
	bool end;			/* there is no more */
	loff_t start;			/* of buf in the whole text */
	uint64_t cursor;		/* ->show's */
};

/* Adds to the text, or sets text->full: then the record is taken back with
 * text->len as it was before. */
void ctl_printf(struct ctl_text *text, const char *fmt, ...) __printf(2, 3);
/* @s, with the characters of @escape as \ooo. */
void ctl_escape(struct ctl_text *text, const char *s, const char *escape);

extern const struct ctl_file ctl_swapon_file, ctl_swapoff_file;

/* ---- the texts ---- */

int ctl_files_show(struct ctl_handle *h, struct ctl_text *text);
int ctl_advice_show(struct ctl_handle *h, struct ctl_text *text);
size_t diskstats_show(char *buf, size_t size);

#endif /* PAGEFS_CTL_H */
