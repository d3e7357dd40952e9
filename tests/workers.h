/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * tests/workers.h - processes that a program forks, and memory they share
 *
 * For programs that are not made of test cases: stress/, bench/. They map files
 * and may get stuck in doing so, so that whoever waits for them has a deadline.
 */
#ifndef PAGEFS_TESTS_WORKERS_H
#define PAGEFS_TESTS_WORKERS_H

#include <stddef.h>
#include <sys/types.h>

/* Zeros, also seen by processes forked later. Return: NULL if there is none. */
void *shared_memory(size_t size);

/* As fork(2), but the child goes with its parent, however that ends. */
pid_t fork_worker(void);

/**
 * wait_for_workers - until all have ended, or the first not well
 * @pids:     those that have ended well become 0
 * @deadline: in now()'s seconds; then what hangs is shown on stderr
 * @statusp:  of waitpid(2), or -1 of one that hangs; set only with a pid
 *
 * Return: 0, or the pid of the one that failed. The others still run: the
 *         caller is expected to exit, and they go with it.
 */
pid_t wait_for_workers(pid_t *pids, unsigned int nr, double deadline,
		       int *statusp);

/* Where the threads of a process sleep. The kernel tells root more than others. */
void show_hung(pid_t pid);

#endif /* PAGEFS_TESTS_WORKERS_H */
