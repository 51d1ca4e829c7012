# SPDX-License-Identifier: MIT
"""What the template is given: plain records, in one language, with nothing left to decide."""

from __future__ import annotations

from dataclasses import dataclass

from markupsafe import Markup

from builder.difference import Line
from builder.source import Link


@dataclass(frozen=True, slots=True, kw_only=True)
class Sentence:
    """A statement, links to what it rests on, and the kernels that do not show it."""

    text: str
    references: tuple[Link, ...]
    unshown: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Group:
    """Kernels that printed the same."""

    kernels: tuple[str, ...]
    command: str
    """Empty where it is the same for all groups."""
    lines: tuple[Line, ...]
    length: str
    is_open: bool
    is_table: bool
    """Whether its lines stand in columns, and so must not be wrapped on a narrow screen."""
    is_all: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class GapLine:
    """Why a kernel shows nothing here."""

    kind: str
    text: str
    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class ExperimentView:
    """An experiment with what every kernel printed."""

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
    """A source, with the anchor that sentences lead to."""

    anchor: str
    title: str
    links: tuple[Link, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class CheckRow:
    """A claim and what was seen."""

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
    """What makes all its experiments again."""
