# SPDX-License-Identifier: MIT
"""Diagrams by name, each drawn from findings; their words are in labels.toml, in both languages."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

from markupsafe import Markup

from builder.kernels import Finding, Kernel
from builder.placement import placement_figure
from builder.tracks import tracks_figure

Evidence = Mapping[str, Sequence[tuple[Kernel, Finding]]]
"""Every finding on the page by its key, with its kernel, oldest first."""

_PICTURES: Mapping[str, Callable[[Evidence, Mapping[str, str], Mapping[str, str]], str]] = {
    "call-chain": tracks_figure,
    "file-into-memory": placement_figure,
}


def draw(name: str, evidence: Evidence, names: Mapping[str, str], label: Mapping[str, str]) -> Markup:
    """A diagram as HTML; empty if none is requested or no kernel has its data.

    `names` are the page's display names of the targets.
    """
    if not name:
        return Markup("")
    return Markup(_PICTURES[name](evidence, names, label))
