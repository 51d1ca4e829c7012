/* SPDX-License-Identifier: GPL-2.0-only OR MIT */
/*
 * Multiplication by a number-theoretic transform: for long numbers, where it
 * takes time that grows hardly faster than their length.
 */
#ifndef FIBDRV_NTT_H
#define FIBDRV_NTT_H

#include "port.h"

/* The fewest limbs that ntt_mul() and ntt_square() take. */
#define NTT_MIN 16

/* As bn_mul() and bn_square(), with ntt_mul_work(n) limbs of work. */
int ntt_mul(u64 *r, const u64 *a, const u64 *b, size_t n, u64 *work);
int ntt_square(u64 *r, const u64 *a, size_t n, u64 *work);

/* Enough for all lengths up to n. */
size_t ntt_mul_work(size_t n);

/* As bn_middle(), for @an of at least NTT_MIN. */
int ntt_middle(u64 *r, const u64 *a, size_t an, const u64 *b, size_t bn,
	       u64 *work);
size_t ntt_middle_work(size_t an);

#endif /* FIBDRV_NTT_H */
