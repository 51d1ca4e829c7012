# SPDX-License-Identifier: MIT
"""SSH against a real server on loopback: pinned keys, drained streams, and named causes of lost connections."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import paramiko
import pytest

from vmlab.errors import AssetError, MachineLost
from vmlab.guest.ssh import Address, SshTransport, connect
from vmlab.guest.transport import CommandTooSlow, TransportLost
from vmlab.image.keys import LabKeys, lab_keys
from vmlab.store.store import Store

from .ssh_server import SshServer

Connect = Callable[..., SshTransport]


@pytest.fixture(scope="module")
def keys(tmp_path_factory: pytest.TempPathFactory) -> LabKeys:
    return lab_keys(Store(tmp_path_factory.mktemp("store")))


@pytest.fixture
def server(keys: LabKeys) -> Iterator[SshServer]:
    started = SshServer(_key(keys.host), _key(keys.user))
    yield started
    started.close()


@pytest.fixture
def reach(server: SshServer, keys: LabKeys) -> Iterator[Connect]:
    opened: list[SshTransport] = []

    def reach(*, host_key: Path = keys.host, user_key: Path = keys.user) -> SshTransport:
        address = Address(port=server.port, host_key=keys.public(host_key), user_key=user_key)
        opened.append(_connect(address))
        return opened[-1]

    yield reach
    for transport in opened:
        transport.close()


def _key(path: Path) -> paramiko.PKey:
    return paramiko.Ed25519Key.from_private_key_file(str(path))


def _connect(
    address: Address, *, timeout_s: float = 10, require_alive: Callable[[], None] = lambda: None
) -> SshTransport:
    return connect(
        address,
        timeout_s=timeout_s,
        step_timeout_s=10,
        require_alive=require_alive,
        evidence=lambda: "console: login",
    )


def test_the_users_settings_of_fabric_do_not_lend_a_guest_the_users_agent(
    reach: Connect, server: SshServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / ".fabric.yaml").write_text("forward_agent: true\n")
    monkeypatch.setenv("HOME", str(tmp_path))

    assert reach().run("echo out", timeout_s=10).ok

    assert server.agents == []


def test_a_command_returns_status_and_both_streams(reach: Connect, server: SshServer) -> None:
    transport = reach()
    done = transport.run("echo out; echo err >&2; exit 3", timeout_s=10)
    assert (done.status, done.stdout, done.stderr) == (3, "out\n", "err\n")
    assert transport.run("echo $((1 + 1))", timeout_s=10).stdout == "2\n"
    assert server.logins == ["lab"], "one connection serves every command"


def test_the_end_by_a_signal_is_128_and_the_signal(reach: Connect) -> None:
    assert reach().run("sh -c 'kill -SEGV $$'", timeout_s=10).status == 139


def test_more_errors_than_a_window_holds_do_not_block_the_output(reach: Connect) -> None:
    size = 2_200_000  # a channel's window is 2 MiB, for both streams together
    done = reach().run(f"head -c {size} /dev/zero | tr '\\0' x >&2; echo done", timeout_s=60)
    assert (len(done.stderr), done.stdout) == (size, "done\n")


def test_output_that_is_no_utf_8_is_no_crash(reach: Connect) -> None:
    assert reach().run("printf 'a\\377b'", timeout_s=10).stdout[0] == "a"


def test_a_guest_with_another_key_is_refused_and_never_accepted(
    reach: Connect, server: SshServer, keys: LabKeys
) -> None:
    for _ in range(2):
        with pytest.raises(AssetError, match="the guest's SSH refuses the lab's keys") as caught:
            reach(host_key=keys.user)
        assert caught.value.detail == "console: login"
    assert server.logins == []


def test_a_guest_that_does_not_know_the_labs_key_is_told_at_once(reach: Connect, keys: LabKeys) -> None:
    started = time.monotonic()
    with pytest.raises(AssetError, match="refuses the lab's keys"):
        reach(user_key=keys.host)
    assert time.monotonic() - started < 8


def test_the_users_agent_and_configuration_are_never_asked(
    reach: Connect, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    (tmp_path / ".ssh").mkdir()
    (tmp_path / ".ssh" / "config").write_text("Host *\n  HostName 192.0.2.1\n  User somebody\n  Port 9\n")
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("SSH_AUTH_SOCK", str(tmp_path / "agent"))
    assert reach().run("echo here", timeout_s=10).stdout == "here\n"
    assert not (tmp_path / ".ssh" / "known_hosts").exists()


def test_a_slow_command_is_told_from_a_lost_one(reach: Connect) -> None:
    transport = reach()
    with pytest.raises(CommandTooSlow, match="sleep 1000"):
        transport.run("sleep 1000", timeout_s=0.3)
    assert transport.run("echo still here", timeout_s=10).stdout == "still here\n"


def test_a_timer_that_is_slow_to_expire_does_not_make_a_slow_command_a_lost_one(
    reach: Connect, monkeypatch: pytest.MonkeyPatch
) -> None:
    # invoke asks whether its timer still runs, and it is that timer which wakes invoke.
    monkeypatch.setattr("invoke.runners.Runner.timed_out", property(lambda _: False))
    with pytest.raises(CommandTooSlow):
        reach().run("sleep 1000", timeout_s=0.2)


def test_a_connection_cut_under_a_command_is_lost(reach: Connect, server: SshServer) -> None:
    transport = reach()
    timer = threading.Timer(0.3, server.cut)
    timer.start()
    started = time.monotonic()
    with pytest.raises(TransportLost):
        transport.run("sleep 1000", timeout_s=60)
    assert time.monotonic() - started < 10
    timer.join()


@pytest.mark.parametrize("verb", ["run", "put", "get"])
def test_every_verb_on_a_cut_connection_is_lost_again_and_again(
    reach: Connect, server: SshServer, tmp_path: Path, verb: str
) -> None:
    transport = reach()
    local = tmp_path / "file"
    local.write_text("x")
    verbs: dict[str, Callable[[], object]] = {
        "run": lambda: transport.run("true", timeout_s=5),
        "put": lambda: transport.put(local, str(tmp_path / "there"), timeout_s=5),
        "get": lambda: transport.get(str(local), tmp_path / "here", timeout_s=5),
    }
    verbs[verb]()
    server.cut()
    for _ in range(2):
        with pytest.raises(TransportLost):
            verbs[verb]()


def test_files_go_in_with_their_permissions_and_come_out(reach: Connect, tmp_path: Path) -> None:
    transport = reach()
    local, remote, back = tmp_path / "a", tmp_path / "b", tmp_path / "c"
    local.write_bytes(bytes(range(256)) * 100)
    local.chmod(0o750)
    transport.put(local, str(remote), timeout_s=10)
    assert remote.read_bytes() == local.read_bytes()
    assert remote.stat().st_mode & 0o777 == 0o750
    transport.get(str(remote), back, timeout_s=10)
    assert back.read_bytes() == local.read_bytes()


def test_a_refused_path_is_an_os_error(reach: Connect, tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        reach().get(str(tmp_path / "none"), tmp_path / "x", timeout_s=10)


def test_closing_twice_is_safe(reach: Connect, server: SshServer) -> None:
    transport = reach()
    server.cut()
    transport.close()
    transport.close()


def test_there_is_no_waiting_for_a_machine_that_ended(keys: LabKeys) -> None:
    def ended() -> None:
        raise MachineLost("QEMU ended with status 1")

    address = Address(port=9, host_key=keys.public(keys.host), user_key=keys.user)
    with pytest.raises(MachineLost, match="QEMU ended"):
        _connect(address, timeout_s=60, require_alive=ended)


@pytest.mark.parametrize("verb", ["run", "put", "get"])
def test_a_guest_that_opens_a_channel_and_then_hangs_is_not_waited_for_without_end(
    reach: Connect, server: SshServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, verb: str
) -> None:
    monkeypatch.setattr("vmlab.guest.ssh.GRACE_S", 0.1)
    transport = reach()
    local = tmp_path / "file"
    local.write_text("x")
    verbs: dict[str, Callable[[], object]] = {
        "run": lambda: transport.run("true", timeout_s=0.2),
        "put": lambda: transport.put(local, str(tmp_path / "there"), timeout_s=0.2),
        "get": lambda: transport.get(str(local), tmp_path / "here", timeout_s=0.2),
    }
    server.answers.clear()
    with pytest.raises(CommandTooSlow):
        verbs[verb]()
    # The connection is unusable.
    with pytest.raises(TransportLost):
        verbs[verb]()


def test_a_shell_that_a_signal_ended_has_a_status_and_its_connection_goes_on(reach: Connect) -> None:
    transport = reach()
    assert transport.run("kill -9 $$", timeout_s=5).status == 137
    assert transport.run("true", timeout_s=5).ok
