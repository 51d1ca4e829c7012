# SPDX-License-Identifier: MIT
"""Commands as a reader of docs/explain/ would type them, and what came back."""

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
"""`bring(ko, "other.ko")` lays a .ko into the guest that the test uses, and returns its path there."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Said:
    """A command that ended."""

    command: str
    """Fit to be copied."""
    status: int
    output: str
    """Both streams, as they came, without colours."""
    log: tuple[str, ...] = ()
    """What the kernel logged meanwhile, of what was asked for, without its time stamps."""

    @property
    def shown(self) -> dict[str, str]:
        """The two arguments of `finding` that every finding has."""
        return {"command": self.command, "output": self.output}


def by_user(guest: Guest, command: str, *, shown: str = "") -> Said:
    """What the ordinary user gets. `shown` stands in for a command that has more in it than a reader needs."""
    return _said(shown or command, guest.run(_joined(command)))


def by_root(guest: Guest, command: str, *, shown: str = "") -> Said:
    """What root gets; shown with `sudo` in front, which `shown` must bring itself."""
    return _said(shown or f"sudo {command}", guest.root(_joined(command)))


def with_log(guest: Guest, command: str, *, about: str, shown: str = "") -> Said:
    """What root gets, and what the kernel logged in the meantime in lines that match `about`, an extended regular
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
