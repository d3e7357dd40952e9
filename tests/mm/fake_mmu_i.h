/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * tests/mm/fake_mmu_i.h - what fake_mmu.c and fake_client.c share
 */
#ifndef PAGEFS_TESTS_FAKE_MMU_I_H
#define PAGEFS_TESTS_FAKE_MMU_I_H

#include "fake_mmu.h"

extern pthread_mutex_t clients_lock;		/* both lists */
extern struct list_head clients;		/* fake_client */
extern struct list_head mapped_files;		/* fake_mapped */
extern const struct mmu_ops fake_mmu_ops;

/* Has the memfd of @m, which has a window, page @pgoff? */
bool memfd_has(const struct fake_mapped *m, pgoff_t pgoff);

#endif /* PAGEFS_TESTS_FAKE_MMU_I_H */
