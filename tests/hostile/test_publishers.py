# SPDX-License-Identifier: MIT
"""Publishers whose answers have no end, take for ever or cannot be parsed: each ends in one line, soon."""

from __future__ import annotations

import contextlib
import dataclasses
import itertools
import os
import socketserver
import threading
import time
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any

import pytest
from unit.cloud.offers import Waits, image_at

from hostile.work import peak_memory
from vmlab.catalogue.cloud_image import CloudImage
from vmlab.cloud.download import fetch_cloud_image
from vmlab.cloud.http import Web
from vmlab.cloud.http_fault import WebFault
from vmlab.cloud.lock import ImageLock, LockedImage
from vmlab.cloud.partial import Part
from vmlab.cloud.publisher import look
from vmlab.errors import AssetError, HostError
from vmlab.store.store import Store

_DIGEST = "a" * 64
_DIGITS = b"9" * 5000
_PATIENCE = 0.005
"""0.3 s for an answer, 0.6 s for the rate of a body."""
_SIZE = 1_000_000
_CONTINUE = b"HTTP/1.1 100 Continue\r\n\r\n"

Reply = Callable[[str], Iterable[bytes]]


class RawPublisher:
    """Sends whatever bytes `reply` yields for a request line, and records the request lines."""

    def __init__(self, reply: Reply) -> None:
        self.asked: list[str] = []
        publisher = self

        class Handler(socketserver.StreamRequestHandler):
            def handle(self) -> None:
                line = self.rfile.readline().decode().strip()
                publisher.asked.append(line)
                while self.rfile.readline().strip():
                    pass
                with contextlib.suppress(OSError):
                    for piece in reply(line):
                        self.wfile.write(piece)

        self.server = socketserver.ThreadingTCPServer(("127.0.0.1", 0), Handler)
        self.server.daemon_threads = True
        self.server.block_on_close = False

    def url(self, path: str) -> str:
        return f"http://127.0.0.1:{self.server.server_address[1]}{path}"


Serve = Callable[[Reply], RawPublisher]


@pytest.fixture
def serve(monkeypatch: pytest.MonkeyPatch) -> Iterator[Serve]:
    monkeypatch.setenv("NO_PROXY", "*")
    with contextlib.ExitStack() as stack:

        def start(reply: Reply) -> RawPublisher:
            publisher = RawPublisher(reply)
            stack.enter_context(publisher.server)
            thread = threading.Thread(target=publisher.server.serve_forever, kwargs={"poll_interval": 0.01})
            thread.start()
            stack.callback(thread.join)
            stack.callback(publisher.server.shutdown)
            return publisher

        yield start


def _web(*, patience: float = 1.0) -> Web:
    return Web(pause=Waits(), silence_s=10, patience=patience)


def _head(status: str, *headers: bytes) -> bytes:
    lines = [f"HTTP/1.1 {status}".encode(), b"Connection: close", *headers]
    return b"\r\n".join(lines) + b"\r\n\r\n"


def _whole(body: bytes) -> list[bytes]:
    return [_head("200 OK", b"Content-Length: %d" % len(body)), body]


def _slowly(piece: bytes) -> Iterator[bytes]:
    while True:
        yield piece
        time.sleep(0.05)


def test_the_body_of_a_redirect_is_not_read(serve: Serve) -> None:
    publisher = serve(
        lambda _: itertools.chain([_head("302 Found", b"Location: /again")], itertools.repeat(bytes(2**20), 500))
    )

    with peak_memory() as peak_mib, pytest.raises(WebFault, match=r"redirects .* too often"):
        _web().text(publisher.url("/list"))

    assert peak_mib() < 64
    assert len(publisher.asked) == 11


@pytest.mark.parametrize(
    "location", [b"file:///etc/passwd", b"ftp://127.0.0.1/", b"http://[::1", b"/\xff\xfe", b"http://.a/"]
)
def test_a_redirect_to_what_is_no_web_address_is_refused(serve: Serve, location: bytes) -> None:
    publisher = serve(lambda _: [_head("302 Found", b"Location: " + location, b"Content-Length: 0")])

    with pytest.raises(WebFault, match="invalid") as caught:
        _web().text(publisher.url("/list"))

    assert not caught.value.passes
    assert len(publisher.asked) == 1


@pytest.mark.parametrize(
    "reply",
    [
        pytest.param(lambda _: itertools.repeat(_CONTINUE), id="continue-without-end"),
        pytest.param(lambda _: itertools.chain([b"HTTP/1.1 200 OK\r\nA: "], _slowly(b"a")), id="header"),
        pytest.param(lambda _: itertools.chain([_head("200 OK")], _slowly(b"a")), id="body"),
    ],
)
def test_a_list_that_comes_a_byte_at_a_time_has_a_deadline(serve: Serve, reply: Reply) -> None:
    publisher = serve(reply)
    began = time.monotonic()

    with pytest.raises(WebFault, match=r"did not answer .* in 0 s"):
        _web(patience=_PATIENCE).text(publisher.url("/list"))

    assert time.monotonic() - began < 10


@pytest.mark.parametrize("ask", [Web.size_of, Web.small_file])
def test_all_attempts_share_the_deadline(serve: Serve, ask: Callable[[Web, str], object]) -> None:
    def reply(_: str) -> Iterator[bytes]:
        time.sleep(0.2)
        yield _head("503 Busy", b"Content-Length: 0")

    publisher = serve(reply)

    with pytest.raises(WebFault, match="did not answer"):
        ask(_web(patience=_PATIENCE), publisher.url("/list"))

    assert len(publisher.asked) <= 2


def _image(publisher: RawPublisher, *, listed_at: str = "/images/SHA256SUMS") -> CloudImage:
    return dataclasses.replace(
        image_at(publisher),  # type: ignore[arg-type]
        urls=(publisher.url("/images/x-*.qcow2"),),
        checksums=(publisher.url(listed_at),),
    )


def _list_then(answer: Iterable[bytes]) -> Reply:
    """Serve a list of one file, and for the file `answer`."""
    return lambda line: _whole(f"{_DIGEST}  x-1.qcow2\n".encode()) if "SHA256SUMS" in line else answer


def _fetch(publisher: RawPublisher, tmp_path: Path, *, patience: float = 1.0) -> AssetError:
    image = _image(publisher)
    row = LockedImage(id=image.id, name="x-1.qcow2", size_bytes=_SIZE, algorithm=image.algorithm, digest=_DIGEST)
    lock = ImageLock(path=tmp_path / "lock", rows={image.id: row})
    with pytest.raises(AssetError) as caught:
        fetch_cloud_image(image, Store(tmp_path / "store"), lock=lock, web=_web(patience=patience))
    return caught.value


def test_a_range_that_was_not_asked_for_counts_as_a_failure(serve: Serve, tmp_path: Path) -> None:
    ranged = _head("206 Partial", b"Content-Range: bytes 5-9/%d" % _SIZE, b"Content-Length: 5")
    publisher = serve(_list_then([ranged, b"aaaaa"]))

    assert "another range" in _fetch(publisher, tmp_path).message

    assert len(publisher.asked) == 1 + 5


def test_an_image_that_stands_still_is_given_up(serve: Serve, tmp_path: Path) -> None:
    publisher = serve(
        lambda line: (
            _whole(f"{_DIGEST}  x-1.qcow2\n".encode())
            if "SHA256SUMS" in line
            else itertools.chain([_head("200 OK", b"Content-Length: %d" % _SIZE)], _slowly(b"a"))
        )
    )
    began = time.monotonic()

    assert "sent only" in _fetch(publisher, tmp_path, patience=0.01).message

    assert time.monotonic() - began < 60


def test_a_server_that_starts_again_after_each_gain_is_given_up(serve: Serve, tmp_path: Path) -> None:
    gain = _SIZE // 50
    turns = itertools.cycle(
        [
            [_head("200 OK", b"Content-Length: %d" % _SIZE), bytes(gain)],
            [_head("206 Partial", b"Content-Range: bytes %d-%d/%d" % (gain, _SIZE - 1, _SIZE)), bytes(gain)],
        ]
    )
    publisher = serve(lambda line: _whole(f"{_DIGEST}  x-1.qcow2\n".encode()) if "SHA256SUMS" in line else next(turns))

    assert "ended after" in _fetch(publisher, tmp_path).message

    assert len(publisher.asked) < 12


def test_a_slow_link_is_waited_for(serve: Serve) -> None:
    def reply(_: str) -> Iterator[bytes]:
        yield _head("200 OK")
        for _piece in range(20):
            yield bytes(100)
            time.sleep(0.05)

    publisher = serve(reply)

    with _web(patience=_PATIENCE).ask(publisher.url("/image")) as answer:
        assert sum(map(len, answer.chunks)) == 2000


_LONG_LENGTH = _head("200 OK", b"Content-Length: " + _DIGITS)
_LONG_RANGE = _head("206 Partial", b"Content-Range: bytes 0-0/" + _DIGITS)


@pytest.mark.parametrize("head", [pytest.param(_LONG_LENGTH, id="length"), pytest.param(_LONG_RANGE, id="range")])
def test_a_size_of_5000_digits_is_no_size(serve: Serve, head: bytes) -> None:
    publisher = serve(_list_then([head, b"x"]))

    with pytest.raises(AssetError, match="does not report the file's size"):
        look(_image(publisher), _web())


def test_a_name_of_5000_digits_is_sorted_as_a_number(serve: Serve) -> None:
    digits = _DIGITS.decode()
    names = (f"x-{digits}.qcow2", "x-010.qcow2", "x-9.qcow2")
    listed = "".join(f"{_DIGEST}  {name}\n" for name in names).encode()
    publisher = serve(lambda line: _whole(listed if "SHA256SUMS" in line else b"content"))

    assert look(_image(publisher), _web()).name == names[0]


@pytest.mark.parametrize(
    "page",
    [
        pytest.param(b'<a href="http://[::1">', id="address"),
        pytest.param(b"<![foo]]>", id="marked-section"),
        pytest.param(b"<![ ]>", id="empty-section"),
        pytest.param(b'<a href="&#' + _DIGITS + b';">', id="character"),
    ],
)
def test_a_page_that_cannot_be_parsed_is_one_line(serve: Serve, page: bytes) -> None:
    publisher = serve(lambda _: _whole(page))

    with pytest.raises(AssetError, match=r"is not a valid page|lists no") as caught:
        look(_image(publisher, listed_at="/images/SHA*"), _web())

    assert len(str(caught.value).splitlines()) == 1


@pytest.fixture
def part(tmp_path: Path) -> Path:
    """The directory of a part named `x` in a store."""
    return Store(tmp_path / "store").directory("parts/x")


def _hard_link(path: Path, precious: Path) -> None:
    path.hardlink_to(precious)


def _symbolic_link(path: Path, precious: Path) -> None:
    path.symlink_to(precious)


def _fifo(path: Path, _: Path) -> None:
    os.mkfifo(path)


@pytest.mark.parametrize("make", [_hard_link, _symbolic_link, _fifo, lambda path, _: path.mkdir()])
def test_a_part_that_is_not_a_regular_file_is_refused(
    part: Path, tmp_path: Path, make: Callable[[Path, Path], Any]
) -> None:
    precious = tmp_path / "precious"
    precious.write_text("precious")
    make(part / "data", precious)

    with pytest.raises(HostError, match=r"cannot use .*data") as caught:
        Part(Store(tmp_path / "store"), "x")

    assert len(str(caught.value).splitlines()) == 1
    assert precious.read_text() == "precious"


@pytest.mark.parametrize("origin", ["[" * 100_000, '{"url": "u"}', "[]", '"u"', "null"])
def test_a_part_with_an_invalid_origin_has_no_tag(part: Path, tmp_path: Path, origin: str) -> None:
    (part / "origin.json").write_text(origin)

    with Part(Store(tmp_path / "store"), "x") as opened:
        assert opened.validator("u") == ""
