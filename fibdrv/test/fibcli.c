// SPDX-License-Identifier: GPL-2.0-only OR MIT
/*
 * The driver's arithmetic as a command, for test_arith.py:
 *
 *	fibcli FORMAT [--fail-alloc K | --interrupt K]
 *
 * reads indices from stdin and prints for each a line "n <tab> result", the
 * result being digits, or the name of the error. With a fault ordered, each
 * index is computed with the K-th allocation failing or the K-th poll giving
 * up. It aborts if memory was lost.
 */
#include <stdio.h>
#include <stdlib.h>

#include "port_user.h"
#include "../fib.h"
#include "../radix.h"

/* Gives 0 and *text with its *size, or a negative errno. */
static int format_number(const struct fib_number *f, u64 n, const char *format,
			 char **text, size_t *size)
{
	const u64 bits = fib_bits(n) ? fib_bits(n) : 1;
	size_t i;
	int err = 0;

	if (!strcmp(format, "decimal"))
		*size = fib_digits(n);
	else if (!strcmp(format, "hex"))
		*size = (bits + 3) / 4;
	else
		*size = (bits + 7) / 8 * 2;

	/* Exactly as long as promised, for the sanitizer to watch over. */
	*text = malloc(*size);
	if (!*text)
		abort();
	if (!strcmp(format, "decimal")) {
		err = radix_decimal(*text, *size, f->limb, f->count);
	} else if (!strcmp(format, "hex")) {
		radix_hex(*text, *size, f->limb, f->count);
	} else {
		const unsigned char *bytes = (const unsigned char *)f->limb;

		for (i = 0; i < *size / 2; i++) {
			(*text)[2 * i] = "0123456789abcdef"[bytes[i] >> 4];
			(*text)[2 * i + 1] = "0123456789abcdef"[bytes[i] & 15];
		}
	}
	if (err)
		free(*text);
	return err;
}

int main(int argc, char **argv)
{
	unsigned long fail_alloc = 0, interrupt = 0;
	unsigned long long n;

	if (argc == 4 && !strcmp(argv[2], "--fail-alloc")) {
		fail_alloc = strtoul(argv[3], NULL, 10);
	} else if (argc == 4 && !strcmp(argv[2], "--interrupt")) {
		interrupt = strtoul(argv[3], NULL, 10);
	} else if (argc != 2) {
		fputs("usage: fibcli FORMAT [--fail-alloc K | --interrupt K] < indices\n",
		      stderr);
		return 2;
	}

	while (scanf("%llu", &n) == 1) {
		struct fib_number f;
		char *text = NULL;
		size_t size = 0;
		int err;

		port_faults.fail_alloc = fail_alloc;
		port_faults.interrupt = interrupt;
		err = fib_compute(&f, n);
		if (!err) {
			err = format_number(&f, n, argv[1], &text, &size);
			port_free(f.limb);
		}
		if (port_faults.allocated)
			abort();
		if (err) {
			printf("%llu\t%s\n", n, err == -ENOMEM ? "ENOMEM" : "EINTR");
			continue;
		}
		printf("%llu\t%.*s\n", n, (int)size, text);
		free(text);
	}
	return 0;
}
