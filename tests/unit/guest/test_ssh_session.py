# SPDX-License-Identifier: MIT
"""An SSH connection that one client begins and another continues, against a real server."""

from __future__ import annotations

import dataclasses
import json
import socket
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import paramiko
import pytest

from vmlab.decode import structure, unstructure
from vmlab.errors import MachineLost
from vmlab.guest.ssh import SshTransport
from vmlab.guest.ssh_login import Address
from vmlab.guest.ssh_session import Session, begin_session, continue_session
from vmlab.guest.transport import Completed, TransportLost
from vmlab.image.keys import LabKeys, lab_keys
from vmlab.store.store import Store

from .ssh_server import SshServer

Continue = Callable[..., SshTransport]


@pytest.fixture(scope="module")
def keys(tmp_path_factory: pytest.TempPathFactory) -> LabKeys:
    return lab_keys(Store(tmp_path_factory.mktemp("store")))


@pytest.fixture
def address(keys: LabKeys) -> Address:
    return Address(port=1, host_key=keys.public(keys.host), user_key=keys.user)


@pytest.fixture
def server(keys: LabKeys) -> Iterator[SshServer]:
    started = SshServer(_key(keys.host), _key(keys.user))
    yield started
    started.close()


@pytest.fixture
def lines() -> Iterator[tuple[socket.socket, socket.socket]]:
    """The host's end of the port, and the guest's."""
    host, guest = socket.socketpair()
    with host, guest:
        yield host, guest


@pytest.fixture
def session(lines: tuple[socket.socket, socket.socket], server: SshServer, address: Address) -> Session:
    return _begin(lines, server, address)


@pytest.fixture
def resume(lines: tuple[socket.socket, socket.socket], address: Address) -> Iterator[Continue]:
    opened: list[SshTransport] = []

    def resume(session: Session) -> SshTransport:
        opened.append(continue_session(session, lines[0], address, step_timeout_s=10))
        return opened[-1]

    yield resume
    for transport in opened:
        transport.close()


def _key(path: Path) -> paramiko.PKey:
    return paramiko.Ed25519Key.from_private_key_file(str(path))


def _begin(lines: tuple[socket.socket, socket.socket], server: SshServer, address: Address) -> Session:
    def start(command: str) -> Completed:
        threading.Thread(target=server.serve, args=(lines[1],), daemon=True).start()
        return Completed(command=command, status=0, stdout="", stderr="", duration_s=0)

    return begin_session(start, "org.vmlab.ssh", lines[0], address, timeout_s=10)


def test_commands_of_the_second_client_need_no_second_login(
    session: Session, resume: Continue, server: SshServer
) -> None:
    transport = resume(session)

    done = transport.run("echo out; echo err >&2; exit 3", timeout_s=10)

    assert (done.status, done.stdout, done.stderr) == (3, "out\n", "err\n")
    assert transport.run("echo again", timeout_s=10).stdout == "again\n"
    assert server.logins == ["lab"]


def test_a_session_that_was_stored_can_be_continued(session: Session, resume: Continue) -> None:
    stored = json.dumps(unstructure(session))

    found = structure(json.loads(stored), Session, where="test")

    assert resume(found).run("echo here", timeout_s=10).stdout == "here\n"


def test_files_are_copied_over_a_continued_session(session: Session, resume: Continue, tmp_path: Path) -> None:
    transport = resume(session)
    (tmp_path / "sent").write_bytes(b"x" * 300_000)

    transport.put(tmp_path / "sent", str(tmp_path / "arrived"), timeout_s=30)
    transport.get(str(tmp_path / "arrived"), tmp_path / "returned", timeout_s=30)

    assert (tmp_path / "returned").read_bytes() == b"x" * 300_000


def test_a_server_with_other_keys_is_not_believed(session: Session, resume: Continue) -> None:
    other = dataclasses.replace(session.into, key="00" * 16)

    with pytest.raises(TransportLost, match="the guest's answer is not of this session"):
        resume(dataclasses.replace(session, into=other))


def test_a_replayed_counter_is_refused_by_the_server(session: Session, resume: Continue) -> None:
    other = dataclasses.replace(session.out, nonce="00" * 12)

    with pytest.raises(TransportLost):
        resume(dataclasses.replace(session, out=other))


def test_a_session_is_not_begun_with_a_server_of_another_key(
    lines: tuple[socket.socket, socket.socket], server: SshServer, address: Address, keys: LabKeys
) -> None:
    expected = dataclasses.replace(address, host_key=keys.public(keys.user))

    with pytest.raises(MachineLost, match="BadHostKeyException"):
        _begin(lines, server, expected)

    assert server.logins == []


def test_a_guest_without_sshd_has_no_session(lines: tuple[socket.socket, socket.socket], address: Address) -> None:
    def refuse(command: str) -> Completed:
        return Completed(command=command, status=127, stdout="", stderr="sh: setsid: not found\n", duration_s=0)

    with pytest.raises(MachineLost, match="setsid: not found"):
        begin_session(refuse, "org.vmlab.ssh", lines[0], address, timeout_s=10)


def test_the_line_stays_open_for_the_machine(
    session: Session, resume: Continue, lines: tuple[socket.socket, socket.socket]
) -> None:
    resume(session).close()

    assert lines[0].fileno() != -1
