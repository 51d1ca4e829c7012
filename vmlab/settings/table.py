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
    """One declared setting: `parse` turns text into its value or raises `Invalid`."""

    name: str
    default: str
    parse: Callable[[str], Any]
    metavar: str
    help: str
    is_flag: bool = False
    """Its option takes no value: naming it says yes."""

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
        help="targets by exact glob, comma-separated: 'debian13-*', 'all'; default: the default matrix",
    ),
    Setting(
        name="module",
        default="fibdrv",
        parse=path,
        metavar="DIR",
        help="directory with the module's Kbuild file or Makefile",
    ),
    Setting(
        name="accel",
        default="auto",
        parse=one_of(AcceleratorChoice),
        metavar="auto|kvm|tcg",
        help="auto proves KVM and falls back to TCG with a reason; kvm demands it; tcg skips the question",
    ),
    Setting(
        name="build",
        default="auto",
        parse=one_of(BuildPlace),
        metavar="auto|host|guest",
        help="where to compile: in the guest, or with its compiler in its root file system on the host",
    ),
    Setting(
        name="compiler",
        default="refuse",
        parse=one_of(CompilerPolicy),
        metavar="refuse|waive",
        help="what to do when only another version than the kernel's own compiler is there",
    ),
    Setting(name="memory_mib", default="1024", parse=between(256, 65536, int), metavar="MIB", help="memory of a guest"),
    Setting(name="cpus", default="2", parse=between(1, 64, int), metavar="N", help="processors of a guest"),
    Setting(
        name="timing",
        default="auto",
        parse=one_of(TimingChoice),
        metavar="auto|pmu|emulated-pmu|icount|clock",
        help="what counts in timing tests; auto takes the best that is proved to count, any other is demanded",
    ),
    Setting(
        name="patience",
        default="1",
        parse=between(0.1, 100, float),
        metavar="FACTOR",
        help="multiplies every time limit: raise it on a slow or busy host",
    ),
    Setting(
        name="store",
        default=platformdirs.user_cache_dir("vmlab"),
        parse=path,
        metavar="DIR",
        help="where images and builds are cached",
    ),
    Setting(
        name="store_gib",
        default="auto",
        parse=budget,
        metavar="GIB",
        help="what the store may take; the least recently used goes first. auto: 3/4 of what it has and is free",
    ),
    Setting(
        name="shared_store",
        default="",
        parse=optional_directory,
        metavar="DIR",
        help="a store that is only read, by many hosts at once: what it has is not made again in --vmlab-store",
    ),
    Setting(
        name="shard",
        default="",
        parse=optional_shard,
        metavar="I/N",
        help="run one of N parts of the run that take the same time: 3/8; `vmlab report merge` joins their results",
    ),
    Setting(
        name="durations",
        default="",
        parse=optional_path,
        metavar="FILE",
        help="what tests took, to make shards equal by: a results.json, or what `vmlab report durations` wrote",
    ),
    Setting(
        name="keep",
        default="no",
        parse=yes_or_no,
        metavar="yes|no",
        help="leave the guest of a failing test running, and say how to get in; `vmlab reap` ends it",
        is_flag=True,
    ),
    Setting(
        name="known_splats",
        default="",
        parse=optional_path,
        metavar="FILE",
        help="a TOML file of your own with [[allow]] and [[deny]] rules, besides vmlab's known-splats.toml",
    ),
    Setting(
        name="dump",
        default="no",
        parse=yes_or_no,
        metavar="yes|no",
        help="dump the memory of a guest that hangs, for drgn, into dumps/ of the report directory",
        is_flag=True,
    ),
    Setting(
        name="report",
        default="build/vmlab",
        parse=path,
        metavar="DIR",
        help="where results, JUnit XML and console logs go",
    ),
    Setting(
        name="mirror",
        default="",
        parse=str,
        metavar="URL",
        help="Debian mirror; default: the host's own if it is a Debian, else mmdebstrap's",
    ),
    Setting(
        name="stale_index",
        default="refuse",
        parse=one_of(StaleIndex),
        metavar="refuse|accept",
        help="whether a mirror may serve an index that has expired, as a frozen one does",
    ),
    Setting(
        name="catalogue",
        default="",
        parse=optional_path,
        metavar="DIR",
        help="a directory with targets/*.toml of your own, whose rows stand beside vmlab's, and their lock.toml",
    ),
    Setting(
        name="lock",
        default="",
        parse=optional_path,
        metavar="FILE",
        help="which files of their publishers cloud images are; default: lock.toml in your catalogue, else a "
        "checkout's images/lock.toml, else vmlab/lock.toml in your configuration directory",
    ),
    Setting(
        name="index_days",
        default="7",
        parse=between(0, 3650, float),
        metavar="DAYS",
        help="how long a kernel line stays resolved to one version before the index is asked again",
    ),
)
