// SPDX-License-Identifier: BSD-2-Clause
/*
 * daemon/socket.c - where clients connect: a name in the file system
 *
 *   root             /run/pagefs/MAJ:MIN.sock	   MAJ:MIN is the mount's device
 *   others           $XDG_RUNTIME_DIR/pagefs-MAJ:MIN.sock
 *                    /tmp/pagefs-UID-MAJ:MIN.sock
 *   --socket=PATH    PATH
 *
 * Clients ask the mount for it (PAGEFS_IOC_INFO), so they need not guess, and
 * in /tmp nobody can lie in wait for them.
 *
 * Device numbers are used again at once. A daemon that is about to end may
 * still listen under the number that is ours now, and may find our socket in
 * place of its own: so a default name is taken without asking, and a socket is
 * removed only by who has made it.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <sys/un.h>

#include "internal.h"
#include "pagefs_fs.h"

#define BACKLOG		128	/* of listen(2); arbitrary */

/* Constant while it listens. */
static struct {
	char path[sizeof(((struct sockaddr_un *)0)->sun_path)];
	ino_t ino;
} name;

static int default_path(char *path, size_t size)
{
	const char *dir = getenv("XDG_RUNTIME_DIR");
	dev_t dev = fs_mount_dev();
	int len;

	if (!geteuid()) {
		if (mkdir("/run/pagefs", 0755) && errno != EEXIST)
			return -errno;
		len = snprintf(path, size, "/run/pagefs/%u:%u.sock",
			       major(dev), minor(dev));
	} else if (dir && *dir == '/') {
		len = snprintf(path, size, "%s/pagefs-%u:%u.sock", dir,
			       major(dev), minor(dev));
	} else {
		len = snprintf(path, size, "/tmp/pagefs-%u-%u:%u.sock",
			       geteuid(), major(dev), minor(dev));
	}
	return len < (int)size ? 0 : -ENAMETOOLONG;
}

static int new_socket(void)
{
	int fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);

	return fd < 0 ? -errno : fd;
}

/* Does anybody listen there? Return: 0: no; -EADDRINUSE, or another error. */
static int try_socket(const struct sockaddr_un *addr)
{
	int fd = new_socket(), err = 0;

	if (fd < 0)
		return fd;
	if (!connect(fd, (const void *)addr, sizeof(*addr)) || errno == EAGAIN)
		err = -EADDRINUSE;
	else if (errno != ECONNREFUSED)
		err = -errno;
	close(fd);
	return err;
}

/* What a killed daemon leaves behind; or what has @our name. */
static int remove_stale(const struct sockaddr_un *addr, bool ours)
{
	struct stat st;
	int err;

	if (lstat(addr->sun_path, &st))
		return -errno;
	if (!S_ISSOCK(st.st_mode))
		return -EEXIST;
	err = ours ? 0 : try_socket(addr);
	if (!err && unlink(addr->sun_path))
		err = -errno;
	return err;
}

/* Return: 0 or -errno. */
static int listen_at(int fd, const struct sockaddr_un *addr, bool ours,
		     mode_t mode)
{
	int err = 0;

	/* Before it has a name: what bind() makes takes over the mode. */
	if (fchmod(fd, mode) || bind(fd, (const void *)addr, sizeof(*addr)))
		err = -errno;
	if (err == -EADDRINUSE) {
		err = remove_stale(addr, ours);
		if (!err && bind(fd, (const void *)addr, sizeof(*addr)))
			err = -errno;
	}
	if (!err && listen(fd, BACKLOG))
		err = -errno;
	return err;
}

static const char *describe(int err)
{
	if (err == -EADDRINUSE)
		return "another daemon listens there";
	return err == -EEXIST ? "is there, and is no socket" : strerror(-err);
}

static ino_t inode_of(const char *path)
{
	struct stat st;

	return lstat(path, &st) ? 0 : st.st_ino;
}

static int find_path(const char *path, struct sockaddr_un *addr)
{
	if (!path)
		return default_path(addr->sun_path, sizeof(addr->sun_path));
	if (strlen(path) >= sizeof(addr->sun_path))
		return -ENAMETOOLONG;
	strcpy(addr->sun_path, path);
	return 0;
}

int socket_open(const char *path, bool everybody)
{
	struct sockaddr_un addr = { .sun_family = AF_UNIX };
	int err = find_path(path, &addr), fd = -1;

	if (!err) {
		fd = new_socket();
		err = fd < 0 ? fd : listen_at(fd, &addr, !path,
					      everybody ? 0666 : 0600);
	}
	if (err) {
		log_msg(path ? LOG_ERR : LOG_WARNING, "socket %s: %s%s",
			path ?: addr.sun_path, describe(err),
			path ? "" : "; programs cannot map files by themselves");
		if (fd >= 0)
			close(fd);
		return err;
	}
	memcpy(name.path, addr.sun_path, sizeof(name.path));
	name.ino = inode_of(name.path);
	fs_set_socket(name.path);
	return fd;
}

void socket_remove(void)
{
	fs_set_socket(NULL);
	if (inode_of(name.path) == name.ino)
		unlink(name.path);
}
