// SPDX-License-Identifier: BSD-2-Clause
/*
 * client/preload_anon.c - memory of programs run with pagefs-run --anon
 *
 *   mmap(2), private and without a file, of MIN bytes or more --> a mapping of ours
 *   malloc(3) and its kind, of MIN bytes or more              --> a mapping each
 *
 *     base                          ptr, as aligned as was asked for
 *     | ... | struct block: base, len | what the program has ... |
 *
 * The C library's malloc() gets large blocks by a mmap() that is not called by its
 * name, so that one has to be taken at its door. Another malloc's mmap() comes
 * here: to such a one all of its functions are left, for it may have some that we
 * do not know, and they would be given blocks of ours.
 *
 * Whose a block is free() has to know without a lock: a bit for each page of our
 * region says that a block begins in it. No other is in that page.
 *
 * A2. A process connects when it first wants memory; but if its malloc is not the
 *     C library's before main(), and a child in fork(): to start our threads
 *     takes a malloc() itself, and that one may be waiting for its mmap().
 * A3. What cannot be had of the daemon is the kernel's, and that is said once.
 * Locks: none of its own.
 */
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <malloc.h>
#include <stdlib.h>
#include <string.h>

#include "internal.h"
#include "preload.h"
#include "sys.h"

#define DEFAULT_ALIGN	16UL
/* Before the program's bytes. */
struct block {
	uintptr_t base;
	size_t len;
};
_Static_assert(sizeof(struct block) <= DEFAULT_ALIGN, "it fits into the gap");

enum anon_state { ANON_OFF, ANON_WANTED, ANON_CONNECTING, ANON_ON };

/* Fields: (A) atomic; (C) constant once state is ON. */
static struct {
	atomic_int state;		/* (A) enum anon_state */
	atomic_size_t min;		/* (A) bytes; SIZE_MAX: off */
	atomic_size_t malloc_min;	/* (A) the same, of malloc() */
	struct pagefs *p;		/* (C) */
	atomic_ulong *blocks;		/* (C) a bit for each page of the region */
} anon = { .min = SIZE_MAX, .malloc_min = SIZE_MAX };

/* ---- the next malloc ---- */

static struct {
	void *(*malloc)(size_t size);
	void (*free)(void *ptr);
	void *(*calloc)(size_t nr, size_t size);
	void *(*realloc)(void *ptr, size_t size);
	void *(*memalign)(size_t align, size_t size);
	void *(*aligned_alloc)(size_t align, size_t size);
	int (*posix_memalign)(void **ptrp, size_t align, size_t size);
	size_t (*malloc_usable_size)(void *ptr);
} next;
static atomic_bool next_known;

static _Thread_local bool looking
	__attribute__((tls_model("initial-exec")));

static void *symbol(const char *name)
{
	return dlsym(RTLD_NEXT, name);
}

static void find_next(void)
{
	*(void **)&next.malloc = symbol("malloc");
	*(void **)&next.free = symbol("free");
	*(void **)&next.calloc = symbol("calloc");
	*(void **)&next.realloc = symbol("realloc");
	*(void **)&next.memalign = symbol("memalign");
	*(void **)&next.aligned_alloc = symbol("aligned_alloc");
	*(void **)&next.posix_memalign = symbol("posix_memalign");
	*(void **)&next.malloc_usable_size = symbol("malloc_usable_size");
}

/* False: this thread is at it, and dlsym() wants memory for that. */
static bool have_next(void)
{
	if (atomic_load(&next_known))
		return true;
	if (looking)
		return false;
	looking = true;
	find_next();
	looking = false;
	atomic_store(&next_known, true);
	return true;
}

/* For dlsym(): a few words, never freed. */
static _Alignas(16) char boot[4096];
static atomic_size_t boot_used;

static bool is_boot(const void *ptr)
{
	return (const char *)ptr >= boot && (const char *)ptr < boot + sizeof(boot);
}

static void *boot_alloc(size_t size)
{
	size_t len = (size + 15) & ~(size_t)15;
	size_t at = atomic_fetch_add(&boot_used, len);

	return at + len <= sizeof(boot) ? boot + at : NULL;
}

/* ---- getting in touch ---- */

static void *map_bitmap(const struct pagefs *p)
{
	const size_t len = (p->end - p->base) / CLIENT_PAGE / 8;
	long addr;

	if (!len)
		return NULL;
	addr = sys_mmap(0, PAGE_UP(len), PROT_READ | PROT_WRITE, MAP_PRIVATE |
			MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	return addr < 0 ? NULL : (void *)addr;
}

/* Return: 0 or -errno. */
static int connect_mount(struct pagefs **pp)
{
	const char *dir = getenv("PAGEFS_RUN_MOUNT");
	int fd, err;

	fd = dir ? (int)sys_ret(syscall(SYS_openat, AT_FDCWD, dir, O_RDONLY |
					O_DIRECTORY | O_CLOEXEC)) : -ENOENT;
	if (fd < 0)
		return fd;
	err = pagefs_connect(fd, pp);
	close(fd);
	if (!err && atomic_exchange(&(*pp)->held, true))
		pagefs_disconnect(*pp);
	return err;
}

static void turn_off(void)
{
	atomic_store(&anon.min, SIZE_MAX);
	atomic_store(&anon.malloc_min, SIZE_MAX);
	atomic_store(&anon.state, ANON_OFF);
}

static void connect_now(void)
{
	int err = connect_mount(&anon.p);

	if (err) {
		turn_off();
		preload_explain_memory(err == -EACCES ? -ECONNREFUSED : err);
		return;
	}
	anon.blocks = map_bitmap(anon.p);
	if (!anon.blocks)	/* no region */
		atomic_store(&anon.malloc_min, SIZE_MAX);
	atomic_store(&anon.state, ANON_ON);
}

/* The connection, or NULL: it is the kernel's. While another thread is at it
 * this one does not wait. */
static struct pagefs *anon_conn(void)
{
	int state = atomic_load(&anon.state);

	if (state == ANON_WANTED &&
	    atomic_compare_exchange_strong(&anon.state, &state,
					   ANON_CONNECTING)) {
		connect_now();
		state = atomic_load(&anon.state);
	}
	return state == ANON_ON && !is_dead(anon.p) ? anon.p : NULL;
}

/* Is malloc() the C library's, but for us? */
static bool malloc_is_libc(void)
{
	void *libc = dlopen("libc.so.6", RTLD_NOW | RTLD_NOLOAD);
	bool is = libc && have_next() && dlsym(libc, "malloc") ==
		  *(void **)&next.malloc;

	if (libc)
		dlclose(libc);
	return is;
}

static __attribute__((constructor)) void anon_init(void)
{
	const char *min = getenv("PAGEFS_RUN_ANON");
	size_t bytes = min ? strtoull(min, NULL, 0) : 0;

	if (!bytes)
		return;
	atomic_store(&anon.min, bytes);
	atomic_store(&anon.state, ANON_WANTED);
	if (malloc_is_libc()) {
		atomic_store(&anon.malloc_min, bytes);
	} else {						/* A2 */
		fork_eager = true;
		anon_conn();
	}
}

/* ---- mmap ---- */

static bool is_plain(int prot, int flags)
{
	const int known = MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE |
		MAP_POPULATE | MAP_LOCKED | MAP_NONBLOCK | MAP_FIXED |
		MAP_FIXED_NOREPLACE;

	/* What cannot be touched is a reservation: of addresses, not memory. */
	return !(flags & ~known) && prot & (PROT_READ | PROT_WRITE);
}

/* To go exactly where something of ours is, and nothing else? */
static bool is_over_ours(const void *addr, size_t len)
{
	uintptr_t start, end;
	struct piece piece;

	if (range_check(addr, len, &start, &end) || !table_near(start, end))
		return false;
	piece = table_piece(start, end);
	return piece.kind == RANGE_MAPPED && piece.end == end &&
	       piece.p == anon.p;
}

bool preload_map_anon(void *addr, size_t len, int prot, int flags,
		      void **addrp)
{
	struct pagefs *p;
	int err;

	if (len < atomic_load_explicit(&anon.min, memory_order_relaxed) ||
	    (flags & (MAP_ANONYMOUS | MAP_TYPE)) !=
	    (MAP_ANONYMOUS | MAP_PRIVATE) || !is_plain(prot, flags))
		return false;
	p = anon_conn();
	if (!p || (flags & (MAP_FIXED | MAP_FIXED_NOREPLACE) &&
		   !is_over_ours(addr, len)))
		return false;
	err = pagefs_mmap(p, addr, len, prot, flags, -1, 0, addrp);
	if (err)
		preload_explain_memory(err);			/* A3 */
	return !err;
}

bool preload_wants_copies(size_t len)
{
	return len >= atomic_load_explicit(&anon.min, memory_order_relaxed);
}

/* ---- blocks ---- */

static size_t block_bit(uintptr_t addr)
{
	return (addr - anon.p->base) / CLIENT_PAGE;
}

#define WORD_BITS	(8 * sizeof(unsigned long))

static void set_block(uintptr_t addr)
{
	const size_t bit = block_bit(addr);

	atomic_fetch_or(&anon.blocks[bit / WORD_BITS],
			1UL << bit % WORD_BITS);
}

static void clear_block(uintptr_t addr)
{
	const size_t bit = block_bit(addr);

	atomic_fetch_and(&anon.blocks[bit / WORD_BITS],
			 ~(1UL << bit % WORD_BITS));
}

/* Relaxed: who frees a block has got it by something that orders the two. */
static bool is_block(const void *ptr)
{
	const uintptr_t addr = (uintptr_t)ptr;
	size_t bit;

	if (atomic_load_explicit(&anon.state, memory_order_acquire) != ANON_ON ||
	    !anon.blocks || addr < anon.p->base || addr >= anon.p->end)
		return false;
	bit = block_bit(addr);
	return atomic_load_explicit(&anon.blocks[bit / WORD_BITS],
				    memory_order_relaxed) >>
	       bit % WORD_BITS & 1;
}

static struct block *block_of(void *ptr)
{
	return (struct block *)ptr - 1;
}

static size_t block_size(void *ptr)
{
	const struct block *block = block_of(ptr);

	return block->base + block->len - (uintptr_t)ptr;
}

static void *make_block(uintptr_t base, size_t len, uintptr_t addr)
{
	struct block *block = block_of((void *)addr);

	block->base = base;
	block->len = len;
	set_block(addr);
	return (void *)addr;
}

/* @align: a power of two. Return: NULL: it is the next malloc's. */
static void *block_alloc(size_t size, size_t align)
{
	struct pagefs *p = anon_conn();
	const int saved = errno;
	uintptr_t base;
	size_t len;
	void *addr;
	int err;

	if (align < DEFAULT_ALIGN)
		align = DEFAULT_ALIGN;
	if (!p || !anon.blocks || size > SIZE_MAX / 4 || align > SIZE_MAX / 4)
		return NULL;
	len = PAGE_UP(size + align);
	err = pagefs_mmap(p, NULL, len, PROT_READ | PROT_WRITE,
			  MAP_PRIVATE | MAP_ANONYMOUS, -1, 0, &addr);
	base = (uintptr_t)addr;
	if (!err && !in_region(p, base, base + len)) {
		pagefs_munmap(p, addr, len);	/* no bits for it */
		err = -ENOMEM;
	}
	errno = saved;
	if (err) {
		preload_explain_memory(err);
		return NULL;
	}
	/* The first aligned place that leaves room for what is before it. */
	return make_block(base, len, (base + DEFAULT_ALIGN + align - 1) &
			  ~(align - 1));
}

static void block_free(void *ptr)
{
	const struct block block = *block_of(ptr);
	const int saved = errno;

	clear_block((uintptr_t)ptr);
	/* If it fails, for want of VMAs, it stays. */
	pagefs_munmap(anon.p, (void *)block.base, block.len);
	errno = saved;
}

/* Where it is, or wherever there is room. NULL: nothing was changed. */
static void *block_resize(void *ptr, size_t size)
{
	const struct block block = *block_of(ptr);
	const size_t before = (uintptr_t)ptr - block.base;
	const size_t len = PAGE_UP(before + size);
	const int saved = errno;
	void *addr;
	int err;

	if (len == block.len)
		return ptr;
	clear_block((uintptr_t)ptr);
	/* Where free() will know it. */
	err = remap_memory(anon.p, (void *)block.base, block.len, len,
			   MREMAP_MAYMOVE | REMAP_IN_REGION, NULL, &addr);
	errno = saved;
	if (err) {
		set_block((uintptr_t)ptr);
		return NULL;
	}
	return make_block((uintptr_t)addr, len, (uintptr_t)addr + before);
}

/* ---- malloc and its kind ---- */

static bool is_large(size_t size)
{
	return size >= atomic_load_explicit(&anon.malloc_min,
					    memory_order_relaxed);
}

PAGEFS_API void *malloc(size_t size)
{
	void *ptr = is_large(size) ? block_alloc(size, DEFAULT_ALIGN) : NULL;

	if (ptr)
		return ptr;
	return have_next() ? next.malloc(size) : boot_alloc(size);
}

PAGEFS_API void free(void *ptr)
{
	if (!ptr || is_boot(ptr))
		return;
	if (is_block(ptr))
		block_free(ptr);
	else if (have_next())
		next.free(ptr);
}

PAGEFS_API void *calloc(size_t nr, size_t size)
{
	size_t bytes;
	void *ptr;

	/* What is mapped anew is zeros. */
	if (!__builtin_mul_overflow(nr, size, &bytes) && is_large(bytes)) {
		ptr = block_alloc(bytes, DEFAULT_ALIGN);
		if (ptr)
			return ptr;
	}
	return have_next() ? next.calloc(nr, size) : boot_alloc(nr * size);
}

static void *copy_to(void *to, void *from, size_t len)
{
	if (!to)
		return NULL;
	memcpy(to, from, len);
	free(from);
	return to;
}

static size_t smaller(size_t a, size_t b)
{
	return a < b ? a : b;
}

static void *realloc_block(void *ptr, size_t size)
{
	void *resized = is_large(size) ? block_resize(ptr, size) : NULL;

	if (resized)
		return resized;
	return copy_to(malloc(size), ptr, smaller(size, block_size(ptr)));
}

PAGEFS_API void *realloc(void *ptr, size_t size)
{
	void *block;

	if (!ptr)
		return malloc(size);
	if (is_boot(ptr))
		return copy_to(malloc(size), ptr, smaller(size,
			       (size_t)(boot + sizeof(boot) - (char *)ptr)));
	if (is_block(ptr)) {
		if (size)
			return realloc_block(ptr, size);
		free(ptr);
		return NULL;
	}
	if (!is_large(size))
		return next.realloc(ptr, size);
	block = block_alloc(size, DEFAULT_ALIGN);
	if (!block)
		return next.realloc(ptr, size);
	return copy_to(block, ptr, smaller(size, next.malloc_usable_size(ptr)));
}

PAGEFS_API void *reallocarray(void *ptr, size_t nr, size_t size)
{
	size_t bytes;

	if (!__builtin_mul_overflow(nr, size, &bytes))
		return realloc(ptr, bytes);
	errno = ENOMEM;
	return NULL;
}

static bool is_power_of_two(size_t n)
{
	return n && !(n & (n - 1));
}

static void *aligned_block(size_t align, size_t size)
{
	return is_large(size) && is_power_of_two(align) ?
	       block_alloc(size, align) : NULL;
}

PAGEFS_API void *memalign(size_t align, size_t size)
{
	void *ptr = aligned_block(align, size);

	return ptr || !have_next() ? ptr : next.memalign(align, size);
}

PAGEFS_API void *aligned_alloc(size_t align, size_t size)
{
	void *ptr = aligned_block(align, size);

	return ptr || !have_next() ? ptr : next.aligned_alloc(align, size);
}

PAGEFS_API int posix_memalign(void **ptrp, size_t align, size_t size)
{
	void *ptr = align % sizeof(void *) ? NULL : aligned_block(align, size);

	if (!ptr)
		return have_next() ? next.posix_memalign(ptrp, align, size) :
		       ENOMEM;
	*ptrp = ptr;
	return 0;
}

PAGEFS_API size_t malloc_usable_size(void *ptr)
{
	if (!ptr || is_boot(ptr))
		return 0;
	return is_block(ptr) ? block_size(ptr) :
	       have_next() ? next.malloc_usable_size(ptr) : 0;
}
