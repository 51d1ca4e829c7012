# SPDX-License-Identifier: MIT
"""A description as lines for a terminal, and as plain data. Pure."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from vmlab.decode import unstructure
from vmlab.module.source import Source
from vmlab.module.tree.description import Description, Fact, Module
from vmlab.text import one_line

_WIDTH = 12
_LONGEST = 300


def plain_description(source: Source, description: Description) -> dict[str, Any]:
    """Return a description as plain data; each fact is a table with `value` and `origin`."""
    found: dict[str, Any] = unstructure(description)
    return {"name": source.name, "digest": source.digest, **found}


def description_lines(source: Source, description: Description) -> Iterator[str]:
    """Yield the lines that `vmlab describe` prints: a fact, and the file and line or the setting that it is from."""
    yield _row("tree", f"{source.directory}: {len(source.files)} files", description.tree.origin)
    for fact in description.sources:
        yield _row("source", fact.value, fact.origin)
    for fact in description.prepare:
        yield _row("prepare", fact.value, fact.origin)
    for patch in description.patches:
        condition = f" for releases that match {patch.match!r}" if patch.match else ""
        yield _row("patch", f"{patch.name}{condition}", patch.origin)
    for name, fact in description.make.items():
        yield _row("make", f"{name}={fact.value}", fact.origin)
    for module in description.modules:
        yield _row("module", _module_words(module), module.origin)
    for name, fact in description.parameters.items():
        yield _row("load with", f"{name}={fact.value}", fact.origin)
    for parameter in description.declared:
        yield _row("parameter", f"{parameter.name} ({parameter.type or 'of its own type'})", parameter.origin)
    for word, facts in _lists(description):
        for fact in facts:
            yield _row(word, fact.value, fact.origin)
    for name, fact in description.files.items():
        yield _row("file", f"{name} from {fact.value}", fact.origin)
    for each in description.restrictions:
        yield _row("only for", f"{each.directive.lower()} {each.value}", each.origin)
    for note in description.notes:
        yield _row("note", note, "")
    for line in description.unclear:
        yield _row("unclear", line, "")


def _lists(description: Description) -> tuple[tuple[str, tuple[Fact[str], ...]], ...]:
    return (
        ("firmware", description.firmware),
        ("package", description.packages),
        ("device", description.devices),
        ("needs", description.needs),
    )


def _module_words(module: Module) -> str:
    place = "" if module.location == "." else f" in {module.location}"
    condition = f", if {module.condition}=m" if module.condition else ""
    return f"{module.name}{place}{condition}"


def _row(word: str, text: str, origin: str) -> str:
    said = one_line(text, longest=_LONGEST)
    return f"{word:<{_WIDTH}}{said}{f'  [{one_line(origin, longest=_LONGEST)}]' if origin else ''}"
