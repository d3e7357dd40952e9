// SPDX-License-Identifier: BSD-2-Clause
/*
 * mm/readahead.c - read what will be asked for, before it is
 *
 *        |<----- size ------------->|
 *        +-----------+--------------+---------------+
 *        | asked for | read ahead   |  next window  |
 *        +-----------+--------------+---------------+
 *      start         ^marker (PG_readahead): the reader that comes here starts
 *                     the next window, and does not wait for it
 *
 * A miss that continues no known stream reads just what was asked for and is
 * remembered; a miss that continues it opens a window, which then doubles up
 * to ra_pages. So random readers cost one page each and sequential ones keep
 * the disk busy. An open file has RA_STREAMS such memories: interleaved
 * sequential readers of one descriptor do not take each other for random.
 *
 * The kernel in front of us reads ahead as well, and its requests are served
 * by several threads, so requests of one stream arrive slightly out of order:
 * a miss within one request of a window's end still continues it.
 *
 * What has been said of the file (fadvise.c) goes before what is seen: a random
 * one has no windows, a sequential one has large ones from the first miss on.
 *
 * Locks: ra->lock for the choice; none over I/O but invalidate_lock (read).
 * Source: Linux mm/readahead.c (ondemand_readahead: window sizes, marker).
 *         Differs: several streams per file instead of a look at the cache's
 *         history (try_context_readahead).
 */
#include "page.h"
#include "rcu.h"
#include "vmstat.h"

/*
 * Up to this many pages, one read that waits for all beats two reads of which
 * the second must wake the I/O thread: 128 KiB take 25 us longer than 4 KiB
 * here, a wake-up of an idle CPU takes 40.
 */
#define RA_ONE_READ	32u

void file_ra_state_init(struct file_ra_state *ra, unsigned int ra_pages)
{
	*ra = (struct file_ra_state){
		.ra_pages = ra_pages,
		.prev_index = (pgoff_t)-1,
	};
	mutex_init(&ra->lock, LOCK_LEAF);
}

void file_ra_state_destroy(struct file_ra_state *ra)
{
	mutex_destroy(&ra->lock);
}

/* ---- window sizes ---- */

static unsigned int roundup_pow_of_two(unsigned int n)
{
	return n <= 1 ? 1 : 1u << (32 - __builtin_clz(n - 1));
}

/* The first window after a request of @req pages. */
static unsigned int get_init_ra_size(unsigned int req, unsigned int max)
{
	unsigned int size = roundup_pow_of_two(req);

	if (size <= max / 32)
		return size * 4;
	if (size <= max / 4)
		return size * 2;
	return max;
}

static unsigned int get_next_ra_size(unsigned int cur, unsigned int max)
{
	if (cur < max / 16)
		return cur * 4;
	if (cur <= max / 2)
		return cur * 2;
	return max;
}

static unsigned int ra_limit(const struct address_space *mapping,
			     const struct file_ra_state *ra)
{
	return mapping_advised(mapping, AS_SEQUENTIAL) ? 2 * ra->ra_pages :
		ra->ra_pages;
}

/* ---- doing it ---- */

/* One run of missing pages from @index on, at most @nr. Return: pages passed. */
static unsigned int ra_read_run(struct address_space *mapping, pgoff_t index,
				unsigned int nr, pgoff_t marker,
				enum read_mode mode)
{
	/* Worth a try at reclaim, not worth waiting for it. */
	const gfp_t gfp = GFP_USER | __GFP_NORETRY;
	struct page *pages[MAX_RUN_PAGES];
	unsigned int got, added, i;

	got = page_cache_alloc_bulk(gfp, nr, pages);
	added = add_pages_to_page_cache(pages, got, mapping, index, gfp);
	for (i = added; i < got; i++) {
		unlock_page(pages[i]);
		put_page(pages[i]);
	}
	if (!added)
		return 0;
	if (marker >= index && marker < index + added)
		page_set(pages[marker - index], PG_readahead);
	mapping->a_ops->readpages(mapping, pages, added, mode);
	return added;
}

/* How many of the next @nr indices from @index on are not in the cache. */
static unsigned int hole_length(struct address_space *mapping, pgoff_t index,
				unsigned int nr)
{
	void *item;
	uint64_t at;
	unsigned int found;

	mm_rcu_read_lock();
	found = radix_tree_gang_lookup(&mapping->i_pages, &item, &at, index,
				       index + nr - 1, 1);
	mm_rcu_read_unlock();
	return found ? at - index : nr;
}

/* Reads what is missing of [@index, @end). */
static void ra_read_range(struct address_space *mapping, pgoff_t index,
			  pgoff_t end, pgoff_t marker, enum read_mode mode)
{
	while (index < end) {
		unsigned int nr = min_t(pgoff_t, end - index, MAX_RUN_PAGES);
		unsigned int hole = hole_length(mapping, index, nr);
		unsigned int done;

		if (!hole) {
			index++;
			continue;
		}
		done = ra_read_run(mapping, index, hole, marker, mode);
		if (!done && !hole_length(mapping, index, 1))
			continue;	/* another reader was here first */
		if (!done)
			return;		/* no memory: the reader will see */
		if (mode == READ_AHEAD)
			count_vm_events(PGREADAHEAD, done);
		index += done;
	}
}

/*
 * Read [@start, @start + @size), cut at EOF; the caller needs the first @req
 * pages, in @mode, unless memory is short.
 */
static void do_page_cache_ra(struct address_space *mapping, pgoff_t start,
			     unsigned long size, unsigned long req,
			     pgoff_t marker, enum read_mode mode)
{
	loff_t isize;
	pgoff_t end, sync_end;

	down_read_plugged(&mapping->invalidate_lock);
	isize = i_size_read(mapping);
	end = DIV_ROUND_UP(isize, (loff_t)PAGE_SIZE);
	if (start < end) {
		end = min_t(pgoff_t, end, start + size);
		sync_end = min_t(pgoff_t, end, start + req);
		if (req && end - start <= RA_ONE_READ)
			sync_end = end;
		/* First what needs no waiting: the disk works on both. */
		ra_read_range(mapping, sync_end, end, marker, READ_AHEAD);
		ra_read_range(mapping, start, sync_end, marker, mode);
	}
	up_read(&mapping->invalidate_lock);
}

void force_page_cache_readahead(struct address_space *mapping, pgoff_t index,
				unsigned long nr)
{
	do_page_cache_ra(mapping, index, nr, 0, (pgoff_t)-1, READ_AHEAD);
}

/* ---- whose stream is it ---- */

/* The stream a miss at @index continues, or NULL. Context: ra->lock. */
static struct ra_stream *ra_find_stream(struct file_ra_state *ra, pgoff_t index,
					unsigned long req)
{
	for (unsigned int i = 0; i < RA_STREAMS; i++) {
		struct ra_stream *s = &ra->stream[i];

		if (s->size && index >= s->start &&
		    index <= s->start + s->size + req)
			return s;
	}
	return NULL;
}

static struct ra_stream *ra_oldest_stream(struct file_ra_state *ra)
{
	struct ra_stream *oldest = &ra->stream[0];

	for (unsigned int i = 1; i < RA_STREAMS; i++)
		if ((int)(ra->stream[i].last_used - oldest->last_used) < 0)
			oldest = &ra->stream[i];
	return oldest;
}

static void ra_set_window(struct file_ra_state *ra, struct ra_stream *s,
			  pgoff_t start, unsigned int size,
			  unsigned int async_size)
{
	s->start = start;
	s->size = size;
	s->async_size = async_size;
	s->last_used = ++ra->clock;
}

static pgoff_t ra_marker(const struct ra_stream *s)
{
	return s->async_size ? s->start + s->size - s->async_size : (pgoff_t)-1;
}

/*
 * Decide on the window for a miss at @index.
 *   continues a stream at its end   next size, marker where asked-for ends
 *   inside a window being filled    another thread is about to add it, and we
 *                                   were faster: just the request
 *   inside a window                 its pages were reclaimed before their
 *                                   use: the window was too large, halve it
 *   said to be sequential           the largest window
 *   start of the file               first window
 *   anything else                   just the request
 */
static struct ra_stream *ra_choose(const struct address_space *mapping,
				   struct file_ra_state *ra, pgoff_t index,
				   unsigned int req)
{
	struct ra_stream *s = ra_find_stream(ra, index, req);
	bool sequential = mapping_advised(mapping, AS_SEQUENTIAL);
	unsigned int size, limit = ra_limit(mapping, ra);

	if (s && s->fillers && index < s->start + s->size)
		return NULL;
	if (s && index >= s->start + s->size) {
		size = max(get_next_ra_size(s->size, limit), req);
		ra_set_window(ra, s, index, size, size - req);
	} else if (s) {
		size = max(s->size / 2, req);
		ra_set_window(ra, s, index, size, size - req);
	} else if ((sequential || index == 0) && req < limit) {
		s = ra_oldest_stream(ra);
		size = sequential ? limit :
			max(get_init_ra_size(req, limit), req);
		ra_set_window(ra, s, index, size, size - req);
	} else {
		s = ra_oldest_stream(ra);
		ra_set_window(ra, s, index, req, 0);
	}
	return s;
}

/* ra->lock for the choice, not for the filling: fillers stands in for it. */
static void ra_fill(struct address_space *mapping, struct file_ra_state *ra,
		    struct ra_stream *s, unsigned int req, enum read_mode mode)
{
	struct ra_stream window = *s;

	s->fillers++;
	mutex_unlock(&ra->lock);
	do_page_cache_ra(mapping, window.start, window.size, req,
			 ra_marker(&window), mode);
	mutex_lock(&ra->lock);
	s->fillers--;
}

void page_cache_sync_readahead(struct address_space *mapping,
			       struct file_ra_state *ra, pgoff_t index,
			       unsigned long req_count, enum read_mode mode)
{
	unsigned int req = min_t(unsigned long, req_count, MAX_RUN_PAGES);
	struct ra_stream *s;

	if (!ra->ra_pages)
		return;
	if (mapping_advised(mapping, AS_RANDOM)) {
		do_page_cache_ra(mapping, index, req, req, (pgoff_t)-1, mode);
		return;
	}
	count_vm_event(RA_SYNC);
	mutex_lock(&ra->lock);
	s = ra_choose(mapping, ra, index, req);
	if (s)
		ra_fill(mapping, ra, s, req, mode);
	mutex_unlock(&ra->lock);
	if (!s)
		do_page_cache_ra(mapping, index, req, req, (pgoff_t)-1, mode);
}

void page_cache_async_readahead(struct address_space *mapping,
				struct file_ra_state *ra, struct page *page,
				pgoff_t index, unsigned long req_count)
{
	unsigned int size, limit = ra_limit(mapping, ra);
	struct ra_stream *s;

	if (!ra->ra_pages || !page_test_clear(page, PG_readahead) ||
	    mapping_advised(mapping, AS_RANDOM))
		return;
	mutex_lock(&ra->lock);
	s = ra_find_stream(ra, index, req_count);
	if (s) {
		/* All of the new window is ahead: its first page is the marker */
		size = get_next_ra_size(s->size, limit);
		ra_set_window(ra, s, s->start + s->size, size, size);
	} else {
		/* Another file's marker, or a stream we have forgotten. */
		s = ra_oldest_stream(ra);
		size = get_init_ra_size(req_count, limit);
		ra_set_window(ra, s, index + 1, size, size);
	}
	count_vm_event(RA_ASYNC);
	ra_fill(mapping, ra, s, 0, READ_AHEAD);
	mutex_unlock(&ra->lock);
}
