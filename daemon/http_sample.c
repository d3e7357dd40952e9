// SPDX-License-Identifier: BSD-2-Clause
/*
 * daemon/http_sample.c - memory as it is, and how fast things go
 *
 *   {"ts":9512,"event":"sample","time":1795201234567,"cached":52428800,...,
 *    "written_rate":20971520,...}
 *
 * Bytes, and bytes a second, whatever the counters count in: what a chart draws.
 *
 * No locks: numbers are of one moment as far as it takes a few microseconds to
 * read them.
 */
#include <inttypes.h>
#include <stdio.h>
#include <time.h>

#include "mm.h"
#include "mmzone.h"
#include "trace.h"
#include "vmstat.h"
#include "writeback.h"
#include "http_i.h"
#include "internal.h"

/* Longer ago than that, "since" is no rate of now. Arbitrary. */
#define STALE_US	2000000u

struct out {
	char *buf;
	size_t size, len;
};

static void put(struct out *out, const char *name, unsigned long value)
{
	int n = snprintf(out->buf + out->len, out->size - out->len,
			 ",\"%s\":%lu", name, value);

	if (n > 0)
		out->len = min(out->len + (size_t)n, out->size - 1);
}

static void put_bytes_of(struct out *out, const char *name, unsigned long pages)
{
	put(out, name, pages * PAGE_SIZE);
}

static uint64_t clock_us(clockid_t clock)
{
	struct timespec ts;

	clock_gettime(clock, &ts);
	return (uint64_t)ts.tv_sec * 1000000 + (uint64_t)ts.tv_nsec / 1000;
}

static void take(struct http_sample *s)
{
	s->ts_us = trace_clock_us();
	s->dirtied = vm_event(PGDIRTIED) * PAGE_SIZE;
	s->written = vm_event(PGWRITTEN) * PAGE_SIZE;
	s->read = vm_event(PGPGIN) * 1024;
	s->faults = vm_event(PGFAULT);
	s->majfaults = vm_event(PGMAJFAULT);
	s->pauses = vm_event(BALANCE_PAUSED);
	s->paused_ms = vm_event(BALANCE_PAUSED_MS);
}

static void put_memory(struct out *out)
{
	unsigned long background, dirty;

	global_dirty_limits(&background, &dirty);
	put_bytes_of(out, "total", arena_bytes() >> PAGE_SHIFT);
	put_bytes_of(out, "free", nr_free_frames());
	put_bytes_of(out, "cached", vm_stat_read(NR_FILE_PAGES));
	put_bytes_of(out, "dirty", vm_stat_read(NR_FILE_DIRTY));
	put_bytes_of(out, "writeback", vm_stat_read(NR_WRITEBACK));
	put_bytes_of(out, "mapped", vm_stat_read(NR_WINDOW_PAGES));
	put_bytes_of(out, "swapped", 0);
	put_bytes_of(out, "slab", vm_stat_read(NR_SLAB_RECLAIMABLE) +
		  vm_stat_read(NR_SLAB_UNRECLAIMABLE));
	put_bytes_of(out, "dirty_limit", dirty);
	put_bytes_of(out, "background_limit", background);
	put(out, "expire_ms",
	    atomic_load(&vm_tunables.dirty_expire_centisecs) * 10ul);
	put(out, "laptop_mode", atomic_load(&vm_tunables.laptop_mode));
	put(out, "flushers", vm_stat_read(NR_PDFLUSH_THREADS));
	put(out, "clients", nr_clients());
}

static void put_devices(struct out *out)
{
	struct fs_device dev;
	unsigned long bandwidth = 0;

	for (unsigned int nth = 0; fs_get_device(nth, &dev); nth++)
		bandwidth += dev.bandwidth;
	put(out, "bandwidth", bandwidth);
}

static unsigned long rate(unsigned long now, unsigned long then, uint64_t us)
{
	return now > then ? (unsigned long)((now - then) * 1e6 / (double)us) : 0;
}

static void put_rates(struct out *out, const struct http_sample *s,
		      const struct http_sample *last)
{
	uint64_t us = s->ts_us - last->ts_us;

	if (!last->ts_us || s->ts_us <= last->ts_us || us > STALE_US)
		return;
	put(out, "dirtied_rate", rate(s->dirtied, last->dirtied, us));
	put(out, "written_rate", rate(s->written, last->written, us));
	put(out, "read_rate", rate(s->read, last->read, us));
	put(out, "fault_rate", rate(s->faults, last->faults, us));
	put(out, "majfault_rate", rate(s->majfaults, last->majfaults, us));
	put(out, "pause_rate", rate(s->pauses, last->pauses, us));
	/* Of one second, all writers together. */
	put(out, "paused_ms_rate", rate(s->paused_ms, last->paused_ms, us));
}

size_t http_sample_text(char *buf, size_t size, struct http_sample *last,
			bool has_trace)
{
	struct out out = { .buf = buf, .size = size };
	struct http_sample s;

	take(&s);
	out.len = (size_t)snprintf(buf, size,
		"{\"ts\":%" PRIu64 ",\"event\":\"sample\",\"time\":%" PRIu64,
		s.ts_us, clock_us(CLOCK_REALTIME) / 1000);
	put(&out, "trace", has_trace);
	put_memory(&out);
	put_devices(&out);
	put(&out, "pauses", s.pauses);
	put_rates(&out, &s, last);
	out.len += (size_t)snprintf(buf + out.len, size - out.len, "}");
	*last = s;
	return out.len;
}
