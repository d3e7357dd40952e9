// SPDX-License-Identifier: BSD-2-Clause
/*
 * client/kv/show.c - what is in the store
 */
#include <ctype.h>
#include <json-c/json.h>
#include <string.h>

#include "kv.h"

/* ---- scan ---- */

/* Bytes that are no printable ASCII, and backslashes, in octal. */
static void print_bytes(const MDB_val *val)
{
	const unsigned char *p = val->mv_data;

	for (size_t i = 0; i < val->mv_size; i++)
		if (p[i] < 0x80 && isprint(p[i]) && p[i] != '\\')
			putchar(p[i]);
		else
			printf("\\%03o", p[i]);
}

static int scan(MDB_cursor *cursor, const char *from, uint64_t limit)
{
	MDB_val key = { .mv_size = from ? strlen(from) : 0,
			.mv_data = (void *)(uintptr_t)from }, value;
	int err = mdb_cursor_get(cursor, &key, &value,
				 from && *from ? MDB_SET_RANGE : MDB_FIRST);

	for (uint64_t n = 0; !err && (!limit || n < limit) && !ferror(stdout);
	     n++) {
		print_bytes(&key);
		putchar('\t');
		print_bytes(&value);
		putchar('\n');
		err = mdb_cursor_get(cursor, &key, &value, MDB_NEXT);
	}
	return err == MDB_NOTFOUND ? 0 : err;
}

int kv_scan(struct kv_store *store, const char *from, uint64_t limit)
{
	MDB_cursor *cursor;
	MDB_txn *txn;
	int err;

	err = mdb_txn_begin(store->env, NULL, MDB_RDONLY, &txn);
	if (err)
		return err;
	err = mdb_cursor_open(txn, store->records, &cursor);
	if (!err) {
		err = scan(cursor, from, limit);
		mdb_cursor_close(cursor);
	}
	mdb_txn_abort(txn);
	return err;
}

/* ---- stat ---- */

struct figures {
	MDB_stat stat;
	MDB_envinfo info;
	struct kv_config config;	/* zeros: no numbered records */
	unsigned long long file;	/* bytes used of it */
};

static int take_figures(struct kv_store *store, struct figures *f)
{
	MDB_txn *txn;
	int err;

	err = kv_get_config(store, &f->config);
	if (err == MDB_NOTFOUND) {
		memset(&f->config, 0, sizeof(f->config));
		err = 0;
	}
	if (!err)
		err = mdb_txn_begin(store->env, NULL, MDB_RDONLY, &txn);
	if (err)
		return err;
	err = mdb_stat(txn, store->records, &f->stat) ?:
	      mdb_env_info(store->env, &f->info);
	mdb_txn_abort(txn);
	f->file = (unsigned long long)(f->info.me_last_pgno + 1) *
		  f->stat.ms_psize;
	return err;
}

static void print_text(const char *dir, const struct figures *f)
{
	printf("%s: %zu keys, %u levels, %zu + %zu + %zu pages of %u bytes (inner, leaves, overflow)\n",
	       dir, f->stat.ms_entries, f->stat.ms_depth,
	       f->stat.ms_branch_pages, f->stat.ms_leaf_pages,
	       f->stat.ms_overflow_pages, f->stat.ms_psize);
	printf("file %.1f MiB of %.1f at most; last transaction %zu, %u of %u readers\n",
	       (double)f->file / 0x1p20, (double)f->info.me_mapsize / 0x1p20,
	       f->info.me_last_txnid, f->info.me_numreaders,
	       f->info.me_maxreaders);
	if (f->config.records)
		printf("numbered records: %llu, keys of %u bytes, values of %u\n",
		       (unsigned long long)f->config.records,
		       f->config.key_size, f->config.value_size);
}

static void print_json(const char *dir, const struct figures *f)
{
	const struct {
		const char *name;
		uint64_t value;
	} numbers[] = {
		{ "keys", f->stat.ms_entries }, { "depth", f->stat.ms_depth },
		{ "page_size", f->stat.ms_psize },
		{ "branch_pages", f->stat.ms_branch_pages },
		{ "leaf_pages", f->stat.ms_leaf_pages },
		{ "overflow_pages", f->stat.ms_overflow_pages },
		{ "file_bytes", f->file }, { "map_bytes", f->info.me_mapsize },
		{ "last_transaction", f->info.me_last_txnid },
		{ "records", f->config.records },
		{ "key_size", f->config.key_size },
		{ "value_size", f->config.value_size },
	};
	struct json_object *obj = json_object_new_object();

	json_object_object_add(obj, "dir", json_object_new_string(dir));
	for (size_t i = 0; i < sizeof(numbers) / sizeof(numbers[0]); i++)
		json_object_object_add(obj, numbers[i].name,
				       json_object_new_uint64(numbers[i].value));
	puts(json_object_to_json_string_ext(obj, JSON_C_TO_STRING_PLAIN));
	json_object_put(obj);
}

int kv_print_stat(struct kv_store *store, const char *dir, bool json)
{
	struct figures f;
	int err = take_figures(store, &f);

	if (err)
		return err;
	if (json)
		print_json(dir, &f);
	else
		print_text(dir, &f);
	return 0;
}
