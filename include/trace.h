/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * trace.h - trace points, and who listens to them: mm/trace.c
 *
 *   trace_NAME(...)   one relaxed load, one branch that is not taken
 *     |  somebody listens
 *     v
 *   __trace_NAME(...)  USDT probe pagefs:NAME; a record in the thread's ring
 *
 *   ring of thread A  [r r r r r r r r]   positions of the readers, each its own
 *                          ^1    ^2  ^head
 *
 * A record is 64 bytes and knows files by the number their owner gave them;
 * what that is called is found out when a line is made for a reader. A ring is
 * written without regard to readers: one that is slow finds records gone, and
 * is told how many.
 *
 * Gates say of each event whether somebody wants it: they count the readers,
 * and, in the half that a tracer writes as the probe's semaphore, the tracers.
 * Configured with --disable-trace there is nothing of all this in the program.
 *
 * Source: Linux include/trace/events/ for the names; its ring buffers are per
 *         CPU. Differs: a ring per thread, since user space cannot forbid
 *         preemption.
 */
#ifndef PAGEFS_TRACE_H
#define PAGEFS_TRACE_H

#include "mm_types.h"

/* name as in Linux; see doc/TRACE.md for the fields. */
#define TRACE_EVENTS(_)			\
	_(writeback_start)		\
	_(writeback_pages)		\
	_(writeback_dirty_page)		\
	_(balance_dirty_pages)		\
	_(mm_vmscan_scan)		\
	_(mm_demote)			\
	_(mm_fault)

#define TRACE_ENUM(name)	TRACE_##name,
enum trace_event {
	TRACE_EVENTS(TRACE_ENUM)
	NR_TRACE_EVENTS,
};
#undef TRACE_ENUM

#define TRACE_ALL	((1u << NR_TRACE_EVENTS) - 1)

/*
 * Both halves are looked at by one load. The first is the USDT semaphore: at
 * its address, 16 bits, written by the kernel on behalf of a tracer.
 */
union trace_gate {
	uint32_t any;
	struct {
		uint16_t tracers;
		uint16_t readers;	/* (A) */
	};
};

#define TRACE_GATE(name)	\
	extern union trace_gate pagefs_##name##_semaphore;
TRACE_EVENTS(TRACE_GATE)
#undef TRACE_GATE

#ifdef PAGEFS_NO_TRACE
#define trace_enabled(name)	false
#else
#define trace_enabled(name)	\
	unlikely(READ_ONCE(pagefs_##name##_semaphore.any))
#endif

/* A time or an age nobody has measured: no field in the line. */
#define TRACE_UNKNOWN	UINT32_MAX

enum trace_fault_kind {
	TRACE_FAULT_MINOR,
	TRACE_FAULT_MAJOR,	/* waited for the store */
	TRACE_FAULT_SOFT,	/* the page had been demoted */
	TRACE_FAULT_WP,		/* the client could read it before */
};

enum trace_scanner { TRACE_KSWAPD, TRACE_DIRECT };

/* What somebody wrote to a backing file with one request. */
struct trace_write {
	pgoff_t index;		/* the first page */
	uint64_t bytes;		/* that were written */
	uint32_t nr;		/* pages */
	uint32_t age_ms;	/* since the oldest of them was dirtied */
	uint32_t queue_us;	/* from writeback's start to the device's */
	uint32_t device_us;	/* from there to its end */
	int16_t err;		/* 0 or -errno */
	uint16_t reason;	/* enum wb_reason */
};

struct trace_fault {
	uint64_t addr;
	pgoff_t index;
	uint32_t pid;		/* the client */
	uint32_t us;
	uint16_t kind;		/* enum trace_fault_kind */
	uint16_t failed;	/* it ended in a signal */
};

struct trace_record {
	uint64_t ts_ns;		/* since trace_init() */
	uint64_t ino;		/* the mapping's; 0: none */
	uint32_t tid;
	uint32_t event;		/* enum trace_event */
	union {
		struct trace_write write;
		struct trace_fault fault;
		struct { uint64_t reason, nr_dirty; } start;
		struct { uint64_t index; } dirty;
		struct { uint64_t pause_ms, dirty, limit; } balance;
		struct { uint64_t scanned, reclaimed;
			 uint32_t who, priority; } scan;
		struct { uint64_t nr, copied, dropped; } demote;
	};
};
_Static_assert(sizeof(struct trace_record) == 64, "what a ring's slot has");

/* ---- the trace points ---- */

void __trace_writeback_start(unsigned int reason);
void __trace_writeback_pages(uint64_t ino, const struct trace_write *write);
void __trace_writeback_dirty_page(uint64_t ino, pgoff_t index);
void __trace_balance_dirty_pages(unsigned int pause_ms, unsigned long dirty,
				 unsigned long limit);
void __trace_mm_vmscan_scan(enum trace_scanner who, unsigned long scanned,
			    unsigned long reclaimed, int priority);
void __trace_mm_demote(unsigned int nr, unsigned int copied,
		       unsigned int dropped);
void __trace_mm_fault(uint64_t ino, struct trace_fault *fault,
		      uint64_t began_us);

/* A flusher, or a sync, begins to write. @reason: enum wb_reason. */
static inline void trace_writeback_start(unsigned int reason)
{
	if (trace_enabled(writeback_start))
		__trace_writeback_start(reason);
}

/* A page of the file @ino was clean and is dirty. */
static inline void trace_writeback_dirty_page(uint64_t ino, pgoff_t index)
{
	if (trace_enabled(writeback_dirty_page))
		__trace_writeback_dirty_page(ino, index);
}

/* A writer is about to pause. */
static inline void trace_balance_dirty_pages(unsigned int pause_ms,
					     unsigned long dirty,
					     unsigned long limit)
{
	if (trace_enabled(balance_dirty_pages))
		__trace_balance_dirty_pages(pause_ms, dirty, limit);
}

/* One pass over the LRU lists has ended. */
static inline void trace_mm_vmscan_scan(enum trace_scanner who,
					unsigned long scanned,
					unsigned long reclaimed, int priority)
{
	if (trace_enabled(mm_vmscan_scan))
		__trace_mm_vmscan_scan(who, scanned, reclaimed, priority);
}

/* Of @nr window pages so many were copied to the arena, so many dropped. */
static inline void trace_mm_demote(unsigned int nr, unsigned int copied,
				   unsigned int dropped)
{
	if (trace_enabled(mm_demote))
		__trace_mm_demote(nr, copied, dropped);
}

/*
 * These two have more to say than is at hand: their callers ask first, with
 * trace_enabled(), and then fill in what it takes.
 */
static inline void trace_writeback_pages(uint64_t ino,
					 const struct trace_write *write)
{
	if (trace_enabled(writeback_pages))
		__trace_writeback_pages(ino, write);
}

static inline void trace_mm_fault(uint64_t ino, struct trace_fault *fault,
				  uint64_t began_us)
{
	if (trace_enabled(mm_fault))
		__trace_mm_fault(ino, fault, began_us);
}

/* ---- time ---- */

/* Microseconds since trace_init(), never 0. */
uint64_t trace_clock_us(void);

/* The same if somebody wants to know of @name, else 0: not measured. */
#define trace_begin_us(name)	(trace_enabled(name) ? trace_clock_us() : 0)

/* From @begin to @end, TRACE_UNKNOWN if one of them was not measured. */
static inline uint32_t trace_elapsed_us(uint64_t begin, uint64_t end)
{
	if (!begin || !end)
		return TRACE_UNKNOWN;
	return (uint32_t)min(end > begin ? end - begin : 0,
			     (uint64_t)TRACE_UNKNOWN - 1);
}

/*
 * When the fault began that this thread handles now, if that is not when it is
 * handled (0): one that was put aside while its page was read.
 */
extern __thread uint64_t trace_fault_began_us;

/* By mm_init(): what timestamps count from. */
void trace_init(void);

/* ---- readers ---- */

/* One that waits takes a descriptor, and its names and lines 30 KiB. Arbitrary. */
#define TRACE_MAX_READERS	64

struct trace_reader;

/*
 * A reader of all events from now on. Context: any; the reader itself is one
 * thread's at a time. Return: ERR_PTR(-EUSERS) when there are 64, -ENOMEM, or
 * -EOPNOTSUPP without trace points.
 */
struct trace_reader *trace_reader_open(void);
void trace_reader_close(struct trace_reader *reader);
/* Only @events, bits of 1 << enum trace_event, from now on. */
void trace_reader_select(struct trace_reader *reader, unsigned int events);
/*
 * The oldest record @reader has not had, whatever thread made it. *@lostp grows
 * by those it was too slow for, wanted or not: they are gone. Never waits.
 * Return: false if there is none.
 */
bool trace_reader_next(struct trace_reader *reader, struct trace_record *rec,
		       unsigned long *lostp);

/* Records @reader has not had yet, wanted or not, and those lost. Never waits. */
unsigned long trace_reader_pending(const struct trace_reader *reader);

/* ---- text: mm/trace_text.c ---- */

/* The longest line but for its file's name, bytes; with room. */
#define TRACE_LINE_MAX	512u

/* "event=a,b" without the "event=": bits, or 0 if one is unknown. */
unsigned int trace_parse_events(const char *names, size_t len);
const char *trace_event_name(enum trace_event event);
/*
 * @rec as a line of JSON with its '\n'. @ino: what stat(2) says of the file, if
 * it differs; @file: its path, or NULL. Return: bytes, less than @size; 0 if
 * @size is too small.
 */
size_t trace_format(char *buf, size_t size, const struct trace_record *rec,
		    uint64_t ino, const char *file);
/* The line that says that @nr are missing. */
size_t trace_format_lost(char *buf, size_t size, unsigned long nr);

#endif /* PAGEFS_TRACE_H */
