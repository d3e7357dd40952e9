// SPDX-License-Identifier: BSD-2-Clause
/*
 * client/run.c - pagefs-run: start a program whose mappings pagefs serves
 *
 *   pagefs-run PROGRAM ARGS  -->  LD_PRELOAD=libpagefs-preload.so PROGRAM ARGS
 *
 * The library is looked for beside this program as the build leaves it, and
 * where it is installed; PAGEFS_PRELOAD names another.
 *
 * Exit status as of env(1): the program's; 125 for what fails here, 126 if the
 * program cannot be run, 127 if it is not found.
 */
#include <ctype.h>
#include <errno.h>
#include <getopt.h>
#include <limits.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define LIBRARY		"libpagefs-preload.so"
#define EXIT_OURS	125
#define EXIT_CANNOT_RUN	126
#define EXIT_NOT_FOUND	127

static const char usage[] =
"Usage: pagefs-run [OPTION] [--] PROGRAM [ARGUMENT...]\n"
"Run PROGRAM with mmap(2) of files on pagefs mounts served by the daemon.\n"
"\n"
"  -a, --anon[=MIN]  memory of the program, too: what it maps or allocates in\n"
"                 pieces of MIN bytes or more (default 1M), and private copies\n"
"                 of files; with --mount\n"
"  -m, --mount=DIR  the mount whose daemon has it\n"
"  -d, --direct   open files for reading and writing with O_DIRECT, if they are\n"
"                 pagefs files: no copies in the kernel, and first stores to\n"
"                 mapped pages cost a fifth (see pagefsd(8), --track-stores)\n"
"  -q, --quiet    say nothing about mappings that the kernel serves instead\n"
"  -v, --verbose  say it for each of them, not once for each reason\n"
"  -h, --help     print this\n"
"  -V, --version  print the version\n"
"\n"
"PAGEFS_PRELOAD names the library to load instead of " LIBRARY ".\n";

static const struct option options[] = {
	{ "anon", optional_argument, NULL, 'a' },
	{ "mount", required_argument, NULL, 'm' },
	{ "direct", no_argument, NULL, 'd' },
	{ "quiet", no_argument, NULL, 'q' },
	{ "verbose", no_argument, NULL, 'v' },
	{ "help", no_argument, NULL, 'h' },
	{ "version", no_argument, NULL, 'V' },
	{ NULL, 0, NULL, 0 },
};

/* DIRECTORY OF THIS PROGRAM/.libs/LIBRARY, if it is there. */
static bool find_built(char *path, size_t size)
{
	ssize_t len = readlink("/proc/self/exe", path, size - 1);
	char *slash;

	if (len < 0)
		return false;
	path[len] = '\0';
	slash = strrchr(path, '/');
	if (!slash)
		return false;
	len = slash + 1 - path;
	if ((size_t)snprintf(slash + 1, size - (size_t)len, ".libs/%s",
			     LIBRARY) >= size - (size_t)len)
		return false;
	return !access(path, R_OK);
}

/* Return: the library to load, or NULL. */
static const char *find_library(char *path, size_t size)
{
	const char *env = getenv("PAGEFS_PRELOAD");

	if (env && *env)
		return access(env, R_OK) ? NULL : env;
	if (find_built(path, size))
		return path;
	snprintf(path, size, "%s/%s", PAGEFS_PKGLIBDIR, LIBRARY);
	return access(path, R_OK) ? NULL : path;
}

/* Before what is to be loaded already. 0 or -errno. */
static int set_preload(const char *library)
{
	const char *old = getenv("LD_PRELOAD");
	char *value;
	int err;

	/* It separates by these. */
	if (strpbrk(library, ": "))
		return -EINVAL;
	if (asprintf(&value, "%s%s%s", library, old && *old ? ":" : "",
		     old ? old : "") < 0)
		return -ENOMEM;
	err = setenv("LD_PRELOAD", value, 1) ? -errno : 0;
	free(value);
	return err;
}

static void fail(const char *what, const char *why)
{
	fprintf(stderr, "pagefs-run: %s: %s\n", what, why);
	exit(EXIT_OURS);
}

/* Bytes, to the environment: the library need not know of suffixes. */
static void set_anon(const char *arg)
{
	const char *suffixes = "KMG", *suffix;
	unsigned long long min;
	char *end, value[32];

	errno = 0;
	min = strtoull(arg ?: "1M", &end, 10);
	suffix = *end ? strchr(suffixes, *end) : NULL;
	if (errno || (arg && !isdigit((unsigned char)*arg)) || !min ||
	    min > 1ULL << 33 || (*end && (!suffix || end[1])))
		fail(arg, "no size: a number with K, M or G");
	if (suffix)
		min <<= 10 * (suffix - suffixes + 1);
	snprintf(value, sizeof(value), "%llu", min);
	setenv("PAGEFS_RUN_ANON", value, 1);
}

/* As the program will find it, whatever its directory is. */
static void set_mount(const char *arg)
{
	char *path = realpath(arg, NULL);

	if (!path)
		fail(arg, strerror(errno));
	setenv("PAGEFS_RUN_MOUNT", path, 1);
	free(path);
}

static void parse(int argc, char **argv)
{
	bool anon = false, mount = false;
	int opt;

	while ((opt = getopt_long(argc, argv, "+a::m:dqvhV", options,
				  NULL)) != -1) {
		switch (opt) {
		case 'a':
			set_anon(optarg);
			anon = true;
			break;
		case 'm':
			set_mount(optarg);
			mount = true;
			break;
		case 'd':
			setenv("PAGEFS_RUN_DIRECT", "1", 1);
			break;
		case 'q':
			setenv("PAGEFS_RUN_QUIET", "1", 1);
			break;
		case 'v':
			setenv("PAGEFS_RUN_VERBOSE", "1", 1);
			break;
		case 'h':
			fputs(usage, stdout);
			exit(EXIT_SUCCESS);
		case 'V':
			puts("pagefs-run " PAGEFS_VERSION);
			exit(EXIT_SUCCESS);
		default:
			fputs("Try `pagefs-run --help'.\n", stderr);
			exit(EXIT_OURS);
		}
	}
	if (anon != mount)
		fail(anon ? "--anon" : "--mount",
		     "--anon and --mount go together");
}

int main(int argc, char **argv)
{
	char path[PATH_MAX];
	const char *library;
	int err;

	parse(argc, argv);
	argv += optind;
	if (!*argv) {
		fputs("pagefs-run: no program is named\n"
		      "Try `pagefs-run --help'.\n", stderr);
		return EXIT_OURS;
	}
	library = find_library(path, sizeof(path));
	if (!library) {
		fprintf(stderr, "pagefs-run: %s: not found\n",
			getenv("PAGEFS_PRELOAD") ?: LIBRARY);
		return EXIT_OURS;
	}
	err = set_preload(library);
	if (err)
		fail(library, err == -EINVAL ? "cannot be preloaded from a path with a blank or a colon" :
		     strerror(-err));
	execvp(argv[0], argv);
	err = errno;
	fprintf(stderr, "pagefs-run: %s: %s\n", argv[0], strerror(err));
	return err == ENOENT ? EXIT_NOT_FOUND : EXIT_CANNOT_RUN;
}
