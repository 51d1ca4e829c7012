# SPDX-License-Identifier: MIT
"""Errors for failed builds: kind and reason, the change of the kernel's API behind it, position in the sources."""

from __future__ import annotations

import re
from collections.abc import Iterable

from vmlab.api.data import own_advice, own_history
from vmlab.catalogue.release import line_of
from vmlab.errors import BuildError, UsageError, VmlabError, hides_frames
from vmlab.image.image import BUILD_DIRECTORY
from vmlab.module.source import Source
from vmlab.reason.build import BuildReason, build_reason
from vmlab.reason.failure_kind import FailureKind, Knowledge, Tree, Verdict, judge

__tracebackhide__ = hides_frames

_SHOWN_LINES, _SHOWN_CHARACTERS = 25, 16_384
_SOURCES = (".c", ".h", ".S", ".rs")


def build_failure(source: Source, release: str, output: str) -> BuildError:
    """Error for a failed build with this output, with its kind; `source` is set if the reason is in one of the module's
    files."""
    verdict = judge_build(source, release, output)
    reason = verdict.reason
    failure = BuildError(
        f"{source.name} does not build on {release}{_why(verdict)}",
        hint=_hint(verdict),
        detail=_end_of(output, _SHOWN_LINES),
    )
    failure.kind = str(verdict.kind) if reason.text else ""
    failure.output = output
    failure.source = reason.place or _place_of(reason, source)
    return failure


def judge_build(source: Source, release: str, output: str) -> Verdict:
    """Return the kind of a failed build on a kernel, its reason and what the map of API changes knows about it."""
    major, minor = line_of(release)
    return judge(
        output,
        tree=Tree(
            directory=f"{BUILD_DIRECTORY}/{source.build_name}",
            files=source.files,
            read=lambda file: _text_of(source, file),
        ),
        line=f"{major}.{minor}",
        is_cloud="-cloud-" in release,
        knowledge=_knowledge(),
    )


def _knowledge() -> Knowledge | None:
    # A build's failure is reported without the map too.
    try:
        return Knowledge(history=own_history(), advice=own_advice())
    except VmlabError:
        return None


def _text_of(source: Source, file: str) -> str:
    try:
        return source.text(file)
    except UsageError:
        return ""  # removed since


def _why(verdict: Verdict) -> str:
    if not verdict.reason.text:
        return ""
    explained = f"; {verdict.explanation}" if verdict.explanation else ""
    return f": {verdict.kind}: {verdict.reason.text}{explained}"


def _hint(verdict: Verdict) -> str:
    if verdict.advice is not None:
        return f"{verdict.advice.sentence}; {verdict.advice.guard}"
    if verdict.option and verdict.kind is FailureKind.NOT_CONFIGURED:
        return "choose a target of the generic flavour: `vmlab targets` lists them"
    return ""


def program_failure(tree: Source, main: str, target: str, output: str) -> BuildError:
    """Error for a program that does not compile for a target."""
    reason = build_reason(output, directory="program", files=tree.files)
    why = f": {reason.text}" if reason.text else ""
    return BuildError(f"{main} does not compile for {target}{why}", detail=_end_of(output))


def _end_of(output: str, lines: int = 0) -> str:
    """Return the last lines of an output, 0 for all, within a number of characters."""
    return "\n".join(output[-_SHOWN_CHARACTERS:].rstrip().splitlines()[-lines:])


def _place_of(reason: BuildReason, source: Source) -> str:
    """Line that uses the symbol, or defines the function, that modpost or objtool reports."""
    of_object = f"{reason.object.removesuffix('.o')}.c"
    if reason.object and of_object not in source.files:
        return ""
    if not reason.symbol:
        return f"{of_object}:1" if reason.object else ""
    files = [of_object] if reason.object else [file for file in source.files if file.endswith(_SOURCES)]
    return _first_use(reason.symbol, files, source)


def _first_use(symbol: str, files: Iterable[str], source: Source) -> str:
    word = re.compile(rf"\b{re.escape(symbol)}\b")
    for file in files:
        try:
            text = source.text(file)
        except UsageError:
            continue  # removed since; the reason is known without its line
        for number, line in enumerate(text.splitlines(), start=1):
            if word.search(line):
                return f"{file}:{number}"
    return ""
