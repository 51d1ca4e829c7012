// SPDX-License-Identifier: GPL-2.0
/* Fault: calls a function that no kernel has. */
#include <linux/module.h>

int undefined_symbol_nowhere(void);

static int __init undefined_symbol_init(void)
{
	return undefined_symbol_nowhere();
}
module_init(undefined_symbol_init);

static void __exit undefined_symbol_exit(void)
{
}
module_exit(undefined_symbol_exit);

MODULE_DESCRIPTION("vmlab zoo: undefined symbol");
MODULE_LICENSE("GPL");
