# SPDX-License-Identifier: MIT
"""Parameters, firmware and languages that source files declare, found in their text. Pure."""

from __future__ import annotations

import re
from collections.abc import Iterable

from vmlab.module.tree.description import Fact, Module, Parameter
from vmlab.module.tree.files import TreeFiles

_PARAMETER = re.compile(
    r"^[ \t]*module_param"
    r"(?P<kind>_named|_array|_array_named|_string|_hw|_hw_named|_hw_array|_unsafe|_named_unsafe|_cb)?"
    r"[ \t]*\((?P<words>[^;)]{1,300})\)",
    re.MULTILINE,
)
"""Macros of include/linux/moduleparam.h."""
_FIRMWARE = re.compile(r'^[ \t]*MODULE_FIRMWARE[ \t]*\([ \t]*"(?P<name>[^"\n]{1,255})"', re.MULTILINE)
_TYPE_AT = {"_named": 2, "_named_unsafe": 2, "_array_named": 2, "_hw_named": 2, "_string": -1, "_cb": -1}
_LARGEST_TOTAL = 16 << 20


def declared_in(tree: TreeFiles, files: Iterable[str]) -> tuple[tuple[Parameter, ...], tuple[Fact[str], ...]]:
    """Return the parameters and the firmware that C files of the tree declare."""
    parameters: dict[str, Parameter] = {}
    firmware: dict[str, Fact[str]] = {}
    left = _LARGEST_TOTAL
    for file in files:
        text = tree.text(f"{tree.root}/{file}") if file.endswith(".c") else None
        if text is None or (left := left - len(text)) < 0:
            continue
        for match in _PARAMETER.finditer(text):
            words = [word.strip() for word in match["words"].split(",")]
            at = _TYPE_AT.get(match["kind"] or "", 1)
            kind = "charp" if match["kind"] == "_string" else words[at] if 0 <= at < len(words) else ""
            kind += "[]" if "_array" in (match["kind"] or "") else ""
            found = Parameter(name=words[0], type=kind, origin=f"{file}:{_line(text, match.start())}")
            parameters.setdefault(words[0], found)
        for match in _FIRMWARE.finditer(text):
            firmware.setdefault(match["name"], Fact(match["name"], f"{file}:{_line(text, match.start())}"))
    return tuple(parameters.values()), tuple(firmware.values())


def rust_source(modules: Iterable[Module]) -> str:
    """Return the first Rust file among the modules' sources; empty if there is none."""
    return next((file for module in modules for file in module.sources if file.endswith(".rs")), "")


def _line(text: str, position: int) -> int:
    return text.count("\n", 0, position) + 1
