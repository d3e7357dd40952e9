// SPDX-License-Identifier: BSD-2-Clause
/*
 * client/ctl/client.c - processes that map files from the daemon
 *
 *   .pagefs/smaps/   a name for each; what is in it, for its user and root
 *   /proc/PID        whose it is, and what it runs
 */
#include <ctype.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <pwd.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "ctl.h"

/* ---- one of them ---- */

static void get_user(pid_t pid, char *user, size_t size)
{
	char path[32];
	struct passwd *pw;
	struct stat st;

	snprintf(path, sizeof(path), "/proc/%d", pid);
	if (stat(path, &st)) {
		snprintf(user, size, "?");
		return;
	}
	pw = getpwuid(st.st_uid);
	if (pw)
		snprintf(user, size, "%s", pw->pw_name);
	else
		snprintf(user, size, "%u", st.st_uid);
}

static void get_command(pid_t pid, char *command, size_t size)
{
	char path[32];
	FILE *f;

	snprintf(path, sizeof(path), "/proc/%d/comm", pid);
	f = fopen(path, "re");
	if (!f || !fgets(command, (int)size, f))
		snprintf(command, size, "?");
	command[strcspn(command, "\n")] = '\0';
	if (f)
		fclose(f);
}

static void add_smap_line(struct client_line *c, const char *line)
{
	unsigned long long kb;
	char name[32];

	if (sscanf(line, "%31[A-Za-z_]: %llu kB", name, &kb) != 2)
		return;
	if (!strcmp(name, "Size"))
		c->mapped_kb += kb;
	else if (!strcmp(name, "Rss"))
		c->rss_kb += kb;
	else if (!strcmp(name, "Pss"))
		c->pss_kb += kb;
	else if (!strcmp(name, "Shared_Dirty") || !strcmp(name, "Private_Dirty"))
		c->dirty_kb += kb;
}

/* False: it has ended. */
static bool look_at(const struct ctl *ctl, struct client_line *c)
{
	char name[32], *text, *at, *line;
	int err;

	snprintf(name, sizeof(name), "smaps/%d", c->pid);
	err = ctl_read(ctl, name, &text);
	if (err == -ENOENT)
		return false;
	get_user(c->pid, c->user, sizeof(c->user));
	get_command(c->pid, c->command, sizeof(c->command));
	if (err)
		return true;
	c->known = true;
	for (at = text; (line = next_line(&at)); )
		add_smap_line(c, line);
	free(text);
	return true;
}

/* ---- all of them ---- */

/* The directory of their names. Return: 0 or -errno. */
static int open_clients(const struct ctl *ctl, DIR **dirp)
{
	int fd = ctl_open(ctl, "smaps", O_RDONLY | O_DIRECTORY);

	if (fd < 0)
		return fd;
	*dirp = fdopendir(fd);
	if (*dirp)
		return 0;
	close(fd);
	return -ENOMEM;
}

/* 0: there are no more. */
static pid_t next_client(DIR *dir)
{
	struct dirent *ent;

	while ((ent = readdir(dir)))
		if (isdigit((unsigned char)*ent->d_name))
			return atoi(ent->d_name);
	return 0;
}

int client_count(const struct ctl *ctl)
{
	DIR *dir;
	int n = 0, err = open_clients(ctl, &dir);

	if (err)
		return err;
	while (next_client(dir))
		n++;
	closedir(dir);
	return n;
}

ssize_t client_lines(const struct ctl *ctl, struct client_line **linesp)
{
	struct client_line *lines = NULL, *more;
	ssize_t n = 0;
	DIR *dir;
	pid_t pid;
	int err = open_clients(ctl, &dir);

	if (err)
		return err;
	while ((pid = next_client(dir))) {
		more = reallocarray(lines, (size_t)n + 1, sizeof(*lines));
		if (!more) {
			free(lines);
			closedir(dir);
			return -ENOMEM;
		}
		lines = more;
		lines[n] = (struct client_line){ .pid = pid };
		n += look_at(ctl, &lines[n]);
	}
	closedir(dir);
	*linesp = lines;
	return n;
}
