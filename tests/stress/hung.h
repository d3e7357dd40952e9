/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * tests/stress/hung.h - where the threads of a process sleep
 *
 * For the log of a test whose process does not go on. The kernel tells root
 * more than it tells others.
 */
#ifndef STRESS_HUNG_H
#define STRESS_HUNG_H

#include <dirent.h>
#include <stdio.h>
#include <string.h>
#include <sys/types.h>

static inline void show_file(const char *dir, const char *task,
			     const char *name)
{
	char path[320], text[2048];
	size_t n;
	FILE *f;

	snprintf(path, sizeof(path), "%s/%s/%s", dir, task, name);
	f = fopen(path, "r");
	if (!f)
		return;
	n = fread(text, 1, sizeof(text) - 1, f);
	text[n] = '\0';
	while (n && text[n - 1] == '\n')
		text[--n] = '\0';
	fprintf(stderr, "%s:%s%s\n", path, strchr(text, '\n') ? "\n" : " ",
		text);
	fclose(f);
}

static inline void show_hung(pid_t pid)
{
	struct dirent *task;
	char dir[32];
	DIR *tasks;

	snprintf(dir, sizeof(dir), "/proc/%d/task", (int)pid);
	tasks = opendir(dir);
	while (tasks && (task = readdir(tasks)) != NULL) {
		if (task->d_name[0] == '.')
			continue;
		show_file(dir, task->d_name, "comm");
		show_file(dir, task->d_name, "wchan");
		show_file(dir, task->d_name, "syscall");
		show_file(dir, task->d_name, "stack");
	}
	if (tasks)
		closedir(tasks);
}

#endif /* STRESS_HUNG_H */
