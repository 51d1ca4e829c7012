// SPDX-License-Identifier: GPL-2.0-only OR MIT
/* What check_arith and check_large share: numbers, and the plainest product. */
#include "check.h"

struct bn_thresholds bn_thresholds = BN_TUNED;
unsigned long checks;

static u64 state = 0x9e3779b97f4a7c15ULL;

bool seed(const char *text)
{
	state = strtoull(text, NULL, 10);
	return state;
}

/* G. Marsaglia's xorshift. */
u64 any(void)
{
	state ^= state << 13;
	state ^= state >> 7;
	state ^= state << 17;
	return state;
}

u64 *limbs(size_t n)
{
	u64 *memory = malloc((n ? n : 1) * sizeof(*memory));

	if (!memory)
		abort();
	memset(memory, 0xa5, n * sizeof(*memory));
	return memory;
}

/* Limbs by chance, but often all ones or all zeros, and in long runs of them. */
u64 *number(size_t n)
{
	u64 *a = limbs(n);
	const u64 kind = any() % 4;
	size_t i, run = 0;
	u64 value = 0;

	for (i = 0; i < n; i++) {
		if (!run--) {
			run = any() % (kind == 3 ? n : 4);
			value = any() & 1 ? ~0ULL : 0;
		}
		if (kind == 0)
			a[i] = any();
		else if (kind == 1)
			a[i] = ~0ULL;
		else
			a[i] = any() % 8 ? value : any();
	}
	return a;
}

void multiply_plainly(u64 *r, const u64 *a, const u64 *b, size_t n)
{
	size_t i;

	memset(r, 0, 2 * n * sizeof(*r));
	for (i = 0; i < n; i++)
		r[n + i] = row_mul_add_plain(r + i, a, n, b[i], 0);
}

void set_thresholds(size_t karatsuba, size_t toom3, size_t ntt)
{
	bn_thresholds = TUNED;
	bn_thresholds.mul_karatsuba = karatsuba;
	bn_thresholds.square_karatsuba = karatsuba;
	bn_thresholds.mul_toom3 = toom3;
	bn_thresholds.square_toom3 = toom3;
	bn_thresholds.mul_ntt = ntt;
	bn_thresholds.square_ntt = ntt;
}
