# SPDX-License-Identifier: MIT
"""Every program that code and tests start is on a minimal machine, or in an installed package."""

from __future__ import annotations

import re
from functools import cache
from pathlib import Path

import pytest

from unit.started_programs import Started, started_by, started_in
from vmlab.host.install import REQUIREMENTS

_ROOT = Path(__file__).parents[2]
# Trees that `nox -s tests` runs; other sessions report missing programs themselves.
_TREES = (
    "vmlab",
    "tests/unit",
    "tests/plugin",
    "tests/hostile",
    "tests/fibdrv",
    "tests/kernel",
    "tests/lab",
    "tests/zoo",
)
# Programs of Debian's essential packages; `dpkg -S` on Debian 12 names the package.
_ESSENTIAL = {
    "bash": "bash",
    "sh": "dash",
    "dpkg": "dpkg",
    "find": "findutils",
    "tar": "tar",
    "setpriv": "util-linux",
    "prlimit": "util-linux",
    "unshare": "util-linux",
    "fallocate": "util-linux",
    "flock": "util-linux",
    **dict.fromkeys(
        ("cat", "chmod", "chroot", "cp", "echo", "env", "ls", "printf", "rm", "seq", "sleep", "stat", "touch", "true"),
        "coreutils",
    ),
}
# Programs that the README also expects: from the packages of tools/fresh-machine, and apt itself.
_EXPECTED = {"python3": "python3", "git": "git", "sudo": "sudo", "mount": "mount", "umount": "mount", "apt-get": "apt"}
# Programs of packages that `vmlab setup` installs, other than the programs that name the requirements.
_BROUGHT = {"qemu-img": "qemu-utils", "qemu-io": "qemu-utils"}
# Console scripts of Python packages that the sessions of noxfile.py install.
_SCRIPTS = {"codespell", "mypy", "pytest", "python", "ruff", "shellcheck", "sphinx-build", "twine", "vmlab", "zizmor"}
# Optional programs, and the effect of their absence.
_BETTER = {
    "gpgv": "`vmlab images lock` refuses what it could not check, and names the package",
    "npx": "`nox -s lint` installs Node.js from PyPI",
}
# Names that no machine has, for tests of missing programs.
_NOWHERE = {"no-such-program"}
# Tests that are skipped without a program: every CI machine must have that program.
_SKIPPING = re.compile(
    r"(?:find_program|which)\(['\"]([\w.+-]+)['\"]\) (?:is None|is not None)|not shutil\.which\(['\"]([\w.+-]+)"
)


@cache
def _started() -> list[Started]:
    files = [path for tree in _TREES for path in sorted((_ROOT / tree).rglob("*.py"))]
    return [each for path in files for each in started_in(path)]


def _installed() -> set[str]:
    return {row.name for row in REQUIREMENTS if not row.name.startswith("/")} | _BROUGHT.keys()


def test_every_program_is_essential_expected_or_installed() -> None:
    known = _ESSENTIAL.keys() | _EXPECTED.keys() | _installed() | _BETTER.keys() | _NOWHERE

    unknown = [
        f"{each.path.relative_to(_ROOT)}:{each.line}: {each.program}"
        for each in _started()
        if each.program not in known
    ]

    assert unknown == []


def test_the_search_sees_what_the_lab_is_known_to_start() -> None:
    seen = {each.program for each in _started()}

    assert seen >= {
        "apt-get",
        "chroot",
        "gpgv",
        "mmdebstrap",
        "qemu-img",
        "rm",
        "setpriv",
        "sh",
        "sudo",
        "tar",
        "unshare",
    }


def test_the_tables_name_only_what_is_started() -> None:
    seen = {each.program for each in _started()}

    assert _NOWHERE - seen == set()
    assert set(_BETTER) - seen - {"npx"} == set()


def test_a_brought_program_comes_with_a_package_that_setup_installs() -> None:
    assert set(_BROUGHT.values()) <= {row.package for row in REQUIREMENTS}


def test_the_expected_packages_are_those_of_a_fresh_machine() -> None:
    script = (_ROOT / "tools" / "fresh-machine").read_text(encoding="utf-8")
    (packages,) = re.findall(r"^packages=(.*)$", script, re.MULTILINE)

    assert set(_EXPECTED.values()) - {"apt"} <= set(packages.split(","))


def test_every_program_of_a_session_comes_with_a_python_package_or_is_a_maintainers() -> None:
    text = (_ROOT / "noxfile.py").read_text(encoding="utf-8")
    # Only sessions about fibdrv's C code need `make` and a compiler.
    known = _SCRIPTS | _BETTER.keys() | {"make"}

    assert {each.program for each in started_by(text, _ROOT / "noxfile.py")} <= known


def test_nothing_is_skipped_in_ci_for_want_of_a_program() -> None:
    files = [path for tree in _TREES if tree != "vmlab" for path in sorted((_ROOT / tree).rglob("*.py"))]
    skipping = {
        (one or other, str(path.relative_to(_ROOT)))
        for path in files
        for one, other in _SKIPPING.findall(path.read_text(encoding="utf-8"))
        if path != Path(__file__)
    }

    hidden = {row for row in skipping if row[0] not in _ESSENTIAL.keys() | _EXPECTED.keys() | _installed() | _NOWHERE}

    # apt in Debian 12, CI's distribution, depends on gpgv.
    assert hidden <= {("gpgv", "tests/unit/cloud/test_signature.py")}


@pytest.mark.parametrize(
    "code",
    [
        "run(['jq', '.'], timeout_s=1)",
        "subprocess.run(['jq'])",
        "subprocess.check_output(('jq', '.'))",
        "argv = ['jq', '.']\nsubprocess.Popen(argv)",
        "run([*prefix, 'jq'], timeout_s=1)",
        "shutil.which('jq')",
        "find_program('jq')",
        "tied_to_parent(['jq'])",
        "def start(argv):\n    run(argv)\nstart(['jq'])",
        "def first():\n    return [] if root else ['sudo']\nrun([*first(), 'jq'])",
        "def command():\n    return ['jq']\nrun(command())",
        "for name in ('jq', 'sh'):\n    shutil.which(name)",
        "session.run('jq', external=True)",
    ],
)
def test_a_program_is_found_in_each_form(code: str) -> None:
    assert "jq" in {each.program for each in started_by(code, Path("x.py"))}


@pytest.mark.parametrize("code", ["guest.run('jq .')", "transport.run('jq', timeout_s=1)", "inner.run('--jq')"])
def test_a_guests_program_is_not_this_hosts(code: str) -> None:
    assert started_by(code, Path("x.py")) == []
