# SPDX-License-Identifier: MIT
"""Results as Markdown, for $GITHUB_STEP_SUMMARY."""

from __future__ import annotations

import re
from collections.abc import Sequence

from vmlab.report.model import Outcome, RunResult, TargetResult
from vmlab.report.terminal import reasons
from vmlab.text import printable

MOST_BYTES = 1_000_000
"""Largest summary that is written: GitHub rejects a step's summary over 1 MiB."""
_HEADINGS = (
    "",
    "target",
    "kernel",
    "compiler",
    "accelerator",
    "passed",
    "failed",
    "lost",
    "unavailable",
    "skipped",
    "time",
)
_MARKS = re.compile(r"([\\`*_{}\[\]<>()#+!|~&])")

_LINKS = re.compile(r":(?=//)|www(?=\.)|@", re.IGNORECASE)
"""Beginnings of what GitHub links without marks: addresses, and names of users. A backslash does not stop these."""


def summary(result: RunResult) -> str:
    """Return missing parts, a table with a row per target, the reasons of faults, and notices. Pure."""
    head = [f"### vmlab: {_plain(result.module)}", ""]
    head += [f"**{_plain(line)}**\n" for line in result.missing]
    if result.shard is not None:
        head += [f"Shard {result.shard.index} of {result.shard.count}\n"]
    rows = [_HEADINGS, ("---",) * len(_HEADINGS), *map(_row, result.targets)]
    head += [f"| {' | '.join(cells)} |" for cells in rows]
    tail = [f"- {_plain(notice)}" for notice in result.notices]
    whys = [line for row in result.targets for line in reasons(row)]
    body = "\n".join([*head, "", *_fenced(whys), *tail]) + "\n"
    if len(body.encode()) <= MOST_BYTES:
        return body
    return "\n".join([*head, "", "The reasons exceed GitHub's limit of 1 MiB; results.json has them."]) + "\n"


def _row(row: TargetResult) -> tuple[str, ...]:
    facts = row.facts
    known = ("unavailable" if row.is_unavailable else "-", "-", "-")
    if facts is not None:
        provenance = facts.provenance
        accelerator = f"{provenance.accelerator} {provenance.cpu_model}".strip()
        known = (provenance.release, provenance.compiler or "-", accelerator)
    counts = (
        row.count(Outcome.PASSED),
        row.count(Outcome.FAILED, Outcome.ERROR),
        row.count(Outcome.LOST, Outcome.NOT_RUN),
        row.count(Outcome.UNAVAILABLE),
        row.count(Outcome.SKIPPED),
    )
    mark = "✅" if row.is_green else "❌"
    return (mark, *map(_plain, (row.target, *known)), *map(str, counts), f"{row.duration_s:.0f} s")


def _fenced(lines: Sequence[str]) -> list[str]:
    """Return lines in a code block, with a fence longer than any run of backticks in them."""
    if not lines:
        return []
    longest = max((len(run) for line in lines for run in re.findall("`+", line)), default=0)
    fence = "`" * max(3, longest + 1)
    return [f"{fence}text", *map(printable, lines), fence, ""]


def _plain(text: str) -> str:
    """Escape the characters that have a meaning in Markdown, and split what would become a link."""
    return _LINKS.sub(r"\g<0><!-- -->", _MARKS.sub(r"\\\1", printable(text)))
