# SPDX-License-Identifier: MIT
"""Reads a dkms.conf that is a plain list of assignments, as most are. Pure.

dkms sources the file with bash (dkms(8)). A file with anything but assignments is not read here: it raises
`ShellNeeded`, and bash reads it in a build's confinement.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass

from vmlab.errors import UsageError
from vmlab.module.tree.description import Fact

_DIRECTIVES = """
PACKAGE_NAME PACKAGE_VERSION BUILT_MODULE_NAME BUILT_MODULE_LOCATION DEST_MODULE_NAME DEST_MODULE_LOCATION STRIP
MAKE MAKE_MATCH PATCH PATCH_MATCH BUILD_DEPENDS BUILD_DEPENDS_REBUILD BUILD_EXCLUSIVE_KERNEL
BUILD_EXCLUSIVE_KERNEL_MIN BUILD_EXCLUSIVE_KERNEL_MAX BUILD_EXCLUSIVE_ARCH BUILD_EXCLUSIVE_CONFIG OBSOLETE_BY
AUTOINSTALL NO_WEAK_MODULES POST_ADD POST_BUILD POST_INSTALL POST_REMOVE PRE_BUILD PRE_INSTALL
CLEAN REMAKE_INITRD MODULES_CONF MODULES_CONF_OBSOLETES MODULES_CONF_ALIAS_TYPE MODULES_CONF_OBSOLETE_ONLY
"""
DIRECTIVES = tuple(_DIRECTIVES.split())
"""Directives of dkms 3, dkms(8); those of the last line are deprecated."""
DKMS_TREE = "/var/lib/dkms"
"""Value of $dkms_tree, below which dkms builds: $dkms_tree/NAME/VERSION/build."""

Directives = Mapping[str, Mapping[int, Fact[str]]]
"""The values of each directive by index; index 0 of one that is not an array."""

_ASSIGNMENT = re.compile(r"(?:export[ \t]+)?(?P<name>[A-Za-z_]\w*)(?:\[(?P<index>\d{1,4})\])?(?P<add>\+?)=")
_BLANKS = re.compile(r"(?:[ \t\r\n;]|\\\n|(?<![^\s;])#[^\n]*)*")
_REFERENCE = re.compile(r"\$(?:\{(?P<braced>[A-Za-z_]\w*)(?:\[(?P<index>\d{1,4})\])?\}|(?P<bare>[A-Za-z_]\w*))")
_ENDING = " \t\r\n;"
_SHELL = "`&|<>()"
_LONGEST = 1 << 16


class ShellNeeded(Exception):
    """A line that only a shell can evaluate; the text is `FILE:LINE: line`."""


def dkms_variables(release: str, machine: str) -> dict[str, str]:
    """Return the variables that dkms.conf may use (dkms(8), dkms.conf variables)."""
    return {
        "kernelver": release,
        "kernel_source_dir": f"/lib/modules/{release}/build",
        "arch": machine,
        "dkms_tree": DKMS_TREE,
        "source_tree": "/usr/src",
    }


def read_dkms_conf(text: str, file: str, variables: Mapping[str, str]) -> Directives:
    """Read the directives of a dkms.conf.

    Raises `ShellNeeded` if it has more than assignments, `UsageError` for a quote that is not closed.
    """
    return _Reader(text.replace("\r\n", "\n"), file, variables).read()


@dataclass(slots=True)
class _Value:
    text: str
    end: int


class _Reader:
    def __init__(self, text: str, file: str, variables: Mapping[str, str]) -> None:
        self._text, self._file = text, file
        self._known: dict[str, dict[int, str]] = {name: {0: value} for name, value in variables.items()}
        self._found: dict[str, dict[int, Fact[str]]] = {}

    def read(self) -> Directives:
        position = self._blank(0)
        while position < len(self._text):
            match = _ASSIGNMENT.match(self._text, position)
            if match is None:
                raise self._needs_shell(position)
            position = self._blank(self._assign(match))
        return self._found

    def _assign(self, match: re.Match[str]) -> int:
        name, start = match["name"], match.end()
        is_list = self._text[start : start + 1] == "("
        values, end = self._list(start + 1) if is_list else self._one(start)
        if end < len(self._text) and self._text[end] not in _ENDING:
            raise self._needs_shell(match.start())
        known = self._known.setdefault(name, {})
        first = int(match["index"] or 0)
        if is_list and not match["add"]:
            known.clear()
            self._found.pop(name, None)
        if is_list and match["add"]:
            first = max(known, default=-1) + 1
        origin = f"{self._file}:{self._line(match.start())}"
        for index, value in enumerate(values, start=first):
            whole = f"{known.get(index, '')}{value}" if match["add"] and not is_list else value
            known[index] = whole[:_LONGEST]
            if name in DIRECTIVES:
                self._found.setdefault(name, {})[index] = Fact(known[index], origin)
        # A command may follow an assignment on its line: `A=1 program`.
        rest = self._text[end : self._text.find("\n", end) if "\n" in self._text[end:] else len(self._text)]
        if rest.strip(" \t\r") and not re.match(r"\s*(?:;|#)|\s+(?:export\s+)?\w+(?:\[\d+\])?\+?=", rest):
            raise self._needs_shell(match.start())
        return end

    def _one(self, start: int) -> tuple[list[str], int]:
        value = self._value(start)
        return [value.text], value.end

    def _list(self, start: int) -> tuple[list[str], int]:
        values, position = list[str](), self._blank(start)
        while self._text[position : position + 1] != ")":
            if position >= len(self._text):
                raise self._open(start, "(")
            value = self._value(position)
            if value.end == position:
                raise self._needs_shell(position)
            values.append(value.text)
            position = self._blank(value.end)
        return values, position + 1

    def _value(self, start: int) -> _Value:
        """Read one word: plain, quoted and escaped parts, and variables."""
        parts, position = list[str](), start
        while position < len(self._text) and self._text[position] not in _ENDING:
            character = self._text[position]
            if character == ")" and parts:
                break
            if character in _SHELL:
                raise self._needs_shell(position)
            if character == "'":
                end = self._text.find("'", position + 1)
                if end < 0:
                    raise self._open(position, character)
                parts.append(self._text[position + 1 : end])
                position = end + 1
            elif character == '"':
                inner = self._quoted(position + 1)
                parts.append(inner.text)
                position = inner.end
            elif character == "\\":
                parts.append(self._text[position + 1 : position + 2].replace("\n", ""))
                position += 2
            elif character == "$":
                inner = self._variable(position)
                parts.append(inner.text)
                position = inner.end
            else:
                parts.append(character)
                position += 1
        return _Value("".join(parts), position)

    def _quoted(self, start: int) -> _Value:
        parts, position = list[str](), start
        while position < len(self._text) and self._text[position] != '"':
            character = self._text[position]
            if character == "`":
                raise self._needs_shell(position)
            if character == "\\" and self._text[position + 1 : position + 2] in ("$", "`", '"', "\\", "\n"):
                parts.append(self._text[position + 1].replace("\n", ""))
                position += 2
            elif character == "$":
                inner = self._variable(position)
                parts.append(inner.text)
                position = inner.end
            else:
                parts.append(character)
                position += 1
        if position >= len(self._text):
            raise self._open(start - 1, '"')
        return _Value("".join(parts), position + 1)

    def _variable(self, start: int) -> _Value:
        match = _REFERENCE.match(self._text, start)
        if match is None:
            if self._text[start + 1 : start + 2] in ("{", "("):
                raise self._needs_shell(start)
            return _Value("$", start + 1)
        known = self._known.get(match["braced"] or match["bare"], {})
        return _Value(known.get(int(match["index"] or 0), ""), match.end())

    def _blank(self, start: int) -> int:
        match = _BLANKS.match(self._text, start)
        return match.end() if match else start

    def _line(self, position: int) -> int:
        return self._text.count("\n", 0, position) + 1

    def _needs_shell(self, position: int) -> ShellNeeded:
        number = self._line(position)
        line = self._text.split("\n")[number - 1].strip()
        return ShellNeeded(f"{self._file}:{number}: {line[:200]}")

    def _open(self, position: int, quote: str) -> UsageError:
        return UsageError(f"{self._file}:{self._line(position)}: {quote} is not closed", hint="correct this line")
