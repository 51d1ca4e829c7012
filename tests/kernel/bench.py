# SPDX-License-Identifier: MIT
"""The experiments' modules in a guest, and commands run beside them in one script."""

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
"""Guests that already have a kit's modules, and the kit's directory."""
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
"""Shell function `await CONDITION`: polls the condition, and ends the script when it never holds."""
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
"""Modules in removal order: a user of symbols comes before the module that exports them."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Step:
    """One command that was run, and its output, errors included."""

    command: str
    output: str
    status: int

    @property
    def transcript(self) -> str:
        return f"# {self.command}\n{self.output}"


class Bench:
    """A guest with the experiments' modules in it."""

    def __init__(self, guest: Guest, kit: Kit) -> None:
        """Cost: a copy when the guest does not have the modules yet."""
        self.guest = guest
        self.kit = kit
        # The directory's name identifies the kit.
        self._directory = f"{DIRECTORY}-{kit.directory.name}"
        if _furnished.get(guest) != kit.directory:
            guest.put(kit.archive, _ARCHIVE)
            unpack = f"mkdir -p {self._directory} && tar -xzf {_ARCHIVE} -C {self._directory} && rm {_ARCHIVE}"
            guest.as_root(f"{unpack} && ln -sfn {self._directory} {DIRECTORY}")
            _furnished[guest] = kit.directory

    def root(self, script: str) -> Completed:
        """Run a shell script as root in the modules' directory; `await CONDITION` is available."""
        return self.guest.root(f"export LC_ALL=C; cd {DIRECTORY} || exit 1\n{_WAITING}\n{script}")

    def as_root(self, script: str) -> str:
        """Like `root`, but require exit status 0 and return the output."""
        return self.guest.as_root(f"export LC_ALL=C; cd {DIRECTORY} || exit 1\n{_WAITING}\n{script}")

    def clear(self) -> None:
        """Unload everything a test left loaded. Cost: one short command when nothing is loaded."""
        self.as_root(_CLEAR.format(modules=" ".join(_REMOVAL_ORDER)))

    def steps(self, commands: Mapping[str, str], *, is_root: bool = True) -> dict[str, Step]:
        """Run commands in sequence in one script, each in a subshell in the modules' directory. Exit statuses are
        ignored. Returns the steps by name."""
        nonce = secrets.token_hex(4)
        run = "\n".join(
            f"(eval {shlex.quote(command)}) </dev/null 2>&1; printf '\\n%s %d\\n' {nonce} $?"
            for command in commands.values()
        )
        script = f"export LC_ALL=C; cd {DIRECTORY} || exit 1\n{run}"
        output = self.guest.as_root(script) if is_root else self.guest.succeed(script)
        return split_steps(output, commands, nonce)


def split_steps(output: str, commands: Mapping[str, str], nonce: str) -> dict[str, Step]:
    """Split the script's output into one step per command; `ValueError` unless all of them ended."""
    ends = list(re.finditer(rf"\n{nonce} (\d+)\n", output))
    if len(ends) != len(commands):
        raise ValueError(f"{len(ends)} of {len(commands)} commands ended:\n{output}")
    starts = [0, *(end.end() for end in ends)]
    return {
        name: Step(command=command, output=output[start : end.start()].strip("\n"), status=int(end[1]))
        for (name, command), start, end in zip(commands.items(), starts[:-1], ends, strict=True)
    }


def transcript(*steps: Step) -> str:
    """Several steps as a terminal shows them."""
    return "\n".join(step.transcript for step in steps)
