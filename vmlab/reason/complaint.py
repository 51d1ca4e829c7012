# SPDX-License-Identifier: MIT
"""Question to the map of API changes in a message of gcc, clang or modpost. Pure."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator

from vmlab.api.explain import Topic
from vmlab.reason.build import BuildReason

Ask = tuple[Topic, str, str]
"""Topic, name, and the structure of a member or the namespace of a symbol."""
FindStruct = Callable[[str], str]
"""Returns the structure that a variable of the module has as its type; empty if unknown."""

_STRUCT = r"'(?:(?:const|volatile) )*(?:struct|union) (?P<owner>\w+)(?: \*)?(?: \{[^']*)?'"
_NAMED: tuple[tuple[Topic, re.Pattern[str]], ...] = tuple(
    (topic, re.compile(pattern))
    for topic, pattern in (
        (Topic.FUNCTION, r"(?:implicit declaration of|call to undeclared) function '(?P<name>\w+)'"),
        (Topic.SYMBOL, r'"(?P<name>\w+)" \[[^\]]*\] undefined!'),
        (Topic.SYMBOL, r"symbol '(?P<name>\w+)' undefined!"),
        (Topic.CALL, r"too (?:few|many) arguments to function '(?P<name>\w+)'"),
        (Topic.CALL, r'macro "(?P<name>\w+)" (?:passed|requires) \d+ arguments'),
        (Topic.CALL, r"passing argument \d+ of '(?P<name>\w+)' "),
        (Topic.CALL, r"incompatible type for argument \d+ of '(?P<name>\w+)'"),
        (Topic.MEMBER, _STRUCT + r" has no member named '(?P<name>\w+)'"),
        (Topic.MEMBER, r"no member named '(?P<name>\w+)' in " + _STRUCT),
        (Topic.MEMBER, r"field designator '(?P<name>\w+)' does not refer to any field in type " + _STRUCT),
        (Topic.IDENTIFIER, r"'(?P<name>\w+)' undeclared\b"),
        (Topic.IDENTIFIER, r"use of undeclared identifier '(?P<name>\w+)'"),
        (Topic.TYPE, r"unknown type name '(?P<name>\w+)'"),
        (
            Topic.TYPE,
            r"(?:incomplete|undefined) (?:definition of )?type '(?:(?:const|struct|union|enum) )*(?P<name>\w+)'",
        ),
        (
            Topic.HEADER,
            r"(?:fatal error: )?'?(?P<name>[\w./+-]{1,200}\.h)'?(?:: No such file or directory| file not found)",
        ),
        (
            Topic.REDEFINED,
            r"(?:conflicting types for|(?:static )?(?:declaration|redefinition) of) "
            r"'(?:(?:struct|union|enum) )?(?P<name>\w+)'",
        ),
        (Topic.REDEFINED, r"'(?P<name>\w+)' redeclared as different kind of symbol"),
        (Topic.REDEFINED, r"redeclaration of (?:enumerator )?'(?P<name>\w+)'"),
        (Topic.REDEFINED, r'"(?P<name>\w+)" redefined'),
        (Topic.NAMESPACE, r"uses symbol (?P<name>\w+) from namespace (?P<owner>\w+), but does not import it"),
        (Topic.GPL_ONLY, r"uses GPL-only symbol '(?P<name>\w+)'"),
    )
)
_UNFIT = re.compile(
    r"initialization of |incompatible types when (?:assigning|initializing)|assignment (?:of read-only|to |discards)"
    r"|incompatible (?:function )?pointer types (?:initializing|assigning)|cannot assign to "
)
_NEAR = re.compile(r"\(near initialization for '(?P<variable>\w+)(?:\[\w*\])?(?:\.[\w<>.]*)?\.(?P<name>\w+)'\)")
_ACCESSED = re.compile(r"\b(?P<variable>\w+)(?:->|\.)(?P<name>\w+)\b[^=]*=")
_RESULT = re.compile(r"(?:=|\breturn|\bif \()\s*!?(?P<name>\w+)\(")
_INCOMPLETE = re.compile(r"storage size of '\w+' isn't known|has incomplete type|incomplete type")
_OF_CODE = re.compile(r"\b(?:struct|union|enum) (?P<name>\w+)")
_MACRO_CALL = re.compile(r"^ *\d* \|\s*(?P<name>[A-Z][A-Z0-9_]{3,})\(")
_HOOKED = "_noprof"
"""Suffix of the functions behind the allocators' macros since v6.10, commit 7bd230a26648."""


def question_of(reason: BuildReason, find_struct: FindStruct) -> Ask | None:
    """Return what to ask the map about a reason; None if it is not about a name of the kernel's."""
    message = reason.message
    for topic, pattern in _NAMED:
        match = pattern.search(message)
        if match is not None:
            return topic, match["name"].removesuffix(_HOOKED), match.groupdict().get("owner") or ""
    if _UNFIT.search(message):
        return _of_member(reason, find_struct)
    if "void value not ignored" in message or "invalid use of void expression" in message:
        name = _first(_RESULT, _code(reason))
        return (Topic.CALL, name, "") if name else None
    if _INCOMPLETE.search(message):
        name = _first(_OF_CODE, [message, *_code(reason)])
        return (Topic.TYPE, name, "") if name else None
    return None


def macro_of(reason: BuildReason) -> str:
    """Return the macro that the reported line of code calls, `MODULE_IMPORT_NS`; empty if it calls none."""
    return _first(_MACRO_CALL, _code(reason))


def _of_member(reason: BuildReason, find_struct: FindStruct) -> Ask | None:
    for line in reason.context:
        match = _NEAR.search(line)
        if match is not None:
            owner = find_struct(match["variable"])
            return (Topic.MEMBER_TYPE, match["name"], owner) if owner else None
    for line in _code(reason):
        match = _ACCESSED.search(line)
        if match is not None:
            owner = find_struct(match["variable"])
            return (Topic.MEMBER_TYPE, match["name"], owner) if owner else None
    return None


def _code(reason: BuildReason) -> list[str]:
    """Return the first line of code below a message."""
    return [line for line in reason.context if re.match(r" *\d+ \|", line)][:1]


def _first(pattern: re.Pattern[str], lines: list[str]) -> str:
    found: Iterator[re.Match[str] | None] = (pattern.search(line) for line in lines)
    return next((match["name"] for match in found if match is not None), "")
