// SPDX-License-Identifier: BSD-2-Clause
/*
 * client/ctl/status.c - pagefsctl status: how the mount is doing
 *
 * Everything it shows, everybody may read.
 */
#include <errno.h>
#include <json-c/json.h>
#include <stdlib.h>
#include <string.h>

#include "ctl.h"

/* Bytes of a sector in diskstats, in KiB. */
#define SECTOR_KB	0.5

struct status {
	struct sample s;
	double uptime;
	int clients;			/* or -errno */
	char *socket;			/* "": there is none */
	char disk[64];
	double read_kb, written_kb;
};

/* ---- looking ---- */

static int read_disk(const struct ctl *ctl, struct status *st)
{
	unsigned long long rd, wr;
	char *text;
	int err = ctl_read(ctl, "diskstats", &text);

	if (err)
		return err;
	if (sscanf(text, "%*u %*u %63s %*u %*u %llu %*u %*u %*u %llu", st->disk,
		   &rd, &wr) == 3) {
		st->read_kb = (double)rd * SECTOR_KB;
		st->written_kb = (double)wr * SECTOR_KB;
	}
	free(text);
	return 0;
}

/* Return: 0 or -errno, then *@filep could not be had. */
static int take_status(const struct ctl *ctl, struct status *st,
		       const char **filep)
{
	int err = sample_take(ctl, &st->s, filep);

	if (err)
		return err;
	*filep = "diskstats";
	err = read_disk(ctl, st);
	if (err)
		return err;
	*filep = "socket";
	err = ctl_read(ctl, "socket", &st->socket);
	if (err)
		return err;
	st->socket[strcspn(st->socket, "\n")] = '\0';
	st->clients = client_count(ctl);
	st->uptime = ctl_uptime(ctl);
	return 0;
}

/* ---- for people ---- */

static double hit_percent(const struct sample *s)
{
	double all = (double)s->v[S_HITS] + (double)s->v[S_MISSES];

	return all ? 100 * (double)s->v[S_HITS] / all : 0;
}

#define SZ(kb)	size_text((uint64_t)(kb), (char [SIZE_TEXT]){ 0 })

static void print_where(const struct ctl *ctl, const struct status *st)
{
	char up[SIZE_TEXT];

	printf("mount       ");
	print_name(stdout, ctl->mount);
	printf(" from ");
	print_name(stdout, ctl->source);
	printf(", up %s\n", time_text(st->uptime, up));
}

static void print_memory(const struct sample *s)
{
	printf("memory      %s: %s cached, %s slab, %s page tables, %s free\n",
	       SZ(s->v[S_MEM_TOTAL]), SZ(s->v[S_CACHED]), SZ(s->v[S_SLAB]),
	       SZ(s->v[S_PAGE_TABLES]), SZ(s->v[S_MEM_FREE]));
	printf("lists       active %s, inactive %s; mapped %s\n",
	       SZ(s->v[S_ACTIVE]), SZ(s->v[S_INACTIVE]), SZ(s->v[S_MAPPED]));
	printf("dirty       %s; written in the background from %s on, limit %s\n",
	       SZ(s->v[S_DIRTY]), SZ(s->v[S_BACKGROUND_LIMIT]),
	       SZ(s->v[S_DIRTY_LIMIT]));
}

static void print_writeback(const struct sample *s)
{
	const char *between = "";

	printf("writeback   %s under way, %u flushers; written so far %s",
	       SZ(s->v[S_WRITEBACK]), (unsigned int)s->v[S_FLUSHERS],
	       SZ(s->v[S_WRITTEN]));
	if (s->v[S_WRITE_ERRORS])
		printf(", failed %s", SZ(s->v[S_WRITE_ERRORS]));
	printf("\n  by reason ");
	for (size_t i = 0; i < NR_WB_REASONS; i++) {
		if (!s->v[wb_reasons[i].item])
			continue;
		printf("%s%s %s", between, wb_reasons[i].name,
		       SZ(s->v[wb_reasons[i].item]));
		between = ", ";
	}
	puts(*between ? "" : "-");
}

static void print_pauses(const struct sample *s)
{
	char total[SIZE_TEXT], longest[SIZE_TEXT];

	printf("throttled   %llu pauses",
	       (unsigned long long)s->v[S_PAUSED]);
	if (s->v[S_PAUSED])
		printf(", %s in all; the longest %s",
		       age_text(s->v[S_PAUSED_MS], total),
		       age_text(s->v[S_PAUSE_MAX_MS], longest));
	putchar('\n');
}

static void print_status(const struct ctl *ctl, const struct status *st)
{
	const struct sample *s = &st->s;

	print_where(ctl, st);
	print_memory(s);
	print_writeback(s);
	print_pauses(s);
	printf("reads       %.1f%% of %llu pages were cached; %s read ahead\n",
	       hit_percent(s),
	       (unsigned long long)(s->v[S_HITS] + s->v[S_MISSES]),
	       SZ(s->v[S_READAHEAD]));
	printf("disk        %s: %s read, %s written\n", st->disk,
	       SZ(st->read_kb), SZ(st->written_kb));
	printf("clients     %d; they connect to ", st->clients < 0 ? 0 : st->clients);
	print_name(stdout, *st->socket ? st->socket : "nothing");
	printf("\nfaults      %llu, of them %llu waited for the disk, %llu came back, %llu failed\n",
	       (unsigned long long)s->v[S_FAULTS],
	       (unsigned long long)s->v[S_MAJOR_FAULTS],
	       (unsigned long long)s->v[S_SOFT_FAULTS],
	       (unsigned long long)s->v[S_FAULT_ERRORS]);
}

/* ---- for machines ---- */

struct key {
	const char *key;
	enum sample_item item;
};

static void add_object(struct json_object *to, const char *name,
		       const struct key *keys, size_t nr, const struct sample *s)
{
	struct json_object *obj = json_object_new_object();

	for (size_t i = 0; i < nr; i++)
		json_add_u64(obj, keys[i].key, s->v[keys[i].item]);
	json_object_object_add(to, name, obj);
}

static void add_samples(struct json_object *obj, const struct sample *s)
{
	static const struct key memory[] = {
		{ "total_kb", S_MEM_TOTAL }, { "free_kb", S_MEM_FREE },
		{ "available_kb", S_MEM_AVAILABLE }, { "cached_kb", S_CACHED },
		{ "active_kb", S_ACTIVE }, { "inactive_kb", S_INACTIVE },
		{ "mapped_kb", S_MAPPED }, { "slab_kb", S_SLAB },
		{ "page_tables_kb", S_PAGE_TABLES },
		{ "swap_total_kb", S_SWAP_TOTAL }, { "swap_free_kb", S_SWAP_FREE },
	}, writeback[] = {
		{ "dirty_kb", S_DIRTY }, { "writeback_kb", S_WRITEBACK },
		{ "background_limit_kb", S_BACKGROUND_LIMIT },
		{ "limit_kb", S_DIRTY_LIMIT }, { "dirtied_kb", S_DIRTIED },
		{ "written_kb", S_WRITTEN }, { "failed_kb", S_WRITE_ERRORS },
		{ "flushers", S_FLUSHERS },
	}, throttled[] = {
		{ "pauses", S_PAUSED }, { "total_ms", S_PAUSED_MS },
		{ "longest_ms", S_PAUSE_MAX_MS },
		{ "longest_write_ms", S_STALL_MAX_MS },
	}, reads[] = {
		{ "hits", S_HITS }, { "misses", S_MISSES },
		{ "readahead_kb", S_READAHEAD },
	}, faults[] = {
		{ "total", S_FAULTS }, { "major", S_MAJOR_FAULTS },
		{ "soft", S_SOFT_FAULTS }, { "failed", S_FAULT_ERRORS },
	};
	struct key reasons[NR_WB_REASONS];

	for (size_t i = 0; i < NR_WB_REASONS; i++)
		reasons[i] = (struct key){ wb_reasons[i].name,
					   wb_reasons[i].item };
	add_object(obj, "memory", memory, ARRAY_SIZE(memory), s);
	add_object(obj, "writeback", writeback, ARRAY_SIZE(writeback), s);
	add_object(obj, "written_by_reason_kb", reasons, NR_WB_REASONS, s);
	add_object(obj, "throttled", throttled, ARRAY_SIZE(throttled), s);
	add_object(obj, "reads", reads, ARRAY_SIZE(reads), s);
	add_object(obj, "faults", faults, ARRAY_SIZE(faults), s);
}

static int print_json(const struct ctl *ctl, const struct status *st)
{
	struct json_object *obj = json_object_new_object();
	struct json_object *disk = json_object_new_object();

	json_add_name(obj, "mount", ctl->mount);
	json_add_name(obj, "source", ctl->source);
	json_add_double(obj, "uptime_s", st->uptime);
	json_add_name(obj, "socket", st->socket);
	if (st->clients >= 0)
		json_add_u64(obj, "clients", (uint64_t)st->clients);
	add_samples(obj, &st->s);
	json_add_name(disk, "name", st->disk);
	json_add_double(disk, "read_kb", st->read_kb);
	json_add_double(disk, "written_kb", st->written_kb);
	json_object_object_add(obj, "disk", disk);
	return json_line(obj);
}

/* ---- the command ---- */

int status_main(struct ctl *ctl, int argc, char **argv)
{
	static const struct argp argp = {
		.doc = "Show how the mount is doing.",
	};
	struct status st = { .disk = "?" };
	const char *file;
	int err, status;

	ctl_parse(ctl, &argp, argc, argv, NULL);
	status = ctl_find_mount(ctl);
	if (status)
		return status;
	err = take_status(ctl, &st, &file);
	if (err) {
		free(st.socket);
		return ctl_fail_file(ctl, file, err);
	}
	if (ctl->json)
		status = print_json(ctl, &st);
	else
		print_status(ctl, &st);
	free(st.socket);
	return status ?: ctl_end_output();
}
