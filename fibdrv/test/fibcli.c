// SPDX-License-Identifier: GPL-2.0-only OR MIT
/*
 * The driver's arithmetic as a command, for test_arith.py and benchmarks:
 *
 *	fibcli FORMAT [--fail-alloc K | --interrupt K]
 *
 * reads indices from stdin and prints for each a line "n <tab> result", the
 * result being digits, or the name of the error. With a fault ordered, each
 * index is computed with the K-th allocation failing or the K-th poll giving
 * up.
 *
 *	fibcli FORMAT --onward START COUNT
 *
 * prints so many numbers from F(START) on, each by an addition.
 *
 *	fibcli FORMAT --peak
 *
 * prints the bytes of the number, the most that were held while it was computed,
 * the bytes of the result, and the most that were held until it was there.
 *
 * It aborts if memory was lost. FORMAT is decimal, hex or binary, which is
 * printed as two hex digits a byte.
 */
#include <stdio.h>
#include <stdlib.h>

#include "port_user.h"
#include "../arith/fib.h"
#include "../arith/fib_pair.h"
#include "../arith/radix.h"

static const char *format;

/* The text is exactly as long as promised, for the sanitizer to watch over. */
static char *allocate_text(size_t size)
{
	char *text = port_alloc(size, 1);

	if (!text && !port_faults.failed)
		abort();
	return text;
}

static size_t text_size(u64 n)
{
	const u64 bits = fib_bits(n) ? fib_bits(n) : 1;

	if (!strcmp(format, "decimal"))
		return fib_digits(n);
	return !strcmp(format, "hex") ? (bits + 3) / 4 : (bits + 7) / 8 * 2;
}

/* From limbs, or for decimal from chunks. */
static int write_text(char *text, size_t size, const u64 *word, size_t count)
{
	const unsigned char *byte = (const unsigned char *)word;
	size_t i;

	if (!strcmp(format, "decimal"))
		return radix_decimal(text, size, word);
	if (!strcmp(format, "hex"))
		return radix_hex(text, size, word, count);
	for (i = 0; i < size / 2; i++) {
		text[2 * i] = "0123456789abcdef"[byte[i] >> 4];
		text[2 * i + 1] = "0123456789abcdef"[byte[i] & 15];
	}
	return 0;
}

static void print_result(u64 n, int err, const char *text, size_t size)
{
	if (err)
		printf("%llu\t%s\n", n, err == -ENOMEM ? "ENOMEM" : "EINTR");
	else
		printf("%llu\t%.*s\n", n, (int)size, text);
}

static void compute_once(u64 n, bool peak)
{
	size_t size = text_size(n), computing;
	char *text = NULL;
	u64 *number;
	int err;

	port_faults.peak = port_faults.bytes;
	err = fib_compute(&number, n);
	computing = port_faults.peak;
	if (!err) {
		if (!strcmp(format, "decimal"))
			err = radix_chunks(number, fib_limbs(n), size);
		if (!err) {
			text = allocate_text(size);
			err = text ? write_text(text, size, number, fib_limbs(n)) :
				     -ENOMEM;
		}
		port_free(number);
	}
	if (peak)
		printf("%llu\t%llu\t%zu\t%zu\t%zu\n", n, (fib_bits(n) + 7) / 8,
		       computing, size, port_faults.peak);
	else
		print_result(n, err, text, size);
	port_free(text);
}

static int go_onward(u64 n, u64 count)
{
	struct fib_pair *pair = NULL;
	int err = fib_pair_compute(&pair, n, strcmp(format, "decimal") ?
					     FIB_LIMBS : FIB_CHUNKS);

	while (!err && count--) {
		size_t size = text_size(pair->index);
		char *text = allocate_text(size);

		if (pair->bytes > fib_pair_bytes(pair->index, pair->base))
			abort();
		err = write_text(text, size, pair->now, pair->count);
		print_result(pair->index, err, text, size);
		port_free(text);
		if (!err)
			err = fib_pair_next(&pair);
	}
	port_free(pair);
	return err;
}

static unsigned long long number(const char *text)
{
	return strtoull(text, NULL, 10);
}

int main(int argc, char **argv)
{
	const char *option = argc > 2 ? argv[2] : "";
	unsigned long fail_alloc = 0, interrupt = 0;
	unsigned long long n;
	bool peak = false;

	format = argc > 1 ? argv[1] : "";
	if (argc == 5 && !strcmp(option, "--onward"))
		return go_onward(number(argv[3]), number(argv[4])) || port_faults.allocated;
	if (argc == 4 && !strcmp(option, "--fail-alloc")) {
		fail_alloc = number(argv[3]);
	} else if (argc == 4 && !strcmp(option, "--interrupt")) {
		interrupt = number(argv[3]);
	} else if (argc == 3 && !strcmp(option, "--peak")) {
		peak = true;
	} else if (argc != 2) {
		fputs("usage: fibcli FORMAT [--fail-alloc K | --interrupt K | --peak] < indices\n"
		      "       fibcli FORMAT --onward START COUNT\n", stderr);
		return 2;
	}

	while (scanf("%llu", &n) == 1) {
		port_faults.fail_alloc = fail_alloc;
		port_faults.interrupt = interrupt;
		port_faults.failed = false;
		compute_once(n, peak);
		if (port_faults.allocated)
			abort();
	}
	return 0;
}
