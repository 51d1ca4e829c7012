/* SPDX-License-Identifier: MIT */
/*
 * What perf_open.c needs of the interface of perf_event_open(2), written after its manual page: a program must compile
 * in a root file system without linux/perf_event.h, too. The structure is the first published one, of 64 bytes
 * (PERF_ATTR_SIZE_VER0), which every kernel takes.
 */
#ifndef PERF_EVENT_ABI_H
#define PERF_EVENT_ABI_H

#include <stdint.h>

enum {
	PERF_TYPE_HARDWARE = 0,
	PERF_TYPE_SOFTWARE = 1,
	PERF_TYPE_TRACEPOINT = 2,
};

enum {
	PERF_COUNT_HW_INSTRUCTIONS = 1,
	PERF_COUNT_SW_CPU_CLOCK = 0,
	PERF_COUNT_SW_TASK_CLOCK = 1,
	PERF_COUNT_SW_PAGE_FAULTS = 2,
};

#define PERF_SAMPLE_RAW (1u << 10)
#define PERF_FLAG_FD_CLOEXEC (1ul << 3)

struct perf_event_attr {
	uint32_t type;
	uint32_t size;
	uint64_t config;
	uint64_t sample_period;
	uint64_t sample_type;
	uint64_t read_format;
	uint64_t disabled : 1,
		 inherit : 1,
		 pinned : 1,
		 exclusive : 1,
		 exclude_user : 1,
		 exclude_kernel : 1,
		 exclude_hv : 1,
		 unused : 57;
	uint32_t wakeup_events;
	uint32_t bp_type;
	uint64_t bp_addr;
};

_Static_assert(sizeof(struct perf_event_attr) == 64, "the size that PERF_ATTR_SIZE_VER0 says");

#endif
