// SPDX-License-Identifier: GPL-2.0-only OR MIT
/*
 * Fuzzes multiplication: the input is where each way begins, whether there is
 * adx, and two numbers, whose product and square must be the plain ones.
 */
#include "fuzz.h"
#include "../arith/bn.h"
#include "../arith/bn_thresholds.h"
#include "../arith/bn_tune.h"
#include "../arith/ntt.h"
#include "../arith/row.h"

#define LIMBS_MAX	400

struct bn_thresholds bn_thresholds = BN_TUNED;

static void demand_product(const u64 *r, const u64 *a, const u64 *b, size_t n)
{
	u64 *plain = calloc(2 * n, sizeof(*plain));
	size_t i;

	for (i = 0; i < n; i++)
		plain[n + i] = row_mul_add_plain(plain + i, a, n, b[i], 0);
	FUZZ_DEMAND(!memcmp(r, plain, 2 * n * sizeof(*r)));
	free(plain);
}

int fuzz_one(const unsigned char *data, size_t size)
{
	struct fuzz_input in = { data, size };
	u64 *a, *b, *r, *work;
	const u64 way = fuzz_take(&in, 1);
	size_t n, i;

	bn_thresholds.mul_karatsuba = 4 + fuzz_take(&in, 1) % 60;
	bn_thresholds.mul_toom3 = 9 + fuzz_take(&in, 1);
	bn_thresholds.mul_ntt = way & 1 ? NTT_MIN + fuzz_take(&in, 1) : LIMBS_MAX + 1;
	bn_thresholds.square_karatsuba = bn_thresholds.mul_karatsuba;
	bn_thresholds.square_toom3 = bn_thresholds.mul_toom3;
	bn_thresholds.square_ntt = bn_thresholds.mul_ntt;
	port_adx = way & 2;

	/* What the input does not have is repeated from what it has. */
	n = 1 + fuzz_take(&in, 2) % LIMBS_MAX;
	a = calloc(n, sizeof(*a));
	b = calloc(n, sizeof(*b));
	for (i = 0; i < n; i++) {
		a[i] = in.size ? fuzz_take(&in, 8) : a[i / 2];
		b[i] = in.size ? fuzz_take(&in, 8) : ~a[i - i / 3];
	}
	r = malloc(2 * n * sizeof(*r));
	work = malloc(bn_mul_work(n) * sizeof(*work) + 1);
	FUZZ_DEMAND(!bn_mul(r, a, b, n, work));
	demand_product(r, a, b, n);
	FUZZ_DEMAND(!bn_square(r, a, n, work));
	demand_product(r, a, a, n);
	free(a);
	free(b);
	free(r);
	free(work);
	return 0;
}
