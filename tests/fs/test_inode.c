// SPDX-License-Identifier: BSD-2-Clause
/*
 * tests/fs/test_inode.c - inodes: fs/inode.c, evict.c, itable.c, attr.c,
 *                         fdcache.c, xattr.c, super.c
 *
 * What keeps an inode and what lets it go, which number it has, what its
 * attributes are with and without dirty pages, and what fs_init() refuses.
 */
#include <fcntl.h>
#include <limits.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/mount.h>
#include <sys/xattr.h>
#include <unistd.h>

#include "fixture.h"
#include "mm.h"
#include "mmzone.h"
#include "swap.h"

#define OK(call)	CU_ASSERT_EQUAL(call, 0)
#define FAILS(err, call) CU_ASSERT_EQUAL(call, -(err))

static const struct fs_cred user = { 1234, 5678 };

static struct stat backing_stat(const char *path)
{
	struct stat st;

	memset(&st, 0, sizeof(st));
	fstatat(fx_fd, path, &st, AT_SYMLINK_NOFOLLOW);
	return st;
}

static struct stat attr_of(struct inode *inode)
{
	struct stat st;

	memset(&st, 0, sizeof(st));
	CU_ASSERT_EQUAL(fs_getattr(inode, &st), 0);
	return st;
}

static bool same_time(struct timespec a, struct timespec b)
{
	return a.tv_sec == b.tv_sec && a.tv_nsec == b.tv_nsec;
}

/* ---- numbers ---- */

static void numbers_are_the_backing_ones(void)
{
	struct inode *a, *found;

	fixture_begin();
	a = fx_create(sb.root, "a");
	CU_ASSERT_EQUAL(sb.root->i_nodeid, 1);
	CU_ASSERT_EQUAL(a->i_nodeid, backing_stat("a").st_ino);
	found = inode_lookup_nodeid(a->i_nodeid);
	CU_ASSERT_PTR_EQUAL(found, a);
	iput(found);
	found = inode_lookup_nodeid(1);
	CU_ASSERT_PTR_EQUAL(found, sb.root);
	iput(found);
	CU_ASSERT_PTR_NULL(inode_lookup_nodeid(a->i_nodeid + 123456));
	CU_ASSERT_PTR_NULL(inode_lookup_nodeid(1ULL << 62));
	CU_ASSERT_PTR_NULL(inode_lookup_nodeid(0));
	found = ilookup(sb.root->i_dev, sb.root->i_ino);
	CU_ASSERT_PTR_EQUAL(found, sb.root);
	iput(found);
	iput(a);
	fixture_end();
}

/* A file system below ours, whose root has inode number 1 as tmpfs likes it. */
static void other_devices_get_numbers_of_ours(void)
{
	char path[PATH_MAX + 8];
	struct inode *m, *f, *again, *mine;
	uint64_t nodeid;

	fixture_begin();
	iput(fx_mkdir(sb.root, "mnt"));
	mine = fx_create(sb.root, "mine");
	snprintf(path, sizeof(path), "%s/mnt", fx_dir);
	if (mount("tmpfs", path, "tmpfs", 0, "size=1m")) {
		iput(mine);
		fixture_end();
		test_skip("mount of tmpfs refused");
	}
	m = fx_walk("mnt");
	CU_ASSERT(m && m->i_nodeid >= 1ULL << 62);
	CU_ASSERT_EQUAL(attr_of(m).st_ino, backing_stat("mnt").st_ino);
	f = fx_create(m, "f");
	CU_ASSERT(f && f->i_nodeid >= 1ULL << 62);
	CU_ASSERT(f && f->i_nodeid != m->i_nodeid);
	fx_write(f, "elsewhere");
	again = fx_walk("mnt/f");
	CU_ASSERT_PTR_EQUAL(f, again);
	iput(again);
	again = inode_lookup_nodeid(f->i_nodeid);
	CU_ASSERT_PTR_EQUAL(f, again);
	iput(again);
	FAILS(EXDEV, fs_rename(m, "f", sb.root, "f", 0));
	FAILS(EXDEV, fs_link(mine, m, "g"));
	nodeid = f->i_nodeid;
	iput(f);
	fx_drop_all();
	f = fx_walk("mnt/f");
	CU_ASSERT(f && f->i_nodeid > nodeid);	/* never used again */
	CU_ASSERT(f && fx_contains(f, "elsewhere"));
	iput(f);
	iput(m);
	iput(mine);
	fx_drop_all();
	umount2(path, MNT_DETACH);
	fixture_end();
}

/* ---- coming and going ---- */

static void unused_inodes_stay_until_shrunk(void)
{
	struct inode *a;
	uint64_t nodeid;

	fixture_begin();
	a = fx_create(sb.root, "a");
	fx_write(a, "kept");
	fs_sync();
	nodeid = a->i_nodeid;
	CU_ASSERT_EQUAL(nr_unused_inodes(), 0);
	iput(a);
	CU_ASSERT_EQUAL(nr_unused_inodes(), 1);
	a = inode_lookup_nodeid(nodeid);
	CU_ASSERT_PTR_NOT_NULL_FATAL(a);
	CU_ASSERT_EQUAL(nr_unused_inodes(), 0);
	CU_ASSERT(a->i_data.nrpages > 0);
	drop_slab();
	CU_ASSERT_EQUAL(nr_inodes(), 2);	/* it is in use */
	iput(a);
	drop_slab();
	CU_ASSERT_EQUAL(nr_inodes(), 1);
	CU_ASSERT_PTR_NULL(inode_lookup_nodeid(nodeid));
	a = fx_walk("a");
	CU_ASSERT_EQUAL(a->i_nodeid, nodeid);
	CU_ASSERT(fx_contains(a, "kept"));
	iput(a);
	fixture_end();
}

static void dirty_inodes_are_not_shrunk(void)
{
	struct inode *a;

	fixture_begin();
	a = fx_create(sb.root, "a");
	fx_write(a, "dirty");
	iput(a);
	for (int i = 0; i < 4; i++)
		drop_slab();
	/* A flusher may have been here; then it is clean, and may be gone. */
	if (backing_stat("a").st_size == 0)
		CU_ASSERT_EQUAL(nr_inodes(), 2);
	fs_sync();
	drop_slab();
	CU_ASSERT_EQUAL(nr_inodes(), 1);
	CU_ASSERT_EQUAL(backing_stat("a").st_size, 5);
	fixture_end();
}

static void the_kernels_references_keep_an_inode(void)
{
	struct inode *a;
	uint64_t nodeid;

	fixture_begin();
	a = fx_create(sb.root, "a");
	nodeid = a->i_nodeid;
	inode_nlookup_add(a, 1);
	inode_nlookup_add(a, 2);
	iput(a);
	drop_slab();
	CU_ASSERT_EQUAL(nr_inodes(), 2);
	inode_forget(nodeid, 2);
	drop_slab();
	CU_ASSERT_EQUAL(nr_inodes(), 2);
	inode_forget(nodeid, 1);
	CU_ASSERT_EQUAL(nr_unused_inodes(), 1);
	inode_forget(nodeid, 7);		/* the kernel's mistake */
	inode_forget(nodeid + 99, 1);
	drop_slab();
	CU_ASSERT_EQUAL(nr_inodes(), 1);
	fixture_end();
}

static void what_the_kernel_keeps_ends_with_the_mount(void)
{
	struct inode *d, *f;

	fixture_begin();
	d = fx_mkdir(sb.root, "d");
	f = fx_create(d, "f");
	fx_write(f, "not lost");
	inode_nlookup_add(d, 3);
	inode_nlookup_add(f, 1);
	iput(f);
	iput(d);
	fixture_end_keep();
	CU_ASSERT_EQUAL(backing_stat("d/f").st_size, 8);
	fixture_again();
	f = fx_walk("d/f");
	CU_ASSERT(f && fx_contains(f, "not lost"));
	iput(f);
	fixture_end();
}

static void changes_behind_our_back_are_noticed(void)
{
	struct inode *a;
	int fd;

	fixture_begin();
	a = fx_create(sb.root, "a");
	fx_write(a, "ours");
	iput(a);
	fs_sync();
	fd = openat(fx_fd, "a", O_WRONLY | O_APPEND);
	CU_ASSERT_EQUAL(write(fd, " and theirs", 11), 11);
	close(fd);
	a = fx_walk("a");
	CU_ASSERT(fx_contains(a, "ours and theirs"));
	CU_ASSERT_EQUAL(attr_of(a).st_size, 15);
	iput(a);
	/* Another object by the same name. */
	OK(unlinkat(fx_fd, "a", 0));
	OK(mkdirat(fx_fd, "a", 0700));
	a = fx_walk("a");
	if (a) {
		CU_ASSERT(S_ISDIR(attr_of(a).st_mode));
		iput(a);
	}
	fixture_end();
}

/* The order of events that iget() must not be taken in by. */
static void old_news_makes_no_inode(void)
{
	unsigned long seq;
	struct inode *a;
	struct stat st;

	fixture_begin();
	iput(fx_create(sb.root, "a"));
	seq = icache_seq();
	st = backing_stat("a");
	a = fx_walk("a");
	fx_write(a, "written and evicted since");
	iput(a);
	fs_sync();
	drop_slab();
	CU_ASSERT_EQUAL(nr_inodes(), 1);
	CU_ASSERT_PTR_EQUAL(iget(&st, seq), ERR_PTR(-EAGAIN));
	seq = icache_seq();
	st = backing_stat("a");
	a = iget(&st, seq);
	CU_ASSERT(!IS_ERR(a));
	CU_ASSERT_EQUAL(i_size_read(&a->i_data), 25);
	iput(a);
	fixture_end();
}

#define NR_CROWD	20000

static void a_crowd_of_inodes_is_thinned(void)
{
	struct inode *inode;
	char name[16];

	fixture_begin_memory(16 * SZ_1M);
	for (int i = 0; i < NR_CROWD; i++) {
		snprintf(name, sizeof(name), "f%d", i);
		if (fs_mknod(sb.root, name, &fx_root, S_IFREG | 0600, 0, &inode))
			break;
		iput(inode);
	}
	CU_ASSERT(faccessat(fx_fd, "f19999", F_OK, 0) == 0);
	CU_ASSERT(nr_inodes() * sizeof(struct inode) <
		  totalram_frames() * PAGE_SIZE / 4);
	fixture_end();
}

static void lookup_without_memory(void)
{
	struct inode *a = NULL;
	unsigned long n = 0;
	int err;

	fixture_begin();
	iput(fx_mkdir(sb.root, "d"));
	do {
		fx_drop_all();
		failslab(++n, false);
		err = fs_lookup(sb.root, "d", &a);
		failslab(0, false);
		if (err)
			CU_ASSERT_EQUAL(err, -ENOMEM);
	} while (err && n < 100);
	CU_ASSERT(n > 1);
	OK(err);
	iput(a);
	fixture_end();
}

/* ---- attributes ---- */

static void directories_show_what_happened_in_them(void)
{
	struct inode *d, *e;
	struct stat before, after;

	fixture_begin();
	d = fx_mkdir(sb.root, "d");
	before = attr_of(d);
	usleep(20000);		/* more than a tick of the file system's clock */
	e = fx_mkdir(d, "e");
	after = attr_of(d);
	CU_ASSERT_EQUAL(after.st_nlink, before.st_nlink + 1);
	CU_ASSERT(!same_time(after.st_mtim, before.st_mtim));
	CU_ASSERT(same_time(after.st_mtim, backing_stat("d").st_mtim));
	iput(e);
	iput(d);
	fixture_end();
}

static void set_mode_and_owner(void)
{
	struct inode *a, *d, *l;
	struct stat st = { .st_mode = 0604, .st_uid = 12, .st_gid = 34 };

	fixture_begin();
	a = fx_create(sb.root, "a");
	d = fx_mkdir(sb.root, "d");
	OK(fs_symlink(sb.root, "l", &fx_root, "a", &l));
	OK(fs_setattr(a, &fx_root, FS_ATTR_MODE, &st));
	CU_ASSERT_EQUAL(st.st_mode, S_IFREG | 0604);
	CU_ASSERT_EQUAL(backing_stat("a").st_mode, S_IFREG | 0604);
	st.st_mode = 01711;
	OK(fs_setattr(d, &fx_root, FS_ATTR_MODE, &st));
	CU_ASSERT_EQUAL(backing_stat("d").st_mode, S_IFDIR | 01711);
	fx_drop_all();		/* by name this time */
	st.st_mode = 0640;
	OK(fs_setattr(a, &fx_root, FS_ATTR_MODE, &st));
	CU_ASSERT_EQUAL(backing_stat("a").st_mode, S_IFREG | 0640);
	if (!geteuid()) {
		st.st_uid = 12;
		st.st_gid = 34;
		OK(fs_setattr(a, &fx_root, FS_ATTR_UID | FS_ATTR_GID, &st));
		CU_ASSERT_EQUAL(backing_stat("a").st_uid, 12);
		CU_ASSERT_EQUAL(backing_stat("a").st_gid, 34);
		st.st_gid = 56;
		OK(fs_setattr(l, &fx_root, FS_ATTR_GID, &st));
		CU_ASSERT_EQUAL(backing_stat("l").st_gid, 56);
		CU_ASSERT_EQUAL(backing_stat("a").st_gid, 34);
	}
	iput(l);
	iput(d);
	iput(a);
	fixture_end();
}

static void set_size(void)
{
	struct inode *a;
	struct stat st = { .st_size = 3 };

	fixture_begin();
	a = fx_create(sb.root, "a");
	fx_write(a, "truncated");
	OK(fs_setattr(a, &fx_root, FS_ATTR_SIZE, &st));
	CU_ASSERT_EQUAL(st.st_size, 3);
	CU_ASSERT(fx_contains(a, "tru"));
	st.st_size = 100000;
	OK(fs_setattr(a, &fx_root, FS_ATTR_SIZE, &st));
	CU_ASSERT_EQUAL(attr_of(a).st_size, 100000);
	fs_sync();
	CU_ASSERT_EQUAL(backing_stat("a").st_size, 100000);
	st.st_size = -1;
	FAILS(EINVAL, fs_setattr(a, &fx_root, FS_ATTR_SIZE, &st));
	FAILS(EISDIR, fs_setattr(sb.root, &fx_root, FS_ATTR_SIZE, &st));
	iput(a);
	fixture_end();
}

static void set_times(void)
{
	struct inode *a, *l;
	struct stat st = {
		.st_atim = { 1000, 1000 }, .st_mtim = { 2000, 2000 }
	};

	fixture_begin();
	a = fx_create(sb.root, "a");
	OK(fs_setattr(a, &fx_root, FS_ATTR_ATIME | FS_ATTR_MTIME, &st));
	CU_ASSERT_EQUAL(st.st_mtim.tv_sec, 2000);
	CU_ASSERT_EQUAL(st.st_atim.tv_sec, 1000);
	CU_ASSERT_EQUAL(backing_stat("a").st_mtim.tv_nsec, 2000);
	/* One alone, and one given while there is something to write back. */
	fx_write(a, "dirty");
	CU_ASSERT(attr_of(a).st_mtim.tv_sec > 2000);
	st.st_mtim.tv_sec = 3000;
	OK(fs_setattr(a, &fx_root, FS_ATTR_MTIME, &st));
	CU_ASSERT_EQUAL(st.st_mtim.tv_sec, 3000);
	CU_ASSERT_EQUAL(st.st_atim.tv_sec, 1000);
	fs_sync();
	CU_ASSERT_EQUAL(backing_stat("a").st_mtim.tv_sec, 3000);
	CU_ASSERT_EQUAL(attr_of(a).st_mtim.tv_sec, 3000);
	OK(fs_setattr(a, &fx_root, FS_ATTR_MTIME | FS_ATTR_MTIME_NOW, &st));
	CU_ASSERT(st.st_mtim.tv_sec > 3000);
	OK(fs_symlink(sb.root, "l", &fx_root, "a", &l));
	st.st_mtim.tv_sec = 4000;
	OK(fs_setattr(l, &fx_root, FS_ATTR_MTIME, &st));
	CU_ASSERT_EQUAL(backing_stat("l").st_mtim.tv_sec, 4000);
	iput(l);
	iput(a);
	fixture_end();
}

static void writing_back_moves_no_times(void)
{
	struct stat dirty, clean;
	struct inode *a;

	fixture_begin();
	a = fx_create(sb.root, "a");
	fx_write(a, "text");
	dirty = attr_of(a);
	CU_ASSERT(!(time(NULL) - dirty.st_mtim.tv_sec > 60));
	usleep(50000);
	fs_sync();
	clean = attr_of(a);
	CU_ASSERT(same_time(dirty.st_mtim, clean.st_mtim));
	CU_ASSERT(same_time(dirty.st_ctim, clean.st_ctim));
	CU_ASSERT(same_time(backing_stat("a").st_mtim, clean.st_mtim));
	iput(a);
	drop_slab();
	a = fx_walk("a");
	CU_ASSERT(same_time(dirty.st_mtim, attr_of(a).st_mtim));
	iput(a);
	fixture_end();
}

static void blocks_of_dirty_files_are_never_zero(void)
{
	static char page[64 * 1024];
	struct open_file *of;
	struct inode *a;

	fixture_begin();
	OK(fs_create(sb.root, "a", &fx_root, 0644, O_RDWR, &a, &of));
	CU_ASSERT_EQUAL(attr_of(a).st_blocks, 0);
	CU_ASSERT_EQUAL(fs_write(of, &fx_root, 0, "x", 1), 1);
	CU_ASSERT(attr_of(a).st_blocks > 0);
	memset(page, 'x', sizeof(page));
	CU_ASSERT_EQUAL(fs_write(of, &fx_root, 0, page, sizeof(page)),
			sizeof(page));
	CU_ASSERT_EQUAL(attr_of(a).st_blocks, sizeof(page) / 512);
	OK(fs_fsync(a, of, false));
	CU_ASSERT_EQUAL(attr_of(a).st_blocks, backing_stat("a").st_blocks);
	fs_release(of);
	iput(a);
	fixture_end();
}

static void set_id_bits_go_with_a_write(void)
{
	struct stat st = { .st_mode = 06755 };
	struct inode *a;

	fixture_begin();
	a = fx_create(sb.root, "a");
	OK(fs_setattr(a, &fx_root, FS_ATTR_MODE, &st));
	OK(inode_kill_priv(a, &fx_root));
	CU_ASSERT_EQUAL(attr_of(a).st_mode & 07777, 06755);
	OK(inode_kill_priv(a, &user));
	CU_ASSERT_EQUAL(attr_of(a).st_mode & 07777, 0755);
	CU_ASSERT_EQUAL(backing_stat("a").st_mode & 07777, 0755);
	OK(inode_kill_priv(a, &user));
	st.st_mode = 02745;		/* mandatory locking, not set-id */
	OK(fs_setattr(a, &fx_root, FS_ATTR_MODE, &st));
	OK(inode_kill_priv(a, &user));
	CU_ASSERT_EQUAL(attr_of(a).st_mode & 07777, 02745);
	iput(a);
	fixture_end();
}

/* A capability set of version 2 with one capability: what setcap writes. */
static const unsigned char one_cap[20] = { 1, 0, 0, 2, 0, 4 };

static void capabilities_go_with_a_write(void)
{
	struct inode *a;
	char buf[64];

	fixture_begin();
	a = fx_create(sb.root, "a");
	FAILS(ENODATA, fs_getxattr(a, "security.capability", buf, sizeof(buf)));
	if (fs_setxattr(a, "security.capability", one_cap, sizeof(one_cap), 0)) {
		iput(a);
		fixture_end();
		test_skip("no capabilities on files here");
	}
	CU_ASSERT_EQUAL(fs_getxattr(a, "security.capability", buf, sizeof(buf)),
			20);
	OK(inode_kill_priv(a, &fx_root));
	FAILS(ENODATA, fs_getxattr(a, "security.capability", buf, sizeof(buf)));
	CU_ASSERT(a->i_state & I_NOSEC);
	iput(a);
	fixture_end();
}

/* ---- extended attributes ---- */

static void extended_attributes(void)
{
	struct inode *a, *d;
	char buf[64];

	fixture_begin();
	a = fx_create(sb.root, "a");
	d = fx_mkdir(sb.root, "d");
	if (fs_setxattr(a, "user.x", "12345", 5, 0) == -EOPNOTSUPP) {
		iput(d);
		iput(a);
		fixture_end();
		test_skip("no extended attributes here");
	}
	fx_drop_all();
	FAILS(EEXIST, fs_setxattr(a, "user.x", "1", 1, XATTR_CREATE));
	CU_ASSERT_EQUAL(fs_getxattr(a, "user.x", NULL, 0), 5);
	CU_ASSERT_EQUAL(fs_getxattr(a, "user.x", buf, sizeof(buf)), 5);
	CU_ASSERT_NSTRING_EQUAL(buf, "12345", 5);
	FAILS(ERANGE, fs_getxattr(a, "user.x", buf, 2));
	OK(fs_setxattr(d, "user.dir", "", 0, 0));
	CU_ASSERT_EQUAL(fs_listxattr(d, buf, sizeof(buf)), sizeof("user.dir"));
	CU_ASSERT_EQUAL(fs_listxattr(a, NULL, 0), sizeof("user.x"));
	FAILS(ERANGE, fs_listxattr(a, buf, 3));
	OK(fs_removexattr(a, "user.x"));
	FAILS(ENODATA, fs_removexattr(a, "user.x"));
	CU_ASSERT_EQUAL(fs_listxattr(a, buf, sizeof(buf)), 0);
	iput(d);
	iput(a);
	fixture_end();
}

static void access_control_lists_are_refused(void)
{
	/* Version 2, and user::rw- user:1:r-- group::r-- mask::r-- other::r--. */
	static const unsigned char acl[] = {
		2, 0, 0, 0,
		1, 0, 6, 0, 255, 255, 255, 255,
		2, 0, 4, 0, 1, 0, 0, 0,
		4, 0, 4, 0, 255, 255, 255, 255,
		16, 0, 4, 0, 255, 255, 255, 255,
		32, 0, 4, 0, 255, 255, 255, 255,
	};
	char path[PATH_MAX + 8], buf[256];
	struct inode *a;

	fixture_begin();
	a = fx_create(sb.root, "a");
	FAILS(EOPNOTSUPP, fs_setxattr(a, "system.posix_acl_access", acl,
				      sizeof(acl), 0));
	FAILS(EOPNOTSUPP, fs_getxattr(a, "system.posix_acl_access", buf,
				      sizeof(buf)));
	FAILS(EOPNOTSUPP, fs_removexattr(a, "system.posix_acl_default"));
	snprintf(path, sizeof(path), "%s/a", fx_dir);
	if (!setxattr(path, "system.posix_acl_access", acl, sizeof(acl), 0)) {
		CU_ASSERT_EQUAL(fs_setxattr(a, "user.y", "", 0, 0), 0);
		CU_ASSERT_EQUAL(fs_listxattr(a, buf, sizeof(buf)),
				sizeof("user.y"));
	}
	iput(a);
	fixture_end();
}

/* ---- descriptors ---- */

static void a_file_is_opened_as_far_as_needed(void)
{
	struct backing_file *r, *w, *w2;
	struct inode *a;

	fixture_begin();
	a = fx_create(sb.root, "a");
	fs_sync();
	fx_drop_all();
	CU_ASSERT_EQUAL(fdcache_nr(), 0);
	r = inode_get_file(a, O_RDONLY);
	CU_ASSERT(!IS_ERR(r) && !r->writable);
	w = inode_get_file(a, O_RDWR);
	CU_ASSERT(!IS_ERR(w) && w->writable);
	CU_ASSERT_PTR_NOT_EQUAL(r, w);
	CU_ASSERT_EQUAL(fdcache_nr(), 1);
	CU_ASSERT_EQUAL(fcntl(r->fd, F_GETFD) & FD_CLOEXEC, FD_CLOEXEC);
	put_backing_file(r);
	r = inode_get_file(a, O_RDONLY);
	CU_ASSERT_PTR_EQUAL(r, w);		/* good for both */
	CU_ASSERT_EQUAL(fdcache_shrink(UINT_MAX), 0);	/* in use */
	put_backing_file(r);
	put_backing_file(w);
	/* Longer than a page: direct I/O, where the store has it. */
	OK(fs_truncate(a, 1 << 20));
	w2 = inode_get_file(a, O_RDONLY);
	CU_ASSERT(w2->dio_known && w2->writable);
	CU_ASSERT((w2->direct_fd >= 0) == (w2->dio_align > 0));
	put_backing_file(w2);
	fs_sync();
	CU_ASSERT_EQUAL(fdcache_shrink(UINT_MAX), 1);
	iput(a);
	fixture_end();
}

/* A file of mode 0, and we could not open it a second time. */
static void what_cannot_be_opened_again_stays_open(void)
{
	struct open_file *of;
	struct inode *a;

	fixture_begin();
	OK(fs_create(sb.root, "a", &fx_root, 0, O_RDWR, &a, &of));
	sb.is_root = false;
	CU_ASSERT_EQUAL(fdcache_shrink(UINT_MAX), 0);
	CU_ASSERT_EQUAL(fs_write(of, &fx_root, 0, "dirty", 5), 5);
	fs_release(of);
	if (inode_is_dirty(a))
		CU_ASSERT_EQUAL(fdcache_shrink(UINT_MAX), 0);
	fs_sync();
	CU_ASSERT_EQUAL(fdcache_shrink(UINT_MAX), 1);
	sb.is_root = !geteuid();
	iput(a);
	fixture_end();
}

/* Names exchanged behind our back: no inode gets the other's object. */
static void a_name_that_leads_elsewhere_is_not_believed(void)
{
	struct inode *a, *b;
	struct stat st;
	int fd;

	fixture_begin();
	a = fx_create(sb.root, "a");
	b = fx_create(sb.root, "b");
	fx_drop_all();
	OK(renameat2(fx_fd, "a", fx_fd, "b", RENAME_EXCHANGE));
	FAILS(ESTALE, inode_open_backing(a, O_RDONLY));
	FAILS(ESTALE, inode_stat_backing(a, &st));
	/* A pipe in its place must not be waited for. */
	OK(unlinkat(fx_fd, "b", 0));
	OK(mkfifoat(fx_fd, "b", 0600));
	FAILS(ESTALE, inode_open_backing(b, O_RDONLY));
	fd = inode_open_backing(a, O_RDONLY);
	CU_ASSERT(fd < 0);
	iput(a);
	iput(b);
	fixture_end();
}

/* ---- what is refused ---- */

static int try_init(const char *backing, const char *mountpoint, char *msg,
		    size_t size)
{
	struct mm_config mm = { .memory = FX_MEMORY, .nr_nodes = 1 };
	struct fs_options opts = {
		.backing_dir = backing, .mountpoint = mountpoint,
		.memory = FX_MEMORY,
	};
	unsigned long lost;
	int err;

	msg[0] = '\0';
	OK(mm_init(&mm));
	err = fs_init(&opts, msg, size);
	if (!err)
		OK(fs_exit(&lost));
	mm_exit();
	return err;
}

/* A message is one line that names @thing. */
static bool names(const char *msg, const char *thing)
{
	return strstr(msg, thing) && !strchr(msg, '\n');
}

static void what_fs_init_refuses(void)
{
	char sub[PATH_MAX + 8], out[] = "/var/tmp/pagefs-mnt.XXXXXX", msg[512];
	char link[PATH_MAX + 8];
	int fd;

	fixture_begin();
	iput(fx_mkdir(sb.root, "sub"));
	iput(fx_create(sb.root, "file"));
	fixture_end_keep();
	snprintf(sub, sizeof(sub), "%s/sub", fx_dir);
	CU_ASSERT_PTR_NOT_NULL(mkdtemp(out));

	FAILS(ENOENT, try_init("/nonexistent", out, msg, sizeof(msg)));
	CU_ASSERT(names(msg, "/nonexistent"));
	FAILS(ENOENT, try_init(fx_dir, "/nonexistent", msg, sizeof(msg)));
	CU_ASSERT(names(msg, "/nonexistent"));
	FAILS(ENOTDIR, try_init(fx_dir, "/etc/passwd", msg, sizeof(msg)));
	CU_ASSERT(names(msg, "/etc/passwd"));
	FAILS(EINVAL, try_init(fx_dir, fx_dir, msg, sizeof(msg)));
	CU_ASSERT(names(msg, "inside"));
	FAILS(EINVAL, try_init(fx_dir, sub, msg, sizeof(msg)));
	CU_ASSERT(names(msg, sub));
	snprintf(link, sizeof(link), "%s/link", out);
	OK(symlink(sub, link));
	FAILS(EINVAL, try_init(fx_dir, link, msg, sizeof(msg)));
	OK(unlink(link));
	FAILS(EBUSY, try_init(fx_dir, "/proc", msg, sizeof(msg)));
	CU_ASSERT(names(msg, "/proc"));
	FAILS(EBUSY, try_init(fx_dir, "/", msg, sizeof(msg)));
	fd = open(fx_dir, O_RDONLY);
	OK(flock(fd, LOCK_EX | LOCK_NB));
	FAILS(EBUSY, try_init(fx_dir, out, msg, sizeof(msg)));
	CU_ASSERT(names(msg, "already served"));
	close(fd);
	OK(try_init(fx_dir, out, msg, sizeof(msg)));
	if (!mount(out, out, NULL, MS_BIND, NULL)) {
		FAILS(EBUSY, try_init(fx_dir, out, msg, sizeof(msg)));
		CU_ASSERT(names(msg, "already a mountpoint"));
		umount(out);
	}
	OK(rmdir(out));
	fixture_again();
	fixture_end();
}

static void init_without_memory(void)
{
	struct mm_config mm = { .memory = FX_MEMORY, .nr_nodes = 1 };
	struct fs_options opts = { .backing_dir = fx_dir, .memory = FX_MEMORY };
	unsigned long n = 0, lost;
	char msg[256];
	int err;

	fixture_begin();
	fixture_end_keep();
	do {
		OK(mm_init(&mm));
		failslab(++n, false);
		err = fs_init(&opts, msg, sizeof(msg));
		failslab(0, false);
		if (!err)
			OK(fs_exit(&lost));
		mm_exit();
	} while (err == -ENOMEM && n < 1000);
	OK(err);
	CU_ASSERT(n > 1);
	fixture_again();
	fixture_end();
}

static void the_size_of_requests_follows_memory(void)
{
	struct statvfs st;

	fixture_begin();
	CU_ASSERT_EQUAL(sb.max_io, 128 * 1024);
	OK(fs_statfs(&st));
	CU_ASSERT(st.f_blocks > 0 && st.f_namemax >= NAME_MAX);
	OK(fs_sync());
	fixture_end();
	fixture_begin_memory(16 * SZ_1M);
	CU_ASSERT_EQUAL(sb.max_io, 64 * 1024);
	fixture_end();
}

static const struct test_case cases[] = {
	{ "numbers are the backing ones", numbers_are_the_backing_ones },
	{ "other devices get numbers of ours", other_devices_get_numbers_of_ours },
	{ "unused inodes stay until shrunk", unused_inodes_stay_until_shrunk },
	{ "dirty inodes are not shrunk", dirty_inodes_are_not_shrunk },
	{ "the kernel's references keep an inode", the_kernels_references_keep_an_inode },
	{ "what the kernel keeps ends with the mount", what_the_kernel_keeps_ends_with_the_mount },
	{ "changes behind our back are noticed", changes_behind_our_back_are_noticed },
	{ "old news makes no inode", old_news_makes_no_inode },
	{ "a crowd of inodes is thinned", a_crowd_of_inodes_is_thinned },
	{ "a lookup without memory fails cleanly", lookup_without_memory },
	{ "directories show what happened in them", directories_show_what_happened_in_them },
	{ "mode and owner are set", set_mode_and_owner },
	{ "the size is set", set_size },
	{ "times are set, and stay so after writeback", set_times },
	{ "writing back moves no times", writing_back_moves_no_times },
	{ "blocks of dirty files are never 0", blocks_of_dirty_files_are_never_zero },
	{ "set-id bits go with a user's write", set_id_bits_go_with_a_write },
	{ "capabilities go with any write", capabilities_go_with_a_write },
	{ "extended attributes are kept", extended_attributes },
	{ "access control lists are refused and hidden", access_control_lists_are_refused },
	{ "a backing file is opened as far as needed", a_file_is_opened_as_far_as_needed },
	{ "what cannot be opened again stays open", what_cannot_be_opened_again_stays_open },
	{ "a name that leads elsewhere is not believed", a_name_that_leads_elsewhere_is_not_believed },
	{ "what fs_init refuses", what_fs_init_refuses },
	{ "fs_init without memory fails cleanly", init_without_memory },
	{ "the size of requests follows memory", the_size_of_requests_follows_memory },
};

int main(void)
{
	return test_main("fs/inode", cases, ARRAY_SIZE(cases));
}
