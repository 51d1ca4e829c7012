/* SPDX-License-Identifier: GPL-2.0-only OR MIT */
/*
 * Failures on order, in a test build only (FIBDRV_FAULTS=y, see Kbuild):
 * distributions build their kernels without failslab. Everything that can
 * fail for want of memory asks fibdrv_fault() first, and every allocation is
 * counted until it is freed.
 */
#ifndef FIBDRV_FAULTS_H
#define FIBDRV_FAULTS_H

#include <linux/types.h>

#ifdef FIBDRV_FAULTS

bool fibdrv_fault(void);
void fibdrv_count_alloc(const void *memory);
void fibdrv_count_free(const void *memory);

#else

static inline bool fibdrv_fault(void)
{
	return false;
}

static inline void fibdrv_count_alloc(const void *memory)
{
}

static inline void fibdrv_count_free(const void *memory)
{
}

#endif /* FIBDRV_FAULTS */

#endif /* FIBDRV_FAULTS_H */
