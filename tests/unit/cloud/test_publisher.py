# SPDX-License-Identifier: MIT
"""A publisher's offer is found through its list, also when file names have a build number."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator

import publisher as faults
import pytest
from publisher import Publisher, checksum_list

from unit.cloud.offers import LIST, NAME, PATH, Waits, image_at, qcow2
from vmlab.catalogue.cloud_image import CloudImage
from vmlab.cloud.http import Web
from vmlab.cloud.publisher import look
from vmlab.errors import AssetError

DIRECTORY = "/releases/44/Cloud/x86_64/images"
_PAGE = """<html><body><h1>Index of /pub</h1><a href="../">Parent Directory</a>
<a href="Fedora-Cloud-44-1.9-x86_64-CHECKSUM">one</a> <a href="/x/Fedora-Cloud-44-1.10-x86_64-CHECKSUM?raw=1">two</a>
<a href="Fedora-Cloud-44-1.10-aarch64-CHECKSUM">other</a></body></html>"""


@pytest.fixture
def publisher() -> Iterator[Publisher]:
    with Publisher() as publisher:
        yield publisher


def _fedora(publisher: Publisher) -> CloudImage:
    return dataclasses.replace(
        image_at(publisher),
        id="fedora44-amd64",
        urls=(publisher.url(f"{DIRECTORY}/Fedora-Cloud-Base-Generic-44-*.x86_64.qcow2"),),
        checksums=(publisher.url(f"{DIRECTORY}/Fedora-Cloud-44-*-x86_64-CHECKSUM"),),
    )


def test_a_builds_number_is_learned_from_the_directory_and_the_list(publisher: Publisher) -> None:
    old, new = qcow2(seed=3), qcow2(seed=4)
    publisher.offer(f"{DIRECTORY}/", _PAGE.encode())
    name = "Fedora-Cloud-Base-Generic-44-1.10.x86_64.qcow2"
    rows = {"Fedora-Cloud-Base-Generic-44-1.9.x86_64.qcow2": old, name: new, "Fedora-Cloud-Base-AWS-44-1.10.raw": old}
    publisher.offer(f"{DIRECTORY}/Fedora-Cloud-44-1.10-x86_64-CHECKSUM", checksum_list(rows, style="bsd"))
    publisher.offer(f"{DIRECTORY}/{name}", new)
    row = look(_fedora(publisher), Web(pause=Waits()))
    assert (row.id, row.name, row.size_bytes) == ("fedora44-amd64", name, len(new))
    assert row.digest == checksum_list({name: new}).decode().split()[0]
    assert [asked.method for asked in publisher.asked] == ["GET", "GET", "HEAD"], "the image is not fetched"


def test_a_directory_without_the_list_is_told(publisher: Publisher) -> None:
    publisher.offer(f"{DIRECTORY}/", b"<html><a href='other'>other</a></html>")
    with pytest.raises(AssetError, match=r"fedora44-amd64: .*/images/ lists no 'Fedora-Cloud-44-\*-x86_64-CHECKSUM"):
        look(_fedora(publisher), Web(pause=Waits()))


def test_a_list_that_names_nothing_like_it_is_told(publisher: Publisher) -> None:
    publisher.offer(f"{DIRECTORY}/", _PAGE.encode())
    publisher.offer(f"{DIRECTORY}/Fedora-Cloud-44-1.10-x86_64-CHECKSUM", checksum_list({"a/b": b"x", "c": b"y"}))
    with pytest.raises(AssetError, match=r"does not list 'Fedora-Cloud-Base-Generic-44-\*.*it lists a/b, c"):
        look(_fedora(publisher), Web(pause=Waits()))


def test_a_file_that_is_empty_is_not_locked(publisher: Publisher) -> None:
    publisher.offer(PATH, b"")
    publisher.offer(LIST, checksum_list({NAME: b""}))
    with pytest.raises(AssetError, match="is empty"):
        look(image_at(publisher), Web(pause=Waits()))


@pytest.mark.parametrize(
    "name", ["44-1;rm.x86_64.qcow2", "44-../../1.x86_64.qcow2", "44- 1.x86_64.qcow2", "44-€.x86_64.qcow2"]
)
def test_a_name_that_is_none_is_not_taken_from_a_list(publisher: Publisher, name: str) -> None:
    publisher.offer(f"{DIRECTORY}/", _PAGE.encode())
    rows = checksum_list({f"Fedora-Cloud-Base-Generic-{name}": b"x"})
    publisher.offer(f"{DIRECTORY}/Fedora-Cloud-44-1.10-x86_64-CHECKSUM", rows)
    with pytest.raises(AssetError, match="does not list 'Fedora"):
        look(_fedora(publisher), Web(pause=Waits()))


@pytest.mark.parametrize(
    "fault",
    [faults.status(405), faults.without_length()],
    ids=["HEAD is refused", "HEAD tells no length"],
)
def test_a_size_that_head_does_not_tell_is_asked_otherwise(publisher: Publisher, fault: faults.Answer) -> None:
    content = qcow2()
    publisher.offer(PATH, content)
    publisher.offer(LIST, checksum_list({NAME: content}))
    publisher.order(PATH, fault)
    assert look(image_at(publisher), Web(pause=Waits())).size_bytes == len(content)
    assert publisher.asked[-1].range == "bytes=0-0"
