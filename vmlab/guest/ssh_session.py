# SPDX-License-Identifier: MIT
"""An SSH connection that is begun before a guest is frozen, and continued in each of its forks.

sshd in the frozen guest has the key exchange and the login behind it, which cost half a second under emulation. Whoever
has the keys and counters of its connection can continue there. The connection goes over a virtio port, whose other end
is a socket that only the lab and its QEMU have. All forks use the same keys, so the encryption protects nothing; nobody
else sees the bytes.
"""

from __future__ import annotations

import contextlib
import shlex
import socket
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, ClassVar

import paramiko
from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from paramiko.packet import Packetizer

from vmlab.errors import MachineLost
from vmlab.guest.ssh import SshTransport
from vmlab.guest.ssh_channel import PacketSocket
from vmlab.guest.ssh_limits import LimitedTransport
from vmlab.guest.ssh_login import Address, log_in, new_connection
from vmlab.guest.transport import CommandTooSlow, Completed, TransportLost
from vmlab.system.wait import wait_until

_CIPHER = "aes128-gcm@openssh.com"
"""Cipher whose state in one direction is a key and a nonce, which counts the packets (RFC 5647, 7.1)."""
_READ_BYTES = 4096
_BLOCK_BYTES = 16
_TAG_BYTES = 16
_NONCE_FIXED_BYTES = 4
_PORT = "/dev/virtio-ports/{name}"
# Not the root shell's protection from the out-of-memory killer, nor its environment. Without a socket, sshd has no
# address of its client: SSH_CONNECTION says UNKNOWN.
_SERVER = 'echo 0 >/proc/self/oom_score_adj; exec env -i "$(command -v sshd)" -i <>{port} >&0 2>/dev/null'
_WARM = "sudo -n true; cat /proc/version"
"""Command whose programs and libraries are then in the frozen guest's memory: nearly every test runs them."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Direction:
    """State of one direction of a connection, in hexadecimal: the key, and the nonce of the next packet."""

    key: str
    nonce: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Session:
    """State of an idle SSH connection after its login: all that a client needs to continue it."""

    session_id: str
    remote_version: str
    is_strict: bool
    """True if both sides reset the numbers of packets at a key exchange (OpenSSH's PROTOCOL, 1.10)."""
    out: Direction
    into: Direction


class _Gcm:
    """AES-GCM that knows its key and its next nonce."""

    def __init__(self, key: bytes, nonce: bytes = b"") -> None:
        self._key = key
        self._cipher = AESGCM(key)
        self._next = nonce

    @property
    def state(self) -> Direction:
        return Direction(key=self._key.hex(), nonce=self._next.hex())

    def encrypt(self, nonce: bytes, data: bytes, beside: bytes) -> bytes:
        self._count(nonce)
        return self._cipher.encrypt(nonce, data, beside)

    def decrypt(self, nonce: bytes, data: bytes, beside: bytes) -> bytes:
        self._count(nonce)
        try:
            return self._cipher.decrypt(nonce, data, beside)
        except InvalidTag:
            raise paramiko.SSHException("the guest's answer is not of this session") from None

    def _count(self, nonce: bytes) -> None:
        counter = int.from_bytes(nonce[_NONCE_FIXED_BYTES:], "big") + 1
        self._next = nonce[:_NONCE_FIXED_BYTES] + counter.to_bytes(len(nonce) - _NONCE_FIXED_BYTES, "big")


class _Packets(Packetizer):  # type: ignore[misc]
    """paramiko's packets, with access to the ciphers in use."""

    out: _Gcm
    into: _Gcm

    def set_outbound_cipher(self, block_engine: _Gcm, *arguments: Any, **options: Any) -> None:
        self.out = block_engine
        super().set_outbound_cipher(block_engine, *arguments, **options)

    def set_inbound_cipher(self, block_engine: _Gcm, *arguments: Any, **options: Any) -> None:
        self.into = block_engine
        super().set_inbound_cipher(block_engine, *arguments, **options)


class _StatefulTransport(LimitedTransport):
    """A transport whose state can be told: its only cipher is `_CIPHER`."""

    _cipher_info: ClassVar = {_CIPHER: {**paramiko.Transport._cipher_info[_CIPHER], "class": _Gcm}}
    _preferred_ciphers = (_CIPHER,)
    packets: type[_Packets] = _Packets

    def __init__(self, sock: socket.socket, **options: Any) -> None:
        super().__init__(sock, packetizer_class=self.packets, **options)


class _ContinuedPackets(_Packets):
    """Packets of a connection after its handshake, with which paramiko's thread begins."""

    version = b""

    def write_all(self, out: bytes) -> None:
        if out != self.version:
            super().write_all(out)

    def start_handshake(self, timeout: float) -> None:
        """Start no timer: the handshake is over."""


class _ContinuedTransport(_StatefulTransport):
    """A transport that continues a connection where its state was taken."""

    packets = _ContinuedPackets

    def __init__(self, sock: socket.socket, session: Session) -> None:
        super().__init__(sock)
        self._is_begun = False
        self.session_id = bytes.fromhex(session.session_id)
        self.remote_version = session.remote_version
        self.agreed_on_strict_kex = session.is_strict
        self.initial_kex_done = self.packetizer._initial_kex_done = True
        self.packetizer.version = f"{self.local_version}\r\n".encode()
        fixed = {"block_size": _BLOCK_BYTES, "mac_engine": None, "mac_size": _TAG_BYTES, "mac_key": None, "aead": True}
        for direction, set_cipher, nonce_name in (
            (session.out, self.packetizer.set_outbound_cipher, "iv_out"),
            (session.into, self.packetizer.set_inbound_cipher, "iv_in"),
        ):
            nonce = bytes.fromhex(direction.nonce)
            set_cipher(_Gcm(bytes.fromhex(direction.key), nonce), **fixed, **{nonce_name: nonce})
        self.clear_to_send.set()
        self.active = True
        self.start()

    def _check_banner(self) -> None:
        """Read no banner: it was read before the freeze."""

    def _send_kex_init(self) -> None:
        if self._is_begun:
            super()._send_kex_init()

    def _expect_packet(self, *kinds: int) -> None:
        # The last step of paramiko's handshake before its loop.
        if self._is_begun:
            super()._expect_packet(*kinds)
        self._is_begun = True


def begin_session(
    as_root: Callable[[str], Completed], port: str, line: socket.socket, address: Address, *, timeout_s: float
) -> Session:
    """Start an sshd on the guest's virtio port of a name, log in over its host's end, and return its state.

    sshd waits in the guest from then on, and `line` stays open. Raises `MachineLost` if it does not start, refuses the
    login or does not answer. Costs a login and two commands.
    """
    server = _SERVER.format(port=_PORT.format(name=port))
    started = as_root(f"setsid -f sh -c {shlex.quote(server)} </dev/null >/dev/null 2>&1")
    try:
        if not started.ok:
            raise TransportLost(started.stderr.strip())
        deadline = time.monotonic() + timeout_s
        connection = log_in(address, _end_of(line), timeout_s, deadline, transport=_StatefulTransport)
        with contextlib.closing(SshTransport(connection)) as transport:
            _warm(connection.transport, timeout_s)
            # After its answer sshd has nothing more to send.
            transport.require_answer(timeout_s=timeout_s)
            session = _state(connection.transport)
        # Until its thread ends, it would read what is meant for the next client.
        connection.transport.join()
        return session
    except (CommandTooSlow, TransportLost, paramiko.SSHException, EOFError, OSError) as error:
        raise MachineLost(f"no SSH over the guest's port {port!r}: {type(error).__name__}: {error}") from None


def continue_session(session: Session, line: socket.socket, address: Address, *, step_timeout_s: float) -> SshTransport:
    """Return the connection of a fork, over the host's end of its port, after sshd in the fork has answered: it has the
    keys of the session. Raises `CommandTooSlow` or `TransportLost` if it does not."""
    connection = new_connection(address)
    connection.transport = _ContinuedTransport(_end_of(line), session)
    connection.transport.clear_to_send_timeout = step_timeout_s
    transport = SshTransport(connection)
    try:
        transport.require_answer(timeout_s=step_timeout_s)
    except BaseException:
        transport.close()
        raise
    return transport


def _end_of(line: socket.socket) -> PacketSocket:
    """A duplicate of a line's socket, which paramiko closes; the line belongs to the machine."""
    return PacketSocket(fileno=line.dup().detach())


def _warm(transport: _StatefulTransport, timeout_s: float) -> None:
    """Run a command, and wait until sshd has closed its channel: the next client would take a late message of it for
    one of its own channel."""
    channel = transport.open_session(timeout=timeout_s)
    channel.settimeout(timeout_s)
    channel.exec_command(_WARM)
    while channel.recv(_READ_BYTES):
        pass
    wait_until(lambda: channel.closed, timeout_s=timeout_s, describe="sshd to close a channel", interval_s=0.01)


def _state(transport: _StatefulTransport) -> Session:
    return Session(
        session_id=transport.session_id.hex(),
        remote_version=transport.remote_version,
        is_strict=transport.agreed_on_strict_kex,
        out=transport.packetizer.out.state,
        into=transport.packetizer.into.state,
    )
