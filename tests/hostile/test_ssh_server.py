# SPDX-License-Identifier: MIT
"""A guest's sshd that was replaced: its packets take neither the lab's time nor its memory."""

from __future__ import annotations

import contextlib
import struct
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import paramiko
import pytest

from hostile.ssh_attacks import DATA, HANDLE, INIT, OPEN, READ, STAT, VERSION, Attack, Sftp, answering, hostile_server
from hostile.work import peak_memory
from vmlab.errors import MachineLost
from vmlab.guest.ssh import Address, SshTransport, connect
from vmlab.guest.transport import CommandTooSlow, TransportLost
from vmlab.image.keys import LabKeys, lab_keys
from vmlab.store.store import Store

_SOON_S = 20.0
"""Time for a refusal on a busy host: a count of 32 bits takes hours."""


@pytest.fixture(scope="module")
def keys(tmp_path_factory: pytest.TempPathFactory) -> LabKeys:
    return lab_keys(Store(tmp_path_factory.mktemp("store")))


@contextlib.contextmanager
def _reach(keys: LabKeys, attack: Attack, on_login: Callable[..., None] = lambda _: None) -> Iterator[SshTransport]:
    host = paramiko.Ed25519Key.from_private_key_file(str(keys.host))
    with hostile_server(host, attack, on_login=on_login) as port:
        address = Address(port=port, host_key=keys.public(keys.host), user_key=keys.user)
        with contextlib.closing(
            connect(address, timeout_s=5, step_timeout_s=5, require_alive=lambda: None, evidence=lambda: "", again_s=5)
        ) as ssh:
            yield ssh


_ANSWERS = {
    "a count of attributes": {"stat": struct.pack(">II", 1 << 31, (1 << 32) - 1)},
    "more of a file than requested": {"read": struct.pack(">I", 100_000) + b"x" * 100_000},
    "a packet of 15 MiB": {"read": struct.pack(">I", 15 << 20) + bytes(15 << 20)},
}


@pytest.mark.parametrize("name", _ANSWERS)
def test_an_answer_that_openssh_does_not_give_ends_the_connection(name: str, keys: LabKeys, tmp_path: Path) -> None:
    started = time.monotonic()

    with peak_memory() as peak_mib, _reach(keys, answering(**_ANSWERS[name])) as ssh:
        with pytest.raises(TransportLost, match="the guest"):
            ssh.get("/x", tmp_path / "copy", timeout_s=_SOON_S)
        assert peak_mib() < 100

    assert time.monotonic() - started < _SOON_S


@pytest.mark.parametrize("answer", [b"", b"\x02", b"\x02abc", b"\x65abcd\0\0\0\1\0\0\0\1\xff"])
def test_an_answer_that_is_garbled_is_a_lost_connection(answer: bytes, keys: LabKeys, tmp_path: Path) -> None:
    def attack(sftp: Sftp) -> None:
        for _ in sftp.requests():
            sftp.channel.sendall(struct.pack(">I", len(answer)) + answer)

    with _reach(keys, attack) as ssh, pytest.raises(TransportLost):
        ssh.get("/x", tmp_path / "copy", timeout_s=_SOON_S)


# A thread of paramiko sends the requests, and ends with the timeout.
@pytest.mark.filterwarnings("ignore::pytest.PytestUnhandledThreadExceptionWarning")
def test_an_answer_to_a_request_that_was_not_sent_does_not_outlast_the_timeout(keys: LabKeys, tmp_path: Path) -> None:
    def attack(sftp: Sftp) -> None:
        for kind, number in sftp.requests():
            if kind == INIT:
                sftp.send(VERSION, struct.pack(">I", 3))
            elif kind == STAT:
                sftp.send(105, number + struct.pack(">IQ", 1, 1 << 20))
            elif kind == OPEN:
                sftp.send(HANDLE, number + struct.pack(">I", 1) + b"h")
            elif kind == READ:
                break
        # No further request is read, so the client's window closes while it sends one of the next.
        for ahead in range(1, 10_000):
            sftp.send(DATA, struct.pack(">II", int.from_bytes(number, "big") + ahead, 4) + b"data")
        sftp.channel.recv_exit_status()

    def narrow(transport: paramiko.Transport) -> None:
        transport.default_window_size = 300

    started = time.monotonic()

    with _reach(keys, attack, narrow) as ssh, pytest.raises((CommandTooSlow, TransportLost)):
        ssh.get("/x", tmp_path / "copy", timeout_s=2)

    assert time.monotonic() - started < _SOON_S


def test_a_server_that_ignores_the_window_loses_the_connection(keys: LabKeys, tmp_path: Path) -> None:
    has_ended = threading.Event()

    def attack(sftp: Sftp) -> None:
        sftp.channel.out_max_packet_size = 800_000
        try:
            for _ in range(300):
                sftp.channel.out_window_size = 1 << 30
                sftp.channel.send_stderr(b"x" * 700_000)
        finally:
            has_ended.set()

    with peak_memory() as peak_mib, _reach(keys, attack) as ssh:
        with pytest.raises((TransportLost, CommandTooSlow)):
            ssh.get("/x", tmp_path / "copy", timeout_s=_SOON_S)
        assert has_ended.wait(_SOON_S)
        assert peak_mib() < 100


def test_a_count_of_extensions_does_not_keep_the_processor_busy(keys: LabKeys) -> None:
    def extend(transport: paramiko.Transport) -> None:
        message = paramiko.Message()
        message.add_byte(b"\x07")
        message.add_int((1 << 32) - 1)
        transport._send_message(message)

    started = time.monotonic()
    with pytest.raises(MachineLost), _reach(keys, answering(), extend):
        pass
    spent_s = time.process_time()
    time.sleep(1)

    assert time.process_time() - spent_s < 0.5
    assert time.monotonic() - started < _SOON_S
