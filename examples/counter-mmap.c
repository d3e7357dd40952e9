// SPDX-License-Identifier: BSD-2-Clause
/*
 * examples/counter-mmap.c - a number in a file, through mmap(2)
 *
 *	cc -o counter-mmap counter-mmap.c
 *	pagefs-run ./counter-mmap /mnt/number
 *
 * The same as counter.c; it knows nothing of pagefs.
 */
#include <err.h>
#include <fcntl.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

#define LEN	4096

int main(int argc, char **argv)
{
	void *addr;
	int fd;

	if (argc != 2)
		errx(2, "usage: counter-mmap FILE");
	fd = open(argv[1], O_RDWR | O_CREAT, 0666);
	if (fd < 0 || ftruncate(fd, LEN))
		err(EXIT_FAILURE, "%s", argv[1]);
	addr = mmap(NULL, LEN, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	if (addr == MAP_FAILED)
		err(EXIT_FAILURE, "mmap");
	close(fd);
	printf("%lu\n", atomic_fetch_add((atomic_ulong *)addr, 1) + 1);
	if (msync(addr, LEN, MS_SYNC) || munmap(addr, LEN))
		err(EXIT_FAILURE, "%s", argv[1]);
	return EXIT_SUCCESS;
}
