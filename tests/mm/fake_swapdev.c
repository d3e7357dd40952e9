// SPDX-License-Identifier: BSD-2-Clause
/*
 * tests/mm/fake_swapdev.c - see fake_swapdev.h
 *
 *   ->rw  --SYNC-------------> job_run()  -> end_io
 *         --ASYNC, PLUG------> queue -> worker -> job_run()
 *         --PLUG, read-------> this thread's plug, until it is flushed
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "fake_swapdev.h"
#include "harness.h"
#include "page.h"
#include "shmem_i.h"
#include "window_i.h"

struct swap_job {
	struct list_head link;
	struct fake_swapdev *s;
	enum swap_dir dir;
	unsigned int nr;
	bool *done;			/* s->lock; NULL: nobody waits */
	void (*end_io)(struct page *page, int err);
	struct page *pages[MAX_RUN_PAGES];
	loff_t pos[MAX_RUN_PAGES];
};

struct swap_plug {
	struct blk_plug plug;
	struct list_head jobs;
	bool ready;
};
static __thread struct swap_plug thread_plug;

static struct fake_swapdev *fake_swapdev_of(struct swap_device *dev)
{
	return container_of(dev, struct fake_swapdev, dev);
}

static void violation(struct fake_swapdev *s, const char *what)
{
	pthread_mutex_lock(&s->lock);
	if (!s->violations++)
		s->what = what;
	pthread_mutex_unlock(&s->lock);
}

/* ---- one page ---- */

/* Context: lock. */
static bool fault_hits(struct fake_swapdev *s, enum swap_dir dir, loff_t pos)
{
	if (s->fail_pos[dir] && s->fail_pos[dir] == pos)
		return true;
	if (test_rand(&s->rand) % 1000 < s->fail_per_mille[dir])
		return true;
	if (!s->fail_nth[dir] || --s->fail_nth[dir])
		return false;
	s->fail_nth[dir] = s->fail_sticky[dir];
	return true;
}

static int page_err(struct fake_swapdev *s, enum swap_dir dir, loff_t pos)
{
	bool never_written, hits;

	pthread_mutex_lock(&s->lock);
	hits = fault_hits(s, dir, pos);
	never_written = dir == SWAP_READ && !s->written[pos >> PAGE_SHIFT];
	if (dir == SWAP_WRITE && !hits)
		s->written[pos >> PAGE_SHIFT] = true;
	pthread_mutex_unlock(&s->lock);
	if (never_written)
		violation(s, "a slot is read that was never written");
	return hits ? -EIO : 0;
}

static void page_io(struct swap_job *job, unsigned int i)
{
	struct fake_swapdev *s = job->s;
	struct page *page = job->pages[i];
	char *slot = s->data + job->pos[i];
	int err = page_err(s, job->dir, job->pos[i]);

	if (!page_test(page, job->dir == SWAP_READ ? PG_locked : PG_writeback))
		violation(s, "a page left its state before the end of the I/O");
	if (page->pfn == PFN_NONE)
		violation(s, "I/O on a page without a frame");
	else if (err && job->dir == SWAP_READ)
		memset(page_address(page), 0xde, 64);
	else if (!err && job->dir == SWAP_READ)
		memcpy(page_address(page), slot, PAGE_SIZE);
	else if (!err)
		memcpy(slot, page_address(page), PAGE_SIZE);
	atomic_fetch_add(err ? &s->failed[job->dir] : &s->pages[job->dir], 1);
	swap_end_io(&s->dev, job->dir, page, err, job->end_io);
}

/* ---- jobs ---- */

static uint64_t swap_rand(struct fake_swapdev *s)
{
	uint64_t v;

	pthread_mutex_lock(&s->lock);
	v = test_rand(&s->rand);
	pthread_mutex_unlock(&s->lock);
	return v;
}

static void job_shuffle(struct swap_job *job)
{
	for (unsigned int i = job->nr; i > 1; i--) {
		unsigned int j = swap_rand(job->s) % i;
		struct page *page = job->pages[i - 1];
		loff_t pos = job->pos[i - 1];

		job->pages[i - 1] = job->pages[j];
		job->pos[i - 1] = job->pos[j];
		job->pages[j] = page;
		job->pos[j] = pos;
	}
}

static void job_run(struct swap_job *job)
{
	struct fake_swapdev *s = job->s;

	if (s->page_us)
		usleep(s->page_us * job->nr);
	if (s->max_delay_us) {
		job_shuffle(job);
		usleep(swap_rand(s) % s->max_delay_us);
	}
	for (unsigned int i = 0; i < job->nr; i++)
		page_io(job, i);
	pthread_mutex_lock(&s->lock);
	if (job->done)
		*job->done = true;
	pthread_cond_broadcast(&s->idle);
	pthread_mutex_unlock(&s->lock);
	free(job);
}

static void job_queue(struct swap_job *job, bool wait)
{
	struct fake_swapdev *s = job->s;
	bool done = false;

	pthread_mutex_lock(&s->lock);
	if (wait)
		job->done = &done;
	if (test_rand(&s->rand) & 1)
		list_add(&job->link, &s->queue);
	else
		list_add_tail(&job->link, &s->queue);
	pthread_cond_signal(&s->work);
	while (wait && !done)
		pthread_cond_wait(&s->idle, &s->lock);
	pthread_mutex_unlock(&s->lock);
}

static void *worker_main(void *arg)
{
	struct fake_swapdev *s = arg;

	memalloc_save();
	pthread_mutex_lock(&s->lock);
	for (;;) {
		struct swap_job *job;

		if (list_empty(&s->queue) || s->held) {
			if (s->stop)
				break;
			pthread_cond_wait(&s->work, &s->lock);
			continue;
		}
		job = list_first_entry(&s->queue, struct swap_job, link);
		list_del(&job->link);
		s->running = true;
		pthread_mutex_unlock(&s->lock);
		job_run(job);
		pthread_mutex_lock(&s->lock);
		s->running = false;
		pthread_cond_broadcast(&s->idle);
	}
	pthread_mutex_unlock(&s->lock);
	return NULL;
}

static void plug_flush(struct blk_plug *plug)
{
	struct swap_plug *p = container_of(plug, struct swap_plug, plug);

	current_plug = NULL;
	while (!list_empty(&p->jobs)) {
		struct swap_job *job = list_first_entry(&p->jobs,
							struct swap_job, link);

		list_del(&job->link);
		job_run(job);
	}
}

static void plug_add(struct swap_job *job)
{
	struct swap_plug *p = &thread_plug;

	if (!p->ready) {
		INIT_LIST_HEAD(&p->jobs);
		p->plug.flush = plug_flush;
		p->ready = true;
	}
	/* One plug a thread: another's, of a disk, has to end first. */
	if (current_plug && current_plug != &p->plug)
		blk_flush_plug();
	current_plug = &p->plug;
	list_add(&job->link, &p->jobs);
}

/* ---- swap_device_ops ---- */

static int op_read_header(struct swap_device *dev, void *buf)
{
	memcpy(buf, fake_swapdev_of(dev)->data, PAGE_SIZE);
	return 0;
}

static int op_write_header(struct swap_device *dev, const void *buf)
{
	memcpy(fake_swapdev_of(dev)->data, buf, PAGE_SIZE);
	return 0;
}

static void op_rw(struct swap_device *dev, enum swap_dir dir,
		  struct page **pages, unsigned int nr, loff_t pos,
		  enum read_mode mode,
		  void (*end_io)(struct page *page, int err))
{
	struct fake_swapdev *s = fake_swapdev_of(dev);
	struct swap_job *job = calloc(1, sizeof(*job));

	BUG_ON(!job || nr > MAX_RUN_PAGES);
	if (!nr || pos < (loff_t)PAGE_SIZE ||
	    pos + (loff_t)nr * (loff_t)PAGE_SIZE > dev->size)
		violation(s, "I/O out of the area");
	*job = (struct swap_job){ .s = s, .dir = dir, .nr = nr,
				  .end_io = end_io };
	for (unsigned int i = 0; i < nr; i++) {
		job->pages[i] = pages[i];
		job->pos[i] = pos + (loff_t)i * (loff_t)PAGE_SIZE;
	}
	if (s->mode == FAKE_SYNC)
		job_run(job);
	else if (s->mode == FAKE_PLUG && dir == SWAP_READ && mode == READ_START)
		plug_add(job);
	else
		job_queue(job, dir == SWAP_READ && mode == READ_WAIT);
}

static void op_close(struct swap_device *dev)
{
	fake_swapdev_of(dev)->closed = true;
}

static const struct swap_device_ops fake_swapdev_ops = {
	.read_header = op_read_header,
	.write_header = op_write_header,
	.rw = op_rw,
	.close = op_close,
};

/* ---- up and down ---- */

void fake_swapdev_on(struct fake_swapdev *s, enum fake_mode mode,
		  unsigned long nr_slots, int prio)
{
	memset(s, 0, sizeof(*s));
	s->dev.ops = &fake_swapdev_ops;
	s->dev.size = (loff_t)nr_slots << PAGE_SHIFT;
	snprintf(s->dev.path, sizeof(s->dev.path), "/fake/swap%p", (void *)s);
	s->mode = mode;
	s->data = calloc(nr_slots, PAGE_SIZE);
	s->written = calloc(nr_slots, sizeof(*s->written));
	BUG_ON(!s->data || !s->written);
	s->rand = test_seed();
	INIT_LIST_HEAD(&s->queue);
	BUG_ON(pthread_mutex_init(&s->lock, NULL));
	BUG_ON(pthread_cond_init(&s->work, NULL));
	BUG_ON(pthread_cond_init(&s->idle, NULL));
	s->has_worker = mode != FAKE_SYNC;
	if (s->has_worker)
		BUG_ON(pthread_create(&s->worker, NULL, worker_main, s));
	BUG_ON(swap_make_header(&s->dev, "fake"));
	BUG_ON(swap_on(&s->dev, prio));
}

unsigned int fake_swapdev_exit(struct fake_swapdev *s)
{
	unsigned int nr;

	pthread_mutex_lock(&s->lock);
	s->stop = true;
	pthread_cond_signal(&s->work);
	pthread_mutex_unlock(&s->lock);
	if (s->has_worker)
		pthread_join(s->worker, NULL);
	if (!s->closed)
		violation(s, "the device is still in use");
	nr = s->violations;
	if (nr)
		printf("# fake swap: %s (first of %u)\n", s->what, nr);
	pthread_mutex_destroy(&s->lock);
	pthread_cond_destroy(&s->work);
	pthread_cond_destroy(&s->idle);
	free(s->data);
	free(s->written);
	return nr;
}

void fake_swapdev_hold(struct fake_swapdev *s)
{
	pthread_mutex_lock(&s->lock);
	s->held = true;
	pthread_mutex_unlock(&s->lock);
}

void fake_swapdev_release(struct fake_swapdev *s)
{
	pthread_mutex_lock(&s->lock);
	s->held = false;
	pthread_cond_signal(&s->work);
	pthread_mutex_unlock(&s->lock);
}

void fake_swapdev_drain(struct fake_swapdev *s)
{
	blk_flush_plug();
	pthread_mutex_lock(&s->lock);
	while (s->has_worker && (!list_empty(&s->queue) || s->running))
		pthread_cond_wait(&s->idle, &s->lock);
	pthread_mutex_unlock(&s->lock);
}

/* ---- faults ---- */

static void fault_set(struct fake_swapdev *s, enum swap_dir dir, unsigned long nth,
		      bool sticky, unsigned int per_mille, loff_t pos)
{
	pthread_mutex_lock(&s->lock);
	s->fail_nth[dir] = nth;
	s->fail_sticky[dir] = sticky;
	s->fail_per_mille[dir] = per_mille;
	s->fail_pos[dir] = pos;
	pthread_mutex_unlock(&s->lock);
}

void fake_swapdev_fail_nth(struct fake_swapdev *s, enum swap_dir dir,
			unsigned long nth, bool sticky)
{
	fault_set(s, dir, nth, sticky, 0, 0);
}

void fake_swapdev_fail_random(struct fake_swapdev *s, enum swap_dir dir,
			   unsigned int per_mille)
{
	fault_set(s, dir, 0, false, per_mille, 0);
}

void fake_swapdev_fail_slot(struct fake_swapdev *s, enum swap_dir dir,
			 swp_entry_t entry)
{
	fault_set(s, dir, 0, false, 0, (loff_t)swp_offset(entry) << PAGE_SHIFT);
}

void fake_swapdev_fail_off(struct fake_swapdev *s)
{
	fault_set(s, SWAP_READ, 0, false, 0, 0);
	fault_set(s, SWAP_WRITE, 0, false, 0, 0);
}

/* ---- checks ---- */

struct entry_check {
	struct fake_swapdev *s;
	uint64_t *entries;
	size_t nr, room;
};

static void note_entry(struct entry_check *check, swp_entry_t entry)
{
	if (check->nr == check->room) {
		check->room = check->room * 2 + 64;
		check->entries = realloc(check->entries, check->room *
					 sizeof(*check->entries));
		BUG_ON(!check->entries);
	}
	check->entries[check->nr++] = entry.val;
}

/* S1: what is clean and has a slot is the same there. */
static void check_bytes(struct entry_check *check, struct page *page,
			swp_entry_t entry)
{
	const char *slot = check->s->data + (swp_offset(entry) << PAGE_SHIFT);

	if (!swap_entry_is_disk(entry) || page_test(page, PG_dirty) ||
	    page_test(page, PG_writeback) || !page_test(page, PG_uptodate) ||
	    PageWindow(page) || swap_has_cache(entry))
		return;
	if (memcmp(page_address(page), slot, PAGE_SIZE))
		violation(check->s, "a clean page differs from its slot");
}

static int check_object(struct shmem *sh, void *arg)
{
	swp_entry_t entries[PAGEVEC_SIZE];
	pgoff_t indices[PAGEVEC_SIZE], first = 0;
	struct page *page;
	unsigned int nr;

	while ((nr = shmem_find_entries(sh, &first, (pgoff_t)-1, PAGEVEC_SIZE,
					indices, entries)))
		for (unsigned int i = 0; i < nr; i++) {
			note_entry(arg, entries[i]);
			page = find_get_page(&sh->mapping, indices[i]);
			if (!page)
				continue;
			check_bytes(arg, page, entries[i]);
			put_page(page);
		}
	return 0;
}

static int entry_cmp(const void *a, const void *b)
{
	const uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;

	return (x > y) - (x < y);
}

void fake_swapdev_check(struct fake_swapdev *s)
{
	struct entry_check check = { .s = s };
	size_t n;

	for_each_shmem(check_object, &check);
	if (check.nr)
		qsort(check.entries, check.nr, sizeof(*check.entries), entry_cmp);
	for (size_t i = 0; i < check.nr; i += n) {
		for (n = 1; i + n < check.nr &&
		     check.entries[i + n] == check.entries[i]; n++)
			;
		if (swap_count((swp_entry_t){ check.entries[i] }) != n)
			violation(s, "a slot has more users than objects with it");
	}
	free(check.entries);
}
