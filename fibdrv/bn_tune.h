/* SPDX-License-Identifier: GPL-2.0-only OR MIT */
/*
 * Thresholds, in limbs, as test/tune.c finds them. They are flat: a fifth more
 * or less makes a difference of a hundredth.
 */
#ifndef FIBDRV_BN_TUNE_H
#define FIBDRV_BN_TUNE_H

#if defined(__x86_64__)

/*
 * "tune 30", three times, on an AMD EPYC of family 25 (Zen 3), with adx; gcc
 * 12.2, -O2 -mgeneral-regs-only.
 */
#define BN_MUL_KARATSUBA	28
#define BN_MUL_TOOM3		142
#define BN_MUL_NTT		1900
#define BN_SQUARE_KARATSUBA	50
#define BN_SQUARE_TOOM3		180
#define BN_SQUARE_NTT		2500
#define BN_MIDDLE_NTT		1050
#define BN_RADIX_LEAF		64
#define BN_RADIX_SPLIT		72

#else

#define BN_MUL_KARATSUBA	28
#define BN_MUL_TOOM3		142
#define BN_MUL_NTT		1900
#define BN_SQUARE_KARATSUBA	50
#define BN_SQUARE_TOOM3		180
#define BN_SQUARE_NTT		2500
#define BN_MIDDLE_NTT		1050
#define BN_RADIX_LEAF		64
#define BN_RADIX_SPLIT		72

#endif

#endif /* FIBDRV_BN_TUNE_H */
