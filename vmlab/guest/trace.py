# SPDX-License-Identifier: MIT
"""What a report in the kernel log says besides its first line: call trace, place in the source, process, registers.

Pure, and never raises: a log may be cut, garbled or written on purpose.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

_SYMBOL = (
    r"(?P<function>[A-Za-z_][\w.$]{0,200})\+0x(?P<offset>[0-9a-f]{1,16})/0x(?P<size>[0-9a-f]{1,16})"
    r"(?: \[(?P<module>[\w-]{1,64})(?: [0-9a-f]{8,40})?\])?"
)
# A frame of a call trace: nothing but a symbol on its line. 5.10 still has addresses before it on some paths; arm64
# puts letters behind it since 6.12 (`(P)`: pt_regs).
_FRAME = re.compile(rf"^\s{{0,8}}(?:\[<[0-9a-f]+>\] )?(?P<guess>\? )?{_SYMBOL}(?: \([A-Z]+\))?\s*$", re.ASCII)
_EXACT = re.compile(rf"^\s{{0,8}}(?:RIP: [0-9a-f]{{4}}:|pc : ){_SYMBOL}", re.ASCII)
_IN_TITLE = re.compile(rf"(?:\bat |\bin |:\d{{1,7}} ){_SYMBOL}", re.ASCII)
_LOCATION = re.compile(r"(?:\bat |\bin |^WARNING: )(?P<file>[\w./+-]{1,200}\.[chS]):(?P<line>\d{1,7})", re.ASCII)
_PROCESS = re.compile(
    r"\bPID: (?P<pid>\d{1,9})(?: UID: \d{1,12})? Comm: (?P<name>.{1,16}?) (?:Not tainted|Tainted|Kdump)"
    r"|, CPU#\d{1,5}: (?P<name2>.{1,16})/(?P<pid2>\d{1,9})"
    r"|INFO: task (?P<name3>.{1,64}):(?P<pid3>\d{1,9}) blocked",
    re.ASCII,
)
_REGISTERS = (
    *(
        "RIP: ",
        "RSP: ",
        "RAX: ",
        "RDX: ",
        "RBP: ",
        "R10: ",
        "R13: ",
        "FS: ",
        "CS: ",
        "CR2: ",
        "DR0: ",
        "PKRU: ",
        "Code: ",
    ),
    *("pc : ", "lr : ", "sp : ", "pstate: ", *(f"x{number}: " for number in range(31)), "x9 : ", "x6 : ", "x3 : "),
)
_SUFFIX = re.compile(r"\.(?:isra|constprop|part|cold|llvm|lto_priv)\b.*$")


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
    source: str = ""
    """`file.c:42`, once the module's debug information was asked."""

    def __str__(self) -> str:
        guess = "? " if self.is_guess else ""
        module = f" [{self.module}]" if self.module else ""
        source = f"  {self.source}" if self.source else ""
        return f"{guess}{self.function}+{self.offset:#x}/{self.size:#x}{module}{source}"

    @property
    def name(self) -> str:
        """The function as it stands in the source, without what a compiler made of its name."""
        return _SUFFIX.sub("", self.function)


def frames_of(lines: Sequence[str]) -> tuple[Frame, ...]:
    """The call trace in a report, innermost first; where the processor was is the first frame."""
    found: list[Frame] = []
    for line in lines:
        if "+0x" not in line:
            continue
        exact = _EXACT.match(line)
        match = exact or _FRAME.match(line)
        # After the trace the registers are printed again, and a WARNING's title has said it before.
        if match is None or (exact is not None and any(frame.is_exact for frame in found)):
            continue
        found.append(_frame(match, is_exact=exact is not None))
    return tuple(found)


def blamed_module(title: str, frames: Iterable[Frame]) -> str:
    """The module whose code was running or had called what was; empty when none is in the report."""
    match = _IN_TITLE.search(title)
    if match is not None and match["module"]:
        return match["module"]
    known = tuple(frames)
    for is_guess in (False, True):
        for frame in known:
            if frame.module and frame.is_guess is is_guess:
                return frame.module
    return ""


def location_of(lines: Iterable[str]) -> str:
    """`mm/slub.c:305`, the first place in the source that a report names; empty when it names none."""
    for line in lines:
        match = _LOCATION.search(line) if "." in line and ":" in line else None
        if match is not None:
            return f"{match['file'].removeprefix('../')}:{match['line']}"
    return ""


def process_of(lines: Iterable[str]) -> str:
    """`insmod[94]`, the process a report was made in; empty when it names none."""
    for line in lines:
        if "PID: " not in line and "CPU#" not in line and "INFO: task " not in line:
            continue
        match = _PROCESS.search(line)
        if match is not None:
            for name, pid in (("name", "pid"), ("name2", "pid2"), ("name3", "pid3")):
                if match[pid]:
                    return f"{match[name]}[{match[pid]}]"
    return ""


def registers_of(lines: Iterable[str]) -> str:
    """The lines that show registers, the first set of them."""
    return "\n".join(_first_of_each(line for line in lines if ": " in line and line.lstrip().startswith(_REGISTERS)))


def _first_of_each(lines: Iterable[str]) -> Iterator[str]:
    seen: set[str] = set()
    for line in lines:
        name = line.split(":", 1)[0].strip()
        if name not in seen:
            seen.add(name)
            yield line


def _frame(match: re.Match[str], *, is_exact: bool) -> Frame:
    return Frame(
        function=match["function"],
        offset=int(match["offset"], 16),
        size=int(match["size"], 16),
        module=match["module"] or "",
        is_guess=not is_exact and bool(match["guess"]),
        is_exact=is_exact,
    )
