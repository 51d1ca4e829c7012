# SPDX-License-Identifier: MIT
"""The map of changes in the kernel's API between its lines, and advice on them. Pure but for reading the data."""
