# SPDX-License-Identifier: MIT
"""Processes, scratch directories, waiting."""
