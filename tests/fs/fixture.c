// SPDX-License-Identifier: BSD-2-Clause
/*
 * tests/fs/fixture.c - a file system without a mount, for tests of fs/
 *
 * notify.c speaks to a FUSE session there is none of, so its part is played
 * here (fx_kernel); the linker then leaves it out.
 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <limits.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "fixture.h"
#include "mm.h"
#include "swap.h"

char fx_dir[PATH_MAX];
int fx_fd = -1;
const struct fs_cred fx_root = { 0, 0 };

void notify_prune_inodes(unsigned long nr)
{
	(void)nr;
}

struct fx_kernel fx_kernel;

void notify_inval_inode(uint64_t nodeid, loff_t pos, loff_t len)
{
	(void)nodeid, (void)pos, (void)len;
}

int notify_inval_inode_wait(uint64_t nodeid, loff_t pos, loff_t len)
{
	int err = atomic_load(&fx_kernel.refuse);

	atomic_fetch_add(&fx_kernel.nr_data, 1);
	if (fx_kernel.asked)
		fx_kernel.asked(nodeid, pos, len);
	return err;
}

void notify_inval_attr(uint64_t nodeid)
{
	(void)nodeid;
	atomic_fetch_add(&fx_kernel.nr_attr, 1);
}

int notify_inval_attr_wait(uint64_t nodeid)
{
	(void)nodeid;
	atomic_fetch_add(&fx_kernel.nr_attr_wait, 1);
	return 0;
}

static void start(size_t memory)
{
	struct mm_config mm = { .memory = memory, .nr_nodes = 1 };
	struct fs_options opts = { .backing_dir = fx_dir, .memory = memory };
	char msg[256] = "";
	int err = mm_init(&mm);

	memset(&fx_kernel, 0, sizeof(fx_kernel));
	if (!err)
		err = fs_init(&opts, msg, sizeof(msg));
	if (!err)
		return;
	printf("Bail out! fixture: %s: %s\n", strerror(-err), msg);
	exit(1);
}

void fixture_begin_memory(size_t memory)
{
	const char *tmp = getenv("TMPDIR");

	snprintf(fx_dir, PATH_MAX, "%s/pagefs-fs.XXXXXX",
		 tmp && *tmp ? tmp : "/var/tmp");
	if (!mkdtemp(fx_dir)) {
		printf("Bail out! fixture: no directory %s\n", fx_dir);
		exit(1);
	}
	fx_fd = open(fx_dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	start(memory);
}

void fixture_begin(void)
{
	fixture_begin_memory(FX_MEMORY);
}

void fixture_again(void)
{
	start(FX_MEMORY);
}

void fixture_end_keep(void)
{
	unsigned long lost = 0;

	CU_ASSERT_EQUAL(fs_exit(&lost), 0);
	CU_ASSERT_EQUAL(lost, 0);
	mm_exit();
}

static int remove_one(const char *path, const struct stat *st, int flag,
		      struct FTW *ftw)
{
	(void)st, (void)flag, (void)ftw;
	return remove(path) ? 0 : 0;	/* what cannot go stays */
}

/* nftw() does not get to paths that are longer than the kernel takes. */
static void remove_all(void)
{
	char *argv[] = { "rm", "-rf", "--one-file-system", fx_dir, NULL };
	pid_t pid;

	nftw(fx_dir, remove_one, 16, FTW_DEPTH | FTW_PHYS | FTW_MOUNT);
	if (access(fx_dir, F_OK) || posix_spawnp(&pid, "rm", NULL, NULL, argv,
						 environ))
		return;
	while (waitpid(pid, NULL, 0) < 0 && errno == EINTR)
		;
}

void fixture_end(void)
{
	fixture_end_keep();
	close(fx_fd);
	fx_fd = -1;
	remove_all();
}

unsigned int fx_nr_fds(void)
{
	DIR *d = opendir("/proc/self/fd");
	unsigned int nr = 0;

	while (d && readdir(d))
		nr++;
	if (d)
		closedir(d);
	return nr;
}

void fx_drop_all(void)
{
	fs_sync();
	drop_slab();
	fdcache_shrink(UINT_MAX);
}

struct inode *fx_walk(const char *path)
{
	char buf[PATH_MAX], *name, *save;
	struct inode *dir = sb.root, *next;

	snprintf(buf, sizeof(buf), "%s", path);
	ihold(dir);
	for (name = strtok_r(buf, "/", &save); name;
	     name = strtok_r(NULL, "/", &save)) {
		int err = fs_lookup(dir, name, &next);

		iput(dir);
		if (err)
			return NULL;
		dir = next;
	}
	return dir;
}

struct inode *fx_mkdir(struct inode *dir, const char *name)
{
	struct inode *inode;

	return fs_mkdir(dir, name, &fx_root, 0755, &inode) ? NULL : inode;
}

struct inode *fx_create(struct inode *dir, const char *name)
{
	struct open_file *file;
	struct inode *inode;

	if (fs_create(dir, name, &fx_root, 0644, O_RDWR | O_EXCL, &inode, &file))
		return NULL;
	fs_release(file);
	return inode;
}

bool fx_write(struct inode *inode, const char *text)
{
	struct open_file *file;
	ssize_t len = (ssize_t)strlen(text);
	bool ok;

	if (fs_open(inode, &fx_root, O_RDWR, &file))
		return false;
	ok = fs_write(file, &fx_root, 0, text, strlen(text)) == len;
	fs_release(file);
	return ok;
}

bool fx_contains(struct inode *inode, const char *text)
{
	size_t len = strlen(text);
	char *buf = malloc(len + 1);
	ssize_t n = generic_file_read(&inode->i_data, NULL, 0, buf, len + 1);
	bool same = n == (ssize_t)len && !memcmp(buf, text, len);

	free(buf);
	return same;
}
