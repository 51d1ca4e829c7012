/* SPDX-License-Identifier: GPL-2.0-only OR MIT */
/*
 * Failures on order, with the test build of the module: see fibdrv_faults.c.
 * A part of fibstress.c.
 */

static void order_failure(const char *path, unsigned long k)
{
	FILE *file = fopen(path, "w");

	if (!file || fprintf(file, "%lu", k) < 0 || fclose(file))
		die(path);
}

/* The failures that are still to come. */
static unsigned long ordered(const char *path)
{
	FILE *file = fopen(path, "r");
	unsigned long k;

	if (!file || fscanf(file, "%lu", &k) != 1 || fclose(file))
		die(path);
	return k;
}

static int open_for(const char *device, struct fibdrv_format *format)
{
	int fd = open(device, O_RDONLY | O_CLOEXEC);

	if (fd >= 0 && ioctl(fd, FIBDRV_IOC_FORMAT, format))
		die("FIBDRV_IOC_FORMAT");
	return fd;
}

/* One open file and its reads; gives how many calls failed. */
static int reads_with_failure(const char *device, struct fibdrv_format *format,
			      unsigned long first, unsigned long count,
			      char **expected, const size_t *bytes)
{
	char *room = malloc(bytes[count - 1]);
	int fd = open_for(device, format), failed = 0;
	unsigned long i;
	ssize_t got;

	if (!room)
		die("malloc");
	if (fd < 0) {
		if (errno != ENOMEM)
			wrong("open gave errno %d", errno);
		failed++;
		fd = open_for(device, format);
		if (fd < 0)
			wrong("the second open gave errno %d", errno);
	}
	lseek(fd, (off_t)first, SEEK_SET);
	for (i = 0; i < count; i++) {
		got = read(fd, room, bytes[i]);
		if (got < 0) {
			if (errno != ENOMEM)
				wrong("read of F(%lu) gave errno %d", first + i,
				      errno);
			failed++;
			if (lseek(fd, 0, SEEK_CUR) != (off_t)(first + i))
				wrong("a failed read moved the position");
			got = read(fd, room, bytes[i]);
		}
		if (got != (ssize_t)bytes[i] ||
		    memcmp(room, expected[i], bytes[i]))
			wrong("read of F(%lu) gave %zd", first + i, got);
	}
	close(fd);
	free(room);
	return failed;
}

static int command_faults(const char *device, const char *fail,
			  const char *format_name, unsigned long first,
			  unsigned long last)
{
	const unsigned long count = last - first + 1;
	struct fibdrv_format format = {
		.format = !strcmp(format_name, "hex") ? FIBDRV_FORMAT_HEX :
			  !strcmp(format_name, "binary") ? FIBDRV_FORMAT_BINARY :
			  FIBDRV_FORMAT_DECIMAL,
	};
	char **expected = calloc(count, sizeof(*expected));
	size_t *bytes = calloc(count, sizeof(*bytes));
	unsigned long i, k;
	int fd, failed;

	if (last < first || !expected || !bytes)
		die_usage();
	order_failure(fail, 0);
	fd = open_for(device, &format);
	if (fd < 0)
		die(device);
	for (i = 0; i < count; i++)
		expected[i] = record_of(fd, first + i, &bytes[i]);
	close(fd);
	for (k = 1;; k++) {
		order_failure(fail, k);
		failed = reads_with_failure(device, &format, first, count,
					    expected, bytes);
		if (ordered(fail))
			break;
		/* None does where only a pair could not be kept. */
		if (failed > 1)
			wrong("failure %lu made %d calls fail", k, failed);
	}
	order_failure(fail, 0);
	printf("ok: failures %lu\n", k - 1);
	return 0;
}
