// SPDX-License-Identifier: BSD-2-Clause
/*
 * daemon/uffd_probe.c - what this kernel's userfaultfd can do, and asking for it
 *
 *   at start    uffd_probe: bits of UFFDIO_API, then calls on memory of our own
 *                   --> uffd_features
 *   each client uffd_adopt: is it a userfaultfd, fresh? UFFDIO_API, no waiting
 *
 * I1. What the kernel says about one client decides nothing about others: a
 *     client may have registered whatever it likes. What the kernel can do is
 *     found out at start, with memory of our own.
 * I2. A client's descriptor is any descriptor at all until uffd_adopt() has
 *     said 0.
 *
 * Not every ability has a bit: that CONTINUE does without MINOR, and takes WP
 * along, and that preadv2() knows RWF_NOWAIT there, is seen by trying.
 *
 * Locks: none; uffd_features is constant once uffd_probe() has returned.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/uio.h>

#include "internal.h"
#include "uffd_abi.h"

#define WANTED	(UFFD_FEATURE_PAGEFAULT_FLAG_WP | UFFD_FEATURE_WP_HUGETLBFS_SHMEM | \
		 UFFD_FEATURE_THREAD_ID | UFFD_FEATURE_EVENT_UNMAP | \
		 UFFD_FEATURE_EVENT_REMOVE | UFFD_FEATURE_EVENT_REMAP)

struct uffd_features uffd_features;

static int uffd_open(void)
{
	int fd = (int)syscall(SYS_userfaultfd, O_CLOEXEC | O_NONBLOCK);

	if (fd < 0 && errno == EPERM)
		fd = (int)syscall(SYS_userfaultfd, O_CLOEXEC | O_NONBLOCK |
				  UFFD_USER_MODE_ONLY);
	return fd < 0 ? -errno : fd;
}

/* The bits this kernel has. They are told once for each descriptor. */
static int kernel_features(uint64_t *featuresp)
{
	struct uffdio_api api = { .api = UFFD_API };
	int fd = uffd_open(), err = 0;

	if (fd < 0)
		return fd;
	if (ioctl(fd, UFFDIO_API, &api))
		err = -errno;
	else
		*featuresp = api.features;
	close(fd);
	return err;
}

/* Try CONTINUE on a page of our own, @mem, of the memfd @memfd. */
static bool try_continue(int fd, int memfd, void *mem)
{
	const unsigned long addr = (unsigned long)mem;
	struct uffdio_register reg = {
		.range = { .start = addr, .len = PAGE_SIZE },
		.mode = UFFDIO_REGISTER_MODE_MISSING | UFFDIO_REGISTER_MODE_WP,
	};
	struct uffdio_writeprotect wp = {
		.range = reg.range,
		.mode = UFFDIO_WRITEPROTECT_MODE_WP,
	};
	struct uffdio_continue cont = {
		.range = reg.range,
		.mode = UFFDIO_CONTINUE_MODE_WP,
	};

	return !ioctl(fd, UFFDIO_REGISTER, &reg) &&
		!ioctl(fd, UFFDIO_WRITEPROTECT, &wp) &&
		pwrite(memfd, "", 1, 0) == 1 &&
		!ioctl(fd, UFFDIO_CONTINUE, &cont);
}

/* How many stores to @mem, of a WP_ASYNC userfaultfd, a scan finds: 0, 1; < 0. */
static long scan_once(int pagemap, void *mem)
{
	struct page_region region;
	struct pm_scan_arg arg = {
		.size = sizeof(arg),
		.flags = PM_SCAN_WP_MATCHING | PM_SCAN_CHECK_WPASYNC,
		.start = (uintptr_t)mem,
		.end = (uintptr_t)mem + PAGE_SIZE,
		.vec = (uintptr_t)&region,
		.vec_len = 1,
		.category_mask = PAGE_IS_WRITTEN,	/* as uffd.c asks */
		.return_mask = PAGE_IS_WRITTEN,
	};

	return ioctl(pagemap, PAGEMAP_SCAN, &arg);
}

/*
 * A store whose page has left the page table since: it was demoted, or the kernel
 * is short of memory. Kernels differ: most find it only if category_mask asks for
 * WRITTEN and nothing else does.
 */
static bool try_absent(int pagemap, int memfd, void *mem)
{
	*(volatile char *)mem = 2;
	return !fallocate(memfd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, 0,
			  PAGE_SIZE) && scan_once(pagemap, mem) == 1;
}

/* A page of our own, present and protected: a store raises no fault, and is
 * found once. */
static bool try_async(int fd, int memfd, void *mem)
{
	struct uffdio_api api = {
		.api = UFFD_API,
		.features = uffd_features.api | UFFD_FEATURE_WP_ASYNC,
	};
	int pagemap = open("/proc/self/pagemap", O_RDONLY | O_CLOEXEC);
	bool works;

	works = pagemap >= 0 && !ioctl(fd, UFFDIO_API, &api) &&
		try_continue(fd, memfd, mem) && !scan_once(pagemap, mem);
	if (works) {
		*(volatile char *)mem = 1;
		works = scan_once(pagemap, mem) == 1 &&
			!scan_once(pagemap, mem) &&
			try_absent(pagemap, memfd, mem);
	}
	if (pagemap >= 0)
		close(pagemap);
	return works;
}

/* A mapping of its own, for a userfaultfd that is closed before it goes: munmap
 * would wait for its event to be read. */
static bool probe_async(void)
{
	int fd = uffd_open(), memfd = memfd_create("probe", MFD_CLOEXEC);
	void *mem = MAP_FAILED;
	bool works = false;

	if (memfd >= 0 && !ftruncate(memfd, PAGE_SIZE))
		mem = mmap(NULL, PAGE_SIZE, PROT_READ | PROT_WRITE, MAP_SHARED,
			   memfd, 0);
	if (fd >= 0 && mem != MAP_FAILED)
		works = try_async(fd, memfd, mem);
	if (fd >= 0)
		close(fd);
	if (mem != MAP_FAILED)
		munmap(mem, PAGE_SIZE);
	if (memfd >= 0)
		close(memfd);
	return works;
}

static bool probe_nowait(int fd)
{
	struct uffd_msg msg;
	struct iovec iov = { .iov_base = &msg, .iov_len = sizeof(msg) };

	return preadv2(fd, &iov, 1, -1, RWF_NOWAIT) < 0 && errno == EAGAIN;
}

static int probe_calls(void)
{
	struct uffdio_api api = { .api = UFFD_API, .features = uffd_features.api };
	int fd = uffd_open(), memfd = memfd_create("probe", MFD_CLOEXEC);
	void *mem = MAP_FAILED;
	int err = 0;

	if (fd < 0 || ioctl(fd, UFFDIO_API, &api))
		err = fd < 0 ? fd : -errno;
	if (!err && memfd >= 0 && !ftruncate(memfd, PAGE_SIZE))
		mem = mmap(NULL, PAGE_SIZE, PROT_READ | PROT_WRITE, MAP_SHARED,
			   memfd, 0);
	if (mem != MAP_FAILED) {
		uffd_features.has_continue = try_continue(fd, memfd, mem);
		uffd_features.has_nowait = probe_nowait(fd);
	}
	/* First: with it open munmap would wait for its event to be read. */
	if (fd >= 0)
		close(fd);
	if (mem != MAP_FAILED)
		munmap(mem, PAGE_SIZE);
	if (memfd >= 0)
		close(memfd);
	return err;
}

int uffd_probe(bool scan_stores)
{
	uint64_t features = 0;
	int err = kernel_features(&features);

	if (err)
		return err;
	if ((features & WANTED) != WANTED)
		return -ENOSYS;
	uffd_features.has_poison = features & UFFD_FEATURE_POISON;
	uffd_features.api = WANTED | (features & UFFD_FEATURE_POISON);
	err = probe_calls();
	if (!err && uffd_features.has_continue && uffd_features.has_nowait)
		uffd_features.has_async = scan_stores && probe_async();
	return err;
}

/* Names what is behind a descriptor; a client sends any it likes. */
static bool is_userfaultfd(int fd)
{
	static const char name[] = "anon_inode:[userfaultfd]";
	char path[32], link[64];
	ssize_t len;

	snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
	len = readlink(path, link, sizeof(link));
	return len == sizeof(name) - 1 && !memcmp(link, name, sizeof(name) - 1);
}

int uffd_adopt(int fd, enum uffd_kind kind)
{
	struct uffdio_api api = { .api = UFFD_API, .features = uffd_features.api };
	int flags;

	if (kind == UFFD_ASYNC)
		api.features |= UFFD_FEATURE_WP_ASYNC;

	if (!is_userfaultfd(fd))
		return -EINVAL;
	flags = fcntl(fd, F_GETFL);
	if (flags < 0 || fcntl(fd, F_SETFL, flags | O_NONBLOCK) ||
	    ioctl(fd, UFFDIO_API, &api))	/* EINVAL: it is in use */
		return -errno;
	return 0;
}
