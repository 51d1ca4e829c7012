# SPDX-License-Identifier: MIT
"""Signs that a command failed because its guest has no network. Pure."""

from __future__ import annotations

import re

from vmlab.text import lines_of

HINT = "guests have no network: mark the test with @pytest.mark.network, or use `vmlab shell --network`"
_EXAMINED = 20_000
"""Number of characters examined at the end of each stream: the error of a download is at its end."""
_SIGNS = (
    "temporary failure resolving",
    "temporary failure in name resolution",
    "name or service not known",
    "could not resolve",
    "couldn't resolve",
    "unable to resolve host address",
    "network is unreachable",
    "no route to host",
    "connection timed out",
    "failed to establish a new connection",
)
"""Words of glibc, apt, curl, dnf, wget, git and pip, in lower case."""
_REFUSALS = (
    "connection refused",
    "connection reset",
    "could not connect to",
    "couldn't connect to",
    "unable to connect to",
    "failed to connect to",
)
"""Words for a refused connection: QEMU resets a restricted guest's (libslirp, tcp_input.c)."""
_ITSELF = ("localhost", "127.0.0.1", "::1")
_ADDRESS = re.compile(r"\d\.\d|\w\.\w|\bport \d")
_SUDO = "sudo: unable to resolve host "
"""Words of sudo for a host name that /etc/hosts does not have; not a failure."""
_LOOKUP = re.compile(r"\bgetent\s+a?hosts")
"""Command that fails without a word."""


def lacks_network(command: str, stderr: str, stdout: str) -> bool:
    """True if the output of a failed command has the words of a program that found no network."""
    lines = [line for stream in (stderr, stdout) for line in lines_of(stream[-_EXAMINED:])]
    is_mute = not any(lines) and _LOOKUP.search(command) is not None
    return is_mute or any(_is_sign(line.lower()) for line in lines if not line.startswith(_SUDO))


def _is_sign(line: str) -> bool:
    if any(sign in line for sign in _SIGNS):
        return True
    is_refusal = any(refusal in line for refusal in _REFUSALS)
    return is_refusal and not any(name in line for name in _ITSELF) and _ADDRESS.search(line) is not None
