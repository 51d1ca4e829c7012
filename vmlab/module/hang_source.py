# SPDX-License-Identifier: MIT
"""From a hang in `go+0xf` to its line, `sleeps.c:12`."""

from __future__ import annotations

from vmlab.errors import CommandHung, hides_frames
from vmlab.klog.call_trace import Frame, frames_of
from vmlab.module.symbols import Symbols

__tracebackhide__ = hides_frames


def locate_hang(hung: CommandHung, symbols: Symbols, module: str) -> None:
    """Tell in a hang's reason the line of the module's source that a blocked task, or else a processor, is in.

    Changes the error in place: its message, its `source`, and its evidence, which gets the line of every frame in the
    module. Leaves it as it is when no frame of the kernel's answer lies in the module, or none is known by line.
    """
    told = [(frame, _line_of(frame, symbols)) for frame in frames_of(hung.trace) if frame.module == module]
    known = [(frame, line) for frame, line in told if line]
    if not known:
        return
    frame, line = min(known, key=lambda row: row[0].is_guess)
    place = f"{frame.function}+{frame.offset:#x}"
    hung.message = hung.message.replace(f"it hangs: {place}", f"it hangs: {frame.name} at {line}")
    hung.source = line
    lines = [f"  {frame}  {line}" for frame, line in known]
    hung.detail = "\n".join([f"in the source of {module}:", *lines, hung.detail])


def _line_of(frame: Frame, symbols: Symbols) -> str:
    # Of a caller the trace has the address behind its call, which may be another line's.
    return symbols.source_of(frame.function, frame.offset - (not frame.is_exact))
