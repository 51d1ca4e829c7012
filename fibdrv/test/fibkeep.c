// SPDX-License-Identifier: GPL-2.0-only OR MIT
/*
 * How many open files keep a pair of numbers for a reader that reads on:
 *
 *	fibkeep DEVICE FILES INDEX
 *
 * Opens FILES files at once, and a thread for each reads F(INDEX) and the next
 * three. Then each file's last number is read once more: a file that has kept it
 * says so in its statistics. Twice over, as closing a file frees what it kept.
 */
#define _GNU_SOURCE
#include <pthread.h>

#include "guest.h"

#define READS 4

static long long first;
static size_t bytes[READS];
static char *expected[READS];

static void read_next(int fd, int k)
{
	char *room = malloc(bytes[k]);

	if (!room)
		die("malloc");
	if (read(fd, room, bytes[k]) != (ssize_t)bytes[k] ||
	    memcmp(room, expected[k], bytes[k]))
		wrong("read of F(%lld)", first + k);
	free(room);
}

static void *read_on(void *argument)
{
	const int fd = *(int *)argument;
	int k;

	for (k = 0; k < READS; k++)
		read_next(fd, k);
	return NULL;
}

static void fill_expected(const char *device)
{
	int fd = open_device(device, 0, FIBDRV_FORMAT_DECIMAL), k;

	for (k = 0; k < READS; k++) {
		bytes[k] = record_bytes(fd, (unsigned long long)(first + k));
		expected[k] = malloc(bytes[k]);
		if (!expected[k] || pread(fd, expected[k], bytes[k], first + k) !=
				    (ssize_t)bytes[k])
			die("pread");
	}
	close(fd);
}

static int count_kept(const int *fd, int files)
{
	struct fibdrv_stats stats;
	int i, kept = 0;

	for (i = 0; i < files; i++) {
		if (lseek(fd[i], first + READS - 1, SEEK_SET) < 0)
			die("lseek");
		read_next(fd[i], READS - 1);
		if (ioctl(fd[i], FIBDRV_IOC_STATS, &stats))
			die("FIBDRV_IOC_STATS");
		kept += !!(stats.flags & FIBDRV_STATS_KEPT);
	}
	return kept;
}

int main(int argc, char **argv)
{
	pthread_t *thread;
	int files, round, i;
	int *fd;

	if (argc != 4)
		return 2;
	files = (int)number(argv[2]);
	first = number(argv[3]);
	fd = calloc((size_t)files, sizeof(*fd));
	thread = calloc((size_t)files, sizeof(*thread));
	if (!fd || !thread)
		die("calloc");
	fill_expected(argv[1]);
	for (round = 0; round < 2; round++) {
		for (i = 0; i < files; i++) {
			fd[i] = open_device(argv[1], 0, FIBDRV_FORMAT_DECIMAL);
			if (lseek(fd[i], first, SEEK_SET) < 0)
				die("lseek");
		}
		for (i = 0; i < files; i++) {
			errno = pthread_create(&thread[i], NULL, read_on, &fd[i]);
			if (errno)
				die("pthread_create");
		}
		for (i = 0; i < files; i++)
			pthread_join(thread[i], NULL);
		printf("%d\n", count_kept(fd, files));
		for (i = 0; i < files; i++)
			close(fd[i]);
	}
	return 0;
}
