# SPDX-License-Identifier: MIT
"""Builds of small modules on the default targets, confined as all builds are. Missing images are made first."""

from __future__ import annotations

import functools
import tempfile
from collections.abc import Mapping
from pathlib import Path

from vmlab.catalogue.target import Target
from vmlab.commands.open_lab import open_lab
from vmlab.image.image import Image
from vmlab.lab.lab import Lab
from vmlab.module.build import find_compiler, make_command
from vmlab.module.build_root import Outcome
from vmlab.module.compiler import kernel_compiler
from vmlab.module.source import read_source
from vmlab.settings import load_settings

ROOT = Path(__file__).parents[2]
TIMEOUT_S = 600
START = '#include <linux/module.h>\nMODULE_LICENSE("GPL");\nMODULE_DESCRIPTION("snippet");\n'
"""Beginning of each snippet, so that modpost has nothing to say about it."""


class Workshop:
    """The default targets, and a build of given files on each."""

    def __init__(self) -> None:
        """Open a lab with the user's settings."""
        self._lab: Lab = open_lab(load_settings({}, directory=ROOT))

    @functools.cached_property
    def targets(self) -> Mapping[str, Target]:
        """Default targets by id."""
        return {target.id: target for target in self._lab.targets}

    @functools.cache  # noqa: B019 - one workshop a process
    def image(self, target_id: str) -> Image:
        """Return a target's image; made if the store lacks it."""
        return self._lab.testbed(self.targets[target_id]).image

    def build(self, target_id: str, name: str, files: Mapping[str, str], *, keep_going: bool = False) -> Outcome:
        """Build a module from files by name, and return status and output of make."""
        image = self.image(target_id)
        with tempfile.TemporaryDirectory(prefix="snippet.", dir="/var/tmp") as temporary:
            tree = Path(temporary) / name
            for file, text in files.items():
                (tree / file).parent.mkdir(parents=True, exist_ok=True)
                (tree / file).write_text(text, encoding="utf-8", newline="")
            with self._lab.testbed(self.targets[target_id]).place() as place:
                config = f"/lib/modules/{image.release}/build/.config"
                text = place.run(f"grep -h CONFIG_CC_VERSION_TEXT {config}", timeout_s=TIMEOUT_S).output
                kernel = kernel_compiler(text)
                found = find_compiler(kernel, image.architecture, place, timeout_s=TIMEOUT_S)
                source = read_source(tree)
                place.put_tree(source, source.build_name)
                command = make_command(source.build_name, image.release, kernel, found)
                return place.run(command.replace("make ", "make -k ") if keep_going else command, timeout_s=TIMEOUT_S)
