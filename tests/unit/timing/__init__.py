# SPDX-License-Identifier: MIT
"""Unit tests of vmlab.timing."""
