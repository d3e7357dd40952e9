// SPDX-License-Identifier: BSD-2-Clause
/*
 * tests/mm/fake_client.c - clients' system calls, the files they map, and the
 *                          checks; see fake_mmu.h
 *
 *   client:  narrow its own VMA -> do_munmap(), ... -> widen its own VMA
 *   mount:   kernel's cache (fake_kpage) -> fake_kernel_read() -> page cache
 *                 ^ dropped by ->page_mkwrite
 *
 * K1. A valid fake_kpage has the page's bytes, always: who is to write to the
 *     page through a mapping has it dropped first.
 *
 * Locks: a fake_kpage's lock is the kernel's page lock: held while the mount
 *        is asked for the page, and waited for by who has copies dropped.
 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>

#include "err.h"
#include "fake_mmu_i.h"
#include "harness.h"
#include "mmzone.h"
#include "page.h"
#include "shmem_i.h"
#include "slab.h"
#include "swap.h"
#include "vmstat.h"
#include "window_i.h"

/* ---- vm_operations, as fs/ would have them ---- */

static struct fake_mapped *mapped_of(const struct vm_file *f)
{
	return container_of(f, struct fake_vm_file, f)->m;
}

static void op_open(struct vm_area_struct *vma)
{
	atomic_fetch_add(&mapped_of(vma->vm_file)->vmas, 1);
}

static void op_close(struct vm_area_struct *vma)
{
	atomic_fetch_sub(&mapped_of(vma->vm_file)->vmas, 1);
}

/* Readers hold k->lock while they copy, so none comes in between (K1). */
static void drop_kpage(struct fake_mapped *m, struct page *page)
{
	struct fake_kpage *k = &m->kpages[page->index];

	if (!page_test(page, PG_kcached))
		return;
	pthread_mutex_lock(&k->lock);
	k->valid = false;
	lock_page(page);
	page_clear(page, PG_kcached);
	unlock_page(page);
	pthread_mutex_unlock(&k->lock);
	atomic_fetch_add(&m->kdrops, 1);
}

static vm_fault_t op_page_mkwrite(struct vm_fault *vmf)
{
	struct fake_mapped *m = mapped_of(vmf->vma->vm_file);

	lockdep_assert_none_from(LOCK_INVALIDATE);
	if (!page_test(vmf->page, PG_uptodate))
		fake_mmu_violation("page_mkwrite of a page that was not read");
	atomic_fetch_add(&m->mkwrites, 1);
	if (atomic_load(&m->mkwrite_fails))
		return VM_FAULT_SIGBUS;
	drop_kpage(m, vmf->page);
	return 0;
}

static void op_release(struct vm_file *f)
{
	atomic_fetch_add(&mapped_of(f)->releases, 1);
}

static const struct vm_operations_struct fake_vm_ops = {
	.open = op_open,
	.close = op_close,
	.fault = filemap_fault,
	.page_mkwrite = op_page_mkwrite,
	.release = op_release,
};

/* ---- files ---- */

static void vm_file_init(struct fake_vm_file *vf, struct fake_mapped *m,
			 bool writable, unsigned int ra_pages)
{
	vf->m = m;
	vf->f.f_mapping = &m->file->mapping;
	vf->f.f_op = &fake_vm_ops;
	vf->f.f_writable = writable;
	atomic_store(&vf->f.f_count, 1);
	file_ra_state_init(&vf->f.f_ra, ra_pages);
}

static void mapped_link(struct fake_mapped *m)
{
	pthread_mutex_lock(&clients_lock);
	list_add_tail(&m->link, &mapped_files);
	pthread_mutex_unlock(&clients_lock);
}

static void mapped_unlink(struct fake_mapped *m)
{
	pthread_mutex_lock(&clients_lock);
	list_del(&m->link);
	pthread_mutex_unlock(&clients_lock);
}

struct fake_mapped *fake_mapped_new(struct fake_file *file, unsigned int ra_pages)
{
	struct fake_mapped *m = calloc(1, sizeof(*m));

	BUG_ON(!m);
	m->file = file;
	m->mapping = &file->mapping;
	INIT_LIST_HEAD(&m->pieces);
	m->nr_kpages = file->capacity >> PAGE_SHIFT;
	m->kpages = calloc(m->nr_kpages, sizeof(*m->kpages));
	BUG_ON(!m->kpages);
	for (unsigned long i = 0; i < m->nr_kpages; i++)
		BUG_ON(pthread_mutex_init(&m->kpages[i].lock, NULL));
	vm_file_init(&m->rw, m, true, ra_pages);
	vm_file_init(&m->ro, m, false, ra_pages);
	mapped_link(m);
	return m;
}

/* ---- memory without a file ---- */

static struct fake_mapped *memory_new(struct vm_file *memory)
{
	struct fake_mapped *m = calloc(1, sizeof(*m));

	BUG_ON(!m);
	m->memory = memory;
	m->mapping = memory->f_mapping;
	INIT_LIST_HEAD(&m->pieces);
	mapped_link(m);
	return m;
}

/* Before the memory itself goes: nobody has it mapped any more. */
static void memory_free(struct fake_mapped *m)
{
	struct fake_piece *piece, *next;

	mapped_unlink(m);
	list_for_each_entry_safe(piece, next, &m->pieces, link) {
		munmap(piece->bytes, WINDOW_CHUNK_PAGES << PAGE_SHIFT);
		free(piece);
	}
	free(m);
}

struct fake_mapped *fake_region_new(unsigned long nr)
{
	struct vm_file *memory = shmem_file_setup(nr);

	return IS_ERR(memory) ? NULL : memory_new(memory);
}

/* The piece of the memfd with page @pgoff. Context: clients_lock. */
static struct fake_piece *memory_piece(struct fake_mapped *m, pgoff_t pgoff)
{
	const pgoff_t first = ALIGN_DOWN(pgoff, WINDOW_CHUNK_PAGES);
	struct fake_piece *piece;

	list_for_each_entry(piece, &m->pieces, link)
		if (piece->first == first)
			return piece;
	piece = malloc(sizeof(*piece));
	BUG_ON(!piece);
	piece->first = first;
	piece->bytes = mmap(NULL, WINDOW_CHUNK_PAGES << PAGE_SHIFT,
			    PROT_READ | PROT_WRITE, MAP_SHARED, m->window->fd,
			    (off_t)first << PAGE_SHIFT);
	BUG_ON(piece->bytes == MAP_FAILED);
	list_add(&piece->link, &m->pieces);
	return piece;
}

/* Page @pgoff as the hardware sees it. Context: clients_lock. */
static char *hw_bytes(struct fake_mapped *m, pgoff_t pgoff)
{
	struct fake_piece *piece;

	if (m->bytes)
		return m->bytes + (pgoff << PAGE_SHIFT);
	piece = memory_piece(m, pgoff);
	return piece->bytes + ((pgoff - piece->first) << PAGE_SHIFT);
}

void fake_mapped_free(struct fake_mapped *m)
{
	struct vm_file *memory = m->memory;

	if (memory) {
		memory_free(m);
		put_vm_file(memory);
		return;
	}
	put_vm_file(&m->rw.f);
	put_vm_file(&m->ro.f);
	if (atomic_load(&m->releases) != 2)
		fake_mmu_violation("a vm_file has references left");
	if (atomic_load(&m->vmas))
		fake_mmu_violation("->open and ->close do not pair");
	mapped_unlink(m);
	if (m->bytes)
		munmap(m->bytes, m->file->capacity);
	file_ra_state_destroy(&m->rw.f.f_ra);
	file_ra_state_destroy(&m->ro.f.f_ra);
	fake_file_free(m->file);
	for (unsigned long i = 0; i < m->nr_kpages; i++)
		pthread_mutex_destroy(&m->kpages[i].lock);
	free(m->kpages);
	free(m);
}

/* The client gets the window's descriptor. Return: 0 or -errno. */
static int mapped_get_window(struct fake_mapped *m)
{
	struct window *w = mapping_window(m->mapping);

	if (IS_ERR(w))
		return PTR_ERR(w);
	pthread_mutex_lock(&clients_lock);
	if (!m->window && m->file) {
		m->bytes = mmap(NULL, m->file->capacity, PROT_READ | PROT_WRITE,
				MAP_SHARED, w->fd, 0);
		BUG_ON(m->bytes == MAP_FAILED);
	}
	if (!m->window)
		m->window = w;
	if (m->window != w)
		fake_mmu_violation("a mapping has two windows");
	pthread_mutex_unlock(&clients_lock);
	return 0;
}

/* ---- the mount ---- */

static ssize_t mount_write(struct fake_mapped *m, loff_t pos, const void *buf,
			   size_t len, bool kcached)
{
	ssize_t ret;

	BUG_ON(pos + len > m->file->capacity);
	down_write(&m->file->rwsem);
	ret = generic_perform_write(&m->file->mapping, pos, buf, len, kcached);
	up_write(&m->file->rwsem);
	return ret;
}

/* What the kernel does with its own copies when a range changes under it. */
static void kernel_invalidate(struct fake_mapped *m, loff_t pos, loff_t len)
{
	pgoff_t last = (pos + len - 1) >> PAGE_SHIFT;

	for (pgoff_t i = pos >> PAGE_SHIFT; len && i <= last; i++) {
		pthread_mutex_lock(&m->kpages[i].lock);
		m->kpages[i].valid = false;
		pthread_mutex_unlock(&m->kpages[i].lock);
	}
}

ssize_t fake_mount_write(struct fake_mapped *m, loff_t pos, const void *buf,
			 size_t len)
{
	ssize_t ret;

	/* Before and after: as the kernel does around a direct write. */
	kernel_invalidate(m, pos, len);
	ret = mount_write(m, pos, buf, len, false);
	kernel_invalidate(m, pos, len);
	return ret;
}

void fake_mount_grow(struct fake_mapped *m, loff_t size)
{
	down_write(&m->file->rwsem);
	mapping_grow(&m->file->mapping, size);
	up_write(&m->file->rwsem);
}

void fake_mount_cut(struct fake_mapped *m, loff_t size)
{
	loff_t had = i_size_read(&m->file->mapping);

	fake_truncate(m->file, size);
	if (had > size)
		kernel_invalidate(m, size, had - size);
}

int fake_mount_zero(struct fake_mapped *m, loff_t pos, loff_t len)
{
	struct address_space *mapping = &m->file->mapping;
	loff_t end;
	int err;

	down_write(&m->file->rwsem);
	down_write(&mapping->invalidate_lock);
	err = truncate_pagecache_range(mapping, pos, pos + len - 1);
	end = min_t(loff_t, pos + len, atomic_load(&m->file->size));
	if (!err && end > pos)
		memset(m->file->data + pos, 0, end - pos);
	up_write(&mapping->invalidate_lock);
	up_write(&m->file->rwsem);
	kernel_invalidate(m, pos, len);
	return err;
}

/* Context: k->lock. Return: 0 or -errno; at EOF 0 and not valid. */
static int kpage_read(struct fake_mapped *m, struct fake_kpage *k, pgoff_t index)
{
	struct page *page;
	size_t bytes;
	pfn_t pfn;
	int err;

	atomic_store(&m->file->kcopies, true);
	err = filemap_get_pages(&m->file->mapping, NULL, index << PAGE_SHIFT,
				PAGE_SIZE, &page, 1, &bytes);
	if (err <= 0)
		return err;
	err = page_hold_bytes(page, true, &pfn);
	if (!err) {
		memcpy(k->data, pfn_to_virt(pfn), bytes);
		memset(k->data + bytes, 0, PAGE_SIZE - bytes);
		page_release_bytes(page, pfn);
		k->valid = bytes > 0;
	}
	put_page(page);
	return err;
}

ssize_t fake_kernel_read(struct fake_mapped *m, pgoff_t index, char *buf)
{
	struct fake_kpage *k = &m->kpages[index];
	loff_t left;
	int err = 0;

	pthread_mutex_lock(&k->lock);
	down_read(&m->file->rwsem);
	if (!k->valid)
		err = kpage_read(m, k, index);
	left = i_size_read(&m->file->mapping) - (loff_t)(index << PAGE_SHIFT);
	up_read(&m->file->rwsem);
	if (!err && k->valid)
		memcpy(buf, k->data, PAGE_SIZE);
	else
		left = 0;
	pthread_mutex_unlock(&k->lock);
	return err ? err : clamp_t(loff_t, left, 0, PAGE_SIZE);
}

ssize_t fake_kernel_write(struct fake_mapped *m, loff_t pos, const void *buf,
			  size_t len)
{
	struct fake_kpage *k = &m->kpages[pos >> PAGE_SHIFT];
	size_t off = pos & ~PAGE_MASK;
	ssize_t ret;

	BUG_ON(off + len > PAGE_SIZE);
	atomic_store(&m->file->kcopies, true);
	pthread_mutex_lock(&k->lock);
	ret = mount_write(m, pos, buf, len, true);
	memcpy(k->data + off, buf, len);
	k->valid = ret == (ssize_t)len && (k->valid || len == PAGE_SIZE);
	pthread_mutex_unlock(&k->lock);
	return ret;
}

/* ---- clients ---- */

#define EVENT_TRIES	1000	/* arbitrary */

/* NULL: no memory. */
static struct fake_client *client_try_new(unsigned long nr)
{
	static atomic_int pid = 1000;
	struct fake_client *c = calloc(1, sizeof(*c));

	BUG_ON(!c);
	c->pages = calloc(nr, sizeof(*c->pages));
	BUG_ON(!c->pages);
	c->base = (1UL << PGDIR_SHIFT) - nr / 2 * PAGE_SIZE;
	c->nr = nr;
	c->rand = test_seed();
	INIT_LIST_HEAD(&c->waiters);
	BUG_ON(pthread_mutex_init(&c->lock, NULL));
	c->mm = mm_alloc(atomic_fetch_add(&pid, 1), c->base,
			 c->base + nr * PAGE_SIZE, &fake_mmu_ops, c);
	if (!c->mm) {
		free(c->pages);
		free(c);
		return NULL;
	}
	pthread_mutex_lock(&clients_lock);
	list_add_tail(&c->link, &clients);
	pthread_mutex_unlock(&clients_lock);
	return c;
}

struct fake_client *fake_client_new(unsigned long nr)
{
	struct fake_client *c = client_try_new(nr);

	BUG_ON(!c);
	return c;
}

void fake_client_free(struct fake_client *c)
{
	pthread_mutex_lock(&c->lock);
	c->dead = true;
	memset(c->pages, 0, c->nr * sizeof(*c->pages));
	pthread_mutex_unlock(&c->lock);
	if (c->anon)
		memory_free(c->anon);
	mmput(c->mm);
	pthread_mutex_lock(&clients_lock);
	list_del(&c->link);
	pthread_mutex_unlock(&clients_lock);
	pthread_mutex_destroy(&c->lock);
	free(c->pages);
	free(c);
}

void fake_client_unreachable(struct fake_client *c, unsigned int times,
			     unsigned int per_mille)
{
	pthread_mutex_lock(&c->lock);
	c->protect_fails = times;
	c->protect_per_mille = per_mille;
	pthread_mutex_unlock(&c->lock);
}

/* The real VMA of a range from now on: @m NULL for none. */
static void kernel_map(struct fake_client *c, unsigned long addr,
		       unsigned long nr, struct fake_mapped *m, pgoff_t pgoff,
		       bool shared, unsigned long vm_flags)
{
	struct fake_page *p = fake_page_at(c, addr);

	pthread_mutex_lock(&clients_lock);
	pthread_mutex_lock(&c->lock);
	for (unsigned long i = 0; i < nr; i++)
		p[i] = m ? (struct fake_page){
				.file = m, .pgoff = pgoff + i, .shared = shared,
				.bytes = hw_bytes(m, pgoff + i),
				.wp = vm_flags & VM_UFFD_WP,
				.async = vm_flags & VM_UFFD_ASYNC } :
			   (struct fake_page){ 0 };
	pthread_mutex_unlock(&c->lock);
	pthread_mutex_unlock(&clients_lock);
}

/* mprotect(2): pages that lose the right to write are written through a fault
 * of the kernel's own, if they get it back. */
static void kernel_protect(struct fake_client *c, unsigned long addr,
			   unsigned long nr, unsigned long prot)
{
	struct fake_page *p = fake_page_at(c, addr);

	pthread_mutex_lock(&c->lock);
	for (unsigned long i = 0; i < nr; i++) {
		p[i].prot = prot & (VM_READ | VM_WRITE);
		if (!(prot & VM_WRITE))
			p[i].hw &= ~HW_WRITE;
	}
	pthread_mutex_unlock(&c->lock);
}

static unsigned long vma_flags(struct fake_client *c, unsigned long addr)
{
	unsigned long flags;

	down_read(&c->mm->mmap_lock);
	flags = find_vma(c->mm, addr)->vm_flags;
	up_read(&c->mm->mmap_lock);
	return flags;
}

/* A range mm/ has a VMA for becomes accessible: COMMIT. */
static int commit(struct fake_client *c, unsigned long addr, unsigned long nr,
		  struct fake_mapped *m, pgoff_t pgoff, unsigned long vm_flags)
{
	int err;

	kernel_map(c, addr, nr, m, pgoff, vm_flags & VM_SHARED,
		   vma_flags(c, addr));
	err = mmap_arm(c->mm, addr, nr * PAGE_SIZE);
	if (err) {
		BUG_ON(do_munmap(c->mm, addr, nr * PAGE_SIZE));
		kernel_map(c, addr, nr, NULL, 0, false, 0);
		return err;
	}
	kernel_protect(c, addr, nr, vm_flags);
	return 0;
}

int fake_mmap(struct fake_client *c, struct fake_mapped *m, pgoff_t pgoff,
	      unsigned long nr, unsigned long vm_flags, unsigned long *addrp)
{
	struct vm_file *f = m->memory ? m->memory :
			    (vm_flags & VM_SHARED) ? &m->rw.f : &m->ro.f;
	int err = mapped_get_window(m);

	if (c->async)
		vm_flags |= VM_UFFD_ASYNC;
	if (!err)
		err = do_mmap(c->mm, f, *addrp, nr * PAGE_SIZE, vm_flags, pgoff,
			      *addrp ? MAP_HERE : 0, addrp);
	if (err)
		return err;
	return commit(c, *addrp, nr, m, pgoff, vm_flags);
}

int fake_mmap_private(struct fake_client *c, struct fake_mapped *source,
		      pgoff_t pgoff, unsigned long nr, unsigned long vm_flags,
		      unsigned long *addrp)
{
	struct vm_file *memory;
	int err = do_mmap_private(c->mm, source ? &source->ro.f : NULL, pgoff,
				  *addrp, nr * PAGE_SIZE, vm_flags,
				  *addrp ? MAP_HERE : 0, addrp, &pgoff, &memory);

	if (err)
		return err;
	if (!c->anon)
		c->anon = memory_new(memory);
	put_vm_file(memory);		/* it is the mm's, which we outlive */
	err = mapped_get_window(c->anon);
	BUG_ON(err);			/* it is there already */
	return commit(c, *addrp, nr, c->anon, pgoff, vm_flags | VM_SHARED);
}

int fake_madvise_free(struct fake_client *c, unsigned long addr,
		      unsigned long nr)
{
	return do_madvise_free(c->mm, addr, nr * PAGE_SIZE);
}

/* What lies at @addr now. */
static struct fake_page what_is_at(struct fake_client *c, unsigned long addr)
{
	struct fake_page p;

	pthread_mutex_lock(&c->lock);
	p = *fake_page_at(c, addr);
	pthread_mutex_unlock(&c->lock);
	return p;
}

/* ---- fork ---- */

/* What the child's kernel has after it: the same addresses, but no ptes. */
static void inherit_page(struct fake_client *child, unsigned long addr,
			 const struct fake_page *p, struct fake_mapped *anon)
{
	struct fake_mapped *m = p->file == anon ? child->anon : p->file;

	kernel_map(child, addr, 1, m, p->pgoff, p->shared,
		   vma_flags(child, addr));
	kernel_protect(child, addr, 1, p->prot);
}

static void arm_child(struct fake_client *child)
{
	struct vm_area_struct *vma;

	/* Nobody but us changes it. */
	for (vma = child->mm->mmap; vma; vma = vma->vm_next)
		while (mmap_arm(child->mm, vma->vm_start,
				vma->vm_end - vma->vm_start))
			;
}

void fake_adopted(struct fake_client *c, struct fake_client *child)
{
	if (child->mm->anon) {
		child->anon = memory_new(&child->mm->anon->file);
		BUG_ON(mapped_get_window(child->anon));
	}
	for (unsigned long i = 0; i < c->nr; i++) {
		struct fake_page p = what_is_at(c, c->base + i * PAGE_SIZE);

		if (p.file && p.file->memory)
			inherit_page(child, c->base + i * PAGE_SIZE, &p,
				     c->anon);
	}
	arm_child(child);
}

int fake_fork(struct fake_client *c, struct fake_client **childp)
{
	struct private_copy *copy = dup_private(c->mm);
	struct fake_client *child;
	int err = 0;

	if (IS_ERR(copy))
		return PTR_ERR(copy);
	child = client_try_new(c->nr);
	if (!child)
		err = -ENOMEM;
	else if (copy)
		err = adopt_private(child->mm, copy);
	if (err) {
		if (copy)
			drop_private(copy);
		if (child)
			fake_client_free(child);
		return err;
	}
	child->async = c->async;
	if (copy)
		fake_adopted(c, child);
	*childp = child;
	return 0;
}

int fake_munmap(struct fake_client *c, unsigned long addr, unsigned long nr)
{
	size_t size = nr * sizeof(struct fake_page);
	struct fake_page *p = fake_page_at(c, addr), *old = malloc(size);
	int err;

	BUG_ON(!old);
	pthread_mutex_lock(&c->lock);
	memcpy(old, p, size);
	for (unsigned long i = 0; i < nr; i++) {
		p[i].prot = 0;
		p[i].hw &= ~HW_WRITE;
	}
	pthread_mutex_unlock(&c->lock);
	err = do_munmap(c->mm, addr, nr * PAGE_SIZE);
	pthread_mutex_lock(&c->lock);
	for (unsigned long i = 0; i < nr; i++) {
		if (err)
			p[i].prot = old[i].prot;
		else
			p[i] = (struct fake_page){ 0 };
	}
	pthread_mutex_unlock(&c->lock);
	free(old);
	return err;
}

/* Registered for stores from now on, what was not. */
static int arm_for_stores(struct fake_client *c, unsigned long addr,
			  unsigned long nr)
{
	int err = 0;

	for (; nr && !err; nr--, addr += PAGE_SIZE) {
		struct fake_page *p = fake_page_at(c, addr);

		if (p->wp)
			continue;
		pthread_mutex_lock(&c->lock);
		p->wp = true;
		pthread_mutex_unlock(&c->lock);
		for (int i = 0; i < EVENT_TRIES; i++) {
			err = mmap_arm(c->mm, addr, PAGE_SIZE);
			if (err != -EAGAIN)
				break;
		}
	}
	return err;
}

int fake_mprotect(struct fake_client *c, unsigned long addr, unsigned long nr,
		  unsigned long vm_flags)
{
	unsigned long prot = fake_page_at(c, addr)->prot;
	int err;

	kernel_protect(c, addr, nr, prot & vm_flags);
	err = do_mprotect(c->mm, addr, nr * PAGE_SIZE, vm_flags);
	if (!err && (vm_flags & VM_WRITE))
		err = arm_for_stores(c, addr, nr);
	kernel_protect(c, addr, nr, err ? prot : vm_flags);
	return err;
}

int fake_mremap(struct fake_client *c, unsigned long *addrp, unsigned long nr,
		unsigned long new_nr, bool may_move)
{
	struct fake_page p = what_is_at(c, *addrp);
	unsigned long addr = *addrp, keep = may_move ? 0 : min(nr, new_nr);
	unsigned long flags = p.prot | (p.shared ? VM_SHARED : 0);
	int err;

	/* What may go loses its rights first. */
	kernel_protect(c, addr + keep * PAGE_SIZE, nr - keep, 0);
	err = do_mremap(c->mm, addr, nr * PAGE_SIZE, new_nr * PAGE_SIZE, 0,
			may_move, 0, addrp);
	if (err) {
		kernel_protect(c, addr, nr, p.prot);
		return err;
	}
	if (*addrp != addr) {
		kernel_map(c, addr, nr, NULL, 0, false, 0);
		return commit(c, *addrp, new_nr, p.file, p.pgoff, flags);
	}
	kernel_protect(c, addr, min(nr, new_nr), p.prot);
	if (new_nr < nr)
		kernel_map(c, addr + new_nr * PAGE_SIZE, nr - new_nr, NULL, 0,
			   false, 0);
	if (new_nr > nr)
		return commit(c, addr + nr * PAGE_SIZE, new_nr - nr, p.file,
			      p.pgoff + nr, flags);
	return 0;
}

int fake_mremap_behind(struct fake_client *c, unsigned long from,
		       unsigned long to, unsigned long nr)
{
	int err;

	pthread_mutex_lock(&c->lock);
	memcpy(fake_page_at(c, to), fake_page_at(c, from),
	       nr * sizeof(struct fake_page));
	memset(fake_page_at(c, from), 0, nr * sizeof(struct fake_page));
	pthread_mutex_unlock(&c->lock);
	/* Its kernel has done it: a daemon must bring this to an end, too. */
	err = mremap_event(c->mm, from, to, nr * PAGE_SIZE);
	for (int i = 0; !err && i < EVENT_TRIES; i++) {
		err = mmap_arm_moved(c->mm, to, nr * PAGE_SIZE);
		if (err != -EAGAIN)
			break;
		err = 0;
	}
	if (!err)
		window_moved(c->mm, to, to + nr * PAGE_SIZE);
	return err;
}

void fake_munmap_behind(struct fake_client *c, unsigned long addr,
			unsigned long nr)
{
	kernel_map(c, addr, nr, NULL, 0, false, 0);
}

void fake_punch_behind(struct fake_client *c, unsigned long addr,
		       unsigned long nr)
{
	for (; nr; nr--, addr += PAGE_SIZE) {
		struct fake_page p = what_is_at(c, addr);

		p.file->foreign = true;
		BUG_ON(fallocate(p.file->window->fd, FALLOC_FL_PUNCH_HOLE |
				 FALLOC_FL_KEEP_SIZE,
				 (off_t)p.pgoff << PAGE_SHIFT, PAGE_SIZE));
	}
}

/* ---- checks ---- */

uint64_t fake_word(loff_t pos)
{
	char bytes[8];
	uint64_t word;

	for (int i = 0; i < 8; i++)
		bytes[i] = fake_byte(pos + i);
	memcpy(&word, bytes, 8);
	return word;
}

static bool page_is(struct fake_mapped *m, pgoff_t index, enum pageflags bit)
{
	struct page *page = find_get_page(m->mapping, index);
	bool is = page && page_test(page, bit);

	if (page)
		put_page(page);
	return is;
}

bool fake_cached(struct fake_mapped *m, pgoff_t index)
{
	return page_is(m, index, PG_uptodate);
}

bool fake_in_window(struct fake_mapped *m, pgoff_t index)
{
	return page_is(m, index, PG_window);
}

bool fake_dirty(struct fake_mapped *m, pgoff_t index)
{
	return page_is(m, index, PG_dirty);
}

static pte_t pte_at(struct mm_struct *mm, unsigned long addr)
{
	pte_t pte = { 0 }, *ptep;

	mutex_lock(&mm->page_table_lock);
	ptep = pte_offset(mm, addr);
	if (ptep)
		pte = *ptep;
	mutex_unlock(&mm->page_table_lock);
	return pte;
}

static void client_check_page(const struct fake_page *p, pte_t pte)
{
	bool granted = pte_present(pte) && pte_write(pte), there;

	if (!p->file) {
		if (!pte_none(pte))
			fake_mmu_violation("a pte where nothing is mapped");
		return;
	}
	there = memfd_has(p->file, p->pgoff);
	if ((p->hw & HW_PRESENT) && !there)
		fake_mmu_violation("the hardware has a page that is not there");
	if ((p->prot & VM_WRITE) && !p->wp)
		fake_mmu_violation("stores nobody would notice");
	if ((p->hw & HW_WRITE) && !granted && !p->async)
		fake_mmu_violation("the hardware may write and we do not know");
	if (there && p->wp && !granted && !(p->hw & HW_WP) && !p->async)
		fake_mmu_violation("an unarmed pte at a page that is there");
	if (pte_present(pte) && !fake_in_window(p->file, p->pgoff))
		fake_mmu_violation("a pte of a page that is not in the window");
	if (granted && !fake_dirty(p->file, p->pgoff))
		fake_mmu_violation("a writable pte of a clean page");
}

void fake_client_check(struct fake_client *c)
{
	mm_check(c->mm);
	for (unsigned long i = 0; i < c->nr; i++)
		client_check_page(&c->pages[i],
				  pte_at(c->mm, c->base + i * PAGE_SIZE));
}

static unsigned long fd_pages(int fd)
{
	struct stat st;

	BUG_ON(fstat(fd, &st));
	return st.st_blocks * 512 >> PAGE_SHIFT;
}

/* As fake_mapped_check(), where there is no list of all pages it could have. */
static void memory_check(struct fake_mapped *m)
{
	struct page *pages[PAGEVEC_SIZE];
	unsigned long in_window = 0;
	pgoff_t index = 0;
	unsigned int nr;

	page_cache_check(m->mapping);
	while (m->window &&
	       (nr = find_get_pages_range(m->mapping, &index, UINT64_MAX,
					  PAGEVEC_SIZE, pages, ANY_TAG))) {
		for (unsigned int i = 0; i < nr; i++) {
			bool is = PageWindow(pages[i]);

			if (memfd_has(m, pages[i]->index) != is && !m->foreign)
				fake_mmu_violation(is ?
					"a page of the window is not in the memfd" :
					"the memfd has a page that is not the window's");
			in_window += is;
			put_page(pages[i]);
		}
	}
	if (!m->window)
		return;
	if (atomic_load(&m->window->nr_pages) != in_window)
		fake_mmu_violation("window->nr_pages is wrong");
	if (fd_pages(m->window->fd) != in_window && !m->foreign)
		fake_mmu_violation("the memfd has pages nobody knows of");
}

void fake_mapped_check(struct fake_mapped *m)
{
	unsigned long nr = 0;

	if (m->memory) {
		memory_check(m);
		return;
	}
	page_cache_check(m->mapping);
	for (pgoff_t i = 0; m->window && i < m->nr_kpages; i++) {
		bool in_window = fake_in_window(m, i);

		if (memfd_has(m, i) != in_window && !m->foreign)
			fake_mmu_violation(in_window ?
				"a page of the window is not in the memfd" :
				"the memfd has a page that is not the window's");
		nr += in_window;
	}
	if (m->window && atomic_load(&m->window->nr_pages) != nr)
		fake_mmu_violation("window->nr_pages is wrong");
}

/* Arena and windows together have no more memory than they were given. */
static void budget_check(void)
{
	unsigned long charged = 0, memory = fd_pages(arena_fd());
	struct fake_mapped *m;

	list_for_each_entry(m, &mapped_files, link) {
		if (!m->window)
			continue;
		charged += atomic_load(&m->window->nr_pages);
		memory += fd_pages(m->window->fd);
	}
	if (nr_window_pages() != charged ||
	    vm_stat_read(NR_WINDOW_PAGES) != charged)
		fake_mmu_violation("nr_window_pages() is wrong");
	if (charged > window_limit())
		fake_mmu_violation("more pages in windows than the limit");
	if (vm_stat_read(NR_BALLOON) < charged)
		fake_mmu_violation("pages in windows that no frame was given for");
	if (memory > arena_bytes() >> PAGE_SHIFT)
		fake_mmu_violation("arena and windows exceed the memory given");
}

void fake_mmu_check(void)
{
	bool foreign = false;
	struct fake_mapped *m;
	struct fake_client *c;

	list_for_each_entry(m, &mapped_files, link) {
		fake_mapped_check(m);
		foreign |= m->foreign;
	}
	if (vm_event(WINDOW_FOREIGN) && !foreign)
		fake_mmu_violation("a page of the window was taken for punched");
	list_for_each_entry(c, &clients, link)
		fake_client_check(c);
	budget_check();
	lru_check();
	shmem_check();
}

/* ---- up and down ---- */

static unsigned int nr_open_fds(void)
{
	DIR *dir = opendir("/proc/self/fd");
	unsigned int nr = 0;

	BUG_ON(!dir);
	while (readdir(dir))
		nr++;
	closedir(dir);
	return nr;
}

static unsigned int fds_at_start;

void fake_mmu_init(size_t memory, int nr_nodes, bool threads)
{
	fds_at_start = nr_open_fds();
	fake_mm_init(memory, nr_nodes, threads);
}

/* Objects of caches that only mappings use. */
static long objects_left(void)
{
	char text[16384], name[32], *line, *next;
	unsigned long active;
	long left = 0;

	slabinfo_show(text, sizeof(text));
	for (line = strtok_r(text, "\n", &next); line;
	     line = strtok_r(NULL, "\n", &next)) {
		if (sscanf(line, "%31s %lu", name, &active) != 2 || !active)
			continue;
		if (strcmp(name, "mm_struct") && strcmp(name, "vm_area_struct"))
			continue;
		printf("# %lu of %s left\n", active, name);
		left += active;
	}
	return left;
}

long fake_mmu_exit(void)
{
	long lost = objects_left();
	unsigned int fds;

	if (nr_window_pages() || vm_stat_read(NR_PAGETABLE)) {
		printf("# left: %lu window pages, %lu page tables\n",
		       nr_window_pages(), vm_stat_read(NR_PAGETABLE));
		lost++;
	}
	balloon_exit();		/* mm_exit() does, but frames are counted before */
	lost += fake_mm_exit();
	fds = nr_open_fds();
	if (fds != fds_at_start) {
		printf("# %u descriptors at the start, %u now\n", fds_at_start,
		       fds);
		lost++;
	}
	return lost + fake_mmu_violations();
}
