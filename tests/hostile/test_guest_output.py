# SPDX-License-Identifier: MIT
"""A guest whose output, files and sshd take the lab's time and memory. No guest: real sockets, a real SSH server."""

from __future__ import annotations

import contextlib
import re
import socket
import threading
import time
from collections import deque
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from unit.fakes import FakeTransport, completed, guest
from unit.guest.ssh_server import SshServer

from hostile.work import MOST_RATIO, growth, peak_memory
from vmlab.errors import GuestError
from vmlab.guest import transport
from vmlab.guest.banner import BannerWait
from vmlab.guest.root_shell import LineTransport
from vmlab.guest.ssh import Address, SshTransport, connect
from vmlab.guest.ssh_channel import PacketSocket, TimedChannel, execute, fetch
from vmlab.guest.transport import MOST_OUTPUT_BYTES, CommandTooSlow, FileTooLarge, output_of
from vmlab.image.keys import lab_keys
from vmlab.reason.command import last_words
from vmlab.store.store import Store
from vmlab.system.excerpt import Excerpt

_MARK = re.compile(r"\[vmlab left out (\d+) bytes here: to get all, write it to a file in the guest and .*max_bytes")


class _Shell:
    """The guest's end of the root shell's line: answers the next command with what it is told to."""

    def __init__(self, answer: Callable[[socket.socket, bytes], None]) -> None:
        self.near, self._far = socket.socketpair()
        self._answer = answer
        self._thread = threading.Thread(target=self._serve, daemon=True)
        self._thread.start()

    def _serve(self) -> None:
        nonce = re.findall(rb"echo '(\w+) <'", self._far.recv(65536))[0]
        with contextlib.suppress(OSError):
            self._answer(self._far, nonce)

    def close(self) -> None:
        self.near.close()
        self._far.close()
        self._thread.join()


def _ask(answer: Callable[[socket.socket, bytes], None], *, timeout_s: float = 60) -> transport.Completed:
    shell = _Shell(answer)
    try:
        return LineTransport(shell.near).run("true", timeout_s=timeout_s)
    finally:
        shell.close()


def _frame(nonce: bytes, stdout: bytes, stderr: bytes = b"") -> bytes:
    return b"%b <\n%b\n%b 0\n%b\n%b >\n" % (nonce, stdout, nonce, stderr, nonce)


@pytest.mark.parametrize("stream", ["stdout", "stderr"])
def test_of_endless_output_on_the_line_both_ends_are_kept(stream: str) -> None:
    size = 64 << 20
    block = b"x" * 1023 + b"\n"

    def answer(line: socket.socket, nonce: bytes) -> None:
        line.sendall(b"%b <\n" % nonce + (b"" if stream == "stdout" else b"\n%b 0\n" % nonce) + b"first\n")
        for _ in range(size // len(block)):
            line.sendall(block)
        line.sendall(b"last\n" + (b"\n%b 0\n" % nonce if stream == "stdout" else b"") + b"\n%b >\n" % nonce)

    done = _ask(answer)

    text = getattr(done, stream)
    assert text.startswith("first\n")
    assert text.endswith("last\n")
    assert len(text) <= MOST_OUTPUT_BYTES + 200
    assert _MARK.search(text)
    assert done.left_out >= size - MOST_OUTPUT_BYTES


def test_the_time_for_an_answer_grows_as_its_size() -> None:
    def read(size: int) -> object:
        # Lines that look like the end of the answer, but have no nonce.
        return _ask(lambda line, nonce: line.sendall(_frame(nonce, b"0\n" * size)))

    assert growth(read, 1_000_000) < MOST_RATIO


@pytest.mark.parametrize(
    "words",
    [b"%b 0\n%b <\n%b >\n", b"%b <\n%b >\n%b 0\n", b"%b <\n%b <\n%b >\n", b"%b <\n%b 7\n%b 7\n"],
    ids=["status-first", "no-status", "twice", "no-end"],
)
def test_an_answer_in_the_wrong_order_is_a_lost_line(words: bytes) -> None:
    with pytest.raises(transport.TransportLost, match="garbled"):
        _ask(lambda line, nonce: line.sendall(words % (nonce, nonce, nonce)), timeout_s=10)


@pytest.mark.parametrize("part", ["before", "stdout", "stderr"])
def test_a_byte_now_and_then_does_not_prolong_a_command(part: str) -> None:
    begun = {"before": b"", "stdout": b"%b <\n", "stderr": b"%b <\n\n%b 0\n"}[part]

    def answer(line: socket.socket, nonce: bytes) -> None:
        line.sendall(begun.replace(b"%b", nonce))
        for _ in range(100):
            line.sendall(b"x")
            time.sleep(0.05)

    started = time.monotonic()
    with pytest.raises(CommandTooSlow):
        _ask(answer, timeout_s=0.3)
    assert time.monotonic() - started < 20


def test_an_excerpt_costs_the_same_for_small_and_large_parts() -> None:
    small, large = Excerpt(1000), Excerpt(1000)
    for number in range(3000):
        small.add(b"%d\n" % number)
    large.add(b"".join(b"%d\n" % number for number in range(3000)))

    assert small.text() == large.text()
    assert small.left_out == large.left_out
    assert growth(lambda size: deque(map(small.add, [b"x"] * size), maxlen=0), 50_000) < MOST_RATIO


# --- SSH


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[SshServer, Address]]:
    import paramiko

    keys = lab_keys(Store(tmp_path_factory.mktemp("store")))
    host, user = (paramiko.Ed25519Key.from_private_key_file(str(path)) for path in (keys.host, keys.user))
    started = SshServer(host, user)
    yield started, Address(port=started.port, host_key=keys.public(keys.host), user_key=keys.user)
    started.close()


@pytest.fixture
def ssh(server: tuple[SshServer, Address]) -> Iterator[SshTransport]:
    opened = connect(
        server[1], timeout_s=30, step_timeout_s=30, require_alive=lambda: None, evidence=lambda: "", again_s=5
    )
    yield opened
    opened.close()


def test_of_endless_output_over_ssh_both_ends_are_kept(ssh: SshTransport) -> None:
    size = 64_000_000

    with peak_memory() as peak_mib:
        done = ssh.run(f"echo first; head -c {size} /dev/zero; echo; echo last; echo error >&2; exit 3", timeout_s=300)
        assert peak_mib() < 100

    assert (done.status, done.stderr) == (3, "error\n")
    assert done.stdout.startswith("first\n")
    assert done.stdout.endswith("\nlast\n")
    assert _MARK.search(done.stdout)
    assert 0 < done.left_out < size
    assert len(done.stdout) <= MOST_OUTPUT_BYTES + 200


def test_errors_without_end_over_ssh_are_kept_at_both_ends(ssh: SshTransport) -> None:
    done = ssh.run("head -c 40000000 /dev/zero >&2; echo done", timeout_s=300)

    assert done.stdout == "done\n"
    assert len(done.stderr) <= MOST_OUTPUT_BYTES + 200
    assert done.left_out == 40_000_000 - MOST_OUTPUT_BYTES


@pytest.mark.parametrize(
    "command",
    ["while :; do echo x; sleep 0.05; done", "while :; do echo x >&2; sleep 0.05; done", "yes"],
    ids=["stdout", "stderr", "flood"],
)
def test_output_does_not_prolong_a_command_over_ssh(ssh: SshTransport, command: str) -> None:
    started = time.monotonic()
    with pytest.raises(CommandTooSlow):
        ssh.run(f"timeout 20 sh -c '{command}'", timeout_s=0.5)
    assert time.monotonic() - started < 15


def test_a_file_that_is_larger_than_its_copy_may_be_is_refused_by_its_size(ssh: SshTransport, tmp_path: Path) -> None:
    sparse, copy = tmp_path / "sparse", tmp_path / "copy"
    with sparse.open("wb") as file:
        file.truncate(64 << 30)

    with pytest.raises(FileTooLarge, match=f"it has {64 << 30} bytes"):
        ssh.get(str(sparse), copy, timeout_s=30)
    assert not copy.exists()
    assert ssh.run("echo here", timeout_s=10).stdout == "here\n"


def test_a_file_without_a_size_is_refused_when_it_has_sent_too_much(ssh: SshTransport, tmp_path: Path) -> None:
    with pytest.raises(FileTooLarge):
        ssh.get("/dev/zero", tmp_path / "copy", timeout_s=60, max_bytes=1 << 20)
    assert not (tmp_path / "copy").exists()
    # The client is usable after that.
    (tmp_path / "small").write_bytes(b"small")
    ssh.get(str(tmp_path / "small"), tmp_path / "copy", timeout_s=60)
    assert (tmp_path / "copy").read_bytes() == b"small"


class _Liar:
    """An SFTP client of a server that announces another size than it sends."""

    def __init__(self, announced: int, sent: int) -> None:
        self.announced, self.left = announced, sent
        self.st_size = announced

    def stat(self, path: str) -> _Liar:
        del path
        return self

    def open(self, path: str, mode: str) -> _Liar:
        del path, mode
        return self

    def __enter__(self) -> _Liar:
        return self

    def __exit__(self, *error: object) -> None:
        pass

    def read(self, size: int) -> bytes:
        self.left, size = max(0, self.left - size), min(size, self.left)
        return b"x" * size

    def readv(self, parts: list[tuple[int, int]]) -> Iterator[bytes]:
        assert len(parts) <= 1000
        for _, size in parts:
            if not self.left:
                raise EOFError
            yield self.read(size)


@pytest.mark.parametrize("announced", [0, 5, 10**7])
def test_a_size_that_is_a_lie_is_found_out(tmp_path: Path, announced: int) -> None:
    liar = _Liar(announced, 10**12)
    with pytest.raises(FileTooLarge):
        fetch(liar, "file", tmp_path / "copy", max_bytes=10**7)
    assert 10**12 - liar.left < 2 * 10**7
    assert not (tmp_path / "copy").exists()


def test_a_file_that_is_shorter_than_announced_is_copied(tmp_path: Path) -> None:
    fetch(_Liar(10**9, 100_000), "file", tmp_path / "copy", max_bytes=10**9)
    assert (tmp_path / "copy").stat().st_size == 100_000


class _Trickle:
    """A channel that returns one byte at a time, for ever."""

    status_event = threading.Event()
    reads = 0

    def settimeout(self, timeout: float | None) -> None:
        assert timeout is None or timeout <= 0.3

    def exec_command(self, command: str) -> None: ...

    def recv(self, nbytes: int) -> bytes:
        del nbytes
        self.reads += 1
        time.sleep(0.01)
        return b"x"

    recv_stderr = recv

    def recv_ready(self) -> bool:
        return True

    def recv_exit_status(self) -> int:
        return 0

    def send(self, data: bytes) -> int:
        return len(data)

    def close(self) -> None: ...


def test_a_trickle_ends_with_the_timeout_of_the_whole() -> None:
    with pytest.raises(TimeoutError):
        execute(_Trickle(), "true", stdout=len, stderr=len, timeout_s=0.2)

    channel = _Trickle()
    timed = TimedChannel(channel)
    with pytest.raises(TimeoutError), timed.limited(0.2):
        deque(iter(lambda: timed.recv(1), b""), maxlen=0)
    assert channel.reads < 1000


def test_an_ssh_packet_of_four_gigabytes_is_not_waited_for() -> None:
    near, far = socket.socketpair()
    with far, PacketSocket(fileno=near.detach()) as limited:
        far.sendall(b"abc")
        assert limited.recv(64 << 10) == b"abc"
        with pytest.raises(ConnectionError, match="announced an SSH packet of 4294967295 bytes"):
            limited.recv((4 << 30) - 1)


@pytest.mark.parametrize("said", [b"SSH-" + b"x" * 3000, b"SSH-2.0-" + b"x" * 300 + b"\n", b"x" * 10_000])
def test_a_banner_without_an_end_is_no_banner(said: bytes) -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        banner = BannerWait("127.0.0.1", listener.getsockname()[1])
        assert banner.look(0.0) is None
        peer, _ = listener.accept()
        with peer:
            peer.sendall(said)
            assert banner.look(1.0) is None
            assert banner.seen.endswith("which is not an SSH banner")
        banner.close()


# --- what the lab makes of it


def test_a_text_that_is_cut_is_not_taken_for_a_files_content() -> None:
    long = replace(completed("cat", stdout="a"), left_out=5)

    with pytest.raises(GuestError, match="it has more than 16777216 bytes") as caught:
        guest(FakeTransport({"cat": long})).read("/proc/kcore")
    assert "guest.get" in caught.value.hint


def test_a_file_that_is_too_large_names_the_argument_that_allows_it(tmp_path: Path) -> None:
    class Full(FakeTransport):
        def get(self, remote: str, local: Path, *, timeout_s: float, max_bytes: int = 0) -> None:
            raise FileTooLarge(10, max_bytes)

    with pytest.raises(GuestError, match="cannot copy '/x' out: it has 10 bytes or more, the limit is 9") as caught:
        guest(Full()).get("/x", tmp_path / "x", max_bytes=9)
    assert "max_bytes" in caught.value.hint


def test_an_error_shows_a_bounded_part_of_one_endless_line() -> None:
    done = completed("cat", status=1, stderr="x" * 10_000_000)

    with pytest.raises(GuestError) as caught:
        guest(FakeTransport({"cat": done})).succeed("cat")
    assert len(str(caught.value)) < 50_000
    assert len(output_of(done)) < 50_000


def test_the_last_words_of_endless_output_cost_the_same() -> None:
    assert last_words("x\n" * 5_000_000 + "cat: no such file\n", "") == "cat: no such file"
    assert growth(lambda size: last_words("x\n" * size, "y" * size), 1_000_000) < MOST_RATIO


def test_a_channel_that_ends_without_a_status_and_an_answer_is_a_lost_guest(
    ssh: SshTransport, server: tuple[SshServer, Address]
) -> None:
    timer = threading.Timer(0.3, server[0].cut)
    timer.start()
    with pytest.raises(transport.TransportLost):
        ssh.run("yes", timeout_s=30)
    timer.join()
