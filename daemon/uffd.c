// SPDX-License-Identifier: BSD-2-Clause
/*
 * daemon/uffd.c - a client's real MMU, by its userfaultfd
 *
 *   mm/  --mmu_ops-->  CONTINUE, WRITEPROTECT, WAKE  -->  the client's kernel
 *                           | EAGAIN: an event is unread
 *                           v
 *                      read it into the backlog, try again
 *
 *   kernel --read--> fault ----------------> the thread that read it (faultd.c)
 *                 \-> UNMAP, REMAP, REMOVE -> client->events, in order
 *
 * While a client's munmap, mremap or madvise waits for its event to be read,
 * the kernel refuses to change that client's memory: EAGAIN. An operation of
 * mm/ comes with page locks held and cannot wait for a fault thread, which may
 * be waiting for those, so it reads the messages itself. It cannot act upon
 * them, for that takes mmap_lock: they wait in a list.
 *
 * I1. A message is read, and an event appended, in one section of msg_lock: so
 *     events are in the kernel's order, and whoever takes client->lock later
 *     finds those that were read before.
 * I2. What the kernel says about one client decides nothing about others
 *     (uffd_probe.c I1).
 * I3. ESRCH (the client has died) and ENOENT (nothing of ours is there) are no
 *     errors. But ENOENT of a long range may come from one page of it, so the
 *     range is then tried in halves.
 *
 * I4. What a scan says holds if the client's mappings were, while it was made,
 *     those we know. So afterwards: it is alive, its kernel is not changing
 *     them (else EAGAIN), and no event is read and not acted upon. In this
 *     order: between the last two a message may be read, but not unnoticed.
 *
 * Write-protecting an absent page leaves a marker, so that the page comes up
 * write-protected whoever maps it. CONTINUE over a marker maps the page with
 * the rights it is told.
 *
 * Locks: client->msg_lock, a leaf.
 */
#include <errno.h>
#include <poll.h>
#include <sched.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>
#include <sys/ioctl.h>
#include <sys/uio.h>

#include "internal.h"
#include "uffd_abi.h"

/* An operation that meets EAGAIN. All by choice: a page lock may be held, but
 * a client that was just not scheduled must have time to take its event. */
#define AGAIN_TRIES	1000u
#define AGAIN_YIELDS	20u		/* of them without sleeping */
#define AGAIN_SLEEP_NS	100000		/* between the others: 0.1 s in all */
#define AGAIN_KILL_MS	1000u
#define READ_BATCH	16u		/* messages read at one EAGAIN */
/* Messages kept for one client. Arbitrary: more than it has threads, mostly. */
#define MAX_BACKLOG	4096u
#define LOCK_SPINS	200		/* of msg_lock, held for one read(); arbitrary */

/* What Linux maps around a fault, aligned to it, unless told otherwise. */
#define AROUND_BYTES	(64ul << 10)

struct backlog_entry {
	struct list_head list;
	struct uffd_msg msg;
};

/* ---- messages ---- */

static unsigned long now_ms(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC_COARSE, &ts);
	return (unsigned long)ts.tv_sec * 1000 + (unsigned long)ts.tv_nsec / 1000000;
}

/*
 * msg_lock is held for one system call that does not wait: sleeping for it
 * would cost more. A client can make read() wait by changing its descriptor's
 * flags; where there is no RWF_NOWAIT against that, who holds the lock may
 * hold it for long, and nobody may queue up.
 */
static bool lock_messages(struct client *client)
{
	for (int i = 0; i < LOCK_SPINS; i++) {
		if (mutex_trylock(&client->msg_lock))
			return true;
		__builtin_ia32_pause();
	}
	if (!uffd_features.has_nowait)
		return false;
	mutex_lock(&client->msg_lock);
	return true;
}

/* poll() says POLLERR when read() would wait: somebody has changed the flags. */
static bool read_would_wait(int fd)
{
	struct pollfd pfd = { .fd = fd, .events = POLLIN };

	return poll(&pfd, 1, 0) != 1 || (pfd.revents & POLLERR);
}

/* Return: how many, at most @max; 0: none, or -EIO. */
static int read_messages(int fd, struct uffd_msg *msgs, unsigned int max)
{
	struct iovec iov = { .iov_base = msgs, .iov_len = max * sizeof(*msgs) };
	ssize_t len;

	if (uffd_features.has_nowait)
		len = preadv2(fd, &iov, 1, -1, RWF_NOWAIT);
	else if (read_would_wait(fd))
		return 0;
	else
		len = read(fd, iov.iov_base, iov.iov_len);
	if (len > 0 && len % sizeof(*msgs) == 0)
		return (int)((size_t)len / sizeof(*msgs));
	if (len < 0 && (errno == EAGAIN || errno == EINTR))
		return 0;
	return -EIO;
}

/* Context: msg_lock. */
static void keep_message(struct client *client, struct list_head *list,
			 const struct uffd_msg *msg)
{
	struct backlog_entry *entry = malloc(sizeof(*entry));

	lockdep_assert_held(&client->msg_lock);
	if (!entry) {	/* we would no longer know what it has mapped */
		client_kill(client, "no memory for its messages");
		return;
	}
	entry->msg = *msg;
	list_add_tail(&entry->list, list);
	client->nr_backlog++;
	client->nr_unacted += list == &client->events;
}

/* From either, the one that most have first. Context: msg_lock. As
 * read_messages(). */
static int read_any(struct client *client, struct uffd_msg *msgs,
		    unsigned int max)
{
	int ret = read_messages(atomic_load(&client->uffd[UFFD_SYNC]), msgs, max);

	if (!ret && client_has_async(client))
		ret = read_messages(atomic_load(&client->uffd[UFFD_ASYNC]), msgs,
				    max);
	return ret;
}

/* Events to where they are kept. Return: how many faults are left of @msgs.
 * Context: msg_lock. */
static unsigned int keep_events(struct client *client, struct uffd_msg *msgs,
				unsigned int nr)
{
	unsigned int faults = 0;

	for (unsigned int i = 0; i < nr; i++) {
		if (msgs[i].event == UFFD_EVENT_PAGEFAULT)
			msgs[faults++] = msgs[i];
		else
			keep_message(client, &client->events, &msgs[i]);
	}
	return faults;
}

int uffd_read(struct client *client, struct uffd_msg *msgs, unsigned int max,
	      unsigned int *nrp)
{
	unsigned int nr = 0;
	int ret;

	if (!lock_messages(client))
		return UFFD_NOTHING;
	if (client->nr_backlog >= MAX_BACKLOG) {
		mutex_unlock(&client->msg_lock);
		return UFFD_FULL;
	}
	ret = read_any(client, msgs, max);
	if (ret > 0)
		nr = keep_events(client, msgs, (unsigned int)ret);	/* I1 */
	mutex_unlock(&client->msg_lock);
	if (ret <= 0)
		return ret ? UFFD_BROKEN : UFFD_NOTHING;
	*nrp = nr;
	return nr < (unsigned int)ret ? UFFD_EVENT : UFFD_FAULT;
}

void uffd_unread(struct client *client, const struct uffd_msg *msgs,
		 unsigned int nr)
{
	mutex_lock(&client->msg_lock);
	for (unsigned int i = 0; i < nr; i++)
		keep_message(client, &client->faults, &msgs[i]);
	mutex_unlock(&client->msg_lock);
	faultd_kick();
}

/* Whatever is there into the backlog, so that the kernel obeys again. */
static void read_backlog(struct client *client)
{
	struct uffd_msg msg;
	unsigned int nr = 0;

	if (!lock_messages(client))
		return;
	while (nr < READ_BATCH && client->nr_backlog < MAX_BACKLOG &&
	       read_any(client, &msg, 1) == 1) {
		keep_message(client, msg.event == UFFD_EVENT_PAGEFAULT ?
			     &client->faults : &client->events, &msg);
		nr++;
	}
	mutex_unlock(&client->msg_lock);
	if (nr)
		faultd_kick();
}

static bool next_of(struct client *client, struct list_head *list,
		    struct uffd_msg *msg)
{
	struct backlog_entry *entry = NULL;

	mutex_lock(&client->msg_lock);
	if (!list_empty(list)) {
		entry = list_first_entry(list, struct backlog_entry, list);
		list_del(&entry->list);
		client->nr_backlog--;
	}
	mutex_unlock(&client->msg_lock);
	if (!entry)
		return false;
	*msg = entry->msg;
	free(entry);
	return true;
}

bool uffd_next_event(struct client *client, struct uffd_msg *msg)
{
	return next_of(client, &client->events, msg);
}

bool uffd_next_fault(struct client *client, struct uffd_msg *msg)
{
	return next_of(client, &client->faults, msg);
}

void uffd_event_done(struct client *client)
{
	mutex_lock(&client->msg_lock);
	client->nr_unacted--;
	mutex_unlock(&client->msg_lock);
}

bool uffd_has_events(struct client *client)
{
	bool has;

	mutex_lock(&client->msg_lock);
	has = !list_empty(&client->events);
	mutex_unlock(&client->msg_lock);
	return has;
}

void uffd_drop_backlog(struct client *client)
{
	struct uffd_msg msg;

	while (uffd_next_event(client, &msg) || uffd_next_fault(client, &msg))
		;
}

/* ---- one system call ---- */

/* Return: false when the client has had its time. */
static bool uffd_again(struct client *client, unsigned int *tries)
{
	const struct timespec pause = { .tv_nsec = AGAIN_SLEEP_NS };
	unsigned long since, now;

	if (++*tries <= AGAIN_TRIES) {
		read_backlog(client);
		if (*tries <= AGAIN_YIELDS)
			sched_yield();
		else
			nanosleep(&pause, NULL);
		return true;
	}
	now = now_ms();
	since = atomic_load(&client->again_since);
	atomic_fetch_add(&client->nr_again, 1);
	if (!since)
		atomic_store(&client->again_since, now);
	else if (now - since >= AGAIN_KILL_MS)
		client_kill(client, "it unmaps faster than it can be served");
	return false;
}

static int uffd_of(struct client *client, enum uffd_kind kind)
{
	return atomic_load(&client->uffd[kind]);
}

/* Return: 0 or -errno; -EAGAIN when that has not ended. */
static int uffd_call(struct client *client, enum uffd_kind kind,
		     unsigned long cmd, void *arg)
{
	unsigned int tries = 0;
	int err;

	do {
		if (!ioctl(uffd_of(client, kind), cmd, arg)) {
			err = 0;
			break;
		}
		err = -errno;
	} while (err == -EAGAIN && uffd_again(client, &tries));
	if (err != -EAGAIN && unlikely(atomic_load(&client->again_since)))
		atomic_store(&client->again_since, 0);
	return err;
}

static void wake(struct client *client, enum uffd_kind kind, unsigned long addr,
		 size_t len)
{
	struct uffdio_range range = { .start = addr, .len = len };

	/* Never EAGAIN; fails for what is no range at all. */
	ioctl(uffd_of(client, kind), UFFDIO_WAKE, &range);
}

void uffd_wake(struct client *client, unsigned long addr, size_t len)
{
	wake(client, UFFD_SYNC, addr, len);
	if (client_has_async(client))
		wake(client, UFFD_ASYNC, addr, len);
}

static int write_protect(struct client *client, enum uffd_kind kind,
			 unsigned long addr, size_t len, uint64_t mode)
{
	struct uffdio_writeprotect wp = {
		.range = { .start = addr, .len = len },
		.mode = mode,
	};

	return uffd_call(client, kind, UFFDIO_WRITEPROTECT, &wp);
}

/* The same for all of the range that is ours: I3. Return: 0 or -errno. */
static int write_protect_range(struct client *client, enum uffd_kind kind,
			       unsigned long addr, size_t len, uint64_t mode)
{
	int err = write_protect(client, kind, addr, len, mode), err2;
	size_t half = ALIGN_DOWN(len / 2, PAGE_SIZE);

	if (err == -ESRCH)
		return 0;
	if (err != -ENOENT)
		return err;
	if (!half)
		return 0;
	err = write_protect_range(client, kind, addr, half, mode);
	err2 = write_protect_range(client, kind, addr + half, len - half, mode);
	return err ?: err2;
}

/*
 * Return: bytes mapped, from @addr on, their waiters woken; or what the first
 * page met.
 */
static long continue_range(struct client *client, enum uffd_kind kind,
			   unsigned long addr, size_t len, bool write)
{
	struct uffdio_continue cont = {
		.range = { .start = addr, .len = len },
		.mode = write ? 0 : UFFDIO_CONTINUE_MODE_WP,
	};
	unsigned int tries = 0;
	int err;

	for (;;) {
		cont.mapped = 0;
		if (!ioctl(uffd_of(client, kind), UFFDIO_CONTINUE, &cont))
			return (long)len;
		err = -errno;
		/* A part says EAGAIN, too; what stopped it comes next time. */
		if (cont.mapped > 0)
			return (long)cont.mapped;
		if (err != -EAGAIN || !uffd_again(client, &tries))
			return err;
	}
}

/*
 * By address alone. The kernel lets any userfaultfd of a process do these to
 * what another one has registered; but it wakes its own waiters only.
 */

/* A private mapping knows no markers, and its pages are never writable. */
int uffd_continue(struct client *client, unsigned long addr)
{
	long ret;

	if (!uffd_features.has_continue)
		return -EOPNOTSUPP;
	ret = continue_range(client, UFFD_SYNC, addr, PAGE_SIZE, false);
	if (ret == -EINVAL)
		ret = continue_range(client, UFFD_SYNC, addr, PAGE_SIZE, true);
	if (client_has_async(client))
		wake(client, UFFD_ASYNC, addr, PAGE_SIZE);
	return ret > 0 ? 0 : (int)ret;
}

int uffd_poison(struct client *client, unsigned long addr)
{
	struct uffdio_poison poison = {
		.range = { .start = addr, .len = PAGE_SIZE },
	};
	int err;

	if (!uffd_features.has_poison)
		return -EOPNOTSUPP;
	err = uffd_call(client, UFFD_SYNC, UFFDIO_POISON, &poison);
	if (!err && client_has_async(client))
		wake(client, UFFD_ASYNC, addr, PAGE_SIZE);
	return err;
}

int uffd_arm(struct client *client, unsigned long addr)
{
	return write_protect(client, UFFD_SYNC, addr, PAGE_SIZE,
			     UFFDIO_WRITEPROTECT_MODE_WP);
}

int uffd_disarm(struct client *client, unsigned long addr)
{
	return write_protect(client, UFFD_SYNC, addr, PAGE_SIZE,
			     UFFDIO_WRITEPROTECT_MODE_DONTWAKE);
}

/* ---- mmu_ops ---- */

static struct client *client_of(struct vm_area_struct *vma)
{
	return vma->vm_mm->mmu_private;
}

static enum uffd_kind kind_of_flags(unsigned long vm_flags)
{
	return vm_flags & VM_UFFD_ASYNC ? UFFD_ASYNC : UFFD_SYNC;
}

static enum uffd_kind kind_of(const struct vm_area_struct *vma)
{
	return kind_of_flags(vma->vm_flags);
}

/* Readers who try again find the page by themselves, behind their marker. */
static void map_by_waking(struct client *client, enum uffd_kind kind,
			  unsigned long addr, size_t len, bool write)
{
	if (!write || write_protect_range(client, kind, addr, len, 0))
		wake(client, kind, addr, len);
}

/*
 * Return: 0, or -EFAULT. Pages that have a pte already stop CONTINUE, and so
 * does the end of a VMA of the client's kernel, which may have more of them
 * than we (mprotect): then one page at a time.
 */
static int map_by_continuing(struct client *client, enum uffd_kind kind,
			     unsigned long addr, size_t len, bool write)
{
	const unsigned long end = addr + len;
	unsigned long pos = addr;
	bool one_by_one = false, missed = false;
	long done;

	while (pos < end) {
		done = continue_range(client, kind, pos,
				      one_by_one ? PAGE_SIZE : end - pos, write);
		if (done > 0) {
			pos += (unsigned long)done;
			continue;
		}
		if (done == -EFAULT && pos == addr)
			return -EFAULT;
		if (done == -ENOENT && !one_by_one) {
			one_by_one = true;
			continue;
		}
		missed = true;
		if (done != -EEXIST && done != -ENOENT)
			break;
		pos += PAGE_SIZE;
	}
	if (missed)
		wake(client, kind, addr, len);
	return 0;
}

/*
 * As map_by_continuing(). What is there already the client's kernel has mapped
 * by itself, and so what is around; and it will do so where CONTINUE fails. The
 * right to write is not given, for the client's mapping has none.
 */
static int map_unarmed(struct client *client, enum uffd_kind kind,
		       unsigned long addr, size_t len)
{
	const unsigned long end = addr + len;
	unsigned long pos = addr;
	bool missed = false;
	long done = 0;

	while (pos < end && (done >= 0 || done == -EEXIST)) {
		done = continue_range(client, kind, pos, end - pos, true);
		if (done > 0) {
			pos += (unsigned long)done;
			continue;
		}
		if (done == -EFAULT && pos == addr)
			return -EFAULT;
		missed = true;
		pos = ALIGN(pos + 1, AROUND_BYTES);
	}
	if (missed)
		wake(client, kind, addr, len);
	return 0;
}

static int uffd_map(struct vm_area_struct *vma, unsigned long addr,
		    unsigned long nr, bool write)
{
	struct client *client = client_of(vma);
	const enum uffd_kind kind = kind_of(vma);
	const size_t len = nr << PAGE_SHIFT;

	if (!(vma->vm_flags & VM_UFFD_WP)) {
		if (uffd_features.has_continue && nr > 1)
			return map_unarmed(client, kind, addr, len);
		/* its kernel maps it, and others around it */
		wake(client, kind, addr, len);
		return 0;
	}
	if (uffd_features.has_continue)
		return map_by_continuing(client, kind, addr, len, write);
	map_by_waking(client, kind, addr, len, write);
	return 0;
}

static int uffd_protect(struct vm_area_struct *vma, unsigned long addr,
			unsigned long nr)
{
	if (!(vma->vm_flags & VM_UFFD_WP))
		return 0;	/* not writable */
	/* ENOMEM, for one: it may still write, as with EAGAIN. */
	return write_protect_range(client_of(vma), kind_of(vma), addr,
				   nr << PAGE_SHIFT,
				   UFFDIO_WRITEPROTECT_MODE_WP) ? -EAGAIN : 0;
}

static void uffd_unprotect(struct vm_area_struct *vma, unsigned long addr,
			   unsigned long nr)
{
	struct client *client = client_of(vma);
	const size_t len = nr << PAGE_SHIFT;

	/* If it fails they come again. */
	if (write_protect_range(client, kind_of(vma), addr, len, 0))
		wake(client, kind_of(vma), addr, len);
}

static void uffd_wake_vma(struct vm_area_struct *vma, unsigned long addr,
			  unsigned long nr)
{
	wake(client_of(vma), kind_of(vma), addr, nr << PAGE_SHIFT);
}

/* ---- scanning ---- */

#define SCAN_REGIONS	64u	/* pieces one call tells of; arbitrary */

/* I4. Return: as mmu->scan. */
static int check_scan(struct client *client)
{
	/* As in uffd_mm_is_gone(): most likely there is nothing. */
	struct uffdio_writeprotect wp = {
		.range = { .start = PAGE_SIZE, .len = PAGE_SIZE },
		.mode = UFFDIO_WRITEPROTECT_MODE_WP,
	};
	unsigned int nr_unacted;

	if (ioctl(uffd_of(client, UFFD_ASYNC), UFFDIO_WRITEPROTECT, &wp) &&
	    errno != ENOENT)
		return errno == ESRCH ? -ESRCH : -EAGAIN;
	if (!lock_messages(client))
		return -EAGAIN;
	nr_unacted = client->nr_unacted;
	mutex_unlock(&client->msg_lock);
	return nr_unacted ? -EAGAIN : 0;
}

static void note_stored(const struct page_region *regions, long nr,
			unsigned long base, unsigned long *stored)
{
	for (long r = 0; r < nr; r++) {
		unsigned long i = (regions[r].start - base) >> PAGE_SHIFT;
		unsigned long end = (regions[r].end - base) >> PAGE_SHIFT;

		for (; i < end; i++)
			stored[i / BITS_PER_LONG] |= 1UL << (i % BITS_PER_LONG);
	}
}

/* Whatever went wrong: the caller takes it that all was stored to. */
static int scan_failed(struct client *client)
{
	int err = check_scan(client);

	return err ? err : -EAGAIN;
}

static int uffd_scan(struct vm_area_struct *vma, unsigned long addr,
		     unsigned long nr, unsigned long *stored)
{
	struct client *client = client_of(vma);
	struct page_region regions[SCAN_REGIONS];
	struct pm_scan_arg arg = {
		.size = sizeof(arg),
		.flags = PM_SCAN_WP_MATCHING | PM_SCAN_CHECK_WPASYNC,
		.start = addr,
		.end = addr + (nr << PAGE_SHIFT),
		.vec = (uintptr_t)regions,
		.vec_len = SCAN_REGIONS,
		/* Not anyof: see uffd_probe.c (try_absent). */
		.category_mask = PAGE_IS_WRITTEN,
		.return_mask = PAGE_IS_WRITTEN,
	};
	long n;

	while (arg.start < arg.end) {
		arg.walk_end = 0;
		do
			n = ioctl(client->pagemap, PAGEMAP_SCAN, &arg);
		while (n < 0 && errno == EINTR);
		if (n < 0 || arg.walk_end <= arg.start)
			return scan_failed(client);
		note_stored(regions, n, addr, stored);
		arg.start = arg.walk_end;
	}
	return check_scan(client);
}

const struct mmu_ops uffd_mmu_ops = {
	.map = uffd_map,
	.protect = uffd_protect,
	.unprotect = uffd_unprotect,
	.scan = uffd_scan,
	.wake = uffd_wake_vma,
};

/* ---- ranges ---- */

int uffd_register(struct client *client, unsigned long addr, size_t len,
		  unsigned long vm_flags)
{
	struct uffdio_register reg = {
		.range = { .start = addr, .len = len },
		.mode = UFFDIO_REGISTER_MODE_MISSING |
			(vm_flags & VM_UFFD_WP ? UFFDIO_REGISTER_MODE_WP : 0),
	};

	return uffd_call(client, kind_of_flags(vm_flags), UFFDIO_REGISTER, &reg);
}

void uffd_unregister(struct client *client, unsigned long addr, size_t len,
		     unsigned long vm_flags)
{
	struct uffdio_range range = { .start = addr, .len = len };

	uffd_call(client, kind_of_flags(vm_flags), UFFDIO_UNREGISTER, &range);
}

/* Asked by way of a page that most likely is not there: ENOENT. If it is, one
 * write more is noticed. */
bool uffd_mm_is_gone(struct client *client)
{
	struct uffdio_writeprotect wp = {
		.range = { .start = PAGE_SIZE, .len = PAGE_SIZE },
		.mode = UFFDIO_WRITEPROTECT_MODE_WP,
	};

	return ioctl(uffd_of(client, UFFD_SYNC), UFFDIO_WRITEPROTECT, &wp) &&
		errno == ESRCH;
}
