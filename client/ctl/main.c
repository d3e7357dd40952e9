// SPDX-License-Identifier: BSD-2-Clause
/*
 * client/ctl/main.c - pagefsctl: look at a pagefs mount, and set what it does
 *
 *   pagefsctl -m /mnt files --dirty
 *             ------- ----- -------
 *             common  command, and its own options, among which the common ones
 *                     may be, too
 *
 * Exit status: 0; 1 for what fails; EXIT_USAGE for a wrong command line.
 *
 * To add a command: a function in a file of its own, a line in commands[], its
 * words in pagefsctl.bash, a section in pagefsctl.8.
 */
#include <ctype.h>
#include <errno.h>
#include <locale.h>
#include <math.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "ctl.h"

static int help_main(struct ctl *ctl, int argc, char **argv);

static const struct command commands[] = {
	{ "status", "how the mount is doing", status_main },
	{ "stat", "rates and states, line by line", stat_main },
	{ "top", "the same on the whole screen, with files and clients", top_main },
	{ "files", "what is cached and dirty of which file", files_main },
	{ "maps", "what processes have mapped", maps_main },
	{ "sysctl", "show and set tunables", sysctl_main },
	{ "sync", "bring data to the disk", sync_main },
	{ "drop-caches", "drop what is clean and not in use", drop_caches_main },
	{ "trace", "events as they happen", trace_main },
	{ "writeback", "histograms of what is written, and why", writeback_main },
	{ "swaps", "the swap areas", swaps_main },
	{ "swapon", "use a swap area", swapon_main },
	{ "swapoff", "bring back what is in one, and use it no more", swapoff_main },
	{ "mkswap", "make a swap area", mkswap_main },
	{ "advise", "show or set how a file will be used", advise_main },
	{ "help", "explain a command", help_main },
};

/* ---- messages ---- */

int ctl_fail(int err, const char *fmt, ...)
{
	va_list ap;

	fflush(stdout);
	fprintf(stderr, "%s: ", program_invocation_short_name);
	va_start(ap, fmt);
	vfprintf(stderr, fmt, ap);
	va_end(ap);
	if (err)
		fprintf(stderr, ": %s", strerror(-err));
	fputc('\n', stderr);
	return EXIT_FAILURE;
}

int ctl_end_output(void)
{
	int failed = ferror(stdout);

	if (!fflush(stdout) && !failed)
		return EXIT_SUCCESS;
	return ctl_fail(errno ? -errno : -EIO, "standard output");
}

/* ---- time ---- */

double ctl_now(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (double)ts.tv_sec + (double)ts.tv_nsec / 1e9;
}

bool ctl_sleep_until(double when)
{
	struct timespec ts = { .tv_sec = (time_t)when };

	ts.tv_nsec = (long)((when - (double)ts.tv_sec) * 1e9);
	return !clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &ts, NULL);
}

/* ---- options that all commands have ---- */

static const struct argp_option common_options[] = {
	{ "mount", 'm', "DIR", 0, "The mount, or anything in it; else "
	  "$PAGEFS_MOUNT, or the only one there is", -2 },
	{ "json", 'j', NULL, 0, "JSON for programs", -2 },
	{ NULL, 'h', NULL, OPTION_HIDDEN, NULL, -1 },
	{ 0 }
};

static error_t common_parse(int key, char *arg, struct argp_state *state)
{
	struct ctl *ctl = state->input;

	switch (key) {
	case 'm':
		ctl->wanted = arg;
		return 0;
	case 'j':
		ctl->json = true;
		return 0;
	case 'h':
		argp_state_help(state, stdout, ARGP_HELP_STD_HELP);
		return 0;
	}
	return ARGP_ERR_UNKNOWN;
}

static const struct argp common_argp = {
	.options = common_options,
	.parser = common_parse,
};

/* What the parsers of a command and of the common options are given. */
struct inputs {
	void *command;
	struct ctl *ctl;
};

static error_t hand_down(int key, char *arg, struct argp_state *state)
{
	struct inputs *in = state->input;

	(void)arg;
	if (key != ARGP_KEY_INIT)
		return ARGP_ERR_UNKNOWN;
	state->child_inputs[0] = in->command;
	state->child_inputs[1] = in->ctl;
	return 0;
}

/* Without the remark on short options, which nobody asks about. */
static char *filter_help(int key, const char *text, void *input)
{
	(void)input;
	return key == ARGP_KEY_HELP_DUP_ARGS_NOTE ? NULL : (char *)text;
}

void ctl_parse(struct ctl *ctl, const struct argp *argp, int argc, char **argv,
	       void *input)
{
	const struct argp_child children[] = {
		{ argp, 0, NULL, 0 },
		{ &common_argp, 0, NULL, 0 },
		{ 0 }
	};
	const struct argp both = {
		.parser = hand_down,
		.children = children,
		.help_filter = filter_help,
	};
	struct inputs in = { .command = input, .ctl = ctl };

	argp_parse(&both, argc, argv, 0, NULL, &in);
}

double ctl_parse_number(struct argp_state *state, const char *what,
			const char *arg, double min, double max)
{
	char *end;
	double value;

	errno = 0;
	value = strtod(arg, &end);
	if (errno || end == arg || *end || !isfinite(value) || value < min ||
	    value > max)
		argp_error(state, "%s: not a %s from %g to %g", arg, what, min,
			   max);
	return value;
}

unsigned long ctl_parse_count(struct argp_state *state, const char *what,
			      const char *arg, unsigned long min,
			      unsigned long max)
{
	unsigned long value;
	char *end;

	errno = 0;
	value = strtoul(arg, &end, 10);
	/* strtoul() takes signs and blanks. */
	if (errno || !isdigit((unsigned char)*arg) || *end || value < min ||
	    value > max)
		argp_error(state, "%s: not a %s from %lu to %lu", arg, what, min,
			   max);
	return value;
}

/* ---- the command line before the command ---- */

static const struct command *find_command(const char *name)
{
	for (size_t i = 0; i < ARRAY_SIZE(commands); i++)
		if (!strcmp(commands[i].name, name))
			return &commands[i];
	return NULL;
}

/* The list of commands, in place of the text behind \v. To be freed. */
static char *list_commands(int key, const char *text, void *input)
{
	char *list = NULL;
	size_t size;
	FILE *f;

	if (key != ARGP_KEY_HELP_POST_DOC)
		return filter_help(key, text, input);
	f = open_memstream(&list, &size);
	if (!f)
		return (char *)text;
	fputs("Commands:\n", f);
	for (size_t i = 0; i < ARRAY_SIZE(commands); i++)
		fprintf(f, "  %-12s %s\n", commands[i].name,
			commands[i].summary);
	fputs("\n`pagefsctl COMMAND --help' explains one; all are in "
	      "pagefsctl(8).", f);
	fclose(f);
	return list;
}

struct front {
	const struct command *command;
	int next;			/* argv index of its name */
};

static error_t front_parse(int key, char *arg, struct argp_state *state)
{
	struct front *front = ((struct inputs *)state->input)->command;

	switch (key) {
	case ARGP_KEY_INIT:
		state->child_inputs[0] = ((struct inputs *)state->input)->ctl;
		return 0;
	case ARGP_KEY_ARG:
		front->command = find_command(arg);
		if (!front->command)
			argp_error(state, "%s: no such command", arg);
		front->next = state->next - 1;
		state->next = state->argc;	/* the rest is the command's */
		return 0;
	case ARGP_KEY_NO_ARGS:
		argp_error(state, "a command is missing");
	}
	return ARGP_ERR_UNKNOWN;
}

static void parse_front(struct ctl *ctl, int argc, char **argv,
			struct front *front)
{
	static const struct argp_child children[] = {
		{ &common_argp, 0, NULL, 0 },
		{ 0 }
	};
	const struct argp argp = {
		.parser = front_parse,
		.args_doc = "COMMAND [ARGUMENT...]",
		.doc = "Look at a pagefs mount, and set what it does.\v ",
		.children = children,
		.help_filter = list_commands,
	};
	struct inputs in = { .command = front, .ctl = ctl };

	argp_parse(&argp, argc, argv, ARGP_IN_ORDER, NULL, &in);
}

/* @argv[0] becomes what messages call the command. */
static int run_command(struct ctl *ctl, const struct command *command, int argc,
		       char **argv)
{
	char *name;
	int status;

	if (asprintf(&name, "%s %s", program_invocation_short_name,
		     command->name) < 0)
		return ctl_fail(-ENOMEM, "%s", command->name);
	argv[0] = name;
	status = command->main(ctl, argc, argv);
	free(name);
	return status;
}

/* ---- help ---- */

static error_t help_parse(int key, char *arg, struct argp_state *state)
{
	const struct command **command = state->input;

	if (key != ARGP_KEY_ARG)
		return ARGP_ERR_UNKNOWN;
	if (*command)
		argp_error(state, "%s: one command at a time", arg);
	*command = find_command(arg);
	if (!*command)
		argp_error(state, "%s: no such command", arg);
	return 0;
}

static int help_main(struct ctl *ctl, int argc, char **argv)
{
	static const struct argp argp = {
		.parser = help_parse,
		.args_doc = "[COMMAND]",
		.doc = "Explain a command, or list them all.",
	};
	const struct command *command = NULL;
	char help[] = "--help";
	char *ask[] = { program_invocation_short_name, help, NULL };
	struct front front = { 0 };

	ctl_parse(ctl, &argp, argc, argv, &command);
	if (command)
		return run_command(ctl, command, 2, ask);	/* exits */
	parse_front(ctl, 2, ask, &front);			/* exits */
	return EXIT_FAILURE;
}

int main(int argc, char **argv)
{
	struct ctl ctl = { 0 };
	struct front front = { 0 };
	int status;

	setlocale(LC_CTYPE, "");
	argp_program_version = "pagefsctl " PAGEFS_VERSION;
	argp_err_exit_status = EXIT_USAGE;
	parse_front(&ctl, argc, argv, &front);
	status = run_command(&ctl, front.command, argc - front.next,
			     argv + front.next);
	free(ctl.mount);
	free(ctl.source);
	return status;
}
