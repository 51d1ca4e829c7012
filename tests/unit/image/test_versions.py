# SPDX-License-Identifier: MIT
"""Debian versions sort as dpkg sorts them."""

from __future__ import annotations

import itertools
import shutil
import subprocess

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from vmlab.image.debian_index import version_key

# Each list is in ascending order.
_ASCENDING = [
    ["6.1.9-1", "6.1.10-1", "6.1.170-1"],
    ["6.12.57-1~bpo12+1", "6.12.57-1", "6.12.57-1+b1"],
    ["6.1.170-1~deb12u1", "6.1.170-1", "6.1.170-1+deb12u1", "6.1.170-1+deb12u2", "6.1.170-2"],
    ["1.0~rc1-1", "1.0~rc2-1", "1.0-1", "1.0a-1", "1.0+dfsg-1", "1.0.1-1"],
    ["9.9-9", "1:0.1-1", "2:0.0-1", "10:0-1"],
    ["1.0~~", "1.0~~a", "1.0~", "1.0", "1.0a"],
    ["7.3~rc4-1~exp1", "7.3~rc4-1", "7.3-1~exp1", "7.3.1-1"],
    ["1-2-1", "1-10-1"],
]


@pytest.mark.parametrize("versions", _ASCENDING, ids=lambda versions: versions[0])
def test_versions_ascend(versions: list[str]) -> None:
    keys = [version_key(version) for version in versions]
    assert all(left < right for left, right in itertools.pairwise(keys))


@pytest.mark.parametrize(("one", "other"), [("1.0", "0:1.0"), ("1.0", "1.00"), ("1.0", "1.0-0"), ("1.007-1", "1.7-01")])
def test_spellings_of_one_version_are_equal(one: str, other: str) -> None:
    assert version_key(one) == version_key(other)


_UPSTREAM = st.from_regex(r"[0-9][0-9a-z.+~]{0,6}", fullmatch=True)
_VERSION = st.builds(
    lambda epoch, upstream, revision: f"{epoch}{upstream}{revision}",
    st.sampled_from(["", "", "", "1:"]),
    _UPSTREAM,
    st.one_of(st.just(""), st.from_regex(r"-[0-9a-z.+~]{1,5}", fullmatch=True)),
)


@pytest.mark.skipif(shutil.which("dpkg") is None, reason="this host has no dpkg to compare with")
@settings(max_examples=5, suppress_health_check=[HealthCheck.too_slow])
@given(pairs=st.lists(st.tuples(_VERSION, _VERSION), min_size=20, max_size=20))
def test_the_order_is_dpkgs(pairs: list[tuple[str, str]]) -> None:
    # One shell for many comparisons: starting dpkg takes most of the time.
    words = [word for pair in pairs for word in pair]
    script = (
        "while [ $# -gt 0 ]; do "
        'if dpkg --compare-versions "$1" lt "$2"; then echo lt; '
        'elif dpkg --compare-versions "$1" eq "$2"; then echo eq; else echo gt; fi; shift 2; done'
    )
    said = subprocess.run(["sh", "-c", script, "compare", *words], capture_output=True, text=True, check=True)
    assert said.stderr == ""
    assert [_relation(*pair) for pair in pairs] == said.stdout.split()


def _relation(one: str, other: str) -> str:
    left, right = version_key(one), version_key(other)
    return "lt" if left < right else "eq" if left == right else "gt"
