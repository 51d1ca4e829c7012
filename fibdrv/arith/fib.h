/* SPDX-License-Identifier: GPL-2.0-only OR MIT */
/*
 * Fibonacci numbers: F(0) = 0, F(1) = 1, F(n) = F(n - 1) + F(n - 2), for indices
 * up to FIB_INDEX_MAX of record.h. A number is an array of 64-bit limbs, the
 * least significant first.
 */
#ifndef FIBDRV_FIB_H
#define FIBDRV_FIB_H

#include "port.h"

/* The exact number of bits and of decimal digits of F(n); 0 and 1 for F(0). */
u64 fib_bits(u64 n);
u64 fib_digits(u64 n);

/* The exact number of limbs of F(n), at least 1. */
size_t fib_limbs(u64 n);

/* Limbs that F(n) and F(n - 1) each take while they are computed together. */
size_t fib_room(u64 n);

/**
 * fib_compute() - Compute F(n).
 * @number: set to fib_limbs(@n) limbs, which the caller frees with port_free();
 *	unchanged on failure. The memory has room for radix_chunks() in place.
 * @n: the index.
 *
 * Return: 0, -ENOMEM, or -EINTR if port_poll() requested it.
 */
int fib_compute(u64 **number, u64 n);

/**
 * fib_compute_pair() - Compute F(n) and F(n - 1).
 * @now: where F(n) goes: fib_room(@n) limbs.
 * @before: where F(n - 1) goes: as many limbs.
 * @n: the index, at least 1.
 *
 * Both get fib_limbs(@n) limbs; the last one of F(n - 1) may be zero.
 *
 * Return: 0, -ENOMEM, or -EINTR if port_poll() requested it.
 */
int fib_compute_pair(u64 *now, u64 *before, u64 n);

#endif /* FIBDRV_FIB_H */
