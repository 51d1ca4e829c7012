// SPDX-License-Identifier: GPL-2.0-only OR MIT
/*
 * The kernel's half of arith/port.h: memory. A reader gets ENOMEM while there is
 * still memory for everybody else: "Memory" in docs/fibdrv.md tells the rules.
 */
#include <linux/log2.h>
#include <linux/minmax.h>
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
#define LIGHT_GFP ((PORT_GFP & ~__GFP_RETRY_MAYFAIL) | __GFP_NORETRY)

/* Up to two pages come from the slab allocator, and are not worth a check. */
#define SMALL_BYTES (2 * PAGE_SIZE)

/* So many pages side by side are easily found: 2^3, as the kernel itself has it. */
#define CHUNK_ORDER PAGE_ALLOC_COSTLY_ORDER

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

/**
 * struct piece - What each piece of memory begins with.
 * @pages: how many it is; 0 if it comes from the slab allocator.
 * @page: its pages, if they were mapped one by one; NULL if they are side by
 *	side.
 */
struct piece {
	size_t pages;
	struct page **page;
};

static struct piece *take(size_t bytes);
static void give_back(struct piece *piece);

/* The pages' own list is a piece of memory as well, much smaller. */
static struct page **take_list(size_t pages)
{
	struct piece *list;

	list = take(sizeof(*list) + pages * sizeof(struct page *));
	return list ? (struct page **)(list + 1) : NULL;
}

static void free_page_by_page(struct page **page, size_t pages)
{
	while (pages--)
		__free_page(page[pages]);
	give_back((struct piece *)page - 1);
}

/* Take some of so many pages; gives how many, 0 for none. */
static size_t take_chunk(struct page **page, size_t pages)
{
	unsigned int order = min_t(unsigned int, ilog2(pages), CHUNK_ORDER);
	struct page *first = NULL;
	size_t i;

	if (port_poll())
		return 0;
	if (order)
		first = alloc_pages(LIGHT_GFP, order);
	if (first) {
		split_page(first, order);
	} else {
		order = 0;
		first = alloc_page(PORT_GFP);
	}
	if (!first)
		return 0;
	for (i = 0; i < 1UL << order; i++)
		page[i] = first + i;
	return i;
}

/*
 * Pages from anywhere, one after the other in the kernel's address space.
 *
 * Not by kvmalloc() or __vmalloc(): see docs/fibdrv.md. Nor with
 * VM_MAP_PUT_PAGES, whose vfree() subtracts from VmallocUsed what vmap() did not
 * add, before v6.13 and its stable backports ("vmalloc: fix accounting with
 * i915", December 2024).
 */
static struct piece *map_pages(size_t pages)
{
	struct page **page = take_list(pages);
	struct piece *piece;
	size_t i, taken;

	if (!page)
		return NULL;
	for (i = 0; i < pages; i += taken) {
		taken = take_chunk(page + i, pages - i);
		if (!taken)
			goto free_pages;
	}
	piece = vmap(page, pages, VM_MAP, PAGE_KERNEL);
	if (!piece)
		goto free_pages;
	*piece = (struct piece) { .pages = pages, .page = page };
	return piece;

free_pages:
	free_page_by_page(page, i);
	return NULL;
}

/*
 * Pages side by side are a power of two, so they are taken only where less than
 * a quarter of what was asked for is too much. That goes back at once.
 */
static struct piece *take_pages(size_t pages)
{
	const size_t bytes = pages << PAGE_SHIFT;
	const size_t power = 1UL << get_order(bytes);
	struct piece *piece = NULL;

	if ((power - pages) * 4 < pages &&
	    power <= KMALLOC_MAX_SIZE >> PAGE_SHIFT)
		piece = alloc_pages_exact(bytes, LIGHT_GFP);
	if (!piece)
		return map_pages(pages);
	*piece = (struct piece) { .pages = pages };
	return piece;
}

static struct piece *take(size_t bytes)
{
	struct piece *piece;

	if (bytes > SMALL_BYTES)
		return take_pages(DIV_ROUND_UP(bytes, PAGE_SIZE));
	piece = kmalloc(bytes, PORT_GFP);
	if (piece)
		*piece = (struct piece) { .pages = 0 };
	return piece;
}

static void give_back(struct piece *piece)
{
	const size_t pages = piece->pages;
	struct page **page = piece->page;

	if (!pages) {
		kfree(piece);
	} else if (!page) {
		free_pages_exact(piece, pages << PAGE_SHIFT);
	} else {
		vunmap(piece);
		free_page_by_page(page, pages);
	}
}

void *port_alloc(size_t count, size_t size)
{
	struct piece *piece;
	size_t bytes, pages;

	if (check_mul_overflow(count, size, &bytes) ||
	    check_add_overflow(bytes, sizeof(*piece), &bytes) || fibdrv_fault())
		return NULL;
	pages = bytes > SMALL_BYTES ? DIV_ROUND_UP(bytes, PAGE_SIZE) : 0;
	if (pages && !promise_pages(pages))
		return NULL;
	piece = take(bytes);
	if (pages)
		end_promise(pages);
	if (!piece)
		return NULL;
	fibdrv_allocated(piece + 1, bytes - sizeof(*piece));
	return piece + 1;
}

void port_free(const void *memory)
{
	if (!memory)
		return;
	fibdrv_freed(memory);
	give_back((struct piece *)memory - 1);
}
