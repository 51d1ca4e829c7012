# SPDX-License-Identifier: MIT
"""Permissions for perf: what the kernel's settings allow to whom."""
