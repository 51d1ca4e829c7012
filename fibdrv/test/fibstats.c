// SPDX-License-Identifier: GPL-2.0-only OR MIT
/*
 * Whether FIBDRV_IOC_STATS tells what a read did, for tests of the loaded
 * module: prints "ok", or what is wrong and ends with 1.
 *
 *	fibstats DEVICE parts	before the first read, after reads that failed, and
 *				which part the time of a read is counted in
 *	fibstats DEVICE copy	the same of copying; root, for userfaultfd(2)
 *	fibstats DEVICE killed N	after a read of F(N) that was killed
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include <linux/userfaultfd.h>

#include "../uapi/fibdrv.h"

/* 208,988 digits. */
#define INDEX		1000000UL
#define DIGITS		208988UL
/* The limbs of F(INDEX): 694,242 bits. */
#define LIMBS		10848UL
#define HELD_UP_NS	50000000ULL

#define wrong(...) do { printf("WRONG: " __VA_ARGS__); putchar('\n'); exit(1); } while (0)

static char room[DIGITS + 1];

static void die(const char *what)
{
	fprintf(stderr, "fibstats: %s: %s\n", what, strerror(errno));
	exit(1);
}

static __u64 now_ns(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (__u64)now.tv_sec * 1000000000 + (__u64)now.tv_nsec;
}

static struct fibdrv_stats stats_of(int fd)
{
	struct fibdrv_stats stats;

	memset(&stats, 0xee, sizeof(stats));
	if (ioctl(fd, FIBDRV_IOC_STATS, &stats))
		die("FIBDRV_IOC_STATS");
	return stats;
}

static void set_format(int fd, __u32 which)
{
	struct fibdrv_format format = { .format = which };

	if (ioctl(fd, FIBDRV_IOC_FORMAT, &format))
		die("FIBDRV_IOC_FORMAT");
}

static int opened(const char *device)
{
	int fd = open(device, O_RDONLY | O_CLOEXEC);

	if (fd < 0)
		die(device);
	return fd;
}

static void expect_same(int fd, const struct fibdrv_stats *before,
			const char *after)
{
	struct fibdrv_stats now = stats_of(fd);

	if (memcmp(&now, before, sizeof(now)))
		wrong("%s changed the statistics", after);
}

static void expect(const char *what, __u64 got, __u64 wanted)
{
	if (got != wanted)
		wrong("%s is %llu, not %llu", what, (unsigned long long)got,
		      (unsigned long long)wanted);
}

/* Every way in which a read gives nothing; the statistics stay. */
static void fail_in_every_way(int fd)
{
	const struct fibdrv_stats before = stats_of(fd);
	char *volatile nowhere = NULL;
	char small[2];

	if (pread(fd, small, sizeof(small), 1000) != -1 || errno != ERANGE)
		wrong("pread into two bytes gave errno %d", errno);
	expect_same(fd, &before, "ERANGE");
	if (pread(fd, nowhere, 1000, 1000) != -1 || errno != EFAULT)
		wrong("pread to NULL gave errno %d", errno);
	expect_same(fd, &before, "EFAULT");
	if (pread(fd, small, 0, 1000))
		wrong("pread of no bytes gave some");
	expect_same(fd, &before, "a count of 0");
	if (pread(fd, small, sizeof(small), (off_t)1 << 40))
		wrong("pread past the end gave some");
	expect_same(fd, &before, "the end of the file");
}

static struct fibdrv_stats read_at(int fd, __u32 format, size_t bytes)
{
	struct fibdrv_stats stats;
	__u64 begun, took;

	set_format(fd, format);
	begun = now_ns();
	if (pread(fd, room, sizeof(room), INDEX) != (ssize_t)bytes)
		die("pread");
	took = now_ns() - begun;
	stats = stats_of(fd);
	expect("the index", stats.index, INDEX);
	expect("limbs", stats.limbs, LIMBS);
	expect("bytes", stats.bytes, bytes);
	expect("format", stats.format, format);
	expect("flags", stats.flags, 0);
	if (stats.compute_ns + stats.format_ns + stats.copy_ns > took)
		wrong("the parts are more than the call took");
	if (stats.compute_ns + stats.format_ns + stats.copy_ns < took / 2)
		wrong("the parts are less than half of what the call took");
	return stats;
}

/* A number of this length costs a thousand times its copy. */
static int check_parts(const char *device)
{
	int fd = opened(device);
	struct fibdrv_stats first = stats_of(fd), zero, decimal, binary;

	memset(&zero, 0, sizeof(zero));
	if (memcmp(&first, &zero, sizeof(zero)))
		wrong("there are statistics before the first read");
	fail_in_every_way(fd);

	binary = read_at(fd, FIBDRV_FORMAT_BINARY, 86781);
	if (binary.format_ns > binary.compute_ns / 4)
		wrong("binary took %llu ns to format, %llu to compute",
		      (unsigned long long)binary.format_ns,
		      (unsigned long long)binary.compute_ns);
	decimal = read_at(fd, FIBDRV_FORMAT_DECIMAL, DIGITS + 1);
	if (decimal.format_ns < decimal.copy_ns)
		wrong("decimal took %llu ns to format, %llu to copy",
		      (unsigned long long)decimal.format_ns,
		      (unsigned long long)decimal.copy_ns);
	fail_in_every_way(fd);
	printf("ok: compute_ns %llu format_ns %llu copy_ns %llu\n",
	       (unsigned long long)decimal.compute_ns,
	       (unsigned long long)decimal.format_ns,
	       (unsigned long long)decimal.copy_ns);
	return 0;
}

/* Gives the page that a copy waits for, and late. */
static void *serve_late(void *argument)
{
	const int uffd = *(int *)argument;
	static char page[1 << 16];
	struct uffd_msg message;
	struct uffdio_copy copy = { .src = (unsigned long)page };

	if (read(uffd, &message, sizeof(message)) != sizeof(message))
		die("userfaultfd");
	usleep(HELD_UP_NS / 1000);
	copy.len = (__u64)sysconf(_SC_PAGESIZE);
	copy.dst = message.arg.pagefault.address & ~(copy.len - 1);
	if (ioctl(uffd, UFFDIO_COPY, &copy))
		die("UFFDIO_COPY");
	return NULL;
}

static int check_copy(const char *device)
{
	const size_t page = (size_t)sysconf(_SC_PAGESIZE);
	struct uffdio_api api = { .api = UFFD_API };
	struct uffdio_register range = { .mode = UFFDIO_REGISTER_MODE_MISSING };
	struct fibdrv_stats stats;
	pthread_t server;
	int fd = opened(device), uffd;
	void *late;

	uffd = (int)syscall(SYS_userfaultfd, O_CLOEXEC);
	if (uffd < 0 || ioctl(uffd, UFFDIO_API, &api))
		die("userfaultfd");
	late = mmap(NULL, page, PROT_READ | PROT_WRITE,
		    MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	if (late == MAP_FAILED)
		die("mmap");
	range.range.start = (unsigned long)late;
	range.range.len = page;
	if (ioctl(uffd, UFFDIO_REGISTER, &range))
		die("UFFDIO_REGISTER");
	errno = pthread_create(&server, NULL, serve_late, &uffd);
	if (errno)
		die("pthread_create");
	if (pread(fd, late, page, 100) != 22)
		die("pread");
	pthread_join(server, NULL);

	stats = stats_of(fd);
	if (stats.copy_ns < HELD_UP_NS)
		wrong("copying was held up for 50 ms, and took %llu ns",
		      (unsigned long long)stats.copy_ns);
	printf("ok: copy_ns %llu\n", (unsigned long long)stats.copy_ns);
	return 0;
}

/* A read that is killed leaves what the one before it cost. */
static int check_killed(const char *device, long n)
{
	struct fibdrv_stats before;
	struct fibdrv_size size = { .index = (__u64)n };
	struct timespec used = { 0 };
	int fd = opened(device), status;
	clockid_t clock;
	pid_t child;

	if (pread(fd, room, sizeof(room), 100) != 22 || ioctl(fd, FIBDRV_IOC_SIZE, &size))
		die("pread");
	before = stats_of(fd);
	child = fork();
	if (child < 0)
		die("fork");
	if (!child) {
		char *record = malloc(size.bytes);

		_exit(record && pread(fd, record, size.bytes, n) > 0 ? 0 : 1);
	}
	while (used.tv_sec == 0 && used.tv_nsec < 20000000) {
		usleep(1000);
		if (clock_getcpuclockid(child, &clock) || clock_gettime(clock, &used))
			die("the reader's clock");
	}
	expect_same(fd, &before, "a read in progress");
	kill(child, SIGKILL);
	if (waitpid(child, &status, 0) != child || !WIFSIGNALED(status))
		wrong("the reader's status is %#x", status);
	expect_same(fd, &before, "a read that was killed");
	puts("ok: killed");
	return 0;
}

int main(int argc, char **argv)
{
	if (argc == 3 && !strcmp(argv[2], "parts"))
		return check_parts(argv[1]);
	if (argc == 3 && !strcmp(argv[2], "copy"))
		return check_copy(argv[1]);
	if (argc == 4 && !strcmp(argv[2], "killed"))
		return check_killed(argv[1], atol(argv[3]));
	fputs("usage: fibstats DEVICE parts | copy | killed N\n", stderr);
	return 2;
}
