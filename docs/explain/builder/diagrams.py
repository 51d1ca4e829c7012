# SPDX-License-Identifier: MIT
"""The pictures by name, each drawn from findings; words come from labels.toml, so both languages have them."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

from markupsafe import Markup

from builder.kernels import Finding, Kernel
from builder.placement import placement_figure
from builder.tracks import tracks_figure

Evidence = Mapping[str, Sequence[tuple[Kernel, Finding]]]
"""Every finding on the page by its key, with the kernel it is of, oldest first."""

_PICTURES: Mapping[str, Callable[[Evidence, Mapping[str, str], Mapping[str, str]], str]] = {
    "call-chain": tracks_figure,
    "file-into-memory": placement_figure,
}


def draw(name: str, evidence: Evidence, names: Mapping[str, str], label: Mapping[str, str]) -> Markup:
    """A picture as HTML; empty where none is asked for or no kernel has its data.

    `names` are what the page calls each target.
    """
    if not name:
        return Markup("")
    return Markup(_PICTURES[name](evidence, names, label))
