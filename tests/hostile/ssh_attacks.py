# SPDX-License-Identifier: MIT
"""A hostile SSH server on loopback: it logs everybody in, and answers SFTP requests as an attack says."""

from __future__ import annotations

import contextlib
import functools
import socket
import struct
import threading
from collections.abc import Callable, Iterator
from typing import Any

import paramiko

ATTRS, DATA, HANDLE, STATUS, VERSION = 105, 103, 102, 101, 2
CLOSE, INIT, OPEN, READ, STAT = 4, 1, 3, 5, 17

Reply = Callable[[int, bytes], tuple[int, bytes]]
"""Takes a request's type and number; returns the answer's type and what follows."""
Attack = Callable[["Sftp"], None]


class Sftp:
    """The server's end of an SFTP channel."""

    def __init__(self, channel: paramiko.Channel, transport: paramiko.Transport) -> None:
        self.channel = channel
        self.transport = transport

    def requests(self) -> Iterator[tuple[int, bytes]]:
        """Yield each request's type and its number."""
        while head := self._bytes(4):
            body = self._bytes(struct.unpack(">I", head)[0])
            yield body[0], body[1:5]

    def send(self, kind: int, body: bytes) -> None:
        self.channel.sendall(struct.pack(">IB", len(body) + 1, kind) + body)

    def _bytes(self, size: int) -> bytes:
        data = b""
        while len(data) < size and (more := self.channel.recv(size - len(data))):
            data += more
        return data


def answering(**replies: bytes) -> Attack:
    """Return an attack that sends these words in place of an honest answer, by the request's name."""

    def attack(sftp: Sftp) -> None:
        for kind, number in sftp.requests():
            if kind == INIT:
                sftp.send(VERSION, struct.pack(">I", 3))
            elif kind == STAT:
                sftp.send(ATTRS, number + replies.get("stat", struct.pack(">IQ", 1, 1 << 20)))
            elif kind == OPEN:
                sftp.send(HANDLE, number + struct.pack(">I", 1) + b"h")
            elif kind == READ:
                sftp.send(DATA, number + replies["read"])
            else:
                sftp.send(STATUS, number + struct.pack(">III", 0, 0, 0))

    return attack


@contextlib.contextmanager
def hostile_server(
    host_key: paramiko.PKey, attack: Attack, *, on_login: Callable[[paramiko.Transport], None] = lambda _: None
) -> Iterator[int]:
    """Serve until the end of a `with` block; yields the port."""
    listener = socket.create_server(("127.0.0.1", 0))
    transports: list[paramiko.Transport] = []

    def serve() -> None:
        with contextlib.suppress(OSError):
            while True:
                client, _ = listener.accept()
                transport = paramiko.Transport(client)
                transport.add_server_key(host_key)
                transport.set_subsystem_handler("sftp", _handler(attack))
                transports.append(transport)
                with contextlib.suppress(paramiko.SSHException, EOFError, OSError):
                    transport.start_server(server=_Session(functools.partial(on_login, transport)))

    threading.Thread(target=serve, daemon=True).start()
    try:
        yield listener.getsockname()[1]
    finally:
        listener.close()
        for transport in transports:
            transport.close()


def _handler(attack: Attack) -> type[paramiko.SubsystemHandler]:
    class Handler(paramiko.SubsystemHandler):  # type: ignore[misc]
        def start_subsystem(self, name: str, transport: paramiko.Transport, channel: paramiko.Channel) -> None:
            del name
            with contextlib.suppress(OSError, EOFError, paramiko.SSHException):
                attack(Sftp(channel, transport))

    return Handler


class _Session(paramiko.ServerInterface):  # type: ignore[misc]
    def __init__(self, on_login: Callable[[], None]) -> None:
        self._on_login = on_login

    def check_auth_publickey(self, username: str, key: paramiko.PKey) -> int:
        del username, key
        self._on_login()
        return int(paramiko.common.AUTH_SUCCESSFUL)

    def get_allowed_auths(self, username: str) -> str:
        del username
        return "publickey"

    def check_channel_request(self, kind: str, chanid: int) -> Any:
        del kind, chanid
        return paramiko.common.OPEN_SUCCEEDED
