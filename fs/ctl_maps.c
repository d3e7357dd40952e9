// SPDX-License-Identifier: BSD-2-Clause
/*
 * fs/ctl_maps.c - .pagefs/maps/PID and smaps/PID: what clients have mapped
 *
 *   7f0000000000-7f0000004000 rw-s 00002000 00:2a 1234      /mnt/a/file
 *   Size:                 16 kB
 *   ...
 *
 * As /proc/PID/maps and smaps, with the mount's device and the file's number: a
 * tool finds here what the kernel shows as a memfd. The cursor is the address to
 * go on from. Fields that mean nothing here are 0.
 *
 * I1. Texts are made by FUSE workers, and who has an mmap_lock for writing may
 *     wait for the kernel, which may wait for a worker (fs/mmap.c). So a worker
 *     does not wait for that lock without end, and not many do at once; and it
 *     takes no reference whose end would unmap everything (mm_count only).
 * I2. A file in maps/ is its process's user's, and root's: addresses and names
 *     are not for others. Who is asked when it is opened, of the very mm that
 *     is shown: the number may be another process's by then.
 *
 * Locks:   h->lock > mmap_lock, for a few VMAs at a time; then smap_gather()'s.
 *          Paths are looked up, and text is made, without mmap_lock.
 * Source:  Linux fs/proc/task_mmu.c (show_map_vma, show_smap).
 */
#include <ctype.h>
#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include "ctl.h"
#include "mmap.h"
#include "shmem.h"

/* VMAs at a time; those of smaps are looked into with the lock held. Arbitrary. */
#define MAPS_BATCH	32u
#define SMAPS_BATCH	4u

/*
 * How long one waits for an mmap_lock, and how many workers may (I1): its
 * holders wait for the disk at most. Arbitrary.
 */
#define LOCK_TRIES	2000u
#define LOCK_PAUSE_US	1000u
#define MAX_WAITERS	4

static atomic_int nr_waiters;		/* (A) */

/* ---- looking ---- */

enum detail { MAPS, SMAPS };

/* A VMA as it was. */
struct vma_shot {
	unsigned long start, end, flags;
	pgoff_t pgoff;
	struct inode *inode;		/* referenced; NULL: memory without a file */
	struct mem_size_stats mss;	/* SMAPS only */
};

static bool wait_for_mmap_lock(struct mm_struct *mm)
{
	bool locked = false;

	thread_will_block();
	if (atomic_fetch_add(&nr_waiters, 1) < MAX_WAITERS)
		for (unsigned int i = 0; i < LOCK_TRIES && !locked; i++) {
			usleep(LOCK_PAUSE_US);
			locked = down_read_trylock(&mm->mmap_lock);
		}
	atomic_fetch_sub(&nr_waiters, 1);
	return locked;
}

/* The file it shows, referenced, from page *@pgoffp on; NULL: none. */
static struct inode *vma_inode(struct vm_area_struct *vma, pgoff_t *pgoffp)
{
	struct vm_file *file = vma->vm_source ?: vma->vm_file;

	if (is_shmem_file(file)) {
		*pgoffp = 0;
		return NULL;
	}
	if (vma->vm_source)
		*pgoffp = vma->vm_source_pgoff;
	ihold(I(file->f_mapping));
	return I(file->f_mapping);
}

/*
 * The VMAs that end after @addr, at most @max. Return: how many; -EAGAIN: the
 * lock could not be had.
 */
static int take_shots(struct mm_struct *mm, unsigned long addr,
		      struct vma_shot *shots, unsigned int max,
		      enum detail detail)
{
	struct vm_area_struct *vma;
	unsigned int nr = 0;

	if (!down_read_trylock(&mm->mmap_lock) && !wait_for_mmap_lock(mm))
		return -EAGAIN;
	for (vma = find_vma(mm, addr); vma && nr < max; vma = vma->vm_next) {
		struct vma_shot *shot = &shots[nr++];

		shot->start = vma->vm_start;
		shot->end = vma->vm_end;
		shot->flags = vma->vm_flags;
		shot->pgoff = vma->vm_pgoff;
		shot->inode = vma_inode(vma, &shot->pgoff);
		if (detail == SMAPS)
			smap_gather(vma, &shot->mss);
	}
	up_read(&mm->mmap_lock);
	return (int)nr;
}

/* ---- text ---- */

/* Where paths begin in /proc/PID/maps. */
#define PATH_COLUMN	73

static void show_path(struct ctl_text *text, struct inode *inode)
{
	const char *mnt = sb.opts.mountpoint ? sb.opts.mountpoint : "";
	char buf[PATH_MAX];
	const char *path = inode_path(inode, buf, sizeof(buf));

	if (path) {
		ctl_escape(text, mnt, "\n");
		ctl_escape(text, path, "\n");
	} else {
		ctl_printf(text, "%s/ (deleted)", mnt);
	}
	ctl_printf(text, "\n");
}

static void show_map(struct ctl_text *text, const struct vma_shot *shot)
{
	size_t begin = text->len;

	ctl_printf(text, "%08lx-%08lx %c%c%c%c %08llx %02x:%02x %llu ",
		   shot->start, shot->end,
		   shot->flags & VM_READ ? 'r' : '-',
		   shot->flags & VM_WRITE ? 'w' : '-',
		   shot->flags & VM_EXEC ? 'x' : '-',
		   shot->flags & VM_SHARED ? 's' : 'p',
		   (unsigned long long)shot->pgoff << PAGE_SHIFT,
		   shot->inode ? major(sb.mnt_dev) : 0,
		   shot->inode ? minor(sb.mnt_dev) : 0,
		   shot->inode ? (unsigned long long)shot->inode->i_ino : 0);
	if (!shot->inode && !(shot->flags & VM_SHARED)) {
		ctl_printf(text, "\n");
		return;
	}
	ctl_printf(text, "%*s", max(PATH_COLUMN - (int)(text->len - begin), 0), "");
	if (shot->inode)
		show_path(text, shot->inode);
	else
		ctl_printf(text, "/dev/zero (deleted)\n");	/* as Linux has it */
}

static void show_flags(struct ctl_text *text, unsigned long flags)
{
	static const struct {
		unsigned long flag;
		char name[3];
	} names[] = {
		{ VM_READ, "rd" }, { VM_WRITE, "wr" }, { VM_EXEC, "ex" },
		{ VM_SHARED, "sh" }, { VM_MAYREAD, "mr" }, { VM_MAYWRITE, "mw" },
		{ VM_MAYEXEC, "me" }, { VM_UFFD_WP, "uw" }, { VM_LOCKED, "lo" },
		{ VM_SEQ_READ, "sr" }, { VM_RAND_READ, "rr" },
		{ VM_ACCOUNT, "ac" },
	};

	ctl_printf(text, "VmFlags: ");
	for (size_t i = 0; i < ARRAY_SIZE(names); i++)
		if (flags & names[i].flag)
			ctl_printf(text, "%s ", names[i].name);
	ctl_printf(text, "\n");
}

static void show_smap(struct ctl_text *text, const struct vma_shot *shot)
{
	const struct mem_size_stats *mss = &shot->mss;
	unsigned long pss = mss->pss >> PSS_SHIFT;
	const struct {
		const char *name;
		unsigned long bytes;
	} lines[] = {
		{ "Size:",		shot->end - shot->start },
		{ "KernelPageSize:",	PAGE_SIZE },
		{ "MMUPageSize:",	PAGE_SIZE },
		{ "Rss:",		mss->resident },
		{ "Pss:",		pss },
		{ "Pss_Dirty:",		mss->pss_dirty >> PSS_SHIFT },
		{ "Shared_Clean:",	mss->shared_clean },
		{ "Shared_Dirty:",	mss->shared_dirty },
		{ "Private_Clean:",	mss->private_clean },
		{ "Private_Dirty:",	mss->private_dirty },
		/* Whoever has a pte has touched the page, or its neighbour. */
		{ "Referenced:",	mss->resident },
		{ "Anonymous:",		mss->anonymous },
		{ "LazyFree:",		0 },
		{ "AnonHugePages:",	0 },
		{ "ShmemPmdMapped:",	0 },
		{ "FilePmdMapped:",	0 },
		{ "Shared_Hugetlb:",	0 },
		{ "Private_Hugetlb:",	0 },
		{ "Swap:",		mss->swap },
		{ "SwapPss:",		mss->swap_pss >> PSS_SHIFT },
		{ "Locked:",		shot->flags & VM_LOCKED ? pss : 0 },
	};

	show_map(text, shot);
	for (size_t i = 0; i < ARRAY_SIZE(lines); i++)
		ctl_printf(text, "%-15s %8lu kB\n", lines[i].name,
			   lines[i].bytes / SZ_1K);
	ctl_printf(text, "%-15s %8u\n", "THPeligible:", 0);
	show_flags(text, shot->flags);
}

/* Some of @nr records. Return: is there room for more? */
static bool show_shots(struct ctl_text *text, const struct vma_shot *shots,
		       unsigned int nr, enum detail detail)
{
	size_t len;

	for (unsigned int i = 0; i < nr; i++) {
		len = text->len;
		if (detail == SMAPS)
			show_smap(text, &shots[i]);
		else
			show_map(text, &shots[i]);
		if (text->full) {
			text->len = len;
			return false;
		}
		text->cursor = shots[i].end;
	}
	return true;
}

static int show_vmas(struct mm_struct *mm, struct ctl_text *text,
		     enum detail detail)
{
	unsigned int max = detail == SMAPS ? SMAPS_BATCH : MAPS_BATCH;
	struct vma_shot shots[MAPS_BATCH];
	bool more;
	int nr;

	do {
		nr = take_shots(mm, text->cursor, shots, max, detail);
		if (nr < 0)
			return nr;
		text->end = !nr;
		more = show_shots(text, shots, (unsigned int)nr, detail) && nr;
		while (nr--)
			if (shots[nr].inode)
				iput(shots[nr].inode);
	} while (more);
	return 0;
}

static int maps_show(struct ctl_handle *h, struct ctl_text *text)
{
	return show_vmas(h->private, text, MAPS);
}

static int smaps_show(struct ctl_handle *h, struct ctl_text *text)
{
	return show_vmas(h->private, text, SMAPS);
}

/* ---- open and release ---- */

/* The user of process @pid, or -ENOENT. */
static int process_owner(uint32_t pid, uid_t *uidp)
{
	char path[32];
	struct stat st;

	snprintf(path, sizeof(path), "/proc/%u", pid);
	if (stat(path, &st))
		return -ENOENT;
	*uidp = st.st_uid;
	return 0;
}

/*
 * While the mm has users its process is there, or not yet taken leave of: looked
 * at last, that says whose user it was who was found.
 */
static int maps_open(struct ctl_handle *h, const struct fs_cred *cred)
{
	struct mm_struct *mm = find_grab_mm((pid_t)h->key);
	uid_t owner;
	int err;

	if (!mm)
		return -ENOENT;
	err = process_owner(h->key, &owner);
	if (!err && !atomic_load(&mm->mm_users))
		err = -ENOENT;
	if (!err && cred->uid != 0 && cred->uid != owner)
		err = -EACCES;					/* I2 */
	if (err) {
		mmdrop(mm);
		return err;
	}
	h->private = mm;
	return 0;
}

static void maps_release(struct ctl_handle *h)
{
	mmdrop(h->private);
}

static const struct ctl_file_ops maps_ops = {
	.open		= maps_open,
	.read		= ctl_text_read,
	.release	= maps_release,
};

static const struct ctl_file maps_file = { .ops = &maps_ops, .show = maps_show };
static const struct ctl_file smaps_file = { .ops = &maps_ops, .show = smaps_show };

/* ---- the directories: the key is the pid ---- */

static int pid_find(const char *name, uint32_t *keyp)
{
	struct mm_struct *mm;
	unsigned long pid;
	char *end;

	/* As it is listed: no sign, no blanks, no zeros in front. */
	if (!isdigit((unsigned char)*name) || *name == '0')
		return -ENOENT;
	errno = 0;
	pid = strtoul(name, &end, 10);
	if (errno || *end || pid > INT_MAX)
		return -ENOENT;
	mm = find_grab_mm((pid_t)pid);
	if (!mm)
		return -ENOENT;
	mmdrop(mm);
	*keyp = (uint32_t)pid;
	return 0;
}

static bool pid_next(uint32_t *keyp, char *name)
{
	pid_t pid = next_mm_pid((pid_t)*keyp);

	if (!pid)
		return false;
	*keyp = (uint32_t)pid;
	snprintf(name, NAME_MAX + 1, "%u", *keyp);
	return true;
}

static int pid_node(uint32_t key, const struct ctl_file *file,
		    struct ctl_node *node)
{
	struct mm_struct *mm = find_grab_mm((pid_t)key);

	if (!mm)
		return -ENOENT;
	mmdrop(mm);
	*node = (struct ctl_node){ .mode = S_IFREG | 0400, .file = file };
	return process_owner(key, &node->uid);
}

static int maps_node(uint32_t key, struct ctl_node *node)
{
	return pid_node(key, &maps_file, node);
}

static int smaps_node(uint32_t key, struct ctl_node *node)
{
	return pid_node(key, &smaps_file, node);
}

const struct ctl_dir ctl_maps_dir = {
	.parent	= CTL_ROOT,
	.find	= pid_find,
	.next	= pid_next,
	.node	= maps_node,
};

const struct ctl_dir ctl_smaps_dir = {
	.parent	= CTL_ROOT,
	.find	= pid_find,
	.next	= pid_next,
	.node	= smaps_node,
};
