// SPDX-License-Identifier: BSD-2-Clause
/*
 * tests/options.c - long options of stress programs and benchmarks, by a table
 */
#include <getopt.h>
#include <stdlib.h>

#include "options.h"

#define HELP	'h'

static void to_getopt(const struct program_option *table, struct option *longs)
{
	size_t i;

	for (i = 0; table[i].name; i++) {
		if (i == MAX_OPTIONS)
			abort();
		longs[i] = (struct option){
			.name = table[i].name,
			.has_arg = table[i].on || table[i].off ?
				no_argument : required_argument,
		};
	}
	longs[i] = (struct option){ "help", no_argument, NULL, HELP };
	longs[i + 1] = (struct option){ NULL, 0, NULL, 0 };
}

static bool take(const struct program_option *o, char *arg)
{
	if (o->text)
		*o->text = arg;
	else if (o->uint)
		*o->uint = (unsigned int)strtoul(arg, NULL, 0);
	else if (o->u64)
		*o->u64 = (uint64_t)strtoull(arg, NULL, 0) << o->shift;
	else if (o->seconds)
		*o->seconds = strtod(arg, NULL);
	else if (o->on)
		*o->on = true;
	else if (o->off)
		*o->off = false;
	else
		return o->call(arg);
	return true;
}

int parse_options(const struct program_option *table, int argc, char **argv,
		  void (*usage)(FILE *f))
{
	struct option longs[MAX_OPTIONS + 2];
	int c, at;

	to_getopt(table, longs);
	while ((c = getopt_long(argc, argv, "", longs, &at)) != -1) {
		if (c == HELP) {
			usage(stdout);
			exit(0);
		}
		if (c || !take(&table[at], optarg))
			return 0;
	}
	return optind;
}
