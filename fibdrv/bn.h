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

/* Less than, equal to or greater than 0, as memcmp(). */
int bn_compare(const u64 *a, const u64 *b, size_t n);

/* How many limbs of a are left without its leading zeros; 0 for zero. */
size_t bn_trim(const u64 *a, size_t n);

/* a * 2^bits and a / 2^bits, in place and of any distance; bits lost are lost. */
void bn_shift_left(u64 *a, size_t n, size_t bits);
void bn_shift_right(u64 *a, size_t n, size_t bits);

/* r = a * 2^bits for 0 < bits < 64; gives the bits shifted out. r may be a. */
u64 bn_double(u64 *r, const u64 *a, size_t n, unsigned int bits);

/* a /= d in place, d with its top bit set, v its reciprocal; gives the rest. */
u64 bn_div_limb(u64 *a, size_t n, u64 d, u64 v);

/* r = a * b and r = a * a: n limbs into 2n. r overlaps neither a, b nor work. */
int bn_mul(u64 *r, const u64 *a, const u64 *b, size_t n, u64 *work);
int bn_square(u64 *r, const u64 *a, size_t n, u64 *work);

/* Limbs of working memory for bn_mul() and bn_square() up to n limbs. */
size_t bn_mul_work(size_t n);

/*
 * Divides a (2n limbs) by b (n limbs), where n is a power of two, the top bit
 * of b is set and the upper half of a is less than b. The quotient goes to q
 * (n limbs), the remainder to the lower half of a, and the upper half is zero.
 */
int bn_div(u64 *q, u64 *a, const u64 *b, size_t n, u64 *work);

/* Limbs of working memory for bn_div() up to n limbs. */
size_t bn_div_work(size_t n);

#endif /* FIBDRV_BN_H */
