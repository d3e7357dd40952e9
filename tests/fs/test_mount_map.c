// SPDX-License-Identifier: BSD-2-Clause
/*
 * tests/fs/test_mount_map.c - clients' mappings and the kernel's cache, on a
 *                             real mount
 *
 *   one file:   client (fclient.c)   fd, opened before it was mapped: cached
 *               program: mmap(2)     direct, opened since
 *
 * The file system runs in this process, and most of its users too: what they
 * ask is answered by the workers. Not so who maps it by mmap(2): a page fault
 * holds its process's address space, which the workers need, while it waits for
 * them (run: it deadlocks). That is the program: a process that was forked
 * before there were threads, and does as it is told.
 *
 * Needs root and /dev/fuse. A parent process takes the mount away, however this
 * one ends.
 */
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <linux/falloc.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <syslog.h>
#include <time.h>
#include <unistd.h>

#include "fclient.h"
#include "mm.h"
#include "pagefs_fs.h"
#include "pagefs_wire.h"
#include "window.h"

#define MEMORY	(32 * SZ_1M)
#define PAGES	64
#define LEN	(PAGES * PAGE_SIZE)
#define PAGE_POS(i)	((loff_t)(i) * (loff_t)PAGE_SIZE)

static char top[PATH_MAX];	/* has the backing directory and the mountpoint */
static const char *no_mount;	/* why there can be none */

static struct fclient c;
static int fd = -1;		/* opened before the client mapped the file */
static int direct = -1;		/* and since */

static const char *path(const char *dir, const char *name)
{
	static __thread char buf[2 * PATH_MAX];

	snprintf(buf, sizeof(buf), "%s/%s/%s", top, dir, name);
	return buf;
}

/* ---- the program ---- */

enum order { MAP, UNMAP, LOAD, STORE, SYNC };

#define ORDER_MAX	64	/* bytes loaded or stored at once */

struct order_msg {
	enum order order;
	int err;		/* reply: 0 or -errno */
	int fd;			/* MAP: of this process; opened by its path */
	loff_t pos;
	size_t len;
	char data[ORDER_MAX];
};

static int program = -1;	/* socket to it */
static pthread_mutex_t program_lock = PTHREAD_MUTEX_INITIALIZER;

static int program_maps(char **addr, const struct order_msg *m)
{
	char name[64];
	int f;

	snprintf(name, sizeof(name), "/proc/%d/fd/%d", (int)getppid(), m->fd);
	f = open(name, O_RDWR);
	if (f < 0)
		return -errno;
	*addr = mmap(NULL, LEN, PROT_READ | PROT_WRITE, MAP_SHARED, f, 0);
	close(f);
	return *addr == MAP_FAILED ? -errno : 0;
}

static void program_obeys(char **addr, struct order_msg *m)
{
	m->err = 0;
	switch (m->order) {
	case MAP:
		m->err = program_maps(addr, m);
		break;
	case UNMAP:
		munmap(*addr, LEN);
		break;
	case LOAD:
		memcpy(m->data, *addr + m->pos, m->len);
		break;
	case STORE:
		memcpy(*addr + m->pos, m->data, m->len);
		break;
	case SYNC:
		m->err = msync(*addr, LEN, MS_SYNC) ? -errno : 0;
		break;
	}
}

/* Before there are threads. It ends when its socket does. */
static void program_start(void)
{
	struct order_msg m;
	char *addr = NULL;
	int sv[2];

	BUG_ON(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, sv));
	program = sv[0];
	switch (fork()) {
	case -1:
		BUG();
	case 0:
		close(sv[0]);
		while (recv(sv[1], &m, sizeof(m), 0) == sizeof(m)) {
			program_obeys(&addr, &m);
			if (send(sv[1], &m, sizeof(m), 0) < 0)
				break;
		}
		_exit(0);
	}
	close(sv[1]);
}

/* Return: what it says; -EPIPE: it has died. */
static int tell(struct order_msg *m)
{
	int err;

	pthread_mutex_lock(&program_lock);
	err = send(program, m, sizeof(*m), MSG_NOSIGNAL) == sizeof(*m) &&
		recv(program, m, sizeof(*m), 0) == sizeof(*m) ? m->err : -EPIPE;
	pthread_mutex_unlock(&program_lock);
	return err;
}

static int tell_plain(enum order order, int f)
{
	struct order_msg m = { .order = order, .fd = f };

	return tell(&m);
}

static bool program_has(loff_t pos, const char *want, size_t len)
{
	struct order_msg m = { .order = LOAD, .pos = pos, .len = len };

	return !tell(&m) && !memcmp(m.data, want, len);
}

static bool program_stores(loff_t pos, const char *text)
{
	struct order_msg m = { .order = STORE, .pos = pos,
			       .len = strlen(text) };

	memcpy(m.data, text, m.len);
	return !tell(&m);
}

/* ---- up and down ---- */

static void __printf(2, 3) log_line(int level, const char *fmt, ...)
{
	va_list ap;

	if (level > LOG_WARNING)
		return;
	va_start(ap, fmt);
	printf("# ");
	vprintf(fmt, ap);
	printf("\n");
	va_end(ap);
}

static void ended(void *arg)
{
	(void)arg;
}

static void up(enum fs_cache_mode cache)
{
	const struct mm_config mm = { .memory = MEMORY, .nr_nodes = 1 };
	struct fs_mount_options opts = {
		.memory = MEMORY, .cache = (int)cache, .log = log_line,
	};
	char backing[PATH_MAX + 8], mnt[PATH_MAX + 8], msg[512];

	if (no_mount)
		test_skip("%s", no_mount);
	snprintf(backing, sizeof(backing), "%s/b", top);
	snprintf(mnt, sizeof(mnt), "%s/m", top);
	opts.backing_dir = backing;
	opts.mountpoint = mnt;
	BUG_ON(mm_init(&mm));
	if (fs_mount(&opts, msg, sizeof(msg))) {
		mm_exit();
		test_skip("%s", msg);
	}
	BUG_ON(fuse_serve_start(ended, NULL));
}

static void down(void)
{
	unsigned long lost;

	fuse_serve_stop();
	CU_ASSERT_EQUAL(fs_umount(&lost), 0);
	CU_ASSERT_EQUAL(lost, 0);
	mm_exit();
	unlink(path("b", "f"));
	unlink(path("b", "g"));
}

/* Page i of the file is full of 'a' + i % 26. */
static void write_file(void)
{
	char page[PAGE_SIZE];
	int f = open(path("m", "f"), O_RDWR | O_CREAT | O_TRUNC, 0644);

	BUG_ON(f < 0);
	for (int i = 0; i < PAGES; i++) {
		memset(page, 'a' + i % 26, sizeof(page));
		BUG_ON(pwrite(f, page, sizeof(page), PAGE_POS(i)) != PAGE_SIZE);
	}
	close(f);
}

/* ---- the daemon's part: one offer, for whoever knows the cookie ---- */

static const uint64_t cookie[2] = { 4711, 0xfedcba9876543210 };
static struct fs_offer offered;
static atomic_bool taken;	/* by a FUSE worker */

static int take_offer(const uint64_t said[2], const struct fs_offer *offer,
		      uint64_t *numberp)
{
	if (memcmp(said, cookie, sizeof(cookie)))
		return -EPERM;
	offered = *offer;
	atomic_store(&taken, true);
	*numberp = 42;
	return 0;
}

static int offer_fd(int f, const uint64_t say[2])
{
	struct pagefs_ioc_offer offer = { .cookie = { say[0], say[1] } };

	fs_set_offer_taker(take_offer);
	if (ioctl(f, PAGEFS_IOC_OFFER, &offer))
		return -errno;
	CU_ASSERT_EQUAL(offer.number, 42);
	CU_ASSERT(atomic_exchange(&taken, false));
	return 0;
}

static int map_fd(int f, struct vm_file **filep)
{
	int err = offer_fd(f, cookie);

	if (err)
		return err;
	err = fs_map_offer(&offered, filep);
	fs_offer_put(&offered);
	return err;
}

static void client_maps(int f)
{
	struct vm_file *file;
	int err = map_fd(f, &file);

	CU_ASSERT_EQUAL(err, 0);
	BUG_ON(err);
	fclient_map(&c, file, LEN, file->f_writable ? VM_WRITE : 0);
}

static void up_mapped(enum fs_cache_mode cache)
{
	up(cache);
	write_file();
	fd = open(path("m", "f"), O_RDWR);
	client_maps(fd);
	direct = open(path("m", "f"), O_RDWR);
}

static void down_mapped(void)
{
	fclient_unmap(&c);
	close(fd);
	close(direct);
	down();
}

static bool fd_has(int f, loff_t pos, const char *want)
{
	char buf[64];
	size_t len = strlen(want);

	return pread(f, buf, len, pos) == (ssize_t)len &&
		!memcmp(buf, want, len);
}

static bool put(int f, loff_t pos, const char *text)
{
	return pwrite(f, text, strlen(text), pos) == (ssize_t)strlen(text);
}

static bool store(loff_t pos, const char *text)
{
	return fclient_store(&c, pos, text, strlen(text));
}

static bool client_has(loff_t pos, const char *want)
{
	return fclient_has(&c, pos, want, strlen(want));
}

/* ---- descriptors ---- */

static void info_of_files_and_directories(void)
{
	struct pagefs_ioc_info info;
	char buf[PATH_MAX];
	int f, n;

	up(FS_CACHE_THROUGH);
	write_file();
	f = open(path("m", "f"), O_RDONLY);
	CU_ASSERT_EQUAL(ioctl(f, PAGEFS_IOC_INFO, &info), 0);
	CU_ASSERT_EQUAL(info.version, PAGEFS_WIRE_VERSION);
	CU_ASSERT_EQUAL(info.dev, fs_mount_dev());
	CU_ASSERT_EQUAL(info.socket[0], '\0');
	fs_set_socket("/run/a socket");
	CU_ASSERT_EQUAL(ioctl(f, PAGEFS_IOC_INFO, &info), 0);
	CU_ASSERT_STRING_EQUAL(info.socket, "/run/a socket");
	CU_ASSERT(ioctl(f, _IOR('P', 0x51, int), &n) && errno == ENOTTY);
	CU_ASSERT(ioctl(f, _IO('P', 0x51), 0) && errno == ENOTTY);
	close(f);
	f = open(path("m", ""), O_RDONLY | O_DIRECTORY);
	CU_ASSERT_EQUAL(ioctl(f, PAGEFS_IOC_INFO, &info), 0);
	CU_ASSERT_STRING_EQUAL(info.socket, "/run/a socket");
	close(f);
	f = open(path("m", ".pagefs/socket"), O_RDONLY);
	n = (int)read(f, buf, sizeof(buf) - 1);
	CU_ASSERT_EQUAL(n, 14);
	CU_ASSERT(!memcmp(buf, "/run/a socket\n", 14));
	CU_ASSERT(ioctl(f, PAGEFS_IOC_INFO, &info) && errno == ENOTTY);
	close(f);
	fs_set_socket(NULL);
	down();
}

static int map_as(const char *name, int flags)
{
	int f = open(name, flags, 0644), err;
	struct vm_file *file;

	BUG_ON(f < 0);
	err = map_fd(f, &file);
	close(f);
	if (!err) {
		err = file->f_writable;
		put_vm_file(file);
	}
	return err;
}

static void what_descriptors_allow(void)
{
	up(FS_CACHE_THROUGH);
	write_file();
	CU_ASSERT_EQUAL(map_as(path("m", "f"), O_RDONLY), false);
	CU_ASSERT_EQUAL(map_as(path("m", "f"), O_RDWR), true);
	CU_ASSERT_EQUAL(map_as(path("m", "f"), O_WRONLY), -EBADF);
	CU_ASSERT_EQUAL(map_as(path("m", "f"), O_PATH), -EBADF);
	CU_ASSERT_EQUAL(map_as(path("m", "f"), O_ACCMODE), -EBADF);
	CU_ASSERT_EQUAL(map_as(path("m", ""), O_RDONLY), -ENOTTY);
	CU_ASSERT_EQUAL(map_as(path("m", ".pagefs/vmstat"), O_RDONLY), -ENOTTY);
	CU_ASSERT_EQUAL(map_as(path("b", "f"), O_RDONLY), -ENOTTY);
	CU_ASSERT_EQUAL(map_as("/dev/null", O_RDWR), -ENOTTY);
	CU_ASSERT_EQUAL(map_as(path("m", "g"), O_CREAT | O_EXCL | O_WRONLY),
			-EBADF);
	unlink(path("m", "g"));
	CU_ASSERT_EQUAL(map_as(path("m", "g"), O_CREAT | O_EXCL | O_RDWR), true);
	down();
}

/* For the kernel's sake we open it for reading, too: not for the program's. */
static void write_only_where_the_kernel_gathers(void)
{
	up(FS_CACHE_WRITEBACK);
	write_file();
	CU_ASSERT_EQUAL(map_as(path("m", "f"), O_WRONLY), -EBADF);
	CU_ASSERT_EQUAL(map_as(path("m", "g"), O_CREAT | O_EXCL | O_WRONLY),
			-EBADF);
	down();
}

static void offers_are_for_who_knows(void)
{
	const uint64_t wrong[][2] = {
		{ cookie[0], cookie[1] + 1 }, { cookie[0] + 1, cookie[1] },
		{ 0, 0 },
	};

	up(FS_CACHE_THROUGH);
	write_file();
	fd = open(path("m", "f"), O_RDWR);
	for (size_t i = 0; i < ARRAY_SIZE(wrong); i++)
		CU_ASSERT_EQUAL(offer_fd(fd, wrong[i]), -EPERM);
	CU_ASSERT_EQUAL(offer_fd(fd, cookie), 0);
	CU_ASSERT(offered.writable);
	fs_offer_put(&offered);
	fs_set_offer_taker(NULL);
	CU_ASSERT(ioctl(fd, PAGEFS_IOC_OFFER,
			&(struct pagefs_ioc_offer){ { cookie[0], cookie[1] }, 0 })
		  && errno == EPERM);
	close(fd);
	down();
}

/* It holds the inode: neither the descriptor nor the name is needed any more. */
static void offers_outlive_descriptors(void)
{
	struct vm_file *file;

	up(FS_CACHE_THROUGH);
	write_file();
	fd = open(path("m", "f"), O_RDWR);
	CU_ASSERT_EQUAL(offer_fd(fd, cookie), 0);
	CU_ASSERT_EQUAL(unlink(path("m", "f")), 0);
	close(fd);
	fs_sync();
	fdcache_shrink(UINT_MAX);
	CU_ASSERT_EQUAL(fs_map_offer(&offered, &file), 0);
	fs_offer_put(&offered);
	fclient_map(&c, file, LEN, VM_WRITE);
	CU_ASSERT(store(PAGE_POS(3), "one"));
	CU_ASSERT(client_has(PAGE_POS(3), "onedddd"));
	CU_ASSERT(client_has(PAGE_POS(5), "fffffff"));
	fclient_unmap(&c);
	down();
}

static void who_may_write_to_what_is_on_offer(void)
{
	static const struct {
		mode_t mode;
		uid_t uid;
		gid_t gid;
		bool may;
	} users[] = {
		{ 0444, 0, 0, true },		/* root */
		{ 0444, 70, 7, true },		/* the owner: he may chmod(2) */
		{ 0644, 71, 80, false },
		{ 0664, 71, 80, true },		/* by the group */
		{ 0664, 71, 7, false },
		{ 0646, 71, 7, true },		/* all may */
	};

	up(FS_CACHE_THROUGH);
	write_file();
	fd = open(path("m", "f"), O_RDONLY);
	CU_ASSERT_EQUAL(offer_fd(fd, cookie), 0);
	CU_ASSERT(!offered.writable);
	CU_ASSERT_EQUAL(fchown(fd, 70, 80), 0);
	for (size_t i = 0; i < ARRAY_SIZE(users); i++) {
		CU_ASSERT_EQUAL(fchmod(fd, users[i].mode), 0);
		CU_ASSERT_EQUAL(fs_offer_may_write(&offered, users[i].uid,
						   users[i].gid), users[i].may);
	}
	fs_offer_put(&offered);
	close(fd);
	down();
}

/* ---- one after the other ---- */

static void cached_handle(void)
{
	up_mapped(FS_CACHE_THROUGH);
	CU_ASSERT(fd_has(fd, 0, "aaaaa"));
	CU_ASSERT(store(0, "one"));
	CU_ASSERT(fd_has(fd, 0, "oneaa"));
	CU_ASSERT(store(1, "two"));
	CU_ASSERT(fd_has(fd, 0, "otwoa"));
	CU_ASSERT(put(fd, 2, "six"));
	CU_ASSERT(client_has(0, "otsixa"));
	CU_ASSERT(store(0, "ten"));
	CU_ASSERT(fd_has(fd, 0, "tenixa"));
	CU_ASSERT(put(direct, 0, "DIRECT"));
	CU_ASSERT(fd_has(fd, 0, "DIRECT"));
	CU_ASSERT(client_has(0, "DIRECT"));
	down_mapped();
}

/* Without the kernel's cache a client keeps its right to write. */
static void direct_handle(void)
{
	up_mapped(FS_CACHE_THROUGH);
	CU_ASSERT(store(PAGE_POS(9), "one"));
	CU_ASSERT(fd_has(direct, PAGE_POS(9), "onejj"));
	CU_ASSERT(put(direct, PAGE_POS(9) + 1, "two"));
	CU_ASSERT(fclient_may_write(&c, PAGE_POS(9)));
	CU_ASSERT(client_has(PAGE_POS(9), "otwoj"));
	down_mapped();
}

static void mmap_of_a_direct_handle(enum fs_cache_mode cache)
{
	int err;

	up_mapped(cache);
	err = tell_plain(MAP, direct);
	if (err && !sb.direct_mmap) {
		down_mapped();
		test_skip("the kernel is older than Linux 6.6");
	}
	CU_ASSERT_EQUAL(err, 0);
	CU_ASSERT(program_has(0, "aaa", 3));
	CU_ASSERT(store(0, "one"));
	CU_ASSERT(program_has(0, "onea", 4));
	CU_ASSERT(program_stores(PAGE_POS(2), "two"));
	CU_ASSERT_EQUAL(tell_plain(SYNC, -1), 0);
	CU_ASSERT(client_has(PAGE_POS(2), "twoc"));
	/* Not synced: a client's first store brings it in. */
	CU_ASSERT(program_stores(PAGE_POS(2), "six"));
	CU_ASSERT(store(PAGE_POS(2) + 8, "ten"));
	CU_ASSERT(client_has(PAGE_POS(2), "sixcccccten"));
	CU_ASSERT(program_has(PAGE_POS(2), "sixcccccten", 11));
	CU_ASSERT_EQUAL(tell_plain(UNMAP, -1), 0);
	down_mapped();
}

static void mmap_beside_the_kernels_cache(void)
{
	mmap_of_a_direct_handle(FS_CACHE_THROUGH);
}

static void mmap_without_the_kernels_cache(void)
{
	mmap_of_a_direct_handle(FS_CACHE_NONE);
}

static void gathering_kernel(void)
{
	struct vm_file *file;
	int reader;

	up(FS_CACHE_WRITEBACK);
	write_file();
	fd = open(path("m", "f"), O_RDWR);
	CU_ASSERT_EQUAL(map_fd(fd, &file), -EBUSY);
	close(fd);
	reader = open(path("m", "f"), O_RDONLY);
	CU_ASSERT(fd_has(reader, 0, "aaa"));
	fd = open(path("m", "f"), O_RDWR | O_DIRECT);
	/* RELEASE of the first may be under way. */
	while (map_fd(fd, &file) == -EBUSY)
		usleep(1000);
	fclient_map(&c, file, LEN, VM_WRITE);
	direct = open(path("m", "f"), O_RDWR);
	CU_ASSERT(put(direct, 0, "one"));
	CU_ASSERT(client_has(0, "onea"));
	CU_ASSERT(store(1, "two"));
	CU_ASSERT(fd_has(reader, 0, "otwoa"));
	CU_ASSERT(fd_has(fd, 0, "otwoa"));
	close(reader);
	down_mapped();
}

static struct timespec shown_mtime(void)
{
	struct stat st;

	CU_ASSERT_EQUAL(fstat(fd, &st), 0);
	return st.st_mtim;
}

static void stat_shows_stores(void)
{
	struct timespec t1, t2, t3;

	up_mapped(FS_CACHE_THROUGH);
	t1 = shown_mtime();
	wait_for_tick();
	CU_ASSERT(store(0, "one"));
	CU_ASSERT_EQUAL(fs_msync(c.file, 0, LEN, NULL), 0);
	t2 = shown_mtime();
	CU_ASSERT(!timespec_equal(&t1, &t2));
	wait_for_tick();
	CU_ASSERT(store(0, "two"));
	fclient_unmap(&c);
	t3 = shown_mtime();
	CU_ASSERT(!timespec_equal(&t2, &t3));
	client_maps(fd);
	down_mapped();
}

static void sizes_and_holes(void)
{
	char zeros[PAGE_SIZE] = "";
	off_t in = 0, out = PAGE_POS(5);
	int g;

	up_mapped(FS_CACHE_THROUGH);
	CU_ASSERT(fd_has(fd, PAGE_POS(3), "dddd"));
	CU_ASSERT(store(PAGE_POS(3), "gone"));
	CU_ASSERT_EQUAL(ftruncate(direct, PAGE_POS(3) + 2), 0);
	CU_ASSERT_EQUAL(ftruncate(fd, LEN), 0);
	CU_ASSERT(fclient_has(&c, PAGE_POS(3) + 2, zeros, 100));
	CU_ASSERT(fd_has(fd, PAGE_POS(3), "go"));
	CU_ASSERT(store(PAGE_POS(1), "left"));
	CU_ASSERT(fd_has(fd, PAGE_POS(1), "leftb"));
	CU_ASSERT_EQUAL(fallocate(fd, FALLOC_FL_PUNCH_HOLE |
				  FALLOC_FL_KEEP_SIZE, PAGE_POS(1) + 4,
				  PAGE_SIZE), 0);
	CU_ASSERT(fclient_has(&c, PAGE_POS(1), "left\0\0", 6));
	CU_ASSERT(fclient_has(&c, PAGE_POS(2), "\0\0\0\0ccc", 7));
	CU_ASSERT(fd_has(fd, PAGE_POS(2) + 4, "ccc"));
	g = open(path("m", "g"), O_RDWR | O_CREAT, 0644);
	CU_ASSERT(put(g, 0, "copied"));
	CU_ASSERT_EQUAL(copy_file_range(g, &in, direct, &out, 6, 0), 6);
	CU_ASSERT(client_has(PAGE_POS(5), "copied"));
	CU_ASSERT(store(PAGE_POS(7), "synced"));
	CU_ASSERT_EQUAL(fsync(direct), 0);
	close(g);
	g = open(path("b", "f"), O_RDONLY);
	CU_ASSERT(fd_has(g, PAGE_POS(7), "synced"));
	close(g);
	down_mapped();
}

/* ---- all at once ---- */

/*
 * Each thread has a slot of its own in every page, writes and reads it by
 * whatever way, and must always find what it wrote last: the ways agree, and
 * what others do to the same pages harms nobody.
 */
#define THREADS		4
#define SLOT		64
#define HOT_PAGES	8	/* few, so that they meet */
#define OPS		10000

struct agent {
	unsigned int nr;
	uint64_t state;
	char want[HOT_PAGES][SLOT];
	int line;		/* what went wrong */
};

#define MUST(cond)	do { if (!(cond)) return __LINE__; } while (0)

static loff_t slot_pos(const struct agent *a, unsigned int page)
{
	return PAGE_POS(page) + a->nr * SLOT;
}

static int agent_write(struct agent *a, unsigned int page)
{
	loff_t pos = slot_pos(a, page);
	char *want = a->want[page];

	memset(want, (char)test_rand(&a->state), SLOT);
	switch (test_rand(&a->state) % 4) {
	case 0:
		MUST(pwrite(direct, want, SLOT, pos) == SLOT);
		break;
	default:
		MUST(fclient_store(&c, pos, want, SLOT));
	}
	return 0;
}

static int agent_read(struct agent *a, unsigned int page)
{
	loff_t pos = slot_pos(a, page);
	char buf[SLOT];

	switch (test_rand(&a->state) % 4) {
	case 0:
		MUST(pread(fd, buf, SLOT, pos) == SLOT);
		break;
	case 1:
		MUST(pread(direct, buf, SLOT, pos) == SLOT);
		break;
	case 2:
		MUST(program_has(pos, a->want[page], SLOT));
		return 0;
	default:
		MUST(fclient_load(&c, pos, buf, SLOT));
	}
	MUST(!memcmp(buf, a->want[page], SLOT));
	return 0;
}

static int agent_run(struct agent *a)
{
	int line = 0;

	for (unsigned int i = 0; i < HOT_PAGES && !line; i++)
		line = agent_write(a, i);
	for (unsigned int i = 0; i < OPS && !line; i++) {
		unsigned int page = test_rand(&a->state) % HOT_PAGES;

		line = test_rand(&a->state) % 2 ? agent_write(a, page) :
						  agent_read(a, page);
	}
	return line;
}

static void *agent_thread(void *arg)
{
	struct agent *a = arg;

	a->line = agent_run(a);
	return NULL;
}

static atomic_bool stop_moving;

/* Pages leave the window, and are written back, all the while. */
static void *mover_thread(void *arg)
{
	(void)arg;
	while (!atomic_load(&stop_moving)) {
		window_demote_all(c.file->f_mapping);
		fs_msync(c.file, 0, LEN, NULL);
		usleep(2000);
	}
	return NULL;
}

static void all_ways_agree(void)
{
	static struct agent agents[THREADS];
	pthread_t thread[THREADS], mover;

	up_mapped(FS_CACHE_THROUGH);
	CU_ASSERT_EQUAL(tell_plain(MAP, fd), 0);
	atomic_store(&stop_moving, false);
	BUG_ON(pthread_create(&mover, NULL, mover_thread, NULL));
	for (unsigned int i = 0; i < THREADS; i++) {
		agents[i] = (struct agent){ .nr = i,
					    .state = test_seed() + i };
		BUG_ON(pthread_create(&thread[i], NULL, agent_thread,
				      &agents[i]));
	}
	for (unsigned int i = 0; i < THREADS; i++) {
		pthread_join(thread[i], NULL);
		CU_ASSERT_EQUAL(agents[i].line, 0);
	}
	atomic_store(&stop_moving, true);
	pthread_join(mover, NULL);
	CU_ASSERT_EQUAL(tell_plain(UNMAP, -1), 0);
	down_mapped();
}

static const struct test_case cases[] = {
	{ "files and directories say where the daemon listens",
	  info_of_files_and_directories },
	{ "a descriptor's mode and kind decide how it is mapped",
	  what_descriptors_allow },
	{ "cache=writeback: write-only is not for reading, whoever asks",
	  write_only_where_the_kernel_gathers },
	{ "an offer needs the cookie, and somebody who takes it",
	  offers_are_for_who_knows },
	{ "an offer outlives its descriptor and its name",
	  offers_outlive_descriptors },
	{ "owner and mode decide who may write to what is on offer",
	  who_may_write_to_what_is_on_offer },
	{ "a cached handle and a client see each other's bytes", cached_handle },
	{ "a direct handle leaves clients their rights", direct_handle },
	{ "cache=through: programs map what a client has mapped",
	  mmap_beside_the_kernels_cache },
	{ "cache=none: programs map what a client has mapped",
	  mmap_without_the_kernels_cache },
	{ "cache=writeback: clients, or a kernel that gathers",
	  gathering_kernel },
	{ "stat(2) shows what msync and munmap have ended", stat_shows_stores },
	{ "truncate, holes and copies through the mount", sizes_and_holes },
	{ "whoever writes by any way reads it by every other", all_ways_agree },
};

static void make_dirs(void)
{
	const char *tmp = getenv("TMPDIR");

	snprintf(top, sizeof(top), "%s/test_mount_map.XXXXXX",
		 tmp && *tmp ? tmp : "/var/tmp");
	BUG_ON(!mkdtemp(top));
	BUG_ON(mkdir(path("b", ""), 0755) || mkdir(path("m", ""), 0755));
}

static void look_around(void)
{
	if (geteuid())
		no_mount = "needs root";
	else if (access("/dev/fuse", R_OK | W_OK))
		no_mount = "needs /dev/fuse";
}

static void remove_dirs(void)
{
	char mnt[PATH_MAX + 8];

	snprintf(mnt, sizeof(mnt), "%s/m", top);
	umount2(mnt, MNT_DETACH);	/* fails if all is well */
	unlink(path("b", "f"));
	unlink(path("b", "g"));
	rmdir(path("b", ""));
	rmdir(mnt);
	rmdir(top);
}

/* Has all of it gone but threads that wait for what nobody will answer? */
static bool is_stuck(pid_t pid)
{
	char name[64], state = '?';
	int threads = 0;
	FILE *f;

	snprintf(name, sizeof(name), "/proc/%d/stat", (int)pid);
	f = fopen(name, "re");
	if (!f)
		return false;
	if (fscanf(f, "%*d (%*[^)]) %c %*d %*d %*d %*d %*d %*u %*u %*u %*u %*u %*u %*u %*d %*d %*d %*d %d",
		   &state, &threads) != 2)
		state = '?';
	fclose(f);
	return state == 'Z' || (state == 'D' && threads == 1);
}

/*
 * Killed by a signal, it may leave a thread behind that waits for an answer of
 * its own workers, and the mount cannot go before it: so it is cut off. Where
 * nothing is mounted (yet) that fails.
 */
static int wait_for(pid_t pid)
{
	char mnt[PATH_MAX + 8];
	int status = 0;

	snprintf(mnt, sizeof(mnt), "%s/m", top);
	while (!waitpid(pid, &status, WNOHANG)) {
		usleep(50000);
		if (is_stuck(pid))
			umount2(mnt, MNT_FORCE);
	}
	return WIFEXITED(status) ? WEXITSTATUS(status) : 1;
}

int main(void)
{
	pid_t pid;
	int ret;

	make_dirs();
	look_around();
	pid = fork();
	BUG_ON(pid < 0);
	if (!pid) {
		program_start();
		return test_main("fs/mount with clients", cases,
				 ARRAY_SIZE(cases));
	}
	ret = wait_for(pid);
	remove_dirs();
	return ret;
}
