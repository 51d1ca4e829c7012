# SPDX-License-Identifier: MIT
"""fibdrv built in other ways than a user's: as its test build, or from sources that a test has changed."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path

from vmlab.catalogue.target import Target
from vmlab.guest.guest import Guest
from vmlab.lab.lab import Lab
from vmlab.module.build import Built, build_module
from vmlab.module.build_root import GuestPlace, HostPlace, Place
from vmlab.module.source import read_source
from vmlab.settings import BuildPlace

FAULTS = "FIBDRV_FAULTS := y\n"
"""The first line of a Kbuild that makes the build whose allocations fail on order."""


def place_for(lab: Lab, target: Target, guest: Guest) -> Callable[[], Place]:
    """Where this run compiles for a target; in `guest` where it takes one."""
    image = lab.image(target)
    if lab.build_place(image) is BuildPlace.HOST:
        return lambda: HostPlace(image)
    return lambda: GuestPlace(guest)


def build_faulty(lab: Lab, target: Target, guest: Guest, directory: Path) -> Built:
    """The test build, from a copy of the module's sources below `directory`. Costs a build, or nothing from the
    cache."""
    copy = directory / lab.source.name
    for file in lab.source.files:
        (copy / file).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy2(lab.source.directory / file, copy / file)
    kbuild = copy / "Kbuild"
    kbuild.write_text(FAULTS + kbuild.read_text(encoding="utf-8"), encoding="utf-8")
    return build_module(
        read_source(copy),
        lab.image(target),
        place_for(lab, target, guest),
        lab.build_place(lab.image(target)),
        lab.store,
        policy=lab.settings.compiler,
        timeout_s=lab.limits(target).build_s,
    )
