# SPDX-License-Identifier: MIT
"""Tests of the pytest plugin: pytester and the real xdist."""
