# SPDX-License-Identifier: MIT
"""Requests to publishers: what is asked, how long is waited, how often it is tried."""

from __future__ import annotations

import contextlib
import re
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import TypeVar
from urllib.parse import urlsplit

import requests
import urllib3

from vmlab import __version__
from vmlab.cloud.http_fault import WebFault, explain, host_of, refuse_status

T = TypeVar("T")

_CONNECT_S = 15
_SILENCE_S = 60
"""How long a server may say nothing."""
_ATTEMPTS = 5
"""In a row and without progress, 15 s in all."""
_LONGEST_WAIT_S = 120
_LONGEST_TEXT = 4 * 2**20
"""The longest list that was seen has some thousand bytes, and a directory's page some hundred thousand."""
_CHUNK = 2**18
_RANGE = re.compile(r"bytes (?:(\d+)-\d+|\*)/(\d+|\*)")
PARTIAL = 206
NOT_SATISFIABLE = 416


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """A server's answer whose body is still to come."""

    url: str
    """Where it came from, redirects followed."""
    status: int
    headers: Mapping[str, str]
    chunks: Iterator[bytes]

    @property
    def length(self) -> int | None:
        """How many bytes of body were announced."""
        text = self.headers.get("Content-Length", "")
        return int(text) if text.isdecimal() else None

    @property
    def range_start(self) -> int | None:
        """Where a range begins; RFC 9110, 14.4."""
        match = _RANGE.fullmatch(self.headers.get("Content-Range", ""))
        return int(match[1]) if match and match[1] else None

    @property
    def range_total(self) -> int | None:
        """How long the file is that a range is of."""
        match = _RANGE.fullmatch(self.headers.get("Content-Range", ""))
        return int(match[2]) if match and match[2] != "*" else None

    @property
    def is_page(self) -> bool:
        return "html" in self.headers.get("Content-Type", "").lower()


class Web:
    """Requests to publishers; `pause` is what waits between attempts, so that tests need not."""

    def __init__(self, *, pause: Callable[[float], None] = time.sleep, silence_s: float = _SILENCE_S) -> None:
        self._pause = pause
        self._silence_s = silence_s
        self._session = requests.Session()
        # Bytes as they lie there: a checksum is of those.
        self._session.headers.update({"User-Agent": f"vmlab/{__version__}", "Accept-Encoding": "identity"})
        self._session.max_redirects = 10

    def __enter__(self) -> Web:
        return self

    def __exit__(self, *_: object) -> None:
        self._session.close()

    @contextlib.contextmanager
    def ask(self, url: str, *, method: str = "GET", headers: Mapping[str, str] | None = None) -> Iterator[Answer]:
        """One request; the answer's status is 200, 206 or 416. Raises `WebFault` for any other and for what breaks,
        also while the body is read within the `with` block."""
        try:
            with self._session.request(
                method, url, headers=headers, stream=True, timeout=(_CONNECT_S, self._silence_s)
            ) as response:
                refuse_status(response, url)
                yield Answer(
                    url=response.url,
                    status=response.status_code,
                    headers=response.headers,
                    chunks=_chunks(response.raw),
                )
        except (requests.RequestException, urllib3.exceptions.HTTPError) as error:
            # After a redirect it is another host that fails.
            asked = getattr(error, "request", None)
            raise explain(error, getattr(asked, "url", None) or url) from None

    def text(self, url: str) -> str:
        """A small text file, such as a checksum list; attempts that may pass are repeated. Raises `WebFault`."""
        try:
            return self.small_file(url).decode()
        except UnicodeDecodeError:
            raise WebFault(f"{url} is no text", passes=False) from None

    def small_file(self, url: str) -> bytes:
        """A small file, such as a signature; repeated like `text`. Raises `WebFault`."""
        return self._repeat(lambda: self._bytes(url))

    def size_of(self, url: str) -> int:
        """How many bytes a file has, without fetching it; repeated like `text`. Raises `WebFault`."""
        return self._repeat(lambda: self._size_of(url))

    def wait(self, failures: int, fault: WebFault) -> None:
        """Wait after so many failures in a row; raises the last one's fault when it is not to be tried again."""
        if not fault.passes or failures >= _ATTEMPTS:
            raise fault
        wait_s = float(2 ** (failures - 1)) if fault.after_s is None else fault.after_s
        if wait_s > _LONGEST_WAIT_S:
            raise WebFault(f"{fault.message}; it asks to come back in {wait_s:.0f} s", passes=False, hint="do so")
        self._pause(wait_s)

    def _repeat(self, act: Callable[[], T]) -> T:
        failures = 0
        while True:
            try:
                return act()
            except WebFault as fault:
                failures += 1
                self.wait(failures, fault)

    def _bytes(self, url: str) -> bytes:
        with self.ask(url) as answer:
            if urlsplit(url).scheme == "https" and urlsplit(answer.url).scheme != "https":
                raise WebFault(f"{url} sends on to {answer.url}, which is not encrypted", passes=False)
            body = bytearray()
            for chunk in answer.chunks:
                body += chunk
                if len(body) > _LONGEST_TEXT:
                    raise WebFault(f"{url} is larger than {_LONGEST_TEXT // 2**20} MiB: no list", passes=False)
        return bytes(body)

    def _size_of(self, url: str) -> int:
        # Some servers refuse HEAD, or tell no length for it, which RFC 9110, 9.3.2 lets them.
        try:
            with self.ask(url, method="HEAD") as answer:
                refuse_page(answer, url)
                if answer.length is not None:
                    return answer.length
        except WebFault as fault:
            if fault.passes:
                raise
        with self.ask(url, headers={"Range": "bytes=0-0"}) as answer:
            refuse_page(answer, url)
            total = answer.range_total if answer.status == PARTIAL else answer.length
        if total is None:
            raise WebFault(f"{url}: the server does not tell how large it is", passes=False)
        return total


def refuse_page(answer: Answer, url: str) -> None:
    """Raises `WebFault` when a web page came in place of a file."""
    if answer.is_page:
        raise WebFault(
            f"{host_of(url)} answered with a web page in place of {url.rpartition('/')[2]}",
            passes=False,
            hint="a captive portal or a proxy does that: open a page of the publisher in a browser first",
        )


def _chunks(raw: urllib3.response.BaseHTTPResponse) -> Iterator[bytes]:
    # read1() hands over what is there: read() would keep up to a chunk to itself when the connection breaks.
    while chunk := raw.read1(_CHUNK, decode_content=False):
        yield chunk
