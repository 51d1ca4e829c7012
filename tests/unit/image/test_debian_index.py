# SPDX-License-Identifier: MIT
"""The version of a kernel line that the index offers: the newest complete one."""

from __future__ import annotations

import pytest

from unit.fakes import target
from vmlab.errors import AssetError
from vmlab.image.debian_index import Package, newest_kernel, parse_packages


def _kernel(release: str, version: str, *, parts: str = "ihk", kbuild: str | None = None) -> list[Package]:
    """Index entries of image, headers and kbuild; `kbuild` is the headers' dependency."""
    line = ".".join(release.split(".")[:2])
    name = f"linux-kbuild-{line}"
    rows = {
        "i": Package(name=f"linux-image-{release}", version=version),
        "h": Package(
            name=f"linux-headers-{release}",
            version=version,
            depends=f"linux-headers-{release}-common (= {version}), {kbuild or f'{name} (>= {version})'}, gcc-12",
        ),
        "k": Package(name=name, version=version),
    }
    common = Package(name=f"linux-headers-{release}-common", version=version)
    return [rows[part] for part in parts] + [common]


PACKAGES = """\
Package: linux-image-6.1.0-56-cloud-amd64
Source: linux-signed-amd64 (6.1.170+1)
Version: 6.1.170-1
Depends: kmod, linux-base (>= 4.3~)
Description: Linux 6.1 for x86-64 cloud
 with a second line: Version: 9

Package: linux-headers-6.1.0-56-cloud-amd64
Version: 6.1.170-1
Depends: linux-kbuild-6.1 (>= 6.1.170-1), linux-compiler-gcc-12-x86

Package: linux-kbuild-6.1
Version: 6.1.170-1

Package: linux-doc-6.1
Version: 6.1.170-1

Package: make
Version: 4.3-4.1

Package: makedev
Version: 1"""


def test_a_packages_file_gives_the_kernels_rows_and_those_asked_for() -> None:
    rows = {row.name: row for row in parse_packages(PACKAGES, ["make"])}
    assert set(rows) == {
        "linux-image-6.1.0-56-cloud-amd64",
        "linux-headers-6.1.0-56-cloud-amd64",
        "linux-kbuild-6.1",
        "make",
    }
    assert rows["linux-image-6.1.0-56-cloud-amd64"].version == "6.1.170-1"
    assert rows["linux-headers-6.1.0-56-cloud-amd64"].depends.startswith("linux-kbuild-6.1 (>= 6.1.170-1), ")


def test_files_that_were_joined_are_read_to_the_end() -> None:
    joined = PACKAGES + "\n\n\n" + PACKAGES.replace("6.1.170", "6.1.171")
    assert sum(row.name == "linux-kbuild-6.1" for row in parse_packages(joined)) == 2


def test_an_empty_index_gives_nothing() -> None:
    assert list(parse_packages("")) == []


def test_the_kernel_names_all_that_is_to_be_installed() -> None:
    kernel = newest_kernel(target("debian12-6.1"), parse_packages(PACKAGES))
    assert kernel.release == "6.1.0-56-cloud-amd64"
    assert kernel.version == "6.1.170-1"
    assert kernel.image == "linux-image-6.1.0-56-cloud-amd64"
    assert kernel.headers == "linux-headers-6.1.0-56-cloud-amd64"


def test_the_newest_is_chosen_by_version_and_not_by_spelling() -> None:
    packages = [
        *_kernel("6.1.0-9-cloud-amd64", "6.1.27-1"),
        *_kernel("6.1.0-56-cloud-amd64", "6.1.170-1"),
        *_kernel("6.1.0-57-cloud-amd64", "6.1.170-1~deb12u1"),
    ]
    assert newest_kernel(target("debian12-6.1"), packages).release == "6.1.0-56-cloud-amd64"


@pytest.mark.parametrize("missing", ["ik", "hk", "ih"])
def test_a_kernel_that_is_not_whole_is_passed_over(missing: str) -> None:
    packages = [
        *_kernel("7.2.6+deb13-cloud-amd64", "7.2.6-1~bpo13+1"),
        *_kernel("7.2.9+deb13-cloud-amd64", "7.2.9-1~bpo13+1", parts=missing),
    ]
    assert newest_kernel(target("debian13-7.2"), packages).release == "7.2.6+deb13-cloud-amd64"


def test_an_image_of_another_version_than_its_headers_does_not_count() -> None:
    newer = _kernel("6.1.0-57-cloud-amd64", "6.1.180-1", parts="hk")
    stale = Package(name="linux-image-6.1.0-57-cloud-amd64", version="6.1.179-1")
    packages = [*_kernel("6.1.0-56-cloud-amd64", "6.1.170-1"), *newer, stale]
    assert newest_kernel(target("debian12-6.1"), packages).release == "6.1.0-56-cloud-amd64"


@pytest.mark.parametrize(
    ("relation", "is_satisfied"),
    [
        ("linux-kbuild-6.1 (>= 6.1.170-1)", True),
        ("linux-kbuild-6.1 (>= 6.1.170-2)", False),
        ("linux-kbuild-6.1 (= 6.1.170-1)", True),
        ("linux-kbuild-6.1 (= 6.1.170-1~bpo12+1)", False),
        ("linux-kbuild-6.1 (<< 6.1.170-1)", False),
        ("linux-kbuild-6.1 (<= 6.1.170-1)", True),
        ("linux-kbuild-6.1 (>> 6.1.169-1)", True),
        ("linux-kbuild-6.1:amd64 (>= 6.1.170-1)", True),
        ("linux-kbuild-6.1", True),
        ("linux-kbuild-6.2", False),
        ("linux-kbuild-6.2 | linux-kbuild-6.1", True),
        ("some-library (>= 99)", True),
    ],
)
def test_the_headers_need_their_kbuild_in_the_version_they_say(*, relation: str, is_satisfied: bool) -> None:
    packages = _kernel("6.1.0-56-cloud-amd64", "6.1.170-1", kbuild=relation)
    if is_satisfied:
        assert newest_kernel(target("debian12-6.1"), packages).version == "6.1.170-1"
    else:
        with pytest.raises(AssetError, match=r"no kernel of line 6\.1 \(cloud\)"):
            newest_kernel(target("debian12-6.1"), packages)


def test_a_line_that_is_gone_lists_the_lines_that_are_there_whole() -> None:
    packages = [
        *_kernel("6.12.117+deb13-cloud-amd64", "6.12.117-1"),
        *_kernel("6.5.3+deb13-cloud-amd64", "6.5.3-1"),
        *_kernel("6.16.1+deb13-cloud-amd64", "6.16.1-1~bpo13+1", parts="i"),
        *_kernel("7.9.1+deb13-amd64", "7.9.1-1~bpo13+1"),
        *_kernel("7.8.1+deb13-rt-amd64", "7.8.1-1~bpo13+1"),
    ]
    with pytest.raises(AssetError, match=r"no kernel of line 7\.3") as caught:
        newest_kernel(target("debian13-7.3"), packages)
    assert "trixie-backports" in caught.value.message
    assert caught.value.hint == "available lines: 6.5, 6.12"
    with pytest.raises(AssetError) as caught:
        newest_kernel(target("debian13-7.3-generic"), packages)
    assert caught.value.hint == "available lines: 7.9"


def test_an_index_without_kernels_says_none() -> None:
    with pytest.raises(AssetError, match="available lines: none"):
        newest_kernel(target("debian13-7.3"), [])
