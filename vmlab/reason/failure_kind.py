# SPDX-License-Identifier: MIT
"""Kind of a failed build, one of six, with the evidence for it. Pure.

The kinds come from the first line of the output that is a cause, and from the map of API changes.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Collection
from dataclasses import dataclass
from enum import StrEnum

from vmlab.api.advice import Advice, AdviceBook
from vmlab.api.explain import Cause, Explanation, Question, Topic, explain
from vmlab.api.history import History
from vmlab.reason.build import BuildReason, build_reason
from vmlab.reason.complaint import macro_of, question_of


class FailureKind(StrEnum):
    """Kind of a failed build, in the words that a report begins with."""

    API_CHANGED = "the kernel's API changed"
    NOT_CONFIGURED = "this kernel is configured without it"
    SOURCE_MISSING = "a source is missing"
    TOOL = "the compiler or build tool"
    MODULE_SAYS_SO = "the module says so itself"
    PLAIN_MISTAKE = "plain mistake"


@dataclass(frozen=True, slots=True, kw_only=True)
class Verdict:
    """Kind of a failed build and its evidence."""

    kind: FailureKind
    reason: BuildReason
    explanation: str = ""
    """Change that the map knows; empty if none."""
    advice: Advice | None = None
    option: str = ""
    """Option that the kernel's flavour lacks."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Knowledge:
    """The map and the advice that explain a failure."""

    history: History
    advice: AdviceBook


@dataclass(frozen=True, slots=True, kw_only=True)
class Tree:
    """The sources of a build."""

    directory: str
    """Directory of the build, as the output names it."""
    files: Collection[str]
    read: Callable[[str], str]
    """Returns the text of a file; empty if it cannot be read."""


_SAYS_SO = re.compile(r"#error\b|static assertion failed")
# GNU make's own words after `*** `; any other are of $(error), src/read.c and src/main.c of make 4.4.
_MAKES_WORDS = re.compile(
    r"missing separator|recipe commences before|commands commence before|missing .?(?:endif|endef|rule|target)"
    r"|extraneous|multiple target|mixed implicit|target pattern|empty variable name|unterminated|insufficient number"
    r"|invalid syntax in conditional|only one .?else|No rule to make target|Recursive variable|prerequisites cannot"
    r"|non-numeric|virtual memory|unknown .* function|No targets|Arguments? |first argument|attempt to|"
    r"multi-?line|[Ee]rror in"
)
_CANNOT_PARSE = re.compile(r"^(?P<file>[^\s:]*):(?P<line>\d+): \*\*\* (?P<text>.*)")
_MISSING_SOURCE = re.compile(
    r"No rule to make target '(?P<target>[^']*)'"
    r"|: (?:fatal )?(?:error: )?(?P<file>[\w./+-]{1,200}\.(?:c|S|s|o|a|mk|rs|lds|bin)): No such file or directory"
    r"|(?:[Mm]akefile|Kbuild)[^\s:/]*:\d+: (?P<included>\S{1,200}): No such file or directory"
    r"|cannot find (?P<library>\S{1,200}?)(?:$|: No such file)"
)
# "Only allowed in C99": Kbuild compiles as gnu89 before v5.18, commit e8c07082a810.
_TOOL = re.compile(
    r"unrecognized (?:command[- ]line )?option|unknown argument: |unrecognized argument|unsupported option"
    r"|cannot load plugin|internal compiler error|sorry, unimplemented|Killed|out of memory|No space left on device"
    r"|: (?:command )?not found|(?:cannot|can't) execute|Permission denied|FAILED:? |resolve_btfids|pahole|BTF: "
    r"|error: objtool|fixdep|unrecognised emulation|unknown emulation|invalid value '.*' in|is not valid for"
    r"|ended with (?:status|')|Segmentation fault|file format not recognized|plugin|LLVM ERROR|Text file busy"
    r"|only allowed in C99|unsupported (?:architecture|reloc)|bad value '|unknown (?:target|-\w+ option)"
    r"|is not supported by this"
)
_NO_MODULES = "The present kernel configuration has modules disabled"
_QUOTED = re.compile(r'^ *\d* \|\s*#\s*include\s+"')
# Headers of C's library that a kernel has no file of the same name for.
_OF_USER_SPACE = re.compile(
    r"(?:std\w+|string|unistd|errno|math|time|signal|pthread|fcntl|assert|ctype|limits|locale|setjmp|wchar|float"
    r"|sys/\w+|arpa/\w+|netinet/\w+|bits/\w+|gnu/\w+)\.h"
)
_MAKES_FILES = re.compile(r"(?:^|/)(?:[Mm]akefile|GNUmakefile|Kbuild)[^/]*$|\.mk$")


def judge(output: str, *, tree: Tree, line: str, is_cloud: bool, knowledge: Knowledge | None) -> Verdict:
    """Return the kind of a failed build on a kernel line, with the first line that tells something.

    Without `knowledge` a changed API is not recognized. Costs a search of the output and a lookup below 50 ms.
    """
    reason = build_reason(output, directory=tree.directory, files=tree.files)
    plain = _without_map(reason, tree)
    if plain is not None:
        return plain
    if knowledge is not None:
        found = _with_map(reason, tree, knowledge, line=line, is_cloud=is_cloud)
        if found is not None:
            return found
    if question_of(reason, _no_struct) is None:
        crlf = "" if reason.context else _carriage_returns(reason, tree)
        if crlf or _TOOL.search(reason.text):
            return Verdict(kind=FailureKind.TOOL, reason=reason, explanation=crlf)
    return Verdict(kind=_of_header(reason) or FailureKind.PLAIN_MISTAKE, reason=reason)


def _without_map(reason: BuildReason, tree: Tree) -> Verdict | None:
    """Return a verdict that needs only the output and the sources."""
    if reason.is_own and _SAYS_SO.match(reason.message):
        return Verdict(kind=FailureKind.MODULE_SAYS_SO, reason=reason)
    if _NO_MODULES in reason.text:
        return Verdict(kind=FailureKind.NOT_CONFIGURED, reason=reason, option="CONFIG_MODULES")
    makes = _CANNOT_PARSE.match(reason.text)
    if makes is not None:
        if _MAKES_WORDS.search(makes["text"]):
            return Verdict(kind=FailureKind.TOOL, reason=reason, explanation=_carriage_returns(reason, tree))
        if reason.is_own:
            return Verdict(kind=FailureKind.MODULE_SAYS_SO, reason=reason)
    missing = _MISSING_SOURCE.search(reason.text)
    if missing is not None:
        crlf = _carriage_returns(reason, tree)
        kind = FailureKind.TOOL if crlf else FailureKind.SOURCE_MISSING
        return Verdict(kind=kind, reason=reason, explanation=crlf)
    return None


def _carriage_returns(reason: BuildReason, tree: Tree) -> str:
    """Name the script or Makefile whose lines end with CRLF; empty if none does."""
    words = {word.rstrip(":") for word in reason.text.split()}
    named = [file for file in tree.files if file in words]
    for file in sorted(named or filter(_MAKES_FILES.search, tree.files)):
        if "\r\n" in tree.read(file):
            return f"the lines of {file} end with CRLF"
    return ""


def _with_map(reason: BuildReason, tree: Tree, knowledge: Knowledge, *, line: str, is_cloud: bool) -> Verdict | None:
    """Return the verdict of the map and the advice; None if they know nothing about the message."""
    asked = question_of(reason, lambda variable: struct_of(variable, tree))
    if asked is None:
        return None
    topic, name, owner = asked
    question = Question(topic=topic, name=name, owner=owner, line=line, is_cloud=is_cloud)
    found = explain(question, knowledge.history)
    is_member = topic in (Topic.MEMBER, Topic.MEMBER_TYPE)
    advice = knowledge.advice.about(f"{owner}.{name}" if is_member else name, line)
    if found.cause is Cause.UNKNOWN and advice is None:
        advice = knowledge.advice.about(macro_of(reason), line)
    if found.cause is Cause.NOT_CONFIGURED:
        return Verdict(kind=FailureKind.NOT_CONFIGURED, reason=reason, explanation=found.text, option=found.option)
    if found.cause is Cause.API_CHANGED or advice is not None:
        return Verdict(kind=FailureKind.API_CHANGED, reason=reason, explanation=_changed(found), advice=advice)
    kind = _of_header(reason) if topic is Topic.HEADER else FailureKind.PLAIN_MISTAKE
    text = "" if kind is FailureKind.SOURCE_MISSING or _is_of_tree(name, tree) else found.text
    return Verdict(kind=kind or FailureKind.PLAIN_MISTAKE, reason=reason, explanation=text)


def _changed(found: Explanation) -> str:
    return found.text if found.cause is Cause.API_CHANGED else ""


def _of_header(reason: BuildReason) -> FailureKind | None:
    """Return the kind of a header that no kernel has: made by a step before the build, or of user space."""
    asked = question_of(reason, _no_struct)
    if asked is None or asked[0] is not Topic.HEADER:
        return None
    is_quoted = any(map(_QUOTED.match, reason.context))
    if not is_quoted and (_OF_USER_SPACE.fullmatch(asked[1]) or "/" in asked[1]) and not asked[1].startswith("."):
        return FailureKind.PLAIN_MISTAKE if not reason.text.startswith("<command") else FailureKind.SOURCE_MISSING
    return FailureKind.SOURCE_MISSING


def _is_of_tree(name: str, tree: Tree) -> bool:
    """True if a file of the module declares or defines a name: it is not the kernel's."""
    word = re.escape(name)
    declared = re.compile(
        rf"^\w[^\n;={{}}()]{{0,200}}\b{word}\s{{0,8}}\(|#\s{{0,8}}define\s{{1,8}}{word}\b", re.MULTILINE
    )
    return any(declared.search(tree.read(file)) for file in tree.files if file.endswith((".c", ".h")))


def struct_of(variable: str, tree: Tree) -> str:
    """Return the structure that a variable of the module is, or points at; empty if unknown."""
    gap = r"\s{0,8}(?:const\s{1,8})?"
    declared = re.compile(rf"\bstruct\s{{1,8}}(\w{{1,200}}){gap}\*?{gap}\b{re.escape(variable)}\b")
    for file in sorted(tree.files):
        if file.endswith((".c", ".h")) and (match := declared.search(tree.read(file))) is not None:
            return match[1]
    return ""


def _no_struct(variable: str) -> str:
    del variable
    return ""
