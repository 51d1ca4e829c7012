/* SPDX-License-Identifier: GPL-2.0-only OR MIT */
/*
 * Calls on an open file while a read of it computes; a part of fibstress.c,
 * after fibstress_signals.h.
 */

/* A process that reads F(n) at the position of an open file, and its record. */
struct turn {
	pid_t child;
	int record;		/* the pipe that the record comes through */
};

static struct turn start_turn(int fd, unsigned long n, size_t bytes)
{
	struct turn turn;
	int ends[2];
	char *room;
	ssize_t got;

	if (lseek(fd, (off_t)n, SEEK_SET) != (off_t)n)
		die("lseek");
	if (pipe(ends))
		die("pipe");
	turn.child = fork();
	if (turn.child < 0)
		die("fork");
	if (turn.child) {
		close(ends[1]);
		turn.record = ends[0];
		return turn;
	}
	room = malloc(bytes);
	if (!room)
		_exit(3);
	/* EAGAIN is what await_holder() may do to a reader that begins. */
	do {
		got = read(fd, room, bytes);
	} while (got < 0 && errno == EAGAIN);
	if (got < 0)
		_exit(2);
	while (got > 0) {
		ssize_t put = write(ends[1], room, (size_t)got);

		if (put < 0)
			_exit(4);
		room += put;
		got -= put;
	}
	_exit(0);
}

/* Compare the record that a reader got with what it has to be. */
static void end_turn(struct turn turn, const char *expected, size_t bytes)
{
	char *got = malloc(bytes + 1);
	size_t have = 0;
	ssize_t more;
	int status;

	if (!got)
		die("malloc");
	while (have <= bytes) {
		more = read(turn.record, got + have, bytes + 1 - have);
		if (more < 0)
			die("the reader's pipe");
		if (!more)
			break;
		have += (size_t)more;
	}
	if (waitpid(turn.child, &status, 0) != turn.child)
		die("waitpid");
	if (status)
		wrong("the reader's status is %#x", status);
	if (have != bytes || memcmp(got, expected, bytes))
		wrong("the reader got another record, of %zu bytes", have);
	free(got);
}

static int is_over(pid_t child)
{
	siginfo_t info = { .si_pid = 0 };

	if (waitid(P_PID, (id_t)child, &info, WEXITED | WNOHANG | WNOWAIT))
		die("waitid");
	return info.si_pid == child;
}

/* lseek() by a distance waits for the read, and counts from where that ends. */
static int command_seek(const char *device, unsigned long n)
{
	int fd = open_device(device);
	struct turn turn;
	size_t bytes;
	char *expected = record_of(fd, n, &bytes);
	off_t position;

	turn = start_turn(fd, n, bytes);
	await_holder(fd, turn.child);
	position = lseek(fd, 3, SEEK_CUR);
	if (position != (off_t)n + 4)
		wrong("lseek by 3 during a read of F(%lu) gave %lld", n,
		      (long long)position);
	end_turn(turn, expected, bytes);
	printf("ok: position %lld\n", (long long)position);
	return 0;
}

/* Another format during a read: it has none of it, and the next read has. */
static int command_format(const char *device, unsigned long n)
{
	struct fibdrv_format binary = { .format = FIBDRV_FORMAT_BINARY };
	struct fibdrv_size size = { .index = n };
	int fd = open_device(device);
	struct turn turn;
	size_t bytes;
	char *expected = record_of(fd, n, &bytes);
	unsigned char next;

	turn = start_turn(fd, n, bytes);
	await_holder(fd, turn.child);
	if (ioctl(fd, FIBDRV_IOC_FORMAT, &binary))
		die("FIBDRV_IOC_FORMAT");
	if (ioctl(fd, FIBDRV_IOC_SIZE, &size))
		die("FIBDRV_IOC_SIZE");
	if (is_over(turn.child))
		wrong("the read was over: the ioctls waited for it");
	if (size.bytes >= bytes / 2)
		wrong("a binary record has %llu bytes, the decimal one %zu",
		      (unsigned long long)size.bytes, bytes);
	end_turn(turn, expected, bytes);
	/* F(13) is 233. */
	if (pread(fd, &next, 1, 13) != 1 || next != 233)
		wrong("the format did not hold for the next read");
	printf("ok: binary bytes %llu\n", (unsigned long long)size.bytes);
	return 0;
}

struct toggler {
	pthread_t thread;
	int fd;
	volatile int stop;
};

static void *toggle(void *argument)
{
	struct toggler *toggler = argument;
	struct fibdrv_format format = { .format = 0 };

	while (!toggler->stop) {
		format.format = (format.format + 1) % 3;
		if (ioctl(toggler->fd, FIBDRV_IOC_FORMAT, &format))
			die("FIBDRV_IOC_FORMAT");
	}
	return NULL;
}

static int all_seen(const unsigned long seen[3])
{
	return seen[0] && seen[1] && seen[2];
}

/*
 * While another thread changes the format all the time, each record is whole
 * and in one of them.
 */
static int command_formats(const char *device, unsigned long n,
			   unsigned long rounds)
{
	struct fibdrv_format format = { .format = 0 };
	struct toggler toggler = { .fd = open_device(device) };
	char *expected[3], *room;
	size_t bytes[3];
	unsigned long i, seen[3] = { 0 };
	int fd = open_device(device);

	for (format.format = 0; format.format < 3; format.format++) {
		if (ioctl(fd, FIBDRV_IOC_FORMAT, &format))
			die("FIBDRV_IOC_FORMAT");
		expected[format.format] = record_of(fd, n, &bytes[format.format]);
	}
	room = malloc(bytes[0]);
	if (!room)
		die("malloc");
	errno = pthread_create(&toggler.thread, NULL, toggle, &toggler);
	if (errno)
		die("pthread_create");
	/* On a busy host the other thread may take its time. */
	for (i = 0; i < rounds || (i < 100 * rounds && !all_seen(seen)); i++) {
		ssize_t got;
		int k;

		if (i % 2 && lseek(toggler.fd, (off_t)n, SEEK_SET) != (off_t)n)
			die("lseek");
		got = i % 2 ? read(toggler.fd, room, bytes[0]) :
			      pread(toggler.fd, room, bytes[0], (off_t)n);
		for (k = 0; k < 3; k++)
			if (got == (ssize_t)bytes[k] &&
			    !memcmp(room, expected[k], bytes[k]))
				break;
		if (k == 3)
			wrong("a record of %zd bytes, errno %d", got, errno);
		seen[k]++;
	}
	toggler.stop = 1;
	pthread_join(toggler.thread, NULL);
	if (!all_seen(seen))
		wrong("a format was never seen: nothing was proved");
	printf("ok: decimal %lu hex %lu binary %lu\n", seen[0], seen[1], seen[2]);
	return 0;
}

/* A signal with a handler does not end the wait for a turn; see kill_waiter(). */
static __u64 interrupt_waiter(const char *device, int fd, unsigned long n,
			      pid_t computing)
{
	const __u64 begun = now_us();
	pid_t waiting;
	int i;

	(void)device;
	signal(SIGUSR1, handler);
	waiting = start_reader(fd, (off_t)n, 1);
	await_asleep(waiting, computing);
	for (i = 0; i < 3; i++) {
		kill(waiting, SIGUSR1);
		usleep(1000);
		if (is_over(waiting))
			wrong("a signal with a handler ended the wait");
	}
	await_asleep(waiting, computing);
	/* No other: the kernel wakes nobody twice, but for this one. */
	kill(waiting, SIGKILL);
	if (waitpid(waiting, &i, 0) != waiting || !WIFSIGNALED(i))
		wrong("the waiting reader's status is %#x", i);
	return now_us() - begun;
}

/* A lseek() waits for its turn as a read does, and can be killed as well. */
static __u64 kill_seeker(const char *device, int fd, unsigned long n,
			 pid_t computing)
{
	const __u64 begun = now_us();
	pid_t waiting = fork();
	int status;

	(void)device;
	if (waiting < 0)
		die("fork");
	if (!waiting)
		_exit(lseek(fd, (off_t)n - 1, SEEK_SET) < 0 ? 2 : 0);
	await_asleep(waiting, computing);
	kill(waiting, SIGKILL);
	if (waitpid(waiting, &status, 0) != waiting || !WIFSIGNALED(status))
		wrong("the waiting lseek's status is %#x", status);
	return now_us() - begun;
}

/* pread() takes no turn, so that O_NONBLOCK has nothing to refuse. */
static __u64 pread_nonblocking(const char *device, int fd, unsigned long n,
			       pid_t computing)
{
	const __u64 begun = now_us();
	char buf[ROOM];
	ssize_t got;

	(void)device;
	(void)n;
	(void)computing;
	if (fcntl(fd, F_SETFL, O_NONBLOCK))
		die("F_SETFL");
	got = pread(fd, buf, sizeof(buf), LAST);
	if (got != (ssize_t)length[LAST] || memcmp(buf, table[LAST], length[LAST]))
		wrong("pread gave %zd, errno %d", got, errno);
	if (fcntl(fd, F_SETFL, 0))
		die("F_SETFL");
	return now_us() - begun;
}
