/* SPDX-License-Identifier: GPL-2.0-only OR MIT */
/* The module's parameters: chosen and checked at load, then constant. */
#ifndef FIBDRV_PARAMETERS_H
#define FIBDRV_PARAMETERS_H

#include <linux/types.h>

#define FORMAT_COUNT 3	/* of enum fibdrv_format_id */

extern unsigned long max_n;
extern unsigned int keep_kib;
extern u32 default_format;

/* The name of a format, as the parameter "format" takes it. */
extern const char * const format_names[FORMAT_COUNT];

/* Return: 0, or -EINVAL and a line in the kernel log. */
int check_parameters(void);

#endif /* FIBDRV_PARAMETERS_H */
