/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * tests/mm/fake_mmu.h - client processes, their kernel's MMU, and the kernel's
 *                       cache of the mount, for tests of mappings
 *
 *   fake_load, fake_store, fake_add
 *          |
 *   fake_client: one fake_page per page of its region
 *          | page absent, or write-protected       mmu_ops change fake_pages
 *          v                                                ^
 *   handle_mm_fault ----------------------------------------+
 *
 * A window is a real memfd; what its clients' kernels would do with it is done
 * here, in one process, by the rules measured on userfaultfd:
 *
 *   absent from the memfd              message (missing)
 *   in the memfd, no pte               mapped natively: write-protected if the
 *                                      pte has a marker, else as the VMA says
 *   present, write-protected, a write  message (write-protect); or none, if it
 *                                      is scanned for, and no longer protected
 *   present, neither                   becomes writable, no message
 *   past the memfd's end               SIGBUS, no message
 *   the memfd's page is punched        the pte goes; its marker stays only if
 *                                      it was write-protected
 *
 * The last rule is why the programs that use this are linked with --wrap: each
 * fallocate() and ftruncate() of a window is seen, with all clients stopped.
 *
 * What mm/ must never do is counted as violations, like fake_disk's.
 */
#ifndef PAGEFS_TESTS_FAKE_MMU_H
#define PAGEFS_TESTS_FAKE_MMU_H

#include <pthread.h>
#include "fake_disk.h"
#include "mmap.h"
#include "shmem.h"
#include "window.h"

#define HW_PRESENT	0x1
#define HW_WRITE	0x2
#define HW_WP		0x4	/* write-protected; on an absent page a marker */

/* A page of a client's region as its kernel has it. */
struct fake_page {
	struct fake_mapped *file;	/* NULL: nothing is mapped here */
	pgoff_t pgoff;
	char *bytes;			/* the page in the hardware's view */
	uint8_t prot;			/* of the kernel's VMA: VM_READ, VM_WRITE */
	bool shared;
	bool wp;			/* registered so: VM_UFFD_WP */
	bool async;			/* the same, VM_UFFD_ASYNC */
	uint8_t hw;			/* HW_* */
};

enum fake_call_kind {
	CALL_MAP, CALL_PROTECT, CALL_UNPROTECT, CALL_WAKE, CALL_SCAN
};

struct fake_call {			/* one call of mmu_ops */
	enum fake_call_kind kind;
	unsigned long addr, nr;
	bool write;
};

#define FAKE_CALLS	4096u		/* remembered */

/* Fields: (C) constant; (L) lock; (G) the list's lock. */
struct fake_client {
	struct mm_struct *mm;			/* (C) */
	unsigned long base, nr;			/* (C) region: address, pages */
	struct fake_mapped *anon;		/* its private memory, once mapped */
	pthread_mutex_t lock;
	struct fake_page *pages;		/* (L) */
	struct list_head waiters;		/* (L) threads in a fault */
	bool async;				/* what it maps is VM_UFFD_ASYNC */
	bool dead;				/* (L) mmu_ops do nothing */
	unsigned int other_there;		/* (L) so many times what is mapped
						 * there is not what we think */
	unsigned int protect_fails;		/* (L) so many calls are -EAGAIN */
	unsigned int protect_per_mille;		/* (L) at random */
	uint64_t rand;				/* (L) */
	struct fake_call calls[FAKE_CALLS];	/* (L) */
	unsigned int nr_calls;			/* (L) ever; may exceed FAKE_CALLS */
	unsigned long nr_messages;		/* (L) faults that came to us */
	struct list_head link;			/* (G) */
};

/* The owner's file, open for writing or not, as fs/ has them. */
struct fake_vm_file {
	struct vm_file f;		/* first */
	struct fake_mapped *m;
};

/* What the kernel's own cache has of a page of the mount. */
struct fake_kpage {
	pthread_mutex_t lock;
	bool valid;
	char data[PAGE_SIZE];
};

/* A piece of a memfd too large to be mapped as a whole. */
struct fake_piece {
	struct list_head link;
	pgoff_t first;
	char *bytes;			/* WINDOW_CHUNK_PAGES */
};

struct fake_mapped {
	struct address_space *mapping;	/* (C) */
	struct fake_file *file;		/* (C) NULL: memory without a file */
	struct vm_file *memory;		/* (C) then this; referenced if shared */
	struct list_head pieces;	/* (G) and this in place of bytes */
	struct fake_vm_file rw, ro;
	struct window *window;		/* (G) once it is mapped */
	char *bytes;			/* (G) the memfd as the hardware sees it */
	struct fake_kpage *kpages;	/* (C) one for each page of capacity */
	unsigned long nr_kpages;	/* (C) */
	atomic_bool mkwrite_fails;
	atomic_long vmas;		/* ->open less ->close; may start below 0 */
	atomic_ulong mkwrites, kdrops, releases;
	bool foreign;			/* clients punch it: pages may be missing */
	struct list_head link;		/* (G) */
};

/* fake_mm_init(), fake_mm_exit() and what windows add to them. */
void fake_mmu_init(size_t memory, int nr_nodes, bool threads);
/* Return: what is lost, as fake_mm_exit(): frames, objects, descriptors. */
long fake_mmu_exit(void);
/* Since the last call; prints what the first one was. */
unsigned int fake_mmu_violations(void);
void fake_mmu_violation(const char *what);

/* ---- files ---- */

/* Takes @file over. @ra_pages: as file_ra_state_init(). */
struct fake_mapped *fake_mapped_new(struct fake_file *file, unsigned int ra_pages);
/* No VMA may be left. Frees the file too. */
void fake_mapped_free(struct fake_mapped *m);
/* Memory to be shared, of @nr pages; NULL: shmem_file_setup() refused. */
struct fake_mapped *fake_region_new(unsigned long nr);

/* What fs/ does, beside fake_read() and fake_truncate(): the same locks. */
ssize_t fake_mount_write(struct fake_mapped *m, loff_t pos, const void *buf,
			 size_t len);
void fake_mount_grow(struct fake_mapped *m, loff_t size);
void fake_mount_cut(struct fake_mapped *m, loff_t size);
int fake_mount_zero(struct fake_mapped *m, loff_t pos, loff_t len);
/*
 * The same for a descriptor the kernel caches; read: of one page, into @buf;
 * write: inside one page. Return: 0 or more bytes, or -errno.
 */
ssize_t fake_kernel_read(struct fake_mapped *m, pgoff_t index, char *buf);
ssize_t fake_kernel_write(struct fake_mapped *m, loff_t pos, const void *buf,
			  size_t len);

/* ---- clients ---- */

/* A region of @nr pages that straddles the border of two pgd entries. */
struct fake_client *fake_client_new(unsigned long nr);
/* The process is gone: no access any more, and all is unmapped. */
void fake_client_free(struct fake_client *c);

/* Its next @times calls of mmu_ops->protect are -EAGAIN; then @per_mille. */
void fake_client_unreachable(struct fake_client *c, unsigned int times,
			     unsigned int per_mille);

static inline struct fake_page *fake_page_at(struct fake_client *c,
					     unsigned long addr)
{
	return &c->pages[(addr - c->base) >> PAGE_SHIFT];
}

/*
 * The client's system calls as libpagefs makes them: what the real kernel's
 * VMA allows is narrowed before mm/ hears of it, and widened after.
 * @addrp: in: where, or 0; out: where it is. Lengths in pages.
 * Return: what do_mmap(), do_munmap(), ... said.
 */
int fake_mmap(struct fake_client *c, struct fake_mapped *m, pgoff_t pgoff,
	      unsigned long nr, unsigned long vm_flags, unsigned long *addrp);
/* Private memory; @source: a file it shows, copied on write, or NULL. */
int fake_mmap_private(struct fake_client *c, struct fake_mapped *source,
		      pgoff_t pgoff, unsigned long nr, unsigned long vm_flags,
		      unsigned long *addrp);
int fake_munmap(struct fake_client *c, unsigned long addr, unsigned long nr);
int fake_mprotect(struct fake_client *c, unsigned long addr, unsigned long nr,
		  unsigned long vm_flags);
int fake_mremap(struct fake_client *c, unsigned long *addrp, unsigned long nr,
		unsigned long new_nr, bool may_move);
/* MADV_DONTNEED of private memory, MADV_REMOVE of shared. */
int fake_madvise_free(struct fake_client *c, unsigned long addr,
		      unsigned long nr);
/*
 * fork(2): a new client with all memory of @c that is no file's, and nothing
 * else. Return: 0 and the child, or -errno.
 */
int fake_fork(struct fake_client *c, struct fake_client **childp);
/* Its last part: @child has adopted a copy of what @c has mapped. */
void fake_adopted(struct fake_client *c, struct fake_client *child);
/* mremap(2) past the library: an event tells us. The new place is free. */
int fake_mremap_behind(struct fake_client *c, unsigned long from,
		       unsigned long to, unsigned long nr);
/* munmap(2) past the library; mm/ hears of it later, from fake_munmap(). */
void fake_munmap_behind(struct fake_client *c, unsigned long addr,
			unsigned long nr);
/* Its kernel, short of memory, takes the pte: the page stays in the memfd. */
void fake_reclaim(struct fake_client *c, unsigned long addr);
/* MADV_REMOVE past the library: pages leave the memfd. No event is sent. */
void fake_punch_behind(struct fake_client *c, unsigned long addr,
		       unsigned long nr);

/* ---- accesses ---- */

enum fake_result {
	FAKE_OK,
	FAKE_SIGSEGV,
	FAKE_SIGBUS,
	FAKE_OOM,	/* the fault found no memory */
	FAKE_STUCK,	/* no progress: a violation too */
};

/* 8 bytes, aligned. */
enum fake_result fake_load(struct fake_client *c, unsigned long addr,
			   uint64_t *val);
enum fake_result fake_store(struct fake_client *c, unsigned long addr,
			    uint64_t val);
/* Atomic among all clients. */
enum fake_result fake_add(struct fake_client *c, unsigned long addr,
			  uint64_t val);
/*
 * The message alone: of a thread that waits for a page that may have come, or
 * gone, or changed since. Return: what handle_mm_fault() did; that it woke the
 * thread is checked.
 */
vm_fault_t fake_message(struct fake_client *c, unsigned long addr,
			unsigned int flags);
/* Would the access need no message? */
bool fake_can(struct fake_client *c, unsigned long addr, bool write);

/* ---- injected failures of the memfd ---- */

/* The @nth pwritev() or pwrite() into any window from now on; 0: none. */
void fake_window_fail_nth(unsigned int nth);

/* ---- checks; nothing may be under way ---- */

/* Rights in the hardware and in our page tables, and arming; mm_check(). */
void fake_client_check(struct fake_client *c);
/* The memfd has the pages that have PG_window, and no other. */
void fake_mapped_check(struct fake_mapped *m);
/* Both, of all there are; limits; page_cache_check() and lru_check(). */
void fake_mmu_check(void);

/* The 8 bytes that a new fake_file has at @pos. */
uint64_t fake_word(loff_t pos);

/* Is the page in the cache; is it in the window? */
bool fake_cached(struct fake_mapped *m, pgoff_t index);
bool fake_in_window(struct fake_mapped *m, pgoff_t index);
bool fake_dirty(struct fake_mapped *m, pgoff_t index);

#endif /* PAGEFS_TESTS_FAKE_MMU_H */
