# SPDX-License-Identifier: MIT
"""Parser for the body of a splat: call trace, source position, process, registers.

Pure, and never raises: a log may be truncated, garbled or forged.
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
# A frame of a call trace: a line with only a symbol. 5.10 prints addresses before it on some paths; arm64 appends
# letters since 6.12 (`(P)`: pt_regs).
_FRAME = re.compile(rf"^\s{{0,8}}(?:\[<[0-9a-f]+>\] )?(?P<guess>\? )?{_SYMBOL}(?: \([A-Z]+\))?\s*$", re.ASCII)
# 32-bit arm names a function and the place that called it (dump_backtrace_entry() in arch/arm/kernel/traps.c); 5.10
# prints addresses and parentheses, later kernels with CONFIG_BACKTRACE_VERBOSE. The first function is that of the PC.
_CALLER = re.compile(
    r"^\s{0,8}(?:\[<[0-9a-f]+>\] )?\(?[A-Za-z_][\w.$]{0,511}(?:\+0x[0-9a-f]+/0x[0-9a-f]+)?(?: \[[\w-]{1,64}\])?\)?"
    rf" from (?:\[<[0-9a-f]+>\] )?\(?{_SYMBOL}\)?\s*$",
    re.ASCII,
)
# x86-64 until 4.9 prints the address twice before the symbol (bb5e5ce545f2, 4.10), and old kernels `IP: ` above it.
# x86-32 prints EIP, arm PC, riscv epc.
_EXACT = re.compile(
    rf"^\s{{0,8}}(?:RIP: [0-9a-f]{{4}}:(?:\[<[0-9a-f]+>\] +\[<[0-9a-f]+>\] )?|E?IP: (?:\[<[0-9a-f]+>\] )?|EIP is at |"
    rf"e?pc : |PC is at ){_SYMBOL}",
    re.ASCII,
)
_IN_TITLE = re.compile(rf"(?:\bat |\bin |\bfrom |:\d{{1,7}} ){_SYMBOL}", re.ASCII)
# Reports of the module loader, before 6.14 with the function's name.
_LOADED = re.compile(
    r"^(?:do_init_module: '(?P<module>[\w-]{1,64})'->init suspiciously"
    r"|(?P<module2>[\w-]{1,64}): (?:init suspiciously|loading out-of-tree module|module (?:license|verification)) )",
    re.ASCII,
)
# With CONFIG_DEBUG_BUGVERBOSE_DETAILED the condition is before it, in brackets.
_LOCATION = re.compile(
    r"(?:\bat |\bin |^WARNING: |^(?=\S+ suspicious rcu))(?:\[.{1,200}\] )?"
    r"(?P<file>[\w./+-]{1,200}\.(?:[chS]|rs)):(?P<line>\d{1,7})",
    re.ASCII,
)
# Before Rust 1.73 the message was in quotes before the position.
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
REGISTERS = (
    r"(?:R(?:IP|SP|AX|DX|BP|10|13)|E(?:IP|AX|SI)|[CDF]S|CR[02]|DR[03]|PKRU|Code|e?pc |lr |sp |pstate"
    r"|x(?:[12]\d|[0-9] )|r(?:10|[37] )): "
)
"""Pattern for the start of a line with registers, on x86, arm and riscv."""
_REGISTERS = re.compile(rf"\s*{REGISTERS}")
_SUFFIX = re.compile(r"\.(?:isra|constprop|part|cold|llvm|lto_priv)\b.*$")


@dataclass(frozen=True, slots=True, kw_only=True)
class Line:
    """A source line of a frame's address."""

    file: str
    """Path in the module's tree, or in the kernel's."""
    line: int
    function: str = ""
    """Function of the line, which may be inlined in the frame's function."""
    is_own: bool = True
    """True for a file of the module, False for one of the kernel or the compiler."""

    def __str__(self) -> str:
        return f"{self.file}:{self.line}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Frame:
    """One line of a call trace: `function+0x1b/0x40 [module]`."""

    function: str
    offset: int
    size: int
    module: str = ""
    """Module of the function; empty for the kernel."""
    is_guess: bool = False
    """True for a frame with `?`: its address was on the stack, which does not prove a call."""
    is_exact: bool = False
    """True for the position of the processor; the address of other frames is a return address."""
    lines: tuple[Line, ...] = ()
    """Source lines, innermost first: inlined functions before their callers. Empty until resolved by debug information.
    """

    def __str__(self) -> str:
        guess = "? " if self.is_guess else ""
        module = f" [{self.module}]" if self.module else ""
        source = f"  {self.source}" if self.source else ""
        return f"{guess}{self.function}+{self.offset:#x}/{self.size:#x}{module}{source}"

    @property
    def own_source(self) -> str:
        """Innermost line in the module's files, `file.c:42`; empty when there is none, or it is unknown."""
        return next((str(line) for line in self.lines if line.is_own), "")

    @property
    def source(self) -> str:
        """Innermost line in the module's files, else in the kernel's; empty when unknown."""
        return self.own_source or (str(self.lines[0]) if self.lines else "")

    @property
    def name(self) -> str:
        """Name of the function in the source, without the compiler's suffix."""
        return _SUFFIX.sub("", self.function)


def frames_of(lines: Sequence[str]) -> tuple[Frame, ...]:
    """Parse the call trace of a splat, innermost first, and its other stacks, in the order of the report. SLUB prints
    the stack that allocated corrupted memory first. The position of the processor is included once, as `is_exact`.
    """
    found: list[Frame] = []
    others = 0
    has_exact = False
    for line in lines:
        # Lockdep first prints how the locks were taken before.
        if line == "stack backtrace:":
            others = len(found)
        frame = _frame(line) if "+0x" in line else None
        # The registers are printed again after the trace, and a WARNING's title has the position too.
        if frame is not None and not (frame.is_exact and has_exact):
            found.append(frame)
            has_exact = has_exact or frame.is_exact
    return (*found[others:], *found[:others])


def blamed_module(title: str, frames: Iterable[Frame]) -> str:
    """Module whose code was running, or had called the running code; empty when the splat names none."""
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
    """First source position in a splat, `mm/slub.c:305`; empty when there is none."""
    for line in lines:
        if "." not in line or ":" not in line:
            continue
        match = _PANICKED.search(line) or _LOCATION.search(line) if "panicked at " in line else _LOCATION.search(line)
        if match is not None:
            return f"{match['file'].removeprefix('../')}:{match['line']}"
    return ""


def process_of(lines: Sequence[str]) -> str:
    """Process of a splat, `insmod[94]`; empty when it names none."""
    whole = "\n".join(lines)
    able = [(literal, pattern) for literal, pattern in _PROCESSES if literal in whole]
    for line in lines if able else ():
        for literal, pattern in able:
            match = pattern.search(line) if literal in line else None
            if match is not None:
                return f"{match['name']}[{match['pid']}]"
    return ""


def registers_of(lines: Iterable[str]) -> str:
    """First set of lines with registers."""
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
    # Cached, because most traces have the same few kernel functions.
    exact = _EXACT.match(line)
    match = exact or _FRAME.match(line) or (_CALLER.match(line) if " from " in line else None)
    if match is None:
        return None
    return Frame(
        function=match["function"],
        offset=int(match["offset"], 16),
        size=int(match["size"], 16),
        module=match["module"] or "",
        is_guess=bool(match.groupdict().get("guess")),
        is_exact=exact is not None,
    )
