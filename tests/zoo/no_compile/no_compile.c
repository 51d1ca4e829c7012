// SPDX-License-Identifier: MIT OR GPL-2.0
/* Fault: does not compile. The error is on line 9. */
#include <linux/module.h>

MODULE_DESCRIPTION("vmlab zoo: does not compile");
MODULE_LICENSE("Dual MIT/GPL");
static int __init no_compile_init(void)
{
	return undeclared_name;
}
module_init(no_compile_init);
