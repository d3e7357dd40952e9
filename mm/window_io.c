// SPDX-License-Identifier: BSD-2-Clause
/*
 * mm/window_io.c - the bytes of a page, in its frame or in its window
 *
 *                        page in the arena     page in the window
 *   page_read_bytes      from its frame        pread
 *   page_write_bytes     to its frame          pwrite
 *   page_hold_bytes      its frame             a copy of the caller's own
 *   window_snapshot      (its frame does)      a copy, which page->pfn becomes
 *
 * B1. Before bytes are copied to where they stay (the store, the kernel's cache
 *     of our mount) clients lose the right to write to them; where that cannot
 *     be had, whoever copies is told. To have it back takes a fault, which makes
 *     the page dirty and has copies above us dropped (memory.c).
 * B2. Memory that is pinned may change without the right for a second: then the
 *     page is dirtied once more when that is over (PG_recheck).
 * B3. page->pfn of a page in the window is PFN_NONE or a snapshot, which goes
 *     when nobody can be reading it. That is for page_drop_snapshot() to see:
 *     who holds a frame has a reference from before it looked for PG_window.
 *
 * How a memfd may be written: window.c I4. Whole-page writes to it are atomic
 * against clients' kernels mapping the page (run: no torn page in 32,768 filled
 * under two readers).
 *
 * Locks:  page lock > what page_mkclean() takes. hold_frame() needs no lock.
 * Source: -
 */
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/uio.h>
#include <unistd.h>

#include "internal.h"
#include "page.h"
#include "vmstat.h"
#include "window_i.h"

/* Reads and writes of the memfd go on after a signal. */
static int retry_io(ssize_t n, size_t len)
{
	if (n == (ssize_t)len)
		return 0;
	if (n < 0 && errno == EINTR)
		return 1;
	return n < 0 ? -errno : -EIO;	/* short: the kernel has no memory */
}

/* ---- runs of pages, between their frames and the window ---- */

unsigned int window_write_frames(struct page **pages, unsigned int nr)
{
	struct window *w = page_window(pages[0]);
	struct iovec iov[WINDOW_BATCH];
	unsigned int n = 0;
	ssize_t ret;

	VM_BUG_ON(nr > WINDOW_BATCH);
	for (unsigned int i = 0; i < nr; i++) {
		if (i && pages[i]->pfn == pages[i - 1]->pfn + 1)
			iov[n - 1].iov_len += PAGE_SIZE;
		else
			iov[n++] = (struct iovec){ page_address(pages[i]),
						   PAGE_SIZE };
	}
	do
		ret = pwritev(w->fd, iov, (int)n,
			      (off_t)pages[0]->index << PAGE_SHIFT);
	while (ret < 0 && errno == EINTR);
	return ret > 0 ? (unsigned int)((size_t)ret >> PAGE_SHIFT) : 0;
}

static const char zeros[PAGE_SIZE] __attribute__((aligned(PAGE_SIZE)));

unsigned int window_write_zeros(struct page **pages, unsigned int nr)
{
	struct iovec iov[WINDOW_BATCH];
	ssize_t ret;

	VM_BUG_ON(nr > WINDOW_BATCH);
	for (unsigned int i = 0; i < nr; i++)
		iov[i] = (struct iovec){ (void *)zeros, PAGE_SIZE };
	do
		ret = pwritev(page_window(pages[0])->fd, iov, (int)nr,
			      (off_t)pages[0]->index << PAGE_SHIFT);
	while (ret < 0 && errno == EINTR);
	return ret > 0 ? (unsigned int)((size_t)ret >> PAGE_SHIFT) : 0;
}

int window_read_frames(struct page **pages, unsigned int nr, const pfn_t *pfns)
{
	struct window *w = page_window(pages[0]);
	struct iovec iov[MAX_RUN_PAGES];
	unsigned int n = 0;
	int ret;

	VM_BUG_ON(nr > MAX_RUN_PAGES);
	for (unsigned int i = 0; i < nr; i++) {
		if (i && pfns[i] == pfns[i - 1] + 1)
			iov[n - 1].iov_len += PAGE_SIZE;
		else
			iov[n++] = (struct iovec){ pfn_to_virt(pfns[i]),
						   PAGE_SIZE };
	}
	do
		ret = retry_io(preadv(w->fd, iov, (int)n,
				      (off_t)pages[0]->index << PAGE_SHIFT),
			       nr * PAGE_SIZE);
	while (ret > 0);
	return ret;
}

/*
 * A pipe that holds pages of a window while they are punched out of it. One for
 * all: it is used for some microseconds. Fields: (P) lock.
 */
static struct {
	struct mutex lock;
	int fd[2];		/* (P) 0 until there is one */
	unsigned int room;	/* (P) pages */
} holder = { .lock = MUTEX_INITIALIZER(LOCK_LEAF) };

/* Context: holder.lock. Return: 0 or -errno. */
static int open_holder(void)
{
	int size;

	if (holder.fd[1])
		return 0;
	if (pipe2(holder.fd, O_CLOEXEC))
		return -errno;
	size = fcntl(holder.fd[0], F_SETPIPE_SZ, WINDOW_BATCH * PAGE_SIZE);
	if (size < 0)
		size = fcntl(holder.fd[0], F_GETPIPE_SZ);
	holder.room = size < 0 ? 1 : (unsigned int)size / PAGE_SIZE;
	return 0;
}

static void close_holder(void)
{
	close(holder.fd[0]);
	close(holder.fd[1]);
	holder.fd[0] = holder.fd[1] = 0;
}

/* Context: holder.lock. Return: 0; -errno: it may hold some. */
static int hold_pages(struct page **pages, unsigned int nr)
{
	loff_t pos = (loff_t)pages[0]->index << PAGE_SHIFT;
	size_t len = nr * PAGE_SIZE;

	while (len) {
		ssize_t n = splice(page_window(pages[0])->fd, &pos, holder.fd[1],
				   NULL, len, SPLICE_F_NONBLOCK);

		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0)
			return n ? -errno : -EIO;
		len -= (size_t)n;
	}
	return 0;
}

/* What hold_pages() has put there. */
static void read_held(unsigned int nr, const pfn_t *pfns)
{
	for (unsigned int i = 0; i < nr; i++) {
		char *to = pfn_to_virt(pfns[i]);
		ssize_t n;

		for (size_t done = 0; done < PAGE_SIZE; done += (size_t)n) {
			do
				n = read(holder.fd[0], to + done,
					 PAGE_SIZE - done);
			while (n < 0 && errno == EINTR);
			BUG_ON(n <= 0);	/* nobody else has these bytes */
		}
	}
}

/* Context: holder.lock. As window_take_frames(). */
static int take_some(struct page **pages, unsigned int nr, const pfn_t *pfns)
{
	int err = hold_pages(pages, nr);

	if (err) {
		close_holder();		/* with what it has */
		return err;
	}
	window_punch(pages[0]->mapping, pages[0]->index, nr);
	read_held(nr, pfns);
	return 0;
}

int window_take_frames(struct page **pages, unsigned int nr, const pfn_t *pfns)
{
	int err;

	mutex_lock(&holder.lock);
	err = open_holder();
	if (!err)
		err = nr > holder.room ? -E2BIG : take_some(pages, nr, pfns);
	mutex_unlock(&holder.lock);
	return err;
}

unsigned int window_take_max(void)
{
	unsigned int room;

	mutex_lock(&holder.lock);
	room = open_holder() ? 1 : holder.room;
	mutex_unlock(&holder.lock);
	return room;
}

void window_io_exit(void)
{
	mutex_lock(&holder.lock);
	if (holder.fd[1])
		close_holder();
	mutex_unlock(&holder.lock);
}

/* ---- bytes, wherever they are ---- */

static off_t page_pos(const struct page *page, size_t from)
{
	return ((off_t)page->index << PAGE_SHIFT) + (off_t)from;
}

int page_read_bytes(struct page *page, size_t from, void *buf, size_t len)
{
	int ret;

	if (!PageWindow(page)) {
		memcpy(buf, (char *)page_address(page) + from, len);
		return 0;
	}
	do
		ret = retry_io(pread(page_window(page)->fd, buf, len,
				     page_pos(page, from)), len);
	while (ret > 0);
	return ret ? -EIO : 0;
}

int page_write_bytes(struct page *page, size_t from, const void *buf, size_t len)
{
	int ret;

	if (!PageWindow(page)) {
		memcpy((char *)page_address(page) + from, buf, len);
		return 0;
	}
	do
		ret = retry_io(pwrite(page_window(page)->fd, buf, len,
				      page_pos(page, from)), len);
	while (ret > 0);
	return ret ? -EIO : 0;
}

int page_zero_bytes(struct page *page, size_t from, size_t len)
{
	return page_write_bytes(page, from, zeros, len);
}

/* ---- bytes at an address ---- */

/*
 * Times a client is asked not to store to a page that copies are made of.
 * Arbitrary; asking takes time, too, and who does not answer for long is ended.
 */
#define STOP_TRIES	64u

/*
 * Context: page locked. Into @pfn, the caller's own frame. Return: 0; -EIO;
 * -EAGAIN: a client could store on, and nobody would tell who keeps a copy.
 */
static int copy_to_frame(struct page *page, bool kcached, pfn_t pfn)
{
	if (!page_mapping(page) && page->pfn == PFN_NONE) {
		/* Truncated while in the window: past i_size, or a hole. */
		memset(pfn_to_virt(pfn), 0, PAGE_SIZE);
		return 0;
	}
	if (kcached && page_mapping(page)) {
		if (PageWindow(page) && page_mkclean(&page, 1))
			return -EAGAIN;
		page_set(page, PG_kcached);
	}
	return page_read_bytes(page, 0, pfn_to_virt(pfn), PAGE_SIZE);
}

static int hold_copy(struct page *page, bool kcached, pfn_t *pfnp)
{
	pfn_t pfn = alloc_frames(GFP_USER, 0);
	unsigned int tries = 0;
	int err;

	if (pfn == PFN_NONE)
		return -ENOMEM;
	do {
		lock_page(page);
		err = copy_to_frame(page, kcached, pfn);
		unlock_page(page);
	} while (err == -EAGAIN && ++tries < STOP_TRIES);
	if (!err)
		*pfnp = pfn;
	else
		free_frames(pfn, 0);
	return err == -EAGAIN ? -EIO : err;
}

/* The page's own frame, if it is in the arena. */
static bool hold_frame(struct page *page, pfn_t *pfnp)
{
	*pfnp = READ_ONCE(page->pfn);
	/* pairs with page_drop_snapshot(): our reference came before this load */
	return !(atomic_load(&page->flags) & (1u << PG_window)) &&
		*pfnp != PFN_NONE;
}

int page_hold_bytes(struct page *page, bool kcached, pfn_t *pfnp)
{
	bool held;

	if (!kcached || page_test(page, PG_kcached)) {
		held = hold_frame(page, pfnp);
	} else {
		lock_page(page);
		held = hold_frame(page, pfnp);
		if (held)
			page_set(page, PG_kcached);
		unlock_page(page);
	}
	return held ? 0 : hold_copy(page, kcached, pfnp);
}

void page_release_bytes(struct page *page, pfn_t pfn)
{
	if (pfn != READ_ONCE(page->pfn))
		free_frames(pfn, 0);
}

/* ---- for writeback ---- */

/*
 * References beyond the tree's and the caller's are of readers who may have
 * come before PG_window was set, and still read the frame: then it stays with
 * the page, as a snapshot nobody needs, until the page is demoted.
 */
void page_drop_snapshot(struct page *page, int refs)
{
	/*
	 * All sequentially consistent: PG_window was set before this load, a
	 * reader's reference taken before its load of the flags (hold_frame()).
	 * So who is not counted here sees PG_window there.
	 */
	if (page->pfn == PFN_NONE || atomic_load(&page->refcount) > refs)
		return;
	free_frames(page->pfn, 0);
	WRITE_ONCE(page->pfn, PFN_NONE);
}

/*
 * Frames that snapshots may take now. All that are dirty, at once, would take the
 * last ones, and leave the others' allocations to fail; so while some are on
 * their way to the disk, and will be free again, no more are made than leave the
 * zones above their high watermarks. With none on its way one can be made.
 */
static unsigned long snapshot_allowance(void)
{
	unsigned long free = 0, keep = 0;
	struct zone *zone;

	for_each_zone(zone) {
		free += zone_free_frames(zone);
		keep += zone->watermark[WMARK_HIGH];
	}
	if (free > keep)
		return free - keep;
	return vm_stat_read(NR_WRITEBACK) > 0 ? 0 : 1;
}

/* Frames for the pages that have none. Return: how many, from the first on. */
static unsigned int snapshot_frames(struct page **pages, unsigned int nr)
{
	unsigned long allowed = snapshot_allowance();

	for (unsigned int i = 0; i < nr; i++) {
		pfn_t pfn;

		if (pages[i]->pfn != PFN_NONE)
			continue;
		if (!allowed--)
			return i;
		pfn = alloc_frames(__GFP_MOVABLE | __GFP_MEMALLOC |
				   __GFP_KSWAPD, 0);
		if (pfn == PFN_NONE)
			return i;
		WRITE_ONCE(pages[i]->pfn, pfn);	/* hold_frame() may look */
	}
	return nr;
}

/* Context: pages locked, in the window, not under writeback. */
static unsigned int snapshot_run(struct page **pages, unsigned int nr,
				 bool *unstoppable)
{
	pfn_t pfns[MAX_RUN_PAGES];

	nr = snapshot_frames(pages, nr);
	if (!nr)
		return 0;
	for (unsigned int i = 0; i < nr; i++)
		pfns[i] = pages[i]->pfn;
	if (page_mkclean(pages, nr))
		*unstoppable = true;
	return window_read_frames(pages, nr, pfns) ? 0 : nr;
}

unsigned int window_snapshot(struct page **pages, unsigned int nr,
			     bool *unstoppable)
{
	unsigned int i = 0, n, got;

	*unstoppable = false;
	while (i < nr) {
		if (!PageWindow(pages[i])) {
			i++;
			continue;
		}
		for (n = 1; i + n < nr && PageWindow(pages[i + n]); n++)
			;
		got = snapshot_run(pages + i, n, unstoppable);
		i += got;
		if (got < n)
			return i;
	}
	return nr;
}

/* ---- memory that is pinned ---- */

#define GRANT_CS	100u	/* a second: how long a transfer may take */

bool granted_lately(const struct page *page)
{
	return page->granted_cs &&
		mm_centisecs() - page->granted_cs < GRANT_CS;
}

void window_note_recheck(struct page *page)
{
	struct window *w = page_window(page);

	if (!granted_lately(page) || !mapping_mapped(page->mapping))
		return;
	page_set(page, PG_recheck);
	atomic_store(&w->recheck, true);
}

bool window_wants_recheck(struct address_space *mapping)
{
	struct window *w = mapping_win(mapping);

	return w && atomic_load(&w->recheck);
}

/* Context: a reference. Return: false if its second is not over. */
static bool redirty_page(struct address_space *mapping, struct page *page,
			 bool all)
{
	bool done = true;

	if (!page_test(page, PG_recheck))
		return true;
	lock_page(page);
	if (page_mapping(page) == mapping && page_test(page, PG_recheck)) {
		done = all || !granted_lately(page);
		if (done) {
			page_clear(page, PG_recheck);
			set_page_dirty(page);
		}
	}
	unlock_page(page);
	return done;
}

void window_redirty(struct address_space *mapping, bool all)
{
	struct window *w = mapping_win(mapping);
	struct page *pages[PAGEVEC_SIZE];
	pgoff_t index = 0;
	bool done = true;
	unsigned int nr;

	if (!w || !atomic_exchange(&w->recheck, false))
		return;
	while ((nr = find_get_pages_range(mapping, &index, UINT64_MAX,
					  PAGEVEC_SIZE, pages, ANY_TAG))) {
		for (unsigned int i = 0; i < nr; i++) {
			done &= redirty_page(mapping, pages[i], all);
			put_page(pages[i]);
		}
	}
	if (!done)
		atomic_store(&w->recheck, true);
}
