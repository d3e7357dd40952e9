// SPDX-License-Identifier: BSD-2-Clause
/*
 * tests/fs/fclient.c - a client that maps one file of fs/
 *
 * A store looks at its right and writes with the lock held, and who takes the
 * right away needs the lock: as a TLB flush waits for the store under way. A
 * load has the page locked, so that it is in the window all the while: a page
 * that left in between would read as zeros.
 */
#include <errno.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "fclient.h"
#include "window.h"

#define REGION	0x100000000UL	/* arbitrary: nothing is ever there */

static unsigned int page_of(const struct fclient *c, unsigned long addr)
{
	return (addr - c->addr) >> PAGE_SHIFT;
}

static void set_rights(struct vm_area_struct *vma, unsigned long addr,
		       unsigned long nr, bool may_write)
{
	struct fclient *c = vma->vm_mm->mmu_private;

	pthread_mutex_lock(&c->lock);
	for (unsigned long i = 0; i < nr; i++)
		c->may_write[page_of(c, addr) + i] = may_write;
	pthread_mutex_unlock(&c->lock);
}

static int op_map(struct vm_area_struct *vma, unsigned long addr,
		  unsigned long nr, bool write)
{
	if (write)
		set_rights(vma, addr, nr, true);
	return 0;
}

static int op_protect(struct vm_area_struct *vma, unsigned long addr,
		      unsigned long nr)
{
	set_rights(vma, addr, nr, false);
	return 0;
}

static void op_unprotect(struct vm_area_struct *vma, unsigned long addr,
			 unsigned long nr)
{
	set_rights(vma, addr, nr, true);
}

static void op_wake(struct vm_area_struct *vma, unsigned long addr,
		    unsigned long nr)
{
	(void)vma, (void)addr, (void)nr;
}

static const struct mmu_ops fclient_ops = {
	.map		= op_map,
	.protect	= op_protect,
	.unprotect	= op_unprotect,
	.wake		= op_wake,
};

void fclient_map(struct fclient *c, struct vm_file *file, size_t len,
		 unsigned long vm_flags)
{
	memset(c, 0, sizeof(*c));
	BUG_ON(len > FCLIENT_PAGES * PAGE_SIZE);
	BUG_ON(pthread_mutex_init(&c->lock, NULL));
	c->file = file;
	c->len = len;
	c->mm = mm_alloc(getpid(), REGION, REGION + FCLIENT_PAGES * PAGE_SIZE,
			 &fclient_ops, c);
	BUG_ON(!c->mm);
	BUG_ON(IS_ERR(mapping_window(file->f_mapping)));
	BUG_ON(do_mmap(c->mm, file, 0, len, VM_READ | VM_SHARED | vm_flags, 0,
		       0, &c->addr));
	BUG_ON(mmap_arm(c->mm, c->addr, len));
	put_vm_file(file);
}

bool fclient_map_inode(struct fclient *c, struct inode *inode, bool writable,
		       size_t len)
{
	struct vm_file *file;

	if (inode_get_vm_file(inode, writable, &file))
		return false;
	fclient_map(c, file, len, writable ? VM_WRITE : 0);
	return true;
}

void fclient_unmap(struct fclient *c)
{
	BUG_ON(do_munmap(c->mm, c->addr, c->len));
	mmput(c->mm);
	pthread_mutex_destroy(&c->lock);
}

static int window_fd(const struct fclient *c)
{
	return atomic_load(&c->file->f_mapping->window)->fd;
}

static bool page_is_there(const struct fclient *c, loff_t pos)
{
	pos = ALIGN_DOWN(pos, (loff_t)PAGE_SIZE);
	return lseek(window_fd(c), pos, SEEK_DATA) == pos;
}

/* False: SIGBUS. As by a kernel, where the window ends. */
static bool fault(struct fclient *c, loff_t pos, unsigned int flags)
{
	unsigned long addr = c->addr + ALIGN_DOWN((size_t)pos, PAGE_SIZE);

	pthread_mutex_lock(&c->lock);
	c->nr_faults++;
	pthread_mutex_unlock(&c->lock);
	if (pos >= ALIGN(i_size_read(c->file->f_mapping), (loff_t)PAGE_SIZE))
		return false;
	return !(handle_mm_fault(c->mm, addr, flags) & VM_FAULT_ERROR);
}

bool fclient_store(struct fclient *c, loff_t pos, const void *buf, size_t len)
{
	bool done;

	for (;;) {
		pthread_mutex_lock(&c->lock);
		done = c->may_write[pos >> PAGE_SHIFT] && page_is_there(c, pos);
		if (done)
			BUG_ON(pwrite(window_fd(c), buf, len, pos) !=
			       (ssize_t)len);
		pthread_mutex_unlock(&c->lock);
		if (done)
			return true;
		if (!fault(c, pos, FAULT_FLAG_WRITE))
			return false;
	}
}

/* False: it is not in the window. */
static bool load_there(struct fclient *c, loff_t pos, void *buf, size_t len)
{
	struct page *page = find_lock_page(c->file->f_mapping,
					   pos >> PAGE_SHIFT);
	bool there = page && PageWindow(page);

	if (there)
		BUG_ON(pread(window_fd(c), buf, len, pos) != (ssize_t)len);
	if (page) {
		unlock_page(page);
		put_page(page);
	}
	return there;
}

bool fclient_load(struct fclient *c, loff_t pos, void *buf, size_t len)
{
	while (!load_there(c, pos, buf, len))
		if (!fault(c, pos, 0))
			return false;
	return true;
}

bool fclient_has(struct fclient *c, loff_t pos, const void *want, size_t len)
{
	char buf[PAGE_SIZE];

	return fclient_load(c, pos, buf, len) && !memcmp(buf, want, len);
}

bool fclient_may_write(struct fclient *c, loff_t pos)
{
	bool may;

	pthread_mutex_lock(&c->lock);
	may = c->may_write[pos >> PAGE_SHIFT] && page_is_there(c, pos);
	pthread_mutex_unlock(&c->lock);
	return may;
}

void wait_for_tick(void)
{
	struct timespec then, now;

	clock_gettime(CLOCK_REALTIME_COARSE, &then);
	do {
		usleep(1000);
		clock_gettime(CLOCK_REALTIME_COARSE, &now);
	} while (timespec_equal(&then, &now));
}
