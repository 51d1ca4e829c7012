# SPDX-License-Identifier: MIT
"""Commands as a reader of docs/explain/ types them, and their output."""

from __future__ import annotations

import re
import secrets
import shlex
from collections.abc import Callable
from dataclasses import dataclass

from vmlab.guest.guest import Guest
from vmlab.guest.transport import Completed

_COLOUR = re.compile(r"\x1b\[[\d;]*m")

Bring = Callable[..., str]
"""`bring(ko, "other.ko")` copies a .ko into the test's guest, and returns its path there."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Said:
    """A finished command."""

    command: str
    """Command line, ready to copy."""
    status: int
    output: str
    """Unmodified output of both streams, without colours."""
    log: tuple[str, ...] = ()
    """Requested kernel log lines from the meantime, without time stamps."""

    @property
    def shown(self) -> dict[str, str]:
        """The two arguments of `finding` that every finding has."""
        return {"command": self.command, "output": self.output}


def by_user(guest: Guest, command: str, *, shown: str = "") -> Said:
    """Run a command as the ordinary user. `shown` replaces a command that has more in it than a reader needs."""
    return _said(shown or command, guest.run(_joined(command)))


def by_root(guest: Guest, command: str, *, shown: str = "") -> Said:
    """Run a command as root, shown with `sudo` in front; `shown` must include it."""
    return _said(shown or f"sudo {command}", guest.root(_joined(command)))


def with_log(guest: Guest, command: str, *, about: str, shown: str = "") -> Said:
    """Run a command as root, and collect the kernel log lines from the meantime that match `about`, an extended regular
    expression."""
    mark, pattern = f"vmlab-mark-{secrets.token_hex(4)}", shlex.quote(about)
    log = f"dmesg -t | sed '1,/{mark}/d' | grep -E {pattern}"
    done = guest.root(f"echo {mark} >/dev/kmsg; {_joined(command)}; s=$?; echo {mark}; {log}; exit $s")
    output, _, lines = _COLOUR.sub("", done.stdout).partition(f"{mark}\n")
    return Said(
        command=f"{shown or f'sudo {command}'}\nsudo dmesg -t | grep -E {pattern}",
        status=done.status,
        output=output + lines,
        log=tuple(lines.splitlines()),
    )


def _joined(command: str) -> str:
    return f"{{ {command}\n}} 2>&1"


def _said(command: str, done: Completed) -> Said:
    return Said(command=command, status=done.status, output=_COLOUR.sub("", done.stdout))
