# SPDX-License-Identifier: MIT
"""The module under test: its compiler, build, .ko file and load."""
