# SPDX-License-Identifier: MIT
"""Sphinx, strict: `nox -s docs` treats every warning as an error."""

import shutil
from pathlib import Path

from sphinx.application import Sphinx

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


def setup(app: Sphinx) -> None:
    app.connect("build-finished", _copy_pages)


def _copy_pages(app: Sphinx, error: Exception | None) -> None:
    """The pages in explain/ are built elsewhere and stand alone: beside Sphinx's own they are linked as in the tree."""
    if error is None and app.builder.format == "html":
        into = Path(app.outdir) / "explain"
        into.mkdir(exist_ok=True)
        for page in sorted(Path(app.confdir, "explain").glob("*.html")):
            shutil.copy(page, into)
