// SPDX-License-Identifier: BSD-2-Clause
/*
 * daemon/service.c - what a service manager is told, see sd_notify(3)
 *
 *   starting  --READY=1-->  the mount can be used  --STOPPING=1-->  writing back
 *
 * Said to the socket that NOTIFY_SOCKET names; without it, nothing is. A daemon
 * that detaches says nothing either: its manager has the exit of the parent,
 * and a NOTIFY_SOCKET it inherited is somebody else's.
 *
 * Names of directories are not in STATUS=: a line end in one would begin the
 * next assignment.
 */
#include <string.h>

#ifdef HAVE_LIBSYSTEMD
#include <systemd/sd-daemon.h>
#endif

#include "mm_types.h"
#include "config.h"
#include "log.h"
#include "service.h"

#ifdef HAVE_LIBSYSTEMD
/* Without the manager's ear the mount is as good as ever. */
static void check_told(int ret)
{
	if (ret < 0)
		log_msg(LOG_WARNING, "NOTIFY_SOCKET: cannot tell the service manager: %s",
			strerror(-ret));
}

void service_ready(const struct config *config)
{
	if (config->foreground)
		check_told(sd_notifyf(0, "READY=1\nSTATUS=Serving, memory=%zuM, cache=%s",
				      config->memory / SZ_1M,
				      config_cache_name(config)));
}

void service_stopping(const struct config *config)
{
	if (config->foreground)
		check_told(sd_notify(0, "STOPPING=1\nSTATUS=Writing back"));
}
#else
void service_ready(const struct config *config)
{
	(void)config;
}

void service_stopping(const struct config *config)
{
	(void)config;
}
#endif
