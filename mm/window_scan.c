// SPDX-License-Identifier: BSD-2-Clause
/*
 * mm/window_scan.c - stores that raise no fault, found by looking for them
 *
 *   client stores        its kernel notes it in the pte, and says nothing
 *      .
 *   mmu->scan            which pages? and from now on they count as clean
 *      |
 *      +-- window_scan         sync, msync, munmap; a thread, now and then
 *      |     pages referenced --> window->lock let go --> locked, dirty
 *      +-- scan_locked_pages   before a page is written back, or demoted
 *
 * A VMA with VM_UFFD_ASYNC costs its client 1 us at the first store to a page,
 * not the 6 of a fault. In return we know late: nobody is held to the dirty
 * limits at the store, and what a client that has ended, or has changed its
 * mappings behind our back, had stored to is not known at all. Then it is taken
 * to be all it could.
 *
 * S1. What a scan has found nobody else will find. So from the scan until the
 *     pages are dirty they cannot leave the cache: with their locks held, or by
 *     references taken under window->lock. Demotion looks for the last time
 *     when the page is out of its client's reach, under window->lock: a scan
 *     that found a store before that has its reference by then.
 * S2. Pages become dirty with their lock held: a flusher that is between its
 *     snapshot and the end of the dirty state would take a store after the
 *     snapshot with it.
 * S3. A page is dropped from a window without being kept only while nr_async is
 *     0 and demote_sem is held. Who makes nr_async 1 waits for that before its
 *     client is given access.
 *     A page that is frozen meanwhile is spun for under window->lock: so who has
 *     one frozen takes no such lock before it is gone, or back.
 * S4. What one has found and not yet made dirty the next does not find. So who
 *     has to have it all written waits for those that began before it ended.
 * S5. A pte that has gone, as the kernel takes it when short of memory, shows a
 *     store by lacking its marker: so before the client is given read-only pages
 *     it is asked, as that would put one there.
 * S6. Where no page has ever been nothing can have been stored: only chunks that
 *     were armed are looked at.
 *
 * Locks:  page locks > window->lock > i_mmap_lock (read); scan.lock, a leaf.
 *         Pages are locked with neither.
 * Source: the idea of asking for soft-dirty bits, Linux fs/proc/task_mmu.c
 *         (pagemap_scan).
 */
#include <errno.h>
#include <pthread.h>
#include <string.h>
#include <time.h>

#include "deadline.h"
#include "internal.h"
#include "page.h"
#include "vmstat.h"
#include "window_i.h"

/*
 * How long a store may go unnoticed while nobody syncs. As long as there are any
 * the shorter; both by choice. A scan costs 1.5 ns a page, and 2 us a chunk.
 */
#define SCAN_MIN_MS	200u
#define SCAN_MAX_MS	1000u
#define SCAN_SHARE	20u	/* and never more than a 20th of the time */

#define STORED_WORDS	(WINDOW_CHUNK_PAGES / BITS_PER_LONG)
_Static_assert(WINDOW_CHUNK_PAGES >= MAX_RUN_PAGES, "a run is one scan");

/* Fields: (C) constant while it runs; (S) lock. */
static struct {
	struct mutex lock;
	pthread_cond_t wait;		/* of the thread */
	pthread_t thread;		/* (C) */
	bool running;			/* (C) */
	bool stop;			/* (S) */
	struct list_head windows;	/* (S) with nr_async */
	unsigned int round;		/* (S) */
	struct list_head findings;	/* (S) oldest first */
	uint64_t nr_begun;		/* (S) findings, ever */
	atomic_uint nr_findings;	/* (S) to change it */
	pthread_cond_t found;		/* one has ended */
} scan = {
	.lock = MUTEX_INITIALIZER(LOCK_LEAF),
	.wait = PTHREAD_COND_INITIALIZER,
	.windows = LIST_HEAD_INIT(scan.windows),
	.findings = LIST_HEAD_INIT(scan.findings),
	.found = PTHREAD_COND_INITIALIZER,
};

/* ---- found, and not yet dirty (S4) ---- */

struct finding {
	const struct window *window;
	uint64_t number;
	struct list_head link;
};

/* Before the scan. */
static void finding_begin(struct finding *f, const struct window *w)
{
	f->window = w;
	mutex_lock(&scan.lock);
	f->number = ++scan.nr_begun;
	list_add_tail(&f->link, &scan.findings);
	atomic_fetch_add(&scan.nr_findings, 1);
	mutex_unlock(&scan.lock);
}

/* The pages are dirty. */
static void finding_end(struct finding *f)
{
	mutex_lock(&scan.lock);
	list_del(&f->link);
	atomic_fetch_sub(&scan.nr_findings, 1);
	pthread_cond_broadcast(&scan.found);
	mutex_unlock(&scan.lock);
}

/* One of @w, or of any if NULL, up to that number. Context: scan.lock. */
static bool has_finding(const struct window *w, uint64_t last)
{
	struct finding *f;

	list_for_each_entry(f, &scan.findings, link) {
		if (f->number > last)
			break;
		if (!w || f->window == w)
			return true;
	}
	return false;
}

/* Context: no page lock. */
static void wait_for_findings(const struct window *w)
{
	uint64_t last;

	if (likely(!atomic_load(&scan.nr_findings)))
		return;
	thread_will_block();
	mutex_lock(&scan.lock);
	last = scan.nr_begun;
	while (has_finding(w, last))
		pthread_cond_wait(&scan.found, &scan.lock.m);
	mutex_unlock(&scan.lock);
}

bool window_wants_scan(struct address_space *mapping)
{
	struct window *w = mapping_win(mapping);
	bool wants;

	if (!w)
		return false;
	if (atomic_load(&w->nr_async) || atomic_load(&w->stored))
		return true;
	if (likely(!atomic_load(&scan.nr_findings)))
		return false;
	mutex_lock(&scan.lock);
	wants = has_finding(w, UINT64_MAX);
	mutex_unlock(&scan.lock);
	return wants;
}

/* ---- asking ---- */

/* VM_UFFD_WP comes with the first right to write. */
static bool vma_is_async(const struct vm_area_struct *vma)
{
	const unsigned long both = VM_UFFD_ASYNC | VM_UFFD_WP;

	return (vma->vm_flags & both) == both;
}

static bool test_stored(const unsigned long *stored, unsigned long i)
{
	return stored[i / BITS_PER_LONG] & (1UL << (i % BITS_PER_LONG));
}

static void set_stored(unsigned long *stored, unsigned long i)
{
	stored[i / BITS_PER_LONG] |= 1UL << (i % BITS_PER_LONG);
}

/* Pages [@first, @first + @nr), which lie in @vma. Return: as mmu->scan. */
static int scan_vma(struct vm_area_struct *vma, pgoff_t first, unsigned long nr,
		    unsigned long *stored)
{
	int err = vma->vm_mm->mmu->scan(vma, vma_address(vma, first), nr,
					stored);

	if (err)
		for (unsigned long i = 0; i < nr; i++)
			set_stored(stored, i);
	return err;
}

/* ---- pages that are locked ---- */

/* Context: page locked (S2). Return: was it clean? */
static bool page_stored(struct page *page)
{
	page_clear(page, PG_stream);
	page->granted_cs = mm_centisecs();	/* perhaps as lately as that */
	count_vm_event(PGSTORED);
	return set_page_dirty(page);
}

int scan_locked_pages(struct vm_area_struct *vma, struct page **pages,
		      unsigned int nr)
{
	unsigned long stored[STORED_WORDS] = { 0 };
	struct window *w = page_window(pages[0]);
	struct finding finding;
	int err;

	if (!vma_is_async(vma))
		return 0;
	finding_begin(&finding, w);
	err = scan_vma(vma, pages[0]->index, nr, stored);
	for (unsigned int i = 0; i < nr; i++) {
		if (!test_stored(stored, i))
			continue;
		page_stored(pages[i]);
		atomic_store(&w->stored, true);
	}
	finding_end(&finding);
	return err == -EAGAIN ? err : 0;
}

/* ---- pages that are not ---- */

/* One chunk, or part of it. */
struct scan_piece {
	struct address_space *mapping;
	struct vm_area_struct *only;	/* whose stores; NULL: all clients' */
	pgoff_t first;
	unsigned long nr;		/* pages, 1 to WINDOW_CHUNK_PAGES */
	unsigned long stored[STORED_WORDS];
	struct page *pages[WINDOW_CHUNK_PAGES];	/* referenced */
	unsigned int nr_pages;
};

static void scan_client(struct scan_piece *sp, struct vm_area_struct *vma)
{
	unsigned long part[STORED_WORDS] = { 0 };
	pgoff_t from = max(sp->first, vma->vm_pgoff);
	pgoff_t to = min(sp->first + sp->nr - 1, vma_last_pgoff(vma));

	if (!vma_is_async(vma))
		return;
	scan_vma(vma, from, to - from + 1, part);
	for (unsigned long i = 0; i <= to - from; i++)
		if (test_stored(part, i))
			set_stored(sp->stored, from - sp->first + i);
}

/* Context: window->lock; mmap_lock, if it is only one. */
static void scan_clients(struct scan_piece *sp)
{
	struct window *w = mapping_win(sp->mapping);
	struct vm_area_struct *vma;

	if (sp->only) {
		scan_client(sp, sp->only);
		return;
	}
	down_read(&w->i_mmap_lock);
	vma_interval_tree_foreach(vma, &w->i_mmap, sp->first,
				  sp->first + sp->nr - 1)
		scan_client(sp, vma);
	up_read(&w->i_mmap_lock);
}

/*
 * Context: window->lock (S1). Whether PG_window is set or not: clients can store
 * to a page as soon as the memfd has it, which is a moment before. A client
 * that lacks a marker for a page that is not there has it taken for stored to,
 * once.
 */
static void get_stored_pages(struct scan_piece *sp)
{
	struct page *page;

	for (unsigned long i = 0; i < sp->nr; i++) {
		if (!test_stored(sp->stored, i))
			continue;
		page = find_get_page(sp->mapping, sp->first + i);
		if (page)
			sp->pages[sp->nr_pages++] = page;
	}
}

/* Return: was it clean? In *@kcached: does somebody above us have a copy? */
static bool dirty_page(struct address_space *mapping, struct page *page,
		       bool *kcached)
{
	bool was_clean = false;

	lock_page(page);
	/* It may have been truncated, or be another that could not be read. */
	if (page_mapping(page) == mapping && page_test(page, PG_uptodate)) {
		was_clean = page_stored(page);
		*kcached = page_test(page, PG_kcached);
	}
	unlock_page(page);
	return was_clean;
}

static void tell_stored(struct address_space *mapping, pgoff_t index,
			unsigned long nr, bool kcached)
{
	if (mapping->a_ops->stored)
		mapping->a_ops->stored(mapping, index, nr, kcached);
}

static void dirty_pages(struct scan_piece *sp)
{
	unsigned long run = 0;
	pgoff_t index = 0;
	bool kcached = false;

	for (unsigned int i = 0; i < sp->nr_pages; i++) {
		struct page *page = sp->pages[i];
		bool copied = false;
		bool told = dirty_page(sp->mapping, page, &copied) || copied;

		if (run && (!told || page_index(page) != index + run)) {
			tell_stored(sp->mapping, index, run, kcached);
			run = 0;
			kcached = false;
		}
		if (told && !run++)
			index = page_index(page);
		else if (told)
			VM_BUG_ON(page_index(page) != index + run - 1);
		kcached |= copied;
		window_drop_snapshot(page);
		put_page(page);
	}
	if (run)
		tell_stored(sp->mapping, index, run, kcached);
}

/* @only: NULL, or one VMA. Return: pages found. */
static unsigned long scan_chunk(struct address_space *mapping,
				struct vm_area_struct *only, pgoff_t first,
				unsigned long nr)
{
	struct window *w = mapping_win(mapping);
	struct finding finding;
	struct scan_piece sp;

	sp.mapping = mapping;
	sp.only = only;
	sp.first = first;
	sp.nr = nr;
	sp.nr_pages = 0;
	memset(sp.stored, 0, sizeof(sp.stored));
	finding_begin(&finding, w);
	mutex_lock(&w->lock);
	scan_clients(&sp);
	get_stored_pages(&sp);
	mutex_unlock(&w->lock);
	dirty_pages(&sp);
	finding_end(&finding);
	return sp.nr_pages;
}

/* The first chunk from *@chunk on that ever had a page (S6). False: none. */
static bool next_armed(struct window *w, uint64_t *chunk, uint64_t last)
{
	bool found;
	void *item;

	mutex_lock(&w->lock);
	found = radix_tree_gang_lookup(&w->armed, &item, chunk, *chunk, last, 1);
	mutex_unlock(&w->lock);
	return found;
}

static unsigned long __window_scan(struct address_space *mapping,
				   struct vm_area_struct *only, pgoff_t first,
				   pgoff_t last)
{
	struct window *w = mapping_win(mapping);
	uint64_t chunk = first / WINDOW_CHUNK_PAGES;
	unsigned long found = 0;

	for (; mapping_async(mapping) &&
	     next_armed(w, &chunk, last / WINDOW_CHUNK_PAGES); chunk++) {
		pgoff_t from = max_t(pgoff_t, first, chunk * WINDOW_CHUNK_PAGES);
		pgoff_t to = min_t(pgoff_t, last, chunk * WINDOW_CHUNK_PAGES +
						  WINDOW_CHUNK_PAGES - 1);

		found += scan_chunk(mapping, only, from, to - from + 1);
	}
	/* What was found by others, who could not tell. */
	if (atomic_exchange(&w->stored, false))
		tell_stored(mapping, 0, 0, true);
	return found;
}

void window_scan(struct address_space *mapping, pgoff_t first, pgoff_t last)
{
	if (!window_wants_scan(mapping))
		return;
	__window_scan(mapping, NULL, first, last);
	wait_for_findings(mapping_win(mapping));
}

void window_scan_vma(struct vm_area_struct *vma, unsigned long start,
		     unsigned long end)
{
	if (vma_is_async(vma))
		__window_scan(vma->vm_file->f_mapping, vma,
			      linear_page_index(vma, start),
			      linear_page_index(vma, end) - 1);
}

/* ---- which there are ---- */

void window_async_add(struct window *w)
{
	if (atomic_fetch_add(&w->nr_async, 1))
		return;
	mutex_lock(&scan.lock);
	if (list_empty(&w->async_link))
		list_add_tail(&w->async_link, &scan.windows);
	pthread_cond_signal(&scan.wait);
	mutex_unlock(&scan.lock);
}

void window_async_del(struct window *w)
{
	if (atomic_fetch_sub(&w->nr_async, 1) > 1)
		return;
	mutex_lock(&scan.lock);
	if (!atomic_load(&w->nr_async) && !list_empty(&w->async_link))
		list_del_init(&w->async_link);
	mutex_unlock(&scan.lock);
}

void window_wait_demotions(struct window *w)
{
	down_write(&w->demote_sem);				/* S3 */
	up_write(&w->demote_sem);
}

/* Of those not yet seen in this round the first, its mapping held; or NULL. */
static struct address_space *next_window(unsigned int round)
{
	struct address_space *mapping = NULL;
	struct window *w, *next;

	mutex_lock(&scan.lock);
	list_for_each_entry_safe(w, next, &scan.windows, async_link) {
		if (w->scan_round == round)
			break;		/* they went to the tail */
		w->scan_round = round;
		list_move_tail(&w->async_link, &scan.windows);
		if (w->mapping->a_ops->grab(w->mapping)) {
			mapping = w->mapping;
			break;
		}
	}
	mutex_unlock(&scan.lock);
	return mapping;
}

static unsigned long scan_all(void)
{
	struct address_space *mapping;
	unsigned long found = 0;
	unsigned int round;

	mutex_lock(&scan.lock);
	round = ++scan.round;
	mutex_unlock(&scan.lock);
	while ((mapping = next_window(round))) {
		found += __window_scan(mapping, NULL, 0,
				       UINT64_MAX >> PAGE_SHIFT);
		mapping->a_ops->put(mapping);
	}
	count_vm_event(WINDOW_SCANS);
	return found;
}

void window_scan_all(void)
{
	bool any;

	mutex_lock(&scan.lock);
	any = !list_empty(&scan.windows);
	mutex_unlock(&scan.lock);
	if (any)
		scan_all();
	wait_for_findings(NULL);
}

/* ---- the thread ---- */

/* Context: scan.lock. */
static void scan_sleep(unsigned int ms)
{
	struct timespec ts = deadline_after(CLOCK_MONOTONIC, ms);

	pthread_cond_timedwait(&scan.wait, &scan.lock.m, &ts);
}

/* Return: ms until it is worth looking again. */
static unsigned int scan_and_wake(unsigned int ms)
{
	const uint64_t begun = mm_msecs();
	const unsigned long found = scan_all();
	const uint64_t took = mm_msecs() - begun;

	if (found && over_background_thresh())
		wakeup_flusher_threads(WB_REASON_BACKGROUND);
	ms = found ? SCAN_MIN_MS : min(2 * ms, SCAN_MAX_MS);
	return max_t(uint64_t, ms, SCAN_SHARE * took);
}

static void *scan_main(void *arg)
{
	unsigned int ms = SCAN_MIN_MS;

	(void)arg;
	pthread_setname_np(pthread_self(), "pagefs-scan");
	mutex_lock(&scan.lock);
	while (!scan.stop) {
		if (list_empty(&scan.windows)) {
			pthread_cond_wait(&scan.wait, &scan.lock.m);
			continue;
		}
		mutex_unlock(&scan.lock);
		ms = scan_and_wake(ms);
		mutex_lock(&scan.lock);
		if (!scan.stop)
			scan_sleep(ms);
	}
	mutex_unlock(&scan.lock);
	return NULL;
}

int window_scan_start(void)
{
	pthread_condattr_t attr;
	int err;

	BUG_ON(pthread_condattr_init(&attr) ||
	       pthread_condattr_setclock(&attr, CLOCK_MONOTONIC) ||
	       pthread_cond_destroy(&scan.wait) ||
	       pthread_cond_init(&scan.wait, &attr) ||
	       pthread_condattr_destroy(&attr));
	scan.stop = false;
	err = -pthread_create(&scan.thread, NULL, scan_main, NULL);
	scan.running = !err;
	return err;
}

void window_scan_stop(void)
{
	if (!scan.running)
		return;
	mutex_lock(&scan.lock);
	scan.stop = true;
	pthread_cond_signal(&scan.wait);
	mutex_unlock(&scan.lock);
	pthread_join(scan.thread, NULL);
	scan.running = false;
}
