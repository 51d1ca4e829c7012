// SPDX-License-Identifier: MIT
/*
 * A process to be looked at: prints its pid and the id of its second thread, and both work in user space a fifth of the
 * time, each in a function of its own, until it is killed or ten minutes are over; SIGUSR1 ends the second thread alone.
 * With the argument `zombie` it prints its own pid and that of a child that has ended and is not waited for.
 */
#define _GNU_SOURCE
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

static long second;
static pthread_barrier_t started;
static volatile sig_atomic_t is_over;

/* Under emulation a guest whose processors are both busy takes long over everything else. */
#define WORK_A_FIFTH_UNTIL(condition)                                   \
	while (!(condition)) {                                          \
		for (volatile unsigned long work = 0; work < 500000; work++) \
			;                                               \
		usleep(8000);                                           \
	}

__attribute__((noinline)) static void spin_first(void)
{
	WORK_A_FIFTH_UNTIL(0)
}

__attribute__((noinline)) static void spin_second(void)
{
	WORK_A_FIFTH_UNTIL(is_over)
}

static void end_second(int unused)
{
	(void)unused;
	is_over = 1;
}

static void *run_second(void *unused)
{
	second = syscall(SYS_gettid);
	pthread_barrier_wait(&started);
	spin_second();
	return unused;
}

int main(int argc, char **argv)
{
	pthread_t thread;

	alarm(600); /* never outlives its test by much */
	if (argc > 1 && !strcmp(argv[1], "zombie")) {
		pid_t child = fork();
		siginfo_t info;

		if (!child)
			_exit(0);
		waitid(P_PID, child, &info, WEXITED | WNOWAIT);
		printf("%d %d\n", getpid(), child);
		fflush(stdout);
		for (;;)
			pause();
	}
	signal(SIGUSR1, end_second);
	pthread_barrier_init(&started, NULL, 2);
	pthread_create(&thread, NULL, run_second, NULL);
	pthread_barrier_wait(&started);
	printf("%d %ld\n", getpid(), second);
	fflush(stdout);
	spin_first();
}
