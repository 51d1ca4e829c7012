// SPDX-License-Identifier: MIT OR GPL-2.0
/*
 * Fault: a part of it was compiled by another compiler than the kernel's. What such an object leaves in the
 * .ko is its compiler's name in the .comment section, which is what this line puts there.
 */
#include <linux/module.h>

asm(".ident \"GCC: (Elsewhere 9.1.0-1) 9.1.0\"");

MODULE_DESCRIPTION("vmlab zoo: compiled by another compiler");
MODULE_LICENSE("Dual MIT/GPL");
