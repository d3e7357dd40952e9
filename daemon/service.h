/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * daemon/service.h - what a service manager is told, see sd_notify(3)
 */
#ifndef PAGEFS_DAEMON_SERVICE_H
#define PAGEFS_DAEMON_SERVICE_H

struct config;			/* config.h */

/* Main thread. Say that the mount can be used; that it is being ended. */
void service_ready(const struct config *config);
void service_stopping(const struct config *config);

#endif /* PAGEFS_DAEMON_SERVICE_H */
