# SPDX-License-Identifier: MIT
"""fibdrv built in other ways than a user's: as its test build, or from sources that a test has changed."""

from __future__ import annotations

import shutil
from pathlib import Path

from vmlab.lab.testbed import Testbed
from vmlab.module.build import Built
from vmlab.module.source import read_source

FAULTS = "FIBDRV_FAULTS := y\n"
"""The first line of a Kbuild that makes the build whose allocations fail on order."""


def build_faulty(testbed: Testbed, directory: Path) -> Built:
    """The test build, from a copy of the module's sources below `directory`. Costs a build, or nothing from the
    cache."""
    source = testbed.run.source
    copy = directory / source.name
    for file in source.files:
        (copy / file).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy2(source.directory / file, copy / file)
    kbuild = copy / "Kbuild"
    kbuild.write_text(FAULTS + kbuild.read_text(encoding="utf-8"), encoding="utf-8")
    return testbed.build(read_source(copy))
