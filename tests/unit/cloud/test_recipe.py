# SPDX-License-Identifier: MIT
"""Recipes for cloud images: strict reading, every byte in the digest, clear errors."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pytest

from vmlab.catalogue.cloud_image import PackageManager
from vmlab.catalogue.matrix import catalogue_directory
from vmlab.catalogue.target import NEWEST
from vmlab.cloud.recipe import Meaning, load_cloud_recipe, wanted_release
from vmlab.errors import AssetError, UsageError
from vmlab.machine.argv import MAC_ADDRESS

_VERBS = ("refresh", "add", "add_kernel", "add_wanted", "releases", "installed", "clean", "config", "settle", "take")


@pytest.fixture
def catalogue(tmp_path: Path) -> Path:
    shutil.copytree(catalogue_directory() / "recipes", tmp_path / "recipes")
    return tmp_path


@pytest.mark.parametrize("manager", list(PackageManager))
def test_every_package_manager_has_all_verbs_in_a_script_that_parses(manager: PackageManager) -> None:
    recipe = load_cloud_recipe(manager)
    for shell in ("sh", "bash"):
        subprocess.run([shell, "-n"], input=recipe.script, text=True, check=True)
    for verb in _VERBS:
        assert f"\n{verb}() {{" in recipe.script


@pytest.mark.parametrize("manager", list(PackageManager))
def test_every_byte_of_a_recipe_counts(manager: PackageManager, catalogue: Path) -> None:
    seen = {load_cloud_recipe(manager, catalogue).digest}
    folder = catalogue / "recipes" / "cloud"
    files = [f"{manager}.sh", "guest.sh", "overlay/etc/resolv.conf", "../guest/overlay/etc/vmlab/receive-keys"]
    for name in files:
        with (folder / name).open("a") as file:
            file.write("# more\n")
        seen.add(load_cloud_recipe(manager, catalogue).digest)
    assert len(seen) == len(files) + 1


@pytest.mark.parametrize(
    ("words", "status", "output"),
    [
        (["true"], 0, ""),
        (["echo", "unpacking"], 0, "unpacking\n"),
        (["sh", "-c", "echo E: no such package >&2; exit 100"], 100, "E: no such package\n"),
    ],
)
def test_a_verb_ends_as_it_ended_though_its_output_goes_two_ways(
    tmp_path: Path, words: list[str], status: int, output: str
) -> None:
    script, serial = tmp_path / "guest.sh", tmp_path / "serial"
    script.write_text(load_cloud_recipe(PackageManager.APT).script)
    done = subprocess.run(["sh", str(script), "run", str(serial), *words], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout) == (status, output)
    assert serial.read_text() == output


def test_a_pattern_that_is_none_is_named(catalogue: Path) -> None:
    path = catalogue / "recipes" / "cloud" / "apt.toml"
    path.write_text(path.read_text().replace("'No space left on device|", "'No space ("))
    with pytest.raises(UsageError, match=r"apt.toml: complaint.pattern: invalid pattern "):
        load_cloud_recipe(PackageManager.APT, catalogue)


def test_an_unknown_key_is_named(catalogue: Path) -> None:
    path = catalogue / "recipes" / "cloud" / "dnf.toml"
    path.write_text('packagse = ["x"]\n' + path.read_text())
    with pytest.raises(UsageError, match="packagse: unknown key"):
        load_cloud_recipe(PackageManager.DNF, catalogue)


@pytest.mark.parametrize(
    ("manager", "output", "means"),
    [
        (PackageManager.APT, "E: Unable to locate package linux-image-9.9", Meaning.MISSING),
        (PackageManager.APT, "E: Package 'gcc-99' has no installation candidate", Meaning.MISSING),
        (PackageManager.APT, "W: Failed to fetch http://x/  Temporary failure resolving 'x'", Meaning.UNREACHABLE),
        (
            PackageManager.APT,
            "  Could not connect to 10.0.2.2:9. - connect (111: Connection refused)",
            Meaning.UNREACHABLE,
        ),
        (PackageManager.APT, "dpkg: error: failed to write (No space left on device)", Meaning.FULL),
        (PackageManager.DNF, "Error: Unable to find a match: kernel-9", Meaning.MISSING),
        (PackageManager.DNF, "No match for argument: kernel-9", Meaning.MISSING),
        (PackageManager.DNF, "Curl error (6): Couldn't resolve host name for https://x", Meaning.UNREACHABLE),
        (PackageManager.ZYPPER, "No provider of 'kernel-nine' found.", Meaning.MISSING),
        (PackageManager.ZYPPER, "Download (curl) error for 'http://x'", Meaning.UNREACHABLE),
    ],
)
def test_complaints_are_understood(manager: PackageManager, output: str, means: Meaning) -> None:
    found = load_cloud_recipe(manager).meaning_of(f"Reading package lists...\n{output}\ndone\n")
    assert found is not None
    assert found[0] is means
    assert found[1] in output


def test_what_is_no_complaint_means_nothing() -> None:
    assert load_cloud_recipe(PackageManager.APT).meaning_of("Setting up gcc-12 (12.2.0-14) ...\n") is None


@pytest.mark.parametrize(
    ("line", "releases", "wanted"),
    [
        ("6.8", ["6.8.0-9-generic", "6.8.0-100-generic", "6.5.0-45-generic"], "6.8.0-100-generic"),
        ("6.1", ["6.1.0-44-cloud-amd64", "6.12.9+bpo-cloud-amd64"], "6.1.0-44-cloud-amd64"),
        (NEWEST, ["6.9.12-200.fc42.x86_64", "6.15.3-200.fc42.x86_64"], "6.15.3-200.fc42.x86_64"),
        ("4.18", ["4.18.0-553.22.1.el8_10.x86_64", "4.18.0-553.8.1.el8_10.x86_64"], "4.18.0-553.22.1.el8_10.x86_64"),
    ],
)
def test_the_newest_kernel_of_the_line_is_wanted(line: str, releases: list[str], wanted: str) -> None:
    assert wanted_release(line, releases, newest=NEWEST, package="linux-image") == wanted


def test_a_line_that_is_gone_is_told_with_what_there_is() -> None:
    with pytest.raises(
        AssetError, match=r"linux-image-virtual contains no kernel of line 6.8: it contains 6.11.0-9-generic"
    ):
        wanted_release("6.8", ["6.11.0-9-generic"], newest=NEWEST, package="linux-image-virtual")
    with pytest.raises(AssetError, match="no kernel at all"):
        wanted_release("6.8", [], newest=NEWEST, package="linux-image-virtual")


def test_every_guest_gets_the_unit_that_receives_its_keys() -> None:
    overlay = load_cloud_recipe(PackageManager.APT).overlay

    assert {"etc/systemd/system/vmlab-keys.service", "etc/vmlab/receive-keys", "etc/sudoers.d/vmlab"} <= set(overlay)


def test_the_networks_rule_knows_the_card_that_machines_have() -> None:
    rule = load_cloud_recipe(PackageManager.APT).overlay["etc/udev/rules.d/99-vmlab-network.rules"]
    assert f'ATTR{{address}}=="{MAC_ADDRESS}"' in rule
