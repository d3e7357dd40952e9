// SPDX-License-Identifier: BSD-2-Clause
/*
 * tests/fs/test_swapdev.c - fs/swapdev.c, swapon.c, ctl_swap.c
 *
 *   fs_swapon() --> mm/swapfile.c --> swap_rw() --> fs/swapdev.c --> a real file
 *
 * Areas lie in a directory beside the fixture's, as they may not be in there.
 * liburing's queue_init is taken over, to be refused.
 */
#include <dirent.h>
#include <dlfcn.h>
#include <fcntl.h>
#include <liburing.h>
#include <limits.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <unistd.h>

#include "ctl.h"
#include "fixture.h"
#include "ioring.h"
#include "mmzone.h"
#include "swapdev.h"
#include "vmstat.h"

/* ---- io_uring, or not ---- */

static bool no_io_uring;
static int (*real_queue_init_params)(unsigned int entries,
				     struct io_uring *ring,
				     struct io_uring_params *p);

static __attribute__((constructor)) void find_real_liburing(void)
{
	*(void **)&real_queue_init_params =
		dlsym(RTLD_NEXT, "io_uring_queue_init_params");
}

int io_uring_queue_init_params(unsigned int entries, struct io_uring *ring,
			       struct io_uring_params *p)
{
	if (READ_ONCE(no_io_uring))
		return -EPERM;
	return real_queue_init_params(entries, ring, p);
}

/* ---- setting up ---- */

static char dir[PATH_MAX], said[512], logged[2048];

static __attribute__((format(printf, 2, 3))) void log_here(int level,
							    const char *fmt, ...)
{
	size_t len = strlen(logged);
	va_list ap;

	(void)level;
	va_start(ap, fmt);
	vsnprintf(logged + len, sizeof(logged) - len, fmt, ap);
	va_end(ap);
}

static void begin_in(const char *where)
{
	snprintf(dir, sizeof(dir), "%s/pagefs-swap.XXXXXX", where);
	BUG_ON(!mkdtemp(dir));
	fixture_begin();
	fs_log = log_here;
	logged[0] = '\0';
}

static void begin(void)
{
	const char *tmp = getenv("TMPDIR");

	begin_in(tmp && *tmp ? tmp : "/var/tmp");
}

static const char *in_dir(const char *name)
{
	static char path[PATH_MAX + 256];

	snprintf(path, sizeof(path), "%s/%s", dir, name);
	return path;
}

static void end(void)
{
	char command[PATH_MAX + 32];

	ioring_release();
	fixture_end();
	snprintf(command, sizeof(command), "rm -rf '%s'", dir);
	CU_ASSERT_EQUAL(system(command), 0);
}

/* "NAME[:SIZE[:PRIO]]", in our directory. */
static int turn_on(const char *text)
{
	struct fs_swap swap;
	int err;

	said[0] = '\0';
	err = fs_parse_swap(in_dir(text), &swap, said, sizeof(said));
	return err ? err : fs_swapon(&swap, said, sizeof(said));
}

static int turn_off(const char *name)
{
	return swap_off(in_dir(name), NULL, NULL);
}

/* It is refused, and @why is said, after the file's name. */
static bool refused(const char *text, int err, const char *why)
{
	int got = turn_on(text);

	if (got == err && strstr(said, why))
		return true;
	printf("# %s: %d, \"%s\" instead of %d, \"%s\"\n", text, got, said, err,
	       why);
	return false;
}

static int open_area(const char *name)
{
	int fd = open(in_dir(name), O_RDWR | O_CLOEXEC);

	BUG_ON(fd < 0);
	return fd;
}

/* A file with a header, not in use. */
static void make_area(const char *name, unsigned long kib)
{
	char text[64];

	snprintf(text, sizeof(text), "%s:%luK", name, kib);
	CU_ASSERT_EQUAL_FATAL(turn_on(text), 0);
	CU_ASSERT_EQUAL_FATAL(turn_off(name), 0);
}

/* ---- I/O ---- */

#define NR_PAGES	300	/* more than a request's most */

static struct page pages[NR_PAGES], *page_ptrs[NR_PAGES];
static swp_entry_t entries[NR_PAGES];
static atomic_uint nr_ended, nr_errors;
static atomic_int last_err;

static void end_io(struct page *page, int err)
{
	(void)page;
	if (err) {
		atomic_store(&last_err, err);
		atomic_fetch_add(&nr_errors, 1);
	}
	atomic_fetch_add(&nr_ended, 1);
}

static void fill_page(const struct page *page, unsigned int i, unsigned int gen)
{
	unsigned int *p = page_address(page);

	for (size_t k = 0; k < PAGE_SIZE / sizeof(*p); k++)
		p[k] = (unsigned int)k * 2654435761u + i * 97 + gen;
}

static bool page_is(const struct page *page, unsigned int i, unsigned int gen)
{
	const unsigned int *p = page_address(page);

	for (size_t k = 0; k < PAGE_SIZE / sizeof(*p); k++)
		if (p[k] != (unsigned int)k * 2654435761u + i * 97 + gen)
			return false;
	return true;
}

/* Some frames are neighbours, some are not. */
static void take_pages(void)
{
	pfn_t spare[NR_PAGES / 10];

	for (unsigned int i = 0; i < NR_PAGES; i++) {
		page_ptrs[i] = &pages[i];
		pages[i].pfn = alloc_frames(GFP_USER, 0);
		BUG_ON(pages[i].pfn == PFN_NONE);
		if (i % 10 == 0)
			spare[i / 10] = alloc_frames(GFP_USER, 0);
	}
	for (unsigned int i = 0; i < ARRAY_SIZE(spare); i++)
		free_frames(spare[i], 0);
	atomic_store(&nr_ended, 0);
	atomic_store(&nr_errors, 0);
}

static void give_pages(void)
{
	for (unsigned int i = 0; i < NR_PAGES; i++)
		free_frames(pages[i].pfn, 0);
}

/* Runs of slots that are neighbours, as swap_rw() wants them. */
static void rw_all(enum swap_dir way, enum read_mode mode)
{
	unsigned int from = 0;

	for (unsigned int i = 1; i <= NR_PAGES; i++) {
		if (i < NR_PAGES &&
		    swap_entries_adjacent(entries[i - 1], entries[i]))
			continue;
		swap_rw(entries[from], way, page_ptrs + from, i - from, mode,
			end_io);
		from = i;
	}
}

/* What the I/O thread has, nobody but the counter tells of. */
static void wait_ended(unsigned int nr)
{
	while (atomic_load(&nr_ended) < nr)
		sched_yield();
	CU_ASSERT_EQUAL(atomic_load(&nr_ended), nr);
	atomic_store(&nr_ended, 0);
}

static void write_and_read(unsigned int gen, enum read_mode mode)
{
	unsigned int good = 0;

	for (unsigned int i = 0; i < NR_PAGES; i++)
		fill_page(page_ptrs[i], i, gen);
	rw_all(SWAP_WRITE, READ_START);
	blk_flush_plug();
	wait_ended(NR_PAGES);
	for (unsigned int i = 0; i < NR_PAGES; i++)
		memset(page_address(page_ptrs[i]), 0xee, PAGE_SIZE);
	rw_all(SWAP_READ, mode);
	if (mode == READ_START)
		blk_flush_plug();
	if (mode == READ_WAIT)
		CU_ASSERT_EQUAL(atomic_load(&nr_ended), NR_PAGES);
	wait_ended(NR_PAGES);
	for (unsigned int i = 0; i < NR_PAGES; i++)
		good += page_is(page_ptrs[i], i, gen);
	CU_ASSERT_EQUAL(good, NR_PAGES);
}

/* Slot n is bytes n * PAGE_SIZE of the file. */
static void slots_are_where_they_should_be(const char *name, unsigned int gen)
{
	int fd = open_area(name);
	struct page *page = page_ptrs[0];
	unsigned int good = 0;

	for (unsigned int i = 0; i < NR_PAGES; i++) {
		CU_ASSERT_EQUAL(pread(fd, page_address(page), PAGE_SIZE,
				      (off_t)(swp_offset(entries[i]) <<
					      PAGE_SHIFT)), PAGE_SIZE);
		good += page_is(page, i, gen);
	}
	CU_ASSERT_EQUAL(good, NR_PAGES);
	close(fd);
}

static void pages_come_back(void)
{
	take_pages();
	CU_ASSERT_EQUAL_FATAL(turn_on("area:4M"), 0);
	CU_ASSERT_EQUAL(get_swap_pages(NR_PAGES, entries), NR_PAGES);
	write_and_read(1, READ_WAIT);
	write_and_read(2, READ_START);
	write_and_read(3, READ_AHEAD);
	slots_are_where_they_should_be("area", 3);
	CU_ASSERT_EQUAL(atomic_load(&nr_errors), 0);
	CU_ASSERT_EQUAL(vm_event(PSWPOUT), 3 * NR_PAGES);
	CU_ASSERT_EQUAL(vm_event(PSWPIN), 3 * NR_PAGES);
	for (unsigned int i = 0; i < NR_PAGES; i++)
		swap_free(entries[i]);
	give_pages();
	CU_ASSERT_EQUAL(turn_off("area"), 0);
}

static void what_went_comes_back(void)
{
	begin();
	pages_come_back();
	CU_ASSERT_PTR_NULL(strstr(logged, "no direct I/O"));
	end();
}

static void it_does_so_without_io_uring(void)
{
	WRITE_ONCE(no_io_uring, true);
	begin();
	ioring_release();
	pages_come_back();
	end();
	WRITE_ONCE(no_io_uring, false);
}

static void it_does_so_from_a_store_in_memory(void)
{
	begin_in("/dev/shm");
	pages_come_back();
	end();
}

static void it_does_so_without_memory(void)
{
	begin();
	take_pages();
	CU_ASSERT_EQUAL_FATAL(turn_on("area:4M"), 0);
	CU_ASSERT_EQUAL(get_swap_pages(NR_PAGES, entries), NR_PAGES);
	failslab(1, true);
	fail_page_alloc(1, true);
	write_and_read(1, READ_WAIT);
	write_and_read(2, READ_AHEAD);
	failslab(0, false);
	fail_page_alloc(0, false);
	CU_ASSERT_EQUAL(atomic_load(&nr_errors), 0);
	for (unsigned int i = 0; i < NR_PAGES; i++)
		swap_free(entries[i]);
	give_pages();
	end();
}

/* A file that others cut: no zeros for what was there. */
static void what_is_cut_off_is_an_error(void)
{
	int fd;

	begin();
	take_pages();
	CU_ASSERT_EQUAL_FATAL(turn_on("area:4M"), 0);
	CU_ASSERT_EQUAL(get_swap_pages(NR_PAGES, entries), NR_PAGES);
	write_and_read(1, READ_WAIT);
	fd = open_area("area");
	CU_ASSERT_EQUAL(ftruncate(fd, (off_t)swp_offset(entries[200]) *
				  (off_t)PAGE_SIZE), 0);
	close(fd);
	rw_all(SWAP_READ, READ_WAIT);
	wait_ended(NR_PAGES);
	CU_ASSERT(atomic_load(&nr_errors) >= NR_PAGES - 200);
	CU_ASSERT_EQUAL(atomic_load(&last_err), -EIO);
	CU_ASSERT_EQUAL(vm_event(PSWPERR), atomic_load(&nr_errors));
	for (unsigned int i = 0; i < NR_PAGES; i++)
		swap_free(entries[i]);
	give_pages();
	end();
}

/* ---- what is turned on ---- */

static void a_new_area_is_as_it_was_asked_for(void)
{
	struct swap_area_info info;
	struct stat st;

	begin();
	CU_ASSERT_EQUAL(turn_on("new:1M:7"), 0);
	CU_ASSERT_EQUAL(stat(in_dir("new"), &st), 0);
	CU_ASSERT_EQUAL(st.st_mode, S_IFREG | 0600);
	CU_ASSERT_EQUAL(st.st_size, SZ_1M);
	CU_ASSERT(st.st_blocks * 512 >= st.st_size);
	CU_ASSERT(swap_area_info(0, &info));
	CU_ASSERT_STRING_EQUAL(info.path, in_dir("new"));
	CU_ASSERT_EQUAL(info.nr_slots, 255);
	CU_ASSERT_EQUAL(info.prio, 7);
	CU_ASSERT(info.is_file);
	CU_ASSERT_PTR_NULL(strstr(logged, "insecure"));
	/* The next time it is there, whatever size is said. */
	CU_ASSERT_EQUAL(turn_off("new"), 0);
	CU_ASSERT_EQUAL(turn_on("new"), 0);
	CU_ASSERT_EQUAL(turn_off("new"), 0);
	CU_ASSERT_EQUAL(turn_on("new:2M"), 0);
	CU_ASSERT_EQUAL(total_swap_pages(), 255);
	end();
}

static void what_is_there_is_not_written_to(void)
{
	static const char text[] = "somebody's letters";
	char buf[64] = "";
	int fd;

	begin();
	fd = open(in_dir("letters"), O_RDWR | O_CREAT, 0600);
	CU_ASSERT_EQUAL(write(fd, text, sizeof(text)), sizeof(text));
	CU_ASSERT(refused("letters", -EIO, ": "));
	CU_ASSERT(refused("letters:1M", -EIO, ": "));
	CU_ASSERT_EQUAL(fallocate(fd, 0, 0, SZ_1M), 0);
	CU_ASSERT(refused("letters", -EINVAL, "has no header of a swap area"));
	CU_ASSERT(refused("letters:1M", -EINVAL, "has no header"));
	CU_ASSERT_EQUAL(pread(fd, buf, sizeof(text), 0), sizeof(text));
	CU_ASSERT_STRING_EQUAL(buf, text);
	close(fd);
	end();
}

static void a_failure_removes_what_it_made(void)
{
	begin();
	CU_ASSERT(turn_on("huge:900000G") < 0);
	CU_ASSERT_PTR_NOT_NULL(strstr(said, "cannot make a swap area"));
	CU_ASSERT_EQUAL(access(in_dir("huge"), F_OK), -1);
	failslab(3, true);
	CU_ASSERT_EQUAL(turn_on("some:1M"), -ENOMEM);
	failslab(0, false);
	CU_ASSERT_EQUAL(access(in_dir("some"), F_OK), -1);
	CU_ASSERT_EQUAL(turn_on("some:1M"), 0);
	end();
}

static void damage(const char *name, off_t at, int sign)
{
	static struct {
		struct swap_header header;
		char rest[SWAP_HEADER_BYTES - sizeof(struct swap_header)];
	} page;
	int fd = open_area(name);

	BUG_ON(pread(fd, &page, sizeof(page), 0) != sizeof(page));
	((char *)&page)[at]++;
	if (sign)
		page.header.checksum = swap_header_sum(&page);
	BUG_ON(pwrite(fd, &page, sizeof(page), 0) != sizeof(page));
	close(fd);
}

static void each_fault_is_put_in_words(void)
{
	begin();
	CU_ASSERT(refused("nothing", -ENOENT, "No such file"));
	CU_ASSERT(refused("no/dir:1M", -ENOENT, "cannot create: No such file"));
	CU_ASSERT_EQUAL(mkdir(in_dir("d"), 0700), 0);
	CU_ASSERT(refused("d", -EINVAL, "neither a file nor a block device"));
	CU_ASSERT_EQUAL(mkfifo(in_dir("fifo"), 0600), 0);
	CU_ASSERT(refused("fifo", -EINVAL, "neither a file nor a block device"));

	make_area("magic", 64);
	damage("magic", 3, 1);
	CU_ASSERT(refused("magic", -EINVAL, "magic: has no header"));
	make_area("version", 64);
	damage("version", offsetof(struct swap_header, version), 1);
	CU_ASSERT(refused("version", -EPROTONOSUPPORT, "another version"));
	make_area("damaged", 64);
	damage("damaged", 99, 0);
	CU_ASSERT(refused("damaged", -EUCLEAN, "is damaged"));
	make_area("short", 64);
	CU_ASSERT_EQUAL(truncate(in_dir("short"), 61440), 0);
	CU_ASSERT(refused("short", -EFBIG, "only 61440 bytes"));
	make_area("holes", 64);
	CU_ASSERT_EQUAL(truncate(in_dir("holes"), 4096), 0);
	CU_ASSERT_EQUAL(truncate(in_dir("holes"), 65536), 0);
	CU_ASSERT(refused("holes", -EINVAL, "holes: has holes"));
	CU_ASSERT_EQUAL(total_swap_pages(), 0);
	end();
}

static void areas_in_use_are_refused(void)
{
	char area[PATH_MAX + 256];
	int fd;

	begin();
	make_area("area", 64);
	fd = open_area("area");
	CU_ASSERT_EQUAL(flock(fd, LOCK_EX | LOCK_NB), 0);
	CU_ASSERT(refused("area", -EBUSY, "in use by another pagefsd"));
	CU_ASSERT_EQUAL(flock(fd, LOCK_UN), 0);
	CU_ASSERT_EQUAL(turn_on("area"), 0);
	CU_ASSERT_EQUAL(flock(fd, LOCK_EX | LOCK_NB), -1);
	CU_ASSERT(refused("area", -EBUSY, "is a swap area here already"));
	CU_ASSERT_EQUAL(symlink("area", in_dir("link")), 0);
	CU_ASSERT(refused("link", -EBUSY, "area: is a swap area here already"));
	snprintf(area, sizeof(area), "%s", in_dir("area"));
	CU_ASSERT_EQUAL(link(area, in_dir("other")), 0);
	CU_ASSERT(refused("other", -EBUSY, "or by another name"));
	CU_ASSERT_EQUAL(turn_off("area"), 0);
	CU_ASSERT_EQUAL(flock(fd, LOCK_EX | LOCK_NB), 0);
	close(fd);
	end();
}

static void areas_in_reach_of_the_mount_are_refused(void)
{
	char path[PATH_MAX + 16];
	struct fs_swap swap;
	struct stat st;

	begin();
	snprintf(path, sizeof(path), "%s/area:1M", fx_dir);
	CU_ASSERT_EQUAL(fs_parse_swap(path, &swap, said, sizeof(said)), 0);
	CU_ASSERT_EQUAL(fs_swapon(&swap, said, sizeof(said)), -EINVAL);
	CU_ASSERT_PTR_NOT_NULL(strstr(said, "lies in the backing directory"));
	CU_ASSERT_EQUAL(faccessat(fx_fd, "area", F_OK, 0), -1);
	make_area("area", 64);
	CU_ASSERT_EQUAL(stat(dir, &st), 0);
	sb.mnt_dev = st.st_dev;
	CU_ASSERT(refused("area", -EINVAL, "lies in the mount that it is to serve"));
	sb.mnt_dev = 0;
	CU_ASSERT_EQUAL(turn_on("area"), 0);
	strcpy(swap.path, "area");
	CU_ASSERT_EQUAL(fs_swapon(&swap, said, sizeof(said)), -EINVAL);
	CU_ASSERT_PTR_NOT_NULL(strstr(said, "area: not an absolute path"));
	end();
}

static void loose_rights_are_warned_of(void)
{
	begin();
	make_area("area", 64);
	CU_ASSERT_EQUAL(chmod(in_dir("area"), 0644), 0);
	logged[0] = '\0';
	CU_ASSERT_EQUAL(turn_on("area"), 0);
	CU_ASSERT_PTR_NOT_NULL(strstr(logged, "insecure permissions 0644"));
	CU_ASSERT_PTR_NULL(strstr(logged, "owner"));
	CU_ASSERT_EQUAL(turn_off("area"), 0);
	if (!geteuid()) {
		CU_ASSERT_EQUAL(chown(in_dir("area"), 12345, 0), 0);
		CU_ASSERT_EQUAL(turn_on("area"), 0);
		CU_ASSERT_PTR_NOT_NULL(strstr(logged, "insecure file owner 12345"));
	}
	end();
}

/* Of files in our directory; a thread may open its ring any time. */
static unsigned int nr_open_here(void)
{
	DIR *d = opendir("/proc/self/fd");
	char link[PATH_MAX];
	unsigned int nr = 0;
	struct dirent *de;

	BUG_ON(!d);
	while ((de = readdir(d))) {
		ssize_t len = readlinkat(dirfd(d), de->d_name, link,
					 sizeof(link) - 1);

		link[max(len, (ssize_t)0)] = '\0';
		nr += !strncmp(link, dir, strlen(dir));
	}
	closedir(d);
	return nr;
}

static void descriptors_are_closed(void)
{
	begin();
	make_area("area", 64);
	CU_ASSERT_EQUAL(nr_open_here(), 0);
	CU_ASSERT_EQUAL(turn_on("area"), 0);
	CU_ASSERT(nr_open_here() > 0);
	CU_ASSERT_EQUAL(turn_off("area"), 0);
	CU_ASSERT_EQUAL(nr_open_here(), 0);
	damage("area", 99, 0);
	CU_ASSERT_EQUAL(turn_on("area"), -EUCLEAN);
	CU_ASSERT_EQUAL(turn_on("none"), -ENOENT);
	CU_ASSERT_EQUAL(nr_open_here(), 0);
	end();
}

/* ---- words ---- */

static const struct {
	const char *text;
	int err;
	uint64_t size;
	int prio;
} specs[] = {
	{ "/a", 0, 0, -1 },
	{ "/a:1M", 0, SZ_1M, -1 },
	{ "/a:2g", 0, 2048 * SZ_1M, -1 },
	{ "/a:40960", 0, 40960, -1 },
	{ "/a:1M:0", 0, SZ_1M, 0 },
	{ "/a:1M:32767", 0, SZ_1M, 32767 },
	{ "/a::5", 0, 0, 5 },
	{ "/a:", 0, 0, -1 },
	{ "", -EINVAL, 0, 0 },
	{ ":1M", -EINVAL, 0, 0 },
	{ "/a:39K", -EINVAL, 0, 0 },
	{ "/a:1Q", -EINVAL, 0, 0 },
	{ "/a:1MB", -EINVAL, 0, 0 },
	{ "/a:-1", -EINVAL, 0, 0 },
	{ "/a:99999999999999T", -EINVAL, 0, 0 },
	{ "/a:1M:", -EINVAL, 0, 0 },
	{ "/a:1M:32768", -EINVAL, 0, 0 },
	{ "/a:1M:-1", -EINVAL, 0, 0 },
	{ "/a:1M:3:4", -EINVAL, 0, 0 },
};

static void words_mean_what_they_say(void)
{
	char path[400] = "/";
	struct fs_swap swap;

	for (size_t i = 0; i < ARRAY_SIZE(specs); i++) {
		said[0] = '\0';
		CU_ASSERT_EQUAL(fs_parse_swap(specs[i].text, &swap, said,
					      sizeof(said)), specs[i].err);
		CU_ASSERT_EQUAL(!specs[i].err, !*said);
		if (specs[i].err)
			continue;
		CU_ASSERT_STRING_EQUAL(swap.path, "/a");
		CU_ASSERT_EQUAL(swap.size, specs[i].size);
		CU_ASSERT_EQUAL(swap.prio, specs[i].prio);
	}
	memset(path + 1, 'x', 255);
	CU_ASSERT_EQUAL(fs_parse_swap(path, &swap, said, sizeof(said)),
			-ENAMETOOLONG);
	path[255] = '\0';
	CU_ASSERT_EQUAL(fs_parse_swap(path, &swap, said, sizeof(said)), 0);
	CU_ASSERT_EQUAL(strlen(swap.path), 255);
}

/* ---- .pagefs/swapon, swapoff ---- */

static struct ctl_handle *ctl_open_name(const char *name, int flags)
{
	uint64_t pagefs, nodeid;
	struct ctl_handle *h;
	struct stat st;

	BUG_ON(ctl_lookup(1, CTL_DIR_NAME, &st, &pagefs));
	BUG_ON(ctl_lookup(pagefs, name, &st, &nodeid));
	CU_ASSERT_EQUAL(st.st_mode, S_IFREG | 0600);
	BUG_ON(ctl_open(nodeid, &fx_root, flags, &h));
	return h;
}

static ssize_t ctl_say(struct ctl_handle *h, const char *text)
{
	return ctl_write(h, text, strlen(text), 0);
}

static const char *ctl_text(struct ctl_handle *h)
{
	static char text[4096];
	ssize_t n = ctl_read(h, text, sizeof(text) - 1, 0);

	text[max_t(ssize_t, n, 0)] = '\0';
	return text;
}

static void swapon_can_be_written_to(void)
{
	struct ctl_handle *h, *other;
	char line[PATH_MAX + 300];

	begin();
	h = ctl_open_name("swapon", O_RDWR);
	other = ctl_open_name("swapon", O_RDWR);
	snprintf(line, sizeof(line), "%s:1M\n", in_dir("area"));
	CU_ASSERT_EQUAL(ctl_say(h, line), strlen(line));
	CU_ASSERT_STRING_EQUAL(ctl_text(h), "");
	CU_ASSERT_EQUAL(total_swap_pages(), 255);
	CU_ASSERT_EQUAL(ctl_say(h, line), -EBUSY);
	CU_ASSERT_PTR_NOT_NULL(strstr(ctl_text(h), "already\n"));
	CU_ASSERT_STRING_EQUAL(ctl_text(other), "");
	CU_ASSERT_EQUAL(ctl_say(h, "/a:1Q"), -EINVAL);
	CU_ASSERT_STRING_EQUAL(ctl_text(h),
			       "/a: 1Q is not a size; say for example 2G\n");
	CU_ASSERT_EQUAL(ctl_say(h, "\n"), -EINVAL);
	CU_ASSERT_EQUAL(ctl_say(h, "/a\n/b\n"), -EINVAL);
	CU_ASSERT_EQUAL(ctl_write(h, line, strlen(line), 5), -EINVAL);
	CU_ASSERT_EQUAL(ctl_write(h, "/a\0b", 4, 0), -EINVAL);
	ctl_release(h);
	ctl_release(other);
	end();
}

/* What unuse() waits for, and what it then does. */
static struct {
	pthread_mutex_t lock;
	pthread_cond_t cond;
	bool held, waiting;
	int err;
} gate = {
	.lock = PTHREAD_MUTEX_INITIALIZER,
	.cond = PTHREAD_COND_INITIALIZER,
};

static void gate_set(bool held, int err)
{
	pthread_mutex_lock(&gate.lock);
	gate.held = held;
	gate.err = err;
	gate.waiting = false;
	pthread_cond_broadcast(&gate.cond);
	pthread_mutex_unlock(&gate.lock);
}

static void gate_wait(void)
{
	pthread_mutex_lock(&gate.lock);
	while (!gate.waiting)
		pthread_cond_wait(&gate.cond, &gate.lock);
	pthread_mutex_unlock(&gate.lock);
}

static int unuse(unsigned int type, swap_progress_t progress, void *arg)
{
	int err;

	(void)type;
	if (!progress(5, arg))
		return -EINTR;
	pthread_mutex_lock(&gate.lock);
	gate.waiting = true;
	pthread_cond_broadcast(&gate.cond);
	while (gate.held && progress(4, arg)) {
		pthread_mutex_unlock(&gate.lock);
		sched_yield();
		pthread_mutex_lock(&gate.lock);
	}
	err = gate.err;
	pthread_mutex_unlock(&gate.lock);
	if (!progress(4, arg))
		return -EINTR;
	if (!err)
		swap_free(entries[0]);
	return err;
}

/* Until the file says so of the area. */
static bool swapoff_becomes(struct ctl_handle *h, const char *what)
{
	const char *text;

	do {
		text = ctl_text(h);
		if (strstr(text, what))
			return true;
		sched_yield();
	} while (strstr(text, "going"));
	printf("# no \"%s\" in: %s", what, text);
	return false;
}

static void swapoff_goes_on_by_itself(void)
{
	struct ctl_handle *h;
	char line[PATH_MAX + 300];

	begin();
	swap_set_unuse(unuse);
	CU_ASSERT_EQUAL(turn_on("area:1M"), 0);
	CU_ASSERT_EQUAL(get_swap_pages(1, entries), 1);
	snprintf(line, sizeof(line), "%s\n", in_dir("area"));
	h = ctl_open_name("swapoff", O_RDWR);
	CU_ASSERT_EQUAL(ctl_say(h, "/nothing\n"), -ENOENT);

	gate_set(true, -ENOMEM);
	CU_ASSERT_EQUAL(ctl_say(h, line), strlen(line));
	gate_wait();
	CU_ASSERT_PTR_NOT_NULL(strstr(ctl_text(h), " going\t\t16\t\t4\t\t-\n"));
	CU_ASSERT_EQUAL(ctl_say(h, line), -EBUSY);
	gate_set(false, -ENOMEM);
	CU_ASSERT(swapoff_becomes(h, " failed\t\t16\t\t4\t\tnot enough memory"));
	CU_ASSERT_EQUAL(total_swap_pages(), 255);

	gate_set(false, 0);
	CU_ASSERT_EQUAL(ctl_say(h, line), strlen(line));
	CU_ASSERT(swapoff_becomes(h, " done\t\t0\t\t4\t\t-\n"));
	CU_ASSERT_EQUAL(total_swap_pages(), 0);
	CU_ASSERT_EQUAL(ctl_say(h, line), -ENOENT);
	ctl_release(h);
	end();
}

static void the_end_stops_a_swapoff(void)
{
	struct ctl_handle *h;

	begin();
	swap_set_unuse(unuse);
	CU_ASSERT_EQUAL(turn_on("area:1M"), 0);
	CU_ASSERT_EQUAL(get_swap_pages(1, entries), 1);
	h = ctl_open_name("swapoff", O_RDWR);
	gate_set(true, 0);
	CU_ASSERT(ctl_say(h, in_dir("area")) > 0);
	gate_wait();
	ctl_release(h);
	swapoff_stop();
	CU_ASSERT_EQUAL(total_swap_pages(), 255);
	CU_ASSERT_PTR_NOT_NULL(strstr(logged, "area: stopped"));
	swap_free(entries[0]);
	end();
}

static const struct test_case cases[] = {
	{ "what went comes back", what_went_comes_back },
	{ "it does so without io_uring", it_does_so_without_io_uring },
	{ "it does so from a store in memory",
	  it_does_so_from_a_store_in_memory },
	{ "it does so without memory", it_does_so_without_memory },
	{ "what is cut off is an error", what_is_cut_off_is_an_error },
	{ "a new area is as it was asked for",
	  a_new_area_is_as_it_was_asked_for },
	{ "what is there is not written to", what_is_there_is_not_written_to },
	{ "a failure removes what it made", a_failure_removes_what_it_made },
	{ "each fault is put in words", each_fault_is_put_in_words },
	{ "areas in use are refused", areas_in_use_are_refused },
	{ "areas in reach of the mount are refused",
	  areas_in_reach_of_the_mount_are_refused },
	{ "loose rights are warned of", loose_rights_are_warned_of },
	{ "descriptors are closed", descriptors_are_closed },
	{ "words mean what they say", words_mean_what_they_say },
	{ "swapon can be written to", swapon_can_be_written_to },
	{ "swapoff goes on by itself", swapoff_goes_on_by_itself },
	{ "the end stops a swapoff", the_end_stops_a_swapoff },
};

int main(void)
{
	return test_main("fs/swapdev", cases, ARRAY_SIZE(cases));
}
