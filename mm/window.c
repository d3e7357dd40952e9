// SPDX-License-Identifier: BSD-2-Clause
/*
 * mm/window.c - windows: memfds that clients map, and the way into them
 *
 *   frame of the arena --pwritev--> window --mmu->map--> client
 *        (freed)                      ^
 *                                     +-- other clients: natively, by their
 *                                         kernels, which know the page is there
 *
 * I1. PG_window <=> the page's bytes are in the memfd at its index, charged.
 *     Both change with the page locked. Where a client has punched it out
 *     behind our back the memfd lacks it: then it is zeros, and dirty.
 * I2. A page is put into the memfd only when its chunk of 512 is armed in every
 *     client that maps it: write-protect markers are in the client's page
 *     tables, so that a page its kernel maps by itself comes up read-only. What
 *     is armed stays so: a right to write is given page by page, and a page
 *     leaves write-protected (demote.c, unmap_mapping_range()). Where that could
 *     not be had the chunk is armed anew (window_disarm()).
 * I3. The memfd's size is i_size, rounded up to a page, once whoever changed
 *     i_size has called window_resize(). Nothing is put there past i_size: who
 *     fills a page has it locked and looks at i_size under the lock, and who
 *     truncates waits for the lock of each page before it cuts the memfd.
 * I4. The memfd is never mapped here, and written in whole pages where a page
 *     may be absent: reading a hole through a mapping, or writing part of
 *     one, plants a page of zeros in every client.
 *
 * Locks:  page lock > window->lock > i_mmap_lock (read) > page_table_lock.
 * Source: -
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "internal.h"
#include "err.h"
#include "page.h"
#include "rcu.h"
#include "slab.h"
#include "swap.h"
#include "vmstat.h"
#include "window_i.h"

/* ---- making and unmaking ---- */

static int open_read_only(int fd)
{
	char path[32];

	snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
	return open(path, O_RDONLY | O_CLOEXEC);
}

/*
 * Does the kernel give memfds huge pages? Then a page we put there brings 511
 * neighbours of zeros, which clients would read. (I4)
 */
static bool memfds_are_huge(void)
{
	static const char path[] =
		"/sys/kernel/mm/transparent_hugepage/shmem_enabled";
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	char buf[128];
	ssize_t n;

	if (fd < 0)
		return false;		/* a kernel without any */
	n = read(fd, buf, sizeof(buf) - 1);
	close(fd);
	buf[max_t(ssize_t, n, 0)] = '\0';
	return strstr(buf, "[always]") || strstr(buf, "[within_size]") ||
		strstr(buf, "[force]");
}

static struct window *window_alloc(struct address_space *mapping)
{
	struct window *w;
	int err;

	if (memfds_are_huge())
		return ERR_PTR(-EOPNOTSUPP);
	w = kzalloc(sizeof(*w), GFP_KERNEL);
	if (!w)
		return ERR_PTR(-ENOMEM);
	w->mapping = mapping;
	mutex_init(&w->lock, LOCK_WINDOW);
	init_rwsem(&w->i_mmap_lock, LOCK_I_MMAP);
	init_rwsem(&w->demote_sem, LOCK_WINDOW_DEMOTE);
	INIT_LIST_HEAD(&w->async_link);
	w->fd = memfd_create("pagefs-window", MFD_CLOEXEC);
	/* 0777 is the default: whoever has ro_fd could open it for writing. */
	if (w->fd < 0 || fchmod(w->fd, 0600)) {
		err = -errno;
		goto out_window;
	}
	w->ro_fd = open_read_only(w->fd);
	if (w->ro_fd < 0) {
		err = -errno;
		goto out_window;
	}
	return w;

out_window:
	if (w->fd >= 0)
		close(w->fd);
	destroy_rwsem(&w->demote_sem);
	destroy_rwsem(&w->i_mmap_lock);
	mutex_destroy(&w->lock);
	kfree(w);
	return ERR_PTR(err);
}

static void window_free(struct window *w)
{
	close(w->ro_fd);
	close(w->fd);
	destroy_rwsem(&w->demote_sem);
	destroy_rwsem(&w->i_mmap_lock);
	mutex_destroy(&w->lock);
	kfree(w);
}

struct window *mapping_window(struct address_space *mapping)
{
	struct window *w = atomic_load(&mapping->window), *old = NULL;

	if (w)
		return w;
	w = window_alloc(mapping);
	if (IS_ERR(w))
		return w;
	if (!atomic_compare_exchange_strong(&mapping->window, &old, w)) {
		window_free(w);
		w = old;
	}
	window_resize(mapping);
	return w;
}

static void armed_clear(struct window *w)
{
	uint64_t index, next = 0;
	void *item;

	while (radix_tree_gang_lookup(&w->armed, &item, &index, next,
				      UINT64_MAX, 1)) {
		radix_tree_delete(&w->armed, index);
		next = index + 1;
	}
}

/* Context: nobody knows the mapping any more. */
void window_destroy(struct address_space *mapping)
{
	struct window *w = atomic_load(&mapping->window);

	if (!w)
		return;
	BUG_ON(atomic_load(&w->nr_pages));
	mutex_lock(&w->lock);
	armed_clear(w);
	mutex_unlock(&w->lock);
	atomic_store(&mapping->window, NULL);
	window_free(w);
	balloon_trim();
}

/*
 * Called after i_size or mapping->window was stored. Of two threads that did one
 * each, one sees both: they meet in this exchange of i_size for itself, after
 * their stores and before their loads. (A fence would do; ThreadSanitizer does
 * not know those.)
 */
void window_resize(struct address_space *mapping)
{
	struct window *w;
	loff_t size;

	atomic_fetch_add(&mapping->i_size, 0);
	w = atomic_load(&mapping->window);
	if (!w)
		return;
	mutex_lock(&w->lock);
	size = ALIGN(i_size_read(mapping), (loff_t)PAGE_SIZE);
	/* It fails only for want of memory for the inode: never seen. */
	if (size != w->size && !ftruncate(w->fd, size))
		w->size = size;
	mutex_unlock(&w->lock);
}

void mapping_grow(struct address_space *mapping, loff_t size)
{
	loff_t old = i_size_read(mapping);
	struct page *page;

	/*
	 * Clients may have stored past the end, in the last page: not part of
	 * the file. Clean or not, it is zero from here on (filemap.c I2).
	 */
	if (atomic_load(&mapping->window) && (old & ~PAGE_MASK)) {
		page = find_lock_page(mapping, old >> PAGE_SHIFT);
		if (page) {
			/* demoted meanwhile, perhaps, with what they stored */
			if (page_test(page, PG_uptodate))
				page_zero_bytes(page, old & ~PAGE_MASK,
						PAGE_SIZE - (old & ~PAGE_MASK));
			unlock_page(page);
			put_page(page);
		}
	}
	i_size_write(mapping, size);
	window_resize(mapping);
}

/* ---- arming ---- */

static int arm_range(struct vm_area_struct *vma, pgoff_t first, pgoff_t last)
{
	pgoff_t from = max(first, vma->vm_pgoff);
	pgoff_t to = min(last, vma_last_pgoff(vma));

	if (!(vma->vm_flags & VM_UFFD_WP) || from > to)
		return 0;
	return vma->vm_mm->mmu->protect(vma, vma_address(vma, from),
					to - from + 1);
}

/*
 * Context: window->lock. @again: after window_disarm(). Where stores are scanned
 * for, what lacks a marker only looks as if it had been stored to; arming it anew
 * would hide what has been.
 */
static int arm_everywhere(struct address_space *mapping, pgoff_t first,
			  bool again)
{
	pgoff_t last = first + WINDOW_CHUNK_PAGES - 1;
	struct vm_area_struct *vma;
	int err = 0;

	down_read(&mapping_win(mapping)->i_mmap_lock);
	vma_interval_tree_foreach(vma, &mapping_win(mapping)->i_mmap, first, last) {
		if (again && (vma->vm_flags & VM_UFFD_ASYNC))
			continue;
		err = arm_range(vma, first, last);
		if (err)
			break;
	}
	up_read(&mapping_win(mapping)->i_mmap_lock);
	return err;
}

/* Tag of chunks in w->armed where some client may lack markers again. */
#define ARMED_TAG_PARTLY	0u

/* Context: RCU or window->lock. */
static bool chunk_is_armed(const struct window *w, uint64_t chunk)
{
	return radix_tree_lookup(&w->armed, chunk) &&
		!radix_tree_tag_get(&w->armed, chunk, ARMED_TAG_PARTLY);
}

/* Context: window->lock, a preloaded node. */
static int __window_arm_chunk(struct window *w, uint64_t chunk)
{
	const bool again = radix_tree_lookup(&w->armed, chunk);
	int err = arm_everywhere(w->mapping, chunk * WINDOW_CHUNK_PAGES, again);

	if (err)
		return err;
	if (!again)
		return radix_tree_insert(&w->armed, chunk, w);
	radix_tree_tag_clear(&w->armed, chunk, ARMED_TAG_PARTLY);
	return 0;
}

int window_arm_chunk(struct address_space *mapping, pgoff_t index)
{
	struct window *w = atomic_load(&mapping->window);
	uint64_t chunk = index / WINDOW_CHUNK_PAGES;
	bool armed;
	int err;

	mm_rcu_read_lock();
	armed = chunk_is_armed(w, chunk);
	mm_rcu_read_unlock();
	if (likely(armed))
		return 0;
	err = radix_tree_preload(GFP_KERNEL, 1);
	if (err)
		return err;
	/*
	 * A client that maps the file now arms what is in w->armed under this
	 * lock after its kernel has registered the range, and until then has
	 * no access; so either it sees the chunk or we reach the client.
	 */
	mutex_lock(&w->lock);
	if (!chunk_is_armed(w, chunk))
		err = __window_arm_chunk(w, chunk);
	mutex_unlock(&w->lock);
	return err;
}

void window_disarm(struct address_space *mapping, pgoff_t first, pgoff_t last)
{
	struct window *w = atomic_load(&mapping->window);
	uint64_t chunk = first / WINDOW_CHUNK_PAGES, at;
	void *item;

	if (!w)
		return;
	mutex_lock(&w->lock);
	for (; radix_tree_gang_lookup(&w->armed, &item, &at, chunk,
				      last / WINDOW_CHUNK_PAGES, 1);
	     chunk = at + 1)
		radix_tree_tag_set(&w->armed, at, ARMED_TAG_PARTLY);
	mutex_unlock(&w->lock);
}

int window_arm_vma(struct vm_area_struct *vma, unsigned long start,
		   unsigned long end)
{
	struct window *w = atomic_load(&vma->vm_file->f_mapping->window);
	pgoff_t first = linear_page_index(vma, start);
	pgoff_t last = linear_page_index(vma, end) - 1;
	uint64_t chunk = first / WINDOW_CHUNK_PAGES, run = chunk;
	uint64_t end_chunk = last / WINDOW_CHUNK_PAGES, at;
	void *item;
	int err = 0;

	if (!w || !(vma->vm_flags & VM_UFFD_WP))
		return 0;
	mutex_lock(&w->lock);
	while (!err && run <= end_chunk &&
	       radix_tree_gang_lookup(&w->armed, &item, &at, run, end_chunk, 1)) {
		chunk = at;
		for (run = chunk + 1; run <= end_chunk &&
		     radix_tree_lookup(&w->armed, run); run++)
			;
		err = arm_range(vma, max_t(pgoff_t, first,
					   chunk * WINDOW_CHUNK_PAGES),
				min_t(pgoff_t, last,
				      run * WINDOW_CHUNK_PAGES - 1));
	}
	mutex_unlock(&w->lock);
	return err;
}

/* ---- into the window ---- */

static unsigned int into_window(struct page **pages, unsigned int nr,
				unsigned int (*fill)(struct page **pages,
						     unsigned int nr))
{
	struct window *w = page_window(pages[0]);
	unsigned int done;

	/*
	 * Before the memfd has them: clients whose stores are scanned for may
	 * store at once, and nobody may read the frame then.
	 */
	for (unsigned int i = 0; i < nr; i++)
		lru_set_window(pages[i]);
	done = fill(pages, nr);
	if (done < nr)		/* a part of one may have got there */
		window_punch(w->mapping, pages[done]->index, nr - done);
	for (unsigned int i = done; i < nr; i++)
		lru_unset_window(pages[i]);
	atomic_fetch_add(&w->nr_pages, done);
	return done;
}

unsigned int window_zero_pages(struct page **pages, unsigned int nr)
{
	return into_window(pages, nr, window_write_zeros);
}

unsigned int promote_pages(struct page **pages, unsigned int nr)
{
	unsigned int done = into_window(pages, nr, window_write_frames);

	for (unsigned int i = 0; i < done; i++) {
		/* Else the I/O reads the frame, and its end frees it. */
		if (!page_test(pages[i], PG_writeback))
			page_drop_snapshot(pages[i], 2);
	}
	count_vm_events(PGPROMOTE, done);
	return done;
}

/* ---- out of the window ---- */

void window_punch(struct address_space *mapping, pgoff_t index, pgoff_t nr)
{
	struct window *w = atomic_load(&mapping->window);

	if (!w)
		return;
	while (fallocate(w->fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE,
			 (off_t)index << PAGE_SHIFT, (off_t)nr << PAGE_SHIFT))
		BUG_ON(errno != EINTR);	/* clients would keep what is stale */
}

void window_forget_page(struct page *page)
{
	struct window *w = page_window(page);

	lru_clear_window(page);
	atomic_fetch_sub(&w->nr_pages, 1);
}

/* ---- clients' doings ---- */

/* Is the page's memory there? Context: page locked. */
static bool window_has_page(struct page *page)
{
	off_t pos = (off_t)page->index << PAGE_SHIFT;

	return lseek(page_window(page)->fd, pos, SEEK_DATA) == pos;
}

/* Calls @fn for the VMA's pages of [@start, @end) that are in the window. */
static void for_window_pages(struct vm_area_struct *vma, unsigned long start,
			     unsigned long end, void (*fn)(struct page *page))
{
	struct address_space *mapping = vma->vm_file->f_mapping;
	pgoff_t index = linear_page_index(vma, max(start, vma->vm_start));
	pgoff_t last = linear_page_index(vma, min(end, vma->vm_end)) - 1;
	struct page *pages[PAGEVEC_SIZE];
	unsigned int nr;

	while ((nr = find_get_pages_range(mapping, &index, last, PAGEVEC_SIZE,
					  pages, ANY_TAG))) {
		for (unsigned int i = 0; i < nr; i++) {
			lock_page(pages[i]);
			if (page_mapping(pages[i]) == mapping &&
			    PageWindow(pages[i]))
				fn(pages[i]);
			unlock_page(pages[i]);
			put_page(pages[i]);
		}
	}
}

static void for_mm_pages(struct mm_struct *mm, unsigned long start,
			 unsigned long end, void (*fn)(struct page *page))
{
	struct vm_area_struct *vma;

	down_read(&mm->mmap_lock);
	for (vma = find_vma_intersection(mm, start, end);
	     vma && vma->vm_start < end; vma = vma->vm_next)
		/* Private mappings can neither store nor punch. */
		if (vma->vm_flags & VM_MAYWRITE)
			for_window_pages(vma, start, end, fn);
	up_read(&mm->mmap_lock);
}

void window_restore_if_gone(struct page *page)
{
	VM_BUG_ON(!PageWindow(page));
	if (window_has_page(page))
		return;
	page_zero_bytes(page, 0, PAGE_SIZE);
	set_page_dirty(page);
	count_vm_event(WINDOW_FOREIGN);
}

/* Stores may be known from the client's ptes alone, and those go with this. */
static void removed_page(struct page *page)
{
	window_restore_if_gone(page);
	if (mapping_async(page->mapping))
		set_page_dirty(page);
}

void window_remove_event(struct mm_struct *mm, unsigned long start,
			 unsigned long end)
{
	for_mm_pages(mm, start, end, removed_page);
}

static void may_be_written(struct page *page)
{
	set_page_dirty(page);
}

void window_moved(struct mm_struct *mm, unsigned long start, unsigned long end)
{
	for_mm_pages(mm, start, end, may_be_written);
}
