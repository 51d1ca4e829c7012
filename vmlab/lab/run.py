# SPDX-License-Identifier: MIT
"""A run: the state that all testbeds share."""

from __future__ import annotations

import contextlib
from functools import cached_property

from vmlab.catalogue.matrix import Matrix, load_matrix
from vmlab.catalogue.target import Architecture
from vmlab.context import Context
from vmlab.host.accelerator import qemu_version
from vmlab.klog.rules import Rules, known_rules, known_splats_file, load_rules
from vmlab.machine.accelerators import Accelerators
from vmlab.module.source import Source, none_named
from vmlab.module.tree.locate import read_module


class Run:
    """The context of a run, and the data that it reads once: matrix, module, rules. Cheap to make."""

    def __init__(self, context: Context) -> None:
        self.context = context
        self.settings = context.settings
        self.store = context.store
        self.held = contextlib.ExitStack()
        """Objects of the store that no other run may remove during this run."""

    @cached_property
    def matrix(self) -> Matrix:
        """The catalogue's targets and the user's; raises `UsageError` for an invalid row."""
        return load_matrix(own=self.settings.catalogue)

    @cached_property
    def source(self) -> Source:
        """The sources of the module's tree; raises `UsageError` if there are none, or no module was named."""
        settings = self.settings
        if settings.origin["module"] == "default" and not settings.module.is_dir():
            raise none_named(settings.module)
        return read_module(settings.module, name=settings.module_name, project=settings.stated)

    @cached_property
    def rules(self) -> Rules:
        """The rules that find splats in a kernel log: vmlab's, then the user's, which hide none of them."""
        own = self.settings.known_splats
        return load_rules(known_splats_file(), own) if own is not None else known_rules()

    def qemu_version(self, architecture: Architecture) -> str:
        """Return the version of the QEMU for an architecture; raises `HostError` if it is missing."""
        return qemu_version(architecture)

    @cached_property
    def accelerators(self) -> Accelerators:
        """The accelerators of this host, with their proofs."""
        return Accelerators(self.context, self.matrix, qemu_version=self.qemu_version)
