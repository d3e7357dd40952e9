// SPDX-License-Identifier: BSD-2-Clause
/*
 * fs/backing.c - requests: runs of pages to and from their backing file
 *
 *   a run     |page 0|page 1|page 2|page 3|   a tail: the file ends in page 3
 *   transfers |<---- direct_fd --->|<-fd->
 *   iovecs    |  0   |      1      |  2 |     1: frames that are neighbours
 *
 *   building --ioring_submit, iothread_submit, bio_run--> transferring
 *   transferring --bio_step: bytes are left--> transferring
 *   transferring --bio_step: all, an error, the file's end--> bio_end: freed
 *
 * I1. No write ever ends past pos + len, and len is cut at the file's size. So
 *     the file is not grown past its size even for an instant: no whole page
 *     is written and then cut off.
 * I2. A bio needs no memory between its making and its end, and ends without
 *     help from a lock its maker may hold. So a reserve of a few bios is enough
 *     for writeback to go on when there is no memory: one of them comes back.
 * I3. Every page given to backing_rw() is ended exactly once, by bio_end().
 *
 * The direct part goes around the kernel's page cache, whose copy would count
 * against nobody's budget. What cannot is buffered: the page with the file's
 * end if that is not a whole number of device blocks, and files of stores
 * without direct I/O. The kernel keeps both views coherent: a direct transfer
 * first writes and drops what the kernel has cached of its range.
 *
 * Locks:  pool.lock (LOCK_LEAF), for the reserve alone.
 * Source: Linux block/bio.c and mm/mempool.c, the roles; direct and buffered
 *         parts of one write as in XFS before 2.6.
 */
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "ioring.h"
#include "trace.h"

/*
 * Bios kept for when there is no memory: 4 MiB in flight as inline bios of 16
 * pages. Arbitrary; 32 KiB of memory.
 */
#define BIO_RESERVE	64u

/*
 * Times a transfer that moved nothing is tried again after EINTR or EAGAIN.
 * Arbitrary: more signals than that without a byte in between means it is not
 * the signals.
 */
#define BIO_MAX_TRIES	100

/* Fields: (A) atomic; (M) lock. */
static struct {
	struct mutex lock;
	pthread_cond_t returned;
	struct list_head free;		/* (M) */
	atomic_uint nr_free;		/* (A), written under (M) */
	atomic_uint nr_used;		/* (A) bios out */
	atomic_bool closing;		/* (A) somebody waits for nr_used == 0 */
} pool = {
	.lock = MUTEX_INITIALIZER(LOCK_LEAF),
	.returned = PTHREAD_COND_INITIALIZER,
	.free = LIST_HEAD_INIT(pool.free),
};

static struct kmem_cache *bio_cachep;	/* (C) between init and exit */

static struct {
	atomic_ulong ios[2];		/* (A) relaxed, by op */
	atomic_ulong sectors[2];
	atomic_ulong errors;
} stats;

static struct {
	atomic_ulong nth;		/* (A) requests until it fails; 0: off */
	atomic_int err;
} inject[2];

/* ---- the reserve ---- */

/* Context: pool.lock. NULL if the reserve is empty. */
static struct bio *__pool_take(void)
{
	struct bio *bio;

	lockdep_assert_held(&pool.lock);
	if (list_empty(&pool.free))
		return NULL;
	bio = list_first_entry(&pool.free, struct bio, list);
	list_del(&bio->list);
	atomic_fetch_sub(&pool.nr_free, 1);
	return bio;
}

/* Waits until there is one (I2). */
static struct bio *pool_take(void)
{
	struct bio *bio;

	mutex_lock(&pool.lock);
	bio = __pool_take();
	mutex_unlock(&pool.lock);
	if (bio)
		return bio;
	/* All that are out may be on our own ring. */
	blk_flush_plug();
	thread_will_block();
	mutex_lock(&pool.lock);
	while (!(bio = __pool_take()))
		pthread_cond_wait(&pool.returned, &pool.lock.m);
	mutex_unlock(&pool.lock);
	return bio;
}

/* False if the reserve is full. */
static bool pool_give(struct bio *bio)
{
	bool taken = false;

	/*
	 * A stale "full" is harmless: of the bios that are out when somebody
	 * waits, the one taken last is given back by a thread that has seen
	 * nr_free fall (mempool_free() has the argument in full).
	 */
	if (atomic_load(&pool.nr_free) >= BIO_RESERVE)
		return false;
	mutex_lock(&pool.lock);
	if (atomic_load(&pool.nr_free) < BIO_RESERVE) {
		list_add(&bio->list, &pool.free);
		atomic_fetch_add(&pool.nr_free, 1);
		pthread_cond_signal(&pool.returned);
		taken = true;
	}
	mutex_unlock(&pool.lock);
	return taken;
}

static struct bio *bio_alloc(void)
{
	struct bio *bio = kmem_cache_alloc(bio_cachep, GFP_NOWAIT);

	atomic_fetch_add(&pool.nr_used, 1);
	return bio ? bio : pool_take();
}

static void bio_free(struct bio *bio)
{
	if (bio->pages != bio->inline_pages)
		kfree(bio->pages);
	if (!pool_give(bio))
		kmem_cache_free(bio_cachep, bio);
	/* pairs with pool_wait_idle(): one of the two sees the other's store */
	if (atomic_fetch_sub(&pool.nr_used, 1) > 1 || !atomic_load(&pool.closing))
		return;
	mutex_lock(&pool.lock);
	pthread_cond_broadcast(&pool.returned);
	mutex_unlock(&pool.lock);
}

/* ---- building ---- */

/* Of @len bytes at @pos, how many from the start can go by direct I/O. */
static size_t direct_part(const struct backing_file *file, loff_t pos,
			  size_t len)
{
	size_t align = max_t(size_t, file->dio_align, 1);

	if (file->direct_fd < 0 || !IS_ALIGNED((size_t)pos, align))
		return 0;
	if (IS_ALIGNED(len, align))
		return len;
	/* The page with the end goes in one piece: one transfer fewer. */
	return ALIGN_DOWN(len, max(align, PAGE_SIZE));
}

/* Does page @i's memory continue page @i - 1's, in the same kind of transfer? */
static bool page_continues(const struct bio *bio, unsigned int i)
{
	return i && bio->pages[i]->pfn == bio->pages[i - 1]->pfn + 1 &&
		i * PAGE_SIZE != bio->direct_len;
}

static void bio_build_vec(struct bio *bio)
{
	struct iovec *v = bio->vec - 1;

	bio->nr_direct_vec = 0;
	for (unsigned int i = 0; i * PAGE_SIZE < bio->len; i++) {
		size_t n = min(PAGE_SIZE, bio->len - i * PAGE_SIZE);

		if (page_continues(bio, i)) {
			v->iov_len += n;
			continue;
		}
		*++v = (struct iovec){ page_address(bio->pages[i]), n };
		if (i * PAGE_SIZE < bio->direct_len)
			bio->nr_direct_vec++;
	}
	bio->nr_vec = v + 1 - bio->vec;
	bio->cur_vec = 0;
}

/*
 * Room for @nr pages and their iovecs. Without memory there is room for
 * BIO_INLINE_PAGES, and the run takes more requests. Return: pages.
 */
static unsigned int bio_alloc_vec(struct bio *bio, struct page **pages,
				  unsigned int nr)
{
	unsigned int segs = 1;
	void *mem;

	bio->pages = bio->inline_pages;
	bio->vec = bio->inline_vec;
	if (nr <= BIO_INLINE_PAGES)
		return nr;
	for (unsigned int i = 1; i < nr; i++)
		segs += pages[i]->pfn != pages[i - 1]->pfn + 1;
	segs++;			/* direct_len may cut one in two */
	mem = kmalloc(nr * sizeof(*pages) + segs * sizeof(struct iovec),
		      GFP_NOWAIT);
	if (!mem)
		return BIO_INLINE_PAGES;
	bio->pages = mem;
	bio->vec = (struct iovec *)(bio->pages + nr);
	return nr;
}

/* The error the next request of @op is to fail with, or 0. */
static int injected_error(enum backing_op op)
{
	unsigned long n = atomic_load(&inject[op].nth);

	do {
		if (likely(!n))
			return 0;
		if (n == 1)
			return atomic_load(&inject[op].err);
	} while (!atomic_compare_exchange_weak(&inject[op].nth, &n, n - 1));
	return 0;
}

static void bio_trace_begin(struct bio *bio, const struct writeback_control *wbc)
{
	if (!wbc)
		return;
	bio->reason = (uint8_t)wbc->reason;
	bio->age_ms = wbc->age_ms;
	bio->queued_us = trace_begin_us(writeback_pages);
}

struct bio *bio_new(enum backing_op op, struct backing_file *file,
		    struct page **pages, unsigned int nr, loff_t pos,
		    size_t bytes)
{
	struct bio *bio = bio_alloc();

	nr = bio_alloc_vec(bio, pages, min(nr, MAX_RUN_PAGES));
	memcpy(bio->pages, pages, nr * sizeof(*pages));
	bio->file = file;
	bio->op = op;
	bio->nr = nr;
	bio->pos = pos;
	bio->len = min(bytes, nr * PAGE_SIZE);
	bio->done = 0;
	bio->direct_len = direct_part(file, bio->pos, bio->len);
	bio->no_direct = false;
	bio->tries = 0;
	bio->err = 0;
	bio->queued_us = bio->started_us = 0;
	bio->end = NULL;
	bio_build_vec(bio);
	return bio;
}

void bio_submit(struct bio *bio, bool async)
{
	if (async)
		iothread_submit(bio);
	else if (!bio->len || bio->err)
		bio_end(bio);
	else
		ioring_submit(bio);
}

static struct bio *file_bio(enum backing_op op, struct backing_file *file,
			    struct page **pages, unsigned int nr, size_t bytes,
			    const struct writeback_control *wbc)
{
	loff_t pos = (loff_t)pages[0]->index << PAGE_SHIFT;
	struct bio *bio = bio_new(op, file, pages, nr, pos, bytes);

	atomic_fetch_add_explicit(&file->ref, 1, memory_order_relaxed);
	bio->err = injected_error(op);
	bio_trace_begin(bio, wbc);
	return bio;
}

void backing_rw(enum backing_op op, struct backing_file *file,
		struct page **pages, unsigned int nr, size_t bytes,
		const struct writeback_control *wbc, bool async)
{
	if (op == BACKING_READ)
		bytes = nr * PAGE_SIZE;
	while (nr) {
		struct bio *bio = file_bio(op, file, pages, nr, bytes, wbc);

		/* The bio may be gone once it is submitted. */
		pages += bio->nr;
		nr -= bio->nr;
		bytes -= min(bytes, bio->nr * PAGE_SIZE);
		bio_submit(bio, async);
	}
}

void backing_wait(void)
{
	ioring_wait();
}

bool fs_poll_io(int fd, bool wait)
{
	return ioring_poll(fd, wait);
}

/* ---- transferring ---- */

static bool next_is_direct(const struct bio *bio)
{
	return bio->done < bio->direct_len && !bio->no_direct &&
		IS_ALIGNED(bio->done, max_t(size_t, bio->file->dio_align, 1));
}

void bio_transfer(const struct bio *bio, struct bio_transfer *x)
{
	x->direct = next_is_direct(bio);
	x->fd = x->direct ? bio->file->direct_fd : bio->file->fd;
	x->pos = bio->pos + bio->done;
	x->len = (x->direct ? bio->direct_len : bio->len) - bio->done;
	x->vec = bio->vec + bio->cur_vec;
	x->nr_vec = (x->direct ? bio->nr_direct_vec : bio->nr_vec) -
		bio->cur_vec;
}

static void bio_advance(struct bio *bio, size_t n)
{
	BUG_ON(n > bio->len - bio->done);
	bio->done += n;
	while (n) {
		struct iovec *v = &bio->vec[bio->cur_vec];
		size_t part = min(n, v->iov_len);

		v->iov_base = (char *)v->iov_base + part;
		v->iov_len -= part;
		n -= part;
		if (!v->iov_len)
			bio->cur_vec++;
	}
}

/* The file ends here: the rest of the pages is zeros. */
static void bio_zero_rest(struct bio *bio)
{
	for (; bio->cur_vec < bio->nr_vec; bio->cur_vec++) {
		struct iovec *v = &bio->vec[bio->cur_vec];

		memset(v->iov_base, 0, v->iov_len);
	}
	bio->done = bio->len;
}

/*
 * A read stopped short. That is the file's end if what is missing lies past
 * i_size; asking again would say the same for the price of a system call.
 * Else it may be the end (a hole not yet in the file) or an interrupted read.
 * The page is locked, so page->mapping stays.
 */
static bool read_reached_size(const struct bio *bio)
{
	const struct address_space *mapping =
		READ_ONCE(bio->pages[0]->mapping);

	return mapping && bio->pos + (loff_t)bio->done >= i_size_read(mapping);
}

static bool bio_step_ok(struct bio *bio, size_t n)
{
	bio_advance(bio, n);
	bio->tries = 0;
	if (bio->done < bio->len && bio->op == BACKING_READ && !bio->end &&
	    read_reached_size(bio))
		bio_zero_rest(bio);
	return bio->done < bio->len;
}

bool bio_step(struct bio *bio, ssize_t res)
{
	if (res > 0)
		return bio_step_ok(bio, res);
	if (res == 0 && bio->op == BACKING_READ && !bio->end) {
		bio_zero_rest(bio);
		return false;
	}
	if ((res == -EINTR || res == -EAGAIN) && bio->tries < BIO_MAX_TRIES) {
		bio->tries++;
		return true;
	}
	/* Alignment the store did not tell of, or a file it will not do. */
	if (res == -EINVAL && next_is_direct(bio)) {
		bio->no_direct = true;
		return true;
	}
	bio->err = res ? res : -EIO;	/* 0 bytes are no headway */
	return false;
}

/*
 * By syscall(2), not preadv(2): ThreadSanitizer counts pwritev() as a read of
 * the buffer, and a page under writeback may be written to meanwhile (it is
 * then dirty again). The offset comes in two halves where long is 32 bits; a
 * 64-bit kernel shifts the second out.
 */
static ssize_t transfer_now(const struct bio *bio, const struct bio_transfer *x)
{
	long nr = bio->op == BACKING_READ ? SYS_preadv : SYS_pwritev;
	unsigned long lo = (unsigned long)x->pos;
	unsigned long hi = (unsigned long)((uint64_t)x->pos >> 32);
	ssize_t res = syscall(nr, x->fd, x->vec, (long)x->nr_vec, lo, hi);

	return res < 0 ? -errno : res;
}

void bio_started(struct bio *bio)
{
	if (unlikely(bio->queued_us) && !bio->started_us)
		bio->started_us = trace_clock_us();
}

void bio_run(struct bio *bio)
{
	struct bio_transfer x;

	bio_started(bio);
	if (bio->len && !bio->err)
		do
			bio_transfer(bio, &x);
		while (bio_step(bio, transfer_now(bio, &x)));
	bio_end(bio);
}

/* ---- ending ---- */

static void bio_account(const struct bio *bio)
{
	const memory_order relaxed = memory_order_relaxed;

	atomic_fetch_add_explicit(&stats.ios[bio->op], 1, relaxed);
	atomic_fetch_add_explicit(&stats.sectors[bio->op],
				  DIV_ROUND_UP(bio->done, 512), relaxed);
	if (bio->err)
		atomic_fetch_add_explicit(&stats.errors, 1, relaxed);
}

/* The pages are still under writeback, so their mapping stays. */
static __cold void bio_trace_end(const struct bio *bio)
{
	uint64_t now = trace_clock_us();
	const struct trace_write write = {
		.index = (pgoff_t)bio->pos >> PAGE_SHIFT,
		.bytes = bio->done,
		.nr = bio->nr,
		.age_ms = bio->age_ms,
		.queue_us = trace_elapsed_us(bio->queued_us, bio->started_us),
		.device_us = trace_elapsed_us(bio->started_us, now),
		.err = (int16_t)bio->err,
		.reason = bio->reason,
	};

	trace_writeback_pages(READ_ONCE(bio->pages[0]->mapping)->ino, &write);
}

int bio_page_error(const struct bio *bio, unsigned int i)
{
	return bio->done >= min((i + 1) * PAGE_SIZE, bio->len) ? 0 : bio->err;
}

static void file_bio_end(struct bio *bio)
{
	bio_account(bio);
	if (bio->op == BACKING_WRITE && trace_enabled(writeback_pages))
		bio_trace_end(bio);
	/* Before the pages: then nobody who waits for them finds it in use. */
	put_backing_file(bio->file);
	for (unsigned int i = 0; i < bio->nr; i++) {
		if (bio->op == BACKING_READ)
			end_page_read(bio->pages[i], bio_page_error(bio, i));
		else
			end_page_writeback(bio->pages[i],
					   bio_page_error(bio, i));
	}
}

void bio_end(struct bio *bio)
{
	if (bio->end)
		bio->end(bio);
	else
		file_bio_end(bio);
	bio_free(bio);
}

/* ---- for others ---- */

void backing_get_stats(struct backing_stats *st)
{
	st->rd_ios = atomic_load(&stats.ios[BACKING_READ]);
	st->rd_sectors = atomic_load(&stats.sectors[BACKING_READ]);
	st->wr_ios = atomic_load(&stats.ios[BACKING_WRITE]);
	st->wr_sectors = atomic_load(&stats.sectors[BACKING_WRITE]);
	st->errors = atomic_load(&stats.errors);
}

void backing_fail(enum backing_op op, unsigned long nth, int err)
{
	atomic_store(&inject[op].err, err);
	atomic_store(&inject[op].nth, nth);
}

/*
 * Pages are ended before their bio is freed, so whoever waited for the last
 * page can be here first.
 */
static void pool_wait_idle(void)
{
	mutex_lock(&pool.lock);
	atomic_store(&pool.closing, true);
	while (atomic_load(&pool.nr_used))
		pthread_cond_wait(&pool.returned, &pool.lock.m);
	atomic_store(&pool.closing, false);
	mutex_unlock(&pool.lock);
}

static void pool_drain(void)
{
	struct bio *bio, *next;

	list_for_each_entry_safe(bio, next, &pool.free, list) {
		list_del(&bio->list);
		kmem_cache_free(bio_cachep, bio);
	}
	atomic_store(&pool.nr_free, 0);
}

int backing_init(void)
{
	int err;

	bio_cachep = kmem_cache_create("bio", sizeof(struct bio), 0,
				       SLAB_HWCACHE_ALIGN, NULL);
	if (!bio_cachep)
		return -ENOMEM;
	for (unsigned int i = 0; i < BIO_RESERVE; i++) {
		struct bio *bio = kmem_cache_alloc(bio_cachep, GFP_KERNEL);

		err = -ENOMEM;
		if (!bio)
			goto out_pool;
		pool_give(bio);
	}
	err = iothread_init();
	if (err)
		goto out_pool;
	return 0;

out_pool:
	pool_drain();
	kmem_cache_destroy(bio_cachep);
	return err;
}

/* Nobody starts I/O any more, and every page has ended. */
void backing_exit(void)
{
	ioring_release();
	iothread_exit();
	pool_wait_idle();
	pool_drain();
	kmem_cache_destroy(bio_cachep);		/* BUGs if a bio is out */
	bio_cachep = NULL;
}
