# SPDX-License-Identifier: MIT
"""Tests that any module can take: `pytest --pyargs vmlab.smoke --vmlab-module DIR`."""
