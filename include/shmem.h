/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * shmem.h - memory that has no file: mm/shmem.c, mm/anon.c
 *
 *   mm_struct --anon--> shmem --mapping--> pages, in the arena or the window
 *                         |
 *                         +-----swap-----> swap entries, by index
 *
 * A shmem object is an address_space whose pages are nobody's file: what leaves
 * memory goes to swap. One is the private memory of an mm, which all its private
 * mappings show at different indices; others are regions that several processes
 * share.
 *
 * Source: Linux mm/shmem.c. Differs: private memory is such an object, too, as
 *         a client's kernel can show it pages of memfds alone.
 */
#ifndef PAGEFS_SHMEM_H
#define PAGEFS_SHMEM_H

#include "mmap.h"
#include "swapfile.h"

struct shmem;

/**
 * shmem_file_setup - a region to be shared, of @nr_pages, all zeros
 * Its vm_file has one reference, the caller's. f_writable. Return: ERR_PTR(-ENOMEM:
 * no memory, or overcommit_memory forbids it; -EMFILE, ... as mapping_window()).
 */
struct vm_file *shmem_file_setup(unsigned long nr_pages);
bool is_shmem_file(const struct vm_file *file);
/* Pages it has; for the owner of a named region. */
unsigned long shmem_nr_pages(const struct vm_file *file);

/**
 * do_mmap_private - map private memory
 * @source: what pages show before they are written to, from @source_pgoff on;
 *          NULL: zeros. Gets a reference of its own
 * @addr, @len, @vm_flags, @map_flags, @addrp: as do_mmap(); no VM_SHARED
 * @pgoffp: receives where it is in the window, in pages
 * @filep:  receives the mm's private memory, referenced: its window is what the
 *          client has to map, MAP_SHARED, at *@pgoffp
 *
 * Return: as do_mmap(); -ENOMEM also if overcommit_memory forbids it.
 */
int do_mmap_private(struct mm_struct *mm, struct vm_file *source,
		    pgoff_t source_pgoff, unsigned long addr, size_t len,
		    unsigned long vm_flags, unsigned int map_flags,
		    unsigned long *addrp, pgoff_t *pgoffp,
		    struct vm_file **filep);

/**
 * dup_private - the private memory of @mm as it is now, for a child
 * All pages are shared copy-on-write from here on. The caller gives the copy to
 * adopt_private() or drop_private(). Context: may sleep; no locks but the
 * client's. Return: ERR_PTR(-ENOMEM, -EAGAIN: the client cannot be stopped);
 * NULL: it has none.
 */
struct private_copy *dup_private(struct mm_struct *mm);
/*
 * @mm, which is new and has mapped nothing, has it from now on, and with it the
 * private VMAs of the parent: [start, end), flags, index, source.
 * Return: 0; -EBUSY: it has private memory, or mappings, already; -ENOMEM. The
 * copy is gone only on success.
 */
int adopt_private(struct mm_struct *mm, struct private_copy *copy);
void drop_private(struct private_copy *copy);

/*
 * madvise(MADV_DONTNEED) of private memory, MADV_REMOVE of shared: what was there
 * is gone. Context: mmap_lock not held. Return: 0, -EINVAL, -ENOMEM (a hole).
 */
int do_madvise_free(struct mm_struct *mm, unsigned long addr, size_t len);

/* ---- overcommit: vm/overcommit_memory, overcommit_ratio ---- */

enum { OVERCOMMIT_GUESS, OVERCOMMIT_ALWAYS, OVERCOMMIT_NEVER };
unsigned long vm_commit_limit(void);		/* pages */
unsigned long vm_committed_as(void);		/* pages */

/* BUGs unless pages, entries and slots agree, of all objects. Nothing moves. */
void shmem_check(void);

#endif /* PAGEFS_SHMEM_H */
