/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * client/kv/kv.h - what the files of pagefs-kv share
 *
 *   main.c		options; put, get, del, scan, stat
 *   store.c		the store: LMDB, and what it is asked
 *   show.c		scan, stat
 *   record.c		numbered records: their keys, and values that can be checked
 *   choose.c		which record is next: uniform, zipfian, latest
 *   load.c		many records
 *   bench.c		the mixes, in threads
 *   report.c		what they took
 *
 * Functions return 0, or an error of LMDB's or an errno, positive: mdb_strerror()
 * knows both. KV_TOLD: it failed, and has been told why.
 */
#ifndef PAGEFS_KV_H
#define PAGEFS_KV_H

#include <errno.h>
#include <lmdb.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#define KV_TOLD	ECANCELED

/* ---- store.c ---- */

/* What is known of the numbered records; in the store, little-endian. */
struct kv_config {
	uint64_t records;	/* numbers 0 to this less one have been written */
	uint32_t key_size;	/* bytes */
	uint32_t value_size;	/* bytes */
};

struct kv_store {
	MDB_env *env;
	MDB_dbi records, config;
};

enum kv_sync { KV_SYNC_FULL, KV_SYNC_META, KV_SYNC_NONE };

struct kv_open {
	const char *dir;
	uint64_t map_size;	/* bytes; 0: as it is, or 1 GiB */
	unsigned int readers;	/* threads that read at once */
	enum kv_sync sync;
	bool read_only;
	bool writemap;		/* stores go to the mapping, not to the file */
	bool readahead;
};

/* Return: 0 or KV_TOLD. */
int kv_open(struct kv_store *store, const struct kv_open *how);
void kv_close(struct kv_store *store);
/* Ends @txn: as it should, if @err is 0, else as if it had not been. */
int kv_end(MDB_txn *txn, int err);
/*
 * A transaction of its own each. If the map is full, kv_put() makes it twice as
 * large; others must not have one open then: @grow says whether it may.
 */
int kv_get(struct kv_store *store, const MDB_val *key,
	   void (*fn)(const MDB_val *value, void *arg), void *arg);
int kv_put(struct kv_store *store, const MDB_val *key, const MDB_val *value);
int kv_del(struct kv_store *store, const MDB_val *key);
/* Prints records in order of key, @from (NULL: the first) on, @limit of them (0:
 * all). */
int kv_scan(struct kv_store *store, const char *from, uint64_t limit);
/* Prints what there is. */
int kv_print_stat(struct kv_store *store, const char *dir, bool json);
/* 0 and *@config; MDB_NOTFOUND: there are no numbered records. */
int kv_get_config(struct kv_store *store, struct kv_config *config);
int kv_put_config(struct kv_store *store, MDB_txn *txn,
		  const struct kv_config *config);
/* Doubles the map. Context: no transaction is open, in any thread. */
int kv_grow(struct kv_store *store);

/* ---- record.c ---- */

#define KV_MAX_KEY	511u	/* LMDB's */
#define KV_MIN_KEY	12u
#define KV_MIN_VALUE	16u
#define KV_MAX_VALUE	(16u << 20)

/*
 * The key of record @number: "user" and the digits of a hash of it, so that
 * neighbours are far apart, as in YCSB. @buf: KV_MAX_KEY bytes.
 */
MDB_val kv_key(uint64_t number, uint32_t size, char *buf);
/* A value of record @number that says so, and which version it is. */
void kv_fill_value(void *buf, size_t size, uint64_t number, uint32_t version);
/* Is it one of those? */
bool kv_check_value(const MDB_val *value, uint64_t number);
/* The same of a key and its value, whichever record that is. */
bool kv_check_record(const MDB_val *key, const MDB_val *value);

/* ---- choose.c ---- */

enum kv_distribution { KV_UNIFORM, KV_ZIPFIAN, KV_LATEST };

/* Gray et al., SIGMOD 1994; constant but for @rand. */
struct kv_chooser {
	enum kv_distribution distribution;
	uint64_t nr;
	double theta, zeta_n, zeta_2, alpha, eta;
	uint64_t rand;
};

uint64_t kv_rand(uint64_t *state);
/* A number from [0, 1). */
double kv_rand_unit(uint64_t *state);
/* Sums up @nr terms: seconds for 10^8. @theta: YCSB's is 0.99. */
void kv_chooser_init(struct kv_chooser *c, enum kv_distribution distribution,
		     uint64_t nr, double theta, uint64_t seed);
/* One of @nr numbers, which may have become more since. */
uint64_t kv_choose(struct kv_chooser *c, uint64_t nr);

/* ---- load.c ---- */

struct kv_load {
	uint64_t records;	/* to be written, after those there are */
	uint32_t key_size, value_size;
	unsigned int batch;	/* records a transaction */
	uint64_t seed;
	bool quiet, json;
};

int kv_load(struct kv_store *store, const struct kv_load *load);
double kv_now(void);		/* seconds, monotonic */

/* ---- bench.c ---- */

enum kv_op { KV_READ, KV_UPDATE, KV_INSERT, KV_SCAN, KV_RMW, NR_KV_OPS };
extern const char *const kv_op_names[NR_KV_OPS];

struct kv_bench {
	char workload;		/* 'A' to 'F' */
	enum kv_distribution distribution;
	bool distribution_given;
	double seconds;		/* 0: no limit, as long as there is one of ops */
	uint64_t ops;		/* 0: no limit */
	unsigned int threads;
	unsigned int max_scan;	/* records; lengths are uniform */
	double theta;
	uint64_t seed;
	bool quiet, json;
	const char *dir;
};

struct kv_result {
	struct histogram *tenths[NR_KV_OPS];	/* of each operation: 0.1 us */
	uint64_t ops, wrong, missing;
	double seconds, sync_seconds;
	long majflt, minflt;	/* of the process, as its kernel counts them */
};

/* Return: 0; an error; EBADMSG: values were not what they should be. */
int kv_bench(struct kv_store *store, const struct kv_bench *bench);

/* ---- report.c ---- */

int kv_result_init(struct kv_result *r);
void kv_result_destroy(struct kv_result *r);
/* But for seconds and faults. */
void kv_result_add(struct kv_result *total, const struct kv_result *r);
void kv_report(const struct kv_bench *bench, const struct kv_config *config,
	       const struct kv_result *r);

#endif /* PAGEFS_KV_H */
