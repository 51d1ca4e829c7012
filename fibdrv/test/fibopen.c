// SPDX-License-Identifier: GPL-2.0-only OR MIT
/*
 * Opens a node without end, there or not, until SIGTERM comes: then it prints
 * how often that succeeded.
 *
 *	fibopen NODE
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <unistd.h>

int main(int argc, char **argv)
{
	unsigned long opened = 0;
	sigset_t end, pending;
	int fd;

	if (argc != 2)
		return 2;
	sigemptyset(&end);
	sigaddset(&end, SIGTERM);
	sigprocmask(SIG_BLOCK, &end, NULL);
	do {
		fd = open(argv[1], O_RDONLY | O_CLOEXEC);
		if (fd >= 0) {
			opened++;
			close(fd);
		} else if (errno != ENXIO && errno != ENODEV) {
			perror(argv[1]);
			return 1;
		}
		sigpending(&pending);
	} while (!sigismember(&pending, SIGTERM));
	printf("%lu\n", opened);
	return 0;
}
