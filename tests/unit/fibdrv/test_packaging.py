# SPDX-License-Identifier: MIT
"""Facts repeated in several of the driver's files are the same everywhere."""

from __future__ import annotations

import re
from pathlib import Path

DRIVER = Path(__file__).parents[3] / "fibdrv"


def _text(name: str) -> str:
    return (DRIVER / name).read_text(encoding="utf-8")


def test_dkms_and_the_module_have_one_version() -> None:
    (package,) = re.findall(r'^PACKAGE_VERSION="(.*)"$', _text("dkms.conf"), re.MULTILINE)
    (module,) = re.findall(r'^#define FIBDRV_VERSION\t"(.*)"$', _text("fibdrv_main.c"), re.MULTILINE)
    assert package == module


def test_every_object_of_the_module_has_its_source() -> None:
    objects = re.findall(r"\b([a-z0-9_/]+)\.o\b", _text("Kbuild").partition("fibdrv-y")[2])
    assert len(objects) > 5
    assert [name for name in objects if not (DRIVER / f"{name}.c").is_file()] == []


def test_every_source_of_the_arithmetic_is_tested_in_user_space_and_built_into_the_module() -> None:
    sources = [f"arith/{path.stem}.o" for path in DRIVER.glob("arith/*.c")]
    assert len(sources) > 5
    assert re.search(r"^PLAIN := .*\$\(wildcard arith/\*\.c\)$", _text("Makefile"), re.MULTILINE)
    kbuild = _text("Kbuild")
    assert [name for name in sources if name not in kbuild] == []


def test_the_manual_and_the_readme_name_every_parameter_ioctl_and_error() -> None:
    parameters = set(re.findall(r"^module_param\((\w+),", _text("parameters.c"), re.MULTILINE))
    requests = set(re.findall(r"\b(FIBDRV_IOC_(?!MAGIC)\w+)", _text("uapi/fibdrv.h")))
    code = "".join(path.read_text(encoding="utf-8") for path in DRIVER.rglob("*.c") if "test" not in path.parts)
    errors = set(re.findall(r"-(E[A-Z]{3,})\b", code))
    assert len(parameters) == 3
    assert len(requests) == 3
    assert {"ERANGE", "EFAULT", "EINVAL", "ENOTTY", "ENOMEM", "EINTR", "EAGAIN"} <= errors
    for page in ("packaging/fibonacci.4", "README.md"):
        text = _text(page)
        assert sorted(word for word in parameters | requests | errors if word not in text) == [], page
