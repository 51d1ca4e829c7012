// SPDX-License-Identifier: MIT OR GPL-2.0
/* Does not compile without the patch of its dkms.conf */
#include <linux/init.h>
#include <linux/module.h>

static int __init patched_init(void)
{
	return needs_a_patch;
}

static void __exit patched_exit(void)
{
}

module_init(patched_init);
module_exit(patched_exit);

MODULE_DESCRIPTION("Does not compile without the patch of its dkms.conf");
MODULE_LICENSE("Dual MIT/GPL");
