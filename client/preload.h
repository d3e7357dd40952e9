/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * client/preload.h - between preload.c and explain.c
 */
#ifndef PAGEFS_CLIENT_PRELOAD_H
#define PAGEFS_CLIENT_PRELOAD_H

/* The kernel maps the file of @fd, because of @err: one line, once for each
 * reason; none with PAGEFS_RUN_QUIET in the environment. */
void preload_explain(int fd, int err);

#endif /* PAGEFS_CLIENT_PRELOAD_H */
