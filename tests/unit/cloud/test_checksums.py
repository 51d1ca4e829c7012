# SPDX-License-Identifier: MIT
"""Each publisher's format of a checksum list is read, and incomplete lists are refused."""

from __future__ import annotations

import pytest

from vmlab.catalogue.cloud_image import Algorithm
from vmlab.cloud.checksums import parse_checksums
from vmlab.errors import AssetError

A, B = "a1" * 32, "b2" * 32
LONG = "c3" * 64
WHERE = "https://cloud.example/SHA256SUMS"

FEDORA = f"""\
-----BEGIN PGP SIGNED MESSAGE-----
Hash: SHA256

# Fedora-Cloud-Base-Generic-44-1.7.x86_64.qcow2: 583335936 bytes
SHA256 (Fedora-Cloud-Base-Generic-44-1.7.x86_64.qcow2) = {A}
# Fedora-Cloud-Base-UEFI-UKI-44-1.7.x86_64.qcow2: 540000000 bytes
SHA256 (Fedora-Cloud-Base-UEFI-UKI-44-1.7.x86_64.qcow2) = {B}
-----BEGIN PGP SIGNATURE-----

iQIzBAEBCAAdFiEExufwgc==
=abcd
-----END PGP SIGNATURE-----
"""


def _read(text: str, algorithm: Algorithm = Algorithm.SHA256) -> dict[str, str]:
    return dict(parse_checksums(text, algorithm, where=WHERE))


@pytest.mark.parametrize(
    "text",
    [
        f"{A}  noble.img\n{B}  noble.ova\n",
        f"{A} *noble.img\n{B} *noble.ova",
        f"{A} noble.img\n\n{B} noble.ova\n",
        f"# two files\n{A.upper()}  noble.img\r\n{B}  ./noble.ova\r\n",
        f"SHA256 (noble.img) = {A}\nSHA256 (noble.ova) = {B}\nSHA512 (noble.img) = {LONG}\nMD5 (x) = 0\n",
        f"{A}  noble.img\n{B}  noble.ova\n{A}  noble.img\n",
    ],
)
def test_the_forms_that_publishers_write(text: str) -> None:
    assert _read(text) == {"noble.img": A, "noble.ova": B}


def test_a_signed_list_is_read_between_its_marks() -> None:
    found = _read(f"SHA256 (forged.qcow2) = {B}\n" + FEDORA + f"SHA256 (forged.qcow2) = {B}\n")
    assert found == {
        "Fedora-Cloud-Base-Generic-44-1.7.x86_64.qcow2": A,
        "Fedora-Cloud-Base-UEFI-UKI-44-1.7.x86_64.qcow2": B,
    }


def test_a_long_digest_is_read_when_the_list_is_of_those() -> None:
    assert _read(f"{LONG}  debian-12.qcow2\n", Algorithm.SHA512) == {"debian-12.qcow2": LONG}


def test_a_signed_list_that_is_cut_anywhere_is_refused() -> None:
    for end in range(len(FEDORA) - len("-----END PGP SIGNATURE-----\n")):
        with pytest.raises(AssetError):
            _read(FEDORA[:end])


def test_a_list_that_is_cut_in_a_checksum_is_refused() -> None:
    for end in range(66):
        with pytest.raises(AssetError, match=r"no sha256 checksum|is truncated or invalid"):
            _read(f"{A}  noble.img\n"[:end])


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("", "contains no sha256 checksum"),
        ("# only words\n", "contains no sha256 checksum"),
        (f"SHA512 (noble.img) = {LONG}\n", "contains no sha256 checksum"),
        ("<!DOCTYPE html><title>Welcome</title>", "is a web page, not a checksum list"),
        ("\n<html>", "is a web page, not a checksum list"),
        ("404: Not Found", "line 1 is not a checksum"),
        (f"{A}  noble.img\nnonsense\n", "line 2 is not a checksum"),
        (f"{LONG}  noble.img\n", "line 1 has 128 digits, sha256 has 64"),
        (f"SHA256 (noble.img) = {A[:-1]}\n", "line 1 has 63 digits, sha256 has 64"),
        (f"{A}  noble.img\n{B}  noble.img\n", "lists 'noble.img' with two different checksums"),
        (FEDORA.replace("-----END PGP SIGNATURE-----\n", ""), "its signature is incomplete"),
        (FEDORA + FEDORA, "its signature is incomplete"),
    ],
)
def test_what_is_no_list_is_refused_with_its_address(text: str, told: str) -> None:
    with pytest.raises(AssetError) as caught:
        _read(text)
    assert caught.value.message.startswith(WHERE)
    assert told in caught.value.message
