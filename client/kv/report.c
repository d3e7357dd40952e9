// SPDX-License-Identifier: BSD-2-Clause
/*
 * client/kv/report.c - what a bench took, for people and as JSON
 */
#include <errno.h>
#include <json-c/json.h>

#include "../ctl/histogram.h"
#include "kv.h"

static const struct {
	const char *name;
	double q;
} quantiles[] = {
	{ "p50", 0.5 }, { "p95", 0.95 }, { "p99", 0.99 }, { "p99.9", 0.999 },
};
#define NR_QUANTILES	(sizeof(quantiles) / sizeof(quantiles[0]))

int kv_result_init(struct kv_result *r)
{
	for (unsigned int op = 0; op < NR_KV_OPS; op++) {
		r->tenths[op] = histogram_new();
		if (!r->tenths[op])
			return ENOMEM;
	}
	return 0;
}

void kv_result_destroy(struct kv_result *r)
{
	for (unsigned int op = 0; op < NR_KV_OPS; op++) {
		histogram_free(r->tenths[op]);
		r->tenths[op] = NULL;
	}
}

void kv_result_add(struct kv_result *total, const struct kv_result *r)
{
	for (unsigned int op = 0; op < NR_KV_OPS; op++)
		histogram_merge(total->tenths[op], r->tenths[op]);
	total->ops += r->ops;
	total->wrong += r->wrong;
	total->missing += r->missing;
}

static const char *distribution_name(const struct kv_bench *bench)
{
	static const char *const names[] = {
		[KV_UNIFORM] = "uniform", [KV_ZIPFIAN] = "zipfian",
		[KV_LATEST] = "latest",
	};

	return bench->distribution_given ? names[bench->distribution] :
	       bench->workload == 'D' ? names[KV_LATEST] : names[KV_ZIPFIAN];
}

static double rate(const struct kv_result *r, double ops)
{
	return r->seconds > 0 ? ops / r->seconds : 0;
}

static void print_op(const struct kv_result *r, unsigned int op)
{
	const struct histogram *h = r->tenths[op];

	printf("%-18s%12.0f%11.1f", kv_op_names[op], histogram_total(h),
	       histogram_mean(h) / 10);
	for (size_t i = 0; i < NR_QUANTILES; i++)
		printf("%11.1f", histogram_quantile(h, quantiles[i].q) / 10);
	printf("%12.1f\n", (double)histogram_max(h) / 10);
}

static void print_text(const struct kv_bench *bench,
		       const struct kv_config *config,
		       const struct kv_result *r)
{
	printf("YCSB %c, %s, %u thread%s; %llu records of %u and %u bytes in %s\n",
	       bench->workload, distribution_name(bench), bench->threads,
	       bench->threads == 1 ? "" : "s",
	       (unsigned long long)config->records, config->key_size,
	       config->value_size, bench->dir);
	printf("%llu operations in %.1f s: %.0f a second; then a sync of %.1f s; faults %ld major, %ld minor\n",
	       (unsigned long long)r->ops, r->seconds, rate(r, (double)r->ops),
	       r->sync_seconds, r->majflt, r->minflt);
	printf("%-18s%12s%11s", "microseconds", "operations", "mean");
	for (size_t i = 0; i < NR_QUANTILES; i++)
		printf("%11s", quantiles[i].name);
	printf("%12s\n", "max");
	for (unsigned int op = 0; op < NR_KV_OPS; op++)
		if (histogram_total(r->tenths[op]) > 0)
			print_op(r, op);
	if (r->missing)
		printf("%llu records were not there yet\n",
		       (unsigned long long)r->missing);
	if (r->wrong)
		printf("WRONG VALUES: %llu\n", (unsigned long long)r->wrong);
}

static struct json_object *op_json(const struct kv_result *r, unsigned int op)
{
	struct json_object *obj = json_object_new_object();
	const struct histogram *h = r->tenths[op];

	json_object_object_add(obj, "operations",
			       json_object_new_uint64((uint64_t)histogram_total(h)));
	json_object_object_add(obj, "mean_us",
			       json_object_new_double(histogram_mean(h) / 10));
	for (size_t i = 0; i < NR_QUANTILES; i++) {
		double us = histogram_quantile(h, quantiles[i].q) / 10;
		char name[16];

		snprintf(name, sizeof(name), "%s_us", quantiles[i].name);
		json_object_object_add(obj, name, json_object_new_double(us));
	}
	json_object_object_add(obj, "max_us", json_object_new_double(
				       (double)histogram_max(h) / 10));
	return obj;
}

static void add_uint(struct json_object *obj, const char *name, uint64_t value)
{
	json_object_object_add(obj, name, json_object_new_uint64(value));
}

static void print_json(const struct kv_bench *bench,
		       const struct kv_config *config,
		       const struct kv_result *r)
{
	struct json_object *obj = json_object_new_object(), *ops;
	char workload[2] = { bench->workload };

	json_object_object_add(obj, "workload", json_object_new_string(workload));
	json_object_object_add(obj, "distribution",
			       json_object_new_string(distribution_name(bench)));
	json_object_object_add(obj, "dir", json_object_new_string(bench->dir));
	add_uint(obj, "threads", bench->threads);
	add_uint(obj, "seed", bench->seed);
	add_uint(obj, "records", config->records);
	add_uint(obj, "key_size", config->key_size);
	add_uint(obj, "value_size", config->value_size);
	add_uint(obj, "operations", r->ops);
	json_object_object_add(obj, "seconds", json_object_new_double(r->seconds));
	json_object_object_add(obj, "sync_seconds",
			       json_object_new_double(r->sync_seconds));
	json_object_object_add(obj, "ops_per_second", json_object_new_double(
				       rate(r, (double)r->ops)));
	add_uint(obj, "wrong", r->wrong);
	add_uint(obj, "missing", r->missing);
	add_uint(obj, "majflt", (uint64_t)r->majflt);
	add_uint(obj, "minflt", (uint64_t)r->minflt);
	ops = json_object_new_object();
	for (unsigned int op = 0; op < NR_KV_OPS; op++)
		if (histogram_total(r->tenths[op]) > 0)
			json_object_object_add(ops, kv_op_names[op],
					       op_json(r, op));
	json_object_object_add(obj, "latency", ops);
	puts(json_object_to_json_string_ext(obj, JSON_C_TO_STRING_PLAIN));
	json_object_put(obj);
}

void kv_report(const struct kv_bench *bench, const struct kv_config *config,
	       const struct kv_result *r)
{
	if (bench->json)
		print_json(bench, config, r);
	else
		print_text(bench, config, r);
}
