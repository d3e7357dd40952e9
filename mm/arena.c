// SPDX-License-Identifier: BSD-2-Clause
/*
 * mm/arena.c - the memfd all frames come from, and its mapping
 *
 *   arena_base, aligned to the largest block
 *   v
 *   | 2 MiB | 2 MiB | 2 MiB |  ...  | 2 MiB |	one shared mapping of the memfd
 *     faulted in by populate_thread ->
 *
 * First touch of a frame costs a fault, 1.2-8 us where the host has taken the
 * memory back (measured), and would fall on whoever happens to come
 * first. A thread therefore touches everything once, after start-up, and
 * ends. Losing the race with a user of a frame is harmless: populating does
 * not change bytes.
 *
 * A memfd and not anonymous memory: io_uring can register it, a successor
 * process can adopt it.
 *
 * A forked child shares the frames and has copies of the lists that describe
 * them: it must neither allocate nor free before page_alloc_init() of its own.
 *
 * Locks:   none; all but the thread's stop flag is constant after init.
 * Source:  -
 */
#include <errno.h>
#include <signal.h>
#include <sys/mman.h>
#include <unistd.h>

#include "asan.h"
#include "internal.h"
#ifdef PAGEFS_ASAN
#include <sanitizer/lsan_interface.h>
#endif

#ifndef MADV_POPULATE_WRITE
#define MADV_POPULATE_WRITE	23	/* Linux 5.14 */
#endif

/*
 * Bytes: the kernel's huge page, and small enough (0.1-4 ms) that the thread
 * notices arena_populate_stop() at once.
 */
#define POPULATE_CHUNK		(2 * SZ_1M)
/* A block's address is then aligned as its pfn: slabs are found by masking. */
#define ARENA_ALIGN		(PAGE_SIZE << MAX_ORDER)

char *arena_base;
static size_t arena_size;		/* bytes */
static int arena_memfd = -1;

static pthread_t populate_thread;
static bool populate_running;		/* the thread is there to be joined */
static bool populate_stop;		/* (A) */

int arena_fd(void)
{
	return arena_memfd;
}

size_t arena_bytes(void)
{
	return arena_size;
}

/* AddressSanitizer: free frames are out of bounds; objects in frames are live. */
#ifdef PAGEFS_ASAN
void arena_poison(void)
{
	size_t table = (size_t)nr_table_frames << PAGE_SHIFT;

	ASAN_POISON_MEMORY_REGION(arena_base + table, arena_size - table);
	__lsan_register_root_region(arena_base, arena_size);
}

void arena_unpoison(void)
{
	__lsan_unregister_root_region(arena_base, arena_size);
	ASAN_UNPOISON_MEMORY_REGION(arena_base, arena_size);
}
#else
void arena_poison(void)
{
}

void arena_unpoison(void)
{
}
#endif

/* Maps @fd over an aligned part of address space. Return: 0 or -errno. */
static int arena_mmap(int fd, size_t bytes, char **basep)
{
	size_t room = bytes + ARENA_ALIGN;
	char *start, *base, *end;

	start = mmap(NULL, room, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS |
		     MAP_NORESERVE, -1, 0);
	if (start == MAP_FAILED)
		return -errno;
	base = (char *)ALIGN((uintptr_t)start, ARENA_ALIGN);
	if (mmap(base, bytes, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_FIXED,
		 fd, 0) == MAP_FAILED) {
		int err = -errno;

		munmap(start, room);
		return err;
	}
	end = base + bytes;
	if (base > start)
		munmap(start, (size_t)(base - start));
	if (start + room > end)
		munmap(end, (size_t)(start + room - end));
	*basep = base;
	return 0;
}

/* @bytes: whole frames. Return: 0 or -errno. */
int arena_map(size_t bytes)
{
	int fd, err;

	fd = memfd_create("pagefs-arena", MFD_CLOEXEC);
	if (fd < 0)
		return -errno;
	if (ftruncate(fd, (off_t)bytes)) {
		err = -errno;
		goto out_close;
	}
	err = arena_mmap(fd, bytes, &arena_base);
	if (err)
		goto out_close;
	arena_memfd = fd;
	arena_size = bytes;
	return 0;

out_close:
	close(fd);
	return err;
}

void arena_unmap(void)
{
	munmap(arena_base, arena_size);
	close(arena_memfd);
	arena_base = NULL;
	arena_memfd = -1;
	arena_size = 0;
}

/*
 * Ends early where the kernel lacks the call (before 5.14) or memory (then
 * the frame's first user finds out): frames are then faulted in by their users.
 */
static void *arena_populate(void *unused)
{
	size_t pos = 0;

	(void)unused;
	while (pos < arena_size && !READ_ONCE(populate_stop)) {
		size_t len = min(POPULATE_CHUNK, arena_size - pos);

		if (madvise(arena_base + pos, len, MADV_POPULATE_WRITE) &&
		    errno != EINTR)
			break;
		pos += len;
	}
	return NULL;
}

/* It is only a head start: if there can be no thread, nothing is lost. */
void arena_populate_start(void)
{
	sigset_t all, old;

	populate_stop = false;
	sigfillset(&all);		/* signals are for the daemon's threads */
	BUG_ON(pthread_sigmask(SIG_SETMASK, &all, &old));
	populate_running = !pthread_create(&populate_thread, NULL,
					   arena_populate, NULL);
	BUG_ON(pthread_sigmask(SIG_SETMASK, &old, NULL));
	if (populate_running)
		pthread_setname_np(populate_thread, "pagefs-populate");
}

void arena_populate_stop(void)
{
	if (!populate_running)
		return;
	WRITE_ONCE(populate_stop, true);
	BUG_ON(pthread_join(populate_thread, NULL));
	populate_running = false;
}
