# SPDX-License-Identifier: MIT
"""`vmlab targets` and `vmlab symbols`."""

from __future__ import annotations

import argparse

from vmlab.commands.command_line import CATALOGUE, IMAGES, STORE, Commands
from vmlab.commands.open_lab import open_lab
from vmlab.errors import UsageError
from vmlab.settings import Settings
from vmlab.system.output import say


def add_commands(commands: Commands) -> None:
    """Add the commands."""
    listing = commands.add(
        "targets",
        _targets,
        "list the targets, or print them as a CI job matrix",
        settings=(*CATALOGUE, *STORE, "lock"),
    )
    listing.add_argument("--format", choices=("github", "gitlab"), help="print the selected targets as job matrix")
    listing.add_argument(
        "--untried", action="store_true", help="with --format: only targets whose publisher's image was not tried yet"
    )
    listing.add_argument("--shards", type=int, default=None, metavar="N", help="with --format: jobs per target")
    symbols = commands.add(
        "symbols",
        _symbols,
        "fetch a target's kernel debug symbols, for drgn, and print their path",
        settings=("catalogue", *IMAGES),
    )
    symbols.add_argument("name", metavar="TARGET")


def _targets(chosen: argparse.Namespace, settings: Settings) -> int:
    from vmlab.cloud.lock import lock_of
    from vmlab.report.job_matrix import JobFormat, is_untried, job_matrix
    from vmlab.report.listing import print_targets

    lab = open_lab(settings)
    if chosen.format is not None:
        rows = [target for target in lab.targets if not chosen.untried or is_untried(target)]
        say(job_matrix(rows, JobFormat(chosen.format), shards=1 if chosen.shards is None else chosen.shards))
        return 0
    if chosen.untried or chosen.shards is not None:
        raise UsageError("--untried and --shards need --format", hint="vmlab targets --format github")
    print_targets(lab.matrix, lab.store, lock_of(settings), chosen=lab.targets)
    return 0


def _symbols(chosen: argparse.Namespace, settings: Settings) -> int:
    lab = open_lab(settings)
    for target in lab.matrix.select(chosen.name):
        say(str(lab.testbed(target).vmlinux()))
    return 0
