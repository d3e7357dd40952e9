/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * pagefs.h - map files of a pagefs mount, and memory, from its daemon
 *
 *	struct pagefs *p;
 *	void *addr;
 *	int fd = open("/mnt/file", O_RDWR);
 *
 *	pagefs_connect(fd, &p);
 *	pagefs_mmap(p, NULL, len, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0,
 *		    &addr);
 *	... loads and stores ...
 *	pagefs_msync(p, addr, len, MS_SYNC);
 *	pagefs_munmap(p, addr, len);
 *	pagefs_disconnect(p);
 *
 * All functions return 0 or a negative errno, may be called by any thread, and
 * not from a signal handler. Only whole pages (4096 bytes) are mapped. Outputs
 * are written only on success. See pagefs(3).
 *
 * When the daemon dies, an access to a mapping raises SIGBUS, within a second;
 * never does it read zeros that are not in the file. fork(2) keeps the mappings
 * in the child, and gives it copies of private memory; if the daemon cannot make
 * those they are SIGBUS. A child made without the C library's fork() has none:
 * SIGSEGV.
 */
#ifndef PAGEFS_PAGEFS_H
#define PAGEFS_PAGEFS_H

#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#ifdef __cplusplus
extern "C" {
#endif

#define PAGEFS_API_VERSION	1

struct pagefs;			/* a process's tie to one mount's daemon */

/**
 * pagefs_connect - get in touch with the daemon of a mount
 * @fd: an open descriptor of any file or directory of the mount; only used
 *      during the call
 * @pp: receives the connection; one more use of the same if this process has
 *      one to that mount
 *
 * Return: 0, or
 *   -EBADF         @fd is not open
 *   -ENOTTY        not a file of a pagefs mount
 *   -ECONNREFUSED  the daemon listens on no socket, or has gone
 *   -EACCES        the socket's permissions keep this process out
 *   -EPROTO        daemon and library speak different versions
 *   -EPERM         the kernel refuses a userfaultfd, or pidfd_getfd(2) on the
 *                  process itself
 *   -EBUSY         another copy of this library in this process is connected
 *   -ENOMEM, -EMFILE, -ENFILE
 */
int pagefs_connect(int fd, struct pagefs **pp);

/**
 * pagefs_disconnect - one use less
 * The last one unmaps what is left. @p must not be used after that.
 * Return: 0, or -ENOMEM, and it is still connected.
 */
int pagefs_disconnect(struct pagefs *p);

/**
 * pagefs_is_file - is @fd a file or directory of a pagefs mount?
 * Cheap for files of other file systems. Return: 1 or 0.
 */
int pagefs_is_file(int fd);

/**
 * pagefs_mmap - map part of a file, or memory; pages arrive on first touch
 * @addr:   with MAP_FIXED or MAP_FIXED_NOREPLACE where; otherwise ignored: the
 *          daemon picks one
 * @len:    bytes, > 0, rounded up to pages
 * @prot:   PROT_NONE, or PROT_READ, PROT_WRITE, PROT_EXEC
 * @flags:  MAP_SHARED or MAP_SHARED_VALIDATE, or MAP_PRIVATE; with MAP_ANONYMOUS
 *          memory without a file. Besides: MAP_FIXED, MAP_FIXED_NOREPLACE,
 *          MAP_POPULATE, MAP_LOCKED; MAP_NORESERVE and MAP_NONBLOCK are ignored
 * @fd:     a regular file of the mount, opened for reading, and for writing if
 *          @prot has PROT_WRITE and the mapping is shared. May be closed at
 *          once. With MAP_ANONYMOUS ignored, as @pos is
 * @pos:    bytes, a multiple of the page size. Pages past the file's end raise
 *          SIGBUS until it grows
 * @addrp:  receives the first byte's address
 *
 * Memory without a file, and what is stored to a private mapping of one, lives in
 * the daemon: within its budget, and in its swap areas. A private mapping made
 * without PROT_WRITE cannot get it later.
 *
 * Return: 0, or
 *   -EINVAL     @len 0, @pos, @addr or @flags wrong
 *   -EACCES     @fd's access mode forbids @prot; or it is read-only, and this
 *               process may not write to the file at all: use mmap(2)
 *   -EBADF, -EXDEV  @fd is not open; not of @p's mount
 *   -ENODEV     not a regular file
 *   -EEXIST     MAP_FIXED_NOREPLACE, and something is there
 *   -EBUSY      cache=writeback, and the kernel has the file open for writing
 *   -ENOMEM     no address space, too many mappings, out of memory
 *   -EMFILE, -ENFILE  no descriptor left, or too many files are mapped
 *   -ENOTCONN   the daemon has gone
 * Source: mmap(2).
 */
int pagefs_mmap(struct pagefs *p, void *addr, size_t len, int prot, int flags,
		int fd, off_t pos, void **addrp);

/**
 * pagefs_munmap - unmap whole pages
 * Mappings are cut or split; a range without any is no error. What was written
 * is in the daemon's page cache and reaches the file by its writeback. What is
 * left of mappings when the daemon has gone can be unmapped, too.
 * Return: 0, -EINVAL, -ENOMEM (too many pieces).
 */
int pagefs_munmap(struct pagefs *p, void *addr, size_t len);

/**
 * pagefs_mprotect - change the rights of whole pages
 * Return: 0, -EINVAL, -EACCES (more than the descriptor allowed), -ENOMEM (part
 *         of the range is not mapped), -ENOTCONN.
 */
int pagefs_mprotect(struct pagefs *p, void *addr, size_t len, int prot);

/**
 * pagefs_mremap - grow, shrink or move a mapping
 * @flags:    0, MREMAP_MAYMOVE, or MREMAP_MAYMOVE | MREMAP_FIXED
 * @new_addr: with MREMAP_FIXED where
 * Pages already in the cache are found there, wherever the mapping goes.
 * Return: 0, -EINVAL, -EFAULT (not one mapping), -ENOMEM, -EMFILE, -ENOTCONN.
 */
int pagefs_mremap(struct pagefs *p, void *addr, size_t old_len, size_t new_len,
		  int flags, void *new_addr, void **addrp);

/**
 * pagefs_madvise - how the range will be used
 * @advice: MADV_NORMAL, MADV_RANDOM (no read-ahead), MADV_SEQUENTIAL,
 *          MADV_WILLNEED (read now, do not wait), MADV_COLD (the first to leave
 *          memory; nothing is lost), MADV_PAGEOUT (the same), MADV_POPULATE_READ,
 *          MADV_POPULATE_WRITE; MADV_DONTNEED: private memory reads as zeros, or
 *          as its file, from now on, other is MADV_COLD; MADV_FREE: the same, of
 *          private memory alone; MADV_REMOVE: a hole in the file, or in a shared
 *          region. MADV_DONTFORK, MADV_WIPEONFORK, MADV_DOFORK, MADV_KEEPONFORK
 *          say what a child gets. Advice about huge pages and core files does
 *          nothing; all else is -EINVAL
 * Return: 0, -EINVAL, -ENOMEM, -EIO, -ENOTCONN; MADV_REMOVE also -EACCES (the
 *         file is open for reading), and what fallocate(2) met.
 */
int pagefs_madvise(struct pagefs *p, void *addr, size_t len, int advice);

/**
 * pagefs_msync - bring what was stored to the file
 * @flags: MS_SYNC: returns when it is on the device. MS_ASYNC: starts writing.
 *         MS_INVALIDATE may be added and does nothing: mappings and the mount
 *         always agree
 * Return: 0, -EINVAL, -ENOMEM (a hole), -EIO, -ENOSPC, ... (what writing met),
 *         -ENOTCONN.
 */
int pagefs_msync(struct pagefs *p, void *addr, size_t len, int flags);

/**
 * pagefs_mlock, pagefs_munlock - keep pages in memory, or no longer
 * Return: 0, -EINVAL, -ENOMEM (a hole, or more than the daemon allows), -EIO,
 *         -ENOTCONN.
 */
int pagefs_mlock(struct pagefs *p, const void *addr, size_t len);
int pagefs_munlock(struct pagefs *p, const void *addr, size_t len);

/**
 * pagefs_mincore - which pages would be had without the disk
 * @vec: a byte for each page; bit 0 says it is in the page cache
 * Return: 0, -EINVAL, -ENOMEM (a hole), -ENOTCONN.
 */
int pagefs_mincore(struct pagefs *p, void *addr, size_t len, unsigned char *vec);

/**
 * pagefs_shm_map - map a region of shared memory that has a name
 * @name:  1 to 16 bytes, the same for all who share it; of the mount's daemon
 * @oflag: 0, O_CREAT (make it, if there is none) or O_CREAT | O_EXCL; O_RDWR may
 *         be added: there is no other way
 * @mode:  of a new one, who may map it: permission bits; the umask is not looked
 *         at. It takes the right to read and to write
 * @len:   bytes, > 0, rounded up to pages: of a new one all there will ever be;
 *         else at most that, from its beginning
 * @addrp: receives the first byte's address
 *
 * It begins as zeros. The region stays when nobody maps it, until
 * pagefs_shm_unlink(), or the daemon ends.
 *
 * Return: 0, or
 *   -EINVAL     @name empty, @oflag or @prot wrong, @len 0 or longer than it is
 *   -ENAMETOOLONG
 *   -ENOENT     there is none, and no O_CREAT
 *   -EEXIST     there is one, and O_EXCL
 *   -EACCES     its mode keeps this process out
 *   -ENFILE     this user, or all, have too many
 *   -ENOMEM, -EMFILE, -ENOTCONN  as pagefs_mmap()
 * Source: shm_open(3), mmap(2). Differs: regions do not change their size.
 */
int pagefs_shm_map(struct pagefs *p, const char *name, int oflag, mode_t mode,
		   size_t len, int prot, void **addrp);

/**
 * pagefs_shm_unlink - the name is free again
 * The memory goes when the last who maps it has unmapped it.
 * Return: 0, -EINVAL, -ENAMETOOLONG, -ENOENT, -EACCES (another user's),
 *         -ENOTCONN.
 */
int pagefs_shm_unlink(struct pagefs *p, const char *name);

/**
 * pagefs_fork_early - children need their memory before their handlers run
 * For who keeps in such memory what handlers of pthread_atfork(3) touch that were
 * registered before this library's: an allocator's own state. From now on a child
 * that does so gets its mappings at that moment; SIGSEGV is this library's between
 * the fork and its handler, in parent and child. Cannot be undone.
 */
void pagefs_fork_early(void);

/* Does @addr lie in a mapping of this library's, of whatever mount? 1 or 0. */
int pagefs_is_mapped(const void *addr);
/* The connection whose mapping @addr lies in, or NULL. No further use of it. */
struct pagefs *pagefs_of(const void *addr);

/* This process's share. Counts since it connected. */
struct pagefs_stats {
	uint64_t majflt;	/* faults that waited for the disk */
	uint64_t minflt;	/* all others */
	uint64_t softflt;	/* of those, pages that came back from the arena */
	uint64_t wpflt;		/* of those, first writes to a page */
	uint64_t mapped;	/* pages mapped now */
	uint64_t resident;	/* of them, pages given to this process */
	uint64_t locked;
	uint64_t page_tables;	/* frames the daemon keeps for it */
};
/* Return: 0, -ENOTCONN. */
int pagefs_stats(struct pagefs *p, struct pagefs_stats *stats);

#ifdef __cplusplus
}
#endif

#endif /* PAGEFS_PAGEFS_H */
