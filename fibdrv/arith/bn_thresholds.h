/* SPDX-License-Identifier: GPL-2.0-only OR MIT */
/* Where each way to multiply and to convert begins. */
#ifndef FIBDRV_BN_THRESHOLDS_H
#define FIBDRV_BN_THRESHOLDS_H

#include "port.h"

/**
 * struct bn_thresholds - Where each way begins to pay, in limbs.
 * @mul_karatsuba: at least 4.
 * @mul_toom3: at least 9.
 * @mul_ntt: at least NTT_MIN.
 * @square_karatsuba: at least 4.
 * @square_toom3: at least 9.
 * @square_ntt: at least NTT_MIN.
 * @middle_ntt: where bn_middle() takes a transform; at least NTT_MIN.
 * @radix_leaf: the most limbs that are converted one by one; at least 32.
 * @radix_split: the fewest that are split at all; at least 64.
 *
 * bn_tune.h has what test/tune.c found for an architecture. All values from the
 * least on are correct, which the tests, and the tuning itself, make use of:
 * they define BN_THRESHOLDS_VARY.
 */
struct bn_thresholds {
	size_t mul_karatsuba;
	size_t mul_toom3;
	size_t mul_ntt;
	size_t square_karatsuba;
	size_t square_toom3;
	size_t square_ntt;
	size_t middle_ntt;
	size_t radix_leaf;
	size_t radix_split;
};

#ifdef BN_THRESHOLDS_VARY
extern struct bn_thresholds bn_thresholds;
#else
#include "bn_tune.h"
static const struct bn_thresholds bn_thresholds = BN_TUNED;
#endif

#endif /* FIBDRV_BN_THRESHOLDS_H */
