// SPDX-License-Identifier: GPL-2.0-only OR MIT
/* What the processor can do, in user space. */
#include "../arith/port.h"

bool port_adx;

#ifdef __x86_64__
#include <cpuid.h>

/* Leaf 7 of CPUID, EBX: bit 8 is BMI2, with mulx, and bit 19 is ADX. */
#define BMI2_AND_ADX	0x80100U

__attribute__((constructor)) static void ask_cpu(void)
{
	unsigned int eax, ebx, ecx, edx;

	if (__get_cpuid_count(7, 0, &eax, &ebx, &ecx, &edx))
		port_adx = (ebx & BMI2_AND_ADX) == BMI2_AND_ADX;
}
#endif
