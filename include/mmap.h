/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * mmap.h - address spaces of client processes: mm/mmap.c, mm/pgtable.c,
 *          mm/memory.c, mm/fault_around.c, mm/mmap_ahead.c, mm/rmap.c,
 *          mm/window_scan.c, mm/interval_tree.c
 *
 *   mm_struct --mm_rb, mmap--> vm_area_struct --vm_file--> address_space
 *       |                            ^                          |
 *       +--pgd--> ... pte            +---- window->i_mmap ------+
 *       +--mmu--> the client's real MMU (daemon/uffd.c; a model in tests)
 *
 * The page tables here are ours: they say what a client has been given. What
 * its real page tables hold is at most that, and mmu_ops change the two
 * together. A page's bytes are in the window of its file while any client can
 * touch them (window.h), so a pte needs no address, only rights.
 *
 * Source: Linux include/linux/mm_types.h, mm.h, rmap.h. Differs: clients are
 *         other processes, so flushing a TLB is a system call that can fail.
 */
#ifndef PAGEFS_MMAP_H
#define PAGEFS_MMAP_H

#include <sys/types.h>
#include "lockdep.h"
#include "mm_types.h"
#include "pagemap.h"
#include "rbtree.h"

/* vm_flags; Linux's names and values. */
#define VM_READ		0x00000001UL
#define VM_WRITE	0x00000002UL
#define VM_EXEC		0x00000004UL
#define VM_SHARED	0x00000008UL
#define VM_MAYREAD	0x00000010UL	/* mprotect may set VM_READ */
#define VM_MAYWRITE	0x00000020UL
#define VM_MAYEXEC	0x00000040UL
#define VM_UFFD_WP	0x00001000UL	/* first stores are noticed: it is, or was
					 * once, VM_SHARED and VM_WRITE */
#define VM_LOCKED	0x00002000UL
#define VM_SEQ_READ	0x00008000UL	/* MADV_SEQUENTIAL */
#define VM_RAND_READ	0x00010000UL	/* MADV_RANDOM */
#define VM_ACCOUNT	0x00100000UL	/* private memory: counts as promised. Its file
					 * is the mm's own; vm_source may be one */
#define VM_UFFD_ASYNC	0x00080000UL	/* first stores raise no fault: they are
					 * found by scanning. Beside VM_UFFD_WP */
#define VM_ACCESS_FLAGS	(VM_READ | VM_WRITE | VM_EXEC)

/* The largest user address on x86-64 with four levels. */
#define TASK_SIZE	0x7ffffffff000UL
#define MAX_MAP_COUNT	65530	/* VMAs of one mm: Linux's default */

struct mm_struct;
struct shmem;
struct vm_area_struct;

/*
 * What a VMA maps: the owner's (fs/) open file, as far as mm/ must know it.
 * Fields: (A) atomic; (C) constant.
 */
struct vm_file {
	struct address_space *f_mapping;	/* (C) */
	const struct vm_operations_struct *f_op;	/* (C) */
	struct file_ra_state f_ra;
	atomic_int f_count;			/* (A) VMAs and callers */
	bool f_writable;			/* (C) may be mapped writable */
};

/* ---- the client's MMU ---- */

/*
 * What mm/ asks of the process that has the mapping. @addr is page aligned,
 * @nr counts pages; a range never leaves one VMA. All may be called with page
 * locks, i_mmap_lock and window locks held: they must not wait for anything
 * but the kernel. On a client that has died, and where it has unmapped the
 * range behind our back, they do nothing and return 0.
 */
struct mmu_ops {
	/*
	 * The pages are in the window now: give the client access, with
	 * @write or without, and wake who waits for them. Over a pte that is
	 * present already, rights are left as they are. Where stores are not
	 * noticed (no VM_UFFD_WP) some may be left to its kernel to map.
	 * Return: 0, or -EFAULT if the first page is not in the window (a
	 * client has punched it out behind our back); then nobody was woken.
	 */
	int (*map)(struct vm_area_struct *vma, unsigned long addr,
		   unsigned long nr, bool write);
	/*
	 * From now on the client's next write comes to us, to pages it has and
	 * to those it will get ("arming").
	 * Return: 0, or -EAGAIN if the client cannot be reached now; then it
	 * may still write.
	 */
	int (*protect)(struct vm_area_struct *vma, unsigned long addr,
		       unsigned long nr);
	/* The client may write; wakes. */
	void (*unprotect)(struct vm_area_struct *vma, unsigned long addr,
			  unsigned long nr);
	/*
	 * VM_UFFD_ASYNC: which of at most WINDOW_CHUNK_PAGES pages the client
	 * may have stored to since it was last asked, or since they were armed?
	 * Their bits in @stored are set, others left as they are; and from now
	 * on they count as not stored to.
	 * Return: 0; -EAGAIN: nobody knows, take it that all have been, and are
	 * going to be; -ESRCH: that all have been, but it is dead.
	 */
	int (*scan)(struct vm_area_struct *vma, unsigned long addr,
		    unsigned long nr, unsigned long *stored);
	/* Have the threads that wait for the range try again. */
	void (*wake)(struct vm_area_struct *vma, unsigned long addr,
		     unsigned long nr);
};

/* ---- mm_struct ---- */

typedef struct { uint64_t pte; } pte_t;
/* Leads to a table of the next level, with its count; 0: none. See pgtable.c. */
typedef struct { uintptr_t entry; } pgd_t, pud_t, pmd_t;

enum mm_counter {
	MM_MAJFLT,		/* faults that waited for the store */
	MM_MINFLT,		/* all others */
	MM_SOFTFLT,		/* of those, demoted pages that came back */
	MM_WPFLT,		/* first writes to a page that could be read */
	NR_MM_COUNTERS,
};

/*
 * Fields: (A) atomic; (C) constant after mm_alloc() and the set-up that
 *         follows it; (L) mmlist_lock; (M) mmap_lock; (P) page_table_lock.
 */
struct mm_struct {
	struct vm_area_struct *mmap;	/* (M) the first; all by address */
	struct rb_root mm_rb;		/* (M) the same */
	struct vm_area_struct *mmap_cache;	/* (A) last hit of find_vma;
					 * reset under (M) */
	struct rw_semaphore mmap_lock;	/* LOCK_MMAP */
	struct mutex page_table_lock;	/* LOCK_PTL */
	pgd_t pgd;			/* (P) leads to the topmost table */
	struct shmem *anon;		/* (M) private memory, referenced; NULL: none
					 * yet. Once set it stays */
	unsigned long mmap_base;	/* (C) region that addresses are ... */
	unsigned long mmap_end;		/* (C) ... taken from; both 0: none */
	unsigned long total_vm;		/* (M) pages */
	unsigned long locked_vm;	/* (M) pages */
	unsigned int map_count;		/* (M) VMAs */
	struct vm_area_struct *dead;	/* (M) unlinked, linked by vm_next; freed
					 * once mmap_lock is dropped */
	atomic_ulong nr_ptes;		/* (A) frames of page tables */
	atomic_ulong rss;		/* (A) present ptes */
	atomic_ulong counters[NR_MM_COUNTERS];	/* (A) */
	atomic_int mm_users;		/* (A) who uses the address space */
	atomic_int mm_count;		/* (A) who uses the struct; users are 1 */
	struct list_head mmlist;	/* (L) */
	pid_t pid;			/* (C) the client */
	const struct mmu_ops *mmu;	/* (C) */
	void *mmu_private;		/* (C) mmu_ops' own */
};

/* Fields: (M) mm->mmap_lock; (I) window->i_mmap_lock. Two: both to write. */
struct vm_area_struct {
	unsigned long vm_start;		/* (M,I) */
	unsigned long vm_end;		/* (M,I) first byte after */
	pgoff_t vm_pgoff;		/* (M,I) of vm_start */
	unsigned long vm_flags;		/* (M,I) */
	struct mm_struct *vm_mm;	/* constant */
	struct vm_area_struct *vm_next, *vm_prev;	/* (M) */
	struct rb_node vm_rb;		/* (M) */
	unsigned long rb_subtree_gap;	/* (M) the largest hole before a VMA of
					 * the subtree, in bytes */
	struct vm_file *vm_file;	/* constant, referenced */
	const struct vm_operations_struct *vm_ops;	/* constant */
	struct vm_file *vm_source;	/* constant, referenced: a private mapping's
					 * file; NULL: there is none */
	pgoff_t vm_source_pgoff;	/* (M,I) of vm_start in it */
	struct rb_node i_mmap_rb;	/* (I) */
	pgoff_t i_mmap_subtree_last;	/* (I) */
	struct fault_around *around;	/* fault_around.c's; NULL: none yet */
	atomic_int store_score;		/* (A) memory_anon.c's */
};

static inline unsigned long vma_pages(const struct vm_area_struct *vma)
{
	return (vma->vm_end - vma->vm_start) >> PAGE_SHIFT;
}

static inline pgoff_t linear_page_index(const struct vm_area_struct *vma,
					unsigned long address)
{
	return vma->vm_pgoff + ((address - vma->vm_start) >> PAGE_SHIFT);
}

/* Of page @index, which lies in @vma. */
static inline unsigned long vma_address(const struct vm_area_struct *vma,
					pgoff_t index)
{
	return vma->vm_start + ((index - vma->vm_pgoff) << PAGE_SHIFT);
}

static inline pgoff_t vma_last_pgoff(const struct vm_area_struct *vma)
{
	return vma->vm_pgoff + vma_pages(vma) - 1;
}

/* ---- faults ---- */

typedef unsigned int vm_fault_t;
#define VM_FAULT_MAJOR		0x01u	/* waited for the store */
#define VM_FAULT_SIGBUS		0x02u	/* no page there, or an I/O error */
#define VM_FAULT_SIGSEGV	0x04u	/* no VMA, or rights it lacks */
#define VM_FAULT_OOM		0x08u
#define VM_FAULT_RETRY		0x10u	/* things have changed: as if woken */
#define VM_FAULT_SOFT		0x20u	/* the page was in the arena */
#define VM_FAULT_FALLBACK	0x40u	/* nothing was done: handle_mm_fault() it */
#define VM_FAULT_ERROR	(VM_FAULT_SIGBUS | VM_FAULT_SIGSEGV | VM_FAULT_OOM)

#define FAULT_FLAG_WRITE	0x01u
#define FAULT_FLAG_WP		0x02u	/* a write to a page it can read */
#define FAULT_FLAG_RETRY_NOWAIT	0x04u	/* handle_mm_fault_nowait()'s */
#define FAULT_FLAG_TRIED	0x08u	/* the second time, after that */

struct vm_fault {
	struct vm_area_struct *vma;
	unsigned long address;		/* page aligned */
	pgoff_t pgoff;			/* of it in the file */
	unsigned int flags;		/* FAULT_FLAG_* */
	uint64_t began_us;		/* trace_clock_us(), or 0 */
	struct page *page;		/* from ->fault: uptodate, referenced */
	struct page *wait_page;		/* or, with RETRY: being read, referenced */
	unsigned int nr_zeroed;		/* pages from there on it has just made */
};

/*
 * Context: mm->mmap_lock; open, close for writing, others for reading. open and
 * close are optional.
 */
struct vm_operations_struct {
	/* One more VMA (a new one, or a split) or one less. */
	void (*open)(struct vm_area_struct *vma);
	void (*close)(struct vm_area_struct *vma);
	/* Find vmf->page, reading it if need be. 0, MAJOR, or an error. With
	 * RETRY_NOWAIT it may set vmf->wait_page instead, and return RETRY. */
	vm_fault_t (*fault)(struct vm_fault *vmf);
	/*
	 * vmf->page is to become writable; not locked. The owner makes room in
	 * the store, notes the time, and has copies in caches above us dropped
	 * if PG_kcached is set. It clears the flag, with the page locked, when
	 * they are gone; one that is still set, or again, has us call once
	 * more. 0 or VM_FAULT_SIGBUS.
	 */
	vm_fault_t (*page_mkwrite)(struct vm_fault *vmf);
	/* The last reference of a vm_file is gone. Context: no locks. */
	void (*release)(struct vm_file *file);
};

/**
 * handle_mm_fault - a client thread has touched @address and waits
 * @flags: FAULT_FLAG_*
 *
 * Unless an error is returned, the thread has been woken. On an error the
 * caller has to end its wait: SIGBUS, SIGSEGV.
 * Context: no locks; may sleep and do I/O. Return: VM_FAULT_* flags.
 * Source:  Linux mm/memory.c.
 */
vm_fault_t handle_mm_fault(struct mm_struct *mm, unsigned long address,
			   unsigned int flags);

/**
 * handle_mm_fault_nowait - the same for a fault that need not end here
 * @flags: as there
 * @waitp: receives NULL: as handle_mm_fault(); or a page, referenced, that is
 *         being read: nobody has been woken, and what is returned means nothing
 *
 * VM_FAULT_FALLBACK is returned for writes to files, which wait for their store
 * or are paused: nothing was done. The read is most likely this thread's own: its current_plug ends it. When the
 * page is unlocked, put_wait_page(), and handle_mm_fault() with @flags and
 * FAULT_FLAG_TRIED.
 */
vm_fault_t handle_mm_fault_nowait(struct mm_struct *mm, unsigned long address,
				  unsigned int flags, struct page **waitp);
void put_wait_page(struct page *page);

/* vm_ops->fault of a file: page cache, read-ahead, I/O. mm/filemap.c. */
vm_fault_t filemap_fault(struct vm_fault *vmf);

/*
 * Give the client what of [@addr, @addr + @len) is in windows already, so that
 * it need not fault for it one page at a time. Stops when @stop() says so
 * (NULL: never). Context: no locks. mm/mmap_ahead.c.
 */
void mmap_ahead(struct mm_struct *mm, unsigned long addr, size_t len,
		bool (*stop)(void *arg), void *arg);

/* vma->around, when the VMA goes. mm/fault_around.c. */
void vma_free_around(struct vm_area_struct *vma);

/* ---- mm/mmap.c: life of an mm ---- */

/**
 * mm_alloc - an empty address space, one user
 * @base, @end: bytes, page aligned: where get_unmapped_area() takes from; both
 *              0 if every mapping will say where it wants to be
 * Return: mm, on mmlist; NULL: out of memory, or no such region can be.
 */
struct mm_struct *mm_alloc(pid_t pid, unsigned long base, unsigned long end,
			   const struct mmu_ops *mmu, void *mmu_private);
/* The last user: unmaps everything (the client is gone, or about to be). */
void mmput(struct mm_struct *mm);
static inline void mmgrab(struct mm_struct *mm)
{
	atomic_fetch_add(&mm->mm_count, 1);
}
void mmdrop(struct mm_struct *mm);
/*
 * The mm of process @pid with mmgrab() done, or NULL. Not its user, as the last
 * mmput() may wait for the kernel, and so for those who may only look. There may
 * be nothing in it any more.
 */
struct mm_struct *find_grab_mm(pid_t pid);
/* The lowest pid above @after that has an mm; 0: none has. */
pid_t next_mm_pid(pid_t after);
/* Calls @fn for each mm, as a user of it, until it returns false. */
void for_each_mm(bool (*fn)(struct mm_struct *mm, void *arg), void *arg);

static inline void get_vm_file(struct vm_file *file)
{
	atomic_fetch_add(&file->f_count, 1);
}
void put_vm_file(struct vm_file *file);

/* ---- mm/vma.c: lookups. Context: mmap_lock, either way ---- */

/* The first VMA that ends after @addr: it may begin after it, too. */
struct vm_area_struct *find_vma(struct mm_struct *mm, unsigned long addr);
/* The same, and the one before it in *@pprev (the last one if NULL). */
struct vm_area_struct *find_vma_prev(struct mm_struct *mm, unsigned long addr,
				     struct vm_area_struct **pprev);
/* The first VMA that shares a byte with [@start, @end), or NULL. */
struct vm_area_struct *find_vma_intersection(struct mm_struct *mm,
					     unsigned long start,
					     unsigned long end);
/*
 * To who mapped [@start, @end) it is one mapping: VMAs that continue each other
 * and are alike but for VM_UFFD_WP, which a part keeps that was once writable.
 * Return: the first, and in *@flagsp what any of them has; or NULL.
 */
struct vm_area_struct *find_one_mapping(struct mm_struct *mm,
					unsigned long start, unsigned long end,
					unsigned long *flagsp);

/* ---- the system calls, mm/mmap.c, mm/mprotect.c, ...: take mmap_lock ---- */

#define MAP_HERE	0x1u	/* exactly at @addr: MAP_FIXED_NOREPLACE */

/**
 * do_mmap - a new mapping, not yet armed and with nothing in it
 * @file:  gets a reference of its own
 * @addr:  with MAP_HERE where; otherwise ignored
 * @len:   bytes, > 0, rounded up to pages
 * @vm_flags: VM_READ, VM_WRITE, VM_EXEC, VM_SHARED, VM_LOCKED, hints,
 *         VM_UFFD_ASYNC. VM_MAY* follow from @file. A mapping without VM_SHARED
 *         is read-only for good.
 * @pgoff: pages
 * @addrp: receives the address
 *
 * Return: 0; -EINVAL (0 or too long, unaligned); -EEXIST (something is
 *   there); -ENOMEM (no room in the region, MAX_MAP_COUNT, memory);
 *   -EACCES (VM_WRITE without f_writable); -EOVERFLOW (@pgoff + length).
 * May merge with neighbours that continue it: same file, flags, pgoff.
 * Source: Linux mm/mmap.c (do_mmap, mmap_region, vma_merge).
 */
int do_mmap(struct mm_struct *mm, struct vm_file *file, unsigned long addr,
	    size_t len, unsigned long vm_flags, pgoff_t pgoff,
	    unsigned int map_flags, unsigned long *addrp);

/*
 * After do_mmap() and once the client's MMU knows the range: arms what of the
 * file has ever been in its window, so that no write goes unnoticed. Until
 * then the client must not reach the range (it is mapped PROT_NONE).
 * Return: 0, -EINVAL (no such range), -EAGAIN.
 */
int mmap_arm(struct mm_struct *mm, unsigned long addr, size_t len);
/*
 * The same for what the client's kernel has moved there: with VM_UFFD_ASYNC it
 * stays as it is, for arming would wipe out what scanning is to find.
 */
int mmap_arm_moved(struct mm_struct *mm, unsigned long addr, size_t len);

/**
 * do_munmap - [@addr, @addr + @len) holds nothing any more
 * VMAs are split at both ends. Writable ptes' pages are dirty already. Unmapping
 * nothing is no error. The client's own munmap comes before or after.
 * Return: 0, -EINVAL (unaligned, 0), -ENOMEM (a split would exceed the limits).
 */
int do_munmap(struct mm_struct *mm, unsigned long addr, size_t len);

/* mprotect(2), the book-keeping: 0, -EACCES, -ENOMEM (a hole), -EINVAL. */
int do_mprotect(struct mm_struct *mm, unsigned long addr, size_t len,
		unsigned long vm_flags);

/**
 * do_mremap - a mapping's new place or size
 * @new_addr: MAP_HERE: where it goes, and what is there goes; else it stays if
 *            it can grow there or @may_move is false, and moves into the region
 *            otherwise. Outside of the region, whether there is room for it to
 *            grow is for the client to see: we know our mappings only
 * The old range, or its cut-off tail, is unmapped; what is new has nothing in
 * it and has to be armed. [@addr, @addr + @old_len) must be
 * one mapping (find_one_mapping()); what moves has VM_UFFD_WP if a part had it.
 * Return: 0, -EFAULT (no such range), -ENOMEM (no room), -EINVAL.
 */
int do_mremap(struct mm_struct *mm, unsigned long addr, size_t old_len,
	      size_t new_len, unsigned int map_flags, bool may_move,
	      unsigned long new_addr, unsigned long *addrp);

/*
 * MREMAP events: the client's kernel has moved it already, and what it had at
 * the new place is unmapped. Then mmap_arm_moved() what is there now: what the
 * client could write to it still can, and we have no note of that.
 * Return: 0, -EINVAL, -ENOMEM.
 */
int mremap_event(struct mm_struct *mm, unsigned long from, unsigned long to,
		 size_t len);

enum mm_advice {
	MM_NORMAL, MM_RANDOM, MM_SEQUENTIAL,	/* VM_RAND_READ, VM_SEQ_READ */
	MM_WILLNEED,				/* read ahead, do not wait */
	MM_DONTNEED,				/* the first to be demoted; of private
						 * memory: see do_madvise_free() */
	MM_POPULATE,				/* read and map now */
	MM_POPULATE_WRITE,
};
/* madvise(2). Return: 0, -EINVAL, -ENOMEM (a hole), -EIO (populate). */
int do_madvise(struct mm_struct *mm, unsigned long addr, size_t len,
	       enum mm_advice advice);

/* mlock(2), munlock(2). Locks at most @limit pages of this mm. 0, -ENOMEM. */
int do_mlock(struct mm_struct *mm, unsigned long addr, size_t len,
	     unsigned long limit);
int do_munlock(struct mm_struct *mm, unsigned long addr, size_t len);

/* mincore(2): vec[i] bit 0: in the page cache. 0 or -ENOMEM (a hole). */
int do_mincore(struct mm_struct *mm, unsigned long addr, size_t len,
	       unsigned char *vec);

/**
 * do_msync - write a range's files back
 * @fn: brings bytes of a file to its device; called for each VMA in the range
 *      that is VM_SHARED, in order, without mmap_lock
 * Return: what the first failing @fn said; -ENOMEM (a hole, at the end).
 */
int do_msync(struct mm_struct *mm, unsigned long addr, size_t len,
	     int (*fn)(struct vm_file *file, loff_t pos, size_t len, void *arg),
	     void *arg);

/* BUGs unless list, tree, counts, i_mmap and page tables agree. Quiet mm. */
void mm_check(struct mm_struct *mm);

/* ---- mm/smaps.c ---- */

#define PSS_SHIFT	12	/* bits behind the point in a share of pages */

/* Bytes, but for shares: those are bytes << PSS_SHIFT. */
struct mem_size_stats {
	unsigned long resident;
	unsigned long shared_clean, shared_dirty;
	unsigned long private_clean, private_dirty;
	uint64_t pss, pss_dirty;
	unsigned long anonymous;	/* of resident, without a file */
	unsigned long swap;		/* of the VMA, not in memory */
	uint64_t swap_pss;
};

/* What of @vma its client has now. Context: mmap_lock. */
void smap_gather(struct vm_area_struct *vma, struct mem_size_stats *mss);

/* ---- mm/interval_tree.c: mapping->i_mmap. Context: i_mmap_lock ---- */

void vma_interval_tree_insert(struct vm_area_struct *vma, struct rb_root *root);
void vma_interval_tree_remove(struct vm_area_struct *vma, struct rb_root *root);
struct vm_area_struct *vma_interval_tree_iter_first(struct rb_root *root,
						    pgoff_t start, pgoff_t last);
struct vm_area_struct *vma_interval_tree_iter_next(struct vm_area_struct *vma,
						   pgoff_t start, pgoff_t last);

#define vma_interval_tree_foreach(vma, root, start, last)		\
	for (vma = vma_interval_tree_iter_first(root, start, last);	\
	     vma; vma = vma_interval_tree_iter_next(vma, start, last))

/* ---- mm/pgtable.c ---- */

#define PTRS_PER_TABLE	512
#define PMD_SHIFT	21
#define PUD_SHIFT	30
#define PGDIR_SHIFT	39

#define _PAGE_PRESENT	0x001ULL
#define _PAGE_RW	0x002ULL
#define _PAGE_ACCESSED	0x020ULL
#define _PAGE_DIRTY	0x040ULL
/* Not present and not 0: a swap entry; the door for anonymous memory. */

static inline bool pte_none(pte_t pte) { return !pte.pte; }
static inline bool pte_present(pte_t pte) { return pte.pte & _PAGE_PRESENT; }
static inline bool pte_write(pte_t pte) { return pte.pte & _PAGE_RW; }

/*
 * Tables down to the one with @addr's pte, made if there are none.
 * Context: no locks from LOCK_RENAME down; mmap_lock is fine. May sleep.
 * Return: 0 or -ENOMEM. It stays until a pte in it was set and cleared again,
 * or the range unmapped: so call it, take page_table_lock, and call pte_offset();
 * when that says NULL, start again.
 */
int pte_alloc(struct mm_struct *mm, unsigned long addr);
/* The pte, or NULL if there is no table. Context: page_table_lock. */
pte_t *pte_offset(struct mm_struct *mm, unsigned long addr);
/* Context: page_table_lock. Counts rss; frees tables that became empty when
 * @pte is none: then @ptep is gone. */
void set_pte(struct mm_struct *mm, unsigned long addr, pte_t *ptep, pte_t pte);
/*
 * For each non-none pte in [@start, @end) in order: @fn may change it by
 * set_pte(). Context: page_table_lock.
 */
void walk_page_range(struct mm_struct *mm, unsigned long start,
		     unsigned long end,
		     void (*fn)(struct mm_struct *mm, unsigned long addr,
				pte_t *ptep, void *arg), void *arg);
/* All ptes of the range become none. Takes page_table_lock. */
void zap_page_range(struct mm_struct *mm, unsigned long start, unsigned long end);
/*
 * Tables without a single writable pte go, of all mms: what else they say is not
 * needed. Context: no locks from LOCK_MMLIST down. Return: frames freed.
 */
unsigned long shrink_page_tables(void);
void pgtable_free_all(struct mm_struct *mm);
/* BUGs unless counts agree and no table is empty, save for unused ones of ptes. */
void pgtable_check(struct mm_struct *mm);

int mmap_init(void);		/* caches; by mm_init() */
void mmap_exit(void);		/* BUGs if an mm is left */

#endif /* PAGEFS_MMAP_H */
