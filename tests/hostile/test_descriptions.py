# SPDX-License-Identifier: MIT
"""Trees whose Makefile or dkms.conf attacks whoever describes, prepares or builds them."""

from __future__ import annotations

import os
import socket
import subprocess
from pathlib import Path

import pytest
from unit.module.tree.trees import write_tree

from hostile.build_attacks import MARK, SECRET, survivors
from vmlab.errors import BuildError, UsageError, VmlabError
from vmlab.lab.testbed import Testbed
from vmlab.module.source import Source
from vmlab.module.tree.locate import described, read_module

_MODULE = '#include <linux/module.h>\n#include <linux/init.h>\nMODULE_LICENSE("GPL");\nMODULE_DESCRIPTION("x");\n'
_UNCLEAR = "obj-m := $(shell echo a.o)\n"


def _tree(directory: Path, files: dict[str, str]) -> Source:
    return read_module(write_tree(directory / "tree", {"a.c": _MODULE, **files}))


@pytest.fixture
def listener() -> object:
    with socket.create_server(("127.0.0.1", 0)) as server:
        server.settimeout(0.2)
        yield server


@pytest.mark.parametrize("file", ["dkms.conf", "Kbuild"])
def test_what_a_description_runs_reads_nothing_of_the_host(
    vmlab_testbed: Testbed, tmp_path: Path, secret: Path, file: str
) -> None:
    command = f"cat {secret} /proc/*/root{secret} 2>/dev/null | tr -d '\\n'"
    texts = {
        "dkms.conf": {"Kbuild": "obj-m := a.o\n", "dkms.conf": f'if true; then PACKAGE_NAME="x$({command})"; fi\n'},
        "Kbuild": {"Kbuild": f"obj-m := a.o $(shell {command}).o\n"},
    }

    found = vmlab_testbed.describe(_tree(tmp_path, texts[file]))

    assert SECRET not in repr(found)


def test_what_a_description_runs_signals_no_process_and_leaves_none(vmlab_testbed: Testbed, tmp_path: Path) -> None:
    text = f"obj-m := a.o $(shell (setsid sleep {MARK} &) ; kill -9 {os.getpid()} ; kill -9 -1)\n"
    with subprocess.Popen(["sleep", "600"]) as victim:
        vmlab_testbed.describe(_tree(tmp_path, {"Kbuild": text}))
        is_alive = victim.poll() is None
        victim.kill()

    assert is_alive
    assert survivors() == []


def test_what_a_description_runs_reaches_no_socket(
    vmlab_testbed: Testbed, tmp_path: Path, listener: socket.socket
) -> None:
    port = listener.getsockname()[1]
    text = f"obj-m := a.o $(shell bash -c 'echo x >/dev/tcp/127.0.0.1/{port}')\n"

    vmlab_testbed.describe(_tree(tmp_path, {"Kbuild": text}))

    with pytest.raises(TimeoutError):
        listener.accept()


def test_a_tree_that_deletes_itself_harms_only_its_copy(vmlab_testbed: Testbed, tmp_path: Path) -> None:
    source = _tree(tmp_path, {"Kbuild": "obj-m := a.o $(shell rm -rf $(src)/* /build/*)\n"})

    with pytest.raises(VmlabError):
        vmlab_testbed.build_tree(source)

    assert sorted(path.name for path in source.directory.iterdir()) == ["Kbuild", "a.c"]


@pytest.mark.parametrize(
    ("prepare", "words"),
    [
        ("while sleep 600 & do :; done; exit 9", "reached its limit of 512 processes"),
        ("head -c 3G /dev/zero >big", "reached its limit of 1 GiB in one file"),
        ("sudo insmod a.ko", "sudo: "),
        ("curl -O https://example.org/blob.bin", "cannot be prepared"),
        ("exit 3", "ended with status 3"),
        ("kill -9 -1", "cannot be prepared"),
    ],
    ids=["forks", "fills the disk", "sudo", "downloads", "fails", "kills"],
)
def test_a_step_that_misbehaves_is_one_clear_line(
    vmlab_testbed: Testbed, tmp_path: Path, prepare: str, words: str
) -> None:
    source = _tree(tmp_path, {"Kbuild": "obj-m := a.o\n", "vmlab.toml": f"prepare = \"bash -c '{prepare}'\"\n"})

    with pytest.raises(BuildError) as caught:
        vmlab_testbed.build_tree(source)

    assert words in caught.value.message
    assert len(caught.value.one_line.splitlines()) == 1


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ('PACKAGE_NAME="a\n', '" is not closed'),
        ("if true; then\nPACKAGE_NAME=a\nfi fi\n", "bash cannot read dkms.conf:3: syntax error near unexpected token"),
        ("if true; then exit 3; fi\n", "ended its shell"),
    ],
    ids=["a quote", "a syntax error", "an exit"],
)
def test_a_dkms_conf_that_cannot_be_read_is_one_clear_line(
    vmlab_testbed: Testbed, tmp_path: Path, text: str, words: str
) -> None:
    with pytest.raises((BuildError, UsageError)) as caught:
        vmlab_testbed.build_tree(_tree(tmp_path, {"Kbuild": "obj-m := a.o\n", "dkms.conf": text}))

    assert words in caught.value.message


@pytest.mark.parametrize(
    "text",
    [
        "include $(src)/Kbuild\n",
        f"{'ifeq (a,a)' * 1}\n" * 5000 + "obj-m := a.o\n" + "endif\n" * 5000,
        "A = $(A)$(A)\nobj-m := $(A) a.o\n",
        "obj-m := $(((((" + "(" * 10000 + "\n",
        "a" * 1_000_000 + "\n",
        "\\\n" * 100_000 + "obj-m := a.o\n",
    ],
    ids=["itself", "conditions", "doubles", "brackets", "a long line", "continued"],
)
def test_a_makefile_that_never_ends_is_read_without_a_build(tmp_path: Path, text: str) -> None:
    found = described(_tree(tmp_path, {"Kbuild": f"obj-m := a.o\n{text}"}), is_strict=False)

    assert {module.name for module in found.modules} <= {"a"}


def test_a_link_out_of_the_tree_is_refused_before_anything_is_read(tmp_path: Path, secret: Path) -> None:
    directory = write_tree(tmp_path / "tree", {"a.c": _MODULE})
    (directory / "Kbuild").symlink_to(secret)

    with pytest.raises(UsageError, match="a link that leads out of the module's directory"):
        read_module(directory)


def test_a_stated_file_outside_of_the_project_is_refused(tmp_path: Path, secret: Path) -> None:
    for path in (str(secret), f"../{secret.name}", "/etc/shadow"):
        with pytest.raises(UsageError, match="must be a file in the project"):
            _tree(tmp_path, {"Kbuild": "obj-m := a.o\n", "vmlab.toml": f'files = {{ "x" = "{path}" }}\n'})
