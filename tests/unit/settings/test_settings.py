# SPDX-License-Identifier: MIT
"""Settings are merged in a fixed order, remember their origin, and refuse unknown keys."""

from __future__ import annotations

from pathlib import Path

import pytest

from vmlab.errors import UsageError
from vmlab.settings import SETTINGS, AcceleratorChoice, BuildPlace, Settings, load_settings


def _load(
    directory: Path,
    *,
    options: dict[str, str | None] | None = None,
    environment: dict[str, str] | None = None,
    project: str | None = None,
) -> Settings:
    if project is not None:
        (directory / "pyproject.toml").write_text(project)
    return load_settings(options or {}, directory=directory, environment=environment or {})


def _refusal(
    directory: Path,
    *,
    options: dict[str, str | None] | None = None,
    environment: dict[str, str] | None = None,
    project: str | None = None,
) -> str:
    with pytest.raises(UsageError) as caught:
        _load(directory, options=options, environment=environment, project=project)
    assert "\n" not in str(caught.value)
    return str(caught.value)


def test_each_place_goes_before_the_one_below_it(tmp_path: Path) -> None:
    project = '[tool.vmlab]\ncpus = 3\nmemory_mib = 512\nbuild = "guest"\n'
    environment = {"VMLAB_CPUS": "4", "VMLAB_MEMORY_MIB": "768", "HOME": "/nowhere"}
    settings = _load(tmp_path, project=project, environment=environment, options={"cpus": "5", "accel": None})
    assert (settings.cpus, settings.memory_mib, settings.build) == (5, 768, BuildPlace.GUEST)
    assert settings.accel is AcceleratorChoice.AUTO
    origin = settings.origin
    assert origin["cpus"] == "--vmlab-cpus"
    assert origin["memory_mib"] == "VMLAB_MEMORY_MIB"
    assert origin["build"] == "pyproject.toml"
    assert origin["accel"] == "default"


def test_every_setting_has_a_default_that_is_fine(tmp_path: Path) -> None:
    settings = _load(tmp_path)
    assert settings.target == ""
    assert set(settings.origin) == {setting.name for setting in SETTINGS}
    assert set(settings.origin.values()) == {"default"}


def test_names_come_from_the_declaration() -> None:
    named = {setting.name: setting for setting in SETTINGS}
    assert named["memory_mib"].option == "--vmlab-memory-mib"
    assert named["memory_mib"].variable == "VMLAB_MEMORY_MIB"
    assert len(named) == len(SETTINGS)


def test_an_unknown_variable_is_refused_with_the_nearest(tmp_path: Path) -> None:
    refusal = _refusal(tmp_path, environment={"VMLAB_ACELL": "tcg"})
    assert refusal == "VMLAB_ACELL: unknown environment variable (did you mean 'VMLAB_ACCEL'?)"


def test_an_unknown_key_is_refused_with_the_nearest(tmp_path: Path) -> None:
    refusal = _refusal(tmp_path, project="[tool.vmlab]\nmemory = 512\n")
    assert "[tool.vmlab] memory: unknown key (did you mean 'memory_mib'?)" in refusal
    assert str(tmp_path / "pyproject.toml") in refusal


@pytest.mark.parametrize("project", ["[tool]\nvmlab = 3\n", "[[tool.vmlab]]\ncpus = 3\n", "tool = 3\n"])
def test_a_table_that_is_none_is_one_line_or_ignored(tmp_path: Path, project: str) -> None:
    if "vmlab" in project:
        assert "tool.vmlab" in _refusal(tmp_path, project=project)
    else:
        assert _load(tmp_path, project=project).cpus == 2


def test_a_project_file_that_is_no_toml_is_one_line(tmp_path: Path) -> None:
    assert "not valid TOML" in _refusal(tmp_path, project="[tool.vmlab\n")


@pytest.mark.parametrize(
    ("name", "text", "hint"),
    [
        ("accel", "kmv", "must be auto, kvm or tcg, got 'kmv' (did you mean 'kvm'?)"),
        ("memory_mib", "255", "must be between 256 and 65536"),
        ("memory_mib", "65537", "must be between 256 and 65536"),
        ("memory_mib", "1G", "must be between 256 and 65536"),
        ("cpus", "0", "must be between 1 and 64"),
        ("patience", "0", "must be between 0.1 and 100"),
        ("patience", "nan", "must be between 0.1 and 100"),
        ("index_days", "-1", "must be between 0 and 3650"),
    ],
)
def test_a_value_out_of_range_names_where_it_came_from(tmp_path: Path, name: str, text: str, hint: str) -> None:
    option = f"--vmlab-{name.replace('_', '-')}"
    from_option = _refusal(tmp_path, options={name: text})
    assert from_option.startswith(f"{option} must be ")
    assert hint in from_option
    assert f"got {text!r}" in from_option
    variable = f"VMLAB_{name.upper()}"
    assert _refusal(tmp_path, environment={variable: text}) == from_option.replace(option, variable)
    assert f"pyproject.toml: {name} must be " in _refusal(tmp_path, project=f'[tool.vmlab]\n{name} = "{text}"\n')


def test_the_home_of_a_user_that_does_not_exist_is_refused(tmp_path: Path) -> None:
    told = _refusal(tmp_path, options={"store": "~nosuch/x"})

    assert told.startswith("--vmlab-store must be a path; `~` must be followed by a user of this host")


@pytest.mark.parametrize(("name", "text"), [("cpus", "1"), ("cpus", "64"), ("memory_mib", "256"), ("patience", "0.1")])
def test_the_ends_of_a_range_belong_to_it(tmp_path: Path, name: str, text: str) -> None:
    assert str(getattr(_load(tmp_path, options={name: text}), name)) == text


def test_a_path_is_relative_to_the_file_that_names_it_or_to_where_one_stands(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    project, here = tmp_path / "project", tmp_path / "here"
    project.mkdir()
    here.mkdir()
    monkeypatch.chdir(here)
    settings = _load(
        project,
        project='[tool.vmlab]\nmodule = "mine"\n',
        environment={"VMLAB_REPORT": "out"},
        options={"store": "cache"},
    )
    assert settings.module == project / "mine"
    assert settings.report == here / "out"
    assert settings.store == here / "cache"
    assert _load(tmp_path).report == tmp_path / "build" / "vmlab"


def test_a_list_of_targets_in_the_project_file_is_joined(tmp_path: Path) -> None:
    project = '[tool.vmlab]\ntarget = ["debian12-6.1", "debian13-*"]\n'
    assert _load(tmp_path, project=project).target == "debian12-6.1,debian13-*"


@pytest.mark.parametrize(
    ("text", "keeps"), [("yes", True), ("true", True), ("True", True), ("no", False), ("false", False)]
)
def test_a_flag_is_yes_or_no_wherever_it_is_written(tmp_path: Path, text: str, keeps: bool) -> None:
    assert _load(tmp_path, environment={"VMLAB_KEEP": text}).keep is keeps


def test_a_flag_in_the_project_file_may_be_a_boolean(tmp_path: Path) -> None:
    assert _load(tmp_path, project="[tool.vmlab]\nkeep = true\n").keep is True


def test_a_flag_that_is_neither_is_refused(tmp_path: Path) -> None:
    assert "VMLAB_KEEP" in _refusal(tmp_path, environment={"VMLAB_KEEP": "maybe"})


@pytest.mark.parametrize(("text", "budget_gib"), [("auto", None), ("20", 20.0), ("1.5", 1.5)])
def test_the_stores_budget_is_a_figure_or_follows_the_disk(tmp_path: Path, text: str, budget_gib: float | None) -> None:
    assert _load(tmp_path, options={"store_gib": text}).store_gib == budget_gib


@pytest.mark.parametrize("text", ["0", "-1", "much"])
def test_a_budget_that_holds_nothing_is_refused(tmp_path: Path, text: str) -> None:
    assert "--vmlab-store-gib" in _refusal(tmp_path, options={"store_gib": text})


def test_an_empty_variable_is_one_that_was_not_given(tmp_path: Path) -> None:
    settings = _load(tmp_path, environment={"VMLAB_STORE": "", "VMLAB_CPUS": ""})

    assert settings.origin["store"] == settings.origin["cpus"] == "default"


@pytest.mark.parametrize("name", ["store", "report", "module"])
def test_an_empty_path_is_refused(tmp_path: Path, name: str) -> None:
    assert "must be a path" in _refusal(tmp_path, options={name: ""})


def test_a_default_that_is_no_path_names_its_option(tmp_path: Path) -> None:
    said = _refusal(tmp_path / "\udcff")

    assert "the default of --vmlab-module must be a path in UTF-8" in said
    assert "use --vmlab-module, or change XDG_CACHE_HOME, HOME or the working directory" in said


def test_an_empty_option_goes_before_the_file_of_a_project(tmp_path: Path) -> None:
    settings = _load(tmp_path, options={"known_splats": ""}, project='[tool.vmlab]\nknown_splats = "mine.toml"\n')

    assert settings.known_splats is None
