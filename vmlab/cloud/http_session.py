# SPDX-License-Identifier: MIT
"""A session of requests that keeps deadlines and does not read the bodies of redirects."""

from __future__ import annotations

import http.client
import io
import math
import socket
import time
from typing import Any

import requests
from requests.adapters import HTTPAdapter


class Deadline:
    """Time of the monotonic clock by which the current answer must have arrived."""

    ends = math.inf

    @property
    def is_over(self) -> bool:
        return time.monotonic() >= self.ends


class PatientSession(requests.Session):
    """A session whose reads end at `deadline` and after `silence_s` without a byte; it follows no redirect.

    A timeout of requests limits only the silence between two bytes, so a server that sends a byte at a time, or
    `100 Continue` without end, is waited for without end.
    """

    def __init__(self, deadline: Deadline, *, silence_s: float) -> None:
        super().__init__()
        for scheme in ("http://", "https://"):
            self.mount(scheme, _Adapter(deadline, silence_s))

    def get_redirect_target(self, resp: requests.Response) -> str | None:  # noqa: ARG002 - the base class's name
        # requests reads the whole body of a redirect into memory, even with `allow_redirects=False`.
        return None

    def redirect_target(self, response: requests.Response) -> str:
        """Return the Location of a redirect, decoded. Raises `UnicodeDecodeError`."""
        return super().get_redirect_target(response) or ""


class _Adapter(HTTPAdapter):
    """An adapter whose connections, also those to a proxy, read their answers with a deadline."""

    def __init__(self, deadline: Deadline, silence_s: float) -> None:
        super().__init__()

        class TimedResponse(http.client.HTTPResponse):
            """An answer whose status line, headers and body are read with the deadline."""

            def __init__(self, sock: socket.socket, *args: Any, **named: Any) -> None:
                super().__init__(sock, *args, **named)
                self.fp = io.BufferedReader(_TimedStream(self.fp.detach(), sock, deadline, silence_s))

        self._response_class = TimedResponse

    def get_connection_with_tls_context(self, *args: Any, **named: Any) -> Any:
        pool: Any = super().get_connection_with_tls_context(*args, **named)
        plain = pool.ConnectionCls
        if plain.response_class is not self._response_class:
            pool.ConnectionCls = type(plain.__name__, (plain,), {"response_class": self._response_class})
        return pool


class _TimedStream(io.RawIOBase):
    """The stream of a socket, whose timeout is set before each read."""

    def __init__(self, stream: io.RawIOBase, sock: socket.socket, deadline: Deadline, silence_s: float) -> None:
        self._stream = stream
        self._socket = sock
        self._deadline = deadline
        self._silence_s = silence_s

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any, /) -> int | None:
        left_s = self._deadline.ends - time.monotonic()
        if left_s <= 0:
            raise TimeoutError("the deadline is over")
        self._socket.settimeout(min(left_s, self._silence_s))
        return self._stream.readinto(buffer)

    def close(self) -> None:
        self._stream.close()
        super().close()
