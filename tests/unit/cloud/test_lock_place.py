# SPDX-License-Identifier: MIT
"""`vmlab images lock` writes the user's lock (in a checkout, the checkout's), never an installed package's."""

from __future__ import annotations

import dataclasses
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from publisher import Publisher, checksum_list

import vmlab
from unit.cloud.offers import LIST, NAME, PATH, image_at, qcow2
from unit.cloud.test_lock import ROW
from vmlab.catalogue.matrix import catalogue_directory
from vmlab.cloud import lock as lock_module
from vmlab.cloud.lock import ImageLock, lock_of, read_lock, write_lock
from vmlab.commands import main as cli
from vmlab.commands import publishers
from vmlab.errors import HostError
from vmlab.settings import Settings, load_settings

_PRINT_LOCK = "import sys; from vmlab.cloud.lock import *; from vmlab.settings import *; from pathlib import Path; "
_PRINT_LOCK += "print(lock_of(load_settings({}, directory=Path('.'), environment={})).path)"


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    return load_settings({}, directory=tmp_path, environment={})


@pytest.fixture
def packaged(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The catalogue of an installed vmlab, with one row in its lock."""
    directory = tmp_path / "site-packages" / "vmlab" / "_images"
    directory.mkdir(parents=True)
    write_lock(ImageLock(path=directory / "lock.toml").with_row(ROW))
    monkeypatch.setattr(lock_module, "catalogue_directory", lambda: directory)
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "config"))
    return directory


def test_an_installed_package_names_the_users_configuration(tmp_path: Path) -> None:
    site = tmp_path / "site-packages"
    shutil.copytree(Path(vmlab.__file__).parent, site / "vmlab", ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copytree(catalogue_directory(), site / "vmlab" / "_images")
    environment = {**os.environ, "PYTHONPATH": str(site), "XDG_CONFIG_HOME": str(tmp_path / "config")}

    told = subprocess.run(
        [sys.executable, "-c", _PRINT_LOCK], cwd=tmp_path, env=environment, capture_output=True, text=True, check=True
    )

    assert told.stdout == f"{tmp_path / 'config' / 'vmlab' / 'lock.toml'}\n"


def test_a_checkout_keeps_its_own_lock(settings: Settings) -> None:
    assert lock_of(settings).path == Path(vmlab.__file__).parents[1] / "images" / "lock.toml"


def test_a_row_that_the_package_brings_is_read_until_the_user_locks_another(packaged: Path, settings: Settings) -> None:
    newer = dataclasses.replace(ROW, size_bytes=4)
    before = (packaged / "lock.toml").read_bytes()
    assert lock_of(settings).rows == {ROW.id: ROW}

    write_lock(lock_of(settings).with_row(newer))

    assert lock_of(settings).rows == {ROW.id: newer}
    assert (packaged / "lock.toml").read_bytes() == before


def test_the_users_file_holds_only_what_the_package_does_not_bring(packaged: Path, settings: Settings) -> None:
    other = dataclasses.replace(ROW, id="debian12-amd64")

    write_lock(lock_of(settings).with_row(other))

    assert read_lock(lock_of(settings).path).rows == {other.id: other}
    assert set(lock_of(settings).rows) == {ROW.id, other.id}


@pytest.mark.usefixtures("packaged")
def test_a_configuration_directory_that_cannot_be_made_is_one_line(
    tmp_path: Path, settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "file").touch()
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "file"))

    with pytest.raises(HostError, match="was not written") as caught:
        write_lock(lock_of(settings).with_row(dataclasses.replace(ROW, size_bytes=4)))

    assert caught.value.hint == "choose another with --vmlab-lock FILE"


def test_the_command_says_which_file_it_wrote(
    packaged: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("NO_PROXY", "*")
    monkeypatch.chdir(tmp_path)
    with Publisher() as publisher:
        publisher.offer(PATH, qcow2(seed=1))
        publisher.offer(LIST, checksum_list({NAME: qcow2(seed=1)}))
        monkeypatch.setattr(publishers, "chosen_images", lambda *_: (image_at(publisher),))

        assert cli.main(["images", "lock", "--vmlab-store", str(tmp_path / "store")]) == 0

    assert capsys.readouterr().out.splitlines()[-1] == f"lock: {tmp_path / 'config' / 'vmlab' / 'lock.toml'}"
