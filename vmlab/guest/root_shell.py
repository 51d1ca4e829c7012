# SPDX-License-Identifier: MIT
"""The line: a root shell on the guest's virtio port, for the lab's own commands around tests.

It is started once over SSH and frozen with the guest, so a fork has it at once. It needs no key exchange and no login,
and a command costs only a fork of a small shell. Tests use SSH instead.
"""

from __future__ import annotations

import contextlib
import re
import secrets
import shlex
import socket
import time
from collections.abc import Iterator

from vmlab.guest.helper import CALL
from vmlab.guest.transport import MOST_OUTPUT_BYTES, Commands, CommandTooSlow, Completed, TransportLost
from vmlab.system.excerpt import Excerpt

KERNEL_LOG_FD = 9
"""Descriptor at which the shell keeps /dev/kmsg open, non-blocking, so that a read returns only new records
(`guest/kernel_log.py`)."""
ERRORS = "/run/vmlab.err"
_PORT = "/dev/virtio-ports/{name}"
# The port can be opened only once, so one descriptor serves both directions. The out-of-memory killer must spare this
# shell, without which the guest counts as lost, but not its commands: a test may exhaust memory on purpose.
_SERVER = (
    "exec 0<>{port} 1>&0 2>/dev/null {log}</dev/kmsg; dd iflag=nonblock count=0 <&{log}; cd /; "
    "echo -1000 >/proc/self/oom_score_adj; exec -a vmlab-line sh"
)
_KILLABLE = "{ echo 0 >/proc/self/oom_score_adj; } 2>/dev/null"
CHUNK_BYTES = 65536


def start_line(root: Commands, port_name: str, *, timeout_s: float) -> None:
    """Start the shell in a guest over a root connection; raises `TransportLost` when the guest has no such port."""
    port = _PORT.format(name=port_name)
    server = _SERVER.format(port=port, log=KERNEL_LOG_FD)
    # The port's driver may still be loading: half of the timeout is for that.
    tries = max(1, round(timeout_s))
    wait = f"i=0; while [ ! -e {port} ] && [ $i -lt {tries} ]; do sleep 0.5; i=$((i + 1)); done; [ -e {port} ]"
    command = f"{wait} && setsid -f bash -c {shlex.quote(server)} >/dev/null 2>&1 </dev/null"
    started = root.run(command, timeout_s=timeout_s)
    if not started.ok:
        raise TransportLost(f"the guest has no {port}")


class LineTransport:
    """Root commands over the host's end of the port, one at a time. Output may contain anything but a line with the
    command's nonce."""

    def __init__(self, line: socket.socket) -> None:
        self._socket = line
        self._is_broken = False

    def run(self, command: str, *, timeout_s: float) -> Completed:
        """Run a command in a subshell of the guest's line. After a timeout the line is unusable: the shell is still
        busy."""
        if self._is_broken:
            raise TransportLost("the line to the guest is gone")
        started = time.monotonic()
        nonce = secrets.token_hex(8)
        self._is_broken = True
        try:
            self._socket.settimeout(timeout_s)
            self._socket.sendall(framed(command, nonce).encode())
            stdout, status, stderr = self._answer(nonce, started + timeout_s)
        except TimeoutError:
            raise CommandTooSlow(f"{command!r} took longer than {timeout_s:.0f} s") from None
        except OSError as error:
            raise TransportLost(f"the line to the guest ended: {error.strerror or error}") from None
        self._is_broken = False
        return Completed(
            command=command,
            status=status,
            # The newline before each line with the nonce is the frame's.
            stdout=stdout.text().removesuffix("\n"),
            stderr=stderr.text().removesuffix("\n"),
            duration_s=time.monotonic() - started,
            left_out=stdout.left_out + stderr.left_out,
        )

    def close(self) -> None:
        """Stop using the line; the socket belongs to the machine."""
        self._is_broken = True

    def cut(self) -> None:
        self._is_broken = True
        with contextlib.suppress(OSError):
            self._socket.shutdown(socket.SHUT_RDWR)

    def _answer(self, nonce: str, deadline: float) -> tuple[Excerpt, int, Excerpt]:
        sections = _sections(self._pieces(deadline), nonce)
        _required(next(sections), b"<")
        stdout, status = _required(next(sections), b"0123456789")
        stderr, _ = _required(next(sections), b">")
        # Later bytes are from a background process of the command.
        return stdout, int(status), stderr

    def _pieces(self, deadline: float) -> Iterator[bytes]:
        """Yield what arrives, until the deadline: with continuous output recv() alone would never time out."""
        while (left_s := deadline - time.monotonic()) > 0:
            self._socket.settimeout(left_s)
            piece = self._socket.recv(CHUNK_BYTES)
            if not piece:
                raise TransportLost("the line to the guest ended")
            yield piece
        raise TimeoutError


def _required(section: tuple[Excerpt, bytes], letters: bytes) -> tuple[Excerpt, bytes]:
    if section[1].strip(letters):
        raise TransportLost("the answer on the line to the guest is garbled")
    return section


def _sections(pieces: Iterator[bytes], nonce: str) -> Iterator[tuple[Excerpt, bytes]]:
    """Split the line's output at the lines with the nonce; yields what is before each, and the word on it. Looks at
    each byte at most twice, and keeps an excerpt."""
    mark = re.compile(rb"%b (<|>|\d{1,3})\n" % nonce.encode())
    longest = len(nonce) + len(" 255\n")
    section, waiting = Excerpt(MOST_OUTPUT_BYTES), b""
    for piece in pieces:
        waiting += piece
        start = 0
        while (match := mark.search(waiting, start)) is not None:
            section.add(waiting[start : match.start()])
            yield section, match[1]
            section, start = Excerpt(MOST_OUTPUT_BYTES), match.end()
        keep = max(start, len(waiting) - longest)
        section.add(waiting[start:keep])
        waiting = waiting[keep:]


def framed(command: str, nonce: str) -> str:
    """Wrap a command in a subshell, so that neither `exit` nor a syntax error ends the line; stderr goes to a file. A
    request of the helper needs none."""
    quoted = f"eval {shlex.quote(command)}"
    shell = f"{{ {quoted}; }}" if command.startswith(CALL) else f"({_KILLABLE}; {quoted})"
    errors = f"if [ -s {ERRORS} ]; then cat {ERRORS}; fi"
    return (
        f"echo '{nonce} <'; {shell} </dev/null 2>{ERRORS}; "
        f"printf '\\n%s %d\\n' {nonce} $?; {errors}; printf '\\n%s >\\n' {nonce}\n"
    )
