// SPDX-License-Identifier: BSD-2-Clause
/*
 * mm/fault_around.c - how many pages a read fault brings
 *
 *   faults at   7   8       12               28         900
 *   pages       7   8..11   12..27           28..91     900
 *
 * A VMA remembers up to four places where the next fault would continue a
 * sequence. One that does gets four times as many pages as the last, up to 128;
 * one that does not gets its page alone.
 *
 * Locks:  fault_around.lock, a leaf.
 * Source: Linux mm/memory.c (do_fault_around), for the role. Differs: there it is
 *         what is cached in an aligned range, always.
 */
#include "internal.h"
#include "slab.h"
#include "window_i.h"

#define AROUND_STREAMS	4u
#define AROUND_GROWTH	4u

/* Fields: (L) lock. */
struct fault_around {
	struct mutex lock;
	unsigned int clock;		/* (L) */
	struct {
		pgoff_t next;		/* (L) where it would go on */
		unsigned int size;	/* (L) pages the last fault got */
		unsigned int used;	/* (L) when; for replacement */
	} stream[AROUND_STREAMS];
};

void vma_free_around(struct vm_area_struct *vma)
{
	struct fault_around *around = vma->around;

	if (!around)
		return;
	vma->around = NULL;
	mutex_destroy(&around->lock);
	kfree(around);
}

static struct fault_around *vma_around(struct vm_area_struct *vma)
{
	struct fault_around *around, *old = NULL;

	around = __atomic_load_n(&vma->around, __ATOMIC_ACQUIRE);
	if (likely(around))
		return around;
	around = kzalloc(sizeof(*around), GFP_KERNEL);
	if (!around)
		return NULL;
	mutex_init(&around->lock, LOCK_LEAF);
	if (__atomic_compare_exchange_n(&vma->around, &old, around, false,
					__ATOMIC_ACQ_REL, __ATOMIC_ACQUIRE))
		return around;
	mutex_destroy(&around->lock);
	kfree(around);
	return old;
}

/* The stream a fault at @index continues, or the one to be replaced. */
static unsigned int around_stream(struct fault_around *around, pgoff_t index)
{
	unsigned int oldest = 0;

	for (unsigned int i = 0; i < AROUND_STREAMS; i++) {
		if (around->stream[i].size && around->stream[i].next == index)
			return i;
		if ((int)(around->stream[i].used -
			  around->stream[oldest].used) < 0)
			oldest = i;
	}
	around->stream[oldest].size = 0;
	return oldest;
}

/* What the client has said of the mapping, else what was said of the file. */
static bool is_random(const struct vm_area_struct *vma)
{
	return vma->vm_flags & (VM_RAND_READ | VM_SEQ_READ) ?
		vma->vm_flags & VM_RAND_READ :
		mapping_advised(vma->vm_file->f_mapping, AS_RANDOM);
}

static bool is_sequential(const struct vm_area_struct *vma)
{
	return vma->vm_flags & VM_SEQ_READ ||
		mapping_advised(vma->vm_file->f_mapping, AS_SEQUENTIAL);
}

/* As around_pages(), wherever the VMA and the chunk end. */
static unsigned int stream_pages(struct vm_area_struct *vma, pgoff_t index)
{
	struct fault_around *around;
	unsigned int nr = 1, i;

	if (is_random(vma))
		return 1;
	around = vma_around(vma);
	if (!around)
		return 1;
	mutex_lock(&around->lock);
	i = around_stream(around, index);
	if (around->stream[i].size)
		nr = min(around->stream[i].size * AROUND_GROWTH, WINDOW_BATCH);
	else if (is_sequential(vma))
		nr = WINDOW_BATCH;
	around->stream[i].size = nr;
	around->stream[i].next = index + nr;
	around->stream[i].used = ++around->clock;
	mutex_unlock(&around->lock);
	return nr;
}

void around_was_short(const struct vm_fault *vmf, unsigned int wanted,
		      unsigned int nr)
{
	struct fault_around *around = READ_ONCE(vmf->vma->around);
	const pgoff_t index = vmf->pgoff;

	if (!around || nr >= wanted)
		return;
	mutex_lock(&around->lock);
	for (unsigned int i = 0; i < AROUND_STREAMS; i++)
		if (around->stream[i].next == index + wanted)
			around->stream[i].next = index + nr;
	mutex_unlock(&around->lock);
}

unsigned int around_pages(const struct vm_fault *vmf)
{
	pgoff_t in_chunk = WINDOW_CHUNK_PAGES - vmf->pgoff % WINDOW_CHUNK_PAGES;
	pgoff_t in_vma = vma_last_pgoff(vmf->vma) - vmf->pgoff + 1;

	return min_t(pgoff_t, stream_pages(vmf->vma, vmf->pgoff),
		     min(in_chunk, in_vma));
}
