/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * fs/internal.h - what the files of fs/ know of each other
 *
 *   fuse_ops.c     FUSE requests <-> the fs_* functions below; replies
 *   fuse_init.c    what is agreed with the kernel at INIT
 *   fuse_loop.c    the worker threads that read requests
 *   callers.c      threads that wait for us: how many, on which CPU
 *   notify.c       invalidations sent to the kernel
 *   super.c        the mount as a whole: options, backing root, statfs, sync
 *   inode.c        inodes: get, put, forget; itable.c finds them
 *   evict.c        inodes go: evict, shrink
 *   alias.c        the names of an inode
 *   attr.c         getattr, setattr, times
 *   fdcache.c      which inodes have a descriptor of their backing file open
 *   reopen.c       reaching a backing object by a descriptor or by name
 *   namei.c        names: lookup, create, link, unlink; rename.c: rename
 *   cred.c         acting for the caller
 *   dir.c          opendir, readdir
 *   xattr.c        extended attributes
 *   file.c         open, read, write, fsync; space.c: fallocate, lseek, copy
 *   mmap.c         files that clients map
 *   aops.c         address_space_operations: pages <-> backing_rw()
 *   backing.c      io_uring, O_DIRECT, tails
 *   swapon.c       which files can be swap areas; swapdev.c: their pages
 *   ctl.c          the .pagefs directory: the tree; ctl_*.c: the files in it
 *   ctl_trace.c    requests on .pagefs/trace; trace_file.c: its readers
 *
 * The fs_* functions know nothing of FUSE: they take and return inodes,
 * structs and negative errnos, so they run in a test without a mount. They
 * return referenced inodes; every one is paired with iput().
 */
#ifndef PAGEFS_FS_INTERNAL_H
#define PAGEFS_FS_INTERNAL_H

#include <sys/stat.h>
#include <sys/statvfs.h>
#include <dirent.h>
#include <syslog.h>
#include <time.h>

#include "pagemap.h"
#include "writeback.h"
#include "slab.h"
#include "err.h"
#include "rcu.h"

enum fs_cache_mode {
	FS_CACHE_THROUGH,	/* the kernel caches reads, writes come to us */
	FS_CACHE_NONE,		/* the kernel caches nothing */
	FS_CACHE_WRITEBACK,	/* the kernel gathers writes */
};

struct fs_options {
	const char *backing_dir;
	const char *mountpoint;
	size_t memory;			/* bytes; bounds read and write sizes */
	enum fs_cache_mode cache;
	bool allow_other;
	bool low_latency;		/* fuse_place.c */
};

/* Who asks. */
struct fs_cred {
	uid_t uid;
	gid_t gid;
};

struct backing_file;
struct vm_file;

/* One name of an inode. Under (N). */
struct alias {
	struct list_head list;		/* inode->i_aliases */
	struct inode *parent;		/* holds a reference */
	uint32_t hash;			/* of name, to compare quickly */
	uint16_t len;
	char name[];			/* terminated */
};

/*
 * Fields: (A) atomic; (C) constant; (F) LOCK_FDCACHE; (H) LOCK_ICACHE;
 *         (L) i_lock; (N) i_lock, and sb.rename_lock for writing to change a
 *         name of a directory or of what is below it: a walk up the parents
 *         holds it for reading.
 *
 * Lifetime: i_count counts users inside the daemon (running operations, open
 * files, children's aliases, dirty lists); i_nlookup what the kernel knows.
 * Both zero: the inode sits on the inode LRU with its page cache, until it is
 * used again or shrunk; unlinked ones are evicted at once. The table holds no
 * reference. A freed inode's memory is reused after a grace period.
 */
struct inode {
	struct address_space i_data;	/* page cache; regular files only */
	uint64_t i_nodeid;		/* (C) what the kernel calls it */
	uint64_t i_ino;			/* (C) in the backing file system */
	dev_t i_dev;			/* (C) */
	struct rw_semaphore i_rwsem;	/* see lockdep.h */
	struct mutex i_lock;
	atomic_long i_count;		/* (A) 0 -> 1 only under (H) */
	atomic_ulong i_nlookup;		/* (A) */
	uint32_t i_state;		/* (L) I_* */
	uint32_t i_mode;		/* (L), type bits (C) */
	uint32_t i_uid, i_gid;		/* (L) */
	uint32_t i_nlink;		/* (L) */
	uint64_t i_rdev;		/* (C) */
	uint64_t i_blocks;		/* (L) backing's, 512 bytes each */
	struct timespec i_atime, i_mtime, i_ctime;	/* (L) */
	struct list_head i_aliases;	/* (N) */
	struct list_head i_lru;		/* (H) on the inode LRU, or empty */
	int i_pathfd;			/* (L) O_PATH, pinned once unlinked, or -1 */
	struct backing_file *i_file;	/* (F) open descriptors, or NULL */
	uint32_t i_opens;		/* (L) open files */
	/*
	 * (L) Numbers of attempts to read the backing object's attributes: the
	 * last begun, the newest whose result is here, and the first that can
	 * have seen the last change. seen < mark: they are stale.
	 */
	uint32_t i_attr_tick, i_attr_seen, i_attr_mark;
	/* What clients map it by, read-only and writable; or NULL. (L), and
	 * i_rwsem for what was NULL to become something. */
	struct vm_file *i_vm_file[2];
	uint32_t i_writers;		/* (L) of the opens for writing, those the
					 * kernel caches for */
	uint32_t i_cached;		/* (L) of all opens, the same */
	/* (L) Changes of times by clients' stores: made, told to the kernel's
	 * queue, told for sure. */
	uint32_t i_news, i_news_sent, i_news_told;
	atomic_uint i_tracked;		/* (A) enum track_state */
	atomic_bool i_kcopies;		/* (A) the kernel may have copies of pages
					 * that are not in the cache */
	struct rcu_head i_rcu;		/* for the grace period */
};

#define I_MTIME		0x01	/* i_mtime differs from the backing file's */
#define I_UNLINKED	0x02	/* no name left: i_pathfd holds it */
#define I_FREEING	0x04	/* leaving the table */
#define I_BLOCKS	0x08	/* i_blocks is stale: written since */
#define I_NOSEC		0x20	/* has no set-id bits and no capabilities */
#define I_STORING	0x40	/* times are on their way to the backing file */

/*
 * Is it known of each page whether the kernel has a copy (PG_kcached)? That
 * costs each read a page lock, so only from when clients may write to it.
 */
enum track_state {
	TRACK_NOT,
	TRACK_BEGUN,	/* from now on; older copies may be there still */
	TRACK_DONE,
};

static inline bool inode_is_tracked(struct inode *inode)
{
	return atomic_load(&inode->i_tracked) != TRACK_NOT;
}

static inline struct inode *I(struct address_space *mapping)
{
	return container_of(mapping, struct inode, i_data);
}

/* ---- super.c ---- */

struct super_block {
	struct fs_options opts;		/* (C) */
	int root_fd;			/* (C) backing root, O_RDONLY, flocked */
	struct inode *root;		/* (C) */
	struct backing_dev_info bdi;
	struct rw_semaphore rename_lock;	/* LOCK_RENAME */
	bool is_root;			/* (C) may act for other users */
	unsigned int max_io;		/* (C) bytes in one FUSE read or write */
	struct timespec mount_time;	/* (C) */
	dev_t mnt_dev;			/* (C) of the mount's files, once it
					 * serves; 0: not known */
	bool direct_mmap;		/* (C) after INIT: files opened without the
					 * kernel's cache can be mapped there */
};
extern struct super_block sb;

/* Where messages go; levels as in syslog(3). Never NULL. */
extern void (*fs_log)(int level, const char *fmt, ...);

/* What a message to people is written to. */
struct message {
	char *buf;
	size_t size;
};

/* One line, without its end. Return: @err, so that a check can end with it. */
int complain(const struct message *msg, int err, const char *fmt, ...)
	__printf(3, 4);

/*
 * Opens and locks the backing directory, brings up inode table, I/O and root.
 * Return: 0, or -errno with a message for people in @msg (1 line, no newline):
 * -EBUSY when another daemon holds the backing directory.
 */
int fs_init(const struct fs_options *opts, char *msg, size_t msg_size);
/*
 * Writes everything back, then releases all. Return: 0, or the first error of
 * data that could not be written (how many bytes of it: @lostp).
 */
int fs_exit(unsigned long *lostp);
int fs_statfs(struct statvfs *st);
/* Is the directory open as @fd the backing one, or below it? Closes @fd. */
bool fs_is_below_root(int fd);

/* ---- inode.c ---- */

int inode_init(void);
void inode_exit(void);			/* evicts everything */

/* The inode the kernel calls @nodeid, referenced, or NULL. Lock-free. */
struct inode *inode_lookup_nodeid(uint64_t nodeid);
/*
 * The inode of a stat result, referenced; made if it is new. @seq is what
 * icache_seq() said before the stat. ERR_PTR; -EAGAIN: an inode has been
 * evicted since, perhaps this one with news in it, so ask stat again.
 */
unsigned long icache_seq(void);
struct inode *iget(const struct stat *st, unsigned long seq);
/* The inode of (dev, ino) if it is in the table, referenced, or NULL. */
struct inode *ilookup(dev_t dev, ino_t ino);
void ihold(struct inode *inode);
/* A further reference, unless @inode is being evicted: for whoever found it
 * without one (a_ops->grab). Takes no lock. */
bool igrab(struct inode *inode);
void iput(struct inode *inode);
/* Both i_rwsems for writing, the lowest address first; they may be one. */
void lock_two_inodes(struct inode *a, struct inode *b);
void unlock_two_inodes(struct inode *a, struct inode *b);

/* The kernel was told of the inode once more; has forgotten it @n times. */
void inode_nlookup_add(struct inode *inode, unsigned long n);
void inode_forget(uint64_t nodeid, unsigned long n);

/* Bytes of files with a name that are in no backing file: at fs_exit(). */
unsigned long inode_dirty_bytes(void);

/* Inodes in the table; of them, unused ones on the LRU. */
unsigned long nr_inodes(void);
unsigned long nr_unused_inodes(void);

/* ---- alias.c ---- */

/* Names: add @name in @parent to @inode's; no-op if known. 0 or -ENOMEM. */
int inode_add_alias(struct inode *inode, struct inode *parent, const char *name);
void inode_del_alias(struct inode *inode, struct inode *parent, const char *name);
/*
 * Names made beforehand, because nothing is allocated under sb.rename_lock.
 * attach and detach return an alias that is on no list any more (the one
 * given, when the inode has that name; its oldest, when it has too many), or
 * NULL; alias_free() it when no lock is held.
 */
struct alias *alias_alloc(struct inode *parent, const char *name);
void alias_free(struct alias *alias);	/* NULL is ignored */
struct alias *alias_attach(struct inode *inode, struct alias *alias);
struct alias *alias_detach(struct inode *inode, struct inode *parent,
			   const char *name);
/*
 * The @nth name of @inode: *@parentp is referenced, @name has room for
 * NAME_MAX + 1. Return: false when there are not so many.
 */
bool inode_nth_alias(struct inode *inode, unsigned int nth,
		     struct inode **parentp, char *name);
/* Some name of @inode, for a notification: its parent's nodeid and the name.
 * Return: length, or -ENOENT. @name has room for NAME_MAX + 1. */
int inode_any_alias(struct inode *inode, uint64_t *parent_nodeid, char *name);
/*
 * A path of @inode from the mount's root, which is "/": written to the end of
 * @buf. One that does not fit has lost its front, and begins with "/" still.
 * Context: no lock from LOCK_RENAME on. Return: it; NULL: no name is known.
 */
const char *inode_path(struct inode *inode, char *buf, size_t size);

/* ---- evict.c ---- */

/* Dirty pages, pages under writeback or times to store. */
bool inode_is_dirty(struct inode *inode);
/*
 * Up to @max inodes that only the kernel holds: i_nlookup, but no user inside
 * the daemon; not directories (one may be somebody's working directory, which
 * would lose its name). Each referenced for the caller to iput(). Calls go on
 * where the last one ended. Return: how many; 0 when a whole round found none.
 * Context: no locks.
 */
unsigned int inode_prune_candidates(struct inode **out, unsigned int max);
/*
 * Waits for the inodes on their way out, or as many: what unlinked files had in
 * the store is free afterwards. Context: may sleep; i_rwsem. Return: false if
 * there were none.
 */
bool inode_wait_evictions(void);

/* ---- attr.c ---- */

static inline bool timespec_equal(const struct timespec *a, const struct timespec *b)
{
	return a->tv_sec == b->tv_sec && a->tv_nsec == b->tv_nsec;
}

/* Attributes as programs should see them: sizes and times with what is only
 * in the cache. Return: 0 or -errno. */
int fs_getattr(struct inode *inode, struct stat *st);
/* What to set: the values of FUSE_SET_ATTR_*. */
#define FS_ATTR_MODE		0x0001
#define FS_ATTR_UID		0x0002
#define FS_ATTR_GID		0x0004
#define FS_ATTR_SIZE		0x0008
#define FS_ATTR_ATIME		0x0010
#define FS_ATTR_MTIME		0x0020
#define FS_ATTR_ATIME_NOW	0x0080
#define FS_ATTR_MTIME_NOW	0x0100
/* @to_set: FS_ATTR_* bits, others are ignored; @st: the new values. On
 * success *@st is what fs_getattr() says. */
int fs_setattr(struct inode *inode, const struct fs_cred *cred, int to_set,
	       struct stat *st);
/* Take over what the backing file system says, except what we know better. */
void inode_refresh(struct inode *inode, const struct stat *st);
/* They have changed behind the cached ones: read again before shown. */
void inode_mark_stale(struct inode *inode);
/* The contents have changed now. */
void inode_touch_mtime(struct inode *inode);
/* A client is about to store to a page, and will not say so again. */
void inode_touch_mapped(struct inode *inode);
/* Pages that clients may have dirtied go to the store: mtime stays ours. */
void inode_keep_mtime(struct inode *inode);
/*
 * The kernel shows times from a copy of its own, and clients have changed them
 * behind it: it is told to ask again, soon or before this returns. The latter
 * not by a thread that owes the kernel an answer.
 */
void inode_tell_times(struct inode *inode);
void inode_tell_times_wait(struct inode *inode);
/* Bring times the backing file lacks there. */
int inode_store_times(struct inode *inode);
/* A write by @cred takes set-id bits away. Called before the write. */
int inode_kill_priv(struct inode *inode, const struct fs_cred *cred);

/* ---- fdcache.c ---- */

/* Two descriptors of one open file. Constant while referenced. */
struct backing_file {
	atomic_int ref;
	int fd;				/* buffered */
	int direct_fd;			/* O_DIRECT, or -1: the store cannot */
	uint32_t dio_align;		/* bytes: offset and length of direct I/O */
	bool writable;
	bool dio_known;			/* direct_fd has been asked for */
	atomic_bool referenced;		/* (A) used since it was last considered */
	struct list_head lru;		/* (F) idle ones may be closed */
	struct inode *inode;		/* (F) NULL once replaced */
};

int fdcache_init(void);
void fdcache_exit(void);

/**
 * inode_get_file - the backing file of a regular inode, open
 * @access: O_RDONLY or O_RDWR
 * Opens it if it is not. An inode with opens or dirty pages keeps its own.
 * Return: referenced; ERR_PTR(-EACCES, -EMFILE, ...).
 */
struct backing_file *inode_get_file(struct inode *inode, int access);
void put_backing_file(struct backing_file *file);
/* @fd, opened with O_RDWR, becomes the inode's (create). Takes @fd over. */
int inode_set_file(struct inode *inode, int fd);
/* Close what is not in use: at eviction. */
void inode_drop_file(struct inode *inode);

/*
 * An O_PATH descriptor of a directory, good until put_dirfd(). Cached.
 * Return: fd or -errno.
 */
int get_dirfd(struct inode *dir);
/* The same if it is open already, else -EBADF. */
int get_open_dirfd(struct inode *dir);
void put_dirfd(struct inode *dir, int fd);

/*
 * openat(2) with O_CLOEXEC that closes idle descriptors when there are none
 * left. Return: fd or -errno.
 */
int backing_openat(int dirfd, const char *name, int flags, mode_t mode);
/* Closes up to @nr idle descriptors; returns how many. */
unsigned int fdcache_shrink(unsigned int nr);
/* For super.c: of @nofile descriptors, how many may be idle in the cache. */
void fdcache_set_limit(unsigned long nofile);
/* Open and idle descriptors in the cache. */
unsigned int fdcache_nr(void);
/* The file that @inode has open, referenced, or NULL. */
struct backing_file *inode_open_file(struct inode *inode);

/* ---- reopen.c ---- */

/*
 * Open @inode's backing object anew with @flags (O_PATH and O_NOFOLLOW for
 * any type; O_RDONLY, O_RDWR, O_DIRECT, ... for files and directories), by
 * i_pathfd or by a name, verified against i_ino. Return: fd or -errno.
 */
int inode_open_backing(struct inode *inode, int flags);

/*
 * @inode has lost its last name that we know: @fd, O_PATH, keeps the object.
 * Return: false if it has one already; then @fd is still the caller's.
 */
bool inode_pin(struct inode *inode, int fd);
/*
 * Any descriptor of @inode's object, for calls that take one and "" or its
 * path in /proc.
 */
struct any_fd {
	int fd;
	bool is_path;			/* O_PATH */
	struct backing_file *file;	/* what keeps fd open: this, */
	struct inode *dir;		/* or this; else fd is ours */
	bool close;
};
int get_any_fd(struct inode *inode, struct any_fd *any);
void put_any_fd(struct any_fd *any);
/* Room for "/proc/self/fd/" and a number. */
#define PROC_FD_LEN	32
const char *proc_fd_path(int fd, char *buf);
/* What the backing file system says of @inode now. Return: 0 or -errno. */
int inode_stat_backing(struct inode *inode, struct stat *st);

/* A new O_PATH descriptor of a directory. Return: fd or -errno. */
int open_dir_by_walk(struct inode *dir);

/* ---- cred.c ---- */

int cred_init(void);
/* Until cred_revert() this thread makes files that are @cred's.
 * Return: 0 or -errno; then nothing has changed. */
int cred_override(const struct fs_cred *cred);
void cred_revert(const struct fs_cred *cred);

/* ---- namei.c ---- names are checked: no '/', not "", ".", ".." ---- */

int fs_lookup(struct inode *dir, const char *name, struct inode **inodep);
struct open_file;
int fs_create(struct inode *dir, const char *name, const struct fs_cred *cred,
	      mode_t mode, int flags, struct inode **inodep,
	      struct open_file **filep);
int fs_mknod(struct inode *dir, const char *name, const struct fs_cred *cred,
	     mode_t mode, dev_t rdev, struct inode **inodep);
int fs_mkdir(struct inode *dir, const char *name, const struct fs_cred *cred,
	     mode_t mode, struct inode **inodep);
int fs_symlink(struct inode *dir, const char *name, const struct fs_cred *cred,
	       const char *target, struct inode **inodep);
int fs_link(struct inode *inode, struct inode *dir, const char *name);
int fs_unlink(struct inode *dir, const char *name);
int fs_rmdir(struct inode *dir, const char *name);
/* Terminated; length or -errno. */
int fs_readlink(struct inode *inode, char *buf, size_t size);

/* ---- rename.c: names are checked as above ---- */

/* @flags: 0, RENAME_NOREPLACE, RENAME_EXCHANGE. */
int fs_rename(struct inode *dir, const char *name, struct inode *newdir,
	      const char *newname, unsigned int flags);

/* ---- dir.c ---- */

struct open_dir;
int fs_opendir(struct inode *dir, struct open_dir **dirp);
void fs_releasedir(struct open_dir *dir);
int fs_fsyncdir(struct open_dir *dir, bool datasync);
/*
 * Entries from position @off (0, or an entry's next_off) on; emit returns
 * false when it has no room, and that entry is met again next time.
 */
struct fs_dirent {
	const char *name;
	uint64_t ino;
	unsigned char type;		/* DT_* */
	off_t next_off;
};
typedef bool (*fs_emit_t)(void *arg, const struct fs_dirent *ent);
int fs_readdir(struct open_dir *dir, off_t off, fs_emit_t emit, void *arg);
struct inode *open_dir_inode(struct open_dir *dir);

/* ---- xattr.c ---- as the system calls: @size 0 asks for the size ---- */

ssize_t fs_getxattr(struct inode *inode, const char *name, void *buf, size_t size);
ssize_t fs_listxattr(struct inode *inode, char *buf, size_t size);
int fs_setxattr(struct inode *inode, const char *name, const void *value,
		size_t size, int flags);
int fs_removexattr(struct inode *inode, const char *name);

/* ---- file.c ---- */

/* One open(2) of a regular file. */
struct open_file {
	struct inode *inode;		/* (C) referenced */
	int flags;			/* (C) O_*, as the kernel may use it */
	int accmode;			/* (C) O_ACCMODE of the program's open */
	bool direct;			/* (C) the kernel keeps no copies for it,
					 * but those of its own mmaps */
	atomic_uint wb_since;		/* (A) errseq sample */
	struct file_ra_state ra;
};

int fs_open(struct inode *inode, const struct fs_cred *cred, int flags,
	    struct open_file **filep);
/* For fs_create(): a new file whose descriptor is already set. */
int fs_open_created(struct inode *inode, int flags, struct open_file **filep);
void fs_release(struct open_file *file);
/* May the daemon's user open it so? As O_*. Return: 0 or -errno. */
int inode_may_open(struct inode *inode, int flags);
/* The limit of read-ahead of an open file, pages. */
unsigned int fs_ra_pages(void);
/* close(2): reports a pending writeback error, writes nothing. */
int fs_flush(struct open_file *file);
/* Pages of a read, for a reply without a copy; see filemap_get_pages(). */
int fs_read_pages(struct open_file *file, loff_t pos, size_t len,
		  struct page **pages, unsigned int max, size_t *bytesp);
/*
 * @cred NULL: the kernel's own writeback (FUSE_WRITE_CACHE), which may come
 * through any open file: @pos is final even with O_APPEND, set-id bits stay.
 */
ssize_t fs_write(struct open_file *file, const struct fs_cred *cred, loff_t pos,
		 const void *buf, size_t len);
/* The same of bytes the kernel keeps a copy of. */
ssize_t fs_write_kcached(struct open_file *file, const struct fs_cred *cred,
			 loff_t pos, const void *buf, size_t len);
/* @file may be NULL (no open file: an inode's fsync). */
int fs_fsync(struct inode *inode, struct open_file *file, bool datasync);
/*
 * Bytes [@pos, @pos + @len) and what it takes to find them, to the device.
 * @since: whoever asks, as file->wb_since. Return: 0 or -errno.
 */
int fs_sync_range(struct inode *inode, atomic_uint *since, loff_t pos,
		  size_t len);
/*
 * What @cred says of the file for everybody (NR_FADVISE: nothing); *@nrp as
 * mapping_fadvise() has it. Return: 0, -EPERM: a policy is the owner's to set.
 */
int fs_advise(struct inode *inode, const struct fs_cred *cred,
	      enum fadvise advice, unsigned long *nrp);
/* Bytes or blocks have changed now: times, and st_blocks has to be asked for. */
void inode_contents_changed(struct inode *inode);
/* The size changes: page cache, backing file, times. Takes i_rwsem itself. */
int fs_truncate(struct inode *inode, loff_t size);
/* The largest size; beyond, page indices and ends of ranges would not fit. */
#define FS_MAX_BYTES	((loff_t)(INT64_MAX - PAGE_SIZE))
/* The store made the file larger than i_size. i_rwsem, invalidate_lock held. */
void inode_adopt_size(struct inode *inode, struct backing_file *bf);

/* ---- space.c ---- */

/* By fs_init(): another store, nothing known of it. */
void space_init(void);
int fs_fallocate(struct open_file *file, const struct fs_cred *cred, int mode,
		 loff_t pos, loff_t len);
loff_t fs_lseek(struct open_file *file, loff_t pos, int whence);
ssize_t fs_copy_file_range(struct open_file *in, loff_t pos_in,
			   struct open_file *out, loff_t pos_out,
			   const struct fs_cred *cred, size_t len);
/*
 * Will the store have room for [@pos, @pos + @len) when it is written back?
 * Cheap while there is plenty; near full it allocates the range now.
 * Return: 0, -ENOSPC, -EDQUOT. Context: i_rwsem for writing; or none of our
 * locks, for a page that is in the cache: see fs/mmap.c.
 */
int fs_reserve_space(struct inode *inode, loff_t pos, size_t len);
/* Before that, without locks: if the store gets tight, write back what has
 * been dirtied without asking it. */
void fs_settle_space(size_t len);

/* ---- mmap.c ---- */

/*
 * The program that has @file open offers it to whoever takes offers.
 * Context: a FUSE worker. Return: 0, or as PAGEFS_IOC_OFFER.
 */
int fs_offer_file(struct open_file *file, const uint64_t cookie[2],
		  uint64_t *numberp);
/*
 * What clients map @inode by, referenced: fs_map_offer() without the offer.
 * Context: no locks, and not a thread that owes the kernel an answer.
 * Return: 0, -EBUSY, -ENOMEM, or what opening the backing file met.
 */
int inode_get_vm_file(struct inode *inode, bool writable, struct vm_file **filep);
/*
 * The kernel is about to get a copy of what is in the range: before the bytes
 * are taken or given. Context: any; of a tracked inode.
 */
void inode_note_copies(struct inode *inode, loff_t pos, size_t len);
/* Clients have stored to pages, as address_space_operations.stored has it. */
void inode_pages_stored(struct inode *inode, pgoff_t index, unsigned long nr,
			bool kcached);
/* May clients store to it without a fault (fs/mmap.c I5)? Context: i_lock. */
bool inode_is_scanned(const struct inode *inode);
/* May clients have it mapped, now? With i_rwsem held: false stays false. */
bool inode_has_clients(struct inode *inode);
/* The same of those who may write. An estimate. */
static inline bool inode_has_writing_clients(const struct inode *inode)
{
	return READ_ONCE(inode->i_vm_file[true]);
}

/* ---- aops.c ---- */

extern const struct address_space_operations pagefs_aops;

/* ---- backing.c ---- */

/*
 * I/O between frames and backing files. A request is one contiguous range of
 * a file and the pages whose frames are its memory.
 *
 *   sync:  the calling thread's own io_uring; it waits, or its current_plug
 *          does before it sleeps
 *   async: the I/O thread's io_uring
 */
int backing_init(void);
void backing_exit(void);

enum backing_op { BACKING_READ, BACKING_WRITE };

/**
 * backing_rw - start I/O of @nr consecutive pages
 * @file:   the request takes a reference of its own
 * @pages:  copied; their frames must stay until the end
 * @bytes:  for a write, how many bytes of the run are the file's (its tail
 *          page may be partial); for a read ignored
 * @wbc:    of a write: what its trace event says caused it; NULL for a read
 * @async:  hand it to the I/O thread; else to this thread's ring
 *
 * Ends each page with end_page_read() or end_page_writeback(). Partial
 * transfers are continued, EINTR and EAGAIN retried, a read past the file's
 * end gives zeros. Uses O_DIRECT for the aligned part where it can.
 */
void backing_rw(enum backing_op op, struct backing_file *file,
		struct page **pages, unsigned int nr, size_t bytes,
		const struct writeback_control *wbc, bool async);
/* Wait for everything this thread has started on its own ring. */
void backing_wait(void);

/* Bytes read and written and requests, ever: for ctl.c. */
struct backing_stats {
	unsigned long rd_ios, rd_sectors, wr_ios, wr_sectors, errors;
};
void backing_get_stats(struct backing_stats *st);

/* Error injection for tests: requests whose op matches fail with @err, from
 * the @nth on; 0 turns it off. */
void backing_fail(enum backing_op op, unsigned long nth, int err);

/* ---- swapon.c, ctl_swap.c ---- */

/* @path as swap_off() knows it, if there is such a file. */
void fs_swap_path(const char *path, char *buf, size_t size);
/* What swap_off() returned, in words. */
const char *fs_swapoff_error(int err);
/* Stops those that are going off, and waits for them. */
void swapoff_stop(void);

/* ---- ctl.c, ctl_*.c ---- the .pagefs directory ---- */

#define CTL_DIR_NAME	".pagefs"
/* Nodeids from here on are control files; no backing inode gets one. */
#define CTL_NODEID_BASE	(1ULL << 63)

static inline bool is_ctl_nodeid(uint64_t nodeid)
{
	return nodeid >= CTL_NODEID_BASE;
}
/* 0 if @name in the directory @parent (1 is the mount's root) is ours. */
int ctl_lookup(uint64_t parent, const char *name, struct stat *st,
	       uint64_t *nodeid);
int ctl_getattr(uint64_t nodeid, struct stat *st);
/* Nothing is kept: sizes and times may be set and stay as they are; what else
 * @to_set (FS_ATTR_*) has is -EPERM. */
int ctl_setattr(uint64_t nodeid, int to_set, struct stat *st);

/* Opens, by anybody; @flags: O_*. Return: 0, -EACCES, -ENOENT, -EISDIR, ... */
struct ctl_handle;
int ctl_open(uint64_t nodeid, const struct fs_cred *cred, int flags,
	     struct ctl_handle **hp);
void ctl_release(struct ctl_handle *h);
/* Bytes; 0 at the end, and fewer than @size before it too; or -errno. */
ssize_t ctl_read(struct ctl_handle *h, char *buf, size_t size, loff_t pos);
/* @len, or -errno and nothing has changed. */
ssize_t ctl_write(struct ctl_handle *h, const char *buf, size_t len, loff_t pos);
/* Is it .pagefs/trace, which has no text? See fs/ctl_trace.c. */
bool ctl_is_trace(uint64_t nodeid);
/* What fs_set_socket() said; "": nowhere. */
void ctl_get_socket(char *buf, size_t size);
/* Entries of a directory of ours, as fs_readdir(). */
int ctl_readdir(uint64_t nodeid, off_t off, fs_emit_t emit, void *arg);

/* ---- notify.c ---- */

struct fuse_session;
int notify_init(struct fuse_session *se);
void notify_exit(void);
/* Ask the kernel to drop names of inodes only it holds: memory is short of
 * inodes. Returns at once. */
void notify_prune_inodes(unsigned long nr);
/* The kernel's copy of bytes [@pos, @pos + @len) of the inode is stale;
 * @len 0: to the end. Returns at once. */
void notify_inval_inode(uint64_t nodeid, loff_t pos, loff_t len);
/*
 * The same, and on return the kernel has dropped it. Dirty pages of programs
 * that have mapped the file through the kernel come as WRITE requests first.
 * Context: a thread that owes the kernel no answer; no lock but mmap_lock.
 * Return: 0 (also when the session has ended) or -errno: they may be there.
 */
int notify_inval_inode_wait(uint64_t nodeid, loff_t pos, loff_t len);
/* The same two for the kernel's copy of the attributes alone. */
void notify_inval_attr(uint64_t nodeid);
int notify_inval_attr_wait(uint64_t nodeid);

#endif /* PAGEFS_FS_INTERNAL_H */
