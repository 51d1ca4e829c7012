/* SPDX-License-Identifier: GPL-2.0-only OR MIT */
/*
 * What the arithmetic needs from its surroundings: types, memory, a place to
 * yield, and what the processor can do. The kernel half is a handful of
 * inlines; the user-space half is test/port_user.c, whose allocator, poll and
 * processor can be told to fail.
 */
#ifndef FIBDRV_PORT_H
#define FIBDRV_PORT_H

#ifdef __KERNEL__

#include <linux/errno.h>
#include <linux/mm.h>
#include <linux/sched.h>
#include <linux/sched/signal.h>
#include <linux/slab.h>
#include <linux/string.h>
#include <linux/types.h>

#ifdef CONFIG_X86_64
#include <asm/cpufeature.h>
#endif

/*
 * Charged to the caller's cgroup. Plain GFP_KERNEL_ACCOUNT would sooner wake
 * the OOM killer, on the machine or in the cgroup, than fail;
 * __GFP_RETRY_MAYFAIL tries as hard but then returns NULL, which the reader
 * sees as ENOMEM.
 */
#define PORT_GFP (GFP_KERNEL_ACCOUNT | __GFP_RETRY_MAYFAIL | __GFP_NOWARN)

static inline void *port_alloc(size_t count, size_t size)
{
	return kvmalloc_array(count, size, PORT_GFP);
}

static inline void port_free(const void *memory)
{
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

#else /* user space */

#include <errno.h>
#include <stdbool.h>
#include <stddef.h>
#include <string.h>

#include <linux/types.h>

typedef __u32 u32;
typedef __u64 u64;

#ifndef __always_inline
#define __always_inline inline __attribute__((__always_inline__))
#endif

void *port_alloc(size_t count, size_t size);
void port_free(const void *memory);
int port_poll(void);
bool port_has_adx(void);

#endif /* __KERNEL__ */

#endif /* FIBDRV_PORT_H */
