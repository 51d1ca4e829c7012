# SPDX-License-Identifier: MIT
"""QEMU's monitor over an inherited socket, as synchronous calls.

qemu.qmp is asynchronous; one event loop in a separate thread serves all machines of this process.
"""

from __future__ import annotations

import asyncio
import contextlib
import functools
import logging
import re
import socket
import threading
from collections.abc import Callable, Coroutine, Mapping
from typing import Any, TypeVar

from qemu.qmp import QMPClient
from qemu.qmp.error import QMPError

from vmlab.errors import MachineLost

T = TypeVar("T")

CALL_TIMEOUT_S = 30.0


@functools.cache
def _loop() -> asyncio.AbstractEventLoop:
    loop = asyncio.new_event_loop()
    threading.Thread(target=loop.run_forever, name="vmlab-qmp", daemon=True).start()
    # qemu.qmp logs an error when QEMU is gone; the lab reports that itself.
    logging.getLogger("qemu.qmp").setLevel(logging.CRITICAL)
    return loop


def on_lasting_thread(function: Callable[[], T]) -> T:
    """Run `function` on the loop's thread, which lives as long as this process.

    A child's parent-death signal follows the thread that spawned it (prctl(2)), not the process.
    """

    async def call() -> T:
        return function()

    return asyncio.run_coroutine_threadsafe(call(), _loop()).result()


class Monitor:
    """A QMP connection to one QEMU."""

    def __init__(self, ours: socket.socket, *, call_s: float = CALL_TIMEOUT_S) -> None:
        """Use the socket `ours`; `call_s` is the default timeout of a call."""
        self._client = QMPClient()
        self._socket = ours
        self.call_s = call_s

    def connect(self, *, timeout_s: float | None = None) -> None:
        """Read QEMU's greeting and negotiate; raises `MachineLost` when QEMU ends first."""
        self._wait(self._client.connect(self._socket), self.call_s if timeout_s is None else timeout_s)

    def execute(
        self,
        command: str,
        arguments: Mapping[str, object] | None = None,
        *,
        timeout_s: float | None = None,
    ) -> Any:
        """Run a QMP command and return its result; raises `MachineLost` when QEMU is gone or returns an error."""
        limit_s = self.call_s if timeout_s is None else timeout_s
        return self._wait(self._client.execute(command, dict(arguments or {}) or None), limit_s)

    def hand_over(self, name: str, descriptor: int) -> None:
        """Pass an open file to QEMU, which later commands name as `fd:NAME` (QMP's `getfd`)."""

        async def hand() -> None:
            self._client.send_fd_scm(descriptor)
            await self._client.execute("getfd", {"fdname": name})

        self._wait(hand(), self.call_s)

    def forwarded_port(self) -> int:
        """Host port that QEMU picked for the guest's SSH, from the HOST_FORWARD row of `info usernet`."""
        text = str(self.execute("human-monitor-command", {"command-line": "info usernet"}))
        match = re.search(r"HOST_FORWARD\]\s+\d+\s+127\.0\.0\.1\s+(\d+)", text)
        if match is None:
            raise MachineLost("QEMU does not forward a port to the guest", detail=text)
        return int(match[1])

    def close(self) -> None:
        """Close the connection; safe at any time."""
        with contextlib.suppress(MachineLost):
            self._wait(self._client.disconnect(), 5)
        self._socket.close()

    def _wait(self, work: Coroutine[Any, Any, T], timeout_s: float) -> T:
        future = asyncio.run_coroutine_threadsafe(asyncio.wait_for(work, timeout_s), _loop())
        try:
            return future.result()
        except TimeoutError:
            raise MachineLost(f"QEMU's monitor did not answer in {timeout_s:.0f} s") from None
        except (QMPError, OSError, EOFError) as error:
            raise MachineLost(f"QEMU's monitor is gone: {error}") from None
