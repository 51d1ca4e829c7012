// SPDX-License-Identifier: GPL-2.0-only OR MIT
/*
 * Reads by io_uring, with bare system calls:
 *
 *	fiburing DEVICE START block|nonblock OFFSET...
 *
 * The file is put at START. Each OFFSET is read in turn; -1 means the position.
 * Prints what each read gave, a line each, then the position.
 */
#define _GNU_SOURCE
#include <linux/io_uring.h>
#include <sys/mman.h>
#include <sys/syscall.h>

#include "guest.h"

#define ROOM 256

struct ring {
	int fd;
	struct io_uring_params params;
	unsigned char *sq, *cq;
	struct io_uring_sqe *sqes;
};

static void *map_part(struct ring *ring, size_t bytes, unsigned long long part)
{
	void *memory = mmap(NULL, bytes, PROT_READ | PROT_WRITE,
			    MAP_SHARED | MAP_POPULATE, ring->fd, (off_t)part);

	if (memory == MAP_FAILED)
		die("mmap of a ring");
	return memory;
}

static void set_up(struct ring *ring)
{
	struct io_uring_params *p = &ring->params;

	memset(ring, 0, sizeof(*ring));
	ring->fd = (int)syscall(__NR_io_uring_setup, 1, p);
	if (ring->fd < 0)
		die("io_uring_setup");
	ring->sq = map_part(ring, p->sq_off.array + p->sq_entries * 4,
			    IORING_OFF_SQ_RING);
	ring->cq = map_part(ring, p->cq_off.cqes +
				  p->cq_entries * sizeof(struct io_uring_cqe),
			    IORING_OFF_CQ_RING);
	ring->sqes = map_part(ring, p->sq_entries * sizeof(*ring->sqes),
			      IORING_OFF_SQES);
}

static unsigned int *word(unsigned char *part, __u32 offset)
{
	return (unsigned int *)(part + offset);
}

static int read_at(struct ring *ring, int fd, char *room, __u64 offset)
{
	const struct io_uring_params *p = &ring->params;
	unsigned int *tail = word(ring->sq, p->sq_off.tail);
	unsigned int *head = word(ring->cq, p->cq_off.head);
	const unsigned int slot = *tail & (p->sq_entries - 1);
	struct io_uring_cqe *done;
	int result;

	ring->sqes[slot] = (struct io_uring_sqe) {
		.opcode = IORING_OP_READ,
		.fd = fd,
		.off = offset,
		.addr = (__u64)(unsigned long)room,
		.len = ROOM,
	};
	word(ring->sq, p->sq_off.array)[slot] = slot;
	__atomic_store_n(tail, *tail + 1, __ATOMIC_RELEASE);
	if (syscall(__NR_io_uring_enter, ring->fd, 1, 1,
		    IORING_ENTER_GETEVENTS, NULL, 0) != 1)
		die("io_uring_enter");
	if (*head == __atomic_load_n(word(ring->cq, p->cq_off.tail),
				     __ATOMIC_ACQUIRE))
		wrong("io_uring_enter came back without a completion");
	done = (struct io_uring_cqe *)(ring->cq + p->cq_off.cqes) +
	       (*head & (p->cq_entries - 1));
	result = done->res;
	__atomic_store_n(head, *head + 1, __ATOMIC_RELEASE);
	return result;
}

int main(int argc, char **argv)
{
	struct ring ring;
	char room[ROOM];
	int fd, i;

	if (argc < 4)
		return 2;
	fd = open_device(argv[1], strcmp(argv[3], "nonblock") ? 0 : O_NONBLOCK,
			 FIBDRV_FORMAT_DECIMAL);
	if (lseek(fd, number(argv[2]), SEEK_SET) < 0)
		die("lseek");
	set_up(&ring);
	for (i = 4; i < argc; i++) {
		const __u64 offset = strtoull(argv[i], NULL, 0);
		const int got = read_at(&ring, fd, room, offset);

		if (got < 0)
			printf("%s\n", strerror(-got));
		else if (!got)
			printf("EOF\n");
		else
			printf("%.*s", got, room);
	}
	printf("position %lld\n", (long long)lseek(fd, 0, SEEK_CUR));
	return 0;
}
