# SPDX-License-Identifier: MIT
"""A publisher of cloud images on loopback, with faults on request.

A context manager: it serves while the `with` block runs, and records all requests. A fault applies to the next N
requests for a path; later ones get a normal answer.
"""

from __future__ import annotations

import contextlib
import email.utils
import hashlib
import http.server
import io
import re
import ssl
import threading
import time
from collections import deque
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType
from typing import Any, BinaryIO

_CHUNK = 64 * 1024
_PORTAL = b"<!DOCTYPE html>\n<html><head><title>Welcome</title></head><body>Please accept our terms.</body></html>\n"


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """A received request."""

    method: str
    path: str
    range: str
    if_range: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """An answer to a request: the normal answer, changed by a fault."""

    status: int = 0
    """HTTP status; 0 selects the one that fits the request and the file."""
    headers: Mapping[str, str] = field(default_factory=dict)
    body: bytes | None = None
    """Body sent instead of the file."""
    cut_after: int | None = None
    """Number of body bytes after which the connection is closed."""
    bytes_a_second: float | None = None
    knows_ranges: bool = True
    range_starts_late_by: int = 0
    """Number of bytes by which an answered range starts after the requested one."""
    claims_length: bool = True
    """True if the answer has a Content-Length."""


def cut(after: int) -> Answer:
    """Break the connection after `after` bytes of the body."""
    return Answer(cut_after=after)


def slow(bytes_a_second: float) -> Answer:
    return Answer(bytes_a_second=bytes_a_second)


def status(number: int, *, retry_after: str | None = None) -> Answer:
    """An error page; `retry_after` is the header's value, seconds or a date."""
    headers = {} if retry_after is None else {"Retry-After": retry_after}
    return Answer(status=number, headers=headers, body=b"no\n")


def redirect(to: str) -> Answer:
    return Answer(status=302, headers={"Location": to}, body=b"")


def portal() -> Answer:
    """A captive portal's page instead of the file, with a success status."""
    return Answer(status=200, headers={"Content-Type": "text/html"}, body=_PORTAL)


def without_ranges() -> Answer:
    """A server that ignores ranges and sends the whole file."""
    return Answer(knows_ranges=False)


def wrong_range(late_by: int = 1) -> Answer:
    return Answer(range_starts_late_by=late_by)


def without_length() -> Answer:
    return Answer(claims_length=False)


@dataclass(slots=True)
class _File:
    content: bytes | Path
    etag: str
    modified: float

    @property
    def size(self) -> int:
        return self.content.stat().st_size if isinstance(self.content, Path) else len(self.content)

    def open(self) -> contextlib.AbstractContextManager[BinaryIO]:
        if isinstance(self.content, Path):
            return self.content.open("rb")
        return io.BytesIO(self.content)


class Publisher:
    """Serves files on 127.0.0.1; with `tls`, over HTTPS with an untrusted certificate."""

    def __init__(self, *, tls: ssl.SSLContext | None = None) -> None:
        self.asked: list[Asked] = []
        """All requests, in order of arrival."""
        self.keeps_etags = True
        """True if answers have an ETag; otherwise a client only has length and date."""
        self._files: dict[str, _File] = {}
        self._orders: dict[str, deque[Answer]] = {}
        self._always: dict[str, Answer] = {}
        self._after: dict[str, deque[Callable[[], object]]] = {}
        self._lock = threading.Lock()
        self._tls = tls
        self._server: http.server.ThreadingHTTPServer | None = None

    def __enter__(self) -> Publisher:
        publisher = self

        class Handler(_Handler):
            owner = publisher

        self._server = _Server(("127.0.0.1", 0), Handler)
        if self._tls is not None:
            self._server.socket = self._tls.wrap_socket(self._server.socket, server_side=True)
        self._port = self._server.server_address[1]
        self._thread = threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True)
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Stop listening: later connections are refused."""
        if self._server is not None:
            self._server.shutdown()
            self._server.server_close()
            self._thread.join()
            self._server = None

    def url(self, path: str) -> str:
        return f"{'http' if self._tls is None else 'https'}://127.0.0.1:{self._port}{path}"

    def offer(self, path: str, content: bytes | Path) -> str:
        """Serve a file from now on, replacing an earlier one; return its URL."""
        data = content.name.encode() if isinstance(content, Path) else content
        etag = f'"{hashlib.sha256(data + str(time.monotonic_ns()).encode()).hexdigest()[:16]}"'
        with self._lock:
            self._files[path] = _File(content, etag, time.time())
        return self.url(path)

    def withdraw(self, path: str) -> None:
        with self._lock:
            self._files.pop(path, None)

    def order(self, path: str, *answers: Answer) -> None:
        """Answer the next requests for `path` with these answers, each once; later ones normally."""
        with self._lock:
            self._orders.setdefault(path, deque()).extend(answers)

    def order_always(self, path: str, answer: Answer) -> None:
        """Answer every request for `path` with this answer from now on."""
        with self._lock:
            self._always[path] = answer

    def after_next(self, path: str, act: Callable[[], object]) -> None:
        """Call `act` after the next request for `path` and before the one after it, for example to change a file."""
        with self._lock:
            self._after.setdefault(path, deque()).append(act)

    def asked_for(self, path: str) -> list[Asked]:
        return [asked for asked in self.asked if asked.path == path]

    def _take(self, asked: Asked) -> tuple[_File | None, Answer, Callable[[], object]]:
        with self._lock:
            self.asked.append(asked)
            orders, waiting = self._orders.get(asked.path), self._after.get(asked.path)
            answer = orders.popleft() if orders else self._always.get(asked.path, Answer())
            return self._files.get(asked.path), answer, waiting.popleft() if waiting else lambda: None


def checksum_list(rows: Mapping[str, bytes | Path], *, algorithm: str = "sha256", style: str = "gnu") -> bytes:
    """A publisher's checksum list: `gnu` in the format of sha256sum, `bsd` in that of `sha256sum --tag`."""
    lines = []
    for name, content in rows.items():
        if isinstance(content, Path):
            with content.open("rb") as stream:
                digest = hashlib.file_digest(stream, algorithm).hexdigest()
        else:
            digest = hashlib.new(algorithm, content).hexdigest()
        lines.append(f"{algorithm.upper()} ({name}) = {digest}" if style == "bsd" else f"{digest}  {name}")
    return ("\n".join(lines) + "\n").encode()


class _Server(http.server.ThreadingHTTPServer):
    daemon_threads = True
    block_on_close = False

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Ignore clients that disconnect or reject the certificate: some tests need them."""


class _Handler(http.server.BaseHTTPRequestHandler):
    owner: Publisher
    protocol_version = "HTTP/1.1"

    def log_message(self, format: str, *args: object) -> None:
        """Log nothing, to keep the test output clean."""

    def do_HEAD(self) -> None:
        self._answer(has_body=False)

    def do_GET(self) -> None:
        self._answer(has_body=True)

    def _answer(self, *, has_body: bool) -> None:
        asked = Asked(
            method=self.command,
            path=self.path,
            range=self.headers.get("Range", ""),
            if_range=self.headers.get("If-Range", ""),
        )
        file, answer, after = self.owner._take(asked)
        try:
            if answer.body is not None:
                self._send(answer, answer.status, {"Content-Length": str(len(answer.body))}, answer.body, has_body)
            elif file is None:
                self._send(answer, 404, {"Content-Length": "3"}, b"no\n", has_body)
            else:
                self._send_file(asked, file, answer, has_body)
        finally:
            after()

    def _send_file(self, asked: Asked, file: _File, answer: Answer, has_body: bool) -> None:
        size = file.size
        headers = {"Last-Modified": email.utils.formatdate(file.modified, usegmt=True)}
        if self.owner.keeps_etags:
            headers["ETag"] = file.etag
        start, end, number = 0, size, 200
        match = re.fullmatch(r"bytes=(\d+)-(\d*)", asked.range)
        if match and answer.knows_ranges and asked.if_range in ("", file.etag):
            start = int(match[1])
            end = min(int(match[2]) + 1, size) if match[2] else size
            if start >= size:
                headers |= {"Content-Range": f"bytes */{size}", "Content-Length": "0"}
                return self._send(answer, 416, headers, b"", has_body)
            start = min(start + answer.range_starts_late_by, size)
            headers["Content-Range"] = f"bytes {start}-{end - 1}/{size}"
            number = 206
        if answer.knows_ranges:
            headers["Accept-Ranges"] = "bytes"
        headers["Content-Length"] = str(end - start)
        with file.open() as stream:
            stream.seek(start)
            return self._send(answer, answer.status or number, headers, _pieces(stream, end - start), has_body)

    def _send(
        self, answer: Answer, number: int, headers: Mapping[str, str], body: bytes | Iterator[bytes], has_body: bool
    ) -> None:
        self.send_response(number)
        sent = {"Content-Type": "application/octet-stream", **headers, **answer.headers}
        if not answer.claims_length:
            sent.pop("Content-Length", None)
            self.close_connection = True
            sent["Connection"] = "close"
        for name, value in sent.items():
            self.send_header(name, value)
        self.end_headers()
        if has_body:
            self._pour(answer, iter([body]) if isinstance(body, bytes) else body)

    def _pour(self, answer: Answer, pieces: Iterator[bytes]) -> None:
        left = answer.cut_after
        for piece in pieces:
            part = piece if left is None else piece[:left]
            self.wfile.write(part)
            if answer.bytes_a_second:
                time.sleep(len(part) / answer.bytes_a_second)
            if left is not None:
                left -= len(part)
                if left <= 0:
                    self.close_connection = True
                    return


def _pieces(stream: BinaryIO, count: int) -> Iterator[bytes]:
    while count > 0:
        piece = stream.read(min(_CHUNK, count))
        if not piece:
            return
        count -= len(piece)
        yield piece
