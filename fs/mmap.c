// SPDX-License-Identifier: BSD-2-Clause
/*
 * fs/mmap.c - files that clients map
 *
 *   open file --ioctl--> offer --> inode --i_vm_file[writable]--> mapped_file
 *                                    ^                              |     ^
 *                                    +------- inode, i_opens -------+     |
 *                                                  VMAs of clients -------+
 *
 * An offer only holds the inode. It is made by a FUSE worker, for whom nothing
 * may be done that waits for another; what takes waiting is done when the offer
 * is mapped.
 *
 *   client stores    page_mkwrite: copies dropped, room made, mtime
 *   client syncs     fs_msync: pages, device, errors not yet reported
 *   client unmaps    close: the kernel asks for times anew
 *
 * The kernel in between: programs read the same file through the mount, and the
 * kernel keeps copies for them. Of an inode that clients may write to it is
 * known of each page whether it has one (PG_kcached; fuse_file.c I4):
 *
 *	READ of the kernel's		client's first store
 *	PG_kcached, write rights of
 *	clients taken away
 *					page_mkwrite: kernel, drop it: waits for
 *					the READ
 *	reply; the copy is dropped
 *					clear PG_kcached, unless another READ
 *					has come since
 *					the right to write
 *
 * I1. One mapped_file per inode and mode while somebody refers to it: VMAs of
 *     one file merge only if it is the same. A reference count that is 0 stays
 *     so: who finds it replaces the file, and release() leaves the new one.
 * I2. A mapped_file holds its inode and counts as an open of it, so the inode
 *     stays, linked or not, and so does the means to write it back.
 * I3. i_tracked is set before the kernel is told to drop what it has, and that
 *     is done before the first client may store. A READ that was not marked
 *     has the kernel's page locked until it is answered, and so is waited for.
 * I4. cache=writeback: no client has a file while the kernel may gather writes
 *     to it. Opens and mappings are counted under the same i_lock.
 * I5. Where stores raise no fault there is no moment to drop the kernel's copies.
 *     So that is only for inodes none of whose opens the kernel caches for, with
 *     copies dropped before; new opens are direct while it lasts. What remains
 *     are the kernel's own mappings of such a file: they see stores when a scan
 *     has found them (inode_pages_stored). And nothing reserves room: there has
 *     to be enough for all of the mapping.
 *
 * Room in the store is made without i_rwsem, which is outside mmap_lock. What
 * that keeps out is harmless here: a hole punched meanwhile takes the page out
 * of the cache, and mm/ finds that out when it has it locked; and so does a
 * truncate, after which blocks may stay allocated past the file's end until it
 * is truncated again. Set-id bits stay, as they do in Linux.
 *
 * Locks:  i_rwsem (read) > i_lock, to install. mmap_lock (the caller's) >
 *         copy_slot.lock > page lock. No FUSE request needs the first two, so
 *         the kernel can be waited for with them.
 * Source: Linux mm/filemap.c (filemap_page_mkwrite), mm/msync.c.
 */
#include <fcntl.h>
#include <limits.h>
#include <sys/stat.h>

#include "internal.h"
#include "pagefs_fs.h"
#include "window.h"

struct mapped_file {
	struct vm_file vmf;
	struct inode *inode;		/* (C) referenced */
	atomic_uint wb_since;		/* (A) errseq sample, for msync */
	bool scanned;			/* i_lock: I5 */
	bool dropped;			/* i_lock: and there are no copies */
};

static struct mapped_file *M(const struct vm_file *file)
{
	return container_of(file, struct mapped_file, vmf);
}

/* ---- what VMAs ask ---- */

/*
 * Which pages the kernel is getting copies of right now, by hash. Arbitrary:
 * so many that two threads seldom meet at one.
 */
#define NR_COPY_SLOTS	256u
#define SLOT_PAGES	8u	/* consecutive pages share one */

/* Fields: (A) atomic. */
static struct copy_slot {
	struct mutex lock;	/* LOCK_KCOPY: who has copies dropped */
	atomic_ulong seq;	/* (A) copies made, rises before each */
} copy_slots[NR_COPY_SLOTS] = {
	[0 ... NR_COPY_SLOTS - 1] = { .lock = MUTEX_INITIALIZER(LOCK_KCOPY) },
};

static struct copy_slot *copy_slot(const struct inode *inode, pgoff_t index)
{
	return &copy_slots[(inode->i_nodeid * 37 + index / SLOT_PAGES) %
			   NR_COPY_SLOTS];
}

void inode_note_copies(struct inode *inode, loff_t pos, size_t len)
{
	pgoff_t index = pos >> PAGE_SHIFT, last = (pos + len) >> PAGE_SHIFT;

	/* Before there are any: see aops.c I3. */
	atomic_store(&inode->i_kcopies, true);
	for (; index < last + SLOT_PAGES; index += SLOT_PAGES)
		atomic_fetch_add(&copy_slot(inode, index)->seq, 1);
}

/*
 * The kernel has dropped what it had of the page. What it may have got while it
 * was at it has raised slot->seq since @seq, so the flag stays; a READ that has
 * seen the flag before we clear it raised seq before that.
 */
static void clear_kcached(struct page *page, struct copy_slot *slot,
			  unsigned long seq)
{
	lock_page(page);	/* mm/ looks with the page locked */
	page_clear(page, PG_kcached);
	if (atomic_load(&slot->seq) != seq)
		page_set(page, PG_kcached);
	unlock_page(page);
}

/*
 * No copy of the page is above us any more, or -errno, or PG_kcached is set
 * still and mm/ calls us again. Not before the copy is gone is the flag clear:
 * others take it for their leave to store. One thread at a time, for it is the
 * first READ after the beginning of the drop that counts.
 */
static int drop_copies(struct inode *inode, struct page *page, loff_t pos)
{
	struct copy_slot *slot = copy_slot(inode, pos >> PAGE_SHIFT);
	unsigned long seq;
	int err = 0;

	if (likely(!page_test(page, PG_kcached)))
		return 0;
	mutex_lock(&slot->lock);
	if (page_test(page, PG_kcached)) {
		seq = atomic_load(&slot->seq);
		err = notify_inval_inode_wait(inode->i_nodeid, pos, PAGE_SIZE);
		if (!err)
			clear_kcached(page, slot, seq);
	}
	mutex_unlock(&slot->lock);
	return err;
}

/* A page that is dirty has its room. */
static int make_room(struct inode *inode, struct page *page, loff_t pos)
{
	if (page_test(page, PG_dirty))
		return 0;
	fs_settle_space(PAGE_SIZE);
	return fs_reserve_space(inode, pos, PAGE_SIZE);
}

static vm_fault_t pagefs_page_mkwrite(struct vm_fault *vmf)
{
	struct inode *inode = M(vmf->vma->vm_file)->inode;
	loff_t pos = (loff_t)vmf->pgoff << PAGE_SHIFT;

	if (drop_copies(inode, vmf->page, pos) ||
	    make_room(inode, vmf->page, pos))
		return VM_FAULT_SIGBUS;
	inode_touch_mapped(inode);
	return 0;
}

void inode_pages_stored(struct inode *inode, pgoff_t index, unsigned long nr,
			bool kcached)
{
	const loff_t pos = (loff_t)index << PAGE_SHIFT;
	const size_t len = nr << PAGE_SHIFT;

	inode_touch_mapped(inode);
	/* Too late to refuse the store; its writeback will say what is wrong. */
	if (nr)
		fs_reserve_space(inode, pos, len);
	if (kcached)
		notify_inval_inode(inode->i_nodeid, pos, (loff_t)len);
}

/* stat(2) shows, once munmap(2) has returned, when it was stored to. */
static void pagefs_vma_close(struct vm_area_struct *vma)
{
	inode_tell_times_wait(M(vma->vm_file)->inode);
}

static void free_mapped_file(struct mapped_file *file)
{
	struct inode *inode = file->inode;

	file_ra_state_destroy(&file->vmf.f_ra);
	kfree(file);
	iput(inode);
}

static void pagefs_release(struct vm_file *vmf)
{
	struct inode *inode = M(vmf)->inode;

	window_idle(vmf->f_mapping);
	mutex_lock(&inode->i_lock);
	inode->i_opens--;
	if (inode->i_vm_file[vmf->f_writable] == vmf)
		WRITE_ONCE(inode->i_vm_file[vmf->f_writable], NULL);	/* I1 */
	mutex_unlock(&inode->i_lock);
	free_mapped_file(M(vmf));
}

static const struct vm_operations_struct pagefs_vm_ops = {
	.close		= pagefs_vma_close,
	.fault		= filemap_fault,
	.page_mkwrite	= pagefs_page_mkwrite,
	.release	= pagefs_release,
};

/* ---- getting one ---- */

static struct mapped_file *alloc_mapped_file(struct inode *inode, bool writable)
{
	struct mapped_file *file = kzalloc(sizeof(*file), GFP_KERNEL);

	if (!file)
		return NULL;
	ihold(inode);
	file->inode = inode;
	file->vmf.f_mapping = &inode->i_data;
	file->vmf.f_op = &pagefs_vm_ops;
	file->vmf.f_writable = writable;
	file_ra_state_init(&file->vmf.f_ra, fs_ra_pages());
	atomic_store(&file->vmf.f_count, 1);
	atomic_store(&file->wb_since, errseq_sample(&inode->i_data.wb_err));
	return file;
}

/* False if it is being released (I1). */
static bool vm_file_tryget(struct vm_file *file)
{
	int count = atomic_load(&file->f_count);

	do
		if (!count)
			return false;
	while (!atomic_compare_exchange_weak(&file->f_count, &count, count + 1));
	return true;
}

/* Context: i_lock. The present one, referenced, or NULL. */
static struct vm_file *__find_vm_file(struct inode *inode, bool writable)
{
	struct vm_file *file = inode->i_vm_file[writable];

	return file && vm_file_tryget(file) ? file : NULL;
}

/* Context: i_lock. The same, ERR_PTR(-EBUSY) if there may be none now (I4). */
static struct vm_file *__may_have_vm_file(struct inode *inode, bool writable)
{
	struct vm_file *file = __find_vm_file(inode, writable);

	if (!file && sb.opts.cache == FS_CACHE_WRITEBACK && inode->i_writers)
		return ERR_PTR(-EBUSY);
	return file;
}

static struct vm_file *may_have_vm_file(struct inode *inode, bool writable)
{
	struct vm_file *file;

	mutex_lock(&inode->i_lock);
	file = __may_have_vm_file(inode, writable);
	mutex_unlock(&inode->i_lock);
	return file;
}

/* Context: i_rwsem. Return: NULL: @new is it; else as may_have_vm_file(). */
static struct vm_file *install_vm_file(struct inode *inode,
				       struct mapped_file *new)
{
	bool writable = new->vmf.f_writable;
	struct vm_file *file;

	mutex_lock(&inode->i_lock);
	file = __may_have_vm_file(inode, writable);
	if (!file) {
		WRITE_ONCE(inode->i_vm_file[writable], &new->vmf);
		inode->i_opens++;				/* I2 */
	}
	mutex_unlock(&inode->i_lock);
	return file;
}

/* From now on, and of all there has been, we know the kernel's copies (I3). */
static int track_copies(struct inode *inode)
{
	unsigned int not_yet = TRACK_NOT;
	int err;

	if (atomic_load(&inode->i_tracked) == TRACK_DONE)
		return 0;
	atomic_compare_exchange_strong(&inode->i_tracked, &not_yet, TRACK_BEGUN);
	err = notify_inval_inode_wait(inode->i_nodeid, 0, 0);
	if (!err)
		atomic_store(&inode->i_tracked, TRACK_DONE);
	return err;
}

/* The backing file opens, and the kernel's copies are known. 0 or -errno. */
static int prepare_inode(struct inode *inode, bool writable)
{
	int err = inode_may_open(inode, writable ? O_RDWR : O_RDONLY);

	return err || !writable ? err : track_copies(inode);
}

static struct vm_file *make_vm_file(struct inode *inode, bool writable)
{
	struct mapped_file *new = alloc_mapped_file(inode, writable);
	struct vm_file *old;

	if (!new)
		return ERR_PTR(-ENOMEM);
	down_read(&inode->i_rwsem);	/* see inode_has_clients() */
	old = install_vm_file(inode, new);
	up_read(&inode->i_rwsem);
	if (!old)
		return &new->vmf;
	free_mapped_file(new);		/* another thread was faster */
	return old;
}

int inode_get_vm_file(struct inode *inode, bool writable, struct vm_file **filep)
{
	struct vm_file *file = may_have_vm_file(inode, writable);
	int err;

	if (!file) {
		err = prepare_inode(inode, writable);
		file = err ? ERR_PTR(err) : make_vm_file(inode, writable);
	}
	if (IS_ERR(file))
		return (int)PTR_ERR(file);
	*filep = file;
	return 0;
}

bool inode_has_clients(struct inode *inode)
{
	bool has;

	mutex_lock(&inode->i_lock);
	has = inode->i_vm_file[false] || inode->i_vm_file[true];
	mutex_unlock(&inode->i_lock);
	return has;
}

/* ---- stores that raise no fault (I5) ---- */

/* Beside what the mapping may need; arbitrary. */
#define SCAN_ROOM	(64 * SZ_1M)

bool inode_is_scanned(const struct inode *inode)
{
	struct vm_file *file = inode->i_vm_file[true];

	return file && M(file)->scanned;
}

static bool has_room_for(loff_t len)
{
	struct statvfs st;

	return !fs_statfs(&st) &&
		st.f_bavail > ((uint64_t)len + SCAN_ROOM) / st.f_frsize;
}

/* Return: may it be, from now on? In *@drop: once there are no copies. */
static bool begin_scanning(struct mapped_file *file, bool *drop)
{
	struct inode *inode = file->inode;
	bool may;

	mutex_lock(&inode->i_lock);
	may = inode->i_vm_file[true] == &file->vmf &&
		(file->scanned || !inode->i_cached);
	file->scanned |= may;
	*drop = may && !file->dropped;
	mutex_unlock(&inode->i_lock);
	return may;
}

static bool drop_all_copies(struct mapped_file *file)
{
	struct inode *inode = file->inode;
	int err = notify_inval_inode_wait(inode->i_nodeid, 0, 0);

	mutex_lock(&inode->i_lock);
	file->dropped |= !err;
	mutex_unlock(&inode->i_lock);
	return !err;
}

bool fs_may_scan(struct vm_file *vmf, loff_t len)
{
	struct mapped_file *file = M(vmf);
	bool drop;

	if (!vmf->f_writable || sb.opts.cache != FS_CACHE_THROUGH ||
	    !sb.direct_mmap || !has_room_for(len))
		return false;
	return begin_scanning(file, &drop) && (!drop || drop_all_copies(file));
}

/* ---- offers ---- */

static fs_offer_taker_t _Atomic offer_taker;

void fs_set_offer_taker(fs_offer_taker_t take)
{
	atomic_store(&offer_taker, take);
}

int fs_offer_file(struct open_file *file, const uint64_t cookie[2],
		  uint64_t *numberp)
{
	const fs_offer_taker_t take = atomic_load(&offer_taker);
	struct fs_offer offer = {
		.inode = file->inode,
		.writable = file->accmode == O_RDWR,
	};
	int err;

	if (file->accmode != O_RDONLY && file->accmode != O_RDWR)
		return -EBADF;
	if (!take)
		return -EPERM;
	ihold(offer.inode);
	err = take(cookie, &offer, numberp);
	if (err)
		fs_offer_put(&offer);
	return err;
}

void fs_offer_put(struct fs_offer *offer)
{
	iput(offer->inode);
	offer->inode = NULL;
}

bool fs_offer_may_write(const struct fs_offer *offer, uid_t uid, gid_t gid)
{
	struct inode *inode = offer->inode;
	bool may;

	mutex_lock(&inode->i_lock);
	may = !uid || uid == inode->i_uid || (inode->i_mode & S_IWOTH) ||
		(gid == inode->i_gid && (inode->i_mode & S_IWGRP));
	mutex_unlock(&inode->i_lock);
	return may;
}

int fs_map_offer(const struct fs_offer *offer, struct vm_file **filep)
{
	return inode_get_vm_file(offer->inode, offer->writable, filep);
}

uint64_t fs_file_nodeid(const struct vm_file *file)
{
	return M(file)->inode->i_nodeid;
}

/* ---- msync ---- */

/* Through the I/O thread (aops.c): nobody waits for it here. */
static int start_writing(struct address_space *mapping, loff_t pos, size_t len)
{
	struct writeback_control wbc = {
		.sync_mode = WB_SYNC_NONE,
		.reason = WB_REASON_SYNC,
		.nr_to_write = LONG_MAX,
		.range_start = pos,
		.range_end = pos + (loff_t)len - 1,
	};

	return do_writepages(mapping, &wbc);
}

int fs_msync(struct vm_file *vmf, loff_t pos, size_t len, void *arg)
{
	struct mapped_file *file = M(vmf);
	struct inode *inode = file->inode;
	int err;

	if (!len)
		return 0;
	err = arg ? start_writing(&inode->i_data, pos, len) :
		fs_sync_range(inode, &file->wb_since, pos, len);
	inode_tell_times_wait(inode);
	return err;
}
