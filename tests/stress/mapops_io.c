// SPDX-License-Identifier: BSD-2-Clause
/*
 * tests/stress/mapops_io.c - operations that move bytes, sizes and names
 */
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <linux/falloc.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "mapops.h"

/* ---- loads and stores ---- */

static void piece_compare(int inode, size_t pos, uint8_t *buf, size_t len)
{
	compare(inode, pos, buf, len, "a load");
}

static void piece_store(int inode, size_t pos, uint8_t *buf, size_t len)
{
	memcpy(inodes[inode].data + pos, buf, len);
}

static void check_access(const struct slot *s, const struct map_reply *r,
			 size_t off, size_t done, int signo, const char *what)
{
	const struct slot_page *e = &s->pages[(off + done) / PAGE];
	uint64_t page = (uint64_t)(uintptr_t)s->addr + (off + done) / PAGE * PAGE;

	if (r->signo == signo && r->done == done &&
	    (!signo || r->addr / PAGE * PAGE == page))
		return;
	if (!signo)
		e = &s->pages[(off + r->done) / PAGE];
	die(e->inode, (uint64_t)e->pgoff * PAGE, PAGE,
	    "%s: signal %d at %#" PRIx64 " after %" PRIu64 " bytes, must be %d after %zu; inode %d page %u, size %zu",
	    what, r->signo, r->addr, r->done, signo, done, e->inode, e->pgoff,
	    e->inode < 0 ? 0 : inodes[e->inode].size);
}

static void access_slot(struct proc *pr, struct slot *s, size_t off, size_t len,
			bool store)
{
	struct map_cmd c = {
		.op = store ? OP_STORE : OP_LOAD,
		.addr = (uint64_t)(uintptr_t)s->addr + off,
		.how = (int32_t)below(NR_ACCESSES),
	};
	const struct slot_page *e = &s->pages[off / PAGE];
	struct map_reply r;
	size_t done;
	int signo;

	if (store)
		len = up_to_eof(s, off, len);
	if (!len)
		return;
	done = len;
	signo = access_ends(s, off, &done, store);
	if (signo && c.how == ALL_AT_ONCE)
		c.how = BY_MEMCPY;
	note(e->inode, (uint64_t)e->pgoff * PAGE + off % PAGE, len,
	     "w%d %s slot %d inode %d %#zx+%#zx%s", pr->id,
	     store ? "store" : "load", (int)(s - pr->slots), e->inode,
	     (size_t)e->pgoff * PAGE + off % PAGE, len,
	     signo == SIGBUS ? ", SIGBUS" : signo ? ", SIGSEGV" : "");
	c.len = len;
	if (store)
		fill_slot_bytes(s, off, len, pr->buf);
	r = call(pr, &c);
	check_access(s, &r, off, done, signo, store ? "store" : "load");
	each_piece(s, off, done, pr->buf, store ? piece_store : piece_compare);
}

void op_load(struct proc *pr)
{
	size_t off, len;
	struct slot *s = some_bytes(pr, &off, &len);

	if (s)
		access_slot(pr, s, off, len, false);
}

void op_store(struct proc *pr)
{
	size_t off, len;
	struct slot *s = some_bytes(pr, &off, &len);

	if (s)
		access_slot(pr, s, off, len, true);
}

void sweep(struct proc *pr, struct slot *s)
{
	for (uint32_t i = 0, n; i < s->nr; i += n) {
		for (n = 1; i + n < s->nr && n < BUF_SIZE / PAGE &&
		     (s->pages[i + n].inode < 0) == (s->pages[i].inode < 0); n++)
			;
		if (s->pages[i].inode >= 0)
			access_slot(pr, s, (size_t)i * PAGE, (size_t)n * PAGE,
				    false);
	}
}

void op_sweep(struct proc *pr)
{
	struct slot *s = some_slot(pr);

	if (s)
		sweep(pr, s);
}

/* ---- read and write through the mount ---- */

void read_and_compare(struct proc *pr, int file, int fd, size_t pos, size_t len)
{
	int inode = pr->fds[file][fd];
	struct map_cmd c = {
		.op = OP_READ, .file = file, .fd = fd, .pos = pos, .len = len,
		.how = (int32_t)below(2),
	};
	size_t size = inodes[inode].size;
	size_t must = pos >= size ? 0 : size - pos < len ? size - pos : len;

	note(inode, pos, len, "w%d read fd %d.%d inode %d %#zx+%#zx", pr->id,
	     file, fd, inode, pos, len);
	must_be(call(pr, &c).ret, (int64_t)must, inode, pos, len, "read");
	compare(inode, pos, pr->buf, must, "read");
}

void op_read(struct proc *pr)
{
	int file, fd;

	if (some_fd(pr, &file, &fd))
		read_and_compare(pr, file, fd,
				 some_pos(&inodes[pr->fds[file][fd]]),
				 some_len());
}

void op_compare(struct proc *pr)
{
	int file, fd;

	if (!some_fd(pr, &file, &fd))
		return;
	for (size_t pos = 0; pos < inodes[pr->fds[file][fd]].size;
	     pos += BUF_SIZE)
		read_and_compare(pr, file, fd, pos, BUF_SIZE);
}

/* Bytes have arrived in the file: the model follows. */
static void written(struct inode *ino, size_t pos, const uint8_t *buf,
		    size_t len)
{
	if (pos + len > ino->size)
		inode_resize(ino, pos + len);
	memcpy(ino->data + pos, buf, len);
}

void op_write(struct proc *pr)
{
	struct map_cmd c = { .op = OP_WRITE, .how = (int32_t)below(2) };
	struct inode *ino;
	int inode;

	if (!some_fd(pr, &c.file, &c.fd))
		return;
	inode = pr->fds[c.file][c.fd];
	ino = &inodes[inode];
	c.pos = pr->fd_append[c.file][c.fd] ? ino->size : some_pos(ino);
	c.len = some_len();
	if (c.pos + c.len > opt.maxlen)
		return;
	note(inode, c.pos, c.len, "w%d write fd %d.%d inode %d %#" PRIx64 "+%#" PRIx64 "%s",
	     pr->id, c.file, c.fd, inode, c.pos, c.len,
	     c.pos + c.len > ino->size ? ", grows" : "");
	/* A gap that it leaves changes as well: note that. */
	if (c.pos > ino->size)
		note(inode, ino->size, c.pos - ino->size, "  (the gap before)");
	pattern_fill(pr->buf, op_nr, c.pos, c.len);
	must_be(call(pr, &c).ret, (int64_t)c.len, inode, c.pos, c.len, "write");
	written(ino, c.pos, pr->buf, c.len);
}

/* Bytes that go from a file into a mapping, or back, as c.op says. */
struct transfer {
	struct map_cmd c;
	int inode;		/* of the descriptor */
	struct slot *s;
	size_t off;		/* bytes into the slot */
	int mapped;		/* the inode there ... */
	size_t mapped_pos;	/* ... and where in it the first byte is */
};

/* read(2) into a mapping, write(2) from one: also of the same file, also in one
 * page, but not of the same bytes. */
static bool some_transfer(struct proc *pr, struct transfer *t)
{
	const bool into = t->c.op == OP_READ_INTO;
	struct map_cmd *c = &t->c;
	size_t len, ok;
	struct inode *ino;

	t->s = some_bytes(pr, &t->off, &len);
	if (!t->s || !some_fd(pr, &c->file, &c->fd))
		return false;
	t->inode = pr->fds[c->file][c->fd];
	ino = &inodes[t->inode];
	c->pos = some_pos(ino);
	if (into)
		len = up_to_eof(t->s, t->off, len);
	if (into && ino->size > c->pos && ino->size - c->pos < len)
		len = ino->size - c->pos;
	ok = len;
	if (!len || access_ends(t->s, t->off, &ok, into) ||
	    (into ? c->pos >= ino->size : c->pos + len > opt.maxlen) ||
	    (!into && pr->fd_append[c->file][c->fd]))
		return false;
	for (size_t at = t->off; at < t->off + len; at += PAGE - at % PAGE) {
		const struct slot_page *e = &t->s->pages[at / PAGE];
		size_t pos = (size_t)e->pgoff * PAGE + at % PAGE;

		if (e->inode == t->inode && pos < c->pos + len &&
		    c->pos < pos + PAGE)
			return false;
		/* What is past the end in a page is not known. */
		if (!into && pos / PAGE == inodes[e->inode].size / PAGE)
			return false;
	}
	c->addr = (uint64_t)(uintptr_t)t->s->addr + t->off;
	c->len = len;
	t->mapped = t->s->pages[t->off / PAGE].inode;
	t->mapped_pos = (size_t)t->s->pages[t->off / PAGE].pgoff * PAGE +
		t->off % PAGE;
	return true;
}

void op_read_into(struct proc *pr)
{
	struct transfer t = { .c.op = OP_READ_INTO };
	const struct map_cmd *c = &t.c;

	if (!some_transfer(pr, &t))
		return;
	note(t.mapped, t.mapped_pos, c->len,
	     "w%d read fd %d.%d inode %d %#" PRIx64 "+%#" PRIx64 " into slot %d inode %d %#zx",
	     pr->id, c->file, c->fd, t.inode, c->pos, c->len,
	     (int)(t.s - pr->slots), t.mapped, t.mapped_pos);
	memcpy(pr->buf, inodes[t.inode].data + c->pos, c->len);
	must_be(call(pr, c).ret, (int64_t)c->len, t.inode, c->pos, c->len,
		"read into a mapping");
	each_piece(t.s, t.off, c->len, pr->buf, piece_store);
}

static uint8_t *gather_to;

static void piece_gather(int inode, size_t pos, uint8_t *buf, size_t len)
{
	(void)buf;
	memcpy(gather_to, inodes[inode].data + pos, len);
	gather_to += len;
}

void op_write_from(struct proc *pr)
{
	struct transfer t = { .c.op = OP_WRITE_FROM };
	const struct map_cmd *c = &t.c;

	if (!some_transfer(pr, &t))
		return;
	note(t.inode, c->pos, c->len,
	     "w%d write fd %d.%d inode %d %#" PRIx64 "+%#" PRIx64 " from slot %d inode %d %#zx%s",
	     pr->id, c->file, c->fd, t.inode, c->pos, c->len,
	     (int)(t.s - pr->slots), t.mapped, t.mapped_pos,
	     c->pos + c->len > inodes[t.inode].size ? ", grows" : "");
	gather_to = pr->buf;
	each_piece(t.s, t.off, c->len, NULL, piece_gather);
	must_be(call(pr, c).ret, (int64_t)c->len, t.inode, c->pos, c->len,
		"write from a mapping");
	written(&inodes[t.inode], c->pos, pr->buf, c->len);
}

/* ---- size and holes ---- */

static size_t some_size(const struct inode *ino)
{
	size_t size;

	switch (below(8)) {
	case 0:
		return below(opt.maxlen);
	case 1: case 2: case 3:
		size = ino->size + below(8 * PAGE);
		return size < opt.maxlen ? size : opt.maxlen;
	case 4:
		return ino->size + below(opt.maxlen - ino->size + 1);
	case 5:
		return ino->size / PAGE * PAGE;
	default:
		size = below(8 * PAGE);
		return ino->size > size ? ino->size - size : ino->size;
	}
}

void op_truncate(struct proc *pr)
{
	struct map_cmd c = { .op = OP_TRUNCATE };
	struct inode *ino;
	int inode;

	if (!some_fd(pr, &c.file, &c.fd))
		return;
	inode = pr->fds[c.file][c.fd];
	ino = &inodes[inode];
	c.pos = some_size(ino);
	c.how = names[c.file] == inode && below(2);
	note(inode, c.pos < ino->size ? c.pos : ino->size, UINT64_MAX,
	     "w%d truncate fd %d.%d inode %d from %#zx to %#" PRIx64 "%s", pr->id,
	     c.file, c.fd, inode, ino->size, c.pos, c.how ? " by name" : "");
	must_be(call(pr, &c).ret, 0, inode, c.pos, UINT64_MAX, "truncate");
	inode_resize(ino, c.pos);
}

void op_fallocate(struct proc *pr)
{
	static const int modes[] = {
		0, FALLOC_FL_KEEP_SIZE,
		FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE,
		FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE,
		FALLOC_FL_ZERO_RANGE,
		FALLOC_FL_ZERO_RANGE | FALLOC_FL_KEEP_SIZE,
	};
	struct map_cmd c = { .op = OP_FALLOCATE };
	struct inode *ino;
	int inode;

	if (!some_fd(pr, &c.file, &c.fd))
		return;
	inode = pr->fds[c.file][c.fd];
	ino = &inodes[inode];
	c.pos = some_pos(ino);
	c.len = some_len();
	c.flags = modes[below(ARRAY_SIZE(modes))];
	if (c.pos + c.len > opt.maxlen)
		return;
	note(inode, c.pos, c.len, "w%d fallocate fd %d.%d inode %d mode %d %#" PRIx64 "+%#" PRIx64,
	     pr->id, c.file, c.fd, inode, c.flags, c.pos, c.len);
	must_be(call(pr, &c).ret, 0, inode, c.pos, c.len, "fallocate");
	if (!(c.flags & FALLOC_FL_KEEP_SIZE) && c.pos + c.len > ino->size)
		inode_resize(ino, c.pos + c.len);
	if (c.flags & (FALLOC_FL_PUNCH_HOLE | FALLOC_FL_ZERO_RANGE))
		inode_zero(ino, c.pos, c.len);
}

void op_stat(struct proc *pr)
{
	struct map_cmd c = { .op = OP_STAT };
	int inode;

	if (!some_fd(pr, &c.file, &c.fd))
		return;
	inode = pr->fds[c.file][c.fd];
	note(inode, 0, 0, "w%d stat", pr->id);
	must_be(call(pr, &c).ret, (int64_t)inodes[inode].size, inode, 0,
		UINT64_MAX, "st_size");
}

void op_fsync(struct proc *pr)
{
	struct map_cmd c = { .op = OP_FSYNC, .how = (int32_t)below(2) };
	int inode;

	if (!some_fd(pr, &c.file, &c.fd))
		return;
	inode = pr->fds[c.file][c.fd];
	note(inode, 0, UINT64_MAX, "w%d %s fd %d.%d inode %d", pr->id,
	     c.how ? "fdatasync" : "fsync", c.file, c.fd, inode);
	must_be(call(pr, &c).ret, 0, inode, 0, UINT64_MAX, "fsync");
	compare_backing_size(inode, "after fsync");
	if (!below(16))
		compare_backing(inode, 0, opt.maxlen, "after fsync");
	else
		compare_backing(inode, inodes[inode].spot * PAGE,
				SPOT_PAGES * PAGE, "after fsync");
}

/* ---- names and descriptors ---- */

void reopen(struct proc *pr, int file, int fd, int more)
{
	struct map_cmd c = {
		.op = OP_OPEN, .file = file, .fd = fd, .flags = O_RDWR | more,
	};
	int64_t must = 0;

	if (names[file] < 0 && !(more & O_CREAT))
		must = -ENOENT;
	if (!opt.plain && !below(3))
		c.flags |= O_DIRECT;	/* as pagefs-run does */
	note(names[file], 0, 0, "w%d open fd %d.%d flags %#o", pr->id, file, fd,
	     c.flags);
	must_be(call(pr, &c).ret, must, names[file], 0, 0, "open");
	pr->fds[file][fd] = -1;
	if (must)
		return;
	if (names[file] < 0)
		names[file] = inode_new(file);
	else if (more & O_TRUNC)
		inode_resize(&inodes[names[file]], 0);
	pr->fds[file][fd] = names[file];
	pr->fd_append[file][fd] = more & O_APPEND;
}

void op_open(struct proc *pr)
{
	static const int more[] = { 0, 0, 0, 0, 0, O_APPEND, O_TRUNC };
	int file = (int)below(opt.files);
	int flags = more[below(ARRAY_SIZE(more))];

	if (names[file] < 0 && below(4))
		flags |= O_CREAT | O_EXCL;
	if (flags & O_TRUNC && below(3))
		flags = 0;
	if (flags & O_TRUNC && names[file] >= 0)
		note(names[file], 0, UINT64_MAX, "  (O_TRUNC is next)");
	reopen(pr, file, (int)below(NR_FDS), flags);
}

void op_close(struct proc *pr)
{
	struct map_cmd c = { .op = OP_CLOSE };

	if (!some_fd(pr, &c.file, &c.fd))
		return;
	note(pr->fds[c.file][c.fd], 0, 0, "w%d close fd %d.%d", pr->id, c.file,
	     c.fd);
	must_be(call(pr, &c).ret, 0, pr->fds[c.file][c.fd], 0, 0, "close");
	pr->fds[c.file][c.fd] = -1;
}

void op_unlink(struct proc *pr)
{
	struct map_cmd c = { .op = OP_UNLINK, .file = (int)below(opt.files) };
	int inode = names[c.file];

	note(inode, 0, UINT64_MAX, "w%d unlink file %d, inode %d", pr->id,
	     c.file, inode);
	must_be(call(pr, &c).ret, inode < 0 ? -ENOENT : 0, inode, 0, UINT64_MAX,
		"unlink");
	names[c.file] = -1;
	if (inode >= 0)
		inodes[inode].file = -1;
}
