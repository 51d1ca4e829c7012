// SPDX-License-Identifier: GPL-2.0-only OR MIT
/* A client of /dev/fibonacci; see usage[]. */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <time.h>
#include <unistd.h>

#include "../uapi/fibdrv.h"

static const char usage[] =
"usage: fibctl [OPTION]... N...            print F(N) for each N\n"
"       fibctl [OPTION]... --range A..B    print F(A) to F(B), reading on\n"
"       fibctl [OPTION]... --bench N...    what a read of F(N) costs\n"
"\n"
"  -f, --format FORMAT   decimal (default), hex or binary; binary is printed as\n"
"                        two hex digits a byte, the least significant first\n"
"  -r, --range A..B      from index A to index B, both included\n"
"  -s, --stats           say what each read cost, on stderr\n"
"  -b, --bench           the median cost of 101 reads: here and there, and one\n"
"                        after the other\n"
"  -d, --device PATH     another device than /dev/fibonacci\n"
"  -h, --help            this text\n"
"\n"
"Exit status: 0, 1 when the device refused something, 2 for wrong usage.\n";

static const char * const formats[] = { "decimal", "hex", "binary" };

#define ROUNDS 101

static void die(const char *what)
{
	fprintf(stderr, "fibctl: %s: %s\n", what, strerror(errno));
	exit(1);
}

static void die_usage(const char *why, const char *word)
{
	fprintf(stderr, "fibctl: %s %s\nTry 'fibctl --help'.\n", why, word);
	exit(2);
}

/* An index; @end gets what follows it, or nothing may. */
static __u64 parse_index(const char *text, const char **end)
{
	unsigned long long n;
	char *after;

	errno = 0;
	n = strtoull(text, &after, 10);
	if (errno || *text < '0' || *text > '9' || n > __INT64_MAX__ ||
	    (!end && *after))
		die_usage("not an index:", text);
	if (end)
		*end = after;
	return n;
}

static __u32 parse_format(const char *name)
{
	__u32 i;

	for (i = 0; i < sizeof(formats) / sizeof(*formats); i++)
		if (!strcmp(name, formats[i]))
			return i;
	die_usage("not a format:", name);
	return 0;
}

/* The bytes of the record of F(n). */
static size_t record_size(int fd, __u64 n)
{
	struct fibdrv_size size = { .index = n };
	off_t end;

	if (!ioctl(fd, FIBDRV_IOC_SIZE, &size))
		return size.bytes;
	if (errno != EINVAL)
		die("FIBDRV_IOC_SIZE");
	end = lseek(fd, 0, SEEK_END);
	fprintf(stderr, "fibctl: there is no F(%llu): the last index is %lld\n",
		(unsigned long long)n, (long long)end - 1);
	exit(1);
}

static void *room_for(size_t bytes)
{
	void *memory = malloc(bytes);

	if (!memory)
		die("malloc");
	return memory;
}

static struct fibdrv_stats stats_of(int fd)
{
	struct fibdrv_stats stats;

	if (ioctl(fd, FIBDRV_IOC_STATS, &stats))
		die("FIBDRV_IOC_STATS");
	return stats;
}

static void print_stats(int fd)
{
	struct fibdrv_stats s = stats_of(fd);
	const char *source = s.flags & FIBDRV_STATS_SUM ? ", a sum of two kept" :
			     s.flags & FIBDRV_STATS_KEPT ? ", kept" : "";

	fprintf(stderr,
		"F(%llu): %llu limbs%s, %llu bytes in %s; computing %llu ns, formatting %llu ns, copying %llu ns\n",
		(unsigned long long)s.index, (unsigned long long)s.limbs,
		source, (unsigned long long)s.bytes, formats[s.format],
		(unsigned long long)s.compute_ns,
		(unsigned long long)s.format_ns,
		(unsigned long long)s.copy_ns);
}

static void print_record(const unsigned char *record, size_t size, __u32 format)
{
	size_t i;

	if (format != FIBDRV_FORMAT_BINARY) {
		fwrite(record, 1, size, stdout);
		return;
	}
	for (i = 0; i < size; i++)
		printf("%02x", record[i]);
	putchar('\n');
}

/* Reads F(n) at the file position if @moves, else by pread(). */
static void read_record(int fd, void *room, size_t size, __u64 n, int moves)
{
	ssize_t got = moves ? read(fd, room, size) : pread(fd, room, size, n);

	if (got < 0)
		die("read");
	if ((size_t)got != size) {
		fprintf(stderr, "fibctl: F(%llu) has %zd bytes, not %zu\n",
			(unsigned long long)n, got, size);
		exit(1);
	}
}

static void show(int fd, __u64 first, __u64 last, __u32 format, int stats)
{
	const int moves = last > first;
	__u64 n;

	record_size(fd, last);
	if (moves && lseek(fd, (off_t)first, SEEK_SET) < 0)
		die("lseek");
	for (n = first; n <= last; n++) {
		size_t size = record_size(fd, n);
		void *room = room_for(size);

		read_record(fd, room, size, n, moves);
		print_record(room, size, format);
		free(room);
		if (stats)
			print_stats(fd);
	}
}

static int compare(const void *a, const void *b)
{
	__u64 x = *(const __u64 *)a, y = *(const __u64 *)b;

	return (x > y) - (x < y);
}

static __u64 median(__u64 *values)
{
	qsort(values, ROUNDS, sizeof(*values), compare);
	return values[ROUNDS / 2];
}

static __u64 now_ns(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC_RAW, &now);
	return (__u64)now.tv_sec * 1000000000 + (__u64)now.tv_nsec;
}

/* One row: reads of F(n) again and again, or from it on. */
static void bench(int fd, __u64 n, int moves)
{
	static __u64 whole[ROUNDS], computing[ROUNDS], formatting[ROUNDS],
		     copying[ROUNDS];
	/* Two before the first that counts: from then on a pair is kept. */
	const __u64 first = moves && n >= 2 ? n - 2 : n;
	const size_t room_size = record_size(fd, n + (moves ? ROUNDS - 1 : 0));
	void *room = room_for(room_size);
	__u64 i, begun;

	if (moves) {
		if (lseek(fd, (off_t)first, SEEK_SET) < 0)
			die("lseek");
		for (i = first; i < n; i++)
			read_record(fd, room, record_size(fd, i), i, moves);
	}
	for (i = 0; i < ROUNDS; i++) {
		size_t size = record_size(fd, moves ? n + i : n);
		struct fibdrv_stats stats;

		begun = now_ns();
		read_record(fd, room, size, n, moves);
		whole[i] = now_ns() - begun;
		stats = stats_of(fd);
		computing[i] = stats.compute_ns;
		formatting[i] = stats.format_ns;
		copying[i] = stats.copy_ns;
	}
	free(room);
	printf("%10llu  %-14s %12llu %12llu %12llu %12llu\n",
	       (unsigned long long)n, moves ? "reading on" : "here and there",
	       (unsigned long long)median(whole),
	       (unsigned long long)median(computing),
	       (unsigned long long)median(formatting),
	       (unsigned long long)median(copying));
}

int main(int argc, char **argv)
{
	static const struct option options[] = {
		{ "format", required_argument, NULL, 'f' },
		{ "range", required_argument, NULL, 'r' },
		{ "stats", no_argument, NULL, 's' },
		{ "bench", no_argument, NULL, 'b' },
		{ "device", required_argument, NULL, 'd' },
		{ "help", no_argument, NULL, 'h' },
		{ NULL, 0, NULL, 0 },
	};
	const char *device = "/dev/fibonacci", *range = NULL, *rest;
	struct fibdrv_format wanted = { .format = FIBDRV_FORMAT_DECIMAL };
	int stats = 0, wants_bench = 0, fd, c, i;
	__u64 first = 0, last = 0;

	while ((c = getopt_long(argc, argv, "f:r:sbd:h", options, NULL)) >= 0) {
		switch (c) {
		case 'f':
			wanted.format = parse_format(optarg);
			break;
		case 'r':
			range = optarg;
			break;
		case 's':
			stats = 1;
			break;
		case 'b':
			wants_bench = 1;
			break;
		case 'd':
			device = optarg;
			break;
		case 'h':
			fputs(usage, stdout);
			return 0;
		default:
			fputs("Try 'fibctl --help'.\n", stderr);
			return 2;
		}
	}
	if (range) {
		first = parse_index(range, &rest);
		if (strncmp(rest, "..", 2))
			die_usage("not a range A..B:", range);
		last = parse_index(rest + 2, NULL);
		if (last < first)
			die_usage("a range that ends before it begins:", range);
	}
	if ((range ? optind < argc : optind == argc) || (range && wants_bench))
		die_usage("name one or more N, or a range:",
			  range ? range : "there is none");
	for (i = optind; i < argc; i++)
		parse_index(argv[i], NULL);

	fd = open(device, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		die(device);
	if (ioctl(fd, FIBDRV_IOC_FORMAT, &wanted))
		die("FIBDRV_IOC_FORMAT");
	if (range)
		show(fd, first, last, wanted.format, stats);
	if (wants_bench)
		printf("%10s  %-14s %12s %12s %12s %12s\n", "n", "reads",
		       "whole ns", "computing", "formatting", "copying");
	for (i = optind; i < argc; i++) {
		__u64 n = parse_index(argv[i], NULL);

		if (wants_bench) {
			bench(fd, n, 0);
			bench(fd, n, 1);
		} else {
			show(fd, n, n, wanted.format, stats);
		}
	}
	close(fd);
	if (fflush(stdout) || ferror(stdout)) {
		perror("fibctl: stdout");
		return 1;
	}
	return 0;
}
