// SPDX-License-Identifier: BSD-2-Clause
/*
 * daemon/request_anon.c - messages about memory without a file
 *
 *   MMAP_ANON                 do_mmap_private      one window for all of them
 *     PAGEFS_MAP_SHARED_ANON  shmem_file_setup     a window each
 *   MMAP_SHM                  shm_get (shm.c)      one that has a name
 *   MMAP, PAGEFS_MAP_COW      do_mmap_private      beside the client's others
 *   FORK, ADOPT               fork.c
 *   INHERIT                   what ADOPT has brought, VMA by VMA, to be attached
 *
 * All that follows, COMMIT first of all, is as it is with files: to the client
 * and its kernel a window is a window.
 *
 * N1. The window of private memory goes to the process whose memory it is, and
 *     to no other: what its kernel plants there harms nobody else (request_map.c
 *     R3). That of a shared region goes to those who may write to it.
 *
 * Locks: client->lock, and in it what mm/ takes.
 */
#include <errno.h>
#include <string.h>
#include <sys/mman.h>

#include "err.h"
#include "request_i.h"
#include "shmem.h"

/* ---- mapping ---- */

int map_private(struct client *client, struct request *rq,
		const struct map_request *mr, pgoff_t pgoff, pgoff_t *pgoffp)
{
	struct vm_file *source = rq->file, *file;
	unsigned long addr = 0;
	int err;

	client_lock(client);
	err = make_way(client, mr);
	if (!err)
		err = do_mmap_private(client->mm, source, pgoff, mr->addr,
				      mr->len, mr->vm_flags,
				      mr->here ? MAP_HERE : 0, &addr, pgoffp,
				      &file);
	client_unlock(client);
	if (err)
		return err;
	rq->file = file;
	if (source)		/* the mapping has a reference of its own */
		put_vm_file(source);
	rq->out.args[0] = addr;
	rq->out.args[1] = PAGEFS_KIND_SHARED;
	return send_window(rq, true);	/* it is there since it was mapped */
}

/* rq->file, a region, from its beginning on. */
static int map_region(struct client *client, struct request *rq,
		      const struct map_request *mr)
{
	unsigned long addr = 0;
	int err = send_window(rq, true);

	if (err)
		return err;
	client_lock(client);
	err = make_way(client, mr);
	if (!err)
		err = do_mmap(client->mm, rq->file, mr->addr, mr->len,
			      mr->vm_flags | VM_SHARED, 0,
			      mr->here ? MAP_HERE : 0, &addr);
	client_unlock(client);
	rq->out.args[0] = addr;
	rq->out.args[1] = PAGEFS_KIND_SHARED;
	return err;
}

int request_mmap_anon(struct client *client, struct request *rq)
{
	const uint64_t known = PAGEFS_MAP_POPULATE | PAGEFS_MAP_LOCKED |
		PAGEFS_MAP_SHARED_ANON;
	struct map_request mr;
	struct vm_file *file;
	int err = check_map_request(rq->in.args, known, &mr);

	if (err)
		return err;
	if (!(rq->in.args[3] & PAGEFS_MAP_SHARED_ANON))
		return map_private(client, rq, &mr, 0, &rq->out.args[2]);
	file = shmem_file_setup(mr.len >> PAGE_SHIFT);
	if (IS_ERR(file))
		return (int)PTR_ERR(file);
	rq->file = file;
	return map_region(client, rq, &mr);
}

/* ---- regions with a name ---- */

static void get_name(const uint64_t *in, char name[PAGEFS_SHM_NAME])
{
	memcpy(name, &in[6], PAGEFS_SHM_NAME);
}

int request_mmap_shm(struct client *client, struct request *rq)
{
	const uint64_t known = PAGEFS_MAP_POPULATE | PAGEFS_MAP_LOCKED;
	const uint64_t *in = rq->in.args;
	struct shm_request want;
	struct map_request mr;
	int err = check_map_request(in, known, &mr);

	if (err || (in[5] & ~(uint64_t)(PAGEFS_SHM_CREATE | PAGEFS_SHM_EXCL)))
		return -EINVAL;
	want = (struct shm_request){
		.uid = client->uid,
		.gid = client->gid,
		.mode = in[4] & 0777,
		.create = in[5] & PAGEFS_SHM_CREATE,
		.exclusive = in[5] & PAGEFS_SHM_EXCL,
		.nr_pages = mr.len >> PAGE_SHIFT,
	};
	get_name(in, want.name);
	err = shm_get(&want, &rq->file);
	return err ?: map_region(client, rq, &mr);
}

int request_shm_unlink(struct client *client, struct request *rq)
{
	char name[PAGEFS_SHM_NAME];

	get_name(rq->in.args, name);
	return shm_unlink_region(name, client->uid);
}

/* ---- children ---- */

int request_fork(struct client *client, struct request *rq)
{
	int err;

	if (rq->fork)
		return -EBUSY;
	err = fork_snapshot(client, rq->out.args);
	if (!err)
		rq->fork = rq->out.args[0];
	return err;
}

int request_adopt(struct client *client, struct request *rq)
{
	return fork_adopt(client, rq->in.args);
}

int request_inherit(struct client *client, struct request *rq)
{
	struct mm_struct *mm = client->mm;
	struct vm_area_struct *vma;
	unsigned long addr = rq->in.args[0];
	size_t len;
	int err = check_range(addr, rq->in.args[1], &len);

	if (err)
		return err;
	down_read(&mm->mmap_lock);
	vma = find_vma(mm, addr);
	if (vma && vma->vm_start <= addr && is_shmem_file(vma->vm_file)) {
		rq->file = vma->vm_file;
		get_vm_file(rq->file);
		rq->out.args[2] = linear_page_index(vma, addr);
		rq->out.args[3] = min(len, vma->vm_end - addr);
	}
	up_read(&mm->mmap_lock);
	rq->out.args[0] = addr;
	rq->out.args[1] = PAGEFS_KIND_SHARED;
	return rq->file ? send_window(rq, true) : -EINVAL;
}

/* ---- what says another thing of it than of files ---- */

enum memory_kind { MEMORY_FILE, MEMORY_SHARED, MEMORY_PRIVATE, MEMORY_NONE };

/* What begins at @addr, and up to where, at most *@endp. */
static enum memory_kind memory_at(struct mm_struct *mm, unsigned long addr,
				  unsigned long *endp)
{
	enum memory_kind kind = MEMORY_NONE;
	struct vm_area_struct *vma;

	down_read(&mm->mmap_lock);
	vma = find_vma_intersection(mm, addr, *endp);
	if (vma && vma->vm_start > addr) {
		*endp = vma->vm_start;
	} else if (vma) {
		*endp = min(*endp, vma->vm_end);
		kind = !is_shmem_file(vma->vm_file) ? MEMORY_FILE :
			vma->vm_flags & VM_SHARED ? MEMORY_SHARED :
			MEMORY_PRIVATE;
	}
	up_read(&mm->mmap_lock);
	return kind;
}

/* As Linux has it: what a file has cannot be lost, what is private is. */
static int advise_piece(struct client *client, unsigned long addr, size_t len,
			enum memory_kind kind, unsigned int advice)
{
	if (kind == MEMORY_NONE)
		return -ENOMEM;
	if (advice == MADV_REMOVE)
		return kind == MEMORY_SHARED ?
			do_madvise_free(client->mm, addr, len) : -EINVAL;
	/* To free it now or later is our choice. */
	if (kind == MEMORY_PRIVATE)
		return do_madvise_free(client->mm, addr, len);
	return advice == MADV_FREE ? -EINVAL :
		do_madvise(client->mm, addr, len, MM_DONTNEED);
}

int advise_free(struct client *client, unsigned long addr, size_t len,
		unsigned int advice)
{
	const unsigned long end = addr + len;
	enum memory_kind kind;
	unsigned long until;
	int err = 0, ret;

	for (; addr < end && (!err || err == -ENOMEM); addr = until) {
		until = end;
		kind = memory_at(client->mm, addr, &until);
		ret = advise_piece(client, addr, until - addr, kind, advice);
		err = ret ?: err;
	}
	return err;
}
