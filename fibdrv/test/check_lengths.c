// SPDX-License-Identifier: GPL-2.0-only OR MIT
/*
 * The lengths of F(n), for every n, by sums of logarithms:
 *
 *	check_lengths FIRST LAST PHI2 ROOT2 PHI10 ROOT10
 *
 * The constants are the logarithms of the golden ratio and of the root of 5, to
 * base 2 and to base 10, times 2^128 and rounded down, as two words in hex with
 * a comma between them: test_lengths.py computes them. A sum of LAST of them is
 * wrong by less than LAST * 2^-128; an index whose logarithm is closer to a
 * whole number than 2^-64 is an error, because it would not be decided.
 */
#include <stdio.h>
#include <stdlib.h>

#include "../arith/fib_length.c"

/* A number with 128 bits behind its point. */
struct fixed {
	u64 whole;
	__uint128_t part;
};

static void add(struct fixed *a, __uint128_t part)
{
	a->part += part;
	a->whole += a->part < part;
}

static __uint128_t read_constant(const char *text)
{
	unsigned long long high, low;

	if (sscanf(text, "%llx,%llx", &high, &low) != 2) {
		fprintf(stderr, "wrong: %s is not a constant\n", text);
		exit(2);
	}
	return (__uint128_t)high << 64 | low;
}

/* first * phi - root, by additions. */
static struct fixed logarithm(u64 first, __uint128_t phi, __uint128_t root)
{
	struct fixed sum = { 0, 0 };

	while (first--)
		add(&sum, phi);
	sum.whole -= sum.part < root;
	sum.part -= root;
	return sum;
}

static void demand(const char *what, u64 n, u64 length, const struct fixed *log)
{
	const u64 upper = (u64)(log->part >> 64);

	if (length != log->whole + 1) {
		fprintf(stderr, "wrong: F(%llu) has %llu %s, not %llu\n", n,
			log->whole + 1, what, length);
		exit(1);
	}
	if (!upper || !~upper) {
		fprintf(stderr, "wrong: the %s of F(%llu) are undecided\n", what, n);
		exit(1);
	}
}

int main(int argc, char **argv)
{
	__uint128_t phi2, phi10;
	struct fixed bits, digits;
	u64 n, first, last;

	if (argc != 7) {
		fputs("usage: check_lengths FIRST LAST PHI2 ROOT2 PHI10 ROOT10\n", stderr);
		return 2;
	}
	first = strtoull(argv[1], NULL, 10);
	last = strtoull(argv[2], NULL, 10);
	phi2 = read_constant(argv[3]);
	phi10 = read_constant(argv[5]);
	/* log2 of the root of 5 is above 1. */
	bits = logarithm(first, phi2, read_constant(argv[4]));
	bits.whole--;
	digits = logarithm(first, phi10, read_constant(argv[6]));
	for (n = first; n <= last; n++) {
		demand("bits", n, fib_bits(n), &bits);
		demand("digits", n, fib_digits(n), &digits);
		add(&bits, phi2);
		add(&digits, phi10);
	}
	printf("ok: bits and digits of F(%llu) to F(%llu)\n", first, last);
	return 0;
}
