// SPDX-License-Identifier: BSD-2-Clause
/*
 * tests/mm/fake_disk.c - see fake_disk.h
 *
 *   readpages  --SYNC, PLUG--> job_run()             -> end_page_read
 *              --PLUG, START-> this thread's plug, until it is flushed
 *              --ASYNC-------> queue -> worker -> job_run()
 *   writepages --PLUG--------> this thread's plug, until it is flushed
 *
 * D1. What a write puts into the store is cut at i_size when it is submitted,
 *     as a request to a real file is. If it lands after the store was cut
 *     shorter than that, truncate did not wait for it: a violation.
 * D2. A page is looked at only before its end_page_*(): then it may be freed.
 *
 * Frames are copied with accesses ThreadSanitizer does not see, because a
 * device's transfer may race with a writer of the page: it is dirty again then
 * and written once more.
 */
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "clock.h"
#include "fake_disk.h"
#include "harness.h"
#include "mm.h"
#include "rcu.h"
#include "slab.h"
#include "swap.h"
#include "vmstat.h"

struct fake_job {
	struct list_head link;
	struct fake_file *file;
	enum fake_op op;
	unsigned int nr;
	unsigned int cuts;		/* file->cuts at submission (D1) */
	loff_t i_size;			/* at submission (D1) */
	bool *done;			/* disk->lock; NULL: nobody waits */
	struct page *pages[MAX_RUN_PAGES];
};

struct fake_plug {
	struct blk_plug plug;
	struct list_head jobs;
	bool ready;
};
static __thread struct fake_plug thread_plug;

static struct fake_file *fake_file_of(struct address_space *mapping)
{
	return container_of(mapping, struct fake_file, mapping);
}

static void violation(struct fake_disk *disk, const char *what)
{
	pthread_mutex_lock(&disk->lock);
	if (!disk->violations++)
		disk->what = what;
	pthread_mutex_unlock(&disk->lock);
}

/* ---- bytes ---- */

char fake_byte(loff_t pos)
{
	return (char)(pos * 7 + (pos >> PAGE_SHIFT) * 31 + (pos >> 20) + 1);
}

bool fake_is(const char *buf, loff_t pos, size_t len)
{
	for (size_t i = 0; i < len; i++)
		if (buf[i] != fake_byte(pos + i))
			return false;
	return true;
}

/*
 * The device's transfer. Atomic accesses keep the compiler from making it a
 * call of memcpy(), which the sanitizer would see.
 */
__attribute__((no_sanitize("thread")))
static void dma(char *to, const char *from, size_t len)
{
	size_t i = 0;

	for (; i + 8 <= len; i += 8) {
		uint64_t v = __atomic_load_n((const uint64_t *)(from + i),
					     __ATOMIC_RELAXED);

		__atomic_store_n((uint64_t *)(to + i), v, __ATOMIC_RELAXED);
	}
	for (; i < len; i++)
		__atomic_store_n(to + i, __atomic_load_n(from + i,
			__ATOMIC_RELAXED), __ATOMIC_RELAXED);
}

__attribute__((no_sanitize("thread")))
static void dma_zero(char *to, size_t len)
{
	for (size_t i = 0; i < len; i++)
		__atomic_store_n(to + i, 0, __ATOMIC_RELAXED);
}

/* ---- faults ---- */

/* Context: disk->lock. */
static bool fault_hits(struct fake_disk *disk, struct fake_fault *f,
		       struct fake_file *file, pgoff_t index)
{
	if (f->file == file && index >= f->first && index <= f->last)
		return true;
	if (f->per_mille && test_rand(&disk->rand) % 1000 < f->per_mille)
		return true;
	if (!f->nth)
		return false;
	if (f->nth > 1) {
		f->nth--;
		return false;
	}
	f->nth = f->sticky;
	return true;
}

static int page_fault_err(struct fake_job *job, pgoff_t index)
{
	struct fake_disk *disk = job->file->disk;
	struct fake_fault *f = &disk->fault[job->op];
	int err;

	pthread_mutex_lock(&disk->lock);
	err = fault_hits(disk, f, job->file, index) ? f->err : 0;
	pthread_mutex_unlock(&disk->lock);
	return err;
}

static void fault_set(struct fake_disk *disk, enum fake_op op,
		      struct fake_fault fault)
{
	pthread_mutex_lock(&disk->lock);
	disk->fault[op] = fault;
	pthread_mutex_unlock(&disk->lock);
}

void fake_fail_nth(struct fake_disk *disk, enum fake_op op, unsigned long nth,
		   bool sticky, int err)
{
	fault_set(disk, op, (struct fake_fault){ .nth = nth, .sticky = sticky,
						 .err = err });
}

void fake_fail_range(struct fake_file *file, enum fake_op op, pgoff_t first,
		     pgoff_t last, int err)
{
	fault_set(file->disk, op, (struct fake_fault){
		.file = file, .first = first, .last = last, .err = err });
}

void fake_fail_random(struct fake_disk *disk, enum fake_op op,
		      unsigned int per_mille, int err)
{
	fault_set(disk, op, (struct fake_fault){ .per_mille = per_mille,
						 .err = err });
}

void fake_fail_off(struct fake_disk *disk)
{
	fault_set(disk, FAKE_READ, (struct fake_fault){ 0 });
	fault_set(disk, FAKE_WRITE, (struct fake_fault){ 0 });
}

/* ---- one page ---- */

static void read_page(struct fake_job *job, struct page *page)
{
	struct fake_file *file = job->file;
	loff_t pos = (loff_t)page->index << PAGE_SHIFT;
	loff_t have = atomic_load(&file->size) - pos;
	size_t len = have <= 0 ? 0 : min_t(size_t, have, PAGE_SIZE);
	int err = page_fault_err(job, page->index);
	char *to = page_address(page);

	if (err) {
		/* What a transfer that failed leaves behind is anything. */
		dma(to, "\xde\xad\xbe\xef\xde\xad\xbe\xef", 8);
	} else {
		dma(to, file->data + pos, len);
		dma_zero(to + len, PAGE_SIZE - len);
	}
	atomic_fetch_add(err ? &file->disk->failed[FAKE_READ] :
			       &file->disk->pages[FAKE_READ], 1);
	end_page_read(page, err);
}

static void store_grows(struct fake_file *file, loff_t end)
{
	long long size = atomic_load(&file->size);

	while (size < end &&
	       !atomic_compare_exchange_weak(&file->size, &size, end))
		;
}

/* Was the store cut below @end since it had been cut @cuts times? */
static bool was_cut_since(struct fake_file *file, unsigned int cuts, loff_t end)
{
	unsigned int now = atomic_load(&file->cuts);

	if (now - cuts > FAKE_CUTS / 2)
		return false;		/* forgotten */
	for (; cuts != now; cuts++)
		if (atomic_load(&file->cut_size[cuts % FAKE_CUTS]) < end)
			return true;
	return false;
}

static void write_page(struct fake_job *job, struct page *page)
{
	struct fake_file *file = job->file;
	loff_t pos = (loff_t)page->index << PAGE_SHIFT;
	loff_t end = min_t(loff_t, pos + PAGE_SIZE, job->i_size);
	int err = page_fault_err(job, page->index);

	if (!page_test(page, PG_writeback))
		violation(file->disk, "page left writeback before its end");
	if (was_cut_since(file, job->cuts, end))
		violation(file->disk, "a write landed after the truncate"); /* D1 */
	if (!err && end > pos) {
		if ((size_t)end > file->capacity)
			violation(file->disk, "write past the file's capacity");
		dma(file->data + pos, page_address(page), end - pos);
		store_grows(file, end);
	}
	atomic_fetch_add(err ? &file->disk->failed[FAKE_WRITE] :
			       &file->disk->pages[FAKE_WRITE], 1);
	end_page_writeback(page, err);
}

/* ---- jobs ---- */

static uint64_t disk_rand(struct fake_disk *disk)
{
	uint64_t v;

	pthread_mutex_lock(&disk->lock);
	v = test_rand(&disk->rand);
	pthread_mutex_unlock(&disk->lock);
	return v;
}

/* Pages in random order when others may be looking. */
static void job_shuffle(struct fake_job *job)
{
	for (unsigned int i = job->nr; i > 1; i--) {
		unsigned int j = disk_rand(job->file->disk) % i;
		struct page *page = job->pages[i - 1];

		job->pages[i - 1] = job->pages[j];
		job->pages[j] = page;
	}
}

/* One transfer after the other, whoever brings them. */
static void device_works(struct fake_disk *disk, unsigned int nr)
{
	double end;

	if (!disk->pages_per_s)
		return;
	pthread_mutex_lock(&disk->lock);
	end = max(disk->busy_until, now()) + (double)nr / disk->pages_per_s;
	disk->busy_until = end;
	pthread_mutex_unlock(&disk->lock);
	while (now() < end)
		usleep((end - now()) * 1e6 + 1);
}

static void job_run(struct fake_job *job)
{
	struct fake_disk *disk = job->file->disk;

	device_works(disk, job->nr);
	if (disk->max_delay_us) {
		job_shuffle(job);
		usleep(disk_rand(disk) % disk->max_delay_us);
	}
	for (unsigned int i = 0; i < job->nr; i++) {
		if (job->op == FAKE_READ)
			read_page(job, job->pages[i]);
		else
			write_page(job, job->pages[i]);
	}
	if (job->done) {
		pthread_mutex_lock(&disk->lock);
		*job->done = true;
		pthread_cond_broadcast(&disk->idle);
		pthread_mutex_unlock(&disk->lock);
	}
	free(job);
}

static struct fake_job *job_new(struct fake_file *file, enum fake_op op,
				struct page **pages, unsigned int nr)
{
	struct fake_job *job = malloc(sizeof(*job));

	BUG_ON(!job || nr > MAX_RUN_PAGES);
	*job = (struct fake_job){ .file = file, .op = op, .nr = nr };
	job->cuts = atomic_load(&file->cuts);
	job->i_size = i_size_read(&file->mapping);
	memcpy(job->pages, pages, nr * sizeof(*pages));
	return job;
}

static void job_queue(struct fake_job *job)
{
	struct fake_disk *disk = job->file->disk;

	pthread_mutex_lock(&disk->lock);
	/* Either end: requests overtake each other. */
	if (test_rand(&disk->rand) & 1)
		list_add(&job->link, &disk->queue);
	else
		list_add_tail(&job->link, &disk->queue);
	pthread_cond_signal(&disk->work);
	pthread_mutex_unlock(&disk->lock);
}

static void job_queue_and_wait(struct fake_job *job)
{
	struct fake_disk *disk = job->file->disk;
	bool done = false;

	job->done = &done;
	job_queue(job);
	pthread_mutex_lock(&disk->lock);
	while (!done)
		pthread_cond_wait(&disk->idle, &disk->lock);
	pthread_mutex_unlock(&disk->lock);
}

static void *worker_main(void *arg)
{
	struct fake_disk *disk = arg;

	memalloc_save();
	pthread_mutex_lock(&disk->lock);
	for (;;) {
		struct fake_job *job;

		if (list_empty(&disk->queue) || disk->held) {
			if (disk->stop)
				break;
			pthread_cond_wait(&disk->work, &disk->lock);
			continue;
		}
		job = list_first_entry(&disk->queue, struct fake_job, link);
		list_del(&job->link);
		disk->nr_running++;
		pthread_mutex_unlock(&disk->lock);
		job_run(job);
		pthread_mutex_lock(&disk->lock);
		disk->nr_running--;
		pthread_cond_broadcast(&disk->idle);
	}
	pthread_mutex_unlock(&disk->lock);
	return NULL;
}

/* ---- the plug ---- */

static void plug_flush(struct blk_plug *plug)
{
	struct fake_plug *p = container_of(plug, struct fake_plug, plug);

	while (!list_empty(&p->jobs)) {
		/* the newest first: not the order they were submitted in */
		struct fake_job *job = list_first_entry(&p->jobs,
							struct fake_job, link);

		list_del(&job->link);
		job_run(job);
	}
	current_plug = NULL;
}

static void plug_add(struct fake_job *job)
{
	struct fake_plug *p = &thread_plug;

	if (!p->ready) {
		INIT_LIST_HEAD(&p->jobs);
		p->plug.flush = plug_flush;
		p->ready = true;
	}
	current_plug = &p->plug;
	list_add(&job->link, &p->jobs);
}

/* ---- a_ops ---- */

static void log_run(struct fake_file *file, enum fake_op op,
		    struct page **pages, unsigned int nr, enum read_mode mode)
{
	struct fake_disk *disk = file->disk;

	atomic_fetch_add(&disk->calls[op], 1);
	pthread_mutex_lock(&disk->lock);
	if (disk->nr_log < FAKE_LOG)
		disk->log[disk->nr_log] = (struct fake_run){
			.file = file, .op = op, .index = pages[0]->index,
			.nr = nr, .mode = mode };
	disk->nr_log++;
	pthread_mutex_unlock(&disk->lock);
}

static void check_run(struct fake_file *file, struct page **pages,
		      unsigned int nr, unsigned int set, unsigned int clear)
{
	if (!nr || nr > MAX_RUN_PAGES)
		violation(file->disk, "run of no pages, or of too many");
	for (unsigned int i = 0; i < nr; i++) {
		unsigned int flags = atomic_load(&pages[i]->flags);

		if (pages[i]->mapping != &file->mapping)
			violation(file->disk, "page of another mapping");
		if (pages[i]->index != pages[0]->index + i)
			violation(file->disk, "indices are not consecutive");
		if ((flags & set) != set || (flags & clear))
			violation(file->disk, "page flags on entry");
		if (atomic_load(&pages[i]->refcount) < 2)
			violation(file->disk, "page without our reference");
	}
}

static void fake_readpages(struct address_space *mapping, struct page **pages,
			   unsigned int nr, enum read_mode mode)
{
	struct fake_file *file = fake_file_of(mapping);
	struct fake_job *job = job_new(file, FAKE_READ, pages, nr);

	check_run(file, pages, nr, 1u << PG_locked,
		  1u << PG_uptodate | 1u << PG_dirty | 1u << PG_writeback);
	log_run(file, FAKE_READ, pages, nr, mode);
	for (unsigned int i = 0; i < nr && atomic_load(&file->kcopies); i++)
		page_set(pages[i], PG_kcached);
	if (mode == READ_START && file->disk->mode == FAKE_PLUG)
		plug_add(job);
	else if (!file->disk->nr_workers)
		job_run(job);
	else if (mode == READ_AHEAD)
		job_queue(job);
	else if (file->disk->mode == FAKE_PLUG)
		job_run(job);
	else
		job_queue_and_wait(job);
}

static void fake_writepages(struct address_space *mapping, struct page **pages,
			    unsigned int nr, struct writeback_control *wbc)
{
	struct fake_file *file = fake_file_of(mapping);
	struct fake_job *job = job_new(file, FAKE_WRITE, pages, nr);

	(void)wbc;
	check_run(file, pages, nr, 1u << PG_writeback | 1u << PG_uptodate, 0);
	log_run(file, FAKE_WRITE, pages, nr, 0);
	for (unsigned int i = 0; i < nr; i++)
		if ((loff_t)(pages[i]->index << PAGE_SHIFT) >= job->i_size)
			atomic_fetch_add(&file->disk->past_eof, 1);
	switch (file->disk->mode) {
	case FAKE_SYNC:
		job_run(job);
		break;
	case FAKE_ASYNC:
		job_queue(job);
		break;
	case FAKE_PLUG:
		plug_add(job);
		break;
	}
}

static int fake_write_inode(struct address_space *mapping,
			    struct writeback_control *wbc)
{
	(void)wbc;
	atomic_fetch_add(&fake_file_of(mapping)->disk->inodes_written, 1);
	return 0;
}

static bool fake_grab(struct address_space *mapping)
{
	struct fake_file *file = fake_file_of(mapping);
	bool grabbed;

	pthread_mutex_lock(&file->lock);
	grabbed = !file->dying;
	file->users += grabbed;
	pthread_mutex_unlock(&file->lock);
	atomic_fetch_add(grabbed ? &file->disk->grabs :
				   &file->disk->grabs_refused, 1);
	return grabbed;
}

static void fake_put(struct address_space *mapping)
{
	struct fake_file *file = fake_file_of(mapping);

	atomic_fetch_add(&file->disk->puts, 1);
	pthread_mutex_lock(&file->lock);
	if (--file->users == 0)
		pthread_cond_broadcast(&file->unused);
	pthread_mutex_unlock(&file->lock);
}

static const struct address_space_operations fake_aops = {
	.readpages = fake_readpages,
	.writepages = fake_writepages,
	.write_inode = fake_write_inode,
	.grab = fake_grab,
	.put = fake_put,
};

/* ---- the memory manager ---- */

/* What is in use: in slabs by object, as objects stay where they were made. */
struct usage {
	long frames;		/* outside slabs */
	long pages, nodes;	/* objects */
};

static struct usage usage_at_start;

static struct usage usage_now(void)
{
	struct usage u = { 0 };
	char text[16384], *line, *next;

	urcu_bp_barrier();		/* nodes freed by RCU */
	kmem_cache_shrink_all();
	urcu_bp_barrier();		/* so are the slabs of pages */
	drain_all_frames();
	/* Tables made once and kept: mm_exit() BUGs if one of others is left. */
	u.frames = totalram_frames() - nr_free_frames() -
		vm_stat_read(NR_VMALLOC);
	slabinfo_show(text, sizeof(text));
	for (line = strtok_r(text, "\n", &next); line;
	     line = strtok_r(NULL, "\n", &next)) {
		unsigned long active, per_slab, slabs;
		char name[32];

		if (sscanf(line, "%31s %lu %*u %*u %*u %lu : tunables %*u %*u "
			   "%*u : slabdata %*u %lu", name, &active, &per_slab,
			   &slabs) != 4)
			continue;
		u.frames -= slabs * per_slab;
		if (!strcmp(name, "page"))
			u.pages = active;
		if (!strcmp(name, "radix_tree_node"))
			u.nodes = active;
	}
	return u;
}

void fake_mm_init(size_t memory, int nr_nodes, bool threads)
{
	struct mm_config config = { .memory = memory, .nr_nodes = nr_nodes,
				    .no_threads = !threads };

	BUG_ON(mm_init(&config));
	/* The thread's store of nodes is in use too; it may only get emptier. */
	BUG_ON(radix_tree_preload(GFP_KERNEL, MAX_RUN_PAGES));
	usage_at_start = usage_now();
	BUG_ON(usage_at_start.pages || usage_at_start.nodes <= 0);
}

void fake_mm_quiesce(struct fake_disk *disk)
{
	pdflush_exit();
	kswapds_stop();
	fake_drain(disk);
}

long fake_mm_exit(void)
{
	struct usage u, *start = &usage_at_start;
	long lost;

	page_alloc_check();
	slab_check();
	lru_check();
	BUG_ON(vm_stat_read(NR_FILE_PAGES) || vm_stat_read(NR_FILE_DIRTY) ||
	       vm_stat_read(NR_WRITEBACK));
	BUG_ON(vm_stat_read(NR_ANON_PAGES) || vm_stat_read(NR_SWAPCACHE) ||
	       vm_stat_read(COMMITTED_AS));
	u = usage_now();
	lost = labs(u.frames - start->frames) + u.pages +
		max(u.nodes - start->nodes, 0L);
	if (lost)
		printf("# lost: %ld frames, %ld pages, %ld nodes\n",
		       u.frames - start->frames, u.pages,
		       u.nodes - start->nodes);
	mm_exit();
	return lost;
}

/* ---- lifetime ---- */

void fake_disk_init(struct fake_disk *disk, enum fake_mode mode)
{
	memset(disk, 0, sizeof(*disk));
	bdi_init(&disk->bdi);
	disk->mode = mode;
	disk->rand = test_seed();
	INIT_LIST_HEAD(&disk->queue);
	BUG_ON(pthread_mutex_init(&disk->lock, NULL));
	BUG_ON(pthread_cond_init(&disk->work, NULL));
	BUG_ON(pthread_cond_init(&disk->idle, NULL));
	if (mode == FAKE_SYNC)
		return;
	for (; disk->nr_workers < FAKE_WORKERS; disk->nr_workers++)
		BUG_ON(pthread_create(&disk->workers[disk->nr_workers], NULL,
				      worker_main, disk));
}

unsigned int fake_disk_exit(struct fake_disk *disk)
{
	fake_drain(disk);
	pthread_mutex_lock(&disk->lock);
	disk->stop = true;
	pthread_cond_broadcast(&disk->work);
	pthread_mutex_unlock(&disk->lock);
	for (unsigned int i = 0; i < disk->nr_workers; i++)
		pthread_join(disk->workers[i], NULL);
	bdi_destroy(&disk->bdi);
	if (atomic_load(&disk->grabs) != atomic_load(&disk->puts))
		violation(disk, "grabs and puts do not pair");
	if (disk->violations)
		printf("# fake disk: %s\n", disk->what);
	pthread_cond_destroy(&disk->work);
	pthread_cond_destroy(&disk->idle);
	pthread_mutex_destroy(&disk->lock);
	return disk->violations;
}

void fake_hold(struct fake_disk *disk)
{
	pthread_mutex_lock(&disk->lock);
	disk->held = true;
	pthread_mutex_unlock(&disk->lock);
}

void fake_release(struct fake_disk *disk)
{
	pthread_mutex_lock(&disk->lock);
	disk->held = false;
	pthread_cond_broadcast(&disk->work);
	pthread_mutex_unlock(&disk->lock);
}

void fake_drain(struct fake_disk *disk)
{
	pthread_mutex_lock(&disk->lock);
	while (!list_empty(&disk->queue) || disk->nr_running)
		pthread_cond_wait(&disk->idle, &disk->lock);
	pthread_mutex_unlock(&disk->lock);
}

void fake_log_clear(struct fake_disk *disk)
{
	pthread_mutex_lock(&disk->lock);
	disk->nr_log = 0;
	pthread_mutex_unlock(&disk->lock);
}

struct fake_file *fake_file_new(struct fake_disk *disk, size_t capacity,
				size_t size)
{
	struct fake_file *file = calloc(1, sizeof(*file));

	BUG_ON(!file);
	address_space_init(&file->mapping, &fake_aops, &disk->bdi, size);
	init_rwsem(&file->rwsem, LOCK_INODE);
	BUG_ON(pthread_mutex_init(&file->lock, NULL));
	BUG_ON(pthread_cond_init(&file->unused, NULL));
	file->disk = disk;
	file->capacity = ALIGN(capacity, PAGE_SIZE);
	file->data = aligned_alloc(PAGE_SIZE, file->capacity + PAGE_SIZE);
	BUG_ON(!file->data);
	memset(file->data, 0, file->capacity + PAGE_SIZE);
	for (size_t i = 0; i < size; i++)
		file->data[i] = fake_byte(i);
	atomic_store(&file->size, size);
	return file;
}

void fake_file_free(struct fake_file *file)
{
	struct address_space *mapping = &file->mapping;

	pthread_mutex_lock(&file->lock);
	file->dying = true;
	while (file->users)
		pthread_cond_wait(&file->unused, &file->lock);
	pthread_mutex_unlock(&file->lock);
	down_write(&mapping->invalidate_lock);
	truncate_inode_pages_range(mapping, 0, LLONG_MAX);
	up_write(&mapping->invalidate_lock);
	mapping_forget_dirty(mapping);
	address_space_destroy(mapping);
	destroy_rwsem(&file->rwsem);
	pthread_mutex_destroy(&file->lock);
	pthread_cond_destroy(&file->unused);
	free(file->data);
	free(file);
}

/* ---- what fs/ does ---- */

ssize_t fake_read(struct fake_file *file, struct file_ra_state *ra, loff_t pos,
		  void *buf, size_t len)
{
	ssize_t ret;

	down_read(&file->rwsem);
	ret = generic_file_read(&file->mapping, ra, pos, buf, len);
	up_read(&file->rwsem);
	return ret;
}

ssize_t fake_write(struct fake_file *file, loff_t pos, const void *buf,
		   size_t len)
{
	ssize_t ret;

	BUG_ON(pos + len > file->capacity);
	down_write(&file->rwsem);
	ret = generic_perform_write(&file->mapping, pos, buf, len, false);
	up_write(&file->rwsem);
	return ret;
}

void fake_truncate(struct fake_file *file, loff_t size)
{
	struct address_space *mapping = &file->mapping;
	loff_t had;

	down_write(&file->rwsem);
	down_write(&mapping->invalidate_lock);
	truncate_pagecache(mapping, size);
	had = atomic_load(&file->size);
	if (size < had) {
		atomic_store(&file->size, size);
		dma_zero(file->data + size, had - size);
	}
	atomic_store(&file->cut_size[atomic_load(&file->cuts) % FAKE_CUTS], size);
	atomic_fetch_add(&file->cuts, 1);
	up_write(&mapping->invalidate_lock);
	up_write(&file->rwsem);
}

void fake_punch(struct fake_file *file, loff_t pos, loff_t len)
{
	struct address_space *mapping = &file->mapping;

	down_write(&file->rwsem);
	down_write(&mapping->invalidate_lock);
	truncate_inode_pages_range(mapping, pos, pos + len - 1);
	dma_zero(file->data + pos, len);
	up_write(&mapping->invalidate_lock);
	up_write(&file->rwsem);
}
