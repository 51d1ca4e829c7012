# SPDX-License-Identifier: MIT
"""SSH into a guest: fabric on paramiko, with the lab's keys only. The one module that imports either."""

from __future__ import annotations

import base64
import contextlib
import io
import logging
import socket
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import fabric
import fabric.runners
import paramiko
from invoke.exceptions import CommandTimedOut, ThreadException, UnexpectedExit

from vmlab.errors import AssetError, MachineLost
from vmlab.guest.banner import AGAIN_S, BannerWait
from vmlab.guest.transport import CommandTooSlow, Completed, TransportLost
from vmlab.image.image import GUEST_USER
from vmlab.system.wait import wait_until

# paramiko logs every refused attempt with a traceback; what matters of it is in the error raised here.
logging.getLogger("paramiko").setLevel(logging.CRITICAL)

_LOOK_S = 1.0
_LEAST_S = 0.1
_GRACE_S = 5.0
"""How long the libraries' own limits have to be noticed before a connection is closed over them."""
_KILLED = 128 + 9
_NO_CHANNEL = "Timeout opening channel."
_LOST = (paramiko.SSHException, EOFError, ConnectionError, ThreadException, socket.timeout)


@dataclass(frozen=True, slots=True, kw_only=True)
class Address:
    """Where a guest's SSH answers, and what it must present."""

    port: int
    host_key: str
    user_key: Path
    host: str = "127.0.0.1"
    user: str = GUEST_USER


class _InterruptibleRemote(fabric.runners.Remote):  # type: ignore[misc]
    """fabric's runner, without its wait for the command's end after Ctrl-C."""

    def send_interrupt(self, interrupt: KeyboardInterrupt) -> None:
        # invoke joins the threads that read the command's output before it lets the interrupt through, and they
        # read until the channel closes.
        self.kill()
        raise interrupt


class SshTransport:
    """One open connection, reused by every command: under TCG the key exchange alone takes seconds."""

    def __init__(self, connection: Any) -> None:
        self._connection = connection

    def run(self, command: str, *, timeout_s: float) -> Completed:
        started = time.monotonic()
        with self._translated(command, timeout_s), self._bounded(timeout_s):
            # The second line keeps the shell from replacing itself by the command: a command that a signal
            # ended would then have no status at all, like one whose connection broke.
            result = self._connection.run(
                f"{command}\nexit $?", hide=True, warn=True, in_stream=False, timeout=timeout_s, encoding="utf-8"
            )
        if result.exited == -1:
            # invoke's timer closes the channel before it counts as expired: a command it ended may come back so.
            if time.monotonic() - started >= timeout_s:
                raise CommandTooSlow(f"{command!r} took longer than {timeout_s:.0f} s")
            if not self._still_answers(timeout_s):
                raise TransportLost("the connection ended before the command did")
        return Completed(
            command=command,
            status=_KILLED if result.exited == -1 else result.exited,
            stdout=result.stdout,
            stderr=result.stderr,
            duration_s=time.monotonic() - started,
        )

    def _still_answers(self, timeout_s: float) -> bool:
        """Whether a command without a status lost its shell and not its connection: an oops in a shell's own `echo`
        kills the shell, and paramiko does not tell by which signal."""
        try:
            with self._translated("exit 0", timeout_s), self._bounded(timeout_s):
                return bool(
                    self._connection.run("exit 0", hide=True, warn=True, in_stream=False, timeout=timeout_s).exited == 0
                )
        except (CommandTooSlow, TransportLost, OSError):
            return False

    def put(self, local: Path, remote: str, *, timeout_s: float) -> None:
        with self._translated(f"put {remote}", timeout_s), self._files(timeout_s) as files:
            files.put(str(local), remote, confirm=True)
            files.chmod(remote, local.stat().st_mode & 0o777)

    def get(self, remote: str, local: Path, *, timeout_s: float) -> None:
        with self._translated(f"get {remote}", timeout_s), self._files(timeout_s) as files:
            files.get(remote, str(local))

    def interact(self, command: str) -> int:
        """Hand the terminal to a login shell, or to one command; returns its exit status."""
        if command:
            return int(self._connection.run(command, warn=True, pty=False, in_stream=False).exited)
        try:
            return int(self._connection.shell().exited)
        except UnexpectedExit as ended:
            # A shell ends with the status of its last command: nothing unexpected about it.
            return int(ended.result.exited)

    def close(self) -> None:
        with contextlib.suppress(*_LOST, OSError):
            self._connection.close()

    def cut(self) -> None:
        self.close()

    @contextlib.contextmanager
    def _translated(self, what: str, timeout_s: float) -> Iterator[None]:
        """The libraries' many ways to say 'too slow' and 'gone', as the two that the guest knows."""
        if not self._connection.is_connected:
            # fabric would connect anew, on a socket that is spent.
            raise TransportLost("the connection has ended")
        # paramiko waits an hour for a channel that a guest which hangs never opens, and no option of run() reaches it.
        self._connection.transport.channel_timeout = timeout_s
        try:
            yield
        except (CommandTimedOut, TimeoutError):
            raise CommandTooSlow(f"{what!r} took longer than {timeout_s:.0f} s") from None
        except (paramiko.SSHException, EOFError, ConnectionError, ThreadException) as error:
            if str(error) == _NO_CHANNEL:
                raise CommandTooSlow(f"{what!r} could not begin in {timeout_s:.0f} s") from None
            raise TransportLost(f"{type(error).__name__}: {error}".strip(": ")) from None
        except OSError as error:
            # A refused path is one; so is paramiko's word for a connection that ended in between.
            if self._connection.is_connected and str(error) != "Socket is closed":
                raise
            raise TransportLost(str(error)) from None

    @contextlib.contextmanager
    def _bounded(self, timeout_s: float) -> Iterator[None]:
        """Close the connection when its limit is well over: a guest that hangs after it opened a channel never answers
        the request on it, and paramiko waits for that answer without a limit of its own."""
        is_over = threading.Event()

        def close() -> None:
            is_over.set()
            self.close()

        timer = threading.Timer(timeout_s + _GRACE_S, close)
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
        with self._bounded(timeout_s):
            client: paramiko.SFTPClient = self._connection.sftp()
        channel = client.get_channel()
        if channel is not None:
            channel.settimeout(timeout_s)
        yield client


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
    """A connection to a guest that may still be booting; returns as soon as its SSH answers.

    `timeout_s` limits the whole wait, however late sshd speaks in it; `step_timeout_s` the key exchange and the login
    once sshd has spoken. `require_alive` raises when there is nothing left to wait for. At a first boot a guest that
    refuses the keys may not have them yet. Raises `MachineLost` in the end, or `AssetError` when it was the keys to the
    end.
    """
    deadline = time.monotonic() + timeout_s
    # OpenSSH 9.8 shuts out who is refused too often (sshd_config(5), PerSourcePenalties).
    interval_s = 2.0 if is_first_boot else 0.2
    failure, failed_at = "", 0.0
    refused: AssetError | None = None

    def has_just_failed() -> bool:
        """True if no connection that was opened since the last login failed can tell anything newer."""
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
                f"the guest's SSH refuses the lab's keys as {address.user!r}: {refusal}",
                hint="is that the image's user, and did its cloud-init read the seed?"
                if is_first_boot
                else "vmlab images prune",
                detail=evidence(),
            )
            if not is_first_boot:
                # Waiting longer will not change a key.
                raise refused from None
            return None
        except (*_LOST, OSError) as error:
            failed_at = time.monotonic()
            if failed_at < deadline:
                failure, refused = f"{type(error).__name__}: {error}".strip(": "), None
            elif not failure:
                failure = "the login did not end in time"
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
    """A connection over a socket on which sshd has said its banner; the socket is closed when this fails."""
    left_s = max(deadline - time.monotonic(), 0.0)
    # paramiko's limits are one for each step: none of them may outlast the whole.
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
        transport = paramiko.Transport(*arguments, **options)
        # 15 s otherwise, and no argument of connect() reaches it (paramiko/transport.py, `handshake_timeout`).
        transport.handshake_timeout = step_timeout_s
        return transport

    # An empty SSH configuration of our own: the user's may rename hosts, add proxies or offer keys.
    config = fabric.Config(
        ssh_config=paramiko.SSHConfig.from_file(io.StringIO("")),
        overrides={"runners": {"remote": _InterruptibleRemote}},
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
    # fabric installs AutoAddPolicy; here a guest with another key than its image's is refused.
    connection.client.set_missing_host_key_policy(paramiko.RejectPolicy())
    kind, encoded = address.host_key.split()[:2]
    key = paramiko.Ed25519Key(data=base64.b64decode(encoded))
    connection.client.get_host_keys().add(f"[{address.host}]:{address.port}", kind, key)
    return connection
