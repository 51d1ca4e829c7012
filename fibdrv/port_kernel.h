/* SPDX-License-Identifier: GPL-2.0-only OR MIT */
/* The kernel's half of port.h: memory, a place to yield, the processor. */
#ifndef FIBDRV_PORT_KERNEL_H
#define FIBDRV_PORT_KERNEL_H

#include <linux/errno.h>
#include <linux/mm.h>
#include <linux/overflow.h>
#include <linux/sched.h>
#include <linux/sched/signal.h>
#include <linux/slab.h>
#include <linux/string.h>
#include <linux/types.h>

#ifdef CONFIG_X86_64
#include <asm/cpufeature.h>
#endif

#include "fibdrv_faults.h"

/*
 * Charged to the caller's cgroup. Plain GFP_KERNEL_ACCOUNT would sooner wake
 * the OOM killer, on the machine or in the cgroup, than fail;
 * __GFP_RETRY_MAYFAIL tries as hard but then returns NULL, which the reader
 * sees as ENOMEM.
 */
#define PORT_GFP (GFP_KERNEL_ACCOUNT | __GFP_RETRY_MAYFAIL | __GFP_NOWARN)

/*
 * Up to two pages come from the slab allocator. Beyond that a physically
 * contiguous piece may not be had on a machine that has run for long, and
 * kvmalloc() falls back to mapping single pages. With __GFP_RETRY_MAYFAIL it
 * tries hard for that piece first; asking __vmalloc() instead is no way round,
 * which in v6.19 warns of the flag and drops it (commit 07003531e03c).
 */
#define PORT_KMALLOC_MAX (2 * PAGE_SIZE)

static inline void *port_alloc(size_t count, size_t size)
{
	size_t bytes;
	void *memory;

	if (check_mul_overflow(count, size, &bytes) || fibdrv_fault())
		return NULL;
	if (bytes <= PORT_KMALLOC_MAX)
		memory = kmalloc(bytes, PORT_GFP);
	else
		memory = kvmalloc(bytes, PORT_GFP);
	fibdrv_allocated(memory, bytes);
	return memory;
}

static inline void port_free(const void *memory)
{
	fibdrv_freed(memory);
	kvfree(memory);
}

/**
 * port_poll() - Let others run, and say whether to give up.
 *
 * Called from inside every long computation, at most some hundred thousand
 * limb products apart.
 *
 * Return: 0 to go on, -EINTR once the task is being killed. Other signals
 * wait for the result: a half-computed number is worth nothing to a handler.
 */
static inline int port_poll(void)
{
	cond_resched();
	return fatal_signal_pending(current) ? -EINTR : 0;
}

/*
 * Whether there are mulx (BMI2) and adcx, adox (ADX). The kernel patches the
 * answer into the code when it loads the module, like any alternative, so
 * asking costs no load, no branch to be predicted and no indirect call.
 */
#ifdef CONFIG_X86_64
#define port_has_adx() \
	(cpu_feature_enabled(X86_FEATURE_ADX) && \
	 cpu_feature_enabled(X86_FEATURE_BMI2))
#endif

#endif /* FIBDRV_PORT_KERNEL_H */
