/* SPDX-License-Identifier: GPL-2.0-only OR MIT */
/* The kernel's half of port.h; its memory is in ../memory.c. */
#ifndef FIBDRV_PORT_KERNEL_H
#define FIBDRV_PORT_KERNEL_H

#include <linux/bug.h>
#include <linux/errno.h>
#include <linux/freezer.h>
#include <linux/sched.h>
#include <linux/sched/signal.h>
#include <linux/string.h>
#include <linux/types.h>

#ifdef CONFIG_X86_64
#include <asm/cpufeature.h>
#endif

#include "../fibdrv_faults.h"

/* NULL for want of memory, or where port_poll() asks to give up. */
void *port_alloc(size_t count, size_t size);
void port_free(const void *memory);

/**
 * port_poll() - Let others run, and look for a fatal signal.
 *
 * Every long loop calls it, at most some hundred thousand limb products apart.
 *
 * Return: 0 to continue, -EINTR once the task is being killed or frozen. Other
 * signals wait for the result: a half-computed number is worth nothing to a
 * handler.
 */
static inline int port_poll(void)
{
	cond_resched();
	if (!signal_pending(current))
		return 0;
	/* The freezer wakes a task as a signal does: see give_record.c. */
	return fatal_signal_pending(current) || freezing(current) ? -EINTR : 0;
}

/*
 * True if the processor has mulx (BMI2) and adcx, adox (ADX). The kernel patches
 * the answer into the code when it loads the module, like any alternative: no
 * load, no branch to predict and no indirect call.
 */
#ifdef CONFIG_X86_64
#define port_has_adx() \
	(cpu_feature_enabled(X86_FEATURE_ADX) && \
	 cpu_feature_enabled(X86_FEATURE_BMI2))
#endif

#endif /* FIBDRV_PORT_KERNEL_H */
