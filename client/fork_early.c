// SPDX-License-Identifier: BSD-2-Clause
/*
 * client/fork_early.c - a child that touches its memory before its handlers run
 *
 *   clone(2) --> the C library, for itself --> handlers (fork.c)
 *                  | the lock of a FILE, which lies in memory of ours
 *                  +--> SIGSEGV --> what our handler does, now
 *
 * Only if the program's malloc is not the C library's: that one has small things,
 * as a FILE is, from the kernel; another has all it gives from larger pieces, and
 * those from us.
 *
 * The signal is ours from right before the clone to right after it. Other threads
 * of the parent may mean it meanwhile: what they mean it for is called. Should one
 * of them ask for another handler just then, it is lost.
 * Locks: all of fork.c's are held.
 */
#include <signal.h>
#include <unistd.h>

#include "internal.h"

static struct sigaction programs;	/* of the time before */
static pid_t parent;
static bool (*restore)(void);
static bool armed;

static void call_programs(int sig, siginfo_t *info, void *context)
{
	if (programs.sa_flags & SA_SIGINFO)
		programs.sa_sigaction(sig, info, context);
	else if (programs.sa_handler != SIG_DFL && programs.sa_handler != SIG_IGN)
		programs.sa_handler(sig);
	else	/* and again, for good */
		sigaction(SIGSEGV, &programs, NULL);
}

static void on_sigsegv(int sig, siginfo_t *info, void *context)
{
	if (getpid() == parent || !restore())
		call_programs(sig, info, context);
}

void fork_early_arm(bool (*fn)(void))
{
	const struct sigaction ours = {
		.sa_sigaction = on_sigsegv,
		.sa_flags = SA_SIGINFO | SA_RESTART,
	};
	sigset_t segv;

	restore = fn;
	parent = getpid();
	armed = !sigaction(SIGSEGV, &ours, &programs);
	sigemptyset(&segv);
	sigaddset(&segv, SIGSEGV);
	pthread_sigmask(SIG_UNBLOCK, &segv, NULL);
}

void fork_early_disarm(void)
{
	if (armed)
		sigaction(SIGSEGV, &programs, NULL);
	armed = false;
}
