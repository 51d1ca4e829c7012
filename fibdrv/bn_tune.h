/* SPDX-License-Identifier: GPL-2.0-only OR MIT */
#ifndef FIBDRV_BN_TUNE_H
#define FIBDRV_BN_TUNE_H

static const struct bn_thresholds bn_tuned = {
	.mul_karatsuba = 24,
	.mul_toom3 = 100,
	.mul_ntt = 2000,
	.square_karatsuba = 40,
	.square_toom3 = 120,
	.square_ntt = 2000,
	.middle_ntt = 1000,
	.radix_leaf = 32,
	.radix_split = 64,
};

#endif
