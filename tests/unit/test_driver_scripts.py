# SPDX-License-Identifier: MIT
"""A maintainer's script names a missing host program in one line."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

_SCRIPTS = Path(__file__).parents[2] / "tools" / "driver"


@pytest.mark.parametrize(
    ("script", "there", "told"),
    [
        ("style.py", (), "W=1 and sparse: no make on this host; apt-get install make gcc sparse "),
        ("style.py", ("make",), "W=1 and sparse: no gcc on this host; apt-get install "),
        ("style.py", ("make", "gcc"), "W=1 and sparse: no sparse on this host; apt-get install "),
        ("coverage.py", (), "coverage: no gcc and no gcov on this host; apt-get install gcc"),
        ("coverage.py", ("gcc",), "coverage: no gcov on this host; apt-get install gcc"),
    ],
)
def test_a_missing_program_is_one_line_and_status_2(
    tmp_path: Path, script: str, there: tuple[str, ...], told: str
) -> None:
    for program in there:
        (tmp_path / program).symlink_to(sys.executable)

    done = subprocess.run(
        [sys.executable, str(_SCRIPTS / script)],
        env={"PATH": str(tmp_path)},
        capture_output=True,
        text=True,
        check=False,
    )

    (line,) = done.stderr.splitlines()
    assert line.startswith(told)
    assert done.returncode == 2
