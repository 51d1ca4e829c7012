# SPDX-License-Identifier: MIT
"""What a report in the kernel log says besides its first line: call trace, place in the source, process, registers.

Pure, and never raises: a log may be cut, garbled or written on purpose.
"""

from __future__ import annotations

import functools
import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

_SYMBOL = (
    r"(?P<function>[A-Za-z_][\w.$]{0,511})\+0x(?P<offset>[0-9a-f]{1,16})/0x(?P<size>[0-9a-f]{1,16})"
    r"(?: \[(?P<module>[\w-]{1,64})(?: [0-9a-f]{8,40})?\])?"
)
# A frame of a call trace: nothing but a symbol on its line. 5.10 still has addresses before it on some paths; arm64
# puts letters behind it since 6.12 (`(P)`: pt_regs).
_FRAME = re.compile(rf"^\s{{0,8}}(?:\[<[0-9a-f]+>\] )?(?P<guess>\? )?{_SYMBOL}(?: \([A-Z]+\))?\s*$", re.ASCII)
_EXACT = re.compile(rf"^\s{{0,8}}(?:RIP: [0-9a-f]{{4}}:|pc : ){_SYMBOL}", re.ASCII)
_IN_TITLE = re.compile(rf"(?:\bat |\bin |\bfrom |:\d{{1,7}} ){_SYMBOL}", re.ASCII)
# The module loader's own reports, before 6.14 with its function's name.
_LOADED = re.compile(
    r"^(?:do_init_module: '(?P<module>[\w-]{1,64})'->init suspiciously"
    r"|(?P<module2>[\w-]{1,64}): (?:init suspiciously|loading out-of-tree module|module (?:license|verification)) )",
    re.ASCII,
)
# With CONFIG_DEBUG_BUGVERBOSE_DETAILED the condition stands before it, in brackets.
_LOCATION = re.compile(
    r"(?:\bat |\bin |^WARNING: |^(?=\S+ suspicious rcu))(?:\[.{1,200}\] )?"
    r"(?P<file>[\w./+-]{1,200}\.(?:[chS]|rs)):(?P<line>\d{1,7})",
    re.ASCII,
)
# Until Rust 1.73 the message stood in quotes before the place.
_PANICKED = re.compile(r"\bpanicked at (?:'.*', )?(?P<file>[\w./+-]{1,200}\.rs):(?P<line>\d{1,7}):\d", re.ASCII)
_PROCESSES = tuple(
    (literal, re.compile(pattern, re.ASCII))
    for literal, pattern in (
        (" Comm: ", r"\bPID: (?P<pid>\d{1,9}) Comm: (?P<name>.{1,16}?) (?:Not tainted|Tainted|Kdump)"),
        (", CPU#", r", CPU#\d{1,5}: (?P<name>.{1,16})/(?P<pid>\d{1,9})"),
        ("INFO: task ", r"INFO: task (?P<name>.{1,64}):(?P<pid>\d{1,9}) blocked"),
        ("soft lockup", r"\[(?P<name>.{1,16}):(?P<pid>\d{1,9})\]$"),
        ("while atomic: ", r"while atomic: (?P<name>.{1,16})/(?P<pid>\d{1,9})/0x"),
        (" by task ", r" by task (?P<name>.{1,16})/(?P<pid>\d{1,9})$"),
        ("task:", r"^task:(?P<name>.{1,16}?) +state:.*\bpid: *(?P<pid>\d{1,9})"),
    )
)
REGISTERS = r"(?:R(?:IP|SP|AX|DX|BP|10|13)|[FC]S|CR2|DR[03]|PKRU|Code|pc |lr |sp |pstate|x(?:[12]\d|[0-9] )): "
"""How a line with registers begins, on x86 and arm64."""
_REGISTERS = re.compile(rf"\s*{REGISTERS}")
_SUFFIX = re.compile(r"\.(?:isra|constprop|part|cold|llvm|lto_priv)\b.*$")


@dataclass(frozen=True, slots=True, kw_only=True)
class Line:
    """A line of source that a frame's address is made from."""

    file: str
    """Its path in the module's tree, or in the kernel's."""
    line: int
    function: str = ""
    """The function that it is in, which may be inlined in the frame's."""
    is_own: bool = True
    """False for a file of the kernel's or the compiler's."""

    def __str__(self) -> str:
        return f"{self.file}:{self.line}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Frame:
    """One line of a call trace: `function+0x1b/0x40 [module]`."""

    function: str
    offset: int
    size: int
    module: str = ""
    """Empty for the kernel proper."""
    is_guess: bool = False
    """Marked `?`: its address was on the stack, which proves no call."""
    is_exact: bool = False
    """Where the processor was; of the others the address is where the call returns to."""
    lines: tuple[Line, ...] = ()
    """Innermost first, those of inlined functions before their callers'; once the module's debug information was asked.
    """

    def __str__(self) -> str:
        guess = "? " if self.is_guess else ""
        module = f" [{self.module}]" if self.module else ""
        source = f"  {self.source}" if self.source else ""
        return f"{guess}{self.function}+{self.offset:#x}/{self.size:#x}{module}{source}"

    @property
    def own_source(self) -> str:
        """`file.c:42`, the innermost line in the module's own files; empty when there is none, or none is known."""
        return next((str(line) for line in self.lines if line.is_own), "")

    @property
    def source(self) -> str:
        """The same, or where there is none the innermost line in the kernel's."""
        return self.own_source or (str(self.lines[0]) if self.lines else "")

    @property
    def name(self) -> str:
        """The function as it stands in the source, without what a compiler made of its name."""
        return _SUFFIX.sub("", self.function)


def frames_of(lines: Sequence[str]) -> tuple[Frame, ...]:
    """The call trace in a report, innermost first, and the other stacks that it shows, as they stand there: who took
    the memory that SLUB found spoilt comes before who found it. Where the processor was is among them once, and marked.
    """
    found: list[Frame] = []
    others = 0
    for line in lines:
        # Lockdep tells first how the locks were taken before.
        if line == "stack backtrace:":
            others = len(found)
        frame = _frame(line) if "+0x" in line else None
        # After the trace the registers are printed again, and a WARNING's title has said it before.
        if frame is not None and not (frame.is_exact and any(other.is_exact for other in found)):
            found.append(frame)
    return (*found[others:], *found[:others])


def blamed_module(title: str, frames: Iterable[Frame]) -> str:
    """The module whose code was running or had called what was; empty when none is in the report."""
    match = _IN_TITLE.search(title)
    if match is not None and match["module"]:
        return match["module"]
    loaded = _LOADED.match(title)
    if loaded is not None:
        return loaded["module"] or loaded["module2"]
    known = tuple(frames)
    for is_guess in (False, True):
        for frame in known:
            if frame.module and frame.is_guess is is_guess:
                return frame.module
    return ""


def location_of(lines: Sequence[str]) -> str:
    """`mm/slub.c:305`, the first place in the source that a report names; empty when it names none."""
    for line in lines:
        if "." not in line or ":" not in line:
            continue
        match = _PANICKED.search(line) or _LOCATION.search(line) if "panicked at " in line else _LOCATION.search(line)
        if match is not None:
            return f"{match['file'].removeprefix('../')}:{match['line']}"
    return ""


def process_of(lines: Sequence[str]) -> str:
    """`insmod[94]`, the process a report was made in; empty when it names none."""
    whole = "\n".join(lines)
    able = [(literal, pattern) for literal, pattern in _PROCESSES if literal in whole]
    for line in lines if able else ():
        for literal, pattern in able:
            match = pattern.search(line) if literal in line else None
            if match is not None:
                return f"{match['name']}[{match['pid']}]"
    return ""


def registers_of(lines: Iterable[str]) -> str:
    """The lines that show registers, the first set of them."""
    return "\n".join(_first_of_each(line for line in lines if _REGISTERS.match(line)))


def _first_of_each(lines: Iterable[str]) -> Iterator[str]:
    seen: set[str] = set()
    for line in lines:
        name = line.split(":", 1)[0].strip()
        if name not in seen:
            seen.add(name)
            yield line


@functools.lru_cache(maxsize=4096)
def _frame(line: str) -> Frame | None:
    # The same few functions of the kernel are in most traces.
    exact = _EXACT.match(line)
    match = exact or _FRAME.match(line)
    if match is None:
        return None
    return Frame(
        function=match["function"],
        offset=int(match["offset"], 16),
        size=int(match["size"], 16),
        module=match["module"] or "",
        is_guess=exact is None and bool(match["guess"]),
        is_exact=exact is not None,
    )
