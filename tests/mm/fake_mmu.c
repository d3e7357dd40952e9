// SPDX-License-Identifier: BSD-2-Clause
/*
 * tests/mm/fake_mmu.c - the hardware and kernel of clients; see fake_mmu.h
 *
 *   access ---> hw_try() --message--> handle_mm_fault() ---> hw_map(), ...
 *                                                               |
 *   mm/: fallocate, ftruncate --wrap--> hw_zap() <--------------+ fake_page
 *
 * H1. A fake_page changes under its client's lock only, and an access is made
 *     under it: it comes wholly before or wholly after a call of mmu_ops.
 * H2. What takes pages out of a memfd is done with every client stopped, so a
 *     present pte's page is in the memfd.
 * H3. A thread whose fault ends without an error must have been woken in the
 *     meantime, by whomever.
 *
 * The hardware's view of a memfd is a mapping; it is touched only where a page
 * is known to be, since a read of a hole would plant one.
 *
 * Locks: mm/'s locks > clients_lock > client->lock, lowest in the list first.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <unistd.h>

#include "fake_mmu_i.h"
#include "harness.h"

/*
 * Messages one access may need. Beside a thread that demotes as fast as it can
 * a page may go again before it is touched; alone, four are plenty.
 */
#define MAX_MESSAGES	100000

pthread_mutex_t clients_lock = PTHREAD_MUTEX_INITIALIZER;
struct list_head clients = LIST_HEAD_INIT(clients);
struct list_head mapped_files = LIST_HEAD_INIT(mapped_files);

static atomic_uint nr_violations;
static const char *_Atomic first_violation;

struct fake_waiter {
	struct list_head link;
	unsigned long addr;		/* of the page */
	bool woken;
};

void fake_mmu_violation(const char *what)
{
	if (!atomic_fetch_add(&nr_violations, 1))
		atomic_store(&first_violation, what);
}

unsigned int fake_mmu_violations(void)
{
	unsigned int nr = atomic_exchange(&nr_violations, 0);

	if (nr)
		printf("# fake mmu: %s (first of %u)\n",
		       atomic_load(&first_violation), nr);
	return nr;
}

/* ---- the memfd ---- */

bool memfd_has(const struct fake_mapped *m, pgoff_t pgoff)
{
	off_t pos = (off_t)pgoff << PAGE_SHIFT;

	return lseek(m->window->fd, pos, SEEK_DATA) == pos;
}

static bool memfd_reaches(const struct fake_mapped *m, pgoff_t pgoff)
{
	struct stat st;

	BUG_ON(fstat(m->window->fd, &st));
	return (off_t)pgoff < (off_t)(st.st_size >> PAGE_SHIFT);
}

/* ---- ptes. Context: client->lock ---- */

enum hw_event { HW_DONE, HW_MISSING, HW_PROTECTED, HW_SEGV, HW_BUS };

static void hw_map_native(struct fake_page *p)
{
	if (p->hw & HW_WP)
		p->hw |= HW_PRESENT;
	else if (p->shared && (p->prot & VM_WRITE))
		p->hw = HW_PRESENT | HW_WRITE;	/* shmem: also for a read */
	else
		p->hw = HW_PRESENT;
}

static enum hw_event hw_try(struct fake_page *p, bool write)
{
	if (!p->file || !(p->prot & (write ? VM_WRITE : VM_READ | VM_WRITE)))
		return HW_SEGV;
	if (!(p->hw & HW_PRESENT)) {
		if (!memfd_reaches(p->file, p->pgoff))
			return HW_BUS;
		if (!memfd_has(p->file, p->pgoff))
			return HW_MISSING;
		hw_map_native(p);
	}
	if (!write || (p->hw & HW_WRITE))
		return HW_DONE;
	if ((p->hw & HW_WP) && !p->async)
		return HW_PROTECTED;
	p->hw = HW_PRESENT | HW_WRITE;
	return HW_DONE;
}

/* The memfd's page has gone, or the pte by itself. */
static void hw_zap_page(struct fake_page *p)
{
	if (p->hw & HW_PRESENT)
		p->hw = (p->hw & HW_WRITE) ? 0 : p->hw & HW_WP;
}

void fake_reclaim(struct fake_client *c, unsigned long addr)
{
	pthread_mutex_lock(&c->lock);
	hw_zap_page(fake_page_at(c, addr));
	pthread_mutex_unlock(&c->lock);
}

/* ---- calls that take pages out of a window, seen by the linker's --wrap ---- */

int __real_fallocate(int fd, int mode, off_t pos, off_t len);
int __real_ftruncate(int fd, off_t size);
ssize_t __real_pwrite(int fd, const void *buf, size_t len, off_t pos);
ssize_t __real_pwritev(int fd, const struct iovec *iov, int nr, off_t pos);
ssize_t __real_pread(int fd, void *buf, size_t len, off_t pos);
ssize_t __real_preadv(int fd, const struct iovec *iov, int nr, off_t pos);
int __wrap_fallocate(int fd, int mode, off_t pos, off_t len);
int __wrap_ftruncate(int fd, off_t size);
ssize_t __wrap_pwrite(int fd, const void *buf, size_t len, off_t pos);
ssize_t __wrap_pwritev(int fd, const struct iovec *iov, int nr, off_t pos);
ssize_t __wrap_pread(int fd, void *buf, size_t len, off_t pos);
ssize_t __wrap_preadv(int fd, const struct iovec *iov, int nr, off_t pos);

/* Context: clients_lock. */
static struct fake_mapped *mapped_of_fd(int fd)
{
	struct fake_mapped *m;

	list_for_each_entry(m, &mapped_files, link)
		if (m->window && m->window->fd == fd)
			return m;
	return NULL;
}

/* NULL: not a window that a client has. Else with all clients stopped. */
static struct fake_mapped *stop_clients_of(int fd)
{
	struct fake_mapped *m;
	struct fake_client *c;

	pthread_mutex_lock(&clients_lock);
	m = mapped_of_fd(fd);
	if (!m) {
		pthread_mutex_unlock(&clients_lock);
		return NULL;
	}
	list_for_each_entry(c, &clients, link)
		pthread_mutex_lock(&c->lock);
	return m;
}

static void start_clients(void)
{
	struct fake_client *c;

	list_for_each_entry(c, &clients, link)
		pthread_mutex_unlock(&c->lock);
	pthread_mutex_unlock(&clients_lock);
}

/* Context: clients stopped. */
static void hw_zap(const struct fake_mapped *m, pgoff_t first, pgoff_t end)
{
	struct fake_client *c;

	list_for_each_entry(c, &clients, link) {
		for (unsigned long i = 0; i < c->nr; i++) {
			struct fake_page *p = &c->pages[i];

			if (p->file == m && p->pgoff >= first && p->pgoff < end)
				hw_zap_page(p);
		}
	}
}

int __wrap_fallocate(int fd, int mode, off_t pos, off_t len)
{
	struct fake_mapped *m = stop_clients_of(fd);
	int ret;

	if (m && (!(mode & FALLOC_FL_PUNCH_HOLE) || (pos | len) & ~PAGE_MASK))
		fake_mmu_violation("a window is punched in part of a page");
	ret = __real_fallocate(fd, mode, pos, len);
	if (m) {
		int err = errno;

		if (!ret)
			hw_zap(m, pos >> PAGE_SHIFT, (pos + len) >> PAGE_SHIFT);
		start_clients();
		errno = err;
	}
	return ret;
}

int __wrap_ftruncate(int fd, off_t size)
{
	struct fake_mapped *m = stop_clients_of(fd);
	int ret;

	if (m && size & ~PAGE_MASK)
		fake_mmu_violation("a window's size is not whole pages");
	ret = __real_ftruncate(fd, size);
	if (m) {
		int err = errno;

		if (!ret)
			hw_zap(m, size >> PAGE_SHIFT, ~0UL);
		start_clients();
		errno = err;
	}
	return ret;
}

static atomic_uint write_fails_in;

void fake_window_fail_nth(unsigned int nth)
{
	atomic_store(&write_fails_in, nth);
}

static bool window_write_fails(void)
{
	unsigned int in = atomic_load(&write_fails_in);

	while (in && !atomic_compare_exchange_weak(&write_fails_in, &in, in - 1))
		;
	return in == 1;
}

/* Part of a page may be written only where there is one. */
static void check_write(struct fake_mapped *m, off_t pos, size_t len)
{
	off_t end = pos + (off_t)len;

	/* A file that has just grown is followed by its window a bit later. */
	if (!memfd_reaches(m, (pgoff_t)(end - 1) >> PAGE_SHIFT) &&
	    end > ALIGN(i_size_read(m->mapping), (off_t)PAGE_SIZE))
		fake_mmu_violation("a window is written past the file's end");
	if ((pos & ~PAGE_MASK) && !memfd_has(m, pos >> PAGE_SHIFT))
		fake_mmu_violation("part of an absent page is written");
	if ((end & ~PAGE_MASK) && !memfd_has(m, end >> PAGE_SHIFT))
		fake_mmu_violation("part of an absent page is written");
}

static void check_read(struct fake_mapped *m, off_t pos, size_t len)
{
	for (off_t at = pos & (off_t)PAGE_MASK; at < pos + (off_t)len;
	     at += PAGE_SIZE)
		if (!memfd_has(m, at >> PAGE_SHIFT) && !m->foreign)
			fake_mmu_violation("a hole of the window is read");
}

static struct fake_mapped *lookup_fd(int fd)
{
	struct fake_mapped *m;

	pthread_mutex_lock(&clients_lock);
	m = mapped_of_fd(fd);
	pthread_mutex_unlock(&clients_lock);
	return m;
}

static size_t iov_bytes(const struct iovec *iov, int nr)
{
	size_t len = 0;

	for (int i = 0; i < nr; i++)
		len += iov[i].iov_len;
	return len;
}

/* The kernel runs out of memory on the way: what it got done is said. */
static ssize_t write_half(int fd, const struct iovec *iov, int nr, off_t pos)
{
	size_t len = (iov_bytes(iov, nr) / 2) & PAGE_MASK;

	len = min(len, iov[0].iov_len);
	if (len)
		return __real_pwrite(fd, iov[0].iov_base, len, pos);
	errno = ENOMEM;
	return -1;
}

ssize_t __wrap_pwritev(int fd, const struct iovec *iov, int nr, off_t pos)
{
	struct fake_mapped *m = lookup_fd(fd);

	if (m)
		check_write(m, pos, iov_bytes(iov, nr));
	if (m && window_write_fails())
		return write_half(fd, iov, nr, pos);
	return __real_pwritev(fd, iov, nr, pos);
}

ssize_t __wrap_pwrite(int fd, const void *buf, size_t len, off_t pos)
{
	struct iovec iov = { (void *)buf, len };

	return __wrap_pwritev(fd, &iov, 1, pos);
}

ssize_t __wrap_preadv(int fd, const struct iovec *iov, int nr, off_t pos)
{
	struct fake_mapped *m = lookup_fd(fd);

	if (m)
		check_read(m, pos, iov_bytes(iov, nr));
	return __real_preadv(fd, iov, nr, pos);
}

ssize_t __wrap_pread(int fd, void *buf, size_t len, off_t pos)
{
	struct iovec iov = { buf, len };

	return __wrap_preadv(fd, &iov, 1, pos);
}

/* ---- mmu_ops ---- */

/* Locks the client. NULL: it is dead. */
static struct fake_client *call_begin(struct vm_area_struct *vma,
				      struct fake_call call)
{
	struct fake_client *c = vma->vm_mm->mmu_private;

	if (!call.nr || call.addr & ~PAGE_MASK || call.addr < vma->vm_start ||
	    call.addr + call.nr * PAGE_SIZE > vma->vm_end)
		fake_mmu_violation("a range is not within the VMA");
	if (call.write && !(vma->vm_flags & VM_WRITE))
		fake_mmu_violation("the right to write, in a VMA without it");
	pthread_mutex_lock(&c->lock);
	if (c->dead) {
		pthread_mutex_unlock(&c->lock);
		return NULL;
	}
	if (c->nr_calls < FAKE_CALLS)
		c->calls[c->nr_calls] = call;
	c->nr_calls++;
	return c;
}

/* The fake_page, or NULL if the client has unmapped it behind our back. */
static struct fake_page *page_of(struct fake_client *c,
				 struct vm_area_struct *vma, unsigned long addr)
{
	struct fake_page *p = fake_page_at(c, addr);

	if (!p->file)
		return NULL;
	if (p->file->mapping != vma->vm_file->f_mapping ||
	    p->pgoff != linear_page_index(vma, addr))
		fake_mmu_violation("the VMA is not what the client has there");
	return p;
}

static void wake_range(struct fake_client *c, unsigned long addr,
		       unsigned long nr)
{
	struct fake_waiter *w;

	list_for_each_entry(w, &c->waiters, link)
		if (w->addr >= addr && w->addr < addr + nr * PAGE_SIZE)
			w->woken = true;
}

static void hw_map_page(struct fake_page *p, bool write)
{
	if (p->hw & HW_PRESENT)
		return;
	if (!p->wp)
		p->hw = HW_PRESENT;
	else if (!write)
		p->hw = HW_PRESENT | HW_WP;
	else
		p->hw = HW_PRESENT | ((p->prot & VM_WRITE) ? HW_WRITE : 0);
}

static int hw_map(struct vm_area_struct *vma, unsigned long addr,
		  unsigned long nr, bool write)
{
	struct fake_client *c = call_begin(vma,
		(struct fake_call){ CALL_MAP, addr, nr, write });
	unsigned long i;

	if (!c)
		return 0;
	if (c->other_there) {
		c->other_there--;
		pthread_mutex_unlock(&c->lock);
		return -EFAULT;
	}
	for (i = 0; i < nr; i++) {
		struct fake_page *p = page_of(c, vma, addr + i * PAGE_SIZE);

		if (p && !memfd_has(p->file, p->pgoff))
			break;
		if (p)
			hw_map_page(p, write);
	}
	wake_range(c, addr, i);
	pthread_mutex_unlock(&c->lock);
	return i ? 0 : -EFAULT;
}

/* Context: client->lock. */
static bool protect_fails(struct fake_client *c)
{
	if (c->protect_fails) {
		c->protect_fails--;
		return true;
	}
	return c->protect_per_mille &&
	       test_rand(&c->rand) % 1000 < c->protect_per_mille;
}

static int hw_protect(struct vm_area_struct *vma, unsigned long addr,
		      unsigned long nr)
{
	struct fake_client *c = call_begin(vma,
		(struct fake_call){ CALL_PROTECT, addr, nr, false });
	bool fails;

	if (!c)
		return 0;
	fails = protect_fails(c);
	if (fails)
		nr /= 2;	/* it may have got somewhere */
	for (unsigned long i = 0; i < nr; i++) {
		struct fake_page *p = page_of(c, vma, addr + i * PAGE_SIZE);

		if (p && p->wp)
			p->hw = (p->hw & HW_PRESENT) | HW_WP;
	}
	pthread_mutex_unlock(&c->lock);
	return fails ? -EAGAIN : 0;
}

static void hw_unprotect(struct vm_area_struct *vma, unsigned long addr,
			 unsigned long nr)
{
	struct fake_client *c = call_begin(vma,
		(struct fake_call){ CALL_UNPROTECT, addr, nr, true });

	if (!c)
		return;
	for (unsigned long i = 0; i < nr; i++) {
		struct fake_page *p = page_of(c, vma, addr + i * PAGE_SIZE);

		if (p)
			p->hw &= ~HW_WP;	/* a marker goes as well */
	}
	wake_range(c, addr, nr);
	pthread_mutex_unlock(&c->lock);
}

/* What it has unmapped behind our back it knows nothing of any more. */
static int hw_scan(struct vm_area_struct *vma, unsigned long addr,
		   unsigned long nr, unsigned long *stored)
{
	struct fake_client *c = call_begin(vma,
		(struct fake_call){ CALL_SCAN, addr, nr, false });
	int err = 0;

	if (!c)
		return -ESRCH;
	if (protect_fails(c)) {
		nr /= 2;
		err = -EAGAIN;
	}
	for (unsigned long i = 0; i < nr; i++) {
		struct fake_page *p = page_of(c, vma, addr + i * PAGE_SIZE);

		if (!p) {
			err = -EAGAIN;
			continue;
		}
		if (!p->async)
			fake_mmu_violation("what sends messages is scanned");
		if (!(p->hw & HW_WP))
			stored[i / BITS_PER_LONG] |= 1UL << (i % BITS_PER_LONG);
		p->hw = (p->hw & HW_PRESENT) | HW_WP;
	}
	pthread_mutex_unlock(&c->lock);
	return err;
}

static void hw_wake(struct vm_area_struct *vma, unsigned long addr,
		    unsigned long nr)
{
	struct fake_client *c = call_begin(vma,
		(struct fake_call){ CALL_WAKE, addr, nr, false });

	if (!c)
		return;
	wake_range(c, addr, nr);
	pthread_mutex_unlock(&c->lock);
}

const struct mmu_ops fake_mmu_ops = {
	.map = hw_map,
	.protect = hw_protect,
	.unprotect = hw_unprotect,
	.scan = hw_scan,
	.wake = hw_wake,
};

/* ---- accesses ---- */

enum access_op { OP_LOAD, OP_STORE, OP_ADD };

/* Context: client->lock, the pte allows it (H2). */
static void hw_perform(const struct fake_page *p, unsigned long addr,
		       enum access_op op, uint64_t *val)
{
	uint64_t *at = (uint64_t *)(p->bytes + (addr & ~PAGE_MASK));

	if (!memfd_has(p->file, p->pgoff)) {
		fake_mmu_violation("a present pte has no page");
		return;
	}
	switch (op) {
	case OP_LOAD:
		*val = __atomic_load_n(at, __ATOMIC_SEQ_CST);
		break;
	case OP_STORE:
		__atomic_store_n(at, *val, __ATOMIC_SEQ_CST);
		break;
	case OP_ADD:
		__atomic_fetch_add(at, *val, __ATOMIC_SEQ_CST);
		break;
	}
}

/* As a fault thread does that keeps faults while it reads their pages. */
static vm_fault_t handle_in_two_steps(struct fake_client *c,
				      const struct fake_waiter *w,
				      unsigned int flags)
{
	struct page *page;
	vm_fault_t ret = handle_mm_fault_nowait(c->mm, w->addr, flags, &page);

	if (ret & VM_FAULT_FALLBACK)
		return handle_mm_fault(c->mm, w->addr, flags);
	if (!page)
		return ret;
	put_page(page);
	blk_flush_plug();
	return handle_mm_fault(c->mm, w->addr, flags | FAULT_FLAG_TRIED);
}

/* The kernel's message and the wait for its end. Context: client->lock, which
 * is dropped meanwhile. */
static vm_fault_t send_message(struct fake_client *c, unsigned long addr,
			       unsigned int flags)
{
	struct fake_waiter w = { .addr = addr & PAGE_MASK };
	vm_fault_t ret;
	bool two_steps;

	list_add(&w.link, &c->waiters);
	two_steps = c->nr_messages++ % 2;
	pthread_mutex_unlock(&c->lock);
	if (two_steps)
		ret = handle_in_two_steps(c, &w, flags);
	else
		ret = handle_mm_fault(c->mm, w.addr, flags);
	pthread_mutex_lock(&c->lock);
	list_del(&w.link);
	if (!(ret & VM_FAULT_ERROR) && !w.woken)
		fake_mmu_violation("a thread was left waiting");	/* H3 */
	return ret;
}

static enum fake_result fault_result(vm_fault_t ret)
{
	if (ret & VM_FAULT_SIGBUS)
		return FAKE_SIGBUS;
	if (ret & VM_FAULT_SIGSEGV)
		return FAKE_SIGSEGV;
	return (ret & VM_FAULT_OOM) ? FAKE_OOM : FAKE_OK;
}

/* Context: client->lock. */
static enum fake_result hw_access(struct fake_client *c, unsigned long addr,
				  enum access_op op, uint64_t *val)
{
	struct fake_page *p = fake_page_at(c, addr);
	unsigned int flags = op == OP_LOAD ? 0 : FAULT_FLAG_WRITE;
	enum fake_result res = FAKE_OK;

	for (int i = 0; i < MAX_MESSAGES && res == FAKE_OK; i++) {
		switch (hw_try(p, flags)) {
		case HW_DONE:
			hw_perform(p, addr, op, val);
			return FAKE_OK;
		case HW_SEGV:
			return FAKE_SIGSEGV;
		case HW_BUS:
			return FAKE_SIGBUS;
		case HW_MISSING:
			res = fault_result(send_message(c, addr, flags));
			break;
		case HW_PROTECTED:
			res = fault_result(send_message(c, addr, flags |
							FAULT_FLAG_WP));
			break;
		}
	}
	if (res != FAKE_OK)
		return res;
	fake_mmu_violation("an access makes no progress");
	return FAKE_STUCK;
}

static enum fake_result client_access(struct fake_client *c, unsigned long addr,
				      enum access_op op, uint64_t *val)
{
	enum fake_result res;

	BUG_ON(addr & 7 || addr < c->base ||
	       addr >= c->base + c->nr * PAGE_SIZE);
	pthread_mutex_lock(&c->lock);
	res = hw_access(c, addr, op, val);
	pthread_mutex_unlock(&c->lock);
	return res;
}

enum fake_result fake_load(struct fake_client *c, unsigned long addr,
			   uint64_t *val)
{
	return client_access(c, addr, OP_LOAD, val);
}

enum fake_result fake_store(struct fake_client *c, unsigned long addr,
			    uint64_t val)
{
	return client_access(c, addr, OP_STORE, &val);
}

enum fake_result fake_add(struct fake_client *c, unsigned long addr,
			  uint64_t val)
{
	return client_access(c, addr, OP_ADD, &val);
}

vm_fault_t fake_message(struct fake_client *c, unsigned long addr,
			unsigned int flags)
{
	vm_fault_t ret;

	pthread_mutex_lock(&c->lock);
	ret = send_message(c, addr, flags);
	pthread_mutex_unlock(&c->lock);
	return ret;
}

bool fake_can(struct fake_client *c, unsigned long addr, bool write)
{
	bool can;

	pthread_mutex_lock(&c->lock);
	can = hw_try(fake_page_at(c, addr), write) == HW_DONE;
	pthread_mutex_unlock(&c->lock);
	return can;
}
