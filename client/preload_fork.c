// SPDX-License-Identifier: BSD-2-Clause
/*
 * client/preload_fork.c - fork(2) of programs that know nothing of us
 *
 *   __register_atfork()  what pthread_atfork(3) calls: ours are registered before
 *                        the first that somebody else wants
 *   fork()               fails if the child could not have its memory
 *
 * A handler cannot keep fork() from making a child. So such a child ends at once,
 * in our handler, before anything of the program has run in it; and we wait for
 * it. The program may get a SIGCHLD for a child it does not know.
 *
 * What the C library forks by itself, as in daemon(3), does not come here: there
 * a child without memory is one that gets SIGBUS.
 * Locks: none.
 */
#include <dlfcn.h>
#include <stdlib.h>
#include <sys/wait.h>

#include "internal.h"
#include "sys.h"

typedef int register_fn(void (*prepare)(void), void (*parent)(void),
			void (*child)(void), void *dso);

static register_fn *libc_register(void)
{
	static register_fn *_Atomic fn;
	register_fn *found = atomic_load(&fn);

	if (!found) {
		*(void **)&found = dlsym(RTLD_NEXT, "__register_atfork");
		atomic_store(&fn, found);
	}
	return found;
}

void fork_register(void (*prepare)(void), void (*parent)(void),
		   void (*child)(void))
{
	libc_register()(prepare, parent, child, NULL);
}

PAGEFS_API register_fn __register_atfork;

PAGEFS_API int __register_atfork(void (*prepare)(void), void (*parent)(void),
				 void (*child)(void), void *dso)
{
	fork_init();
	return libc_register()(prepare, parent, child, dso);
}

PAGEFS_API pid_t fork(void)
{
	static pid_t (*_Atomic libc_fork)(void);
	pid_t (*fn)(void) = atomic_load(&libc_fork);
	pid_t pid;

	if (!fn) {
		*(void **)&fn = dlsym(RTLD_NEXT, "fork");
		atomic_store(&libc_fork, fn);
	}
	this_fork.strict = true;
	this_fork.err = 0;
	pid = fn();
	this_fork.strict = false;
	if (pid <= 0 || !this_fork.err)
		return pid;
	while (waitpid(pid, NULL, 0) < 0 && errno == EINTR)
		;
	errno = this_fork.err == -EAGAIN ? EAGAIN : ENOMEM;
	return -1;
}
