/* SPDX-License-Identifier: GPL-2.0-only OR MIT */
/*
 * What the arithmetic needs from its surroundings: types, memory, a place to
 * yield, and what the processor can do. The kernel's half is port_kernel.h; the
 * user-space half is test/port_user.c, whose allocator, poll and processor can
 * be told to fail.
 */
#ifndef FIBDRV_PORT_H
#define FIBDRV_PORT_H

#ifdef __KERNEL__

#include "port_kernel.h"

#else /* user space */

#include <errno.h>
#include <stdbool.h>
#include <stddef.h>
#include <string.h>
#include <sys/cdefs.h>

#include <linux/types.h>

typedef __u16 u16;
typedef __u32 u32;
typedef __u64 u64;

void *port_alloc(size_t count, size_t size);
void port_free(const void *memory);
int port_poll(void);

/* Set at the start, from CPUID; a test may clear it. */
extern bool port_adx;
#define port_has_adx() port_adx

#endif /* __KERNEL__ */

#endif /* FIBDRV_PORT_H */
