/* SPDX-License-Identifier: GPL-2.0-only OR MIT */
/* Faults that a test can order from the user-space port, and its balance. */
#ifndef FIBDRV_TEST_PORT_USER_H
#define FIBDRV_TEST_PORT_USER_H

#include <stdbool.h>
#include <stddef.h>

struct port_faults {
	unsigned long fail_alloc;	/* this allocation from now fails; 0: none */
	unsigned long interrupt;	/* this poll from now says -EINTR; 0: none */
	bool failed;			/* an allocation was made to */
	unsigned long warnings;		/* of WARN_ON_ONCE() */
	long allocated;			/* allocations not yet freed */
	size_t bytes;			/* what they take */
	size_t peak;			/* the most that they took */
};

extern struct port_faults port_faults;

#endif /* FIBDRV_TEST_PORT_USER_H */
