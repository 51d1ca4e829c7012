# SPDX-License-Identifier: MIT
"""The line: a root shell on the guest's virtio port, for what the lab itself does around tests.

It is started over SSH once and frozen with the guest, so a fork has it at once: no key exchange, no login, and a
command costs a fork of a small shell. Tests do not use it; they speak SSH.
"""

from __future__ import annotations

import contextlib
import re
import secrets
import shlex
import socket
import time

from vmlab.guest.transport import Commands, CommandTooSlow, Completed, TransportLost

KERNEL_LOG_FD = 9
"""The shell keeps /dev/kmsg open here, not blocking, so that a look at the log gives only what is new
(`guest/kernel_log.py`)."""
_ERRORS = "/run/vmlab.err"
_PORT = "/dev/virtio-ports/{name}"
# The port can be opened once, so one descriptor serves both ways. The kernel's out-of-memory killer would take the
# whole guest for lost if it took this shell. What runs in it is as killable as anything else: a test may be about that.
_SERVER = (
    "exec 0<>{port} 1>&0 2>/dev/null {log}</dev/kmsg; dd iflag=nonblock count=0 <&{log}; cd /; "
    "echo -1000 >/proc/self/oom_score_adj; exec -a vmlab-line sh"
)
_KILLABLE = "{ echo 0 >/proc/self/oom_score_adj; } 2>/dev/null"
_CHUNK_BYTES = 65536


def start_line(root: Commands, port_name: str, *, timeout_s: float) -> None:
    """Start the shell in a guest, by a connection as root; `TransportLost` when the guest has no such port."""
    port = _PORT.format(name=port_name)
    server = _SERVER.format(port=port, log=KERNEL_LOG_FD)
    # The first driver for the port may still be on its way: half of the time is for it.
    tries = max(1, round(timeout_s))
    wait = f"i=0; while [ ! -e {port} ] && [ $i -lt {tries} ]; do sleep 0.5; i=$((i + 1)); done; [ -e {port} ]"
    command = f"{wait} && setsid -f bash -c {shlex.quote(server)} >/dev/null 2>&1 </dev/null"
    started = root.run(command, timeout_s=timeout_s)
    if not started.ok:
        raise TransportLost(f"the guest has no {port}")


class LineTransport:
    """Commands as root over a machine's end of the port. One at a time; output may hold any bytes but a line with
    the command's own nonce."""

    def __init__(self, line: socket.socket) -> None:
        self._socket = line
        self._is_broken = False

    def run(self, command: str, *, timeout_s: float) -> Completed:
        """Run a command in a subshell of the guest's line. After a command that was too slow the line is gone: the
        shell at its other end is still busy."""
        if self._is_broken:
            raise TransportLost("the line to the guest is gone")
        started = time.monotonic()
        nonce = secrets.token_hex(8)
        self._is_broken = True
        try:
            self._socket.settimeout(timeout_s)
            self._socket.sendall(_framed(command, nonce).encode())
            stdout, status, stderr = self._answer(nonce, started + timeout_s)
        except TimeoutError:
            raise CommandTooSlow(f"{command!r} took longer than {timeout_s:.0f} s") from None
        except OSError as error:
            raise TransportLost(f"the line to the guest ended: {error.strerror or error}") from None
        self._is_broken = False
        return Completed(
            command=command, status=status, stdout=stdout, stderr=stderr, duration_s=time.monotonic() - started
        )

    def close(self) -> None:
        """Nothing more goes over the line; the socket is the machine's."""
        self._is_broken = True

    def cut(self) -> None:
        self._is_broken = True
        with contextlib.suppress(OSError):
            self._socket.shutdown(socket.SHUT_RDWR)

    def _answer(self, nonce: str, deadline: float) -> tuple[str, int, str]:
        end = re.compile(rb"(?s)(?:.*?)%b <\n(.*)\n%b (\d+)\n(.*)\n%b >\n" % ((nonce.encode(),) * 3))
        last = f"\n{nonce} >\n".encode()
        received, place = bytearray(), -1
        while place < 0:
            left_s = deadline - time.monotonic()
            if left_s <= 0:
                # Output that keeps coming would never let a receive run into its own limit.
                raise TimeoutError
            self._socket.settimeout(left_s)
            piece = self._socket.recv(_CHUNK_BYTES)
            if not piece:
                raise TransportLost("the line to the guest ended")
            seen = max(0, len(received) - len(last))
            received += piece
            place = received.find(last, seen)
        # What comes after it is from a process that a command left behind.
        received = received[: place + len(last)]
        match = end.fullmatch(bytes(received))
        if match is None:
            raise TransportLost("the line to the guest garbled an answer")
        text = [part.decode("utf-8", errors="backslashreplace") for part in (match[1], match[3])]
        return text[0], int(match[2]), text[1]


def _framed(command: str, nonce: str) -> str:
    """A subshell, so that neither `exit` nor a wrong word ends the line; standard error is kept apart in a file."""
    errors = f"if [ -s {_ERRORS} ]; then cat {_ERRORS}; fi"
    return (
        f"echo '{nonce} <'; ({_KILLABLE}; eval {shlex.quote(command)}) </dev/null 2>{_ERRORS}; "
        f"printf '\\n%s %d\\n' {nonce} $?; {errors}; printf '\\n%s >\\n' {nonce}\n"
    )
