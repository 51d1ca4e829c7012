// SPDX-License-Identifier: GPL-2.0-only OR MIT
/*
 * Waits for a turn on a shared open file, as an event loop does:
 *
 *	fibpoll DEVICE poll|select|epoll finish|kill INDEX
 *
 * A child reads F(INDEX). Meanwhile the O_NONBLOCK file must not be readable,
 * and must be once the child has finished, or was killed.
 */
#define _GNU_SOURCE
#include <poll.h>
#include <signal.h>
#include <sys/epoll.h>
#include <sys/select.h>
#include <sys/wait.h>

#include "guest.h"

enum way { BY_POLL, BY_SELECT, BY_EPOLL };

static int epoll_fd = -1;

/* True if a read would not wait; waits for that without a limit, or not at all. */
static int is_readable(enum way way, int fd, int waits)
{
	struct pollfd poll_fd = { .fd = fd, .events = POLLIN };
	struct timeval no_time = { 0, 0 };
	struct epoll_event event;
	fd_set set;
	int found;

	switch (way) {
	case BY_POLL:
		found = poll(&poll_fd, 1, waits ? -1 : 0);
		break;
	case BY_SELECT:
		FD_ZERO(&set);
		FD_SET(fd, &set);
		found = select(fd + 1, &set, NULL, NULL,
			       waits ? NULL : &no_time);
		break;
	default:
		found = epoll_wait(epoll_fd, &event, 1, waits ? -1 : 0);
	}
	if (found < 0)
		die("waiting");
	return found;
}

static pid_t start_reader(int fd, long long n)
{
	const size_t bytes = record_bytes(fd, (unsigned long long)n);
	pid_t child = fork();
	char *room;

	if (child < 0)
		die("fork");
	if (child)
		return child;
	room = malloc(bytes);
	_exit(room && read(fd, room, bytes) == (ssize_t)bytes ? 0 : 3);
}

static void require_eagain(const char *call, long long got)
{
	if (got >= 0 || errno != EAGAIN)
		wrong("%s gave %lld, errno %d, while the file is not readable",
		      call, got, got < 0 ? errno : 0);
}

int main(int argc, char **argv)
{
	struct epoll_event event = { .events = EPOLLIN };
	int is_killed, status, fd, wakes = 0;
	long long n, position;
	enum way way;
	pid_t child;
	char byte;

	if (argc != 5)
		return 2;
	way = !strcmp(argv[2], "poll") ? BY_POLL :
	      !strcmp(argv[2], "select") ? BY_SELECT : BY_EPOLL;
	is_killed = !strcmp(argv[3], "kill");
	n = number(argv[4]);
	fd = open_device(argv[1], O_NONBLOCK, FIBDRV_FORMAT_BINARY);
	epoll_fd = epoll_create1(EPOLL_CLOEXEC);
	if (epoll_fd < 0 || epoll_ctl(epoll_fd, EPOLL_CTL_ADD, fd, &event))
		die("epoll");
	if (lseek(fd, n, SEEK_SET) != n)
		die("lseek");
	if (!is_readable(way, fd, 0))
		wrong("not readable at rest");

	child = start_reader(fd, n);
	while (is_readable(way, fd, 0)) {
		if (waitpid(child, &status, WNOHANG))
			wrong("readable all the while another process read");
		usleep(1000);
	}
	require_eagain("read", read(fd, &byte, 1));
	require_eagain("lseek", lseek(fd, 0, SEEK_CUR));
	if (is_killed)
		kill(child, SIGKILL);
	/* Somebody may be woken for less, but not again and again. */
	do {
		is_readable(way, fd, 1);
		position = lseek(fd, 0, SEEK_CUR);
		wakes++;
	} while (position < 0 && errno == EAGAIN);

	if (waitpid(child, &status, 0) != child)
		die("waitpid");
	if (is_killed ? !WIFSIGNALED(status) : status)
		wrong("the reader's status is %#x", status);
	if (position != n + !is_killed)
		wrong("readable at %lld", position);
	if (!is_readable(way, fd, 0))
		wrong("not readable after it");
	printf("ok: wakes %d\n", wakes);
	return 0;
}
