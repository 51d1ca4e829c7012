/* SPDX-License-Identifier: GPL-2.0-only OR MIT */
/*
 * All of the arithmetic, for a program that is compiled by one command: with no
 * other registers than the kernel has for it, so that it is the same code.
 */
#pragma GCC push_options
#pragma GCC target("general-regs-only")
#include "../bn.c"
#include "../bn_base.c"
#include "../bn_inverse.c"
#include "../bn_mul.c"
#include "../bn_toom3.c"
#include "../fib.c"
#include "../fib_pair.c"
#include "../ntt.c"
#include "../ntt_transform.c"
#include "../radix.c"
#include "port_cpu.c"
#include "port_plain.c"
#pragma GCC pop_options
