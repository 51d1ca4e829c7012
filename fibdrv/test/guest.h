/* SPDX-License-Identifier: GPL-2.0-only OR MIT */
/* What the small programs for guests share: fibkeep, fibhog, fibpoll, fiburing. */
#ifndef FIBDRV_TEST_GUEST_H
#define FIBDRV_TEST_GUEST_H

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "../uapi/fibdrv.h"

static void die(const char *what)
{
	fprintf(stderr, "%s: %s\n", what, strerror(errno));
	exit(2);
}

/* The test has found a fault of the driver. */
#define wrong(...) do { \
	printf("WRONG: " __VA_ARGS__); \
	putchar('\n'); \
	exit(1); \
} while (0)

static long long number(const char *text)
{
	char *end;
	long long value;

	errno = 0;
	value = strtoll(text, &end, 0);
	if (errno || end == text || *end) {
		errno = EINVAL;
		die(text);
	}
	return value;
}

static int open_device(const char *device, int flags, __u32 format)
{
	struct fibdrv_format wanted = { .format = format };
	int fd = open(device, O_RDONLY | O_CLOEXEC | flags);

	if (fd < 0 || ioctl(fd, FIBDRV_IOC_FORMAT, &wanted))
		die(device);
	return fd;
}

static inline size_t record_bytes(int fd, unsigned long long n)
{
	struct fibdrv_size size = { .index = n };

	if (ioctl(fd, FIBDRV_IOC_SIZE, &size))
		die("FIBDRV_IOC_SIZE");
	return size.bytes;
}

#endif /* FIBDRV_TEST_GUEST_H */
