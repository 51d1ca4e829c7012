# SPDX-License-Identifier: MIT
"""The house keeps its shape: imports go only downwards, and each library has one door."""

from __future__ import annotations

from pathlib import Path

import pytest

import vmlab
from unit.layers import breaches

_PACKAGE = Path(vmlab.__file__).parent
_SPDX = "# SPDX-License-Identifier: MIT\n"


def test_the_package_keeps_every_rule() -> None:
    assert breaches(_PACKAGE) == []


def test_the_checker_reads_the_whole_package() -> None:
    assert len(list(_PACKAGE.rglob("*.py"))) > 30


@pytest.mark.parametrize(
    ("file", "code", "breach"),
    [
        ("store.py", "from vmlab.guest.guest import Guest", "vmlab.store:2: imports vmlab.guest.guest.Guest"),
        ("store.py", "def f():\n    from vmlab import lab", "vmlab.store:3: imports vmlab.lab"),
        ("machine/argv.py", "import vmlab.module.build", "vmlab.machine.argv:2: imports vmlab.module.build"),
        ("guest/guest.py", "from ..lab import Lab", "vmlab.guest.guest:2: imports vmlab.lab.lab.Lab"),
        ("guest/__init__.py", "from ..report import model", "vmlab.guest:2: imports vmlab.report.model"),
        ("guest/guest.py", "import paramiko", "vmlab.guest.guest:2: imports paramiko"),
        ("image/fetch.py", "import requests", "vmlab.image.fetch:2: imports requests, which is vmlab.image.web's"),
        ("lab.py", "def f():\n    from fabric import Connection", "vmlab.lab:3: imports fabric.Connection"),
        ("report/junit.py", "import pytest", "vmlab.report.junit:2: imports pytest"),
        ("machine/qmp.py", "from qemu.qmp import legacy", "vmlab.machine.qmp:2: imports qemu.qmp.legacy"),
        ("process.py", "run('ls', shell=True)", "vmlab.process:2: shell="),
        ("process.py", "import os\nos.system('ls')", "vmlab.process:3: os.system"),
        ("__init__.py", "import json", "vmlab:2: imports json"),
        ("stray.py", "", "vmlab.stray:1: belongs to no layer"),
        ("lab.py", "x = 1\n" * 400, "vmlab.lab:401: more than 400 lines"),
    ],
)
def test_a_breach_is_found(tmp_path: Path, file: str, code: str, breach: str) -> None:
    path = tmp_path / "vmlab" / file
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(_SPDX + code)
    assert [found for found in breaches(tmp_path / "vmlab") if found.startswith(breach)]


def test_a_file_without_a_license_line_is_found(tmp_path: Path) -> None:
    (tmp_path / "vmlab").mkdir()
    (tmp_path / "vmlab" / "lab.py").write_text("x = 1\n")
    assert breaches(tmp_path / "vmlab") == ["vmlab.lab:1: no SPDX line"]


@pytest.mark.parametrize(
    ("file", "code"),
    [
        ("lab.py", "from vmlab.guest.guest import Guest"),
        ("guest/ssh.py", "import paramiko"),
        ("image/web/client.py", "import requests\nimport urllib3"),
        ("plugin/session.py", "import pytest\nfrom vmlab.lab import Lab"),
        ("plugin/__init__.py", "from .session import GuestSession"),
        ("machine/qmp.py", "from qemu.qmp import QMPClient"),
        ("store.py", "from typing import TYPE_CHECKING\nif TYPE_CHECKING:\n    from vmlab.lab.lab import Lab"),
    ],
)
def test_an_import_downwards_is_no_breach(tmp_path: Path, file: str, code: str) -> None:
    path = tmp_path / "vmlab" / file
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(_SPDX + code)
    assert breaches(tmp_path / "vmlab") == []
