// SPDX-License-Identifier: GPL-2.0-only OR MIT
#include <linux/atomic.h>
#include <linux/minmax.h>
#include <linux/sizes.h>

#include "keep.h"
#include "parameters.h"

static atomic_long_t kept_bytes;	/* by all open files */

static long total_limit(void)
{
	return keep_total_kib * (long)SZ_1K;
}

size_t keep_limit(const struct kept *kept)
{
	long rest = total_limit() - atomic_long_read(&kept_bytes);

	return min_t(size_t, keep_kib * (size_t)SZ_1K,
		     kept->accounted + max(rest, 0L));
}

/*
 * Two files may see the same rest in keep_limit(), and both use it: so it is the
 * sum of the account that decides, and the later one gives up.
 */
void keep_account(struct kept *kept)
{
	const size_t held = kept->sequence.bytes;
	const long change = (long)held - (long)kept->accounted;

	if (!change)
		return;
	kept->accounted = held;
	if (atomic_long_add_return(change, &kept_bytes) > total_limit() &&
	    change > 0)
		keep_nothing(kept);
}

void keep_nothing(struct kept *kept)
{
	record_free(NULL, &kept->sequence);
	atomic_long_sub(kept->accounted, &kept_bytes);
	kept->accounted = 0;
}
