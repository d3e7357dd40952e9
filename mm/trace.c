// SPDX-License-Identifier: BSD-2-Clause
/*
 * mm/trace.c - events on their way from trace points to readers
 *
 *   a ring   [ 8 | 9 | 6 | 7 ]    record n lies in slot n % RING_SLOTS
 *              begun = 10: 9 is written, or about to be
 *              head  = 9:  8 can be read
 *
 *   thread:  begun = n + 1; the slot's words; head = n + 1
 *   reader:  pos < head; the slot's words; begun - pos <= RING_SLOTS?
 *            no: they have been written over, and it has lost some
 *
 *   no ring --first event--> live --the thread ends--> idle --another--> live
 *                                                       |
 *                                    no readers left ---+--> gone
 *
 * I1. A ring has one writer, the thread that has it; it never waits, and never
 *     looks at who reads.
 * I2. While there is a reader no ring goes, and each keeps its place in rings[],
 *     its records and their numbers, whoever writes to it. So a position is a
 *     number, and what a thread did before it ended is read.
 * I3. A record whose words were read while the slot was written to is not used:
 *     begun is stored before them (they are stores with release) and read after
 *     them (loads with acquire), so new words come with a new begun.
 * I4. Records of one ring are read in their order. Of several, the one with the
 *     lowest time goes first, of those that are there: an event that another
 *     thread had begun to note may come behind later ones.
 *
 * Locks:  trace.lock (LOCK_TRACE), the innermost, for rings and readers that
 *         come and go: events are noted under any lock.
 * Source: Linux kernel/trace/ring_buffer.c, the overwrite mode; seqlocks.
 *         Differs: readers copy, and do not take pages away; many may read.
 */
#include <errno.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <time.h>
#include <unistd.h>

#include "internal.h"
#include "err.h"
#include "trace.h"
#include "vmstat.h"

#if defined(HAVE_SYS_SDT_H) && !defined(PAGEFS_NO_TRACE)
#define _SDT_HAS_SEMAPHORES 1
#include <sys/sdt.h>
#define PROBE(name, nr, ...)	STAP_PROBE##nr(pagefs, name, __VA_ARGS__)
#else
#define PROBE(name, nr, ...)	do { } while (0)
#endif

/*
 * Records a ring keeps: 512 KiB. Arbitrary; 450,000 events a second, which is
 * 1.8 GB/s of pages made dirty by one thread, fill it in 18 ms.
 */
#define RING_SLOTS	8192ul
/* Threads that note events at the same time: more than the daemon has. */
#define MAX_RINGS	256u
#define RECORD_WORDS	(sizeof(struct trace_record) / sizeof(uint64_t))

struct trace_slot {
	atomic_ulong word[RECORD_WORDS];	/* (A) */
};
_Static_assert(sizeof(struct trace_slot) == sizeof(struct trace_record),
	       "copied word by word");

/* Fields: (A) atomic, written by the ring's thread; (C) constant; (R) lock. */
struct trace_ring {
	atomic_ulong begun;		/* (A) records, ever */
	atomic_ulong head;		/* (A) of them, those that are whole */
	struct trace_slot *slots;	/* (C) */
	unsigned int id;		/* (C) place in rings[] */
	bool idle;			/* (R) no thread has it */
};

/* Fields: (O) the reader's own; (R) lock. */
struct trace_reader {
	unsigned int events;		/* (O), (R) to change */
	unsigned long dropped;		/* (O) of trace.dropped, those told */
	unsigned long pos[MAX_RINGS];	/* (O) the next record, by ring */
};

/* Fields: (A) atomic; (R) lock. */
static struct {
	struct mutex lock;
	struct trace_ring *_Atomic rings[MAX_RINGS];	/* (A), (R) to change */
	atomic_uint nr_rings;		/* (A), (R) to change: places in use */
	unsigned int nr_readers;	/* (R) */
	atomic_ulong dropped;		/* (A) events of threads without a ring */
	atomic_ulong zero_ns;		/* (A) CLOCK_MONOTONIC at trace_init() */
} trace = {
	.lock = MUTEX_INITIALIZER(LOCK_TRACE),
};

#define GATE(name)							\
	union trace_gate pagefs_##name##_semaphore			\
		__attribute__((section(".probes"), used));
TRACE_EVENTS(GATE)
#undef GATE

#define GATE_POINTER(name)	&pagefs_##name##_semaphore,
static union trace_gate *const gates[NR_TRACE_EVENTS] = {
	TRACE_EVENTS(GATE_POINTER)
};
#undef GATE_POINTER

__thread uint64_t trace_fault_began_us;

/* ---- time ---- */

static uint64_t monotonic_ns(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (uint64_t)ts.tv_sec * 1000000000 + (uint64_t)ts.tv_nsec;
}

static uint64_t trace_clock_ns(void)
{
	return monotonic_ns() - atomic_load_explicit(&trace.zero_ns,
						     memory_order_relaxed);
}

uint64_t trace_clock_us(void)
{
	return trace_clock_ns() / 1000;
}

void trace_init(void)
{
	/* - 1 us: 0 is for what was not measured. */
	atomic_store(&trace.zero_ns, monotonic_ns() - 1000);
}

/* ---- rings ---- */

enum ring_state {
	RING_NEW,		/* zero: a thread that has noted nothing */
	RING_LIVE,
	RING_NONE,		/* there was no memory for it; tried again */
	RING_GONE,		/* the thread is ending */
};

/* Fields: the thread's own. */
static __thread struct {
	struct trace_ring *ring;
	enum ring_state state;
	uint32_t tid;
} mine;

static pthread_key_t ring_key;
static pthread_once_t ring_key_once = PTHREAD_ONCE_INIT;
static int ring_key_err;

/* Context: trace.lock, no readers. */
static void __ring_free(struct trace_ring *ring)
{
	lockdep_assert_held(&trace.lock);
	BUG_ON(trace.nr_readers);				/* I2 */
	atomic_store(&trace.rings[ring->id], NULL);
	munmap(ring->slots, RING_SLOTS * sizeof(struct trace_slot));
	free(ring);
}

/* Destructor of ring_key. */
static void ring_release(void *arg)
{
	struct trace_ring *ring = arg;

	mine.ring = NULL;
	mine.state = RING_GONE;
	mutex_lock(&trace.lock);
	ring->idle = true;
	if (!trace.nr_readers)
		__ring_free(ring);
	mutex_unlock(&trace.lock);
}

static void ring_key_create(void)
{
	ring_key_err = pthread_key_create(&ring_key, ring_release);
}

/* Context: trace.lock. */
static struct trace_ring *__ring_create(unsigned int id)
{
	struct trace_ring *ring = calloc(1, sizeof(*ring));

	if (!ring)
		return NULL;
	/* Only what is written to takes memory. */
	ring->slots = mmap(NULL, RING_SLOTS * sizeof(struct trace_slot),
			   PROT_READ | PROT_WRITE,
			   MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	if (ring->slots == MAP_FAILED) {
		free(ring);
		return NULL;
	}
	ring->id = id;
	/* pairs with the load in peek_oldest(): the ring is whole */
	atomic_store_explicit(&trace.rings[id], ring, memory_order_release);
	if (id >= atomic_load(&trace.nr_rings))
		atomic_store(&trace.nr_rings, id + 1);
	return ring;
}

/* Context: trace.lock. An idle one, or a new one in the first free place. */
static struct trace_ring *__ring_get(void)
{
	unsigned int place = MAX_RINGS;
	struct trace_ring *ring;

	lockdep_assert_held(&trace.lock);
	for (unsigned int i = MAX_RINGS; i-- > 0;) {
		ring = atomic_load(&trace.rings[i]);
		if (ring && ring->idle)
			return ring;
		if (!ring)
			place = i;
	}
	return place < MAX_RINGS ? __ring_create(place) : NULL;
}

/* The calling thread's ring, or NULL. */
static __cold struct trace_ring *ring_acquire(void)
{
	struct trace_ring *ring;

	if (mine.state == RING_GONE)
		return NULL;
	pthread_once(&ring_key_once, ring_key_create);
	if (ring_key_err)
		return NULL;
	mutex_lock(&trace.lock);
	ring = __ring_get();
	if (ring)
		ring->idle = false;
	mutex_unlock(&trace.lock);
	mine.state = ring ? RING_LIVE : RING_NONE;
	mine.ring = ring;
	mine.tid = (uint32_t)gettid();
	/* Without memory for it the ring is never another's. */
	if (ring)
		pthread_setspecific(ring_key, ring);
	return ring;
}

/* I1, I3 */
static void ring_write(struct trace_ring *ring, const struct trace_record *rec)
{
	unsigned long n = atomic_load_explicit(&ring->head,
					       memory_order_relaxed);
	struct trace_slot *slot = &ring->slots[n % RING_SLOTS];
	uint64_t words[RECORD_WORDS];

	memcpy(words, rec, sizeof(words));
	atomic_store_explicit(&ring->begun, n + 1, memory_order_relaxed);
	for (size_t i = 0; i < RECORD_WORDS; i++)
		atomic_store_explicit(&slot->word[i], words[i],
				      memory_order_release);	/* I3 */
	/* pairs with the loads of head by readers */
	atomic_store_explicit(&ring->head, n + 1, memory_order_release);
}

/* What each record says: when, who, what. */
static void note(enum trace_event event, struct trace_record *rec)
{
	struct trace_ring *ring = mine.ring;

	/* Just for a tracer, which has had it. */
	if (!__atomic_load_n(&gates[event]->readers, __ATOMIC_RELAXED))
		return;
	if (unlikely(!ring))
		ring = ring_acquire();
	if (unlikely(!ring)) {
		atomic_fetch_add_explicit(&trace.dropped, 1,
					  memory_order_relaxed);
		return;
	}
	rec->event = event;
	rec->tid = mine.tid;
	rec->ts_ns = trace_clock_ns();
	ring_write(ring, rec);
}

/* ---- trace points ---- */

void __trace_writeback_start(unsigned int reason)
{
	struct trace_record rec = { 0 };

	rec.start.reason = reason;
	rec.start.nr_dirty = vm_stat_read(NR_FILE_DIRTY);
	PROBE(writeback_start, 2, reason, rec.start.nr_dirty);
	note(TRACE_writeback_start, &rec);
}

void __trace_writeback_pages(uint64_t ino, const struct trace_write *write)
{
	struct trace_record rec = { .ino = ino, .write = *write };

	/* What is asked for most comes first: bpftrace 0.17 sees six. */
	PROBE(writeback_pages, 9, ino, write->index, write->bytes,
	      write->reason, write->age_ms, write->device_us, write->queue_us,
	      write->nr, write->err);
	note(TRACE_writeback_pages, &rec);
}

void __trace_writeback_dirty_page(uint64_t ino, pgoff_t index)
{
	struct trace_record rec = { .ino = ino };

	rec.dirty.index = index;
	PROBE(writeback_dirty_page, 2, ino, index);
	note(TRACE_writeback_dirty_page, &rec);
}

void __trace_balance_dirty_pages(unsigned int pause_ms, unsigned long dirty,
				 unsigned long limit)
{
	struct trace_record rec = { 0 };

	rec.balance.pause_ms = pause_ms;
	rec.balance.dirty = dirty;
	rec.balance.limit = limit;
	PROBE(balance_dirty_pages, 3, pause_ms, dirty, limit);
	note(TRACE_balance_dirty_pages, &rec);
}

void __trace_mm_vmscan_scan(enum trace_scanner who, unsigned long scanned,
			    unsigned long reclaimed, int priority)
{
	struct trace_record rec = { 0 };

	rec.scan.who = who;
	rec.scan.scanned = scanned;
	rec.scan.reclaimed = reclaimed;
	rec.scan.priority = (uint32_t)priority;
	PROBE(mm_vmscan_scan, 4, who, scanned, reclaimed, priority);
	note(TRACE_mm_vmscan_scan, &rec);
}

void __trace_mm_demote(unsigned int nr, unsigned int copied,
		       unsigned int dropped)
{
	struct trace_record rec = { 0 };

	rec.demote.nr = nr;
	rec.demote.copied = copied;
	rec.demote.dropped = dropped;
	PROBE(mm_demote, 3, nr, copied, dropped);
	note(TRACE_mm_demote, &rec);
}

void __trace_mm_fault(uint64_t ino, struct trace_fault *fault,
		      uint64_t began_us)
{
	struct trace_record rec = { .ino = ino };

	fault->us = trace_elapsed_us(began_us, trace_clock_us());
	rec.fault = *fault;
	PROBE(mm_fault, 7, fault->pid, fault->addr, ino, fault->index,
	      fault->kind, fault->us, fault->failed);
	note(TRACE_mm_fault, &rec);
}

/* ---- readers ---- */

/* Context: trace.lock. */
static void __select(struct trace_reader *reader, unsigned int events)
{
	unsigned int changed = reader->events ^ events;

	lockdep_assert_held(&trace.lock);
	for (unsigned int i = 0; i < NR_TRACE_EVENTS; i++) {
		if (!(changed & 1u << i))
			continue;
		if (events & 1u << i)
			__atomic_fetch_add(&gates[i]->readers, 1,
					   __ATOMIC_RELAXED);
		else
			__atomic_fetch_sub(&gates[i]->readers, 1,
					   __ATOMIC_RELAXED);
	}
	reader->events = events;
}

void trace_reader_select(struct trace_reader *reader, unsigned int events)
{
	mutex_lock(&trace.lock);
	__select(reader, events & TRACE_ALL);
	mutex_unlock(&trace.lock);
}

/* What has happened so far is not this reader's. Context: trace.lock. */
static void __go_to_end(struct trace_reader *reader)
{
	for (unsigned int i = 0; i < MAX_RINGS; i++) {
		struct trace_ring *ring = atomic_load(&trace.rings[i]);

		if (ring)
			reader->pos[i] = atomic_load(&ring->head);
	}
	reader->dropped = atomic_load(&trace.dropped);
}

struct trace_reader *trace_reader_open(void)
{
	struct trace_reader *reader;
	bool full;

#ifdef PAGEFS_NO_TRACE
	return ERR_PTR(-EOPNOTSUPP);
#endif
	reader = calloc(1, sizeof(*reader));
	if (!reader)
		return ERR_PTR(-ENOMEM);
	mutex_lock(&trace.lock);
	full = trace.nr_readers == TRACE_MAX_READERS;
	if (!full) {
		trace.nr_readers++;
		__go_to_end(reader);
		__select(reader, TRACE_ALL);
	}
	mutex_unlock(&trace.lock);
	if (!full)
		return reader;
	free(reader);
	return ERR_PTR(-EUSERS);
}

/*
 * Nobody reads any more. A thread that was about to note an event when the gate
 * was shut writes it to a ring that is empty again. Context: trace.lock.
 */
static void __give_memory_back(void)
{
	for (unsigned int i = 0; i < MAX_RINGS; i++) {
		struct trace_ring *ring = atomic_load(&trace.rings[i]);

		if (ring && ring->idle)
			__ring_free(ring);
		else if (ring)
			madvise(ring->slots,
				RING_SLOTS * sizeof(struct trace_slot),
				MADV_DONTNEED);
	}
}

void trace_reader_close(struct trace_reader *reader)
{
	mutex_lock(&trace.lock);
	__select(reader, 0);
	if (!--trace.nr_readers)
		__give_memory_back();
	mutex_unlock(&trace.lock);
	free(reader);
}

/*
 * Record reader->pos of @ring is gone. On to one that will not be gone as soon
 * as it is looked at. Return: how many are skipped.
 */
static unsigned long skip_lost(struct trace_reader *reader,
			       const struct trace_ring *ring)
{
	unsigned long head = atomic_load(&ring->head);
	unsigned long *pos = &reader->pos[ring->id], old = *pos;

	*pos = max(old + 1, head - RING_SLOTS * 3 / 4);
	return *pos - old;
}

static const struct trace_slot *slot_at(const struct trace_ring *ring,
					unsigned long pos)
{
	return &ring->slots[pos % RING_SLOTS];
}

/*
 * The ring with the oldest record this reader has not had, or NULL. The time
 * may be read while it is written over; read_record() will see.
 */
static struct trace_ring *peek_oldest(struct trace_reader *reader,
				      unsigned long *lostp)
{
	unsigned int nr = atomic_load(&trace.nr_rings);
	struct trace_ring *oldest = NULL;
	uint64_t first = 0, ts;

	for (unsigned int i = 0; i < nr; i++) {
		struct trace_ring *ring =
			atomic_load_explicit(&trace.rings[i],
					     memory_order_acquire);
		unsigned long head;

		if (!ring)
			continue;
		head = atomic_load_explicit(&ring->head, memory_order_acquire);
		if (head == reader->pos[i])
			continue;
		if (head - reader->pos[i] > RING_SLOTS)
			*lostp += skip_lost(reader, ring);
		ts = atomic_load_explicit(&slot_at(ring, reader->pos[i])->word[0],
					  memory_order_relaxed);
		if (!oldest || ts < first) {
			oldest = ring;
			first = ts;
		}
	}
	return oldest;
}

/* Record reader->pos of @ring. Return: false if it has been written over. */
static bool read_record(const struct trace_reader *reader,
			const struct trace_ring *ring,
			struct trace_record *rec)
{
	unsigned long pos = reader->pos[ring->id];
	const struct trace_slot *slot = slot_at(ring, pos);
	uint64_t words[RECORD_WORDS];

	for (size_t i = 0; i < RECORD_WORDS; i++)
		words[i] = atomic_load_explicit(&slot->word[i],
						memory_order_acquire);	/* I3 */
	if (atomic_load_explicit(&ring->begun, memory_order_relaxed) - pos >
	    RING_SLOTS)
		return false;
	memcpy(rec, words, sizeof(*rec));
	return true;
}

unsigned long trace_reader_pending(const struct trace_reader *reader)
{
	unsigned int nr = atomic_load(&trace.nr_rings);
	unsigned long pending = 0;

	for (unsigned int i = 0; i < nr; i++) {
		struct trace_ring *ring =
			atomic_load_explicit(&trace.rings[i],
					     memory_order_acquire);

		if (ring)
			pending += atomic_load_explicit(&ring->head,
							memory_order_relaxed) -
				reader->pos[i];
	}
	return pending;
}

/* Events that found no ring. */
static unsigned long take_dropped(struct trace_reader *reader)
{
	unsigned long all = atomic_load_explicit(&trace.dropped,
						 memory_order_relaxed);
	unsigned long nr = all - reader->dropped;

	reader->dropped = all;
	return nr;
}

bool trace_reader_next(struct trace_reader *reader, struct trace_record *rec,
		       unsigned long *lostp)
{
	struct trace_ring *ring;

	*lostp += take_dropped(reader);
	while ((ring = peek_oldest(reader, lostp))) {
		if (!read_record(reader, ring, rec)) {
			*lostp += skip_lost(reader, ring);
			continue;
		}
		reader->pos[ring->id]++;
		if (reader->events & 1u << rec->event)
			return true;
	}
	return false;
}
