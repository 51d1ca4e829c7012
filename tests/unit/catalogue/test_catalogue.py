# SPDX-License-Identifier: MIT
"""Rows of cloud images: required rows, and forbidden contents."""

from __future__ import annotations

import re
from pathlib import Path
from urllib.parse import urlsplit

import pytest

from vmlab.catalogue.cloud_image import CloudImage, Firmware
from vmlab.catalogue.matrix import Matrix, catalogue_directory, load_matrix
from vmlab.catalogue.target import NEWEST, Architecture, Target
from vmlab.cloud.lock import is_name, read_lock
from vmlab.errors import UsageError
from vmlab.report.listing import print_targets
from vmlab.store.store import Store

_MATRIX = load_matrix()
_CLOUD = [target for target in _MATRIX.targets if target.cloud is not None]


def _image(target: Target) -> CloudImage:
    assert target.cloud is not None
    return target.cloud.image


@pytest.mark.parametrize(
    "name",
    [
        "debian11-cloudimg-5.10",
        "debian12-cloudimg-6.1",
        "debian13-cloudimg-6.12",
        "sid-cloudimg-newest",
        "ubuntu20.04-5.15",
        "ubuntu22.04-5.15",
        "ubuntu22.04-6.8",
        "ubuntu24.04-6.8",
        "ubuntu26.04-7.0",
        "fedora44-newest",
        "fedora45-newest",
        "almalinux8-4.18",
        "almalinux9-5.14",
        "almalinux10-6.12",
        "opensuse-leap16.0-6.12",
        "opensuse-leap16.1-6.12",
        "opensuse-tumbleweed-newest",
    ],
)
def test_what_users_run_is_there_for_both_architectures(name: str) -> None:
    found = _MATRIX.select(f"{name},{name}-arm64")
    assert [target.architecture for target in found] == list(Architecture)
    amd64, arm64 = map(_image, found)
    assert (amd64.firmware, arm64.firmware) == (Firmware.BIOS, Firmware.UEFI)
    assert amd64.user == arm64.user


def test_a_kernel_older_than_fibdrv_supports_is_for_other_modules() -> None:
    without = {target.id for target in _MATRIX.targets if not target.has_fibdrv}
    assert without == {"almalinux8-4.18", "almalinux8-4.18-arm64"}


def test_the_kernel_of_another_compiler_names_it() -> None:
    (hwe,) = _MATRIX.select("ubuntu22.04-6.8")
    (ga,) = _MATRIX.select("ubuntu22.04-5.15")
    assert _image(hwe) == _image(ga)
    assert hwe.cloud is not None
    assert (hwe.cloud.kernel, hwe.cloud.compiler) == ("linux-image-virtual-hwe-22.04", "gcc-12")


def test_every_image_comes_encrypted_from_its_publisher_and_is_what_its_id_says() -> None:
    found = {_image(target).id: target for target in _CLOUD}
    assert len(found) == len(_MATRIX.images) > 30
    for target in found.values():
        _check(_image(target), target)


def _check(image: CloudImage, target: Target) -> None:
    for url in (*image.urls, *image.checksums):
        parts = urlsplit(url)
        assert (parts.scheme, parts.query, parts.fragment) == ("https", "", "")
        assert parts.hostname is not None
        assert target.suite.distribution in parts.hostname, "another than the distribution's own host"
        directory, _, name = parts.path.rpartition("/")
        assert is_name(name.replace("*", ""))
        assert "*" not in directory
    architecture = image.id.rpartition("-")[2]
    words = {"amd64": r"amd64|x86_64", "arm64": r"arm64|aarch64"}
    assert all(re.search(words[architecture], url) for url in image.urls)
    assert bool(image.signature) == bool(image.keyrings)
    assert target.architecture == architecture


def test_no_row_claims_to_have_been_tried_that_is_not_locked() -> None:
    locked = read_lock(catalogue_directory() / "lock.toml").rows
    assert [image.id for image in _MATRIX.images if image.is_tried and image.id not in locked] == []


def test_none_is_in_the_default_matrix_or_taken_by_accident() -> None:
    assert all(target.cloud is None for target in _MATRIX.select("default,debian12-*,packages"))
    assert all(target.cloud is not None for target in _MATRIX.select("cloud,debian12-cloudimg-*"))
    assert set(_MATRIX.select("all")) == set(_MATRIX.select("packages,cloud"))


def test_the_list_says_what_was_never_tried_and_what_is_not_locked(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    print_targets(_MATRIX, Store(tmp_path), read_lock(tmp_path / "lock.toml"), chosen=())
    text = capsys.readouterr().out
    rows = {line.split()[0]: line for line in text.splitlines() if line.startswith(" ") and line.split()}
    assert "as shipped" in rows["ubuntu24.04-6.8"]
    assert "not locked: ubuntu24.04-amd64" in rows["ubuntu24.04-6.8"]
    assert "never tried" in rows["ubuntu24.04-6.8"]
    assert "not for fibdrv" in rows["almalinux8-4.18"]
    assert "never tried" not in rows["debian12-6.1"]
    assert "never tried: no guest was booted from the publisher's image yet" in text
    assert "not locked: `vmlab images lock TARGET`" in text


_SUITE = '[[suite]]\nid = "noble"\ndistribution = "ubuntu"\ncodename = "noble"\n'
_IMAGE = """[[image]]
id = "noble-amd64"
urls = ["https://cloud.example/noble.img"]
checksums = ["https://cloud.example/SHA256SUMS"]
algorithm = "sha256"
firmware = "bios"
user = "ubuntu"
package_manager = "apt"
"""
_TARGET = """[[target]]
id = "noble-newest"
suite = "noble"
line = "newest"
image = "noble-amd64"
headers = "linux-headers-{release}"
"""


def _load(directory: Path, text: str) -> Matrix:
    (directory / "targets").mkdir()
    (directory / "targets" / "test.toml").write_text(text)
    return load_matrix(directory)


def test_a_row_of_ones_own_needs_no_more_than_this(tmp_path: Path) -> None:
    (target,) = _load(tmp_path, _SUITE + _IMAGE + _TARGET).targets
    assert target.cloud is not None
    assert (target.line, target.cloud.kernel, target.cloud.image.is_tried) == (NEWEST, "", False)


@pytest.mark.parametrize(
    ("before", "after", "told"),
    [
        (
            'image = "noble-amd64"\n',
            'image = "nobel-amd64"\n',
            "unknown image 'nobel-amd64' (did you mean 'noble-amd64'?)",
        ),
        ('headers = "linux-headers-{release}"\n', "", "a target with an image needs headers"),
        ('image = "noble-amd64"\n', "", "kernel, headers and compiler need an image"),
        ('checksums = ["https://cloud.example/SHA256SUMS"]', "checksums = []", "urls and checksums differ in number"),
        ('"sha256"', '"md5"', "algorithm: unknown word 'md5'"),
        ('"bios"', '"uboot"', "firmware: unknown word 'uboot'"),
        ('"apt"', '"pacman"', "package_manager: unknown word 'pacman'"),
        ('user = "ubuntu"\n', "", "user: this key is missing"),
    ],
)
def test_a_mistake_in_a_row_is_told(tmp_path: Path, before: str, after: str, told: str) -> None:
    text = _SUITE + _IMAGE + _TARGET
    assert before in text
    with pytest.raises(UsageError) as caught:
        _load(tmp_path, text.replace(before, after))
    assert told in caught.value.one_line
