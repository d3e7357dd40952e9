/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * compiler.h - the few words of kernel C that gcc and clang lack
 */
#ifndef PAGEFS_COMPILER_H
#define PAGEFS_COMPILER_H

#include <stddef.h>
#include <stdint.h>
#include <stdbool.h>
#include <sys/types.h>

#define likely(x)	__builtin_expect(!!(x), 1)
#define unlikely(x)	__builtin_expect(!!(x), 0)

#define __printf(f, a)	__attribute__((format(printf, f, a)))
#define __noreturn	__attribute__((noreturn))
#define __cold		__attribute__((cold))
#define __cacheline_aligned __attribute__((aligned(64)))

#define ARRAY_SIZE(a)	(sizeof(a) / sizeof((a)[0]))

#define container_of(ptr, type, member) ({				\
	const __typeof__(((type *)0)->member) *__mptr = (ptr);		\
	(type *)((char *)__mptr - offsetof(type, member)); })

#define min(a, b) ({ __typeof__(a) __a = (a); __typeof__(b) __b = (b);	\
	__a < __b ? __a : __b; })
#define max(a, b) ({ __typeof__(a) __a = (a); __typeof__(b) __b = (b);	\
	__a > __b ? __a : __b; })
#define min_t(t, a, b)	min((t)(a), (t)(b))
#define max_t(t, a, b)	max((t)(a), (t)(b))
#define clamp_t(t, v, lo, hi) min_t(t, max_t(t, v, lo), hi)

/* @a must be a power of two. */
#define ALIGN(x, a)	 (((x) + ((__typeof__(x))(a) - 1)) & ~((__typeof__(x))(a) - 1))
#define ALIGN_DOWN(x, a) ((x) & ~((__typeof__(x))(a) - 1))
#define IS_ALIGNED(x, a) (((x) & ((__typeof__(x))(a) - 1)) == 0)
#define BITS_PER_LONG	64
#define DIV_ROUND_UP(n, d) (((n) + (d) - 1) / (d))

/*
 * One untorn access, ordered with nothing: for values read or written outside
 * their lock where any recent value will do. The comment at the use says why.
 */
#define READ_ONCE(x)	 __atomic_load_n(&(x), __ATOMIC_RELAXED)
#define WRITE_ONCE(x, v) __atomic_store_n(&(x), (v), __ATOMIC_RELAXED)

/* Publish and consume; every use names its partner. */
#define smp_load_acquire(p)	__atomic_load_n((p), __ATOMIC_ACQUIRE)
#define smp_store_release(p, v)	__atomic_store_n((p), (v), __ATOMIC_RELEASE)

#if defined(__SANITIZE_THREAD__)
#define PAGEFS_TSAN 1
#elif defined(__has_feature)
#if __has_feature(thread_sanitizer)
#define PAGEFS_TSAN 1
#endif
#endif

#if defined(__SANITIZE_ADDRESS__)
#define PAGEFS_ASAN 1
#elif defined(__has_feature)
#if __has_feature(address_sanitizer)
#define PAGEFS_ASAN 1
#endif
#endif

#endif /* PAGEFS_COMPILER_H */
