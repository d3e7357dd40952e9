// SPDX-License-Identifier: BSD-2-Clause
/*
 * tests/fs/test_namei_random.c - names under random operations and in races
 *
 * The model is one table: slot[directory][name] = object. Directories are
 * objects too. Each step does one operation to both and compares the results,
 * errors included; now and then memory and descriptors are taken away, so that
 * everything has to be found again by name; in the end the backing directory
 * is walked with plain system calls.
 *
 * The races have no model: threads do what they like, and afterwards the
 * table, the backing directory and the descriptors must agree.
 */
#include <dirent.h>
#include <fcntl.h>
#include <limits.h>
#include <linux/fs.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "fixture.h"
#include "swap.h"

/* ---- the model ---- */

#define NR_OBJECTS	96
#define NR_NAMES	6
#define NONE		(-1)
#define ROOT		0

enum type { FREE, FILE_, DIR_, SYMLINK };

struct object {
	enum type type;
	int slot[NR_NAMES];		/* DIR_: objects */
	int parent;			/* DIR_ */
	unsigned int nlink;		/* others: names */
	struct inode *held;		/* a reference we keep, or NULL */
	char text[16];			/* FILE_: contents, SYMLINK: target */
};

static struct object obj[NR_OBJECTS];
static uint64_t rnd;
static int step;

static const char *const names[NR_NAMES] = {
	"alpha", "b", "gamma-with-a-longer-name", "d.txt", "e e", "\xc3\xb6"
};

static unsigned int below(unsigned int n)
{
	return test_rand(&rnd) % n;
}

static int new_object(enum type type)
{
	for (int i = 1; i < NR_OBJECTS; i++) {
		if (obj[i].type != FREE)
			continue;
		obj[i] = (struct object){ .type = type, .parent = NONE };
		for (int n = 0; n < NR_NAMES; n++)
			obj[i].slot[n] = NONE;
		return i;
	}
	return NONE;
}

static bool is_empty(int dir)
{
	for (int n = 0; n < NR_NAMES; n++)
		if (obj[dir].slot[n] != NONE)
			return false;
	return true;
}

/* Is @dir @top or below it? */
static bool is_below(int dir, int top)
{
	for (; dir != NONE; dir = dir == ROOT ? NONE : obj[dir].parent)
		if (dir == top)
			return true;
	return false;
}

/* A directory that has a name. */
static int any_dir(void)
{
	int d;

	do
		d = below(NR_OBJECTS);
	while (obj[d].type != DIR_ || (d != ROOT && obj[d].parent == NONE));
	return d;
}

static void drop_object(int i)
{
	if (!obj[i].held)
		obj[i].type = FREE;
}

static void model_unname(int dir, int name)
{
	int i = obj[dir].slot[name];

	obj[dir].slot[name] = NONE;
	if (obj[i].type == DIR_) {
		obj[i].parent = NONE;
		drop_object(i);
	} else if (!--obj[i].nlink) {
		drop_object(i);
	}
}

static void model_name(int dir, int name, int i)
{
	obj[dir].slot[name] = i;
	if (obj[i].type == DIR_)
		obj[i].parent = dir;
	else
		obj[i].nlink++;
}

/* ---- the same in fs/ ---- */

static bool check(bool ok, const char *what, int a, int b)
{
	if (!ok)
		printf("# step %d: %s: %d, expected %d\n", step, what, a, b);
	CU_ASSERT(ok);
	return ok;
}

/* Path of directory @d from the root into @buf. */
static void path_of(int d, char *buf, size_t size)
{
	char up[PATH_MAX - 64];
	int p = obj[d].parent;

	if (d == ROOT) {
		snprintf(buf, size, ".");
		return;
	}
	path_of(p, up, sizeof(up));
	for (int n = 0; n < NR_NAMES; n++)
		if (obj[p].slot[n] == d)
			snprintf(buf, size, "%s/%s", up, names[n]);
}

/* The directory @d, by lookups from the root; referenced. */
static struct inode *dir_inode(int d)
{
	struct inode *up, *inode = NULL;
	int p = obj[d].parent;

	if (d == ROOT) {
		ihold(sb.root);
		return sb.root;
	}
	up = dir_inode(p);
	for (int n = 0; n < NR_NAMES; n++)
		if (obj[p].slot[n] == d)
			check(!fs_lookup(up, names[n], &inode), "walk", 0, 0);
	iput(up);
	return inode;
}

/* What the model knows of the inode of object @i. */
static void check_inode(int i, struct inode *inode)
{
	struct stat st;
	char buf[32];

	check(!fs_getattr(inode, &st), "getattr", 0, 0);
	if (obj[i].type != DIR_)
		check(st.st_nlink == obj[i].nlink, "nlink", st.st_nlink,
		      obj[i].nlink);
	if (obj[i].type == FILE_)
		check(fx_contains(inode, obj[i].text), "contents", i, i);
	if (obj[i].type == SYMLINK)
		check(fs_readlink(inode, buf, sizeof(buf)) > 0 &&
		      !strcmp(buf, obj[i].text), "target", i, i);
	if (obj[i].held)
		check(obj[i].held == inode, "same inode", i, i);
}

/* Keeps @inode sometimes, so that it outlives its names. */
static void maybe_hold(int i, struct inode *inode)
{
	if (!obj[i].held && !below(3))
		obj[i].held = inode;
	else
		iput(inode);
}

static int make_in_fs(enum type type, struct inode *dir, const char *name,
		      const char *text, struct inode **inodep)
{
	if (type == DIR_)
		return fs_mkdir(dir, name, &fx_root, 0755, inodep);
	if (type == SYMLINK)
		return fs_symlink(dir, name, &fx_root, text, inodep);
	*inodep = fx_create(dir, name);
	return *inodep ? 0 : -EEXIST;
}

static void do_make(enum type type)
{
	int d = any_dir(), n = below(NR_NAMES), i = new_object(type), err;
	struct inode *dir, *inode;
	int expect = obj[d].slot[n] == NONE ? 0 : -EEXIST;

	if (i == NONE)
		return;
	snprintf(obj[i].text, sizeof(obj[i].text), "t%d", step);
	dir = dir_inode(d);
	err = make_in_fs(type, dir, names[n], obj[i].text, &inode);
	check(err == expect, "make", err, expect);
	if (!err) {
		model_name(d, n, i);
		if (type == FILE_)
			check(fx_write(inode, obj[i].text), "write", 0, 0);
		maybe_hold(i, inode);
	} else {
		obj[i].type = FREE;
	}
	iput(dir);
}

static void do_lookup(void)
{
	int d = any_dir(), n = below(NR_NAMES), i = obj[d].slot[n], err;
	struct inode *dir = dir_inode(d), *inode;

	err = fs_lookup(dir, names[n], &inode);
	check(err == (i == NONE ? -ENOENT : 0), "lookup", err, 0);
	if (!err) {
		check_inode(i, inode);
		maybe_hold(i, inode);
	}
	iput(dir);
}

static void do_remove(bool rmdir)
{
	int d = any_dir(), n = below(NR_NAMES), i = obj[d].slot[n];
	struct inode *dir = dir_inode(d);
	int err, expect = 0;

	if (i == NONE)
		expect = -ENOENT;
	else if (rmdir)
		expect = obj[i].type != DIR_ ? -ENOTDIR :
			!is_empty(i) ? -ENOTEMPTY : 0;
	else if (obj[i].type == DIR_)
		expect = -EISDIR;
	err = rmdir ? fs_rmdir(dir, names[n]) : fs_unlink(dir, names[n]);
	check(err == expect, rmdir ? "rmdir" : "unlink", err, expect);
	if (!err)
		model_unname(d, n);
	iput(dir);
}

static void do_link(void)
{
	int d = any_dir(), n = below(NR_NAMES), i = below(NR_OBJECTS);
	struct inode *dir;
	int err, expect = 0;

	if (!obj[i].held)
		return;
	if (obj[i].type == DIR_)
		expect = -EPERM;
	else if (obj[d].slot[n] != NONE)
		expect = -EEXIST;
	else if (!obj[i].nlink)
		expect = -ENOENT;
	dir = dir_inode(d);
	err = fs_link(obj[i].held, dir, names[n]);
	/* The kernel looks at the new name first on some file systems. */
	if (expect == -EEXIST && !obj[i].nlink && err == -ENOENT)
		expect = err;
	check(err == expect, "link", err, expect);
	if (!err)
		model_name(d, n, i);
	iput(dir);
}

/* What rename(2) says, in the order in which Linux finds it. */
static int expected_rename(int d, int n, int e, int m, unsigned int flags)
{
	int a = obj[d].slot[n], b = obj[e].slot[m];
	bool swap = flags & RENAME_EXCHANGE;

	if (a == NONE)
		return -ENOENT;
	if (b != NONE && (flags & RENAME_NOREPLACE))
		return -EEXIST;
	if (b == NONE && swap)
		return -ENOENT;
	if (obj[a].type == DIR_ && is_below(e, a) && a != b)
		return -EINVAL;
	if (b != NONE && obj[b].type == DIR_ && is_below(d, b) && a != b)
		return swap ? -EINVAL : -ENOTEMPTY;
	if (a == b || swap || b == NONE)
		return 0;
	if (obj[a].type == DIR_ && obj[b].type != DIR_)
		return -ENOTDIR;
	if (obj[a].type != DIR_ && obj[b].type == DIR_)
		return -EISDIR;
	return obj[b].type == DIR_ && !is_empty(b) ? -ENOTEMPTY : 0;
}

static void model_rename(int d, int n, int e, int m, unsigned int flags)
{
	int a = obj[d].slot[n], b = obj[e].slot[m];

	if (a == b)
		return;
	if (flags & RENAME_EXCHANGE) {
		obj[d].slot[n] = b;
		obj[e].slot[m] = a;
		if (obj[a].type == DIR_)
			obj[a].parent = e;
		if (obj[b].type == DIR_)
			obj[b].parent = d;
		return;
	}
	if (b != NONE)
		model_unname(e, m);
	obj[d].slot[n] = NONE;
	obj[e].slot[m] = a;
	if (obj[a].type == DIR_)
		obj[a].parent = e;
}

static void do_rename(void)
{
	static const unsigned int some[] = {
		0, 0, 0, RENAME_NOREPLACE, RENAME_EXCHANGE
	};
	int d = any_dir(), e = any_dir();
	int n = below(NR_NAMES), m = below(NR_NAMES);
	unsigned int flags = some[below(ARRAY_SIZE(some))];
	int expect = expected_rename(d, n, e, m, flags), err;
	struct inode *from = dir_inode(d), *to = dir_inode(e);

	err = fs_rename(from, names[n], to, names[m], flags);
	check(err == expect, "rename", err, expect);
	if (!err)
		model_rename(d, n, e, m, flags);
	iput(from);
	iput(to);
}

static void do_write(void)
{
	int i = below(NR_OBJECTS);

	if (!obj[i].held || obj[i].type != FILE_)
		return;
	/* Only longer: what is written does not cut the file. */
	snprintf(obj[i].text, sizeof(obj[i].text), "%-10d", step);
	check(fx_write(obj[i].held, obj[i].text), "write", i, i);
}

static void do_let_go(void)
{
	int i = below(NR_OBJECTS);
	struct inode *inode = obj[i].held;

	if (!inode)
		return;
	check_inode(i, inode);
	obj[i].held = NULL;
	iput(inode);
	if (i != ROOT && (obj[i].type == DIR_ ? obj[i].parent == NONE :
			  !obj[i].nlink))
		obj[i].type = FREE;
}

static bool count_names(void *arg, const struct fs_dirent *ent)
{
	*(int *)arg += ent->name[0] != '.';
	return true;
}

static void do_list(void)
{
	struct open_dir *od;
	int d = any_dir(), n = 0, expect = 0;
	struct inode *dir = dir_inode(d);

	for (int i = 0; i < NR_NAMES; i++)
		expect += obj[d].slot[i] != NONE;
	if (check(!fs_opendir(dir, &od), "opendir", 0, 0)) {
		check(!fs_readdir(od, 0, count_names, &n), "readdir", 0, 0);
		check(n == expect, "entries", n, expect);
		fs_releasedir(od);
	}
	iput(dir);
}

static void do_one(void)
{
	switch (below(16)) {
	case 0: case 1: case 2:
		do_make(FILE_);
		break;
	case 3: case 4:
		do_make(DIR_);
		break;
	case 5:
		do_make(SYMLINK);
		break;
	case 6:
		do_remove(true);
		break;
	case 7:
		do_remove(false);
		break;
	case 8:
		do_link();
		break;
	case 9: case 10: case 11:
		do_rename();
		break;
	case 12:
		do_write();
		break;
	case 13:
		do_let_go();
		break;
	case 14:
		do_list();
		break;
	default:
		do_lookup();
	}
	if (!below(50))
		fx_drop_all();
}

/* Every name of the model, seen from outside. */
static void check_backing(void)
{
	char dir[PATH_MAX], path[PATH_MAX + 64];
	struct stat st;

	for (int d = 0; d < NR_OBJECTS; d++) {
		if (obj[d].type != DIR_ || (d != ROOT && obj[d].parent == NONE))
			continue;
		path_of(d, dir, sizeof(dir));
		for (int n = 0; n < NR_NAMES; n++) {
			int i = obj[d].slot[n];
			bool there;

			snprintf(path, sizeof(path), "%s/%s", dir, names[n]);
			there = !fstatat(fx_fd, path, &st, AT_SYMLINK_NOFOLLOW);
			check(there == (i != NONE), path, there, i);
			if (there && i != NONE && obj[i].type == FILE_)
				check(st.st_nlink == obj[i].nlink &&
				      st.st_size == (off_t)strlen(obj[i].text),
				      path, st.st_size, i);
		}
	}
}

#define NR_STEPS	20000

static void random_operations(void)
{
	fixture_begin();
	rnd = test_seed();
	memset(obj, 0, sizeof(obj));
	obj[ROOT].type = DIR_;
	obj[ROOT].parent = NONE;
	for (int n = 0; n < NR_NAMES; n++)
		obj[ROOT].slot[n] = NONE;
	for (step = 1; step <= NR_STEPS && !CU_get_number_of_failures(); step++)
		do_one();
	for (int i = 0; i < NR_OBJECTS; i++) {
		if (obj[i].held) {
			check_inode(i, obj[i].held);
			iput(obj[i].held);
		}
	}
	fs_sync();
	check_backing();
	fixture_end();
}

/* ---- races ---- */

#define NR_THREADS	4
#define NR_SHARED	5

struct racer {
	pthread_t thread;
	uint64_t rnd;
	int rounds;
	int bad;			/* results that cannot be */
};

static unsigned int rbelow(struct racer *r, unsigned int n)
{
	return test_rand(&r->rnd) % n;
}

/* Errors that a race explains. */
static void allow(struct racer *r, int err)
{
	static const int ok[] = {
		0, -ENOENT, -EEXIST, -ENOTEMPTY, -ENOTDIR, -EISDIR, -EINVAL,
		-EPERM,
	};

	for (unsigned int i = 0; i < ARRAY_SIZE(ok); i++)
		if (err == ok[i])
			return;
	if (!r->bad++)
		printf("# racer: %s\n", strerror(-err));
}

static const char *some_name(struct racer *r)
{
	return names[rbelow(r, 4)];
}

/* One of a few directories, which come and go; referenced. */
static struct inode *some_dir(struct racer *r)
{
	struct inode *d = sb.root, *e;

	ihold(d);
	while (rbelow(r, 2) && !fs_lookup(d, some_name(r), &e)) {
		if (!S_ISDIR(READ_ONCE(e->i_mode))) {
			iput(e);
			break;
		}
		iput(d);
		d = e;
	}
	return d;
}

static void race_make(struct racer *r, struct inode *dir)
{
	struct open_file *of;
	struct inode *inode;
	ssize_t n;
	int err;

	if (rbelow(r, 2)) {
		err = fs_mkdir(dir, some_name(r), &fx_root, 0755, &inode);
		allow(r, err);
		if (!err)
			iput(inode);
		return;
	}
	err = fs_create(dir, some_name(r), &fx_root, 0644, O_RDWR, &inode, &of);
	allow(r, err);
	if (err)
		return;
	n = fs_write(of, &fx_root, 0, "race", 4);
	allow(r, n == 4 ? 0 : (int)n);
	fs_release(of);
	iput(inode);
}

static void race_use(struct racer *r, struct inode *dir)
{
	struct inode *inode;
	struct stat st;
	int err = fs_lookup(dir, some_name(r), &inode);

	allow(r, err);
	if (err)
		return;
	allow(r, fs_getattr(inode, &st));
	if (S_ISREG(READ_ONCE(inode->i_mode))) {
		allow(r, fs_link(inode, sb.root, some_name(r)));
		inode_nlookup_add(inode, 2);
		inode_forget(inode->i_nodeid, 1);
		inode_forget(inode->i_nodeid, 1);
	}
	iput(inode);
}

static void race_once(struct racer *r)
{
	struct inode *dir = some_dir(r), *to;

	switch (rbelow(r, 8)) {
	case 0: case 1: case 2:
		race_make(r, dir);
		break;
	case 3:
		allow(r, fs_unlink(dir, some_name(r)));
		break;
	case 4:
		allow(r, fs_rmdir(dir, some_name(r)));
		break;
	case 5:
		to = some_dir(r);
		allow(r, fs_rename(dir, some_name(r), to, some_name(r),
				   rbelow(r, 3) ? 0 : RENAME_EXCHANGE));
		iput(to);
		break;
	default:
		race_use(r, dir);
	}
	iput(dir);
	if (!rbelow(r, 64))
		drop_slab();
	if (!rbelow(r, 16))
		fdcache_shrink(UINT_MAX);
}

static void *racer_main(void *arg)
{
	struct racer *r = arg;

	for (int i = 0; i < r->rounds; i++)
		race_once(r);
	backing_wait();
	return NULL;
}

static int run_racers(void *(*fn)(void *), int rounds)
{
	struct racer r[NR_THREADS];
	int bad = 0;

	for (int i = 0; i < NR_THREADS; i++) {
		r[i] = (struct racer){ .rnd = test_seed() + i, .rounds = rounds };
		pthread_create(&r[i].thread, NULL, fn, &r[i]);
	}
	for (int i = 0; i < NR_THREADS; i++) {
		pthread_join(r[i].thread, NULL);
		bad += r[i].bad;
	}
	return bad;
}

static void racing_names(void)
{
	fixture_begin();
	CU_ASSERT_EQUAL(run_racers(racer_main, 4000), 0);
	fx_drop_all();
	CU_ASSERT_EQUAL(nr_inodes(), 1);
	CU_ASSERT_EQUAL(fdcache_nr(), 0);
	fixture_end();
}

/* ---- a file is found wherever it is renamed to ---- */

static struct inode *shared[NR_SHARED];
static struct inode *dirs[2];
static atomic_bool stop;

static void *rename_back_and_forth(void *arg)
{
	char name[2][16];
	int at[NR_SHARED] = { 0 };

	(void)arg;
	for (unsigned int i = 0; !atomic_load(&stop); i++) {
		int f = i % NR_SHARED;

		snprintf(name[0], sizeof(name[0]), "f%d", f);
		snprintf(name[1], sizeof(name[1]), "g%d", f);
		fs_rename(dirs[at[f]], name[at[f]], dirs[!at[f]], name[!at[f]],
			  0);
		at[f] = !at[f];
		if (i % 16 == 0)	/* and the directory with them */
			fs_rename(sb.root, i & 16 ? "x" : "z", sb.root,
				  i & 16 ? "z" : "x", 0);
	}
	return NULL;
}

/* Opened by name each time; whose it is, its contents tell. */
static void *open_and_compare(void *arg)
{
	struct racer *r = arg;
	char buf[2];

	for (int i = 0; i < r->rounds; i++) {
		int f = rbelow(r, NR_SHARED), fd;

		fd = inode_open_backing(shared[f], O_RDONLY);
		if (fd < 0 || pread(fd, buf, 2, 0) != 1 || buf[0] != '0' + f)
			if (!r->bad++)
				printf("# file %d: %s\n", f,
				       fd < 0 ? strerror(-fd) : "wrong one");
		if (fd >= 0)
			close(fd);
		if (!rbelow(r, 4))
			fdcache_shrink(UINT_MAX);
	}
	return NULL;
}

static void found_wherever_it_is(void)
{
	pthread_t renamer;
	char text[16];

	fixture_begin();
	dirs[0] = fx_mkdir(sb.root, "x");
	dirs[1] = fx_mkdir(dirs[0], "y");
	for (int i = 0; i < NR_SHARED; i++) {
		snprintf(text, sizeof(text), "f%d", i);
		shared[i] = fx_create(dirs[0], text);
		fx_write(shared[i], text + 1);
	}
	fs_sync();
	atomic_store(&stop, false);
	pthread_create(&renamer, NULL, rename_back_and_forth, NULL);
	CU_ASSERT_EQUAL(run_racers(open_and_compare, 3000), 0);
	atomic_store(&stop, true);
	pthread_join(renamer, NULL);
	for (int i = 0; i < NR_SHARED; i++)
		iput(shared[i]);
	iput(dirs[1]);
	iput(dirs[0]);
	fixture_end();
}

/* ---- eviction under load ---- */

static void describe(struct racer *r, const char *name, struct inode *inode)
{
	char buf[32] = "";
	struct stat st = { .st_size = -1 };
	ssize_t n = -1;

	if (r->bad++)
		return;
	fstatat(fx_fd, name, &st, 0);
	if (inode)
		n = generic_file_read(&inode->i_data, NULL, 0, buf,
				      sizeof(buf) - 1);
	printf("# %s: %s, size %lld, backing's %lld, read %zd \"%s\"\n", name,
	       inode ? "there" : "gone",
	       inode ? (long long)i_size_read(&inode->i_data) : -1,
	       (long long)st.st_size, n, buf);
}

/* Files are written, dropped, read again and unlinked, memory being short. */
static void *churn(void *arg)
{
	struct racer *r = arg;
	char name[32], text[32];

	for (int i = 0; i < r->rounds; i++) {
		struct inode *inode;

		snprintf(name, sizeof(name), "%lx-%d",
			 (unsigned long)pthread_self() & 0xffffff, i % 50);
		snprintf(text, sizeof(text), "contents %d", i % 50);
		if (i >= 50) {
			inode = fx_walk(name);
			if (!inode || !fx_contains(inode, text))
				describe(r, name, inode);
			if (inode)
				iput(inode);
			if (rbelow(r, 2) && fs_unlink(sb.root, name))
				r->bad++;
		}
		inode = fx_walk(name);
		if (!inode)
			inode = fx_create(sb.root, name);
		if (!inode || !fx_write(inode, text))
			r->bad++;
		if (inode)
			iput(inode);
		if (!rbelow(r, 8))
			drop_slab();
		if (!rbelow(r, 200))
			fs_sync();
	}
	return NULL;
}

static void eviction_under_load(void)
{
	fixture_begin_memory(16 * SZ_1M);
	CU_ASSERT_EQUAL(run_racers(churn, 1500), 0);
	fx_drop_all();
	CU_ASSERT_EQUAL(nr_unused_inodes(), 0);
	fixture_end();
}

static const struct test_case cases[] = {
	{ "random operations give what the model says", random_operations },
	{ "racing operations leave nothing behind", racing_names },
	{ "a file is opened by name while it is renamed", found_wherever_it_is },
	{ "inodes evicted under load lose nothing", eviction_under_load },
};

int main(void)
{
	return test_main("fs/namei random", cases, ARRAY_SIZE(cases));
}
