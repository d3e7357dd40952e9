/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * tests/options.h - long options of stress programs and benchmarks, by a table
 *
 *	static const struct program_option options[] = {
 *		{ "seed",  .u64 = &opt.seed },
 *		{ "size",  .u64 = &opt.size, .shift = 20 },	in MiB
 *		{ "plain", .on = &opt.plain },
 *		{ .name = NULL },
 *	};
 *
 * One pointer of each row is set; it says of which type the argument is, and
 * whether there is one. Numbers are as in C: 10, 0xa, 012. --help comes with it.
 */
#ifndef PAGEFS_TESTS_OPTIONS_H
#define PAGEFS_TESTS_OPTIONS_H

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

#define MAX_OPTIONS	32	/* of a program; arbitrary */

struct program_option {
	const char *name;		/* NULL: the table's end */
	const char **text;
	unsigned int *uint;
	uint64_t *u64;
	double *seconds;
	unsigned int shift;		/* of @u64 */
	bool *on, *off;			/* no argument: becomes true, or false */
	bool (*call)(char *arg);	/* Return: is the argument one? */
};

/**
 * parse_options - write what is given to where the table says
 * @usage: of --help, after which the program ends
 *
 * Return: the index of the first argument that is no option; 0: what is given
 *         is not as the table says, which getopt_long(3) has told.
 */
int parse_options(const struct program_option *table, int argc, char **argv,
		  void (*usage)(FILE *f));

#endif /* PAGEFS_TESTS_OPTIONS_H */
