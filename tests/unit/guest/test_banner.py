# SPDX-License-Identifier: MIT
"""A slow sshd is accepted within the time limit of its wait; a silent one counts as lost within it."""

from __future__ import annotations

import contextlib
import itertools
import socket
import threading
import time
from collections.abc import Callable, Iterator

import paramiko
import pytest

from vmlab.errors import AssetError, MachineLost
from vmlab.guest.banner import MOST_CONNECTIONS, BannerWait, least_needed
from vmlab.guest.ssh import Address, SshTransport, connect
from vmlab.image.keys import LabKeys, lab_keys
from vmlab.store.store import Store

from .ssh_server import SshServer

_AGAIN_S = 0.4
_SLACK_S = 1.5
"""Additional time in seconds for a step, the last attempt and a busy host."""

Handler = Callable[[int, socket.socket], None]


@pytest.fixture(scope="module")
def keys(tmp_path_factory: pytest.TempPathFactory) -> LabKeys:
    return lab_keys(Store(tmp_path_factory.mktemp("store")))


class RawServer:
    """Accepts connections, and calls `handle` with each one's number and socket."""

    def __init__(self, handle: Handler) -> None:
        self.handle = handle
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.port = int(self.listener.getsockname()[1])
        self.clients: list[socket.socket] = []
        threading.Thread(target=self._accept, daemon=True).start()

    def count_open(self) -> int:
        """Number of clients that have not hung up."""
        return sum(not _has_hung_up(client) for client in self.clients)

    def _accept(self) -> None:
        with contextlib.suppress(OSError):
            while True:
                client, _ = self.listener.accept()
                self.clients.append(client)
                self.handle(len(self.clients), client)


def _await_clients(server: RawServer, count: int) -> None:
    """Wait until the server's thread has accepted `count` clients: the kernel connects before it does."""
    deadline = time.monotonic() + 30
    while len(server.clients) < count:
        assert time.monotonic() < deadline, f"{len(server.clients)} of {count} connections were accepted"
        time.sleep(0.01)


def _has_hung_up(client: socket.socket) -> bool:
    try:
        return client.recv(1, socket.MSG_PEEK | socket.MSG_DONTWAIT) == b""
    except BlockingIOError:
        return False
    except OSError:
        return True


@pytest.fixture
def serve() -> Iterator[Callable[[Handler], RawServer]]:
    servers: list[RawServer] = []

    def start(handle: Handler) -> RawServer:
        servers.append(RawServer(handle))
        return servers[-1]

    yield start
    for server in servers:
        for end in (server.listener, *server.clients):
            end.close()


def _say_nothing(number: int, client: socket.socket) -> None:
    pass


def _connect(
    port: int,
    keys: LabKeys,
    *,
    timeout_s: float,
    step_timeout_s: float = 10,
    is_first_boot: bool = False,
    require_alive: Callable[[], None] = lambda: None,
) -> SshTransport:
    return connect(
        Address(port=port, host_key=keys.public(keys.host), user_key=keys.user),
        timeout_s=timeout_s,
        step_timeout_s=step_timeout_s,
        require_alive=require_alive,
        evidence=lambda: "console: login",
        is_first_boot=is_first_boot,
        again_s=_AGAIN_S,
    )


def _key(path: object) -> paramiko.PKey:
    return paramiko.Ed25519Key.from_private_key_file(str(path))


@pytest.mark.parametrize("late_s", [2 * _AGAIN_S, 10 * _AGAIN_S])
def test_an_sshd_that_speaks_late_is_met_when_it_speaks(keys: LabKeys, late_s: float) -> None:
    server = SshServer(_key(keys.host), _key(keys.user), greets_after_s=late_s)
    started = time.monotonic()

    with contextlib.closing(server), contextlib.closing(_connect(server.port, keys, timeout_s=15)) as transport:
        took_s = time.monotonic() - started
        answer = transport.run("echo here", timeout_s=10).stdout

    assert answer == "here\n"
    assert late_s <= took_s < late_s + _SLACK_S


def test_an_sshd_that_never_speaks_is_lost_within_the_limit(
    keys: LabKeys, serve: Callable[[Handler], RawServer]
) -> None:
    server = serve(_say_nothing)
    started = time.monotonic()

    with pytest.raises(MachineLost, match="gave up waiting for the guest's SSH to answer after 2 s") as caught:
        _connect(server.port, keys, timeout_s=2)

    assert time.monotonic() - started < 2 + _SLACK_S
    assert caught.value.message.endswith("; last seen: accepted the connection and sent nothing")
    assert caught.value.detail == "console: login"


@pytest.mark.parametrize("step_timeout_s", [0.5, 60])
def test_an_sshd_that_hangs_in_the_key_exchange_is_lost_within_the_limit(
    keys: LabKeys, serve: Callable[[Handler], RawServer], step_timeout_s: float
) -> None:
    server = serve(lambda _, client: client.sendall(b"SSH-2.0-OpenSSH_9.2\r\n"))
    started = time.monotonic()

    with pytest.raises(MachineLost, match="gave up waiting for the guest's SSH"):
        _connect(server.port, keys, timeout_s=2, step_timeout_s=step_timeout_s)

    assert time.monotonic() - started < 2 + _SLACK_S


def test_the_key_exchange_has_the_limit_of_a_step_and_not_paramikos_own(
    keys: LabKeys, monkeypatch: pytest.MonkeyPatch
) -> None:
    limits: list[float] = []
    monkeypatch.setattr("paramiko.packet.Packetizer.start_handshake", lambda _, limit_s: limits.append(limit_s))
    server = SshServer(_key(keys.host), _key(keys.user))

    with contextlib.closing(server):
        _connect(server.port, keys, timeout_s=300, step_timeout_s=120).close()

    assert 120 in limits


def test_a_guest_whose_network_comes_up_late_is_met_by_a_newer_connection(
    keys: LabKeys, serve: Callable[[Handler], RawServer]
) -> None:
    behind = SshServer(_key(keys.host), _key(keys.user))
    # QEMU's SYN of the first two was lost, and is retransmitted only after a long time.
    server = serve(lambda number, client: _forward(client, behind.port) if number > 2 else None)
    started = time.monotonic()

    with contextlib.closing(behind):
        _connect(server.port, keys, timeout_s=15).close()

    assert time.monotonic() - started < 2 * _AGAIN_S + _SLACK_S


def _forward(client: socket.socket, port: int) -> None:
    there = socket.create_connection(("127.0.0.1", port))
    for source, sink in ((client, there), (there, client)):
        threading.Thread(target=_pump, args=(source, sink), daemon=True).start()


def _pump(source: socket.socket, sink: socket.socket) -> None:
    with contextlib.suppress(OSError):
        while block := source.recv(65536):
            sink.sendall(block)


def test_of_many_silent_connections_the_first_and_the_newest_are_kept(serve: Callable[[Handler], RawServer]) -> None:
    server = serve(_say_nothing)

    with contextlib.closing(BannerWait("127.0.0.1", server.port, again_s=0.0)) as banner:
        looks = [banner.look(0.005) for _ in range(40)]
        _await_clients(server, 40)
        numbers = [number for number, client in enumerate(server.clients, 1) if not _has_hung_up(client)]

    assert looks == [None] * 40
    assert len(numbers) == MOST_CONNECTIONS
    assert numbers[0] == 1
    assert numbers[-2:] == [39, 40]


def test_connections_of_every_age_are_kept() -> None:
    opened: list[float] = []

    for time_s in range(200):
        opened.append(float(time_s))
        if len(opened) > MOST_CONNECTIONS:
            del opened[least_needed(opened)]

    ages = [opened[-1] - each for each in opened]
    assert ages[0] == 199
    assert all(older <= 4 * younger for older, younger in itertools.pairwise(ages[:-1]))


def test_no_connection_is_left_open_when_the_wait_is_over(keys: LabKeys, serve: Callable[[Handler], RawServer]) -> None:
    server = serve(_say_nothing)

    with pytest.raises(MachineLost):
        _connect(server.port, keys, timeout_s=1)

    assert server.clients
    assert server.count_open() == 0


@pytest.mark.parametrize(
    ("pieces", "is_met"),
    [
        ((b"S", b"SH-2.0-x\r\n"), True),
        ((b"welcome to this guest\r\n", b"SSH-2.0-x\r\n"), True),
        ((b"HTTP/1.0 400 Bad request\r\n",), False),
    ],
    ids=["in pieces", "lines before it", "another protocol"],
)
def test_a_banner_is_known_in_pieces_and_after_other_lines(
    serve: Callable[[Handler], RawServer], pieces: tuple[bytes, ...], is_met: bool
) -> None:
    def say(number: int, client: socket.socket) -> None:
        for piece in pieces:
            client.sendall(piece)
            time.sleep(0.1)

    server = serve(say)
    looks = []
    with contextlib.closing(BannerWait("127.0.0.1", server.port)) as banner:
        for _ in range(8):
            looks.append(banner.look(0.1))
            time.sleep(0.05)

    assert any(looks) == is_met
    if not is_met:
        assert banner.seen == f"sent {pieces[0]!r}, which is not an SSH banner"


def test_a_port_that_nobody_listens_at_is_told(keys: LabKeys) -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = int(listener.getsockname()[1])

    with pytest.raises(MachineLost, match=r"last seen: ConnectionRefusedError"):
        _connect(port, keys, timeout_s=0.5)


def test_a_machine_that_ends_while_its_sshd_is_silent_is_not_waited_for(
    keys: LabKeys, serve: Callable[[Handler], RawServer]
) -> None:
    server = serve(_say_nothing)
    started = time.monotonic()

    def require_alive() -> None:
        if time.monotonic() - started > 1:
            raise MachineLost("QEMU ended with status 1")

    with pytest.raises(MachineLost, match="QEMU ended"):
        _connect(server.port, keys, timeout_s=60, require_alive=require_alive)

    assert time.monotonic() - started < 1 + _SLACK_S


def test_a_first_boot_that_refuses_the_keys_to_the_end_is_the_images_fault(keys: LabKeys) -> None:
    server = SshServer(_key(keys.host), _key(keys.host), greets_after_s=2 * _AGAIN_S)

    with contextlib.closing(server), pytest.raises(AssetError, match="refuses the lab's keys"):
        _connect(server.port, keys, timeout_s=4, is_first_boot=True)


def test_a_first_boot_that_refuses_the_keys_and_then_says_nothing_more_is_lost(
    keys: LabKeys, serve: Callable[[Handler], RawServer]
) -> None:
    behind = SshServer(_key(keys.host), _key(keys.host))
    server = serve(lambda number, client: _forward(client, behind.port) if number == 1 else None)

    with contextlib.closing(behind), pytest.raises(MachineLost, match="sent nothing"):
        _connect(server.port, keys, timeout_s=6, is_first_boot=True)
