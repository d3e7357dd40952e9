// SPDX-License-Identifier: BSD-2-Clause
/*
 * fs/fdcache.c - which inodes have a descriptor of their backing file open
 *
 *   inode->i_file --> backing_file  fd, direct_fd   ref: 1 of the cache's,
 *                          ^                             and 1 a user
 *                          |
 *   files: [ newest ... oldest ]    regular files: 1 or 2 descriptors each
 *   dirs:  [ newest ... oldest ]    directories: 1, O_PATH
 *                          ^ the clock's hand
 *
 * Getting a descriptor that is open takes no lock: look at i_file under RCU,
 * raise ref unless it is 0. When there are too many, the hand goes over the
 * old end and closes those that are idle (ref 1), have not been used since it
 * last came by, and whose inode can do without.
 *
 * I1. i_file changes under fdcache.lock only. It is NULL, or the file holds
 *     the cache's reference and is on a list.
 * I2. Closing exchanges ref from 1 to 0, so a descriptor is never closed under
 *     a user. A file's fields are constant while it is referenced: one that
 *     needs more (writing, direct I/O) is replaced by another.
 * I3. An inode keeps its file while it is dirty or has opens if its mode might
 *     not let us open it again (we are not root); one that is dirty keeps it
 *     otherwise too, but for when the process has no descriptor left.
 * I4. A directory's file that somebody uses stays its i_file: put_dirfd()
 *     finds it there.
 *
 * backing_file is SLAB_TYPESAFE_BY_RCU: a reader with a stale pointer raises
 * the ref of some file, sees that i_file is another now, and lets go of it.
 *
 * Locks:  fdcache.lock (LOCK_FDCACHE) > list_lock, tree_lock; i_lock by
 *         trylock, against the order. No system call under it.
 * Source: Linux fs/file_table.c and the clock of mm/vmscan.c, in spirit.
 */
#include <fcntl.h>
#include <stdio.h>
#include <unistd.h>

#include "internal.h"

/* Files looked at for one new one: a few, so that it is cheap. Arbitrary. */
#define TRIM_SCAN	32u
/* Idle files closed when the process has no descriptor left. Arbitrary. */
#define EMFILE_BATCH	64u

struct fd_list {
	struct list_head lru;		/* (F) newest first */
	unsigned int nr;		/* (F) read as an estimate */
	unsigned int limit;		/* (F) files */
};

static struct {
	struct mutex lock;
	struct fd_list files, dirs;
	struct kmem_cache *cachep;	/* (C) */
} fdcache = {
	.lock = MUTEX_INITIALIZER(LOCK_FDCACHE),
	.files = { .lru = LIST_HEAD_INIT(fdcache.files.lru), .limit = 128 },
	.dirs = { .lru = LIST_HEAD_INIT(fdcache.dirs.lru), .limit = 128 },
};

static struct fd_list *list_of(const struct inode *inode)
{
	return S_ISDIR(READ_ONCE(inode->i_mode)) ? &fdcache.dirs : &fdcache.files;
}

/* ---- one file ---- */

static void backing_file_ctor(void *obj)
{
	struct backing_file *file = obj;

	atomic_init(&file->ref, 0);
}

/* Takes over both descriptors, unless it returns NULL. */
static struct backing_file *backing_file_alloc(int fd, int direct_fd)
{
	/*
	 * Files are opened for pages already under writeback. Reclaim may wait
	 * for those, so none is begun here; the reserve has room for us.
	 */
	unsigned int saved = memalloc_save();
	struct backing_file *file = kmem_cache_alloc(fdcache.cachep, GFP_KERNEL);

	memalloc_restore(saved);
	if (!file)
		return NULL;
	file->fd = fd;
	file->direct_fd = direct_fd;
	file->dio_align = 0;
	file->dio_known = false;
	file->writable = false;
	file->inode = NULL;
	atomic_store(&file->referenced, true);
	/* Two: the cache's and the caller's. pairs with file_tryget() */
	atomic_store_explicit(&file->ref, 2, memory_order_release);
	return file;
}

/* Context: ref is 0 and nobody can raise it to be used. */
static void backing_file_free(struct backing_file *file)
{
	close(file->fd);
	if (file->direct_fd >= 0)
		close(file->direct_fd);
	kmem_cache_free(fdcache.cachep, file);
}

void put_backing_file(struct backing_file *file)
{
	int old = atomic_fetch_sub(&file->ref, 1);

	VM_BUG_ON(old <= 0);
	if (old == 1)
		backing_file_free(file);
}

static bool file_tryget(struct backing_file *file)
{
	int ref = atomic_load_explicit(&file->ref, memory_order_relaxed);

	do
		if (ref <= 0)
			return false;
	while (!atomic_compare_exchange_weak(&file->ref, &ref, ref + 1));
	return true;
}

struct backing_file *inode_open_file(struct inode *inode)
{
	struct backing_file *file;

	for (;;) {
		mm_rcu_read_lock();
		/* pairs with __set_file() */
		file = smp_load_acquire(&inode->i_file);
		if (file && !file_tryget(file))
			file = NULL;
		mm_rcu_read_unlock();
		if (!file)
			return NULL;
		if (smp_load_acquire(&inode->i_file) == file)
			break;
		put_backing_file(file);		/* replaced, or another's */
	}
	if (!atomic_load_explicit(&file->referenced, memory_order_relaxed))
		atomic_store_explicit(&file->referenced, true,
				      memory_order_relaxed);
	return file;
}

/* ---- on and off the inode ---- */

/* Context: fdcache.lock. */
static void __set_file(struct inode *inode, struct backing_file *file)
{
	struct fd_list *l = list_of(inode);

	lockdep_assert_held(&fdcache.lock);
	file->inode = inode;
	list_add(&file->lru, &l->lru);
	WRITE_ONCE(l->nr, l->nr + 1);
	smp_store_release(&inode->i_file, file);	/* pairs with inode_open_file() */
}

/* Context: fdcache.lock. The cache's reference is the caller's to put. */
static void __unset_file(struct backing_file *file)
{
	struct fd_list *l = list_of(file->inode);

	lockdep_assert_held(&fdcache.lock);
	smp_store_release(&file->inode->i_file, NULL);
	file->inode = NULL;
	list_del(&file->lru);
	WRITE_ONCE(l->nr, l->nr - 1);
}

/* Context: fdcache.lock. */
static bool __mapping_is_dirty(struct inode *inode)
{
	struct address_space *mapping = &inode->i_data;
	bool dirty;

	if (READ_ONCE(mapping->nrdirty) || READ_ONCE(mapping->nrwriteback))
		return true;
	mutex_lock(&mapping->bdi->list_lock);
	dirty = mapping->wb_state;
	mutex_unlock(&mapping->bdi->list_lock);
	return dirty;
}

enum idle_file {
	IDLE_UNUSED,		/* and not used lately */
	IDLE_ANY,		/* needed: there are no descriptors left */
};

/* Context: i_lock. The directories it is in are taken to let us in. */
static bool __may_reopen(const struct inode *inode)
{
	return sb.is_root || (inode->i_uid == geteuid() &&
			      (inode->i_mode & 0600) == 0600);
}

/* Context: fdcache.lock. See I3. When in doubt: it does. */
static bool __inode_needs_file(struct inode *inode, enum idle_file which)
{
	bool reopen, opens;

	if (S_ISDIR(READ_ONCE(inode->i_mode)))
		return false;
	if (!mutex_trylock(&inode->i_lock))
		return true;
	reopen = __may_reopen(inode);
	opens = inode->i_opens;
	mutex_unlock(&inode->i_lock);
	if (reopen)
		return which == IDLE_UNUSED && __mapping_is_dirty(inode);
	return opens || __mapping_is_dirty(inode);
}

/* Context: fdcache.lock. Closes @file if it can be: then it is on @dispose. */
static bool __try_close(struct backing_file *file, enum idle_file which,
			struct list_head *dispose)
{
	int idle = 1;

	if (atomic_exchange(&file->referenced, false) && which == IDLE_UNUSED)
		return false;
	if (atomic_load(&file->ref) > 1 ||
	    __inode_needs_file(file->inode, which))
		return false;
	if (!atomic_compare_exchange_strong(&file->ref, &idle, 0))	/* I2 */
		return false;
	__unset_file(file);
	list_add(&file->lru, dispose);
	return true;
}

/* Context: fdcache.lock. Return: files put on @dispose. */
static unsigned int __scan_list(struct fd_list *l, enum idle_file which,
				unsigned int scan, unsigned int nr,
				struct list_head *dispose)
{
	unsigned int done = 0;

	for (; scan && done < nr && !list_empty(&l->lru); scan--) {
		struct backing_file *file = list_last_entry(&l->lru,
						struct backing_file, lru);

		if (__try_close(file, which, dispose))
			done++;
		else
			list_move(&file->lru, &l->lru);
	}
	return done;
}

static void close_all(struct list_head *dispose)
{
	while (!list_empty(dispose)) {
		struct backing_file *file = list_first_entry(dispose,
						struct backing_file, lru);

		list_del(&file->lru);
		backing_file_free(file);
	}
}

static void trim_list(struct fd_list *l)
{
	LIST_HEAD(dispose);

	mutex_lock(&fdcache.lock);
	if (l->nr > l->limit)
		__scan_list(l, IDLE_UNUSED, TRIM_SCAN, l->nr - l->limit,
			    &dispose);
	mutex_unlock(&fdcache.lock);
	close_all(&dispose);
}

unsigned int fdcache_shrink(unsigned int nr)
{
	unsigned int done;
	LIST_HEAD(dispose);

	mutex_lock(&fdcache.lock);
	done = __scan_list(&fdcache.files, IDLE_ANY, fdcache.files.nr, nr,
			   &dispose);
	if (done < nr)
		done += __scan_list(&fdcache.dirs, IDLE_ANY, fdcache.dirs.nr,
				    nr - done, &dispose);
	mutex_unlock(&fdcache.lock);
	close_all(&dispose);
	return done;
}

int backing_openat(int dirfd, const char *name, int flags, mode_t mode)
{
	bool shrunk = false;
	int fd, err;

	for (;;) {
		fd = openat(dirfd, name, flags | O_CLOEXEC, mode);
		if (fd >= 0)
			return fd;
		err = -errno;
		if (err == -EINTR)
			continue;
		if ((err != -EMFILE && err != -ENFILE) || shrunk)
			return err;
		shrunk = fdcache_shrink(EMFILE_BATCH);
		if (!shrunk)
			return err;
	}
}

/* ---- regular files ---- */

static bool dio_wanted(struct inode *inode)
{
	/* Shorter files are all tail, which is never written directly. */
	return i_size_read(&inode->i_data) >= (loff_t)PAGE_SIZE;
}

/* Bytes direct I/O on @fd must be aligned to; 0: it cannot; or -ENOSYS. */
static int dio_alignment(int fd)
{
	struct statx stx;

	if (statx(fd, "", AT_EMPTY_PATH, STATX_DIOALIGN, &stx) ||
	    !(stx.stx_mask & STATX_DIOALIGN))
		return -ENOSYS;		/* older than Linux 6.1, or silent */
	if (stx.stx_dio_offset_align > PAGE_SIZE ||
	    stx.stx_dio_mem_align > PAGE_SIZE)
		return 0;
	return stx.stx_dio_offset_align;
}

/* A second descriptor for direct I/O, or none: then I/O is buffered. */
static void open_direct(struct inode *inode, struct backing_file *file)
{
	int align = dio_alignment(file->fd);

	file->dio_known = true;
	if (!align)
		return;
	file->direct_fd = inode_open_backing(inode, O_DIRECT |
					     (file->writable ? O_RDWR : O_RDONLY));
	if (file->direct_fd < 0)
		file->direct_fd = -1;
	else
		file->dio_align = align < 0 ? PAGE_SIZE : (uint32_t)align;
}

static bool file_suits(struct inode *inode, const struct backing_file *file,
		       int access)
{
	return (access == O_RDONLY || file->writable) &&
		(file->dio_known || !dio_wanted(inode));
}

/* The main descriptor of a file better than @old, which may be NULL. */
static int open_main(struct inode *inode, struct backing_file *old, int access)
{
	int fd;

	if (!old || (access != O_RDONLY && !old->writable))
		return inode_open_backing(inode, access);
	/* Not opened anew: we may not be allowed to any more. */
	fd = fcntl(old->fd, F_DUPFD_CLOEXEC, 0);
	return fd < 0 ? -errno : fd;
}

/*
 * @file, with the caller's reference, becomes the inode's, unless another
 * thread has installed one that is as good: then that is returned.
 */
static struct backing_file *install_file(struct inode *inode,
					 struct backing_file *file, int access)
{
	struct backing_file *old;
	bool as_good;

	mutex_lock(&fdcache.lock);
	old = inode->i_file;
	as_good = old && file_suits(inode, old, access) &&
		(old->writable || !file->writable) && file_tryget(old);
	if (!as_good) {
		if (old)
			__unset_file(old);
		__set_file(inode, file);
	}
	mutex_unlock(&fdcache.lock);
	if (as_good) {
		put_backing_file(file);		/* the cache's, and ours */
		put_backing_file(file);
		return old;
	}
	if (old)
		put_backing_file(old);
	if (READ_ONCE(list_of(inode)->nr) > READ_ONCE(list_of(inode)->limit))
		trim_list(list_of(inode));
	return file;
}

/* Opens a file that suits @access and installs it. @old: the present one. */
static struct backing_file *open_file(struct inode *inode,
				      struct backing_file *old, int access)
{
	struct backing_file *file;
	int fd = open_main(inode, old, access);

	if (fd < 0)
		return ERR_PTR(fd);
	file = backing_file_alloc(fd, -1);
	if (!file) {
		close(fd);
		return ERR_PTR(-ENOMEM);
	}
	file->writable = access != O_RDONLY || (old && old->writable);
	if (dio_wanted(inode))
		open_direct(inode, file);
	return install_file(inode, file, access);
}

struct backing_file *inode_get_file(struct inode *inode, int access)
{
	struct backing_file *file = inode_open_file(inode), *old;

	if (file && file_suits(inode, file, access))
		return file;
	old = file;
	file = open_file(inode, old, access);
	/* Without direct I/O rather than not at all (EMFILE, ENOMEM). */
	if (IS_ERR(file) && old && (access == O_RDONLY || old->writable))
		return old;
	if (old)
		put_backing_file(old);
	return file;
}

int inode_set_file(struct inode *inode, int fd)
{
	struct backing_file *file = backing_file_alloc(fd, -1);

	if (!file) {
		close(fd);
		return -ENOMEM;
	}
	file->writable = true;
	put_backing_file(install_file(inode, file, O_RDWR));
	return 0;
}

void inode_drop_file(struct inode *inode)
{
	struct backing_file *file;

	mutex_lock(&fdcache.lock);
	file = inode->i_file;
	if (file)
		__unset_file(file);
	mutex_unlock(&fdcache.lock);
	if (file)
		put_backing_file(file);
}

/* ---- directories ---- */

/* Opens and installs one, unless another thread was faster. */
static int open_dirfd(struct inode *dir)
{
	struct backing_file *file, *other;
	int fd = open_dir_by_walk(dir);

	if (fd < 0)
		return fd;
	file = backing_file_alloc(fd, -1);
	if (!file) {
		close(fd);
		return -ENOMEM;
	}
	mutex_lock(&fdcache.lock);
	other = dir->i_file;
	if (!other)
		__set_file(dir, file);
	else if (!file_tryget(other))	/* I1: the cache has a reference */
		BUG();
	mutex_unlock(&fdcache.lock);
	if (other) {
		put_backing_file(file);
		put_backing_file(file);
		return other->fd;
	}
	if (READ_ONCE(fdcache.dirs.nr) > READ_ONCE(fdcache.dirs.limit))
		trim_list(&fdcache.dirs);
	return fd;
}

int get_open_dirfd(struct inode *dir)
{
	struct backing_file *file = inode_open_file(dir);
	int fd;

	if (file)
		return file->fd;
	fd = smp_load_acquire(&dir->i_pathfd);	/* pairs with inode_pin() */
	return fd >= 0 ? fd : -EBADF;
}

int get_dirfd(struct inode *dir)
{
	int fd = get_open_dirfd(dir);

	return fd >= 0 ? fd : open_dirfd(dir);
}

void put_dirfd(struct inode *dir, int fd)
{
	/* Both are open, so equal numbers mean the same descriptor. */
	if (fd == smp_load_acquire(&dir->i_pathfd))
		return;
	put_backing_file(smp_load_acquire(&dir->i_file));	/* I4 */
}

/* ---- begin and end ---- */

unsigned int fdcache_nr(void)
{
	return READ_ONCE(fdcache.files.nr) + READ_ONCE(fdcache.dirs.nr);
}

void fdcache_set_limit(unsigned long nofile)
{
	/*
	 * A quarter for directories, and as many descriptors for files, which
	 * have two each. The other half is for pinned and open ones.
	 */
	mutex_lock(&fdcache.lock);
	fdcache.dirs.limit = max_t(unsigned long, nofile / 4, 4);
	fdcache.files.limit = max_t(unsigned long, nofile / 8, 4);
	mutex_unlock(&fdcache.lock);
}

int fdcache_init(void)
{
	fdcache.cachep = kmem_cache_create("backing_file",
					   sizeof(struct backing_file), 0,
					   SLAB_TYPESAFE_BY_RCU,
					   backing_file_ctor);
	return fdcache.cachep ? 0 : -ENOMEM;
}

/* Every inode is gone, and with it its file. */
void fdcache_exit(void)
{
	BUG_ON(fdcache.files.nr || fdcache.dirs.nr);
	kmem_cache_destroy(fdcache.cachep);
	fdcache.cachep = NULL;
}
