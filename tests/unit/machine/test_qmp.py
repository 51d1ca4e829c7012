# SPDX-License-Identifier: MIT
"""The monitor, against a small server that speaks QMP over a socket pair."""

from __future__ import annotations

import contextlib
import json
import socket
import threading
import time
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from vmlab.errors import MachineLost
from vmlab.machine.qmp import Monitor, on_lasting_thread

_GREETING = {"QMP": {"version": {"qemu": {"micro": 0, "minor": 2, "major": 7}, "package": ""}, "capabilities": []}}
_USERNET = (
    "Hub -1 (net):\r\n"
    "  Protocol[State]    FD  Source Address  Port   Dest. Address  Port RecvQ SendQ\r\n"
    "  TCP[HOST_FORWARD]  12       127.0.0.1 40123       10.0.2.15    22     0     0\r\n"
)
Answer = Callable[[str, dict[str, Any]], "dict[str, Any] | None"]


class Server:
    """Answers QMP commands with `answer`; None closes the connection, `{}` sends no answer."""

    def __init__(self, *, greeting: dict[str, Any] | None = _GREETING, answer: Answer) -> None:
        self.ours, self._theirs = socket.socketpair()
        self.commands: list[str] = []
        self._greeting = greeting
        self._answer = answer
        self._thread = threading.Thread(target=self._serve, daemon=True)
        self._thread.start()

    def close(self) -> None:
        # The thread may block in recv(2): shutdown wakes it, close alone does not.
        for end in (self._theirs, self.ours):
            with contextlib.suppress(OSError):
                end.shutdown(socket.SHUT_RDWR)
            end.close()
        self._thread.join(5)

    def hang_up(self) -> None:
        self._theirs.shutdown(socket.SHUT_RDWR)

    def _serve(self) -> None:
        try:
            if self._greeting is not None:
                self._send(self._greeting)
            # The client sends no newlines, and waits for an answer before the next message.
            while raw := self._theirs.recv(65536):
                request = json.loads(raw)
                self.commands.append(request["execute"])
                if request["execute"] == "qmp_capabilities":
                    answer: dict[str, Any] | None = {"return": {}}
                else:
                    answer = self._answer(request["execute"], request.get("arguments", {}))
                if answer is None:
                    self.hang_up()
                    return
                if answer:
                    self._send(answer | {"id": request["id"]} if "id" in request else answer)
        except (OSError, ValueError):
            return

    def _send(self, message: dict[str, Any]) -> None:
        self._theirs.sendall(json.dumps(message).encode() + b"\r\n")


def _usernet(command: str, arguments: dict[str, Any]) -> dict[str, Any]:
    if command == "human-monitor-command" and arguments == {"command-line": "info usernet"}:
        return {"return": _USERNET}
    return {"error": {"class": "CommandNotFound", "desc": f"The command {command} has not been found"}}


Serve = Callable[..., "tuple[Server, Monitor]"]


@pytest.fixture
def serve() -> Iterator[Serve]:
    servers: list[tuple[Server, Monitor]] = []

    def serve(answer: Answer = _usernet, *, greeting: dict[str, Any] | None = _GREETING) -> tuple[Server, Monitor]:
        server = Server(greeting=greeting, answer=answer)
        servers.append((server, Monitor(server.ours)))
        return servers[-1]

    yield serve
    for server, monitor in servers:
        monitor.close()
        server.close()


def test_the_monitor_negotiates_and_reads_the_forwarded_port(serve: Serve) -> None:
    server, monitor = serve()
    monitor.connect(timeout_s=5)
    assert monitor.forwarded_port() == 40123
    assert server.commands == ["qmp_capabilities", "human-monitor-command"]


def test_a_machine_that_forwards_nothing_is_lost_with_what_it_said(serve: Serve) -> None:
    _, monitor = serve(lambda *_: {"return": "Hub -1 (net):\r\n"})
    monitor.connect(timeout_s=5)
    with pytest.raises(MachineLost, match="does not forward a port") as caught:
        monitor.forwarded_port()
    assert "Hub -1" in caught.value.detail


def test_a_refused_command_is_told_in_qemus_words(serve: Serve) -> None:
    _, monitor = serve()
    monitor.connect(timeout_s=5)
    with pytest.raises(MachineLost, match="The command fly has not been found"):
        monitor.execute("fly", timeout_s=5)


def test_no_greeting_is_lost_within_the_time_limit(serve: Serve) -> None:
    _, monitor = serve(greeting=None)
    started = time.monotonic()
    with pytest.raises(MachineLost, match="did not answer"):
        monitor.connect(timeout_s=0.2)
    assert time.monotonic() - started < 3


def test_silence_to_a_command_is_lost_within_the_time_limit(serve: Serve) -> None:
    _, monitor = serve(lambda *_: {})
    monitor.connect(timeout_s=5)
    started = time.monotonic()
    with pytest.raises(MachineLost, match="did not answer"):
        monitor.execute("query-status", timeout_s=0.2)
    assert time.monotonic() - started < 3


def _connect_and_ask(monitor: Monitor) -> None:
    monitor.connect()
    monitor.execute("query-status")


@pytest.mark.parametrize("silent_from", ["greeting", "command"])
def test_a_call_without_a_limit_of_its_own_has_the_monitors(silent_from: str) -> None:
    server = Server(greeting=None if silent_from == "greeting" else _GREETING, answer=lambda *_: {})
    with contextlib.closing(server), contextlib.closing(Monitor(server.ours, call_s=0.2)) as monitor:
        started = time.monotonic()

        with pytest.raises(MachineLost, match="did not answer in 0 s"):
            _connect_and_ask(monitor)

    assert time.monotonic() - started < 10


def test_an_end_before_the_greeting_is_lost(serve: Serve) -> None:
    server, monitor = serve(greeting=None)
    server.hang_up()
    with pytest.raises(MachineLost, match="monitor is gone"):
        monitor.connect(timeout_s=5)


def test_an_end_under_a_command_is_lost_at_once(serve: Serve) -> None:
    _, monitor = serve(lambda *_: None)
    monitor.connect(timeout_s=5)
    started = time.monotonic()
    with pytest.raises(MachineLost, match="monitor is gone"):
        monitor.execute("quit", timeout_s=30)
    assert time.monotonic() - started < 5


def test_a_command_after_the_end_is_lost_too(serve: Serve) -> None:
    _, monitor = serve(lambda *_: None)
    monitor.connect(timeout_s=5)
    for _ in range(2):
        with pytest.raises(MachineLost):
            monitor.execute("query-status", timeout_s=5)


def test_closing_is_safe_at_any_time(serve: Serve) -> None:
    _, never_connected = serve()
    never_connected.close()
    never_connected.close()
    server, connected = serve()
    connected.connect(timeout_s=5)
    server.hang_up()
    connected.close()


def test_what_is_spawned_comes_from_one_thread_that_lasts() -> None:
    first = on_lasting_thread(threading.get_ident)
    assert on_lasting_thread(threading.get_ident) == first
    assert first != threading.get_ident()
    assert any(thread.ident == first and thread.is_alive() for thread in threading.enumerate())


def test_an_error_on_the_lasting_thread_comes_back() -> None:
    def fail() -> None:
        raise FileNotFoundError("qemu")

    with pytest.raises(FileNotFoundError, match="qemu"):
        on_lasting_thread(fail)
