# SPDX-License-Identifier: MIT
"""Sphinx, strict: `nox -s docs` treats every warning as an error."""

from vmlab import __version__

project = "vmlab"
author = "the vmlab developers"
project_copyright = "2026, the vmlab developers"
version = release = __version__
extensions = ["myst_parser", "sphinx.ext.autodoc"]
html_theme = "furo"
html_title = f"vmlab {version}"
exclude_patterns = ["requirements.txt"]
myst_heading_anchors = 3
autodoc_typehints = "none"
nitpick_ignore_regex = [("py:.*", ".*")]
