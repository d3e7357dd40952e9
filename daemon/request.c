// SPDX-License-Identifier: BSD-2-Clause
/*
 * daemon/request.c - what each message asks for
 *
 *   MMAP    offer_claim --> fs_map_offer --> mapping_window --> do_mmap
 *                                                           VMA, nothing in it
 *   COMMIT  UFFDIO_REGISTER --> mmap_arm                    faults reach us
 *   MUNMAP  do_munmap --> UFFDIO_UNREGISTER
 *
 * R1. What changes a client's mappings holds client->lock from the first step
 *     to the last: what a MUNMAP unregisters cannot have been mapped again.
 * R2. A range of ours is unregistered after its VMA has gone: a fault in
 *     between finds no VMA and fails; in the other order it would read zeros.
 *     (The library has made the range inaccessible before it asks.)
 * R3. Who maps a window can have its kernel fill what is not there with zeros,
 *     which all others would see, by reading it (tried: a read-only descriptor
 *     of the window is enough). So nobody gets one of a file that he may not
 *     write to, by its owner and mode; let him use the kernel's mmap(2).
 * R4. Every number is checked here before it is used, and again in mm/: a
 *     client may send what it likes. What it maps where is its own affair; we
 *     only serve what is registered, from files it has open.
 *
 * Each handler runs in a worker, and for one connection one at a time.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <sys/mman.h>

#include "err.h"
#include "internal.h"
#include "pagefs_fs.h"
#include "window.h"

/* Pieces of a range. */
struct pieces {
	struct piece {
		unsigned long start, end;
	} *piece;
	size_t nr, room;
};

/* ---- numbers from outside ---- */

/* Whole pages below TASK_SIZE; *@lenp is rounded up. Return: 0 or -EINVAL. */
static int check_range(uint64_t addr, uint64_t len, size_t *lenp)
{
	if (!IS_ALIGNED(addr, PAGE_SIZE) || !len || addr > TASK_SIZE ||
	    len > TASK_SIZE - addr)
		return -EINVAL;
	*lenp = ALIGN(len, PAGE_SIZE);
	return 0;
}

/* Return: VM_*, or -EINVAL. */
static long check_prot(uint64_t prot)
{
	long flags = 0;

	if (prot & ~(uint64_t)(PROT_READ | PROT_WRITE | PROT_EXEC))
		return -EINVAL;
	if (prot & PROT_READ)
		flags |= VM_READ;
	if (prot & PROT_WRITE)
		flags |= VM_WRITE;
	if (prot & PROT_EXEC)
		flags |= VM_EXEC;
	return flags;
}

/* ---- HELLO is conn.c's; UFFD ---- */

static int do_uffd(struct client *client, struct request *rq)
{
	int err;

	if (atomic_load(&client->uffd) >= 0)
		return -EEXIST;
	err = uffd_adopt(rq->in_fd);
	if (err)
		return err;
	atomic_store(&client->uffd, rq->in_fd);
	rq->in_fd = -1;
	/* On failure it stays, unheard: closing it is for the client's end. */
	return faultd_add(client);
}

static int request_uffd(struct client *client, struct request *rq)
{
	int err;

	client_lock(client);
	err = do_uffd(client, rq);
	client_unlock(client);
	return err;
}

/* ---- pieces: what of a range is registered ---- */

static int add_piece(struct pieces *pieces, unsigned long start,
		     unsigned long end)
{
	size_t room = pieces->room ? 2 * pieces->room : 8;
	struct piece *more;

	if (pieces->nr == pieces->room) {
		more = realloc(pieces->piece, room * sizeof(*more));
		if (!more)
			return -ENOMEM;
		pieces->piece = more;
		pieces->room = room;
	}
	pieces->piece[pieces->nr++] = (struct piece){ start, end };
	return 0;
}

/* Those of VMAs without @vm_flags. */
static int find_pieces(struct client *client, unsigned long addr, size_t len,
		       unsigned long vm_flags, struct pieces *pieces)
{
	const unsigned long end = addr + len;
	struct mm_struct *mm = client->mm;
	struct vm_area_struct *vma;
	int err = 0;

	down_read(&mm->mmap_lock);
	while (!err && addr < end) {
		vma = find_vma_intersection(mm, addr, end);
		if (!vma)
			break;
		if (!(vma->vm_flags & vm_flags))
			err = add_piece(pieces, max(addr, vma->vm_start),
					min(end, vma->vm_end));
		addr = vma->vm_end;
	}
	up_read(&mm->mmap_lock);
	return err;
}

static void unregister_pieces(struct client *client, struct pieces *pieces)
{
	for (size_t i = 0; i < pieces->nr; i++)
		uffd_unregister(client, pieces->piece[i].start,
				pieces->piece[i].end - pieces->piece[i].start);
	free(pieces->piece);
}

/* Context: client->lock. */
static int unmap_range(struct client *client, unsigned long addr, size_t len)
{
	struct pieces pieces = { 0 };
	int err = find_pieces(client, addr, len, 0, &pieces);

	if (!err)
		err = do_munmap(client->mm, addr, len);
	if (err)
		pieces.nr = 0;		/* all is as it was */
	unregister_pieces(client, &pieces);
	return err;
}

/* ---- MMAP and COMMIT ---- */

/* rq->file's window goes along; the file keeps it. Context: may sleep. */
static int send_window(struct request *rq, bool shared)
{
	struct window *window = mapping_window(rq->file->f_mapping);

	if (IS_ERR(window))
		return (int)PTR_ERR(window);
	rq->out_fd = shared ? window->fd : window->ro_fd;
	return 0;
}

/* Context: client->lock. */
static int map_range(struct client *client, struct request *rq, size_t len,
		     unsigned long vm_flags)
{
	const uint64_t *in = rq->in.args;
	const bool here = in[3] & (PAGEFS_MAP_FIXED | PAGEFS_MAP_NOREPLACE);
	unsigned long addr = 0;
	int err = 0;

	if (in[3] & PAGEFS_MAP_FIXED)
		err = unmap_range(client, in[0], len);
	if (!err)
		err = do_mmap(client->mm, rq->file, in[0], len, vm_flags, in[4],
			      here ? MAP_HERE : 0, &addr);
	if (!err)
		rq->out.args[0] = addr;
	return err;
}

/* rq->file is there. */
static int map_file(struct client *client, struct request *rq, size_t len,
		    unsigned long vm_flags)
{
	const bool shared = !(rq->in.args[3] & PAGEFS_MAP_PRIVATE) &&
		rq->file->f_writable;
	int err;

	if (!shared && (vm_flags & VM_WRITE))
		return -EACCES;
	if (shared)
		vm_flags |= VM_SHARED;
	err = send_window(rq, shared);
	if (err)
		return err;
	client_lock(client);
	err = map_range(client, rq, len, vm_flags);
	client_unlock(client);
	rq->out.args[1] = shared ? PAGEFS_KIND_SHARED : PAGEFS_KIND_PRIVATE;
	rq->out.args[2] = fs_mount_dev();
	rq->out.args[3] = fs_file_nodeid(rq->file);
	return err;
}

static int check_map_flags(const uint64_t *in)
{
	const uint64_t known = PAGEFS_MAP_FIXED | PAGEFS_MAP_NOREPLACE |
		PAGEFS_MAP_POPULATE | PAGEFS_MAP_LOCKED | PAGEFS_MAP_PRIVATE;
	const uint64_t both = PAGEFS_MAP_FIXED | PAGEFS_MAP_NOREPLACE;

	return (in[3] & ~known) || (in[3] & both) == both ? -EINVAL : 0;
}

static int map_offer(struct client *client, struct request *rq,
		     const struct fs_offer *offer)
{
	const uint64_t *in = rq->in.args;
	const bool here = in[3] & (PAGEFS_MAP_FIXED | PAGEFS_MAP_NOREPLACE);
	const long vm_flags = check_prot(in[2]);
	size_t len;
	int err;

	if (vm_flags < 0)
		return (int)vm_flags;
	err = check_map_flags(in);
	err = err ?: check_range(here ? in[0] : 0, in[1], &len);
	if (err)
		return err;
	if (in[4] > UINT64_MAX / PAGE_SIZE - (len >> PAGE_SHIFT))
		return -EOVERFLOW;
	if (!offer->writable &&
	    !fs_offer_may_write(offer, client->uid, client->gid))
		return -EACCES;					/* R3 */
	err = fs_map_offer(offer, &rq->file);
	return err ?: map_file(client, rq, len, (unsigned long)vm_flags);
}

static int request_mmap(struct client *client, struct request *rq)
{
	struct fs_offer offer;
	int err = offer_claim(client, rq->in.args[5], &offer);

	if (err)
		return err;
	err = map_offer(client, rq, &offer);
	fs_offer_put(&offer);
	return err;
}

/*
 * Of the mapping that has all of [@addr, @addr + @len): its file, referenced,
 * its flags, and the page there. Return: NULL: no such mapping.
 */
static struct vm_file *mapping_at(struct client *client, unsigned long addr,
				  size_t len, unsigned long *flagsp,
				  pgoff_t *pgoffp)
{
	struct mm_struct *mm = client->mm;
	struct vm_area_struct *vma;
	struct vm_file *file = NULL;

	down_read(&mm->mmap_lock);
	vma = find_vma(mm, addr);
	if (vma && vma->vm_start <= addr && addr + len <= vma->vm_end) {
		file = vma->vm_file;
		get_vm_file(file);
		*flagsp = vma->vm_flags;
		*pgoffp = linear_page_index(vma, addr);
	}
	up_read(&mm->mmap_lock);
	return file;
}

static int register_range(struct client *client, unsigned long addr, size_t len,
			  bool wp)
{
	return uffd_register(client, addr, len, wp) ?:
		client_arm(client, addr, len);
}

static int commit_range(struct client *client, unsigned long addr, size_t len)
{
	unsigned long vm_flags;
	struct vm_file *file;
	pgoff_t pgoff;
	int err;

	file = mapping_at(client, addr, len, &vm_flags, &pgoff);
	if (!file)
		return -EINVAL;
	put_vm_file(file);	/* its VMA cannot go: client->lock */
	err = register_range(client, addr, len, vm_flags & VM_UFFD_WP);
	if (err) {
		uffd_unregister(client, addr, len);
		do_munmap(client->mm, addr, len);
	}
	return err;
}

/*
 * A second client of a file has nothing of it in its page tables, and ranges
 * armed for stores get no fault-around from its kernel: a page costs 0.85 us at
 * its first touch, in batches before that 0.12 (measured). The first 16 MiB, in
 * about half a millisecond, before the client goes on; or it would be there at
 * the same time, and no batch be whole. The rest after the reply.
 */
#define AHEAD_NOW	(16UL << 20)

static int request_commit(struct client *client, struct request *rq)
{
	size_t len;
	int err = check_range(rq->in.args[0], rq->in.args[1], &len);

	if (err)
		return err;
	client_lock(client);
	err = commit_range(client, rq->in.args[0], len);
	client_unlock(client);
	if (!err)
		mmap_ahead(client->mm, rq->in.args[0], min(len, AHEAD_NOW),
			   NULL, NULL);
	return err;
}

/* ---- the others that change mappings ---- */

static int request_munmap(struct client *client, struct request *rq)
{
	size_t len;
	int err = check_range(rq->in.args[0], rq->in.args[1], &len);

	if (err)
		return err;
	client_lock(client);
	err = unmap_range(client, rq->in.args[0], len);
	client_unlock(client);
	return err;
}

/*
 * What may be written to for the first time was registered for reading only, so
 * that its kernel mapped around by itself. If this fails the client's kernel
 * still refuses it to write. Context: client->lock.
 */
static int protect_range(struct client *client, unsigned long addr, size_t len,
			 unsigned long vm_flags)
{
	struct pieces unarmed = { 0 };
	int err = 0;

	if (vm_flags & VM_WRITE)
		err = find_pieces(client, addr, len, VM_UFFD_WP, &unarmed);
	err = err ?: do_mprotect(client->mm, addr, len, vm_flags);
	for (size_t i = 0; !err && i < unarmed.nr; i++)
		err = register_range(client, unarmed.piece[i].start,
				     unarmed.piece[i].end -
				     unarmed.piece[i].start, true);
	free(unarmed.piece);
	return err;
}

static int request_mprotect(struct client *client, struct request *rq)
{
	long vm_flags = check_prot(rq->in.args[2]);
	size_t len;
	int err = check_range(rq->in.args[0], rq->in.args[1], &len);

	if (vm_flags < 0)
		err = (int)vm_flags;
	if (err)
		return err;
	client_lock(client);
	err = protect_range(client, rq->in.args[0], len,
			    (unsigned long)vm_flags);
	client_unlock(client);
	return err;
}

/* What a mremap asks for. Lengths are whole pages. */
struct remap {
	unsigned long addr, new_addr;
	size_t old_len, new_len;
	bool fixed, may_move;
};

static int check_remap(const uint64_t *in, struct remap *rm)
{
	const uint64_t known = PAGEFS_MAP_FIXED | PAGEFS_MREMAP_MAYMOVE;
	int err = check_range(in[0], in[1], &rm->old_len);

	rm->addr = in[0];
	rm->fixed = in[3] & PAGEFS_MAP_FIXED;
	rm->may_move = in[3] & PAGEFS_MREMAP_MAYMOVE;
	rm->new_addr = rm->fixed ? in[4] : 0;
	err = err ?: check_range(rm->new_addr, in[2], &rm->new_len);
	if (err || (in[3] & ~known) || (rm->fixed && !rm->may_move))
		return -EINVAL;
	if (rm->fixed && rm->new_addr < rm->addr + rm->old_len &&
	    rm->addr < rm->new_addr + rm->new_len)
		return -EINVAL;		/* they overlap */
	return 0;
}

/*
 * @rm has been done, and the mapping is at @addr now. What of the old range is
 * still in place, and what is new and for the client to map?
 */
static void tell_remapped(struct client *client, struct request *rq,
			  const struct remap *rm, unsigned long addr)
{
	uint64_t *out = rq->out.args;
	size_t kept = addr == rm->addr ? min(rm->old_len, rm->new_len) : 0;

	if (kept < rm->old_len)		/* R2 */
		uffd_unregister(client, rm->addr + kept, rm->old_len - kept);
	out[0] = addr;
	out[2] += kept >> PAGE_SHIFT;
	out[3] = addr + kept;
	out[4] = rm->new_len - kept;
	if (!out[4])
		rq->out_fd = -1;
}

/* Context: client->lock. */
static int remap_range(struct client *client, struct request *rq,
		       const struct remap *rm)
{
	uint64_t *out = rq->out.args;
	unsigned long addr, vm_flags;
	bool shared;
	int err;

	rq->file = mapping_at(client, rm->addr, rm->old_len, &vm_flags, &out[2]);
	if (!rq->file)
		return -EFAULT;
	shared = vm_flags & VM_SHARED;
	out[1] = shared ? PAGEFS_KIND_SHARED : PAGEFS_KIND_PRIVATE;
	err = send_window(rq, shared);
	if (!err && rm->fixed)
		err = unmap_range(client, rm->new_addr, rm->new_len);
	err = err ?: do_mremap(client->mm, rm->addr, rm->old_len, rm->new_len,
			       rm->fixed ? MAP_HERE : 0, rm->may_move,
			       rm->new_addr, &addr);
	if (!err)
		tell_remapped(client, rq, rm, addr);
	return err;
}

static int request_mremap(struct client *client, struct request *rq)
{
	struct remap rm;
	int err = check_remap(rq->in.args, &rm);

	if (err)
		return err;
	client_lock(client);
	err = remap_range(client, rq, &rm);
	client_unlock(client);
	return err;
}

/* ---- those that do not ---- */

/* Return: enum mm_advice or -EINVAL. */
static int advice_of(uint64_t advice)
{
	static const struct {
		unsigned int madv;
		enum mm_advice mm;
	} advices[] = {
		{ MADV_NORMAL, MM_NORMAL },
		{ MADV_RANDOM, MM_RANDOM },
		{ MADV_SEQUENTIAL, MM_SEQUENTIAL },
		{ MADV_WILLNEED, MM_WILLNEED },
		{ MADV_DONTNEED, MM_DONTNEED },
		{ MADV_COLD, MM_DONTNEED },
		{ MADV_POPULATE_READ, MM_POPULATE },
		{ MADV_POPULATE_WRITE, MM_POPULATE_WRITE },
	};

	for (size_t i = 0; i < ARRAY_SIZE(advices); i++)
		if (advices[i].madv == advice)
			return advices[i].mm;
	return -EINVAL;
}

static int request_madvise(struct client *client, struct request *rq)
{
	int advice = advice_of(rq->in.args[2]), err;
	size_t len;

	if (advice < 0)
		return advice;
	err = check_range(rq->in.args[0], rq->in.args[1], &len);
	return err ?: do_madvise(client->mm, rq->in.args[0], len, advice);
}

static int request_msync(struct client *client, struct request *rq)
{
	const uint64_t flags = rq->in.args[2];
	size_t len;
	int err = check_range(rq->in.args[0], rq->in.args[1], &len);

	if ((flags & ~(uint64_t)(MS_SYNC | MS_ASYNC | MS_INVALIDATE)) ||
	    ((flags & MS_SYNC) && (flags & MS_ASYNC)))
		return -EINVAL;
	return err ?: do_msync(client->mm, rq->in.args[0], len, fs_msync,
			       flags & MS_SYNC ? NULL : rq);
}

static int request_mlock(struct client *client, struct request *rq)
{
	size_t len;
	int err = check_range(rq->in.args[0], rq->in.args[1], &len);

	/* By choice: others shall find room, too. */
	return err ?: do_mlock(client->mm, rq->in.args[0], len,
			       window_limit() / 4);
}

static int request_munlock(struct client *client, struct request *rq)
{
	size_t len;
	int err = check_range(rq->in.args[0], rq->in.args[1], &len);

	return err ?: do_munlock(client->mm, rq->in.args[0], len);
}

static int request_mincore(struct client *client, struct request *rq)
{
	size_t len;
	int err = check_range(rq->in.args[0], rq->in.args[1], &len);

	if (err || len >> PAGE_SHIFT > PAGEFS_MINCORE_MAX)
		return -EINVAL;
	rq->vec = malloc(len >> PAGE_SHIFT);
	if (!rq->vec)
		return -ENOMEM;
	err = do_mincore(client->mm, rq->in.args[0], len, rq->vec);
	if (!err)
		rq->vec_len = len >> PAGE_SHIFT;
	return err;
}

static int request_stats(struct client *client, struct request *rq)
{
	struct mm_struct *mm = client->mm;
	uint64_t *out = rq->out.args;

	out[PAGEFS_STAT_MAJFLT] = atomic_load(&mm->counters[MM_MAJFLT]);
	out[PAGEFS_STAT_MINFLT] = atomic_load(&mm->counters[MM_MINFLT]);
	out[PAGEFS_STAT_SOFTFLT] = atomic_load(&mm->counters[MM_SOFTFLT]);
	out[PAGEFS_STAT_WPFLT] = atomic_load(&mm->counters[MM_WPFLT]);
	out[PAGEFS_STAT_RSS] = atomic_load(&mm->rss);
	out[PAGEFS_STAT_NR_PTES] = atomic_load(&mm->nr_ptes);
	down_read(&mm->mmap_lock);
	out[PAGEFS_STAT_TOTAL_VM] = mm->total_vm;
	out[PAGEFS_STAT_LOCKED_VM] = mm->locked_vm;
	up_read(&mm->mmap_lock);
	return 0;
}

/* ---- all of them ---- */

static const struct {
	int (*run)(struct client *client, struct request *rq);
	int nr_fds;
} requests[NR_PAGEFS_MSG_TYPES] = {
	[PAGEFS_HELLO] = { NULL, 0 },		/* conn.c's */
	[PAGEFS_UFFD] = { request_uffd, 1 },
	[PAGEFS_MMAP] = { request_mmap, 0 },
	[PAGEFS_COMMIT] = { request_commit, 0 },
	[PAGEFS_MUNMAP] = { request_munmap, 0 },
	[PAGEFS_MPROTECT] = { request_mprotect, 0 },
	[PAGEFS_MREMAP] = { request_mremap, 0 },
	[PAGEFS_MADVISE] = { request_madvise, 0 },
	[PAGEFS_MSYNC] = { request_msync, 0 },
	[PAGEFS_MLOCK] = { request_mlock, 0 },
	[PAGEFS_MUNLOCK] = { request_munlock, 0 },
	[PAGEFS_MINCORE] = { request_mincore, 0 },
	[PAGEFS_STATS] = { request_stats, 0 },
};

int request_nr_fds(unsigned int type)
{
	if (!type || type >= NR_PAGEFS_MSG_TYPES)
		return -EINVAL;
	return requests[type].nr_fds;
}

void request_run(struct client *client, struct request *rq)
{
	/* What it has done before it asked is seen by all that follows. */
	client_lock(client);
	client_unlock(client);
	/* Without a userfaultfd nothing it maps could be served. */
	if (rq->in.type != PAGEFS_UFFD && atomic_load(&client->uffd) < 0)
		rq->out.err = -EPROTO;
	else
		rq->out.err = requests[rq->in.type].run(client, rq);
	if (rq->out.err) {
		memset(rq->out.args, 0, sizeof(rq->out.args));
		rq->out_fd = -1;
		rq->vec_len = 0;
	}
}

void request_after(struct client *client, struct request *rq,
		   bool (*stop)(void *arg), void *arg)
{
	const uint64_t *in = rq->in.args;
	const size_t len = ALIGN(in[1], PAGE_SIZE);

	if (rq->in.type == PAGEFS_COMMIT && !rq->out.err && len > AHEAD_NOW)
		mmap_ahead(client->mm, in[0] + AHEAD_NOW, len - AHEAD_NOW,
			   stop, arg);
}

void request_done(struct request *rq)
{
	if (rq->in_fd >= 0)
		close(rq->in_fd);
	if (rq->file)
		put_vm_file(rq->file);
	free(rq->vec);
	rq->in_fd = rq->out_fd = -1;
	rq->file = NULL;
	rq->vec = NULL;
	rq->vec_len = 0;
}
