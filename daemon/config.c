// SPDX-License-Identifier: BSD-2-Clause
/*
 * daemon/config.c - the command line
 *
 *   pagefsd [options] BACKING_DIR MOUNTPOINT
 *   mount.pagefs BACKING_DIR MOUNTPOINT [-sfnv] [-o options]
 *
 * The second form is how mount(8) calls its helpers, links to pagefsd by the
 * name of mount.*; it differs in what the short options mean (-f is "fake").
 * `mount -t fuse.pagefs` uses the first, by way of mount.fuse3 and a link with
 * the name of pagefs. What can be said in /etc/fstab goes through -o:
 *
 *   -o memory=64M,cache=none,noatime,_netdev
 *         \_________________/   |        \__ mount(8)'s own: ignored
 *                ours         libfuse's, which refuses what it does not know
 */
#include <errno.h>
#include <getopt.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "compiler.h"
#include "mm.h"
#include "mmzone.h"
#include "config.h"
#include "http.h"
#include "log.h"
#include "pagefs_fs.h"

#ifndef PAGEFS_VERSION
#define PAGEFS_VERSION "(unversioned build)"
#endif

/* The arena when nothing is said. Arbitrary: a small part of any machine. */
#define DEFAULT_MEMORY	(256 * SZ_1M)

enum {
	OPT_MEMORY = 256,
	OPT_CACHE,
	OPT_ALLOW_OTHER,
	OPT_LATENCY,
	OPT_SOCKET,
	OPT_TRACK_STORES,
	OPT_HTTP,
	OPT_HTTP_ALLOW_REMOTE,
	OPT_LOG_LEVEL,
	OPT_SWAP,
	OPT_FAKE_NODES,
};

static const struct option long_options[] = {
	{ "memory", required_argument, NULL, OPT_MEMORY },
	{ "cache", required_argument, NULL, OPT_CACHE },
	{ "allow-other", no_argument, NULL, OPT_ALLOW_OTHER },
	{ "latency", required_argument, NULL, OPT_LATENCY },
	{ "socket", required_argument, NULL, OPT_SOCKET },
	{ "track-stores", required_argument, NULL, OPT_TRACK_STORES },
	{ "http", required_argument, NULL, OPT_HTTP },
	{ "http-allow-remote", no_argument, NULL, OPT_HTTP_ALLOW_REMOTE },
	{ "swap", required_argument, NULL, OPT_SWAP },
	{ "foreground", no_argument, NULL, 'f' },
	{ "log-level", required_argument, NULL, OPT_LOG_LEVEL },
	{ "fake-nodes", required_argument, NULL, OPT_FAKE_NODES },
	{ "options", required_argument, NULL, 'o' },
	{ "help", no_argument, NULL, 'h' },
	{ "version", no_argument, NULL, 'V' },
	{ NULL, 0, NULL, 0 },
};

static const char help_text[] =
"Usage: pagefsd [options] BACKING_DIR MOUNTPOINT\n"
"Mount BACKING_DIR on MOUNTPOINT, its files in a page cache of our own.\n"
"\n"
"  --memory=SIZE        memory for file data and all metadata, K M G T\n"
"                       understood (default 256M, at least 16M)\n"
"  --cache=MODE         what the kernel may cache on top:\n"
"                         through    reads; writes come to us at once (default)\n"
"                         none       nothing\n"
"                         writeback  reads, and it gathers small writes\n"
"  --allow-other        users other than you may use the mount\n"
"  --latency=MODE       low (default; as root keeps CPUs from deep sleep while\n"
"                       requests come) or normal\n"
"  --socket=PATH        where programs connect that map files from the cache;\n"
"                       none: nowhere (default: below /run/pagefs, or the user's\n"
"                       runtime directory)\n"
"  --track-stores=HOW   how the first stores of programs to a page are noticed:\n"
"                         auto   by scanning, where kernel and file allow it\n"
"                                (default)\n"
"                         fault  each by a fault\n"
"  --http=ADDRESS:PORT  serve a live page for browsers, and /metrics, at an address\n"
"                       of this machine alone: 127.0.0.1:8080 or [::1]:8080; port\n"
"                       0: a free one, see .pagefs/http (default: nowhere)\n"
"  --http-allow-remote  the address may be one that others can reach: whoever can\n"
"                       sees names of files\n"
"  --swap=FILE[:SIZE[:PRIORITY]]\n"
"                       where memory without a file goes when it is short; may be\n"
"                       repeated. With a SIZE a file that is not there is made.\n"
"                       Higher priorities (to 32767) are used first\n"
"  -f, --foreground     do not detach; messages go to stderr\n"
"  --log-level=LEVEL    error, warn, info (default) or debug\n"
"  -o OPTION[,...]      mount options: memory=, cache=, log_level=, latency=,\n"
"                       socket=, track_stores=, swap=, http=, http_allow_remote,\n"
"                       allow_other, and those of FUSE (ro, noatime, dev, suid, fsname=, ...)\n"
"  --fake-nodes=N       for tests: split the memory into N NUMA nodes\n"
"  -h, --help           this text\n"
"  -V, --version        the version\n"
"\n"
"Unmount with umount MOUNTPOINT or fusermount3 -u MOUNTPOINT. See pagefsd(8).\n";

static const char *const cache_modes[] = { "through", "none", "writeback" };

const char *config_cache_name(const struct config *config)
{
	return cache_modes[config->cache];
}

/* ---- values ---- */

static int unit_shift(const char *unit)
{
	static const char units[] = "KMGT";
	const char *at;

	if (!*unit)
		return 0;
	at = strchr(units, *unit & ~0x20);	/* upper case */
	if (!at || unit[1])
		return -EINVAL;
	return 10 * (int)(at - units + 1);
}

/* "64M": bytes, or a number with K, M, G or T. Return: 0, -EINVAL, -ERANGE. */
static int parse_size(const char *text, size_t *sizep)
{
	unsigned long long value;
	char *end;
	int shift;

	if (*text < '0' || *text > '9')		/* strtoull takes " -1" */
		return -EINVAL;
	errno = 0;
	value = strtoull(text, &end, 10);
	if (errno)
		return -ERANGE;
	shift = unit_shift(end);
	if (shift < 0)
		return shift;
	if (value > SIZE_MAX >> shift)
		return -ERANGE;
	*sizep = (size_t)value << shift;
	return 0;
}

static int set_memory(struct config *config, const char *text)
{
	size_t size;
	int err = parse_size(text, &size);

	if (err) {
		log_msg(LOG_ERR, "memory=%s: not a size; say for example 256M",
			text);
		return err;
	}
	if (size < MM_MIN_BYTES) {
		log_msg(LOG_ERR, "memory=%s: too little; the least is %luM",
			text, MM_MIN_BYTES / SZ_1M);
		return -EINVAL;
	}
	config->memory = size;
	return 0;
}

static int set_cache(struct config *config, const char *text)
{
	for (size_t i = 0; i < ARRAY_SIZE(cache_modes); i++) {
		if (!strcmp(text, cache_modes[i])) {
			config->cache = (int)i;
			return 0;
		}
	}
	log_msg(LOG_ERR, "cache=%s: must be through, none or writeback", text);
	return -EINVAL;
}

static int set_log_level(struct config *config, const char *text)
{
	int level = log_parse_level(text);

	if (level < 0) {
		log_msg(LOG_ERR, "log-level=%s: must be error, warn, info or debug",
			text);
		return level;
	}
	config->log_level = level;
	return 0;
}

static int set_track_stores(struct config *config, const char *text)
{
	if (strcmp(text, "auto") && strcmp(text, "fault")) {
		log_msg(LOG_ERR, "track-stores=%s: must be auto or fault", text);
		return -EINVAL;
	}
	config->scan_stores = !strcmp(text, "auto");
	return 0;
}

static int set_latency(struct config *config, const char *text)
{
	if (strcmp(text, "low") && strcmp(text, "normal")) {
		log_msg(LOG_ERR, "latency=%s: must be low or normal", text);
		return -EINVAL;
	}
	config->low_latency = !strcmp(text, "low");
	return 0;
}

/*
 * The path as it is from everywhere. One that cannot be resolved stays as it
 * is, made absolute: whoever opens it knows best what to say.
 */
static char *absolute_path(const char *path)
{
	char *abs = realpath(path, NULL), *cwd;

	if (abs || path[0] == '/')
		return abs ?: strdup(path);
	cwd = getcwd(NULL, 0);
	if (!cwd || asprintf(&abs, "%s/%s", cwd, path) < 0)
		abs = NULL;
	free(cwd);
	return abs;
}

static int set_socket(struct config *config, const char *text)
{
	char *path = NULL;

	if (!*text) {
		log_msg(LOG_ERR, "socket=: say a path, or none");
		return -EINVAL;
	}
	if (strcmp(text, "none")) {
		path = absolute_path(text);
		if (!path) {
			log_msg(LOG_ERR, "out of memory");
			return -ENOMEM;
		}
	}
	free(config->socket);
	config->socket = path;
	return 0;
}

/* From where it is started: the path may be relative. */
static int set_swap(struct config *config, const char *text)
{
	struct fs_swap swap, *swaps;
	char msg[512], *path;

	if (fs_parse_swap(text, &swap, msg, sizeof(msg))) {
		log_msg(LOG_ERR, "swap=%s: %s", text, msg);
		return -EINVAL;
	}
	path = absolute_path(swap.path);
	swaps = reallocarray(config->swaps, config->nr_swaps + 1, sizeof(*swaps));
	if (swaps)
		config->swaps = swaps;
	if (!path || !swaps) {
		free(path);
		log_msg(LOG_ERR, "out of memory");
		return -ENOMEM;
	}
	if (strlen(path) >= sizeof(swap.path)) {
		log_msg(LOG_ERR, "swap=%s: the path is too long", text);
		free(path);
		return -EINVAL;
	}
	strcpy(swap.path, path);
	free(path);
	swaps[config->nr_swaps++] = swap;
	return 0;
}

static int set_http(struct config *config, const char *text)
{
	struct http_address address;
	char *copy;

	if (http_parse_address(text, &address)) {
		log_msg(LOG_ERR, "http=%s: not an address and a port; say for example 127.0.0.1:8080 or [::1]:8080",
			text);
		return -EINVAL;
	}
	copy = strdup(text);
	if (!copy) {
		log_msg(LOG_ERR, "out of memory");
		return -ENOMEM;
	}
	free(config->http);
	config->http = copy;
	return 0;
}

/* Options come in any order: when all have been read. */
static int check_http(const struct config *config)
{
	struct http_address address;

	if (!config->http || config->http_remote ||
	    http_parse_address(config->http, &address) ||
	    http_is_loopback(&address))
		return 0;
	log_msg(LOG_ERR, "http=%s: others can reach this address; 127.0.0.1 and [::1] are this machine's alone. If it is meant, say http-allow-remote",
		config->http);
	return -EINVAL;
}

static int set_fake_nodes(struct config *config, const char *text)
{
	char *end;
	long nr = strtol(text, &end, 10);

	if (*end || end == text || nr < 1 || nr > MAX_NUMNODES) {
		log_msg(LOG_ERR, "fake-nodes=%s: must be 1 to %d", text,
			MAX_NUMNODES);
		return -EINVAL;
	}
	config->fake_nodes = (int)nr;
	return 0;
}

/* ---- -o ---- */

/* For mount(8), for /etc/fstab, or the default anyway. */
static bool is_ignored(const char *opt)
{
	static const char *const ignored[] = {
		"_netdev", "auto", "noauto", "defaults", "fail", "nofail",
		"user", "nouser", "users", "nousers", "owner", "noowner",
		"group", "nogroup", "relatime", "norelatime", "nodiratime",
		"diratime", "nostrictatime", "lazytime", "nolazytime",
		"noiversion", "nomand", "symfollow", "silent", "loud",
	};

	for (size_t i = 0; i < ARRAY_SIZE(ignored); i++)
		if (!strcmp(opt, ignored[i]))
			return true;
	return !strncmp(opt, "x-", 2) || !strncmp(opt, "X-", 2) ||
		!strncmp(opt, "comment=", 8);
}

static int pass_on(struct config *config, const char *opt)
{
	char *longer;

	if (asprintf(&longer, "%s%s%s", config->fuse_opts ?: "",
		     config->fuse_opts ? "," : "", opt) < 0) {
		log_msg(LOG_ERR, "out of memory");
		return -ENOMEM;
	}
	free(config->fuse_opts);
	config->fuse_opts = longer;
	return 0;
}

static int set_mount_option(struct config *config, const char *opt)
{
	if (!*opt || is_ignored(opt))
		return 0;
	if (!strncmp(opt, "memory=", 7))
		return set_memory(config, opt + 7);
	if (!strncmp(opt, "cache=", 6))
		return set_cache(config, opt + 6);
	if (!strncmp(opt, "latency=", 8))
		return set_latency(config, opt + 8);
	if (!strncmp(opt, "socket=", 7))
		return set_socket(config, opt + 7);
	if (!strncmp(opt, "track_stores=", 13))
		return set_track_stores(config, opt + 13);
	if (!strncmp(opt, "swap=", 5))
		return set_swap(config, opt + 5);
	if (!strncmp(opt, "http=", 5))
		return set_http(config, opt + 5);
	if (!strncmp(opt, "log_level=", 10))
		return set_log_level(config, opt + 10);
	if (!strncmp(opt, "fake_nodes=", 11))
		return set_fake_nodes(config, opt + 11);
	if (!strcmp(opt, "remount")) {
		log_msg(LOG_ERR, "remount: options cannot be changed; unmount, and mount again");
		return -EINVAL;
	}
	if (!strcmp(opt, "foreground"))
		config->foreground = true;
	else if (!strcmp(opt, "allow_other"))
		config->allow_other = true;
	else if (!strcmp(opt, "http_allow_remote"))
		config->http_remote = true;
	else
		return pass_on(config, opt);
	return 0;
}

/* A comma behind a backslash is part of the value, as in libfuse. */
static char *end_of_option(char *opt)
{
	while (*opt && *opt != ',')
		opt += *opt == '\\' && opt[1] ? 2 : 1;
	return opt;
}

static int set_mount_options(struct config *config, char *list)
{
	char *end;
	int err = 0;

	while (*list && !err) {
		end = end_of_option(list);
		if (*end)
			*end++ = '\0';
		err = set_mount_option(config, list);
		list = end;
	}
	return err;
}

/* ---- the command line ---- */

static int set_option(struct config *config, int opt, char *arg)
{
	switch (opt) {
	case OPT_MEMORY:
		return set_memory(config, arg);
	case OPT_CACHE:
		return set_cache(config, arg);
	case OPT_LOG_LEVEL:
		return set_log_level(config, arg);
	case OPT_TRACK_STORES:
		return set_track_stores(config, arg);
	case OPT_LATENCY:
		return set_latency(config, arg);
	case OPT_SOCKET:
		return set_socket(config, arg);
	case OPT_SWAP:
		return set_swap(config, arg);
	case OPT_HTTP:
		return set_http(config, arg);
	case OPT_HTTP_ALLOW_REMOTE:
		config->http_remote = true;
		return 0;
	case OPT_FAKE_NODES:
		return set_fake_nodes(config, arg);
	case OPT_ALLOW_OTHER:
		config->allow_other = true;
		return 0;
	case 'f':
		config->foreground = true;
		return 0;
	case 'o':
		return set_mount_options(config, arg);
	default:
		return -EINVAL;		/* getopt has said what is wrong */
	}
}

/* mount(8)'s: -s sloppy, -n no mtab, -v verbose, -N and -t with a value. */
static int set_helper_option(struct config *config, int opt, char *arg)
{
	if (opt == 'f')
		config->dry_run = true;
	else if (opt == 'r')
		return pass_on(config, "ro");
	else if (!strchr("snvwNt", opt))
		return set_option(config, opt, arg);
	return 0;
}

static bool is_mount_helper(const char *argv0)
{
	const char *slash = strrchr(argv0, '/');

	return !strncmp(slash ? slash + 1 : argv0, "mount.", 6);
}

static enum config_verdict set_operands(struct config *config, int nr,
					char **operands)
{
	/* An empty one would be taken for the current directory. */
	if (nr != 2 || !*operands[0] || !*operands[1]) {
		log_msg(LOG_ERR, "%s; see pagefsd --help",
			nr > 2 ? "too many operands" :
			nr < 1 || !*operands[0] ? "no backing directory given" :
			"no mountpoint given");
		return CONFIG_USAGE;
	}
	config->backing_dir = absolute_path(operands[0]);
	config->mountpoint = absolute_path(operands[1]);
	if (!config->backing_dir || !config->mountpoint) {
		log_msg(LOG_ERR, "out of memory");
		return CONFIG_ERROR;
	}
	return CONFIG_RUN;
}

static enum config_verdict parse(int argc, char **argv, struct config *config)
{
	bool helper = is_mount_helper(argv[0]);
	const char *shorts = helper ? "o:fsnvrwN:t:hV" : "o:fhV";
	int opt, err;

	while ((opt = getopt_long(argc, argv, shorts, long_options, NULL)) != -1) {
		if (opt == 'h') {
			fputs(help_text, stdout);
			return CONFIG_DONE;
		}
		if (opt == 'V') {
			puts("pagefsd " PAGEFS_VERSION);
			return CONFIG_DONE;
		}
		err = helper ? set_helper_option(config, opt, optarg) :
			set_option(config, opt, optarg);
		if (err)
			return err == -ENOMEM ? CONFIG_ERROR : CONFIG_USAGE;
	}
	if (check_http(config))
		return CONFIG_USAGE;
	return set_operands(config, argc - optind, argv + optind);
}

enum config_verdict config_parse(int argc, char **argv, struct config *config)
{
	struct config parsed = {
		.memory = DEFAULT_MEMORY,
		.log_level = LOG_INFO,
		.fake_nodes = 1,
		.low_latency = true,
		.scan_stores = true,
		.socket = strdup(""),
	};
	enum config_verdict verdict;

	if (!parsed.socket) {
		log_msg(LOG_ERR, "out of memory");
		return CONFIG_ERROR;
	}
	verdict = parse(argc, argv, &parsed);
	if (verdict == CONFIG_RUN)
		*config = parsed;
	else
		config_free(&parsed);
	return verdict;
}

void config_free(struct config *config)
{
	free(config->backing_dir);
	free(config->mountpoint);
	free(config->socket);
	free(config->http);
	free(config->swaps);
	free(config->fuse_opts);
}
