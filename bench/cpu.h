/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * bench/cpu.h - processor time, which other programs of the machine change less
 *               than they change how long something takes
 */
#ifndef BENCH_CPU_H
#define BENCH_CPU_H

#include <sys/types.h>

/* Seconds so far, in the kernel, too; of another process in ticks of 10 ms. 0: it
 * is not there. */
double own_cpu(void);
double process_cpu(pid_t pid);

#endif /* BENCH_CPU_H */
