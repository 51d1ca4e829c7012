# SPDX-License-Identifier: MIT
"""A real SSH server on loopback: paramiko's, which runs commands in this host's shell."""

from __future__ import annotations

import contextlib
import os
import socket
import subprocess
import threading
import time
from pathlib import Path
from typing import Any

import paramiko


class SshServer:
    """Listens on a free port until closed; accepts logins with `user_key`."""

    def __init__(self, host_key: paramiko.PKey, user_key: paramiko.PKey, *, greets_after_s: float = 0.0) -> None:
        """`greets_after_s` is the delay in seconds before each connection's banner."""
        self._host_key = host_key
        self._user_key = user_key
        self._greets_after_s = greets_after_s
        self._listener = socket.create_server(("127.0.0.1", 0))
        self._transports: list[paramiko.Transport] = []
        self.port = int(self._listener.getsockname()[1])
        self.logins: list[str] = []
        self.agents: list[paramiko.Channel] = []
        """Channels for which a client offered its SSH agent."""
        self.answers = threading.Event()
        """Event that allows answers: while cleared, requests on open channels are never answered."""
        self.answers.set()
        threading.Thread(target=self._accept, daemon=True).start()

    def cut(self) -> None:
        """Close every connection without a message."""
        for transport in self._transports:
            transport.close()

    def close(self) -> None:
        self._listener.close()
        self.answers.set()
        self.cut()

    def _accept(self) -> None:
        with contextlib.suppress(OSError):
            while True:
                client, _ = self._listener.accept()
                threading.Thread(target=self._serve, args=(client,), daemon=True).start()

    def _serve(self, client: socket.socket) -> None:
        time.sleep(self._greets_after_s)
        transport = paramiko.Transport(client)
        transport.add_server_key(self._host_key)
        transport.set_subsystem_handler("sftp", paramiko.SFTPServer, _Files)
        self._transports.append(transport)
        with contextlib.suppress(paramiko.SSHException, EOFError, OSError):
            transport.start_server(server=_Session(self._user_key, self.logins, self.agents, self.answers))


class _Session(paramiko.ServerInterface):  # type: ignore[misc]
    def __init__(
        self, user_key: paramiko.PKey, logins: list[str], agents: list[paramiko.Channel], answers: threading.Event
    ) -> None:
        self._user_key = user_key
        self._answers = answers
        self._logins = logins
        self._agents = agents

    def check_auth_publickey(self, username: str, key: paramiko.PKey) -> int:
        if key.asbytes() != self._user_key.asbytes():
            return int(paramiko.common.AUTH_FAILED)
        self._logins.append(username)
        return int(paramiko.common.AUTH_SUCCESSFUL)

    def get_allowed_auths(self, username: str) -> str:
        del username
        return "publickey"

    def check_channel_request(self, kind: str, chanid: int) -> int:
        del chanid
        return int(paramiko.common.OPEN_SUCCEEDED if kind == "session" else 1)

    def check_channel_forward_agent_request(self, channel: paramiko.Channel) -> bool:
        self._agents.append(channel)
        return True

    def check_channel_subsystem_request(self, channel: paramiko.Channel, name: str) -> bool:
        self._answers.wait()
        return bool(super().check_channel_subsystem_request(channel, name))

    def check_channel_exec_request(self, channel: paramiko.Channel, command: bytes) -> bool:
        self._answers.wait()
        # Delayed: the command must not end before paramiko has answered the request, which it does when this returns.
        runner = threading.Timer(0.05, _execute, (channel, command.decode()))
        runner.daemon = True
        runner.start()
        return True


def _execute(channel: paramiko.Channel, command: str) -> None:
    with (
        contextlib.suppress(OSError, EOFError),
        subprocess.Popen(["bash", "-c", command], stdout=subprocess.PIPE, stderr=subprocess.PIPE) as child,
    ):
        pumps = [
            threading.Thread(target=_pump, args=(child.stdout, channel.sendall), daemon=True),
            threading.Thread(target=_pump, args=(child.stderr, channel.sendall_stderr), daemon=True),
        ]
        for pump in pumps:
            pump.start()
        for pump in pumps:
            pump.join()
        # For a command killed by a signal, sshd sends no status but a message that paramiko ignores.
        if child.wait() >= 0:
            channel.send_exit_status(child.returncode)
        channel.close()


def _pump(stream: Any, send: Any) -> None:
    with contextlib.suppress(OSError, EOFError):
        while block := stream.read1(32768):
            send(block)


class _Files(paramiko.SFTPServerInterface):  # type: ignore[misc]
    def open(self, path: str, flags: int, attr: paramiko.SFTPAttributes) -> Any:
        del attr
        try:
            descriptor = os.open(path, flags, 0o644)
        except OSError as error:
            return paramiko.SFTPServer.convert_errno(error.errno or 0)
        handle = paramiko.SFTPHandle(flags)
        stream = os.fdopen(descriptor, "rb" if flags & 3 == os.O_RDONLY else "wb")
        handle.readfile = handle.writefile = stream
        return handle

    def stat(self, path: str) -> Any:
        try:
            return paramiko.SFTPAttributes.from_stat(Path(path).stat())
        except OSError as error:
            return paramiko.SFTPServer.convert_errno(error.errno or 0)

    def chattr(self, path: str, attr: paramiko.SFTPAttributes) -> int:
        Path(path).chmod(attr.st_mode or 0o644)
        return int(paramiko.sftp.SFTP_OK)
