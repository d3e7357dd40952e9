// SPDX-License-Identifier: BSD-2-Clause
/*
 * tests/workers.c - processes that a program forks, and memory they share
 */
#include <dirent.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include "clock.h"
#include "workers.h"

/* Between two looks at who has ended; arbitrary. */
#define LOOK_US		20000

void *shared_memory(size_t size)
{
	void *p = mmap(NULL, size, PROT_READ | PROT_WRITE,
		       MAP_SHARED | MAP_ANONYMOUS, -1, 0);

	return p == MAP_FAILED ? NULL : p;
}

pid_t fork_worker(void)
{
	pid_t pid;

	fflush(NULL);	/* else the child says it, too */
	pid = fork();
	if (!pid)
		prctl(PR_SET_PDEATHSIG, SIGKILL);
	return pid;
}

/* ---- waiting ---- */

static void show_file(const char *dir, const char *task, const char *name)
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

void show_hung(pid_t pid)
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

/* Return: the pid if it failed or hangs, else 0; *@pid is 0 when it has ended. */
static pid_t look_at(pid_t *pid, double deadline, int *statusp)
{
	const pid_t who = *pid;
	int status = 0;

	if (waitpid(who, &status, WNOHANG) == who) {
		*pid = 0;
	} else if (now() > deadline) {
		show_hung(who);
		status = -1;
	}
	if (!status)
		return 0;
	*statusp = status;
	return who;
}

pid_t wait_for_workers(pid_t *pids, unsigned int nr, double deadline,
		       int *statusp)
{
	unsigned int left = nr;

	while (left) {
		usleep(LOOK_US);
		left = 0;
		for (unsigned int i = 0; i < nr; i++) {
			pid_t failed = pids[i] ?
				look_at(&pids[i], deadline, statusp) : 0;

			if (failed)
				return failed;
			left += pids[i] != 0;
		}
	}
	return 0;
}
