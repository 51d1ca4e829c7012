# SPDX-License-Identifier: MIT
"""Tests of the pytest plugin, with pytester and the real xdist."""
