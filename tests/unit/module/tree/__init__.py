# SPDX-License-Identifier: MIT
"""Unit tests: no QEMU, run in seconds."""
