/* SPDX-License-Identifier: GPL-2.0-only OR MIT */
/* Calls with arguments of all kinds; a part of fibstress.c. */

/* What may be answered, beside success. */
static int is_documented(int error)
{
	return error == EINVAL || error == EFAULT || error == ERANGE ||
	       error == ENOTTY || error == EBADF || error == EAGAIN ||
	       error == ENOMEM;
}

#define GOOD_BYTES (64 * 1024)

/* Places for a buffer: one that is good, and the others. */
struct places {
	unsigned char *good;
	void *bad[5];
};

static struct places make_places(void)
{
	const size_t page = (size_t)sysconf(_SC_PAGESIZE);
	const int private = MAP_PRIVATE | MAP_ANONYMOUS;
	struct places p;
	unsigned char *map;

	p.good = malloc(GOOD_BYTES);
	map = mmap(NULL, 4 * page, PROT_READ | PROT_WRITE, private, -1, 0);
	if (!p.good || map == MAP_FAILED)
		die("mmap");
	mprotect(map, page, PROT_READ);
	munmap(map + 2 * page, page);
	p.bad[0] = NULL;
	p.bad[1] = map;				/* cannot be written */
	p.bad[2] = map + 2 * page - 7;		/* ends after seven bytes */
	p.bad[3] = map + 2 * page;		/* is not there */
	p.bad[4] = (void *)(UINTPTR_MAX - page);	/* the kernel's */
	return p;
}

static void *any_place(struct worker *w, const struct places *p)
{
	return below(w, 2) ? p->good : p->bad[below(w, 5)];
}

static size_t any_count(struct worker *w, const void *place,
			const struct places *p)
{
	static const size_t counts[] = { 0, 1, 2, 7, 8, 64, 4095, 4096,
					 0x7ffff000, SSIZE_MAX, SIZE_MAX };
	/* No count beyond the good place's end would be a fault: it is heap. */
	if (place == p->good)
		return below(w, GOOD_BYTES + 1);
	return counts[below(w, sizeof(counts) / sizeof(*counts))];
}

static off_t any_offset(struct worker *w)
{
	static const off_t offsets[] = { -1, INT64_MIN, INT64_MAX,
					 (1LL << 61) - 2, 1LL << 61, 1LL << 62,
					 20000, 20001, 20002 };
	switch (below(w, 8)) {
	case 0:
		return offsets[below(w, sizeof(offsets) / sizeof(*offsets))];
	case 1:
		return (off_t)next_random(w);
	case 2:
		return (off_t)below(w, 20002);
	default:
		return (off_t)below(w, 500);
	}
}

static unsigned long any_request(struct worker *w)
{
	static const unsigned long known[] = { FIBDRV_IOC_SIZE,
					       FIBDRV_IOC_FORMAT,
					       FIBDRV_IOC_STATS };
	unsigned long request = known[below(w, 3)];

	switch (below(w, 4)) {
	case 0:
		return request ^ 1UL << below(w, 32);
	case 1:
		return next_random(w) & 0xffffffff;
	default:
		return request;
	}
}

static int fuzz_ioctl(struct worker *w, struct places *p)
{
	unsigned long request = any_request(w);
	__u32 *word = (__u32 *)p->good;
	unsigned int i;

	/* These are the kernel's, for any file: they would change it. */
	if ((request >> 8 & 0xff) != FIBDRV_IOC_MAGIC)
		request = (request & ~0xff00UL) | 0xfa00;
	for (i = 0; i < 16; i++)
		word[i] = below(w, 2) ? 0 : (__u32)below(w, 4);
	if (!below(w, 4))
		word[below(w, 16)] = (__u32)next_random(w);
	return ioctl(w->fd, request, any_place(w, p));
}

static ssize_t fuzz_read(struct worker *w, struct places *p)
{
	void *place = any_place(w, p);
	size_t count = any_count(w, place, p);
	ssize_t got = below(w, 2) ? read(w->fd, place, count) :
				    pread(w->fd, place, count, any_offset(w));

	if (got > 0 && (size_t)got > count)
		wrong("read of %zu gave %zd", count, got);
	/* 64 bytes fit any place but two, and the record may be shorter. */
	if (got > 7 && place != p->good)
		wrong("read of %zu into a bad place gave %zd", count, got);
	return got;
}

static void *fuzz(void *argument)
{
	struct worker *w = argument;
	struct places p = make_places();
	const int own = open_device(w->device);
	unsigned long i;

	for (i = 0; i < w->rounds; i++) {
		size_t n = below(w, LAST + 1);
		long long got = 0;

		errno = 0;
		switch (below(w, 8)) {
		case 0:
		case 1:
			got = fuzz_ioctl(w, &p);
			break;
		case 2:
			got = lseek(w->fd, any_offset(w), (int)below(w, 7) - 1);
			break;
		case 3:
			got = write(w->fd, p.good, 8);
			if (got >= 0 || errno != EBADF)
				wrong("write gave %lld", got);
			break;
		case 4:
			/* In the midst of it all, another file is right. */
			got = pread(own, p.good, ROOM, (off_t)n);
			if (got != (long long)length[n] ||
			    memcmp(p.good, table[n], length[n]))
				wrong("pread of F(%zu) gave %lld", n, got);
			break;
		default:
			got = fuzz_read(w, &p);
		}
		if (got < 0 && !is_documented(errno))
			wrong("a call gave errno %d", errno);
	}
	close(own);
	return NULL;
}

/* Threads by twos and threes on open files that they share. */
static int command_fuzz(const char *device, unsigned long threads,
			unsigned long rounds, unsigned long seed)
{
	struct worker *workers = start(NULL, device, threads, rounds, seed, 0);
	unsigned long t;

	for (t = 0; t < threads; t++) {
		workers[t].fd = workers[t / 2].fd;
		if (t % 3 == 0)
			fcntl(workers[t].fd, F_SETFL, O_NONBLOCK);
		if (pthread_create(&workers[t].thread, NULL, fuzz, &workers[t]))
			die("pthread_create");
	}
	for (t = 0; t < threads; t++)
		pthread_join(workers[t].thread, NULL);
	printf("ok: %lu threads, %lu rounds, seed %lu\n", threads, rounds, seed);
	return 0;
}
