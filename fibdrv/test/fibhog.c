// SPDX-License-Identifier: GPL-2.0-only OR MIT
/*
 * More readers than the machine has memory for, outside of any cgroup:
 *
 *	fibhog DEVICE READERS INDEX KIB
 *
 * READERS processes compute F(INDEX) again and again, and never copy it: their
 * buffers cannot be written. When some were refused, an ordinary process takes
 * and fills KIB of memory. Prints how many reads were computed and refused, and
 * the least MemAvailable in KiB before that process.
 */
#define _GNU_SOURCE
#include <signal.h>
#include <sys/mman.h>
#include <sys/wait.h>

#include "guest.h"

static struct counts {
	unsigned long computed, refused;
} *counts;

static void read_for_ever(const char *device, long long n)
{
	int fd = open_device(device, 0, FIBDRV_FORMAT_BINARY);
	const size_t bytes = record_bytes(fd, (unsigned long long)n);
	void *room = mmap(NULL, bytes, PROT_READ,
			  MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);

	if (room == MAP_FAILED)
		die("mmap");
	for (;;) {
		if (pread(fd, room, bytes, n) >= 0)
			_exit(3);
		if (errno == EFAULT) {
			__atomic_add_fetch(&counts->computed, 1, __ATOMIC_RELAXED);
		} else if (errno == ENOMEM) {
			__atomic_add_fetch(&counts->refused, 1, __ATOMIC_RELAXED);
			usleep(10000);
		} else {
			_exit(4);
		}
	}
}

static long available_kib(void)
{
	FILE *file = fopen("/proc/meminfo", "r");
	char line[128];
	long kib = -1;

	while (file && fgets(line, sizeof(line), file))
		if (sscanf(line, "MemAvailable: %ld", &kib) == 1)
			break;
	if (!file || kib < 0)
		die("/proc/meminfo");
	fclose(file);
	return kib;
}

static void take_ordinary_memory(size_t bytes)
{
	char *memory = mmap(NULL, bytes, PROT_READ | PROT_WRITE,
			    MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	if (memory == MAP_FAILED)
		_exit(3);
	memset(memory, 1, bytes);
	_exit(0);
}

int main(int argc, char **argv)
{
	long least = available_kib(), now;
	int readers, i, status;
	pid_t *child, ordinary;

	if (argc != 5)
		return 2;
	readers = (int)number(argv[2]);
	child = calloc((size_t)readers, sizeof(*child));
	counts = mmap(NULL, sizeof(*counts), PROT_READ | PROT_WRITE,
		      MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	if (!child || counts == MAP_FAILED)
		die("memory");
	for (i = 0; i < readers; i++) {
		child[i] = fork();
		if (child[i] < 0)
			die("fork");
		if (!child[i])
			read_for_ever(argv[1], number(argv[3]));
	}
	/* Every reader has come as far as to take memory, or to be refused. */
	while (__atomic_load_n(&counts->refused, __ATOMIC_RELAXED) <
	       2 * (unsigned long)readers) {
		now = available_kib();
		if (now < least)
			least = now;
		for (i = 0; i < readers; i++)
			if (waitpid(child[i], &status, WNOHANG))
				wrong("a reader's status is %#x", status);
		usleep(10000);
	}
	ordinary = fork();
	if (!ordinary)
		take_ordinary_memory((size_t)number(argv[4]) * 1024);
	if (waitpid(ordinary, &status, 0) != ordinary)
		die("waitpid");
	for (i = 0; i < readers; i++)
		kill(child[i], SIGKILL);
	for (i = 0; i < readers; i++)
		waitpid(child[i], NULL, 0);
	if (status)
		wrong("the ordinary process's status is %#x", status);
	printf("ok: computed %lu refused %lu available %ld\n", counts->computed,
	       counts->refused, least);
	return 0;
}
