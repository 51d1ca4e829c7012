# SPDX-License-Identifier: MIT
"""Errors for failed builds: the reason, and its position in the module's sources."""

from __future__ import annotations

import re
from collections.abc import Iterable

from vmlab.errors import BuildError, UsageError, hides_frames
from vmlab.image.image import BUILD_DIRECTORY
from vmlab.module.source import Source
from vmlab.reason.build import BuildReason, build_reason

__tracebackhide__ = hides_frames

_SHOWN_LINES, _SHOWN_CHARACTERS = 25, 16_384
_SOURCES = (".c", ".h", ".S", ".rs")


def build_failure(source: Source, release: str, output: str) -> BuildError:
    """Error for a failed build with this output; its `source` is set if the reason is in one of the module's
    files."""
    reason = build_reason(output, directory=f"{BUILD_DIRECTORY}/{source.build_name}", files=source.files)
    why = f": {reason.text}" if reason.text else ""
    failure = BuildError(f"{source.name} does not build on {release}{why}", detail=_end_of(output, _SHOWN_LINES))
    failure.output = output
    failure.source = reason.place or _place_of(reason, source)
    return failure


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
