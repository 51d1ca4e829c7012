// SPDX-License-Identifier: GPL-2.0
/* Fault: calls itself until the kernel's stack is used up. */
#include <linux/compiler.h>
#include <linux/limits.h>
#include <linux/module.h>

static noinline int recursion_descend(int depth)
{
	int room[32];

	WRITE_ONCE(room[depth % 32], depth);
	if (depth == INT_MAX)
		return 0;
	return recursion_descend(depth + 1) + READ_ONCE(room[depth % 32]);
}

static int __init recursion_init(void)
{
	return recursion_descend(0) ? 0 : -EIO;
}
module_init(recursion_init);

static void __exit recursion_exit(void)
{
}
module_exit(recursion_exit);

MODULE_DESCRIPTION("vmlab zoo: endless recursion");
MODULE_LICENSE("GPL");
