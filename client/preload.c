// SPDX-License-Identifier: BSD-2-Clause
/*
 * client/preload.c - mmap(2) and its kind, for programs that know nothing of us
 *
 *   mmap(fd)  file of a pagefs mount? --> pagefs_mmap
 *                                           not to be served: say why, once
 *             no file, --anon         --> preload_anon.c
 *             anything else           --> the kernel's
 *   munmap(range) = | OUTSIDE | RESERVED | MAPPED | FOREIGN | ...   table_piece
 *                    kernel's   nothing    pagefs_  back to the region
 *
 * Every call of these functions in the program comes here: most concern memory
 * that is not ours, and are told from it by two comparisons (table_near).
 *
 * Things a program may do that a user of pagefs.h would not:
 * - unmap, protect, lock or sync a range of several mappings, ours and others:
 *   it is taken piece by piece;
 * - map something else over ours (MAP_FIXED): ours is unmapped first, and when
 *   it was in our region the place is noted as foreign;
 * - call us before main(), before our own constructors: nothing here needs them;
 * - close all descriptors: see pool.c and keeper.c.
 * A call with the system call's number, and the dynamic loader's own, do not
 * come here.
 *
 * W1. errno is what the kernel's call would leave: changed on failure alone.
 * W2. An error that the kernel's mmap() would give is given by it.
 * Locks: none of its own.
 */
#include <fcntl.h>
#include <limits.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include "internal.h"
#include "preload.h"
#include "sys.h"

#ifndef MAP_TYPE
#define MAP_TYPE	0x0f
#endif

/* What libpagefs says as an errno of a call that knows no lost daemon. */
static int failed(int err)
{
	errno = err == -ENOTCONN ? EIO : -err;
	return -1;
}

/* Of a system call made directly. */
static int result(int err)
{
	if (!err)
		return 0;
	errno = -err;
	return -1;
}

/* ---- mmap ---- */

/* The connection to the mount of @fd; we keep one use of it for ever. */
static int connect_file(int fd, struct pagefs **pp)
{
	int err = pagefs_connect(fd, pp);

	if (!err && atomic_exchange(&(*pp)->held, true))
		pagefs_disconnect(*pp);
	return err;
}

/* Return: 0 and *@addrp, or why the file cannot be mapped by us. */
static int map_file(void *addr, size_t len, int prot, int flags, int fd,
		    off_t pos, void **addrp)
{
	struct pagefs *p;
	int err;

	/* Copies are the kernel's to make, unless memory is to be ours. */
	if ((flags & MAP_TYPE) == MAP_PRIVATE && prot & ~PROT_READ &&
	    !preload_wants_copies(len))
		return -EOPNOTSUPP;
	err = connect_file(fd, &p);
	if (err)	/* not to be taken for the file's permissions */
		return err == -EACCES ? -ECONNREFUSED : err;
	return pagefs_mmap(p, addr, len, prot, flags, fd, pos, addrp);
}

/* Make way for a mapping of the program's own. */
static int clear_range(uintptr_t start, uintptr_t end)
{
	int err = unmap_others(NULL, start, end);

	return err ? err : table_foreign_add(start, end);
}

static void *map_foreign(void *addr, size_t len, int prot, int flags, int fd,
			 off_t pos)
{
	uintptr_t start, end;
	long ret;
	int err;

	if (flags & MAP_FIXED && !range_check(addr, len, &start, &end) &&
	    table_near(start, end)) {
		err = clear_range(start, end);
		if (err)
			return (void *)(long)failed(err);
	}
	ret = sys_mmap((uintptr_t)addr, len, prot, flags, fd, (uint64_t)pos);
	return ret < 0 ? (void *)(long)result((int)ret) : (void *)ret;
}

PAGEFS_API void *mmap(void *addr, size_t len, int prot, int flags, int fd,
		      off_t pos)
{
	const int saved = errno;
	void *mapped;
	int err = 0;

	if (fd >= 0 && !(flags & MAP_ANONYMOUS) && pagefs_is_file(fd)) {
		err = map_file(addr, len, prot, flags, fd, pos, &mapped);
		errno = saved;
		if (!err)
			return mapped;
	} else if (preload_map_anon(addr, len, prot, flags, &mapped)) {
		errno = saved;
		return mapped;
	}
	mapped = map_foreign(addr, len, prot, flags, fd, pos);
	/* W2: if that fails, too, there is nothing to explain. */
	if (err && mapped != MAP_FAILED) {
		preload_explain(fd, err);
		errno = saved;
	}
	return mapped;
}

PAGEFS_API void *mmap64(void *addr, size_t len, int prot, int flags, int fd,
			off_t pos) __attribute__((alias("mmap")));

/* ---- calls on ranges, piece by piece ---- */

struct range_call {
	int (*ours)(const struct piece *piece, long arg, void *ptr);
	int (*kernels)(uintptr_t start, size_t len, long arg, void *ptr);
	int reserved;	/* what they all get where nothing is mapped */
	long arg;
	void *ptr;
};

static int call_piece(const struct range_call *call, const struct piece *piece)
{
	const size_t len = piece->end - piece->start;
	int err;

	switch (piece->kind) {
	case RANGE_RESERVED:
		return call->reserved;
	case RANGE_MAPPED:
		err = call->ours(piece, call->arg, call->ptr);
		if (err != -ENOTCONN || !is_dead(piece->p))
			return err;
		/* A mapping of an empty file, by now: let it be done. */
		return call->kernels(piece->start, len, call->arg, call->ptr);
	default:
		return call->kernels(piece->start, len, call->arg, call->ptr);
	}
}

/* Return: 0, or the first error; all pieces are tried. */
static int call_range(const struct range_call *call, uintptr_t start,
		      uintptr_t end)
{
	struct piece piece;
	int err = 0, ret;

	for (; start < end; start = piece.end) {
		piece = table_piece(start, end);
		ret = call_piece(call, &piece);
		err = err ?: ret;
	}
	return err;
}

/* Is the range one that holds nothing of ours, or none at all? */
static bool is_kernels(const void *addr, size_t len, uintptr_t *startp,
		       uintptr_t *endp)
{
	return range_check(addr, len, startp, endp) ||
	       !table_near(*startp, *endp);
}

static int finish(int err, int saved)
{
	errno = saved;
	return err ? failed(err) : 0;
}

/* ---- munmap, mprotect ---- */

static int kernel_munmap(uintptr_t start, size_t len, long arg, void *ptr)
{
	(void)arg, (void)ptr;
	return sys_munmap(start, len);
}

static int our_munmap(const struct piece *piece, long arg, void *ptr)
{
	(void)arg, (void)ptr;
	return pagefs_munmap(piece->p, (void *)piece->start,
			     piece->end - piece->start);
}

/* What the program had put into our region goes back to the reservation. */
static int munmap_foreign(const struct piece *piece)
{
	int err = range_reserve(piece->start, piece->end);

	return err ? err : table_foreign_del(piece->start, piece->end);
}

static int munmap_range(uintptr_t start, uintptr_t end)
{
	const struct range_call call = {
		.ours = our_munmap,
		.kernels = kernel_munmap,
	};
	struct piece piece;
	int err = 0, ret;

	for (; start < end; start = piece.end) {
		piece = table_piece(start, end);
		ret = piece.kind == RANGE_FOREIGN ? munmap_foreign(&piece) :
		      call_piece(&call, &piece);
		err = err ?: ret;
	}
	return err;
}

PAGEFS_API int munmap(void *addr, size_t len)
{
	const int saved = errno;
	uintptr_t start, end;

	if (is_kernels(addr, len, &start, &end))
		return result(sys_munmap((uintptr_t)addr, len));
	return finish(munmap_range(start, end), saved);
}

static int kernel_mprotect(uintptr_t start, size_t len, long prot, void *ptr)
{
	(void)ptr;
	return sys_mprotect(start, len, (int)prot);
}

static int our_mprotect(const struct piece *piece, long prot, void *ptr)
{
	int err = pagefs_mprotect(piece->p, (void *)piece->start,
				  piece->end - piece->start, (int)prot);

	(void)ptr;
	if (err != -EACCES)
		return err;
	err = protect_by_kernel(piece->p, piece->start, piece->end, (int)prot);
	if (!err)
		preload_explain_range(piece->start, piece->end, -EROFS);
	return err;
}

PAGEFS_API int mprotect(void *addr, size_t len, int prot)
{
	const struct range_call call = {
		.ours = our_mprotect,
		.kernels = kernel_mprotect,
		.reserved = -ENOMEM,
		.arg = prot,
	};
	const int saved = errno;
	uintptr_t start, end;

	if (is_kernels(addr, len, &start, &end))
		return result(sys_mprotect((uintptr_t)addr, len, prot));
	return finish(call_range(&call, start, end), saved);
}

/* ---- mremap ---- */

static void *our_mremap(struct pagefs *p, void *addr, size_t old_len,
			size_t new_len, int flags, void *new_addr)
{
	const int saved = errno;
	void *moved;
	int err;

	/* Then there is no mapping to be told from others there. */
	if (flags & MREMAP_FIXED)
		table_foreign_del((uintptr_t)new_addr,
				  (uintptr_t)new_addr + PAGE_UP(new_len));
	err = pagefs_mremap(p, addr, old_len, new_len, flags, new_addr, &moved);
	if (err)
		return (void *)(long)failed(err);
	errno = saved;
	return moved;
}

/*
 * The program's own memory, inside our region: where it leaves, the reservation
 * returns. It cannot grow there: to the kernel our region is in use.
 */
static void left_region(uintptr_t start, uintptr_t end)
{
	struct piece piece;

	for (; start < end; start = piece.end) {
		piece = table_piece(start, end);
		if (piece.kind == RANGE_FOREIGN)
			munmap_foreign(&piece);
	}
}

static void *kernel_mremap(void *addr, size_t old_len, size_t new_len,
			   int flags, void *new_addr)
{
	const uintptr_t start = (uintptr_t)addr;
	uintptr_t to, to_end;
	long ret;
	int err;

	if (flags & MREMAP_FIXED && !range_check(new_addr, new_len, &to, &to_end) &&
	    table_near(to, to_end)) {
		err = clear_range(to, to_end);
		if (err)
			return (void *)(long)failed(err);
	}
	ret = sys_ret(syscall(SYS_mremap, addr, old_len, new_len, flags,
			      new_addr));
	if (ret < 0)
		return (void *)(long)result((int)ret);
	if (table_near(start, start + old_len)) {
		if ((uintptr_t)ret != start && !(flags & MREMAP_DONTUNMAP))
			left_region(start, start + PAGE_UP(old_len));
		else if (PAGE_UP(new_len) < PAGE_UP(old_len))
			left_region(start + PAGE_UP(new_len),
				    start + PAGE_UP(old_len));
	}
	return (void *)ret;
}

PAGEFS_API void *mremap(void *addr, size_t old_len, size_t new_len, int flags,
			...)
{
	void *new_addr = NULL;
	struct pagefs *p;
	va_list ap;

	if (flags & (MREMAP_FIXED | MREMAP_DONTUNMAP)) {
		va_start(ap, flags);
		new_addr = va_arg(ap, void *);
		va_end(ap);
	}
	p = pagefs_of(addr);
	if (p)
		return our_mremap(p, addr, old_len, new_len, flags, new_addr);
	return kernel_mremap(addr, old_len, new_len, flags, new_addr);
}

/* ---- msync, madvise, mlock, mincore ---- */

static int kernel_msync(uintptr_t start, size_t len, long flags, void *ptr)
{
	(void)ptr;
	return (int)sys_ret(syscall(SYS_msync, start, len, flags));
}

/* What was stored is lost with the daemon, and that must be heard. */
static int our_msync(const struct piece *piece, long flags, void *ptr)
{
	int err = pagefs_msync(piece->p, (void *)piece->start,
			       piece->end - piece->start, (int)flags);

	(void)ptr;
	return err == -ENOTCONN ? -EIO : err;
}

PAGEFS_API int msync(void *addr, size_t len, int flags)
{
	const struct range_call call = {
		.ours = our_msync,
		.kernels = kernel_msync,
		.reserved = -ENOMEM,
		.arg = flags,
	};
	const int saved = errno;
	uintptr_t start, end;

	if (is_kernels(addr, len, &start, &end))
		return result(kernel_msync((uintptr_t)addr, len, flags, NULL));
	return finish(call_range(&call, start, end), saved);
}

static int kernel_madvise(uintptr_t start, size_t len, long advice, void *ptr)
{
	(void)ptr;
	return sys_madvise(start, len, (int)advice);
}

static int our_madvise(const struct piece *piece, long advice, void *ptr)
{
	(void)ptr;
	return pagefs_madvise(piece->p, (void *)piece->start,
			      piece->end - piece->start, (int)advice);
}

/* Return: 0 or -errno. */
static int advise(void *addr, size_t len, int advice)
{
	const struct range_call call = {
		.ours = our_madvise,
		.kernels = kernel_madvise,
		.reserved = -ENOMEM,
		.arg = advice,
	};
	uintptr_t start, end;

	if (is_kernels(addr, len, &start, &end))
		return sys_madvise((uintptr_t)addr, len, advice);
	return call_range(&call, start, end);
}

PAGEFS_API int madvise(void *addr, size_t len, int advice)
{
	const int saved = errno;

	return finish(advise(addr, len, advice), saved);
}

PAGEFS_API int posix_madvise(void *addr, size_t len, int advice)
{
	const int saved = errno;
	int err;

	/* As in the C library: it may not drop data. */
	if (advice == POSIX_MADV_DONTNEED)
		return 0;
	err = advise(addr, len, advice);
	errno = saved;
	return -err;
}

static int kernel_mlock(uintptr_t start, size_t len, long flags, void *ptr)
{
	(void)ptr;
	return (int)sys_ret(flags ? syscall(SYS_mlock2, start, len, flags) :
				    syscall(SYS_mlock, start, len));
}

static int our_mlock(const struct piece *piece, long flags, void *ptr)
{
	(void)flags, (void)ptr;
	return pagefs_mlock(piece->p, (void *)piece->start,
			    piece->end - piece->start);
}

static int kernel_munlock(uintptr_t start, size_t len, long arg, void *ptr)
{
	(void)arg, (void)ptr;
	return (int)sys_ret(syscall(SYS_munlock, start, len));
}

static int our_munlock(const struct piece *piece, long arg, void *ptr)
{
	(void)arg, (void)ptr;
	return pagefs_munlock(piece->p, (void *)piece->start,
			      piece->end - piece->start);
}

/* These round the start down. */
static int lock_range(const struct range_call *call, const void *addr,
		      size_t len)
{
	const uintptr_t first = PAGE_DOWN((uintptr_t)addr);
	const size_t whole = len + ((uintptr_t)addr - first);
	const int saved = errno;
	uintptr_t start, end;

	if (whole < len || is_kernels((void *)first, whole, &start, &end))
		return result(call->kernels((uintptr_t)addr, len, call->arg,
					    NULL));
	return finish(call_range(call, start, end), saved);
}

PAGEFS_API int mlock2(const void *addr, size_t len, unsigned int flags)
{
	const struct range_call call = {
		.ours = our_mlock,
		.kernels = kernel_mlock,
		.reserved = -ENOMEM,
		.arg = (long)flags,
	};

	return lock_range(&call, addr, len);
}

PAGEFS_API int mlock(const void *addr, size_t len)
{
	return mlock2(addr, len, 0);
}

PAGEFS_API int munlock(const void *addr, size_t len)
{
	const struct range_call call = {
		.ours = our_munlock,
		.kernels = kernel_munlock,
		.reserved = -ENOMEM,
	};

	return lock_range(&call, addr, len);
}

/* @arg: of the whole range's first byte; @ptr: its vector. */
static int kernel_mincore(uintptr_t start, size_t len, long arg, void *ptr)
{
	unsigned char *vec = ptr;

	return (int)sys_ret(syscall(SYS_mincore, start, len,
				    vec + (start - (uintptr_t)arg) / CLIENT_PAGE));
}

static int our_mincore(const struct piece *piece, long arg, void *ptr)
{
	unsigned char *vec = ptr;

	return pagefs_mincore(piece->p, (void *)piece->start,
			      piece->end - piece->start, vec +
			      (piece->start - (uintptr_t)arg) / CLIENT_PAGE);
}

PAGEFS_API int mincore(void *addr, size_t len, unsigned char *vec)
{
	const struct range_call call = {
		.ours = our_mincore,
		.kernels = kernel_mincore,
		.reserved = -ENOMEM,
		.arg = (long)addr,
		.ptr = vec,
	};
	const int saved = errno;
	uintptr_t start, end;

	if (is_kernels(addr, len, &start, &end))
		return result(kernel_mincore((uintptr_t)addr, len, (long)addr,
					     vec));
	return finish(call_range(&call, start, end), saved);
}
