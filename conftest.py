# SPDX-License-Identifier: MIT
"""Loads the plugin in a bare checkout, where no entry point announces it."""

from __future__ import annotations

# A plugin may be listed here and loaded by its entry point if both use the same name.
pytest_plugins = ["vmlab.plugin"]
