// SPDX-License-Identifier: MIT OR GPL-2.0
/* Fault: a WARN_ON at load. */
#include <linux/bug.h>
#include <linux/init.h>
#include <linux/module.h>

static int __init noisy_load_init(void)
{
	WARN_ON(1);
	return 0;
}

static void __exit noisy_load_exit(void)
{
}

module_init(noisy_load_init);
module_exit(noisy_load_exit);

MODULE_DESCRIPTION("vmlab zoo: warns at load");
MODULE_LICENSE("Dual MIT/GPL");
