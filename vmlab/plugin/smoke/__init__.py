# SPDX-License-Identifier: MIT
"""Tests that any module can take: `pytest --pyargs vmlab.plugin.smoke --vmlab-module DIR`."""
