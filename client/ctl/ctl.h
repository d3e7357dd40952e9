/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * client/ctl/ctl.h - what the files of pagefsctl know of each other
 *
 *   main.c       the commands, their common options
 *   mount.c      which mount; its control files
 *   sample.c     the numbers of meminfo, vmstat and diskstats at one time
 *   text.c       names and numbers for people
 *   json.c       the same for machines
 *   status.c stat.c files.c maps.c sysctl.c sync.c advise.c
 *   swap.c mkswap.c trace.c writeback.c top.c    commands, each with its own options
 *   client.c     processes that map files
 *   tracefile.c  events, as they happen
 *   histogram.c  how often what: the only one that knows GSL
 *   top_view.c   what top shows: the only one that knows curses
 *
 * A command is a function and a line in main.c's table. All it knows it reads
 * from .pagefs in the mount's root; so it can do what its user may there.
 *
 * I1. Nothing of the mount is kept open between two looks: a program that looks
 *     on must not keep the mount from being taken down. What is opened is
 *     checked to be of the same mount as before. A trace cannot be had so.
 * I2. Functions return 0 or -errno and say nothing; commands speak.
 */
#ifndef PAGEFS_CTL_CTL_H
#define PAGEFS_CTL_CTL_H

#include <argp.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <sys/types.h>
#include <time.h>

#define ARRAY_SIZE(a)	(sizeof(a) / sizeof((a)[0]))

#define CTL_DIR		".pagefs"

/* Of the command line that is wrong; as pagefsd. */
#define EXIT_USAGE	2

/* What all commands share. */
struct ctl {
	const char *wanted;		/* --mount, or NULL */
	bool json;
	char *mount;			/* once ctl_find_mount() has found it */
	char *source;			/* the backing directory; "?": not known */
	dev_t dev;
	struct timespec since;		/* it was made */
};

struct command {
	const char *name;
	const char *summary;		/* for the list of commands */
	/* argv[0] is for messages. Return: the exit status. */
	int (*main)(struct ctl *ctl, int argc, char **argv);
};

/* ---- main.c ---- */

/*
 * Parses a command's options, with those of all commands; @input is its
 * parser's. Ends the program with EXIT_USAGE if they are wrong.
 */
void ctl_parse(struct ctl *ctl, const struct argp *argp, int argc, char **argv,
	       void *input);
/* For a parser: @arg as a number from @min to @max, or the end. */
double ctl_parse_number(struct argp_state *state, const char *what,
			const char *arg, double min, double max);
/* The same of a number without a point. */
unsigned long ctl_parse_count(struct argp_state *state, const char *what,
			      const char *arg, unsigned long min,
			      unsigned long max);
/* "pagefsctl: ...", and what @err (0: nothing; or -errno) says. Return: 1. */
int ctl_fail(int err, const char *fmt, ...)
	__attribute__((format(printf, 2, 3)));
/* The exit status of what has been written to standard output. */
int ctl_end_output(void);
/* Sleeps till the monotonic clock shows @when, in seconds. False: a signal. */
bool ctl_sleep_until(double when);
double ctl_now(void);

int status_main(struct ctl *ctl, int argc, char **argv);
int stat_main(struct ctl *ctl, int argc, char **argv);
int files_main(struct ctl *ctl, int argc, char **argv);
int maps_main(struct ctl *ctl, int argc, char **argv);
int sysctl_main(struct ctl *ctl, int argc, char **argv);
int drop_caches_main(struct ctl *ctl, int argc, char **argv);
int sync_main(struct ctl *ctl, int argc, char **argv);
int swaps_main(struct ctl *ctl, int argc, char **argv);
int swapon_main(struct ctl *ctl, int argc, char **argv);
int swapoff_main(struct ctl *ctl, int argc, char **argv);
int mkswap_main(struct ctl *ctl, int argc, char **argv);
int advise_main(struct ctl *ctl, int argc, char **argv);
int trace_main(struct ctl *ctl, int argc, char **argv);
int writeback_main(struct ctl *ctl, int argc, char **argv);
int top_main(struct ctl *ctl, int argc, char **argv);

/* ---- mount.c ---- */

/*
 * The mount that was asked for, or the only one there is; else says why not.
 * Return: 0, or the exit status.
 */
int ctl_find_mount(struct ctl *ctl);
/*
 * Is @fd a file or directory of a pagefs mount? Return: 0, -ENOTTY.
 */
int ctl_check_pagefs(int fd);
/* Room for a control file's path. */
#define CTL_PATH_MAX	4352
/* The path of control file @name. Return: @buf. */
const char *ctl_path(const struct ctl *ctl, const char *name, char *buf);
/* A control file. Return: descriptor; -ENODEV: the mount has gone; -errno. */
int ctl_open(const struct ctl *ctl, const char *name, int flags);
/* Its whole text, terminated, to be freed. Return: 0 or -errno. */
int ctl_read(const struct ctl *ctl, const char *name, char **textp);
/* Writes @text. Return: 0 or -errno. */
int ctl_write(const struct ctl *ctl, const char *name, const char *text);
/* ctl_fail() of what was done with a control file. */
int ctl_fail_file(const struct ctl *ctl, const char *name, int err);
/* What @err means, of a control file; "": strerror() says it all. */
const char *ctl_explain(const struct ctl *ctl, int err);

/* ---- sample.c ---- */

#define SAMPLE_ITEMS(X) \
	X(MEM_TOTAL, MEMINFO, "MemTotal:") \
	X(MEM_FREE, MEMINFO, "MemFree:") \
	X(MEM_AVAILABLE, MEMINFO, "MemAvailable:") \
	X(CACHED, MEMINFO, "Cached:") \
	X(ACTIVE, MEMINFO, "Active:") \
	X(INACTIVE, MEMINFO, "Inactive:") \
	X(SWAP_TOTAL, MEMINFO, "SwapTotal:") \
	X(SWAP_FREE, MEMINFO, "SwapFree:") \
	X(DIRTY, MEMINFO, "Dirty:") \
	X(WRITEBACK, MEMINFO, "Writeback:") \
	X(MAPPED, MEMINFO, "Mapped:") \
	X(SLAB, MEMINFO, "Slab:") \
	X(PAGE_TABLES, MEMINFO, "PageTables:") \
	X(DIRTY_LIMIT, VMSTAT_PAGES, "nr_dirty_threshold") \
	X(BACKGROUND_LIMIT, VMSTAT_PAGES, "nr_dirty_background_threshold") \
	X(FLUSHERS, VMSTAT, "nr_pdflush_threads") \
	X(PAUSE_MAX_MS, VMSTAT, "balance_pause_max_ms") \
	X(STALL_MAX_MS, VMSTAT, "balance_stall_max_ms") \
	X(PAUSED, VMSTAT, "balance_paused") \
	X(PAUSED_MS, VMSTAT, "balance_paused_ms") \
	X(PGIN, VMSTAT, "pgpgin") \
	X(PGOUT, VMSTAT, "pgpgout") \
	X(HITS, VMSTAT, "pgcache_hit") \
	X(MISSES, VMSTAT, "pgcache_miss") \
	X(READAHEAD, VMSTAT_PAGES, "pgreadahead") \
	X(DIRTIED, VMSTAT_PAGES, "nr_dirtied") \
	X(WRITTEN, VMSTAT_PAGES, "nr_written") \
	X(WRITE_ERRORS, VMSTAT_PAGES, "pgwrite_error") \
	X(FAULTS, VMSTAT, "pgfault") \
	X(MAJOR_FAULTS, VMSTAT, "pgmajfault") \
	X(SOFT_FAULTS, VMSTAT, "pgsoftfault") \
	X(FAULT_ERRORS, VMSTAT, "pgfault_error") \
	X(SCAN_KSWAPD, VMSTAT, "pgscan_kswapd") \
	X(SCAN_DIRECT, VMSTAT, "pgscan_direct") \
	X(STEAL_KSWAPD, VMSTAT, "pgsteal_kswapd") \
	X(STEAL_DIRECT, VMSTAT, "pgsteal_direct") \
	X(WB_BACKGROUND, VMSTAT_PAGES, "wb_background") \
	X(WB_PERIODIC, VMSTAT_PAGES, "wb_periodic") \
	X(WB_SYNC, VMSTAT_PAGES, "wb_sync") \
	X(WB_RECLAIM, VMSTAT_PAGES, "wb_reclaim") \
	X(WB_THROTTLED, VMSTAT_PAGES, "wb_throttled") \
	X(WB_LAPTOP, VMSTAT_PAGES, "wb_laptop")

#define SAMPLE_ENUM(item, from, name)	S_##item,
enum sample_item { SAMPLE_ITEMS(SAMPLE_ENUM) NR_SAMPLE_ITEMS };

/* Reasons for writeback, as the daemon calls them and counts their pages. */
struct wb_reason {
	const char *name;
	enum sample_item item;
};
#define NR_WB_REASONS	6
extern const struct wb_reason wb_reasons[NR_WB_REASONS];

/* Memory in KiB, other things by number. */
struct sample {
	uint64_t v[NR_SAMPLE_ITEMS];
	double when;			/* monotonic, s */
};

/* *@fieldp: the control file that could not be had, on failure. 0 or -errno. */
int sample_take(const struct ctl *ctl, struct sample *s, const char **filep);
/* How much @item has grown, a second. */
double sample_rate(const struct sample *from, const struct sample *to,
		   enum sample_item item);
/* Seconds since the mount was made. */
double ctl_uptime(const struct ctl *ctl);

/* ---- text.c ---- */

/* Room for any number of the next two. */
#define SIZE_TEXT	16
/* 1536 as "1.5M". Return: @buf. */
const char *size_text(uint64_t kb, char *buf);
/* 90061 as "1d 1:01:01". */
const char *time_text(double seconds, char *buf);
/* 1234 ms as "1.2s". */
const char *age_text(uint64_t ms, char *buf);
/* 1234 us as "1.2ms". */
const char *us_text(uint64_t us, char *buf);
/* Bytes of the UTF-8 character at @s; 0: it is none. */
unsigned int utf8_len(const char *s);
/*
 * @name so that a terminal or a reader of lines takes no harm: control
 * characters, and what is no UTF-8, as \ooo; a backslash as \134. To be freed.
 */
char *name_text(const char *name);
void print_name(FILE *to, const char *name);
/* What the daemon has written as \ooo, in place. */
void unescape_octal(char *s);
/* For a name that is written to the daemon: what would end it. To be freed. */
char *escape_octal(const char *s);
/* Cuts the next line off *@textp; NULL at the end. */
char *next_line(char **textp);
/* Lines and columns of standard output; false: it is no terminal. */
bool terminal_size(unsigned int *rows, unsigned int *columns);

/* ---- json.c ---- */

struct json_object;
/* A string that may be no UTF-8: such bytes become \udc80 to \udcff. */
struct json_object *json_name(const char *name);
void json_add_name(struct json_object *obj, const char *key, const char *name);
void json_add_u64(struct json_object *obj, const char *key, uint64_t value);
/* With three digits behind the point. */
void json_add_double(struct json_object *obj, const char *key, double value);
/* Writes @obj as one line, and puts it. Return: 0, or the exit status. */
int json_line(struct json_object *obj);

/* ---- files.c ---- */

/* A line of .pagefs/files. */
struct file_line {
	uint64_t ino, cached_kb, dirty_kb, writeback_kb, mapped_kb, oldest_ms;
	char *path;			/* "-": no name is known */
	const char *policy;		/* of .pagefs/advice */
};
/* The strings are part of the texts. */
struct file_table {
	struct file_line *lines;
	size_t nr;
	char *text, *advice;
};
/* By number. Return: 0 or -errno. To be freed on success. */
int file_table_read(const struct ctl *ctl, struct file_table *table);
/* One of that number, or NULL. Context: still in the order of numbers. */
const struct file_line *file_table_find(const struct file_table *table,
					uint64_t ino);
void file_table_free(struct file_table *table);

/* ---- client.c: processes that map files ---- */

struct client_line {
	pid_t pid;
	uint64_t mapped_kb, rss_kb, pss_kb, dirty_kb;
	bool known;			/* what it has mapped; else not ours to see */
	char user[33], command[64];
};
/* A list of them, to be freed. Return: how many, or -errno. */
ssize_t client_lines(const struct ctl *ctl, struct client_line **linesp);
/* Their number, or -errno. */
int client_count(const struct ctl *ctl);

#endif /* PAGEFS_CTL_CTL_H */
