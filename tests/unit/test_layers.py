# SPDX-License-Identifier: MIT
"""The package layering: imports go only downwards, and each library has one importing module."""

from __future__ import annotations

from pathlib import Path

import pytest

import vmlab
from unit.layers import breaches, circles

_PACKAGE = Path(vmlab.__file__).parent
_SPDX = "# SPDX-License-Identifier: MIT\n"


def test_the_package_keeps_every_rule() -> None:
    assert breaches(_PACKAGE) == []


def test_no_module_is_on_a_circle_of_imports() -> None:
    assert circles(_PACKAGE) == []


def test_a_circle_is_found(tmp_path: Path) -> None:
    for name, code in (
        ("a", "from vmlab.b import x"),
        ("b", "def f():\n    from vmlab import a"),
        ("c", "import json"),
    ):
        (tmp_path / "vmlab").mkdir(exist_ok=True)
        (tmp_path / "vmlab" / f"{name}.py").write_text(code)

    assert set(circles(tmp_path / "vmlab")) == {"vmlab.a", "vmlab.b"}


def test_the_floor_alone_lies_loose_at_the_root() -> None:
    loose = {path.stem for path in _PACKAGE.glob("*.py")} - {"__init__", "__main__", "testing"}

    assert loose == {"context", "decode", "errors", "provenance", "text"}


def test_the_checker_reads_the_whole_package() -> None:
    assert len(list(_PACKAGE.rglob("*.py"))) > 30


@pytest.mark.parametrize(
    ("file", "code", "breach"),
    [
        (
            "store/store.py",
            "from vmlab.guest.guest import Guest",
            "vmlab.store.store:2: imports vmlab.guest.guest.Guest",
        ),
        ("store/store.py", "def f():\n    from vmlab import lab", "vmlab.store.store:3: imports vmlab.lab"),
        ("machine/argv.py", "import vmlab.module.build", "vmlab.machine.argv:2: imports vmlab.module.build"),
        ("guest/guest.py", "from ..lab.lab import Lab", "vmlab.guest.guest:2: imports vmlab.lab.lab.Lab"),
        ("guest/__init__.py", "from ..report import model", "vmlab.guest:2: imports vmlab.report.model"),
        ("guest/guest.py", "import paramiko", "vmlab.guest.guest:2: imports paramiko"),
        ("image/image.py", "import requests", "vmlab.image.image:2: imports requests, which is vmlab.cloud's"),
        ("lab/lab.py", "def f():\n    from fabric import Connection", "vmlab.lab.lab:3: imports fabric.Connection"),
        ("report/junit.py", "import pytest", "vmlab.report.junit:2: imports pytest"),
        ("machine/qmp.py", "from qemu.qmp import legacy", "vmlab.machine.qmp:2: imports qemu.qmp.legacy"),
        ("system/process.py", "run('ls', shell=True)", "vmlab.system.process:2: shell="),
        ("system/process.py", "import os\nos.system('ls')", "vmlab.system.process:3: os.system"),
        ("__init__.py", "import json", "vmlab:2: imports json"),
        ("stray.py", "", "vmlab.stray:1: belongs to no layer"),
        ("context.py", "x = 1\n" * 400, "vmlab.context:401: more than 400 lines"),
        (
            "store/store.py",
            "from typing import TYPE_CHECKING\nif TYPE_CHECKING:\n    from vmlab.lab.lab import Lab",
            "vmlab.store.store:4: imports vmlab.lab.lab.Lab",
        ),
    ],
)
def test_a_breach_is_found(tmp_path: Path, file: str, code: str, breach: str) -> None:
    path = tmp_path / "vmlab" / file
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(_SPDX + code)
    assert [found for found in breaches(tmp_path / "vmlab") if found.startswith(breach)]


def test_a_file_without_a_license_line_is_found(tmp_path: Path) -> None:
    (tmp_path / "vmlab").mkdir()
    (tmp_path / "vmlab" / "context.py").write_text("x = 1\n")
    assert breaches(tmp_path / "vmlab") == ["vmlab.context:1: no SPDX line"]


@pytest.mark.parametrize(
    ("file", "code"),
    [
        ("lab/lab.py", "from vmlab.guest.guest import Guest"),
        ("guest/ssh.py", "import paramiko"),
        ("cloud/http.py", "import requests\nimport urllib3"),
        ("plugin/session.py", "import pytest\nfrom vmlab.lab.lab import Lab"),
        ("plugin/__init__.py", "from .session import GuestSession"),
        ("machine/qmp.py", "from qemu.qmp import QMPClient"),
    ],
)
def test_an_import_downwards_is_no_breach(tmp_path: Path, file: str, code: str) -> None:
    path = tmp_path / "vmlab" / file
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(_SPDX + code)
    assert breaches(tmp_path / "vmlab") == []
