// SPDX-License-Identifier: MIT
/*
 * Tries each operation of perf_event_open(2) once and prints its name and errno, 0 when it was let through, a line each.
 * Before them comes `seccomp` and the process's seccomp mode.
 *
 *   perf_open [-s SCHED_SWITCH_ID] [-g GETPPID_ID] [-p PID] [-u UID] [-c] [-f ERRNO]
 *
 * -s, -g  ids of the tracepoints sched:sched_switch and syscalls:sys_enter_getppid, which only root can look up
 * -p      a process of another user, to count the user-space work of
 * -u      become this user first, without any capability
 * -c      with -u: keep CAP_PERFMON
 * -f      then let a seccomp filter answer perf_event_open with this errno, as container runtimes do
 */
#define _GNU_SOURCE
#include <errno.h>
#include <grp.h>
#include <linux/capability.h>
#include <linux/filter.h>
#include <linux/perf_event.h>
#include <linux/seccomp.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <unistd.h>

#ifndef CAP_PERFMON
#define CAP_PERFMON 38 /* since v5.8; the headers of Debian 11 may be older than its kernel */
#endif

static void give_up(const char *what)
{
	fprintf(stderr, "perf_open: %s: %s\n", what, strerror(errno));
	exit(1);
}

static void become(uid_t user, int keeps_perfmon)
{
	struct __user_cap_header_struct header = { .version = _LINUX_CAPABILITY_VERSION_3 };
	struct __user_cap_data_struct data[2] = { 0 };

	if (keeps_perfmon) {
		data[CAP_PERFMON / 32].effective = 1u << CAP_PERFMON % 32;
		data[CAP_PERFMON / 32].permitted = 1u << CAP_PERFMON % 32;
	}
	if (prctl(PR_SET_KEEPCAPS, 1, 0, 0, 0))
		give_up("cannot keep capabilities");
	if (setgroups(0, NULL) || setresgid(user, user, user) || setresuid(user, user, user))
		give_up("cannot become that user");
	if (syscall(SYS_capset, &header, data))
		give_up("cannot set the capabilities");
}

static void filter_out(int number)
{
	struct sock_filter code[] = {
		BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
		BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_perf_event_open, 0, 1),
		BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | (number & SECCOMP_RET_DATA)),
		BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
	};
	struct sock_fprog program = { .len = sizeof(code) / sizeof(code[0]), .filter = code };

	if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) || prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program))
		give_up("cannot install the filter");
}

static struct perf_event_attr event(unsigned int type, unsigned long long config)
{
	/* Each operation takes back of these what it is about, so that it meets one check and no other. */
	return (struct perf_event_attr){
		.type = type,
		.size = sizeof(struct perf_event_attr),
		.config = config,
		.disabled = 1,
		.exclude_kernel = 1,
		.exclude_hv = 1,
	};
}

static void try(const char *name, struct perf_event_attr attr, pid_t pid, int cpu)
{
	int fd = syscall(SYS_perf_event_open, &attr, pid, cpu, -1, PERF_FLAG_FD_CLOEXEC);

	printf("%s %d\n", name, fd < 0 ? errno : 0);
	if (fd >= 0)
		close(fd);
}

int main(int argc, char **argv)
{
	unsigned long long sched_switch = 0, getppid_enter = 0;
	int option, keeps_perfmon = 0, refusal = 0;
	long user = -1;
	pid_t other = 0;
	struct perf_event_attr attr;

	while ((option = getopt(argc, argv, "s:g:p:u:cf:")) != -1) {
		switch (option) {
		case 's': sched_switch = strtoull(optarg, NULL, 10); break;
		case 'g': getppid_enter = strtoull(optarg, NULL, 10); break;
		case 'p': other = strtol(optarg, NULL, 10); break;
		case 'u': user = strtol(optarg, NULL, 10); break;
		case 'c': keeps_perfmon = 1; break;
		case 'f': refusal = strtol(optarg, NULL, 10); break;
		default: return 2;
		}
	}
	if (user >= 0)
		become(user, keeps_perfmon);
	if (refusal)
		filter_out(refusal);

	printf("seccomp %d\n", prctl(PR_GET_SECCOMP));
	try("own-user", event(PERF_TYPE_SOFTWARE, PERF_COUNT_SW_TASK_CLOCK), 0, -1);
	try("own-page-faults", event(PERF_TYPE_SOFTWARE, PERF_COUNT_SW_PAGE_FAULTS), 0, -1);
	attr = event(PERF_TYPE_SOFTWARE, PERF_COUNT_SW_TASK_CLOCK);
	attr.exclude_kernel = 0;
	try("kernel", attr, 0, -1);
	try("system-wide", event(PERF_TYPE_SOFTWARE, PERF_COUNT_SW_CPU_CLOCK), -1, 0);
	if (other)
		try("other-user", event(PERF_TYPE_SOFTWARE, PERF_COUNT_SW_TASK_CLOCK), other, -1);
	if (sched_switch) {
		attr = event(PERF_TYPE_TRACEPOINT, sched_switch);
		try("tracepoint-count", attr, 0, -1);
		attr.sample_type = PERF_SAMPLE_RAW;
		attr.sample_period = 1;
		try("tracepoint-raw", attr, 0, -1);
	}
	if (getppid_enter) {
		attr = event(PERF_TYPE_TRACEPOINT, getppid_enter);
		attr.sample_type = PERF_SAMPLE_RAW;
		attr.sample_period = 1;
		try("syscall-raw", attr, 0, -1);
	}
	try("hardware", event(PERF_TYPE_HARDWARE, PERF_COUNT_HW_INSTRUCTIONS), 0, -1);
	return 0;
}
