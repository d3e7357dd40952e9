// SPDX-License-Identifier: BSD-2-Clause
/*
 * bench/hotset.c - is what is used often still in memory after a scan?
 *
 *   thread 1   touches pages of the hot file in random order, through a mapping
 *   thread 2   after a while reads the other file from its start to its end
 *
 * mincore(2) says which of the hot pages are in memory: once before the scan, and
 * ten times a second during it. It prints one line of JSON:
 *
 *   before, during	 share of the hot file in memory; during: the mean
 *   touches_before, touches_during   a second
 *   scan_mb_s		 of the scan
 */
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "clock.h"
#include "options.h"
#include "splitmix.h"

#define PAGE	4096u
#define CHUNK	(1u << 20)

static struct {
	const char *hot_path, *scan_path;
	double warm;			/* seconds */
	bool random, mapped;

	char *hot;
	size_t nr_pages;
	int scan_fd;
	atomic_ulong touches;
	atomic_bool stop;
	atomic_ulong scanned;		/* bytes */
	int scan_err;
} h = { .warm = 3 };

static void fail(const char *what, int err)
{
	fprintf(stderr, "hotset: %s: %s\n", what, strerror(err));
	exit(EXIT_FAILURE);
}

static void *touch(void *arg)
{
	uint64_t x = 1;
	unsigned long sum = 0;

	(void)arg;
	while (!atomic_load_explicit(&h.stop, memory_order_relaxed)) {
		for (unsigned int i = 0; i < 64; i++)
			sum += *(volatile unsigned char *)
				(h.hot + splitmix64(&x) % h.nr_pages * PAGE);
		atomic_fetch_add_explicit(&h.touches, 64, memory_order_relaxed);
	}
	return (void *)sum;
}

static int scan_by_read(void)
{
	char *buf = malloc(CHUNK);
	ssize_t got;

	if (!buf)
		return ENOMEM;
	while ((got = read(h.scan_fd, buf, CHUNK)) > 0)
		atomic_fetch_add(&h.scanned, (unsigned long)got);
	got = got < 0 ? errno : 0;
	free(buf);
	return (int)got;
}

static int scan_by_mapping(void)
{
	unsigned long sum = 0;
	struct stat st;
	char *map;

	if (fstat(h.scan_fd, &st))
		return errno;
	map = mmap(NULL, (size_t)st.st_size, PROT_READ, MAP_SHARED, h.scan_fd, 0);
	if (map == MAP_FAILED)
		return errno;
	for (off_t pos = 0; pos < st.st_size; pos += PAGE) {
		sum += *(volatile unsigned char *)(map + pos);
		atomic_store(&h.scanned, (unsigned long)pos + PAGE);
	}
	munmap(map, (size_t)st.st_size);
	return sum ? 0 : EBADMSG;	/* the file has random bytes */
}

static void *scan(void *arg)
{
	h.scan_err = h.mapped ? scan_by_mapping() : scan_by_read();
	atomic_store((atomic_bool *)arg, true);
	return NULL;
}

static double resident(unsigned char *vec)
{
	size_t nr = 0;

	if (mincore(h.hot, h.nr_pages * PAGE, vec))
		fail("mincore", errno);
	for (size_t i = 0; i < h.nr_pages; i++)
		nr += vec[i] & 1;
	return (double)nr / (double)h.nr_pages;
}

static void map_hot(void)
{
	int fd = open(h.hot_path, O_RDONLY);
	struct stat st;

	if (fd < 0 || fstat(fd, &st))
		fail(h.hot_path, errno);
	h.nr_pages = (size_t)st.st_size / PAGE;
	if (!h.nr_pages)
		fail(h.hot_path, EINVAL);
	h.hot = mmap(NULL, h.nr_pages * PAGE, PROT_READ, MAP_SHARED, fd, 0);
	if (h.hot == MAP_FAILED)
		fail(h.hot_path, errno);
	if (h.random && madvise(h.hot, h.nr_pages * PAGE, MADV_RANDOM))
		fail("madvise", errno);
	close(fd);
	for (unsigned int pass = 0; pass < 2; pass++)
		for (size_t i = 0; i < h.nr_pages; i++)
			(void)*(volatile unsigned char *)(h.hot + i * PAGE);
}

static void sleep_s(double s)
{
	usleep((useconds_t)(s * 1e6));
}

static void measure(void)
{
	unsigned char *vec = malloc(h.nr_pages);
	double began, seconds, before, during = 0;
	unsigned long touches, nr = 0;
	atomic_bool done = false;
	pthread_t toucher, scanner;
	int err;

	if (!vec)
		fail("memory", ENOMEM);
	err = pthread_create(&toucher, NULL, touch, NULL);
	if (err)
		fail("thread", err);
	sleep_s(h.warm);
	touches = atomic_load(&h.touches);
	began = now();
	sleep_s(1);
	printf("{\"touches_before\":%.0f",
	       (double)(atomic_load(&h.touches) - touches) / (now() - began));
	before = resident(vec);

	touches = atomic_load(&h.touches);
	began = now();
	err = pthread_create(&scanner, NULL, scan, &done);
	if (err)
		fail("thread", err);
	while (!atomic_load(&done)) {
		sleep_s(0.1);
		during += resident(vec);
		nr++;
	}
	pthread_join(scanner, NULL);
	seconds = now() - began;
	atomic_store(&h.stop, true);
	pthread_join(toucher, NULL);
	if (h.scan_err)
		fail(h.scan_path, h.scan_err);
	printf(",\"touches_during\":%.0f,\"before\":%.4f,\"during\":%.4f,\"scan_mb_s\":%.1f}\n",
	       (double)(atomic_load(&h.touches) - touches) / seconds, before,
	       during / (double)nr, (double)atomic_load(&h.scanned) / seconds / 1e6);
	free(vec);
}

static void usage(FILE *f)
{
	fputs("usage: hotset --hot=FILE --scan=FILE [options]\n"
	      "  --warm=S     touch before the scan, seconds (3)\n"
	      "  --random     tell the kernel that touches are random\n"
	      "  --mapped     scan through a mapping, not by read(2)\n", f);
}

int main(int argc, char **argv)
{
	static const struct program_option options[] = {
		{ .name = "hot", .text = &h.hot_path },
		{ .name = "scan", .text = &h.scan_path },
		{ .name = "warm", .seconds = &h.warm },
		{ .name = "random", .on = &h.random },
		{ .name = "mapped", .on = &h.mapped },
		{ 0 },
	};
	int first = parse_options(options, argc, argv, usage);

	if (!first || first != argc || !h.hot_path || !h.scan_path) {
		usage(stderr);
		return 2;
	}
	h.scan_fd = open(h.scan_path, O_RDONLY);
	if (h.scan_fd < 0)
		fail(h.scan_path, errno);
	map_hot();
	measure();
	return EXIT_SUCCESS;
}
