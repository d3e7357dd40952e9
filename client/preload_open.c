// SPDX-License-Identifier: BSD-2-Clause
/*
 * client/preload_open.c - open(2), for programs run with pagefs-run --direct
 *
 *   open(path, O_RDWR)  -->  the same with O_DIRECT  -->  a pagefs file: so be it
 *                                                    -->  another: taken away again
 *
 * The kernel keeps no copies for a descriptor with O_DIRECT, and that lets the
 * daemon scan for stores to what is mapped by it, which makes the first to a
 * page cheap. A pagefs file asks no alignment of O_DIRECT.
 *
 * What a file is shows when it is open. So O_EXCL is left as it is: a file
 * system without O_DIRECT may have made the file before it says so. Files that
 * the C library opens by itself, as for fopen(3), do not come here.
 *
 * Locks: none.
 */
#include <dlfcn.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdint.h>
#include <stdlib.h>

#include "internal.h"
#include "sys.h"

static bool wants_direct(int flags)
{
	const int never = O_PATH | O_DIRECTORY | O_EXCL | O_DIRECT | O_APPEND;

	return (flags & O_ACCMODE) == O_RDWR && !(flags & never) &&
		getenv("PAGEFS_RUN_DIRECT");
}

/* The C library's, which a thread may be cancelled in. */
static int open_plain(int dirfd, const char *path, int flags, mode_t mode)
{
	static int (*_Atomic libc_openat)(int, const char *, int, ...);
	int (*fn)(int, const char *, int, ...) = atomic_load(&libc_openat);

	if (!fn) {
		fn = (int (*)(int, const char *, int, ...))
			(uintptr_t)dlsym(RTLD_NEXT, "openat64");
		atomic_store(&libc_openat, fn);
	}
	return fn(dirfd, path, flags, mode);
}

static int open_here(int dirfd, const char *path, int flags, mode_t mode)
{
	const int old_errno = errno;
	int fd, now;

	if (!wants_direct(flags))
		return open_plain(dirfd, path, flags, mode);
	fd = open_plain(dirfd, path, flags | O_DIRECT, mode);
	if (fd < 0 && errno == EINVAL) {
		errno = old_errno;
		return open_plain(dirfd, path, flags, mode);
	}
	if (fd >= 0 && !pagefs_is_file(fd)) {
		now = fcntl(fd, F_GETFL);
		fcntl(fd, F_SETFL, now & ~O_DIRECT);
	}
	if (fd >= 0)
		errno = old_errno;
	return fd;
}

/* The mode is there only if it is asked for. */
#define OPEN_MODE(mode, flags)						\
	do {								\
		va_list ap;						\
									\
		mode = 0;						\
		if ((flags) & (O_CREAT | __O_TMPFILE)) {		\
			va_start(ap, flags);				\
			mode = va_arg(ap, mode_t);			\
			va_end(ap);					\
		}							\
	} while (0)

PAGEFS_API int open(const char *path, int flags, ...)
{
	mode_t mode;

	OPEN_MODE(mode, flags);
	return open_here(AT_FDCWD, path, flags, mode);
}

PAGEFS_API int openat(int dirfd, const char *path, int flags, ...)
{
	mode_t mode;

	OPEN_MODE(mode, flags);
	return open_here(dirfd, path, flags, mode);
}

PAGEFS_API int open64(const char *path, int flags, ...)
{
	mode_t mode;

	OPEN_MODE(mode, flags);
	return open_here(AT_FDCWD, path, flags | O_LARGEFILE, mode);
}

PAGEFS_API int openat64(int dirfd, const char *path, int flags, ...)
{
	mode_t mode;

	OPEN_MODE(mode, flags);
	return open_here(dirfd, path, flags | O_LARGEFILE, mode);
}

/* What <fcntl.h> makes of calls without a mode, with _FORTIFY_SOURCE. */
PAGEFS_API int __open_2(const char *path, int flags);
PAGEFS_API int __open64_2(const char *path, int flags);
PAGEFS_API int __openat_2(int dirfd, const char *path, int flags);
PAGEFS_API int __openat64_2(int dirfd, const char *path, int flags);

PAGEFS_API int __open_2(const char *path, int flags)
{
	return open_here(AT_FDCWD, path, flags, 0);
}

PAGEFS_API int __open64_2(const char *path, int flags)
{
	return open_here(AT_FDCWD, path, flags | O_LARGEFILE, 0);
}

PAGEFS_API int __openat_2(int dirfd, const char *path, int flags)
{
	return open_here(dirfd, path, flags, 0);
}

PAGEFS_API int __openat64_2(int dirfd, const char *path, int flags)
{
	return open_here(dirfd, path, flags | O_LARGEFILE, 0);
}
