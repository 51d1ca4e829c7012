/* SPDX-License-Identifier: MIT */
/* Counters: one is opened, then read before and after each batch. */
#ifndef COUNTER_H
#define COUNTER_H

#include <errno.h>
#include <linux/perf_event.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>
#if defined(__x86_64__)
#include <x86intrin.h>
#endif

void fail(int status, const char *format, ...)
	__attribute__((format(printf, 2, 3), noreturn));

enum counter_kind { COUNTER_CLOCK, COUNTER_TSC, COUNTER_PERF };

/* Layout of read(2) for PERF_FORMAT_TOTAL_TIME_ENABLED and _RUNNING. */
struct perf_reading {
	uint64_t value, enabled_ns, running_ns;
};

static enum counter_kind counter_kind;
static int counter_fd = -1;

static void counter_read_perf(struct perf_reading *reading)
{
	if (read(counter_fd, reading, sizeof(*reading)) != sizeof(*reading))
		fail(4, "counter: read: %s", strerror(errno));
}

static inline uint64_t counter_read(void)
{
	struct timespec now;
	struct perf_reading reading;

	switch (counter_kind) {
	case COUNTER_TSC:
#if defined(__x86_64__)
		/* The fences keep earlier and later loads in order. */
		_mm_lfence();
		reading.value = __rdtsc();
		_mm_lfence();
		return reading.value;
#endif
	case COUNTER_CLOCK:
		clock_gettime(CLOCK_MONOTONIC_RAW, &now);
		return now.tv_sec * 1000000000ULL + now.tv_nsec;
	default:
		counter_read_perf(&reading);
		return reading.value;
	}
}

static void counter_open_perf(const char *name, int with_children)
{
	struct perf_event_attr attr = {
		.type = PERF_TYPE_HARDWARE,
		.size = sizeof(attr),
		.exclude_hv = 1,
		.inherit = with_children != 0,
		.read_format = PERF_FORMAT_TOTAL_TIME_ENABLED |
			       PERF_FORMAT_TOTAL_TIME_RUNNING,
	};
	const char *colon = strchr(name, ':');
	size_t length = colon ? (size_t)(colon - name) : strlen(name);

	if (length == 12 && !strncmp(name, "instructions", length))
		attr.config = PERF_COUNT_HW_INSTRUCTIONS;
	else if (length == 6 && !strncmp(name, "cycles", length))
		attr.config = PERF_COUNT_HW_CPU_CYCLES;
	else
		fail(2, "unknown counter: %s", name);
	attr.exclude_kernel = colon && !strcmp(colon, ":u");
	attr.exclude_user = colon && !strcmp(colon, ":k");
	counter_fd = syscall(SYS_perf_event_open, &attr, 0, -1, -1,
			     PERF_FLAG_FD_CLOEXEC);
	if (counter_fd < 0)
		fail(4, "counter: perf_event_open of %s: errno %d: %s", name,
		     errno, strerror(errno));
	counter_kind = COUNTER_PERF;
}

static void counter_open(const char *name, int with_children)
{
	if (!strcmp(name, "clock")) {
		counter_kind = COUNTER_CLOCK;
	} else if (!strcmp(name, "tsc")) {
#if !defined(__x86_64__)
		fail(4, "counter: this processor has no time stamp counter");
#endif
		counter_kind = COUNTER_TSC;
	} else {
		counter_open_perf(name, with_children);
	}
}

/* A counter that shared its register with others is only an estimate. */
static void counter_require_whole(void)
{
	struct perf_reading reading;

	if (counter_kind != COUNTER_PERF)
		return;
	counter_read_perf(&reading);
	printf("fact enabled_running_ns %llu %llu\n",
	       (unsigned long long)reading.enabled_ns,
	       (unsigned long long)reading.running_ns);
	if (reading.running_ns < reading.enabled_ns)
		fail(4, "counter: multiplexed: it counted for %llu of %llu ns only",
		     (unsigned long long)reading.running_ns,
		     (unsigned long long)reading.enabled_ns);
}

#endif /* COUNTER_H */
