/* SPDX-License-Identifier: GPL-2.0-only OR MIT */
/* Readers that get signals; a part of fibstress.c. */

static void handler(int signal)
{
	(void)signal;
}

static __u64 now_us(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (__u64)now.tv_sec * 1000000 + (__u64)now.tv_nsec / 1000;
}

static int signal_named(const char *name)
{
	static const struct { const char *name; int number; } names[] = {
		{ "KILL", SIGKILL }, { "INT", SIGINT }, { "TERM", SIGTERM },
		{ "USR1", SIGUSR1 },
	};
	size_t i;

	for (i = 0; i < sizeof(names) / sizeof(*names); i++)
		if (!strcmp(name, names[i].name))
			return names[i].number;
	die_usage();
	return 0;
}

/* A child that reads F(n) once, and leaves with 0 if it got all of it. */
static pid_t start_reader(int fd, off_t n, int at_position)
{
	struct fibdrv_size size = { .index = (__u64)n };
	pid_t child;
	char *room;
	ssize_t got;

	if (ioctl(fd, FIBDRV_IOC_SIZE, &size))
		die("FIBDRV_IOC_SIZE");
	child = fork();
	if (child < 0)
		die("fork");
	if (child)
		return child;
	room = malloc(size.bytes);
	if (!room)
		_exit(3);
	/* EAGAIN is what await_holder() may do to a reader that begins. */
	do {
		got = at_position ? read(fd, room, size.bytes) :
				    pread(fd, room, size.bytes, n);
	} while (got < 0 && errno == EAGAIN);
	_exit(got == (ssize_t)size.bytes ? 0 : 2);
}

/* The processor time of a child so far, to see that it computes. */
static __u64 used_us(pid_t child)
{
	struct timespec used;
	clockid_t clock;

	if (clock_getcpuclockid(child, &clock) || clock_gettime(clock, &used))
		return 0;
	return (__u64)used.tv_sec * 1000000 + (__u64)used.tv_nsec / 1000;
}

static void await_computing(pid_t child)
{
	/* What comes before takes less; F(10,000,000) takes a hundred times. */
	while (used_us(child) < 20000) {
		if (waitpid(child, NULL, WNOHANG))
			wrong("the read was over before the signal came");
		usleep(1000);
	}
}

static int command_signal(const char *device, const char *name, unsigned long n)
{
	const int sent = signal_named(name);
	int fd = open_device(device), status;
	__u64 begun;
	pid_t child;

	/* USR1 alone has a handler, which the child inherits. */
	signal(SIGUSR1, handler);
	child = start_reader(fd, (off_t)n, 0);
	await_computing(child);
	begun = now_us();
	kill(child, sent);
	if (waitpid(child, &status, 0) != child)
		die("waitpid");
	if (sent == SIGUSR1 ? !WIFEXITED(status) || WEXITSTATUS(status) :
	    !WIFSIGNALED(status) || WTERMSIG(status) != sent)
		wrong("SIG%s: the reader's status is %#x", name, status);
	printf("ok: SIG%s us %llu\n", name,
	       (unsigned long long)(now_us() - begun));
	return 0;
}

/*
 * Wait until another process's read has the position, which a read that may
 * not wait is told by EAGAIN. The buffer is too short for the record: as long
 * as the position is free the answer is ERANGE, and nothing moves.
 */
static void await_holder(int fd, pid_t child)
{
	char buf[ROOM];

	if (fcntl(fd, F_SETFL, O_NONBLOCK))
		die("F_SETFL");
	for (;;) {
		ssize_t got = read(fd, buf, sizeof(buf));

		if (got < 0 && errno == EAGAIN)
			break;
		if (got >= 0 || errno != ERANGE)
			wrong("a read that may not wait gave %zd, errno %d",
			      got, errno);
		if (waitpid(child, NULL, WNOHANG))
			wrong("the read was over, and nobody was told EAGAIN");
		usleep(1000);
	}
	if (fcntl(fd, F_SETFL, 0))
		die("F_SETFL");
}

/* Wait until a process sleeps and only a signal that kills may wake it. */
static void await_asleep(pid_t child, pid_t computing)
{
	char path[64], state = 0;

	snprintf(path, sizeof(path), "/proc/%d/stat", (int)child);
	while (state != 'D') {
		FILE *file = fopen(path, "r");

		if (!file || fscanf(file, "%*d (%*[^)]) %c", &state) != 1)
			die(path);
		fclose(file);
		if (waitpid(computing, NULL, WNOHANG))
			wrong("the other reader was done before: nobody waited");
		usleep(1000);
	}
}

/* A process that waits for its turn is killed; gives how long that took. */
static __u64 kill_waiter(const char *device, int fd, unsigned long n,
			 pid_t computing)
{
	pid_t waiting = start_reader(fd, (off_t)n, 1);
	__u64 begun;
	int status;

	(void)device;
	await_asleep(waiting, computing);
	begun = now_us();
	kill(waiting, SIGKILL);
	if (waitpid(waiting, &status, 0) != waiting)
		die("waitpid");
	if (!WIFSIGNALED(status))
		wrong("the waiting reader's status is %#x", status);
	return now_us() - begun;
}

/* What takes no turn: pread() on the same open file, and any other open file. */
static __u64 read_others(const char *device, int fd, unsigned long n,
			 pid_t computing)
{
	const int other = open_device(device);
	const __u64 begun = now_us();
	char buf[ROOM];
	ssize_t got;

	(void)n;
	(void)computing;
	got = pread(fd, buf, sizeof(buf), LAST);
	if (got != (ssize_t)length[LAST] || memcmp(buf, table[LAST], length[LAST]))
		wrong("pread gave %zd", got);
	got = read(other, buf, sizeof(buf));
	if (got != (ssize_t)length[0] || memcmp(buf, table[0], length[0]))
		wrong("read of another open file gave %zd", got);
	if (lseek(other, 0, SEEK_CUR) != 1)
		wrong("lseek of another open file");
	close(other);
	return now_us() - begun;
}

/* While a process computes F(n) at the position of an open file. */
static int command_waiter(const char *device, unsigned long n,
			  __u64 (*meanwhile)(const char *, int, unsigned long,
					     pid_t))
{
	int fd = open_device(device), status;
	pid_t computing;
	__u64 took = 0;

	if (lseek(fd, (off_t)n, SEEK_SET) != (off_t)n)
		die("lseek");
	computing = start_reader(fd, (off_t)n, 1);
	await_holder(fd, computing);
	if (meanwhile)
		took = meanwhile(device, fd, n, computing);
	if (waitpid(computing, &status, WNOHANG))
		wrong("the other reader was done before: nobody waited");
	kill(computing, SIGKILL);
	waitpid(computing, &status, 0);
	if (lseek(fd, 0, SEEK_CUR) != (off_t)n)
		wrong("the position moved to %lld", (long long)lseek(fd, 0, SEEK_CUR));
	printf("ok: waiter us %llu\n", (unsigned long long)took);
	return 0;
}
