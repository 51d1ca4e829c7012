# SPDX-License-Identifier: MIT
"""A guest's root looks for a way out of its network card: to the host, to its neighbours, to QEMU's own services."""

from __future__ import annotations

import contextlib
import socket
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from vmlab.errors import GuestError
from vmlab.guest.guest import Guest
from vmlab.lab.machines import Running
from vmlab.lab.testbed import Testbed

_KNOCK = Path(__file__).with_name("knock.py")
_IPV6 = (
    "ip -6 address add fec0::15/64 dev eth0 nodad; ip -6 address add fe80::15/64 dev eth0 nodad;"
    " ip -6 route add default via fe80::2 dev eth0; ip -6 route add fec0::77 via fe80::2 dev eth0;"
    " ip address add 10.0.2.99/24 dev eth0; ip route add 10.0.2.77 via 10.0.2.2; ip route add 10.0.2.4 via 10.0.2.2"
)
"""Addresses that the lab does not configure, but QEMU's network has (ipv6-prefix of -netdev user). QEMU answers ARP for
its own addresses only, and takes packets to any."""
_ATTACKS = {
    "the-hosts-loopback": "tcp 10.0.2.2 {tcp}",
    "another-source-address": "tcp 10.0.2.2 {tcp} 10.0.2.99",
    "datagrams-to-the-hosts-loopback": "udp 10.0.2.2 {udp}",
    "another-address-of-the-host": "tcp {host} {tcp}",
    "datagrams-to-another-address": "udp {host} {udp}",
    "the-hosts-loopback-by-ipv6": "tcp fec0::2 {tcp6}",
    "an-unused-ipv6-address": "tcp fec0::77 {tcp6}",
    "datagrams-by-ipv6": "udp fec0::2 {udp6}",
}
"""Arguments of `knock.py` that reach a listener on the host if the network is not restricted."""
_MORE_ATTACKS = {
    "the-hosts-resolver": "dns 10.0.2.3 53",
    "the-hosts-resolver-by-ipv6": "dns fec0::3 53",
    "a-port-beside-the-hosts-resolver": "tcp 10.0.2.3 {tcp}",
    "an-unused-address": "tcp 10.0.2.77 {tcp}",
    "the-address-of-qemus-file-server": "tcp 10.0.2.4 {tcp}",
    "an-echo-by-the-host": "ping {host} 0",
    "a-broadcast": "udp 10.0.2.255 {udp}",
    "a-file-by-tftp": "tftp 10.0.2.2 69",
}
"""Attacks whose success depends on the host: its resolver, routes and ping_group_range, QEMU's version and options."""


@dataclass(slots=True)
class Host:
    """Listeners on the host's addresses: their ports, the host's other address, and what reached them."""

    ports: dict[str, int] = field(default_factory=dict)
    address: str = ""
    reached: list[str] = field(default_factory=list)

    def words(self, attack: str) -> str:
        """Return an attack's arguments for `knock.py`."""
        return attack.format(host=self.address, **self.ports)

    def listen(self, name: str, stack: contextlib.ExitStack) -> None:
        """Answer on a port of all the host's addresses; a name with a 6 is on IPv6."""
        family = socket.AF_INET6 if "6" in name else socket.AF_INET
        sort = socket.SOCK_STREAM if "tcp" in name else socket.SOCK_DGRAM
        ear = stack.enter_context(contextlib.closing(socket.socket(family, sort)))
        ear.bind(("", 0))
        if sort is socket.SOCK_STREAM:
            ear.listen()
        # A thread in accept() would outlive the close of its socket.
        ear.settimeout(0.1)
        self.ports[name] = ear.getsockname()[1]
        over = threading.Event()
        thread = threading.Thread(target=self._serve, args=(name, ear, over))
        thread.start()
        stack.callback(thread.join)
        stack.callback(over.set)

    def _serve(self, name: str, ear: socket.socket, over: threading.Event) -> None:
        while not over.is_set():
            with contextlib.suppress(TimeoutError):
                if ear.type is socket.SOCK_STREAM:
                    with ear.accept()[0] as peer:
                        peer.sendall(b"from the host")
                else:
                    ear.sendto(b"from the host", ear.recvfrom(2000)[1])
                self.reached.append(name)


@pytest.fixture(scope="module")
def host() -> Iterator[Host]:
    made = Host()
    with contextlib.closing(socket.socket(type=socket.SOCK_DGRAM)) as probe:
        probe.connect(("192.0.2.254", 9))  # sends nothing: names the address that the host's route would use
        made.address = probe.getsockname()[0]
    with contextlib.ExitStack() as stack:
        for name in ("tcp", "udp", "tcp6", "udp6"):
            made.listen(name, stack)
        yield made


@pytest.fixture(scope="module")
def restricted(vmlab_testbed: Testbed) -> Iterator[Running]:
    with vmlab_testbed.fork() as running:
        _prepare(running.guest)
        yield running


@pytest.fixture(scope="module")
def networked(vmlab_testbed: Testbed, restricted: Running) -> Iterator[Running]:
    del restricted  # takes the snapshot
    with vmlab_testbed.fork(has_network=True) as running:
        _prepare(running.guest)
        yield running


def _prepare(guest: Guest) -> None:
    guest.put(_KNOCK, "/tmp/knock.py")
    guest.as_root(_IPV6)


def _knock(running: Running, words: str) -> str:
    # An answer may be slow to come; waiting for one that must not come costs that time in each test.
    wait_s = 60 if running.guest.has_network else 2
    return running.guest.as_root(f"python3 /tmp/knock.py {wait_s} {words}")


def _connections(running: Running) -> list[str]:
    """Rows of QEMU's connections other than the lab's SSH."""
    text = str(running.machine.monitor.execute("human-monitor-command", {"command-line": "info usernet"}))
    rows = [" ".join(row.split()) for row in text.splitlines() if "[" in row and "Protocol[" not in row]
    return [row for row in rows if " 10.0.2.15 22 " not in row]


@pytest.mark.parametrize("attack", (_ATTACKS | _MORE_ATTACKS).values(), ids=_ATTACKS | _MORE_ATTACKS)
def test_a_guest_without_the_marker_reaches_nothing(restricted: Running, host: Host, attack: str) -> None:
    host.reached.clear()

    told = _knock(restricted, host.words(attack))

    # QEMU answers TFTP itself, with an error: it serves no files.
    assert told.startswith("silent: ") or (attack.startswith("tftp") and r"b'\x00\x05" in told), told
    assert host.reached == []
    assert _connections(restricted) == []


@pytest.mark.parametrize("attack", _ATTACKS.values(), ids=_ATTACKS)
def test_the_same_request_arrives_from_a_guest_with_a_network(networked: Running, host: Host, attack: str) -> None:
    host.reached.clear()

    told = _knock(networked, host.words(attack))

    assert told == "answered b'from the host'\n"
    assert len(host.reached) == 1


@pytest.mark.network
def test_the_marker_gives_a_test_a_network(guest: Guest, host: Host) -> None:
    guest.put(_KNOCK, "/tmp/knock.py")

    assert guest.succeed(f"python3 /tmp/knock.py 60 tcp 10.0.2.2 {host.ports['tcp']}") == "answered b'from the host'\n"


def test_a_guest_with_a_network_asks_the_hosts_resolver(networked: Running, host: Host) -> None:
    _knock(networked, host.words(_MORE_ATTACKS["the-hosts-resolver"]))

    assert any(row.startswith("UDP[") and " 53 " in row for row in _connections(networked))


def test_a_download_that_fails_names_the_marker(restricted: Running, host: Host) -> None:
    url = f"http://10.0.2.2:{host.ports['tcp']}/"

    with pytest.raises(GuestError, match=r"@pytest\.mark\.network"):
        restricted.guest.as_root(f"/usr/lib/apt/apt-helper download-file {url} /tmp/x 2>&1")
