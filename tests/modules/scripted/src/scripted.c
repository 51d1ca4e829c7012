// SPDX-License-Identifier: MIT OR GPL-2.0
/* Module of a dkms.conf that only a shell can read */
#include <linux/init.h>
#include <linux/module.h>

#define SCRIPTED_VERSION 3

static int __init scripted_init(void)
{
	return 0;
}

static void __exit scripted_exit(void)
{
}

module_init(scripted_init);
module_exit(scripted_exit);

MODULE_DESCRIPTION("Module of a dkms.conf that only a shell can read");
MODULE_LICENSE("Dual MIT/GPL");
