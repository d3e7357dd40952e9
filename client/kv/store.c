// SPDX-License-Identifier: BSD-2-Clause
/*
 * client/kv/store.c - the store: an LMDB environment with two tables
 *
 *   DIR/data.mdb	records	whatever keys and values
 *			config	"numbered": struct kv_config
 *   DIR/lock.mdb	LMDB's: readers, and the writers' lock
 *
 * LMDB maps data.mdb, and reads it by that map alone: on a pagefs mount under
 * pagefs-run each page it has not touched is a fault of pagefs'. It writes with
 * pwrite(2), or with writemap by storing to the map.
 *
 * Locks:  LMDB's: one transaction writes, others read what was before. A larger
 *         map is made when none is open.
 */
#include <endian.h>
#include <errno.h>
#include <string.h>
#include <sys/stat.h>

#include "kv.h"

#define FIRST_MAP	(1ULL << 30)
#define CONFIG_KEY	"numbered"
#define NR_TABLES	2

int kv_end(MDB_txn *txn, int err)
{
	if (!err)
		return mdb_txn_commit(txn);
	mdb_txn_abort(txn);
	return err;
}

/* ---- opening ---- */

static unsigned int env_flags(const struct kv_open *how)
{
	/* Each transaction says which it is: a thread may go on with its own. */
	unsigned int flags = MDB_NOTLS;

	if (how->read_only)
		flags |= MDB_RDONLY;
	if (how->writemap)
		flags |= MDB_WRITEMAP;
	if (!how->readahead)
		flags |= MDB_NORDAHEAD;
	if (how->sync == KV_SYNC_META)
		flags |= MDB_NOMETASYNC;
	if (how->sync == KV_SYNC_NONE)
		flags |= MDB_NOSYNC;
	return flags;
}

static int open_env(struct kv_store *store, const struct kv_open *how)
{
	struct stat st;
	int err;

	err = mdb_env_create(&store->env);
	if (err)
		return err;
	err = mdb_env_set_maxdbs(store->env, NR_TABLES) ?:
	      mdb_env_set_maxreaders(store->env, how->readers + 16);
	if (!err && how->map_size)
		err = mdb_env_set_mapsize(store->env, how->map_size);
	if (!err && !how->read_only && mkdir(how->dir, 0777) && errno != EEXIST)
		err = errno;
	if (!err && stat(how->dir, &st))
		err = errno;
	return err ?: mdb_env_open(store->env, how->dir, env_flags(how), 0666);
}

static int open_tables(struct kv_store *store, const struct kv_open *how)
{
	unsigned int create = how->read_only ? 0 : MDB_CREATE;
	MDB_txn *txn;
	int err;

	err = mdb_txn_begin(store->env, NULL, how->read_only ? MDB_RDONLY : 0,
			    &txn);
	if (err)
		return err;
	err = mdb_dbi_open(txn, "records", create, &store->records) ?:
	      mdb_dbi_open(txn, "config", create, &store->config);
	return kv_end(txn, err);
}

/* A new store's map, and one that was made smaller than it is to be. */
static int size_map(struct kv_store *store, const struct kv_open *how)
{
	MDB_envinfo info;
	int err = mdb_env_info(store->env, &info);

	if (err || how->read_only || how->map_size || info.me_mapsize >= FIRST_MAP)
		return err;
	return mdb_env_set_mapsize(store->env, FIRST_MAP);
}

int kv_open(struct kv_store *store, const struct kv_open *how)
{
	int err;

	store->env = NULL;
	err = open_env(store, how) ?: size_map(store, how) ?:
	      open_tables(store, how);
	if (!err)
		return 0;
	kv_close(store);
	fprintf(stderr, "pagefs-kv: %s: %s%s\n", how->dir,
		err == MDB_NOTFOUND || err == ENOENT ?
		"no store of pagefs-kv there: " : "", mdb_strerror(err));
	return KV_TOLD;
}

void kv_close(struct kv_store *store)
{
	if (store->env)
		mdb_env_close(store->env);
	store->env = NULL;
}

int kv_grow(struct kv_store *store)
{
	MDB_envinfo info;
	int err = mdb_env_info(store->env, &info);

	return err ?: mdb_env_set_mapsize(store->env, info.me_mapsize * 2);
}

/* ---- one at a time ---- */

int kv_get(struct kv_store *store, const MDB_val *key,
	   void (*fn)(const MDB_val *value, void *arg), void *arg)
{
	MDB_val k = *key, value;
	MDB_txn *txn;
	int err;

	err = mdb_txn_begin(store->env, NULL, MDB_RDONLY, &txn);
	if (err)
		return err;
	err = mdb_get(txn, store->records, &k, &value);
	if (!err)
		fn(&value, arg);
	mdb_txn_abort(txn);
	return err;
}

static int put_once(struct kv_store *store, const MDB_val *key,
		    const MDB_val *value)
{
	MDB_val k = *key, v = *value;
	MDB_txn *txn;
	int err;

	err = mdb_txn_begin(store->env, NULL, 0, &txn);
	if (err)
		return err;
	return kv_end(txn, mdb_put(txn, store->records, &k, &v, 0));
}

int kv_put(struct kv_store *store, const MDB_val *key, const MDB_val *value)
{
	int err;

	while ((err = put_once(store, key, value)) == MDB_MAP_FULL) {
		err = kv_grow(store);
		if (err)
			break;
	}
	return err;
}

int kv_del(struct kv_store *store, const MDB_val *key)
{
	MDB_val k = *key;
	MDB_txn *txn;
	int err;

	err = mdb_txn_begin(store->env, NULL, 0, &txn);
	if (err)
		return err;
	return kv_end(txn, mdb_del(txn, store->records, &k, NULL));
}

/* ---- numbered records ---- */

static MDB_val config_key(void)
{
	return (MDB_val){ .mv_size = strlen(CONFIG_KEY), .mv_data = CONFIG_KEY };
}

int kv_get_config(struct kv_store *store, struct kv_config *config)
{
	MDB_val key = config_key(), value;
	struct kv_config raw;
	MDB_txn *txn;
	int err;

	err = mdb_txn_begin(store->env, NULL, MDB_RDONLY, &txn);
	if (err)
		return err;
	err = mdb_get(txn, store->config, &key, &value);
	if (!err && value.mv_size != sizeof(raw))
		err = MDB_CORRUPTED;
	if (!err) {
		memcpy(&raw, value.mv_data, sizeof(raw));
		config->records = le64toh(raw.records);
		config->key_size = le32toh(raw.key_size);
		config->value_size = le32toh(raw.value_size);
		if (config->key_size < KV_MIN_KEY || config->key_size > KV_MAX_KEY ||
		    config->value_size < KV_MIN_VALUE ||
		    config->value_size > KV_MAX_VALUE)
			err = MDB_CORRUPTED;
	}
	mdb_txn_abort(txn);
	return err;
}

int kv_put_config(struct kv_store *store, MDB_txn *txn,
		  const struct kv_config *config)
{
	struct kv_config raw = {
		.records = htole64(config->records),
		.key_size = htole32(config->key_size),
		.value_size = htole32(config->value_size),
	};
	MDB_val key = config_key();
	MDB_val value = { .mv_size = sizeof(raw), .mv_data = &raw };

	return mdb_put(txn, store->config, &key, &value, 0);
}
