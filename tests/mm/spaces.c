// SPDX-License-Identifier: BSD-2-Clause
/*
 * tests/mm/spaces.c - see spaces.h
 */
#include <ctype.h>
#include <stdio.h>
#include <string.h>

#include "err.h"
#include "harness.h"
#include "spaces.h"
#include "vmstat.h"
#include "window_i.h"

#define MEMORY		(32UL << 20)

struct fake_disk disk;
struct fake_file *stores[2];
struct test_file files[NR_FILES];
struct mm_struct *mm;

/* ---- the owner and the client ---- */

static struct test_file *test_file(struct vm_file *file)
{
	return (struct test_file *)file;
}

static void test_open(struct vm_area_struct *vma)
{
	BUG_ON(vma->vm_start >= vma->vm_end);
	atomic_fetch_add(&test_file(vma->vm_file)->vmas, 1);
}

static void test_close(struct vm_area_struct *vma)
{
	BUG_ON(vma->vm_start >= vma->vm_end);
	atomic_fetch_sub(&test_file(vma->vm_file)->vmas, 1);
}

static void test_release(struct vm_file *file)
{
#ifdef PAGEFS_DEBUG
	lockdep_assert_none_from(LOCK_READDIR);
#endif
	atomic_fetch_add(&test_file(file)->released, 1);
}

static const struct vm_operations_struct test_vm_ops = {
	.open = test_open,
	.close = test_close,
	.fault = filemap_fault,
	.release = test_release,
};

/* Its MMU agrees to everything, and notes what it was last asked to protect. */
unsigned long protected_addr, protected_nr;
int protect_err;

static int test_map(struct vm_area_struct *vma, unsigned long addr,
		    unsigned long nr, bool write)
{
	(void)write;
	BUG_ON(addr < vma->vm_start || addr + nr * PAGE_SIZE > vma->vm_end);
	return 0;
}

static int test_protect(struct vm_area_struct *vma, unsigned long addr,
			unsigned long nr)
{
	BUG_ON(addr < vma->vm_start || addr + nr * PAGE_SIZE > vma->vm_end);
	protected_addr = addr;
	protected_nr = nr;
	return protect_err;
}

static void test_wake(struct vm_area_struct *vma, unsigned long addr,
		      unsigned long nr)
{
	(void)vma, (void)addr, (void)nr;
}

const struct mmu_ops test_mmu = {
	.map = test_map,
	.protect = test_protect,
	.unprotect = test_wake,
	.wake = test_wake,
};

/* ---- up and down ---- */

void file_up(struct test_file *tf, struct fake_file *store,
		    bool writable)
{
	memset(tf, 0, sizeof(*tf));
	tf->file = store;
	tf->f.f_mapping = &store->mapping;
	tf->f.f_op = &test_vm_ops;
	tf->f.f_writable = writable;
	atomic_init(&tf->f.f_count, 1);
	file_ra_state_init(&tf->f.f_ra, 32);
}

static void file_down(struct test_file *tf)
{
	CU_ASSERT_EQUAL(atomic_load(&tf->vmas), 0);
	CU_ASSERT_EQUAL(atomic_load(&tf->f.f_count), 1);
	put_vm_file(&tf->f);
	CU_ASSERT_EQUAL(atomic_load(&tf->released), 1);
	file_ra_state_destroy(&tf->f.f_ra);
}

struct mm_struct *mm_new(pid_t pid)
{
	struct mm_struct *new = mm_alloc(pid, BASE,
					 BASE + REGION_PAGES * PAGE_SIZE,
					 &test_mmu, NULL);

	BUG_ON(!new);
	return new;
}

void up_with(size_t memory)
{
	fake_mm_init(memory, 1, false);
	fake_disk_init(&disk, FAKE_SYNC);
	for (unsigned int i = 0; i < 2; i++) {
		stores[i] = fake_file_new(&disk, FILE_PAGES * PAGE_SIZE,
					  FILE_PAGES * PAGE_SIZE);
		BUG_ON(IS_ERR(mapping_window(&stores[i]->mapping)));
		file_up(&files[i], stores[i], true);
	}
	file_up(&files[2], stores[1], false);
	mm = mm_new(100);
	protect_err = 0;
}

void up(void)
{
	up_with(MEMORY);
}

void down(void)
{
	if (mm)
		mmput(mm);
	for (unsigned int i = 0; i < NR_FILES; i++)
		file_down(&files[i]);
	for (unsigned int i = 0; i < 2; i++) {
		CU_ASSERT_EQUAL(mapping_nr_vmas(&stores[i]->mapping), 0);
		CU_ASSERT_EQUAL(
			mapping_nr_writable(&stores[i]->mapping), 0);
		fake_file_free(stores[i]);
	}
	CU_ASSERT_EQUAL(vm_stat_read(NR_PAGETABLE), 0);
	CU_ASSERT_EQUAL(fake_disk_exit(&disk), 0);
	balloon_exit();		/* what it kept for more is not lost */
	CU_ASSERT_EQUAL(fake_mm_exit(), 0);
}

/* ---- address spaces as strings ---- */

unsigned long letter_flags(char c)
{
	unsigned long flags = isupper(c) ? VM_LOCKED : 0;

	switch (tolower(c)) {
	case 'n':
	case 'm':
		return flags | VM_SHARED;
	case 'r':
	case 'v':
	case 'o':
		return flags | VM_SHARED | VM_READ;
	case 'a':
		return flags | VM_SHARED | VM_READ | VM_RAND_READ;
	case 's':
		return flags | VM_SHARED | VM_READ | VM_SEQ_READ;
	case 'x':
	case 'y':
		return flags | VM_SHARED | VM_READ | VM_EXEC;
	case 'p':
		return flags | VM_READ;
	case 'w':
		return flags | VM_SHARED | VM_READ | VM_WRITE;
	}
	BUG_ON(1);
}

struct vm_file *letter_file(char c)
{
	return &files[tolower(c) == 'o' ? 2 : 0].f;
}

/* What the letter's VMA has that do_mmap() was not told of. */
static unsigned long letter_wp(char c)
{
	return strchr("wvmy", tolower(c)) ? VM_UFFD_WP : 0;
}

static char vma_letter(const struct vm_area_struct *vma)
{
	static const char letters[] = "nrasxpowvmy";

	for (const char *c = letters; *c; c++)
		for (int locked = 0; locked < 2; locked++) {
			char l = (char)(locked ? toupper(*c) : *c);

			if (vma->vm_file == letter_file(l) &&
			    (vma->vm_flags & ~(VM_MAYREAD | VM_MAYWRITE |
					       VM_MAYEXEC)) ==
			    (letter_flags(l) | letter_wp(l)))
				return l;
		}
	return '?';
}

/* A mapping of what @letter says, at page @i of its file. */
static void build_run(char letter, unsigned long i, unsigned long nr)
{
	unsigned long flags = letter_flags(letter), addr;
	unsigned long first = letter_wp(letter) ? flags | VM_WRITE : flags;

	BUG_ON(do_mmap(mm, letter_file(letter), page_addr(i), nr * PAGE_SIZE,
		       first, i, MAP_HERE, &addr));
	BUG_ON(addr != page_addr(i));
	if (first != flags)
		BUG_ON(do_mprotect(mm, addr, nr * PAGE_SIZE,
				   flags & VM_ACCESS_FLAGS));
}

void build(const char *space)
{
	unsigned long i = 0, nr;

	for (; *space; space += nr) {
		nr = 1;
		if (*space == '|')
			continue;
		if (*space == '.') {
			i++;
			continue;
		}
		while (space[nr] == *space)
			nr++;
		build_run(*space, i, nr);
		i += nr;
	}
}

/* The opposite: up to the last VMA, which is to be within 200 pages. */
static const char *space_now(void)
{
	static char text[512];
	struct vm_area_struct *vma;
	unsigned long at = BASE;
	char *p = text;

	down_read(&mm->mmap_lock);
	for (vma = mm->mmap; vma; vma = vma->vm_next) {
		if (p > text && vma->vm_start == at)
			*p++ = '|';
		for (; at < vma->vm_start && p < text + 400; at += PAGE_SIZE)
			*p++ = '.';
		for (; at < vma->vm_end && p < text + 400; at += PAGE_SIZE)
			*p++ = vma_letter(vma);
	}
	up_read(&mm->mmap_lock);
	*p = '\0';
	return text;
}

bool space_is(const char *space)
{
	const char *now = space_now();

	mm_check(mm);
	if (!strcmp(now, space))
		return true;
	printf("# is %s, expected %s\n", now, space);
	return false;
}

bool offsets_are_identity(void)
{
	bool ok = true;

	down_read(&mm->mmap_lock);
	for (struct vm_area_struct *vma = mm->mmap; vma; vma = vma->vm_next)
		ok &= page_addr(vma->vm_pgoff) == vma->vm_start;
	up_read(&mm->mmap_lock);
	return ok;
}

bool files_agree(void)
{
	unsigned long vmas[NR_FILES] = { 0 }, writable = 0, total;
	struct vm_area_struct *vma;
	bool ok = true;

	down_read(&mm->mmap_lock);
	for (vma = mm->mmap; vma; vma = vma->vm_next) {
		vmas[test_file(vma->vm_file) - files]++;
		writable += (vma->vm_flags & VM_MAYWRITE) &&
			    vma->vm_file == &files[0].f;
	}
	up_read(&mm->mmap_lock);
	for (unsigned int i = 0; i < NR_FILES; i++) {
		ok &= atomic_load(&files[i].vmas) == (long)vmas[i];
		ok &= atomic_load(&files[i].f.f_count) == (int)vmas[i] + 1;
	}
	total = vmas[1] + vmas[2];
	return ok && mapping_nr_vmas(&stores[0]->mapping) == vmas[0] &&
	       mapping_nr_vmas(&stores[1]->mapping) == total &&
	       mapping_nr_writable(&stores[0]->mapping) == writable;
}

void set_pte_at(unsigned long addr, uint64_t v)
{
	pte_t *ptep = NULL;

	while (!ptep) {
		BUG_ON(pte_alloc(mm, addr));
		mutex_lock(&mm->page_table_lock);
		ptep = pte_offset(mm, addr);
		if (ptep)
			set_pte(mm, addr, ptep, (pte_t){ v });
		mutex_unlock(&mm->page_table_lock);
	}
}

uint64_t pte_at(struct mm_struct *of, unsigned long addr)
{
	pte_t *ptep;
	uint64_t v;

	mutex_lock(&of->page_table_lock);
	ptep = pte_offset(of, addr);
	v = ptep ? ptep->pte : 0;
	mutex_unlock(&of->page_table_lock);
	return v;
}

/* ---- calls ---- */

int do_call(const struct call_case *c)
{
	unsigned long addr = page_addr(c->at), got;
	size_t len = c->nr * PAGE_SIZE;

	switch (c->call) {
	case MAP:
		return do_mmap(mm, letter_file(c->arg), addr, len,
			       letter_flags(c->arg), c->at, MAP_HERE, &got);
	case UNMAP:
		return do_munmap(mm, addr, len);
	case PROTECT:
		return do_mprotect(mm, addr, len,
				   letter_flags(c->arg) & VM_ACCESS_FLAGS);
	case ADVISE:
		return do_madvise(mm, addr, len,
				  c->arg == 'a' ? MM_RANDOM :
				  c->arg == 's' ? MM_SEQUENTIAL : MM_NORMAL);
	case LOCK:
		return do_mlock(mm, addr, len, 1000);
	case UNLOCK:
		return do_munlock(mm, addr, len);
	}
	return -1;
}
