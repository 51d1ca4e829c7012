// SPDX-License-Identifier: GPL-2.0-only OR MIT
/*
 * The kernel's half of arith/port.h: memory. A reader gets ENOMEM while there is
 * still memory for everybody else: "Memory" in docs/fibdrv.md tells the rules.
 */
#include <linux/mm.h>
#include <linux/overflow.h>
#include <linux/slab.h>
#include <linux/spinlock.h>
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

/* Up to two pages come from the slab allocator, and are not worth a check. */
#define SMALL_BYTES (2 * PAGE_SIZE)

/* One in so many pages of the machine is not for readers. */
#define RESERVE_PART 8

static DEFINE_SPINLOCK(promise_lock);	/* over promised_pages */
static unsigned long promised_pages;

/*
 * Take a promise of so many pages, or see that they would cut into the reserve.
 * Memory of this kind is no process's own, so the OOM killer would not find who
 * took it. What other readers were promised and have not taken yet counts.
 */
static bool promise_pages(size_t pages)
{
	const unsigned long reserve = totalram_pages() / RESERVE_PART;
	unsigned long needed;
	bool fits;

	spin_lock(&promise_lock);
	needed = promised_pages + pages + reserve;
	fits = si_mem_available() >= (long)needed;
	if (fits)
		promised_pages += pages;
	spin_unlock(&promise_lock);
	return fits;
}

static void end_promise(size_t pages)
{
	spin_lock(&promise_lock);
	promised_pages -= pages;
	spin_unlock(&promise_lock);
}

/* What a mapping of single pages begins with, in its first HEAD_BYTES. */
struct mapping {
	struct page **page;
	size_t pages;
};

#define HEAD_BYTES 64

static void *take(size_t bytes);
static void give_back(const void *memory);

static void free_pages_of(struct page **page, size_t pages)
{
	while (pages--)
		__free_page(page[pages]);
	give_back(page);
}

/*
 * Single pages, one after the other in the kernel's address space.
 *
 * Not by kvmalloc() or __vmalloc(): see docs/fibdrv.md. Nor with
 * VM_MAP_PUT_PAGES, whose vfree() subtracts from VmallocUsed what vmap() did not
 * add, before v6.13 and its stable backports ("mm: vmalloc: fix accounting with
 * i915", December 2024).
 */
static void *map_pages(size_t bytes)
{
	const size_t pages = DIV_ROUND_UP(bytes + HEAD_BYTES, PAGE_SIZE);
	struct page **page = take(pages * sizeof(*page));
	struct mapping *mapping;
	size_t i;

	if (!page)
		return NULL;
	for (i = 0; i < pages; i++) {
		page[i] = port_poll() ? NULL : alloc_page(PORT_GFP);
		if (!page[i])
			goto free_pages;
	}
	mapping = vmap(page, pages, VM_MAP, PAGE_KERNEL);
	if (!mapping)
		goto free_pages;
	mapping->page = page;
	mapping->pages = pages;
	return (char *)mapping + HEAD_BYTES;

free_pages:
	free_pages_of(page, i);
	return NULL;
}

static void unmap_pages(const void *memory)
{
	const struct mapping *mapping = memory - HEAD_BYTES;
	const struct mapping copy = *mapping;

	vunmap(mapping);
	free_pages_of(copy.page, copy.pages);
}

/*
 * A contiguous piece is a power of two pages. It is worth the little effort of
 * PORT_GFP_LIGHT where less than a quarter of what was asked for is wasted.
 */
static void *take(size_t bytes)
{
	const size_t contiguous = PAGE_SIZE << get_order(bytes);
	void *memory = NULL;

	if (bytes <= SMALL_BYTES)
		return kmalloc(bytes, PORT_GFP);
	if (contiguous - bytes < bytes / 4 && contiguous <= KMALLOC_MAX_SIZE)
		memory = kmalloc(bytes, PORT_GFP_LIGHT);
	return memory ? memory : map_pages(bytes);
}

static void give_back(const void *memory)
{
	if (is_vmalloc_addr(memory))
		unmap_pages(memory);
	else
		kfree(memory);
}

void *port_alloc(size_t count, size_t size)
{
	size_t bytes, pages;
	void *memory;

	if (check_mul_overflow(count, size, &bytes) || fibdrv_fault())
		return NULL;
	pages = bytes > SMALL_BYTES ? DIV_ROUND_UP(bytes, PAGE_SIZE) : 0;
	if (pages && !promise_pages(pages))
		return NULL;
	memory = take(bytes);
	if (pages)
		end_promise(pages);
	fibdrv_allocated(memory, bytes);
	return memory;
}

void port_free(const void *memory)
{
	fibdrv_freed(memory);
	give_back(memory);
}
