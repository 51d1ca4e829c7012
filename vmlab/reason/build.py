# SPDX-License-Identifier: MIT
"""Reason of a failed build: the first line of its output that is a cause, not a consequence. Pure.

Messages of gcc 10 to 14, clang, binutils and lld, GNU make 4.2 to 4.4, and scripts/ of Linux 5.10 to 7.3, all with
LC_ALL=C.
"""

from __future__ import annotations

import posixpath
import re
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass

from vmlab.text import lines_of, one_line


@dataclass(frozen=True, slots=True, kw_only=True)
class BuildReason:
    """Reason as one line, and the position in the tree that it names."""

    text: str = ""
    """Reason; empty when nothing was printed."""
    place: str = ""
    """Position in the tree, `src/fib.c:42`; empty when the line does not name one."""
    symbol: str = ""
    """Symbol that modpost or objtool reports."""
    object: str = ""
    """Object that modpost or objtool reports, `src/fib.o`."""
    message: str = ""
    """The line's own words without its position: `'x' undeclared (first use in this function)`."""
    context: tuple[str, ...] = ()
    """Lines of a compiler's message that follow it: code, notes, expansions of macros."""
    is_own: bool = False
    """True if the line names a file of the tree."""


@dataclass(frozen=True, slots=True, kw_only=True)
class _Line:
    text: str
    directory: str
    """Working directory of make; empty when unknown."""


_FIRST_LINES, _LAST_LINES = 40_000, 10_000
"""Lines that are examined: a build of 64 MiB of sources prints less than 1 MiB."""
_MOST_CONTEXT = 24
"""Lines that are kept of a compiler's message; one in a nested macro of the kernel has some fifteen."""
_LONGEST_MESSAGE = 1000
"""Length of a message in characters: two types of functions have 300."""
_MOST_LEVELS = 50
"""Levels of make whose directories are kept: Kbuild calls itself once for each directory."""

# A program's name, with optional directory, target and version: `/usr/bin/x86_64-linux-gnu-ld.bfd`.
_TOOL = r"(?:\S*/)?(?:[\w.+-]*-)?{}(?:\.\w+)?(?:-[\d.]+)?"

_CONSEQUENCES = re.compile(
    r"all warnings being treated as errors|some warnings being treated as errors|linker command failed"
    r"|ld returned \d+ exit status|aborting due to|could not compile|too many errors emitted|compilation terminated"
    r"|Section mismatches detected|warning\(s\) upgraded to errors|recipe for target .* failed"
    r"|suppressed \d+ unresolved symbol warnings"
)
_FAILED = re.compile(
    r"make(?:\[\d+\])?: \*\*\* \[(?:[^\s:]+:\d+: ?)?(?P<target>[^\]]*)\] "
    r"(?:Error (?P<status>\d+)|(?P<signal>[A-Z][\w ]*))"
)
_MAKES_OWN = re.compile(
    r"make(?:\[\d+\])?: (?:\*\*\* (?:\[|Waiting |Deleting )|(?:Entering|Leaving) directory|Nothing )"
)
_ENTERING = re.compile(r"make(?:\[(?P<level>\d+)\])?: (?P<what>Entering|Leaving) directory [`'](?P<directory>.*)'$")
_STEP = re.compile(r" {2}(?P<step>[A-Z][A-Z0-9_]+(?: +\[\w+\])?) +(?P<target>\S+)$")
_CODE = re.compile(
    r" *\d* \| | +[|~^]|.*: (?:warning|note): |In file included from | +(?:from|inlined from) |.*: In function "
)
_CHATTER = re.compile(
    r"\s*$|.*(?:[Ww]arning: |WARNING: )|  The kernel was built by: |  You are using: |Skipping BTF generation"
    r"|  Building modules, stage 2|.*: (?:At top level|Assembler messages):|Set CONFIG_SECTION_MISMATCH|\s+Run 'make"
    r"|Try to disable |\d+ (?:errors?|warnings?)\b.* generated|.*has modification time .* in the future"
)
_OBJTOOL_WARNING = re.compile(r".*: warning: objtool: ")
_MISMATCH = re.compile(r"WARNING: modpost: (?P<text>.*[Ss]ection mismatch in reference.*)")
_INCLUDED = re.compile(r"(?:In file included from| +from| +inlined from .* at) (?P<file>[^\s:]+):(?P<line>\d+)")
_EXPANSION = re.compile(r"(?P<file>[^\s:]+):(?P<line>\d+):\d+: note: (?:in expansion of macro|expanded from macro)")
_RUST_PLACE = re.compile(r" *--> (?P<file>[^\s:]+):(?P<line>\d+):\d+")

_DIAGNOSTIC = re.compile(
    r"(?P<file>[^\s:]+|\{standard input\}):(?P<line>\d+)(?::\d+)?: "
    r"(?:(?:fatal )?[Ee]rror: |(?=internal compiler error: |sorry, unimplemented: ))(?P<text>.*)"
)
_COMPLAINTS = tuple(
    re.compile(pattern)
    for pattern in (
        # Linkers; the line before, `ld: x.o: in function 'f':`, adds nothing.
        r"(?:" + _TOOL.format("ld") + r": ?)?(?P<text>(?:\S*:)?(?P<file>[^\s:]+):(?:(?P<line>\d+)|\([^\s()]+\)): "
        r"(?:undefined reference to|multiple definition of) .*)",
        r"(?P<text>" + _TOOL.format("ld") + r": ?(?!.*(?:warning|note|NOTE): )(?!.*: in function )\S.*)",
        r"(?P<text>" + _TOOL.format("as") + r": (?!.*[Ww]arning: ).*)",
        # Any program: `cc1: error: `, `gcc-12: fatal error: `, `ld.lld: error: `, `x.o: error: objtool: `.
        r"(?P<text>[^\s:]+: (?:fatal |internal compiler )?error: .*)",
        r"(?P<text>cc1: out of memory .*)",
        r"error(?:\[E\d+\])?: (?P<text>.*)",  # rustc, and clang about its options
        r"\s*(?:\*\*\* +)?(?:ERROR|FATAL): (?:modpost: )?(?P<text>.*)",
        r"(?:\*\*\* +)(?P<text>The present kernel configuration has modules disabled.*)",
        r"(?P<text>FAILED:? .*|BTF: .* is not available)",  # resolve_btfids, link-vmlinux.sh
        r"(?P<text>(?P<file>[^\s:]+):(?P<line>\d+): \*\*\* .*)",
        # A bound, because each occurrence of a name would be extended to the end of the line.
        r"(?P<text>(?P<file>[^\s:]*(?:[Mm]akefile|Kbuild|\.mk)[^\s:/]{0,40}):(?P<line>\d+): "
        r".*: No such file or directory)",
        r"make(?:\[\d+\])?: \*\*\* (?P<text>(?!\[|Waiting |Deleting ).*)",
    )
)
_STOP = re.compile(r"\.?\s+Stop\.$")
_SYMBOL = re.compile(
    r"\"(?P<undefined>\w+)\" \[.*\] undefined!|symbol '(?P<missing>\w+)' undefined!|GPL-only symbol '(?P<gpl>\w+)'"
    r"|uses symbol (?P<named>\w+) from namespace|objtool: (?P<function>\w+)"
)
"""A missing symbol in quotation marks up to 7.2, in apostrophes since 7.3."""
_OBJECT = re.compile(
    r"(?P<checked>\S+\.o): (?:error|warning): objtool: |missing MODULE_LICENSE\(\) in (?P<unlicensed>\S+\.o)"
)


def build_reason(output: str, *, directory: str, files: Collection[str]) -> BuildReason:
    """Find the reason in the output of a failed build of the tree `files` in `directory`.

    In this order: an error message; a section mismatch, if these are errors; the last message of the step that failed
    first; that step; the last line.
    """
    lines = list(_with_directories(output))
    tree = _Tree(directory, files)
    for index, line in enumerate(lines):
        for cause in (_DIAGNOSTIC, *_COMPLAINTS):
            match = cause.match(line.text)
            if match is not None and not _CONSEQUENCES.search(line.text):
                return _caused(match, cause, lines, index, tree)
    if "Section mismatches detected" in output:
        mismatch = next((match for line in lines if (match := _MISMATCH.match(line.text))), None)
        if mismatch is not None:
            return _told(mismatch["text"], tree)
    failed = next(((index, match) for index, line in enumerate(lines) if (match := _FAILED.match(line.text))), None)
    if failed is not None:
        return _of_step(lines, *failed, tree)
    last = next((line.text for line in reversed(lines) if line.text.strip() and not _MAKES_OWN.match(line.text)), "")
    return _told(last, tree)


class _Tree:
    """Files of the build, and their directory."""

    def __init__(self, directory: str, files: Collection[str]) -> None:
        self._directory = directory
        self._files = frozenset(files)
        self._inside = re.compile(rf"(?<![\w./-]){re.escape(directory)}/")

    def relative(self, text: str) -> str:
        return self._inside.sub("", text)

    def file(self, name: str, working_directory: str = "") -> str:
        """File of the tree that a path in the output names; empty when it is outside the tree."""
        path = posixpath.normpath(posixpath.join(working_directory or self._directory, name))
        own = path.removeprefix(f"{self._directory}/")
        if own in self._files:
            return own
        # A compiler may also get paths relative to the tree. Makefiles are excluded: every tree has that name.
        is_makes = re.search(r"(?:^|/)(?:[Mm]akefile|Kbuild)[^/]*$", name)
        return name if name in self._files and not is_makes else ""


def _with_directories(output: str) -> Iterator[_Line]:
    entered: dict[int, str] = {}
    directory = ""
    # If a program's output ends without a newline, make's next message is on the same line.
    for text in lines_of(re.sub(r"(?<=[^\n])(?=make(?:\[\d+\])?: \*\*\* \[)", "\n", _excerpt(output))):
        match = _ENTERING.match(text)
        if match is not None and (level := int(match["level"] or 0)) < _MOST_LEVELS:
            if match["what"] == "Entering":
                entered[level] = match["directory"]
            else:
                entered.pop(level, None)
            directory = entered[max(entered)] if entered else ""
        yield _Line(text=text, directory=directory)


def _excerpt(output: str) -> str:
    lines = output.split("\n")
    if len(lines) <= _FIRST_LINES + _LAST_LINES:
        return output
    return "\n".join([*lines[:_FIRST_LINES], *lines[-_LAST_LINES:]])


def _caused(
    match: re.Match[str], cause: re.Pattern[str], lines: Sequence[_Line], index: int, tree: _Tree
) -> BuildReason:
    groups = match.groupdict()
    text = _STOP.sub("", match["text"])
    place = _place(groups.get("file"), groups.get("line"), lines[index].directory, tree)
    if cause is _DIAGNOSTIC:
        is_lost = match["file"].startswith(("/tmp/", "{", "<"))
        where = "assembler" if is_lost else place or f"{tree.relative(match['file'])}:{match['line']}"
        return BuildReason(
            text=one_line(f"{where}: {tree.relative(text)}"),
            place=place or _nearest_place(lines, index, tree),
            message=one_line(tree.relative(text), longest=_LONGEST_MESSAGE),
            context=tuple(_context(lines, index)),
            is_own=bool(place),
        )
    if groups.get("file") is None and text != match.string:
        place = place or next((_place_in(line, _RUST_PLACE, tree) for line in lines[index + 1 : index + 3]), "")
    told = _told(text, tree, place=place)
    if text.endswith("undefined!"):
        named = (_SYMBOL.search(line.text) for line in lines if line.text.endswith("undefined!"))
        symbols = {found["undefined"] or found["missing"] for found in named if found is not None}
        if len(symbols) > 1:
            return _told(text, tree, more=f" (and {len(symbols) - 1} more)")
    return told


def _context(lines: Sequence[_Line], index: int) -> Iterator[str]:
    """Yield the code and notes below a diagnostic."""
    for line in lines[index + 1 : index + 1 + _MOST_CONTEXT]:
        if not _CODE.match(line.text) or ": warning: " in line.text:
            return
        yield line.text


def _told(text: str, tree: _Tree, *, place: str = "", more: str = "") -> BuildReason:
    # Remove the path of a program.
    line = tree.relative(re.sub(r"^/(?:usr/)?(?:local/)?s?bin/(?!sh:|bash:)", "", text.strip()))
    symbol, complained = _SYMBOL.search(line), _OBJECT.search(line)
    return BuildReason(
        text=one_line(line) + more,
        place=place,
        message=one_line(line, longest=_LONGEST_MESSAGE),
        is_own=bool(place),
        symbol=next((name for name in symbol.groups() if name), "") if symbol else "",
        object=next((name for name in complained.groups() if name), "") if complained else "",
    )


def _of_step(lines: Sequence[_Line], index: int, failed: re.Match[str], tree: _Tree) -> BuildReason:
    """Reason from the last message before the first failed target, or from its step if nothing was printed."""
    target = failed["target"]
    how = f"status {failed['status']}" if failed["status"] else f"{failed['signal'].strip()!r}"
    begun, step = 0, ""
    for number, line in enumerate(lines[:index]):
        match = _STEP.match(line.text)
        if match is not None and posixpath.basename(match["target"]) == posixpath.basename(target):
            begun, step = number, " ".join(match["step"].split())
    shown = f"{tree.relative(target)}: {step}" if step else tree.relative(target)
    words = next((line for line in reversed(lines[begun:index]) if _tells(line.text)), None)
    if words is None:
        return BuildReason(text=one_line(f"{shown} ended with {how} and printed nothing"))
    return _told(words.text, tree, more=f" ({one_line(shown)} ended with {how})")


def _tells(text: str) -> bool:
    if _OBJTOOL_WARNING.match(text):
        return True
    is_noise = any(noise.match(text) for noise in (_CHATTER, _CODE, _STEP, _MAKES_OWN))
    return not is_noise and not _CONSEQUENCES.search(text)


def _place(file: str | None, line: str | None, working_directory: str, tree: _Tree) -> str:
    own = tree.file(file, working_directory) if file and line else ""
    return f"{own}:{line}" if own else ""


def _place_in(line: _Line, pattern: re.Pattern[str], tree: _Tree) -> str:
    match = pattern.match(line.text)
    return _place(match["file"], match["line"], line.directory, tree) if match else ""


def _nearest_place(lines: Sequence[_Line], index: int, tree: _Tree) -> str:
    """Position in the tree that leads to a diagnostic in a foreign header: a macro's use, else an include."""
    for line in lines[index + 1 :]:
        if not _CODE.match(line.text):
            break
        place = _place_in(line, _EXPANSION, tree)
        if place:
            return place
    for line in reversed(lines[:index]):
        if not (_CODE.match(line.text) or line.text.endswith((":", ","))):
            break
        place = _place_in(line, _INCLUDED, tree)
        if place:
            return place
    return ""
