# SPDX-License-Identifier: MIT
"""SSH to a guest: fabric on paramiko, which only the modules `ssh*` import."""

from __future__ import annotations

import contextlib
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, BinaryIO

import paramiko
from invoke.exceptions import ThreadException, UnexpectedExit

from vmlab.errors import AssetError, MachineLost
from vmlab.guest.banner import AGAIN_S, BannerWait
from vmlab.guest.ssh_channel import TimedChannel, execute, fetch
from vmlab.guest.ssh_limits import GARBLED, LimitedFiles
from vmlab.guest.ssh_login import Address, log_in
from vmlab.guest.transport import MOST_FILE_BYTES, MOST_OUTPUT_BYTES, CommandTooSlow, Completed, TransportLost
from vmlab.system.excerpt import Excerpt
from vmlab.system.wait import wait_until

_LOOK_S = 1.0
GRACE_S = 5.0
"""Seconds after a timeout in which the library should have noticed it; then the connection is closed."""
_KILLED = 128 + 9
_ECHO = "keepalive@openssh.com"
_NO_CHANNEL = "Timeout opening channel."
_LOST = (paramiko.SSHException, EOFError, ConnectionError, ThreadException, TimeoutError)


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

    def require_answer(self, *, timeout_s: float) -> None:
        """Require an answer of sshd, which starts no program; raises `CommandTooSlow` or `TransportLost`."""
        with self._translated(_ECHO, timeout_s), self._bounded(timeout_s):
            # sshd answers requests in their order, and refuses this one.
            transport = self._connection.transport
            transport.global_request(_ECHO)
            if not transport.is_active():
                raise transport.get_exception() or EOFError(f"the connection ended before the answer to {_ECHO!r}")

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
            # That of a continued session is not fabric's (`ssh_session.py`).
            self._connection.transport.close()

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
            return SshTransport(log_in(address, prepared, step_timeout_s, deadline))
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
