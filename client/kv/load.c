// SPDX-License-Identifier: BSD-2-Clause
/*
 * client/kv/load.c - many records, some to a transaction
 *
 * How many there are is written with them: a load that was interrupted goes on
 * where it was.
 */
#include <errno.h>
#include <json-c/json.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

#include "kv.h"

double kv_now(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (double)ts.tv_sec + (double)ts.tv_nsec * 1e-9;
}

struct loader {
	struct kv_store *store;
	struct kv_config config;
	char *value;
	unsigned int batch;
	uint64_t end;
};

static int load_some(struct loader *l, MDB_txn *txn, uint64_t end)
{
	char key_buf[KV_MAX_KEY];
	int err = 0;

	for (uint64_t i = l->config.records; i < end && !err; i++) {
		MDB_val key = kv_key(i, l->config.key_size, key_buf);
		MDB_val value = { .mv_size = l->config.value_size,
				  .mv_data = l->value };

		kv_fill_value(l->value, l->config.value_size, i, 0);
		err = mdb_put(txn, l->store->records, &key, &value, 0);
	}
	return err;
}

static int load_batch(struct loader *l)
{
	struct kv_config config = l->config;
	MDB_txn *txn;
	int err;

	config.records += l->batch;
	if (config.records > l->end)
		config.records = l->end;
	err = mdb_txn_begin(l->store->env, NULL, 0, &txn);
	if (err)
		return err;
	err = load_some(l, txn, config.records) ?:
	      kv_put_config(l->store, txn, &config);
	err = kv_end(txn, err);
	if (!err)
		l->config = config;
	return err;
}

static void show_progress(const struct loader *l, uint64_t begin, double began)
{
	const double seconds = kv_now() - began;
	const uint64_t done = l->config.records - begin;

	fprintf(stderr, "\r%5.1f%%  %llu of %llu records, %.0f a second ",
		100.0 * (double)done / (double)(l->end - begin),
		(unsigned long long)done, (unsigned long long)(l->end - begin),
		(double)done / (seconds > 0 ? seconds : 1));
}

static int load_all(struct loader *l, bool progress)
{
	const uint64_t begin = l->config.records;
	const double began = kv_now();
	double shown = began;
	int err = 0;

	while (!err && l->config.records < l->end) {
		err = load_batch(l);
		if (err == MDB_MAP_FULL)
			err = kv_grow(l->store);
		if (!progress || kv_now() - shown < 0.5)
			continue;
		shown = kv_now();
		show_progress(l, begin, began);
	}
	if (progress && shown > began) {
		show_progress(l, begin, began);
		fputc('\n', stderr);
	}
	return err;
}

static void print_loaded(const struct kv_config *config, uint64_t loaded,
			 double seconds, bool json)
{
	struct json_object *obj;

	if (!json) {
		printf("%llu records loaded in %.1f s; there are %llu, of %u and %u bytes\n",
		       (unsigned long long)loaded, seconds,
		       (unsigned long long)config->records, config->key_size,
		       config->value_size);
		return;
	}
	obj = json_object_new_object();
	json_object_object_add(obj, "loaded", json_object_new_uint64(loaded));
	json_object_object_add(obj, "seconds", json_object_new_double(seconds));
	json_object_object_add(obj, "records",
			       json_object_new_uint64(config->records));
	json_object_object_add(obj, "key_size",
			       json_object_new_uint64(config->key_size));
	json_object_object_add(obj, "value_size",
			       json_object_new_uint64(config->value_size));
	puts(json_object_to_json_string_ext(obj, JSON_C_TO_STRING_PLAIN));
	json_object_put(obj);
}

int kv_load(struct kv_store *store, const struct kv_load *load)
{
	struct loader l = { .store = store, .batch = load->batch };
	uint64_t begin;
	double began;
	int err;

	err = kv_get_config(store, &l.config);
	if (err == MDB_NOTFOUND) {
		l.config = (struct kv_config){ .key_size = load->key_size,
					       .value_size = load->value_size };
		err = 0;
	}
	if (err)
		return err;
	if (l.config.key_size != load->key_size) {
		fprintf(stderr, "pagefs-kv: keys there have %u bytes, not %u\n",
			l.config.key_size, load->key_size);
		return KV_TOLD;
	}
	l.config.value_size = load->value_size;
	l.value = malloc(load->value_size);
	if (!l.value)
		return ENOMEM;
	begin = l.config.records;
	l.end = begin + load->records;
	began = kv_now();
	err = load_all(&l, !load->quiet && isatty(STDERR_FILENO)) ?:
	      mdb_env_sync(store->env, 1);
	if (!err)
		print_loaded(&l.config, load->records, kv_now() - began,
			     load->json);
	free(l.value);
	return err;
}
