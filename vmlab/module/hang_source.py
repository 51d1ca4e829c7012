# SPDX-License-Identifier: MIT
"""Source line of a hang: from `go+0xf` to `sleeps.c:12`."""

from __future__ import annotations

from vmlab.errors import CommandHung, hides_frames
from vmlab.klog.call_trace import frames_of
from vmlab.module.symbols import Symbols, place_of

__tracebackhide__ = hides_frames


def locate_hang(hung: CommandHung, symbols: Symbols, module: str) -> None:
    """Add the line of the module's source at which a task is blocked, or else a processor is, to a hang's error.

    Changes the error in place: its message, its `source`, and its detail, which gets the line of each frame in the
    module. Does nothing if the kernel's trace has no frame in the module, or none with a known line.
    """
    frames = [frame for frame in frames_of(hung.trace) if frame.module == module]
    symbols.learn(map(place_of, frames))
    told = [(frame, symbols.source_of(*place_of(frame))) for frame in frames]
    known = [(frame, line) for frame, line in told if line]
    if not known:
        return
    frame, line = min(known, key=lambda row: row[0].is_guess)
    place = f"{frame.function}+{frame.offset:#x}"
    hung.message = hung.message.replace(f"is in {module}: {place}", f"is in {module}: {frame.name} at {line}")
    hung.source = line
    lines = [f"  {frame}  {line}" for frame, line in known]
    hung.detail = "\n".join([f"in the source of {module}:", *lines, hung.detail])
