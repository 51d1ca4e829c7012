# SPDX-License-Identifier: MIT
"""Assembles a page's records: numbers, links and text in one language."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence

from builder.check import Checked, checked, gaps, tests_of
from builder.claim import Absence, State, finding_on
from builder.diagrams import draw
from builder.difference import Output, outputs
from builder.kernels import Finding, Kernel, Outcome
from builder.question import Language, Question, Shown, Statement
from builder.source import Link, Source, place_of
from builder.views import CheckRow, ExperimentView, GapLine, Group, PlaceView, QuestionView, Sentence

_OPEN_LINES = 16
"""Longest output shown unfolded, in lines: a reader must scroll past it to the rest."""
_COLUMNS = re.compile(r"\S {3,}\S|\S\t")
_SEPARATOR = {Language.EN: ", ", Language.ZH: "、"}
_GAPS = {
    Outcome.PASSED: "not_meant",
    Outcome.FAILED: "failed",
    Outcome.SKIPPED: "skipped",
    Outcome.LOST: "lost",
    Outcome.NOT_RUN: "not_run",
}


def names_of(kernels: Sequence[Kernel]) -> dict[str, str]:
    """Display name of each kernel: its line, or its target where two kernels share a line."""
    lines = [kernel.name for kernel in kernels]
    return {
        kernel.target: kernel.name if lines.count(kernel.name) == 1 else kernel.target.replace("_", " ")
        for kernel in kernels
    }


def assemble(
    language: Language, label: Mapping[str, str], questions: Sequence[Question], kernels: Sequence[Kernel]
) -> tuple[QuestionView, ...]:
    """Return every question, ready for the template."""
    page = _Page(language, label, questions, kernels)
    return tuple(page.question(number, question) for number, question in enumerate(questions, start=1))


class _Page:
    def __init__(
        self, language: Language, label: Mapping[str, str], questions: Sequence[Question], kernels: Sequence[Kernel]
    ) -> None:
        self._language = language
        self._label = label
        self._kernels = kernels
        self._names = names_of(kernels)
        self._tests = tests_of(questions)
        self._gaps = gaps(questions, kernels)
        self._evidence = {
            key: [(kernel, each) for kernel in kernels if isinstance(each := finding_on(kernel, key, test), Finding)]
            for key, test in self._tests.items()
        }
        self._numbers = {
            shown.finding: f"{number}.{place}"
            for number, question in enumerate(questions, start=1)
            for place, shown in enumerate(question.experiment, start=1)
        }

    def question(self, number: int, question: Question) -> QuestionView:
        sources = list(
            dict.fromkeys([each for statement in question.statements for each in statement.told_by] + [*question.read])
        )
        return QuestionView(
            id=question.id,
            number=str(number),
            asked=question.asked.in_(self._language),
            answer=tuple(self._sentence(question, sources, statement) for statement in question.answer),
            experiments=tuple(self._experiment(question, sources, shown) for shown in question.experiment),
            places=tuple(self._place(question, number, source) for number, source in enumerate(sources, start=1)),
            checks=tuple(self._checks(question)),
            again="pytest " + " ".join(dict.fromkeys(shown.test.partition("::")[0] for shown in question.experiment)),
        )

    def _sentence(self, question: Question, sources: list[Source], statement: Statement) -> Sentence:
        rows = checked(statement, self._kernels, self._tests)
        findings = dict.fromkeys(claim.finding for claim in statement.shown_by)
        references = [Link(word=self._numbers[key], url=f"#{_anchor(key)}") for key in findings]
        places = dict.fromkeys(sources.index(source) + 1 for source in statement.told_by)
        references += [Link(word=_letter(place), url=f"#{question.id}-{_letter(place)}") for place in places]
        unshown = {each.kernel.target for row in rows for each in row.standings if each.state is State.UNSHOWN}
        missing = [self._names[kernel.target] for kernel in self._kernels if kernel.target in unshown]
        said = self._label["unshown"].format(kernels=self._join(missing)) if missing else ""
        return Sentence(text=statement.text.in_(self._language), references=tuple(references), unshown=said)

    def _experiment(self, question: Question, sources: list[Source], shown: Shown) -> ExperimentView:
        found = self._evidence[shown.finding]
        groups = outputs([(kernel, each.command, each.output) for kernel, each in found])
        commands = {group.command for group in groups}
        is_one = len(commands) == 1
        target = found[-1][0].target if found else ""
        return ExperimentView(
            anchor=_anchor(shown.finding),
            number=self._numbers[shown.finding],
            title=shown.title.in_(self._language),
            diagram=draw(shown.diagram, self._evidence, self._names, self._label),
            command=next(iter(commands)) if is_one else "",
            how=self._label["command"].format(target=target),
            groups=tuple(self._group(group, is_one=is_one) for group in groups),
            gaps=tuple(self._gap_lines(shown)),
            remarks=tuple(self._sentence(question, sources, each) for each in shown.remark),
        )

    def _group(self, group: Output, *, is_one: bool) -> Group:
        return Group(
            kernels=tuple(self._names[kernel.target] for kernel in group.kernels),
            command="" if is_one else group.command,
            lines=group.lines,
            length=self._label["lines"].format(number=len(group.lines)) if len(group.lines) > _OPEN_LINES else "",
            is_open=len(group.lines) <= _OPEN_LINES,
            is_table=any(_COLUMNS.search(line.text) for line in group.lines),
            is_all=len(group.kernels) == len(self._kernels),
        )

    def _gap_lines(self, shown: Shown) -> Iterator[GapLine]:
        alike: dict[Absence, list[str]] = {}
        for gap in self._gaps:
            if gap.finding == shown.finding:
                alike.setdefault(gap.absence, []).append(self._names[gap.kernel.target])
        for absence, names in alike.items():
            kind = _GAPS[absence.outcome]
            text = self._label[kind].format(kernels=self._join(names))
            yield GapLine(kind=kind, text=text, reason=absence.reason)

    def _place(self, question: Question, number: int, source: Source) -> PlaceView:
        place = place_of(source, tuple(dict.fromkeys(kernel.name for kernel in self._kernels)))
        return PlaceView(anchor=f"{question.id}-{_letter(number)}", title=place.title, links=place.links)

    def _checks(self, question: Question) -> Iterator[CheckRow]:
        rows: dict[str, Checked] = {}
        for statement in question.statements:
            for row in checked(statement, self._kernels, self._tests):
                rows.setdefault(repr(row.claim), row)
        for row in rows.values():
            seen: dict[str, list[str]] = {}
            for each in row.standings:
                seen.setdefault(each.seen, []).append(self._names[each.kernel.target])
            yield CheckRow(
                anchor=_anchor(row.claim.finding),
                number=self._numbers[row.claim.finding],
                claim=row.claim.words,
                seen="; ".join(f"{self._join(names)}: {value}" for value, names in seen.items()),
            )

    def _join(self, names: Sequence[str] | Mapping[str, None]) -> str:
        return _SEPARATOR[self._language].join(names)


def _anchor(finding: str) -> str:
    return finding.replace(".", "-")


def _letter(number: int) -> str:
    """1 is a, 26 is z, 27 is aa: sources have letters, experiments have numbers."""
    letters = ""
    while number:
        number, rest = divmod(number - 1, 26)
        letters = chr(ord("a") + rest) + letters
    return letters
