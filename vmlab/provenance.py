# SPDX-License-Identifier: MIT
"""The provenance of a result: a record of everything that it depends on."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True, kw_only=True)
class Provenance:
    """Everything that a target's results depend on."""

    release: str
    kernel_package: str
    image: str
    """Digest of the image."""
    qemu: str
    accelerator: str
    accelerator_reason: str
    cpu_model: str
    cpus: int
    memory_mib: int
    timing_source: str
    kernel_compiler: str = ""
    compiler: str = ""
    compiler_match: str = ""
    build_place: str = ""
    cloud_image: str = ""
    """Name and digest of the publisher's image it was made from; empty for an image made from packages."""
    boot: str = ""
    """Boot id of the guest in which a measurement was taken; its forks share it."""
    host: Mapping[str, str] = field(default_factory=dict)
    """Host that ran the guest: processor, cores, system; empty if it was not recorded."""
