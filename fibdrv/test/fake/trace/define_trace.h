/* SPDX-License-Identifier: GPL-2.0-only OR MIT */
/* Nothing is defined of a faked tracepoint. */
