// SPDX-License-Identifier: BSD-2-Clause
/*
 * tests/fs/test_ctl.c - fs/ctl.c and the files of the .pagefs directory, without
 *                       a mount
 *
 * On a mount, with its tools: tests/integration/ctl.sh.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "fclient.h"
#include "fixture.h"
#include "icache.h"
#include "vmstat.h"

#define ROOT_ID		1
#define PAGES		16
#define LEN		(PAGES * PAGE_SIZE)
#define PAGE_POS(i)	((loff_t)(i) * (loff_t)PAGE_SIZE)
#define NOBODY		65534

static const struct fs_cred nobody = { NOBODY, NOBODY };

/* ---- finding, opening, reading ---- */

/* Below .pagefs; 0: no such thing. */
static uint64_t walk(const char *path)
{
	char buf[PATH_MAX], *name, *save;
	struct stat st;
	uint64_t nodeid;

	snprintf(buf, sizeof(buf), "%s", path);
	if (ctl_lookup(ROOT_ID, CTL_DIR_NAME, &st, &nodeid))
		return 0;
	for (name = strtok_r(buf, "/", &save); name;
	     name = strtok_r(NULL, "/", &save))
		if (ctl_lookup(nodeid, name, &st, &nodeid))
			return 0;
	return nodeid;
}

static struct ctl_handle *open_as(const struct fs_cred *cred, const char *path,
				  int flags, int *errp)
{
	struct ctl_handle *h = NULL;

	*errp = ctl_open(walk(path), cred, flags, &h);
	return h;
}

static int try_open(const struct fs_cred *cred, const char *path, int flags)
{
	int err;
	struct ctl_handle *h = open_as(cred, path, flags, &err);

	if (h)
		ctl_release(h);
	return err;
}

/* All from the beginning, @piece bytes at a time; from malloc, terminated. */
static char *read_all(struct ctl_handle *h, size_t piece, size_t *lenp)
{
	size_t size = 1 << 16, len = 0;
	char *buf = malloc(size);
	ssize_t n;

	for (;;) {
		if (len + piece + 1 > size)
			buf = realloc(buf, size *= 2);
		BUG_ON(!buf);
		n = ctl_read(h, buf + len, piece, (loff_t)len);
		CU_ASSERT(n >= 0);
		if (n <= 0)
			break;
		len += (size_t)n;
	}
	buf[len] = '\0';
	if (lenp)
		*lenp = len;
	return buf;
}

/* Good until the next call. */
static const char *text_of(const char *path)
{
	static char *text;
	struct ctl_handle *h;
	int err;

	free(text);
	text = NULL;
	h = open_as(&fx_root, path, O_RDONLY, &err);
	CU_ASSERT_EQUAL(err, 0);
	if (!h)
		return "";
	text = read_all(h, 4096, NULL);
	ctl_release(h);
	return text;
}

static ssize_t write_at(const char *path, const char *text, size_t len,
			loff_t pos, int flags)
{
	int err;
	struct ctl_handle *h = open_as(&fx_root, path, flags, &err);
	ssize_t n;

	if (!h)
		return err;
	n = ctl_write(h, text, len, pos);
	ctl_release(h);
	return n;
}

static ssize_t write_text(const char *path, const char *text)
{
	return write_at(path, text, strlen(text), 0, O_WRONLY | O_TRUNC);
}

/* ---- the tree ---- */

struct listing {
	struct fs_dirent ents[64];
	char names[64][NAME_MAX + 1];
	unsigned int nr, room;
};

static bool list_one(void *arg, const struct fs_dirent *ent)
{
	struct listing *l = arg;

	if (!l->room)
		return false;
	l->room--;
	BUG_ON(l->nr == ARRAY_SIZE(l->ents));
	l->ents[l->nr] = *ent;
	snprintf(l->names[l->nr], NAME_MAX + 1, "%s", ent->name);
	l->nr++;
	return true;
}

/* @room entries at a time. */
static void list(struct listing *l, uint64_t nodeid, unsigned int room)
{
	off_t off = 0;

	l->nr = 0;
	do {
		l->room = room;
		CU_ASSERT_EQUAL(ctl_readdir(nodeid, off, list_one, l), 0);
		if (l->nr)
			off = l->ents[l->nr - 1].next_off;
	} while (!l->room);
}

static unsigned int check_dir(uint64_t nodeid, uint64_t parent)
{
	struct listing *l = malloc(sizeof(*l));
	unsigned int seen = 0;
	uint64_t found;
	struct stat st;

	list(l, nodeid, 1);
	CU_ASSERT(l->nr >= 2);
	CU_ASSERT_STRING_EQUAL(l->names[0], ".");
	CU_ASSERT_EQUAL(l->ents[0].ino, nodeid);
	CU_ASSERT_STRING_EQUAL(l->names[1], "..");
	CU_ASSERT_EQUAL(l->ents[1].ino, parent);
	for (unsigned int i = 2; i < l->nr; i++) {
		CU_ASSERT_EQUAL(ctl_lookup(nodeid, l->names[i], &st, &found), 0);
		CU_ASSERT_EQUAL(found, l->ents[i].ino);
		CU_ASSERT_EQUAL(st.st_ino, found);
		CU_ASSERT_EQUAL(IFTODT(st.st_mode), l->ents[i].type);
		CU_ASSERT_EQUAL(st.st_size, 0);
		seen++;
		if (S_ISDIR(st.st_mode))
			seen += check_dir(found, nodeid);
		else
			CU_ASSERT_EQUAL(ctl_readdir(found, 0, list_one, l),
					-ENOTDIR);
	}
	free(l);
	return seen;
}

static void listings_and_lookups_agree(void)
{
	uint64_t found;
	struct stat st;

	fixture_begin();
	CU_ASSERT(check_dir(walk(""), ROOT_ID) >= 17);
	CU_ASSERT_EQUAL(walk("no"), 0);
	CU_ASSERT_EQUAL(walk("vm/no"), 0);
	CU_ASSERT_EQUAL(walk("meminfo/meminfo"), 0);
	CU_ASSERT_EQUAL(walk("maps/1"), 0);
	CU_ASSERT_EQUAL(ctl_lookup(ROOT_ID, "vm", &st, &found), -ENOENT);
	CU_ASSERT_EQUAL(ctl_getattr(walk("meminfo") + 1000, &st), -ENOENT);
	CU_ASSERT_EQUAL(ctl_getattr(UINT64_MAX, &st), -ESTALE);
	CU_ASSERT_EQUAL(ctl_getattr(CTL_NODEID_BASE | 1ULL << 40, &st), -ESTALE);
	fixture_end();
}

static void attributes_stay(void)
{
	uint64_t id;
	struct stat st;

	fixture_begin();
	id = walk("vm/dirty_ratio");
	CU_ASSERT_EQUAL(ctl_setattr(id, FS_ATTR_SIZE, &st), 0);
	CU_ASSERT_EQUAL(st.st_mode, S_IFREG | 0644);
	CU_ASSERT_EQUAL(ctl_setattr(id, FS_ATTR_MTIME | FS_ATTR_MTIME_NOW, &st),
			0);
	CU_ASSERT_EQUAL(ctl_setattr(id, FS_ATTR_MODE, &st), -EPERM);
	CU_ASSERT_EQUAL(ctl_setattr(id, FS_ATTR_UID, &st), -EPERM);
	CU_ASSERT_EQUAL(ctl_setattr(id, FS_ATTR_GID, &st), -EPERM);
	fixture_end();
}

static void who_may_what(void)
{
	const struct fs_cred self = { geteuid(), getegid() };

	fixture_begin();
	CU_ASSERT_EQUAL(try_open(&nobody, "meminfo", O_RDONLY), 0);
	CU_ASSERT_EQUAL(try_open(&nobody, "vm/dirty_ratio", O_RDONLY), 0);
	CU_ASSERT_EQUAL(try_open(&nobody, "vm/dirty_ratio", O_WRONLY), -EACCES);
	CU_ASSERT_EQUAL(try_open(&nobody, "vm/dirty_ratio", O_RDWR), -EACCES);
	CU_ASSERT_EQUAL(try_open(&nobody, "vm/drop_caches", O_WRONLY), -EACCES);
	CU_ASSERT_EQUAL(try_open(&nobody, "files", O_RDONLY), -EACCES);
	CU_ASSERT_EQUAL(try_open(&self, "vm/dirty_ratio", O_RDWR), 0);
	CU_ASSERT_EQUAL(try_open(&self, "files", O_RDONLY), 0);
	CU_ASSERT_EQUAL(try_open(&fx_root, "vm/dirty_ratio", O_RDWR), 0);
	CU_ASSERT_EQUAL(try_open(&fx_root, "vm/drop_caches", O_RDONLY), -EACCES);
	CU_ASSERT_EQUAL(try_open(&fx_root, "meminfo", O_WRONLY), -EACCES);
	CU_ASSERT_EQUAL(try_open(&fx_root, "meminfo", O_RDWR), -EACCES);
	CU_ASSERT_EQUAL(try_open(&fx_root, "vm", O_RDONLY), -EISDIR);
	fixture_end();
}

/* ---- texts ---- */

static void reading_at_0_is_reading_anew(void)
{
	char buf[32] = "";
	struct ctl_handle *h;
	int err;

	fixture_begin();
	write_text("vm/dirty_ratio", "20");
	h = open_as(&fx_root, "vm/dirty_ratio", O_RDWR, &err);
	CU_ASSERT_EQUAL(ctl_read(h, buf, 1, 0), 1);
	CU_ASSERT_EQUAL(ctl_write(h, "31\n", 3, 0), 3);
	/* What goes on is what was begun. */
	CU_ASSERT_EQUAL(ctl_read(h, buf + 1, 30, 1), 2);
	CU_ASSERT_STRING_EQUAL(buf, "20\n");
	CU_ASSERT_EQUAL(ctl_read(h, buf, 30, 3), 0);
	CU_ASSERT_EQUAL(ctl_read(h, buf, 30, 1000), 0);
	CU_ASSERT_EQUAL(ctl_read(h, buf, 30, 0), 3);
	CU_ASSERT_STRING_EQUAL(buf, "31\n");
	ctl_release(h);
	write_text("vm/dirty_ratio", "20");
	fixture_end();
}

static void writes_are_one_value(void)
{
	char many[5000];

	fixture_begin();
	CU_ASSERT_EQUAL(write_text("vm/dirty_ratio", "40"), 2);
	CU_ASSERT_STRING_EQUAL(text_of("vm/dirty_ratio"), "40\n");
	CU_ASSERT_EQUAL(write_text("vm/dirty_ratio", "41\n"), 3);
	memset(many, '1', sizeof(many));
	CU_ASSERT_EQUAL(write_at("vm/dirty_ratio", many, sizeof(many), 0,
				 O_WRONLY), -EINVAL);
	memset(many, ' ', sizeof(many));
	many[0] = '1';
	CU_ASSERT_EQUAL(write_at("vm/dirty_ratio", many, 64, 0, O_WRONLY),
			-EINVAL);
	CU_ASSERT_EQUAL(write_at("vm/dirty_ratio", "5\0006", 3, 0, O_WRONLY),
			-EINVAL);
	CU_ASSERT_EQUAL(write_at("vm/dirty_ratio", "5\0", 2, 0, O_WRONLY),
			-EINVAL);
	CU_ASSERT_EQUAL(write_at("vm/dirty_ratio", "5", 1, 1, O_WRONLY),
			-EINVAL);
	CU_ASSERT_EQUAL(write_at("vm/dirty_ratio", "", 0, 0, O_WRONLY),
			-EINVAL);
	CU_ASSERT_STRING_EQUAL(text_of("vm/dirty_ratio"), "41\n");
	CU_ASSERT_EQUAL(write_at("vm/dirty_ratio", "20\n", 3, 3,
				 O_WRONLY | O_APPEND), 3);
	CU_ASSERT_STRING_EQUAL(text_of("vm/dirty_ratio"), "20\n");
	fixture_end();
}

static unsigned long vmstat_value(const char *name)
{
	const char *at = strstr(text_of("vmstat"), name);
	unsigned long value = 0;

	CU_ASSERT_PTR_NOT_NULL(at);
	if (at)
		CU_ASSERT_EQUAL(sscanf(at + strlen(name), " %lu\n", &value), 1);
	return value;
}

static void thresholds_follow_the_numbers(void)
{
	unsigned long before;

	fixture_begin();
	write_text("vm/dirty_ratio", "20");
	before = vmstat_value("\nnr_dirty_threshold");
	CU_ASSERT(before >= 1000 && before < FX_MEMORY / PAGE_SIZE / 5);
	write_text("vm/dirty_ratio", "40");
	CU_ASSERT(vmstat_value("\nnr_dirty_threshold") > before * 19 / 10);
	write_text("vm/dirty_background_ratio", "20");
	CU_ASSERT(vmstat_value("\nnr_dirty_background_threshold") >
		  before * 9 / 10);
	write_text("vm/dirty_background_ratio", "10");
	write_text("vm/dirty_ratio", "20");
	fixture_end();
}

/* ---- files ---- */

static struct inode *make_file(struct inode *dir, const char *name,
			       unsigned int pages)
{
	struct inode *inode = fx_create(dir, name);
	struct open_file *file;
	char page[PAGE_SIZE];

	BUG_ON(!inode || fs_open(inode, &fx_root, O_RDWR, &file));
	memset(page, 'x', sizeof(page));
	for (unsigned int i = 0; i < pages; i++)
		BUG_ON(fs_write(file, &fx_root, PAGE_POS(i), page, PAGE_SIZE) !=
		       PAGE_SIZE);
	fs_release(file);
	return inode;
}

struct file_line {
	unsigned long long ino;
	unsigned long cached, dirty, writeback, mapped, oldest;
	char path[PATH_MAX * 4];
};

/* The line of files that ends with " @path"; false: there is none. */
static bool files_line(const char *path, struct file_line *f)
{
	const char *line = text_of("files");

	CU_ASSERT_EQUAL(strncmp(line, "ino cached_kb dirty_kb writeback_kb mapped_kb oldest_ms path\n", 61), 0);
	while ((line = strchr(line, '\n'))) {
		line++;
		if (sscanf(line, "%llu %lu %lu %lu %lu %lu %16383[^\n]",
			   &f->ino, &f->cached, &f->dirty, &f->writeback,
			   &f->mapped, &f->oldest, f->path) == 7 &&
		    !strcmp(f->path, path))
			return true;
	}
	return false;
}

static void files_say_what_is_cached(void)
{
	struct file_line *f = malloc(sizeof(*f));
	struct inode *dir, *inode, *empty;

	fixture_begin();
	/* Only what is told to is written back. */
	write_text("vm/dirty_writeback_centisecs", "0");
	dir = fx_mkdir(sb.root, "a b");
	inode = make_file(dir, "c\td\\e\nf", 3);
	empty = fx_create(sb.root, "empty");
	CU_ASSERT(files_line("/a\\040b/c\\011d\\134e\\012f", f));
	CU_ASSERT_EQUAL(f->ino, inode->i_ino);
	CU_ASSERT_EQUAL(f->cached, 12);
	CU_ASSERT_EQUAL(f->dirty, 12);
	CU_ASSERT_EQUAL(f->mapped, 0);
	CU_ASSERT_FALSE(files_line("/empty", f));
	usleep(100000);
	CU_ASSERT(files_line("/a\\040b/c\\011d\\134e\\012f", f));
	CU_ASSERT(f->oldest >= 90 && f->oldest < 60000);
	CU_ASSERT_EQUAL(fs_fsync(inode, NULL, false), 0);
	CU_ASSERT(files_line("/a\\040b/c\\011d\\134e\\012f", f));
	CU_ASSERT_EQUAL(f->dirty, 0);
	CU_ASSERT_EQUAL(f->oldest, 0);
	/* The age is that of pages that are dirty, not that of the first. */
	CU_ASSERT(fx_write(inode, "again"));
	CU_ASSERT(files_line("/a\\040b/c\\011d\\134e\\012f", f));
	CU_ASSERT_EQUAL(f->dirty, 4);
	CU_ASSERT(f->oldest < 90);
	write_text("vm/dirty_writeback_centisecs", "500");
	iput(empty);
	iput(inode);
	iput(dir);
	fixture_end();
	free(f);
}

static void files_follow_their_names(void)
{
	struct file_line *f = malloc(sizeof(*f));
	struct inode *dir, *inode;

	fixture_begin();
	dir = fx_mkdir(sb.root, "d");
	inode = make_file(dir, "f", 1);
	CU_ASSERT(files_line("/d/f", f));
	CU_ASSERT_EQUAL(fs_rename(sb.root, "d", sb.root, "e", 0), 0);
	CU_ASSERT(files_line("/e/f", f));
	CU_ASSERT_EQUAL(fs_rename(dir, "f", sb.root, "g", 0), 0);
	CU_ASSERT(files_line("/g", f));
	CU_ASSERT_EQUAL(fs_unlink(sb.root, "g"), 0);
	CU_ASSERT_FALSE(files_line("/g", f));
	CU_ASSERT(files_line("-", f));
	CU_ASSERT_EQUAL(f->ino, inode->i_ino);
	iput(inode);
	CU_ASSERT_FALSE(files_line("-", f));
	iput(dir);
	fixture_end();
	free(f);
}

/* Looking makes nothing more recent: what goes first stays the same. */
static void looking_at_files_uses_none(void)
{
	struct file_line *f = malloc(sizeof(*f));
	struct inode *first, *inode;
	char name[16];

	fixture_begin();
	for (int i = 0; i < 40; i++) {
		snprintf(name, sizeof(name), "f%d", i);
		inode = make_file(sb.root, name, 1);
		fs_fsync(inode, NULL, false);
		iput(inode);
	}
	first = list_last_entry(&icache.lru, struct inode, i_lru);
	CU_ASSERT(files_line("/f0", f));
	CU_ASSERT(files_line("/f39", f));
	CU_ASSERT_EQUAL(list_last_entry(&icache.lru, struct inode, i_lru), first);
	CU_ASSERT_EQUAL(first->i_ino, (files_line("/f0", f), f->ino));
	fixture_end();
	free(f);
}

/* 400 files with names of 240: more than one part of the text. */
static void many_files_are_met_once(void)
{
	struct inode *inodes[400];
	char name[256], *text, *again;
	struct ctl_handle *h;
	size_t len, len2;
	int err;

	fixture_begin();
	for (unsigned int i = 0; i < 400; i++) {
		snprintf(name, sizeof(name), "%0240u", i);
		inodes[i] = make_file(sb.root, name, 1);
		fs_fsync(inodes[i], NULL, false);
	}
	h = open_as(&fx_root, "files", O_RDONLY, &err);
	text = read_all(h, 1 << 20, &len);
	CU_ASSERT(len > 400 * 240);
	again = read_all(h, 997, &len2);
	CU_ASSERT_EQUAL(len2, len);
	CU_ASSERT(!memcmp(text, again, len));
	for (unsigned int i = 0; i < 400; i++) {
		char *at;

		snprintf(name, sizeof(name), "/%0240u\n", i);
		at = strstr(text, name);
		CU_ASSERT_PTR_NOT_NULL(at);
		if (at)
			CU_ASSERT_PTR_NULL(strstr(at + 1, name));
		iput(inodes[i]);
	}
	/* Back to a part that is gone. */
	CU_ASSERT_EQUAL(ctl_read(h, again, 10, 5), 10);
	CU_ASSERT(!memcmp(again, text + 5, 10));
	free(text);
	free(again);
	ctl_release(h);
	fixture_end();
}

static void long_paths_keep_their_end(void)
{
	struct inode *dir = NULL, *next, *inode;
	char name[251], buf[PATH_MAX];
	const char *path;

	fixture_begin();
	memset(name, 'n', 250);
	name[250] = '\0';
	dir = sb.root;
	ihold(dir);
	for (int i = 0; i < 20; i++) {
		next = fx_mkdir(dir, name);
		BUG_ON(!next);
		iput(dir);
		dir = next;
	}
	inode = fx_create(dir, "end");
	path = inode_path(inode, buf, sizeof(buf));
	CU_ASSERT_PTR_NOT_NULL_FATAL(path);
	CU_ASSERT_EQUAL(path[0], '/');
	CU_ASSERT(strlen(path) > PATH_MAX - 300);
	CU_ASSERT_STRING_EQUAL(path + strlen(path) - 6, "nn/end");
	CU_ASSERT_STRING_EQUAL(inode_path(sb.root, buf, sizeof(buf)), "/");
	iput(inode);
	iput(dir);
	fixture_end();
}

/* ---- drop_caches ---- */

static void drop_caches_drops(void)
{
	struct file_line *f = malloc(sizeof(*f));
	struct inode *inode;
	unsigned long nr;

	fixture_begin();
	inode = make_file(sb.root, "f", 8);
	CU_ASSERT_EQUAL(write_text("vm/drop_caches", "1\n"), 2);
	CU_ASSERT(files_line("/f", f));		/* dirty pages stay */
	CU_ASSERT_EQUAL(f->cached, 32);
	fs_fsync(inode, NULL, false);
	CU_ASSERT_EQUAL(write_text("vm/drop_caches", "2\n"), 2);
	CU_ASSERT(files_line("/f", f));		/* it is in use */
	CU_ASSERT_EQUAL(write_text("vm/drop_caches", "1\n"), 2);
	CU_ASSERT_FALSE(files_line("/f", f));
	iput(inode);
	nr = nr_inodes();
	CU_ASSERT_EQUAL(write_text("vm/drop_caches", "1\n"), 2);
	CU_ASSERT_EQUAL(nr_inodes(), nr);
	CU_ASSERT_EQUAL(write_text("vm/drop_caches", "3"), 1);
	CU_ASSERT(nr_inodes() < nr);
	CU_ASSERT_EQUAL(write_text("vm/drop_caches", "9"), -EINVAL);
	fixture_end();
	free(f);
}

/* ---- maps and smaps ---- */

static struct inode *mapped_inode;
static char maps_path[32], smaps_path[32];

static void up_mapped(struct fclient *c, bool writable)
{
	fixture_begin();
	sb.opts.mountpoint = "/the mnt";
	mapped_inode = make_file(sb.root, "f", PAGES);
	fs_fsync(mapped_inode, NULL, false);
	BUG_ON(!fclient_map_inode(c, mapped_inode, writable, LEN));
	snprintf(maps_path, sizeof(maps_path), "maps/%d", getpid());
	snprintf(smaps_path, sizeof(smaps_path), "smaps/%d", getpid());
}

static void down_mapped(void)
{
	iput(mapped_inode);
	fixture_end();
}

static void maps_have_linuxs_format(void)
{
	char want[256];
	struct fclient c;
	const char *text;
	int len;

	up_mapped(&c, true);
	len = snprintf(want, sizeof(want),
		       "%08lx-%08lx rw-s 00000000 00:00 %llu ", c.addr,
		       c.addr + LEN, (unsigned long long)mapped_inode->i_ino);
	snprintf(want + len, sizeof(want) - (size_t)len, "%*s/the mnt/f\n",
		 73 - len, "");
	CU_ASSERT_STRING_EQUAL(text_of(maps_path), want);
	CU_ASSERT_EQUAL(fs_unlink(sb.root, "f"), 0);
	text = text_of(maps_path);
	CU_ASSERT_PTR_NOT_NULL(strstr(text, " /the mnt/ (deleted)\n"));
	fclient_unmap(&c);
	CU_ASSERT_EQUAL(walk(maps_path), 0);
	CU_ASSERT_EQUAL(walk(smaps_path), 0);
	down_mapped();
}

static unsigned long smaps_kb(const char *name)
{
	const char *at = strstr(text_of(smaps_path), name);
	unsigned long kb = 12345;

	CU_ASSERT_PTR_NOT_NULL(at);
	if (at)
		CU_ASSERT_EQUAL(sscanf(at + strlen(name), " %lu kB\n", &kb), 1);
	return kb;
}

static void smaps_tell_pages_apart(void)
{
	struct mem_size_stats mss;
	struct fclient c, d;
	char byte = 0;

	up_mapped(&c, true);
	CU_ASSERT(fclient_store(&c, PAGE_POS(3), "new", 3));
	CU_ASSERT(fclient_load(&c, PAGE_POS(9), &byte, 1));
	CU_ASSERT_EQUAL(smaps_kb("\nSize:"), LEN / 1024);
	CU_ASSERT_EQUAL(smaps_kb("\nRss:") * 1024,
			atomic_load(&c.mm->rss) * PAGE_SIZE);
	CU_ASSERT_EQUAL(smaps_kb("\nPss:"), smaps_kb("\nRss:"));
	CU_ASSERT_EQUAL(smaps_kb("\nPrivate_Dirty:"), 4);
	CU_ASSERT_EQUAL(smaps_kb("\nPrivate_Clean:"), smaps_kb("\nRss:") - 4);
	CU_ASSERT_EQUAL(smaps_kb("\nShared_Dirty:"), 0);
	CU_ASSERT_EQUAL(smaps_kb("\nLocked:"), 0);
	CU_ASSERT_PTR_NOT_NULL(strstr(text_of(smaps_path),
				      "\nVmFlags: rd wr sh mr mw me uw \n"));

	/* Another one shares the dirty page, and only that. */
	BUG_ON(!fclient_map_inode(&d, mapped_inode, true, LEN));
	CU_ASSERT(fclient_store(&d, PAGE_POS(3), "too", 3));
	down_read(&c.mm->mmap_lock);
	smap_gather(c.mm->mmap, &mss);
	up_read(&c.mm->mmap_lock);
	CU_ASSERT_EQUAL(mss.resident, atomic_load(&c.mm->rss) * PAGE_SIZE);
	CU_ASSERT_EQUAL(mss.shared_dirty + mss.private_dirty, PAGE_SIZE);
	CU_ASSERT_EQUAL(mss.shared_dirty, PAGE_SIZE);
	CU_ASSERT_EQUAL(mss.pss_dirty, (PAGE_SIZE / 2) << PSS_SHIFT);
	CU_ASSERT_EQUAL(mss.shared_clean + mss.private_clean,
			mss.resident - PAGE_SIZE);
	fclient_unmap(&d);
	CU_ASSERT_EQUAL(smaps_kb("\nShared_Dirty:"), 0);
	CU_ASSERT_EQUAL(smaps_kb("\nPrivate_Dirty:"), 4);
	fclient_unmap(&c);
	down_mapped();
}

/* At addresses of their own, far apart. */
#define NR_VMAS		10000u
#define VMA_ADDR(i)	(0x200000000UL + (i) * 2 * PAGE_SIZE)

static void ten_thousand_vmas_are_all_there(void)
{
	struct fclient c;
	struct ctl_handle *h;
	unsigned int lines = 0;
	unsigned long at;
	char *text, *again, want[32];
	size_t len, len2;
	int err;

	up_mapped(&c, false);
	for (unsigned int i = 0; i < NR_VMAS; i++)
		BUG_ON(do_mmap(c.mm, c.file, VMA_ADDR(i), PAGE_SIZE,
			       VM_READ | VM_SHARED, 1, MAP_HERE, &at));
	h = open_as(&fx_root, maps_path, O_RDONLY, &err);
	text = read_all(h, 1 << 17, &len);
	again = read_all(h, 4099, &len2);
	CU_ASSERT_EQUAL(len2, len);
	CU_ASSERT(!memcmp(text, again, min(len, len2)));
	for (char *p = text; (p = strchr(p, '\n')); p++) {
		if (lines < NR_VMAS) {
			snprintf(want, sizeof(want), "%08lx-",
				 VMA_ADDR(lines));
			CU_ASSERT_EQUAL(strncmp(p + 1, want, strlen(want)), 0);
		}
		lines++;
	}
	CU_ASSERT_EQUAL(lines, NR_VMAS + 1);
	free(text);
	free(again);
	ctl_release(h);
	h = open_as(&fx_root, smaps_path, O_RDONLY, &err);
	text = read_all(h, 1 << 17, &len);
	lines = 0;
	for (char *p = text; (p = strstr(p, "\nVmFlags: ")); p++)
		lines++;
	CU_ASSERT_EQUAL(lines, NR_VMAS + 1);
	free(text);
	ctl_release(h);
	do_munmap(c.mm, VMA_ADDR(0), NR_VMAS * 2 * PAGE_SIZE);
	fclient_unmap(&c);
	down_mapped();
}

static void maps_are_their_users_own(void)
{
	const struct fs_cred self = { geteuid(), getegid() };
	struct fclient c;
	struct stat st;

	up_mapped(&c, false);
	CU_ASSERT_EQUAL(ctl_getattr(walk(maps_path), &st), 0);
	CU_ASSERT_EQUAL(st.st_uid, geteuid());
	CU_ASSERT_EQUAL(st.st_mode, S_IFREG | 0400);
	CU_ASSERT_EQUAL(try_open(&self, maps_path, O_RDONLY), 0);
	CU_ASSERT_EQUAL(try_open(&fx_root, smaps_path, O_RDONLY), 0);
	CU_ASSERT_EQUAL(try_open(&nobody, maps_path, O_RDONLY), -EACCES);
	CU_ASSERT_EQUAL(try_open(&nobody, smaps_path, O_RDONLY), -EACCES);
	CU_ASSERT_EQUAL(try_open(&fx_root, maps_path, O_WRONLY), -EACCES);
	CU_ASSERT_EQUAL(check_dir(walk("maps"), walk("")), 1);
	CU_ASSERT_EQUAL(check_dir(walk("smaps"), walk("")), 1);
	fclient_unmap(&c);
	down_mapped();
}

/* A client that goes is waited for by nobody, and its maps end. */
static void maps_outlive_their_client(void)
{
	struct ctl_handle *h;
	struct fclient c;
	char buf[64];
	int err;

	up_mapped(&c, false);
	h = open_as(&fx_root, maps_path, O_RDONLY, &err);
	CU_ASSERT_EQUAL(ctl_read(h, buf, 10, 0), 10);
	fclient_unmap(&c);
	CU_ASSERT(ctl_read(h, buf, 10, 10) == 10);	/* as it was */
	CU_ASSERT_EQUAL(ctl_read(h, buf, 10, 0), 0);
	ctl_release(h);
	down_mapped();
}

/* Who holds the lock may be waiting for the kernel, and so for the reader. */
static void a_busy_mm_is_not_waited_for_for_ever(void)
{
	struct ctl_handle *h;
	struct fclient c;
	char buf[64];
	int err;

	up_mapped(&c, false);
	h = open_as(&fx_root, maps_path, O_RDONLY, &err);
	/* By another thread it would be; lockdep sees a trylock here. */
	pthread_rwlock_wrlock(&c.mm->mmap_lock.rw);
	CU_ASSERT_EQUAL(ctl_read(h, buf, sizeof(buf), 0), -EAGAIN);
	pthread_rwlock_unlock(&c.mm->mmap_lock.rw);
	CU_ASSERT(ctl_read(h, buf, sizeof(buf), 0) > 0);
	ctl_release(h);
	fclient_unmap(&c);
	down_mapped();
}

/* ---- diskstats ---- */

struct disk_line {
	unsigned long rd_ios, rd_sectors, wr_ios, wr_sectors;
};

/* What of it has been so since the start of this process. */
static struct disk_line disk_line(void)
{
	struct disk_line d = { 0 };
	unsigned int major, minor;
	char name[64], nl = 0;
	int n;

	n = sscanf(text_of("diskstats"),
		   "%u %u %63s %lu 0 %lu 0 %lu 0 %lu 0 0 0 0 0 0 0 0 0 0%c",
		   &major, &minor, name, &d.rd_ios, &d.rd_sectors, &d.wr_ios,
		   &d.wr_sectors, &nl);
	CU_ASSERT_EQUAL(n, 8);
	CU_ASSERT_EQUAL(nl, '\n');
	return d;
}

static void diskstats_count_io(void)
{
	struct disk_line before, after;
	struct inode *inode;

	fixture_begin();
	before = disk_line();
	inode = make_file(sb.root, "f", 8);
	fs_fsync(inode, NULL, false);
	after = disk_line();
	CU_ASSERT_EQUAL(after.rd_ios, before.rd_ios);
	CU_ASSERT(after.wr_ios > before.wr_ios);
	CU_ASSERT_EQUAL(after.wr_sectors - before.wr_sectors,
			8 * PAGE_SIZE / 512);
	iput(inode);
	fixture_end();
}

/* ---- the live page ---- */

static bool http_is(const char *want)
{
	struct ctl_handle *h;
	char *text;
	size_t len;
	bool same;
	int err;

	h = open_as(&nobody, "http", O_RDONLY, &err);
	if (!h)
		return false;
	text = read_all(h, 4096, &len);
	same = !strcmp(text, want);
	free(text);
	ctl_release(h);
	return same;
}

static void http_says_where(void)
{
	char long_url[300];

	fixture_begin();
	CU_ASSERT(http_is(""));
	fs_set_http("http://127.0.0.1:8080/");
	CU_ASSERT(http_is("http://127.0.0.1:8080/\n"));
	memset(long_url, 'x', sizeof(long_url) - 1);
	long_url[sizeof(long_url) - 1] = '\0';
	fs_set_http(long_url);
	CU_ASSERT(http_is(""));
	fs_set_http(NULL);
	CU_ASSERT(http_is(""));
	fixture_end();
}

static void devices_are_counted(void)
{
	struct fs_device before, after;
	struct inode *inode;

	fixture_begin();
	CU_ASSERT(fs_get_device(0, &before));
	CU_ASSERT(!fs_get_device(1, &after));
	CU_ASSERT(before.name[0] && before.bandwidth);
	inode = make_file(sb.root, "f", PAGES);
	CU_ASSERT_EQUAL(fs_fsync(inode, NULL, false), 0);
	CU_ASSERT(fs_get_device(0, &after));
	CU_ASSERT(after.writes > before.writes);
	CU_ASSERT_EQUAL(after.written_bytes - before.written_bytes, LEN);
	CU_ASSERT_EQUAL(after.writeback_bytes, 0);
	CU_ASSERT_EQUAL(after.errors, before.errors);
	iput(inode);
	fixture_end();
}

/* ---- advice, sync ---- */

static void advice_lists_who_has_a_policy(void)
{
	static const struct fs_cred owner = { 1234, 1234 };
	struct inode *inode, *other;
	unsigned long nr = 0;
	char *line;

	fixture_begin();
	other = make_file(sb.root, "other", 1);
	inode = fx_create(sb.root, "a b");	/* without a page */
	CU_ASSERT_STRING_EQUAL(text_of("advice"), "ino policy path\n");
	CU_ASSERT_EQUAL(fs_advise(inode, &fx_root, FADV_RANDOM, &nr), 0);
	CU_ASSERT_EQUAL(fs_advise(inode, &nobody, FADV_NOREUSE, &nr), -EPERM);
	CU_ASSERT_EQUAL(fs_advise(inode, &owner, FADV_NORMAL, &nr), -EPERM);
	CU_ASSERT_EQUAL(fs_advise(inode, &nobody, NR_FADVISE, &nr), 0);
	CU_ASSERT_EQUAL(fs_advise(other, &nobody, FADV_WILLNEED, &nr), 0);
	CU_ASSERT_EQUAL(nr, 1);
	CU_ASSERT_EQUAL(fs_fsync(other, NULL, false), 0);
	CU_ASSERT_EQUAL(fs_advise(other, &nobody, FADV_DONTNEED, &nr), 0);
	CU_ASSERT_EQUAL(nr, 1);
	CU_ASSERT_EQUAL(other->i_data.nrpages, 0);
	inode->i_uid = owner.uid;
	CU_ASSERT_EQUAL(fs_advise(inode, &owner, FADV_NOREUSE, &nr), 0);
	BUG_ON(asprintf(&line, "ino policy path\n%llu random,noreuse /a\\040b\n",
			(unsigned long long)inode->i_ino) < 0);
	CU_ASSERT_STRING_EQUAL(text_of("advice"), line);
	CU_ASSERT_EQUAL(fs_advise(inode, &owner, FADV_NORMAL, &nr), 0);
	CU_ASSERT_STRING_EQUAL(text_of("advice"), "ino policy path\n");
	CU_ASSERT_EQUAL(try_open(&nobody, "advice", O_RDONLY), -EACCES);
	free(line);
	iput(other);
	iput(inode);
	fixture_end();
}

static ssize_t write_as(const struct fs_cred *cred, const char *path,
			const char *text)
{
	int err;
	struct ctl_handle *h = open_as(cred, path, O_WRONLY, &err);
	ssize_t n;

	if (!h)
		return err;
	n = ctl_write(h, text, strlen(text), 0);
	ctl_release(h);
	return n;
}

/* @name in the backing directory, as long as its @pages say? */
static bool store_has(const char *name, unsigned int pages)
{
	struct stat st;

	return !fstatat(fx_fd, name, &st, 0) && st.st_size == PAGE_POS(pages);
}

static void sync_writes_everything(void)
{
	struct inode *a, *b;

	fixture_begin();
	write_text("vm/dirty_writeback_centisecs", "0");
	a = make_file(sb.root, "a", 3);
	b = make_file(sb.root, "b", 5);
	CU_ASSERT_FALSE(store_has("a", 3));
	CU_ASSERT_EQUAL(write_as(&nobody, "sync", "2"), -EINVAL);
	CU_ASSERT_EQUAL(write_as(&nobody, "sync", ""), -EINVAL);
	CU_ASSERT_EQUAL(write_as(&nobody, "sync", "11"), -EINVAL);
	CU_ASSERT_FALSE(store_has("a", 3));
	CU_ASSERT_EQUAL(try_open(&fx_root, "sync", O_RDONLY), -EACCES);
	CU_ASSERT_EQUAL(write_as(&nobody, "sync", "1\n"), 2);
	CU_ASSERT(store_has("a", 3) && store_has("b", 5));
	CU_ASSERT_FALSE(inode_is_dirty(a) || inode_is_dirty(b));
	CU_ASSERT(fx_write(a, "again"));
	backing_fail(BACKING_WRITE, 1, -EIO);
	CU_ASSERT_EQUAL(write_as(&fx_root, "sync", "1"), -EIO);
	backing_fail(BACKING_WRITE, 0, 0);
	CU_ASSERT_EQUAL(write_as(&fx_root, "sync", "1"), 1);
	/* Whoever has the file open hears of it all the same. */
	CU_ASSERT_EQUAL(fs_fsync(a, NULL, false), -EIO);
	CU_ASSERT_EQUAL(fs_fsync(a, NULL, false), 0);
	write_text("vm/dirty_writeback_centisecs", "500");
	iput(a);
	iput(b);
	fixture_end();
}

static const struct test_case cases[] = {
	{ "listings and lookups agree", listings_and_lookups_agree },
	{ "attributes stay as they are", attributes_stay },
	{ "who may read and write what", who_may_what },
	{ "a read at 0 is a new one", reading_at_0_is_reading_anew },
	{ "a write is one value", writes_are_one_value },
	{ "the dirty thresholds follow the numbers",
	  thresholds_follow_the_numbers },
	{ "files says what is cached, dirty, and how old",
	  files_say_what_is_cached },
	{ "files says what they are called now", files_follow_their_names },
	{ "looking at files uses none of them", looking_at_files_uses_none },
	{ "many files are met once each", many_files_are_met_once },
	{ "a path that is too long keeps its end", long_paths_keep_their_end },
	{ "drop_caches drops what is clean", drop_caches_drops },
	{ "maps has Linux's format", maps_have_linuxs_format },
	{ "smaps tells shared, private, clean and dirty pages apart",
	  smaps_tell_pages_apart },
	{ "ten thousand mappings are all there",
	  ten_thousand_vmas_are_all_there },
	{ "maps is for its client's user and root", maps_are_their_users_own },
	{ "maps ends when its client does", maps_outlive_their_client },
	{ "a busy client is not waited for without end",
	  a_busy_mm_is_not_waited_for_for_ever },
	{ "diskstats counts requests", diskstats_count_io },
	{ "advice lists who has a policy, which not everybody may set",
	  advice_lists_who_has_a_policy },
	{ "sync writes everything, for everybody", sync_writes_everything },
	{ "http says where the live page is", http_says_where },
	{ "devices are counted", devices_are_counted },
};

int main(void)
{
	return test_main("fs/ctl", cases, ARRAY_SIZE(cases));
}
