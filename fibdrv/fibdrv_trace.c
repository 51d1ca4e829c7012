// SPDX-License-Identifier: GPL-2.0-only OR MIT
/* Where the bodies of the tracepoints are made. */
#define CREATE_TRACE_POINTS
#include "fibdrv_trace.h"
