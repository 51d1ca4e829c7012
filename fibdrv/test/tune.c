// SPDX-License-Identifier: GPL-2.0-only OR MIT
/*
 * Finds the thresholds of bn_tune.h on the machine it runs on:
 *
 *	tune [ROUNDS]
 *
 * For each it takes two ways to do the same, at more and more limbs, and says
 * from where on to take the second: where the sum of what is lost by taking the
 * slower one below and above is least. Each way's time is the best of ROUNDS (20
 * unless given), taken by turns. A clock that counts instructions, as that of a
 * guest under QEMU's -icount, gives the same result with one round.
 */
#define _GNU_SOURCE
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#define BN_THRESHOLDS_VARY
#include "whole.h"

#define LIMBS_MAX	12000
#define NEVER		((size_t)1 << 40)
#define SIZES_MAX	80
#define LONG_S		1000000000.0

struct bn_thresholds bn_thresholds = {
	.mul_karatsuba = NEVER, .mul_toom3 = NEVER, .mul_ntt = NEVER,
	.square_karatsuba = NEVER, .square_toom3 = NEVER, .square_ntt = NEVER,
	.middle_ntt = NEVER, .radix_leaf = 32, .radix_split = NEVER,
};

static u64 a[LIMBS_MAX], b[LIMBS_MAX], r[2 * LIMBS_MAX];
static u64 *work;
static int rounds = 20;

static double now_s(void)
{
	struct timespec time;

	clock_gettime(CLOCK_THREAD_CPUTIME_ID, &time);
	return (double)time.tv_sec + 0.000000001 * (double)time.tv_nsec;
}

static void run_mul(size_t n)
{
	bn_mul(r, a, b, n, work);
}

static void run_square(size_t n)
{
	bn_square(r, a, n, work);
}

/* As radix.c asks: a fraction, and a power without its lowest three tenths. */
static void run_middle(size_t n)
{
	bn_middle(r, a, n, b, n * 7 / 17, work);
}

static void run_radix(size_t n)
{
	memcpy(r, a, n * sizeof(*a));
	radix_chunks(r, n, n * RADIX_CHUNK_DIGITS);
}

static double time_of(void (*run)(size_t), size_t n, size_t *threshold,
		      size_t value, double enough_s)
{
	double begun, took;
	long i, times = 1;

	*threshold = value;
	run(n);
	for (;; times *= 2) {
		begun = now_s();
		for (i = 0; i < times; i++)
			run(n);
		took = now_s() - begun;
		if (took >= enough_s)
			return took / (double)times;
	}
}

/* Where to begin with the second way, which is taken from *threshold on. */
static void find(const char *name, void (*run)(size_t), size_t *threshold,
		 size_t from, size_t to, double factor)
{
	double lost[SIZES_MAX], sum = 0, least = 0;
	size_t size[SIZES_MAX], found = from;
	int count = 0, i, round;

	for (double n = (double)from; n < (double)to && count < SIZES_MAX; n *= factor) {
		double first = LONG_S, second = LONG_S;

		size[count] = (size_t)n;
		for (round = 0; round < rounds; round++) {
			double t = time_of(run, (size_t)n, threshold, NEVER, 0.0001);

			first = t < first ? t : first;
			t = time_of(run, (size_t)n, threshold, (size_t)n, 0.0001);
			second = t < second ? t : second;
		}
		lost[count++] = (first - second) / (first + second);
	}
	/* Beginning at size[i] + 1 loses what the second way would have gained. */
	for (i = 0; i < count; i++) {
		sum += lost[i];
		if (sum < least) {
			least = sum;
			found = i + 1 < count ? size[i + 1] : NEVER;
		}
	}
	*threshold = found;
	if (found == NEVER)
		printf("\t.%s\tnot below %zu\n", name, to);
	else
		printf("\t.%s\t= %zu,\n", name, found);
	fflush(stdout);
}

/* The length of leaves that converts long numbers in the least time. */
static void find_leaf(void)
{
	static const size_t lengths[] = { 100, 170, 290, 500, 850, 1500, 5000 };
	const size_t shortest = 32, longest = 96;
	double first[7], least = LONG_S;
	size_t leaf, found = shortest, i;
	int round;

	bn_thresholds.radix_split = 64;
	for (leaf = shortest; leaf <= longest; leaf += 8) {
		double sum = 0;

		for (i = 0; i < 7; i++) {
			double best = LONG_S;

			for (round = 0; round < rounds; round++) {
				double t = time_of(run_radix, lengths[i],
						   &bn_thresholds.radix_leaf,
						   leaf, 0.0001);
				best = t < best ? t : best;
			}
			if (leaf == shortest)
				first[i] = best;
			sum += best / first[i];
		}
		if (sum < least) {
			least = sum;
			found = leaf;
		}
	}
	bn_thresholds.radix_leaf = found;
	printf("\t.radix_leaf\t= %zu,\n", found);
}

int main(int argc, char **argv)
{
	struct bn_thresholds *t = &bn_thresholds;
	size_t i;

	if (argc == 2)
		rounds = atoi(argv[1]);
	if (argc > 2 || rounds < 1) {
		fputs("usage: tune [ROUNDS]\n", stderr);
		return 2;
	}
	srandom(1);
	for (i = 0; i < LIMBS_MAX; i++) {
		a[i] = (u64)random() << 40 ^ (u64)random() << 20 ^ (u64)random();
		b[i] = a[i] * a[i] | 1;
	}
	/* Far more than any way takes. */
	work = calloc(8 * LIMBS_MAX, sizeof(*work));
	if (!work)
		return 1;

	find("mul_karatsuba", run_mul, &t->mul_karatsuba, 8, 80, 1.06);
	find("mul_toom3", run_mul, &t->mul_toom3, 50, 400, 1.06);
	find("mul_ntt", run_mul, &t->mul_ntt, 500, 6000, 1.06);
	find("square_karatsuba", run_square, &t->square_karatsuba, 8, 120, 1.06);
	find("square_toom3", run_square, &t->square_toom3, 60, 500, 1.06);
	find("square_ntt", run_square, &t->square_ntt, 500, 6000, 1.06);
	find("middle_ntt", run_middle, &t->middle_ntt, 200, 6000, 1.06);
	find_leaf();
	find("radix_split", run_radix, &t->radix_split, 64, 300, 1.06);
	return 0;
}
