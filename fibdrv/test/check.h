/* SPDX-License-Identifier: GPL-2.0-only OR MIT */
/* What the parts of check_arith and check_large share. */
#ifndef FIBDRV_TEST_CHECK_H
#define FIBDRV_TEST_CHECK_H

#include <stdio.h>
#include <stdlib.h>

#include "../arith/bn.h"
#include "../arith/bn_thresholds.h"
#include "../arith/bn_tune.h"
#include "../arith/limb.h"
#include "../arith/ntt.h"
#include "../arith/row.h"

#define NEVER	((size_t)1 << 40)
#define TUNED	((struct bn_thresholds)BN_TUNED)

extern unsigned long checks;

#define DEMAND(condition, ...)						\
	do {								\
		checks++;						\
		if (!(condition)) {					\
			fprintf(stderr, "wrong: " __VA_ARGS__);		\
			fprintf(stderr, " (%s:%d)\n", __FILE__, __LINE__); \
			exit(1);					\
		}							\
	} while (0)

/* A random word, the same every time for one seed; false if that is zero. */
u64 any(void);
bool seed(const char *text);

/* Memory for n limbs, filled with rubbish, and a number in it. */
u64 *limbs(size_t n);
u64 *number(size_t n);

/* r = a * b, n limbs each, with the rows in C. */
void multiply_plainly(u64 *r, const u64 *a, const u64 *b, size_t n);

static inline bool same(const u64 *a, const u64 *b, size_t n)
{
	return !memcmp(a, b, n * sizeof(*a));
}

/* Modulo a prime below 2^64, from the top. */
u64 residue(const u64 *a, size_t n, u64 prime);

/* For products and squares; NEVER for a way that is not to be taken. */
void set_thresholds(size_t karatsuba, size_t toom3, size_t ntt);

/* With each part, a round takes some tenths of a second. */
void check_products(unsigned long round);
void check_conversions(void);
void check_transform_bounds(void);
void check_transforms(unsigned int last_log2);
void check_inverse(size_t n);
void check_quotients(size_t last);
void check_fibonacci(void);
void check_faults(void);

#endif /* FIBDRV_TEST_CHECK_H */
