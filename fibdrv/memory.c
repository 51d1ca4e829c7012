// SPDX-License-Identifier: GPL-2.0-only OR MIT
/* The kernel's half of port.h: memory. */
#include <linux/mm.h>
#include <linux/overflow.h>
#include <linux/sched.h>
#include <linux/slab.h>
#include <linux/vmalloc.h>

#include "arith/port.h"

/*
 * Charged to the caller's cgroup. Plain GFP_KERNEL_ACCOUNT would sooner wake
 * the OOM killer, on the machine or in the cgroup, than fail;
 * __GFP_RETRY_MAYFAIL tries as hard but then returns NULL, which the reader
 * sees as ENOMEM.
 */
#define PORT_GFP (GFP_KERNEL_ACCOUNT | __GFP_RETRY_MAYFAIL | __GFP_NOWARN)

/* For what is convenient and not needed: pages side by side. */
#define PORT_GFP_LIGHT ((PORT_GFP & ~__GFP_RETRY_MAYFAIL) | __GFP_NORETRY)

/*
 * Up to two pages come from the slab allocator. Beyond that a physically
 * contiguous piece may not be had on a machine that has run for long: it is
 * asked for once, and then single pages are mapped.
 */
#define PORT_KMALLOC_MAX (2 * PAGE_SIZE)

/*
 * Single pages, one after the other in the kernel's address space.
 *
 * Not by kvmalloc(): with __GFP_RETRY_MAYFAIL it tries hard for the contiguous
 * piece too, and since v6.19 what it had of the pages when it failed goes back
 * from a work queue, later. Until then the cgroup is full, and whatever the
 * reader does next that is charged, such as writing its message into a pipe,
 * wakes the OOM killer after all. Nor by __vmalloc(), which in v6.19 warns of
 * __GFP_RETRY_MAYFAIL and drops it (commit 07003531e03c).
 */
static void *map_pages(size_t bytes)
{
	const size_t count = DIV_ROUND_UP(bytes, PAGE_SIZE);
	struct page **page = kvmalloc_array(count, sizeof(*page), PORT_GFP);
	void *memory;
	size_t i;

	if (!page)
		return NULL;
	for (i = 0; i < count; i++) {
		page[i] = alloc_page(PORT_GFP | __GFP_HIGHMEM);
		if (!page[i])
			goto free_pages;
		cond_resched();
	}
	/* From here on vfree() frees the pages, and their array. */
	memory = vmap(page, count, VM_MAP | VM_MAP_PUT_PAGES, PAGE_KERNEL);
	if (memory)
		return memory;

free_pages:
	while (i--)
		__free_page(page[i]);
	kvfree(page);
	return NULL;
}

void *port_alloc(size_t count, size_t size)
{
	size_t bytes;
	void *memory;

	if (check_mul_overflow(count, size, &bytes) || fibdrv_fault())
		return NULL;
	if (bytes <= PORT_KMALLOC_MAX) {
		memory = kmalloc(bytes, PORT_GFP);
	} else {
		memory = kmalloc(bytes, PORT_GFP_LIGHT);
		if (!memory)
			memory = map_pages(bytes);
	}
	fibdrv_allocated(memory, bytes);
	return memory;
}

void port_free(const void *memory)
{
	fibdrv_freed(memory);
	kvfree(memory);
}
