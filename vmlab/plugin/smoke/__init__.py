# SPDX-License-Identifier: MIT
"""Tests for any module: `pytest --pyargs vmlab.plugin.smoke --vmlab-module DIR`."""
