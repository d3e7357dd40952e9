// SPDX-License-Identifier: BSD-2-Clause
/*
 * client/kv/main.c - pagefs-kv: a key-value store on LMDB, and what it does a second
 *
 * The same program on a pagefs mount, on one under pagefs-run, or on any other
 * directory: so they can be compared.
 *
 * Exit status: 0; 1: it failed, or a value was wrong; 2: wrong usage; 3: get, del:
 * there is no such key.
 */
#include <argp.h>
#include <ctype.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "kv.h"

#define EXIT_USAGE	2
#define EXIT_NO_KEY	3
#define MAX_THREADS	512u

enum {
	OPT_RECORDS = 256, OPT_VALUE_SIZE, OPT_KEY_SIZE, OPT_BATCH, OPT_WORKLOAD,
	OPT_SECONDS, OPT_OPERATIONS, OPT_DISTRIBUTION, OPT_THETA, OPT_MAX_SCAN,
	OPT_SEED, OPT_MAP_SIZE, OPT_SYNC, OPT_WRITEMAP, OPT_READAHEAD, OPT_LIMIT,
};

static const struct argp_option argp_options[] = {
	{ 0, 0, 0, 0, "Loading:", 1 },
	{ "records", OPT_RECORDS, "N", 0, "how many more (100000)", 0 },
	{ "value-size", OPT_VALUE_SIZE, "BYTES", 0, "(1000)", 0 },
	{ "key-size", OPT_KEY_SIZE, "BYTES", 0, "(24)", 0 },
	{ "batch", OPT_BATCH, "N", 0, "records a transaction (1000)", 0 },
	{ 0, 0, 0, 0, "Benchmarks:", 2 },
	{ "workload", OPT_WORKLOAD, "A..F", 0, "the mix of YCSB (A)", 0 },
	{ "threads", 't', "N", 0, "(1)", 0 },
	{ "seconds", OPT_SECONDS, "S", 0,
	  "how long (10, unless there is a number of operations)", 0 },
	{ "operations", OPT_OPERATIONS, "N", 0, "how many at most", 0 },
	{ "distribution", OPT_DISTRIBUTION, "NAME", 0,
	  "zipfian, uniform or latest, instead of the mix's own", 0 },
	{ "theta", OPT_THETA, "X", 0, "of the zipfian one (0.99)", 0 },
	{ "max-scan", OPT_MAX_SCAN, "N", 0, "records of a scan at most (100)", 0 },
	{ "seed", OPT_SEED, "N", 0, "of what is drawn (1)", 0 },
	{ 0, 0, 0, 0, "The store:", 3 },
	{ "map-size", OPT_MAP_SIZE, "BYTES[K|M|G]", 0,
	  "of the file at most; grows by itself (1G)", 0 },
	{ "sync", OPT_SYNC, "WHEN", 0,
	  "full, meta or none: which of data and metadata a commit waits for "
	  "(full; load and bench: none, and all at the end)", 0 },
	{ "writemap", OPT_WRITEMAP, 0, 0,
	  "write by storing to the mapping, not to the file", 0 },
	{ "readahead", OPT_READAHEAD, 0, 0,
	  "do not tell the kernel that accesses are random", 0 },
	{ 0, 0, 0, 0, "Output:", 4 },
	{ "limit", OPT_LIMIT, "N", 0, "scan: at most so many (all)", 0 },
	{ "json", 'j', 0, 0, "of load, bench and stat: one JSON object", 0 },
	{ "quiet", 'q', 0, 0, "no progress", 0 },
	{ 0 },
};

static const char args_doc[] =
	"put DIR KEY [VALUE]\n"
	"get DIR KEY\n"
	"del DIR KEY\n"
	"scan DIR [FROM]\n"
	"load DIR\n"
	"bench DIR\n"
	"stat DIR";

static const char doc[] =
	"A key-value store on LMDB in directory DIR, which put and load make. "
	"put without VALUE reads it from standard input.\v"
	"load writes numbered records, and bench works on them with one of the "
	"standard mixes: A updates half of the time, B seldom, C reads, D reads "
	"what is new, E scans, F reads before it updates. All values read are "
	"checked. The store is mapped: on a pagefs mount under pagefs-run its "
	"page faults are pagefs'.";

const char *argp_program_version = "pagefs-kv " PACKAGE_VERSION;

#define MAX_ARGS	4

struct arguments {
	struct kv_open open;
	struct kv_load load;
	struct kv_bench bench;
	bool sync_given, seconds_given;
	uint64_t limit;
	char *arg[MAX_ARGS];
	int nr_args;
};

/* ---- options ---- */

static uint64_t number(struct argp_state *state, const char *what,
		       const char *arg, uint64_t low, uint64_t high)
{
	char *end;
	unsigned long long value;

	errno = 0;
	value = strtoull(arg, &end, 10);
	if (!isdigit((unsigned char)*arg) || *end || errno || value < low ||
	    value > high)
		argp_error(state, "--%s=%s: not a number from %llu to %llu",
			   what, arg, (unsigned long long)low,
			   (unsigned long long)high);
	return value;
}

static double real_number(struct argp_state *state, const char *what,
			  const char *arg, double low, double high)
{
	char *end;
	double value = strtod(arg, &end);

	/* Not a number compares with nothing. */
	if (!*arg || *end || !(value >= low && value <= high))
		argp_error(state, "--%s=%s: not a number from %g to %g", what,
			   arg, low, high);
	return value;
}

static uint64_t map_size(struct argp_state *state, const char *arg)
{
	static const char units[] = "KMGT";
	unsigned int shift = 0;
	const char *unit;
	char *end;
	unsigned long long value;

	errno = 0;
	value = strtoull(arg, &end, 10);
	unit = *end ? strchr(units, toupper((unsigned char)*end)) : NULL;
	if (unit) {
		shift = 10 * (unsigned int)(unit - units + 1);
		end++;
	}
	if (!isdigit((unsigned char)*arg) || *end || errno || !value ||
	    value > (1ULL << 46) >> shift)
		argp_error(state, "--map-size=%s: not a size", arg);
	return value << shift;
}

/* Which of @names @arg is. */
static unsigned int choice(struct argp_state *state, const char *what,
			   const char *arg, const char *const *names)
{
	unsigned int i;

	for (i = 0; names[i]; i++)
		if (!strcmp(names[i], arg))
			return i;
	argp_error(state, "--%s=%s: unknown", what, arg);
	return 0;
}

static const char *const sync_names[] = { "full", "meta", "none", NULL };
static const char *const distribution_names[] = { "uniform", "zipfian", "latest",
						  NULL };

static error_t parse_load(int key, char *arg, struct argp_state *state,
			  struct kv_load *load)
{
	switch (key) {
	case OPT_RECORDS:
		load->records = number(state, "records", arg, 1, UINT64_MAX >> 8);
		return 0;
	case OPT_VALUE_SIZE:
		load->value_size = (uint32_t)number(state, "value-size", arg,
						    KV_MIN_VALUE, KV_MAX_VALUE);
		return 0;
	case OPT_KEY_SIZE:
		load->key_size = (uint32_t)number(state, "key-size", arg,
						  KV_MIN_KEY, KV_MAX_KEY);
		return 0;
	case OPT_BATCH:
		load->batch = (unsigned int)number(state, "batch", arg, 1, 1000000);
		return 0;
	default:
		return ARGP_ERR_UNKNOWN;
	}
}

static error_t parse_bench(int key, char *arg, struct argp_state *state,
			   struct arguments *a)
{
	struct kv_bench *bench = &a->bench;

	switch (key) {
	case OPT_WORKLOAD:
		bench->workload = (char)toupper((unsigned char)*arg);
		if (!*arg || arg[1] || bench->workload < 'A' ||
		    bench->workload > 'F')
			argp_error(state, "--workload=%s: not one of A to F", arg);
		return 0;
	case 't':
		bench->threads = (unsigned int)number(state, "threads", arg, 1,
						      MAX_THREADS);
		return 0;
	case OPT_SECONDS:
		bench->seconds = real_number(state, "seconds", arg, 0, 1e9);
		a->seconds_given = true;
		return 0;
	case OPT_OPERATIONS:
		bench->ops = number(state, "operations", arg, 1, UINT64_MAX >> 1);
		return 0;
	case OPT_DISTRIBUTION:
		bench->distribution = choice(state, "distribution", arg,
					     distribution_names);
		bench->distribution_given = true;
		return 0;
	case OPT_THETA:
		bench->theta = real_number(state, "theta", arg, 0.01, 0.9999);
		return 0;
	case OPT_MAX_SCAN:
		bench->max_scan = (unsigned int)number(state, "max-scan", arg, 1,
						       1000000);
		return 0;
	default:
		return ARGP_ERR_UNKNOWN;
	}
}

static error_t parse_store(int key, char *arg, struct argp_state *state,
			   struct arguments *a)
{
	switch (key) {
	case OPT_MAP_SIZE:
		a->open.map_size = map_size(state, arg);
		return 0;
	case OPT_SYNC:
		a->open.sync = choice(state, "sync", arg, sync_names);
		a->sync_given = true;
		return 0;
	case OPT_WRITEMAP:
		a->open.writemap = true;
		return 0;
	case OPT_READAHEAD:
		a->open.readahead = true;
		return 0;
	case OPT_LIMIT:
		a->limit = number(state, "limit", arg, 1, UINT64_MAX >> 1);
		return 0;
	case OPT_SEED:
		a->bench.seed = number(state, "seed", arg, 0, UINT64_MAX);
		return 0;
	case 'j':
		a->load.json = a->bench.json = true;
		return 0;
	case 'q':
		a->load.quiet = a->bench.quiet = true;
		return 0;
	default:
		return ARGP_ERR_UNKNOWN;
	}
}

static error_t parse(int key, char *arg, struct argp_state *state)
{
	struct arguments *a = state->input;
	error_t err;

	if (key == ARGP_KEY_ARG) {
		if (a->nr_args == MAX_ARGS)
			argp_error(state, "%s: one argument too many", arg);
		a->arg[a->nr_args++] = arg;
		return 0;
	}
	err = parse_load(key, arg, state, &a->load);
	if (err == ARGP_ERR_UNKNOWN)
		err = parse_bench(key, arg, state, a);
	if (err == ARGP_ERR_UNKNOWN)
		err = parse_store(key, arg, state, a);
	return err;
}

static const struct argp argp = { argp_options, parse, args_doc, doc, 0, 0, 0 };

/* ---- commands ---- */

static MDB_val text(char *s)
{
	return (MDB_val){ .mv_size = strlen(s), .mv_data = s };
}

static void print_value(const MDB_val *value, void *arg)
{
	(void)arg;
	fwrite(value->mv_data, 1, value->mv_size, stdout);
	putchar('\n');
}

static int do_get(struct kv_store *store, struct arguments *a)
{
	MDB_val key = text(a->arg[2]);

	return kv_get(store, &key, print_value, NULL);
}

/* Standard input, whole. Return: 0 or an error. */
static int read_input(char **bufp, size_t *lenp)
{
	size_t size = 0;
	FILE *mem = open_memstream(bufp, lenp);
	char buf[4096];

	if (!mem)
		return errno;
	while ((size = fread(buf, 1, sizeof(buf), stdin)))
		fwrite(buf, 1, size, mem);
	if (fclose(mem))
		return errno;
	return ferror(stdin) ? EIO : 0;
}

static int do_put(struct kv_store *store, struct arguments *a)
{
	MDB_val key = text(a->arg[2]), value;
	char *input = NULL;
	size_t len;
	int err = 0;

	if (a->nr_args == 4) {
		value = text(a->arg[3]);
	} else {
		err = read_input(&input, &len);
		value = (MDB_val){ .mv_size = len, .mv_data = input };
	}
	if (!err)
		err = kv_put(store, &key, &value);
	free(input);
	return err;
}

static int do_del(struct kv_store *store, struct arguments *a)
{
	MDB_val key = text(a->arg[2]);

	return kv_del(store, &key);
}

static int do_scan(struct kv_store *store, struct arguments *a)
{
	return kv_scan(store, a->nr_args > 2 ? a->arg[2] : NULL, a->limit);
}

static int do_load(struct kv_store *store, struct arguments *a)
{
	return kv_load(store, &a->load);
}

static int do_bench(struct kv_store *store, struct arguments *a)
{
	return kv_bench(store, &a->bench);
}

static int do_stat(struct kv_store *store, struct arguments *a)
{
	return kv_print_stat(store, a->arg[1], a->bench.json);
}

static const struct command {
	const char *name;
	int min_args, max_args;		/* with the name */
	bool read_only, bulk;
	int (*fn)(struct kv_store *store, struct arguments *a);
} commands[] = {
	{ "put", 3, 4, false, false, do_put },
	{ "get", 3, 3, true, false, do_get },
	{ "del", 3, 3, false, false, do_del },
	{ "scan", 2, 3, true, false, do_scan },
	{ "load", 2, 2, false, true, do_load },
	{ "bench", 2, 2, false, true, do_bench },
	{ "stat", 2, 2, true, false, do_stat },
};

static const struct command *find_command(const char *name)
{
	for (size_t i = 0; i < sizeof(commands) / sizeof(commands[0]); i++)
		if (!strcmp(commands[i].name, name))
			return &commands[i];
	return NULL;
}

static int usage_error(const char *what, const char *name)
{
	fprintf(stderr, "pagefs-kv: %s%s\n"
		"Try 'pagefs-kv --help'.\n", what, name);
	return EXIT_USAGE;
}

static int fail(const char *dir, int err)
{
	if (err == EBADMSG)
		fprintf(stderr, "pagefs-kv: %s: values are not what was written\n",
			dir);
	else if (err != KV_TOLD)
		fprintf(stderr, "pagefs-kv: %s: %s\n", dir, mdb_strerror(err));
	return EXIT_FAILURE;
}

static int run(const struct command *command, struct arguments *a)
{
	struct kv_store store;
	int err;

	a->open.dir = a->bench.dir = a->arg[1];
	a->open.read_only = command->read_only;
	a->open.readers = a->bench.threads;
	if (command->bulk && !a->sync_given)
		a->open.sync = KV_SYNC_NONE;
	if (!a->seconds_given && !a->bench.ops)
		a->bench.seconds = 10;
	if (kv_open(&store, &a->open))
		return EXIT_FAILURE;
	err = command->fn(&store, a);
	kv_close(&store);
	if (err == MDB_NOTFOUND && command->min_args > 2) {
		fprintf(stderr, "pagefs-kv: %s: no such key\n", a->arg[2]);
		return EXIT_NO_KEY;
	}
	return err ? fail(a->arg[1], err) : EXIT_SUCCESS;
}

int main(int argc, char **argv)
{
	struct arguments a = {
		.load = { .records = 100000, .key_size = 24, .value_size = 1000,
			  .batch = 1000 },
		.bench = { .workload = 'A', .threads = 1, .max_scan = 100,
			   .theta = 0.99, .seed = 1 },
	};
	const struct command *command;
	int status;

	argp_err_exit_status = EXIT_USAGE;
	argp_parse(&argp, argc, argv, 0, NULL, &a);
	if (!a.nr_args)
		return usage_error("no command", "");
	command = find_command(a.arg[0]);
	if (!command)
		return usage_error("no command of that name: ", a.arg[0]);
	if (a.nr_args < command->min_args || a.nr_args > command->max_args)
		return usage_error("wrong number of arguments for ", a.arg[0]);
	status = run(command, &a);
	if (fflush(stdout) || ferror(stdout)) {
		perror("pagefs-kv: standard output");
		return EXIT_FAILURE;
	}
	return status;
}
