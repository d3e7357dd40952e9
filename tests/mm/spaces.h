/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * tests/mm/spaces.h - address spaces written as strings, for tests of mappings
 *
 * A character for each page from BASE on; a bar stands between VMAs that touch:
 *
 *   .  nothing            n  PROT_NONE            a  read, MADV_RANDOM
 *   r  read               w  read and write       s  read, MADV_SEQUENTIAL
 *   x  read and execute   p  read, private        o  read, file opened read-only
 *   v, m, y  as r, n, x, but once it was w: its stores are noticed still
 *   and in capitals with VM_LOCKED
 *
 * Page i of such a space shows page i of its file unless a test says otherwise.
 * The client's MMU agrees to everything; the owner's files are fake_disk's.
 */
#ifndef PAGEFS_TESTS_SPACES_H
#define PAGEFS_TESTS_SPACES_H

#include "fake_disk.h"
#include "mmap.h"

#define BASE		0x7f1230000000UL
#define REGION_PAGES	64u		/* for addresses that are picked */
#define NR_FILES	3u		/* the last is not writable */
#define FILE_PAGES	200u

/* What the owner has opened, and how often it is mapped. */
struct test_file {
	struct vm_file f;		/* first */
	struct fake_file *file;
	atomic_long vmas;		/* ->open less ->close */
	atomic_int released;
};

extern struct fake_disk disk;
extern struct fake_file *stores[2];	/* of files 0, and 1 and 2 */
extern struct test_file files[NR_FILES];
extern struct mm_struct *mm;		/* what the strings are of */

/* What the client was last asked to protect, and what it is to say to that. */
extern unsigned long protected_addr, protected_nr;
extern int protect_err;
extern const struct mmu_ops test_mmu;

/* Everything; an empty mm with pid 100. down() checks that nothing is left. */
void up(void);
void up_with(size_t memory);
void down(void);
struct mm_struct *mm_new(pid_t pid);
void file_up(struct test_file *tf, struct fake_file *store, bool writable);

static inline unsigned long page_addr(unsigned long i)
{
	return BASE + i * PAGE_SIZE;
}

/* What do_mmap() is given for a letter. */
unsigned long letter_flags(char c);
struct vm_file *letter_file(char c);

/* Maps each run of equal letters; bars may be left out. */
void build(const char *space);
/* Is it that, and in order? Prints what it is if not. */
bool space_is(const char *space);
/* Every VMA shows of its file what lies at its place in the space. */
bool offsets_are_identity(void);
/* What the files know of their VMAs is so. */
bool files_agree(void);

void set_pte_at(unsigned long addr, uint64_t v);
uint64_t pte_at(struct mm_struct *of, unsigned long addr);

enum call { MAP, UNMAP, PROTECT, ADVISE, LOCK, UNLOCK };

struct call_case {
	const char *before;
	enum call call;
	unsigned long at, nr;		/* pages */
	char arg;			/* a letter, or an advice */
	int err;
	const char *after;		/* NULL: as before */
};

/* Return: what the call said. */
int do_call(const struct call_case *c);

#endif /* PAGEFS_TESTS_SPACES_H */
