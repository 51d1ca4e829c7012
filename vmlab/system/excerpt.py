# SPDX-License-Identifier: MIT
"""Output of limited size: its first and its last part."""

from __future__ import annotations

_NEAR_BYTES = 4096
"""Maximum distance of a cut from a line's end, so that complete lines are kept."""
HINT = "write it to a file in the guest and copy that with guest.get(…, max_bytes=…)"


class Excerpt:
    """Keeps at most `limit` bytes of what is added: the first half and the last half, with a line between them that
    says how much was left out. Time and memory do not grow with the part that is left out."""

    def __init__(self, limit: int) -> None:
        self._half = limit // 2
        self._head = bytearray()
        self._tail = bytearray()
        self._added = 0

    def add(self, data: bytes | bytearray) -> None:
        """Add the next part of the output."""
        self._added += len(data)
        room = self._half - len(self._head)
        self._head += data[:room]
        self._tail += data[max(room, 0) :][-self._half :]
        if len(self._tail) > self._half:
            del self._tail[: -self._half]

    @property
    def left_out(self) -> int:
        """Number of bytes between the parts that were kept; 0 if the output is complete."""
        return self._added - len(self._head) - len(self._tail)

    def text(self) -> str:
        """The kept parts as text; bytes that are not UTF-8 are shown as escapes."""
        if not self.left_out:
            return decoded(self._head + self._tail)
        head, tail = lines_before(self._head), lines_after(self._tail)
        return f"{decoded(head)}{marker(self._added - len(head) - len(tail))}{decoded(tail)}"


def marker(left_out: int, *, hint: str = HINT) -> str:
    """The line that stands for bytes that were left out."""
    return f"\n[vmlab left out {left_out} bytes here: to get all, {hint}]\n"


def lines_before(data: bytes | bytearray) -> bytes:
    """Data without a last line that is incomplete, unless that is long."""
    end = data.rfind(b"\n", max(0, len(data) - _NEAR_BYTES))
    return bytes(data if end < 0 else data[:end])


def lines_after(data: bytes | bytearray) -> bytes:
    """Data without a first line that is incomplete, unless that is long."""
    return bytes(data[data.find(b"\n", 0, _NEAR_BYTES) + 1 :])


def decoded(data: bytes | bytearray) -> str:
    """Text of a guest's bytes; those that are not UTF-8 are shown as escapes."""
    return data.decode("utf-8", errors="backslashreplace")
