/* SPDX-License-Identifier: GPL-2.0-only OR MIT */
/*
 * What test/tune.c found. The thresholds are flat: a fifth more or less makes a
 * hundredth of difference.
 */
#ifndef FIBDRV_BN_TUNE_H
#define FIBDRV_BN_TUNE_H

#ifdef __x86_64__

/*
 * "tune 30", three times, on an AMD EPYC of family 25 (Zen 3), with adx; gcc
 * 12.2, -O2 -mgeneral-regs-only.
 */
#define BN_TUNED {				\
	.mul_karatsuba		= 28,		\
	.mul_toom3		= 142,		\
	.mul_ntt		= 1900,		\
	.square_karatsuba	= 50,		\
	.square_toom3		= 180,		\
	.square_ntt		= 2500,		\
	.middle_ntt		= 1050,		\
	.radix_leaf		= 64,		\
	.radix_split		= 72,		\
}

#else

/*
 * arm64. What tune compares, in instructions, counted under qemu-aarch64 7.2: no
 * machine was at hand. gcc 12.2, -O2 -mgeneral-regs-only.
 */
#define BN_TUNED {				\
	.mul_karatsuba		= 24,		\
	.mul_toom3		= 117,		\
	.mul_ntt		= 1430,		\
	.square_karatsuba	= 41,		\
	.square_toom3		= 141,		\
	.square_ntt		= 1570,		\
	.middle_ntt		= 470,		\
	.radix_leaf		= 80,		\
	.radix_split		= 174,		\
}

#endif

#endif /* FIBDRV_BN_TUNE_H */
