# SPDX-License-Identifier: MIT
"""`vmlab describe` and `vmlab init`."""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from typing import TYPE_CHECKING

from vmlab.commands.command_line import Commands
from vmlab.commands.open_lab import open_lab
from vmlab.settings import Settings, split_module
from vmlab.system.output import say, warn

if TYPE_CHECKING:
    from vmlab.module.source import Source
    from vmlab.module.tree.description import Description

_SHOWN = ("target", "build", "accel")


def add_commands(commands: Commands) -> None:
    """Add the commands."""
    describe = commands.add(
        "describe",
        _describe,
        "print what vmlab understands of a module's tree, and where each fact comes from",
        settings=_SHOWN,
    )
    describe.add_argument("directory", metavar="DIR", help="any directory of the tree")
    describe.add_argument("--json", action="store_true", help="print one JSON object")
    init = commands.add(
        "init",
        _init,
        "write a vmlab.toml and a first test for a module, from what its tree tells; overwrites nothing",
        settings=_SHOWN,
    )
    init.add_argument("directory", metavar="DIR", help="the module's directory")


def _describe(chosen: argparse.Namespace, settings: Settings) -> int:
    from vmlab.module.tree.report import description_lines, plain_description

    source, description = _understood(chosen.directory, settings)
    if chosen.json:
        say(json.dumps(plain_description(source, description), indent=2))
    else:
        for line in description_lines(source, description):
            say(line)
    return 0


def _init(chosen: argparse.Namespace, settings: Settings) -> int:
    from vmlab.module.tree.starter import starter_files, write_new

    source, description = _understood(chosen.directory, settings)
    place = Path(split_module(chosen.directory)[0])
    for path, text in starter_files(place, source, description).items():
        if write_new(path, text):
            say(f"wrote {path}")
        else:
            warn(f"{path} exists and was left as it is")
    say(f"next: vmlab describe {place}, then pytest {place}/tests --vmlab-module {place}")
    return 0


def _understood(text: str, settings: Settings) -> tuple[Source, Description]:
    """Describe a tree from its files; what they leave unclear is asked where the first target's modules are built."""
    from vmlab.module.tree.locate import described, read_module

    directory, name = split_module(text)
    source = read_module(Path(directory), name=name, project=settings.stated)
    description = described(source)
    if not description.unclear:
        return source, description
    lab = open_lab(settings)
    target = lab.targets[0]
    warn(f"note: {len(description.unclear)} lines are asked of bash and make, in a build's confinement on {target.id}")
    return source, lab.testbed(target).describe(source)
