// SPDX-License-Identifier: GPL-2.0-only OR MIT
/* User-space memory for measurements: nothing but what a C library does. */
#include <stdlib.h>

#include "../arith/port.h"

/*
 * Zero it, as a kernel with init_on_alloc does, and with the same instruction:
 * QEMU counts its every byte.
 */
static bool port_zeroed;

static void zero(void *memory, size_t bytes)
{
#ifdef __x86_64__
	asm volatile("rep stosb" : "+D" (memory), "+c" (bytes) : "a" (0)
		     : "memory");
#else
	memset(memory, 0, bytes);
#endif
}

void *port_alloc(size_t count, size_t size)
{
	void *memory = malloc(count * size);

	if (memory && port_zeroed)
		zero(memory, count * size);
	return memory;
}

void port_free(const void *memory)
{
	free((void *)memory);
}

int port_poll(void)
{
	return 0;
}

bool port_warn(void)
{
	abort();
}
