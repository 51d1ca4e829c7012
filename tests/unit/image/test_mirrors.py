# SPDX-License-Identifier: MIT
"""Precedence of package sources: the user's setting first, then the host's, then mmdebstrap's default."""

from __future__ import annotations

from collections.abc import Sequence

import pytest

from vmlab.errors import HostError
from vmlab.image import mirrors
from vmlab.image.mirrors import find_mirrors
from vmlab.system.process import Finished


def test_a_named_mirror_is_taken_with_its_security_archive_beside_it() -> None:
    found = find_mirrors("http://mirror.invalid/debian/")
    assert found.main == "http://mirror.invalid/debian"
    assert found.security == "http://mirror.invalid/debian-security"


def test_main_and_security_can_be_named_apart() -> None:
    found = find_mirrors("http://mirror.invalid/debian,http://security.example.org/s/")
    assert found.source_line("bookworm") == "deb http://mirror.invalid/debian bookworm main"
    assert found.source_line("bookworm-updates") == "deb http://mirror.invalid/debian bookworm-updates main"
    assert found.source_line("bookworm-security") == "deb http://security.example.org/s bookworm-security main"


def _host(monkeypatch: pytest.MonkeyPatch, *, apt: str | None, mmdebstrap: str = "") -> None:
    def run(argv: Sequence[str], *, timeout_s: float) -> Finished:
        assert timeout_s > 0
        return Finished(argv=tuple(argv), status=0, output=(apt or "") if argv[0] == "apt-get" else mmdebstrap)

    monkeypatch.setattr(mirrors, "find_program", lambda name: None if name == "apt-get" and apt is None else name)
    monkeypatch.setattr(mirrors, "run", run)


def test_a_debian_hosts_own_mirrors_are_taken(monkeypatch: pytest.MonkeyPatch) -> None:
    listed = (
        "Debian|http://mirror.invalid/debian/\nDebian-Security|http://mirror.invalid/sec/\nDebian|http://x.invalid\n"
    )
    _host(monkeypatch, apt=listed)
    found = find_mirrors("")
    assert (found.main, found.security) == ("http://mirror.invalid/debian", "http://mirror.invalid/sec")


_SHOWN = """\
I: running --customize-hook
source: deb http://mirror.invalid/debian bookworm main
source: deb http://mirror.invalid/debian bookworm-updates main
source: deb http://security.example.org/debian-security bookworm-security main
"""


@pytest.mark.parametrize("apt", [None, "Ubuntu|http://archive.example.org/ubuntu\n", ""])
def test_a_host_that_is_no_debian_takes_mmdebstraps(monkeypatch: pytest.MonkeyPatch, apt: str | None) -> None:
    _host(monkeypatch, apt=apt, mmdebstrap=_SHOWN)
    found = find_mirrors("")
    assert found.main == "http://mirror.invalid/debian"
    assert found.security == "http://security.example.org/debian-security"


def test_no_mirror_at_all_is_told_with_the_way_out(monkeypatch: pytest.MonkeyPatch) -> None:
    _host(monkeypatch, apt=None, mmdebstrap="E: failed\n")
    with pytest.raises(HostError, match="no Debian mirror") as caught:
        find_mirrors("")
    assert "--vmlab-mirror" in caught.value.hint
    assert "E: failed" in caught.value.detail
