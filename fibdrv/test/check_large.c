// SPDX-License-Identifier: GPL-2.0-only OR MIT
/*
 * What only long numbers reach:
 *
 *	check_large [--every] [SEED]
 *
 * Inverses up to 10,000 limbs, the division of a conversion at every length at
 * which there is one up to that, all roots of the transforms of
 * F(1,000,000,000), and products by transforms longer than F(10,000,000)'s. It
 * takes every length of an inverse up to 1,000 and a sample of the others,
 * some seconds together; with --every all of them, half a minute. Built with the
 * parts of check_arith, for speed: it is not sanitized.
 */
#include "check.h"
#include "port_user.h"

#define LIMBS_LAST	10000
#define EVERY_LAST	1000
#define STRIDE_MAX	31

/* F(10,000,000) needs transforms of 2^14 blocks. */
#define BLOCKS_LOG2	17

int main(int argc, char **argv)
{
	const bool every = argc > 1 && !strcmp(argv[1], "--every");
	const char *text = argc > 1 + every ? argv[1 + every] : NULL;
	size_t n;

	if (argc > 2 + every || (text && !seed(text))) {
		fputs("usage: check_large [--every] [SEED]\n", stderr);
		return 2;
	}
	for (n = 2; n <= LIMBS_LAST; n += n < EVERY_LAST || every ? 1 : 1 + any() % STRIDE_MAX)
		check_inverse(n);
	printf("ok: inverses of 2 to %u limbs\n", LIMBS_LAST);
	check_quotients(LIMBS_LAST);
	printf("ok: quotients of up to %u limbs\n", LIMBS_LAST);
	check_transforms(BLOCKS_LOG2);
	printf("ok: transforms of up to 2^%u blocks\n", BLOCKS_LOG2);
	return 0;
}
