# SPDX-License-Identifier: MIT
"""Wait for the banner of a guest's sshd."""

from __future__ import annotations

import contextlib
import errno
import re
import selectors
import socket
import time

from vmlab.guest.ssh_channel import PacketSocket

AGAIN_S = 5.0
"""Seconds between two connections, while none has sent a banner."""
MOST_CONNECTIONS = 8
"""Maximum of open connections: sshd refuses unauthenticated ones from ten on (sshd_config(5), MaxStartups)."""
SILENT = "accepted the connection and sent nothing"
_PEEK_BYTES = 4096
_BANNER = re.compile(rb"(?:\A|\n)SSH-[^\n]{0,251}\n")
"""A complete line of at most 255 bytes; others may be before it (RFC 4253, 4.2). paramiko would read a line without end
for as long as the guest sends."""
_SHOWN_BYTES = 40


class BannerWait:
    """Connections to one port, until sshd sends its banner on one of them.

    QEMU accepts connections before the guest listens, so an open connection proves nothing. A connection from before
    the guest's network was up may stay silent for long (QEMU's user-mode network repeats a lost SYN after 6, 18 and
    42 s). One to a slow sshd must be kept until the banner arrives. So silent connections stay open, and another one
    is opened every `again_s` seconds.
    """

    def __init__(self, host: str, port: int, *, again_s: float = AGAIN_S) -> None:
        self._place = (host, port)
        self._again_s = again_s
        self._open: list[tuple[float, socket.socket]] = []
        """Open connections with their start times, oldest first."""
        self.seen = "nothing yet"
        """Latest observation, for an error."""

    def look(self, wait_s: float) -> socket.socket | None:
        """Return a connection that has received the banner (left unread), or None after `wait_s` seconds.

        The caller owns the returned connection.
        """
        if not self._open or time.monotonic() - self._open[-1][0] >= self._again_s:
            self._add()
        due_s = self._open[-1][0] + self._again_s - time.monotonic() if self._open else self._again_s
        for connection in self._readable(min(wait_s, max(due_s, 0.0))):
            if self._has_spoken(connection):
                self._open = [row for row in self._open if row[1] is not connection]
                return connection
        return None

    def close(self) -> None:
        """Close all connections that were not returned."""
        for _, connection in self._open:
            connection.close()
        self._open = []

    def _add(self) -> None:
        connection = PacketSocket(socket.AF_INET, socket.SOCK_STREAM)
        connection.setblocking(False)
        status = connection.connect_ex(self._place)
        if status not in (0, errno.EINPROGRESS):
            connection.close()
            self.seen = f"no connection: {errno.errorcode.get(status, status)}"
            return
        # paramiko does not set TCP_NODELAY; without it a command takes 40 ms on loopback instead of 6.
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._open.append((time.monotonic(), connection))
        if len(self._open) > MOST_CONNECTIONS:
            self._drop(self._open[least_needed([opened for opened, _ in self._open])][1])

    def _readable(self, wait_s: float) -> list[socket.socket]:
        """Connections with data to read, oldest first."""
        with selectors.DefaultSelector() as selector:
            for _, connection in self._open:
                selector.register(connection, selectors.EVENT_READ)
            ready = {key.fileobj for key, _ in selector.select(wait_s)}
        if self._open and self._open[-1][1] not in ready:
            self.seen = SILENT if _is_connected(self._open[-1][1]) else "did not accept the connection"
        return [connection for _, connection in self._open if connection in ready]

    def _has_spoken(self, connection: socket.socket) -> bool:
        """True if the banner has arrived. Drops a connection that has ended."""
        try:
            said = connection.recv(_PEEK_BYTES, socket.MSG_PEEK)
        except OSError as error:
            self.seen = f"{type(error).__name__}: {error}"
            self._drop(connection)
            return False
        if not said:
            self.seen = "closed the connection"
            self._drop(connection)
            return False
        if _BANNER.search(said):
            return True
        self.seen = f"sent {said[:_SHOWN_BYTES]!r}, which is not an SSH banner"
        return False

    def _drop(self, connection: socket.socket) -> None:
        connection.close()
        self._open = [row for row in self._open if row[1] is not connection]


def least_needed(opened: list[float]) -> int:
    """Index of the connection whose neighbours' ages are most alike; neither the first nor the last.

    The ages of the kept connections then grow by a factor of about two, so they cover the whole range.
    """
    newest = opened[-1]
    ages = [newest - each for each in opened]
    return min(range(1, len(opened) - 1), key=lambda index: ages[index - 1] / max(ages[index + 1], 1e-9))


def _is_connected(connection: socket.socket) -> bool:
    with contextlib.suppress(OSError):
        connection.getpeername()
        return True
    return False
