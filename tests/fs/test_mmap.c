// SPDX-License-Identifier: BSD-2-Clause
/*
 * tests/fs/test_mmap.c - fs/mmap.c, and what mapped files are to fs/file.c and
 *                        fs/space.c, without a mount
 *
 *   client: fclient.c      kernel above: fixture.c      store: a real directory
 *
 * With the kernel above, tests/fs/test_mount_map.c.
 */
#include <fcntl.h>
#include <limits.h>
#include <linux/falloc.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <unistd.h>

#include "fclient.h"
#include "fixture.h"
#include "pagefs_fs.h"
#include "window.h"

#define PAGES	16
#define LEN	(PAGES * PAGE_SIZE)
#define PAGE_POS(i)	((loff_t)(i) * (loff_t)PAGE_SIZE)

static struct inode *inode;
static struct fclient c;

/* A file of LEN bytes, page i full of 'a' + i, in the store and not cached. */
static void make_file(void)
{
	char page[PAGE_SIZE];
	int fd = openat(fx_fd, "f", O_RDWR | O_CREAT, 0644);

	BUG_ON(fd < 0);
	for (int i = 0; i < PAGES; i++) {
		memset(page, 'a' + i, sizeof(page));
		BUG_ON(pwrite(fd, page, sizeof(page), PAGE_POS(i)) != PAGE_SIZE);
	}
	close(fd);
}

static void up(void)
{
	fixture_begin();
	make_file();
	inode = fx_walk("f");
	BUG_ON(!inode);
}

static void up_mapped(bool writable)
{
	up();
	BUG_ON(!fclient_map_inode(&c, inode, writable, LEN));
}

static void down(void)
{
	CU_ASSERT_EQUAL(inode->i_opens, 0);
	CU_ASSERT(!inode_has_clients(inode));
	iput(inode);
	fixture_end();
}

static void down_mapped(void)
{
	fclient_unmap(&c);
	down();
}

/* Has the backing file @want at @pos? */
static bool store_has(loff_t pos, const char *want, size_t len)
{
	char buf[PAGE_SIZE];
	int fd = openat(fx_fd, "f", O_RDONLY);
	ssize_t n = pread(fd, buf, len, pos);

	close(fd);
	return n == (ssize_t)len && !memcmp(buf, want, len);
}

static struct page *cached(pgoff_t index)
{
	struct page *page = find_get_page(&inode->i_data, index);

	if (page)
		put_page(page);
	return page;
}

/* A page of the arena leaves the cache, once its I/O has ended. */
static void uncache(pgoff_t index)
{
	while (cached(index))
		invalidate_mapping_pages(&inode->i_data, index, index);
}

/* What a READ of the kernel's page cache does with page @index. */
static bool kernel_reads(pgoff_t index, char *buf)
{
	struct page *page;
	size_t bytes;
	pfn_t pfn;
	int err;

	inode_note_copies(inode, PAGE_POS(index), PAGE_SIZE);
	if (filemap_get_pages(&inode->i_data, NULL, PAGE_POS(index), PAGE_SIZE,
			      &page, 1, &bytes) != 1)
		return false;
	err = page_hold_bytes(page, true, &pfn);
	if (!err) {
		memcpy(buf, pfn_to_virt(pfn), PAGE_SIZE);
		page_release_bytes(page, pfn);
	}
	put_page(page);
	return !err;
}

static struct open_file *open_it(int flags)
{
	struct open_file *file = NULL;

	CU_ASSERT_EQUAL(fs_open(inode, &fx_root, flags, &file), 0);
	return file;
}

static ssize_t write_it(loff_t pos, const char *text)
{
	struct open_file *file = open_it(O_RDWR);
	ssize_t n = fs_write(file, &fx_root, pos, text, strlen(text));

	fs_release(file);
	return n;
}

/* ---- vm_files ---- */

static void one_per_mode(void)
{
	struct vm_file *a, *b, *ro;

	up();
	CU_ASSERT_EQUAL(inode_get_vm_file(inode, true, &a), 0);
	CU_ASSERT_EQUAL(inode_get_vm_file(inode, true, &b), 0);
	CU_ASSERT_EQUAL(inode_get_vm_file(inode, false, &ro), 0);
	CU_ASSERT_PTR_EQUAL(a, b);
	CU_ASSERT_PTR_NOT_EQUAL(a, ro);
	CU_ASSERT(a->f_writable && !ro->f_writable);
	CU_ASSERT_EQUAL(fs_file_nodeid(a), inode->i_nodeid);
	CU_ASSERT_EQUAL(inode->i_opens, 2);
	put_vm_file(a);
	CU_ASSERT(inode_has_clients(inode));
	put_vm_file(b);
	put_vm_file(ro);
	down();
}

#define RACERS	4
#define ROUNDS	20000	/* 0.1 s here; a few hundred last puts meet a get */

static void *get_and_put(void *arg)
{
	struct vm_file *file, *again;
	long bad = 0;

	(void)arg;
	for (int i = 0; i < ROUNDS; i++) {
		bool writable = i & 1;

		if (inode_get_vm_file(inode, writable, &file)) {
			bad++;
			continue;
		}
		bad += file->f_writable != writable;
		if (inode_get_vm_file(inode, writable, &again)) {
			bad++;
		} else {
			bad += again != file;
			put_vm_file(again);
		}
		put_vm_file(file);
	}
	return (void *)bad;
}

static void gets_race_last_puts(void)
{
	pthread_t thread[RACERS];
	void *bad;

	up();
	for (int i = 0; i < RACERS; i++)
		BUG_ON(pthread_create(&thread[i], NULL, get_and_put, NULL));
	for (int i = 0; i < RACERS; i++) {
		pthread_join(thread[i], &bad);
		CU_ASSERT_PTR_NULL(bad);
	}
	down();
}

static void unlinked_file_works(void)
{
	up_mapped(true);
	CU_ASSERT(fclient_store(&c, 10, "before", 6));
	CU_ASSERT_EQUAL(fs_unlink(sb.root, "f"), 0);
	iput(inode);			/* the mapping alone holds it */
	CU_ASSERT(fclient_has(&c, 10, "before", 6));
	CU_ASSERT(fclient_store(&c, PAGE_POS(3), "after", 5));
	CU_ASSERT(fclient_has(&c, PAGE_POS(3), "afterd", 6));
	CU_ASSERT_EQUAL(fs_msync(c.file, 0, LEN, NULL), 0);
	fclient_unmap(&c);
	CU_ASSERT_EQUAL(nr_inodes(), 1);	/* the root */
	fixture_end();
}

/* A client's memory is written back when the file system goes. */
static void stores_survive_the_end(void)
{
	up_mapped(true);
	CU_ASSERT(fclient_store(&c, PAGE_POS(5) + 7, "kept", 4));
	fclient_unmap(&c);
	iput(inode);
	fixture_end_keep();
	CU_ASSERT(store_has(PAGE_POS(5) + 7, "kept", 4));
	fixture_again();
	fixture_end();
}

/* ---- copies of the kernel's ---- */

static void mapping_writable_drops_all_copies(void)
{
	struct vm_file *file;

	up();
	CU_ASSERT_EQUAL(inode_get_vm_file(inode, false, &file), 0);
	CU_ASSERT_EQUAL(atomic_load(&fx_kernel.nr_data), 0);
	CU_ASSERT(!inode_is_tracked(inode));
	put_vm_file(file);
	atomic_store(&fx_kernel.refuse, -EIO);
	CU_ASSERT_EQUAL(inode_get_vm_file(inode, true, &file), -EIO);
	atomic_store(&fx_kernel.refuse, 0);
	CU_ASSERT_EQUAL(inode_get_vm_file(inode, true, &file), 0);
	CU_ASSERT_EQUAL(atomic_load(&fx_kernel.nr_data), 2);
	CU_ASSERT(inode_is_tracked(inode));
	put_vm_file(file);
	CU_ASSERT_EQUAL(inode_get_vm_file(inode, true, &file), 0);
	CU_ASSERT_EQUAL(atomic_load(&fx_kernel.nr_data), 2);
	put_vm_file(file);
	down();
}

static loff_t asked_pos, asked_len;

static void note_asked(uint64_t nodeid, loff_t pos, loff_t len)
{
	CU_ASSERT_EQUAL(nodeid, inode->i_nodeid);
	asked_pos = pos;
	asked_len = len;
}

static void store_drops_the_copy(void)
{
	char buf[PAGE_SIZE];

	up_mapped(true);
	CU_ASSERT(fclient_store(&c, PAGE_POS(2), "x", 1));
	CU_ASSERT_EQUAL(atomic_load(&fx_kernel.nr_data), 1);	/* tracking */
	CU_ASSERT(kernel_reads(2, buf));
	CU_ASSERT(!memcmp(buf, "xcc", 3));
	CU_ASSERT(!fclient_may_write(&c, PAGE_POS(2)));
	fx_kernel.asked = note_asked;
	CU_ASSERT(fclient_store(&c, PAGE_POS(2) + 1, "y", 1));
	CU_ASSERT_EQUAL(atomic_load(&fx_kernel.nr_data), 2);
	CU_ASSERT_EQUAL(asked_pos, PAGE_POS(2));
	CU_ASSERT_EQUAL(asked_len, PAGE_SIZE);
	/* Once: there is no copy now. */
	CU_ASSERT_EQUAL(fs_msync(c.file, 0, LEN, NULL), 0);
	CU_ASSERT(!fclient_may_write(&c, PAGE_POS(2)));
	CU_ASSERT(fclient_store(&c, PAGE_POS(2) + 2, "z", 1));
	CU_ASSERT_EQUAL(atomic_load(&fx_kernel.nr_data), 2);
	down_mapped();
}

static void refused_drop_is_sigbus(void)
{
	char buf[PAGE_SIZE];

	up_mapped(true);
	CU_ASSERT(kernel_reads(2, buf));
	atomic_store(&fx_kernel.refuse, -EIO);
	CU_ASSERT(!fclient_store(&c, PAGE_POS(2), "x", 1));
	CU_ASSERT(page_test(cached(2), PG_kcached));
	atomic_store(&fx_kernel.refuse, 0);
	CU_ASSERT(fclient_store(&c, PAGE_POS(2), "x", 1));
	down_mapped();
}

/* A READ that comes while the copy is being dropped. */
static void read_again(uint64_t nodeid, loff_t pos, loff_t len)
{
	char buf[PAGE_SIZE];

	(void)nodeid, (void)len;
	fx_kernel.asked = NULL;
	CU_ASSERT(kernel_reads(pos >> PAGE_SHIFT, buf));
}

static void copy_made_meanwhile_goes_too(void)
{
	char buf[PAGE_SIZE];

	up_mapped(true);
	CU_ASSERT(kernel_reads(4, buf));
	fx_kernel.asked = read_again;
	CU_ASSERT(fclient_store(&c, PAGE_POS(4), "x", 1));
	CU_ASSERT_EQUAL(atomic_load(&fx_kernel.nr_data), 3);
	CU_ASSERT(!page_test(cached(4), PG_kcached));
	down_mapped();
}

static void copies_outlive_pages(void)
{
	char buf[PAGE_SIZE];

	up_mapped(true);
	CU_ASSERT(kernel_reads(4, buf));
	uncache(4);
	CU_ASSERT(fclient_store(&c, PAGE_POS(4), "x", 1));
	CU_ASSERT_EQUAL(atomic_load(&fx_kernel.nr_data), 2);
	down_mapped();
}

static void cached_write_is_a_copy(void)
{
	struct open_file *file;

	up_mapped(true);
	file = open_it(O_RDWR);
	CU_ASSERT(fclient_store(&c, PAGE_POS(1), "x", 1));
	CU_ASSERT_EQUAL(fs_write(file, &fx_root, PAGE_POS(1) + 1, "y", 1), 1);
	CU_ASSERT(fclient_may_write(&c, PAGE_POS(1)));
	CU_ASSERT_EQUAL(fs_write_kcached(file, &fx_root, PAGE_POS(1) + 2, "z",
					 1), 1);
	CU_ASSERT(!fclient_may_write(&c, PAGE_POS(1)));
	CU_ASSERT(fclient_has(&c, PAGE_POS(1), "xyzb", 4));
	CU_ASSERT(fclient_store(&c, PAGE_POS(1), "v", 1));
	CU_ASSERT_EQUAL(atomic_load(&fx_kernel.nr_data), 2);
	fs_release(file);
	down_mapped();
}

/* ---- opens ---- */

static void opens_are_direct_while_clients_write(void)
{
	struct open_file *before, *during, *after;

	up();
	sb.direct_mmap = true;
	before = open_it(O_RDWR);
	CU_ASSERT(fclient_map_inode(&c, inode, true, LEN));
	during = open_it(O_RDONLY);
	fclient_unmap(&c);
	CU_ASSERT(fclient_map_inode(&c, inode, false, LEN));
	after = open_it(O_RDWR);
	CU_ASSERT(!before->direct);
	CU_ASSERT(during->direct);
	CU_ASSERT(!after->direct);
	fs_release(before);
	fs_release(during);
	fs_release(after);
	down_mapped();
}

/* Where a direct handle could not be mapped, all stay cached, and tracked. */
static void old_kernels_cache_all(void)
{
	struct open_file *file;

	up_mapped(true);
	sb.direct_mmap = false;
	file = open_it(O_RDWR);
	CU_ASSERT(!file->direct);
	fs_release(file);
	down_mapped();
}

static void gathering_kernel_keeps_clients_out(void)
{
	struct open_file *writer, *reader, *direct;
	struct vm_file *file;

	up();
	sb.opts.cache = FS_CACHE_WRITEBACK;
	sb.direct_mmap = true;
	reader = open_it(O_RDONLY);
	writer = open_it(O_WRONLY);
	CU_ASSERT_EQUAL(inode_get_vm_file(inode, false, &file), -EBUSY);
	CU_ASSERT_EQUAL(inode_get_vm_file(inode, true, &file), -EBUSY);
	CU_ASSERT_EQUAL(atomic_load(&fx_kernel.nr_data), 0);
	fs_release(writer);
	direct = open_it(O_RDWR | O_DIRECT);
	CU_ASSERT(direct->direct);
	CU_ASSERT_EQUAL(inode_get_vm_file(inode, false, &file), 0);
	writer = open_it(O_RDWR);
	CU_ASSERT(writer->direct);
	put_vm_file(file);
	fs_release(writer);
	fs_release(direct);
	fs_release(reader);
	CU_ASSERT_EQUAL(inode->i_writers, 0);
	down();
}

/* ---- times ---- */

static struct timespec mtime(void)
{
	struct stat st;

	CU_ASSERT_EQUAL(fs_getattr(inode, &st), 0);
	return st.st_mtim;
}

static void stores_are_seen_in_mtime(void)
{
	struct timespec old, first, second, backing;
	struct stat st;

	up_mapped(true);
	old = mtime();
	wait_for_tick();
	CU_ASSERT(fclient_store(&c, 0, "x", 1));
	first = mtime();
	CU_ASSERT(!timespec_equal(&old, &first));
	CU_ASSERT_EQUAL(atomic_load(&fx_kernel.nr_attr_wait), 0);
	CU_ASSERT_EQUAL(fs_msync(c.file, 0, LEN, NULL), 0);
	CU_ASSERT_EQUAL(atomic_load(&fx_kernel.nr_attr_wait), 1);
	CU_ASSERT_EQUAL(fs_msync(c.file, 0, LEN, NULL), 0);
	CU_ASSERT_EQUAL(atomic_load(&fx_kernel.nr_attr_wait), 1);
	wait_for_tick();
	CU_ASSERT(fclient_store(&c, 0, "y", 1));
	second = mtime();
	CU_ASSERT(!timespec_equal(&first, &second));
	/* An fsync through the mount may only have it queued. */
	CU_ASSERT_EQUAL(fs_fsync(inode, NULL, true), 0);
	CU_ASSERT_EQUAL(atomic_load(&fx_kernel.nr_attr), 1);
	CU_ASSERT_EQUAL(fs_fsync(inode, NULL, false), 0);
	CU_ASSERT_EQUAL(atomic_load(&fx_kernel.nr_attr), 1);
	CU_ASSERT_EQUAL(fstatat(fx_fd, "f", &st, 0), 0);
	backing = st.st_mtim;
	CU_ASSERT(timespec_equal(&second, &backing));
	fclient_unmap(&c);
	CU_ASSERT_EQUAL(atomic_load(&fx_kernel.nr_attr_wait), 2);
	down();
}

/* Between page_mkwrite and the page's becoming dirty a flusher stores times. */
static void store_times_now(uint64_t nodeid, loff_t pos, loff_t len)
{
	(void)nodeid, (void)pos, (void)len;
	CU_ASSERT_EQUAL(fs_sync(), 0);
}

static void late_writeback_keeps_mtime(void)
{
	struct timespec stored;
	struct stat st;
	char buf[PAGE_SIZE];

	up_mapped(true);
	/* Touched, stored, and only then dirtied: as mm/ sees it, page 1 asks
	 * after page 0 has been touched in the same fault's stead. */
	inode_touch_mapped(inode);
	stored = mtime();
	store_times_now(0, 0, 0);
	CU_ASSERT(kernel_reads(0, buf));
	mutex_lock(&inode->i_lock);
	inode->i_state &= ~I_BLOCKS;
	CU_ASSERT(!(inode->i_state & I_MTIME));
	mutex_unlock(&inode->i_lock);
	set_page_dirty(cached(0));
	wait_for_tick();
	CU_ASSERT_EQUAL(fs_sync(), 0);
	CU_ASSERT_EQUAL(fstatat(fx_fd, "f", &st, 0), 0);
	CU_ASSERT(timespec_equal(&stored, &st.st_mtim));
	down_mapped();
}

/* ---- msync ---- */

static void *wait_for_writeback(void *arg)
{
	wait_on_page_writeback(arg);
	return NULL;
}

static void msync_reaches_the_store(void)
{
	pthread_t waiter;

	up_mapped(true);
	CU_ASSERT(fclient_store(&c, PAGE_POS(3) + 5, "sync", 4));
	CU_ASSERT(fclient_store(&c, PAGE_POS(9), "later", 5));
	CU_ASSERT_EQUAL(fs_msync(c.file, PAGE_POS(3), PAGE_SIZE, NULL), 0);
	CU_ASSERT(store_has(PAGE_POS(3) + 5, "sync", 4));
	CU_ASSERT(store_has(PAGE_POS(9), "jjjjj", 5));
	/* It only starts; and goes on without this thread, which sleeps. */
	CU_ASSERT_EQUAL(fs_msync(c.file, PAGE_POS(9), PAGE_SIZE, &c), 0);
	BUG_ON(pthread_create(&waiter, NULL, wait_for_writeback, cached(9)));
	pthread_join(waiter, NULL);
	CU_ASSERT(store_has(PAGE_POS(9), "later", 5));
	down_mapped();
}

static void msync_reports_errors_once(void)
{
	struct fclient other;

	up_mapped(true);
	CU_ASSERT(fclient_map_inode(&other, inode, false, LEN));
	CU_ASSERT(fclient_store(&c, 0, "x", 1));
	backing_fail(BACKING_WRITE, 1, -EIO);
	CU_ASSERT_EQUAL(fs_msync(c.file, 0, LEN, NULL), -EIO);
	backing_fail(BACKING_WRITE, 0, 0);
	CU_ASSERT_EQUAL(fs_msync(c.file, 0, LEN, NULL), 0);
	CU_ASSERT(store_has(0, "xa", 2));
	/* The other way of mapping it has not heard of it. */
	CU_ASSERT_EQUAL(fs_msync(other.file, 0, LEN, NULL), -EIO);
	CU_ASSERT_EQUAL(fs_msync(other.file, 0, LEN, NULL), 0);
	fclient_unmap(&other);
	down_mapped();
}

static void fsync_brings_stores(void)
{
	struct open_file *file;

	up_mapped(true);
	file = open_it(O_RDONLY);
	CU_ASSERT(fclient_store(&c, PAGE_POS(7), "fsync", 5));
	CU_ASSERT_EQUAL(fs_fsync(inode, file, true), 0);
	CU_ASSERT(store_has(PAGE_POS(7), "fsync", 5));
	CU_ASSERT(!fclient_may_write(&c, PAGE_POS(7)));
	fs_release(file);
	down_mapped();
}

/* ---- room ---- */

/* A tmpfs of 8 MiB instead of $TMPDIR; false: it takes root. */
static bool small_store(char *mnt)
{
	const char *tmp = getenv("TMPDIR");

	snprintf(mnt, PATH_MAX, "%s/test_mmap.XXXXXX",
		 tmp && *tmp ? tmp : "/var/tmp");
	BUG_ON(!mkdtemp(mnt));
	if (mount("none", mnt, "tmpfs", 0, "size=8m")) {
		rmdir(mnt);
		return false;
	}
	return true;
}

static void end_small_store(const char *mnt)
{
	CU_ASSERT_EQUAL(umount(mnt), 0);
	rmdir(mnt);
}

static void fill_store(void)
{
	int fd = openat(fx_fd, "filler", O_WRONLY | O_CREAT, 0644);
	char buf[PAGE_SIZE];

	memset(buf, 'f', sizeof(buf));
	while (write(fd, buf, sizeof(buf)) > 0)
		;
	close(fd);
}

static void no_room_is_sigbus(void)
{
	char mnt[PATH_MAX], old[PATH_MAX] = "", zeros[PAGE_SIZE] = "";
	const char *tmp = getenv("TMPDIR");

	if (!small_store(mnt))
		test_skip("mounting a tmpfs needs root");
	snprintf(old, sizeof(old), "%s", tmp ? tmp : "");
	setenv("TMPDIR", mnt, 1);
	up();
	CU_ASSERT_EQUAL(fs_truncate(inode, 2 * LEN), 0);	/* holes */
	CU_ASSERT(fclient_map_inode(&c, inode, true, 2 * LEN));
	fill_store();
	CU_ASSERT(!fclient_store(&c, LEN, "x", 1));
	CU_ASSERT(fclient_has(&c, LEN, zeros, sizeof(zeros)));
	CU_ASSERT(fclient_store(&c, PAGE_POS(2), "x", 1));	/* has blocks */
	CU_ASSERT_EQUAL(unlinkat(fx_fd, "filler", 0), 0);
	CU_ASSERT(fclient_store(&c, LEN, "x", 1));
	fill_store();
	CU_ASSERT_EQUAL(fs_msync(c.file, 0, 2 * LEN, NULL), 0);
	CU_ASSERT_EQUAL(unlinkat(fx_fd, "filler", 0), 0);
	down_mapped();
	if (*old)
		setenv("TMPDIR", old, 1);
	else
		unsetenv("TMPDIR");
	end_small_store(mnt);
}

/* ---- sizes and holes ---- */

static void truncate_under_a_mapping(void)
{
	char zeros[PAGE_SIZE] = "";

	up_mapped(true);
	CU_ASSERT(fclient_store(&c, PAGE_POS(4) + 100, "beyond", 6));
	CU_ASSERT(fclient_store(&c, PAGE_POS(6), "gone", 4));
	CU_ASSERT_EQUAL(fs_truncate(inode, PAGE_POS(4) + 50), 0);
	CU_ASSERT(!fclient_load(&c, PAGE_POS(6), zeros, 1));
	CU_ASSERT(!fclient_store(&c, PAGE_POS(6), "x", 1));
	/* Past the end, in the last page: not the file's, and never will be. */
	CU_ASSERT(fclient_store(&c, PAGE_POS(4) + 200, "stray", 5));
	CU_ASSERT_EQUAL(fs_truncate(inode, LEN), 0);
	memset(zeros, 0, sizeof(zeros));
	CU_ASSERT(fclient_has(&c, PAGE_POS(4) + 50, zeros, PAGE_SIZE - 50));
	CU_ASSERT(fclient_has(&c, PAGE_POS(6), zeros, PAGE_SIZE));
	CU_ASSERT(fclient_store(&c, PAGE_POS(6), "new", 3));
	CU_ASSERT_EQUAL(fs_msync(c.file, 0, LEN, NULL), 0);
	CU_ASSERT(store_has(PAGE_POS(6), "new", 4));
	CU_ASSERT(store_has(PAGE_POS(4) + 50, zeros, PAGE_SIZE - 50));
	down_mapped();
}

static int punch(loff_t pos, loff_t len)
{
	struct open_file *file = open_it(O_RDWR);
	int err = fs_fallocate(file, &fx_root,
			       FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, pos,
			       len);

	fs_release(file);
	return err;
}

/* Bytes [1000, 3 * 4096 + 500) of pages, with an edge on both sides. */
static void hole_with_edges(void)
{
	char zeros[PAGE_SIZE] = "";

	up_mapped(true);
	CU_ASSERT(fclient_store(&c, 900, "left", 4));
	CU_ASSERT(fclient_store(&c, 1100, "in", 2));
	CU_ASSERT(fclient_store(&c, PAGE_POS(1), "whole", 5));
	CU_ASSERT(fclient_store(&c, PAGE_POS(3) + 400, "in", 2));
	CU_ASSERT(fclient_store(&c, PAGE_POS(3) + 600, "right", 5));
	CU_ASSERT_EQUAL(punch(1000, PAGE_POS(3) + 500 - 1000), 0);
	for (int round = 0; round < 2; round++) {
		CU_ASSERT(fclient_has(&c, 900, "leftaa", 6));
		CU_ASSERT(fclient_has(&c, 1000, zeros, PAGE_SIZE - 1000));
		CU_ASSERT(fclient_has(&c, PAGE_POS(1), zeros, PAGE_SIZE));
		CU_ASSERT(fclient_has(&c, PAGE_POS(2), zeros, PAGE_SIZE));
		CU_ASSERT(fclient_has(&c, PAGE_POS(3), zeros, 500));
		CU_ASSERT(fclient_has(&c, PAGE_POS(3) + 600, "rightdd", 7));
		/* The same once it has been to the store. */
		CU_ASSERT_EQUAL(fs_msync(c.file, 0, LEN, NULL), 0);
		CU_ASSERT(store_has(1000, zeros, PAGE_SIZE - 1000));
		CU_ASSERT(store_has(PAGE_POS(3), zeros, 500));
		CU_ASSERT(store_has(900, "left", 4));
	}
	/* Edges that are not cached: read-ahead has brought them. */
	uncache(11);
	uncache(12);
	CU_ASSERT_EQUAL(punch(PAGE_POS(11) + 4000, PAGE_SIZE), 0);
	CU_ASSERT(fclient_has(&c, PAGE_POS(11) + 3990, "llllllllll\0\0", 12));
	CU_ASSERT(fclient_has(&c, PAGE_POS(12) + 3998, "\0\0mmm", 5));
	/* Inside one page. */
	CU_ASSERT(fclient_store(&c, PAGE_POS(8), "iiJJJJJ", 7));
	CU_ASSERT_EQUAL(punch(PAGE_POS(8) + 3, 2), 0);
	CU_ASSERT(fclient_has(&c, PAGE_POS(8), "iiJ\0\0JJi", 8));
	down_mapped();
}

/* Where the file's last bytes are dropped, it stays as long as it was. */
static void hole_at_the_end(void)
{
	struct stat st;

	up_mapped(true);
	CU_ASSERT_EQUAL(fs_truncate(inode, PAGE_POS(2)), 0);
	CU_ASSERT_EQUAL(write_it(PAGE_POS(3), "end"), 3);
	CU_ASSERT_EQUAL(punch(PAGE_POS(3), PAGE_SIZE), 0);
	CU_ASSERT_EQUAL(fs_fsync(inode, NULL, false), 0);
	CU_ASSERT_EQUAL(fstatat(fx_fd, "f", &st, 0), 0);
	CU_ASSERT_EQUAL(st.st_size, PAGE_POS(3) + 3);
	down_mapped();
}

/* A tmpfs punches holes, but does not zero ranges. */
static void refused_zeroing_changes_nothing(void)
{
	char mnt[PATH_MAX], old[PATH_MAX] = "";
	const char *tmp = getenv("TMPDIR");
	struct open_file *file;

	if (!small_store(mnt))
		test_skip("mounting a tmpfs needs root");
	snprintf(old, sizeof(old), "%s", tmp ? tmp : "");
	setenv("TMPDIR", mnt, 1);
	up_mapped(true);
	file = open_it(O_RDWR);
	CU_ASSERT(fclient_store(&c, 1000, "edge", 4));
	CU_ASSERT(fclient_store(&c, PAGE_POS(1), "whole", 5));
	CU_ASSERT_EQUAL(fs_fallocate(file, &fx_root, FALLOC_FL_ZERO_RANGE, 1000,
				     PAGE_POS(2)), -EOPNOTSUPP);
	CU_ASSERT(fclient_has(&c, 999, "aedgea", 6));
	CU_ASSERT(fclient_has(&c, PAGE_POS(1), "wholeb", 6));
	fs_release(file);
	down_mapped();
	if (*old)
		setenv("TMPDIR", old, 1);
	else
		unsetenv("TMPDIR");
	end_small_store(mnt);
}

struct storer {
	loff_t pos;			/* of a counter beside the holes */
	atomic_bool stop;
	uint64_t count;			/* stores made */
	bool bad;
};

/* Counts up in the mapping; each store is looked at again. */
static void *keep_storing(void *arg)
{
	struct storer *s = arg;
	uint64_t seen;

	while (!atomic_load(&s->stop)) {
		s->count++;
		s->bad |= !fclient_store(&c, s->pos, &s->count,
					 sizeof(s->count));
		s->bad |= !fclient_load(&c, s->pos, &seen, sizeof(seen));
		s->bad |= seen != s->count;
	}
	return NULL;
}

/* In pages 0 and 3 beside the hole, in page 1 inside of it. */
static void holes_beside_stores(void)
{
	struct storer s[2] = { { .pos = 0 }, { .pos = PAGE_POS(3) + 3000 } };
	char zeros[PAGE_SIZE] = "";
	pthread_t thread[2];

	up_mapped(true);
	for (int i = 0; i < 2; i++)
		BUG_ON(pthread_create(&thread[i], NULL, keep_storing, &s[i]));
	for (int i = 0; i < 200; i++) {
		CU_ASSERT(fclient_store(&c, PAGE_POS(1) + 8, "dirty", 5));
		CU_ASSERT_EQUAL(punch(2000, PAGE_POS(3) - 1000), 0);
		CU_ASSERT(fclient_has(&c, PAGE_POS(1), zeros, PAGE_SIZE));
		if (i % 8 == 0)
			CU_ASSERT_EQUAL(fs_msync(c.file, 0, LEN, NULL), 0);
	}
	for (int i = 0; i < 2; i++) {
		atomic_store(&s[i].stop, true);
		pthread_join(thread[i], NULL);
		CU_ASSERT(!s[i].bad);
		CU_ASSERT_EQUAL(fs_msync(c.file, 0, LEN, NULL), 0);
		CU_ASSERT(store_has(s[i].pos, (const char *)&s[i].count, 8));
	}
	CU_ASSERT(store_has(PAGE_POS(1), zeros, PAGE_SIZE));
	down_mapped();
}

/* Page 1 is stored to and synced all the while, at its end. */
static void *store_and_sync(void *arg)
{
	struct storer *s = arg;

	while (!atomic_load(&s->stop)) {
		s->count++;
		s->bad |= !fclient_store(&c, s->pos, &s->count,
					 sizeof(s->count));
		s->bad |= fs_msync(c.file, PAGE_POS(1), PAGE_SIZE, NULL);
	}
	return NULL;
}

/* What was there before the hole does not come back with a late write. */
static void holes_under_writeback(void)
{
	struct storer s = { .pos = PAGE_POS(2) - 8 };
	pthread_t thread;

	up_mapped(true);
	for (int i = 0; i < 100; i++) {
		CU_ASSERT(fclient_store(&c, PAGE_POS(1), "before", 6));
		atomic_store(&s.stop, false);
		BUG_ON(pthread_create(&thread, NULL, store_and_sync, &s));
		usleep(i * 10);		/* at any point of its round */
		CU_ASSERT_EQUAL(punch(PAGE_POS(1), PAGE_SIZE), 0);
		atomic_store(&s.stop, true);
		pthread_join(thread, NULL);
		CU_ASSERT(!s.bad);
		CU_ASSERT(fclient_has(&c, PAGE_POS(1), "\0\0\0\0\0\0", 6));
	}
	down_mapped();
}

static void no_copy_into_mapped_files(void)
{
	struct open_file *in, *out;
	struct inode *other;

	up();
	other = fx_create(sb.root, "other");
	CU_ASSERT(fx_write(other, "source"));
	CU_ASSERT_EQUAL(fs_open(other, &fx_root, O_RDWR, &in), 0);
	out = open_it(O_RDWR);
	CU_ASSERT(fclient_map_inode(&c, inode, false, LEN));
	CU_ASSERT_EQUAL(fs_copy_file_range(in, 0, out, 0, &fx_root, 6),
			-EOPNOTSUPP);
	CU_ASSERT(fclient_has(&c, 0, "aaaaaa", 6));
	fclient_unmap(&c);
	/* The other way round is fine: what clients stored is copied. */
	CU_ASSERT(fclient_map_inode(&c, inode, true, LEN));
	CU_ASSERT(fclient_store(&c, 0, "client", 6));
	CU_ASSERT(fs_copy_file_range(out, 0, in, 0, &fx_root, 6) == 6 ||
		  errno == EOPNOTSUPP);
	fs_release(in);
	fs_release(out);
	iput(other);
	down_mapped();
}

/* ---- reads and writes ---- */

static void reads_and_writes_of_window_pages(void)
{
	char buf[3 * PAGE_SIZE];

	up_mapped(true);
	CU_ASSERT(fclient_store(&c, PAGE_POS(1) + 10, "client", 6));
	CU_ASSERT(PageWindow(cached(1)));
	CU_ASSERT_EQUAL(generic_file_read(&inode->i_data, NULL, 100, buf,
					  2 * PAGE_SIZE), 2 * PAGE_SIZE);
	CU_ASSERT(!memcmp(buf + PAGE_SIZE - 100 + 10, "clientbb", 8));
	CU_ASSERT_EQUAL(write_it(PAGE_POS(1) + 12, "mount"), 5);
	CU_ASSERT(fclient_has(&c, PAGE_POS(1) + 9, "bclmountb", 9));
	CU_ASSERT(PageWindow(cached(1)));
	CU_ASSERT_EQUAL(write_it(LEN, "longer"), 6);
	CU_ASSERT_EQUAL(i_size_read(&inode->i_data), LEN + 6);
	down_mapped();
}

static const struct test_case cases[] = {
	{ "a file is mapped by one vm_file per mode", one_per_mode },
	{ "a reference count that is 0 stays so", gets_race_last_puts },
	{ "an unlinked file stays while it is mapped", unlinked_file_works },
	{ "what clients stored is in the store at the end",
	  stores_survive_the_end },
	{ "the first writable mapping has the kernel drop all copies",
	  mapping_writable_drops_all_copies },
	{ "a client's first store has the copy of its page dropped",
	  store_drops_the_copy },
	{ "a copy that cannot be dropped is SIGBUS", refused_drop_is_sigbus },
	{ "a copy made while another is dropped goes too",
	  copy_made_meanwhile_goes_too },
	{ "a copy is known of when its page has left the cache",
	  copies_outlive_pages },
	{ "a write of the kernel's cache takes clients' rights away",
	  cached_write_is_a_copy },
	{ "files open direct while clients may write",
	  opens_are_direct_while_clients_write },
	{ "without shared mappings of direct files they open cached",
	  old_kernels_cache_all },
	{ "cache=writeback: writers of the kernel's keep clients out",
	  gathering_kernel_keeps_clients_out },
	{ "a client's stores are seen in mtime", stores_are_seen_in_mtime },
	{ "writeback that comes late leaves mtime as it was",
	  late_writeback_keeps_mtime },
	{ "msync brings stores to the store", msync_reaches_the_store },
	{ "msync reports each error once", msync_reports_errors_once },
	{ "fsync of any descriptor brings clients' stores", fsync_brings_stores },
	{ "a store that finds no room is SIGBUS", no_room_is_sigbus },
	{ "truncate cuts a mapping, and what it grows by is zeros",
	  truncate_under_a_mapping },
	{ "a hole takes what is inside it and leaves what is beside",
	  hole_with_edges },
	{ "a hole at the end leaves the size", hole_at_the_end },
	{ "a store that refuses to zero changes nothing",
	  refused_zeroing_changes_nothing },
	{ "stores beside a hole being punched are kept", holes_beside_stores },
	{ "a hole stays one under writeback", holes_under_writeback },
	{ "the store copies nothing into a mapped file",
	  no_copy_into_mapped_files },
	{ "reads and writes find pages in the window",
	  reads_and_writes_of_window_pages },
};

int main(void)
{
	return test_main("fs/mmap", cases, ARRAY_SIZE(cases));
}
