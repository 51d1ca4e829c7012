# SPDX-License-Identifier: MIT
"""Checks of this host, with a command to type for each problem."""
