# SPDX-License-Identifier: MIT
"""Cached packages of a store that others wrote to: apt gets only those with the digest of the mirror's index."""

from __future__ import annotations

import hashlib
import os
import stat
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from vmlab.image.downloads import OFFER

_NAME = "linux-image-6.1_6.1.2%2bdeb12-1_amd64.deb"
_CONTENT = b"package\n"


@pytest.fixture
def apt_get(tmp_path: Path) -> Path:
    """An apt-get that would fetch one package, and checks what it is asked."""
    program = tmp_path / "apt-get"
    digest = hashlib.sha256(_CONTENT).hexdigest()
    program.write_text(
        '#!/bin/sh\n[ "$*" = "install linux-image -qq -o Acquire::ForceHash=SHA256 --print-uris" ] || exit 1\n'
        f"echo \"'http://mirror.example/{_NAME}' {_NAME} {len(_CONTENT)} SHA256:{digest}\"\n"
        f"echo \"'http://mirror.example/other' other_1_all.deb 5 SHA256:{digest}\"\n"
    )
    program.chmod(stat.S_IRWXU)
    return program


def _offered(apt_get: Path, tmp_path: Path, make: Callable[[Path], object]) -> list[str]:
    """Return the names that apt is offered, of one cached package."""
    downloads, archives = tmp_path / "downloads", tmp_path / "archives"
    for directory in (downloads, archives):
        directory.mkdir()
    make(downloads / _NAME)

    subprocess.run(["sh", "-c", OFFER, "sh", downloads, archives, apt_get, "install", "linux-image"], check=True)

    assert not downloads.exists()
    return [path.name for path in archives.iterdir()]


def test_a_cached_package_with_the_digest_of_the_index_is_offered(apt_get: Path, tmp_path: Path) -> None:
    assert _offered(apt_get, tmp_path, lambda path: path.write_bytes(_CONTENT)) == [_NAME]


def _link(path: Path) -> None:
    (path.parent / "elsewhere").write_bytes(_CONTENT)
    path.symlink_to("elsewhere")


@pytest.mark.parametrize(
    "make",
    [
        pytest.param(lambda path: path.write_bytes(bytes(len(_CONTENT))), id="zeros-of-the-same-size"),
        pytest.param(lambda path: path.write_bytes(b""), id="empty"),
        pytest.param(_link, id="link-to-the-package"),
        pytest.param(os.mkfifo, id="fifo"),
        pytest.param(lambda path: path.mkdir(), id="directory"),
        pytest.param(lambda path: path.with_name("unlisted.deb").write_bytes(_CONTENT), id="unlisted"),
    ],
)
def test_any_other_file_is_not_offered(apt_get: Path, tmp_path: Path, make: Callable[[Path], object]) -> None:
    assert _offered(apt_get, tmp_path, make) == []
