# SPDX-License-Identifier: MIT
"""The right to use perf: what the kernel's settings allow whom."""
