# SPDX-License-Identifier: MIT
"""Sources of the pages: docs/explain/*.toml, one question per file, with both languages side by side."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path

from builder.claim import Claim
from builder.source import Source
from vmlab.decode import read_toml, structure
from vmlab.errors import UsageError

DIAGRAMS = ("call-chain", "file-into-memory")
_SENTENCES = 3
_END = re.compile(r"[.?!。？！](?=\s|$|[\u3000-\u9fff「])")


class Language(StrEnum):
    """A page's language, as an HTML language tag."""

    EN = "en"
    ZH = "zh-Hant-TW"


@dataclass(frozen=True, slots=True, kw_only=True)
class Text:
    """A text in both languages. Backticks mark code; there is no other markup."""

    en: str
    zh: str

    def in_(self, language: Language) -> str:
        return self.en if language is Language.EN else self.zh


@dataclass(frozen=True, slots=True, kw_only=True)
class Statement:
    """One sentence and its evidence: findings, checked in every build, or places in a source."""

    en: str
    zh: str
    shown_by: tuple[Claim, ...] = ()
    told_by: tuple[Source, ...] = ()

    @property
    def text(self) -> Text:
        return Text(en=self.en, zh=self.zh)


@dataclass(frozen=True, slots=True, kw_only=True)
class Shown:
    """An experiment on the page: a finding, and the test that stores it, which explains a missing one."""

    finding: str
    test: str
    en: str
    zh: str
    diagram: str = ""
    """Name of its diagram: `call-chain` or `file-into-memory`."""
    remark: tuple[Statement, ...] = ()

    def __post_init__(self) -> None:
        if self.diagram not in ("", *DIAGRAMS):
            raise ValueError(f"{self.finding}: no such diagram: {self.diagram!r}; there are {', '.join(DIAGRAMS)}")

    @property
    def title(self) -> Text:
        return Text(en=self.en, zh=self.zh)


@dataclass(frozen=True, slots=True, kw_only=True)
class Question:
    """One question of the course notes."""

    id: str
    asked: Text
    answer: tuple[Statement, ...]
    experiment: tuple[Shown, ...]
    read: tuple[Source, ...] = ()
    """Further reading in the kernel's source; linked for every kernel on the page."""

    @property
    def statements(self) -> Iterator[Statement]:
        yield from self.answer
        for shown in self.experiment:
            yield from shown.remark


def read_questions(directory: Path) -> tuple[Question, ...]:
    """Every question, in order of file names; `UsageError` names file and key of the first mistake."""
    questions = []
    for path in sorted(directory.glob("*.toml")):
        question = structure(read_toml(path), Question, where=path.name)
        if len(question.answer) != _SENTENCES:
            raise UsageError(f"{path.name}: answer: {len(question.answer)} sentences, and an answer has {_SENTENCES}")
        for statement in question.statements:
            _require_one_sentence(path.name, statement)
        questions.append(question)
    if not questions:
        raise UsageError(f"no question in {directory}")
    _require_distinct("question", [question.id for question in questions])
    _require_distinct("finding", [shown.finding for question in questions for shown in question.experiment])
    return tuple(questions)


def _require_one_sentence(where: str, statement: Statement) -> None:
    for language in Language:
        text = statement.text.in_(language)
        # A full stop inside code, as in `main.c`, ends no sentence.
        if len(_END.findall(re.sub(r"`[^`]*`", "x", text))) != 1:
            raise UsageError(f"{where}: not one sentence in {language}: {text!r}")


def _require_distinct(what: str, names: list[str]) -> None:
    for name in names:
        if names.count(name) > 1:
            raise UsageError(f"{what} {name!r} stands twice in the questions")
