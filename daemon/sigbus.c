// SPDX-License-Identifier: BSD-2-Clause
/*
 * daemon/sigbus.c - faults that cannot be served
 *
 *   absent page      poison it: SIGBUS, or EFAULT from a system call
 *                      | after a second, and ever more seldom: fault again
 *                      v ourselves; that works: CONTINUE makes it a page
 *   write to a page  a signal to the thread, which is not woken: the signal
 *   that can be read   ends its wait, and it faults again after the handler
 *
 * A poisoned page stays so until a page is mapped over it: nothing else takes
 * the poison away but unmapping (tried on Linux 6.18: write-protecting,
 * unprotecting, punching the file, registering anew). So each is kept in a
 * table and tried until it can be had. When the table is full, and where the
 * kernel has no UFFDIO_POISON, it is the signal in all cases.
 *
 * B1. Only a pte without a marker can be poisoned, so the marker goes first.
 *     For an instant the page's first write would not be noticed. If the page
 *     came up just then the poison is refused (EEXIST), and it counts as
 *     written to.
 * B2. A thread in a system call does not take the signal; it faults again and
 *     again, at full speed. Whoever fails a second time in the same place has
 *     the file's pages taken out of the window, which leaves an absent page,
 *     and that can be poisoned.
 * B3. Several threads may be failing in one place: an entry of the table is
 *     taken out only when the page is known not to be poisoned.
 *
 * Locks: poisoned.lock, a leaf.
 */
#include <errno.h>
#include <string.h>
#include <time.h>
#include <unistd.h>
#include <sys/syscall.h>

#include "internal.h"
#include "uffd_abi.h"
#include "window.h"

#define MAX_POISONED	1024u	/* pages; arbitrary */
#define FIRST_RETRY_S	1u
#define LAST_RETRY_S	16u	/* arbitrary: what a broken disk is bothered with */

/* Fields: all under poisoned.lock; (A) atomic besides. */
struct poisoned_page {
	uint64_t client;	/* its id; 0 with addr 0: free */
	unsigned long addr;
	time_t next;		/* when to try again; seconds */
	unsigned int wait;	/* seconds; doubles */
};

static struct {
	struct mutex lock;
	struct poisoned_page pages[MAX_POISONED];
	atomic_uint nr;		/* (A) */
} poisoned = { .lock = MUTEX_INITIALIZER(LOCK_LEAF) };

static struct log_limit failure_limit;

static time_t seconds(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC_COARSE, &ts);
	return ts.tv_sec;
}

/* ---- the table ---- */

/* Context: poisoned.lock. */
static struct poisoned_page *find_page(uint64_t client, unsigned long addr)
{
	for (unsigned int i = 0; i < MAX_POISONED; i++)
		if (poisoned.pages[i].addr == addr &&
		    poisoned.pages[i].client == client)
			return &poisoned.pages[i];
	return NULL;
}

/* Return: 0; -EEXIST: it is known already; -ENOSPC. */
static int remember(struct client *client, unsigned long addr)
{
	struct poisoned_page *page;
	bool known;

	mutex_lock(&poisoned.lock);
	page = find_page(client->id, addr);
	known = page;
	if (!known) {
		page = find_page(0, 0);
		if (page)
			atomic_fetch_add(&poisoned.nr, 1);
	}
	if (page)
		*page = (struct poisoned_page){
			.client = client->id,
			.addr = addr,
			.wait = FIRST_RETRY_S,
			.next = seconds() + FIRST_RETRY_S,
		};
	mutex_unlock(&poisoned.lock);
	if (known)
		return -EEXIST;
	return page ? 0 : -ENOSPC;
}

static void forget(uint64_t client, unsigned long addr)
{
	struct poisoned_page *page;

	mutex_lock(&poisoned.lock);
	page = find_page(client, addr);
	if (page) {
		memset(page, 0, sizeof(*page));
		atomic_fetch_sub(&poisoned.nr, 1);
	}
	mutex_unlock(&poisoned.lock);
}

/* One that is due, and its next turn. Return: false: none. */
static bool next_due(uint64_t *client, unsigned long *addr)
{
	time_t now = seconds();
	bool found = false;

	mutex_lock(&poisoned.lock);
	for (unsigned int i = 0; i < MAX_POISONED && !found; i++) {
		struct poisoned_page *page = &poisoned.pages[i];

		if (!page->addr || page->next > now)
			continue;
		page->wait = min(2 * page->wait, LAST_RETRY_S);
		page->next = now + page->wait;
		*client = page->client;
		*addr = page->addr;
		found = true;
	}
	mutex_unlock(&poisoned.lock);
	return found;
}

bool sigbus_pending(void)
{
	return atomic_load(&poisoned.nr);
}

void sigbus_exit(void)
{
	mutex_lock(&poisoned.lock);
	memset(poisoned.pages, 0, sizeof(poisoned.pages));
	atomic_store(&poisoned.nr, 0);
	mutex_unlock(&poisoned.lock);
}

/* ---- trying again ---- */

/* The file that is mapped at @addr, referenced, or NULL. */
static struct vm_file *file_at(struct client *client, unsigned long addr)
{
	struct mm_struct *mm = client->mm;
	struct vm_area_struct *vma;
	struct vm_file *file = NULL;

	down_read(&mm->mmap_lock);
	vma = find_vma(mm, addr);
	if (vma && vma->vm_start <= addr) {
		file = vma->vm_file;
		get_vm_file(file);
	}
	up_read(&mm->mmap_lock);
	return file;
}

static bool is_unmapped(struct client *client, unsigned long addr)
{
	struct vm_file *file = file_at(client, addr);

	if (file)
		put_vm_file(file);
	return !file;
}

/* Return: whether the page is no longer poisoned, or no longer ours. */
static bool heal_page(struct client *client, unsigned long addr)
{
	vm_fault_t ret = handle_mm_fault(client->mm, addr, 0);
	int err;

	if (ret & VM_FAULT_SIGSEGV)	/* or it may not be read just now */
		return is_unmapped(client, addr);
	if (ret & VM_FAULT_ERROR)
		return false;
	/* handle_mm_fault() may have believed that the client has it. */
	err = uffd_continue(client, addr);
	return !err || err == -EEXIST || err == -ENOENT || err == -ESRCH;
}

void sigbus_retry(void)
{
	struct client *client;
	unsigned long addr;
	uint64_t id;

	while (next_due(&id, &addr)) {
		client = client_get_by_id(id);
		if (!client || heal_page(client, addr))
			forget(id, addr);
		if (client)
			client_put(client);
	}
}

/* Are stores there scanned for? Then arming would hide them. */
static bool is_async(struct client *client, unsigned long addr)
{
	struct mm_struct *mm = client->mm;
	struct vm_area_struct *vma;
	bool async;

	down_read(&mm->mmap_lock);
	vma = find_vma(mm, addr);
	async = vma && vma->vm_start <= addr && (vma->vm_flags & VM_UFFD_ASYNC);
	up_read(&mm->mmap_lock);
	return async;
}

/* ---- failing ---- */

/* B1. Return: 0, or what the kernel said. */
static int poison_absent(struct client *client, unsigned long addr)
{
	int err = uffd_poison(client, addr);

	if (err != -EEXIST)
		return err;
	err = uffd_disarm(client, addr);
	if (!err)
		err = uffd_poison(client, addr);
	if (!err)
		return 0;
	/* Where stores are scanned for it now looks stored to: no harm. */
	if (!is_async(client, addr))
		uffd_arm(client, addr);
	if (err == -EEXIST &&
	    !(handle_mm_fault(client->mm, addr, FAULT_FLAG_WRITE |
			      FAULT_FLAG_WP) & VM_FAULT_ERROR))
		return 0;
	return err;
}

/*
 * B3: the next try finds out what is in the table and not poisoned.
 * Return: whether the thread's wait has ended.
 */
static bool poison_page(struct client *client, unsigned long addr)
{
	bool known;
	int err;

	if (!uffd_features.has_poison)
		return false;
	err = remember(client, addr);
	if (err == -ENOSPC)
		return false;
	known = err == -EEXIST;
	err = poison_absent(client, addr);
	if (!err)
		return true;
	if (err == -ENOENT || err == -ESRCH)	/* it is not ours any more */
		forget(client->id, addr);
	else if (err != -EEXIST || !known)
		return false;
	/* Or another thread has been faster: it is poisoned, see for yourself. */
	uffd_wake(client, addr, PAGE_SIZE);
	return true;
}

/* B2 */
static bool poison_present(struct client *client, unsigned long addr)
{
	struct vm_file *file = file_at(client, addr);
	bool done;

	if (!file)
		return false;
	window_demote_all(file->f_mapping);
	done = poison_page(client, addr);
	put_vm_file(file);
	return done;
}

/* As the kernel would, with the address; only the code says who sent it. */
static void send_signal(struct client *client, uint32_t tid, int sig,
			unsigned long addr)
{
	siginfo_t info = { .si_signo = sig, .si_code = SI_QUEUE };

	info.si_addr = (void *)addr;	/* where si_pid and si_uid would be */
	syscall(SYS_rt_tgsigqueueinfo, client->pid, tid, sig, &info);
}

static const char *describe(vm_fault_t ret)
{
	if (ret & VM_FAULT_SIGSEGV)
		return "nothing of ours is mapped there";
	return ret & VM_FAULT_OOM ? "out of memory" : "I/O error, or no space";
}

void fault_failed(struct client *client, const struct uffd_msg *msg,
		  vm_fault_t ret)
{
	const unsigned long addr = msg->arg.pagefault.address & PAGE_MASK;
	const uint32_t tid = msg->arg.pagefault.feat.ptid;
	const bool wp = msg->arg.pagefault.flags & UFFD_PAGEFAULT_FLAG_WP;
	const uint64_t where = addr ^ (uint64_t)tid << 32;
	bool again = atomic_exchange(&client->last_failure, where) == where;

	if (log_allowed(&failure_limit))
		log_msg(LOG_ERR, "client %d: fault at %#lx: %s", client->pid,
			addr, describe(ret));
	if (!wp && poison_page(client, addr))
		return;
	if (wp && again && poison_present(client, addr))
		return;
	/* Unmapped while the message was under way: it will see for itself. */
	if ((ret & VM_FAULT_SIGSEGV) && !is_async(client, addr) &&
	    uffd_arm(client, addr) == -ENOENT) {
		uffd_wake(client, addr, PAGE_SIZE);
		return;
	}
	send_signal(client, tid, ret & VM_FAULT_SIGSEGV ? SIGSEGV : SIGBUS, addr);
}
