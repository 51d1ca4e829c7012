# SPDX-License-Identifier: MIT
"""`vmlab doctor`, `vmlab setup` and `vmlab reap`: the commands about this host."""

from __future__ import annotations

import argparse

from vmlab.commands.command_line import CATALOGUE, STORE, Commands
from vmlab.commands.open_lab import open_lab
from vmlab.settings import Settings
from vmlab.system.output import flush, say


def add_commands(commands: Commands) -> None:
    """Add the commands."""
    doctor = commands.add(
        "doctor",
        _doctor,
        "report what this host can do, with a command to type for each problem",
        settings=(*CATALOGUE, *STORE, "accel", "memory_mib", "cpus", "patience"),
    )
    doctor.add_argument("--json", action="store_true", help="print JSON, for a bug report")
    commands.add(
        "setup",
        _setup,
        "install the packages that the selected targets need on this host; needs root or passwordless sudo",
        settings=CATALOGUE,
    )
    commands.add("reap", _reap, "end kept guests and remove the leftovers of killed runs", settings=("store",))


def _doctor(chosen: argparse.Namespace, settings: Settings) -> int:
    from vmlab.doctor.doctor import examine
    from vmlab.report.listing import print_facts

    facts, is_usable = examine(open_lab(settings))
    print_facts(facts, as_json=chosen.json)
    return 0 if is_usable else 1


def _setup(_: argparse.Namespace, settings: Settings) -> int:
    from vmlab.catalogue.matrix import load_matrix
    from vmlab.catalogue.target import architectures_of, uefi_architectures_of
    from vmlab.host.install import set_up

    chosen = load_matrix(own=settings.catalogue).select(settings.target)
    steps: list[str] = []

    def step(text: str) -> None:
        steps.append(text)
        _step(text)

    set_up(
        step,
        architectures_of(chosen),
        uefi=uefi_architectures_of(chosen),
        keyrings={row.cloud.image.keyrings for row in chosen if row.cloud is not None and row.cloud.image.signature},
    )
    if not steps:
        _step("nothing to install: the selected targets have what they need")
    return 0


def _step(text: str) -> None:
    say(f"vmlab: {text}")
    flush()  # before the package manager writes to the same output


def _reap(_: argparse.Namespace, settings: Settings) -> int:
    from vmlab.machine import registry

    store = open_lab(settings).store
    said = registry.reap()
    for line in said:
        say(line)
    rubbish = store.remove_rubbish()
    if rubbish:
        say(f"removed  {rubbish} unfinished objects in the store")
    if not said and not rubbish:
        say("nothing to remove")
    return 0
