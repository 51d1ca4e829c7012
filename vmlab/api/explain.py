# SPDX-License-Identifier: MIT
"""Explanation of a complaint about a name, from the map: the change of the kernel's API behind it. Pure.

The map names the two neighbouring lines that were looked at, never a release between them. What it does not know is
reported as unknown.
"""

from __future__ import annotations

import difflib
import re
from dataclasses import dataclass, replace
from enum import StrEnum

from vmlab.api.history import History, Rows, States, Step, arguments, is_other_call, is_other_result
from vmlab.api.rows import Kind
from vmlab.catalogue.release import line_of


class Topic(StrEnum):
    """Complaint of the compiler or modpost about a name."""

    FUNCTION = "function"
    """It is called and not declared."""
    SYMBOL = "symbol"
    """modpost finds no module or kernel that exports it."""
    CALL = "call"
    """Its arguments, or the use of its result, do not fit."""
    IDENTIFIER = "identifier"
    TYPE = "type"
    MEMBER = "member"
    """A structure, `owner`, lacks the member."""
    MEMBER_TYPE = "member type"
    """A value of another type is assigned to the member of `owner`."""
    HEADER = "header"
    REDEFINED = "redefined"
    """The module defines a name that the kernel declares too."""
    NAMESPACE = "namespace"
    """The symbol is in a namespace, `owner`, that the module does not import."""
    GPL_ONLY = "GPL-only"


@dataclass(frozen=True, slots=True, kw_only=True)
class Question:
    """A complaint about a name on one kernel."""

    topic: Topic
    name: str
    owner: str = ""
    """Structure of a member without keyword, or namespace of a symbol."""
    line: str
    """Kernel line, `6.12`."""
    is_cloud: bool = False
    """True on Debian's cloud flavour; the map's structures are those of the generic one."""


class Cause(StrEnum):
    """Cause of a complaint, as far as the map knows."""

    API_CHANGED = "the kernel's API changed"
    NOT_CONFIGURED = "this kernel is configured without it"
    UNCHANGED = "no change is known"
    """The map has the name, in the same form before and after."""
    UNKNOWN = "unknown"
    """The map does not have the name."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Explanation:
    """Cause of a complaint and a sentence about it."""

    cause: Cause
    text: str = ""
    """One or two clauses without a full stop; empty if there is nothing to say."""
    option: str = ""
    """Option that the cloud flavour lacks: `CONFIG_USB_SUPPORT`."""
    step: Step | None = None
    """Neighbours between which the API changed; None for any other cause."""


_SUCCESSION = {"=": "takes its place", "~": "has the same type", "+": "is new there"}
_KERNELS_OWN = re.compile(r"(?:linux|asm|asm-generic|net|drm|media|sound|scsi|crypto|rdma|trace|video|acpi|uapi|xen)/")
_HEADERS_LISTED = ("linux/", "net/", "asm/")


def explain(question: Question, history: History) -> Explanation:
    """Return the map's explanation: a lookup unpacks one to three blocks, below 50 ms."""
    at = history.position(question.line)
    name = question.name
    rows = history.api.rows(name)
    match question.topic:
        case Topic.FUNCTION | Topic.IDENTIFIER:
            return _missing_name(question, history, rows, at)
        case Topic.SYMBOL:
            return _missing_symbol(question, history, rows, at)
        case Topic.CALL:
            return _other_form(history, rows, name, at)
        case Topic.TYPE:
            return _missing(question, history, history.types(rows), f"{_keyword(history, rows, at)}{name}", at, rows)
        case Topic.MEMBER | Topic.MEMBER_TYPE:
            return _member(question, history, at)
        case Topic.HEADER:
            return _missing_header(question, history, rows, at)
        case Topic.REDEFINED:
            return _redefined(history, rows, name, at)
        case Topic.NAMESPACE:
            return _exported_otherwise(history, rows, question, at, 1)
        case Topic.GPL_ONLY:
            return _exported_otherwise(history, rows, question, at, 0)


def _missing_name(question: Question, history: History, rows: Rows, at: int) -> Explanation:
    name = question.name
    is_function = question.topic is Topic.FUNCTION or _is_function(rows)
    states = history.callables(rows) if question.topic is Topic.FUNCTION else history.identifiers(rows)
    shown = f"`{name}()`" if is_function else f"`{name}`"
    header = history.value(rows, Kind.HEADER, at)
    off = _not_configured(question, history, rows, shown, at)
    if off is not None:
        return off
    if history.is_there(states, at, question.line) and header is not None and not header.startswith("u"):
        return Explanation(cause=Cause.UNCHANGED, text=f"{_first_path(header)} declares {shown}")
    return _missing(question, history, states, shown, at, rows)


def _missing_symbol(question: Question, history: History, rows: Rows, at: int) -> Explanation:
    shown = f"`{question.name}()`" if _is_function(rows) else f"`{question.name}`"
    found = _not_configured(question, history, rows, shown, at)
    if found is not None:
        return found
    states = history.exports(rows)
    if not any(states) and Kind.HEADER in rows:
        path = _first_path(history.value(rows, Kind.HEADER, at) or "")
        return Explanation(
            cause=Cause.UNKNOWN,
            text=f"{path} declares {shown}, but it is exported to modules in no line {_looked_at(history)}",
        )
    return _missing(question, history, states, shown, at, rows)


def _not_configured(question: Question, history: History, rows: Rows, shown: str, at: int) -> Explanation | None:
    """Explain that only the generic flavour exports a symbol; None if that is not so."""
    lacking = rows[Kind.LACKING].values[at] if Kind.LACKING in rows and at >= 0 else None
    if lacking is None or not question.is_cloud:
        return None
    line = history.lines[at].line
    if lacking == "-":
        text = f"the generic flavour of {line} exports {shown}, the cloud flavour does not"
        return Explanation(cause=Cause.NOT_CONFIGURED, text=text)
    text = f"{lacking} is off in {line} cloud; the generic flavour exports {shown}"
    return Explanation(cause=Cause.NOT_CONFIGURED, text=text, option=lacking)


def _missing(question: Question, history: History, states: States, shown: str, at: int, rows: Rows) -> Explanation:
    """Explain that something is missing: gone, not there yet, or in no line."""
    if history.is_there(states, at, question.line):
        return Explanation(cause=Cause.UNCHANGED)
    step = history.loss(states, at) if at >= 0 else None
    if step is not None:
        text = f"{shown} is there in {step.older.line} and gone in {step.newer.line}{_successor(history, rows, step)}"
        return Explanation(cause=Cause.API_CHANGED, text=text, step=step)
    step = history.gain(states, at)
    if step is not None:
        return Explanation(
            cause=Cause.API_CHANGED,
            text=f"{step.older.line} lacks {shown}, it is there in {step.newer.line}",
            step=step,
        )
    if any(states):
        return Explanation(cause=Cause.UNCHANGED)
    return Explanation(cause=Cause.UNKNOWN, text=f"no kernel line {_looked_at(history)} has {shown}")


def _successor(history: History, rows: Rows, step: Step) -> str:
    row = rows.get(Kind.SUCCESSOR)
    first = line_of(step.newer.line)
    for line, value in zip(history.lines, row.values if row is not None else (), strict=False):
        if value is not None and line_of(line.line) >= first:
            brackets = "" if "." in (row.name if row is not None else "") else "()"
            name = f"`{value[1:]}{brackets}`"
            return f"; {name} {_SUCCESSION.get(value[0], 'is near')}"
    return ""


def _other_form(history: History, rows: Rows, name: str, at: int) -> Explanation:
    forms = history.forms(rows)
    step = history.nearest_step(history.steps(forms, is_other_call), at)
    if step is not None:
        before, after = arguments(step.before), arguments(step.after)
        if before != after:
            plural = "" if before == "1" else "s"
            text = f"`{name}()` takes {before} argument{plural} in {step.older.line} and {after} in {step.newer.line}"
            return Explanation(cause=Cause.API_CHANGED, text=f"{text}{_shown_form(step.after)}", step=step)
        return Explanation(cause=Cause.API_CHANGED, text=_two_forms(f"`{name}()`", step), step=step)
    step = history.nearest_step(history.steps(forms, is_other_result), at)
    if step is not None:
        return Explanation(cause=Cause.API_CHANGED, text=_two_forms(f"`{name}()`", step), step=step)
    if not rows:
        return Explanation(cause=Cause.UNKNOWN)
    shown = next((form for form in reversed(forms[: at + 1]) if form), "")
    return Explanation(cause=Cause.UNCHANGED, text=f"`{name}()`{_shown_form(shown)}" if _shown_form(shown) else "")


def _member(question: Question, history: History, at: int) -> Explanation:
    owner = history.api.rows(question.owner)
    member = history.api.rows(f"{question.owner}.{question.name}")
    keyword = _keyword(history, owner, at) or "struct "
    shown = f"`{question.name}` of {keyword}{question.owner}"
    states = history.members(owner, member)
    if question.topic is Topic.MEMBER_TYPE:
        row = member.get(Kind.MEMBER)
        forms = [value or "" for value in row.values] if row is not None else []
        step = history.nearest_step(history.steps(forms, str.__ne__), at)
        if step is not None:
            return Explanation(cause=Cause.API_CHANGED, text=_two_forms(shown, step), step=step)
        return Explanation(cause=Cause.UNCHANGED if row is not None else Cause.UNKNOWN)
    if question.is_cloud and at >= 0 and states[at]:
        return Explanation(
            cause=Cause.NOT_CONFIGURED,
            text=f"the generic flavour of {history.lines[at].line} has {shown}, the cloud flavour does not",
        )
    if not any(states):
        return Explanation(cause=Cause.UNKNOWN)
    return _missing(question, history, states, shown, at, member)


def _missing_header(question: Question, history: History, rows: Rows, at: int) -> Explanation:
    name = question.name
    states = history.files(rows)
    if any(states):
        found = _missing(question, history, states, name, at, rows)
        moved = _same_file(history, name) if found.cause is Cause.API_CHANGED else ""
        return replace(found, text=f"{found.text}{f'; {moved} is there' if moved else ''}")
    if not _KERNELS_OWN.match(name):
        return Explanation(cause=Cause.UNKNOWN)
    near = difflib.get_close_matches(name, list(_headers(history, name)), n=1, cutoff=0.85)
    if near:
        return Explanation(cause=Cause.UNKNOWN, text=f"did you mean {near[0]}?")
    return Explanation(cause=Cause.UNKNOWN, text=f"no kernel line {_looked_at(history)} has {name}")


def _same_file(history: History, name: str) -> str:
    """Return a header of the newest line with the same last name, in another of the usual directories."""
    last = name.rpartition("/")[2]
    for directory in _HEADERS_LISTED:
        path = f"{directory}{last}"
        if path != name and history.files(history.api.rows(path))[-1]:
            return path
    return ""


def _headers(history: History, name: str) -> set[str]:
    directory = name.rpartition("/")[0]
    return {
        row.name
        for row in history.api.rows_below(f"{directory}/")
        if row.kind is Kind.FILE and row.name.rpartition("/")[0] == directory
    }


def _redefined(history: History, rows: Rows, name: str, at: int) -> Explanation:
    states = history.identifiers(rows)
    new = next((n for n, state in enumerate(states) if state and False in states[:n]), None)
    if at < 0 or not states[at] or new is None or new > at:
        return Explanation(cause=Cause.UNCHANGED if any(states) else Cause.UNKNOWN)
    older = max(n for n in range(new) if states[n] is False)
    shown = f"`{name}()`" if _is_function(rows) else f"`{name}`"
    return Explanation(
        cause=Cause.API_CHANGED,
        text=f"{shown} is new in {history.lines[new].line}; {history.lines[older].line} lacks it",
    )


def _exported_otherwise(history: History, rows: Rows, question: Question, at: int, word: int) -> Explanation:
    """Explain a namespace, word 1 of an export, or a restriction to GPL modules, word 0."""
    row = rows.get(Kind.EXPORT)
    forms = [value.split(" ")[word] if value is not None else "" for value in row.values] if row is not None else []
    step = history.nearest_step(history.steps(forms, str.__ne__), at)
    if row is None or step is None or line_of(step.newer.line) > line_of(question.line):
        # A GPL-only symbol was one before: the module's license is the mistake.
        is_new = question.topic is Topic.NAMESPACE and row is not None
        text = f"`{question.name}` is in namespace {question.owner} in all lines with it" if is_new else ""
        return Explanation(cause=Cause.UNCHANGED if row is not None else Cause.UNKNOWN, text=text)
    if question.topic is Topic.GPL_ONLY:
        text = f"`{question.name}` is for GPL modules only since {step.newer.line}; in {step.older.line} it is for all"
        return Explanation(cause=Cause.API_CHANGED, text=text)
    text = f"`{question.name}` is in namespace {question.owner} in {step.newer.line}, and in none in {step.older.line}"
    return Explanation(cause=Cause.API_CHANGED, text=text)


def _is_function(rows: Rows) -> bool:
    return Kind.PROTOTYPE in rows or any(value not in (None, "-") for value in _all(rows, Kind.MACRO))


def _all(rows: Rows, kind: Kind) -> tuple[str | None, ...]:
    return rows[kind].values if kind in rows else ()


def _keyword(history: History, rows: Rows, at: int) -> str:
    word = history.value(rows, Kind.TYPE, at)
    return f"{word} " if word in ("struct", "union", "enum") else ""


def _first_path(header: str) -> str:
    paths = header.partition(":")[2].split(",")
    return next((path for path in paths if path.startswith("linux/")), paths[0])


def _two_forms(shown: str, step: Step) -> str:
    before, after = step.before.removeprefix("~"), step.after.removeprefix("~")
    return f"{shown} is `{before}` in {step.older.line} and `{after}` in {step.newer.line}"


def _shown_form(form: str) -> str:
    return f": `{form.removeprefix('~')}`" if form and not form.startswith("macro ") else ""


def _looked_at(history: History) -> str:
    return f"from {history.lines[0].line} to {history.lines[-1].line}"
