// SPDX-License-Identifier: BSD-2-Clause
/*
 * client/mremap.c - mremap, without mremap(2)
 *
 *   shrink         munmap of the tail
 *   grow in place  MREMAP; the new part is mapped and committed
 *   move           mprotect(old, PROT_NONE); MREMAP; the whole is mapped and
 *                  committed where it goes; old range reserved or unmapped
 *   grow, and the daemon cannot: private memory is copied to a new mapping
 *
 * The kernel's mremap(2) would move registered memory and leave it without
 * write-protection where it grows, so it is never called on ours. As the window
 * is the daemon's, there is nothing to copy: pages that are in it are found at
 * the new place, too.
 *
 * In the region the daemon knows what is free. Outside, the kernel does: there
 * the addresses are claimed first, and the daemon is told.
 *
 * Locks: p->layout, over the requests.
 */

#include <string.h>

#include "internal.h"
#include "sys.h"

#define MREMAP_KNOWN	(MREMAP_MAYMOVE | MREMAP_FIXED | REMAP_IN_REGION)

struct remap_args {
	uintptr_t start, old_end;
	size_t new_len;
	int flags;
	uintptr_t new_start;	/* with MREMAP_FIXED */
};

/* What the daemon says about the part that is new. */
struct remap_reply {
	uintptr_t start;	/* of the whole */
	struct mapping part;	/* on the stack, not in the table */
	int window;
};

/* ---- the daemon's part ---- */

static int ask_mremap(const struct mapping *m, uintptr_t start, size_t old_len,
		      size_t new_len, unsigned int wire_flags,
		      uintptr_t new_start, struct remap_reply *reply)
{
	struct pagefs_msg msg = {
		.type = PAGEFS_MREMAP,
		.args = { start, old_len, new_len, wire_flags, new_start },
	};
	int err;

	err = request(m->p, &msg, &reply->window, NULL, 0);
	if (err)
		return err;
	if (reply->window < 0)
		return -ENOTCONN;
	reply->start = msg.args[0];
	reply->part = *m;
	reply->part.kind = (unsigned int)msg.args[1];
	reply->part.pos = msg.args[2] * CLIENT_PAGE;
	reply->part.start = msg.args[3];
	reply->part.end = msg.args[3] + msg.args[4];
	return 0;
}

/* Attach the new part. On failure nobody has it, and it is reserved. */
static int attach_part(struct remap_reply *reply)
{
	int err = range_attach(&reply->part, reply->window);

	if (err)
		range_reserve(reply->part.start, reply->part.end);
	close(reply->window);
	return err;
}

static void refuse_part(struct remap_reply *reply)
{
	close(reply->window);
	ask(reply->part.p, PAGEFS_MUNMAP, reply->part.start, reply->part.end,
	    0);
}

/* ---- growing in place ---- */

/*
 * Are [start, end), just after a mapping, addresses we may take? Outside the
 * region they have to be claimed from the kernel. 0, or -ENOMEM.
 */
static int claim_tail(struct pagefs *p, uintptr_t start, uintptr_t end)
{
	if (table_is_used(start, end))
		return -ENOMEM;
	if (in_region(p, start, end))
		return 0;
	if (start < p->end && end > p->base)
		return -ENOMEM;
	return range_claim(&start, end - start) ? -ENOMEM : 0;
}

static int grow_claimed(struct mapping *m, const struct remap_args *a,
			uintptr_t new_end)
{
	struct remap_reply reply;
	int err;

	err = ask_mremap(m, a->start, a->old_end - a->start, a->new_len, 0, 0,
			 &reply);
	if (err)
		return err;
	/* In the window, too, it has to follow what was there before. */
	if (reply.start != a->start || reply.part.start != a->old_end ||
	    reply.part.end != new_end ||
	    reply.part.pos != m->pos + (m->end - m->start)) {
		refuse_part(&reply);
		return -ENOMEM;
	}
	return attach_part(&reply);
}

/* The new part as an entry of its own, to be merged. */
static void insert_part(struct mapping *spare, const struct mapping *m,
			uintptr_t start, uintptr_t end, uint64_t pos)
{
	*spare = *m;
	spare->start = start;
	spare->end = end;
	spare->pos = pos;
	file_hold(spare->file);
	table_insert(spare);
	table_merge(m->p, start, end);
}

static int grow_in_place(struct mapping *m, const struct remap_args *a,
			 struct mapping **spare)
{
	const uintptr_t new_end = a->start + a->new_len;
	int err;

	/* Linux, too: what lies behind belongs to the same mapping. */
	if (m->end != a->old_end || new_end < a->start)
		return -ENOMEM;
	err = claim_tail(m->p, a->old_end, new_end);
	if (err)
		return err;
	err = grow_claimed(m, a, new_end);
	if (err) {
		range_release(m->p, a->old_end, new_end);
		return err;
	}
	insert_part(*spare, m, a->old_end, new_end,
		    m->pos + (m->end - m->start));
	*spare = NULL;
	return 0;
}

/* ---- moving ---- */

/* Of what is a file's nothing is lost with a mapping: it comes back as a new
 * one. */
static int map_file_again(const struct mapping *m, uintptr_t moved,
			  size_t len)
{
	struct pagefs_msg reply;
	uint64_t number;
	int window, err;

	ask(m->p, PAGEFS_MUNMAP, moved, moved + len, 0);
	err = file_offer(m->p, m->file, &number) ?:
	      ask_mmap(m, PAGEFS_MAP_FIXED, number, &reply, &window);
	if (err)
		return err;
	err = range_attach(m, window);
	close(window);
	return err;
}

/* All else has to be moved back. */
static int remap_again(struct mapping *m, uintptr_t moved, size_t len)
{
	struct remap_reply reply;
	int err;

	err = ask_mremap(m, moved, len, m->end - m->start,
			 PAGEFS_MREMAP_MAYMOVE | PAGEFS_MAP_FIXED, m->start,
			 &reply);
	if (err)
		return err;
	m->pos = reply.part.pos;
	return attach_part(&reply);
}

/*
 * The daemon took the mapping to [@moved, ...), but there it could not be
 * mapped.
 */
static void move_back(struct mapping *m, const struct remap_args *a,
		      uintptr_t moved)
{
	int err = m->memory == MEMORY_FILE ?
		  map_file_again(m, moved, a->new_len) :
		  remap_again(m, moved, a->new_len);

	if (err) {
		range_reserve(m->start, m->end);
		table_set_lost(m);
	}
}

static bool is_good_place(const struct remap_reply *reply, uintptr_t place,
			  size_t len)
{
	const uintptr_t start = reply->start, end = start + len;
	struct pagefs *p = reply->part.p;

	if (reply->part.start != start || reply->part.end != end)
		return false;
	return place ? start == place : in_region(p, start, end) &&
	       end > start && !table_is_used(start, end);
}

/* @place: where, or 0. On success *@place is where it is, and *@posp where in the
 * window. */
static int move_to(struct mapping *m, const struct remap_args *a,
		   uintptr_t *place, uint64_t *posp)
{
	struct remap_reply reply;
	int err;

	err = ask_mremap(m, a->start, a->old_end - a->start, a->new_len,
			 PAGEFS_MREMAP_MAYMOVE | (*place ? PAGEFS_MAP_FIXED : 0),
			 *place, &reply);
	if (err)
		return err;
	if (!is_good_place(&reply, *place, a->new_len)) {
		close(reply.window);
		err = -ENOMEM;
	} else {
		err = attach_part(&reply);
		if (!err) {
			*place = reply.start;
			*posp = reply.part.pos;
			return 0;
		}
	}
	move_back(m, a, reply.start);
	return err;
}

static int move_to_claimed(struct mapping *m, const struct remap_args *a,
			   uintptr_t *place, uint64_t *posp)
{
	int err;

	*place = 0;
	err = range_claim(place, a->new_len);
	if (err)
		return err;
	err = move_to(m, a, place, posp);
	if (err)
		range_release(m->p, *place, *place + a->new_len);
	return err;
}

/*
 * To where the caller says; or to where the daemon likes, in the region; or
 * outside, if the region is full or it came from there: the daemon would let it
 * grow over what it does not know.
 */
static int choose_and_move(struct mapping *m, const struct remap_args *a,
			   uintptr_t *place, uint64_t *posp)
{
	int err = -ENOMEM;

	*place = a->new_start;
	if (a->flags & MREMAP_FIXED)
		return move_to(m, a, place, posp);
	if (in_region(m->p, a->start, a->old_end))
		err = move_to(m, a, place, posp);
	return err == -ENOMEM && !m->lost && !(a->flags & REMAP_IN_REGION) ?
	       move_to_claimed(m, a, place, posp) : err;
}

/* The mapping [a->start, a->old_end) is in the table as @m, alone. */
static int move_mapping(struct mapping *m, const struct remap_args *a,
			struct mapping **spare, uintptr_t *startp)
{
	const size_t old_len = a->old_end - a->start;
	struct pagefs *p = m->p;
	uintptr_t place;
	uint64_t pos;
	int err;

	err = sys_mprotect(a->start, old_len, PROT_NONE);
	if (!err)
		err = choose_and_move(m, a, &place, &pos);
	if (err) {
		if (!m->lost)
			sys_mprotect(a->start, old_len, m->prot);
		return err;
	}
	insert_part(*spare, m, place, place + a->new_len, pos);
	*spare = NULL;
	m = table_take(p, a->start, a->old_end);
	range_release(p, a->start, a->old_end);
	file_put(p, m->file);	/* not its last user: the moved one */
	mapping_free(m);
	*startp = place;
	return 0;
}

/* ---- all of them ---- */

/* The one mapping of the range, cut out of what it is part of, or NULL. */
static struct mapping *single_mapping(struct pagefs *p,
				      const struct remap_args *a)
{
	struct mapping **list, *m = NULL;
	ssize_t nr;

	nr = table_collect(p, a->start, a->old_end, &list);
	if (nr < 0)
		return NULL;
	if (nr == 1 && list[0]->start <= a->start && list[0]->end >= a->old_end)
		m = list[0];
	heap_free(list);
	return m;
}

static int clear_target(struct pagefs *p, const struct remap_args *a)
{
	const uintptr_t end = a->new_start + a->new_len;
	int err;

	if (!(a->flags & MREMAP_FIXED))
		return 0;
	err = unmap_range(p, a->new_start, end, UNMAP_RESERVE);
	return err ? err : table_foreign_del(a->new_start, end);
}

static int do_move(struct pagefs *p, const struct remap_args *a,
		   uintptr_t *startp)
{
	struct mapping *spare[3] = {
		mapping_alloc(), mapping_alloc(), mapping_alloc(),
	};
	int err = -ENOMEM;

	if (!spare[0] || !spare[1] || !spare[2])
		goto out;
	err = clear_target(p, a);
	if (err)
		goto out;
	table_split(p, a->start, &spare[0]);
	table_split(p, a->old_end, &spare[1]);
	err = move_mapping(single_mapping(p, a), a, &spare[2], startp);
	table_merge(p, a->start, a->old_end);
out:
	for (int i = 0; i < 3; i++)
		mapping_free(spare[i]);
	return err;
}

static int do_grow(struct mapping *m, const struct remap_args *a)
{
	struct mapping *spare = mapping_alloc();
	int err = spare ? grow_in_place(m, a, &spare) : -ENOMEM;

	mapping_free(spare);
	return err;
}

/* ---- moving by copying ---- */

#define COPY_STEP	(1UL << 20)	/* bytes; arbitrary */

/* What is to be as it was, of a mapping that may be copied. */
struct copied {
	bool may;
	int prot;
	enum at_fork at_fork;
};

static struct copied may_copy(struct pagefs *p, const struct remap_args *a)
{
	struct mapping *m = single_mapping(p, a);

	if (!m || m->lost || m->memory != MEMORY_PRIVATE ||
	    !(m->prot & PROT_READ))
		return (struct copied){ .may = false };
	return (struct copied){
		.may = true,
		.prot = m->prot,
		.at_fork = m->at_fork,
	};
}

static bool is_zero_page(const uint64_t *words)
{
	for (size_t i = 0; i < CLIENT_PAGE / sizeof(*words); i++)
		if (words[i])
			return false;
	return true;
}

/* Zeros are there already, and take no memory. */
static void copy_pages(char *to, const char *from, size_t len)
{
	for (size_t pos = 0; pos < len; pos += CLIENT_PAGE)
		if (!is_zero_page((const void *)(from + pos)))
			memcpy(to + pos, from + pos, CLIENT_PAGE);
}

/*
 * Private memory has one window, and what lies behind a mapping there may be
 * another's, wherever the two are mapped. Then it gets a new place in the window.
 * Without locks (C4): who still uses the old range uses what mremap(2) takes
 * away from him.
 */
static int move_by_copy(struct pagefs *p, const struct remap_args *a,
			const struct copied *was, uintptr_t *startp)
{
	const size_t len = a->old_end - a->start;
	void *addr;
	int err;

	err = pagefs_mmap(p, (void *)a->new_start, a->new_len,
			  PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS |
			  (a->flags & MREMAP_FIXED ? MAP_FIXED : 0), -1, 0,
			  &addr);
	if (err)
		return err;
	if (a->flags & REMAP_IN_REGION &&
	    !in_region(p, (uintptr_t)addr, (uintptr_t)addr + a->new_len)) {
		pagefs_munmap(p, addr, a->new_len);
		return -ENOMEM;
	}
	for (size_t pos = 0, step; pos < len; pos += step) {
		step = len - pos < COPY_STEP ? len - pos : COPY_STEP;
		copy_pages((char *)addr + pos, (char *)a->start + pos, step);
		pagefs_madvise(p, (void *)(a->start + pos), step,
			       MADV_DONTNEED);
	}
	if (was->prot != (PROT_READ | PROT_WRITE))
		pagefs_mprotect(p, addr, a->new_len, was->prot);
	if (was->at_fork != AT_FORK_KEEP)
		pagefs_madvise(p, addr, a->new_len,
			       was->at_fork == AT_FORK_ZEROS ?
			       MADV_WIPEONFORK : MADV_DONTFORK);
	pagefs_munmap(p, (void *)a->start, len);
	*startp = (uintptr_t)addr;
	return 0;
}

/* ---- the call ---- */

static int do_mremap(struct pagefs *p, const struct remap_args *a,
		     uintptr_t *startp)
{
	const size_t old_len = a->old_end - a->start;
	struct mapping *m = single_mapping(p, a);
	int err;

	if (!m)
		return -EFAULT;
	if (m->lost)
		return -ENOTCONN;
	if (a->flags & MREMAP_FIXED)
		return do_move(p, a, startp);
	*startp = a->start;
	if (a->new_len == old_len)
		return 0;
	if (a->new_len < old_len)
		return unmap_range(p, a->start + a->new_len, a->old_end, 0);
	err = do_grow(m, a);
	if (err == -ENOMEM && a->flags & MREMAP_MAYMOVE)
		err = do_move(p, a, startp);
	return err;
}

static int check_args(const struct remap_args *a)
{
	const uintptr_t new_end = a->new_start + a->new_len;

	if (a->flags & ~MREMAP_KNOWN || !a->new_len)
		return -EINVAL;
	if (!(a->flags & MREMAP_FIXED))
		return 0;
	if (!(a->flags & MREMAP_MAYMOVE) || !a->new_start ||
	    !PAGE_ALIGNED(a->new_start) || new_end < a->new_start)
		return -EINVAL;
	/* Neither may lie in the other. */
	return a->new_start < a->old_end && new_end > a->start ? -EINVAL : 0;
}

int remap_memory(struct pagefs *p, void *addr, size_t old_len, size_t new_len,
		 int flags, void *new_addr, void **addrp)
{
	struct remap_args a = {
		.new_len = PAGE_UP(new_len),
		.flags = flags,
		.new_start = flags & MREMAP_FIXED ? (uintptr_t)new_addr : 0,
	};
	struct copied copied = { .may = false };
	uintptr_t start = 0;
	int err;

	err = range_check(addr, old_len, &a.start, &a.old_end);
	if (!err)
		err = check_args(&a);
	if (!err && flags & MREMAP_FIXED)
		err = unmap_others(p, a.new_start, a.new_start + a.new_len);
	if (err)
		return err;
	err = layout_begin(p);
	if (err)
		return err;
	err = do_mremap(p, &a, &start);
	if (err == -ENOMEM && flags & MREMAP_MAYMOVE)
		copied = may_copy(p, &a);
	layout_unlock(p);
	if (copied.may)
		err = move_by_copy(p, &a, &copied, &start);
	if (!err)
		*addrp = (void *)start;
	return err;
}

PAGEFS_API int pagefs_mremap(struct pagefs *p, void *addr, size_t old_len,
			     size_t new_len, int flags, void *new_addr,
			     void **addrp)
{
	if (flags & REMAP_IN_REGION)
		return -EINVAL;
	return remap_memory(p, addr, old_len, new_len, flags, new_addr, addrp);
}
