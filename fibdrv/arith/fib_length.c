// SPDX-License-Identifier: GPL-2.0-only OR MIT
/*
 * The length of F(n), without F(n).
 *
 * F(n) is phi^n / sqrt(5), rounded, for the golden ratio phi. Its length in a
 * base is the logarithm of that, rounded down, plus 1.
 */
#include "fib.h"
#include "limb.h"

/* Logarithms of phi and of sqrt(5), times 2^96, rounded down. */
#define FIXED_POINT 96
#define FIXED(high, low) ((__uint128_t)(high) << 64 | (low))
#define LOG2_PHI	FIXED(0x00b1b9d68aULL, 0x8e53425de48fc742ULL)
#define LOG2_ROOT5	FIXED(0x012934f097ULL, 0x9a3715fc9257edfeULL)
#define LOG10_PHI	FIXED(0x00358036c8ULL, 0x2451b7f365d3db23ULL)
#define LOG10_ROOT5	FIXED(0x005977d95eULL, 0xc10c0219dc1da994ULL)

/*
 * The constants make an error below n * 2^-96, less than 2^-66. No logarithm of
 * an F(n) up to FIB_INDEX_MAX is so close to a whole number, except those of
 * the first numbers: F(3) is 2, and phi^3 / sqrt(5) is 1.89. test/check_lengths.c
 * compares every index with constants of twice the precision.
 */
u64 fib_bits(u64 n)
{
	if (n < 4)
		return n < 3 ? n != 0 : 2;
	return (u64)((n * LOG2_PHI - LOG2_ROOT5) >> FIXED_POINT) + 1;
}

u64 fib_digits(u64 n)
{
	if (n < 3)
		return 1;
	return (u64)((n * LOG10_PHI - LOG10_ROOT5) >> FIXED_POINT) + 1;
}

size_t fib_limbs(u64 n)
{
	return n ? (fib_bits(n) + LIMB_BITS - 1) / LIMB_BITS : 1;
}

size_t fib_room(u64 n)
{
	/* A doubling makes up to two leading zero limbs. */
	return fib_bits(n) / LIMB_BITS + 4;
}
