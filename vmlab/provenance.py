# SPDX-License-Identifier: MIT
"""What a result depended on: one record, attached to every result."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True, kw_only=True)
class Provenance:
    """What a target's results depended on."""

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
    """The publisher's image that it was made of, by name and digest; empty for one out of packages."""
    boot: str = ""
    """The boot of the guest that was measured in, which its forks share."""
    host: Mapping[str, str] = field(default_factory=dict)
    """The host that ran the guest: processor, cores, system; empty where nobody recorded it."""
