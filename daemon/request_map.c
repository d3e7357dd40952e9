// SPDX-License-Identifier: BSD-2-Clause
/*
 * daemon/request_map.c - messages that change a client's mappings
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
 *
 * Locks: client->lock, and in it what mm/ takes; not over map-ahead.
 */
#include <errno.h>
#include <stdlib.h>
#include <sys/mman.h>

#include "err.h"
#include "pagefs_fs.h"
#include "request_i.h"
#include "window.h"

/* ---- pieces: what of a range is registered ---- */

/* Pieces of a range. */
struct pieces {
	struct piece {
		unsigned long start, end;
		unsigned long flags;	/* of its VMA */
	} *piece;
	size_t nr, room;
};

static int add_piece(struct pieces *pieces, unsigned long start,
		     unsigned long end, unsigned long vm_flags)
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
	pieces->piece[pieces->nr++] = (struct piece){ start, end,
							vm_flags };
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
					min(end, vma->vm_end),
					vma->vm_flags);
		addr = vma->vm_end;
	}
	up_read(&mm->mmap_lock);
	return err;
}

static void unregister_pieces(struct client *client, struct pieces *pieces)
{
	for (size_t i = 0; i < pieces->nr; i++)
		uffd_unregister(client, pieces->piece[i].start,
				pieces->piece[i].end - pieces->piece[i].start,
				pieces->piece[i].flags);
	free(pieces->piece);
}

int unmap_range(struct client *client, unsigned long addr, size_t len)
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

int check_map_request(const uint64_t *in, uint64_t known,
		      struct map_request *mr)
{
	const uint64_t where = PAGEFS_MAP_FIXED | PAGEFS_MAP_NOREPLACE;
	const long vm_flags = check_prot(in[2]);

	if (vm_flags < 0 || (in[3] & ~(known | where)) ||
	    (in[3] & where) == where)
		return -EINVAL;
	mr->here = in[3] & where;
	mr->replace = in[3] & PAGEFS_MAP_FIXED;
	mr->addr = mr->here ? in[0] : 0;
	mr->vm_flags = (unsigned long)vm_flags;
	return check_range(mr->addr, in[1], &mr->len);
}

int make_way(struct client *client, const struct map_request *mr)
{
	return mr->replace ? unmap_range(client, mr->addr, mr->len) : 0;
}

int send_window(struct request *rq, bool writable)
{
	struct window *window = mapping_window(rq->file->f_mapping);

	if (IS_ERR(window))
		return (int)PTR_ERR(window);
	rq->out_fd = writable ? window->fd : window->ro_fd;
	return 0;
}

/* Context: client->lock. */
static int map_range(struct client *client, struct request *rq,
		     const struct map_request *mr, unsigned long vm_flags)
{
	unsigned long addr = 0;
	int err = make_way(client, mr);

	if (!err)
		err = do_mmap(client->mm, rq->file, mr->addr, mr->len, vm_flags,
			      rq->in.args[4], mr->here ? MAP_HERE : 0, &addr);
	if (!err)
		rq->out.args[0] = addr;
	return err;
}

/* rq->file is there. */
static int map_file(struct client *client, struct request *rq,
		    const struct map_request *mr)
{
	const bool asked = !(rq->in.args[3] & PAGEFS_MAP_PRIVATE);
	const bool shared = asked && rq->file->f_writable;
	unsigned long vm_flags = mr->vm_flags;
	int err;

	if (!shared && (vm_flags & VM_WRITE))
		return -EACCES;
	if (asked)	/* for msync(2), as in Linux */
		vm_flags |= VM_SHARED;
	err = send_window(rq, shared);
	if (err)
		return err;
	if (shared && client_has_async(client) &&
	    fs_may_scan(rq->file, (loff_t)mr->len))
		vm_flags |= VM_UFFD_ASYNC;
	client_lock(client);
	err = map_range(client, rq, mr, vm_flags);
	client_unlock(client);
	rq->out.args[1] = shared ? PAGEFS_KIND_SHARED : PAGEFS_KIND_PRIVATE;
	return err;
}

/* PAGEFS_MAP_COW. He gets no window of the file's: R3 does not matter. */
static int map_copies(struct client *client, struct request *rq,
		      const struct map_request *mr,
		      const struct fs_offer *offer)
{
	struct fs_offer to_read = *offer;
	int err;

	to_read.writable = false;
	err = fs_map_offer(&to_read, &rq->file);
	if (err)
		return err;
	rq->out.args[3] = fs_file_nodeid(rq->file);
	return map_private(client, rq, mr, rq->in.args[4], &rq->out.args[4]);
}

static int map_offer(struct client *client, struct request *rq,
		     const struct fs_offer *offer)
{
	const uint64_t known = PAGEFS_MAP_POPULATE | PAGEFS_MAP_LOCKED |
		PAGEFS_MAP_PRIVATE | PAGEFS_MAP_COW;
	const uint64_t copies = PAGEFS_MAP_PRIVATE | PAGEFS_MAP_COW;
	const uint64_t *in = rq->in.args;
	struct map_request mr;
	int err = check_map_request(in, known, &mr);

	if (err)
		return err;
	if (in[4] > UINT64_MAX / PAGE_SIZE - (mr.len >> PAGE_SHIFT))
		return -EOVERFLOW;
	rq->out.args[2] = fs_mount_dev();
	if (in[3] & PAGEFS_MAP_COW)
		return (in[3] & copies) == copies ?
			map_copies(client, rq, &mr, offer) : -EINVAL;
	if (!offer->writable &&
	    !fs_offer_may_write(offer, client->uid, client->gid))
		return -EACCES;					/* R3 */
	err = fs_map_offer(offer, &rq->file);
	if (err)
		return err;
	rq->out.args[3] = fs_file_nodeid(rq->file);
	return map_file(client, rq, &mr);
}

int request_mmap(struct client *client, struct request *rq)
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
 * and its flags. Return: NULL: no such mapping.
 */
static struct vm_file *mapping_at(struct client *client, unsigned long addr,
				  size_t len, unsigned long *flagsp)
{
	struct mm_struct *mm = client->mm;
	struct vm_area_struct *vma;
	struct vm_file *file = NULL;

	down_read(&mm->mmap_lock);
	vma = find_one_mapping(mm, addr, addr + len, flagsp);
	if (vma) {
		file = vma->vm_file;
		get_vm_file(file);
	}
	up_read(&mm->mmap_lock);
	return file;
}

/* The page of its file; 0 if nothing is there. */
static pgoff_t page_mapped_at(struct client *client, unsigned long addr)
{
	struct mm_struct *mm = client->mm;
	struct vm_area_struct *vma;
	pgoff_t pgoff = 0;

	down_read(&mm->mmap_lock);
	vma = find_vma(mm, addr);
	if (vma && vma->vm_start <= addr)
		pgoff = linear_page_index(vma, addr);
	up_read(&mm->mmap_lock);
	return pgoff;
}

static int register_range(struct client *client, unsigned long addr, size_t len,
			  unsigned long vm_flags)
{
	return uffd_register(client, addr, len, vm_flags) ?:
		client_arm(client, addr, len);
}

static int commit_range(struct client *client, unsigned long addr, size_t len)
{
	unsigned long vm_flags;
	struct vm_file *file;
	int err;

	file = mapping_at(client, addr, len, &vm_flags);
	if (!file)
		return -EINVAL;
	put_vm_file(file);	/* its VMA cannot go: client->lock */
	err = register_range(client, addr, len, vm_flags);
	if (err) {
		uffd_unregister(client, addr, len, vm_flags);
		do_munmap(client->mm, addr, len);
	}
	return err;
}

/*
 * A second client of a file has nothing of it in its page tables, and ranges
 * armed for stores get no fault-around from its kernel: a page costs 0.85 us at
 * its first touch, in batches before that 0.12 (measured). A reader's kernel
 * maps around, in groups, at 0.13; but what is done here is done once for 512
 * pages, and behind its back on another CPU. The first 16 MiB, in
 * about half a millisecond, before the client goes on; or it would be there at
 * the same time, and no batch be whole. The rest after the reply.
 */
#define AHEAD_NOW	(16UL << 20)

int request_commit(struct client *client, struct request *rq)
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

void request_after(struct client *client, struct request *rq,
		   bool (*stop)(void *arg), void *arg)
{
	const uint64_t *in = rq->in.args;
	const size_t len = ALIGN(in[1], PAGE_SIZE);

	if (rq->in.type == PAGEFS_COMMIT && !rq->out.err && len > AHEAD_NOW)
		mmap_ahead(client->mm, in[0] + AHEAD_NOW, len - AHEAD_NOW,
			   stop, arg);
}

/* ---- the others ---- */

int request_munmap(struct client *client, struct request *rq)
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

static int register_pieces(struct client *client, const struct pieces *pieces)
{
	int err = 0;

	for (size_t i = 0; !err && i < pieces->nr; i++)
		err = uffd_register(client, pieces->piece[i].start,
				    pieces->piece[i].end -
				    pieces->piece[i].start,
				    pieces->piece[i].flags | VM_UFFD_WP);
	return err;
}

/* They would not be tried again: VM_UFFD_WP says that it has been done. */
static int arm_pieces(struct client *client, const struct pieces *pieces)
{
	int err = 0;

	for (size_t i = 0; !err && i < pieces->nr; i++)
		err = client_arm(client, pieces->piece[i].start,
				 pieces->piece[i].end - pieces->piece[i].start);
	if (err)
		client_kill(client, "its stores would go unnoticed");
	return err;
}

/*
 * What may be written to for the first time was registered for reading only, so
 * that its kernel mapped around by itself. The kernel may have no room to
 * register it anew: so that comes first, before VM_UFFD_WP says that it is done.
 * If this fails the client's kernel still refuses it to write.
 * Context: client->lock.
 */
static int protect_range(struct client *client, unsigned long addr, size_t len,
			 unsigned long vm_flags)
{
	struct pieces unarmed = { 0 };
	int err = 0;

	if (vm_flags & VM_WRITE)
		err = find_pieces(client, addr, len, VM_UFFD_WP, &unarmed);
	err = err ?: register_pieces(client, &unarmed);
	err = err ?: do_mprotect(client->mm, addr, len, vm_flags);
	err = err ?: arm_pieces(client, &unarmed);
	free(unarmed.piece);
	return err;
}

int request_mprotect(struct client *client, struct request *rq)
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
			  const struct remap *rm, unsigned long addr,
			  unsigned long vm_flags)
{
	uint64_t *out = rq->out.args;
	size_t kept = addr == rm->addr ? min(rm->old_len, rm->new_len) : 0;

	if (kept < rm->old_len)		/* R2 */
		uffd_unregister(client, rm->addr + kept, rm->old_len - kept,
				vm_flags);
	out[0] = addr;
	out[2] = page_mapped_at(client, addr + kept);
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
	bool writable;
	int err;

	rq->file = mapping_at(client, rm->addr, rm->old_len, &vm_flags);
	if (!rq->file)
		return -EFAULT;
	/* Private memory is, too: its window is nobody else's. */
	writable = vm_flags & VM_MAYWRITE;
	out[1] = writable ? PAGEFS_KIND_SHARED : PAGEFS_KIND_PRIVATE;
	err = send_window(rq, writable);
	if (!err && rm->fixed)
		err = unmap_range(client, rm->new_addr, rm->new_len);
	err = err ?: do_mremap(client->mm, rm->addr, rm->old_len, rm->new_len,
			       rm->fixed ? MAP_HERE : 0, rm->may_move,
			       rm->new_addr, &addr);
	if (!err)
		tell_remapped(client, rq, rm, addr, vm_flags);
	return err;
}

int request_mremap(struct client *client, struct request *rq)
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
