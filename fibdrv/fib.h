/* SPDX-License-Identifier: GPL-2.0-only OR MIT */
/*
 * The Fibonacci recurrence: F(0) = 0, F(1) = 1, F(n) = F(n - 1) + F(n - 2).
 */
#ifndef FIBDRV_FIB_H
#define FIBDRV_FIB_H

#include "port.h"

/*
 * The greatest index that this code computes. It keeps every buffer well below
 * INT_MAX bytes, beyond which kvmalloc() refuses (since v5.15, commit
 * 7661809d493b), and every intermediate of the size computations in 128 bits.
 * All functions here demand n <= FIB_INDEX_MAX.
 */
#define FIB_INDEX_MAX 1000000000ULL

/**
 * struct fib_number - A Fibonacci number.
 * @limb: the limbs, least significant first; the owner frees them.
 * @count: how many there are, at least 1; the last one is zero for F(0) only.
 */
struct fib_number {
	u64 *limb;
	size_t count;
};

/* The exact number of bits and of decimal digits of F(n); 0 and 1 for F(0). */
u64 fib_bits(u64 n);
u64 fib_digits(u64 n);

/**
 * fib_compute() - Compute F(n).
 * @number: where the result goes; untouched on failure.
 * @n: the index.
 *
 * Return: 0, -ENOMEM, or -EINTR when port_poll() asked to give up.
 */
int fib_compute(struct fib_number *number, u64 n);

#endif /* FIBDRV_FIB_H */
