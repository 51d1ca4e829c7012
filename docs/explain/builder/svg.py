# SPDX-License-Identifier: MIT
"""SVG elements of the diagrams. Colours are the page's CSS variables, so dark and light mode apply."""

from __future__ import annotations

from collections.abc import Iterable

from markupsafe import escape


def figure(parts: Iterable[str], *, width: int, height: int, title: str, caption: str) -> str:
    """A figure that shrinks with the page and is never drawn larger than its size."""
    body = "\n".join(parts)
    return (
        "<figure>\n"
        f'<svg viewBox="0 0 {width} {height}" width="{width}" height="{height}" role="img" '
        f'aria-label="{escape(title)}" font-size="13">\n{body}\n</svg>\n'
        f"<figcaption>{escape(caption)}</figcaption>\n</figure>"
    )


def text(x: float, y: float, words: str, *, kind: str = "", anchor: str = "start") -> str:
    """Text; `kind` is a class of the style sheet: `name` for code, `quiet` for remarks."""
    described = f' class="{kind}"' if kind else ""
    return f'<text x="{x:g}" y="{y:g}" text-anchor="{anchor}"{described}>{escape(words)}</text>'


def path(data: str, *, kind: str) -> str:
    return f'<path d="{data}" class="{kind}"/>'


def dot(x: float, y: float, radius: float, *, kind: str) -> str:
    return f'<circle cx="{x:g}" cy="{y:g}" r="{radius:g}" class="{kind}"/>'


def box(x: float, y: float, width: float, height: float, *, kind: str) -> str:
    return f'<rect x="{x:g}" y="{y:g}" width="{width:g}" height="{height:g}" rx="4" class="{kind}"/>'
