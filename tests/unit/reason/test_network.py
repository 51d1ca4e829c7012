# SPDX-License-Identifier: MIT
"""Failures for want of a network, by the words of the programs that people use."""

from __future__ import annotations

import time

import pytest

from vmlab.reason.network import lacks_network

_MISSED = {
    "apt": ("apt-get update", "W: Failed to fetch http://d/d  Temporary failure resolving 'd'", ""),
    "apt by address": ("apt-get update", "Could not connect to 10.0.2.2:80 (10.0.2.2).", ""),
    "curl by name": ("curl x.org", "curl: (6) Could not resolve host: x.org", ""),
    "curl by address": ("curl 1.2.3.4", "curl: (7) Failed to connect to 1.2.3.4 port 80 after 3 ms", ""),
    "wget": ("wget x.org", "wget: unable to resolve host address 'x.org'", ""),
    "git": ("git clone u", "fatal: unable to access 'u': Could not resolve host: github.com", ""),
    "pip": ("pip install x", "", "NewConnectionError: Failed to establish a new connection"),
    "bash": ("exec 3<>/dev/tcp/10.0.2.2/80", "bash: line 1: /dev/tcp/10.0.2.2/80: Connection refused", ""),
    "ssh": ("ssh x.org", "ssh: connect to host x.org port 22: Connection timed out", ""),
    "no route": ("ping 1.1.1.1", "ping: connect: Network is unreachable", ""),
    "a mute lookup": ("getent hosts x.org", "", ""),
    "after progress": ("apt-get update", "", "0% [Working]\r \rErr:1 http://d Temporary failure resolving 'd'"),
}
_OTHER = {
    "sudo's host name": ("sudo false", "sudo: unable to resolve host lab: Name or service not known", ""),
    "a server in the guest": ("curl localhost", "curl: (7) Failed to connect to localhost port 80 after 3 ms", ""),
    "a server by its address": ("nc 127.0.0.1 80", "(UNKNOWN) [127.0.0.1] 80 (http) : Connection refused", ""),
    "a socket without an address": ("./client", "ConnectionRefusedError: [Errno 111] Connection refused", ""),
    "another lookup": ("getent passwd x", "", ""),
    "a module": ("insmod x.ko", "insmod: ERROR: could not insert module x.ko: Invalid module format", ""),
    "nothing": ("false", "", ""),
}


@pytest.mark.parametrize(("command", "stderr", "stdout"), _MISSED.values(), ids=_MISSED)
def test_a_failure_for_want_of_a_network_is_recognised(command: str, stderr: str, stdout: str) -> None:
    assert lacks_network(command, stderr, stdout)


@pytest.mark.parametrize(("command", "stderr", "stdout"), _OTHER.values(), ids=_OTHER)
def test_another_failure_is_not_taken_for_one(command: str, stderr: str, stdout: str) -> None:
    assert not lacks_network(command, stderr, stdout)


def test_hostile_output_costs_little_time() -> None:
    started = time.process_time()
    for text in ("1.2 connection refused " * 500_000, "\n" * 10_000_000, "\x1b[" * 1_000_000, "1" * 10_000_000):
        lacks_network("x", text, text)
    assert time.process_time() - started < 2
