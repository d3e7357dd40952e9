// SPDX-License-Identifier: BSD-2-Clause
/*
 * tests/stress/mapworker.c - a process that does what it is told
 *
 * It knows of its descriptors and its connection and nothing else: where
 * mappings are and what must be in them is the main process's business. One
 * thread, so that what it has just unmapped stays unmapped.
 *
 * OP_FORK: the child answers, and takes the commands from then on; the parent
 * waits for it and reports how it ended.
 */
#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "maptwins.h"
#include "workers.h"

static struct mapper mapper;
static int fds[MAX_FILES][NR_FDS];
static uint8_t *shared;

/* ---- accesses that may fault ---- */

static sigjmp_buf jump;
static volatile sig_atomic_t expected, caught;
static void *volatile caught_addr;
static volatile size_t progress;

static void on_signal(int signo, siginfo_t *info, void *context)
{
	(void)context;
	if (!expected) {
		signal(signo, SIG_DFL);	/* the instruction runs once more */
		return;
	}
	caught = signo;
	caught_addr = info->si_addr;
	siglongjmp(jump, 1);
}

void access_init(void)
{
	struct sigaction sa = {
		.sa_sigaction = on_signal, .sa_flags = SA_SIGINFO,
	};

	sigaction(SIGBUS, &sa, NULL);
	sigaction(SIGSEGV, &sa, NULL);
}

static void copy_bytes(volatile uint8_t *to, const volatile uint8_t *from,
		       size_t len)
{
	for (size_t i = 0; i < len; i++)
		to[i] = from[i];
}

/* x86 and arm64 allow words anywhere; packed tells the compiler. */
struct word {
	uint64_t v;
} __attribute__((packed));

static void copy_words(uint8_t *to, const uint8_t *from, size_t len)
{
	size_t i;

	for (i = 0; i + 8 <= len; i += 8)
		((volatile struct word *)(to + i))->v =
			((const volatile struct word *)(from + i))->v;
	copy_bytes(to + i, from + i, len - i);
}

static void copy_chunk(uint8_t *to, const uint8_t *from, size_t len,
		       enum access how)
{
	switch (how) {
	case BY_BYTES:
		copy_bytes(to, from, len);
		break;
	case BY_WORDS:
		copy_words(to, from, len);
		break;
	default:
		memcpy(to, from, len);
	}
}

/* All that an access may lose in a signal is in progress: volatile. */
static void copy_pages(uint8_t *map, uint8_t *buf, size_t len, bool store,
		       enum access how)
{
	while (progress < len) {
		size_t at = progress, n = len - at;
		size_t room = PAGE - (uintptr_t)(map + at) % PAGE;

		if (n > room && how != ALL_AT_ONCE)
			n = room;
		if (store)
			copy_chunk(map + at, buf + at, n, how);
		else
			copy_chunk(buf + at, map + at, n, how);
		progress = at + n;
	}
}

size_t access_copy(uint8_t *map, uint8_t *buf, size_t len, bool store,
		   enum access how, int *signop, uint64_t *addrp)
{
	progress = 0;
	caught = 0;
	caught_addr = NULL;
	if (!sigsetjmp(jump, 1)) {
		expected = 1;
		copy_pages(map, buf, len, store, how);
	}
	expected = 0;
	*signop = caught;
	*addrp = (uint64_t)(uintptr_t)caught_addr;
	return progress;
}

/* ---- commands ---- */

static int64_t do_open(const struct map_cmd *c)
{
	int *fd = &fds[c->file][c->fd];

	if (*fd >= 0)
		close(*fd);
	*fd = open(file_path(opt.dir, c->file), c->flags | O_CLOEXEC |
		   (opt.direct ? O_DIRECT : 0), 0644);
	return *fd < 0 ? -errno : 0;
}

static int64_t do_close(const struct map_cmd *c)
{
	int *fd = &fds[c->file][c->fd];
	int err = close(*fd) ? -errno : 0;

	*fd = -1;
	return err;
}

/* read(2) and write(2) take turns with their positional kin. */
static int64_t do_read(const struct map_cmd *c, uint8_t *to)
{
	int fd = fds[c->file][c->fd];
	ssize_t n;

	if (c->how && lseek(fd, (off_t)c->pos, SEEK_SET) < 0)
		return -errno;
	n = c->how ? read(fd, to, c->len) : pread(fd, to, c->len, (off_t)c->pos);
	return n < 0 ? -errno : n;
}

static int64_t do_write(const struct map_cmd *c, const uint8_t *from)
{
	int fd = fds[c->file][c->fd];
	ssize_t n;

	if (c->how && lseek(fd, (off_t)c->pos, SEEK_SET) < 0)
		return -errno;
	n = c->how ? write(fd, from, c->len) :
		pwrite(fd, from, c->len, (off_t)c->pos);
	return n < 0 ? -errno : n;
}

static int64_t do_truncate(const struct map_cmd *c)
{
	int err;

	if (c->how)
		err = truncate(file_path(opt.dir, c->file), (off_t)c->pos);
	else
		err = ftruncate(fds[c->file][c->fd], (off_t)c->pos);
	return err ? -errno : 0;
}

static int64_t do_fsync(const struct map_cmd *c)
{
	int fd = fds[c->file][c->fd];

	return (c->how ? fdatasync(fd) : fsync(fd)) ? -errno : 0;
}

static int64_t do_stat(const struct map_cmd *c)
{
	struct stat st;

	return fstat(fds[c->file][c->fd], &st) ? -errno : (int64_t)st.st_size;
}

static int64_t do_mmap(const struct map_cmd *c, uint64_t *addrp)
{
	int fd = fds[c->file][c->fd], err;
	void *at;

	if (c->how == MMAP_RDONLY) {
		fd = open(file_path(opt.dir, c->file), O_RDONLY | O_CLOEXEC);
		if (fd < 0)
			return -errno;
	}
	err = mapper_mmap(&mapper, (void *)(uintptr_t)c->addr, c->len, c->prot,
			  c->flags, fd, (off_t)c->pos, &at);
	if (c->how == MMAP_RDONLY)
		close(fd);
	if (!err)
		*addrp = (uint64_t)(uintptr_t)at;
	return err;
}

static int64_t do_munmap(const struct map_cmd *c, struct map_reply *r)
{
	void *addr = (void *)(uintptr_t)c->addr;
	int err = mapper_munmap(&mapper, addr, c->len);
	uint8_t byte;

	if (!err && !c->how)
		access_copy(addr, &byte, 1, false, BY_BYTES, &r->signo, &r->addr);
	return err;
}

static int64_t do_mremap(const struct map_cmd *c, struct map_reply *r)
{
	void *addr = (void *)(uintptr_t)c->addr, *at;
	int err = mapper_mremap(&mapper, addr, c->len, c->pos, c->flags, &at);

	if (!err)
		r->addr = (uint64_t)(uintptr_t)at;
	return err;
}

static int64_t do_mlock(const struct map_cmd *c, struct map_reply *r)
{
	void *addr = (void *)(uintptr_t)c->addr;
	int err = mapper_mlock(&mapper, addr, c->len);

	if (err)
		return err;
	access_copy(addr, shared, 1, false, BY_BYTES, &r->signo, &r->addr);
	return mapper_munlock(&mapper, addr, c->len);
}

static int64_t do_mincore(const struct map_cmd *c)
{
	unsigned char vec[SLOT_PAGES];

	return mapper_mincore(&mapper, (void *)(uintptr_t)c->addr, c->len, vec);
}

static int64_t do_reconnect(void)
{
	/* Plain mappings have no connection: the main process unmaps them. */
	return mapper_disconnect(&mapper);
}

static int64_t do_fork(void)
{
	pid_t pid = fork_worker();
	int status;

	if (pid < 0)
		return -errno;
	if (!pid)
		return 0;
	while (waitpid(pid, &status, 0) < 0)
		if (errno != EINTR)
			return -errno;
	return status ? WIFSIGNALED(status) ? 1000 + WTERMSIG(status) :
		2000 + WEXITSTATUS(status) : 0;
}

static void do_exit(const struct map_cmd *c)
{
	if (c->how)
		kill(getpid(), SIGKILL);
	_exit(0);
}

static void do_map_op(const struct map_cmd *c, struct map_reply *r)
{
	void *addr = (void *)(uintptr_t)c->addr;

	switch (c->op) {
	case OP_MMAP:
		r->ret = do_mmap(c, &r->addr);
		break;
	case OP_MUNMAP:
		r->ret = do_munmap(c, r);
		break;
	case OP_MPROTECT:
		r->ret = mapper_mprotect(&mapper, addr, c->len, c->prot);
		break;
	case OP_MREMAP:
		r->ret = do_mremap(c, r);
		break;
	case OP_MADVISE:
		r->ret = mapper_madvise(&mapper, addr, c->len, c->flags);
		break;
	case OP_MSYNC:
		r->ret = mapper_msync(&mapper, addr, c->len, c->flags);
		break;
	case OP_MLOCK:
		r->ret = do_mlock(c, r);
		break;
	case OP_MINCORE:
		r->ret = do_mincore(c);
		break;
	case OP_LOAD:
	case OP_STORE:
		r->done = access_copy(addr, shared, c->len, c->op == OP_STORE,
				      (enum access)c->how, &r->signo, &r->addr);
		break;
	default:
		r->ret = -ENOSYS;
	}
}

static void do_op(const struct map_cmd *c, struct map_reply *r)
{
	switch (c->op) {
	case OP_OPEN:
		r->ret = do_open(c);
		break;
	case OP_CLOSE:
		r->ret = do_close(c);
		break;
	case OP_READ:
		r->ret = do_read(c, shared);
		break;
	case OP_WRITE:
		r->ret = do_write(c, shared);
		break;
	case OP_READ_INTO:
		r->ret = do_read(c, (uint8_t *)(uintptr_t)c->addr);
		break;
	case OP_WRITE_FROM:
		r->ret = do_write(c, (uint8_t *)(uintptr_t)c->addr);
		break;
	case OP_TRUNCATE:
		r->ret = do_truncate(c);
		break;
	case OP_FALLOCATE:
		r->ret = fallocate(fds[c->file][c->fd], c->flags, (off_t)c->pos,
				   (off_t)c->len) ? -errno : 0;
		break;
	case OP_FSYNC:
		r->ret = do_fsync(c);
		break;
	case OP_STAT:
		r->ret = do_stat(c);
		break;
	case OP_UNLINK:
		r->ret = unlink(file_path(opt.dir, c->file)) ? -errno : 0;
		break;
	case OP_FORK:
		r->ret = do_fork();
		break;
	case OP_EXIT:
		do_exit(c);
		break;
	case OP_RECONNECT:
		r->ret = do_reconnect();
		break;
	default:
		do_map_op(c, r);
	}
}

void worker_main(int sock, uint8_t *buf)
{
	struct map_cmd c;

	shared = buf;
	mapper.plain = opt.plain;
	memset(fds, -1, sizeof(fds));
	access_init();
	while (recv(sock, &c, sizeof(c), 0) == sizeof(c) && c.op != OP_QUIT) {
		struct map_reply r = { 0 };

		do_op(&c, &r);
		if (send(sock, &r, sizeof(r), MSG_NOSIGNAL) != sizeof(r))
			break;
	}
	mapper_disconnect(&mapper);
}
