# SPDX-License-Identifier: MIT
"""Options, invalid names, and runs without guests."""

from __future__ import annotations

import subprocess
import sys

import pytest

from vmlab.settings import SETTINGS

from .inner import Inner

pytest_plugins = ["pytester"]

_NO_GUEST = "def test_sum():\n    assert 1 + 1 == 2\n"
_HEAVY = ("fabric", "paramiko", "invoke", "qemu", "msgspec", "rich", "elftools", "cryptography", "tomllib")


def _usage_error(result: pytest.RunResult) -> str:
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    (line,) = [line for line in result.outlines + result.errlines if "ERROR: vmlab:" in line]
    return line


def test_every_setting_is_an_option_with_its_help(pytester: pytest.Pytester) -> None:
    shown = pytester.runpytest_inprocess("--help").stdout.str()
    for setting in SETTINGS:
        assert (setting.option if setting.is_flag else f"{setting.option}={setting.metavar}") in shown


def test_an_unknown_target_is_one_line_with_the_nearest(inner: Inner) -> None:
    inner.tests(sum=_NO_GUEST)
    line = _usage_error(inner.run(target="debian12-6.2"))
    assert "unknown target 'debian12-6.2' (did you mean 'debian12-6.1" in line


def test_a_module_directory_without_a_kbuild_file_is_one_line(inner: Inner) -> None:
    inner.tests(sum=_NO_GUEST)
    inner.pytester.mkdir("empty")
    line = _usage_error(inner.run("--vmlab-module", "empty"))
    assert "has neither a Kbuild file nor a Makefile" in line


@pytest.mark.parametrize(
    ("option", "words"),
    [
        ("--vmlab-modul=src", "unknown option --vmlab-modul (did you mean '--vmlab-module'?)"),
        ("--vmlab-taget", "unknown option --vmlab-taget (did you mean '--vmlab-target'?)"),
        ("--vmlab-xyz", "unknown option --vmlab-xyz ("),
    ],
)
def test_an_unknown_option_is_one_line_with_the_nearest(pytester: pytest.Pytester, option: str, words: str) -> None:
    pytester.makepyfile(_NO_GUEST)
    result = pytester.runpytest_subprocess(option)
    assert words in _usage_error(result)
    assert "Traceback" not in result.stderr.str()


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (("--vmlab-accel", "kmv"), "--vmlab-accel must be auto, kvm or tcg, got 'kmv' (did you mean 'kvm'?)"),
        (("--vmlab-cpus", "0"), "--vmlab-cpus must be between 1 and 64, got '0'"),
    ],
)
def test_a_wrong_value_is_one_line(inner: Inner, options: tuple[str, str], words: str) -> None:
    inner.tests(sum=_NO_GUEST)
    assert words in _usage_error(inner.run(*options))


@pytest.mark.parametrize(
    ("table", "words"),
    [("modul = 'src'", "unknown key (did you mean 'module'?)"), ("target = 'debian12-6.2'", "unknown target")],
)
def test_a_wrong_project_file_is_one_line_without_a_traceback(inner: Inner, table: str, words: str) -> None:
    inner.pytester.makepyprojecttoml(f"[tool.vmlab]\n{table}\n")
    inner.tests(guest="def test_guest(guest): pass")
    result = inner.pytester.runpytest_inprocess("-p", "no:cacheprovider")
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    lines = [line for line in result.outlines + result.errlines if "vmlab: " in line]
    assert len(lines) == 1
    assert words in lines[0]
    assert "Traceback" not in result.stdout.str()
    assert "session_of" not in result.stdout.str()


@pytest.mark.parametrize("extra", [("-k", "nothing"), ("-k", "sum")])
def test_naming_a_target_and_selecting_no_guest_test_does_not_pass(inner: Inner, extra: tuple[str, str]) -> None:
    inner.tests(sum=_NO_GUEST, guest="def test_guest(guest): pass")
    assert inner.run(*extra).ret != pytest.ExitCode.OK


def test_targets_are_in_the_ids_as_a_person_types_them(inner: Inner) -> None:
    inner.tests(guest="def test_guest(guest): pass\ndef test_target(target): assert target.id")
    result = inner.run("--collect-only", "-q", target="debian12-6.1,debian13-6.12-rt")
    assert result.outlines[:4] == [
        "test_guest.py::test_guest[debian12-6.1]",
        "test_guest.py::test_target[debian12-6.1]",
        "test_guest.py::test_guest[debian13-6.12-rt]",
        "test_guest.py::test_target[debian13-6.12-rt]",
    ]


def test_without_a_choice_the_default_matrix_runs(inner: Inner) -> None:
    inner.tests(target="def test_target(target): pass")
    result = inner.pytester.runpytest_inprocess("--collect-only", "-q")
    assert sum(line.startswith("test_target.py::test_target[") for line in result.outlines) == 4


def test_a_projects_own_target_and_guest_are_left_alone(pytester: pytest.Pytester) -> None:
    pytester.makepyfile(
        """
        import pytest

        @pytest.fixture
        def target():
            return "mine"

        @pytest.fixture
        def guest():
            return "mine too"

        def test_fixtures(target, guest):
            assert (target, guest) == ("mine", "mine too")

        @pytest.mark.parametrize("target", [1, 2])
        def test_parameters(target):
            assert target in (1, 2)
        """
    )
    result = pytester.runpytest_inprocess()
    result.assert_outcomes(passed=3)
    assert "kernels" not in result.stdout.str()


def test_a_run_without_guests_imports_nothing_heavy(pytester: pytest.Pytester) -> None:
    pytester.makepyfile(
        f"""
        import sys

        def test_imports():
            assert "vmlab.plugin" in sys.modules
            heavy = [name for name in sys.modules if name.split(".")[0] in {_HEAVY}]
            assert heavy == []
            assert "vmlab.lab" not in sys.modules
        """
    )
    result = pytester.runpytest_subprocess("-p", "no:cacheprovider", "-p", "no:xdist", "-p", "no:hypothesispytest")
    result.assert_outcomes(passed=1)
    assert "kernels" not in result.stdout.str()


def test_the_plugin_itself_imports_little_beyond_pytest() -> None:
    code = "import sys, pytest; before = set(sys.modules); import vmlab.plugin; print(len(set(sys.modules) - before))"
    said = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert int(said.stdout) < 28


def test_the_slow_marker_is_known(inner: Inner) -> None:
    inner.tests(slow="import pytest\n@pytest.mark.slow\ndef test_slow(target): pass\n")
    inner.run("--strict-markers").assert_outcomes(passed=1)


_CLOUD = "ubuntu22.04-6.8"
_NOT_LOCKED = (
    f"ERROR: vmlab: {_CLOUD} (image ubuntu22.04-amd64) is not locked: lock.toml does not name the file to fetch "
    f"(`vmlab images lock {_CLOUD}` queries the publisher and writes the lock)"
)


@pytest.mark.parametrize("fixture", ["guest", "shared_guest", "booted_guest", "any_guest", "module", "program"])
def test_an_image_that_is_not_locked_is_refused_once_before_any_test(inner: Inner, fixture: str) -> None:
    (inner.pytester.path / "lock.toml").touch()
    inner.tests(many=f"def test_one({fixture}): pass\ndef test_two({fixture}): pass\n")
    result = inner.run("--vmlab-lock", "lock.toml", target=f"{_CLOUD}+strict")
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    said = [line for line in result.outlines + result.errlines if "not locked" in line]
    assert said == [_NOT_LOCKED]
    assert not (inner.pytester.path / "build").exists()


def test_workers_refuse_an_image_that_is_not_locked_in_one_line_too(inner: Inner) -> None:
    (inner.pytester.path / "lock.toml").touch()
    inner.tests(many="def test_one(guest): pass\ndef test_two(guest): pass\n")
    result = inner.run("--vmlab-lock", "lock.toml", "-n", "2", target=_CLOUD)
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    assert [line for line in result.outlines + result.errlines if "not locked" in line] == [_NOT_LOCKED]


def test_only_tests_that_need_an_image_ask_for_its_row(inner: Inner) -> None:
    (inner.pytester.path / "lock.toml").touch()
    inner.tests(
        row="""
        import pytest

        def test_row(target):
            assert target.id

        @pytest.mark.skip
        def test_skipped(guest):
            pass
        """
    )
    inner.run("--vmlab-lock", "lock.toml", target=_CLOUD).assert_outcomes(passed=1, skipped=1)
    inner.tests(guest="def test_guest(guest): pass\n")
    assert inner.run("--vmlab-lock", "lock.toml", "--collect-only", target=_CLOUD).ret == pytest.ExitCode.OK
    assert inner.run("--vmlab-lock", "lock.toml", target="debian12-6.1").ret == pytest.ExitCode.OK


def test_a_locked_image_is_taken(inner: Inner) -> None:
    row = f'id = "ubuntu22.04-amd64"\nname = "x.img"\nsize_bytes = 1\nalgorithm = "sha256"\ndigest = "{"a" * 64}"'
    (inner.pytester.path / "lock.toml").write_text(f"[[image]]\n{row}\n")
    inner.tests(guest="def test_guest(guest): pass\n")
    inner.run("--vmlab-lock", "lock.toml", target=_CLOUD).assert_outcomes(passed=1)


@pytest.mark.parametrize("fixture", ["module", "loaded_module"])
def test_a_module_that_nobody_named_is_asked_for_before_any_test(inner: Inner, fixture: str) -> None:
    (inner.pytester.path / "fibdrv" / "Kbuild").unlink()
    (inner.pytester.path / "fibdrv").rmdir()
    inner.tests(module=f"def test_one({fixture}): pass\n", guest="def test_guest(guest): pass\n")
    line = _usage_error(inner.run())
    assert line.startswith("ERROR: vmlab: no module is configured, and the default directory ")
    assert '--vmlab-module DIR, or module = "DIR" under [tool.vmlab] in pyproject.toml' in line
    inner.run("-k", "test_guest").assert_outcomes(passed=1, deselected=1)


@pytest.mark.parametrize("words", [("--vmlab-cpus", "0"), ("--vmlab-patience", "fast"), ("--vmlab-shard", "9/8")])
def test_a_wrong_setting_is_one_line_though_no_target_is_named(
    pytester: pytest.Pytester, words: tuple[str, str]
) -> None:
    pytester.makepyfile("def test_answers(guest):\n    pass\n")

    result = pytester.runpytest_inprocess("-p", "no:cacheprovider", *words)

    assert result.ret == pytest.ExitCode.USAGE_ERROR
    assert words[0] in _usage_error(result)


@pytest.mark.parametrize(("name", "value"), [("VMLAB_CPU", "2"), ("VMLAB_CPUS", "none")])
def test_a_wrong_variable_is_one_line_though_no_target_is_named(
    pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch, name: str, value: str
) -> None:
    pytester.makepyfile("def test_answers(guest):\n    pass\n")
    monkeypatch.setenv(name, value)

    result = pytester.runpytest_inprocess("-p", "no:cacheprovider")

    assert name in _usage_error(result)
