// SPDX-License-Identifier: BSD-2-Clause
/*
 * tests/mm/test_trace.c - see mm/trace.c and mm/trace_text.c
 *
 * Events here are mostly writeback_dirty_page: its ino says which thread of the
 * test made it, its index counts them.
 */
#include <errno.h>
#include <pthread.h>
#include <sched.h>
#include <string.h>
#include <unistd.h>

#include "err.h"
#include "harness.h"
#include "trace.h"
#include "writeback.h"

#define RING_SLOTS	8192ul		/* as in mm/trace.c */
#define MAX_RINGS	256u

static void dirty(uint64_t ino, pgoff_t index)
{
	trace_writeback_dirty_page(ino, index);
}

static struct trace_reader *open_reader(void)
{
	struct trace_reader *reader = trace_reader_open();

	if (IS_ERR(reader) && PTR_ERR(reader) == -EOPNOTSUPP)
		test_skip("configured with --disable-trace");
	CU_ASSERT_FATAL(!IS_ERR(reader));
	return reader;
}

/* The next record must be a dirty_page of @ino and @index. */
static bool next_is(struct trace_reader *reader, uint64_t ino, pgoff_t index)
{
	struct trace_record rec;
	unsigned long lost = 0;

	return trace_reader_next(reader, &rec, &lost) && !lost &&
		rec.event == TRACE_writeback_dirty_page && rec.ino == ino &&
		rec.dirty.index == index && rec.tid == (uint32_t)gettid();
}

static bool at_end(struct trace_reader *reader)
{
	struct trace_record rec;
	unsigned long lost = 0;

	return !trace_reader_next(reader, &rec, &lost) && !lost;
}

static void nothing_is_noted_for_nobody(void)
{
	struct trace_reader *reader;

	dirty(1, 1);
	CU_ASSERT(!trace_enabled(writeback_dirty_page));
	reader = open_reader();
	CU_ASSERT(trace_enabled(writeback_dirty_page));
	CU_ASSERT(at_end(reader));
	trace_reader_close(reader);
	CU_ASSERT(!trace_enabled(writeback_dirty_page));
}

static void a_late_reader_gets_what_comes(void)
{
	struct trace_reader *early = open_reader(), *late;

	dirty(1, 1);
	late = open_reader();
	dirty(1, 2);
	CU_ASSERT(next_is(late, 1, 2));
	CU_ASSERT(at_end(late));
	CU_ASSERT(next_is(early, 1, 1));
	CU_ASSERT(next_is(early, 1, 2));
	CU_ASSERT(at_end(early));
	trace_reader_close(early);
	trace_reader_close(late);
}

static void events_come_in_order(void)
{
	struct trace_reader *reader = open_reader();
	unsigned long wrong = 0;

	for (unsigned int round = 0; round < 10; round++) {
		for (pgoff_t i = 0; i < RING_SLOTS; i++)
			dirty(round, i);
		for (pgoff_t i = 0; i < RING_SLOTS; i++)
			wrong += !next_is(reader, round, i);
	}
	CU_ASSERT_EQUAL(wrong, 0);
	CU_ASSERT(at_end(reader));
	trace_reader_close(reader);
}

/* ---- loss ---- */

static void the_slow_one_is_told(void)
{
	struct trace_reader *slow = open_reader(), *quick = open_reader();
	unsigned long total = 3 * RING_SLOTS, lost = 0, got = 0, wrong = 0;
	struct trace_record rec;
	pgoff_t last = 0;

	for (pgoff_t i = 1; i <= total; i++) {
		dirty(7, i);
		wrong += !next_is(quick, 7, i);
	}
	CU_ASSERT_EQUAL(wrong, 0);
	while (trace_reader_next(slow, &rec, &lost)) {
		/* What is there is the newest, without a gap. */
		wrong += got && rec.dirty.index != last + 1;
		last = rec.dirty.index;
		got++;
	}
	CU_ASSERT_EQUAL(wrong, 0);
	CU_ASSERT_EQUAL(last, total);
	CU_ASSERT_EQUAL(got + lost, total);
	CU_ASSERT(lost > 0);
	CU_ASSERT(got >= RING_SLOTS / 2);
	trace_reader_close(slow);
	trace_reader_close(quick);
}

/* ---- threads ---- */

#define NR_THREADS	8u
#define PER_THREAD	100000ul

/* Different words of one record, so that a torn one shows. */
static void write_event(uint64_t ino, unsigned long i)
{
	const struct trace_write write = {
		.index = i, .bytes = i * 3, .nr = (uint32_t)i,
		.age_ms = (uint32_t)~i, .device_us = (uint32_t)i ^ 0x5a5a,
	};

	trace_writeback_pages(ino, &write);
}

static pthread_barrier_t all_there;

static void *flood(void *arg)
{
	uint64_t ino = (uintptr_t)arg;

	/* Each has a ring before one ends and leaves his to another. */
	write_event(ino, 1);
	pthread_barrier_wait(&all_there);
	for (unsigned long i = 2; i <= PER_THREAD; i++)
		write_event(ino, i);
	return NULL;
}

static bool is_torn(const struct trace_record *rec)
{
	const struct trace_write *w = &rec->write;
	uint32_t i = (uint32_t)w->index;

	return w->bytes != w->index * 3 || w->nr != i || w->age_ms != ~i ||
		w->device_us != (i ^ 0x5a5a);
}

static void many_threads_one_reader(void)
{
	struct trace_reader *reader = open_reader();
	unsigned long last[NR_THREADS + 1] = { 0 }, got = 0, lost = 0, wrong = 0;
	pthread_t threads[NR_THREADS];
	struct trace_record rec;
	bool more = true;

	pthread_barrier_init(&all_there, NULL, NR_THREADS);
	for (uintptr_t i = 0; i < NR_THREADS; i++)
		CU_ASSERT_FATAL(!pthread_create(&threads[i], NULL, flood,
						(void *)(i + 1)));
	for (unsigned int ended = 0; more;) {
		more = trace_reader_next(reader, &rec, &lost);
		if (!more && ended < NR_THREADS) {
			/* The others go on while we wait for one. */
			pthread_join(threads[ended++], NULL);
			more = true;
			continue;
		}
		if (!more)
			break;
		got++;
		wrong += rec.ino < 1 || rec.ino > NR_THREADS || is_torn(&rec) ||
			rec.write.index <= last[rec.ino];
		last[rec.ino] = rec.write.index;
	}
	CU_ASSERT_EQUAL(wrong, 0);
	CU_ASSERT_EQUAL(got + lost, NR_THREADS * PER_THREAD);
	for (unsigned int i = 1; i <= NR_THREADS; i++)
		CU_ASSERT_EQUAL(last[i], PER_THREAD);
	pthread_barrier_destroy(&all_there);
	trace_reader_close(reader);
}

static atomic_bool flood_stop;

static void *flood_for_ever(void *arg)
{
	(void)arg;
	for (unsigned long i = 1; !atomic_load(&flood_stop); i++)
		write_event(1, i);
	return NULL;
}

/* Until the writer, which goes on, is a whole ring ahead. */
static void fall_behind(const struct trace_reader *reader, uint64_t until)
{
	while (trace_reader_pending(reader) < RING_SLOTS &&
	       trace_clock_us() < until)
		sched_yield();
}

/* The writer comes round again while the reader is at a record. */
static void overtaken_again_and_again(void)
{
	struct trace_reader *reader = open_reader();
	unsigned long times = 0, wrong = 0, last = 0, nr = 0;
	uint64_t until = trace_clock_us() + 10000000;
	struct trace_record rec;
	pthread_t thread;

	atomic_store(&flood_stop, false);
	CU_ASSERT_FATAL(!pthread_create(&thread, NULL, flood_for_ever, NULL));
	while (times < 500 && trace_clock_us() < until) {
		unsigned long lost = 0;

		if (nr++ % 100 == 0)
			fall_behind(reader, until);
		if (!trace_reader_next(reader, &rec, &lost))
			continue;
		times += lost > 0;
		wrong += is_torn(&rec) || rec.write.index != last + lost + 1;
		last = rec.write.index;
	}
	atomic_store(&flood_stop, true);
	pthread_join(thread, NULL);
	CU_ASSERT(times > 0);
	CU_ASSERT_EQUAL(wrong, 0);
	trace_reader_close(reader);
}

/* One step each, by turns, so that there is an order to find again. */
static struct {
	pthread_mutex_t lock;
	pthread_cond_t cond;
	unsigned long turn;
} turns = { PTHREAD_MUTEX_INITIALIZER, PTHREAD_COND_INITIALIZER, 0 };

#define NR_TURNS	600ul

static void *take_turns(void *arg)
{
	uintptr_t me = (uintptr_t)arg;

	pthread_mutex_lock(&turns.lock);
	while (turns.turn < NR_TURNS) {
		if (turns.turn % 3 != me) {
			pthread_cond_wait(&turns.cond, &turns.lock);
			continue;
		}
		dirty(me, turns.turn++);
		pthread_cond_broadcast(&turns.cond);
	}
	pthread_mutex_unlock(&turns.lock);
	return NULL;
}

static void threads_are_merged_by_time(void)
{
	struct trace_reader *reader = open_reader();
	struct trace_record rec;
	unsigned long lost = 0, wrong = 0, got = 0;
	pthread_t threads[3];

	turns.turn = 0;
	for (uintptr_t i = 0; i < 3; i++)
		CU_ASSERT_FATAL(!pthread_create(&threads[i], NULL, take_turns,
						(void *)i));
	for (unsigned int i = 0; i < 3; i++)
		pthread_join(threads[i], NULL);
	while (trace_reader_next(reader, &rec, &lost))
		wrong += rec.dirty.index != got++;
	CU_ASSERT_EQUAL(got, NR_TURNS);
	CU_ASSERT_EQUAL(wrong, 0);
	trace_reader_close(reader);
}

static void *dirty_once(void *arg)
{
	dirty((uintptr_t)arg, 1);
	return NULL;
}

static void threads_that_end_are_read(void)
{
	struct trace_reader *reader = open_reader();
	unsigned long lost = 0, wrong = 0, got = 0;
	struct trace_record rec;
	pthread_t thread;

	for (uintptr_t i = 0; i < 2 * MAX_RINGS; i++) {
		CU_ASSERT_FATAL(!pthread_create(&thread, NULL, dirty_once,
						(void *)i));
		pthread_join(thread, NULL);
	}
	while (trace_reader_next(reader, &rec, &lost))
		wrong += rec.ino != got++;
	CU_ASSERT_EQUAL(got, 2 * MAX_RINGS);
	CU_ASSERT_EQUAL(wrong, 0);
	CU_ASSERT_EQUAL(lost, 0);
	trace_reader_close(reader);
}

static void *dirty_together(void *arg)
{
	dirty((uintptr_t)arg, 1);
	pthread_barrier_wait(&all_there);
	return NULL;
}

static void threads_without_a_ring_are_counted(void)
{
	const unsigned int nr = MAX_RINGS + 4;
	struct trace_reader *reader = open_reader();
	unsigned long lost = 0, got = 0;
	struct trace_record rec;
	pthread_t threads[MAX_RINGS + 4];

	pthread_barrier_init(&all_there, NULL, nr + 1);
	for (uintptr_t i = 0; i < nr; i++)
		CU_ASSERT_FATAL(!pthread_create(&threads[i], NULL,
						dirty_together, (void *)i));
	pthread_barrier_wait(&all_there);
	for (unsigned int i = 0; i < nr; i++)
		pthread_join(threads[i], NULL);
	pthread_barrier_destroy(&all_there);
	while (trace_reader_next(reader, &rec, &lost))
		got++;
	CU_ASSERT_EQUAL(got + lost, nr);
	CU_ASSERT(lost >= 4);
	trace_reader_close(reader);
}

/* ---- readers ---- */

static void a_reader_gets_what_it_selects(void)
{
	struct trace_reader *all = open_reader(), *some = open_reader();
	struct trace_record rec;
	unsigned long lost = 0;

	trace_reader_select(some, 1u << TRACE_mm_demote);
	dirty(1, 1);
	trace_mm_demote(3, 2, 1);
	CU_ASSERT(trace_reader_next(some, &rec, &lost));
	CU_ASSERT_EQUAL(rec.event, TRACE_mm_demote);
	CU_ASSERT_EQUAL(rec.demote.copied, 2);
	CU_ASSERT(at_end(some));
	CU_ASSERT(next_is(all, 1, 1));
	trace_reader_close(all);
	/* Nobody wants this one any more, so it is not even noted. */
	CU_ASSERT(!trace_enabled(writeback_dirty_page));
	CU_ASSERT(trace_enabled(mm_demote));
	trace_reader_select(some, TRACE_ALL);
	CU_ASSERT(trace_enabled(writeback_dirty_page));
	trace_reader_close(some);
	CU_ASSERT(!trace_enabled(mm_demote));
}

static void there_is_a_limit(void)
{
	struct trace_reader *readers[TRACE_MAX_READERS];

	for (unsigned int i = 0; i < TRACE_MAX_READERS; i++)
		readers[i] = open_reader();
	CU_ASSERT_EQUAL(PTR_ERR(trace_reader_open()), -EUSERS);
	trace_reader_close(readers[0]);
	readers[0] = open_reader();
	for (unsigned int i = 0; i < TRACE_MAX_READERS; i++)
		trace_reader_close(readers[i]);
}

/* ---- text ---- */

static unsigned int parse(const char *names)
{
	return trace_parse_events(names, strlen(names));
}

static void names_of_events(void)
{
	CU_ASSERT_EQUAL(parse("mm_fault"), 1u << TRACE_mm_fault);
	CU_ASSERT_EQUAL(parse("mm_fault,writeback_pages"),
			1u << TRACE_mm_fault | 1u << TRACE_writeback_pages);
	CU_ASSERT_EQUAL(parse(""), 0);
	CU_ASSERT_EQUAL(parse("mm_faul"), 0);
	CU_ASSERT_EQUAL(parse("mm_fault,"), 0);
	CU_ASSERT_EQUAL(parse("mm_fault,x"), 0);
	for (int i = 0; i < NR_TRACE_EVENTS; i++)
		CU_ASSERT_EQUAL(parse(trace_event_name(i)), 1u << i);
}

static char line[2 * TRACE_LINE_MAX];

static void check_line(const struct trace_record *rec, const char *file,
		       const char *expected)
{
	size_t len = trace_format(line, sizeof(line), rec, 12, file);

	CU_ASSERT_EQUAL(len, strlen(expected));
	CU_ASSERT_STRING_EQUAL(line, expected);
}

static void lines_of_events(void)
{
	struct trace_record rec = { .ts_ns = 1500999, .ino = 9, .tid = 4,
				    .event = TRACE_writeback_pages };

	rec.write = (struct trace_write){
		.index = 1, .bytes = 8191, .nr = 2, .age_ms = 30,
		.queue_us = 4, .device_us = 50, .err = -EIO,
		.reason = WB_REASON_PERIODIC,
	};
	check_line(&rec, "d/f", "{\"ts\":1500,\"tid\":4,\"event\":\"writeback_pages\","
		   "\"ino\":12,\"file\":\"d/f\",\"index\":1,\"nr\":2,\"bytes\":8191,"
		   "\"reason\":\"periodic\",\"age_ms\":30,\"queue_us\":4,"
		   "\"device_us\":50,\"err\":-5}\n");
	rec.write.age_ms = rec.write.queue_us = rec.write.device_us =
		TRACE_UNKNOWN;
	check_line(&rec, NULL, "{\"ts\":1500,\"tid\":4,\"event\":\"writeback_pages\","
		   "\"ino\":12,\"index\":1,\"nr\":2,\"bytes\":8191,"
		   "\"reason\":\"periodic\",\"err\":-5}\n");
	rec.event = TRACE_mm_fault;
	rec.fault = (struct trace_fault){ .addr = 4096, .index = 3, .pid = 77,
					  .us = 5, .kind = TRACE_FAULT_WP };
	check_line(&rec, NULL, "{\"ts\":1500,\"tid\":4,\"event\":\"mm_fault\","
		   "\"ino\":12,\"index\":3,\"pid\":77,\"addr\":4096,"
		   "\"kind\":\"wp\",\"us\":5}\n");
	rec.ino = 0;
	rec.event = TRACE_mm_vmscan_scan;
	rec.scan.scanned = 64;
	rec.scan.reclaimed = 32;
	rec.scan.who = TRACE_DIRECT;
	rec.scan.priority = 12;
	check_line(&rec, NULL, "{\"ts\":1500,\"tid\":4,\"event\":\"mm_vmscan_scan\","
		   "\"who\":\"direct\",\"scanned\":64,\"reclaimed\":32,"
		   "\"priority\":12}\n");
}

static void check_name(const char *file, const char *expected)
{
	struct trace_record rec = { .ino = 1,
				    .event = TRACE_writeback_dirty_page };
	char *p;

	trace_format(line, sizeof(line), &rec, 1, file);
	p = strstr(line, "\"file\":");
	CU_ASSERT_FATAL(p != NULL);
	CU_ASSERT_EQUAL(strncmp(p + 7, expected, strlen(expected)), 0);
}

static void names_of_files(void)
{
	check_name("a b", "\"a b\",");
	check_name("a\"b\\c", "\"a\\\"b\\\\c\",");
	check_name("a\nb\x01", "\"a\\u000ab\\u0001\",");
	check_name("\xc3\xa9t\xc3\xa9", "\"\xc3\xa9t\xc3\xa9\",");
	check_name("\xf0\x9f\x90\xa7", "\"\xf0\x9f\x90\xa7\",");
	/* No UTF-8: alone, overlong, a surrogate, beyond the end, cut off. */
	check_name("\xe9t\xc0\xaf", "\"\\udce9t\\udcc0\\udcaf\",");
	check_name("\xed\xa0\x80", "\"\\udced\\udca0\\udc80\",");
	check_name("\xf4\x90\x80\x80", "\"\\udcf4\\udc90\\udc80\\udc80\",");
	check_name("\xe2\x82", "\"\\udce2\\udc82\",");
}

static void lines_that_do_not_fit(void)
{
	struct trace_record rec = { .ino = 1,
				    .event = TRACE_writeback_dirty_page };
	size_t len = trace_format(line, sizeof(line), &rec, 1, "n\n");

	for (size_t size = 1; size <= len; size++)
		CU_ASSERT_EQUAL(trace_format(line, size, &rec, 1, "n\n"), 0);
	CU_ASSERT_EQUAL(trace_format(line, len + 1, &rec, 1, "n\n"), len);
}

static const struct test_case cases[] = {
	{ "nothing is noted while nobody listens", nothing_is_noted_for_nobody },
	{ "a late reader gets what comes, not what was",
	  a_late_reader_gets_what_comes },
	{ "events of a thread come in order", events_come_in_order },
	{ "a slow reader is told what it lost, a quick one loses nothing",
	  the_slow_one_is_told },
	{ "of many threads nothing is torn, doubled or lost untold",
	  many_threads_one_reader },
	{ "a reader that is overtaken again and again sees nothing torn",
	  overtaken_again_and_again },
	{ "events of several threads are merged by time",
	  threads_are_merged_by_time },
	{ "what threads did before they ended is read", threads_that_end_are_read },
	{ "events that find no ring count as lost",
	  threads_without_a_ring_are_counted },
	{ "a reader gets what it selects, and only that is noted",
	  a_reader_gets_what_it_selects },
	{ "one reader too many is refused", there_is_a_limit },
	{ "events are known by name", names_of_events },
	{ "a line has the fields of its event", lines_of_events },
	{ "any name of a file is good JSON", names_of_files },
	{ "a line that does not fit is none", lines_that_do_not_fit },
};

int main(void)
{
	trace_init();
	return test_main("mm/trace", cases, ARRAY_SIZE(cases));
}
