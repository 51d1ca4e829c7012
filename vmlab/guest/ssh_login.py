# SPDX-License-Identifier: MIT
"""A login over a socket, with the lab's keys only: neither the user's agent nor keys nor configuration are used."""

from __future__ import annotations

import base64
import contextlib
import io
import logging
import socket
import threading
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import fabric
import fabric.runners
import paramiko

from vmlab.guest.ssh_limits import LimitedTransport
from vmlab.image.image import GUEST_USER

# paramiko logs every refused attempt with a traceback; the error raised by the caller has the relevant part.
logging.getLogger("paramiko").setLevel(logging.CRITICAL)

_LEAST_S = 0.1


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


def log_in(
    address: Address,
    prepared: socket.socket,
    step_timeout_s: float,
    deadline: float,
    *,
    transport: type[paramiko.Transport] = LimitedTransport,
) -> Any:
    """Log in over a socket to an sshd, and return fabric's connection; closes the socket on failure.

    `step_timeout_s` limits each step, `deadline` (of `time.monotonic`) all together. Raises paramiko's exceptions.
    """
    left_s = max(deadline - time.monotonic(), 0.0)
    # paramiko has a timeout for each step; the timer limits them together.
    timer = threading.Timer(left_s, _end, (prepared,))
    timer.daemon = True
    timer.start()
    try:
        connection = _prepared(address, prepared, min(step_timeout_s, max(left_s, _LEAST_S)), transport)
        connection.open()
    except BaseException:
        prepared.close()
        raise
    finally:
        timer.cancel()
    connection.transport.set_keepalive(0)
    connection.transport.clear_to_send_timeout = step_timeout_s
    return connection


def new_connection(address: Address, **arguments: Any) -> Any:
    """Return fabric's connection to an address, not yet opened."""
    # An empty SSH configuration: the user's may rename hosts, add proxies or offer keys. Lazy: fabric reads no files of
    # its own, whose forward_agent would let a guest use the user's SSH agent.
    config = fabric.Config(
        lazy=True,
        ssh_config=paramiko.SSHConfig.from_file(io.StringIO("")),
        overrides={"runners": {"remote_shell": _ForgetfulShell}},
    )
    return fabric.Connection(
        host=address.host, port=address.port, user=address.user, config=config, connect_kwargs=arguments
    )


def _end(prepared: socket.socket) -> None:
    with contextlib.suppress(OSError):
        prepared.shutdown(socket.SHUT_RDWR)


def _prepared(
    address: Address, prepared: socket.socket, step_timeout_s: float, transport_class: type[paramiko.Transport]
) -> Any:
    def make_transport(*arguments: Any, **options: Any) -> paramiko.Transport:
        transport = transport_class(*arguments, **options)
        # The default is 15 s, and connect() has no argument for it (paramiko/transport.py, `handshake_timeout`).
        transport.handshake_timeout = step_timeout_s
        return transport

    connection = new_connection(
        address,
        sock=prepared,
        pkey=paramiko.Ed25519Key.from_private_key_file(str(address.user_key)),
        allow_agent=False,
        look_for_keys=False,
        banner_timeout=step_timeout_s,
        auth_timeout=step_timeout_s,
        timeout=step_timeout_s,
        transport_factory=make_transport,
    )
    # fabric installs AutoAddPolicy; the lab must refuse a guest without its image's host key.
    connection.client.set_missing_host_key_policy(paramiko.RejectPolicy())
    kind, encoded = address.host_key.split()[:2]
    key = paramiko.Ed25519Key(data=base64.b64decode(encoded))
    connection.client.get_host_keys().add(f"[{address.host}]:{address.port}", kind, key)
    return connection
