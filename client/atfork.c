// SPDX-License-Identifier: BSD-2-Clause
/*
 * client/atfork.c - fork.c's handlers, in a library that is linked: preload_fork.c
 *                   has the preloaded one's way
 */
#include "internal.h"

void fork_register(void (*prepare)(void), void (*parent)(void),
		   void (*child)(void))
{
	pthread_atfork(prepare, parent, child);
}
