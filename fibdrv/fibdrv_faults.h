/* SPDX-License-Identifier: GPL-2.0-only OR MIT */
/*
 * Failures on order, in a test build only (FIBDRV_FAULTS=y, see Kbuild):
 * distributions build their kernels without failslab. Everything that can
 * fail for want of memory asks fibdrv_fault() first. Every allocation is filled
 * with rubbish, since distributions also choose init_on_alloc, and is counted
 * until it is freed.
 */
#ifndef FIBDRV_FAULTS_H
#define FIBDRV_FAULTS_H

#include <linux/types.h>

#ifdef FIBDRV_FAULTS

bool fibdrv_fault(void);
void fibdrv_allocated(void *memory, size_t bytes);
void fibdrv_freed(const void *memory);

#else

static inline bool fibdrv_fault(void)
{
	return false;
}

static inline void fibdrv_allocated(void *memory, size_t bytes)
{
}

static inline void fibdrv_freed(const void *memory)
{
}

#endif /* FIBDRV_FAULTS */

#endif /* FIBDRV_FAULTS_H */
