# SPDX-License-Identifier: MIT
"""Other builds of fibdrv: the fault-injection build, or one from sources that a test changed."""

from __future__ import annotations

import shutil
from pathlib import Path

from vmlab.lab.testbed import Testbed
from vmlab.module.build import Built
from vmlab.module.source import read_source

FAULTS = "FIBDRV_FAULTS := y\n"
"""First line of a Kbuild that enables the fault-injection build."""


def build_faulty(testbed: Testbed, directory: Path) -> Built:
    """The fault-injection build, from a copy of the module's sources below `directory`. Cost: a build, or nothing when
    cached."""
    source = testbed.run.source
    copy = directory / source.name
    for file in source.files:
        (copy / file).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy2(source.directory / file, copy / file)
    kbuild = copy / "Kbuild"
    kbuild.write_text(FAULTS + kbuild.read_text(encoding="utf-8"), encoding="utf-8")
    return testbed.build(read_source(copy))
