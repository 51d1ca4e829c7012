# SPDX-License-Identifier: MIT
"""Tests of the lab's guarantees on real guests."""
