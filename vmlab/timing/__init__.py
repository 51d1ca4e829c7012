# SPDX-License-Identifier: MIT
"""Timing: sources, the stopwatch, series of measurements and their comparison."""
