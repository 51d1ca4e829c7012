// SPDX-License-Identifier: GPL-2.0-only OR MIT
/*
 * The arithmetic's routines against the plainest way to do the same:
 *
 *	check_arith [ROUNDS [SEED]]
 *
 * Built with thresholds that vary: each way to multiply is made to do all the
 * work there is for it, at every small length and around its real threshold, by
 * itself and among the others, with and without adx. All memory is exactly as
 * long as promised, for the sanitizer to watch over.
 */
#include "check.h"
#include "port_user.h"

int main(int argc, char **argv)
{
	const unsigned long rounds = argc > 1 ? strtoul(argv[1], NULL, 10) : 1;
	const bool adx = port_adx;
	unsigned long round;

	if (argc > 3 || !rounds || (argc > 2 && !seed(argv[2]))) {
		fputs("usage: check_arith [ROUNDS [SEED]]\n", stderr);
		return 2;
	}
	for (round = 0; round < rounds; round++) {
		check_products(round);
		check_transform_bounds();
		check_conversions();
		check_fibonacci();
		/* The rows in C, where there are others. */
		port_adx = false;
		if (adx)
			check_products(round * 8 + 1);
		port_adx = adx;
	}
	check_faults();
	DEMAND(!port_faults.allocated, "%ld allocations are left",
	       port_faults.allocated);
	printf("ok: %lu checks of products, digits and numbers\n", checks);
	return 0;
}
