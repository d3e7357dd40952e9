// SPDX-License-Identifier: BSD-2-Clause
/*
 * client/map.c - mmap and munmap
 *
 *   where it goes           who says so                  undone to
 *   anywhere                the daemon, in the region    the reservation
 *     no room there         the kernel, outside          nothing
 *   MAP_FIXED               the caller                   a reservation
 *   MAP_FIXED_NOREPLACE     the caller, if nobody has it nothing
 *
 *   mmap:    the file offered, MMAP (or MMAP_ANON, ...: anon.c), window mapped
 *            PROT_NONE, COMMIT, mprotect(prot)
 *   munmap:  mprotect(PROT_NONE), MUNMAP, reserved again or munmap(2)
 *
 * The address range belongs to somebody at every moment: it is not given back
 * to the kernel before it leaves the table, and with MAP_FIXED it is not given
 * back at all, or another thread's mmap(2) would find it.
 *
 * Locks: p->layout, over the requests.
 */
#include <fcntl.h>
#include <sys/stat.h>

#include "internal.h"
#include "sys.h"

#ifndef MAP_TYPE
#define MAP_TYPE	0x0f
#endif

#define MAP_FIXED_FLAGS	(MAP_FIXED | MAP_FIXED_NOREPLACE)
/* Those that mean nothing today, or not to us. */
#define MAP_IGNORED	(MAP_NORESERVE | MAP_NONBLOCK | MAP_DENYWRITE | \
			 MAP_EXECUTABLE | MAP_STACK)
#define MAP_KNOWN	(MAP_TYPE | MAP_FIXED_FLAGS | MAP_ANONYMOUS | \
			 MAP_POPULATE | MAP_LOCKED | MAP_IGNORED)
#define PROT_KNOWN	(PROT_READ | PROT_WRITE | PROT_EXEC)

int range_check(const void *addr, size_t len, uintptr_t *startp,
		uintptr_t *endp)
{
	uintptr_t start = (uintptr_t)addr;

	if (!PAGE_ALIGNED(start) || !len || len > UINTPTR_MAX - CLIENT_PAGE ||
	    start + PAGE_UP(len) < start)
		return -EINVAL;
	*startp = start;
	*endp = start + PAGE_UP(len);
	return 0;
}

/* ---- address ranges ---- */

int range_reserve(uintptr_t start, uintptr_t end)
{
	long addr = sys_mmap(start, end - start, PROT_NONE, MAP_PRIVATE |
			     MAP_ANONYMOUS | MAP_NORESERVE | MAP_FIXED, -1, 0);

	return addr < 0 ? (int)addr : 0;
}

static void release_outside(uintptr_t start, uintptr_t end)
{
	if (start < end)
		sys_munmap(start, end - start);
}

static uintptr_t clamp_to(uintptr_t addr, uintptr_t low, uintptr_t high)
{
	return addr < low ? low : addr > high ? high : addr;
}

void range_release(struct pagefs *p, uintptr_t start, uintptr_t end)
{
	uintptr_t low = clamp_to(p->base, start, end);
	uintptr_t high = clamp_to(p->end, start, end);

	release_outside(start, low);
	if (low < high)
		range_reserve(low, high);
	release_outside(high, end);
}

int range_claim(uintptr_t *start, size_t len)
{
	long addr = sys_mmap(*start, len, PROT_NONE, MAP_PRIVATE |
			     MAP_ANONYMOUS | MAP_NORESERVE |
			     (*start ? MAP_FIXED_NOREPLACE : 0), -1, 0);

	if (addr < 0)
		return (int)addr;
	*start = (uintptr_t)addr;
	return 0;
}

int range_attach(const struct mapping *m, int window)
{
	const int type = m->kind == PAGEFS_KIND_SHARED ? MAP_SHARED :
			 MAP_PRIVATE;
	const size_t len = m->end - m->start;
	long addr;
	int err;

	addr = sys_mmap(m->start, len, PROT_NONE, type | MAP_FIXED, window,
			m->pos);
	err = addr < 0 ? (int)addr : 0;
	/* A child that does not come through fork.c finds nothing there (C1). */
	if (!err)
		err = sys_madvise(m->start, len, MADV_DONTFORK);
	if (!err && m->memory == MEMORY_FILE)	/* as other shared files */
		err = sys_madvise(m->start, len, MADV_DONTDUMP);
	if (err) {
		ask(m->p, PAGEFS_MUNMAP, m->start, m->end, 0);
		return err;
	}
	err = ask(m->p, PAGEFS_COMMIT, m->start, m->end, 0);
	if (err || m->prot == PROT_NONE)
		return err;
	err = sys_mprotect(m->start, len, m->prot);
	if (err)
		ask(m->p, PAGEFS_MUNMAP, m->start, m->end, 0);
	return err;
}

/* ---- munmap ---- */

static void put_chain(struct pagefs *p, struct mapping *m)
{
	struct mapping *next;

	for (; m; m = next) {
		next = m->next;
		file_put(p, m->file);
		mapping_free(m);
	}
}

/* Adjacent mappings, all lost or none: first the daemon, then the rest. */
static int unmap_run(struct pagefs *p, struct mapping **list, ssize_t nr,
		     unsigned int flags)
{
	const uintptr_t start = list[0]->start, end = list[nr - 1]->end;
	struct mapping *taken;
	int err = 0;

	if (!list[0]->lost) {
		err = sys_mprotect(start, end - start, PROT_NONE);
		if (err)
			return err;
		err = ask(p, PAGEFS_MUNMAP, start, end, 0);
	}
	/* A daemon that has gone knows nothing of it any more, either. */
	if (err && err != -ENOTCONN) {
		for (ssize_t i = 0; i < nr; i++)
			sys_mprotect(list[i]->start,
				     list[i]->end - list[i]->start,
				     list[i]->prot);
		return err;
	}
	taken = table_take(p, start, end);
	if (flags & UNMAP_RESERVE)
		err = range_reserve(start, end);
	else
		range_release(p, start, end);
	put_chain(p, taken);
	return flags & UNMAP_RESERVE ? err : 0;
}

static int unmap_list(struct pagefs *p, struct mapping **list, ssize_t nr,
		      unsigned int flags)
{
	ssize_t i, run;
	int err = 0;

	for (i = 0; i < nr && !err; i += run) {
		for (run = 1; i + run < nr; run++)
			if (list[i + run]->start != list[i + run - 1]->end ||
			    list[i + run]->lost != list[i]->lost)
				break;
		err = unmap_run(p, list + i, run, flags);
	}
	return err;
}

int unmap_range(struct pagefs *p, uintptr_t start, uintptr_t end,
		unsigned int flags)
{
	struct mapping *spare[2] = { mapping_alloc(), mapping_alloc() };
	struct mapping **list;
	int err = -ENOMEM;
	ssize_t nr;

	if (!spare[0] || !spare[1])
		goto out;
	table_split(p, start, &spare[0]);
	table_split(p, end, &spare[1]);
	nr = table_collect(p, start, end, &list);
	if (nr >= 0) {
		err = unmap_list(p, list, nr, flags);
		heap_free(list);
	}
	if (err)
		table_merge(p, start, end);
out:
	mapping_free(spare[0]);
	mapping_free(spare[1]);
	return err;
}

PAGEFS_API int pagefs_munmap(struct pagefs *p, void *addr, size_t len)
{
	uintptr_t start, end;
	int err;

	err = range_check(addr, len, &start, &end);
	if (err)
		return err;
	layout_lock(p);
	err = unmap_range(p, start, end, 0);
	layout_unlock(p);
	return err;
}

int unmap_others(struct pagefs *p, uintptr_t start, uintptr_t end)
{
	struct pagefs *other;
	int err = 0;

	while (!err && (other = table_other(p, start, end))) {
		layout_lock(other);
		err = unmap_range(other, start, end, UNMAP_RESERVE);
		layout_unlock(other);
	}
	return err;
}

/* ---- mmap ---- */

/* What kind is asked for goes to @a->memory. */
static int check_flags(struct map_args *a)
{
	const int type = a->flags & MAP_TYPE;
	const bool anon = a->flags & MAP_ANONYMOUS;

	if (a->flags & ~MAP_KNOWN || a->prot & ~PROT_KNOWN)
		return -EINVAL;
	if (type != MAP_PRIVATE && type != MAP_SHARED &&
	    type != MAP_SHARED_VALIDATE)
		return -EINVAL;
	if (anon)
		a->memory = type == MAP_PRIVATE ? MEMORY_PRIVATE :
			    MEMORY_SHARED;
	else
		/* One that is never stored to shows the file itself. */
		a->memory = type == MAP_PRIVATE && a->prot & ~PROT_READ ?
			    MEMORY_COPIES : MEMORY_FILE;
	return 0;
}

static int check_file(struct pagefs *p, struct map_args *a)
{
	int fl, err;
	mode_t mode;
	dev_t dev;

	if (is_anon(a->memory))
		return 0;
	fl = fcntl(a->fd, F_GETFL);
	if (fl < 0 || fl & O_PATH)
		return -EBADF;
	err = file_id(a->fd, &dev, &mode);
	if (err)
		return err;
	if (dev != p->dev)
		return -EXDEV;
	if (!S_ISREG(mode))
		return -ENODEV;
	a->accmode = fl & O_ACCMODE;
	if (a->accmode == O_WRONLY ||
	    (a->accmode == O_RDONLY && a->prot & PROT_WRITE && !a->private))
		return -EACCES;
	return 0;
}

static int check_place(struct map_args *a, void *addr, size_t len, off_t pos)
{
	if (!(a->flags & MAP_FIXED_FLAGS))
		addr = NULL;
	else if (!addr)
		return -EINVAL;	/* 0 says "anywhere" here */
	if (pos < 0 || !PAGE_ALIGNED((uint64_t)pos) ||
	    range_check(addr, len, &a->start, &a->end))
		return -EINVAL;
	/* The last byte has a position, too. */
	return (uint64_t)pos + (a->end - a->start) > INT64_MAX ? -EINVAL : 0;
}

/* The daemon's part: its reply, and the window. */
int ask_window(const struct mapping *m, struct pagefs_msg *msg, int *windowp)
{
	int err;

	msg->args[0] = m->start;
	msg->args[1] = m->end - m->start;
	msg->args[2] = (uint64_t)m->prot;
	err = request(m->p, msg, windowp, NULL, 0);
	if (!err && *windowp < 0)
		err = -ENOTCONN;	/* what daemon is that? */
	return err;
}

int ask_mmap(const struct mapping *m, unsigned int wire_flags, uint64_t number,
	     struct pagefs_msg *reply, int *windowp)
{
	*reply = (struct pagefs_msg){
		.type = PAGEFS_MMAP,
		.args = {
			[3] = wire_flags |
			      (m->private ? PAGEFS_MAP_PRIVATE : 0),
			[4] = m->pos / CLIENT_PAGE,
			[5] = number,
		},
	};
	return ask_window(m, reply, windowp);
}

static int ask_file(struct mapping *m, const struct map_args *a,
		    unsigned int wire_flags, struct pagefs_msg *reply,
		    int *windowp)
{
	uint64_t number;
	int err;

	if (a->memory == MEMORY_COPIES)
		wire_flags |= PAGEFS_MAP_COW;
	m->pos = a->pos;
	err = fd_offer(m->p, a->fd, &number) ?:
	      ask_mmap(m, wire_flags, number, reply, windowp);
	if (!err && a->memory == MEMORY_COPIES)
		m->pos = reply->args[4] * CLIENT_PAGE;
	return err;
}

/* @m gets address, kind, and place in the window or file. */
static int map_ask(struct mapping *m, const struct map_args *a,
		   unsigned int wire_flags, int *windowp)
{
	struct pagefs_msg reply;
	int err;

	m->end = m->start + (a->end - a->start);
	err = is_anon(a->memory) ?
	      ask_anon(m, a, wire_flags, &reply, windowp) :
	      ask_file(m, a, wire_flags, &reply, windowp);
	if (err)
		return err;
	m->start = reply.args[0];
	m->end = m->start + (a->end - a->start);
	m->kind = (unsigned int)reply.args[1];
	if (a->memory == MEMORY_FILE)
		err = file_get(m->p, a->fd, a->accmode, reply.args[2],
			       reply.args[3], &m->file);
	if (err) {
		ask(m->p, PAGEFS_MUNMAP, m->start, m->end, 0);
		close(*windowp);
	}
	return err;
}

/*
 * Ask and attach. @m->start: 0: where the daemon likes; else there, and the
 * range is the caller's to be replaced.
 * Return: 0; -ENOMEM: no room (in the region, too); or -errno.
 */
static int map_at(struct mapping *m, const struct map_args *a,
		  unsigned int wire_flags)
{
	const uintptr_t wanted = m->start;
	struct pagefs *p = m->p;
	int window, err;

	err = map_ask(m, a, wire_flags, &window);
	if (err)
		return err;
	if (wanted ? m->start != wanted :
	    !in_region(p, m->start, m->end) || m->end <= m->start ||
	    table_is_used(m->start, m->end)) {
		/* Not a place the daemon can know to be free. */
		ask(p, PAGEFS_MUNMAP, m->start, m->end, 0);
		err = -ENOMEM;
	} else {
		err = range_attach(m, window);
		if (err)
			range_reserve(m->start, m->end);
	}
	close(window);
	if (err) {
		file_put(p, m->file);
		m->file = NULL;
		m->start = wanted;
	}
	return err;
}

static int map_claimed(struct mapping *m, const struct map_args *a)
{
	int err;

	err = range_claim(&m->start, a->end - a->start);
	if (err)
		return err;
	err = map_at(m, a, PAGEFS_MAP_FIXED);
	if (err)
		range_release(m->p, m->start, m->start + (a->end - a->start));
	return err;
}

static int map_anywhere(struct mapping *m, const struct map_args *a)
{
	int err = -ENOMEM;

	m->start = 0;
	if (m->p->end)
		err = map_at(m, a, 0);
	return err == -ENOMEM ? map_claimed(m, a) : err;
}

static int map_noreplace(struct mapping *m, const struct map_args *a)
{
	/* To the kernel our whole region is in use. */
	if (!in_region(m->p, a->start, a->end))
		return map_claimed(m, a);
	if (table_is_used(a->start, a->end))
		return -EEXIST;
	return map_at(m, a, PAGEFS_MAP_NOREPLACE);
}

static int map_fixed(struct mapping *m, const struct map_args *a)
{
	int err;

	err = unmap_range(m->p, a->start, a->end, UNMAP_RESERVE);
	if (!err)
		err = table_foreign_del(a->start, a->end);
	return err ? err : map_at(m, a, PAGEFS_MAP_FIXED);
}

static int __map_memory(struct pagefs *p, const struct map_args *a,
			uintptr_t *startp)
{
	static atomic_ullong last_region;
	struct mapping *m = mapping_alloc();
	int err;

	if (!m)
		return -ENOMEM;
	m->p = p;
	m->start = a->start;
	m->prot = a->prot;
	m->private = a->private;
	m->memory = a->memory;
	m->region = a->memory == MEMORY_SHARED ?
		    atomic_fetch_add(&last_region, 1) + 1 : 0;
	if (a->flags & MAP_FIXED_NOREPLACE)
		err = map_noreplace(m, a);
	else if (a->flags & MAP_FIXED)
		err = map_fixed(m, a);
	else
		err = map_anywhere(m, a);
	if (err) {
		mapping_free(m);
		return err;
	}
	*startp = m->start;
	table_insert(m);
	table_merge(p, m->start, m->end);
	return 0;
}

/* As mmap(2), which does not fail either when pages cannot be had now. */
static void populate(struct pagefs *p, const struct map_args *a,
		     uintptr_t start, uintptr_t end)
{
	const bool write = a->prot & PROT_WRITE;

	if (a->flags & MAP_LOCKED)
		ask(p, PAGEFS_MLOCK, start, end, 0);
	else if (a->flags & MAP_POPULATE && !(a->flags & MAP_NONBLOCK))
		ask(p, PAGEFS_MADVISE, start, end,
		    write ? MADV_POPULATE_WRITE : MADV_POPULATE_READ);
}

int map_memory(struct pagefs *p, const struct map_args *a, void **addrp)
{
	uintptr_t start = 0;
	int err = 0;

	if (a->flags & MAP_FIXED_FLAGS && !(a->flags & MAP_FIXED_NOREPLACE))
		err = unmap_others(p, a->start, a->end);
	if (err)
		return err;
	err = layout_begin(p);
	if (err)
		return err;
	err = __map_memory(p, a, &start);
	layout_unlock(p);
	if (err)
		return err;
	populate(p, a, start, start + (a->end - a->start));
	*addrp = (void *)start;
	return 0;
}

PAGEFS_API int pagefs_mmap(struct pagefs *p, void *addr, size_t len, int prot,
			   int flags, int fd, off_t pos, void **addrp)
{
	struct map_args a = {
		.pos = flags & MAP_ANONYMOUS ? 0 : (uint64_t)pos,
		.prot = prot,
		.flags = flags,
		.private = (flags & MAP_TYPE) == MAP_PRIVATE,
		.fd = fd,
	};
	int err;

	err = check_flags(&a) ?: check_place(&a, addr, len, (off_t)a.pos) ?:
	      check_file(p, &a);
	return err ? err : map_memory(p, &a, addrp);
}
