// SPDX-License-Identifier: MIT
/*
 * Times an operation inside the guest, far from Python and SSH: pinned, its
 * memory locked, warmed up, in batches. Prints what every batch cost, raw, and
 * what a batch of nothing costs, for the reader to take off.
 *
 *	stopwatch [-c COUNTER] [-b BATCHES] [-i ITERATIONS] [-w WARMUP]
 *		  [-p REQUEST:SIZE:OFFSET,...] OPERATION [ARGUMENT...]
 *
 * Counters: clock (CLOCK_MONOTONIC_RAW, ns), tsc (x86, ticks), and those of
 * perf_event_open(2): instructions and cycles, with :u or :k for user or
 * kernel alone. Operations: see the table in operation.h. With -p, an ioctl after
 * each batch asks the device for the parts of what the last operation cost:
 * 64-bit values at these offsets of its structure.
 *
 * Output, a line each: `fact NAME VALUE...`, `null COST` for a batch of
 * nothing, `sample COST SWITCHES` for one of the operation, with how often the
 * scheduler took the processor away, `part VALUE...`, and `end`, without which
 * it was cut short. Status: 0; 2 for bad usage; 3 when the operation failed,
 * 4 when the counter cannot be had or does not count all the time.
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
			fail(2, "a part lies outside its structure");
	}
	if (!parts.count || word)
		fail(2, "parts are REQUEST:SIZE:OFFSET,... with 1 to %d offsets",
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
 * What an allocation costs depends on where the allocator stands, and a batch
 * that gives back all it took leaves it there: without this, all batches of a
 * run see one of several states, which is another in the next run. A process
 * that comes and goes moves it on.
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

/* The last one it may use: the first serves most interrupts. */
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

/* What the processor itself says of its counters, to stand beside the proof. */
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

/* Ticks that the hypervisor gave to others, of all processors. */
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
		fail(2, "nothing to time: batches and iterations are 1 at least");
	operation = find_operation(argv + optind, argc - optind);
	if (parts.count && operation->run != run_pread &&
	    operation->run != run_read)
		fail(2, "only a read has parts");

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
