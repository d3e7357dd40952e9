// SPDX-License-Identifier: BSD-2-Clause
/*
 * examples/counter.c - a number in a file, through libpagefs
 *
 *	cc -o counter counter.c $(pkg-config --cflags --libs libpagefs)
 *	./counter /mnt/number
 *
 * Any number of processes may do so at once: each gets another number.
 */
#include <err.h>
#include <errno.h>
#include <fcntl.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>
#include <pagefs/pagefs.h>

#define LEN	4096

static void check(int ret, const char *what)
{
	errno = -ret;
	if (ret)
		err(EXIT_FAILURE, "%s", what);
}

int main(int argc, char **argv)
{
	struct pagefs *p;
	void *addr;
	int fd;

	if (argc != 2)
		errx(2, "usage: counter FILE");
	fd = open(argv[1], O_RDWR | O_CREAT, 0666);
	if (fd < 0 || ftruncate(fd, LEN))
		err(EXIT_FAILURE, "%s", argv[1]);
	check(pagefs_connect(fd, &p), argv[1]);
	check(pagefs_mmap(p, NULL, LEN, PROT_READ | PROT_WRITE, MAP_SHARED, fd,
			  0, &addr), "pagefs_mmap");
	close(fd);
	printf("%lu\n", atomic_fetch_add((atomic_ulong *)addr, 1) + 1);
	check(pagefs_msync(p, addr, LEN, MS_SYNC), "pagefs_msync");
	check(pagefs_munmap(p, addr, LEN), "pagefs_munmap");
	return pagefs_disconnect(p) ? EXIT_FAILURE : EXIT_SUCCESS;
}
