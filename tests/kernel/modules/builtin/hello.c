// SPDX-License-Identifier: GPL-2.0
/* hello.ko's source once more, as code of the kernel itself. */
#include "../hello.c"
