// SPDX-License-Identifier: GPL-2.0-only OR MIT
/*
 * The test build's parameters, which can be written at any time:
 *
 *	fail	0: nothing fails. k: the k-th thing from now that can fail
 *		for want of memory does, once, and fail is 0 again.
 *	held	how many allocations have not been freed.
 */
#include <linux/moduleparam.h>
#include <linux/spinlock.h>
#include <linux/string.h>

#include "fibdrv_faults.h"

static DEFINE_SPINLOCK(faults_lock);	/* over both counters */

static ulong fail;
module_param(fail, ulong, 0644);
MODULE_PARM_DESC(fail, "which failure from now to give; 0 for none (a test build)");

static long held;
module_param(held, long, 0444);
MODULE_PARM_DESC(held, "allocations that were not freed (a test build)");

bool fibdrv_fault(void)
{
	bool fails;

	spin_lock(&faults_lock);
	fails = fail && !--fail;
	spin_unlock(&faults_lock);
	return fails;
}

static void count(int change)
{
	spin_lock(&faults_lock);
	held += change;
	spin_unlock(&faults_lock);
}

void fibdrv_allocated(void *memory, size_t bytes)
{
	if (!memory)
		return;
	memset(memory, 0xa5, bytes);
	count(1);
}

void fibdrv_freed(const void *memory)
{
	if (memory)
		count(-1);
}
