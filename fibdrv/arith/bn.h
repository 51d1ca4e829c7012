/* SPDX-License-Identifier: GPL-2.0-only OR MIT */
/*
 * Natural numbers as arrays of 64-bit limbs, least significant limb first.
 *
 * The caller owns all memory, working memory included: nothing here allocates,
 * so nothing here fails for want of memory. Functions that can take long
 * return 0 or -EINTR (see port_poll()).
 */
#ifndef FIBDRV_BN_H
#define FIBDRV_BN_H

#include "port.h"

/* r = a + b, n limbs each; gives the carry. r may be a or b. */
u64 bn_add(u64 *r, const u64 *a, const u64 *b, size_t n);

/* r = a - b, n limbs each; gives the borrow. r may be a or b. */
u64 bn_sub(u64 *r, const u64 *a, const u64 *b, size_t n);

/* a += v and a -= v, in place; give the carry and the borrow. */
u64 bn_add_limb(u64 *a, size_t n, u64 v);
u64 bn_sub_limb(u64 *a, size_t n, u64 v);

/* a = B^n - a, in place, for B = 2^64; zero stays zero. */
void bn_negate(u64 *a, size_t n);

/* Less than, equal to or greater than 0, as memcmp(). */
int bn_compare(const u64 *a, const u64 *b, size_t n);

/* How many limbs of a are left without its leading zeros; 0 for zero. */
size_t bn_trim(const u64 *a, size_t n);

/* How many bits of a are left without its leading zeros; 0 for zero. */
size_t bn_bits(const u64 *a, size_t n);

/* r = a * 2^bits for 0 < bits < 64; gives the bits shifted out. r may be a. */
u64 bn_shift_left(u64 *r, const u64 *a, size_t n, unsigned int bits);

/* a /= 2^bits for 0 < bits < 64, in place. */
void bn_shift_right(u64 *a, size_t n, unsigned int bits);

/*
 * r = a * 2^bits and r = a / 2^bits, for any number of bits: an limbs of a, rn of
 * r. What does not fit is lost. r may not be a.
 */
void bn_shift_up(u64 *r, size_t rn, const u64 *a, size_t an, size_t bits);
void bn_shift_down(u64 *r, size_t rn, const u64 *a, size_t an, size_t bits);

/* a += 2^bit and a -= 2^bit, in place. */
void bn_add_bit(u64 *a, size_t n, size_t bit);
void bn_sub_bit(u64 *a, size_t n, size_t bit);

/* r = a * b, n limbs by one limb; gives the limb carried out. r may be a. */
u64 bn_mul_limb(u64 *r, const u64 *a, size_t n, u64 b);

/* r = a * b and r = a * a: n limbs into 2n. r overlaps neither a, b nor work. */
int bn_mul(u64 *r, const u64 *a, const u64 *b, size_t n, u64 *work);
int bn_square(u64 *r, const u64 *a, size_t n, u64 *work);

/* Limbs of working memory for bn_mul() and bn_square() up to n limbs. */
size_t bn_mul_work(size_t n);

/**
 * bn_middle() - The limbs in the middle of a product.
 * @r: where they go: @an - @bn limbs.
 * @a: a number of @an limbs.
 * @b: a number of @bn limbs, fewer than @an and at least half as many.
 * @work: bn_middle_work(@an, @bn) limbs.
 *
 * Gives the limbs from @bn to @an - 1 of a * b, or 1 more or
 * less in the last place, for what is carried there from below.
 *
 * Return: 0, or -EINTR when port_poll() asked to give up.
 */
int bn_middle(u64 *r, const u64 *a, size_t an, const u64 *b, size_t bn,
	      u64 *work);
size_t bn_middle_work(size_t an, size_t bn);

/**
 * bn_inverse() - The inverse of a number, by Newton's iteration.
 * @v: where it goes: n limbs.
 * @d: a number of n limbs whose top bit is set, and no power of 2.
 * @n: at least 2.
 * @work: bn_inverse_work(@n) limbs.
 *
 * Computes B^2n / d - B^n for B = 2^64, rounded down, or up to 3 less.
 *
 * Return: 0, or -EINTR when port_poll() asked to give up.
 */
int bn_inverse(u64 *v, const u64 *d, size_t n, u64 *work);
size_t bn_inverse_work(size_t n);

#endif /* FIBDRV_BN_H */
