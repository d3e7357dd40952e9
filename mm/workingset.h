/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * mm/workingset.h - pages that come back soon after they have gone: for who
 *                   takes pages out (vmscan.c) and brings them in (filemap.c)
 */
#ifndef PAGEFS_MM_WORKINGSET_H
#define PAGEFS_MM_WORKINGSET_H

#include "pagemap.h"

int workingset_init(void);	/* 0 or -ENOMEM */
void workingset_exit(void);

/* Reclaim has taken page @index out. */
void workingset_eviction(const struct address_space *mapping, pgoff_t index);
/* A page of that kind was used and is active: the others are as much older. */
void workingset_age(const struct address_space *mapping);
/* Page @index comes. Return: was it here so lately that it should be active? */
bool workingset_refault(const struct address_space *mapping, pgoff_t index);

#endif /* PAGEFS_MM_WORKINGSET_H */
