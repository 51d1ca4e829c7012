# SPDX-License-Identifier: MIT
"""Finds the vmlab commands and options that documents and messages name."""

from __future__ import annotations

import ast
import re
import shlex
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).parents[2]
# Placeholder for a value that a message fills in.
FILLED = "FILLED"
_COMMAND = re.compile(r"(?:^|`|: |\(|\$\(|sudo |\bin/)vmlab (?=[a-z-])([^`\n]*)", re.MULTILINE)
_SPAN = re.compile(r"`([^`\n]+)`")
_FENCE = re.compile(r"^ *```sh\n(.*?)^ *```", re.MULTILINE | re.DOTALL)
_OPTION = re.compile(r"(?<![\w-])--[a-z][a-z0-9-]*")
# Functions that show a message, then titles and sentences that only look like commands.
_TELLING = ("error", "lost", "notice", "say", "print", "write_line", "skip", "fail")
_NO_COMMANDS = re.compile(r"vmlab (?:series$|durations$|results$|does not )")


def documents() -> list[Path]:
    return [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]


def commands_of_document(text: str) -> Iterator[str]:
    """vmlab command lines in a document: in shell blocks, and in code spans that start with `vmlab`."""
    for block in _FENCE.findall(text):
        for line in block.splitlines():
            bare = line.partition("  #")[0].strip()
            start = re.match(r"(?:sudo )?(?:\S*/)?vmlab (?=[a-z-])", bare)
            if start:
                yield bare[start.end() :]
    for span in _SPAN.findall(re.sub(r"```.*?```", "", text, flags=re.DOTALL)):
        if re.match(r"vmlab (?=[a-z-])", span):
            yield span.removeprefix("vmlab ")


def messages(path: Path) -> Iterator[tuple[int, str]]:
    """Every string of a module except its docstrings, with filled-in values replaced by one word."""
    tree = ast.parse(path.read_text(encoding="utf-8"))
    docstrings = {
        id(node.value) for node in ast.walk(tree) if isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant)
    }
    yield from _strings(tree, docstrings)


def told(path: Path) -> Iterator[tuple[int, str]]:
    """Strings of a module that users read: errors, hints, advice, notices and printed text."""
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Call) and ast.unparse(node.func).rpartition(".")[2].lower().endswith(_TELLING):
            for argument in node.args:
                yield from _strings(argument, set())
        if isinstance(node, ast.keyword) and node.arg in ("hint", "advice"):
            yield from _strings(node.value, set())


def _strings(tree: ast.AST, skipped: set[int]) -> Iterator[tuple[int, str]]:
    inner = {
        id(part)
        for node in ast.walk(tree)
        if isinstance(node, ast.JoinedStr)
        for part in node.values
        if isinstance(part, ast.Constant)
    }
    for node in ast.walk(tree):
        if id(node) in skipped | inner:
            continue
        if isinstance(node, ast.Constant) and isinstance(node.value, str):
            yield node.lineno, node.value
        elif isinstance(node, ast.JoinedStr):
            parts = [part.value if isinstance(part, ast.Constant) else FILLED for part in node.values]
            yield node.lineno, "".join(map(str, parts))


def commands_of_message(text: str) -> Iterator[str]:
    """vmlab command lines that a message names."""
    if not _NO_COMMANDS.match(text):
        yield from _COMMAND.findall(text)


def options_of(text: str) -> list[str]:
    return _OPTION.findall(text)


def words_of(command: str) -> list[str]:
    """The words of a command line to run, without the brackets, ellipses and alternatives of its notation."""
    line = re.sub(r"\\\|\S*|\[(?=\S)|(?<=\S)\]|…|\.\.\.$", "", command)
    line = re.split(
        r" (?:\|\|?|>|>>|&&|;|,|or|and|asks|removes|tells|lists|takes|ends|wrote|has|does|to|for)(?: |$)", line
    )[0]
    line = re.split(r"[,;:](?: |$)|\)", line)[0]
    return [_filled(word) for word in shlex.split(line)]


def _filled(word: str) -> str:
    """A number in place of a number's placeholder."""
    return {"N": "2", "SHARE": "0.1"}.get(word, word)
