// SPDX-License-Identifier: GPL-2.0-only OR MIT
/*
 * Fuzzes the read path, fibdrv_main.c itself, with the kernel faked around it:
 * the input is calls on one open file, by read, pread, lseek and poll, with
 * buffers that are too short or partly unmapped, killed waits, allocations that
 * fail, and tasks that are killed or frozen in the midst. Each must give what
 * ../README.md says, and leave the position where it says.
 */
#include "fuzz.h"
#include "port_user.h"
#include "../fibdrv_main.c"

#define MAX_N		700
#define LIMBS		(MAX_N / 64 + 2)
#define RECORD_MAX	512

unsigned long max_n = MAX_N;
unsigned int keep_kib = 64;
unsigned int keep_total_kib = 64;
u32 default_format = FIBDRV_FORMAT_DECIMAL;
const char * const format_names[FORMAT_COUNT] = { "decimal", "hex", "binary" };

int check_parameters(void)
{
	return 0;
}

static u64 value[MAX_N + 1][LIMBS];

/* What the call at hand is to meet with. */
static struct {
	bool wait_is_killed;
	bool may_stop;			/* a poll will tell the task to give up */
	bool frozen;			/* and why: else it is killed */
	size_t mapped;			/* bytes of the buffer that are there */
	char bytes[RECORD_MAX];
	size_t copied;
} user;

int mutex_lock_killable(struct mutex *mutex)
{
	FUZZ_DEMAND(!mutex->held);
	if (user.wait_is_killed)
		return -EINTR;
	mutex->held = 1;
	return 0;
}

int mutex_trylock(struct mutex *mutex)
{
	return !mutex_lock_killable(mutex);
}

void mutex_unlock(struct mutex *mutex)
{
	FUZZ_DEMAND(mutex->held);
	mutex->held = 0;
}

bool signal_pending(void *task)
{
	return user.may_stop && !port_faults.interrupt;
}

bool fatal_signal_pending(void *task)
{
	return signal_pending(task) && !user.frozen;
}

unsigned long copy_to_user(void *to, const void *from, unsigned long count)
{
	size_t at = (size_t)((char *)to - user.bytes);
	size_t room = at < user.mapped ? user.mapped - at : 0;
	size_t part = count < room ? count : room;

	FUZZ_DEMAND(at + count <= RECORD_MAX);
	memcpy(to, from, part);
	user.copied = at + part;
	return count - part;
}

unsigned long copy_from_user(void *to, const void *from, unsigned long count)
{
	return count;
}

static void fill_values(void)
{
	size_t n, i;

	value[1][0] = 1;
	for (n = 2; n <= MAX_N; n++) {
		__uint128_t sum = 0;

		for (i = 0; i < LIMBS; i++) {
			sum += (__uint128_t)value[n - 1][i] + value[n - 2][i];
			value[n][i] = (u64)sum;
			sum >>= 64;
		}
	}
}

/* The record of F(n), by division as at school; gives its length. */
static size_t expect(char *record, u64 n, u32 format)
{
	const unsigned int base = format == FIBDRV_FORMAT_DECIMAL ? 10 :
				  format == FIBDRV_FORMAT_HEX ? 16 : 256;
	char reversed[RECORD_MAX];
	size_t length = 0, i;
	u64 rest[LIMBS];
	bool more;

	memcpy(rest, value[n], sizeof(rest));
	do {
		__uint128_t part = 0;

		more = false;
		for (i = LIMBS; i--;) {
			part = part << 64 | rest[i];
			rest[i] = (u64)(part / base);
			part %= base;
			more |= rest[i];
		}
		reversed[length++] = base == 256 ? (char)part :
				     "0123456789abcdef"[(size_t)part];
	} while (more);
	for (i = 0; i < length; i++)
		record[i] = base == 256 ? reversed[i] : reversed[length - 1 - i];
	if (base != 256)
		record[length++] = '\n';
	return length;
}

/* An index: mostly of a number, sometimes anything that pread() passes on. */
static u64 take_index(struct fuzz_input *in)
{
	u64 n = fuzz_take(in, 2);

	if (n & 0x8000)
		return fuzz_take(in, 8) & 0x7fffffffffffffffULL;
	return n % (MAX_N + 3);
}

static void check_read(struct file *file, struct fuzz_input *in, u32 how)
{
	struct fibdrv_file *ff = file->private_data;
	const struct fibdrv_stats before = ff->stats;
	const bool positioned = how & 1;
	const loff_t start = ff->position;
	const int wakes = ff->position_free.wakes;
	loff_t offset = (loff_t)take_index(in), at_position = AT_POSITION;
	const u64 n = positioned ? (u64)offset : (u64)start;
	const size_t count = fuzz_take(in, 2) % (RECORD_MAX + 1);
	char record[RECORD_MAX];
	bool stopped;
	size_t size = 0;
	ssize_t got;

	user.mapped = how & 2 ? fuzz_take(in, 2) % RECORD_MAX : RECORD_MAX;
	user.wait_is_killed = (how & 12) == 12;
	user.copied = 0;
	file->f_flags = how & 16 ? O_NONBLOCK : 0;
	port_faults.fail_alloc = how & 32 ? 1 + fuzz_take(in, 1) % 6 : 0;
	port_faults.interrupt = how & 64 ? 1 + fuzz_take(in, 1) % 4 : 0;
	port_faults.failed = false;
	user.may_stop = port_faults.interrupt;
	user.frozen = how & 128;
	memset(user.bytes, 0x5a, sizeof(user.bytes));

	got = fibdrv_read(file, user.bytes, count,
			  positioned ? &offset : &at_position);
	stopped = signal_pending(current);
	port_faults.fail_alloc = 0;
	port_faults.interrupt = 0;
	FUZZ_DEMAND(!ff->position_lock.held && !ff->stats_lock.held);
	FUZZ_DEMAND(at_position == AT_POSITION && file->f_pos == AT_POSITION);
	/* Whoever waits for the lock in poll() is woken when it is free. */
	FUZZ_DEMAND(ff->position_free.wakes ==
		    wakes + !(positioned || user.wait_is_killed));

	if (!positioned && user.wait_is_killed) {
		FUZZ_DEMAND(got == (how & 16 ? -EAGAIN : -EINTR));
	} else if (n > MAX_N || !count) {
		FUZZ_DEMAND(got == 0);
	} else {
		size = expect(record, n, ff->format);
		if (count < size)
			FUZZ_DEMAND(got == -ERANGE);
		else if (got == -ENOMEM)
			FUZZ_DEMAND(port_faults.failed);
		else if (got == -EINTR || got == -ERESTARTNOINTR)
			FUZZ_DEMAND(stopped &&
				    user.frozen == (got != -EINTR));
		else if (user.mapped < size)
			FUZZ_DEMAND(got == -EFAULT);
		else
			FUZZ_DEMAND(got == (ssize_t)size);
	}

	/* Nothing is copied before a failure but what a bad buffer takes. */
	if (got <= 0) {
		FUZZ_DEMAND(!user.copied || got == -EFAULT || stopped);
		FUZZ_DEMAND(!memcmp(&before, &ff->stats, sizeof(before)));
		FUZZ_DEMAND(ff->position == start);
		FUZZ_DEMAND(!positioned || offset == (loff_t)n);
		return;
	}
	FUZZ_DEMAND(user.copied == size && !memcmp(user.bytes, record, size));
	FUZZ_DEMAND(size == RECORD_MAX || user.bytes[size] == 0x5a);
	FUZZ_DEMAND(ff->position == (positioned ? start : start + 1));
	FUZZ_DEMAND(!positioned || offset == (loff_t)n + 1);
	FUZZ_DEMAND(ff->stats.index == n && ff->stats.bytes == size);
}

static void check_seek(struct file *file, struct fuzz_input *in, u32 how)
{
	struct fibdrv_file *ff = file->private_data;
	const loff_t start = ff->position;
	const int whence = (int)fuzz_take(in, 1) % 6 - 1;
	loff_t offset = (loff_t)fuzz_take(in, how & 1 ? 8 : 2);
	__int128 wanted = offset;
	loff_t got;

	if (!(how & 1))
		offset -= 0x8000;
	wanted = offset;
	if (whence == SEEK_CUR)
		wanted += start;
	else if (whence == SEEK_END)
		wanted += MAX_N + 1;
	user.wait_is_killed = (how & 12) == 12;
	file->f_flags = how & 16 ? O_NONBLOCK : 0;
	got = fibdrv_llseek(file, offset, whence);
	if (user.wait_is_killed)
		FUZZ_DEMAND(got == (how & 16 ? -EAGAIN : -EINTR));
	else if (whence < SEEK_SET || whence > SEEK_END || wanted < 0 ||
		 wanted > MAX_N + 1)
		FUZZ_DEMAND(got == -EINVAL);
	else
		FUZZ_DEMAND(got == (loff_t)wanted);
	FUZZ_DEMAND(ff->position == (got < 0 ? start : got));
}

int fuzz_one(const unsigned char *data, size_t size)
{
	struct fuzz_input in = { data, size };
	struct file file = { .f_flags = 0 };
	struct fibdrv_file *ff;

	if (!value[1][0])
		fill_values();
	keep_kib = fuzz_take(&in, 1) & 1 ? 64 : 0;
	FUZZ_DEMAND(!fibdrv_open(NULL, &file));
	ff = file.private_data;
	while (in.size) {
		const u32 call = (u32)fuzz_take(&in, 1), how = (u32)fuzz_take(&in, 1);

		if (call % 8 == 0)
			ff->format = how % FORMAT_COUNT;
		else if (call % 8 == 1)
			check_seek(&file, &in, how);
		else
			check_read(&file, &in, how);
		FUZZ_DEMAND(fibdrv_poll(&file, NULL) & EPOLLIN);
	}
	fibdrv_release(NULL, &file);
	FUZZ_DEMAND(!port_faults.allocated);
	return 0;
}
