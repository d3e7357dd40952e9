// SPDX-License-Identifier: BSD-2-Clause
/*
 * client/death.c - the daemon has gone: SIGBUS, and never zeros
 *
 *   program's thread       watcher                     keeper
 *   fault: waits           end of file on its socket
 *     .                    state = DEAD, ask for drain
 *     .                    for each mapping:           read(uffd), forget
 *     .                      mmap(empty file) waits     .
 *     .                      for an UNMAP event   <--  .
 *     .                    UFFDIO_WAKE, all             .
 *   tries again: SIGBUS    drained                --> ends
 *
 * The daemon's copies of our userfaultfds are closed when it dies, but not ours
 * (C2): so whoever touches an absent page waits. Replacing a mapping by one of
 * an empty file is one step for the kernel: before it, a fault waits; after it,
 * an access is beyond the end of that file. A thread that waits is woken when
 * all is replaced, and finds the new mapping.
 *
 * Registered memory tells the userfaultfd when it is unmapped, and waits until
 * that has been read. The daemon reads no more, so the keeper does, from the
 * start: a thread may wait like that inside a call of ours, with the layout
 * lock that the watcher needs.
 *
 * Truncating the window would be simpler, but it is everybody's: a daemon that
 * has only thrown us out is no reason to take the other clients' pages.
 *
 * D1. After the watcher has had the layout lock, DEAD is seen by all who take
 *     it, and nothing new is registered.
 */
#include <fcntl.h>
#include <poll.h>
#include <sched.h>
#include <sys/ioctl.h>
#include <linux/userfaultfd.h>

#include "internal.h"
#include "sys.h"

/* Milliseconds in which the keeper notices that it is done; arbitrary. */
#define DRAIN_POLL_MS	10
/* End of user space: where UFFDIO_WAKE of everything may end (x86-64, and
 * within what others have). */
#define ALL_ADDRESSES	0x7ffffffff000UL

void drain_uffd(struct keeper *k)
{
	struct pollfd pfd[2] = {
		{ .fd = k->uffd[0], .events = POLLIN },
		{ .fd = k->uffd[1], .events = POLLIN },	/* -1 is passed over */
	};
	struct uffd_msg msgs[16];

	/* The flag is shared with the daemon's copy: make sure. */
	for (int i = 0; i < 2; i++)
		fcntl(k->uffd[i], F_SETFL, O_NONBLOCK);
	while (!atomic_load(&k->drained)) {
		ssize_t first = read(k->uffd[0], msgs, sizeof(msgs));
		ssize_t second = read(k->uffd[1], msgs, sizeof(msgs));

		if (first <= 0 && second <= 0)
			poll(pfd, 2, DRAIN_POLL_MS);
	}
}

void lose_mapping(struct mapping *m, int empty)
{
	const int flags = MAP_SHARED | MAP_FIXED;
	const size_t len = m->end - m->start;
	long addr = sys_mmap(m->start, len, m->prot, flags, empty, 0);

	if (addr < 0)	/* a system where memory files are not executable */
		addr = sys_mmap(m->start, len, m->prot & ~PROT_EXEC, flags,
				empty, 0);
	if (addr < 0)	/* SIGSEGV, then: anything but zeros */
		sys_mprotect(m->start, len, PROT_NONE);
	table_set_lost(m);
}

void lose_all(struct pagefs *p, int empty)
{
	struct mapping **list;
	ssize_t nr;

	/* A few KiB; without them nothing better can be done than wait. */
	while ((nr = table_collect(p, 0, UINTPTR_MAX, &list)) < 0)
		sched_yield();
	for (ssize_t i = 0; i < nr; i++)
		if (!list[i]->lost)
			lose_mapping(list[i], empty);
	heap_free(list);
}

/* The last close would wake them as well; it comes a little later. */
static void wake_all(int uffd)
{
	struct uffdio_range range = {
		.start = 0,
		.len = ALL_ADDRESSES,
	};

	ioctl(uffd, UFFDIO_WAKE, &range);
}

static void daemon_is_gone(struct pagefs *p)
{
	struct keeper *k = &p->keeper;

	keeper_ask_drain(k);
	atomic_store(&p->state, PAGEFS_DEAD);
	pool_shutdown(&p->pool);
	layout_lock(p);
	lose_all(p, k->empty);
	layout_unlock(p);
	for (int i = 0; i < 2; i++)
		wake_all(k->uffd[i]);	/* D1 */
	atomic_store(&k->drained, true);
}

void watch_daemon(struct pagefs *p)
{
	struct pollfd pfd = { .fd = p->keeper.sock, .events = POLLRDHUP };
	int nr;

	do {
		/* keeper_stop() ends us here. */
		pthread_setcancelstate(PTHREAD_CANCEL_ENABLE, NULL);
		nr = poll(&pfd, 1, -1);
		pthread_setcancelstate(PTHREAD_CANCEL_DISABLE, NULL);
	} while (nr <= 0);
	daemon_is_gone(p);
}
