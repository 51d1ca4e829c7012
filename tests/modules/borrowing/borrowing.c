// SPDX-License-Identifier: MIT OR GPL-2.0
/* Depends on a module of the kernel */
#include <linux/crc-itu-t.h>
#include <linux/init.h>
#include <linux/module.h>

static int __init borrowing_init(void)
{
	u8 byte = 1;

	return crc_itu_t(0, &byte, 1) ? 0 : -EINVAL;
}

static void __exit borrowing_exit(void)
{
}

module_init(borrowing_init);
module_exit(borrowing_exit);

MODULE_DESCRIPTION("Depends on a module of the kernel");
MODULE_LICENSE("Dual MIT/GPL");
