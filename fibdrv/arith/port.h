/* SPDX-License-Identifier: GPL-2.0-only OR MIT */
/*
 * What the arithmetic needs from its surroundings: types, memory, a place to
 * yield, warnings, and the processor's features. The kernel's half is
 * port_kernel.h and memory.c; the user-space half is test/port_user.c, where
 * tests make allocations and polls fail, or test/port_plain.c, for measurements.
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

/* As the kernel's: true if the condition is, and then a warning. */
#define WARN_ON_ONCE(condition) \
	(__builtin_expect(!!(condition), 0) && port_warn())
bool port_warn(void);

/* Set at program start, from CPUID; a test may clear it. */
extern bool port_adx;
#define port_has_adx() port_adx

#endif /* __KERNEL__ */

#endif /* FIBDRV_PORT_H */
