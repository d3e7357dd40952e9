// SPDX-License-Identifier: BSD-2-Clause
/*
 * tests/fs/test_namei.c - names: fs/namei.c, rename.c, alias.c, reopen.c, dir.c
 *
 * Each case has a file system of its own (fixture.h) and looks at what the
 * fs_*() say, at what is in the backing directory, and at descriptors. A
 * reference or descriptor left behind is a BUG in fixture_end() of debug
 * builds.
 */
#include <dirent.h>
#include <fcntl.h>
#include <limits.h>
#include <linux/fs.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/fsuid.h>
#include <sys/resource.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include "fixture.h"

#define OK(call)	CU_ASSERT_EQUAL(call, 0)
#define FAILS(err, call) CU_ASSERT_EQUAL(call, -(err))

static bool in_backing(const char *path)
{
	struct stat st;

	return !fstatat(fx_fd, path, &st, AT_SYMLINK_NOFOLLOW);
}

static nlink_t nlink_of(struct inode *inode)
{
	struct stat st;

	return fs_getattr(inode, &st) ? (nlink_t)-1 : st.st_nlink;
}

/* Does @path lead to @inode? */
static bool leads_to(const char *path, struct inode *inode)
{
	struct inode *found = fx_walk(path);

	if (found)
		iput(found);
	return found == inode;
}

/* The bytes of the backing object, by a descriptor opened anew. */
static bool backing_is(struct inode *inode, const char *text)
{
	char buf[64];
	int fd = inode_open_backing(inode, O_RDONLY);
	ssize_t n;

	if (fd < 0)
		return false;
	n = pread(fd, buf, sizeof(buf), 0);
	close(fd);
	return n == (ssize_t)strlen(text) && !memcmp(buf, text, n);
}

/* ---- one thing at a time ---- */

static void bad_names(void)
{
	char longname[NAME_MAX + 2];
	struct inode *inode, *file;
	struct open_file *of;

	fixture_begin();
	memset(longname, 'x', sizeof(longname) - 1);
	longname[NAME_MAX + 1] = '\0';
	FAILS(EINVAL, fs_lookup(sb.root, "", &inode));
	FAILS(EINVAL, fs_lookup(sb.root, ".", &inode));
	FAILS(EINVAL, fs_lookup(sb.root, "..", &inode));
	FAILS(EINVAL, fs_lookup(sb.root, "a/b", &inode));
	FAILS(ENAMETOOLONG, fs_lookup(sb.root, longname, &inode));
	FAILS(EINVAL, fs_mkdir(sb.root, "..", &fx_root, 0755, &inode));
	FAILS(EINVAL, fs_unlink(sb.root, "."));
	FAILS(EINVAL, fs_rename(sb.root, "a/b", sb.root, "c", 0));
	FAILS(ENOENT, fs_lookup(sb.root, "none", &inode));
	FAILS(ENOENT, fs_unlink(sb.root, "none"));
	FAILS(ENOENT, fs_rmdir(sb.root, "none"));
	FAILS(ENOENT, fs_rename(sb.root, "none", sb.root, "other", 0));
	file = fx_create(sb.root, "file");
	FAILS(ENOTDIR, fs_lookup(file, "x", &inode));
	FAILS(ENOTDIR, fs_create(file, "x", &fx_root, 0644, 0, &inode, &of));
	iput(file);
	longname[NAME_MAX] = '\0';
	inode = fx_create(sb.root, longname);
	CU_ASSERT(inode && in_backing(longname));
	iput(inode);
	fixture_end();
}

static void control_name_is_reserved(void)
{
	struct inode *inode, *dir;
	struct open_file *of;

	fixture_begin();
	FAILS(EPERM, fs_mkdir(sb.root, CTL_DIR_NAME, &fx_root, 0755, &inode));
	FAILS(EPERM, fs_create(sb.root, CTL_DIR_NAME, &fx_root, 0644, 0, &inode,
			       &of));
	FAILS(EPERM, fs_symlink(sb.root, CTL_DIR_NAME, &fx_root, "x", &inode));
	dir = fx_mkdir(sb.root, "d");
	FAILS(EPERM, fs_rename(sb.root, "d", sb.root, CTL_DIR_NAME, 0));
	OK(fs_mkdir(dir, CTL_DIR_NAME, &fx_root, 0755, &inode));
	iput(inode);
	iput(dir);
	fixture_end();
}

static void create_makes_a_file(void)
{
	struct open_file *of;
	struct inode *inode, *again;
	struct stat st, back;

	fixture_begin();
	OK(fs_create(sb.root, "f", &fx_root, 0640, O_RDWR, &inode, &of));
	OK(fs_getattr(inode, &st));
	OK(fstatat(fx_fd, "f", &back, 0));
	CU_ASSERT_EQUAL(st.st_mode, S_IFREG | 0640);
	CU_ASSERT_EQUAL(st.st_ino, back.st_ino);
	CU_ASSERT_EQUAL(inode->i_nodeid, back.st_ino);
	CU_ASSERT_EQUAL(st.st_nlink, 1);
	CU_ASSERT_EQUAL(fs_write(of, &fx_root, 0, "abc", 3), 3);
	OK(fs_lookup(sb.root, "f", &again));
	CU_ASSERT_PTR_EQUAL(inode, again);
	CU_ASSERT(fx_contains(again, "abc"));
	iput(again);
	fs_release(of);
	iput(inode);
	fixture_end();
}

static void create_of_what_exists(void)
{
	struct inode *inode, *first, *dir;
	struct open_file *of;

	fixture_begin();
	first = fx_create(sb.root, "f");
	fx_write(first, "text");
	FAILS(EEXIST, fs_create(sb.root, "f", &fx_root, 0644, O_EXCL | O_RDWR,
				&inode, &of));
	OK(fs_create(sb.root, "f", &fx_root, 0644, O_RDWR, &inode, &of));
	CU_ASSERT_PTR_EQUAL(inode, first);
	CU_ASSERT(fx_contains(inode, "text"));
	fs_release(of);
	iput(inode);
	dir = fx_mkdir(sb.root, "d");
	FAILS(EISDIR, fs_create(sb.root, "d", &fx_root, 0644, O_RDWR, &inode,
				&of));
	FAILS(EEXIST, fs_mkdir(sb.root, "f", &fx_root, 0755, &inode));
	iput(dir);
	iput(first);
	fixture_end();
}

static void a_file_its_owner_cannot_open_is_usable(void)
{
	struct open_file *of;
	struct inode *inode;

	fixture_begin();
	OK(fs_create(sb.root, "f", &fx_root, 0, O_RDWR, &inode, &of));
	CU_ASSERT_EQUAL(fs_write(of, &fx_root, 0, "abc", 3), 3);
	OK(fs_fsync(inode, of, false));
	fs_release(of);
	iput(inode);
	fixture_end();
}

static void other_types(void)
{
	char target[PATH_MAX], buf[PATH_MAX];
	struct inode *inode;
	struct stat st;

	fixture_begin();
	OK(fs_mknod(sb.root, "fifo", &fx_root, S_IFIFO | 0600, 0, &inode));
	OK(fs_getattr(inode, &st));
	CU_ASSERT(S_ISFIFO(st.st_mode));
	iput(inode);
	OK(fs_mknod(sb.root, "sock", &fx_root, S_IFSOCK | 0600, 0, &inode));
	iput(inode);
	OK(fs_mknod(sb.root, "reg", &fx_root, S_IFREG | 0600, 0, &inode));
	CU_ASSERT(fx_write(inode, "x"));
	iput(inode);
	FAILS(EINVAL, fs_mknod(sb.root, "d", &fx_root, S_IFDIR | 0700, 0, &inode));
	memset(target, 't', sizeof(target));
	target[PATH_MAX - 1] = '\0';
	OK(fs_symlink(sb.root, "l", &fx_root, target, &inode));
	CU_ASSERT_EQUAL(fs_readlink(inode, buf, sizeof(buf)), PATH_MAX - 1);
	CU_ASSERT_STRING_EQUAL(buf, target);
	FAILS(ENAMETOOLONG, fs_readlink(inode, buf, PATH_MAX - 1));
	iput(inode);
	FAILS(EINVAL, fs_readlink(sb.root, buf, sizeof(buf)));
	fixture_end();
}

static void device_nodes_keep_their_number(void)
{
	struct inode *inode;
	struct stat st;
	int err;

	fixture_begin();
	err = fs_mknod(sb.root, "null", &fx_root, S_IFCHR | 0600, makedev(1, 3),
		       &inode);
	if (err) {
		fixture_end();
		test_skip("mknod: %s", strerror(-err));
	}
	fx_drop_all();
	OK(fs_getattr(inode, &st));
	CU_ASSERT_EQUAL(st.st_rdev, makedev(1, 3));
	iput(inode);
	fixture_end();
}

static void directories(void)
{
	struct inode *d, *e, *f;
	unsigned int fds;
	struct stat st;

	fixture_begin();
	d = fx_mkdir(sb.root, "d");
	e = fx_mkdir(d, "e");
	f = fx_create(e, "f");
	CU_ASSERT(in_backing("d/e/f"));
	OK(fs_getattr(d, &st));
	CU_ASSERT_EQUAL(st.st_nlink, 3);
	FAILS(ENOTEMPTY, fs_rmdir(d, "e"));
	fx_drop_all();
	fds = fx_nr_fds();
	for (int i = 0; i < 10; i++)
		FAILS(ENOTEMPTY, fs_rmdir(d, "e"));
	/* That of d, cached; and the flushers open some when they please. */
	CU_ASSERT(fx_nr_fds() < fds + 10);
	FAILS(EISDIR, fs_unlink(d, "e"));
	FAILS(ENOTDIR, fs_rmdir(e, "f"));
	OK(fs_unlink(e, "f"));
	OK(fs_rmdir(d, "e"));
	OK(fs_getattr(d, &st));
	CU_ASSERT_EQUAL(st.st_nlink, 2);
	iput(f);
	iput(e);
	iput(d);
	fixture_end();
}

static bool count_entry(void *arg, const struct fs_dirent *ent)
{
	(void)ent;
	++*(int *)arg;
	return true;
}

static void a_removed_directory_is_empty_and_alive(void)
{
	struct inode *d = NULL, *x;
	struct open_dir *od;
	struct stat st;
	int n = 0;

	fixture_begin();
	d = fx_mkdir(sb.root, "d");
	OK(fs_rmdir(sb.root, "d"));
	fx_drop_all();
	OK(fs_getattr(d, &st));
	CU_ASSERT(S_ISDIR(st.st_mode));
	FAILS(ENOENT, fs_lookup(d, "x", &x));
	FAILS(ENOENT, fs_mkdir(d, "x", &fx_root, 0755, &x));
	OK(fs_opendir(d, &od));
	FAILS(ENOENT, fs_readdir(od, 0, count_entry, &n));
	CU_ASSERT_EQUAL(n, 0);
	fs_releasedir(od);
	iput(d);
	fixture_end();
}

static void hard_links(void)
{
	struct inode *a, *dir;

	fixture_begin();
	a = fx_create(sb.root, "a");
	dir = fx_mkdir(sb.root, "d");
	fx_write(a, "linked");
	OK(fs_link(a, dir, "b"));
	CU_ASSERT_EQUAL(nlink_of(a), 2);
	CU_ASSERT(leads_to("d/b", a));
	FAILS(EEXIST, fs_link(a, dir, "b"));
	FAILS(EPERM, fs_link(dir, sb.root, "dd"));
	OK(fs_unlink(sb.root, "a"));
	CU_ASSERT_EQUAL(nlink_of(a), 1);
	fx_drop_all();
	CU_ASSERT(backing_is(a, "linked"));
	OK(fs_unlink(dir, "b"));
	CU_ASSERT_EQUAL(nlink_of(a), 0);
	FAILS(ENOENT, fs_link(a, dir, "c"));
	iput(a);
	iput(dir);
	fixture_end();
}

static void links_to_symlinks_and_pipes(void)
{
	struct inode *l, *p;
	char buf[16];

	fixture_begin();
	OK(fs_symlink(sb.root, "l", &fx_root, "to", &l));
	OK(fs_link(l, sb.root, "l2"));
	OK(fs_unlink(sb.root, "l"));
	fx_drop_all();
	CU_ASSERT_EQUAL(fs_readlink(l, buf, sizeof(buf)), 2);
	OK(fs_mknod(sb.root, "p", &fx_root, S_IFIFO | 0600, 0, &p));
	OK(fs_link(p, sb.root, "p2"));
	CU_ASSERT_EQUAL(nlink_of(p), 2);
	iput(p);
	iput(l);
	fixture_end();
}

/* More names than are remembered; then all that are remembered go. */
static void a_name_nobody_remembers(void)
{
	struct inode *a, *b;
	char name[24];

	fixture_begin();
	a = fx_create(sb.root, "first");
	fx_write(a, "many");
	for (int i = 0; i < 40; i++) {
		snprintf(name, sizeof(name), "n%d", i);
		OK(fs_link(a, sb.root, name));
	}
	CU_ASSERT_EQUAL(nlink_of(a), 41);
	for (int i = 39; i >= 0; i--) {
		snprintf(name, sizeof(name), "n%d", i);
		OK(fs_unlink(sb.root, name));
	}
	fx_drop_all();
	CU_ASSERT_EQUAL(nlink_of(a), 1);
	CU_ASSERT(backing_is(a, "many"));
	OK(fs_lookup(sb.root, "first", &b));
	CU_ASSERT_PTR_EQUAL(a, b);
	iput(b);
	iput(a);
	fixture_end();
}

/*
 * The kernel forgets an inode when its only name goes, although the object has
 * another that nobody has asked for. Kept, each would hold a descriptor.
 */
static void unused_and_without_known_names(void)
{
	char known[24], other[24];
	struct inode *a;
	unsigned int fds;

	fixture_begin();
	a = fx_create(sb.root, "first");
	fx_write(a, "so that this thread has its ring");
	iput(a);
	fx_drop_all();
	CU_ASSERT_EQUAL(nr_inodes(), 1);
	fds = fx_nr_fds();
	for (int i = 0; i < 100; i++) {
		snprintf(known, sizeof(known), "a%d", i);
		snprintf(other, sizeof(other), "b%d", i);
		close(openat(fx_fd, known, O_CREAT | O_WRONLY, 0644));
		OK(linkat(fx_fd, known, fx_fd, other, 0));
		a = fx_walk(known);
		CU_ASSERT_PTR_NOT_NULL_FATAL(a);
		if (i < 10)
			fx_write(a, "dirty");
		OK(fs_unlink(sb.root, known));
		iput(a);
	}
	OK(fs_sync());		/* those ten have been waiting for this */
	CU_ASSERT_EQUAL(nr_inodes(), 1);
	CU_ASSERT(fx_nr_fds() < fds + 10);	/* flushers have some too */
	a = fx_walk("b5");
	CU_ASSERT_PTR_NOT_NULL_FATAL(a);
	CU_ASSERT(fx_contains(a, "dirty"));
	CU_ASSERT_EQUAL(nlink_of(a), 1);
	iput(a);
	fixture_end();
}

static void a_file_unlinked_while_open(void)
{
	struct open_file *of;
	struct inode *a;
	unsigned int fds;
	struct stat st;

	fixture_begin();
	a = fx_create(sb.root, "first");
	fx_write(a, "so that this thread has its ring");
	iput(a);
	fx_drop_all();
	fds = fx_nr_fds();
	OK(fs_create(sb.root, "a", &fx_root, 0644, O_RDWR, &a, &of));
	CU_ASSERT_EQUAL(fs_write(of, &fx_root, 0, "before", 6), 6);
	OK(fs_unlink(sb.root, "a"));
	CU_ASSERT(!in_backing("a"));
	CU_ASSERT_EQUAL(fs_write(of, &fx_root, 6, "after", 5), 5);
	CU_ASSERT(fx_contains(a, "beforeafter"));
	OK(fs_getattr(a, &st));
	CU_ASSERT_EQUAL(st.st_nlink, 0);
	CU_ASSERT_EQUAL(st.st_size, 11);
	OK(fs_fsync(a, of, false));
	fx_drop_all();
	CU_ASSERT(backing_is(a, "beforeafter"));
	iput(a);
	CU_ASSERT_EQUAL(nr_inodes(), 2);	/* the root, and open */
	fs_release(of);
	CU_ASSERT_EQUAL(nr_inodes(), 1);
	for (int i = 0; i < 20; i++) {
		a = fx_create(sb.root, "a");
		OK(fs_unlink(sb.root, "a"));
		iput(a);
	}
	fx_drop_all();
	CU_ASSERT(fx_nr_fds() < fds + 10);	/* flushers have some too */
	fixture_end();
}

/* Its number is used again at once by many file systems. */
static void a_new_file_is_not_the_old_one(void)
{
	struct inode *a;

	fixture_begin();
	for (int i = 0; i < 50; i++) {
		a = fx_create(sb.root, "a");
		CU_ASSERT_PTR_NOT_NULL_FATAL(a);
		CU_ASSERT_EQUAL(i_size_read(&a->i_data), 0);
		fx_write(a, "old text");
		OK(fs_unlink(sb.root, "a"));
		iput(a);
	}
	CU_ASSERT_EQUAL(nr_inodes(), 1);
	fixture_end();
}

/* ---- rename ---- */

static void rename_moves_a_file(void)
{
	struct inode *a, *d;

	fixture_begin();
	a = fx_create(sb.root, "a");
	d = fx_mkdir(sb.root, "d");
	fx_write(a, "moved");
	OK(fs_rename(sb.root, "a", d, "b", 0));
	CU_ASSERT(!in_backing("a") && in_backing("d/b"));
	CU_ASSERT(leads_to("d/b", a));
	fx_drop_all();
	CU_ASSERT(backing_is(a, "moved"));
	FAILS(EINVAL, fs_rename(d, "b", d, "c", RENAME_WHITEOUT));
	FAILS(EINVAL, fs_rename(d, "b", d, "c",
				RENAME_NOREPLACE | RENAME_EXCHANGE));
	iput(a);
	iput(d);
	fixture_end();
}

static void rename_over_an_open_file(void)
{
	struct open_file *of;
	struct inode *a, *b;

	fixture_begin();
	a = fx_create(sb.root, "a");
	b = fx_create(sb.root, "b");
	fx_write(a, "new");
	fx_write(b, "old");
	OK(fs_open(b, &fx_root, O_RDWR, &of));
	FAILS(EEXIST, fs_rename(sb.root, "a", sb.root, "b", RENAME_NOREPLACE));
	OK(fs_rename(sb.root, "a", sb.root, "b", 0));
	CU_ASSERT(leads_to("b", a));
	CU_ASSERT_EQUAL(nlink_of(b), 0);
	CU_ASSERT_EQUAL(fs_write(of, &fx_root, 3, "er", 2), 2);
	CU_ASSERT(fx_contains(b, "older"));
	fx_drop_all();
	CU_ASSERT(backing_is(b, "older"));
	CU_ASSERT(backing_is(a, "new"));
	fs_release(of);
	iput(b);
	CU_ASSERT_EQUAL(nr_inodes(), 2);
	iput(a);
	fixture_end();
}

static void rename_of_two_names_of_one_file(void)
{
	struct inode *a;

	fixture_begin();
	a = fx_create(sb.root, "a");
	OK(fs_link(a, sb.root, "b"));
	OK(fs_rename(sb.root, "a", sb.root, "b", 0));
	CU_ASSERT(leads_to("a", a) && leads_to("b", a));
	CU_ASSERT_EQUAL(nlink_of(a), 2);
	OK(fs_rename(sb.root, "a", sb.root, "a", 0));
	FAILS(EEXIST, fs_rename(sb.root, "a", sb.root, "b", RENAME_NOREPLACE));
	OK(fs_rename(sb.root, "a", sb.root, "b", RENAME_EXCHANGE));
	iput(a);
	fixture_end();
}

static void exchange(void)
{
	struct inode *d, *f, *in;

	fixture_begin();
	d = fx_mkdir(sb.root, "d");
	in = fx_create(d, "in");
	f = fx_create(sb.root, "f");
	fx_write(f, "file");
	fx_write(in, "inside");
	FAILS(ENOENT, fs_rename(sb.root, "f", sb.root, "x", RENAME_EXCHANGE));
	OK(fs_rename(sb.root, "d", sb.root, "f", RENAME_EXCHANGE));
	CU_ASSERT(in_backing("f/in"));
	CU_ASSERT(leads_to("d", f) && leads_to("f", d) && leads_to("f/in", in));
	fx_drop_all();
	CU_ASSERT(backing_is(in, "inside"));
	CU_ASSERT(backing_is(f, "file"));
	iput(in);
	iput(f);
	iput(d);
	fixture_end();
}

static void rename_of_directories(void)
{
	struct inode *a, *b, *c, *f, *e;

	fixture_begin();
	a = fx_mkdir(sb.root, "a");
	b = fx_mkdir(a, "b");
	c = fx_mkdir(sb.root, "c");
	e = fx_mkdir(sb.root, "empty");
	f = fx_create(b, "f");
	fx_write(f, "deep");
	FAILS(EINVAL, fs_rename(sb.root, "a", b, "x", 0));
	FAILS(ENOTEMPTY, fs_rename(sb.root, "c", sb.root, "a", 0));
	OK(fs_rename(sb.root, "a", c, "moved", 0));
	fx_drop_all();
	CU_ASSERT(backing_is(f, "deep"));
	CU_ASSERT(leads_to("c/moved/b/f", f));
	OK(fs_rename(c, "moved", sb.root, "empty", 0));
	CU_ASSERT(leads_to("empty/b/f", f));
	CU_ASSERT(e->i_state & I_UNLINKED);
	fx_drop_all();
	CU_ASSERT(backing_is(f, "deep"));
	iput(f);
	iput(e);
	iput(c);
	iput(b);
	iput(a);
	fixture_end();
}

/* ---- many, and deep ---- */

/* Paths of many times PATH_MAX, opened again from nothing but names. */
static void paths_longer_than_path_max(void)
{
	char name[NAME_MAX + 1];
	struct inode *dir = NULL, *next, *f;

	fixture_begin();
	ihold(sb.root);
	dir = sb.root;
	for (int i = 0; i < 150; i++) {
		memset(name, 'a' + i % 26, NAME_MAX);
		name[i % 2 ? NAME_MAX : 3] = '\0';
		next = fx_mkdir(dir, name);
		iput(dir);
		CU_ASSERT_PTR_NOT_NULL_FATAL(next);
		dir = next;
	}
	f = fx_create(dir, "f");
	fx_write(f, "at the bottom");
	for (int i = 0; i < 3; i++) {
		fx_drop_all();
		CU_ASSERT_EQUAL(fdcache_nr(), 0);
		CU_ASSERT(backing_is(f, "at the bottom"));
		CU_ASSERT(fdcache_nr() > 0);
	}
	OK(fs_unlink(dir, "f"));
	iput(f);
	iput(dir);
	fixture_end();
}

#define NR_MANY		20000
#define NR_MANY_DIRS	200

static struct inode *many_dir(int i)
{
	char name[24];

	snprintf(name, sizeof(name), "d%d", i);
	return fx_walk(name);
}

static void make_many(struct inode **inodes)
{
	char name[24];

	for (int i = 0; i < NR_MANY; i++) {
		struct inode *dir = many_dir(i % NR_MANY_DIRS);

		snprintf(name, sizeof(name), "f%d", i);
		inodes[i] = dir ? fx_create(dir, name) : NULL;
		if (dir)
			iput(dir);
	}
}

/* All are known (as if the kernel knew them), few have a descriptor. */
static void more_inodes_than_descriptors(void)
{
	struct inode **inodes = calloc(NR_MANY, sizeof(*inodes));
	struct rlimit old, few;
	char name[24];
	int bad = 0;

	fixture_begin_memory(128 * SZ_1M);
	for (int i = 0; i < NR_MANY_DIRS; i++) {
		snprintf(name, sizeof(name), "d%d", i);
		iput(fx_mkdir(sb.root, name));
	}
	getrlimit(RLIMIT_NOFILE, &old);
	few = old;
	few.rlim_cur = 64;
	setrlimit(RLIMIT_NOFILE, &few);
	fdcache_set_limit(64);
	make_many(inodes);
	for (int i = 0; i < NR_MANY; i += 7) {
		snprintf(name, sizeof(name), "%d", i);
		bad += !inodes[i] || !fx_write(inodes[i], name);
	}
	fs_sync();
	for (int i = 0; i < NR_MANY; i += 7) {
		snprintf(name, sizeof(name), "%d", i);
		bad += !inodes[i] || !backing_is(inodes[i], name);
	}
	CU_ASSERT_EQUAL(bad, 0);
	CU_ASSERT(nr_inodes() > NR_MANY);
	CU_ASSERT(fdcache_nr() <= 64);
	for (int i = 0; i < NR_MANY; i++)
		if (inodes[i])
			iput(inodes[i]);
	setrlimit(RLIMIT_NOFILE, &old);
	free(inodes);
	fixture_end();
}

/* ---- readdir ---- */

struct listing {
	unsigned int room, nr;
	off_t next;
	char names[512][32];
};

static bool list_entry_up_to(void *arg, const struct fs_dirent *ent)
{
	struct listing *l = arg;

	if (l->nr == l->room)
		return false;
	snprintf(l->names[l->nr++], sizeof(l->names[0]), "%s", ent->name);
	l->next = ent->next_off;
	return true;
}

static void listing_in_small_steps(void)
{
	static struct listing whole, part;
	struct open_dir *od;
	char name[24];
	unsigned int at = 0;

	fixture_begin();
	for (int i = 0; i < 300; i++) {
		snprintf(name, sizeof(name), "entry%d", i);
		iput(fx_create(sb.root, name));
	}
	OK(fs_opendir(sb.root, &od));
	whole.room = 512;
	whole.nr = 0;
	OK(fs_readdir(od, 0, list_entry_up_to, &whole));
	CU_ASSERT_EQUAL(whole.nr, 302);
	part.next = 0;
	do {
		part.room = 7;
		part.nr = 0;
		OK(fs_readdir(od, part.next, list_entry_up_to, &part));
		for (unsigned int i = 0; i < part.nr; i++)
			CU_ASSERT_STRING_EQUAL(part.names[i],
					       whole.names[at + i]);
		at += part.nr;
	} while (part.nr);
	CU_ASSERT_EQUAL(at, whole.nr);
	fs_releasedir(od);
	fixture_end();
}

static bool check_dots(void *arg, const struct fs_dirent *ent)
{
	int *found = arg;

	if (!strcmp(ent->name, "."))
		*found |= ent->ino == sb.root->i_ino ? 1 : 8;
	if (!strcmp(ent->name, ".."))
		*found |= ent->ino == sb.root->i_ino ? 2 : 8;
	if (!strcmp(ent->name, CTL_DIR_NAME))
		*found |= 8;
	if (!strcmp(ent->name, "sub"))
		*found |= ent->type == DT_DIR ? 4 : 8;
	return true;
}

static void the_root_ends_at_the_root(void)
{
	struct open_dir *od;
	int found = 0;

	fixture_begin();
	iput(fx_mkdir(sb.root, "sub"));
	OK(mkdirat(fx_fd, CTL_DIR_NAME, 0755));
	OK(fs_opendir(sb.root, &od));
	OK(fs_readdir(od, 0, check_dots, &found));
	CU_ASSERT_EQUAL(found, 7);
	OK(fs_fsyncdir(od, false));
	OK(fs_fsyncdir(od, true));
	fs_releasedir(od);
	fixture_end();
}

/* ---- owners ---- */

static void need_root(void)
{
	if (geteuid())
		test_skip("only root can act for others");
}

static bool owned_by(const char *path, uid_t uid, gid_t gid)
{
	struct stat st;

	return !fstatat(fx_fd, path, &st, AT_SYMLINK_NOFOLLOW) &&
		st.st_uid == uid && st.st_gid == gid;
}

static void new_objects_are_the_callers(void)
{
	const struct fs_cred cred = { 1234, 5678 };
	struct open_file *of;
	struct inode *dir, *i;
	struct stat st;

	need_root();
	fixture_begin();
	dir = fx_mkdir(sb.root, "private");	/* root's, mode 0755 */
	OK(fs_create(dir, "f", &cred, 04755, O_RDWR, &i, &of));
	fs_release(of);
	iput(i);
	OK(fs_mkdir(dir, "d", &cred, 0700, &i));
	iput(i);
	OK(fs_symlink(dir, "l", &cred, "f", &i));
	iput(i);
	OK(fs_mknod(dir, "p", &cred, S_IFIFO | 0600, 0, &i));
	iput(i);
	CU_ASSERT(owned_by("private/f", 1234, 5678));
	CU_ASSERT(owned_by("private/d", 1234, 5678));
	CU_ASSERT(owned_by("private/l", 1234, 5678));
	CU_ASSERT(owned_by("private/p", 1234, 5678));
	OK(fstatat(fx_fd, "private/f", &st, 0));
	CU_ASSERT_EQUAL(st.st_mode & 07777, 04755);
	CU_ASSERT_EQUAL(setfsuid(-1), 0);
	CU_ASSERT_EQUAL(setfsgid(-1), 0);
	FAILS(EEXIST, fs_mkdir(dir, "d", &cred, 0700, &i));
	CU_ASSERT_EQUAL(setfsuid(-1), 0);
	iput(i = fx_create(dir, "mine"));
	CU_ASSERT(owned_by("private/mine", 0, 0));
	iput(dir);
	fixture_end();
}

static void set_group_id_directories(void)
{
	const struct fs_cred cred = { 1234, 5678 };
	struct open_file *of;
	struct inode *dir, *i;
	struct stat st;

	need_root();
	fixture_begin();
	dir = fx_mkdir(sb.root, "shared");
	OK(fchownat(fx_fd, "shared", 0, 4321, 0));
	OK(fchmodat(fx_fd, "shared", 02777, 0));
	OK(fs_mkdir(dir, "d", &cred, 0755, &i));
	iput(i);
	CU_ASSERT(owned_by("shared/d", 1234, 4321));
	OK(fstatat(fx_fd, "shared/d", &st, 0));
	CU_ASSERT_EQUAL(st.st_mode & 07777, 02755);
	/* A set-group-ID program of a group he may not be in: not for him. */
	OK(fs_create(dir, "f", &cred, 02755, O_RDWR, &i, &of));
	fs_release(of);
	iput(i);
	OK(fstatat(fx_fd, "shared/f", &st, 0));
	CU_ASSERT_EQUAL(st.st_mode & 07777, 0755);
	iput(dir);
	fixture_end();
}

/* ---- memory that cannot be had ---- */

static int op_create(void)
{
	struct open_file *of;
	struct inode *i;
	int err = fs_create(sb.root, "new", &fx_root, 0644, O_RDWR, &i, &of);

	if (err)
		return err;
	fs_release(of);
	iput(i);
	return 0;
}

static int op_mkdir(void)
{
	struct inode *i;
	int err = fs_mkdir(sb.root, "new", &fx_root, 0755, &i);

	if (!err)
		iput(i);
	return err;
}

static int op_symlink(void)
{
	struct inode *i;
	int err = fs_symlink(sb.root, "new", &fx_root, "x", &i);

	if (!err)
		iput(i);
	return err;
}

static int op_link(void)
{
	struct inode *i = fx_walk("old");
	int err;

	if (!i)
		return -ENOMEM;
	err = fs_link(i, sb.root, "new");
	iput(i);
	return err;
}

static int op_rename(void)
{
	struct inode *i = fx_walk("old");
	int err;

	if (!i)
		return -ENOMEM;
	err = fs_rename(sb.root, "old", sb.root, "new", 0);
	iput(i);
	return err;
}

/*
 * Fails the Nth allocation for N = 1, 2, ...; after each failure "new" is not
 * there and "old" is, and in the end it succeeds.
 */
static void fail_until_it_works(int (*op)(void), bool removes_old)
{
	unsigned long n = 0;
	int err;

	fixture_begin();
	iput(fx_create(sb.root, "old"));
	do {
		fx_drop_all();
		failslab(++n, false);
		err = op();
		failslab(0, false);
		if (!err)
			break;
		CU_ASSERT_EQUAL(err, -ENOMEM);
		CU_ASSERT(!in_backing("new"));
		CU_ASSERT(in_backing("old"));
	} while (n < 100);
	OK(err);
	CU_ASSERT(n > 1);
	CU_ASSERT(in_backing("new"));
	CU_ASSERT_EQUAL(in_backing("old"), !removes_old);
	fixture_end();
}

static void no_memory(void)
{
	fail_until_it_works(op_create, false);
	fail_until_it_works(op_mkdir, false);
	fail_until_it_works(op_symlink, false);
	fail_until_it_works(op_link, false);
	fail_until_it_works(op_rename, true);
}

static const struct test_case cases[] = {
	{ "names that are none are refused", bad_names },
	{ "the control directory's name cannot be made", control_name_is_reserved },
	{ "create makes a file with the backing number", create_makes_a_file },
	{ "create opens or refuses what exists", create_of_what_exists },
	{ "a new file of mode 0 can be written", a_file_its_owner_cannot_open_is_usable },
	{ "pipes, sockets and links are made", other_types },
	{ "device nodes keep their number", device_nodes_keep_their_number },
	{ "directories count links and refuse to go while full", directories },
	{ "a removed directory is empty and can be asked", a_removed_directory_is_empty_and_alive },
	{ "hard links are one inode", hard_links },
	{ "links to links and to pipes work", links_to_symlinks_and_pipes },
	{ "a file is reached when all names known of it are gone", a_name_nobody_remembers },
	{ "unused inodes without a known name keep no descriptor", unused_and_without_known_names },
	{ "an open file lives on without a name", a_file_unlinked_while_open },
	{ "a number used again is a new file", a_new_file_is_not_the_old_one },
	{ "rename moves a file", rename_moves_a_file },
	{ "rename over an open file keeps both", rename_over_an_open_file },
	{ "rename between names of one file does nothing", rename_of_two_names_of_one_file },
	{ "exchange swaps a file and a directory", exchange },
	{ "rename of directories keeps what is below reachable", rename_of_directories },
	{ "paths longer than PATH_MAX are opened by name", paths_longer_than_path_max },
	{ "20,000 inodes live with 64 descriptors", more_inodes_than_descriptors },
	{ "a listing in small steps is the whole listing", listing_in_small_steps },
	{ "the root's listing ends at the root", the_root_ends_at_the_root },
	{ "new objects are the caller's", new_objects_are_the_callers },
	{ "set-group-ID directories hand on their group", set_group_id_directories },
	{ "an operation without memory leaves nothing behind", no_memory },
};

int main(void)
{
	return test_main("fs/namei", cases, ARRAY_SIZE(cases));
}
