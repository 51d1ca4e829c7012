# SPDX-License-Identifier: MIT
"""Records for the template: plain, in one language, without remaining decisions."""

from __future__ import annotations

from dataclasses import dataclass

from markupsafe import Markup

from builder.difference import Line
from builder.source import Link


@dataclass(frozen=True, slots=True, kw_only=True)
class Sentence:
    """A statement, links to its evidence, and the kernels that do not show it."""

    text: str
    references: tuple[Link, ...]
    unshown: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Group:
    """Kernels with equal output."""

    kernels: tuple[str, ...]
    command: str
    """The command, or an empty string if all groups share it."""
    lines: tuple[Line, ...]
    length: str
    is_open: bool
    is_table: bool
    """True if its lines form columns, and so must not wrap on a narrow screen."""
    is_all: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class GapLine:
    """Reason why a kernel shows nothing here."""

    kind: str
    text: str
    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class ExperimentView:
    """An experiment with each kernel's output."""

    anchor: str
    number: str
    title: str
    diagram: Markup
    command: str
    how: str
    groups: tuple[Group, ...]
    gaps: tuple[GapLine, ...]
    remarks: tuple[Sentence, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class PlaceView:
    """A source, with the anchor that sentences link to."""

    anchor: str
    title: str
    links: tuple[Link, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class CheckRow:
    """A claim and the observed values."""

    anchor: str
    number: str
    claim: str
    seen: str


@dataclass(frozen=True, slots=True, kw_only=True)
class QuestionView:
    """A question with its answer, experiments, sources and checks."""

    id: str
    number: str
    asked: str
    answer: tuple[Sentence, ...]
    experiments: tuple[ExperimentView, ...]
    places: tuple[PlaceView, ...]
    checks: tuple[CheckRow, ...]
    again: str
    """Command that reruns all its experiments."""
