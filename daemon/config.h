/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * daemon/config.h - what the command line says
 */
#ifndef PAGEFS_DAEMON_CONFIG_H
#define PAGEFS_DAEMON_CONFIG_H

#include <stdbool.h>
#include <stddef.h>

struct fs_swap;			/* pagefs_fs.h */

/* The strings are the configuration's own, until config_free(). */
struct config {
	char *backing_dir;	/* absolute */
	char *mountpoint;	/* absolute */
	size_t memory;		/* bytes */
	int cache;		/* as fs_mount_options.cache */
	int log_level;		/* as in syslog(3) */
	int fake_nodes;		/* 1: none */
	bool allow_other;
	bool scan_stores;	/* where it can be */
	bool low_latency;	/* as fs_mount_options.low_latency */
	bool foreground;
	bool dry_run;		/* mount(8)'s -f: all but the mounting */
	char *socket;		/* absolute; "": the default; NULL: none */
	char *http;		/* address of the live page, or NULL */
	bool http_remote;	/* it need not be loopback */
	struct fs_swap *swaps;	/* areas to be used from the start */
	unsigned int nr_swaps;
	char *fuse_opts;	/* further -o options, comma separated, or NULL */
};

enum config_verdict {
	CONFIG_RUN,		/* *config is complete */
	CONFIG_DONE,		/* --help or --version: it has been said */
	CONFIG_USAGE,		/* wrong, and stderr says what */
	CONFIG_ERROR,		/* out of memory; stderr says so */
};

/**
 * config_parse - read the command line
 * @argv:   options and operands in any order. Called as mount.*, the options
 *          are those mount(8) gives its helpers
 * @config: filled in for CONFIG_RUN only; then config_free() is due
 */
enum config_verdict config_parse(int argc, char **argv, struct config *config);
void config_free(struct config *config);

/* "through", "none" or "writeback". */
const char *config_cache_name(const struct config *config);

#endif /* PAGEFS_DAEMON_CONFIG_H */
