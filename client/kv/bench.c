// SPDX-License-Identifier: BSD-2-Clause
/*
 * client/kv/bench.c - the standard mixes of YCSB, in threads
 *
 *   A  50% reads, 50% updates			zipfian
 *   B  95% reads,  5% updates			zipfian
 *   C 100% reads				zipfian
 *   D  95% reads,  5% inserts			latest
 *   E  95% scans,  5% inserts			zipfian
 *   F  50% reads, 50% reads with update	zipfian
 *
 * Every value that is read is checked: one that is not its record's is counted,
 * and the run has failed.
 *
 * Locks:  map_lock, read by whoever has a transaction open, written by who makes
 *         the map larger. LMDB's own lets one write at a time.
 * Source: Cooper et al., "Benchmarking cloud serving systems with YCSB" (SoCC
 *         2010). Differs: a record is one value, not ten fields.
 */
#include <errno.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <time.h>
#include <unistd.h>

#include "../ctl/histogram.h"
#include "kv.h"

const char *const kv_op_names[NR_KV_OPS] = {
	[KV_READ] = "read", [KV_UPDATE] = "update", [KV_INSERT] = "insert",
	[KV_SCAN] = "scan", [KV_RMW] = "read-modify-write",
};

static const struct mix {
	char name;
	unsigned int percent[NR_KV_OPS];
	enum kv_distribution distribution;
} mixes[] = {
	{ 'A', { [KV_READ] = 50, [KV_UPDATE] = 50 }, KV_ZIPFIAN },
	{ 'B', { [KV_READ] = 95, [KV_UPDATE] = 5 }, KV_ZIPFIAN },
	{ 'C', { [KV_READ] = 100 }, KV_ZIPFIAN },
	{ 'D', { [KV_READ] = 95, [KV_INSERT] = 5 }, KV_LATEST },
	{ 'E', { [KV_SCAN] = 95, [KV_INSERT] = 5 }, KV_ZIPFIAN },
	{ 'F', { [KV_READ] = 50, [KV_RMW] = 50 }, KV_ZIPFIAN },
};

/* Fields: (A) atomic; (C) constant while threads run. */
struct run {
	struct kv_store *store;			/* (C) */
	const struct kv_bench *bench;		/* (C) */
	const struct mix *mix;			/* (C) */
	struct kv_config config;		/* (C) but for records: see there */
	atomic_uint_fast64_t records;		/* (A) that can be read */
	uint64_t next;				/* of an insert; LMDB's lock */
	atomic_uint_fast64_t started;		/* (A) operations */
	atomic_uint_fast64_t done;		/* (A) for who looks on */
	atomic_int err;				/* (A) what failed first */
	atomic_bool stop;			/* (A) */
	pthread_rwlock_t map_lock;
	double end;				/* (C) kv_now(); 0: none */
};

struct worker {
	pthread_t thread;
	struct run *run;
	struct kv_chooser chooser;
	uint64_t rand;
	MDB_txn *read;			/* reset, between operations */
	struct kv_result result;
	char *value;
	uint32_t version;
};

/* ---- operations; Context: map_lock, to read. Return: 0 or an error ---- */

static void check(struct worker *w, const MDB_val *value, uint64_t number)
{
	if (!kv_check_value(value, number))
		w->result.wrong++;
}

static int get(struct worker *w, MDB_txn *txn, uint64_t number)
{
	char buf[KV_MAX_KEY];
	MDB_val key = kv_key(number, w->run->config.key_size, buf), value;
	int err = mdb_get(txn, w->run->store->records, &key, &value);

	if (!err)
		check(w, &value, number);
	if (err != MDB_NOTFOUND)
		return err;
	w->result.missing++;
	return 0;
}

static int put(struct worker *w, MDB_txn *txn, uint64_t number)
{
	const uint32_t size = w->run->config.value_size;
	char buf[KV_MAX_KEY];
	MDB_val key = kv_key(number, w->run->config.key_size, buf);
	MDB_val value = { .mv_size = size, .mv_data = w->value };

	kv_fill_value(w->value, size, number, ++w->version);
	return mdb_put(txn, w->run->store->records, &key, &value, 0);
}

static int do_read(struct worker *w, uint64_t number)
{
	int err = mdb_txn_renew(w->read) ?: get(w, w->read, number);

	mdb_txn_reset(w->read);
	return err;
}

static int do_update(struct worker *w, uint64_t number, bool read_first)
{
	MDB_txn *txn;
	int err;

	err = mdb_txn_begin(w->run->store->env, NULL, 0, &txn);
	if (err)
		return err;
	err = (read_first ? get(w, txn, number) : 0) ?: put(w, txn, number);
	return kv_end(txn, err);
}

/* Inserts may end in another order than they were made. */
static void become_readable(struct run *run, uint64_t records)
{
	uint_fast64_t old = atomic_load(&run->records);

	while (old < records &&
	       !atomic_compare_exchange_weak(&run->records, &old, records))
		;
}

/* The next number is whose turn it is to write. */
static int do_insert(struct worker *w)
{
	struct kv_config config = w->run->config;
	uint64_t number;
	MDB_txn *txn;
	int err;

	err = mdb_txn_begin(w->run->store->env, NULL, 0, &txn);
	if (err)
		return err;
	number = w->run->next;
	config.records = number + 1;
	err = put(w, txn, number) ?: kv_put_config(w->run->store, txn, &config);
	w->run->next += !err;		/* before the lock is another's */
	err = kv_end(txn, err);
	if (!err)
		become_readable(w->run, number + 1);
	return err;
}

static int scan_from(struct worker *w, MDB_cursor *cursor, uint64_t number,
		     unsigned int nr)
{
	char buf[KV_MAX_KEY];
	MDB_val key = kv_key(number, w->run->config.key_size, buf), value;
	int err = mdb_cursor_get(cursor, &key, &value, MDB_SET_RANGE);

	for (; !err && nr; nr--) {
		if (!kv_check_record(&key, &value))
			w->result.wrong++;
		if (nr > 1)
			err = mdb_cursor_get(cursor, &key, &value, MDB_NEXT);
	}
	return err == MDB_NOTFOUND ? 0 : err;
}

static int do_scan(struct worker *w, uint64_t number)
{
	unsigned int nr = 1 + (unsigned int)(kv_rand(&w->rand) %
					     w->run->bench->max_scan);
	MDB_cursor *cursor;
	int err;

	err = mdb_txn_renew(w->read);
	if (!err)
		err = mdb_cursor_open(w->read, w->run->store->records, &cursor);
	if (!err) {
		err = scan_from(w, cursor, number, nr);
		mdb_cursor_close(cursor);
	}
	mdb_txn_reset(w->read);
	return err;
}

static int do_op(struct worker *w, enum kv_op op, uint64_t number)
{
	switch (op) {
	case KV_READ:
		return do_read(w, number);
	case KV_UPDATE:
		return do_update(w, number, false);
	case KV_RMW:
		return do_update(w, number, true);
	case KV_INSERT:
		return do_insert(w);
	default:
		return do_scan(w, number);
	}
}

/* ---- threads ---- */

static enum kv_op choose_op(struct worker *w)
{
	unsigned int draw = (unsigned int)(kv_rand(&w->rand) % 100);
	unsigned int op = 0;

	while (draw >= w->run->mix->percent[op])
		draw -= w->run->mix->percent[op++];
	return (enum kv_op)op;
}

/* Another may have been faster: then it is larger still. */
static int grow(struct worker *w)
{
	int err;

	pthread_rwlock_wrlock(&w->run->map_lock);
	err = kv_grow(w->run->store);
	pthread_rwlock_unlock(&w->run->map_lock);
	return err;
}

static int one_op(struct worker *w)
{
	const enum kv_op op = choose_op(w);
	const uint64_t number = kv_choose(&w->chooser,
					  atomic_load(&w->run->records));
	const double began = kv_now();
	int err;

	for (;;) {
		pthread_rwlock_rdlock(&w->run->map_lock);
		err = do_op(w, op, number);
		pthread_rwlock_unlock(&w->run->map_lock);
		if (err != MDB_MAP_FULL)
			break;
		err = grow(w);
		if (err)
			break;
	}
	histogram_add(w->result.tenths[op],
		      (uint64_t)((kv_now() - began) * 1e7), 1);
	return err;
}

static bool may_go_on(struct run *run)
{
	if (atomic_load(&run->stop) || (run->end > 0 && kv_now() >= run->end))
		return false;
	return !run->bench->ops ||
	       atomic_fetch_add(&run->started, 1) < run->bench->ops;
}

static void *work(void *arg)
{
	struct worker *w = arg;
	struct run *run = w->run;
	int err = 0;

	while (!err && may_go_on(run)) {
		err = one_op(w);
		w->result.ops += !err;
		atomic_fetch_add_explicit(&run->done, 1, memory_order_relaxed);
	}
	if (err) {
		atomic_store(&run->err, err);
		atomic_store(&run->stop, true);
	}
	return NULL;
}

static int worker_init(struct worker *w, struct run *run, unsigned int i,
		       const struct kv_chooser *chooser)
{
	int err;

	w->run = run;
	w->rand = run->bench->seed * 1000003 + i;
	w->chooser = *chooser;
	w->chooser.rand = kv_rand(&w->rand);
	w->version = (uint32_t)kv_rand(&w->rand);
	w->value = malloc(run->config.value_size);
	err = w->value ? kv_result_init(&w->result) : ENOMEM;
	if (err)
		return err;
	err = mdb_txn_begin(run->store->env, NULL, MDB_RDONLY, &w->read);
	if (!err)
		mdb_txn_reset(w->read);
	return err;
}

static void worker_destroy(struct worker *w)
{
	if (w->read)
		mdb_txn_abort(w->read);
	kv_result_destroy(&w->result);
	free(w->value);
}

static void *watch(void *arg)
{
	const struct timespec second = { .tv_sec = 1 };
	struct run *run = arg;
	uint64_t before = 0, now;
	double began = kv_now();

	while (!atomic_load(&run->stop)) {
		nanosleep(&second, NULL);
		now = atomic_load(&run->done);
		fprintf(stderr, "\r%4.0f s  %llu operations, %llu a second ",
			kv_now() - began, (unsigned long long)now,
			(unsigned long long)(now - before));
		before = now;
	}
	fputc('\n', stderr);
	return NULL;
}

static void run_workers(struct run *run, struct worker *workers)
{
	unsigned int nr = run->bench->threads, started = 0;

	while (started < nr &&
	       !pthread_create(&workers[started].thread, NULL, work,
			       &workers[started]))
		started++;
	if (started < nr) {
		atomic_store(&run->err, EAGAIN);
		atomic_store(&run->stop, true);
	}
	for (unsigned int i = 0; i < started; i++)
		pthread_join(workers[i].thread, NULL);
	atomic_store(&run->stop, true);
}

static int measure(struct run *run, struct worker *workers,
		   struct kv_result *total)
{
	const bool progress = !run->bench->quiet && isatty(STDERR_FILENO);
	struct rusage before, after;
	double began = kv_now();
	pthread_t watcher;
	bool watched;
	int err;

	watched = progress && !pthread_create(&watcher, NULL, watch, run);
	getrusage(RUSAGE_SELF, &before);
	if (run->bench->seconds > 0)
		run->end = began + run->bench->seconds;
	run_workers(run, workers);
	total->seconds = kv_now() - began;
	getrusage(RUSAGE_SELF, &after);
	total->majflt = after.ru_majflt - before.ru_majflt;
	total->minflt = after.ru_minflt - before.ru_minflt;
	for (unsigned int i = 0; i < run->bench->threads; i++)
		kv_result_add(total, &workers[i].result);
	err = atomic_load(&run->err);
	if (!err)
		err = mdb_env_sync(run->store->env, 1);
	total->sync_seconds = kv_now() - began - total->seconds;
	if (watched)
		pthread_join(watcher, NULL);
	return err;
}

static int run_bench(struct run *run, const struct kv_chooser *chooser)
{
	struct worker *workers = calloc(run->bench->threads, sizeof(*workers));
	struct kv_result total = { 0 };
	int err = workers ? kv_result_init(&total) : ENOMEM;

	for (unsigned int i = 0; !err && i < run->bench->threads; i++)
		err = worker_init(&workers[i], run, i, chooser);
	if (!err)
		err = measure(run, workers, &total);
	if (!err) {
		run->config.records = run->next;
		kv_report(run->bench, &run->config, &total);
	}
	if (!err && total.wrong)
		err = EBADMSG;
	for (unsigned int i = 0; workers && i < run->bench->threads; i++)
		worker_destroy(&workers[i]);
	kv_result_destroy(&total);
	free(workers);
	return err;
}

static const struct mix *find_mix(char name)
{
	for (size_t i = 0; i < sizeof(mixes) / sizeof(mixes[0]); i++)
		if (mixes[i].name == name)
			return &mixes[i];
	return NULL;
}

int kv_bench(struct kv_store *store, const struct kv_bench *bench)
{
	struct run run = { .store = store, .bench = bench,
			   .mix = find_mix(bench->workload) };
	struct kv_chooser chooser;
	int err;

	err = kv_get_config(store, &run.config);
	if (err == MDB_NOTFOUND || (!err && !run.config.records)) {
		fprintf(stderr, "pagefs-kv: %s: no records: load some first\n",
			bench->dir);
		return KV_TOLD;
	}
	if (err)
		return err;
	atomic_store(&run.records, run.config.records);
	run.next = run.config.records;
	kv_chooser_init(&chooser, bench->distribution_given ?
			bench->distribution : run.mix->distribution,
			run.config.records, bench->theta, bench->seed);
	pthread_rwlock_init(&run.map_lock, NULL);
	err = run_bench(&run, &chooser);
	pthread_rwlock_destroy(&run.map_lock);
	return err;
}
