# SPDX-License-Identifier: MIT
"""Inputs of a provisioned image, reuse from the store, and additional facts in its errors."""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from vmlab.catalogue.cloud_image import Algorithm, CloudKernel, Firmware, PackageManager
from vmlab.catalogue.matrix import load_matrix
from vmlab.catalogue.target import Architecture, Target
from vmlab.cloud import direct_boot, firmware_boot, provision
from vmlab.cloud.direct_boot import require_answer
from vmlab.cloud.install import Installed
from vmlab.cloud.lock import ImageLock, LockedImage, write_lock
from vmlab.cloud.recipe import load_cloud_recipe
from vmlab.errors import AssetError, MachineLost
from vmlab.host.accelerator import Accelerator, Verdict
from vmlab.host.firmware import UefiFiles
from vmlab.image.sealed import unpack_members
from vmlab.lab.lab import Lab
from vmlab.machine.machine import Machine
from vmlab.settings import load_settings
from vmlab.store.store import digest_of

_ROW = LockedImage(id="ubuntu22.04-amd64", name="jammy.img", size_bytes=1, algorithm=Algorithm.SHA256, digest="a" * 64)


@pytest.fixture
def notices() -> list[str]:
    return []


@pytest.fixture
def lab(tmp_path: Path, notices: list[str]) -> Lab:
    lock = tmp_path / "lock.toml"
    write_lock(ImageLock(path=lock, rows={_ROW.id: _ROW}))
    given = {"store": str(tmp_path / "store"), "lock": str(lock), "report": str(tmp_path / "report")}
    return Lab(load_settings(given, directory=tmp_path, environment={}), notice=notices.append)


@pytest.fixture
def target() -> Target:
    return next(row for row in load_matrix().targets if row.cloud is not None and row.cloud.image.id == _ROW.id)


def _cloud(target: Target) -> CloudKernel:
    assert target.cloud is not None
    return target.cloud


def _inputs(lab: Lab, target: Target, cloud: CloudKernel | None = None, row: LockedImage = _ROW) -> Mapping[str, Any]:
    recipe = load_cloud_recipe(PackageManager.APT)
    return provision.image_inputs(target, cloud or _cloud(target), row, recipe)


def test_every_word_of_a_row_counts(lab: Lab, target: Target) -> None:
    cloud = _cloud(target)
    changes: list[Mapping[str, Any]] = [
        _inputs(lab, target),
        _inputs(lab, replace(target, line="9.9")),
        _inputs(lab, target, replace(cloud, kernel="other")),
        _inputs(lab, target, replace(cloud, headers="other")),
        _inputs(lab, target, replace(cloud, compiler="other")),
        _inputs(lab, target, replace(cloud, image=replace(cloud.image, firmware=Firmware.UEFI))),
        _inputs(lab, target, replace(cloud, image=replace(cloud.image, user="other"))),
        _inputs(lab, target, row=replace(_ROW, digest="b" * 64)),
    ]
    assert len({digest_of(inputs) for inputs in changes}) == len(changes)


def test_where_a_publisher_is_does_not_count(lab: Lab, target: Target) -> None:
    """The same bytes from another mirror make the same image."""
    cloud = _cloud(target)
    moved = replace(cloud, image=replace(cloud.image, urls=("http://other/x.img",), is_tried=True))
    assert _inputs(lab, target, moved) == _inputs(lab, target)


def _seal(lab: Lab, target: Target) -> str:
    def build(work: Path) -> Mapping[str, Any]:
        (work / "kernel").write_text("x")
        return {"target": target.id, "release": "5.15.0-1-generic", "packages": {}, "root": "root=LABEL=x"}

    return lab.store.obtain("image", _inputs(lab, target), build).digest


def test_what_is_in_the_store_is_taken_without_asking_anybody(
    lab: Lab, target: Target, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: object, **__: object) -> None:
        raise AssertionError("nothing is to be fetched")

    monkeypatch.setattr(provision, "fetch_cloud_image", refuse)
    digest = _seal(lab, target)
    image = provision.obtain_provisioned(lab.context, lab.accelerators, target, _cloud(target))
    assert image.digest == digest
    assert image.root == "root=LABEL=x"


def test_one_that_is_wanted_anew_is_made_once_more_and_the_old_one_stays_until_then(
    lab: Lab, target: Target, fetched: Callable[[list[Exception]], None]
) -> None:
    old = _seal(lab, target)
    provision.want_anew(lab.store, target)
    fetched([AssetError("its package archives are unreachable")])
    with pytest.raises(AssetError, match="are unreachable"):
        provision.obtain_provisioned(lab.context, lab.accelerators, target, _cloud(target))
    assert [item.digest for item in lab.store.objects() if item.kind == "image"] == [old]
    fetched([])
    made = provision.obtain_provisioned(lab.context, lab.accelerators, target, _cloud(target))
    assert made.is_new
    assert made.digest != old
    again = provision.obtain_provisioned(lab.context, lab.accelerators, target, _cloud(target))
    assert (again.is_new, again.digest) == (False, made.digest)
    other = replace(target, id="another-row")
    assert provision.obtain_provisioned(lab.context, lab.accelerators, other, _cloud(target)).digest == old


def test_an_image_that_is_not_locked_is_told_before_anything_is_made(lab: Lab, target: Target, tmp_path: Path) -> None:
    (tmp_path / "lock.toml").unlink()
    with pytest.raises(AssetError, match="is not locked"):
        provision.obtain_provisioned(lab.context, lab.accelerators, target, _cloud(target))


@pytest.fixture
def fetched(lab: Lab, monkeypatch: pytest.MonkeyPatch) -> Callable[[list[Exception]], None]:
    """A downloaded publisher's disk, and guests that each end as the test says."""

    def build(work: Path) -> Mapping[str, Any]:
        (work / "disk").write_text("qcow2")
        return {"name": _ROW.id}

    stored = lab.store.obtain("cloud-image", {"algorithm": "sha256", "digest": _ROW.digest}, build)
    monkeypatch.setattr(provision, "fetch_cloud_image", lambda *_, **__: stored)
    tcg = Verdict(accelerator=Accelerator.TCG, reason="asked for")
    monkeypatch.setattr(provision, "choose_by_disk", lambda *_: tcg)
    monkeypatch.setattr(provision, "flatten", lambda overlay, disk, **_: shutil.copy(overlay, disk))
    monkeypatch.setattr(provision, "prove_image", lambda *_, **__: None)

    def unpack(_: Path, directory: Path) -> None:
        for name in ("kernel", "initrd", "config", "packages"):
            (directory / name).write_text("gcc-12\t12.3.0\n")
        (directory / "tools").mkdir()

    monkeypatch.setattr(provision, "unpack_members", unpack)

    def ends_as(ends: list[Exception]) -> None:
        def in_guest(_: object, work: Any, overlay: Path, __: object) -> Installed:
            overlay.write_text("overlay")
            work.console.write_text("Linux version 5.15\n")
            if ends:
                raise ends.pop(0)
            return Installed(release="5.15.0-1-generic", root="root=LABEL=x", compiler="gcc-12 12.3.0")

        monkeypatch.setattr(provision, "install_in_guest", in_guest)

    return ends_as


def test_what_comes_out_is_recorded_with_what_the_guest_printed(
    lab: Lab, target: Target, fetched: Callable[[list[Exception]], None]
) -> None:
    fetched([])
    image = provision.obtain_provisioned(lab.context, lab.accelerators, target, _cloud(target))
    assert image.release == "5.15.0-1-generic"
    assert image.packages == {"gcc-12": "12.3.0"}
    assert image.cloud_image == f"ubuntu22.04-amd64: jammy.img, sha256 {'a' * 64}"
    assert image.compiler == "gcc-12 12.3.0"
    directory = image.disk.parent
    assert (directory / "tools" / "boot" / "config-5.15.0-1-generic").is_file()
    assert (directory / "provisioning.console").read_text() == "Linux version 5.15\n"
    assert "jammy.img" in (directory / "provisioning.log").read_text()
    assert not (directory / "overlay.qcow2").exists()


def test_a_guest_that_is_lost_is_tried_once_more_and_said(
    lab: Lab, target: Target, fetched: Callable[[list[Exception]], None], notices: list[str]
) -> None:
    fetched([MachineLost("QEMU ended with status -9")])
    assert provision.obtain_provisioned(lab.context, lab.accelerators, target, _cloud(target)).is_new
    assert notices == [
        f"{target.id}: a guest was lost while it was provisioned, and retried: QEMU ended with status -9"
    ]


def test_a_second_one_is_a_lost_machine_and_nothing_is_left(
    lab: Lab, target: Target, fetched: Callable[[list[Exception]], None]
) -> None:
    fetched([MachineLost("gone"), MachineLost("gone again")])
    with pytest.raises(MachineLost, match="gone again") as caught:
        provision.obtain_provisioned(lab.context, lab.accelerators, target, _cloud(target))
    assert f"image-{target.id}.log" in caught.value.detail
    assert [item.kind for item in lab.store.objects()] == ["cloud-image"]
    assert list((lab.store.root / "tmp").iterdir()) == []


def test_an_images_fault_is_not_tried_again_and_tells_where_the_output_is(
    lab: Lab, target: Target, fetched: Callable[[list[Exception]], None], notices: list[str]
) -> None:
    fetched([AssetError("cloud-init failed", hint="see its log below", detail="the log")])
    with pytest.raises(AssetError, match="cloud-init failed") as caught:
        provision.obtain_provisioned(lab.context, lab.accelerators, target, _cloud(target))
    assert caught.value.detail.splitlines()[0] == "the log"
    assert f"image-{target.id}.console" in caught.value.detail
    assert notices == []


def test_a_guest_has_a_network_while_it_is_provisioned(
    lab: Lab, target: Target, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    started: list[bool] = []

    class RecordingMachine(Machine):
        def __enter__(self) -> Machine:
            started.append(self.has_network)
            raise MachineLost("as always")

    monkeypatch.setattr(provision, "Machine", RecordingMachine)
    monkeypatch.setattr(provision, "make_overlay", lambda *_, **__: None)
    monkeypatch.setattr(provision, "own_uefi", lambda *_: None)
    tcg = Verdict(accelerator=Accelerator.TCG, reason="asked for")
    monkeypatch.setattr(provision, "choose_by_disk", lambda *_: tcg)
    work = provision.begin(lab.context, lab.accelerators, target, _cloud(target), _ROW, tmp_path / "disk")

    with pytest.raises(MachineLost), provision.first_guest(lab.context, work, tmp_path / "overlay", tmp_path):
        pass

    assert started == [True]


# --- the resulting image


def _tar(directory: Path, *names: str) -> Path:
    for name in names:
        (directory / name).parent.mkdir(parents=True, exist_ok=True)
        (directory / name).write_text(name)
    disk = directory / "out"
    subprocess.run(["tar", "-cf", str(disk), "-C", str(directory), *{name.split("/")[0] for name in names}], check=True)
    with disk.open("ab") as file:
        file.truncate(2**24)  # the rest of the disk
    return disk


def test_what_the_guest_wrote_to_a_disk_is_unpacked(tmp_path: Path) -> None:
    disk = _tar(tmp_path, "kernel", "initrd", "config", "packages", "tools/usr/bin/gcc")
    out = tmp_path / "object"
    out.mkdir()
    unpack_members(disk, out)
    assert (out / "tools" / "usr" / "bin" / "gcc").read_text() == "tools/usr/bin/gcc"
    assert (out / "tools" / "proc").is_dir()


def test_a_whole_root_is_unpacked_although_its_tar_begins_with_the_directory_itself(tmp_path: Path) -> None:
    for name in ("kernel", "initrd", "config", "packages", "root/usr/bin/gcc"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(name)
    disk, out = tmp_path / "out", tmp_path / "object"
    out.mkdir()
    root = ("-C", "root", "--anchored", "--transform=s,^\\./,tools/,S", "./")  # as in images/recipes/cloud/guest.sh
    files = ("kernel", "initrd", "config", "packages")
    subprocess.run(["tar", "-cf", str(disk), "-C", str(tmp_path), *files, *root], check=True)

    unpack_members(disk, out)

    assert (out / "tools" / "usr" / "bin" / "gcc").read_text() == "root/usr/bin/gcc"


def test_a_guest_that_wrote_only_a_part_is_told(tmp_path: Path) -> None:
    disk = _tar(tmp_path, "kernel", "config", "packages", "tools/x")
    out = tmp_path / "object"
    out.mkdir()
    with pytest.raises(AssetError, match="the guest wrote no initrd"):
        unpack_members(disk, out)


def test_a_disk_that_the_guest_never_wrote_to_is_told(tmp_path: Path) -> None:
    disk = tmp_path / "out"
    disk.write_bytes(bytes(2**20))
    with pytest.raises(AssetError, match="the guest wrote no kernel and no initrd"):
        unpack_members(disk, tmp_path)


# --- checks before sealing


@pytest.mark.parametrize("answer", ["", "5.15.0-1-generic\n1\n", "5.4.0-1-generic\n0\n"])
def test_a_guest_that_is_not_what_was_made_is_told(answer: str) -> None:
    with pytest.raises(AssetError, match="unexpected answer from the directly booted guest"):
        require_answer("ubuntu22.04-5.15", "5.15.0-1-generic", answer)


def test_a_guest_that_is_what_was_made_is_fine() -> None:
    require_answer("ubuntu22.04-5.15", "5.15.0-1-generic", "5.15.0-1-generic\n0\n")


def _prove(lab: Lab, target: Target, tmp_path: Path, answers: list[str | MachineLost]) -> None:
    from unit.fakes import image

    def answer(*_: object) -> str:
        given = answers.pop(0)
        if isinstance(given, MachineLost):
            raise given
        return given

    patch = pytest.MonkeyPatch()
    with patch.context() as context:
        context.setattr(direct_boot, "ask_guest", answer)
        verdict = Verdict(accelerator=Accelerator.TCG, reason="asked for")
        made = image(tmp_path, release="5.15.0-1-generic")
        from vmlab.host.limits import limits_for

        limits = limits_for(verdict.accelerator)
        direct_boot.prove_image(lab.context, target, made, verdict, limits, console=tmp_path / "console")


def test_one_lost_direct_boot_is_tried_again(lab: Lab, target: Target, tmp_path: Path, notices: list[str]) -> None:
    _prove(lab, target, tmp_path, [MachineLost("gone"), "5.15.0-1-generic 0"])
    assert len(notices) == 1


def test_an_image_that_does_not_come_up_directly_is_the_images_fault(lab: Lab, target: Target, tmp_path: Path) -> None:
    with pytest.raises(AssetError, match="does not boot when QEMU starts its kernel directly") as caught:
        _prove(lab, target, tmp_path, [MachineLost("gone"), MachineLost("no SSH", detail="dracut: no root")])
    assert "dracut: no root" in caught.value.detail


# --- firmware


def test_uefi_variables_are_a_copy(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    there = UefiFiles(code=tmp_path / "CODE", variables=tmp_path / "VARS")
    there.variables.write_text("variables")
    monkeypatch.setattr(firmware_boot, "find_uefi", lambda _: there)
    own = tmp_path / "own"
    own.mkdir()
    files = firmware_boot.own_uefi(Architecture.AMD64, Firmware.UEFI, own)
    assert files is not None
    assert files.code == there.code
    assert files.variables.parent == own
    assert files.variables.read_text() == "variables"
    assert firmware_boot.own_uefi(Architecture.AMD64, Firmware.BIOS, own) is None
