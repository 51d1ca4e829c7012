// SPDX-License-Identifier: GPL-2.0-only OR MIT
/* User-space memory for measurements: nothing but what a C library does. */
#include <stdlib.h>

#include "../port.h"

void *port_alloc(size_t count, size_t size)
{
	return malloc(count * size);
}

void port_free(const void *memory)
{
	free((void *)memory);
}

int port_poll(void)
{
	return 0;
}
