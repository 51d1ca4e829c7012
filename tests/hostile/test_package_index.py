# SPDX-License-Identifier: MIT
"""Package indexes of a hostile mirror: versions and relations that dpkg would refuse are one line, at once."""

from __future__ import annotations

import time

import pytest
from unit.fakes import target

from vmlab.errors import AssetError
from vmlab.image.debian_index import version_key
from vmlab.image.kernel_line import Resolution, choose

_RELEASE = "6.1.0-56-cloud-amd64"
_TARGET = target("debian12-6.1")


def _index(*, version: str = "6.1.1-1", relation: str = "linux-kbuild-6.1 (>= 6.1)") -> str:
    return (
        f"Package: linux-image-{_RELEASE}\nVersion: {version}\n\n"
        f"Package: linux-headers-{_RELEASE}\nVersion: {version}\nDepends: {relation}\n\n"
        f"Package: linux-kbuild-6.1\nVersion: {version}\n"
    )


def _choose(text: str) -> Resolution:
    return choose(_TARGET, {"bookworm": text}, ())


@pytest.mark.parametrize(
    "version",
    [
        "",
        ":6.1",
        "x:6.1",
        "-1:6.1",
        "6.1 1",
        "6.1\u00b2-1",
        "\u0663:6.1",
        "9" * 10 + ":1",
        pytest.param("6." + "1" * 5000, id="digits"),
        pytest.param("6." + "a1" * 1_000_000, id="pieces"),
    ],
)
def test_an_invalid_version_is_refused_at_once(version: str) -> None:
    began = time.monotonic()

    with pytest.raises(AssetError, match="invalid version") as caught:
        version_key(version)
    with pytest.raises(AssetError):
        _choose(_index(version=version))

    assert time.monotonic() - began < 10
    assert len(str(caught.value)) < 500


def test_an_unknown_relation_is_refused() -> None:
    with pytest.raises(AssetError, match="invalid relation: '=='"):
        _choose(_index(relation="linux-kbuild-6.1 (== 6.1.1-1)"))


@pytest.mark.parametrize("relation", ["<", "<=", "=", ">=", ">"])
def test_the_old_signs_include_equality_as_for_dpkg(relation: str) -> None:
    text = _index(relation=f"linux-kbuild-6.1 ({relation} 6.1.1-1)")

    assert _choose(text).kernel.release == _RELEASE


def test_a_very_long_package_name_is_skipped_at_once() -> None:
    name = f"linux-headers-6.1.0{'.1' * 1_000_000}"
    began = time.monotonic()

    resolution = _choose(f"Package: {name}\nVersion: 1\n\n{_index()}")

    assert resolution.kernel.release == _RELEASE
    assert time.monotonic() - began < 10
