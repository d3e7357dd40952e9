/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * tests/stress/mapper.h - the calls of <pagefs/pagefs.h>, or the kernel's own
 *
 * A program that tests mappings takes --plain, and then maps with mmap(2): on
 * another file system, or under pagefs-run, and as the control that tells an
 * error of the program from one of the library. All calls return 0 or -errno.
 */
#ifndef STRESS_MAPPER_H
#define STRESS_MAPPER_H

#include <errno.h>
#include <stdbool.h>
#include <stddef.h>
#include <sys/mman.h>
#include <sys/types.h>

#include <pagefs/pagefs.h>

struct mapper {
	bool plain;
	struct pagefs *p;	/* NULL until connected */
};

static inline int mapper_connect(struct mapper *m, int fd)
{
	if (m->plain || m->p)
		return 0;
	return pagefs_connect(fd, &m->p);
}

static inline int mapper_disconnect(struct mapper *m)
{
	struct pagefs *p = m->p;

	m->p = NULL;
	return p ? pagefs_disconnect(p) : 0;
}

static inline int mapper_mmap(struct mapper *m, void *addr, size_t len,
			      int prot, int flags, int fd, off_t pos,
			      void **addrp)
{
	int err;

	if (m->plain) {
		void *at = mmap(addr, len, prot, flags, fd, pos);

		if (at == MAP_FAILED)
			return -errno;
		*addrp = at;
		return 0;
	}
	err = mapper_connect(m, fd);
	if (err)
		return err;
	return pagefs_mmap(m->p, addr, len, prot, flags, fd, pos, addrp);
}

static inline int mapper_munmap(struct mapper *m, void *addr, size_t len)
{
	if (m->plain)
		return munmap(addr, len) ? -errno : 0;
	return pagefs_munmap(m->p, addr, len);
}

static inline int mapper_mprotect(struct mapper *m, void *addr, size_t len,
				  int prot)
{
	if (m->plain)
		return mprotect(addr, len, prot) ? -errno : 0;
	return pagefs_mprotect(m->p, addr, len, prot);
}

static inline int mapper_mremap(struct mapper *m, void *addr, size_t old_len,
				size_t new_len, int flags, void **addrp)
{
	if (m->plain) {
		void *at = mremap(addr, old_len, new_len, flags);

		if (at == MAP_FAILED)
			return -errno;
		*addrp = at;
		return 0;
	}
	return pagefs_mremap(m->p, addr, old_len, new_len, flags, NULL, addrp);
}

static inline int mapper_madvise(struct mapper *m, void *addr, size_t len,
				 int advice)
{
	if (m->plain)
		return madvise(addr, len, advice) ? -errno : 0;
	return pagefs_madvise(m->p, addr, len, advice);
}

static inline int mapper_msync(struct mapper *m, void *addr, size_t len,
			       int flags)
{
	if (m->plain)
		return msync(addr, len, flags) ? -errno : 0;
	return pagefs_msync(m->p, addr, len, flags);
}

static inline int mapper_mlock(struct mapper *m, void *addr, size_t len)
{
	if (m->plain)
		return mlock(addr, len) ? -errno : 0;
	return pagefs_mlock(m->p, addr, len);
}

static inline int mapper_munlock(struct mapper *m, void *addr, size_t len)
{
	if (m->plain)
		return munlock(addr, len) ? -errno : 0;
	return pagefs_munlock(m->p, addr, len);
}

static inline int mapper_mincore(struct mapper *m, void *addr, size_t len,
				 unsigned char *vec)
{
	if (m->plain)
		return mincore(addr, len, vec) ? -errno : 0;
	return pagefs_mincore(m->p, addr, len, vec);
}

#endif /* STRESS_MAPPER_H */
