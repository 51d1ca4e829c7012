// SPDX-License-Identifier: GPL-2.0
/* The same source once more, as code of the kernel itself: what is no part of a module is compiled without -DMODULE. */
#include "hello.c"
