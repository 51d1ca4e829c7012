# SPDX-License-Identifier: MIT
"""Declarations in a kernel's headers: functions, macros, types and constants, found by their shape.

Not a C parser: code in all branches of `#if` counts, and an odd declaration is left out. What is not found is unknown.
"""

from __future__ import annotations

import functools
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field

_COMMENT = re.compile(r"/\*.*?\*/|//[^\n]*", re.DOTALL)
_DIRECTIVE = re.compile(r"^[ \t]*#[^\n]*", re.MULTILINE)
_DEFINE = re.compile(r"^[ \t]*#[ \t]*define[ \t]+([A-Za-z_]\w*)(\(([^()]*)\))?[ \t]*([^\n]*)", re.MULTILINE)
_BRACE = re.compile(r"[{}]")
_TYPE = re.compile(r"\b(struct|union|enum)\s+([A-Za-z_]\w*)\s*$")
_TYPEDEF = re.compile(
    r"\btypedef\b[^;]*?(?:\(\s*\*\s*(\w+)\s*\)\s*\([^;]*\)|(\w+)\s*(?:\[[^\];]*\]\s*)*)\s*(?:__\w+[^;]*)?$"
)
_FUNCTION = re.compile(r"(?P<returned>[A-Za-z_][\w\s*]*?[\s*])(?P<name>[A-Za-z_]\w*)\s*\(")
_MACRO_CALL = re.compile(r"\s*[A-Z_][A-Z0-9_]+\s*\(")
"""Beginning of a macro that stands before a declaration, without a semicolon."""
_MENTION = re.compile(r"\b(?:([a-z_]\w{2,})\s*\(|([A-Z][A-Z0-9_]{2,})\b)")
_ATTRIBUTE = re.compile(
    r"\b__attribute__\s*\(\((?:[^()]|\([^()]*\))*\)\)|\b(?:__printf|__scanf|__alloc_size|__acquires|"
    r"__releases|__must_hold|__cond_acquires|__aligned|__section|__counted_by|__realloc_size|"
    r"__assume_aligned|__nonstring|__DEFINE|__no_context_analysis)\s*\([^()]*\)"
)
_DROPPED = re.compile(
    r"\b(?:extern|static|inline|asmlinkage|noinline|notrace|register|__always_inline|__inline|__inline__|fastcall|"
    r"__\w*(?:init|exit|user|iomem|rcu|percpu|force|cold|pure|const__|check|malloc|used|unused|noreturn|kernel|safe|"
    r"private|bitwise|kprobes|flatten|noclone|bpf_kfunc|inline|weak|visible|latent_entropy|sched|ref|nocast|restrict))\b|"
    r"\b__(?:meminit|init_or_module|net_init|deprecated|maybe_unused|free|externally_visible|diagnose_as)\b"
)
_BASE = {"unsigned", "signed", "long", "short", "int", "char", "void", "bool", "float", "double", "_Bool"}
_TAGS = {"struct", "union", "enum"}
_KEYWORDS = {"if", "while", "for", "switch", "return", "sizeof", "do", "else", "defined", "typeof", "__typeof__"}
_CALL = re.compile(r"(?:return\s+|\(void\)\s*)?([A-Za-z_]\w*)\s*\(([\w\s,]*)\)\s*;?\s*$")


@dataclass(slots=True)
class Declared:
    """Names that one header, or all of them, declare."""

    prototypes: dict[str, str] = field(default_factory=dict)
    inlines: set[str] = field(default_factory=set)
    macros: dict[str, str] = field(default_factory=dict)
    """Number of parameters by name, `2`, or `1+` with more that vary; `-` without parentheses."""
    aliases: dict[str, str] = field(default_factory=dict)
    """Names that only call another one with their own parameters."""
    types: dict[str, str] = field(default_factory=dict)
    """Keyword by name: struct, union, enum, typedef."""
    constants: set[str] = field(default_factory=set)
    mentioned: set[str] = field(default_factory=set)
    """Names that look like functions or constants in its code, declared or not."""


def declared_in(text: str) -> Declared:
    """Return the declarations of a header: 10 MB take about 2 s."""
    found = Declared()
    text = _COMMENT.sub(" ", text.replace("\\\r\n", " ").replace("\\\n", " "))
    found.mentioned = {call or word for call, word in _MENTION.findall(text)}
    for name, brackets, parameters, body in _DEFINE.findall(text):
        _add_macro(found, name, parameters if brackets else None, body)
    for statement, body in _statements(_DIRECTIVE.sub("", text)):
        _add_statement(found, statement, body)
    return found


def _add_macro(found: Declared, name: str, parameters: str | None, body: str) -> None:
    if parameters is None:
        found.macros.setdefault(name, "-")
        return
    words = [word.strip() for word in parameters.split(",")] if parameters.strip() else []
    varies = bool(words) and words[-1].endswith("...")
    found.macros[name] = f"{len(words) - varies}{'+' if varies else ''}"
    _add_alias(found, name, words, body)


def _add_alias(found: Declared, name: str, words: list[str], body: str) -> None:
    call = _CALL.fullmatch(body.strip())
    if call is not None and call[1] not in _KEYWORDS and call[1] != name:
        passed = [word.strip() for word in call[2].split(",")] if call[2].strip() else []
        if passed == words:
            found.aliases[name] = call[1]


def _statements(text: str) -> Iterator[tuple[str, str | None]]:
    """Yield the statements outside of braces, each with the content of the braces that follow it, or None."""
    depth, start, opened = 0, 0, 0
    for match in _BRACE.finditer(text):
        if match[0] == "{":
            if depth == 0:
                *whole, last = text[start : match.start()].split(";")
                yield from ((statement, None) for statement in whole)
                # The only blocks whose content is at file level.
                if last.rstrip().endswith('extern "C"'):
                    start = match.end()
                    continue
                opened, head = match.end(), last
            depth += 1
        elif depth:
            depth -= 1
            if depth == 0:
                yield head, text[opened : match.start()]
                start = match.end()
        else:
            start = match.end()
    yield from ((statement, None) for statement in text[start:].split(";"))


def _add_statement(found: Declared, statement: str, body: str | None) -> None:
    statement = statement.strip()
    if not statement:
        return
    if body is not None:
        kind = _TYPE.search(_ATTRIBUTE.sub("", re.sub(r"\b__(?:packed|randomize_layout)\b", "", statement)))
        if kind is not None:
            found.types[kind[2]] = kind[1]
        if re.search(r"\benum\b[^()]*$", statement):
            _add_constants(found, body)
            return
        if kind is not None or re.search(r"\b(?:struct|union)\b[^()]*$", statement):
            _add_inner(found, body)
            return
    typedef = _TYPEDEF.search(statement) if "typedef" in statement and body is None else None
    if typedef is not None:
        found.types.setdefault(typedef[1] or typedef[2], "typedef")
        return
    if "(" in statement and "=" not in statement.split("(")[0]:
        _add_function(found, statement, body)


def _add_inner(found: Declared, body: str) -> None:
    """Add the types and constants that are declared inside of a structure."""
    for kind, name in re.findall(r"\b(struct|union|enum)\s+([A-Za-z_]\w*)\s*\{", body):
        found.types.setdefault(name, kind)
    for inner in re.findall(r"\benum\b[^{;()]*\{([^{}]*)\}", body):
        _add_constants(found, inner)


def _add_constants(found: Declared, body: str) -> None:
    for part in re.sub(r"\([^()]*\)", "", re.sub(r"\([^()]*\)", "", body)).split(","):
        name = re.match(r"\s*([A-Za-z_]\w*)\s*(?:__\w+\s*)?(?:=|$)", part)
        if name is not None:
            found.constants.add(name[1])


def _add_function(found: Declared, statement: str, body: str | None) -> None:
    statement = _without_macros(_ATTRIBUTE.sub(" ", statement)).strip()
    match = _FUNCTION.match(statement)
    if match is None or match["name"] in _KEYWORDS or match["name"].startswith("__attribute"):
        return
    end = _closing(statement, match.end())
    returned, name, parameters = match["returned"], match["name"], statement[match.end() : end]
    # What follows a declaration is attributes, not another declarator.
    if end == len(statement) or not re.match(r"\s*(?:$|__\w+|[a-z_]+\()", statement[end + 1 :]):
        return
    is_inline = body is not None or re.search(r"\binline\b|__always_inline", returned) is not None
    shown = _type_of(returned)
    if not shown or shown in ("else", "return", "do"):
        return
    parts = list(_split(parameters)) if parameters.strip() else []
    words = [_name_of(part) for part in parts]
    joined = ", ".join(_parameter(part) for part in parts) or "void"
    separator = "" if shown.endswith("*") else " "
    found.prototypes.setdefault(name, f"{shown}{separator}({joined})")
    if is_inline:
        found.inlines.add(name)
        if body is not None:
            _add_alias(found, name, [word for word in words if word], body)


def _without_macros(statement: str) -> str:
    """Return a statement without the macros that are called before it."""
    while (match := _MACRO_CALL.match(statement)) is not None:
        end = _closing(statement, match.end())
        if not statement[end + 1 :].strip():
            return statement
        statement = statement[end + 1 :]
    return statement


def _closing(text: str, start: int) -> int:
    """Return the index of the bracket that closes the one before `start`; the text's length if none does."""
    depth = 1
    for match in re.compile(r"[()]").finditer(text, start):
        depth += 1 if match[0] == "(" else -1
        if depth == 0:
            return match.start()
    return len(text)


def _split(parameters: str) -> Iterable[str]:
    return _split_deep(parameters) if "(" in parameters or "[" in parameters else parameters.split(",")


def _split_deep(parameters: str) -> Iterator[str]:
    depth, start = 0, 0
    for at, letter in enumerate(parameters):
        depth += (letter in "([") - (letter in ")]")
        if letter == "," and depth == 0:
            yield parameters[start:at]
            start = at + 1
    if parameters[start:].strip():
        yield parameters[start:]


@functools.cache
def _name_of(parameter: str) -> str:
    pointer = re.search(r"\(\s*\*\s*(\w+)\s*\)", parameter)
    if pointer is not None:
        return pointer[1]
    names = re.findall(r"\w+", re.sub(r"\[[^\]]*\]", "", parameter))
    return names[-1] if len(names) > 1 else ""


@functools.cache
def _parameter(text: str) -> str:
    """Return a parameter's type without its name, as BTF shows it."""
    text = " ".join(_DROPPED.sub(" ", _ATTRIBUTE.sub(" ", text)).split())
    if text in ("...", "void"):
        return text
    pointer = re.fullmatch(r"(.*?)\(\s*\*\s*(?:const\s*)?\w*\s*\)\s*\((.*)\)", text, re.DOTALL)
    if pointer is not None:
        inner = ", ".join(_parameter(part) for part in _split(pointer[2])) or "void"
        kind = _type_of(pointer[1])
        return f"{kind}{'' if kind.endswith('*') else ' '}(*)({inner})"
    array = re.sub(r"\s*\[[^\]]*\]", "", text, count=1)
    if array != text:
        text = re.sub(r"(\w+)$", r"*\1", array)
    head, stars, last = re.fullmatch(r"(.*?)([\s*]*)(\w*)", text, re.DOTALL).groups()  # type: ignore[union-attr]
    words = head.split()
    is_type = (
        not words
        or last in _BASE
        or last in ("const",)
        or (words[-1] in _TAGS)
        or (not stars.strip() and all(word in ("const", "volatile") for word in words))
    )
    return _type_of(text if is_type else f"{head}{stars}")


@functools.cache
def _type_of(text: str) -> str:
    """Return a type in the form that BTF has: `unsigned long`, `const struct file *`."""
    text = _DROPPED.sub(" ", text)
    base, stars = re.fullmatch(r"([^*]*)(.*)", " ".join(text.split()), re.DOTALL).groups()  # type: ignore[union-attr]
    words = base.split()
    qualifiers = [word for word in ("const", "volatile") if word in words]
    words = [word for word in words if word not in ("const", "volatile")]
    if words and all(word in _BASE for word in words) and len(words) > 1:
        words = _integer(words)
    elif words in (["unsigned"], ["signed"], ["_Bool"]):
        words = {"unsigned": ["unsigned", "int"], "signed": ["int"], "_Bool": ["bool"]}[words[0]]
    shown = " ".join([*qualifiers, *words])
    pointers = "".join(stars.split()).replace("const", " const ").replace("volatile", " volatile ")
    return f"{shown} {pointers}".strip() if pointers else shown


def _integer(words: list[str]) -> list[str]:
    sizes = [word for word in words if word in ("long", "short", "char")]
    sign = ["unsigned"] if "unsigned" in words else ["signed"] if "signed" in words and "char" in words else []
    return [*sign, *(sizes or ["int"])]
