/* SPDX-License-Identifier: GPL-2.0-only OR MIT */
/* Many threads on one position; a part of fibstress.c. */

static void storm_seek(struct worker *w)
{
	static const int whences[] = { SEEK_SET, SEEK_CUR, SEEK_END, SEEK_HOLE };
	int whence = whences[below(w, 4)];
	off_t offset = (off_t)below(w, 2 * LAST) - (whence ? LAST : 20);
	off_t got = lseek(w->fd, offset, whence);

	if (got > LAST + 1 || (got < 0 && errno != EINVAL))
		wrong("lseek %ld, %d gave %ld", offset, whence, got);
	if (whence == SEEK_SET && got != (offset < 0 || offset > LAST + 1 ?
					  -1 : offset))
		wrong("lseek SET %ld gave %ld", offset, got);
	if (whence == SEEK_END && got != (offset > 0 || offset < -LAST - 1 ?
					  -1 : LAST + 1 + offset))
		wrong("lseek END %ld gave %ld", offset, got);
	if (whence == SEEK_HOLE && got >= 0)
		wrong("lseek HOLE gave %ld", got);
}

static void *storm(void *argument)
{
	struct worker *w = argument;
	char buf[ROOM];
	unsigned long i;

	for (i = 0; i < w->rounds; i++) {
		size_t n = below(w, LAST + 2), count = sizeof(buf);
		ssize_t got;

		switch (below(w, 4)) {
		case 0:
			storm_seek(w);
			break;
		case 1:
			got = pread(w->fd, buf, count, (off_t)n);
			if (n > LAST ? got : got != (ssize_t)length[n] ||
			    memcmp(buf, table[n], length[n]))
				wrong("pread of F(%zu) gave %zd", n, got);
			break;
		default:
			got = read(w->fd, buf, count);
			if (got < 0 || (got && index_of(buf, (size_t)got) < 0))
				wrong("read gave %zd, and no number", got);
		}
	}
	return NULL;
}

static int command_storm(const char *device, unsigned long threads,
			 unsigned long rounds, unsigned long seed)
{
	int fd = open_device(device);

	if (lseek(fd, 0, SEEK_END) != LAST + 1)
		wrong("the module has to be loaded with max_n=%d", LAST);
	free(start(storm, device, threads, rounds, seed, 1));
	printf("ok: %lu threads, %lu rounds\n", threads, rounds);
	return 0;
}
