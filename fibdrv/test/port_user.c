// SPDX-License-Identifier: GPL-2.0-only OR MIT
/*
 * User-space memory and polling for the arithmetic under test. Memory comes
 * filled with rubbish, because the kernel's is only zero where the
 * distribution chose init_on_alloc.
 */
#include <malloc.h>
#include <stdlib.h>

#include "port_user.h"
#include "../arith/port.h"

struct port_faults port_faults;

void *port_alloc(size_t count, size_t size)
{
	void *memory;

	if (port_faults.fail_alloc && !--port_faults.fail_alloc) {
		port_faults.failed = true;
		return NULL;
	}
	memory = malloc(count * size);
	if (!memory)
		return NULL;
	memset(memory, 0xa5, count * size);
	port_faults.allocated++;
	port_faults.bytes += malloc_usable_size(memory);
	if (port_faults.bytes > port_faults.peak)
		port_faults.peak = port_faults.bytes;
	return memory;
}

void port_free(const void *memory)
{
	if (!memory)
		return;
	port_faults.allocated--;
	port_faults.bytes -= malloc_usable_size((void *)memory);
	free((void *)memory);
}

int port_poll(void)
{
	return port_faults.interrupt && !--port_faults.interrupt ? -EINTR : 0;
}

bool port_warn(void)
{
	port_faults.warnings++;
	return true;
}
