/* SPDX-License-Identifier: GPL-2.0-only OR MIT */
/*
 * The edge cases of "fibprobe errno": a part of fibprobe.c, in a file of its
 * own for its length. Each case runs on a file opened for itself, in the
 * default format set to decimal, at position 5, where the record is "5\n"; a
 * read with an offset begins there instead.
 */
#define CASE_POSITION 5

/* A record of some pages, newline included. */
#define LARGE_INDEX 100000
#define LARGE_BYTES 20900

/*
 * A hint for mmap(). The VFS refuses a read() whose buffer and count pass the
 * end of the user addresses before any driver sees it, and of its own mmap()
 * goes closer to that end than 2 GiB on arm64.
 */
#define LOW_ADDRESS ((void *)(1ULL << 36))

enum buffer_kind {
	GOOD,			/* two mapped pages, filled with a pattern */
	UNMAPPED,		/* an address that was just unmapped */
	READ_ONLY,		/* mapped without PROT_WRITE */
	HALF_MAPPED,		/* one page, followed by none */
	LARGE,			/* as long as the large record */
	KERNEL,			/* beyond any user address */
};

static unsigned char *make_buffer(enum buffer_kind kind, size_t *page)
{
	static unsigned char large[LARGE_BYTES];
	unsigned char *buf;

	*page = (size_t)sysconf(_SC_PAGESIZE);
	if (kind == LARGE)
		return large;
	if (kind == KERNEL)
		return (unsigned char *)(UINTPTR_MAX - 4 * *page + 1);
	buf = mmap(LOW_ADDRESS, 2 * *page, PROT_READ | PROT_WRITE,
		   MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	if (buf == MAP_FAILED)
		die("mmap");
	memset(buf, 0xee, 2 * *page);
	if (kind == UNMAPPED)
		munmap(buf, 2 * *page);
	else if (kind == READ_ONLY)
		mprotect(buf, 2 * *page, PROT_READ);
	else if (kind == HALF_MAPPED)
		munmap(buf + *page, *page);
	return buf;
}

enum operation { READ, PREAD, LSEEK, IOCTL, WRITE, POLL, OPEN_WRITE };

/* Cut to 32 bits, or taken as signed, each of these would be an index. */
#define INDEX_31	((1LL << 31) + 7)
#define INDEX_32	((1LL << 32) + 7)
#define INDEX_61	((1LL << 61) - 2)
#define INDEX_63	LLONG_MAX
/* An offset that counts from the end; no other case is anywhere near. */
#define END(distance)	(LLONG_MIN + 1000 + (distance))

static struct fibdrv_size size_flags = { .index = 1, .flags = 1 };
static struct fibdrv_size size_reserved = { .index = 1, .reserved = 1 };
static struct fibdrv_size size_31 = { .index = INDEX_31 };
static struct fibdrv_size size_32 = { .index = INDEX_32 };
static struct fibdrv_size size_61 = { .index = INDEX_61 };
static struct fibdrv_size size_63 = { .index = 1ULL << 63 };
static struct fibdrv_size size_63_7 = { .index = (1ULL << 63) + 7 };
static struct fibdrv_size size_64 = { .index = ~0ULL };
static struct fibdrv_format format_bad = { .format = 3 };
static struct fibdrv_format format_flags = { .flags = 1 };

static const struct edge_case {
	const char *name;
	enum operation operation;
	long long offset;			/* or the ioctl request */
	size_t count;
	enum buffer_kind buffer;
	int argument;			/* whence, or flags of open */
	void *pointer;			/* of an ioctl */
} cases[] = {
	{ "read", READ, .count = 64 },
	{ "read-nonblock", READ, .count = 64, .argument = O_NONBLOCK },
	{ "read-count-0", READ, .count = 0 },
	{ "read-count-0-unmapped", READ, .count = 0, .buffer = UNMAPPED },
	{ "read-count-1", READ, .count = 1 },
	{ "read-count-exact", READ, .count = 2 },
	{ "read-count-2g", READ, .count = 0x7ffff000 },
	{ "read-count-ssize-max", READ, .count = LLONG_MAX },
	{ "read-count-size-max", READ, .count = SIZE_MAX },
	{ "read-half-mapped", READ, .count = 64, .buffer = HALF_MAPPED },
	{ "read-large-half-mapped", READ, .offset = LARGE_INDEX, .count = 1 << 20,
	  .buffer = HALF_MAPPED },
	{ "read-unmapped", READ, .count = 64, .buffer = UNMAPPED },
	{ "read-readonly", READ, .count = 64, .buffer = READ_ONLY },
	{ "read-kernel", READ, .count = 64, .buffer = KERNEL },
	{ "pread", PREAD, .offset = 7, .count = 64 },
	{ "pread-count-0", PREAD, .offset = 7, .count = 0 },
	{ "pread-count-1", PREAD, .offset = 7, .count = 1 },
	{ "pread-unmapped", PREAD, .offset = 7, .count = 64, .buffer = UNMAPPED },
	{ "pread-readonly", PREAD, .offset = 7, .count = 64, .buffer = READ_ONLY },
	{ "pread-kernel", PREAD, .offset = 7, .count = 64, .buffer = KERNEL },
	{ "pread-half-mapped", PREAD, .offset = LARGE_INDEX, .count = 1 << 20,
	  .buffer = HALF_MAPPED },
	{ "pread-large-short", PREAD, .offset = LARGE_INDEX, .count = LARGE_BYTES - 1,
	  .buffer = LARGE },
	{ "pread-large-exact", PREAD, .offset = LARGE_INDEX, .count = LARGE_BYTES,
	  .buffer = LARGE },
	{ "pread-negative", PREAD, .offset = -1, .count = 64 },
	{ "pread-end", PREAD, .offset = END(0), .count = 64 },
	{ "pread-past-end", PREAD, .offset = END(1), .count = 64 },
	{ "pread-2^31+7", PREAD, .offset = INDEX_31, .count = 64 },
	{ "pread-2^32+7", PREAD, .offset = INDEX_32, .count = 64 },
	{ "pread-2^61-2", PREAD, .offset = INDEX_61, .count = 64 },
	{ "pread-2^63-1", PREAD, .offset = INDEX_63, .count = 64 },
	{ "pread-2^63-1-count-0", PREAD, .offset = INDEX_63, .count = 0 },
	{ "lseek-set-0", LSEEK, .offset = 0, .argument = SEEK_SET },
	{ "lseek-set-end", LSEEK, .offset = END(0), .argument = SEEK_SET },
	{ "lseek-set-past-end", LSEEK, .offset = END(1), .argument = SEEK_SET },
	{ "lseek-set-negative", LSEEK, .offset = -1, .argument = SEEK_SET },
	{ "lseek-set-2^31+7", LSEEK, .offset = INDEX_31, .argument = SEEK_SET },
	{ "lseek-set-2^32+7", LSEEK, .offset = INDEX_32, .argument = SEEK_SET },
	{ "lseek-set-2^61-2", LSEEK, .offset = INDEX_61, .argument = SEEK_SET },
	{ "lseek-set-2^63-1", LSEEK, .offset = INDEX_63, .argument = SEEK_SET },
	{ "lseek-cur-0", LSEEK, .offset = 0, .argument = SEEK_CUR },
	{ "lseek-cur-1", LSEEK, .offset = 1, .argument = SEEK_CUR },
	{ "lseek-cur-back", LSEEK, .offset = -CASE_POSITION, .argument = SEEK_CUR },
	{ "lseek-cur-below-0", LSEEK, .offset = -CASE_POSITION - 1, .argument = SEEK_CUR },
	{ "lseek-cur-2^31+7", LSEEK, .offset = INDEX_31, .argument = SEEK_CUR },
	{ "lseek-cur-2^32+7", LSEEK, .offset = INDEX_32, .argument = SEEK_CUR },
	{ "lseek-cur-back-2^32", LSEEK, .offset = 7 - (1LL << 32), .argument = SEEK_CUR },
	{ "lseek-cur-2^63-1", LSEEK, .offset = INDEX_63, .argument = SEEK_CUR },
	{ "lseek-end-0", LSEEK, .offset = 0, .argument = SEEK_END },
	{ "lseek-end-back", LSEEK, .offset = -1, .argument = SEEK_END },
	{ "lseek-end-past", LSEEK, .offset = 1, .argument = SEEK_END },
	{ "lseek-end-back-2^32", LSEEK, .offset = -(1LL << 32) - 7, .argument = SEEK_END },
	{ "lseek-end-2^63-1", LSEEK, .offset = INDEX_63, .argument = SEEK_END },
	{ "lseek-data", LSEEK, .offset = 0, .argument = SEEK_DATA },
	{ "lseek-hole", LSEEK, .offset = 0, .argument = SEEK_HOLE },
	{ "lseek-whence-99", LSEEK, .offset = 0, .argument = 99 },
	{ "ioctl-unknown", IOCTL, .offset = _IO(FIBDRV_IOC_MAGIC, 99) },
	{ "ioctl-other-magic", IOCTL, .offset = _IOR('T', 3, struct fibdrv_stats) },
	{ "ioctl-other-size", IOCTL, .offset = _IOW(FIBDRV_IOC_MAGIC, 2, __u32) },
	{ "ioctl-size-null", IOCTL, .offset = FIBDRV_IOC_SIZE },
	{ "ioctl-format-null", IOCTL, .offset = FIBDRV_IOC_FORMAT },
	{ "ioctl-stats-null", IOCTL, .offset = FIBDRV_IOC_STATS },
	{ "ioctl-format-bad", IOCTL, .offset = FIBDRV_IOC_FORMAT, .pointer = &format_bad },
	{ "ioctl-format-flags", IOCTL, .offset = FIBDRV_IOC_FORMAT, .pointer = &format_flags },
	{ "ioctl-size-flags", IOCTL, .offset = FIBDRV_IOC_SIZE, .pointer = &size_flags },
	{ "ioctl-size-reserved", IOCTL, .offset = FIBDRV_IOC_SIZE, .pointer = &size_reserved },
	{ "ioctl-size-2^31+7", IOCTL, .offset = FIBDRV_IOC_SIZE, .pointer = &size_31 },
	{ "ioctl-size-2^32+7", IOCTL, .offset = FIBDRV_IOC_SIZE, .pointer = &size_32 },
	{ "ioctl-size-2^61-2", IOCTL, .offset = FIBDRV_IOC_SIZE, .pointer = &size_61 },
	{ "ioctl-size-2^63", IOCTL, .offset = FIBDRV_IOC_SIZE, .pointer = &size_63 },
	{ "ioctl-size-2^63+7", IOCTL, .offset = FIBDRV_IOC_SIZE, .pointer = &size_63_7 },
	{ "ioctl-size-2^64-1", IOCTL, .offset = FIBDRV_IOC_SIZE, .pointer = &size_64 },
	{ "write-readonly-file", WRITE, .count = 9, .argument = O_RDONLY },
	{ "write", WRITE, .count = 9, .argument = O_RDWR },
	{ "write-count-0", WRITE, .count = 0, .argument = O_RDWR },
	{ "write-unmapped", WRITE, .count = 9, .argument = O_RDWR, .buffer = UNMAPPED },
	{ "open-write", OPEN_WRITE, .argument = O_WRONLY },
	{ "poll", POLL, .count = 0 },
};

#define CASE_COUNT (sizeof(cases) / sizeof(*cases))

static long long run_operation(const struct edge_case *c, int fd, long long end,
			       unsigned char *buf)
{
	struct pollfd poll_fd = { .fd = fd, .events = POLLIN | POLLOUT };
	long long offset = c->offset;

	/* Only END() makes offsets this low. */
	if (c->operation != IOCTL && offset < LLONG_MIN + 2000)
		offset = end + (offset - END(0));
	switch (c->operation) {
	case READ:
		return read(fd, buf, c->count);
	case PREAD:
		return pread(fd, buf, c->count, offset);
	case LSEEK:
		return lseek(fd, offset, c->argument);
	case IOCTL:
		return ioctl(fd, (unsigned long)c->offset, c->pointer);
	case WRITE:
		return write(fd, buf, c->count);
	case POLL:
		return poll(&poll_fd, 1, 0) < 0 ? -1 : poll_fd.revents;
	case OPEN_WRITE:
		return 0;
	}
	return -1;
}

static void run_case(const char *device, const struct edge_case *c)
{
	struct fibdrv_format decimal = { .format = FIBDRV_FORMAT_DECIMAL };
	const int flags = c->operation == LSEEK ? O_RDONLY : c->argument;
	const long long start = c->operation == READ && c->offset ? c->offset :
								    CASE_POSITION;
	size_t page, i, touched = 0;
	unsigned char *buf;
	long long before, after, result;
	long long end;
	int error;
	int fd = open(device, flags | O_CLOEXEC);

	if (fd < 0) {
		printf("%s\topen:%s\t-\t-\n", c->name, error_name(errno));
		return;
	}
	end = lseek(fd, 0, SEEK_END);
	if (ioctl(fd, FIBDRV_IOC_FORMAT, &decimal) ||
	    lseek(fd, start, SEEK_SET) != start)
		die(c->name);
	buf = make_buffer(c->buffer, &page);

	before = lseek(fd, 0, SEEK_CUR);
	result = run_operation(c, fd, end, buf);
	error = errno;
	after = lseek(fd, 0, SEEK_CUR);

	/* A call that failed for any reason but the buffer must not write it. */
	if (c->buffer == GOOD)
		for (i = 0; i < 2 * page; i++)
			touched += buf[i] != 0xee;
	if (result < 0)
		printf("%s\t%s%s", c->name, error_name(error),
		       touched ? "+TOUCHED" : "");
	else
		printf("%s\t%lld", c->name, result);
	printf("\t%lld\t%lld\n", before, after);
	if (c->buffer == GOOD || c->buffer == READ_ONLY)
		munmap(buf, 2 * page);
	else if (c->buffer == HALF_MAPPED)
		munmap(buf, page);
	close(fd);
}

/* Runs one case, or "all"; says whether there is such a case. */
static int run_cases(const char *device, const char *name)
{
	int found = 0;
	size_t i;

	for (i = 0; i < CASE_COUNT; i++) {
		if (strcmp(name, "all") && strcmp(name, cases[i].name))
			continue;
		found = 1;
		run_case(device, &cases[i]);
	}
	return found;
}

static void print_case_names(void)
{
	size_t i;

	for (i = 0; i < CASE_COUNT; i++)
		puts(cases[i].name);
}
