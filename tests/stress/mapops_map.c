// SPDX-License-Identifier: BSD-2-Clause
/*
 * tests/stress/mapops_map.c - operations on mappings
 */
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include "mapops.h"

/* ---- where mappings are ---- */

static void unmap_pages(struct proc *pr, struct slot *s, uint32_t first,
			uint32_t nr, bool touch)
{
	struct map_cmd c = on_pages(s, OP_MUNMAP, first, nr);
	struct map_reply r;

	c.how = !touch;
	NOTE_PAGES(pr, s, first, nr, "munmap");
	r = call(pr, &c);
	must_be(r.ret, 0, s->pages[first].inode, 0, UINT64_MAX, "munmap");
	if (touch)
		must_be(r.signo, SIGSEGV, s->pages[first].inode, 0, UINT64_MAX,
			"signal of a load after munmap");
	slot_cut(s, first, nr);
}

void unmap_slot(struct proc *pr, struct slot *s)
{
	for (uint32_t i = 0, n; s->addr && i < s->nr; i += n) {
		for (n = 1; i + n < s->nr &&
		     (s->pages[i + n].inode < 0) == (s->pages[i].inode < 0); n++)
			;
		if (s->pages[i].inode >= 0)
			unmap_pages(pr, s, i, n, false);
	}
}

static struct slot *free_slot(struct proc *pr)
{
	for (int i = 0; i < NR_SLOTS; i++)
		if (!pr->slots[i].addr)
			return &pr->slots[i];
	return NULL;
}

/* Which descriptor, rights and flags a new mapping has. */
static void some_kind(const struct proc *pr, struct map_cmd *c, int *rightsp)
{
	c->flags = MAP_SHARED;
	c->prot = PROT_READ | PROT_WRITE;
	*rightsp = MAY_WRITE;
	if (!below(10))
		c->flags |= MAP_POPULATE;
	switch (below(12)) {
	case 0:
	case 1:
		c->prot = PROT_READ;
		break;
	case 2:
		if (names[c->file] != pr->fds[c->file][c->fd])
			break;
		c->how = MMAP_RDONLY;
		c->prot = PROT_READ;
		*rightsp = 0;
		break;
	case 3:
		c->flags = MAP_PRIVATE;
		c->prot = PROT_READ;
		*rightsp = IS_PRIVATE;
		break;
	case 4:
		c->prot = PROT_NONE;
		break;
	}
}

static void some_extent(struct map_cmd *c, struct inode *ino)
{
	uint64_t pages = opt.maxlen / PAGE, at = some_page(ino), nr;

	switch (below(5)) {
	case 0:			/* all of it, and some more */
		at = 0;
		nr = pages + below(4);
		break;
	case 1:
		nr = 1 + below(pages);
		break;
	default:
		at -= below(at < SPOT_PAGES ? at + 1 : SPOT_PAGES);
		nr = 1 + below(2 * SPOT_PAGES);
	}
	if (nr > SLOT_PAGES)
		nr = SLOT_PAGES;
	c->pos = at * PAGE;
	c->len = nr * PAGE - below(2) * below(PAGE);
}

void op_mmap(struct proc *pr)
{
	struct map_cmd c = { .op = OP_MMAP };
	struct slot *s = NULL, *fixed = NULL;
	uint32_t first = 0, nr;
	struct map_reply r;
	int inode, rights;

	if (!some_fd(pr, &c.file, &c.fd))
		return;
	inode = pr->fds[c.file][c.fd];
	some_kind(pr, &c, &rights);
	some_extent(&c, &inodes[inode]);
	if (!below(5))
		fixed = some_pages(pr, 1 + (uint32_t)below(SPOT_PAGES), &first,
				   &nr);
	if (fixed) {
		s = fixed;
		c.flags |= MAP_FIXED;
		c.addr = (uint64_t)(uintptr_t)s->addr + (uint64_t)first * PAGE;
		c.len = (uint64_t)nr * PAGE;
	} else {
		s = free_slot(pr);
		if (!s) {
			s = some_slot(pr);
			unmap_slot(pr, s);
		}
		nr = (uint32_t)(round_up(c.len) / PAGE);
	}
	note(inode, c.pos, c.len, "w%d mmap slot %d page %u fd %d.%d inode %d page %" PRIu64 " %u pages prot %d flags %#x%s",
	     pr->id, (int)(s - pr->slots), first, c.file, c.fd, inode,
	     c.pos / PAGE, nr, c.prot, c.flags,
	     c.how == MMAP_RDONLY ? " of O_RDONLY" : "");
	r = call(pr, &c);
	must_be(r.ret, 0, inode, c.pos, c.len, "mmap");
	if (fixed) {
		must_be((int64_t)r.addr, (int64_t)c.addr, inode, c.pos, c.len,
			"address of MAP_FIXED");
		s->cut = true;
	} else {
		s->addr = (char *)(uintptr_t)r.addr;
		s->nr = nr;
		s->cut = false;
	}
	slot_set(s, first, nr, inode, c.pos / PAGE, c.prot, rights);
}

void op_munmap(struct proc *pr)
{
	uint32_t first, nr;
	struct slot *s;

	if (!below(3)) {
		s = some_slot(pr);
		if (s)
			unmap_slot(pr, s);
		return;
	}
	s = some_pages(pr, 1 + (uint32_t)below(16), &first, &nr);
	if (s)
		unmap_pages(pr, s, first, nr, true);
}

void op_mprotect(struct proc *pr)
{
	static const int prots[] = {
		PROT_NONE, PROT_READ, PROT_READ | PROT_WRITE,
		PROT_READ | PROT_WRITE, PROT_READ | PROT_WRITE,
		PROT_READ | PROT_WRITE,
	};
	uint32_t first, nr;
	struct slot *s = some_pages(pr, 1 + (uint32_t)below(40), &first, &nr);
	struct map_cmd c;
	int64_t must = 0;

	if (!s)
		return;
	c = on_pages(s, OP_MPROTECT, first, nr);
	c.prot = prots[below(ARRAY_SIZE(prots))];
	for (uint32_t i = 0; i < nr && c.prot & PROT_WRITE; i++)
		if (!(s->pages[first + i].rights & MAY_WRITE)) {
			/* One page, lest some change before the error; and the
			 * kernel's private mappings may be written. */
			if (opt.plain && s->pages[first + i].rights & IS_PRIVATE)
				return;
			first += i;
			nr = 1;
			c = (struct map_cmd){
				.op = c.op, .prot = c.prot, .len = PAGE,
				.addr = c.addr + (uint64_t)i * PAGE,
			};
			must = -EACCES;
		}
	NOTE_PAGES(pr, s, first, nr, "mprotect %d", c.prot);
	must_be(call(pr, &c).ret, must, s->pages[first].inode, 0, UINT64_MAX,
		"mprotect");
	if (must)
		return;
	for (uint32_t i = first; i < first + nr; i++)
		s->pages[i].prot = (uint8_t)c.prot;
	s->cut = true;
}

static void moved(struct proc *pr, struct slot *s, uint32_t first, uint32_t nr,
		  uint32_t new_nr, char *to)
{
	const struct slot_page was = s->pages[first];
	struct slot *t = s;

	/* The freed slot may be the very one. */
	slot_cut(s, first, nr);
	if (s->addr)
		t = free_slot(pr);
	t->addr = to;
	t->nr = new_nr;
	t->cut = false;
	slot_set(t, 0, new_nr, was.inode, was.pgoff, was.prot, was.rights);
}

void op_mremap(struct proc *pr)
{
	uint32_t first, nr, new_nr;
	struct slot *s = some_pages(pr, SLOT_PAGES, &first, &nr);
	struct map_reply r;
	struct map_cmd c;

	if (!s)
		return;
	nr = alike(s, first, nr);
	if (!free_slot(pr) && nr != s->nr)
		return;
	new_nr = 1 + (uint32_t)below(nr + SPOT_PAGES);
	/* What may grow in place is the slot's end, and fits into it. */
	if (new_nr > nr && first + nr < s->nr)
		new_nr = nr;
	if (first + new_nr > SLOT_PAGES)
		new_nr = SLOT_PAGES - first;
	c = on_pages(s, OP_MREMAP, first, nr);
	c.pos = (uint64_t)new_nr * PAGE;
	c.flags = below(3) ? MREMAP_MAYMOVE : 0;
	NOTE_PAGES(pr, s, first, nr, "mremap to %u pages flags %d", new_nr,
		   c.flags);
	r = call(pr, &c);
	/* Cut up and put together again it may, or may not, count as one. */
	if (r.ret == -EFAULT && s->cut)
		return;
	if (r.ret == -ENOMEM && new_nr > nr && !c.flags)
		return;
	must_be(r.ret, 0, s->pages[first].inode, 0, UINT64_MAX, "mremap");
	if ((char *)(uintptr_t)r.addr != s->addr + (size_t)first * PAGE) {
		moved(pr, s, first, nr, new_nr, (char *)(uintptr_t)r.addr);
	} else if (new_nr < nr) {
		slot_cut(s, first + new_nr, nr - new_nr);
	} else if (new_nr > nr) {
		s->nr = first + new_nr;
		slot_set(s, first, new_nr, s->pages[first].inode,
			 s->pages[first].pgoff, s->pages[first].prot,
			 s->pages[first].rights);
	}
}

/* ---- what changes no byte ---- */

void op_madvise(struct proc *pr)
{
	static const int advices[] = {
		MADV_DONTNEED, MADV_DONTNEED, MADV_DONTNEED, MADV_WILLNEED,
		MADV_NORMAL, MADV_RANDOM, MADV_SEQUENTIAL, MADV_COLD,
		MADV_POPULATE_READ, MADV_POPULATE_WRITE,
	};
	uint32_t first, nr;
	struct slot *s = some_pages(pr, 1 + (uint32_t)below(64), &first, &nr);
	struct map_cmd c;
	bool may_fail;
	int64_t ret;
	size_t len;

	if (!s)
		return;
	c = on_pages(s, OP_MADVISE, first, nr);
	c.flags = advices[below(ARRAY_SIZE(advices))];
	NOTE_PAGES(pr, s, first, nr, "madvise %d", c.flags);
	s->cut = true;		/* mappings differ in their hints, too */
	ret = call(pr, &c).ret;
	/* Populating fails where an access would get a signal. */
	len = (size_t)nr * PAGE;
	may_fail = (c.flags == MADV_POPULATE_READ ||
		    c.flags == MADV_POPULATE_WRITE) &&
		access_ends(s, (size_t)first * PAGE, &len,
			    c.flags == MADV_POPULATE_WRITE);
	if (!may_fail)
		must_be(ret, 0, s->pages[first].inode, 0, UINT64_MAX, "madvise");
	else if (!ret)
		die(s->pages[first].inode, 0, UINT64_MAX,
		    "populating succeeded where an access gets a signal");
}

void op_msync(struct proc *pr)
{
	static const int flags[] = {
		MS_SYNC, MS_SYNC, MS_ASYNC, MS_SYNC | MS_INVALIDATE,
		MS_ASYNC | MS_INVALIDATE,
	};
	uint32_t first, nr;
	struct slot *s = some_pages(pr, 1 + (uint32_t)below(64), &first, &nr);
	struct map_cmd c;

	if (!s)
		return;
	c = on_pages(s, OP_MSYNC, first, nr);
	c.flags = flags[below(ARRAY_SIZE(flags))];
	NOTE_PAGES(pr, s, first, nr, "msync %d", c.flags);
	must_be(call(pr, &c).ret, 0, s->pages[first].inode, 0, UINT64_MAX,
		"msync");
	for (uint32_t i = 0, n; c.flags & MS_SYNC && i < nr; i += n) {
		const struct slot_page *e = &s->pages[first + i];

		n = alike(s, first + i, nr - i);
		if (e->rights & IS_PRIVATE)
			continue;
		compare_backing(e->inode, (size_t)e->pgoff * PAGE,
				(size_t)n * PAGE, "after msync");
	}
}

/* For mlock and mincore: a run of mapped pages, the first of them below EOF. */
void op_mlock(struct proc *pr)
{
	uint32_t first, nr;
	struct slot *s = some_pages(pr, 1 + (uint32_t)below(8), &first, &nr);
	size_t ok = (size_t)nr * PAGE;
	struct map_reply r;
	struct map_cmd c;

	if (!s || access_ends(s, (size_t)first * PAGE, &ok, false))
		return;
	c = on_pages(s, OP_MLOCK, first, nr);
	NOTE_PAGES(pr, s, first, nr, "mlock, munlock");
	r = call(pr, &c);
	if (r.ret == -ENOMEM || r.ret == -EAGAIN)
		return;		/* a limit */
	must_be(r.ret, 0, s->pages[first].inode, 0, UINT64_MAX, "mlock");
	must_be(r.signo, 0, s->pages[first].inode, 0, UINT64_MAX,
		"signal of a load while locked");
}

void op_mincore(struct proc *pr)
{
	uint32_t first, nr;
	struct slot *s = some_pages(pr, SLOT_PAGES, &first, &nr);
	struct map_cmd c;

	if (!s)
		return;
	c = on_pages(s, OP_MINCORE, first, nr);
	NOTE_PAGES(pr, s, first, nr, "mincore");
	must_be(call(pr, &c).ret, 0, s->pages[first].inode, 0, UINT64_MAX,
		"mincore");
}
