// SPDX-License-Identifier: GPL-2.0-only OR MIT
/*
 * Many operations on the device in one command, for tests that reach the
 * machine over SSH. See usage[]; the edge cases of "errno" are in
 * fibprobe_cases.h.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <poll.h>
#include <pthread.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/uio.h>
#include <unistd.h>

#include "../uapi/fibdrv.h"

static const char usage[] =
"usage: fibprobe read DEVICE FORMAT N...      pread each N ('-': from stdin)\n"
"       fibprobe seq DEVICE START COUNT       lseek to START, read COUNT times\n"
"       fibprobe errno DEVICE CASE...         edge cases by name, or 'all'\n"
"       fibprobe threads DEVICE NTHREADS NREADS [START]\n"
"                                             each thread reads one shared file\n"
"                                             NREADS times\n"
"       fibprobe vectors DEVICE START         readv, then preadv from START, into\n"
"                                             three buffers of three bytes\n"
"       fibprobe cases                        the names of the edge cases\n"
"\n"
"FORMAT is decimal, hex or binary; binary is printed as two hex digits a byte.\n"
"Prints a record a line, its fields separated by tabs:\n"
"       read, seq   N, digits\n"
"       errno       case, result, position before, position after\n"
"       threads     thread, digits\n"
"       vectors     call, what each buffer got; position\n"
"A failed call prints the name of its error for its result, the end of the file\n"
"prints EOF, and a record that is not as promised prints MALFORMED.\n"
"Exit status: 0 when everything asked was tried, 1 if the device could not be\n"
"opened or set up, 2 for wrong usage.\n";

static const char *const formats[] = { "decimal", "hex", "binary" };

/* glibc has strerrorname_np() only since 2.32, and Debian 11 has 2.31. */
static const char *error_name(int error)
{
	static const struct { int error; const char *name; } names[] = {
		{ EACCES, "EACCES" }, { EAGAIN, "EAGAIN" }, { EBADF, "EBADF" },
		{ EFAULT, "EFAULT" }, { EINTR, "EINTR" }, { EINVAL, "EINVAL" },
		{ EIO, "EIO" }, { ENODEV, "ENODEV" }, { ENOENT, "ENOENT" },
		{ ENOMEM, "ENOMEM" }, { ENOTTY, "ENOTTY" }, { ENXIO, "ENXIO" },
		{ EOVERFLOW, "EOVERFLOW" }, { EPERM, "EPERM" },
		{ ERANGE, "ERANGE" }, { ESPIPE, "ESPIPE" }, { EROFS, "EROFS" },
		{ EBUSY, "EBUSY" }, { EOPNOTSUPP, "EOPNOTSUPP" },
	};
	static char other[16];
	size_t i;

	for (i = 0; i < sizeof(names) / sizeof(*names); i++)
		if (names[i].error == error)
			return names[i].name;
	snprintf(other, sizeof(other), "E%d", error);
	return other;
}

static void die(const char *what)
{
	fprintf(stderr, "fibprobe: %s: %s\n", what, error_name(errno));
	exit(1);
}

static void die_usage(void)
{
	fputs(usage, stderr);
	exit(2);
}

static long long number(const char *text)
{
	char *end;
	long long value;

	errno = 0;
	value = strtoll(text, &end, 0);
	if (errno || end == text || *end)
		die_usage();
	return value;
}

static __u32 format_number(const char *name)
{
	__u32 i;

	for (i = 0; i < 3; i++)
		if (!strcmp(name, formats[i]))
			return i;
	die_usage();
	return 0;
}

static int open_device(const char *device, __u32 format)
{
	struct fibdrv_format wanted = { .format = format };
	int fd = open(device, O_RDONLY | O_CLOEXEC);

	if (fd < 0)
		die(device);
	if (ioctl(fd, FIBDRV_IOC_FORMAT, &wanted))
		die("FIBDRV_IOC_FORMAT");
	return fd;
}

/* The bytes of record n; 1 past the end, where a read is to give 0. */
static size_t record_size(int fd, long long n)
{
	struct fibdrv_size size = { .index = (__u64)n };

	if (!ioctl(fd, FIBDRV_IOC_SIZE, &size))
		return size.bytes;
	if (errno != EINVAL)
		die("FIBDRV_IOC_SIZE");
	return 1;
}

static void *allocate(size_t size)
{
	void *memory = malloc(size);

	if (!memory)
		die("malloc");
	return memory;
}

/* Prints the outcome of a read that returned @got, of an expected @size. */
static void print_record(__u32 format, const unsigned char *buf, ssize_t got,
			 size_t size)
{
	ssize_t i;

	if (got < 0) {
		puts(error_name(errno));
	} else if (got == 0) {
		puts("EOF");
	} else if ((size_t)got != size ||
		   (format != FIBDRV_FORMAT_BINARY && buf[got - 1] != '\n')) {
		puts("MALFORMED");
	} else if (format != FIBDRV_FORMAT_BINARY) {
		fwrite(buf, 1, (size_t)got, stdout);
	} else {
		for (i = 0; i < got; i++)
			printf("%02x", buf[i]);
		putchar('\n');
	}
}

static void pread_and_print(int fd, __u32 format, long long n)
{
	size_t size = record_size(fd, n);
	unsigned char *buf = allocate(size);
	ssize_t got = pread(fd, buf, size, n);

	printf("%lld\t", n);
	print_record(format, buf, got, size);
	free(buf);
}

static void command_read(int argc, char **argv)
{
	__u32 format;
	char word[64];
	int fd, i;

	if (argc < 3)
		die_usage();
	format = format_number(argv[1]);
	fd = open_device(argv[0], format);
	for (i = 2; i < argc; i++) {
		if (strcmp(argv[i], "-"))
			pread_and_print(fd, format, number(argv[i]));
		else
			while (scanf("%63s", word) == 1)
				pread_and_print(fd, format, number(word));
	}
	close(fd);
}

static void command_seq(int argc, char **argv)
{
	long long count;
	int fd;

	if (argc != 3)
		die_usage();
	fd = open_device(argv[0], FIBDRV_FORMAT_DECIMAL);
	if (lseek(fd, number(argv[1]), SEEK_SET) < 0)
		die("lseek");
	for (count = number(argv[2]); count > 0; count--) {
		long long n = lseek(fd, 0, SEEK_CUR);
		size_t size = record_size(fd, n);
		unsigned char *buf = allocate(size);
		ssize_t got = read(fd, buf, size);

		printf("%lld\t", n);
		print_record(FIBDRV_FORMAT_DECIMAL, buf, got, size);
		free(buf);
		if (got <= 0)
			break;
	}
	close(fd);
}

#include "fibprobe_cases.h"

static void command_errno(int argc, char **argv)
{
	int i;

	if (argc < 2)
		die_usage();
	for (i = 1; i < argc; i++)
		if (!run_cases(argv[0], argv[i]))
			die_usage();
}

struct reader {
	pthread_t thread;
	int fd;
	long long reads;
	size_t room;			/* for the longest record */
	unsigned char **record;
	ssize_t *got;
	int *error;
};

static void *reader_main(void *argument)
{
	struct reader *r = argument;
	long long i;

	for (i = 0; i < r->reads; i++) {
		unsigned char *buf = allocate(r->room);

		r->got[i] = read(r->fd, buf, r->room);
		r->error[i] = errno;
		r->record[i] = buf;
	}
	return NULL;
}

static void command_threads(int argc, char **argv)
{
	long long threads, reads, start, t, i;
	struct reader *reader;
	int fd;

	if (argc != 3 && argc != 4)
		die_usage();
	threads = number(argv[1]);
	reads = number(argv[2]);
	start = argc == 4 ? number(argv[3]) : 0;
	if (threads < 1 || reads < 1 || threads > 1024 || reads > 1000000)
		die_usage();
	fd = open_device(argv[0], FIBDRV_FORMAT_DECIMAL);
	if (lseek(fd, start, SEEK_SET) < 0)
		die("lseek");

	reader = allocate((size_t)threads * sizeof(*reader));
	for (t = 0; t < threads; t++) {
		struct reader *r = &reader[t];

		r->fd = fd;
		r->reads = reads;
		r->room = record_size(fd, start + threads * reads);
		r->record = allocate((size_t)reads * sizeof(*r->record));
		r->got = allocate((size_t)reads * sizeof(*r->got));
		r->error = allocate((size_t)reads * sizeof(*r->error));
	}
	for (t = 0; t < threads; t++) {
		errno = pthread_create(&reader[t].thread, NULL, reader_main,
				       &reader[t]);
		if (errno)
			die("pthread_create");
	}
	for (t = 0; t < threads; t++)
		pthread_join(reader[t].thread, NULL);
	for (t = 0; t < threads; t++) {
		for (i = 0; i < reads; i++) {
			ssize_t got = reader[t].got[i];

			printf("%lld\t", t);
			errno = reader[t].error[i];
			print_record(FIBDRV_FORMAT_DECIMAL, reader[t].record[i],
				     got, got > 0 ? (size_t)got : 0);
		}
	}
}

static void command_vectors(int argc, char **argv)
{
	const char * const names[] = { "readv", "preadv" };
	char buf[3][3];
	struct iovec iov[3];
	long long start;
	int fd, call, i;

	if (argc != 2)
		die_usage();
	fd = open_device(argv[0], FIBDRV_FORMAT_DECIMAL);
	start = number(argv[1]);
	if (lseek(fd, start, SEEK_SET) < 0)
		die("lseek");
	for (call = 0; call < 2; call++) {
		ssize_t got;

		memset(buf, 0, sizeof(buf));
		for (i = 0; i < 3; i++) {
			iov[i].iov_base = buf[i];
			iov[i].iov_len = sizeof(buf[i]);
		}
		got = call ? preadv(fd, iov, 3, start) : readv(fd, iov, 3);
		fputs(names[call], stdout);
		for (i = 0; i < 3 && got > i * (ssize_t)sizeof(buf[i]); i++)
			printf("\t%.*s", (int)strcspn(buf[i], "\n"), buf[i]);
		putchar('\n');
	}
	printf("position\t%lld\n", (long long)lseek(fd, 0, SEEK_CUR));
}

int main(int argc, char **argv)
{
	if (argc == 2 && !strcmp(argv[1], "--help")) {
		fputs(usage, stdout);
		return 0;
	}
	if (argc < 2)
		die_usage();
	if (!strcmp(argv[1], "read"))
		command_read(argc - 2, argv + 2);
	else if (!strcmp(argv[1], "seq"))
		command_seq(argc - 2, argv + 2);
	else if (!strcmp(argv[1], "errno"))
		command_errno(argc - 2, argv + 2);
	else if (!strcmp(argv[1], "threads"))
		command_threads(argc - 2, argv + 2);
	else if (!strcmp(argv[1], "vectors"))
		command_vectors(argc - 2, argv + 2);
	else if (!strcmp(argv[1], "cases"))
		print_case_names();
	else
		die_usage();
	return 0;
}
