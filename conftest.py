# SPDX-License-Identifier: MIT
"""Makes the plugin work from a bare checkout, where no entry point announces it."""

from __future__ import annotations

# Listing a plugin that its entry point has loaded already is fine as long as both go by the same name.
pytest_plugins = ["vmlab.plugin"]
