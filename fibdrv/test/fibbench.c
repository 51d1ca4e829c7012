// SPDX-License-Identifier: GPL-2.0-only OR MIT
/*
 * What the driver's arithmetic costs in user space, beside GMP:
 *
 *	fibbench [--clock cpu | elapsed | instructions] [--own] [--zeroed]
 *		 [--without toom3 | ntt] WHAT N...
 *
 * WHAT is fib, the number alone, or decimal, with its text, or next: the text of
 * F(N) by a kept pair, which has no equivalent in GMP. For each N it prints
 * a line "WHAT <tab> N <tab> cost <tab> GMP's cost", or without the latter with
 * --own. The cost is in nanoseconds of the processor's time, unless told otherwise:
 * in nanoseconds of elapsed time, which are instructions in a guest under QEMU's
 * -icount, or in instructions, as the processor counts them for user space.
 *
 * With --without an algorithm is not used: built with -DBN_THRESHOLDS_VARY only.
 *
 * With --zeroed the driver's memory is zeroed when it is allocated, as that of
 * Debian's kernels is.
 *
 * Costs are the least of many, taken by turns, or of a few that are counts:
 * these are not all the same, since interrupts are counted too.
 *
 * GMP is looked for when the program runs. It is wherever gcc is, which needs it.
 */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <linux/perf_event.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/ioctl.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include "whole.h"
#include "../arith/record.h"

#define ROUNDS		40
#define COUNTED_ROUNDS	8
#define ENOUGH_NS	300000
#define DIGITS_MAX	3000000
#define NEVER		((size_t)1 << 40)
/* Where a transform is as fast as Karatsuba's algorithm, on amd64. */
#define NTT_BEFORE_TOOM3	1400

#ifdef BN_THRESHOLDS_VARY
#include "../arith/bn_tune.h"
struct bn_thresholds bn_thresholds = BN_TUNED;
#endif

/* <gmp.h>, as far as it is wanted: a development package less. */
struct gmp_number {
	int allocated, size;
	unsigned long *limb;
};

static struct {
	void (*init)(struct gmp_number *number);
	void (*fib)(struct gmp_number *number, unsigned long n);
	char *(*text)(char *text, int base, const struct gmp_number *number);
} gmp;

static struct gmp_number gmp_number;
static char *text;
static clockid_t clock_id = CLOCK_THREAD_CPUTIME_ID;
static int counter = -1;

static void fail(const char *what)
{
	fprintf(stderr, "fibbench: %s\n", what);
	exit(1);
}

static void *symbol(void *library, const char *name)
{
	void *found = dlsym(library, name);

	if (!found)
		fail(dlerror());
	return found;
}

static void load_gmp(void)
{
	void *library = dlopen("libgmp.so.10", RTLD_NOW);

	if (!library)
		fail("no libgmp.so.10: install it (Debian: libgmp10), or say --own");
	*(void **)&gmp.init = symbol(library, "__gmpz_init");
	*(void **)&gmp.fib = symbol(library, "__gmpz_fib_ui");
	*(void **)&gmp.text = symbol(library, "__gmpz_get_str");
	gmp.init(&gmp_number);
}

static void own(u64 n, bool decimal)
{
	size_t digits = fib_digits(n);
	u64 *number;

	if (fib_compute(&number, n))
		fail("no memory");
	if (decimal) {
		if (radix_chunks(number, fib_limbs(n), digits))
			fail("no memory");
		radix_decimal(text, digits, number);
		text[digits] = 0;
	}
	port_free(number);
}

static struct fib_pair *pair;

static void start_pair(u64 n)
{
	port_free(pair);
	pair = NULL;
	if (fib_pair_compute(&pair, n, FIB_CHUNKS))
		fail("no memory");
}

/* The text of F(n), from the pair before it, or of the next one. */
static void own_next(u64 n, bool decimal)
{
	(void)n;
	if (fib_pair_next(&pair))
		fail("no memory");
	if (decimal)
		radix_decimal(text, fib_digits(pair->index), pair->now);
}

static void of_gmp(u64 n, bool decimal)
{
	gmp.fib(&gmp_number, n);
	if (decimal)
		gmp.text(text, 10, &gmp_number);
}

static u64 now(void)
{
	struct timespec time;
	u64 count;

	if (counter >= 0) {
		if (read(counter, &count, sizeof(count)) != sizeof(count))
			fail("the instructions cannot be read");
		return count;
	}
	clock_gettime(clock_id, &time);
	return (u64)time.tv_sec * 1000000000 + (u64)time.tv_nsec;
}

/* What asking for the time costs, which is taken off. */
static u64 nothing(void)
{
	u64 least = ~0ULL;
	int i;

	for (i = 0; i < 100; i++) {
		u64 begun = now(), took = now() - begun;

		least = took < least ? took : least;
	}
	return least;
}

static double cost(void (*run)(u64, bool), u64 n, bool decimal, long times)
{
	const u64 begun = now();
	u64 took;
	long i;

	for (i = 0; i < times; i++)
		run(n, decimal);
	took = now() - begun;
	return (double)(took - nothing()) / (double)times;
}

static void bench(const char *what, u64 n)
{
	const bool decimal = strcmp(what, "fib"), is_next = !strcmp(what, "next");
	const bool counted = clock_id != CLOCK_THREAD_CPUTIME_ID || counter >= 0;
	double least[2] = { 1e18, 1e18 };
	long times[2] = { 1, 1 };
	int round, who;

	for (round = 0; round < (counted ? COUNTED_ROUNDS : ROUNDS); round++) {
		for (who = 0; who < (gmp.fib ? 2 : 1); who++) {
			void (*run)(u64, bool) = who ? of_gmp : is_next ? own_next : own;
			double took;

			if (is_next)
				start_pair(n - 1);
			took = cost(run, n, decimal, times[who]);
			while (!counted && took * (double)times[who] < ENOUGH_NS) {
				times[who] *= 2;
				took = cost(run, n, decimal, times[who]);
			}
			if (took < least[who])
				least[who] = took;
		}
	}
	printf("%s\t%llu\t%.1f", what, n, least[0]);
	if (gmp.fib)
		printf("\t%.1f", least[1]);
	putchar('\n');
	fflush(stdout);
	port_free(pair);
	pair = NULL;
}

static void count_instructions(void)
{
	struct perf_event_attr event = {
		.type = PERF_TYPE_HARDWARE,
		.size = sizeof(event),
		.config = PERF_COUNT_HW_INSTRUCTIONS,
		.exclude_kernel = 1,
	};

	counter = (int)syscall(SYS_perf_event_open, &event, 0, -1, -1, 0);
	if (counter < 0)
		fail("no counter of instructions");
}

static bool leave_out(const char *algorithm)
{
#ifdef BN_THRESHOLDS_VARY
	struct bn_thresholds *t = &bn_thresholds;

	if (!strcmp(algorithm, "toom3")) {
		t->mul_toom3 = NTT_BEFORE_TOOM3;
		t->square_toom3 = NTT_BEFORE_TOOM3;
		t->mul_ntt = NTT_BEFORE_TOOM3;
		t->square_ntt = NTT_BEFORE_TOOM3;
		return true;
	}
	if (!strcmp(algorithm, "ntt")) {
		t->mul_ntt = NEVER;
		t->square_ntt = NEVER;
		t->middle_ntt = NEVER;
		return true;
	}
#else
	(void)algorithm;
#endif
	return false;
}

static bool is_kind(const char *what)
{
	return !strcmp(what, "fib") || !strcmp(what, "decimal") || !strcmp(what, "next");
}

int main(int argc, char **argv)
{
	bool with_gmp = true;
	const char *what;
	int i = 1;

	for (; i < argc && argv[i][0] == '-'; i++) {
		const char *value = argv[i + 1] ? argv[i + 1] : "";

		if (!strcmp(argv[i], "--own")) {
			with_gmp = false;
		} else if (!strcmp(argv[i], "--zeroed")) {
			port_zeroed = true;
		} else if (!strcmp(argv[i], "--without")) {
			if (!leave_out(value))
				break;
			i++;
		} else if (!strcmp(argv[i], "--clock")) {
			if (!strcmp(value, "instructions"))
				count_instructions();
			else if (!strcmp(value, "elapsed"))
				clock_id = CLOCK_MONOTONIC_RAW;
			else if (strcmp(value, "cpu"))
				break;
			i++;
		} else {
			break;
		}
	}
	if (i + 1 >= argc || !is_kind(argv[i])) {
		fputs("usage: fibbench [--clock cpu | elapsed | instructions] [--own] [--zeroed]\n"
		      "                [--without toom3 | ntt] fib | decimal | next N...\n", stderr);
		return 2;
	}
	what = argv[i];
	text = malloc(DIGITS_MAX);
	if (!text)
		fail("no memory");
	if (with_gmp && strcmp(what, "next"))
		load_gmp();
	while (++i < argc) {
		u64 n = strtoull(argv[i], NULL, 10);

		if (n > FIB_INDEX_MAX || (strcmp(what, "fib") && fib_digits(n) >= DIGITS_MAX))
			fail("such numbers are too large");
		if (n < 2 && !strcmp(what, "next"))
			fail("there is no pair before F(2)");
		bench(what, n);
	}
	return 0;
}
