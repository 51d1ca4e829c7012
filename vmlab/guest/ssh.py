# SPDX-License-Identifier: MIT
"""SSH to a guest: fabric on paramiko, with the lab's keys only. No other module but `ssh_limits` imports them."""

from __future__ import annotations

import base64
import contextlib
import io
import logging
import socket
import sys
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO

import fabric
import fabric.runners
import paramiko
from invoke.exceptions import ThreadException, UnexpectedExit

from vmlab.errors import AssetError, MachineLost
from vmlab.guest.banner import AGAIN_S, BannerWait
from vmlab.guest.ssh_channel import TimedChannel, execute, fetch
from vmlab.guest.ssh_limits import GARBLED, LimitedFiles, LimitedTransport
from vmlab.guest.transport import MOST_FILE_BYTES, MOST_OUTPUT_BYTES, CommandTooSlow, Completed, TransportLost
from vmlab.image.image import GUEST_USER
from vmlab.system.excerpt import Excerpt
from vmlab.system.wait import wait_until

# paramiko logs every refused attempt with a traceback; the error raised here has the relevant part.
logging.getLogger("paramiko").setLevel(logging.CRITICAL)

_LOOK_S = 1.0
_LEAST_S = 0.1
GRACE_S = 5.0
"""Seconds after a timeout in which the library should have noticed it; then the connection is closed."""
_KILLED = 128 + 9
_NO_CHANNEL = "Timeout opening channel."
_LOST = (paramiko.SSHException, EOFError, ConnectionError, ThreadException, socket.timeout)


@dataclass(frozen=True, slots=True, kw_only=True)
class Address:
    """Address of a guest's SSH, with its host key and the login."""

    port: int
    host_key: str
    user_key: Path
    host: str = "127.0.0.1"
    user: str = GUEST_USER


class _ForgetfulShell(fabric.runners.RemoteShell):  # type: ignore[misc]
    """A fabric runner for an interactive shell that does not keep its output."""

    def respond(self, buffer_: list[str]) -> None:
        # invoke would join all output so far at each read, to look for prompts.
        buffer_.clear()


class SshTransport:
    """An open connection, reused by every command: under TCG the key exchange alone takes seconds."""

    def __init__(self, connection: Any) -> None:
        self._connection = connection
        self._files_channel: tuple[paramiko.SFTPClient, TimedChannel] | None = None

    def run(self, command: str, *, timeout_s: float) -> Completed:
        started = time.monotonic()
        stdout, stderr = Excerpt(MOST_OUTPUT_BYTES), Excerpt(MOST_OUTPUT_BYTES)
        with self._translated(command, timeout_s), self._bounded(timeout_s):
            channel = self._connection.transport.open_session(timeout=timeout_s)
            # The second line stops the shell from exec'ing the command: a command ended by a signal would then have
            # no status, like one whose connection broke.
            status = execute(channel, f"{command}\nexit $?", stdout=stdout.add, stderr=stderr.add, timeout_s=timeout_s)
        if status == -1 and not self._still_answers(timeout_s):
            raise TransportLost("the connection ended before the command did")
        return Completed(
            command=command,
            status=_KILLED if status == -1 else status,
            stdout=stdout.text(),
            stderr=stderr.text(),
            duration_s=time.monotonic() - started,
            left_out=stdout.left_out + stderr.left_out,
        )

    def _still_answers(self, timeout_s: float) -> bool:
        """True if a command without a status lost its shell, not its connection. An oops in a shell builtin kills the
        shell, and paramiko does not report the signal."""
        try:
            with self._translated("exit 0", timeout_s), self._bounded(timeout_s):
                channel = self._connection.transport.open_session(timeout=timeout_s)
                return execute(channel, "exit 0", stdout=len, stderr=len, timeout_s=timeout_s) == 0
        except (CommandTooSlow, TransportLost, OSError):
            return False

    def put(self, local: Path, remote: str, *, timeout_s: float) -> None:
        with self._translated(f"put {remote}", timeout_s), self._files(timeout_s) as files:
            files.put(str(local), remote, confirm=True)
            files.chmod(remote, local.stat().st_mode & 0o777)

    def get(self, remote: str, local: Path, *, timeout_s: float, max_bytes: int = MOST_FILE_BYTES) -> None:
        with self._translated(f"get {remote}", timeout_s), self._files(timeout_s) as files:
            fetch(files, remote, local, max_bytes=max_bytes)

    def interact(self, command: str) -> int:
        """Connect the terminal to a login shell, or to one command; returns its exit status."""
        if command:
            channel = self._connection.transport.open_session()
            return execute(channel, command, stdout=_writer(sys.stdout.buffer), stderr=_writer(sys.stderr.buffer))
        try:
            return int(self._connection.shell().exited)
        except UnexpectedExit as ended:
            # A shell exits with the status of its last command, which is not an error.
            return int(ended.result.exited)

    def close(self) -> None:
        with contextlib.suppress(*_LOST, OSError):
            self._connection.close()

    def cut(self) -> None:
        self.close()

    @contextlib.contextmanager
    def _translated(self, what: str, timeout_s: float) -> Iterator[None]:
        """Translate the libraries' exceptions to `CommandTooSlow` and `TransportLost`."""
        if not self._connection.is_connected:
            # fabric would reconnect on the closed socket.
            raise TransportLost("the connection has ended")
        # paramiko waits an hour for a channel that a hung guest never opens; run() has no option for it.
        self._connection.transport.channel_timeout = timeout_s
        try:
            yield
        except TimeoutError:
            raise CommandTooSlow(f"{what!r} took longer than {timeout_s:.0f} s") from None
        except (paramiko.SSHException, EOFError, ConnectionError, ThreadException, *GARBLED) as error:
            if str(error) == _NO_CHANNEL:
                raise CommandTooSlow(f"{what!r} could not start within {timeout_s:.0f} s") from None
            raise TransportLost(f"{type(error).__name__}: {error}".strip(": ")) from None
        except OSError as error:
            # A refused path raises OSError, but so does paramiko for a connection that has just ended.
            if self._connection.is_connected and str(error) != "Socket is closed":
                raise
            raise TransportLost(str(error)) from None

    @contextlib.contextmanager
    def _bounded(self, timeout_s: float) -> Iterator[None]:
        """Close the connection some seconds after the timeout. paramiko waits without a timeout for the answer to a
        request, which never comes if the guest hangs after it opened the channel."""
        is_over = threading.Event()

        def close() -> None:
            is_over.set()
            self.close()

        timer = threading.Timer(timeout_s + GRACE_S, close)
        timer.daemon = True
        timer.start()
        try:
            yield
        except (*_LOST, OSError):
            if is_over.is_set():
                raise TimeoutError from None
            raise
        finally:
            timer.cancel()

    @contextlib.contextmanager
    def _files(self, timeout_s: float) -> Iterator[paramiko.SFTPClient]:
        """Yield the connection's SFTP client, which is opened once; what is done with it takes at most `timeout_s`."""
        if self._files_channel is None:
            with self._bounded(timeout_s):
                channel = self._connection.transport.open_session(timeout=timeout_s)
                channel.invoke_subsystem("sftp")
                timed = TimedChannel(channel)
                with timed.limited(timeout_s):
                    self._files_channel = LimitedFiles(timed), timed
        files, timed = self._files_channel
        try:
            with timed.limited(timeout_s):
                yield files
        except BaseException as failure:
            if not _is_refusal(failure):
                # Answers to requests that were sent ahead may still arrive.
                self._files_channel = None
                timed.close()
            raise


def _is_refusal(failure: BaseException) -> bool:
    """True for an answer of the SFTP server, after which the client is usable."""
    return isinstance(failure, OSError) and not isinstance(failure, TimeoutError | ConnectionError)


def _writer(stream: BinaryIO) -> Callable[[bytes], object]:
    def write(data: bytes) -> None:
        stream.write(data)
        stream.flush()

    return write


def connect(
    address: Address,
    *,
    timeout_s: float,
    step_timeout_s: float,
    require_alive: Callable[[], None],
    evidence: Callable[[], str],
    is_first_boot: bool = False,
    again_s: float = AGAIN_S,
) -> SshTransport:
    """Connect to a guest that may still be booting; returns as soon as its SSH answers.

    `timeout_s` limits the whole wait, `step_timeout_s` the key exchange and the login after sshd's banner.
    `require_alive` raises if waiting is pointless. At a first boot refused keys are retried, because the guest may not
    have them yet. Raises `MachineLost` at the timeout, or `AssetError` if the guest refuses the keys.
    """
    deadline = time.monotonic() + timeout_s
    # OpenSSH 9.8 blocks clients with many failed logins (sshd_config(5), PerSourcePenalties).
    interval_s = 2.0 if is_first_boot else 0.2
    failure, failed_at = "", 0.0
    refused: AssetError | None = None

    def has_just_failed() -> bool:
        """True if no connection since the last failed login can have a newer observation."""
        return bool(failure) and time.monotonic() - failed_at <= 2 * again_s + interval_s

    def attempt(banner: BannerWait) -> SshTransport | None:
        nonlocal failure, failed_at, refused
        require_alive()
        prepared = banner.look(min(_LOOK_S, max(deadline - time.monotonic(), 0.0)))
        if prepared is None:
            return None
        try:
            return _log_in(address, prepared, step_timeout_s, deadline)
        except (paramiko.AuthenticationException, paramiko.BadHostKeyException) as refusal:
            failure, failed_at = f"{type(refusal).__name__}: {refusal}", time.monotonic()
            refused = AssetError(
                f"the guest's SSH refuses the lab's keys for user {address.user!r}: {refusal}",
                hint="check that the image has this user and that cloud-init read the seed"
                if is_first_boot
                else "vmlab images prune",
                detail=evidence(),
            )
            if not is_first_boot:
                # A retry does not help: the key stays the same.
                raise refused from None
            return None
        except (*_LOST, OSError) as error:
            failed_at = time.monotonic()
            if failed_at < deadline:
                failure, refused = f"{type(error).__name__}: {error}".strip(": "), None
            elif not failure:
                failure = "the login timed out"
            return None

    with contextlib.closing(BannerWait(address.host, address.port, again_s=again_s)) as banner:
        try:
            return wait_until(
                lambda: attempt(banner),
                timeout_s=timeout_s,
                describe="the guest's SSH to answer",
                interval_s=interval_s,
                evidence=evidence,
                last_seen=lambda: failure if has_just_failed() else banner.seen,
            )
        except MachineLost:
            if refused is not None and has_just_failed():
                raise refused from None
            raise


def _log_in(address: Address, prepared: socket.socket, step_timeout_s: float, deadline: float) -> SshTransport:
    """Log in over a socket that has received sshd's banner; closes the socket on failure."""
    left_s = max(deadline - time.monotonic(), 0.0)
    # paramiko has a timeout for each step; the timer limits them together.
    timer = threading.Timer(left_s, _end, (prepared,))
    timer.daemon = True
    timer.start()
    try:
        connection = _connection(address, prepared, min(step_timeout_s, max(left_s, _LEAST_S)))
        connection.open()
    except BaseException:
        prepared.close()
        raise
    finally:
        timer.cancel()
    connection.transport.set_keepalive(0)
    connection.transport.clear_to_send_timeout = step_timeout_s
    return SshTransport(connection)


def _end(prepared: socket.socket) -> None:
    with contextlib.suppress(OSError):
        prepared.shutdown(socket.SHUT_RDWR)


def _connection(address: Address, prepared: socket.socket, step_timeout_s: float) -> Any:
    def make_transport(*arguments: Any, **options: Any) -> paramiko.Transport:
        transport = LimitedTransport(*arguments, **options)
        # The default is 15 s, and connect() has no argument for it (paramiko/transport.py, `handshake_timeout`).
        transport.handshake_timeout = step_timeout_s
        return transport

    # An empty SSH configuration: the user's may rename hosts, add proxies or offer keys. Lazy: fabric reads no files of
    # its own, whose forward_agent would let a guest use the user's SSH agent.
    config = fabric.Config(
        lazy=True,
        ssh_config=paramiko.SSHConfig.from_file(io.StringIO("")),
        overrides={"runners": {"remote_shell": _ForgetfulShell}},
    )
    connection = fabric.Connection(
        host=address.host,
        port=address.port,
        user=address.user,
        config=config,
        connect_kwargs={
            "sock": prepared,
            "pkey": paramiko.Ed25519Key.from_private_key_file(str(address.user_key)),
            "allow_agent": False,
            "look_for_keys": False,
            "banner_timeout": step_timeout_s,
            "auth_timeout": step_timeout_s,
            "timeout": step_timeout_s,
            "transport_factory": make_transport,
        },
    )
    # fabric installs AutoAddPolicy; the lab must refuse a guest without its image's host key.
    connection.client.set_missing_host_key_policy(paramiko.RejectPolicy())
    kind, encoded = address.host_key.split()[:2]
    key = paramiko.Ed25519Key(data=base64.b64decode(encoded))
    connection.client.get_host_keys().add(f"[{address.host}]:{address.port}", kind, key)
    return connection
