/* SPDX-License-Identifier: GPL-2.0-only OR MIT */
/*
 * All of the arithmetic, for a program that is compiled by one command: with no
 * other registers than the kernel has for it, so that it is the same code.
 */
#pragma GCC push_options
#pragma GCC target("general-regs-only")
#include "../arith/bn.c"
#include "../arith/bn_base.c"
#include "../arith/bn_inverse.c"
#include "../arith/bn_mul.c"
#include "../arith/bn_toom3.c"
#include "../arith/fib.c"
#include "../arith/fib_length.c"
#include "../arith/fib_pair.c"
#include "../arith/ntt.c"
#include "../arith/ntt_pieces.c"
#include "../arith/ntt_pointwise.c"
#include "../arith/ntt_transform.c"
#include "../arith/radix.c"
#include "../arith/radix_text.c"
#include "port_cpu.c"
#include "port_plain.c"
#pragma GCC pop_options
