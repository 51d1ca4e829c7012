# SPDX-License-Identifier: MIT
"""The declarations of all settings."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import platformdirs

from vmlab.settings.parse import (
    between,
    budget,
    mirror,
    one_of,
    optional_directory,
    optional_path,
    optional_shard,
    path,
    yes_or_no,
)
from vmlab.settings.words import AcceleratorChoice, BuildPlace, CompilerPolicy, StaleIndex, TimingChoice


@dataclass(frozen=True, slots=True, kw_only=True)
class Setting:
    """Declaration of a setting: `parse` turns text into its value or raises `Invalid`."""

    name: str
    default: str
    parse: Callable[[str], Any]
    metavar: str
    help: str
    is_flag: bool = False
    """True if the option takes no value: giving it means yes."""
    is_personal: bool = False
    """True if a project's pyproject.toml may not give it: it decides which files and archives this user trusts, or
    which directories outside of the project are written."""

    @property
    def option(self) -> str:
        return f"--vmlab-{self.name.replace('_', '-')}"

    @property
    def variable(self) -> str:
        return f"VMLAB_{self.name.upper()}"


SETTINGS: tuple[Setting, ...] = (
    Setting(
        name="target",
        default="",
        parse=str,
        metavar="GLOBS",
        help="target ids or globs ('debian13-*'), comma-separated, or one of the words default, packages, cloud, all; "
        "+strict or +kfence after any of them changes its boot: 'default+strict'",
    ),
    Setting(
        name="module",
        default="fibdrv",
        parse=path,
        metavar="DIR[:NAME]",
        help="directory with the module's Kbuild file, Makefile or dkms.conf, and the name of one module if it makes "
        "several",
    ),
    Setting(
        name="accel",
        default="auto",
        parse=one_of(AcceleratorChoice),
        metavar="auto|kvm|tcg",
        help="auto uses KVM if it is proved to work, else TCG; kvm fails without KVM; tcg never uses KVM",
    ),
    Setting(
        name="build",
        default="auto",
        parse=one_of(BuildPlace),
        metavar="auto|host|guest",
        help="where to build: in the guest, or on the host with the target's compiler; auto: in the guest under KVM",
    ),
    Setting(
        name="compiler",
        default="refuse",
        parse=one_of(CompilerPolicy),
        metavar="refuse|waive",
        help="if the kernel's compiler version is missing: refuse fails, waive builds with another version",
    ),
    Setting(name="memory_mib", default="1024", parse=between(256, 65536, int), metavar="MIB", help="memory per guest"),
    Setting(name="cpus", default="2", parse=between(1, 64, int), metavar="N", help="processors per guest"),
    Setting(
        name="timing",
        default="auto",
        parse=one_of(TimingChoice),
        metavar="auto|pmu|emulated-pmu|icount|clock",
        help="timing source; auto uses the best one that is proved to count, any other is required",
    ),
    Setting(
        name="patience",
        default="1",
        parse=between(0.1, 100, float),
        metavar="FACTOR",
        help="multiply every timeout; raise it on a slow or busy host",
    ),
    Setting(
        name="store",
        default=platformdirs.user_cache_dir("vmlab"),
        parse=path,
        metavar="DIR",
        help="cache directory of images, builds and snapshots",
        is_personal=True,
    ),
    Setting(
        name="store_gib",
        default="auto",
        parse=budget,
        metavar="GIB",
        help="size limit of the store; removes least recently used objects. auto: 3/4 of its size and the free space",
        is_personal=True,
    ),
    Setting(
        name="shared_store",
        default="",
        parse=optional_directory,
        metavar="DIR",
        help="read-only store shared by hosts; its objects are used instead of building them in --vmlab-store",
        is_personal=True,
    ),
    Setting(
        name="shard",
        default="",
        parse=optional_shard,
        metavar="I/N",
        help="run part I of N parts of equal duration, such as 3/8; `vmlab report merge` merges the results",
    ),
    Setting(
        name="durations",
        default="",
        parse=optional_path,
        metavar="FILE",
        help="recorded test durations, to balance shards: a results.json, or a file from `vmlab report durations`",
    ),
    Setting(
        name="keep",
        default="no",
        parse=yes_or_no,
        metavar="yes|no",
        help="keep the guest of a failing test running and print how to enter it; `vmlab reap` ends it",
        is_flag=True,
    ),
    Setting(
        name="known_splats",
        default="",
        parse=optional_path,
        metavar="FILE",
        help="TOML file with [[allow]] and [[deny]] rules, in addition to vmlab's known-splats.toml",
    ),
    Setting(
        name="dump",
        default="no",
        parse=yes_or_no,
        metavar="yes|no",
        help="dump the memory of a hanging guest, for drgn, into dumps/ of the report directory",
        is_flag=True,
    ),
    Setting(
        name="network",
        default="no",
        parse=yes_or_no,
        metavar="yes|no",
        help="give all guests a network: they reach the host's 127.0.0.1 and all that the host reaches; without this "
        "setting only tests marked `network` have one",
        is_flag=True,
    ),
    Setting(
        name="report",
        default="build/vmlab",
        parse=path,
        metavar="DIR",
        help="directory for results, JUnit XML and console logs",
    ),
    Setting(
        name="mirror",
        default="",
        parse=mirror,
        metavar="URL",
        help="Debian mirror, http://[USER:PASSWORD@]HOST/PATH; default: the host's mirror on Debian, else mmdebstrap's "
        "default",
        is_personal=True,
    ),
    Setting(
        name="stale_index",
        default="refuse",
        parse=one_of(StaleIndex),
        metavar="refuse|accept",
        help="policy for an expired package index, such as a frozen mirror's",
        is_personal=True,
    ),
    Setting(
        name="catalogue",
        default="",
        parse=optional_path,
        metavar="DIR",
        help="directory with targets/*.toml, added to vmlab's targets, and their lock.toml",
        is_personal=True,
    ),
    Setting(
        name="lock",
        default="",
        parse=optional_path,
        metavar="FILE",
        help="lock file of cloud images; default: lock.toml in --vmlab-catalogue, else images/lock.toml of a checkout, "
        "else vmlab/lock.toml in your configuration directory",
        is_personal=True,
    ),
    Setting(
        name="index_days",
        default="7",
        parse=between(0, 3650, float),
        metavar="DAYS",
        help="days until the package index is queried again for the version of a kernel line",
    ),
)
