// SPDX-License-Identifier: BSD-2-Clause
/*
 * client/advice.c - calls that change no mapping: msync, madvise, mlock,
 *                   mincore, stats
 *
 * Requests, and no more: they hold no lock of ours, so that a thread in a long
 * msync() is in nobody's way. Whether the range is mapped the daemon says. Only
 * holes (MADV_REMOVE) are punched by us, as it takes the file's descriptor.
 *
 * Locks: none but the layout lock, to look up mappings.
 */
#include <fcntl.h>
#include <string.h>

#include "internal.h"
#include "sys.h"

#ifndef MADV_POPULATE_READ		/* Linux 5.14 */
#define MADV_POPULATE_READ	22
#define MADV_POPULATE_WRITE	23
#endif
#ifndef MADV_COLLAPSE			/* Linux 6.1 */
#define MADV_COLLAPSE		25
#endif

/* One question with a page-aligned range. */
static int ask_range(struct pagefs *p, unsigned int type, const void *addr,
		     size_t len, int arg)
{
	uintptr_t start, end;
	int err;

	err = range_check(addr, len, &start, &end);
	if (err)
		return err;
	/* A child that has nothing mapped yet must not connect for this. */
	if (atomic_load(&p->state) == PAGEFS_FORKED)
		return -ENOMEM;
	return ask(p, type, start, end, (uint64_t)arg);
}

PAGEFS_API int pagefs_msync(struct pagefs *p, void *addr, size_t len, int flags)
{
	if (flags & ~(MS_ASYNC | MS_SYNC | MS_INVALIDATE) ||
	    (flags & MS_ASYNC && flags & MS_SYNC))
		return -EINVAL;
	return ask_range(p, PAGEFS_MSYNC, addr, len, flags);
}

/* ---- madvise ---- */

struct hole {
	uintptr_t start;
	int kept;		/* the file's number with the keeper; or -1 */
	uint64_t pos, len;
};

static int may_punch(const struct mapping *m)
{
	if (m->memory == MEMORY_FILE)
		return m->private || m->file->accmode != O_RDWR ? -EACCES : 0;
	return m->memory == MEMORY_SHARED ? 0 : -EINVAL;
}

static long punch_hole(struct pagefs *p, const struct hole *hole)
{
	if (hole->kept < 0)	/* what has no file is the daemon's to free */
		return ask(p, PAGEFS_MADVISE, hole->start,
			   hole->start + hole->len, MADV_REMOVE);
	return keeper_call(p, KEEPER_PUNCH, (uint64_t[KEEPER_ARGS]){
		(uint64_t)hole->kept, hole->pos, hole->len });
}

/* Of the range: one for each mapping, in a new array. Context: p->layout. */
static ssize_t find_holes(struct pagefs *p, uintptr_t start, uintptr_t end,
			  struct hole **holesp)
{
	struct mapping **list, *m;
	struct hole *holes;
	uintptr_t from, to;
	ssize_t nr;
	int err;

	nr = table_collect(p, start, end, &list);
	if (nr < 0)
		return nr;
	holes = heap_alloc((size_t)(nr + 1) * sizeof(*holes));
	for (ssize_t i = 0; holes && i < nr; i++) {
		m = list[i];
		err = may_punch(m);
		if (err) {
			heap_free(holes);
			heap_free(list);
			return err;
		}
		from = m->start > start ? m->start : start;
		to = m->end < end ? m->end : end;
		holes[i] = (struct hole){
			.start = from,
			.kept = m->file ? m->file->kept : -1,
			.pos = m->pos + (from - m->start),
			.len = to - from,
		};
	}
	heap_free(list);
	*holesp = holes;
	return holes ? nr : -ENOMEM;
}

/* Under the layout lock: the files' numbers stay what they are. */
static int punch_holes(struct pagefs *p, uintptr_t start, uintptr_t end)
{
	struct hole *holes;
	ssize_t nr;
	long err = 0;

	nr = find_holes(p, start, end, &holes);
	if (nr <= 0)
		return nr < 0 ? (int)nr : -ENOMEM;
	for (ssize_t i = 0; i < nr && !err; i++)
		err = punch_hole(p, &holes[i]);
	heap_free(holes);
	return (int)err;
}

static int madvise_remove(struct pagefs *p, void *addr, size_t len)
{
	uintptr_t start, end;
	int err;

	err = range_check(addr, len, &start, &end);
	if (!err)
		err = layout_begin(p);
	if (err)
		return err;
	err = punch_holes(p, start, end);
	layout_unlock(p);
	return err;
}

/* ---- madvise about children ---- */

static int set_at_fork(struct mapping **list, ssize_t nr, enum at_fork at_fork)
{
	for (ssize_t i = 0; i < nr; i++)
		if (at_fork == AT_FORK_ZEROS && list[i]->memory != MEMORY_PRIVATE)
			return -EINVAL;
	for (ssize_t i = 0; i < nr; i++)
		table_set_at_fork(list[i], at_fork);
	return nr ? 0 : -ENOMEM;
}

/* The kernel's own advice stays as it is: fork.c has it do what this says. */
static int advise_at_fork(struct pagefs *p, uintptr_t start, uintptr_t end,
			  enum at_fork at_fork)
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
		err = set_at_fork(list, nr, at_fork);
		heap_free(list);
	}
	table_merge(p, start, end);
out:
	mapping_free(spare[0]);
	mapping_free(spare[1]);
	return err;
}

static int madvise_at_fork(struct pagefs *p, void *addr, size_t len,
			   enum at_fork at_fork)
{
	uintptr_t start, end;
	int err;

	err = range_check(addr, len, &start, &end);
	if (!err)
		err = layout_begin(p);
	if (err)
		return err;
	err = advise_at_fork(p, start, end, at_fork);
	layout_unlock(p);
	return err;
}

PAGEFS_API int pagefs_madvise(struct pagefs *p, void *addr, size_t len,
			      int advice)
{
	uintptr_t start, end;

	switch (advice) {
	case MADV_NORMAL:
	case MADV_RANDOM:
	case MADV_SEQUENTIAL:
	case MADV_WILLNEED:
	case MADV_DONTNEED:
	case MADV_FREE:
	case MADV_POPULATE_READ:
	case MADV_POPULATE_WRITE:
		return ask_range(p, PAGEFS_MADVISE, addr, len, advice);
	case MADV_COLD:
	case MADV_PAGEOUT:
		return ask_range(p, PAGEFS_MADVISE, addr, len, MADV_COLD);
	case MADV_REMOVE:
		return madvise_remove(p, addr, len);
	case MADV_DONTFORK:
		return madvise_at_fork(p, addr, len, AT_FORK_NOTHING);
	case MADV_WIPEONFORK:
		return madvise_at_fork(p, addr, len, AT_FORK_ZEROS);
	case MADV_DOFORK:
	case MADV_KEEPONFORK:
		return madvise_at_fork(p, addr, len, AT_FORK_KEEP);
	case MADV_MERGEABLE:	/* about huge pages, core files: harmless */
	case MADV_UNMERGEABLE:
	case MADV_HUGEPAGE:
	case MADV_NOHUGEPAGE:
	case MADV_COLLAPSE:
	case MADV_DONTDUMP:
	case MADV_DODUMP:
		return range_check(addr, len, &start, &end);
	default:
		return -EINVAL;
	}
}

/* ---- mlock, mincore, stats ---- */

/* As mlock(2), whose start is rounded down. */
static int lock_range(struct pagefs *p, unsigned int type, const void *addr,
		      size_t len)
{
	const size_t skip = (uintptr_t)addr % CLIENT_PAGE;

	if (len > SIZE_MAX - 2 * CLIENT_PAGE)
		return -EINVAL;
	if (!len)
		return 0;
	return ask_range(p, type, (const char *)addr - skip, len + skip, 0);
}

PAGEFS_API int pagefs_mlock(struct pagefs *p, const void *addr, size_t len)
{
	return lock_range(p, PAGEFS_MLOCK, addr, len);
}

PAGEFS_API int pagefs_munlock(struct pagefs *p, const void *addr, size_t len)
{
	return lock_range(p, PAGEFS_MUNLOCK, addr, len);
}

static int mincore_some(struct pagefs *p, uintptr_t start, size_t nr,
			unsigned char *vec, unsigned char *buf)
{
	struct pagefs_msg msg = {
		.type = PAGEFS_MINCORE,
		.args = { start, nr * CLIENT_PAGE },
	};
	int err;

	err = request(p, &msg, NULL, buf, nr);
	if (!err)	/* C4: @vec may be a mapping */
		memcpy(vec, buf, nr);
	return err;
}

static int do_mincore(struct pagefs *p, uintptr_t start, size_t nr,
		      unsigned char *vec)
{
	size_t some = nr < PAGEFS_MINCORE_MAX ? nr : PAGEFS_MINCORE_MAX;
	unsigned char *buf = heap_alloc(some);
	int err = 0;

	if (!buf)
		return -ENOMEM;
	while (nr && !err) {
		if (some > nr)
			some = nr;
		err = mincore_some(p, start, some, vec, buf);
		start += some * CLIENT_PAGE;
		vec += some;
		nr -= some;
	}
	heap_free(buf);
	return err;
}

PAGEFS_API int pagefs_mincore(struct pagefs *p, void *addr, size_t len,
			      unsigned char *vec)
{
	uintptr_t start, end;
	int err;

	err = range_check(addr, len, &start, &end);
	if (err)
		return err;
	if (atomic_load(&p->state) == PAGEFS_FORKED)
		return -ENOMEM;
	return do_mincore(p, start, (end - start) / CLIENT_PAGE, vec);
}

PAGEFS_API int pagefs_stats(struct pagefs *p, struct pagefs_stats *stats)
{
	struct pagefs_msg msg = { .type = PAGEFS_STATS };
	int err;

	err = layout_begin(p);	/* a new child connects */
	if (err)
		return err;
	layout_unlock(p);
	err = request(p, &msg, NULL, NULL, 0);
	if (err)
		return err;
	*stats = (struct pagefs_stats){
		.majflt = msg.args[PAGEFS_STAT_MAJFLT],
		.minflt = msg.args[PAGEFS_STAT_MINFLT],
		.softflt = msg.args[PAGEFS_STAT_SOFTFLT],
		.wpflt = msg.args[PAGEFS_STAT_WPFLT],
		.mapped = msg.args[PAGEFS_STAT_TOTAL_VM],
		.resident = msg.args[PAGEFS_STAT_RSS],
		.locked = msg.args[PAGEFS_STAT_LOCKED_VM],
		.page_tables = msg.args[PAGEFS_STAT_NR_PTES],
	};
	return 0;
}
