// SPDX-License-Identifier: BSD-2-Clause
/*
 * bench/map_pager.c - a user-space pager, as they are usually written
 *
 *	fault --> uffd --> one manager thread: evict the oldest page if full
 *					       (write it first if dirty),
 *					       pread, UFFDIO_COPY
 *
 * The opponent: what one gets from userfaultfd's manual page in an afternoon.
 * Pages are anonymous memory of the process, one is moved at a time, the queue
 * is FIFO, and the first write to a page is found by write-protection. It reads
 * 16 pages when the last fault was the page before (most have something of the
 * kind). Errors end the program.
 */
#include <errno.h>
#include <fcntl.h>
#include <linux/userfaultfd.h>
#include <pthread.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "map-bench.h"

#define AHEAD	16u

struct pager {
	int uffd, fd;
	char *map, *buf;
	size_t nr_pages, limit;
	uint64_t *fifo;		/* pages that are here, oldest first */
	size_t head, count;
	unsigned char *state;	/* of each page: PRESENT, DIRTY */
	uint64_t last;		/* last page read */
	pthread_mutex_t lock;	/* all of the above */
	pthread_t manager;
};
#define PRESENT	0x1
#define DIRTY	0x2

static void must(bool ok, const char *what)
{
	if (ok)
		return;
	fprintf(stderr, "map-bench: pager: %s: %s\n", what, strerror(errno));
	_exit(1);
}

static void protect(struct pager *p, uint64_t page, bool on)
{
	struct uffdio_writeprotect wp = {
		.range = { (uintptr_t)p->map + page * BLOCK, BLOCK },
		.mode = on ? UFFDIO_WRITEPROTECT_MODE_WP : 0,
	};

	must(!ioctl(p->uffd, UFFDIO_WRITEPROTECT, &wp), "WRITEPROTECT");
}

static void write_back(struct pager *p, uint64_t page)
{
	char *buf = p->buf + AHEAD * BLOCK;

	protect(p, page, true);
	memcpy(buf, p->map + page * BLOCK, BLOCK);
	must(pwrite(p->fd, buf, BLOCK, (off_t)(page * BLOCK)) == BLOCK,
	     "pwrite");
	p->state[page] &= (unsigned char)~DIRTY;
}

static void evict_one(struct pager *p)
{
	uint64_t page = p->fifo[p->head];

	p->head = (p->head + 1) % p->limit;
	p->count--;
	if (p->state[page] & DIRTY)
		write_back(p, page);
	must(!madvise(p->map + page * BLOCK, BLOCK, MADV_DONTNEED), "DONTNEED");
	p->state[page] = 0;
}

/* -EEXIST would be a page that is there: the state says it is not. */
static void copy_page(struct pager *p, uint64_t page, const char *from,
		      bool write)
{
	struct uffdio_copy copy = {
		.dst = (uintptr_t)p->map + page * BLOCK,
		.src = (uintptr_t)from, .len = BLOCK,
		.mode = write ? 0 : UFFDIO_COPY_MODE_WP,
	};

	while (p->count >= p->limit)
		evict_one(p);
	must(!ioctl(p->uffd, UFFDIO_COPY, &copy), "COPY");
	p->state[page] = PRESENT | (write ? DIRTY : 0);
	p->fifo[(p->head + p->count++) % p->limit] = page;
}

static void wake(struct pager *p, uint64_t page)
{
	struct uffdio_range range = {
		(uintptr_t)p->map + page * BLOCK, BLOCK,
	};

	must(!ioctl(p->uffd, UFFDIO_WAKE, &range), "WAKE");
}

static void missing(struct pager *p, uint64_t page, bool write)
{
	uint64_t nr = page == p->last + 1 ? AHEAD : 1;

	if (p->state[page] & PRESENT) {
		wake(p, page);		/* two threads wanted it */
		return;
	}
	if (nr > p->nr_pages - page)
		nr = p->nr_pages - page;
	must(pread(p->fd, p->buf, nr * BLOCK, (off_t)(page * BLOCK)) ==
	     (ssize_t)(nr * BLOCK), "pread");
	for (uint64_t i = 0; i < nr; i++)
		if (!(p->state[page + i] & PRESENT))
			copy_page(p, page + i, p->buf + i * BLOCK, write && !i);
	p->last = page + nr - 1;
}

static void serve(struct pager *p, const struct uffd_msg *msg)
{
	uint64_t page = (msg->arg.pagefault.address - (uintptr_t)p->map) / BLOCK;
	bool write = msg->arg.pagefault.flags & UFFD_PAGEFAULT_FLAG_WRITE;

	if (msg->event != UFFD_EVENT_PAGEFAULT)
		return;
	pthread_mutex_lock(&p->lock);
	if (msg->arg.pagefault.flags & UFFD_PAGEFAULT_FLAG_WP &&
	    p->state[page] & PRESENT) {
		p->state[page] |= DIRTY;
		protect(p, page, false);
	} else if (msg->arg.pagefault.flags & UFFD_PAGEFAULT_FLAG_WP) {
		wake(p, page);		/* it was evicted meanwhile */
	} else {
		missing(p, page, write);
	}
	pthread_mutex_unlock(&p->lock);
}

static void *manager_main(void *arg)
{
	struct pager *p = arg;
	struct uffd_msg msg;

	while (read(p->uffd, &msg, sizeof(msg)) == sizeof(msg))
		serve(p, &msg);
	return NULL;
}

static int open_uffd(struct pager *p)
{
	struct uffdio_api api = {
		.api = UFFD_API, .features = UFFD_FEATURE_PAGEFAULT_FLAG_WP,
	};
	struct uffdio_register reg = {
		.range = { (uintptr_t)p->map, p->nr_pages * BLOCK },
		.mode = UFFDIO_REGISTER_MODE_MISSING | UFFDIO_REGISTER_MODE_WP,
	};

	p->uffd = (int)syscall(SYS_userfaultfd, O_CLOEXEC);
	if (p->uffd < 0 || ioctl(p->uffd, UFFDIO_API, &api) ||
	    ioctl(p->uffd, UFFDIO_REGISTER, &reg))
		return -1;
	return 0;
}

struct pager *pager_open(const char *file, size_t size, size_t memory,
			 bool direct)
{
	struct pager *p = calloc(1, sizeof(*p));

	if (!p)
		return NULL;
	p->nr_pages = size / BLOCK;
	p->limit = memory / BLOCK;
	p->last = UINT64_MAX - 1;
	p->state = calloc(p->nr_pages, 1);
	p->fifo = calloc(p->limit, sizeof(*p->fifo));
	pthread_mutex_init(&p->lock, NULL);
	p->fd = open(file, O_RDWR | O_CLOEXEC | (direct ? O_DIRECT : 0));
	p->map = mmap(NULL, size, PROT_READ | PROT_WRITE,
		      MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	if (!p->state || !p->fifo || p->fd < 0 || p->map == MAP_FAILED ||
	    posix_memalign((void **)&p->buf, BLOCK, (AHEAD + 1) * BLOCK))
		return NULL;
	madvise(p->map, size, MADV_NOHUGEPAGE);
	if (open_uffd(p) ||
	    pthread_create(&p->manager, NULL, manager_main, p))
		return NULL;
	return p;
}

char *pager_map(struct pager *p)
{
	return p->map;
}

int pager_sync(struct pager *p)
{
	for (uint64_t page = 0; page < p->nr_pages; page++) {
		pthread_mutex_lock(&p->lock);
		if (p->state[page] & DIRTY)
			write_back(p, page);
		pthread_mutex_unlock(&p->lock);
	}
	return fsync(p->fd) ? -errno : 0;
}
