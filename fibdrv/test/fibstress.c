// SPDX-License-Identifier: GPL-2.0-only OR MIT
/*
 * Many at once, signals, and nonsense, for tests of the loaded module. Each
 * command checks what it sees, prints one line, and ends with 1 when something
 * was wrong; see usage[]. Parts are in fibstress_*.h, for their length.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <pthread.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "../uapi/fibdrv.h"

static const char usage[] =
"usage: fibstress readers DEVICE shared|own THREADS READS\n"
"           each thread reads on from F(2), on one open file or on its own\n"
"       fibstress storm DEVICE THREADS ROUNDS SEED\n"
"           threads lseek and read one open file at random; load with max_n=1000\n"
"       fibstress fuzz DEVICE THREADS ROUNDS SEED\n"
"           every call with nonsense of all kinds; load with max_n=20000\n"
"       fibstress hammer DEVICE\n"
"           opens, reads and closes it until it is killed, there or not\n"
"       fibstress cycles DEVICE INDEX ROUNDS\n"
"           opens it, reads on from F(INDEX) three times, and closes it\n"
"       fibstress faults DEVICE FAIL FORMAT FIRST LAST\n"
"           opens it and reads F(FIRST) to F(LAST), each number again if it fails,\n"
"           with the 1st, 2nd, ... failure ordered through the file FAIL\n"
"       fibstress signal DEVICE SIGNAL INDEX\n"
"           a process that reads F(INDEX) gets a signal: how it ends, and after\n"
"           how many microseconds\n"
"       fibstress waiter DEVICE INDEX\n"
"           a process that waits for another one's read on the same open file is\n"
"           killed\n"
"       fibstress nonblock DEVICE INDEX\n"
"           a process may not wait for it: EAGAIN\n"
"       fibstress others DEVICE INDEX\n"
"           meanwhile pread there, and read on another open file, wait for nobody\n"
"       fibstress interrupt|seeker|preader DEVICE INDEX\n"
"           meanwhile a signal with a handler does not end the wait of a process;\n"
"           one that waits in lseek is killed; pread with O_NONBLOCK does not wait\n"
"       fibstress seek|format DEVICE INDEX\n"
"           lseek, and another format, while F(INDEX) is computed there\n"
"       fibstress formats DEVICE INDEX ROUNDS\n"
"           F(INDEX) is whole while a thread changes the format all the time\n";

/* F(0) to F(LAST) and their lengths, newline included, by addition. */
#define LAST 1000
#define ROOM 256
static char table[LAST + 1][ROOM];
static size_t length[LAST + 1];

static void fill_table(void)
{
	size_t n, i;

	strcpy(table[0], "0\n");
	strcpy(table[1], "1\n");
	length[0] = 2;
	length[1] = 2;
	for (n = 2; n <= LAST; n++) {
		const size_t more = length[n - 1] - length[n - 2];
		char digits[ROOM];
		int carry = 0;

		for (i = length[n - 1] - 1; i--;) {
			int sum = table[n - 1][i] - '0' + carry;

			if (i >= more)
				sum += table[n - 2][i - more] - '0';
			carry = sum > 9;
			digits[i] = (char)('0' + sum % 10);
		}
		length[n] = length[n - 1] + (size_t)carry;
		table[n][0] = '1';
		memcpy(table[n] + carry, digits, length[n - 1] - 1);
		table[n][length[n] - 1] = '\n';
	}
}

/* Which index a record is of, at least 2, as F(1) and F(2) are the same. */
static int index_of(const char *record, size_t size)
{
	int low = 2, high = LAST;

	while (low <= high) {
		int middle = (low + high) / 2;
		int order = (size > length[middle]) - (size < length[middle]);

		if (!order)
			order = memcmp(record, table[middle], size);
		if (!order)
			return middle;
		if (order < 0)
			high = middle - 1;
		else
			low = middle + 1;
	}
	return size == 2 && record[0] == '0' ? 0 : -1;
}

static void stop(void)
{
	putchar('\n');
	fflush(stdout);
	_exit(1);
}

#define wrong(...) do { printf("WRONG: " __VA_ARGS__); stop(); } while (0)

static void die(const char *what)
{
	fprintf(stderr, "fibstress: %s: %s\n", what, strerror(errno));
	exit(1);
}

static void die_usage(void)
{
	fputs(usage, stderr);
	exit(2);
}

static unsigned long number(const char *text)
{
	char *end;
	unsigned long value;

	errno = 0;
	value = strtoul(text, &end, 10);
	if (errno || end == text || *end)
		die_usage();
	return value;
}

static int open_device(const char *device)
{
	int fd = open(device, O_RDONLY | O_CLOEXEC);

	if (fd < 0)
		die(device);
	return fd;
}

struct worker {
	pthread_t thread;
	const char *device;
	int fd;
	unsigned long rounds;
	__u64 random;
	unsigned char seen[LAST + 1];
};

/* xorshift64*: the same calls for the same seed. */
static __u64 next_random(struct worker *w)
{
	w->random ^= w->random >> 12;
	w->random ^= w->random << 25;
	w->random ^= w->random >> 27;
	return w->random * 0x2545f4914f6cdd1dULL;
}

static unsigned long below(struct worker *w, unsigned long limit)
{
	return next_random(w) % limit;
}

static struct worker *start(void *(*work)(void *), const char *device,
			    unsigned long threads, unsigned long rounds,
			    unsigned long seed, int shared)
{
	struct worker *workers;
	unsigned long t;
	int fd = shared ? open_device(device) : -1;

	if (!threads || threads > 256)
		die_usage();
	workers = calloc(threads, sizeof(*workers));
	if (!workers)
		die("calloc");
	for (t = 0; t < threads; t++) {
		workers[t].device = device;
		workers[t].fd = shared ? fd : open_device(device);
		workers[t].rounds = rounds;
		workers[t].random = (seed * 1000 + t) * 2654435761u + 1;
	}
	if (work) {
		for (t = 0; t < threads; t++) {
			errno = pthread_create(&workers[t].thread, NULL, work,
					       &workers[t]);
			if (errno)
				die("pthread_create");
		}
		for (t = 0; t < threads; t++)
			pthread_join(workers[t].thread, NULL);
	}
	return workers;
}

static void *reader(void *argument)
{
	struct worker *w = argument;
	char buf[ROOM];
	unsigned long i;
	int before = 1;

	for (i = 0; i < w->rounds; i++) {
		ssize_t got = read(w->fd, buf, sizeof(buf));
		int n = got < 0 ? -1 : index_of(buf, (size_t)got);

		if (n <= before)
			wrong("read gave %zd, errno %d, index %d after %d", got,
			      got < 0 ? errno : 0, n, before);
		before = n;
		w->seen[n] = 1;
	}
	return NULL;
}

static int command_readers(const char *device, int shared,
			   unsigned long threads, unsigned long reads)
{
	const unsigned long last = 1 + (shared ? threads * reads : reads);
	struct worker *workers;
	unsigned long t, n;

	if (last > LAST)
		die_usage();
	/* Each file is put at 2 before any thread begins. */
	workers = start(NULL, device, threads, reads, 0, shared);
	for (t = 0; t < threads; t++)
		if (lseek(workers[t].fd, 2, SEEK_SET) != 2)
			die("lseek");
	for (t = 0; t < threads; t++)
		if (pthread_create(&workers[t].thread, NULL, reader, &workers[t]))
			die("pthread_create");
	for (t = 0; t < threads; t++)
		pthread_join(workers[t].thread, NULL);
	for (n = 2; n <= last; n++) {
		unsigned long times = 0;

		for (t = 0; t < threads; t++)
			times += workers[t].seen[n];
		if (times != (shared ? 1 : threads))
			wrong("F(%lu) was read %lu times", n, times);
	}
	printf("ok: %lu threads read F(2) to F(%lu)\n", threads, last);
	return 0;
}

static void hammer(const char *device)
{
	char buf[ROOM];

	for (;; usleep(500)) {
		int fd = open(device, O_RDONLY | O_CLOEXEC);
		int n, got;

		if (fd < 0) {
			if (errno != ENOENT && errno != ENXIO && errno != ENODEV)
				die(device);
			continue;
		}
		for (n = 0; n < 20; n++) {
			got = (int)read(fd, buf, sizeof(buf));
			if (got != (int)length[n] || memcmp(buf, table[n], length[n]))
				wrong("read of F(%d) gave %d", n, got);
		}
		close(fd);
	}
}

/* The record of F(n) in memory of its own. */
static char *record_of(int fd, unsigned long n, size_t *bytes)
{
	struct fibdrv_size size = { .index = n };
	char *record;

	if (ioctl(fd, FIBDRV_IOC_SIZE, &size))
		die("FIBDRV_IOC_SIZE");
	*bytes = size.bytes;
	record = malloc(size.bytes);
	if (!record || pread(fd, record, size.bytes, (off_t)n) != (ssize_t)size.bytes)
		die("pread");
	return record;
}

static int command_cycles(const char *device, unsigned long n,
			  unsigned long rounds)
{
	char *expected[3], *room;
	size_t bytes[3];
	unsigned long i, k;
	int fd = open_device(device);

	for (k = 0; k < 3; k++)
		expected[k] = record_of(fd, n + k, &bytes[k]);
	close(fd);
	room = malloc(bytes[2]);
	if (!room)
		die("malloc");
	for (i = 0; i < rounds; i++) {
		fd = open_device(device);
		lseek(fd, (off_t)n, SEEK_SET);
		for (k = 0; k < 3; k++)
			if (read(fd, room, bytes[2]) != (ssize_t)bytes[k] ||
			    memcmp(room, expected[k], bytes[k]))
				wrong("read of F(%lu)", n + k);
		close(fd);
	}
	printf("ok: %lu rounds\n", rounds);
	return 0;
}

#include "fibstress_storm.h"
#include "fibstress_fuzz.h"
#include "fibstress_faults.h"
#include "fibstress_signals.h"
#include "fibstress_turns.h"

int main(int argc, char **argv)
{
	fill_table();
	if (argc == 6 && !strcmp(argv[1], "readers"))
		return command_readers(argv[2], !strcmp(argv[3], "shared"),
				       number(argv[4]), number(argv[5]));
	if (argc == 6 && !strcmp(argv[1], "storm"))
		return command_storm(argv[2], number(argv[3]), number(argv[4]),
				     number(argv[5]));
	if (argc == 6 && !strcmp(argv[1], "fuzz"))
		return command_fuzz(argv[2], number(argv[3]), number(argv[4]),
				    number(argv[5]));
	if (argc == 3 && !strcmp(argv[1], "hammer"))
		hammer(argv[2]);
	if (argc == 5 && !strcmp(argv[1], "cycles"))
		return command_cycles(argv[2], number(argv[3]), number(argv[4]));
	if (argc == 7 && !strcmp(argv[1], "faults"))
		return command_faults(argv[2], argv[3], argv[4], number(argv[5]),
				      number(argv[6]));
	if (argc == 5 && !strcmp(argv[1], "signal"))
		return command_signal(argv[2], argv[3], number(argv[4]));
	if (argc == 4 && !strcmp(argv[1], "waiter"))
		return command_waiter(argv[2], number(argv[3]), kill_waiter);
	if (argc == 4 && !strcmp(argv[1], "nonblock"))
		return command_waiter(argv[2], number(argv[3]), NULL);
	if (argc == 4 && !strcmp(argv[1], "others"))
		return command_waiter(argv[2], number(argv[3]), read_others);
	if (argc == 4 && !strcmp(argv[1], "interrupt"))
		return command_waiter(argv[2], number(argv[3]), interrupt_waiter);
	if (argc == 4 && !strcmp(argv[1], "seeker"))
		return command_waiter(argv[2], number(argv[3]), kill_seeker);
	if (argc == 4 && !strcmp(argv[1], "preader"))
		return command_waiter(argv[2], number(argv[3]), pread_nonblocking);
	if (argc == 4 && !strcmp(argv[1], "seek"))
		return command_seek(argv[2], number(argv[3]));
	if (argc == 4 && !strcmp(argv[1], "format"))
		return command_format(argv[2], number(argv[3]));
	if (argc == 5 && !strcmp(argv[1], "formats"))
		return command_formats(argv[2], number(argv[3]), number(argv[4]));
	die_usage();
	return 0;
}
