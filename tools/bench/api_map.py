# SPDX-License-Identifier: MIT
"""Limits of the map of API changes: a lookup in a fresh process' map, and the map of one kernel from its packages."""

from __future__ import annotations

import sys
import tempfile
import time
from pathlib import Path

from rows import Limit, Measured

from vmlab.api.data import MAP
from vmlab.api.explain import Question, Topic, explain
from vmlab.api.history import History
from vmlab.api.map_file import read_map
from vmlab.catalogue.matrix import catalogue_directory

sys.path.append(str(Path(__file__).parents[1]))

from apimap.archive import Archive, newest_kernels
from apimap.collect import Names, collect

_QUESTIONS = (
    Question(topic=Topic.FUNCTION, name="strlcpy", line="6.12"),
    Question(topic=Topic.CALL, name="class_create", line="6.12"),
    Question(topic=Topic.MEMBER_TYPE, name="remove", owner="platform_driver", line="6.12"),
    Question(topic=Topic.HEADER, name="asm/unaligned.h", line="7.3"),
    Question(topic=Topic.SYMBOL, name="usb_submit_urb", line="6.1", is_cloud=True),
    Question(topic=Topic.HEADER, name="linux/modul.h", line="6.1"),
)


def _lookup() -> Measured:
    """The slowest of several questions, each with a map of which nothing is unpacked yet."""
    slowest, name = 0.0, ""
    for question in _QUESTIONS:
        taken = []
        for _ in range(3):
            started = time.process_time()
            explain(question, History(read_map(catalogue_directory() / MAP)))
            taken.append((time.process_time() - started) * 1000)
        slowest, name = max((slowest, name), (min(taken), question.name))
    size_mb = (catalogue_directory() / MAP).stat().st_size / 1e6
    return Measured(value=slowest, conditions={"slowest": name, "map": f"{size_mb:.1f} MB"})


def _kernel() -> Measured:
    """The newest kernel that has headers; the download is not counted."""
    with tempfile.TemporaryDirectory(prefix="apimap.", dir="/var/tmp") as temporary:
        archive = Archive(Path(temporary) / "apt")
        kernel = [kernel for kernel in newest_kernels(archive.stanzas()) if kernel.headers][-1]
        debs = Path(temporary) / "debs"
        image, headers, cloud = (archive.download(part, debs) for part in (kernel.image, kernel.headers, kernel.cloud))
        started = time.monotonic()
        facts = collect(image, headers, cloud, known=Names())
        return Measured(
            value=time.monotonic() - started, conditions={"kernel": kernel.version, "facts": str(len(facts))}
        )


LIMITS = (
    Limit(name="API map lookup", limit=50, unit="ms", measure=_lookup),
    Limit(name="API map of a kernel", limit=10, unit="s", measure=_kernel),
)
