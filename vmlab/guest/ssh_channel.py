# SPDX-License-Identifier: MIT
"""A command and a file over an open SSH channel, with limits on time and memory.

fabric and invoke keep all output, and join it again after each read (invoke/runners.py, `respond`): 40 MB of output
took minutes. So the lab reads the channel itself. Everything here is data of a guest, whose sshd may be replaced.
"""

from __future__ import annotations

import contextlib
import errno
import socket
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, Protocol

from vmlab.guest.transport import FileTooLarge

_READ_BYTES = 1 << 20
"""Bytes per read: paramiko moves the rest of its buffer at each read, so small reads of a full buffer are slow."""
FILE_BYTES = 32768
"""Bytes per request for a file: what each SFTP server must be able to return (draft-ietf-secsh-filexfer-02, 3)."""
_REQUESTS = 512
"""Requests for parts of a file that are sent at a time: 16 MiB, which bounds the memory, as `LimitedFiles` accepts no
longer answer. With 64, a pause of 40 ms for each group made a copy of 20 MB four times as slow."""
_PACKET_BYTES = 1 << 20
"""Maximum size of an SSH packet: OpenSSH sends at most 256 KiB (PACKET_MAX_SIZE). paramiko accepts 4 GiB."""

Sink = Callable[[bytes], object]


class Channel(Protocol):
    """The part of paramiko's `Channel` that is used here."""

    status_event: threading.Event
    """Event for the end of the command or of the channel."""

    def settimeout(self, timeout: float | None) -> None: ...

    def exec_command(self, command: str) -> None: ...

    def recv(self, nbytes: int) -> bytes: ...

    def recv_ready(self) -> bool: ...

    def recv_stderr(self, nbytes: int) -> bytes: ...

    def recv_exit_status(self) -> int: ...

    def send(self, data: bytes) -> int: ...

    def close(self) -> None: ...


class PacketSocket(socket.socket):
    """A socket to an SSH server that refuses huge packets: paramiko asks for the rest of a packet in one read."""

    def recv(self, bufsize: int, flags: int = 0, /) -> bytes:
        if bufsize > _PACKET_BYTES:
            raise ConnectionAbortedError(errno.ECONNABORTED, f"the guest announced an SSH packet of {bufsize} bytes")
        return super().recv(bufsize, flags)


def execute(channel: Channel, command: str, *, stdout: Sink, stderr: Sink, timeout_s: float | None = None) -> int:
    """Run a command and pass its output on as it arrives; returns its exit status, -1 if the guest sent none.

    Raises `TimeoutError` if the command, or a process that holds its output, has not ended after `timeout_s` seconds:
    output does not extend the timeout. Closes the channel in any case.
    """
    deadline = None if timeout_s is None else time.monotonic() + timeout_s
    failures: list[BaseException] = []

    def read_errors() -> None:
        try:
            _drain(channel, channel.recv_stderr, stderr, deadline)
        except Exception as failure:  # noqa: BLE001
            # Raised again below: an exception of a thread is otherwise lost.
            failures.append(failure)

    # Both streams share a window: reading one to its end and then the other would deadlock.
    reader = threading.Thread(target=read_errors, name="vmlab-stderr", daemon=True)
    try:
        channel.exec_command(command)
        reader.start()
        _drain(channel, channel.recv, stdout, deadline)
        reader.join(_left_s(deadline))
        if failures:
            raise failures[0]
        if reader.is_alive() or not channel.status_event.wait(_left_s(deadline)):
            raise TimeoutError
        return channel.recv_exit_status()
    finally:
        channel.close()
        if reader.is_alive():
            reader.join(_left_s(deadline))


def _drain(channel: Channel, read: Callable[[int], bytes], sink: Sink, deadline: float | None) -> None:
    while True:
        left_s = _left_s(deadline)
        if left_s == 0:
            raise TimeoutError
        channel.settimeout(left_s)
        data = read(_READ_BYTES)
        if not data:
            return
        sink(data)


def _left_s(deadline: float | None) -> float | None:
    return None if deadline is None else max(0.0, deadline - time.monotonic())


class TimedChannel:
    """A channel with a timeout for each operation as a whole, not for each of its reads and writes."""

    def __init__(self, channel: Channel) -> None:
        self._channel = channel
        self._deadline: float | None = None

    @contextlib.contextmanager
    def limited(self, timeout_s: float) -> Iterator[None]:
        """Limit what happens in a `with` block to `timeout_s` seconds; then reads and writes raise `TimeoutError`."""
        self._deadline = time.monotonic() + timeout_s
        yield
        self._deadline = None

    def get_name(self) -> str:
        """Name for paramiko's log."""
        return "sftp"

    def recv(self, nbytes: int) -> bytes:
        self.require_time()
        return self._channel.recv(nbytes)

    def recv_ready(self) -> bool:
        return self._channel.recv_ready()

    def send(self, data: bytes) -> int:
        self.require_time()
        return self._channel.send(data)

    def close(self) -> None:
        self._channel.close()

    def require_time(self) -> None:
        """Limit the next read or write to the time that is left; raises `TimeoutError` when there is none."""
        left_s = _left_s(self._deadline)
        if left_s == 0:
            raise TimeoutError
        self._channel.settimeout(left_s)


def fetch(files: Any, remote: str, local: Path, *, max_bytes: int) -> None:
    """Copy a file out with an SFTP client; raises `FileTooLarge`, and then leaves no file.

    The guest's word about a size is only used to refuse, and to send requests ahead: a sparse file takes no space in
    the guest, and a file of /proc has size 0.
    """
    size = files.stat(remote).st_size or 0
    if size > max_bytes:
        raise FileTooLarge(size, max_bytes)
    try:
        with files.open(remote, "rb") as source, local.open("wb") as copy:
            written = 0
            for data in _parts(source, size):
                written += len(data)
                if written > max_bytes:
                    raise FileTooLarge(written, max_bytes)
                copy.write(data)
    except BaseException:
        local.unlink(missing_ok=True)
        raise


def _parts(source: Any, size: int) -> Iterator[bytes]:
    """Yield a file's content: of the expected size by several requests at a time, and what follows part by part."""
    with contextlib.suppress(EOFError):  # the file is shorter than expected
        for start in range(0, size, FILE_BYTES * _REQUESTS):
            end = min(size, start + FILE_BYTES * _REQUESTS)
            yield from source.readv([(at, min(FILE_BYTES, end - at)) for at in range(start, end, FILE_BYTES)])
        while data := source.read(FILE_BYTES):
            yield data
