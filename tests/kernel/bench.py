# SPDX-License-Identifier: MIT
"""Where the experiments' modules lie in a guest, and how commands are run beside them: many in one go."""

from __future__ import annotations

import re
import secrets
import shlex
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from weakref import WeakKeyDictionary

from vmlab.guest.guest import Guest
from vmlab.guest.transport import Completed

from .kit import Kit

DIRECTORY = "/build/experiments"
_ARCHIVE = "/build/experiments.tar.gz"
_furnished: WeakKeyDictionary[Guest, Path] = WeakKeyDictionary()
"""Guests that have a kit's modules already."""
_WAITING = """
await() {
    tries=0
    until eval "$1" 2>/dev/null; do
        tries=$((tries + 1))
        [ $tries -lt 600 ] || { echo "never came true: $1" >&2; exit 1; }
        sleep 0.05
    done
}
"""
"""`await CONDITION`: the shell's own wait, which ends the script when the condition never holds."""
_CLEAR = """
[ -e /sys/module/gate/parameters/open ] && echo 1 >/sys/module/gate/parameters/open
for module in {modules}; do
    [ -d /sys/module/$module ] || continue
    await '[ "$(cat /sys/module/$module/initstate)" != coming ]'
    rmmod $module
done
true
"""
_REMOVAL_ORDER = (
    "gate_user_user", "gate_user", "gate", "hello", "heir_user", "heir", "closed_first", "gpl_first", "closed",
    "plain_user", "gpl_user", "lender", "rival", "node", "majors",
)  # fmt: skip
"""Who uses another's symbols goes before it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Step:
    """One command that was run, and all that it printed, its errors among it."""

    command: str
    output: str
    status: int

    @property
    def transcript(self) -> str:
        return f"# {self.command}\n{self.output}"


class Bench:
    """A guest with the experiments' modules in it."""

    def __init__(self, guest: Guest, kit: Kit) -> None:
        """Costs a copy, when the guest does not have them yet, and else nothing."""
        self.guest = guest
        self.kit = kit
        # The directory's own name tells whether they are this kit's.
        self._directory = f"{DIRECTORY}-{kit.directory.name}"
        if _furnished.get(guest) != kit.directory:
            guest.put(kit.archive, _ARCHIVE)
            unpack = f"mkdir -p {self._directory} && tar -xzf {_ARCHIVE} -C {self._directory} && rm {_ARCHIVE}"
            guest.as_root(f"{unpack} && ln -sfn {self._directory} {DIRECTORY}")
            _furnished[guest] = kit.directory

    def root(self, script: str) -> Completed:
        """A shell script as root beside the modules; it has `await CONDITION`."""
        return self.guest.root(f"export LC_ALL=C; cd {DIRECTORY} || exit 1\n{_WAITING}\n{script}")

    def as_root(self, script: str) -> str:
        """The same for one that must end with status 0; returns what it printed."""
        return self.guest.as_root(f"export LC_ALL=C; cd {DIRECTORY} || exit 1\n{_WAITING}\n{script}")

    def clear(self) -> None:
        """Take out whatever a test left loaded. Costs one short command where there is nothing."""
        self.as_root(_CLEAR.format(modules=" ".join(_REMOVAL_ORDER)))

    def steps(self, commands: Mapping[str, str], *, is_root: bool = True) -> dict[str, Step]:
        """Commands one after the other, in one go, each in a subshell beside the modules, and whatever the one
        before ended with. By name."""
        nonce = secrets.token_hex(4)
        run = "\n".join(
            f"(eval {shlex.quote(command)}) </dev/null 2>&1; printf '\\n%s %d\\n' {nonce} $?"
            for command in commands.values()
        )
        script = f"export LC_ALL=C; cd {DIRECTORY} || exit 1\n{run}"
        output = self.guest.as_root(script) if is_root else self.guest.succeed(script)
        return split_steps(output, commands, nonce)


def split_steps(output: str, commands: Mapping[str, str], nonce: str) -> dict[str, Step]:
    """What each command printed; `ValueError` when not all of them ended."""
    ends = list(re.finditer(rf"\n{nonce} (\d+)\n", output))
    if len(ends) != len(commands):
        raise ValueError(f"{len(ends)} of {len(commands)} commands ended:\n{output}")
    starts = [0, *(end.end() for end in ends)]
    return {
        name: Step(command=command, output=output[start : end.start()].strip("\n"), status=int(end[1]))
        for (name, command), start, end in zip(commands.items(), starts[:-1], ends, strict=True)
    }


def transcript(*steps: Step) -> str:
    """Several steps as they would stand in a terminal."""
    return "\n".join(step.transcript for step in steps)
