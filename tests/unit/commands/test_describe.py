# SPDX-License-Identifier: MIT
"""`vmlab describe` and `vmlab init`."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from modules.trees import TREES

from unit.module.tree.trees import write_tree
from vmlab.commands import main as cli
from vmlab.decode import read_toml


def test_describe_prints_each_fact_with_its_origin(capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["describe", str(TREES / "packaged" / "src")]) == 0

    lines = capsys.readouterr().out.splitlines()
    assert "source      src  [dkms.conf:4]" in lines
    assert "prepare     ./scripts/pre_build 1  [dkms.conf:11 (PRE_BUILD)]" in lines
    assert "module      packaged_bus in src  [src/Makefile:2]" in lines


def test_describe_prints_the_same_as_json(capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["describe", str(TREES / "several"), "--json"]) == 0

    found = json.loads(capsys.readouterr().out)
    assert found["name"] == "several"
    assert [module["name"] for module in found["modules"]] == ["lender", "borrower"]
    assert found["declared"] == [{"name": "limit", "type": "int", "origin": "borrower_main.c:9"}]


@pytest.mark.parametrize("command", ["describe", "init"])
def test_a_directory_without_a_module_is_one_line(
    tmp_path: Path, command: str, capsys: pytest.CaptureFixture[str]
) -> None:
    write_tree(tmp_path, {"main.c": ""})

    assert cli.main([command, str(tmp_path)]) == 2

    (line,) = capsys.readouterr().err.splitlines()
    assert "has neither a Kbuild file nor a Makefile" in line


def test_init_writes_settings_that_vmlab_reads_and_a_test(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    write_tree(tmp_path, {"Kbuild": "obj-$(CONFIG_A) := a.o\nobj-m += b.o\n"})

    assert cli.main(["init", str(tmp_path)]) == 0

    table = read_toml(tmp_path / "vmlab.toml")
    assert table == {"module": ".", "make": {"CONFIG_A": "m"}, "modules": ["a", "b"]}
    test = (tmp_path / "tests" / "test_load.py").read_text()
    compile(test, "test_load.py", "exec")
    assert 'MODULES = ["a", "b"]' in test
    assert cli.main(["describe", str(tmp_path)]) == 0


def test_init_overwrites_nothing(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    write_tree(tmp_path, {"Kbuild": "obj-m := a.o\n", "vmlab.toml": "cpus = 3\n", "tests/test_load.py": "mine\n"})

    assert cli.main(["init", str(tmp_path)]) == 0

    assert (tmp_path / "vmlab.toml").read_text() == "cpus = 3\n"
    assert (tmp_path / "tests" / "test_load.py").read_text() == "mine\n"
    assert capsys.readouterr().err.count("exists and was left as it is") == 2
