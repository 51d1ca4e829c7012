/* SPDX-License-Identifier: MIT */
/* Operations to time: each is prepared once and then run. */
#ifndef OPERATION_H
#define OPERATION_H

#include <errno.h>
#include <fcntl.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/wait.h>
#include <unistd.h>

#define MOST_BYTES	(1UL << 30)

void fail(int status, const char *format, ...)
	__attribute__((format(printf, 2, 3), noreturn));

struct operation {
	const char *name;
	int arguments;
	void (*prepare)(char **argument);
	void (*run)(void);
};

static int fd = -1;
static unsigned char *buffer;
static unsigned long size, loops;
static long long offset;
static unsigned long request;
static char **command;

static unsigned long number(const char *text, unsigned long most)
{
	char *end;
	unsigned long value;

	errno = 0;
	value = strtoul(text, &end, 0);
	if (errno || end == text || *end || *text == '-' || value > most)
		fail(2, "%s is not a number up to %lu", text, most);
	return value;
}

static void *memory(unsigned long bytes)
{
	void *there = calloc(1, bytes ? bytes : 1);

	if (!there)
		fail(3, "no memory for %lu bytes", bytes);
	/* Fault in every page before anything is timed. */
	return memset(there, 1, bytes);
}

static void open_device(const char *path, int flags)
{
	fd = open(path, flags | O_CLOEXEC);
	if (fd < 0)
		fail(3, "open %s: %s", path, strerror(errno));
}

static void prepare_nothing(char **argument)
{
	(void)argument;
}

static void run_nothing(void)
{
}

static void prepare_loop(char **argument)
{
	loops = number(argument[0], 1UL << 40);
	if (!loops)
		fail(2, "a loop must have at least one round");
}

/* Two instructions per round, independent of the compiler. */
static void run_loop(void)
{
	unsigned long left = loops;

#if defined(__x86_64__)
	asm volatile("1: dec %0\n\tjnz 1b" : "+r"(left) : : "cc");
#elif defined(__aarch64__)
	asm volatile("1: subs %0, %0, #1\n\tb.ne 1b" : "+r"(left) : : "cc");
#else
#error "no loop of known length for this processor"
#endif
}

static void run_syscall(void)
{
	if (getppid() < 0)
		fail(3, "getppid: %s", strerror(errno));
}

static void prepare_read(char **argument)
{
	open_device(argument[0], O_RDONLY);
	offset = number(argument[1], INT64_MAX);
	size = number(argument[2], MOST_BYTES);
	buffer = memory(size);
}

static void run_pread(void)
{
	ssize_t done = pread(fd, buffer, size, offset);

	if (done <= 0)
		fail(3, "pread of %lu bytes at %lld: %s", size, offset,
		     done ? strerror(errno) : "end of file");
}

static void run_read(void)
{
	ssize_t done;

	if (lseek(fd, offset, SEEK_SET) < 0)
		fail(3, "lseek to %lld: %s", offset, strerror(errno));
	done = read(fd, buffer, size);
	if (done <= 0)
		fail(3, "read of %lu bytes at %lld: %s", size, offset,
		     done ? strerror(errno) : "end of file");
}

static void prepare_write(char **argument)
{
	open_device(argument[0], O_WRONLY);
	offset = number(argument[1], INT64_MAX);
	size = number(argument[2], MOST_BYTES);
	buffer = memory(size);
}

static void run_write(void)
{
	if (pwrite(fd, buffer, size, offset) < 0)
		fail(3, "pwrite of %lu bytes at %lld: %s", size, offset,
		     strerror(errno));
}

static void prepare_ioctl(char **argument)
{
	open_device(argument[0], O_RDONLY);
	request = number(argument[1], UINT32_MAX);
	size = number(argument[2], 1UL << 20);
	buffer = memory(size);
}

static void run_ioctl(void)
{
	memset(buffer, 0, size);
	if (ioctl(fd, request, buffer) < 0)
		fail(3, "ioctl 0x%lx: %s", request, strerror(errno));
}

static void prepare_command(char **argument)
{
	command = argument;
}

static void run_command(void)
{
	int status;
	pid_t child = fork();

	if (child < 0)
		fail(3, "fork: %s", strerror(errno));
	if (!child) {
		int null = open("/dev/null", O_RDWR);

		dup2(null, 0);
		dup2(null, 1);
		execvp(command[0], command);
		_exit(127);
	}
	if (waitpid(child, &status, 0) < 0)
		fail(3, "waitpid: %s", strerror(errno));
	if (WIFSIGNALED(status))
		fail(3, "%s was killed by signal %d", command[0],
		     WTERMSIG(status));
	if (WEXITSTATUS(status))
		fail(3, "%s ended with status %d", command[0],
		     WEXITSTATUS(status));
}

static const struct operation operations[] = {
	{ "nothing",	0, prepare_nothing,	run_nothing },
	{ "loop",	1, prepare_loop,	run_loop },	/* ROUNDS */
	{ "syscall",	0, prepare_nothing,	run_syscall },
	{ "pread",	3, prepare_read,	run_pread },	/* PATH OFFSET SIZE */
	{ "read",	3, prepare_read,	run_read },	/* PATH OFFSET SIZE */
	{ "pwrite",	3, prepare_write,	run_write },	/* PATH OFFSET SIZE */
	{ "ioctl",	3, prepare_ioctl,	run_ioctl },	/* PATH REQUEST SIZE */
	{ "command",	-1, prepare_command,	run_command },	/* PROGRAM WORD... */
};

static const struct operation *find_operation(char **words, int count)
{
	unsigned int i;

	for (i = 0; i < sizeof(operations) / sizeof(operations[0]); i++) {
		const struct operation *found = &operations[i];

		if (!count || strcmp(found->name, words[0]))
			continue;
		if (found->arguments < 0 ? count < 2 :
					   count - 1 != found->arguments)
			fail(2, "wrong number of arguments for %s", words[0]);
		return found;
	}
	fail(2, "missing or unknown operation");
	return NULL;
}

#endif /* OPERATION_H */
