# SPDX-License-Identifier: MIT
"""`vmlab shell`: an interactive shell, or one command, in a guest."""

from __future__ import annotations

import argparse
import contextlib
import dataclasses
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from vmlab.commands.command_line import BUILDS, GUESTS, Commands
from vmlab.commands.open_lab import open_lab, passing_lab
from vmlab.errors import HostError, MachineLost, UsageError, nearest
from vmlab.settings import Settings, split_module
from vmlab.system.output import is_terminal, warn

if TYPE_CHECKING:
    from vmlab.lab.lab import Lab

_CONNECT_S = 60.0
_LONGEST_SCRIPT_BYTES = 100_000
"""Largest script from standard input: the guest's shell gets it as one argument, of at most 128 KiB (MAX_ARG_STRLEN in
the kernel's include/uapi/linux/binfmts.h)."""


def add_commands(commands: Commands) -> None:
    """Add the command."""
    shell = commands.add(
        "shell",
        _shell,
        "open a shell in a fork of a target, or in a kept guest",
        settings=("catalogue", *(name for name in BUILDS if name != "module"), *GUESTS),
        is_mixed=False,
    )
    shell.usage = "vmlab shell TARGET [--loaded DIR[:NAME]] [--booted] [--network] [SETTING ...] [--] [COMMAND ...]"
    shell.add_argument("name", metavar="TARGET", help="a target, or the name of a kept guest: kept-4711")
    shell.add_argument("--loaded", metavar="DIR[:NAME]", help="build the module in this directory and load it")
    shell.add_argument("--booted", action="store_true", help="boot a guest instead of forking one")
    shell.add_argument(
        "--network",
        dest="vmlab_network",
        action="store_const",
        const="yes",
        default=argparse.SUPPRESS,
        help="give the guest a network: it reaches this host's 127.0.0.1 and all that this host reaches",
    )
    words = shell.add_argument(
        "words",
        # Unlike REMAINDER, PARSER starts at the first word, so options may precede it.
        nargs=argparse.PARSER,
        default=[],
        metavar="COMMAND",
        help="run this command and exit with its status; all words after its first word, or after --, belong to it",
    )
    words.required = False


def _shell(chosen: argparse.Namespace, settings: Settings) -> int:
    # Python 3.11 keeps the leading --; later versions drop it.
    command = " ".join(chosen.words[1:] if chosen.words[:1] == ["--"] else chosen.words)
    if chosen.loaded is not None:
        settings = _with_module(settings, chosen.loaded)
    if chosen.name.startswith("kept-"):
        if hasattr(chosen, "vmlab_network"):
            raise UsageError(
                f"{chosen.name} keeps the network that its test had, or none",
                hint=f"vmlab shell {chosen.name}",
            )
        return into_kept(open_lab(settings), chosen.name, command)
    with passing_lab(settings) as lab:
        return into_target(lab, chosen.name, command, is_loaded=chosen.loaded is not None, is_booted=chosen.booted)


def _with_module(settings: Settings, text: str) -> Settings:
    """Return the settings with the directory of `--loaded` as the module; raises `UsageError` if it is none."""
    path, name = split_module(text)
    directory = Path(path).absolute()
    if not directory.is_dir():
        if directory.exists():
            raise UsageError(f"--loaded {text!r} is a file, expected the module's directory", hint="use --loaded DIR")
        hint = nearest(directory.name, _directories_beside(directory))
        raise UsageError(f"--loaded {text!r}: no such directory", hint=hint if "?" in hint else "use --loaded DIR")
    origin = {**settings.origin, "module": "--loaded"}
    return dataclasses.replace(settings, module=directory, module_name=name, origin=origin)


def _directories_beside(path: Path) -> list[str]:
    with contextlib.suppress(OSError):
        return [each.name for each in path.parent.iterdir() if each.is_dir()]
    return []


def _script() -> str:
    """Return the commands on a standard input that is not a terminal, read to its end; empty for a terminal.

    A terminal session would wait for ever for the end of such an input: the guest's shell reads a terminal of its own.
    """
    if sys.stdin is None:
        return ":"
    if is_terminal(sys.stdin):
        return ""
    script = sys.stdin.buffer.read(_LONGEST_SCRIPT_BYTES + 1)
    if len(script) > _LONGEST_SCRIPT_BYTES:
        raise UsageError(
            f"the commands on standard input must have at most {_LONGEST_SCRIPT_BYTES} bytes, got more",
            hint="copy the script into a guest with guest.put in a test",
        )
    return script.decode("utf-8", errors="replace").strip() or ":"


def into_target(lab: Lab, name: str, command: str, *, is_loaded: bool, is_booted: bool) -> int:
    """Run a shell, or one command, in a new guest of a target; returns its exit status. Without a `command`, a standard
    input that is not a terminal is the command.

    Costs a fork, and a boot the first time; with `is_booted` always a boot; with `is_loaded` also the module's build.
    """
    from vmlab.lab.freezer import Stage

    targets = lab.matrix.select(name)
    if len(targets) != 1:
        raise UsageError(f"{name!r} names {len(targets)} targets", hint="name exactly one")
    if is_loaded:
        _ = lab.source  # report a wrong directory before an image is made
    command = command or _script()
    testbed = lab.testbed(targets[0])
    stage = Stage.LOADED if is_loaded else Stage.READY
    with testbed.booted(stage) if is_booted else testbed.fork(stage) as running:
        warn("")
        return running.open_shell(command)


def into_kept(lab: Lab, name: str, command: str) -> int:
    """Run a shell, or one command, in the guest that a failing test left running; returns its exit status."""
    from vmlab.guest.ssh import Address, connect
    from vmlab.image.keys import known_keys
    from vmlab.machine.console import Console
    from vmlab.machine.registry import kept_machines

    kept = {record.name: record for record in kept_machines()}
    record = kept.get(name)
    if record is None:
        raise UsageError(f"unknown kept guest {name!r}", hint=nearest(name, kept))
    keys = known_keys(lab.store)
    if keys is None:
        raise HostError(f"the SSH keys of {name} are not in this store", hint="set --vmlab-store")
    command = command or _script()
    console = Console(Path(record.console))

    def require_alive() -> None:
        if not record.qemu.is_alive():
            raise MachineLost(f"{name} has ended", detail=console.tail())
        panic = console.panic()
        if panic:
            raise MachineLost(f"{name}: its kernel panicked: {panic}", detail=console.tail())

    transport = connect(
        Address(port=record.ssh_port, host_key=keys.public(keys.host), user_key=keys.user),
        timeout_s=_CONNECT_S * lab.settings.patience,
        step_timeout_s=_CONNECT_S * lab.settings.patience,
        require_alive=require_alive,
        evidence=console.tail,
    )
    with contextlib.closing(transport):
        return transport.interact(command)
