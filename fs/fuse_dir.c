// SPDX-License-Identifier: BSD-2-Clause
/*
 * fs/fuse_dir.c - FUSE requests that list directories
 *
 *   READDIR      [ ino | next_off | type | name ] ...
 *   READDIRPLUS  [ nodeid, attributes | ino | next_off | type | name ] ...
 *                   0 at first; then looked up in place, name by name
 *
 * fs_readdir() may hold locks while it emits, so the names are collected
 * first and looked up afterwards. An entry that cannot be looked up keeps
 * nodeid 0, which tells the kernel to ask for it when somebody wants it; "."
 * and ".." stay so always.
 *
 * I1. Every nodeid in a reply has been counted in i_nlookup; when the reply
 *     finds the request gone, all of them are taken back.
 *
 * The kernel keeps listings (cache_readdir) until a name in the directory
 * changes through it, and no name changes otherwise.
 */
#include <stdlib.h>
#include <string.h>
#include <linux/fuse.h>

#include "fuse_i.h"

/* The most a reply takes, bytes; the kernel asks for 4 KiB to 1 MiB. More
 * than 64 KiB (some 400 entries with attributes) gains nothing. Arbitrary. */
#define DIRBUF_MAX	(64 * SZ_1K)

enum listing {
	LIST_NAMES,		/* READDIR */
	LIST_PLUS,		/* READDIRPLUS */
};

struct dirbuf {
	fuse_req_t req;
	char *buf;
	size_t size, used;	/* bytes */
	enum listing listing;
	bool is_root;
};

/* ---- opening ---- */

void op_opendir(fuse_req_t req, fuse_ino_t ino, struct fuse_file_info *fi)
{
	struct open_dir *dir;
	struct inode *inode;
	int err;

	if (is_ctl_nodeid(ino)) {
		fi->fh = 0;
		fuse_reply_open(req, fi);
		return;
	}
	inode = op_inode(req, ino, 0);
	if (!inode)
		return;
	err = fs_opendir(inode, &dir);
	iput(inode);
	if (err)
		goto out;
	err = handle_add(HANDLE_DIR, dir, &fi->fh);
	if (err)
		goto out_release;
	fi->cache_readdir = 1;
	fi->keep_cache = 1;
	if (fuse_reply_open(req, fi) == -ENOENT)
		fs_releasedir(handle_del(HANDLE_DIR, fi->fh));
	return;

out_release:
	fs_releasedir(dir);
out:
	reply_err(req, err);
}

void op_releasedir(fuse_req_t req, fuse_ino_t ino, struct fuse_file_info *fi)
{
	struct open_dir *dir = handle_del(HANDLE_DIR, fi->fh);

	if (dir)
		fs_releasedir(dir);
	reply_err(req, dir || is_ctl_nodeid(ino) ? 0 : -EBADF);
}

void op_fsyncdir(fuse_req_t req, fuse_ino_t ino, int datasync,
		 struct fuse_file_info *fi)
{
	struct open_dir *dir = handle_get(HANDLE_DIR, fi->fh);

	if (is_ctl_nodeid(ino))
		reply_err(req, 0);
	else
		reply_err(req, dir ? fs_fsyncdir(dir, datasync) : -EBADF);
}

/* ---- listing ---- */

static size_t add_entry(struct dirbuf *db, const struct fs_dirent *ent)
{
	char *p = db->buf + db->used;
	size_t room = db->size - db->used;
	struct fuse_entry_param e;

	memset(&e, 0, sizeof(e));
	e.attr.st_ino = ent->ino;
	e.attr.st_mode = (mode_t)DTTOIF(ent->type);
	if (db->listing == LIST_PLUS)
		return fuse_add_direntry_plus(db->req, p, room, ent->name, &e,
					      ent->next_off);
	return fuse_add_direntry(db->req, p, room, ent->name, &e.attr,
				 ent->next_off);
}

static bool emit(void *arg, const struct fs_dirent *ent)
{
	struct dirbuf *db = arg;
	size_t len;

	/* Shadowed by our own, which is not listed. */
	if (db->is_root && !strcmp(ent->name, CTL_DIR_NAME))
		return true;
	len = add_entry(db, ent);
	if (len > db->size - db->used)
		return false;
	db->used += len;
	return true;
}

static bool is_dot_or_dotdot(const char *name)
{
	return name[0] == '.' && (!name[1] || (name[1] == '.' && !name[2]));
}

/* Give the entry @dp of @dir a nodeid and attributes, if it can be had. */
static void look_up_entry(struct dirbuf *db, struct inode *dir,
			  struct fuse_direntplus *dp)
{
	char name[NAME_MAX + 1];
	struct fuse_entry_param e;
	struct inode *inode;

	/* vfat and its kind have longer ones; lookups refuse them. */
	if (dp->dirent.namelen > NAME_MAX)
		return;
	memcpy(name, dp->dirent.name, dp->dirent.namelen);
	name[dp->dirent.namelen] = '\0';
	if (is_dot_or_dotdot(name) || fs_lookup(dir, name, &inode))
		return;
	if (!fill_entry(inode, &e))
		fuse_add_direntry_plus(db->req, (char *)dp,
				       FUSE_DIRENTPLUS_SIZE(dp), name, &e,
				       (off_t)dp->dirent.off);
	iput(inode);
}

static struct fuse_direntplus *next_entry(struct fuse_direntplus *dp)
{
	return (void *)((char *)dp + FUSE_DIRENTPLUS_SIZE(dp));
}

static void look_up_all(struct dirbuf *db, struct inode *dir)
{
	struct fuse_direntplus *dp = (void *)db->buf;
	char *end = db->buf + db->used;

	for (; (char *)dp < end; dp = next_entry(dp))
		look_up_entry(db, dir, dp);
}

static void forget_all(struct dirbuf *db)
{
	struct fuse_direntplus *dp = (void *)db->buf;
	char *end = db->buf + db->used;

	for (; (char *)dp < end; dp = next_entry(dp))
		if (dp->entry_out.nodeid)
			inode_forget(dp->entry_out.nodeid, 1);	/* I1 */
}

/* Entries from @off on, into @db. Return: 0 if there is something to reply. */
static int fill_dirbuf(struct dirbuf *db, fuse_ino_t ino, off_t off, uint64_t fh)
{
	struct open_dir *dir;
	int err;

	if (is_ctl_nodeid(ino))
		return ctl_readdir(ino, off, emit, db);
	dir = handle_get(HANDLE_DIR, fh);
	if (!dir)
		return -EBADF;
	err = fs_readdir(dir, off, emit, db);
	if (err && !db->used)
		return err;	/* else the next request meets it again */
	if (db->listing == LIST_PLUS)
		look_up_all(db, open_dir_inode(dir));
	return 0;
}

static void list_dir(fuse_req_t req, fuse_ino_t ino, size_t size, off_t off,
		     uint64_t fh, enum listing listing)
{
	struct dirbuf db = {
		.req = req,
		.size = min_t(size_t, size, DIRBUF_MAX),
		.listing = listing,
		.is_root = ino == FUSE_ROOT_ID,
	};
	int err = -ENOMEM;

	db.buf = malloc(db.size);
	if (db.buf)
		err = fill_dirbuf(&db, ino, off, fh);
	if (err)
		reply_err(req, err);
	else if (fuse_reply_buf(req, db.buf, db.used) == -ENOENT &&
		 listing == LIST_PLUS)
		forget_all(&db);
	free(db.buf);
}

void op_readdir(fuse_req_t req, fuse_ino_t ino, size_t size, off_t off,
		struct fuse_file_info *fi)
{
	list_dir(req, ino, size, off, fi->fh, LIST_NAMES);
}

void op_readdirplus(fuse_req_t req, fuse_ino_t ino, size_t size, off_t off,
		    struct fuse_file_info *fi)
{
	list_dir(req, ino, size, off, fi->fh, LIST_PLUS);
}
