// SPDX-License-Identifier: BSD-2-Clause
/*
 * mm/mmap.c - address spaces of clients: their life, mapping and unmapping
 *
 *   mm_alloc() --> [ mm_users >= 1 ] --mmput()--> [ no users ] --mmdrop()--> gone
 *                   on mmlist, may               off mmlist, maps
 *                   get mappings                 nothing, struct stays
 *
 *   do_mmap:  get_unmapped_area -> mmap_region -> vma_merge or vma_link (vma.c)
 *
 * I1. An mm is on mmlist while it has users, so that who finds it there with
 *     mm_users 0 has only come before mmput() has got the lock.
 * I2. All users together hold one mm_count.
 *
 * Numbers come from clients and are checked here, whoever has seen them before:
 * addresses and lengths against TASK_SIZE, offsets against what a file can
 * have. Nothing that a client can ask for takes longer than O(log n) a VMA.
 *
 * Locks:   mmlist_lock (LOCK_MMLIST), which is held for looking only; mmap_lock;
 *          see vma.c for the rest.
 * Source:  Linux mm/mmap.c, kernel/fork.c. Differs: the region that addresses
 *          are picked from is searched bottom up, as neighbours then follow
 *          each other as the pages of a file do, and are joined.
 */
#include <errno.h>

#include "err.h"
#include "slab.h"
#include "vma.h"
#include "vmstat.h"
#include "window_i.h"

#define MMAP_VM_FLAGS							\
	(VM_ACCESS_FLAGS | VM_SHARED | VM_LOCKED | VM_SEQ_READ |		\
	 VM_RAND_READ | VM_UFFD_ASYNC)

static struct kmem_cache *mm_cachep;	/* constant after mmap_init() */
static struct mutex mmlist_lock = MUTEX_INITIALIZER(LOCK_MMLIST);
static LIST_HEAD(mmlist);		/* mmlist_lock; oldest first */

int mmap_init(void)
{
	int err = vma_init();

	if (err)
		return err;
	mm_cachep = kmem_cache_create("mm_struct", sizeof(struct mm_struct), 0,
				      0, NULL);
	if (!mm_cachep) {
		vma_exit();
		return -ENOMEM;
	}
	return 0;
}

void mmap_exit(void)
{
	BUG_ON(!list_empty(&mmlist));
	kmem_cache_destroy(mm_cachep);
	mm_cachep = NULL;
	vma_exit();
}

/* ---- life of an mm ---- */

static bool region_ok(unsigned long base, unsigned long end)
{
	return base <= end && end <= TASK_SIZE &&
	       IS_ALIGNED(base | end, PAGE_SIZE) && (base || !end);
}

struct mm_struct *mm_alloc(pid_t pid, unsigned long base, unsigned long end,
			   const struct mmu_ops *mmu, void *mmu_private)
{
	struct mm_struct *mm;

	if (!region_ok(base, end))
		return NULL;
	mm = kmem_cache_alloc(mm_cachep, GFP_KERNEL | __GFP_ZERO);
	if (!mm)
		return NULL;
	init_rwsem(&mm->mmap_lock, LOCK_MMAP);
	mutex_init(&mm->page_table_lock, LOCK_PTL);
	mm->mmap_base = base;
	mm->mmap_end = end;
	atomic_init(&mm->mm_users, 1);
	atomic_init(&mm->mm_count, 1);			/* I2 */
	mm->pid = pid;
	mm->mmu = mmu;
	mm->mmu_private = mmu_private;
	mutex_lock(&mmlist_lock);
	list_add_tail(&mm->mmlist, &mmlist);
	mutex_unlock(&mmlist_lock);
	return mm;
}

void mmdrop(struct mm_struct *mm)
{
	if (atomic_fetch_sub(&mm->mm_count, 1) != 1)
		return;
	BUG_ON(mm->mmap || mm->anon || mm->pgd.entry || atomic_load(&mm->mm_users));
	destroy_rwsem(&mm->mmap_lock);
	mutex_destroy(&mm->page_table_lock);
	kmem_cache_free(mm_cachep, mm);
}

static void exit_mmap(struct mm_struct *mm)
{
	struct vma_stash none = { NULL };

	down_write(&mm->mmap_lock);
	vma_unmap_range(mm, 0, TASK_SIZE, &none);	/* nothing to split */
	pgtable_free_all(mm);
	mmap_write_unlock(mm);
}

void mmput(struct mm_struct *mm)
{
	if (atomic_fetch_sub(&mm->mm_users, 1) != 1)
		return;
	mutex_lock(&mmlist_lock);
	list_del(&mm->mmlist);				/* I1 */
	mutex_unlock(&mmlist_lock);
	exit_mmap(mm);
	anon_exit(mm);
	mmdrop(mm);
}

/* Context: mmlist_lock, or a reference to the struct. */
static bool mmget_not_zero(struct mm_struct *mm)
{
	int users = atomic_load(&mm->mm_users);

	while (users && !atomic_compare_exchange_weak(&mm->mm_users, &users,
						      users + 1))
		;
	return users;
}

struct mm_struct *find_grab_mm(pid_t pid)
{
	struct mm_struct *mm, *found = NULL;

	mutex_lock(&mmlist_lock);
	/* The newest: after an exec an older one may be on its way out. */
	list_for_each_entry(mm, &mmlist, mmlist)
		if (mm->pid == pid)
			found = mm;
	if (found)
		mmgrab(found);	/* I1: one on the list has an mm_count */
	mutex_unlock(&mmlist_lock);
	return found;
}

pid_t next_mm_pid(pid_t after)
{
	struct mm_struct *mm;
	pid_t next = 0;

	mutex_lock(&mmlist_lock);
	list_for_each_entry(mm, &mmlist, mmlist)
		if (mm->pid > after && (!next || mm->pid < next))
			next = mm->pid;
	mutex_unlock(&mmlist_lock);
	return next;
}

/* The first mm after @pos that has users, held; @pos is the list or an mm's. */
static struct mm_struct *mmlist_next(struct list_head *pos)
{
	struct mm_struct *mm, *found = NULL;

	mutex_lock(&mmlist_lock);
	while ((pos = pos->next) != &mmlist) {
		mm = list_entry(pos, struct mm_struct, mmlist);
		if (mmget_not_zero(mm)) {
			found = mm;
			break;
		}
	}
	mutex_unlock(&mmlist_lock);
	return found;
}

static void drop_read_only(struct mm_struct *mm, unsigned long addr,
			   pte_t *ptep, void *unused)
{
	(void)unused;
	if (!pte_write(*ptep))
		set_pte(mm, addr, ptep, (pte_t){ 0 });
}

/* Those that can be written to stay: rmap.c needs them. */
static void drop_read_only_range(struct mm_struct *mm, unsigned long start,
				 unsigned long end)
{
	mutex_lock(&mm->page_table_lock);
	walk_page_range(mm, start, end, drop_read_only, NULL);
	mutex_unlock(&mm->page_table_lock);
}

/* mmlist_lock keeps each mm's tables: they go after it has left the list. */
unsigned long shrink_page_tables(void)
{
	unsigned long before = vm_stat_read(NR_PAGETABLE), after;
	struct mm_struct *mm;

	mutex_lock(&mmlist_lock);
	list_for_each_entry(mm, &mmlist, mmlist)
		drop_read_only_range(mm, 0, TASK_SIZE);
	mutex_unlock(&mmlist_lock);
	after = vm_stat_read(NR_PAGETABLE);
	return before > after ? before - after : 0;
}

/* The one we hold stays on the list (I1), and so shows where we are. */
void for_each_mm(bool (*fn)(struct mm_struct *mm, void *arg), void *arg)
{
	struct mm_struct *mm = mmlist_next(&mmlist), *next;

	while (mm) {
		next = fn(mm, arg) ? mmlist_next(&mm->mmlist) : NULL;
		mmput(mm);
		mm = next;
	}
}

void put_vm_file(struct vm_file *file)
{
	int old = atomic_fetch_sub(&file->f_count, 1);

	BUG_ON(old <= 0);
	if (old == 1 && file->f_op->release)
		file->f_op->release(file);
}

/* ---- mapping ---- */

/* The lowest address, which is above all VMAs there or in a hole of theirs. */
unsigned long get_unmapped_area(struct mm_struct *mm, unsigned long len)
{
	struct vm_area_struct *vma = find_vma(mm, mm->mmap_base), *prev;
	unsigned long addr = mm->mmap_base;

	if (len > mm->mmap_end - mm->mmap_base)
		return 0;
	if (vma && vma->vm_start < addr + len) {
		/* All holes from here on begin inside the region. */
		vma = vma_next_gap(vma, len);
		prev = vma ? vma->vm_prev : rb_entry(rb_last(&mm->mm_rb),
						     struct vm_area_struct,
						     vm_rb);
		addr = prev->vm_end;
	}
	return addr <= mm->mmap_end && len <= mm->mmap_end - addr ? addr : 0;
}

/* Sets @area's flags as those of the VMA will be. Return: 0 or -errno. */
static int mmap_flags(struct vma_area *area, unsigned long vm_flags)
{
	if (vm_flags & ~MMAP_VM_FLAGS)
		return -EINVAL;
	vm_flags |= VM_MAYREAD | VM_MAYEXEC;
	if ((vm_flags & VM_SHARED) && area->file->f_writable)
		vm_flags |= VM_MAYWRITE;
	if ((vm_flags & VM_WRITE) && !(vm_flags & VM_MAYWRITE))
		return -EACCES;
	if (vm_flags & VM_WRITE)
		vm_flags |= VM_UFFD_WP;
	if (!(vm_flags & VM_MAYWRITE))
		vm_flags &= ~VM_UFFD_ASYNC;
	area->flags = vm_flags;
	return 0;
}

/* Where @area, of @len bytes, goes. Context: mmap_lock. */
static int mmap_place(struct mm_struct *mm, struct vma_area *area,
		      unsigned long len, unsigned int map_flags)
{
	if (!(map_flags & MAP_HERE)) {
		area->start = get_unmapped_area(mm, len);
		if (!area->start)
			return -ENOMEM;
		area->end = area->start + len;
	}
	return find_vma_intersection(mm, area->start, area->end) ? -EEXIST : 0;
}

/* Context: mmap_lock for writing. */
static int __mmap_area(struct mm_struct *mm, struct vma_area *area, size_t len,
		       unsigned int map_flags)
{
	struct vma_stash stash = { NULL };
	int err = mmap_place(mm, area, len, map_flags);

	if (!err && (area->flags & VM_ACCOUNT))
		err = anon_place(mm, area);
	if (!err)
		err = vma_stash_fill(mm, &stash, 1);
	if (!err)
		mmap_region(mm, area, &stash);
	vma_stash_release(&stash);
	return err;
}

int mmap_area(struct mm_struct *mm, struct vma_area *area, size_t len,
	      unsigned int map_flags)
{
	struct window *w = mapping_window(area->file->f_mapping);
	int err;

	if (IS_ERR(w))
		return PTR_ERR(w);
	down_write(&mm->mmap_lock);
	err = __mmap_area(mm, area, len, map_flags);
	mmap_write_unlock(mm);
	if (!err && (area->flags & VM_UFFD_ASYNC))
		window_wait_demotions(w);
	return err;
}

int mmap_check(struct vma_area *area, unsigned long addr, size_t len,
	       unsigned int map_flags)
{
	if (!(map_flags & MAP_HERE))
		addr = PAGE_SIZE;	/* for the checks: anything but 0 */
	if (!len || !addr || vma_check_range(addr, len, &area->end))
		return -EINVAL;
	area->start = addr;
	return 0;
}

int do_mmap(struct mm_struct *mm, struct vm_file *file, unsigned long addr,
	    size_t len, unsigned long vm_flags, pgoff_t pgoff,
	    unsigned int map_flags, unsigned long *addrp)
{
	struct vma_area area = { .file = file, .pgoff = pgoff };
	int err = mmap_check(&area, addr, len, map_flags);

	if (err)
		return err;
	len = area.end - area.start;
	if (pgoff > MAX_FILE_PAGES - (len >> PAGE_SHIFT))
		return -EOVERFLOW;
	err = mmap_flags(&area, vm_flags) ?:
	      mmap_area(mm, &area, len, map_flags);
	if (!err)
		*addrp = area.start;
	return err;
}

/*
 * VMAs are joined, so a fault beside the range may have mapped around into it
 * when the client's MMU knew nothing of it yet: those ptes are wrong. One that
 * can be written to is not of that kind.
 */
static int __mmap_arm(struct mm_struct *mm, unsigned long addr, size_t len,
		      unsigned long not_those)
{
	struct vm_area_struct *vma;
	unsigned long end;
	int err = 0;

	if (!len || vma_check_range(addr, len, &end))
		return -EINVAL;
	down_read(&mm->mmap_lock);
	if (!vma_range_mapped(mm, addr, end))
		err = -EINVAL;
	else
		drop_read_only_range(mm, addr, end);
	for (vma = find_vma(mm, addr); !err && addr < end; vma = vma->vm_next) {
		if (!(vma->vm_flags & not_those))
			err = window_arm_vma(vma, addr, min(end, vma->vm_end));
		addr = vma->vm_end;
	}
	up_read(&mm->mmap_lock);
	return err;
}

int mmap_arm(struct mm_struct *mm, unsigned long addr, size_t len)
{
	return __mmap_arm(mm, addr, len, 0);
}

int mmap_arm_moved(struct mm_struct *mm, unsigned long addr, size_t len)
{
	return __mmap_arm(mm, addr, len, VM_UFFD_ASYNC);
}

/* ---- unmapping ---- */

int do_munmap(struct mm_struct *mm, unsigned long addr, size_t len)
{
	struct vma_stash stash = { NULL };
	unsigned long end;
	int err;

	if (!len || vma_check_range(addr, len, &end))
		return -EINVAL;
	down_write(&mm->mmap_lock);
	err = vma_stash_fill(mm, &stash, vma_unmap_splits(mm, addr, end));
	if (!err)
		vma_unmap_range(mm, addr, end, &stash);
	mmap_write_unlock(mm);
	vma_stash_release(&stash);
	return err;
}

/* ---- checks ---- */

static void no_pte(struct mm_struct *mm, unsigned long addr, pte_t *ptep,
		   void *arg)
{
	(void)mm, (void)addr, (void)ptep, (void)arg;
	__bug(__FILE__, __LINE__, __func__, "a pte outside of all VMAs");
}

static void check_outside(struct mm_struct *mm, unsigned long start,
			  unsigned long end)
{
	mutex_lock(&mm->page_table_lock);
	walk_page_range(mm, start, end, no_pte, NULL);
	mutex_unlock(&mm->page_table_lock);
}

/*
 * Is @vma in its file's tree? The tree itself is looked at by way of its first
 * VMA alone, or a file mapped n times would be looked at n times.
 */
static void check_i_mmap(struct vm_area_struct *vma)
{
	struct address_space *mapping = vma->vm_file->f_mapping;
	struct rb_node *rb = &vma->i_mmap_rb;

	down_write(&mapping_win(mapping)->i_mmap_lock);
	while (rb_parent(rb))
		rb = rb_parent(rb);
	BUG_ON(rb != mapping_win(mapping)->i_mmap.rb_node);
	if (rb_first(&mapping_win(mapping)->i_mmap) == &vma->i_mmap_rb)
		BUG_ON(vma_interval_tree_check(&mapping_win(mapping)->i_mmap) >
		       atomic_load(&mapping_win(mapping)->nr_vmas));
	up_write(&mapping_win(mapping)->i_mmap_lock);
	BUG_ON((vma->vm_flags & VM_MAYWRITE) &&
	       !mapping_writably_mapped(mapping));
}

void mm_check(struct mm_struct *mm)
{
	struct vm_area_struct *vma, *prev = NULL;

	down_read(&mm->mmap_lock);
	vma_check_tree(mm);
	for (vma = mm->mmap; vma; prev = vma, vma = vma->vm_next) {
		check_i_mmap(vma);
		check_outside(mm, prev ? prev->vm_end : 0, vma->vm_start);
		BUG_ON((vma->vm_flags & VM_WRITE) &&
		       !(vma->vm_flags & VM_MAYWRITE));
		BUG_ON((vma->vm_flags & VM_WRITE) &&
		       !(vma->vm_flags & VM_UFFD_WP));
		BUG_ON((vma->vm_flags & (VM_MAYWRITE | VM_UFFD_WP)) &&
		       !(vma->vm_flags & (VM_SHARED | VM_ACCOUNT)));
		BUG_ON(vma_is_private(vma) &&
		       (vma->vm_flags & VM_SHARED ||
			vma->vm_file->f_mapping != anon_mapping(mm)));
	}
	check_outside(mm, prev ? prev->vm_end : 0, TASK_SIZE);
	pgtable_check(mm);
	up_read(&mm->mmap_lock);
}
