// SPDX-License-Identifier: BSD-2-Clause
/*
 * bench/count.c - FUSE requests and processor time of a timed stretch
 *
 * Requests are counted by the kernel's tracepoint fuse:fuse_request_send
 * (Linux 6.11 and newer), one perf counter an opcode and a processor, filtered
 * by connection, so that other mounts of the machine are not in it. A counter
 * costs the request it counts about 0.1 us, so this is not on by default.
 *
 * Processor time of the daemon comes from /proc/PID/stat, in ticks of 10 ms.
 */
#include <errno.h>
#include <fcntl.h>
#include <linux/perf_event.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/types.h>
#include <unistd.h>

#include "cpu.h"
#include "mount-bench.h"

/* Those a row can cause, by their numbers in <linux/fuse.h>. */
static const struct {
	unsigned int opcode;
	const char *name;
} opcodes[] = {
	{ 1, "LOOKUP" }, { 3, "GETATTR" }, { 4, "SETATTR" }, { 8, "MKNOD" },
	{ 10, "UNLINK" }, { 12, "RENAME" }, { 14, "OPEN" }, { 15, "READ" },
	{ 16, "WRITE" }, { 18, "RELEASE" }, { 20, "FSYNC" },
	{ 22, "GETXATTR" }, { 25, "FLUSH" }, { 34, "ACCESS" },
	{ 35, "CREATE" }, { 45, "RENAME2" }, { 46, "LSEEK" },
};

#define NR_COUNTED	(sizeof(opcodes) / sizeof(opcodes[0]))
#define MAX_CPUS	64	/* arbitrary; the rest is not counted */

static int counters[NR_COUNTED][MAX_CPUS];
static unsigned int nr_cpus;	/* 0: requests are not counted */

static int tracepoint_id(const char *tracefs, unsigned int *idp)
{
	char path[4096];
	FILE *f;
	int found;

	snprintf(path, sizeof(path), "%s/events/fuse/fuse_request_send/id",
		 tracefs);
	f = fopen(path, "r");
	if (!f)
		return -errno;
	found = fscanf(f, "%u", idp);
	fclose(f);
	return found == 1 ? 0 : -EINVAL;
}

static int open_counter(unsigned int id, int cpu, const char *filter)
{
	struct perf_event_attr attr = {
		.type = PERF_TYPE_TRACEPOINT,
		.size = sizeof(attr),
		.config = id,
	};
	int fd = (int)syscall(SYS_perf_event_open, &attr, -1, cpu, -1,
			      PERF_FLAG_FD_CLOEXEC);

	if (fd < 0)
		return -errno;
	if (ioctl(fd, PERF_EVENT_IOC_SET_FILTER, filter) < 0) {
		int err = -errno;

		close(fd);
		return err;
	}
	return fd;
}

int count_open(const struct bench *b)
{
	unsigned int id = 0, cpus = (unsigned int)sysconf(_SC_NPROCESSORS_ONLN);
	char filter[64];
	struct stat st;
	int err;

	if (!b->tracefs)
		return 0;
	err = tracepoint_id(b->tracefs, &id);
	if (err)
		return err;
	if (fstat(b->dirfd, &st) < 0)
		return -errno;
	if (cpus > MAX_CPUS)
		cpus = MAX_CPUS;
	for (size_t i = 0; i < NR_COUNTED; i++) {
		/* The kernel's dev_t of a FUSE mount is its minor number. */
		snprintf(filter, sizeof(filter),
			 "connection == %u && opcode == %u",
			 (unsigned int)st.st_dev, opcodes[i].opcode);
		for (unsigned int cpu = 0; cpu < cpus; cpu++) {
			counters[i][cpu] = open_counter(id, (int)cpu, filter);
			if (counters[i][cpu] < 0)
				return counters[i][cpu];
		}
	}
	nr_cpus = cpus;
	return 0;
}

void count_read(const struct bench *b, struct counts *c)
{
	memset(c, 0, sizeof(*c));
	for (size_t i = 0; i < NR_COUNTED; i++) {
		for (unsigned int cpu = 0; cpu < nr_cpus; cpu++) {
			uint64_t n;

			if (read(counters[i][cpu], &n, sizeof(n)) == sizeof(n))
				c->requests[opcodes[i].opcode] += n;
		}
	}
	c->client_cpu = own_cpu();
	if (b->server_pid)
		c->server_cpu = process_cpu(b->server_pid);
}

void count_print(const struct counts *from, const struct counts *to,
		 uint64_t ops)
{
	const char *sep = "";

	for (size_t i = 0; i < NR_COUNTED; i++) {
		unsigned int op = opcodes[i].opcode;
		double n = (double)(to->requests[op] - from->requests[op]);

		if (n == 0 || ops == 0)
			continue;
		printf("%s%s=%.3g", sep, opcodes[i].name, n / (double)ops);
		sep = ",";
	}
	if (!*sep)
		printf("-");
}
