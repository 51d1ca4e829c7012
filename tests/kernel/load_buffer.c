// SPDX-License-Identifier: MIT
/* Loads a module as init_module(2) has it: the file's bytes in a buffer. load_buffer FILE [PARAMETERS] */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

static int fail(const char *what)
{
	fprintf(stderr, "%s: %s\n", what, strerror(errno));
	return 1;
}

int main(int argc, char **argv)
{
	const char *parameters = argc > 2 ? argv[2] : "";
	struct stat file;
	void *image;
	int fd;

	if (argc < 2 || argc > 3) {
		fprintf(stderr, "usage: load_buffer FILE [PARAMETERS]\n");
		return 2;
	}
	fd = open(argv[1], O_RDONLY | O_CLOEXEC);
	if (fd < 0 || fstat(fd, &file) < 0)
		return fail(argv[1]);
	image = mmap(NULL, file.st_size, PROT_READ, MAP_PRIVATE, fd, 0);
	if (image == MAP_FAILED)
		return fail("mmap");
	if (syscall(SYS_init_module, image, (unsigned long)file.st_size, parameters) < 0)
		return fail("init_module");
	return 0;
}
