// SPDX-License-Identifier: BSD-2-Clause
/*
 * daemon/http_metrics.c - /metrics: the counters in Prometheus' text format
 *
 *   meminfo, vmstat --"pgcache_hit 17"--> families[] --> # HELP, # TYPE
 *   devices, limits, this process ------------------->   pagefs_..._total 17
 *
 * Numbers are taken from the texts of .pagefs/, so that both say the same. What
 * a line there is called here, and in which unit, is a row of a table; a line
 * that has none (somebody has added a counter) appears under the name it has,
 * without a type, rather than not at all.
 *
 * No locks; each number is of the moment it is read at.
 *
 * Source: https://prometheus.io/docs/instrumenting/exposition_formats/, and
 *         .../docs/practices/naming/: base units, _total for what only rises.
 */
#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>
#include <sys/resource.h>

#include "mm_types.h"
#include "vmstat.h"
#include "writeback.h"
#include "config.h"
#include "http_i.h"
#include "internal.h"

/* Room for one of the texts; vmstat has 70 lines of some 30 bytes. */
#define TEXT_SIZE	(16 * SZ_1K)

enum unit {
	NUMBER,
	PAGES,			/* to bytes */
	KIB,			/* to bytes */
	MS,			/* to seconds */
	CENTISECS,		/* to seconds */
};

#define COUNTER	"counter"
#define GAUGE	"gauge"

/* Rows of one metric stand together; the first has its help. */
struct row {
	const char *line;	/* in meminfo or vmstat, without its colon */
	const char *metric;	/* without pagefs_; NULL: said elsewhere */
	const char *type;
	enum unit unit;
	const char *label;	/* NULL: none */
	const char *help;
};

static const struct row meminfo_rows[] = {
	{ "MemTotal", "memory_budget_bytes", GAUGE, KIB, NULL,
	  "Memory for file data and all metadata (--memory)." },
	{ "MemFree", "memory_free_bytes", GAUGE, KIB, NULL,
	  "Memory that is used for nothing." },
	{ "MemAvailable", "memory_available_bytes", GAUGE, KIB, NULL,
	  "Memory that could be had without waiting for the disk." },
	{ "Cached", "memory_cached_bytes", GAUGE, KIB, NULL,
	  "File data in the page cache." },
	{ "Active(file)", "memory_active_bytes", GAUGE, KIB, NULL,
	  "File data on the active list." },
	{ "Inactive(file)", "memory_inactive_bytes", GAUGE, KIB, NULL,
	  "File data on the inactive list." },
	{ "Active(anon)", "memory_anonymous_active_bytes", GAUGE, KIB, NULL,
	  "Memory without a file on the active list." },
	{ "Inactive(anon)", "memory_anonymous_inactive_bytes", GAUGE, KIB, NULL,
	  "Memory without a file on the inactive list." },
	{ "AnonPages", "memory_anonymous_bytes", GAUGE, KIB, NULL,
	  "Memory without a file." },
	{ "Dirty", "memory_dirty_bytes", GAUGE, KIB, NULL,
	  "File data that the store does not have yet." },
	{ "Writeback", "memory_writeback_bytes", GAUGE, KIB, NULL,
	  "File data on its way to the store." },
	{ "Mapped", "memory_mapped_bytes", GAUGE, KIB, NULL,
	  "File data where programs that map files can touch it." },
	{ "SReclaimable", "memory_slab_bytes", GAUGE, KIB,
	  "reclaimable=\"true\"", "Memory of small objects." },
	{ "SUnreclaim", "memory_slab_bytes", GAUGE, KIB,
	  "reclaimable=\"false\"", NULL },
	{ "PageTables", "memory_page_tables_bytes", GAUGE, KIB, NULL,
	  "Page tables kept for programs that map files." },
	{ "VmallocUsed", "memory_vmalloc_bytes", GAUGE, KIB, NULL,
	  "Large tables, the maps of swap areas among them." },
	{ "Balloon", "memory_balloon_bytes", GAUGE, KIB, NULL,
	  "Memory given back for what is mapped." },
	{ "SwapTotal", "swap_size_bytes", GAUGE, KIB, NULL,
	  "Size of all swap areas." },
	{ "SwapFree", "swap_free_bytes", GAUGE, KIB, NULL,
	  "Of them, what is free." },
	{ "SwapCached", "swap_cached_bytes", GAUGE, KIB, NULL,
	  "Memory that swap has a copy of." },
	/* Sums of others, and what can only be 0. */
	{ .line = "Active" }, { .line = "Inactive" }, { .line = "Slab" },
	{ .line = "KReclaimable" }, { .line = "Buffers" }, { .line = "Shmem" },
	{ .line = "WritebackTmp" },
};

#define REASON(name)							\
	{ "wb_" name, "writeback_bytes_total", COUNTER, PAGES,		\
	  "reason=\"" name "\"",					\
	  "File data written back, by what brought it about." }
#define RUNS(name)							\
	{ "wb_" name "_runs", "writeback_runs_total", COUNTER, NUMBER,	\
	  "reason=\"" name "\"",					\
	  "Times somebody set out to write back, by reason." }

static const struct row vmstat_rows[] = {
	{ "nr_dirtied", "dirtied_bytes_total", COUNTER, PAGES, NULL,
	  "File data that has become dirty." },
	{ "nr_written", "written_bytes_total", COUNTER, PAGES, NULL,
	  "File data whose writeback has ended well." },
	{ "pgwrite_error", "write_error_pages_total", COUNTER, NUMBER, NULL,
	  "Pages whose writeback failed; they are still dirty." },
	REASON("background"), REASON("periodic"), REASON("sync"),
	REASON("reclaim"), REASON("throttled"), REASON("laptop"),
	RUNS("background"), RUNS("periodic"), RUNS("sync"),
	RUNS("reclaim"), RUNS("throttled"), RUNS("laptop"),
	{ "nr_pdflush_threads", "flusher_threads", GAUGE, NUMBER, NULL,
	  "Threads that write back." },
	{ "balance_paused", "throttled_pauses_total", COUNTER, NUMBER, NULL,
	  "Pauses that writers were made to take." },
	{ "balance_paused_ms", "throttled_seconds_total", COUNTER, MS, NULL,
	  "Time writers have spent in such pauses." },
	{ "balance_pause_max_ms", "throttled_pause_max_seconds", GAUGE, MS, NULL,
	  "The longest pause there was." },
	{ "balance_stall_max_ms", "throttled_stall_max_seconds", GAUGE, MS, NULL,
	  "The longest a single write was held up." },
	{ "pgpgin", "store_read_bytes_total", COUNTER, KIB, NULL,
	  "File data read from the store." },
	{ "pgpgout", "store_written_bytes_total", COUNTER, KIB, NULL,
	  "File data written to the store." },
	{ "pgcache_hit", "cache_lookups_total", COUNTER, NUMBER,
	  "result=\"hit\"", "Pages looked up for reads." },
	{ "pgcache_miss", "cache_lookups_total", COUNTER, NUMBER,
	  "result=\"miss\"", NULL },
	{ "pgreadahead", "readahead_pages_total", COUNTER, NUMBER, NULL,
	  "Pages read before anybody asked for them." },
	{ "ra_sync", "readahead_windows_total", COUNTER, NUMBER,
	  "mode=\"sync\"", "Read-ahead windows: waited for, or begun in time." },
	{ "ra_async", "readahead_windows_total", COUNTER, NUMBER,
	  "mode=\"async\"", NULL },
	{ "pgalloc", "frames_allocated_total", COUNTER, NUMBER, NULL,
	  "Frames of memory taken." },
	{ "pgfree", "frames_freed_total", COUNTER, NUMBER, NULL,
	  "Frames of memory given back." },
	{ "pgalloc_fail", "frame_allocation_failures_total", COUNTER, NUMBER,
	  NULL, "Allocations that found no memory." },
	{ "pgactivate", "lru_moves_total", COUNTER, NUMBER,
	  "move=\"activate\"", "Pages moved on the LRU lists." },
	{ "pgdeactivate", "lru_moves_total", COUNTER, NUMBER,
	  "move=\"deactivate\"", NULL },
	{ "pgrotated", "lru_moves_total", COUNTER, NUMBER,
	  "move=\"rotate\"", NULL },
	{ "pgscan_kswapd", "reclaim_scanned_pages_total", COUNTER, NUMBER,
	  "by=\"kswapd\"", "Pages that reclaim has looked at." },
	{ "pgscan_direct", "reclaim_scanned_pages_total", COUNTER, NUMBER,
	  "by=\"direct\"", NULL },
	{ "pgsteal_kswapd", "reclaim_freed_pages_total", COUNTER, NUMBER,
	  "by=\"kswapd\"", "Pages that reclaim has freed." },
	{ "pgsteal_direct", "reclaim_freed_pages_total", COUNTER, NUMBER,
	  "by=\"direct\"", NULL },
	{ "pageoutrun", "kswapd_runs_total", COUNTER, NUMBER, NULL,
	  "Times kswapd set out to free memory." },
	{ "allocstall", "direct_reclaims_total", COUNTER, NUMBER, NULL,
	  "Allocations that had to reclaim for themselves." },
	{ "drop_pagecache", "drop_caches_total", COUNTER, NUMBER,
	  "what=\"pagecache\"", "Times caches were dropped by hand." },
	{ "drop_slab", "drop_caches_total", COUNTER, NUMBER,
	  "what=\"slab\"", NULL },
	{ "inode_shrunk", "inodes_reclaimed_total", COUNTER, NUMBER, NULL,
	  "Inodes that were forgotten to free memory." },
	{ "pgfault", "faults_total", COUNTER, NUMBER, NULL,
	  "Page faults of programs that map files." },
	{ "pgmajfault", "major_faults_total", COUNTER, NUMBER, NULL,
	  "Of them, those that waited for the store." },
	{ "pgsoftfault", "soft_faults_total", COUNTER, NUMBER, NULL,
	  "Of them, those that brought a demoted page back." },
	{ "pgwpfault", "write_protect_faults_total", COUNTER, NUMBER, NULL,
	  "Of them, first writes to a page that could be read." },
	{ "pgfault_error", "failed_faults_total", COUNTER, NUMBER, NULL,
	  "Of them, those that ended in a signal." },
	{ "pgfaultaround", "fault_around_pages_total", COUNTER, NUMBER, NULL,
	  "Pages mapped before anybody touched them." },
	{ "pgpromote", "promoted_pages_total", COUNTER, NUMBER, NULL,
	  "Pages moved where programs can touch them." },
	{ "pgdemote", "demoted_pages_total", COUNTER, NUMBER,
	  "result=\"copied\"", "Pages that were to leave there." },
	{ "pgdemote_drop", "demoted_pages_total", COUNTER, NUMBER,
	  "result=\"dropped\"", NULL },
	{ "pgdemote_fail", "demoted_pages_total", COUNTER, NUMBER,
	  "result=\"failed\"", NULL },
	{ "pgmkclean", "write_protected_pages_total", COUNTER, NUMBER, NULL,
	  "Pages whose programs were made to say when they write." },
	{ "pgstored", "stored_pages_total", COUNTER, NUMBER, NULL,
	  "Pages that programs were found to have stored to, by scanning." },
	{ "window_scans", "window_scans_total", COUNTER, NUMBER, NULL,
	  "Scans for such stores." },
	{ "window_foreign", "foreign_window_pages_total", COUNTER, NUMBER, NULL,
	  "Pages of windows that a program has planted or punched." },
	{ "pswpin", "swapped_in_bytes_total", COUNTER, PAGES, NULL,
	  "Memory brought back from swap." },
	{ "pswpout", "swapped_out_bytes_total", COUNTER, PAGES, NULL,
	  "Memory written to swap." },
	/* meminfo has them in other words. */
	{ .line = "nr_free_pages" }, { .line = "nr_inactive_file" },
	{ .line = "nr_active_file" }, { .line = "nr_mapped" },
	{ .line = "nr_file_pages" }, { .line = "nr_dirty" },
	{ .line = "nr_writeback" }, { .line = "nr_window_pages" },
	{ .line = "nr_page_table_pages" }, { .line = "nr_balloon" },
	{ .line = "nr_vmalloc" },
	{ .line = "nr_slab_reclaimable" }, { .line = "nr_slab_unreclaimable" },
};

/* ---- one value ---- */

static void put_head(FILE *f, const char *metric, const char *type,
		     const char *help)
{
	fprintf(f, "# HELP pagefs_%s %s\n# TYPE pagefs_%s %s\n", metric, help,
		metric, type);
}

/* Whole numbers as they are; seconds have what comes behind the point. */
static void put_value(FILE *f, enum unit unit, unsigned long value)
{
	switch (unit) {
	case NUMBER:
		fprintf(f, "%lu\n", value);
		break;
	case PAGES:
		fprintf(f, "%lu\n", value * PAGE_SIZE);
		break;
	case KIB:
		fprintf(f, "%lu\n", value * 1024);
		break;
	case MS:
		fprintf(f, "%lu.%03lu\n", value / 1000, value % 1000);
		break;
	case CENTISECS:
		fprintf(f, "%lu.%02lu\n", value / 100, value % 100);
		break;
	}
}

static void put_sample(FILE *f, const char *metric, const char *label,
		       enum unit unit, unsigned long value)
{
	fprintf(f, "pagefs_%s%s%s%s ", metric, label ? "{" : "", label ?: "",
		label ? "}" : "");
	put_value(f, unit, value);
}

static void put_one(FILE *f, const char *metric, const char *type,
		    enum unit unit, unsigned long value, const char *help)
{
	put_head(f, metric, type, help);
	put_sample(f, metric, NULL, unit, value);
}

/* ---- meminfo and vmstat ---- */

/* "Name:   17 kB", "name 17": behind the name of @line, or NULL. */
static const char *behind_name(const char *line, const char *name)
{
	size_t len = strlen(name);

	if (strncmp(line, name, len))
		return NULL;
	return line[len] == ':' || line[len] == ' ' ? line + len + 1 : NULL;
}

/* @name's number in @text. Return: false: no such line. */
static bool find_line(const char *text, const char *name, unsigned long *valuep)
{
	const char *value;

	for (; text && *text; text = strchr(text, '\n'), text += !!text) {
		value = behind_name(text, name);
		if (!value)
			continue;
		*valuep = strtoul(value, NULL, 10);
		return true;
	}
	return false;
}

static void put_rows(FILE *f, const char *text, const struct row *rows,
		     size_t nr)
{
	const char *last = "";
	unsigned long value;

	for (const struct row *row = rows; row < rows + nr; row++) {
		if (!row->metric || !find_line(text, row->line, &value))
			continue;
		if (strcmp(row->metric, last))
			put_head(f, row->metric, row->type, row->help);
		put_sample(f, row->metric, row->label, row->unit, value);
		last = row->metric;
	}
}

static bool has_row(const char *line, const struct row *rows, size_t nr)
{
	for (size_t i = 0; i < nr; i++)
		if (behind_name(line, rows[i].line))
			return true;
	return false;
}

/* Lines nobody has told us of. */
static void put_others(FILE *f, const char *text, const char *where,
		       const struct row *rows, size_t nr)
{
	char name[64], metric[sizeof(name) + 16];
	unsigned long value;

	for (; text && *text; text = strchr(text, '\n'), text += !!text) {
		if (has_row(text, rows, nr) ||
		    sscanf(text, "%63[a-zA-Z0-9_()]%*[: ]%lu", name, &value) != 2)
			continue;
		for (char *c = name; *c; c++)
			*c = *c == '(' || *c == ')' ? '_' : (char)tolower(*c);
		snprintf(metric, sizeof(metric), "%s_%s", where, name);
		put_head(f, metric, "untyped", "As in .pagefs.");
		put_sample(f, metric, NULL, NUMBER, value);
	}
}

static void put_texts(FILE *f, char *text)
{
	text[meminfo_show(text, TEXT_SIZE - 1)] = '\0';
	put_rows(f, text, meminfo_rows, ARRAY_SIZE(meminfo_rows));
	put_others(f, text, "meminfo", meminfo_rows, ARRAY_SIZE(meminfo_rows));
	text[vmstat_show(text, TEXT_SIZE - 1)] = '\0';
	put_rows(f, text, vmstat_rows, ARRAY_SIZE(vmstat_rows));
	put_others(f, text, "vmstat", vmstat_rows, ARRAY_SIZE(vmstat_rows));
}

/* ---- limits ---- */

static void put_limits(FILE *f)
{
	unsigned long background, dirty;

	global_dirty_limits(&background, &dirty);
	put_one(f, "dirty_limit_bytes", GAUGE, PAGES, dirty,
		"Dirty data at which writers have to wait.");
	put_one(f, "dirty_background_limit_bytes", GAUGE, PAGES, background,
		"Dirty data at which it is written in the background.");
	put_one(f, "dirty_expire_seconds", GAUGE, CENTISECS,
		atomic_load(&vm_tunables.dirty_expire_centisecs),
		"Age at which dirty data is written.");
	put_one(f, "dirty_writeback_interval_seconds", GAUGE, CENTISECS,
		atomic_load(&vm_tunables.dirty_writeback_centisecs),
		"How often it is looked for; 0: never.");
	put_one(f, "laptop_mode_seconds", GAUGE, NUMBER,
		atomic_load(&vm_tunables.laptop_mode),
		"How long after I/O everything dirty is written; 0: off.");
}

/* ---- devices ---- */

static const struct {
	const char *metric, *type, *help;
	size_t offset;			/* of an unsigned long in fs_device */
	const char *label;
	bool us;			/* to seconds */
} device_rows[] = {
	{ "device_requests_total", COUNTER, "Requests that have ended.",
	  offsetof(struct fs_device, reads), ",operation=\"read\"", false },
	{ "device_requests_total", COUNTER, NULL,
	  offsetof(struct fs_device, writes), ",operation=\"write\"", false },
	{ "device_bytes_total", COUNTER, "Bytes read and written.",
	  offsetof(struct fs_device, read_bytes), ",operation=\"read\"", false },
	{ "device_bytes_total", COUNTER, NULL,
	  offsetof(struct fs_device, written_bytes), ",operation=\"write\"",
	  false },
	{ "device_errors_total", COUNTER, "Requests that failed.",
	  offsetof(struct fs_device, errors), "", false },
	{ "device_write_bandwidth_bytes_per_second", GAUGE,
	  "How fast it writes, estimated while it does.",
	  offsetof(struct fs_device, bandwidth), "", false },
	{ "device_writeback_bytes", GAUGE, "Being written to it now.",
	  offsetof(struct fs_device, writeback_bytes), "", false },
	{ "device_write_busy_seconds_total", COUNTER,
	  "Time it had something to write.",
	  offsetof(struct fs_device, busy_us), "", true },
};

static void put_device_row(FILE *f, size_t i, const struct fs_device *dev)
{
	unsigned long value = *(const unsigned long *)
		((const char *)dev + device_rows[i].offset);

	fprintf(f, "pagefs_%s{device=\"%s\"%s} ", device_rows[i].metric,
		dev->name, device_rows[i].label);
	if (device_rows[i].us)
		fprintf(f, "%lu.%06lu\n", value / 1000000, value % 1000000);
	else
		fprintf(f, "%lu\n", value);
}

static void put_devices(FILE *f)
{
	struct fs_device dev;
	unsigned int nth;

	for (size_t i = 0; i < ARRAY_SIZE(device_rows); i++) {
		if (device_rows[i].help)
			put_head(f, device_rows[i].metric, device_rows[i].type,
				 device_rows[i].help);
		for (nth = 0; fs_get_device(nth, &dev); nth++)
			put_device_row(f, i, &dev);
	}
	put_head(f, "device_flushers", GAUGE, "Threads writing back to it now.");
	for (nth = 0; fs_get_device(nth, &dev); nth++)
		fprintf(f, "pagefs_device_flushers{device=\"%s\"} %u\n",
			dev.name, dev.flushers);
}

/* ---- ourselves ---- */

static void put_http(FILE *f)
{
	static const char metric[] = "http_responses_total";
	struct http_counts counts;
	char label[32];

	http_get_counts(&counts);
	put_head(f, metric, COUNTER, "Answers of this server.");
	for (unsigned int i = 2; i < HTTP_STATUS_CLASSES; i++) {
		snprintf(label, sizeof(label), "code=\"%uxx\"", i);
		put_sample(f, metric, label, NUMBER, counts.requests[i]);
	}
	put_one(f, "http_connections", GAUGE, NUMBER, counts.connections,
		"Connections to this server.");
	put_one(f, "http_streams", GAUGE, NUMBER, counts.streams,
		"Of them, those that listen to events.");
	put_one(f, "http_events_lost_total", COUNTER, NUMBER, counts.lost,
		"Events that listeners were too slow for, all together.");
}

/* In the words that all of Prometheus' clients use; 0: not to be had. */
static unsigned long resident_bytes(void)
{
	FILE *f = fopen("/proc/self/statm", "re");
	unsigned long pages = 0;

	if (!f)
		return 0;
	if (fscanf(f, "%*u %lu", &pages) != 1)
		pages = 0;
	fclose(f);
	return pages * (unsigned long)sysconf(_SC_PAGESIZE);
}

static void put_process(FILE *f)
{
	struct rusage usage;

	getrusage(RUSAGE_SELF, &usage);
	fprintf(f, "# HELP process_cpu_seconds_total User and system CPU time.\n"
		"# TYPE process_cpu_seconds_total counter\n"
		"process_cpu_seconds_total %ld.%06ld\n",
		usage.ru_utime.tv_sec + usage.ru_stime.tv_sec +
		(usage.ru_utime.tv_usec + usage.ru_stime.tv_usec) / 1000000,
		(usage.ru_utime.tv_usec + usage.ru_stime.tv_usec) % 1000000);
	fprintf(f, "# HELP process_resident_memory_bytes Resident memory.\n"
		"# TYPE process_resident_memory_bytes gauge\n"
		"process_resident_memory_bytes %lu\n", resident_bytes());
}

/* A label's value: the format has three escapes, and UTF-8. */
static void put_quoted(FILE *f, const char *s)
{
	unsigned int n;

	for (; *s; s += max(n, 1u)) {
		n = http_utf8_len(s);
		if (*s == '\n')
			fputs("\\n", f);
		else if (*s == '"' || *s == '\\')
			fprintf(f, "\\%c", *s);
		else if (n)
			fwrite(s, 1, n, f);
		else
			fputc('?', f);
	}
}

static void put_info(FILE *f, const struct config *config)
{
	put_head(f, "info", GAUGE, "What is mounted where, and how; always 1.");
	fprintf(f, "pagefs_info{version=\"%s\",cache=\"%s\",mountpoint=\"",
		PAGEFS_VERSION, config_cache_name(config));
	put_quoted(f, config->mountpoint);
	fputs("\",backing_dir=\"", f);
	put_quoted(f, config->backing_dir);
	fputs("\"} 1\n", f);
	put_one(f, "clients", GAUGE, NUMBER, nr_clients(),
		"Processes that map files.");
}

char *http_metrics_text(const struct config *config, size_t *lenp)
{
	char *out = NULL, *text = malloc(TEXT_SIZE);
	FILE *f = text ? open_memstream(&out, lenp) : NULL;
	bool failed;

	if (!f) {
		free(text);
		return NULL;
	}
	put_info(f, config);
	put_texts(f, text);
	put_limits(f);
	put_devices(f);
	put_http(f);
	put_process(f);
	free(text);
	failed = ferror(f);
	if (fclose(f) || failed) {
		free(out);
		return NULL;
	}
	return out;
}
