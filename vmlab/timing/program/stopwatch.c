// SPDX-License-Identifier: MIT
/*
 * Times an operation inside the guest, without Python or SSH in between:
 * pinned, memory locked, warmed up, in batches. Prints the raw cost of every
 * batch, and the cost of empty batches, which the reader subtracts.
 *
 *	stopwatch [-c COUNTER] [-b BATCHES] [-i ITERATIONS] [-w WARMUP]
 *		  [-p REQUEST:SIZE:OFFSET,...] OPERATION [ARGUMENT...]
 *
 * Counters: clock (CLOCK_MONOTONIC_RAW, ns), tsc (x86, ticks), and those of
 * perf_event_open(2): instructions and cycles, with :u or :k for user or
 * kernel only. Operations: see the table in operation.h. With -p, an ioctl after
 * each batch reads the parts of the last operation's cost from the device:
 * 64-bit values at these offsets of its structure.
 *
 * Output, one per line: `fact NAME VALUE...`, `null COST` for an empty batch,
 * `sample COST SWITCHES` for a batch of the operation, with the number of
 * involuntary context switches, `part VALUE...`, and `end`; without `end` the
 * output is truncated. Status: 0; 2 for wrong usage; 3 if the operation failed;
 * 4 if the counter is not available or does not count all the time.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <sched.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>
#if defined(__x86_64__)
#include <cpuid.h>
#endif

#include "counter.h"
#include "operation.h"

#define NULL_BATCHES	32
#define MOST_BATCHES	1000000
#define MOST_PARTS	8

static struct {
	unsigned long request, size, offset[MOST_PARTS];
	int count;
	unsigned char *answer;
} parts;

struct sample {
	uint64_t cost;
	long switches;
	uint64_t part[MOST_PARTS];
};

void fail(int status, const char *format, ...)
{
	va_list words;

	fflush(stdout);
	va_start(words, format);
	vfprintf(stderr, format, words);
	va_end(words);
	fputc('\n', stderr);
	exit(status);
}

static void parse_parts(char *text)
{
	char *word = strtok(text, ":");

	parts.request = word ? number(word, UINT32_MAX) : 0;
	word = strtok(NULL, ":");
	parts.size = word ? number(word, 1UL << 16) : 0;
	while ((word = strtok(NULL, ",")) && parts.count < MOST_PARTS) {
		parts.offset[parts.count] = number(word, 1UL << 16);
		if (parts.offset[parts.count++] + 8 > parts.size)
			fail(2, "a part is outside its structure");
	}
	if (!parts.count || word)
		fail(2, "-p must be REQUEST:SIZE:OFFSET,... with 1 to %d offsets",
		     MOST_PARTS);
	parts.answer = memory(parts.size);
}

static void ask_parts(struct sample *sample)
{
	int i;

	if (ioctl(fd, parts.request, parts.answer) < 0)
		fail(3, "ioctl 0x%lx for the parts: %s", parts.request,
		     strerror(errno));
	for (i = 0; i < parts.count; i++)
		memcpy(&sample->part[i], parts.answer + parts.offset[i], 8);
}

static long switches(void)
{
	struct rusage usage;

	getrusage(RUSAGE_SELF, &usage);
	return usage.ru_nivcsw;
}

static uint64_t batch(const struct operation *operation,
		      unsigned long iterations)
{
	void (*run)(void) = operation->run;
	uint64_t before = counter_read();
	unsigned long i;

	for (i = 0; i < iterations; i++)
		run();
	return counter_read() - before;
}

/*
 * The cost of an allocation depends on the allocator's state, which a batch
 * that frees all its memory does not change: all batches of a run would see one
 * state, and the next run another. A short-lived process changes the state.
 */
static void stir(void)
{
	pid_t child = fork();

	if (child < 0)
		fail(3, "fork: %s", strerror(errno));
	if (!child)
		_exit(0);
	if (waitpid(child, NULL, 0) < 0)
		fail(3, "waitpid: %s", strerror(errno));
}

/* Pin to the last allowed processor: the first serves most interrupts. */
static void pin(void)
{
	cpu_set_t may, last;
	int cpu;

	if (sched_getaffinity(0, sizeof(may), &may))
		fail(3, "sched_getaffinity: %s", strerror(errno));
	for (cpu = CPU_SETSIZE - 1; cpu > 0 && !CPU_ISSET(cpu, &may); cpu--)
		;
	CPU_ZERO(&last);
	CPU_SET(cpu, &last);
	if (sched_setaffinity(0, sizeof(last), &last))
		fail(3, "sched_setaffinity: %s", strerror(errno));
	printf("fact cpu %d\n", cpu);
}

/* CPUID leaves about the counters, as evidence for the proof. */
static void tell_processor(void)
{
#if defined(__x86_64__)
	unsigned int leaf, a, b, c, d;
	static const unsigned int leaves[] = { 0xa, 0x80000022 };

	for (leaf = 0; leaf < 2; leaf++)
		if (__get_cpuid_count(leaves[leaf], 0, &a, &b, &c, &d))
			printf("fact cpuid_%x eax=%x ebx=%x ecx=%x edx=%x\n",
			       leaves[leaf], a, b, c, d);
#endif
}

/* Steal ticks of all processors. */
static unsigned long stolen(void)
{
	unsigned long ticks = 0;
	FILE *stat = fopen("/proc/stat", "r");

	if (!stat)
		return 0;
	if (fscanf(stat, "cpu %*u %*u %*u %*u %*u %*u %*u %lu", &ticks) != 1)
		ticks = 0;
	fclose(stat);
	return ticks;
}

int main(int argc, char **argv)
{
	unsigned long batches = 100, iterations = 1, warmup = 10, i, steal;
	const struct operation nothing = operations[0], *operation;
	const char *counter = "clock";
	struct sample *taken;
	int option, part;

	while ((option = getopt(argc, argv, "+c:b:i:w:p:")) != -1) {
		if (option == 'c')
			counter = optarg;
		else if (option == 'b')
			batches = number(optarg, MOST_BATCHES);
		else if (option == 'i')
			iterations = number(optarg, 1000000000);
		else if (option == 'w')
			warmup = number(optarg, MOST_BATCHES);
		else if (option == 'p')
			parse_parts(optarg);
		else
			return 2;
	}
	if (!batches || !iterations)
		fail(2, "batches and iterations must be at least 1");
	operation = find_operation(argv + optind, argc - optind);
	if (parts.count && operation->run != run_pread &&
	    operation->run != run_read)
		fail(2, "-p needs a read or pread");

	pin();
	operation->prepare(argv + optind + 1);
	taken = memory(batches * sizeof(*taken));
	if (mlockall(MCL_CURRENT | MCL_FUTURE))
		printf("fact unlocked %s\n", strerror(errno));
	counter_open(counter, operation->run == run_command);
	tell_processor();
	steal = stolen();

	for (i = 0; i < NULL_BATCHES; i++)
		taken[0].cost = batch(&nothing, iterations);
	for (i = 0; i < NULL_BATCHES; i++)
		printf("null %llu\n",
		       (unsigned long long)batch(&nothing, iterations));
	for (i = 0; i < warmup; i++)
		batch(operation, iterations);
	for (i = 0; i < batches; i++) {
		long before;

		stir();
		batch(operation, iterations);
		before = switches();
		taken[i].cost = batch(operation, iterations);
		taken[i].switches = switches() - before;
		if (parts.count)
			ask_parts(&taken[i]);
	}
	printf("fact steal_ticks %lu\n", stolen() - steal);
	counter_require_whole();
	for (i = 0; i < batches; i++) {
		printf("sample %llu %ld\n", (unsigned long long)taken[i].cost,
		       taken[i].switches);
		for (part = 0; part < parts.count; part++)
			printf(part ? " %llu" : "part %llu",
			       (unsigned long long)taken[i].part[part]);
		if (parts.count)
			putchar('\n');
	}
	puts("end");
	return fflush(stdout) ? 3 : 0;
}
