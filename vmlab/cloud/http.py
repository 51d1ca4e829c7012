# SPDX-License-Identifier: MIT
"""HTTP requests to publishers: timeouts, retries and size limits."""

from __future__ import annotations

import contextlib
import math
import re
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import TypeVar
from urllib.parse import urljoin, urlsplit

import requests
import urllib3

from vmlab import __version__
from vmlab.cloud.http_fault import WebFault, explain, host_of, refuse_status
from vmlab.cloud.http_session import Deadline, PatientSession

T = TypeVar("T")

_CONNECT_S = 15
_SILENCE_S = 60
"""Longest silence of a server."""
_ANSWER_S = 60
"""Time for the headers of an answer, and for a whole small file with its retries, without the waits between them. The
lists have some kilobytes: a server that needs longer sends a few bytes at a time."""
_RATE_OVER_S = 120
_LOWEST_RATE = 1024
"""Bytes a second, over `_RATE_OVER_S`, below which a body is given up: a modem sends more, and at this rate an image of
300 MB would take three days."""
_REDIRECTS = 10
_ATTEMPTS = 5
"""Attempts in a row without progress, with 15 s of waits in all."""
_LONGEST_WAIT_S = 120
_LONGEST_TEXT = 4 * 2**20
"""Size limit in bytes. The longest known list has some thousand, a directory's page some hundred thousand."""
_CHUNK = 2**18
# 19 digits: a 64-bit size. Python refuses to convert thousands of digits.
_NUMBER = re.compile(r"[0-9]{1,19}")
_RANGE = re.compile(r"bytes (?:([0-9]{1,19})-[0-9]{1,19}|\*)/([0-9]{1,19}|\*)")
PARTIAL = 206
NOT_SATISFIABLE = 416


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """A server's answer whose body is not read yet."""

    url: str
    """Final address, after redirects."""
    status: int
    headers: Mapping[str, str]
    chunks: Iterator[bytes]

    @property
    def length(self) -> int | None:
        """Number of bytes in the body, as announced."""
        text = self.headers.get("Content-Length", "")
        return int(text) if _NUMBER.fullmatch(text) else None

    @property
    def range_start(self) -> int | None:
        """First byte of the range; RFC 9110, 14.4."""
        match = _RANGE.fullmatch(self.headers.get("Content-Range", ""))
        return int(match[1]) if match and match[1] else None

    @property
    def range_total(self) -> int | None:
        """Size of the whole file that the range is part of."""
        match = _RANGE.fullmatch(self.headers.get("Content-Range", ""))
        return int(match[2]) if match and match[2] != "*" else None

    @property
    def is_page(self) -> bool:
        return "html" in self.headers.get("Content-Type", "").lower()


class Web:
    """HTTP client for publishers, used by one thread; `pause` waits between attempts, and tests replace it.

    `patience` is a factor of the times that an answer and a body may take.
    """

    def __init__(
        self,
        *,
        pause: Callable[[float], None] = time.sleep,
        silence_s: float = _SILENCE_S,
        patience: float = 1.0,
    ) -> None:
        self._pause = pause
        self._silence_s = silence_s
        self._answer_s = _ANSWER_S * patience
        self._rate_over_s = _RATE_OVER_S * patience
        self._deadline = Deadline()
        self._session = PatientSession(self._deadline, silence_s=silence_s)
        # No compression: the checksum is of the bytes as stored.
        self._session.headers.update({"User-Agent": f"vmlab/{__version__}", "Accept-Encoding": "identity"})

    def __enter__(self) -> Web:
        return self

    def __exit__(self, *_: object) -> None:
        self._session.close()

    @contextlib.contextmanager
    def ask(
        self, url: str, *, method: str = "GET", headers: Mapping[str, str] | None = None, ends: float | None = None
    ) -> Iterator[Answer]:
        """Send one request; the answer's status is 200, 206 or 416. Raises `WebFault` for any other status and for
        connection errors, also while the body is read within the `with` block.

        `ends` is the time of the monotonic clock by which the body must have arrived; without it, the body is read as
        long as it has the lowest rate.
        """
        self._deadline.ends = time.monotonic() + self._answer_s if ends is None else ends
        try:
            with self._follow(url, method, headers) as response:
                refuse_status(response, url)
                if ends is None:
                    self._deadline.ends = math.inf
                yield Answer(
                    url=response.url,
                    status=response.status_code,
                    headers=response.headers,
                    chunks=self._chunks(response.raw, host_of(response.url)),
                )
        except (requests.RequestException, urllib3.exceptions.HTTPError, ValueError) as error:
            # After a redirect, another host has failed.
            asked = getattr(getattr(error, "request", None), "url", None) or url
            if self._deadline.is_over:
                late = f"{host_of(asked)} did not answer {url} in {self._answer_s:.0f} s"
                raise WebFault(late, passes=ends is None) from None
            raise explain(error, asked) from None

    def _follow(self, url: str, method: str, headers: Mapping[str, str] | None) -> requests.Response:
        """Return the first answer that is not a redirect."""
        at = url
        for _ in range(_REDIRECTS + 1):
            response = self._session.request(
                method, at, headers=headers, stream=True, timeout=(_CONNECT_S, self._silence_s)
            )
            if not response.is_redirect:
                return response
            # The body stays unread: it may have no end.
            with response:
                at = _redirected(at, self._session.redirect_target(response))
        raise WebFault(f"{host_of(at)} redirects {url} too often", passes=False)

    def _chunks(self, raw: urllib3.response.BaseHTTPResponse, host: str) -> Iterator[bytes]:
        began, got = time.monotonic(), 0
        # read1() returns the bytes that have arrived: read() would lose up to a chunk when the connection breaks.
        while chunk := raw.read1(_CHUNK, decode_content=False):
            yield chunk
            got += len(chunk)
            seconds = time.monotonic() - began
            if seconds >= self._rate_over_s:
                if got < _LOWEST_RATE * seconds:
                    raise WebFault(f"{host} sent only {got} bytes in {seconds:.0f} s", passes=True)
                began, got = time.monotonic(), 0

    def text(self, url: str) -> str:
        """Return a small text file, such as a checksum list; temporary faults are retried. Raises `WebFault`."""
        try:
            return self.small_file(url).decode()
        except UnicodeDecodeError:
            raise WebFault(f"{url} is not UTF-8 text", passes=False) from None

    def small_file(self, url: str) -> bytes:
        """Return a small file, such as a signature; retried like `text`. Raises `WebFault`."""
        return self._repeat(lambda ends: self._bytes(url, ends))

    def size_of(self, url: str) -> int:
        """Return the size of a file in bytes without fetching it; retried like `text`. Raises `WebFault`."""
        return self._repeat(lambda ends: self._size_of(url, ends))

    def wait(self, failures: int, fault: WebFault) -> None:
        """Wait after a number of failures in a row; raises `fault` when it must not be retried."""
        if not fault.passes or failures >= _ATTEMPTS:
            raise fault
        wait_s = float(2 ** (failures - 1)) if fault.after_s is None else fault.after_s
        if wait_s > _LONGEST_WAIT_S:
            raise WebFault(f"{fault.message}; it asks for a retry in {wait_s:.0f} s", passes=False, hint="retry then")
        self._pause(wait_s)

    def _repeat(self, act: Callable[[float], T]) -> T:
        failures = 0
        ends = time.monotonic() + self._answer_s
        while True:
            try:
                return act(ends)
            except WebFault as fault:
                failures += 1
                failed = time.monotonic()
                self.wait(failures, fault)
                ends += time.monotonic() - failed

    def _bytes(self, url: str, ends: float) -> bytes:
        with self.ask(url, ends=ends) as answer:
            body = bytearray()
            for chunk in answer.chunks:
                body += chunk
                if len(body) > _LONGEST_TEXT:
                    raise WebFault(f"{url} is larger than {_LONGEST_TEXT // 2**20} MiB: not a list", passes=False)
        return bytes(body)

    def _size_of(self, url: str, ends: float) -> int:
        # Some servers refuse HEAD, or send no length for it, as RFC 9110, 9.3.2 allows.
        try:
            with self.ask(url, method="HEAD", ends=ends) as answer:
                refuse_page(answer, url)
                if answer.length is not None:
                    return answer.length
        except WebFault as fault:
            if fault.passes or self._deadline.is_over:
                raise
        with self.ask(url, headers={"Range": "bytes=0-0"}, ends=ends) as answer:
            refuse_page(answer, url)
            total = answer.range_total if answer.status == PARTIAL else answer.length
        if total is None:
            raise WebFault(f"{url}: the server does not report the file's size", passes=False)
        return total


def refuse_page(answer: Answer, url: str) -> None:
    """Raise `WebFault` when a web page came instead of a file."""
    if answer.is_page:
        raise WebFault(
            f"{host_of(url)} answered with a web page instead of {url.rpartition('/')[2]}",
            passes=False,
            hint="a captive portal or a proxy may send it: open the publisher's site in a browser first",
        )


def _redirected(url: str, target: str) -> str:
    """Return the address that a redirect of `url` leads to. Raises `WebFault` or `ValueError` for a bad one."""
    address = urljoin(url, target)
    scheme = urlsplit(address).scheme
    if scheme not in ("http", "https"):
        raise WebFault(f"{url} redirects to an invalid web address: {address}", passes=False)
    if urlsplit(url).scheme == "https" and scheme != "https":
        raise WebFault(f"{url} redirects to {address}, which is not encrypted", passes=False)
    return address
