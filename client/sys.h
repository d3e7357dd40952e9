/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * client/sys.h - system calls as they are: 0 or a value, or -errno (C5)
 */
#ifndef PAGEFS_CLIENT_SYS_H
#define PAGEFS_CLIENT_SYS_H

#include <errno.h>
#include <stdint.h>
#include <unistd.h>
#include <sys/mman.h>
#include <sys/syscall.h>

_Static_assert(sizeof(long) == 8, "mmap(2) takes a position in bytes");

static inline long sys_ret(long ret)
{
	return ret == -1 ? -errno : ret;
}

/* Return: the address or -errno; addresses of user space are positive. */
static inline long sys_mmap(uintptr_t addr, size_t len, int prot, int flags,
			    int fd, uint64_t pos)
{
	return sys_ret(syscall(SYS_mmap, addr, len, prot, flags, fd, pos));
}

static inline int sys_munmap(uintptr_t addr, size_t len)
{
	return (int)sys_ret(syscall(SYS_munmap, addr, len));
}

static inline int sys_mprotect(uintptr_t addr, size_t len, int prot)
{
	return (int)sys_ret(syscall(SYS_mprotect, addr, len, prot));
}

static inline int sys_madvise(uintptr_t addr, size_t len, int advice)
{
	return (int)sys_ret(syscall(SYS_madvise, addr, len, advice));
}

#endif /* PAGEFS_CLIENT_SYS_H */
