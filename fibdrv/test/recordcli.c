// SPDX-License-Identifier: GPL-2.0-only OR MIT
/*
 * An open file's reads without a kernel, for test_record.py:
 *
 *	recordcli [--fail-alloc K | --interrupt K]
 *
 * reads lines "index format limit" from stdin (format is an
 * enum fibdrv_format_id, limit the bytes that may be kept) and does these reads
 * one after the other, as one open file would. For each it prints "index <tab>
 * flags <tab> bytes kept <tab> record in hex digits, or the name of the error".
 * With a fault ordered, the K-th allocation or poll of the whole run fails, and
 * a failed read is tried again at once; the status is 3 if there is no K-th one.
 * It aborts if memory was lost.
 */
#include <stdio.h>
#include <stdlib.h>

#include "port_user.h"
#include "../arith/record.h"

/* The status if the ordered fault did not happen. */
#define NOT_REACHED	3

static int read_once(struct record_sequence *sequence, unsigned long long n,
		     unsigned int format, size_t limit)
{
	struct record record = { .index = n, .format = format };
	const unsigned char *byte;
	size_t i;
	int err;

	err = record_compute(&record, sequence, limit);
	if (!err)
		err = record_format(&record);
	printf("%llu\t%u\t%zu\t", n, record.flags, sequence->bytes);
	if (err) {
		puts(err == -ENOMEM ? "ENOMEM" : err == -EINTR ? "EINTR" : "EIO");
	} else {
		if (record.size != record_size(n, format))
			abort();
		byte = record.bytes;
		for (i = 0; i < record.size; i++)
			printf("%02x", byte[i]);
		putchar('\n');
	}
	record_free(&record, NULL);
	return err;
}

int main(int argc, char **argv)
{
	struct record_sequence sequence = { .expected = 0 };
	unsigned long long n;
	unsigned int format;
	size_t limit;

	if (argc == 3 && !strcmp(argv[1], "--fail-alloc")) {
		port_faults.fail_alloc = strtoul(argv[2], NULL, 10);
	} else if (argc == 3 && !strcmp(argv[1], "--interrupt")) {
		port_faults.interrupt = strtoul(argv[2], NULL, 10);
	} else if (argc != 1) {
		fputs("usage: recordcli [--fail-alloc K | --interrupt K] < reads\n",
		      stderr);
		return 2;
	}

	while (scanf("%llu %u %zu", &n, &format, &limit) == 3) {
		if (read_once(&sequence, n, format, limit))
			read_once(&sequence, n, format, limit);
	}
	record_free(NULL, &sequence);
	if (port_faults.allocated)
		abort();
	return port_faults.fail_alloc || port_faults.interrupt ? NOT_REACHED : 0;
}
