# SPDX-License-Identifier: MIT
"""Faults of requests: a message for people, and whether a retry may succeed."""

from __future__ import annotations

import email.utils
import errno
import socket
import ssl
import time
from collections.abc import Iterator
from urllib.parse import urlsplit

import requests
import urllib3

# Caused by the server's state, not the request: RFC 9110, 15.5.9 and 15.6; 425: RFC 8470; 429: RFC 6585.
_PASSING = frozenset({408, 425, 429, 500, 502, 503, 504})
_PORTAL_OR_PROXY = "for a captive portal or a proxy"


class WebFault(Exception):
    """A failed request: message, hint, and whether the same request may succeed later."""

    def __init__(self, message: str, *, passes: bool, hint: str = "", after_s: float | None = None) -> None:
        super().__init__(message)
        self.message = message
        self.passes = passes
        self.hint = hint
        self.after_s = after_s
        """Seconds that the server asked to wait before a retry."""


def refuse_status(response: requests.Response, url: str) -> None:
    """Raise `WebFault` for an error status, or a compressed body."""
    status = response.status_code
    if status not in (200, 206, 416):
        passes = status in _PASSING
        raise WebFault(
            f"{host_of(response.url)} answered {status} {response.reason} to {url}",
            passes=passes,
            hint="" if passes else "the file may have moved: check its address in images/targets",
            after_s=_retry_after(response.headers.get("Retry-After", "")),
        )
    encoding = response.headers.get("Content-Encoding", "identity")
    if encoding != "identity":
        raise WebFault(f"{host_of(response.url)} sends {url} as {encoding!r}, expected no encoding", passes=False)


def _retry_after(text: str) -> float | None:
    """Return the seconds to wait, from a number or a date (RFC 9110, 10.2.3); None when it is neither."""
    if text.isdecimal():
        return float(text)
    try:
        return max(0.0, email.utils.parsedate_to_datetime(text).timestamp() - time.time())
    except (TypeError, ValueError):
        return None


def explain(error: Exception, url: str) -> WebFault:
    """Convert an error of requests, urllib3 or the parsing of an answer to a `WebFault`."""
    host = host_of(url)
    causes = list(_causes(error))
    for cause in causes:
        if isinstance(cause, ssl.SSLCertVerificationError):
            return WebFault(
                f"{host}: certificate verification failed: {cause.verify_message}",
                passes=False,
                hint=f"check this host's clock, and {_PORTAL_OR_PROXY}",
            )
        if isinstance(cause, ssl.SSLError) and not isinstance(cause, ssl.SSLEOFError):
            why = (cause.reason or str(cause)).replace("_", " ").lower()
            return WebFault(f"{host}: the TLS connection failed: {why}", passes=False, hint=f"check {_PORTAL_OR_PROXY}")
        if isinstance(cause, socket.gaierror):
            return WebFault(
                f"cannot resolve {host!r}: {cause.strerror}",
                passes=cause.errno == socket.EAI_AGAIN,
                hint="check the network and its DNS server",
            )
        if isinstance(cause, urllib3.exceptions.IncompleteRead):
            return WebFault(f"{host} closed the connection after {cause.partial} bytes of its answer", passes=True)
    if isinstance(
        error, requests.exceptions.InvalidURL | requests.exceptions.InvalidSchema | requests.exceptions.MissingSchema
    ):
        return WebFault(f"{url!r} is, or redirects to, an invalid web address: {error}", passes=False)
    if isinstance(error, ValueError):
        return WebFault(f"{host} sends an invalid answer to {url}: {error}", passes=False)
    # Before timeouts: urllib3 derives its error for a refused connection from its timeout.
    for cause in causes:
        if isinstance(cause, OSError) and cause.errno in _WORDS:
            return WebFault(f"{host}: {_WORDS[cause.errno]}", passes=True, hint="check the network and its proxy")
    if any(isinstance(cause, TimeoutError | requests.Timeout | urllib3.exceptions.TimeoutError) for cause in causes):
        return WebFault(f"{host} does not answer", passes=True, hint="check the network and its proxy")
    return WebFault(f"{host}: the connection broke: {causes[-1]}", passes=True, hint="check the network and its proxy")


_WORDS = {
    errno.ECONNREFUSED: "connection refused",
    errno.ECONNRESET: "connection reset",
    errno.ENETUNREACH: "network is unreachable",
    errno.EHOSTUNREACH: "no route to host",
}


def _causes(error: BaseException) -> Iterator[BaseException]:
    """Yield an error and those wrapped in it, the outermost first: requests and urllib3 wrap in several ways."""
    seen: set[int] = set()
    waiting: list[object] = [error]
    while waiting:
        found = waiting.pop(0)
        if not isinstance(found, BaseException) or id(found) in seen:
            continue
        seen.add(id(found))
        yield found
        waiting += [*found.args, getattr(found, "reason", None), found.__cause__, found.__context__]


def host_of(url: str) -> str:
    """Return the host of an address, or the address if it has none."""
    try:
        return urlsplit(url).hostname or url
    except ValueError:
        return url
