# SPDX-License-Identifier: MIT
"""The command line: one line and a status for an error, and only the answer otherwise."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from vmlab.commands import main as cli
from vmlab.lab.lab import Lab
from vmlab.store.store import Store
from vmlab.timing.operation import OPERATIONS


@pytest.fixture(autouse=True)
def _store(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("VMLAB_STORE", str(tmp_path / "store"))


def test_targets_lists_every_row_and_marks_what_runs(capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["targets", "--vmlab-target", "debian12-6.1"]) == 0
    lines = capsys.readouterr().out.splitlines()
    marked = [line for line in lines if line.startswith("* ") and "to build" in line]
    assert len(marked) == 1
    assert "debian12-6.1 " in marked[0]
    assert any("testing-7.2" in line for line in lines)


def test_an_unknown_target_is_one_line_and_status_2(capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["shell", "debian12-6.2"]) == 2
    shown = capsys.readouterr().err.strip().splitlines()
    assert len(shown) == 1
    assert shown[0].startswith("vmlab: unknown target 'debian12-6.2' (did you mean 'debian12-6.12'?")


_UNKNOWN = {
    "a target": (["targets", "--vmlab-target", "zzz"], "`vmlab targets` lists all"),
    "a command": (["zzz"], "`vmlab --help` lists all"),
    "an action": (["images", "zzz"], "`vmlab images --help` lists all"),
    "an operation": (["time", "zzz"], "`vmlab time --help` lists all"),
}


@pytest.mark.parametrize("words", [words for words, _ in _UNKNOWN.values()], ids=list(_UNKNOWN))
def test_an_unknown_word_is_one_short_line(words: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(words) == 2

    shown = capsys.readouterr()
    (line,) = shown.err.splitlines()
    assert line.startswith("vmlab: unknown ")
    assert "zzz" in line
    assert len(line) < 200
    assert shown.out == ""


@pytest.mark.parametrize(("words", "listing"), _UNKNOWN.values(), ids=list(_UNKNOWN))
def test_an_unknown_word_names_the_command_that_lists_all(
    words: list[str], listing: str, capsys: pytest.CaptureFixture[str]
) -> None:
    cli.main(words)
    assert listing in capsys.readouterr().err


def test_an_unknown_variable_names_the_nearest_and_the_list(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("VMLAB_NO_SUCH_THING_AT_ALL", "2")
    assert cli.main(["targets"]) == 2
    assert capsys.readouterr().err.endswith("; `vmlab targets --help` lists all)\n")
    monkeypatch.delenv("VMLAB_NO_SUCH_THING_AT_ALL")
    monkeypatch.setenv("VMLAB_CUPS", "2")
    assert cli.main(["targets"]) == 2
    assert capsys.readouterr().err == ("vmlab: VMLAB_CUPS: unknown environment variable (did you mean 'VMLAB_CPUS'?)\n")


def test_the_help_of_time_lists_every_operation(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        cli.main(["time", "--help"])

    shown = " ".join(capsys.readouterr().out.split())
    for name, words in OPERATIONS.items():
        assert name in shown
        assert words in shown


def test_an_unknown_target_close_to_one_still_names_the_list(capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["shell", "debain12-6.1"]) == 2
    assert capsys.readouterr().err == (
        "vmlab: unknown target 'debain12-6.1' (did you mean 'debian12-6.1'? `vmlab targets` lists all)\n"
    )


def test_a_glob_that_names_several_targets_is_no_shell(capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["shell", "debian12-*"]) == 2
    assert "name exactly one" in capsys.readouterr().err


def test_a_setting_out_of_range_is_one_line(capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["doctor", "--vmlab-memory-mib", "12"]) == 2
    assert "must be between 256 and 65536" in capsys.readouterr().err


def test_the_doctors_json_has_a_grade_for_each_topic(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Lab, "qemu_version", lambda *_: "7.2")
    cli.main(["doctor", "--json"])
    facts = json.loads(capsys.readouterr().out)
    topics = {fact["topic"] for fact in facts}
    assert topics >= {"programs", "memory", "disk", "QEMU", "accelerator", "processor", "virtualisation"}
    assert topics >= {"PMU", "perf_event_paranoid", "kvm.enable_pmu"}
    assert all(fact["grade"] in ("good", "note", "slow", "bad") for fact in facts)
    (pmu,) = (fact["seen"] for fact in facts if fact["topic"] == "PMU")
    assert set(pmu) == {"event_sources", "perf_event_paranoid", "cap_sys_admin", "cap_perfmon", "container"}


def test_prune_keeps_the_newest_image_with_its_base_and_what_was_built_for_it(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    store = Store(tmp_path / "store")

    def add(kind: str, inputs: dict[str, str], facts: dict[str, str]) -> str:
        def build(work: Path) -> dict[str, str]:
            (work / "file").write_text("x")
            return facts

        return store.obtain(kind, inputs, build).digest

    old_base = add("base", {"codename": "bookworm", "version": "1"}, {})
    old = add("image", {"base": old_base, "kernel": "1"}, {"target": "debian12-6.1", "release": "6.1.1"})
    stale = add("module", {"image": old}, {"ko": "fibdrv.ko"})
    base = add("base", {"codename": "bookworm", "version": "2"}, {})
    image = add("image", {"base": base, "kernel": "2"}, {"target": "debian12-6.1", "release": "6.1.2"})
    built = add("module", {"image": image}, {"ko": "fibdrv.ko"})

    assert cli.main(["images", "prune"]) == 0

    assert {item.digest for item in store.objects()} == {base, image, built}
    assert not {old_base, old, stale} & {item.digest for item in store.objects()}
    assert "GiB freed" in capsys.readouterr().out


def test_verify_says_which_object_is_damaged_and_fails(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    def build(work: Path) -> dict[str, str]:
        (work / "kernel").write_text("kernel")
        return {"target": "debian12-6.1", "release": "6.1.2"}

    item = Store(tmp_path / "store").obtain("image", {"base": "b"}, build)
    assert cli.main(["images", "verify"]) == 0
    item.file("kernel").write_text("KERNEL")
    assert cli.main(["images", "verify"]) == 1
    assert "damaged  image    debian12-6.1" in capsys.readouterr().out
    assert cli.main(["images", "prune", "--damaged"]) == 0
    assert list(Store(tmp_path / "store").objects()) == []


def test_ctrl_c_is_one_line_and_status_130(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    def interrupt(*_: object) -> int:
        raise KeyboardInterrupt

    monkeypatch.setattr("vmlab.commands.targets.open_lab", interrupt)
    assert cli.main(["targets"]) == 130
    assert capsys.readouterr().err == "vmlab: interrupted\n"


def test_targets_may_stand_behind_options(capsys: pytest.CaptureFixture[str]) -> None:
    keys = []
    for words in (["ubuntu24.04-6.8", "--vmlab-cpus=2"], ["--vmlab-cpus=2", "ubuntu24.04-6.8"], ["--vmlab-cpus=2"], []):
        assert cli.main(["images", "key", *words]) == 0
        keys.append(capsys.readouterr().out)
    assert keys[0] == keys[1] != keys[2] == keys[3]


def test_a_table_for_a_file_has_no_blanks_at_the_ends_of_lines(capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["targets"]) == 0

    assert [line for line in capsys.readouterr().out.splitlines() if line != line.rstrip()] == []


def test_a_setup_with_nothing_to_do_says_so(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("vmlab.host.install.set_up", lambda *_, **__: None)

    assert cli.main(["setup", "--vmlab-target", "debian12-6.1"]) == 0

    assert capsys.readouterr().out == "vmlab: nothing to install: the selected targets have what they need\n"
