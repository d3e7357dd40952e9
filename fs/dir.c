// SPDX-License-Identifier: BSD-2-Clause
/*
 * fs/dir.c - open directories
 *
 *   buf  [ ent | ent | ent | ent |    ]   as getdents64(2) left it
 *                ^at          ^len        at: the next one to emit
 *                 pos: its position, as the backing file system calls it
 *
 * Positions are the backing file system's d_off, which stay good while names
 * come and go. A reader that goes on where it stopped finds the next entry in
 * the buffer; any other position is sought, and the buffer filled anew.
 *
 * I1. The descriptor's position is that of the first entry not in the buffer.
 * I2. The buffer is there only while a listing is under way: programs that
 *     keep many directories open do not list them all the time.
 *
 * Locks:  open_dir->lock (LOCK_READDIR), held over getdents64 and over emit,
 *         which must not come back here.
 */
#include <fcntl.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "internal.h"

/* About 120 entries. One frame, because frames that lie side by side cannot
 * always be had from a small arena full of inodes. */
#define DIR_BUF_BYTES	PAGE_SIZE

/* Fields: (C) constant; (R) lock. */
struct open_dir {
	struct inode *inode;		/* (C) referenced */
	int fd;				/* (C) O_RDONLY */
	struct mutex lock;
	char *buf;			/* (R) or NULL */
	size_t at, len;			/* (R) bytes of buf */
	off_t pos;			/* (R) */
};

/* The kernel's struct linux_dirent64, which no header has. */
struct kernel_dirent {
	uint64_t d_ino;
	int64_t d_off;
	unsigned short d_reclen;
	unsigned char d_type;
	char d_name[];
};

static void *alloc_buffer(void)
{
	pfn_t pfn = alloc_frames(GFP_KERNEL, 0);

	return pfn == PFN_NONE ? NULL : pfn_to_virt(pfn);
}

static void free_buffer(void *buf)
{
	if (buf)
		free_frames(virt_to_pfn(buf), 0);
}

int fs_opendir(struct inode *dir, struct open_dir **dirp)
{
	struct open_dir *od;

	if (!S_ISDIR(READ_ONCE(dir->i_mode)))
		return -ENOTDIR;
	od = kzalloc(sizeof(*od), GFP_KERNEL);
	if (!od)
		return -ENOMEM;
	od->fd = inode_open_backing(dir, O_RDONLY | O_DIRECTORY);
	if (od->fd < 0) {
		int err = od->fd;

		kfree(od);
		return err;
	}
	ihold(dir);
	od->inode = dir;
	mutex_init(&od->lock, LOCK_READDIR);
	*dirp = od;
	return 0;
}

void fs_releasedir(struct open_dir *dir)
{
	close(dir->fd);
	iput(dir->inode);
	mutex_destroy(&dir->lock);
	free_buffer(dir->buf);
	kfree(dir);
}

struct inode *open_dir_inode(struct open_dir *dir)
{
	return dir->inode;
}

int fs_fsyncdir(struct open_dir *dir, bool datasync)
{
	return (datasync ? fdatasync(dir->fd) : fsync(dir->fd)) ? -errno : 0;
}

/* Context: lock. */
static void drop_buffer(struct open_dir *dir)
{
	free_buffer(dir->buf);
	dir->buf = NULL;
	dir->at = 0;
	dir->len = 0;
}

/* Context: lock. */
static int seek_dir(struct open_dir *dir, off_t pos)
{
	if (dir->pos == pos)
		return 0;
	dir->at = 0;
	dir->len = 0;
	if (lseek(dir->fd, pos, SEEK_SET) < 0)
		return -errno;
	dir->pos = pos;
	return 0;
}

/* Context: lock. Return: false at the end, *@errp 0; or on failure. */
static bool fill_buffer(struct open_dir *dir, int *errp)
{
	long len;

	if (!dir->buf)
		dir->buf = alloc_buffer();
	*errp = -ENOMEM;
	if (!dir->buf)
		return false;
	len = syscall(SYS_getdents64, dir->fd, dir->buf, DIR_BUF_BYTES);
	*errp = len < 0 ? -errno : 0;
	dir->at = 0;
	dir->len = len < 0 ? 0 : (size_t)len;
	if (len <= 0)
		drop_buffer(dir);				/* I2 */
	return len > 0;
}

static bool is_dotdot(const char *name)
{
	return name[0] == '.' && name[1] == '.' && !name[2];
}

/* Context: lock. The next entry of the buffer. False: no room for it. */
static bool emit_next(struct open_dir *dir, fs_emit_t emit, void *arg)
{
	struct kernel_dirent *d = (void *)(dir->buf + dir->at);
	struct fs_dirent ent = {
		.name = d->d_name,
		.ino = d->d_ino,
		.type = d->d_type,
		.next_off = d->d_off,
	};
	bool root = dir->inode == sb.root;

	if (root && is_dotdot(d->d_name))
		ent.ino = sb.root->i_ino;	/* not what is above the mount */
	/* One that is there in earnest is hidden by ours, and ours unlisted. */
	if (!(root && !strcmp(d->d_name, CTL_DIR_NAME)) && !emit(arg, &ent))
		return false;
	dir->at += d->d_reclen;
	dir->pos = d->d_off;
	return true;
}

int fs_readdir(struct open_dir *dir, off_t off, fs_emit_t emit, void *arg)
{
	int err;

	mutex_lock(&dir->lock);
	err = seek_dir(dir, off);
	while (!err) {
		if (dir->at >= dir->len && !fill_buffer(dir, &err))
			break;
		if (!emit_next(dir, emit, arg))
			break;
	}
	mutex_unlock(&dir->lock);
	return err;
}
